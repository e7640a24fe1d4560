/*
 * slot_tree.c - a 64-bit slot for each number, in tables of a frame each
 *
 * A table has 512 slots; each of those above the last ones leads to another table.  They
 * are made on the way to a slot that is wanted, and stay till the end: who looks for a
 * slot takes no lock.
 *
 *   root -> table -> table -> 512 slots of adjacent numbers
 *
 * Tables are taken from the zones directly, as charging, which needs them, is a part
 * of lending.
 */
#include "page/slot_tree.h"

#include "page/debug.h"
#include "page/page_slow.h"

_Static_assert(TABLE_SLOTS * sizeof(uint64_t) == TMM_PAGE_SIZE, "a table fills its frame");

/* acquire: what a table began as is seen with its address */
static uint64_t table_load(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static uint64_t *table_at(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

/* The slot of a key in the table that stands `level` tables above the last. */
static uint64_t *slot_in(uint64_t *table, uint64_t key, unsigned level)
{
	return &table[key >> (level * TABLE_ORDER) & (TABLE_SLOTS - 1)];
}

/* Where the address of the key's table is that stands at `level`; NULL: nowhere yet. */
static uint64_t *slot_of_table(struct slot_tree *tree, uint64_t key, unsigned level)
{
	uint64_t *slot = &tree->root;

	for (unsigned above = tree->nr_levels - 1; above > level; above--) {
		uint64_t table = table_load(slot);

		if (!table)
			return NULL;
		slot = slot_in(table_at(table), key, above);
	}
	return slot;
}

uint64_t *slot_find(const struct slot_tree *tree, uint64_t key)
{
	uint64_t table = table_load(&tree->root);

	for (unsigned level = tree->nr_levels - 1; table && level > 0; level--)
		table = table_load(slot_in(table_at(table), key, level));
	return table ? slot_in(table_at(table), key, 0) : NULL;
}

static struct request table_request(const struct tmm_pages *pages, tmm_gfp gfp)
{
	const tmm_gfp how = TMM_GFP_HIGH | TMM_GFP_RECLAIM | TMM_GFP_IO | TMM_GFP_FS |
	                    TMM_GFP_NORETRY | TMM_GFP_RETRY_MAYFAIL | TMM_GFP_NOFAIL |
	                    TMM_GFP_NOWARN | TMM_GFP_MEMALLOC | TMM_GFP_NOMEMALLOC;
	struct request request = {.gfp = gfp & how};

	request.choice = (struct zone_choice){.node = cpu_self(pages->cpus)->node,
	                                      .nodes = NODES_ALL,
	                                      .highest = highest_zone(pages, request.gfp)};
	request.source = source_of(pages, request.gfp, 0);
	return request;
}

static uint64_t *table_begin(struct tmm_pages *pages, uint32_t entry, tmm_gfp gfp)
{
	tmm_pfn pfn = {entry & ENTRY_PFN};

	if (unlikely(pages->debug))
		debug_lend(pages, pfn.v, 0, gfp, NULL);
	page_set_kind(page_of(pages, pfn), PAGE_ACCOUNT);
	/* relaxed: a number that orders nothing */
	__atomic_fetch_add(&pages->accounts.nr_tables, 1, __ATOMIC_RELAXED);
	return memset(page_address(pages, pfn), 0, TMM_PAGE_SIZE);
}

/* Not through tmm_pages_alloc(), of which charging is a part. */
static uint64_t *table_alloc(struct tmm_pages *pages, tmm_gfp gfp)
{
	const struct request request = table_request(pages, gfp);
	uint32_t entry;

	if (!tmm_port_allow("page_alloc") && !(gfp & TMM_GFP_NOFAIL))
		return NULL;
	if (!pages_alloc_slow(pages, &request, &entry))
		return NULL;
	return table_begin(pages, entry, request.gfp);
}

/* While pages are moved, for which nobody must be moved again. */
static uint64_t *table_alloc_easy(struct tmm_pages *pages)
{
	const struct request request = table_request(pages, 0);
	uint32_t entry;

	if (!tmm_port_allow("page_alloc") || !pages_alloc_easy(pages, &request, &entry))
		return NULL;
	return table_begin(pages, entry, request.gfp);
}

static void table_free(struct tmm_pages *pages, const uint64_t *table)
{
	tmm_pfn pfn = tmm_virt_to_pfn(pages, table);

	page_clear(page_of(pages, pfn));
	/* relaxed: as above */
	__atomic_fetch_sub(&pages->accounts.nr_tables, 1, __ATOMIC_RELAXED);
	tmm_pages_free(pages, pfn, 0);
}

/* The slot of a key (true), or the one where the next table on the way is wanted. */
static bool slot_walk(struct slot_tree *tree, uint64_t key, uint64_t **out_slot)
{
	uint64_t *slot = &tree->root;

	for (unsigned level = tree->nr_levels; level-- > 0;) {
		uint64_t table = table_load(slot);

		*out_slot = slot;
		if (!table)
			return false;
		slot = slot_in(table_at(table), key, level);
	}
	*out_slot = slot;
	return true;
}

/* The table is no longer needed where somebody came first. */
static void table_put(struct tmm_pages *pages, uint64_t *slot, const uint64_t *table)
{
	uint64_t there = 0;

	/* release: see table_load() */
	if (!__atomic_compare_exchange_n(slot, &there, (uintptr_t)table, false,
	                                 __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		table_free(pages, table);
}

uint64_t *slot_make(struct tmm_pages *pages, struct slot_tree *tree, uint64_t key, tmm_gfp gfp)
{
	uint64_t *slot;

	while (!slot_walk(tree, key, &slot)) {
		const uint64_t *table = table_alloc(pages, gfp);

		if (!table)
			return NULL;
		table_put(pages, slot, table);
	}
	return slot;
}

void slot_tree_free(struct tmm_pages *pages, struct slot_tree *tree, uint64_t end)
{
	for (unsigned level = 0; tree->root && level < tree->nr_levels; level++) {
		for (uint64_t key = 0; key < end; key += TABLE_SLOTS << (level * TABLE_ORDER)) {
			uint64_t *slot = slot_of_table(tree, key, level);

			if (!slot || !*slot)
				continue;
			table_free(pages, table_at(*slot));
			*slot = 0;
		}
	}
}

uint64_t *slot_make_easy(struct tmm_pages *pages, struct slot_tree *tree, uint64_t key)
{
	uint64_t *slot;

	while (!slot_walk(tree, key, &slot)) {
		const uint64_t *table = table_alloc_easy(pages);

		if (!table)
			return NULL;
		table_put(pages, slot, table);
	}
	return slot;
}
