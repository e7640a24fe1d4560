/*
 * failure_test.c - whatever fails inside, nothing is lost
 *
 * Each scene is played with its first failure point failing, its second, and so on
 * until none is left; alone, and with all later ones.  Afterwards as many frames are
 * free as before, every page has its bytes, and the checker agrees.
 */
#include <tuxmm/hotplug.h>
#include <tuxmm/machine.h>
#include <tuxmm/policy.h>

#include "inject.h"
#include "page/shelf_test.h"

#define SECTION   (8 * MIB)
#define END_BYTES (128 * MIB)
#define AREA      (24 * MIB)
#define MAX_GOT   64u

static struct rig rig;
static struct {
	tmm_pfn pfn;
	unsigned order;
	uint64_t bytes; /* had by its length; 0: by its order */
} got[MAX_GOT];
static unsigned nr_got;

/*
 *   0     16       24        32      40       64             128 MiB
 *   | DMA | node 0 | [area]  | node 0 | node 1 | may be added |
 */
static tmm_err try_boot(void)
{
	static const struct tmm_cma_spec spec = {
		.name = "area", .size_bytes = 8 * MIB, .base = AREA, .node = 0};
	const struct pages_config config = {.ram = (rig_begin(&rig, END_BYTES, 2), rig.ram),
	                                    .cpus = &rig.cpus,
	                                    .nr_nodes = 2,
	                                    .min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = SECTION,
	                                    .hotplug_end = END_BYTES,
	                                    .debug = rig_debug(),
	                                    .cma = &spec,
	                                    .nr_cma = 1};
	tmm_err err;

	rig.cpus.cpu[1].node = 1;
	CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){0}, 40 * MIB, 0) == TMM_OK);
	CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){40 * MIB}, 24 * MIB, 1) == TMM_OK);
	err = pages_init(&rig.pages, &rig.memblock, &config);
	tmm_memblock_check(&rig.memblock);
	return err;
}

TEST(a_boot_that_fails_says_so_and_can_be_begun_again)
{
	for (int forever = 0; forever <= 1; forever++) {
		uint64_t n = 1, managed = 0;
		bool failed = true;

		for (; failed; n++) {
			tmm_err err;

			tmm_inject_nth(n, forever);
			err = try_boot();
			failed = tmm_inject_stop();
			CHECK(err == (failed ? TMM_E_NOMEM : TMM_OK));
			if (failed)
				CHECK(try_boot() == TMM_OK);
			tmm_pages_check(&rig.pages);
			CHECK(!managed || tmm_pages_managed_count(&rig.pages) == managed);
			managed = tmm_pages_managed_count(&rig.pages);
			pages_fini(&rig.pages);
		}
		test_note("%llu failure points", (unsigned long long)n - 2);
		CHECK(n > 8);
	}
}

/* ---- scenes ---- */

static void keep(tmm_err err, tmm_pfn pfn, unsigned order, uint64_t bytes)
{
	if (err != TMM_OK)
		return;
	got[nr_got].pfn = pfn;
	got[nr_got].order = order;
	got[nr_got++].bytes = bytes;
}

static void give_back(void)
{
	while (nr_got) {
		nr_got--;
		if (got[nr_got].bytes)
			tmm_pages_free_exact(&rig.pages, got[nr_got].pfn, got[nr_got].bytes);
		else
			tmm_pages_free(&rig.pages, got[nr_got].pfn, got[nr_got].order);
	}
}

static void section_comes_and_goes(void)
{
	const tmm_paddr start = {72 * MIB};
	struct tmm_hotplug_report report;

	if (tmm_section_add(&rig.pages, start, 1, &report) == TMM_OK)
		while (tmm_section_remove(&rig.pages, start, &report) != TMM_OK)
			CHECK(report.why);
}

/* Of boot, with pages in it that move. */
static void section_goes_and_comes(void)
{
	const tmm_paddr start = {16 * MIB};
	struct tmm_hotplug_report report;

	if (tmm_section_remove(&rig.pages, start, &report) != TMM_OK) {
		CHECK(report.pfn.v - (start.v >> TMM_PAGE_SHIFT) < SECTION >> TMM_PAGE_SHIFT);
		return;
	}
	CHECK(tmm_section_add(&rig.pages, start, 0, &report) == TMM_OK);
}

static void set_block(enum tmm_block_use use)
{
	struct tmm_hotplug_report report;

	while (tmm_memory_block_set(&rig.pages, 16 * MIB / SECTION, use, &report) != TMM_OK)
		CHECK(report.why);
}

/* Out of use, in MOVABLE, and back where it was. */
static void block_changes_its_zone(void)
{
	struct tmm_hotplug_report report;

	if (tmm_memory_block_set(&rig.pages, 16 * MIB / SECTION, TMM_BLOCK_OFFLINE, &report) !=
	    TMM_OK) {
		CHECK(report.why);
		return;
	}
	set_block(TMM_BLOCK_ONLINE_MOVABLE);
	set_block(TMM_BLOCK_OFFLINE);
	set_block(TMM_BLOCK_ONLINE);
}

static void area_is_lent(void)
{
	struct tmm_cma *area = tmm_cma_area(&rig.pages, 0);
	struct tmm_cma_buffer buffer;
	struct tmm_cma_failure failure;
	struct tmm_cma_info info;
	tmm_pfn run;

	if (tmm_cma_buffer_create(&buffer, area, 300, 3, NULL) == TMM_OK) {
		CHECK(tmm_cma_buffer_attach(&buffer).v == buffer.pfn.v);
		CHECK(!tmm_cma_buffer_detach(&buffer) && tmm_cma_buffer_detach(&buffer));
	}
	if (tmm_cma_alloc(area, 2048, 0, &run, &failure) == TMM_OK)
		tmm_cma_release(area, run, 2048);
	tmm_cma_info(area, &info);
	CHECK(info.used_pages == 0 && info.allocated_pages == info.released_pages);
}

static void memory_is_compacted(void)
{
	tmm_pages_compact(&rig.pages);
}

static void runs_are_made(void)
{
	tmm_pfn pfn;

	for (unsigned order = 2; order < 9; order++)
		keep(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL | TMM_GFP_NOWARN, order, &pfn),
		     pfn, order, 0);
}

static void nodes_are_wished_for(void)
{
	static const enum tmm_policy_mode modes[] = {TMM_POLICY_PREFERRED, TMM_POLICY_BIND,
	                                             TMM_POLICY_INTERLEAVE};
	tmm_pfn pfn, many[8];
	size_t nr;

	for (unsigned i = 0; i < 6; i++) {
		struct tmm_policy policy;

		CHECK(tmm_policy_init(&rig.pages, modes[i % 3], i < 3 ? 2 : 3, &policy) ==
		      TMM_OK);
		keep(tmm_pages_alloc_policy(&rig.pages, &policy, TMM_GFP_KERNEL, i, &pfn), pfn,
		     i, 0);
		keep(tmm_pages_alloc_node(&rig.pages, i % 2, TMM_GFP_USER, i, &pfn), pfn, i, 0);
		keep(tmm_pages_alloc_exact(&rig.pages, TMM_GFP_KERNEL, 20000 * (i + 1), &pfn),
		     pfn, 0, 20000 * (i + 1));
	}
	nr = tmm_pages_alloc_bulk(&rig.pages, TMM_GFP_KERNEL, 8, many);
	tmm_pages_free_bulk(&rig.pages, nr, many);
}

static const struct scene {
	const char *name;
	void (*play)(void);
	uint64_t least_points;
} scenes[] = {
	{"a section comes and goes", section_comes_and_goes, 0},
	{"a section goes and comes", section_goes_and_comes, 40},
	{"a block changes its zone", block_changes_its_zone, 40},
	{"an area is lent", area_is_lent, 40},
	{"memory is compacted", memory_is_compacted, 40},
	{"runs are made", runs_are_made, 7},
	{"nodes are wished for", nodes_are_wished_for, 19},
};

/* Pages all over node 0, a few in each block: those that were moved are there again. */
static void set_stage(void)
{
	for (unsigned i = 0; i < shelf.nr; i++)
		shelf_drop(i);
	shelf_begin(&rig.pages);
	for (unsigned i = 0; i < 6400; i++)
		CHECK(shelf_add());
	for (unsigned i = 0; i < shelf.nr; i++)
		if (i % 48)
			shelf_drop(i);
	tmm_pages_drain(&rig.pages);
}

static uint64_t play(const struct scene *scene, bool forever)
{
	uint64_t n = 0, nr_free;
	bool failed = true;

	CHECK(try_boot() == TMM_OK);
	shelf_begin(&rig.pages);
	while (failed) {
		set_stage();
		nr_free = tmm_pages_free_count(&rig.pages);
		tmm_inject_nth(++n, forever);
		scene->play();
		failed = tmm_inject_stop();
		give_back();
		CHECK(tmm_pages_free_count(&rig.pages) == nr_free);
		shelf_check();
		tmm_pages_check(&rig.pages);
	}
	shelf_end();
	return n - 1;
}

TEST(whatever_fails_inside_nothing_is_lost)
{
	for (unsigned i = 0; i < ARRAY_SIZE(scenes); i++) {
		uint64_t once = play(&scenes[i], false), later = play(&scenes[i], true);

		test_note("%s: %llu points fail once, %llu from then on", scenes[i].name,
		          (unsigned long long)once, (unsigned long long)later);
		CHECK(once >= scenes[i].least_points && (later > 0) == (once > 0));
	}
}
