#include "machine/machine.h"

#include <sys/mman.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/policy.h>

#include "inject.h"
#include "page/zone.h"
#include "panic.h"
#include "test.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static struct tmm_machine one, two;

static struct tmm_shape shape_of(const struct tmm_firmware_range *map, size_t nr_ranges)
{
	return (struct tmm_shape){.firmware_map = map, .nr_ranges = nr_ranges, .nr_cpus = 1};
}

/* Is `part` somewhere in `text`? */
static bool says(const char *text, const char *part)
{
	size_t length = __builtin_strlen(part);

	for (; *text; text++) {
		if (__builtin_strncmp(text, part, length) == 0)
			return true;
	}
	return false;
}

static const struct tmm_mm_layout task_layout = {.task_size = UINT64_C(0x7ffffffff000),
                                                 .mmap_min = 64 * KIB,
                                                 .mmap_base = UINT64_C(0x7fff00000000)};
static const struct tmm_mm_limits task_limits = {TMM_RLIM_INFINITY, TMM_RLIM_INFINITY, 8 * MIB,
                                                 64 * KIB};

/* A task touches 40 pages of its memory and ends; false: memory ran out. */
static bool run_task(struct tmm_machine *machine)
{
	const struct tmm_mmap_request request = {
		.length = 160 * KIB,
		.prot = TMM_PROT_READ | TMM_PROT_WRITE,
		.flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS,
	};
	struct tmm_mm *mm;
	uint64_t addr;
	bool ran = false;

	if (tmm_mm_create(tmm_machine_spaces(machine), &task_layout, &task_limits, &mm))
		return false;
	if (tmm_mm_mmap(mm, &request, &addr) == TMM_OK) {
		uint64_t end = addr + request.length;
		enum tmm_fault fault = TMM_FAULT_OK;

		for (; addr < end && fault == TMM_FAULT_OK; addr += TMM_PAGE_SIZE)
			fault = tmm_mm_fault(mm, addr, TMM_ACCESS_WRITE);
		ran = fault == TMM_FAULT_OK;
		CHECK(ran || fault == TMM_FAULT_OOM);
	}
	tmm_check(machine);
	tmm_mm_put(mm);
	return ran;
}

/* Lend some of everything, give it back. */
static void use(struct tmm_machine *machine)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	struct tmm_pages *pages = tmm_machine_pages(machine);
	const struct tmm_cache_spec spec = {.name = "used", .size_bytes = 700};
	struct tmm_cache *cache;
	void *small[64], *large;
	tmm_pfn pfn;

	CHECK(tmm_cache_create(slabs, &spec, &cache) == TMM_OK);
	for (int i = 0; i < 64; i++)
		CHECK((small[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	CHECK((large = tmm_kzalloc(slabs, 30000, TMM_GFP_KERNEL)) != NULL);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_USER, 3, &pfn) == TMM_OK);
	tmm_check(machine);
	CHECK(run_task(machine));
	tmm_pages_free(pages, pfn, 3);
	tmm_kfree(slabs, large);
	for (int i = 0; i < 64; i++)
		tmm_cache_free(cache, small[i]);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	tmm_check(machine);
}

/* Boot, use, stop; the usable bytes of the machine. */
static uint64_t lives(const struct tmm_shape *shape, void *ram)
{
	const struct pages_config config = {.nr_nodes = 1,
	                                    .memory_model = shape->memory_model,
	                                    .debug = shape->debug,
	                                    .hotplug_end = shape->hotplug_end};
	const char *why = NULL;
	uint64_t bytes, managed, kept, bounce = 0;
	tmm_paddr start;

	CHECK(tmm_machine_init(&one, shape, ram, &why) == TMM_OK);
	bytes = tmm_memblock_memory_bytes(tmm_machine_memblock(&one));
	managed = tmm_pages_managed_count(tmm_machine_pages(&one)) * TMM_PAGE_SIZE;
	/* Bounce buffers, and a 127th of them to say what is in use. */
	if (tmm_dma_swiotlb(tmm_machine_dma(&one), &start, &bounce))
		bounce += bounce / 64;
	kept = shape->kernel_bytes + 2 * TMM_PAGE_SIZE + bounce +
	       pages_array_bytes(&config, shape->nr_cpus,
	                         tmm_memblock_end(&one.memblock) -
	                                 tmm_memblock_start(&one.memblock));
	CHECK(managed < bytes && managed + kept >= bytes);
	use(&one);
	tmm_machine_fini(&one);
	return bytes;
}

TEST(machines_of_all_sizes_live)
{
	static const uint64_t sizes[] = {
		4 * MIB, 5 * MIB + 12 * KIB, 16 * MIB, 64 * MIB, 128 * MIB, GIB, 3 * GIB,
		4 * GIB, 4 * GIB + 4 * KIB,  128 * GIB};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
		struct tmm_shape shape = shape_of(map, tmm_firmware_pc(sizes[i], map));

		shape.kernel_bytes = sizes[i] < 16 * MIB ? 0 : 4 * MIB;
		CHECK(lives(&shape, test_ram(sizes[i] + GIB)) == sizes[i] - 388 * KIB);
	}
}

/*
 *   RAM    ......|####|..|##|......|##|##|      from above 0, with holes
 *   MiB         3072  +8 +9 +11  3200
 */
TEST(ram_may_start_anywhere_and_have_holes)
{
	const struct tmm_firmware_range map[] = {
		{{3200 * MIB}, 32 * MIB + 100, TMM_FW_USABLE, 0},
		{{3 * GIB}, 8 * MIB, TMM_FW_USABLE, 0},
		{{3 * GIB + 9 * MIB}, 2 * MIB, TMM_FW_USABLE, 0},
		{{3216 * MIB + 1}, 1, TMM_FW_ACPI, 0},
	};
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));

	CHECK(lives(&shape, test_ram(4 * GIB)) == 42 * MIB - 4 * KIB);
}

/* The kernel's image: at 16 MiB, or at the start of RAM. */
TEST(the_kernel_has_its_place)
{
	struct tmm_firmware_range map[] = {
		{{64 * MIB}, 64 * MIB, TMM_FW_USABLE, 0},
		{{0}, 20 * MIB, TMM_FW_USABLE, 0},
	};
	struct tmm_shape shape = shape_of(map, 2);
	const struct tmm_region *reserved = one.memblock.reserved.region;
	void *ram = test_ram(128 * MIB);
	const char *why;

	shape.kernel_bytes = 3 * MIB + 1;
	CHECK(tmm_machine_init(&one, &shape, ram, &why) == TMM_OK);
	CHECK(reserved[0].start == 0 && reserved[0].end == 4 * KIB); /* frame 0 */
	CHECK(reserved[1].start == 16 * MIB && reserved[1].end == 19 * MIB + 4 * KIB);
	tmm_machine_fini(&one);
	shape.nr_ranges = 1;
	memset(ram, 0, 128 * MIB);
	CHECK(tmm_machine_init(&one, &shape, ram, &why) == TMM_OK);
	CHECK(reserved[1].start == 64 * MIB && reserved[1].end == 67 * MIB + 4 * KIB);
	tmm_machine_fini(&one);
}

/* Boots, or says that RAM is too small, by itself or for an area. */
static bool boots(const struct tmm_shape *shape, void *ram, uint64_t bytes)
{
	const char *why = NULL;
	tmm_err err = tmm_machine_init(&one, shape, ram, &why);

	if (err) {
		CHECK(says(why, err == TMM_E_NOMEM
		                        ? "RAM is too small: this machine needs at least "
		                        : "a contiguous area finds no free piece of RAM"));
		return false;
	}
	tmm_check(&one);
	tmm_machine_fini(&one);
	memset(ram, 0, bytes);
	return true;
}

/*
 * What tmm_machine_least_bytes() says does work; less boots or is refused, and
 * nothing that is less than what was refused boots.
 */
TEST(the_least_ram_works_and_less_is_refused)
{
	/* One area; two that stand in each other's way; one that reaches over 16 MiB. */
	static const struct tmm_cma_spec areas[] = {
		{"camera", 16 * MIB, 0, 0, 4 * MIB, 0, TMM_NODE_ANY},
		{"screen", 2 * MIB, 26 * MIB, 0, 0, 0, TMM_NODE_ANY},
		{"sound", 6 * MIB, 0, 0, 0, 0, TMM_NODE_ANY},
		{"flash", 12 * MIB, 0, 0, 0, 0, TMM_NODE_ANY},
	};
	static const uint32_t first_area[] = {0, 1, 3, 4};
	void *ram = test_ram(128 * MIB);

	for (unsigned i = 0; i < 12; i++) {
		struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
		struct tmm_shape shape = shape_of(map, tmm_firmware_pc(MIB, map));
		bool booted = false, has_areas = i >= 6 && i < 9, now;
		uint64_t least, smallest = 0;

		shape.kernel_bytes = (const uint64_t[12]){0, 0,       MIB, 20 * MIB, 0,
		                                          0, 8 * MIB, 0,   0}[i];
		shape.nr_cpus = (const uint32_t[]){1, 256, 1, 4, 1, 1, 2, 1, 1, 1, 1, 1}[i];
		shape.min_free_kbytes = i == 4 ? 4096 : 0;
		shape.slab_allocator = i == 5 ? TMM_SLOB : TMM_SLABS;
		for (uint32_t a = has_areas ? first_area[i - 6] : 0;
		     has_areas && a < first_area[i - 5]; a++)
			shape.cma[shape.nr_cma++] = areas[a];
		shape.memory_model = i >= 9 ? TMM_MEMORY_SPARSE : TMM_MEMORY_FLAT;
		shape.debug = i == 10 ? TMM_DEBUG_PAGE_OWNER : 0;
		shape.hotplug_end = i == 11 ? 16 * GIB : 0;
		least = tmm_machine_least_bytes(&shape);
		CHECK(least < 48 * MIB);
		for (uint64_t bytes = 0; bytes < least - MIB; bytes += 256 * KIB) {
			shape.nr_ranges = tmm_firmware_pc(bytes, map);
			now = boots(&shape, ram, bytes);
			CHECK(bytes ? now || !booted : !now);
			if (now && !booted)
				smallest = bytes;
			booted = now;
			CHECK(tmm_machine_least_bytes(&shape) == least);
		}
		/* Beside what a small program takes there is the step in which areas are tried.
		 */
		CHECK(booted ? least - smallest <= 3 * MIB : i >= 6);
		shape.nr_ranges = tmm_firmware_pc(least, map);
		CHECK(tmm_machine_least_bytes(&shape) == least);
		memset(ram, 0, 128 * MIB);
		lives(&shape, ram);
		memset(ram, 0, 128 * MIB);
	}
}

/* Descriptors of 4 MiB, stacks of one CPU and all else: less than a tenth. */
TEST(a_machine_of_1_mib_runs_a_task)
{
	static const struct tmm_firmware_range map[] = {{{0}, MIB, TMM_FW_USABLE, 0}};
	struct tmm_shape shape = shape_of(map, 1);
	void *ram = test_ram(MIB);
	const char *why;

	CHECK(tmm_machine_init(&one, &shape, ram, &why) == TMM_OK);
	CHECK(tmm_pages_managed_count(tmm_machine_pages(&one)) * TMM_PAGE_SIZE > MIB * 9 / 10);
	CHECK(run_task(&one));
	tmm_check(&one);
	tmm_machine_fini(&one);
}

TEST(contradictions_are_refused_with_a_sentence)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape good = shape_of(map, tmm_firmware_pc(64 * MIB, map)), bad;
	static const struct tmm_firmware_range wraps = {{UINT64_MAX}, 5, TMM_FW_USABLE, 0};
	static const struct tmm_firmware_range typeless = {{0}, 64 * MIB, 0, 0};
	static const struct tmm_firmware_range far = {
		{UINT64_C(9) << 40}, 64 * MIB, TMM_FW_USABLE, 0};
	static const struct tmm_firmware_range noded = {{0}, 64 * MIB, TMM_FW_USABLE, 1};
	void *ram = test_ram(64 * MIB);
	const char *why;

#define REFUSED(change, sentence)                                                              \
	bad = good;                                                                            \
	change;                                                                                \
	why = NULL;                                                                            \
	CHECK(tmm_machine_init(&one, &bad, ram, &why) == TMM_E_INVAL);                         \
	CHECK(why &&says(why, sentence))

	REFUSED(bad.firmware_map = NULL, "map is empty");
	REFUSED(bad.nr_ranges = 0, "map is empty");
	REFUSED(bad.nr_cpus = 0, "CPUs");
	REFUSED(bad.nr_cpus = TMM_MAX_CPUS + 1, "CPUs");
	REFUSED(bad.overcommit_memory = 3, "overcommit_memory");
	REFUSED(bad.fault_around_bytes = 5000, "fault_around_bytes");
	REFUSED(bad.anon_around_bytes = 2048, "anon_around_bytes");
	REFUSED(bad.kernel_bytes = UINT64_MAX, "kernel_bytes");
	REFUSED(bad.min_free_kbytes = UINT64_MAX, "min_free_kbytes");
	REFUSED(bad.nr_nodes = 17, "nr_nodes");
	REFUSED((bad.nr_nodes = 2, bad.distance[0][1] = bad.distance[1][0] = 10), "distance");
	REFUSED((bad.nr_nodes = 2, bad.distance[0][1] = 20), "both directions");
	REFUSED(bad.distance[0][0] = 11, "distance");
	REFUSED(bad.cpu_node[0] = 1, "cpu_node");
	REFUSED(bad.memory_model = (enum tmm_memory_model)3, "memory_model");
	REFUSED(bad.section_bytes = 128 * MIB, "sections");
	REFUSED((bad.memory_model = TMM_MEMORY_SPARSE, bad.max_order = 16), "section_bytes");
	REFUSED(bad.geometry = (enum tmm_geometry)4, "geometry");
	REFUSED(bad.max_order = 8, "max_order");
	REFUSED(bad.lowmem_bytes = 5, "lowmem_bytes");
	REFUSED(bad.max_order = 19, "max_order");
	REFUSED((bad.max_order = 12, bad.lowmem_bytes = 36 * MIB), "lowmem_bytes");
	REFUSED(bad.kernelcore_bytes = UINT64_MAX, "kernelcore_bytes");
	REFUSED(bad.movablecore_bytes = UINT64_MAX, "movablecore_bytes");
	REFUSED(bad.nr_cma = 9, "nr_cma");
	REFUSED(bad.nr_cma = 1, "cma names");
	REFUSED(bad.watermark_scale_factor = 3001, "watermark_scale_factor");
	REFUSED(bad.stack_high_pages = 513, "stack_high_pages");
	REFUSED((bad.stack_high_pages = 4, bad.stack_batch_pages = 5), "stack_batch_pages");
	REFUSED(bad.stack_batch_pages = 513, "stack_batch_pages");
	REFUSED((bad.firmware_map = &wraps, bad.nr_ranges = 1), "ends behind");
	REFUSED((bad.firmware_map = &typeless, bad.nr_ranges = 1), "unknown type");
	REFUSED((bad.firmware_map = &noded, bad.nr_ranges = 1), "node");
	REFUSED((bad.firmware_map = &far, bad.nr_ranges = 1), "RAM ends behind");
#undef REFUSED
	lives(&good, ram);
}

/*
 *   node 0  |-- 64 MiB --|              CPU 0
 *   node 1               |-- 64 MiB --| CPU 1
 */
TEST(nodes_live_on_memory_of_their_own)
{
	static const struct tmm_firmware_range map[] = {
		{{0}, 64 * MIB, TMM_FW_USABLE, 0}, {{64 * MIB}, 64 * MIB, TMM_FW_USABLE, 1}};

	for (unsigned model = TMM_MEMORY_FLAT; model <= TMM_MEMORY_SPARSE; model++) {
		struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
		void *ram = test_ram(128 * MIB);
		const char *why;

		shape.nr_nodes = shape.nr_cpus = 2;
		shape.cpu_node[1] = 1;
		shape.memory_model = (enum tmm_memory_model)model;
		CHECK(tmm_machine_init(&one, &shape, ram, &why) == TMM_OK);
		for (unsigned cpu = 0; cpu < 2; cpu++) {
			tmm_pfn pfn;

			CHECK(tmm_cpu_enter(&one, cpu) == TMM_OK);
			CHECK(tmm_pages_alloc(tmm_machine_pages(&one), TMM_GFP_KERNEL, 0,
			                      &pfn) == TMM_OK);
			CHECK(pfn.v / (64 * MIB / TMM_PAGE_SIZE) == cpu);
			tmm_pages_free(tmm_machine_pages(&one), pfn, 0);
			use(&one);
		}
		tmm_machine_fini(&one);
	}
}

/* Move the page at addr to another node; what is counted goes with it. */
static void move_to_node(struct tmm_mm *mm, uint64_t addr, unsigned node)
{
	tmm_pfn from = tmm_pte_pfn(tmm_pte_get(tmm_mm_pgtable(mm), (tmm_vaddr){addr})), to;

	CHECK(tmm_pages_alloc_node(&one.pages, node, TMM_GFP_HIGHUSER_MOVABLE, 0, &to) ==
	      TMM_OK);
	CHECK(tmm_pfn_node(&one.pages, from) != node && tmm_pfn_node(&one.pages, to) == node);
	CHECK(page_move(&one.pages, from, to) == TMM_OK);
	tmm_pages_free(&one.pages, from, 0);
}

/*
 *   node 0  |a s --|   a private page and a shared one, written on CPU 0;
 *   node 1  |-- a s|   both go to node 1
 */
TEST(pages_that_change_their_node_are_counted_there)
{
	const struct tmm_firmware_range map[] = {
		{{0}, 32 * MIB, TMM_FW_USABLE, 0},
		{{32 * MIB}, 32 * MIB, TMM_FW_USABLE, 1},
	};
	struct tmm_shape shape = shape_of(map, 2);
	struct tmm_mmap_request request = {.length = TMM_PAGE_SIZE,
	                                   .prot = TMM_PROT_READ | TMM_PROT_WRITE,
	                                   .flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS};
	const struct tmm_pages *pages = &one.pages;
	uint64_t own, shared;
	const char *why;
	struct tmm_mm *mm;

	shape.nr_nodes = 2;
	CHECK(tmm_machine_init(&one, &shape, test_ram(64 * MIB), &why) == TMM_OK);
	CHECK(tmm_mm_create(&one.spaces, &task_layout, &task_limits, &mm) == TMM_OK);
	CHECK(tmm_mm_mmap(mm, &request, &own) == TMM_OK);
	request.flags = TMM_MAP_SHARED | TMM_MAP_ANONYMOUS;
	CHECK(tmm_mm_mmap(mm, &request, &shared) == TMM_OK);
	CHECK(tmm_mm_fault(mm, own, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_mm_fault(mm, shared, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(node_stat_sum(pages, 0, NR_ANON_PAGES) == 1);
	CHECK(node_stat_sum(pages, 0, NR_SHMEM) == 1);
	move_to_node(mm, own, 1);
	move_to_node(mm, shared, 1);
	tmm_check(&one);
	for (unsigned n = 0; n < 2; n++) {
		CHECK(node_stat_sum(pages, n, NR_ANON_PAGES) == n);
		CHECK(node_stat_sum(pages, n, NR_SHMEM) == n);
		CHECK(node_stat_sum(pages, n, NR_FILE_PAGES) == n);
		CHECK(node_stat_sum(pages, n, NR_FILE_MAPPED) == 0); /* it was unmapped */
	}
	CHECK(tmm_mm_fault(mm, shared, TMM_ACCESS_READ) == TMM_FAULT_OK);
	CHECK(node_stat_sum(pages, 1, NR_FILE_MAPPED) == 1);
	tmm_mm_put(mm);
	CHECK(node_stat_total(pages, NR_ANON_PAGES) == 0);
	CHECK(node_stat_total(pages, NR_SHMEM) == 0);
	tmm_machine_fini(&one);
}

/* Every way to divide memory, with a task on it. */
TEST(divided_memory_lives)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape plain = shape_of(map, tmm_firmware_pc(256 * MIB, map));
	struct tmm_shape shape[5];

	for (unsigned i = 0; i < ARRAY_SIZE(shape); i++)
		shape[i] = plain;
	shape[0].lowmem_bytes = 64 * MIB;
	shape[0].geometry = TMM_GEOMETRY_X86_32;
	shape[1].kernelcore_bytes = 64 * MIB;
	shape[2].movablecore_bytes = 100 * MIB;
	shape[2].watermark_scale_factor = 500;
	shape[3].max_order = 9;
	shape[3].stack_high_pages = 40;
	shape[3].stack_batch_pages = 10;
	shape[4].max_order = 14;
	for (unsigned i = 0; i < ARRAY_SIZE(shape); i++)
		lives(&shape[i], test_ram(256 * MIB));
}

TEST(a_map_of_too_many_holes_is_refused)
{
	static struct tmm_firmware_range map[2 * TMM_MEMBLOCK_MAX_REGIONS];
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
	const char *why = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		map[i] = (struct tmm_firmware_range){{i * MIB}, 512 * KIB, TMM_FW_USABLE, 0};
	CHECK(tmm_machine_init(&one, &shape, test_ram(512 * MIB), &why) == TMM_E_INVAL);
	CHECK(says(why, "more holes"));
	shape.nr_ranges = 128;
	CHECK(tmm_machine_init(&one, &shape, test_ram(512 * MIB), &why) == TMM_E_NOMEM);
	CHECK(says(why, "in one piece"));
	map[127].size_bytes = 4 * MIB; /* room for the descriptors */
	lives(&shape, test_ram(512 * MIB));
}

TEST(mem_limits_the_machine)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(4 * GIB, map));
	const char *why;

	shape.mem_limit_bytes = 40 * MIB;
	CHECK(lives(&shape, test_ram(5 * GIB)) == 40 * MIB);
	shape.mem_limit_bytes = 256 * KIB;
	CHECK(tmm_machine_init(&one, &shape, test_ram(5 * GIB), &why) == TMM_E_NOMEM);
}

TEST(two_machines_live_side_by_side)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(16 * MIB, map));
	const char *why;
	void *a, *b;

	CHECK(tmm_machine_init(&one, &shape, test_ram(16 * MIB), &why) == TMM_OK);
	CHECK(tmm_machine_init(&two, &shape, test_ram(16 * MIB), &why) == TMM_OK);
	a = tmm_kmalloc(tmm_machine_slabs(&one), 100, TMM_GFP_KERNEL);
	b = tmm_kmalloc(tmm_machine_slabs(&two), 100, TMM_GFP_KERNEL);
	CHECK(a && b && a != b);
	use(&one);
	use(&two);
	tmm_kfree(tmm_machine_slabs(&one), a);
	tmm_machine_fini(&one);
	tmm_check(&two);
	tmm_kfree(tmm_machine_slabs(&two), b);
	tmm_machine_fini(&two);
	CHECK(tmm_port_cpu() == NULL);
}

TEST(a_thread_chooses_its_cpu)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(16 * MIB, map));
	const char *why;

	shape.nr_cpus = 3;
	CHECK(tmm_machine_init(&one, &shape, test_ram(16 * MIB), &why) == TMM_OK);
	CHECK(tmm_cpu_enter(&one, 2) == TMM_OK);
	use(&one);
	CHECK(tmm_cpu_enter(&one, 3) == TMM_E_INVAL);
	CHECK(tmm_cpu_enter(&one, 0) == TMM_OK);
	use(&one);
	tmm_machine_fini(&one);
}

/* Nothing is lent outside of the machine's struct and its RAM: failing leaves no trace. */
TEST(every_failure_during_boot_is_survived)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(64 * MIB, map));
	void *ram = test_ram(64 * MIB);

	shape.kernel_bytes = 4 * MIB;
	shape.dma_debug = TMM_DMA_DEBUG;
	shape.coherent_pool_bytes = 64 * KIB;
	for (int forever = 0; forever <= 1; forever++) {
		bool failed = true;
		uint64_t n;

		for (n = 1; failed; n++) {
			const char *why = NULL;
			tmm_err err;

			CHECK(madvise(ram, 64 * MIB, MADV_REMOVE) == 0);
			tmm_inject_nth(n, forever);
			err = tmm_machine_init(&one, &shape, ram, &why);
			failed = tmm_inject_stop();
			CHECK(err == TMM_OK || (err == TMM_E_NOMEM && failed));
			CHECK(err || !failed || !forever); /* one: a shorter slab may do */
			CHECK(!err == !why);
			CHECK(!err || says(why, "an allocation failed"));
			CHECK(n < 1000);
			if (!err) {
				use(&one);
				tmm_machine_fini(&one);
			}
		}
		test_note("%llu failure points", (unsigned long long)n - 2);
	}
}

/* The task ends, the machine lives, and every frame comes back (tmm_machine_fini()). */
TEST(every_failure_of_a_task_is_survived)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(16 * MIB, map));
	void *ram = test_ram(16 * MIB);

	for (int forever = 0; forever <= 1; forever++) {
		bool failed = true;
		uint64_t n;

		for (n = 1; failed; n++) {
			const char *why;
			bool ran;

			CHECK(madvise(ram, 16 * MIB, MADV_REMOVE) == 0);
			CHECK(tmm_machine_init(&one, &shape, ram, &why) == TMM_OK);
			tmm_inject_nth(n, forever);
			ran = run_task(&one);
			failed = tmm_inject_stop();
			CHECK(ran || failed); /* it may well run with less */
			CHECK(run_task(&one));
			tmm_machine_fini(&one);
			CHECK(n < 1000);
		}
		test_note("%llu failure points", (unsigned long long)n - 2);
	}
}

/* ---- what the checker finds ---- */

static void check_one(void *arg)
{
	(void)arg;
	tmm_check(&one);
}

TEST(the_checker_finds_a_frame_in_two_places)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(16 * MIB, map));
	struct tmm_cpu *cpu;
	const char *why;
	struct page *page;
	tmm_pfn pfn;

	CHECK(tmm_machine_init(&one, &shape, test_ram(16 * MIB), &why) == TMM_OK);
	CHECK(tmm_pages_alloc(&one.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	page = page_of(&one.pages, pfn);
	cpu = tmm_port_cpu();
	for (unsigned kind = PAGE_NONE; kind <= NR_PAGE_KINDS; kind++) {
		bool wrong = kind != PAGE_NONE && kind != PAGE_MOVABLE;

		page->kind = (uint8_t)kind;
		page->mapcount = kind == PAGE_ANON;
		page->owner = kind == PAGE_SLAB ? (void *)one.slabs.kmalloc : &one.slabs;
		CHECK((test_panics(check_one, NULL) != NULL) == wrong);
		tmm_port_forget_locks();
		tmm_port_cpu_set(cpu);
	}
	*page = (struct page){.kind = PAGE_NONE};
	tmm_check(&one);
	tmm_pages_free(&one.pages, pfn, 0);
	page->kind = PAGE_TABLE; /* free, and a table */
	CHECK(test_panics(check_one, NULL));
}
