#include "inject.h"
#include "panic.h"
#include "page/rig_test.h"

static struct rig rig;
static tmm_pfn got[128 * 256];

static tmm_pfn take(struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK);
	return pfn;
}

static bool refused(struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	tmm_pfn pfn = {42};

	if (tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK) {
		tmm_pages_free(pages, pfn, order);
		return false;
	}
	CHECK(pfn.v == 42); /* left alone */
	return true;
}

/* Take single frames until there are no more; returns how many. */
static size_t take_all(struct tmm_pages *pages, tmm_gfp gfp)
{
	size_t nr = 0;

	while (nr < ARRAY_SIZE(got) && tmm_pages_alloc(pages, gfp, 0, &got[nr]) == TMM_OK)
		nr++;
	CHECK(nr < ARRAY_SIZE(got));
	return nr;
}

static void give_all(struct tmm_pages *pages, size_t nr)
{
	while (nr > 0)
		tmm_pages_free(pages, got[--nr], 0);
}

static struct tmm_zone_info info_of(struct tmm_pages *pages, enum tmm_zone_id zone)
{
	struct tmm_zone_info info;

	CHECK(tmm_zone_info(pages, 0, zone, &info));
	return info;
}

/*
 *   whole   |--------|   one run of 8 frames
 *   lent    |aabb----|   a and b are buddies of order 1
 *   home    |--------|   whole again, whichever comes back first
 */
TEST(buddies_merge_in_either_order)
{
	for (int a_first = 0; a_first <= 1; a_first++) {
		struct tmm_pages *pages = rig_exact(&rig, 8, 8);
		tmm_pfn a = take(pages, TMM_GFP_KERNEL, 1), b = take(pages, TMM_GFP_KERNEL, 1);
		tmm_pfn whole;

		CHECK(tmm_pages_managed_count(pages) == 8);
		tmm_pages_check(pages);
		tmm_pages_free(pages, a_first ? a : b, 1);
		tmm_pages_free(pages, a_first ? b : a, 1);
		tmm_pages_check(pages);
		whole = take(pages, TMM_GFP_KERNEL, 3);
		CHECK(whole.v == 8);
		tmm_pages_free(pages, whole, 3);
		pages_fini(pages);
	}
}

/* Every order, taken until nothing is left, and all of it given back. */
TEST(all_memory_can_be_lent_and_comes_back)
{
	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		struct tmm_pages *pages = rig_simple(&rig, 24 * MIB);
		size_t nr = 0;

		while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC, order, &got[nr]) == TMM_OK) {
			CHECK(got[nr].v % (UINT64_C(1) << order) == 0);
			nr++;
		}
		CHECK(nr > 0);
		CHECK(tmm_pages_free_count(pages) == pages->managed - (nr << order));
		CHECK(order > 0 || tmm_pages_free_count(pages) == 0);
		tmm_pages_check(pages);
		while (nr > 0)
			tmm_pages_free(pages, got[--nr], order);
		tmm_pages_check(pages);
		pages_fini(pages);
	}
}

TEST(an_order_beyond_the_longest_is_invalid)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);
	tmm_pfn pfn = {42};

	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, TMM_DEFAULT_ORDER + 1, &pfn) ==
	      TMM_E_INVAL);
	CHECK(pfn.v == 42);
}

/* 300 requests of one frame: each is the frame after the one before. */
TEST(frames_rise_with_their_address)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	uint64_t nr_rises = 0;
	tmm_pfn before = take(pages, TMM_GFP_KERNEL, 0);

	for (unsigned i = 0; i < 300; i++) {
		tmm_pfn next = take(pages, TMM_GFP_KERNEL, 0);

		nr_rises += next.v == before.v + 1;
		before = next;
	}
	CHECK(nr_rises >= 298); /* a block may end on the way */
	tmm_pages_check(pages);
}

/*
 *   RAM   |····|####|  ····  |##|   starts at 33 MiB + 3 frames, ends mid-block,
 *         33M       hole            with a hole of 5 MiB: holes are never lent
 */
TEST(holes_are_never_lent)
{
	struct tmm_pages *pages;
	const uint64_t start = 33 * MIB + 3 * TMM_PAGE_SIZE, end = 45 * MIB + 7 * TMM_PAGE_SIZE;
	size_t nr;

	rig_begin(&rig, end, 1);
	rig_add(&rig, start, end - start);
	CHECK(tmm_memblock_remove(&rig.memblock, (tmm_paddr){36 * MIB}, 5 * MIB) == TMM_OK);
	rig_reserve(&rig, 34 * MIB + 100, 1000); /* a piece of one frame */
	pages = rig_boot(&rig, NO_RESERVE);
	tmm_pages_check(pages);
	nr = take_all(pages, TMM_GFP_KERNEL);
	CHECK(nr == pages->managed);
	for (size_t i = 0; i < nr; i++) {
		uint64_t at = got[i].v << TMM_PAGE_SHIFT;

		CHECK(at >= start && at < end && !(at >= 36 * MIB && at < 41 * MIB));
		CHECK(at != 34 * MIB);
		*(char *)tmm_page_address(pages, got[i]) = 1;
	}
	tmm_pages_check(pages);
	give_all(pages, nr);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* A fresh frame is zero and stays untouched; one that was used is cleared. */
TEST(zeroed_frames_read_as_zeroes)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);

	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		for (int round = 0; round < 2; round++) {
			tmm_pfn pfn = take(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, order);
			char *bytes = tmm_page_address(pages, pfn);
			uint64_t size = TMM_PAGE_SIZE << order;

			for (uint64_t i = 0; i < size; i++)
				CHECK(bytes[i] == 0);
			memset(bytes, 0xa5, size);
			tmm_pages_free(pages, pfn, order);
		}
	}
	tmm_pages_check(pages);
}

/* 64 frames, dirtied as runs of every order, then lent one by one: each must be cleared. */
TEST(a_frame_lent_as_part_of_a_run_is_not_fresh)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 64);
	size_t nr;

	for (unsigned order = 0; order <= 6; order++) {
		tmm_pfn run = take(pages, TMM_GFP_KERNEL, order);

		memset(tmm_page_address(pages, run), 0xa5, TMM_PAGE_SIZE << order);
		tmm_pages_free(pages, run, order);
		nr = 0;
		while (tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, 0, &got[nr]) ==
		       TMM_OK) {
			CHECK(*(char *)tmm_page_address(pages, got[nr]) == 0);
			nr++;
		}
		CHECK(nr == 64);
		give_all(pages, nr);
	}
}

/* ---- zones ---- */

/*
 *   0    16M       4G     5G
 *   |DMA |  DMA32  |NORMAL|   a request falls to lower zones, never rises
 */
TEST(requests_fall_back_downwards)
{
	struct tmm_pages *pages;
	size_t nr;

	rig_begin(&rig, 4 * GIB + 16 * MIB, 1);
	rig_add(&rig, 12 * MIB, 8 * MIB);
	rig_add(&rig, 4 * GIB - 100 * MIB, 116 * MIB);
	rig.memblock.limit = 4 * GIB - 4 * MIB; /* the arrays are in DMA32 */
	pages = rig_boot(&rig, NO_RESERVE);
	CHECK(info_of(pages, TMM_ZONE_DMA).managed_pages == 1024);
	CHECK(info_of(pages, TMM_ZONE_NORMAL).managed_pages == 4096);
	CHECK(take(pages, TMM_GFP_KERNEL, 0).v >= UINT64_C(1) << 20);
	CHECK(take(pages, TMM_GFP_DMA, 0).v < 4096);
	nr = (size_t)take(pages, TMM_GFP_DMA32, 0).v;
	CHECK(nr >= 4096 && nr < UINT64_C(1) << 20);
	nr = take_all(pages, TMM_GFP_DMA | TMM_GFP_MEMALLOC);
	CHECK(nr == 1023);
	CHECK(refused(pages, TMM_GFP_DMA, 0));
	CHECK(!refused(pages, TMM_GFP_KERNEL, 0));
	give_all(pages, nr);
	nr = take_all(pages, TMM_GFP_KERNEL); /* all but lowmem_reserve */
	CHECK(info_of(pages, TMM_ZONE_NORMAL).free_pages == 0);
	CHECK(info_of(pages, TMM_ZONE_DMA32).free_pages ==
	      info_of(pages, TMM_ZONE_DMA32).lowmem_reserve[TMM_ZONE_NORMAL]);
	CHECK(info_of(pages, TMM_ZONE_DMA).free_pages +
	              info_of(pages, TMM_ZONE_DMA).stack_pages ==
	      info_of(pages, TMM_ZONE_DMA).lowmem_reserve[TMM_ZONE_NORMAL]);
	CHECK(refused(pages, TMM_GFP_KERNEL, 0));
	CHECK(!refused(pages, TMM_GFP_DMA, 0)); /* kept for those who need it */
	give_all(pages, nr);
	tmm_pages_check(pages);
}

TEST(empty_zones_have_no_pages)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);
	struct tmm_zone_info info;

	CHECK(!tmm_zone_info(pages, 0, TMM_ZONE_NORMAL, &info));
	CHECK(info.present_pages == 0 && info.name[0] == 'N');
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA, &info));
	CHECK(info.present_pages == 4096 && info.spanned_pages == 4096 && info.start.v == 0);
}

/* 1 GiB: sqrt(1048576 * 16) = 4096 kB less what the arrays take; split by zone size. */
TEST(watermarks_follow_linux)
{
	struct tmm_pages *pages;
	uint64_t sum = 0;

	rig_begin(&rig, GIB, 1);
	rig_add(&rig, 0, GIB);
	pages = rig_boot(&rig, 0);
	for (unsigned z = 0; z <= TMM_ZONE_DMA32; z++) {
		struct tmm_zone_info info = info_of(pages, (enum tmm_zone_id)z);
		uint64_t step = max_u64(info.watermark_min / 4, info.managed_pages / 1000);

		sum += info.watermark_min;
		CHECK(info.watermark_low == info.watermark_min + step);
		CHECK(info.watermark_high == info.watermark_low + step);
	}
	CHECK(sum > 4050 / 4 && sum <= 4096 / 4);
	CHECK(info_of(pages, TMM_ZONE_DMA).lowmem_reserve[TMM_ZONE_DMA32] ==
	      info_of(pages, TMM_ZONE_DMA32).managed_pages / 256);
	CHECK(info_of(pages, TMM_ZONE_DMA).lowmem_reserve[TMM_ZONE_DMA] == 0);
}

/* With a min of 1024 frames: how far each kind of request may dig. */
TEST(watermarks_stop_each_kind_of_request)
{
	static const struct {
		tmm_gfp gfp;
		uint64_t left;
	} kinds[] = {
		{TMM_GFP_KERNEL, 1024},
		{TMM_GFP_NOWAIT, 1024},
		{TMM_GFP_KERNEL | TMM_GFP_HIGH, 512},
		{TMM_GFP_ATOMIC, 384},
		{TMM_GFP_MEMALLOC, 0},
	};
	struct tmm_pages *pages;

	rig_begin(&rig, 16 * MIB, 1);
	rig_add(&rig, 0, 16 * MIB);
	pages = rig_boot(&rig, 4096);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t nr = take_all(pages, kinds[i].gfp);

		CHECK(info_of(pages, TMM_ZONE_DMA).watermark_min == 1024);
		CHECK(info_of(pages, TMM_ZONE_DMA).free_pages == kinds[i].left);
		CHECK(info_of(pages, TMM_ZONE_DMA).stack_pages == 0);
		tmm_pages_check(pages);
		give_all(pages, nr);
	}
}

/* ---- running short ---- */

struct hoard {
	struct tmm_pages *pages;
	size_t nr;
	unsigned calls;
};

static uint64_t give_one(void *arg, tmm_gfp gfp, unsigned order)
{
	struct hoard *hoard = arg;

	hoard->calls++;
	if (hoard->nr == 0)
		return 0;
	tmm_pages_free(hoard->pages, got[--hoard->nr], 0);
	(void)gfp;
	(void)order;
	return 1;
}

static const struct tmm_reclaim_ops reclaim_ops = {.reclaim = give_one};

TEST(a_request_that_may_sleep_reclaims)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 16);
	struct hoard hoard = {.pages = pages};
	struct tmm_page_events events;

	tmm_pages_set_reclaim(pages, &reclaim_ops, &hoard);
	hoard.nr = take_all(pages, TMM_GFP_NOWAIT);
	CHECK(hoard.nr == 16);
	CHECK(refused(pages, TMM_GFP_NOWAIT, 0) && hoard.calls == 0);
	take(pages, TMM_GFP_KERNEL, 0);
	CHECK(hoard.calls == 1);
	CHECK(refused(pages, TMM_GFP_KERNEL | TMM_GFP_NORETRY, 2) && hoard.calls == 2);
	take(pages, TMM_GFP_KERNEL, 2); /* 15..8 come back one by one, until 12..15 are whole */
	CHECK(hoard.calls > 2 && hoard.nr > 0);
	tmm_pages_events(pages, &events);
	CHECK(events.stalls[TMM_ZONE_NORMAL] == hoard.calls);
	while (hoard.nr > 0)
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &got[15]) == TMM_OK);
	CHECK(refused(pages, TMM_GFP_KERNEL, 4));
	tmm_pages_check(pages);
}

static void take_nofail(void *arg)
{
	take(arg, TMM_GFP_KERNEL | TMM_GFP_NOFAIL, 0);
}

TEST(a_request_that_must_not_fail_panics_rather)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 16);

	take_all(pages, TMM_GFP_KERNEL);
	CHECK(test_panics(take_nofail, pages));
}

static void take_with_interrupts_off(void *arg)
{
	tmm_irq irq = tmm_port_irq_save();

	take(arg, TMM_GFP_KERNEL, 0);
	tmm_port_irq_restore(irq);
}

TEST(reclaim_where_one_cannot_sleep_is_a_bug)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 16);
	struct hoard hoard = {.pages = pages};

	tmm_pages_set_reclaim(pages, &reclaim_ops, &hoard);
	take_all(pages, TMM_GFP_NOWAIT);
	CHECK(test_panics(take_with_interrupts_off, pages));
	CHECK(hoard.calls == 0);
}

TEST(an_injected_failure_changes_nothing)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);
	uint64_t before = tmm_pages_free_count(pages);

	tmm_inject_nth(1, true);
	CHECK(refused(pages, TMM_GFP_KERNEL, 0));
	CHECK(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL, 9, got) == 0);
	CHECK(tmm_inject_count() == 2);
	take(pages, TMM_GFP_KERNEL | TMM_GFP_NOFAIL, 0);
	CHECK(tmm_inject_stop());
	CHECK(tmm_pages_free_count(pages) == before - 1);
	tmm_pages_check(pages);
}

/* ---- bulk, events, addresses ---- */

TEST(bulk_lends_what_there_is)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 100);

	CHECK(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL, 64, got) == 64);
	for (unsigned i = 1; i < 64; i++)
		CHECK(got[i].v == got[i - 1].v + 1);
	CHECK(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL, 64, got + 64) == 36);
	CHECK(tmm_pages_free_count(pages) == 0);
	tmm_pages_check(pages);
	tmm_pages_free_bulk(pages, 100, got);
	tmm_pages_check(pages);
	pages_fini(pages);
}

TEST(bulk_zeroes_too)
{
	struct tmm_pages *pages = rig_exact(&rig, 0, 100);

	for (int round = 0; round < 2; round++) {
		CHECK(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, 100, got) ==
		      100);
		for (unsigned i = 0; i < 100; i++) {
			char *bytes = tmm_page_address(pages, got[i]);

			CHECK(bytes[0] == 0 && bytes[TMM_PAGE_SIZE - 1] == 0);
			memset(bytes, 0xa5, TMM_PAGE_SIZE);
		}
		tmm_pages_free_bulk(pages, 100, got);
	}
}

TEST(events_count_frames)
{
	struct tmm_pages *pages = rig_simple(&rig, 20 * MIB);
	struct tmm_page_events events;
	uint64_t lent = 0;

	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		tmm_pages_free(pages, take(pages, TMM_GFP_DMA, order), order);
		take(pages, TMM_GFP_DMA, order % 4);
		lent += (1u << order) + (1u << order % 4);
		tmm_pages_events(pages, &events);
		CHECK(events.allocated_pages[TMM_ZONE_DMA] == lent);
		CHECK(events.freed_pages == (2u << order) - 1);
		tmm_pages_drain(pages);
	}
	CHECK(events.allocated_pages[TMM_ZONE_DMA32] == 0);
	tmm_pages_events(pages, &events);
	CHECK(events.allocated_pages[TMM_ZONE_DMA] == lent);
	count_vm_event(pages, PGFAULT);
	CHECK(vm_event_sum(pages, PGFAULT) == 1);
}

TEST(drained_stacks_are_empty)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);
	struct tmm_stack_info stack;

	tmm_pages_free(pages, take(pages, TMM_GFP_KERNEL, 0), 0);
	CHECK(tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA, 0, &stack));
	CHECK(stack.count_pages > 0 && stack.count_pages <= stack.high_pages);
	CHECK(info_of(pages, TMM_ZONE_DMA).stack_pages == stack.count_pages);
	tmm_pages_drain(pages);
	CHECK(tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA, 0, &stack) && stack.count_pages == 0);
	CHECK(info_of(pages, TMM_ZONE_DMA).free_pages == pages->managed);
	CHECK(!tmm_zone_stack_info(pages, 0, TMM_ZONE_DMA, 1, &stack));
	tmm_pages_check(pages);
}

struct place {
	struct tmm_pages *pages;
	uint64_t pfn;
	unsigned order;
};

static void address_of(void *arg)
{
	const struct place *place = arg;

	tmm_page_address(place->pages, (tmm_pfn){place->pfn});
}

static void pfn_of(void *arg)
{
	const struct place *place = arg;

	tmm_virt_to_pfn(place->pages,
	                (char *)place->pages->ram + (int64_t)(place->pfn << TMM_PAGE_SHIFT));
}

/* Which of 192 frames is freed as the i-th of 128; `kind` as drawn below. */
static uint64_t in_order(unsigned kind, uint64_t i)
{
	static const uint64_t last = 127;

	switch (kind) {
	case 0:
		return i;
	case 1:
		return last - i;
	case 2:
		return i == 70 ? 71 : i == 71 ? 70 : i;
	case 3:
		return (last - i + last) % (last + 1);
	default:
		return last - i == 5 ? 133 : last - i;
	}
}

/*
 *   word    0          1          2
 *   0       0,1 ... 63|64 .. 127|             in order
 *   1       127 ... 64|63 ... 0|              in reverse
 *   2       0,1 ... 63|64..71,70..127|        two of them changed places
 *   3       126 .. 64|63 ... 0|127            the last comes at the end
 *   4       127 ... 64|63 .. 6,133,4 .. 0|    another word's in the place of 5, which stays
 */
TEST(words_come_back_in_any_order)
{
	const uint64_t first = 8192;

	for (unsigned kind = 0; kind < 5; kind++) {
		struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
		size_t nr = take_all(pages, TMM_GFP_KERNEL);
		tmm_pfn words[2];
		uint64_t before;

		tmm_pages_drain(pages);
		before = tmm_pages_free_count(pages);
		for (uint64_t i = 0; i < 128; i++)
			tmm_pages_free(pages, (tmm_pfn){first + in_order(kind, i)}, 0);
		tmm_pages_check(pages);
		tmm_pages_drain(pages);
		tmm_pages_check(pages);
		CHECK(tmm_pages_free_count(pages) == before + 128);
		if (kind == 4)
			tmm_pages_free(pages, (tmm_pfn){first + 5}, 0);
		tmm_pages_drain(pages);
		words[0] = take(pages, TMM_GFP_KERNEL, 6);
		words[1] = take(pages, TMM_GFP_KERNEL, 6);
		CHECK(words[0].v == first && words[1].v == first + 64);
		tmm_pages_free(pages, words[0], 6);
		tmm_pages_free(pages, words[1], 6);
		for (size_t i = 0; i < nr; i++)
			if (got[i].v < first || got[i].v >= first + 128)
				if (kind < 4 || got[i].v != first + 133)
					tmm_pages_free(pages, got[i], 0);
		tmm_pages_check(pages);
		tmm_pages_drain(pages);
		pages_fini(pages);
	}
}

TEST(the_direct_map_is_ram_only)
{
	struct place place;

	rig_begin(&rig, 20 * MIB, 1);
	rig_add(&rig, 8 * MIB, 12 * MIB);
	CHECK(tmm_memblock_remove(&rig.memblock, (tmm_paddr){11 * MIB}, TMM_PAGE_SIZE) ==
	      TMM_OK);
	place.pages = rig_boot(&rig, NO_RESERVE);
	for (place.pfn = 0; place.pfn < 6000; place.pfn++) {
		bool is_ram = place.pfn >= 2048 && place.pfn < 5120 && place.pfn != 2816;

		CHECK((test_panics(address_of, &place) == NULL) == is_ram);
		CHECK((test_panics(pfn_of, &place) == NULL) == is_ram);
	}
	place.pfn = (uint64_t)-1;
	CHECK(test_panics(pfn_of, &place));
	CHECK(tmm_virt_to_pfn(place.pages, (char *)rig.ram + 9 * MIB + 17).v == 2304);
}

TEST(descriptors_are_found_both_ways)
{
	struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);

	for (uint64_t pfn = 0; pfn < 4096; pfn += 97)
		CHECK(page_pfn(pages, page_of(pages, (tmm_pfn){pfn})).v == pfn);
	CHECK(!pfn_valid(pages, (tmm_pfn){4096}));
}

/* ---- wrong frees ---- */

static void free_it(void *arg)
{
	const struct place *place = arg;

	tmm_pages_free(place->pages, (tmm_pfn){place->pfn}, place->order);
}

static bool free_panics(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	struct place place = {pages, pfn, order};

	return test_panics(free_it, &place) != NULL;
}

/*
 *   RAM    |----####----|    first 4 MiB, a hole of one block, 4 MiB; arrays on top
 */
TEST(wrong_frees_are_noticed)
{
	struct tmm_pages *pages;
	tmm_pfn run;

	rig_begin(&rig, 40 * MIB, 1);
	rig_add(&rig, 4 * MIB, 24 * MIB);
	CHECK(tmm_memblock_remove(&rig.memblock, (tmm_paddr){8 * MIB}, 2 * MIB) == TMM_OK);
	rig_reserve(&rig, 5 * MIB, TMM_PAGE_SIZE);
	pages = rig_boot(&rig, NO_RESERVE);
	CHECK(free_panics(pages, 0, 0));          /* below RAM */
	CHECK(free_panics(pages, 8 * 256, 0));    /* in the hole */
	CHECK(free_panics(pages, 5 * 256, 0));    /* reserved */
	CHECK(free_panics(pages, 28 * 256, 0));   /* beyond RAM */
	CHECK(free_panics(pages, UINT64_MAX, 0)); /* TMM_PFN_NONE */
	CHECK(free_panics(pages, 6 * 256, 0));    /* never lent, in the zone */
	run = take(pages, TMM_GFP_KERNEL, 3);
	CHECK(free_panics(pages, run.v + 1, 3)); /* not aligned */
	CHECK(free_panics(pages, run.v, TMM_DEFAULT_ORDER + 1));
	CHECK(free_panics(pages, run.v, TMM_DEFAULT_ORDER));
	tmm_pages_check(pages);
}

/* The first free is on the stack, or in the zone. */
TEST(double_frees_are_noticed)
{
	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		for (int drained = 0; drained <= 1; drained++) {
			struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
			tmm_pfn run = take(pages, TMM_GFP_KERNEL, order);

			tmm_pages_free(pages, run, order);
			if (drained)
				tmm_pages_drain(pages);
			CHECK(free_panics(pages, run.v, order));
			tmm_port_forget_locks();
			tmm_pages_check(pages);
		}
	}
}

static void drain_it(void *arg)
{
	tmm_pages_drain(arg);
}

/* Freed on two CPUs: noticed when the second stack is emptied. */
TEST(double_free_over_two_cpus_is_noticed_late)
{
	struct tmm_pages *pages;
	tmm_pfn pfn;

	if (rig_skips())
		return;
	rig_begin(&rig, 16 * MIB, 2);
	rig_add(&rig, 0, 16 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	CHECK(cpu_enter(&rig.cpus, 0) == TMM_OK);
	pfn = take(pages, TMM_GFP_KERNEL, 0);
	tmm_pages_free(pages, pfn, 0);
	tmm_port_cpu_set(&rig.cpus.cpu[1]); /* as another thread, while this one stays */
	tmm_pages_free(pages, pfn, 0);
	tmm_pages_drain(pages);
	tmm_port_cpu_set(&rig.cpus.cpu[0]);
	CHECK(test_panics(drain_it, pages));
}

static void check_it(void *arg)
{
	tmm_pages_check(arg);
}

/* Each mistake is one the checker must not miss. */
TEST(the_checker_sees_planted_damage)
{
	for (int damage = 0; damage < 8; damage++) {
		struct tmm_pages *pages = rig_simple(&rig, 16 * MIB);
		struct cpu_zone *cz = &pages->cpu[0]->zone[0];

		tmm_pages_free(pages, take(pages, TMM_GFP_KERNEL, 0), 0);
		tmm_pages_check(pages);
		switch (damage) {
		case 0:
			pages->bits[1].word[2] ^= 16;
			break;
		case 1:
			pages->info[1].nr_free--;
			break;
		case 2:
			pages->zone[0].nr_free++;
			break;
		case 3:
			pages->info[1].longest--;
			break;
		case 4:
			cz->stack[0].bottom[0] = cz->stack[0].bottom[1];
			break;
		case 5:
			page_of(pages, (tmm_pfn){cz->stack[0].top[-1] & ENTRY_PFN})->kind =
				PAGE_ANON;
			break;
		case 6:
			pages->stack[1] ^= STACK_ODD;
			break;
		default:
			pages->zone[0].longest_mask[TMM_MIGRATE_UNMOVABLE] ^= 2;
			break;
		}
		CHECK(test_panics(check_it, pages));
		tmm_port_forget_locks();
	}
}
