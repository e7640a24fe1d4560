/*
 * model_test.c - every frame has one descriptor, whatever the model
 */
#include "page/rig_test.h"

#define SECTION (8 * MIB)

static struct tmm_memblock memblock;
static char *ram;

static const char *const model_name[] = {"flat", "discontiguous", "sparse"};

static void add(uint64_t start, uint64_t bytes, uint32_t node)
{
	CHECK(tmm_memblock_add(&memblock, (tmm_paddr){start}, bytes, node) == TMM_OK);
}

static void begin(uint64_t end)
{
	ram = test_ram(end);
	tmm_memblock_init(&memblock, NULL);
}

static tmm_err make(struct memory_map *map, enum tmm_memory_model model)
{
	const uint64_t pair = 4 * MIB;
	uint64_t first = align_down(tmm_memblock_start(&memblock), pair) >> TMM_PAGE_SHIFT;
	uint64_t end = align_up(tmm_memblock_end(&memblock), pair) >> TMM_PAGE_SHIFT;
	const struct map_request request = {.memblock = &memblock,
	                                    .ram = ram,
	                                    .first = first,
	                                    .nr_frames = end - first,
	                                    .model = model,
	                                    .section_bytes = SECTION};

	return map_init(map, &request);
}

/* Each frame of RAM writes its number, and finds it and itself again. */
static void check_map(const struct memory_map *map)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < memblock.memory.nr; i++) {
			const struct tmm_region *region = &memblock.memory.region[i];
			uint64_t start = align_up(region->start, TMM_PAGE_SIZE);

			for (uint64_t pfn = start >> TMM_PAGE_SHIFT;
			     pfn < region->end >> TMM_PAGE_SHIFT; pfn++) {
				struct page *page = map_page(map, pfn);

				CHECK(map_has(map, pfn));
				CHECK(map_pfn(map, page) == pfn);
				CHECK(page->refcount == (pass ? (uint32_t)pfn : 0));
				page->refcount = (uint32_t)pfn;
			}
		}
	}
}

static uint64_t entries_of(const struct memory_map *map)
{
	uint64_t nr = 0;

	if (map->model == TMM_MEMORY_FLAT)
		return map->nr_frames;
	for (unsigned n = 0; n < TMM_MAX_NODES; n++)
		nr += map->node[n].end - map->node[n].start;
	for (uint64_t s = 0; map->model == TMM_MEMORY_SPARSE && s < map->nr_bases; s++)
		nr += map->base[s] ? UINT64_C(1) << map->shift : 0;
	return nr;
}

/* What the model takes is what tmm_model_cost() says, to the page. */
static void check_cost(const struct memory_map *map, const struct tmm_model_cost *cost,
                       uint64_t taken)
{
	CHECK(entries_of(map) == cost->nr_entries);
	CHECK(cost->map_bytes == cost->nr_entries * sizeof(struct page));
	CHECK(taken >= cost->map_bytes + cost->table_bytes);
	CHECK(taken < cost->map_bytes + cost->table_bytes + 5 * TMM_PAGE_SIZE);
}

/*
 *   0      6      16     20     38  40 MiB
 *   |######|......|######|......|####|     holes, each node in one piece
 *   node 0         node 1        node 1
 */
TEST(each_model_has_a_descriptor_for_every_frame)
{
	for (unsigned m = 0; m < ARRAY_SIZE(model_name); m++) {
		enum tmm_memory_model model = (enum tmm_memory_model)m;
		struct tmm_model_cost cost;
		struct memory_map map;

		begin(40 * MIB);
		add(0, 6 * MIB, 0);
		add(16 * MIB, 4 * MIB, 1);
		add(38 * MIB, 2 * MIB, 1);
		CHECK(tmm_model_cost(&memblock, model, SECTION, &cost) == TMM_OK);
		CHECK(make(&map, model) == TMM_OK);
		check_map(&map);
		check_cost(&map, &cost, tmm_memblock_reserved_bytes(&memblock));
		test_note("%s: %llu entries, %llu of holes, %llu bytes", model_name[m],
		          (unsigned long long)cost.nr_entries,
		          (unsigned long long)cost.hole_entries,
		          (unsigned long long)(cost.map_bytes + cost.table_bytes));
		CHECK(!map_has(&map, (40 * MIB) >> TMM_PAGE_SHIFT));
		CHECK(map_has(&map, (26 * MIB) >> TMM_PAGE_SHIFT) !=
		      (model == TMM_MEMORY_SPARSE));
		CHECK(map_has(&map, (12 * MIB) >> TMM_PAGE_SHIFT) ==
		      (model == TMM_MEMORY_FLAT));
	}
}

/* Nodes that take turns: a node's array covers the other's frames, too. */
TEST(nodes_that_interleave_cost_a_node_map_what_lies_between)
{
	struct tmm_model_cost cost;
	struct memory_map map;

	begin(24 * MIB);
	for (uint32_t i = 0; i < 6; i++)
		add(i * 4 * MIB, 4 * MIB, i % 2);
	CHECK(tmm_model_cost(&memblock, TMM_MEMORY_DISCONTIGUOUS, 0, &cost) == TMM_OK);
	CHECK(cost.hole_entries == 16 * MIB >> TMM_PAGE_SHIFT);
	CHECK(make(&map, TMM_MEMORY_DISCONTIGUOUS) == TMM_OK);
	check_map(&map);
}

/* 64 islands of 2 MiB, 32 MiB apart: no room for one array, but for one a section. */
TEST(ram_in_small_pieces_has_room_for_sections_alone)
{
	struct memory_map map;

	for (unsigned m = 0; m < ARRAY_SIZE(model_name); m++) {
		begin(64 * 32 * MIB);
		for (uint64_t i = 0; i < 64; i++)
			add(i * 32 * MIB, 2 * MIB, 0);
		CHECK(make(&map, (enum tmm_memory_model)m) ==
		      (m == TMM_MEMORY_SPARSE ? TMM_OK : TMM_E_NOMEM));
	}
	check_map(&map);
}

/* Random holes, any nodes in any order: cost and map agree, and nothing overlaps. */
TEST(costs_agree_with_what_is_made_for_random_holes)
{
	uint64_t seed = test_seed();

	begin(64 * MIB);
	for (unsigned round = 0; round < 30; round++) {
		enum tmm_memory_model model = (enum tmm_memory_model)(round % 3);
		struct tmm_model_cost cost;
		struct memory_map map;

		tmm_memblock_init(&memblock, NULL);
		memset(ram, 0, 64 * MIB);
		for (uint64_t block = 0; block < 32; block++)
			if (block > 29 || test_random(&seed) % 3)
				add(block * 2 * MIB, 2 * MIB - test_random(&seed) % 5 * 4096,
				    (uint32_t)(test_random(&seed) % 3));
		CHECK(tmm_model_cost(&memblock, model, SECTION, &cost) == TMM_OK);
		if (make(&map, model) != TMM_OK)
			continue; /* no piece was large enough */
		check_map(&map);
		check_cost(&map, &cost, tmm_memblock_reserved_bytes(&memblock));
	}
}

TEST(sections_are_powers_of_two_of_at_least_a_block)
{
	struct tmm_model_cost cost;

	begin(8 * MIB);
	add(0, 8 * MIB, 0);
	CHECK(tmm_model_cost(&memblock, TMM_MEMORY_SPARSE, 1 * MIB, &cost) == TMM_E_INVAL);
	CHECK(tmm_model_cost(&memblock, TMM_MEMORY_SPARSE, 3 * MIB, &cost) == TMM_E_INVAL);
	CHECK(tmm_model_cost(&memblock, TMM_MEMORY_SPARSE, 2 * MIB, &cost) == TMM_OK);
}

struct lines {
	char text[1024];
	size_t used;
};

static void keep(void *arg, const char *text, size_t bytes)
{
	struct lines *lines = arg;

	CHECK(lines->used + bytes < sizeof(lines->text));
	memcpy(lines->text + lines->used, text, bytes);
	lines->used += bytes;
}

/* 4 GiB of which the third is a hole: 262144 descriptors for nothing in one array. */
TEST(the_table_shows_what_holes_cost)
{
	static const char expected[] = "model          arrays      entries     of holes    map "
				       "kB  table kB  block kB\n"
				       "flat                1      1048576       262144     "
				       "32768         0       164\n"
				       "discontiguous       1      1048576       262144     "
				       "32768         1       164\n"
				       "sparse             24       786432            0     "
				       "24576        13       123\n";
	struct lines lines = {.used = 0};
	const struct tmm_sink sink = {.write = keep, .arg = &lines};

	begin(4096);
	add(0, 2 * GIB, 0);
	add(3 * GIB, GIB, 0);
	CHECK(tmm_model_show(&memblock, 0, &sink) == TMM_OK);
	CHECK(lines.used == sizeof(expected) - 1);
	CHECK(memcmp(lines.text, expected, lines.used) == 0);
}

/* Runs of all orders are counted once, on both sides of a hole. */
static void check_free_areas(struct tmm_pages *pages, enum tmm_zone_id zone)
{
	struct tmm_zone_info info;
	uint64_t sum = 0;

	CHECK(tmm_zone_info(pages, 0, zone, &info));
	for (unsigned order = 0; order < info.nr_orders; order++)
		sum += info.free_area[order] << order;
	CHECK(sum == info.free_pages);
}

/*
 *   0        1 GiB        8 GiB    +1 GiB              7 TiB    +1 GiB
 *   |########|... hole ...|########|....... hole ......|########|
 *   DMA, DMA32            NORMAL - - - - - - - - - - - - - - - -
 */
TEST(a_hole_of_terabytes_costs_next_to_nothing)
{
	const uint64_t near = 8 * GIB, far = 7 * 1024 * GIB, end = far + GIB;
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE};
	struct tmm_model_cost cost;
	static struct rig rig;
	tmm_pfn pfn;

	rig_begin(&rig, end, 1);
	rig_add(&rig, 0, GIB);
	rig_add(&rig, near, GIB);
	rig_add(&rig, far, GIB);
	CHECK(tmm_model_cost(&rig.memblock, TMM_MEMORY_SPARSE, 0, &cost) == TMM_OK);
	CHECK(cost.hole_entries == 0 && cost.block_bytes == 1536 * BLOCK_BYTES);
	CHECK(cost.table_bytes < 2 * MIB);
	rig_boot_as(&rig, config);
	CHECK(tmm_memblock_reserved_bytes(&rig.memblock) <
	      28 * MIB + (rig_debug() ? 24 * MIB : 0));
	CHECK(nr_blocks(&rig.pages) == 1536);
	CHECK(!pfn_in_span(&rig.pages, far / 2 >> TMM_PAGE_SHIFT));
	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, order, &pfn) == TMM_OK);
		CHECK(pfn.v >= near >> TMM_PAGE_SHIFT);
		CHECK(page_pfn(&rig.pages, page_of(&rig.pages, pfn)).v == pfn.v);
		tmm_pages_free(&rig.pages, pfn, order);
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_DMA32, order, &pfn) == TMM_OK);
		CHECK(pfn.v < GIB >> TMM_PAGE_SHIFT);
		tmm_pages_free(&rig.pages, pfn, order);
	}
	check_free_areas(&rig.pages, TMM_ZONE_DMA32);
	check_free_areas(&rig.pages, TMM_ZONE_NORMAL);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}

/* An end in a hole is where the last frames before it end. */
TEST(indexes_end_where_the_last_frames_do)
{
	const uint64_t first = 3 * GIB, second = 9 * GIB, length = 256 * MIB;
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE};
	const struct memory_map *map;
	static struct rig rig;

	rig_begin(&rig, second + length, 1);
	rig_add(&rig, first, length);
	rig_add(&rig, second, length);
	rig_boot_as(&rig, config);
	map = &rig.pages.map;
	CHECK(map_index_end(map, first >> TMM_PAGE_SHIFT) == 0);
	CHECK(map_index_end(map, (first >> TMM_PAGE_SHIFT) + 5) == 5);
	CHECK(map_index_end(map, (first + length) >> TMM_PAGE_SHIFT) ==
	      length >> TMM_PAGE_SHIFT);
	CHECK(map_index_end(map, 4 * GIB >> TMM_PAGE_SHIFT) == length >> TMM_PAGE_SHIFT);
	CHECK(map_index_end(map, second >> TMM_PAGE_SHIFT) == length >> TMM_PAGE_SHIFT);
	CHECK(map_index_end(map, (second + length) >> TMM_PAGE_SHIFT) ==
	      2 * length >> TMM_PAGE_SHIFT);
	for (uint64_t at = 0; at < map->nr_indexes; at += BLOCK_FRAMES)
		CHECK(map_index(map, map_frame_at(map, at)) == at);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}
