/*
 * machine_show.c - a booted machine, as Linux's boot log and files show one
 *
 * What firmware said comes from the shape, where memory is from memblock, all
 * other numbers from the machine's own views.
 */
#include "cmd.h"

#include <inttypes.h>
#include <string.h>

#include <tuxmm/cma.h>
#include <tuxmm/migrate.h>
#include <tuxmm/node.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/slab_debug.h>
#include <tuxmm/policy.h>
#include <tuxmm/view.h>

#define RANGE      "[mem 0x%016" PRIx64 "-0x%016" PRIx64 "]"
#define ENDS(s, e) (s), (e)-1
#define MIB        (UINT64_C(1) << 20)

static const char *const fw_names[] = {
	[TMM_FW_USABLE] = "usable", [TMM_FW_RESERVED] = "reserved", [TMM_FW_ACPI] = "ACPI data",
	[TMM_FW_NVS] = "ACPI NVS",  [TMM_FW_UNUSABLE] = "unusable",
};

struct show {
	FILE *out;
	const struct machine_file *file;
	struct tmm_machine *machine;
	struct tmm_pages *pages;
	const struct tmm_region_list *memory;
};

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- the boot log ---- */

static void show_firmware(const struct show *show)
{
	const struct tmm_shape *shape = &show->file->shape;

	fprintf(show->out, "BIOS-provided physical RAM map:\n");
	for (size_t i = 0; i < shape->nr_ranges; i++) {
		const struct tmm_firmware_range *range = &shape->firmware_map[i];

		fprintf(show->out, "BIOS-e820: " RANGE " %s\n",
		        ENDS(range->start.v, range->start.v + range->size_bytes),
		        fw_names[range->type]);
	}
	if (shape->mem_limit_bytes)
		fprintf(show->out, "user-defined physical RAM map:\n");
	for (uint32_t i = 0; shape->mem_limit_bytes && i < show->memory->nr; i++)
		fprintf(show->out, "user: " RANGE " usable\n",
		        ENDS(show->memory->region[i].start, show->memory->region[i].end));
}

/* Where memory may be added while the machine runs. */
static void show_hotplug(const struct show *show)
{
	const uint64_t end = show->file->shape.hotplug_end;
	const uint64_t start = tmm_memblock_end(tmm_machine_memblock(show->machine));

	if (end > start)
		fprintf(show->out,
		        "ACPI: SRAT: Node 0 PXM 0 [mem 0x%08" PRIx64 "-0x%08" PRIx64
		        "] hotplug\n",
		        ENDS(start, end));
}

/* What of the file Linux would be told in words. */
static void show_command_line(const struct show *show)
{
	const struct tmm_shape *shape = &show->file->shape;
	const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = {{"mem", shape->mem_limit_bytes},
	             {"kernelcore", shape->kernelcore_bytes},
	             {"movablecore", shape->movablecore_bytes}};
	char line[256] = "", text[SIZE_TEXT];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i].bytes)
			used += (size_t)snprintf(line + used, sizeof(line) - used, " %s=%s",
			                         sizes[i].name,
			                         exact_size(sizes[i].bytes, text));
	if (shape->debug & TMM_DEBUG_PAGE_OWNER)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " page_owner=on");
	if (shape->debug & TMM_DEBUG_PAGE_POISON)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " page_poison=1");
	if (shape->slab_options & TMM_SLAB_NO_MERGE)
		snprintf(line + used, sizeof(line) - used, " slab_nomerge");
	if (line[0])
		fprintf(show->out, "Kernel command line:%s\n", line);
}

static void show_cma(const struct show *show)
{
	struct tmm_cma *area;

	for (unsigned i = 0; (area = tmm_cma_area(show->pages, i)) != NULL; i++) {
		struct tmm_cma_info info;

		tmm_cma_info(area, &info);
		fprintf(show->out, "cma: Reserved %" PRIu64 " MiB at 0x%016" PRIx64 " for %s\n",
		        (info.total_pages << TMM_PAGE_SHIFT) / MIB,
		        info.start.v << TMM_PAGE_SHIFT, info.name);
	}
}

static void show_swiotlb(const struct show *show)
{
	tmm_paddr start;
	uint64_t bytes;

	if (tmm_dma_swiotlb(tmm_machine_dma(show->machine), &start, &bytes))
		fprintf(show->out, "software IO TLB: mapped " RANGE " (%" PRIu64 "MB)\n",
		        ENDS(start.v, start.v + bytes), bytes / MIB);
}

/* What addresses a zone may have: from the end of the one below, where memory is. */
static void show_zones(const struct show *show)
{
	const struct tmm_memblock *memblock = tmm_machine_memblock(show->machine);
	const uint64_t lowmem = show->file->shape.lowmem_bytes;
	const uint64_t end[] = {
		[TMM_ZONE_DMA] = 16 * MIB,
		[TMM_ZONE_DMA32] = 4096 * MIB,
		[TMM_ZONE_NORMAL] = lowmem ? lowmem : UINT64_MAX,
		[TMM_ZONE_HIGHMEM] = UINT64_MAX,
	};
	uint64_t start = tmm_memblock_start(memblock);

	fprintf(show->out, "Zone ranges:\n");
	for (unsigned z = 0; z < sizeof(end) / sizeof(end[0]); z++) {
		uint64_t stop = min_u64(end[z], tmm_memblock_end(memblock));
		struct tmm_zone_info info;

		if (!tmm_zone_exists(show->pages, (enum tmm_zone_id)z))
			continue;
		(void)tmm_zone_info(show->pages, 0, (enum tmm_zone_id)z, &info);
		if (stop > start)
			fprintf(show->out, "  %-8s " RANGE "\n", info.name, ENDS(start, stop));
		else
			fprintf(show->out, "  %-8s empty\n", info.name);
		start = max_u64(start, stop);
	}
}

static void show_movable(const struct show *show)
{
	struct tmm_zone_info info;

	fprintf(show->out, "Movable zone start for each node\n");
	for (unsigned n = 0; n < tmm_pages_nr_nodes(show->pages); n++)
		if (tmm_zone_info(show->pages, n, TMM_ZONE_MOVABLE, &info))
			fprintf(show->out, "  Node %u: 0x%016" PRIx64 "\n", n,
			        info.start.v << TMM_PAGE_SHIFT);
}

static void show_nodes(const struct show *show)
{
	fprintf(show->out, "Early memory node ranges\n");
	for (uint32_t i = 0; i < show->memory->nr; i++)
		fprintf(show->out, "  node %3u: " RANGE "\n", show->memory->region[i].node,
		        ENDS(show->memory->region[i].start, show->memory->region[i].end));
	for (unsigned n = 0; n < tmm_pages_nr_nodes(show->pages); n++) {
		uint64_t start = UINT64_MAX, end = 0;

		for (uint32_t i = 0; i < show->memory->nr; i++) {
			if (show->memory->region[i].node != n)
				continue;
			start = min_u64(start, show->memory->region[i].start);
			end = show->memory->region[i].end;
		}
		if (end)
			fprintf(show->out, "Initmem setup node %u " RANGE "\n", n,
			        ENDS(start, end));
		else
			fprintf(show->out, "Initmem setup node %u as memoryless\n", n);
	}
}

/* Each zone that is there, node by node; the walk that all sums go. */
static bool next_zone(const struct show *show, unsigned *at, struct tmm_zone_info *out)
{
	while (*at < tmm_pages_nr_nodes(show->pages) * TMM_NR_ZONES) {
		unsigned n = *at / TMM_NR_ZONES, z = (*at)++ % TMM_NR_ZONES;

		if (tmm_zone_info(show->pages, n, (enum tmm_zone_id)z, out))
			return true;
	}
	return false;
}

/* Frames of the hole [start, end) that have a descriptor all the same. */
static uint64_t frames_described(const struct show *show, uint64_t start, uint64_t end)
{
	const struct tmm_shape *shape = &show->file->shape;
	const uint64_t section = shape->section_bytes ? shape->section_bytes
	                                              : TMM_SECTION_BYTES;
	uint64_t first, last;

	if (shape->memory_model != TMM_MEMORY_SPARSE)
		return (end - start) >> TMM_PAGE_SHIFT;
	/* There is RAM on both sides, whose sections reach into the hole. */
	first = min_u64((start + section - 1) & ~(section - 1), end);
	last = max_u64(end & ~(section - 1), first);
	return (first - start + end - last) >> TMM_PAGE_SHIFT;
}

/* A hole counts for the zone in which memory goes on above it. */
static void show_hole(const struct show *show, uint64_t start, const struct tmm_region *above)
{
	const uint64_t frames = frames_described(show, start, above->start);
	const uint64_t pfn = above->start >> TMM_PAGE_SHIFT;
	struct tmm_zone_info info;

	for (unsigned at = 0; frames && next_zone(show, &at, &info);) {
		if (info.node != above->node || pfn - info.start.v >= info.spanned_pages)
			continue;
		fprintf(show->out,
		        "On node %u, zone %s: %" PRIu64 " pages in unavailable ranges\n",
		        info.node, info.name, frames);
		break;
	}
}

static void show_unavailable(const struct show *show)
{
	const bool by_node = show->file->shape.memory_model == TMM_MEMORY_DISCONTIGUOUS;

	for (uint32_t i = 1; i < show->memory->nr; i++) {
		const struct tmm_region *below = &show->memory->region[i - 1];

		if (!by_node || below->node == below[1].node)
			show_hole(show, below->end, &below[1]);
	}
}

static void show_distances(const struct show *show)
{
	const unsigned nr = tmm_pages_nr_nodes(show->pages);

	for (unsigned n = 0; nr > 1 && n < nr; n++) {
		fprintf(show->out, "node distances of %u:", n);
		for (unsigned to = 0; to < nr; to++)
			fprintf(show->out, " %u", tmm_node_distance(show->pages, n, to));
		fprintf(show->out, "\n");
	}
}

static void show_zonelists(const struct show *show, uint64_t managed)
{
	static const char *const zone_names[] = {"DMA", "DMA32", "Normal", "HighMem"};

	for (unsigned n = 0; n < tmm_pages_nr_nodes(show->pages); n++) {
		uint8_t order[TMM_MAX_NODES];
		unsigned nr = tmm_node_fallback(show->pages, n, order);

		fprintf(show->out, "Fallback order for Node %u: ", n);
		for (unsigned i = 0; i < nr; i++)
			fprintf(show->out, "%u ", order[i]);
		fprintf(show->out, "\n");
	}
	fprintf(show->out,
	        "Built %u zonelists, mobility grouping %s.  Total pages: %" PRIu64 "\n",
	        tmm_pages_nr_nodes(show->pages),
	        tmm_pages_grouped_by_mobility(show->pages) ? "on" : "off", managed);
	fprintf(show->out, "Policy zone: %s\n", zone_names[tmm_policy_zone(show->pages)]);
}

static void show_memory(const struct show *show)
{
	const uint64_t kib = TMM_PAGE_SIZE / 1024;
	uint64_t present = 0, free = 0, high = 0, managed = 0;
	struct tmm_zone_info info;

	for (unsigned at = 0; next_zone(show, &at, &info);) {
		present += info.present_pages;
		managed += info.managed_pages;
		free += info.free_pages + info.stack_pages;
		if (strcmp(info.name, "HighMem") == 0)
			high += info.managed_pages;
	}
	show_zonelists(show, managed);
	fprintf(show->out,
	        "Memory: %" PRIu64 "K/%" PRIu64 "K available (%" PRIu64
	        "K kernel image, %" PRIu64 "K reserved",
	        free * kib, present * kib, show->file->shape.kernel_bytes / 1024,
	        (present - managed) * kib);
	if (tmm_cma_total_pages(show->pages))
		fprintf(show->out, ", %" PRIu64 "K cma-reserved",
		        tmm_cma_total_pages(show->pages) * kib);
	if (high)
		fprintf(show->out, ", %" PRIu64 "K highmem", high * kib);
	fprintf(show->out, ")\n");
}

/* ---- the machine's own views ---- */

/*
 * Of zoneinfo: each zone's name, sizes, watermarks and reserve.  The counters of
 * a node and the stacks of every CPU, all 0 at boot, are passed over.
 */
struct filter {
	FILE *out;
	size_t used;
	char line[256];
};

static bool line_is_wanted(struct filter *filter)
{
	static const char *const wanted[] = {"  pages free", "        ", "  start_pfn"};
	const char *line = filter->line;

	if (strncmp(line, "Node", 4) == 0)
		return true;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
			return line[strlen("        ")] != ' ' || i != 1;
	return false;
}

static void filter_lines(void *arg, const char *text, size_t bytes)
{
	struct filter *filter = arg;

	for (size_t i = 0; i < bytes; i++) {
		if (filter->used < sizeof(filter->line) - 1)
			filter->line[filter->used++] = text[i];
		if (text[i] != '\n')
			continue;
		filter->line[filter->used] = '\0';
		if (line_is_wanted(filter))
			fputs(filter->line, filter->out);
		filter->used = 0;
	}
}

static void pass(void *arg, const char *text, size_t bytes)
{
	fwrite(text, 1, bytes, arg);
}

void show_machine(FILE *out, const struct machine_file *file, struct tmm_machine *machine)
{
	const struct tmm_memblock *memblock = tmm_machine_memblock(machine);
	struct filter filter = {.out = out};
	const struct tmm_sink zones = {.write = filter_lines, .arg = &filter};
	const struct tmm_sink plain = {.write = pass, .arg = out};
	const struct show show = {
		.out = out,
		.file = file,
		.machine = machine,
		.pages = tmm_machine_pages(machine),
		.memory = &memblock->memory,
	};

	show_command_line(&show);
	show_firmware(&show);
	show_hotplug(&show);
	show_cma(&show);
	show_swiotlb(&show);
	show_zones(&show);
	show_movable(&show);
	show_nodes(&show);
	show_unavailable(&show);
	show_distances(&show);
	show_memory(&show);
	fprintf(out, "\nzoneinfo\n");
	tmm_view_zoneinfo(machine, &zones);
	fprintf(out, "\nbuddyinfo\n");
	tmm_view_buddyinfo(machine, &plain);
	fprintf(out, "\niomem\n");
	tmm_view_iomem(machine, &plain);
	fprintf(out, "\nmemory models\n");
	if (tmm_model_show(memblock, file->shape.section_bytes, &plain) != TMM_OK)
		fprintf(out, "none\n");
}
