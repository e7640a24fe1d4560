/*
 * direct.c - the direct map: RAM that has an address, one addition away
 *
 * Its entries are made when somebody first walks to them, with the largest page that
 * is all RAM; until then nobody could tell that they are missing.
 */
#include "map/kernel_map_impl.h"
#include "page/zone.h"

/* Is the page of that level round pa RAM, in one piece? */
static bool is_whole(const struct tmm_kernel_map *map, uint64_t pa, unsigned level)
{
	const struct tmm_mmu_level *at = &tmm_mmu_format(map->geometry)->level[level];
	uint64_t bytes = UINT64_C(1) << at->shift, start = align_down(pa, bytes);

	return at->can_be_leaf &&
	       start + bytes <= map->window[TMM_WINDOW_DIRECT].usable_bytes &&
	       run_is_one_region(map->pages, start >> TMM_PAGE_SHIFT, bytes >> TMM_PAGE_SHIFT);
}

void direct_sync(struct tmm_kernel_map *map, uint64_t va)
{
	const struct window *direct = &map->window[TMM_WINDOW_DIRECT];
	uint64_t pa = va - direct->start, page = align_down(va, TMM_PAGE_SIZE);
	unsigned level = tmm_mmu_format(map->geometry)->nr_levels;
	tmm_err err = TMM_E_EXIST;

	if (pa >= direct->usable_bytes)
		return;
	if (!is_whole(map, pa, 1)) { /* it may have been taken away since */
		kernel_clear(map, page, page + TMM_PAGE_SIZE, NULL, NULL);
		return;
	}
	/* Where smaller pages are mapped already, one more of them.  NOMEM: a fault says so. */
	for (; level >= 1 && err == TMM_E_EXIST; level--) {
		uint64_t bytes = UINT64_C(1)
		                 << tmm_mmu_format(map->geometry)->level[level].shift;
		const struct map_run run = {.va = align_down(va, bytes),
		                            .pa = align_down(pa, bytes),
		                            .bytes = bytes,
		                            .prot = TMM_KPROT_WRITE | TMM_KPROT_HUGE};

		if (is_whole(map, pa, level))
			err = kernel_map_entries(map, &run, TMM_GFP_NOWAIT | TMM_GFP_NOWARN);
	}
}

static bool is_low_ram(const struct tmm_kernel_map *map, uint64_t pa)
{
	return pa < map->window[TMM_WINDOW_DIRECT].usable_bytes &&
	       run_is_ram(map->pages, pa >> TMM_PAGE_SHIFT, 1);
}

tmm_paddr tmm_virt_to_phys(struct tmm_kernel_map *map, const void *pointer)
{
	uint64_t pa = (uint64_t)((uintptr_t)pointer - (uintptr_t)map->pages->ram);

	if (!is_low_ram(map, pa))
		kernel_report(map, pointer, "tmm_virt_to_phys() is for the direct map",
		              __builtin_return_address(0));
	return (tmm_paddr){pa};
}

void *tmm_phys_to_virt(struct tmm_kernel_map *map, tmm_paddr pa)
{
	struct print_text text;
	struct printer printer;

	if (likely(is_low_ram(map, pa.v)))
		return (char *)map->pages->ram + pa.v;
	print_text_begin(&printer, &text, map->report, sizeof(map->report));
	print(&printer, "tmm_phys_to_virt() is for RAM with an address; 0x%llx is %s",
	      (unsigned long long)pa.v,
	      run_is_ram(map->pages, pa.v >> TMM_PAGE_SHIFT, 1) ? "high memory" : "no RAM");
	print_end(&printer);
	tmm_port_panic(__FILE__, __LINE__, map->report);
}

tmm_pfn tmm_kernel_frame(struct tmm_kernel_map *map, const void *pointer)
{
	uint64_t bytes, entry = 0;
	tmm_pfn pfn = TMM_PFN_NONE;
	tmm_vaddr va;
	tmm_irq irq;

	if (!tmm_kernel_address(map, pointer, &va))
		return pfn;
	if (va.v - map->window[TMM_WINDOW_DIRECT].start <
	    map->window[TMM_WINDOW_DIRECT].usable_bytes)
		return (tmm_pfn){(va.v - map->window[TMM_WINDOW_DIRECT].start) >>
		                 TMM_PAGE_SHIFT};
	irq = lock_take_irqsave(&map->lock);
	if (map->has_tables)
		entry = mmu_leaf(&map->mmu, va.v, &bytes);
	if (entry)
		pfn.v = (mmu_target(&map->mmu, entry, bytes) + (va.v & (bytes - 1))) >>
		        TMM_PAGE_SHIFT;
	lock_drop_irqrestore(&map->lock, irq);
	return pfn;
}
