/*
 * rig_test.h - a page cache on a small machine, and files made of bytes
 */
#ifndef TUXMM_CACHE_RIG_TEST_H
#define TUXMM_CACHE_RIG_TEST_H

#include <stdlib.h>
#include <string.h>

#include "cache/mapping.h"
#include "page/rig_test.h"
#include "slab/slab_system.h"

struct cache_rig {
	struct rig page;
	struct tmm_slab_system slabs;
	struct tmm_cache_system cache;
	uint64_t free_before;
};

static inline void cache_rig_begin(struct cache_rig *rig, uint64_t ram_bytes)
{
	struct tmm_pages *pages = rig_simple(&rig->page, ram_bytes);

	rig->free_before = tmm_pages_free_count(pages);
	slab_init(&rig->slabs, pages,
	          &(struct slab_config){.debug = getenv("TUXMM_SLAB_DEBUG"),
	                                .allocator = getenv("TUXMM_SLOB") ? TMM_SLOB
	                                                                  : TMM_SLABS});
	CHECK(cache_system_init(&rig->cache, pages, &rig->slabs) == TMM_OK);
}

static inline void cache_rig_end(struct cache_rig *rig)
{
	tmm_cache_check(&rig->cache);
	tmm_slab_check(&rig->slabs);
	cache_system_fini(&rig->cache);
	slab_fini(&rig->slabs);
	CHECK(tmm_pages_free_count(&rig->page.pages) == rig->free_before);
	tmm_pages_check(&rig->page.pages);
	pages_fini(&rig->page.pages);
}

/* A file that is an array of bytes, and counts who asks for it. */
#define STORE_PAGES 4096u

struct store {
	uint8_t bytes[STORE_PAGES * 4096];
	uint64_t size;
	uint64_t nr_reads, nr_writes, nr_releases;
	uint64_t bad_page; /* reading or writing it fails */
};

static inline tmm_err store_read(void *owner, uint64_t index, size_t nr,
                                 void *const *page_addresses)
{
	struct store *store = owner;

	store->nr_reads++;
	if (store->bad_page >= index && store->bad_page < index + nr)
		return TMM_E_IO;
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = (index + i) * 4096;
		uint64_t in_file = store->size > start ? store->size - start : 0;

		memset(page_addresses[i], 0, 4096);
		memcpy(page_addresses[i], store->bytes + start,
		       in_file < 4096 ? in_file : 4096);
	}
	return TMM_OK;
}

static inline tmm_err store_write(void *owner, uint64_t index, const void *page_address,
                                  size_t size_bytes)
{
	struct store *store = owner;

	store->nr_writes++;
	if (store->bad_page == index)
		return TMM_E_IO;
	memcpy(store->bytes + index * 4096, page_address, size_bytes);
	return TMM_OK;
}

static inline uint64_t store_size(void *owner)
{
	return ((struct store *)owner)->size;
}

static inline void store_release(void *owner)
{
	((struct store *)owner)->nr_releases++;
}

static const struct tmm_mapping_ops store_ops = {
	.read = store_read, .write = store_write, .size = store_size, .release = store_release};

/* Each page is filled with a byte of its own, and begins with its number. */
static inline void store_begin(struct store *store, uint64_t size)
{
	memset(store, 0, sizeof(*store));
	store->size = size;
	store->bad_page = UINT64_MAX;
	for (uint64_t at = 0; at < size; at += 4096) {
		uint64_t index = at / 4096;
		size_t bytes = size - at < 4096 ? (size_t)(size - at) : 4096;

		memset(store->bytes + at, (int)(index * 7 + 1) & 0xff, bytes);
		memcpy(store->bytes + at, &index,
		       bytes < sizeof(index) ? bytes : sizeof(index));
	}
}

#endif
