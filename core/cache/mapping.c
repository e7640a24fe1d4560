/*
 * mapping.c - a file's pages: found, read, referenced
 *
 * Reading needs frames, tree nodes and the owner's time, none of which may be
 * waited for under the lock.  So a window is read into frames that are nobody's
 * yet; then nodes are gathered; and at last, in one turn of the lock, the frames
 * enter the tree and the caller's references are taken.  Between these steps
 * others may have brought the same page (theirs is used, ours is freed) or have
 * changed the file (nr_refreshes tells; the read is repeated).
 *
 * Read-ahead is never worth a reclaim: frames beyond the wanted one are taken
 * only if they are there.  And it must not spoil the wanted page: if the window
 * cannot be read, that page is read alone.
 */
#include "cache/cache_impl.h"

tmm_err tmm_mapping_create(struct tmm_cache_system *cache, const struct tmm_mapping_ops *ops,
                           void *owner, struct tmm_mapping **out_mapping)
{
	struct tmm_mapping *mapping = tmm_cache_alloc(cache->mapping_cache, TMM_GFP_KERNEL);

	if (!mapping)
		return TMM_E_NOMEM;
	*mapping = (struct tmm_mapping){.cache = cache, .ops = ops, .owner = owner, .refs = 1};
	lock_take(&cache->lock);
	list_add_tail(&cache->mappings, &mapping->link);
	lock_drop(&cache->lock);
	*out_mapping = mapping;
	return TMM_OK;
}

struct tmm_mapping *tmm_mapping_get(struct tmm_mapping *mapping)
{
	lock_take(&mapping->cache->lock);
	TMM_ASSERT(mapping->refs > 0);
	mapping->refs++;
	lock_drop(&mapping->cache->lock);
	return mapping;
}

/* Nobody refers to the mapping any more. */
static void destroy(struct tmm_mapping *mapping)
{
	struct tmm_cache_system *cache = mapping->cache;
	struct tree_spares spares = {NULL, 0};
	uint64_t at;

	if (tmm_mapping_sync(mapping, 0, TREE_MAX_INDEX) != TMM_OK)
		tmm_port_log(3, "pages of a file could not be written back and are lost");
	lock_take(&cache->lock);
	while ((at = tree_next(&mapping->tree, 0)) != TREE_NONE)
		page_detach(cache, mapping, at, &spares);
	list_del(&mapping->link);
	lock_drop(&cache->lock);
	spares_free(cache, &spares);
	mapping->ops->release(mapping->owner);
	tmm_cache_free(cache->mapping_cache, mapping);
}

void tmm_mapping_put(struct tmm_mapping *mapping)
{
	struct tmm_cache_system *cache = mapping->cache;
	bool last;

	lock_take(&cache->lock);
	TMM_ASSERT(mapping->refs > 0);
	last = --mapping->refs == 0;
	lock_drop(&cache->lock);
	if (last)
		destroy(mapping);
}

static void ref(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf)
	TMM_REQUIRES(cache->lock)
{
	struct page *page = file_page(cache, pfn);

	page->refcount++;
	if (as_leaf && page->mapcount++ == 0 && page->owner)
		node_stat_add(cache->pages, pfn, NR_FILE_MAPPED, 1);
	page_settle(cache, page, pfn);
}

static void unref(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf, bool dirty)
	TMM_REQUIRES(cache->lock)
{
	struct page *page = file_page(cache, pfn);

	if (dirty)
		page_dirty(cache, page, true);
	TMM_ASSERT(!as_leaf || page->mapcount > 0);
	if (as_leaf && --page->mapcount == 0 && page->owner)
		node_stat_add(cache->pages, pfn, NR_FILE_MAPPED, -1);
	page_unref(cache, page, pfn);
}

bool mapping_has_page(struct tmm_mapping *mapping, uint64_t index)
{
	bool has;

	if (index > TREE_MAX_INDEX)
		return false;
	lock_take(&mapping->cache->lock);
	has = tree_find(&mapping->tree, index) != TREE_NONE;
	lock_drop(&mapping->cache->lock);
	return has;
}

void file_page_get(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf)
{
	lock_take(&cache->lock);
	ref(cache, pfn, as_leaf);
	lock_drop(&cache->lock);
}

void file_page_put(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf, bool dirty)
{
	lock_take(&cache->lock);
	unref(cache, pfn, as_leaf, dirty);
	lock_drop(&cache->lock);
}

void file_pages_put(struct tmm_cache_system *cache, size_t nr, const tmm_pfn *pfn, bool as_leaf)
{
	lock_take(&cache->lock);
	for (size_t i = 0; i < nr; i++)
		unref(cache, pfn[i], as_leaf, false);
	lock_drop(&cache->lock);
}

void file_page_set_dirty(struct tmm_cache_system *cache, tmm_pfn pfn)
{
	lock_take(&cache->lock);
	page_dirty(cache, file_page(cache, pfn), true);
	page_settle(cache, file_page(cache, pfn), pfn);
	lock_drop(&cache->lock);
}

/* ---- reading ------------------------------------------------------------ */

/* Pages [first, first + nr) on their way in. */
struct batch {
	uint64_t first;
	size_t nr;
	tmm_pfn pfn[WINDOW_MAX_PAGES];
};

/* The absent pages of the window on both sides of the wanted one. */
static void absent_run(const struct tmm_mapping *mapping, const struct mapping_window *window,
                       struct batch *batch)
{
	uint64_t first = window->index, end = window->index + 1;

	while (first > window->first && tree_find(&mapping->tree, first - 1) == TREE_NONE)
		first--;
	while (end < window->first + window->nr && tree_find(&mapping->tree, end) == TREE_NONE)
		end++;
	batch->first = first;
	batch->nr = (size_t)(end - first);
}

/* Frames for as much of the batch as can be had, the wanted page included. */
static tmm_err batch_alloc(struct tmm_pages *pages, uint64_t index, struct batch *batch)
{
	const tmm_gfp gfp = TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE | TMM_GFP_KSWAPD | TMM_GFP_NOWARN;
	size_t nr = tmm_pages_alloc_bulk(pages, gfp, batch->nr, batch->pfn);

	if (nr == 0) {
		tmm_err err = tmm_pages_alloc(pages, TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_NOWARN,
		                              0, batch->pfn);

		if (err != TMM_OK)
			return err;
		nr = 1;
	}
	if (nr < batch->nr && index >= batch->first + nr)
		batch->first = index + 1 - nr;
	batch->nr = nr;
	return TMM_OK;
}

static tmm_err batch_read(struct tmm_mapping *mapping, const struct batch *batch)
{
	struct tmm_pages *pages = mapping->cache->pages;
	void *address[WINDOW_MAX_PAGES];
	tmm_err err;

	if (!tmm_port_allow("file_read"))
		return TMM_E_IO;
	pages_map_wait(pages, batch->nr, batch->pfn, address);
	err = mapping->ops->read(mapping->owner, batch->first, batch->nr, address);
	for (size_t i = 0; i < batch->nr; i++)
		page_unmap_long(pages, address[i]);
	return err;
}

/* Read the batch or, if that fails, the wanted page alone.  Frames are freed on failure. */
static tmm_err batch_fill(struct tmm_mapping *mapping, uint64_t index, struct batch *batch)
{
	struct tmm_pages *pages = mapping->cache->pages;
	tmm_err err = batch_read(mapping, batch);

	if (err != TMM_OK && batch->nr > 1) {
		tmm_pages_free_bulk(pages, batch->nr - 1, batch->pfn + 1);
		batch->first = index;
		batch->nr = 1;
		err = batch_read(mapping, batch);
	}
	if (err != TMM_OK)
		tmm_pages_free_bulk(pages, batch->nr, batch->pfn);
	return err == TMM_OK ? TMM_OK : TMM_E_IO;
}

/* Nodes for [first, last], which lies in two leaf nodes at most; perhaps too many. */
static unsigned nodes_needed(const struct tree *tree, uint64_t first, uint64_t last)
{
	unsigned needed = tree_nodes_needed(tree, first);

	if (first >> TREE_SLOT_BITS != last >> TREE_SLOT_BITS)
		needed += tree_nodes_needed(tree, last);
	return needed;
}

/* Gather the nodes that the batch needs; the lock is dropped while allocating. */
static tmm_err gather_nodes(struct tmm_cache_system *cache, const struct tmm_mapping *mapping,
                            const struct batch *batch, struct tree_spares *spares)
	TMM_REQUIRES(cache->lock)
{
	uint64_t first = batch->first, last = batch->first + batch->nr - 1;

	while (spares->nr < nodes_needed(&mapping->tree, first, last)) {
		struct tree_node *node;

		lock_drop(&cache->lock);
		node = tmm_cache_alloc(cache->node_cache, TMM_GFP_KERNEL);
		lock_take(&cache->lock);
		if (!node)
			return TMM_E_NOMEM;
		tree_spares_push(spares, node);
	}
	return TMM_OK;
}

static void batch_attach(struct tmm_cache_system *cache, struct tmm_mapping *mapping,
                         const struct batch *batch, struct tree_spares *spares)
	TMM_REQUIRES(cache->lock)
{
	for (size_t i = 0; i < batch->nr; i++) {
		if (tree_find(&mapping->tree, batch->first + i) == TREE_NONE)
			page_attach(cache, mapping, batch->first + i, batch->pfn[i], spares);
		else
			tmm_pages_free(cache->pages, batch->pfn[i],
			               0); /* somebody was faster */
	}
	count_add(&cache->nr_read, batch->nr);
}

/* Take references to what is cached of the window; false: the wanted page is not. */
static bool take_cached(struct tmm_cache_system *cache, const struct tmm_mapping *mapping,
                        struct mapping_window *window) TMM_REQUIRES(cache->lock)
{
	if (tree_find(&mapping->tree, window->index) == TREE_NONE)
		return false;
	for (size_t i = 0; i < window->nr; i++) {
		uint64_t frame = tree_find(&mapping->tree, window->first + i);

		window->pfn[i] = frame == TREE_NONE ? TMM_PFN_NONE : (tmm_pfn){frame};
		if (frame != TREE_NONE)
			ref(cache, window->pfn[i], window->as_leaf);
	}
	return true;
}

/*
 * Bring the wanted page in.  On TMM_OK the references are taken, unless
 * *again: the file was changed meanwhile, so that what was read is void.
 */
static tmm_err bring(struct tmm_mapping *mapping, struct mapping_window *window, bool *again)
{
	struct tmm_cache_system *cache = mapping->cache;
	struct tree_spares spares = {NULL, 0};
	struct batch batch;
	uint64_t refreshes;
	tmm_err err;

	lock_take(&cache->lock);
	absent_run(mapping, window, &batch);
	refreshes = mapping->nr_refreshes;
	lock_drop(&cache->lock);
	err = batch_alloc(cache->pages, window->index, &batch);
	if (err == TMM_OK)
		err = batch_fill(mapping, window->index, &batch);
	if (err != TMM_OK)
		return err;
	lock_take(&cache->lock);
	err = gather_nodes(cache, mapping, &batch, &spares);
	*again = mapping->nr_refreshes != refreshes;
	if (err == TMM_OK && !*again) {
		batch_attach(cache, mapping, &batch, &spares);
		window->nr_read = batch.nr;
		TMM_ASSERT(take_cached(cache, mapping, window));
	} else {
		tmm_pages_free_bulk(cache->pages, batch.nr, batch.pfn);
	}
	lock_drop(&cache->lock);
	spares_free(cache, &spares);
	return err;
}

tmm_err mapping_window_get(struct tmm_mapping *mapping, struct mapping_window *window)
{
	struct tmm_cache_system *cache = mapping->cache;
	uint64_t file_pages = min_u64(mapping_file_pages(mapping), TREE_MAX_INDEX + 1);
	bool found;

	TMM_ASSERT(window->nr >= 1 && window->nr <= WINDOW_MAX_PAGES);
	TMM_ASSERT(window->index - window->first < window->nr);
	if (window->index >= file_pages)
		return TMM_E_RANGE;
	for (size_t i = 0; i < window->nr; i++)
		window->pfn[i] = TMM_PFN_NONE;
	window->nr = (size_t)min_u64(window->nr, file_pages - window->first);
	window->nr_read = 0;
	lock_take(&cache->lock);
	found = take_cached(cache, mapping, window);
	lock_drop(&cache->lock);
	while (!found) {
		bool again = false;
		tmm_err err = bring(mapping, window, &again);

		if (err != TMM_OK)
			return err;
		found = !again;
	}
	return TMM_OK;
}
