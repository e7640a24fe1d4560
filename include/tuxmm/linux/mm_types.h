/*
 * mm_types.h - struct page: handles of frames
 */
#ifndef TUXMM_LINUX_MM_TYPES_H
#define TUXMM_LINUX_MM_TYPES_H

#include <tuxmm/linux/tmm.h>
#include <tuxmm/policy.h>

#define PAGE_SHIFT          TMM_PAGE_SHIFT
#define PAGE_SIZE           ((unsigned long)TMM_PAGE_SIZE)
#define PAGE_MASK           (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(address) (((address) + PAGE_SIZE - 1) & PAGE_MASK)
#define PFN_UP(address)     (((address) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(address)   ((address) >> PAGE_SHIFT)
#define PFN_PHYS(pfn)       ((phys_addr_t)(pfn) << PAGE_SHIFT)

/* Where the handle of frame 0 is, with four levels of page tables. */
#define VMEMMAP_START UINT64_C(0xffffea0000000000)

/* As long as Linux's: to step from one frame's to the next. */
struct page {
	unsigned char opaque[64];
};

TMM_LINUX_CALL struct page *pfn_to_page(unsigned long pfn)
{
	return (struct page *)(uintptr_t)(VMEMMAP_START + pfn * sizeof(struct page));
}

TMM_LINUX_CALL unsigned long page_to_pfn(const struct page *page)
{
	return (unsigned long)(((uintptr_t)page - VMEMMAP_START) / sizeof(struct page));
}

TMM_LINUX_CALL phys_addr_t page_to_phys(const struct page *page)
{
	return PFN_PHYS(page_to_pfn(page));
}

TMM_LINUX_CALL struct page *phys_to_page(phys_addr_t phys)
{
	return pfn_to_page((unsigned long)(phys >> PAGE_SHIFT));
}

TMM_LINUX_CALL int page_to_nid(const struct page *page)
{
	return (int)tmm_pfn_node(tmm_linux.pages, (tmm_pfn){page_to_pfn(page)});
}

/* Of a run that was asked for with __GFP_COMP; of others the page itself, and 0. */
TMM_LINUX_CALL struct page *compound_head(const struct page *page)
{
	return pfn_to_page(tmm_page_head(tmm_linux.pages, (tmm_pfn){page_to_pfn(page)}).v);
}

TMM_LINUX_CALL unsigned int compound_order(const struct page *page)
{
	return tmm_page_order(tmm_linux.pages, (tmm_pfn){page_to_pfn(page)});
}

TMM_LINUX_CALL unsigned long page_size(const struct page *page)
{
	return PAGE_SIZE << compound_order(page);
}

#endif
