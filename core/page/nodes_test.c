/*
 * Nodes, zones and policies: which frames a request gets, and what is counted.
 */
#include <tuxmm/page_debug.h>

#include "inject.h"
#include "page/nodes_rig_test.h"
#include "page/zonelist.h"
#include "panic.h"

static tmm_pfn got[200000];

TEST(zones_are_tried_by_distance_and_from_high_to_low)
{
	static const unsigned order[NR_NODES][4] = {{0, 0, 1, 2}, {1, 0, 0, 2}, {2, 1, 0, 0}};
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});

	for (unsigned n = 0; n < NR_NODES; n++) {
		const struct zone_choice choice = {n, NODES_ALL, TMM_ZONE_NORMAL};
		unsigned cursor = 0, at = 0;
		const struct zone *zone, *before = NULL;

		while ((zone = zonelist_next(pages, &choice, &cursor))) {
			CHECK(zone->node == order[n][at++]);
			CHECK(!before || before->node != zone->node || before->id > zone->id);
			before = zone;
		}
		CHECK(at == 4);
	}
	CHECK(tmm_node_distance(pages, 0, 2) == 30);
	pages_fini(pages);
}

/* The CPU's node is used up first, then the nearer of the others; each run is counted once. */
TEST(requests_spill_over_to_the_nearest_node_and_are_counted)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	uint64_t nr_of[NR_NODES] = {0};
	struct tmm_numa_counts counts[NR_NODES];
	size_t nr = 0;
	unsigned last = 1;

	if (rig_skips())
		return;
	CHECK(cpu_enter(&rig.cpus, 1) == TMM_OK);
	while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0, &got[nr]) ==
	       TMM_OK) {
		unsigned node = node_of_frame(pages, got[nr++]);

		CHECK(node == last || last != 1 || node == 0);
		CHECK(node == last || node != 1);
		last = node;
		nr_of[node]++;
	}
	CHECK(nr == pages->managed);
	for (unsigned n = 0; n < NR_NODES; n++)
		counts[n] = counts_of(pages, n);
	CHECK(counts[1].hit == nr_of[1] && counts[1].local == nr_of[1]);
	CHECK(counts[1].foreign == nr_of[0] + nr_of[2] && counts[1].miss == 0);
	CHECK(counts[0].miss == nr_of[0] && counts[0].hit == 0 && counts[0].other == nr_of[0]);
	CHECK(counts[2].miss == nr_of[2] && counts[2].local == 0);
	tmm_pages_check(pages);
	while (nr > 0)
		tmm_pages_free(pages, got[--nr], 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

TEST(one_node_only_means_that)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	const tmm_gfp gfp = TMM_GFP_THISNODE | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN;
	size_t nr = 0;

	CHECK(cpu_enter(&rig.cpus, 1) == TMM_OK);
	while (tmm_pages_alloc(pages, gfp, 0, &got[nr]) == TMM_OK)
		CHECK(node_of_frame(pages, got[nr++]) == 1);
	CHECK(nr > PER_NODE / TMM_PAGE_SIZE / 2);
	CHECK(tmm_pages_alloc(pages, gfp | TMM_GFP_DMA, 0, &got[nr]) == TMM_E_NOMEM);
	CHECK(tmm_pages_alloc_node(pages, 2, gfp, 3, &got[nr]) == TMM_OK);
	CHECK(node_of_frame(pages, got[nr]) == 2);
	tmm_pages_free(pages, got[nr], 3);
	CHECK(tmm_pages_alloc_node(pages, NR_NODES, gfp, 0, &got[nr]) == TMM_E_INVAL);
	while (nr > 0)
		tmm_pages_free(pages, got[--nr], 0);
	pages_fini(pages);
}

TEST(policies_choose_nodes)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	struct tmm_policy policy;
	tmm_pfn pfn[6];

	CHECK(tmm_policy_init(pages, TMM_POLICY_BIND, 0, &policy) == TMM_E_INVAL);
	CHECK(tmm_policy_init(pages, TMM_POLICY_BIND, 8, &policy) == TMM_E_INVAL);
	CHECK(tmm_policy_init(pages, TMM_POLICY_DEFAULT, 1, &policy) == TMM_E_INVAL);
	CHECK(tmm_policy_init(pages, TMM_POLICY_INTERLEAVE, 0xfd, &policy) == TMM_OK);
	for (unsigned i = 0; i < 6; i++) {
		CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 0, &pfn[i]) ==
		      TMM_OK);
		CHECK(node_of_frame(pages, pfn[i]) == (i % 2 ? 2u : 0u));
	}
	CHECK(counts_of(pages, 0).interleave_hit == 3 && counts_of(pages, 2).hit == 3);
	tmm_pages_free_bulk(pages, 6, pfn);
	CHECK(tmm_policy_init(pages, TMM_POLICY_PREFERRED, 6, &policy) == TMM_OK);
	CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 9, &pfn[0]) == TMM_OK);
	CHECK(node_of_frame(pages, pfn[0]) == 1);
	CHECK(tmm_policy_init(pages, TMM_POLICY_BIND, 4, &policy) == TMM_OK);
	CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 0, &pfn[1]) == TMM_OK);
	CHECK(node_of_frame(pages, pfn[1]) == 2);
	/* DMA is on node 0 alone: binding is for the highest zone. */
	CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_DMA, 0, &pfn[2]) == TMM_OK);
	CHECK(node_of_frame(pages, pfn[2]) == 0);
	tmm_pages_free(pages, pfn[0], 9);
	tmm_pages_free(pages, pfn[1], 0);
	tmm_pages_free(pages, pfn[2], 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* A policy's call is in the records as anybody's: with the site that asked. */
TEST(page_owner_knows_who_asked_by_a_policy)
{
	struct tmm_pages *pages = boot((struct pages_config){.debug = TMM_DEBUG_PAGE_OWNER});
	struct tmm_page_owner owner;
	struct tmm_policy policy;
	tmm_pfn pfn[5];

	CHECK(tmm_policy_init(pages, TMM_POLICY_DEFAULT, 0, &policy) == TMM_OK);
	CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 0, &pfn[0]) == TMM_OK);
	CHECK(tmm_policy_init(pages, TMM_POLICY_BIND, 2, &policy) == TMM_OK);
	CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 0, &pfn[1]) == TMM_OK);
	CHECK(tmm_pages_alloc_node(pages, 2, TMM_GFP_USER, 0, &pfn[2]) == TMM_OK);
	CHECK(tmm_pages_alloc_exact(pages, TMM_GFP_USER, TMM_PAGE_SIZE, &pfn[3]) == TMM_OK);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_USER, 0, &pfn[4]) == TMM_OK);
	for (unsigned i = 0; i < 5; i++) {
		CHECK(tmm_page_owner(pages, pfn[i], &owner) && owner.lent);
		/* Within this function, a few instructions on each time. */
		CHECK((uintptr_t)owner.lent_by -
		              (uintptr_t)page_owner_knows_who_asked_by_a_policy <
		      8192);
		tmm_pages_free(pages, pfn[i], 0);
	}
	pages_fini(pages);
}

/* A refusal by the port is an answer as any; what may not fail does not ask. */
TEST(policies_pass_failures_on)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	uint64_t before = tmm_pages_free_count(pages);

	for (unsigned mode = TMM_POLICY_DEFAULT; mode <= TMM_POLICY_INTERLEAVE; mode++) {
		struct tmm_policy policy;
		tmm_pfn pfn = {42};

		CHECK(tmm_policy_init(pages, (enum tmm_policy_mode)mode,
		                      mode == TMM_POLICY_DEFAULT ? 0 : 6, &policy) == TMM_OK);
		tmm_inject_nth(1, true);
		CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 0, &pfn) ==
		      TMM_E_NOMEM);
		CHECK(tmm_pages_alloc_node(pages, 1, TMM_GFP_USER, 3, &pfn) == TMM_E_NOMEM);
		CHECK(tmm_inject_stop() && pfn.v == 42);
		tmm_inject_nth(1, true);
		CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER | TMM_GFP_NOFAIL, 0,
		                             &pfn) == TMM_OK);
		tmm_inject_stop();
		tmm_pages_free(pages, pfn, 0);
		CHECK(tmm_pages_alloc_policy(pages, &policy, TMM_GFP_USER, 11, &pfn) ==
		      TMM_E_INVAL);
	}
	CHECK(tmm_pages_free_count(pages) == before);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/*
 *   node 0   |DMA   |DMA32  |MOVABLE|   kernelcore 96 MiB: 32 MiB each, DMA counts
 *   node 1   |DMA32 |MOVABLE|           for node 0
 */
TEST(movable_zones_are_the_ends_of_nodes)
{
	struct tmm_pages *pages = boot((struct pages_config){.kernelcore_bytes = 96 * MIB});
	struct tmm_zone_info info;
	tmm_pfn pfn;

	for (unsigned n = 0; n < NR_NODES; n++) {
		CHECK(tmm_zone_info(pages, n, TMM_ZONE_MOVABLE, &info));
		CHECK(info.start.v == (n * PER_NODE + 32 * MIB) / TMM_PAGE_SIZE);
		CHECK(info.present_pages == 32 * MIB / TMM_PAGE_SIZE);
	}
	CHECK(tmm_pages_alloc(pages, TMM_GFP_HIGHUSER_MOVABLE, 0, &pfn) == TMM_OK);
	CHECK(pfn.v >= 32 * MIB / TMM_PAGE_SIZE);
	tmm_pages_free(pages, pfn, 0);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_MOVABLE, 0, &pfn) == TMM_OK);
	CHECK(pfn.v < 32 * MIB / TMM_PAGE_SIZE);
	tmm_pages_free(pages, pfn, 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

static void address_of_high(void *arg)
{
	struct tmm_pages *pages = arg;

	tmm_page_address(pages, (tmm_pfn){80 * MIB / TMM_PAGE_SIZE});
}

TEST(high_memory_has_no_address_and_is_asked_for)
{
	struct tmm_pages *pages = boot((struct pages_config){.lowmem_bytes = 64 * MIB});
	struct tmm_zone_info info;
	tmm_pfn pfn;

	CHECK(!tmm_zone_exists(pages, TMM_ZONE_DMA32));
	CHECK(tmm_zone_info(pages, 1, TMM_ZONE_HIGHMEM, &info));
	CHECK(info.managed_pages == PER_NODE / TMM_PAGE_SIZE); /* arrays are below */
	CHECK(info.watermark_min == 32);
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_NORMAL, &info));
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	CHECK(pfn.v < 64 * MIB / TMM_PAGE_SIZE);
	tmm_pages_free(pages, pfn, 0);
	CHECK(tmm_pages_alloc_node(pages, 2, TMM_GFP_HIGHUSER | TMM_GFP_ZERO, 0, &pfn) ==
	      TMM_OK);
	CHECK(node_of_frame(pages, pfn) == 2);
	tmm_pages_free(pages, pfn, 0);
	CHECK(test_panics(address_of_high, pages));
	pages_fini(pages);
}

/*
 *   node     0      1      2     2 GiB each: room for a run of 1 GiB beside the arrays
 *   order 18     |1 GiB|
 */
TEST(runs_longer_than_4_mib_come_from_adjacent_blocks)
{
	const uint64_t per_node = 2048 * MIB;

	for (unsigned most = 12; most <= TMM_MAX_ORDER; most += 3) {
		const struct pages_config config = {.max_order = most};
		struct tmm_pages *pages = boot_nodes(config, per_node);
		struct tmm_zone_info before, after;
		tmm_pfn pfn, none;

		CHECK(tmm_pages_max_order(pages) == most);
		CHECK(tmm_zone_info(pages, 1, TMM_ZONE_DMA32, &before));
		CHECK(before.free_area[most] > 0 && before.nr_orders == most + 1);
		for (unsigned order = 11; order <= most; order++) {
			CHECK(tmm_pages_alloc_node(pages, 1, TMM_GFP_KERNEL, order, &pfn) ==
			      TMM_OK);
			CHECK(pfn.v % (UINT64_C(1) << order) == 0);
			CHECK(tmm_pfn_node(pages, pfn) == 1);
			CHECK(tmm_zone_info(pages, 1, TMM_ZONE_DMA32, &after));
			CHECK(after.free_pages + (UINT64_C(1) << order) == before.free_pages);
			tmm_pages_check(pages);
			tmm_pages_free(pages, pfn, order);
			CHECK(tmm_zone_info(pages, 1, TMM_ZONE_DMA32, &after));
			CHECK(memcmp(before.free_area, after.free_area,
			             sizeof(after.free_area)) == 0);
		}
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, most + 1, &none) == TMM_E_INVAL);
		pages_fini(pages);
	}
}

/* Every run of the longest order is lent once, and none of another node. */
TEST(the_longest_runs_of_a_node_are_used_up_exactly)
{
	for (unsigned order = 15; order <= TMM_MAX_ORDER; order++) {
		const tmm_gfp gfp = TMM_GFP_THISNODE | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN;
		const struct pages_config config = {.max_order = order};
		struct tmm_pages *pages = boot_nodes(config, 2048 * MIB);
		struct tmm_zone_info zone;
		uint64_t nr = 0;

		CHECK(tmm_zone_info(pages, 2, TMM_ZONE_NORMAL, &zone));
		while (tmm_pages_alloc_node(pages, 2, gfp, order, &got[nr]) == TMM_OK)
			CHECK(tmm_pfn_node(pages, got[nr++]) == 2);
		CHECK(nr > 0 && nr == zone.free_area[order]);
		tmm_pages_check(pages);
		while (nr > 0)
			tmm_pages_free(pages, got[--nr], order);
		CHECK(tmm_zone_info(pages, 2, TMM_ZONE_NORMAL, &zone) &&
		      zone.free_area[order] > 0);
		pages_fini(pages);
	}
}

/*
 * Each node holds what describes it, whichever way memory is described; where a node
 * is all MOVABLE its arrays are on another one.
 */
TEST(what_describes_a_node_is_on_it)
{
	for (unsigned model = TMM_MEMORY_DISCONTIGUOUS; model <= TMM_MEMORY_SPARSE; model++) {
		for (unsigned movable = 0; movable <= 1; movable++) {
			const struct pages_config config = {
				.memory_model = (enum tmm_memory_model)model,
				.section_bytes = 32 * MIB,
				.kernelcore_bytes = movable ? NR_NODES * 32 * MIB : 0};
			struct tmm_pages *pages = boot(config);

			for (uint64_t pfn = 0; pfn < NR_NODES * PER_NODE / TMM_PAGE_SIZE;
			     pfn += 512) {
				const char *page = (const char *)page_of(pages, (tmm_pfn){pfn});
				uint64_t at = (uint64_t)(page - (const char *)pages->ram);

				CHECK(at / PER_NODE == pfn * TMM_PAGE_SIZE / PER_NODE);
				CHECK(!movable || at % PER_NODE < 32 * MIB);
			}
			for (unsigned cpu = 0; cpu < 2; cpu++)
				CHECK((uint64_t)((const char *)pages->cpu[cpu] -
				                 (const char *)pages->ram) /
				              PER_NODE ==
				      cpu);
			tmm_pages_check(pages);
			pages_fini(pages);
		}
	}
}

TEST(exact_runs_leave_nothing_over)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	tmm_pfn pfn = {42};

	CHECK(tmm_pages_alloc_exact(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_E_INVAL);
	CHECK(tmm_pages_alloc_exact(pages, TMM_GFP_KERNEL, 4 * MIB + 1, &pfn) == TMM_E_INVAL);
	CHECK(pfn.v == 42);
	for (uint64_t frames = 1; frames <= 1024; frames += 1 + frames / 3) {
		uint64_t free_before = tmm_pages_free_count(pages);

		CHECK(tmm_pages_alloc_exact(pages, TMM_GFP_KERNEL, frames * TMM_PAGE_SIZE - 5,
		                            &pfn) == TMM_OK);
		CHECK(tmm_pages_free_count(pages) == free_before - frames);
		tmm_pages_check(pages);
		tmm_pages_free_exact(pages, pfn, frames * TMM_PAGE_SIZE - 5);
		CHECK(tmm_pages_free_count(pages) == free_before);
	}
	pages_fini(pages);
}

TEST(stacks_are_drained_for_others_resized_and_left_empty)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	struct tmm_stack_info stack;
	tmm_pfn pfn;

	if (rig_skips())
		return;
	tmm_pages_check(pages);
	CHECK(cpu_enter(&rig.cpus, 0) == TMM_OK);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	CHECK(tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA32, 0, &stack) &&
	      stack.count_pages > 0);
	tmm_port_cpu_set(&rig.cpus.cpu[1]); /* as another thread, while this one is idle */
	tmm_pages_drain_all(pages);
	CHECK(tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA32, 0, &stack) &&
	      stack.count_pages == 0);
	tmm_port_cpu_set(&rig.cpus.cpu[0]);
	tmm_pages_free(pages, pfn, 0);
	CHECK(tmm_pages_set_stacks(pages, 513, 0) == TMM_E_INVAL);
	CHECK(tmm_pages_set_stacks(pages, 8, 9) == TMM_E_INVAL);
	CHECK(tmm_pages_set_stacks(pages, 8, 4) == TMM_OK);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	CHECK(tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA32, 0, &stack));
	CHECK(stack.high_pages == 8 && stack.batch_pages == 4 && stack.count_pages <= 8);
	tmm_pages_free(pages, pfn, 0);
	tmm_cpu_exit(&rig.cpus.cpu[0]);
	for (unsigned n = 0; n < NR_NODES; n++)
		CHECK(tmm_zone_stack_info(pages, n, TMM_ZONE_DMA32, 0, &stack) &&
		      stack.count_pages == 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

TEST(watermarks_can_be_set_while_it_runs)
{
	struct tmm_pages *pages = boot((struct pages_config){.nr_nodes = 0});
	struct tmm_zone_info info;

	CHECK(tmm_pages_set_min_free(pages, 4096) == TMM_OK);
	CHECK(tmm_zone_info(pages, 2, TMM_ZONE_DMA32, &info));
	CHECK(info.watermark_min == 1024 * info.managed_pages / pages->managed);
	CHECK(tmm_pages_set_watermark_scale(pages, 1000) == TMM_OK);
	CHECK(tmm_pages_set_watermark_scale(pages, 3001) == TMM_E_INVAL);
	CHECK(tmm_zone_info(pages, 2, TMM_ZONE_DMA32, &info));
	CHECK(info.watermark_low == info.watermark_min + info.managed_pages / 10);
	CHECK(tmm_pages_set_reserve_ratio(pages, TMM_ZONE_DMA, 0) == TMM_OK);
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA, &info) && info.lowmem_reserve[1] == 0);
	CHECK(tmm_pages_set_min_free(pages, UINT64_MAX) == TMM_E_INVAL);
	pages_fini(pages);
}

/* ---- at random ---- */

#define NR_OPERATIONS 1000000u
#define NR_RUNS       4000u

/* Which zones the flags allow, said anew from the header. */
static bool may_be_at(tmm_gfp gfp, tmm_pfn pfn, unsigned order)
{
	uint64_t end = (pfn.v + (UINT64_C(1) << order)) * TMM_PAGE_SIZE;
	bool in_movable = pfn.v * TMM_PAGE_SIZE % PER_NODE >= 48 * MIB;

	if (gfp & TMM_GFP_DMA)
		return end <= 16 * MIB;
	return !in_movable || ((gfp & TMM_GFP_HIGHMEM) && (gfp & TMM_GFP_MOVABLE));
}

TEST(random_requests_get_what_flags_and_policies_allow)
{
	static const tmm_gfp flags[] = {
		TMM_GFP_NOWAIT,           TMM_GFP_ATOMIC,   TMM_GFP_KERNEL, TMM_GFP_DMA,
		TMM_GFP_HIGHUSER_MOVABLE, TMM_GFP_MOVABLE,  TMM_GFP_DMA32,  TMM_GFP_RECLAIMABLE,
		TMM_GFP_HIGHUSER,         TMM_GFP_MEMALLOC,
	};
	struct tmm_pages *pages = boot((struct pages_config){.kernelcore_bytes = 144 * MIB});
	static uint8_t order[NR_RUNS];
	uint64_t seed = test_seed(), lent = 0, asked = 0, counted = 0;
	unsigned nr = 0;

	test_note("TUXMM_SEED=%llu, %u operations", (unsigned long long)seed,
	          rig_operations(NR_OPERATIONS));
	for (unsigned i = 0; i < rig_operations(NR_OPERATIONS); i++) {
		uint64_t dice = test_random(&seed);
		unsigned node = (unsigned)(dice >> 8) % NR_NODES;
		bool only = dice >> 16 & 1;
		tmm_gfp gfp = flags[(dice >> 20) % ARRAY_SIZE(flags)] | TMM_GFP_NOWARN |
		              (only ? TMM_GFP_THISNODE : 0);

		if (dice % 64 == 0)
			CHECK(cpu_enter(&rig.cpus, (uint32_t)(dice >> 32) % 2) == TMM_OK);
		if (nr < NR_RUNS && dice % 16 < (i / 50000 % 2 ? 6u : 10u)) {
			order[nr] = (uint8_t)((dice >> 40) % 8 ? (dice >> 44) % 4
			                                       : (dice >> 44) % 11);
			if (tmm_pages_alloc_node(pages, node, gfp, order[nr], &got[nr]))
				continue;
			CHECK(may_be_at(gfp, got[nr], order[nr]));
			CHECK(!only || node_of_frame(pages, got[nr]) == node);
			lent += UINT64_C(1) << order[nr];
			asked++;
			nr++;
		} else if (nr > 0) {
			unsigned which = (unsigned)(dice >> 24) % nr;

			tmm_pages_free(pages, got[which], order[which]);
			lent -= UINT64_C(1) << order[which];
			got[which] = got[--nr];
			order[which] = order[nr];
		}
		if (i % 1000 == 999) {
			CHECK(tmm_pages_free_count(pages) == pages->managed - lent);
			if (i % 20000 == 19999)
				tmm_pages_check(pages);
		}
	}
	for (unsigned n = 0; n < NR_NODES; n++) {
		struct tmm_numa_counts counts = counts_of(pages, n);

		CHECK(counts.hit + counts.miss == counts.local + counts.other);
		counted += counts.hit + counts.miss;
	}
	CHECK(counted == asked);
	while (nr-- > 0)
		tmm_pages_free(pages, got[nr], order[nr]);
	tmm_pages_check(pages);
	pages_fini(pages);
}
