/*
 * va_space.h - lending pieces of a window of addresses
 *
 * Knows addresses alone, not what is mapped there.  Lengths count pages, what the
 * borrower leaves unused as a guard among them.  A piece is known by its first
 * address, under which its borrower may leave a pointer.
 *
 * Locks    its own, rank VMAP; short VMAP; short pieces mostly come from the
 *          calling CPU's own store, without it
 */
#ifndef TUXMM_MAP_VA_SPACE_H
#define TUXMM_MAP_VA_SPACE_H

#include "base/cpu.h"
#include "base/list.h"
#include "base/range_tree.h"
#include "slab/slab_system.h"

/*
 * Classes of lengths that chunks serve; in a chunk all slots are of one.  Each length up
 * to VA_EXACT has its own, then come four to each doubling.
 */
#define VA_EXACT      32u  /* pages */
#define VA_MAX_SHORT  512u /* pages */
#define VA_NR_CLASSES (VA_EXACT + 16 + 1)

static inline uint32_t va_class(uint64_t nr_pages)
{
	uint32_t shift;

	if (likely(nr_pages <= VA_EXACT))
		return (uint32_t)nr_pages;
	shift = log2_floor(nr_pages - 1) - 2;
	return VA_EXACT + 4 * (shift - 3) + (uint32_t)((nr_pages - 1) >> shift) - 3;
}

/* Pages of its slots. */
static inline uint32_t va_class_pages(uint32_t class)
{
	uint32_t above = class - VA_EXACT - 1;

	return class <= VA_EXACT ? class : (5 + above % 4) << (3 + above / 4);
}

#define VA_STORE 31u /* slots of a class that a CPU keeps */

/* What the tree holds: chunks, and long pieces one by one. */
struct va_range {
	struct range range;
	bool is_chunk; /* (c) */
};

#define VA_CHUNK_WORDS 8u

/* (c) constant after init  (v) the space's lock  (b) by whoever has borrowed the slot */
struct va_chunk {
	struct va_range at;
	struct list link;              /* (v) on partial[], while it has a free slot */
	uint32_t class, slot_pages;    /* (c) */
	uint32_t nr_slots;             /* (c) */
	uint32_t reciprocal;           /* (c) 2^24 / slot_pages, rounded up */
	uint32_t nr_free;              /* (v) */
	uint64_t free[VA_CHUNK_WORDS]; /* (v) a bit for each slot */
	void *owner[];                 /* (b, a) [nr_slots] */
};

/* Guarded by being that CPU; (a) nr is read by the checker alone. */
struct va_store {
	uint64_t va[VA_STORE];
	uint64_t nr;
};

struct va_cpu {
	struct va_store store[VA_NR_CLASSES]; /* by class */
};

#define VA_LEAF_CHUNKS 512u

/* By 2 MiB, or less where chunks are small: (a) set under the lock and read without it. */
struct va_leaf {
	struct va_chunk *chunk[VA_LEAF_CHUNKS];
};

/* (c) constant after init  (v) lock  (a) changed under it, read without */
struct va_space {
	struct lock lock;
	struct tmm_slab_system *slabs;      /* (c) */
	struct cpu_set *cpus;               /* (c) */
	uint64_t start, end;                /* (c) */
	uint32_t max_short;                 /* (c) pages; longer pieces are lent one by one */
	uint32_t chunk_shift;               /* (c) log2 of a chunk's bytes, up to VA_EXACT */
	struct range_tree tree;             /* (v) of struct va_range */
	struct list partial[VA_NR_CLASSES]; /* (v) chunks with a free slot, by class */
	struct va_leaf **leaf;  /* (c) [nr_leaves], entries (a), each made when first needed */
	uint64_t nr_leaves;     /* (c) */
	struct va_cpu **cpu;    /* (c) [cpus->nr], likewise; NULL: no stores */
	uint64_t nr_chunks;     /* (v) */
	uint64_t nr_long_pages; /* (v) pages of long pieces */
	struct cpu_exit_hook exit_hook;
};

/* TMM_E_NOMEM */
TMM_MUST_CHECK tmm_err va_space_init(struct va_space *space, struct tmm_slab_system *slabs,
                                     uint64_t start, uint64_t end);

/* Every piece must be back (asserted). */
void va_space_fini(struct va_space *space);

/* Is the length one of those that chunks serve? */
static inline bool va_is_short(const struct va_space *space, uint64_t nr_pages)
{
	return nr_pages <= space->max_short;
}

/*
 * A short piece.
 *   TMM_E_NOMEM  memory is short
 *   TMM_E_NOSPC  no room for another chunk; a long piece of that length may still fit
 */
TMM_MUST_CHECK tmm_err va_alloc_short(struct va_space *space, uint64_t nr_pages, tmm_gfp gfp,
                                      uint64_t *out_va);
void va_free_short(struct va_space *space, uint64_t va, uint64_t nr_pages);

/*
 * A piece of any length within [low, high), aligned, that is known by `range`, whose
 * bounds are set.  TMM_E_NOMEM, TMM_E_NOSPC
 */
TMM_MUST_CHECK tmm_err va_alloc_long(struct va_space *space, struct va_range *range,
                                     uint64_t nr_pages, uint64_t align_bytes, uint64_t low,
                                     uint64_t high, tmm_gfp gfp);
void va_free_long(struct va_space *space, struct va_range *range);

/* Where the owner of the short piece at va is kept; NULL: no slot begins there. */
void **va_owner(const struct va_space *space, uint64_t va);

/*
 * The slot or long piece that va is in.  Lent or not: a slot may lie in a store.
 * Neither: NULL in both.
 */
struct va_place {
	uint64_t start;         /* of the slot or piece */
	struct va_range *piece; /* a long one */
	void **owner;           /* of a slot */
};
struct va_place va_place_of(const struct va_space *space, uint64_t va)
	TMM_REQUIRES(space->lock);

/* The first slot with an owner, or long piece, that starts at or after va; false: none. */
bool va_next(const struct va_space *space, uint64_t va, struct va_place *out)
	TMM_REQUIRES(space->lock);

/* Panics unless chunks, slots, stores and tree agree.  No CPU may be allocating. */
void va_space_check(const struct va_space *space);

#endif
