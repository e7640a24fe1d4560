/*
 * block_set.h - a set of block numbers whose least member is found at once
 *
 * Bits over bits: a bit of level n + 1 says that a word of level n is not 0.
 */
#ifndef TUXMM_PAGE_BLOCK_SET_H
#define TUXMM_PAGE_BLOCK_SET_H

#include "base/base.h"

#define BLOCK_SET_LEVELS 4u /* 64^4 blocks: more than frame numbers reach */

struct block_set {
	uint64_t *level[BLOCK_SET_LEVELS];
	unsigned top; /* the level that is one word */
};

/* Words that a set of numbers below nr takes. */
static inline uint64_t block_set_words(uint64_t nr)
{
	uint64_t words = 0;

	do {
		nr = (nr + 63) / 64;
		words += nr;
	} while (nr > 1);
	return words;
}

/* words: zeroes. */
static inline void block_set_init(struct block_set *set, uint64_t *words, uint64_t nr)
{
	unsigned level = 0;

	for (;; level++) {
		nr = (nr + 63) / 64;
		set->level[level] = words;
		words += nr;
		if (nr <= 1)
			break;
	}
	set->top = level;
}

static inline bool block_set_has(const struct block_set *set, uint64_t block)
{
	return set->level[0][block / 64] >> (block % 64) & 1;
}

static inline bool block_set_empty(const struct block_set *set)
{
	return set->level[set->top][0] == 0;
}

static inline void block_set_add(struct block_set *set, uint64_t block)
{
	for (unsigned level = 0; level <= set->top; level++, block /= 64) {
		uint64_t before = set->level[level][block / 64];

		set->level[level][block / 64] = before | UINT64_C(1) << (block % 64);
		if (before)
			break;
	}
}

static inline void block_set_del(struct block_set *set, uint64_t block)
{
	for (unsigned level = 0; level <= set->top; level++, block /= 64) {
		uint64_t after = set->level[level][block / 64] & ~(UINT64_C(1) << (block % 64));

		set->level[level][block / 64] = after;
		if (after)
			break;
	}
}

/* Take away those of the 64 numbers from `word` * 64 on that are set in `bits`. */
static inline void block_set_del_many(struct block_set *set, uint64_t word, uint64_t bits)
{
	set->level[0][word] &= ~bits;
	for (unsigned level = 1; level <= set->top && !set->level[level - 1][word]; level++) {
		set->level[level][word / 64] &= ~(UINT64_C(1) << (word % 64));
		word /= 64;
	}
}

/* The least member; the set is not empty. */
static inline uint64_t block_set_first(const struct block_set *set)
{
	uint64_t block = 0;

	for (unsigned level = set->top + 1; level-- > 0;)
		block = block * 64 + (uint64_t)__builtin_ctzll(set->level[level][block]);
	return block;
}

#endif
