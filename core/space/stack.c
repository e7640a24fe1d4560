/*
 * stack.c - areas that grow down when they are touched below
 *
 * An access below an area with VM_GROWSDOWN makes it reach down to the page
 * touched, if it stays within the stack limit and keeps the guard gap to an area
 * below that could be written or read by mistake.
 */
#include "space/vma.h"

static bool gap_kept(const struct vma *vma, uint64_t addr)
{
	const struct vma *below = vma_prev(vma);

	if (!below || (below->flags & VM_GROWSDOWN) || !(below->flags & VM_ACCESS))
		return true;
	return addr - below->end >= STACK_GUARD_GAP;
}

static bool grow_down(struct vma *vma, uint64_t addr)
{
	struct tmm_mm *mm = vma->mm;
	uint64_t nr = (vma->start - addr) >> TMM_PAGE_SHIFT;

	if (addr < mm->layout.mmap_min || !gap_kept(vma, addr) || nr > vma->pgoff)
		return false;
	if (!mm_may_expand(mm, vma->flags, nr) || !mm_may_lock(mm, vma->flags, nr) ||
	    vma->end - addr > mm->limits.stack_bytes)
		return false;
	if ((vma->flags & VM_ACCOUNT) && !space_commit(mm->spaces, mm->total_pages, nr))
		return false;
	vma->pgoff -= nr;
	range_tree_resize(&mm->areas, &vma->range, addr, vma->end);
	mm_account(mm, vma->flags, nr);
	return true;
}

struct vma *mm_find_vma_grow(struct tmm_mm *mm, uint64_t addr)
{
	struct vma *vma = find_vma(mm, addr);

	if (!vma || vma->start <= addr)
		return vma;
	if (!(vma->flags & VM_GROWSDOWN) || !grow_down(vma, align_down(addr, TMM_PAGE_SIZE)))
		return NULL;
	return vma;
}

tmm_err tmm_mm_map_stack(struct tmm_mm *mm, uint64_t top, uint64_t size_bytes, bool executable)
{
	struct tmm_mmap_request request = {
		.addr = top - size_bytes,
		.length = size_bytes,
		.prot = TMM_PROT_READ | TMM_PROT_WRITE | (executable ? TMM_PROT_EXEC : 0),
		.flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS | TMM_MAP_GROWSDOWN |
	                 TMM_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	if (size_bytes > top || ((top | size_bytes) & ~TMM_PAGE_MASK))
		return TMM_E_INVAL;
	return tmm_mm_mmap(mm, &request, &addr);
}
