#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tuxmm/hosted.h>

#include "test.h"

TEST(ram_is_zeroed_sparse_and_seen_through_its_descriptor)
{
	struct tmm_hosted_ram ram;
	struct stat st;
	unsigned char *alias;

	CHECK(tmm_hosted_ram_create(UINT64_C(1) << 40, &ram) == TMM_OK);
	CHECK(ram.bytes == UINT64_C(1) << 40);
	CHECK(fstat(ram.fd, &st) == 0 && st.st_blocks == 0);
	memcpy((char *)ram.start + (UINT64_C(1) << 39), "frame", 6);
	alias = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ram.fd, (off_t)1 << 39);
	CHECK(alias != MAP_FAILED && memcmp(alias, "frame", 6) == 0);
	CHECK(alias[6] == 0);
	CHECK(fstat(ram.fd, &st) == 0 && st.st_blocks * 512 <= 2 << 20);
	munmap(alias, 4096);
	tmm_hosted_ram_destroy(&ram);
}

TEST(ram_keeps_its_length_and_rounds_up_to_pages)
{
	struct tmm_hosted_ram ram;

	CHECK(tmm_hosted_ram_create(4097, &ram) == TMM_OK);
	CHECK(ram.bytes == 8192);
	CHECK(ftruncate(ram.fd, 4096) != 0);
	CHECK(ftruncate(ram.fd, 16384) != 0);
	tmm_hosted_ram_destroy(&ram);
}

TEST(impossible_sizes_are_refused)
{
	struct tmm_hosted_ram ram = {.fd = -7};

	CHECK(tmm_hosted_ram_create(0, &ram) == TMM_E_INVAL);
	CHECK(tmm_hosted_ram_create(UINT64_MAX, &ram) == TMM_E_INVAL);
	CHECK(tmm_hosted_ram_create(UINT64_C(1) << 60, &ram) == TMM_E_NOMEM);
	CHECK(ram.fd == -7);
}

TEST(children_do_not_inherit_the_mapping)
{
	struct tmm_hosted_ram ram;
	unsigned char in_core;
	int status;
	pid_t child;

	CHECK(tmm_hosted_ram_create(4096, &ram) == TMM_OK);
	child = fork();
	if (child == 0)
		_exit(mincore(ram.start, 4096, &in_core) == 0 ? 1 : 0);
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	tmm_hosted_ram_destroy(&ram);
}
