/*
 * compound.h - runs that are one thing: TMM_GFP_COMP
 */
#ifndef TUXMM_PAGE_COMPOUND_H
#define TUXMM_PAGE_COMPOUND_H

#include "page/zone.h"

/* relaxed: of a block with such a run that is lent it was set before that was lent */
static ALWAYS_INLINE unsigned block_nr_marked(const struct block_info *info)
{
	return __atomic_load_n(&info->nr_marked, __ATOMIC_RELAXED);
}

/* Are frames of one of the blocks of a run compound or charged? */
static inline bool run_is_marked(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	for (uint64_t at = pfn; at < pfn + (UINT64_C(1) << order); at += BLOCK_FRAMES)
		if (block_nr_marked(&pages->info[block_of(pages, at)]))
			return true;
	return false;
}

/* In the block of a frame nr frames more, or fewer, leave the fast path when they are freed. */
void block_mark(struct tmm_pages *pages, uint64_t pfn, int nr);

/* The run is about to be lent: its frames know it from now on. */
void compound_make(struct tmm_pages *pages, uint64_t pfn, unsigned order);

/*
 * A run is freed in a block with compound runs.  If it is one they forget it; panics
 * when it is a part of one, or more.
 */
void compound_undo(struct tmm_pages *pages, uint64_t pfn, unsigned order, const void *site);

/* Frames of compound runs in a block, by their descriptors. */
unsigned compound_count(const struct tmm_pages *pages, uint64_t block);

#endif
