/*
 * shrinker.c - the registry of shrinkers
 *
 * A list guarded by the slab system's lock.  The lock is dropped while a shrinker
 * runs, which takes locks of its own; nr_running keeps it on the list meanwhile, so
 * that its next is still its next.
 */
#include <tuxmm/shrinker.h>

#include "slab/slab_system.h"

void tmm_shrinker_register(struct tmm_slab_system *slabs, struct tmm_shrinker *shrinker)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	shrinker->nr_running = 0;
	shrinker->next = slabs->shrinkers;
	slabs->shrinkers = shrinker;
	lock_drop_irqrestore(&slabs->lock, irq);
}

/* False: it runs, and stays. */
static bool try_unregister(struct tmm_slab_system *slabs, struct tmm_shrinker *shrinker)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	struct tmm_shrinker **link = &slabs->shrinkers;
	bool idle = !shrinker->nr_running;

	while (*link && *link != shrinker)
		link = &(*link)->next;
	TMM_ASSERT(*link && "the shrinker is registered");
	if (idle)
		*link = shrinker->next;
	lock_drop_irqrestore(&slabs->lock, irq);
	return idle;
}

void tmm_shrinker_unregister(struct tmm_slab_system *slabs, struct tmm_shrinker *shrinker)
{
	while (!try_unregister(slabs, shrinker))
		tmm_port_relax();
}

/* The first shrinker, or the one behind `before`, which may go; it is kept. */
static struct tmm_shrinker *shrinker_next(struct tmm_slab_system *slabs,
                                          struct tmm_shrinker *before)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	struct tmm_shrinker *next = before ? before->next : slabs->shrinkers;

	if (before)
		before->nr_running--;
	if (next)
		next->nr_running++;
	lock_drop_irqrestore(&slabs->lock, irq);
	return next;
}

/* Returns the objects freed. */
static uint64_t scan_all(struct tmm_slab_system *slabs, tmm_gfp gfp, uint64_t nr)
{
	struct tmm_shrinker *shrinker = NULL;
	uint64_t freed = 0;

	while ((shrinker = shrinker_next(slabs, shrinker)) != NULL) {
		uint64_t most = shrinker->count(shrinker->arg, gfp);

		if (most)
			freed += shrinker->scan(shrinker->arg, gfp, min_u64(nr, most));
	}
	return freed;
}

static uint64_t pages_held(const struct tmm_slab_system *slabs)
{
	/* relaxed: a moment's value */
	return __atomic_load_n(&slabs->nr_pages, __ATOMIC_RELAXED);
}

uint64_t tmm_shrink_slab(struct tmm_slab_system *slabs, tmm_gfp gfp, uint64_t nr)
{
	uint64_t before = pages_held(slabs), objects, pages, now;

	do {
		objects = scan_all(slabs, gfp, nr);
		pages = slab_shrink_all(slabs);
		now = pages_held(slabs); /* slabs go while objects are freed, too */
		if (before > now)
			pages = max_u64(pages, before - now);
	} while (objects > 0 && pages == 0);
	return pages;
}

uint64_t tmm_drop_slab(struct tmm_slab_system *slabs)
{
	uint64_t pages = 0, more;

	while ((more = tmm_shrink_slab(slabs, TMM_GFP_KERNEL, UINT64_MAX)) > 0)
		pages += more;
	return pages;
}
