/*
 * node.h - what the pages of one node are used for
 *
 * Every CPU counts for itself, so that counting costs no more than an addition;
 * who asks adds up.  The numbers are exact while nobody allocates.
 *
 * Units    pages
 * Locks    none; any context
 * Linux    enum node_stat_item, /sys/devices/system/node/nodeN/meminfo and numastat,
 *          build_zonelists()
 */
#ifndef TUXMM_NODE_H
#define TUXMM_NODE_H

#include <tuxmm/page_alloc.h>

struct tmm_node_info {
	uint64_t present_pages; /* that are RAM */
	uint64_t managed_pages; /* handed over by memblock */
	uint64_t free_pages;    /* in zones, stacks not counted */
	uint64_t slab_reclaimable_pages, slab_unreclaimable_pages;
	uint64_t anon_pages;                   /* private pages of tasks that leaves point to */
	uint64_t file_pages;                   /* in the page cache */
	uint64_t mapped_pages;                 /* of file_pages, that leaves point to */
	uint64_t dirty_pages;                  /* of file_pages, to be written back */
	uint64_t shmem_pages;                  /* of file_pages, without a file behind them */
	uint64_t table_pages;                  /* page tables */
	uint64_t dirtied_pages, written_pages; /* since boot */
	struct tmm_numa_counts numa;           /* of all zones */
	uint64_t cpus[4];                      /* bit i % 64 of word i / 64: CPU i is here */
};

/* False when there is no such node; a node may be there without memory or CPUs. */
bool tmm_node_info(struct tmm_pages *pages, unsigned node, struct tmm_node_info *out);

/*
 * Nodes with memory in the order in which requests of a node, which there is
 * (asserted), go to them; returns how many.
 */
unsigned tmm_node_fallback(const struct tmm_pages *pages, unsigned node,
                           uint8_t order[TMM_MAX_NODES]);

/* CPUs that the machine has; their numbers are below that. */
unsigned tmm_pages_nr_cpus(const struct tmm_pages *pages);

#endif
