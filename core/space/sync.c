/*
 * sync.c - memory against its file: msync and mincore
 *
 * A shared page that may be written is dirty from the first write until it is
 * written back.  msync takes the right to write from its leaves before it writes
 * them back, so that the next write is noticed.
 */
#include "space/vma.h"

static uint64_t without_write(void *arg, tmm_vaddr va, tmm_pte old)
{
	(void)arg;
	(void)va;
	return old.v & (TMM_PTE_USER | TMM_PTE_NX);
}

/* What msync has to do for one area. */
struct sync_part {
	uint64_t start, end;
	struct tmm_file *file; /* referenced; NULL: nothing to write back */
	uint64_t first, last;  /* pages of it */
};

static void prepare_part(struct vma *vma, uint32_t flags, struct sync_part *part)
{
	struct tmm_mm *mm = vma->mm;

	part->end = min_u64(part->end, vma->end);
	part->file = NULL;
	if (!(flags & TMM_MS_SYNC) || !vma->file || !(vma->flags & VM_SHARED))
		return;
	part->file = tmm_file_get(vma->file);
	part->first = vma_pgoff_at(vma, part->start);
	part->last = vma_pgoff_at(vma, part->end - 1);
	tmm_pte_protect_range(&mm->pt, (tmm_vaddr){part->start}, (tmm_vaddr){part->end},
	                      without_write, NULL);
}

/* The part of [part->start, part->end) in its first area. */
static tmm_err next_part(struct tmm_mm *mm, uint32_t flags, struct sync_part *part, bool *holes)
{
	struct vma *vma = find_vma(mm, part->start);

	if (!vma)
		return TMM_E_NOMEM;
	if (part->start < vma->start) {
		if (flags == TMM_MS_ASYNC || vma->start >= part->end)
			return TMM_E_NOMEM;
		*holes = true;
		part->start = vma->start;
	}
	if ((flags & TMM_MS_INVALIDATE) && (vma->flags & VM_LOCKED))
		return TMM_E_BUSY;
	prepare_part(vma, flags, part);
	return TMM_OK;
}

static tmm_err write_back(const struct sync_part *part)
{
	tmm_err err;

	if (!part->file)
		return TMM_OK;
	err = tmm_mapping_sync(part->file->spec.mapping, part->first, part->last);
	tmm_file_put(part->file);
	return err;
}

tmm_err tmm_mm_msync(struct tmm_mm *mm, uint64_t addr, uint64_t length, uint32_t flags)
{
	uint64_t end = addr + align_up(length, TMM_PAGE_SIZE);
	bool holes = false;

	if ((flags & ~(TMM_MS_ASYNC | TMM_MS_INVALIDATE | TMM_MS_SYNC)) ||
	    (addr & ~TMM_PAGE_MASK) || ((flags & TMM_MS_ASYNC) && (flags & TMM_MS_SYNC)))
		return TMM_E_INVAL;
	if (end < addr)
		return TMM_E_NOMEM;
	while (addr < end) {
		struct sync_part part = {.start = addr, .end = end};
		tmm_err err;

		lock_take(&mm->lock);
		err = next_part(mm, flags, &part, &holes);
		lock_drop(&mm->lock);
		if (err == TMM_OK)
			err = write_back(&part);
		if (err != TMM_OK)
			return err;
		addr = part.end;
	}
	return holes ? TMM_E_NOMEM : TMM_OK;
}

static bool resident(const struct vma *vma, uint64_t addr)
{
	if (tmm_pte_get(&vma->mm->pt, (tmm_vaddr){addr}).v & TMM_PTE_PRESENT)
		return true;
	return vma->file && mapping_has_page(vma->file->spec.mapping, vma_pgoff_at(vma, addr));
}

tmm_err tmm_mm_mincore(struct tmm_mm *mm, uint64_t addr, uint64_t length, uint8_t *vec)
{
	uint64_t task_size = mm->layout.task_size, end;
	const struct vma *vma;

	if (addr & ~TMM_PAGE_MASK)
		return TMM_E_INVAL;
	if (addr > task_size || length > task_size - addr)
		return TMM_E_NOMEM;
	end = addr + align_up(length, TMM_PAGE_SIZE);
	lock_take(&mm->lock);
	vma = find_vma(mm, addr);
	for (; addr < end; addr += TMM_PAGE_SIZE) {
		if (vma && addr >= vma->end)
			vma = vma_next(vma);
		if (!vma || addr < vma->start)
			break;
		*vec++ = resident(vma, addr);
	}
	lock_drop(&mm->lock);
	return addr < end ? TMM_E_NOMEM : TMM_OK;
}
