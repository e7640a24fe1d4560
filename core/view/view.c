/*
 * view.c - the files, each from one snapshot into one sink
 */
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

static void view_iomem(struct tmm_machine *machine, const struct tmm_sink *sink, bool hidden)
{
	struct tmm_resource_cursor cursor = {0};
	struct tmm_resource_info resource;
	struct printer printer;

	print_begin(&printer, sink);
	while (tmm_resource_next(tmm_machine_iomem(machine), &cursor, &resource))
		print_iomem_resource(&printer, &resource, hidden);
	print_end(&printer);
}

void tmm_view_iomem(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_iomem(machine, sink, false);
}

void tmm_view_iomem_hidden(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	view_iomem(machine, sink, true);
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
