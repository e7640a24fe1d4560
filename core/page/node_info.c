/*
 * node_info.c - what there is to see of a node
 *
 * A page is counted by the CPU that puts it to use, and counted down by the one
 * that is done with it: a single CPU's count may well be below zero, and only the
 * sum of all CPUs' is what the node has.  Arithmetic wraps, so the sum is right.
 */
#include <tuxmm/node.h>

#include "page/zone.h"

_Static_assert(TMM_MAX_CPUS == 4 * 64, "struct tmm_node_info.cpus has a bit for each");

uint64_t node_stat_sum(const struct tmm_pages *pages, unsigned node, enum node_stat item)
{
	uint64_t sum = 0;

	/* relaxed: moment's values of other CPUs' */
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		sum += __atomic_load_n(&pages->cpu[c]->node_stat[node][item], __ATOMIC_RELAXED);
	return sum;
}

uint64_t node_stat_total(const struct tmm_pages *pages, enum node_stat item)
{
	uint64_t sum = 0;

	for (unsigned n = 0; n < pages->nr_nodes; n++)
		sum += node_stat_sum(pages, n, item);
	return sum;
}

void node_stat_add_pages(const struct tmm_pages *pages, const tmm_pfn *pfns, size_t nr,
                         enum node_stat item, int sign)
{
	if (pages->nr_nodes == 1) {
		node_stat_count(pages, 0, item, sign * (int64_t)nr);
		return;
	}
	for (size_t i = 0; i < nr; i++)
		node_stat_add(pages, pfns[i], item, sign);
}

static void add_zones(const struct tmm_pages *pages, unsigned node, struct tmm_node_info *out)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		const struct zone *zone = &pages->zone[z];

		if (zone->node != node)
			continue;
		out->present_pages += size_of(&zone->present);
		out->managed_pages += size_of(&zone->managed);
		out->free_pages += zone_free(zone);
		zone_numa_add(pages, zone, &out->numa);
	}
}

bool tmm_node_info(struct tmm_pages *pages, unsigned node, struct tmm_node_info *out)
{
	if (node >= pages->nr_nodes)
		return false;
	*out = (struct tmm_node_info){
		.slab_reclaimable_pages = node_stat_sum(pages, node, NR_SLAB_RECLAIMABLE),
		.slab_unreclaimable_pages = node_stat_sum(pages, node, NR_SLAB_UNRECLAIMABLE),
		.anon_pages = node_stat_sum(pages, node, NR_ANON_PAGES),
		.file_pages = node_stat_sum(pages, node, NR_FILE_PAGES),
		.mapped_pages = node_stat_sum(pages, node, NR_FILE_MAPPED),
		.dirty_pages = node_stat_sum(pages, node, NR_FILE_DIRTY),
		.shmem_pages = node_stat_sum(pages, node, NR_SHMEM),
		.table_pages = node_stat_sum(pages, node, NR_PAGETABLE),
		.dirtied_pages = node_stat_sum(pages, node, NR_DIRTIED),
		.written_pages = node_stat_sum(pages, node, NR_WRITTEN),
	};
	add_zones(pages, node, out);
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		if (pages->cpus->cpu[c].node == node)
			out->cpus[c / 64] |= UINT64_C(1) << c % 64;
	return true;
}

unsigned tmm_pages_nr_cpus(const struct tmm_pages *pages)
{
	return pages->cpus->nr;
}
