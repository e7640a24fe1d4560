/*
 * mmu_walk.c - what a processor does with a linear address
 *
 * Entries are read from the root down, each checked before the next: absent, then
 * reserved bits.  What all of them grant together is compared with the access
 * once the leaf is known.  Only then are accessed and dirty bits set, so a
 * fault leaves tables as they were; architectures allow the accessed bits of a
 * faulting walk either way.
 */
#include "map/mmu_impl.h"

enum tmm_mmu_fault mmu_permission(unsigned controls, unsigned rights, unsigned access)
{
	bool by_user = (access & TMM_ACCESS_USER) != 0, users = (rights & TMM_ACCESS_USER) != 0;
	bool fetch = (access & TMM_ACCESS_EXEC) != 0;

	if (by_user && !users)
		return TMM_FAULT_USER;
	if ((access & TMM_ACCESS_WRITE) && !(rights & TMM_ACCESS_WRITE) &&
	    (by_user || (controls & TMM_MMU_WP)))
		return TMM_FAULT_WRITE;
	if (fetch && !(rights & TMM_ACCESS_EXEC))
		return TMM_FAULT_NX;
	if (!by_user && users && fetch && (controls & TMM_MMU_SMEP))
		return TMM_FAULT_SMEP;
	if (!by_user && users && !fetch && (controls & TMM_MMU_SMAP))
		return TMM_FAULT_SMAP;
	return TMM_FAULT_NONE;
}

static uint32_t error_code(const struct tmm_mmu *mmu, enum tmm_mmu_fault fault, unsigned access)
{
	uint32_t error = 0;

	if (fault < TMM_FAULT_ABSENT) /* none, or not a page fault */
		return 0;
	if (fault > TMM_FAULT_ABSENT)
		error |= TMM_PF_PRESENT;
	if (access & TMM_ACCESS_WRITE)
		error |= TMM_PF_WRITE;
	if (access & TMM_ACCESS_USER)
		error |= TMM_PF_USER;
	if (fault == TMM_FAULT_RESERVED)
		error |= TMM_PF_RESERVED;
	if ((access & TMM_ACCESS_EXEC) && (mmu->controls & (TMM_MMU_NXE | TMM_MMU_SMEP)))
		error |= TMM_PF_FETCH;
	return error;
}

/* Take away what this entry does not grant. */
static uint32_t rights_below(const struct tmm_mmu *mmu, const struct tmm_mmu_step *step,
                             uint32_t rights)
{
	if (mmu->format->level[step->level].is_bare)
		return rights;
	if (!(step->before & TMM_PTE_WRITE))
		rights &= ~TMM_ACCESS_WRITE;
	if (!(step->before & TMM_PTE_USER))
		rights &= ~TMM_ACCESS_USER;
	if ((mmu->controls & TMM_MMU_NXE) && (step->before & TMM_PTE_NX))
		rights &= ~TMM_ACCESS_EXEC;
	if (step->is_leaf && (mmu->controls & TMM_MMU_PGE) && (step->before & TMM_PTE_GLOBAL))
		rights |= TMM_RIGHT_GLOBAL;
	if (step->is_leaf && (step->before & TMM_PTE_DIRTY))
		rights |= TMM_RIGHT_DIRTY;
	return rights;
}

/* Read entries down to the leaf, as out->step; what stopped it before. */
static enum tmm_mmu_fault read_entries(const struct tmm_mmu *mmu, uint64_t va,
                                       struct tmm_mmu_result *out)
{
	tmm_pfn table = mmu->root;

	for (unsigned level = mmu->format->nr_levels;; level--) {
		struct tmm_mmu_step *step = &out->step[out->nr_steps++];
		unsigned index = mmu_index(mmu, va, level);
		uint64_t entry = mmu_entry(mmu, table, index);

		*step = (struct tmm_mmu_step){
			.level = (uint8_t)level,
			.index = (uint16_t)index,
			.entry_at = mmu_entry_at(mmu, table, index),
			.before = entry,
			.after = entry,
		};
		if (!(entry & TMM_PTE_PRESENT))
			return TMM_FAULT_ABSENT;
		step->is_leaf = mmu_is_leaf(mmu, level, entry);
		step->reserved = entry & tmm_mmu_reserved_bits(mmu, level, step->is_leaf);
		if (step->reserved != 0)
			return TMM_FAULT_RESERVED;
		out->rights = rights_below(mmu, step, out->rights);
		if (step->is_leaf)
			return TMM_FAULT_NONE;
		table.v = mmu_target(mmu, entry, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT;
		if (!pfn_valid(mmu->pages, table))
			return TMM_FAULT_NO_RAM;
	}
}

/* Set accessed bits, and for a write the leaf's dirty bit. */
static void mark(const struct tmm_mmu *mmu, unsigned access, struct tmm_mmu_result *out)
{
	for (unsigned i = 0; i < out->nr_steps; i++) {
		struct tmm_mmu_step *step = &out->step[i];
		tmm_pfn table = tmm_paddr_to_pfn(step->entry_at);

		if (!mmu->format->level[step->level].is_bare)
			step->after |= TMM_PTE_ACCESSED;
		if (step->is_leaf && (access & TMM_ACCESS_WRITE)) {
			step->after |= TMM_PTE_DIRTY;
			out->rights |= TMM_RIGHT_DIRTY;
		}
		if (step->after != step->before)
			mmu_entry_write(mmu, table, step->index, step->after);
	}
}

bool tmm_mmu_walk(struct tmm_mmu *mmu, tmm_vaddr va, unsigned access,
                  struct tmm_mmu_result *out)
{
	*out = (struct tmm_mmu_result){
		.fault = TMM_FAULT_CANONICAL,
		.rights = TMM_ACCESS_READ | TMM_ACCESS_WRITE | TMM_ACCESS_EXEC |
	                  TMM_ACCESS_USER,
	};
	if (mmu_is_canonical(mmu->format, va.v))
		out->fault = read_entries(mmu, va.v, out);
	if (out->fault == TMM_FAULT_NONE) {
		const struct tmm_mmu_step *leaf = &out->step[out->nr_steps - 1];

		out->page_bytes = mmu_page_bytes(mmu, leaf->level);
		out->fault = mmu_permission(mmu->controls, out->rights, access);
		if (out->fault == TMM_FAULT_NONE) {
			out->pa.v = mmu_target(mmu, leaf->before, out->page_bytes) +
			            (va.v & (out->page_bytes - 1));
			mark(mmu, access, out);
		}
	}
	out->error = error_code(mmu, out->fault, access);
	return out->fault == TMM_FAULT_NONE;
}

/* What the TLB knows of va, when that is enough for the access. */
static bool from_tlb(const struct tmm_mmu *mmu, const struct tmm_tlb_entry *held, tmm_vaddr va,
                     unsigned access, struct tmm_mmu_result *out)
{
	if (!held || mmu_permission(mmu->controls, held->rights, access) != TMM_FAULT_NONE)
		return false;
	if ((access & TMM_ACCESS_WRITE) && !(held->rights & TMM_RIGHT_DIRTY))
		return false;
	*out = (struct tmm_mmu_result){
		.pa = {held->pa.v + (va.v - held->va.v)},
		.page_bytes = UINT64_C(1) << held->shift,
		.rights = held->rights,
		.from_tlb = true,
	};
	return true;
}

bool tmm_mmu_access(struct tmm_mmu *mmu, struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va,
                    unsigned access, struct tmm_mmu_result *out)
{
	uint64_t offset;

	if (mmu_is_canonical(mmu->format, va.v) &&
	    from_tlb(mmu, tmm_tlb_lookup(tlb, asid, va), va, access, out))
		return true;
	if (!tmm_mmu_walk(mmu, va, access, out)) {
		tlb_drop(tlb, asid, va);
		return false;
	}
	offset = va.v & (out->page_bytes - 1);
	tmm_tlb_fill(tlb, &(struct tmm_tlb_entry){
				  .va = {va.v - offset},
				  .pa = {out->pa.v - offset},
				  .rights = out->rights,
				  .asid = (uint16_t)asid,
				  .shift = (uint8_t)log2_floor(out->page_bytes),
			  });
	return true;
}
