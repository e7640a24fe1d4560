/*
 * cma.h - contiguous areas: long runs of frames, of any length, at any time
 *
 * An area is set apart at boot (struct tmm_shape.cma).  While nobody wants a run of
 * it, its frames are lent to movable pages; a request moves these away.  Unlike the
 * runs of page_alloc.h a run here is of any number of frames, and no longer run is
 * needed than the area itself.
 *
 * Units    lengths are frames, rounded up to the area's granularity of
 *          2^order_per_bit frames
 * Locks    one lock for each area (rank CMA); may sleep
 * Linux    cma_alloc(), cma_release(), CmaTotal and CmaFree; dma_buf for buffers
 */
#ifndef TUXMM_CMA_H
#define TUXMM_CMA_H

#include <tuxmm/page_alloc.h>

#define TMM_CMA_NAME_BYTES 32u

struct tmm_cma; /* fields: core/page/cma.h */

/* The areas of a machine by number, from 0, and by name; NULL: there is none. */
struct tmm_cma *tmm_cma_area(struct tmm_pages *pages, unsigned index);
struct tmm_cma *tmm_cma_find(struct tmm_pages *pages, const char *name);

/* Why a run cannot be had. */
enum tmm_cma_reason {
	TMM_CMA_NO_ROOM,   /* so many frames in a row are not unused */
	TMM_CMA_UNMOVABLE, /* a frame is in use, or on another CPU's stack */
	TMM_CMA_PINNED,    /* its owner could not move it now */
	TMM_CMA_NO_MEMORY  /* there is no frame to move a page to */
};

struct tmm_cma_failure {
	enum tmm_cma_reason reason;
	tmm_pfn pfn; /* the frame in the way, the last one that was tried */
};

/*
 * Borrow nr_pages frames in a row; contents are not cleared.  align_order: the first
 * is a multiple of 2^align_order.
 *   TMM_OK       *out_pfn is the first
 *   TMM_E_INVAL  nr_pages is 0 or more than the area has
 *   TMM_E_NOMEM  TMM_CMA_NO_ROOM, TMM_CMA_NO_MEMORY
 *   TMM_E_BUSY   every place was tried, and some page could not be moved
 * failure: NULL, or where to say why; written for NOMEM and BUSY alone.
 */
TMM_MUST_CHECK tmm_err tmm_cma_alloc(struct tmm_cma *area, uint64_t nr_pages,
                                     unsigned align_order, tmm_pfn *out_pfn,
                                     struct tmm_cma_failure *failure);

/* Give a run back, as it was borrowed.  Frames that are not lent panic. */
void tmm_cma_release(struct tmm_cma *area, tmm_pfn pfn, uint64_t nr_pages);

struct tmm_cma_info {
	const char *name;
	tmm_pfn start;
	uint64_t total_pages;
	uint64_t used_pages; /* lent by tmm_cma_alloc(), rounded up */
	uint64_t longest_unused_pages;
	uint32_t order_per_bit;
	uint64_t nr_allocs, nr_failed;            /* requests since boot */
	uint64_t allocated_pages, released_pages; /* since boot */
};
void tmm_cma_info(struct tmm_cma *area, struct tmm_cma_info *out);

/* All areas: their frames, and those of them that nobody has (CmaTotal, CmaFree). */
uint64_t tmm_cma_total_pages(const struct tmm_pages *pages);
uint64_t tmm_cma_free_pages(const struct tmm_pages *pages);

/*
 * A run that several users share by reference; whoever creates it is the first.  The
 * struct is the caller's and lives until the last user is gone.
 */
struct tmm_cma_buffer {
	struct tmm_cma *area;
	tmm_pfn pfn;
	uint64_t nr_pages;
	uint32_t nr_users; /* atomic */
};

/* As tmm_cma_alloc(). */
TMM_MUST_CHECK tmm_err tmm_cma_buffer_create(struct tmm_cma_buffer *buffer,
                                             struct tmm_cma *area, uint64_t nr_pages,
                                             unsigned align_order,
                                             struct tmm_cma_failure *failure);

/* One user more, on behalf of one that there is; its first frame. */
tmm_pfn tmm_cma_buffer_attach(struct tmm_cma_buffer *buffer);

/* One user less; true: it was the last, the run is given back and the struct free. */
bool tmm_cma_buffer_detach(struct tmm_cma_buffer *buffer);

#endif
