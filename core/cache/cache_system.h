/*
 * cache_system.h - the page cache of one machine
 */
#ifndef TUXMM_CACHE_CACHE_SYSTEM_H
#define TUXMM_CACHE_CACHE_SYSTEM_H

#include <tuxmm/file.h>
#include <tuxmm/slab.h>

#include "base/list.h"
#include "base/lock.h"
#include "page/page_system.h"

#define FRAME_NONE UINT32_MAX /* end of a list linked by frame number */

/* (c) constant after init  (l) lock; counts are read without it, relaxed */
struct tmm_cache_system {
	struct lock lock;
	struct tmm_pages *pages;         /* (c) */
	struct tmm_slab_system *slabs;   /* (c) */
	struct tmm_cache *mapping_cache; /* (c) struct tmm_mapping */
	struct tmm_cache *node_cache;    /* (c) struct tree_node */
	struct tmm_cache *file_cache;    /* (c) struct tmm_file */
	struct list mappings;            /* (l) all of them */
	uint64_t nr_read;                /* (l) pages, since boot */

	/* Clean pages that only the cache holds, by struct page.next and .prev. */
	uint32_t idle_oldest;           /* (l) FRAME_NONE: none */
	uint32_t idle_newest;           /* (l) */
	uint64_t nr_idle;               /* (l) */
	uint64_t nr_idle_of[MAX_ZONES]; /* (l, a) of them, frames of each zone */
};

/* TMM_E_NOMEM; nothing is left behind then. */
TMM_MUST_CHECK tmm_err cache_system_init(struct tmm_cache_system *cache,
                                         struct tmm_pages *pages,
                                         struct tmm_slab_system *slabs);

/* Every mapping and file must be gone (asserted). */
void cache_system_fini(struct tmm_cache_system *cache);

#endif
