/*
 * vmalloc.h - memory that is adjacent by address alone
 */
#ifndef TUXMM_LINUX_VMALLOC_H
#define TUXMM_LINUX_VMALLOC_H

#include <tuxmm/linux/slab.h>
#include <tuxmm/vmalloc.h>

typedef unsigned int pgprot_t; /* TMM_KPROT_* */

#define PAGE_KERNEL         TMM_KPROT_KERNEL
#define PAGE_KERNEL_RO      TMM_KPROT_READ
#define PAGE_KERNEL_EXEC    (TMM_KPROT_KERNEL | TMM_KPROT_EXEC)
#define PAGE_KERNEL_NOCACHE (TMM_KPROT_KERNEL | TMM_KPROT_UC_MINUS)

#define VM_MAP              (1ul << 0) /* of vmap(): how the area is used; there is one way */

TMM_LINUX_CALL void *__vmalloc(unsigned long bytes, gfp_t gfp)
{
	return tmm_vmalloc(tmm_linux.map, bytes, gfp);
}

TMM_LINUX_CALL void *vmalloc(unsigned long bytes)
{
	return tmm_vmalloc(tmm_linux.map, bytes, GFP_KERNEL);
}

TMM_LINUX_CALL void *vzalloc(unsigned long bytes)
{
	return tmm_vzalloc(tmm_linux.map, bytes, GFP_KERNEL);
}

TMM_LINUX_CALL void *vmalloc_node(unsigned long bytes, int node)
{
	if (node == NUMA_NO_NODE)
		return vmalloc(bytes);
	return tmm_vmalloc_node(tmm_linux.map, bytes, (unsigned)node, GFP_KERNEL);
}

TMM_LINUX_CALL void *vzalloc_node(unsigned long bytes, int node)
{
	if (node == NUMA_NO_NODE)
		return vzalloc(bytes);
	return tmm_vmalloc_node(tmm_linux.map, bytes, (unsigned)node, GFP_KERNEL | __GFP_ZERO);
}

/* Frames below 4 GiB. */
TMM_LINUX_CALL void *vmalloc_32(unsigned long bytes)
{
	return tmm_vmalloc(tmm_linux.map, bytes, GFP_KERNEL | __GFP_DMA32);
}

TMM_LINUX_CALL void *vmalloc_huge(unsigned long bytes, gfp_t gfp)
{
	return tmm_vmalloc_huge(tmm_linux.map, bytes, gfp);
}

/* NULL also when nr elements of so many bytes are no number. */
TMM_LINUX_CALL void *__vmalloc_array(size_t nr, size_t bytes, gfp_t gfp)
{
	size_t all;

	return __builtin_mul_overflow(nr, bytes, &all) ? NULL : __vmalloc(all, gfp);
}

TMM_LINUX_CALL void *vmalloc_array(size_t nr, size_t bytes)
{
	return __vmalloc_array(nr, bytes, GFP_KERNEL);
}

TMM_LINUX_CALL void *vcalloc(size_t nr, size_t bytes)
{
	return __vmalloc_array(nr, bytes, GFP_KERNEL | __GFP_ZERO);
}

TMM_LINUX_CALL void vfree(const void *address)
{
	tmm_vfree(tmm_linux.map, address);
}

/* The frames of pages, for kvfree(); NULL: there is no memory. */
static inline tmm_pfn *tmm_linux_pfns(struct page **pages, unsigned int nr, gfp_t gfp)
{
	tmm_pfn *pfns = (tmm_pfn *)kvmalloc_array(nr, sizeof(*pfns), gfp);

	for (unsigned int i = 0; pfns && i < nr; i++)
		pfns[i].v = page_to_pfn(pages[i]);
	return pfns;
}

/* NULL also when there is no memory for the list of frames. */
static inline void *vmap(struct page **pages, unsigned int nr, unsigned long flags,
                         pgprot_t prot)
{
	tmm_pfn *pfns = tmm_linux_pfns(pages, nr, GFP_KERNEL);
	void *address = NULL;

	(void)flags;
	if (pfns)
		address = tmm_vmap(tmm_linux.map, pfns, nr, prot, GFP_KERNEL);
	kvfree(pfns);
	return address;
}

/* NULL is ignored. */
TMM_LINUX_CALL void vunmap(const void *address)
{
	if (address)
		tmm_vunmap(tmm_linux.map, address);
}

TMM_LINUX_CALL bool is_vmalloc_addr(const void *address)
{
	return tmm_is_vmalloc_addr(tmm_linux.map, address);
}

TMM_LINUX_CALL unsigned long vmalloc_to_pfn(const void *address)
{
	return tmm_vmalloc_to_pfn(tmm_linux.map, address).v;
}

/* NULL: nothing is mapped there. */
TMM_LINUX_CALL struct page *vmalloc_to_page(const void *address)
{
	tmm_pfn pfn = tmm_vmalloc_to_pfn(tmm_linux.map, address);

	return pfn.v == TMM_PFN_NONE.v ? NULL : pfn_to_page(pfn.v);
}

TMM_LINUX_CALL void vm_unmap_aliases(void)
{
	tmm_vmalloc_purge(tmm_linux.map);
}

#endif
