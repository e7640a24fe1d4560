/*
 * mobility_test.c - blocks by type, and pages that move
 */
#include <tuxmm/page_debug.h>

#include "inject.h"
#include "page/shelf_test.h"

static struct rig rig;

static unsigned type_at(struct tmm_pages *pages, uint64_t pfn)
{
	return pages->info[block_of(pages, pfn)].type;
}

static tmm_pfn take(struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK);
	return pfn;
}

static uint64_t whole_blocks(struct tmm_pages *pages)
{
	uint64_t nr = 0;

	for (uint64_t block = 0; block < nr_blocks(pages); block++)
		nr += pages->info[block].nr_free == BLOCK_FRAMES;
	return nr;
}

/* Linux's order of fallback is what the names say; each type claims a block of its own. */
TEST(requests_of_a_type_share_blocks)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	tmm_pfn fixed = take(pages, TMM_GFP_KERNEL, 0);
	tmm_pfn slab = take(pages, TMM_GFP_KERNEL | TMM_GFP_RECLAIMABLE, 0);
	tmm_pfn page = take(pages, TMM_GFP_HIGHUSER_MOVABLE, 0);

	CHECK(type_at(pages, fixed.v) == TMM_MIGRATE_UNMOVABLE);
	CHECK(type_at(pages, slab.v) == TMM_MIGRATE_RECLAIMABLE);
	CHECK(type_at(pages, page.v) == TMM_MIGRATE_MOVABLE);
	CHECK(block_of(pages, fixed.v) != block_of(pages, slab.v));
	tmm_pages_free(pages, fixed, 0);
	tmm_pages_free(pages, slab, 0);
	tmm_pages_free(pages, page, 0);
	tmm_pages_check(pages);
	tmm_pages_drain(pages);
	pages_fini(pages);
}

/* 400 unmovable frames spread in time among 8000 movable ones end up in one block. */
TEST(what_does_not_move_stays_together)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	static tmm_pfn fixed[400];
	uint64_t seen = 0;

	shelf_begin(pages);
	for (unsigned i = 0; i < 8000; i++) {
		CHECK(shelf_add());
		if (i % 20 == 0)
			fixed[i / 20] = take(pages, TMM_GFP_KERNEL, 0);
	}
	for (unsigned i = 0; i < 400; i++)
		seen |= UINT64_C(1) << block_of(pages, fixed[i].v);
	CHECK(count_ones(seen) <= 2);
	for (unsigned i = 0; i < 400; i++)
		tmm_pages_free(pages, fixed[i], 0);
	shelf_end();
}

TEST(a_small_machine_has_one_type)
{
	struct tmm_pages *pages = rig_simple(&rig, 8 * MIB);
	tmm_pfn page = take(pages, TMM_GFP_HIGHUSER_MOVABLE, 0);

	CHECK(type_at(pages, page.v) == TMM_MIGRATE_UNMOVABLE);
	tmm_pages_free(pages, page, 0);
	tmm_pages_check(pages);
}

/* A block of the reserve serves none that must not use it, until one would fail. */
TEST(runs_that_cannot_wait_have_a_reserve)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	tmm_pfn run = take(pages, TMM_GFP_ATOMIC, 4), frame;
	const tmm_gfp other = TMM_GFP_NOWAIT | TMM_GFP_NOMEMALLOC;
	uint64_t block = block_of(pages, run.v), nr = 0;

	CHECK(type_at(pages, run.v) == TMM_MIGRATE_HIGHATOMIC);
	tmm_pages_free(pages, run, 4);
	tmm_pages_check(pages);
	while (zone_of_block(pages, block)->nr_highatomic &&
	       tmm_pages_alloc(pages, other, 0, &frame) == TMM_OK)
		nr += block_of(pages, frame.v) == block;
	CHECK(nr <= 1); /* the one that gave it up */
	CHECK(type_at(pages, run.v) == TMM_MIGRATE_UNMOVABLE);
	tmm_pages_check(pages);
}

/*
 *   before  |m.m.m.m.|.m.m.m.m|m...m...|    every second frame
 *   after   |........|........|mmmmmmmm|    at the high end
 */
TEST(compaction_makes_whole_blocks_and_keeps_contents)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	uint64_t before, lent;
	struct tmm_migrate_events events;

	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i += 2)
		shelf_drop(i);
	tmm_pages_drain(pages);
	before = whole_blocks(pages);
	lent = tmm_pages_free_count(pages);
	CHECK(before == 0);
	CHECK(tmm_pages_compact(pages) > shelf.nr / 8);
	CHECK(tmm_pages_free_count(pages) == lent);
	tmm_pages_check(pages);
	shelf_check();
	CHECK(whole_blocks(pages) >= 13); /* of 31; the zone of 16 MiB has its own ends */
	tmm_migrate_events(pages, &events);
	CHECK(events.moved_pages > 0 && events.failed_pages == 0);
	shelf_end();
}

static tmm_err copy_and_fail(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct shelf *s = arg;

	memcpy(tmm_page_address(s->pages, to), tmm_page_address(s->pages, from), TMM_PAGE_SIZE);
	return TMM_E_AGAIN;
}

/* What is written to a frame while a page is on its way there is no write after a free. */
TEST(moves_that_fail_are_no_misuse)
{
	static const struct tmm_migrate_ops failing = {.move = copy_and_fail};
	struct tmm_pages *pages;
	struct tmm_migrate_events events;

	rig_begin(&rig, 32 * MIB, 1);
	rig_add(&rig, 0, 32 * MIB);
	pages = rig_boot_as(&rig, (struct pages_config){.min_free_kbytes = NO_RESERVE,
	                                                .debug = TMM_DEBUG_PAGE_POISON |
	                                                         TMM_DEBUG_PAGE_OWNER});
	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i += 2)
		shelf_drop(i);
	shelf.movable.ops = &failing;
	tmm_pages_compact(pages);
	tmm_pages_check(pages);
	shelf.movable.ops = &shelf_ops;
	CHECK(tmm_pages_compact(pages) > 0);
	tmm_pages_check(pages);
	tmm_migrate_events(pages, &events);
	CHECK(events.failed_pages > 0);
	shelf_check();
	shelf_end();
}

/* Its blocks have no types to keep apart: any will do. */
TEST(a_small_machine_compacts_too)
{
	struct tmm_pages *pages = rig_simple(&rig, 12 * MIB);
	tmm_pfn run;

	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i += 2)
		shelf_drop(i);
	tmm_pages_drain(pages);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_NOWAIT, 9, &run) == TMM_E_NOMEM);
	run = take(pages, TMM_GFP_KERNEL, 9);
	shelf_check();
	tmm_pages_free(pages, run, 9);
	shelf_end();
}

/*
 *   zone DMA32   |x...|x...|x...|m.m.|m.m.|m.m.|    x: cannot be moved
 *
 * What was passed for one block is not looked at again for each of the next.
 */
TEST(a_request_compacts_on_where_the_last_stopped)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	struct tmm_migrate_events events;
	static bool seen[32], stays[MAX_PAGES];
	tmm_pfn run[5];

	memset(seen, 0, sizeof(seen));
	memset(stays, 0, sizeof(stays));
	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i++) {
		uint64_t block = block_of(pages, shelf.frame[i]);

		stays[i] = block < 17 && !seen[block];
		seen[block] = true;
		if (stays[i])
			tmm_page_clear_movable(pages, (tmm_pfn){shelf.frame[i]});
		else if (i % 2)
			shelf_drop(i);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(run); i++)
		run[i] = take(pages, TMM_GFP_KERNEL, 9);
	tmm_migrate_events(pages, &events);
	CHECK(events.stalls_served == ARRAY_SIZE(run));
	CHECK(events.scanned_pages <= 24 * BLOCK_FRAMES); /* the zone, once */
	tmm_pages_check(pages);
	for (unsigned i = 0; i < ARRAY_SIZE(run); i++)
		tmm_pages_free(pages, run[i], 9);
	for (unsigned i = 0; i < shelf.nr; i++)
		if (stays[i])
			tmm_page_set_movable(pages, (tmm_pfn){shelf.frame[i]}, &shelf.movable);
	shelf_check();
	shelf_end();
}

/* One pinned page in each block: nothing is gained, and the long run is not there. */
TEST(pinned_pages_stay)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	static bool seen[64];
	tmm_pfn run;

	memset(seen, 0, sizeof(seen));
	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i++) {
		uint64_t block = block_of(pages, shelf.frame[i]);

		shelf.pinned[i] = !seen[block];
		seen[block] = true;
		if (!shelf.pinned[i] && i % 2)
			shelf_drop(i);
	}
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 9, &run) == TMM_E_NOMEM);
	tmm_pages_compact(pages);
	CHECK(whole_blocks(pages) == 0);
	for (unsigned i = 0; i < shelf.nr; i++)
		CHECK(!shelf.pinned[i] || shelf.number_at[shelf.frame[i]] == i);
	shelf_check();
	shelf_end();
}

/* Each order up to 9 is made on demand by a request that may sleep, and by no other. */
TEST(a_request_compacts_for_the_run_it_wants)
{
	for (unsigned order = 2; order <= 9; order++) {
		struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
		struct tmm_migrate_events events;
		tmm_pfn run;

		shelf_begin(pages);
		while (shelf_add())
			;
		for (unsigned i = 0; i < shelf.nr; i++)
			if (shelf.frame[i] % 2)
				shelf_drop(i);
		tmm_pages_drain(pages);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_NOWAIT, order, &run) == TMM_E_NOMEM);
		run = take(pages, TMM_GFP_KERNEL, order);
		tmm_migrate_events(pages, &events);
		CHECK(events.stalls == 1 && events.stalls_served == 1);
		CHECK(events.moved_pages <= 1u << order); /* no more than the run takes */
		tmm_pages_check(pages);
		shelf_check();
		tmm_pages_free(pages, run, order);
		shelf_end();
	}
}

/* After a failure the next requests do not try; the pages that failed are where they were. */
TEST(compaction_in_vain_is_deferred)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	struct tmm_migrate_events events;
	tmm_pfn run;

	shelf_begin(pages);
	while (shelf_add())
		;
	for (unsigned i = 0; i < shelf.nr; i++) {
		shelf.pinned[i] = true;
		if (shelf.frame[i] % 2)
			shelf_drop(i);
	}
	for (unsigned i = 0; i < 100; i++)
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 3, &run) == TMM_E_NOMEM);
	tmm_migrate_events(pages, &events);
	CHECK(events.stalls_failed == events.stalls);
	CHECK(events.stalls >= 5 && events.stalls <= 2 * 10); /* two zones, 2^n apart */
	shelf_end();
}

/* Every move may be refused: the page is then where it was, and nothing is lost. */
TEST(a_move_that_is_refused_changes_nothing)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	uint64_t free_pages;

	shelf_begin(pages);
	for (unsigned i = 0; i < 6000; i++)
		CHECK(shelf_add());
	for (unsigned i = 0; i < shelf.nr; i += 3)
		shelf_drop(i);
	free_pages = tmm_pages_free_count(pages);
	for (uint64_t n = 1; n < 400; n += 7) {
		tmm_inject_nth(n, false);
		tmm_pages_compact(pages);
		tmm_inject_stop();
	}
	CHECK(tmm_pages_free_count(pages) == free_pages);
	tmm_pages_check(pages);
	shelf_check();
	shelf_end();
}

/* The formulas by hand: 100 free runs of one frame, 10 of 2, one of 16. */
TEST(indexes_are_linux_s)
{
	const uint64_t free_area[TMM_NR_ORDERS] = {100, 10, 0, 0, 1};
	struct tmm_fragmentation f;

	tmm_fragmentation_of(free_area, &f);
	CHECK(f.unusable[0] == 0 && f.index[0] == -1000);
	CHECK(f.unusable[1] == 100 * 1000 / 136);
	CHECK(f.unusable[4] == 120 * 1000 / 136 && f.index[4] == -1000);
	CHECK(f.unusable[5] == 1000);
	CHECK(f.index[5] == 1000 - (1000 + 136 * 1000 / 32) / 111);
}

TEST(types_add_up)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	struct tmm_type_info info;
	uint64_t nr_free = 0, blocks = 0;

	shelf_begin(pages);
	for (unsigned i = 0; i < 3000; i++)
		CHECK(shelf_add());
	for (unsigned i = 0; tmm_zone_types(pages, i, &info); i++)
		for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++) {
			blocks += info.blocks[type];
			for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
				nr_free += info.free_area[type][order] << order;
		}
	CHECK(blocks == 32);
	tmm_pages_drain(pages);
	CHECK(nr_free <= tmm_pages_free_count(pages) && nr_free > 0);
	shelf_end();
}

/* ---- at random ---- */

static tmm_pfn fixed_at[4096];
static unsigned fixed_order[4096], nr_fixed;

static void random_step(struct tmm_pages *pages, uint64_t *seed)
{
	static const tmm_gfp gfp[] = {TMM_GFP_KERNEL, TMM_GFP_KERNEL | TMM_GFP_RECLAIMABLE,
	                              TMM_GFP_ATOMIC, TMM_GFP_HIGHUSER_MOVABLE};
	uint64_t r = test_random(seed) >> 33;
	unsigned which;

	switch (r % 8) {
	case 0:
	case 1:
		which = nr_fixed;
		fixed_order[which] = (unsigned)(r / 8 % 40 == 0 ? 9 : r / 8 % 5);
		if (which < 600 && tmm_pages_alloc(pages, gfp[r / 64 % 4], fixed_order[which],
		                                   &fixed_at[which]) == TMM_OK)
			nr_fixed++;
		break;
	case 2:
	case 3:
		if (nr_fixed == 0)
			break;
		which = (unsigned)(r / 8 % nr_fixed);
		tmm_pages_free(pages, fixed_at[which], fixed_order[which]);
		fixed_at[which] = fixed_at[--nr_fixed];
		fixed_order[which] = fixed_order[nr_fixed];
		break;
	case 4:
	case 5:
		shelf_add();
		break;
	default:
		if (shelf.nr)
			shelf_drop((unsigned)(r / 8 % shelf.nr));
	}
	if (r / 8 % 20000 == 0)
		tmm_pages_compact(pages);
}

TEST(random_requests_of_all_types_and_compaction)
{
	uint64_t seed = test_seed();
	struct tmm_pages *pages = rig_simple(&rig, 48 * MIB);

	test_note("TUXMM_SEED=%llu", (unsigned long long)seed);
	for (unsigned round = 0; round < 12; round++) {
		nr_fixed = 0;
		shelf_begin(pages);
		for (unsigned i = 0; i < 20000; i++) {
			random_step(pages, &seed);
			if (i % 1000 == 999)
				tmm_pages_check(pages);
		}
		shelf_check();
		for (unsigned i = 0; i < nr_fixed; i++)
			tmm_pages_free(pages, fixed_at[i], fixed_order[i]);
		for (unsigned i = 0; i < shelf.nr; i++)
			shelf_drop(i);
		tmm_pages_drain(pages);
		CHECK(tmm_pages_free_count(pages) == tmm_pages_managed_count(pages));
	}
	tmm_pages_check(pages);
}
