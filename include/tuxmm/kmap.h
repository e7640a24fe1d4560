/*
 * kmap.h - high memory: frames that have no address until they are given one
 *
 * Where RAM is larger than the kernel's addresses (shape.lowmem_bytes), frames above are
 * not in the direct map, and touching one where it would be faults.  There are two
 * ways to reach it:
 *
 *   tmm_kmap_local()  a slot of the calling CPU's own, for a moment: cheap, never
 *                     fails, given back in reverse order and by the same CPU
 *   tmm_kmap()        a slot of the pkmap window, 1024 or 512 for the whole machine,
 *                     for as long as one likes; mapping a frame again gives the same
 *                     address.  Slots are flushed together, when all have been used
 *
 * For frames with an address both give that, so callers need not ask.
 *
 * Locks    rank KMAP.  tmm_kmap() that may wait is for contexts that may sleep; all
 *          others any context
 * Linux    kmap_local_page(), kmap(), mm/highmem.c
 */
#ifndef TUXMM_KMAP_H
#define TUXMM_KMAP_H

#include <tuxmm/kernel_map.h>

/* Frames that a CPU can have mapped locally at one time. */
#define TMM_KMAP_LOCAL_DEPTH 16u

/* One more than that many, or a frame that is not RAM: panics. */
void *tmm_kmap_local(struct tmm_kernel_map *map, tmm_pfn pfn);

/* An address within the frame mapped last, and not yet unmapped; another: panics. */
void tmm_kunmap_local(struct tmm_kernel_map *map, const void *address);

/*
 * Map a frame, or count one user more of its mapping.  Without a free slot: wait for one
 * when gfp has TMM_GFP_DIRECT_RECLAIM, else NULL.
 */
void *tmm_kmap(struct tmm_kernel_map *map, tmm_pfn pfn, tmm_gfp gfp);

/* One user less; a frame that is not mapped: panics. */
void tmm_kunmap(struct tmm_kernel_map *map, tmm_pfn pfn);

/* Where a frame can be touched: its own address, or where tmm_kmap() has it, or NULL. */
void *tmm_kmap_address(struct tmm_kernel_map *map, tmm_pfn pfn);

struct tmm_kmap_stats {
	uint32_t nr_slots; /* of pkmap; 0: no high memory */
	uint32_t nr_used;  /* mapped by somebody */
	uint32_t nr_stale; /* by nobody, and not flushed yet */
	uint64_t flushes;  /* of all stale ones together */
	uint64_t waits;    /* for a slot */
};
void tmm_kmap_stats(struct tmm_kernel_map *map, struct tmm_kmap_stats *out);

#endif
