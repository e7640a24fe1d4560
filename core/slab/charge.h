/*
 * charge.h - who is charged for the objects of slabs
 */
#ifndef TUXMM_SLAB_CHARGE_H
#define TUXMM_SLAB_CHARGE_H

#include "slab/slab_system.h"

static inline bool is_to_be_charged(const struct tmm_cache *cache, tmm_gfp gfp)
{
	return cache->front.account || (gfp & TMM_GFP_ACCOUNT);
}

/*
 * An object was lent: if the request is to be charged, charge the active account, if any.
 * False: it must be given back.
 */
bool object_charge(struct tmm_cache *cache, void *object, tmm_gfp gfp);

/*
 * The last steps of lending an object, which may be NULL: it is charged, and its first
 * `room` bytes are cleared if that was asked for.  NULL too when the account has no room.
 */
static inline void *object_lend(struct tmm_cache *cache, void *object, tmm_gfp gfp, size_t room)
{
	if (object && !object_charge(cache, object, gfp)) {
		tmm_cache_free(cache, object);
		return NULL;
	}
	if (object && gfp & TMM_GFP_ZERO)
		memset(object, 0, room);
	return object;
}

/*
 * An address is freed to the cache: was it of an object that was charged?  It no longer is;
 * *out_lent is its byte.
 */
bool object_end_charge(struct tmm_cache *cache, const void *object, uint8_t **out_lent);

/* The slab is about to go; all its objects are in it. */
void slab_end_charges(struct tmm_cache *cache, uint32_t first);

/* For checks: the object of a slab, by its number. */
bool object_is_charged(const struct tmm_cache *cache, uint64_t first, uint32_t index);

#endif
