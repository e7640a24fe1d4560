/*
 * debug.h - what is recorded of each frame when debugging is on
 */
#ifndef TUXMM_PAGE_DEBUG_IMPL_H
#define TUXMM_PAGE_DEBUG_IMPL_H

#include <tuxmm/page_debug.h>

#include "page/page_system.h"

enum frame_state {
	FRAME_NEW,   /* never lent */
	FRAME_LENT,  /* first of a run */
	FRAME_TAIL,  /* of a run that is lent; order: 0 */
	FRAME_LOOSE, /* lent, and may be freed in runs of any order */
	FRAME_AREA,  /* lent of a contiguous area, to be released to it */
	FRAME_FREE
};

/* Whoever has the frame, or is giving it back, is alone with its record. */
struct frame_record {
	const void *lent_by;
	const void *freed_by;
	tmm_gfp gfp;
	uint32_t first; /* of its run */
	uint8_t state;  /* enum frame_state */
	uint8_t order;  /* of its run */
};

_Static_assert(sizeof(struct frame_record) == 32, "said in tuxmm/page_debug.h");

/* Debugging is on.  A run leaves the allocator, or comes back: `site` is the caller. */
void debug_lend(struct tmm_pages *pages, uint64_t pfn, unsigned order, tmm_gfp gfp,
                const void *site);
void debug_take_back(struct tmm_pages *pages, uint64_t pfn, unsigned order, const void *site);

/* The same of one frame of a contiguous area. */
void debug_lend_area(struct tmm_pages *pages, uint64_t pfn, tmm_gfp gfp, const void *site);
void debug_take_back_area(struct tmm_pages *pages, uint64_t pfn, const void *site);

/* From now on the run may be freed in pieces. */
void debug_split(struct tmm_pages *pages, uint64_t pfn, unsigned order);

/* The page in `from` is in `to` now, and `from` is free. */
void debug_move(struct tmm_pages *pages, uint64_t from, uint64_t to);

/* Panics unless records and poison agree with the bits.  No CPU may be allocating. */
void debug_check(struct tmm_pages *pages);

/* Panic over a run: what rule was broken, which frame, which zone, who. */
_Noreturn void page_report(struct tmm_pages *pages, uint64_t pfn, unsigned order,
                           const char *rule, const void *site);

#endif
