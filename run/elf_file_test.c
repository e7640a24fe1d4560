/*
 * elf_file_test.c - which files are programs, and what is said of those that are not
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf_file.h"
#include "test.h"

#define USER_END UINT64_C(0x7ffff7e00000)

/* A small good program; tests spoil one thing each. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr ph[4];
	char interp[16];
	unsigned char data[0x3000];
};

static void good(struct image *image)
{
	memset(image, 0, sizeof(*image));
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_type = ET_DYN;
	image->header.e_machine = EM_X86_64;
	image->header.e_entry = 0x1000;
	image->header.e_phoff = offsetof(struct image, ph);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = 4;
	image->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
	                            .p_flags = PF_R | PF_X,
	                            .p_filesz = 0x1800,
	                            .p_memsz = 0x1800,
	                            .p_align = 0x1000};
	image->ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
	                            .p_flags = PF_R | PF_W,
	                            .p_offset = 0x1800,
	                            .p_vaddr = 0x2800,
	                            .p_filesz = 0x800,
	                            .p_memsz = 0x5000,
	                            .p_align = 0x1000};
	image->ph[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
	strcpy(image->interp, "/lib/ld.so");
	image->ph[3] = (Elf64_Phdr){.p_type = PT_INTERP,
	                            .p_offset = offsetof(struct image, interp),
	                            .p_filesz = sizeof("/lib/ld.so")};
}

static char why[200];

static int read_bytes(const void *bytes, size_t nr, struct elf *out)
{
	int fd = memfd_create("elf", MFD_CLOEXEC), err;

	CHECK(fd >= 0);
	CHECK(write(fd, bytes, nr) == (ssize_t)nr);
	why[0] = '\0';
	err = elf_read(fd, USER_END, out, why, sizeof(why));
	close(fd);
	return err;
}

static int read_image(const struct image *image)
{
	struct elf elf;

	return read_bytes(image, sizeof(*image), &elf);
}

/* Refused, and the sentence names the matter. */
static void refused(const struct image *image, const char *word)
{
	CHECK(read_image(image) == -ENOEXEC);
	if (!strstr(why, word))
		test_note("said: %s", why);
	CHECK(strstr(why, word));
	CHECK(!strchr(why, '\n'));
}

TEST(a_good_program_is_read)
{
	struct image image;
	struct elf elf;

	good(&image);
	CHECK(read_bytes(&image, sizeof(image), &elf) == 0);
	CHECK(!elf.fixed && !elf.exec_stack);
	CHECK(elf.nr_segments == 2);
	CHECK(elf.entry == 0x1000);
	CHECK(elf.phdr == offsetof(struct image, ph) && elf.phnum == 4);
	CHECK(elf.start == 0 && elf.end == 0x7800);
	CHECK(strcmp(elf.interp, "/lib/ld.so") == 0);
	CHECK(elf.segment[1].prot == (TMM_PROT_READ | TMM_PROT_WRITE));
	CHECK(elf.segment[1].file_bytes == 0x800 && elf.segment[1].bytes == 0x5000);
}

TEST(without_gnu_stack_the_stack_is_executable)
{
	struct image image;
	struct elf elf;

	good(&image);
	image.ph[2].p_type = PT_NULL;
	CHECK(read_bytes(&image, sizeof(image), &elf) == 0);
	CHECK(elf.exec_stack);
}

TEST(what_is_no_elf_file_is_refused)
{
	struct elf elf;

	CHECK(read_bytes("", 0, &elf) == -ENOEXEC && strstr(why, "empty"));
	CHECK(read_bytes("hello\n", 6, &elf) == -ENOEXEC && strstr(why, "ELF"));
	CHECK(read_bytes(ELFMAG, 4, &elf) == -ENOEXEC && strstr(why, "truncated"));
}

TEST(programs_for_other_machines_are_refused)
{
	struct image image;

	good(&image);
	image.header.e_machine = EM_AARCH64;
	refused(&image, "AArch64");
	good(&image);
	image.header.e_ident[EI_DATA] = ELFDATA2MSB;
	refused(&image, "big-endian");
	good(&image);
	image.header.e_ident[EI_CLASS] = ELFCLASS32;
	refused(&image, "class");
	good(&image);
	image.header.e_type = ET_REL;
	refused(&image, "object file");
}

TEST(absurd_program_headers_are_refused)
{
	struct image image;

	good(&image);
	image.header.e_phentsize = 32;
	refused(&image, "56 were expected");
	good(&image);
	image.header.e_phnum = 0;
	refused(&image, "0 program headers");
	good(&image);
	image.header.e_phoff = UINT64_MAX - 8;
	refused(&image, "truncated");
	good(&image);
	image.header.e_phoff = sizeof(image) - 56;
	refused(&image, "truncated");
	good(&image);
	image.ph[0].p_type = image.ph[1].p_type = PT_NULL;
	refused(&image, "no segment");
}

/*
 *   first   |------|
 *   second       |------|     in the same page: refused
 */
TEST(absurd_segments_are_refused)
{
	struct image image;

	good(&image);
	image.ph[1].p_vaddr = 0x1800;
	refused(&image, "overlaps");
	good(&image);
	image.ph[1].p_memsz = 0x100;
	refused(&image, "in the file");
	good(&image);
	image.ph[1].p_vaddr = USER_END - 0x1000 + 0x800;
	refused(&image, "user space");
	good(&image);
	image.ph[1].p_memsz = UINT64_MAX;
	refused(&image, "user space");
	good(&image);
	image.ph[1].p_offset = UINT64_MAX - 0x7ff;
	refused(&image, "truncated");
	good(&image);
	image.ph[1].p_filesz = 0x4000;
	refused(&image, "truncated");
	good(&image);
	image.ph[1].p_vaddr += 8;
	refused(&image, "within a page");
	good(&image);
	image.ph[1].p_align = 0x1001;
	refused(&image, "alignment");
}

TEST(absurd_interpreters_are_refused)
{
	struct image image;

	good(&image);
	image.ph[3].p_filesz = 1;
	refused(&image, "interpreter");
	good(&image);
	image.ph[3].p_filesz = 5000;
	refused(&image, "interpreter");
	good(&image);
	image.ph[3].p_offset = UINT64_MAX - 2;
	refused(&image, "truncated");
	good(&image);
	image.interp[10] = 'x';
	refused(&image, "NUL");
}

/* Whatever the bytes are: an answer, and what is accepted lies in user space. */
TEST(random_damage_is_survived)
{
	uint64_t seed = test_seed();
	unsigned accepted = 0;
	int fd = memfd_create("elf", MFD_CLOEXEC);

	CHECK(fd >= 0);
	for (int round = 0; round < 20000; round++) {
		unsigned flips = 1 + (unsigned)(test_random(&seed) % 4);
		struct image image;
		struct elf elf;

		good(&image);
		while (flips--) {
			size_t at = test_random(&seed) % offsetof(struct image, data);

			((unsigned char *)&image)[at] = (unsigned char)test_random(&seed);
		}
		CHECK(pwrite(fd, &image, sizeof(image), 0) == sizeof(image));
		if (elf_read(fd, USER_END, &elf, why, sizeof(why)) == 0) {
			accepted++;
			CHECK(elf.start < elf.end && elf.end <= USER_END);
			CHECK(elf.nr_segments >= 1);
		}
	}
	close(fd);
	test_note("%u of 20000 damaged headers were still programs", accepted);
}
