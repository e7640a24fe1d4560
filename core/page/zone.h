/*
 * zone.h - what is done to a zone's blocks with its lock held
 */
#ifndef TUXMM_PAGE_ZONE_H
#define TUXMM_PAGE_ZONE_H

#include "page/page_system.h"

/* Runs inside one word, as they come from a zone. */
struct taken {
	uint64_t pfn;    /* of the word's first frame */
	uint64_t starts; /* first frames of the runs */
	uint64_t fresh;  /* those of them that were never lent since boot */
};

/*
 * From whose blocks a request is served: those of its type, and of the others as
 * far as these bits allow.
 */
#define FROM_CMA        1u /* the pages will be movable */
#define FROM_HIGHATOMIC 2u /* from the reserve before anything else */
#define FROM_RESERVE    4u /* from the same reserve when there is nothing else */

#define FROM_TAKER      8u /* shift of 1 + the CPU that has strips: strip.c; 0: nobody */

struct source {
	enum tmm_migrate_type type; /* one that a request can have */
	unsigned from;              /* FROM_*, and who is to be kept apart from others */
};

static inline unsigned source_taker(struct source source)
{
	return source.from >> FROM_TAKER;
}

/*
 * Take up to `want` runs of 2^order frames, order <= WORD_ORDER: the lowest ones
 * of one word of the block that can serve with the least loss of longer runs.
 * Returns how many; 0: there is none.  Watermarks are the caller's business.
 */
unsigned zone_take_word(struct tmm_pages *pages, struct zone *zone, struct source source,
                        unsigned order, unsigned want, struct taken *out)
	TMM_REQUIRES(zone->lock);

/* Take one run longer than a word; *out: a stack entry. */
bool zone_take_long(struct tmm_pages *pages, struct zone *zone, struct source source,
                    unsigned order, uint32_t *out) TMM_REQUIRES(zone->lock);

/* Take up to `want` whole blocks, lowest first; entry[]: stack entries.  Returns how many. */
unsigned zone_take_whole(struct tmm_pages *pages, struct zone *zone, struct source source,
                         unsigned want, uint32_t *entry) TMM_REQUIRES(zone->lock);

/* Give a run back; panics when a frame of it is free. */
void zone_give(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, unsigned order)
	TMM_REQUIRES(zone->lock);

/* Give back single frames, by their stack entries; those of one word that adjoin, together. */
void zone_give_frames(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                      size_t nr) TMM_REQUIRES(zone->lock);

/*
 * Are the 64 entries from here on the frames of one word, in order or in reverse?  They are
 * where as many were freed one after another.
 */
static inline bool entries_are_word(const uint32_t *entry)
{
	uint32_t first = entry[0], step = entry[1] - first, differ = 0;

	if ((step != 1 && step != UINT32_MAX) || first % 64 != (step == 1 ? 0 : 63))
		return false;
	for (uint32_t i = 0; i < 64; i++) /* compilers make it wide */
		differ |= entry[i] ^ (first + i * step);
	return differ == 0;
}

/* Give back those of the 64 frames from pfn, a multiple of 64, that are set in mask. */
void zone_give_mask(struct tmm_pages *pages, struct zone *zone, uint64_t pfn, uint64_t mask)
	TMM_REQUIRES(zone->lock);

/* File the block under another bound of its longest run. */
void zone_file_block(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                     unsigned longest) TMM_REQUIRES(zone->lock);

/* The lowest block of the least filing of a type that may hold such a run. */
static inline bool zone_find_of_type(const struct zone *zone, unsigned type, unsigned order,
                                     uint64_t *out_block) TMM_REQUIRES(zone->lock)
{
	unsigned filed = (unsigned)zone->longest_mask[type] >> (order + 1);

	if (!filed)
		return false;
	filed = order + 1 + (unsigned)__builtin_ctz(filed);
	*out_block = block_set_first(&zone->by_longest[type][filed]);
	return true;
}

/* strip.c */

/*
 * zone_find_block() for the source's taker, in a strip that is no other CPU's; false: to be
 * kept apart costs too much, or there is no block at all.
 */
bool strip_find(struct tmm_pages *pages, struct zone *zone, struct source source,
                unsigned order, uint64_t *out_block) TMM_REQUIRES(zone->lock);

/* For the CPU itself, or who has its stacks. */
static inline bool strips_any(const struct cpu_zone *cz)
{
	return (cz->strip[0] | cz->strip[1] | cz->strip[2]) != 0;
}

/* The CPU has no strips of the zone's any more. */
void strips_leave(struct zone *zone, struct cpu_zone *cz) TMM_REQUIRES(zone->lock);

/* mobility.c */

/* What zone_find_block() does when it is not as simple as that. */
bool zone_find_elsewhere(struct tmm_pages *pages, struct zone *zone, struct source source,
                         unsigned order, uint64_t *out_block) TMM_REQUIRES(zone->lock);

/*
 * The block that should serve a run of 2^order, order <= BLOCK_ORDER, claimed for
 * the source's type where that is worth it; false: there is none.  The block may
 * turn out to have no such run: make its bound exact and ask again.
 */
static inline bool zone_find_block(struct tmm_pages *pages, struct zone *zone,
                                   struct source source, unsigned order, uint64_t *out_block)
	TMM_REQUIRES(zone->lock)
{
	bool plain = !(source.from & FROM_HIGHATOMIC) &&
	             (!(source.from & FROM_CMA) || zone->nr_free_of[TMM_MIGRATE_CMA] == 0);

	if (source_taker(source) && plain && strip_find(pages, zone, source, order, out_block))
		return true;
	if (likely(plain && zone_find_of_type(zone, source.type, order, out_block)))
		return true;
	return zone_find_elsewhere(pages, zone, source, order, out_block);
}

/* Bit i: whole blocks of type i may serve the source, claimed if need be. */
unsigned zone_whole_types(struct source source);

/* A whole free block is about to be lent to the source. */
void zone_claim_whole(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                      struct source source) TMM_REQUIRES(zone->lock);

/* The block changes its type, what is free of it with it. */
void zone_set_type(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                   enum tmm_migrate_type type) TMM_REQUIRES(zone->lock);

/* A request that could not wait was given frames of this block: keep it for the next, up to 1%.
 */
void zone_reserve_highatomic(struct tmm_pages *pages, struct zone *zone, uint64_t block)
	TMM_REQUIRES(zone->lock);

/* Give a block of the reserve up; false: there is none with anything free. */
bool zone_unreserve_highatomic(struct tmm_pages *pages, struct zone *zone)
	TMM_REQUIRES(zone->lock);

/* What tmm_pages.stack[] says of such a block. */
static inline unsigned block_stack(const struct block_info *info)
{
	unsigned stack = 0;

	if (info->home & HOME_ZONE)
		stack = stack_number((info->home & HOME_ZONE) - 1u,
		                     stack_id(STACK_0, stack_type_of(info->type)));
	if ((info->home & ~HOME_ZONE) || info->nr_marked)
		stack |= STACK_ODD;
	return stack;
}

/* A home and a type that do not change for others in between: stack follows from both. */
static inline void block_set(struct tmm_pages *pages, uint64_t block, unsigned home,
                             unsigned type)
{
	struct block_info *info = &pages->info[block];

	/* relaxed: each is a single value, read as block.h says */
	__atomic_store_n(&info->type, (uint8_t)type, __ATOMIC_RELAXED);
	__atomic_store_n(&info->home, (uint8_t)home, __ATOMIC_RELAXED);
	__atomic_store_n(&pages->stack[block], (uint16_t)block_stack(info), __ATOMIC_RELAXED);
}

static inline void block_set_home(struct tmm_pages *pages, uint64_t block, unsigned home)
{
	block_set(pages, block, home, pages->info[block].type);
}

static inline void block_set_type(struct tmm_pages *pages, uint64_t block, unsigned type)
{
	block_set(pages, block, pages->info[block].home, type);
}

/* A block of which nothing is known, or that its section took along: no frame is free. */
static inline void block_forget(struct tmm_pages *pages, uint64_t block, unsigned home)
{
	struct block_info *info = &pages->info[block];

	info->nr_free = 0;
	info->longest = 0;
	info->managed_start = info->nr_managed = info->nr_marked = 0;
	block_set(pages, block, home, 0);
	__atomic_store_n(&info->fresh, 0, __ATOMIC_RELAXED); /* nobody has a frame of it */
}

/* The zone of a frame that is RAM. */
static inline struct zone *zone_of(const struct tmm_pages *pages, uint64_t pfn)
{
	return &pages->zone[home_zone(&pages->info[block_of(pages, pfn)])];
}

/* relaxed: without the lock it is a moment's value, and used as no more */
static inline uint64_t zone_free(const struct zone *zone)
{
	return __atomic_load_n(&zone->nr_free, __ATOMIC_RELAXED);
}

/* Frames of blocks of a type have become free, or fewer. */
static ALWAYS_INLINE void zone_count(struct zone *zone, unsigned type, uint64_t change)
	TMM_REQUIRES(zone->lock)
{
	/* relaxed: see zone_free() */
	__atomic_store_n(&zone->nr_free, zone->nr_free + change, __ATOMIC_RELAXED);
	__atomic_store_n(&zone->nr_free_of[type], zone->nr_free_of[type] + change,
	                 __ATOMIC_RELAXED);
}

/* Frames that the source may have.  relaxed: a moment's value */
static inline uint64_t zone_usable(const struct zone *zone, struct source source)
{
	const uint64_t *of = zone->nr_free_of;
	uint64_t kept = __atomic_load_n(&of[TMM_MIGRATE_ISOLATE], __ATOMIC_RELAXED);
	uint64_t nr_free = zone_free(zone);

	if (!(source.from & FROM_CMA))
		kept += __atomic_load_n(&of[TMM_MIGRATE_CMA], __ATOMIC_RELAXED);
	if (!(source.from & (FROM_HIGHATOMIC | FROM_RESERVE)))
		kept += __atomic_load_n(&of[TMM_MIGRATE_HIGHATOMIC], __ATOMIC_RELAXED);
	return nr_free > kept ? nr_free - kept : 0;
}

/* Watermarks and reserves from the settings in pages and the zones' sizes. */
void watermarks_init(struct tmm_pages *pages);
void watermarks_update(struct tmm_pages *pages);

/*
 * Requests of one type have taken part of a block of another: until memory was reclaimed in
 * the background, so that blocks become free, let the marks be higher.
 */
void watermark_boost(struct tmm_pages *pages, struct zone *zone) TMM_REQUIRES(zone->lock);

/* Take that back, or so much of it. */
void watermark_unboost(struct zone *zone, uint64_t by);

/* Is there a run of 2^order that may serve the source? */
bool zone_has_run(struct tmm_pages *pages, struct zone *zone, struct source source,
                  unsigned order) TMM_REQUIRES(zone->lock);

/* Take up to 64 single frames of one word of this block; as zone_take_word(). */
unsigned zone_take_frames(struct tmm_pages *pages, struct zone *zone, uint64_t block,
                          unsigned want, struct taken *out) TMM_REQUIRES(zone->lock);

/* Take the frames [start, end), all of which are free (asserted). */
void zone_take_range(struct tmm_pages *pages, struct zone *zone, uint64_t start, uint64_t end)
	TMM_REQUIRES(zone->lock);

/* Free runs of each order of one block, up to BLOCK_ORDER; adds to free_area. */
void block_count_runs(const struct tmm_pages *pages, uint64_t block, uint64_t *free_area);

static inline struct zone *zone_of_block(struct tmm_pages *pages, uint64_t block)
{
	return &pages->zone[home_zone(&pages->info[block])];
}

/* Add what was lent from the zone, by what was wished for. */
void zone_numa_add(const struct tmm_pages *pages, const struct zone *zone,
                   struct tmm_numa_counts *counts);

/* "DMA", "Normal", ... */
const char *zone_name(const struct zone *zone);

/* compact.c */

/*
 * Make a run of 2^order, order > 0, for a request that may sleep and was refused;
 * false: nothing was gained.  Without locks of ranks that spin.
 */
bool zone_compact_for(struct tmm_pages *pages, struct zone *zone, struct source source,
                      unsigned order);

/*
 * Move what is in a lent frame to another that was lent for it, whose descriptor is
 * clear: both as tmm_migrate_ops.move says, TMM_E_OPNOTSUPP for a page that nobody
 * can move.
 */
TMM_MUST_CHECK tmm_err page_move(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to);

/* Is it of a kind that somebody moves?  A moment's value. */
bool page_is_movable(const struct tmm_pages *pages, tmm_pfn pfn);

/* Are these frames memory; were they handed over?  By memblock's lists: slow. */
bool run_is_ram(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr);
bool run_is_one_region(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr);

/* The same with ram_lock held. */
bool ram_is_one_region(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
	TMM_REQUIRES(pages->ram_lock);

bool run_is_managed(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr);

#endif
