#include "slab/slab_system.h"

#include "inject.h"
#include "page/page_system.h"
#include "panic.h"
#include "test.h"

#define MB UINT64_C(0x100000)

/* A machine that ends at the slab storey. */
static struct {
	struct cpu_set cpus;
	struct tmm_memblock memblock;
	struct tmm_pages pages;
	struct tmm_slab_system slabs;
	uint64_t free_pages; /* before the first slab */
} m;

static void boot_on(void *ram, uint64_t ram_bytes)
{
	cpu_set_init(&m.cpus, 1);
	tmm_memblock_init(&m.memblock, ram);
	CHECK(tmm_memblock_add(&m.memblock, (tmm_paddr){0}, ram_bytes, 0) == TMM_OK);
	CHECK(pages_init(&m.pages, &m.memblock, ram, &m.cpus, 0) == TMM_OK);
	m.free_pages = tmm_pages_free_count(&m.pages);
	slab_init(&m.slabs, &m.pages);
}

static void boot(uint64_t ram_bytes)
{
	boot_on(test_ram(ram_bytes), ram_bytes);
}

static void halt(void)
{
	tmm_slab_check(&m.slabs);
	slab_fini(&m.slabs);
	CHECK(tmm_pages_free_count(&m.pages) == m.free_pages);
	pages_fini(&m.pages);
	tmm_cpu_exit(cpu_self(&m.cpus));
}

static struct tmm_cache *cache_of_size(const char *name, size_t size_bytes)
{
	const struct tmm_cache_spec spec = {.name = name, .size_bytes = size_bytes};
	struct tmm_cache *cache = NULL;

	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	return cache;
}

static struct tmm_cache_info info_of(const char *name)
{
	struct tmm_cache_info info = {.num_objs = 0};

	for (size_t i = 0; tmm_cache_info(&m.slabs, i, &info); i++) {
		if (memcmp(info.name, name, __builtin_strlen(name) + 1) == 0)
			return info;
	}
	test_fail(__FILE__, __LINE__, name);
}

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
	CHECK(info_of("1234567890123456789012345678901").objs_per_slab == 1);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* Newest first, as /proc/slabinfo; the cache of caches was the first. */
TEST(caches_are_listed_newest_first)
{
	struct tmm_cache_info info;
	size_t nr = 0;

	boot(8 * MB);
	cache_of_size("a", 24);
	cache_of_size("b", 24);
	CHECK(tmm_cache_info(&m.slabs, 0, &info) && memcmp(info.name, "b", 2) == 0);
	CHECK(tmm_cache_info(&m.slabs, 1, &info) && memcmp(info.name, "a", 2) == 0);
	CHECK(tmm_cache_info(&m.slabs, 2, &info) && memcmp(info.name, "kmalloc-8k", 11) == 0);
	while (tmm_cache_info(&m.slabs, nr, &info))
		nr++;
	CHECK(nr == 2 + NR_KMALLOC_CACHES + 1);
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

	boot(8 * MB);
	for (size_t size = 1; size <= 32768; size++) {
		struct tmm_cache_spec one = spec;
		uint64_t slab_bytes;

		one.size_bytes = size;
		cache_init(&cache, &m.slabs, &one);
		slab_bytes = TMM_PAGE_SIZE << cache.order;
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

			CHECK((first * cache.reciprocal) >> 32 == i);
			CHECK(((first + cache.size_bytes - 1) * cache.reciprocal) >> 32 == i);
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
	struct tmm_cache_info info;

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
		info = info_of("built");
		if (round == 0)
			CHECK(nr_constructed == info.num_objs);
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
	CHECK(info_of("busy").active_objs == 1);
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

	boot(8 * MB);
	cache = cache_of_size("shrunk", 4096);
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
		CHECK(!is_power_of_two(usable) ||
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
	tmm_kfree(&m.slabs, all);
	CHECK(tmm_slab_pages(&m.slabs, false) == 0);
	halt();
}

TEST(a_zone_request_is_served_from_that_zone)
{
	char *object;

	boot(32 * MB);
	object = tmm_kmalloc(&m.slabs, 100, TMM_GFP_KERNEL | TMM_GFP_DMA);
	CHECK(object && object < (char *)m.memblock.ram + 16 * MB);
	CHECK(tmm_ksize(&m.slabs, object) == TMM_PAGE_SIZE);
	tmm_kfree(&m.slabs, object);
	halt();
}

static bool all_bytes_are(const unsigned char *object, unsigned char byte, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (object[i] != byte)
			return false;
	}
	return true;
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
	CHECK(tmm_slab_pages(&m.slabs, false) <= 1 + 2 * NR_KMALLOC_CACHES * 8);
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

	boot(8 * MB);
	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(object && tmm_slab_pages(&m.slabs, true) == info_of("inodes").pages_per_slab);
	CHECK(tmm_slab_pages(&m.slabs, false) == info_of("kmem_cache").pages_per_slab);
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

	boot(8 * MB);
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
	slab_init(&other, &m.pages);
	mine = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);
	theirs = tmm_kmalloc(&other, 64, TMM_GFP_KERNEL);
	CHECK(mine && theirs &&
	      tmm_virt_to_pfn(&m.pages, mine).v != tmm_virt_to_pfn(&m.pages, theirs).v);
	tmm_kfree(&m.slabs, mine);
	tmm_kfree(&other, theirs);
	slab_fini(&other);
	halt();
}

/* ---- broken rules ---- */

static struct tmm_cache *misused;
static char *misused_object;

static void free_it(void *offset)
{
	tmm_cache_free(misused, misused_object + *(int *)offset);
}

static void kfree_it(void *offset)
{
	tmm_kfree(&m.slabs, misused_object + *(int *)offset);
}

static void alloc_it(void *gfp)
{
	(void)!tmm_cache_alloc(misused, *(tmm_gfp *)gfp);
}

static void destroy_it(void *arg)
{
	(void)arg;
	(void)!tmm_cache_destroy(misused);
}

static void fini_it(void *arg)
{
	(void)arg;
	slab_fini(&m.slabs);
}

/* Does freeing at object + offset panic?  Locks that the panic left are forgotten. */
static bool free_panics(void (*body)(void *arg), int offset)
{
	struct tmm_cpu *cpu = cpu_self(&m.cpus);
	bool panics = test_panics(body, &offset) != NULL;

	tmm_port_forget_locks();
	tmm_port_cpu_set(cpu); /* we still are on it */
	lock_init(&misused->lock, RANK_CACHE_NODE);
	return panics;
}

TEST(every_wrong_free_of_an_object_panics)
{
	static const size_t sizes[] = {8, 24, 64, 200, 1000, 4096};

	boot(8 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tmm_cache *cache = cache_of_size("misused", sizes[i]), *other;
		char *object = tmm_cache_alloc(cache, TMM_GFP_KERNEL), *next;
		int size = (int)cache->size_bytes, slab = (int)(TMM_PAGE_SIZE << cache->order);

		next = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		CHECK(object && next == object + size);
		misused = cache;
		misused_object = object;
		CHECK(free_panics(free_it, 1));
		CHECK(free_panics(free_it, size / 2));
		CHECK(free_panics(free_it, 2 * size));                   /* never lent */
		CHECK(free_panics(free_it, (int)cache->nr_objs * size)); /* behind the last */
		CHECK(free_panics(free_it, slab - 1));
		CHECK(free_panics(free_it, slab)); /* a free frame */
		CHECK(free_panics(free_it, -(int)(64 * MB)));
		CHECK(free_panics(kfree_it, 0)); /* not kmalloc's */
		other = cache_of_size("other", sizes[i]);
		misused = other;
		CHECK(free_panics(free_it, 0));
		misused = cache;
		tmm_cache_free(cache, object);
		CHECK(free_panics(free_it, 0)); /* twice */
		tmm_cache_free(cache, next);
		CHECK(free_panics(free_it, size)); /* twice, the slab is empty */
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
		CHECK(tmm_cache_destroy(other) == TMM_OK);
	}
	halt();
}

TEST(every_wrong_kfree_panics)
{
	boot(8 * MB);
	misused = &m.slabs.kmalloc[0];
	misused_object = tmm_kmalloc(&m.slabs, 20000, TMM_GFP_KERNEL);
	CHECK(misused_object != NULL);
	CHECK(free_panics(kfree_it, 8));
	CHECK(free_panics(kfree_it, 4096));
	CHECK(free_panics(free_it, 0));
	tmm_kfree(&m.slabs, misused_object);
	CHECK(free_panics(kfree_it, 0));
	halt();
}

TEST(wrong_requests_panic)
{
	const struct tmm_cache_spec spec = {
		.name = "built", .size_bytes = 100, .ctor = construct};
	tmm_gfp zero = TMM_GFP_KERNEL | TMM_GFP_ZERO, dma = TMM_GFP_KERNEL | TMM_GFP_DMA;
	void *object;

	boot(8 * MB);
	CHECK(tmm_cache_create(&m.slabs, &spec, &misused) == TMM_OK);
	CHECK(test_panics(alloc_it, &zero));
	CHECK(test_panics(alloc_it, &dma));
	CHECK(misused->nr_lent == 0);
	object = tmm_cache_alloc(misused, TMM_GFP_KERNEL);
	CHECK(test_panics(fini_it, NULL)); /* an object is still lent */
	tmm_cache_free(misused, object);
	misused = &m.slabs.kmalloc[3];
	CHECK(test_panics(destroy_it, NULL));
	halt();
}

/* ---- failures ---- */

static bool use_everything(void)
{
	const struct tmm_cache_spec spec = {.name = "tried", .size_bytes = 300};
	struct tmm_cache *cache;
	void *object[40] = {NULL}, *small, *large;
	bool all = true;

	if (tmm_cache_create(&m.slabs, &spec, &cache))
		return false;
	for (int k = 0; k < 40; k++) {
		object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		all &= object[k] != NULL;
	}
	small = tmm_kzalloc(&m.slabs, 33, TMM_GFP_KERNEL);
	large = tmm_krealloc(&m.slabs, small, 50000, TMM_GFP_KERNEL);
	all &= small && large;
	tmm_slab_check(&m.slabs);
	tmm_kfree(&m.slabs, large ? large : small);
	for (int k = 0; k < 40; k++)
		tmm_cache_free(cache, object[k]);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	return all;
}

TEST(every_failure_is_survived)
{
	void *ram = test_ram(8 * MB);

	for (int forever = 0; forever <= 1; forever++) {
		bool failed = true;
		uint64_t n;

		for (n = 1; failed; n++) {
			bool all;

			memset(ram, 0, 8 * MB);
			boot_on(ram, 8 * MB);
			tmm_inject_nth(n, forever);
			all = use_everything();
			failed = tmm_inject_stop();
			CHECK(all == !failed);
			halt();
			CHECK(n < 1000);
		}
		test_note("%llu failure points", (unsigned long long)n - 2);
	}
}

/* ---- at random, against what every borrower wrote ---- */

#define NR_SLOTS 3000u

struct slot {
	struct tmm_cache *cache; /* NULL: kmalloc */
	unsigned char *object;   /* NULL: nothing borrowed */
	size_t bytes;
	unsigned char pattern;
};

static struct slot slot[NR_SLOTS];

static void slot_fill(struct slot *s, unsigned char pattern)
{
	s->pattern = pattern;
	memset(s->object, pattern, s->bytes);
}

static void slot_borrow(struct slot *s, struct tmm_cache *const *caches, uint64_t r)
{
	unsigned which = r & 7;

	s->cache = which < 5 ? caches[which] : NULL;
	s->bytes = s->cache ? s->cache->size_bytes
	                    : (which == 5 ? (r >> 8) % 20000 : (r >> 8) % 300) + 1;
	s->object = s->cache ? tmm_cache_alloc(s->cache, TMM_GFP_KERNEL)
	                     : tmm_kmalloc(&m.slabs, s->bytes, TMM_GFP_KERNEL);
	if (s->object)
		slot_fill(s, (unsigned char)(r >> 40));
}

static void slot_return(struct slot *s)
{
	CHECK(all_bytes_are(s->object, s->pattern, s->bytes));
	if (s->cache)
		tmm_cache_free(s->cache, s->object);
	else
		tmm_kfree(&m.slabs, s->object);
	s->object = NULL;
}

static void slot_resize(struct slot *s, uint64_t r)
{
	size_t bytes = 1 + (r >> 8) % 12000, kept = s->bytes < bytes ? s->bytes : bytes;
	unsigned char *object = tmm_krealloc(&m.slabs, s->object, bytes, TMM_GFP_KERNEL);

	if (!object)
		return;
	CHECK(all_bytes_are(object, s->pattern, kept));
	s->object = object;
	s->bytes = bytes;
	slot_fill(s, s->pattern);
}

static void counts_agree(struct tmm_cache *const *caches)
{
	for (int i = 0; i < 5; i++) {
		uint64_t nr = 0;

		for (unsigned k = 0; k < NR_SLOTS; k++)
			nr += slot[k].object && slot[k].cache == caches[i];
		CHECK(caches[i]->nr_lent == nr);
	}
	CHECK(tmm_slab_pages(&m.slabs, false) + tmm_pages_free_count(&m.pages) == m.free_pages);
	tmm_slab_check(&m.slabs);
}

/*
 * Borrow, return, resize and shrink at random; now mostly the one, now the
 * other.  Each borrower fills its object and finds it so when it gives it back.
 */
TEST(random_borrowers_never_disturb_each_other)
{
	static const size_t sizes[] = {8, 40, 192, 1000, 5000};
	uint64_t seed = test_seed();
	struct tmm_cache *caches[5];
	const int nr_operations = 400000;

	boot(8 * MB);
	memset(slot, 0, sizeof(slot));
	for (int i = 0; i < 5; i++)
		caches[i] = cache_of_size((const char *[]){"a", "b", "c", "d", "e"}[i],
		                          sizes[i]);
	for (int i = 0; i < nr_operations; i++) {
		uint64_t r = test_random(&seed);
		struct slot *s = &slot[(r >> 16) % NR_SLOTS];
		bool growing = (i / 20000) % 2 == 0;

		if (!s->object && (growing || (r & 3) == 0))
			slot_borrow(s, caches, test_random(&seed));
		else if (s->object && (!growing || (r & 3) == 0))
			slot_return(s);
		else if (s->object && !s->cache && (r & 12) == 0)
			slot_resize(s, test_random(&seed));
		if ((r >> 50) == 0)
			tmm_cache_shrink(caches[r % 5]);
		if (i % 2000 == 0)
			counts_agree(caches);
	}
	for (unsigned k = 0; k < NR_SLOTS; k++) {
		if (slot[k].object)
			slot_return(&slot[k]);
	}
	test_note("%d operations, TUXMM_SEED=%#llx", nr_operations,
	          (unsigned long long)test_seed());
	halt();
}
