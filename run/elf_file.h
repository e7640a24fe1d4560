/*
 * elf_file.h - x86-64 ELF programs: what a file's headers ask for, and mapping it
 *
 * elf_read() looks at a file and decides whether it is a program; elf_map() puts
 * it into an address space.  A refusal is one sentence: what, and what was expected.
 *
 * Units    bytes; addresses as the file has them until elf_map() adds the bias
 * Linux    fs/binfmt_elf.c, elf(5)
 */
#ifndef TUXMM_RUN_ELF_FILE_H
#define TUXMM_RUN_ELF_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <tuxmm/space.h>

#define ELF_MAX_SEGMENTS 64u
#define ELF_MAX_INTERP   4096u

struct elf_segment {
	uint64_t start;       /* address of the first byte */
	uint64_t file_offset; /* where it is in the file */
	uint64_t file_bytes;  /* what comes from the file; zeroes follow ... */
	uint64_t bytes;       /* ... up to this length */
	uint32_t prot;        /* TMM_PROT_* */
};

struct elf {
	bool fixed;      /* addresses are absolute (ET_EXEC), else relative to a bias */
	bool exec_stack; /* PT_GNU_STACK asks for it, or is missing */
	uint64_t entry;
	uint64_t phdr; /* address of the program headers in memory, 0: not there */
	uint16_t phnum;
	uint64_t start, end; /* all segments lie in [start, end) */
	uint64_t align;      /* the largest a segment asks for; a power of two >= 4096 */
	char interp[ELF_MAX_INTERP]; /* "" : none */
	unsigned nr_segments;
	struct elf_segment segment[ELF_MAX_SEGMENTS];
};

/* Where a file went. */
struct elf_place {
	uint64_t bias;
	uint64_t start_code, end_code, start_data, end_data;
	uint64_t end; /* of the bss */
};

/*
 * Read the headers of the file behind fd.  user_end: addresses end there.  0, or
 * -ENOEXEC, -EIO, -ELIBBAD and a sentence in why.
 */
int elf_read(int fd, uint64_t user_end, struct elf *out, char *why, size_t why_bytes);

/*
 * Map the segments; `at` is where a relative one begins, 0: where there is room.
 * 0, or a negated errno and a sentence in why.
 */
int elf_map(struct tmm_mm *mm, struct tmm_file *file, const struct elf *elf, uint64_t at,
            struct elf_place *out, char *why, size_t why_bytes);

#endif
