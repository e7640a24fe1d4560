/*
 * iomem.c - /proc/iomem, /proc/ioports
 *
 * A line for each resource, indented by two columns a level, but not further than
 * Linux does.
 */
#include "view/snapshot.h"

#define MAX_LEVEL 5u /* Linux: MAX_IORES_LEVEL */

void print_resource(struct printer *printer, const struct tmm_resource_info *resource,
                    unsigned digits, bool hidden)
{
	uint64_t start = hidden ? 0 : resource->start, last = hidden ? 0 : resource->end - 1;

	print_pad_to(printer, 2 * min_u64(resource->depth, MAX_LEVEL));
	print(printer, digits == 4 ? "%04lx-%04lx : %s\n" : "%08lx-%08lx : %s\n", start, last,
	      resource->name);
}
