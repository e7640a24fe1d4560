/*
 * node.c - objects of a chosen node, and from where they come else
 *
 * Whoever wants an object from a node, as each CPU does from its own, gets it from the
 * first of these places that has one:
 *
 *   SOURCE_NODE      slabs that lie on the node
 *   SOURCE_NODE_NEW  a new slab there, if that needs no reclaim and no reserve
 *   SOURCE_OTHERS    slabs that lie on other nodes, the nearest first
 *   SOURCE_NEW       a new slab, from wherever the page allocator can have one
 *
 * so that memory of other nodes is taken only where one's own is short, and then first
 * what is there already (Linux goes the same way for kmalloc_node(), and calls the third
 * place defragmentation of remote nodes).  With TMM_GFP_THISNODE there are but the first
 * and a new slab on the node, for which reclaim is done.  A machine of one node has the
 * first and the last.
 *
 * A node without memory for the cache is as good as the nearest one that has some.
 *
 * What a CPU frees goes to its magazines only if it lies on the CPU's own node: other
 * objects go home at once, to the slabs of their node.  Otherwise a consumer would keep
 * what its producer's node is short of.  So magazines hold objects of their CPU's node,
 * but for those that came from elsewhere because that was short.
 */
#include <tuxmm/node.h>

#include "page/zonelist.h"
#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/slob.h"

uint32_t slab_home(const struct tmm_cache *cache, uint32_t node)
{
	struct zone_choice choice = {.node = node, .nodes = NODES_ALL};
	const struct zone *zone;
	unsigned cursor = 0;

	if (cache->nr_nodes == 1)
		return 0;
	choice.highest = highest_zone(cache->pages, cache->page_gfp);
	zone = zonelist_next(cache->pages, &choice, &cursor);
	return zone ? zone->node : node;
}

bool object_is_remote(const struct tmm_cache *cache, const void *object)
{
	uint64_t at = (uint64_t)((const char *)object - (const char *)cache->pages->ram);

	return pfn_node(cache->pages, (tmm_pfn){at >> TMM_PAGE_SHIFT}) !=
	       slab_home(cache, cpu_self(cache->cpus)->node);
}

/* ---- where objects come from ---- */

struct slab_source source_first(struct tmm_cache *cache, tmm_gfp gfp, uint32_t wished)
{
	bool strict = gfp & TMM_GFP_THISNODE && wished != TMM_NODE_ANY;
	uint32_t node = wished == TMM_NODE_ANY ? cpu_self(cache->cpus)->node : wished;

	return (struct slab_source){.cache = cache,
	                            .step = SOURCE_NODE,
	                            .gfp = gfp,
	                            .wished = wished,
	                            .node = strict ? node : slab_home(cache, node),
	                            .new_slab = NO_SLAB};
}

/* A new slab; false: there is no memory for one. */
static bool source_renew(struct slab_source *source, tmm_gfp gfp, uint32_t node)
{
	source->new_slab = slab_new(source->cache, gfp, node);
	return source->new_slab != NO_SLAB;
}

bool source_next(struct slab_source *source)
{
	bool one_node = source->cache->nr_nodes == 1 || source->gfp & TMM_GFP_THISNODE;

	source->new_slab = NO_SLAB;
	switch (source->step) {
	case SOURCE_NODE:
		if (one_node)
			break;
		source->step = SOURCE_NODE_NEW;
		if (source_renew(source, TMM_GFP_NOWAIT | TMM_GFP_NOWARN | TMM_GFP_THISNODE,
		                 source->node))
			return true;
		/* fall through */
	case SOURCE_NODE_NEW:
		source->step = SOURCE_OTHERS;
		return true;
	case SOURCE_OTHERS:
		break;
	case SOURCE_NEW:
		return false;
	}
	source->step = SOURCE_NEW;
	return source_renew(source, source->gfp, source->wished);
}

/* The nearest of the other nodes that has a slab with an object in it. */
static uint32_t others_slab(const struct slab_source *source) TMM_REQUIRES(source->cache->lock)
{
	const struct tmm_cache *cache = source->cache;
	uint8_t order[TMM_MAX_NODES];
	unsigned nr = tmm_node_fallback(cache->pages, source->node, order);

	for (unsigned i = 0; i < nr; i++)
		if (order[i] != source->node && cache->node[order[i]].partial.first != NO_SLAB)
			return cache->node[order[i]].partial.first;
	return NO_SLAB;
}

uint32_t source_slab(const struct slab_source *source)
{
	if (source->step == SOURCE_OTHERS)
		return others_slab(source);
	if (source->new_slab != NO_SLAB)
		return slab_node(source->cache, source->new_slab)->partial.first;
	return source->cache->node[source->node].partial.first;
}

/* ---- objects of a chosen node ---- */

/* Past the magazines, which hold objects of their CPU's node. */
static void *take_from(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node)
{
	struct slab_source source = source_first(cache, gfp, node);
	void *object;

	do
		object = object_take(&source);
	while (!object && source_next(&source));
	return object;
}

/* Is what the CPU has at hand good enough? */
static bool is_at_hand(const struct tmm_cache *cache, tmm_gfp gfp, uint32_t node)
{
	return node == TMM_NODE_ANY ||
	       (!(gfp & TMM_GFP_THISNODE) &&
	        slab_home(cache, node) == slab_home(cache, cpu_self(cache->cpus)->node));
}

void *object_alloc_node(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node, size_t asked_bytes,
                        const void *site)
{
	TMM_ASSERT((node == TMM_NODE_ANY || node < cache->nr_nodes) && "there is such a node");
	if (cache->slabs->is_slob)
		return slob_cache_alloc(cache, gfp, node);
	if (!cache->debug && is_at_hand(cache, gfp, node))
		return object_alloc(cache, gfp);
	if (is_to_fail(cache, gfp))
		return NULL;
	if (cache->debug)
		return debug_alloc(cache, gfp, node, asked_bytes, site);
	return take_from(cache, gfp, node);
}

void *tmm_cache_alloc_node(struct tmm_cache *cache, tmm_gfp gfp, unsigned node)
{
	const void *site = __builtin_return_address(0);
	void *object;

	check_request(cache, gfp);
	if (!tmm_port_allow("slab"))
		return NULL;
	object = object_alloc_node(cache, gfp, node, cache->object_bytes, site);
	return object_lend(cache, object, gfp, cache->object_bytes);
}

void object_go_home(struct tmm_cache *cache, void *object, uint8_t *lent)
{
	set_lent(lent, 0);
	objects_put(cache, (struct objects){&object, &lent}, 1);
}
