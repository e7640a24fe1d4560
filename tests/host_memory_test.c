/*
 * host_memory_test.c - what booting a machine makes its host pay
 *
 * Memory of the host is what the kernel says of this process: shared memory of the
 * arena, and its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/hosted.h>
#include <tuxmm/machine.h>

#include "test.h"

#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

static uint64_t resident_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long long kb = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmRSS: %llu kB", &kb) == 1)
			break;
	if (status)
		fclose(status);
	CHECK(kb > 0);
	return kb;
}

static void boot_1_tib(enum tmm_memory_model model)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = {.firmware_map = map,
	                          .nr_ranges = tmm_firmware_pc(TIB, map),
	                          .nr_cpus = 2,
	                          .kernel_bytes = 16 * MIB,
	                          .memory_model = model};
	struct tmm_machine *machine = aligned_alloc(64, tmm_machine_bytes());
	struct tmm_hosted_ram ram;
	uint64_t before, after;
	const char *why = NULL;

	CHECK(machine && tmm_hosted_ram_create(TIB + (UINT64_C(1) << 30), &ram) == TMM_OK);
	before = resident_kb();
	if (tmm_machine_init(machine, &shape, ram.start, &why) != TMM_OK)
		test_note("%s", why);
	CHECK(!why);
	after = resident_kb();
	test_note("1 TiB, model %d: %llu kB of the host's memory", (int)model,
	          (unsigned long long)(after - before));
	CHECK(after - before < 10 * 1024);
	CHECK(tmm_pages_managed_count(tmm_machine_pages(machine)) > (TIB - (TIB >> 6)) >>
	      TMM_PAGE_SHIFT);
	tmm_check(machine);
	CHECK(resident_kb() - before < 10 * 1024);
	tmm_machine_fini(machine);
	free(machine);
	tmm_hosted_ram_destroy(&ram);
}

TEST(a_flat_machine_of_1_tib_boots_in_10_mib)
{
	boot_1_tib(TMM_MEMORY_FLAT);
}

TEST(a_discontiguous_machine_of_1_tib_boots_in_10_mib)
{
	boot_1_tib(TMM_MEMORY_DISCONTIGUOUS);
}

TEST(a_sparse_machine_of_1_tib_boots_in_10_mib)
{
	boot_1_tib(TMM_MEMORY_SPARSE);
}
