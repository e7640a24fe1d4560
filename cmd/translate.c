/*
 * translate.c - tuxmm translate: what the processor does with one address
 */
#include "cmd.h"
#include "translate.h"

#include <string.h>

static const char help[] =
	"Usage: tuxmm translate [OPTIONS] ADDRESS\n"
	"\n"
	"Show every step from a program's address to a physical one: segment, index\n"
	"bits, TLB, each table's entry, permissions, and the fault if there is one.\n"
	"\n"
	"  --geometry G     x86-32, pae, x86-64 (the default) or x86-64-la57\n"
	"  --access A       r (the default), w or x\n"
	"  --user           at privilege level 3 (the default)\n"
	"  --kernel         at privilege level 0\n"
	"  --selector S     load a selector and go through it: a number (into ds, or\n"
	"                   cs with --access x), REGISTER=NUMBER, or REGISTER as it is\n"
	"  --map VA=PA[:SIZE[:FLAGS]]\n"
	"                   map one page more: SIZE 4K (the default), 2M, 4M or 1G as\n"
	"                   the geometry has it; FLAGS of r, w, x, u (user), g (global);\n"
	"                   the default is rwxu.  May be repeated\n"
	"  --twice          access twice: the second time the TLB knows\n"
	"  --json           as JSON, format tuxmm-translate/1\n"
	"  --help           this text\n"
	"\n"
	"The machine has these pages (s: 4M in x86-32, else 2M):\n"
	"  0x08048000 4K user r-x   0x08049000 4K user rw-   0x0804a000 4K user r--\n"
	"  0x40000000 s  user rw-   0x50000000 s  broken: a reserved bit is set\n"
	"  32-bit: 0xc0000000 s kernel rw- global\n"
	"  64-bit: 0x7fffffffe000 4K user rw-, 0xffffffff81000000 2M kernel r-x global,\n"
	"          0xffff888000000000 (la57: 0xff11000000000000) 1G kernel rw- global\n"
	"\n"
	"Exit status: 0 translated, 1 a fault, 125 bad arguments.\n"
	"Example: tuxmm translate --geometry pae --access w 0x804a010\n";

/* Load what --selector says; its descriptor and the register as it then is. */
static bool choose_segment(struct example *example, const struct translate_options *options,
                           struct translation *out)
{
	struct tmm_segments *segments = &example->segments;
	const struct tmm_segment_table *table;

	out->selector = options->has_selector ? options->selector
	                                      : segments->reg[options->segment].selector;
	table = out->selector & TMM_SELECTOR_LDT ? &segments->ldt : &segments->gdt;
	if ((out->selector & ~TMM_SELECTOR_RPL) != 0 && (out->selector | 7u) <= table->limit)
		out->raw = table->entry[out->selector >> 3];
	if (options->has_selector &&
	    !tmm_segment_load(segments, options->segment, out->selector, &out->segment_fault))
		return false;
	out->segment = segments->reg[options->segment];
	return true;
}

static void translate(struct example *example, const struct translate_options *options,
                      struct translation *out)
{
	*out = (struct translation){.is_stack = options->segment == TMM_SEGMENT_SS};
	if (!choose_segment(example, options, out))
		return;
	out->has_linear = tmm_segment_linear(
		&example->segments, options->segment, options->address, 1,
		options->access & ~TMM_ACCESS_USER, &out->linear, &out->segment_fault);
	if (out->has_linear)
		tmm_mmu_access(&example->mmu, &example->tlb, 1, out->linear, options->access,
		               &out->result);
}

int cmd_translate(int argc, char **argv)
{
	struct translate_options options;
	struct translation done[2];
	struct example example;
	unsigned nr;
	int status = read_translate_options(argc, argv, &options);

	if (status != 0)
		return status;
	if (options.help) {
		fputs(help, stdout);
		return fflush(stdout) == 0 ? 0 : RUN_STATUS_FAILED;
	}
	if (!example_init(&example, &options))
		return RUN_STATUS_FAILED;
	nr = options.twice ? 2 : 1;
	for (unsigned i = 0; i < nr; i++)
		translate(&example, &options, &done[i]);
	if (!options.json)
		show_translation(stdout, &example, &options, done, nr);
	else if (!show_translation_json(stdout, &example, &options, done, nr))
		status = RUN_STATUS_FAILED;
	example_fini(&example);
	if (fflush(stdout) != 0 || ferror(stdout) || status != 0) {
		say("translate: standard output cannot be written");
		return RUN_STATUS_FAILED;
	}
	return vector_of(&done[nr - 1]) == 0 ? 0 : 1;
}
