/*
 * mempool.c - reserves of elements
 *
 * A request goes to memory first, so that the reserve is for need alone, then to
 * the reserve, and only then waits and tries both again.  Giving back fills the
 * reserve first, so a waiter is served by whatever is given back next.  Who waits
 * leaves its CPU, which whoever gives back may need.
 *
 *   I1  the reserve holds at most min_nr elements
 *   I2  a reserve that is not whole has lent, or is to be filled by, what it lacks
 */
#include <tuxmm/mempool.h>

#include "slab/depot.h"

/* With these memory is not of pool->cache, or the caller is mistaken. */
#define NOT_OF_CACHE                                                                           \
	(TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_RECLAIMABLE | TMM_GFP_ACCOUNT | TMM_GFP_ZERO)

/* (c) constant after init  (m) lock  (a) readable without it, relaxed */
struct tmm_mempool {
	struct lock lock;
	struct tmm_slab_system *slabs; /* (c) */
	struct tmm_mempool_spec from;  /* (c) but for min_nr (m, a) */
	struct tmm_cache *cache;       /* (c) that elements are of as a rule, or NULL */
	void **element;                /* (m) [min_nr], the reserve */
	size_t nr;                     /* (m, a) in it */
	uint32_t nr_given;             /* (m, a) to it so far: what waiters wait at */
	uint32_t nr_waiting;           /* (m) */
};

static void *source_alloc(const struct tmm_mempool *pool, tmm_gfp gfp)
{
	tmm_pfn pfn;

	if (pool->from.alloc)
		return pool->from.alloc(gfp, pool->from.arg);
	if (pool->from.cache)
		return tmm_cache_alloc(pool->from.cache, gfp);
	if (pool->from.size_bytes)
		return tmm_kmalloc(pool->slabs, pool->from.size_bytes, gfp);
	if (tmm_pages_alloc(pool->slabs->pages, gfp, pool->from.order, &pfn))
		return NULL;
	return tmm_page_address(pool->slabs->pages, pfn);
}

static void source_free(const struct tmm_mempool *pool, void *element)
{
	struct tmm_pages *pages = pool->slabs->pages;

	if (pool->from.free)
		pool->from.free(element, pool->from.arg);
	else if (pool->from.cache)
		tmm_cache_free(pool->from.cache, element);
	else if (pool->from.size_bytes)
		tmm_kfree(pool->slabs, element);
	else
		tmm_pages_free(pages, tmm_virt_to_pfn(pages, element), pool->from.order);
}

/* relaxed: looked at without the lock as a hint only */
static void set_nr(struct tmm_mempool *pool, size_t nr) TMM_REQUIRES(pool->lock)
{
	__atomic_store_n(&pool->nr, nr, __ATOMIC_RELAXED);
}

size_t tmm_mempool_reserve(const struct tmm_mempool *pool)
{
	return __atomic_load_n(&pool->nr, __ATOMIC_RELAXED);
}

/* NULL: it is empty; then the caller, if it `waits`, is one of nr_waiting. */
static void *reserve_take(struct tmm_mempool *pool, bool waits, uint32_t *out_given)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);
	void *element = NULL;

	if (pool->nr > 0) {
		set_nr(pool, pool->nr - 1);
		element = pool->element[pool->nr];
	} else if (waits) {
		pool->nr_waiting++;
		*out_given = pool->nr_given;
	}
	lock_drop_irqrestore(&pool->lock, irq);
	return element;
}

/* Sleep until something was given to the reserve since it was seen to be empty. */
static void reserve_wait(struct tmm_mempool *pool, uint32_t given)
{
	struct tmm_cpu *cpu = tmm_port_cpu();
	tmm_irq irq;

	if (cpu)
		tmm_cpu_exit(cpu);
	tmm_port_wait(&pool->nr_given, given);
	irq = lock_take_irqsave(&pool->lock);
	pool->nr_waiting--;
	lock_drop_irqrestore(&pool->lock, irq);
}

/* False: the reserve is whole. */
static bool reserve_give(struct tmm_mempool *pool, void *element)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);
	bool lacks = pool->nr < pool->from.min_nr, wake = lacks && pool->nr_waiting > 0;

	if (lacks) {
		pool->element[pool->nr] = element;
		set_nr(pool, pool->nr + 1);
		/* relaxed: who sleeps at it looks again under the lock */
		__atomic_store_n(&pool->nr_given, pool->nr_given + 1, __ATOMIC_RELAXED);
	}
	lock_drop_irqrestore(&pool->lock, irq);
	if (wake)
		tmm_port_wake(&pool->nr_given);
	return lacks;
}

/* Memory, which may be reclaimed or not, has none: the reserve, and then wait. */
static NOINLINE void *alloc_again(struct tmm_mempool *pool, tmm_gfp gfp, tmm_gfp may)
{
	tmm_gfp try = 0; /* what was tried last: not to wait */

	for (;;) {
		bool waits = gfp & TMM_GFP_DIRECT_RECLAIM && try == may;
		uint32_t given = 0;
		void *element = reserve_take(pool, waits, &given);

		if (element || !(gfp & TMM_GFP_DIRECT_RECLAIM))
			return element;
		if (waits)
			reserve_wait(pool, given);
		try = may;
		element = source_alloc(pool, try);
		if (element)
			return element;
	}
}

/* The CPU has nothing at hand. */
static NOINLINE void *alloc_from_source(struct tmm_mempool *pool, tmm_gfp gfp)
{
	/* The reserve is better than what is kept for those who free memory. */
	tmm_gfp may = (gfp & ~TMM_GFP_NOFAIL) | TMM_GFP_NOMEMALLOC | TMM_GFP_NORETRY |
	              TMM_GFP_NOWARN;
	void *element;

	TMM_ASSERT(!(gfp & TMM_GFP_ZERO) && "elements of the reserve are not cleared");
	element = source_alloc(pool, may & ~(TMM_GFP_DIRECT_RECLAIM | TMM_GFP_IO));
	return likely(element != NULL) ? element : alloc_again(pool, gfp, may);
}

void *tmm_mempool_alloc(struct tmm_mempool *pool, tmm_gfp gfp)
{
	if (likely(pool->cache && !(gfp & NOT_OF_CACHE)) && likely(!tmm_port_injects())) {
		void *element = from_hand(pool->cache);

		if (likely(element != NULL))
			return element;
	}
	return alloc_from_source(pool, gfp);
}

static NOINLINE void free_to_source(struct tmm_mempool *pool, void *element)
{
	/* relaxed: as in tmm_mempool_free() */
	size_t min_nr = __atomic_load_n(&pool->from.min_nr, __ATOMIC_RELAXED);

	if (!element)
		return;
	if (tmm_mempool_reserve(pool) >= min_nr || !reserve_give(pool, element))
		source_free(pool, element);
}

void tmm_mempool_free(struct tmm_mempool *pool, void *element)
{
	/* relaxed: a reserve that lacks something is seen so by who took from it */
	size_t min_nr = __atomic_load_n(&pool->from.min_nr, __ATOMIC_RELAXED);

	if (likely(pool->cache && tmm_mempool_reserve(pool) >= min_nr) &&
	    likely(back_to_hand(pool->cache, element)))
		return;
	free_to_source(pool, element);
}

/* Fill element[from .. to); false, and none taken, when memory is short. */
static bool fill(const struct tmm_mempool *pool, void **element, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		element[i] = source_alloc(pool, TMM_GFP_KERNEL);
		if (element[i])
			continue;
		while (i-- > from)
			source_free(pool, element[i]);
		return false;
	}
	return true;
}

/*
 * What elements are of, unless flags ask for other memory; NULL: of no cache, or each is to
 * be charged.
 */
static struct tmm_cache *cache_of_spec(struct tmm_slab_system *slabs,
                                       const struct tmm_mempool_spec *spec)
{
	if (spec->alloc || (spec->cache && spec->cache->front.account))
		return NULL;
	if (spec->cache)
		return spec->cache;
	return kmalloc_cache(slabs, spec->size_bytes);
}

static bool min_nr_is_valid(size_t min_nr)
{
	return min_nr >= 1 && min_nr <= TMM_KMALLOC_MAX / sizeof(void *);
}

static bool spec_is_valid(const struct tmm_mempool_spec *spec)
{
	return min_nr_is_valid(spec->min_nr) && spec->size_bytes <= TMM_KMALLOC_MAX &&
	       spec->order <= TMM_MAX_ORDER && !spec->alloc == !spec->free;
}

tmm_err tmm_mempool_create(struct tmm_slab_system *slabs, const struct tmm_mempool_spec *spec,
                           struct tmm_mempool **out_pool)
{
	struct tmm_mempool *pool;

	if (!spec_is_valid(spec))
		return TMM_E_INVAL;
	pool = tmm_kmalloc(slabs, sizeof(*pool), TMM_GFP_KERNEL);
	if (!pool)
		return TMM_E_NOMEM;
	*pool = (struct tmm_mempool){.slabs = slabs,
	                             .from = *spec,
	                             .cache = cache_of_spec(slabs, spec),
	                             .nr = spec->min_nr};
	lock_init(&pool->lock, RANK_MEMPOOL);
	pool->element = tmm_kmalloc(slabs, spec->min_nr * sizeof(*pool->element),
	                            TMM_GFP_KERNEL);
	if (!pool->element || !fill(pool, pool->element, 0, spec->min_nr)) {
		tmm_kfree(slabs, pool->element);
		tmm_kfree(slabs, pool);
		return TMM_E_NOMEM;
	}
	*out_pool = pool;
	return TMM_OK;
}

void tmm_mempool_destroy(struct tmm_mempool *pool)
{
	struct tmm_slab_system *slabs = pool->slabs;

	TMM_ASSERT(pool->nr == pool->from.min_nr && "every element is back");
	for (size_t i = 0; i < pool->nr; i++)
		source_free(pool, pool->element[i]);
	tmm_kfree(slabs, pool->element);
	tmm_kfree(slabs, pool);
}

/* The reserve moves to another array; what that has no room for follows it. */
static void reserve_move(struct tmm_mempool *pool, void **element, size_t min_nr, size_t added)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);
	void **old = pool->element;
	size_t nr = pool->nr, kept = min_u64(nr, min_nr - added);

	memcpy(element, old, kept * sizeof(*old));
	/* Those added lie behind the old reserve's last place. */
	memmove(element + kept, element + min_nr - added, added * sizeof(*old));
	pool->element = element;
	__atomic_store_n(&pool->from.min_nr, min_nr, __ATOMIC_RELAXED);
	set_nr(pool, kept + added);
	__atomic_store_n(&pool->nr_given, pool->nr_given + (uint32_t)added, __ATOMIC_RELAXED);
	lock_drop_irqrestore(&pool->lock, irq);
	tmm_port_wake(&pool->nr_given);
	while (nr > kept)
		source_free(pool, old[--nr]);
	tmm_kfree(pool->slabs, old);
}

tmm_err tmm_mempool_resize(struct tmm_mempool *pool, size_t min_nr)
{
	size_t old_nr = pool->from.min_nr;
	size_t added = min_nr > old_nr ? min_nr - old_nr : 0;
	void **element;

	if (!min_nr_is_valid(min_nr))
		return TMM_E_INVAL;
	element = tmm_kmalloc(pool->slabs, min_nr * sizeof(*element), TMM_GFP_KERNEL);
	if (!element || !fill(pool, element, min_nr - added, min_nr)) {
		tmm_kfree(pool->slabs, element);
		return TMM_E_NOMEM;
	}
	reserve_move(pool, element, min_nr, added);
	return TMM_OK;
}
