/*
 * carve.c - which frames make which zone
 *
 * A zone is the frames of one kind of one node.  The kind follows from the
 * frame's number, except for MOVABLE, which is the end of a node's share of the
 * highest zone: kernelcore= and movablecore= say how much of the machine stays
 * for all uses.  That amount is spread evenly over the nodes; what a node has in
 * lower zones counts first, and what a small node cannot take goes to the others.
 *
 * Zones that have frames, or may get some by hot-plug, are numbered densely, node by
 * node and low to high, so that a byte per block names its zone.
 *   I1  a block (2 MiB) lies in one zone
 */
#include "page/carve.h"

#define DMA_END   (UINT64_C(16) << (20 - TMM_PAGE_SHIFT))
#define DMA32_END (UINT64_C(4) << (30 - TMM_PAGE_SHIFT))

static bool has_highmem(const struct tmm_pages *pages)
{
	return pages->lowmem_end != UINT64_MAX;
}

bool tmm_zone_exists(const struct tmm_pages *pages, enum tmm_zone_id zone)
{
	return zone != (has_highmem(pages) ? TMM_ZONE_DMA32 : TMM_ZONE_HIGHMEM);
}

enum tmm_zone_id zone_by_pfn(const struct tmm_pages *pages, uint64_t pfn)
{
	if (pfn < DMA_END)
		return TMM_ZONE_DMA;
	if (has_highmem(pages))
		return pfn < pages->lowmem_end ? TMM_ZONE_NORMAL : TMM_ZONE_HIGHMEM;
	return pfn < DMA32_END ? TMM_ZONE_DMA32 : TMM_ZONE_NORMAL;
}

bool region_to_frames(const struct tmm_region *region, uint64_t *start, uint64_t *end)
{
	*start = align_up(region->start, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT;
	*end = region->end >> TMM_PAGE_SHIFT;
	return *start < *end;
}

/* The first frame behind pfn where another kind may begin, or end. */
static uint64_t kind_end(const struct tmm_pages *pages, unsigned node, uint64_t pfn,
                         uint64_t end)
{
	const uint64_t borders[] = {DMA_END, has_highmem(pages) ? pages->lowmem_end : DMA32_END,
	                            pages->node[node].movable_start};

	for (unsigned i = 0; i < ARRAY_SIZE(borders); i++)
		if (borders[i] > pfn && borders[i] < end)
			end = borders[i];
	return end;
}

/* Sections that were put into MOVABLE, which a piece has none of or consists of. */
static void choose_by_place(const struct tmm_pages *pages, struct piece *piece)
{
	unsigned shift = pages->map.shift;
	uint64_t first = pages->first_pfn >> shift, section = piece->start >> shift;
	unsigned movable;

	if (!pages->place)
		return;
	movable = pages->place[section - first] & PLACE_MOVABLE;
	if (movable)
		piece->kind = TMM_ZONE_MOVABLE;
	while (++section << shift < piece->end)
		if ((pages->place[section - first] & PLACE_MOVABLE) != movable)
			piece->end = section << shift;
}

bool carve_next(const struct tmm_pages *pages, struct carve_cursor *cursor, struct piece *out)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;

	for (; cursor->region < memory->nr; cursor->region++, cursor->pfn = 0) {
		const struct tmm_region *region = &memory->region[cursor->region];
		uint64_t start, end;

		if (!region_to_frames(region, &start, &end))
			continue;
		start = max_u64(start, cursor->pfn);
		if (start >= end)
			continue;
		out->node = region->node;
		out->start = start;
		out->end = kind_end(pages, region->node, start, end);
		out->kind = zone_by_pfn(pages, start);
		if (pages->node[region->node].movable_start &&
		    start >= pages->node[region->node].movable_start)
			out->kind = TMM_ZONE_MOVABLE;
		choose_by_place(pages, out);
		cursor->pfn = out->end;
		return true;
	}
	return false;
}

/* ---- MOVABLE ---- */

/* The kind whose end becomes MOVABLE: the highest that is there. */
static enum tmm_zone_id highest_kind(const struct tmm_pages *pages)
{
	enum tmm_zone_id highest = TMM_ZONE_DMA;
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	while (carve_next(pages, &cursor, &piece))
		highest = (enum tmm_zone_id)max_u64(highest, piece.kind);
	return highest;
}

static uint64_t kind_start(const struct tmm_pages *pages, enum tmm_zone_id kind)
{
	switch (kind) {
	case TMM_ZONE_DMA:
		return 0;
	case TMM_ZONE_DMA32:
		return DMA_END;
	case TMM_ZONE_HIGHMEM:
		return pages->lowmem_end;
	default:
		return has_highmem(pages) ? DMA_END : DMA32_END;
	}
}

/* How far down the frames for all uses reach, while they are being spread. */
struct spread {
	uint64_t usable_start; /* frames below cannot be MOVABLE */
	uint64_t wanted;       /* frames for all uses still to be found, on all nodes */
	uint64_t upto[TMM_MAX_NODES];
};

/*
 * Let `node` have up to `share` frames more.  Frames that cannot be MOVABLE are for
 * all uses anyway: they count, all of them, whether they fill the share or not.
 */
static void spread_on(const struct tmm_pages *pages, struct spread *spread, unsigned node,
                      uint64_t share)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;

	for (uint32_t i = 0; i < memory->nr; i++) {
		uint64_t start, end, taken;

		if (memory->region[i].node != node ||
		    !region_to_frames(&memory->region[i], &start, &end))
			continue;
		start = max_u64(start, spread->upto[node]);
		if (start < end && start < spread->usable_start) {
			taken = min_u64(end, spread->usable_start) - start;
			share -= min_u64(share, taken);
			spread->wanted -= min_u64(spread->wanted, taken);
			start += taken;
			spread->upto[node] = start;
		}
		if (start >= end)
			continue;
		taken = min_u64(end - start, share);
		spread->upto[node] = start + taken;
		spread->wanted -= min_u64(spread->wanted, taken);
		share -= taken;
		if (!share)
			break;
	}
}

static void carve_movable(struct tmm_pages *pages, uint64_t kernelcore, uint64_t movablecore,
                          uint64_t align)
{
	struct spread spread = {.usable_start = kind_start(pages, highest_kind(pages))};
	uint64_t total = 0;
	unsigned nr_usable = 0;

	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		total += pages->node[n].present;
		nr_usable += pages->node[n].present != 0;
	}
	if (movablecore)
		kernelcore = max_u64(kernelcore,
		                     total - min_u64(total, align_up(movablecore, align)));
	if (!kernelcore || kernelcore >= total)
		return;
	spread.wanted = kernelcore;
	for (; nr_usable && spread.wanted > nr_usable; nr_usable--) {
		uint64_t share = spread.wanted / nr_usable;

		for (unsigned n = 0; n < pages->nr_nodes; n++) {
			if (!pages->node[n].present)
				continue;
			if (spread.wanted < share)
				share = spread.wanted / nr_usable;
			spread_on(pages, &spread, n, share);
		}
	}
	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		uint64_t start = align_up(max_u64(spread.upto[n], spread.usable_start), align);

		if (start < pages->node[n].end)
			pages->node[n].movable_start = start;
	}
}

/* ---- nodes, zones ---- */

/* False when two nodes share a block. */
static bool find_nodes(struct tmm_pages *pages)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;
	uint64_t block_end = 0;
	uint32_t last = 0;

	for (uint32_t i = 0; i < memory->nr; i++) {
		struct page_node *node;
		uint64_t start, end;

		if (!region_to_frames(&memory->region[i], &start, &end))
			continue;
		if (memory->region[i].node >= pages->nr_nodes ||
		    (start < block_end && memory->region[i].node != last))
			return false; /* I1 */
		last = memory->region[i].node;
		block_end = align_up(end, BLOCK_FRAMES);
		node = &pages->node[last];
		if (!node->present)
			node->start = start;
		node->end = end;
		node->present += end - start;
	}
	return true;
}

/* ---- zones that have no frames yet ---- */

/* Every node may be given sections that lie in [start, end). */
static void expect_sections(struct tmm_pages *pages, uint64_t start, uint64_t end,
                            uint64_t section)
{
	start = align_up(start, section);
	end = align_down(end, section);
	if (start >= end)
		return;
	for (unsigned kind = zone_by_pfn(pages, start);
	     kind <= (unsigned)zone_by_pfn(pages, end - 1); kind++)
		for (unsigned n = 0; n < pages->nr_nodes; n++)
			if (tmm_zone_exists(pages, (enum tmm_zone_id)kind))
				pages->node[n].zone_index[kind] = 0;
}

/* Between regions, and from the last one to where hot-plug ends. */
static void expect_hotplug(struct tmm_pages *pages, uint64_t section, uint64_t end)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;
	uint64_t from = 0;

	for (uint32_t i = 0; i < memory->nr; i++) {
		expect_sections(pages, from,
		                min_u64(memory->region[i].start >> TMM_PAGE_SHIFT, end),
		                section);
		from = align_up(memory->region[i].end, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT;
	}
	expect_sections(pages, from, end, section);
	/* Any block may be wished to be MOVABLE. */
	for (unsigned n = 0; n < pages->nr_nodes; n++)
		pages->node[n].zone_index[TMM_ZONE_MOVABLE] = 0;
}

tmm_err carve_nodes(struct tmm_pages *pages, const struct pages_config *config)
{
	const uint64_t align = max_u64(UINT64_C(1) << pages->max_order, 2 * BLOCK_FRAMES);
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	if (!find_nodes(pages))
		return TMM_E_INVAL;
	carve_movable(
		pages, align_up(config->kernelcore_bytes, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT,
		align_up(config->movablecore_bytes, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT, align);
	for (unsigned n = 0; n < TMM_MAX_NODES; n++)
		memset(pages->node[n].zone_index, ZONE_NONE, sizeof(pages->node[n].zone_index));
	while (carve_next(pages, &cursor, &piece))
		pages->node[piece.node].zone_index[piece.kind] = 0;
	if (config->memory_model == TMM_MEMORY_SPARSE && config->hotplug_end)
		expect_hotplug(
			pages,
			(config->section_bytes ? config->section_bytes : TMM_SECTION_BYTES) >>
				TMM_PAGE_SHIFT,
			config->hotplug_end >> TMM_PAGE_SHIFT);
	for (unsigned n = 0; n < pages->nr_nodes; n++)
		for (unsigned kind = 0; kind < TMM_NR_ZONES; kind++)
			if (pages->node[n].zone_index[kind] != ZONE_NONE)
				pages->node[n].zone_index[kind] = (uint8_t)pages->nr_zones++;
	return pages->nr_zones <= MAX_ZONES ? TMM_OK : TMM_E_INVAL;
}

uint64_t carve_limit(const struct tmm_pages *pages, enum tmm_zone_id kind)
{
	uint64_t end = pages->first_pfn + pages->nr_frames;

	if (kind == TMM_ZONE_DMA)
		return min_u64(DMA_END, end);
	if (kind == TMM_ZONE_DMA32)
		return min_u64(DMA32_END, end);
	return kind == TMM_ZONE_NORMAL ? min_u64(pages->lowmem_end, end) : end;
}

void carve_zones(struct tmm_pages *pages)
{
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		for (unsigned kind = 0; kind < TMM_NR_ZONES; kind++) {
			uint8_t index = pages->node[n].zone_index[kind];
			struct zone *zone = &pages->zone[index];

			if (index == ZONE_NONE)
				continue;
			lock_init(&zone->lock, RANK_ZONE);
			zone->id = (enum tmm_zone_id)kind;
			zone->node = (uint8_t)n;
			zone->index = index;
		}
	}
	while (carve_next(pages, &cursor, &piece)) {
		uint8_t index = pages->node[piece.node].zone_index[piece.kind];
		struct zone *zone = &pages->zone[index];

		if (zone->present == 0)
			zone->start = piece.start;
		zone->end = piece.end;
		zone->present += piece.end - piece.start;
	}
}
