/*
 * brk.c - the heap's end
 *
 * The heap is ordinary anonymous memory from the end of the program's data up to
 * mm->brk; a program may unmap or replace parts of it.  A break that cannot be
 * had leaves the old one, which is the answer.
 */
#include "space/vma.h"

#define HEAP_FLAGS (VM_READ | VM_WRITE | VM_MAYACCESS | VM_ACCOUNT)

/* The area the heap grows from: the last one below, if it is not the program's data. */
static bool heap_can_extend(const struct tmm_mm *mm, const struct vma *prev,
                            const struct vma *want)
{
	return prev && prev->end > mm->image.start_brk && vma_can_join(prev, want);
}

static bool grow(struct tmm_mm *mm, uint64_t from, uint64_t to)
{
	struct vma want = {.flags = HEAP_FLAGS, .pgoff = from >> TMM_PAGE_SHIFT};
	uint64_t nr = (to - from) >> TMM_PAGE_SHIFT, addr;
	struct vma *next = find_vma(mm, from), *prev = next ? vma_prev(next) : mm_last_vma(mm);

	want.start = from;
	want.end = to;
	if (mm_place(mm, from, to - from, TMM_MAP_FIXED, &addr) != TMM_OK)
		return false;
	if (next && to + TMM_PAGE_SIZE > vma_start_gap(next))
		return false;
	if (!mm_may_expand(mm, want.flags, nr) ||
	    mm->areas.nr_ranges > mm->spaces->config.max_map_count)
		return false;
	if (!mm_prepare(mm, 1) || !space_commit(mm->spaces, mm->total_pages, nr))
		return false;
	if (heap_can_extend(mm, prev, &want))
		range_tree_resize(&mm->areas, &prev->range, prev->start, to);
	else
		vma_insert(mm, &want);
	mm_account(mm, want.flags, nr);
	return true;
}

static bool shrink(struct tmm_mm *mm, uint64_t from, uint64_t to)
{
	/* Something that reaches over the old break is not the heap's. */
	struct vma *vma = find_overlap(mm, to, from);

	if (!vma || mm_may_unmap(mm, vma, to, from) != TMM_OK || !mm_prepare(mm, 2))
		return false;
	mm_unmap(mm, vma, to, from);
	return true;
}

static bool heap_within_limit(const struct tmm_mm *mm, uint64_t brk)
{
	const struct tmm_mm_image *image = &mm->image;
	uint64_t limit = mm->limits.data_bytes;

	return limit == TMM_RLIM_INFINITY ||
	       (brk - image->start_brk) + (image->end_data - image->start_data) <= limit;
}

static bool set_break(struct tmm_mm *mm, uint64_t brk)
{
	uint64_t from = align_up(mm->brk, TMM_PAGE_SIZE), to = align_up(brk, TMM_PAGE_SIZE);

	if (brk < mm->image.start_brk || !heap_within_limit(mm, brk))
		return false;
	if (from == to)
		return true;
	if (brk < mm->brk)
		return shrink(mm, from, to);
	return to > from && grow(mm, from, to);
}

uint64_t tmm_mm_brk(struct tmm_mm *mm, uint64_t new_break)
{
	uint64_t brk;

	lock_take(&mm->lock);
	/* The heap's pages are counted by address: the break moves after they have gone. */
	if (set_break(mm, new_break))
		mm->brk = new_break;
	brk = mm->brk;
	lock_drop(&mm->lock);
	return brk;
}
