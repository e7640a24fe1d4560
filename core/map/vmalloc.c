/*
 * vmalloc.c - areas filled with frames from anywhere
 *
 * Frames come in batches, single ones that rise where memory is not cut up; each
 * stretch of adjacent frames is mapped as one, so that the port shows few long
 * pieces.  Entries alone remember which frames an area has: freeing clears them and
 * gives back what they pointed to.
 *
 * A frame's descriptor names its area, for the checker and for whoever looks at the
 * frame; its index is its page in the area.
 */
#include <tuxmm/policy.h>

#include "map/vm_area.h"

/* Frames requested at a time. */
#define BATCH 64u

/* Node that means: the CPU's. */
#define NODE_SELF UINT32_MAX

struct fill {
	struct tmm_kernel_map *map;
	struct vm_area *area;
	tmm_gfp gfp;
	uint32_t node;
	unsigned prot;
	bool wants_large;
};

static void count_used(struct tmm_kernel_map *map, struct vm_area *area, uint64_t nr)
{
	uint64_t now = __atomic_load_n(&area->nr_pages, __ATOMIC_RELAXED) + nr;

	/* relaxed, both: counters, read as a moment's value; the first has one writer */
	__atomic_store_n(&area->nr_pages, now, __ATOMIC_RELAXED);
	__atomic_fetch_add(&map->used_pages, nr, __ATOMIC_RELAXED);
}

static void mark(const struct tmm_kernel_map *map, tmm_pfn first, uint64_t nr,
                 struct vm_area *area, uint64_t index)
{
	for (uint64_t i = 0; i < nr; i++)
		page_set(page_of(map->pages, (tmm_pfn){first.v + i}),
		         (struct page){.kind = PAGE_VMALLOC,
		                       .owner = area,
		                       .index = (uint32_t)(index + i)});
}

static void unmark(const struct tmm_kernel_map *map, tmm_pfn first, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		page_clear(page_of(map->pages, (tmm_pfn){first.v + i}));
}

static unsigned order_of_bytes(uint64_t bytes)
{
	return log2_floor(bytes) - TMM_PAGE_SHIFT;
}

/* ---- giving frames back ---- */

static void frames_gone(void *arg, uint64_t va, uint64_t bytes, uint64_t pa)
{
	struct tmm_kernel_map *map = arg;
	tmm_pfn first = {pa >> TMM_PAGE_SHIFT};

	(void)va;
	unmark(map, first, bytes >> TMM_PAGE_SHIFT);
	tmm_pages_free(map->pages, first, order_of_bytes(bytes));
	/* relaxed: a counter */
	__atomic_fetch_sub(&map->used_pages, bytes >> TMM_PAGE_SHIFT, __ATOMIC_RELAXED);
}

static void drop_frames(struct tmm_kernel_map *map, struct vm_area *area)
{
	kernel_clear(map, area_start(area), area->at.range.end, frames_gone, map);
}

/* ---- getting them ---- */

static size_t alloc_frames(const struct fill *fill, size_t nr, tmm_pfn *out)
{
	struct tmm_pages *pages = fill->map->pages;
	size_t got = 0;

	if (fill->node == NODE_SELF)
		return tmm_pages_alloc_bulk(pages, fill->gfp, nr, out);
	while (got < nr &&
	       tmm_pages_alloc_node(pages, fill->node, fill->gfp, 0, &out[got]) == TMM_OK)
		got++;
	return got;
}

/* Map nr frames, adjacent or not, from page `at` of the area on; all of them or none. */
static tmm_err map_frames(struct tmm_kernel_map *map, const struct vm_area *area, uint64_t at,
                          const tmm_pfn *pfn, size_t nr, unsigned prot, tmm_gfp gfp)
{
	uint64_t start = area_start(area) + (at << TMM_PAGE_SHIFT);
	size_t first = 0;

	while (first < nr) {
		size_t end = first + 1;
		struct map_run run;
		tmm_err err;

		/* One piece must be all in the direct map or all outside of it. */
		while (end < nr && pfn[end].v == pfn[end - 1].v + 1 &&
		       pfn[end].v != map->pages->lowmem_end)
			end++;
		run = (struct map_run){.va = start + (first << TMM_PAGE_SHIFT),
		                       .pa = pfn[first].v << TMM_PAGE_SHIFT,
		                       .bytes = (end - first) << TMM_PAGE_SHIFT,
		                       .prot = prot};
		err = kernel_map_run(map, &run, gfp);
		if (err != TMM_OK) {
			kernel_clear(map, start, run.va, NULL, NULL);
			return err;
		}
		first = end;
	}
	return TMM_OK;
}

/* What was freed last comes first, so adjacent frames often come the wrong way round. */
static void sort_frames(tmm_pfn *pfn, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		tmm_pfn one = pfn[i];
		size_t at = i;

		for (; at > 0 && pfn[at - 1].v > one.v; at--)
			pfn[at] = pfn[at - 1];
		pfn[at] = one;
	}
}

static tmm_err fill_small(const struct fill *fill, uint64_t at, uint64_t nr)
{
	tmm_pfn pfn[BATCH];
	size_t got = alloc_frames(fill, nr, pfn);
	tmm_err err = got == nr ? TMM_OK : TMM_E_NOMEM;

	sort_frames(pfn, got);
	for (size_t i = 0; i < got; i++)
		mark(fill->map, pfn[i], 1, fill->area, at + i);
	if (err == TMM_OK)
		err = map_frames(fill->map, fill->area, at, pfn, nr, fill->prot, fill->gfp);
	if (err == TMM_OK) {
		count_used(fill->map, fill->area, nr);
		return TMM_OK;
	}
	for (size_t i = 0; i < got; i++)
		unmark(fill->map, pfn[i], 1);
	tmm_pages_free_bulk(fill->map->pages, got, pfn);
	return err;
}

/* One large page at page `at`; false: small ones will do. */
static bool fill_large(const struct fill *fill, uint64_t at, unsigned order)
{
	/* Small pages are as good: no reserve is touched, nobody is waited for. */
	tmm_gfp gfp = (fill->gfp & ~(TMM_GFP_DIRECT_RECLAIM | TMM_GFP_NOFAIL)) |
	              TMM_GFP_NOWARN | TMM_GFP_NORETRY;
	struct map_run run = {.va = area_start(fill->area) + (at << TMM_PAGE_SHIFT),
	                      .bytes = TMM_PAGE_SIZE << order,
	                      .prot = fill->prot | TMM_KPROT_HUGE};
	tmm_pfn pfn;
	tmm_err err;

	if (order > tmm_pages_max_order(fill->map->pages))
		return false;
	err = fill->node == NODE_SELF
	              ? tmm_pages_alloc(fill->map->pages, gfp, order, &pfn)
	              : tmm_pages_alloc_node(fill->map->pages, fill->node, gfp, order, &pfn);
	if (err != TMM_OK)
		return false;
	mark(fill->map, pfn, UINT64_C(1) << order, fill->area, at);
	run.pa = pfn.v << TMM_PAGE_SHIFT;
	if (kernel_map_run(fill->map, &run, fill->gfp) == TMM_OK) {
		count_used(fill->map, fill->area, UINT64_C(1) << order);
		return true;
	}
	unmark(fill->map, pfn, UINT64_C(1) << order);
	tmm_pages_free(fill->map->pages, pfn, order);
	return false;
}

static unsigned large_order(const struct tmm_kernel_map *map)
{
	return tmm_mmu_format(map->geometry)->level[2].shift - TMM_PAGE_SHIFT;
}

static tmm_err fill_area(const struct fill *fill)
{
	uint64_t nr_pages = fill->area->bytes >> TMM_PAGE_SHIFT;
	unsigned order = large_order(fill->map);
	uint64_t large = UINT64_C(1) << order, at = 0;

	while (at < nr_pages) {
		uint64_t nr = min_u64(nr_pages - at, BATCH);
		tmm_err err;

		if (fill->wants_large && at % large == 0 && nr_pages - at >= large &&
		    fill_large(fill, at, order)) {
			at += large;
			continue;
		}
		err = fill_small(fill, at, nr);
		if (err != TMM_OK)
			return err;
		at += nr;
	}
	return TMM_OK;
}

/* What is asked for beside size and flags. */
struct wish {
	uint32_t node;
	bool large;
};

static void *lend(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp,
                  struct wish wish, const void *site)
{
	uint64_t bytes = align_up(size_bytes, TMM_PAGE_SIZE);
	uint64_t large = TMM_PAGE_SIZE << large_order(map);
	struct fill fill = {
		.map = map,
		.gfp = gfp & TMM_GFP_DMA || gfp & TMM_GFP_DMA32 ? gfp : gfp | TMM_GFP_HIGHMEM,
		.node = wish.node,
		.prot = TMM_KPROT_KERNEL,
		.wants_large = wish.large && bytes >= large,
	};

	if (!tmm_port_allow("vmalloc") || !size_bytes || bytes < size_bytes ||
	    bytes >> TMM_PAGE_SHIFT > tmm_pages_managed_count(map->pages))
		return NULL;
	fill.area = area_get(map, &(struct area_request){
					  .bytes = bytes,
					  .align_bytes = fill.wants_large ? large : 0,
					  .kind = TMM_VM_ALLOC,
					  .gfp = gfp,
					  .caller = site,
				  });
	if (!fill.area)
		return NULL;
	if (fill_area(&fill) == TMM_OK)
		return tmm_kernel_pointer(map, (tmm_vaddr){area_start(fill.area)});
	drop_frames(map, fill.area);
	area_put_now(map, fill.area);
	return NULL;
}

void *tmm_vmalloc(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp)
{
	return lend(map, size_bytes, gfp, (struct wish){.node = NODE_SELF}, SITE);
}

void *tmm_vzalloc(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp)
{
	return lend(map, size_bytes, gfp | TMM_GFP_ZERO, (struct wish){.node = NODE_SELF},
	            SITE);
}

void *tmm_vmalloc_node(struct tmm_kernel_map *map, uint64_t size_bytes, unsigned node,
                       tmm_gfp gfp)
{
	if (node >= tmm_pages_nr_nodes(map->pages))
		return NULL;
	return lend(map, size_bytes, gfp, (struct wish){.node = node}, SITE);
}

void *tmm_vmalloc_huge(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp)
{
	return lend(map, size_bytes, gfp, (struct wish){.node = NODE_SELF, .large = true},
	            SITE);
}

void tmm_vfree(struct tmm_kernel_map *map, const void *address)
{
	struct vm_area *area;

	if (!address)
		return;
	area = area_take_back(map, address, TMM_VM_ALLOC,
	                      "tmm_vfree() is for the start of an area of tmm_vmalloc()", SITE);
	drop_frames(map, area);
	area_put(map, area);
}

/* ---- frames of the caller's ---- */

void *tmm_vmap(struct tmm_kernel_map *map, const tmm_pfn *pfns, size_t nr, unsigned prot,
               tmm_gfp gfp)
{
	struct vm_area *area;

	if (!nr || nr > tmm_pages_managed_count(map->pages))
		return NULL;
	for (size_t i = 0; i < nr; i++)
		TMM_ASSERT(pfn_valid(map->pages, pfns[i]));
	area = area_get(map, &(struct area_request){.bytes = nr << TMM_PAGE_SHIFT,
	                                            .kind = TMM_VM_MAP,
	                                            .gfp = gfp,
	                                            .caller = SITE});
	if (!area)
		return NULL;
	if (map_frames(map, area, 0, pfns, nr, prot, gfp) != TMM_OK) {
		area_put_now(map, area);
		return NULL;
	}
	/* relaxed: a moment's value for whoever lists areas */
	__atomic_store_n(&area->nr_pages, nr, __ATOMIC_RELAXED);
	return tmm_kernel_pointer(map, (tmm_vaddr){area_start(area)});
}

void tmm_vunmap(struct tmm_kernel_map *map, const void *address)
{
	struct vm_area *area;

	if (!address)
		return;
	area = area_take_back(map, address, TMM_VM_MAP,
	                      "tmm_vunmap() is for the start of an area of tmm_vmap()", SITE);
	kernel_clear(map, area_start(area), area->at.range.end, NULL, NULL);
	area_put(map, area);
}

/* ---- looking ---- */

bool tmm_is_vmalloc_addr(const struct tmm_kernel_map *map, const void *address)
{
	const struct window *window = &map->window[TMM_WINDOW_VMALLOC];

	return window->pointer && (uint64_t)((uintptr_t)address - (uintptr_t)window->pointer) <
	                                  window->usable_bytes;
}

tmm_pfn tmm_vmalloc_to_pfn(struct tmm_kernel_map *map, const void *address)
{
	if (!tmm_is_vmalloc_addr(map, address))
		kernel_report(map, address, "tmm_vmalloc_to_pfn() is for the vmalloc window",
		              SITE);
	return tmm_kernel_frame(map, address);
}

/* Copy what one page of an area holds, from its frame: the mapping may go meanwhile. */
static void read_page(struct tmm_kernel_map *map, char *to, const char *from, uint64_t bytes)
{
	tmm_pfn pfn = tmm_vmalloc_to_pfn(map, from);
	uint64_t offset = (uintptr_t)from & (TMM_PAGE_SIZE - 1);

	const char *page;

	if (pfn.v == TMM_PFN_NONE.v || !pfn_valid(map->pages, pfn)) {
		memset(to, 0, bytes);
		return;
	}
	page = page_map_local(map->pages, pfn);
	memcpy(to, page + offset, bytes);
	page_unmap_local(map->pages, page);
}

uint64_t tmm_vread(struct tmm_kernel_map *map, void *to, const void *address,
                   uint64_t size_bytes)
{
	uint64_t done = 0, known = 0;

	while (done < size_bytes) {
		const char *from = (const char *)address + done;
		uint64_t bytes = TMM_PAGE_SIZE - ((uintptr_t)from & (TMM_PAGE_SIZE - 1));
		struct tmm_vm_area_info area;
		tmm_vaddr va;

		bytes = min_u64(bytes, size_bytes - done);
		if (!tmm_is_vmalloc_addr(map, from) || !tmm_kernel_address(map, from, &va))
			break;
		if (!tmm_vm_area_find(map, va, &area) || area.kind == TMM_VM_IOREMAP)
			memset((char *)to + done, 0, bytes);
		else
			read_page(map, (char *)to + done, from, bytes);
		done += bytes;
		if (tmm_vm_area_find(map, va, &area) && !area.is_freed &&
		    va.v < area.start.v + area.size_bytes - TMM_PAGE_SIZE)
			known = done;
	}
	return known;
}
