/*
 * range_tree.h - disjoint ranges of a 64-bit space, sorted, with their gaps
 *
 * A B-tree whose leaves hold [start, end) of each range beside the pointer to
 * it, so that a search touches one line or two a level.  Each slot of an inner
 * node knows the longest gap between two ranges below it, which finds room for
 * a new range in one descent.  Ranges are linked in rising order too.
 *
 * The tree allocates nothing: the caller stocks it with nodes, blocks of
 * RANGE_NODE_BYTES, so that an insertion cannot fail half way.
 *
 * Locks    the caller's
 * Linux    lib/maple_tree.c
 */
#ifndef TUXMM_BASE_RANGE_TREE_H
#define TUXMM_BASE_RANGE_TREE_H

#include "base/base.h"

#define RANGE_SLOTS      15u
#define RANGE_NODE_BYTES 512u

/* A node but the root has at least five slots in use: 5^12 ranges are plenty. */
#define RANGE_MIN_SLOTS  5u
#define RANGE_MAX_HEIGHT 12u

/* Embedded in what the tree sorts; all fields are the tree's to change. */
struct range {
	uint64_t start, end; /* start < end */
	struct range *prev, *next;
};

struct range_node;

struct range_tree {
	struct range_node *root; /* NULL: empty */
	struct range *first, *last;
	struct range_node *stock; /* spare nodes */
	uint32_t nr_stock;
	uint32_t height; /* levels of nodes; 0: empty */
	uint64_t nr_ranges;
	uint64_t nr_nodes; /* in use */
};

/* An empty tree is all zeroes. */

/* Spare nodes that nr insertions may need and the stock does not have. */
static inline unsigned range_tree_lacks(const struct range_tree *tree, unsigned nr)
{
	unsigned worst = nr * (tree->height + 1);

	return worst > tree->nr_stock ? worst - tree->nr_stock : 0;
}

/* Add a node to the stock; take one back, NULL when the stock has at most `keep`. */
void range_tree_stock(struct range_tree *tree, void *node);
void *range_tree_unstock(struct range_tree *tree, unsigned keep);

/* The first range that ends above addr, or NULL. */
struct range *range_tree_find(const struct range_tree *tree, uint64_t addr);

/* The range overlaps none (asserted); the stock suffices (asserted). */
void range_tree_insert(struct range_tree *tree, struct range *range);
void range_tree_remove(struct range_tree *tree, struct range *range);

/* Give a range new bounds that keep its place among the others (asserted). */
void range_tree_resize(struct range_tree *tree, struct range *range, uint64_t start,
                       uint64_t end);

/*
 * The highest (or lowest) free [*out, *out + length) within [low, high).
 * length != 0.  False when there is none; *out is left alone then.
 */
bool range_tree_gap_last(const struct range_tree *tree, uint64_t low, uint64_t high,
                         uint64_t length, uint64_t *out);
bool range_tree_gap_first(const struct range_tree *tree, uint64_t low, uint64_t high,
                          uint64_t length, uint64_t *out);

/* Panics unless the invariants of range_tree.c hold. */
void range_tree_check(const struct range_tree *tree);

#endif
