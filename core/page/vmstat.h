/*
 * vmstat.h - events, and what pages of a node are used for, counted by each CPU for itself
 *
 * Linux: enum vm_event_item, enum node_stat_item, /proc/vmstat.  Only what the core
 * counts is here.
 */
#ifndef TUXMM_PAGE_VMSTAT_H
#define TUXMM_PAGE_VMSTAT_H

#include <tuxmm/types.h>

enum vm_event {
	PGALLOC_DMA, /* frames lent; by zone, in the order of enum tmm_zone_id */
	PGALLOC_DMA32,
	PGALLOC_NORMAL,
	PGALLOC_HIGHMEM,
	PGALLOC_MOVABLE,
	ALLOCSTALL_DMA, /* requests that had to reclaim; by the zone asked for */
	ALLOCSTALL_DMA32,
	ALLOCSTALL_NORMAL,
	ALLOCSTALL_HIGHMEM,
	ALLOCSTALL_MOVABLE,
	PGFREE,
	PGFAULT, /* faults answered, major ones too */
	PGMAJFAULT,
	PGMIGRATE_SUCCESS,
	PGMIGRATE_FAIL,
	COMPACTMIGRATE_SCANNED,
	COMPACTFREE_SCANNED,
	COMPACTISOLATED,
	COMPACTSTALL,
	COMPACTFAIL,
	COMPACTSUCCESS,
	DROP_PAGECACHE,
	DROP_SLAB,
	PGSTEAL_KSWAPD, /* pages of files dropped in the background */
	PGSTEAL_DIRECT, /* the same for a request that waits */
	PAGEOUTRUN,     /* nodes brought up to a high watermark, or as far as it went */
	NR_VM_EVENTS
};

/* By node.  One CPU may count a page in and another one out: only the sum means anything. */
enum node_stat {
	NR_SLAB_RECLAIMABLE,
	NR_SLAB_UNRECLAIMABLE,
	NR_ANON_PAGES,  /* that leaves point to */
	NR_FILE_MAPPED, /* of NR_FILE_PAGES, that leaves point to */
	NR_FILE_PAGES,  /* in the page cache */
	NR_FILE_DIRTY,  /* of them, to be written back */
	NR_SHMEM,       /* of NR_FILE_PAGES, that have no file behind them */
	NR_PAGETABLE,
	NR_DIRTIED, /* since boot, like the next */
	NR_WRITTEN,
	NR_NODE_STATS
};

struct tmm_pages;

/* All CPUs together. */
uint64_t node_stat_sum(const struct tmm_pages *pages, unsigned node, enum node_stat item);
uint64_t node_stat_total(const struct tmm_pages *pages, enum node_stat item);

/* Since boot, all CPUs together. */
uint64_t vm_event_sum(const struct tmm_pages *pages, enum vm_event event);

/* count_vm_event(), node_stat_add() and the like: core/page/page_system.h */
#endif
