/*
 * mmu.c - tables of any geometry: built, torn down, checked
 *
 * A table is one frame, whatever part of it the geometry uses; its struct page
 * counts the entries that are not 0, so that the last unmap of a table frees it.
 * Entries above leaves grant every right, so that leaves decide alone.
 *
 * tmm_mmu_check() asserts the invariants:
 *   I1  each table's frame has kind PAGE_TABLE and this unit as owner
 *   I2  its count is the number of its entries that are not 0
 *   I3  no table but the root is empty, unless the unit keeps them
 *   I4  nr_tables counts the tables that can be reached
 */
#include "map/mmu_impl.h"

/* Of a leaf, beside PRESENT, PS and NX. */
#define LEAF_BITS                                                                              \
	(TMM_PTE_PRESENT | TMM_PTE_WRITE | TMM_PTE_USER | TMM_PTE_PWT | TMM_PTE_PCD |          \
	 TMM_PTE_PAT | TMM_PTE_ACCESSED | TMM_PTE_DIRTY | TMM_PTE_GLOBAL | TMM_PTE_SPECIAL)

static uint32_t *count_of(const struct tmm_mmu *mmu, tmm_pfn table)
{
	return &page_of(mmu->pages, table)->index;
}

static tmm_err table_alloc(struct tmm_mmu *mmu, tmm_gfp gfp, tmm_pfn *out_table)
{
	/* A 32-bit CR3 points below 4 GiB, and so do all 4-byte entries. */
	tmm_gfp zone = mmu->format->linear_bits == 32 ? TMM_GFP_DMA32 : 0;
	tmm_pfn table;
	tmm_err err = tmm_pages_alloc(mmu->pages, gfp | TMM_GFP_ZERO | zone, 0, &table);

	if (err != TMM_OK)
		return err;
	page_set(page_of(mmu->pages, table), (struct page){.kind = PAGE_TABLE, .owner = mmu});
	mmu->nr_tables++;
	*out_table = table;
	return TMM_OK;
}

static void table_free(struct tmm_mmu *mmu, tmm_pfn table)
{
	page_clear(page_of(mmu->pages, table));
	tmm_pages_free(mmu->pages, table, 0);
	mmu->nr_tables--;
}

tmm_err mmu_init(struct tmm_mmu *mmu, enum tmm_geometry geometry, struct tmm_pages *pages,
                 unsigned controls, unsigned physical_bits, tmm_gfp gfp)
{
	const struct tmm_mmu_format *format = tmm_mmu_format(geometry);

	if ((controls & TMM_MMU_NXE) && !format->has_nx)
		return TMM_E_INVAL;
	if (physical_bits == 0)
		physical_bits = format->usual_bits;
	if (physical_bits < 32 || physical_bits > format->physical_bits)
		return TMM_E_INVAL;
	*mmu = (struct tmm_mmu){
		.format = format,
		.pages = pages,
		.controls = controls,
		.physical_bits = (uint8_t)physical_bits,
	};
	return table_alloc(mmu, gfp, &mmu->root);
}

tmm_err tmm_mmu_init(struct tmm_mmu *mmu, enum tmm_geometry geometry, struct tmm_pages *pages,
                     unsigned controls, unsigned physical_bits)
{
	return mmu_init(mmu, geometry, pages, controls, physical_bits, TMM_GFP_KERNEL);
}

/* The table below a present entry; false: a leaf, or no table of ours. */
static bool table_below(const struct tmm_mmu *mmu, unsigned level, uint64_t entry,
                        tmm_pfn *out_table)
{
	tmm_pfn table = {mmu_target(mmu, entry, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT};

	if (!(entry & TMM_PTE_PRESENT) || mmu_is_leaf(mmu, level, entry) ||
	    !pfn_valid(mmu->pages, table))
		return false;
	*out_table = table;
	return page_kind(page_of(mmu->pages, table)) == PAGE_TABLE &&
	       page_owner(page_of(mmu->pages, table)) == mmu;
}

/* Tables on the way to an address, [nr_levels] the root, down to [lowest]. */
struct path {
	tmm_pfn table[TMM_MMU_MAX_LEVELS + 1];
	unsigned lowest;
};

/* As far down as there are tables, but not below `end`. */
static void path_find(const struct tmm_mmu *mmu, uint64_t va, unsigned end, struct path *out)
{
	unsigned level = mmu->format->nr_levels;

	out->table[level] = mmu->root;
	while (level > end) {
		uint64_t entry = mmu_entry(mmu, out->table[level], mmu_index(mmu, va, level));

		if (!table_below(mmu, level, entry, &out->table[level - 1]))
			break;
		level--;
	}
	out->lowest = level;
}

/* Write the entry of va in the path's table of this level, and count it. */
static void entry_set(struct tmm_mmu *mmu, const struct path *path, unsigned level, uint64_t va,
                      uint64_t entry)
{
	tmm_pfn table = path->table[level];
	unsigned index = mmu_index(mmu, va, level);

	*count_of(mmu, table) -= mmu_entry(mmu, table, index) != 0;
	*count_of(mmu, table) += entry != 0;
	mmu_entry_write(mmu, table, index, entry);
}

static void free_empty_tables(struct tmm_mmu *mmu, const struct path *path, uint64_t va)
{
	if (mmu->keeps_tables)
		return;
	for (unsigned level = path->lowest; level < mmu->format->nr_levels; level++) {
		if (*count_of(mmu, path->table[level]) != 0)
			return;
		entry_set(mmu, path, level + 1, va, 0);
		table_free(mmu, path->table[level]);
	}
}

/* The level whose leaves have that size; 0: none. */
static unsigned level_of_size(const struct tmm_mmu *mmu, uint64_t page_bytes)
{
	for (unsigned level = 1; level <= mmu->format->nr_levels; level++) {
		if (mmu->format->level[level].can_be_leaf &&
		    mmu_page_bytes(mmu, level) == page_bytes)
			return level;
	}
	return 0;
}

static tmm_err make_tables(struct tmm_mmu *mmu, uint64_t va, unsigned level, tmm_gfp gfp,
                           struct path *path)
{
	while (path->lowest > level) {
		uint64_t rights = mmu->format->level[path->lowest].is_bare
		                          ? 0
		                          : TMM_PTE_WRITE | TMM_PTE_USER;
		tmm_pfn table;
		tmm_err err = table_alloc(mmu, gfp, &table);

		if (err != TMM_OK) {
			free_empty_tables(mmu, path, va);
			return err;
		}
		entry_set(mmu, path, path->lowest, va,
		          tmm_pfn_to_paddr(table).v | TMM_PTE_PRESENT | rights);
		path->table[--path->lowest] = table;
	}
	return TMM_OK;
}

tmm_err mmu_map(struct tmm_mmu *mmu, tmm_vaddr va, tmm_paddr pa, uint64_t page_bytes,
                uint64_t bits, tmm_gfp gfp)
{
	uint64_t nx = mmu->controls & TMM_MMU_NXE ? TMM_PTE_NX : 0;
	unsigned level = level_of_size(mmu, page_bytes);
	struct path path;
	tmm_err err;

	if (level == 0 || ((va.v | pa.v) & (page_bytes - 1)) != 0 ||
	    !mmu_is_canonical(mmu->format, va.v) || pa.v >> mmu->physical_bits != 0 ||
	    (bits & ~(LEAF_BITS | nx)) != 0)
		return TMM_E_INVAL;
	if (level > 1 && bits & TMM_PTE_PAT)
		bits ^= TMM_PTE_PAT | TMM_PTE_PAT_LARGE;
	path_find(mmu, va.v, level, &path);
	if (mmu_entry(mmu, path.table[path.lowest], mmu_index(mmu, va.v, path.lowest)) != 0)
		return TMM_E_EXIST;
	err = make_tables(mmu, va.v, level, gfp, &path);
	if (err != TMM_OK)
		return err;
	entry_set(mmu, &path, level, va.v,
	          pa.v | bits | TMM_PTE_PRESENT | (level > 1 ? TMM_PTE_PS : 0));
	return TMM_OK;
}

tmm_err tmm_mmu_map(struct tmm_mmu *mmu, tmm_vaddr va, tmm_paddr pa, uint64_t page_bytes,
                    uint64_t bits)
{
	return mmu_map(mmu, va, pa, page_bytes, bits, TMM_GFP_KERNEL);
}

tmm_err tmm_mmu_unmap(struct tmm_mmu *mmu, tmm_vaddr va, uint64_t *out_leaf)
{
	struct path path;
	uint64_t entry;

	if (!mmu_is_canonical(mmu->format, va.v))
		return TMM_E_NOENT;
	path_find(mmu, va.v, 1, &path);
	entry = mmu_entry(mmu, path.table[path.lowest], mmu_index(mmu, va.v, path.lowest));
	if (entry == 0)
		return TMM_E_NOENT;
	*out_leaf = entry;
	entry_set(mmu, &path, path.lowest, va.v, 0);
	free_empty_tables(mmu, &path, va.v);
	return TMM_OK;
}

uint64_t mmu_clear(struct tmm_mmu *mmu, uint64_t va, uint64_t *out_page_bytes)
{
	struct path path;
	uint64_t entry;

	path_find(mmu, va, 1, &path);
	*out_page_bytes = mmu_page_bytes(mmu, path.lowest);
	entry = mmu_entry(mmu, path.table[path.lowest], mmu_index(mmu, va, path.lowest));
	if (entry != 0)
		entry_set(mmu, &path, path.lowest, va, 0);
	return entry;
}

uint64_t mmu_leaf(const struct tmm_mmu *mmu, uint64_t va, uint64_t *out_page_bytes)
{
	struct path path;

	path_find(mmu, va, 1, &path);
	*out_page_bytes = mmu_page_bytes(mmu, path.lowest);
	return mmu_entry(mmu, path.table[path.lowest], mmu_index(mmu, va, path.lowest));
}

/* A walk over all tables, each after those below it. */
struct table_walk {
	struct path path;
	unsigned next[TMM_MMU_MAX_LEVELS + 1]; /* entries to look at, by level */
};

static void tables_begin(const struct tmm_mmu *mmu, struct table_walk *walk)
{
	unsigned root = mmu->format->nr_levels;

	*walk = (struct table_walk){.path.lowest = root};
	walk->path.table[root] = mmu->root;
}

/* The next table and its level; false after the root. */
static bool tables_next(const struct tmm_mmu *mmu, struct table_walk *walk, tmm_pfn *out_table,
                        unsigned *out_level)
{
	while (walk->path.lowest <= mmu->format->nr_levels) {
		unsigned level = walk->path.lowest;
		tmm_pfn table = walk->path.table[level];

		if (level > 1 && walk->next[level] < 1u << mmu->format->level[level].bits) {
			uint64_t entry = mmu_entry(mmu, table, walk->next[level]++);

			if (table_below(mmu, level, entry, &walk->path.table[level - 1])) {
				walk->path.lowest = level - 1;
				walk->next[level - 1] = 0;
			}
			continue;
		}
		walk->path.lowest++;
		*out_table = table;
		*out_level = level;
		return true;
	}
	return false;
}

void mmu_trim(struct tmm_mmu *mmu, uint64_t start, uint64_t last)
{
	uint64_t va = start;

	mmu->keeps_tables = false;
	for (;;) {
		struct path path;
		uint64_t span;

		path_find(mmu, va, 1, &path);
		/* A table of leaves is done with; elsewhere the next entry may have one. */
		span = mmu_page_bytes(mmu, path.lowest == 1 ? 2 : path.lowest);
		free_empty_tables(mmu, &path, va);
		va |= span - 1;
		if (va >= last)
			break;
		va++;
	}
	mmu->keeps_tables = true;
}

void tmm_mmu_fini(struct tmm_mmu *mmu)
{
	struct table_walk walk;
	tmm_pfn table;
	unsigned level;

	tables_begin(mmu, &walk);
	while (tables_next(mmu, &walk, &table, &level))
		table_free(mmu, table);
	TMM_ASSERT(mmu->nr_tables == 0);
	mmu->root = TMM_PFN_NONE;
}

void tmm_mmu_check(const struct tmm_mmu *mmu)
{
	uint64_t reached = 0;
	struct table_walk walk;
	tmm_pfn table;
	unsigned level;

	tables_begin(mmu, &walk);
	while (tables_next(mmu, &walk, &table, &level)) {
		const struct page *page = page_of(mmu->pages, table);
		uint32_t used = 0;

		TMM_ASSERT(page->kind == PAGE_TABLE && page->owner == mmu);
		for (unsigned i = 0; i < 1u << mmu->format->level[level].bits; i++)
			used += mmu_entry(mmu, table, i) != 0;
		TMM_ASSERT(page->index == used);
		TMM_ASSERT(used > 0 || level == mmu->format->nr_levels || mmu->keeps_tables);
		reached++;
	}
	TMM_ASSERT(reached == mmu->nr_tables);
}
