/*
 * page_system.h - the page allocator's own state, and struct page by number
 *
 * Storeys above use page_of(), page_pfn(), page_address(), pfn_valid(), pfn_node(),
 * pages_low(), count_vm_event(), node_stat_add() and its kin, and the pair pages_init(),
 * pages_fini(); the fields are for core/page alone.
 */
#ifndef TUXMM_PAGE_PAGE_SYSTEM_H
#define TUXMM_PAGE_PAGE_SYSTEM_H

#include <tuxmm/memblock.h>

#include "base/cpu.h"
#include "page/block.h"
#include "page/block_set.h"
#include "page/cma.h"
#include "page/model.h"
#include "page/page.h"
#include "page/vmstat.h"

/* Orders that CPUs keep on stacks; the last takes all others and holds nothing. */
enum stack_class { STACK_0, STACK_1, STACK_2, STACK_3, STACK_BLOCK, STACK_NONE, NR_CLASSES };

/*
 * Each class has a stack for each of the migrate types that a request can have, by
 * its number.  Frames whose block is kept for something else come back to
 * STACK_TYPE_NONE, which holds nothing, and so to the zone.
 */
#define STACK_TYPE_NONE 3u
#define NR_STACK_TYPES  4u
#define NR_STACKS       (STACK_NONE * NR_STACK_TYPES) /* that may hold something */

#define STACK_MAX       512u /* entries of a stack of single frames */
#define RECENT_SLOTS    1024u

/* An entry is the run's first frame, and whether it was never lent since boot. */
#define ENTRY_FRESH (UINT32_C(1) << 31)
#define ENTRY_PFN   (ENTRY_FRESH - 1)
#define RECENT_NONE UINT32_MAX
#define MAX_PFN     UINT64_C(0x7ffffffe) /* RAM ends at 8 TiB */

/*
 * Guarded, with all per-CPU fields, by being that CPU.  (a) read by others,
 * relaxed.  Runs lent from the stack = from_zone + freed - those on it: one
 * counter on the hot path serves two events.
 */
struct frame_stack {
	uint32_t *top;      /* (a) where the next one goes */
	uint32_t *bottom;   /* (c) */
	uint32_t *end;      /* (a) bottom + limit */
	uint64_t freed;     /* (a) runs that borrowers gave back */
	uint64_t from_zone; /* (a) runs taken from the zone less those given to it */
	uint32_t batch;     /* (a) runs taken from the zone at a time */
} __attribute__((aligned(64)));

#define CPU_ZONE_BYTES 12288u
#define STACKS_BYTES   (NR_CLASSES * NR_STACK_TYPES * (unsigned)sizeof(struct frame_stack))

#define COUNTS_BYTES   (8u * (unsigned)sizeof(uint64_t))

#define STRIPS_BYTES   (STACK_TYPE_NONE * (unsigned)sizeof(uint32_t))

/* What is left are entries: room for all stacks' limits (stack.c). */
#define NR_STACK_ENTRIES                                                                       \
	((CPU_ZONE_BYTES - STACKS_BYTES - COUNTS_BYTES - STRIPS_BYTES) /                       \
	 (unsigned)sizeof(uint32_t))

/*
 * Requests by node.  Hits are not counted: they are what was lent, less the
 * misses; and whether that is local follows from the CPU's node and the zone's.
 */
enum numa_count {
	NUMA_DIRECT,     /* runs lent past the stacks */
	NUMA_MISS,       /* runs lent from here though another node was wished for */
	NUMA_FOREIGN,    /* runs wished for from here and lent from another node */
	NUMA_INTERLEAVE, /* runs lent from here because it was this node's turn */
	NR_NUMA_COUNTS
};

struct cpu_zone {
	struct frame_stack stack[NR_CLASSES * NR_STACK_TYPES]; /* by stack_id() */
	uint64_t count[COUNTS_BYTES / sizeof(uint64_t)];       /* (a) by enum numa_count */
	uint32_t strip[STACK_TYPE_NONE]; /* 1 + the strip a type's frames come from, 0: none */
	uint32_t entry[NR_STACK_ENTRIES];
};

_Static_assert(sizeof(struct cpu_zone) == CPU_ZONE_BYTES, "nothing is left over");

/*
 * All stacks of a CPU have numbers from 1 on, so that the hot path finds one by a single
 * addition.
 */
#define CPU_ZONE_STACKS (CPU_ZONE_BYTES / (unsigned)sizeof(struct frame_stack))

/* Bits of a gfp that say where the first choice is. */
#define NR_FIRST_CHOICES 64u

/*
 * zone[] has one more than there are zones, never filled: the first choice of
 * requests for which there is no zone.  recent[] knows free frames of the stacks
 * by number; frames RECENT_SLOTS apart share a slot and the last one put there has it.
 */
struct page_cpu {
	/* Of single frames, by a gfp's low bits; those of longer runs are behind it. */
	struct frame_stack *first_stack[NR_FIRST_CHOICES];
	uint16_t node, id;            /* (c) */
	uint32_t asked;               /* (a) set by others: ASK_*, in stack.h */
	uint32_t inside;              /* (a) 1: the CPU is at its stacks */
	uint64_t event[NR_VM_EVENTS]; /* (a) stacks' share not included */
	uint64_t node_stat[TMM_MAX_NODES][NR_NODE_STATS]; /* (a) ups less downs, here */
	struct tmm_account *active;    /* (a) whom its requests are charged to, or NULL */
	uint64_t stock;                /* (a) changed by others, too: account.c */
	uint32_t recent[RECENT_SLOTS]; /* first frame of a run on a stack, or RECENT_NONE */
	struct frame_stack stack_0;    /* of no zone: what has number 0 has no stack */
	struct cpu_zone zone[];
};

#define NR_LONGEST (LONGEST_WHOLE + 1)

/* Isolated blocks are lent by nobody, so they are filed nowhere. */
#define NR_FILED_TYPES TMM_MIGRATE_ISOLATE

enum watermark { MARK_MIN, MARK_LOW, MARK_HIGH, NR_MARKS };

/* Direct compaction that was in vain lately is not tried every time. */
struct compact_defer {
	uint32_t considered; /* requests turned away since */
	uint32_t shift;      /* 2^shift of them before the next try */
	uint32_t order;      /* the least order it was in vain for, when shift is not 0 */
};

/* (c) constant after init  (z) lock  (a) readable without it, relaxed */
struct zone {
	struct lock lock;
	enum tmm_zone_id id;       /* (c) */
	uint8_t node;              /* (c) */
	uint8_t index;             /* (c) in tmm_pages.zone[] */
	uint64_t start, end;       /* (z) frames from the first RAM to the last */
	uint64_t present, managed; /* (z, a) frames */
	uint64_t nr_free;          /* (z, a) set bits */
	uint64_t nr_free_of[TMM_NR_MIGRATE_TYPES]; /* (z, a) of them, in blocks of a type */
	uint64_t mark[NR_MARKS];                   /* (a) frames, without the boost */
	uint64_t boost; /* (z, a) on top of each mark, till background reclaim has run */
	uint64_t reserve[TMM_NR_ZONES]; /* (a) kept from requests that may use zone i */
	uint64_t nr_highatomic;         /* (z) frames of blocks of that type */
	uint64_t nr_claimed;          /* (z) blocks that changed their type to serve another */
	uint64_t nr_foreign;          /* (z) frames lent from blocks of another type */
	uint64_t nr_deferred;         /* (z) of nr_free: in blocks that are not entered */
	uint64_t next_part;           /* (z) the lowest that may wait to be entered */
	struct compact_defer defer;   /* (z) when not to compact: compact.c */
	uint64_t scan_low, scan_high; /* (z) blocks where requests' scanners go on */
	uint32_t nr_scanners[2];      /* (z) who looks at frames without the lock */
	uint32_t scan_phase;          /* (z) 0 or 1: where the next one is counted */

	/* (z) Blocks by type and block_info.longest; [0] is not used.  Bit i of the mask: [i]
	 * has some. */
	struct block_set by_longest[NR_FILED_TYPES][NR_LONGEST];
	uint64_t nr_set_words; /* (c) 64 blocks each, up to where the zone can end */
	uint16_t
		*strip_cpu; /* (z) [nr_set_words] 1 + whose strip it is, 0: nobody's: strip.c */
	uint16_t longest_mask[NR_FILED_TYPES];
};

/* One for each zone kind of each node, were they all there; HOME_ZONE names it. */
#define MAX_ZONES     62u
#define ZONE_NONE     UINT8_MAX

#define MAX_CMA_AREAS 8u

/* (c) constant after init */
struct page_node {
	uint64_t start, end;              /* (c) frames from the first RAM to the last */
	uint64_t present;                 /* (a) frames; 0: a node without memory */
	uint64_t movable_start;           /* (c) frames from here on are MOVABLE; 0: none */
	uint8_t zone_index[TMM_NR_ZONES]; /* (c) in tmm_pages.zone[], or ZONE_NONE */
	uint8_t zonelist[MAX_ZONES];     /* (c) every zone: nearest node first, highest first */
	uint8_t nr_zonelist;             /* (c) */
	uint8_t distance[TMM_MAX_NODES]; /* (c) */
};

/*
 * How frames without an address are reached: filled in by core/map at boot.  Local mappings
 * are undone in reverse order on the same CPU, and never fail; long ones can be NULL.
 */
struct high_ops {
	void *(*map_local)(void *arg, tmm_pfn pfn);
	void (*unmap_local)(void *arg, const void *address);
	void *(*map_long)(void *arg, tmm_pfn pfn);
	void (*unmap_long)(void *arg, const void *address);
	tmm_pfn (*frame_at)(void *arg, const void *address);
};

/* What is known of a section beside memblock's lists. */
#define PLACE_OFFLINE 0x80u /* RAM that no zone has, on node PLACE_NODE */
#define PLACE_MOVABLE 0x40u /* it is of the MOVABLE zone */
#define PLACE_NODE    0x0fu

_Static_assert(TMM_MAX_NODES <= PLACE_NODE + 1, "a place has room for any node");

/* Slots by number, in tables of a frame each: slot_tree.h. */
struct slot_tree {
	uint64_t root;      /* (a) address of the first table; 0: there is none yet */
	unsigned nr_levels; /* (c) */
};

/* (l) lock */
struct accounts {
	struct lock lock;
	struct slot_tree ids;    /* accounts by their ids */
	struct slot_tree frames; /* who is charged, by frame */
	uint32_t nr;             /* (l) accounts */
	uint64_t nr_tables;      /* (a) frames of both trees */
};

/* (c) constant after init  (s) whoever sets: one at a time, says the interface */
struct tmm_pages {
	void *ram;               /* (c) where frame 0 is, or would be */
	uint64_t first_pfn;      /* (c) of an even block */
	uint64_t nr_frames;      /* (c) of the span, whole pairs of blocks */
	struct block_bits *bits; /* (c) the array; contents: the zone's lock */
	struct block_info *info; /* (c) likewise */
	/*
	 * (c) likewise; contents (a): by block, the number of the stack that single frames go
	 * on when freed, and STACK_ODD; 0: none.  Apart from info, where all else changes.
	 */
	uint16_t *stack;
	struct memory_map map;           /* where descriptors are */
	struct page_cpu **cpu;           /* (c) [cpus->nr] */
	struct cpu_set *cpus;            /* (c) */
	struct tmm_memblock *memblock;   /* (r) what is RAM, and what was handed over */
	struct lock *ram_lock;           /* (c) &ram_lock_here, to lock in const pages */
	struct lock ram_lock_here;       /* hot-plug changes what is marked (r) */
	struct lock stop_lock;           /* whoever has it may take other CPUs' stacks */
	uint64_t managed;                /* (a) frames of all zones */
	uint64_t lowmem_end;             /* (c) frames from here on have no address */
	const struct high_ops *high_ops; /* (c) how they are reached; NULL: they are not */
	void *high_arg;                  /* (c) */
	uint32_t max_order;              /* (c) */
	uint32_t nr_nodes;               /* (c) */
	uint32_t nr_zones;               /* (c) */
	struct zone *zone;               /* (c) [nr_zones]: those with RAM, node by node */
	uint64_t min_free_kbytes;        /* (s) 0: by a formula */
	uint32_t watermark_scale_factor; /* (s) 0: 10 */
	uint32_t watermark_boost_factor; /* (s, a) of the high mark, in 1/10000; 0: no boost */
	uint64_t boosted;                /* (a) bit i: for zone i's boost nobody was woken */
	uint32_t lowmem_reserve_ratio[TMM_NR_ZONES]; /* (s) 0: no reserve */
	uint32_t type_mask;                          /* (c) 3; 0: all blocks are of one type */
	uint8_t first_type; /* (c) enum tmm_migrate_type of blocks that were never lent */
	uint8_t *place;     /* (r) [nr_places], by section: memory_block.c; NULL: no sections */
	uint64_t nr_places; /* (c) */
	uint32_t auto_online;        /* (s, a) enum tmm_block_use of added memory */
	uint8_t *part;               /* (z) [nr_parts], by frame >> part_shift: deferred.h */
	uint64_t nr_parts;           /* (c) */
	uint32_t debug;              /* (c) TMM_DEBUG_* */
	struct frame_record *record; /* (c) by index, or NULL: debug.h */
	char report[400];            /* of the mistake that a panic is about */
	unsigned part_shift;         /* (c) */
	struct tmm_movable mover[NR_PAGE_KINDS]; /* (c) ops NULL: pages of the kind stay */
	uint64_t stack_high_pages;               /* (s, a) 0: by the size of zones */
	uint64_t stack_batch_pages;              /* (s, a) 0: half of it, up to 64 */
	struct tmm_cma cma[MAX_CMA_AREAS];       /* (c) each guards itself */
	uint32_t nr_cma;                         /* (c) */
	struct accounts accounts;
	const struct tmm_reclaim_ops *reclaim_ops;
	void *reclaim_arg;
	const struct ram_ops *ram_ops; /* (c) NULL: nobody has to agree */
	void *ram_arg;                 /* (c) */
	uint32_t nr_reports;           /* (a) failures that were to be reported */
	struct cpu_exit_hook exit_hook;
	struct page_node node[TMM_MAX_NODES];
};

/* Zeroes mean one node, Linux's formulas and no limits. */
struct pages_config {
	void *ram;            /* where physical address 0 is */
	struct cpu_set *cpus; /* with their nodes */
	uint32_t nr_nodes;
	const uint8_t (*distance)[TMM_MAX_NODES]; /* NULL: 10 and 20 */
	uint32_t max_order;
	enum tmm_memory_model memory_model;
	uint64_t section_bytes;
	uint32_t debug;       /* TMM_DEBUG_* */
	uint64_t hotplug_end; /* RAM may be added below this address; 0: where it was at boot */
	uint64_t lowmem_bytes, kernelcore_bytes, movablecore_bytes;
	uint64_t min_free_kbytes;
	uint32_t watermark_scale_factor;
	uint32_t stack_high_pages, stack_batch_pages;
	const struct tmm_cma_spec *cma; /* [nr_cma], at most MAX_CMA_AREAS */
	uint32_t nr_cma;
};

/*
 * Take all of memblock's free memory.  RAM must read as zeroes except where
 * memblock lends it, and memblock must stay as it is until pages_fini().  The
 * allocator's own arrays come from memblock.
 *   TMM_E_INVAL  no memory, memory beyond 8 TiB, or two nodes share a block
 *   TMM_E_NOMEM  memblock cannot give the arrays
 *   TMM_E_RANGE  a contiguous area has no place in one zone
 */
TMM_MUST_CHECK tmm_err pages_init(struct tmm_pages *pages, struct tmm_memblock *memblock,
                                  const struct pages_config *config);

/* What the arrays take at most when all RAM lies within span_bytes. */
uint64_t pages_array_bytes(const struct pages_config *config, uint32_t nr_cpus,
                           uint64_t span_bytes);

/*
 * Show the descriptor of every frame that was ever lent; no CPU may be
 * allocating.  Others were never written and stay so: a sparse machine's are not
 * backed by its host.
 */
typedef void (*page_visit)(void *arg, tmm_pfn pfn, const struct page *page);
void pages_for_each(const struct tmm_pages *pages, page_visit visit, void *arg);

/* Who moves pages of a kind; before any second CPU allocates. */
void pages_set_mover(struct tmm_pages *pages, enum page_kind kind,
                     const struct tmm_migrate_ops *ops, void *arg);

/*
 * Who must agree before RAM is added or removed while the machine runs; after it did,
 * nothing fails any more.  Called without locks; any error refuses.
 */
struct ram_ops {
	tmm_err (*add)(void *arg, uint64_t start, uint64_t end);
	tmm_err (*remove)(void *arg, uint64_t start, uint64_t end);
};

/* Before any second CPU is there. */
void pages_set_ram_ops(struct tmm_pages *pages, const struct ram_ops *ops, void *arg);

/* For a mover: the descriptor of `from` is that of `to` from now on. */
void page_take_over(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to);

/* Every frame must be back (asserted).  The arrays' memory stays reserved. */
void pages_fini(struct tmm_pages *pages);

/* Has the frame a descriptor?  It may still be in a hole. */
static inline bool pfn_valid(const struct tmm_pages *pages, tmm_pfn pfn)
{
	return map_has(&pages->map, pfn.v);
}

/* May the frame be RAM, so that there is something kept for it?  Cheap. */
static ALWAYS_INLINE bool pfn_in_span(const struct tmm_pages *pages, uint64_t pfn)
{
	return map_index(&pages->map, pfn) != NO_INDEX;
}

/* The frame has a descriptor (asserted where that is cheap). */
static inline struct page *page_of(const struct tmm_pages *pages, tmm_pfn pfn)
{
	return map_page(&pages->map, pfn.v);
}

/* tmm_page_address() for a frame that is known to be RAM. */
static inline void *page_address(const struct tmm_pages *pages, tmm_pfn pfn)
{
	return (char *)pages->ram + (pfn.v << TMM_PAGE_SHIFT);
}

/* While one CPU runs. */
static inline void pages_set_high(struct tmm_pages *pages, const struct high_ops *ops,
                                  void *arg)
{
	pages->high_ops = ops;
	pages->high_arg = arg;
}

/*
 * A frame's address for a moment, whether it has one of its own or not; and for longer,
 * NULL: not now.
 */
static inline void *page_map_local(const struct tmm_pages *pages, tmm_pfn pfn)
{
	if (likely(pfn.v < pages->lowmem_end))
		return page_address(pages, pfn);
	return pages->high_ops->map_local(pages->high_arg, pfn);
}

/* Is it an address of the direct map? */
static inline bool is_low_address(const struct tmm_pages *pages, const void *address)
{
	uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)pages->ram);

	return likely(offset >> TMM_PAGE_SHIFT < pages->lowmem_end) &&
	       (!pages->high_ops || pfn_in_span(pages, offset >> TMM_PAGE_SHIFT));
}

static inline void page_unmap_local(const struct tmm_pages *pages, const void *address)
{
	if (unlikely(!is_low_address(pages, address)))
		pages->high_ops->unmap_local(pages->high_arg, address);
}

static inline void *page_map_long(const struct tmm_pages *pages, tmm_pfn pfn)
{
	if (likely(pfn.v < pages->lowmem_end))
		return page_address(pages, pfn);
	return pages->high_ops->map_long(pages->high_arg, pfn);
}

static inline void page_unmap_long(const struct tmm_pages *pages, const void *address)
{
	if (unlikely(!is_low_address(pages, address)))
		pages->high_ops->unmap_long(pages->high_arg, address);
}

/*
 * Long addresses for nr frames, waiting until there are as many; no lock of a spinning rank
 * is held.  All or none, so that two who wait do not wait for each other.
 */
static inline void pages_map_wait(const struct tmm_pages *pages, size_t nr, const tmm_pfn *pfn,
                                  void **out_address)
{
	for (size_t i = 0; i < nr; i++) {
		out_address[i] = page_map_long(pages, pfn[i]);
		if (likely(out_address[i]))
			continue;
		while (i > 0)
			page_unmap_long(pages, out_address[--i]);
		tmm_port_relax();
		i = SIZE_MAX; /* from the first on */
	}
}

/* The frame of an address that either gave. */
static inline tmm_pfn page_frame_at(const struct tmm_pages *pages, const void *address)
{
	if (likely(is_low_address(pages, address)))
		return tmm_virt_to_pfn(pages, address);
	return pages->high_ops->frame_at(pages->high_arg, address);
}

/* From the bytes of one frame to those of another. */
static inline void page_copy(const struct tmm_pages *pages, tmm_pfn to, tmm_pfn from)
{
	const void *source = page_map_local(pages, from);
	void *target = page_map_local(pages, to);

	memcpy(target, source, TMM_PAGE_SIZE);
	page_unmap_local(pages, target);
	page_unmap_local(pages, source);
}

static inline tmm_pfn page_pfn(const struct tmm_pages *pages, const struct page *page)
{
	return (tmm_pfn){map_pfn(&pages->map, page)};
}

static ALWAYS_INLINE struct page_cpu *page_cpu_self(const struct tmm_pages *pages)
{
	return pages->cpu[cpu_self(pages->cpus)->id];
}

/* relaxed: a counter of this CPU's alone, which others only add up */
static ALWAYS_INLINE void page_cpu_count(struct page_cpu *cpu, unsigned event, uint64_t nr)
{
	__atomic_store_n(&cpu->event[event], cpu->event[event] + nr, __ATOMIC_RELAXED);
}

static inline void count_vm_events(const struct tmm_pages *pages, enum vm_event event,
                                   uint64_t nr)
{
	page_cpu_count(page_cpu_self(pages), event, nr);
}

static inline void count_vm_event(const struct tmm_pages *pages, enum vm_event event)
{
	count_vm_events(pages, event, 1);
}

/* relaxed: hot-plug changes sizes while others look, and any moment's value will do */
static inline uint64_t size_of(const uint64_t *size)
{
	return __atomic_load_n(size, __ATOMIC_RELAXED);
}

static inline void size_change(uint64_t *size, uint64_t by)
{
	__atomic_store_n(size, *size + by, __ATOMIC_RELAXED);
}

/* relaxed: whoever sets watermarks does so while others allocate */
static inline uint64_t zone_plain_mark(const struct zone *zone, enum watermark mark)
{
	return __atomic_load_n(&zone->mark[mark], __ATOMIC_RELAXED);
}

/* relaxed: a moment's value */
static inline uint64_t zone_boost(const struct zone *zone)
{
	return __atomic_load_n(&zone->boost, __ATOMIC_RELAXED);
}

static inline uint64_t zone_mark(const struct zone *zone, enum watermark mark)
{
	return zone_plain_mark(zone, mark) + zone_boost(zone);
}

static inline uint64_t zone_reserve(const struct zone *zone, enum tmm_zone_id wanted)
{
	return __atomic_load_n(&zone->reserve[wanted], __ATOMIC_RELAXED);
}

/*
 * Has free memory come down to the high watermarks?  Cheap, a moment's value: says
 * whether to be sparing.
 */
static inline bool pages_low(const struct tmm_pages *pages)
{
	uint64_t nr_free = 0, high = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		/* relaxed: a moment's value */
		nr_free += __atomic_load_n(&pages->zone[z].nr_free, __ATOMIC_RELAXED);
		high += zone_plain_mark(&pages->zone[z], MARK_HIGH);
	}
	return nr_free <= high;
}

/* Where a frame's bits and its block's facts are. */
static ALWAYS_INLINE uint64_t block_of(const struct tmm_pages *pages, uint64_t pfn)
{
	return map_index(&pages->map, pfn) >> BLOCK_ORDER;
}

static ALWAYS_INLINE uint64_t *word_of(const struct tmm_pages *pages, uint64_t pfn)
{
	return &pages->bits->word[0] + map_index(&pages->map, pfn) / 64;
}

/* The first frame of a block. */
static inline uint64_t block_base(const struct tmm_pages *pages, uint64_t block)
{
	return map_frame_at(&pages->map, block << BLOCK_ORDER);
}

static inline uint64_t nr_blocks(const struct tmm_pages *pages)
{
	return pages->map.nr_indexes >> BLOCK_ORDER;
}

/* The node of a frame that is lent. */
static ALWAYS_INLINE unsigned pfn_node(const struct tmm_pages *pages, tmm_pfn pfn)
{
	if (pages->nr_nodes == 1)
		return 0;
	return pages->zone[home_zone(&pages->info[block_of(pages, pfn.v)])].node;
}

static ALWAYS_INLINE void node_stat_count(const struct tmm_pages *pages, unsigned node,
                                          enum node_stat item, int64_t nr)
{
	tmm_irq irq = tmm_port_irq_save();
	uint64_t *count = &page_cpu_self(pages)->node_stat[node][item];

	/* relaxed: a counter of this CPU's alone, which others only add up */
	__atomic_store_n(count, *count + (uint64_t)nr, __ATOMIC_RELAXED);
	tmm_port_irq_restore(irq);
}

/* `nr` more pages, or fewer, of which this is one and the others are in its block. */
static ALWAYS_INLINE void node_stat_add(const struct tmm_pages *pages, tmm_pfn pfn,
                                        enum node_stat item, int64_t nr)
{
	node_stat_count(pages, pfn_node(pages, pfn), item, nr);
}

/* Each of the frames once, up or down. */
void node_stat_add_pages(const struct tmm_pages *pages, const tmm_pfn *pfns, size_t nr,
                         enum node_stat item, int sign);

/* A page goes from one frame to another, and may change its node. */
static inline void node_stat_move(const struct tmm_pages *pages, tmm_pfn from, tmm_pfn to,
                                  enum node_stat item)
{
	node_stat_add(pages, from, item, -1);
	node_stat_add(pages, to, item, 1);
}

static ALWAYS_INLINE unsigned stack_id(unsigned stack_class, unsigned type)
{
	return stack_class * NR_STACK_TYPES + type;
}

/* The types that a request can have, and what comes back like them. */
static inline unsigned stack_type_of(unsigned type)
{
	if (type == TMM_MIGRATE_CMA)
		return TMM_MIGRATE_MOVABLE;
	return type < STACK_TYPE_NONE ? type : STACK_TYPE_NONE;
}

/* Of a zone's stack by its id. */
static inline unsigned stack_number(unsigned zone, unsigned id)
{
	return 1 + zone * CPU_ZONE_STACKS + id;
}

static ALWAYS_INLINE struct frame_stack *stack_at(struct page_cpu *cpu, size_t number)
{
	return (struct frame_stack *)(void *)((char *)cpu +
	                                      offsetof(struct page_cpu, stack_0)) +
	       number;
}

static inline unsigned order_of_class(unsigned stack_class)
{
	return stack_class == STACK_BLOCK ? BLOCK_ORDER : stack_class;
}

static inline unsigned order_of_stack(unsigned id)
{
	return order_of_class(id / NR_STACK_TYPES);
}

/* What stack a request takes from; NR_STACK_TYPES - 1, which is none, when it has both bits. */
static ALWAYS_INLINE unsigned stack_type_of_gfp(const struct tmm_pages *pages, tmm_gfp gfp)
{
	return gfp / TMM_GFP_MOVABLE & pages->type_mask;
}

#endif
