/*
 * hotplug.h - memory that comes and goes while the machine runs
 *
 * On a machine of TMM_MEMORY_SPARSE, RAM can be added and removed a section at a
 * time.  The descriptors of an added section are in its own first frames, so that
 * adding needs no memory; they go with it.
 *
 * As in Linux an administrator sees sections as memory blocks, which are online or not:
 * RAM that is offline is there, but no zone has it.
 *
 * Units    a section is tmm_section_bytes() long and aligned to it
 * Locks    one caller at a time; others may allocate and free meanwhile.  Removing
 *          moves pages, which takes the locks of who owns them: call it without any
 * Linux    add_memory(), online_pages(), offline_pages(), memmap_on_memory;
 *          /sys/devices/system/memory/memoryN
 */
#ifndef TUXMM_HOTPLUG_H
#define TUXMM_HOTPLUG_H

#include <tuxmm/page_alloc.h>

/* Why a section was not added or removed. */
struct tmm_hotplug_report {
	const char *why;   /* what was expected, in words */
	tmm_pfn pfn;       /* the frame that is in the way; TMM_PFN_NONE: none in particular */
	const char *kind;  /* what that frame is: "slab", "page table", ...; or NULL */
	const void *owner; /* whose it is, by its kind; or NULL */
	const void *lent_by; /* with TMM_DEBUG_PAGE_OWNER: where it was borrowed; or NULL */
};

/* 0: the machine has no sections. */
uint64_t tmm_section_bytes(const struct tmm_pages *pages);

/*
 * Add the section at `start` to a node, and to the zone that its address says; either
 * may be without memory till then, where the shape has a hotplug_end.  All of it is RAM,
 * readable and writable at the machine's ram pointer; contents do not matter.
 *   TMM_OK
 *   TMM_E_EXIST   some of it is RAM already
 *   TMM_E_INVAL   not a section's address, beyond the shape's hotplug_end (without one:
 *                 in no 128 MiB that had memory at boot), or the node has no zone that
 *                 all of it would be in
 *   TMM_E_NOSPC   memblock cannot list it
 *   TMM_E_BUSY    a driver has claimed some of its addresses (tuxmm/resource.h)
 *   TMM_E_NOMEM   there is no memory to list them
 * On failure *report says more.
 */
TMM_MUST_CHECK tmm_err tmm_section_add(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                                       struct tmm_hotplug_report *report);

/*
 * Take the section at `start` away.  Free frames are withdrawn, pages that can be
 * moved are moved elsewhere.
 *   TMM_OK       no frame of it is used or known any more
 *   TMM_E_NOENT  it is not wholly RAM of one zone
 *   TMM_E_BUSY   a frame of it must stay, or cannot be moved now: *report says which
 *                and what it is; everything is as it was, but for pages moved
 *   TMM_E_NOMEM  there is no room elsewhere, or to list what remains
 */
TMM_MUST_CHECK tmm_err tmm_section_remove(struct tmm_pages *pages, tmm_paddr start,
                                          struct tmm_hotplug_report *report);

/* ---- memory blocks ---- */

/* What a block is used for. */
enum tmm_block_use {
	TMM_BLOCK_OFFLINE,
	TMM_BLOCK_ONLINE, /* in the zone by its address, or in MOVABLE if it lies within that
	                     alone */
	TMM_BLOCK_ONLINE_KERNEL, /* in the zone by its address */
	TMM_BLOCK_ONLINE_MOVABLE /* in its node's MOVABLE zone, so that it can be taken away */
};

struct tmm_memory_block {
	uint64_t number; /* its address by tmm_section_bytes() */
	tmm_paddr start;
	uint64_t size_bytes;
	uint32_t node;
	bool is_online; /* some of it is, of those of boot that have holes */

	/* The zone it is in, none where it is in several; offline: those it may come to, the
	   one that TMM_BLOCK_ONLINE chooses first. */
	unsigned nr_valid_zones;
	enum tmm_zone_id valid_zone[3];
};

/* False: the machine has no such block, or no sections. */
bool tmm_memory_block_info(const struct tmm_pages *pages, uint64_t number,
                           struct tmm_memory_block *out);

/* The blocks in rising order, from *cursor 0 on; false past the last. */
bool tmm_memory_block_next(const struct tmm_pages *pages, uint64_t *cursor,
                           struct tmm_memory_block *out);

/*
 * Put a block into use or take it out; its addresses stay claimed as RAM.  Locks as
 * tmm_section_add() and tmm_section_remove(), and errors:
 *   TMM_OK
 *   TMM_E_INVAL   it is so already; or its node has no MOVABLE zone, as nodes of machines
 *                 without a hotplug_end may have none
 *   TMM_E_NOENT   there is no such block; offline: it has holes, or is of several zones
 *   TMM_E_BUSY    offline: a frame of it must stay, or cannot be moved now
 *   TMM_E_NOMEM   offline: there is no room elsewhere
 */
TMM_MUST_CHECK tmm_err tmm_memory_block_set(struct tmm_pages *pages, uint64_t number,
                                            enum tmm_block_use use,
                                            struct tmm_hotplug_report *report);

/*
 * RAM has come at `start`, a section's address: a block that is offline, and then
 * what tmm_memory_set_auto_online() says, if that can be.
 *   TMM_OK, and errors of tmm_section_add()
 */
TMM_MUST_CHECK tmm_err tmm_memory_add(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                                      struct tmm_hotplug_report *report);

/* What added memory is used for: TMM_BLOCK_OFFLINE, unless set.  TMM_E_INVAL: no such use. */
TMM_MUST_CHECK tmm_err tmm_memory_set_auto_online(struct tmm_pages *pages,
                                                  enum tmm_block_use use);
enum tmm_block_use tmm_memory_auto_online(const struct tmm_pages *pages);

#endif
