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
	PAGE_SLOB,  /* blocks of several caches; the fields: slob.c */
	PAGE_LARGE, /* kmalloc straight from pages; owner: the slab system, index: its order */
	PAGE_ANON,  /* a task's private page; owner: its mm */
	PAGE_FILE,  /* in the page cache; owner: the mapping, index: place in the file */
	PAGE_ZERO,  /* the machine's page of zeroes */
	PAGE_VMALLOC, /* in an area of the vmalloc window; owner: the area, index: page of it */
	PAGE_ACCOUNT, /* a table of who is charged for what: account.c */
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
#define PG_SHORT      (1u << 7) /* PAGE_SLAB: of the least order */

/*
 * Guarded by the lock of whoever owns the frame: (m) mm, (c) cache, (s) slab cache.
 * (a) others look at it without that lock, to see whose lock to try.
 */
struct page {
	uint8_t kind;      /* (a) enum page_kind */
	uint8_t held;      /* (a) PAGE_MOVABLE: being moved or unmarked; compact.c */
	uint16_t flags;    /* PG_* */
	uint32_t refcount; /* (m, c) one for each leaf, cache or pin that keeps the frame */
	union {
		struct {
			uint32_t mapcount; /* (m, c) leaves that point here */
			uint32_t index;    /* by kind */
		};
		uint64_t lent; /* (s) PAGE_SLAB: a bit for each object, where 64 do */
	};
	void *owner;   /* (a) by kind */
	uint32_t next; /* links by frame number, for the owner's lists */
	uint32_t prev;
};

_Static_assert(sizeof(struct page) == 32, "two descriptors fill one cache line");

/*
 * What is written and read as (a) is single values, a hint until the owner's lock
 * is held: relaxed on both sides.
 */
static inline unsigned page_kind(const struct page *page)
{
	return __atomic_load_n(&page->kind, __ATOMIC_RELAXED);
}

static inline void *page_owner(const struct page *page)
{
	return __atomic_load_n(&page->owner, __ATOMIC_RELAXED);
}

static inline void page_set_kind(struct page *page, enum page_kind kind)
{
	__atomic_store_n(&page->kind, (uint8_t)kind, __ATOMIC_RELAXED);
}

static inline void page_set_owner(struct page *page, void *owner)
{
	__atomic_store_n(&page->owner, owner, __ATOMIC_RELAXED);
}

/* The descriptor becomes `now`, but for `held`. */
static inline void page_set(struct page *page, struct page now)
{
	page->flags = now.flags;
	page->refcount = now.refcount;
	page->lent = now.lent;
	page->next = now.next;
	page->prev = now.prev;
	page_set_owner(page, now.owner);
	page_set_kind(page, (enum page_kind)now.kind);
}

/* What page_set() takes of it. */
static inline struct page page_get(const struct page *page)
{
	return (struct page){.kind = (uint8_t)page_kind(page),
	                     .flags = page->flags,
	                     .refcount = page->refcount,
	                     .lent = page->lent,
	                     .owner = page_owner(page),
	                     .next = page->next,
	                     .prev = page->prev};
}

/* Nobody's, as it must be when the frame is freed. */
static inline void page_clear(struct page *page)
{
	page_set(page, (struct page){.kind = PAGE_NONE});
}

/* page_of(), page_pfn(): core/page/page_system.h */
#endif
