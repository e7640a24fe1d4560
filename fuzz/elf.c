/*
 * elf.c - any bytes as a program: an answer, and what is accepted can be mapped
 */
#define _GNU_SOURCE
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf_file.h"
#include "fuzz.h"

#define PAGE     TMM_PAGE_SIZE
#define USER_END UINT64_C(0x7ffff7e00000)

static uint64_t page_up(uint64_t x)
{
	return (x + PAGE - 1) & TMM_PAGE_MASK;
}

static void check_segment(const struct elf *elf, unsigned i, uint64_t file_bytes)
{
	const struct elf_segment *s = &elf->segment[i];

	CHECK(s->bytes > 0 && s->file_bytes <= s->bytes);
	CHECK(s->start < USER_END && s->bytes <= USER_END - s->start);
	CHECK(s->start >= elf->start && s->start + s->bytes <= elf->end);
	CHECK(s->file_offset <= file_bytes && s->file_bytes <= file_bytes - s->file_offset);
	CHECK(s->start % PAGE == s->file_offset % PAGE);
	CHECK((s->prot & ~(TMM_PROT_READ | TMM_PROT_WRITE | TMM_PROT_EXEC)) == 0);
	if (i > 0) /* no page belongs to two */
		CHECK(page_up(s[-1].start + s[-1].bytes) <= (s->start & TMM_PAGE_MASK));
}

static void check_accepted(const struct elf *elf, uint64_t file_bytes)
{
	CHECK(elf->nr_segments >= 1 && elf->nr_segments <= ELF_MAX_SEGMENTS);
	CHECK(elf->start < elf->end && elf->end <= USER_END);
	CHECK(elf->align >= PAGE && (elf->align & (elf->align - 1)) == 0);
	CHECK(elf->phdr == 0 || (elf->phdr >= elf->start && elf->phdr < elf->end));
	CHECK(memchr(elf->interp, 0, sizeof(elf->interp)));
	for (unsigned i = 0; i < elf->nr_segments; i++)
		check_segment(elf, i, file_bytes);
}

static void check_refused(int err, const char *why, size_t bytes)
{
	const char *end = memchr(why, 0, bytes);

	CHECK(err < 0);
	CHECK(end && end > why);
	for (; *why; why++)
		CHECK(*why >= ' ' && *why <= '~');
}

void fuzz_run(const uint8_t *input, size_t bytes)
{
	static struct elf elf;
	static int fd = -1;
	char why[200];
	int err;

	if (fd < 0)
		fd = memfd_create("elf", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, input, bytes, 0) == (ssize_t)bytes);
	memset(why, 'x', sizeof(why));
	memset(&elf, 'x', sizeof(elf));
	err = elf_read(fd, USER_END, &elf, why, sizeof(why));
	if (err)
		check_refused(err, why, sizeof(why));
	else
		check_accepted(&elf, bytes);
}

/* A small program in good order, and a few bytes of it changed. */
size_t fuzz_random(uint64_t *random, uint8_t *out, size_t max)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr ph[4];
		char interp[16];
	} image = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
	                               ELFDATA2LSB, EV_CURRENT},
	                   .e_type = ET_DYN,
	                   .e_machine = EM_X86_64,
	                   .e_version = EV_CURRENT,
	                   .e_entry = 0x40,
	                   .e_phoff = sizeof(Elf64_Ehdr),
	                   .e_ehsize = sizeof(Elf64_Ehdr),
	                   .e_phentsize = sizeof(Elf64_Phdr),
	                   .e_phnum = 4},
		.ph = {{.p_type = PT_LOAD,
	                .p_flags = PF_R | PF_X,
	                .p_filesz = sizeof(image),
	                .p_memsz = sizeof(image),
	                .p_align = PAGE},
	               {.p_type = PT_LOAD,
	                .p_flags = PF_R | PF_W,
	                .p_offset = 0x40,
	                .p_vaddr = 0x1040,
	                .p_filesz = 0x20,
	                .p_memsz = 0x3000,
	                .p_align = PAGE},
	               {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W},
	               {.p_type = PT_INTERP,
	                .p_offset = sizeof(image) - 16,
	                .p_filesz = sizeof("/lib/ld.so")}},
		.interp = "/lib/ld.so",
	};
	size_t bytes = sizeof(image) < max ? sizeof(image) : max;

	memcpy(out, &image, bytes);
	for (uint64_t flips = test_random(random) % 5; flips > 0; flips--)
		out[test_random(random) % bytes] = (uint8_t)test_random(random);
	return bytes;
}
