/*
 * model_cost.c - what each memory model takes for the same memory
 *
 * Counted from memblock's list of memory by the rules of model.c; a test holds
 * the two together.
 */
#include "base/print.h"
#include "page/model.h"

/* Frames as whole blocks, which is what arrays begin and end with. */
static uint64_t first_block_frame(uint64_t start)
{
	return align_down(start >> TMM_PAGE_SHIFT, BLOCK_FRAMES);
}

static uint64_t last_block_frame(uint64_t end)
{
	return align_up((end + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT, BLOCK_FRAMES);
}

/* Bits and facts of blocks: of all from the first to the last, or of so many frames. */
static void cost_blocks(uint64_t frames, struct tmm_model_cost *cost)
{
	cost->block_bytes = frames / BLOCK_FRAMES * BLOCK_BYTES;
}

static uint64_t span_frames(const struct tmm_memblock *mb)
{
	/* Whole pairs of blocks: the longest run of Linux's default order. */
	return align_up(last_block_frame(tmm_memblock_end(mb)), 2 * BLOCK_FRAMES) -
	       align_down(first_block_frame(tmm_memblock_start(mb)), 2 * BLOCK_FRAMES);
}

static void cost_flat(const struct tmm_memblock *mb, struct tmm_model_cost *cost)
{
	cost->nr_arrays = 1;
	cost->nr_entries = span_frames(mb);
	cost_blocks(cost->nr_entries, cost);
}

static void cost_nodes(const struct tmm_memblock *mb, struct tmm_model_cost *cost)
{
	unsigned shift = node_chunk_shift(mb) + TMM_PAGE_SHIFT;
	uint64_t start[TMM_MAX_NODES], end[TMM_MAX_NODES] = {0};

	for (uint32_t i = 0; i < mb->memory.nr; i++) {
		const struct tmm_region *region = &mb->memory.region[i];

		if (!end[region->node])
			start[region->node] = first_block_frame(region->start);
		end[region->node] = last_block_frame(region->end);
	}
	for (unsigned n = 0; n < TMM_MAX_NODES; n++) {
		if (!end[n])
			continue;
		cost->nr_arrays++;
		cost->nr_entries += end[n] - start[n];
	}
	cost->table_bytes = (((tmm_memblock_end(mb) - 1) >> shift) + 1) * sizeof(uintptr_t);
	cost_blocks(span_frames(mb), cost);
}

/* Pieces of the address space, of a length each, that have memory. */
static uint64_t count_pieces(const struct tmm_memblock *mb, uint64_t piece_bytes)
{
	uint64_t next = 0, nr = 0; /* next: the first that was not looked at */

	for (uint32_t i = 0; i < mb->memory.nr; i++) {
		uint64_t first = max_u64(mb->memory.region[i].start / piece_bytes, next);

		next = max_u64((mb->memory.region[i].end - 1) / piece_bytes + 1, next);
		nr += next - first;
	}
	return nr;
}

static void cost_sections(const struct tmm_memblock *mb, uint64_t section_bytes,
                          struct tmm_model_cost *cost)
{
	uint64_t last = tmm_memblock_end(mb) - 1;
	uint64_t frames = section_bytes >> TMM_PAGE_SHIFT;
	uint64_t array_bytes = frames * sizeof(struct page);
	uint64_t part_bytes = max_u64(array_bytes, TMM_PAGE_SIZE << PART_ORDER_LEAST);
	uint64_t nr_parts = count_pieces(mb, part_bytes);

	cost->nr_arrays = count_pieces(mb, section_bytes);
	cost->nr_entries = cost->nr_arrays * frames;
	cost->table_bytes = (last / section_bytes + 1) * sizeof(uintptr_t) +
	                    (last / part_bytes + 1) * sizeof(uint64_t) +
	                    nr_parts * (1 + part_bytes / array_bytes) * sizeof(uint32_t);
	cost_blocks(nr_parts * (part_bytes >> TMM_PAGE_SHIFT), cost);
}

tmm_err tmm_model_cost(const struct tmm_memblock *mb, enum tmm_memory_model model,
                       uint64_t section_bytes, struct tmm_model_cost *out_cost)
{
	struct tmm_model_cost cost = {0};
	uint64_t ram = 0;

	section_bytes = section_bytes ? section_bytes : TMM_SECTION_BYTES;
	if (model > TMM_MEMORY_SPARSE || !is_power_of_two(section_bytes) ||
	    section_bytes < TMM_SECTION_BYTES_LEAST)
		return TMM_E_INVAL;
	if (mb->memory.nr) {
		if (model == TMM_MEMORY_FLAT)
			cost_flat(mb, &cost);
		else if (model == TMM_MEMORY_DISCONTIGUOUS)
			cost_nodes(mb, &cost);
		else
			cost_sections(mb, section_bytes, &cost);
	}
	for (uint32_t i = 0; i < mb->memory.nr; i++)
		ram += (mb->memory.region[i].end >> TMM_PAGE_SHIFT) -
		       (align_up(mb->memory.region[i].start, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT);
	cost.hole_entries = cost.nr_entries - ram;
	cost.map_bytes = cost.nr_entries * sizeof(struct page);
	*out_cost = cost;
	return TMM_OK;
}

tmm_err tmm_model_show(const struct tmm_memblock *mb, uint64_t section_bytes,
                       const struct tmm_sink *sink)
{
	static const char *const name[] = {"flat", "discontiguous", "sparse"};
	struct tmm_model_cost cost[ARRAY_SIZE(name)];
	struct printer printer;

	for (unsigned m = 0; m < ARRAY_SIZE(name); m++) {
		tmm_err err = tmm_model_cost(mb, (enum tmm_memory_model)m, section_bytes,
		                             &cost[m]);

		if (err != TMM_OK)
			return err;
	}
	print_begin(&printer, sink);
	print(&printer, "model          arrays      entries     of holes    map kB  table kB  "
	                "block kB\n");
	for (unsigned m = 0; m < ARRAY_SIZE(name); m++)
		print(&printer, "%-13s %7llu %12llu %12llu %9llu %9llu %9llu\n", name[m],
		      (unsigned long long)cost[m].nr_arrays,
		      (unsigned long long)cost[m].nr_entries,
		      (unsigned long long)cost[m].hole_entries,
		      (unsigned long long)(cost[m].map_bytes >> 10),
		      (unsigned long long)((cost[m].table_bytes + 1023) >> 10),
		      (unsigned long long)((cost[m].block_bytes + 1023) >> 10));
	print_end(&printer);
	return TMM_OK;
}
