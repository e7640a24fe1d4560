/*
 * slot_tree.h - a 64-bit slot for each number, in tables of a frame each
 */
#ifndef TUXMM_PAGE_SLOT_TREE_H
#define TUXMM_PAGE_SLOT_TREE_H

#include "page/page_system.h"

#define TABLE_ORDER 9u
#define TABLE_SLOTS                                                                            \
	(UINT64_C(1) << TABLE_ORDER) /* of adjacent numbers, from a multiple of that on */

/* NULL: no slot of its table was made.  Slots begin as 0. */
uint64_t *slot_find(const struct slot_tree *tree, uint64_t key);

/* With all tables on the way; NULL: there is no memory, as far as gfp goes for it. */
uint64_t *slot_make(struct tmm_pages *pages, struct slot_tree *tree, uint64_t key, tmm_gfp gfp);

/* The same of what is free now, for those who are called when memory is short. */
uint64_t *slot_make_easy(struct tmm_pages *pages, struct slot_tree *tree, uint64_t key);

/* Give the tables back; keys are below `end`. */
void slot_tree_free(struct tmm_pages *pages, struct slot_tree *tree, uint64_t end);

#endif
