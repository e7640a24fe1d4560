/*
 * zone.c - lending from a zone's blocks and taking back, with the lock held
 *
 * Blocks are filed by `longest`, an upper bound of their longest free run.  A
 * request of order k goes to the least filing above k, and there to the lowest
 * block, so that long runs are not cut while short ones serve.  The bound is
 * made exact when a search in vain has shown it too high, and rises when frames
 * come back, by looking at no more than the aligned group that could have become
 * whole: each is a few instructions a frame, whatever the size of the zone.
 */
#include "page/zone.h"

#define FREED_TWICE "a frame is freed once; this one is free in its zone"

unsigned block_longest(const struct block_bits *bits)
{
	unsigned whole = whole_words(bits);
	unsigned longest = 0;

	if (whole) {
		longest = WORD_ORDER + 1;
		while (longest <= BLOCK_ORDER && runs_of_words(whole, longest))
			longest++;
		return longest;
	}
	for (unsigned w = 0; w < BLOCK_WORDS; w++)
		while (runs_in_word(bits->word[w], longest))
			longest++; /* ends: the word is not whole */
	return longest;
}

static void file_block(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                       unsigned longest) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];

	if (info->longest == longest)
		return;
	if (info->longest) {
		block_set_del(&zone->by_longest[info->longest], block);
		if (block_set_empty(&zone->by_longest[info->longest]))
			zone->longest_mask &= ~(1u << info->longest);
	}
	info->longest = (uint8_t)longest;
	if (longest) {
		block_set_add(&zone->by_longest[longest], block);
		zone->longest_mask |= 1u << longest;
	}
}

static void count_free(struct zone *zone, uint64_t nr_free) TMM_REQUIRES(zone->lock)
{
	/* relaxed: see zone_free() */
	__atomic_store_n(&zone->nr_free, nr_free, __ATOMIC_RELAXED);
}

static uint64_t block_base(const struct tmm_pages *pages, uint64_t block)
{
	return pages->first_pfn + (block << BLOCK_ORDER);
}

/* The lowest block of the least filing that may hold such a run. */
static bool find_block(const struct zone *zone, unsigned order, uint64_t *out_block)
	TMM_REQUIRES(zone->lock)
{
	unsigned filed = zone->longest_mask >> (order + 1);

	if (!filed)
		return false;
	filed = order + 1 + (unsigned)__builtin_ctz(filed);
	*out_block = block_set_first(&zone->by_longest[filed]);
	return true;
}

/* 2^order frames have left the block `nr` times; 0: it has no such run, search elsewhere. */
static void block_shrinks(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                          unsigned order, unsigned nr) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];

	info->nr_free = (uint16_t)(info->nr_free - (nr << order));
	count_free(zone, zone->nr_free - (nr << order));
	if (info->nr_free == 0)
		file_block(pages, zone, block, 0);
	else if (nr == 0)
		file_block(pages, zone, block, block_longest(&pages->bits[block]));
	else if (info->longest == LONGEST_WHOLE)
		file_block(pages, zone, block, LONGEST_WHOLE - 1);
}

/* The bits of runs by their starts. */
static uint64_t runs_from_starts(uint64_t starts, unsigned order)
{
	for (unsigned o = 0; o < order; o++)
		starts |= starts << (1u << o);
	return starts;
}

static uint64_t lowest_bits(uint64_t bits, unsigned nr)
{
	uint64_t rest = bits;

	while (nr-- > 0)
		rest &= rest - 1;
	return bits ^ rest;
}

/* Frames of the word from `index` on, for index in any word of the block. */
static uint64_t from_index(unsigned index, unsigned w)
{
	if (index <= w * 64)
		return UINT64_MAX;
	return index >= w * 64 + 64 ? 0 : UINT64_MAX << (index % 64);
}

static unsigned take_in_block(struct tmm_pages *pages, uint64_t block, unsigned order,
                              unsigned want, struct taken *out)
{
	struct block_bits *bits = &pages->bits[block];
	struct block_info *info = &pages->info[block];
	uint64_t starts = 0;
	unsigned w, nr, end;

	for (w = 0; w < BLOCK_WORDS; w++) {
		starts = runs_in_word(bits->word[w], order);
		if (starts)
			break;
	}
	if (!starts)
		return 0;
	nr = count_ones(starts);
	if (nr > want) {
		nr = want;
		starts = lowest_bits(starts, want);
	}
	word_set(&bits->word[w], bits->word[w] & ~runs_from_starts(starts, order));
	out->pfn = block_base(pages, block) + w * 64;
	out->starts = starts;
	out->fresh = starts & from_index(info->fresh, w);
	end = w * 64 + log2_floor(starts) + (1u << order);
	if (end > info->fresh)
		info->fresh = (uint16_t)end;
	return nr;
}

unsigned zone_take_word(struct tmm_pages *pages, struct zone *zone, unsigned order,
                        unsigned want, struct taken *out)
{
	uint64_t block;
	unsigned nr = 0;

	while (nr == 0 && find_block(zone, order, &block)) {
		nr = take_in_block(pages, block, order, want, out);
		block_shrinks(pages, zone, block, order, nr);
	}
	return nr;
}

/* WORD_ORDER < order < BLOCK_ORDER */
static bool take_words(struct tmm_pages *pages, uint64_t block, unsigned order, uint32_t *out)
{
	struct block_bits *bits = &pages->bits[block];
	struct block_info *info = &pages->info[block];
	unsigned runs = runs_of_words(whole_words(bits), order);
	unsigned nr_words = 1u << (order - WORD_ORDER);
	unsigned w;

	if (!runs)
		return false;
	w = (unsigned)__builtin_ctz(runs);
	words_set(&bits->word[w], nr_words, 0);
	*out = (uint32_t)(block_base(pages, block) + w * 64);
	if (info->fresh <= w * 64)
		*out |= ENTRY_FRESH;
	if (info->fresh < (w + nr_words) * 64)
		info->fresh = (uint16_t)((w + nr_words) * 64);
	return true;
}

/* Two adjacent free blocks, the first one even: the least such pair. */
static bool find_pair(const struct tmm_pages *pages, const struct block_set *set,
                      uint64_t *out_block)
{
	for (uint64_t w = 0; w < (nr_blocks(pages) + 63) / 64; w++) {
		uint64_t pairs = runs_in_word(set->level[0][w], 1);

		if (pairs) {
			*out_block = w * 64 + (uint64_t)__builtin_ctzll(pairs);
			return true;
		}
	}
	return false;
}

static void lend_block(struct tmm_pages *pages, struct zone *zone, uint64_t block)
	TMM_REQUIRES(zone->lock)
{
	words_set(pages->bits[block].word, BLOCK_WORDS, 0);
	pages->info[block].nr_free = 0;
	pages->info[block].fresh = BLOCK_FRAMES;
	count_free(zone, zone->nr_free - BLOCK_FRAMES);
	file_block(pages, zone, block, 0);
}

static bool take_pair(struct tmm_pages *pages, struct zone *zone, uint32_t *out)
	TMM_REQUIRES(zone->lock)
{
	uint64_t block;

	if (!find_pair(pages, &zone->by_longest[LONGEST_WHOLE], &block))
		return false;
	*out = (uint32_t)block_base(pages, block);
	if (!pages->info[block].fresh && !pages->info[block + 1].fresh)
		*out |= ENTRY_FRESH;
	lend_block(pages, zone, block);
	lend_block(pages, zone, block + 1);
	return true;
}

/* The least whole block. */
static bool take_block(struct tmm_pages *pages, struct zone *zone, uint32_t *out)
	TMM_REQUIRES(zone->lock)
{
	const struct block_set *whole = &zone->by_longest[LONGEST_WHOLE];
	uint64_t block;

	if (block_set_empty(whole))
		return false;
	block = block_set_first(whole);
	*out = (uint32_t)block_base(pages, block) |
	       (pages->info[block].fresh ? 0 : ENTRY_FRESH);
	lend_block(pages, zone, block);
	return true;
}

bool zone_take_long(struct tmm_pages *pages, struct zone *zone, unsigned order, uint32_t *out)
{
	uint64_t block;
	bool took = false;

	if (order == TMM_MAX_ORDER)
		return take_pair(pages, zone, out);
	if (order == BLOCK_ORDER)
		return take_block(pages, zone, out);
	while (!took && find_block(zone, order, &block)) {
		took = take_words(pages, block, order, out);
		block_shrinks(pages, zone, block, order, took);
	}
	return took;
}

/* The word has become longer runs than its block is filed for. */
static NOINLINE void raise_longest(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                                   uint64_t word) TMM_REQUIRES(zone->lock)
{
	unsigned longest = pages->info[block].longest;

	while (longest <= WORD_ORDER && runs_in_word(word, longest))
		longest++;
	if (longest > WORD_ORDER) {
		unsigned whole = whole_words(&pages->bits[block]);

		while (longest <= BLOCK_ORDER && runs_of_words(whole, longest))
			longest++;
	}
	file_block(pages, zone, block, longest);
}

/*
 * Set mask in pfn's word: nr frames.  one_run: they are one aligned run that pfn is
 * in, and only the group around it can have become whole; else look everywhere.
 */
static ALWAYS_INLINE void give_bits(struct tmm_pages *pages, struct zone *zone, uint64_t pfn,
                                    uint64_t mask, unsigned nr, bool one_run)
	TMM_REQUIRES(zone->lock)
{
	uint64_t block = block_of(pages, pfn);
	struct block_info *info = &pages->info[block];
	uint64_t *word = word_of(pages, pfn);
	uint64_t after = *word | mask;
	bool longer;

	if (unlikely(*word & mask))
		tmm_port_panic(__FILE__, __LINE__, FREED_TWICE);
	word_set(word, after);
	info->nr_free = (uint16_t)(info->nr_free + nr);
	count_free(zone, zone->nr_free + nr);
	if (info->longest > WORD_ORDER) {
		longer = after == UINT64_MAX;
	} else if (one_run) {
		uint64_t group = run_mask(info->longest)
		                 << align_down(pfn % 64, UINT64_C(1) << info->longest);

		longer = (after & group) == group;
	} else {
		longer = runs_in_word(after, info->longest) != 0;
	}
	if (longer)
		raise_longest(pages, zone, block, after);
}

void zone_give_mask(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, uint64_t mask)
{
	if (is_power_of_two(mask))
		give_bits(pages, zone, pfn + (uint64_t)__builtin_ctzll(mask), mask, 1, true);
	else
		give_bits(pages, zone, pfn, mask, count_ones(mask), false);
}

static void give_block(struct tmm_pages *pages, struct zone *zone, uint64_t block)
	TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];

	if (unlikely(info->nr_free))
		tmm_port_panic(__FILE__, __LINE__, FREED_TWICE);
	words_set(pages->bits[block].word, BLOCK_WORDS, UINT64_MAX);
	info->nr_free = BLOCK_FRAMES;
	count_free(zone, zone->nr_free + BLOCK_FRAMES);
	file_block(pages, zone, block, LONGEST_WHOLE);
}

void zone_give(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, unsigned order)
{
	if (order <= WORD_ORDER) {
		give_bits(pages, zone, pfn, run_mask(order) << (pfn % 64), 1u << order, true);
	} else if (order < BLOCK_ORDER) {
		for (unsigned w = 0; w < 1u << (order - WORD_ORDER); w++)
			give_bits(pages, zone, pfn + w * 64, UINT64_MAX, 64, true);
	} else {
		for (unsigned b = 0; b < 1u << (order - BLOCK_ORDER); b++)
			give_block(pages, zone, block_of(pages, pfn) + b);
	}
}
