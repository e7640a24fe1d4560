/*
 * mobility.c - which block serves which request
 *
 * A block that has once lent a frame which never moves can only become whole
 * again by luck.  So requests that will not move share as few blocks as possible:
 * each block is of one type, and a request is served from blocks of its own type
 * while any has a run for it.  Else it turns to the other types in Linux's order:
 *
 *   unmovable     reclaimable, movable
 *   reclaimable   unmovable, movable
 *   movable       reclaimable, unmovable
 *
 * First it looks for a block to claim, from the longest run downwards: a claimed
 * block changes its type, and later requests of that type go there instead of
 * into yet another block.  A block is claimed when half of it is free.  Movable
 * pages, which do little harm where they are, claim only where a run of 2^4 or
 * more is.  Where nothing can be claimed, the shortest foreign run serves.
 *
 * Whoever looks for part of a block raises the zone's watermarks for a time
 * (watermark.c).
 *
 * Outside of this order are blocks of contiguous areas, which movable requests
 * use, and first when they hold more than half of what is free; and the reserve
 * for long runs that are wanted where nobody can wait: a block from which such a
 * request was served is kept for the next, up to 1% of the zone.
 *
 * Machines too small to have some blocks of each type use one for all.
 */
#include "page/zone.h"

#define NR_FALLBACKS 2u

/* Runs from which on movable pages claim a block. */
#define MOVABLE_CLAIM_ORDER ((BLOCK_ORDER - 1) / 2)

static const uint8_t fallback[STACK_TYPE_NONE][NR_FALLBACKS] = {
	[TMM_MIGRATE_UNMOVABLE] = {TMM_MIGRATE_RECLAIMABLE, TMM_MIGRATE_MOVABLE},
	[TMM_MIGRATE_MOVABLE] = {TMM_MIGRATE_RECLAIMABLE, TMM_MIGRATE_UNMOVABLE},
	[TMM_MIGRATE_RECLAIMABLE] = {TMM_MIGRATE_UNMOVABLE, TMM_MIGRATE_MOVABLE},
};

void zone_set_type(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                   enum tmm_migrate_type type)
{
	struct block_info *info = &pages->info[block];
	unsigned longest = info->longest;
	uint64_t *before = &zone->nr_free_of[info->type], *after = &zone->nr_free_of[type];

	zone_file_block(pages, zone, block, 0);
	/* relaxed: zone_usable() takes a moment's values; freed frames may go either way */
	__atomic_store_n(before, *before - info->nr_free, __ATOMIC_RELAXED);
	__atomic_store_n(after, *after + info->nr_free, __ATOMIC_RELAXED);
	block_set_type(pages, block, type);
	zone_file_block(pages, zone, block, longest);
}

static bool may_claim(const struct block_info *info)
{
	return info->nr_free >= BLOCK_FRAMES / 2;
}

/* Longest runs first: what is claimed should serve for long. */
static bool claim(struct tmm_pages *pages, struct zone *zone, enum tmm_migrate_type type,
                  unsigned order, uint64_t *out_block) TMM_REQUIRES(zone->lock)
{
	unsigned least = order + 1;
	bool boosted = false;

	if (type == TMM_MIGRATE_MOVABLE && order < MOVABLE_CLAIM_ORDER)
		least = MOVABLE_CLAIM_ORDER + 1;
	for (unsigned filed = LONGEST_WHOLE; filed >= least; filed--) {
		for (unsigned i = 0; i < NR_FALLBACKS; i++) {
			unsigned from = fallback[type][i];

			if (!(zone->longest_mask[from] >> filed & 1))
				continue;
			*out_block = block_set_first(&zone->by_longest[from][filed]);
			if (filed < LONGEST_WHOLE && !boosted) {
				watermark_boost(pages, zone);
				boosted = true;
			}
			if (!may_claim(&pages->info[*out_block]))
				continue;
			zone_set_type(pages, zone, *out_block, type);
			zone->nr_claimed++;
			return true;
		}
	}
	return false;
}

/* Without changing its type; the whole blocks among them were claimed. */
static bool find_foreign(const struct zone *zone, enum tmm_migrate_type type, unsigned order,
                         uint64_t *out_block) TMM_REQUIRES(zone->lock)
{
	for (unsigned filed = order + 1; filed < NR_LONGEST; filed++) {
		for (unsigned i = 0; i < NR_FALLBACKS; i++) {
			unsigned from = fallback[type][i];

			if (!(zone->longest_mask[from] >> filed & 1))
				continue;
			*out_block = block_set_first(&zone->by_longest[from][filed]);
			return true;
		}
	}
	return false;
}

static bool is_mostly_cma(const struct zone *zone) TMM_REQUIRES(zone->lock)
{
	return zone->nr_free_of[TMM_MIGRATE_CMA] > zone->nr_free / 2;
}

bool zone_find_elsewhere(struct tmm_pages *pages, struct zone *zone, struct source source,
                         unsigned order, uint64_t *out_block)
{
	if ((source.from & FROM_HIGHATOMIC) &&
	    zone_find_of_type(zone, TMM_MIGRATE_HIGHATOMIC, order, out_block))
		return true;
	if ((source.from & FROM_CMA) && is_mostly_cma(zone) &&
	    zone_find_of_type(zone, TMM_MIGRATE_CMA, order, out_block))
		return true;
	if (likely(zone_find_of_type(zone, source.type, order, out_block)))
		return true;
	if ((source.from & FROM_CMA) &&
	    zone_find_of_type(zone, TMM_MIGRATE_CMA, order, out_block))
		return true;
	if (claim(pages, zone, source.type, order, out_block) ||
	    find_foreign(zone, source.type, order, out_block))
		return true;
	return (source.from & FROM_RESERVE) &&
	       zone_find_of_type(zone, TMM_MIGRATE_HIGHATOMIC, order, out_block);
}

/* ---- runs of whole blocks ---- */

unsigned zone_whole_types(struct source source)
{
	unsigned types = 1u << TMM_MIGRATE_UNMOVABLE | 1u << TMM_MIGRATE_MOVABLE |
	                 1u << TMM_MIGRATE_RECLAIMABLE;

	if (source.from & FROM_CMA)
		types |= 1u << TMM_MIGRATE_CMA;
	if (source.from & (FROM_HIGHATOMIC | FROM_RESERVE))
		types |= 1u << TMM_MIGRATE_HIGHATOMIC;
	return types;
}

void zone_claim_whole(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                      struct source source)
{
	if (pages->info[block].type < STACK_TYPE_NONE && pages->info[block].type != source.type)
		zone_set_type(pages, zone, block, source.type);
}

/* ---- the reserve ---- */

void zone_reserve_highatomic(struct tmm_pages *pages, struct zone *zone, uint64_t block)
{
	uint64_t most = max_u64(zone->managed / 100, BLOCK_FRAMES);

	/* One block of a zone of two would be half of it. */
	if (!pages->type_mask || pages->info[block].type >= STACK_TYPE_NONE ||
	    zone->nr_highatomic + BLOCK_FRAMES > most)
		return;
	zone->nr_highatomic += BLOCK_FRAMES;
	zone_set_type(pages, zone, block, TMM_MIGRATE_HIGHATOMIC);
}

bool zone_unreserve_highatomic(struct tmm_pages *pages, struct zone *zone)
{
	uint64_t block;

	if (!zone_find_of_type(zone, TMM_MIGRATE_HIGHATOMIC, 0, &block))
		return false;
	zone->nr_highatomic -= BLOCK_FRAMES;
	zone_set_type(pages, zone, block, TMM_MIGRATE_UNMOVABLE);
	return true;
}
