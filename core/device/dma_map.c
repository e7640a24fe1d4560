/*
 * dma_map.c - streaming mappings
 *
 * Devices see physical addresses, so that a buffer within a device's reach is mapped
 * by naming it.  Else a bounce buffer takes its place; whether an address is in one is
 * seen by the address.
 *
 * Stretches of a scatter list are its entries in order, adjacent ones put together, so
 * that the entries' own addresses are found again by counting bytes.
 */
#include "device/dma_impl.h"

static bool is_bounced(const struct tmm_dma *dma, uint64_t addr)
{
	uint64_t original;

	return bounce_find(dma, addr, &original);
}

/* Does the device have it at its physical address? */
static bool is_direct(const struct tmm_device *device, uint64_t paddr, uint64_t bytes)
{
	return device->dma->mode != TMM_SWIOTLB_FORCE &&
	       mask_reaches(device->dma_mask, paddr, bytes);
}

static void log_overflow(const struct tmm_device *device, uint64_t paddr, uint64_t bytes)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_WARNING);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "%s: DMA addr 0x%016lx+%lu overflow (mask %lx), no bounce buffer\n",
	      device->name, paddr, bytes, device->dma_mask);
	print_end(&printer);
}

static void count_mapped(struct tmm_device *device, unsigned nr)
{
	dma_count(&device->dma->counts.mapped, nr);
	dma_count(&device->nr_mapped, nr);
}

static void count_unmapped(struct tmm_device *device, unsigned nr)
{
	dma_count(&device->dma->counts.unmapped, nr);
	dma_uncount(&device->nr_mapped, nr);
}

/* What became of a request, counted. */
static bool account(struct tmm_device *device, bool mapped)
{
	if (mapped)
		count_mapped(device, 1);
	else
		dma_count(&device->dma->counts.mapping_errors, 1);
	return mapped;
}

/* An address for a physical range; false: it cannot be had. */
static bool place(struct tmm_device *device, uint64_t paddr, uint64_t bytes, uint64_t *out_addr)
{
	bool placed = bytes > 0 && tmm_port_allow("dma_map");

	if (placed && is_direct(device, paddr, bytes)) {
		*out_addr = paddr;
	} else if (placed) {
		placed = device->dma->mode != TMM_SWIOTLB_NONE &&
		         bounce_map(device, paddr, bytes, out_addr);
		if (!placed)
			log_overflow(device, paddr, bytes);
	}
	return placed;
}

/* The address is no more the device's. */
static void release(struct tmm_device *device, uint64_t addr, enum tmm_dma_direction direction)
{
	if (is_bounced(device->dma, addr))
		bounce_unmap(device->dma, addr, direction);
}

static void sync(struct tmm_device *device, uint64_t addr, uint64_t bytes,
                 enum tmm_dma_direction direction, bool to_device)
{
	if (direction == (to_device ? TMM_DMA_FROM_DEVICE : TMM_DMA_TO_DEVICE))
		return;
	if (is_bounced(device->dma, addr))
		bounce_sync(device->dma, addr, bytes, to_device);
}

/* ---- single buffers ---- */

/* site: the public function's caller, which that alone can name. */
static struct dma_call single_call(struct tmm_device *device, tmm_dma_addr addr, uint64_t bytes,
                                   enum tmm_dma_direction direction, const void *site)
{
	return (struct dma_call){.device = device,
	                         .addr = addr.v,
	                         .bytes = bytes,
	                         .type = DMA_SINGLE,
	                         .direction = direction,
	                         .site = site};
}

static tmm_dma_addr map_frame(struct dma_call *call, uint64_t paddr)
{
	if (!account(call->device, place(call->device, paddr, call->bytes, &call->addr)))
		return TMM_DMA_MAPPING_ERROR;
	debug_map(call, paddr, NULL, 0);
	return (tmm_dma_addr){call->addr};
}

/* Is all of it RAM that the direct map shows? */
static bool is_direct_map(const struct tmm_dma *dma, const void *buffer, uint64_t bytes)
{
	const uint64_t at = (uint64_t)((const char *)buffer - (const char *)dma->pages->ram);
	const uint64_t first = at >> TMM_PAGE_SHIFT, last = (at + bytes - 1) >> TMM_PAGE_SHIFT;

	return bytes && (const char *)buffer >= (const char *)dma->pages->ram &&
	       last >= first && last < dma->pages->lowmem_end &&
	       pfn_in_span(dma->pages, first) && pfn_in_span(dma->pages, last) &&
	       pfn_valid(dma->pages, (tmm_pfn){first}) &&
	       pfn_valid(dma->pages, (tmm_pfn){last});
}

tmm_dma_addr tmm_dma_map_single(struct tmm_device *device, void *buffer, uint64_t size_bytes,
                                enum tmm_dma_direction direction)
{
	struct tmm_dma *dma = device->dma;
	struct dma_call call = single_call(device, (tmm_dma_addr){0}, size_bytes, direction,
	                                   __builtin_return_address(0));

	if (!is_direct_map(dma, buffer, size_bytes)) {
		debug_bad_memory(&call, buffer);
		tmm_port_log(LOG_WARNING, "rejecting DMA map of memory outside the direct map");
		dma_count(&dma->counts.mapping_errors, 1);
		return TMM_DMA_MAPPING_ERROR;
	}
	return map_frame(&call, (uint64_t)((char *)buffer - (char *)dma->pages->ram));
}

tmm_dma_addr tmm_dma_map_page(struct tmm_device *device, tmm_pfn pfn, uint64_t offset,
                              uint64_t size_bytes, enum tmm_dma_direction direction)
{
	struct dma_call call = single_call(device, (tmm_dma_addr){0}, size_bytes, direction,
	                                   __builtin_return_address(0));

	return map_frame(&call, (pfn.v << TMM_PAGE_SHIFT) + offset);
}

bool tmm_dma_mapping_error(struct tmm_device *device, tmm_dma_addr addr)
{
	debug_mapping_error(device, addr.v);
	return addr.v == TMM_DMA_MAPPING_ERROR.v;
}

static void unmap_call(const struct dma_call *call)
{
	debug_unmap(call, NULL, 0);
	release(call->device, call->addr, call->direction);
	count_unmapped(call->device, 1);
}

void tmm_dma_unmap_single(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                          enum tmm_dma_direction direction)
{
	const struct dma_call call = single_call(device, addr, size_bytes, direction,
	                                         __builtin_return_address(0));

	unmap_call(&call);
}

void tmm_dma_unmap_page(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                        enum tmm_dma_direction direction)
{
	const struct dma_call call = single_call(device, addr, size_bytes, direction,
	                                         __builtin_return_address(0));

	unmap_call(&call);
}

static void sync_call(const struct dma_call *call, bool to_device)
{
	/* For the device: what the driver wrote is its own; for the CPU: look first. */
	if (to_device)
		sync(call->device, call->addr, call->bytes, call->direction, true);
	debug_sync(call, to_device);
	if (!to_device)
		sync(call->device, call->addr, call->bytes, call->direction, false);
}

void tmm_dma_sync_for_cpu(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                          enum tmm_dma_direction direction)
{
	const struct dma_call call = single_call(device, addr, size_bytes, direction,
	                                         __builtin_return_address(0));

	sync_call(&call, false);
}

void tmm_dma_sync_for_device(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                             enum tmm_dma_direction direction)
{
	const struct dma_call call = single_call(device, addr, size_bytes, direction,
	                                         __builtin_return_address(0));

	sync_call(&call, true);
}

/* ---- registers and memory of other devices ---- */

tmm_dma_addr tmm_dma_map_resource(struct tmm_device *device, tmm_paddr start,
                                  uint64_t size_bytes, enum tmm_dma_direction direction)
{
	struct dma_call call = single_call(device, (tmm_dma_addr){start.v}, size_bytes,
	                                   direction, __builtin_return_address(0));
	bool is_sound = size_bytes && start.v < TMM_PHYS_END &&
	                size_bytes <= TMM_PHYS_END - start.v;
	bool is_ram = is_sound && bus_has_ram(device->dma->bus, start.v, start.v + size_bytes);
	bool reaches = is_sound && mask_reaches(device->dma_mask, start.v, size_bytes);

	call.type = DMA_RESOURCE;
	if (is_ram)
		tmm_port_log(LOG_WARNING, "rejecting DMA map of RAM as a resource");
	else if (is_sound && !reaches)
		log_overflow(device, start.v, size_bytes);
	if (!account(device, reaches && !is_ram && tmm_port_allow("dma_map")))
		return TMM_DMA_MAPPING_ERROR;
	debug_map(&call, start.v, NULL, 0);
	return (tmm_dma_addr){call.addr};
}

void tmm_dma_unmap_resource(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                            enum tmm_dma_direction direction)
{
	struct dma_call call = single_call(device, addr, size_bytes, direction,
	                                   __builtin_return_address(0));

	call.type = DMA_RESOURCE;
	unmap_call(&call);
}

/* ---- scatter lists ---- */

/* Walks entries and the addresses that they were mapped at. */
struct sg_walk {
	struct tmm_sg *entry;   /* whose turn it is */
	struct tmm_sg *stretch; /* that it is in */
	uint64_t used;          /* bytes of the stretch before it */
};

static uint64_t walk_addr(const struct sg_walk *walk)
{
	return walk->stretch->dma_address.v + walk->used;
}

static void walk_step(struct sg_walk *walk)
{
	walk->used += walk->entry->bytes;
	if (walk->used == walk->stretch->dma_bytes) {
		walk->stretch = tmm_sg_next(walk->stretch);
		walk->used = 0;
	}
	walk->entry = tmm_sg_next(walk->entry);
}

/* May bytes at addr continue a stretch that starts at `start`? */
static bool continues(const struct tmm_device *device, const struct tmm_sg *stretch,
                      uint64_t addr, uint64_t bytes)
{
	const uint64_t start = stretch->dma_address.v, sum = stretch->dma_bytes + bytes;

	return start + stretch->dma_bytes == addr && sum <= device->max_segment_bytes &&
	       (start | device->segment_boundary_mask) ==
	               ((start + sum - 1) | device->segment_boundary_mask);
}

static uint64_t sg_paddr(const struct tmm_sg *entry)
{
	return (entry->pfn.v << TMM_PAGE_SHIFT) + entry->offset;
}

static void release_entries(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                            enum tmm_dma_direction direction)
{
	struct sg_walk walk = {.entry = list, .stretch = list};

	for (unsigned i = 0; i < nr; i++, walk_step(&walk))
		release(device, walk_addr(&walk), direction);
}

static struct dma_call sg_call(struct tmm_device *device, const struct sg_walk *walk,
                               enum tmm_dma_direction direction, const void *site)
{
	struct dma_call call = single_call(device, (tmm_dma_addr){walk_addr(walk)},
	                                   walk->entry->bytes, direction, site);

	call.type = DMA_SG;
	return call;
}

static void debug_map_sg(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                         enum tmm_dma_direction direction, const void *site)
{
	struct sg_walk walk = {.entry = list, .stretch = list};

	for (unsigned i = 0; device->dma->has_debug && i < nr; i++, walk_step(&walk)) {
		struct dma_call call = sg_call(device, &walk, direction, site);

		debug_map(&call, sg_paddr(walk.entry), NULL, nr);
	}
}

unsigned tmm_dma_map_sg(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                        enum tmm_dma_direction direction)
{
	struct tmm_sg *entry = list, *stretch = NULL;
	unsigned nr_stretches = 0;

	for (unsigned i = 0; i < nr; i++, entry = tmm_sg_next(entry)) {
		uint64_t addr;

		if (!entry || !place(device, sg_paddr(entry), entry->bytes, &addr)) {
			release_entries(device, list, i, direction);
			(void)account(device, false);
			return 0;
		}
		if (stretch && continues(device, stretch, addr, entry->bytes)) {
			stretch->dma_bytes += entry->bytes;
			continue;
		}
		stretch = stretch ? tmm_sg_next(stretch) : list;
		stretch->dma_address.v = addr;
		stretch->dma_bytes = entry->bytes;
		nr_stretches++;
	}
	count_mapped(device, nr);
	debug_map_sg(device, list, nr, direction, __builtin_return_address(0));
	return nr_stretches;
}

void tmm_dma_unmap_sg(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                      enum tmm_dma_direction direction)
{
	struct sg_walk walk = {.entry = list, .stretch = list};

	for (unsigned i = 0; device->dma->has_debug && i < nr; i++, walk_step(&walk)) {
		struct dma_call call = sg_call(device, &walk, direction,
		                               __builtin_return_address(0));

		debug_unmap(&call, NULL, nr);
	}
	release_entries(device, list, nr, direction);
	count_unmapped(device, nr);
}

static void sync_sg(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                    enum tmm_dma_direction direction, bool to_device, const void *site)
{
	struct sg_walk walk = {.entry = list, .stretch = list};

	for (unsigned i = 0; i < nr; i++, walk_step(&walk)) {
		struct dma_call call = sg_call(device, &walk, direction, site);

		sync_call(&call, to_device);
	}
}

void tmm_dma_sync_sg_for_cpu(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                             enum tmm_dma_direction direction)
{
	sync_sg(device, list, nr, direction, false, __builtin_return_address(0));
}

void tmm_dma_sync_sg_for_device(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                                enum tmm_dma_direction direction)
{
	sync_sg(device, list, nr, direction, true, __builtin_return_address(0));
}

/* ---- shared buffers ---- */

void tmm_dma_buffer_attach(struct tmm_cma_buffer *buffer, struct tmm_device *device,
                           struct tmm_dma_attachment *out)
{
	(void)tmm_cma_buffer_attach(buffer);
	*out = (struct tmm_dma_attachment){.device = device, .buffer = buffer};
}

tmm_err tmm_dma_buffer_map(struct tmm_dma_attachment *attachment,
                           enum tmm_dma_direction direction)
{
	const struct tmm_cma_buffer *buffer = attachment->buffer;
	struct tmm_device *device = attachment->device;
	const uint64_t bytes = buffer->nr_pages << TMM_PAGE_SHIFT;
	/* An entry is as long as the device's segments, and as one bounce buffer. */
	const uint64_t most = min_u64(max_u64(device->max_segment_bytes, TMM_PAGE_SIZE),
	                              SEGMENT_BYTES / 2);
	const uint64_t part = align_down(most, TMM_PAGE_SIZE);
	struct tmm_sg *entry;
	tmm_err err;

	TMM_ASSERT(!attachment->nr_mapped && "an attachment is mapped once");
	err = tmm_sg_table_alloc(&attachment->table, device->dma->slabs,
	                         (unsigned)((bytes + part - 1) / part), TMM_GFP_KERNEL);
	if (err != TMM_OK)
		return err;
	entry = attachment->table.list;
	for (uint64_t at = 0; at < bytes; at += part, entry = tmm_sg_next(entry))
		tmm_sg_set_page(entry, (tmm_pfn){buffer->pfn.v + (at >> TMM_PAGE_SHIFT)},
		                min_u64(part, bytes - at), 0);
	attachment->direction = direction;
	attachment->nr_mapped = tmm_dma_map_sg(device, attachment->table.list,
	                                       attachment->table.nr, direction);
	if (attachment->nr_mapped)
		return TMM_OK;
	tmm_sg_table_free(&attachment->table);
	return TMM_E_IO;
}

void tmm_dma_buffer_unmap(struct tmm_dma_attachment *attachment)
{
	TMM_ASSERT(attachment->nr_mapped && "what is unmapped is mapped");
	tmm_dma_unmap_sg(attachment->device, attachment->table.list, attachment->table.nr,
	                 attachment->direction);
	tmm_sg_table_free(&attachment->table);
	attachment->nr_mapped = 0;
}

bool tmm_dma_buffer_detach(struct tmm_dma_attachment *attachment)
{
	TMM_ASSERT(!attachment->nr_mapped && "a mapped attachment is not detached");
	return tmm_cma_buffer_detach(attachment->buffer);
}
