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
 * An address is freed to the cache: was it of an object that was charged?  It no longer is;
 * *out_lent is its byte.
 */
bool object_end_charge(struct tmm_cache *cache, const void *object, uint8_t **out_lent);

/* The slab is about to go; all its objects are in it. */
void slab_end_charges(struct tmm_cache *cache, uint32_t first);

/* For checks: the object of a slab, by its number. */
bool object_is_charged(const struct tmm_cache *cache, uint64_t first, uint32_t index);

#endif
