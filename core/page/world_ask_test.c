/*
 * world_ask_test.c - requests of every kind, and whether they had to be served
 */
#include <tuxmm/policy.h>

#include "page/world_run_test.h"

static struct wish random_wish(void)
{
	static const tmm_gfp zones[] = {0,
	                                0,
	                                TMM_GFP_DMA,
	                                TMM_GFP_DMA32,
	                                TMM_GFP_HIGHMEM,
	                                TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE,
	                                TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE,
	                                TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE,
	                                TMM_GFP_MOVABLE,
	                                TMM_GFP_RECLAIMABLE,
	                                TMM_GFP_RECLAIMABLE | TMM_GFP_HIGHMEM};
	static const tmm_gfp ways[] = {0,
	                               TMM_GFP_NOWAIT,
	                               TMM_GFP_NOWAIT,
	                               TMM_GFP_KERNEL,
	                               TMM_GFP_MEMALLOC,
	                               TMM_GFP_MEMALLOC,
	                               TMM_GFP_MEMALLOC | TMM_GFP_NOMEMALLOC,
	                               TMM_GFP_KERNEL | TMM_GFP_NORETRY};
	struct wish wish = {.gfp = zones[world_below(ARRAY_SIZE(zones))], .nodes = UINT32_MAX};

	if (run.only_movable)
		wish.gfp = TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE;
	wish.gfp |= ways[world_below(ARRAY_SIZE(ways))] | TMM_GFP_NOWARN;
	if (world_below(64) == 0)
		wish.gfp |= TMM_GFP_ATOMIC & ~(unsigned)TMM_GFP_DIRECT_RECLAIM;
	if (world_below(16) == 0)
		wish.gfp |= TMM_GFP_ZERO;
	if (run.only_movable)
		wish.order = 0;
	else if (world_below(8) == 0)
		wish.order = world_below(world.max_order + 1);
	else if (world_below(3) == 0)
		wish.order = world_below(5);
	wish.nr = UINT64_C(1) << wish.order;
	return wish;
}

static void check_zero(const struct loan *loan)
{
	for (uint64_t p = loan->pfn; p < loan->pfn + loan->nr; p++)
		for (unsigned i = 0; i<512; i += loan->nr> 8 ? 73 : 1)
			CHECK(world_frame(p)[i] == 0);
}

static void lent(const struct wish *wish, tmm_pfn pfn, bool exact)
{
	unsigned number = world_lend(&world, wish, pfn.v);
	struct loan *loan = &world.loan[number];

	loan->exact = exact;
	if (wish->gfp & TMM_GFP_ZERO)
		check_zero(loan);
	world_stamp(number);
	if (loan->movable && loan->order == 0 && !exact && world_below(512)) {
		loan->marked = true;
		tmm_page_set_movable(&run.rig.pages, pfn, &world_movable);
	}
	run.nr.lent++;
}

/* Bounds of what must stay free in a zone, and of what it has for the wish. */
static bool could_serve(const struct wish *wish, unsigned node, enum tmm_zone_id kind,
                        const struct world_zone *zone, bool must)
{
	bool deep = (wish->gfp & TMM_GFP_MEMALLOC) && !(wish->gfp & TMM_GFP_NOMEMALLOC);
	uint64_t frames = UINT64_C(1) << wish->order, floor, usable;
	struct tmm_zone_info info;
	struct tmm_type_info types = {.node = UINT32_MAX};

	if (!tmm_zone_info(&run.rig.pages, node, kind, &info))
		return false;
	for (unsigned i = 0; tmm_zone_types(&run.rig.pages, i, &types); i++)
		if (types.node == node && types.zone_name[0] == info.name[0] &&
		    types.zone_name[3] == info.name[3])
			break;
	/* What is kept for requests that cannot wait may or may not serve. */
	if (must && !deep && types.blocks[TMM_MIGRATE_HIGHATOMIC])
		return false;
	usable = zone->free - (world_is_movable(wish->gfp) ? 0 : zone->free_of_areas);
	floor = info.watermark_min;
	if (!must && (wish->gfp & TMM_GFP_HIGH))
		floor = 0;
	floor = deep ? 0 : floor + info.lowmem_reserve[world_highest(&world, wish->gfp)];
	return usable >= floor + frames && world_has_run(&world, wish, node, kind);
}

/* With empty stacks: must it be served; or else, can it be? */
static bool some_zone_serves(const struct wish *wish, bool must)
{
	struct world_zones zones;

	world_zones(&world, &zones);
	for (unsigned n = 0; n < world.nr_nodes; n++)
		for (unsigned k = 0; k < TMM_NR_ZONES; k++)
			if ((wish->nodes >> n & 1) &&
			    (enum tmm_zone_id)k <= world_highest(&world, wish->gfp) &&
			    could_serve(wish, n, (enum tmm_zone_id)k, &zones.of[n][k], must))
				return true;
	return false;
}

enum way { PLAIN, EXACT, ON_NODE, BY_POLICY };

struct request {
	struct wish wish;
	enum way way;
	unsigned node;
	struct tmm_policy policy;
};

static tmm_err ask(struct request *r, tmm_pfn *out)
{
	switch (r->way) {
	case EXACT:
		return tmm_pages_alloc_exact(&run.rig.pages, r->wish.gfp,
		                             r->wish.nr << TMM_PAGE_SHIFT, out);
	case ON_NODE:
		return tmm_pages_alloc_node(&run.rig.pages, r->node, r->wish.gfp, r->wish.order,
		                            out);
	case BY_POLICY:
		return tmm_pages_alloc_policy(&run.rig.pages, &r->policy, r->wish.gfp,
		                              r->wish.order, out);
	default:
		return tmm_pages_alloc(&run.rig.pages, r->wish.gfp, r->wish.order, out);
	}
}

/* The nodes that BIND leaves to requests for the highest zone there is. */
static uint32_t bound_nodes(const struct request *r)
{
	enum tmm_zone_id top = TMM_ZONE_DMA;
	struct world_zones zones;

	world_zones(&world, &zones);
	for (unsigned n = 0; n < world.nr_nodes; n++)
		for (unsigned k = 0; k < TMM_ZONE_MOVABLE; k++)
			if (zones.of[n][k].managed && k > (unsigned)top)
				top = (enum tmm_zone_id)k;
	return world_highest(&world, r->wish.gfp) >= top ? r->policy.nodes : UINT32_MAX;
}

static struct request random_request(void)
{
	struct request r = {.wish = random_wish()};
	unsigned way = world_below(40);

	r.node = ((struct tmm_cpu *)tmm_port_cpu())->node;
	if (way == 0) {
		r.way = EXACT;
		r.wish.order = world_below(world.max_order + 1);
		r.wish.nr = r.wish.order ? (UINT64_C(1) << (r.wish.order - 1)) + 1 : 1;
		r.wish.nr += world_below((UINT64_C(1) << r.wish.order) - r.wish.nr + 1);
	} else if (way < 4) {
		r.way = ON_NODE;
		r.node = world_below(world.nr_nodes);
	} else if (way < 7) {
		uint32_t nodes = 1 + world_below((1u << world.nr_nodes) - 1);
		enum tmm_policy_mode mode = (enum tmm_policy_mode)(1 + world_below(3));

		if (tmm_policy_init(&run.rig.pages, mode, nodes, &r.policy) != TMM_OK)
			return r;
		r.way = BY_POLICY;
		r.node = (unsigned)__builtin_ctz(r.policy.nodes);
		if (mode == TMM_POLICY_BIND)
			r.wish.nodes = bound_nodes(&r);
		return r;
	}
	if (world_below(10) == 0) {
		r.wish.gfp |= TMM_GFP_THISNODE;
		r.wish.nodes = 1u << r.node;
	}
	return r;
}

void world_request(void)
{
	struct request r = random_request();
	tmm_pfn pfn;
	bool must;

	if (world.nr_loans == MAX_LOANS)
		return;
	if (ask(&r, &pfn) == TMM_OK) {
		lent(&r.wish, pfn, r.way == EXACT);
		return;
	}
	run.nr.refused++;
	if (world_below(8))
		return;
	/* Other CPUs may have had it: now nobody has. */
	world_drain_everywhere();
	must = some_zone_serves(&r.wish, true);
	if (ask(&r, &pfn) == TMM_OK)
		lent(&r.wish, pfn, r.way == EXACT);
	else
		CHECK(!must);
}

/* With empty stacks the outcome is known beforehand; unless compaction makes a run. */
void world_foretold_request(void)
{
	struct request r = random_request();
	bool may, must;
	tmm_pfn pfn;

	if (world.nr_loans == MAX_LOANS)
		return;
	world_drain_everywhere();
	may = ((r.wish.gfp & TMM_GFP_DIRECT_RECLAIM) && r.wish.order) ||
	      some_zone_serves(&r.wish, false);
	must = some_zone_serves(&r.wish, true);
	if (ask(&r, &pfn) == TMM_OK) {
		CHECK(may);
		lent(&r.wish, pfn, r.way == EXACT);
	} else {
		CHECK(!must);
	}
	run.nr.foretold += may == must;
}

void world_bulk(void)
{
	struct wish wish = random_wish();
	size_t want = 1 + world_below(200), got;
	tmm_pfn pfn[200];
	bool must;

	wish.order = 0;
	wish.nr = 1;
	if (world.nr_loans + want > MAX_LOANS)
		return;
	got = tmm_pages_alloc_bulk(&run.rig.pages, wish.gfp, want, pfn);
	CHECK(got <= want);
	for (size_t i = 0; i < got; i++)
		lent(&wish, pfn[i], false);
	if (got == want)
		return;
	world_drain_everywhere();
	must = some_zone_serves(&wish, true);
	if (tmm_pages_alloc_bulk(&run.rig.pages, wish.gfp, 1, pfn) == 1)
		lent(&wish, pfn[0], false);
	else
		CHECK(!must);
}

void world_free_bulk(void)
{
	size_t want = 1 + world_below(200), got = 0;
	tmm_pfn pfn[200];

	for (unsigned tries = 0; tries < 400 && got < want && world.nr_loans; tries++) {
		unsigned number = world_below(world.nr_loans);
		const struct loan *loan = &world.loan[number];

		if (loan->order || loan->exact || loan->marked || loan->area)
			continue;
		world_check_stamp(loan);
		pfn[got++].v = world_take_back(&world, number).pfn;
	}
	tmm_pages_free_bulk(&run.rig.pages, got, pfn);
}

void world_free_one(void)
{
	if (world.nr_loans)
		world_give_back(world_below(4) ? world_below(world.nr_loans)
		                               : world.nr_loans - 1);
}

/* Pages change their minds about being moved. */
void world_change_mark(void)
{
	struct loan *loan = &world.loan[world_below(MAX_LOANS) % (world.nr_loans + 1)];

	if (loan == &world.loan[world.nr_loans] || !loan->movable || loan->order || loan->exact)
		return;
	if (loan->pinned) {
		loan->pinned = false;
	} else if (!loan->marked) {
		tmm_page_set_movable(&run.rig.pages, (tmm_pfn){loan->pfn}, &world_movable);
		loan->marked = true;
	} else if (world_below(16) == 0) {
		loan->pinned = true;
	} else if (world_below(16) == 0) {
		tmm_page_clear_movable(&run.rig.pages, (tmm_pfn){loan->pfn});
		loan->marked = false;
	}
}
