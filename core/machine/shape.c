/*
 * shape.c - what a shape must be
 *
 * Everything that can be wrong with a shape by itself; that RAM is too small for
 * it, or cut in too many pieces, boot finds out.
 */
#include <tuxmm/page_debug.h>
#include <tuxmm/slab_debug.h>

#include "machine/machine.h"

#include <tuxmm/migrate.h>

#define MIB UINT64_C(0x100000)
#define GIB (1024 * MIB)

/* Frame numbers end there. */
#define MOST_BYTES (UINT64_C(8) << 40)

/* Distance of a node to itself, and the value that means out of reach. */
#define DISTANCE_SELF 10u
#define DISTANCE_MOST 254u

#define LEAST_ORDER   9u
#define STACK_MOST    512u /* tmm_pages_set_stacks() takes no more */

static uint32_t nr_nodes(const struct tmm_shape *shape)
{
	return shape->nr_nodes ? shape->nr_nodes : 1;
}

static uint64_t run_bytes(const struct tmm_shape *shape)
{
	return TMM_PAGE_SIZE << (shape->max_order ? shape->max_order : TMM_DEFAULT_ORDER);
}

static const char *map_fault(const struct tmm_shape *shape)
{
	for (size_t i = 0; i < shape->nr_ranges; i++) {
		const struct tmm_firmware_range *range = &shape->firmware_map[i];

		if (range->type < TMM_FW_USABLE || range->type > TMM_FW_UNUSABLE)
			return "the firmware map has a range of an unknown type";
		if (range->start.v + range->size_bytes < range->start.v)
			return "the firmware map has a range that ends behind the address "
			       "space";
		if (range->type == TMM_FW_USABLE && range->node >= nr_nodes(shape))
			return "the firmware map names a node that the machine does not have";
	}
	return NULL;
}

static const char *distance_fault(const struct tmm_shape *shape)
{
	for (uint32_t from = 0; from < nr_nodes(shape); from++) {
		for (uint32_t to = 0; to < nr_nodes(shape); to++) {
			uint8_t distance = shape->distance[from][to];

			if (distance != shape->distance[to][from])
				return "distance is not the same in both directions";
			if (!distance)
				continue;
			if (from == to ? distance != DISTANCE_SELF
			               : distance <= DISTANCE_SELF || distance > DISTANCE_MOST)
				return "distance is not 10 from a node to itself, or not "
				       "between 11 and 254 to others";
		}
	}
	return NULL;
}

static const char *node_fault(const struct tmm_shape *shape)
{
	if (shape->nr_nodes > TMM_MAX_NODES)
		return "nr_nodes is more than 16";
	for (uint32_t cpu = 0; cpu < shape->nr_cpus; cpu++)
		if (shape->cpu_node[cpu] >= nr_nodes(shape))
			return "cpu_node names a node that the machine does not have";
	return distance_fault(shape);
}

static const char *section_fault(const struct tmm_shape *shape)
{
	uint64_t bytes = shape->section_bytes;

	if (shape->memory_model > TMM_MEMORY_SPARSE)
		return "memory_model is not one of the three there are";
	if (shape->memory_model != TMM_MEMORY_SPARSE && shape->hotplug_end)
		return "hotplug_end is given, but only TMM_MEMORY_SPARSE has sections";
	if (shape->hotplug_end > MOST_BYTES)
		return "hotplug_end is more than 8 TiB";
	if (shape->memory_model != TMM_MEMORY_SPARSE)
		return bytes ? "section_bytes is given, but only TMM_MEMORY_SPARSE has sections"
		             : NULL;
	if (bytes &&
	    (!is_power_of_two(bytes) || bytes < TMM_SECTION_BYTES_LEAST || bytes > MOST_BYTES))
		return "section_bytes is no power of two between 2 MiB and 8 TiB";
	if ((bytes ? bytes : TMM_SECTION_BYTES) < run_bytes(shape))
		return "section_bytes is less than the longest run, which max_order says";
	return NULL;
}

static const char *lowmem_fault(const struct tmm_shape *shape)
{
	bool is_32_bit = shape->geometry <= TMM_GEOMETRY_X86_PAE &&
	                 tmm_mmu_format(shape->geometry)->linear_bits == 32;
	uint64_t end = shape->hotplug_end;

	for (size_t i = 0; i < shape->nr_ranges; i++)
		if (shape->firmware_map[i].type == TMM_FW_USABLE)
			end = max_u64(end, shape->firmware_map[i].start.v +
			                           shape->firmware_map[i].size_bytes);
	if (shape->lowmem_bytes)
		end = min_u64(end, shape->lowmem_bytes);
	if (shape->lowmem_bytes % max_u64(run_bytes(shape), 4 * MIB))
		return "lowmem_bytes is no multiple of 4 MiB and of the longest run";
	if (is_32_bit && end > LOWMEM_MOST_32)
		return "the geometry has addresses for 2944 MiB of RAM, and lowmem_bytes is "
		       "not given or more than that";
	return NULL;
}

static const char *frame_fault(const struct tmm_shape *shape)
{
	if (shape->debug & ~(TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON | TMM_DEBUG_UNMAP))
		return "debug has a bit that is no TMM_DEBUG_*";
	if (shape->geometry > TMM_GEOMETRY_X86_PAE)
		return "geometry is not one of the four there are";
	if (shape->max_order &&
	    (shape->max_order < LEAST_ORDER || shape->max_order > TMM_MAX_ORDER))
		return "max_order is neither 0 nor between 9 and 18";
	if (lowmem_fault(shape))
		return lowmem_fault(shape);
	if (shape->stack_high_pages > STACK_MOST ||
	    shape->stack_batch_pages >
	            (shape->stack_high_pages ? shape->stack_high_pages : STACK_MOST))
		return "stack_high_pages is more than 512, or stack_batch_pages more than that";
	if (shape->watermark_scale_factor > 3000)
		return "watermark_scale_factor is more than 3000";
	if (shape->kernelcore_bytes > MOST_BYTES || shape->movablecore_bytes > MOST_BYTES)
		return "kernelcore_bytes or movablecore_bytes is more than 8 TiB";
	return section_fault(shape);
}

static bool cma_is_valid(const struct tmm_cma_spec *spec)
{
	const uint64_t block_bytes = TMM_PAGE_SIZE << TMM_BLOCK_ORDER;
	uint64_t align = max_u64(spec->align_bytes, block_bytes);

	return spec->name && spec->size_bytes && spec->size_bytes % block_bytes == 0 &&
	       is_power_of_two(align) && spec->base % align == 0 &&
	       spec->size_bytes <= MOST_BYTES && spec->base <= MOST_BYTES &&
	       spec->order_per_bit <= TMM_BLOCK_ORDER &&
	       (!spec->limit || !spec->base || spec->base + spec->size_bytes <= spec->limit);
}

static const char *cma_fault(const struct tmm_shape *shape)
{
	if (shape->nr_cma > TMM_MAX_CMA_AREAS)
		return "nr_cma is more than 8";
	for (uint32_t i = 0; i < shape->nr_cma; i++)
		if (!cma_is_valid(&shape->cma[i]))
			return "cma names an area whose size, base, limit, alignment or "
			       "order_per_bit cannot be, or that has no name";
	return NULL;
}

static const char *device_fault(const struct tmm_shape *shape)
{
	if (shape->swiotlb > TMM_SWIOTLB_NONE)
		return "swiotlb is not one of the three there are";
	if (shape->swiotlb_bytes > GIB ||
	    (shape->swiotlb_bytes && shape->swiotlb == TMM_SWIOTLB_NONE))
		return "swiotlb_bytes is more than 1 GiB, or given where there is to be none";
	if (shape->coherent_pool_bytes > 4 * MIB)
		return "coherent_pool_bytes is more than 4 MiB";
	if (shape->dma_debug & ~TMM_DMA_DEBUG)
		return "dma_debug has a bit that is no TMM_DMA_DEBUG";
	return NULL;
}

static bool around_is_valid(uint32_t bytes)
{
	return !bytes || (is_power_of_two(bytes) && bytes >= TMM_PAGE_SIZE);
}

static const char *limit_fault(const struct tmm_shape *shape)
{
	if (shape->kernel_bytes > MOST_BYTES || shape->min_free_kbytes > MOST_BYTES >> 10)
		return "kernel_bytes or min_free_kbytes is more than 8 TiB";
	if (shape->overcommit_memory > 2)
		return "overcommit_memory is not 0, 1 or 2";
	if (!around_is_valid(shape->fault_around_bytes))
		return "fault_around_bytes is neither 0 nor a power of two of at least 4096";
	if (!around_is_valid(shape->anon_around_bytes))
		return "anon_around_bytes is neither 0 nor a power of two of at least 4096";
	return NULL;
}

static const char *slab_fault(const struct tmm_shape *shape)
{
	if (shape->slab_allocator != TMM_SLABS && shape->slab_allocator != TMM_SLOB)
		return "slab_allocator is neither TMM_SLABS nor TMM_SLOB";
	if (shape->slab_options & ~(TMM_SLAB_PANIC | TMM_SLAB_NO_MERGE | TMM_SLAB_RANDOM))
		return "slab_options has a bit that is no option of slabs";
	if (tmm_slab_failslab_fault(&shape->failslab))
		return tmm_slab_failslab_fault(&shape->failslab);
	return tmm_slab_debug_fault(shape->slab_debug);
}

const char *shape_fault(const struct tmm_shape *shape)
{
	static const char *(*const faults[])(const struct tmm_shape *) = {
		limit_fault,  node_fault, frame_fault, cma_fault,
		device_fault, map_fault,  slab_fault};

	if (!shape->firmware_map || !shape->nr_ranges)
		return "the firmware map is empty";
	if (shape->nr_cpus < 1 || shape->nr_cpus > TMM_MAX_CPUS)
		return "the number of CPUs is not between 1 and 256";
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		const char *fault = faults[i](shape);

		if (fault)
			return fault;
	}
	return NULL;
}
