/*
 * mprotect.c - other rights for a range
 *
 * Area by area, upwards: a hole or a right that may not be had stops the call and
 * leaves what was changed before it changed, as Linux does.  Leaves lose rights at
 * once.  They gain the right to write only where the page is anonymous and nobody
 * else's; elsewhere the next write faults, and copies or marks dirty.
 */
#include "page/page_system.h"
#include "space/vma.h"

#define PROT_SEM 8u

static uint64_t leaf_rights(void *arg, tmm_vaddr va, tmm_pte old)
{
	const struct vma *vma = arg;
	uint64_t bits = vma_leaf_bits(vma) & (TMM_PTE_USER | TMM_PTE_NX);
	const struct page *page;

	(void)va;
	if (!(vma->flags & VM_WRITE) || (old.v & TMM_PTE_SPECIAL))
		return bits;
	page = page_of(vma->mm->spaces->pages, tmm_pte_pfn(old));
	if ((old.v & TMM_PTE_WRITE) || (page->kind == PAGE_ANON && page->refcount == 1))
		bits |= TMM_PTE_WRITE;
	return bits;
}

/* A private area that becomes writable may need a frame for each page from now on. */
static tmm_err commit_for(struct vma *vma, uint64_t nr_pages, uint32_t *flags,
                          uint64_t *out_committed)
{
	struct tmm_mm *mm = vma->mm;

	if (*flags & VM_WRITE) {
		if (!mm_may_expand(mm, *flags, nr_pages) &&
		    mm_may_expand(mm, vma->flags, nr_pages))
			return TMM_E_NOMEM;
		if (vma->flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE))
			return TMM_OK;
		if (!space_commit(mm->spaces, mm->total_pages, nr_pages))
			return TMM_E_NOMEM;
		*out_committed = nr_pages;
		*flags |= VM_ACCOUNT;
	} else if ((vma->flags & VM_ACCOUNT) && vma_is_anonymous(vma) && !vma->anon_family) {
		*flags &= ~VM_ACCOUNT; /* no page was ever made, so none is needed */
	}
	return TMM_OK;
}

/* Change [start, end), within the area; *out_vma covers it afterwards. */
static tmm_err protect_part(struct vma *vma, uint64_t start, uint64_t end, uint32_t flags,
                            struct vma **out_vma)
{
	struct tmm_mm *mm = vma->mm;
	uint64_t nr_pages = (end - start) >> TMM_PAGE_SHIFT, committed = 0;
	uint32_t old_flags = vma->flags;
	struct vma *changed;
	tmm_err err;

	*out_vma = vma;
	if (flags == old_flags)
		return TMM_OK;
	err = commit_for(vma, nr_pages, &flags, &committed);
	if (err != TMM_OK)
		return err;
	changed = vma_change_flags(vma, start, end, flags);
	if (!changed) {
		space_uncommit(mm->spaces, committed);
		return TMM_E_NOMEM;
	}
	*out_vma = changed;
	if ((old_flags & VM_ACCOUNT) && !(flags & VM_ACCOUNT))
		space_uncommit(mm->spaces, nr_pages);
	mm_unaccount(mm, old_flags, nr_pages);
	mm_account(mm, flags, nr_pages);
	tmm_pte_protect_range(&mm->pt, (tmm_vaddr){start}, (tmm_vaddr){end}, leaf_rights,
	                      changed);
	return TMM_OK;
}

static tmm_err protect_areas(struct vma *vma, uint64_t start, uint64_t end, uint32_t prot)
{
	while (start < end) {
		uint32_t flags = (vma->flags & ~VM_ACCESS) | vm_flags_of_prot(prot);
		uint64_t stop = min_u64(vma->end, end);
		tmm_err err;

		if ((flags & ~(flags >> 4)) & VM_ACCESS)
			return TMM_E_ACCES;
		err = protect_part(vma, start, stop, flags, &vma);
		if (err != TMM_OK)
			return err;
		start = stop;
		if (start < vma->end)
			continue; /* joined with what comes next, or all done */
		vma = vma_next(vma);
		if (start < end && (!vma || vma->start != start))
			return TMM_E_NOMEM;
	}
	return TMM_OK;
}

static tmm_err protect_locked(struct tmm_mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	struct vma *vma = find_vma(mm, start);

	if (!vma || vma->start >= end)
		return TMM_E_NOMEM;
	if (prot & TMM_PROT_GROWSDOWN) {
		if (!(vma->flags & VM_GROWSDOWN))
			return TMM_E_INVAL;
		start = vma->start;
	} else if (vma->start > start) {
		return TMM_E_NOMEM;
	} else if (prot & TMM_PROT_GROWSUP) {
		return TMM_E_INVAL; /* no area grows up on this processor */
	}
	return protect_areas(vma, start, end, prot);
}

tmm_err tmm_mm_mprotect(struct tmm_mm *mm, uint64_t addr, uint64_t length, uint32_t prot)
{
	const uint32_t grows = TMM_PROT_GROWSDOWN | TMM_PROT_GROWSUP;
	uint64_t end = addr + align_up(length, TMM_PAGE_SIZE);
	tmm_err err;

	if ((prot & grows) == grows || (addr & ~TMM_PAGE_MASK))
		return TMM_E_INVAL;
	if (!length)
		return TMM_OK;
	if (end <= addr)
		return TMM_E_NOMEM;
	if (prot & ~(grows | VM_ACCESS | PROT_SEM))
		return TMM_E_INVAL;
	lock_take(&mm->lock);
	err = protect_locked(mm, addr, end, prot);
	lock_drop(&mm->lock);
	return err;
}
