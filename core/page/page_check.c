/*
 * page_check.c - the invariants of the page allocator
 *
 *   I1  a set bit is a frame that memblock handed over
 *   I2  block_info.nr_free is the number of the block's set bits; a zone's is
 *       the sum of its blocks' and of what waits to be entered
 *   I3  a block with set bits is in by_longest[type][longest] of its zone and in no
 *       other set; one without, or isolated, is in none
 *   I4  no free run is longer than `longest` says, and it says "whole" of whole
 *       blocks alone
 *   I5  longest_mask names the sets that are not empty
 *   I6  frames at or above `fresh` were never lent: they are free or unmanaged
 *   I7  a run on a stack is aligned, managed, in the stack's zone, not free in
 *       the zone and on no other stack
 *   I8  what recent[] names is on a stack
 *   I9  the descriptor of a free frame that was lent once has kind PAGE_NONE
 *   I10 no frame is both free and more than there are: free + stacks <= managed
 *   I11 nr_free_of[] are the sums of nr_free over the blocks of each type
 *   I12 nr_deferred counts the free frames of parts that wait to be entered
 *   I13 nr_marked counts the frames of compound runs, and those that are charged
 *   I14 stack[] follows from the block's home, type and marks
 *   I15 strip_cpu[] names a CPU for the strips that are in its strip[], and for no others
 */
#include "page/account.h"
#include "page/compound.h"
#include "page/debug.h"
#include "page/deferred.h"

/* Not of frames that were never lent: reading would make the host back mem_map. */
static void check_kind(const struct tmm_pages *pages, uint64_t pfn, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		TMM_ASSERT(page_of(pages, (tmm_pfn){pfn + i})->kind == PAGE_NONE); /* I9 */
}

/* Frames of a mixed block, one by one; others are handed over as a whole. */
static void check_owned(const struct tmm_pages *pages, uint64_t block, unsigned w)
{
	const struct block_info *info = &pages->info[block];
	uint64_t word = pages->bits[block].word[w];
	uint64_t first = block_base(pages, block) + w * 64;

	for (unsigned i = 0; i < 64; i++) {
		bool is_free = word >> i & 1;
		bool managed = !(info->home & HOME_MIXED) ||
		               run_is_managed(pages, first + i, 1);
		bool free_frame_is_managed = !is_free || managed;
		bool fresh_frame_is_free = !managed || is_free || w * 64 + i < info->fresh;

		TMM_ASSERT(free_frame_is_managed); /* I1 */
		TMM_ASSERT(fresh_frame_is_free);   /* I6 */
	}
}

static uint64_t check_block(const struct tmm_pages *pages, const struct zone *zone,
                            uint64_t block)
{
	const struct block_bits *bits = &pages->bits[block];
	const struct block_info *info = &pages->info[block];
	uint64_t first = block_base(pages, block);
	unsigned ones = 0;
	unsigned exact = block_longest(bits);

	for (unsigned w = 0; w < BLOCK_WORDS; w++) {
		ones += count_ones(bits->word[w]);
		check_owned(pages, block, w);
		for (uint64_t lent = bits->word[w]; lent; lent &= lent - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(lent);

			if (i < info->fresh)
				check_kind(pages, first + i, 1);
		}
	}
	if (info->nr_marked)
		TMM_ASSERT(info->nr_marked == compound_count(pages, block) +
		                                      account_count(pages, block)); /* I13 */
	TMM_ASSERT(pages->stack[block] == block_stack(info));                       /* I14 */
	TMM_ASSERT(info->nr_free == ones);                                          /* I2 */
	TMM_ASSERT((info->longest == 0) == (info->nr_free == 0));                   /* I3 */
	TMM_ASSERT(info->longest >= exact);                                         /* I4 */
	TMM_ASSERT((info->longest == LONGEST_WHOLE) == (exact == LONGEST_WHOLE));   /* I4 */
	for (unsigned type = 0; type < NR_FILED_TYPES; type++)
		for (unsigned l = 1; l < NR_LONGEST; l++)
			TMM_ASSERT(block_set_has(&zone->by_longest[type][l], block) ==
			           (l == info->longest && type == info->type)); /* I3 */
	return ones;
}

static void check_zone(struct tmm_pages *pages, struct zone *zone) TMM_REQUIRES(zone->lock)
{
	uint64_t nr_free = 0, nr_free_of[TMM_NR_MIGRATE_TYPES] = {0};

	for (uint64_t block = next_ready_block(pages, 0); block < nr_blocks(pages);
	     block = next_ready_block(pages, block + 1))
		if (home_zone(&pages->info[block]) == zone->index)
			nr_free_of[pages->info[block].type] += check_block(pages, zone, block);
	TMM_ASSERT(zone->nr_deferred == deferred_frames(pages, zone)); /* I12 */
	nr_free_of[pages->first_type] += zone->nr_deferred;
	for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++) {
		TMM_ASSERT(zone->nr_free_of[type] == nr_free_of[type]); /* I11 */
		nr_free += nr_free_of[type];
	}
	TMM_ASSERT(zone->nr_free == nr_free); /* I2 */
	for (unsigned type = 0; type < NR_FILED_TYPES; type++)
		for (unsigned l = 1; l < NR_LONGEST; l++)
			TMM_ASSERT(block_set_empty(&zone->by_longest[type][l]) ==
			           !(zone->longest_mask[type] >> l & 1)); /* I5 */
}

/*
 * Two frames of stacks are the same when the second finds the first one's bits:
 * set them, and take them away again.
 */
static void mark_run(struct tmm_pages *pages, uint64_t pfn, unsigned order, bool set)
{
	uint64_t words = order <= WORD_ORDER ? 1 : UINT64_C(1) << (order - WORD_ORDER);
	uint64_t mask = order <= WORD_ORDER ? run_mask(order) << (pfn % 64) : UINT64_MAX;

	for (uint64_t w = 0; w < words; w++, pfn += 64) {
		uint64_t *word = word_of(pages, pfn);
		bool run_is_free_in_one_place = (*word & mask) == (set ? 0 : mask);

		TMM_ASSERT(run_is_free_in_one_place); /* I7 */
		*word = set ? *word | mask : *word & ~mask;
	}
}

static void check_stack(struct tmm_pages *pages, const struct cpu_zone *cz, unsigned id,
                        unsigned zone, bool set)
{
	const struct frame_stack *stack = &cz->stack[id];
	unsigned order = order_of_stack(id);

	TMM_ASSERT(stack->top >= stack->bottom && stack->top <= stack->end); /* I7 */
	for (const uint32_t *entry = stack->bottom; entry < stack->top; entry++) {
		uint64_t pfn = *entry & ENTRY_PFN;

		TMM_ASSERT(zone_of(pages, pfn)->index == zone);               /* I7 */
		TMM_ASSERT((pfn & ((UINT64_C(1) << order) - 1)) == 0);        /* I7 */
		TMM_ASSERT(run_is_managed(pages, pfn, UINT64_C(1) << order)); /* I7 */
		mark_run(pages, pfn, order, set);
		if (!(*entry & ENTRY_FRESH))
			check_kind(pages, pfn, 1u << order);
	}
}

static bool on_a_stack(const struct cpu_zone *cz, uint32_t pfn)
{
	for (unsigned s = 0; s < NR_STACKS; s++)
		for (const uint32_t *entry = cz->stack[s].bottom; entry < cz->stack[s].top;
		     entry++)
			if ((*entry & ENTRY_PFN) == pfn)
				return true;
	return false;
}

static void check_recent(const struct tmm_pages *pages, const struct page_cpu *cpu)
{
	for (unsigned i = 0; i < RECENT_SLOTS; i++) {
		uint32_t pfn = cpu->recent[i];

		TMM_ASSERT(pfn == RECENT_NONE ||
		           on_a_stack(&cpu->zone[zone_of(pages, pfn)->index], pfn)); /* I8 */
	}
}

static void check_stacks(struct tmm_pages *pages, bool set)
{
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		for (unsigned z = 0; z < pages->nr_zones; z++)
			for (unsigned s = 0; s < NR_STACKS; s++)
				check_stack(pages, &pages->cpu[c]->zone[z], s, z, set);
}

static bool has_strip(const struct cpu_zone *cz, uint64_t strip)
{
	for (unsigned type = 0; type < STACK_TYPE_NONE; type++)
		if (cz->strip[type] == strip + 1)
			return true;
	return false;
}

static void check_strips(struct tmm_pages *pages, const struct zone *zone)
	TMM_REQUIRES(zone->lock)
{
	for (uint64_t s = 0; s < zone->nr_set_words; s++)
		for (uint32_t c = 0; c < pages->cpus->nr; c++)
			TMM_ASSERT(has_strip(&pages->cpu[c]->zone[zone->index], s) ==
			           (zone->strip_cpu[s] == c + 1)); /* I15 */
}

void tmm_pages_check(struct tmm_pages *pages)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];
		tmm_irq irq = lock_take_irqsave(&zone->lock);

		check_zone(pages, zone);
		check_strips(pages, zone);
		lock_drop_irqrestore(&zone->lock, irq);
	}
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		check_recent(pages, pages->cpu[c]);
	cma_check(pages);
	accounts_check(pages);
	if (pages->debug)
		debug_check(pages);
	check_stacks(pages, true);
	check_stacks(pages, false);
	TMM_ASSERT(tmm_pages_free_count(pages) <= pages->managed); /* I10 */
}

void pages_for_each(const struct tmm_pages *pages, page_visit visit, void *arg)
{
	for (uint64_t block = next_ready_block(pages, 0); block < nr_blocks(pages);
	     block = next_ready_block(pages, block + 1)) {
		uint64_t first = block_base(pages, block);

		for (unsigned i = 0; i < pages->info[block].fresh; i++) {
			tmm_pfn pfn = {first + i};

			visit(arg, pfn, page_of(pages, pfn));
		}
	}
}
