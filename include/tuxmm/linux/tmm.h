/*
 * tmm.h - the machine that Linux's names mean, and their common types
 */
#ifndef TUXMM_LINUX_TMM_H
#define TUXMM_LINUX_TMM_H

#include <tuxmm/machine.h>

/* Always inlined: where memory was asked for is recorded by the call in the driver. */
#define TMM_LINUX_CALL static inline __attribute__((always_inline))

struct tmm_linux {
	struct tmm_machine *machine;
	struct tmm_pages *pages;
	struct tmm_slab_system *slabs;
	struct tmm_kernel_map *map;
	struct tmm_io *io;
	struct tmm_iomem *iomem, *ioports;
	struct tmm_bus *bus, *ports;
};

/* The program's to define. */
extern struct tmm_linux tmm_linux;

/* From now on Linux's names mean this machine; no other thread may be using one. */
static inline void tmm_linux_use(struct tmm_machine *machine)
{
	tmm_linux = (struct tmm_linux){
		.machine = machine,
		.pages = tmm_machine_pages(machine),
		.slabs = tmm_machine_slabs(machine),
		.map = tmm_machine_kernel_map(machine),
		.io = tmm_machine_io(machine),
		.iomem = tmm_machine_iomem(machine),
		.ioports = tmm_machine_ioports(machine),
		.bus = tmm_machine_bus(machine),
		.ports = tmm_machine_ports(machine),
	};
}

typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

typedef tmm_gfp gfp_t;
typedef u64 phys_addr_t;
typedef u64 resource_size_t;
typedef u64 dma_addr_t;

#define NUMA_NO_NODE (-1)

#endif
