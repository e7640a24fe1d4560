/*
 * tlb.h - a translation look-aside buffer of chosen size, ways and identifiers
 *
 * Sets of nr_ways entries; the page's number picks the set, the least recently
 * used entry of a full set makes room.  One TLB holds pages of all sizes.  Entries
 * belong to an address space identifier (Intel: PCID); global ones to all.
 *
 * Owning   the caller provides the entries
 * Locks    the caller's
 * Linux    INVLPG, INVPCID and CR3 as arch/x86/mm/tlb.c uses them
 */
#ifndef TUXMM_TLB_H
#define TUXMM_TLB_H

#include <tuxmm/mmu.h>

#define TMM_TLB_MAX_ASID 4095u

struct tmm_tlb_entry {
	tmm_vaddr va; /* the page's first address */
	tmm_paddr pa;
	uint64_t used;   /* rises with each use; 0: the entry is empty */
	uint32_t rights; /* TMM_ACCESS_*, TMM_RIGHT_* */
	uint16_t asid;
	uint8_t shift; /* the page has 2^shift bytes */
};

/* What has happened. */
struct tmm_tlb_counts {
	uint64_t hits, misses;
	uint64_t evictions; /* entries that made room */
	uint64_t flushes;   /* calls */
	uint64_t flushed;   /* entries they dropped */
};

struct tmm_tlb {
	struct tmm_tlb_entry *entry; /* [nr_sets * nr_ways], set by set */
	uint32_t nr_sets, nr_ways;
	uint64_t clock;
	struct tmm_tlb_counts counts;
};

/*
 * nr_entries empty ones at `entry`.
 *   TMM_E_INVAL  nr_ways does not divide nr_entries, or not into a power of two sets
 */
TMM_MUST_CHECK tmm_err tmm_tlb_init(struct tmm_tlb *tlb, struct tmm_tlb_entry *entry,
                                    uint32_t nr_entries, uint32_t nr_ways);

/* The entry that translates va for asid; NULL, a miss.  Counts. */
const struct tmm_tlb_entry *tmm_tlb_lookup(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va);

/* Keep a page; what is held of the same page, size and identifier is replaced. */
void tmm_tlb_fill(struct tmm_tlb *tlb, const struct tmm_tlb_entry *page);

/* Forget what translates va for asid, global or not (INVLPG). */
void tmm_tlb_flush_page(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va);

/* The same for each page that overlaps [start, end). */
void tmm_tlb_flush_range(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr start, tmm_vaddr end);

/* All of one identifier, global ones stay (CR3 is written). */
void tmm_tlb_flush_asid(struct tmm_tlb *tlb, unsigned asid);

/* Everything, global ones too (CR4.PGE changes). */
void tmm_tlb_flush_all(struct tmm_tlb *tlb);

/* Panics unless each entry is in its set, once, and was used at its own time. */
void tmm_tlb_check(const struct tmm_tlb *tlb);

#endif
