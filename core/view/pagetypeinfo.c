/*
 * pagetypeinfo.c - /proc/pagetypeinfo
 *
 * Node by node two tables: free runs by the type of the blocks they are in, and
 * blocks of each type.  A run is of one type here; where free blocks of two types
 * lie side by side, buddyinfo counts a longer one.
 */
#include "view/snapshot.h"

static const char *const type_names[TMM_NR_MIGRATE_TYPES] = {
	[TMM_MIGRATE_UNMOVABLE] = "Unmovable",
	[TMM_MIGRATE_MOVABLE] = "Movable",
	[TMM_MIGRATE_RECLAIMABLE] = "Reclaimable",
	[TMM_MIGRATE_HIGHATOMIC] = "HighAtomic",
	[TMM_MIGRATE_CMA] = "CMA",
	[TMM_MIGRATE_ISOLATE] = "Isolate",
};

void print_pagetypeinfo_head(struct printer *printer, unsigned nr_orders)
{
	print(printer, "Page block order: %u\n", TMM_BLOCK_ORDER);
	print(printer, "Pages per block:  %u\n", TMM_BLOCK_PAGES);
	print(printer, "\nFree pages count per migrate type at order  ");
	for (unsigned order = 0; order < nr_orders; order++)
		print(printer, "%6u ", order);
	print(printer, "\n");
}

void print_free_of_types(struct printer *printer, const struct tmm_type_info *zone,
                         unsigned nr_orders)
{
	for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++) {
		print(printer, "Node %4u, zone %8s, type %12s ", zone->node, zone->zone_name,
		      type_names[type]);
		for (unsigned order = 0; order < nr_orders; order++)
			print(printer, "%6lu ", zone->free_area[type][order]);
		print(printer, "\n");
	}
}

void print_blocks_head(struct printer *printer)
{
	print(printer, "\nNumber of blocks type  ");
	for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++)
		print(printer, "%12s ", type_names[type]);
	print(printer, "\n");
}

void print_blocks_of_types(struct printer *printer, const struct tmm_type_info *zone)
{
	print(printer, "Node %u, zone %8s ", zone->node, zone->zone_name);
	for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++)
		print(printer, "%12lu ", zone->blocks[type]);
	print(printer, "\n");
}
