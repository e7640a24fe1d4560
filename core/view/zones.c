/*
 * zones.c - /proc/zoneinfo
 *
 * The first zone with memory of a node carries the node's counters.  A zone
 * without memory is listed in short form, as Linux does it; so is the Movable
 * zone, which no machine has yet.  Counters are exact, hence the threshold 0.
 */
#include "view/snapshot.h"

#define SWAP_CLUSTER 32u /* Linux: no watermark of a movable zone is lower */

static bool carries_node(const struct snapshot *snapshot, enum tmm_zone_id zone)
{
	for (unsigned z = 0; z < zone; z++) {
		if (snapshot->zone[z].populated)
			return false;
	}
	return snapshot->zone[zone].populated;
}

/* The rows that every zone has. */
static void print_counts(struct printer *printer, const struct tmm_zone_info *zone)
{
	uint64_t step = zone->watermark_low - zone->watermark_min;

	print(printer, "  pages free     %lu\n", zone->free_pages);
	print(printer, "        boost    %u\n", 0u);
	print(printer, "        min      %lu\n", zone->watermark_min);
	print(printer, "        low      %lu\n", zone->watermark_low);
	print(printer, "        high     %lu\n", zone->watermark_high);
	print(printer, "        promo    %lu\n", zone->watermark_high + step);
	print(printer, "        spanned  %lu\n", zone->spanned_pages);
	print(printer, "        present  %lu\n", zone->present_pages);
	print(printer, "        managed  %lu\n", zone->managed_pages);
	print(printer, "        cma      %u\n", 0u);
	print(printer, "        protection: (");
	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		print(printer, "%lu, ", zone->lowmem_reserve[z]);
	/* against requests for the Movable zone, which adds nothing to Normal */
	print(printer, "%lu)\n", zone->lowmem_reserve[TMM_NR_ZONES - 1]);
}

void print_zone_head(struct printer *printer, const struct snapshot *snapshot,
                     enum tmm_zone_id zone)
{
	const struct zone_shot *shot = &snapshot->zone[zone];

	print(printer, "Node %u, zone %8s\n", shot->info.node, shot->info.name);
	if (carries_node(snapshot, zone)) {
		print(printer, "  per-node stats\n");
		print_node_stats(printer, snapshot);
	}
	print_counts(printer, &shot->info);
	if (!shot->populated)
		return;
	print_zone_stats(printer, &shot->info);
	print(printer, "  pagesets\n");
}

void print_zone_stack(struct printer *printer, unsigned cpu, const struct tmm_stack_info *stack)
{
	print(printer, "    cpu: %u\n", cpu);
	print(printer, "              count:    %lu\n", stack->count_pages);
	print(printer, "              high:     %lu\n", stack->high_pages);
	print(printer, "              batch:    %lu\n", stack->batch_pages);
	print(printer, "              high_min: %lu\n", stack->high_pages);
	print(printer, "              high_max: %lu\n", stack->high_pages);
	print(printer, "  vm stats threshold: 0\n");
}

void print_zone_tail(struct printer *printer, const struct snapshot *snapshot,
                     enum tmm_zone_id zone)
{
	if (!snapshot->zone[zone].populated)
		return;
	print(printer, "  node_unreclaimable:  0\n");
	print(printer, "  start_pfn:           %lu\n", snapshot->zone[zone].info.start.v);
}

void print_zone_movable(struct printer *printer, uint32_t node)
{
	struct tmm_zone_info none = {
		.watermark_min = SWAP_CLUSTER,
		.watermark_low = SWAP_CLUSTER,
		.watermark_high = SWAP_CLUSTER,
	};

	print(printer, "Node %u, zone  Movable\n", node);
	print_counts(printer, &none);
}
