/*
 * munmap.c - areas go
 *
 * Areas that reach over an end of the range are cut there first; then each area
 * in it loses its pages, its promise of memory and its place in the tree.
 */
#include "space/vma.h"

tmm_err mm_may_unmap(const struct tmm_mm *mm, const struct vma *vma, uint64_t start,
                     uint64_t end)
{
	/* Only a cut out of the middle leaves one area more than there was. */
	if (vma && vma->start < start && end < vma->end &&
	    mm->areas.nr_ranges >= mm->spaces->config.max_map_count)
		return TMM_E_NOMEM;
	return TMM_OK;
}

struct vma *mm_unmap(struct tmm_mm *mm, struct vma *vma, uint64_t start, uint64_t end)
{
	struct vma *next;

	if (vma && vma->start < start)
		vma = vma_split(vma, start);
	for (; vma && vma->start < end; vma = next) {
		if (end < vma->end)
			vma_split(vma, end);
		next = vma_next(vma);
		mm_zap_range(mm, vma, vma->start, vma->end);
		mm_unaccount(mm, vma->flags, vma_pages(vma));
		if (vma->flags & VM_ACCOUNT)
			space_uncommit(mm->spaces, vma_pages(vma));
		vma_drop(vma);
	}
	return vma;
}

tmm_err mm_munmap(struct tmm_mm *mm, uint64_t addr, uint64_t length)
{
	struct vma *vma;
	uint64_t end;
	tmm_err err;

	if ((addr & ~TMM_PAGE_MASK) || addr > mm->layout.task_size ||
	    length > mm->layout.task_size - addr)
		return TMM_E_INVAL;
	end = addr + align_up(length, TMM_PAGE_SIZE);
	if (end == addr)
		return TMM_E_INVAL;
	vma = find_vma(mm, addr);
	err = mm_may_unmap(mm, vma, addr, end);
	if (err != TMM_OK)
		return err;
	if (!mm_prepare(mm, 2))
		return TMM_E_NOMEM;
	mm_unmap(mm, vma, addr, end);
	return TMM_OK;
}

tmm_err tmm_mm_munmap(struct tmm_mm *mm, uint64_t addr, uint64_t length)
{
	tmm_err err;

	lock_take(&mm->lock);
	err = mm_munmap(mm, addr, length);
	lock_drop(&mm->lock);
	return err;
}
