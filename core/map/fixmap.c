/*
 * fixmap.c - slots at fixed addresses
 */
#include <tuxmm/fixmap.h>

#include "map/kernel_map_impl.h"

_Static_assert(TMM_NR_FIX == FIX_NAMED, "local slots of kmap.c follow those with a name");

uint64_t kernel_fix_va(const struct tmm_kernel_map *map, uint64_t index)
{
	return map->window[TMM_WINDOW_FIXMAP].end - ((index + 1) << TMM_PAGE_SHIFT);
}

tmm_vaddr tmm_fix_to_virt(const struct tmm_kernel_map *map, enum tmm_fix slot)
{
	TMM_ASSERT(slot < TMM_NR_FIX);
	return (tmm_vaddr){kernel_fix_va(map, slot)};
}

enum tmm_fix tmm_virt_to_fix(const struct tmm_kernel_map *map, tmm_vaddr va)
{
	uint64_t below = map->window[TMM_WINDOW_FIXMAP].end - 1 - va.v;

	return below >> TMM_PAGE_SHIFT < TMM_NR_FIX ? (enum tmm_fix)(below >> TMM_PAGE_SHIFT)
	                                            : TMM_NR_FIX;
}

tmm_err tmm_set_fixmap(struct tmm_kernel_map *map, enum tmm_fix slot, tmm_paddr pa,
                       unsigned prot)
{
	struct map_run run = {.pa = pa.v, .bytes = TMM_PAGE_SIZE, .prot = prot};

	if (slot >= TMM_NR_FIX || (pa.v & ~TMM_PAGE_MASK) ||
	    (!(prot & TMM_KPROT_IO) && pa.v + TMM_PAGE_SIZE > map->ram_bytes))
		return TMM_E_INVAL;
	if (!map->window[TMM_WINDOW_FIXMAP].pointer)
		return TMM_E_NOSYS;
	tmm_clear_fixmap(map, slot);
	run.va = kernel_fix_va(map, slot);
	return kernel_map_run(map, &run, TMM_GFP_ATOMIC);
}

static void was_mapped(void *arg, uint64_t va, uint64_t page_bytes, uint64_t pa)
{
	bool *mapped = arg;

	(void)va;
	(void)page_bytes;
	(void)pa;
	*mapped = true;
}

void tmm_clear_fixmap(struct tmm_kernel_map *map, enum tmm_fix slot)
{
	uint64_t va = kernel_fix_va(map, slot);
	bool mapped = false;

	TMM_ASSERT(slot < TMM_NR_FIX);
	kernel_clear(map, va, va + TMM_PAGE_SIZE, was_mapped, &mapped);
	if (!mapped)
		return;
	kernel_flush(map, va, va + TMM_PAGE_SIZE);
	tmm_port_window_hide(tmm_kernel_pointer(map, (tmm_vaddr){va}), TMM_PAGE_SIZE);
}
