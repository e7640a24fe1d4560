/*
 * debug_test.c - each misuse is reported by name, and nothing else is
 */
#include <string.h>

#include <tuxmm/page_debug.h>

#include "page/rig_test.h"

static struct rig rig;

static struct tmm_pages *boot(uint32_t debug)
{
	const struct pages_config config = {.ram = (rig_begin(&rig, 32 * MIB, 1), rig.ram),
	                                    .cpus = &rig.cpus,
	                                    .min_free_kbytes = NO_RESERVE,
	                                    .debug = debug};

	rig_add(&rig, 0, 32 * MIB);
	CHECK(pages_init(&rig.pages, &rig.memblock, &config) == TMM_OK);
	return &rig.pages;
}

static tmm_pfn take(unsigned order)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_MEMALLOC, order, &pfn) == TMM_OK);
	return pfn;
}

struct call {
	tmm_pfn pfn;
	unsigned order;
};

static void do_free(void *arg)
{
	const struct call *call = arg;

	tmm_pages_free(&rig.pages, call->pfn, call->order);
}

static void do_check(void *arg)
{
	(void)arg;
	tmm_pages_check(&rig.pages);
}

static void expect(tmm_pfn pfn, unsigned order, const char *mistake, bool sites)
{
	struct call call = {pfn, order};
	const char *text = test_panics(do_free, &call);

	CHECK(text);
	test_note("%s", text);
	CHECK(strstr(text, mistake) && strstr(text, "frame ") && strstr(text, "zone DMA"));
	CHECK(!sites || (strstr(text, "lent by 0x") && strstr(text, "now by 0x")));
}

/* A machine that records nothing knows the frame, its zone and who frees it. */
TEST(a_wrong_free_is_named_without_records)
{
	tmm_pfn pfn;

	boot(0);
	pfn = take(0);
	tmm_pages_free(&rig.pages, pfn, 0);
	expect(pfn, 0, "; now by 0x", false);
	tmm_pages_drain(&rig.pages);
	expect(pfn, 0, "free in its zone", false);
	expect((tmm_pfn){3000}, 0, "never was", false);
}

TEST(a_frame_freed_twice_is_named_with_its_calls)
{
	tmm_pfn pfn;

	boot(TMM_DEBUG_PAGE_OWNER);
	pfn = take(0);
	tmm_pages_free(&rig.pages, pfn, 0);
	expect(pfn, 0, "freed twice", true);
}

TEST(a_wrong_order_is_named)
{
	boot(TMM_DEBUG_PAGE_OWNER);
	expect(take(3), 0, "the order it was lent with", true);
}

TEST(a_free_inside_a_run_is_named)
{
	tmm_pfn pfn;

	boot(TMM_DEBUG_PAGE_OWNER);
	pfn = take(3);
	expect((tmm_pfn){pfn.v + 4}, 2, "inside", true);
}

TEST(a_frame_never_lent_is_named)
{
	boot(TMM_DEBUG_PAGE_OWNER);
	expect((tmm_pfn){3000}, 0, "never was", false);
}

/* The byte, wherever it is in the frame, when the frame is lent again or checked. */
TEST(a_write_after_the_free_is_named_with_its_place)
{
	const char *text;
	tmm_pfn pfn;

	boot(TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON);
	pfn = take(0);
	tmm_pages_free(&rig.pages, pfn, 0);
	tmm_pages_check(&rig.pages);
	((unsigned char *)tmm_page_address(&rig.pages, pfn))[1234] = 0x42;
	text = test_panics(do_check, NULL);
	CHECK(text);
	test_note("%s", text);
	CHECK(strstr(text, "offset 1234, 0x42") && strstr(text, "freed by 0x"));
}

TEST(owners_are_known)
{
	struct tmm_pages *pages = boot(TMM_DEBUG_PAGE_OWNER);
	struct tmm_page_owner owner;
	tmm_pfn pfn = take(2);

	CHECK(tmm_page_owner(pages, (tmm_pfn){pfn.v + 3}, &owner));
	CHECK(owner.lent && owner.first.v == pfn.v && owner.order == 2 && owner.lent_by);
	tmm_pages_free(pages, pfn, 2);
	CHECK(tmm_page_owner(pages, pfn, &owner) && !owner.lent && owner.freed_by);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* No false report over random requests of all orders, sizes that are no power of two too. */
TEST(nothing_is_reported_of_right_use)
{
	struct tmm_pages *pages = boot(TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON);
	uint64_t seed = test_seed();
	static struct call held[256];
	unsigned nr = 0;

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = test_random(&seed);
		unsigned order = (unsigned)(r >> 8) % 6;
		tmm_gfp gfp = r >> 20 & 1 ? TMM_GFP_ZERO : 0;

		if (r & 1 && nr < ARRAY_SIZE(held)) {
			if (tmm_pages_alloc(pages, gfp, order, &held[nr].pfn) != TMM_OK)
				continue;
			memset(tmm_page_address(pages, held[nr].pfn), 1, 64);
			held[nr++].order = order;
		} else if (nr) {
			do_free(&held[--nr]);
		}
		if (i % 4096 == 0)
			tmm_pages_check(pages);
	}
	while (nr)
		do_free(&held[--nr]);
	CHECK(tmm_pages_alloc_exact(pages, 0, 5 * TMM_PAGE_SIZE, &held[0].pfn) == TMM_OK);
	tmm_pages_free_exact(pages, held[0].pfn, 5 * TMM_PAGE_SIZE);
	tmm_pages_check(pages);
	pages_fini(pages);
}
