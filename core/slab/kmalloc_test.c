/*
 * The kmalloc family: which cache a request comes from, and what is in the memory.
 */
#include <string.h>

#include "inject.h"
#include "slab/rig_test.h"

static const char *cache_name_of(const void *object)
{
	const struct page *head = place_of(&m.pages, object).head;

	return head->kind == PAGE_SLAB ? ((struct tmm_cache *)head->owner)->name : "page";
}

TEST(flags_choose_the_row_of_caches)
{
	static const struct {
		tmm_gfp flags;
		size_t bytes;
		const char *cache;
	} want[] = {
		{0, 33, "kmalloc-64"},
		{0, 65, "kmalloc-96"},
		{0, 129, "kmalloc-192"},
		{0, 8192, "kmalloc-8k"},
		{0, 8193, "page"},
		{TMM_GFP_RECLAIMABLE, 33, "kmalloc-rcl-64"},
		{TMM_GFP_RECLAIMABLE, 8193, "page"},
		{TMM_GFP_ACCOUNT, 33, "kmalloc-cg-64"},
		{TMM_GFP_ACCOUNT | TMM_GFP_RECLAIMABLE, 33, "kmalloc-rcl-64"},
		{TMM_GFP_DMA, 33, "dma-kmalloc-64"},
		{TMM_GFP_DMA | TMM_GFP_RECLAIMABLE, 4000, "dma-kmalloc-4k"},
		{TMM_GFP_DMA32, 33, "page"},
	};

	if (rig_skips())
		return;
	boot(32 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		void *object = tmm_kmalloc(&m.slabs, want[i].bytes,
		                           TMM_GFP_KERNEL | want[i].flags);

		CHECK(object && strcmp(cache_name_of(object), want[i].cache) == 0);
		if (want[i].flags & TMM_GFP_DMA)
			CHECK(tmm_virt_to_pfn(&m.pages, object).v < 16 * MB / TMM_PAGE_SIZE);
		tmm_kfree(&m.slabs, object);
	}
	halt();
}

/* Memory that a shrinker can free counts as such, whatever cache it is in. */
TEST(reclaimable_kmalloc_counts_as_reclaimable)
{
	void *object;

	if (rig_skips())
		return;
	boot(8 * MB);
	object = tmm_kmalloc(&m.slabs, 100, TMM_GFP_KERNEL | TMM_GFP_RECLAIMABLE);
	CHECK(object && tmm_slab_pages(&m.slabs, true) > 0);
	tmm_kfree(&m.slabs, object);
	halt();
}

TEST(products_that_overflow_are_refused)
{
	static const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2 + 1, (size_t)1 << 33};
	char *object;

	boot(8 * MB);
	object = tmm_kcalloc(&m.slabs, 10, 20, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are((unsigned char *)object, 0, 200));
	for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
		CHECK(!tmm_kmalloc_array(&m.slabs, huge[i], huge[i], TMM_GFP_KERNEL));
		CHECK(!tmm_kcalloc(&m.slabs, huge[i], huge[i], TMM_GFP_KERNEL));
		CHECK(!tmm_krealloc_array(&m.slabs, object, huge[i], huge[i], TMM_GFP_KERNEL));
		CHECK(!tmm_kmalloc_array(&m.slabs, 2, SIZE_MAX / 2 + 2, TMM_GFP_KERNEL));
	}
	object = tmm_krealloc_array(&m.slabs, object, 100, 20, TMM_GFP_KERNEL);
	CHECK(object && all_bytes_are((unsigned char *)object, 0, 200));
	tmm_kfree(&m.slabs, object);
	tmm_kfree(&m.slabs, tmm_kmalloc_array(&m.slabs, 0, 8, TMM_GFP_KERNEL));
	halt();
}

/*
 *   asked   |--40--|              written
 *           |-10-|                the rest is nobody's
 *           |--60---------|       10 as they were, 50 zeroes, at whatever address
 */
TEST(what_memory_grows_by_reads_as_zeroes)
{
	static const size_t sizes[] = {40, 10,   60,  64,    20,   200,
	                               30, 9000, 100, 20000, 8300, 12000};
	const tmm_gfp gfp = TMM_GFP_KERNEL | TMM_GFP_ZERO;
	unsigned char *object;
	size_t written = 0;

	boot(8 * MB);
	object = tmm_kmalloc(&m.slabs, 1, gfp);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		object = tmm_krealloc(&m.slabs, object, sizes[i], gfp);
		CHECK(object);
		if (written > sizes[i])
			written = sizes[i];
		CHECK(all_bytes_are(object, 0x77, written));
		CHECK(all_bytes_are(object + written, 0, sizes[i] - written));
		written = sizes[i];
		memset(object, 0x77, written);
	}
	tmm_kfree(&m.slabs, object);
	halt();
}

TEST(a_refused_resize_leaves_the_object)
{
	unsigned char *object;

	boot(8 * MB);
	object = tmm_kmalloc(&m.slabs, 50, TMM_GFP_KERNEL);
	CHECK(object);
	memset(object, 0x33, 50);
	tmm_inject_nth(1, true);
	CHECK(!tmm_krealloc(&m.slabs, object, 5000, TMM_GFP_KERNEL));
	CHECK(tmm_inject_stop());
	CHECK(all_bytes_are(object, 0x33, 50));
	tmm_kfree(&m.slabs, object);
	halt();
}

TEST(copies_are_equal_and_of_the_callers_own)
{
	static const char text[] = "a name that is longer than sixteen bytes";
	char *copy, *bytes;

	boot(8 * MB);
	copy = tmm_kstrdup(&m.slabs, text, TMM_GFP_KERNEL);
	bytes = tmm_kmemdup(&m.slabs, text, 7, TMM_GFP_KERNEL);
	CHECK(copy && copy != text && strcmp(copy, text) == 0);
	CHECK(bytes && memcmp(bytes, text, 7) == 0);
	CHECK(tmm_kstrdup(&m.slabs, NULL, TMM_GFP_KERNEL) == NULL);
	tmm_kfree(&m.slabs, copy);
	tmm_kfree(&m.slabs, bytes);
	copy = tmm_kstrdup(&m.slabs, "", TMM_GFP_KERNEL);
	CHECK(copy && *copy == '\0');
	tmm_kfree(&m.slabs, copy);
	halt();
}

/* The same object again, and nothing of the key is in it. */
TEST(sensitive_memory_is_cleared_to_its_last_byte)
{
	static const size_t sizes[] = {5, 8, 100, 5000, 20000};

	boot_plain(8 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned char *key = tmm_kmalloc(&m.slabs, sizes[i], TMM_GFP_KERNEL);
		size_t room = tmm_ksize(&m.slabs, key);

		memset(key, 0x99, room);
		tmm_kfree_sensitive(&m.slabs, key);
		/* SLOB writes the length of a hole into it. */
		CHECK(all_bytes_are(key + 4 * m.slabs.is_slob, 0, room - 4 * m.slabs.is_slob));
	}
	tmm_kfree_sensitive(&m.slabs, NULL);
	tmm_kfree_sensitive(&m.slabs, tmm_kmalloc(&m.slabs, 0, TMM_GFP_KERNEL));
	halt();
}

/* ksize() gives the slack to the caller: no report when he uses it, one behind it. */
TEST(who_asks_for_the_size_may_use_it)
{
	const struct slab_config config = {.debug = "FZPU"};
	unsigned char *object;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	object = tmm_kmalloc(&m.slabs, 33, TMM_GFP_KERNEL);
	CHECK(tmm_ksize(&m.slabs, object) == 64);
	memset(object, 0x11, 64);
	tmm_kfree(&m.slabs, object);
	halt(); /* which looks for reports */
}
