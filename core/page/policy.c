/*
 * policy.c - requests that wish for a node
 *
 * A policy is a node whose zonelist is used, and a set of nodes that may serve.
 * Such requests go the way of those that the caller's first stack cannot serve,
 * which looks at the stacks of the zones they may have.
 */
#include <tuxmm/policy.h>

#include "page/page_slow.h"

static tmm_err alloc_from(struct tmm_pages *pages, struct request *request, tmm_pfn *out_pfn)
{
	if (unlikely(!tmm_port_allow("page_alloc")) && !(request->gfp & TMM_GFP_NOFAIL))
		return TMM_E_NOMEM;
	if (request->order > pages->max_order)
		return TMM_E_INVAL;
	return pages_alloc_from(pages, request, out_pfn);
}

static struct request request_for(const struct tmm_pages *pages, uint32_t node, tmm_gfp gfp,
                                  unsigned order, const void *site)
{
	return (struct request){.gfp = gfp,
	                        .site = site,
	                        .order = order,
	                        .choice = {.node = node,
	                                   .nodes = NODES_ALL,
	                                   .highest = highest_zone(pages, gfp)}};
}

/* The least of the set that is not below `from`, or the least of all. */
static uint32_t node_from(uint32_t nodes, uint32_t from)
{
	uint32_t rest = from < 32 ? nodes >> from << from : 0;

	return (uint32_t)__builtin_ctz(rest ? rest : nodes);
}

enum tmm_zone_id tmm_policy_zone(const struct tmm_pages *pages)
{
	enum tmm_zone_id highest = TMM_ZONE_DMA;

	for (unsigned z = 0; z < pages->nr_zones; z++)
		if (size_of(&pages->zone[z].managed) && pages->zone[z].id != TMM_ZONE_MOVABLE &&
		    pages->zone[z].id > highest)
			highest = pages->zone[z].id;
	return highest;
}

tmm_err tmm_policy_init(const struct tmm_pages *pages, enum tmm_policy_mode mode,
                        uint32_t nodes, struct tmm_policy *out_policy)
{
	uint32_t with_memory = 0;

	if ((unsigned)mode > TMM_POLICY_INTERLEAVE || (mode == TMM_POLICY_DEFAULT && nodes))
		return TMM_E_INVAL;
	for (unsigned n = 0; n < TMM_MAX_NODES; n++) /* a node that is not there has none */
		with_memory |= (uint32_t)(size_of(&pages->node[n].present) != 0) << n;
	if (mode != TMM_POLICY_DEFAULT && !(nodes & with_memory))
		return TMM_E_INVAL;
	*out_policy = (struct tmm_policy){.mode = mode, .nodes = nodes & with_memory};
	return TMM_OK;
}

tmm_err tmm_pages_alloc_policy(struct tmm_pages *pages, struct tmm_policy *policy, tmm_gfp gfp,
                               unsigned order, tmm_pfn *out_pfn)
{
	struct request request = request_for(pages, cpu_self(pages->cpus)->node, gfp, order,
	                                     __builtin_return_address(0));

	switch (policy->mode) {
	case TMM_POLICY_DEFAULT:
		if (likely(!pages->debug)) /* else our caller is to be remembered */
			return tmm_pages_alloc(pages, gfp, order, out_pfn);
		break;
	case TMM_POLICY_PREFERRED:
		request.choice.node = node_from(policy->nodes, 0);
		break;
	case TMM_POLICY_BIND:
		if (request.choice.highest >= tmm_policy_zone(pages))
			request.choice.nodes = policy->nodes;
		break;
	case TMM_POLICY_INTERLEAVE:
		request.choice.node = node_from(policy->nodes, policy->next);
		request.interleaved = true;
		policy->next = request.choice.node + 1;
		break;
	}
	return alloc_from(pages, &request, out_pfn);
}

tmm_err tmm_pages_alloc_node(struct tmm_pages *pages, unsigned node, tmm_gfp gfp,
                             unsigned order, tmm_pfn *out_pfn)
{
	struct request request = request_for(pages, node, gfp, order,
	                                     __builtin_return_address(0));

	if (node >= pages->nr_nodes)
		return TMM_E_INVAL;
	return alloc_from(pages, &request, out_pfn);
}

unsigned tmm_pfn_node(const struct tmm_pages *pages, tmm_pfn pfn)
{
	bool frame_is_ram = pfn_in_span(pages, pfn.v);

	TMM_ASSERT(frame_is_ram);
	return zone_of(pages, pfn.v)->node;
}

unsigned tmm_node_distance(const struct tmm_pages *pages, unsigned from, unsigned to)
{
	TMM_ASSERT(from < pages->nr_nodes && to < pages->nr_nodes);
	return pages->node[from].distance[to];
}
