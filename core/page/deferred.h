/*
 * deferred.h - parts of a zone whose blocks are not entered yet
 */
#ifndef TUXMM_PAGE_DEFERRED_H
#define TUXMM_PAGE_DEFERRED_H

#include "page/zone.h"

/* tmm_pages.part[]: one of these, or 1 + the index of the zone whose part it is. */
#define PART_READY  0u    /* blocks are entered */
#define PART_SHARED 0xfeu /* of several zones; only while booting */
#define PART_NO_RAM 0xffu

/*
 * Boot: pages->part[] is there, zones are carved and empty.  Enter what cannot
 * wait, count the rest as free.
 */
void deferred_init(struct tmm_pages *pages);

/* Enter the lowest part that waits; false: none does. */
bool zone_extend(struct tmm_pages *pages, struct zone *zone) TMM_REQUIRES(zone->lock);

/* Enter a part of the zone's, or one without RAM, as holes; nothing if that is done. */
void zone_enter_part(struct tmm_pages *pages, struct zone *zone, uint64_t part)
	TMM_REQUIRES(zone->lock);

/*
 * Blocks of [start, end), RAM of one zone, that no part holds back: give them their
 * home and what memblock says is free of them.  Counts the frames as free, not as
 * managed.
 */
void zone_enter(struct tmm_pages *pages, struct zone *zone, uint64_t start, uint64_t end)
	TMM_REQUIRES(zone->lock);

/* Free frames of the parts of the zone that wait. */
uint64_t deferred_frames(const struct tmm_pages *pages, const struct zone *zone)
	TMM_REQUIRES(zone->lock);

/* Add the aligned free groups of the parts of the zone that wait: groups[order]. */
void deferred_groups(const struct tmm_pages *pages, const struct zone *zone, uint64_t *groups)
	TMM_REQUIRES(zone->lock);

/* acquire: whoever sees that it is ready sees what was entered */
static inline unsigned part_state(const struct tmm_pages *pages, uint64_t part)
{
	return __atomic_load_n(&pages->part[part], __ATOMIC_ACQUIRE);
}

/* Are the facts about a block there? */
static inline bool block_ready(const struct tmm_pages *pages, uint64_t block)
{
	uint64_t pfn = block_base(pages, block);

	return part_state(pages, pfn >> pages->part_shift) == PART_READY;
}

/* The first block of the next part, which may lie behind a hole. */
static inline uint64_t part_end_block(const struct tmm_pages *pages, uint64_t block)
{
	const uint64_t part = UINT64_C(1) << pages->part_shift;

	return block + ((part - block_base(pages, block) % part) >> BLOCK_ORDER);
}

/* The first block at or above `block` whose facts are there; nr_blocks() if none. */
uint64_t next_ready_block(const struct tmm_pages *pages, uint64_t block);

/* Long runs must not be cut while there are blocks that were not even entered. */
static inline void zone_keep_ready(struct tmm_pages *pages, struct zone *zone)
	TMM_REQUIRES(zone->lock)
{
	while (unlikely(zone->nr_deferred) &&
	       !(zone->longest_mask[pages->first_type] >> LONGEST_WHOLE & 1))
		if (!zone_extend(pages, zone))
			break;
}

#endif
