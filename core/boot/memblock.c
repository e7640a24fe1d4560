/*
 * memblock.c - two sorted lists of regions
 *
 * Everything is two operations on one list.  Covering a range fills the gaps
 * that no region has yet; cutting a range out trims the regions it meets and
 * may split one.  Both know beforehand how many regions there will be, so that
 * a full list is found before anything has changed.  What is free is what
 * `memory` has and `reserved` has not; it is never stored.
 *
 * tmm_memblock_check() asserts of each list:
 *   I1  nr is at most TMM_MEMBLOCK_MAX_REGIONS
 *   I2  a region is not empty
 *   I3  regions rise and do not overlap
 *   I4  two regions that touch have different nodes
 *   I5  reserved regions are of no node
 */
#include <tuxmm/memblock.h>

#include "base/base.h"

/* A range that no region of the list has; it lies before region[index]. */
struct gap {
	uint64_t start, end;
	uint32_t index;
};

static bool range_is_valid(tmm_paddr start, uint64_t size_bytes)
{
	return start.v + size_bytes >= start.v;
}

/* ---- one list ---- */

static void region_insert(struct tmm_region_list *list, uint32_t index, struct tmm_region new)
{
	memmove(&list->region[index + 1], &list->region[index],
	        (list->nr - index) * sizeof(new));
	list->region[index] = new;
	list->nr++;
}

static void regions_delete(struct tmm_region_list *list, uint32_t index, uint32_t nr)
{
	memmove(&list->region[index], &list->region[index + nr],
	        (list->nr - index - nr) * sizeof(list->region[0]));
	list->nr -= nr;
}

/* The first region that ends above the address, or list->nr. */
static uint32_t region_above(const struct tmm_region_list *list, uint64_t address)
{
	uint32_t low = 0, high = list->nr;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (list->region[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The lowest gap of [start, end); false when the list covers all of it. */
static bool gap_find(const struct tmm_region_list *list, uint64_t start, uint64_t end,
                     struct gap *gap)
{
	uint32_t i = region_above(list, start);

	for (; i < list->nr && list->region[i].start <= start; i++)
		start = list->region[i].end;
	if (start >= end)
		return false;
	gap->start = start;
	gap->end = i < list->nr ? min_u64(end, list->region[i].start) : end;
	gap->index = i;
	return true;
}

static bool gap_joins_left(const struct tmm_region_list *list, const struct gap *gap,
                           uint32_t node)
{
	const struct tmm_region *left = &list->region[gap->index] - 1;

	return gap->index > 0 && left->end == gap->start && left->node == node;
}

static bool gap_joins_right(const struct tmm_region_list *list, const struct gap *gap,
                            uint32_t node)
{
	const struct tmm_region *right = &list->region[gap->index];

	return gap->index < list->nr && right->start == gap->end && right->node == node;
}

static void gap_fill(struct tmm_region_list *list, const struct gap *gap, uint32_t node)
{
	struct tmm_region *right = &list->region[gap->index];
	bool joins_left = gap_joins_left(list, gap, node);
	bool joins_right = gap_joins_right(list, gap, node);

	if (joins_left && joins_right) {
		right[-1].end = right->end;
		regions_delete(list, gap->index, 1);
	} else if (joins_left) {
		right[-1].end = gap->end;
	} else if (joins_right) {
		right->start = gap->start;
	} else {
		region_insert(list, gap->index,
		              (struct tmm_region){gap->start, gap->end, node});
	}
}

/* Fill the gaps of [start, end) that join a neighbour, or those that do not. */
static void fill_gaps(struct tmm_region_list *list, uint64_t start, uint64_t end, uint32_t node,
                      bool joining)
{
	struct gap gap;

	for (; gap_find(list, start, end, &gap); start = gap.end) {
		if ((gap_joins_left(list, &gap, node) || gap_joins_right(list, &gap, node)) ==
		    joining)
			gap_fill(list, &gap, node);
	}
}

/* The list has all of [start, end) afterwards; what it had keeps its node. */
static tmm_err list_cover(struct tmm_region_list *list, uint64_t start, uint64_t end,
                          uint32_t node)
{
	uint32_t grows = 0, shrinks = 0;
	struct gap gap;

	for (uint64_t at = start; gap_find(list, at, end, &gap); at = gap.end) {
		bool joins_left = gap_joins_left(list, &gap, node);
		bool joins_right = gap_joins_right(list, &gap, node);

		grows += !joins_left && !joins_right;
		shrinks += joins_left && joins_right;
	}
	if (list->nr + grows > TMM_MEMBLOCK_MAX_REGIONS + shrinks)
		return TMM_E_NOSPC;
	/* Joins first: they make the room that the others may need. */
	fill_gaps(list, start, end, node, true);
	fill_gaps(list, start, end, node, false);
	return TMM_OK;
}

/* The list has nothing of [start, end) afterwards. */
static tmm_err list_cut(struct tmm_region_list *list, uint64_t start, uint64_t end)
{
	uint32_t first = region_above(list, start), last;
	struct tmm_region *region = &list->region[first];

	if (start >= end || first == list->nr)
		return TMM_OK;
	if (region->start < start && region->end > end) {
		struct tmm_region right = {end, region->end, region->node};

		if (list->nr == TMM_MEMBLOCK_MAX_REGIONS)
			return TMM_E_NOSPC;
		region->end = start;
		region_insert(list, first + 1, right);
		return TMM_OK;
	}
	if (region->start < start) {
		region->end = start;
		first++;
	}
	for (last = first; last < list->nr && list->region[last].end <= end; last++)
		;
	if (last < list->nr && list->region[last].start < end)
		list->region[last].start = end;
	regions_delete(list, first, last - first);
	return TMM_OK;
}

static uint64_t list_bytes(const struct tmm_region_list *list)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < list->nr; i++)
		bytes += list->region[i].end - list->region[i].start;
	return bytes;
}

/* ---- memory and reserved ---- */

void tmm_memblock_init(struct tmm_memblock *mb, void *ram)
{
	mb->memory.nr = 0;
	mb->reserved.nr = 0;
	mb->limit = UINT64_MAX;
	mb->bottom_up = false;
	mb->denied = false;
	mb->ram = ram;
}

tmm_err tmm_memblock_add(struct tmm_memblock *mb, tmm_paddr start, uint64_t size_bytes,
                         uint32_t node)
{
	if (!range_is_valid(start, size_bytes))
		return TMM_E_INVAL;
	return list_cover(&mb->memory, start.v, start.v + size_bytes, node);
}

tmm_err tmm_memblock_remove(struct tmm_memblock *mb, tmm_paddr start, uint64_t size_bytes)
{
	if (!range_is_valid(start, size_bytes))
		return TMM_E_INVAL;
	return list_cut(&mb->memory, start.v, start.v + size_bytes);
}

tmm_err tmm_memblock_reserve(struct tmm_memblock *mb, tmm_paddr start, uint64_t size_bytes)
{
	if (!range_is_valid(start, size_bytes))
		return TMM_E_INVAL;
	return list_cover(&mb->reserved, start.v, start.v + size_bytes, TMM_NODE_ANY);
}

tmm_err tmm_memblock_free(struct tmm_memblock *mb, tmm_paddr start, uint64_t size_bytes)
{
	if (!range_is_valid(start, size_bytes))
		return TMM_E_INVAL;
	return list_cut(&mb->reserved, start.v, start.v + size_bytes);
}

tmm_err tmm_memblock_trim(struct tmm_memblock *mb, tmm_paddr min, tmm_paddr max)
{
	tmm_err err;

	if (min.v > max.v)
		return TMM_E_INVAL;
	err = list_cut(&mb->memory, 0, min.v);
	return err ? err : list_cut(&mb->memory, max.v, UINT64_MAX);
}

uint64_t tmm_memblock_memory_bytes(const struct tmm_memblock *mb)
{
	return list_bytes(&mb->memory);
}

uint64_t tmm_memblock_reserved_bytes(const struct tmm_memblock *mb)
{
	return list_bytes(&mb->reserved);
}

uint64_t tmm_memblock_start(const struct tmm_memblock *mb)
{
	return mb->memory.nr ? mb->memory.region[0].start : 0;
}

uint64_t tmm_memblock_end(const struct tmm_memblock *mb)
{
	return mb->memory.nr ? mb->memory.region[mb->memory.nr - 1].end : 0;
}

bool tmm_memblock_next_free(const struct tmm_memblock *mb, uint64_t *cursor,
                            struct tmm_region *out)
{
	for (uint32_t i = region_above(&mb->memory, *cursor); i < mb->memory.nr; i++) {
		const struct tmm_region *memory = &mb->memory.region[i];
		struct gap gap;

		if (!gap_find(&mb->reserved, max_u64(memory->start, *cursor), memory->end,
		              &gap))
			continue;
		*out = (struct tmm_region){gap.start, gap.end, memory->node};
		*cursor = gap.end;
		return true;
	}
	return false;
}

/* ---- allocation ---- */

/* The free part of [low, high) that lies highest; false when there is none. */
static bool free_below(const struct tmm_region_list *reserved, uint64_t low, uint64_t high,
                       struct gap *gap)
{
	uint32_t i = reserved->nr;

	for (; i > 0 && reserved->region[i - 1].end >= high; i--)
		high = min_u64(high, reserved->region[i - 1].start);
	if (low >= high)
		return false;
	gap->start = i > 0 ? max_u64(low, reserved->region[i - 1].end) : low;
	gap->end = high;
	return true;
}

/* Where in one region the request fits, between low and high. */
static bool fits_top_down(const struct tmm_region_list *reserved, uint64_t low, uint64_t high,
                          uint64_t size_bytes, uint64_t align_bytes, uint64_t *out_start)
{
	struct gap gap;

	for (; free_below(reserved, low, high, &gap); high = gap.start) {
		if (gap.end - gap.start < size_bytes)
			continue;
		*out_start = align_down(gap.end - size_bytes, align_bytes);
		if (*out_start >= gap.start)
			return true;
	}
	return false;
}

static bool fits_bottom_up(const struct tmm_region_list *reserved, uint64_t low, uint64_t high,
                           uint64_t size_bytes, uint64_t align_bytes, uint64_t *out_start)
{
	struct gap gap;

	for (; gap_find(reserved, low, high, &gap); low = gap.end) {
		*out_start = align_up(gap.start, align_bytes);
		/* Below the gap's start: the alignment wrapped round. */
		if (*out_start >= gap.start && *out_start < gap.end &&
		    gap.end - *out_start >= size_bytes)
			return true;
	}
	return false;
}

static bool find_fit(const struct tmm_memblock *mb, const struct tmm_memblock_request *request,
                     uint32_t node, uint64_t *out_start)
{
	uint64_t align = request->align_bytes ? request->align_bytes : 1;
	uint64_t max = request->max ? min_u64(request->max, mb->limit) : mb->limit;

	for (uint32_t n = 0; n < mb->memory.nr; n++) {
		uint32_t i = mb->bottom_up ? n : mb->memory.nr - 1 - n;
		const struct tmm_region *region = &mb->memory.region[i];
		uint64_t low = max_u64(region->start, request->min);
		uint64_t high = min_u64(region->end, max);

		if (low >= high || (node != TMM_NODE_ANY && region->node != node))
			continue;
		if (mb->bottom_up ? fits_bottom_up(&mb->reserved, low, high,
		                                   request->size_bytes, align, out_start)
		                  : fits_top_down(&mb->reserved, low, high, request->size_bytes,
		                                  align, out_start))
			return true;
	}
	return false;
}

tmm_err tmm_memblock_alloc(struct tmm_memblock *mb, const struct tmm_memblock_request *request,
                           tmm_paddr *out_start)
{
	uint64_t start;
	tmm_err err;

	if (!request->size_bytes ||
	    (request->align_bytes && !is_power_of_two(request->align_bytes)))
		return TMM_E_INVAL;
	if (!tmm_port_allow("memblock")) {
		mb->denied = true;
		return TMM_E_NOMEM;
	}
	if (!find_fit(mb, request, request->node, &start) &&
	    (request->exact_node || request->node == TMM_NODE_ANY ||
	     !find_fit(mb, request, TMM_NODE_ANY, &start)))
		return TMM_E_NOMEM;
	err = tmm_memblock_reserve(mb, (tmm_paddr){start}, request->size_bytes);
	if (err)
		return err;
	if (mb->ram)
		memset((char *)mb->ram + start, 0, request->size_bytes);
	out_start->v = start;
	return TMM_OK;
}

/* ---- checks ---- */

static void list_check(const struct tmm_region_list *list)
{
	TMM_ASSERT(list->nr <= TMM_MEMBLOCK_MAX_REGIONS); /* I1 */
	for (uint32_t i = 0; i < list->nr; i++) {
		const struct tmm_region *region = &list->region[i];

		TMM_ASSERT(region->start < region->end); /* I2 */
		if (i == 0)
			continue;
		TMM_ASSERT(region[-1].end <= region->start); /* I3 */
		TMM_ASSERT(region[-1].end < region->start ||
		           region[-1].node != region->node); /* I4 */
	}
}

void tmm_memblock_check(const struct tmm_memblock *mb)
{
	list_check(&mb->memory);
	list_check(&mb->reserved);
	for (uint32_t i = 0; i < mb->reserved.nr; i++)
		TMM_ASSERT(mb->reserved.region[i].node == TMM_NODE_ANY); /* I5 */
}
