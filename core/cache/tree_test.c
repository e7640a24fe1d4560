/*
 * tree_test.c - the tree against a plain array
 */
#include <stdlib.h>

#include "cache/tree.h"
#include "test.h"

#define NR_PLACES 600u

static struct tree_node pool[4096];

struct forest {
	struct tree tree;
	struct tree_spares spares; /* nodes not in the tree */
	uint64_t place[NR_PLACES]; /* rising indexes that are used */
	uint64_t value[NR_PLACES]; /* TREE_NONE: nothing there */
	bool marked[NR_PLACES];
};

static struct forest f;

static void begin(void)
{
	f.tree.root = NULL;
	f.spares = (struct tree_spares){NULL, 0};
	for (unsigned i = 0; i < sizeof(pool) / sizeof(pool[0]); i++)
		tree_spares_push(&f.spares, &pool[i]);
	for (unsigned i = 0; i < NR_PLACES; i++) {
		f.value[i] = TREE_NONE;
		f.marked[i] = false;
	}
}

static void insert(uint64_t index, uint64_t value)
{
	unsigned needed = tree_nodes_needed(&f.tree, index), before = f.spares.nr;

	CHECK(needed <= 2 * TREE_MAX_NODES);
	tree_insert(&f.tree, index, value, &f.spares);
	CHECK(before - f.spares.nr == needed);
}

static void end(void)
{
	uint64_t at;

	while ((at = tree_next(&f.tree, 0)) != TREE_NONE)
		tree_remove(&f.tree, at, &f.spares);
	CHECK(f.tree.root == NULL);
	CHECK(f.spares.nr == sizeof(pool) / sizeof(pool[0]));
}

/*
 *   index 5   one node         5 and 2^32 - 1   six levels, two paths
 */
TEST(a_tree_is_as_high_as_its_largest_index)
{
	begin();
	insert(5, 50);
	CHECK(tree_nodes_needed(&f.tree, 63) == 0);
	CHECK(tree_nodes_needed(&f.tree, TREE_MAX_INDEX) == 10);
	insert(TREE_MAX_INDEX, 60);
	CHECK(tree_find(&f.tree, 5) == 50 && tree_find(&f.tree, TREE_MAX_INDEX) == 60);
	CHECK(tree_check(&f.tree) == 2);
	tree_remove(&f.tree, TREE_MAX_INDEX, &f.spares);
	CHECK(f.tree.root->shift == 0 && tree_find(&f.tree, 5) == 50);
	end();
}

TEST(next_crosses_borders_of_nodes)
{
	begin();
	insert(63, 1);
	insert(64, 2);
	insert(4096 + 63, 3);
	insert(UINT64_C(1) << 30, 4);
	CHECK(tree_next(&f.tree, 0) == 63 && tree_next(&f.tree, 64) == 64);
	CHECK(tree_next(&f.tree, 65) == 4096 + 63);
	CHECK(tree_next(&f.tree, 4096 + 64) == UINT64_C(1) << 30);
	CHECK(tree_next(&f.tree, (UINT64_C(1) << 30) + 1) == TREE_NONE);
	CHECK(tree_next(&f.tree, UINT64_MAX) == TREE_NONE);
	end();
}

/* ---- random operations -------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Clusters, borders and loners over all 32 bits. */
static void choose_places(uint64_t *random)
{
	uint64_t near = 0;

	for (unsigned i = 0; i < NR_PLACES; i++) {
		uint64_t r = test_random(random) >> 16;

		if (r % 16 == 0)
			near = (r >> 8) & (TREE_MAX_INDEX >> (r >> 4) % 32);
		near = (near + 1 + (r >> 40) % 3) & TREE_MAX_INDEX;
		f.place[i] = near;
	}
	qsort(f.place, NR_PLACES, sizeof(f.place[0]), by_number);
	for (unsigned i = 1; i < NR_PLACES; i++) {
		if (f.place[i] <= f.place[i - 1])
			f.place[i] = f.place[i - 1] + 1;
	}
}

static void find_agrees(uint64_t *random)
{
	uint64_t from = f.place[test_random(random) % NR_PLACES] + test_random(random) % 3;
	uint64_t next = TREE_NONE, marked = TREE_NONE;

	for (unsigned i = NR_PLACES; i-- > 0 && f.place[i] >= from;) {
		if (f.value[i] != TREE_NONE)
			next = f.place[i];
		if (f.marked[i])
			marked = f.place[i];
	}
	CHECK(tree_next(&f.tree, from) == next);
	CHECK(tree_next_marked(&f.tree, from) == marked);
}

TEST(random_operations_agree_with_an_array)
{
	uint64_t random = test_seed(), nr = 0;

	begin();
	choose_places(&random);
	for (unsigned n = 0; n < 100000; n++) {
		unsigned i = (unsigned)(test_random(&random) >> 20) % NR_PLACES;
		bool mark = test_random(&random) >> 63;

		CHECK(tree_find(&f.tree, f.place[i]) == f.value[i]);
		if (f.value[i] == TREE_NONE) {
			f.value[i] = n;
			insert(f.place[i], n);
			nr++;
		} else if (test_random(&random) >> 62 == 0 || n % 4096 > 3000) {
			tree_remove(&f.tree, f.place[i], &f.spares);
			f.value[i] = TREE_NONE;
			f.marked[i] = false;
			nr--;
		} else {
			tree_mark(&f.tree, f.place[i], mark);
			f.marked[i] = mark;
		}
		if (n % 16 == 0)
			find_agrees(&random);
		if (n % 1024 == 0)
			CHECK(tree_check(&f.tree) == nr);
	}
	end();
}
