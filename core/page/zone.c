/*
 * zone.c - lending from a zone's blocks and taking back, with the lock held
 *
 * Blocks are filed by type and by `longest`, an upper bound of their longest free
 * run.  A request of order k goes to the least filing above k of its type (and of
 * others when that has none: mobility.c), and there to the lowest block, so that
 * long runs are not cut while short ones serve.  The bound is
 * made exact when a search in vain has shown it too high, and rises when frames
 * come back, by looking at no more than the aligned group that could have become
 * whole: each is a few instructions a frame, whatever the size of the zone.
 */
#include "page/debug.h"
#include "page/deferred.h"

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

static void file_del(struct zone *zone, uint64_t block, unsigned type, unsigned longest)
	TMM_REQUIRES(zone->lock)
{
	struct block_set *set = &zone->by_longest[type][longest];

	block_set_del(set, block);
	if (block_set_empty(set))
		zone->longest_mask[type] &= (uint16_t) ~(1u << longest);
}

static void file_block(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                       unsigned longest) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];
	unsigned type = info->type;

	if (info->longest == longest)
		return;
	if (info->longest && type < NR_FILED_TYPES)
		file_del(zone, block, type, info->longest);
	info->longest = (uint8_t)longest;
	if (longest && type < NR_FILED_TYPES) {
		block_set_add(&zone->by_longest[type][longest], block);
		zone->longest_mask[type] |= (uint16_t)(1u << longest);
	}
}

void zone_file_block(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                     unsigned longest)
{
	file_block(pages, zone, block, longest);
}

/* 2^order frames have left the block `nr` times; 0: it has no such run, search elsewhere. */
static void block_shrinks(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                          unsigned order, unsigned nr) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];

	info->nr_free = (uint16_t)(info->nr_free - (nr << order));
	zone_count(zone, info->type, -((uint64_t)nr << order));
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

	while (rest && nr-- > 0)
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
	fresh_raise(info, end);
	return nr;
}

/* Frames were lent to the source from a block that might have served another type. */
static inline void count_foreign(struct tmm_pages *pages, struct zone *zone,
                                 struct source source, uint64_t block, unsigned frames)
	TMM_REQUIRES(zone->lock)
{
	unsigned type = pages->info[block].type;

	if (type != source.type && type < STACK_TYPE_NONE)
		zone->nr_foreign += frames;
}

unsigned zone_take_word(struct tmm_pages *pages, struct zone *zone, struct source source,
                        unsigned order, unsigned want, struct taken *out)
{
	uint64_t block;
	unsigned nr = 0;

	zone_keep_ready(pages, zone);
	while (nr == 0 && zone_find_block(pages, zone, source, order, &block)) {
		nr = take_in_block(pages, block, order, want, out);
		block_shrinks(pages, zone, block, order, nr);
	}
	if (nr > 0)
		count_foreign(pages, zone, source, block, nr << order);
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
	fresh_raise(info, (w + nr_words) * 64);
	return true;
}

/* Blocks w * 64 .. w * 64 + 63 that are whole and of types that may serve. */
static uint64_t whole_in_word(const struct zone *zone, unsigned types, uint64_t w)
{
	uint64_t whole = 0;

	for (unsigned type = 0; type < NR_FILED_TYPES; type++)
		if (types >> type & 1)
			whole |= *block_set_word(&zone->by_longest[type][LONGEST_WHOLE], w);
	return whole;
}

/*
 * Adjacent whole blocks of types that may serve, 2^log of them from a multiple of
 * that on: the least such run.
 */
static bool find_blocks(const struct zone *zone, unsigned types, unsigned log,
                        uint64_t *out_block)
{
	uint64_t step = log > WORD_ORDER ? UINT64_C(1) << (log - WORD_ORDER) : 1;

	for (uint64_t w = 0; w + step <= zone->nr_set_words; w += step) {
		uint64_t whole = UINT64_MAX, runs;

		for (uint64_t i = 0; i < step && whole; i++)
			whole &= whole_in_word(zone, types, w + i);
		runs = runs_in_word(whole, log > WORD_ORDER ? WORD_ORDER : log);
		if (runs) {
			*out_block = w * 64 + (uint64_t)__builtin_ctzll(runs);
			return true;
		}
	}
	return false;
}

/* A whole block that is filed no more; returns its entry. */
static uint32_t lend_block(struct tmm_pages *pages, uint64_t block)
{
	struct block_info *info = &pages->info[block];
	uint32_t fresh = info->fresh ? 0 : ENTRY_FRESH;

	words_set(pages->bits[block].word, BLOCK_WORDS, 0);
	info->nr_free = 0;
	info->longest = 0;
	fresh_raise(info, BLOCK_FRAMES);
	return (uint32_t)block_base(pages, block) | fresh;
}

/* Of the 64 blocks from `word` * 64 on those in `bits`, all of which are whole. */
static unsigned lend_blocks(struct tmm_pages *pages, struct zone *zone, unsigned type,
                            uint64_t word, uint64_t bits, uint32_t *entry)
	TMM_REQUIRES(zone->lock)
{
	struct block_set *set = &zone->by_longest[type][LONGEST_WHOLE];
	unsigned nr = 0;

	block_set_del_many(set, word, bits);
	if (block_set_empty(set))
		zone->longest_mask[type] &= (uint16_t) ~(1u << LONGEST_WHOLE);
	for (; bits; bits &= bits - 1)
		entry[nr++] = lend_block(pages, word * 64 + (uint64_t)__builtin_ctzll(bits));
	zone_count(zone, type, -(uint64_t)nr * BLOCK_FRAMES);
	return nr;
}

/* order > BLOCK_ORDER */
static bool take_blocks(struct tmm_pages *pages, struct zone *zone, struct source source,
                        unsigned order, uint32_t *out) TMM_REQUIRES(zone->lock)
{
	unsigned log = order - BLOCK_ORDER;
	uint64_t block;
	uint32_t fresh = ENTRY_FRESH, entry;

	if (!find_blocks(zone, zone_whole_types(source), log, &block))
		return false;
	for (uint64_t b = block; b < block + (UINT64_C(1) << log); b++) {
		zone_claim_whole(pages, zone, b, source);
		lend_blocks(pages, zone, pages->info[b].type, b / 64, UINT64_C(1) << (b % 64),
		            &entry);
		fresh &= entry;
	}
	*out = (uint32_t)block_base(pages, block) | fresh;
	return true;
}

unsigned zone_take_whole(struct tmm_pages *pages, struct zone *zone, struct source source,
                         unsigned want, uint32_t *entry)
{
	unsigned nr = 0;

	while (nr < want) {
		uint64_t block, bits;
		unsigned type;

		zone_keep_ready(pages, zone);
		if (!zone_find_block(pages, zone, source, BLOCK_ORDER, &block))
			break;
		type = pages->info[block].type;
		bits = UINT64_C(1) << (block % 64);
		/* It was the lowest of its set, and what is above serves as well. */
		if (type == source.type)
			bits = lowest_bits(
				*block_set_word(&zone->by_longest[type][LONGEST_WHOLE],
			                        block / 64),
				want - nr);
		nr += lend_blocks(pages, zone, type, block / 64, bits, entry + nr);
	}
	return nr;
}

bool zone_take_long(struct tmm_pages *pages, struct zone *zone, struct source source,
                    unsigned order, uint32_t *out)
{
	uint64_t block;
	bool took = false;

	zone_keep_ready(pages, zone);
	if (order > BLOCK_ORDER) {
		do
			took = take_blocks(pages, zone, source, order, out);
		while (!took && zone_extend(pages, zone));
		return took;
	}
	if (order == BLOCK_ORDER)
		return zone_take_whole(pages, zone, source, 1, out) == 1;
	while (!took && zone_find_block(pages, zone, source, order, &block)) {
		took = take_words(pages, block, order, out);
		block_shrinks(pages, zone, block, order, took);
	}
	if (took)
		count_foreign(pages, zone, source, block, 1u << order);
	return took;
}

/* ---- for those who choose a block themselves ---- */

unsigned zone_take_frames(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                          unsigned want, struct taken *out)
{
	unsigned nr = take_in_block(pages, block, 0, want, out);

	block_shrinks(pages, zone, block, 0, nr);
	return nr;
}

void zone_take_range(struct tmm_pages *pages, struct zone *zone, uint64_t start, uint64_t end)
{
	for (uint64_t pfn = start, stop; pfn < end; pfn = stop) {
		uint64_t block = block_of(pages, pfn), index = pfn % BLOCK_FRAMES, mask;
		struct block_info *info = &pages->info[block];
		unsigned nr;

		stop = min_u64(end, align_down(pfn, 64) + 64);
		nr = (unsigned)(stop - pfn);
		mask = UINT64_MAX >> (64 - nr) << (pfn % 64);
		TMM_ASSERT((*word_of(pages, pfn) & mask) == mask);
		word_set(word_of(pages, pfn), *word_of(pages, pfn) & ~mask);
		info->nr_free = (uint16_t)(info->nr_free - nr);
		zone_count(zone, info->type, -(uint64_t)nr);
		fresh_raise(info, (unsigned)(index + nr));
		if (stop % BLOCK_FRAMES == 0 || stop == end)
			file_block(pages, zone, block, block_longest(&pages->bits[block]));
	}
}

bool zone_has_run(struct tmm_pages *pages, struct zone *zone, struct source source,
                  unsigned order)
{
	uint64_t block;

	if (order > BLOCK_ORDER)
		return find_blocks(zone, zone_whole_types(source), order - BLOCK_ORDER, &block);
	for (unsigned type = 0; type < NR_FILED_TYPES; type++) {
		if (!(zone_whole_types(source) >> type & 1))
			continue;
		/* Bounds may be too high: make them exact until one is not. */
		while (zone_find_of_type(zone, type, order, &block)) {
			unsigned exact = block_longest(&pages->bits[block]);

			if (exact > order)
				return true;
			file_block(pages, zone, block, exact);
		}
	}
	return false;
}

/* Who frees it now is not known: it lay on a CPU's stack meanwhile. */
_Noreturn static NOINLINE void freed_twice(struct tmm_pages *pages, uint64_t pfn)
{
	page_report(pages, pfn, 0, "a frame is freed once; this one is free in its zone", NULL);
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
 * A run of 2^longest that pfn is in, in its word: the only one of more than its block
 * is filed for that pfn's coming back can have made.  Of blocks filed for more than a
 * word it is all of the word, to look at the others.
 */
static ALWAYS_INLINE uint64_t longer_run(uint64_t pfn, unsigned longest)
{
	static const uint64_t run[LONGEST_WHOLE + 1] = {
		0x1,        0x3,        0xf,        0xff,       0xffff,     0xffffffff,
		UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	};
	static const uint8_t start[LONGEST_WHOLE + 1] = {63, 62, 60, 56, 48, 32};

	return run[longest] << (pfn & start[longest]);
}

/* The bits of nr frames in pfn's word become set. */
static ALWAYS_INLINE void set_bits(struct tmm_pages *pages, struct block_info *info,
                                   uint64_t pfn, uint64_t mask, unsigned nr)
{
	uint64_t *word = word_of(pages, pfn), before = *word;

	if (unlikely(before & mask))
		freed_twice(pages,
		            align_down(pfn, 64) + (unsigned)__builtin_ctzll(before & mask));
	word_set(word, before | mask);
	info->nr_free = (uint16_t)(info->nr_free + nr);
}

/* One aligned run that begins at pfn; counted by the caller. */
static ALWAYS_INLINE unsigned give_run(struct tmm_pages *pages, struct zone *zone, uint64_t pfn,
                                       unsigned order) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block_of(pages, pfn)];
	uint64_t longer = longer_run(pfn, info->longest);

	set_bits(pages, info, pfn, run_mask(order) << (pfn % 64), 1u << order);
	if (unlikely((*word_of(pages, pfn) & longer) == longer))
		raise_longest(pages, zone, block_of(pages, pfn), *word_of(pages, pfn));
	return info->type;
}

/* Any frames of pfn's word; counted by the caller. */
static unsigned give_mask(struct tmm_pages *pages, struct zone *zone, uint64_t pfn,
                          uint64_t mask, unsigned nr) TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block_of(pages, pfn)];
	unsigned longest = info->longest < WORD_ORDER ? info->longest : WORD_ORDER;

	set_bits(pages, info, pfn, mask, nr);
	if (runs_in_word(*word_of(pages, pfn), longest))
		raise_longest(pages, zone, block_of(pages, pfn), *word_of(pages, pfn));
	return info->type;
}

void zone_give_mask(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, uint64_t mask)
{
	unsigned nr = count_ones(mask);

	zone_count(zone, give_mask(pages, zone, pfn, mask, nr), nr);
}

/* Entries from the first on that are of its word; they go back together. */
static size_t give_word(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                        size_t nr, uint32_t *of_type) TMM_REQUIRES(zone->lock)
{
	uint64_t mask = 0;
	size_t i = 0;

	if (nr >= 64 && entries_are_word(entry)) {
		mask = UINT64_MAX;
		i = 64;
	}
	while (i < nr && mask != UINT64_MAX && ((entry[i] ^ entry[0]) & ENTRY_PFN) < 64) {
		uint64_t bit = UINT64_C(1) << (entry[i] % 64);

		if (unlikely(mask & bit))
			page_report(pages, entry[i] & ENTRY_PFN, 0,
			            "a frame is freed once; this one was freed twice", NULL);
		mask |= bit;
		i++;
	}
	of_type[give_mask(pages, zone, entry[0] & ENTRY_PFN, mask, (unsigned)i)] += (uint32_t)i;
	return i;
}

void zone_give_frames(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                      size_t nr)
{
	uint32_t of_type[TMM_NR_MIGRATE_TYPES] = {0};

	for (size_t i = 0; i < nr;) {
		if (i + 1 == nr || ((entry[i] ^ entry[i + 1]) & ENTRY_PFN) >= 64)
			of_type[give_run(pages, zone, entry[i++] & ENTRY_PFN, 0)]++;
		else
			i += give_word(pages, zone, entry + i, nr - i, of_type);
	}
	for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++)
		if (of_type[type])
			zone_count(zone, type, of_type[type]);
}

static uint64_t first_free(const struct tmm_pages *pages, uint64_t block)
{
	const struct block_bits *bits = &pages->bits[block];
	unsigned w = 0;

	while (bits->word[w] == 0)
		w++;
	return block_base(pages, block) + w * 64 + (unsigned)__builtin_ctzll(bits->word[w]);
}

static void give_block(struct tmm_pages *pages, struct zone *zone, uint64_t block)
	TMM_REQUIRES(zone->lock)
{
	struct block_info *info = &pages->info[block];

	if (unlikely(info->nr_free))
		freed_twice(pages, first_free(pages, block));
	words_set(pages->bits[block].word, BLOCK_WORDS, UINT64_MAX);
	info->nr_free = BLOCK_FRAMES;
	zone_count(zone, info->type, BLOCK_FRAMES);
	file_block(pages, zone, block, LONGEST_WHOLE);
}

void zone_give(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, unsigned order)
{
	if (order <= WORD_ORDER) {
		zone_count(zone, give_run(pages, zone, pfn, order), UINT64_C(1) << order);
	} else if (order < BLOCK_ORDER) {
		for (unsigned w = 0; w < 1u << (order - WORD_ORDER); w++)
			zone_count(zone, give_run(pages, zone, pfn + w * 64, WORD_ORDER), 64);
	} else {
		for (unsigned b = 0; b < 1u << (order - BLOCK_ORDER); b++)
			give_block(pages, zone, block_of(pages, pfn) + b);
	}
}
