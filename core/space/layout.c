/*
 * layout.c - where a new area goes
 *
 * As Linux on x86-64: an address the caller insists on is only checked; a hint is
 * taken if the room is free; otherwise the highest room below mmap_base, and when
 * there is none the lowest above a third of user space.  Room directly below an
 * area that grows down begins a guard gap lower.
 */
#include "space/vma.h"

#define LOW_32BIT_START UINT64_C(0x40000000)
#define LOW_32BIT_END   UINT64_C(0x80000000)

static bool place_highest(const struct tmm_mm *mm, uint64_t high, uint64_t length,
                          uint64_t *out)
{
	uint64_t low = max_u64(mm->layout.mmap_min, TMM_PAGE_SIZE), addr;

	while (range_tree_gap_last(&mm->areas, low, high, length, &addr)) {
		const struct vma *above = find_vma(mm, addr);

		if (!above || addr + length <= vma_start_gap(above)) {
			*out = addr;
			return true;
		}
		high = vma_start_gap(above);
	}
	return false;
}

static bool place_lowest(const struct tmm_mm *mm, uint64_t low, uint64_t high, uint64_t length,
                         uint64_t *out)
{
	uint64_t addr;

	low = max_u64(low, mm->layout.mmap_min);
	while (range_tree_gap_first(&mm->areas, low, high, length, &addr)) {
		const struct vma *above = find_vma(mm, addr);

		if (!above || addr + length <= vma_start_gap(above)) {
			*out = addr;
			return true;
		}
		low = above->end;
	}
	return false;
}

static bool hint_suits(const struct tmm_mm *mm, uint64_t addr, uint64_t length)
{
	const struct vma *next;

	if (addr > mm->layout.task_size - length)
		return false;
	next = find_vma(mm, addr);
	return !next || addr + length <= vma_start_gap(next);
}

static bool search(const struct tmm_mm *mm, uint64_t hint, uint64_t length, uint32_t map_flags,
                   uint64_t *out)
{
	uint64_t third = align_up(mm->layout.task_size / 3, TMM_PAGE_SIZE);

	hint = align_down(hint, TMM_PAGE_SIZE);
	if (map_flags & TMM_MAP_32BIT) {
		if (hint && hint <= LOW_32BIT_END && length <= LOW_32BIT_END - hint &&
		    hint_suits(mm, hint, length)) {
			*out = hint;
			return true;
		}
		return place_lowest(mm, LOW_32BIT_START, LOW_32BIT_END, length, out);
	}
	if (hint && hint_suits(mm, hint, length)) {
		*out = hint;
		return true;
	}
	return place_highest(mm, mm->layout.mmap_base, length, out) ||
	       place_lowest(mm, third, mm->layout.task_size, length, out);
}

tmm_err mm_place(const struct tmm_mm *mm, uint64_t hint, uint64_t length, uint32_t map_flags,
                 uint64_t *out_addr)
{
	uint64_t addr = hint;

	if (length > mm->layout.task_size)
		return TMM_E_NOMEM;
	if (!(map_flags & TMM_MAP_FIXED) && !search(mm, hint, length, map_flags, &addr))
		return TMM_E_NOMEM;
	if (addr > mm->layout.task_size - length)
		return TMM_E_NOMEM;
	if (addr & ~TMM_PAGE_MASK)
		return TMM_E_INVAL;
	if (addr < mm->layout.mmap_min)
		return TMM_E_PERM;
	*out_addr = addr;
	return TMM_OK;
}
