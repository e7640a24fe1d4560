/*
 * magazine.h - objects at hand on each CPU: what magazine.c and depot.c share
 */
#ifndef TUXMM_SLAB_MAGAZINE_H
#define TUXMM_SLAB_MAGAZINE_H

#include <tuxmm/slab_inline.h>

#include "base/cpu.h"

#define MAGAZINE_MAX TMM_MAGAZINE_MOST /* a refill is a whole slab of 64 bytes each */
#define DEPOT_MAX    8u                /* full magazines, unless tuned */

_Static_assert(sizeof(struct tmm_slot) == 64, "a CPU's slot is one cache line");

/*
 * Objects that are out of their slabs, and for each the byte that says whether it is
 * lent.  Two arrays, so that many objects are copied at a time.  Guarded by being the
 * CPU it is with, or by the depot's lock.  (a) atomic
 */
struct tmm_magazine {
	struct tmm_magazine *next; /* in the depot */
	uint64_t stamp; /* what lies behind the last object is of this time: magazine.c */
	uint32_t nr;    /* (a) objects, while it is not loaded */
	uint32_t limit; /* room, at most MAGAZINE_MAX */
	void *object[MAGAZINE_MAX];
	uint8_t *lent[MAGAZINE_MAX];
};

/* Of one node. */
struct depot {
	struct lock lock;
	struct tmm_magazine *full;  /* (d) lock */
	struct tmm_magazine *empty; /* (d) */
	uint32_t nr_full;           /* (d) */
};

/* relaxed, here and below: others only count objects */
static ALWAYS_INLINE void set_top(struct tmm_slot *slot, void **top)
{
	__atomic_store_n(&slot->top, top, __ATOMIC_RELAXED);
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

_Static_assert(offsetof(struct tmm_magazine, lent) - offsetof(struct tmm_magazine, object) ==
                       MAGAZINE_MAX * sizeof(void *),
               "lent_at() goes from one array to the other");

#endif
