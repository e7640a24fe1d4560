/*
 * world_model_test.c - the rules of page_alloc.h, migrate.h and cma.h, the naive way
 */
#include "page/world_test.h"

#include <string.h>

#define FRAMES_16M (UINT64_C(16) << 8)
#define FRAMES_4G  (UINT64_C(4) << 18)

void world_begin(struct world *world)
{
	memset(world, 0, sizeof(*world));
}

void world_add(struct world *world, uint64_t pfn, uint64_t nr, unsigned node, enum place place)
{
	for (uint64_t p = pfn; p < pfn + nr; p++) {
		world->place[p] = (uint8_t)place;
		world->node_of[p] = (uint8_t)node;
		world->loan_of[p] = NO_LOAN;
		world->chunk_has_ram[p / WORLD_CHUNK] = true;
	}
}

void world_remove(struct world *world, uint64_t pfn, uint64_t nr)
{
	memset(world->place + pfn, NOWHERE_RAM, nr);
	for (uint64_t p = pfn; p < pfn + nr; p += WORLD_CHUNK)
		world->chunk_has_ram[p / WORLD_CHUNK] = false;
}

void world_set_area(struct world *world, uint64_t pfn, uint64_t nr)
{
	memset(world->in_area + pfn, true, nr);
}

uint64_t world_next(const struct world *world, uint64_t pfn)
{
	while (pfn < WORLD_FRAMES && !world->chunk_has_ram[pfn / WORLD_CHUNK])
		pfn = (pfn / WORLD_CHUNK + 1) * WORLD_CHUNK;
	return pfn;
}

enum tmm_zone_id world_kind(const struct world *world, uint64_t pfn)
{
	uint64_t movable = world->node[world->node_of[pfn]].movable_start;

	if (movable && pfn >= movable)
		return TMM_ZONE_MOVABLE;
	if (pfn < FRAMES_16M)
		return TMM_ZONE_DMA;
	if (world->lowmem_end)
		return pfn < world->lowmem_end ? TMM_ZONE_NORMAL : TMM_ZONE_HIGHMEM;
	return pfn < FRAMES_4G ? TMM_ZONE_DMA32 : TMM_ZONE_NORMAL;
}

enum tmm_zone_id world_highest(const struct world *world, tmm_gfp gfp)
{
	if (gfp & TMM_GFP_DMA)
		return TMM_ZONE_DMA;
	if (gfp & TMM_GFP_DMA32)
		return world->lowmem_end ? TMM_ZONE_NORMAL : TMM_ZONE_DMA32;
	if ((gfp & TMM_GFP_HIGHMEM) && (gfp & TMM_GFP_MOVABLE))
		return TMM_ZONE_MOVABLE;
	if ((gfp & TMM_GFP_HIGHMEM) && world->lowmem_end)
		return TMM_ZONE_HIGHMEM;
	return TMM_ZONE_NORMAL;
}

bool world_is_movable(tmm_gfp gfp)
{
	return (gfp & TMM_GFP_MOVABLE) && !(gfp & TMM_GFP_RECLAIMABLE);
}

/* ---- lending ---- */

static bool may_have(const struct world *world, const struct wish *wish, uint64_t pfn)
{
	return (wish->nodes >> world->node_of[pfn] & 1) &&
	       world_kind(world, pfn) <= world_highest(world, wish->gfp) &&
	       (!world->in_area[pfn] || world_is_movable(wish->gfp));
}

static unsigned put_loan(struct world *world, struct loan loan)
{
	unsigned number = world->nr_loans++;

	for (uint64_t p = loan.pfn; p < loan.pfn + loan.nr; p++) {
		CHECK(world->place[p] == FREE);
		world->place[p] = LENT;
		world->loan_of[p] = number;
	}
	world->loan[number] = loan;
	return number;
}

unsigned world_lend(struct world *world, const struct wish *wish, uint64_t pfn)
{
	uint64_t last = pfn + (UINT64_C(1) << wish->order) - 1;

	CHECK(pfn % (UINT64_C(1) << wish->order) == 0 && last < WORLD_FRAMES);
	CHECK(world->node_of[pfn] == world->node_of[last]);
	CHECK(world_kind(world, pfn) == world_kind(world, last));
	for (uint64_t p = pfn; p <= last; p++)
		CHECK(world->place[p] == FREE && may_have(world, wish, p));
	return put_loan(world, (struct loan){.pfn = pfn,
	                                     .nr = wish->nr,
	                                     .order = wish->order,
	                                     .movable = world_is_movable(wish->gfp)});
}

unsigned world_lend_area(struct world *world, struct tmm_cma *area, uint64_t pfn, uint64_t nr)
{
	for (uint64_t p = pfn; p < pfn + nr; p++)
		CHECK(world->in_area[p]);
	return put_loan(world, (struct loan){.pfn = pfn, .nr = nr, .area = area});
}

struct loan world_take_back(struct world *world, unsigned number)
{
	struct loan loan = world->loan[number];
	const struct loan *last = &world->loan[--world->nr_loans];

	for (uint64_t p = loan.pfn; p < loan.pfn + loan.nr; p++) {
		CHECK(world->place[p] == LENT && world->loan_of[p] == number);
		world->place[p] = FREE;
		world->loan_of[p] = NO_LOAN;
	}
	if (number != world->nr_loans)
		for (uint64_t p = last->pfn; p < last->pfn + last->nr; p++)
			world->loan_of[p] = number;
	world->loan[number] = *last;
	return loan;
}

void world_move(struct world *world, uint64_t from, uint64_t to)
{
	uint32_t number = world->loan_of[from];

	CHECK(world->place[from] == LENT && world->place[to] == FREE);
	CHECK(world->loan[number].marked && !world->loan[number].pinned);
	world->place[to] = LENT;
	world->loan_of[to] = number;
	world->loan[number].pfn = to;
	world->place[from] = FREE;
	world->loan_of[from] = NO_LOAN;
}

/* ---- looking ---- */

static bool is_of(const struct world *world, uint64_t pfn, unsigned node, enum tmm_zone_id kind)
{
	return world->place[pfn] != NOWHERE_RAM && world->node_of[pfn] == node &&
	       world_kind(world, pfn) == kind;
}

/* The order of the longest aligned free run of the zone that begins at pfn. */
static unsigned run_at(const struct world *world, uint64_t pfn, unsigned node,
                       enum tmm_zone_id kind)
{
	unsigned order = 0;

	while (order < world->max_order && pfn % (UINT64_C(2) << order) == 0) {
		uint64_t half = UINT64_C(1) << order, p = pfn + half;

		if (p + half > WORLD_FRAMES)
			break;
		while (p < pfn + 2 * half && world->place[p] == FREE &&
		       is_of(world, p, node, kind))
			p++;
		if (p < pfn + 2 * half)
			break;
		order++;
	}
	return order;
}

void world_zones(const struct world *world, struct world_zones *out)
{
	uint64_t run_end = 0;

	memset(out, 0, sizeof(*out));
	for (uint64_t p = world_next(world, 0); p < WORLD_FRAMES;
	     p = world_next(world, p + 1)) {
		enum tmm_zone_id kind = world_kind(world, p);
		unsigned node = world->node_of[p], order;
		struct world_zone *zone = &out->of[node][kind];

		if (world->place[p] == NOWHERE_RAM)
			continue;
		zone->present++;
		zone->managed += world->place[p] != KEPT;
		if (world->place[p] != FREE)
			continue;
		zone->free++;
		zone->free_of_areas += world->in_area[p];
		if (p < run_end)
			continue;
		order = run_at(world, p, node, kind);
		zone->free_area[order]++;
		run_end = p + (UINT64_C(1) << order);
	}
}

bool world_has_run(const struct world *world, const struct wish *wish, unsigned node,
                   enum tmm_zone_id kind)
{
	uint64_t nr = UINT64_C(1) << wish->order;

	for (uint64_t p = world_next(world, 0); p + nr <= WORLD_FRAMES;
	     p = world_next(world, (p / nr + 1) * nr)) {
		uint64_t first = p / nr * nr, at = first;

		while (at < first + nr && world->place[at] == FREE &&
		       is_of(world, at, node, kind) && may_have(world, wish, at))
			at++;
		if (at == first + nr)
			return true;
	}
	return false;
}

uint64_t world_count(const struct world *world, enum place place)
{
	uint64_t nr = 0;

	for (uint64_t p = world_next(world, 0); p < WORLD_FRAMES; p = world_next(world, p + 1))
		nr += world->place[p] == place;
	return nr;
}
