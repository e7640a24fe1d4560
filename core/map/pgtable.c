/*
 * pgtable.c - the tree of tables, and single entries of it
 *
 * A table is one frame of 512 entries.  Its struct page counts the present ones,
 * so that an empty table is known without reading it.  Tables exist only where
 * there are leaves: whoever clears the last entry of a table frees it, and a
 * request that fails for want of a frame frees the tables it had made.
 *
 * Whoever caches the tree may hold any present entry.  So a right is lost in
 * three steps, in this order: the entry changes, the cache forgets, the frame is
 * let go.  Adding entries and rights needs no flush: a cache that does not know
 * them asks again.
 *
 * tmm_pgtable_check() asserts the invariants:
 *   I1  each table's frame has kind PAGE_TABLE and this tree as owner
 *   I2  its count is the number of its present entries
 *   I3  no table but the root is empty
 *   I4  nr_tables counts the tables that can be reached
 *   I5  an entry that is not present is 0
 *   I6  last_leaf is where the tree has it, or unknown
 */
#include "map/pgtable_impl.h"

/* last_leaf_va when there is none: no table starts there. */
#define NO_LEAF UINT64_MAX

static tmm_err table_alloc(struct tmm_pgtable *pt, tmm_pfn *out_table)
{
	/* NOWARN: a task that cannot be served is reported by whoever kills it. */
	const tmm_gfp gfp = TMM_GFP_KERNEL | TMM_GFP_ZERO | TMM_GFP_NOWARN;
	tmm_pfn table;
	tmm_err err = tmm_pages_alloc(pt->pages, gfp, 0, &table);

	if (err != TMM_OK)
		return err;
	page_set(page_of(pt->pages, table), (struct page){.kind = PAGE_TABLE, .owner = pt});
	node_stat_add(pt->pages, table, NR_PAGETABLE, 1);
	pt->nr_tables++;
	*out_table = table;
	return TMM_OK;
}

static void table_free(struct tmm_pgtable *pt, tmm_pfn table, unsigned level)
{
	TMM_ASSERT(*count_of(pt, table) == 0);
	if (table.v == pt->last_leaf.v)
		pt->last_leaf_va = NO_LEAF;
	if (pt->mmu_ops)
		pt->mmu_ops->table_free(pt->mmu, table, level);
	page_clear(page_of(pt->pages, table));
	node_stat_add(pt->pages, table, NR_PAGETABLE, -1);
	tmm_pages_free(pt->pages, table, 0);
	pt->nr_tables--;
}

void flush_now(const struct tmm_pgtable *pt, struct flush_range *range)
{
	if (range->start != range->end && pt->mmu_ops)
		pt->mmu_ops->flush(pt->mmu, (tmm_vaddr){range->start},
		                   (range->end - range->start) >> TMM_PAGE_SHIFT);
	range->start = range->end = 0;
}

bool find_table(const struct tmm_pgtable *pt, uint64_t va, unsigned level, tmm_pfn *out_table,
                uint64_t *gap_end)
{
	tmm_pfn table = pt->root;

	TMM_ASSERT(va < VA_END);
	for (unsigned above = LEVELS; above > level; above--) {
		uint64_t entry = table_at(pt, table)[index_of(va, above)];

		if (!(entry & TMM_PTE_PRESENT)) {
			*gap_end = entry_end(va, above);
			return false;
		}
		table = frame_of(entry);
	}
	*out_table = table;
	return true;
}

bool next_leaf_part(const struct tmm_pgtable *pt, uint64_t *va, uint64_t end,
                    struct leaf_part *out)
{
	while (*va < end) {
		uint64_t part_end;

		if (!find_leaf_table(pt, *va, &out->table, &part_end)) {
			*va = part_end;
			continue;
		}
		part_end = min_u64(entry_end(*va, 2), end);
		out->entry = table_at(pt, out->table);
		out->va = *va;
		out->first = index_of(*va, 1);
		out->end = index_of(part_end - 1, 1) + 1;
		*va = part_end;
		return true;
	}
	return false;
}

tmm_err make_leaf_table(struct tmm_pgtable *pt, uint64_t va, tmm_pfn *out_table)
{
	tmm_pfn table = pt->root;

	TMM_ASSERT(va < VA_END);
	for (unsigned level = LEVELS; level > 1; level--) {
		uint64_t *entry = &table_at(pt, table)[index_of(va, level)];

		if (!(*entry & TMM_PTE_PRESENT)) {
			tmm_pfn below;
			tmm_err err = table_alloc(pt, &below);

			if (err != TMM_OK) {
				free_empty_tables(pt, va);
				return err;
			}
			*entry = tmm_pte_make(below, TABLE_BITS).v;
			*count_of(pt, table) += 1;
		}
		table = frame_of(*entry);
	}
	pt->last_leaf = table;
	pt->last_leaf_va = align_down(va, LEAF_SPAN);
	*out_table = table;
	return TMM_OK;
}

void free_empty_tables(struct tmm_pgtable *pt, uint64_t va)
{
	tmm_pfn table[LEVELS + 1];
	unsigned level = LEVELS;

	table[LEVELS] = pt->root;
	while (level > 1) { /* as far down as there are tables */
		uint64_t entry = table_at(pt, table[level])[index_of(va, level)];

		if (!(entry & TMM_PTE_PRESENT))
			break;
		table[--level] = frame_of(entry);
	}
	for (; level < LEVELS && *count_of(pt, table[level]) == 0; level++) {
		table_at(pt, table[level + 1])[index_of(va, level + 1)] = 0;
		*count_of(pt, table[level + 1]) -= 1;
		table_free(pt, table[level], level);
	}
}

/* The leaf entry of va; NULL when no table maps it. */
static uint64_t *leaf_entry(const struct tmm_pgtable *pt, uint64_t va)
{
	tmm_pfn table;
	uint64_t gap_end;

	if (!find_leaf_table(pt, va, &table, &gap_end))
		return NULL;
	return &table_at(pt, table)[index_of(va, 1)];
}

tmm_err tmm_pgtable_init(struct tmm_pgtable *pt, struct tmm_pages *pages)
{
	*pt = (struct tmm_pgtable){.pages = pages, .last_leaf_va = NO_LEAF};
	return table_alloc(pt, &pt->root);
}

void tmm_pgtable_fini(struct tmm_pgtable *pt)
{
	TMM_ASSERT(pt->nr_tables == 1);
	table_free(pt, pt->root, LEVELS);
	pt->root = TMM_PFN_NONE;
}

void tmm_pgtable_set_mmu(struct tmm_pgtable *pt, const struct tmm_mmu_ops *ops, void *mmu)
{
	pt->mmu_ops = ops;
	pt->mmu = mmu;
}

tmm_pte tmm_pte_get(const struct tmm_pgtable *pt, tmm_vaddr va)
{
	const uint64_t *entry = leaf_entry(pt, va.v);

	return (tmm_pte){entry ? *entry : 0};
}

tmm_err tmm_pte_set(struct tmm_pgtable *pt, tmm_vaddr va, tmm_pte pte)
{
	tmm_pfn pfn = tmm_pte_pfn(pte);

	return tmm_pte_set_run(pt, va, 1, &pfn, pte.v & ~TMM_PTE_FRAME);
}

tmm_err tmm_pte_set_run(struct tmm_pgtable *pt, tmm_vaddr va, size_t nr, const tmm_pfn *pfn,
                        uint64_t bits)
{
	unsigned first = index_of(va.v, 1);
	tmm_pfn table;
	uint64_t *entry;
	tmm_err err;

	TMM_ASSERT((bits & TMM_PTE_PRESENT) && nr >= 1 && nr <= TABLE_ENTRIES - first);
	if (likely(is_last_leaf(pt, va.v))) {
		table = pt->last_leaf;
	} else {
		err = make_leaf_table(pt, va.v, &table);
		if (err != TMM_OK)
			return err;
	}
	entry = &table_at(pt, table)[first];
	for (size_t i = 0; i < nr; i++) {
		TMM_ASSERT(entry[i] == 0); /* none was there */
		entry[i] = tmm_pte_make(pfn[i], bits).v;
	}
	*count_of(pt, table) += (uint32_t)nr;
	return TMM_OK;
}

void tmm_pte_hole(const struct tmm_pgtable *pt, tmm_vaddr va, tmm_vaddr *start, tmm_vaddr *end)
{
	uint64_t base = align_down(va.v, LEAF_SPAN);
	unsigned at = index_of(va.v, 1), first, last;
	tmm_pfn table;
	uint64_t gap_end;
	const uint64_t *entry;

	TMM_ASSERT(start->v <= va.v && va.v < end->v);
	start->v = max_u64(start->v, base);
	end->v = min_u64(end->v, base + LEAF_SPAN);
	if (!find_leaf_table(pt, va.v, &table, &gap_end))
		return;
	entry = table_at(pt, table);
	TMM_ASSERT(entry[at] == 0);
	for (first = at; first > index_of(start->v, 1) && entry[first - 1] == 0; first--)
		;
	for (last = at; last < index_of(end->v - 1, 1) && entry[last + 1] == 0; last++)
		;
	start->v = base + first * TMM_PAGE_SIZE;
	end->v = base + (last + 1) * TMM_PAGE_SIZE;
}

/* Does a cache of `old` grant, or remember, what `now` does not? */
static bool loses(uint64_t old, uint64_t now)
{
	uint64_t kept = TMM_PTE_WRITE | TMM_PTE_USER | TMM_PTE_ACCESSED | TMM_PTE_DIRTY;

	return ((old ^ now) & TMM_PTE_FRAME) != 0 || (old & ~now & kept) != 0 ||
	       (now & ~old & TMM_PTE_NX) != 0;
}

tmm_pte tmm_pte_replace(struct tmm_pgtable *pt, tmm_vaddr va, tmm_pte pte)
{
	uint64_t *entry = leaf_entry(pt, va.v);
	struct flush_range flush = {0, 0};
	uint64_t old;

	TMM_ASSERT(entry && (*entry & pte.v & TMM_PTE_PRESENT));
	old = *entry;
	*entry = pte.v;
	if (loses(old, pte.v)) {
		flush_add(&flush, align_down(va.v, TMM_PAGE_SIZE));
		flush_now(pt, &flush);
	}
	return (tmm_pte){old};
}

/* I1 to I3 and I5 of one table. */
static void table_check(const struct tmm_pgtable *pt, tmm_pfn table, unsigned level)
{
	const struct page *page = page_of(pt->pages, table);
	const uint64_t *entry = table_at(pt, table);
	uint32_t present = 0;

	TMM_ASSERT(page->kind == PAGE_TABLE && page->owner == pt);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		TMM_ASSERT(entry[i] == 0 || (entry[i] & TMM_PTE_PRESENT));
		present += entry[i] != 0;
	}
	TMM_ASSERT(page->index == present);
	TMM_ASSERT(present > 0 || level == LEVELS);
}

void tmm_pgtable_check(const struct tmm_pgtable *pt)
{
	bool last_seen = pt->last_leaf_va == NO_LEAF;
	uint64_t reached = 0;

	for (unsigned level = 1; level <= LEVELS; level++) {
		/* Entries of a table at the top cover all there is. */
		uint64_t span = UINT64_C(1) << level_shift(level + 1);
		uint64_t va = 0;

		while (va < VA_END) {
			uint64_t gap_end;
			tmm_pfn table;

			if (!find_table(pt, va, level, &table, &gap_end)) {
				va = gap_end;
				continue;
			}
			table_check(pt, table, level);
			last_seen |= level == 1 && table.v == pt->last_leaf.v &&
			             is_last_leaf(pt, va);
			reached++;
			va = align_down(va, span) + span;
		}
	}
	TMM_ASSERT(reached == pt->nr_tables);
	TMM_ASSERT(last_seen);
}
