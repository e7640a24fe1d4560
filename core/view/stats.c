/*
 * stats.c - the counters of /proc/vmstat, some of which zoneinfo repeats
 *
 * Each table holds rows in Linux's order: a name, and where its value is in the
 * struct that the table is read from.  Rows of things that the machine does not
 * have point to `none`, which is always 0.  Rows of kinds of zones that the machine
 * does not know are left out, as Linux is built without them.
 */
#include "view/snapshot.h"

struct zone_values {
	uint64_t none;
	uint64_t free, free_blocks, free_cma;
};

struct node_values {
	uint64_t none;
	struct tmm_node_info info;
};

struct event_values {
	uint64_t none;
	uint64_t memmap, memmap_boot;
	uint64_t read_kib, written_kib;
	uint64_t allocated[TMM_NR_ZONES], stalls[TMM_NR_ZONES], none_of[TMM_NR_ZONES];
	uint64_t freed;
	uint64_t pagecache_drops, slab_drops;
	uint64_t stolen, stolen_kswapd, stolen_direct, kswapd_runs; /* scanned: the same */
	uint64_t faults, major_faults, oom_kills;
	struct tmm_migrate_events migrate;
	uint64_t cma_allocs, cma_failed;
};

struct stat_row {
	const char *name;
	size_t offset; /* into the struct of values */
	uint8_t kind;  /* 1 + enum tmm_zone_id that the row is of; 0: none */
};

/* clang-format off */
#define ZONE(name, field)  {name, offsetof(struct zone_values, field), 0}
#define NUMA(name, field)  {name, offsetof(struct tmm_numa_counts, field), 0}
#define NODE(name, field)  {name, offsetof(struct node_values, info) + offsetof(struct tmm_node_info, field), 0}
#define EVENT(name, field) {name, offsetof(struct event_values, field), 0}
#define NONE(name)         {name, 0, 0}
/* A row for each kind of zone. */
#define KIND(name, field, id)  {name, offsetof(struct event_values, field[id]), 1 + (id)}
#define BY_KIND(name, field)                           \
	KIND(name "_dma", field, TMM_ZONE_DMA),        \
	KIND(name "_dma32", field, TMM_ZONE_DMA32),    \
	KIND(name "_normal", field, TMM_ZONE_NORMAL),  \
	KIND(name "_high", field, TMM_ZONE_HIGHMEM),   \
	KIND(name "_movable", field, TMM_ZONE_MOVABLE)
/* clang-format on */

static const struct stat_row zone_rows[] = {
	ZONE("nr_free_pages", free),
	ZONE("nr_free_pages_blocks", free_blocks),
	NONE("nr_zone_inactive_anon"),
	NONE("nr_zone_active_anon"),
	NONE("nr_zone_inactive_file"),
	NONE("nr_zone_active_file"),
	NONE("nr_zone_unevictable"),
	NONE("nr_zone_write_pending"),
	NONE("nr_mlock"),
	NONE("nr_zspages"),
	ZONE("nr_free_cma", free_cma),
};

static const struct stat_row numa_rows[] = {
	NUMA("numa_hit", hit),         NUMA("numa_miss", miss),
	NUMA("numa_foreign", foreign), NUMA("numa_interleave", interleave_hit),
	NUMA("numa_local", local),     NUMA("numa_other", other),
};

static const struct stat_row node_rows[] = {
	NONE("nr_inactive_anon"),
	NONE("nr_active_anon"),
	NONE("nr_inactive_file"),
	NONE("nr_active_file"),
	NONE("nr_unevictable"),
	NODE("nr_slab_reclaimable", slab_reclaimable_pages),
	NODE("nr_slab_unreclaimable", slab_unreclaimable_pages),
	NONE("nr_isolated_anon"),
	NONE("nr_isolated_file"),
	NONE("workingset_nodes"),
	NONE("workingset_refault_anon"),
	NONE("workingset_refault_file"),
	NONE("workingset_activate_anon"),
	NONE("workingset_activate_file"),
	NONE("workingset_restore_anon"),
	NONE("workingset_restore_file"),
	NONE("workingset_nodereclaim"),
	NODE("nr_anon_pages", anon_pages),
	NODE("nr_mapped", mapped_pages),
	NODE("nr_file_pages", file_pages),
	NODE("nr_dirty", dirty_pages),
	NONE("nr_writeback"),
	NODE("nr_shmem", shmem_pages),
	NONE("nr_shmem_hugepages"),
	NONE("nr_shmem_pmdmapped"),
	NONE("nr_file_hugepages"),
	NONE("nr_file_pmdmapped"),
	NONE("nr_anon_transparent_hugepages"),
	NONE("nr_vmscan_write"),
	NONE("nr_vmscan_immediate_reclaim"),
	NODE("nr_dirtied", dirtied_pages),
	NODE("nr_written", written_pages),
	NONE("nr_throttled_written"),
	NONE("nr_kernel_misc_reclaimable"),
	NONE("nr_foll_pin_acquired"),
	NONE("nr_foll_pin_released"),
	NONE("nr_kernel_stack"),
	NODE("nr_page_table_pages", table_pages),
	NONE("nr_sec_page_table_pages"),
	NONE("nr_iommu_pages"),
	NONE("nr_swapcached"),
	NONE("pgpromote_success"),
	NONE("pgpromote_candidate"),
	NONE("pgpromote_candidate_nrl"),
	NONE("pgdemote_kswapd"),
	NONE("pgdemote_direct"),
	NONE("pgdemote_khugepaged"),
	NONE("pgdemote_proactive"),
	NONE("nr_hugetlb"),
	NONE("nr_balloon_pages"),
	NONE("nr_kernel_file_pages"),
};

static const struct stat_row event_rows[] = {
	NONE("nr_dirty_threshold"),
	NONE("nr_dirty_background_threshold"),
	EVENT("nr_memmap_pages", memmap),
	EVENT("nr_memmap_boot_pages", memmap_boot),
	EVENT("pgpgin", read_kib),
	EVENT("pgpgout", written_kib),
	NONE("pswpin"),
	NONE("pswpout"),
	BY_KIND("pgalloc", allocated),
	BY_KIND("allocstall", stalls),
	BY_KIND("pgskip", none_of),
	EVENT("pgfree", freed),
	NONE("pgactivate"),
	NONE("pgdeactivate"),
	NONE("pglazyfree"),
	EVENT("pgfault", faults),
	EVENT("pgmajfault", major_faults),
	NONE("pglazyfreed"),
	NONE("pgrefill"),
	NONE("pgreuse"),
	EVENT("pgsteal_kswapd", stolen_kswapd),
	EVENT("pgsteal_direct", stolen_direct),
	NONE("pgsteal_khugepaged"),
	NONE("pgsteal_proactive"),
	EVENT("pgscan_kswapd", stolen_kswapd),
	EVENT("pgscan_direct", stolen_direct),
	NONE("pgscan_khugepaged"),
	NONE("pgscan_proactive"),
	NONE("pgscan_direct_throttle"),
	NONE("pgscan_anon"),
	EVENT("pgscan_file", stolen),
	NONE("pgsteal_anon"),
	EVENT("pgsteal_file", stolen),
	NONE("zone_reclaim_success"),
	NONE("zone_reclaim_failed"),
	NONE("pginodesteal"),
	NONE("slabs_scanned"),
	NONE("kswapd_inodesteal"),
	NONE("kswapd_low_wmark_hit_quickly"),
	NONE("kswapd_high_wmark_hit_quickly"),
	EVENT("pageoutrun", kswapd_runs),
	NONE("pgrotated"),
	EVENT("drop_pagecache", pagecache_drops),
	EVENT("drop_slab", slab_drops),
	EVENT("oom_kill", oom_kills),
	NONE("numa_pte_updates"),
	NONE("numa_huge_pte_updates"),
	NONE("numa_hint_faults"),
	NONE("numa_hint_faults_local"),
	NONE("numa_pages_migrated"),
	EVENT("pgmigrate_success", migrate.moved_pages),
	EVENT("pgmigrate_fail", migrate.failed_pages),
	NONE("thp_migration_success"),
	NONE("thp_migration_fail"),
	NONE("thp_migration_split"),
	EVENT("compact_migrate_scanned", migrate.scanned_pages),
	EVENT("compact_free_scanned", migrate.free_scanned_pages),
	EVENT("compact_isolated", migrate.isolated_pages),
	EVENT("compact_stall", migrate.stalls),
	EVENT("compact_fail", migrate.stalls_failed),
	EVENT("compact_success", migrate.stalls_served),
	NONE("compact_daemon_wake"),
	NONE("compact_daemon_migrate_scanned"),
	NONE("compact_daemon_free_scanned"),
	NONE("htlb_buddy_alloc_success"),
	NONE("htlb_buddy_alloc_fail"),
	EVENT("cma_alloc_success", cma_allocs),
	EVENT("cma_alloc_fail", cma_failed),
	NONE("unevictable_pgs_culled"),
	NONE("unevictable_pgs_scanned"),
	NONE("unevictable_pgs_rescued"),
	NONE("unevictable_pgs_mlocked"),
	NONE("unevictable_pgs_munlocked"),
	NONE("unevictable_pgs_cleared"),
	NONE("unevictable_pgs_stranded"),
	NONE("thp_fault_alloc"),
	NONE("thp_fault_fallback"),
	NONE("thp_fault_fallback_charge"),
	NONE("thp_collapse_alloc"),
	NONE("thp_collapse_alloc_failed"),
	NONE("thp_file_alloc"),
	NONE("thp_file_fallback"),
	NONE("thp_file_fallback_charge"),
	NONE("thp_file_mapped"),
	NONE("thp_split_page"),
	NONE("thp_split_page_failed"),
	NONE("thp_deferred_split_page"),
	NONE("thp_underused_split_page"),
	NONE("thp_split_pmd"),
	NONE("thp_scan_exceed_none_pte"),
	NONE("thp_scan_exceed_swap_pte"),
	NONE("thp_scan_exceed_share_pte"),
	NONE("thp_split_pud"),
	NONE("thp_zero_page_alloc"),
	NONE("thp_zero_page_alloc_failed"),
	NONE("thp_swpout"),
	NONE("thp_swpout_fallback"),
	NONE("balloon_inflate"),
	NONE("balloon_deflate"),
	NONE("balloon_migrate"),
	NONE("swap_ra"),
	NONE("swap_ra_hit"),
	NONE("swpin_zero"),
	NONE("swpout_zero"),
	NONE("ksm_swpin_copy"),
	NONE("cow_ksm"),
	NONE("zswpin"),
	NONE("zswpout"),
	NONE("zswpwb"),
	NONE("direct_map_level2_splits"),
	NONE("direct_map_level3_splits"),
	NONE("direct_map_level2_collapses"),
	NONE("direct_map_level3_collapses"),
	NONE("nr_unstable"),
};

static void print_row(struct printer *printer, bool nested, const struct stat_row *row,
                      const void *values)
{
	uint64_t value;

	memcpy(&value, (const char *)values + row->offset, sizeof(value));
	if (nested)
		print(printer, "      %-12s %lu\n", row->name, value);
	else
		print(printer, "%s %lu\n", row->name, value);
}

static void print_rows(struct printer *printer, bool nested, const struct stat_row *rows,
                       size_t nr, const void *values)
{
	for (size_t i = 0; i < nr; i++)
		print_row(printer, nested, &rows[i], values);
}

static void print_zone_rows(struct printer *printer, bool nested, const struct zone_sums *sums)
{
	const struct zone_values values = {.free = sums->free,
	                                   .free_blocks = sums->free_blocks,
	                                   .free_cma = sums->free_cma};

	print_rows(printer, nested, zone_rows, ARRAY_SIZE(zone_rows), &values);
	print_rows(printer, nested, numa_rows, ARRAY_SIZE(numa_rows), &sums->numa);
}

static void print_node_rows(struct printer *printer, bool nested,
                            const struct tmm_node_info *node)
{
	const struct node_values values = {.info = *node};

	print_rows(printer, nested, node_rows, ARRAY_SIZE(node_rows), &values);
}

void print_zone_stats(struct printer *printer, const struct tmm_zone_info *zone)
{
	struct zone_sums sums = {.managed = 0};

	zone_sums_add(&sums, zone);
	print_zone_rows(printer, true, &sums);
}

void print_node_stats(struct printer *printer, const struct tmm_node_info *node)
{
	print_node_rows(printer, true, node);
}

void print_node_vmstat(struct printer *printer, const struct zone_sums *zones,
                       const struct tmm_node_info *info)
{
	print_zone_rows(printer, false, zones);
	print_node_rows(printer, false, info);
}

static void event_values(const struct snapshot *snapshot, struct event_values *out)
{
	const struct tmm_space_totals *space = &snapshot->space;

	*out = (struct event_values){
		.memmap = snapshot->memmap_pages,
		.memmap_boot = snapshot->memmap_boot_pages,
		.read_kib = pages_to_kib(snapshot->read_pages),
		.written_kib = pages_to_kib(snapshot->uses.written_pages),
		.freed = snapshot->events.freed_pages,
		.pagecache_drops = snapshot->events.pagecache_drops,
		.slab_drops = snapshot->events.slab_drops,
		.stolen = snapshot->stolen_kswapd + snapshot->stolen_direct,
		.stolen_kswapd = snapshot->stolen_kswapd,
		.stolen_direct = snapshot->stolen_direct,
		.kswapd_runs = snapshot->kswapd_runs,
		.faults = space->minor_faults + space->major_faults,
		.major_faults = space->major_faults,
		.oom_kills = space->oom_faults,
		.migrate = snapshot->migrate,
		.cma_allocs = snapshot->cma_allocs,
		.cma_failed = snapshot->cma_failed,
	};
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		out->allocated[z] = snapshot->events.allocated_pages[z];
		out->stalls[z] = snapshot->events.stalls[z];
	}
}

void print_vmstat(struct printer *printer, const struct snapshot *snapshot)
{
	struct event_values values;

	print_node_vmstat(printer, &snapshot->zones, &snapshot->uses);
	event_values(snapshot, &values);
	for (size_t i = 0; i < ARRAY_SIZE(event_rows); i++)
		if (!event_rows[i].kind || snapshot->zone_exists[event_rows[i].kind - 1])
			print_row(printer, false, &event_rows[i], &values);
}
