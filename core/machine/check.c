/*
 * check.c - what must hold between the storeys
 *
 * Each storey checks itself; here their accounts of the frames are compared.
 * What a frame is, its descriptor says (page/page.h).
 *   I1  a frame is free and of no kind, or lent and of at most one kind
 *   I2  slab frames are as many as all caches or SLOB count, large runs likewise
 *   I3  pages that belong to a file are as many as the page cache counts
 *   I4  mapped private pages and page tables are as many as all address spaces
 *       count, and one page of zeroes serves them all
 *   I5  a slab frame's cache is of this machine, a large run's system too
 *   I6  what each node counts by use is what its frames are
 *   I7  frames of vmalloc areas are as many as the kernel map counts
 *   I8  frames of tables of accounts are as many as were made
 */
#include "machine/machine.h"

struct census {
	struct tmm_machine *machine;
	uint64_t nr[NR_PAGE_KINDS]; /* frames of each kind */
	uint64_t nr_cut;         /* of PAGE_FILE, cut out of their file and still referenced */
	uint64_t nr_pinned;      /* of PAGE_ANON, no longer mapped but still referenced */
	uint64_t nr_reclaimable; /* of PAGE_SLAB */

	/* Of each node; what the page cache has, that checks itself. */
	uint64_t of_node[TMM_MAX_NODES][NR_NODE_STATS];
};

/* What a lent frame counts as. */
static enum node_stat use_of(const struct page *page, bool reclaimable)
{
	switch (page->kind) {
	case PAGE_SLAB:
		return reclaimable ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE;
	case PAGE_SLOB:
	case PAGE_LARGE:
		return NR_SLAB_UNRECLAIMABLE;
	case PAGE_TABLE:
		return NR_PAGETABLE;
	case PAGE_ANON:
		return page->mapcount ? NR_ANON_PAGES : NR_NODE_STATS;
	default:
		return NR_NODE_STATS;
	}
}

static void count_page(void *arg, tmm_pfn pfn, const struct page *page)
{
	struct census *census = arg;
	const struct page *head = page->flags & PG_TAIL ? page->owner : page;
	const struct tmm_cache *cache = head->owner;
	bool reclaimable = false;
	enum node_stat use;

	TMM_ASSERT(page->kind < NR_PAGE_KINDS);
	census->nr[page->kind]++;
	census->nr_cut += page->kind == PAGE_FILE && !page->owner;
	census->nr_pinned += page->kind == PAGE_ANON && !page->mapcount;
	if (page->kind == PAGE_SLAB) {
		TMM_ASSERT(head->kind == PAGE_SLAB &&
		           cache->slabs == &census->machine->slabs); /* I5 */
		reclaimable = (cache->page_gfp & TMM_GFP_RECLAIMABLE) != 0;
		census->nr_reclaimable += reclaimable;
	}
	if (page->kind == PAGE_LARGE || page->kind == PAGE_SLOB)
		TMM_ASSERT(head->kind == page->kind &&
		           head->owner == &census->machine->slabs); /* I5 */
	use = use_of(page, reclaimable);
	/* The kernel's own tables count as nothing, as Linux's do. */
	if (use < NR_NODE_STATS && page->owner != &census->machine->kernel_map.mmu)
		census->of_node[pfn_node(&census->machine->pages, pfn)][use]++;
}

/* I6 */
static void check_nodes(const struct census *census)
{
	static const enum node_stat counted[] = {NR_SLAB_RECLAIMABLE, NR_SLAB_UNRECLAIMABLE,
	                                         NR_ANON_PAGES, NR_PAGETABLE};

	for (unsigned n = 0; n < TMM_MAX_NODES; n++)
		for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
			TMM_ASSERT(node_stat_sum(&census->machine->pages, n, counted[i]) ==
			           census->of_node[n][counted[i]]);
}

void tmm_check(struct tmm_machine *machine)
{
	struct census census = {.machine = machine};
	struct tmm_pages *pages = &machine->pages;
	struct tmm_space_totals spaces;
	uint64_t of_a_kind = 0, nr_slab;

	tmm_memblock_check(&machine->memblock);
	tmm_pages_check(pages);
	tmm_slab_check(&machine->slabs);
	tmm_iomem_check(&machine->iomem);
	tmm_iomem_check(&machine->ioports);
	tmm_kernel_map_check(&machine->kernel_map);
	tmm_dma_check(&machine->dma);
	tmm_cache_check(&machine->cache);
	tmm_space_check(&machine->spaces);
	tmm_space_totals(&machine->spaces, &spaces);
	pages_for_each(pages, count_page, &census);
	for (unsigned kind = PAGE_NONE + 1; kind < NR_PAGE_KINDS; kind++)
		of_a_kind += census.nr[kind];
	/* I1: free frames have no kind, says tmm_pages_check(); so these are lent. */
	TMM_ASSERT(of_a_kind + tmm_pages_free_count(pages) <= tmm_pages_managed_count(pages));
	nr_slab = census.nr[PAGE_SLAB] + census.nr[PAGE_SLOB] + census.nr[PAGE_LARGE];
	TMM_ASSERT(nr_slab == machine->slabs.nr_pages);                             /* I2 */
	TMM_ASSERT(census.nr_reclaimable == tmm_slab_pages(&machine->slabs, true)); /* I2 */
	TMM_ASSERT(nr_slab - census.nr_reclaimable ==
	           tmm_slab_pages(&machine->slabs, false)); /* I2 */
	TMM_ASSERT(census.nr[PAGE_FILE] - census.nr_cut ==
	           tmm_cache_pages(&machine->cache));                             /* I3 */
	TMM_ASSERT(census.nr[PAGE_ANON] - census.nr_pinned == spaces.anon_pages); /* I4 */
	TMM_ASSERT(census.nr[PAGE_TABLE] ==
	           spaces.table_pages + kernel_map_tables(&machine->kernel_map)); /* I4 */
	TMM_ASSERT(census.nr[PAGE_ZERO] == 1);                                    /* I4 */
	TMM_ASSERT(census.nr[PAGE_VMALLOC] == machine->kernel_map.used_pages);    /* I7 */
	TMM_ASSERT(census.nr[PAGE_ACCOUNT] == pages->accounts.nr_tables);         /* I8 */
	check_nodes(&census);
}
