/*
 * machine_check.c - the sections of a machine file against each other
 *
 * Checked in the order in which one follows from another: how memory can be
 * addressed, where it is, which nodes have it, how it is managed, which parts CMA
 * keeps.  What remains for tmm_machine_init() to refuse is what the core does not
 * make, and RAM that is too small.
 */
#include "cmd.h"
#include "machine.h"

#include <string.h>

#include <tuxmm/page_debug.h>
#include <tuxmm/slab_debug.h>

#define KIB           UINT64_C(1024)
#define MIB           (KIB * 1024)
#define GIB           (MIB * 1024)
#define BLOCK         (2 * MIB) /* one zone, one migrate type */
#define LARGEST       (8 * 1024 * GIB)
#define LOWMEM        (896 * MIB)  /* what Linux maps of 1 GiB of addresses */
#define LOWMEM_MOST   (2944 * MIB) /* of 3 GiB of addresses */
#define DEFAULT_ORDER 10u
#define SECTION       (128 * MIB)

static const struct {
	const char *name;
	uint64_t bytes;  /* of physical addresses */
	bool has_lowmem; /* the kernel's addresses are fewer than RAM may be */
} geometries[] = {
	[TMM_GEOMETRY_X86_64] = {"x86-64", LARGEST, false},
	[TMM_GEOMETRY_X86_64_LA57] = {"x86-64-la57", LARGEST, false},
	[TMM_GEOMETRY_X86_32] = {"x86-32", 4 * GIB, true},
	[TMM_GEOMETRY_X86_PAE] = {"x86-pae", 64 * GIB, true},
};

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Where to point when a key is wrong for what another line says. */
static unsigned line_of(const struct section *section, unsigned key)
{
	return section->key_line[key] ? section->key_line[key] : section->line;
}

static uint64_t range_end(const struct tmm_firmware_range *range)
{
	return range->start.v + range->size_bytes;
}

/* ---- memory ---- */

/* Overwrites ranges from the last to the first: they are as many as sections. */
static bool take_range(struct machine_file *file, const struct section *section)
{
	const uint64_t most = geometries[file->shape.geometry].bytes;
	const uint64_t start = section->value[MEMORY_START],
		       bytes = section->value[MEMORY_SIZE];
	uint64_t type = section->value[MEMORY_TYPE];
	char text[SIZE_TEXT];

	if (!section->key_line[MEMORY_START] || !section->key_line[MEMORY_SIZE])
		return machine_fault(file, section->line, "[%s]: expected start and size",
		                     section->title);
	if (start >= most || bytes > most - start)
		return machine_fault(file, line_of(section, MEMORY_SIZE),
		                     "[%s]: ends at more than %s: expected physical addresses "
		                     "of page-tables = %s",
		                     section->title, exact_size(most, text),
		                     geometries[file->shape.geometry].name);
	if (!type)
		type = TMM_FW_USABLE;
	if (type != TMM_FW_USABLE && section->key_line[MEMORY_NODE])
		return machine_fault(file, section->key_line[MEMORY_NODE],
		                     "[%s] node: the range is not usable: expected it only "
		                     "with type = usable",
		                     section->title);
	file->map[file->shape.nr_ranges++] = (struct tmm_firmware_range){
		.start = {start},
		.size_bytes = bytes,
		.type = (enum tmm_firmware_type)type,
		.node = (uint32_t)section->value[MEMORY_NODE],
	};
	return true;
}

static bool check_overlap(struct machine_file *file, const struct section *section)
{
	const uint64_t start = section->value[MEMORY_START];
	const struct section *other = NULL;

	while ((other = machine_next(file, SECTION_MEMORY, other)) != section) {
		uint64_t other_start = other->value[MEMORY_START];

		if (start < other_start + other->value[MEMORY_SIZE] &&
		    other_start < start + section->value[MEMORY_SIZE])
			return machine_fault(file, line_of(section, MEMORY_START),
			                     "[%s]: overlaps [%s], line %u: expected ranges "
			                     "apart",
			                     section->title, other->title, other->line);
	}
	return true;
}

/* Two nodes in one block would make it of two zones. */
static bool check_block(struct machine_file *file, const struct section *section)
{
	const uint64_t first = section->value[MEMORY_START] / BLOCK;
	const uint64_t last = (section->value[MEMORY_START] + section->value[MEMORY_SIZE] - 1) /
	                      BLOCK;
	const struct section *other = NULL;

	while ((other = machine_next(file, SECTION_MEMORY, other)) != section) {
		uint64_t other_start = other->value[MEMORY_START];
		uint64_t other_end = other_start + other->value[MEMORY_SIZE];

		if (section->value[MEMORY_TYPE] > TMM_FW_USABLE ||
		    other->value[MEMORY_TYPE] > TMM_FW_USABLE ||
		    section->value[MEMORY_NODE] == other->value[MEMORY_NODE])
			continue;
		if (first <= (other_end - 1) / BLOCK && other_start / BLOCK <= last)
			return machine_fault(file, line_of(section, MEMORY_NODE),
			                     "[%s] node: [%s], line %u, has the same 2M: "
			                     "expected each aligned 2M on one node",
			                     section->title, other->title, other->line);
	}
	return true;
}

static bool take_ranges(struct machine_file *file)
{
	const struct section *section = NULL;

	while ((section = machine_next(file, SECTION_MEMORY, section))) {
		if (!take_range(file, section) || !check_overlap(file, section) ||
		    !check_block(file, section))
			return false;
	}
	return true;
}

static bool take_pc(struct machine_file *file, uint64_t bytes)
{
	const struct section *main = machine_main(file);
	const uint64_t most = geometries[file->shape.geometry].bytes;
	char text[SIZE_TEXT];

	if (bytes <= most)
		file->shape.nr_ranges = tmm_firmware_pc(bytes, file->map);
	if (bytes > most || range_end(&file->map[file->shape.nr_ranges - 1]) > most)
		return machine_fault(
			file, line_of(main, MACHINE_RAM),
			"[machine] ram: ends at more than %s, the hole below 4G "
			"included: expected physical addresses of page-tables = %s",
			exact_size(most, text), geometries[file->shape.geometry].name);
	return true;
}

/* ram_bytes, of the command line, stands for all that the file says. */
static bool take_memory(struct machine_file *file, const uint64_t *ram_bytes)
{
	const struct section *main = machine_main(file);
	const struct section *first = machine_next(file, SECTION_MEMORY, NULL);
	bool ok;

	if (first && main->key_line[MACHINE_RAM])
		return machine_fault(
			file, main->key_line[MACHINE_RAM],
			"[machine] ram: [%s], line %u, says where RAM is: expected "
			"one of both",
			first->title, first->line);
	if (!first && !main->key_line[MACHINE_RAM] && !ram_bytes)
		return machine_fault(file, main->line ? main->line : file->last_line,
		                     "no memory: expected ram = SIZE in [machine], or [memory "
		                     "NAME] sections");
	if (ram_bytes || !first)
		ok = take_pc(file, ram_bytes ? *ram_bytes : main->value[MACHINE_RAM]);
	else
		ok = take_ranges(file);
	for (size_t i = 0; ok && i < file->shape.nr_ranges; i++) {
		if (file->map[i].type != TMM_FW_USABLE)
			continue;
		file->ram_bytes += file->map[i].size_bytes;
		if (range_end(&file->map[i]) > file->arena_bytes)
			file->arena_bytes = range_end(&file->map[i]);
	}
	if (ok && !file->ram_bytes && !ram_bytes)
		return machine_fault(file, first ? first->line : line_of(main, MACHINE_RAM),
		                     "no usable memory: expected some with type = usable");
	if (ok && (ram_bytes || !first))
		file->ram_bytes = ram_bytes ? *ram_bytes : main->value[MACHINE_RAM];
	return ok;
}

/* ---- nodes and CPUs ---- */

static uint64_t bytes_on(const struct machine_file *file, uint32_t node)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < file->shape.nr_ranges; i++)
		if (file->map[i].type == TMM_FW_USABLE && file->map[i].node == node)
			bytes += file->map[i].size_bytes;
	return bytes;
}

static unsigned node_number(const struct section *section)
{
	uint64_t number = 0;

	read_number(section->title + strlen("node "), &number);
	return (unsigned)number;
}

static const struct section *node_section(const struct machine_file *file, unsigned node)
{
	const struct section *section = NULL;

	while ((section = machine_next(file, SECTION_NODE, section)) &&
	       node_number(section) != node)
		;
	return section;
}

static bool check_numbers(struct machine_file *file)
{
	const struct section *section = NULL;

	while ((section = machine_next(file, SECTION_NODE, section)))
		file->shape.nr_nodes++;
	while ((section = machine_next(file, SECTION_NODE, section)))
		if (node_number(section) >= file->shape.nr_nodes)
			return machine_fault(
				file, section->line,
				"[%s]: there are %u nodes: expected numbers from 0 "
				"without a gap",
				section->title, file->shape.nr_nodes);
	if (!file->shape.nr_nodes)
		file->shape.nr_nodes = 1;
	while ((section = machine_next(file, SECTION_MEMORY, section)))
		if (section->value[MEMORY_NODE] >= file->shape.nr_nodes)
			return machine_fault(
				file, section->key_line[MEMORY_NODE],
				"[%s] node = %u: no such node: expected a [node %u] "
				"section",
				section->title, (unsigned)section->value[MEMORY_NODE],
				(unsigned)section->value[MEMORY_NODE]);
	return true;
}

static bool check_cpus(struct machine_file *file)
{
	const struct section *section = machine_next(file, SECTION_NODE, NULL);
	const struct section *main = machine_main(file);

	for (unsigned cpu = 0; cpu < TMM_MAX_CPUS; cpu++) {
		unsigned line = file->cpu_line[cpu];

		if (line && cpu >= file->shape.nr_cpus)
			return machine_fault(file, line,
			                     "[node %u] cpus: CPU %u is not there: expected "
			                     "numbers below cpus = %u of [machine]",
			                     file->shape.cpu_node[cpu], cpu,
			                     file->shape.nr_cpus);
		if (section && !line && cpu < file->shape.nr_cpus)
			return machine_fault(
				file, line_of(main, MACHINE_CPUS),
				"[machine] cpus: CPU %u is on no node: expected it "
				"in cpus of one [node NUMBER]",
				cpu);
	}
	return true;
}

static bool check_distances(struct machine_file *file, const struct section *section)
{
	uint8_t(*distance)[TMM_MAX_NODES] = file->shape.distance;
	const unsigned node = node_number(section), nr = file->shape.nr_nodes;
	const unsigned line = line_of(section, NODE_DISTANCE);
	const struct section *first = machine_next(file, SECTION_NODE, NULL);

	if (!section->key_line[NODE_DISTANCE] != !first->key_line[NODE_DISTANCE])
		return machine_fault(
			file, line,
			"[%s] distance: some nodes say theirs: expected all or none",
			section->title);
	if (!section->key_line[NODE_DISTANCE])
		return true;
	if (file->nr_distances[node] != nr)
		return machine_fault(
			file, line, "[%s] distance: %u numbers: expected %u, one for each node",
			section->title, file->nr_distances[node], nr);
	if (distance[node][node] != 10)
		return machine_fault(file, line, "[%s] distance: %u to itself: expected 10",
		                     section->title, distance[node][node]);
	for (unsigned to = 0; to < nr; to++) {
		if (to != node && distance[node][to] == 10)
			return machine_fault(
				file, line,
				"[%s] distance: 10 to node %u: expected more, 10 is "
				"to itself",
				section->title, to);
		if (file->nr_distances[to] == nr && distance[to][node] != distance[node][to])
			return machine_fault(
				file, line,
				"[%s] distance: %u to node %u and %u back: expected "
				"both equal",
				section->title, distance[node][to], to, distance[to][node]);
	}
	return true;
}

static bool take_nodes(struct machine_file *file)
{
	const struct section *section = NULL;

	if (!check_numbers(file) || !check_cpus(file))
		return false;
	while ((section = machine_next(file, SECTION_NODE, section))) {
		if (!section->key_line[NODE_CPUS] && !bytes_on(file, node_number(section)))
			return machine_fault(
				file, section->line,
				"[%s]: neither CPUs nor memory: expected cpus, or a "
				"[memory NAME] with this node",
				section->title);
		if (!check_distances(file, section))
			return false;
	}
	return true;
}

/* ---- how it is managed ---- */

static bool check_sections(struct machine_file *file)
{
	const struct section *main = machine_main(file);
	const uint64_t bytes = main->value[MACHINE_SECTION_SIZE];
	const unsigned line = main->key_line[MACHINE_SECTION_SIZE];
	const unsigned order = file->shape.max_order ? file->shape.max_order : DEFAULT_ORDER;
	char text[SIZE_TEXT];

	if (file->shape.memory_model != TMM_MEMORY_SPARSE)
		return !line || machine_fault(file, line,
		                              "[machine] section-size: expected it only with "
		                              "memory-model = sparse");
	if (line && (!is_power_of_two(bytes) || bytes < BLOCK))
		return machine_fault(
			file, line,
			"[machine] section-size = %s: expected a power of two of at "
			"least 2M",
			exact_size(bytes, text));
	if (TMM_PAGE_SIZE << order > (line ? bytes : SECTION))
		return machine_fault(file, line ? line : main->key_line[MACHINE_MAX_ORDER],
		                     "[machine] section-size: a run of max-order = %u has %s: "
		                     "expected sections to hold it",
		                     order, exact_size(TMM_PAGE_SIZE << order, text));
	return true;
}

/* RAM that may be added later needs sections, and addresses above what is there. */
static bool take_hotplug(struct machine_file *file)
{
	const struct section *main = machine_main(file);
	const unsigned line = main->key_line[MACHINE_HOTPLUG_END];
	const uint64_t end = main->value[MACHINE_HOTPLUG_END];
	const uint64_t most = geometries[file->shape.geometry].bytes;
	const uint64_t section = file->shape.section_bytes ? file->shape.section_bytes
	                                                   : SECTION;
	char text[SIZE_TEXT], want[SIZE_TEXT];

	if (!line)
		return true;
	if (file->shape.memory_model != TMM_MEMORY_SPARSE)
		return machine_fault(file, line,
		                     "[machine] hotplug-end: expected it only with "
		                     "memory-model = sparse");
	if (end <= file->arena_bytes || end % section)
		return machine_fault(file, line,
		                     "[machine] hotplug-end = %s: expected a multiple of %s, a "
		                     "section, above the end of RAM",
		                     exact_size(end, text), exact_size(section, want));
	if (end > most)
		return machine_fault(file, line,
		                     "[machine] hotplug-end = %s: expected at most %s, the "
		                     "physical addresses of page-tables = %s",
		                     exact_size(end, text), exact_size(most, want),
		                     geometries[file->shape.geometry].name);
	file->shape.hotplug_end = end;
	file->arena_bytes = end;
	return true;
}

static void take_debug(struct machine_file *file)
{
	const struct section *debug = machine_next(file, SECTION_DEBUG, NULL);

	if (debug && debug->value[DEBUG_PAGE_OWNER])
		file->shape.debug |= TMM_DEBUG_PAGE_OWNER;
	if (debug && debug->value[DEBUG_POISON])
		file->shape.debug |= TMM_DEBUG_PAGE_POISON;
	if (debug && debug->value[DEBUG_SLAB_NOMERGE])
		file->shape.slab_options |= TMM_SLAB_NO_MERGE;
	if (debug && debug->value[DEBUG_SLAB_PANIC])
		file->shape.slab_options |= TMM_SLAB_PANIC;
	if (debug && debug->value[DEBUG_SLAB_RANDOM])
		file->shape.slab_options |= TMM_SLAB_RANDOM;
	file->shape.failslab.fails_waiting = debug && debug->key_line[DEBUG_FAILSLAB_SPARE] &&
	                                     !debug->value[DEBUG_FAILSLAB_SPARE];
}

static bool take_lowmem(struct machine_file *file)
{
	const struct section *main = machine_main(file);
	const unsigned line = main->key_line[MACHINE_LOWMEM];
	const uint64_t bytes = main->value[MACHINE_LOWMEM];
	const enum tmm_geometry geometry = file->shape.geometry;
	char text[SIZE_TEXT];

	if (line && (bytes % (4 * MIB) || bytes < 32 * MIB || bytes > LOWMEM_MOST))
		return machine_fault(
			file, line,
			"[machine] lowmem = %s: expected a multiple of 4M from 32M "
			"to 2944M",
			exact_size(bytes, text));
	if (line)
		file->shape.lowmem_bytes = bytes;
	else if (geometries[geometry].has_lowmem)
		file->shape.lowmem_bytes = LOWMEM;
	return true;
}

/* Parts of RAM must be smaller than RAM. */
static bool check_parts(struct machine_file *file)
{
	static const struct {
		enum machine_key key;
		const char *name;
		uint64_t unit;
	} parts[] = {
		{MACHINE_KERNEL, "kernel", 1},
		{MACHINE_KERNELCORE, "kernelcore", 1},
		{MACHINE_MOVABLECORE, "movablecore", 1},
		{MACHINE_MIN_FREE, "min-free-kbytes", KIB},
	};
	const struct section *main = machine_main(file);
	char text[SIZE_TEXT];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!main->key_line[parts[i].key] ||
		    main->value[parts[i].key] <
		            (file->ram_bytes + parts[i].unit - 1) / parts[i].unit)
			continue;
		return machine_fault(file, main->key_line[parts[i].key],
		                     "[machine] %s: expected less than the machine's RAM, %s",
		                     parts[i].name, exact_size(file->ram_bytes, text));
	}
	return true;
}

static bool check_around(struct machine_file *file, enum machine_key key, const char *name)
{
	const struct section *main = machine_main(file);
	char text[SIZE_TEXT];

	return !main->key_line[key] || is_power_of_two(main->value[key]) ||
	       machine_fault(file, main->key_line[key],
	                     "[machine] %s = %s: expected a power of two", name,
	                     exact_size(main->value[key], text));
}

static bool take_management(struct machine_file *file)
{
	const struct section *main = machine_main(file);
	const uint64_t *value = main->value;
	struct tmm_shape *shape = &file->shape;

	shape->mem_limit_bytes = value[MACHINE_MEM];
	shape->kernel_bytes = value[MACHINE_KERNEL];
	shape->min_free_kbytes = value[MACHINE_MIN_FREE];
	shape->overcommit_memory = (uint32_t)value[MACHINE_OVERCOMMIT];
	shape->overcommit_ratio = (uint32_t)value[MACHINE_OVERCOMMIT_RATIO];
	shape->max_map_count = (uint32_t)value[MACHINE_MAX_MAP_COUNT];
	shape->fault_around_bytes = (uint32_t)value[MACHINE_FAULT_AROUND];
	shape->anon_around_bytes = (uint32_t)value[MACHINE_ANON_AROUND];
	shape->memory_model = (enum tmm_memory_model)value[MACHINE_MODEL];
	shape->slab_allocator = (enum tmm_slab_allocator)value[MACHINE_SLAB];
	shape->section_bytes = value[MACHINE_SECTION_SIZE];
	shape->max_order = (uint32_t)value[MACHINE_MAX_ORDER];
	shape->kernelcore_bytes = value[MACHINE_KERNELCORE];
	shape->movablecore_bytes = value[MACHINE_MOVABLECORE];
	shape->watermark_scale_factor = (uint32_t)value[MACHINE_SCALE_FACTOR];
	shape->stack_high_pages = (uint32_t)value[MACHINE_STACK_HIGH];
	shape->stack_batch_pages = (uint32_t)value[MACHINE_STACK_BATCH];
	if (main->key_line[MACHINE_STACK_HIGH] &&
	    value[MACHINE_STACK_BATCH] > value[MACHINE_STACK_HIGH])
		return machine_fault(
			file, main->key_line[MACHINE_STACK_BATCH],
			"[machine] stack-batch: more than stack-high = %u: expected "
			"at most that",
			shape->stack_high_pages);
	take_debug(file);
	return check_sections(file) && take_hotplug(file) && take_lowmem(file) &&
	       check_parts(file) && check_around(file, MACHINE_FAULT_AROUND, "fault-around") &&
	       check_around(file, MACHINE_ANON_AROUND, "anonymous-around");
}

/* ---- devices ---- */

static bool take_devices(struct machine_file *file)
{
	const struct section *main = machine_main(file);
	struct tmm_shape *shape = &file->shape;

	shape->swiotlb_bytes = main->value[MACHINE_SWIOTLB];
	shape->swiotlb = (enum tmm_swiotlb_mode)main->value[MACHINE_SWIOTLB_MODE];
	shape->coherent_pool_bytes = main->value[MACHINE_COHERENT_POOL];
	shape->dma_debug = main->value[MACHINE_DMA_DEBUG] ? TMM_DMA_DEBUG : 0;
	return shape->swiotlb != TMM_SWIOTLB_NONE || !main->key_line[MACHINE_SWIOTLB] ||
	       machine_fault(file, main->key_line[MACHINE_SWIOTLB],
	                     "[machine] swiotlb: expected no size with swiotlb-mode = none");
}

/* ---- CMA ---- */

static uint64_t cma_alignment(const struct section *section)
{
	const uint64_t *value = section->value;
	uint64_t align = TMM_PAGE_SIZE << value[CMA_ORDER_PER_BIT];

	align = align > BLOCK ? align : BLOCK;
	return value[CMA_ALIGNMENT] > align ? value[CMA_ALIGNMENT] : align;
}

static bool cma_is_aligned(struct machine_file *file, const struct section *section)
{
	const uint64_t *value = section->value, align = cma_alignment(section);
	const uint64_t unit = align > BLOCK && !value[CMA_ALIGNMENT] ? align : BLOCK;
	char text[SIZE_TEXT], want[SIZE_TEXT];

	if (!section->key_line[CMA_SIZE])
		return machine_fault(file, section->line, "[%s]: expected size",
		                     section->title);
	if (section->key_line[CMA_ALIGNMENT] && !is_power_of_two(value[CMA_ALIGNMENT]))
		return machine_fault(file, section->key_line[CMA_ALIGNMENT],
		                     "[%s] alignment = %s: expected a power of two",
		                     section->title, exact_size(value[CMA_ALIGNMENT], text));
	if (value[CMA_SIZE] % unit)
		return machine_fault(file, section->key_line[CMA_SIZE],
		                     "[%s] size = %s: expected a multiple of %s",
		                     section->title, exact_size(value[CMA_SIZE], text),
		                     exact_size(unit, want));
	if (value[CMA_BASE] % align)
		return machine_fault(file, section->key_line[CMA_BASE],
		                     "[%s] base = 0x%llx: expected a multiple of %s",
		                     section->title, (unsigned long long)value[CMA_BASE],
		                     exact_size(align, want));
	return true;
}

/* Has RAM room for it in one piece: there, or anywhere it may be? */
static bool cma_has_room(const struct machine_file *file, const struct section *section)
{
	const uint64_t *value = section->value, align = cma_alignment(section);
	const uint64_t limit = value[CMA_LIMIT] ? value[CMA_LIMIT] : UINT64_MAX;

	for (size_t i = 0; i < file->shape.nr_ranges; i++) {
		const struct tmm_firmware_range *range = &file->map[i];
		uint64_t end = range_end(range) < limit ? range_end(range) : limit;
		uint64_t start = (range->start.v + align - 1) & ~(align - 1);

		if (range->type != TMM_FW_USABLE ||
		    (value[CMA_NODE] != TMM_NODE_ANY && value[CMA_NODE] != range->node))
			continue;
		if (value[CMA_BASE] && value[CMA_BASE] < range->start.v)
			continue;
		if (value[CMA_BASE])
			start = value[CMA_BASE];
		if (start < end && value[CMA_SIZE] <= end - start)
			return true;
	}
	return false;
}

static bool cma_is_inside(struct machine_file *file, const struct section *section)
{
	const uint64_t *value = section->value;

	if (section->key_line[CMA_NODE] && value[CMA_NODE] >= file->shape.nr_nodes)
		return machine_fault(
			file, section->key_line[CMA_NODE],
			"[%s] node = %u: no such node: expected a [node %u] section",
			section->title, (unsigned)value[CMA_NODE], (unsigned)value[CMA_NODE]);
	if (value[CMA_BASE] && value[CMA_LIMIT] &&
	    (value[CMA_BASE] >= value[CMA_LIMIT] ||
	     value[CMA_SIZE] > value[CMA_LIMIT] - value[CMA_BASE]))
		return machine_fault(file, section->key_line[CMA_LIMIT],
		                     "[%s] limit: base and size go beyond: expected at least "
		                     "their sum",
		                     section->title);
	if (cma_has_room(file, section))
		return true;
	if (value[CMA_BASE])
		return machine_fault(
			file, section->key_line[CMA_BASE],
			"[%s] base: not all of it is RAM in one piece: expected it "
			"inside one usable range",
			section->title);
	return machine_fault(file, section->key_line[CMA_SIZE],
	                     "[%s] size: no usable range has room for it: expected less",
	                     section->title);
}

static bool cma_is_apart(struct machine_file *file, const struct section *section)
{
	const uint64_t base = section->value[CMA_BASE];
	const struct section *other = NULL;

	while (base && (other = machine_next(file, SECTION_CMA, other)) != section) {
		if (other->value[CMA_BASE] &&
		    base < other->value[CMA_BASE] + other->value[CMA_SIZE] &&
		    other->value[CMA_BASE] < base + section->value[CMA_SIZE])
			return machine_fault(
				file, section->key_line[CMA_BASE],
				"[%s] base: overlaps [%s], line %u: expected areas "
				"apart",
				section->title, other->title, other->line);
	}
	return true;
}

static bool take_cma(struct machine_file *file)
{
	const struct section *section = NULL;
	uint64_t sum = 0;
	char text[SIZE_TEXT];

	while ((section = machine_next(file, SECTION_CMA, section))) {
		const uint64_t *value = section->value;

		if (!cma_is_aligned(file, section) || !cma_is_inside(file, section) ||
		    !cma_is_apart(file, section))
			return false;
		sum += value[CMA_SIZE];
		if (sum >= file->ram_bytes)
			return machine_fault(file, section->key_line[CMA_SIZE],
			                     "[%s] size: areas take all RAM: expected together "
			                     "less than %s",
			                     section->title, exact_size(file->ram_bytes, text));
		file->shape.cma[file->shape.nr_cma++] = (struct tmm_cma_spec){
			.name = section->title + strlen("cma "),
			.size_bytes = value[CMA_SIZE],
			.base = value[CMA_BASE],
			.limit = value[CMA_LIMIT],
			.align_bytes = value[CMA_ALIGNMENT],
			.order_per_bit = (uint32_t)value[CMA_ORDER_PER_BIT],
			.node = (uint32_t)value[CMA_NODE],
		};
	}
	return true;
}

/* What the command line says stands where the file's ranges were. */
static bool check_wished(struct machine_file *file, const uint64_t *ram_bytes)
{
	const struct section *second = node_section(file, 1);

	return !ram_bytes || !second ||
	       machine_fault(file, second->line,
	                     "[%s]: --ram puts all memory on node 0: expected a machine of "
	                     "one node",
	                     second->title);
}

bool machine_check(struct machine_file *file, const uint64_t *ram_bytes)
{
	const struct section *main = machine_main(file);

	file->shape.firmware_map = file->map;
	file->shape.geometry = (enum tmm_geometry)main->value[MACHINE_TABLES];
	file->shape.nr_cpus = main->key_line[MACHINE_CPUS] ? (uint32_t)main->value[MACHINE_CPUS]
	                                                   : 1;
	return check_wished(file, ram_bytes) && take_memory(file, ram_bytes) &&
	       take_nodes(file) && take_management(file) && take_devices(file) &&
	       take_cma(file);
}

bool machine_read(const char *text, size_t length, const uint64_t *ram_bytes,
                  struct machine_file *file)
{
	return machine_parse(text, length, file) && machine_check(file, ram_bytes);
}
