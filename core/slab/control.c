/*
 * control.c - what is set of a cache while it is in use, by its place in the list
 *
 * A cache is found by its index, and may be destroyed by its creator at any time, so it
 * is pinned meanwhile: the last creator waits until nobody has it pinned.  Caller and
 * creator are different threads then, for no call that pins returns with the pin.
 */
#include "slab/debug.h"
#include "slab/depot.h"

static struct tmm_cache *cache_pin(struct tmm_slab_system *slabs, size_t index)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	struct tmm_cache *cache = cache_at(slabs, index);

	if (cache)
		cache->nr_pins++;
	lock_drop_irqrestore(&slabs->lock, irq);
	return cache;
}

static void cache_unpin(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->slabs->lock);

	cache->nr_pins--;
	lock_drop_irqrestore(&cache->slabs->lock, irq);
}

static tmm_err set_min_partial(struct tmm_cache *cache, uint64_t nr)
{
	tmm_irq irq;

	if (nr > UINT32_MAX)
		return TMM_E_INVAL;
	irq = lock_take_irqsave(&cache->lock);
	cache->min_partial = (uint32_t)nr;
	lock_drop_irqrestore(&cache->lock, irq);
	empties_free(cache, (uint32_t)nr);
	return TMM_OK;
}

static tmm_err set_cpu_partial(struct tmm_cache *cache, uint64_t nr)
{
	if (nr > MAGAZINE_MAX || (nr && cache->debug))
		return TMM_E_INVAL;
	/* relaxed: a setting that orders nothing */
	return tmm_cache_tune(cache, (uint32_t)nr,
	                      __atomic_load_n(&cache->depot_most, __ATOMIC_RELAXED));
}

/* As in Linux not for those that share, whose others did not ask for it. */
static tmm_err set_failslab(struct tmm_cache *cache, uint64_t on)
{
	tmm_irq irq;
	bool shared;

	if (on > 1 || is_own_cache(cache))
		return TMM_E_INVAL;
	irq = lock_take_irqsave(&cache->slabs->lock);
	shared = cache->nr_users > 1;
	if (!shared)
		slots_set_fails(cache, on);
	lock_drop_irqrestore(&cache->slabs->lock, irq);
	if (shared)
		return TMM_E_INVAL;
	tmm_cache_shrink(cache); /* of what magazines keep */
	return TMM_OK;
}

static tmm_err control(struct tmm_cache *cache, enum tmm_cache_control what, uint64_t value)
{
	switch (what) {
	case TMM_CACHE_SHRINK:
		if (value != 1)
			return TMM_E_INVAL;
		tmm_cache_shrink(cache);
		return TMM_OK;
	case TMM_CACHE_VALIDATE:
		if (value != 1 || !cache->debug)
			return TMM_E_INVAL;
		tmm_cache_validate(cache);
		return TMM_OK;
	case TMM_CACHE_MIN_PARTIAL:
		return set_min_partial(cache, value);
	case TMM_CACHE_CPU_PARTIAL:
		return set_cpu_partial(cache, value);
	case TMM_CACHE_FAILSLAB:
		return set_failslab(cache, value);
	}
	return TMM_E_INVAL;
}

tmm_err tmm_cache_control(struct tmm_slab_system *slabs, size_t index,
                          enum tmm_cache_control what, uint64_t value)
{
	struct tmm_cache *cache = cache_pin(slabs, index);
	tmm_err err;

	if (!cache)
		return TMM_E_NOENT;
	err = control(cache, what, value);
	cache_unpin(cache);
	return err;
}
