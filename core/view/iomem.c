/*
 * iomem.c - /proc/iomem
 *
 * A line for each resource, indented by two columns a level, but not further than
 * Linux does.
 */
#include "view/snapshot.h"

#define MAX_LEVEL 5u /* Linux: MAX_IORES_LEVEL */

void print_iomem_resource(struct printer *printer, const struct tmm_resource_info *resource,
                          bool hidden)
{
	print_pad_to(printer, 2 * min_u64(resource->depth, MAX_LEVEL));
	print(printer, "%08lx-%08lx : %s\n", hidden ? 0ul : resource->start,
	      hidden ? 0ul : resource->end - 1, resource->name);
}
