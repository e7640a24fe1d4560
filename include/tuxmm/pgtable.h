/*
 * pgtable.h - page tables in the processor's own format, in frames of RAM
 *
 * x86-64, four levels of 512 entries, 4 KiB leaves.  Tables come from the page
 * allocator one frame each; an empty table goes back.
 *
 * Entries that lose rights, or whose accessed or dirty bit is cleared, must be
 * forgotten by whoever caches them: tmm_mmu_ops.flush is called by the entry
 * primitives below, in batches, before the frame behind the entry can be used
 * again.  Nothing else in the core flushes.  Leaves that were absent or only gain
 * rights are never flushed.
 *
 * Units    tmm_vaddr bytes; ranges are page aligned
 * Owning   the caller owns the frames that leaves point to; tables are ours
 * Locks    the caller's, rank MM: one caller per table tree at a time
 * Linux    pte_t, set_pte_at(), ptep_get_and_clear(), mmu_gather
 */
#ifndef TUXMM_PGTABLE_H
#define TUXMM_PGTABLE_H

#include <tuxmm/page_alloc.h>

/* Bits of an x86-64 entry. */
#define TMM_PTE_PRESENT  (UINT64_C(1) << 0)
#define TMM_PTE_WRITE    (UINT64_C(1) << 1)
#define TMM_PTE_USER     (UINT64_C(1) << 2)
#define TMM_PTE_ACCESSED (UINT64_C(1) << 5)
#define TMM_PTE_DIRTY    (UINT64_C(1) << 6)
#define TMM_PTE_SPECIAL                                                                        \
	(UINT64_C(1) << 9) /* software: no struct page is counted (zero page)                  \
	                    */
#define TMM_PTE_NX    (UINT64_C(1) << 63)
#define TMM_PTE_FRAME UINT64_C(0x000ffffffffff000)

typedef struct {
	uint64_t v;
} tmm_pte;

static inline tmm_pte tmm_pte_make(tmm_pfn pfn, uint64_t bits)
{
	return (tmm_pte){(pfn.v << TMM_PAGE_SHIFT) | bits};
}

static inline tmm_pfn tmm_pte_pfn(tmm_pte pte)
{
	return (tmm_pfn){(pte.v & TMM_PTE_FRAME) >> TMM_PAGE_SHIFT};
}

/* Whoever caches translations of one tree: a CPU back end. */
struct tmm_mmu_ops {
	/* Forget nr_pages pages from start; returns when that is certain. */
	void (*flush)(void *mmu, tmm_vaddr start, uint64_t nr_pages);

	/* Table frame `table` (level 1: leaves, 4: root) goes back to the allocator. */
	void (*table_free)(void *mmu, tmm_pfn table, unsigned level);
};

struct tmm_pgtable {
	struct tmm_pages *pages;
	tmm_pfn root;
	uint64_t nr_tables;                /* frames in use, the root among them */
	tmm_pfn last_leaf;                 /* the leaf table that was last written to */
	uint64_t last_leaf_va;             /* first address it maps; no such address: none */
	const struct tmm_mmu_ops *mmu_ops; /* NULL: nobody caches */
	void *mmu;
};

/* TMM_E_NOMEM without a frame for the root. */
TMM_MUST_CHECK tmm_err tmm_pgtable_init(struct tmm_pgtable *pt, struct tmm_pages *pages);

/* All leaves must be clear: panics otherwise.  Frees the tables. */
void tmm_pgtable_fini(struct tmm_pgtable *pt);

/* Name who caches this tree; the tree must have been shown to nobody before. */
void tmm_pgtable_set_mmu(struct tmm_pgtable *pt, const struct tmm_mmu_ops *ops, void *mmu);

/* The leaf entry of va; 0 when there is none. */
tmm_pte tmm_pte_get(const struct tmm_pgtable *pt, tmm_vaddr va);

/*
 * Write a leaf where there was none (asserted), making tables as needed.
 *   TMM_E_NOMEM  no frame for a table; nothing has changed
 */
TMM_MUST_CHECK tmm_err tmm_pte_set(struct tmm_pgtable *pt, tmm_vaddr va, tmm_pte pte);

/*
 * The same for nr pages from va on, all within the 2 MiB that one leaf table
 * maps: pfn[i] with the same bits each.  All of them or, with TMM_E_NOMEM, none.
 */
TMM_MUST_CHECK tmm_err tmm_pte_set_run(struct tmm_pgtable *pt, tmm_vaddr va, size_t nr,
                                       const tmm_pfn *pfn, uint64_t bits);

/*
 * Shrink [*start, *end) to the pages round va that have no leaf, va among them
 * (asserted), and to the 2 MiB of va's leaf table.
 */
void tmm_pte_hole(const struct tmm_pgtable *pt, tmm_vaddr va, tmm_vaddr *start, tmm_vaddr *end);

/*
 * Exchange a present leaf for another (copy-on-write, mkwrite); returns the old
 * one.  Flushes when the frame changes or a right or bit is lost.
 */
tmm_pte tmm_pte_replace(struct tmm_pgtable *pt, tmm_vaddr va, tmm_pte pte);

/* Called with each present leaf that was cleared, after it has been flushed. */
typedef void (*tmm_pte_gone)(void *arg, tmm_vaddr va, tmm_pte old);

/* Clear [start, end), flush, report each, and free tables left empty. */
void tmm_pte_clear_range(struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                         tmm_pte_gone gone, void *arg);

/*
 * Change every present leaf of [start, end) to have exactly the WRITE, NX and
 * USER bits that `rights` returns for it; flush once if any lost a right.
 */
typedef uint64_t (*tmm_pte_rights)(void *arg, tmm_vaddr va, tmm_pte old);
void tmm_pte_protect_range(struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                           tmm_pte_rights rights, void *arg);

/*
 * Move the leaves of [from, from + bytes) to `to`, where there are none; the
 * ranges do not overlap.
 *   TMM_E_NOMEM  no frame for a table; every leaf is where it was
 */
TMM_MUST_CHECK tmm_err tmm_pte_move_range(struct tmm_pgtable *pt, tmm_vaddr from, tmm_vaddr to,
                                          uint64_t bytes);

/* Walk present leaves of [start, end) upwards; stop when visit says false. */
typedef bool (*tmm_pte_visit)(void *arg, tmm_vaddr va, tmm_pte pte);
void tmm_pte_for_each(const struct tmm_pgtable *pt, tmm_vaddr start, tmm_vaddr end,
                      tmm_pte_visit visit, void *arg);

/* Accesses, and rights of an extent. */
#define TMM_ACCESS_READ  1u
#define TMM_ACCESS_WRITE 2u
#define TMM_ACCESS_EXEC  4u

/* Adjacent pages whose frames rise with them, with equal rights. */
struct tmm_extent {
	tmm_vaddr va;
	tmm_pfn pfn;
	uint64_t nr_pages;
	unsigned rights; /* TMM_ACCESS_*; WRITE only where the leaf is dirty */
};

/*
 * What the processor's walk does, for a back end that fills a software TLB:
 * check va for a user access, set its accessed (and, for a write, dirty) bit,
 * and describe it and present pages around it, at most max extents in rising
 * order within the 2 MiB that one leaf table maps, va among them.  Neighbours
 * get their accessed bit set too.  0: not present or not allowed.
 */
size_t tmm_pgtable_walk(struct tmm_pgtable *pt, tmm_vaddr va, unsigned access,
                        struct tmm_extent *out, size_t max);

/* Panics unless every table is reachable once, counted, non-empty (root apart). */
void tmm_pgtable_check(const struct tmm_pgtable *pt);

#endif
