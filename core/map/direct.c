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
