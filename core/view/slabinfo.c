/*
 * slabinfo.c - /proc/slabinfo
 *
 * A cache's row is one snapshot of that cache.  Tunables are 0, as where Linux
 * has none.
 */
#include "view/snapshot.h"

void print_slabinfo_head(struct printer *printer)
{
	print(printer,
	      "slabinfo - version: 2.1\n"
	      "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
	      " : tunables <limit> <batchcount> <sharedfactor>"
	      " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
}

void print_slabinfo_cache(struct printer *printer, const struct tmm_cache_info *cache)
{
	print(printer, "%-17s %6lu %6lu %6u %4u %4u", cache->name, cache->active_objs,
	      cache->num_objs, cache->size_bytes, cache->objs_per_slab, cache->pages_per_slab);
	print(printer, " : tunables %4u %4u %4u", 0u, 0u, 0u);
	print(printer, " : slabdata %6lu %6lu %6u\n", cache->active_slabs, cache->num_slabs,
	      0u);
}
