/*
 * machine.c - boot, and its reverse
 *
 *   firmware map -> memblock -> kernel's image and frame 0 reserved
 *                -> zones and page allocator -> slab -> kernel map -> devices
 *                -> page cache -> address spaces
 *
 * Everything that can be wrong with a shape is found before the first storey
 * starts.  A storey that fails to start leaves nothing behind, those before it
 * are stopped in reverse order.
 */
#include "machine/machine.h"

#include <tuxmm/page_debug.h>
#include <tuxmm/shrinker.h>

#include "base/print.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

size_t tmm_machine_bytes(void)
{
	return align_up(sizeof(struct tmm_machine), 64);
}

/* ---- what is asked for ---- */

/* Whole pages: the kernel map shows nothing beyond. */
static uint64_t usable_end(const struct tmm_shape *shape)
{
	return align_down(max_u64(usable_memory(shape).end, shape->hotplug_end), TMM_PAGE_SIZE);
}

/* Beyond RAM there may be memory of devices. */
static uint64_t backed_end(const struct tmm_shape *shape)
{
	return align_down(max_u64(usable_end(shape), shape->backed_bytes), TMM_PAGE_SIZE);
}

struct pages_config machine_pages_config(const struct tmm_shape *shape)
{
	return (struct pages_config){
		.nr_nodes = shape->nr_nodes,
		.distance = shape->distance,
		.max_order = shape->max_order,
		.memory_model = shape->memory_model,
		.section_bytes = shape->section_bytes,
		.hotplug_end = shape->hotplug_end,
		.debug = shape->debug & ~TMM_DEBUG_UNMAP,
		.lowmem_bytes = shape->lowmem_bytes,
		.kernelcore_bytes = shape->kernelcore_bytes,
		.movablecore_bytes = shape->movablecore_bytes,
		.min_free_kbytes = shape->min_free_kbytes,
		.watermark_scale_factor = shape->watermark_scale_factor,
		.stack_high_pages = shape->stack_high_pages,
		.stack_batch_pages = shape->stack_batch_pages,
		.cma = shape->cma,
		.nr_cma = shape->nr_cma,
	};
}

/* ---- boot ---- */

static bool is_memory(const struct tmm_memblock *mb, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < mb->memory.nr; i++) {
		if (mb->memory.region[i].start <= start && end <= mb->memory.region[i].end)
			return true;
	}
	return false;
}

/* The kernel's image: where Linux is loaded, else as low as it fits. */
static tmm_err reserve_kernel(struct tmm_memblock *mb, uint64_t bytes, tmm_paddr *out_start)
{
	const struct tmm_memblock_request request = {
		.size_bytes = bytes, .align_bytes = TMM_PAGE_SIZE, .node = TMM_NODE_ANY};
	tmm_err err;

	out_start->v = KERNEL_START;
	if (!bytes)
		return TMM_OK;
	if (is_memory(mb, KERNEL_START, KERNEL_START + bytes))
		return tmm_memblock_reserve(mb, *out_start, bytes);
	mb->bottom_up = true;
	err = tmm_memblock_alloc(mb, &request, out_start);
	mb->bottom_up = false;
	return err;
}

static uint64_t boot_needed(const struct tmm_memblock *mb, const struct tmm_shape *shape)
{
	return machine_needs(shape, tmm_memblock_end(mb) - tmm_memblock_start(mb));
}

static bool is_large_enough(const struct tmm_memblock *mb, const struct tmm_shape *shape)
{
	return tmm_memblock_memory_bytes(mb) >= boot_needed(mb, shape);
}

static tmm_err boot_memblock(struct tmm_machine *machine, const struct tmm_shape *shape)
{
	struct tmm_memblock *mb = &machine->memblock;
	uint64_t kernel_bytes = align_up(shape->kernel_bytes, TMM_PAGE_SIZE);
	tmm_err err;

	/* RAM reads as zeroes already: clearing it would only make the host back it. */
	tmm_memblock_init(mb, NULL);
	err = tmm_memblock_from_firmware(mb, shape->firmware_map, shape->nr_ranges,
	                                 shape->mem_limit_bytes);
	if (err)
		return err;
	if (!is_large_enough(mb, shape))
		return TMM_E_NOMEM;
	/* Frame 0 is the real-mode interrupt table, and where a stray 0 points to. */
	err = tmm_memblock_reserve(mb, (tmm_paddr){0}, TMM_PAGE_SIZE);
	return err ? err : reserve_kernel(mb, kernel_bytes, &machine->kernel);
}

static struct dma_config dma_config_of(const struct tmm_machine *machine,
                                       const struct tmm_shape *shape)
{
	return (struct dma_config){
		.swiotlb_bytes = shape->swiotlb_bytes,
		.mode = shape->swiotlb,
		.pool_bytes = shape->coherent_pool_bytes,
		.debug = shape->dma_debug,
		.ram_end = max_u64(tmm_memblock_end(&machine->memblock), shape->hotplug_end),
		.lowmem_bytes = shape->lowmem_bytes,
	};
}

static tmm_err boot_pages(struct tmm_machine *machine, const struct tmm_shape *shape, void *ram)
{
	const struct dma_config dma = dma_config_of(machine, shape);
	struct pages_config config = machine_pages_config(shape);

	dma_reserve(&machine->dma, &machine->memblock, ram, &dma);

	config.ram = ram;
	config.cpus = &machine->cpus;
	return pages_init(&machine->pages, &machine->memblock, &config);
}

static const struct ram_ops ram_ops = {.add = iomem_add_ram, .remove = iomem_remove_ram};

static tmm_err boot_iomem(struct tmm_machine *machine, const struct tmm_shape *shape)
{
	const struct iomem_config config = {
		.map = shape->firmware_map,
		.nr_ranges = shape->nr_ranges,
		.ram_end = shape->mem_limit_bytes ? tmm_memblock_end(&machine->memblock)
	                                          : UINT64_MAX,
		.hotplug_end = shape->hotplug_end,
		.kernel_start = machine->kernel.v,
		.kernel_bytes = align_up(shape->kernel_bytes, TMM_PAGE_SIZE),
	};

	pages_set_ram_ops(&machine->pages, &ram_ops, &machine->iomem);
	return iomem_init(&machine->iomem, &machine->slabs, machine->iomem_boot, &config);
}

static tmm_err boot_devices(struct tmm_machine *machine, const struct tmm_shape *shape)
{
	const struct dma_config config = dma_config_of(machine, shape);
	tmm_err err = boot_iomem(machine, shape);

	if (err)
		return err;
	ioports_init(&machine->ioports, &machine->slabs, machine->ioports_boot);
	bus_init_ports(&machine->ports, NR_PORTS);
	bus_init(&machine->bus, &machine->pages, &machine->iomem, backed_end(shape));
	io_init(&machine->io, &machine->bus, &machine->kernel_map, &machine->slabs);
	return dma_init(&machine->dma, &machine->slabs, &machine->bus, &config);
}

static tmm_err boot_storeys(struct tmm_machine *machine, const struct tmm_shape *shape)
{
	const struct space_config space = {
		.overcommit_memory = (enum overcommit)shape->overcommit_memory,
		.overcommit_ratio = shape->overcommit_ratio,
		.max_map_count = shape->max_map_count,
		.fault_around_bytes = shape->fault_around_bytes,
		.anon_around_bytes = shape->anon_around_bytes,
	};
	const struct slab_config slabs = {
		.debug = shape->slab_debug,
		.options = shape->slab_options,
		.seed = shape->slab_seed,
		.direct_map = kernel_direct_start(shape->geometry, &machine->pages),
		.allocator = shape->slab_allocator,
		.failslab = shape->failslab,
	};
	const struct kernel_map_config kernel = {
		.pages = &machine->pages,
		.slabs = &machine->slabs,
		.geometry = shape->geometry,
		.ram_bytes = backed_end(shape),
		.flushes_at_once = (shape->debug & TMM_DEBUG_UNMAP) != 0,
	};
	tmm_err err;

	slab_init(&machine->slabs, &machine->pages, &slabs);
	err = kernel_map_init(&machine->kernel_map, &kernel);
	if (err)
		goto no_kernel_map;
	err = boot_devices(machine, shape);
	if (err)
		goto no_devices;
	err = cache_system_init(&machine->cache, &machine->pages, &machine->slabs);
	if (err)
		goto no_cache;
	err = space_system_init(&machine->spaces, &machine->pages, &machine->slabs,
	                        &machine->cache, &space);
	if (err)
		goto no_spaces;
	reclaim_init(machine);
	return TMM_OK;

no_spaces:
	cache_system_fini(&machine->cache);
no_cache:
	dma_fini(&machine->dma);
	io_fini(&machine->io);
	bus_fini(&machine->ports);
	bus_fini(&machine->bus);
	iomem_fini(&machine->ioports);
	iomem_fini(&machine->iomem);
no_devices:
	kernel_map_fini(&machine->kernel_map);
no_kernel_map:
	slab_fini(&machine->slabs);
	pages_fini(&machine->pages);
	return err;
}

/*
 * Say why a boot failed for which the shape alone is not to blame.  has_room: what
 * was asked for was there.
 */
static const char *explain(struct tmm_machine *machine, const struct tmm_shape *shape,
                           tmm_err err, bool has_room)
{
	unsigned long long least = boot_needed(&machine->memblock, shape) / KIB;
	struct print_text text;
	struct printer printer;

	if (err == TMM_E_NOSPC)
		return "the firmware map has more holes and pieces than boot can list";
	if (err == TMM_E_RANGE)
		return "a contiguous area finds no free piece of RAM in one zone where it "
		       "should be";
	if (err != TMM_E_NOMEM)
		return "RAM ends behind the last address that frames can have, or two "
		       "nodes have parts of the same 2 MiB";
	if (is_large_enough(&machine->memblock, shape) && has_room)
		return "an allocation failed, though RAM has room for it";
	if (is_large_enough(&machine->memblock, shape))
		return "RAM has no room for the kernel's image or the page descriptors "
		       "in one piece";
	print_text_begin(&printer, &text, machine->why, sizeof(machine->why));
	print(&printer, "RAM is too small: this machine needs at least %llu KiB", least);
	print_end(&printer);
	return machine->why;
}

tmm_err tmm_machine_init(struct tmm_machine *machine, const struct tmm_shape *shape, void *ram,
                         const char **why)
{
	bool has_pages = false;
	tmm_err err;

	*why = shape_fault(shape);
	if (*why)
		return TMM_E_INVAL;
	cpu_set_init(&machine->cpus, shape->nr_cpus);
	for (uint32_t cpu = 0; cpu < shape->nr_cpus; cpu++)
		machine->cpus.cpu[cpu].node = shape->cpu_node[cpu];
	err = boot_memblock(machine, shape);
	if (!err)
		err = boot_pages(machine, shape, ram);
	has_pages = !err;
	if (!err)
		err = boot_storeys(machine, shape);
	if (!err)
		return TMM_OK;
	cpu_set_fini(&machine->cpus);
	/* Once there are pages, the rest of a boot needs few of them. */
	*why = explain(machine, shape, err, machine->memblock.denied || has_pages);
	return err == TMM_E_NOMEM ? TMM_E_NOMEM : TMM_E_INVAL;
}

void tmm_machine_fini(struct tmm_machine *machine)
{
	space_system_fini(&machine->spaces);
	cache_system_fini(&machine->cache);
	dma_fini(&machine->dma);
	io_fini(&machine->io);
	bus_fini(&machine->ports);
	bus_fini(&machine->bus);
	iomem_fini(&machine->ioports);
	iomem_fini(&machine->iomem);
	kernel_map_fini(&machine->kernel_map);
	slab_fini(&machine->slabs);
	pages_fini(&machine->pages);
	tmm_memblock_init(&machine->memblock, NULL);
	cpu_set_fini(&machine->cpus);
}

tmm_err tmm_cpu_enter(struct tmm_machine *machine, unsigned id)
{
	return cpu_enter(&machine->cpus, id);
}

tmm_err tmm_drop_caches(struct tmm_machine *machine, unsigned what)
{
	if (!what || (what & ~(TMM_DROP_PAGECACHE | TMM_DROP_SLAB)))
		return TMM_E_INVAL;
	if (what & TMM_DROP_PAGECACHE) {
		tmm_cache_shrink_pages(&machine->cache, UINT64_MAX);
		count_vm_event(&machine->pages, DROP_PAGECACHE);
	}
	if (what & TMM_DROP_SLAB) {
		tmm_drop_slab(&machine->slabs);
		count_vm_event(&machine->pages, DROP_SLAB);
	}
	return TMM_OK;
}

void tmm_cpu_set_task(struct tmm_machine *machine, uint32_t task)
{
	cpu_self(&machine->cpus)->task = task;
}

struct tmm_pages *tmm_machine_pages(struct tmm_machine *machine)
{
	return &machine->pages;
}

struct tmm_slab_system *tmm_machine_slabs(struct tmm_machine *machine)
{
	return &machine->slabs;
}

struct tmm_iomem *tmm_machine_iomem(struct tmm_machine *machine)
{
	return &machine->iomem;
}

struct tmm_kernel_map *tmm_machine_kernel_map(struct tmm_machine *machine)
{
	return &machine->kernel_map;
}

struct tmm_iomem *tmm_machine_ioports(struct tmm_machine *machine)
{
	return &machine->ioports;
}

struct tmm_bus *tmm_machine_ports(struct tmm_machine *machine)
{
	return &machine->ports;
}

struct tmm_bus *tmm_machine_bus(struct tmm_machine *machine)
{
	return &machine->bus;
}

struct tmm_io *tmm_machine_io(struct tmm_machine *machine)
{
	return &machine->io;
}

struct tmm_dma *tmm_machine_dma(struct tmm_machine *machine)
{
	return &machine->dma;
}

struct tmm_cache_system *tmm_machine_cache(struct tmm_machine *machine)
{
	return &machine->cache;
}

struct tmm_space_system *tmm_machine_spaces(struct tmm_machine *machine)
{
	return &machine->spaces;
}

const struct tmm_memblock *tmm_machine_memblock(const struct tmm_machine *machine)
{
	return &machine->memblock;
}
