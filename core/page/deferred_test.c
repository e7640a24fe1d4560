/*
 * deferred_test.c - what waits to be entered is free all the same
 */
#include "page/deferred.h"
#include "page/rig_test.h"

static struct rig rig;

static uint64_t free_in(struct tmm_pages *pages, enum tmm_zone_id id, uint64_t *free_area)
{
	struct tmm_zone_info info;

	CHECK(tmm_zone_info(pages, 0, id, &info));
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
		free_area[order] = info.free_area[order];
	return info.free_pages;
}

static uint64_t waiting(const struct tmm_pages *pages)
{
	uint64_t nr = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++)
		nr += pages->zone[z].nr_deferred;
	return nr;
}

static struct tmm_pages *boot_with_holes(void)
{
	rig_begin(&rig, 2 * GIB, 1);
	rig_add(&rig, 0, 700 * MIB - 4096);
	rig_add(&rig, 900 * MIB + 8192, 600 * MIB);
	rig_add(&rig, 1900 * MIB, 100 * MIB);
	rig_reserve(&rig, 300 * MIB + 4096, 12288);
	rig_reserve(&rig, 1000 * MIB, 5 * MIB);
	return rig_boot(&rig, NO_RESERVE);
}

/*
 *   0             700    900        1500   1900 2000 MiB
 *   |#####.#########|......|##.#######|......|###|     a part is 128 MiB
 *   |eeeee wwwwwwwww        ww wwwwwww        www|     e entered, w waits
 */
TEST(counts_have_what_waits_from_the_beginning)
{
	struct tmm_pages *pages = boot_with_holes();
	uint64_t before[TMM_NR_ORDERS], after[TMM_NR_ORDERS], nr_free;

	CHECK(waiting(pages) > 0);
	CHECK(tmm_pages_free_count(pages) == tmm_pages_managed_count(pages));
	tmm_pages_check(pages);
	nr_free = free_in(pages, TMM_ZONE_DMA32, before);
	while (waiting(pages)) {
		struct zone *zone = &pages->zone[1];
		tmm_irq irq = lock_take_irqsave(&zone->lock);

		CHECK(zone_extend(pages, zone));
		lock_drop_irqrestore(&zone->lock, irq);
		CHECK(free_in(pages, TMM_ZONE_DMA32, after) == nr_free);
		CHECK(memcmp(before, after, sizeof(before)) == 0);
		tmm_pages_check(pages);
	}
	pages_fini(pages);
}

/* Every frame of every part can be lent, once, and comes back. */
TEST(everything_that_waits_can_be_had)
{
	struct tmm_pages *pages = boot_with_holes();
	uint64_t managed = tmm_pages_managed_count(pages), nr = 0;
	uint32_t head = UINT32_MAX;
	tmm_pfn pfn;

	while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC, 0, &pfn) == TMM_OK) {
		struct page *page = page_of(pages, pfn);

		CHECK(page->kind == PAGE_NONE);
		page->kind = PAGE_TABLE;
		page->next = head;
		head = (uint32_t)pfn.v;
		nr++;
	}
	CHECK(nr == managed && waiting(pages) == 0);
	for (; head != UINT32_MAX; nr--) {
		struct page *page = page_of(pages, (tmm_pfn){head});

		pfn.v = head;
		head = page->next;
		*page = (struct page){.kind = PAGE_NONE};
		tmm_pages_free(pages, pfn, 0);
	}
	CHECK(nr == 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* Long runs are found in whichever part has one. */
TEST(long_runs_bring_parts_in)
{
	struct tmm_pages *pages = boot_with_holes();
	uint64_t runs = 0, expected = 0, area[TMM_NR_ORDERS];
	static tmm_pfn run[2048];

	free_in(pages, TMM_ZONE_DMA, area);
	expected = area[10];
	free_in(pages, TMM_ZONE_DMA32, area);
	expected += area[10];
	while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC, 10, &run[runs]) == TMM_OK)
		runs++;
	CHECK(runs == expected && waiting(pages) == 0);
	while (runs)
		tmm_pages_free(pages, run[--runs], 10);
	tmm_pages_check(pages);
	pages_fini(pages);
}

struct free_call {
	struct tmm_pages *pages;
	uint64_t pfn;
};

static void do_free(void *arg)
{
	const struct free_call *call = arg;

	tmm_pages_free(call->pages, (tmm_pfn){call->pfn}, 0);
}

static void do_address(void *arg)
{
	const struct free_call *call = arg;

	tmm_page_address(call->pages, (tmm_pfn){call->pfn});
}

/* Frames that wait, and holes of parts that were never entered. */
TEST(frames_that_wait_cannot_be_freed_and_holes_have_no_address)
{
	struct tmm_pages *pages = boot_with_holes();
	struct free_call waits = {pages, (1200 * MIB) >> TMM_PAGE_SHIFT};
	struct free_call hole = {pages, (1700 * MIB) >> TMM_PAGE_SHIFT};

	CHECK(test_panics(do_free, &waits));
	CHECK(!test_panics(do_address, &waits));
	CHECK(test_panics(do_free, &hole));
	CHECK(test_panics(do_address, &hole));
	tmm_pages_check(pages);
}

TEST(order_of_entering_is_upwards)
{
	struct tmm_pages *pages = boot_with_holes();
	tmm_pfn pfn, last = {0};

	for (unsigned i = 0; i < 300; i++) {
		CHECK(tmm_pages_alloc(pages, TMM_GFP_NOWAIT | TMM_GFP_DMA32, 9, &pfn) ==
		      TMM_OK);
		CHECK(pfn.v > last.v);
		last = pfn;
	}
	tmm_pages_check(pages);
}
