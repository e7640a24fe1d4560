/*
 * mm.h - frames and their addresses
 */
#ifndef TUXMM_LINUX_MM_H
#define TUXMM_LINUX_MM_H

#include <tuxmm/linux/gfp.h>
#include <tuxmm/linux/slab.h>
#include <tuxmm/linux/vmalloc.h>

/* Of high memory: where kmap() has it, or NULL. */
TMM_LINUX_CALL void *page_address(const struct page *page)
{
	return tmm_kmap_address(tmm_linux.map, (tmm_pfn){page_to_pfn(page)});
}

/* Only for pointers into the direct map: all else panics, as with CONFIG_DEBUG_VIRTUAL. */
TMM_LINUX_CALL phys_addr_t virt_to_phys(const volatile void *address)
{
	return tmm_virt_to_phys(tmm_linux.map, (const void *)(uintptr_t)address).v;
}

TMM_LINUX_CALL void *phys_to_virt(phys_addr_t phys)
{
	return tmm_phys_to_virt(tmm_linux.map, (tmm_paddr){phys});
}

TMM_LINUX_CALL struct page *virt_to_page(const void *address)
{
	return pfn_to_page(tmm_virt_to_pfn(tmm_linux.pages, address).v);
}

TMM_LINUX_CALL unsigned long virt_to_pfn(const void *address)
{
	return tmm_virt_to_pfn(tmm_linux.pages, address).v;
}

TMM_LINUX_CALL void *page_to_virt(const struct page *page)
{
	return phys_to_virt(page_to_phys(page));
}

#define __pa(address)           virt_to_phys(address)
#define __va(phys)              phys_to_virt(phys)

#define offset_in_page(address) ((unsigned long)(uintptr_t)(address) & ~PAGE_MASK)

/* Does it point to RAM in the direct map? */
static inline bool virt_addr_valid(const void *address)
{
	struct tmm_window direct;

	return tmm_kernel_window(tmm_linux.map, TMM_WINDOW_DIRECT, &direct) &&
	       (uintptr_t)address - (uintptr_t)direct.pointer < direct.usable_bytes &&
	       tmm_kernel_frame(tmm_linux.map, address).v != TMM_PFN_NONE.v;
}

/* The least order whose run has room for that many bytes, at least one. */
TMM_LINUX_CALL int get_order(unsigned long bytes)
{
	unsigned long pages = (bytes - 1) >> PAGE_SHIFT;

	return pages ? (int)(sizeof(pages) * 8) - __builtin_clzl(pages) : 0;
}

#endif
