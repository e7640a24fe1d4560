/*
 * snapshot.c - ask every storey once
 */
#include "view/snapshot.h"

#include "page/page_system.h"

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

/* Free frames in runs of a whole 2 MiB block and more. */
static uint64_t free_in_blocks(const struct tmm_zone_info *zone)
{
	uint64_t pages = 0;

	for (unsigned order = 9; order < TMM_NR_ORDERS; order++)
		pages += zone->free_area[order] << order;
	return pages;
}

/* Frames that a zone keeps back from ordinary requests. */
static uint64_t kept_back(const struct tmm_zone_info *zone)
{
	uint64_t most = 0;

	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		most = max_u64(most, zone->lowmem_reserve[z]);
	return min_u64(most + zone->watermark_high, zone->managed_pages);
}

static void numa_counts_add(struct tmm_numa_counts *sum, const struct tmm_numa_counts *counts)
{
	sum->hit += counts->hit;
	sum->miss += counts->miss;
	sum->foreign += counts->foreign;
	sum->interleave_hit += counts->interleave_hit;
	sum->local += counts->local;
	sum->other += counts->other;
}

void zone_sums_add(struct zone_sums *sums, const struct tmm_zone_info *zone)
{
	sums->managed += zone->managed_pages;
	sums->free += zone->free_pages;
	sums->free_blocks += free_in_blocks(zone);
	if (zone->name[0] == 'H') { /* HighMem; no other name begins so */
		sums->high += zone->managed_pages;
		sums->free_high += zone->free_pages;
	}
	sums->cma += zone->cma_pages;
	sums->free_cma += zone->free_cma_pages;
	sums->reserve += kept_back(zone);
	sums->low += zone->watermark_low;
	numa_counts_add(&sums->numa, &zone->numa);
}

void node_uses_add(struct tmm_node_info *uses, const struct tmm_node_info *node)
{
	uses->slab_reclaimable_pages += node->slab_reclaimable_pages;
	uses->slab_unreclaimable_pages += node->slab_unreclaimable_pages;
	uses->anon_pages += node->anon_pages;
	uses->file_pages += node->file_pages;
	uses->mapped_pages += node->mapped_pages;
	uses->dirty_pages += node->dirty_pages;
	uses->shmem_pages += node->shmem_pages;
	uses->table_pages += node->table_pages;
	uses->dirtied_pages += node->dirtied_pages;
	uses->written_pages += node->written_pages;
}

bool zone_shot_next(struct tmm_machine *machine, unsigned *cursor, struct zone_shot *out)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	unsigned nr_nodes = tmm_pages_nr_nodes(pages);

	for (; *cursor < nr_nodes * TMM_NR_ZONES; ++*cursor) {
		unsigned node = *cursor / TMM_NR_ZONES;

		out->id = (enum tmm_zone_id)(*cursor % TMM_NR_ZONES);
		if (!tmm_zone_exists(pages, out->id))
			continue;
		if (out->id == TMM_ZONE_DMA)
			out->nr_carried = node;
		++*cursor;
		out->populated = tmm_zone_info(pages, node, out->id, &out->info);
		out->carries_node = out->populated && out->nr_carried == node &&
		                    tmm_node_info(pages, node, &out->node);
		out->nr_carried += out->carries_node;
		return true;
	}
	return false;
}

static void cma_requests(struct tmm_pages *pages, struct snapshot *out)
{
	struct tmm_cma *area;

	for (unsigned i = 0; (area = tmm_cma_area(pages, i)); i++) {
		struct tmm_cma_info info;

		tmm_cma_info(area, &info);
		out->cma_allocs += info.nr_allocs;
		out->cma_failed += info.nr_failed;
	}
}

/* relaxed: a moment's value, which hot-plug changes */
static uint64_t memmap_pages(const struct tmm_pages *pages)
{
	return __atomic_load_n(&pages->map.array_pages, __ATOMIC_RELAXED);
}

void snapshot_take(struct tmm_machine *machine, struct snapshot *out)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	const struct tmm_memblock *mb = tmm_machine_memblock(machine);
	struct zone_shot zone = {.nr_carried = 0};
	unsigned cursor = 0;

	*out = (struct snapshot){.nr_nodes = tmm_pages_nr_nodes(pages)};
	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		out->zone_exists[z] = tmm_zone_exists(pages, (enum tmm_zone_id)z);
	while (zone_shot_next(machine, &cursor, &zone))
		zone_sums_add(&out->zones, &zone.info);
	tmm_pages_events(pages, &out->events);
	tmm_vmalloc_stats(tmm_machine_kernel_map(machine), &out->vmalloc);
	tmm_space_totals(tmm_machine_spaces(machine), &out->space);
	for (unsigned n = 0; tmm_node_info(pages, n, &zone.node); n++)
		node_uses_add(&out->uses, &zone.node);
	tmm_migrate_events(pages, &out->migrate);
	cma_requests(pages, out);
	out->read_pages = tmm_cache_pages_read(tmm_machine_cache(machine));
	out->stolen_kswapd = vm_event_sum(pages, PGSTEAL_KSWAPD);
	out->stolen_direct = vm_event_sum(pages, PGSTEAL_DIRECT);
	out->kswapd_runs = vm_event_sum(pages, PAGEOUTRUN);
	out->memmap_boot_pages = min_u64(pages->map.boot_pages, memmap_pages(pages));
	out->memmap_pages = memmap_pages(pages) - out->memmap_boot_pages;
	for (uint32_t i = 0; i < mb->memory.nr; i++)
		direct_map_add(&out->direct_map, mb->memory.region[i].start,
		               mb->memory.region[i].end);
}
