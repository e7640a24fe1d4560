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

#include <tuxmm/bus.h>
#include <tuxmm/cpu.h>
#include <tuxmm/dma.h>
#include <tuxmm/ioremap.h>
#include <tuxmm/kernel_map.h>
#include <tuxmm/memblock.h>
#include <tuxmm/mmu.h>
#include <tuxmm/model.h>
#include <tuxmm/page_alloc.h>
#include <tuxmm/resource.h>
#include <tuxmm/slab_debug.h>
#include <tuxmm/space.h>

/* An area that the contiguous memory allocator keeps; it must be one piece of free RAM. */
#define TMM_MAX_CMA_AREAS 8u
struct tmm_cma_spec {
	const char *name;
	uint64_t size_bytes;
	uint64_t base;          /* its address; 0: anywhere */
	uint64_t limit;         /* ends at or below this address; 0: anywhere */
	uint64_t align_bytes;   /* a power of two; 0: that of a block */
	uint32_t order_per_bit; /* granularity: 2^order frames */
	uint32_t node;          /* TMM_NODE_ANY: whichever has room */
};

/* Zeroes mean what Linux does by itself, but for the map and the number of CPUs. */
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

	/* Nodes: ranges of the map say which node they are on. */
	uint32_t nr_nodes; /* 0: 1; at most TMM_MAX_NODES */
	uint8_t cpu_node[TMM_MAX_CPUS];
	uint8_t distance[TMM_MAX_NODES][TMM_MAX_NODES]; /* from, to; 0: 10 to itself, else 20 */

	/* Frames. */
	enum tmm_memory_model memory_model;
	enum tmm_geometry geometry; /* tasks run on TMM_GEOMETRY_X86_64 only */
	uint64_t section_bytes;     /* of TMM_MEMORY_SPARSE: a power of two; 0: 128 MiB */
	uint32_t debug;             /* TMM_DEBUG_*, in tuxmm/page_debug.h */
	uint64_t hotplug_end;  /* sections may be added below it; 0: where RAM was at boot */
	uint32_t max_order;    /* longest run: 2^max_order frames, 9..18; 0: 10 */
	uint64_t lowmem_bytes; /* frames above have no address (HIGHMEM); 0: all have */
	uint64_t kernelcore_bytes;  /* what is not MOVABLE; 0: no limit */
	uint64_t movablecore_bytes; /* what is MOVABLE */
	struct tmm_cma_spec cma[TMM_MAX_CMA_AREAS];
	uint32_t nr_cma;

	/* Devices. */
	uint64_t backed_bytes;  /* ram can be touched up to here, for memory of devices; 0: as
	                           far as there is RAM */
	uint64_t swiotlb_bytes; /* bounce buffers; 0: 64 MiB where RAM goes beyond 4 GiB, else
	                           none before they are needed */
	enum tmm_swiotlb_mode swiotlb;
	uint64_t coherent_pool_bytes; /* for requests that cannot wait, of each kind of device;
	                                 0: 128 KiB for each GiB */
	uint32_t dma_debug;           /* TMM_DMA_DEBUG */

	/* When memory is short. */
	uint32_t watermark_scale_factor; /* 1/10000 of a zone between marks; 0: 10 */
	uint32_t stack_high_pages;  /* single frames a CPU keeps of a zone; 0: by its size */
	uint32_t stack_batch_pages; /* taken or given back at a time; 0: by stack_high */

	/* Slabs. */
	enum tmm_slab_allocator slab_allocator;
	const char *slab_debug;       /* which caches debug: tuxmm/slab_debug.h; NULL: none */
	uint32_t slab_options;        /* TMM_SLAB_* of tuxmm/slab_debug.h */
	uint64_t slab_seed;           /* of what is random in slabs */
	struct tmm_failslab failslab; /* which requests of slab_debug's caches with A fail */
};

/* Size and alignment (64) of the struct the caller provides. */
size_t tmm_machine_bytes(void);

/*
 * The RAM of a PC, in bytes, with which a machine of this shape boots and runs a small
 * program, and each contiguous area has a place.  A little less may boot.
 */
uint64_t tmm_machine_least_bytes(const struct tmm_shape *shape);

/*
 * Boot.  ram is the host address of physical address 0; all RAM of the firmware
 * map is readable and writable there and reads as zeroes.  For vmalloc and high memory it
 * must be something that the port can show a second time (tmm_port_window_show(); the
 * hosted port: a shared mapping).
 *   TMM_E_INVAL  the shape contradicts itself; *why says where
 *   TMM_E_NOMEM  too little RAM; *why says the least that works, or that an
 *                allocation failed for which there was room (fault injection)
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
struct tmm_iomem *tmm_machine_iomem(struct tmm_machine *machine);
struct tmm_iomem *tmm_machine_ioports(struct tmm_machine *machine);
struct tmm_kernel_map *tmm_machine_kernel_map(struct tmm_machine *machine);
struct tmm_bus *tmm_machine_bus(struct tmm_machine *machine);
struct tmm_bus *tmm_machine_ports(struct tmm_machine *machine);
struct tmm_io *tmm_machine_io(struct tmm_machine *machine);
struct tmm_dma *tmm_machine_dma(struct tmm_machine *machine);
struct tmm_cache_system *tmm_machine_cache(struct tmm_machine *machine);
struct tmm_space_system *tmm_machine_spaces(struct tmm_machine *machine);
const struct tmm_memblock *tmm_machine_memblock(const struct tmm_machine *machine);

/* What tmm_drop_caches() drops (Linux: /proc/sys/vm/drop_caches). */
#define TMM_DROP_PAGECACHE (1u << 0) /* clean pages of files that nobody maps */
#define TMM_DROP_SLAB      (1u << 1) /* what shrinkers can free, and empty slabs */

/* TMM_OK, or TMM_E_INVAL: nothing, or a bit that is no TMM_DROP_*. */
TMM_MUST_CHECK tmm_err tmm_drop_caches(struct tmm_machine *machine, unsigned what);

/*
 * Background reclaim (Linux: kswapd).  A request that found a node below its low
 * watermarks has woken it; it runs when its caller says so, at a point of the
 * machine's own time: without locks, where it may sleep.  In nodes that were woken a
 * zone is brought up to its high watermark as far as clean unmapped pages of files and
 * shrinkers give; returns the pages freed.  is_woken() is cheap.
 */
bool tmm_machine_is_woken(const struct tmm_machine *machine);
uint64_t tmm_machine_background(struct tmm_machine *machine);

/*
 * Who is asked when nothing is left to reclaim (Linux: out_of_memory()): true, memory
 * comes back, and the request tries again; false, it fails.  The request may hold
 * locks that may sleep, an address space's among them.  Before any second CPU allocates;
 * NULL: nobody is asked.
 */
void tmm_machine_on_oom(struct tmm_machine *machine,
                        bool (*kill)(void *arg, tmm_gfp gfp, unsigned order), void *arg);

/* Every invariant of every storey; each frame in exactly one place.  Panics when broken. */
void tmm_check(struct tmm_machine *machine);

#endif
