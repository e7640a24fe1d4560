#include "slab/rig_test.h"

TEST(specs_out_of_range_are_refused)
{
	static const struct tmm_cache_spec bad[] = {
		{.name = NULL, .size_bytes = 8},
		{.name = "", .size_bytes = 8},
		{.name = "12345678901234567890123456789012", .size_bytes = 8},
		{.name = "nothing", .size_bytes = 0},
		{.name = "large", .size_bytes = 32769},
		{.name = "align", .size_bytes = 8, .align_bytes = 24},
		{.name = "align", .size_bytes = 8, .align_bytes = 8192},
	};
	static const struct tmm_cache_spec taken = {.name = "kmalloc-64", .size_bytes = 64};
	struct tmm_cache *cache = NULL;

	boot(8 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(tmm_cache_create(&m.slabs, &bad[i], &cache) == TMM_E_INVAL);
	CHECK(tmm_cache_create(&m.slabs, &taken, &cache) == TMM_E_EXIST);
	CHECK(cache == NULL);
	cache = cache_of_size("1234567890123456789012345678901", 32768);
	CHECK(m.slabs.is_slob || info_of("1234567890123456789012345678901").objs_per_slab == 1);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* Newest first, as /proc/slabinfo; the cache of caches was the first. */
TEST(caches_are_listed_newest_first)
{
	struct tmm_cache_info info;
	size_t nr = 0;

	if (rig_skips())
		return;
	boot(8 * MB);
	cache_of_size("a", 24);
	cache_of_size("b", 24);
	CHECK(tmm_cache_info(&m.slabs, 0, &info) && memcmp(info.name, "b", 2) == 0);
	CHECK(tmm_cache_info(&m.slabs, 1, &info) && memcmp(info.name, "a", 2) == 0);
	CHECK(tmm_cache_info(&m.slabs, 2, &info) &&
	      memcmp(info.name, "kmalloc-cg-8k", 14) == 0);
	while (tmm_cache_info(&m.slabs, nr, &info))
		nr++;
	CHECK(nr == 2 + NR_KMALLOC_CACHES + NR_OWN_CACHES);
	CHECK(memcmp(info.name, "kmem_cache", 11) == 0 && info.active_objs == 2);
	halt(); /* takes empty caches with it */
}

/*
 * Bytes of a slab not used by objects are at most a quarter for any size, and a
 * slab has 8 objects wherever order 3 can hold them.
 */
TEST(slabs_waste_little)
{
	const struct tmm_cache_spec spec = {.name = "probe", .size_bytes = 1};
	struct tmm_cache cache;

	boot_plain(8 * MB);
	for (size_t size = 1; size <= 32768; size++) {
		struct tmm_cache_spec one = spec;
		uint64_t slab_bytes;

		one.size_bytes = size;
		cache_init(&cache, &m.slabs, &one);
		slab_bytes = TMM_PAGE_SIZE << cache.order;
		CHECK(!is_power_of_two(size) || size < 8 || cache.nr_objs * size == slab_bytes);
		CHECK(cache.size_bytes >= size && cache.size_bytes < size + 8);
		CHECK(cache.nr_objs >= 1 && cache.order <= 3);
		CHECK(cache.size_bytes > 4096 || cache.nr_objs >= 8 || cache.order == 3);
		CHECK((uint64_t)cache.nr_objs * cache.size_bytes <= slab_bytes);
		if (size <= 8192)
			CHECK(slab_bytes - (uint64_t)cache.nr_objs * cache.size_bytes <=
			      slab_bytes / 4);
		/* the reciprocal divides exactly */
		for (uint64_t i = 0; i < cache.nr_objs; i++) {
			uint64_t first = i * cache.size_bytes;

			CHECK((first * cache.front.reciprocal) >> 32 == i);
			CHECK(((first + cache.size_bytes - 1) * cache.front.reciprocal) >> 32 ==
			      i);
		}
		if (size > 600)
			size += 12;
	}
	halt();
}

TEST(objects_are_aligned_as_asked)
{
	static const struct {
		size_t size, align;
		bool hwcache;
		uint64_t expected;
	} want[] = {{1, 0, false, 8},       {24, 0, true, 64},        {72, 16, false, 16},
	            {300, 256, false, 256}, {100, 4096, false, 4096}, {200, 128, true, 128}};

	boot(8 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const struct tmm_cache_spec spec = {.name = "aligned",
		                                    .size_bytes = want[i].size,
		                                    .align_bytes = want[i].align,
		                                    .hwcache_align = want[i].hwcache};
		struct tmm_cache *cache;
		void *object[70];

		CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
		for (int k = 0; k < 70; k++) {
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			CHECK(object[k] && (uintptr_t)object[k] % want[i].expected == 0);
		}
		tmm_slab_check(&m.slabs);
		for (int k = 0; k < 70; k++)
			tmm_cache_free(cache, object[k]);
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
	}
	halt();
}

/* Objects fill their slab to the last byte; what is known of them lies elsewhere. */
TEST(writing_every_object_leaves_the_allocator_alone)
{
	static void *object[513];

	boot(8 * MB);
	for (size_t size = 8; size <= 64; size += 8) {
		struct tmm_cache *cache = cache_of_size("small", size);
		uint32_t nr = cache->nr_objs + 1;

		CHECK(nr <= ARRAY_SIZE(object));
		for (uint32_t k = 0; k < nr; k++) {
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			CHECK(object[k]);
			memset(object[k], k & 1 ? 0 : 0xff, size);
		}
		CHECK(m.slabs.is_slob || info_of("small").num_slabs == 2);
		tmm_slab_check(&m.slabs);
		for (uint32_t k = 0; k < nr; k++)
			tmm_cache_free(cache, object[k]);
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
	}
	halt();
}

static unsigned nr_constructed;

static void construct(void *object)
{
	memset(object, 0x5a, 100);
	nr_constructed++;
}

/* Objects come constructed, and come back so; a constructor runs once a slab. */
TEST(constructors_run_once_for_each_object)
{
	const struct tmm_cache_spec spec = {
		.name = "built", .size_bytes = 100, .ctor = construct};
	struct tmm_cache *cache;

	boot(8 * MB);
	nr_constructed = 0;
	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	CHECK(nr_constructed == 0);
	for (int round = 0; round < 3; round++) {
		unsigned char *object[90];

		for (int k = 0; k < 90; k++) {
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			CHECK(object[k]);
			for (int i = 0; i < 100; i++)
				CHECK(object[k][i] == 0x5a);
		}
		if (m.slabs.is_slob) /* once for each time it is lent */
			CHECK(nr_constructed == 90u * (unsigned)(round + 1));
		else if (round == 0)
			CHECK(nr_constructed == info_of("built").num_objs);
		for (int k = 0; k < 90; k++)
			tmm_cache_free(cache, object[k]);
	}
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

TEST(zeroed_objects_read_as_zeroes)
{
	struct tmm_cache *cache;
	unsigned char *object;

	boot(8 * MB);
	cache = cache_of_size("zeroed", 200);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(object);
	memset(object, 0xff, 200);
	tmm_cache_free(cache, object);
	CHECK(tmm_cache_alloc(cache, TMM_GFP_KERNEL | TMM_GFP_ZERO) == object);
	for (int i = 0; i < 200; i++)
		CHECK(object[i] == 0);
	tmm_cache_free(cache, object);
	halt();
}

/*
 *   lent    A B C         destroy: busy, and nothing happened
 *   free    A B C         destroy: done, the name is free again
 */
TEST(a_cache_with_lent_objects_is_busy)
{
	struct tmm_cache *cache;
	void *a, *b;

	boot(8 * MB);
	cache = cache_of_size("busy", 1000);
	a = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	b = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(a && b && tmm_cache_destroy(cache) == TMM_E_BUSY);
	tmm_cache_free(cache, a);
	CHECK(tmm_cache_destroy(cache) == TMM_E_BUSY);
	CHECK(m.slabs.is_slob || info_of("busy").active_objs == 1);
	tmm_cache_free(cache, b);
	tmm_cache_free(cache, NULL);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	cache = cache_of_size("busy", 50);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* Three slabs emptied: one is kept, two went back by themselves. */
TEST(empty_slabs_go_back_and_shrink_takes_the_last)
{
	struct tmm_cache *cache;
	struct tmm_cache_info info;
	void *object[24];

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	cache = cache_of_size("shrunk", 4096);
	CHECK(tmm_cache_tune(cache, 0, 0) == TMM_OK);
	for (int k = 0; k < 24; k++)
		CHECK((object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	info = info_of("shrunk");
	CHECK(info.num_slabs == 3 && info.active_slabs == 3 && info.active_objs == 24);
	CHECK(tmm_cache_shrink(cache) == 0);
	for (int k = 0; k < 24; k++)
		tmm_cache_free(cache, object[k]);
	info = info_of("shrunk");
	CHECK(info.num_slabs == 1 && info.active_slabs == 0 && info.active_objs == 0);
	CHECK(info.num_objs == info.objs_per_slab);
	CHECK(tmm_cache_shrink(cache) == info.pages_per_slab);
	CHECK(tmm_cache_shrink(cache) == 0);
	CHECK(info_of("shrunk").num_slabs == 0);
	halt();
}

TEST(kmalloc_gives_what_fits_and_is_aligned)
{
	boot(32 * MB);
	for (size_t size = 1; size <= 70000; size += 1 + size / 40) {
		char *object = tmm_kmalloc(&m.slabs, size, TMM_GFP_KERNEL);
		size_t usable = tmm_ksize(&m.slabs, object);

		CHECK(object && usable >= size);
		CHECK(usable <= 2 * size || usable == 8);
		CHECK((uintptr_t)object % 8 == 0);
		CHECK(!is_power_of_two(m.slabs.is_slob ? size : usable) ||
		      ((uint64_t)(object - (char *)m.memblock.ram)) % usable == 0);
		memset(object, 0xee, usable);
		tmm_kfree(&m.slabs, object);
	}
	tmm_kfree(&m.slabs, NULL);
	halt();
}

TEST(kmalloc_of_nothing_and_of_too_much)
{
	void *nothing, *all;

	boot(32 * MB);
	nothing = tmm_kmalloc(&m.slabs, 0, TMM_GFP_KERNEL);
	CHECK(nothing != NULL && tmm_ksize(&m.slabs, nothing) == 0);
	tmm_kfree(&m.slabs, nothing);
	CHECK(tmm_kmalloc(&m.slabs, TMM_KMALLOC_MAX + 1, TMM_GFP_KERNEL) == NULL);
	CHECK(tmm_kmalloc(&m.slabs, SIZE_MAX, TMM_GFP_KERNEL) == NULL);
	all = tmm_kmalloc(&m.slabs, TMM_KMALLOC_MAX, TMM_GFP_KERNEL);
	CHECK(all && tmm_ksize(&m.slabs, all) == TMM_KMALLOC_MAX);
	CHECK(tmm_slab_pages(&m.slabs, false) == 1024);
	CHECK(tmm_slab_peak_pages(&m.slabs) == 1024);
	tmm_kfree(&m.slabs, all);
	CHECK(tmm_slab_pages(&m.slabs, false) == 0);
	CHECK(tmm_slab_peak_pages(&m.slabs) == 1024);
	halt();
}

/* 0 -> 20 -> 90 -> 9000 -> 100000 -> 10 -> 0 */
TEST(krealloc_keeps_the_contents)
{
	unsigned char *object, *zero;

	boot(32 * MB);
	object = tmm_krealloc(&m.slabs, NULL, 20, TMM_GFP_KERNEL);
	CHECK(object);
	memset(object, 7, 20);
	object = tmm_krealloc(&m.slabs, object, 90, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are(object, 7, 20));
	CHECK(tmm_krealloc(&m.slabs, object, 96, TMM_GFP_KERNEL) == object);
	memset(object, 8, 96);
	object = tmm_krealloc(&m.slabs, object, 9000, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are(object, 8, 96));
	memset(object, 9, 9000);
	object = tmm_krealloc(&m.slabs, object, 100000, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are(object, 9, 9000));
	CHECK(tmm_krealloc(&m.slabs, object, TMM_KMALLOC_MAX + 1, TMM_GFP_KERNEL) == NULL);
	CHECK(all_bytes_are(object, 9, 9000));
	object = tmm_krealloc(&m.slabs, object, 10, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are(object, 9, 10));
	zero = tmm_krealloc(&m.slabs, object, 0, TMM_GFP_KERNEL);
	CHECK(zero && tmm_ksize(&m.slabs, zero) == 0);
	CHECK(tmm_slab_pages(&m.slabs, false) <= 1 + 2 * NR_KMALLOC_SIZES * 8);
	object = tmm_krealloc(&m.slabs, zero, 5, TMM_GFP_KERNEL);
	CHECK(object);
	tmm_kfree(&m.slabs, object);
	halt();
}

TEST(pages_are_counted_by_reclaimability)
{
	const struct tmm_cache_spec spec = {
		.name = "inodes", .size_bytes = 600, .reclaimable = true};
	struct tmm_cache *cache;
	void *object;

	if (rig_skips())
		return;
	boot(8 * MB);
	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(object && tmm_slab_pages(&m.slabs, true) == info_of("inodes").pages_per_slab);
	CHECK(tmm_slab_pages(&m.slabs, false) ==
	      info_of("kmem_cache").pages_per_slab + info_of("kmem_slab-64").pages_per_slab);
	CHECK(info_of("inodes").reclaimable && !info_of("kmem_cache").reclaimable);
	tmm_cache_free(cache, object);
	halt();
}

/* All of RAM in objects, then none: NULL, no damage, and every frame comes back. */
TEST(memory_runs_out_and_comes_back)
{
	struct tmm_cache *cache;
	void **chain = NULL, **object;
	uint64_t nr = 0;

	boot_plain(8 * MB);
	cache = cache_of_size("hungry", 64);
	while ((object = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL) {
		*object = chain;
		chain = object;
		nr++;
	}
	CHECK(nr * 64 > 4 * MB);
	CHECK(tmm_kmalloc(&m.slabs, 8192, TMM_GFP_KERNEL) == NULL);
	CHECK(tmm_kmalloc(&m.slabs, 100000, TMM_GFP_KERNEL) == NULL);
	tmm_slab_check(&m.slabs);
	while (chain) {
		object = chain;
		chain = *object;
		tmm_cache_free(cache, object);
	}
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

TEST(two_slab_systems_do_not_meet)
{
	static struct tmm_slab_system other;
	void *mine, *theirs;

	boot(8 * MB);
	slab_init(&other, &m.pages, NULL);
	mine = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);
	theirs = tmm_kmalloc(&other, 64, TMM_GFP_KERNEL);
	CHECK(mine && theirs &&
	      tmm_virt_to_pfn(&m.pages, mine).v != tmm_virt_to_pfn(&m.pages, theirs).v);
	tmm_kfree(&m.slabs, mine);
	tmm_kfree(&other, theirs);
	slab_fini(&other);
	halt();
}
