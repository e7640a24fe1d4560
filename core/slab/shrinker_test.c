#include <tuxmm/shrinker.h>

#include "panic.h"
#include "slab/rig_test.h"

/* An owner of objects that he could do without. */
struct hoard {
	struct tmm_cache *cache;
	void **chain;
	uint64_t nr;
	unsigned nr_scans;
	struct tmm_shrinker shrinker;
};

static uint64_t hoard_count(void *arg, tmm_gfp gfp)
{
	const struct hoard *hoard = arg;

	(void)gfp;
	return hoard->nr;
}

static uint64_t hoard_scan(void *arg, tmm_gfp gfp, uint64_t nr)
{
	struct hoard *hoard = arg;
	uint64_t freed;

	(void)gfp;
	CHECK(tmm_port_may_sleep()); /* no lock is held */
	hoard->nr_scans++;
	for (freed = 0; freed < nr && hoard->chain; freed++) {
		void **object = hoard->chain;

		hoard->chain = *object;
		hoard->nr--;
		tmm_cache_free(hoard->cache, object);
	}
	return freed;
}

static void hoard_begin(struct hoard *hoard, const char *name)
{
	*hoard = (struct hoard){.cache = cache_of_size(name, 64)};
	hoard->shrinker = (struct tmm_shrinker){
		.count = hoard_count, .scan = hoard_scan, .arg = hoard};
	tmm_shrinker_register(&m.slabs, &hoard->shrinker);
}

static bool hoard_one(struct hoard *hoard)
{
	void **object = tmm_cache_alloc(hoard->cache, TMM_GFP_KERNEL);

	if (!object)
		return false;
	*object = hoard->chain;
	hoard->chain = object;
	hoard->nr++;
	return true;
}

static uint64_t reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	(void)arg;
	(void)order;
	return tmm_shrink_slab(&m.slabs, gfp, 128);
}

static void unregister(void *shrinker)
{
	tmm_shrinker_unregister(&m.slabs, shrinker);
}

TEST(dropping_frees_all_that_shrinkers_can)
{
	struct hoard a, b;
	uint64_t pages;

	boot(8 * MB);
	hoard_begin(&a, "a");
	hoard_begin(&b, "b");
	CHECK(tmm_drop_slab(&m.slabs) == 0 && a.nr_scans == 0); /* nothing: not asked */
	for (int i = 0; i < 10000; i++)
		CHECK(hoard_one(&a) && (i % 2 || hoard_one(&b)));
	pages = tmm_slab_pages(&m.slabs, false);
	CHECK(tmm_drop_slab(&m.slabs) >= pages * 9 / 10); /* caches are described still */
	CHECK(a.nr == 0 && b.nr == 0);
	CHECK(tmm_slab_pages(&m.slabs, false) <= pages / 10);
	unregister(&a.shrinker);
	unregister(&b.shrinker);
	CHECK(test_panics(unregister, &a.shrinker) != NULL);
}

/* Some are asked for, until a slab is empty. */
TEST(shrinking_goes_on_until_a_slab_is_free)
{
	struct hoard hoard;

	boot(8 * MB);
	hoard_begin(&hoard, "some");
	for (int i = 0; i < 10000; i++)
		CHECK(hoard_one(&hoard));
	CHECK(tmm_shrink_slab(&m.slabs, TMM_GFP_KERNEL, 10) > 0);
	CHECK(hoard.nr > 9000 && hoard.nr < 10000);
	unregister(&hoard.shrinker);
	CHECK(hoard_scan(&hoard, 0, UINT64_MAX) > 9000);
	halt();
}

/* A cache takes five times all of RAM, as another gives what it has. */
TEST(pressure_calls_shrinkers)
{
	static const struct tmm_reclaim_ops ops = {.reclaim = reclaim};
	struct hoard hoard;

	boot(8 * MB);
	tmm_pages_set_reclaim(&m.pages, &ops, NULL);
	hoard_begin(&hoard, "pressed");
	for (uint64_t i = 0; i < 5 * 8 * MB / 64; i++)
		CHECK(hoard_one(&hoard));
	CHECK(hoard.nr < 8 * MB / 64 && hoard.nr > MB / 64);
	tmm_slab_check(&m.slabs);
	tmm_drop_slab(&m.slabs);
	CHECK(hoard.nr == 0);
	unregister(&hoard.shrinker);
	halt();
}
