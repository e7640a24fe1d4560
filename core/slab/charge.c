/*
 * charge.c - who is charged for the objects of slabs
 *
 * A slab of which an object was charged has struct charges, with an id for each object;
 * its first frame's entry in the tables of core/page/account.c says where.  They go
 * with the slab.
 *
 * An object that is charged has no byte that says it is lent: its id says it.  So the
 * fast paths do not know it, and who frees it comes by here, while those that are not
 * charged never do.  A cache that debugs looks at each object that comes back anyhow;
 * there the byte is set as ever.
 *   I19  an object that is charged is out of its slab, and nobody's byte says that it is lent
 *        unless the cache debugs
 */
#include "slab/charge.h"

#include "page/account.h"
#include "slab/debug.h"

/* The smallest that holds an id for each object. */
static struct tmm_cache *cache_of_charges(const struct tmm_cache *cache)
{
	struct tmm_cache *own = &cache->slabs->own[OWN_CHARGES];

	while (own->object_bytes < CHARGES_BYTES(cache->nr_objs))
		own++;
	return own;
}

/* Of a slab; made if there are none.  NULL: there is no memory. */
static struct charges *charges_make(struct tmm_cache *cache, uint64_t first, tmm_gfp gfp)
{
	struct tmm_cache *own = cache_of_charges(cache);
	struct charges *new, *there = account_charges(cache->pages, first);

	if (likely(there != NULL))
		return there;
	gfp &= ~(TMM_GFP_ZERO | TMM_GFP_MOVABLE | TMM_GFP_THISNODE);
	new = own_alloc(own, gfp);
	if (!new)
		return NULL;
	memset(new, 0, CHARGES_BYTES(cache->nr_objs));
	new->object_bytes = cache->size_bytes;
	new->nr_objs = cache->nr_objs;
	/* relaxed: it is for those who give the slab back, who have all its objects */
	__atomic_store_n(&cache->has_charges, true, __ATOMIC_RELAXED);
	there = account_set_charges(cache->pages, first, new, gfp);
	if (there != new)
		own_free(own, new);
	return there;
}

bool object_charge(struct tmm_cache *cache, void *object, tmm_gfp gfp)
{
	struct tmm_account *account = account_active(cache->pages);
	struct charges *charges;
	struct place place;
	uint64_t index;

	if (!is_to_be_charged(cache, gfp) || !account || cache->slabs->is_slob)
		return true;
	if (!account_charge(cache->pages, account, gfp, cache->size_bytes))
		return false;
	place = place_of(cache->pages, object);
	charges = charges_make(cache, page_pfn(cache->pages, place.head).v, gfp);
	if (!charges) {
		account_uncharge(cache->pages, account->id, cache->size_bytes);
		return false;
	}
	index = place.offset / cache->size_bytes;
	/* relaxed: whoever frees it was given it after this */
	__atomic_store_n(&charges->id[index], (uint16_t)account->id, __ATOMIC_RELAXED);
	if (!cache->debug)
		set_lent(slab_lent(place.head) + index, 0);
	return true;
}

/* Where an object that could be charged is in the charges of its slab. */
struct charged_place {
	struct charges *charges; /* NULL: there is no such object */
	struct page *head;
	uint64_t index;
};

static struct charged_place charged_place_of(const struct tmm_cache *cache, const void *object)
{
	const struct tmm_pages *pages = cache->pages;
	struct charged_place out = {.charges = NULL};
	struct place place;

	/* relaxed: see charges_make() */
	if (!__atomic_load_n(&cache->has_charges, __ATOMIC_RELAXED) ||
	    !place_find(pages, object, &place))
		return out;
	if (place.head->kind != PAGE_SLAB || place.head->owner != cache ||
	    place.offset % cache->size_bytes != cache->layout.left_bytes)
		return out;
	out.head = place.head;
	out.index = place.offset / cache->size_bytes;
	out.charges = account_charges(pages, page_pfn(pages, place.head).v);
	if (out.charges && out.index >= out.charges->nr_objs)
		out.charges = NULL;
	return out;
}

bool object_end_charge(struct tmm_cache *cache, const void *object, uint8_t **out_lent)
{
	struct charged_place place = charged_place_of(cache, object);
	uint16_t charged;

	if (!place.charges)
		return false;
	*out_lent = slab_lent(place.head) + place.index;
	/* relaxed: of two that free it at once one finds it charged */
	charged = __atomic_exchange_n(&place.charges->id[place.index], 0, __ATOMIC_RELAXED);
	if (charged)
		account_uncharge(cache->pages, charged, cache->size_bytes);
	return charged != 0;
}

void slab_end_charges(struct tmm_cache *cache, uint32_t first)
{
	struct charges *charges;

	/* relaxed: see charges_make() */
	if (likely(!__atomic_load_n(&cache->has_charges, __ATOMIC_RELAXED)))
		return;
	charges = account_charges(cache->pages, first);
	if (!charges)
		return;
	account_clear_charges(cache->pages, first);
	own_free(cache_of_charges(cache), charges);
}

bool object_is_charged(const struct tmm_cache *cache, uint64_t first, uint32_t index)
{
	const struct charges *charges = account_charges(cache->pages, first);

	/* relaxed: a moment's value */
	return charges && __atomic_load_n(&charges->id[index], __ATOMIC_RELAXED);
}

struct tmm_account *tmm_object_account(const struct tmm_slab_system *slabs, const void *object)
{
	struct place place = place_of(slabs->pages, object);
	struct charged_place charged = {.charges = NULL};

	if (place.head->kind == PAGE_LARGE)
		return tmm_page_account(slabs->pages, page_pfn(slabs->pages, place.head));
	if (place.head->kind == PAGE_SLAB)
		charged = charged_place_of(place.head->owner, object);
	if (!charged.charges)
		return NULL;
	/* relaxed: the caller has the object */
	return account_of_id(slabs->pages, __atomic_load_n(&charged.charges->id[charged.index],
	                                                   __ATOMIC_RELAXED));
}
