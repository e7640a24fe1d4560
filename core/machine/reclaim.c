/*
 * reclaim.c - what gives memory back when it is short, as far as a machine can today
 *
 * Clean pages that nobody maps are the first to go, then what shrinkers give and
 * slabs without objects.  Pages in use stay: there is nowhere to put them.
 *
 *   below low    the request notes which node is short and goes on; at the next safe
 *                point tmm_machine_background() brings that node up to a high
 *                watermark
 *   below min    the request reclaims itself, a batch at a time
 *   nothing left whoever runs the tasks is asked to kill one
 *
 * When nothing can be reclaimed that would be enough, a request stops trying: it compares
 * what is free with the idle pages of files and the slabs that shrinkers can empty.  Of
 * those the number is an upper bound, and slabs are in no zone that has no address.
 *
 * A node is brought up with its own pages of files.  Slabs are not told apart by node,
 * so they give on all.
 */
#include <tuxmm/shrinker.h>

#include "cache/mapping.h"
#include "machine/machine.h"
#include "page/zone.h"

/* Pages reclaimed at a time (Linux: SWAP_CLUSTER_MAX). */
#define RECLAIM_BATCH UINT64_C(32)

/* Objects that a shrinker is asked for at a time (Linux: SHRINK_BATCH). */
#define SHRINK_BATCH UINT64_C(128)

/* More than was asked for, so that the next request need not come here. */
static uint64_t batch_for(unsigned order)
{
	return max_u64(RECLAIM_BATCH, UINT64_C(2) << order);
}

static uint64_t reclaim_direct(void *arg, tmm_gfp gfp, unsigned order)
{
	struct tmm_machine *machine = arg;
	uint64_t freed = tmm_cache_shrink_pages(&machine->cache, batch_for(order));

	count_vm_events(&machine->pages, PGSTEAL_DIRECT, freed);
	return freed ? freed : tmm_shrink_slab(&machine->slabs, gfp, SHRINK_BATCH);
}

static void raise_to(uint32_t *value, uint32_t least)
{
	uint32_t now = __atomic_load_n(value, __ATOMIC_RELAXED);

	while (now < least && !__atomic_compare_exchange_n(value, &now, least, true,
	                                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void wake_kswapd(void *arg, unsigned node, tmm_gfp gfp, unsigned order,
                        enum tmm_zone_id highest)
{
	struct reclaim_state *state = &((struct tmm_machine *)arg)->reclaim;

	(void)gfp;
	raise_to(&state->wake[node].order, order);
	raise_to(&state->wake[node].highest, highest);
	/* release: who sees the bit sees what it is for */
	__atomic_fetch_or(&state->woken, 1u << node, __ATOMIC_RELEASE);
}

static uint64_t reclaimable(void *arg, unsigned node, enum tmm_zone_id zone)
{
	const struct tmm_machine *machine = arg;
	uint8_t index = machine->pages.node[node].zone_index[zone];
	uint64_t slab = 0;

	if (index == ZONE_NONE)
		return 0;
	if (zone < TMM_ZONE_HIGHMEM)
		slab = node_stat_sum(&machine->pages, node, NR_SLAB_RECLAIMABLE);
	return cache_idle_pages(&machine->cache, index) + slab;
}

static bool oom(void *arg, tmm_gfp gfp, unsigned order)
{
	const struct reclaim_state *state = &((struct tmm_machine *)arg)->reclaim;

	return state->oom && state->oom(state->oom_arg, gfp, order);
}

void reclaim_init(struct tmm_machine *machine)
{
	static const struct tmm_reclaim_ops ops = {
		.reclaim = reclaim_direct,
		.wake_kswapd = wake_kswapd,
		.reclaimable = reclaimable,
		.oom = oom,
	};

	machine->reclaim = (struct reclaim_state){.woken = 0};
	tmm_pages_set_reclaim(&machine->pages, &ops, machine);
}

void tmm_machine_on_oom(struct tmm_machine *machine,
                        bool (*kill)(void *arg, tmm_gfp gfp, unsigned order), void *arg)
{
	machine->reclaim.oom = kill;
	machine->reclaim.oom_arg = arg;
}

/*
 * Is no zone that the requests could use above its high watermark and what it keeps for
 * lower ones?  One is enough, as in Linux: a small zone may be full for good.
 */
static bool is_short(const struct tmm_pages *pages, unsigned node, struct node_wake wake)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		const struct zone *zone = &pages->zone[z];
		uint64_t mark = zone_mark(zone, MARK_HIGH) +
		                zone_reserve(zone, (enum tmm_zone_id)wake.highest);

		if (zone->node == node && zone->id <= wake.highest &&
		    zone_free(zone) >= mark + (UINT64_C(1) << wake.order))
			return false;
	}
	return true;
}

/* Zones of a node whose watermarks are raised, and by how much. */
struct boosts {
	uint64_t of[TMM_NR_ZONES];
	uint64_t sum;
};

static struct boosts boosts_of(const struct tmm_pages *pages, unsigned node)
{
	struct boosts boosts = {.sum = 0};

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		const struct zone *zone = &pages->zone[z];

		if (zone->node != node)
			continue;
		boosts.of[zone->id] = zone_boost(zone);
		boosts.sum += boosts.of[zone->id];
	}
	return boosts;
}

/* What was raised meanwhile stays for the next run. */
static void boosts_end(struct tmm_pages *pages, unsigned node, const struct boosts *boosts)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];

		if (zone->node == node && boosts->of[zone->id])
			watermark_unboost(zone, boosts->of[zone->id]);
	}
}

/*
 * Until the node is not short, or nothing is left to give.  A node that is not short but
 * boosted gives as much as its watermarks were raised by.
 */
static uint64_t balance(struct tmm_machine *machine, unsigned node, struct node_wake wake)
{
	const struct boosts boosts = boosts_of(&machine->pages, node);
	bool was_short = is_short(&machine->pages, node, wake);
	uint64_t freed, total = 0, wanted = was_short ? 0 : boosts.sum;

	count_vm_event(&machine->pages, PAGEOUTRUN);
	while (total < wanted || is_short(&machine->pages, node, wake)) {
		freed = cache_shrink_nodes(&machine->cache, 1u << node, batch_for(wake.order));
		count_vm_events(&machine->pages, PGSTEAL_KSWAPD, freed);
		/* What is on the stacks is not free for others. */
		tmm_pages_drain(&machine->pages);
		if (!freed)
			freed = tmm_shrink_slab(&machine->slabs, TMM_GFP_KERNEL, SHRINK_BATCH);
		if (!freed)
			break;
		total += freed;
	}
	boosts_end(&machine->pages, node, &boosts);
	return total;
}

bool tmm_machine_is_woken(const struct tmm_machine *machine)
{
	/* relaxed: a hint; whoever acts on it reads it again */
	return __atomic_load_n(&machine->reclaim.woken, __ATOMIC_RELAXED) != 0;
}

uint64_t tmm_machine_background(struct tmm_machine *machine)
{
	struct reclaim_state *state = &machine->reclaim;
	/* acquire: what the nodes were woken for is seen */
	uint32_t woken = __atomic_exchange_n(&state->woken, 0, __ATOMIC_ACQUIRE);
	uint64_t freed = 0;

	for (unsigned n = 0; n < TMM_MAX_NODES; n++) {
		struct node_wake wake;

		if (!(woken >> n & 1))
			continue;
		/* relaxed: a wake that comes now sets the bit again */
		wake.order = __atomic_exchange_n(&state->wake[n].order, 0, __ATOMIC_RELAXED);
		wake.highest = __atomic_exchange_n(&state->wake[n].highest, 0,
		                                   __ATOMIC_RELAXED);
		freed += balance(machine, n, wake);
	}
	return freed;
}
