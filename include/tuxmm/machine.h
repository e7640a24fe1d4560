/*
 * machine.h - a machine: memory of a chosen shape, and everything that manages it
 *
 * tmm_machine_init() is boot: firmware map, memblock, zones, page allocator,
 * slab, address spaces.  All state is in struct tmm_machine and in the RAM it is
 * given, so that two machines live in one process.
 *
 * Owning   the caller provides RAM, as one mapping with address 0 first, and the
 *          machine's own struct, tmm_machine_bytes() long
 * Errors   tmm_err, and a sentence saying what was expected
 * Linux    start_kernel() up to mm_core_init(), setup_arch()
 */
#ifndef TUXMM_MACHINE_H
#define TUXMM_MACHINE_H

#include <tuxmm/cpu.h>
#include <tuxmm/memblock.h>
#include <tuxmm/page_alloc.h>
#include <tuxmm/slab.h>
#include <tuxmm/space.h>

struct tmm_shape {
	const struct tmm_firmware_range *firmware_map;
	size_t nr_ranges;
	uint64_t mem_limit_bytes; /* mem=; 0: none */
	uint32_t nr_cpus;         /* 1 .. TMM_MAX_CPUS */
	uint64_t
		kernel_bytes; /* reserved at 16 MiB (or the first RAM) for the kernel's image */
	uint64_t min_free_kbytes;    /* 0: Linux's formula */
	uint32_t overcommit_memory;  /* 0, 1, 2 */
	uint32_t overcommit_ratio;   /* percent, for mode 2; 0: 50 */
	uint32_t max_map_count;      /* 0: 65530 */
	uint32_t fault_around_bytes; /* 0: 65536; most that one file fault maps */
	uint32_t anon_around_bytes; /* 0: 262144; most that one anonymous fault makes; 4096: one
	                               page */
};

/* Size and alignment (64) of the struct the caller provides. */
size_t tmm_machine_bytes(void);

/* The least RAM, in bytes, with which a machine of this shape boots and runs a small program.
 */
uint64_t tmm_machine_least_bytes(const struct tmm_shape *shape);

/*
 * Boot.  ram is the host address of physical address 0; all RAM of the firmware
 * map is readable and writable there and reads as zeroes.
 *   TMM_E_INVAL  the shape contradicts itself; *why says where
 *   TMM_E_NOMEM  too little RAM; *why says the least that works
 */
TMM_MUST_CHECK tmm_err tmm_machine_init(struct tmm_machine *machine,
                                        const struct tmm_shape *shape, void *ram,
                                        const char **why);

/*
 * Every address space, file and mapping must be gone, and every other thread off
 * its CPU (asserted).  Gives all memory back and checks that.
 */
void tmm_machine_fini(struct tmm_machine *machine);

struct tmm_pages *tmm_machine_pages(struct tmm_machine *machine);
struct tmm_slab_system *tmm_machine_slabs(struct tmm_machine *machine);
struct tmm_cache_system *tmm_machine_cache(struct tmm_machine *machine);
struct tmm_space_system *tmm_machine_spaces(struct tmm_machine *machine);
const struct tmm_memblock *tmm_machine_memblock(const struct tmm_machine *machine);

/* Every invariant of every storey; each frame in exactly one place.  Panics when broken. */
void tmm_check(struct tmm_machine *machine);

#endif
