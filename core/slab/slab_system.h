/*
 * slab_system.h - caches, their slabs, and what the files of this folder share
 *
 * Storeys above use slab_init() and slab_fini(), and the checker the counts.
 */
#ifndef TUXMM_SLAB_SLAB_SYSTEM_H
#define TUXMM_SLAB_SLAB_SYSTEM_H

#include <tuxmm/slab.h>

#include "base/list.h"
#include "base/lock.h"
#include "page/page_system.h"

#define NR_KMALLOC_CACHES 13u
#define NO_SLAB           UINT32_MAX /* ends a chain of slabs */

/* Slabs by the number of their first frame, linked through struct page. */
struct slab_list {
	uint32_t first;
	uint32_t nr;
};

/* (c) constant after init  (n) lock  (s) tmm_slab_system.lock  (a) atomic */
struct tmm_cache {
	struct lock lock;
	uint32_t size_bytes;  /* (c) from one object to the next */
	uint32_t reciprocal;  /* (c) 2^32 / size_bytes, rounded up */
	uint32_t nr_objs;     /* (c) in a slab */
	uint32_t order;       /* (c) of a slab */
	uint32_t bits_offset; /* (c) where in a slab its lent bits are; 0: its descriptor */
	uint32_t nr_words;    /* (c) of 64 lent bits */
	tmm_gfp page_gfp;     /* (c) added to every request for a slab */
	struct slab_list partial, full; /* (n) with a free object, and without */
	uint32_t spare;          /* (n) the slab on `partial` with none lent, or NO_SLAB */
	uint64_t nr_lent;        /* (n) */
	struct tmm_pages *pages; /* (c) */
	struct tmm_slab_system *slabs; /* (c) */
	void (*ctor)(void *object);    /* (c) */
	struct list link;              /* (s) in caches */
	char name[32];                 /* (c) */
};

struct tmm_slab_system {
	struct lock lock;
	struct tmm_pages *pages; /* (c) */
	struct list caches;      /* (s) the newest first */
	uint64_t nr_large_pages; /* (s) frames of PAGE_LARGE */
	uint64_t nr_pages;       /* (a) frames of slabs and large runs */
	uint64_t peak_pages;     /* (a) most that nr_pages has been */
	struct tmm_cache cache_of_caches;
	struct tmm_cache kmalloc[NR_KMALLOC_CACHES]; /* by size, rising */
};

/* Allocates nothing, so it cannot fail. */
void slab_init(struct tmm_slab_system *slabs, struct tmm_pages *pages);

/* Every object and large run must be back (asserted).  Gives every frame back. */
void slab_fini(struct tmm_slab_system *slabs);

/* Give the empty slabs of all caches back; returns the pages freed. */
uint64_t slab_shrink_all(struct tmm_slab_system *slabs);

/* cache.c: frames were taken from, or given back to, the page allocator. */
void slab_count_pages(struct tmm_slab_system *slabs, uint64_t taken, uint64_t given);

/* cache.c: fill in the fields, for a spec that is valid. */
void cache_init(struct tmm_cache *cache, struct tmm_slab_system *slabs,
                const struct tmm_cache_spec *spec);

/* slab.c: tmm_cache_alloc() without the failure point. */
void *object_alloc(struct tmm_cache *cache, tmm_gfp gfp);

/* An address in a run of frames: the run's first descriptor, and bytes from its start. */
struct place {
	struct page *head;
	uint64_t offset;
};

static inline struct place place_of(const struct tmm_pages *pages, const void *address)
{
	struct page *page = page_of(pages, tmm_virt_to_pfn(pages, address));
	struct page *head = page->flags & PG_TAIL ? page->owner : page;

	return (struct place){.head = head,
	                      .offset = ((uint64_t)(page - head) << TMM_PAGE_SHIFT) +
	                                ((uintptr_t)address & (TMM_PAGE_SIZE - 1))};
}

/* slab.c: give back an object of the cache, which is at `place`; checks that it is lent. */
void object_free(struct tmm_cache *cache, struct place place, void *object);

/* slab.c: mark the 2^order frames as one run, and take that back. */
void run_mark(const struct tmm_pages *pages, tmm_pfn first, unsigned order, enum page_kind kind,
              void *owner);
void run_unmark(const struct tmm_pages *pages, tmm_pfn first, unsigned order);

/* slab.c: panics unless the cache's slabs agree with its counts. */
void cache_check(struct tmm_cache *cache);

static inline uint64_t cache_slabs(const struct tmm_cache *cache) TMM_REQUIRES(cache->lock)
{
	return (uint64_t)cache->partial.nr + cache->full.nr;
}

#endif
