/*
 * slob.h - the allocator for machines with little memory, in place of slabs
 */
#ifndef TUXMM_SLAB_SLOB_H
#define TUXMM_SLAB_SLOB_H

#include "slab/slab_system.h"

/* Can such a block lie in a page with others?  If not, it is a run of frames of its own. */
bool slob_fits(size_t size_bytes, size_t align_bytes);

/*
 * A block for which that is so, or NULL when memory is short; contents are not
 * cleared.  `align_bytes` is a power of two.  Unless `node` is TMM_NODE_ANY, from a page
 * that is there or a new one.
 */
void *slob_alloc(struct tmm_slab_system *slabs, size_t size_bytes, size_t align_bytes,
                 tmm_gfp gfp, uint32_t node);

/*
 * Give a block back.  size_bytes: what it was lent with, 0: unknown.  Panics where
 * that is not so, or the address is not one that is lent.
 */
void slob_free(struct tmm_slab_system *slabs, void *object, size_t size_bytes);

/* What the borrower of the block may use. */
size_t slob_bytes(struct tmm_slab_system *slabs, const void *object);

/* From an address in any block of such a page to the block's end; 0: it is in none. */
size_t slob_room(struct tmm_slab_system *slabs, const void *address);

/* Frames that blocks lie in. */
uint64_t slob_pages(struct slob *slob);

/* tmm_cache_alloc_node() and tmm_cache_free(). */
void *slob_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node);
void slob_cache_free(struct tmm_cache *cache, void *object);

void slob_init(struct slob *slob);

/* Every block must be back (asserted). */
void slob_fini(struct slob *slob);

/* Panics unless the invariants of slob.c hold.  No CPU may be allocating. */
void slob_check(struct tmm_slab_system *slabs);

#endif
