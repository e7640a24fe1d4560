/*
 * migrate.h - what frames are lent for, and moving what is in them
 *
 * RAM is kept in blocks of 2 MiB, each of one type.  Requests of a type are served
 * from blocks of that type while there are any, so that pages which never move do
 * not end up among those that can, and long runs can be made again by moving:
 * compaction takes pages from the low end of a zone to free frames at its high end.
 *
 * Units    blocks are TMM_BLOCK_PAGES frames; indexes are thousandths
 * Locks    tmm_pages_compact() calls the owners of pages without holding any lock,
 *          and with those of its caller, whose pages then stay where they are
 * Linux    enum migratetype, struct movable_operations, vm.compact_memory,
 *          /proc/pagetypeinfo, extfrag/extfrag_index, extfrag/unusable_index
 */
#ifndef TUXMM_MIGRATE_H
#define TUXMM_MIGRATE_H

#include <tuxmm/page_alloc.h>

#define TMM_BLOCK_ORDER 9u
#define TMM_BLOCK_PAGES (1u << TMM_BLOCK_ORDER)

/* The first three are what a request can be, by TMM_GFP_MOVABLE and _RECLAIMABLE. */
enum tmm_migrate_type {
	TMM_MIGRATE_UNMOVABLE,
	TMM_MIGRATE_MOVABLE,
	TMM_MIGRATE_RECLAIMABLE,
	TMM_MIGRATE_HIGHATOMIC, /* kept for runs that are wanted where nobody can wait */
	TMM_MIGRATE_CMA,        /* of a contiguous area: lent to movable pages only */
	TMM_MIGRATE_ISOLATE,    /* being emptied: lent to nobody */
	TMM_NR_MIGRATE_TYPES
};

/* ---- moving ---- */

/* What the owner of a kind of page does to have one moved. */
struct tmm_migrate_ops {
	/*
	 * Copy frame `from` to `to` and make everything that led to `from` lead to `to`,
	 * so that no write is lost; `to` is nobody's yet.  Afterwards `from` is free to
	 * be lent again: the caller frees it, not the owner.  The page may have been
	 * freed or changed hands since it was chosen, so look at it under your own
	 * lock; take that only if it is free, for whoever needs a page may hold it.
	 *   TMM_OK       moved
	 *   TMM_E_BUSY   somebody keeps it where it is (a pin)
	 *   TMM_E_AGAIN  not now: a lock is taken
	 *   TMM_E_NOENT  the frame is not mine any more
	 */
	tmm_err (*move)(void *arg, tmm_pfn from, tmm_pfn to);
};

/* Who owns a frame; lives as long as a frame is marked with it. */
struct tmm_movable {
	const struct tmm_migrate_ops *ops;
	void *arg;
};

/*
 * The borrower of a single frame, lent with TMM_GFP_MOVABLE, says that it can be
 * moved, or cannot any longer; a frame must be unmarked before it is freed.  The
 * mark goes with the page when it is moved.  Both wait while the frame is being
 * moved, so move() calls neither; locks that move() only tries may be held.
 */
void tmm_page_set_movable(struct tmm_pages *pages, tmm_pfn pfn,
                          const struct tmm_movable *movable);
void tmm_page_clear_movable(struct tmm_pages *pages, tmm_pfn pfn);

/*
 * Compact every zone for as long as there is anything to move; returns the pages
 * moved.  The stacks of all CPUs are emptied.  A request of order > 0 that may sleep does the
 * same by itself, for as long as it takes to make the run it wants.
 */
uint64_t tmm_pages_compact(struct tmm_pages *pages);

/* ---- what there is to see ---- */

/* One zone, by the types of its blocks. */
struct tmm_type_info {
	const char *zone_name;
	uint32_t node;
	uint64_t blocks[TMM_NR_MIGRATE_TYPES];                   /* with RAM */
	uint64_t free_area[TMM_NR_MIGRATE_TYPES][TMM_NR_ORDERS]; /* free runs of one type */

	/* Since boot, because a type had no run left: blocks that changed to it... */
	uint64_t claimed_blocks;
	uint64_t foreign_pages; /* ... and frames from blocks that did not */
};

/* The zones with memory, in rising order from index 0; false past the last. */
bool tmm_zone_types(struct tmm_pages *pages, unsigned index, struct tmm_type_info *out);

/*
 * How free memory is cut up, for a request of an order.
 *
 * unusable: the share of free frames that lie in shorter runs, so that they are of
 * no use for it; 0: none, 1000: all.
 *
 * index: why it would fail; near 0 for lack of memory, near 1000 because memory is
 * cut up; -1000: it would not fail.
 */
struct tmm_fragmentation {
	int32_t unusable[TMM_NR_ORDERS];
	int32_t index[TMM_NR_ORDERS];
};

/* From the counts of free runs of each order, as tmm_zone_info() gives them. */
void tmm_fragmentation_of(const uint64_t *free_area, struct tmm_fragmentation *out);

/* Since boot, all CPUs together (Linux: compact_*, pgmigrate_*). */
struct tmm_migrate_events {
	uint64_t moved_pages, failed_pages;
	uint64_t scanned_pages;      /* looked at, to be moved */
	uint64_t free_scanned_pages; /* looked at, to be moved to */
	uint64_t isolated_pages;     /* taken in hand, on either side */
	uint64_t stalls;             /* requests that compacted */
	uint64_t stalls_failed, stalls_served;
};
void tmm_migrate_events(struct tmm_pages *pages, struct tmm_migrate_events *out);

/* Are blocks parted by type?  On machines with fewer blocks than types they are not. */
bool tmm_pages_grouped_by_mobility(const struct tmm_pages *pages);

#endif
