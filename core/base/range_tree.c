/*
 * range_tree.c - a B-tree of ranges with the longest gap below each slot
 *
 * Every node has up to RANGE_SLOTS slots.  A slot of a leaf (level 0) is a range;
 * a slot of an inner node is a node one level lower, with the first start, the
 * last end and the longest gap of what is below it.  A gap between two children
 * of a node is the node's own, seen from their bounds; so a change touches the
 * path from one leaf to the root and nothing beside it.
 *
 * Insertion splits full nodes and removal feeds poor ones on the way down, which
 * leaves room for what may come from below: one pass, no way back up but to
 * refresh the slots.  range_tree_check() asserts the invariants:
 *   I1  slots of a node are in rising order and do not overlap
 *   I2  a slot's start, end and gap are those of what is below it
 *   I3  unused slots end at UINT64_MAX, so that a search needs no count
 *   I4  leaves are at level 0, the root at height - 1, each level one lower
 *   I5  a node but the root has at least RANGE_MIN_SLOTS slots, an inner root two
 *   I6  the list of ranges is the leaves' slots in order; counts agree
 */
#include "base/range_tree.h"

struct range_node {
	uint64_t end[RANGE_SLOTS];
	uint64_t start[RANGE_SLOTS];
	uint64_t gap[RANGE_SLOTS]; /* leaves: 0 */
	void *below[RANGE_SLOTS];  /* struct range, or struct range_node */
	uint32_t nr;               /* slots in use */
	uint32_t level;
	struct range_node *next_stock;
};

_Static_assert(sizeof(struct range_node) <= RANGE_NODE_BYTES, "a node fits its block");

/* A way from the root down: node[level] and the slot taken there. */
struct path {
	struct range_node *node[RANGE_MAX_HEIGHT];
	unsigned slot[RANGE_MAX_HEIGHT];
};

void range_tree_stock(struct range_tree *tree, void *node)
{
	struct range_node *spare = node;

	spare->next_stock = tree->stock;
	tree->stock = spare;
	tree->nr_stock++;
}

void *range_tree_unstock(struct range_tree *tree, unsigned keep)
{
	struct range_node *spare = tree->stock;

	if (tree->nr_stock <= keep)
		return NULL;
	tree->stock = spare->next_stock;
	tree->nr_stock--;
	return spare;
}

static struct range_node *node_new(struct range_tree *tree, unsigned level)
{
	struct range_node *node = range_tree_unstock(tree, 0);

	TMM_ASSERT(node); /* the caller stocked what range_tree_lacks() said */
	for (unsigned i = 0; i < RANGE_SLOTS; i++)
		node->end[i] = UINT64_MAX;
	node->nr = 0;
	node->level = level;
	tree->nr_nodes++;
	return node;
}

static void node_drop(struct range_tree *tree, struct range_node *node)
{
	tree->nr_nodes--;
	range_tree_stock(tree, node);
}

/*
 * The first slot that ends above addr; RANGE_SLOTS or an unused one when none
 * does.  Every fourth slot, then three between: no branch, and little that waits
 * for what comes before it.
 */
static ALWAYS_INLINE unsigned node_search(const struct range_node *node, uint64_t addr)
{
	const uint64_t *end = node->end;
	unsigned slot = 0;

	for (unsigned i = 3; i < RANGE_SLOTS; i += 4)
		slot += end[i] <= addr ? 4 : 0;
	end += slot;
	return slot + (end[0] <= addr) + (end[1] <= addr) + (end[2] <= addr);
}

_Static_assert(RANGE_SLOTS == 15, "node_search() looks at groups of four");

static uint64_t node_gap(const struct range_node *node)
{
	uint64_t gap = node->gap[0];

	for (unsigned i = 1; i < node->nr; i++) {
		gap = max_u64(gap, node->gap[i]);
		gap = max_u64(gap, node->start[i] - node->end[i - 1]);
	}
	return gap;
}

static void slots_move(struct range_node *to, unsigned at, const struct range_node *from,
                       unsigned first, unsigned nr)
{
	memmove(&to->end[at], &from->end[first], nr * sizeof(to->end[0]));
	memmove(&to->start[at], &from->start[first], nr * sizeof(to->start[0]));
	memmove(&to->gap[at], &from->gap[first], nr * sizeof(to->gap[0]));
	memmove(&to->below[at], &from->below[first], nr * sizeof(to->below[0]));
}

static void slots_open(struct range_node *node, unsigned at, unsigned nr)
{
	slots_move(node, at + nr, node, at, node->nr - at);
	node->nr += nr;
}

static void slots_close(struct range_node *node, unsigned at, unsigned nr)
{
	slots_move(node, at, node, at + nr, node->nr - at - nr);
	node->nr -= nr;
	for (unsigned i = 0; i < nr; i++)
		node->end[node->nr + i] = UINT64_MAX;
}

/* Make slot `at` of an inner node say what is below it. */
static void slot_fill(struct range_node *node, unsigned at)
{
	const struct range_node *child = node->below[at];

	node->start[at] = child->start[0];
	node->end[at] = child->end[child->nr - 1];
	node->gap[at] = node_gap(child);
}

/* The leaf at path->node[0] has changed. */
static void path_refresh(const struct range_tree *tree, const struct path *path)
{
	for (unsigned level = 1; level < tree->height; level++) {
		struct range_node *node = path->node[level];
		unsigned at = path->slot[level];
		uint64_t start = node->start[at], end = node->end[at], gap = node->gap[at];

		slot_fill(node, at);
		if (node->start[at] == start && node->end[at] == end && node->gap[at] == gap)
			return; /* nothing above can differ */
	}
}

static void path_find(const struct range_tree *tree, const struct range *range,
                      struct path *path)
{
	struct range_node *node = tree->root;

	for (unsigned level = tree->height; level-- > 0;) {
		unsigned slot = node_search(node, range->start);

		path->node[level] = node;
		path->slot[level] = slot;
		if (level > 0)
			node = node->below[slot];
	}
	TMM_ASSERT(path->node[0]->below[path->slot[0]] == range); /* it is in this tree */
}

struct range *range_tree_find(const struct range_tree *tree, uint64_t addr)
{
	const struct range_node *node = tree->root;
	unsigned slot;

	if (unlikely(!node || addr >= node->end[node->nr - 1]))
		return NULL;
	for (unsigned level = tree->height - 1; level > 0; level--)
		node = node->below[node_search(node, addr)];
	slot = node_search(node, addr);
	return node->below[slot];
}

static void root_grow(struct range_tree *tree)
{
	struct range_node *root;

	TMM_ASSERT(tree->height < RANGE_MAX_HEIGHT);
	root = node_new(tree, tree->height);
	if (tree->root) {
		root->nr = 1;
		root->below[0] = tree->root;
		slot_fill(root, 0);
	}
	tree->root = root;
	tree->height++;
}

/*
 * Split the full child at `slot` of a node with room.  Where ranges come in
 * rising or falling order the half that will not grow keeps more.
 */
static void child_split(struct range_tree *tree, struct range_node *node, unsigned slot,
                        uint64_t addr)
{
	struct range_node *child = node->below[slot];
	struct range_node *right = node_new(tree, child->level);
	unsigned keep = RANGE_SLOTS / 2;

	if (addr >= child->end[RANGE_SLOTS - 1])
		keep = RANGE_SLOTS - RANGE_MIN_SLOTS;
	else if (addr < child->start[0])
		keep = RANGE_MIN_SLOTS;
	slots_move(right, 0, child, keep, RANGE_SLOTS - keep);
	right->nr = RANGE_SLOTS - keep;
	slots_close(child, keep, right->nr);

	slots_open(node, slot + 1, 1);
	node->below[slot + 1] = right;
	slot_fill(node, slot);
	slot_fill(node, slot + 1);
}

static void list_link(struct range_tree *tree, const struct range_node *leaf, unsigned slot,
                      struct range *range)
{
	if (slot < leaf->nr) {
		range->next = leaf->below[slot];
		range->prev = range->next->prev;
	} else {
		range->prev = slot ? leaf->below[slot - 1] : NULL;
		range->next = range->prev ? range->prev->next : NULL;
	}
	*(range->prev ? &range->prev->next : &tree->first) = range;
	*(range->next ? &range->next->prev : &tree->last) = range;
}

void range_tree_insert(struct range_tree *tree, struct range *range)
{
	struct path path;
	struct range_node *node;
	unsigned slot;

	if (!tree->root || tree->root->nr == RANGE_SLOTS)
		root_grow(tree);
	node = tree->root;
	for (unsigned level = tree->height - 1; level > 0; level--) {
		slot = node_search(node, range->start);
		if (slot >= node->nr)
			slot = node->nr - 1;
		if (((struct range_node *)node->below[slot])->nr == RANGE_SLOTS) {
			child_split(tree, node, slot, range->start);
			slot += slot + 1 < node->nr && node->end[slot] <= range->start;
		}
		path.node[level] = node;
		path.slot[level] = slot;
		node = node->below[slot];
	}
	slot = node_search(node, range->start);
	if (slot > node->nr)
		slot = node->nr;
	path.node[0] = node;
	list_link(tree, node, slot, range);
	TMM_ASSERT(range->start < range->end);
	TMM_ASSERT(!range->prev || range->prev->end <= range->start);
	TMM_ASSERT(!range->next || range->end <= range->next->start);

	slots_open(node, slot, 1);
	node->start[slot] = range->start;
	node->end[slot] = range->end;
	node->gap[slot] = 0;
	node->below[slot] = range;
	tree->nr_ranges++;
	path_refresh(tree, &path);
}

/* Move all slots of the child after `slot` into that at `slot`. */
static void children_join(struct range_tree *tree, struct range_node *node, unsigned slot)
{
	struct range_node *left = node->below[slot], *right = node->below[slot + 1];

	slots_move(left, left->nr, right, 0, right->nr);
	left->nr += right->nr;
	node_drop(tree, right);
	slots_close(node, slot + 1, 1);
	slot_fill(node, slot);
}

/* Give the children at `slot` and after it equally many slots. */
static void children_even(struct range_node *node, unsigned slot)
{
	struct range_node *left = node->below[slot], *right = node->below[slot + 1];
	unsigned want = (left->nr + right->nr) / 2;

	if (left->nr < want) {
		unsigned nr = want - left->nr;

		slots_move(left, left->nr, right, 0, nr);
		left->nr += nr;
		slots_close(right, 0, nr);
	} else if (left->nr > want) {
		unsigned nr = left->nr - want;

		slots_open(right, 0, nr);
		slots_move(right, 0, left, want, nr);
		slots_close(left, want, nr);
	}
	slot_fill(node, slot);
	slot_fill(node, slot + 1);
}

/* Make sure that the child at `slot`, a poor one, can lose a slot; returns where it is. */
static unsigned child_feed(struct range_tree *tree, struct range_node *node, unsigned slot,
                           uint64_t addr)
{
	unsigned left = slot ? slot - 1 : 0;
	const struct range_node *a = node->below[left], *b = node->below[left + 1];

	/* a node just joined should not be split by the next insertion */
	if (a->nr + b->nr <= RANGE_SLOTS - 3) {
		children_join(tree, node, left);
		return left;
	}
	children_even(node, left);
	return left + (node->end[left] <= addr);
}

void range_tree_remove(struct range_tree *tree, struct range *range)
{
	struct path path;
	struct range_node *node = tree->root;
	unsigned slot;

	for (unsigned level = tree->height; level-- > 1;) {
		struct range_node *child;

		slot = node_search(node, range->start);
		child = node->below[slot];
		if (child->nr == RANGE_MIN_SLOTS)
			slot = child_feed(tree, node, slot, range->start);
		path.node[level] = node;
		path.slot[level] = slot;
		node = node->below[slot];
	}
	slot = node_search(node, range->start);
	TMM_ASSERT(slot < node->nr && node->below[slot] == range);
	slots_close(node, slot, 1);
	path.node[0] = node;
	if (node->nr)
		path_refresh(tree, &path);

	*(range->prev ? &range->prev->next : &tree->first) = range->next;
	*(range->next ? &range->next->prev : &tree->last) = range->prev;
	range->prev = range->next = NULL;
	tree->nr_ranges--;

	/* Only a root can be this poor. */
	while (tree->height > 0 && tree->root->nr == (tree->height > 1 ? 1u : 0u)) {
		node = tree->root;
		tree->root = tree->height > 1 ? node->below[0] : NULL;
		tree->height--;
		node_drop(tree, node);
	}
}

void range_tree_resize(struct range_tree *tree, struct range *range, uint64_t start,
                       uint64_t end)
{
	struct path path;

	TMM_ASSERT(start < end);
	TMM_ASSERT(!range->prev || range->prev->end <= start);
	TMM_ASSERT(!range->next || end <= range->next->start);
	path_find(tree, range, &path);
	range->start = path.node[0]->start[path.slot[0]] = start;
	range->end = path.node[0]->end[path.slot[0]] = end;
	path_refresh(tree, &path);
}

/* What a search for room wants. */
struct wish {
	uint64_t low, high, length;
};

static bool gap_suits(const struct wish *wish, uint64_t start, uint64_t end, bool at_end,
                      uint64_t *out)
{
	start = max_u64(start, wish->low);
	end = min_u64(end, wish->high);
	if (end <= start || end - start < wish->length)
		return false;
	*out = at_end ? end - wish->length : start;
	return true;
}

static bool slot_may_suit(const struct wish *wish, const struct range_node *node, unsigned slot)
{
	return node->gap[slot] >= wish->length && node->start[slot] < wish->high &&
	       node->end[slot] > wish->low;
}

/*
 * The highest suitable gap between two ranges.  From right to left, at each slot
 * first what is below it, then the gap before it.
 */
static bool inner_gap_last(const struct range_tree *tree, const struct wish *wish,
                           uint64_t *out)
{
	struct path path;
	unsigned level = tree->height - 1;

	path.node[level] = tree->root;
	path.slot[level] = tree->root->nr;
	for (;;) {
		struct range_node *node = path.node[level];
		unsigned slot = path.slot[level];

		/* The gap before the slot that was seen last. */
		if (slot > 0 && slot < node->nr &&
		    gap_suits(wish, node->end[slot - 1], node->start[slot], true, out))
			return true;
		if (slot == 0) {
			if (++level == tree->height)
				return false;
			continue;
		}
		path.slot[level] = --slot;
		if (level > 0 && slot_may_suit(wish, node, slot)) {
			path.node[--level] = node->below[slot];
			path.slot[level] = path.node[level]->nr;
		}
	}
}

/* The same from left to right: the gap before each slot, then what is below it. */
static bool inner_gap_first(const struct range_tree *tree, const struct wish *wish,
                            uint64_t *out)
{
	struct path path;
	unsigned level = tree->height - 1;

	path.node[level] = tree->root;
	path.slot[level] = 0;
	for (;;) {
		struct range_node *node = path.node[level];
		unsigned slot = path.slot[level];

		if (slot == node->nr) {
			if (++level == tree->height)
				return false;
			continue;
		}
		if (slot > 0 &&
		    gap_suits(wish, node->end[slot - 1], node->start[slot], false, out))
			return true;
		path.slot[level] = slot + 1;
		if (level > 0 && slot_may_suit(wish, node, slot)) {
			path.node[--level] = node->below[slot];
			path.slot[level] = 0;
		}
	}
}

bool range_tree_gap_last(const struct range_tree *tree, uint64_t low, uint64_t high,
                         uint64_t length, uint64_t *out)
{
	struct wish wish = {low, high, length};

	if (!tree->root)
		return gap_suits(&wish, 0, UINT64_MAX, true, out);
	return gap_suits(&wish, tree->last->end, UINT64_MAX, true, out) ||
	       inner_gap_last(tree, &wish, out) ||
	       gap_suits(&wish, 0, tree->first->start, true, out);
}

bool range_tree_gap_first(const struct range_tree *tree, uint64_t low, uint64_t high,
                          uint64_t length, uint64_t *out)
{
	struct wish wish = {low, high, length};

	if (!tree->root)
		return gap_suits(&wish, 0, UINT64_MAX, false, out);
	return gap_suits(&wish, 0, tree->first->start, false, out) ||
	       inner_gap_first(tree, &wish, out) ||
	       gap_suits(&wish, tree->last->end, UINT64_MAX, false, out);
}

/* I1, I3 and I5 of one node. */
static void node_check(const struct range_tree *tree, const struct range_node *node)
{
	unsigned least = node->level > 0 ? 2 : 1;

	TMM_ASSERT(node->nr <= RANGE_SLOTS);
	TMM_ASSERT(node->nr >= (node == tree->root ? least : RANGE_MIN_SLOTS));
	for (unsigned i = 0; i < node->nr; i++) {
		TMM_ASSERT(node->start[i] < node->end[i]);
		TMM_ASSERT(i == 0 || node->end[i - 1] <= node->start[i]);
		TMM_ASSERT(node->level > 0 || node->gap[i] == 0);
	}
	for (unsigned i = node->nr; i < RANGE_SLOTS; i++)
		TMM_ASSERT(node->end[i] == UINT64_MAX);
}

/* I2 and I4 of an inner slot. */
static void slot_check(const struct range_node *node, unsigned slot)
{
	const struct range_node *child = node->below[slot];

	TMM_ASSERT(child->level + 1 == node->level);
	TMM_ASSERT(node->start[slot] == child->start[0]);
	TMM_ASSERT(node->end[slot] == child->end[child->nr - 1]);
	TMM_ASSERT(node->gap[slot] == node_gap(child));
}

void range_tree_check(const struct range_tree *tree)
{
	struct path path;
	const struct range *range = tree->first;
	uint64_t nr_ranges = 0, nr_nodes = tree->root ? 1 : 0;
	unsigned level = tree->height - 1;

	TMM_ASSERT(!tree->root == !tree->height && !tree->root == !tree->nr_ranges);
	TMM_ASSERT(!tree->first == !tree->root && !tree->last == !tree->root);
	if (!tree->root)
		return;
	TMM_ASSERT(tree->root->level == level && !tree->first->prev && !tree->last->next);
	node_check(tree, tree->root);
	path.node[level] = tree->root;
	path.slot[level] = 0;
	while (level < tree->height) {
		struct range_node *node = path.node[level];
		unsigned slot = path.slot[level]++;

		if (slot == node->nr) {
			level++;
		} else if (level > 0) {
			slot_check(node, slot);
			path.node[--level] = node->below[slot];
			path.slot[level] = 0;
			node_check(tree, path.node[level]);
			nr_nodes++;
		} else {
			TMM_ASSERT(node->below[slot] == range);
			TMM_ASSERT(node->start[slot] == range->start);
			TMM_ASSERT(node->end[slot] == range->end);
			TMM_ASSERT(range->next ? range->next->prev == range
			                       : tree->last == range);
			range = range->next;
			nr_ranges++;
		}
	}
	TMM_ASSERT(!range && nr_ranges == tree->nr_ranges && nr_nodes == tree->nr_nodes);
}
