/*
 * model.c - the arrays of descriptors
 *
 *   FLAT           flat[frame - first]
 *   DISCONTIGUOUS  base[chunk of the frame] + frame; a chunk is the largest power
 *                  of two that keeps nodes apart, so that few entries do
 *   SPARSE         base[section of the frame] + frame
 *
 * A node's array, or that of a section of it, lies in its own memory where that has
 * room.
 *
 * The way back: a descriptor in a node's array is found by comparing with at most
 * TMM_MAX_NODES arrays.  A section's array is aligned to its own length, so that
 * section_of[place of the descriptor / length] names the section.  A number kept
 * in each descriptor would do as well, but would have to be written into all of
 * them at boot; these are zeroes until the frame is used, and owners of frames may
 * assign them as a whole.
 *
 * With the sections come indexes: frames are numbered anew, without the parts of the
 * address space where there is no RAM and none may be added, so that bits, facts and
 * sets of blocks are not kept for those.  Indexes rise with frame numbers, and a part is
 * as long as the longest run or array at least, so that both lie in one.
 */
#include "page/model.h"

#define PAGES_OF_ARRAY(frames) ((frames) * sizeof(struct page))

static tmm_err take_array(struct tmm_memblock *memblock, void *ram,
                          const struct tmm_memblock_request *request, void **out)
{
	void *clear = memblock->ram;
	tmm_paddr start;
	tmm_err err;

	/* It reads as zeroes already; clearing would make the host back all of it. */
	memblock->ram = NULL;
	err = tmm_memblock_alloc(memblock, request, &start);
	memblock->ram = clear;
	if (err == TMM_OK)
		*out = (char *)ram + start.v;
	return err;
}

tmm_err boot_array(struct tmm_memblock *memblock, void *ram, uint64_t size_bytes,
                   uint64_t align_bytes, void **out)
{
	const struct tmm_memblock_request request = {
		.size_bytes = align_up(size_bytes, TMM_PAGE_SIZE),
		.align_bytes = max_u64(align_bytes, TMM_PAGE_SIZE),
		.node = TMM_NODE_ANY};

	return take_array(memblock, ram, &request, out);
}

tmm_err boot_array_on(struct tmm_memblock *memblock, void *ram, uint32_t node, uint64_t end,
                      uint64_t size_bytes, uint64_t align_bytes, void **out)
{
	const struct tmm_memblock_request request = {
		.size_bytes = align_up(size_bytes, TMM_PAGE_SIZE),
		.align_bytes = max_u64(align_bytes, TMM_PAGE_SIZE),
		.node = node,
		.exact_node = true};
	uint64_t limit = memblock->limit;
	tmm_err err;

	memblock->limit = end ? end : limit;
	err = take_array(memblock, ram, &request, out);
	memblock->limit = limit;
	if (err == TMM_E_NOMEM && !memblock->denied)
		err = boot_array(memblock, ram, size_bytes, align_bytes, out);
	return err;
}

static uintptr_t base_of(const struct page *array, uint64_t first)
{
	return (uintptr_t)array - (uintptr_t)PAGES_OF_ARRAY(first);
}

/* The descriptors of so many frames come, or go. */
static void count_array(struct memory_map *map, int sign, uint64_t nr_frames)
{
	uint64_t pages = align_up(PAGES_OF_ARRAY(nr_frames), TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT;

	/* relaxed: hot-plug is one at a time, and others only print it */
	__atomic_store_n(&map->array_pages, map->array_pages + (uint64_t)sign * pages,
	                 __ATOMIC_RELAXED);
}

/* The descriptors of so many frames of a node. */
static tmm_err take_pages(const struct map_request *request, uint32_t node, uint64_t nr_frames,
                          uint64_t align_bytes, struct page **out)
{
	uint64_t end = request->end_on ? request->end_on[node] : 0;
	void *array;
	tmm_err err = boot_array_on(request->memblock, request->ram, node, end,
	                            PAGES_OF_ARRAY(nr_frames), align_bytes, &array);

	if (err == TMM_OK)
		*out = array;
	return err;
}

static tmm_err take_bases(struct memory_map *map, const struct map_request *request)
{
	void *array;
	tmm_err err;

	map->nr_bases = ((map->first + map->nr_frames - 1) >> map->shift) + 1;
	err = boot_array(request->memblock, request->ram, map->nr_bases * sizeof(*map->base), 0,
	                 &array);
	if (err == TMM_OK)
		map->base = array;
	return err;
}

/* One array for all nodes is on whichever has room. */
static tmm_err init_flat(struct memory_map *map, const struct map_request *request)
{
	void *array;
	tmm_err err = boot_array(request->memblock, request->ram,
	                         PAGES_OF_ARRAY(map->nr_frames), 0, &array);

	if (err != TMM_OK)
		return err;
	map->flat = array;
	count_array(map, 1, map->nr_frames);
	return TMM_OK;
}

/* ---- DISCONTIGUOUS ---- */

unsigned node_chunk_shift(const struct tmm_memblock *memblock)
{
	const struct tmm_region_list *memory = &memblock->memory;
	unsigned shift = 63 - TMM_PAGE_SHIFT;

	for (uint32_t i = 1; i < memory->nr; i++) {
		if (memory->region[i].node == memory->region[i - 1].node)
			continue;
		while (shift > BLOCK_ORDER &&
		       (memory->region[i - 1].end - 1) >> (shift + TMM_PAGE_SHIFT) ==
		               memory->region[i].start >> (shift + TMM_PAGE_SHIFT))
			shift--;
	}
	return shift;
}

static void find_nodes(struct memory_map *map, const struct tmm_memblock *memblock)
{
	const uint64_t block = UINT64_C(1) << (BLOCK_ORDER + TMM_PAGE_SHIFT);

	for (uint32_t i = 0; i < memblock->memory.nr; i++) {
		const struct tmm_region *region = &memblock->memory.region[i];
		struct node_map *node = &map->node[region->node];

		if (node->start == node->end)
			node->start = align_down(region->start, block) >> TMM_PAGE_SHIFT;
		node->end = align_up(region->end, block) >> TMM_PAGE_SHIFT;
	}
}

static tmm_err init_nodes(struct memory_map *map, const struct map_request *request)
{
	const struct tmm_region_list *memory = &request->memblock->memory;
	tmm_err err;

	map->shift = node_chunk_shift(request->memblock);
	err = take_bases(map, request);
	if (err != TMM_OK)
		return err;
	find_nodes(map, request->memblock);
	for (unsigned n = 0; n < TMM_MAX_NODES; n++) {
		struct node_map *node = &map->node[n];

		if (node->start == node->end)
			continue;
		err = take_pages(request, n, node->end - node->start, 0, &node->page);
		if (err != TMM_OK)
			return err;
		count_array(map, 1, node->end - node->start);
	}
	for (uint32_t i = 0; i < memory->nr; i++) {
		const struct tmm_region *region = &memory->region[i];
		const struct node_map *node = &map->node[region->node];

		for (uint64_t chunk = region->start >> (map->shift + TMM_PAGE_SHIFT);
		     chunk <= (region->end - 1) >> (map->shift + TMM_PAGE_SHIFT); chunk++)
			map->base[chunk] = base_of(node->page, node->start);
	}
	return TMM_OK;
}

/* ---- SPARSE ---- */

static struct page *section_array(const struct memory_map *map, uint64_t section)
{
	return (struct page *)(map->base[section] +
	                       (uintptr_t)PAGES_OF_ARRAY(section << map->shift));
}

static uint32_t *place_of(const struct memory_map *map, const struct page *page)
{
	uint64_t pfn = ((uintptr_t)page - map->ram) >> TMM_PAGE_SHIFT;

	return &map->section_of[map_index(map, pfn) >> (map->array_shift - TMM_PAGE_SHIFT)];
}

void map_set_section(struct memory_map *map, uint64_t section, struct page *array)
{
	*place_of(map, array) = (uint32_t)section;
	count_array(map, 1, UINT64_C(1) << map->shift);
	/* release: whoever finds the array finds it cleared */
	__atomic_store_n(&map->base[section], base_of(array, section << map->shift),
	                 __ATOMIC_RELEASE);
}

void map_clear_section(struct memory_map *map, uint64_t section)
{
	count_array(map, -1, UINT64_C(1) << map->shift);
	/* relaxed: nobody has a frame of the section any more */
	__atomic_store_n(&map->base[section], 0, __ATOMIC_RELAXED);
}

uint64_t map_section_frame(const struct memory_map *map, uint64_t section)
{
	return ((uintptr_t)section_array(map, section) - map->ram) >> TMM_PAGE_SHIFT;
}

static tmm_err init_section(struct memory_map *map, const struct map_request *request,
                            uint64_t section, uint32_t node)
{
	uint64_t array_bytes = UINT64_C(1) << map->array_shift;
	struct page *array;
	tmm_err err;

	if (map->base[section])
		return TMM_OK;
	err = take_pages(request, node, UINT64_C(1) << map->shift, array_bytes, &array);
	if (err != TMM_OK)
		return err;
	map_set_section(map, section, array);
	return TMM_OK;
}

unsigned map_section_order(uint64_t section_bytes)
{
	return log2_floor(section_bytes ? section_bytes : TMM_SECTION_BYTES) - TMM_PAGE_SHIFT;
}

/* log2 of the frames that a section's array takes. */
static unsigned array_order(uint64_t section_bytes)
{
	return map_section_order(section_bytes) + log2_floor(sizeof(struct page)) -
	       TMM_PAGE_SHIFT;
}

unsigned map_part_order(uint64_t section_bytes, unsigned longest_run)
{
	return (unsigned)max_u64(longest_run,
	                         max_u64(array_order(section_bytes), PART_ORDER_LEAST));
}

uint64_t map_table_bytes(uint64_t section_bytes, unsigned part_order, uint64_t frames)
{
	const struct memory_map *map = NULL;

	return ((frames >> map_section_order(section_bytes)) + 1) * sizeof(*map->base) +
	       (frames >> part_order) * (sizeof(*map->delta) + sizeof(*map->part_of)) +
	       (frames >> array_order(section_bytes)) * sizeof(*map->section_of);
}

static void mark_parts(const struct memory_map *map, uint64_t start, uint64_t end)
{
	for (uint64_t part = start >> map->part_shift;
	     start < end && part <= (end - 1) >> map->part_shift; part++)
		map->delta[part] = 0;
}

static tmm_err init_indexes(struct memory_map *map, const struct map_request *request)
{
	const struct tmm_region_list *memory = &request->memblock->memory;
	uint64_t nr = 0;
	void *array;
	tmm_err err;

	map->part_shift = map_part_order(request->section_bytes, request->part_shift);
	map->nr_parts = ((map->first + map->nr_frames - 1) >> map->part_shift) + 1;
	err = boot_array(request->memblock, request->ram, map->nr_parts * sizeof(*map->delta),
	                 0, &array);
	if (err != TMM_OK)
		return err;
	map->delta = array;
	memset(map->delta, 0xff, map->nr_parts * sizeof(*map->delta)); /* NO_INDEX */
	mark_parts(map, 0, request->hotplug_end);
	for (uint32_t i = 0; i < memory->nr; i++)
		mark_parts(map, memory->region[i].start >> TMM_PAGE_SHIFT,
		           (memory->region[i].end + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT);
	for (uint64_t part = 0; part < map->nr_parts; part++)
		nr += map->delta[part] != NO_INDEX;
	err = boot_array(request->memblock, request->ram, nr * sizeof(*map->part_of), 0,
	                 &array);
	if (err != TMM_OK)
		return err;
	map->part_of = array;
	map->nr_indexes = nr << map->part_shift;
	map->linear = 0;
	nr = 0;
	for (uint64_t part = 0; part < map->nr_parts; part++) {
		if (map->delta[part] == NO_INDEX)
			continue;
		map->delta[part] = (nr - part) << map->part_shift;
		map->part_of[nr++] = (uint32_t)part;
	}
	return TMM_OK;
}

static tmm_err init_sections(struct memory_map *map, const struct map_request *request)
{
	uint64_t section_bytes = request->section_bytes ? request->section_bytes
	                                                : TMM_SECTION_BYTES;
	void *array;
	tmm_err err;

	if (!is_power_of_two(section_bytes) || section_bytes < TMM_SECTION_BYTES_LEAST)
		return TMM_E_INVAL;
	map->shift = map_section_order(section_bytes);
	map->array_shift = map->shift + log2_floor(sizeof(struct page));
	err = init_indexes(map, request);
	if (err != TMM_OK)
		return err;
	map->nr_places = ((map->nr_indexes - 1) >> (map->array_shift - TMM_PAGE_SHIFT)) + 1;
	err = take_bases(map, request);
	if (err == TMM_OK)
		err = boot_array(request->memblock, request->ram,
		                 map->nr_places * sizeof(*map->section_of), 0, &array);
	if (err != TMM_OK)
		return err;
	map->section_of = array;
	for (uint32_t i = 0; i < request->memblock->memory.nr && err == TMM_OK; i++) {
		const struct tmm_region *region = &request->memblock->memory.region[i];

		for (uint64_t section = region->start / section_bytes;
		     section <= (region->end - 1) / section_bytes && err == TMM_OK; section++)
			err = init_section(map, request, section, region->node);
	}
	return err;
}

/* ---- all ---- */

tmm_err map_init(struct memory_map *map, const struct map_request *request)
{
	tmm_err err = TMM_E_INVAL;

	*map = (struct memory_map){.model = request->model,
	                           .first = request->first,
	                           .nr_frames = request->nr_frames,
	                           .linear = request->nr_frames,
	                           .nr_indexes = request->nr_frames,
	                           .ram = (uintptr_t)request->ram};
	switch (request->model) {
	case TMM_MEMORY_FLAT:
		err = init_flat(map, request);
		break;
	case TMM_MEMORY_DISCONTIGUOUS:
		err = init_nodes(map, request);
		break;
	case TMM_MEMORY_SPARSE:
		err = init_sections(map, request);
		break;
	}
	map->boot_pages = map->array_pages;
	return err;
}

static const struct node_map *node_of_pfn(const struct memory_map *map, uint64_t pfn)
{
	for (unsigned n = 0; n < TMM_MAX_NODES; n++) {
		const struct node_map *node = &map->node[n];

		if (pfn - node->start < node->end - node->start &&
		    map->base[pfn >> map->shift] == base_of(node->page, node->start))
			return node;
	}
	return NULL;
}

uint64_t map_index_end(const struct memory_map *map, uint64_t end)
{
	if (end - map->first <= map->linear)
		return end - map->first;
	while (end > map->first) {
		if (map_index(map, end - 1) != NO_INDEX)
			return map_index(map, end - 1) + 1;
		end = align_down(end - 1, UINT64_C(1) << map->part_shift);
	}
	return 0;
}

bool map_has(const struct memory_map *map, uint64_t pfn)
{
	if (pfn - map->first >= map->nr_frames)
		return false;
	switch (map->model) {
	case TMM_MEMORY_FLAT:
		return true;
	case TMM_MEMORY_DISCONTIGUOUS:
		return node_of_pfn(map, pfn) != NULL;
	case TMM_MEMORY_SPARSE:
		return map->base[pfn >> map->shift] != 0;
	}
	return false;
}

uint64_t map_pfn_of_array(const struct memory_map *map, const struct page *page)
{
	uintptr_t address = (uintptr_t)page;

	if (map->model == TMM_MEMORY_SPARSE) {
		uint64_t section = *place_of(map, page);

		return (address - map->base[section]) / sizeof(*page);
	}
	for (unsigned n = 0; n < TMM_MAX_NODES; n++) {
		const struct node_map *node = &map->node[n];

		if (address - (uintptr_t)node->page < PAGES_OF_ARRAY(node->end - node->start))
			return (uint64_t)(page - node->page) + node->start;
	}
	tmm_port_panic(__FILE__, __LINE__, "a descriptor is in the array of a node");
}
