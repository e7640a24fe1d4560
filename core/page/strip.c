/*
 * strip.c - CPUs that take from a zone at the same time, kept apart
 *
 * When two CPUs lend frames of one block, the lines of its bits and facts go from one
 * CPU's cache to the other's as the frames come back.  So a CPU that fills a stack takes
 * from a strip of its own: 64 blocks whose facts and whose words of the block sets share no
 * line with those of others.  It enters a strip with the first block that it takes from, and
 * leaves it with the next one, for each type by itself, or when its stacks are emptied.
 *
 * Nothing is kept from anybody: of the blocks that would serve, one in the CPU's strip is
 * chosen, else the lowest in a strip that is not another CPU's.  Where there is none of the
 * least filing, longer runs are cut, or a whole block of another type claimed, only while
 * there is so much free memory that a strip for each CPU is little of it; else blocks are
 * shared.  Who takes past the stacks has no strips, nor has a machine of one CPU.
 *   I1  strip_cpu[] names a CPU for the strips that are in its strip[], and for no others
 */
#include "page/deferred.h"

#define STRIP_FRAMES (64 * BLOCK_FRAMES)

/* The lowest block of the set that is in the strip, 1 + its number; false: there is none. */
static ALWAYS_INLINE bool pick_own(const struct block_set *set, uint32_t strip,
                                   uint64_t *out_block)
{
	uint64_t own = strip ? *block_set_word(set, strip - 1) : 0;

	if (!own)
		return false;
	*out_block = (strip - 1) * UINT64_C(64) + (uint64_t)__builtin_ctzll(own);
	return true;
}

/* The lowest block of the set whose strip is not another CPU's. */
static bool pick(const struct zone *zone, const struct block_set *set, unsigned taker,
                 uint64_t *out_block) TMM_REQUIRES(zone->lock)
{
	uint64_t block = block_set_first(set);

	do {
		unsigned cpu = zone->strip_cpu[block / 64];

		if (!cpu || cpu == taker) {
			*out_block = block;
			return true;
		}
	} while (block_set_next(set, align_down(block, 64) + 64, &block));
	return false;
}

static void leave(struct zone *zone, const struct cpu_zone *cz, uint32_t strip)
	TMM_REQUIRES(zone->lock)
{
	for (unsigned type = 0; type < STACK_TYPE_NONE; type++)
		if (cz->strip[type] == strip)
			return; /* has frames of another type from there */
	zone->strip_cpu[strip - 1] = 0;
}

void strips_leave(struct zone *zone, struct cpu_zone *cz)
{
	for (unsigned type = 0; type < STACK_TYPE_NONE; type++) {
		uint32_t strip = cz->strip[type];

		cz->strip[type] = 0;
		if (strip)
			leave(zone, cz, strip);
	}
}

static void enter(struct tmm_pages *pages, struct zone *zone, struct source source,
                  uint64_t block) TMM_REQUIRES(zone->lock)
{
	struct cpu_zone *cz = &pages->cpu[source_taker(source) - 1]->zone[zone->index];
	uint32_t before = cz->strip[source.type], strip = (uint32_t)(block / 64) + 1;

	if (likely(before == strip))
		return;
	cz->strip[source.type] = strip;
	zone->strip_cpu[strip - 1] = (uint16_t)source_taker(source);
	if (before)
		leave(zone, cz, before);
}

/* Is there so much memory that a strip for each CPU is little of it? */
static bool is_roomy(const struct tmm_pages *pages, const struct zone *zone)
	TMM_REQUIRES(zone->lock)
{
	return zone->nr_free / STRIP_FRAMES > pages->cpus->nr;
}

/* A whole block of any type; of its own when blocks were entered just now. */
static bool claim(struct tmm_pages *pages, struct zone *zone, struct source source,
                  uint32_t strip, uint64_t *out_block) TMM_REQUIRES(zone->lock)
{
	for (unsigned from = 0; from < STACK_TYPE_NONE; from++) {
		const struct block_set *set = &zone->by_longest[from][LONGEST_WHOLE];

		if (block_set_empty(set) || !(pick_own(set, strip, out_block) ||
		                              pick(zone, set, source_taker(source), out_block)))
			continue;
		if (from != source.type) {
			zone_set_type(pages, zone, *out_block, source.type);
			zone->nr_claimed++;
		}
		return true;
	}
	return false;
}

/* In a strip that is not the CPU's yet, or a whole block of another type. */
static NOINLINE bool find_anew(struct tmm_pages *pages, struct zone *zone, struct source source,
                               unsigned filings, uint32_t strip, uint64_t *out_block)
	TMM_REQUIRES(zone->lock)
{
	bool found = false, any = filings != 0;

	for (; filings && !found; filings &= filings - 1) {
		const struct block_set *set =
			&zone->by_longest[source.type][__builtin_ctz(filings)];

		found = pick_own(set, strip, out_block) ||
		        pick(zone, set, source_taker(source), out_block);
		if (!found && !is_roomy(pages, zone))
			return false;
	}
	if (!any && !is_roomy(pages, zone))
		return false;
	while (!found) {
		found = claim(pages, zone, source, strip, out_block);
		if (!found && !zone_extend(pages, zone))
			return false;
	}
	enter(pages, zone, source, *out_block);
	return true;
}

bool strip_find(struct tmm_pages *pages, struct zone *zone, struct source source,
                unsigned order, uint64_t *out_block)
{
	unsigned filings = (unsigned)zone->longest_mask[source.type] & UINT32_MAX
	                                                                       << (order + 1);
	uint32_t strip =
		pages->cpu[source_taker(source) - 1]->zone[zone->index].strip[source.type];

	if (likely(filings) &&
	    pick_own(&zone->by_longest[source.type][__builtin_ctz(filings)], strip, out_block))
		return true;
	return find_anew(pages, zone, source, filings, strip, out_block);
}
