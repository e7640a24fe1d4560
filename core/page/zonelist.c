/*
 * zonelist.c - in which order zones are tried
 *
 * A node's zonelist has every zone of the machine, those that hot-plug may give frames
 * to among them, so that it never changes: its own node's first, then
 * those of the nearest node, and so on; inside a node from the highest zone
 * downwards.  As in Linux a node counts one further away for having a CPU, and
 * one for a lower number than the node itself; of those as near after that, the one
 * that fewer nodes turned to first, so that all do not turn to the same.  A request skips
 * zones without frames, zones above the highest that its flags allow, and nodes that its
 * policy leaves out.
 *
 * The stack that a CPU looks at first is a table lookup away: first_stack[], by
 * the flags that matter.
 */
#include <tuxmm/node.h>

#include "page/zonelist.h"

static bool node_has_cpu(const struct tmm_pages *pages, unsigned node)
{
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		if (pages->cpus->cpu[c].node == node)
			return true;
	return false;
}

/* How many nodes have turned to each one first, of those at its distance. */
struct node_load {
	unsigned nr[TMM_MAX_NODES];
};

/* Has it memory, or may it be given some? */
static bool node_has_zones(const struct tmm_pages *pages, unsigned node)
{
	for (unsigned kind = 0; kind < TMM_NR_ZONES; kind++)
		if (pages->node[node].zone_index[kind] != ZONE_NONE)
			return true;
	return false;
}

/* The nearest node with zones that is not in `done` yet; false: there is none. */
static bool nearest_node(const struct tmm_pages *pages, unsigned from, uint32_t done,
                         const struct node_load *load, unsigned *out)
{
	unsigned least = UINT32_MAX;

	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		unsigned value;

		if ((done >> n & 1) || !node_has_zones(pages, n))
			continue;
		if (n == from) {
			*out = n;
			return true;
		}
		value = pages->node[from].distance[n] + (n < from ? 1u : 0u) +
		        (node_has_cpu(pages, n) ? 1u : 0u);
		value = value * (TMM_MAX_NODES + 1) + load->nr[n];
		if (value < least) {
			least = value;
			*out = n;
		}
	}
	return least != UINT32_MAX;
}

static void make_zonelist(struct tmm_pages *pages, unsigned from, struct node_load *load)
{
	struct page_node *node = &pages->node[from];
	unsigned next, before = from;
	uint32_t done = 0;

	while (nearest_node(pages, from, done, load, &next)) {
		if (node->distance[next] != node->distance[before])
			load->nr[next]++;
		before = next;
		done |= 1u << next;
		for (unsigned kind = TMM_NR_ZONES; kind-- > 0;) {
			uint8_t index = pages->node[next].zone_index[kind];

			if (index != ZONE_NONE)
				node->zonelist[node->nr_zonelist++] = index;
		}
	}
}

enum tmm_zone_id highest_zone(const struct tmm_pages *pages, tmm_gfp gfp)
{
	if (gfp & TMM_GFP_DMA)
		return TMM_ZONE_DMA;
	/* Where there is no DMA32, all of NORMAL is below 4 GiB. */
	if (gfp & TMM_GFP_DMA32)
		return tmm_zone_exists(pages, TMM_ZONE_DMA32) ? TMM_ZONE_DMA32
		                                              : TMM_ZONE_NORMAL;
	if (!(gfp & TMM_GFP_HIGHMEM))
		return TMM_ZONE_NORMAL;
	if (gfp & TMM_GFP_MOVABLE)
		return TMM_ZONE_MOVABLE;
	return tmm_zone_exists(pages, TMM_ZONE_HIGHMEM) ? TMM_ZONE_HIGHMEM : TMM_ZONE_NORMAL;
}

static bool zone_allows(const struct zone *zone, const struct zone_choice *choice)
{
	return size_of(&zone->managed) && zone->id <= choice->highest &&
	       (choice->nodes >> zone->node & 1);
}

struct zone *zonelist_next(const struct tmm_pages *pages, const struct zone_choice *choice,
                           unsigned *cursor)
{
	const struct page_node *node = &pages->node[choice->node];

	while (*cursor < node->nr_zonelist) {
		struct zone *zone = &pages->zone[node->zonelist[(*cursor)++]];

		if (zone_allows(zone, choice))
			return zone;
	}
	return NULL;
}

void zonelist_choose(const struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (tmm_gfp bits = 0; bits < NR_FIRST_CHOICES; bits++) {
		const struct zone_choice choice = {
			.node = cpu->node,
			.nodes = bits & TMM_GFP_THISNODE ? 1u << cpu->node : NODES_ALL,
			.highest = highest_zone(pages, bits)};
		unsigned cursor = 0;
		const struct zone *zone = zonelist_next(pages, &choice, &cursor);

		/* When debugging nobody has one, so that requests leave the fast path. */
		unsigned index = zone && !pages->debug ? zone->index : pages->nr_zones;

		cpu->first_stack[bits] = &cpu->zone[index].stack[stack_id(
			STACK_0, stack_type_of_gfp(pages, bits))];
	}
}

void zonelists_init(struct tmm_pages *pages, const uint8_t (*distance)[TMM_MAX_NODES])
{
	struct node_load load = {{0}};

	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		for (unsigned to = 0; to < pages->nr_nodes; to++) {
			uint8_t given = distance ? distance[n][to] : 0;
			uint8_t common = n == to ? LOCAL_DISTANCE : REMOTE_DISTANCE;

			pages->node[n].distance[to] = given ? given : common;
		}
		make_zonelist(pages, n, &load);
	}
	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		pages->cpu[c]->id = (uint16_t)c;
		pages->cpu[c]->node = (uint16_t)pages->cpus->cpu[c].node;
		zonelist_choose(pages, pages->cpu[c]);
	}
}

unsigned tmm_node_fallback(const struct tmm_pages *pages, unsigned node,
                           uint8_t order[TMM_MAX_NODES])
{
	const struct page_node *from = &pages->node[node];
	unsigned nr = 0;

	TMM_ASSERT(node < pages->nr_nodes);
	for (unsigned i = 0; i < from->nr_zonelist; i++) {
		const struct zone *zone = &pages->zone[from->zonelist[i]];
		uint8_t next = zone->node;

		if (!size_of(&zone->managed))
			continue;
		if (nr == 0 || order[nr - 1] != next)
			order[nr++] = next;
	}
	return nr;
}
