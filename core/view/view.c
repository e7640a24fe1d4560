/*
 * view.c - the files, each from one snapshot into one sink
 */
#include <tuxmm/policy.h>
#include <tuxmm/view.h>

#include "view/snapshot.h"

static void print_file(struct tmm_machine *machine, const struct tmm_sink *sink,
                       void (*print_text)(struct printer *printer,
                                          const struct snapshot *snapshot))
{
	struct snapshot snapshot;
	struct printer printer;

	snapshot_take(machine, &snapshot);
	print_begin(&printer, sink);
	print_text(&printer, &snapshot);
	print_end(&printer);
}

void tmm_view_meminfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	print_file(machine, sink, print_meminfo);
}

void tmm_view_buddyinfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct zone_shot zone = {.nr_carried = 0};
	struct printer printer;
	unsigned cursor = 0;

	print_begin(&printer, sink);
	while (zone_shot_next(machine, &cursor, &zone))
		if (zone.populated)
			print_buddyinfo_zone(&printer, &zone.info);
	print_end(&printer);
}

/* The zones of one node from `first` on; returns the index of the next node's first. */
static unsigned print_node_types(struct printer *printer, struct tmm_pages *pages,
                                 unsigned first)
{
	unsigned nr_orders = tmm_pages_max_order(pages) + 1, end = first, node;
	struct tmm_type_info zone;

	if (!tmm_zone_types(pages, first, &zone))
		return first;
	node = zone.node;
	print_pagetypeinfo_head(printer, nr_orders);
	for (; tmm_zone_types(pages, end, &zone) && zone.node == node; end++)
		print_free_of_types(printer, &zone, nr_orders);
	print_blocks_head(printer);
	for (unsigned i = first; i < end && tmm_zone_types(pages, i, &zone); i++)
		print_blocks_of_types(printer, &zone);
	return end;
}

void tmm_view_pagetypeinfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct printer printer;
	unsigned first = 0, next;

	print_begin(&printer, sink);
	for (; (next = print_node_types(&printer, pages, first)) > first; first = next)
		;
	print_end(&printer);
}

void tmm_view_vmstat(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	print_file(machine, sink, print_vmstat);
}

void tmm_view_zoneinfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct zone_shot zone = {.nr_carried = 0};
	struct snapshot snapshot;
	struct printer printer;
	unsigned cursor = 0;

	snapshot_take(machine, &snapshot);
	print_begin(&printer, sink);
	while (zone_shot_next(machine, &cursor, &zone)) {
		struct tmm_stack_info stack;

		print_zone_head(&printer, &snapshot, &zone);
		for (unsigned cpu = 0;
		     tmm_zone_stack_info(pages, zone.info.node, zone.id, cpu, &stack); cpu++)
			print_zone_stack(&printer, cpu, &stack);
		print_zone_tail(&printer, &zone);
	}
	print_end(&printer);
}

static void node_of(struct tmm_machine *machine, unsigned node, struct tmm_node_info *out)
{
	bool node_is_there = tmm_node_info(tmm_machine_pages(machine), node, out);

	TMM_ASSERT(node_is_there);
}

void tmm_view_node_meminfo(struct tmm_machine *machine, unsigned node,
                           const struct tmm_sink *sink)
{
	struct tmm_node_info info;
	struct printer printer;

	node_of(machine, node, &info);
	print_begin(&printer, sink);
	print_node_meminfo(&printer, node, &info);
	print_end(&printer);
}

void tmm_view_node_numastat(struct tmm_machine *machine, unsigned node,
                            const struct tmm_sink *sink)
{
	struct tmm_node_info info;
	struct printer printer;

	node_of(machine, node, &info);
	print_begin(&printer, sink);
	print_numastat(&printer, &info.numa);
	print_end(&printer);
}

void tmm_view_node_vmstat(struct tmm_machine *machine, unsigned node,
                          const struct tmm_sink *sink)
{
	struct zone_sums zones = {.managed = 0};
	struct tmm_zone_info zone;
	struct tmm_node_info info;
	struct printer printer;

	node_of(machine, node, &info);
	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		if (tmm_zone_info(tmm_machine_pages(machine), node, (enum tmm_zone_id)z, &zone))
			zone_sums_add(&zones, &zone);
	print_begin(&printer, sink);
	print_node_vmstat(&printer, &zones, &info);
	print_end(&printer);
}

static void print_cpus(struct tmm_machine *machine, unsigned node, const struct tmm_sink *sink,
                       void (*print_bits)(struct printer *printer, const uint64_t *words,
                                          unsigned nr_bits))
{
	struct tmm_node_info info;
	struct printer printer;

	node_of(machine, node, &info);
	print_begin(&printer, sink);
	print_bits(&printer, info.cpus, tmm_pages_nr_cpus(tmm_machine_pages(machine)));
	print_end(&printer);
}

void tmm_view_node_cpulist(struct tmm_machine *machine, unsigned node,
                           const struct tmm_sink *sink)
{
	print_cpus(machine, node, sink, print_list);
}

void tmm_view_node_cpumap(struct tmm_machine *machine, unsigned node,
                          const struct tmm_sink *sink)
{
	print_cpus(machine, node, sink, print_bit_map);
}

void tmm_view_node_distance(struct tmm_machine *machine, unsigned node,
                            const struct tmm_sink *sink)
{
	const struct tmm_pages *pages = tmm_machine_pages(machine);
	struct printer printer;

	print_begin(&printer, sink);
	for (unsigned to = 0; to < tmm_pages_nr_nodes(pages); to++)
		print(&printer, "%s%u", to ? " " : "", tmm_node_distance(pages, node, to));
	print(&printer, "\n");
	print_end(&printer);
}

static bool is_of(const struct tmm_node_info *node, enum tmm_node_list list,
                  uint64_t normal_pages)
{
	switch (list) {
	case TMM_NODES_HAS_MEMORY:
		return node->managed_pages != 0;
	case TMM_NODES_HAS_NORMAL_MEMORY:
		return normal_pages != 0;
	case TMM_NODES_HAS_CPU:
		return (node->cpus[0] | node->cpus[1] | node->cpus[2] | node->cpus[3]) != 0;
	case TMM_NODES_ONLINE:
		break;
	}
	return true;
}

/* Frames with an address that are not for movable pages alone. */
static uint64_t normal_pages(struct tmm_pages *pages, unsigned node)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z <= TMM_ZONE_NORMAL; z++) {
		struct tmm_zone_info zone;

		if (tmm_zone_info(pages, node, (enum tmm_zone_id)z, &zone))
			sum += zone.managed_pages;
	}
	return sum;
}

void tmm_view_node_list(struct tmm_machine *machine, enum tmm_node_list list,
                        const struct tmm_sink *sink)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct tmm_node_info info;
	struct printer printer;
	uint64_t nodes = 0;

	for (unsigned n = 0; tmm_node_info(pages, n, &info); n++)
		nodes |= (uint64_t)is_of(&info, list, normal_pages(pages, n)) << n;
	print_begin(&printer, sink);
	print_list(&printer, &nodes, tmm_pages_nr_nodes(pages));
	print_end(&printer);
}

void tmm_view_vmallocinfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct tmm_kernel_map *map = tmm_machine_kernel_map(machine);
	struct tmm_vm_area_info area;
	struct printer printer;

	print_begin(&printer, sink);
	for (tmm_vaddr va = {0}; tmm_vm_area_next(map, va, &area); va.v = area.start.v + 1)
		print_vmallocinfo_area(&printer, &area);
	print_end(&printer);
}

void tmm_view_slabinfo(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	struct tmm_cache_info cache;
	struct printer printer;

	print_begin(&printer, sink);
	print_slabinfo_head(&printer);
	for (size_t i = 0; tmm_cache_info(slabs, i, &cache); i++)
		print_slabinfo_cache(&printer, &cache);
	print_end(&printer);
}

/* digits: as many as the last address has, of iomem at least 8. */
static void view_tree(struct tmm_iomem *tree, const struct tmm_sink *sink, unsigned digits,
                      bool hidden)
{
	struct tmm_resource_cursor cursor = {0};
	struct tmm_resource_info resource;
	struct printer printer;

	print_begin(&printer, sink);
	while (tmm_resource_next(tree, &cursor, &resource))
		print_resource(&printer, &resource, digits, hidden);
	print_end(&printer);
}

void tmm_view_iomem(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_tree(tmm_machine_iomem(machine), sink, 8, false);
}

void tmm_view_iomem_hidden(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_tree(tmm_machine_iomem(machine), sink, 8, true);
}

void tmm_view_ioports(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_tree(tmm_machine_ioports(machine), sink, 4, false);
}

void tmm_view_ioports_hidden(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_tree(tmm_machine_ioports(machine), sink, 4, true);
}

static void print_areas(struct tmm_mm *mm, const struct tmm_sink *sink, bool with_pages,
                        void (*print_area)(struct printer *printer,
                                           const struct tmm_area *area))
{
	struct tmm_area area;
	struct printer printer;

	print_begin(&printer, sink);
	for (uint64_t addr = 0; tmm_mm_area(mm, addr, with_pages, &area); addr = area.end)
		print_area(&printer, &area);
	print_end(&printer);
}

void tmm_view_maps(struct tmm_mm *mm, const struct tmm_sink *sink)
{
	print_areas(mm, sink, false, print_maps_area);
}

void tmm_view_smaps(struct tmm_mm *mm, const struct tmm_sink *sink)
{
	print_areas(mm, sink, true, print_smaps_area);
}
