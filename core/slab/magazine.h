/*
 * magazine.h - objects at hand on each CPU: what magazine.c and depot.c share
 */
#ifndef TUXMM_SLAB_MAGAZINE_H
#define TUXMM_SLAB_MAGAZINE_H

#include "base/cpu.h"

#define MAGAZINE_MAX 64u /* objects: a refill is a whole slab of 64 bytes each */
#define DEPOT_MAX    8u  /* full magazines, unless tuned */

/*
 * Objects that are out of their slabs, and for each the byte that says whether it is
 * lent.  Two arrays, so that many objects are copied at a time.  Guarded by being the
 * CPU it is with, or by the depot's lock.  (a) atomic
 */
struct magazine {
	struct magazine *next; /* in the depot */
	uint64_t stamp; /* what lies behind the last object is of this time: magazine.c */
	uint32_t nr;    /* (a) objects, while it is not loaded */
	uint32_t limit; /* room, at most MAGAZINE_MAX */
	void *object[MAGAZINE_MAX];
	uint8_t *lent[MAGAZINE_MAX];
};

/* The object that went through the CPU last: in the hand, or lent and remembered. */
struct hand {
	void *object;
	uint8_t *lent;
	uint64_t stamp; /* that this byte is the object's was true at that time */
	uint32_t full;  /* (a) the object is in the hand */
};

/*
 * Of one CPU, and changed in its sections (base/cpu.h) alone; a magazine comes or
 * goes under the depot's lock.  `loaded` is said by `bottom`, its first place.
 */
struct cpu_slot {
	void **top;                /* (a) behind the last object of the loaded magazine */
	void **bottom;             /* (a) NULL: no magazines */
	void **end;                /* where it is full */
	struct magazine *previous; /* (a) not NULL when there are magazines */
	struct hand hand;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct cpu_slot) == 64, "a CPU's slot is one cache line");

/* Of one node. */
struct depot {
	struct lock lock;
	struct magazine *full;  /* (d) lock */
	struct magazine *empty; /* (d) */
	uint32_t nr_full;       /* (d) */
};

/* relaxed, here and below: others only count objects */
static ALWAYS_INLINE void set_top(struct cpu_slot *slot, void **top)
{
	__atomic_store_n(&slot->top, top, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void set_hand_full(struct cpu_slot *slot, uint32_t full)
{
	__atomic_store_n(&slot->hand.full, full, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void set_lent(uint8_t *lent, uint8_t value)
{
	__atomic_store_n(lent, value, __ATOMIC_RELAXED);
}

/* Where the byte of the object at that place of a magazine is. */
static ALWAYS_INLINE uint8_t **lent_at(void **place)
{
	return (uint8_t **)(void *)(place + MAGAZINE_MAX);
}

_Static_assert(offsetof(struct magazine, lent) - offsetof(struct magazine, object) ==
                       MAGAZINE_MAX * sizeof(void *),
               "lent_at() goes from one array to the other");

#endif
