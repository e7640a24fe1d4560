/*
 * short_test.c - slabs in memory that is cut up
 *
 *   frames, u: used, .: free      u.u.u.u.u.u.u.u.
 *   no two neighbours are free, so no cache gets a slab of its best order: objects come
 *   from short slabs, one frame each, as long as an object fits into a frame
 */
#include "inject.h"
#include "slab/rig_test.h"

#define MOST_FRAMES (8 * MB / TMM_PAGE_SIZE)

/* Every frame that memory had, and which of them are used still. */
static struct {
	uint64_t frame[MOST_FRAMES];
	uint32_t nr;
} cut;

/* Take all memory, and give back every second frame: even ones. */
static void cut_up(void)
{
	const tmm_gfp gfp = TMM_GFP_NOWARN | TMM_GFP_MEMALLOC;
	uint32_t nr_used = 0;
	tmm_pfn pfn;

	cut.nr = 0;
	while (tmm_pages_alloc(&m.pages, gfp, 0, &pfn) == TMM_OK)
		cut.frame[cut.nr++] = pfn.v;
	CHECK(cut.nr > 100);
	for (uint32_t i = 0; i < cut.nr; i++) {
		if (cut.frame[i] % 2)
			cut.frame[nr_used++] = cut.frame[i];
		else
			tmm_pages_free(&m.pages, (tmm_pfn){cut.frame[i]}, 0);
	}
	cut.nr = nr_used;
	CHECK(tmm_pages_alloc(&m.pages, gfp, 1, &pfn) == TMM_E_NOMEM);
}

static void mend(void)
{
	for (uint32_t i = 0; i < cut.nr; i++)
		tmm_pages_free(&m.pages, (tmm_pfn){cut.frame[i]}, 0);
	cut.nr = 0;
}

#define NR_OBJECTS 100u

/* A different byte in each, so that objects which overlap are found. */
static void fill(unsigned char *const *object, uint32_t nr, size_t bytes)
{
	for (uint32_t i = 0; i < nr; i++)
		memset(object[i], (int)i + 1, bytes);
}

static void check_filled(unsigned char *const *object, uint32_t nr, size_t bytes)
{
	for (uint32_t i = 0; i < nr; i++)
		CHECK(all_bytes_are(object[i], (unsigned char)(i + 1), bytes));
}

static void lend(struct tmm_cache *cache, unsigned char **object, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		CHECK(object[i] != NULL);
	}
}

static void take_back(struct tmm_cache *cache, unsigned char **object, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		tmm_cache_free(cache, object[i]);
}

/* Best orders of one, two and three, whole words of bits and parts of one. */
static const uint16_t sizes[] = {520, 700, 1024, 1500, 2048, 4096};

TEST(objects_are_lent_where_only_single_frames_are_free)
{
	static unsigned char *object[NR_OBJECTS];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tmm_cache *cache;

		boot(8 * MB);
		cache = cache_of_size("cut", sizes[i]);
		CHECK(m.slabs.is_slob || cache->order > 0);
		cut_up();
		if (cache->debug && cache->size_bytes > TMM_PAGE_SIZE) {
			CHECK(!tmm_cache_alloc(cache, TMM_GFP_KERNEL | TMM_GFP_NOWARN));
		} else {
			lend(cache, object, NR_OBJECTS);
			fill(object, NR_OBJECTS, sizes[i]);
			tmm_slab_check(&m.slabs);
			check_filled(object, NR_OBJECTS, sizes[i]);
			take_back(cache, object, NR_OBJECTS);
		}
		tmm_slab_check(&m.slabs);
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
		mend();
		halt();
	}
}

/* Both lengths in one cache, freed in any order, by one and by bulk. */
TEST(short_slabs_live_beside_others)
{
	static unsigned char *object[2 * NR_OBJECTS];
	struct tmm_cache *cache;

	boot(8 * MB);
	cache = cache_of_size("both", 1024);
	lend(cache, object, NR_OBJECTS);
	cut_up();
	lend(cache, object + NR_OBJECTS, NR_OBJECTS);
	fill(object, 2 * NR_OBJECTS, 1024);
	tmm_slab_check(&m.slabs);
	check_filled(object, 2 * NR_OBJECTS, 1024);
	for (uint32_t i = 0; i < NR_OBJECTS; i++) {
		uint32_t other = i * 37 % NR_OBJECTS;
		void *pair[] = {object[other], object[2 * NR_OBJECTS - 1 - other]};

		if (i % 3)
			tmm_cache_free_bulk(cache, 2, pair);
		else
			take_back(cache, (unsigned char **)pair, 2);
	}
	tmm_slab_check(&m.slabs);
	tmm_cache_shrink(cache);
	tmm_slab_check(&m.slabs);
	mend();
	lend(cache, object, NR_OBJECTS);
	tmm_slab_check(&m.slabs);
	take_back(cache, object, NR_OBJECTS);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

/* What slabinfo and meminfo say is what there is, not so many whole slabs. */
TEST(short_slabs_are_counted_as_they_are)
{
	static unsigned char *object[NR_OBJECTS];
	struct tmm_cache_info info;
	struct tmm_cache *cache;
	uint64_t before;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	cache = cache_of_size("count", 1024);
	CHECK(tmm_cache_tune(cache, 0, 0) == TMM_OK);
	cut_up();
	lend(cache, object, NR_OBJECTS); /* makes the states' slabs, too */
	before = tmm_slab_pages(&m.slabs, false);
	info = info_of("count");
	CHECK(info.active_objs == NR_OBJECTS);
	CHECK(info.num_objs == NR_OBJECTS); /* four fit into a frame */
	CHECK(info.num_slabs == NR_OBJECTS / 4);
	CHECK(info.objs_per_slab * 1024 == info.pages_per_slab * TMM_PAGE_SIZE);
	CHECK(info.pages_per_slab > 1); /* what it would like to have */
	take_back(cache, object, NR_OBJECTS);
	CHECK(tmm_cache_shrink(cache) == 1); /* the spare: the others went at once */
	CHECK(before - tmm_slab_pages(&m.slabs, false) >= NR_OBJECTS / 4);
	CHECK(info_of("count").num_objs == 0);
	mend();
	halt();
}

TEST(kmalloc_works_in_cut_up_memory)
{
	static const uint16_t size[] = {64, 192, 500, 1000, 2000, 4000};
	static unsigned char *object[NR_OBJECTS];

	boot(8 * MB);
	cut_up();
	for (uint32_t i = 0; i < NR_OBJECTS; i++) {
		size_t bytes = size[i % ARRAY_SIZE(size)];

		if (m.slabs.is_slob && bytes == 4000)
			bytes = 3000;
		if (m.slabs.has_debug && bytes > 1000)
			bytes = 1000; /* red zones make more need a run */
		object[i] = tmm_kmalloc(&m.slabs, bytes, TMM_GFP_KERNEL);
		CHECK(object[i] != NULL && tmm_ksize(&m.slabs, object[i]) >= bytes);
		memset(object[i], (int)i + 1, bytes);
		CHECK(tmm_usercopy_allowed(&m.slabs, object[i], bytes, true));
	}
	tmm_slab_check(&m.slabs);
	for (uint32_t i = 0; i < NR_OBJECTS; i++) {
		CHECK(all_bytes_are(object[i], (unsigned char)(i + 1), 64));
		tmm_kfree(&m.slabs, object[i]);
	}
	tmm_slab_check(&m.slabs);
	mend();
	halt();
}

/* An object needs two frames: there is no shorter slab for it. */
TEST(an_object_that_needs_a_run_is_not_lent_without_one)
{
	struct tmm_cache *cache;
	void *object;

	boot(8 * MB);
	cache = cache_of_size("long", 6000);
	cut_up();
	CHECK(!tmm_cache_alloc(cache, TMM_GFP_KERNEL | TMM_GFP_NOWARN));
	mend();
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(object != NULL);
	tmm_cache_free(cache, object);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt();
}

static struct tmm_cache *victims;

static void free_it(void *object)
{
	tmm_cache_free(victims, object);
}

TEST(mistakes_in_short_slabs_are_found)
{
	static unsigned char *object[NR_OBJECTS];

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	victims = cache_of_size("victim", 1000);
	cut_up();
	lend(victims, object, NR_OBJECTS);
	for (uint32_t i = 0; i < 8; i++) {
		uintptr_t frame = (uintptr_t)object[i] & ~(uintptr_t)(TMM_PAGE_SIZE - 1);

		CHECK(panics(free_it, object[i] + 8));
		CHECK(panics(free_it, (void *)(frame + 4000))); /* behind the frame's last */
		tmm_cache_free(victims, object[i]);
		CHECK(panics(free_it, object[i])); /* twice */
		object[i] = tmm_cache_alloc(victims, TMM_GFP_KERNEL);
	}
	take_back(victims, object, NR_OBJECTS);
	mend();
	halt();
}
