/*
 * writeback.c - between cached pages and the file: write back, read again
 *
 * A page is marked clean before it is written, so that whoever dirties it
 * meanwhile is not forgotten.  Afterwards it is dirty again if the write failed,
 * or if leaves or pins refer to it: one of them may write, and that would not be
 * noticed until it goes.
 */
#include "cache/cache_impl.h"

/* Bytes of page `index` that are in the file. */
static size_t bytes_in_file(const struct tmm_mapping *mapping, uint64_t index)
{
	uint64_t size = mapping->ops->size(mapping->owner);
	uint64_t start = index << TMM_PAGE_SHIFT;

	return size > start ? (size_t)min_u64(size - start, TMM_PAGE_SIZE) : 0;
}

/* Write one pinned page, without the lock. */
static tmm_err write_page(const struct tmm_mapping *mapping, uint64_t index, tmm_pfn pfn)
{
	size_t bytes = bytes_in_file(mapping, index);
	void *address;
	tmm_err err;

	if (bytes == 0)
		return TMM_OK;
	if (!tmm_port_allow("file_write"))
		return TMM_E_IO;
	pages_map_wait(mapping->cache->pages, 1, &pfn, &address);
	err = mapping->ops->write(mapping->owner, index, address, bytes);
	page_unmap_long(mapping->cache->pages, address);
	return err;
}

tmm_err tmm_mapping_sync(struct tmm_mapping *mapping, uint64_t first, uint64_t last)
{
	struct tmm_cache_system *cache = mapping->cache;
	tmm_err result = TMM_OK;
	uint64_t index;

	if (!has_store(mapping))
		return TMM_OK;
	last = min_u64(last, TREE_MAX_INDEX);
	lock_take(&cache->lock);
	for (; (index = tree_next_marked(&mapping->tree, first)) <= last; first = index + 1) {
		tmm_pfn pfn = {tree_find(&mapping->tree, index)};
		struct page *page = file_page(cache, pfn);
		tmm_err err;

		page->refcount++;
		page_dirty(cache, page, false);
		lock_drop(&cache->lock);
		err = write_page(mapping, index, pfn);
		lock_take(&cache->lock);
		if (err != TMM_OK || page->refcount > 2) /* the cache's, ours, others' */
			page_dirty(cache, page, true);
		if (err == TMM_OK)
			node_stat_add(cache->pages, pfn, NR_WRITTEN, 1);
		else if (result == TMM_OK)
			result = TMM_E_IO;
		page_unref(cache, page, pfn);
	}
	lock_drop(&cache->lock);
	return result;
}

/* Bytes [start, end) of page `index` as they are in the file now. */
static tmm_err reread_page(struct tmm_mapping *mapping, uint64_t index, uint64_t start,
                           uint64_t end, tmm_pfn scratch)
{
	struct tmm_cache_system *cache = mapping->cache;
	char *fresh = page_address(cache->pages, scratch);
	void *const address[1] = {fresh};
	uint64_t page_start = index << TMM_PAGE_SHIFT;
	uint64_t from = max_u64(start, page_start) - page_start;
	uint64_t to = min_u64(end - page_start, TMM_PAGE_SIZE);
	uint64_t frame;

	if (!tmm_port_allow("file_read") ||
	    mapping->ops->read(mapping->owner, index, 1, address) != TMM_OK)
		return TMM_E_IO;
	lock_take(&cache->lock);
	count_add(&cache->nr_read, 1);
	frame = tree_find(&mapping->tree, index);
	if (frame != TREE_NONE) {
		char *page = page_map_local(cache->pages, (tmm_pfn){frame});

		memcpy(page + from, fresh + from, (size_t)(to - from));
		page_unmap_local(cache->pages, page);
	}
	lock_drop(&cache->lock);
	return TMM_OK;
}

/* The first cached page of [first, last]; pages past the end of the file are cut off. */
static uint64_t next_to_refresh(struct tmm_mapping *mapping, uint64_t first, uint64_t last)
{
	struct tmm_cache_system *cache = mapping->cache;
	struct tree_spares spares = {NULL, 0};
	uint64_t file_pages = mapping_file_pages(mapping), index;

	lock_take(&cache->lock);
	while ((index = tree_next(&mapping->tree, first)) <= last && index >= file_pages)
		page_detach(cache, mapping, index, &spares);
	lock_drop(&cache->lock);
	spares_free(cache, &spares);
	return index;
}

tmm_err tmm_mapping_refresh(struct tmm_mapping *mapping, uint64_t start, uint64_t end)
{
	struct tmm_cache_system *cache = mapping->cache;
	tmm_err result = TMM_OK, err;
	uint64_t first = start >> TMM_PAGE_SHIFT, last, index;
	tmm_pfn scratch;

	if (start >= end)
		return TMM_OK;
	lock_take(&cache->lock);
	mapping->nr_refreshes++;
	lock_drop(&cache->lock);
	last = min_u64((end - 1) >> TMM_PAGE_SHIFT, TREE_MAX_INDEX);
	index = next_to_refresh(mapping, first, last);
	if (index > last)
		return TMM_OK; /* the usual case: nothing is cached there */
	err = tmm_pages_alloc(cache->pages, TMM_GFP_KERNEL, 0, &scratch);
	if (err != TMM_OK)
		return err;
	for (; index <= last; index = next_to_refresh(mapping, index + 1, last)) {
		err = reread_page(mapping, index, start, end, scratch);
		if (err != TMM_OK && result == TMM_OK)
			result = err;
	}
	tmm_pages_free(cache->pages, scratch, 0);
	return result;
}
