/*
 * gfp.h - borrowing frames
 */
#ifndef TUXMM_LINUX_GFP_H
#define TUXMM_LINUX_GFP_H

#include <tuxmm/kmap.h>
#include <tuxmm/linux/mm_types.h>

#define __GFP_DMA            TMM_GFP_DMA
#define __GFP_DMA32          TMM_GFP_DMA32
#define __GFP_HIGHMEM        TMM_GFP_HIGHMEM
#define __GFP_MOVABLE        TMM_GFP_MOVABLE
#define __GFP_RECLAIMABLE    TMM_GFP_RECLAIMABLE
#define __GFP_THISNODE       TMM_GFP_THISNODE
#define __GFP_HIGH           TMM_GFP_HIGH
#define __GFP_IO             TMM_GFP_IO
#define __GFP_FS             TMM_GFP_FS
#define __GFP_DIRECT_RECLAIM TMM_GFP_DIRECT_RECLAIM
#define __GFP_KSWAPD_RECLAIM TMM_GFP_KSWAPD
#define __GFP_RECLAIM        TMM_GFP_RECLAIM
#define __GFP_ZERO           TMM_GFP_ZERO
#define __GFP_COMP           TMM_GFP_COMP
#define __GFP_NORETRY        TMM_GFP_NORETRY
#define __GFP_RETRY_MAYFAIL  TMM_GFP_RETRY_MAYFAIL
#define __GFP_NOFAIL         TMM_GFP_NOFAIL
#define __GFP_NOWARN         TMM_GFP_NOWARN
#define __GFP_MEMALLOC       TMM_GFP_MEMALLOC
#define __GFP_NOMEMALLOC     TMM_GFP_NOMEMALLOC
#define __GFP_ACCOUNT        TMM_GFP_ACCOUNT

#define GFP_KERNEL           TMM_GFP_KERNEL
#define GFP_KERNEL_ACCOUNT   (TMM_GFP_KERNEL | TMM_GFP_ACCOUNT)
#define GFP_ATOMIC           TMM_GFP_ATOMIC
#define GFP_NOWAIT           (TMM_GFP_NOWAIT | TMM_GFP_NOWARN)
#define GFP_NOIO             TMM_GFP_NOIO
#define GFP_NOFS             TMM_GFP_NOFS
#define GFP_USER             TMM_GFP_USER
#define GFP_DMA              TMM_GFP_DMA
#define GFP_DMA32            TMM_GFP_DMA32
#define GFP_HIGHUSER         TMM_GFP_HIGHUSER
#define GFP_HIGHUSER_MOVABLE TMM_GFP_HIGHUSER_MOVABLE
#define GFP_TRANSHUGE        TMM_GFP_TRANSHUGE
#define GFP_TRANSHUGE_LIGHT  TMM_GFP_TRANSHUGE_LIGHT

#define MAX_PAGE_ORDER       (tmm_pages_max_order(tmm_linux.pages))

TMM_LINUX_CALL bool gfpflags_allow_blocking(gfp_t gfp)
{
	return gfp & __GFP_DIRECT_RECLAIM;
}

/* ---- runs ---- */

TMM_LINUX_CALL struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	tmm_pfn pfn;

	if (tmm_pages_alloc(tmm_linux.pages, gfp, order, &pfn) != TMM_OK)
		return NULL;
	return pfn_to_page(pfn.v);
}

TMM_LINUX_CALL struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order)
{
	tmm_pfn pfn;

	if (node == NUMA_NO_NODE)
		return alloc_pages(gfp, order);
	if (tmm_pages_alloc_node(tmm_linux.pages, (unsigned)node, gfp, order, &pfn) != TMM_OK)
		return NULL;
	return pfn_to_page(pfn.v);
}

TMM_LINUX_CALL struct page *alloc_page(gfp_t gfp)
{
	return alloc_pages(gfp, 0);
}

TMM_LINUX_CALL void __free_pages(struct page *page, unsigned int order)
{
	tmm_pages_free(tmm_linux.pages, (tmm_pfn){page_to_pfn(page)}, order);
}

TMM_LINUX_CALL void __free_page(struct page *page)
{
	__free_pages(page, 0);
}

/* ---- by address ---- */

/* 0: there is no memory.  Frames always have an address: __GFP_HIGHMEM is ignored. */
TMM_LINUX_CALL unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	tmm_pfn pfn;

	if (tmm_pages_alloc(tmm_linux.pages, gfp & ~__GFP_HIGHMEM, order, &pfn) != TMM_OK)
		return 0;
	return (unsigned long)(uintptr_t)tmm_page_address(tmm_linux.pages, pfn);
}

TMM_LINUX_CALL unsigned long __get_free_page(gfp_t gfp)
{
	return __get_free_pages(gfp, 0);
}

TMM_LINUX_CALL unsigned long get_zeroed_page(gfp_t gfp)
{
	return __get_free_pages(gfp | __GFP_ZERO, 0);
}

/* Address 0 is ignored. */
TMM_LINUX_CALL void free_pages(unsigned long address, unsigned int order)
{
	const void *pointer = (const void *)(uintptr_t)address;

	if (address)
		tmm_pages_free(tmm_linux.pages, tmm_virt_to_pfn(tmm_linux.pages, pointer),
		               order);
}

TMM_LINUX_CALL void free_page(unsigned long address)
{
	free_pages(address, 0);
}

TMM_LINUX_CALL void *alloc_pages_exact(size_t bytes, gfp_t gfp)
{
	tmm_pfn pfn;

	if (tmm_pages_alloc_exact(tmm_linux.pages, gfp & ~__GFP_HIGHMEM, bytes, &pfn) != TMM_OK)
		return NULL;
	return tmm_page_address(tmm_linux.pages, pfn);
}

TMM_LINUX_CALL void free_pages_exact(void *address, size_t bytes)
{
	tmm_pages_free_exact(tmm_linux.pages, tmm_virt_to_pfn(tmm_linux.pages, address), bytes);
}

/* ---- many ---- */

/* Fills the entries that are NULL; returns how many are not, from the first on. */
static inline unsigned long alloc_pages_bulk(gfp_t gfp, unsigned long nr, struct page **pages)
{
	unsigned long i = 0, wanted, got;
	tmm_pfn pfns[32];

	for (;;) {
		while (i < nr && pages[i])
			i++;
		for (wanted = 0; wanted < 32 && i + wanted < nr; wanted++)
			if (pages[i + wanted])
				break;
		got = wanted ? tmm_pages_alloc_bulk(tmm_linux.pages, gfp, wanted, pfns) : 0;
		for (unsigned long k = 0; k < got; k++)
			pages[i++] = pfn_to_page(pfns[k].v);
		if (!wanted || got < wanted)
			return i;
	}
}

TMM_LINUX_CALL void drain_all_pages(void)
{
	tmm_pages_drain_all(tmm_linux.pages);
}

#endif
