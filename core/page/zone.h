/*
 * zone.h - what is done to a zone's blocks with its lock held
 */
#ifndef TUXMM_PAGE_ZONE_H
#define TUXMM_PAGE_ZONE_H

#include "page/page_system.h"

/* Runs inside one word, as they come from a zone. */
struct taken {
	uint64_t pfn;    /* of the word's first frame */
	uint64_t starts; /* first frames of the runs */
	uint64_t fresh;  /* those of them that were never lent since boot */
};

/*
 * Take up to `want` runs of 2^order frames, order <= WORD_ORDER: the lowest ones
 * of one word of the block that can serve with the least loss of longer runs.
 * Returns how many; 0: there is none.  Watermarks are the caller's business.
 */
unsigned zone_take_word(struct tmm_pages *pages, struct zone *zone, unsigned order,
                        unsigned want, struct taken *out) TMM_REQUIRES(zone->lock);

/* Take one run longer than a word; *out: a stack entry. */
bool zone_take_long(struct tmm_pages *pages, struct zone *zone, unsigned order, uint32_t *out)
	TMM_REQUIRES(zone->lock);

/* Give a run back; panics when a frame of it is free. */
void zone_give(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, unsigned order)
	TMM_REQUIRES(zone->lock);

/* Give back those of the 64 frames from pfn, a multiple of 64, that are set in mask. */
void zone_give_mask(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, uint64_t mask)
	TMM_REQUIRES(zone->lock);

/* The zone that a pfn is in by its number alone. */
static inline enum tmm_zone_id zone_of_pfn(uint64_t pfn)
{
	return pfn < UINT64_C(16) << (20 - TMM_PAGE_SHIFT)  ? TMM_ZONE_DMA
	       : pfn < UINT64_C(4) << (30 - TMM_PAGE_SHIFT) ? TMM_ZONE_DMA32
	                                                    : TMM_ZONE_NORMAL;
}

static ALWAYS_INLINE enum tmm_zone_id highest_zone(tmm_gfp gfp)
{
	return gfp & TMM_GFP_DMA     ? TMM_ZONE_DMA
	       : gfp & TMM_GFP_DMA32 ? TMM_ZONE_DMA32
	                             : TMM_ZONE_NORMAL;
}

/* relaxed: without the lock it is a moment's value, and used as no more */
static inline uint64_t zone_free(const struct zone *zone)
{
	return __atomic_load_n(&zone->nr_free, __ATOMIC_RELAXED);
}

/* Are these frames memory; were they handed over?  By memblock's lists: slow. */
bool run_is_ram(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr);
bool run_is_managed(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr);

#endif
