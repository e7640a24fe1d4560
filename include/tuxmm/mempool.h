/*
 * mempool.h - allocation that never fails where it may wait
 *
 * A pool keeps min_nr elements in reserve for when there is no memory.  Whoever may
 * sleep waits for an element that somebody else gives back, so progress needs only
 * that lent elements come back in the end.  Who waits leaves its CPU meanwhile, and
 * goes on on any that is free.
 *
 * Owning   an element is its borrower's until tmm_mempool_free()
 * Locks    rank MEMPOOL, not held while memory is asked for; any context, sleeps
 *          only where gfp has TMM_GFP_DIRECT_RECLAIM
 * Linux    mempool_create(), mempool_alloc(), mempool_resize()
 */
#ifndef TUXMM_MEMPOOL_H
#define TUXMM_MEMPOOL_H

#include <tuxmm/slab.h>

struct tmm_mempool; /* fields: core/slab/mempool.c */

/* Where elements come from: the first of these that is not 0. */
struct tmm_mempool_spec {
	size_t min_nr;           /* elements in reserve, at least 1 */
	struct tmm_cache *cache; /* objects of a cache */
	size_t size_bytes;       /* kmalloc() of so many bytes */
	unsigned order;          /* runs of 2^order frames, by their address */

	/*
	 * Before all of these, unless alloc is NULL: the caller's own functions.  alloc
	 * answers NULL when memory is short, and waits for it only with
	 * TMM_GFP_DIRECT_RECLAIM.  Called without locks.
	 */
	void *(*alloc)(tmm_gfp gfp, void *arg);
	void (*free)(void *element, void *arg);
	void *arg;
};

/*
 *   TMM_OK       *out_pool, its reserve filled
 *   TMM_E_INVAL  min_nr is 0 or too large, size_bytes or order is, or one of alloc and
 *                free is missing
 *   TMM_E_NOMEM
 */
TMM_MUST_CHECK tmm_err tmm_mempool_create(struct tmm_slab_system *slabs,
                                          const struct tmm_mempool_spec *spec,
                                          struct tmm_mempool **out_pool);

/* The reserve must be whole (asserted), as it is when every element is back. */
void tmm_mempool_destroy(struct tmm_mempool *pool);

/*
 * An element: from memory, else from the reserve, else waits for one.  NULL only
 * without TMM_GFP_DIRECT_RECLAIM.  TMM_GFP_ZERO panics: the reserve is as it is.
 */
void *tmm_mempool_alloc(struct tmm_mempool *pool, tmm_gfp gfp);

/* NULL is ignored.  Fills the reserve first; beyond that memory goes back. */
void tmm_mempool_free(struct tmm_mempool *pool, void *element);

/*
 * Keep min_nr elements from now on; what the reserve lacks is taken at once.
 *   TMM_OK
 *   TMM_E_INVAL  min_nr is 0 or too large
 *   TMM_E_NOMEM  nothing has changed
 * One resize at a time.
 */
TMM_MUST_CHECK tmm_err tmm_mempool_resize(struct tmm_mempool *pool, size_t min_nr);

/* Elements in reserve; a moment's value. */
size_t tmm_mempool_reserve(const struct tmm_mempool *pool);

#endif
