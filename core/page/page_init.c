/*
 * page_init.c - from memblock to zones
 *
 * The allocator's arrays come from memblock, which hands over the rest:
 *
 *   bits, info   per 2 MiB block: 64 + 12 bytes
 *   block sets   per zone, 50 bits a block
 *   cpu          per CPU
 *   descriptors  32 bytes a frame: model.c
 *
 * A block without RAM has no bits set and home HOME_MIXED | HOME_NO_RAM, which
 * sends every question about its frames to memblock's lists.
 */
#include "page/zone.h"

/* Linux's default of vm.watermark_scale_factor, in 1/10000. */
#define WATERMARK_SCALE_FACTOR 10

/* With fewer blocks than types, parting them by type does harm. */
#define LEAST_FRAMES_WITH_TYPES (TMM_NR_MIGRATE_TYPES * BLOCK_FRAMES)

#define MIN_FREE_KBYTES_LEAST   128
#define MIN_FREE_KBYTES_MOST    262144

#define NR_SETS                 (TMM_NR_ZONES * NR_FILED_TYPES * NR_LONGEST)

static tmm_err take_sets(struct tmm_pages *pages, struct tmm_memblock *memblock)
{
	uint64_t words = block_set_words(nr_blocks(pages));
	void *array;
	uint64_t *next;
	tmm_err err = boot_array(memblock, pages->ram, words * NR_SETS * sizeof(*next), 0,
	                         &array);

	if (err != TMM_OK)
		return err;
	next = array;
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		struct block_set *set = &pages->zone[z].by_longest[0][0];

		for (unsigned i = 0; i < NR_FILED_TYPES * NR_LONGEST; i++, next += words)
			block_set_init(&set[i], next, nr_blocks(pages));
	}
	return TMM_OK;
}

static tmm_err take_arrays(struct tmm_pages *pages, struct tmm_memblock *memblock)
{
	uint64_t blocks = nr_blocks(pages);
	const struct map_request map = {.memblock = memblock,
	                                .ram = pages->ram,
	                                .first = pages->first_pfn,
	                                .nr_frames = pages->nr_frames};
	void *array[3];
	const uint64_t size[3] = {
		blocks * sizeof(*pages->bits),
		blocks * sizeof(*pages->info),
		pages->cpus->nr * sizeof(*pages->cpu),
	};
	tmm_err err;

	for (unsigned i = 0; i < ARRAY_SIZE(array); i++) {
		err = boot_array(memblock, pages->ram, size[i], 0, &array[i]);
		if (err != TMM_OK)
			return err;
	}
	pages->bits = array[0];
	pages->info = array[1];
	pages->cpu = array[2];
	err = map_init(&pages->map, &map);
	if (err != TMM_OK)
		return err;
	return take_sets(pages, memblock);
}

uint64_t pages_array_bytes(uint32_t nr_cpus, uint64_t span_bytes)
{
	/* Both ends may cut a pair of blocks; each array may cut a page. */
	uint64_t blocks = 2 * (span_bytes >> (BLOCK_ORDER + 1 + TMM_PAGE_SHIFT)) + 4;
	uint64_t sets = block_set_words(blocks) * NR_SETS;

	return blocks * (sizeof(struct block_bits) + sizeof(struct block_info) +
	                 BLOCK_FRAMES * sizeof(struct page)) +
	       sets * sizeof(uint64_t) + nr_cpus * sizeof(struct page_cpu) + 5 * TMM_PAGE_SIZE;
}

static bool region_to_frames(const struct tmm_region *region, uint64_t *start, uint64_t *end)
{
	*start = align_up(region->start, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT;
	*end = region->end >> TMM_PAGE_SHIFT;
	return *start < *end;
}

static void carve_zones(struct tmm_pages *pages)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;

	for (uint32_t i = 0; i < memory->nr; i++) {
		uint64_t pfn, end;

		if (!region_to_frames(&memory->region[i], &pfn, &end))
			continue;
		while (pfn < end) {
			enum tmm_zone_id id = zone_of_pfn(pfn);
			struct zone *zone = &pages->zone[id];
			uint64_t stop = end;

			while (zone_of_pfn(stop - 1) != id)
				stop = id == TMM_ZONE_DMA ? UINT64_C(4096) : UINT64_C(1) << 20;
			if (zone->present == 0)
				zone->start = pfn;
			zone->end = stop;
			zone->present += stop - pfn;
			pfn = stop;
		}
	}
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

bool run_is_ram(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	for (uint64_t p = pfn; p < pfn + nr; p++)
		if (!inside_one(&pages->memblock->memory, p << TMM_PAGE_SHIFT,
		                (p + 1) << TMM_PAGE_SHIFT))
			return false;
	return true;
}

bool run_is_managed(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	return run_is_ram(pages, pfn, nr) &&
	       clear_of_all(&pages->memblock->reserved, pfn << TMM_PAGE_SHIFT,
	                    (pfn + nr) << TMM_PAGE_SHIFT);
}

/* Largest aligned runs first, as they come: at most 20 for each end of a region. */
static void hand_over(struct tmm_pages *pages, uint64_t pfn, uint64_t end)
{
	while (pfn < end) {
		struct zone *zone = &pages->zone[zone_of_pfn(pfn)];
		unsigned order = log2_floor(end - pfn);

		if (pfn)
			order = (unsigned)min_u64(order, (unsigned)__builtin_ctzll(pfn));
		order = (unsigned)min_u64(order, BLOCK_ORDER);
		lock_take(&zone->lock);
		zone_give(pages, zone, pfn, order);
		lock_drop(&zone->lock);
		zone->managed += UINT64_C(1) << order;
		pages->managed += UINT64_C(1) << order;
		pfn += UINT64_C(1) << order;
	}
}

/* Every managed frame is free still, so that the bits tell which they are. */
static void set_managed(struct block_info *info, const struct block_bits *bits)
{
	unsigned first = BLOCK_FRAMES, last = 0;

	info->home |= HOME_MIXED;
	for (unsigned w = 0; w < BLOCK_WORDS; w++) {
		if (!bits->word[w])
			continue;
		if (first == BLOCK_FRAMES)
			first = w * 64 + (unsigned)__builtin_ctzll(bits->word[w]);
		last = w * 64 + log2_floor(bits->word[w]);
	}
	if (last + 1 - first != info->nr_free)
		return;
	info->managed_start = (uint16_t)first;
	info->nr_managed = info->nr_free;
}

static void set_homes(struct tmm_pages *pages)
{
	for (uint64_t block = 0; block < nr_blocks(pages); block++) {
		struct block_info *info = &pages->info[block];
		uint64_t pfn = pages->first_pfn + (block << BLOCK_ORDER);

		info->home = (uint8_t)zone_of_pfn(pfn);
		if (!inside_one(&pages->memblock->memory, pfn << TMM_PAGE_SHIFT,
		                (pfn + BLOCK_FRAMES) << TMM_PAGE_SHIFT))
			info->home |= HOME_NO_RAM;
		if (info->nr_free != BLOCK_FRAMES)
			set_managed(info, &pages->bits[block]);
	}
}

static uint64_t square_root(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= x)
			root |= bit;
	return root;
}

static void set_watermarks(struct tmm_pages *pages, uint64_t min_free_kbytes)
{
	static const uint64_t lowmem_reserve_ratio[TMM_NR_ZONES] = {256, 256, 32};
	const unsigned kbytes_shift = TMM_PAGE_SHIFT - 10;

	if (!min_free_kbytes) {
		min_free_kbytes = square_root((pages->managed << kbytes_shift) * 16);
		min_free_kbytes = max_u64(min_free_kbytes, MIN_FREE_KBYTES_LEAST);
		min_free_kbytes = min_u64(min_free_kbytes, MIN_FREE_KBYTES_MOST);
	}
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		struct zone *zone = &pages->zone[z];
		uint64_t min = (min_free_kbytes >> kbytes_shift) * zone->managed /
		               max_u64(pages->managed, 1);
		uint64_t step = max_u64(min / 4,
		                        zone->managed * WATERMARK_SCALE_FACTOR / 10000);
		uint64_t above = 0;

		zone->mark[MARK_MIN] = min;
		zone->mark[MARK_LOW] = min + step;
		zone->mark[MARK_HIGH] = min + 2 * step;
		for (unsigned up = z + 1; zone->managed && up < TMM_NR_ZONES; up++) {
			above += pages->zone[up].managed;
			zone->reserve[up] = above / lowmem_reserve_ratio[z];
		}
	}
}

/* All RAM starts as movable: what does not move claims what it needs. */
static void set_types(struct tmm_pages *pages)
{
	uint64_t bytes = 0;
	uint8_t type;

	bytes = tmm_memblock_memory_bytes(pages->memblock) -
	        tmm_memblock_reserved_bytes(pages->memblock);
	pages->type_mask = bytes >> TMM_PAGE_SHIFT < LEAST_FRAMES_WITH_TYPES ? 0 : 3;
	type = pages->type_mask ? TMM_MIGRATE_MOVABLE : TMM_MIGRATE_UNMOVABLE;
	for (uint64_t block = 0; block < nr_blocks(pages); block++)
		pages->info[block].type = pages->info[block].stack_type = type;
}

/* A CPU keeps at most 1/64 of its share of a zone in runs of one order and type. */
static void set_stacks(struct cpu_zone *cz, uint64_t share)
{
	static const uint16_t most[NR_CLASSES][NR_STACK_TYPES] = {{STACK_MAX, STACK_MAX, 128},
	                                                          {128, 128, 32},
	                                                          {64, 64, 16},
	                                                          {64, 64, 16},
	                                                          {8, 8, 2}};
	uint32_t *bottom = cz->entry;

	for (unsigned s = 0; s < NR_CLASSES * NR_STACK_TYPES; s++) {
		struct frame_stack *stack = &cz->stack[s];
		unsigned class = s / NR_STACK_TYPES, type = s % NR_STACK_TYPES;
		uint64_t limit = min_u64(most[class][type],
		                         (share / 64) >> order_of_class(class));

		stack->top = stack->bottom = bottom;
		stack->end = bottom + limit;
		stack->batch = (uint32_t)min_u64((limit + 1) / 2, 64);
		bottom += most[class][type];
	}
	memset(cz->recent, 0xff, sizeof(cz->recent)); /* RECENT_NONE */
}

static void set_top_zones(struct tmm_pages *pages)
{
	unsigned top = 0;

	/* Where even the lowest zone is empty, zone 0 says so itself. */
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		if (pages->zone[z].managed)
			top = z;
		pages->top_zone[z] = (uint8_t)top;
	}
	for (tmm_gfp bits = 0; bits < ARRAY_SIZE(pages->first_choice); bits++)
		pages->first_choice[bits] = pages->top_zone[highest_zone(bits)];
}

tmm_err pages_init(struct tmm_pages *pages, struct tmm_memblock *memblock, void *ram,
                   struct cpu_set *cpus, uint64_t min_free_kbytes)
{
	const uint64_t pair = UINT64_C(2) << (BLOCK_ORDER + TMM_PAGE_SHIFT);
	uint64_t end = tmm_memblock_end(memblock), cursor = 0;
	struct tmm_region region;
	tmm_err err;

	if (end == 0 || end >> TMM_PAGE_SHIFT > MAX_PFN)
		return TMM_E_INVAL;
	*pages = (struct tmm_pages){.ram = ram, .cpus = cpus, .memblock = memblock};
	/* Whole pairs, so that the index of a block tells which one is its buddy. */
	pages->first_pfn = align_down(tmm_memblock_start(memblock), pair) >> TMM_PAGE_SHIFT;
	pages->nr_frames = (align_up(end, pair) >> TMM_PAGE_SHIFT) - pages->first_pfn;
	err = take_arrays(pages, memblock);
	if (err != TMM_OK)
		return err;
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		lock_init(&pages->zone[z].lock, RANK_ZONE);
		pages->zone[z].id = (enum tmm_zone_id)z;
	}
	carve_zones(pages);
	set_types(pages);
	while (tmm_memblock_next_free(memblock, &cursor, &region)) {
		uint64_t pfn, stop;

		if (region_to_frames(&region, &pfn, &stop))
			hand_over(pages, pfn, stop);
	}
	set_homes(pages);
	set_watermarks(pages, min_free_kbytes);
	for (uint32_t c = 0; c < cpus->nr; c++)
		for (unsigned z = 0; z < TMM_NR_ZONES; z++)
			set_stacks(&pages->cpu[c].zone[z], pages->zone[z].managed / cpus->nr);
	set_top_zones(pages);
	return TMM_OK;
}

void pages_fini(struct tmm_pages *pages)
{
	bool every_frame_is_back = tmm_pages_free_count(pages) == pages->managed;

	TMM_ASSERT(every_frame_is_back);
	*pages = (struct tmm_pages){0};
}
