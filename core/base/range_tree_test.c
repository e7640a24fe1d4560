/*
 * range_tree_test.c - the tree against an array, and its searches for room
 */
#include <stdlib.h>
#include <string.h>

#include "base/range_tree.h"
#include "test.h"

#define MAX_RANGES 4000
#define UNIT       UINT64_C(4096)

static struct range_tree tree;
static struct range ranges[MAX_RANGES];
static char *nodes, *nodes_end;

static void tree_start(void)
{
	memset(&tree, 0, sizeof(tree));
	memset(ranges, 0, sizeof(ranges));
	nodes = test_ram(4 << 20);
	nodes_end = nodes + (4 << 20);
}

static void insert(struct range *range, uint64_t start, uint64_t end)
{
	for (unsigned lacks = range_tree_lacks(&tree, 1); lacks > 0; lacks--) {
		CHECK(nodes + RANGE_NODE_BYTES <= nodes_end);
		range_tree_stock(&tree, nodes);
		nodes += RANGE_NODE_BYTES;
	}
	range->start = start;
	range->end = end;
	range_tree_insert(&tree, range);
}

/*
 *   0    1    2    3    4    5    6    7    8
 *   |    |aaaa|    |    |bbbb|bbbb|    |cccc|
 *
 * find(x) is the first range that ends above x.
 */
TEST(find_gives_the_first_range_that_ends_above)
{
	tree_start();
	CHECK(!range_tree_find(&tree, 0));
	insert(&ranges[1], 4 * UNIT, 6 * UNIT);
	insert(&ranges[2], 7 * UNIT, 8 * UNIT);
	insert(&ranges[0], 1 * UNIT, 2 * UNIT);
	CHECK(range_tree_find(&tree, 0) == &ranges[0]);
	CHECK(range_tree_find(&tree, 2 * UNIT - 1) == &ranges[0]);
	CHECK(range_tree_find(&tree, 2 * UNIT) == &ranges[1]);
	CHECK(range_tree_find(&tree, 6 * UNIT) == &ranges[2]);
	CHECK(!range_tree_find(&tree, 8 * UNIT));
	CHECK(!range_tree_find(&tree, UINT64_MAX));
	CHECK(ranges[0].next == &ranges[1] && ranges[2].prev == &ranges[1]);
	range_tree_check(&tree);
}

/*
 *   0    1    2    3    4    5    6    7    8
 *   |    |aaaa|    |    |bbbb|bbbb|    |cccc|     room for one, two, three
 */
TEST(gaps_are_found_from_both_ends)
{
	uint64_t at = 7;

	tree_start();
	CHECK(range_tree_gap_last(&tree, 0, 8 * UNIT, UNIT, &at) && at == 7 * UNIT);
	insert(&ranges[0], 1 * UNIT, 2 * UNIT);
	insert(&ranges[1], 4 * UNIT, 6 * UNIT);
	insert(&ranges[2], 7 * UNIT, 8 * UNIT);
	CHECK(range_tree_gap_last(&tree, 0, 8 * UNIT, UNIT, &at) && at == 6 * UNIT);
	CHECK(range_tree_gap_last(&tree, 0, 8 * UNIT, 2 * UNIT, &at) && at == 2 * UNIT);
	CHECK(!range_tree_gap_last(&tree, 0, 8 * UNIT, 3 * UNIT, &at) && at == 2 * UNIT);
	CHECK(range_tree_gap_last(&tree, 0, 20 * UNIT, 3 * UNIT, &at) && at == 17 * UNIT);
	CHECK(range_tree_gap_first(&tree, 0, 8 * UNIT, UNIT, &at) && at == 0);
	CHECK(range_tree_gap_first(&tree, UNIT, 8 * UNIT, UNIT, &at) && at == 2 * UNIT);
	CHECK(range_tree_gap_first(&tree, 3 * UNIT, 20 * UNIT, 2 * UNIT, &at) &&
	      at == 8 * UNIT);
	CHECK(range_tree_gap_last(&tree, 0, 3 * UNIT + 1, UNIT, &at) && at == 2 * UNIT + 1);
}

static uint8_t owned[4096]; /* model: which unit is in a range */

static bool model_gap(uint64_t low, uint64_t high, uint64_t length, bool last, uint64_t *out)
{
	for (uint64_t n = 0; n + length + low <= high; n++) {
		uint64_t at = last ? high - length - n : low + n;
		uint64_t i = 0;

		while (i < length && !owned[at + i])
			i++;
		if (i == length) {
			*out = at;
			return true;
		}
	}
	return false;
}

static void compare_gaps(uint64_t *seed)
{
	uint64_t low = test_random(seed) % 4096, high = test_random(seed) % 4097;
	uint64_t length = 1 + test_random(seed) % 40, model = 0, got = 0;

	for (int last = 0; last <= 1; last++) {
		bool expect = model_gap(low, high, length, last, &model);
		bool found = last ? range_tree_gap_last(&tree, low, high, length, &got)
		                  : range_tree_gap_first(&tree, low, high, length, &got);

		CHECK(found == expect);
		CHECK(!found || got == model);
	}
}

static void one_operation(uint64_t *seed, bool growing)
{
	uint64_t at = test_random(seed) % 4096, length = 1 + test_random(seed) % 3;
	struct range *range = range_tree_find(&tree, at);

	if (range && range->start <= at) {
		if (test_random(seed) % 4 < (growing ? 1u : 3u)) {
			memset(&owned[range->start], 0, range->end - range->start);
			range_tree_remove(&tree, range);
			range->end = 0;
		} else if (range->end - range->start > 1) {
			owned[range->start] = 0;
			range_tree_resize(&tree, range, range->start + 1, range->end);
		}
		return;
	}
	if (at + length > 4096 || (range && at + length > range->start))
		return;
	for (unsigned i = 0; i < MAX_RANGES; i++) {
		if (ranges[i].end)
			continue;
		memset(&owned[at], 1, length);
		insert(&ranges[i], at, at + length);
		return;
	}
}

TEST(random_operations_agree_with_an_array)
{
	uint64_t seed = test_seed();

	tree_start();
	memset(owned, 0, sizeof(owned));
	for (unsigned n = 0; n < 200000; n++) {
		one_operation(&seed, (n / 10000) % 2 == 0);
		if (n % 50 == 0)
			compare_gaps(&seed);
		if (n % 100 == 0)
			range_tree_check(&tree);
	}
	for (uint64_t at = 0; at < 4096; at++) {
		struct range *range = range_tree_find(&tree, at);

		CHECK(owned[at] == (range && range->start <= at));
	}
	while (tree.first)
		range_tree_remove(&tree, tree.first);
	range_tree_check(&tree);
	CHECK(tree.nr_nodes == 0);
}

TEST(ranges_in_order_fill_nodes_well)
{
	tree_start();
	for (unsigned i = 0; i < MAX_RANGES; i++)
		insert(&ranges[i], i * 2 * UNIT, i * 2 * UNIT + UNIT);
	range_tree_check(&tree);
	test_note("%u rising ranges: height %u, %llu nodes", MAX_RANGES, tree.height,
	          (unsigned long long)tree.nr_nodes);
	CHECK(tree.nr_nodes * 8 <= MAX_RANGES);
}

static void insert_overlapping(void *arg)
{
	(void)arg;
	insert(&ranges[1], 3, 5);
}

TEST(an_overlap_is_a_broken_rule)
{
	tree_start();
	insert(&ranges[0], 4, 8);
	CHECK(test_panics(insert_overlapping, NULL));
}
