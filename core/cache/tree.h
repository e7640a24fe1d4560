/*
 * tree.h - a file's pages by their index: a radix tree of 64 slots a node
 *
 * The tree is as high as its largest index asks; a node that becomes empty goes
 * at once.  An entry can be marked, and marked entries are found without
 * visiting the others.  Nothing here allocates: the caller brings the nodes that
 * tree_nodes_needed() asks for, so that an insertion cannot fail.
 *
 * Units    index: any 32-bit number
 * Locks    the caller's
 * Linux    struct xarray, with one mark
 */
#ifndef TUXMM_CACHE_TREE_H
#define TUXMM_CACHE_TREE_H

#include "base/base.h"

#define TREE_SLOT_BITS 6u
#define TREE_SLOTS     (1u << TREE_SLOT_BITS)
#define TREE_MAX_INDEX UINT64_C(0xffffffff)
#define TREE_NONE      UINT64_MAX

/* A path has at most this many nodes: 32 bits of index, 6 a level. */
#define TREE_MAX_NODES 6u

/* All guarded by the caller's lock. */
struct tree_node {
	uint64_t present; /* slots in use */
	uint64_t marked;  /* of them: marked, or with something marked below */
	struct tree_node *parent;
	uint8_t shift; /* index bits below this node's slots; 0: slots are values */
	uint8_t slot;  /* of the parent */
	union {
		struct tree_node *node;
		uint64_t value;
	} slots[TREE_SLOTS];
};

struct tree {
	struct tree_node *root; /* NULL: empty */
};

/* Nodes by their parent pointer: what an insertion may take, and leaves over. */
struct tree_spares {
	struct tree_node *first;
	unsigned nr;
};

/* How many nodes an insertion at index would add. */
unsigned tree_nodes_needed(const struct tree *tree, uint64_t index);

/* Nothing is there yet (asserted); spares has as many nodes as are needed (asserted). */
void tree_insert(struct tree *tree, uint64_t index, uint64_t value, struct tree_spares *spares);

/* The value at index, or TREE_NONE. */
uint64_t tree_find(const struct tree *tree, uint64_t index);

/* The first index >= from that has a value, or is marked; TREE_NONE: none. */
uint64_t tree_next(const struct tree *tree, uint64_t from);
uint64_t tree_next_marked(const struct tree *tree, uint64_t from);

/* Something is at index (asserted) and stays marked as it is. */
void tree_replace(struct tree *tree, uint64_t index, uint64_t value);

/* Something is at index (asserted). */
void tree_mark(struct tree *tree, uint64_t index, bool marked);

/* Remove what is at index (asserted); empty nodes go to spares, for the caller to free. */
void tree_remove(struct tree *tree, uint64_t index, struct tree_spares *spares);

void tree_spares_push(struct tree_spares *spares, struct tree_node *node);
struct tree_node *tree_spares_pop(struct tree_spares *spares);

/* Panics unless masks, shifts, parents and counts agree; returns the values in it. */
uint64_t tree_check(const struct tree *tree);

#endif
