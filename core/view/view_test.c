/*
 * The texts are checked against a machine that never was: a snapshot filled in
 * by hand, so that each number is known.
 *
 *   DMA     pages 1 .. 4095       3840 managed   order 9, 10
 *   DMA32   pages 4096 .. 32767  28000 managed
 *   Normal  none
 */
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "view/snapshot.h"

struct text {
	char at[16384];
	size_t bytes;
};

static void collect(void *arg, const char *piece, size_t bytes)
{
	struct text *text = arg;

	CHECK(text->bytes + bytes < sizeof(text->at));
	memcpy(text->at + text->bytes, piece, bytes);
	text->bytes += bytes;
	text->at[text->bytes] = '\0';
}

static struct text text;
static struct printer printer;
static const struct tmm_sink sink = {collect, &text};

static void begin(void)
{
	text.bytes = 0;
	text.at[0] = '\0';
	print_begin(&printer, &sink);
}

static bool printed(const char *expected)
{
	print_end(&printer);
	if (strcmp(text.at, expected) == 0)
		return true;
	test_note("printed:  %s", text.at);
	return false;
}

/* The number in the row that begins with `name`. */
static unsigned long long value(const char *name)
{
	unsigned long long number;
	char row[64];
	const char *at;

	snprintf(row, sizeof(row), "%s ", name);
	for (at = text.at; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, row, strlen(row)) == 0 &&
		    sscanf(at + strlen(row), "%llu", &number) == 1)
			return number;
	}
	test_note("no row %s", name);
	test_fail(__FILE__, __LINE__, "the row is there");
}

#define USES                                                                                   \
	{                                                                                      \
		.present_pages = 32670, .managed_pages = 31840, .free_pages = 23585,           \
		.slab_reclaimable_pages = 100, .slab_unreclaimable_pages = 40,                 \
		.anon_pages = 1000, .mapped_pages = 200, .table_pages = 12, .file_pages = 600, \
		.dirty_pages = 3, .shmem_pages = 50, .dirtied_pages = 9, .written_pages = 4,   \
		.numa = {.hit = 30,                                                            \
		         .miss = 4,                                                            \
		         .foreign = 5,                                                         \
		         .interleave_hit = 2,                                                  \
		         .local = 33,                                                          \
		         .other = 1},                                                          \
	}

static const struct tmm_node_info node_uses = USES;

static const struct zone_shot dma = {.id = TMM_ZONE_DMA,
                                     .populated = true,
                                     .carries_node = true,
                                     .node = USES,
                                     .info = {.name = "DMA",
                                              .nr_orders = 11,
                                              .start = {1},
                                              .spanned_pages = 4095,
                                              .present_pages = 3998,
                                              .managed_pages = 3840,
                                              .free_pages = 3585,
                                              .stack_pages = 63,
                                              .watermark_min = 66,
                                              .watermark_low = 82,
                                              .watermark_high = 98,
                                              .lowmem_reserve = {0, 109, 109, 109, 109},
                                              .free_area = {1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3},
                                              .numa = {.hit = 6, .other = 6}}};

static const struct zone_shot dma32 = {
	.id = TMM_ZONE_DMA32,
	.populated = true,
	.info = {.name = "DMA32",
                 .nr_orders = 11,
                 .start = {4096},
                 .spanned_pages = 28672,
                 .present_pages = 28672,
                 .managed_pages = 28000,
                 .free_pages = 20000,
                 .watermark_min = 100,
                 .watermark_low = 125,
                 .watermark_high = 150,
                 .free_area = {0, 0, 0, 0, 2, 1, 1, 0, 0, 0, 0}}};

static const struct zone_shot normal = {.id = TMM_ZONE_NORMAL, .info = {.name = "Normal"}};
static const struct zone_shot movable = {.id = TMM_ZONE_MOVABLE, .info = {.name = "Movable"}};

static struct snapshot a_machine(void)
{
	struct snapshot snapshot = {
		.nr_nodes = 1,
		.zone_exists = {true, true, true, false, true},
		.events = {.allocated_pages = {10, 20, 0}, .freed_pages = 7},
		.space = {.committed_pages = 1500,
	                  .commit_limit_pages = 15920,
	                  .minor_faults = 300,
	                  .major_faults = 5},
		.direct_map = {.small_bytes = 2 << 20, .large_bytes = 126 << 20},
		.vmalloc = {.total_bytes = (UINT64_C(1) << 45) - 1, .used_pages = 3},
		.uses = node_uses,
		.read_pages = 500,
		.memmap_boot_pages = 255,
		.memmap_pages = 1,
	};

	zone_sums_add(&snapshot.zones, &dma.info);
	zone_sums_add(&snapshot.zones, &dma32.info);
	return snapshot;
}

TEST(meminfo_is_as_linux_prints_it)
{
	struct snapshot snapshot = a_machine();

	begin();
	print_meminfo(&printer, &snapshot);
	CHECK(printed("MemTotal:         127360 kB\n"
	              "MemFree:           94340 kB\n"
	              "MemAvailable:      94484 kB\n"
	              "Buffers:               0 kB\n"
	              "Cached:             2400 kB\n"
	              "SwapCached:            0 kB\n"
	              "Active:                0 kB\n"
	              "Inactive:              0 kB\n"
	              "Active(anon):          0 kB\n"
	              "Inactive(anon):        0 kB\n"
	              "Active(file):          0 kB\n"
	              "Inactive(file):        0 kB\n"
	              "Unevictable:           0 kB\n"
	              "Mlocked:               0 kB\n"
	              "SwapTotal:             0 kB\n"
	              "SwapFree:              0 kB\n"
	              "Zswap:                 0 kB\n"
	              "Zswapped:              0 kB\n"
	              "Dirty:                12 kB\n"
	              "Writeback:             0 kB\n"
	              "AnonPages:          4000 kB\n"
	              "Mapped:              800 kB\n"
	              "Shmem:               200 kB\n"
	              "KReclaimable:        400 kB\n"
	              "Slab:                560 kB\n"
	              "SReclaimable:        400 kB\n"
	              "SUnreclaim:          160 kB\n"
	              "KernelStack:           0 kB\n"
	              "PageTables:           48 kB\n"
	              "SecPageTables:         0 kB\n"
	              "NFS_Unstable:          0 kB\n"
	              "Bounce:                0 kB\n"
	              "WritebackTmp:          0 kB\n"
	              "CommitLimit:       63680 kB\n"
	              "Committed_AS:       6000 kB\n"
	              "VmallocTotal:   34359738367 kB\n"
	              "VmallocUsed:          12 kB\n"
	              "VmallocChunk:          0 kB\n"
	              "Percpu:                0 kB\n"
	              "AnonHugePages:         0 kB\n"
	              "ShmemHugePages:        0 kB\n"
	              "ShmemPmdMapped:        0 kB\n"
	              "FileHugePages:         0 kB\n"
	              "FilePmdMapped:         0 kB\n"
	              "Balloon:               0 kB\n"
	              "HugePages_Total:       0\n"
	              "HugePages_Free:        0\n"
	              "HugePages_Rsvd:        0\n"
	              "HugePages_Surp:        0\n"
	              "Hugepagesize:       2048 kB\n"
	              "Hugetlb:               0 kB\n"
	              "DirectMap4k:        2048 kB\n"
	              "DirectMap2M:      129024 kB\n"
	              "DirectMap1G:           0 kB\n"));
}

TEST(available_memory_is_what_is_free_or_can_be_had_above_the_reserves)
{
	struct snapshot snapshot = a_machine();

	begin();
	print_meminfo(&printer, &snapshot);
	print_end(&printer);
	/* reserves: 109 + 98 and 0 + 150; low: 207; files 550 - 207, slab 100 - 50 */
	CHECK(value("MemAvailable:") == 4 * (23585 - 357 + 343 + 50));
	snapshot.zones.free = 0;
	snapshot.uses = (struct tmm_node_info){0};
	begin();
	print_meminfo(&printer, &snapshot);
	print_end(&printer);
	CHECK(value("MemAvailable:") == 0);
}

TEST(buddyinfo_lists_zones_with_memory)
{
	begin();
	print_buddyinfo_zone(&printer, &dma.info);
	print_buddyinfo_zone(&printer, &dma32.info);
	CHECK(printed("Node 0, zone      DMA      1      0      0      0      0      0      0  "
	              "    0      0      1      3 \n"
	              "Node 0, zone    DMA32      0      0      0      0      2      1      1  "
	              "    0      0      0      0 \n"));
}

TEST(zoneinfo_carries_the_node_in_its_first_zone)
{
	struct snapshot snapshot = a_machine();
	struct tmm_stack_info stack = {.count_pages = 63, .high_pages = 512, .batch_pages = 64};

	begin();
	print_zone_head(&printer, &snapshot, &dma);
	print_zone_stack(&printer, 0, &stack);
	print_zone_tail(&printer, &dma);
	CHECK(printed("Node 0, zone      DMA\n"
	              "  per-node stats\n"
	              "      nr_inactive_anon 0\n"
	              "      nr_active_anon 0\n"
	              "      nr_inactive_file 0\n"
	              "      nr_active_file 0\n"
	              "      nr_unevictable 0\n"
	              "      nr_slab_reclaimable 100\n"
	              "      nr_slab_unreclaimable 40\n"
	              "      nr_isolated_anon 0\n"
	              "      nr_isolated_file 0\n"
	              "      workingset_nodes 0\n"
	              "      workingset_refault_anon 0\n"
	              "      workingset_refault_file 0\n"
	              "      workingset_activate_anon 0\n"
	              "      workingset_activate_file 0\n"
	              "      workingset_restore_anon 0\n"
	              "      workingset_restore_file 0\n"
	              "      workingset_nodereclaim 0\n"
	              "      nr_anon_pages 1000\n"
	              "      nr_mapped    200\n"
	              "      nr_file_pages 600\n"
	              "      nr_dirty     3\n"
	              "      nr_writeback 0\n"
	              "      nr_shmem     50\n"
	              "      nr_shmem_hugepages 0\n"
	              "      nr_shmem_pmdmapped 0\n"
	              "      nr_file_hugepages 0\n"
	              "      nr_file_pmdmapped 0\n"
	              "      nr_anon_transparent_hugepages 0\n"
	              "      nr_vmscan_write 0\n"
	              "      nr_vmscan_immediate_reclaim 0\n"
	              "      nr_dirtied   9\n"
	              "      nr_written   4\n"
	              "      nr_throttled_written 0\n"
	              "      nr_kernel_misc_reclaimable 0\n"
	              "      nr_foll_pin_acquired 0\n"
	              "      nr_foll_pin_released 0\n"
	              "      nr_kernel_stack 0\n"
	              "      nr_page_table_pages 12\n"
	              "      nr_sec_page_table_pages 0\n"
	              "      nr_iommu_pages 0\n"
	              "      nr_swapcached 0\n"
	              "      pgpromote_success 0\n"
	              "      pgpromote_candidate 0\n"
	              "      pgpromote_candidate_nrl 0\n"
	              "      pgdemote_kswapd 0\n"
	              "      pgdemote_direct 0\n"
	              "      pgdemote_khugepaged 0\n"
	              "      pgdemote_proactive 0\n"
	              "      nr_hugetlb   0\n"
	              "      nr_balloon_pages 0\n"
	              "      nr_kernel_file_pages 0\n"
	              "  pages free     3585\n"
	              "        boost    0\n"
	              "        min      66\n"
	              "        low      82\n"
	              "        high     98\n"
	              "        promo    114\n"
	              "        spanned  4095\n"
	              "        present  3998\n"
	              "        managed  3840\n"
	              "        cma      0\n"
	              "        protection: (0, 109, 109, 109)\n"
	              "      nr_free_pages 3585\n"
	              "      nr_free_pages_blocks 3584\n"
	              "      nr_zone_inactive_anon 0\n"
	              "      nr_zone_active_anon 0\n"
	              "      nr_zone_inactive_file 0\n"
	              "      nr_zone_active_file 0\n"
	              "      nr_zone_unevictable 0\n"
	              "      nr_zone_write_pending 0\n"
	              "      nr_mlock     0\n"
	              "      nr_zspages   0\n"
	              "      nr_free_cma  0\n"
	              "      numa_hit     6\n"
	              "      numa_miss    0\n"
	              "      numa_foreign 0\n"
	              "      numa_interleave 0\n"
	              "      numa_local   0\n"
	              "      numa_other   6\n"
	              "  pagesets\n"
	              "    cpu: 0\n"
	              "              count:    63\n"
	              "              high:     512\n"
	              "              batch:    64\n"
	              "              high_min: 512\n"
	              "              high_max: 512\n"
	              "  vm stats threshold: 0\n"
	              "  node_unreclaimable:  0\n"
	              "  start_pfn:           1\n"));
}

TEST(a_nodes_meminfo_is_as_linux_prints_it)
{
	begin();
	print_node_meminfo(&printer, 12, &node_uses);
	CHECK(printed("Node 12 MemTotal:         127360 kB\n"
	              "Node 12 MemFree:           94340 kB\n"
	              "Node 12 MemUsed:           33020 kB\n"
	              "Node 12 SwapCached:            0 kB\n"
	              "Node 12 Active:                0 kB\n"
	              "Node 12 Inactive:              0 kB\n"
	              "Node 12 Active(anon):          0 kB\n"
	              "Node 12 Inactive(anon):        0 kB\n"
	              "Node 12 Active(file):          0 kB\n"
	              "Node 12 Inactive(file):        0 kB\n"
	              "Node 12 Unevictable:           0 kB\n"
	              "Node 12 Mlocked:               0 kB\n"
	              "Node 12 Dirty:                12 kB\n"
	              "Node 12 Writeback:             0 kB\n"
	              "Node 12 FilePages:          2400 kB\n"
	              "Node 12 Mapped:              800 kB\n"
	              "Node 12 AnonPages:          4000 kB\n"
	              "Node 12 Shmem:               200 kB\n"
	              "Node 12 KernelStack:           0 kB\n"
	              "Node 12 PageTables:           48 kB\n"
	              "Node 12 SecPageTables:         0 kB\n"
	              "Node 12 NFS_Unstable:          0 kB\n"
	              "Node 12 Bounce:                0 kB\n"
	              "Node 12 WritebackTmp:          0 kB\n"
	              "Node 12 KReclaimable:        400 kB\n"
	              "Node 12 Slab:                560 kB\n"
	              "Node 12 SReclaimable:        400 kB\n"
	              "Node 12 SUnreclaim:          160 kB\n"
	              "Node 12 AnonHugePages:         0 kB\n"
	              "Node 12 ShmemHugePages:        0 kB\n"
	              "Node 12 ShmemPmdMapped:        0 kB\n"
	              "Node 12 FileHugePages:         0 kB\n"
	              "Node 12 FilePmdMapped:         0 kB\n"
	              "Node 12 HugePages_Total:     0\n"
	              "Node 12 HugePages_Free:      0\n"
	              "Node 12 HugePages_Surp:      0\n"));
}

TEST(numastat_is_as_linux_prints_it)
{
	begin();
	print_numastat(&printer, &node_uses.numa);
	CHECK(printed("numa_hit 30\nnuma_miss 4\nnuma_foreign 5\ninterleave_hit 2\n"
	              "local_node 33\nother_node 1\n"));
}

TEST(sets_of_cpus_are_listed_and_mapped)
{
	static const struct {
		unsigned nr_bits;
		uint64_t bits[2];
		const char *list, *map;
	} set[] = {
		{1, {0, 0}, "\n", "0\n"},
		{2, {3, 0}, "0-1\n", "3\n"},
		{16, {0xf0, 0}, "4-7\n", "00f0\n"},
		{33, {UINT64_C(0x100000005), 0}, "0,2,32\n", "1,00000005\n"},
		{72, {UINT64_C(1) << 63, 0x81}, "63-64,71\n", "81,80000000,00000000\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
		begin();
		print_list(&printer, set[i].bits, set[i].nr_bits);
		CHECK(printed(set[i].list));
		begin();
		print_bit_map(&printer, set[i].bits, set[i].nr_bits);
		CHECK(printed(set[i].map));
	}
}

/* A machine with high memory has no DMA32, others have no high memory. */
TEST(vmstat_names_the_kinds_of_zones_that_there_are)
{
	struct snapshot snapshot = a_machine();

	begin();
	print_vmstat(&printer, &snapshot);
	print_end(&printer);
	CHECK(strstr(text.at, "pgalloc_dma32 20\n") && !strstr(text.at, "_high "));
	CHECK(value("nr_memmap_boot_pages") == 255 && value("nr_memmap_pages") == 1);
	CHECK(value("numa_hit") == 6 && value("nr_dirtied") == 9);
	snapshot.zone_exists[TMM_ZONE_DMA32] = false;
	snapshot.zone_exists[TMM_ZONE_HIGHMEM] = true;
	begin();
	print_vmstat(&printer, &snapshot);
	print_end(&printer);
	CHECK(strstr(text.at, "pgalloc_high 0\n") && !strstr(text.at, "_dma32 "));
}

TEST(zones_without_memory_are_listed_in_short_form)
{
	struct snapshot snapshot = a_machine();

	begin();
	print_zone_head(&printer, &snapshot, &normal);
	print_zone_tail(&printer, &normal);
	print_zone_head(&printer, &snapshot, &movable);
	print_zone_tail(&printer, &movable);
	CHECK(printed("Node 0, zone   Normal\n"
	              "  pages free     0\n"
	              "        boost    0\n"
	              "        min      0\n"
	              "        low      0\n"
	              "        high     0\n"
	              "        promo    0\n"
	              "        spanned  0\n"
	              "        present  0\n"
	              "        managed  0\n"
	              "        cma      0\n"
	              "        protection: (0, 0, 0, 0)\n"
	              "Node 0, zone  Movable\n"
	              "  pages free     0\n"
	              "        boost    0\n"
	              "        min      32\n"
	              "        low      32\n"
	              "        high     32\n"
	              "        promo    32\n"
	              "        spanned  0\n"
	              "        present  0\n"
	              "        managed  0\n"
	              "        cma      0\n"
	              "        protection: (0, 0, 0, 0)\n"));
}

TEST(pagetypeinfo_is_as_linux_prints_it)
{
	struct tmm_type_info zone = {.zone_name = "DMA",
	                             .blocks = {1, 7, 0, 0, 0, 0},
	                             .free_area = {{1, 2}, {[10] = 3}, {[9] = 123456}}};

	begin();
	print_pagetypeinfo_head(&printer, 11);
	print_free_of_types(&printer, &zone, 11);
	print_blocks_head(&printer);
	print_blocks_of_types(&printer, &zone);
	CHECK(printed(
		"Page block order: 9\n"
		"Pages per block:  512\n"
		"\n"
		"Free pages count per migrate type at order       0      1      2      3      "
		"4      5      6      7      8      9     10 \n"
		"Node    0, zone      DMA, type    Unmovable      1      2      0      0      "
		"0      0      0      0      0      0      0 \n"
		"Node    0, zone      DMA, type      Movable      0      0      0      0      "
		"0      0      0      0      0      0      3 \n"
		"Node    0, zone      DMA, type  Reclaimable      0      0      0      0      "
		"0      0      0      0      0 123456      0 \n"
		"Node    0, zone      DMA, type   HighAtomic      0      0      0      0      "
		"0      0      0      0      0      0      0 \n"
		"Node    0, zone      DMA, type          CMA      0      0      0      0      "
		"0      0      0      0      0      0      0 \n"
		"Node    0, zone      DMA, type      Isolate      0      0      0      0      "
		"0      0      0      0      0      0      0 \n"
		"\n"
		"Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic   "
		"       CMA      Isolate \n"
		"Node 0, zone      DMA            1            7            0            0    "
		"        0            0 \n"));
}

TEST(contiguous_areas_are_counted_in_each_file)
{
	struct snapshot snapshot = a_machine();
	struct zone_shot camera = dma32;

	camera.info.cma_pages = 4096;
	camera.info.free_cma_pages = 4000;
	zone_sums_add(&snapshot.zones, &camera.info);
	snapshot.cma_allocs = 3;
	snapshot.cma_failed = 1;
	begin();
	print_zone_head(&printer, &snapshot, &camera);
	print_end(&printer);
	CHECK(value("        cma     ") == 4096 && value("      nr_free_cma ") == 4000);
	begin();
	print_meminfo(&printer, &snapshot);
	print_end(&printer);
	CHECK(value("CmaTotal:") == 4 * 4096 && value("CmaFree:") == 4 * 4000);
	begin();
	print_vmstat(&printer, &snapshot);
	print_end(&printer);
	CHECK(value("nr_free_cma") == 4000);
	CHECK(value("cma_alloc_success") == 3 && value("cma_alloc_fail") == 1);
}

TEST(one_snapshot_gives_files_whose_sums_agree)
{
	struct snapshot snapshot = a_machine();
	unsigned long long free_kib, cached_kib;

	begin();
	print_meminfo(&printer, &snapshot);
	print_end(&printer);
	free_kib = value("MemFree:");
	cached_kib = value("Cached:");
	begin();
	print_vmstat(&printer, &snapshot);
	print_end(&printer);
	CHECK(value("nr_free_pages") * 4 == free_kib);
	CHECK(value("nr_file_pages") * 4 == cached_kib);
	CHECK(value("nr_free_pages_blocks") == 3584);
	CHECK(value("pgalloc_dma") == 10 && value("pgalloc_dma32") == 20);
	CHECK(value("pgfree") == 7);
	CHECK(value("pgfault") == 305 && value("pgmajfault") == 5);
	CHECK(value("pgpgin") == 2000 && value("pgpgout") == 16);
	CHECK(value("nr_unstable") == 0);
}

TEST(slabinfo_is_as_linux_prints_it)
{
	struct tmm_cache_info cache = {.name = "vm_area_struct",
	                               .active_objs = 987,
	                               .num_objs = 1869,
	                               .active_slabs = 80,
	                               .num_slabs = 89,
	                               .size_bytes = 192,
	                               .objs_per_slab = 21,
	                               .pages_per_slab = 1};

	begin();
	print_slabinfo_head(&printer);
	print_slabinfo_cache(&printer, &cache);
	CHECK(printed("slabinfo - version: 2.1\n"
	              "# name            <active_objs> <num_objs> <objsize> <objperslab> "
	              "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
	              "slabdata <active_slabs> <num_slabs> <sharedavail>\n"
	              "vm_area_struct       987   1869    192   21    1 : tunables    0    0   "
	              " 0 : slabdata     80     89      0\n"));
}

TEST(vmallocinfo_is_as_linux_prints_it)
{
	struct tmm_vm_area_info area = {.start = {0xffffc90000000000},
	                                .size_bytes = 20480,
	                                .nr_pages = 4,
	                                .caller = (const void *)(uintptr_t)0x401234,
	                                .nr_of_node = {1, 3}};

	begin();
	print_vmallocinfo_area(&printer, &area);
	area.kind = TMM_VM_IOREMAP;
	area.nr_pages = area.nr_of_node[0] = area.nr_of_node[1] = 0;
	area.phys.v = 0xfee00000;
	area.start.v = 0xf8800000;
	print_vmallocinfo_area(&printer, &area);
	area.is_freed = true;
	print_vmallocinfo_area(&printer, &area);
	CHECK(printed("0xffffc90000000000-0xffffc90000005000   20480 0x401234 pages=4 vmalloc "
	              "N0=1 N1=3\n"
	              "0xf8800000-0xf8805000   20480 0x401234 phys=0x00000000fee00000 ioremap\n"
	              "0xf8800000-0xf8805000   20480 unpurged vm_area\n"));
}

TEST(maps_names_what_an_area_is)
{
	struct tmm_file_spec file = {
		.path = "/usr/bin/a\nb", .dev_major = 0xfe, .inode = 247134};
	struct tmm_area area = {.start = 0x555c67d4a000,
	                        .end = 0x555c67d4f000,
	                        .read = true,
	                        .exec = true,
	                        .file = &file,
	                        .offset = 0x2000,
	                        .kind = TMM_AREA_TEXT};

	begin();
	print_maps_area(&printer, &area);
	area = (struct tmm_area){.start = 0x555c89f74000,
	                         .end = 0x555c89f95000,
	                         .read = true,
	                         .write = true,
	                         .kind = TMM_AREA_HEAP};
	print_maps_area(&printer, &area);
	area.kind = TMM_AREA_MMAP;
	print_maps_area(&printer, &area);
	area.kind = TMM_AREA_STACK;
	print_maps_area(&printer, &area);
	area = (struct tmm_area){
		.start = 0x10000, .end = 0x11000, .shared = true, .kind = TMM_AREA_MMAP};
	print_maps_area(&printer, &area);
	CHECK(printed("555c67d4a000-555c67d4f000 r-xp 00002000 fe:00 247134                    "
	              " /usr/bin/a\\012b\n"
	              "555c89f74000-555c89f95000 rw-p 00000000 00:00 0                         "
	              " [heap]\n"
	              "555c89f74000-555c89f95000 rw-p 00000000 00:00 0 \n"
	              "555c89f74000-555c89f95000 rw-p 00000000 00:00 0                         "
	              " [stack]\n"
	              "00010000-00011000 ---s 00000000 00:00 0                                 "
	              " /dev/zero (deleted)\n"));
}

TEST(smaps_is_as_linux_prints_it)
{
	struct tmm_area area = {.start = 0x7ffd33748000,
	                        .end = 0x7ffd33769000,
	                        .read = true,
	                        .write = true,
	                        .may_read = true,
	                        .may_write = true,
	                        .may_exec = true,
	                        .grows_down = true,
	                        .accounted = true,
	                        .kind = TMM_AREA_STACK,
	                        .rss_pages = 3,
	                        .anon_pages = 3,
	                        .private_dirty = 2,
	                        .private_clean = 1,
	                        .referenced = 3,
	                        .pss_bytes = 12288};

	begin();
	print_smaps_area(&printer, &area);
	CHECK(printed("7ffd33748000-7ffd33769000 rw-p 00000000 00:00 0                         "
	              " [stack]\n"
	              "Size:                132 kB\n"
	              "KernelPageSize:        4 kB\n"
	              "MMUPageSize:           4 kB\n"
	              "Rss:                  12 kB\n"
	              "Pss:                  12 kB\n"
	              "Pss_Dirty:             8 kB\n"
	              "Shared_Clean:          0 kB\n"
	              "Shared_Dirty:          0 kB\n"
	              "Private_Clean:         4 kB\n"
	              "Private_Dirty:         8 kB\n"
	              "Referenced:           12 kB\n"
	              "Anonymous:            12 kB\n"
	              "KSM:                   0 kB\n"
	              "LazyFree:              0 kB\n"
	              "AnonHugePages:         0 kB\n"
	              "ShmemPmdMapped:        0 kB\n"
	              "FilePmdMapped:         0 kB\n"
	              "Shared_Hugetlb:        0 kB\n"
	              "Private_Hugetlb:       0 kB\n"
	              "Swap:                  0 kB\n"
	              "SwapPss:               0 kB\n"
	              "Locked:                0 kB\n"
	              "THPeligible:           0\n"
	              "VmFlags: rd wr mr mw me gd ac \n"));
}
