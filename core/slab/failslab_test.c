/*
 * Requests that are made to fail, and objects that are lent in a random order.
 */
#include <string.h>

#include "panic.h"
#include "slab/rig_test.h"

static unsigned nr_lines, nr_forced;

static void count_line(unsigned level, const char *line)
{
	(void)level;
	nr_lines++;
	nr_forced += strstr(line, "FAULT_INJECTION: forcing a failure.") != NULL;
}

static void boot_failing(const char *debug, struct tmm_failslab attr)
{
	const struct slab_config config = {
		.debug = debug, .options = TMM_SLAB_NO_MERGE, .failslab = attr, .seed = 7};

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	nr_lines = nr_forced = 0;
	tmm_port_on_log(count_line);
}

static void halt_failing(void)
{
	tmm_port_on_log(NULL);
	halt();
}

/* Of nr requests those that fail, as bits; the objects go back. */
static uint64_t pattern_of(struct tmm_cache *cache, tmm_gfp gfp, unsigned nr)
{
	void *object[64];
	uint64_t failed = 0;

	for (unsigned i = 0; i < nr; i++) {
		object[i] = tmm_cache_alloc(cache, gfp);
		failed |= (uint64_t)!object[i] << i;
	}
	for (unsigned i = 0; i < nr; i++)
		tmm_cache_free(cache, object[i]);
	return failed;
}

/* Each third, until four have failed; others are not touched. */
TEST(chosen_caches_fail_at_intervals_and_so_often)
{
	struct tmm_cache *chosen, *other;
	struct tmm_failslab left;

	boot_failing("A,chosen",
	             (struct tmm_failslab){.interval = 3, .probability = 100, .times = 4});
	chosen = cache_of_size("chosen", 64);
	other = cache_of_size("other", 64);
	CHECK(info_of("chosen").debug == TMM_SLAB_FAILSLAB && !info_of("other").debug);
	CHECK(pattern_of(other, TMM_GFP_NOWAIT, 64) == 0);
	CHECK(pattern_of(chosen, TMM_GFP_NOWAIT, 64) == 0x924); /* 2, 5, 8, 11 */
	tmm_slab_failslab_get(&m.slabs, &left);
	CHECK(left.times == 0 && left.interval == 3);
	CHECK(tmm_slab_failslab_failures(&m.slabs) == 4 && nr_forced == 4);
	CHECK(info_of("chosen").magazine_objs == 0);
	halt_failing();
}

/* As Linux: who can wait is spared unless said, and who cannot fail always. */
TEST(who_waits_is_spared_unless_it_is_said)
{
	struct tmm_failslab attr = {.probability = 100, .times = -1, .is_quiet = true};
	struct tmm_cache *cache;

	boot_failing("A", attr);
	cache = cache_of_size("cache", 64);
	CHECK(pattern_of(cache, TMM_GFP_KERNEL, 8) == 0);
	CHECK(pattern_of(cache, TMM_GFP_ATOMIC, 8) == 0xff);
	CHECK(!tmm_kmalloc(&m.slabs, 100, TMM_GFP_NOWAIT));
	CHECK(!tmm_kmalloc_node(&m.slabs, 100, TMM_GFP_NOWAIT, 0));
	attr.fails_waiting = true;
	CHECK(tmm_slab_failslab_set(&m.slabs, &attr) == TMM_OK);
	CHECK(pattern_of(cache, TMM_GFP_KERNEL, 8) == 0xff);
	CHECK(pattern_of(cache, TMM_GFP_KERNEL | TMM_GFP_NOFAIL, 8) == 0);
	CHECK(!tmm_kcalloc(&m.slabs, 10, 10, TMM_GFP_KERNEL));
	CHECK(nr_lines == 0);
	attr.probability = 0;
	CHECK(tmm_slab_failslab_set(&m.slabs, &attr) == TMM_OK);
	CHECK(pattern_of(cache, TMM_GFP_ATOMIC, 8) == 0);
	halt_failing();
}

/* Of 641 bytes ten objects of 64 are lent; one byte is not enough for another. */
TEST(space_is_lent_before_the_first_failure)
{
	struct tmm_cache *cache;

	boot_failing("A", (struct tmm_failslab){
				  .probability = 100, .space_bytes = 641, .times = -1});
	cache = cache_of_size("cache", 64);
	CHECK(pattern_of(cache, TMM_GFP_NOWAIT, 16) == 0xfc00);
	/* Who asks for no warning gets none. */
	nr_lines = 0;
	CHECK(pattern_of(cache, TMM_GFP_NOWAIT | TMM_GFP_NOWARN, 4) == 0xf && nr_lines == 0);
	halt_failing();
}

/* Three runs of one seed fail alike; a quarter of many, about. */
TEST(probability_is_kept_and_the_same_in_each_run)
{
	uint64_t seen[3], nr = 0;

	for (unsigned run = 0; run < 3; run++) {
		struct tmm_cache *cache;

		boot_failing("FZPUA,cache", (struct tmm_failslab){.probability = 25,
		                                                  .times = -1,
		                                                  .is_quiet = true});
		cache = cache_of_size("cache", 64);
		seen[run] = pattern_of(cache, TMM_GFP_NOWAIT, 64);
		CHECK(seen[run] == seen[0]);
		for (unsigned i = 0; i < 100; i++)
			nr += (unsigned)__builtin_popcountll(
				pattern_of(cache, TMM_GFP_NOWAIT, 64));
		halt_failing();
	}
	CHECK(nr > 3 * 1400 && nr < 3 * 1800); /* of 3 * 6400 */
}

TEST(attributes_out_of_range_are_refused)
{
	const struct tmm_failslab bad[] = {{.probability = 101}, {.times = -2}};
	struct tmm_failslab now;

	boot_failing(NULL, (struct tmm_failslab){.interval = 5});
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(tmm_slab_failslab_fault(&bad[i]));
		CHECK(tmm_slab_failslab_set(&m.slabs, &bad[i]) == TMM_E_INVAL);
	}
	tmm_slab_failslab_get(&m.slabs, &now);
	CHECK(now.interval == 5 && now.times == 1);
	halt_failing();
}

/* ---- random order ---- */

static struct tmm_cache *boot_shuffled(const char *debug, uint32_t options, uint64_t seed)
{
	const struct slab_config config = {
		.debug = debug, .options = options | TMM_SLAB_NO_MERGE, .seed = seed};

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	return cache_of_size("shuffled", 64);
}

#define NR 192u /* objects: three slabs of most kinds */

/* The places of NR objects in the order they were lent in; every object is there once. */
static void lend(struct tmm_cache *cache, uint64_t *place)
{
	void *object[NR];
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < NR; i++) {
		object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		place[i] = (uint64_t)((char *)object[i] - (char *)m.pages.ram);
		least = min_u64(least, place[i]);
		for (unsigned k = 0; k < i; k++)
			CHECK(place[k] != place[i]);
	}
	for (unsigned i = 0; i < NR; i++) {
		place[i] -= least;
		tmm_cache_free(cache, object[i]);
	}
}

static unsigned nr_rising(const uint64_t *place)
{
	unsigned nr = 0;

	for (unsigned i = 1; i < NR; i++)
		nr += place[i] > place[i - 1];
	return nr;
}

/* With magazines and without, and where free objects are chained. */
TEST(objects_of_a_slab_are_lent_in_a_random_order)
{
	static const char *const debugs[] = {NULL, "F", "U"};
	uint64_t place[4][NR];

	for (size_t i = 0; i < ARRAY_SIZE(debugs); i++) {
		for (unsigned run = 0; run < 4; run++) {
			uint32_t options = run == 3 ? 0 : TMM_SLAB_RANDOM;

			lend(boot_shuffled(debugs[i], options, run == 2), place[run]);
			halt();
		}
		CHECK(memcmp(place[0], place[1], sizeof(place[0])) == 0); /* the same seed */
		CHECK(memcmp(place[0], place[2], sizeof(place[0])) != 0); /* another */
		CHECK(nr_rising(place[3]) >= NR - 3);
		CHECK(nr_rising(place[0]) > NR / 3 && nr_rising(place[0]) < NR * 2 / 3);
		CHECK(place[0][0] != 0 || place[2][0] != 0);
	}
}

/* The first of a slab's 64 objects is any of them: of 200 caches' nearly all are seen. */
TEST(any_object_of_a_slab_may_be_the_first)
{
	struct tmm_cache *cache = boot_shuffled(NULL, TMM_SLAB_RANDOM, 3);
	uint64_t seen = 0;

	for (unsigned i = 0; i < 200; i++) {
		char *object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);

		seen |= UINT64_C(1) << (uint64_t)(object - (char *)m.pages.ram) % 4096 / 64;
		tmm_cache_free(cache, object);
		tmm_cache_shrink(cache);
	}
	CHECK(__builtin_popcountll(seen) > 55); /* 61 on average */
	halt();
}
