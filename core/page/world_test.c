/*
 * world_test.c - long sequences of everything there is, against the naive model
 *
 * Four machines, a quarter of a million operations each: requests of all orders, zones,
 * nodes and flags, one at a time, in bulk and of exact lengths, on several CPUs; pages
 * that move, pinned and not; runs out of contiguous areas; sections that come and go;
 * compaction; settings.  The model says which frames may be lent, and, once the stacks
 * are empty, whether a request must be served.
 */
#include <string.h>

#include <tuxmm/hotplug.h>
#include <tuxmm/machine.h>
#include <tuxmm/page_debug.h>

#include "page/deferred.h"
#include "page/world_run_test.h"

#define NR_OPERATIONS 250000u
#define CHECK_EVERY   1000u
struct shape {
	const char *name;
	struct pages_config config;
	uint32_t nr_cpus;
	struct {
		uint64_t start, end;
		uint32_t node;
	} ram[4];
	struct tmm_cma_spec cma[2];
	uint64_t movable_start[2]; /* by node; worked out by hand */
};

/*
 *   sparse     0            40  48        72 MiB           160
 *              |DMA|DMA32...|   |DMA32 [area]|  sections ... |
 *   highmem    0    16      32      36      48        84     96
 *              |DMA |Normal |HighMem|Movable|HighMem  |Movable|
 *   flat       0    16                   96, with holes, longest run 16 MiB
 *   large      0    16    32        4 GiB   +8      +24     +64    +128
 *              |DMA |DMA32|  ...    |Normal|Movable|Normal  | sections |
 */
static const struct shape shape[] = {
	{.name = "sparse",
         .config = {.nr_nodes = 2,
                    .memory_model = TMM_MEMORY_SPARSE,
                    .section_bytes = SECTION,
                    .hotplug_end = 160 * MIB,
                    .min_free_kbytes = NO_RESERVE,
                    .nr_cma = 1},
         .nr_cpus = 3,
         .ram = {{0, 40 * MIB, 0}, {48 * MIB, 72 * MIB, 1}},
         .cma = {{.name = "a", .size_bytes = 6 * MIB, .base = 50 * MIB, .node = 1}}},
	{.name = "highmem",
         .config = {.nr_nodes = 2,
                    .memory_model = TMM_MEMORY_DISCONTIGUOUS,
                    .lowmem_bytes = 32 * MIB,
                    .movablecore_bytes = 24 * MIB,
                    .nr_cma = 2},
         .nr_cpus = 2,
         .ram = {{0, 48 * MIB, 0}, {48 * MIB, 96 * MIB, 1}},
         .cma = {{.name = "a", .size_bytes = 4 * MIB, .base = 20 * MIB, .node = 0},
                 {.name = "b",
                  .size_bytes = 8 * MIB,
                  .base = 52 * MIB,
                  .order_per_bit = 2,
                  .node = TMM_NODE_ANY}},
         .movable_start = {36 * MIB, 84 * MIB}},
	{.name = "flat",
         .config = {.nr_nodes = 1,
                    .max_order = 12,
                    .debug = TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON},
         .nr_cpus = 2,
         .ram = {{3 * TMM_PAGE_SIZE, 20 * MIB, 0},
                 {21 * MIB + TMM_PAGE_SIZE, 60 * MIB, 0},
                 {62 * MIB + 100, 96 * MIB, 0}}},
	{.name = "large",
         .config = {.nr_nodes = 2,
                    .memory_model = TMM_MEMORY_SPARSE,
                    .section_bytes = SECTION,
                    .hotplug_end = 4 * GIB + 128 * MIB,
                    .movablecore_bytes = 16 * MIB,
                    .nr_cma = 1},
         .nr_cpus = 4,
         .ram = {{0, 32 * MIB, 0},
                 {4 * GIB, 4 * GIB + 24 * MIB, 0},
                 {4 * GIB + 24 * MIB, 4 * GIB + 64 * MIB, 1}},
         .cma = {{.name = "a",
                  .size_bytes = 4 * MIB,
                  .base = 4 * GIB + 32 * MIB,
                  .order_per_bit = 1,
                  .node = 1}},
         .movable_start = {4 * GIB + 8 * MIB}},
};

struct world world;
struct world_run run;

/* ---- the machine ---- */

/* Frames without an address: here they have the same as all others. */
static void *reach(void *arg, tmm_pfn pfn)
{
	(void)arg;
	return world_frame(pfn.v);
}

static void leave(void *arg, const void *address)
{
	(void)arg;
	(void)address;
}

static const struct high_ops high_reach = {.map_local = reach, .unmap_local = leave};

static void boot(const struct shape *s)
{
	struct pages_config config = s->config;
	uint64_t cursor = 0, end = 0;
	struct tmm_region region;

	for (unsigned i = 0; i < ARRAY_SIZE(s->ram); i++)
		end = max_u64(end, s->ram[i].end);
	rig_begin(&run.rig, max_u64(end, config.hotplug_end), s->nr_cpus);
	world_begin(&world);
	for (unsigned i = 0; i < ARRAY_SIZE(s->ram); i++) {
		uint64_t start = s->ram[i].start, bytes = s->ram[i].end - start;
		uint64_t first = PAGES(start + TMM_PAGE_SIZE - 1);

		if (!bytes)
			continue;
		CHECK(tmm_memblock_add(&run.rig.memblock, (tmm_paddr){start}, bytes,
		                       s->ram[i].node) == TMM_OK);
		world_add(&world, first, PAGES(s->ram[i].end) - first, s->ram[i].node, KEPT);
	}
	rig_reserve(&run.rig, 7 * MIB + 100, 5000);
	for (uint32_t c = 0; c < s->nr_cpus; c++)
		run.rig.cpus.cpu[c].node = c * config.nr_nodes / s->nr_cpus;
	config.cma = s->cma;
	rig_boot_as(&run.rig, config);
	tmm_port_cpu_set(&run.rig.cpus.cpu[0]);
	pages_set_high(&run.rig.pages, &high_reach, NULL);
	world.nr_nodes = config.nr_nodes;
	world.max_order = tmm_pages_max_order(&run.rig.pages);
	world.lowmem_end = PAGES(config.lowmem_bytes);
	for (unsigned n = 0; n < config.nr_nodes; n++)
		world.node[n].movable_start = PAGES(s->movable_start[n]);
	while (tmm_memblock_next_free(&run.rig.memblock, &cursor, &region)) {
		uint64_t first = PAGES(region.start + TMM_PAGE_SIZE - 1);

		if (first < PAGES(region.end))
			world_add(&world, first, PAGES(region.end) - first, region.node, FREE);
	}
	for (uint32_t i = 0; i < config.nr_cma; i++)
		world_set_area(&world, PAGES(s->cma[i].base), PAGES(s->cma[i].size_bytes));
}

void world_drain_everywhere(void)
{
	struct tmm_cpu *self = tmm_port_cpu();

	for (uint32_t c = 0; c < run.rig.cpus.nr; c++) {
		tmm_port_cpu_set(&run.rig.cpus.cpu[c]);
		tmm_pages_drain(&run.rig.pages);
	}
	tmm_port_cpu_set(self);
}

uint64_t *world_frame(uint64_t pfn)
{
	return (void *)((char *)run.rig.ram + (pfn << TMM_PAGE_SHIFT));
}

/* ---- what frames hold ---- */

void world_stamp(unsigned number)
{
	struct loan *loan = &world.loan[number];

	loan->stamp = test_random(&run.seed);
	world_frame(loan->pfn)[0] = world_frame(loan->pfn)[511] = loan->stamp;
	world_frame(loan->pfn + loan->nr - 1)[3] = ~loan->stamp;
}

void world_check_stamp(const struct loan *loan)
{
	CHECK(world_frame(loan->pfn)[0] == loan->stamp &&
	      world_frame(loan->pfn)[511] == loan->stamp);
	CHECK(world_frame(loan->pfn + loan->nr - 1)[3] == ~loan->stamp);
}

void world_give_back(unsigned number)
{
	struct loan loan = world_take_back(&world, number);

	world_check_stamp(&loan);
	if (loan.marked)
		tmm_page_clear_movable(&run.rig.pages, (tmm_pfn){loan.pfn});
	if (loan.area) {
		tmm_cma_release(loan.area, (tmm_pfn){loan.pfn}, loan.nr);
	} else if (!loan.exact) {
		tmm_pages_free(&run.rig.pages, (tmm_pfn){loan.pfn}, loan.order);
	} else if (world_below(2)) {
		tmm_pages_free_exact(&run.rig.pages, (tmm_pfn){loan.pfn},
		                     loan.nr << TMM_PAGE_SHIFT);
	} else {
		for (uint64_t p = loan.pfn; p < loan.pfn + loan.nr; p++)
			tmm_pages_free(&run.rig.pages, (tmm_pfn){p}, 0);
	}
}

/* The owner of all pages that move; sometimes it is busy. */
static tmm_err move(void *arg, tmm_pfn from, tmm_pfn to)
{
	const struct loan *loan = &world.loan[world.loan_of[from.v]];

	(void)arg;
	CHECK(world.place[from.v] == LENT && loan->marked && loan->nr == 1);
	if (loan->pinned)
		return TMM_E_BUSY;
	if (run.busy_once) {
		run.busy_once = false;
		return TMM_E_AGAIN;
	}
	memcpy(world_frame(to.v), world_frame(from.v), TMM_PAGE_SIZE);
	world_move(&world, from.v, to.v);
	run.nr.moved++;
	return TMM_OK;
}

static const struct tmm_migrate_ops ops = {.move = move};
const struct tmm_movable world_movable = {&ops, NULL};

/* ---- everything is compared ---- */

static void compare_frames(void)
{
	for (uint64_t p = world_next(&world, 0); p < WORLD_FRAMES;
	     p = world_next(&world, p + 1)) {
		bool is_free;

		if (!pfn_in_span(&run.rig.pages, p) ||
		    !block_ready(&run.rig.pages, block_of(&run.rig.pages, p)))
			continue;
		is_free = *word_of(&run.rig.pages, p) >> (p % 64) & 1;
		CHECK(is_free == (world.place[p] == FREE));
	}
	for (unsigned i = 0; i < world.nr_loans; i++)
		world_check_stamp(&world.loan[i]);
}

static void compare_areas(void)
{
	struct tmm_cma *area;

	for (unsigned i = 0; (area = tmm_cma_area(&run.rig.pages, i)); i++) {
		struct tmm_cma_info info;
		uint64_t used = 0;

		tmm_cma_info(area, &info);
		for (uint64_t p = info.start.v; p < info.start.v + info.total_pages; p++)
			used += world.place[p] == LENT &&
			        world.loan[world.loan_of[p]].area == area;
		CHECK(info.used_pages == used);
	}
}

/* Before the stacks are emptied free frames are in one of two places. */
static void compare_zones(bool drained)
{
	struct world_zones zones;

	world_zones(&world, &zones);
	for (unsigned n = 0; n < world.nr_nodes; n++) {
		for (unsigned k = 0; k < TMM_NR_ZONES; k++) {
			const struct world_zone *zone = &zones.of[n][k];
			struct tmm_zone_info info;

			tmm_zone_info(&run.rig.pages, n, (enum tmm_zone_id)k, &info);
			CHECK(info.present_pages == zone->present);
			CHECK(info.managed_pages == zone->managed);
			CHECK(info.free_pages + info.stack_pages == zone->free);
			if (!drained)
				continue;
			CHECK(info.stack_pages == 0);
			CHECK(info.free_cma_pages == zone->free_of_areas);
			CHECK(memcmp(info.free_area, zone->free_area,
			             sizeof(zone->free_area)) == 0);
		}
	}
}

static void compare(void)
{
	CHECK(tmm_pages_free_count(&run.rig.pages) == world_count(&world, FREE));
	tmm_pages_check(&run.rig.pages);
	compare_zones(false);
	world_drain_everywhere();
	tmm_pages_check(&run.rig.pages);
	compare_zones(true);
	compare_areas();
	compare_frames();
}

/* ---- a run ---- */

static void settings(void)
{
	static const uint64_t highs[] = {0, STACK_MAX, 1, 7, 64, 200};
	uint64_t high = highs[world_below(ARRAY_SIZE(highs))];
	tmm_err err = TMM_OK;

	switch (world_below(4)) {
	case 0:
		err = tmm_pages_set_stacks(&run.rig.pages, high,
		                           high ? world_below(high + 1) : 0);
		break;
	case 1:
		err = tmm_pages_set_min_free(&run.rig.pages,
		                             world_below(3) ? world_below(4096) : NO_RESERVE);
		break;
	case 2:
		err = tmm_pages_set_watermark_scale(&run.rig.pages, 1 + world_below(200));
		break;
	default:
		tmm_pages_drain_all(&run.rig.pages);
	}
	CHECK(err == TMM_OK);
}

static void compact(void)
{
	run.busy_once = world_below(4) == 0;
	tmm_pages_compact(&run.rig.pages);
	run.busy_once = false;
}

static void rare_step(void)
{
	unsigned r = world_below(100);

	if (r < 10)
		world_plug();
	else if (r < 11)
		compact();
	else if (r < 13)
		settings();
	else if (r < 20)
		world_foretold_request();
	else if (r < 28)
		world_area_lend();
	else if (r < 60)
		tmm_port_cpu_set(&run.rig.cpus.cpu[world_below(run.rig.cpus.nr)]);
	else if (r < 64)
		world_bulk();
	else if (r < 70)
		world_free_bulk();
	else
		world_change_mark();
}

/* Phases of growth and of shrinking, so that memory is full and empty by turns. */
static void step(unsigned i, unsigned nr_steps)
{
	unsigned r = world_below(1000), phase = i / (nr_steps / 25) % 5;
	unsigned grow = phase == 0 ? 640 : phase < 4 ? 560 : 100;

	run.only_movable = phase % 3 == 0;
	if (r < 30)
		rare_step();
	else if (r < grow)
		world_request();
	else
		world_free_one();
}

/* Those with RAM, and those of whole sections without RAM that may be added. */
static void find_zones(void)
{
	uint64_t end = tmm_section_bytes(&run.rig.pages)
	                       ? run.rig.pages.first_pfn + run.rig.pages.nr_frames
	                       : 0;

	memset(run.zone_may_be, 0, sizeof(run.zone_may_be));
	for (uint64_t p = 0; p < WORLD_FRAMES; p++)
		if (world.place[p] != NOWHERE_RAM)
			run.zone_may_be[world.node_of[p]][world_kind(&world, p)] = true;
	for (uint64_t first = 0; first < end; first += SECTION_PAGES) {
		uint64_t p = first;

		while (p < first + SECTION_PAGES && world.place[p] == NOWHERE_RAM)
			p++;
		for (unsigned n = 0; p == first + SECTION_PAGES && n < world.nr_nodes; n++) {
			world.node_of[first] = (uint8_t)n;
			run.zone_may_be[n][world_kind(&world, first)] = true;
		}
	}
}

static void play(const struct shape *s)
{
	const unsigned nr_steps = rig_operations(NR_OPERATIONS);

	run.seed = test_seed() + (uint64_t)(s - shape);
	memset(&run.nr, 0, sizeof(run.nr));
	boot(s);
	find_zones();
	compare();
	for (unsigned i = 0; i < nr_steps; i++) {
		step(i, nr_steps);
		if (i % CHECK_EVERY == CHECK_EVERY - 1)
			compare();
	}
	while (world.nr_loans)
		world_give_back(world.nr_loans - 1);
	compare();
	test_note(
		"%s: TUXMM_SEED=%llu, %u operations: %u runs lent, %u refused, %u foretold; "
		"%u runs of areas, %u refused; %u sections added, %u not, %u removed, %u not; "
		"%u pages moved",
		s->name, (unsigned long long)test_seed(), nr_steps, run.nr.lent, run.nr.refused,
		run.nr.foretold, run.nr.cma_lent, run.nr.cma_refused, run.nr.added,
		run.nr.not_added, run.nr.removed, run.nr.not_removed, run.nr.moved);
	if (!rig_is_slow()) {
		CHECK(run.nr.lent && run.nr.refused && run.nr.foretold);
		CHECK(!s->config.hotplug_end ||
		      (run.nr.added && run.nr.removed && run.nr.not_removed));
		CHECK(!s->config.nr_cma ||
		      (run.nr.cma_lent && run.nr.cma_refused && run.nr.moved));
	}
	pages_fini(&run.rig.pages);
}

TEST(a_sparse_machine_agrees_with_the_model)
{
	play(&shape[0]);
}

TEST(a_machine_with_high_memory_agrees_with_the_model)
{
	play(&shape[1]);
}

TEST(a_debugged_flat_machine_agrees_with_the_model)
{
	play(&shape[2]);
}

/* Records of debugging have no room: they are for all that hot-plug may add. */
TEST(a_machine_beyond_4_gib_agrees_with_the_model)
{
	if (!rig_skips())
		play(&shape[3]);
}
