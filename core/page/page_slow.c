/*
 * page_slow.c - requests that the caller's own stack cannot serve
 *
 * Zones are tried in the order of the zonelist: above their low watermarks; then,
 * background reclaim having been woken, down to what the flags allow; then after
 * the CPU's stacks were emptied.  From there on memory is short, and only who may
 * sleep goes on, round after round: what other CPUs keep is taken, long runs are
 * compacted, memory is reclaimed, and as long as that leads somewhere it is done
 * again.  When it does not, something is killed to make room, unless the flags
 * rule it out.
 *
 *   costly       a run longer than 2^3 frames has one round, and kills nobody;
 *                with RETRY_MAYFAIL it has as many as others
 *   NORETRY      one round
 *   NOFAIL       half of the least watermark is its, and it waits for others; it
 *                panics when there is nothing left to wait for
 *
 * What a CPU has on its stacks is out of the zones' counts, so that watermarks are
 * asked when a stack is filled.
 */
#include "page/page_slow.h"

#define COSTLY_ORDER 3u
#define MAX_RETRIES  16u   /* rounds without progress */
#define NOFAIL_WAITS 1000u /* for other CPUs to give something back */

struct source source_of(const struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	/* Who cannot wait, and would rather not be refused. */
	bool non_block = !(gfp & (TMM_GFP_DIRECT_RECLAIM | TMM_GFP_NOMEMALLOC));
	unsigned type = stack_type_of_gfp(pages, gfp);
	struct source source = {.type = TMM_MIGRATE_UNMOVABLE};

	if (type != STACK_TYPE_NONE)
		source.type = (enum tmm_migrate_type)type;
	if (source.type == TMM_MIGRATE_MOVABLE)
		source.from |= FROM_CMA;
	if (non_block || (gfp & TMM_GFP_MEMALLOC))
		source.from |= FROM_RESERVE;
	if (order > 0 && (gfp & TMM_GFP_HIGH) && non_block)
		source.from |= FROM_HIGHATOMIC;
	return source;
}

/* ---- how low a request may go ---- */

/* Frames of the zone that must stay free when the request is served. */
static uint64_t floor_of(const struct zone *zone, const struct request *request,
                         enum watermark mark)
{
	uint64_t floor = zone_mark(zone, mark);

	if ((request->gfp & TMM_GFP_MEMALLOC) && !(request->gfp & TMM_GFP_NOMEMALLOC))
		return 0;
	if (mark == MARK_MIN && (request->gfp & TMM_GFP_HIGH)) {
		if (request->order == 0)
			floor = zone_plain_mark(zone, mark);
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

/* ---- from a zone ---- */

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
	count_up(&cpu->zone[zone->index].count[NUMA_DIRECT], 1);
	return true;
}

/* Is what is kept for requests that cannot wait all there is?  None of it goes on a stack. */
static bool only_reserve_left(const struct zone *zone, const struct request *request)
{
	const struct source others = {.type = request->source.type,
	                              .from = request->source.from & ~FROM_RESERVE};

	return (request->source.from & FROM_RESERVE) &&
	       zone_usable(zone, others) < UINT64_C(1) << request->order;
}

/* From this zone, if it stays above the floor. */
static bool take_from_zone(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                           const struct request *request, uint64_t floor, uint32_t *out)
{
	struct cpu_zone *cz = &cpu->zone[zone->index];
	unsigned class = class_of_order[request->order];
	struct frame_stack *stack = &cz->stack[stack_id(class, request->source.type)];
	size_t limit = stacks_are_open(cpu) ? (size_t)(stack->end - stack->bottom) : 0;
	size_t most = batch_of(zone, request, floor, max_u64(limit, 1));

	if (most == 0)
		return false;
	if (limit == 0 || (request->source.from & FROM_HIGHATOMIC) ||
	    (stack->top == stack->bottom && only_reserve_left(zone, request)))
		return take_direct(pages, cpu, zone, request, out);
	if (stack->top == stack->bottom &&
	    !stack_refill(pages, cpu, zone, stack, class, request->source, most))
		return false;
	*out = stack_pop(cpu, stack);
	return true;
}

/* Whether it is the node that was wished for; what is a hit follows from that. */
static void count_node(struct page_cpu *cpu, const struct request *request,
                       const struct zone *wished, const struct zone *zone)
{
	if (zone->node != wished->node) {
		count_up(&cpu->zone[zone->index].count[NUMA_MISS], 1);
		count_up(&cpu->zone[wished->index].count[NUMA_FOREIGN], 1);
	} else if (request->interleaved && zone->node == request->choice.node) {
		count_up(&cpu->zone[zone->index].count[NUMA_INTERLEAVE], 1);
	}
}

static bool try_zones(struct tmm_pages *pages, struct page_cpu *cpu,
                      const struct request *request, enum watermark mark, uint32_t *out)
{
	unsigned cursor = 0;
	struct zone *zone, *wished = NULL;

	while ((zone = zonelist_next(pages, &request->choice, &cursor))) {
		if (!wished)
			wished = zone;
		if (!take_from_zone(pages, cpu, zone, request, floor_of(zone, request, mark),
		                    out))
			continue;
		count_node(cpu, request, wished, zone);
		return true;
	}
	return false;
}

/* Zones whose marks were raised: background reclaim takes that back. */
static void wake_for_boost(struct tmm_pages *pages, tmm_gfp gfp)
{
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;
	uint64_t zones;

	/* relaxed: a hint; what is seen late wakes late */
	if (likely(!__atomic_load_n(&pages->boosted, __ATOMIC_RELAXED)) ||
	    !(gfp & TMM_GFP_KSWAPD))
		return;
	zones = __atomic_exchange_n(&pages->boosted, 0, __ATOMIC_RELAXED);
	for (; zones; zones &= zones - 1) {
		const struct zone *zone = &pages->zone[__builtin_ctzll(zones)];

		ops->wake_kswapd(pages->reclaim_arg, zone->node, gfp, 0, zone->id);
	}
}

static bool try_mark(struct tmm_pages *pages, const struct request *request,
                     enum watermark mark, bool drain, uint32_t *out)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	bool open = stacks_open(pages, cpu);
	bool got = try_zones(pages, cpu, request, mark, out);

	if (!got && drain && open) {
		stacks_drain(pages, cpu);
		got = try_zones(pages, cpu, request, mark, out);
	}
	if (open)
		stacks_close(cpu);
	tmm_port_irq_restore(irq);
	wake_for_boost(pages, request->gfp);
	return got;
}

/* ---- when memory is short ---- */

static void wake_background(struct tmm_pages *pages, const struct request *request)
{
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;
	unsigned cursor = 0;
	uint32_t woken = 0;
	const struct zone *zone;

	if (!(request->gfp & TMM_GFP_KSWAPD) || !ops || !ops->wake_kswapd)
		return;
	while ((zone = zonelist_next(pages, &request->choice, &cursor))) {
		if (!(woken >> zone->node & 1))
			ops->wake_kswapd(pages->reclaim_arg, zone->node, request->gfp,
			                 request->order, request->choice.highest);
		woken |= 1u << zone->node;
	}
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

/* What background reclaim was to do is being done now, and the request needs the room. */
static void take_boost_back(struct tmm_pages *pages, const struct request *request)
{
	struct zone *zone;
	unsigned cursor = 0;

	while ((zone = zonelist_next(pages, &request->choice, &cursor)))
		if (zone_boost(zone))
			watermark_unboost(zone, UINT64_MAX);
}

/* Sleeps; pages freed. */
static uint64_t reclaim(struct tmm_pages *pages, const struct request *request)
{
	tmm_irq irq;

	take_boost_back(pages, request);
	if (!pages->reclaim_ops || !pages->reclaim_ops->reclaim)
		return 0;
	irq = tmm_port_irq_save();
	page_cpu_count(page_cpu_self(pages), ALLOCSTALL_DMA + request->choice.highest, 1);
	tmm_port_irq_restore(irq);
	return pages->reclaim_ops->reclaim(pages->reclaim_arg, request->gfp, request->order);
}

/* Were all of it reclaimed that can be, would some zone have enough? */
static bool enough_reclaimable(struct tmm_pages *pages, const struct request *request,
                               bool progress)
{
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;
	unsigned cursor = 0;
	const struct zone *zone;

	if (!ops || !ops->reclaimable)
		return progress; /* unknown: as long as it leads somewhere */
	while ((zone = zonelist_next(pages, &request->choice, &cursor)))
		if (ops->reclaimable(pages->reclaim_arg, zone->node, zone->id) +
		            zone_usable(zone, request->source) >=
		    floor_of(zone, request, MARK_MIN) + (UINT64_C(1) << request->order))
			return true;
	return false;
}

struct retries {
	unsigned without_progress, compactions;
};

/* After a round that brought nothing: is another one worth it? */
static bool worth_a_round(struct tmm_pages *pages, const struct request *request,
                          struct retries *retries, uint64_t freed, bool compacted)
{
	bool costly = request->order > COSTLY_ORDER;

	if (request->gfp & TMM_GFP_NORETRY)
		return false;
	if (costly && !(request->gfp & TMM_GFP_RETRY_MAYFAIL))
		return false;
	if (freed && !costly)
		retries->without_progress = 0;
	else
		retries->without_progress++;
	if (retries->without_progress <= MAX_RETRIES &&
	    enough_reclaimable(pages, request, freed != 0))
		return true;
	return compacted && ++retries->compactions <= MAX_RETRIES;
}

/* Room made at somebody's cost. */
static bool kill(struct tmm_pages *pages, const struct request *request)
{
	const tmm_gfp forbid = TMM_GFP_NORETRY | TMM_GFP_RETRY_MAYFAIL | TMM_GFP_THISNODE;
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;

	if (!ops || !ops->oom || (request->gfp & forbid) || !(request->gfp & TMM_GFP_FS))
		return false;
	if (request->order > COSTLY_ORDER || request->choice.highest < TMM_ZONE_NORMAL)
		return false;
	return ops->oom(pages->reclaim_arg, request->gfp, request->order);
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

/* What must not fail takes from the reserve, and then waits for others. */
static bool insist(struct tmm_pages *pages, const struct request *request, unsigned *nr_waits,
                   uint32_t *out)
{
	struct request deeper = *request;

	deeper.gfp |= TMM_GFP_HIGH;
	if (try_mark(pages, &deeper, MARK_MIN, true, out))
		return true;
	if (++*nr_waits > NOFAIL_WAITS)
		tmm_port_panic(__FILE__, __LINE__,
		               "a request that must not fail finds memory; there is none left "
		               "and nothing to reclaim");
	tmm_port_relax();
	return false;
}

/* One round of all that frees memory; true: *out is served. */
static bool round_of(struct tmm_pages *pages, const struct request *request,
                     struct retries *retries, bool *more, uint32_t *out)
{
	uint64_t freed = reclaim(pages, request);
	bool compacted;

	if (try_mark(pages, request, MARK_MIN, true, out))
		return true;
	compacted = compact(pages, request);
	if (compacted && try_mark(pages, request, MARK_MIN, true, out))
		return true;
	*more = worth_a_round(pages, request, retries, freed, compacted) || unreserve(pages);
	if (*more || (request->gfp & TMM_GFP_NORETRY))
		return false;
	/* Somebody may have freed meanwhile: kill only when memory is really short. */
	if (try_mark(pages, request, MARK_HIGH, false, out))
		return true;
	*more = kill(pages, request);
	if (*more)
		*retries = (struct retries){0, 0};
	return false;
}

static bool work_for_it(struct tmm_pages *pages, const struct request *request, uint32_t *out)
{
	struct retries retries = {0, 0};
	unsigned nr_waits = 0;
	bool more = true;

	tmm_pages_drain_all(pages);
	/* Where memory is cut up rather than short, that is cheaper than reclaim. */
	if ((request->order > COSTLY_ORDER || request->source.type != TMM_MIGRATE_MOVABLE) &&
	    compact(pages, request) && try_mark(pages, request, MARK_MIN, true, out))
		return true;
	while (more) {
		more = false;
		if (round_of(pages, request, &retries, &more, out))
			return true;
		if (!more && (request->gfp & TMM_GFP_NOFAIL)) {
			if (insist(pages, request, &nr_waits, out))
				return true;
			more = true;
		}
	}
	return false;
}

bool pages_alloc_easy(struct tmm_pages *pages, const struct request *request, uint32_t *out)
{
	return try_mark(pages, request, MARK_LOW, false, out);
}

bool pages_alloc_slow(struct tmm_pages *pages, const struct request *request, uint32_t *out)
{
	tmm_gfp gfp = request->gfp;
	bool sleeps_only_where_it_may = !(gfp & TMM_GFP_DIRECT_RECLAIM) || tmm_port_may_sleep();
	/* Who reclaims must not start reclaim. */
	bool may_reclaim = (gfp & TMM_GFP_DIRECT_RECLAIM) && !(gfp & TMM_GFP_MEMALLOC);

	if (try_mark(pages, request, MARK_LOW, false, out))
		return true;
	TMM_ASSERT(sleeps_only_where_it_may);
	wake_background(pages, request);
	if (try_mark(pages, request, MARK_MIN, true, out))
		return true;
	if (may_reclaim && work_for_it(pages, request, out))
		return true;
	if (!may_reclaim && unreserve(pages) && try_mark(pages, request, MARK_MIN, true, out))
		return true;
	if (gfp & TMM_GFP_NOFAIL)
		tmm_port_panic(__FILE__, __LINE__,
		               "a request that must not fail may sleep and reclaim");
	if (!(gfp & TMM_GFP_NOWARN))
		report_failure(pages, request);
	return false;
}

void tmm_pages_set_reclaim(struct tmm_pages *pages, const struct tmm_reclaim_ops *ops,
                           void *arg)
{
	pages->reclaim_arg = arg;
	pages->reclaim_ops = ops;
}
