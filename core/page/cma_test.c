/*
 * cma_test.c - runs of any length out of areas that others use meanwhile
 */
#include <string.h>

#include "inject.h"
#include "panic.h"
#include "page/shelf_test.h"

#include <tuxmm/machine.h>
#include <tuxmm/page_debug.h>

#define AREA_BYTES (16 * MIB)
#define AREA_PAGES (AREA_BYTES >> TMM_PAGE_SHIFT)
#define AREA_START (UINT64_C(32) * MIB)

static struct rig rig;

static struct tmm_cma *boot_debugged(uint64_t base, uint32_t order_per_bit, uint32_t debug)
{
	const struct tmm_cma_spec spec = {.name = "camera",
	                                  .size_bytes = AREA_BYTES,
	                                  .base = base,
	                                  .order_per_bit = order_per_bit,
	                                  .node = TMM_NODE_ANY};
	struct pages_config config = {.cpus = &rig.cpus,
	                              .min_free_kbytes = NO_RESERVE,
	                              .cma = &spec,
	                              .nr_cma = 1,
	                              .debug = debug | rig_debug()};

	rig_begin(&rig, 64 * MIB, 1);
	rig_add(&rig, 0, 64 * MIB);
	config.ram = rig.ram;
	CHECK(pages_init(&rig.pages, &rig.memblock, &config) == TMM_OK);
	tmm_pages_check(&rig.pages);
	shelf_begin(&rig.pages);
	return tmm_cma_find(&rig.pages, "camera");
}

static struct tmm_cma *boot(uint64_t base, uint32_t order_per_bit)
{
	return boot_debugged(base, order_per_bit, 0);
}

static void end(struct tmm_cma *area)
{
	struct tmm_cma_info info;

	tmm_cma_info(area, &info);
	CHECK(info.used_pages == 0 && info.allocated_pages == info.released_pages);
	shelf_end();
}

static bool in_area(uint64_t pfn)
{
	struct tmm_cma_info info;

	tmm_cma_info(tmm_cma_area(&rig.pages, 0), &info);
	return pfn - info.start.v < info.total_pages;
}

/* Two that hold a frame would show each other's bytes. */
static void mark(tmm_pfn pfn, uint64_t nr, uint8_t byte)
{
	memset(tmm_page_address(&rig.pages, pfn), byte, nr << TMM_PAGE_SHIFT);
}

TEST(an_area_is_where_it_was_asked_for)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	struct tmm_cma_info info;

	tmm_cma_info(area, &info);
	CHECK(info.start.v == AREA_START >> TMM_PAGE_SHIFT && info.total_pages == AREA_PAGES);
	CHECK(tmm_cma_total_pages(&rig.pages) == AREA_PAGES);
	CHECK(tmm_cma_free_pages(&rig.pages) == AREA_PAGES);
	CHECK(!tmm_cma_area(&rig.pages, 1) && !tmm_cma_find(&rig.pages, "cam"));
	end(area);
}

/*
 *   RAM   0 MiB |-- DMA --|16- DMA32 -|24     16 MiB, as high as it goes: 8..24
 *   area   ......aaaaaaaaa............        below the border that runs through it
 */
TEST(an_area_lies_on_one_side_of_a_zones_border)
{
	const struct tmm_cma_spec spec = {
		.name = "camera", .size_bytes = 12 * MIB, .node = TMM_NODE_ANY};
	struct tmm_cma_info info;

	rig_begin(&rig, 24 * MIB, 1);
	rig_add(&rig, 0, 24 * MIB);
	rig_boot_as(&rig, (struct pages_config){
				  .min_free_kbytes = NO_RESERVE, .cma = &spec, .nr_cma = 1});
	tmm_cma_info(tmm_cma_find(&rig.pages, "camera"), &info);
	CHECK(info.start.v == 4 * MIB >> TMM_PAGE_SHIFT);
	tmm_memblock_check(&rig.memblock);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}

TEST(an_area_without_a_place_is_refused)
{
	const struct tmm_cma_spec spec = {
		.name = "a", .size_bytes = AREA_BYTES, .base = 60 * MIB, .node = TMM_NODE_ANY};
	struct pages_config config = {.cpus = &rig.cpus, .cma = &spec, .nr_cma = 1};

	rig_begin(&rig, 64 * MIB, 1);
	rig_add(&rig, 0, 64 * MIB);
	config.ram = rig.ram;
	CHECK(pages_init(&rig.pages, &rig.memblock, &config) == TMM_E_RANGE);
}

/* Frames of the area serve movable requests, and no other even when memory ends. */
TEST(only_movable_pages_borrow_from_it)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	uint64_t in = 0;
	tmm_pfn pfn;

	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i++)
		in += in_area(shelf.frame[i]);
	CHECK(in == AREA_PAGES);
	for (unsigned i = 0; i < shelf.nr; i++)
		shelf_drop(i);
	tmm_pages_drain(&rig.pages);
	while (tmm_pages_alloc(&rig.pages, TMM_GFP_MEMALLOC, 0, &pfn) == TMM_OK)
		CHECK(!in_area(pfn.v));
	CHECK(tmm_cma_free_pages(&rig.pages) == AREA_PAGES);
	CHECK(tmm_pages_free_count(&rig.pages) == AREA_PAGES);
	(void)area;
	tmm_pages_check(&rig.pages);
}

/* The whole area at once, while pages fill it; they keep their bytes elsewhere. */
TEST(the_whole_area_is_taken_back)
{
	struct tmm_cma *area = boot(0, 0);
	struct tmm_cma_info info;
	tmm_pfn run;

	for (unsigned i = 0; i < 8000; i++)
		CHECK(shelf_add());
	CHECK(tmm_cma_free_pages(&rig.pages) < AREA_PAGES);
	CHECK(tmm_cma_alloc(area, AREA_PAGES, 0, &run, NULL) == TMM_OK);
	mark(run, AREA_PAGES, 0xaa);
	shelf_check();
	tmm_pages_check(&rig.pages);
	CHECK(tmm_cma_free_pages(&rig.pages) == 0);
	tmm_cma_info(area, &info);
	CHECK(info.used_pages == AREA_PAGES && info.longest_unused_pages == 0);
	CHECK(tmm_cma_alloc(area, 1, 0, &run, NULL) == TMM_E_NOMEM);
	tmm_cma_release(area, info.start, AREA_PAGES);
	tmm_pages_check(&rig.pages);
	end(area);
}

/* A pinned page is in the way of the first place; the next place serves. */
TEST(a_pinned_page_is_gone_round_or_named)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	struct tmm_cma_failure failure;
	unsigned pinned = 0;
	tmm_pfn run;

	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i++)
		if (shelf.frame[i] == (AREA_START >> TMM_PAGE_SHIFT) + 100)
			pinned = i;
	shelf.pinned[pinned] = true;
	for (unsigned i = 0; i < shelf.nr; i++)
		if (i % 2 && i != pinned)
			shelf_drop(i);
	CHECK(tmm_cma_alloc(area, 200, 0, &run, &failure) == TMM_OK);
	CHECK(run.v > shelf.frame[pinned]);
	CHECK(tmm_cma_alloc(area, AREA_PAGES - 300, 0, &run, &failure) == TMM_E_NOMEM);
	CHECK(failure.reason == TMM_CMA_NO_ROOM);
	tmm_cma_release(area, (tmm_pfn){shelf.frame[pinned] + 1}, 200);
	CHECK(tmm_cma_alloc(area, AREA_PAGES, 0, &run, &failure) == TMM_E_BUSY);
	CHECK(failure.reason == TMM_CMA_PINNED && failure.pfn.v == shelf.frame[pinned]);
	tmm_pages_check(&rig.pages);
	shelf_check();
	end(area);
}

TEST(there_must_be_somewhere_to_move_to)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	struct tmm_cma_failure failure;
	tmm_pfn run;

	while (shelf_add())
		;
	CHECK(tmm_cma_alloc(area, 64, 0, &run, &failure) == TMM_E_NOMEM);
	CHECK(failure.reason == TMM_CMA_NO_MEMORY);
	shelf_check();
	end(area);
}

TEST(runs_are_aligned_and_of_whole_granules)
{
	struct tmm_cma *area = boot(AREA_START, 3);
	struct tmm_cma_info info;
	tmm_pfn a, b;

	CHECK(tmm_cma_alloc(area, 3, 0, &a, NULL) == TMM_OK);
	CHECK(tmm_cma_alloc(area, 20, 6, &b, NULL) == TMM_OK);
	CHECK(b.v % 64 == 0 && b.v >= a.v + 8);
	tmm_cma_info(area, &info);
	CHECK(info.used_pages == 8 + 24 && info.nr_allocs == 2 && info.allocated_pages == 23);
	CHECK(tmm_cma_alloc(area, 0, 0, &a, NULL) == TMM_E_INVAL);
	CHECK(tmm_cma_alloc(area, AREA_PAGES + 1, 0, &a, NULL) == TMM_E_INVAL);
	tmm_cma_release(area, a, 3);
	tmm_cma_release(area, b, 20);
	end(area);
}

static void release_twice(void *arg)
{
	tmm_cma_release(arg, (tmm_pfn){AREA_START >> TMM_PAGE_SHIFT}, 4);
}

TEST(a_run_is_released_once)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	tmm_pfn run;

	CHECK(tmm_cma_alloc(area, 4, 0, &run, NULL) == TMM_OK);
	tmm_cma_release(area, run, 4);
	CHECK(test_panics(release_twice, area));
	tmm_port_forget_locks();
}

TEST(the_last_user_of_a_buffer_releases_it)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	struct tmm_cma_buffer buffer;

	CHECK(tmm_cma_buffer_create(&buffer, area, 33, 4, NULL) == TMM_OK);
	CHECK(tmm_cma_buffer_attach(&buffer).v == buffer.pfn.v);
	CHECK(tmm_cma_buffer_attach(&buffer).v % 16 == 0);
	CHECK(!tmm_cma_buffer_detach(&buffer) && !tmm_cma_buffer_detach(&buffer));
	CHECK(tmm_cma_free_pages(&rig.pages) == AREA_PAGES - 33);
	CHECK(tmm_cma_buffer_detach(&buffer));
	CHECK(tmm_cma_free_pages(&rig.pages) == AREA_PAGES);
	end(area);
}

/* ---- at random ---- */

static struct run {
	tmm_pfn pfn;
	uint64_t nr;
	uint8_t byte;
} runs[64];
static unsigned nr_runs;

static void check_run(const struct run *run)
{
	const uint8_t *bytes = tmm_page_address(&rig.pages, run->pfn);

	for (uint64_t at = 0; at < run->nr << TMM_PAGE_SHIFT; at += 512)
		CHECK(bytes[at] == run->byte);
}

static void drop_run(struct tmm_cma *area, unsigned which)
{
	check_run(&runs[which]);
	tmm_cma_release(area, runs[which].pfn, runs[which].nr);
	runs[which] = runs[--nr_runs];
}

static void random_step(struct tmm_cma *area, uint64_t *seed)
{
	uint64_t r = test_random(seed) >> 33;

	if (r % 200 == 0 && nr_runs < 64) {
		struct run *run = &runs[nr_runs];

		run->nr = 1 + (r / 200) % (r % 7 ? 40 : 900);
		run->byte = (uint8_t)r;
		if (tmm_cma_alloc(area, run->nr, (unsigned)(r % 5), &run->pfn, NULL) ==
		    TMM_OK) {
			mark(run->pfn, run->nr, run->byte);
			nr_runs++;
		}
	} else if (r % 200 == 1 && nr_runs > 0) {
		drop_run(area, (unsigned)(r / 200 % nr_runs));
	} else if (r % 20000 == 2) {
		tmm_pages_compact(&rig.pages);
	} else if (r % 2) {
		shelf_add();
	} else if (shelf.nr) {
		unsigned which = (unsigned)(r / 2 % shelf.nr);

		shelf.pinned[which] = r % 97 == 0;
		shelf_drop(which);
	}
}

TEST(random_runs_among_random_pages)
{
	uint64_t seed = test_seed();
	struct tmm_cma *area = boot(0, 1);

	test_note("TUXMM_SEED=%llu", (unsigned long long)seed);
	nr_runs = 0;
	for (unsigned i = 0; i < 30000; i++) {
		random_step(area, &seed);
		if (i % 1000 == 999)
			tmm_pages_check(&rig.pages);
	}
	shelf_check();
	while (nr_runs > 0)
		drop_run(area, 0);
	end(area);
}

/* Every refusal on the way leaves all as it was. */
TEST(failures_inside_change_nothing)
{
	struct tmm_cma *area = boot(AREA_START, 0);
	uint64_t n = 1, nr_free;
	bool failed = true;
	tmm_pfn run;

	for (unsigned i = 0; i < 6000; i++)
		CHECK(shelf_add());
	for (unsigned i = 0; i < shelf.nr; i += 3)
		shelf_drop(i);
	tmm_pages_drain(&rig.pages);
	for (; failed; n++) {
		tmm_err err;

		nr_free = tmm_pages_free_count(&rig.pages);
		tmm_inject_nth(n, true);
		err = tmm_cma_alloc(area, 600, 0, &run, NULL);
		failed = tmm_inject_stop();
		CHECK(err == TMM_OK || failed);
		if (err == TMM_OK)
			tmm_cma_release(area, run, 600);
		CHECK(tmm_pages_free_count(&rig.pages) == nr_free);
		tmm_pages_check(&rig.pages);
	}
	test_note("%llu failure points", (unsigned long long)n - 2);
	shelf_check();
	end(area);
}

static void check_pages(void *arg)
{
	(void)arg;
	tmm_pages_check(&rig.pages);
}

/* Its user writes a lent run as he likes; he is named while he has it and reported after. */
TEST(a_lent_run_is_known_to_page_owner_and_poison)
{
	struct tmm_cma *area = boot_debugged(AREA_START, 0,
	                                     TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON);
	struct tmm_page_owner owner;
	const char *text;
	tmm_pfn run;

	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i += 2)
		shelf_drop(i);
	tmm_pages_check(&rig.pages);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(tmm_cma_alloc(area, 700, 0, &run, NULL) == TMM_OK);
		mark(run, 700, 0xaa);
		tmm_pages_check(&rig.pages);
		CHECK(tmm_page_owner(&rig.pages, run, &owner) && owner.lent && owner.lent_by);
		tmm_cma_release(area, run, 300);
		tmm_cma_release(area, (tmm_pfn){run.v + 300}, 400);
		tmm_pages_check(&rig.pages);
		CHECK(tmm_page_owner(&rig.pages, run, &owner) && !owner.lent);
	}
	shelf_check();
	mark(run, 1, 0xbb);
	text = test_panics(check_pages, NULL);
	CHECK(text && strstr(text, "not written after it was freed"));
}
