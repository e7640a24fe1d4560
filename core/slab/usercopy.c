/*
 * usercopy.c - what of an object user copies may reach
 *
 * A copy whose length is wrong reads or writes the objects around the one that was
 * meant.  So each copy between user memory and a slab is held against the one object it
 * starts in, and in that against the region that its cache names: objects of kmalloc
 * are all such region, those of other caches have none unless their maker says so.
 * SLOB knows no caches: there a copy may reach up to the end of its object.
 */
#include "slab/debug.h"
#include "slab/slob.h"

#define LOG_EMERGENCY 0u

/* Returns false. */
static bool refuse(const char *what, const char *cache, uint64_t offset, size_t bytes,
                   bool to_user)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_EMERGENCY);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "usercopy: Kernel memory %s attempt detected %s %s",
	      to_user ? "exposure" : "overwrite", to_user ? "from" : "to", what);
	if (cache)
		print(&printer, " '%s'", cache);
	print(&printer, " (offset %llu, size %zu)!\n", (unsigned long long)offset, bytes);
	print_end(&printer);
	return false;
}

static bool check_object(struct place place, size_t bytes, bool to_user)
{
	struct tmm_cache *cache = place.head->owner;
	uint64_t offset = place.offset;
	uint64_t in_object = offset % cache->size_bytes - cache->layout.left_bytes;
	uint64_t in_region = in_object - cache->usercopy_offset;

	/* What lies before wraps to the far end. */
	if (offset / cache->size_bytes < slab_objs(cache, place.head) &&
	    in_region <= cache->usercopy_bytes && bytes <= cache->usercopy_bytes - in_region)
		return true;
	/* relaxed: a count */
	__atomic_fetch_add(&cache->nr_reports, 1, __ATOMIC_RELAXED);
	if (offset % cache->size_bytes < cache->layout.left_bytes)
		return refuse("SLUB object in left red zone", cache->name,
		              offset % cache->size_bytes, bytes, to_user);
	return refuse("SLUB object", cache->name, in_object, bytes, to_user);
}

bool tmm_usercopy_allowed(struct tmm_slab_system *slabs, const void *address, size_t bytes,
                          bool to_user)
{
	const struct tmm_pages *pages = slabs->pages;
	uint64_t at = (uint64_t)((const char *)address - (const char *)pages->ram);
	struct place place;

	if (likely(!pfn_valid(pages, (tmm_pfn){at >> TMM_PAGE_SHIFT})) || !bytes)
		return true;
	place = place_of(pages, address);
	if (place.head->kind == PAGE_SLAB)
		return check_object(place, bytes, to_user);
	if (place.head->kind == PAGE_SLOB && bytes > slob_room(slabs, address))
		return refuse("SLOB object", NULL, place.offset, bytes, to_user);
	if (place.head->kind == PAGE_LARGE &&
	    bytes > (TMM_PAGE_SIZE << place.head->index) - place.offset)
		return refuse("kmalloc pages", NULL, place.offset, bytes, to_user);
	return true;
}
