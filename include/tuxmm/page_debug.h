/*
 * page_debug.h - who borrowed a frame, who gave it back, who wrote to it since
 *
 * What is found when a frame is used wrongly, and what it costs, is chosen at boot
 * by the shape's debug flags.  A report is a panic whose text names the mistake,
 * the frame and its zone; with TMM_DEBUG_PAGE_OWNER also the addresses of the calls
 * that borrowed the run and gave it back.
 *
 * Costs    either of the first two sends each request and each free past the CPU's fast path,
 *          and takes 32 bytes a frame; poison touches every byte of each frame
 *          freed, twice.  Nothing when neither is set
 * Linux    page_owner=on, page_poison=1, debug_pagealloc=on, /sys/kernel/debug/page_owner
 */
#ifndef TUXMM_PAGE_DEBUG_H
#define TUXMM_PAGE_DEBUG_H

#include <tuxmm/page_alloc.h>
#include <tuxmm/sink.h>

/*
 * Each run's order and call sites are kept: freeing twice, with another order or
 * size, in the middle of a run, what was never lent, or what a contiguous area lent
 * is found at once and named.
 */
#define TMM_DEBUG_PAGE_OWNER (1u << 0)

/*
 * Freed frames are filled with TMM_PAGE_POISON.  A byte that differs when the frame
 * is lent again, or in tmm_pages_check(), was written after the free.
 */
#define TMM_DEBUG_PAGE_POISON (1u << 1)

/*
 * Kernel mappings that are taken away are flushed at once, not many together: touching
 * one faults from then on.  Costs nothing else.
 */
#define TMM_DEBUG_UNMAP (1u << 2)

#define TMM_PAGE_POISON 0xaau

/* What is known of the run that a frame is in, or was in when it was last lent. */
struct tmm_page_owner {
	bool lent;            /* now */
	tmm_pfn first;        /* of the run */
	unsigned order;       /* of the run */
	tmm_gfp gfp;          /* of the request */
	const void *lent_by;  /* where the request returned to */
	const void *freed_by; /* the same of the free; NULL: never */
};

/* False when there is no TMM_DEBUG_PAGE_OWNER, or the frame was never lent. */
bool tmm_page_owner(const struct tmm_pages *pages, tmm_pfn pfn, struct tmm_page_owner *out);

/* All runs that are lent, in the manner of Linux's page_owner; false without the flag. */
bool tmm_page_owner_show(const struct tmm_pages *pages, const struct tmm_sink *sink);

/* Flags of a request as Linux's log has them, such as "0x780(GFP_KERNEL)". */
void tmm_gfp_show(tmm_gfp gfp, const struct tmm_sink *sink);

#endif
