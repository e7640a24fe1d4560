/*
 * op.c - a call as a line of text
 */
#include <string.h>

#include "diff.h"

static const char *const kind_names[NR_KINDS] = {"mmap",    "munmap", "mprotect", "mremap",
                                                 "madvise", "msync",  "brk",      "write"};

void op_print(FILE *out, const struct op *op)
{
	fprintf(out,
	        "%s %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %" PRIu64 " %#" PRIx64
	        "\n",
	        kind_names[op->kind], op->addr, op->length, op->prot, op->flags, op->file,
	        op->offset);
}

bool op_parse(const char *line, struct op *op)
{
	char name[16];

	if (sscanf(line,
	           "%15s %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu64 " %" SCNx64,
	           name, &op->addr, &op->length, &op->prot, &op->flags, &op->file,
	           &op->offset) != 7)
		return false;
	for (op->kind = 0; op->kind < NR_KINDS; op->kind++) {
		if (!strcmp(name, kind_names[op->kind]))
			return true;
	}
	return false;
}
