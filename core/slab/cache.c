/*
 * cache.c - making and naming caches
 *
 * Descriptors of caches are objects of a cache too, which lies in the slab
 * system itself and so needs none; the kmalloc caches lie there likewise.
 * tmm_slab_check() asserts of the list of caches:
 *   I7  names differ
 *   I8  every cache is of this slab system
 */
#include "slab/slab_system.h"

/*
 * Linux's number for a machine of one CPU.  More objects in a slab mean slabs of
 * higher orders, which are the first that cannot be had when memory is short.
 */
#define MIN_OBJECTS    8u
#define MAX_SLAB_ORDER 3u
#define MAX_OBJECT     (TMM_PAGE_SIZE << MAX_SLAB_ORDER)
#define CACHE_LINE     64u

static size_t text_length(const char *text, size_t most)
{
	size_t length = 0;

	while (length < most && text[length])
		length++;
	return length;
}

static bool names_equal(const char *a, const char *b)
{
	size_t length = text_length(a, sizeof(((struct tmm_cache *)NULL)->name));

	return memcmp(a, b, length + 1) == 0;
}

static bool spec_is_valid(const struct tmm_cache_spec *spec)
{
	size_t room = sizeof(((struct tmm_cache *)NULL)->name);
	size_t length = spec->name ? text_length(spec->name, room) : 0;

	return length > 0 && length < room && spec->size_bytes >= 1 &&
	       spec->size_bytes <= MAX_OBJECT &&
	       (!spec->align_bytes ||
	        (is_power_of_two(spec->align_bytes) && spec->align_bytes <= TMM_PAGE_SIZE));
}

/*
 * Linux's rule: the lowest order that holds MIN_OBJECTS and wastes at most a
 * 16th of the slab at its end; failing that an 8th, a 4th, a half.  Objects that
 * are too large for MIN_OBJECTS take what the highest order holds.
 */
static uint32_t slab_order(uint64_t size_bytes)
{
	uint32_t least = log2_ceil((size_bytes * MIN_OBJECTS + TMM_PAGE_SIZE - 1) /
	                           TMM_PAGE_SIZE);

	for (uint32_t fraction = 16; fraction > 1; fraction /= 2) {
		for (uint32_t order = least; order <= MAX_SLAB_ORDER; order++) {
			uint64_t slab_bytes = TMM_PAGE_SIZE << order;

			if (slab_bytes % size_bytes <= slab_bytes / fraction)
				return order;
		}
	}
	return MAX_SLAB_ORDER;
}

void cache_init(struct tmm_cache *cache, struct tmm_slab_system *slabs,
                const struct tmm_cache_spec *spec)
{
	uint64_t align = max_u64(spec->align_bytes, spec->hwcache_align ? CACHE_LINE : 8);
	uint64_t size = align_up(spec->size_bytes, align);
	uint32_t order = slab_order(size);
	uint64_t slab_bytes = TMM_PAGE_SIZE << order, nr_objs = slab_bytes / size;
	uint64_t nr_words = (nr_objs + 63) / 64;

	*cache = (struct tmm_cache){
		.size_bytes = (uint32_t)size,
		.reciprocal = (uint32_t)((UINT64_C(1) << 32) / size + 1),
		.nr_objs = (uint32_t)nr_objs,
		.order = order,
		.nr_words = (uint32_t)nr_words,
		.page_gfp = spec->reclaimable ? TMM_GFP_RECLAIMABLE : 0,
		.partial = {NO_SLAB, 0},
		.full = {NO_SLAB, 0},
		.spare = NO_SLAB,
		.pages = slabs->pages,
		.slabs = slabs,
		.ctor = spec->ctor,
	};
	if (nr_objs > 64) {
		cache->bits_offset = (uint32_t)(slab_bytes - nr_words * sizeof(uint64_t));
		cache->nr_objs = (uint32_t)(cache->bits_offset / size);
		cache->nr_words = (cache->nr_objs + 63) / 64;
	}
	lock_init(&cache->lock, RANK_CACHE_NODE);
	memcpy(cache->name, spec->name, text_length(spec->name, sizeof(cache->name)));
}

static bool name_is_taken(struct tmm_slab_system *slabs, const char *name)
	TMM_REQUIRES(slabs->lock)
{
	list_for_each (node, &slabs->caches) {
		if (names_equal(list_entry(node, struct tmm_cache, link)->name, name))
			return true;
	}
	return false;
}

tmm_err tmm_cache_create(struct tmm_slab_system *slabs, const struct tmm_cache_spec *spec,
                         struct tmm_cache **out_cache)
{
	struct tmm_cache *cache;
	tmm_irq irq;
	bool taken;

	if (!spec_is_valid(spec))
		return TMM_E_INVAL;
	cache = tmm_cache_alloc(&slabs->cache_of_caches, TMM_GFP_KERNEL);
	if (!cache)
		return TMM_E_NOMEM;
	cache_init(cache, slabs, spec);
	irq = lock_take_irqsave(&slabs->lock);
	taken = name_is_taken(slabs, cache->name);
	if (!taken)
		list_add(&slabs->caches, &cache->link);
	lock_drop_irqrestore(&slabs->lock, irq);
	if (taken) {
		tmm_cache_free(&slabs->cache_of_caches, cache);
		return TMM_E_EXIST;
	}
	*out_cache = cache;
	return TMM_OK;
}

static bool is_built_in(const struct tmm_cache *cache)
{
	const struct tmm_slab_system *slabs = cache->slabs;

	return cache == &slabs->cache_of_caches ||
	       (cache >= slabs->kmalloc && cache < slabs->kmalloc + NR_KMALLOC_CACHES);
}

tmm_err tmm_cache_destroy(struct tmm_cache *cache)
{
	struct tmm_slab_system *slabs = cache->slabs;
	tmm_irq irq, node_irq;
	bool busy;

	TMM_ASSERT(!is_built_in(cache) && "the slab system's own caches stay");
	irq = lock_take_irqsave(&slabs->lock);
	node_irq = lock_take_irqsave(&cache->lock);
	busy = cache->nr_lent > 0;
	if (!busy)
		list_del(&cache->link);
	lock_drop_irqrestore(&cache->lock, node_irq);
	lock_drop_irqrestore(&slabs->lock, irq);
	if (busy)
		return TMM_E_BUSY;
	tmm_cache_shrink(cache);
	tmm_cache_free(&slabs->cache_of_caches, cache);
	return TMM_OK;
}

static void cache_describe(struct tmm_cache *cache, struct tmm_cache_info *out)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);

	*out = (struct tmm_cache_info){
		.active_objs = cache->nr_lent,
		.num_objs = cache_slabs(cache) * cache->nr_objs,
		.active_slabs = cache_slabs(cache) - (cache->spare != NO_SLAB),
		.num_slabs = cache_slabs(cache),
		.size_bytes = cache->size_bytes,
		.objs_per_slab = cache->nr_objs,
		.pages_per_slab = 1u << cache->order,
		.reclaimable = cache->page_gfp & TMM_GFP_RECLAIMABLE,
	};
	memcpy(out->name, cache->name, sizeof(out->name));
	lock_drop_irqrestore(&cache->lock, irq);
}

bool tmm_cache_info(struct tmm_slab_system *slabs, size_t index, struct tmm_cache_info *out)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	bool found = false;

	list_for_each (node, &slabs->caches) {
		if (index--)
			continue;
		cache_describe(list_entry(node, struct tmm_cache, link), out);
		found = true;
		break;
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return found;
}

uint64_t tmm_slab_pages(struct tmm_slab_system *slabs, bool reclaimable)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	uint64_t pages = reclaimable ? 0 : slabs->nr_large_pages;

	list_for_each (node, &slabs->caches) {
		struct tmm_cache_info info;

		cache_describe(list_entry(node, struct tmm_cache, link), &info);
		if (info.reclaimable == reclaimable)
			pages += info.num_slabs * info.pages_per_slab;
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return pages;
}

void slab_count_pages(struct tmm_slab_system *slabs, uint64_t taken, uint64_t given)
{
	/* relaxed: a count that orders nothing */
	uint64_t now = __atomic_add_fetch(&slabs->nr_pages, taken - given, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&slabs->peak_pages, __ATOMIC_RELAXED);

	while (now > peak && !__atomic_compare_exchange_n(&slabs->peak_pages, &peak, now, true,
	                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint64_t tmm_slab_peak_pages(const struct tmm_slab_system *slabs)
{
	/* relaxed: a moment's value */
	return __atomic_load_n(&slabs->peak_pages, __ATOMIC_RELAXED);
}

uint64_t slab_shrink_all(struct tmm_slab_system *slabs)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	uint64_t pages = 0;

	list_for_each (node, &slabs->caches)
		pages += tmm_cache_shrink(list_entry(node, struct tmm_cache, link));
	lock_drop_irqrestore(&slabs->lock, irq);
	return pages;
}

void tmm_slab_check(struct tmm_slab_system *slabs)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		TMM_ASSERT(cache->slabs == slabs); /* I8 */
		cache_check(cache);
		for (struct list *other = node->next; other != &slabs->caches;
		     other = other->next)
			TMM_ASSERT(!names_equal(
				cache->name,
				list_entry(other, struct tmm_cache, link)->name)); /* I7 */
	}
	lock_drop_irqrestore(&slabs->lock, irq);
}

void slab_init(struct tmm_slab_system *slabs, struct tmm_pages *pages)
{
	static const struct tmm_cache_spec own = {.name = "kmem_cache",
	                                          .size_bytes = sizeof(struct tmm_cache),
	                                          .hwcache_align = true};
	static const struct tmm_cache_spec kmalloc[NR_KMALLOC_CACHES] = {
		{.name = "kmalloc-8", .size_bytes = 8, .align_bytes = 8},
		{.name = "kmalloc-16", .size_bytes = 16, .align_bytes = 16},
		{.name = "kmalloc-32", .size_bytes = 32, .align_bytes = 32},
		{.name = "kmalloc-64", .size_bytes = 64, .align_bytes = 64},
		{.name = "kmalloc-96", .size_bytes = 96, .align_bytes = 8},
		{.name = "kmalloc-128", .size_bytes = 128, .align_bytes = 128},
		{.name = "kmalloc-192", .size_bytes = 192, .align_bytes = 64},
		{.name = "kmalloc-256", .size_bytes = 256, .align_bytes = 256},
		{.name = "kmalloc-512", .size_bytes = 512, .align_bytes = 512},
		{.name = "kmalloc-1k", .size_bytes = 1024, .align_bytes = 1024},
		{.name = "kmalloc-2k", .size_bytes = 2048, .align_bytes = 2048},
		{.name = "kmalloc-4k", .size_bytes = 4096, .align_bytes = 4096},
		/* Slabs are aligned to their own length, and so to 8k. */
		{.name = "kmalloc-8k", .size_bytes = 8192, .align_bytes = 4096},
	};

	lock_init(&slabs->lock, RANK_SLAB);
	slabs->pages = pages;
	slabs->nr_large_pages = 0;
	slabs->nr_pages = slabs->peak_pages = 0;
	list_init(&slabs->caches);
	cache_init(&slabs->cache_of_caches, slabs, &own);
	list_add(&slabs->caches, &slabs->cache_of_caches.link);
	for (unsigned i = 0; i < NR_KMALLOC_CACHES; i++) {
		cache_init(&slabs->kmalloc[i], slabs, &kmalloc[i]);
		list_add(&slabs->caches, &slabs->kmalloc[i].link);
	}
}

void slab_fini(struct tmm_slab_system *slabs)
{
	TMM_ASSERT(!slabs->nr_large_pages && "every large kmalloc is back");
	list_for_each_safe (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		if (!is_built_in(cache)) {
			tmm_err err = tmm_cache_destroy(cache);

			TMM_ASSERT(err == TMM_OK && "every object is back");
		}
	}
	list_for_each_safe (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		TMM_ASSERT(!cache->nr_lent && "every object is back");
		tmm_cache_shrink(cache);
		list_del(node);
	}
}
