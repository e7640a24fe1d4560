/*
 * mmu_impl.h - reading entries of any geometry, for the files of this folder
 */
#ifndef TUXMM_MAP_MMU_IMPL_H
#define TUXMM_MAP_MMU_IMPL_H

#include <tuxmm/mmu.h>
#include <tuxmm/tlb.h>

#include "page/page_system.h"

/* Bits low .. high, both included. */
static inline uint64_t bits_between(unsigned low, unsigned high)
{
	return (UINT64_MAX >> (63 - high)) & (UINT64_MAX << low);
}

static inline unsigned mmu_index(const struct tmm_mmu *mmu, uint64_t va, unsigned level)
{
	const struct tmm_mmu_level *at = &mmu->format->level[level];

	return (unsigned)(va >> at->shift) & ((1u << at->bits) - 1);
}

static inline uint64_t mmu_page_bytes(const struct tmm_mmu *mmu, unsigned level)
{
	return UINT64_C(1) << mmu->format->level[level].shift;
}

/* Does a present entry of this level map a page? */
static inline bool mmu_is_leaf(const struct tmm_mmu *mmu, unsigned level, uint64_t entry)
{
	return level == 1 || (mmu->format->level[level].can_be_leaf && (entry & TMM_PTE_PS));
}

/* Where an entry points to: a table or, from a leaf of page_bytes, a page. */
static inline uint64_t mmu_target(const struct tmm_mmu *mmu, uint64_t entry,
                                  uint64_t page_bytes)
{
	return entry & bits_between(0, mmu->physical_bits - 1u) & ~(page_bytes - 1);
}

static inline tmm_paddr mmu_entry_at(const struct tmm_mmu *mmu, tmm_pfn table, unsigned index)
{
	return (tmm_paddr){(table.v << TMM_PAGE_SHIFT) +
	                   (uint64_t)index * mmu->format->entry_bytes};
}

static inline uint64_t mmu_entry(const struct tmm_mmu *mmu, tmm_pfn table, unsigned index)
{
	const void *entries = page_address(mmu->pages, table);

	if (mmu->format->entry_bytes == 4)
		return ((const uint32_t *)entries)[index];
	return ((const uint64_t *)entries)[index];
}

static inline void mmu_entry_write(const struct tmm_mmu *mmu, tmm_pfn table, unsigned index,
                                   uint64_t entry)
{
	void *entries = page_address(mmu->pages, table);

	if (mmu->format->entry_bytes == 4)
		((uint32_t *)entries)[index] = (uint32_t)entry;
	else
		((uint64_t *)entries)[index] = entry;
}

/* tmm_mmu_init() whose root is requested with `gfp`. */
TMM_MUST_CHECK tmm_err mmu_init(struct tmm_mmu *mmu, enum tmm_geometry geometry,
                                struct tmm_pages *pages, unsigned controls,
                                unsigned physical_bits, tmm_gfp gfp);

/* tmm_mmu_map() whose tables are requested with `gfp`. */
TMM_MUST_CHECK tmm_err mmu_map(struct tmm_mmu *mmu, tmm_vaddr va, tmm_paddr pa,
                               uint64_t page_bytes, uint64_t bits, tmm_gfp gfp);

/*
 * The entry that ends the walk for va, a leaf or 0, and what it spans; mmu_clear()
 * zeroes it.  Tables stay: only for a unit that keeps them.
 */
uint64_t mmu_leaf(const struct tmm_mmu *mmu, uint64_t va, uint64_t *out_page_bytes);
uint64_t mmu_clear(struct tmm_mmu *mmu, uint64_t va, uint64_t *out_page_bytes);

/* Free the tables of a unit that keeps them which have an address of [start, last] and are
 * empty. */
void mmu_trim(struct tmm_mmu *mmu, uint64_t start, uint64_t last);

/* Do the bits above the width of a linear address say nothing new? */
bool mmu_is_canonical(const struct tmm_mmu_format *format, uint64_t va);

/* What keeps `rights` from granting the access: TMM_FAULT_NONE, USER .. SMAP. */
enum tmm_mmu_fault mmu_permission(unsigned controls, unsigned rights, unsigned access);

/* Drop what translates va for asid; not counted as a flush. */
void tlb_drop(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va);

#endif
