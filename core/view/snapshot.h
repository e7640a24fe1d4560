/*
 * snapshot.h - the numbers of one moment, from which the views print
 *
 * snapshot_take() asks every storey once; the printers below read nothing else,
 * so that the sums of one file agree, and a test can print a machine that never
 * was.
 */
#ifndef TUXMM_VIEW_SNAPSHOT_H
#define TUXMM_VIEW_SNAPSHOT_H

#include <tuxmm/cma.h>
#include <tuxmm/machine.h>
#include <tuxmm/migrate.h>
#include <tuxmm/vmalloc.h>
#include <tuxmm/node.h>

#include "base/print.h"

/* One zone, when its turn comes. */
struct zone_shot {
	struct tmm_zone_info info;
	struct tmm_node_info node; /* if carries_node */
	enum tmm_zone_id id;
	bool populated;
	bool carries_node;   /* the first zone of its node with memory */
	uint32_t nr_carried; /* nodes before, and this one if such a zone was there */
};

/* Sums over all zones. */
struct zone_sums {
	uint64_t managed, free, free_blocks; /* pages; free_blocks: in runs of 2 MiB and more */
	uint64_t cma, free_cma;              /* of contiguous areas; free of these */
	uint64_t high, free_high;            /* without an address; free of these */
	uint64_t reserve, low;               /* kept back; low watermarks */
	struct tmm_numa_counts numa;
};

/* RAM in the direct map, by the size of the largest page that could map it. */
struct direct_map {
	uint64_t small_bytes, large_bytes, huge_bytes; /* 4 KiB, 2 MiB, 1 GiB */
};

struct snapshot {
	struct zone_sums zones;
	uint32_t nr_nodes;
	bool zone_exists[TMM_NR_ZONES]; /* kinds that the machine knows */
	struct tmm_page_events events;
	struct tmm_space_totals space;
	struct direct_map direct_map;
	struct tmm_vmalloc_stats vmalloc;
	struct tmm_node_info uses;                /* of all nodes together */
	uint64_t read_pages;                      /* from files, since boot */
	uint64_t memmap_boot_pages, memmap_pages; /* frames of descriptors: of boot's, others */
	struct tmm_migrate_events migrate;
	uint64_t stolen_kswapd, stolen_direct, kswapd_runs;
	uint64_t cma_allocs, cma_failed; /* requests since boot */
};

void snapshot_take(struct tmm_machine *machine, struct snapshot *out);

/* Node by node, zones of kinds that exist; start with *cursor = 0 and zeroes in *out.
 * False at the end. */
bool zone_shot_next(struct tmm_machine *machine, unsigned *cursor, struct zone_shot *out);

/* Add a zone to the sums. */
void zone_sums_add(struct zone_sums *sums, const struct tmm_zone_info *zone);

/* Add what a node's pages are used for to the uses. */
void node_uses_add(struct tmm_node_info *uses, const struct tmm_node_info *node);

void print_meminfo(struct printer *printer, const struct snapshot *snapshot);
void print_buddyinfo_zone(struct printer *printer, const struct tmm_zone_info *zone);
void print_vmstat(struct printer *printer, const struct snapshot *snapshot);

/* zoneinfo, zone by zone: between head and tail comes a group for each CPU. */
void print_zone_head(struct printer *printer, const struct snapshot *snapshot,
                     const struct zone_shot *zone);
void print_zone_stack(struct printer *printer, unsigned cpu,
                      const struct tmm_stack_info *stack);
void print_zone_tail(struct printer *printer, const struct zone_shot *zone);

/* Counters of vmstat that are per zone or per node, as zoneinfo repeats them. */
void print_zone_stats(struct printer *printer, const struct tmm_zone_info *zone);
void print_node_stats(struct printer *printer, const struct tmm_node_info *node);

/* The files of one node: node.c. */
void print_node_meminfo(struct printer *printer, unsigned node,
                        const struct tmm_node_info *info);
void print_numastat(struct printer *printer, const struct tmm_numa_counts *counts);
void print_node_vmstat(struct printer *printer, const struct zone_sums *zones,
                       const struct tmm_node_info *info);

/* Bits as hexadecimal digits, and the line's end. */
void print_bit_map(struct printer *printer, const uint64_t *words, unsigned nr_bits);

/* pagetypeinfo, node by node: a head and the node's zones, twice. */
void print_pagetypeinfo_head(struct printer *printer, unsigned nr_orders);
void print_free_of_types(struct printer *printer, const struct tmm_type_info *zone,
                         unsigned nr_orders);
void print_blocks_head(struct printer *printer);
void print_blocks_of_types(struct printer *printer, const struct tmm_type_info *zone);

/* iomem, ioports; addresses have 8 or 4 digits, and are zeroes when hidden. */
void print_resource(struct printer *printer, const struct tmm_resource_info *resource,
                    unsigned digits, bool hidden);

void print_vmallocinfo_area(struct printer *printer, const struct tmm_vm_area_info *area);

void print_slabinfo_head(struct printer *printer);
void print_slabinfo_cache(struct printer *printer, const struct tmm_cache_info *cache);

void print_maps_area(struct printer *printer, const struct tmm_area *area);
void print_smaps_area(struct printer *printer, const struct tmm_area *area);

static inline uint64_t pages_to_kib(uint64_t pages)
{
	return pages << (TMM_PAGE_SHIFT - 10);
}

#endif
