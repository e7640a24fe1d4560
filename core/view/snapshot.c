/*
 * snapshot.c - ask every storey once
 */
#include "view/snapshot.h"

#define LARGE_PAGE (UINT64_C(1) << 21)
#define HUGE_PAGE  (UINT64_C(1) << 30)

/* The whole pages of that size inside [start, end), as a range; empty when there are none. */
static struct tmm_region whole_pages(uint64_t start, uint64_t end, uint64_t page_bytes)
{
	struct tmm_region inner = {.start = align_up(start, page_bytes),
	                           .end = align_down(end, page_bytes)};

	if (inner.start >= inner.end)
		inner.start = inner.end = start;
	return inner;
}

static void direct_map_add(struct direct_map *map, uint64_t start, uint64_t end)
{
	struct tmm_region large = whole_pages(start, end, LARGE_PAGE);
	struct tmm_region huge = whole_pages(start, end, HUGE_PAGE);
	uint64_t huge_bytes = huge.end - huge.start;
	uint64_t large_bytes = large.end - large.start;

	map->huge_bytes += huge_bytes;
	map->large_bytes += large_bytes - huge_bytes;
	map->small_bytes += end - start - large_bytes;
}

void snapshot_take(struct tmm_machine *machine, struct snapshot *out)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	struct tmm_cache_system *cache = tmm_machine_cache(machine);
	const struct tmm_memblock *mb = tmm_machine_memblock(machine);

	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		out->zone[z].populated = tmm_zone_info(pages, (enum tmm_zone_id)z,
		                                       &out->zone[z].info);
	tmm_pages_events(pages, &out->events);
	tmm_space_totals(tmm_machine_spaces(machine), &out->space);
	out->slab_reclaimable_pages = tmm_slab_pages(slabs, true);
	out->slab_unreclaimable_pages = tmm_slab_pages(slabs, false);
	out->cache_pages = tmm_cache_pages(cache);
	out->cache_dirty_pages = tmm_cache_dirty_pages(cache);
	out->cache_shmem_pages = tmm_cache_shmem_pages(cache);
	out->cache_read_pages = tmm_cache_pages_read(cache);
	out->cache_written_pages = tmm_cache_pages_written(cache);
	out->direct_map = (struct direct_map){.small_bytes = 0};
	for (uint32_t i = 0; i < mb->memory.nr; i++)
		direct_map_add(&out->direct_map, mb->memory.region[i].start,
		               mb->memory.region[i].end);
}
