/*
 * translate.h - the parts of tuxmm translate
 */
#ifndef TUXMM_CMD_TRANSLATE_H
#define TUXMM_CMD_TRANSLATE_H

#include <stdbool.h>
#include <stdio.h>

#include <tuxmm/hosted.h>
#include <tuxmm/machine.h>
#include <tuxmm/segment.h>
#include <tuxmm/tlb.h>

#define MAX_MAPPINGS 32u

/* One --map. */
struct mapping {
	const char *text; /* as it was given */
	uint64_t va, pa, bytes, bits;
};

struct translate_options {
	enum tmm_geometry geometry;
	unsigned access; /* TMM_ACCESS_* */
	enum tmm_segment_name segment;
	bool has_selector;
	uint16_t selector;
	uint64_t address;
	struct mapping mapping[MAX_MAPPINGS];
	unsigned nr_mappings;
	bool twice, json, help;
};

/* 0, or the exit status: what was wrong has been said. */
int read_translate_options(int argc, char **argv, struct translate_options *out);

#define NR_GDT      16u
#define NR_LDT      5u
#define TLB_ENTRIES 64u
#define TLB_WAYS    4u

/* The machine of the example: RAM, tables, descriptors, TLB. */
struct example {
	struct tmm_hosted_ram ram;
	struct tmm_machine *machine;
	struct tmm_mmu mmu;
	struct tmm_tlb tlb;
	struct tmm_tlb_entry entry[TLB_ENTRIES];
	uint64_t gdt[NR_GDT], ldt[NR_LDT];
	struct tmm_segments segments;
};

/* False: what was wrong has been said. */
bool example_init(struct example *example, const struct translate_options *options);
void example_fini(struct example *example);

/* One access, as far as it came. */
struct translation {
	bool has_linear; /* else segment_fault says why */
	bool is_stack;   /* through ss */
	struct tmm_segment_fault segment_fault;
	uint16_t selector;
	struct tmm_segment segment;
	uint64_t raw; /* the segment's descriptor; 0: a null selector */
	tmm_vaddr linear;
	struct tmm_mmu_result result; /* with a linear address */
};

/* Words for what was found. */
extern const char *const segment_names[TMM_NR_SEGMENTS];
const char *fault_words(enum tmm_mmu_fault fault);
const char *vector_name(unsigned vector);
unsigned vector_of(const struct translation *done); /* 0: no fault */

#define BITS_TEXT 80u

/* "P RW US A" into text; returns it. */
const char *entry_bits(const struct tmm_mmu_step *step, uint64_t entry, char text[BITS_TEXT]);

/* "data, writable, accessed" into text; returns it. */
const char *descriptor_words(const struct tmm_descriptor *d, char text[BITS_TEXT]);

void show_translation(FILE *out, const struct example *example,
                      const struct translate_options *options, const struct translation *done,
                      unsigned nr);

/* False: out of memory or not written. */
bool show_translation_json(FILE *out, const struct example *example,
                           const struct translate_options *options,
                           const struct translation *done, unsigned nr);

#endif
