/*
 * world_plug_test.c - runs out of contiguous areas, sections that come and go
 */
#include <tuxmm/hotplug.h>

#include "page/world_run_test.h"

/* Free frames that pages may be moved to, above all watermarks, not of [start, end). */
static uint64_t room_outside(uint64_t start, uint64_t end)
{
	struct tmm_type_info types;
	uint64_t room = 0;

	for (unsigned i = 0; tmm_zone_types(&run.rig.pages, i, &types); i++)
		if (types.blocks[TMM_MIGRATE_HIGHATOMIC])
			return 0; /* may or may not serve */
	for (unsigned n = 0; n < world.nr_nodes; n++) {
		for (unsigned k = 0; k < TMM_NR_ZONES; k++) {
			struct tmm_zone_info info;
			uint64_t floor, free_pages = 0;

			if (!tmm_zone_info(&run.rig.pages, n, (enum tmm_zone_id)k, &info))
				continue;
			for (uint64_t p = world_next(&world, 0); p < WORLD_FRAMES;
			     p = world_next(&world, p + 1))
				free_pages += world.place[p] == FREE &&
				              (p < start || p >= end) &&
				              world.node_of[p] == n &&
				              (unsigned)world_kind(&world, p) == k;
			floor = info.watermark_min + info.lowmem_reserve[TMM_ZONE_MOVABLE];
			room += free_pages > floor ? free_pages - floor : 0;
		}
	}
	return room;
}

/* ---- contiguous areas ---- */

/* Is there such a run that is not lent by the area itself? */
static bool area_has_run(struct tmm_cma *area, const struct tmm_cma_info *info, uint64_t want,
                         unsigned align_order)
{
	uint64_t grain = UINT64_C(1) << info->order_per_bit, unused = 0;
	uint64_t rounded = (want + grain - 1) / grain * grain;

	for (uint64_t p = info->start.v; p < info->start.v + info->total_pages; p++) {
		uint64_t first = p + 1 - rounded;

		if (world.place[p] == LENT && world.loan[world.loan_of[p]].area == area)
			unused = 0;
		else
			unused++;
		if (unused >= rounded && first % grain == 0 &&
		    first % (UINT64_C(1) << align_order) == 0)
			return true;
	}
	return false;
}

/* Is a page of the area one that does not move? */
static bool area_is_stuck(const struct tmm_cma_info *info)
{
	for (uint64_t p = info->start.v; p < info->start.v + info->total_pages; p++) {
		const struct loan *loan = &world.loan[world.loan_of[p] % MAX_LOANS];

		if (world.place[p] == LENT && !loan->area && (!loan->marked || loan->pinned))
			return true;
	}
	return false;
}

static void check_cma_failure(const struct tmm_cma_failure *failure, bool had_run)
{
	uint64_t p = failure->pfn.v;

	CHECK((failure->reason == TMM_CMA_NO_ROOM) == !had_run);
	if (failure->reason == TMM_CMA_UNMOVABLE)
		CHECK(world.place[p] == LENT && !world.loan[world.loan_of[p]].marked);
	if (failure->reason == TMM_CMA_PINNED)
		CHECK(world.place[p] == LENT && world.loan[world.loan_of[p]].pinned);
}

void world_area_lend(void)
{
	struct tmm_cma *area = tmm_cma_area(&run.rig.pages, world_below(2));
	unsigned align_order = world_below(4) ? 0 : world_below(8);
	uint64_t want, room;
	struct tmm_cma_failure failure;
	struct tmm_cma_info info;
	bool has_run, stuck;
	tmm_pfn pfn;
	tmm_err err;

	if (!area || world.nr_loans == MAX_LOANS)
		return;
	world_drain_everywhere();
	tmm_cma_info(area, &info);
	want = 1 + world_below(world_below(8) ? 64 : info.total_pages);
	has_run = area_has_run(area, &info, want, align_order);
	stuck = area_is_stuck(&info);
	room = room_outside(info.start.v, info.start.v + info.total_pages);
	run.busy_once = world_below(4) == 0;
	err = tmm_cma_alloc(area, want, align_order, &pfn, &failure);
	run.busy_once = false;
	if (err == TMM_OK) {
		uint64_t grain = UINT64_C(1) << info.order_per_bit;

		CHECK(has_run && pfn.v % (UINT64_C(1) << align_order) == 0);
		want = (want + grain - 1) / grain * grain;
		world_stamp(world_lend_area(&world, area, pfn.v, want));
		run.nr.cma_lent++;
		return;
	}
	CHECK(!has_run || stuck || room < info.total_pages + STACK_MAX);
	check_cma_failure(&failure, has_run);
	run.nr.cma_refused++;
}

/* ---- sections ---- */

static bool add_must_work(uint64_t pfn, unsigned node)
{
	uint64_t last = pfn + SECTION_PAGES - 1;
	bool one_kind;

	for (uint64_t p = pfn; p <= last; p++)
		if (world.place[p] != NOWHERE_RAM)
			return false;
	world.node_of[pfn] = world.node_of[last] = (uint8_t)node;
	one_kind = world_kind(&world, pfn) == world_kind(&world, last);
	return one_kind && run.zone_may_be[node][world_kind(&world, pfn)];
}

static void add_section(uint64_t pfn)
{
	struct tmm_hotplug_report report;
	unsigned node = world_below(world.nr_nodes);
	bool works = add_must_work(pfn, node);
	tmm_err err = tmm_section_add(&run.rig.pages, (tmm_paddr){pfn << TMM_PAGE_SHIFT}, node,
	                              &report);

	CHECK((err == TMM_OK) == works && (err == TMM_OK) == !report.why);
	run.nr.added += works;
	run.nr.not_added += !works;
	if (!works)
		return;
	world_add(&world, pfn, SECTION_PAGES, node, FREE);
	world_add(&world, pfn, ARRAY_PAGES, node, KEPT);
}

/* How many pages are to be moved; UINT64_MAX: something stays. */
static uint64_t to_be_moved(uint64_t pfn, uint64_t array)
{
	uint64_t sum = 0;

	for (uint64_t p = pfn; p < pfn + SECTION_PAGES; p++) {
		const struct loan *loan = &world.loan[world.loan_of[p] % MAX_LOANS];

		if (world.place[p] == NOWHERE_RAM || world.in_area[p] ||
		    world.node_of[p] != world.node_of[pfn] ||
		    world_kind(&world, p) != world_kind(&world, pfn))
			return UINT64_MAX;
		if (world.place[p] == KEPT && (array != pfn || p - pfn >= ARRAY_PAGES))
			return UINT64_MAX;
		if (world.place[p] == LENT && (!loan->marked || loan->pinned))
			return UINT64_MAX;
		sum += world.place[p] == LENT;
	}
	return sum;
}

static void check_blame(const struct tmm_hotplug_report *report, uint64_t pfn)
{
	uint64_t p = report->pfn.v;
	const struct loan *loan;

	CHECK(p - pfn < SECTION_PAGES && report->kind);
	loan = &world.loan[world.loan_of[p] % MAX_LOANS];
	CHECK(world.place[p] == KEPT || world.in_area[p] ||
	      (world.place[p] == LENT && (!loan->marked || loan->pinned)));
}

static void remove_section(uint64_t pfn)
{
	struct tmm_hotplug_report report;
	uint64_t array, moves, room;
	tmm_err err;

	world_drain_everywhere();
	array = map_section_frame(&run.rig.pages.map, pfn / SECTION_PAGES);
	moves = to_be_moved(pfn, array);
	room = room_outside(pfn, pfn + SECTION_PAGES);
	run.busy_once = world_below(4) == 0;
	err = tmm_section_remove(&run.rig.pages, (tmm_paddr){pfn << TMM_PAGE_SHIFT}, &report);
	run.busy_once = false;
	CHECK((err == TMM_OK) == !report.why);
	if (err == TMM_OK) {
		CHECK(moves != UINT64_MAX);
		for (uint64_t p = pfn; p < pfn + SECTION_PAGES; p++)
			CHECK(world.place[p] == FREE || world.place[p] == KEPT);
		world_remove(&world, pfn, SECTION_PAGES);
		if (array != pfn)
			world_add(&world, array, ARRAY_PAGES, world.node_of[array], FREE);
		run.nr.removed++;
		return;
	}
	CHECK(moves == UINT64_MAX || room < moves + STACK_MAX);
	if (err == TMM_E_BUSY)
		check_blame(&report, pfn);
	run.nr.not_removed++;
}

void world_plug(void)
{
	uint64_t size = tmm_section_bytes(&run.rig.pages), nr_sections, pfn;

	if (!size)
		return;
	nr_sections = (run.rig.pages.first_pfn + run.rig.pages.nr_frames) / SECTION_PAGES;
	/* Mostly where there may be some: the rest is a hole of 4 GiB. */
	do
		pfn = world_below(nr_sections) * SECTION_PAGES;
	while (pfn > PAGES(192 * MIB) && pfn < PAGES(4 * GIB) && world_below(64));
	if (world.place[pfn] == NOWHERE_RAM)
		add_section(pfn);
	else
		remove_section(pfn);
}
