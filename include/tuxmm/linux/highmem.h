/*
 * highmem.h - addresses for frames that have none
 */
#ifndef TUXMM_LINUX_HIGHMEM_H
#define TUXMM_LINUX_HIGHMEM_H

#include <tuxmm/linux/mm.h>

/* Has it no address of its own? */
static inline bool PageHighMem(const struct page *page)
{
	struct tmm_window direct;

	return tmm_kernel_window(tmm_linux.map, TMM_WINDOW_DIRECT, &direct) &&
	       page_to_phys(page) >= direct.usable_bytes;
}

/* Waits for a slot: only where the caller may sleep. */
TMM_LINUX_CALL void *kmap(const struct page *page)
{
	return tmm_kmap(tmm_linux.map, (tmm_pfn){page_to_pfn(page)}, GFP_KERNEL);
}

TMM_LINUX_CALL void kunmap(const struct page *page)
{
	tmm_kunmap(tmm_linux.map, (tmm_pfn){page_to_pfn(page)});
}

/* A slot of the calling CPU's own: given back in reverse order. */
TMM_LINUX_CALL void *kmap_local_page(const struct page *page)
{
	return tmm_kmap_local(tmm_linux.map, (tmm_pfn){page_to_pfn(page)});
}

TMM_LINUX_CALL void *kmap_local_pfn(unsigned long pfn)
{
	return tmm_kmap_local(tmm_linux.map, (tmm_pfn){pfn});
}

TMM_LINUX_CALL void kunmap_local(const void *address)
{
	tmm_kunmap_local(tmm_linux.map, address);
}

/* The same: there is no preemption and no page fault to put off. */
TMM_LINUX_CALL void *kmap_atomic(const struct page *page)
{
	return kmap_local_page(page);
}

TMM_LINUX_CALL void kunmap_atomic(const void *address)
{
	kunmap_local(address);
}

/* ---- contents ---- */

static inline void memcpy_from_page(char *to, const struct page *page, size_t offset,
                                    size_t bytes)
{
	const char *from = (const char *)kmap_local_page(page);

	__builtin_memcpy(to, from + offset, bytes);
	kunmap_local(from);
}

static inline void memcpy_to_page(const struct page *page, size_t offset, const char *from,
                                  size_t bytes)
{
	char *to = (char *)kmap_local_page(page);

	__builtin_memcpy(to + offset, from, bytes);
	kunmap_local(to);
}

static inline void memzero_page(const struct page *page, size_t offset, size_t bytes)
{
	char *to = (char *)kmap_local_page(page);

	__builtin_memset(to + offset, 0, bytes);
	kunmap_local(to);
}

TMM_LINUX_CALL void clear_highpage(const struct page *page)
{
	memzero_page(page, 0, PAGE_SIZE);
}

static inline void copy_highpage(const struct page *to, const struct page *from)
{
	const char *source = (const char *)kmap_local_page(from);

	memcpy_to_page(to, 0, source, PAGE_SIZE);
	kunmap_local(source);
}

#endif
