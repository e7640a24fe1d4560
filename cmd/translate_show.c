/*
 * translate_show.c - what tuxmm translate found, in words
 */
#include "cmd.h"
#include "translate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define PAGE_FAULT 14u

/* Addresses are as wide as the geometry's entries. */
struct page {
	FILE *out;
	const struct tmm_mmu *mmu;
	int digits; /* of an address */
	const char *bold, *red, *plain;
};

const char *fault_words(enum tmm_mmu_fault fault)
{
	static const char *const words[] = {
		[TMM_FAULT_NONE] = "none",
		[TMM_FAULT_CANONICAL] = "the address is not canonical",
		[TMM_FAULT_NO_RAM] = "an entry points to a table where there is no RAM",
		[TMM_FAULT_ABSENT] = "an entry is not present",
		[TMM_FAULT_RESERVED] = "a bit is set that must be 0",
		[TMM_FAULT_USER] = "the user may not access a page of the kernel",
		[TMM_FAULT_WRITE] = "the page is read-only",
		[TMM_FAULT_NX] = "the page is not executable",
		[TMM_FAULT_SMEP] = "SMEP: the kernel may not execute a page of the user",
		[TMM_FAULT_SMAP] = "SMAP: the kernel may not touch a page of the user",
	};

	return words[fault];
}

const char *vector_name(unsigned vector)
{
	switch (vector) {
	case 0:
		return "none";
	case TMM_VECTOR_NP:
		return "#NP";
	case TMM_VECTOR_SS:
		return "#SS";
	case TMM_VECTOR_GP:
		return "#GP";
	default:
		return "#PF";
	}
}

unsigned vector_of(const struct translation *done)
{
	if (!done->has_linear)
		return done->segment_fault.vector;
	switch (done->result.fault) {
	case TMM_FAULT_NONE:
		return 0;
	case TMM_FAULT_CANONICAL:
		return done->is_stack ? TMM_VECTOR_SS : TMM_VECTOR_GP;
	default:
		return PAGE_FAULT;
	}
}

static void add_word(char text[BITS_TEXT], const char *separator, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, BITS_TEXT - used, "%s%s", used ? separator : "", word);
}

const char *entry_bits(const struct tmm_mmu_step *step, uint64_t entry, char text[BITS_TEXT])
{
	static const struct {
		uint64_t bit;
		const char *name;
		bool of_leaf;
	} bits[] = {
		{TMM_PTE_PRESENT, "P", false}, {TMM_PTE_WRITE, "RW", false},
		{TMM_PTE_USER, "US", false},   {TMM_PTE_PWT, "PWT", false},
		{TMM_PTE_PCD, "PCD", false},   {TMM_PTE_ACCESSED, "A", false},
		{TMM_PTE_DIRTY, "D", true},    {TMM_PTE_GLOBAL, "G", true},
		{TMM_PTE_NX, "NX", false},
	};

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if ((entry & bits[i].bit) && (step->is_leaf || !bits[i].of_leaf))
			add_word(text, " ", bits[i].name);
	}
	if (step->level > 1 && (entry & TMM_PTE_PS))
		add_word(text, " ", "PS");
	if (step->is_leaf && (entry & (step->level > 1 ? TMM_PTE_PAT_LARGE : TMM_PTE_PAT)))
		add_word(text, " ", "PAT");
	if (text[0] == '\0')
		add_word(text, " ", "-");
	return text;
}

const char *descriptor_words(const struct tmm_descriptor *d, char text[BITS_TEXT])
{
	bool code = !d->is_system && (d->type & TMM_SEGMENT_CODE);

	text[0] = '\0';
	if (d->is_system) {
		add_word(text, ", ", "system");
		return text;
	}
	add_word(text, ", ", code ? (d->long_code ? "64-bit code" : "code") : "data");
	if (code) {
		add_word(text, ", ",
		         d->type & TMM_SEGMENT_READABLE ? "readable" : "execute-only");
		if (d->type & TMM_SEGMENT_CONFORMING)
			add_word(text, ", ", "conforming");
	} else {
		add_word(text, ", ", d->type & TMM_SEGMENT_WRITABLE ? "writable" : "read-only");
		if (d->type & TMM_SEGMENT_EXPAND_DOWN)
			add_word(text, ", ", "expand-down");
	}
	if (d->type & TMM_SEGMENT_ACCESSED)
		add_word(text, ", ", "accessed");
	return text;
}

/* ---- the parts of the page ---- */

static void heading(const struct page *page, const char *word)
{
	fprintf(page->out, "%s%-9s%s", page->bold, word, page->plain);
}

static const char *access_word(unsigned access)
{
	if (access & TMM_ACCESS_WRITE)
		return "write";
	return access & TMM_ACCESS_EXEC ? "fetch" : "read";
}

static void show_descriptor(const struct page *page, uint64_t raw)
{
	struct tmm_descriptor d = tmm_descriptor_decode(raw);
	char text[BITS_TEXT];

	fprintf(page->out,
	        "  descriptor 0x%016" PRIx64 ": %s\n"
	        "  base 0x%08" PRIx32 "  limit 0x%08" PRIx32 "%s  DPL %u  %s  %s\n",
	        raw, descriptor_words(&d, text), d.base, tmm_descriptor_limit_bytes(&d),
	        d.granular ? " (G)" : "", d.dpl, d.present ? "present" : "not present",
	        d.long_code ? "L"
	        : d.big     ? "32-bit"
	                    : "16-bit");
}

static void show_segment(const struct page *page, const struct example *example,
                         const struct translate_options *options,
                         const struct translation *done)
{
	uint16_t selector = done->selector;

	heading(page, "segment");
	fprintf(page->out, "%s = 0x%04x: ", segment_names[options->segment], selector);
	if ((selector & ~TMM_SELECTOR_RPL) == 0)
		fprintf(page->out, "null\n");
	else
		fprintf(page->out, "%s entry %u, RPL %u\n",
		        selector & TMM_SELECTOR_LDT ? "LDT" : "GDT", selector >> 3,
		        selector & TMM_SELECTOR_RPL);
	if (done->raw)
		show_descriptor(page, done->raw);
	if (!done->has_linear)
		return;
	if (tmm_segments_in_long_code(&example->segments) && options->segment < TMM_SEGMENT_FS)
		fprintf(page->out, "  64-bit code: base and limit do not count\n");
	else
		fprintf(page->out, "  base 0x%0*" PRIx64 " + offset 0x%0*" PRIx64 "\n",
		        page->digits, done->linear.v - options->address, page->digits,
		        options->address);
}

/* The linear address in pieces: an index a level, as far as the leaf when it is known. */
static void show_linear(const struct page *page, uint64_t va, uint64_t page_bytes)
{
	const struct tmm_mmu_format *format = page->mmu->format;
	unsigned level = format->nr_levels;
	uint64_t offset_bytes;

	heading(page, "linear");
	fprintf(page->out, "0x%0*" PRIx64 "\n", page->digits, va);
	do {
		const struct tmm_mmu_level *at = &format->level[level];
		unsigned index = (unsigned)(va >> at->shift) & ((1u << at->bits) - 1);

		fprintf(page->out, "  %-6s bits %2u..%2u  ", at->name,
		        at->shift + at->bits - 1u, at->shift);
		for (unsigned bit = at->bits; bit-- > 0;)
			fputc(index >> bit & 1 ? '1' : '0', page->out);
		fprintf(page->out, "%*s = %u\n", 10 - at->bits, "", index);
		offset_bytes = UINT64_C(1) << at->shift;
	} while (offset_bytes != page_bytes && --level >= 1);
	fprintf(page->out, "  offset bits %2d.. 0  %10s = 0x%" PRIx64 "\n",
	        __builtin_ctzll(offset_bytes) - 1, "", va & (offset_bytes - 1));
}

static const char *page_size(uint64_t bytes)
{
	switch (bytes >> 20) {
	case 0:
		return "4 KiB page";
	case 2:
		return "2 MiB page";
	case 4:
		return "4 MiB page";
	default:
		return "1 GiB page";
	}
}

static void show_step(const struct page *page, const struct tmm_mmu_step *step)
{
	const struct tmm_mmu_level *at = &page->mmu->format->level[step->level];
	int digits = page->mmu->format->entry_bytes * 2;
	uint64_t frame = step->before & TMM_PTE_FRAME;
	char text[BITS_TEXT], more[BITS_TEXT];

	fprintf(page->out, "  %-6s at 0x%09" PRIx64 "  0x%0*" PRIx64 "  ", at->name,
	        step->entry_at.v, digits, step->before);
	if (!(step->before & TMM_PTE_PRESENT)) {
		fprintf(page->out, "%snot present%s\n", page->red, page->plain);
		return;
	}
	if (step->is_leaf)
		frame &= ~((UINT64_C(1) << at->shift) - 1);
	fprintf(page->out, "%-10s 0x%09" PRIx64 "  %s",
	        step->is_leaf ? page_size(UINT64_C(1) << at->shift) : "table", frame,
	        entry_bits(step, step->before, text));
	entry_bits(step, step->before ^ step->after, more);
	if (step->after != step->before)
		fprintf(page->out, "  sets %s", more);
	fputc('\n', page->out);
	if (step->reserved)
		fprintf(page->out, "  %sreserved bits set: 0x%0*" PRIx64 "%s\n", page->red,
		        digits, step->reserved, page->plain);
}

static void show_rights(const struct page *page, const struct tmm_mmu_result *result)
{
	heading(page, "check");
	fprintf(page->out, "all entries together: %s, %s, %s%s: ",
	        result->rights & TMM_ACCESS_USER ? "user" : "kernel",
	        result->rights & TMM_ACCESS_WRITE ? "writable" : "read-only",
	        result->rights & TMM_ACCESS_EXEC ? "executable" : "NX",
	        result->rights & TMM_RIGHT_GLOBAL ? ", global" : "");
	if (result->fault == TMM_FAULT_NONE)
		fprintf(page->out, "granted\n");
	else
		fprintf(page->out, "%srefused%s\n", page->red, page->plain);
}

static void show_error_code(const struct page *page, uint32_t error)
{
	static const struct {
		uint32_t bit;
		const char *set, *clear;
	} bits[] = {
		{TMM_PF_PRESENT, "P    all entries were present",
	         "-    an entry was not present"},
		{TMM_PF_WRITE, "W/R  it was a write", "-    it was no write"},
		{TMM_PF_USER, "U/S  by the user", "-    by the kernel"},
		{TMM_PF_RESERVED, "RSVD a reserved bit was set", NULL},
		{TMM_PF_FETCH, "I/D  it was a fetch", NULL},
	};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		const char *words = error & bits[i].bit ? bits[i].set : bits[i].clear;

		if (words)
			fprintf(page->out, "  bit %zu  %s\n", i, words);
	}
}

/* The last lines: a physical address or a fault. */
static void show_end(const struct page *page, const struct translation *done)
{
	unsigned vector = vector_of(done);

	heading(page, vector ? "fault" : "physical");
	if (vector == 0) {
		fprintf(page->out, "0x%09" PRIx64 "\n", done->result.pa.v);
		return;
	}
	if (!done->has_linear) {
		fprintf(page->out, "%s%s(0x%04x)%s: %s\n", page->red, vector_name(vector),
		        done->segment_fault.error, page->plain, done->segment_fault.why);
		return;
	}
	fprintf(page->out, "%s%s(0x%04" PRIx32 ")%s: %s\n", page->red, vector_name(vector),
	        done->result.error, page->plain, fault_words(done->result.fault));
	if (vector == PAGE_FAULT)
		show_error_code(page, done->result.error);
}

static void show_one(const struct page *page, const struct example *example,
                     const struct translate_options *options, const struct translation *done)
{
	const struct tmm_mmu_result *result = &done->result;

	show_segment(page, example, options, done);
	if (done->has_linear) {
		show_linear(page, done->linear.v, result->page_bytes);
		heading(page, "TLB");
		fprintf(page->out, "%s, %u ways of %u sets, PCID 1\n",
		        result->from_tlb ? "hit: no table is read" : "miss",
		        example->tlb.nr_ways, example->tlb.nr_sets);
		if (result->nr_steps > 0) {
			heading(page, "walk");
			fprintf(page->out, "CR3 0x%09" PRIx64 "\n",
			        tmm_pfn_to_paddr(example->mmu.root).v);
		}
		for (unsigned i = 0; i < result->nr_steps; i++)
			show_step(page, &result->step[i]);
		if (result->page_bytes)
			show_rights(page, result);
	}
	show_end(page, done);
}

void show_translation(FILE *out, const struct example *example,
                      const struct translate_options *options, const struct translation *done,
                      unsigned nr)
{
	const struct tmm_mmu_format *format = example->mmu.format;
	bool colour = may_colour(out);
	const struct page page = {
		.out = out,
		.mmu = &example->mmu,
		.digits = format->linear_bits == 32 ? 8 : 16,
		.bold = colour ? "\033[1m" : "",
		.red = colour ? "\033[31m" : "",
		.plain = colour ? "\033[0m" : "",
	};

	fprintf(out, "%s: %u levels of %u-byte entries, %u bits linear, %u bits physical\n",
	        format->name, format->nr_levels, format->entry_bytes, format->linear_bits,
	        example->mmu.physical_bits);
	heading(&page, "access");
	fprintf(out, "%s by the %s (CPL %u) at 0x%0*" PRIx64 "\n", access_word(options->access),
	        options->access & TMM_ACCESS_USER ? "user" : "kernel", example->segments.cpl,
	        page.digits, options->address);
	for (unsigned i = 0; i < nr; i++) {
		if (i > 0)
			fprintf(out, "\n%sthe second time%s\n", page.bold, page.plain);
		show_one(&page, example, options, &done[i]);
	}
}
