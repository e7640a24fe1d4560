/*
 * segment_test.c - segmentation: every type of descriptor at every privilege
 */
#include <string.h>

#include <tuxmm/pgtable.h>
#include <tuxmm/segment.h>

#include "base/base.h"
#include "test.h"

#define SYSTEM 16u /* beside the type, in the tests' tables: S clear */

static uint64_t gdt[4], ldt[2];
static struct tmm_segments s;
static struct tmm_segment_fault fault;

static struct tmm_descriptor flat(unsigned type, unsigned dpl)
{
	return (struct tmm_descriptor){
		.limit = 0xfffff,
		.type = (uint8_t)(type & 15),
		.is_system = (type & SYSTEM) != 0,
		.dpl = (uint8_t)dpl,
		.present = true,
		.big = true,
		.granular = true,
	};
}

/* GDT: null, code of privilege `cpl`, the descriptor under test, stack. */
static void begin(unsigned cpl, const struct tmm_descriptor *tested)
{
	struct tmm_descriptor code = flat(TMM_SEGMENT_CODE | TMM_SEGMENT_READABLE, cpl);

	gdt[0] = 0;
	gdt[1] = tmm_descriptor_encode(&code);
	gdt[2] = tmm_descriptor_encode(tested);
	ldt[0] = gdt[2];
	tmm_segments_init(&s, (struct tmm_segment_table){gdt, 3 * 8 - 1},
	                  (struct tmm_segment_table){ldt, 8 - 1}, false);
	CHECK(tmm_segment_enter(&s, (uint16_t)(8 | cpl), &fault));
	CHECK(s.cpl == cpl);
}

TEST(descriptors_are_the_eight_bytes_of_the_processor)
{
	/* 32-bit and 64-bit code, data, and Linux's TSS-like odds and ends. */
	const struct {
		uint64_t raw;
		struct tmm_descriptor d;
	} rows[] = {
		{UINT64_C(0x00cf9b000000ffff),
	         {.limit = 0xfffff,
	          .type = 11,
	          .present = true,
	          .big = true,
	          .granular = true}},
		{UINT64_C(0x00cff3000000ffff),
	         {.limit = 0xfffff,
	          .type = 3,
	          .dpl = 3,
	          .present = true,
	          .big = true,
	          .granular = true}},
		{UINT64_C(0x00affb000000ffff),
	         {.limit = 0xfffff,
	          .type = 11,
	          .dpl = 3,
	          .present = true,
	          .long_code = true,
	          .granular = true}},
		{UINT64_C(0x12508934567889ab),
	         {.base = 0x12345678,
	          .limit = 0x089ab,
	          .type = 9,
	          .is_system = true,
	          .present = true,
	          .available = true,
	          .big = true}},
	};
	uint64_t state = test_seed();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tmm_descriptor d = tmm_descriptor_decode(rows[i].raw);

		CHECK(tmm_descriptor_encode(&rows[i].d) == rows[i].raw);
		CHECK(d.base == rows[i].d.base && d.limit == rows[i].d.limit);
		CHECK(d.type == rows[i].d.type && d.dpl == rows[i].d.dpl);
		CHECK(d.is_system == rows[i].d.is_system && d.present == rows[i].d.present);
	}
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t raw = test_random(&state);
		struct tmm_descriptor d = tmm_descriptor_decode(raw);

		CHECK(tmm_descriptor_encode(&d) == raw);
	}
}

/*
 * What a register takes, by type, data 0..7 and code 8..15: r readable data,
 * w writable data, c and C code, k and K conforming code, capitals readable.
 */
static const char kinds[16 + 1] = "rrwwrrwwccCCkkKK";

/* Is the descriptor good for the register?  Said in letters. */
static bool suits(enum tmm_segment_name name, char kind, unsigned cpl, unsigned rpl,
                  unsigned dpl)
{
	switch (name) {
	case TMM_SEGMENT_CS:
		if (kind == 'k' || kind == 'K')
			return dpl <= cpl;
		return (kind == 'c' || kind == 'C') && dpl == cpl && rpl <= cpl;
	case TMM_SEGMENT_SS:
		return kind == 'w' && rpl == cpl && dpl == cpl;
	default:
		if (kind == 'K')
			return true;
		return (kind == 'r' || kind == 'w' || kind == 'C') && dpl >= cpl && dpl >= rpl;
	}
}

static void try_load(enum tmm_segment_name name, unsigned type, unsigned cpl, unsigned rpl,
                     unsigned dpl)
{
	struct tmm_descriptor d = flat(type, dpl);
	char kind = type & SYSTEM ? '-' : kinds[type];
	bool good = suits(name, kind, cpl, rpl, dpl);
	uint16_t global = (uint16_t)(2 << 3 | rpl), local = (uint16_t)(TMM_SELECTOR_LDT | rpl);
	struct tmm_segments before;

	begin(cpl, &d);
	before = s;
	CHECK(tmm_segment_load(&s, name, global, &fault) == good);
	if (!good) {
		CHECK(fault.vector == TMM_VECTOR_GP && fault.error == 2 << 3 && fault.why);
		CHECK(memcmp(&s, &before, sizeof(s)) == 0 && !(gdt[2] ^ ldt[0]));
	} else {
		CHECK(s.reg[name].usable && (gdt[2] >> 40 & 1) == 1);
	}
	begin(cpl, &d);
	CHECK(tmm_segment_load(&s, name, local, &fault) == good);
	CHECK(good || fault.error == TMM_SELECTOR_LDT);
	d.present = false;
	begin(cpl, &d);
	CHECK(!tmm_segment_load(&s, name, global, &fault));
	if (good)
		CHECK(fault.vector == (name == TMM_SEGMENT_SS ? TMM_VECTOR_SS : TMM_VECTOR_NP));
	else
		CHECK(fault.vector == TMM_VECTOR_GP);
}

TEST(registers_take_every_type_at_every_privilege_as_the_processor_does)
{
	for (unsigned name = 0; name < TMM_NR_SEGMENTS; name++) {
		for (unsigned type = 0; type < 32; type++) {
			for (unsigned levels = 0; levels < 64; levels++)
				try_load(name, type, levels & 3, levels >> 2 & 3, levels >> 4);
		}
	}
}

TEST(null_selectors_and_those_beyond_a_table_are_caught)
{
	struct tmm_descriptor d = flat(TMM_SEGMENT_WRITABLE, 0);
	tmm_vaddr va;

	begin(0, &d);
	for (uint16_t null = 0; null < 4; null++) {
		CHECK(!tmm_segment_load(&s, TMM_SEGMENT_CS, null, &fault) && fault.error == 0);
		CHECK(!tmm_segment_load(&s, TMM_SEGMENT_SS, null, &fault) && fault.error == 0);
		CHECK(tmm_segment_load(&s, TMM_SEGMENT_DS, null, &fault));
		CHECK(!tmm_segment_linear(&s, TMM_SEGMENT_DS, 0, 1, TMM_ACCESS_READ, &va,
		                          &fault));
		CHECK(fault.vector == TMM_VECTOR_GP && fault.error == 0);
	}
	CHECK(!tmm_segment_load(&s, TMM_SEGMENT_DS, 3 << 3, &fault));
	CHECK(fault.vector == TMM_VECTOR_GP && fault.error == 3 << 3);
	CHECK(!tmm_segment_load(&s, TMM_SEGMENT_DS, 1 << 3 | TMM_SELECTOR_LDT | 3, &fault));
	CHECK(fault.error == (1 << 3 | TMM_SELECTOR_LDT));
	s.ldt.entry = NULL;
	CHECK(!tmm_segment_load(&s, TMM_SEGMENT_DS, TMM_SELECTOR_LDT, &fault));
}

/*
 *   expand-up    |########|........|   valid up to the limit
 *   expand-down  |........|########|   valid above it, to 64 KiB or 4 GiB
 */
TEST(limits_hold_in_bytes_and_pages_upwards_and_downwards)
{
	const unsigned UP = TMM_SEGMENT_WRITABLE, DOWN = UP | TMM_SEGMENT_EXPAND_DOWN;
	const struct {
		unsigned type;
		uint32_t limit;
		bool granular, big;
		uint64_t offset;
		unsigned bytes;
		bool valid;
	} rows[] = {
		{UP, 0xfff, false, true, 0xfff, 1, true},
		{UP, 0xfff, false, true, 0xfff, 2, false},
		{UP, 0xfff, false, true, 0xffc, 4, true},
		{UP, 0xfff, false, true, 0x1000, 1, false},
		{UP, 0, false, true, 0, 1, true},
		{UP, 0, true, true, 0xfff, 1, true},
		{UP, 0, true, true, 0x1000, 1, false},
		{UP, 0xfffff, true, true, UINT32_MAX, 1, true},
		{UP, 0xfffff, true, true, UINT32_MAX, 2, false},
		{UP, 0xfffff, true, true, UINT64_C(1) << 32, 1, false},
		{DOWN, 0xfff, false, true, 0xfff, 1, false},
		{DOWN, 0xfff, false, true, 0x1000, 1, true},
		{DOWN, 0xfff, false, true, UINT32_MAX, 1, true},
		{DOWN, 0xfff, false, true, UINT32_MAX, 2, false},
		{DOWN, 0xfff, false, false, 0xffff, 1, true},
		{DOWN, 0xfff, false, false, 0xffff, 2, false},
		{DOWN, 0xfff, false, false, 0x10000, 1, false},
		{DOWN, 1, true, true, 0x1fff, 1, false},
		{DOWN, 1, true, true, 0x2000, 1, true},
		{DOWN, 0xfffff, true, true, UINT32_MAX, 1, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tmm_descriptor d = flat(rows[i].type, 0);
		tmm_vaddr va;

		d.limit = rows[i].limit;
		d.granular = rows[i].granular;
		d.big = rows[i].big;
		d.base = 0xffff0000;
		for (unsigned name = TMM_SEGMENT_SS; name <= TMM_SEGMENT_DS; name++) {
			bool stack = name == TMM_SEGMENT_SS;

			begin(0, &d);
			CHECK(tmm_segment_load(&s, name, 2 << 3, &fault));
			CHECK(tmm_segment_linear(&s, name, rows[i].offset, rows[i].bytes,
			                         TMM_ACCESS_WRITE, &va,
			                         &fault) == rows[i].valid);
			if (rows[i].valid) /* addresses wrap at 4 GiB */
				CHECK(va.v == (uint32_t)(0xffff0000 + rows[i].offset));
			else
				CHECK(fault.vector == (stack ? TMM_VECTOR_SS : TMM_VECTOR_GP) &&
				      fault.error == 0);
		}
	}
}

TEST(accesses_are_checked_against_the_type)
{
	const unsigned W = TMM_ACCESS_WRITE, R = TMM_ACCESS_READ, X = TMM_ACCESS_EXEC;
	const struct {
		char kind;
		unsigned type, grants;
	} rows[] = {
		{'r', 0, R}, {'w', 2, R | W}, {'c', 8, X}, {'C', 10, R | X}, {'K', 14, R | X}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tmm_descriptor d = flat(rows[i].type, 0);
		enum tmm_segment_name name = rows[i].type & 8 ? TMM_SEGMENT_CS : TMM_SEGMENT_DS;

		begin(0, &d);
		CHECK(tmm_segment_load(&s, name, 2 << 3, &fault));
		for (unsigned access = R; access <= X; access <<= 1) {
			tmm_vaddr va;

			CHECK(tmm_segment_linear(&s, name, 5, 1, access, &va, &fault) ==
			      ((rows[i].grants & access) != 0));
		}
	}
}

/* The copy in the register is what counts, until the next load. */
TEST(a_changed_descriptor_shows_at_the_next_load)
{
	struct tmm_descriptor d = flat(TMM_SEGMENT_WRITABLE, 0);
	tmm_vaddr va;

	begin(0, &d);
	CHECK(tmm_segment_load(&s, TMM_SEGMENT_DS, 2 << 3, &fault));
	d.base = 0x1000;
	gdt[2] = tmm_descriptor_encode(&d);
	CHECK(tmm_segment_linear(&s, TMM_SEGMENT_DS, 1, 1, TMM_ACCESS_READ, &va, &fault));
	CHECK(va.v == 1);
	CHECK(tmm_segment_load(&s, TMM_SEGMENT_DS, 2 << 3, &fault));
	CHECK(tmm_segment_linear(&s, TMM_SEGMENT_DS, 1, 1, TMM_ACCESS_READ, &va, &fault));
	CHECK(va.v == 0x1001);
}

/* Going from the kernel to the user leaves no kernel data in the registers. */
TEST(a_lower_privilege_loses_data_of_the_higher)
{
	struct tmm_descriptor d = flat(TMM_SEGMENT_WRITABLE, 0);
	struct tmm_descriptor code = flat(TMM_SEGMENT_CODE, 3);

	begin(0, &d);
	CHECK(tmm_segment_load(&s, TMM_SEGMENT_DS, 2 << 3, &fault));
	gdt[1] = tmm_descriptor_encode(&code);
	CHECK(tmm_segment_enter(&s, 8 | 3, &fault));
	CHECK(s.cpl == 3 && !s.reg[TMM_SEGMENT_DS].usable);
}

TEST(long_code_has_bases_in_fs_and_gs_alone_and_no_limits)
{
	struct tmm_descriptor d = flat(TMM_SEGMENT_WRITABLE, 0);
	struct tmm_descriptor code = flat(TMM_SEGMENT_CODE, 0);
	tmm_vaddr va;

	d.base = 0x5000;
	d.limit = 0;
	d.granular = false;
	begin(0, &d);
	s.long_mode = true;
	code.long_code = true;
	gdt[1] = tmm_descriptor_encode(&code);
	CHECK(!tmm_segment_enter(&s, 8, &fault)); /* D and L at once */
	CHECK(fault.vector == TMM_VECTOR_GP && fault.error == 8);
	code.big = false;
	gdt[1] = tmm_descriptor_encode(&code);
	CHECK(tmm_segment_enter(&s, 8, &fault) && tmm_segments_in_long_code(&s));
	CHECK(tmm_segment_load(&s, TMM_SEGMENT_SS, 0, &fault));
	CHECK(!tmm_segment_load(&s, TMM_SEGMENT_SS, 3, &fault));
	for (unsigned name = 0; name < TMM_NR_SEGMENTS; name++) {
		uint64_t base = name >= TMM_SEGMENT_FS ? UINT64_C(0x7f0000000000) : 0;

		if (name != TMM_SEGMENT_CS)
			CHECK(tmm_segment_load(&s, name, 2 << 3, &fault));
		CHECK(name < TMM_SEGMENT_FS || s.reg[name].base64 == 0x5000);
		s.reg[name].base64 = UINT64_C(0x7f0000000000);
		CHECK(tmm_segment_linear(&s, name, 0x123456789a, 8, TMM_ACCESS_WRITE, &va,
		                         &fault));
		CHECK(va.v == base + 0x123456789a);
	}
}
