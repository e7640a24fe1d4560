#include <tuxmm/memblock.h>

#include "base/base.h"
#include "test.h"

#define KB UINT64_C(1024)
#define MB (UINT64_C(1024) * KB)
#define GB (UINT64_C(1024) * MB)

static struct tmm_memblock mb;

static tmm_paddr at(uint64_t address)
{
	return (tmm_paddr){address};
}

static void fresh(void)
{
	tmm_memblock_init(&mb, NULL);
}

static bool region_is(const struct tmm_region *region, uint64_t start, uint64_t end,
                      uint32_t node)
{
	return region->start == start && region->end == end && region->node == node;
}

/*
 *   add 4..6, 8..9     |    ####  #   |
 *   add 6..8           |    #####     |   one region
 *   add 2..3 of node 1 |  1 #####     |
 *   add 0..9 of node 1 |1111#####     |   node 0 keeps what it has
 */
TEST(added_regions_merge_by_node)
{
	fresh();
	CHECK(tmm_memblock_add(&mb, at(4 * MB), 2 * MB, 0) == TMM_OK);
	CHECK(tmm_memblock_add(&mb, at(8 * MB), MB, 0) == TMM_OK);
	CHECK(mb.memory.nr == 2);
	CHECK(tmm_memblock_add(&mb, at(6 * MB), 2 * MB, 0) == TMM_OK);
	CHECK(mb.memory.nr == 1);
	CHECK(tmm_memblock_add(&mb, at(2 * MB), MB, 1) == TMM_OK);
	CHECK(tmm_memblock_add(&mb, at(0), 9 * MB, 1) == TMM_OK);
	CHECK(mb.memory.nr == 2);
	CHECK(region_is(&mb.memory.region[0], 0, 4 * MB, 1));
	CHECK(region_is(&mb.memory.region[1], 4 * MB, 9 * MB, 0));
	CHECK(tmm_memblock_memory_bytes(&mb) == 9 * MB);
	tmm_memblock_check(&mb);
}

/*
 *   memory    |##########|
 *   remove    |   xx     |   splits
 *   remove    | xxxxxxx  |   trims both
 */
TEST(removing_splits_and_trims)
{
	fresh();
	CHECK(tmm_memblock_add(&mb, at(0), 10 * MB, 0) == TMM_OK);
	CHECK(tmm_memblock_remove(&mb, at(3 * MB), 2 * MB) == TMM_OK);
	CHECK(mb.memory.nr == 2);
	CHECK(tmm_memblock_remove(&mb, at(MB), 7 * MB) == TMM_OK);
	CHECK(region_is(&mb.memory.region[0], 0, MB, 0));
	CHECK(region_is(&mb.memory.region[1], 8 * MB, 10 * MB, 0));
	CHECK(tmm_memblock_remove(&mb, at(20 * MB), MB) == TMM_OK);
	CHECK(tmm_memblock_remove(&mb, at(0), 0) == TMM_OK);
	CHECK(tmm_memblock_memory_bytes(&mb) == 3 * MB);
	tmm_memblock_check(&mb);
}

TEST(a_range_that_wraps_round_is_refused)
{
	struct tmm_firmware_range bad = {at(UINT64_MAX - KB), 2 * KB, TMM_FW_RESERVED, 0};

	fresh();
	CHECK(tmm_memblock_add(&mb, at(UINT64_MAX), 1, 0) == TMM_E_INVAL);
	CHECK(tmm_memblock_add(&mb, at(2), UINT64_MAX - 1, 0) == TMM_E_INVAL);
	CHECK(tmm_memblock_remove(&mb, at(UINT64_MAX), 2) == TMM_E_INVAL);
	CHECK(tmm_memblock_reserve(&mb, at(UINT64_MAX - 4), 6) == TMM_E_INVAL);
	CHECK(tmm_memblock_free(&mb, at(UINT64_MAX - 4), 6) == TMM_E_INVAL);
	CHECK(tmm_memblock_trim(&mb, at(2), at(1)) == TMM_E_INVAL);
	CHECK(tmm_memblock_from_firmware(&mb, &bad, 1, 0) == TMM_E_INVAL);
	CHECK(mb.memory.nr == 0 && mb.reserved.nr == 0);
	CHECK(tmm_memblock_add(&mb, at(UINT64_MAX - 1), 1, 0) == TMM_OK);
	CHECK(tmm_memblock_end(&mb) == UINT64_MAX);
	tmm_memblock_check(&mb);
}

/*
 *   memory    |----########--------|  4..12 MiB
 *   reserved  |------##------------|  6..8 MiB
 *   top down  |----------##--------|  then 8, 4, none
 */
TEST(allocation_goes_from_the_top_or_the_bottom)
{
	struct tmm_memblock_request request = {
		.size_bytes = 2 * MB, .align_bytes = MB, .node = TMM_NODE_ANY};
	tmm_paddr start = {77};

	fresh();
	CHECK(tmm_memblock_add(&mb, at(4 * MB), 8 * MB, 0) == TMM_OK);
	CHECK(tmm_memblock_reserve(&mb, at(6 * MB), 2 * MB) == TMM_OK);
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == 10 * MB);
	mb.bottom_up = true;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == 4 * MB);
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == 8 * MB);
	start.v = 77;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM && start.v == 77);
	CHECK(tmm_memblock_free(&mb, at(8 * MB), 2 * MB) == TMM_OK);
	mb.limit = 10 * MB - 1;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM);
	mb.limit = 10 * MB;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == 8 * MB);
	tmm_memblock_check(&mb);
}

TEST(a_request_bounds_its_address)
{
	struct tmm_memblock_request request = {.size_bytes = 100, .node = TMM_NODE_ANY};
	tmm_paddr start;

	fresh();
	CHECK(tmm_memblock_add(&mb, at(MB), 15 * MB, 0) == TMM_OK);
	request.max = 2 * MB - 50;
	request.align_bytes = 64;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK);
	CHECK(start.v == align_down(2 * MB - 150, 64));
	request.min = 2 * MB - 160;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM);
	request.size_bytes = 0;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_INVAL);
	request.size_bytes = 1;
	request.align_bytes = 3;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_INVAL);
	CHECK(tmm_memblock_reserved_bytes(&mb) == 100);
}

/* node 0 |####|, node 1 |####|: adjacent, but no allocation spans them. */
TEST(a_node_is_preferred_or_demanded)
{
	struct tmm_memblock_request request = {.size_bytes = 3 * MB, .node = 0};
	tmm_paddr start;

	fresh();
	CHECK(tmm_memblock_add(&mb, at(0), 4 * MB, 0) == TMM_OK);
	CHECK(tmm_memblock_add(&mb, at(4 * MB), 4 * MB, 1) == TMM_OK);
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == MB);
	request.exact_node = true;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM);
	request.exact_node = false;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK && start.v == 5 * MB);
	request.size_bytes = 2 * MB;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM);
	tmm_memblock_check(&mb);
}

TEST(allocated_memory_reads_as_zeroes)
{
	struct tmm_memblock_request request = {.size_bytes = 5000, .node = TMM_NODE_ANY};
	unsigned char *ram = test_ram(MB);
	tmm_paddr start;

	memset(ram, 0xaa, MB);
	tmm_memblock_init(&mb, ram);
	CHECK(tmm_memblock_add(&mb, at(0), MB, 0) == TMM_OK);
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_OK);
	for (uint64_t i = start.v; i < start.v + 5000; i++)
		CHECK(ram[i] == 0);
	CHECK(ram[start.v - 1] == 0xaa);
}

/* Every second page: as many regions as there is room for, and one more. */
TEST(a_full_list_refuses_without_damage)
{
	struct tmm_memblock_request request = {.size_bytes = KB, .node = TMM_NODE_ANY};
	struct tmm_memblock before;
	tmm_paddr start;

	fresh();
	for (uint64_t i = 0; i < TMM_MEMBLOCK_MAX_REGIONS; i++) {
		CHECK(tmm_memblock_add(&mb, at(i * 8 * KB), 4 * KB, 0) == TMM_OK);
		CHECK(tmm_memblock_reserve(&mb, at(i * 8 * KB + KB), KB) == TMM_OK);
	}
	memcpy(&before, &mb, sizeof(mb));
	CHECK(tmm_memblock_add(&mb, at(16 * MB), 4 * KB, 0) == TMM_E_NOSPC);
	CHECK(tmm_memblock_remove(&mb, at(9 * KB), KB) == TMM_E_NOSPC);
	CHECK(tmm_memblock_reserve(&mb, at(0), 100) == TMM_E_NOSPC);
	CHECK(tmm_memblock_free(&mb, at(KB + 100), 100) == TMM_E_NOSPC);
	CHECK(tmm_memblock_add(&mb, at(0), 16 * MB, 1) == TMM_E_NOSPC);
	CHECK(memcmp(&before, &mb, sizeof(mb)) == 0);
	request.max = 3 * KB;
	request.min = 2 * KB + 1;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOMEM);
	request.min = 3 * KB;
	request.max = 4 * KB;
	CHECK(tmm_memblock_alloc(&mb, &request, &start) == TMM_E_NOSPC);
	CHECK(memcmp(&before, &mb, sizeof(mb)) == 0);
	/* What joins still fits, even where other gaps need the room it makes. */
	CHECK(tmm_memblock_add(&mb, at(4 * KB), 2 * MB, 0) == TMM_OK);
	CHECK(mb.memory.nr == 1);
	tmm_memblock_check(&mb);
}

/*
 *   before  |1 1 1 .. 0 0 0|   every second page, as many as the list holds
 *   after   |101010 .. 0000|   the gaps on the left need regions that only
 *                              those on the right set free
 */
TEST(joins_make_room_for_the_rest)
{
	fresh();
	for (uint64_t i = 0; i < TMM_MEMBLOCK_MAX_REGIONS; i++)
		CHECK(tmm_memblock_add(&mb, at(i * 8 * KB), 4 * KB, i < 100) == TMM_OK);
	CHECK(tmm_memblock_add(&mb, at(0), 4 * MB, 0) == TMM_OK);
	CHECK(mb.memory.nr == 200);
	CHECK(tmm_memblock_memory_bytes(&mb) == 4 * MB);
	tmm_memblock_check(&mb);
}

/*
 *   usable    |   1######5   |    shrinks to whole pages
 *   usable    |       4####8 |
 *   reserved  |     3==      |    grows to whole pages and wins
 */
TEST(firmware_ranges_are_rounded_and_the_unusable_win)
{
	const struct tmm_firmware_range map[] = {
		{at(3 * MB + 5), MB, TMM_FW_ACPI, 0},
		{at(4 * MB), 4 * MB, TMM_FW_USABLE, 0},
		{at(MB + 1), 4 * MB, TMM_FW_USABLE, 0},
		{at(UINT64_MAX - 10), 10, TMM_FW_NVS, 0},
		{at(9 * MB), 0, TMM_FW_RESERVED, 0},
		{at(20 * MB + 1), 4 * KB, TMM_FW_USABLE, 0}, /* no whole page */
	};

	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, ARRAY_SIZE(map), 0) == TMM_OK);
	CHECK(mb.memory.nr == 2);
	CHECK(region_is(&mb.memory.region[0], MB + 4 * KB, 3 * MB, 0));
	CHECK(region_is(&mb.memory.region[1], 4 * MB + 4 * KB, 8 * MB, 0));
	tmm_memblock_check(&mb);
}

TEST(mem_limit_keeps_the_lowest)
{
	const struct tmm_firmware_range map[] = {
		{at(GB), GB, TMM_FW_USABLE, 0},
		{at(16 * MB), 16 * MB, TMM_FW_USABLE, 0},
	};

	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, 2, 20 * MB + 5) == TMM_OK);
	CHECK(tmm_memblock_memory_bytes(&mb) == 20 * MB);
	CHECK(tmm_memblock_start(&mb) == 16 * MB);
	CHECK(tmm_memblock_end(&mb) == GB + 4 * MB);
	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, 2, 16 * MB) == TMM_OK);
	CHECK(tmm_memblock_end(&mb) == 32 * MB);
	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, 2, 8 * GB) == TMM_OK);
	CHECK(tmm_memblock_memory_bytes(&mb) == GB + 16 * MB);
	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, 2, 100) == TMM_E_NOMEM);
	fresh();
	CHECK(tmm_memblock_from_firmware(&mb, map, 0, 0) == TMM_E_NOMEM);
}

TEST(a_pc_has_a_hole_below_1_mib_and_below_4_gib)
{
	static const uint64_t ram[] = {0,      4 * KB, 512 * KB,        MB,
	                               4 * MB, 3 * GB, 3 * GB + 4 * KB, 128 * GB};

	for (size_t i = 0; i < ARRAY_SIZE(ram); i++) {
		struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
		size_t nr = tmm_firmware_pc(ram[i] + 7, map);
		uint64_t lost = ram[i] >= MB ? 388 * KB : min_u64(ram[i], 4 * KB);
		tmm_err err;

		fresh();
		err = tmm_memblock_from_firmware(&mb, map, nr, 0);
		CHECK(nr <= TMM_FIRMWARE_PC_RANGES);
		CHECK(err == (ram[i] == lost ? TMM_E_NOMEM : TMM_OK));
		CHECK(tmm_memblock_memory_bytes(&mb) == ram[i] - lost);
		CHECK(tmm_memblock_end(&mb) <= (ram[i] > 3 * GB ? ram[i] + GB : ram[i]));
		tmm_memblock_check(&mb);
	}
}

/*
 * The model: a byte for each unit of a small address space.  All addresses are
 * multiples of UNIT, so that the model sees everything.
 */
#define UNIT  UINT64_C(0x1000)
#define BASE  UINT64_C(0x7000000)
#define UNITS 96u

static struct {
	uint8_t memory[UNITS];   /* 0: none, else node + 1 */
	uint8_t reserved[UNITS]; /* 0 or 1 */
} model;

static bool model_is_free(uint32_t unit, uint32_t node)
{
	return model.memory[unit] && !model.reserved[unit] &&
	       (node == TMM_NODE_ANY || model.memory[unit] == node + 1);
}

/* Free, and of one node. */
static bool model_fits(uint32_t first, uint32_t nr, uint32_t node)
{
	for (uint32_t unit = first; unit < first + nr; unit++) {
		if (!model_is_free(unit, node) || model.memory[unit] != model.memory[first])
			return false;
	}
	return true;
}

/* The first unit of the answer, or UNITS. */
static uint32_t model_find(uint32_t nr, uint32_t align, uint32_t min, uint32_t max,
                           uint32_t node)
{
	uint32_t found = UNITS;

	for (uint32_t first = min; first + nr <= max; first++) {
		if ((BASE / UNIT + first) % align || !model_fits(first, nr, node))
			continue;
		found = first;
		if (mb.bottom_up)
			break;
	}
	return found;
}

static void compare_lists(void)
{
	uint64_t cursor = 0;
	struct tmm_region region;
	uint32_t unit = 0, edges = 0;

	while (tmm_memblock_next_free(&mb, &cursor, &region)) {
		uint32_t end = (uint32_t)((region.end - BASE) / UNIT);

		for (; unit < (region.start - BASE) / UNIT; unit++)
			CHECK(!model_is_free(unit, TMM_NODE_ANY));
		CHECK(unit < end);
		for (; unit < end; unit++)
			CHECK(model_is_free(unit, region.node));
	}
	for (; unit < UNITS; unit++)
		CHECK(!model_is_free(unit, TMM_NODE_ANY));
	for (unit = 0; unit < UNITS; unit++) {
		uint8_t before = unit ? model.memory[unit - 1] : 0;

		edges += model.memory[unit] && model.memory[unit] != before;
	}
	CHECK(edges == mb.memory.nr);
	tmm_memblock_check(&mb);
}

static void random_alloc(uint64_t *seed)
{
	uint64_t r = test_random(seed);
	uint32_t nr = 1 + (uint32_t)(r & 7), align = 1u << ((r >> 3) & 3);
	uint32_t min = (uint32_t)(r >> 8) % UNITS, max = UNITS - (uint32_t)(r >> 16) % 16;
	uint32_t node = (r >> 24) & 1 ? TMM_NODE_ANY : (uint32_t)(r >> 25) & 3, found;
	bool exact_node = (r >> 28) & 1;
	struct tmm_memblock_request request = {
		.size_bytes = nr * UNIT,
		.align_bytes = align * UNIT,
		.min = BASE + min * UNIT,
		.max = BASE + max * UNIT,
		.node = node,
		.exact_node = exact_node,
	};
	tmm_paddr start = {0};

	mb.bottom_up = (r >> 29) & 1;
	found = model_find(nr, align, min, max, node);
	if (found == UNITS && !exact_node)
		found = model_find(nr, align, min, max, TMM_NODE_ANY);
	CHECK(tmm_memblock_alloc(&mb, &request, &start) ==
	      (found == UNITS ? TMM_E_NOMEM : TMM_OK));
	CHECK(start.v == (found == UNITS ? 0 : BASE + found * UNIT));
	for (uint32_t unit = found; found < UNITS && unit < found + nr; unit++)
		model.reserved[unit] = 1;
}

static void random_range(uint64_t *seed)
{
	uint64_t r = test_random(seed);
	uint32_t first = (uint32_t)(r >> 8) % UNITS;
	uint32_t nr = (uint32_t)(r >> 16) % (UNITS - first) % 24;
	uint32_t op = r & 3, node = (uint32_t)(r >> 4) & 3;
	tmm_paddr start = at(BASE + first * UNIT);

	if (op == 0)
		CHECK(tmm_memblock_add(&mb, start, nr * UNIT, node) == TMM_OK);
	else if (op == 1)
		CHECK(tmm_memblock_remove(&mb, start, nr * UNIT) == TMM_OK);
	else if (op == 2)
		CHECK(tmm_memblock_reserve(&mb, start, nr * UNIT) == TMM_OK);
	else
		CHECK(tmm_memblock_free(&mb, start, nr * UNIT) == TMM_OK);
	for (uint32_t unit = first; unit < first + nr; unit++) {
		if (op == 0 && !model.memory[unit])
			model.memory[unit] = (uint8_t)(node + 1);
		else if (op == 1)
			model.memory[unit] = 0;
		else if (op >= 2)
			model.reserved[unit] = op == 2;
	}
}

TEST(random_operations_agree_with_a_map_of_units)
{
	uint64_t seed = test_seed();

	fresh();
	memset(&model, 0, sizeof(model));
	for (int i = 0; i < 150000; i++) {
		if (test_random(&seed) & 1)
			random_alloc(&seed);
		else
			random_range(&seed);
		compare_lists();
	}
	test_note("150000 operations, TUXMM_SEED=%#llx", (unsigned long long)test_seed());
}
