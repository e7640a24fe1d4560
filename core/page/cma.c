/*
 * cma.c - runs of any length, taken back from movable pages
 *
 * An area is whole blocks of type CMA in one zone, which lends their frames to
 * movable requests.  used[] has a bit for every 2^order_per_bit frames that were
 * lent by tmm_cma_alloc().  To lend a run of frames,
 *
 *   isolate   its blocks get the type ISOLATE: nobody is lent a frame of them any
 *             more, and what is freed of them goes straight to the zone
 *   drain     the CPUs' stacks, where some of them may lie
 *   move      what is lent, to frames elsewhere; what a page's owner cannot do now is
 *             tried again MOVE_TRIES times
 *   take      all frames of the run, which are free now
 *   restore   the blocks' type; frames beside the run are movable requests' again
 *
 * If a page stays, the blocks are restored and the next place of the area is tried.
 * The lock of the area is held for all of it, so that a block is isolated by one at a
 * time.  It may be slept on: owners of pages take their locks meanwhile.
 */
#include <tuxmm/machine.h>

#include "page/carve.h"
#include "page/cma.h"
#include "page/debug.h"
#include "page/deferred.h"

#define MOVE_TRIES 5u

/* ---- boot ---- */

/* Where the frame's piece of one zone ends. */
static uint64_t zone_piece_end(const struct tmm_pages *pages, uint64_t pfn)
{
	struct carve_cursor cursor = {0, 0};
	struct piece piece = {.end = 0};

	while (piece.end <= pfn && carve_next(pages, &cursor, &piece))
		;
	return piece.end;
}

/* The highest place that no border of zones runs through. */
static tmm_err place_anywhere(const struct tmm_pages *pages, struct tmm_memblock *memblock,
                              const struct tmm_cma_spec *spec, tmm_paddr *start)
{
	const uint64_t block_bytes = TMM_PAGE_SIZE << BLOCK_ORDER;
	struct tmm_memblock_request request = {
		.size_bytes = spec->size_bytes,
		.align_bytes = max_u64(spec->align_bytes, block_bytes),
		.max = spec->limit,
		.node = spec->node,
		.exact_node = spec->node != TMM_NODE_ANY};

	for (;;) {
		tmm_err err = tmm_memblock_alloc(memblock, &request, start);
		uint64_t border;

		if (err != TMM_OK)
			return err;
		border = zone_piece_end(pages, start->v >> TMM_PAGE_SHIFT) << TMM_PAGE_SHIFT;
		if (start->v + spec->size_bytes <= border)
			return TMM_OK;
		err = tmm_memblock_free(memblock, *start, spec->size_bytes);
		TMM_ASSERT(err == TMM_OK);
		request.max = border;
	}
}

static tmm_err place(const struct tmm_pages *pages, struct tmm_memblock *memblock,
                     const struct tmm_cma_spec *spec, tmm_paddr *start)
{
	uint64_t cursor = 0, end = spec->base + spec->size_bytes;
	struct tmm_region region;

	if (!spec->base)
		return place_anywhere(pages, memblock, spec, start);
	start->v = spec->base;
	while (tmm_memblock_next_free(memblock, &cursor, &region))
		if (region.start <= spec->base && end <= region.end)
			return tmm_memblock_reserve(memblock, *start, spec->size_bytes);
	return TMM_E_RANGE;
}

static void copy_name(char *to, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i < TMM_CMA_NAME_BYTES - 1; i++)
		to[i] = from[i];
	to[i] = '\0';
}

static uint64_t nr_bits(const struct tmm_cma *area)
{
	return area->nr_pages >> area->order_per_bit;
}

tmm_err cma_reserve(struct tmm_pages *pages, struct tmm_memblock *memblock,
                    const struct pages_config *config)
{
	void *clear = memblock->ram, *used;

	memblock->ram = NULL; /* RAM reads as zeroes already */
	for (uint32_t i = 0; i < config->nr_cma; i++) {
		const struct tmm_cma_spec *spec = &config->cma[i];
		struct tmm_cma *area = &pages->cma[i];
		tmm_paddr start;

		if (place(pages, memblock, spec, &start) != TMM_OK)
			break;
		*area = (struct tmm_cma){.pages = pages,
		                         .start = start.v >> TMM_PAGE_SHIFT,
		                         .nr_pages = spec->size_bytes >> TMM_PAGE_SHIFT,
		                         .order_per_bit = spec->order_per_bit};
		lock_init(&area->lock, RANK_CMA);
		copy_name(area->name, spec->name);
		pages->nr_cma++;
	}
	memblock->ram = clear;
	if (pages->nr_cma < config->nr_cma)
		return TMM_E_RANGE;
	for (uint32_t i = 0; i < pages->nr_cma; i++) {
		uint64_t bytes = (nr_bits(&pages->cma[i]) + 63) / 64 * sizeof(uint64_t);
		tmm_err err = boot_array(memblock, pages->ram, bytes, 0, &used);

		if (err != TMM_OK)
			return err;
		pages->cma[i].used = used;
	}
	return TMM_OK;
}

void cma_unreserve(struct tmm_pages *pages, struct tmm_memblock *memblock)
{
	for (uint32_t i = 0; i < pages->nr_cma; i++) {
		const struct tmm_cma *area = &pages->cma[i];
		tmm_err err = tmm_memblock_free(memblock,
		                                (tmm_paddr){area->start << TMM_PAGE_SHIFT},
		                                area->nr_pages << TMM_PAGE_SHIFT);

		TMM_ASSERT(err == TMM_OK);
	}
}

static uint64_t first_block(const struct tmm_cma *area)
{
	return block_of(area->pages, area->start);
}

static uint64_t end_block(const struct tmm_cma *area)
{
	return block_of(area->pages, area->start + area->nr_pages - 1) + 1;
}

static struct zone *zone_with(struct tmm_pages *pages, uint64_t start, uint64_t end)
{
	for (unsigned z = 0; z < pages->nr_zones; z++)
		if (pages->zone[z].start <= start && end <= pages->zone[z].end)
			return &pages->zone[z];
	return NULL;
}

tmm_err cma_activate(struct tmm_pages *pages)
{
	for (uint32_t i = 0; i < pages->nr_cma; i++) {
		struct tmm_cma *area = &pages->cma[i];
		uint64_t end = area->start + area->nr_pages;
		struct zone *zone = zone_with(pages, area->start, end);

		if (!zone)
			return TMM_E_RANGE;
		area->zone = zone;
		lock_take(&zone->lock);
		for (uint64_t part = area->start >> pages->part_shift;
		     part <= (end - 1) >> pages->part_shift; part++)
			zone_enter_part(pages, zone, part);
		for (uint64_t b = first_block(area); b < end_block(area); b++)
			zone_set_type(pages, zone, b, TMM_MIGRATE_CMA);
		lock_drop(&zone->lock);
	}
	return TMM_OK;
}

/* ---- what is lent ---- */

static bool is_used(const struct tmm_cma *area, uint64_t bit)
{
	return area->used[bit / 64] >> (bit % 64) & 1;
}

static void set_used(struct tmm_cma *area, uint64_t first, uint64_t nr, bool used)
{
	for (uint64_t bit = first; bit < first + nr; bit++) {
		bool changes = is_used(area, bit) != used;

		TMM_ASSERT(changes && "a run is lent once and released once");
		area->used[bit / 64] ^= UINT64_C(1) << (bit % 64);
	}
	if (used)
		area->used_pages += nr << area->order_per_bit;
	else
		area->used_pages -= nr << area->order_per_bit;
}

/* The first unused place at or above `from`; false: there is none. */
static bool next_place(const struct tmm_cma *area, uint64_t from, uint64_t nr,
                       uint64_t align_pages, uint64_t *out)
{
	uint64_t at = from;

	while (at + nr <= nr_bits(area)) {
		uint64_t pfn = area->start + (at << area->order_per_bit), i = 0;

		if (pfn & (align_pages - 1)) {
			at++;
			continue;
		}
		while (i < nr && !is_used(area, at + i))
			i++;
		if (i == nr) {
			*out = at;
			return true;
		}
		at += i + 1;
	}
	return false;
}

/* ---- taking a run back ---- */

struct range {
	struct tmm_cma *area;
	uint64_t start, end; /* frames */
	struct tmm_cma_failure failure;
	const void *site; /* who wants it */
};

static void set_types(const struct range *range, enum tmm_migrate_type type)
{
	struct tmm_pages *pages = range->area->pages;
	struct zone *zone = range->area->zone;
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	for (uint64_t b = block_of(pages, range->start); b <= block_of(pages, range->end - 1);
	     b++)
		zone_set_type(pages, zone, b, type);
	lock_drop_irqrestore(&zone->lock, irq);
}

static bool is_free(const struct tmm_pages *pages, uint64_t pfn)
{
	/* relaxed: bits of isolated blocks are only set by others */
	return __atomic_load_n(word_of(pages, pfn), __ATOMIC_RELAXED) >> (pfn % 64) & 1;
}

static void give_frame(const struct range *range, uint64_t pfn)
{
	struct zone *zone = range->area->zone;
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	zone_give(range->area->pages, zone, pfn, 0);
	lock_drop_irqrestore(&zone->lock, irq);
}

/* One lent frame; false: it stays, and range->failure says why. */
static bool move_frame(struct range *range, uint64_t pfn)
{
	struct tmm_pages *pages = range->area->pages;
	tmm_pfn to;
	tmm_err err;

	range->failure = (struct tmm_cma_failure){TMM_CMA_UNMOVABLE, {pfn}};
	if (!page_is_movable(pages, (tmm_pfn){pfn}))
		return is_free(pages, pfn);
	range->failure.reason = TMM_CMA_NO_MEMORY;
	if (tmm_pages_alloc(pages, TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_RETRY_MAYFAIL, 0, &to) !=
	    TMM_OK)
		return false;
	range->failure.reason = TMM_CMA_PINNED;
	err = page_move(pages, (tmm_pfn){pfn}, to);
	if (err == TMM_OK)
		give_frame(range, pfn);
	else
		tmm_pages_free(pages, to, 0);
	count_vm_event(pages, err == TMM_OK ? PGMIGRATE_SUCCESS : PGMIGRATE_FAIL);
	return err == TMM_OK;
}

/* Once over the range: how many frames are left. */
static uint64_t move_all(struct range *range)
{
	uint64_t left = 0;

	for (uint64_t pfn = range->start; pfn < range->end; pfn++)
		if (!is_free(range->area->pages, pfn) && !move_frame(range, pfn))
			left++;
	return left;
}

static void take_frames(const struct range *range)
{
	struct tmm_pages *pages = range->area->pages;
	struct zone *zone = range->area->zone;
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	zone_take_range(pages, zone, range->start, range->end);
	lock_drop_irqrestore(&zone->lock, irq);
	if (likely(!pages->debug))
		return;
	/* Each for itself: a run may be released in pieces. */
	for (uint64_t pfn = range->start; pfn < range->end; pfn++)
		debug_lend_area(pages, pfn, TMM_GFP_KERNEL, range->site);
}

static bool take_range(struct range *range)
{
	uint64_t left = 1;

	set_types(range, TMM_MIGRATE_ISOLATE);
	tmm_pages_drain_all(range->area->pages);
	for (unsigned tries = 0; left && tries < MOVE_TRIES; tries++) {
		left = move_all(range);
		if (left && range->failure.reason == TMM_CMA_UNMOVABLE)
			break;
	}
	if (!left)
		take_frames(range);
	set_types(range, TMM_MIGRATE_CMA);
	return left == 0;
}

static tmm_err alloc_locked(struct tmm_cma *area, uint64_t nr, uint64_t align_pages,
                            struct range *range, uint64_t *out_bit) TMM_REQUIRES(area->lock)
{
	uint64_t from = 0, bit;
	bool tried = false;

	while (next_place(area, from, nr, align_pages, &bit)) {
		range->start = area->start + (bit << area->order_per_bit);
		range->end = range->start + (nr << area->order_per_bit);
		if (take_range(range)) {
			set_used(area, bit, nr, true);
			*out_bit = bit;
			return TMM_OK;
		}
		tried = true;
		/* Any place that has the frame in it would fail again. */
		from = ((range->failure.pfn.v - area->start) >> area->order_per_bit) + 1;
	}
	if (!tried)
		range->failure = (struct tmm_cma_failure){TMM_CMA_NO_ROOM, {area->start}};
	return tried && range->failure.reason != TMM_CMA_NO_MEMORY ? TMM_E_BUSY : TMM_E_NOMEM;
}

static uint64_t bits_for(const struct tmm_cma *area, uint64_t nr_pages)
{
	return (nr_pages + (UINT64_C(1) << area->order_per_bit) - 1) >> area->order_per_bit;
}

tmm_err tmm_cma_alloc(struct tmm_cma *area, uint64_t nr_pages, unsigned align_order,
                      tmm_pfn *out_pfn, struct tmm_cma_failure *failure)
{
	bool caller_may_sleep = tmm_port_may_sleep();
	struct range range = {.area = area, .site = __builtin_return_address(0)};
	uint64_t bit = 0;
	tmm_err err = TMM_E_NOMEM;

	TMM_ASSERT(caller_may_sleep);
	if (nr_pages == 0 || nr_pages > area->nr_pages || align_order >= 64)
		return TMM_E_INVAL;
	range.failure = (struct tmm_cma_failure){TMM_CMA_NO_MEMORY, {area->start}};
	lock_take(&area->lock);
	if (tmm_port_allow("cma_alloc"))
		err = alloc_locked(area, bits_for(area, nr_pages), UINT64_C(1) << align_order,
		                   &range, &bit);
	if (err == TMM_OK) {
		area->nr_allocs++;
		area->allocated_pages += nr_pages;
		out_pfn->v = range.start;
	} else {
		area->nr_failed++;
	}
	lock_drop(&area->lock);
	if (err != TMM_OK && failure)
		*failure = range.failure;
	return err;
}

void tmm_cma_release(struct tmm_cma *area, tmm_pfn pfn, uint64_t nr_pages)
{
	uint64_t offset = pfn.v - area->start, nr = bits_for(area, nr_pages);
	bool run_is_of_the_area = offset < area->nr_pages && nr_pages > 0 &&
	                          nr_pages <= area->nr_pages - offset &&
	                          offset % (UINT64_C(1) << area->order_per_bit) == 0;
	struct range range = {.area = area,
	                      .start = pfn.v,
	                      .end = pfn.v + (nr << area->order_per_bit),
	                      .site = __builtin_return_address(0)};

	TMM_ASSERT(run_is_of_the_area);
	lock_take(&area->lock);
	for (uint64_t at = range.start; unlikely(area->pages->debug) && at < range.end; at++)
		debug_take_back_area(area->pages, at, range.site);
	set_used(area, offset >> area->order_per_bit, nr, false);
	for (uint64_t at = range.start; at < range.end; at++)
		give_frame(&range, at);
	area->released_pages += nr_pages;
	lock_drop(&area->lock);
}

/* ---- what there is to see ---- */

struct tmm_cma *tmm_cma_area(struct tmm_pages *pages, unsigned index)
{
	return index < pages->nr_cma ? &pages->cma[index] : NULL;
}

static bool same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

bool cma_has(const struct tmm_pages *pages, uint64_t pfn)
{
	for (uint32_t i = 0; i < pages->nr_cma; i++)
		if (pfn - pages->cma[i].start < pages->cma[i].nr_pages)
			return true;
	return false;
}

struct tmm_cma *tmm_cma_find(struct tmm_pages *pages, const char *name)
{
	for (uint32_t i = 0; i < pages->nr_cma; i++)
		if (same(pages->cma[i].name, name))
			return &pages->cma[i];
	return NULL;
}

void tmm_cma_info(struct tmm_cma *area, struct tmm_cma_info *out)
{
	uint64_t run = 0, longest = 0;

	lock_take(&area->lock);
	for (uint64_t bit = 0; bit < nr_bits(area); bit++) {
		run = is_used(area, bit) ? 0 : run + 1;
		longest = max_u64(longest, run);
	}
	*out = (struct tmm_cma_info){.name = area->name,
	                             .start = {area->start},
	                             .total_pages = area->nr_pages,
	                             .used_pages = area->used_pages,
	                             .longest_unused_pages = longest << area->order_per_bit,
	                             .order_per_bit = area->order_per_bit,
	                             .nr_allocs = area->nr_allocs,
	                             .nr_failed = area->nr_failed,
	                             .allocated_pages = area->allocated_pages,
	                             .released_pages = area->released_pages};
	lock_drop(&area->lock);
}

uint64_t tmm_cma_total_pages(const struct tmm_pages *pages)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < pages->nr_cma; i++)
		sum += pages->cma[i].nr_pages;
	return sum;
}

uint64_t tmm_cma_free_pages(const struct tmm_pages *pages)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++) /* relaxed: a moment's value */
		sum += __atomic_load_n(&pages->zone[z].nr_free_of[TMM_MIGRATE_CMA],
		                       __ATOMIC_RELAXED);
	return sum;
}

void cma_check(const struct tmm_pages *pages)
{
	for (uint32_t i = 0; i < pages->nr_cma; i++) {
		const struct tmm_cma *area = &pages->cma[i];
		uint64_t used = 0;

		for (uint64_t b = first_block(area); b < end_block(area); b++)
			TMM_ASSERT(pages->info[b].type == TMM_MIGRATE_CMA);
		for (uint64_t n = 0; n < area->nr_pages; n++) {
			bool lent = is_used(area, n >> area->order_per_bit);
			bool lent_frame_is_not_free = !lent || !is_free(pages, area->start + n);

			TMM_ASSERT(lent_frame_is_not_free);
			used += lent;
		}
		TMM_ASSERT(used == area->used_pages);
	}
}

/* ---- buffers ---- */

tmm_err tmm_cma_buffer_create(struct tmm_cma_buffer *buffer, struct tmm_cma *area,
                              uint64_t nr_pages, unsigned align_order,
                              struct tmm_cma_failure *failure)
{
	tmm_pfn pfn;
	tmm_err err = tmm_cma_alloc(area, nr_pages, align_order, &pfn, failure);

	if (err == TMM_OK)
		*buffer = (struct tmm_cma_buffer){
			.area = area, .pfn = pfn, .nr_pages = nr_pages, .nr_users = 1};
	return err;
}

tmm_pfn tmm_cma_buffer_attach(struct tmm_cma_buffer *buffer)
{
	/* relaxed: who has a reference may make more */
	uint32_t before = __atomic_fetch_add(&buffer->nr_users, 1, __ATOMIC_RELAXED);
	bool buffer_has_a_user = before > 0;

	TMM_ASSERT(buffer_has_a_user);
	return buffer->pfn;
}

bool tmm_cma_buffer_detach(struct tmm_cma_buffer *buffer)
{
	/* acquire, release: the last one sees what the others wrote */
	uint32_t before = __atomic_fetch_sub(&buffer->nr_users, 1, __ATOMIC_ACQ_REL);
	bool buffer_has_a_user = before > 0;

	TMM_ASSERT(buffer_has_a_user);
	if (before > 1)
		return false;
	tmm_cma_release(buffer->area, buffer->pfn, buffer->nr_pages);
	return true;
}
