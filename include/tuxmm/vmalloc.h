/*
 * vmalloc.h - memory that is adjacent by address alone
 *
 * tmm_vmalloc() lends as many frames as a size needs, from wherever they are, and
 * maps them one after the other.  Behind each area lies a page that maps nothing, so
 * that whoever runs over the end faults.
 *
 * An area that is freed gives its frames and its entries back at once; what caches the
 * entries is flushed later, for many areas together, and only then can the
 * addresses be lent again.  So a stale pointer may work for a while, as in Linux;
 * with TMM_DEBUG_UNMAP (tuxmm/page_debug.h) it faults at once.
 *
 * Pointers are the program's, see tuxmm/kernel_map.h; reports have Linux's addresses.
 *
 * Errors   NULL: no memory, no addresses, or a port without windows
 * Owning   an area is its borrower's until tmm_vfree(), tmm_vunmap() or
 *          tmm_vm_area_put(), whichever belongs to how it was got
 * Locks    rank VMAP.  Requests sleep where `gfp` allows; freeing never sleeps and may
 *          be done in any context, with locks of lower ranks held
 * Linux    mm/vmalloc.c, /proc/vmallocinfo
 */
#ifndef TUXMM_VMALLOC_H
#define TUXMM_VMALLOC_H

#include <tuxmm/kernel_map.h>

/*
 * An area of size bytes, rounded up to whole pages.  gfp: TMM_GFP_ZERO clears it;
 * TMM_GFP_HIGHMEM is implied, frames need no address of their own.
 * tmm_vmalloc_huge() takes large pages (2 MiB, or 4 MiB with two levels) where the
 * size has room for them and such runs are free.
 */
void *tmm_vmalloc(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp);
void *tmm_vzalloc(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp);
void *tmm_vmalloc_node(struct tmm_kernel_map *map, uint64_t size_bytes, unsigned node,
                       tmm_gfp gfp);
void *tmm_vmalloc_huge(struct tmm_kernel_map *map, uint64_t size_bytes, tmm_gfp gfp);

/* NULL is ignored.  Anything but the start of an area of tmm_vmalloc()'s: panics. */
void tmm_vfree(struct tmm_kernel_map *map, const void *address);

/* Map the caller's frames, which stay the caller's.  prot: TMM_KPROT_*. */
void *tmm_vmap(struct tmm_kernel_map *map, const tmm_pfn *pfns, size_t nr, unsigned prot,
               tmm_gfp gfp);
void tmm_vunmap(struct tmm_kernel_map *map, const void *address);

/* Does it point into the vmalloc window? */
bool tmm_is_vmalloc_addr(const struct tmm_kernel_map *map, const void *address);

/* The frame behind an address of that window; TMM_PFN_NONE: nothing is mapped. */
tmm_pfn tmm_vmalloc_to_pfn(struct tmm_kernel_map *map, const void *address);

/*
 * Read up to size bytes from an address of the window as Linux's /proc/kcore does: what
 * is not mapped, and registers, read as zeroes.  Returns the bytes up to the last
 * that an area holds; 0: no area overlaps.
 */
uint64_t tmm_vread(struct tmm_kernel_map *map, void *to, const void *address,
                   uint64_t size_bytes);

/* Flush all areas that wait for it (Linux: vm_unmap_aliases()); returns their pages. */
uint64_t tmm_vmalloc_purge(struct tmm_kernel_map *map);

/* ---- areas to map in by oneself ---- */

enum tmm_vm_kind { TMM_VM_ALLOC, TMM_VM_MAP, TMM_VM_IOREMAP, TMM_VM_DMA, TMM_NR_VM_KINDS };

/*
 * Addresses for size bytes and a guard, nothing mapped: fill with tmm_vmap_range().
 * align_bytes: 0, a page; or a power of two.  phys is for reports alone.
 * tmm_vm_area_put() unmaps what is mapped; frames are the caller's business.
 */
void *tmm_vm_area_get(struct tmm_kernel_map *map, uint64_t size_bytes, uint64_t align_bytes,
                      enum tmm_vm_kind kind, tmm_paddr phys, tmm_gfp gfp);
void tmm_vm_area_put(struct tmm_kernel_map *map, const void *address);

struct tmm_vm_area_info {
	tmm_vaddr start;
	uint64_t size_bytes; /* with the guard page, as Linux counts */
	enum tmm_vm_kind kind;
	bool is_freed;     /* and waits for the flush */
	tmm_paddr phys;    /* of TMM_VM_IOREMAP */
	uint64_t nr_pages; /* frames that tmm_vmalloc() lent or tmm_vmap() mapped */
	const void *caller;
	uint64_t nr_of_node[TMM_MAX_NODES]; /* of nr_pages, for TMM_VM_ALLOC */
};

/* The area that va is in, its guard included; false: none. */
bool tmm_vm_area_find(struct tmm_kernel_map *map, tmm_vaddr va, struct tmm_vm_area_info *out);

/* The first area that starts at or after va; false: none. */
bool tmm_vm_area_next(struct tmm_kernel_map *map, tmm_vaddr va, struct tmm_vm_area_info *out);

/*
 * What a kernel address is, in a sentence for a report: which window, which area of
 * how many bytes, got by whom, inside or just beyond it, or freed.
 */
void tmm_kernel_describe(struct tmm_kernel_map *map, tmm_vaddr va, const struct tmm_sink *sink);

struct tmm_vmalloc_stats {
	uint64_t total_bytes;     /* the window (Linux: VmallocTotal) */
	uint64_t used_pages;      /* frames of tmm_vmalloc() (Linux: VmallocUsed) */
	uint64_t lazy_pages;      /* addresses that wait for the flush, in pages */
	uint64_t lazy_most_pages; /* beyond that they are flushed */
	uint64_t purges;          /* flushes for many areas */
	uint64_t flushes;         /* of the TLBs, purges and others */
	uint64_t flushed_pages;
};
void tmm_vmalloc_stats(struct tmm_kernel_map *map, struct tmm_vmalloc_stats *out);

#endif
