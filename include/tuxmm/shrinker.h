/*
 * shrinker.h - owners of objects that can be made anew give them back
 *
 * A shrinker says how many objects its owner could free, and frees some when it is
 * asked to: when memory is short and no page of a file is left to give, or when
 * everything is to be dropped.  Slabs that this empties go back to the page
 * allocator.
 *
 * Units    objects, whatever they are to the owner
 * Owning   the struct is the owner's, and the registry's until it is unregistered
 * Locks    the registry has rank SLAB, and is not held while a shrinker runs.  The
 *          caller of an allocation that may sleep can hold locks of ranks below
 *          TMM_FIRST_SPIN_RANK: a shrinker takes none of these
 * Linux    struct shrinker, shrink_slab(), drop_slab()
 */
#ifndef TUXMM_SHRINKER_H
#define TUXMM_SHRINKER_H

#include <tuxmm/slab.h>

struct tmm_shrinker {
	/* How many objects could be freed now; a guess will do, 0: do not call scan. */
	uint64_t (*count)(void *arg, tmm_gfp gfp);

	/* Look at up to nr objects, free what can be; returns how many were freed. */
	uint64_t (*scan)(void *arg, tmm_gfp gfp, uint64_t nr);

	void *arg;

	/* The registry's: */
	struct tmm_shrinker *next;
	uint32_t nr_running;
};

void tmm_shrinker_register(struct tmm_slab_system *slabs, struct tmm_shrinker *shrinker);

/* Waits until the shrinker does not run.  One that is not registered: panics. */
void tmm_shrinker_unregister(struct tmm_slab_system *slabs, struct tmm_shrinker *shrinker);

/*
 * Ask every shrinker for about nr objects, and again as long as that frees objects
 * but no slab; then give every empty slab back.  Returns the pages freed, 0: nothing
 * is left to free.
 */
uint64_t tmm_shrink_slab(struct tmm_slab_system *slabs, tmm_gfp gfp, uint64_t nr);

/* Free all that shrinkers can free (Linux: 2 > drop_caches); returns the pages freed. */
uint64_t tmm_drop_slab(struct tmm_slab_system *slabs);

#endif
