/*
 * nodes_rig_test.h - a machine of three nodes, for the tests of core/page
 *
 *   node       0         1         2        64 MiB each, 0 and 1 near, 2 far
 *   zones   DMA|DMA32  DMA32     DMA32
 *   CPUs       0         1        none
 */
#ifndef TUXMM_PAGE_NODES_RIG_TEST_H
#define TUXMM_PAGE_NODES_RIG_TEST_H

#include <tuxmm/policy.h>

#include "page/rig_test.h"

#define NR_NODES 3u
#define PER_NODE (64 * MIB)

static struct rig rig;

static const uint8_t nodes_distance[TMM_MAX_NODES][TMM_MAX_NODES] = {
	{10, 15, 30}, {15, 10, 20}, {30, 20, 10}};

static inline struct tmm_pages *boot_nodes(struct pages_config config, uint64_t per_node)
{
	rig_begin(&rig, NR_NODES * per_node, 2);
	rig.cpus.cpu[1].node = 1;
	for (uint32_t n = 0; n < NR_NODES; n++)
		CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){n * per_node}, per_node, n) ==
		      TMM_OK);
	config.nr_nodes = NR_NODES;
	config.distance = nodes_distance;
	if (!config.min_free_kbytes)
		config.min_free_kbytes = NO_RESERVE;
	return rig_boot_as(&rig, config);
}

static inline struct tmm_pages *boot(struct pages_config config)
{
	return boot_nodes(config, PER_NODE);
}

static inline unsigned node_of_frame(struct tmm_pages *pages, tmm_pfn pfn)
{
	CHECK(tmm_pfn_node(pages, pfn) == pfn.v * TMM_PAGE_SIZE / PER_NODE);
	return tmm_pfn_node(pages, pfn);
}

static inline struct tmm_numa_counts counts_of(struct tmm_pages *pages, unsigned node)
{
	struct tmm_numa_counts sum = {0};

	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		struct tmm_zone_info info;

		if (!tmm_zone_info(pages, node, (enum tmm_zone_id)z, &info))
			continue;
		sum.hit += info.numa.hit;
		sum.miss += info.numa.miss;
		sum.foreign += info.numa.foreign;
		sum.interleave_hit += info.numa.interleave_hit;
		sum.local += info.numa.local;
		sum.other += info.numa.other;
	}
	return sum;
}

#endif
