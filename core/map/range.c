/*
 * range.c - ranges of entries: clear, protect, move, visit
 *
 * Work goes by whole leaf tables: tables that do not exist cost one look at the
 * level above, whatever they would have mapped.
 *
 * Clearing must flush before frames are let go, and a flush is dear (a system
 * call of the host), so it goes in batches of BATCH_BYTES and two passes.  The
 * first pass takes the PRESENT bit off each leaf and leaves the rest of it in
 * place, where nothing but the second pass can see it; then comes one flush; the
 * second pass reports each such leaf, zeroes it and frees empty tables.  The
 * batch bounds what the second pass finds cold, and needs no memory of its own.
 */
#include "map/pgtable_impl.h"

/* 32 leaf tables: 128 KiB of entries, which stay in the processor's cache. */
#define BATCH_BYTES (32 * LEAF_SPAN)

static void assert_range(tmm_vaddr start, tmm_vaddr end)
{
	TMM_ASSERT(((start.v | end.v) & ~TMM_PAGE_MASK) == 0);
	TMM_ASSERT(start.v <= end.v && end.v <= VA_END);
}

/* First pass: hide the leaves of [va, end). */
static void hide_leaves(struct tmm_pgtable *pt, uint64_t va, uint64_t end,
                        struct flush_range *flush)
{
	struct leaf_part part;

	while (next_leaf_part(pt, &va, end, &part)) {
		uint64_t at = part.va;

		for (unsigned i = part.first; i < part.end; i++, at += TMM_PAGE_SIZE) {
			if (part.entry[i] == 0)
				continue;
			part.entry[i] &= ~TMM_PTE_PRESENT;
			flush_add(flush, at);
		}
	}
}

/* Second pass: report the hidden leaves of one table and zero them. */
static void drop_leaves(struct tmm_pgtable *pt, const struct leaf_part *part, tmm_pte_gone gone,
                        void *arg)
{
	uint64_t at = part->va;
	uint32_t dropped = 0;

	for (unsigned i = part->first; i < part->end; i++, at += TMM_PAGE_SIZE) {
		uint64_t old = part->entry[i];

		if (old == 0)
			continue;
		part->entry[i] = 0;
		dropped++;
		gone(arg, (tmm_vaddr){at}, (tmm_pte){old | TMM_PTE_PRESENT});
	}
	*count_of(pt, part->table) -= dropped;
	free_empty_tables(pt, part->va);
}

void tmm_pte_clear_range(struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                         tmm_pte_gone gone, void *arg)
{
	uint64_t va = start.v;

	assert_range(start, end);
	while (va < end.v) {
		uint64_t batch_end, probe = va;
		struct flush_range flush = {0, 0};
		struct leaf_part part;

		/* Terabytes without a table are passed over in one step. */
		if (!next_leaf_part(pt, &probe, end.v, &part))
			return;
		va = part.va;
		batch_end = min_u64(align_down(va, BATCH_BYTES) + BATCH_BYTES, end.v);
		hide_leaves(pt, va, batch_end, &flush);
		if (flush.start == flush.end) {
			va = batch_end;
			continue;
		}
		va = flush.start;
		batch_end = flush.end;
		flush_now(pt, &flush);
		while (next_leaf_part(pt, &va, batch_end, &part))
			drop_leaves(pt, &part, gone, arg);
	}
}

void tmm_pte_protect_range(struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                           tmm_pte_rights rights, void *arg)
{
	const uint64_t mask = TMM_PTE_WRITE | TMM_PTE_NX | TMM_PTE_USER;
	struct flush_range flush = {0, 0};
	uint64_t va = start.v;
	struct leaf_part part;

	assert_range(start, end);
	while (next_leaf_part(pt, &va, end.v, &part)) {
		uint64_t at = part.va;

		for (unsigned i = part.first; i < part.end; i++, at += TMM_PAGE_SIZE) {
			uint64_t old = part.entry[i], now;

			if (old == 0)
				continue;
			now = rights(arg, (tmm_vaddr){at}, (tmm_pte){old});
			now = (old & ~mask) | (now & mask);
			part.entry[i] = now;
			if (((old ^ TMM_PTE_NX) & ~(now ^ TMM_PTE_NX) & mask) != 0)
				flush_add(&flush, at);
		}
	}
	flush_now(pt, &flush);
}

/*
 * Move the leaves of one source table to where they go, which may be in two
 * tables.  Returns the address of the first leaf left behind.
 */
static uint64_t move_part(struct tmm_pgtable *pt, const struct leaf_part *part,
                          uint64_t distance, struct flush_range *flush)
{
	uint64_t at = part->va;

	for (unsigned i = part->first; i < part->end; i++, at += TMM_PAGE_SIZE) {
		tmm_pte pte = {part->entry[i]};

		if (pte.v == 0)
			continue;
		if (tmm_pte_set(pt, (tmm_vaddr){at + distance}, pte) != TMM_OK)
			break;
		part->entry[i] = 0;
		*count_of(pt, part->table) -= 1;
		flush_add(flush, at);
	}
	return at;
}

/* Free the tables of [va, end) that have become empty. */
static void free_empty_range(struct tmm_pgtable *pt, uint64_t va, uint64_t end)
{
	struct leaf_part part;

	while (next_leaf_part(pt, &va, end, &part)) {
		if (*count_of(pt, part.table) == 0)
			free_empty_tables(pt, part.va);
	}
}

/* Move the leaves of [va, end); returns the address of the first one left behind, or end. */
static uint64_t move_leaves(struct tmm_pgtable *pt, uint64_t va, uint64_t end,
                            uint64_t distance)
{
	struct flush_range flush = {0, 0};
	uint64_t stop = end;
	struct leaf_part part;

	while (stop == end && next_leaf_part(pt, &va, end, &part)) {
		uint64_t part_stop = move_part(pt, &part, distance, &flush);

		if (part_stop < va) /* va is where the part ends */
			stop = part_stop;
	}
	flush_now(pt, &flush);
	return stop;
}

tmm_err tmm_pte_move_range(struct tmm_pgtable *pt, tmm_vaddr from, tmm_vaddr to, uint64_t bytes)
{
	uint64_t end = from.v + bytes, distance = to.v - from.v, stop, back;

	assert_range(from, (tmm_vaddr){end});
	assert_range(to, (tmm_vaddr){to.v + bytes});
	TMM_ASSERT(end <= to.v || to.v + bytes <= from.v);
	stop = move_leaves(pt, from.v, end, distance);
	if (stop == end) {
		free_empty_range(pt, from.v, end);
		return TMM_OK;
	}
	back = move_leaves(pt, to.v, stop + distance, -distance);
	TMM_ASSERT(back == stop + distance); /* the tables they came from are still there */
	free_empty_range(pt, to.v, stop + distance);
	return TMM_E_NOMEM;
}

void tmm_pte_for_each(const struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                      tmm_pte_visit visit, void *arg)
{
	uint64_t va = start.v;
	struct leaf_part part;

	assert_range(start, end);
	while (next_leaf_part(pt, &va, end.v, &part)) {
		uint64_t at = part.va;

		for (unsigned i = part.first; i < part.end; i++, at += TMM_PAGE_SIZE) {
			if (part.entry[i] != 0 &&
			    !visit(arg, (tmm_vaddr){at}, (tmm_pte){part.entry[i]}))
				return;
		}
	}
}
