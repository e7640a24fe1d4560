/*
 * Runs that are one thing: each frame knows the first and the order, and the run is
 * freed as a whole.
 *
 *   |....HTTTTTTT....|   H the head, T tails
 */
#include "page/rig_test.h"

#include "page/compound.h"
#include "panic.h"

static struct rig rig;

struct wrong {
	struct tmm_pages *pages;
	tmm_pfn pfn;
	unsigned order;
};

static void free_it(void *arg)
{
	const struct wrong *wrong = arg;

	tmm_pages_free(wrong->pages, wrong->pfn, wrong->order);
}

static bool says_compound(const char *what)
{
	static const char part[] = "a compound run is freed by its first frame";

	return what && __builtin_strncmp(what, part, sizeof(part) - 1) == 0;
}

TEST(every_frame_of_a_compound_run_knows_it)
{
	struct tmm_pages *pages;
	tmm_pfn pfn, plain;

	rig_begin(&rig, 256 * MIB, 1);
	rig_add(&rig, 0, 256 * MIB);
	pages = rig_boot_as(
		&rig, (struct pages_config){.max_order = 12, .min_free_kbytes = NO_RESERVE});
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 4, &plain) == TMM_OK);
	for (unsigned order = 0; order <= 12; order++) {
		uint64_t run = UINT64_C(1) << order;

		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_COMP | TMM_GFP_ZERO,
		                      order, &pfn) == TMM_OK);
		for (uint64_t i = 0; i < run; i++) {
			tmm_pfn frame = {pfn.v + i};

			CHECK(tmm_page_head(pages, frame).v == pfn.v);
			CHECK(tmm_page_order(pages, frame) == order);
		}
		tmm_pages_check(pages);
		tmm_pages_free(pages, pfn, order);
		tmm_pages_drain(pages);
		tmm_pages_check(pages);
		for (uint64_t i = 0; i < run; i++)
			CHECK(page_of(pages, (tmm_pfn){pfn.v + i})->flags == 0);
	}
	for (uint64_t i = 0; i < 16; i++) {
		tmm_pfn frame = {plain.v + i};

		CHECK(tmm_page_head(pages, frame).v == frame.v &&
		      !tmm_page_order(pages, frame));
	}
	tmm_pages_free(pages, plain, 4);
	pages_fini(pages);
}

/* Any other frame, any other order, whatever the stack could have taken. */
TEST(a_compound_run_is_freed_as_a_whole)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	struct tmm_cpu *cpu;
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_COMP, 3, &pfn) == TMM_OK);
	cpu = tmm_port_cpu();
	for (unsigned order = 0; order <= 10; order++) {
		uint64_t first = pfn.v & ~((UINT64_C(1) << order) - 1);

		for (uint64_t at = first; at < pfn.v + 8; at += UINT64_C(1) << order) {
			struct wrong wrong = {pages, {at}, order};
			const char *what;

			if (at + (UINT64_C(1) << order) <= pfn.v || (at == pfn.v && order == 3))
				continue;
			/* Longer runs have free frames, and owners, where kept, say it first.
			 */
			what = test_panics(free_it, &wrong);
			CHECK(order > 3 || pages->debug ? what != NULL : says_compound(what));
			tmm_port_forget_locks();
			tmm_port_cpu_set(cpu);
		}
	}
	tmm_pages_free(pages, pfn, 3);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* Others in the block come and go as ever; a freed block is as fast as before. */
TEST(others_in_the_block_are_not_touched)
{
	struct tmm_pages *pages = rig_simple(&rig, 64 * MIB);
	static tmm_pfn plain[3000], whole[300];
	uint64_t seed = test_seed();
	unsigned nr_plain = 0, nr_whole = 0;

	for (unsigned i = 0; i < 20000; i++) {
		uint64_t dice = test_random(&seed);

		if (dice % 8 < 4 && nr_plain < ARRAY_SIZE(plain)) {
			nr_plain += tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0,
			                            &plain[nr_plain]) == TMM_OK;
		} else if (dice % 8 == 4 && nr_whole < ARRAY_SIZE(whole)) {
			nr_whole += tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_COMP, 2,
			                            &whole[nr_whole]) == TMM_OK;
		} else if (dice % 8 == 5 && nr_whole > 0) {
			unsigned which = (unsigned)(dice >> 8) % nr_whole;

			tmm_pages_free(pages, whole[which], 2);
			whole[which] = whole[--nr_whole];
		} else if (nr_plain > 0) {
			unsigned which = (unsigned)(dice >> 8) % nr_plain;

			tmm_pages_free(pages, plain[which], 0);
			plain[which] = plain[--nr_plain];
		}
		if (i % 500 == 499)
			tmm_pages_check(pages);
	}
	while (nr_whole > 0)
		tmm_pages_free(pages, whole[--nr_whole], 2);
	while (nr_plain > 0)
		tmm_pages_free(pages, plain[--nr_plain], 0);
	for (uint64_t block = 0; block < nr_blocks(pages); block++)
		CHECK(pages->info[block].nr_marked == 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}
