/*
 * rig_test.h - machines for the tests of core/device
 */
#ifndef TUXMM_DEVICE_RIG_TEST_H
#define TUXMM_DEVICE_RIG_TEST_H

#include <string.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>

#include "inject.h"
#include "machine/machine.h"
#include "panic.h"
#include "test.h"

#define KB UINT64_C(0x400)
#define MB UINT64_C(0x100000)
#define GB UINT64_C(0x40000000)

/* One for each file of tests. */
static struct {
	_Alignas(64) struct tmm_machine machine;
	char *ram;
	uint64_t ram_bytes;
	uint64_t free_pages; /* after boot */
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	char printed[4096];
	size_t nr_printed;
} m;

static inline void print_piece(void *arg, const char *piece, size_t bytes)
{
	(void)arg;
	CHECK(m.nr_printed + bytes < sizeof(m.printed));
	memcpy(m.printed + m.nr_printed, piece, bytes);
	m.nr_printed += bytes;
	m.printed[m.nr_printed] = '\0';
}

/* For a view whose text m.printed shall be. */
static inline const struct tmm_sink *print_anew(void)
{
	static const struct tmm_sink sink = {.write = print_piece};

	m.nr_printed = 0;
	m.printed[0] = '\0';
	return &sink;
}

/* As test_ram(), but one at a time: a test may boot hundreds of machines. */
static inline void rig_ram(uint64_t bytes)
{
	if (m.ram)
		munmap(m.ram, m.ram_bytes);
	m.ram_bytes = bytes;
	m.ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(m.ram != MAP_FAILED);
}

static inline void boot_shape(struct tmm_shape shape, uint64_t ram_bytes)
{
	const char *why = "";

	if (!shape.firmware_map) {
		shape.nr_ranges = tmm_firmware_pc(ram_bytes, m.map);
		shape.firmware_map = m.map;
	}
	shape.nr_cpus = shape.nr_cpus ? shape.nr_cpus : 1;
	/* Addresses of devices below 4 GiB are backed too: plain device memory. */
	rig_ram(ram_bytes > 3 * GB ? ram_bytes + GB : 4 * GB);
	shape.backed_bytes = m.ram_bytes;
	if (tmm_machine_init(&m.machine, &shape, m.ram, &why) != TMM_OK)
		test_fail(__FILE__, __LINE__, why);
	m.free_pages = tmm_pages_free_count(&m.machine.pages);
}

static inline void boot(uint64_t ram_bytes)
{
	boot_shape((struct tmm_shape){0}, ram_bytes);
}

static inline void halt(void)
{
	tmm_check(&m.machine);
	tmm_machine_fini(&m.machine);
}

#endif
