/*
 * page_alloc.h - page frames, lent in power-of-two runs
 *
 * RAM is divided into zones.  A zone lends runs of 2^order adjacent frames; a
 * returned run joins its free neighbours, so that long runs grow back by
 * themselves.  Small runs come from the CPU's own stacks without a lock.
 *
 * Units    tmm_pfn numbers frames; order is the logarithm of a run's length
 * Errors   tmm_err; results go through out_*, left alone on failure
 * Owning   a run is its borrower's until tmm_pages_free(), same order
 * Locks    takes zone locks (rank ZONE, a leaf); any context.  Sleeps only when
 *          gfp has TMM_GFP_DIRECT_RECLAIM and memory is short
 * Linux    alloc_pages(), __free_pages(), struct zone, /proc/buddyinfo
 */
#ifndef TUXMM_PAGE_ALLOC_H
#define TUXMM_PAGE_ALLOC_H

#include <tuxmm/types.h>

#define TMM_MAX_ORDER     18u /* longest run of any machine: 2^18 frames, 1 GiB */
#define TMM_NR_ORDERS     (TMM_MAX_ORDER + 1)
#define TMM_DEFAULT_ORDER 10u /* longest run unless the shape says otherwise: 4 MiB */
#define TMM_MAX_NODES     16u

enum tmm_zone_id {
	TMM_ZONE_DMA,     /* below 16 MiB */
	TMM_ZONE_DMA32,   /* below 4 GiB; none where there is high memory */
	TMM_ZONE_NORMAL,  /* above, with an address */
	TMM_ZONE_HIGHMEM, /* above, without: not in the direct map */
	TMM_ZONE_MOVABLE, /* the end of each node, if wished: movable runs only */
	TMM_NR_ZONES
};

/*
 * What a request wants and may do: Linux's bits by meaning, not by value.
 * Zone: none means any with an address, highest first; HIGHMEM and MOVABLE
 * together mean any.
 */
typedef uint32_t tmm_gfp;

#define TMM_GFP_DMA              (1u << 0)  /* only ZONE_DMA */
#define TMM_GFP_DMA32            (1u << 1)  /* ZONE_DMA32 or below */
#define TMM_GFP_HIGHMEM          (1u << 2)  /* frames without an address will do */
#define TMM_GFP_MOVABLE          (1u << 3)  /* the owner can move it */
#define TMM_GFP_RECLAIMABLE      (1u << 4)  /* a shrinker can free it */
#define TMM_GFP_THISNODE         (1u << 5)  /* from the asked node or not at all */
#define TMM_GFP_HIGH             (1u << 6)  /* may dig into half of the min reserve */
#define TMM_GFP_IO               (1u << 7)  /* reclaim may start I/O */
#define TMM_GFP_FS               (1u << 8)  /* reclaim may call the file system */
#define TMM_GFP_DIRECT_RECLAIM   (1u << 9)  /* the caller may sleep and reclaim */
#define TMM_GFP_KSWAPD           (1u << 10) /* wake background reclaim when low */
#define TMM_GFP_ZERO             (1u << 11) /* contents read as zeroes */
#define TMM_GFP_NORETRY          (1u << 12) /* reclaim once, then give up */
#define TMM_GFP_RETRY_MAYFAIL    (1u << 13) /* try hard, but kill nobody for it */
#define TMM_GFP_NOFAIL           (1u << 14) /* wait for as long as it takes */
#define TMM_GFP_NOWARN           (1u << 15) /* no report of a failure */
#define TMM_GFP_MEMALLOC         (1u << 16) /* ignore watermarks: frees more than it takes */
#define TMM_GFP_NOMEMALLOC       (1u << 17) /* never below the watermarks, MEMALLOC or not */
#define TMM_GFP_ACCOUNT          (1u << 18) /* kmalloc: for a control group's account */

#define TMM_GFP_COMP             (1u << 19) /* one thing: tmm_page_head(), freed as a whole */

#define TMM_GFP_NOWAIT           TMM_GFP_KSWAPD
#define TMM_GFP_ATOMIC           (TMM_GFP_HIGH | TMM_GFP_KSWAPD)
#define TMM_GFP_RECLAIM          (TMM_GFP_DIRECT_RECLAIM | TMM_GFP_KSWAPD)
#define TMM_GFP_NOIO             TMM_GFP_RECLAIM
#define TMM_GFP_NOFS             (TMM_GFP_RECLAIM | TMM_GFP_IO)
#define TMM_GFP_KERNEL           (TMM_GFP_RECLAIM | TMM_GFP_IO | TMM_GFP_FS)
#define TMM_GFP_USER             TMM_GFP_KERNEL
#define TMM_GFP_HIGHUSER         (TMM_GFP_USER | TMM_GFP_HIGHMEM)
#define TMM_GFP_HIGHUSER_MOVABLE (TMM_GFP_HIGHUSER | TMM_GFP_MOVABLE)
#define TMM_GFP_TRANSHUGE_LIGHT                                                                \
	((TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_COMP | TMM_GFP_NOMEMALLOC | TMM_GFP_NOWARN) &     \
	 ~TMM_GFP_RECLAIM)
#define TMM_GFP_TRANSHUGE (TMM_GFP_TRANSHUGE_LIGHT | TMM_GFP_DIRECT_RECLAIM)

struct tmm_pages; /* fields: core/page/page_system.h */

/*
 * Borrow 2^order frames, aligned to their own length.  Contents are unspecified
 * unless gfp has TMM_GFP_ZERO.  Runs taken one after another rise with their
 * address as long as a block lasts.
 *   TMM_OK       *out_pfn is the first frame
 *   TMM_E_NOMEM  no free run is that long above the watermark gfp may reach
 *   TMM_E_INVAL  order > tmm_pages_max_order()
 * With TMM_GFP_DIRECT_RECLAIM a request that cannot be served reclaims and tries
 * again as long as that frees something; being called for it where
 * tmm_port_may_sleep() says no panics.  TMM_GFP_NOFAIL panics where it would fail.
 */
TMM_MUST_CHECK tmm_err tmm_pages_alloc(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                       tmm_pfn *out_pfn);

/*
 * Give a run back.  A (pfn, order) that is not lent is the caller's bug: panics, at
 * once where this CPU can see it (core/page/page_alloc.c says what it can).
 */
void tmm_pages_free(struct tmm_pages *pages, tmm_pfn pfn, unsigned order);

/*
 * A run lent with TMM_GFP_COMP is known by each of its frames: the first one, and the
 * run's order.  Freeing it in another order or from another frame panics.  Of other
 * frames the answer is the frame itself, and 0.  The frame must be lent.
 */
tmm_pfn tmm_page_head(const struct tmm_pages *pages, tmm_pfn pfn);
unsigned tmm_page_order(const struct tmm_pages *pages, tmm_pfn pfn);

/*
 * Borrow up to nr single frames, rising where possible; returns how many.
 * Less than nr only when memory is short.  Each is freed by itself, order 0.
 */
size_t tmm_pages_alloc_bulk(struct tmm_pages *pages, tmm_gfp gfp, size_t nr, tmm_pfn *out);
void tmm_pages_free_bulk(struct tmm_pages *pages, size_t nr, const tmm_pfn *pfns);

/*
 * The frame's address in the direct map, good for TMM_PAGE_SIZE << order bytes,
 * and the reverse.  An address or frame outside RAM panics.
 */
void *tmm_page_address(const struct tmm_pages *pages, tmm_pfn pfn);
tmm_pfn tmm_virt_to_pfn(const struct tmm_pages *pages, const void *address);

/*
 * Borrow as many adjacent frames as size_bytes needs and no more: what is left of
 * the next longer run is free at once.  The frames may be freed one by one.
 *   TMM_OK, TMM_E_NOMEM
 *   TMM_E_INVAL  no bytes, or more than the longest run
 */
TMM_MUST_CHECK tmm_err tmm_pages_alloc_exact(struct tmm_pages *pages, tmm_gfp gfp,
                                             uint64_t size_bytes, tmm_pfn *out_pfn);
void tmm_pages_free_exact(struct tmm_pages *pages, tmm_pfn pfn, uint64_t size_bytes);

/*
 * Empty every stack of the calling CPU into the zones; of all CPUs, idle ones too.
 * That stops each of them for a moment (tmm_port_barrier_all; where the port cannot,
 * others empty theirs when they next use them), so not with interrupts off.  Memory that
 * runs short does it too, and a thread that leaves its CPU leaves nothing there.
 */
void tmm_pages_drain(struct tmm_pages *pages);
void tmm_pages_drain_all(struct tmm_pages *pages);

/*
 * How many single frames of a zone and kind a CPU may keep, and how many it takes or
 * gives back at a time; runs in proportion.  0: by the size of the zones.  Stops
 * other CPUs as tmm_pages_drain_all() does.
 *   TMM_E_INVAL  more than 512, or batch_pages > high_pages
 */
TMM_MUST_CHECK tmm_err tmm_pages_set_stacks(struct tmm_pages *pages, uint64_t high_pages,
                                            uint64_t batch_pages);

/*
 * Linux's vm.min_free_kbytes (0: by formula), vm.watermark_scale_factor (1..3000) and
 * vm.lowmem_reserve_ratio (0: no reserve).  At run time; one caller at a time.
 *   TMM_E_INVAL  out of that range, or more than there is
 */
TMM_MUST_CHECK tmm_err tmm_pages_set_min_free(struct tmm_pages *pages, uint64_t kbytes);
TMM_MUST_CHECK tmm_err tmm_pages_set_watermark_scale(struct tmm_pages *pages, uint32_t factor);
TMM_MUST_CHECK tmm_err tmm_pages_set_reserve_ratio(struct tmm_pages *pages,
                                                   enum tmm_zone_id zone, uint32_t ratio);

/*
 * Linux's vm.watermark_boost_factor: when part of a block was claimed for another type, its
 * zone's watermarks are a block higher till background reclaim has run, up to so many
 * 1/10000 of the high one.  15000 unless set; 0: never.
 */
void tmm_pages_set_watermark_boost(struct tmm_pages *pages, uint32_t factor);
uint32_t tmm_pages_watermark_boost(const struct tmm_pages *pages);

/*
 * What the allocator starts when memory is short; a storey above fills the table.
 * Called without locks; each may be NULL.  All but wake_kswapd() may sleep.
 */
struct tmm_reclaim_ops {
	/* Free something; returns the pages freed, 0: nothing is left to free. */
	uint64_t (*reclaim)(void *arg, tmm_gfp gfp, unsigned order);

	/* A node came down to its low watermarks: note it, reclaim in the background. */
	void (*wake_kswapd)(void *arg, unsigned node, tmm_gfp gfp, unsigned order,
	                    enum tmm_zone_id highest);

	/* Pages of a zone that reclaim might still free; without it: as long as it does. */
	uint64_t (*reclaimable)(void *arg, unsigned node, enum tmm_zone_id zone);

	/* Kill something; true: its memory comes back. */
	bool (*oom)(void *arg, tmm_gfp gfp, unsigned order);
};

/* NULL ops: nothing can be reclaimed.  Before any second CPU allocates. */
void tmm_pages_set_reclaim(struct tmm_pages *pages, const struct tmm_reclaim_ops *ops,
                           void *arg);

/* Runs lent from a zone since boot, by what was wished for (Linux: numastat). */
struct tmm_numa_counts {
	uint64_t hit;            /* from the node wished for */
	uint64_t miss;           /* from here, though another node was wished for */
	uint64_t foreign;        /* from elsewhere, though this node was wished for */
	uint64_t interleave_hit; /* hits of TMM_POLICY_INTERLEAVE */
	uint64_t local, other;   /* to a CPU of this node, of another one */
};

/* Counts of one zone; a consistent snapshot. */
struct tmm_zone_info {
	const char *name; /* "DMA", "DMA32", "Normal", "HighMem", "Movable" */
	uint32_t node;
	uint32_t nr_orders;       /* of free_area: tmm_pages_max_order() + 1 */
	tmm_pfn start;            /* first frame of the span */
	uint64_t spanned_pages;   /* with holes */
	uint64_t present_pages;   /* that are RAM */
	uint64_t managed_pages;   /* handed over by memblock */
	uint64_t free_pages;      /* in the zone, stacks not counted, as Linux counts */
	uint64_t stack_pages;     /* free, on the stacks of CPUs */
	uint64_t cma_pages;       /* of contiguous areas */
	uint64_t free_cma_pages;  /* those of free_pages that are such */
	uint64_t watermark_boost; /* part of each of the next */
	uint64_t watermark_min, watermark_low, watermark_high;
	uint64_t lowmem_reserve[TMM_NR_ZONES];
	uint64_t free_area[TMM_NR_ORDERS]; /* free runs of each order, fully merged */
	struct tmm_numa_counts numa;
};

/* False when the node has no memory in that zone; *out then has names and zeroes. */
bool tmm_zone_info(struct tmm_pages *pages, unsigned node, enum tmm_zone_id zone,
                   struct tmm_zone_info *out);

/* Does the machine know such zones?  One with high memory has no DMA32, others no HighMem. */
bool tmm_zone_exists(const struct tmm_pages *pages, enum tmm_zone_id zone);

unsigned tmm_pages_nr_nodes(const struct tmm_pages *pages);
unsigned tmm_pages_max_order(const struct tmm_pages *pages);

/* What CPU `cpu` keeps of a zone on its stacks; false without such a zone or CPU. */
struct tmm_stack_info {
	uint64_t count_pages; /* free, on the stacks */
	uint64_t high_pages;  /* beyond that some go back to the zone */
	uint64_t batch_pages; /* taken from the zone or given back at a time */
};
bool tmm_zone_stack_info(struct tmm_pages *pages, unsigned node, enum tmm_zone_id zone,
                         unsigned cpu, struct tmm_stack_info *out);

/* What happened since boot, all CPUs together (Linux: pgalloc_*, allocstall_*, pgfree). */
struct tmm_page_events {
	uint64_t allocated_pages[TMM_NR_ZONES];
	uint64_t stalls[TMM_NR_ZONES]; /* requests that had to reclaim, by zone asked for */
	uint64_t freed_pages;
	uint64_t pagecache_drops, slab_drops; /* calls of tmm_drop_caches() */
};
void tmm_pages_events(struct tmm_pages *pages, struct tmm_page_events *out);

/* Frames lent to no one, stacks included; and all that zones manage. */
uint64_t tmm_pages_free_count(struct tmm_pages *pages);
uint64_t tmm_pages_managed_count(const struct tmm_pages *pages);

/* Panics unless bits, counts, lists and stacks agree.  No CPU may be allocating. */
void tmm_pages_check(struct tmm_pages *pages);

#endif
