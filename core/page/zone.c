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

static uint32_t entry_of(uint64_t base, unsigned index, unsigned fresh)
{
	return (uint32_t)(base + index) | (index >= fresh ? ENTRY_FRESH : 0);
}

static size_t take_in_words(struct block_bits *bits, struct block_info *info, uint64_t base,
                            unsigned order, size_t want, uint32_t *out)
{
	unsigned fresh = info->fresh, end = 0;
	size_t got = 0;

	for (unsigned w = 0; w < BLOCK_WORDS && got < want; w++) {
		uint64_t word = bits->word[w];
		uint64_t runs = runs_in_word(word, order);

		for (; runs && got < want; runs &= runs - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(runs);

			word &= ~(run_mask(order) << bit);
			out[got++] = entry_of(base, w * 64 + bit, fresh);
			end = w * 64 + bit + (1u << order);
		}
		bits->word[w] = word;
	}
	if (end > fresh)
		info->fresh = (uint16_t)end;
	return got;
}

static size_t take_words(struct block_bits *bits, struct block_info *info, uint64_t base,
                         unsigned order, size_t want, uint32_t *out)
{
	unsigned fresh = info->fresh, end = 0;
	unsigned nr_words = 1u << (order - WORD_ORDER);
	size_t got = 0;

	for (unsigned runs = runs_of_words(whole_words(bits), order); runs && got < want;
	     runs &= runs - 1) {
		unsigned w = (unsigned)__builtin_ctz(runs);

		memset(&bits->word[w], 0, nr_words * sizeof(bits->word[0]));
		out[got++] = entry_of(base, w * 64, fresh);
		end = (w + nr_words) * 64;
	}
	if (end > fresh)
		info->fresh = (uint16_t)end;
	return got;
}

static uint64_t block_base(const struct tmm_pages *pages, uint64_t block)
{
	return (pages->first_block + block) << BLOCK_ORDER;
}

static size_t take_from_block(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                              unsigned order, size_t want, uint32_t *out)
	TMM_REQUIRES(zone->lock)
{
	struct block_bits *bits = &pages->bits[block];
	struct block_info *info = &pages->info[block];
	uint64_t base = block_base(pages, block);
	size_t got = order <= WORD_ORDER ? take_in_words(bits, info, base, order, want, out)
	                                 : take_words(bits, info, base, order, want, out);

	info->nr_free = (uint16_t)(info->nr_free - (got << order));
	count_free(zone, zone->nr_free - (got << order));
	if (info->nr_free == 0)
		file_block(pages, zone, block, 0);
	else if (got == 0)
		file_block(pages, zone, block, block_longest(bits));
	else if (info->longest == LONGEST_WHOLE)
		file_block(pages, zone, block, LONGEST_WHOLE - 1);
	return got;
}

/* Two adjacent free blocks, the first one even: the least such pair. */
static bool find_pair(const struct tmm_pages *pages, const struct block_set *set,
                      uint64_t *out_block)
{
	for (uint64_t w = 0; w < (pages->nr_blocks + 63) / 64; w++) {
		uint64_t pairs = runs_in_word(set->level[0][w], 1);

		if (pairs) {
			*out_block = w * 64 + (uint64_t)__builtin_ctzll(pairs);
			return true;
		}
	}
	return false;
}

static bool take_pair(struct tmm_pages *pages, struct zone *zone, uint32_t *out)
	TMM_REQUIRES(zone->lock)
{
	uint64_t block;
	uint32_t fresh = ENTRY_FRESH;

	if (!find_pair(pages, &zone->by_longest[LONGEST_WHOLE], &block))
		return false;
	*out = (uint32_t)block_base(pages, block);
	for (uint64_t b = block; b < block + 2; b++) {
		if (pages->info[b].fresh)
			fresh = 0;
		memset(&pages->bits[b], 0, sizeof(pages->bits[b]));
		pages->info[b].nr_free = 0;
		pages->info[b].fresh = BLOCK_FRAMES;
		file_block(pages, zone, b, 0);
	}
	*out |= fresh;
	count_free(zone, zone->nr_free - (1u << TMM_MAX_ORDER));
	return true;
}

size_t zone_take(struct tmm_pages *pages, struct zone *zone, unsigned order, size_t want,
                 uint32_t *out)
{
	size_t got = 0;

	while (got < want) {
		unsigned filed = order <= BLOCK_ORDER ? zone->longest_mask >> (order + 1) : 0;
		uint64_t block;

		if (order == TMM_MAX_ORDER && take_pair(pages, zone, out + got)) {
			got++;
			continue;
		}
		if (!filed)
			break;
		filed = order + 1 + (unsigned)__builtin_ctz(filed);
		block = block_set_first(&zone->by_longest[filed]);
		got += take_from_block(pages, zone, block, order, want - got, out + got);
	}
	return got;
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

/* `run` is a bit of the only run in mask, or mask is several and any may be longer now. */
static ALWAYS_INLINE void give_bits(struct tmm_pages *pages, struct zone *zone, uint64_t pfn,
                                    uint64_t mask, unsigned nr, bool one_run)
	TMM_REQUIRES(zone->lock)
{
	uint64_t block = (pfn >> BLOCK_ORDER) - pages->first_block;
	struct block_info *info = &pages->info[block];
	uint64_t *word = &pages->bits[block].word[pfn / 64 % BLOCK_WORDS];
	uint64_t after = *word | mask;
	bool longer;

	if (unlikely(*word & mask))
		tmm_port_panic(__FILE__, __LINE__, "a freed frame is lent; this one is free");
	*word = after;
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

void zone_give(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, unsigned order)
{
	if (order <= WORD_ORDER) {
		give_bits(pages, zone, pfn, run_mask(order) << (pfn % 64), 1u << order, true);
		return;
	}
	for (uint64_t word = pfn; word < pfn + (UINT64_C(1) << order); word += 64)
		give_bits(pages, zone, word, UINT64_MAX, 64, true);
}
