/*
 * debug_test.c - each misuse is reported by name, and nothing else is
 */
#include <stdio.h>
#include <string.h>

#include <tuxmm/cma.h>
#include <tuxmm/machine.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/policy.h>

#include "panic.h"

#include "page/rig_test.h"

static struct rig rig;

#define AREA_START (UINT64_C(32) * MIB)
#define OWNER      TMM_DEBUG_PAGE_OWNER
#define POISON     TMM_DEBUG_PAGE_POISON

static struct tmm_cma *area;

static struct tmm_pages *boot(uint32_t debug)
{
	const struct tmm_cma_spec spec = {.name = "camera",
	                                  .size_bytes = 4 * MIB,
	                                  .base = AREA_START,
	                                  .node = TMM_NODE_ANY};

	struct pages_config config = {.cpus = &rig.cpus,
	                              .min_free_kbytes = NO_RESERVE,
	                              .cma = &spec,
	                              .nr_cma = 1,
	                              .debug = debug};

	rig_begin(&rig, 64 * MIB, 2);
	rig_add(&rig, 0, 64 * MIB);
	config.ram = rig.ram;
	CHECK(pages_init(&rig.pages, &rig.memblock, &config) == TMM_OK);
	area = tmm_cma_find(&rig.pages, "camera");
	return &rig.pages;
}

static tmm_pfn take(unsigned order)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_MEMALLOC, order, &pfn) == TMM_OK);
	return pfn;
}

static void give(tmm_pfn pfn, unsigned order)
{
	tmm_pages_free(&rig.pages, pfn, order);
}

static tmm_pfn take_exact(unsigned nr_pages)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc_exact(&rig.pages, TMM_GFP_MEMALLOC, nr_pages * TMM_PAGE_SIZE,
	                            &pfn) == TMM_OK);
	return pfn;
}

static tmm_pfn take_of_area(unsigned nr_pages)
{
	tmm_pfn pfn;

	CHECK(tmm_cma_alloc(area, nr_pages, 0, &pfn, NULL) == TMM_OK);
	return pfn;
}

/* Two adjacent single frames, the lower one even. */
static tmm_pfn take_bulk(void)
{
	tmm_pfn pfn[2];

	CHECK(tmm_pages_alloc_bulk(&rig.pages, TMM_GFP_MEMALLOC, 2, pfn) == 2);
	CHECK(pfn[0].v % 2 == 0 && pfn[1].v == pfn[0].v + 1);
	return pfn[0];
}

/* ---- one function a mistake; each returns the frame that the report should name ---- */

static void free_twice(tmm_pfn *bad)
{
	*bad = take(0);
	give(*bad, 0);
	give(*bad, 0);
}

static void free_run_twice(tmm_pfn *bad)
{
	*bad = take(5);
	give(*bad, 5);
	give(*bad, 5);
}

static void free_block_twice(tmm_pfn *bad)
{
	*bad = take(9);
	give(*bad, 9);
	give(*bad, 9);
}

static void free_drained(tmm_pfn *bad)
{
	*bad = take(0);
	give(*bad, 0);
	tmm_pages_drain(&rig.pages);
	give(*bad, 0);
}

static void give_on_both_cpus(tmm_pfn pfn, unsigned order)
{
	give(pfn, order);
	tmm_port_cpu_set(&rig.cpus.cpu[1]); /* as another thread, while this one stays */
	give(pfn, order);
	tmm_pages_drain(&rig.pages);
	tmm_port_cpu_set(&rig.cpus.cpu[0]);
	tmm_pages_drain(&rig.pages);
}

static void free_on_two_cpus(tmm_pfn *bad)
{
	*bad = take(0);
	give_on_both_cpus(*bad, 0);
}

/* Stacks long enough to keep blocks. */
static void free_block_on_two_cpus(tmm_pfn *bad)
{
	CHECK(tmm_pages_set_stacks(&rig.pages, 512, 64) == TMM_OK);
	*bad = take(9);
	give_on_both_cpus(*bad, 9);
}

static void free_with_lower_order(tmm_pfn *bad)
{
	*bad = take(3);
	give(*bad, 0);
}

static void free_with_higher_order(tmm_pfn *bad)
{
	*bad = take(1);
	give(*bad, 9 > (unsigned)__builtin_ctzll(bad->v) ? 0 : 9);
}

static void free_inside(tmm_pfn *bad)
{
	*bad = (tmm_pfn){take(3).v + 4};
	give(*bad, 2);
}

static void free_unaligned(tmm_pfn *bad)
{
	*bad = (tmm_pfn){take(3).v + 1};
	give(*bad, 3);
}

static void free_never_lent(tmm_pfn *bad)
{
	*bad = (tmm_pfn){3000};
	give(*bad, 0);
}

static void free_beyond_ram(tmm_pfn *bad)
{
	*bad = (tmm_pfn){UINT64_C(1) << 30};
	give(*bad, 0);
}

static void free_what_boot_keeps(tmm_pfn *bad)
{
	*bad = (tmm_pfn){rig.memblock.reserved.region[0].start >> TMM_PAGE_SHIFT};
	give(*bad, 0);
}

static void free_exact_run_with_order(tmm_pfn *bad)
{
	*bad = take_exact(5);
	give(*bad, 3);
}

static void free_exact_too_long(tmm_pfn *bad)
{
	tmm_pfn pfn = take_exact(5);

	*bad = (tmm_pfn){pfn.v + 4}; /* of the piece that has too many */
	tmm_pages_free_exact(&rig.pages, pfn, 6 * TMM_PAGE_SIZE);
}

static void free_run_as_exact(tmm_pfn *bad)
{
	*bad = take(3);
	tmm_pages_free_exact(&rig.pages, *bad, 5 * TMM_PAGE_SIZE);
}

static void free_bulk_as_run(tmm_pfn *bad)
{
	*bad = take_bulk();
	give(*bad, 1);
}

static void free_run_as_bulk(tmm_pfn *bad)
{
	*bad = take(1);
	tmm_pages_free_bulk(&rig.pages, 1, bad);
}

static void free_of_area(tmm_pfn *bad)
{
	*bad = take_of_area(4);
	give(*bad, 2);
}

static void release_twice(tmm_pfn *bad)
{
	*bad = take_of_area(4);
	tmm_cma_release(area, *bad, 4);
	tmm_cma_release(area, *bad, 4);
}

/* A page that the area lends meanwhile to whoever can move it. */
static void release_page(tmm_pfn *bad)
{
	do
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_MOVABLE | TMM_GFP_MEMALLOC, 0, bad) ==
		      TMM_OK);
	while (bad->v < AREA_START >> TMM_PAGE_SHIFT ||
	       bad->v >= (AREA_START + 4 * MIB) >> TMM_PAGE_SHIFT);
	tmm_cma_release(area, *bad, 1);
}

static void write_freed(tmm_pfn pfn, unsigned offset)
{
	give(pfn, 0);
	((unsigned char *)tmm_page_address(&rig.pages, pfn))[offset] = 0x42;
}

static void write_first_byte(tmm_pfn *bad)
{
	*bad = take(0);
	write_freed(*bad, 0);
	tmm_pages_check(&rig.pages);
}

static void write_last_byte(tmm_pfn *bad)
{
	*bad = take(0);
	write_freed(*bad, TMM_PAGE_SIZE - 1);
	take(0);
}

static void write_in_drained(tmm_pfn *bad)
{
	*bad = take(0);
	write_freed(*bad, 1234);
	tmm_pages_drain(&rig.pages);
	tmm_pages_check(&rig.pages);
}

#define LENT  1u /* sites that the report has */
#define FREED 2u
#define NOW   4u

static const struct misuse {
	const char *name;
	void (*make)(tmm_pfn *bad);
	uint32_t debug;
	const char *rule;
	unsigned sites;
} misuses[] = {
	/* A machine that records nothing knows the frame, its zone and mostly who frees it. */
	{"twice", free_twice, 0, "this one is on the CPU's stack", NOW},
	{"run twice", free_run_twice, 0, "this one is free in its zone", NOW},
	{"block twice", free_block_twice, 0, "this one is free in its zone", NOW},
	{"drained", free_drained, 0, "this one is free in its zone", NOW},
	{"two CPUs", free_on_two_cpus, 0, "this one is free in its zone", 0},
	{"block, two CPUs", free_block_on_two_cpus, 0, "this one is free in its zone", 0},
	{"unaligned", free_unaligned, 0, "aligned to its order", NOW},
	{"never lent", free_never_lent, 0, "this one never was", NOW},
	{"beyond RAM", free_beyond_ram, 0, "this one is outside", NOW},

	{"twice", free_twice, OWNER, "this one was freed twice", LENT | FREED | NOW},
	{"run twice", free_run_twice, OWNER, "this one was freed twice", LENT | FREED | NOW},
	{"block twice", free_block_twice, OWNER, "freed twice", LENT | FREED | NOW},
	{"drained", free_drained, OWNER, "this one was freed twice", LENT | FREED | NOW},
	{"two CPUs", free_on_two_cpus, OWNER, "freed twice", LENT | FREED | NOW},
	{"block, two CPUs", free_block_on_two_cpus, OWNER, "freed twice", LENT | FREED | NOW},
	{"lower order", free_with_lower_order, OWNER, "the order it was lent with", LENT | NOW},
	{"higher order", free_with_higher_order, OWNER, "the order it was lent with",
         LENT | NOW},
	{"inside", free_inside, OWNER, "this one is inside", LENT | NOW},
	{"unaligned", free_unaligned, OWNER, "aligned to its order", LENT | NOW},
	{"never lent", free_never_lent, OWNER, "this one never was", NOW},
	{"beyond RAM", free_beyond_ram, OWNER, "is RAM", NOW},
	{"kept by boot", free_what_boot_keeps, OWNER, "this one never was", NOW},
	{"exact as run", free_exact_run_with_order, OWNER, "with that size", LENT | NOW},
	{"exact too long", free_exact_too_long, OWNER, "with that size", LENT | NOW},
	{"run as exact", free_run_as_exact, OWNER, "the order it was lent with", LENT | NOW},
	{"bulk as run", free_bulk_as_run, OWNER, "the order it was lent with", LENT | NOW},
	{"run as bulk", free_run_as_bulk, OWNER, "the order it was lent with", LENT | NOW},
	{"of an area", free_of_area, OWNER, "released to it; this one was freed", LENT | NOW},
	{"released twice", release_twice, OWNER, "this one is not lent", LENT | FREED | NOW},
	{"page released", release_page, OWNER, "this one is a page", LENT | NOW},

	{"twice", free_twice, POISON, "this one was freed twice", NOW},
	{"first byte", write_first_byte, POISON, "offset 0, 0x42 instead of 0xaa", 0},
	{"last byte", write_last_byte, OWNER | POISON, "offset 4095, 0x42", LENT | FREED},
	{"drained", write_in_drained, OWNER | POISON, "offset 1234, 0x42", LENT | FREED},
};

struct attempt {
	const struct misuse *misuse;
	tmm_pfn bad;
};

static void make(void *arg)
{
	struct attempt *attempt = arg;

	attempt->misuse->make(&attempt->bad);
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* The rule, the frame, its zone, and every call that is known, but no other. */
static void expect_report(const struct misuse *misuse)
{
	struct attempt attempt = {.misuse = misuse};
	const char *text;
	char frame[32];

	boot(misuse->debug);
	text = test_panics(make, &attempt);
	tmm_port_cpu_set(&rig.cpus.cpu[0]);
	tmm_port_forget_locks();
	test_note("%s: %s", misuse->name, text ? text : "nothing");
	CHECK(text && has(text, misuse->rule));
	snprintf(frame, sizeof(frame), "frame %llu,", (unsigned long long)attempt.bad.v);
	CHECK(has(text, frame) && has(text, ", zone "));
	CHECK(has(text, "zone none") == (attempt.bad.v > 1 << 20));
	CHECK(has(text, "lent by 0x") == ((misuse->sites & LENT) != 0));
	CHECK(has(text, "freed by 0x") == ((misuse->sites & FREED) != 0));
	CHECK(has(text, "now by 0x") == ((misuse->sites & NOW) != 0));
}

static void expect_reports(uint32_t any_of)
{
	for (unsigned i = 0; i < ARRAY_SIZE(misuses); i++)
		if (misuses[i].debug == any_of || (misuses[i].debug & any_of & POISON))
			expect_report(&misuses[i]);
}

TEST(misuse_is_named_without_records)
{
	expect_reports(0);
}

TEST(misuse_is_named_with_its_calls)
{
	expect_reports(OWNER);
}

TEST(writes_after_the_free_are_named_with_their_place)
{
	expect_reports(POISON);
}

/* ---- whose calls are named ---- */

static bool is_in(const void *site, const void *function)
{
	return (uintptr_t)site - (uintptr_t)function < 4096; /* sanitizers make it long */
}

__attribute__((noinline)) static tmm_pfn borrow(unsigned how)
{
	struct tmm_policy policy = {.mode = TMM_POLICY_DEFAULT};
	tmm_pfn pfn = {0};
	tmm_err err = TMM_OK;

	switch (how) {
	case 0:
		err = tmm_pages_alloc(&rig.pages, TMM_GFP_MEMALLOC, 0, &pfn);
		break;
	case 1:
		err = tmm_pages_alloc_exact(&rig.pages, TMM_GFP_MEMALLOC, 3, &pfn);
		break;
	case 2:
		err = tmm_pages_alloc_policy(&rig.pages, &policy, TMM_GFP_MEMALLOC, 0, &pfn);
		break;
	case 3:
		err = tmm_pages_alloc_node(&rig.pages, 0, TMM_GFP_MEMALLOC, 0, &pfn);
		break;
	default:
		CHECK(tmm_pages_alloc_bulk(&rig.pages, TMM_GFP_MEMALLOC, 1, &pfn) == 1);
	}
	CHECK(err == TMM_OK);
	return pfn;
}

__attribute__((noinline)) static void give_back(tmm_pfn pfn, unsigned how)
{
	if (how % 3 == 0)
		tmm_pages_free(&rig.pages, pfn, 0);
	else if (how % 3 == 1)
		tmm_pages_free_exact(&rig.pages, pfn, 1);
	else
		tmm_pages_free_bulk(&rig.pages, 1, &pfn);
	__asm__ volatile(""); /* so that the calls above return here: no jump in their place */
}

/* Not a place inside the allocator, whatever function was called. */
TEST(the_calls_named_are_the_callers)
{
	struct tmm_pages *pages = boot(OWNER);
	struct tmm_page_owner owner;

	for (unsigned how = 0; how < 15; how++) {
		tmm_pfn pfn = borrow(how % 5);

		CHECK(tmm_page_owner(pages, pfn, &owner));
		CHECK(is_in(owner.lent_by, (const void *)(uintptr_t)borrow));
		give_back(pfn, how);
		CHECK(tmm_page_owner(pages, pfn, &owner));
		CHECK(is_in(owner.freed_by, (const void *)(uintptr_t)give_back));
	}
	tmm_pages_check(pages);
	pages_fini(pages);
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
	static tmm_pfn held[6][64]; /* by order */
	unsigned nr[6] = {0};

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = test_random(&seed);
		unsigned order = (unsigned)(r >> 8) % 6;
		tmm_gfp gfp = r >> 20 & 1 ? TMM_GFP_ZERO : 0;
		tmm_pfn *top = &held[order][nr[order]];

		if (r & 1 && nr[order] < ARRAY_SIZE(held[order])) {
			if (tmm_pages_alloc(pages, gfp, order, top) != TMM_OK)
				continue;
			memset(tmm_page_address(pages, *top), 1, 64);
			nr[order]++;
		} else if (nr[order]) {
			give(held[order][--nr[order]], order);
		}
		if (i % 4096 == 0)
			tmm_pages_check(pages);
	}
	for (unsigned order = 0; order < 6; order++)
		while (nr[order])
			give(held[order][--nr[order]], order);
	CHECK(tmm_pages_alloc_exact(pages, 0, 5 * TMM_PAGE_SIZE, &held[0][0]) == TMM_OK);
	tmm_pages_free_exact(pages, held[0][0], 5 * TMM_PAGE_SIZE);
	tmm_pages_check(pages);
	pages_fini(pages);
}
