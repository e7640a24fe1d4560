/*
 * odd.c - objects that the fast path of a free does not know to be right
 *
 * The fast path believes in an address when it is the start of a lent object of a
 * cache that does not debug.  All others come here: those of caches that debug are
 * looked at and taken back, as are those of machines without slabs, the rest are
 * mistakes of the caller's.
 */
#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/slob.h"

/* What is wrong with freeing it to the cache. */
static const char *mistake(const struct tmm_cache *cache, const void *object)
{
	struct place place;

	if (!place_find(cache->pages, object, &place))
		return "an object that is freed lies in RAM";
	if (place.head->kind != PAGE_SLAB)
		return "an object that is freed lies in a slab";
	if (place.head->owner != cache)
		return "an object is freed to the cache it is of";
	if (place.offset % cache->size_bytes ||
	    place.offset / cache->size_bytes >= slab_objs(cache, place.head))
		return "the address is the start of an object";
	return "the object is lent: not freed twice";
}

void odd_free(struct tmm_cache *cache, void *object, const void *site)
{
	uint8_t *lent;

	if (cache->slabs->is_slob) {
		slob_cache_free(cache, object);
	} else if (cache->debug) {
		object_end_charge(cache, object, &lent);
		debug_free(cache, object, site);
	} else {
		tmm_port_panic(__FILE__, __LINE__, mistake(cache, object));
	}
}
