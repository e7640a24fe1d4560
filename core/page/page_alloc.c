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
 * and is still there (unless a frame RECENT_SLOTS, or a multiple, away was put
 * there after it).  At the latest when the stack is emptied: a frame freed
 * twice over two CPUs' stacks.  Not found out: freeing with a smaller order than
 * it was lent with, or freeing what somebody else has borrowed.
 *
 * tmm_pages_check() (page_check.c) asserts the invariants.
 */
#include "page/zone.h"
#include "page/zonelist.h"

#define BAD_FREE(rule) tmm_port_panic(__FILE__, __LINE__, rule)

/* What a request may have. */
struct request {
	tmm_gfp gfp;
	unsigned order;
	struct zone_choice choice;
	struct source source;
};

static const uint8_t class_of_order[TMM_NR_ORDERS] = {
	STACK_0,    STACK_1,    STACK_2,     STACK_3,    STACK_NONE, STACK_NONE, STACK_NONE,
	STACK_NONE, STACK_NONE, STACK_BLOCK, STACK_NONE, STACK_NONE, STACK_NONE, STACK_NONE,
	STACK_NONE, STACK_NONE, STACK_NONE,  STACK_NONE, STACK_NONE,
};

/* ---- stacks ---- */

/* relaxed: others only add counters up and subtract pointers */
static ALWAYS_INLINE void count_up(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void set_top(struct frame_stack *stack, uint32_t *top)
{
	__atomic_store_n(&stack->top, top, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE uint32_t *recent_of(struct cpu_zone *cz, uint32_t entry)
{
	return &cz->recent[entry % RECENT_SLOTS];
}

/* The stack has room. */
static ALWAYS_INLINE void stack_push(struct cpu_zone *cz, struct frame_stack *stack,
                                     uint32_t entry)
{
	uint32_t *top = stack->top;

	*top = entry;
	*recent_of(cz, entry) = entry & ENTRY_PFN;
	set_top(stack, top + 1);
}

/* The stack is not empty. */
static ALWAYS_INLINE uint32_t stack_pop(struct cpu_zone *cz, struct frame_stack *stack)
{
	uint32_t *top = stack->top - 1;
	uint32_t entry = *top;

	*recent_of(cz, entry) = RECENT_NONE;
	set_top(stack, top);
	return entry;
}

/* Single frames of one word go back together. */
static void give_frames(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                        size_t nr) TMM_REQUIRES(zone->lock)
{
	for (size_t i = 0; i < nr;) {
		uint64_t word = align_down(entry[i] & ENTRY_PFN, 64);
		uint64_t mask = 0;

		do {
			uint64_t bit = UINT64_C(1) << (entry[i] % 64);

			if (unlikely(mask & bit))
				BAD_FREE("a frame is freed once; this one was freed twice");
			mask |= bit;
			i++;
		} while (i < nr && ((entry[i] & ENTRY_PFN) ^ word) < 64);
		zone_give_mask(pages, zone, word, mask);
	}
}

/* The older `nr` entries go back to the zone. */
static NOINLINE void stack_spill(struct tmm_pages *pages, struct cpu_zone *cz, unsigned id,
                                 struct zone *zone, size_t nr)
{
	struct frame_stack *stack = &cz->stack[id];
	uint32_t *entry = stack->bottom;
	size_t left = (size_t)(stack->top - entry) - nr;

	lock_take(&zone->lock);
	if (order_of_stack(id) == 0)
		give_frames(pages, zone, entry, nr);
	else
		for (size_t i = 0; i < nr; i++)
			zone_give(pages, zone, entry[i] & ENTRY_PFN, order_of_stack(id));
	lock_drop(&zone->lock);
	for (size_t i = 0; i < nr; i++) {
		uint32_t *recent = recent_of(cz, entry[i]);

		/* Written either way: which way it goes is hard to predict. */
		*recent = *recent == (entry[i] & ENTRY_PFN) ? RECENT_NONE : *recent;
	}
	memmove(entry, entry + nr, left * sizeof(*entry));
	count_up(&stack->from_zone, -(uint64_t)nr);
	set_top(stack, entry + left);
}

static void drain(struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct cpu_zone *cz = &cpu->zone[z];

		for (unsigned s = 0; s < NR_STACKS; s++)
			if (cz->stack[s].top != cz->stack[s].bottom)
				stack_spill(pages, cz, s, &pages->zone[z],
				            (size_t)(cz->stack[s].top - cz->stack[s].bottom));
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
	uint64_t floor = zone_mark(zone, mark);

	if ((request->gfp & TMM_GFP_MEMALLOC) && !(request->gfp & TMM_GFP_NOMEMALLOC))
		return 0;
	if (mark == MARK_MIN && (request->gfp & TMM_GFP_HIGH)) {
		floor -= floor / 2;
		if (!(request->gfp & (TMM_GFP_DIRECT_RECLAIM | TMM_GFP_NOMEMALLOC)))
			floor -= floor / 4;
	}
	return floor + zone_reserve(zone, request->choice.highest);
}

/* How many runs may be taken: more than one only of what anybody might take. */
static size_t batch_of(const struct zone *zone, const struct request *request, uint64_t floor,
                       size_t most)
{
	uint64_t nr_free = zone_usable(zone, request->source);
	uint64_t run = UINT64_C(1) << request->order;
	uint64_t common = zone_mark(zone, MARK_MIN) +
	                  zone_reserve(zone, request->choice.highest);

	if (nr_free < floor + run)
		return 0;
	if (nr_free < common + 2 * run)
		return 1;
	return min_u64(most, (nr_free - common) >> request->order);
}

/* A whole word, all of it fresh or nothing of it: loops that compilers make wide. */
static void push_word(struct cpu_zone *cz, struct frame_stack *stack, uint32_t pfn,
                      uint32_t fresh)
{
	uint32_t *top = stack->top;
	uint32_t *recent = recent_of(cz, pfn);

	for (uint32_t i = 0; i < 64; i++)
		top[i] = (pfn + 63 - i) | fresh;
	for (uint32_t i = 0; i < 64; i++)
		recent[i] = pfn + i;
	set_top(stack, top + 64);
}

/* So that they come off rising, the last one goes on first. */
static void push_taken(struct cpu_zone *cz, struct frame_stack *stack,
                       const struct taken *taken)
{
	uint64_t starts = taken->starts;

	if (starts == UINT64_MAX && (taken->fresh == 0 || taken->fresh == starts)) {
		push_word(cz, stack, (uint32_t)taken->pfn, taken->fresh ? ENTRY_FRESH : 0);
		return;
	}
	while (starts) {
		unsigned bit = log2_floor(starts);
		uint32_t fresh = (uint32_t)(taken->fresh >> bit & 1) << 31;

		stack_push(cz, stack, (uint32_t)(taken->pfn + bit) | fresh);
		starts ^= UINT64_C(1) << bit;
	}
}

/*
 * Fill an empty stack with at most `most` runs; false when the zone has no such
 * run.  Words are taken whole where they can be: what is left of one would have
 * every later refill begin in the middle of a word.
 */
static bool refill_words(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                         const struct request *request, struct frame_stack *stack, size_t most)
{
	struct taken taken[8];
	unsigned nr_words = 0;
	size_t nr = 0;

	lock_take(&zone->lock);
	do {
		unsigned more = zone_take_word(pages, zone, request->source, request->order,
		                               (unsigned)min_u64(most - nr, 64),
		                               &taken[nr_words]);

		if (!more)
			break;
		nr += more;
		nr_words++;
	} while (nr < min_u64(most, stack->batch / 2) && nr_words < ARRAY_SIZE(taken));
	lock_drop(&zone->lock);
	while (nr_words > 0)
		push_taken(cz, stack, &taken[--nr_words]);
	count_up(&stack->from_zone, nr);
	return nr > 0;
}

static bool refill_blocks(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                          const struct request *request, struct frame_stack *stack, size_t most)
{
	uint32_t entry[8];
	size_t nr = 0;

	lock_take(&zone->lock);
	while (nr < min_u64(most, stack->batch) && nr < ARRAY_SIZE(entry) &&
	       zone_take_long(pages, zone, request->source, BLOCK_ORDER, &entry[nr]))
		nr++;
	lock_drop(&zone->lock);
	count_up(&stack->from_zone, nr);
	for (size_t i = nr; i-- > 0;)
		stack_push(cz, stack, entry[i]);
	return nr > 0;
}

static bool take_direct(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                        const struct request *request, uint32_t *out)
{
	struct taken taken;
	bool got;

	lock_take(&zone->lock);
	if (request->order > WORD_ORDER)
		got = zone_take_long(pages, zone, request->source, request->order, out);
	else
		got = zone_take_word(pages, zone, request->source, request->order, 1, &taken) !=
		      0;
	if (got && (request->source.from & FROM_HIGHATOMIC))
		zone_reserve_highatomic(pages, zone,
		                        block_of(pages, request->order > WORD_ORDER
		                                                ? *out & ENTRY_PFN
		                                                : taken.pfn));
	lock_drop(&zone->lock);
	if (!got)
		return false;
	if (request->order <= WORD_ORDER)
		*out = (uint32_t)(taken.pfn + log2_floor(taken.starts)) |
		       (taken.fresh ? ENTRY_FRESH : 0);
	page_cpu_count(cpu, PGALLOC_DMA + zone->id, UINT64_C(1) << request->order);
	return true;
}

/* From this zone, if it stays above the floor. */
static bool take_from_zone(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                           const struct request *request, uint64_t floor, uint32_t *out)
{
	struct cpu_zone *cz = &cpu->zone[zone->index];
	unsigned class = class_of_order[request->order];
	struct frame_stack *stack = &cz->stack[stack_id(class, request->source.type)];
	size_t limit = (size_t)(stack->end - stack->bottom);
	size_t most = batch_of(zone, request, floor, max_u64(limit, 1));

	if (most == 0)
		return false;
	if (limit == 0 || (request->source.from & FROM_HIGHATOMIC))
		return take_direct(pages, cpu, zone, request, out);
	if (stack->top == stack->bottom &&
	    !(class == STACK_BLOCK ? refill_blocks(pages, cz, zone, request, stack, most)
	                           : refill_words(pages, cz, zone, request, stack, most)))
		return false;
	*out = stack_pop(cz, stack);
	return true;
}

static bool try_zones(struct tmm_pages *pages, struct page_cpu *cpu,
                      const struct request *request, enum watermark mark, uint32_t *out)
{
	unsigned cursor = 0;
	struct zone *zone;

	while ((zone = zonelist_next(pages, &request->choice, &cursor)))
		if (take_from_zone(pages, cpu, zone, request, floor_of(zone, request, mark),
		                   out))
			return true;
	return false;
}

/* All that can be had without waiting. */
static bool try_all(struct tmm_pages *pages, const struct request *request, uint32_t *out)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	bool got = try_zones(pages, cpu, request, MARK_LOW, out) ||
	           try_zones(pages, cpu, request, MARK_MIN, out);

	if (!got) {
		drain(pages, cpu);
		got = try_zones(pages, cpu, request, MARK_MIN, out);
	}
	tmm_port_irq_restore(irq);
	return got;
}

static struct source source_of(const struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	unsigned type = stack_type_of_gfp(pages, gfp);
	struct source source = {.type = TMM_MIGRATE_UNMOVABLE};

	if (type != STACK_TYPE_NONE)
		source.type = (enum tmm_migrate_type)type;
	if (source.type == TMM_MIGRATE_MOVABLE)
		source.from |= FROM_CMA;
	if (gfp & TMM_GFP_MEMALLOC)
		source.from |= FROM_RESERVE;
	if (order > 0 && (gfp & TMM_GFP_HIGH) && !(gfp & TMM_GFP_DIRECT_RECLAIM))
		source.from |= FROM_HIGHATOMIC;
	return source;
}

/* Sleeps.  A run of several frames may be there to be made of single ones. */
static bool compact(struct tmm_pages *pages, const struct request *request)
{
	struct zone *zone;
	unsigned cursor = 0;

	if (request->order == 0)
		return false;
	while ((zone = zonelist_next(pages, &request->choice, &cursor)))
		if (zone_compact_for(pages, zone, request->source, request->order))
			return true;
	return false;
}

/* Before giving up: frames kept for requests that cannot wait. */
static bool unreserve(struct tmm_pages *pages)
{
	bool found = false;

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];
		tmm_irq irq = lock_take_irqsave(&zone->lock);

		found |= zone_unreserve_highatomic(pages, zone);
		lock_drop_irqrestore(&zone->lock, irq);
	}
	return found;
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
	page_cpu_count(page_cpu_self(pages), ALLOCSTALL_DMA + request->choice.highest, 1);
	tmm_port_irq_restore(irq);
	return pages->reclaim_ops->reclaim(pages->reclaim_arg, request->gfp, request->order) !=
	       0;
}

static NOINLINE bool alloc_slow(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                uint32_t *out)
{
	struct request request = {gfp,
	                          order,
	                          {.node = cpu_self(pages->cpus)->node,
	                           .nodes = NODES_ALL,
	                           .highest = highest_zone(pages, gfp)},
	                          source_of(pages, gfp, order)};
	/* Who reclaims must not start reclaim. */
	bool may_reclaim = (gfp & TMM_GFP_DIRECT_RECLAIM) && !(gfp & TMM_GFP_MEMALLOC);

	if (gfp & TMM_GFP_THISNODE)
		request.choice.nodes = 1u << request.choice.node;
	while (!try_all(pages, &request, out)) {
		if (may_reclaim && compact(pages, &request))
			continue;
		if (may_reclaim && reclaim(pages, &request)) {
			may_reclaim = !(gfp & TMM_GFP_NORETRY);
			continue;
		}
		if (unreserve(pages))
			continue;
		if (gfp & TMM_GFP_NOFAIL)
			tmm_port_panic(__FILE__, __LINE__,
			               "a request that must not fail finds memory; there is "
			               "none left and nothing to reclaim");
		return false;
	}
	return true;
}

static NOINLINE tmm_err lend_cleared(const struct tmm_pages *pages, uint32_t entry,
                                     unsigned order, tmm_pfn *out_pfn)
{
	out_pfn->v = entry & ENTRY_PFN;
	if (!(entry & ENTRY_FRESH))
		memset((char *)pages->ram + (out_pfn->v << TMM_PAGE_SHIFT), 0,
		       TMM_PAGE_SIZE << order);
	return TMM_OK;
}

static ALWAYS_INLINE tmm_err lend(const struct tmm_pages *pages, tmm_gfp gfp, uint32_t entry,
                                  unsigned order, tmm_pfn *out_pfn)
{
	if (gfp & TMM_GFP_ZERO)
		return lend_cleared(pages, entry, order, out_pfn);
	out_pfn->v = entry & ENTRY_PFN;
	return TMM_OK;
}

/* The stack is empty, or there is no stack. */
static NOINLINE tmm_err alloc_rest(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                   tmm_pfn *out_pfn)
{
	uint32_t entry;

	if (!alloc_slow(pages, gfp, order, &entry))
		return TMM_E_NOMEM;
	return lend(pages, gfp, entry, order, out_pfn);
}

/* Where this does not hold, the slow path finds the caller a CPU. */
static ALWAYS_INLINE bool on_cpu_of(const struct tmm_pages *pages, const struct tmm_cpu *cpu)
{
	return likely(cpu && cpu->set == pages->cpus);
}

static ALWAYS_INLINE tmm_err alloc_run(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                       tmm_pfn *out_pfn)
{
	tmm_irq irq = tmm_port_irq_save();
	const struct tmm_cpu *self = tmm_port_cpu();
	struct page_cpu *cpu;
	struct cpu_zone *cz;
	struct frame_stack *stack;
	uint32_t entry;

	if (unlikely(!on_cpu_of(pages, self)))
		goto rest;
	cpu = pages->cpu[self->id];
	cz = &cpu->zone[cpu->first_choice[gfp % NR_FIRST_CHOICES]];
	stack = &cz->stack[stack_id(class_of_order[order], stack_type_of_gfp(pages, gfp))];
	if (unlikely(stack->top == stack->bottom))
		goto rest;
	entry = stack_pop(cz, stack);
	tmm_port_irq_restore(irq);
	return lend(pages, gfp, entry, order, out_pfn);
rest:
	tmm_port_irq_restore(irq);
	return alloc_rest(pages, gfp, order, out_pfn);
}

tmm_err tmm_pages_alloc(struct tmm_pages *pages, tmm_gfp gfp, unsigned order, tmm_pfn *out_pfn)
{
	if (unlikely(!tmm_port_allow("page_alloc")) && !(gfp & TMM_GFP_NOFAIL))
		return TMM_E_NOMEM;
	if (likely(order == 0))
		return alloc_run(pages, gfp, 0, out_pfn);
	if (unlikely(order > pages->max_order))
		return TMM_E_INVAL;
	return alloc_run(pages, gfp, order, out_pfn);
}

size_t tmm_pages_alloc_bulk(struct tmm_pages *pages, tmm_gfp gfp, size_t nr, tmm_pfn *out)
{
	size_t got = 0;

	if (unlikely(!tmm_port_allow("page_alloc")) && !(gfp & TMM_GFP_NOFAIL))
		return 0;
	while (got < nr && alloc_run(pages, gfp, 0, &out[got]) == TMM_OK)
		got++;
	return got;
}

/* ---- taking back ---- */

/* The bits of a run in its first word. */
static ALWAYS_INLINE uint64_t first_bits(uint64_t pfn, unsigned order)
{
	return run_mask(order < WORD_ORDER ? order : WORD_ORDER) << (pfn % 64);
}

/* Panics where it can be seen that the run is not lent. */
static void check_lent(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	uint64_t run = UINT64_C(1) << order;

	if (order > pages->max_order || pfn % run)
		BAD_FREE("a freed run is aligned to its order, at most tmm_pages_max_order()");
	if (!pfn_in_span(pages, pfn))
		BAD_FREE("a freed frame is RAM; this one is outside");
	for (uint64_t p = pfn; p < pfn + run; p += BLOCK_FRAMES)
		if ((pages->info[block_of(pages, p)].home & HOME_MIXED) &&
		    !run_is_managed(pages, pfn, run))
			BAD_FREE("a freed frame is lent; this one was never handed over");
	if (pfn % BLOCK_FRAMES >= pages->info[block_of(pages, pfn)].fresh)
		BAD_FREE("a freed frame is lent; this one never was");
	/* relaxed: as in free_run() */
	if (__atomic_load_n(word_of(pages, pfn), __ATOMIC_RELAXED) & first_bits(pfn, order))
		BAD_FREE("a frame is freed once; this one is free in its zone");
}

/* Anything unusual: no CPU yet, a mixed block, no room or no stack, or a wrong free. */
static NOINLINE void free_rest(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	struct zone *zone;
	struct cpu_zone *cz;
	struct frame_stack *stack;
	unsigned id;

	check_lent(pages, pfn, order);
	zone = zone_of(pages, pfn);
	cz = &cpu->zone[zone->index];
	if (*recent_of(cz, (uint32_t)pfn) == pfn)
		BAD_FREE("a frame is freed once; this one is on the CPU's stack");
	/* relaxed: its type may change meanwhile, and a few frames end up with the old one */
	id = stack_id(class_of_order[order],
	              __atomic_load_n(&pages->info[block_of(pages, pfn)].stack_type,
	                              __ATOMIC_RELAXED));
	stack = &cz->stack[id];
	if (stack->bottom == stack->end) {
		lock_take(&zone->lock);
		zone_give(pages, zone, pfn, order);
		lock_drop(&zone->lock);
		page_cpu_count(cpu, PGFREE, UINT64_C(1) << order);
	} else {
		if (stack->top == stack->end)
			stack_spill(pages, cz, id, zone,
			            (size_t)(stack->end - stack->bottom + 1) / 2);
		stack_push(cz, stack, (uint32_t)pfn);
		count_up(&stack->freed, 1);
	}
	tmm_port_irq_restore(irq);
}

/* Where a block is mixed: surely handed over? */
static ALWAYS_INLINE bool run_in_managed_part(const struct block_info *info, uint64_t pfn,
                                              unsigned order)
{
	uint64_t start = pfn % BLOCK_FRAMES - info->managed_start;

	return start < info->nr_managed && start + (UINT64_C(1) << order) <= info->nr_managed;
}

static ALWAYS_INLINE void free_run(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	tmm_irq irq = tmm_port_irq_save();
	const struct tmm_cpu *cpu = tmm_port_cpu();
	struct cpu_zone *cz;
	struct frame_stack *stack;
	const struct block_info *info;

	if (unlikely(!on_cpu_of(pages, cpu) || !pfn_in_span(pages, pfn)))
		goto rest;
	info = &pages->info[block_of(pages, pfn)];
	if (unlikely(home_is_odd(info)) && !run_in_managed_part(info, pfn, order))
		goto rest;
	/* relaxed: bits of a lent run are 0, and nobody changes them */
	if (unlikely(pfn % (UINT64_C(1) << order) ||
	             (__atomic_load_n(word_of(pages, pfn), __ATOMIC_RELAXED) &
	              first_bits(pfn, order))))
		goto rest;
	cz = &pages->cpu[cpu->id]->zone[home_zone(info)];
	/* relaxed: as in free_rest() */
	stack = &cz->stack[stack_id(class_of_order[order],
	                            __atomic_load_n(&info->stack_type, __ATOMIC_RELAXED))];
	if (unlikely(*recent_of(cz, (uint32_t)pfn) == pfn || stack->top == stack->end))
		goto rest;
	stack_push(cz, stack, (uint32_t)pfn);
	count_up(&stack->freed, 1);
	tmm_port_irq_restore(irq);
	return;
rest:
	tmm_port_irq_restore(irq);
	free_rest(pages, pfn, order);
}

void tmm_pages_free(struct tmm_pages *pages, tmm_pfn pfn, unsigned order)
{
	if (likely(order == 0))
		free_run(pages, pfn.v, 0);
	else if (order < BLOCK_ORDER + 1)
		free_run(pages, pfn.v, order);
	else
		free_rest(pages, pfn.v, order);
}

void tmm_pages_free_bulk(struct tmm_pages *pages, size_t nr, const tmm_pfn *pfns)
{
	for (size_t i = 0; i < nr; i++)
		free_run(pages, pfns[i].v, 0);
}

void tmm_pages_set_reclaim(struct tmm_pages *pages, const struct tmm_reclaim_ops *ops,
                           void *arg)
{
	pages->reclaim_arg = arg;
	pages->reclaim_ops = ops;
}

/* ---- addresses ---- */

/* Not entered, or some of it is not RAM: look closer. */
static ALWAYS_INLINE bool may_be_hole(const struct block_info *info)
{
	return unlikely((uint8_t)(info->home - 1) >= HOME_NO_RAM - 1);
}

static ALWAYS_INLINE void check_ram(const struct tmm_pages *pages, uint64_t pfn)
{
	if (unlikely(!pfn_in_span(pages, pfn)) ||
	    (may_be_hole(&pages->info[block_of(pages, pfn)]) && !run_is_ram(pages, pfn, 1)))
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
