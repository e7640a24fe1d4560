/*
 * move.c - a cached page goes to another frame
 *
 * Only a page that nobody but the cache holds can go: whoever has a reference
 * knows the frame by its number.  core/space takes
 * the leaves away before.
 */
#include "cache/cache_impl.h"

/* Is the frame a page of some file now?  Whoever asks may have an old number. */
static struct page *attached_page(const struct tmm_cache_system *cache, tmm_pfn pfn)
	TMM_REQUIRES(cache->lock)
{
	struct page *page = page_of(cache->pages, pfn);

	return page_kind(page) == PAGE_FILE && page_owner(page) ? page : NULL;
}

bool file_page_place(struct tmm_cache_system *cache, tmm_pfn pfn, struct file_place *out)
{
	const struct page *page;

	if (!lock_try(&cache->lock))
		return false;
	page = attached_page(cache, pfn);
	if (page)
		*out = (struct file_place){.mapping = page->owner,
		                           .index = page->index,
		                           .mapcount = page->mapcount,
		                           .nr_pins = page->refcount - 1 - page->mapcount};
	lock_drop(&cache->lock);
	return page != NULL;
}

/* What is counted of the page goes with it. */
static void page_change_node(const struct tmm_cache_system *cache,
                             const struct tmm_mapping *mapping, tmm_pfn from, tmm_pfn to)
{
	if (pfn_node(cache->pages, from) == pfn_node(cache->pages, to))
		return;
	node_stat_move(cache->pages, from, to, NR_FILE_PAGES);
	if (!has_store(mapping))
		node_stat_move(cache->pages, from, to, NR_SHMEM);
	else if (page_of(cache->pages, to)->flags & PG_DIRTY)
		node_stat_move(cache->pages, from, to, NR_FILE_DIRTY);
}

static tmm_err move(struct tmm_cache_system *cache, tmm_pfn from, tmm_pfn to)
	TMM_REQUIRES(cache->lock)
{
	struct page *page = attached_page(cache, from), *target = page_of(cache->pages, to);
	struct tmm_mapping *mapping;
	bool idle;

	if (!page)
		return TMM_E_NOENT;
	if (page->refcount > 1)
		return TMM_E_BUSY;
	mapping = page->owner;
	idle = (page->flags & PG_IDLE) != 0;
	if (idle)
		idle_del(cache, page, from);
	page_copy(cache->pages, to, from);
	page_take_over(cache->pages, from, to);
	page_change_node(cache, mapping, from, to);
	tree_replace(&mapping->tree, target->index, to.v);
	page_settle(cache, target, to);
	return TMM_OK;
}

tmm_err file_page_move(struct tmm_cache_system *cache, tmm_pfn from, tmm_pfn to)
{
	tmm_err err;

	if (!lock_try(&cache->lock))
		return TMM_E_AGAIN;
	err = move(cache, from, to);
	lock_drop(&cache->lock);
	return err;
}
