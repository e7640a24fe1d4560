/*
 * cma.h - contiguous areas as the allocator keeps them
 */
#ifndef TUXMM_PAGE_CMA_H
#define TUXMM_PAGE_CMA_H

#include <tuxmm/cma.h>

#include "base/lock.h"

struct zone;

/* (c) constant after init  (l) lock */
struct tmm_cma {
	struct lock lock;
	struct tmm_pages *pages; /* (c) */
	struct zone *zone;       /* (c) */
	char name[TMM_CMA_NAME_BYTES];
	uint64_t start, nr_pages; /* (c) whole blocks */
	uint32_t order_per_bit;   /* (c) */
	uint64_t *used;           /* (l) a bit for each 2^order_per_bit frames that are lent */
	uint64_t used_pages;      /* (l) */
	uint64_t nr_allocs, nr_failed, allocated_pages, released_pages; /* (l) */
};

struct tmm_memblock;
struct pages_config;

/*
 * In this order while booting: find and reserve the areas' places; give them to the
 * zones like all free memory; once those are filled, give the blocks their type.
 *   TMM_E_RANGE  an area has no place
 */
TMM_MUST_CHECK tmm_err cma_reserve(struct tmm_pages *pages, struct tmm_memblock *memblock,
                                   const struct pages_config *config);
void cma_unreserve(struct tmm_pages *pages, struct tmm_memblock *memblock);
TMM_MUST_CHECK tmm_err cma_activate(struct tmm_pages *pages);

/* Is the frame of an area?  Its block's type does not tell: a run may be being taken there. */
bool cma_has(const struct tmm_pages *pages, uint64_t pfn);

/* What is lent is not free; blocks are of their type.  Panics otherwise. */
void cma_check(const struct tmm_pages *pages);

#endif
