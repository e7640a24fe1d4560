/*
 * pgtable_impl.h - stepping from table to table, for the files of this folder
 */
#ifndef TUXMM_MAP_PGTABLE_IMPL_H
#define TUXMM_MAP_PGTABLE_IMPL_H

#include <tuxmm/pgtable.h>

#include "page/page_system.h"

#define LEVELS        4u /* 1: leaves, 4: root */
#define TABLE_ENTRIES 512u
#define INDEX_BITS    9u

/* User addresses only: the lower half of what four levels translate. */
#define VA_END (UINT64_C(1) << 47)

/* What a leaf table maps: 2 MiB. */
#define LEAF_SPAN (TMM_PAGE_SIZE * TABLE_ENTRIES)

/* Entries above the leaves: all rights, the leaves decide. */
#define TABLE_BITS (TMM_PTE_PRESENT | TMM_PTE_WRITE | TMM_PTE_USER | TMM_PTE_ACCESSED)

static ALWAYS_INLINE unsigned level_shift(unsigned level)
{
	return TMM_PAGE_SHIFT + INDEX_BITS * (level - 1);
}

static ALWAYS_INLINE unsigned index_of(uint64_t va, unsigned level)
{
	return (unsigned)(va >> level_shift(level)) & (TABLE_ENTRIES - 1);
}

/* The first address past what the entry of va in a table of this level maps. */
static ALWAYS_INLINE uint64_t entry_end(uint64_t va, unsigned level)
{
	uint64_t span = UINT64_C(1) << level_shift(level);

	return align_down(va, span) + span;
}

static ALWAYS_INLINE uint64_t *table_at(const struct tmm_pgtable *pt, tmm_pfn frame)
{
	return page_address(pt->pages, frame);
}

static ALWAYS_INLINE tmm_pfn frame_of(uint64_t entry)
{
	return tmm_pte_pfn((tmm_pte){entry});
}

static ALWAYS_INLINE uint32_t *count_of(const struct tmm_pgtable *pt, tmm_pfn table)
{
	return &page_of(pt->pages, table)->index;
}

/* A leaf table, and the part of a range that it maps. */
struct leaf_part {
	tmm_pfn table;
	uint64_t *entry; /* of the whole table */
	uint64_t va;     /* of entry[first] */
	unsigned first;  /* entries [first, end) belong to the range */
	unsigned end;
};

/*
 * The leaf table that maps va, when it is the one that was last made or added to:
 * faults come in the neighbourhood of the last one.
 */
static ALWAYS_INLINE bool is_last_leaf(const struct tmm_pgtable *pt, uint64_t va)
{
	return align_down(va, LEAF_SPAN) == pt->last_leaf_va;
}

/*
 * The table that maps va at `level`; false when there is none, and *gap_end is
 * then the first address that another table may map.
 */
bool find_table(const struct tmm_pgtable *pt, uint64_t va, unsigned level, tmm_pfn *out_table,
                uint64_t *gap_end);

static ALWAYS_INLINE bool find_leaf_table(const struct tmm_pgtable *pt, uint64_t va,
                                          tmm_pfn *out_table, uint64_t *gap_end)
{
	if (likely(is_last_leaf(pt, va))) {
		*out_table = pt->last_leaf;
		return true;
	}
	return find_table(pt, va, 1, out_table, gap_end);
}

/* The first leaf table at or after *va within [*va, end); advances *va past it. */
bool next_leaf_part(const struct tmm_pgtable *pt, uint64_t *va, uint64_t end,
                    struct leaf_part *out);

/* The leaf table of va, made with those above it as needed. */
TMM_MUST_CHECK tmm_err make_leaf_table(struct tmm_pgtable *pt, uint64_t va, tmm_pfn *out_table);

/* Free the leaf table of va, and tables above it, as far as they are empty. */
void free_empty_tables(struct tmm_pgtable *pt, uint64_t va);

/* The pages a flush has to cover: empty until the first is added. */
struct flush_range {
	uint64_t start, end;
};

static ALWAYS_INLINE void flush_add(struct flush_range *range, uint64_t va)
{
	if (range->start == range->end)
		range->start = va;
	range->end = va + TMM_PAGE_SIZE; /* callers go upwards */
}

/* Make whoever caches the tree forget the range, and empty it. */
void flush_now(const struct tmm_pgtable *pt, struct flush_range *range);

#endif
