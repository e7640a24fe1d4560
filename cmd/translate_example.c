/*
 * translate_example.c - the small machine on which tuxmm translate looks at an address
 *
 * 64 MiB of RAM, of which 16..32 MiB are the kernel's image: the example's pages
 * lie there, where no table can be.  Selectors of the GDT are Linux's.  The LDT has
 * one segment for each kind of refusal:
 *
 *   0x07  a window of 4 KiB on the data page     0x0f  read-only
 *   0x17  expand-down: valid above 0x0804ffff    0x1f  not present
 *   0x27  conforming code of privilege 0
 */
#include "cmd.h"
#include "translate.h"

#include <stdlib.h>
#include <string.h>

#define MIB        UINT64_C(0x100000)
#define RAM_BYTES  (64 * MIB)
#define IMAGE      (16 * MIB)
#define DATA_PAGE  UINT32_C(0x08049000)
#define BROKEN_BIT (1u << 13) /* lies below the frame of any large page */

#define NX         TMM_PTE_NX
#define W          TMM_PTE_WRITE
#define U          TMM_PTE_USER
#define G          TMM_PTE_GLOBAL
#define LARGE      0u /* bytes: the geometry's large page */

static bool is_32_bit(const struct tmm_mmu *mmu)
{
	return mmu->format->linear_bits == 32;
}

static uint64_t large_bytes(const struct tmm_mmu *mmu)
{
	return UINT64_C(1) << mmu->format->level[2].shift;
}

static tmm_err map(struct tmm_mmu *mmu, const struct mapping *mapping)
{
	uint64_t nx = mmu->format->has_nx ? NX : 0;

	return tmm_mmu_map(mmu, (tmm_vaddr){mapping->va}, (tmm_paddr){mapping->pa},
	                   mapping->bytes ? mapping->bytes : large_bytes(mmu),
	                   (mapping->bits & ~NX) | (mapping->bits & nx));
}

static const struct mapping both[] = {
	{"text", 0x08048000, IMAGE + 8 * MIB, 4096, U},
	{"data", DATA_PAGE, IMAGE + 8 * MIB + 0x1000, 4096, U | W | NX},
	{"constants", 0x0804a000, IMAGE + 8 * MIB + 0x2000, 4096, U | NX},
	{"large", 0x40000000, IMAGE + 12 * MIB, LARGE, U | W | NX},
	{"broken", 0x50000000, IMAGE + 12 * MIB, LARGE, U | W | NX},
};

static const struct mapping kernel_32[] = {{"kernel", 0xc0000000, 0, LARGE, W | G | NX}};

static const struct mapping stack_64 = {"stack", UINT64_C(0x7fffffffe000),
                                        IMAGE + 8 * MIB + 0x3000, 4096, U | W | NX};
static const struct mapping text_64 = {"kernel text", UINT64_C(0xffffffff81000000), IMAGE,
                                       2 * MIB, G};

static bool map_all(struct tmm_mmu *mmu, const struct mapping *mapping, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (map(mmu, &mapping[i]) != TMM_OK)
			return false;
	}
	return true;
}

/* Set a reserved bit in the leaf of the last of the pages that all geometries have. */
static void break_page(struct example *example)
{
	struct tmm_mmu_result result;
	uint32_t low;
	char *entry;

	/* SMAP refuses this, so that it leaves no accessed bit. */
	tmm_mmu_walk(&example->mmu, (tmm_vaddr){0x50000000}, TMM_ACCESS_READ, &result);
	entry = (char *)example->ram.start + result.step[result.nr_steps - 1].entry_at.v;
	memcpy(&low, entry, sizeof(low));
	low |= BROKEN_BIT;
	memcpy(entry, &low, sizeof(low));
}

static bool map_example(struct example *example)
{
	const struct mapping direct = {"direct map",
	                               example->mmu.format->linear_bits == 57
	                                       ? UINT64_C(0xff11000000000000)
	                                       : UINT64_C(0xffff888000000000),
	                               0, 1024 * MIB, W | G | NX};
	struct tmm_mmu *mmu = &example->mmu;

	if (!map_all(mmu, both, sizeof(both) / sizeof(both[0])))
		return false;
	break_page(example);
	if (is_32_bit(mmu))
		return map_all(mmu, kernel_32, 1);
	return map_all(mmu, &stack_64, 1) && map_all(mmu, &text_64, 1) &&
	       map_all(mmu, &direct, 1);
}

/* Why a --map was refused. */
static bool say_refused(const struct tmm_mmu *mmu, const struct mapping *mapping, tmm_err err)
{
	const struct tmm_mmu_format *format = mmu->format;
	bool has_size = false;

	for (unsigned level = 1; level <= format->nr_levels; level++)
		has_size |= format->level[level].can_be_leaf &&
		            mapping->bytes == UINT64_C(1) << format->level[level].shift;
	if (err == TMM_E_EXIST)
		say("translate: --map %s: something is mapped there; see 'tuxmm translate "
		    "--help'",
		    mapping->text);
	else if (err == TMM_E_NOMEM)
		say("translate: --map %s: no memory for its tables", mapping->text);
	else if (!has_size)
		say("translate: --map %s: %s has no such pages: expected %s", mapping->text,
		    format->name,
		    format->nr_levels == 2   ? "4K or 4M"
		    : format->nr_levels == 3 ? "4K or 2M"
		                             : "4K, 2M or 1G");
	else if (((mapping->va | mapping->pa) & (mapping->bytes - 1)) != 0)
		say("translate: --map %s: expected addresses that are multiples of the page's "
		    "size",
		    mapping->text);
	else
		say("translate: --map %s: expected a canonical address of %u bits and a "
		    "physical one of %u",
		    mapping->text, format->linear_bits, mmu->physical_bits);
	return false;
}

/* ---- descriptors ---- */

static uint64_t segment(uint32_t base, uint32_t limit, unsigned type, unsigned dpl)
{
	const struct tmm_descriptor d = {
		.base = base,
		.limit = limit > 0xfffff ? limit >> 12 : limit,
		.type = (uint8_t)type,
		.dpl = (uint8_t)dpl,
		.present = true,
		.big = true,
		.granular = limit > 0xfffff,
	};

	return tmm_descriptor_encode(&d);
}

#define DATA TMM_SEGMENT_WRITABLE
#define CODE (TMM_SEGMENT_CODE | TMM_SEGMENT_READABLE)

static uint64_t long_code(unsigned dpl)
{
	struct tmm_descriptor d = tmm_descriptor_decode(segment(0, UINT32_MAX, CODE, dpl));

	d.big = false;
	d.long_code = true;
	return tmm_descriptor_encode(&d);
}

static void fill_tables(struct example *example)
{
	uint64_t *gdt = example->gdt, *ldt = example->ldt;

	memset(gdt, 0, sizeof(example->gdt));
	if (is_32_bit(&example->mmu)) {
		gdt[6] = segment(DATA_PAGE, 0xfffff, DATA, 3);
		gdt[12] = segment(0, UINT32_MAX, CODE, 0);
		gdt[13] = segment(0, UINT32_MAX, DATA, 0);
		gdt[14] = segment(0, UINT32_MAX, CODE, 3);
		gdt[15] = segment(0, UINT32_MAX, DATA, 3);
	} else {
		gdt[1] = segment(0, UINT32_MAX, CODE, 0);
		gdt[2] = long_code(0);
		gdt[3] = segment(0, UINT32_MAX, DATA, 0);
		gdt[4] = segment(0, UINT32_MAX, CODE, 3);
		gdt[5] = segment(0, UINT32_MAX, DATA, 3);
		gdt[6] = long_code(3);
	}
	ldt[0] = segment(DATA_PAGE, 0xfff, DATA, 3);
	ldt[1] = segment(0, UINT32_MAX, 0, 3);
	ldt[2] = segment(0, 0x0804ffff, DATA | TMM_SEGMENT_EXPAND_DOWN, 3);
	ldt[3] = segment(0, UINT32_MAX, DATA, 3) & ~(UINT64_C(1) << 47); /* P */
	ldt[4] = segment(0, UINT32_MAX, CODE | TMM_SEGMENT_CONFORMING, 0);
}

/* Registers as a program, or the kernel, finds them. */
static bool load_registers(struct example *example, bool user)
{
	bool small = is_32_bit(&example->mmu);
	uint16_t code = small ? (user ? 0x73 : 0x60) : (user ? 0x33 : 0x10);
	uint16_t data = small ? (user ? 0x7b : 0x68) : (user ? 0x2b : 0x18);
	struct tmm_segments *segments = &example->segments;
	struct tmm_segment_fault fault;

	tmm_segments_init(
		segments, (struct tmm_segment_table){example->gdt, sizeof(example->gdt) - 1},
		(struct tmm_segment_table){example->ldt, sizeof(example->ldt) - 1}, !small);
	if (!tmm_segment_enter(segments, code, &fault) ||
	    !tmm_segment_load(segments, TMM_SEGMENT_SS, data, &fault) ||
	    !tmm_segment_load(segments, TMM_SEGMENT_DS, data, &fault) ||
	    !tmm_segment_load(segments, TMM_SEGMENT_ES, data, &fault))
		return false;
	if (small)
		return tmm_segment_load(segments, TMM_SEGMENT_GS, 0x33, &fault);
	segments->reg[TMM_SEGMENT_FS].base64 = DATA_PAGE; /* by MSR, the selector is null */
	return true;
}

/* ---- the machine ---- */

static bool boot_machine(struct example *example)
{
	const struct tmm_firmware_range all = {.size_bytes = RAM_BYTES, .type = TMM_FW_USABLE};
	const struct tmm_shape shape = {
		.firmware_map = &all,
		.nr_ranges = 1,
		.nr_cpus = 1,
		.kernel_bytes = IMAGE,
	};
	size_t bytes = (tmm_machine_bytes() + 63) & ~(size_t)63;
	const char *why = "the host has no memory for it";

	if (tmm_hosted_ram_create(RAM_BYTES, &example->ram) != TMM_OK) {
		say("translate: this host cannot map 64 MiB; see 'tuxmm doctor'");
		return false;
	}
	example->machine = aligned_alloc(64, bytes);
	if (example->machine) {
		memset(example->machine, 0, bytes);
		if (tmm_machine_init(example->machine, &shape, example->ram.start, &why) ==
		    TMM_OK)
			return true;
	}
	say("translate: the machine does not boot: %s", why);
	free(example->machine);
	tmm_hosted_ram_destroy(&example->ram);
	return false;
}

static void stop_machine(struct example *example)
{
	tmm_machine_fini(example->machine);
	free(example->machine);
	tmm_hosted_ram_destroy(&example->ram);
}

bool example_init(struct example *example, const struct translate_options *options)
{
	unsigned controls = TMM_MMU_WP | TMM_MMU_PGE | TMM_MMU_SMEP | TMM_MMU_SMAP;
	bool ok = false;

	if (tmm_mmu_format(options->geometry)->has_nx)
		controls |= TMM_MMU_NXE;
	if (!boot_machine(example))
		return false;
	if (tmm_mmu_init(&example->mmu, options->geometry, tmm_machine_pages(example->machine),
	                 controls, 0) != TMM_OK) {
		say("translate: the machine has no memory for tables");
		stop_machine(example);
		return false;
	}
	fill_tables(example);
	if (tmm_tlb_init(&example->tlb, example->entry, TLB_ENTRIES, TLB_WAYS) == TMM_OK &&
	    map_example(example) &&
	    load_registers(example, (options->access & TMM_ACCESS_USER) != 0))
		ok = true;
	else
		say("translate: the machine has no memory for the example's tables");
	for (unsigned i = 0; ok && i < options->nr_mappings; i++) {
		tmm_err err = map(&example->mmu, &options->mapping[i]);

		ok = err == TMM_OK || say_refused(&example->mmu, &options->mapping[i], err);
	}
	if (!ok)
		example_fini(example);
	return ok;
}

void example_fini(struct example *example)
{
	tmm_mmu_fini(&example->mmu);
	stop_machine(example);
}
