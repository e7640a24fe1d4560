#include "inject.h"
#include "slab/rig_test.h"

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
	bool panicked = panics(body, &offset);

	lock_init(&misused->lock, RANK_CACHE_NODE);
	return panicked;
}

TEST(every_wrong_free_of_an_object_panics)
{
	static const size_t sizes[] = {8, 24, 64, 200, 1000, 4096};

	if (rig_skips()) /* slob_test.c says what it sees */
		return;
	boot_plain(8 * MB);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		size_t bytes = sizes[i % ARRAY_SIZE(sizes)];
		struct tmm_cache *cache = cache_of_size("misused", bytes), *other;
		int size = (int)cache->size_bytes, slab = (int)(TMM_PAGE_SIZE << cache->order);
		char *object, *next;

		for (int k = 0; i >= ARRAY_SIZE(sizes) && k < 100; k++) /* for magazines */
			tmm_cache_free(cache, tmm_cache_alloc(cache, TMM_GFP_KERNEL));
		object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		next = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		CHECK(object && next == object + size);
		CHECK((i >= ARRAY_SIZE(sizes)) == (cache->front.open_to != NULL));
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
		other = cache_of_size("other", bytes);
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
	boot_plain(8 * MB);
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

/* The CPU remembers the object that it lent last: that must not make it believe more. */
TEST(a_wrong_kfree_of_the_object_lent_last_panics)
{
	boot_plain(8 * MB);
	for (int i = 0; i < 100; i++) /* magazines come after a while */
		tmm_kfree(&m.slabs, tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL));
	misused_object = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);
	CHECK(misused_object != NULL);
	CHECK(free_panics(kfree_it, 8));
	tmm_kfree(&m.slabs, misused_object);
	CHECK(free_panics(kfree_it, 0)); /* twice */
	halt();
}

static void construct(void *object)
{
	memset(object, 0x5a, 100);
}

TEST(wrong_requests_panic)
{
	const struct tmm_cache_spec spec = {
		.name = "built", .size_bytes = 100, .ctor = construct};
	tmm_gfp zero = TMM_GFP_KERNEL | TMM_GFP_ZERO, dma = TMM_GFP_KERNEL | TMM_GFP_DMA;
	void *object;

	boot_plain(8 * MB);
	CHECK(tmm_cache_create(&m.slabs, &spec, &misused) == TMM_OK);
	CHECK(test_panics(alloc_it, &zero));
	CHECK(test_panics(alloc_it, &dma));
	CHECK(misused->nr_out == 0);
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
			boot_with(ram, 8 * MB, 1, NULL);
			tmm_inject_nth(n, forever);
			all = use_everything();
			failed = tmm_inject_stop();
			CHECK(all || failed);
			halt();
			CHECK(n < 1000);
		}
		test_note("%llu failure points", (unsigned long long)n - 2);
	}
}
