/*
 * rig.c - a machine for each run, on the same RAM, cleared in between
 */
#define _GNU_SOURCE
#include "rig.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "panic.h"

static void *ram;
static uint64_t ram_bytes;
static struct tmm_machine *machine;

static void get_memory(uint64_t bytes)
{
	if (ram) {
		CHECK(bytes == ram_bytes);
		CHECK(madvise(ram, ram_bytes, MADV_DONTNEED) == 0);
		return;
	}
	ram_bytes = bytes;
	ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(ram != MAP_FAILED);
	machine = aligned_alloc(64, tmm_machine_bytes());
	CHECK(machine);
}

struct tmm_machine *rig_begin(uint64_t bytes)
{
	const struct tmm_firmware_range map = {.size_bytes = bytes, .type = TMM_FW_USABLE};
	const struct tmm_shape shape = {.firmware_map = &map,
	                                .nr_ranges = 1,
	                                .nr_cpus = RIG_CPUS,
	                                .min_free_kbytes = 64};
	const char *why;

	get_memory(bytes);
	CHECK(tmm_machine_init(machine, &shape, ram, &why) == TMM_OK);
	CHECK(tmm_cpu_enter(machine, 0) == TMM_OK);
	return machine;
}

void rig_end(struct tmm_machine *m)
{
	tmm_check(m);
	tmm_machine_fini(m);
	tmm_port_forget_locks();
}
