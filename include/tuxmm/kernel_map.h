/*
 * kernel_map.h - the kernel's own addresses: where they are, and what they map
 *
 * A machine has a kernel map: page tables of its geometry, and four windows of
 * addresses at the places where Linux has them.
 *
 *   direct    all of RAM that has an address, one addition away
 *   vmalloc   areas whose pages are adjacent by address alone: tuxmm/vmalloc.h
 *   pkmap     high memory mapped for as long as one likes: tuxmm/kmap.h
 *   fixmap    addresses that are known when the kernel is built: tuxmm/fixmap.h
 *
 * An address (tmm_vaddr) is what Linux would print.  A pointer is where the program
 * that holds the machine finds the same bytes; from one to the other is an
 * addition per window.  The tables are the truth, what is found behind
 * a pointer is a cache of them, and behind pointers that map nothing touching
 * really faults.
 *
 * Units    addresses and sizes in bytes, ranges of whole pages
 * Errors   tmm_err; TMM_E_NOSYS where the port has no windows
 * Locks    rank VMAP, taken inside and not held over any call of the caller's
 * Linux    Documentation/arch/x86/x86_64/mm.rst, ioremap_page_range(), vmap_range()
 */
#ifndef TUXMM_KERNEL_MAP_H
#define TUXMM_KERNEL_MAP_H

#include <tuxmm/mmu.h>
#include <tuxmm/sink.h>

struct tmm_kernel_map; /* fields: core/map/kernel_map_impl.h */

enum tmm_window_id {
	TMM_WINDOW_DIRECT,
	TMM_WINDOW_VMALLOC,
	TMM_WINDOW_PKMAP, /* only where there is high memory */
	TMM_WINDOW_FIXMAP,
	TMM_NR_WINDOWS
};

struct tmm_window {
	const char *name;
	tmm_vaddr start, end;
	void *pointer;         /* to the first byte; NULL: the port has none */
	uint64_t usable_bytes; /* from start on; beyond them nothing is ever mapped */
};

/* False when the machine has no such window. */
bool tmm_kernel_window(const struct tmm_kernel_map *map, enum tmm_window_id id,
                       struct tmm_window *out);

/* The pointer for an address; NULL when it is in no window, or in one without pointers. */
void *tmm_kernel_pointer(const struct tmm_kernel_map *map, tmm_vaddr va);

/* The address of a pointer; false when it points into no window. */
bool tmm_kernel_address(const struct tmm_kernel_map *map, const void *pointer, tmm_vaddr *out);

/*
 * The direct map: from the pointer to a byte of RAM to its physical address, and back.  A
 * pointer of vmalloc, pkmap or nowhere, and an address of high memory or no RAM, is the
 * caller's bug: panics, saying what it is (Linux: CONFIG_DEBUG_VIRTUAL).
 */
tmm_paddr tmm_virt_to_phys(struct tmm_kernel_map *map, const void *pointer);
void *tmm_phys_to_virt(struct tmm_kernel_map *map, tmm_paddr pa);

/* The frame behind a pointer into any window; TMM_PFN_NONE: nothing is mapped there. */
tmm_pfn tmm_kernel_frame(struct tmm_kernel_map *map, const void *pointer);

/* What may be done with a mapping, and how the processor caches it (Linux: pgprot_t). */
#define TMM_KPROT_READ  0u
#define TMM_KPROT_WRITE (1u << 0)
#define TMM_KPROT_EXEC  (1u << 1)
#define TMM_KPROT_HUGE  (1u << 2) /* large pages where addresses and length allow */
#define TMM_KPROT_IO                                                                           \
	(1u << 3)              /* not RAM but registers: nothing is behind the                 \
	                          pointer, and touching it faults */
#define TMM_KPROT_WC (1u << 4) /* write-combining; one of four, none: write-back */
#define TMM_KPROT_UC_MINUS                                                                     \
	(1u << 5)                  /* uncached, but range registers may say write-combining    \
	                            */
#define TMM_KPROT_UC     (1u << 6) /* uncached */
#define TMM_KPROT_WT     (1u << 7) /* write-through */

#define TMM_KPROT_KERNEL TMM_KPROT_WRITE /* Linux: PAGE_KERNEL */

/*
 * Map [pa, pa + bytes) at va, in an area that the caller got from
 * tmm_vm_area_get().
 *   TMM_E_INVAL  not whole pages, not all in the vmalloc window, physical addresses
 *                that the geometry does not have, or two ways of caching
 *   TMM_E_EXIST  something is mapped there
 *   TMM_E_NOMEM  no frame for a table, or the port has no room
 * On failure nothing of the range is mapped.  May sleep for tables when `gfp` allows.
 */
TMM_MUST_CHECK tmm_err tmm_vmap_range(struct tmm_kernel_map *map, tmm_vaddr va, tmm_paddr pa,
                                      uint64_t bytes, unsigned prot, tmm_gfp gfp);

/* Unmap what is mapped of the range, and flush at once. */
void tmm_vunmap_range(struct tmm_kernel_map *map, tmm_vaddr va, uint64_t bytes);

/*
 * What the processor would do for the kernel's access to va (tmm_mmu_walk()).
 * True: no fault.
 */
bool tmm_kernel_walk(struct tmm_kernel_map *map, tmm_vaddr va, unsigned access,
                     struct tmm_mmu_result *out);

/*
 * Name who caches the kernel's translations, as a modelled TLB: told of each flush, as
 * Linux's flush_tlb_kernel_range() tells all CPUs.  NULL ops: nobody.  Before any second CPU
 * maps.
 */
void tmm_kernel_set_mmu(struct tmm_kernel_map *map, const struct tmm_mmu_ops *ops, void *mmu);

/* Panics unless tables and areas agree.  No CPU may be mapping. */
void tmm_kernel_map_check(struct tmm_kernel_map *map);

#endif
