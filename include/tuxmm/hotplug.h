/*
 * hotplug.h - memory that comes and goes while the machine runs
 *
 * On a machine of TMM_MEMORY_SPARSE, RAM can be added and removed a section at a
 * time.  The descriptors of an added section are in its own first frames, so that
 * adding needs no memory; they go with it.
 *
 * Units    a section is tmm_section_bytes() long and aligned to it
 * Locks    one caller at a time; others may allocate and free meanwhile.  Removing
 *          moves pages, which takes the locks of who owns them: call it without any
 * Linux    add_memory(), online_pages(), offline_pages(), memmap_on_memory
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

#endif
