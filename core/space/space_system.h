/*
 * space_system.h - what the address spaces of one machine share
 *
 * Locks    lock (rank SPACES) is taken before any mm->lock
 */
#ifndef TUXMM_SPACE_SPACE_SYSTEM_H
#define TUXMM_SPACE_SPACE_SYSTEM_H

#include <tuxmm/space.h>

#include "base/list.h"
#include "base/lock.h"
#include "cache/cache_system.h"

#define STACK_GUARD_GAP (UINT64_C(256) << TMM_PAGE_SHIFT)

enum overcommit { OVERCOMMIT_GUESS, OVERCOMMIT_ALWAYS, OVERCOMMIT_NEVER };

/* 0 means what the comment says. */
struct space_config {
	enum overcommit overcommit_memory;
	uint32_t overcommit_ratio;   /* percent; 0: 50 */
	uint32_t max_map_count;      /* 0: 65530 */
	uint32_t fault_around_bytes; /* 0: 65536 */
	uint32_t anon_around_bytes;  /* 0: 262144 */
};

/* (c) constant after init  (l) lock  (a) atomic, relaxed: a counter alone */
struct tmm_space_system {
	struct lock lock;
	struct tmm_pages *pages;        /* (c) */
	struct tmm_slab_system *slabs;  /* (c) */
	struct tmm_cache_system *cache; /* (c) */
	struct tmm_cache *mm_cache;     /* (c) struct tmm_mm */
	struct tmm_cache *vma_cache;    /* (c) struct vma */
	struct tmm_cache *node_cache;   /* (c) nodes of range trees */
	tmm_pfn zero_pfn;               /* (c) reads as zeroes; PAGE_ZERO */
	struct space_config config;     /* (c) zeroes resolved */
	uint64_t admin_reserve_pages;   /* (c) kept from everyone in mode 2 */
	uint64_t user_reserve_pages;    /* (c) kept from one large mm in mode 2 */
	struct list mms;                /* (l) by tmm_mm.link */
	uint64_t nr_mms;                /* (l) */
	int64_t committed_pages;        /* (a) promised by accounted areas (Committed_AS) */
	uint64_t next_inode;            /* (a) of shared anonymous memory */

	/* (l) Faults of address spaces that are gone. */
	uint64_t gone_minor_faults, gone_major_faults, gone_oom_faults;
};

/* TMM_E_NOMEM; nothing is left behind then. */
TMM_MUST_CHECK tmm_err space_system_init(struct tmm_space_system *spaces,
                                         struct tmm_pages *pages, struct tmm_slab_system *slabs,
                                         struct tmm_cache_system *cache,
                                         const struct space_config *config);

/* migrate.c: pages of address spaces and files can be moved from now on, or no longer. */
void space_set_movers(struct tmm_space_system *spaces, bool on);

/* Every mm must be gone (asserted). */
void space_system_fini(struct tmm_space_system *spaces);

/*
 * Promise pages to an mm of mm_total_pages (a big one may not fill the machine to
 * the last); the overcommit mode decides.  uncommit takes a promise back.
 */
TMM_MUST_CHECK bool space_commit(struct tmm_space_system *spaces, uint64_t mm_total_pages,
                                 uint64_t pages);
void space_uncommit(struct tmm_space_system *spaces, uint64_t pages);

/* Promise without asking, to keep a promise that is about to be taken back. */
void space_keep(struct tmm_space_system *spaces, uint64_t pages);

#endif
