/*
 * dma.c - devices, what they reach, and coherent memory
 *
 * A mask says which addresses a device drives.  Requests for memory go to the highest
 * zone that a mask surely reaches; masks between two zones try the higher one first
 * and look at what they got.
 *
 * Coherent memory is, in this order: frames of a contiguous area, when more than a
 * page is wanted and the caller may sleep; a run of the page allocator's; frames of
 * the pool for atomic requests.  Whose a run is, is seen by its frames when it comes
 * back.
 */
#include "device/dma_impl.h"

#include "page/cma.h"

#define MIB           UINT64_C(0x100000)
#define SWIOTLB_BYTES (64 * MIB) /* Linux's */
#define DMA_MASK      TMM_DMA_BIT_MASK(24)
#define DMA32_MASK    TMM_DMA_BIT_MASK(32)

/* Linux aligns to no more frames than this (CONFIG_CMA_ALIGNMENT). */
#define CMA_ALIGN_ORDER 8u

/* ---- the machine's part ---- */

void dma_reserve(struct tmm_dma *dma, struct tmm_memblock *memblock, void *ram,
                 const struct dma_config *config)
{
	uint64_t bytes = config->swiotlb_bytes;

	*dma = (struct tmm_dma){.mode = config->mode};
	if (!bytes && (tmm_memblock_end(memblock) > DMA32_MASK + 1))
		bytes = SWIOTLB_BYTES;
	if (config->mode != TMM_SWIOTLB_NONE)
		bounce_reserve(dma, memblock, ram, bytes, config->lowmem_bytes);
}

tmm_err dma_init(struct tmm_dma *dma, struct tmm_slab_system *slabs, struct tmm_bus *bus,
                 const struct dma_config *config)
{
	dma->pages = bus->pages;
	dma->slabs = slabs;
	dma->bus = bus;
	dma->ram_end = config->ram_end;
	dma->pool_bytes = config->pool_bytes;
	dma->has_debug = config->debug & TMM_DMA_DEBUG;
	lock_init(&dma->lock, RANK_DEVICE);
	atomic_pool_init(dma);
	return dma->has_debug ? records_init(dma) : TMM_OK;
}

void dma_fini(struct tmm_dma *dma)
{
	TMM_ASSERT(!dma->devices && "every device is removed before the machine ends");
	records_fini(dma);
	atomic_pool_fini(dma);
	bounce_fini(dma);
}

bool tmm_dma_swiotlb(const struct tmm_dma *dma, tmm_paddr *out_start, uint64_t *out_bytes)
{
	const struct bounce_pool *pool = &dma->boot_bounce;

	if (!pool->is_of_boot)
		return false;
	out_start->v = pool->start;
	*out_bytes = pool->end - pool->start;
	return true;
}

void tmm_dma_counts(struct tmm_dma *dma, struct tmm_dma_counts *out)
{
	const uint64_t *from = (const uint64_t *)&dma->counts;
	uint64_t *to = (uint64_t *)out;

	_Static_assert(sizeof(*out) % sizeof(*to) == 0, "counts and nothing else");
	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = dma_counted(&from[i]);
}

void tmm_dma_check(struct tmm_dma *dma)
{
	tmm_irq irq;

	bounce_check(dma);
	irq = lock_take_irqsave(&dma->lock);
	records_check(dma);
	lock_drop_irqrestore(&dma->lock, irq);
}

/* ---- devices ---- */

enum reach reach_of(const struct tmm_dma *dma, uint64_t mask)
{
	if (mask >= dma->ram_end - 1)
		return REACH_ALL;
	if (mask < DMA32_MASK)
		return REACH_DMA;
	return tmm_zone_exists(dma->pages, TMM_ZONE_DMA32) ? REACH_DMA32 : REACH_ALL;
}

tmm_gfp gfp_of_reach(enum reach reach)
{
	static const tmm_gfp zone[NR_REACHES] = {
		[REACH_DMA] = TMM_GFP_DMA, [REACH_DMA32] = TMM_GFP_DMA32, [REACH_ALL] = 0};

	return zone[reach];
}

void tmm_device_add(struct tmm_dma *dma, struct tmm_device *device, const char *name)
{
	tmm_irq irq;

	*device = (struct tmm_device){.name = name,
	                              .dma = dma,
	                              .dma_mask = DMA32_MASK,
	                              .coherent_mask = DMA32_MASK,
	                              .max_segment_bytes = 64 << 10,
	                              .segment_boundary_mask = DMA32_MASK};
	atomic_pool_make(dma, reach_of(dma, device->coherent_mask));
	irq = lock_take_irqsave(&dma->lock);
	device->next = dma->devices;
	dma->devices = device;
	lock_drop_irqrestore(&dma->lock, irq);
}

void tmm_device_remove(struct tmm_device *device)
{
	struct tmm_dma *dma = device->dma;
	struct tmm_device **link;
	tmm_irq irq;

	if (dma_counted(&device->nr_mapped) || dma_counted(&device->nr_coherent))
		debug_remove(device);
	irq = lock_take_irqsave(&dma->lock);
	for (link = &dma->devices; *link && *link != device; link = &(*link)->next)
		;
	TMM_ASSERT(*link && "a device that is removed was added");
	*link = device->next;
	lock_drop_irqrestore(&dma->lock, irq);
}

/* Any device reaches ZONE_DMA, or all RAM when there is less. */
static bool is_supported(const struct tmm_dma *dma, uint64_t mask)
{
	return mask >= DMA32_MASK || mask >= min_u64(DMA_MASK, dma->ram_end - 1);
}

tmm_err tmm_dma_set_mask(struct tmm_device *device, uint64_t mask)
{
	if (!is_supported(device->dma, mask))
		return TMM_E_IO;
	device->dma_mask = mask;
	return TMM_OK;
}

tmm_err tmm_dma_set_coherent_mask(struct tmm_device *device, uint64_t mask)
{
	if (!is_supported(device->dma, mask))
		return TMM_E_IO;
	device->coherent_mask = mask;
	atomic_pool_make(device->dma, reach_of(device->dma, mask));
	return TMM_OK;
}

tmm_err tmm_dma_set_mask_and_coherent(struct tmm_device *device, uint64_t mask)
{
	tmm_err err = tmm_dma_set_mask(device, mask);

	return err == TMM_OK ? tmm_dma_set_coherent_mask(device, mask) : err;
}

uint64_t tmm_dma_required_mask(const struct tmm_device *device)
{
	return TMM_DMA_BIT_MASK(log2_ceil(device->dma->ram_end));
}

uint64_t tmm_dma_max_mapping_size(const struct tmm_device *device)
{
	const struct tmm_dma *dma = device->dma;
	bool may_bounce = dma->mode == TMM_SWIOTLB_FORCE ||
	                  (dma->mode == TMM_SWIOTLB_AUTO &&
	                   device->dma_mask < dma->ram_end - 1);

	/* The first slot may be used from min_align_mask on. */
	return may_bounce ? SEGMENT_BYTES - align_up(device->min_align_mask, SLOT_BYTES)
	                  : UINT64_MAX;
}

/* ---- coherent memory ---- */

static struct tmm_cma *area_with(const struct tmm_dma *dma, uint64_t pfn)
{
	struct tmm_cma *area;

	for (unsigned i = 0; (area = tmm_cma_area(dma->pages, i)) != NULL; i++)
		if (pfn - area->start < area->nr_pages)
			return area;
	return NULL;
}

static bool take_from_area(struct tmm_cma *area, uint64_t nr_pages, unsigned align_order,
                           tmm_pfn *out)
{
	return tmm_cma_alloc(area, nr_pages, align_order, out, NULL) == TMM_OK;
}

/* Does the mask reach all of the area, and has it an address? */
static bool area_suits(const struct tmm_dma *dma, const struct tmm_cma *area, uint64_t mask)
{
	uint64_t end = area->start + area->nr_pages;

	return end <= dma->pages->lowmem_end &&
	       mask_reaches(mask, (end << TMM_PAGE_SHIFT) - 1, 1);
}

static bool take_contiguous(struct tmm_device *device, uint64_t nr_pages, tmm_pfn *out)
{
	const unsigned order = (unsigned)min_u64(log2_ceil(nr_pages), CMA_ALIGN_ORDER);
	struct tmm_dma *dma = device->dma;
	struct tmm_cma *area = device->cma;
	bool found = area && area_suits(dma, area, device->coherent_mask) &&
	             take_from_area(area, nr_pages, order, out);

	for (unsigned i = 0; !found && (area = tmm_cma_area(dma->pages, i)) != NULL; i++)
		found = area_suits(dma, area, device->coherent_mask) &&
		        take_from_area(area, nr_pages, order, out);
	if (found)
		dma_count(&dma->counts.from_cma, 1);
	return found;
}

static bool take_run(struct tmm_device *device, uint64_t nr_pages, tmm_gfp gfp, tmm_pfn *out)
{
	struct tmm_dma *dma = device->dma;
	const uint64_t mask = device->coherent_mask, bytes = nr_pages << TMM_PAGE_SHIFT;
	enum reach reach = reach_of(dma, mask);

	/* A mask that ends between two zones may reach some of the higher one. */
	if (reach == REACH_DMA && mask > DMA_MASK)
		reach = tmm_zone_exists(dma->pages, TMM_ZONE_DMA32) ? REACH_DMA32 : REACH_ALL;
	for (unsigned r = reach + 1; r > 0; r--) {
		tmm_gfp zone = gfp_of_reach((enum reach)(r - 1));

		if (r - 1 == REACH_DMA32 && !tmm_zone_exists(dma->pages, TMM_ZONE_DMA32))
			continue;
		if (tmm_pages_alloc_exact(dma->pages, gfp | zone, bytes, out) != TMM_OK)
			return false;
		if (mask_reaches(mask, out->v << TMM_PAGE_SHIFT, bytes))
			return true;
		tmm_pages_free_exact(dma->pages, *out, bytes);
	}
	return false;
}

static bool take_frames(struct tmm_device *device, uint64_t nr_pages, tmm_gfp gfp, tmm_pfn *out)
{
	struct tmm_dma *dma = device->dma;

	if (!tmm_port_allow("dma_alloc_coherent"))
		return false;
	if (gfp & TMM_GFP_DIRECT_RECLAIM && nr_pages > 1 &&
	    take_contiguous(device, nr_pages, out))
		return true;
	if (take_run(device, nr_pages, gfp, out))
		return true;
	if (gfp & TMM_GFP_DIRECT_RECLAIM ||
	    !atomic_pool_alloc(dma, device->coherent_mask, nr_pages, &out->v))
		return false;
	dma_count(&dma->counts.from_pool, 1);
	return true;
}

static void give_frames(struct tmm_dma *dma, tmm_pfn pfn, uint64_t nr_pages)
{
	struct tmm_cma *area = area_with(dma, pfn.v);

	if (area)
		tmm_cma_release(area, pfn, nr_pages);
	else if (!atomic_pool_free(dma, pfn.v, nr_pages))
		tmm_pages_free_exact(dma->pages, pfn, nr_pages << TMM_PAGE_SHIFT);
}

void *tmm_dma_alloc_coherent(struct tmm_device *device, uint64_t size_bytes,
                             tmm_dma_addr *out_addr, tmm_gfp gfp)
{
	const uint64_t nr_pages = (size_bytes + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT;
	const tmm_gfp zones = TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE |
	                      TMM_GFP_ZERO;
	struct tmm_dma *dma = device->dma;
	struct dma_call call = {.device = device,
	                        .bytes = size_bytes,
	                        .type = DMA_COHERENT,
	                        .site = __builtin_return_address(0)};
	void *memory;
	tmm_pfn pfn;

	if (!size_bytes || !take_frames(device, nr_pages, gfp & ~zones, &pfn))
		return NULL;
	memory = tmm_page_address(dma->pages, pfn);
	memset(memory, 0, nr_pages << TMM_PAGE_SHIFT);
	dma_count(&device->nr_coherent, 1);
	dma_count(&dma->counts.coherent_bytes, nr_pages << TMM_PAGE_SHIFT);
	call.addr = pfn.v << TMM_PAGE_SHIFT;
	debug_map(&call, call.addr, memory, 0);
	out_addr->v = call.addr;
	return memory;
}

void tmm_dma_free_coherent(struct tmm_device *device, uint64_t size_bytes, void *memory,
                           tmm_dma_addr addr)
{
	const uint64_t nr_pages = (size_bytes + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT;
	const struct dma_call call = {.device = device,
	                              .addr = addr.v,
	                              .bytes = size_bytes,
	                              .type = DMA_COHERENT,
	                              .site = __builtin_return_address(0)};
	struct tmm_dma *dma = device->dma;
	bool memory_is_at_addr;

	if (!memory)
		return;
	debug_unmap(&call, memory, 0);
	memory_is_at_addr = tmm_virt_to_pfn(dma->pages, memory).v == addr.v >> TMM_PAGE_SHIFT;
	TMM_ASSERT(memory_is_at_addr);
	dma_uncount(&device->nr_coherent, 1);
	dma_uncount(&dma->counts.coherent_bytes, nr_pages << TMM_PAGE_SHIFT);
	give_frames(dma, (tmm_pfn){addr.v >> TMM_PAGE_SHIFT}, nr_pages);
}

/* ---- what devices do by themselves ---- */

static tmm_err device_access(struct tmm_device *device, tmm_dma_addr addr, uint64_t bytes,
                             bool is_write, const void *site)
{
	const struct dma_call call = {
		.device = device, .addr = addr.v, .bytes = bytes, .site = site};

	if (!bytes)
		return TMM_OK;
	if (!mask_reaches(max_u64(device->dma_mask, device->coherent_mask), addr.v, bytes))
		return TMM_E_RANGE;
	debug_device_access(&call, is_write);
	return TMM_OK;
}

tmm_err tmm_dma_device_read(struct tmm_device *device, tmm_dma_addr from, void *to,
                            uint64_t bytes)
{
	tmm_err err = device_access(device, from, bytes, false, __builtin_return_address(0));

	return err == TMM_OK
	               ? tmm_bus_copy_from(device->dma->bus, to, (tmm_paddr){from.v}, bytes)
	               : err;
}

tmm_err tmm_dma_device_write(struct tmm_device *device, tmm_dma_addr to, const void *from,
                             uint64_t bytes)
{
	tmm_err err = device_access(device, to, bytes, true, __builtin_return_address(0));

	return err == TMM_OK ? tmm_bus_copy_to(device->dma->bus, (tmm_paddr){to.v}, from, bytes)
	                     : err;
}
