/*
 * zones.c - /proc/zoneinfo
 *
 * A node's first zone with memory carries the node's counters.  A zone without
 * memory is listed in short form, as Linux does it.  Kinds of zones that
 * the machine does not know are not listed.  Counters are exact, hence the
 * threshold 0.
 */
#include "view/snapshot.h"

#define SWAP_CLUSTER 32u /* Linux: no watermark of a movable zone is lower */

/* The rows that every zone has. */
static void print_counts(struct printer *printer, const struct snapshot *snapshot,
                         const struct zone_shot *shot)
{
	const struct tmm_zone_info *zone = &shot->info;
	/* A zone of high or movable frames that is not there has watermarks yet. */
	uint64_t least = shot->id >= TMM_ZONE_HIGHMEM && !shot->populated ? SWAP_CLUSTER : 0;
	uint64_t step = zone->watermark_low - zone->watermark_min;
	const char *comma = "";

	print(printer, "  pages free     %lu\n", zone->free_pages);
	print(printer, "        boost    %lu\n", zone->watermark_boost);
	print(printer, "        min      %lu\n", zone->watermark_min + least);
	print(printer, "        low      %lu\n", zone->watermark_low + least);
	print(printer, "        high     %lu\n", zone->watermark_high + least);
	print(printer, "        promo    %lu\n", zone->watermark_high + step + least);
	print(printer, "        spanned  %lu\n", zone->spanned_pages);
	print(printer, "        present  %lu\n", zone->present_pages);
	print(printer, "        managed  %lu\n", zone->managed_pages);
	print(printer, "        cma      %lu\n", zone->cma_pages);
	print(printer, "        protection: (");
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		if (!snapshot->zone_exists[z])
			continue;
		print(printer, "%s%lu", comma, zone->lowmem_reserve[z]);
		comma = ", ";
	}
	print(printer, ")\n");
}

void print_zone_head(struct printer *printer, const struct snapshot *snapshot,
                     const struct zone_shot *shot)
{
	print(printer, "Node %u, zone %8s\n", shot->info.node, shot->info.name);
	if (shot->carries_node) {
		print(printer, "  per-node stats\n");
		print_node_stats(printer, &shot->node);
	}
	print_counts(printer, snapshot, shot);
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

void print_zone_tail(struct printer *printer, const struct zone_shot *shot)
{
	if (!shot->populated)
		return;
	print(printer, "  node_unreclaimable:  0\n");
	print(printer, "  start_pfn:           %lu\n", shot->info.start.v);
}
