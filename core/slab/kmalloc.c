/*
 * kmalloc.c - memory by size
 *
 * Sizes up to TMM_KMALLOC_MAX_CACHE come from the smallest cache that holds
 * them; larger ones, and those that must lie in a low zone, are runs of frames
 * of their own (PAGE_LARGE).  What an address is, its frame says.
 */
#include "slab/debug.h"

/* What kmalloc(0) answers: not NULL, and never in RAM's mapping. */
#define ZERO_SIZE_PTR ((void *)16)

/* Caches by size: 8 16 32 64 96 128 192 256 512 1k 2k 4k 8k. */
static struct tmm_cache *cache_by_size(struct tmm_slab_system *slabs, size_t size_bytes)
{
	static const uint8_t small[] = {
		/* sizes up to 8, 16, 24 .. 192 */
		0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6,
	};

	if (size_bytes <= 192)
		return &slabs->kmalloc[small[(size_bytes - 1) / 8]];
	return &slabs->kmalloc[log2_ceil(size_bytes) - 1];
}

static unsigned order_by_size(size_t size_bytes)
{
	return log2_ceil((size_bytes + TMM_PAGE_SIZE - 1) / TMM_PAGE_SIZE);
}

static void count_large(struct tmm_slab_system *slabs, uint64_t more, uint64_t less)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	slabs->nr_large_pages += more - less;
	lock_drop_irqrestore(&slabs->lock, irq);
	slab_count_pages(slabs, more, less);
}

static void *large_alloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp)
{
	unsigned order = order_by_size(size_bytes);
	tmm_pfn pfn;

	if (tmm_pages_alloc(slabs->pages, gfp & ~TMM_GFP_MOVABLE, order, &pfn))
		return NULL;
	run_mark(slabs->pages, pfn, order, PAGE_LARGE, slabs);
	page_of(slabs->pages, pfn)->index = order;
	count_large(slabs, UINT64_C(1) << order, 0);
	return tmm_page_address(slabs->pages, pfn);
}

static void large_free(struct tmm_slab_system *slabs, struct place place)
{
	tmm_pfn pfn = page_pfn(slabs->pages, place.head);
	unsigned order = place.head->index;

	TMM_ASSERT(place.head->owner == slabs && place.offset == 0 &&
	           "the address is what kmalloc returned");
	run_unmark(slabs->pages, pfn, order);
	count_large(slabs, 0, UINT64_C(1) << order);
	tmm_pages_free(slabs->pages, pfn, order);
}

/* The cache of a lent address; NULL for a run of its own.  Panics for all others. */
static struct tmm_cache *cache_of(struct tmm_slab_system *slabs, const struct page *head)
{
	struct tmm_cache *cache = head->owner;

	if (head->kind == PAGE_LARGE)
		return NULL;
	TMM_ASSERT(head->kind == PAGE_SLAB && "the address is of kmalloc");
	TMM_ASSERT(cache >= slabs->kmalloc && cache < slabs->kmalloc + NR_KMALLOC_CACHES &&
	           "the address is of kmalloc, not of another cache");
	return cache;
}

/* More than one look: a run of its own, or a cache that debugs. */
static NOINLINE void *odd_alloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                                const void *site)
{
	struct tmm_cache *cache;
	void *object;

	if (size_bytes > TMM_KMALLOC_MAX_CACHE || (gfp & (TMM_GFP_DMA | TMM_GFP_DMA32)))
		return large_alloc(slabs, size_bytes, gfp);
	cache = cache_by_size(slabs, size_bytes);
	if (!cache->debug)
		return object_alloc(cache, gfp);
	object = debug_alloc(cache, gfp, size_bytes, site);
	if (object && gfp & TMM_GFP_ZERO)
		memset(object, 0, size_bytes);
	return object;
}

static ALWAYS_INLINE void *alloc_for(struct tmm_slab_system *slabs, size_t size_bytes,
                                     tmm_gfp gfp, const void *site)
{
	if (!size_bytes)
		return ZERO_SIZE_PTR;
	if (unlikely(size_bytes > TMM_KMALLOC_MAX || !tmm_port_allow("slab")))
		return NULL;
	if (unlikely(size_bytes > slabs->kmalloc_plain ||
	             (gfp & (TMM_GFP_DMA | TMM_GFP_DMA32))))
		return odd_alloc(slabs, size_bytes, gfp, site);
	return object_alloc(cache_by_size(slabs, size_bytes), gfp);
}

void *tmm_kmalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp)
{
	return alloc_for(slabs, size_bytes, gfp, __builtin_return_address(0));
}

void *tmm_kzalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp)
{
	return alloc_for(slabs, size_bytes, gfp | TMM_GFP_ZERO, __builtin_return_address(0));
}

static void free_for(struct tmm_slab_system *slabs, void *object, const void *site)
{
	struct tmm_cache *cache;
	struct place place;

	if (!object || object == ZERO_SIZE_PTR)
		return;
	place = place_of(slabs->pages, object);
	cache = cache_of(slabs, place.head);
	if (likely(cache != NULL))
		object_free(cache, place, object, site);
	else
		large_free(slabs, place);
}

void tmm_kfree(struct tmm_slab_system *slabs, void *object)
{
	free_for(slabs, object, __builtin_return_address(0));
}

/* What the borrower may use without asking tmm_ksize(). */
static size_t bytes_of(struct tmm_slab_system *slabs, const void *object)
{
	const struct page *head;
	struct tmm_cache *cache;

	if (!object || object == ZERO_SIZE_PTR)
		return 0;
	head = place_of(slabs->pages, object).head;
	cache = cache_of(slabs, head);
	if (!cache)
		return TMM_PAGE_SIZE << head->index;
	return cache->debug ? debug_asked_bytes(cache, object) : cache->object_bytes;
}

/* The borrower uses that much of its object from now on; false: it is too small. */
static bool resize(struct tmm_slab_system *slabs, void *object, size_t size_bytes)
{
	const struct page *head = place_of(slabs->pages, object).head;
	struct tmm_cache *cache = cache_of(slabs, head);

	if (size_bytes > (cache ? cache->object_bytes : TMM_PAGE_SIZE << head->index))
		return false;
	if (cache && cache->debug)
		debug_resize(cache, object, size_bytes);
	return true;
}

size_t tmm_ksize(struct tmm_slab_system *slabs, void *object)
{
	const struct page *head;
	struct tmm_cache *cache;

	if (!object || object == ZERO_SIZE_PTR)
		return 0;
	head = place_of(slabs->pages, object).head;
	cache = cache_of(slabs, head);
	if (!cache)
		return TMM_PAGE_SIZE << head->index;
	if (cache->debug)
		debug_resize(cache, object, cache->object_bytes);
	return cache->object_bytes;
}

void *tmm_krealloc(struct tmm_slab_system *slabs, void *object, size_t size_bytes, tmm_gfp gfp)
{
	const void *site = __builtin_return_address(0);
	size_t old_bytes = bytes_of(slabs, object);
	void *new;

	if (old_bytes && size_bytes && resize(slabs, object, size_bytes))
		return object;
	new = alloc_for(slabs, size_bytes, gfp, site);
	if (!new)
		return NULL;
	if (old_bytes && size_bytes)
		memcpy(new, object, old_bytes); /* less than size_bytes: see above */
	free_for(slabs, object, site);
	return new;
}
