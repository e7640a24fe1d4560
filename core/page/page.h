/*
 * page.h - struct page: what is known of one frame
 *
 * Allocating and freeing do not touch it.  Whoever borrows a frame says what it
 * is for (kind) and takes that back before freeing, so that a free frame has
 * kind PAGE_NONE and the checker can put every frame in exactly one place.
 */
#ifndef TUXMM_PAGE_PAGE_H
#define TUXMM_PAGE_PAGE_H

#include <tuxmm/page_alloc.h>

#include "base/base.h"

enum page_kind {
	PAGE_NONE,  /* free, or lent to somebody outside the core */
	PAGE_TABLE, /* a page table; index: present entries */
	PAGE_SLAB,  /* owner: the cache; refcount: objects lent */
	PAGE_LARGE, /* kmalloc straight from pages; owner: the slab system, index: its order */
	PAGE_ANON,  /* a task's private page; owner: its mm */
	PAGE_FILE,  /* in the page cache; owner: the mapping, index: place in the file */
	PAGE_ZERO,  /* the machine's page of zeroes */
	PAGE_MOVABLE, /* lent to somebody outside who moves it; owner: struct tmm_movable */
	NR_PAGE_KINDS
};

#define PG_DIRTY      (1u << 0)
#define PG_UPTODATE   (1u << 1)
#define PG_REFERENCED (1u << 2)
#define PG_LOCKED     (1u << 3)
#define PG_HEAD       (1u << 4) /* first frame of a run of several */
#define PG_TAIL       (1u << 5) /* owner: struct page of the head */
#define PG_IDLE       (1u << 6) /* on the page cache's list of idle pages */

/* Guarded by the lock of whoever owns the frame: (m) mm, (c) cache, (s) slab cache. */
struct page {
	uint8_t kind;      /* enum page_kind */
	uint8_t spare;     /* zero */
	uint16_t flags;    /* PG_* */
	uint32_t refcount; /* (m, c) one for each leaf, cache or pin that keeps the frame */
	union {
		struct {
			uint32_t mapcount; /* (m, c) leaves that point here */
			uint32_t index;    /* by kind */
		};
		uint64_t lent; /* (s) PAGE_SLAB: a bit for each object, where 64 do */
	};
	void *owner;   /* by kind */
	uint32_t next; /* links by frame number, for the owner's lists */
	uint32_t prev;
};

_Static_assert(sizeof(struct page) == 32, "two descriptors fill one cache line");

/* page_of(), page_pfn(): core/page/page_system.h */
#endif
