/*
 * elf_file.c - x86-64 ELF programs
 *
 * Nothing in a file is believed: each number is checked against the file's length
 * and user space before it is used, and overflow comes first.
 */
#include "elf_file.h"
#include "elf_refuse.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PHDRS 512u
#define MAX_ALIGN (UINT64_C(1) << 30)

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_AARCH64:
		return "AArch64";
	case EM_ARM:
		return "ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "POWER";
	case EM_S390:
		return "S/390";
	default:
		return "another processor";
	}
}

static int check_header(const Elf64_Ehdr *header, size_t got, uint64_t file_bytes, char *why,
                        size_t why_bytes)
{
	const unsigned char *ident = header->e_ident;

	if (file_bytes == 0)
		REFUSE(-ENOEXEC, "the file is empty, an ELF program was expected");
	if (got < SELFMAG || memcmp(ident, ELFMAG, SELFMAG) != 0)
		REFUSE(-ENOEXEC,
		       "neither an ELF program nor a script with #! in its first line; try "
		       "'tuxmm run sh' before its name");
	if (got < sizeof(*header))
		REFUSE(-ENOEXEC, "truncated: %zu bytes, an ELF header has %zu", got,
		       sizeof(*header));
	if (ident[EI_DATA] != ELFDATA2LSB)
		REFUSE(-ENOEXEC, "ELF for a big-endian processor, x86-64 was expected");
	if (header->e_machine != EM_X86_64)
		REFUSE(-ENOEXEC, "ELF for %s (machine %u), x86-64 was expected",
		       machine_name(header->e_machine), header->e_machine);
	if (ident[EI_CLASS] != ELFCLASS64)
		REFUSE(-ENOEXEC,
		       "ELF of class %u (x32 or 32-bit), the 64-bit class was expected",
		       ident[EI_CLASS]);
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		REFUSE(-ENOEXEC, "ELF of type %u (%s), a program was expected", header->e_type,
		       header->e_type == ET_REL    ? "an object file"
		       : header->e_type == ET_CORE ? "a core dump"
		                                   : "unknown");
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		REFUSE(-ENOEXEC, "program headers of %u bytes, %zu were expected",
		       header->e_phentsize, sizeof(Elf64_Phdr));
	if (header->e_phnum == 0 || header->e_phnum > MAX_PHDRS)
		REFUSE(-ENOEXEC, "%u program headers, 1 to %u were expected", header->e_phnum,
		       MAX_PHDRS);
	if (header->e_phoff > file_bytes ||
	    header->e_phnum * sizeof(Elf64_Phdr) > file_bytes - header->e_phoff)
		REFUSE(-ENOEXEC,
		       "truncated: program headers at offset %#llx, the file ends at %#llx",
		       (unsigned long long)header->e_phoff, (unsigned long long)file_bytes);
	return 0;
}

static uint32_t prot_of(uint32_t flags)
{
	return (flags & PF_R ? TMM_PROT_READ : 0u) | (flags & PF_W ? TMM_PROT_WRITE : 0u) |
	       (flags & PF_X ? TMM_PROT_EXEC : 0u);
}

static int add_segment(struct elf *elf, const Elf64_Phdr *ph, uint64_t user_end,
                       uint64_t file_bytes, char *why, size_t why_bytes)
{
	unsigned long long at = ph->p_vaddr;
	uint64_t end;

	if (elf->nr_segments == ELF_MAX_SEGMENTS)
		REFUSE(-ENOEXEC, "more than %u segments to load", ELF_MAX_SEGMENTS);
	if (ph->p_filesz > ph->p_memsz)
		REFUSE(-ENOEXEC,
		       "segment at %#llx: %#llx bytes in the file, only %#llx in memory", at,
		       (unsigned long long)ph->p_filesz, (unsigned long long)ph->p_memsz);
	if (ph->p_vaddr >= user_end || ph->p_memsz > user_end - ph->p_vaddr)
		REFUSE(-ENOEXEC,
		       "segment at %#llx: its %#llx bytes leave user space (end %#llx)", at,
		       (unsigned long long)ph->p_memsz, (unsigned long long)user_end);
	if (ph->p_offset > file_bytes || ph->p_filesz > file_bytes - ph->p_offset)
		REFUSE(-ENOEXEC,
		       "truncated: segment at %#llx needs the file up to %#llx, it ends at "
		       "%#llx",
		       at, (unsigned long long)(ph->p_offset + ph->p_filesz),
		       (unsigned long long)file_bytes);
	if ((ph->p_vaddr - ph->p_offset) % TMM_PAGE_SIZE)
		REFUSE(-ENOEXEC,
		       "segment at %#llx: file offset %#llx differs from it within a page", at,
		       (unsigned long long)ph->p_offset);
	if (ph->p_align > MAX_ALIGN || (ph->p_align & (ph->p_align - 1)))
		REFUSE(-ENOEXEC, "segment at %#llx: an alignment of %#llx is absurd", at,
		       (unsigned long long)ph->p_align);
	if (elf->nr_segments && page_down(ph->p_vaddr) < page_up(elf->end))
		REFUSE(-ENOEXEC,
		       "segment at %#llx overlaps the one before it, which ends at %#llx", at,
		       (unsigned long long)elf->end);
	end = ph->p_vaddr + ph->p_memsz;
	if (!elf->nr_segments)
		elf->start = page_down(ph->p_vaddr);
	elf->end = end;
	if (ph->p_align > elf->align)
		elf->align = ph->p_align;
	elf->segment[elf->nr_segments++] = (struct elf_segment){.start = ph->p_vaddr,
	                                                        .file_offset = ph->p_offset,
	                                                        .file_bytes = ph->p_filesz,
	                                                        .bytes = ph->p_memsz,
	                                                        .prot = prot_of(ph->p_flags)};
	return 0;
}

static int read_interp(int fd, const Elf64_Phdr *ph, uint64_t file_bytes, struct elf *elf,
                       char *why, size_t why_bytes)
{
	if (ph->p_filesz < 2 || ph->p_filesz > sizeof(elf->interp))
		REFUSE(-ENOEXEC, "interpreter's name of %llu bytes, 2 to %zu were expected",
		       (unsigned long long)ph->p_filesz, sizeof(elf->interp));
	if (ph->p_offset > file_bytes || ph->p_filesz > file_bytes - ph->p_offset)
		REFUSE(-ENOEXEC,
		       "truncated: the interpreter's name is behind the end of the file");
	if (pread(fd, elf->interp, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz)
		REFUSE(-EIO, "cannot read the interpreter's name: %s", strerror(errno));
	if (elf->interp[ph->p_filesz - 1] != '\0')
		REFUSE(-ENOEXEC, "the interpreter's name does not end with a NUL");
	return 0;
}

/* The address at which the program headers are loaded, 0 when they are not. */
static uint64_t phdr_address(const struct elf *elf, const Elf64_Ehdr *header)
{
	for (unsigned i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (header->e_phoff >= s->file_offset &&
		    header->e_phoff - s->file_offset < s->file_bytes)
			return s->start + (header->e_phoff - s->file_offset);
	}
	return 0;
}

int elf_read(int fd, uint64_t user_end, struct elf *out, char *why, size_t why_bytes)
{
	Elf64_Phdr ph[MAX_PHDRS];
	Elf64_Ehdr header = {0};
	struct stat st;
	uint64_t file_bytes;
	ssize_t got;
	int err;

	memset(out, 0, sizeof(*out));
	out->align = TMM_PAGE_SIZE;
	out->exec_stack = true; /* unless PT_GNU_STACK says otherwise */
	if (fstat(fd, &st))
		REFUSE(-EIO, "cannot be read: %s", strerror(errno));
	got = pread(fd, &header, sizeof(header), 0);
	if (got < 0)
		REFUSE(-EIO, "cannot be read: %s", strerror(errno));
	file_bytes = (uint64_t)st.st_size;
	err = check_header(&header, (size_t)got, file_bytes, why, why_bytes);
	if (err)
		return err;
	got = (ssize_t)(header.e_phnum * sizeof(*ph));
	if (pread(fd, ph, (size_t)got, (off_t)header.e_phoff) != got)
		REFUSE(-EIO, "cannot read the program headers: %s", strerror(errno));
	for (unsigned i = 0; i < header.e_phnum && !err; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_memsz)
			err = add_segment(out, &ph[i], user_end, file_bytes, why, why_bytes);
		else if (ph[i].p_type == PT_INTERP && !out->interp[0])
			err = read_interp(fd, &ph[i], file_bytes, out, why, why_bytes);
		else if (ph[i].p_type == PT_GNU_STACK)
			out->exec_stack = ph[i].p_flags & PF_X;
	}
	if (err)
		return err;
	if (!out->nr_segments)
		REFUSE(-ENOEXEC, "no segment to load");
	out->fixed = header.e_type == ET_EXEC;
	out->entry = header.e_entry;
	out->phnum = header.e_phnum;
	out->phdr = phdr_address(out, &header);
	return 0;
}
