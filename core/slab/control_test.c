/*
 * What is set of a cache while it is in use.
 */
#include "panic.h"
#include "slab/rig_test.h"

#define NR 200u

static tmm_err set(const char *name, enum tmm_cache_control what, uint64_t value)
{
	return tmm_cache_control(&m.slabs, index_of(name), what, value);
}

/* Lends many objects and takes them back. */
static void use(struct tmm_cache *cache)
{
	void *object[NR];

	for (unsigned i = 0; i < NR; i++)
		CHECK((object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	for (unsigned i = 0; i < NR; i++)
		tmm_cache_free(cache, object[i]);
}

/* 200 objects of 512 bytes: 25 slabs of 8 or fewer.  Empty ones stay as said. */
TEST(a_node_keeps_as_many_empty_slabs_as_it_may)
{
	static const uint64_t keep[] = {1, 3, 0, 7, 2};
	struct tmm_cache *cache;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	cache = cache_of_size("kept", 512);
	CHECK(set("kept", TMM_CACHE_CPU_PARTIAL, 0) == TMM_OK);
	CHECK(info_of("kept").min_partial == 1);
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		CHECK(set("kept", TMM_CACHE_MIN_PARTIAL, keep[i]) == TMM_OK);
		CHECK(info_of("kept").min_partial == keep[i]);
		use(cache);
		CHECK(info_of("kept").num_slabs == keep[i]);
		tmm_slab_check(&m.slabs);
	}
	CHECK(set("kept", TMM_CACHE_MIN_PARTIAL, 5) == TMM_OK);
	use(cache);
	CHECK(set("kept", TMM_CACHE_MIN_PARTIAL, 2) == TMM_OK); /* gives the others back */
	CHECK(info_of("kept").num_slabs == 2 && info_of("kept").active_slabs == 0);
	CHECK(set("kept", TMM_CACHE_SHRINK, 1) == TMM_OK);
	CHECK(info_of("kept").num_slabs == 0 && info_of("kept").min_partial == 2);
	CHECK(set("kept", TMM_CACHE_MIN_PARTIAL, UINT64_C(1) << 32) == TMM_E_INVAL);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* A CPU keeps two magazines and the hand, and the depot of its node some more. */
TEST(magazines_are_as_large_as_was_set)
{
	struct tmm_cache *cache;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	cache = cache_of_size("sized", 64);
	CHECK(info_of("sized").cpu_partial == 64);
	CHECK(set("sized", TMM_CACHE_CPU_PARTIAL, 4) == TMM_OK);
	CHECK(info_of("sized").cpu_partial == 4);
	use(cache);
	use(cache);
	CHECK(info_of("sized").magazine_objs > 4 &&
	      info_of("sized").magazine_objs <= 4 * (2 + DEPOT_MAX) + 1);
	CHECK(set("sized", TMM_CACHE_CPU_PARTIAL, 0) == TMM_OK);
	use(cache);
	CHECK(info_of("sized").magazine_objs == 0);
	CHECK(set("sized", TMM_CACHE_CPU_PARTIAL, 65) == TMM_E_INVAL);
	CHECK(set("kmem_cache", TMM_CACHE_CPU_PARTIAL, 8) == TMM_E_INVAL);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* Whatever is set, each object of a cache that debugs is looked at. */
TEST(a_cache_that_debugs_gets_no_magazines)
{
	const struct slab_config config = {.debug = "FZ", .options = TMM_SLAB_NO_MERGE};
	struct tmm_cache *cache;
	void *object[NR];

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	cache = cache_of_size("watched", 64);
	CHECK(set("watched", TMM_CACHE_CPU_PARTIAL, 8) == TMM_E_INVAL);
	CHECK(set("watched", TMM_CACHE_CPU_PARTIAL, 0) == TMM_OK);
	CHECK(tmm_cache_tune(cache, 32, 4) == TMM_OK);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NR; i++)
			CHECK(tmm_cache_alloc_bulk(cache, TMM_GFP_KERNEL, 1, &object[i]) == 1);
		tmm_cache_free_bulk(cache, NR, object);
	}
	CHECK(info_of("watched").magazine_objs == 0 && info_of("watched").cpu_partial == 0);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

static void ignore(unsigned level, const char *line)
{
	(void)level;
	(void)line;
}

/* A write behind an object is found by looking, where the cache debugs. */
TEST(validate_looks_at_all_objects)
{
	const struct slab_config config = {.debug = "Z,seen", .options = TMM_SLAB_NO_MERGE};
	struct tmm_cache *cache;
	char *object;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	cache = cache_of_size("seen", 64);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(set("seen", TMM_CACHE_VALIDATE, 1) == TMM_OK && tmm_cache_reports(cache) == 0);
	object[64] = 1;
	tmm_port_on_log(ignore);
	CHECK(set("seen", TMM_CACHE_VALIDATE, 1) == TMM_OK && tmm_cache_reports(cache) == 1);
	tmm_port_on_log(NULL);
	CHECK(set("seen", TMM_CACHE_VALIDATE, 0) == TMM_E_INVAL);
	CHECK(set("kmalloc-64", TMM_CACHE_VALIDATE, 1) == TMM_E_INVAL);
	tmm_cache_free(cache, object);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* From the next request on, magazines or not; not for others' sake. */
TEST(failures_are_switched_on_and_off)
{
	const struct slab_config config = {
		.failslab = {.probability = 100, .times = -1, .is_quiet = true}};
	struct tmm_cache *cache, *one, *two;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	CHECK(tmm_cache_create(&m.slabs,
	                       &(struct tmm_cache_spec){
				       .name = "own", .size_bytes = 72, .no_merge = true},
	                       &cache) == TMM_OK);
	use(cache);
	CHECK(set("own", TMM_CACHE_FAILSLAB, 1) == TMM_OK);
	CHECK(info_of("own").debug == TMM_SLAB_FAILSLAB);
	CHECK(!tmm_cache_alloc(cache, TMM_GFP_NOWAIT));
	CHECK(info_of("own").magazine_objs == 0);
	CHECK(set("own", TMM_CACHE_FAILSLAB, 0) == TMM_OK);
	use(cache);
	CHECK(info_of("own").magazine_objs > 0);
	CHECK(set("own", TMM_CACHE_FAILSLAB, 2) == TMM_E_INVAL);
	one = cache_of_size("one", 104);
	two = cache_of_size("two", 104);
	CHECK(one == two && set("one", TMM_CACHE_FAILSLAB, 1) == TMM_E_INVAL);
	CHECK(tmm_cache_destroy(one) == TMM_OK && tmm_cache_destroy(two) == TMM_OK);
	/* Fast kmalloc fails as well. */
	CHECK(set("kmalloc-192", TMM_CACHE_FAILSLAB, 1) == TMM_OK);
	CHECK(!tmm_kmalloc(&m.slabs, 180, TMM_GFP_NOWAIT));
	CHECK(set("kmalloc-192", TMM_CACHE_FAILSLAB, 0) == TMM_OK);
	tmm_kfree(&m.slabs, tmm_kmalloc(&m.slabs, 180, TMM_GFP_NOWAIT));
	CHECK(set("kmem_cache", TMM_CACHE_FAILSLAB, 1) == TMM_E_INVAL);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

TEST(what_there_is_not_cannot_be_set)
{
	const struct slab_config slob = {.allocator = TMM_SLOB};

	boot_plain(8 * MB);
	CHECK(set("no such cache", TMM_CACHE_SHRINK, 1) == TMM_E_NOENT);
	CHECK(m.slabs.is_slob || set("kmalloc-8", TMM_CACHE_SHRINK, 2) == TMM_E_INVAL);
	halt();
	boot_with(test_ram(8 * MB), 8 * MB, 1, &slob);
	CHECK(tmm_cache_control(&m.slabs, 0, TMM_CACHE_SHRINK, 1) == TMM_E_NOENT);
	halt();
}
