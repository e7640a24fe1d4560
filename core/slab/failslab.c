/*
 * failslab.c - allocations that are to fail
 *
 * Linux's failslab: of the requests that caches with the option A get, some answer NULL
 * as if memory were short, so that what follows is tried.  Which ones, the attributes
 * of Linux's fault injection say, in its order:
 *
 *   NOFAIL, or may wait for memory (unless fails_waiting)   never
 *   times used up                                           no more
 *   space not used up yet                                   not yet
 *   interval                                                each so-manieth
 *   probability                                             so often, in percent
 *
 * Unlike tmm_port_allow(), which a test's port counts at every failure point, this is
 * of chosen caches and of the machine's, and the same in each run of it.
 *
 * A cache with A has no magazines (depot.c, open_slots()), so that every request comes
 * here; others know nothing of it.
 */
#include "slab/debug.h"

/* A number for each draw, by the machine's seed alone. */
static uint64_t draw(struct failslab *fail, uint64_t seed)
{
	/* relaxed: any order of draws will do */
	uint64_t n = __atomic_add_fetch(&fail->nr_draws, 1, __ATOMIC_RELAXED);

	n = (seed ^ n) * UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ n >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	return n ^ n >> 29;
}

/* Takes up to `bytes` off what may still be lent; true: there was as much. */
static bool has_space(struct failslab *fail, uint64_t bytes)
{
	/* relaxed, here and below: settings and counts that order nothing */
	uint64_t space = __atomic_load_n(&fail->attr.space_bytes, __ATOMIC_RELAXED);

	while (space > bytes)
		if (__atomic_compare_exchange_n(&fail->attr.space_bytes, &space, space - bytes,
		                                true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* One of the times; false: there is none left. */
static bool take_time(struct failslab *fail)
{
	int32_t times = __atomic_load_n(&fail->attr.times, __ATOMIC_RELAXED);

	while (times > 0)
		if (__atomic_compare_exchange_n(&fail->attr.times, &times, times - 1, true,
		                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return times < 0;
}

static bool is_turn(struct failslab *fail)
{
	uint32_t interval = __atomic_load_n(&fail->attr.interval, __ATOMIC_RELAXED);

	return interval <= 1 ||
	       __atomic_add_fetch(&fail->nr_asked, 1, __ATOMIC_RELAXED) % interval == 0;
}

/* What is asked for is `bytes` of a cache with A: is it to fail? */
static bool is_chosen(struct failslab *fail, uint64_t seed, uint64_t bytes, tmm_gfp gfp)
{
	uint32_t probability = __atomic_load_n(&fail->attr.probability, __ATOMIC_RELAXED);

	if (!probability || gfp & TMM_GFP_NOFAIL)
		return false;
	if (gfp & TMM_GFP_DIRECT_RECLAIM &&
	    !__atomic_load_n(&fail->attr.fails_waiting, __ATOMIC_RELAXED))
		return false;
	if (!__atomic_load_n(&fail->attr.times, __ATOMIC_RELAXED) || has_space(fail, bytes) ||
	    !is_turn(fail))
		return false;
	return draw(fail, seed) % 100 < probability && take_time(fail);
}

bool failslab_fails(struct tmm_cache *cache, tmm_gfp gfp)
{
	struct failslab *fail = &cache->slabs->failslab;

	if (!is_chosen(fail, cache->slabs->seed, cache->object_bytes, gfp))
		return false;
	__atomic_fetch_add(&fail->nr_failed, 1, __ATOMIC_RELAXED);
	if (!(gfp & TMM_GFP_NOWARN) &&
	    !__atomic_load_n(&fail->attr.is_quiet, __ATOMIC_RELAXED)) {
		struct tmm_failslab now;

		tmm_slab_failslab_get(cache->slabs, &now);
		now.times += now.times >= 0; /* as it was, says Linux */
		report_forced(cache, &now);
	}
	return true;
}

const char *tmm_slab_failslab_fault(const struct tmm_failslab *attr)
{
	if (attr->probability > 100)
		return "failslab has a probability of more than 100 percent";
	if (attr->times < -1)
		return "failslab has times that are neither -1 nor a number";
	return NULL;
}

tmm_err tmm_slab_failslab_set(struct tmm_slab_system *slabs, const struct tmm_failslab *attr)
{
	struct tmm_failslab *to = &slabs->failslab.attr;

	if (tmm_slab_failslab_fault(attr))
		return TMM_E_INVAL;
	__atomic_store_n(&to->interval, attr->interval, __ATOMIC_RELAXED);
	__atomic_store_n(&to->space_bytes, attr->space_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&to->times, attr->times, __ATOMIC_RELAXED);
	__atomic_store_n(&to->fails_waiting, attr->fails_waiting, __ATOMIC_RELAXED);
	__atomic_store_n(&to->is_quiet, attr->is_quiet, __ATOMIC_RELAXED);
	__atomic_store_n(&to->probability, attr->probability, __ATOMIC_RELAXED);
	return TMM_OK;
}

void tmm_slab_failslab_get(const struct tmm_slab_system *slabs, struct tmm_failslab *out)
{
	const struct tmm_failslab *from = &slabs->failslab.attr;

	*out = (struct tmm_failslab){
		.interval = __atomic_load_n(&from->interval, __ATOMIC_RELAXED),
		.probability = __atomic_load_n(&from->probability, __ATOMIC_RELAXED),
		.space_bytes = __atomic_load_n(&from->space_bytes, __ATOMIC_RELAXED),
		.times = __atomic_load_n(&from->times, __ATOMIC_RELAXED),
		.fails_waiting = __atomic_load_n(&from->fails_waiting, __ATOMIC_RELAXED),
		.is_quiet = __atomic_load_n(&from->is_quiet, __ATOMIC_RELAXED),
	};
}

uint64_t tmm_slab_failslab_failures(const struct tmm_slab_system *slabs)
{
	return __atomic_load_n(&slabs->failslab.nr_failed, __ATOMIC_RELAXED);
}
