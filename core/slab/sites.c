/*
 * sites.c - who borrows objects, and who frees them, counted by call site
 *
 * Nothing is allocated for it: one walk over all objects finds the site next in order
 * and counts it.  As many walks as sites, for a file that is read now and then.
 */
#include "slab/debug.h"

/* Counts one object into the site that is looked for. */
static void count(struct tmm_slab_site *site, const struct track *track, uint64_t now)
{
	uint64_t age = now - track->when;

	if (!site->count || track->site < site->site)
		*site = (struct tmm_slab_site){.site = track->site,
		                               .least_age = age,
		                               .most_age = age,
		                               .first_task = track->task,
		                               .last_task = track->task,
		                               .first_cpu = track->cpu,
		                               .last_cpu = track->cpu};
	site->count++;
	site->ages += age;
	site->least_age = min_u64(site->least_age, age);
	site->most_age = max_u64(site->most_age, age);
	site->first_task = (uint32_t)min_u64(site->first_task, track->task);
	site->last_task = (uint32_t)max_u64(site->last_task, track->task);
	site->first_cpu = (uint32_t)min_u64(site->first_cpu, track->cpu);
	site->last_cpu = (uint32_t)max_u64(site->last_cpu, track->cpu);
}

static void count_slab(struct tmm_cache *cache, struct page *head, bool freed,
                       const void *after, struct tmm_slab_site *out)
{
	/* relaxed: tells what came before what */
	uint64_t now = __atomic_load_n(&cache->slabs->clock, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < slab_objs(cache, head); i++) {
		const struct tracks *tracks = tracks_of(cache, object_at(cache, head, i));
		const struct track *track = freed ? &tracks->freed : &tracks->lent;

		/* As in Linux: of lent objects, who borrowed and who freed them before. */
		if (slab_lent(head)[i] == OBJECT_LENT && track->site > after &&
		    (!out->count || track->site <= out->site))
			count(out, track, now);
	}
}

static void count_cache(struct tmm_cache *cache, bool freed, const void *after,
                        struct tmm_slab_site *out)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);

	for (unsigned i = 0; i < nr_slab_lists(cache); i++)
		for (uint32_t first = slab_list_at(cache, i)->first; first != NO_SLAB;
		     first = slab_page(cache, first)->next)
			count_slab(cache, slab_page(cache, first), freed, after, out);
	lock_drop_irqrestore(&cache->lock, irq);
}

bool tmm_slab_site_next(struct tmm_slab_system *slabs, size_t index, bool freed,
                        struct tmm_slab_site *site)
{
	struct tmm_slab_site next = {.count = 0};
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		if (index--)
			continue;
		if (debugs(cache, TMM_SLAB_STORE_USER))
			count_cache(cache, freed, site->site, &next);
		break;
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	*site = next;
	return next.count > 0;
}
