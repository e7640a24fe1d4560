/*
 * deferred.c - entering a zone's blocks when they are needed
 *
 * To enter a block takes 64 bytes of bits, its info and its places in the sets.
 * For 1 TiB that is 40 MB, which a machine that uses a little of its memory need
 * not write.  RAM is divided into parts of 128 MiB; a zone's counts have all its
 * free frames from the beginning, and the blocks of the next part are entered
 * when no whole block is left among those before.  So the order in which blocks
 * are lent is that of a zone entered as a whole, except that an unaligned end of
 * a region is not used up before whole blocks of parts below it.
 *
 * It costs a test of nr_deferred for each word or long run taken from a zone, and
 * 64 blocks' work under the zone's lock once for each 128 MiB that come into use.
 *   I1  nr_deferred is the number of free frames of the parts with the zone's mark
 *   I2  the blocks of these parts read as zeroes, bits and info
 *   I3  memblock's free frames of a part that waits are all free, and of one zone
 */
#include "page/deferred.h"

#include "page/carve.h"

/* ---- entering ---- */

/* Largest aligned runs first, as they come: at most 20 for each end of a region. */
static void give_frames(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, uint64_t end)
	TMM_REQUIRES(zone->lock)
{
	while (pfn < end) {
		unsigned order = log2_floor(end - pfn);

		if (pfn)
			order = (unsigned)min_u64(order, (unsigned)__builtin_ctzll(pfn));
		order = (unsigned)min_u64(order, BLOCK_ORDER);
		zone_give(pages, zone, pfn, order);
		pfn += UINT64_C(1) << order;
	}
}

/* The next free frames in [start, end), walking on from *cursor. */
static bool next_free(const struct tmm_pages *pages, uint64_t *cursor, uint64_t start,
                      uint64_t end, uint64_t *out_start, uint64_t *out_end)
{
	struct tmm_region region;

	*cursor = max_u64(*cursor, start << TMM_PAGE_SHIFT);
	while (tmm_memblock_next_free(pages->memblock, cursor, &region)) {
		if (region.start >= end << TMM_PAGE_SHIFT)
			return false;
		if (!region_to_frames(&region, out_start, out_end))
			continue;
		*out_start = max_u64(*out_start, start);
		*out_end = min_u64(*out_end, end);
		if (*out_start < *out_end)
			return true;
	}
	return false;
}

static uint64_t count_frames(const struct tmm_pages *pages, uint64_t start, uint64_t end)
{
	uint64_t cursor = 0, nr = 0, first, stop;

	while (next_free(pages, &cursor, start, end, &first, &stop))
		nr += stop - first;
	return nr;
}

/* Every managed frame is free still, so that the bits tell which they are. */
static void set_managed(struct tmm_pages *pages, uint64_t block)
{
	const struct block_bits *bits = &pages->bits[block];
	struct block_info *info = &pages->info[block];
	unsigned first = BLOCK_FRAMES, last = 0;

	block_set_home(pages, block, info->home | HOME_MIXED);
	for (unsigned w = 0; w < BLOCK_WORDS; w++) {
		if (!bits->word[w])
			continue;
		if (first == BLOCK_FRAMES)
			first = w * 64 + (unsigned)__builtin_ctzll(bits->word[w]);
		last = w * 64 + log2_floor(bits->word[w]);
	}
	if (last + 1 - first != info->nr_free)
		return;
	info->managed_start = (uint16_t)first;
	info->nr_managed = info->nr_free;
}

static void enter(struct tmm_pages *pages, struct zone *zone, uint64_t start, uint64_t end)
	TMM_REQUIRES(zone->lock) TMM_REQUIRES(pages->ram_lock)
{
	uint64_t last = block_of(pages, end - 1);
	uint64_t cursor = 0, first, stop;

	for (uint64_t b = block_of(pages, start); b <= last; b++) {
		if (pages->info[b].home & HOME_MIXED)
			continue; /* entered with the piece before */
		block_set(pages, b, zone->index + 1u, pages->first_type);
	}
	while (next_free(pages, &cursor, start, end, &first, &stop))
		give_frames(pages, zone, first, stop);
	for (uint64_t b = block_of(pages, start); b <= last; b++) {
		struct block_info *info = &pages->info[b];
		uint64_t pfn = block_base(pages, b);

		if (!ram_is_one_region(pages, pfn, BLOCK_FRAMES))
			block_set_home(pages, b, info->home | HOME_NO_RAM);
		if (info->nr_free != BLOCK_FRAMES)
			set_managed(pages, b);
		if (pages->debug) { /* so that frees leave the fast path */
			block_set_home(pages, b, info->home | HOME_MIXED);
			info->managed_start = info->nr_managed = 0;
		}
	}
}

void zone_enter(struct tmm_pages *pages, struct zone *zone, uint64_t start, uint64_t end)
{
	lock_take(pages->ram_lock);
	enter(pages, zone, start, end);
	lock_drop(pages->ram_lock);
}

/* Blocks of a ready part that have no frame in any zone. */
static void set_holes(struct tmm_pages *pages, uint64_t part)
{
	uint64_t start = max_u64(part << pages->part_shift, pages->first_pfn);
	uint64_t end = min_u64((part + 1) << pages->part_shift,
	                       pages->first_pfn + pages->nr_frames);

	for (uint64_t pfn = start; pfn < end && pfn_in_span(pages, pfn); pfn += BLOCK_FRAMES) {
		uint64_t block = block_of(pages, pfn);

		if (pages->info[block].nr_free == 0 && !(pages->info[block].home & HOME_MIXED))
			block_set_home(pages, block, HOME_MIXED | HOME_NO_RAM);
	}
}

static void set_part(struct tmm_pages *pages, uint64_t part, uint8_t state)
{
	/* release: see part_state() */
	__atomic_store_n(&pages->part[part], state, __ATOMIC_RELEASE);
}

/* What the zone has of the part: of a part of one zone, everything. */
static void enter_part(struct tmm_pages *pages, struct zone *zone, uint64_t part)
	TMM_REQUIRES(zone->lock)
{
	uint64_t start = part << pages->part_shift, end = (part + 1) << pages->part_shift;
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	lock_take(pages->ram_lock);
	while (carve_next(pages, &cursor, &piece) && piece.start < end) {
		uint64_t from = max_u64(piece.start, start), to = min_u64(piece.end, end);

		if (from < to && pages->node[piece.node].zone_index[piece.kind] == zone->index)
			enter(pages, zone, from, to);
	}
	lock_drop(pages->ram_lock);
}

void zone_enter_part(struct tmm_pages *pages, struct zone *zone, uint64_t part)
{
	bool waits = part_state(pages, part) == zone->index + 1u;
	uint64_t before = zone->nr_free, given;

	if (part_state(pages, part) == PART_READY)
		return;
	if (waits)
		enter_part(pages, zone, part);
	set_holes(pages, part);
	set_part(pages, part, PART_READY);
	/* These frames were counted from the beginning. */
	given = zone->nr_free - before;
	zone->nr_deferred -= given;
	zone_count(zone, pages->first_type, -given);
}

bool zone_extend(struct tmm_pages *pages, struct zone *zone)
{
	uint64_t last = (zone->end - 1) >> pages->part_shift;

	while (zone->next_part <= last &&
	       part_state(pages, zone->next_part) != zone->index + 1u)
		zone->next_part++;
	if (zone->next_part > last)
		return false;
	zone_enter_part(pages, zone, zone->next_part);
	return true;
}

/* ---- boot ---- */

static void mark_parts(struct tmm_pages *pages)
{
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	memset(pages->part, PART_NO_RAM, pages->nr_parts);
	while (carve_next(pages, &cursor, &piece)) {
		uint8_t index = pages->node[piece.node].zone_index[piece.kind];
		uint64_t last = (piece.end - 1) >> pages->part_shift;

		for (uint64_t p = piece.start >> pages->part_shift; p <= last; p++)
			pages->part[p] = pages->part[p] == PART_NO_RAM ||
			                                 pages->part[p] == index + 1
			                         ? (uint8_t)(index + 1)
			                         : PART_SHARED;
		pages->zone[index].managed += count_frames(pages, piece.start, piece.end);
	}
}

static void enter_first(struct tmm_pages *pages, struct zone *zone) TMM_REQUIRES(zone->lock)
{
	if (zone->start == zone->end)
		return; /* frames may come by hot-plug */
	for (uint64_t p = zone->start >> pages->part_shift;
	     p <= (zone->end - 1) >> pages->part_shift; p++)
		if (pages->part[p] == PART_SHARED)
			enter_part(pages, zone, p);
	zone->nr_deferred = zone->managed - zone->nr_free;
	zone->nr_free_of[pages->first_type] += zone->nr_deferred;
	zone->nr_free = zone->managed;
	zone->next_part = zone->start >> pages->part_shift;
	zone_extend(pages, zone);
}

void deferred_init(struct tmm_pages *pages)
{
	mark_parts(pages);
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];

		lock_take(&zone->lock);
		enter_first(pages, zone);
		lock_drop(&zone->lock);
		pages->managed += zone->managed;
	}
	for (uint64_t part = 0; part < pages->nr_parts; part++) {
		if (pages->part[part] != PART_SHARED)
			continue;
		set_holes(pages, part);
		set_part(pages, part, PART_READY);
	}
}

/* ---- looking ---- */

uint64_t next_ready_block(const struct tmm_pages *pages, uint64_t block)
{
	while (block < nr_blocks(pages) && !block_ready(pages, block))
		block = part_end_block(pages, block);
	return min_u64(block, nr_blocks(pages));
}

static void add_groups(uint64_t start, uint64_t end, unsigned max_order, uint64_t *groups)
{
	for (unsigned order = 0; order <= max_order; order++) {
		uint64_t first = align_up(start, UINT64_C(1) << order) >> order;
		uint64_t last = end >> order;

		if (first < last)
			groups[order] += last - first;
	}
}

uint64_t deferred_frames(const struct tmm_pages *pages, const struct zone *zone)
{
	uint64_t last = (zone->end - 1) >> pages->part_shift, nr = 0;

	if (zone->start == zone->end)
		return 0;
	lock_take(pages->ram_lock);
	for (uint64_t p = zone->start >> pages->part_shift; p <= last; p++)
		if (part_state(pages, p) == zone->index + 1u)
			nr += count_frames(pages, p << pages->part_shift,
			                   (p + 1) << pages->part_shift);
	lock_drop(pages->ram_lock);
	return nr;
}

void deferred_groups(const struct tmm_pages *pages, const struct zone *zone, uint64_t *groups)
{
	uint64_t last = (zone->end - 1) >> pages->part_shift;

	lock_take(pages->ram_lock);
	for (uint64_t p = zone->next_part; zone->nr_deferred && p <= last; p++) {
		uint64_t start = p << pages->part_shift, end = (p + 1) << pages->part_shift;
		uint64_t cursor = 0, first, stop;

		if (part_state(pages, p) != zone->index + 1u)
			continue;
		while (next_free(pages, &cursor, start, end, &first, &stop))
			add_groups(first, stop, pages->max_order, groups);
	}
	lock_drop(pages->ram_lock);
}
