/*
 * merge.c - caches that share their slabs
 *
 * Caches of different names whose objects are alike share slabs, as in Linux: fewer
 * slabs are half empty.  The first one keeps its name in slabinfo, later ones are its
 * aliases.  Who destroys a cache does not say by which name, so that names of an alias
 * that is gone stay until the last is, and may be used again.
 *
 * Objects are alike when the new cache's fit into the old one's, are aligned as asked,
 * waste less than a word each, and both caches' pages are of one kind.  A cache with a
 * constructor, a usercopy region, or one that debugs shares with nobody.
 *
 * aliases_check() asserts:
 *   I16  an alias is of a cache that may be shared
 *   I17  a cache has at most one alias for each creator but the first, and each gone
 */
#include "slab/debug.h"

bool cache_may_merge(const struct tmm_cache *cache)
{
	/* relaxed: a flag that is set where nobody shares the cache */
	bool fails = __atomic_load_n(&cache->fails, __ATOMIC_RELAXED);

	return !is_own_cache(cache) && !cache->debug && !fails && !cache->ctor &&
	       !cache->usercopy_bytes && !cache->no_merge &&
	       !(cache->slabs->options & TMM_SLAB_NO_MERGE);
}

/* Would objects of `new` be at home in slabs of `old`? */
static bool fits(const struct tmm_cache *new, const struct tmm_cache *old)
{
	return new->object_bytes <= old->object_bytes &&new->size_bytes <= old->size_bytes &&
	       old->size_bytes - new->size_bytes < sizeof(void *) &&
	       old->size_bytes % new->align_bytes == 0 &&
	       new->page_gfp == old->page_gfp &&new->front.account == old->front.account;
}

static struct tmm_cache *find_like(struct tmm_slab_system *slabs, const struct tmm_cache *new)
	TMM_REQUIRES(slabs->lock)
{
	if (!cache_may_merge(new))
		return NULL;
	list_for_each (node, &slabs->caches) {
		struct tmm_cache *old = list_entry(node, struct tmm_cache, link);

		if (cache_may_merge(old) && fits(new, old))
			return old;
	}
	return NULL;
}

static bool names_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The cache that has the name, or an alias of that name; NULL: none. */
static struct tmm_cache *find_name(struct tmm_slab_system *slabs, const char *name)
	TMM_REQUIRES(slabs->lock)
{
	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		if (names_equal(cache->name, name))
			return cache;
	}
	list_for_each (node, &slabs->aliases) {
		struct alias *alias = list_entry(node, struct alias, link);

		if (names_equal(alias->name, name))
			return alias->cache;
	}
	return NULL;
}

tmm_err cache_enlist(struct tmm_slab_system *slabs, struct tmm_cache **cache,
                     struct alias **alias)
{
	struct tmm_cache *new = *cache, *named = find_name(slabs, new->name);
	struct tmm_cache *like = find_like(slabs, new);

	/* The name of a creator who is gone may be used again. */
	if (named && (named != like || !named->nr_gone))
		return TMM_E_EXIST;
	if (!like) {
		list_add(&slabs->caches, &new->link);
		return TMM_OK;
	}
	like->nr_users++;
	*cache = like;
	if (named) {
		like->nr_gone--;
		return TMM_OK;
	}
	(*alias)->cache = like;
	memcpy((*alias)->name, new->name, sizeof(new->name));
	list_add(&slabs->aliases, &(*alias)->link);
	*alias = NULL;
	return TMM_OK;
}

bool cache_leave(struct tmm_slab_system *slabs, struct tmm_cache *cache)
{
	(void)slabs; /* whose lock is held */
	if (cache->nr_users == 1)
		return false;
	cache->nr_users--;
	cache->nr_gone++;
	return true;
}

struct alias *aliases_take(struct tmm_slab_system *slabs, struct tmm_cache *cache)
{
	struct list *chain = NULL;

	list_for_each_safe (node, &slabs->aliases) {
		if (list_entry(node, struct alias, link)->cache != cache)
			continue;
		list_del(node);
		node->next = chain;
		chain = node;
	}
	return chain ? list_entry(chain, struct alias, link) : NULL;
}

bool tmm_cache_alias(struct tmm_slab_system *slabs, size_t index, struct tmm_cache_alias *out)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	bool found = false;

	list_for_each (node, &slabs->aliases) {
		const struct alias *alias = list_entry(node, struct alias, link);

		if (index--)
			continue;
		memcpy(out->name, alias->name, sizeof(out->name));
		memcpy(out->of, alias->cache->name, sizeof(out->of));
		found = true;
		break;
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return found;
}

void aliases_check(struct tmm_slab_system *slabs)
{
	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);
		uint32_t nr = 0;

		list_for_each (other, &slabs->aliases)
			nr += list_entry(other, struct alias, link)->cache == cache;
		TMM_ASSERT(!nr || cache_may_merge(cache));              /* I16 */
		TMM_ASSERT(nr + 1 == cache->nr_users + cache->nr_gone); /* I17 */
	}
}
