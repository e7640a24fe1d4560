/*
 * block.h - 2 MiB of frames as one cache line of bits
 *
 * A set bit is a frame that lies free in its zone.  Buddies merge in the bits:
 * a free run of 2^k frames is an aligned group of 2^k set bits, and nothing else
 * records it.
 */
#ifndef TUXMM_PAGE_BLOCK_H
#define TUXMM_PAGE_BLOCK_H

#include <tuxmm/migrate.h>

#include "base/base.h"

#define BLOCK_ORDER  TMM_BLOCK_ORDER
#define BLOCK_FRAMES TMM_BLOCK_PAGES
#define BLOCK_WORDS  (BLOCK_FRAMES / 64)
#define WORD_ORDER   6u /* longest run inside one word */
#define ALL_WORDS    ((1u << BLOCK_WORDS) - 1)

struct block_bits {
	uint64_t word[BLOCK_WORDS];
} __attribute__((aligned(64)));

/*
 * home: 1 + index of the zone, and above that what is odd about the block.  0: the
 * block was not entered (deferred.h), or is in no zone.
 */
#define HOME_ZONE   0x3fu
#define HOME_MIXED  0x40u /* the zone manages some of its frames only: managed_* */
#define HOME_NO_RAM 0x80u /* some frame of it is not memory */

/* (c) constant after init  (z) the zone's lock  (a) readable without it, relaxed */
struct block_info {
	uint16_t nr_free; /* (z) set bits */
	uint16_t fresh;   /* (z, a) frames of the block from here on were never lent */
	uint8_t longest;  /* (z) 1 + order of the longest free run or more, 0: none */
	uint8_t home;     /* (z, a) changes when the block is entered, or its section goes */

	/* (c) of a mixed block whose managed frames adjoin; otherwise no frames */
	uint16_t managed_start;
	uint16_t nr_managed;

	uint8_t type;       /* (z, a) enum tmm_migrate_type: what is lent from here */
	uint16_t nr_marked; /* (z, a) frames of compound runs, and charged ones: compound.c */
} __attribute__((aligned(16)));

#define STACK_ODD 0x8000u /* look at `home` first */

/* Kept for each block: bits, facts, and the number of a stack. */
#define BLOCK_BYTES   (sizeof(struct block_bits) + sizeof(struct block_info) + sizeof(uint16_t))

#define LONGEST_WHOLE (BLOCK_ORDER + 1)

/* relaxed: of a block that frames are lent from, it stays; of others, a moment's value */
static ALWAYS_INLINE uint8_t block_home(const struct block_info *info)
{
	return __atomic_load_n(&info->home, __ATOMIC_RELAXED);
}

/* Index of the block's zone; more than any where it has none. */
static ALWAYS_INLINE unsigned home_zone(const struct block_info *info)
{
	return (block_home(info) & HOME_ZONE) - 1u;
}

/* relaxed: with the zone's lock it is the type, without it a moment's value */
static inline unsigned block_type(const struct block_info *info)
{
	return __atomic_load_n(&info->type, __ATOMIC_RELAXED);
}

/*
 * fresh only rises while the zone lives, so that a reader without the lock sees at
 * least what held when its frame was lent.  Relaxed: the hand-over of the frame
 * itself orders the two.
 */
static ALWAYS_INLINE unsigned fresh_from(const struct block_info *info)
{
	return __atomic_load_n(&info->fresh, __ATOMIC_RELAXED);
}

/* Frames below `end` are lent, or were. */
static ALWAYS_INLINE void fresh_raise(struct block_info *info, unsigned end)
{
	if (end > info->fresh)
		__atomic_store_n(&info->fresh, (uint16_t)end, __ATOMIC_RELAXED);
}

/* Where runs of an order may start in a word. */
static ALWAYS_INLINE uint64_t run_starts(unsigned order)
{
	static const uint64_t starts[WORD_ORDER + 1] = {
		UINT64_MAX,
		UINT64_C(0x5555555555555555),
		UINT64_C(0x1111111111111111),
		UINT64_C(0x0101010101010101),
		UINT64_C(0x0001000100010001),
		UINT64_C(0x0000000100000001),
		1,
	};

	return starts[order];
}

/* The bits of one run at the bottom of a word; order <= WORD_ORDER. */
static ALWAYS_INLINE uint64_t run_mask(unsigned order)
{
	return UINT64_MAX >> (64 - (1u << order));
}

/* The first bit of each aligned free run of 2^order; order <= WORD_ORDER. */
static ALWAYS_INLINE uint64_t runs_in_word(uint64_t word, unsigned order)
{
	for (unsigned o = 0; o < order; o++)
		word &= word >> (1u << o);
	return word & run_starts(order);
}

/* One bit for each word that is free as a whole. */
static inline unsigned whole_words(const struct block_bits *bits)
{
	unsigned whole = 0;

	for (unsigned w = 0; w < BLOCK_WORDS; w++)
		whole |= (unsigned)(bits->word[w] == UINT64_MAX) << w;
	return whole;
}

/* Runs longer than a word, as first words; WORD_ORDER <= order <= BLOCK_ORDER. */
static inline unsigned runs_of_words(unsigned whole, unsigned order)
{
	return (unsigned)runs_in_word(whole, order - WORD_ORDER);
}

/* relaxed: whoever frees a frame looks at its bit without the lock, at that bit alone */
static ALWAYS_INLINE void word_set(uint64_t *word, uint64_t bits)
{
	__atomic_store_n(word, bits, __ATOMIC_RELAXED);
}

static inline void words_set(uint64_t *word, unsigned nr, uint64_t bits)
{
	for (unsigned i = 0; i < nr; i++)
		word_set(&word[i], bits);
}

static inline unsigned count_ones(uint64_t x)
{
	x -= (x >> 1) & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned)((x * UINT64_C(0x0101010101010101)) >> 56);
}

/* 1 + order of the longest free run, exactly; 0 for none. */
unsigned block_longest(const struct block_bits *bits);

#endif
