#include <tuxmm/slab_inline.h>

#include "slab/rig_test.h"

#define NR 1500u /* objects: more than two magazines and a depot hold */

static void *object[NR];
static struct tmm_cache *tested;

static void take(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		CHECK((object[i] = tmm_cache_alloc(tested, TMM_GFP_KERNEL)) != NULL);
}

static void give(unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		tmm_cache_free(tested, object[i]);
}

static void free_one(void *one)
{
	tmm_cache_free(tested, one);
}

static void free_inline(void *one)
{
	tmm_cache_free_inline(tested, one);
}

static void free_bulk(void *one)
{
	tmm_cache_free_bulk(tested, 1, &one);
}

/*
 *   lent   1500   free   all     a few slabs stay, for the magazines
 *                 shrink         none
 */
TEST(magazines_hold_free_objects_until_the_cache_is_shrunk)
{
	struct tmm_cache_info info;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("held", 64);
	for (int round = 0; round < 3; round++) {
		take(NR);
		CHECK(info_of("held").active_objs == NR);
		tmm_slab_check(&m.slabs);
		give(0, NR);
		info = info_of("held");
		CHECK(info.active_objs == 0 && info.num_slabs > 0);
		CHECK(info.num_slabs <=
		      2 * (DEPOT_MAX + 2) + 1); /* a magazine is of two at most */
		tmm_slab_check(&m.slabs);
	}
	CHECK(tmm_cache_shrink(tested) == info.num_slabs * info.pages_per_slab);
	CHECK(info_of("held").num_slabs == 0);
	CHECK(info_of("kmem_magazine").active_objs == 0);
	halt();
}

TEST(objects_in_magazines_do_not_keep_a_cache)
{

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("gone", 64);
	take(NR);
	give(1, NR);
	CHECK(tmm_cache_destroy(tested) == TMM_E_BUSY);
	CHECK(info_of("gone").active_objs == 1);
	give(0, 1);
	CHECK(tmm_cache_destroy(tested) == TMM_OK);
	halt();
}

/* In the loaded magazine, the previous one, the depot, back in the slab. */
TEST(a_second_free_panics_wherever_the_object_is)
{
	boot_plain(8 * MB);
	tested = cache_of_size("twice", 64);
	take(NR);
	give(0, NR);
	for (unsigned i = 0; i < NR; i++) {
		CHECK(panics(free_one, object[i]));
		CHECK(panics(free_inline, object[i]));
		CHECK(panics(free_bulk, object[i]));
	}
	halt();
}

TEST(a_second_free_on_another_cpu_panics)
{
	boot_with(test_ram(8 * MB), 8 * MB, 2, NULL);
	tested = cache_of_size("twice", 64);
	take(NR);
	give(0, NR);
	CHECK(cpu_enter(&m.cpus, 1) == TMM_OK);
	for (unsigned i = 0; i < NR; i++)
		CHECK(panics(free_one, object[i]));
	halt();
}

/* One CPU lends, another takes back: objects and magazines go round by the depot. */
TEST(objects_may_be_freed_on_another_cpu)
{
	boot_with(test_ram(8 * MB), 8 * MB, 2, NULL);
	tested = cache_of_size("passed", 64);
	for (int round = 0; round < 40; round++) {
		CHECK(cpu_enter(&m.cpus, 0) == TMM_OK);
		take(300);
		CHECK(cpu_enter(&m.cpus, 1) == TMM_OK);
		give(0, 300);
		tmm_slab_check(&m.slabs);
	}
	CHECK(info_of("passed").num_objs <= (DEPOT_MAX + 8) * MAGAZINE_MAX);
	halt();
}

/* As a thread does that lives on while another shrinks the cache: it stays on its CPU. */
static void switch_cpu(uint32_t id)
{
	m.cpus.cpu[id].taken = true;
	tmm_port_cpu_set(&m.cpus.cpu[id]);
}

TEST(every_cpu_is_drained_by_a_shrink)
{
	boot_with(test_ram(8 * MB), 8 * MB, 2, NULL);
	tested = cache_of_size("left", 64);
	switch_cpu(1);
	take(NR);
	give(0, NR);
	switch_cpu(0);
	take(NR);
	give(0, NR);
	CHECK(info_of("left").num_slabs > 0);
	tmm_cache_shrink(tested);
	CHECK(info_of("left").num_slabs == 0);
	take(NR);
	give(0, NR);
	CHECK(info_of("left").num_slabs > 0); /* the magazines are back */
	tmm_cpu_exit(&m.cpus.cpu[1]);
	halt();
}

TEST(a_thread_that_leaves_its_cpu_leaves_nothing_there)
{
	boot_with(test_ram(8 * MB), 8 * MB, 2, NULL);
	tested = cache_of_size("left", 64);
	CHECK(tmm_cache_tune(tested, MAGAZINE_MAX, 0) == TMM_OK); /* nothing in the depot */
	CHECK(cpu_enter(&m.cpus, 1) == TMM_OK);
	take(NR);
	give(0, NR);
	CHECK(info_of("left").num_slabs > 1);
	CHECK(cpu_enter(&m.cpus, 0) == TMM_OK);
	CHECK(info_of("left").num_slabs == 1); /* the spare */
	halt();
}

/* Whoever lends, the other takes back: from the hand, magazines, slabs. */
TEST(inline_calls_and_functions_mix)
{
	uint64_t state = test_seed();
	unsigned nr = 0, goal = 0;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("inline", 64);
	for (unsigned i = 0; i < 40000; i++) {
		if (nr == goal)
			goal = (unsigned)(test_random(&state) % NR);
		if (nr < goal) {
			bool zero = i % 6 == 0;
			tmm_gfp gfp = TMM_GFP_KERNEL | (zero ? TMM_GFP_ZERO : 0);

			object[nr] = i % 3 ? tmm_cache_alloc(tested, gfp)
			                   : tmm_cache_alloc_inline(tested, gfp);
			CHECK(object[nr] && (!zero || all_bytes_are(object[nr], 0, 64)));
			memset(object[nr++], 0xee, 64);
		} else if (nr > goal && i % 5) {
			tmm_cache_free_inline(tested, object[--nr]);
		} else if (nr > goal) {
			tmm_cache_free(tested, object[--nr]);
		}
		if (i % 1000 == 0) {
			CHECK(info_of("inline").active_objs == nr);
			tmm_slab_check(&m.slabs);
		}
	}
	tmm_cache_free_inline(tested, NULL);
	give(0, nr);
	halt();
}

TEST(bulk_and_single_calls_mix)
{
	static const size_t sizes[] = {1, 7, 32, 64, 65, 200, NR};

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("bulk", 64);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t nr = sizes[i];

		CHECK(tmm_cache_alloc_bulk(tested, TMM_GFP_KERNEL | TMM_GFP_ZERO, nr, object) ==
		      nr);
		CHECK(info_of("bulk").active_objs == nr);
		for (size_t k = 0; k < nr; k++) {
			CHECK(all_bytes_are(object[k], 0, 64));
			memset(object[k], 0xee, 64); /* is another's too, if lent twice */
		}
		tmm_cache_free(tested, object[nr / 2]);
		object[nr / 2] = NULL; /* is ignored */
		tmm_cache_free_bulk(tested, nr, object);
		tmm_slab_check(&m.slabs);
		take((unsigned)nr);
		tmm_cache_free_bulk(tested, nr, object);
	}
	CHECK(tmm_cache_alloc_bulk(tested, TMM_GFP_KERNEL, 0, object) == 0);
	halt();
}

TEST(a_bulk_gets_what_there_is)
{
	static void *all[200000];
	size_t nr;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("bulk", 64);
	nr = tmm_cache_alloc_bulk(tested, TMM_GFP_KERNEL, ARRAY_SIZE(all), all);
	CHECK(nr > 4 * MB / 64 && nr < ARRAY_SIZE(all));
	CHECK(info_of("bulk").active_objs == nr);
	tmm_cache_free_bulk(tested, nr, all);
	halt();
}

/* An object or so at a time; none: each visits its slab. */
TEST(magazines_are_tuned_while_in_use)
{
	static const uint32_t limits[] = {64, 1, 0, 2, 33, 0, 64};

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	tested = cache_of_size("tuned", 64);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint32_t depot = (uint32_t)i % 3;

		take(500);
		CHECK(tmm_cache_tune(tested, limits[i], depot) == TMM_OK);
		give(0, 500);
		tmm_slab_check(&m.slabs);
		/* what magazines hold, the spare, and what shares a slab with them */
		CHECK(info_of("tuned").num_objs <=
		      ((depot + 2) * limits[i] + 1 + (limits[i] > 0)) * 64);
		CHECK(limits[i] > 0 || info_of("tuned").num_slabs == 1);
	}
	CHECK(tmm_cache_tune(tested, MAGAZINE_MAX + 1, 1) == TMM_E_INVAL);
	CHECK(tmm_cache_tune(&m.slabs.own[OWN_MAGAZINE], 1, 1) == TMM_E_INVAL);
	halt();
}
