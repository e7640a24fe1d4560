/*
 * system.c - what address spaces share: caches, the zero page, promised memory
 *
 * Memory is promised long before it is touched.  Areas that may need a frame of
 * their own for each page (private and writable, or shared and anonymous) are
 * counted in committed_pages when they are made; the overcommit mode says how
 * much may be promised:
 *   guess   one request may be as large as RAM, no larger
 *   always  anything
 *   never   in all a percentage of RAM, less what is kept for the administrator
 *           and from a process that has grown large
 * tmm_space_check() asserts the invariants:
 *   S1  every mm is on the list once and is sound itself (mm_check)
 *   S2  committed_pages is at least what the accounted areas of all mms have
 */
#include "page/page_system.h"
#include "space/vma.h"

#define PAGES_OF_KIB(kib) ((kib) >> (TMM_PAGE_SHIFT - 10))

static tmm_err make_caches(struct tmm_space_system *spaces)
{
	const struct tmm_cache_spec mm = {.name = "mm_struct",
	                                  .size_bytes = sizeof(struct tmm_mm),
	                                  .hwcache_align = true};
	const struct tmm_cache_spec vma = {.name = "vm_area_struct",
	                                   .size_bytes = sizeof(struct vma)};
	const struct tmm_cache_spec node = {
		.name = "range_node", .size_bytes = RANGE_NODE_BYTES, .hwcache_align = true};
	tmm_err err = tmm_cache_create(spaces->slabs, &mm, &spaces->mm_cache);

	if (err == TMM_OK)
		err = tmm_cache_create(spaces->slabs, &vma, &spaces->vma_cache);
	if (err == TMM_OK)
		err = tmm_cache_create(spaces->slabs, &node, &spaces->node_cache);
	return err;
}

static void drop_cache(struct tmm_cache *cache)
{
	tmm_err err = cache ? tmm_cache_destroy(cache) : TMM_OK;

	TMM_ASSERT(err == TMM_OK); /* every object is back */
}

static void drop_caches(struct tmm_space_system *spaces)
{
	drop_cache(spaces->node_cache);
	drop_cache(spaces->vma_cache);
	drop_cache(spaces->mm_cache);
}

static void resolve_config(struct space_config *config)
{
	if (!config->overcommit_ratio)
		config->overcommit_ratio = 50;
	if (!config->max_map_count)
		config->max_map_count = 65530;
	if (!config->fault_around_bytes)
		config->fault_around_bytes = 64 << 10;
	if (!config->anon_around_bytes)
		config->anon_around_bytes = 256 << 10;
}

tmm_err space_system_init(struct tmm_space_system *spaces, struct tmm_pages *pages,
                          struct tmm_slab_system *slabs, struct tmm_cache_system *cache,
                          const struct space_config *config)
{
	uint64_t part = tmm_pages_free_count(pages) / 32;
	tmm_err err;

	*spaces = (struct tmm_space_system){
		.pages = pages, .slabs = slabs, .cache = cache, .config = *config};
	lock_init(&spaces->lock, RANK_SPACES);
	list_init(&spaces->mms);
	resolve_config(&spaces->config);
	spaces->admin_reserve_pages = min_u64(part, PAGES_OF_KIB(8u << 10));
	spaces->user_reserve_pages = min_u64(part, PAGES_OF_KIB(128u << 10));
	spaces->next_inode = 1;

	err = make_caches(spaces);
	if (err == TMM_OK)
		err = tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, 0,
		                      &spaces->zero_pfn);
	if (err != TMM_OK) {
		drop_caches(spaces);
		return err;
	}
	page_set_kind(page_of(pages, spaces->zero_pfn), PAGE_ZERO);
	space_set_movers(spaces, true);
	return TMM_OK;
}

void space_system_fini(struct tmm_space_system *spaces)
{
	TMM_ASSERT(list_empty(&spaces->mms));
	TMM_ASSERT(spaces->committed_pages == 0);
	space_set_movers(spaces, false);
	page_set_kind(page_of(spaces->pages, spaces->zero_pfn), PAGE_NONE);
	tmm_pages_free(spaces->pages, spaces->zero_pfn, 0);
	drop_caches(spaces);
}

/* relaxed: a sum that orders nothing else */
static uint64_t committed(const struct tmm_space_system *spaces)
{
	int64_t pages = __atomic_load_n(&spaces->committed_pages, __ATOMIC_RELAXED);

	return pages > 0 ? (uint64_t)pages : 0;
}

static uint64_t commit_limit(const struct tmm_space_system *spaces)
{
	return tmm_pages_managed_count(spaces->pages) * spaces->config.overcommit_ratio / 100;
}

static bool may_commit(const struct tmm_space_system *spaces, uint64_t mm_total_pages,
                       uint64_t pages)
{
	uint64_t kept;

	switch (spaces->config.overcommit_memory) {
	case OVERCOMMIT_GUESS:
		return pages <= tmm_pages_managed_count(spaces->pages);
	case OVERCOMMIT_ALWAYS:
		return true;
	case OVERCOMMIT_NEVER:
		break;
	}
	kept = spaces->admin_reserve_pages +
	       min_u64(mm_total_pages / 32, spaces->user_reserve_pages);
	return committed(spaces) + kept < commit_limit(spaces);
}

void space_keep(struct tmm_space_system *spaces, uint64_t pages)
{
	__atomic_fetch_add(&spaces->committed_pages, (int64_t)pages, __ATOMIC_RELAXED);
}

bool space_commit(struct tmm_space_system *spaces, uint64_t mm_total_pages, uint64_t pages)
{
	/* The promise is made first, so that two at once cannot both just fit. */
	space_keep(spaces, pages);
	if (may_commit(spaces, mm_total_pages, pages))
		return true;
	space_uncommit(spaces, pages);
	return false;
}

void space_uncommit(struct tmm_space_system *spaces, uint64_t pages)
{
	__atomic_fetch_sub(&spaces->committed_pages, (int64_t)pages, __ATOMIC_RELAXED);
}

void tmm_space_totals(struct tmm_space_system *spaces, struct tmm_space_totals *out)
{
	struct tmm_space_totals sum = {
		.mapped_pages = cache_mapped_pages(spaces->cache),
		.committed_pages = committed(spaces),
		.commit_limit_pages = commit_limit(spaces),
	};

	lock_take(&spaces->lock);
	sum.minor_faults = spaces->gone_minor_faults;
	sum.major_faults = spaces->gone_major_faults;
	sum.oom_faults = spaces->gone_oom_faults;
	list_for_each (node, &spaces->mms) {
		struct tmm_mm *mm = list_entry(node, struct tmm_mm, link);

		lock_take(&mm->lock);
		sum.anon_pages += mm->rss_pages[TMM_RSS_ANON];
		sum.table_pages += mm->pt.nr_tables;
		sum.minor_faults += mm->minor_faults;
		sum.major_faults += mm->major_faults;
		sum.oom_faults += mm->oom_faults;
		lock_drop(&mm->lock);
	}
	lock_drop(&spaces->lock);
	*out = sum;
}

void tmm_space_check(struct tmm_space_system *spaces)
{
	uint64_t nr = 0, accounted = 0;

	lock_take(&spaces->lock);
	list_for_each (node, &spaces->mms) {
		struct tmm_mm *mm = list_entry(node, struct tmm_mm, link);

		lock_take(&mm->lock);
		accounted += mm_check(mm);
		lock_drop(&mm->lock);
		nr++;
	}
	TMM_ASSERT(nr == spaces->nr_mms);
	lock_drop(&spaces->lock);
	TMM_ASSERT(committed(spaces) >= accounted);
	TMM_ASSERT(page_of(spaces->pages, spaces->zero_pfn)->kind == PAGE_ZERO);
}
