/*
 * machine.h - one struct for each storey
 */
#ifndef TUXMM_MACHINE_MACHINE_H
#define TUXMM_MACHINE_MACHINE_H

#include <tuxmm/machine.h>

#include "base/cpu.h"
#include "cache/cache_system.h"
#include "device/dma_impl.h"
#include "device/io.h"
#include "device/iomem.h"
#include "map/kernel_map_impl.h"
#include "page/page_system.h"
#include "slab/slab_system.h"
#include "space/space_system.h"

/*
 * What background reclaim of a node was woken for, the most demanding of all since it
 * last ran.  (a) relaxed: a wake that is seen late is seen the next time.
 */
struct node_wake {
	uint32_t order;   /* (a) */
	uint32_t highest; /* (a) enum tmm_zone_id */
};

struct reclaim_state {
	uint32_t woken; /* (a) bit i: node i is to be looked after */
	struct node_wake wake[TMM_MAX_NODES];
	bool (*oom)(void *arg, tmm_gfp gfp, unsigned order); /* (c) NULL: nobody */
	void *oom_arg;                                       /* (c) */
};

/* In the order of boot; each guards itself. */
struct tmm_machine {
	struct cpu_set cpus;
	struct tmm_memblock memblock; /* constant after boot */
	tmm_paddr kernel;             /* where the kernel's image is */
	struct tmm_pages pages;
	struct tmm_slab_system slabs;
	struct tmm_iomem iomem, ioports;
	struct tmm_resource iomem_boot[MAX_BOOT_RESOURCES]; /* the iomem's */
	struct tmm_resource ioports_boot[MAX_BOOT_PORTS];   /* the ioports' */
	struct tmm_kernel_map kernel_map;
	struct tmm_bus bus, ports;
	struct tmm_io io;
	struct tmm_dma dma;
	struct tmm_cache_system cache;
	struct tmm_space_system spaces;
	struct reclaim_state reclaim;
	char why[160]; /* what tmm_machine_init() had to say */
};

/* reclaim.c: what the page allocator starts when memory is short. */
void reclaim_init(struct tmm_machine *machine);

/* What the page allocator is told of a shape, without RAM and CPUs; machine.c. */
struct pages_config machine_pages_config(const struct tmm_shape *shape);

/* least.c: usable memory from the lowest address to the highest, as the firmware tells... */
struct tmm_region usable_memory(const struct tmm_shape *shape);

/* ... and how many bytes of it a machine needs to boot whose frames lie within span_bytes. */
uint64_t machine_needs(const struct tmm_shape *shape, uint64_t span_bytes);

/* Where Linux for x86-64 is loaded, and its kernel's image lies where there is RAM. */
#define KERNEL_START UINT64_C(0x1000000)

/* What contradicts itself in a shape, or is not made yet; NULL: nothing. */
const char *shape_fault(const struct tmm_shape *shape);

#endif
