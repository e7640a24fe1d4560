/*
 * Caches that share slabs, and what of an object user copies may reach.
 */
#include <stdio.h>
#include <string.h>

#include "panic.h"
#include "slab/debug.h"
#include "slab/rig_test.h"

static void boot_merging(uint32_t options, const char *debug)
{
	const struct slab_config config = {.options = options, .debug = debug};

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
}

static void construct(void *object)
{
	memset(object, 1, 8);
}

static struct tmm_cache *create(const struct tmm_cache_spec *spec)
{
	struct tmm_cache *cache = NULL;

	CHECK(tmm_cache_create(&m.slabs, spec, &cache) == TMM_OK);
	return cache;
}

TEST(like_caches_share_slabs_and_others_do_not)
{
	static const struct {
		struct tmm_cache_spec spec;
		bool shares;
	} want[] = {
		{{.name = "same", .size_bytes = 120}, true},
		{{.name = "a little less", .size_bytes = 117}, true},
		{{.name = "a word less", .size_bytes = 112}, false},
		{{.name = "more", .size_bytes = 128}, false},
		{{.name = "aligned to 8", .size_bytes = 120, .align_bytes = 8}, true},
		{{.name = "aligned to 64", .size_bytes = 120, .align_bytes = 64}, false},
		{{.name = "lines", .size_bytes = 120, .hwcache_align = true}, false},
		{{.name = "reclaimable", .size_bytes = 120, .reclaimable = true}, false},
		{{.name = "accounted", .size_bytes = 120, .account = true}, false},
		{{.name = "constructed", .size_bytes = 120, .ctor = construct}, false},
		{{.name = "copied", .size_bytes = 120, .usercopy_bytes = 1}, false},
		{{.name = "alone", .size_bytes = 120, .no_merge = true}, false},
		{{.name = "debugged", .size_bytes = 120, .debug = TMM_SLAB_TRACE}, false},
		{{.name = "by name", .size_bytes = 120}, false}, /* it debugs */
	};
	const struct tmm_cache_spec first = {.name = "first", .size_bytes = 120};
	struct tmm_cache *cache;

	boot_merging(0, "FZ,by*");
	cache = create(&first);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct tmm_cache *other = create(&want[i].spec);

		if ((other == cache) != want[i].shares)
			test_fail(__FILE__, __LINE__, want[i].spec.name);
	}
	CHECK(info_of("first").aliases == 3);
	halt();
}

TEST(kmalloc_shares_with_nobody)
{
	const struct tmm_cache_spec spec = {
		.name = "like kmalloc", .size_bytes = 64, .align_bytes = 64};

	boot_merging(0, NULL);
	CHECK(!create(&spec)->is_kmalloc);
	halt();
}

TEST(nothing_is_shared_when_that_is_not_wished)
{
	const struct tmm_cache_spec a = {.name = "a", .size_bytes = 72};
	const struct tmm_cache_spec b = {.name = "b", .size_bytes = 72};
	struct tmm_cache_alias alias;

	boot_merging(TMM_SLAB_NO_MERGE, NULL);
	CHECK(create(&a) != create(&b));
	CHECK(!tmm_cache_alias(&m.slabs, 0, &alias));
	halt();
}

/*
 *   a, b, c    one cache, named a; b and c are aliases
 *   - - -      the last of three destroys it, and all names are free
 */
TEST(a_shared_cache_lives_until_its_last_creator_goes)
{
	const struct tmm_cache_spec a = {.name = "a", .size_bytes = 72};
	const struct tmm_cache_spec b = {.name = "b", .size_bytes = 72};
	const struct tmm_cache_spec c = {.name = "c", .size_bytes = 72};
	struct tmm_cache *cache, *again = NULL;
	struct tmm_cache_alias alias;
	void *object;

	boot_merging(0, NULL);
	cache = create(&a);
	CHECK(create(&b) == cache && create(&c) == cache);
	CHECK(tmm_cache_create(&m.slabs, &b, &again) == TMM_E_EXIST && !again);
	CHECK(tmm_cache_create(&m.slabs, &a, &again) == TMM_E_EXIST && !again);
	CHECK(tmm_cache_alias(&m.slabs, 0, &alias) && strcmp(alias.name, "c") == 0 &&
	      strcmp(alias.of, "a") == 0);
	CHECK(tmm_cache_alias(&m.slabs, 1, &alias) && strcmp(alias.name, "b") == 0);
	CHECK(!tmm_cache_alias(&m.slabs, 2, &alias));
	tmm_slab_check(&m.slabs);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(tmm_cache_destroy(cache) == TMM_OK); /* lent, but others stay */
	CHECK(create(&b) == cache);                /* the name is free again */
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	tmm_slab_check(&m.slabs);
	CHECK(info_of("a").aliases == 0 && info_of("a").active_objs == 1);
	tmm_cache_free(cache, object);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	CHECK(!tmm_cache_alias(&m.slabs, 0, &alias));
	CHECK(tmm_cache_destroy(create(&c)) == TMM_OK);
	halt();
}

/* ---- user copies ---- */

static char last_line[256];

static void keep_line(unsigned level, const char *line)
{
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

/*
 *   object   |--------####--------|   16 of 64 bytes may be copied, from 24 on
 */
TEST(user_copies_stay_in_the_region)
{
	static const struct {
		uint64_t offset;
		size_t bytes;
		bool allowed;
	} want[] = {
		{24, 16, true}, {24, 17, false},       {23, 16, false}, {23, 1, false},
		{39, 1, true},  {39, 2, false},        {40, 1, false},  {0, 64, false},
		{40, 0, true},  {24, SIZE_MAX, false},
	};
	const struct tmm_cache_spec spec = {.name = "request",
	                                    .size_bytes = 64,
	                                    .usercopy_offset = 24,
	                                    .usercopy_bytes = 16};

	for (int debug = 0; debug <= 1; debug++) {
		struct tmm_cache *cache;
		char *object;

		boot_merging(0, debug ? "FZPU" : NULL);
		cache = create(&spec);
		object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		tmm_port_on_log(keep_line);
		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			uint64_t before = tmm_cache_reports(cache);

			CHECK(tmm_usercopy_allowed(&m.slabs, object + want[i].offset,
			                           want[i].bytes, true) == want[i].allowed);
			CHECK(tmm_cache_reports(cache) == before + !want[i].allowed);
		}
		CHECK(!tmm_usercopy_allowed(&m.slabs, object + 24, 17, false));
		CHECK(strcmp(last_line, "usercopy: Kernel memory overwrite attempt detected to "
		                        "SLUB object "
		                        "'request' (offset 24, size 17)!") == 0);
		tmm_port_on_log(NULL);
		tmm_cache_free(cache, object);
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
		halt();
	}
}

/* All of kmalloc's objects, nothing of a cache without a region, and all that is no slab. */
TEST(user_copies_know_kmalloc_and_plain_caches)
{
	const struct tmm_cache_spec spec = {.name = "private", .size_bytes = 64};
	char here[4], *object, *large;
	struct tmm_cache *cache;

	boot_merging(0, NULL);
	cache = create(&spec);
	tmm_port_on_log(keep_line);
	object = tmm_kmalloc(&m.slabs, 96, TMM_GFP_KERNEL);
	CHECK(tmm_usercopy_allowed(&m.slabs, object, 96, true));
	CHECK(tmm_usercopy_allowed(&m.slabs, object + 95, 1, true));
	CHECK(!tmm_usercopy_allowed(&m.slabs, object + 95, 2, true));
	tmm_kfree(&m.slabs, object);
	large = tmm_kmalloc(&m.slabs, 20000, TMM_GFP_KERNEL);
	CHECK(tmm_usercopy_allowed(&m.slabs, large + 5000, 20000, true)); /* 32 KiB */
	CHECK(!tmm_usercopy_allowed(&m.slabs, large + 5000, 28000, true));
	tmm_kfree(&m.slabs, large);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	CHECK(!tmm_usercopy_allowed(&m.slabs, object, 1, false));
	tmm_cache_free(cache, object);
	CHECK(tmm_usercopy_allowed(&m.slabs, here, sizeof(here), false));
	tmm_port_on_log(NULL);
	halt();
}
