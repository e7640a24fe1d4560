/*
 * mmu_test.c - the unit against a walker written out by hand, for each geometry
 *
 * Leaves point beyond RAM, so that an entry whose PS bit is lost points to no
 * table.  What the tests break in entries is rights, flags and reserved bits.
 */
#include <string.h>

#include "inject.h"
#include "map/mmu_impl.h"
#include "page/rig_test.h"

#define RAM_BYTES    (8 * MIB)
#define ALL_CONTROLS (TMM_MMU_WP | TMM_MMU_NXE | TMM_MMU_SMEP | TMM_MMU_SMAP | TMM_MMU_PGE)
#define FAR_PA       (UINT64_C(1) << 31) /* of leaves */

static struct rig rig;
static struct tmm_mmu mmu;
static enum tmm_geometry geometry;
static uint64_t random_state;

static uint64_t pick(uint64_t nr)
{
	return test_random(&random_state) % nr;
}

static unsigned usual_controls(void)
{
	return tmm_mmu_format(geometry)->has_nx ? ALL_CONTROLS : ALL_CONTROLS & ~TMM_MMU_NXE;
}

static void begin(enum tmm_geometry which)
{
	geometry = which;
	random_state = test_seed() + which;
	rig_simple(&rig, RAM_BYTES);
	CHECK(tmm_mmu_init(&mmu, geometry, &rig.pages, usual_controls() & ~TMM_MMU_SMAP, 0) ==
	      TMM_OK);
}

static void end(void)
{
	tmm_mmu_fini(&mmu);
	tmm_pages_check(&rig.pages);
}

static uint64_t read_entry(uint64_t pa)
{
	const char *at = (const char *)rig.ram + pa;
	uint64_t wide;
	uint32_t narrow;

	if (geometry != TMM_GEOMETRY_X86_32) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void write_entry(uint64_t pa, uint64_t entry)
{
	memcpy((char *)rig.ram + pa, &entry, geometry == TMM_GEOMETRY_X86_32 ? 4 : 8);
}

/* ---- the walker written out by hand ---- */

struct naive {
	enum tmm_mmu_fault fault;
	uint64_t pa, page_bytes;
	bool w, u, nx;
};

static void naive_32(uint64_t va, struct naive *out)
{
	uint64_t pde = read_entry(mmu.root.v * 4096 + (va >> 22) * 4), pte;

	out->fault = TMM_FAULT_ABSENT;
	if (!(pde & 1))
		return;
	out->w = pde & 2;
	out->u = pde & 4;
	if (pde & 0x80) {
		out->fault = pde & 0x3fe000 ? TMM_FAULT_RESERVED : TMM_FAULT_NONE;
		out->pa = (pde & 0xffc00000) | (va & 0x3fffff);
		out->page_bytes = 0x400000;
		return;
	}
	if ((pde & 0xfffff000) >= RAM_BYTES) {
		out->fault = TMM_FAULT_NO_RAM;
		return;
	}
	pte = read_entry((pde & 0xfffff000) + (va >> 12 & 1023) * 4);
	if (!(pte & 1))
		return;
	out->fault = TMM_FAULT_NONE;
	out->w &= (pte & 2) != 0;
	out->u &= (pte & 4) != 0;
	out->pa = (pte & 0xfffff000) | (va & 0xfff);
	out->page_bytes = 0x1000;
}

/* Reserved bits with the usual physical width: 36, 46 and 52 bits. */
static uint64_t naive_reserved(unsigned shift, bool leaf)
{
	uint64_t reserved = mmu.controls & TMM_MMU_NXE ? 0 : UINT64_C(1) << 63;

	if (geometry == TMM_GEOMETRY_X86_PAE)
		reserved |= UINT64_C(0x7ffffff000000000);
	if (geometry == TMM_GEOMETRY_X86_64)
		reserved |= UINT64_C(0x000fc00000000000);
	if (geometry == TMM_GEOMETRY_X86_PAE && shift == 30)
		return reserved | UINT64_C(0x80000000000001e6);
	if (shift >= 39)
		return reserved | 0x80;
	if (shift == 30 && leaf)
		return reserved | 0x3fffe000;
	if (shift == 21 && leaf)
		return reserved | 0x1fe000;
	return reserved;
}

static void naive_64(uint64_t va, struct naive *out)
{
	static const unsigned top[] = {[TMM_GEOMETRY_X86_64] = 39,
	                               [TMM_GEOMETRY_X86_64_LA57] = 48,
	                               [TMM_GEOMETRY_X86_PAE] = 30};
	uint64_t at = mmu.root.v * 4096;

	for (unsigned shift = top[geometry];; shift -= 9) {
		uint64_t entry = read_entry(at + (va >> shift & 511) * 8);
		bool bare = geometry == TMM_GEOMETRY_X86_PAE && shift == 30;
		bool leaf = shift == 12 || (shift <= 30 && !bare && (entry & 0x80));

		out->fault = TMM_FAULT_ABSENT;
		if (!(entry & 1))
			return;
		out->fault = TMM_FAULT_RESERVED;
		if (entry & naive_reserved(shift, leaf))
			return;
		if (!bare) {
			out->w &= (entry & 2) != 0;
			out->u &= (entry & 4) != 0;
			out->nx |= entry >> 63 != 0;
		}
		at = entry & UINT64_C(0x000ffffffffff000);
		if (leaf) {
			uint64_t bytes = UINT64_C(1) << shift;

			out->fault = TMM_FAULT_NONE;
			out->pa = (at & -bytes) + (va & (bytes - 1));
			out->page_bytes = bytes;
			return;
		}
		out->fault = TMM_FAULT_NO_RAM;
		if (at >= RAM_BYTES)
			return;
	}
}

static struct naive naive_walk(uint64_t va, unsigned access)
{
	struct naive found = {.w = true, .u = true};
	bool user = access & TMM_ACCESS_USER, write = access & TMM_ACCESS_WRITE;
	bool exec = access & TMM_ACCESS_EXEC;

	if (geometry == TMM_GEOMETRY_X86_32)
		naive_32(va, &found);
	else
		naive_64(va, &found);
	if (found.fault != TMM_FAULT_NONE)
		return found;
	if (user && !found.u)
		found.fault = TMM_FAULT_USER;
	else if (write && !found.w && (user || (mmu.controls & TMM_MMU_WP)))
		found.fault = TMM_FAULT_WRITE;
	else if (exec && found.nx)
		found.fault = TMM_FAULT_NX;
	else if (!user && found.u && exec && (mmu.controls & TMM_MMU_SMEP))
		found.fault = TMM_FAULT_SMEP;
	else if (!user && found.u && !exec && (mmu.controls & TMM_MMU_SMAP))
		found.fault = TMM_FAULT_SMAP;
	return found;
}

/* ---- random tables ---- */

#define NR_MAPPED 400u

/* Addresses of a few tables, those at the ends of the address space among them. */
static uint64_t random_va(void)
{
	uint64_t low = pick(3) << 30 | pick(3) << 21 | pick(12) << 12 | pick(4096);
	unsigned bits = mmu.format->linear_bits;

	if (bits == 32)
		return low;
	low |= pick(2) << 39 | (bits == 57 ? pick(2) << 48 : 0);
	return pick(2) ? low : low | UINT64_MAX << (bits - 1);
}

static unsigned random_access(void)
{
	unsigned access = 1u << pick(3);

	return pick(2) ? access | TMM_ACCESS_USER : access;
}

static void map_at_random(void)
{
	static const uint64_t flags[] = {TMM_PTE_WRITE, TMM_PTE_USER,   TMM_PTE_PWT,
	                                 TMM_PTE_PCD,   TMM_PTE_GLOBAL, TMM_PTE_DIRTY,
	                                 TMM_PTE_PAT};

	for (unsigned i = 0; i < NR_MAPPED; i++) {
		unsigned level = pick(8) ? 1 : 1 + (unsigned)pick(mmu.format->nr_levels);
		uint64_t bytes = mmu_page_bytes(&mmu, level);
		uint64_t bits = pick(2) && mmu.format->has_nx ? TMM_PTE_NX : 0;
		uint64_t va = align_down(random_va(), bytes);
		tmm_err err;

		for (size_t f = 0; f < ARRAY_SIZE(flags); f++)
			bits |= pick(4) ? flags[f] : 0;
		err = tmm_mmu_map(&mmu, (tmm_vaddr){va},
		                  (tmm_paddr){align_down(FAR_PA + (pick(64) << 12), bytes)},
		                  bytes, bits);
		CHECK(err == TMM_OK || err == TMM_E_EXIST ||
		      (err == TMM_E_INVAL && !mmu.format->level[level].can_be_leaf));
	}
}

/* Flip a bit of an entry on the way to some address; frames stay. */
static void break_an_entry(void)
{
	struct tmm_mmu_result result;
	const struct tmm_mmu_step *step;
	unsigned bit = (unsigned)pick(20);

	tmm_mmu_walk(&mmu, (tmm_vaddr){random_va()}, TMM_ACCESS_READ, &result);
	if (result.nr_steps == 0)
		return;
	step = &result.step[pick(result.nr_steps)];
	if (bit == 0 && !(step->before & TMM_PTE_PRESENT))
		return; /* an empty entry points to frame 0 */
	if (bit >= 9)
		bit = geometry == TMM_GEOMETRY_X86_32 ? 13 : 36 + (unsigned)pick(28);
	if (bit == 13 && !step->is_leaf)
		return;
	if (step->after != 0)
		write_entry(step->entry_at.v, step->after ^ UINT64_C(1) << bit);
}

static uint32_t naive_error(enum tmm_mmu_fault fault, unsigned access)
{
	bool tells_fetch = (mmu.controls & (TMM_MMU_NXE | TMM_MMU_SMEP)) != 0;

	if (fault == TMM_FAULT_NONE || fault == TMM_FAULT_NO_RAM)
		return 0;
	return (fault != TMM_FAULT_ABSENT ? 1u : 0) | (access & TMM_ACCESS_WRITE ? 2u : 0) |
	       (access & TMM_ACCESS_USER ? 4u : 0) | (fault == TMM_FAULT_RESERVED ? 8u : 0) |
	       (access & TMM_ACCESS_EXEC && tells_fetch ? 16u : 0);
}

static void compare_walks(unsigned *granted)
{
	uint64_t va = random_va();
	unsigned access = random_access();
	struct naive naive;
	struct tmm_mmu_result result;

	mmu.controls = (uint32_t)pick(ALL_CONTROLS + 1) & usual_controls();
	naive = naive_walk(va, access);
	CHECK(tmm_mmu_walk(&mmu, (tmm_vaddr){va}, access, &result) ==
	      (naive.fault == TMM_FAULT_NONE));
	CHECK(result.fault == naive.fault && result.error == naive_error(naive.fault, access));
	for (unsigned i = 0; i < result.nr_steps; i++) {
		const struct tmm_mmu_step *step = &result.step[i];
		bool bare = geometry == TMM_GEOMETRY_X86_PAE && step->level == 3;
		uint64_t set = bare ? 0 : 0x20;

		if (step->is_leaf && (access & TMM_ACCESS_WRITE))
			set |= 0x40;
		if (naive.fault != TMM_FAULT_NONE)
			set = 0; /* a fault leaves tables alone */
		CHECK(step->after == (step->before | set));
		CHECK(read_entry(step->entry_at.v) == step->after);
	}
	if (naive.fault != TMM_FAULT_NONE)
		return;
	CHECK(result.pa.v == naive.pa && result.page_bytes == naive.page_bytes);
	*granted += 1;
}

TEST(walks_of_random_tables_agree_with_a_walker_written_by_hand)
{
	for (unsigned g = 0; g < TMM_NR_GEOMETRIES; g++) {
		unsigned granted = 0;

		for (unsigned round = 0; round < 6; round++) {
			begin(g);
			random_state += round << 8;
			map_at_random();
			tmm_mmu_check(&mmu);
			for (unsigned i = 0; i < 3000; i++) {
				if (i > 1000 && i % 64 == 0)
					break_an_entry();
				compare_walks(&granted);
			}
			/* Broken entries hide tables: this unit ends with its RAM. */
		}
		CHECK(granted > 1000);
	}
}

/* ---- tables of rules ---- */

#define P    1u
#define W    2u
#define U    4u
#define RSVD 8u
#define I    16u

/* What a leaf and the control registers say to an access; its fault and error code. */
TEST(permissions_are_those_of_the_processor)
{
	const uint64_t LW = TMM_PTE_WRITE, LU = TMM_PTE_USER, LX = TMM_PTE_NX;
	const unsigned R = TMM_ACCESS_READ, WR = TMM_ACCESS_WRITE, X = TMM_ACCESS_EXEC;
	const unsigned BY_USER = TMM_ACCESS_USER, NXE = TMM_MMU_NXE;
	const struct {
		uint64_t leaf;
		unsigned controls, access;
		enum tmm_mmu_fault fault;
		uint32_t error;
	} rows[] = {
		{LU, NXE, R | BY_USER, TMM_FAULT_NONE, 0},
		{LU, NXE, WR | BY_USER, TMM_FAULT_WRITE, P | W | U},
		{LU, NXE, X | BY_USER, TMM_FAULT_NONE, 0},
		{LU | LX, NXE, X | BY_USER, TMM_FAULT_NX, P | U | I},
		{LU | LX, NXE, R | BY_USER, TMM_FAULT_NONE, 0},
		{LU | LX, 0, R | BY_USER, TMM_FAULT_RESERVED, P | U | RSVD},
		{LU | LX, 0, X | BY_USER, TMM_FAULT_RESERVED, P | U | RSVD},
		{LU | LW, NXE, WR | BY_USER, TMM_FAULT_NONE, 0},
		{LW, NXE, R | BY_USER, TMM_FAULT_USER, P | U},
		{LW, NXE, WR | BY_USER, TMM_FAULT_USER, P | W | U},
		{0, NXE, X | BY_USER, TMM_FAULT_USER, P | U | I},
		{0, 0, X | BY_USER, TMM_FAULT_USER, P | U},
		{0, 0, R, TMM_FAULT_NONE, 0},
		{0, 0, WR, TMM_FAULT_NONE, 0},
		{0, TMM_MMU_WP, WR, TMM_FAULT_WRITE, P | W},
		{LW, TMM_MMU_WP, WR, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_WP, WR, TMM_FAULT_WRITE, P | W},
		{LX, NXE, X, TMM_FAULT_NX, P | I},
		{LU, NXE, X, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_SMEP, X, TMM_FAULT_SMEP, P | I},
		{0, TMM_MMU_SMEP, X, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_SMEP, X | BY_USER, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_SMEP, R, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_SMAP, R, TMM_FAULT_SMAP, P},
		{LU | LW, TMM_MMU_SMAP, WR, TMM_FAULT_SMAP, P | W},
		{LU, TMM_MMU_SMAP, X, TMM_FAULT_NONE, 0},
		{LU, TMM_MMU_SMAP, R | BY_USER, TMM_FAULT_NONE, 0},
		{LW, TMM_MMU_SMAP, WR, TMM_FAULT_NONE, 0},
	};

	begin(TMM_GEOMETRY_X86_64);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		tmm_vaddr va = {0x400000 + (i << 12)};
		struct tmm_mmu_result result;

		mmu.controls = TMM_MMU_NXE;
		CHECK(tmm_mmu_map(&mmu, va, (tmm_paddr){FAR_PA}, 4096, rows[i].leaf) == TMM_OK);
		mmu.controls = rows[i].controls;
		tmm_mmu_walk(&mmu, va, rows[i].access, &result);
		if (result.fault != rows[i].fault || result.error != rows[i].error)
			test_note("row %zu: fault %d, error 0x%x", i, (int)result.fault,
			          (unsigned)result.error);
		CHECK(result.fault == rows[i].fault && result.error == rows[i].error);
	}
	end();
}

/* A leaf of every size, and each bit that must be 0 in each entry on the way to it. */
TEST(every_reserved_bit_faults_and_no_other)
{
	for (unsigned g = 0; g < TMM_NR_GEOMETRIES; g++) {
		unsigned width = g == TMM_GEOMETRY_X86_32 ? 32 : 64;

		begin(g);
		for (unsigned level = 1; level <= mmu.format->nr_levels; level++) {
			uint64_t bytes = mmu_page_bytes(&mmu, level);
			tmm_vaddr va = {(uint64_t)level << 30 & 0xc0000000};
			struct tmm_mmu_result clean, result;

			if (!mmu.format->level[level].can_be_leaf)
				continue;
			CHECK(tmm_mmu_map(&mmu, va, (tmm_paddr){FAR_PA}, bytes, 0) == TMM_OK);
			CHECK(tmm_mmu_walk(&mmu, va, TMM_ACCESS_READ, &clean));
			for (unsigned s = 0; s < clean.nr_steps; s++) {
				const struct tmm_mmu_step *step = &clean.step[s];
				uint64_t reserved =
					g == TMM_GEOMETRY_X86_32
						? (step->is_leaf && level == 2 ? 0x3fe000 : 0)
						: naive_reserved(
							  mmu.format->level[step->level].shift,
							  step->is_leaf);

				for (unsigned bit = 1; bit < width; bit++) {
					bool is = reserved >> bit & 1;

					if (!is && !step->is_leaf && (bit >= 12 || bit == 7))
						continue; /* another table */
					if (!is && bit == 7 && step->level > 1)
						continue; /* no leaf any more */
					write_entry(step->entry_at.v,
					            step->after ^ UINT64_C(1) << bit);
					tmm_mmu_walk(&mmu, va, TMM_ACCESS_READ, &result);
					CHECK((result.fault == TMM_FAULT_RESERVED) == is);
					CHECK(!is || result.error == (P | RSVD));
					write_entry(step->entry_at.v, step->after);
				}
			}
		}
		end();
	}
}

/*
 *   read        A on every level, D nowhere
 *   write       D on the leaf
 *   PAE's root  neither
 */
TEST(accessed_and_dirty_are_set_by_the_access_that_earns_them)
{
	for (unsigned g = 0; g < TMM_NR_GEOMETRIES; g++) {
		const tmm_vaddr va = {0x1234000};
		struct tmm_mmu_result result;

		begin(g);
		CHECK(tmm_mmu_map(&mmu, va, (tmm_paddr){FAR_PA}, 4096, TMM_PTE_WRITE) ==
		      TMM_OK);
		CHECK(!tmm_mmu_walk(&mmu, va, TMM_ACCESS_READ | TMM_ACCESS_USER, &result));
		CHECK(tmm_mmu_walk(&mmu, va, TMM_ACCESS_READ, &result));
		CHECK(!(result.rights & TMM_RIGHT_DIRTY));
		for (unsigned i = 0; i < result.nr_steps; i++) {
			bool bare = g == TMM_GEOMETRY_X86_PAE && i == 0;

			CHECK(!(result.step[i].before & 0x60));
			CHECK((result.step[i].after & 0x60) == (bare ? 0 : 0x20));
		}
		CHECK(tmm_mmu_walk(&mmu, va, TMM_ACCESS_WRITE, &result));
		for (unsigned i = 0; i < result.nr_steps; i++)
			CHECK(((result.step[i].after & 0x40) != 0) == result.step[i].is_leaf);
		end();
	}
}

TEST(addresses_out_of_the_linear_width_are_refused)
{
	const struct {
		enum tmm_geometry geometry;
		uint64_t last_low, first_high; /* 0: there is no upper half */
	} rows[] = {
		{TMM_GEOMETRY_X86_32, UINT32_MAX, 0},
		{TMM_GEOMETRY_X86_PAE, UINT32_MAX, 0},
		{TMM_GEOMETRY_X86_64, UINT64_C(0x00007fffffffffff),
	         UINT64_C(0xffff800000000000)},
		{TMM_GEOMETRY_X86_64_LA57, UINT64_C(0x00ffffffffffffff),
	         UINT64_C(0xff00000000000000)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tmm_mmu_result result;

		begin(rows[i].geometry);
		tmm_mmu_walk(&mmu, (tmm_vaddr){rows[i].last_low}, TMM_ACCESS_READ, &result);
		CHECK(result.fault == TMM_FAULT_ABSENT && result.nr_steps == 1);
		tmm_mmu_walk(&mmu, (tmm_vaddr){rows[i].last_low + 1}, TMM_ACCESS_READ, &result);
		CHECK(result.fault == TMM_FAULT_CANONICAL && result.nr_steps == 0);
		tmm_mmu_walk(&mmu, (tmm_vaddr){rows[i].first_high - 1}, TMM_ACCESS_READ,
		             &result);
		CHECK(result.fault == TMM_FAULT_CANONICAL && result.error == 0);
		if (rows[i].first_high != 0) {
			tmm_mmu_walk(&mmu, (tmm_vaddr){rows[i].first_high}, TMM_ACCESS_READ,
			             &result);
			CHECK(result.fault == TMM_FAULT_ABSENT);
		}
		end();
	}
}

/* ---- building ---- */

TEST(what_cannot_be_mapped_is_refused_and_changes_nothing)
{
	const tmm_paddr pa = {FAR_PA};

	for (unsigned g = 0; g < TMM_NR_GEOMETRIES; g++) {
		uint64_t big = g == TMM_GEOMETRY_X86_32 ? 4 * MIB : 2 * MIB,
			 other = 6 * MIB - big;
		uint64_t leaf;

		begin(g);
#define REFUSED(va, pa, bytes, bits, error)                                                    \
	CHECK(tmm_mmu_map(&mmu, (tmm_vaddr){va}, pa, bytes, bits) == (error))
		REFUSED(0x1000, pa, other, 0, TMM_E_INVAL);
		REFUSED(0x1000, pa, big, 0, TMM_E_INVAL);
		REFUSED(0x1001, pa, 4096, 0, TMM_E_INVAL);
		REFUSED(big, ((tmm_paddr){FAR_PA + 4096}), big, 0, TMM_E_INVAL);
		REFUSED(UINT64_C(1) << 60, pa, 4096, 0, TMM_E_INVAL);
		REFUSED(0x1000, ((tmm_paddr){UINT64_C(1) << 52}), 4096, 0, TMM_E_INVAL);
		REFUSED(0x1000, pa, 4096, UINT64_C(1) << 10, TMM_E_INVAL);
		REFUSED(0x1000, pa, 4096, TMM_PTE_PAT_LARGE, TMM_E_INVAL);
		CHECK(mmu.nr_tables == 1);
		CHECK(tmm_mmu_map(&mmu, (tmm_vaddr){big}, pa, big, 0) == TMM_OK);
		REFUSED(big, pa, big, 0, TMM_E_EXIST);
		REFUSED(big + 4096, pa, 4096, 0, TMM_E_EXIST);
		CHECK(tmm_mmu_map(&mmu, (tmm_vaddr){0x1000}, pa, 4096, 0) == TMM_OK);
		REFUSED(0, pa, big, 0, TMM_E_EXIST);
		tmm_mmu_check(&mmu);
		CHECK(tmm_mmu_unmap(&mmu, (tmm_vaddr){2 * big}, &leaf) == TMM_E_NOENT);
		CHECK(tmm_mmu_unmap(&mmu, (tmm_vaddr){big + 5}, &leaf) == TMM_OK);
		CHECK((leaf & 0x80) && (leaf & ~UINT64_C(0xfff)) == FAR_PA);
		CHECK(tmm_mmu_unmap(&mmu, (tmm_vaddr){0x1000}, &leaf) == TMM_OK);
		CHECK(mmu.nr_tables == 1);
		end();
	}
}

TEST(a_failed_allocation_leaves_no_table_behind)
{
	begin(TMM_GEOMETRY_X86_64_LA57);
	for (unsigned nth = 1; nth <= 4; nth++) {
		tmm_inject_nth(nth, false);
		CHECK(tmm_mmu_map(&mmu, (tmm_vaddr){0x1000}, (tmm_paddr){FAR_PA}, 4096, 0) ==
		      TMM_E_NOMEM);
		tmm_inject_stop();
		CHECK(mmu.nr_tables == 1);
		tmm_mmu_check(&mmu);
	}
	end();
}

/* ---- with a TLB ---- */

static struct tmm_tlb tlb;
static struct tmm_tlb_entry tlb_entries[16];

/*
 * A TLB believes what it saw: a loss of rights shows after the flush, a gain at
 * once, and the first write after a read walks again, to set the dirty bit.
 */
TEST(accesses_go_through_the_tlb)
{
	const tmm_vaddr va = {0x7123};
	const unsigned R = TMM_ACCESS_READ | TMM_ACCESS_USER;
	const unsigned WR = TMM_ACCESS_WRITE | TMM_ACCESS_USER;
	struct tmm_mmu_result result;
	uint64_t at;

	begin(TMM_GEOMETRY_X86_64);
	CHECK(tmm_tlb_init(&tlb, tlb_entries, 16, 4) == TMM_OK);
	CHECK(!tmm_mmu_access(&mmu, &tlb, 1, va, R, &result) && tlb.counts.misses == 1);
	CHECK(tmm_mmu_map(&mmu, (tmm_vaddr){0x7000}, (tmm_paddr){FAR_PA}, 4096, TMM_PTE_USER) ==
	      TMM_OK);
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, R, &result) && !result.from_tlb);
	at = result.step[3].entry_at.v;
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, R, &result) && result.from_tlb);
	CHECK(result.pa.v == FAR_PA + 0x123 && result.page_bytes == 4096);
	CHECK(tmm_mmu_access(&mmu, &tlb, 2, va, R, &result) && !result.from_tlb);
	CHECK(!tmm_mmu_access(&mmu, &tlb, 1, va, WR, &result));
	write_entry(at, read_entry(at) | TMM_PTE_WRITE);
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, R, &result) && !result.from_tlb);
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, WR, &result) && !result.from_tlb);
	CHECK(read_entry(at) & TMM_PTE_DIRTY);
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, WR, &result) && result.from_tlb);
	write_entry(at, 0x1000 | TMM_PTE_USER);
	CHECK(tmm_mmu_access(&mmu, &tlb, 1, va, WR, &result) && result.from_tlb);
	tmm_tlb_flush_page(&tlb, 1, va);
	CHECK(!tmm_mmu_access(&mmu, &tlb, 1, va, WR, &result));
	tlb.counts = (struct tmm_tlb_counts){0};
	CHECK(!tmm_mmu_access(&mmu, &tlb, 1, (tmm_vaddr){UINT64_C(1) << 62}, R, &result));
	CHECK(tlb.counts.misses == 0); /* not canonical: the TLB is not asked */
	tmm_tlb_check(&tlb);
	end();
}
