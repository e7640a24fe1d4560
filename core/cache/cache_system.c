/*
 * cache_system.c - the page cache as a whole: pages that come, go and idle
 *
 * A page is idle when it is clean and nobody but the cache holds it.  Idle pages
 * are listed, oldest first, so that giving memory back takes time only for what
 * is given.  A page that is mapped, pinned or dirty is not on the list; whatever
 * changes that ends with page_settle().
 *
 * tmm_cache_check() asserts the invariants:
 *   I1  a mapping's tree has nr_pages entries, whose pages are PAGE_FILE, have the
 *       mapping as owner and their place as index
 *   I2  refcount is at least one (the cache's) and the mapcount
 *   I3  a page is marked in its tree exactly if it has PG_DIRTY
 *   I4  a page has PG_IDLE exactly if it is clean and refcount is 1
 *   I5  the idle list has exactly these pages, counted by the zones of their frames
 *   I6  what is counted of a node is what all mappings have there; dirty are
 *       pages that can be written back
 */
#include "cache/cache_impl.h"

static tmm_err create_caches(struct tmm_cache_system *cache)
{
	const struct tmm_cache_spec mapping = {.name = "address_space",
	                                       .size_bytes = sizeof(struct tmm_mapping)};
	const struct tmm_cache_spec node = {.name = "radix_tree_node",
	                                    .size_bytes = sizeof(struct tree_node),
	                                    .reclaimable = true};
	const struct tmm_cache_spec file = {.name = "filp",
	                                    .size_bytes = sizeof(struct tmm_file)};
	tmm_err err = tmm_cache_create(cache->slabs, &mapping, &cache->mapping_cache);

	if (err == TMM_OK)
		err = tmm_cache_create(cache->slabs, &node, &cache->node_cache);
	if (err == TMM_OK)
		err = tmm_cache_create(cache->slabs, &file, &cache->file_cache);
	return err;
}

static void destroy_caches(struct tmm_cache_system *cache)
{
	struct tmm_cache *const all[] = {cache->file_cache, cache->node_cache,
	                                 cache->mapping_cache};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		TMM_ASSERT(!all[i] || tmm_cache_destroy(all[i]) == TMM_OK);
}

tmm_err cache_system_init(struct tmm_cache_system *cache, struct tmm_pages *pages,
                          struct tmm_slab_system *slabs)
{
	tmm_err err;

	*cache = (struct tmm_cache_system){
		.pages = pages,
		.slabs = slabs,
		.idle_oldest = FRAME_NONE,
		.idle_newest = FRAME_NONE,
	};
	lock_init(&cache->lock, RANK_CACHE);
	list_init(&cache->mappings);
	err = create_caches(cache);
	if (err != TMM_OK)
		destroy_caches(cache);
	return err;
}

void cache_system_fini(struct tmm_cache_system *cache)
{
	TMM_ASSERT(list_empty(&cache->mappings) && tmm_cache_pages(cache) == 0);
	destroy_caches(cache);
}

static struct page *page_at(const struct tmm_cache_system *cache, uint32_t frame)
{
	return page_of(cache->pages, (tmm_pfn){frame});
}

/* relaxed: others only look, at a moment's value */
static void idle_count(struct tmm_cache_system *cache, uint64_t frame, uint64_t nr)
	TMM_REQUIRES(cache->lock)
{
	struct tmm_pages *pages = cache->pages;
	uint64_t *of = &cache->nr_idle_of[home_zone(&pages->info[block_of(pages, frame)])];

	cache->nr_idle += nr;
	__atomic_store_n(of, *of + nr, __ATOMIC_RELAXED);
}

static void idle_add(struct tmm_cache_system *cache, struct page *page, uint32_t frame)
	TMM_REQUIRES(cache->lock)
{
	page->flags |= PG_IDLE;
	page->next = FRAME_NONE;
	page->prev = cache->idle_newest;
	if (page->prev == FRAME_NONE)
		cache->idle_oldest = frame;
	else
		page_at(cache, page->prev)->next = frame;
	cache->idle_newest = frame;
	idle_count(cache, frame, 1);
}

void idle_del(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
{
	page->flags &= (uint16_t)~PG_IDLE;
	if (page->prev == FRAME_NONE)
		cache->idle_oldest = page->next;
	else
		page_at(cache, page->prev)->next = page->next;
	if (page->next == FRAME_NONE)
		cache->idle_newest = page->prev;
	else
		page_at(cache, page->next)->prev = page->prev;
	idle_count(cache, pfn.v, -UINT64_C(1));
}

static bool is_idle(const struct page *page)
{
	return page->owner && page->refcount == 1 && !(page->flags & PG_DIRTY);
}

void page_settle(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
{
	bool idle = is_idle(page);

	if (idle == ((page->flags & PG_IDLE) != 0))
		return;
	if (idle)
		idle_add(cache, page, (uint32_t)pfn.v);
	else
		idle_del(cache, page, pfn);
}

void page_dirty(struct tmm_cache_system *cache, struct page *page, bool dirty)
{
	struct tmm_mapping *mapping = page->owner;
	tmm_pfn pfn;

	if (!mapping || dirty == ((page->flags & PG_DIRTY) != 0))
		return;
	tree_mark(&mapping->tree, page->index, dirty);
	page->flags ^= PG_DIRTY;
	if (!has_store(mapping))
		return;
	pfn = page_pfn(cache->pages, page);
	node_stat_add(cache->pages, pfn, NR_FILE_DIRTY, dirty ? 1 : -1);
	if (dirty)
		node_stat_add(cache->pages, pfn, NR_DIRTIED, 1);
}

void page_unref(struct tmm_cache_system *cache, struct page *page, tmm_pfn pfn)
{
	TMM_ASSERT(page->refcount > (page->owner ? 1u : 0u)); /* the cache's is not ours */
	if (--page->refcount > 0) {
		page_settle(cache, page, pfn);
		return;
	}
	TMM_ASSERT(page->mapcount == 0);
	page_clear(page);
	tmm_pages_free(cache->pages, pfn, 0);
}

/* One page more in a tree, or one less. */
static void count_page(const struct tmm_cache_system *cache, const struct tmm_mapping *mapping,
                       tmm_pfn pfn, int64_t nr)
{
	node_stat_add(cache->pages, pfn, NR_FILE_PAGES, nr);
	if (!has_store(mapping))
		node_stat_add(cache->pages, pfn, NR_SHMEM, nr);
}

void page_attach(struct tmm_cache_system *cache, struct tmm_mapping *mapping, uint64_t index,
                 tmm_pfn pfn, struct tree_spares *spares)
{
	struct page *page = page_of(cache->pages, pfn);

	tree_insert(&mapping->tree, index, pfn.v, spares);
	page_set(page, (struct page){
			       .kind = PAGE_FILE,
			       .flags = PG_UPTODATE,
			       .refcount = 1,
			       .index = (uint32_t)index,
			       .owner = mapping,
		       });
	mapping->nr_pages++;
	count_page(cache, mapping, pfn, 1);
	page_settle(cache, page, pfn);
}

void page_detach(struct tmm_cache_system *cache, struct tmm_mapping *mapping, uint64_t index,
                 struct tree_spares *spares)
{
	tmm_pfn pfn = {tree_find(&mapping->tree, index)};
	struct page *page = file_page(cache, pfn);

	page_dirty(cache, page, false);
	tree_remove(&mapping->tree, index, spares);
	mapping->nr_pages--;
	count_page(cache, mapping, pfn, -1);
	if (page->mapcount > 0)
		node_stat_add(cache->pages, pfn, NR_FILE_MAPPED, -1);
	page_set_owner(page, NULL);
	page_settle(cache, page, pfn);
	page_unref(cache, page, pfn);
}

void spares_free(struct tmm_cache_system *cache, struct tree_spares *spares)
{
	struct tree_node *node;

	while ((node = tree_spares_pop(spares)))
		tmm_cache_free(cache->node_cache, node);
}

uint64_t cache_shrink_nodes(struct tmm_cache_system *cache, uint32_t nodes, uint64_t nr)
{
	struct tree_spares spares = {NULL, 0};
	uint64_t freed = 0;
	uint32_t next;

	lock_take(&cache->lock);
	for (uint32_t at = cache->idle_oldest; freed < nr && at != FRAME_NONE; at = next) {
		struct page *page = page_at(cache, at);

		next = page->next;
		if (!(nodes >> pfn_node(cache->pages, (tmm_pfn){at}) & 1))
			continue;
		page_detach(cache, page->owner, page->index, &spares);
		freed++;
	}
	lock_drop(&cache->lock);
	spares_free(cache, &spares);
	return freed;
}

uint64_t tmm_cache_shrink_pages(struct tmm_cache_system *cache, uint64_t nr)
{
	return cache_shrink_nodes(cache, UINT32_MAX, nr);
}

uint64_t tmm_cache_pages(const struct tmm_cache_system *cache)
{
	return node_stat_total(cache->pages, NR_FILE_PAGES);
}

uint64_t tmm_cache_dirty_pages(const struct tmm_cache_system *cache)
{
	return node_stat_total(cache->pages, NR_FILE_DIRTY);
}

uint64_t cache_idle_pages(const struct tmm_cache_system *cache, unsigned zone)
{
	/* relaxed: see idle_count() */
	return __atomic_load_n(&cache->nr_idle_of[zone], __ATOMIC_RELAXED);
}

uint64_t cache_mapped_pages(const struct tmm_cache_system *cache)
{
	return node_stat_total(cache->pages, NR_FILE_MAPPED);
}

uint64_t tmm_cache_pages_read(const struct tmm_cache_system *cache)
{
	return __atomic_load_n(&cache->nr_read,
	                       __ATOMIC_RELAXED); /* relaxed: see count_add() */
}

uint64_t tmm_cache_pages_written(const struct tmm_cache_system *cache)
{
	return node_stat_total(cache->pages, NR_WRITTEN);
}

struct totals {
	uint64_t idle;
	uint64_t of_node[TMM_MAX_NODES][NR_NODE_STATS];
};

/* I1 to I4 of one page. */
static void page_check(const struct tmm_mapping *mapping, uint64_t index, struct totals *sum)
{
	uint64_t frame = tree_find(&mapping->tree, index);
	const struct page *page = page_at(mapping->cache, (uint32_t)frame);
	uint64_t *of = sum->of_node[pfn_node(mapping->cache->pages, (tmm_pfn){frame})];
	bool dirty = (page->flags & PG_DIRTY) != 0;

	TMM_ASSERT(page->kind == PAGE_FILE && page->owner == mapping && page->index == index);
	TMM_ASSERT(page->refcount >= 1 + page->mapcount);
	TMM_ASSERT(dirty == (tree_next_marked(&mapping->tree, index) == index));
	TMM_ASSERT(is_idle(page) == ((page->flags & PG_IDLE) != 0));
	of[NR_FILE_PAGES]++;
	of[NR_SHMEM] += !has_store(mapping);
	of[NR_FILE_DIRTY] += dirty && has_store(mapping);
	of[NR_FILE_MAPPED] += page->mapcount > 0;
	sum->idle += is_idle(page);
}

/* I5: what is listed is idle, and as many as are idle are listed. */
static void idle_list_check(const struct tmm_cache_system *cache, uint64_t nr_idle)
{
	uint32_t before = FRAME_NONE;
	uint64_t nr = 0, of_zone[MAX_ZONES] = {0};

	for (uint32_t at = cache->idle_oldest; at != FRAME_NONE;
	     at = page_at(cache, at)->next) {
		TMM_ASSERT(page_at(cache, at)->flags & PG_IDLE);
		TMM_ASSERT(page_at(cache, at)->prev == before && nr < nr_idle);
		before = at;
		nr++;
		of_zone[home_zone(&cache->pages->info[block_of(cache->pages, at)])]++;
	}
	TMM_ASSERT(cache->idle_newest == before && nr == nr_idle && cache->nr_idle == nr);
	TMM_ASSERT(memcmp(of_zone, cache->nr_idle_of, sizeof(of_zone)) == 0);
}

/* I6 */
static void counts_check(const struct tmm_cache_system *cache, const struct totals *sum)
{
	static const enum node_stat counted[] = {NR_FILE_PAGES, NR_SHMEM, NR_FILE_DIRTY,
	                                         NR_FILE_MAPPED};

	for (unsigned n = 0; n < TMM_MAX_NODES; n++)
		for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
			TMM_ASSERT(node_stat_sum(cache->pages, n, counted[i]) ==
			           sum->of_node[n][counted[i]]);
}

void tmm_cache_check(struct tmm_cache_system *cache)
{
	struct totals sum = {.idle = 0};

	lock_take(&cache->lock);
	list_for_each (node, &cache->mappings) {
		const struct tmm_mapping *mapping = list_entry(node, struct tmm_mapping, link);
		const struct tree *tree = &mapping->tree;

		TMM_ASSERT(tree_check(tree) == mapping->nr_pages);
		for (uint64_t at = tree_next(tree, 0); at != TREE_NONE;
		     at = tree_next(tree, at + 1))
			page_check(mapping, at, &sum);
	}
	idle_list_check(cache, sum.idle);
	counts_check(cache, &sum);
	lock_drop(&cache->lock);
}
