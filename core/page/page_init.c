/*
 * page_init.c - from memblock to zones
 *
 * The allocator's arrays come from memblock, which hands over the rest:
 *
 *   bits, info, stack   per 2 MiB block: 64 + 16 + 2 bytes
 *   block sets   per zone, 56 bits a block up to where it can end, on its node
 *   cpu          per CPU, on its node
 *   descriptors  32 bytes a frame: model.c
 *
 * Blocks are entered when they are needed: deferred.c.  A block without RAM has no
 * bits set and home HOME_MIXED | HOME_NO_RAM, or is never entered; both send every
 * question about its frames to memblock's lists.
 */
#include "page/account.h"
#include "page/carve.h"
#include "page/debug.h"
#include "page/deferred.h"
#include "page/stack.h"
#include "page/zonelist.h"

/* Where memory for arrays ends: on each node, and on whichever. */
struct array_ends {
	uint64_t on[TMM_MAX_NODES];
	uint64_t any;
};

/* As high as it can be, but not in memory that has no address or is to be MOVABLE. */
static struct array_ends array_ends(const struct tmm_pages *pages, uint64_t limit)
{
	uint64_t end = min_u64(limit, min_u64(pages->lowmem_end, MAX_PFN) << TMM_PAGE_SHIFT);
	struct array_ends ends = {.any = end};

	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		uint64_t movable_start = pages->node[n].movable_start << TMM_PAGE_SHIFT;

		ends.on[n] = movable_start ? min_u64(end, movable_start) : end;
		ends.any = min_u64(ends.any, ends.on[n]);
	}
	return ends;
}

/* With fewer blocks than types, parting them by type does harm. */
#define LEAST_FRAMES_WITH_TYPES (TMM_NR_MIGRATE_TYPES * BLOCK_FRAMES)

#define SETS_PER_ZONE           (NR_FILED_TYPES * NR_LONGEST)

/* What the sets say of 64 blocks fills lines that hold nothing else. */
#define SET_STRIDE (((uint32_t)SETS_PER_ZONE + 7) / 8 * 8)

static tmm_err take_sets_of(struct tmm_pages *pages, struct tmm_memblock *memblock,
                            unsigned node, uint64_t end, enum tmm_zone_id kind)
{
	struct zone *zone = &pages->zone[pages->node[node].zone_index[kind]];
	uint64_t indexes = map_index_end(&pages->map, carve_limit(pages, kind));
	uint64_t nr = (indexes + BLOCK_FRAMES - 1) >> BLOCK_ORDER;
	uint64_t nr_strips = (nr + 63) / 64, upper = block_set_words(nr) - nr_strips;
	uint64_t words = nr_strips * SET_STRIDE + upper * SETS_PER_ZONE;
	struct block_set *set = &zone->by_longest[0][0];
	void *array;
	uint64_t *lowest, *next;
	tmm_err err = boot_array_on(
		memblock, pages->ram, node, end,
		words * sizeof(*next) + nr_strips * sizeof(*zone->strip_cpu), 0, &array);

	if (err != TMM_OK)
		return err;
	lowest = array;
	next = lowest + nr_strips * SET_STRIDE;
	for (unsigned i = 0; i < SETS_PER_ZONE; i++, next += upper)
		block_set_init(&set[i], lowest + i, SET_STRIDE, next, nr);
	zone->nr_set_words = nr_strips;
	zone->strip_cpu = (uint16_t *)(void *)next;
	return TMM_OK;
}

static tmm_err take_sets(struct tmm_pages *pages, struct tmm_memblock *memblock,
                         const struct array_ends *ends)
{
	for (unsigned n = 0; n < pages->nr_nodes; n++) {
		for (unsigned kind = 0; kind < TMM_NR_ZONES; kind++) {
			uint8_t index = pages->node[n].zone_index[kind];
			tmm_err err = TMM_OK;

			if (index != ZONE_NONE)
				err = take_sets_of(pages, memblock, n, ends->on[n], kind);
			if (err != TMM_OK)
				return err;
		}
	}
	return TMM_OK;
}

static uint64_t cpu_bytes(uint32_t nr_zones)
{
	return align_up(sizeof(struct page_cpu) + (nr_zones + 1) * sizeof(struct cpu_zone),
	                TMM_PAGE_SIZE);
}

static tmm_err take_cpus(struct tmm_pages *pages, struct tmm_memblock *memblock,
                         const struct array_ends *ends)
{
	uint64_t bytes = cpu_bytes(pages->nr_zones);
	void *array;
	tmm_err err = boot_array(memblock, pages->ram, pages->cpus->nr * sizeof(*pages->cpu), 0,
	                         &array);

	if (err != TMM_OK)
		return err;
	pages->cpu = array;
	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		uint32_t node = pages->cpus->cpu[c].node;

		err = boot_array_on(memblock, pages->ram, node, ends->on[node], bytes, 0,
		                    &array);
		if (err != TMM_OK)
			return err;
		pages->cpu[c] = array;
		pages->cpus->cpu[c].frames = array;
	}
	return TMM_OK;
}

static tmm_err take_arrays(struct tmm_pages *pages, struct tmm_memblock *memblock,
                           const struct pages_config *config, const struct array_ends *ends)
{
	const struct map_request map = {.memblock = memblock,
	                                .ram = pages->ram,
	                                .first = pages->first_pfn,
	                                .nr_frames = pages->nr_frames,
	                                .model = config->memory_model,
	                                .section_bytes = config->section_bytes,
	                                .hotplug_end = config->hotplug_end >> TMM_PAGE_SHIFT,
	                                .part_shift = pages->part_shift,
	                                .end_on = ends->on};
	uint64_t first_section, end_section;
	void *array[6], *record;
	tmm_err err = map_init(&pages->map, &map);

	if (err != TMM_OK)
		return err;
	pages->part_shift = (unsigned)max_u64(pages->part_shift, pages->map.part_shift);
	pages->nr_parts = ((pages->first_pfn + pages->nr_frames - 1) >> pages->part_shift) + 1;
	first_section = pages->first_pfn >> pages->map.shift;
	end_section = ((pages->first_pfn + pages->nr_frames - 1) >> pages->map.shift) + 1;
	if (config->memory_model == TMM_MEMORY_SPARSE)
		pages->nr_places = end_section - first_section;
	const uint64_t size[6] = {
		nr_blocks(pages) * sizeof(*pages->bits),
		nr_blocks(pages) * sizeof(*pages->info),
		pages->nr_zones * sizeof(*pages->zone),
		pages->nr_parts,
		nr_blocks(pages) * sizeof(*pages->stack),
		max_u64(pages->nr_places, 1),
	};

	for (unsigned i = 0; i < ARRAY_SIZE(array); i++) {
		err = boot_array(memblock, pages->ram, size[i], 0, &array[i]);
		if (err != TMM_OK)
			return err;
	}
	pages->bits = array[0];
	pages->info = array[1];
	pages->zone = array[2];
	pages->part = array[3];
	pages->stack = array[4];
	pages->place = pages->nr_places ? array[5] : NULL;
	if (pages->debug) {
		err = boot_array(memblock, pages->ram,
		                 pages->map.nr_indexes * sizeof(*pages->record), 0, &record);
		if (err != TMM_OK)
			return err;
		pages->record = record;
	}
	err = take_cpus(pages, memblock, ends);
	return err ? err : take_sets(pages, memblock, ends);
}

/* Zones that such a machine has, unless nodes share the lowest addresses. */
static uint32_t usual_zones(const struct pages_config *config)
{
	uint32_t nr_nodes = config->nr_nodes ? config->nr_nodes : 1;
	bool movable = config->kernelcore_bytes || config->movablecore_bytes;

	bool plugged = config->memory_model == TMM_MEMORY_SPARSE && config->hotplug_end;

	return 2 + nr_nodes * (1u + (movable || plugged) + 2u * plugged);
}

/* What frames within span_bytes are rounded up to in runs of 2^order, cut at both ends. */
static uint64_t most_frames(uint64_t span_bytes, unsigned order)
{
	return ((span_bytes >> (order + TMM_PAGE_SHIFT)) + 2) << order;
}

uint64_t pages_array_bytes(const struct pages_config *config, uint32_t nr_cpus,
                           uint64_t span_bytes)
{
	unsigned order = (unsigned)max_u64(config->max_order, BLOCK_ORDER + 1);
	uint64_t described = most_frames(span_bytes, order), kept = described, tables = 0;
	uint32_t nr_zones = usual_zones(config);
	uint64_t nr_sections = 0;

	if (config->memory_model == TMM_MEMORY_SPARSE) {
		described = most_frames(span_bytes, map_section_order(config->section_bytes));
		order = map_part_order(config->section_bytes, order);
		nr_sections = max_u64(span_bytes, config->hotplug_end) >>
		              (map_section_order(config->section_bytes) + TMM_PAGE_SHIFT);
		kept = most_frames(max_u64(span_bytes, config->hotplug_end), order);
		tables = map_table_bytes(config->section_bytes, order, kept);
	}
	/* Each array may cut a page. */
	return described * sizeof(struct page) + tables + kept / BLOCK_FRAMES * BLOCK_BYTES +
	       (config->debug ? kept * sizeof(struct frame_record) : 0) +
	       block_set_words(kept / BLOCK_FRAMES) * nr_zones * (SET_STRIDE + 1) *
	               sizeof(uint64_t) +
	       nr_zones * sizeof(struct zone) + nr_sections +
	       nr_cpus * (cpu_bytes(nr_zones) + sizeof(void *)) + 8 * TMM_PAGE_SIZE;
}

/* Is [start, end) in one region, or clear of all?  Lists are sorted, so stop early. */
static bool inside_one(const struct tmm_region_list *list, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < list->nr && list->region[i].start <= start; i++)
		if (end <= list->region[i].end)
			return true;
	return false;
}

static bool clear_of_all(const struct tmm_region_list *list, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < list->nr && list->region[i].start < end; i++)
		if (start < list->region[i].end)
			return false;
	return true;
}

bool ram_is_one_region(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	return inside_one(&pages->memblock->memory, pfn << TMM_PAGE_SHIFT,
	                  (pfn + nr) << TMM_PAGE_SHIFT);
}

bool run_is_one_region(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	bool is;

	lock_take(pages->ram_lock);
	is = ram_is_one_region(pages, pfn, nr);
	lock_drop(pages->ram_lock);
	return is;
}

bool run_is_ram(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	for (uint64_t p = pfn; p < pfn + nr; p++)
		if (!run_is_one_region(pages, p, 1))
			return false;
	return true;
}

bool run_is_managed(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	bool clear;

	if (!run_is_ram(pages, pfn, nr))
		return false;
	lock_take(pages->ram_lock);
	clear = clear_of_all(&pages->memblock->reserved, pfn << TMM_PAGE_SHIFT,
	                     (pfn + nr) << TMM_PAGE_SHIFT);
	lock_drop(pages->ram_lock);
	return clear;
}

/* All RAM starts as movable: what does not move claims what it needs. */
static void set_types(struct tmm_pages *pages)
{
	uint64_t bytes = tmm_memblock_memory_bytes(pages->memblock) -
	                 tmm_memblock_reserved_bytes(pages->memblock);

	pages->type_mask = bytes >> TMM_PAGE_SHIFT < LEAST_FRAMES_WITH_TYPES && !pages->nr_cma
	                           ? 0
	                           : 3;
	pages->first_type = pages->type_mask ? TMM_MIGRATE_MOVABLE : TMM_MIGRATE_UNMOVABLE;
}

static bool set_span(struct tmm_pages *pages, uint64_t hotplug_end)
{
	/* Whole longest runs, so that the index of a block tells which one is its buddy. */
	const uint64_t run = UINT64_C(1)
	                     << (max_u64(pages->max_order, BLOCK_ORDER + 1) + TMM_PAGE_SHIFT);
	uint64_t end = max_u64(tmm_memblock_end(pages->memblock), hotplug_end);

	if (tmm_memblock_end(pages->memblock) == 0 || end >> TMM_PAGE_SHIFT > MAX_PFN)
		return false;
	pages->first_pfn = align_down(tmm_memblock_start(pages->memblock), run) >>
	                   TMM_PAGE_SHIFT;
	pages->nr_frames = (align_up(end, run) >> TMM_PAGE_SHIFT) - pages->first_pfn;
	pages->part_shift = (unsigned)max_u64(pages->max_order, PART_ORDER_LEAST);
	return true;
}

tmm_err pages_init(struct tmm_pages *pages, struct tmm_memblock *memblock,
                   const struct pages_config *config)
{
	uint64_t lowmem_bytes = config->lowmem_bytes, limit = memblock->limit;
	struct array_ends ends;
	tmm_err err;

	*pages = (struct tmm_pages){
		.ram = config->ram,
		.cpus = config->cpus,
		.memblock = memblock,
		.lowmem_end = lowmem_bytes ? lowmem_bytes >> TMM_PAGE_SHIFT : UINT64_MAX,
		.max_order = config->max_order ? config->max_order : TMM_DEFAULT_ORDER,
		.nr_nodes = config->nr_nodes ? config->nr_nodes : 1,
		.min_free_kbytes = config->min_free_kbytes,
		.watermark_scale_factor = config->watermark_scale_factor,
		.debug = config->debug,
		.stack_high_pages = config->stack_high_pages,
		.stack_batch_pages = config->stack_batch_pages,
	};
	pages->ram_lock = &pages->ram_lock_here;
	lock_init(pages->ram_lock, RANK_RAM);
	lock_init(&pages->stop_lock, RANK_STACKS);
	accounts_init(pages);
	if (!set_span(pages, config->hotplug_end))
		return TMM_E_INVAL;
	err = carve_nodes(pages, config);
	if (err)
		return err;
	ends = array_ends(pages, limit);
	memblock->limit = ends.any;
	err = cma_reserve(pages, memblock, config);
	if (err == TMM_OK)
		err = take_arrays(pages, memblock, config, &ends);
	memblock->limit = limit;
	if (err)
		return err;
	cma_unreserve(pages, memblock);
	carve_zones(pages);
	set_types(pages);
	deferred_init(pages);
	err = cma_activate(pages);
	if (err)
		return err;
	watermarks_init(pages);
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		stacks_init(pages, pages->cpu[c]);
	zonelists_init(pages, config->distance);
	pages->exit_hook = (struct cpu_exit_hook){.run = stacks_leave, .arg = pages};
	cpu_exit_hook_add(pages->cpus, &pages->exit_hook);
	return TMM_OK;
}

void pages_fini(struct tmm_pages *pages)
{
	bool every_frame_is_back;

	accounts_fini(pages);
	every_frame_is_back = tmm_pages_free_count(pages) == pages->managed;
	TMM_ASSERT(every_frame_is_back);
	cpu_exit_hook_remove(pages->cpus, &pages->exit_hook);
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		pages->cpus->cpu[c].frames = NULL;
	*pages = (struct tmm_pages){0};
}
