/*
 * geometry.c - how each kind of x86 processor divides a linear address
 *
 *   x86-32        10 | 10 | 12       4-byte entries, leaves of 4 KiB and 4 MiB
 *   pae        2 | 9 |  9 | 12       8-byte entries, 4 KiB and 2 MiB
 *   x86-64     9 | 9 | 9 | 9 | 12    the same, and 1 GiB
 *   la57   9 | 9 | 9 | 9 | 9 | 12    the same
 *
 * Bits of an entry are at the same place in all of them; what differs is how many
 * there are and which must be 0:
 *
 *   frame bits above the processor's physical width; ignored from bit 52 on, but
 *   for NX, where four or five levels are
 *   NX, when it is not turned on
 *   PS, where no page can be
 *   in a leaf above level 1, what lies between the PAT bit and the page's frame
 *   in PAE's PDPTE, whatever else a table's entry has: it is a register's copy
 */
#include "map/mmu_impl.h"

#define LEVEL(entry, from, wide, leaf)                                                         \
	{                                                                                      \
		.name = (entry), .shift = (from), .bits = (wide), .can_be_leaf = (leaf)        \
	}

static const struct tmm_mmu_format formats[TMM_NR_GEOMETRIES] = {
	[TMM_GEOMETRY_X86_32] =
		{.name = "x86-32",
                 .nr_levels = 2,
                 .entry_bytes = 4,
                 .linear_bits = 32,
                 .physical_bits = 32,
                 .usual_bits = 32,
                 .level = {[1] = LEVEL("PTE", 12, 10, true), [2] = LEVEL("PDE", 22, 10, true)}},
	[TMM_GEOMETRY_X86_PAE] =
		{.name = "pae",
                 .nr_levels = 3,
                 .entry_bytes = 8,
                 .linear_bits = 32,
                 .physical_bits = 52,
                 .usual_bits = 36,
                 .has_nx = true,
                 .level = {[1] = LEVEL("PTE", 12, 9, true),
                           [2] = LEVEL("PDE", 21, 9, true),
                           [3] = {.name = "PDPTE", .shift = 30, .bits = 2, .is_bare = true}}},
	[TMM_GEOMETRY_X86_64] = {.name = "x86-64",
                                 .nr_levels = 4,
                                 .entry_bytes = 8,
                                 .linear_bits = 48,
                                 .physical_bits = 52,
                                 .usual_bits = 46,
                                 .has_nx = true,
                                 .level = {[1] = LEVEL("PTE", 12, 9, true),
                                           [2] = LEVEL("PDE", 21, 9, true),
                                           [3] = LEVEL("PDPTE", 30, 9, true),
                                           [4] = LEVEL("PML4E", 39, 9, false)}},
	[TMM_GEOMETRY_X86_64_LA57] = {.name = "x86-64-la57",
                                      .nr_levels = 5,
                                      .entry_bytes = 8,
                                      .linear_bits = 57,
                                      .physical_bits = 52,
                                      .usual_bits = 52,
                                      .has_nx = true,
                                      .level = {[1] = LEVEL("PTE", 12, 9, true),
                                                [2] = LEVEL("PDE", 21, 9, true),
                                                [3] = LEVEL("PDPTE", 30, 9, true),
                                                [4] = LEVEL("PML4E", 39, 9, false),
                                                [5] = LEVEL("PML5E", 48, 9, false)}},
};

const struct tmm_mmu_format *tmm_mmu_format(enum tmm_geometry geometry)
{
	TMM_ASSERT(geometry < TMM_NR_GEOMETRIES);
	return &formats[geometry];
}

bool mmu_is_canonical(const struct tmm_mmu_format *format, uint64_t va)
{
	uint64_t above;

	if (format->linear_bits == 32)
		return va >> 32 == 0;
	above = va >> (format->linear_bits - 1); /* the highest bit and all above */
	return above == 0 || above == UINT64_MAX >> (format->linear_bits - 1);
}

/* Frame bits that this processor does not have, and NX when it is off. */
static uint64_t reserved_in_any(const struct tmm_mmu *mmu)
{
	/* Four and five levels leave bits 52 to 62 to software, PAE does not. */
	unsigned end = mmu->format->linear_bits == 32 ? 63 : 52;
	uint64_t reserved = 0;

	if (mmu->format->entry_bytes == 4)
		return 0;
	if (mmu->physical_bits < end)
		reserved = bits_between(mmu->physical_bits, end - 1);
	return mmu->controls & TMM_MMU_NXE ? reserved : reserved | TMM_PTE_NX;
}

uint64_t tmm_mmu_reserved_bits(const struct tmm_mmu *mmu, unsigned level, bool is_leaf)
{
	const struct tmm_mmu_level *at = &mmu->format->level[level];
	uint64_t reserved = reserved_in_any(mmu);

	TMM_ASSERT(level >= 1 && level <= mmu->format->nr_levels);
	if (at->is_bare)
		return reserved | TMM_PTE_NX | bits_between(1, 2) | bits_between(5, 8);
	if (level == 1)
		return reserved;
	if (!is_leaf)
		return at->can_be_leaf ? reserved : reserved | TMM_PTE_PS;
	return reserved | bits_between(13, at->shift - 1u);
}
