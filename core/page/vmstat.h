/*
 * vmstat.h - events, counted by each CPU for itself
 *
 * Linux: enum vm_event_item, /proc/vmstat.  Only what the core counts is here.
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
	NR_VM_EVENTS
};

struct tmm_pages;

/* Since boot, all CPUs together. */
uint64_t vm_event_sum(const struct tmm_pages *pages, enum vm_event event);

/* count_vm_event(): core/page/page_system.h */
#endif
