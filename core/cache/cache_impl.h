/*
 * cache_impl.h - pages as members of a mapping, for the files of this folder
 *
 * All of it with cache->lock held; `cache` is the mapping's.
 */
#ifndef TUXMM_CACHE_CACHE_IMPL_H
#define TUXMM_CACHE_CACHE_IMPL_H

#include "cache/mapping.h"
#include "page/page_system.h"

/* relaxed: a total that readers without the lock only print */
static inline void count_add(uint64_t *count, uint64_t nr)
{
	__atomic_store_n(count, *count + nr, __ATOMIC_RELAXED);
}

static inline struct page *file_page(const struct tmm_cache_system *cache, tmm_pfn pfn)
{
	struct page *page = page_of(cache->pages, pfn);

	TMM_ASSERT(page->kind == PAGE_FILE && page->refcount > 0);
	return page;
}

/* Can bytes be written back at all? */
static inline bool has_store(const struct tmm_mapping *mapping)
{
	return mapping->ops->write != NULL;
}

/* Pages of the file now. */
static inline uint64_t mapping_file_pages(const struct tmm_mapping *mapping)
{
	uint64_t size = mapping->ops->size(mapping->owner);

	return (size >> TMM_PAGE_SHIFT) + ((size & ~TMM_PAGE_MASK) != 0);
}

/* A filled frame becomes page `index`; spares has the nodes for it. */
void page_attach(struct tmm_cache_system *cache, struct tmm_mapping *mapping, uint64_t index,
                 tmm_pfn pfn, struct tree_spares *spares) TMM_REQUIRES(cache->lock);

/* The page leaves the file; it is freed now, or with its last reference. */
void page_detach(struct tmm_cache_system *cache, struct tmm_mapping *mapping, uint64_t index,
                 struct tree_spares *spares) TMM_REQUIRES(cache->lock);

/* Put the page on the idle list or take it off, after anything it depends on changed. */
void page_settle(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
	TMM_REQUIRES(cache->lock);

/* The page is on the idle list; take it off, whatever it is. */
void idle_del(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
	TMM_REQUIRES(cache->lock);

void page_dirty(struct tmm_cache_system *cache, struct page *page, bool dirty)
	TMM_REQUIRES(cache->lock);

/* One reference less; the last one frees. */
void page_unref(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
	TMM_REQUIRES(cache->lock);

/* Nodes that removals left over; called without the lock. */
void spares_free(struct tmm_cache_system *cache, struct tree_spares *spares);

#endif
