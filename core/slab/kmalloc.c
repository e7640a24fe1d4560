/*
 * kmalloc.c - memory by size
 *
 * Sizes up to TMM_KMALLOC_MAX_CACHE come from the smallest cache that holds
 * them; there is a row of caches for each type, which the flags of the request say.
 * Larger sizes, and those that must lie below 4 GiB, are runs of frames of their own
 * (PAGE_LARGE).  What an address is, its frame says.
 *
 * The fast path knows the row of ordinary memory alone, and that not when one of
 * those caches debugs: kmalloc_plain is 0 then.  A CPU knows the cache that it lent
 * from last; where that cache's hand (magazine.c) remembers the object that comes
 * back, nobody looks for its frame.
 */
#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/depot.h"
#include "slab/slob.h"

#define ODD_FLAGS (TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_RECLAIMABLE | TMM_GFP_ACCOUNT)

/* What kmalloc(0) answers: not NULL, and never in RAM's mapping. */
#define ZERO_SIZE_PTR ((void *)16)

/* ---- the caches ---- */

struct size_class {
	const char *name;
	uint16_t bytes, align_bytes;
};

static void join(char *out, const char *prefix, const char *name)
{
	while (*prefix)
		*out++ = *prefix++;
	while ((*out++ = *name++))
		;
}

void kmalloc_init(struct tmm_slab_system *slabs)
{
	static const struct size_class size[NR_KMALLOC_SIZES] = {
		{"8", 8, 8},        {"16", 16, 16},     {"32", 32, 32},     {"64", 64, 64},
		{"96", 96, 8},      {"128", 128, 128},  {"192", 192, 64},   {"256", 256, 256},
		{"512", 512, 512},  {"1k", 1024, 1024}, {"2k", 2048, 2048}, {"4k", 4096, 4096},
		{"8k", 8192, 8192},
	};
	static const char *const prefix[NR_KMALLOC_TYPES] = {"kmalloc-", "kmalloc-rcl-",
	                                                     "dma-kmalloc-", "kmalloc-cg-"};

	slabs->kmalloc_plain = slabs->is_slob ? 0 : TMM_KMALLOC_MAX_CACHE;
	for (unsigned type = 0; type < NR_KMALLOC_TYPES; type++) {
		for (unsigned i = 0; i < NR_KMALLOC_SIZES; i++) {
			struct tmm_cache *cache = &slabs->kmalloc[type * NR_KMALLOC_SIZES + i];
			char name[sizeof(cache->name)];
			const struct tmm_cache_spec spec = {
				.name = name,
				.size_bytes = size[i].bytes,
				.align_bytes = size[i].align_bytes,
				.reclaimable = type == KMALLOC_RECLAIM,
				.account = type == KMALLOC_CGROUP,
				.usercopy_bytes = size[i].bytes,
			};

			join(name, prefix[type], size[i].name);
			cache_init(cache, slabs, &spec);
			if (type == KMALLOC_DMA)
				cache->page_gfp |= TMM_GFP_DMA;
			if (type == KMALLOC_NORMAL && cache->debug)
				slabs->kmalloc_plain = 0;
			list_add(&slabs->caches, &cache->link);
		}
	}
}

/* Linux's order: what must be in ZONE_DMA, what can be reclaimed, what is accounted. */
static enum kmalloc_type type_of(tmm_gfp gfp)
{
	if (likely(!(gfp & ODD_FLAGS)))
		return KMALLOC_NORMAL;
	if (gfp & TMM_GFP_DMA)
		return KMALLOC_DMA;
	if (gfp & TMM_GFP_RECLAIMABLE)
		return KMALLOC_RECLAIM;
	return KMALLOC_CGROUP;
}

/* By size: 8 16 32 64 96 128 192 256 512 1k 2k 4k 8k. */
static unsigned size_index(size_t size_bytes)
{
	static const uint8_t small[] = {
		/* sizes up to 8, 16, 24 .. 192 */
		0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6,
	};

	return size_bytes <= 192 ? small[(size_bytes - 1) / 8] : log2_ceil(size_bytes) - 1;
}

struct tmm_cache *kmalloc_cache(struct tmm_slab_system *slabs, size_t size_bytes)
{
	/* No bytes, less one, are more than any cache has. */
	if (size_bytes - 1 >= slabs->kmalloc_plain)
		return NULL;
	return &slabs->kmalloc[size_index(size_bytes)];
}

/* ---- runs of their own ---- */

static void count_large(struct tmm_slab_system *slabs, tmm_pfn pfn, unsigned order, int sign)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	slabs->nr_large_pages += (uint64_t)sign << order;
	lock_drop_irqrestore(&slabs->lock, irq);
	slab_count_run(slabs, pfn, order, false, sign);
}

void *large_alloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp, uint32_t node)
{
	unsigned order = run_order(size_bytes);
	tmm_pfn pfn;

	gfp &= ~(TMM_GFP_MOVABLE | TMM_GFP_COMP);
	if (!run_alloc_near(slabs->pages, node, gfp, order, &pfn))
		return NULL;
	run_mark(slabs->pages, pfn, order, PAGE_LARGE, slabs);
	page_of(slabs->pages, pfn)->index = order;
	count_large(slabs, pfn, order, 1);
	return tmm_page_address(slabs->pages, pfn);
}

void large_free(struct tmm_slab_system *slabs, struct place place)
{
	tmm_pfn pfn = page_pfn(slabs->pages, place.head);
	unsigned order = place.head->index;

	TMM_ASSERT(place.head->owner == slabs && place.offset == 0 &&
	           "the address is what kmalloc returned");
	run_unmark(slabs->pages, pfn, order);
	count_large(slabs, pfn, order, -1);
	tmm_pages_free(slabs->pages, pfn, order);
}

/* ---- lending ---- */

/*
 * The cache of a lent address; NULL for one in a run of its own or in a page of SLOB.
 * Panics for all others.
 */
static struct tmm_cache *cache_of(struct tmm_slab_system *slabs, const struct page *head)
{
	struct tmm_cache *cache = head->owner;

	if (unlikely(head->kind == PAGE_LARGE || head->kind == PAGE_SLOB))
		return NULL;
	TMM_ASSERT(head->kind == PAGE_SLAB && "the address is of kmalloc");
	TMM_ASSERT(cache->is_kmalloc && cache->slabs == slabs &&
	           "the address is of kmalloc, not of another cache");
	return cache;
}

/* Linux promises that much. */
static void *slob_kmalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                          uint32_t node)
{
	size_t align = is_power_of_two(size_bytes) ? size_bytes : 8;
	void *object;

	if (!slob_fits(size_bytes, align))
		return large_alloc(slabs, size_bytes, gfp, node);
	object = slob_alloc(slabs, size_bytes, align, gfp, node);
	if (object && gfp & TMM_GFP_ZERO)
		memset(object, 0, align_up(size_bytes, 8)); /* all that it may grow to */
	return object;
}

/*
 * More than one look: a node, no bytes, zeroes, a run of its own, a cache that debugs, no
 * slabs, or failures that are injected.
 */
static NOINLINE void *odd_alloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                                uint32_t node, const void *site)
{
	struct tmm_cache *cache;
	void *object;

	if (!size_bytes)
		return ZERO_SIZE_PTR;
	if (size_bytes > TMM_KMALLOC_MAX || !tmm_port_allow("slab"))
		return NULL;
	if (slabs->is_slob && !(gfp & (TMM_GFP_DMA | TMM_GFP_DMA32)))
		return slob_kmalloc(slabs, size_bytes, gfp, node);
	if (slabs->is_slob || size_bytes > TMM_KMALLOC_MAX_CACHE || (gfp & TMM_GFP_DMA32))
		return large_alloc(slabs, size_bytes, gfp, node);
	cache = &slabs->kmalloc[type_of(gfp) * NR_KMALLOC_SIZES + size_index(size_bytes)];
	/* The cache's pages are so by themselves. */
	object = object_alloc_node(cache, gfp & ~ODD_FLAGS, node, size_bytes, site);
	/* Cleared is all that it may grow to, where nobody knows what was asked for. */
	return object_lend(cache, object, gfp, cache->debug ? size_bytes : cache->object_bytes);
}

static ALWAYS_INLINE void *alloc_for(struct tmm_slab_system *slabs, size_t size_bytes,
                                     tmm_gfp gfp, const void *site)
{
	/* No bytes, less one, are more than any cache has. */
	if (unlikely(size_bytes - 1 >= slabs->kmalloc_plain) ||
	    unlikely(gfp & (ODD_FLAGS | TMM_GFP_ZERO)) || unlikely(tmm_port_injects()))
		return odd_alloc(slabs, size_bytes, gfp, TMM_NODE_ANY, site);
	return object_alloc(&slabs->kmalloc[size_index(size_bytes)], gfp);
}

void *tmm_kmalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp)
{
	return alloc_for(slabs, size_bytes, gfp, __builtin_return_address(0));
}

void *tmm_kzalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp)
{
	return alloc_for(slabs, size_bytes, gfp | TMM_GFP_ZERO, __builtin_return_address(0));
}

void *tmm_kmalloc_array(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes,
                        tmm_gfp gfp)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(nr, size_bytes, &bytes)))
		return NULL;
	return alloc_for(slabs, bytes, gfp, __builtin_return_address(0));
}

void *tmm_kcalloc(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes, tmm_gfp gfp)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(nr, size_bytes, &bytes)))
		return NULL;
	return alloc_for(slabs, bytes, gfp | TMM_GFP_ZERO, __builtin_return_address(0));
}

/* ---- from a node ---- */

static void *alloc_on(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                      unsigned node, const void *site)
{
	TMM_ASSERT((node == TMM_NODE_ANY || node < slabs->pages->nr_nodes) &&
	           "there is such a node");
	return odd_alloc(slabs, size_bytes, gfp, node, site);
}

void *tmm_kmalloc_node(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                       unsigned node)
{
	return alloc_on(slabs, size_bytes, gfp, node, __builtin_return_address(0));
}

void *tmm_kzalloc_node(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                       unsigned node)
{
	return alloc_on(slabs, size_bytes, gfp | TMM_GFP_ZERO, node,
	                __builtin_return_address(0));
}

void *tmm_kmalloc_array_node(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes,
                             tmm_gfp gfp, unsigned node)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(nr, size_bytes, &bytes)))
		return NULL;
	return alloc_on(slabs, bytes, gfp, node, __builtin_return_address(0));
}

void *tmm_kcalloc_node(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes, tmm_gfp gfp,
                       unsigned node)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(nr, size_bytes, &bytes)))
		return NULL;
	return alloc_on(slabs, bytes, gfp | TMM_GFP_ZERO, node, __builtin_return_address(0));
}

/* ---- taking back ---- */

static NOINLINE void odd_kfree(struct tmm_slab_system *slabs, struct place place, void *object)
{
	if (place.head->kind == PAGE_SLOB)
		slob_free(slabs, object, 0);
	else
		large_free(slabs, place);
}

/* The object that the CPU lent last, which needs no look at its frame; false: another. */
static ALWAYS_INLINE bool recent_free(const struct tmm_slab_system *slabs, const void *object)
{
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_cache *cache = likely(cpu != NULL) ? cpu->recent : NULL;

	return likely(cache && cache->slabs == slabs) && likely(back_to_hand(cache, object));
}

static NOINLINE void find_free(struct tmm_slab_system *slabs, void *object, const void *site)
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
		odd_kfree(slabs, place, object);
}

static ALWAYS_INLINE void free_for(struct tmm_slab_system *slabs, void *object,
                                   const void *site)
{
	if (unlikely(!recent_free(slabs, object)))
		find_free(slabs, object, site);
}

void tmm_kfree(struct tmm_slab_system *slabs, void *object)
{
	free_for(slabs, object, __builtin_return_address(0));
}

void tmm_kfree_sensitive(struct tmm_slab_system *slabs, void *object)
{
	size_t bytes = tmm_ksize(slabs, object);

	if (bytes) {
		memset(object, 0, bytes);
		__asm__ volatile("" : : "r"(object) : "memory"); /* the zeroes are wanted */
	}
	free_for(slabs, object, __builtin_return_address(0));
}

/* ---- sizes ---- */

/* A lent object, not of size 0, and what is known of its size. */
struct lent {
	struct tmm_cache *cache; /* NULL: a run of its own */
	size_t room_bytes;       /* that there are */
	size_t asked_bytes;      /* that the borrower may use: room_bytes if nobody knows */
};

static struct lent lent_of(struct tmm_slab_system *slabs, const void *object)
{
	const struct page *head = place_of(slabs->pages, object).head;
	struct tmm_cache *cache = cache_of(slabs, head);
	struct lent lent = {.cache = cache};

	if (cache)
		lent.room_bytes = cache->object_bytes;
	else if (head->kind == PAGE_SLOB)
		lent.room_bytes = slob_bytes(slabs, object);
	else
		lent.room_bytes = TMM_PAGE_SIZE << head->index;
	lent.asked_bytes = cache && cache->debug ? debug_asked_bytes(cache, object)
	                                         : lent.room_bytes;
	return lent;
}

size_t tmm_ksize(struct tmm_slab_system *slabs, void *object)
{
	struct lent lent;

	if (!object || object == ZERO_SIZE_PTR)
		return 0;
	lent = lent_of(slabs, object);
	if (lent.asked_bytes < lent.room_bytes)
		debug_resize(lent.cache, object, lent.room_bytes);
	return lent.room_bytes;
}

/* The object has room for the new size. */
static void resize(const struct lent *lent, char *object, size_t size_bytes, tmm_gfp gfp)
{
	size_t known = size_bytes < lent->asked_bytes ? size_bytes : lent->asked_bytes;

	if (lent->cache && lent->cache->debug)
		debug_resize(lent->cache, object, size_bytes);
	/*
	 * Without debugging nobody knows how much was asked for: what is not used now
	 * is cleared now, so that it is clear when the object grows.
	 */
	if (gfp & TMM_GFP_ZERO && lent->asked_bytes == lent->room_bytes)
		memset(object + size_bytes, 0, lent->room_bytes - size_bytes);
	else if (gfp & TMM_GFP_ZERO)
		memset(object + known, 0, size_bytes - known);
}

static void *realloc_for(struct tmm_slab_system *slabs, void *object, size_t size_bytes,
                         tmm_gfp gfp, const void *site)
{
	struct lent lent;
	void *new;

	if (!object || object == ZERO_SIZE_PTR)
		return alloc_for(slabs, size_bytes, gfp, site);
	if (!size_bytes) {
		free_for(slabs, object, site);
		return ZERO_SIZE_PTR;
	}
	lent = lent_of(slabs, object);
	if (size_bytes <= lent.room_bytes) {
		resize(&lent, object, size_bytes, gfp);
		return object;
	}
	new = alloc_for(slabs, size_bytes, gfp, site);
	if (!new)
		return NULL;
	memcpy(new, object, lent.asked_bytes); /* less than size_bytes */
	free_for(slabs, object, site);
	return new;
}

void *tmm_krealloc(struct tmm_slab_system *slabs, void *object, size_t size_bytes, tmm_gfp gfp)
{
	return realloc_for(slabs, object, size_bytes, gfp, __builtin_return_address(0));
}

void *tmm_krealloc_array(struct tmm_slab_system *slabs, void *object, size_t nr,
                         size_t size_bytes, tmm_gfp gfp)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(nr, size_bytes, &bytes)))
		return NULL;
	return realloc_for(slabs, object, bytes, gfp, __builtin_return_address(0));
}

/* ---- copies ---- */

void *tmm_kmemdup(struct tmm_slab_system *slabs, const void *from, size_t bytes, tmm_gfp gfp)
{
	void *copy = alloc_for(slabs, bytes, gfp, __builtin_return_address(0));

	if (copy && bytes)
		memcpy(copy, from, bytes);
	return copy;
}

char *tmm_kstrdup(struct tmm_slab_system *slabs, const char *text, tmm_gfp gfp)
{
	size_t bytes = 0;
	char *copy;

	if (!text)
		return NULL;
	while (text[bytes++])
		;
	copy = alloc_for(slabs, bytes, gfp, __builtin_return_address(0));
	if (copy)
		memcpy(copy, text, bytes);
	return copy;
}
