/*
 * The files of a machine that is there: what one says, the others say too.
 *
 *   MemFree = sum over zoneinfo = sum over buddyinfo = nr_free_pages
 *           = sum over the types of pagetypeinfo
 *   cma of zoneinfo = CmaTotal, nr_free_cma = CmaFree
 *   Rss of all areas in smaps = VmRSS in status, Size = VmSize
 *   meminfo = sum of the nodes' meminfo = sum over zoneinfo's per-node stats
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/cma.h>
#include <tuxmm/hotplug.h>
#include <tuxmm/policy.h>
#include <tuxmm/view.h>
#include <tuxmm/vmalloc.h>

#include "base/base.h"
#include "test.h"

#define MIB       (UINT64_C(1) << 20)
#define RAM_BYTES (64 * MIB)

static char text[65536];
static size_t text_bytes;

static void collect(void *arg, const char *piece, size_t bytes)
{
	(void)arg;
	CHECK(text_bytes + bytes < sizeof(text));
	memcpy(text + text_bytes, piece, bytes);
	text_bytes += bytes;
	text[text_bytes] = '\0';
}

static const struct tmm_sink sink = {.write = collect};

static void begin(void)
{
	text_bytes = 0;
	text[0] = '\0';
}

/* The sum of the numbers behind `label`, wherever a line begins with it. */
static uint64_t sum_of(const char *label)
{
	uint64_t sum = 0;
	unsigned rows = 0;

	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		if (strncmp(at, label, strlen(label)) == 0) {
			sum += strtoull(at + strlen(label), NULL, 10);
			rows++;
		}
	}
	CHECK(rows > 0);
	return sum;
}

static uint64_t buddyinfo_pages(struct tmm_machine *machine)
{
	uint64_t pages = 0;

	begin();
	tmm_view_buddyinfo(machine, &sink);
	for (char *at = text; *at; at = strchr(at, '\n') + 1) {
		char *number = strstr(at, "zone") + strlen("zone         ");

		for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++)
			pages += strtoull(number, &number, 10) << order;
	}
	return pages;
}

/* Of the types whose name begins with `type`; "" for all. */
static uint64_t pagetypeinfo_pages(struct tmm_machine *machine, const char *type)
{
	uint64_t pages = 0;

	begin();
	tmm_view_pagetypeinfo(machine, &sink);
	for (char *at = text; *at; at = strchr(at, '\n') + 1) {
		char name[16], *number = at + 44;

		if (sscanf(at, "Node %*u, zone %*[^,], type %15s", name) != 1 ||
		    strncmp(name, type, strlen(type)) != 0)
			continue;
		for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++)
			pages += strtoull(number, &number, 10) << order;
	}
	return pages;
}

static void check_free_pages_agree(struct tmm_machine *machine)
{
	uint64_t zones, meminfo;

	begin();
	tmm_view_zoneinfo(machine, &sink);
	zones = sum_of("  pages free");
	CHECK(sum_of("      nr_free_pages ") == zones);
	begin();
	tmm_view_meminfo(machine, &sink);
	meminfo = sum_of("MemFree:");
	CHECK(meminfo == zones * 4);
	CHECK(meminfo < sum_of("MemTotal:"));
	CHECK(sum_of("DirectMap4k:") + sum_of("DirectMap2M:") + sum_of("DirectMap1G:") ==
	      tmm_memblock_memory_bytes(tmm_machine_memblock(machine)) >> 10);
	begin();
	tmm_view_vmstat(machine, &sink);
	CHECK(sum_of("nr_free_pages ") == zones);
	CHECK(buddyinfo_pages(machine) == zones);
	CHECK(pagetypeinfo_pages(machine, "") == zones);
}

/* The machine lives in the test's own RAM, behind the machine's. */
static struct tmm_machine *boot_with(const struct tmm_cma_spec *cma)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = {.firmware_map = map, .nr_cpus = 2};
	struct tmm_machine *machine = test_ram(align_up(tmm_machine_bytes(), TMM_PAGE_SIZE));
	const char *why;

	shape.nr_ranges = tmm_firmware_pc(RAM_BYTES, map);
	if (cma) {
		shape.cma[0] = *cma;
		shape.nr_cma = 1;
	}
	CHECK(tmm_machine_init(machine, &shape, test_ram(RAM_BYTES), &why) == TMM_OK);
	return machine;
}

static struct tmm_machine *boot(void)
{
	return boot_with(NULL);
}

TEST(free_pages_agree_whatever_is_lent)
{
	struct tmm_machine *machine = boot();
	struct tmm_pages *pages = tmm_machine_pages(machine);
	uint64_t seed = test_seed();
	tmm_pfn lent[200];
	unsigned order[200];

	check_free_pages_agree(machine);
	for (unsigned i = 0; i < ARRAY_SIZE(lent); i++) {
		order[i] = (unsigned)(test_random(&seed) % 4);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, order[i], &lent[i]) == TMM_OK);
		if (i % 50 == 0)
			check_free_pages_agree(machine);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(lent); i += 2)
		tmm_pages_free(pages, lent[i], order[i]);
	check_free_pages_agree(machine);
	for (unsigned i = 1; i < ARRAY_SIZE(lent); i += 2)
		tmm_pages_free(pages, lent[i], order[i]);
	begin();
	tmm_view_vmstat(machine, &sink);
	CHECK(sum_of("pgfree ") > 0);
	CHECK(sum_of("pgfree ") <= sum_of("pgalloc_dma ") + sum_of("pgalloc_dma32 "));
	tmm_check(machine);
	tmm_machine_fini(machine);
}

static void check_cma_agrees(struct tmm_machine *machine, uint64_t total, uint64_t least_free)
{
	uint64_t free_pages;

	begin();
	tmm_view_zoneinfo(machine, &sink);
	CHECK(sum_of("        cma ") == total);
	free_pages = sum_of("      nr_free_cma ");
	CHECK(free_pages >= least_free && free_pages <= total);
	begin();
	tmm_view_meminfo(machine, &sink);
	CHECK(sum_of("CmaTotal:") == 4 * total && sum_of("CmaFree:") == 4 * free_pages);
	begin();
	tmm_view_vmstat(machine, &sink);
	CHECK(sum_of("nr_free_cma ") == free_pages);
	CHECK(pagetypeinfo_pages(machine, "CMA") == free_pages);
}

/* DMA32 |-- 8 MiB --|, 100 frames of it lent, one request for more than there is room */
TEST(contiguous_areas_are_in_every_file)
{
	const struct tmm_cma_spec spec = {
		.name = "camera", .size_bytes = 8 * MIB, .node = TMM_NODE_ANY};
	struct tmm_machine *machine = boot_with(&spec);
	struct tmm_cma *area = tmm_cma_find(tmm_machine_pages(machine), "camera");
	tmm_pfn pfn, none;

	check_cma_agrees(machine, 2048, 2048);
	CHECK(tmm_cma_alloc(area, 100, 0, &pfn, NULL) == TMM_OK);
	CHECK(tmm_cma_alloc(area, 2000, 0, &none, NULL) == TMM_E_NOMEM);
	check_cma_agrees(machine, 2048, 1948);
	begin();
	tmm_view_vmstat(machine, &sink);
	CHECK(sum_of("nr_free_cma ") == 1948);
	CHECK(sum_of("cma_alloc_success ") == 1 && sum_of("cma_alloc_fail ") == 1);
	check_free_pages_agree(machine);
	tmm_cma_release(area, pfn, 100);
	check_cma_agrees(machine, 2048, 2048);
	tmm_check(machine);
	tmm_machine_fini(machine);
}

TEST(slab_is_the_sum_of_its_caches)
{
	struct tmm_machine *machine = boot();
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	void *small[500], *large = tmm_kmalloc(slabs, 100000, TMM_GFP_KERNEL);
	uint64_t meminfo, sum = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(small); i++) {
		small[i] = tmm_kmalloc(slabs, 100, TMM_GFP_KERNEL);
		CHECK(small[i]);
	}
	CHECK(large);
	begin();
	tmm_view_meminfo(machine, &sink);
	meminfo = sum_of("Slab:");
	CHECK(meminfo == sum_of("SReclaimable:") + sum_of("SUnreclaim:"));
	begin();
	tmm_view_slabinfo(machine, &sink);
	CHECK(strncmp(text, "slabinfo - version: 2.1\n", 24) == 0);
	CHECK(strstr(text, "\nkmalloc-128          500 "));
	for (const char *at = strchr(strchr(text, '\n') + 1, '\n') + 1; *at;
	     at = strchr(at, '\n') + 1) {
		unsigned pages_per_slab, nr_slabs;

		CHECK(sscanf(at,
		             "%*s %*u %*u %*u %*u %u : tunables %*u %*u %*u : slabdata %*u %u",
		             &pages_per_slab, &nr_slabs) == 2);
		sum += (uint64_t)pages_per_slab * nr_slabs;
	}
	CHECK(meminfo == 4 * (sum + 32)); /* 100000 bytes are a run of 32 pages */
	for (unsigned i = 0; i < ARRAY_SIZE(small); i++)
		tmm_kfree(slabs, small[i]);
	tmm_kfree(slabs, large);
	tmm_check(machine);
	tmm_machine_fini(machine);
}

static struct tmm_mm *space_of(struct tmm_machine *machine)
{
	const struct tmm_mm_layout layout = {.task_size = UINT64_C(0x7ffffffff000),
	                                     .mmap_min = 65536,
	                                     .mmap_base = UINT64_C(0x7ffff0000000)};
	const struct tmm_mm_limits limits = {TMM_RLIM_INFINITY, TMM_RLIM_INFINITY, 8 * MIB,
	                                     8 * MIB};
	const struct tmm_mm_image image = {.start_code = 0x400000,
	                                   .end_code = 0x400100,
	                                   .start_brk = UINT64_C(0x600000),
	                                   .start_stack = UINT64_C(0x7ffffffef000)};
	struct tmm_mm *mm;

	CHECK(tmm_mm_create(tmm_machine_spaces(machine), &layout, &limits, &mm) == TMM_OK);
	tmm_mm_set_image(mm, &image);
	return mm;
}

/*
 *   600000    heap   |wwww----|      4 of 8 pages written
 *   ...       mmap   |w-------|      1 of 8
 *   mmap      none   |--|            PROT_NONE
 *   mmap      shared |w-|
 *   7ffff...  stack  |--w|
 */
static void use_memory(struct tmm_mm *mm)
{
	struct tmm_mmap_request request = {.length = 8 * 4096,
	                                   .prot = TMM_PROT_READ | TMM_PROT_WRITE,
	                                   .flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS};
	uint64_t addr;

	CHECK(tmm_mm_brk(mm, 0x600000 + 8 * 4096) == 0x600000 + 8 * 4096);
	for (uint64_t i = 0; i < 4; i++)
		CHECK(tmm_mm_fault(mm, 0x600000 + i * 4096, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_mm_mmap(mm, &request, &addr) == TMM_OK);
	CHECK(tmm_mm_fault(mm, addr, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	request.prot = TMM_PROT_NONE;
	request.length = 8192;
	CHECK(tmm_mm_mmap(mm, &request, &addr) == TMM_OK);
	request.prot = TMM_PROT_READ | TMM_PROT_WRITE;
	request.flags = TMM_MAP_SHARED | TMM_MAP_ANONYMOUS;
	CHECK(tmm_mm_mmap(mm, &request, &addr) == TMM_OK);
	CHECK(tmm_mm_fault(mm, addr, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_mm_map_stack(mm, UINT64_C(0x7ffffffef000), 3 * 4096, false) == TMM_OK);
	CHECK(tmm_mm_fault(mm, UINT64_C(0x7ffffffeefff), TMM_ACCESS_WRITE) == TMM_FAULT_OK);
}

/* Three nodes of 64 MiB; CPU 0 on node 1, CPU 1 on node 0, and node 2 has none. */
static struct tmm_machine *boot_nodes(void)
{
	static struct tmm_firmware_range map[3];
	struct tmm_shape shape = {.firmware_map = map,
	                          .nr_ranges = 3,
	                          .nr_cpus = 2,
	                          .nr_nodes = 3,
	                          .cpu_node = {1}};
	struct tmm_machine *machine = test_ram(align_up(tmm_machine_bytes(), TMM_PAGE_SIZE));
	const char *why;

	for (uint32_t n = 0; n < 3; n++)
		map[n] = (struct tmm_firmware_range){
			{n * RAM_BYTES}, RAM_BYTES, TMM_FW_USABLE, n};
	CHECK(tmm_machine_init(machine, &shape, test_ram(3 * RAM_BYTES), &why) == TMM_OK);
	return machine;
}

/* The number in the row of a node's meminfo. */
static uint64_t node_row(struct tmm_machine *machine, unsigned node, const char *name)
{
	char label[64];

	begin();
	tmm_view_node_meminfo(machine, node, &sink);
	snprintf(label, sizeof(label), "Node %u %s", node, name);
	return sum_of(label);
}

static void check_nodes_agree(struct tmm_machine *machine)
{
	static const char *const row[][3] = {
		/* a node's, the machine's, zoneinfo's */
		{"MemTotal:", "MemTotal:", "        managed"},
		{"MemFree:", "MemFree:", "      nr_free_pages"},
		{"AnonPages:", "AnonPages:", "      nr_anon_pages"},
		{"FilePages:", "Cached:", "      nr_file_pages"},
		{"Shmem:", "Shmem:", "      nr_shmem"},
		{"Mapped:", "Mapped:", "      nr_mapped"},
		{"PageTables:", "PageTables:", "      nr_page_table_pages"},
		{"SReclaimable:", "SReclaimable:", "      nr_slab_reclaimable"},
		{"SUnreclaim:", "SUnreclaim:", "      nr_slab_unreclaimable"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		uint64_t sum = 0;

		for (unsigned n = 0; n < 3; n++)
			sum += node_row(machine, n, row[i][0]);
		begin();
		tmm_view_meminfo(machine, &sink);
		CHECK(sum_of(row[i][1]) == sum);
		begin();
		tmm_view_zoneinfo(machine, &sink);
		CHECK(4 * sum_of(row[i][2]) == sum);
	}
}

/*
 *   node     0        1        2
 *   CPU      1        0        none     the task runs on CPU 0, then what it has there
 *   frames   |------| |tttt--| |------|  is node 1's
 */
TEST(what_nodes_count_adds_up_to_what_the_machine_counts)
{
	struct tmm_machine *machine = boot_nodes();
	struct tmm_pages *pages = tmm_machine_pages(machine);
	uint64_t before[3];
	struct tmm_mm *mm;
	tmm_pfn pfn;

	for (unsigned n = 0; n < 3; n++)
		before[n] = node_row(machine, n, "PageTables:");
	check_nodes_agree(machine);
	mm = space_of(machine);
	use_memory(mm);
	CHECK(node_row(machine, 1, "AnonPages:") > 0);
	CHECK(node_row(machine, 1, "PageTables:") > before[1]);
	CHECK(node_row(machine, 1, "Shmem:") > 0);
	for (unsigned n = 0; n < 3; n += 2) {
		CHECK(node_row(machine, n, "AnonPages:") == 0);
		CHECK(node_row(machine, n, "PageTables:") == before[n]);
	}
	check_nodes_agree(machine);
	tmm_check(machine);
	begin();
	tmm_view_zoneinfo(machine, &sink);
	CHECK(sum_of("  per-node stats") == 0); /* the rows are there */
	/* Given back by a CPU of another node than took them: the sums are none the worse. */
	CHECK(tmm_cpu_enter(machine, 1) == TMM_OK);
	tmm_mm_put(mm);
	for (unsigned n = 0; n < 3; n++)
		CHECK(node_row(machine, n, "AnonPages:") == 0 &&
		      node_row(machine, n, "PageTables:") == before[n]);
	check_nodes_agree(machine);
	CHECK(tmm_pages_alloc_node(pages, 2, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	begin();
	tmm_view_node_numastat(machine, 2, &sink);
	CHECK(sum_of("numa_hit ") == 1 && sum_of("other_node ") == 1);
	CHECK(sum_of("numa_miss ") == 0 && sum_of("local_node ") == 0);
	begin();
	tmm_view_node_vmstat(machine, 2, &sink);
	CHECK(sum_of("numa_hit ") == 1 && sum_of("nr_anon_pages ") == 0);
	tmm_pages_free(pages, pfn, 0);
	tmm_check(machine);
	tmm_machine_fini(machine);
}

static bool prints(const char *expected)
{
	bool same = strcmp(text, expected) == 0;

	if (!same)
		test_note("printed: %s", text);
	begin();
	return same;
}

TEST(nodes_are_listed_with_cpus_and_distances)
{
	struct tmm_machine *machine = boot_nodes();

	begin();
	tmm_view_node_list(machine, TMM_NODES_ONLINE, &sink);
	CHECK(prints("0-2\n"));
	tmm_view_node_list(machine, TMM_NODES_HAS_CPU, &sink);
	CHECK(prints("0-1\n"));
	tmm_view_node_list(machine, TMM_NODES_HAS_MEMORY, &sink);
	CHECK(prints("0-2\n"));
	tmm_view_node_list(machine, TMM_NODES_HAS_NORMAL_MEMORY, &sink);
	CHECK(prints("0-2\n"));
	tmm_view_node_cpulist(machine, 1, &sink);
	CHECK(prints("0\n"));
	tmm_view_node_cpulist(machine, 2, &sink);
	CHECK(prints("\n"));
	tmm_view_node_cpumap(machine, 0, &sink);
	CHECK(prints("2\n"));
	tmm_view_node_distance(machine, 1, &sink);
	CHECK(prints("20 10 20\n"));
	tmm_machine_fini(machine);
}

TEST(status_smaps_and_meminfo_count_the_same_pages)
{
	struct tmm_machine *machine = boot();
	struct tmm_mm *mm = space_of(machine);
	const struct tmm_task_id id = {.name = "a task", .state = 'R', .pid = 7, .threads = 1};
	uint64_t size, rss, anon, shmem, tables;

	use_memory(mm);
	begin();
	tmm_view_smaps(mm, &sink);
	size = sum_of("Size:");
	rss = sum_of("Rss:");
	anon = sum_of("Anonymous:");
	CHECK(rss == sum_of("Private_Dirty:") + sum_of("Private_Clean:"));
	CHECK(sum_of("Pss:") == rss);
	begin();
	tmm_view_status(mm, &id, &sink);
	CHECK(strncmp(text, "Name:\ta task\nUmask:\t0000\nState:\tR (running)\nTgid:\t7\n",
	              49) == 0);
	CHECK(sum_of("VmSize:") == size && sum_of("VmRSS:") == rss);
	CHECK(sum_of("RssAnon:") == anon && sum_of("VmHWM:") >= rss);
	shmem = sum_of("RssShmem:");
	CHECK(shmem > 0 && anon + shmem == rss);
	CHECK(sum_of("VmStk:") == 12);
	tables = sum_of("VmPTE:");
	begin();
	tmm_view_meminfo(machine, &sink);
	CHECK(sum_of("AnonPages:") == anon);
	CHECK(sum_of("Shmem:") == shmem && sum_of("Cached:") == shmem);
	CHECK(sum_of("PageTables:") == tables + 4); /* and the root */
	check_free_pages_agree(machine);
	tmm_check(machine);
	tmm_mm_put(mm);
	begin();
	tmm_view_meminfo(machine, &sink);
	CHECK(sum_of("AnonPages:") == 0 && sum_of("PageTables:") == 0);
	CHECK(sum_of("Shmem:") == 0 && sum_of("Cached:") == 0);
	CHECK(sum_of("Committed_AS:") == 0);
	tmm_machine_fini(machine);
}

TEST(maps_lists_every_area_in_order)
{
	struct tmm_machine *machine = boot();
	struct tmm_mm *mm = space_of(machine);
	uint64_t last = 0;
	unsigned lines = 0;

	use_memory(mm);
	begin();
	tmm_view_maps(mm, &sink);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1, lines++) {
		unsigned long long start, end;
		char rights[5];

		CHECK(sscanf(at, "%llx-%llx %4s 00000000 00:00 0 ", &start, &end, rights) == 3);
		CHECK(start >= last && end > start);
		last = end;
	}
	CHECK(lines == 5);
	CHECK(strncmp(text,
	              "00600000-00608000 rw-p 00000000 00:00 0                          "
	              "        [heap]\n",
	              80) == 0);
	CHECK(strstr(text, " ---p 00000000 00:00 0 \n"));
	CHECK(strstr(text, " rw-s 00000000 00:01 ") && strstr(text, " /dev/zero (deleted)\n"));
	CHECK(strstr(text,
	             "7ffffffef000 rw-p 00000000 00:00 0                          [stack]\n"));
	tmm_mm_put(mm);
	tmm_machine_fini(machine);
}

TEST(areas_are_listed_by_address_and_counted)
{
	struct tmm_machine *machine = boot();
	struct tmm_kernel_map *map = tmm_machine_kernel_map(machine);
	uint64_t last = 0, pages = 0;
	void *area[20];

	for (int i = 0; i < 20; i++) {
		area[i] = tmm_vmalloc(map, (uint64_t)(20 - i) * 5000, TMM_GFP_KERNEL);
		CHECK(area[i]);
	}
	tmm_vfree(map, area[7]);
	begin();
	tmm_view_vmallocinfo(machine, &sink);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		unsigned long long start, end, bytes, caller, nr;

		CHECK(sscanf(at, "0x%llx-0x%llx %llu", &start, &end, &bytes) == 3);
		CHECK(start >= last && end - start == bytes);
		last = end;
		if (sscanf(at, "0x%*x-0x%*x %*u 0x%llx pages=%llu", &caller, &nr) == 2)
			pages += nr;
	}
	CHECK(strstr(text, " unpurged vm_area\n"));
	begin();
	tmm_view_meminfo(machine, &sink);
	CHECK(pages > 200 && sum_of("VmallocUsed:") == pages * 4);
	for (int i = 0; i < 20; i++)
		tmm_vfree(map, i == 7 ? NULL : area[i]);
	tmm_vmalloc_purge(map);
	begin();
	tmm_view_vmallocinfo(machine, &sink);
	CHECK(text[0] == '\0');
	tmm_check(machine);
	tmm_machine_fini(machine);
}

/* A file of a cache's, read as Linux's slabinfo tool reads it. */
static const char *slab_file(struct tmm_machine *machine, const char *cache, const char *file)
{
	struct tmm_cache_info info;
	size_t index = 0, number = 0;

	while (tmm_cache_info(tmm_machine_slabs(machine), index, &info) &&
	       strcmp(info.name, cache) != 0)
		index++;
	while (tmm_view_slab_file(number) && strcmp(tmm_view_slab_file(number), file) != 0)
		number++;
	begin();
	CHECK(tmm_view_slab(machine, index, number, &sink));
	return text;
}

/* Objects of 64 in a slab: one of node 0, 65 of node 2, and node 1, the CPU's, has none. */
TEST(slab_files_say_what_lies_on_which_node)
{
	struct tmm_machine *machine = boot_nodes();
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	const struct tmm_cache_spec spec = {
		.name = "spread", .size_bytes = 64, .align_bytes = 64, .no_merge = true};
	struct tmm_cache *cache;
	void *object[66];

	CHECK(tmm_cache_create(slabs, &spec, &cache) == TMM_OK);
	CHECK(!strcmp(slab_file(machine, "spread", "slabs"), "0\n"));
	for (unsigned i = 0; i < 66; i++)
		CHECK((object[i] = tmm_cache_alloc_node(cache, TMM_GFP_KERNEL, i ? 2 : 0)));
	CHECK(!strcmp(slab_file(machine, "spread", "slabs"), "3 N0=1 N2=2\n"));
	CHECK(!strcmp(slab_file(machine, "spread", "objects"), "66 N0=1 N2=65\n"));
	CHECK(!strcmp(slab_file(machine, "spread", "total_objects"), "192 N0=64 N2=128\n"));
	CHECK(!strcmp(slab_file(machine, "spread", "partial"), "2 N0=1 N2=1\n"));
	CHECK(!strcmp(slab_file(machine, "spread", "objects_partial"), "2 N0=1 N2=1\n"));
	for (unsigned i = 0; i < 66; i++)
		tmm_cache_free(cache, object[i]);
	CHECK(!strcmp(slab_file(machine, "spread", "objects"), "0\n"));
	CHECK(!strcmp(slab_file(machine, "spread", "slabs"), "2 N0=1 N2=1\n"));
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	tmm_check(machine);
	tmm_machine_fini(machine);
}

static tmm_err store(struct tmm_machine *machine, const char *cache, const char *file,
                     const char *number)
{
	struct tmm_cache_info info;
	size_t index = 0, place = 0;

	while (tmm_cache_info(tmm_machine_slabs(machine), index, &info) &&
	       strcmp(info.name, cache) != 0)
		index++;
	while (tmm_view_slab_file(place) && strcmp(tmm_view_slab_file(place), file) != 0)
		place++;
	return tmm_view_slab_store(machine, index, place, number, strlen(number));
}

/* A number and maybe a newline; in files that can be written, of caches that there are. */
TEST(numbers_are_written_to_slab_files)
{
	static const char *const bad[] = {"",          "\n",  "-1",    "1 ",
	                                  "0x1",       "two", "1\n\n", "18446744073709551616",
	                                  "4294967296"};
	struct tmm_machine *machine = boot();

	CHECK(store(machine, "kmalloc-64", "min_partial", "7\n") == TMM_OK);
	CHECK(!strcmp(slab_file(machine, "kmalloc-64", "min_partial"), "7\n"));
	CHECK(store(machine, "kmalloc-64", "min_partial", "0") == TMM_OK);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(store(machine, "kmalloc-64", "min_partial", bad[i]) == TMM_E_INVAL);
	CHECK(!strcmp(slab_file(machine, "kmalloc-64", "min_partial"), "0\n"));
	CHECK(store(machine, "kmalloc-64", "cpu_partial", "12") == TMM_OK);
	CHECK(!strcmp(slab_file(machine, "kmalloc-64", "cpu_partial"), "12\n"));
	CHECK(store(machine, "kmalloc-64", "shrink", "1\n") == TMM_OK);
	CHECK(store(machine, "kmalloc-64", "failslab", "1\n") == TMM_OK);
	CHECK(!strcmp(slab_file(machine, "kmalloc-64", "failslab"), "1\n"));
	CHECK(store(machine, "kmalloc-64", "order", "1") == TMM_E_IO);
	CHECK(store(machine, "kmalloc-64", "no file", "1") == TMM_E_IO);
	CHECK(store(machine, "no cache", "shrink", "1") == TMM_E_NOENT);
	tmm_check(machine);
	tmm_machine_fini(machine);
}

static bool block_prints(struct tmm_machine *machine, uint64_t number, const char *file,
                         const char *expected)
{
	size_t i = 0;

	begin();
	while (tmm_view_memory_file(i) && strcmp(tmm_view_memory_file(i), file) != 0)
		i++;
	CHECK(tmm_view_memory(machine, number, i, &sink));
	return prints(expected);
}

/* What each file says of a block that is online, in MOVABLE, offline. */
TEST(memory_blocks_are_printed)
{
	static const struct tmm_firmware_range map[] = {{{0}, 64 * MIB, TMM_FW_USABLE, 0}};
	static const struct {
		const char *file, *online, *movable, *offline;
	} table[] = {
		{"online", "1\n", "1\n", "0\n"},
		{"phys_device", "0\n", "0\n", "0\n"},
		{"phys_index", "00000005\n", "00000005\n", "00000005\n"},
		{"removable", "1\n", "1\n", "1\n"},
		{"state", "online\n", "online\n", "offline\n"},
		{"valid_zones", "DMA32\n", "Movable\n", "DMA32 Movable\n"},
	};
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = 1,
	                                .nr_cpus = 1,
	                                .memory_model = TMM_MEMORY_SPARSE,
	                                .section_bytes = 4 * MIB,
	                                .hotplug_end = 128 * MIB};
	struct tmm_hotplug_report report;
	struct tmm_machine *machine = test_ram(align_up(tmm_machine_bytes(), TMM_PAGE_SIZE));
	struct tmm_pages *pages;
	const char *why;

	CHECK(tmm_machine_init(machine, &shape, test_ram(128 * MIB), &why) == TMM_OK);
	pages = tmm_machine_pages(machine);
	begin();
	tmm_view_memory_block_size(machine, &sink);
	CHECK(prints("400000\n"));
	tmm_view_memory_auto_online(machine, &sink);
	CHECK(prints("offline\n"));
	CHECK(tmm_memory_set_auto_online(pages, TMM_BLOCK_ONLINE_MOVABLE) == TMM_OK);
	tmm_view_memory_auto_online(machine, &sink);
	CHECK(prints("online_movable\n"));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		CHECK(block_prints(machine, 5, table[i].file, table[i].online));
	CHECK(tmm_memory_block_set(pages, 5, TMM_BLOCK_OFFLINE, &report) == TMM_OK);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		CHECK(block_prints(machine, 5, table[i].file, table[i].offline));
	tmm_check(machine);
	CHECK(tmm_memory_block_set(pages, 5, TMM_BLOCK_ONLINE_MOVABLE, &report) == TMM_OK);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		CHECK(block_prints(machine, 5, table[i].file, table[i].movable));
	CHECK(!tmm_view_memory(machine, 99, 0, &sink) && !tmm_view_memory_file(99));
	tmm_check(machine);
	tmm_machine_fini(machine);
}
