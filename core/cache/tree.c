/*
 * tree.c - the radix tree behind a mapping
 *
 * A node's slots are told apart by 6 bits of the index, from bit `shift` on; the
 * slots of nodes with shift 0 are values, all others nodes with shift - 6.  The
 * root's node covers indexes from 0.  Parent links make every walk a loop.
 *
 * tree_check() asserts the invariants:
 *   I1  no node is empty
 *   I2  a child's parent, slot and shift say where it is
 *   I3  marked is a part of present; an inner slot is marked exactly if
 *       something below it is
 *   I4  the root has more than slot 0, or is a leaf: no level too many
 */
#include "cache/tree.h"

static unsigned slot_of(const struct tree_node *node, uint64_t index)
{
	return (unsigned)(index >> node->shift) & (TREE_SLOTS - 1);
}

static bool covers(const struct tree_node *root, uint64_t index)
{
	return index >> root->shift < TREE_SLOTS;
}

/* Shift of the lowest root that covers index. */
static unsigned shift_for(uint64_t index)
{
	unsigned shift = 0;

	while (index >> shift >= TREE_SLOTS)
		shift += TREE_SLOT_BITS;
	return shift;
}

static bool has(uint64_t mask, unsigned slot)
{
	return (mask >> slot) & 1;
}

static uint64_t bit(unsigned slot)
{
	return UINT64_C(1) << slot;
}

void tree_spares_push(struct tree_spares *spares, struct tree_node *node)
{
	node->parent = spares->first;
	spares->first = node;
	spares->nr++;
}

struct tree_node *tree_spares_pop(struct tree_spares *spares)
{
	struct tree_node *node = spares->first;

	if (node) {
		spares->first = node->parent;
		spares->nr--;
	}
	return node;
}

unsigned tree_nodes_needed(const struct tree *tree, uint64_t index)
{
	const struct tree_node *node = tree->root;
	unsigned shift = shift_for(index);

	if (!node)
		return shift / TREE_SLOT_BITS + 1;
	if (!covers(node, index)) /* levels on top, and a new path below the new root */
		return (shift - node->shift) / TREE_SLOT_BITS + shift / TREE_SLOT_BITS;
	while (node->shift > 0 && has(node->present, slot_of(node, index)))
		node = node->slots[slot_of(node, index)].node;
	return node->shift / TREE_SLOT_BITS;
}

static struct tree_node *node_make(struct tree_spares *spares, unsigned shift)
{
	struct tree_node *node = tree_spares_pop(spares);

	TMM_ASSERT(node); /* as many as tree_nodes_needed() said */
	node->present = node->marked = 0;
	node->parent = NULL;
	node->shift = (uint8_t)shift;
	node->slot = 0;
	return node;
}

static void hang(struct tree_node *parent, unsigned slot, struct tree_node *child)
{
	child->parent = parent;
	child->slot = (uint8_t)slot;
	parent->slots[slot].node = child;
	parent->present |= bit(slot);
	if (child->marked)
		parent->marked |= bit(slot);
}

/* Levels on top until the root covers index. */
static void grow(struct tree *tree, uint64_t index, struct tree_spares *spares)
{
	if (!tree->root)
		tree->root = node_make(spares, shift_for(index));
	while (!covers(tree->root, index)) {
		struct tree_node *top = node_make(spares, tree->root->shift + TREE_SLOT_BITS);

		hang(top, 0, tree->root);
		tree->root = top;
	}
}

void tree_insert(struct tree *tree, uint64_t index, uint64_t value, struct tree_spares *spares)
{
	struct tree_node *node;
	unsigned slot;

	TMM_ASSERT(index <= TREE_MAX_INDEX);
	grow(tree, index, spares);
	node = tree->root;
	while (node->shift > 0) {
		slot = slot_of(node, index);
		if (!has(node->present, slot))
			hang(node, slot, node_make(spares, node->shift - TREE_SLOT_BITS));
		node = node->slots[slot].node;
	}
	slot = slot_of(node, index);
	TMM_ASSERT(!has(node->present, slot));
	node->slots[slot].value = value;
	node->present |= bit(slot);
}

/* The leaf node whose slot holds index, or NULL. */
static struct tree_node *leaf_of(const struct tree *tree, uint64_t index)
{
	struct tree_node *node = tree->root;

	if (!node || !covers(node, index))
		return NULL;
	for (;;) {
		unsigned slot = slot_of(node, index);

		if (!has(node->present, slot))
			return NULL;
		if (node->shift == 0)
			return node;
		node = node->slots[slot].node;
	}
}

uint64_t tree_find(const struct tree *tree, uint64_t index)
{
	const struct tree_node *leaf = leaf_of(tree, index);

	return leaf ? leaf->slots[slot_of(leaf, index)].value : TREE_NONE;
}

void tree_replace(struct tree *tree, uint64_t index, uint64_t value)
{
	struct tree_node *leaf = leaf_of(tree, index);

	TMM_ASSERT(leaf && (leaf->present >> slot_of(leaf, index) & 1));
	leaf->slots[slot_of(leaf, index)].value = value;
}

/* Slots of node that count, from `slot` on. */
static uint64_t mask_from(const struct tree_node *node, bool only_marked, unsigned slot)
{
	uint64_t mask = only_marked ? node->marked : node->present;

	return slot < TREE_SLOTS ? mask & (~UINT64_C(0) << slot) : 0;
}

static uint64_t next_index(const struct tree *tree, uint64_t from, bool only_marked)
{
	const struct tree_node *node = tree->root;

	if (!node || !covers(node, from))
		return TREE_NONE;
	for (;;) {
		uint64_t mask = mask_from(node, only_marked, slot_of(node, from));
		uint64_t below, at;

		while (mask == 0) { /* nothing more under this node */
			unsigned slot = node->slot;

			node = node->parent;
			if (!node)
				return TREE_NONE;
			mask = mask_from(node, only_marked, slot + 1);
		}
		below = (UINT64_C(1) << (node->shift + TREE_SLOT_BITS)) - 1;
		at = (from & ~below) | (uint64_t)__builtin_ctzll(mask) << node->shift;
		from = max_u64(from, at); /* a later slot starts at its first index */
		if (node->shift == 0)
			return from;
		node = node->slots[slot_of(node, from)].node;
	}
}

uint64_t tree_next(const struct tree *tree, uint64_t from)
{
	return next_index(tree, from, false);
}

uint64_t tree_next_marked(const struct tree *tree, uint64_t from)
{
	return next_index(tree, from, true);
}

/* A slot of node lost its mark: so do the slots above that now have none below. */
static void unmark(struct tree_node *node, unsigned slot)
{
	node->marked &= ~bit(slot);
	while (node->marked == 0 && node->parent) {
		node->parent->marked &= ~bit(node->slot);
		node = node->parent;
	}
}

void tree_mark(struct tree *tree, uint64_t index, bool marked)
{
	struct tree_node *node = leaf_of(tree, index);
	unsigned slot;

	TMM_ASSERT(node);
	slot = slot_of(node, index);
	if (!marked) {
		unmark(node, slot);
		return;
	}
	for (; node && !has(node->marked, slot); node = node->parent) {
		node->marked |= bit(slot);
		slot = node->slot;
	}
}

void tree_remove(struct tree *tree, uint64_t index, struct tree_spares *spares)
{
	struct tree_node *node = leaf_of(tree, index);
	unsigned slot;

	TMM_ASSERT(node);
	slot = slot_of(node, index);
	unmark(node, slot);
	node->present &= ~bit(slot);
	while (node && node->present == 0) {
		struct tree_node *parent = node->parent;

		if (parent)
			parent->present &= ~bit(node->slot);
		else
			tree->root = NULL;
		tree_spares_push(spares, node);
		node = parent;
	}
	while (tree->root && tree->root->shift > 0 && tree->root->present == 1) {
		struct tree_node *top = tree->root;

		tree->root = top->slots[0].node;
		tree->root->parent = NULL;
		tree_spares_push(spares, top);
	}
}

/* The nodes on the way to a value. */
static void path_check(const struct tree *tree, uint64_t index)
{
	const struct tree_node *node = tree->root;

	for (;;) {
		unsigned slot = slot_of(node, index);
		const struct tree_node *child;

		TMM_ASSERT(has(node->present, slot));
		TMM_ASSERT((node->marked & ~node->present) == 0);
		if (node->shift == 0)
			return;
		child = node->slots[slot].node;
		TMM_ASSERT(child->parent == node && child->slot == slot);
		TMM_ASSERT(child->shift + TREE_SLOT_BITS == node->shift && child->present != 0);
		TMM_ASSERT(has(node->marked, slot) == (child->marked != 0));
		node = child;
	}
}

uint64_t tree_check(const struct tree *tree)
{
	uint64_t nr = 0;

	if (!tree->root)
		return 0;
	TMM_ASSERT(!tree->root->parent && tree->root->present != 0);
	TMM_ASSERT(tree->root->shift == 0 || tree->root->present != 1);
	for (uint64_t at = tree_next(tree, 0); at != TREE_NONE; at = tree_next(tree, at + 1)) {
		path_check(tree, at);
		nr++;
	}
	return nr;
}
