/*
 * madvise.c - what a program says of its memory
 *
 * Advice about use changes flags, and areas with other flags are other areas;
 * advice to let go takes pages at once, or marks them (MADV_FREE) for reclaim to
 * take: a page whose leaf is not dirty any more has nothing worth keeping.  Holes
 * do not stop the call, but make it fail at the end.
 */
#include "page/page_system.h"
#include "space/vma.h"

enum {
	MADV_DONTFORK = 10,
	MADV_DOFORK = 11,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
	MADV_DONTDUMP = 16,
	MADV_DODUMP = 17,
	MADV_WIPEONFORK = 18,
	MADV_KEEPONFORK = 19,
	MADV_COLD = 20,
	MADV_PAGEOUT = 21
};

/* Advice that sets and clears flags of areas. */
struct flag_advice {
	int advice;
	uint32_t set, clear;
	bool anonymous_only;
};

static const struct flag_advice flag_advices[] = {
	{TMM_MADV_NORMAL, 0, VM_RAND_READ | VM_SEQ_READ, false},
	{TMM_MADV_RANDOM, VM_RAND_READ, VM_SEQ_READ, false},
	{TMM_MADV_SEQUENTIAL, VM_SEQ_READ, VM_RAND_READ, false},
	{MADV_DONTFORK, VM_DONTCOPY, 0, false},
	{MADV_DOFORK, 0, VM_DONTCOPY, false},
	{MADV_HUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE, false},
	{MADV_NOHUGEPAGE, VM_NOHUGEPAGE, VM_HUGEPAGE, false},
	{MADV_DONTDUMP, VM_DONTDUMP, 0, false},
	{MADV_DODUMP, 0, VM_DONTDUMP, false},
	{MADV_WIPEONFORK, VM_WIPEONFORK, 0, true},
	{MADV_KEEPONFORK, 0, VM_WIPEONFORK, false},
};

static const struct flag_advice *flag_advice(int advice)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_advices); i++) {
		if (flag_advices[i].advice == advice)
			return &flag_advices[i];
	}
	return NULL;
}

static bool advice_known(int advice)
{
	switch (advice) {
	case TMM_MADV_WILLNEED:
	case TMM_MADV_DONTNEED:
	case TMM_MADV_FREE:
	case MADV_COLD:
	case MADV_PAGEOUT:
		return true;
	default:
		return flag_advice(advice);
	}
}

static tmm_err change_flags(struct vma **vma, uint64_t start, uint64_t end,
                            const struct flag_advice *advice)
{
	uint32_t flags = ((*vma)->flags & ~advice->clear) | advice->set;
	struct vma *changed;

	if (advice->anonymous_only && (*vma)->file)
		return TMM_E_INVAL;
	if (flags == (*vma)->flags)
		return TMM_OK;
	changed = vma_change_flags(*vma, start, end, flags);
	if (!changed)
		return TMM_E_AGAIN;
	*vma = changed;
	return TMM_OK;
}

/* The page may go when memory is short, unless it is written before. */
static void free_lazily(struct vma *vma, uint64_t start, uint64_t end)
{
	struct tmm_pgtable *pt = &vma->mm->pt;

	for (uint64_t at = start; at < end; at += TMM_PAGE_SIZE) {
		tmm_pte pte = tmm_pte_get(pt, (tmm_vaddr){at});

		if ((pte.v & TMM_PTE_PRESENT) && (pte.v & (TMM_PTE_DIRTY | TMM_PTE_ACCESSED)))
			tmm_pte_replace(pt, (tmm_vaddr){at},
			                (tmm_pte){pte.v & ~(TMM_PTE_DIRTY | TMM_PTE_ACCESSED)});
	}
}

static tmm_err advise_part(struct vma **vma, uint64_t start, uint64_t end, int advice)
{
	const struct flag_advice *flags = flag_advice(advice);

	if (flags)
		return change_flags(vma, start, end, flags);
	switch (advice) {
	case TMM_MADV_DONTNEED:
		if ((*vma)->flags & VM_LOCKED)
			return TMM_E_INVAL;
		mm_zap_range((*vma)->mm, *vma, start, end);
		return TMM_OK;
	case TMM_MADV_FREE:
		if (((*vma)->flags & VM_LOCKED) || !vma_is_anonymous(*vma))
			return TMM_E_INVAL;
		free_lazily(*vma, start, end);
		return TMM_OK;
	case MADV_COLD:
	case MADV_PAGEOUT: /* nothing ages or evicts pages: all of them stay */
		return (*vma)->flags & VM_LOCKED ? TMM_E_INVAL : TMM_OK;
	default: /* MADV_WILLNEED: pages come when they are touched */
		return TMM_OK;
	}
}

static tmm_err advise_areas(struct tmm_mm *mm, uint64_t start, uint64_t end, int advice)
{
	struct vma *vma = find_vma(mm, start);
	bool holes = false;

	while (start < end) {
		uint64_t stop;
		tmm_err err;

		if (!vma || vma->start >= end)
			return TMM_E_NOMEM;
		if (vma->start > start) {
			holes = true;
			start = vma->start;
		}
		stop = min_u64(vma->end, end);
		err = advise_part(&vma, start, stop, advice);
		if (err != TMM_OK)
			return err;
		start = stop;
		if (vma->end <= start)
			vma = vma_next(vma);
	}
	return holes ? TMM_E_NOMEM : TMM_OK;
}

tmm_err tmm_mm_madvise(struct tmm_mm *mm, uint64_t addr, uint64_t length, int advice)
{
	uint64_t bytes = align_up(length, TMM_PAGE_SIZE), end = addr + bytes;
	tmm_err err;

	if (!advice_known(advice) || (addr & ~TMM_PAGE_MASK) || (length && !bytes) ||
	    end < addr)
		return TMM_E_INVAL;
	if (end == addr)
		return TMM_OK;
	lock_take(&mm->lock);
	err = advise_areas(mm, addr, end, advice);
	lock_drop(&mm->lock);
	return err;
}
