/*
 * Which zone of which node serves, exactly: against a model that knows what is taken.
 */
#include "page/nodes_rig_test.h"
#include "page/zone.h"

static tmm_pfn got[4000];

#define NR_FRAMES (NR_NODES * PER_NODE / TMM_PAGE_SIZE)

/*
 * What zones there are, and which frames are taken; a request goes to the first zone
 * of its order that has a run and stays above the mark.  Stacks are emptied after
 * each operation, so that counts are what is free.
 */
struct model_zone {
	unsigned node;
	enum tmm_zone_id kind;
	uint64_t start, end, nr_free, min, low;
	uint64_t reserve[TMM_NR_ZONES];
};

static struct {
	bool taken[NR_FRAMES];
	struct model_zone zone[NR_NODES * TMM_NR_ZONES];
	unsigned nr_zones;
	struct tmm_numa_counts numa[NR_NODES];
} model;

static void model_begin(struct tmm_pages *pages)
{
	model.nr_zones = 0;
	memset(model.numa, 0, sizeof(model.numa));
	memset(model.taken, true, sizeof(model.taken));
	for (unsigned i = 0; i < NR_NODES * TMM_NR_ZONES; i++) {
		struct model_zone *zone = &model.zone[model.nr_zones];
		struct tmm_zone_info info;

		zone->node = i / TMM_NR_ZONES;
		zone->kind = (enum tmm_zone_id)(i % TMM_NR_ZONES);
		if (!tmm_zone_info(pages, zone->node, zone->kind, &info))
			continue;
		zone->start = info.start.v;
		zone->end = info.start.v + info.spanned_pages;
		zone->nr_free = 0;
		zone->min = info.watermark_min;
		zone->low = info.watermark_low;
		memcpy(zone->reserve, info.lowmem_reserve, sizeof(zone->reserve));
		for (uint64_t pfn = zone->start; pfn < zone->end; pfn++) {
			model.taken[pfn] = !run_is_managed(pages, pfn, 1);
			zone->nr_free += !model.taken[pfn];
		}
		CHECK(zone->nr_free == info.free_pages);
		model.nr_zones++;
	}
}

static bool model_has_run(const struct model_zone *zone, unsigned order)
{
	uint64_t run = UINT64_C(1) << order;

	for (uint64_t pfn = align_up(zone->start, run); pfn + run <= zone->end; pfn += run) {
		uint64_t i = 0;

		while (i < run && !model.taken[pfn + i])
			i++;
		if (i == run)
			return true;
	}
	return false;
}

static struct model_zone *model_zone_of(uint64_t pfn)
{
	for (unsigned z = 0; z < model.nr_zones; z++)
		if (pfn >= model.zone[z].start && pfn < model.zone[z].end)
			return &model.zone[z];
	test_fail(__FILE__, __LINE__, "the frame is of a zone");
}

/* What a request may use and dig to, by its flags. */
struct model_request {
	enum tmm_zone_id highest;
	uint32_t nodes; /* bit i: may serve */
	unsigned node, order;
	bool high, no_marks;
	bool cannot_wait;
};

/* The zone that must serve; NULL: none can.  *wished: the first that it may use. */
static struct model_zone *model_serves(const struct model_request *request,
                                       struct model_zone **wished)
{
	static const unsigned by_distance[NR_NODES][NR_NODES] = {
		{0, 1, 2}, {1, 0, 2}, {2, 1, 0}};

	*wished = NULL;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < NR_NODES; i++) {
			for (unsigned z = model.nr_zones; z-- > 0;) {
				struct model_zone *zone = &model.zone[z];
				uint64_t mark = pass ? zone->min : zone->low;

				if (zone->node != by_distance[request->node][i] ||
				    zone->kind > request->highest ||
				    !(request->nodes >> zone->node & 1))
					continue;
				if (!*wished)
					*wished = zone;
				if (pass && request->high)
					mark -= mark / 2;
				if (pass && request->high && request->cannot_wait)
					mark -= mark / 4;
				mark += zone->reserve[request->highest];
				if (request->no_marks)
					mark = 0;
				if (zone->nr_free >= mark + (UINT64_C(1) << request->order) &&
				    model_has_run(zone, request->order))
					return zone;
			}
		}
	}
	return NULL;
}

static void model_take(uint64_t pfn, unsigned order, bool take)
{
	uint64_t run = UINT64_C(1) << order;

	for (uint64_t i = 0; i < run; i++) {
		CHECK(model.taken[pfn + i] != take);
		model.taken[pfn + i] = take;
	}
	model_zone_of(pfn)->nr_free += take ? -run : run;
}

static void model_count(const struct model_request *request, unsigned cpu_node,
                        const struct model_zone *wished, const struct model_zone *zone,
                        bool interleaved)
{
	struct tmm_numa_counts *numa = model.numa;

	if (zone->node == wished->node) {
		numa[zone->node].hit++;
		numa[zone->node].interleave_hit += interleaved && zone->node == request->node;
	} else {
		numa[zone->node].miss++;
		numa[wished->node].foreign++;
	}
	numa[zone->node].local += zone->node == cpu_node;
	numa[zone->node].other += zone->node != cpu_node;
}

/* Flags of a request, and what they mean to the model. */
static const struct {
	tmm_gfp gfp;
	enum tmm_zone_id highest;
	bool high, cannot_wait, no_marks;
} model_flags[] = {
	{TMM_GFP_NOWAIT, TMM_ZONE_NORMAL, false, true, false},
	{TMM_GFP_KERNEL, TMM_ZONE_NORMAL, false, false, false},
	{TMM_GFP_KERNEL | TMM_GFP_HIGH, TMM_ZONE_NORMAL, true, false, false},
	{TMM_GFP_DMA, TMM_ZONE_DMA, false, true, false},
	{TMM_GFP_DMA32 | TMM_GFP_RECLAIMABLE, TMM_ZONE_DMA32, false, true, false},
	{TMM_GFP_HIGHUSER_MOVABLE, TMM_ZONE_MOVABLE, false, false, false},
	{TMM_GFP_MEMALLOC, TMM_ZONE_NORMAL, false, true, true},
	{TMM_GFP_MEMALLOC | TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE, TMM_ZONE_MOVABLE, false, true,
         true},
	{TMM_GFP_ATOMIC | TMM_GFP_NOMEMALLOC, TMM_ZONE_NORMAL, true, false, false},
};

/*
 * A request by a policy, or by a node: which it is, the dice say.  Returns the
 * answer; *request and *interleaved say what the model should make of it.
 */
static tmm_err random_request(struct tmm_pages *pages, uint64_t dice, struct tmm_policy *turns,
                              struct model_request *request, bool *interleaved, tmm_pfn *out)
{
	unsigned which = (unsigned)(dice >> 20) % ARRAY_SIZE(model_flags);
	unsigned node = (unsigned)(dice >> 8) % NR_NODES;
	unsigned cpu_node = tmm_port_cpu()->node;
	tmm_gfp gfp = model_flags[which].gfp | TMM_GFP_NOWARN;
	struct tmm_policy policy;
	uint32_t set = 1 + (uint32_t)(dice >> 28) % 7;

	*interleaved = false;
	*request = (struct model_request){.highest = model_flags[which].highest,
	                                  .nodes = UINT32_MAX,
	                                  .order = (unsigned)(dice >> 40) % 11,
	                                  .high = model_flags[which].high,
	                                  .no_marks = model_flags[which].no_marks,
	                                  .cannot_wait = model_flags[which].cannot_wait};
	switch (dice >> 32 & 7) {
	case 0: /* bound: for those that may use DMA32, the highest kind there is */
		CHECK(tmm_policy_init(pages, TMM_POLICY_BIND, set, &policy) == TMM_OK);
		request->node = cpu_node;
		if (request->highest >= TMM_ZONE_DMA32)
			request->nodes = set;
		return tmm_pages_alloc_policy(pages, &policy, gfp, request->order, out);
	case 1:
		CHECK(tmm_policy_init(pages, TMM_POLICY_PREFERRED, set, &policy) == TMM_OK);
		request->node = (unsigned)__builtin_ctz(set);
		return tmm_pages_alloc_policy(pages, &policy, gfp, request->order, out);
	case 2: /* 0, 2, 0, 2 */
		request->node = turns->next % NR_NODES <= 0 ? 0 : turns->next <= 2 ? 2 : 0;
		*interleaved = true;
		return tmm_pages_alloc_policy(pages, turns, gfp, request->order, out);
	case 3:
		request->node = cpu_node;
		return tmm_pages_alloc(pages, gfp, request->order, out);
	case 4:
		gfp |= TMM_GFP_THISNODE;
		request->nodes = 1u << node;
		break;
	default:
		break;
	}
	request->node = node;
	return tmm_pages_alloc_node(pages, node, gfp, request->order, out);
}

static void check_numa(struct tmm_pages *pages)
{
	for (unsigned n = 0; n < NR_NODES; n++) {
		struct tmm_numa_counts counts = counts_of(pages, n);

		CHECK(memcmp(&counts, &model.numa[n], sizeof(counts)) == 0);
	}
}

/* From full to empty and back, so that every mark of every zone is met. */
TEST(each_request_is_served_by_the_zone_that_the_model_names)
{
	enum { OPERATIONS = 40000, MOST = 4000 };
	struct tmm_pages *pages = boot(
		(struct pages_config){.kernelcore_bytes = 144 * MIB, .min_free_kbytes = 2048});
	static uint8_t order[MOST];
	uint64_t seed = test_seed();
	struct tmm_policy turns;
	unsigned nr = 0, refused = 0, missed = 0;

	model_begin(pages);
	CHECK(cpu_enter(&rig.cpus, 0) == TMM_OK);
	CHECK(tmm_policy_init(pages, TMM_POLICY_INTERLEAVE, 5, &turns) == TMM_OK);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		uint64_t dice = test_random(&seed);
		bool filling = i / 4000 % 2 == 0, interleaved;

		if (dice % 32 == 0)
			CHECK(cpu_enter(&rig.cpus, (uint32_t)(dice >> 48) % 2) == TMM_OK);
		if (nr < MOST && dice % 16 < (filling ? 12u : 5u)) {
			struct model_request request;
			struct model_zone *expected, *wished;
			tmm_err err = random_request(pages, dice, &turns, &request,
			                             &interleaved, &got[nr]);

			expected = model_serves(&request, &wished);
			if (err != TMM_OK ? expected != NULL
			                  : model_zone_of(got[nr].v) != expected)
				test_note(
					"operation %u: flags %u, order %u for node %u: node %d",
					i,
					(unsigned)(dice >> 20) %
						(unsigned)ARRAY_SIZE(model_flags),
					request.order, request.node,
					expected ? (int)expected->node : -1);
			CHECK((err == TMM_OK) == (expected != NULL));
			if (err == TMM_OK) {
				CHECK(model_zone_of(got[nr].v) == expected);
				model_take(got[nr].v, request.order, true);
				model_count(&request, tmm_port_cpu()->node, wished, expected,
				            interleaved);
				missed += wished->node != expected->node;
				order[nr++] = (uint8_t)request.order;
			}
			refused += err != TMM_OK;
		} else if (nr > 0) {
			unsigned which = (unsigned)(dice >> 24) % nr;

			tmm_pages_free(pages, got[which], order[which]);
			model_take(got[which].v, order[which], false);
			got[which] = got[--nr];
			order[which] = order[nr];
		}
		tmm_pages_drain(pages);
		if (i % 1000 == 999) {
			tmm_pages_check(pages);
			check_numa(pages);
		}
	}
	test_note("TUXMM_SEED=%llu, %u refused, %u from another node",
	          (unsigned long long)test_seed(), refused, missed);
	CHECK(refused > 300 && missed > 300);
	while (nr-- > 0)
		tmm_pages_free(pages, got[nr], order[nr]);
	tmm_pages_check(pages);
	pages_fini(pages);
}
