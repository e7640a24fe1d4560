/*
 * block_set.h - a set of block numbers whose least member is found at once
 *
 * Bits over bits: a bit of level n + 1 says that a word of level n is not 0.
 */
#ifndef TUXMM_PAGE_BLOCK_SET_H
#define TUXMM_PAGE_BLOCK_SET_H

#include "base/base.h"

#define BLOCK_SET_LEVELS 4u /* 64^4 blocks: more than frame numbers reach */

/*
 * Words of level 0 lie `stride` apart, so that those of several sets for the same blocks
 * can lie in the same lines, and those for other blocks in others.
 */
struct block_set {
	uint64_t *level[BLOCK_SET_LEVELS];
	uint64_t nr_words; /* of level 0 */
	uint32_t stride;
	uint32_t top; /* the level that is one word */
};

/* Of level 0: the numbers from word * 64 on. */
static ALWAYS_INLINE uint64_t *block_set_word(const struct block_set *set, uint64_t word)
{
	return &set->level[0][word * set->stride];
}

/* Of any level. */
static ALWAYS_INLINE uint64_t *block_set_word_of(const struct block_set *set, unsigned level,
                                                 uint64_t word)
{
	return level == 0 ? block_set_word(set, word) : &set->level[level][word];
}

/* Words that a set of numbers below nr takes, on all levels. */
static inline uint64_t block_set_words(uint64_t nr)
{
	uint64_t words = 0;

	do {
		nr = (nr + 63) / 64;
		words += nr;
	} while (nr > 1);
	return words;
}

/* lowest: of level 0, as many strides as it has words; upper: of all others.  Zeroes. */
static inline void block_set_init(struct block_set *set, uint64_t *lowest, uint32_t stride,
                                  uint64_t *upper, uint64_t nr)
{
	nr = (nr + 63) / 64;
	*set = (struct block_set){.level = {lowest}, .nr_words = nr, .stride = stride};
	while (nr > 1) {
		nr = (nr + 63) / 64;
		set->level[++set->top] = upper;
		upper += nr;
	}
}

static inline bool block_set_has(const struct block_set *set, uint64_t block)
{
	return *block_set_word(set, block / 64) >> (block % 64) & 1;
}

static inline bool block_set_empty(const struct block_set *set)
{
	return *set->level[set->top] == 0;
}

static inline void block_set_add(struct block_set *set, uint64_t block)
{
	for (unsigned level = 0; level <= set->top; level++, block /= 64) {
		uint64_t *word = block_set_word_of(set, level, block / 64), before = *word;

		*word = before | UINT64_C(1) << (block % 64);
		if (before)
			break;
	}
}

static inline void block_set_del(struct block_set *set, uint64_t block)
{
	for (unsigned level = 0; level <= set->top; level++, block /= 64) {
		uint64_t *word = block_set_word_of(set, level, block / 64);
		uint64_t after = *word & ~(UINT64_C(1) << (block % 64));

		*word = after;
		if (after)
			break;
	}
}

/* Take away those of the 64 numbers from `word` * 64 on that are set in `bits`. */
static inline void block_set_del_many(struct block_set *set, uint64_t word, uint64_t bits)
{
	bool gone;

	*block_set_word(set, word) &= ~bits;
	gone = *block_set_word(set, word) == 0;
	for (unsigned level = 1; level <= set->top && gone; level++, word /= 64) {
		set->level[level][word / 64] &= ~(UINT64_C(1) << (word % 64));
		gone = set->level[level][word / 64] == 0;
	}
}

/* The least member; the set is not empty. */
static inline uint64_t block_set_first(const struct block_set *set)
{
	uint64_t block = 0;

	for (unsigned level = set->top + 1; level-- > 0;)
		block = block * 64 +
		        (uint64_t)__builtin_ctzll(*block_set_word_of(set, level, block));
	return block;
}

/* The least member that is `from` or more; false: there is none. */
static inline bool block_set_next(const struct block_set *set, uint64_t from,
                                  uint64_t *out_block)
{
	uint64_t nr_words = set->nr_words;

	for (unsigned level = 0; level <= set->top && from / 64 < nr_words; level++) {
		uint64_t bits = *block_set_word_of(set, level, from / 64) &
		                UINT64_MAX << (from % 64);

		if (!bits) {
			from = from / 64 + 1;
			nr_words = (nr_words + 63) / 64;
			continue;
		}
		from = align_down(from, 64) + (uint64_t)__builtin_ctzll(bits);
		while (level-- > 0)
			from = from * 64 +
			       (uint64_t)__builtin_ctzll(*block_set_word_of(set, level, from));
		*out_block = from;
		return true;
	}
	return false;
}

#endif
