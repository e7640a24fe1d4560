/*
 * kernel_rig_test.h - a machine that ends at its kernel map, for the tests of core/map
 */
#ifndef TUXMM_MAP_KERNEL_RIG_TEST_H
#define TUXMM_MAP_KERNEL_RIG_TEST_H

#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "map/vm_area.h"
#include "slab/rig_test.h"

static struct tmm_kernel_map km;

struct kernel_rig {
	enum tmm_geometry geometry;
	uint64_t ram_bytes, lowmem_bytes;
	uint32_t nr_cpus;
	bool flushes_at_once;
};

static inline void kernel_boot(struct kernel_rig rig)
{
	void *ram = test_ram(rig.ram_bytes);
	const struct kernel_map_config config = {
		.pages = &m.pages,
		.slabs = &m.slabs,
		.geometry = rig.geometry,
		.ram_bytes = rig.ram_bytes,
		.flushes_at_once = rig.flushes_at_once,
	};

	cpu_set_init(&m.cpus, rig.nr_cpus ? rig.nr_cpus : 1);
	tmm_memblock_init(&m.memblock, ram);
	CHECK(tmm_memblock_add(&m.memblock, (tmm_paddr){0}, rig.ram_bytes, 0) == TMM_OK);
	CHECK(pages_init(&m.pages, &m.memblock,
	                 &(struct pages_config){.ram = ram,
	                                        .cpus = &m.cpus,
	                                        .lowmem_bytes = rig.lowmem_bytes}) == TMM_OK);
	m.free_pages = tmm_pages_free_count(&m.pages);
	slab_init(&m.slabs, &m.pages, &(struct slab_config){0});
	CHECK(kernel_map_init(&km, &config) == TMM_OK);
}

/* Nothing is left of what was mapped: every frame is back. */
static inline void kernel_halt(void)
{
	tmm_kernel_map_check(&km);
	kernel_map_fini(&km);
	halt();
}

static sigjmp_buf on_fault;

static inline void take_fault(int signal_number)
{
	siglongjmp(on_fault, signal_number);
}

/* Does touching that byte fault? */
static inline bool faults(const volatile void *address, bool writes)
{
	const int signals[] = {SIGSEGV, SIGBUS};
	struct sigaction action = {.sa_handler = take_fault}, before[2];
	bool faulted;

	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &action, &before[i]);
	faulted = sigsetjmp(on_fault, 1) != 0;
	if (!faulted && writes)
		*(volatile char *)(uintptr_t)address = 1;
	else if (!faulted)
		(void)*(const volatile char *)address;
	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &before[i], NULL);
	return faulted;
}

static inline uint64_t va_of(const void *pointer)
{
	tmm_vaddr va = {0};

	CHECK(tmm_kernel_address(&km, pointer, &va));
	return va.v;
}

#endif
