/*
 * page_alloc.c - lending and taking back frames
 *
 * A request is served from a stack of the calling CPU; an empty stack is filled
 * from the zone, a batch at a time under its lock, and a full one gives its older
 * half back.  Orders without a stack go to the zone each time.  Zones are tried
 * from the highest the request may use downwards: first above their low
 * watermark, then down to what the request may dig to, then after the CPU's
 * stacks were emptied, then after reclaim.  What lies on a stack is out of the
 * zone's count already, so that the first zone's stack needs no watermark.
 *
 * A stack entry says whether its run was never lent since boot.  Such a run
 * reads as zeroes and TMM_GFP_ZERO leaves it untouched: a hosted machine's RAM is
 * a sparse file, where clearing a fresh frame would make the host back it.
 *
 * What is found out when a frame is freed wrongly, at once: a frame outside RAM
 * or not handed over by memblock, a run not aligned to its order, one with a
 * frame that lies free in the zone, one that was freed to the same CPU's stack
 * and is still there (unless a frame WHERE_SLOTS, or a multiple, away was put
 * there after it).  At the latest when the stack is emptied: a frame freed
 * twice over two CPUs' stacks.  Not found out: freeing with a smaller order than
 * it was lent with, or freeing what somebody else has borrowed.
 *
 * tmm_pages_check() (page_check.c) asserts the invariants.
 */
#include "page/zone.h"

#define BAD_FREE(rule) tmm_port_panic(__FILE__, __LINE__, rule)

/* What a request may have. */
struct request {
	tmm_gfp gfp;
	unsigned order;
	enum tmm_zone_id highest;
};

static const uint8_t stack_of_order[TMM_NR_ORDERS] = {
	STACK_0,    STACK_1,    STACK_2,    STACK_3,     STACK_NONE, STACK_NONE,
	STACK_NONE, STACK_NONE, STACK_NONE, STACK_BLOCK, STACK_NONE,
};

static ALWAYS_INLINE enum tmm_zone_id highest_zone(tmm_gfp gfp)
{
	return gfp & TMM_GFP_DMA     ? TMM_ZONE_DMA
	       : gfp & TMM_GFP_DMA32 ? TMM_ZONE_DMA32
	                             : TMM_ZONE_NORMAL;
}

/* ---- stacks ---- */

static ALWAYS_INLINE void stack_push(struct cpu_zone *cz, struct frame_stack *stack,
                                     uint32_t entry)
{
	unsigned at = stack->base + stack->nr;

	cz->entry[at] = entry;
	cz->where[entry % WHERE_SLOTS] = (uint16_t)at;
	/* relaxed: others only add it up */
	__atomic_store_n(&stack->nr, (uint16_t)(stack->nr + 1), __ATOMIC_RELAXED);
}

/* The stack is not empty. */
static ALWAYS_INLINE uint32_t stack_pop(struct cpu_zone *cz, struct frame_stack *stack)
{
	unsigned nr = stack->nr - 1u;
	uint32_t entry = cz->entry[stack->base + nr];

	cz->entry[stack->base + nr] = ENTRY_EMPTY;
	__atomic_store_n(&stack->nr, (uint16_t)nr, __ATOMIC_RELAXED);
	return entry;
}

/* Single frames of one word go back together. */
static void give_frames(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                        unsigned nr) TMM_REQUIRES(zone->lock)
{
	for (unsigned i = 0; i < nr;) {
		uint64_t word = align_down(entry[i] & ENTRY_PFN, 64);
		uint64_t mask = 0;

		for (; i < nr && align_down(entry[i] & ENTRY_PFN, 64) == word; i++) {
			uint64_t bit = UINT64_C(1) << (entry[i] % 64);

			if (unlikely(mask & bit))
				BAD_FREE("a frame is freed once; this one was freed twice");
			mask |= bit;
		}
		zone_give_mask(pages, zone, word, mask);
	}
}

static unsigned order_of_stack(enum stack_id id)
{
	return id == STACK_BLOCK ? BLOCK_ORDER : (unsigned)id;
}

/* The older `nr` entries go back to the zone. */
static NOINLINE void stack_spill(struct tmm_pages *pages, struct cpu_zone *cz, enum stack_id id,
                                 struct zone *zone, unsigned nr)
{
	struct frame_stack *stack = &cz->stack[id];
	uint32_t *entry = cz->entry + stack->base;
	unsigned left = stack->nr - nr;

	lock_take(&zone->lock);
	if (id == STACK_0)
		give_frames(pages, zone, entry, nr);
	else
		for (unsigned i = 0; i < nr; i++)
			zone_give(pages, zone, entry[i] & ENTRY_PFN, order_of_stack(id));
	lock_drop(&zone->lock);
	for (unsigned i = 0; i < left; i++) {
		entry[i] = entry[nr + i];
		cz->where[entry[i] % WHERE_SLOTS] = (uint16_t)(stack->base + i);
	}
	for (unsigned i = left; i < stack->nr; i++)
		entry[i] = ENTRY_EMPTY;
	__atomic_store_n(&stack->nr, (uint16_t)left, __ATOMIC_RELAXED);
}

static void drain(struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		struct cpu_zone *cz = &cpu->zone[z];

		for (unsigned s = 0; s < STACK_NONE; s++)
			if (cz->stack[s].nr)
				stack_spill(pages, cz, (enum stack_id)s, &pages->zone[z],
				            cz->stack[s].nr);
	}
}

void tmm_pages_drain(struct tmm_pages *pages)
{
	tmm_irq irq = tmm_port_irq_save();

	drain(pages, page_cpu_self(pages));
	tmm_port_irq_restore(irq);
}

/* ---- requests ---- */

/* Frames of the zone that must stay free when the request is served. */
static uint64_t floor_of(const struct zone *zone, const struct request *request,
                         enum watermark mark)
{
	uint64_t floor = zone->mark[mark];

	if (request->gfp & TMM_GFP_MEMALLOC)
		return 0;
	if (mark == MARK_MIN && (request->gfp & TMM_GFP_HIGH)) {
		floor -= floor / 2;
		if (!(request->gfp & TMM_GFP_DIRECT_RECLAIM))
			floor -= floor / 4;
	}
	return floor + zone->reserve[request->highest];
}

/* How many runs may be taken: more than one only of what anybody might take. */
static size_t batch_of(const struct zone *zone, const struct request *request, uint64_t floor,
                       size_t batch)
{
	uint64_t nr_free = zone_free(zone);
	uint64_t run = UINT64_C(1) << request->order;
	uint64_t common = zone->mark[MARK_MIN] + zone->reserve[request->highest];

	if (nr_free < floor + run)
		return 0;
	if (nr_free < common + 2 * run)
		return 1;
	return min_u64(batch, (nr_free - common) >> request->order);
}

/* Take runs from the zone: one for the caller, the rest for the stack. */
static bool refill(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                   const struct request *request, uint64_t floor, uint32_t *out)
{
	struct frame_stack *stack = &cz->stack[stack_of_order[request->order]];
	uint32_t got[64];
	size_t nr;

	lock_take(&zone->lock);
	nr = batch_of(zone, request, floor, stack->batch);
	if (nr)
		nr = zone_take(pages, zone, request->order, nr, got);
	lock_drop(&zone->lock);
	if (nr == 0)
		return false;
	*out = got[0];
	while (nr > 1) /* so that they come off rising */
		stack_push(cz, stack, got[--nr]);
	return true;
}

static bool try_zones(struct tmm_pages *pages, struct page_cpu *cpu,
                      const struct request *request, enum watermark mark, uint32_t *out,
                      enum tmm_zone_id *out_zone)
{
	for (unsigned z = pages->top_zone[request->highest] + 1u; z-- > 0;) {
		struct zone *zone = &pages->zone[z];
		struct cpu_zone *cz = &cpu->zone[z];
		struct frame_stack *stack = &cz->stack[stack_of_order[request->order]];
		uint64_t floor = floor_of(zone, request, mark);

		if (!batch_of(zone, request, floor, 1))
			continue;
		*out_zone = (enum tmm_zone_id)z;
		if (stack->nr) {
			*out = stack_pop(cz, stack);
			return true;
		}
		if (refill(pages, cz, zone, request, floor, out))
			return true;
	}
	return false;
}

/* All that can be had without waiting. */
static bool try_all(struct tmm_pages *pages, const struct request *request, uint32_t *out)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	enum tmm_zone_id zone;
	bool got = try_zones(pages, cpu, request, MARK_LOW, out, &zone) ||
	           try_zones(pages, cpu, request, MARK_MIN, out, &zone);

	if (!got) {
		drain(pages, cpu);
		got = try_zones(pages, cpu, request, MARK_MIN, out, &zone);
	}
	if (got)
		page_cpu_count(cpu, PGALLOC_DMA + zone, UINT64_C(1) << request->order);
	tmm_port_irq_restore(irq);
	return got;
}

/* Sleeps.  False when nothing came of it. */
static bool reclaim(struct tmm_pages *pages, const struct request *request)
{
	tmm_irq irq;
	bool caller_may_sleep = tmm_port_may_sleep();

	if (!pages->reclaim_ops)
		return false;
	TMM_ASSERT(caller_may_sleep);
	irq = tmm_port_irq_save();
	page_cpu_count(page_cpu_self(pages), ALLOCSTALL_DMA + pages->top_zone[request->highest],
	               1);
	tmm_port_irq_restore(irq);
	return pages->reclaim_ops->reclaim(pages->reclaim_arg, request->gfp, request->order) !=
	       0;
}

static NOINLINE bool alloc_slow(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                uint32_t *out)
{
	struct request request = {gfp, order, highest_zone(gfp)};
	/* Who reclaims must not start reclaim. */
	bool may_reclaim = (gfp & TMM_GFP_DIRECT_RECLAIM) && !(gfp & TMM_GFP_MEMALLOC);

	while (!try_all(pages, &request, out)) {
		if (may_reclaim && reclaim(pages, &request)) {
			may_reclaim = !(gfp & TMM_GFP_NORETRY);
			continue;
		}
		if (gfp & TMM_GFP_NOFAIL)
			tmm_port_panic(__FILE__, __LINE__,
			               "a request that must not fail finds memory; there is "
			               "none left and nothing to reclaim");
		return false;
	}
	return true;
}

static void clear_frames(const struct tmm_pages *pages, uint32_t entry, unsigned order)
{
	if (!(entry & ENTRY_FRESH))
		memset((char *)pages->ram + ((uint64_t)(entry & ENTRY_PFN) << TMM_PAGE_SHIFT),
		       0, TMM_PAGE_SIZE << order);
}

static ALWAYS_INLINE bool alloc_one(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                    tmm_pfn *out_pfn)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	unsigned zone = pages->top_zone[highest_zone(gfp)];
	struct cpu_zone *cz = &cpu->zone[zone];
	struct frame_stack *stack = &cz->stack[stack_of_order[order]];
	uint32_t entry;

	if (likely(stack->nr)) {
		entry = stack_pop(cz, stack);
		page_cpu_count(cpu, PGALLOC_DMA + zone, UINT64_C(1) << order);
		tmm_port_irq_restore(irq);
	} else {
		tmm_port_irq_restore(irq);
		if (!alloc_slow(pages, gfp, order, &entry))
			return false;
	}
	if (gfp & TMM_GFP_ZERO)
		clear_frames(pages, entry, order);
	out_pfn->v = entry & ENTRY_PFN;
	return true;
}

tmm_err tmm_pages_alloc(struct tmm_pages *pages, tmm_gfp gfp, unsigned order, tmm_pfn *out_pfn)
{
	if (unlikely(order > TMM_MAX_ORDER))
		return TMM_E_INVAL;
	if (unlikely(!tmm_port_allow("page_alloc")) && !(gfp & TMM_GFP_NOFAIL))
		return TMM_E_NOMEM;
	return alloc_one(pages, gfp, order, out_pfn) ? TMM_OK : TMM_E_NOMEM;
}

size_t tmm_pages_alloc_bulk(struct tmm_pages *pages, tmm_gfp gfp, size_t nr, tmm_pfn *out)
{
	size_t got = 0;

	if (unlikely(!tmm_port_allow("page_alloc")) && !(gfp & TMM_GFP_NOFAIL))
		return 0;
	while (got < nr && alloc_one(pages, gfp, 0, &out[got]))
		got++;
	return got;
}

/* ---- taking back ---- */

/* The block's frames are not all managed: ask memblock's lists. */
static NOINLINE void check_managed(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	if (!run_is_managed(pages, pfn, UINT64_C(1) << order))
		BAD_FREE("a freed frame is lent; this one was never handed over");
}

/* Panics where it can be seen that the run is not lent; returns its block's home. */
static ALWAYS_INLINE unsigned check_lent(const struct tmm_pages *pages, uint64_t pfn,
                                         unsigned order)
{
	uint64_t block = (pfn >> BLOCK_ORDER) - pages->first_block;
	unsigned home;

	if (unlikely(order > TMM_MAX_ORDER || (pfn & ((UINT64_C(1) << order) - 1))))
		BAD_FREE("a freed run is aligned to its order, at most TMM_MAX_ORDER");
	if (unlikely(block >= pages->nr_blocks))
		BAD_FREE("a freed frame is RAM; this one is outside");
	home = pages->info[block].home;
	if (unlikely(home & HOME_MIXED))
		check_managed(pages, pfn, order);
	if (likely(order <= WORD_ORDER)) {
		/* relaxed: bits of a lent run are 0 and nobody changes them */
		uint64_t word = __atomic_load_n(
			&pages->bits[block].word[pfn / 64 % BLOCK_WORDS], __ATOMIC_RELAXED);

		if (unlikely(word & run_mask(order) << (pfn % 64)))
			BAD_FREE("a frame is freed once; this one is free in its zone");
	}
	return home;
}

/* No room on a stack, or none for this order. */
static NOINLINE void free_slow(struct tmm_pages *pages, struct page_cpu *cpu, unsigned zone_id,
                               uint64_t pfn, unsigned order)
{
	struct zone *zone = &pages->zone[zone_id];
	struct cpu_zone *cz = &cpu->zone[zone_id];
	unsigned id = stack_of_order[order];
	struct frame_stack *stack = &cz->stack[id];

	if (stack->limit) {
		stack_spill(pages, cz, (enum stack_id)id, zone, (stack->limit + 1u) / 2);
		stack_push(cz, stack, (uint32_t)pfn);
		return;
	}
	lock_take(&zone->lock);
	zone_give(pages, zone, pfn, order);
	lock_drop(&zone->lock);
}

static ALWAYS_INLINE void free_one(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	unsigned zone = check_lent(pages, pfn, order) & HOME_ZONE;
	struct cpu_zone *cz = &cpu->zone[zone];
	struct frame_stack *stack = &cz->stack[stack_of_order[order]];

	if (unlikely((cz->entry[cz->where[pfn % WHERE_SLOTS]] & ENTRY_PFN) == pfn))
		BAD_FREE("a frame is freed once; this one is on the CPU's stack");
	page_cpu_count(cpu, PGFREE, UINT64_C(1) << order);
	if (likely(stack->nr < stack->limit))
		stack_push(cz, stack, (uint32_t)pfn);
	else
		free_slow(pages, cpu, zone, pfn, order);
	tmm_port_irq_restore(irq);
}

void tmm_pages_free(struct tmm_pages *pages, tmm_pfn pfn, unsigned order)
{
	free_one(pages, pfn.v, order);
}

void tmm_pages_free_bulk(struct tmm_pages *pages, size_t nr, const tmm_pfn *pfns)
{
	for (size_t i = 0; i < nr; i++)
		free_one(pages, pfns[i].v, 0);
}

void tmm_pages_set_reclaim(struct tmm_pages *pages, const struct tmm_reclaim_ops *ops,
                           void *arg)
{
	pages->reclaim_arg = arg;
	pages->reclaim_ops = ops;
}

/* ---- addresses ---- */

static ALWAYS_INLINE void check_ram(const struct tmm_pages *pages, uint64_t pfn)
{
	uint64_t block = (pfn >> BLOCK_ORDER) - pages->first_block;

	if (unlikely(block >= pages->nr_blocks) ||
	    (unlikely(pages->info[block].home & HOME_NO_RAM) && !run_is_ram(pages, pfn, 1)))
		tmm_port_panic(__FILE__, __LINE__,
		               "an address of the direct map is RAM; this one is outside");
}

void *tmm_page_address(const struct tmm_pages *pages, tmm_pfn pfn)
{
	check_ram(pages, pfn.v);
	return (char *)pages->ram + (pfn.v << TMM_PAGE_SHIFT);
}

tmm_pfn tmm_virt_to_pfn(const struct tmm_pages *pages, const void *address)
{
	/* Below ram: wraps to a number beyond the last block. */
	uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)pages->ram);

	check_ram(pages, offset >> TMM_PAGE_SHIFT);
	return (tmm_pfn){offset >> TMM_PAGE_SHIFT};
}
