/*
 * A whole machine gives back what can be had again: on request, and when it is short.
 */
#include <string.h>

#include <tuxmm/file.h>
#include <tuxmm/shrinker.h>

#include "cache/mapping.h"
#include "machine/machine.h"
#include "test.h"

#define MIB UINT64_C(0x100000)

static struct tmm_machine machine;

static void begin(void)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {
		.firmware_map = map,
		.nr_ranges = tmm_firmware_pc(16 * MIB, map),
		.nr_cpus = 1,
	};
	const char *why;

	CHECK(tmm_machine_init(&machine, &shape, test_ram(16 * MIB), &why) == TMM_OK);
}

/* ---- objects that can be made again ---- */

static struct {
	struct tmm_cache *cache;
	void **chain;
	uint64_t nr;
	struct tmm_shrinker shrinker;
} hoard;

static uint64_t hoard_count(void *arg, tmm_gfp gfp)
{
	(void)arg;
	(void)gfp;
	return hoard.nr;
}

static uint64_t hoard_scan(void *arg, tmm_gfp gfp, uint64_t nr)
{
	uint64_t freed;

	(void)arg;
	(void)gfp;
	for (freed = 0; freed < nr && hoard.chain; freed++) {
		void **object = hoard.chain;

		hoard.chain = *object;
		hoard.nr--;
		tmm_cache_free(hoard.cache, object);
	}
	return freed;
}

static void hoard_begin(void)
{
	const struct tmm_cache_spec spec = {
		.name = "dentry", .size_bytes = 192, .reclaimable = true};

	memset(&hoard, 0, sizeof(hoard));
	CHECK(tmm_cache_create(&machine.slabs, &spec, &hoard.cache) == TMM_OK);
	hoard.shrinker = (struct tmm_shrinker){.count = hoard_count, .scan = hoard_scan};
	tmm_shrinker_register(&machine.slabs, &hoard.shrinker);
}

static bool hoard_one(void)
{
	void **object = tmm_cache_alloc(hoard.cache, TMM_GFP_KERNEL);

	if (!object)
		return false;
	*object = hoard.chain;
	hoard.chain = object;
	hoard.nr++;
	return true;
}

/* Its cache is the newest. */
static uint64_t slabs_of_hoard(void)
{
	struct tmm_cache_info info;

	CHECK(tmm_cache_info(&machine.slabs, 0, &info) && strcmp(info.name, "dentry") == 0);
	return info.num_slabs;
}

static void end(void)
{
	tmm_shrinker_unregister(&machine.slabs, &hoard.shrinker);
	hoard_scan(NULL, 0, UINT64_MAX);
	CHECK(tmm_cache_destroy(hoard.cache) == TMM_OK);
	tmm_check(&machine);
	tmm_machine_fini(&machine);
}

/* ---- a file of zeroes ---- */

static tmm_err read_zeroes(void *owner, uint64_t index, size_t nr, void *const *pages)
{
	(void)owner;
	(void)index;
	for (size_t i = 0; i < nr; i++)
		memset(pages[i], 0, TMM_PAGE_SIZE);
	return TMM_OK;
}

static uint64_t size_of_file(void *owner)
{
	(void)owner;
	return 96 * TMM_PAGE_SIZE;
}

static void release_nothing(void *owner)
{
	(void)owner;
}

/* Its pages are in the cache, clean, and nobody maps them. */
static struct tmm_mapping *file_begin(void)
{
	static const struct tmm_mapping_ops ops = {
		.read = read_zeroes, .size = size_of_file, .release = release_nothing};
	struct tmm_mapping *mapping;

	CHECK(tmm_mapping_create(&machine.cache, &ops, NULL, &mapping) == TMM_OK);
	for (uint64_t index = 0; index < 96; index += 16) {
		struct mapping_window window = {.index = index, .first = index, .nr = 16};

		CHECK(mapping_window_get(mapping, &window) == TMM_OK);
		for (size_t i = 0; i < 16; i++)
			file_page_put(&machine.cache, window.pfn[i], false, false);
	}
	CHECK(tmm_cache_pages(&machine.cache) == 96);
	return mapping;
}

/*
 *           1: page cache   2: slab    3: both    what else: refused
 *   pages       gone          stay       gone       stay
 *   objects     stay          gone       gone       stay
 */
TEST(each_kind_of_cache_is_dropped_on_request)
{
	for (unsigned what = 0; what <= 5; what++) {
		bool valid = what >= 1 && what <= 3;
		struct tmm_page_events events;
		struct tmm_mapping *mapping;

		begin();
		hoard_begin();
		mapping = file_begin();
		for (int i = 0; i < 1000; i++)
			CHECK(hoard_one());
		CHECK(slabs_of_hoard() > 0);
		CHECK(tmm_drop_caches(&machine, what) == (valid ? TMM_OK : TMM_E_INVAL));
		CHECK(tmm_cache_pages(&machine.cache) ==
		      (valid && what & TMM_DROP_PAGECACHE ? 0 : 96));
		CHECK(hoard.nr == (valid && what & TMM_DROP_SLAB ? 0 : 1000));
		CHECK((slabs_of_hoard() == 0) == (valid && what & TMM_DROP_SLAB));
		tmm_pages_events(&machine.pages, &events);
		CHECK(events.pagecache_drops == (valid && what & TMM_DROP_PAGECACHE));
		CHECK(events.slab_drops == (valid && what & TMM_DROP_SLAB));
		tmm_mapping_put(mapping);
		end();
	}
}

/* Four times all of RAM goes through a cache that shrinks, and nothing is refused. */
TEST(a_machine_that_is_short_calls_shrinkers)
{
	begin();
	hoard_begin();
	for (uint64_t i = 0; i < 4 * 16 * MIB / 192; i++)
		CHECK(hoard_one());
	CHECK(hoard.nr < 16 * MIB / 192 && hoard.nr > MIB / 192);
	end();
}
