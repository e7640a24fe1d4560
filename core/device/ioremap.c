/*
 * ioremap.c - mapping what is not RAM in use
 *
 *   check      no page of it is RAM that the page allocator has
 *   reserve    a memtype: the way of caching, the same as that of others
 *   area       addresses of the vmalloc window
 *   map        entries; and bytes, where the bus says that there is memory
 *
 * and in reverse.  A mapping and its memtype are one record, found by address.
 *   I1  memtypes are sorted by start
 *   I2  memtypes that overlap have the same mode
 */
#include <tuxmm/vmalloc.h>

#include "base/print.h"
#include "device/io.h"
#include "page/zone.h"

static const char *const mode_name[] = {
	[TMM_CACHE_WB] = "write-back",           [TMM_CACHE_WC] = "write-combining",
	[TMM_CACHE_UC_MINUS] = "uncached-minus", [TMM_CACHE_UC] = "uncached",
	[TMM_CACHE_WT] = "write-through",
};

void io_init(struct tmm_io *io, struct tmm_bus *bus, struct tmm_kernel_map *map,
             struct tmm_slab_system *slabs)
{
	*io = (struct tmm_io){.bus = bus, .map = map, .slabs = slabs};
	lock_init(&io->lock, RANK_DEVICE);
}

void io_fini(struct tmm_io *io)
{
	TMM_ASSERT(!io->memtypes && "every mapping of a device is unmapped");
}

static void log_range(const char *what, uint64_t start, uint64_t end, const char *more)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_WARNING);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "%s [mem 0x%016lx-0x%016lx]%s\n", what, start, end - 1, more);
	print_end(&printer);
}

/* ---- ways of caching ---- */

/* May who asked for one way live with the other?  Never with more caching. */
static bool is_allowed(enum tmm_cache_mode asked, enum tmm_cache_mode is)
{
	if (asked == TMM_CACHE_UC)
		return is == TMM_CACHE_UC;
	if (asked == TMM_CACHE_WT && is == TMM_CACHE_WC)
		return false;
	return asked == TMM_CACHE_WB || is != TMM_CACHE_WB;
}

/* How those are cached that overlap; *mode stays where none does.  False: in several ways. */
static bool agree(const struct tmm_io *io, const struct memtype *type,
                  enum tmm_cache_mode *mode) TMM_REQUIRES(io->lock)
{
	const struct memtype *first = NULL;

	for (const struct memtype *at = io->memtypes; at && at->start < type->end;
	     at = at->next) {
		if (at->end <= type->start)
			continue;
		if (first && at->mode != first->mode)
			return false;
		first = at;
		*mode = at->mode;
	}
	return true;
}

/* The record is listed, its mode what others have; false: that cannot be. */
static bool memtype_reserve(struct tmm_io *io, struct memtype *type)
{
	const enum tmm_cache_mode asked = type->mode;
	tmm_irq irq = lock_take_irqsave(&io->lock);
	struct memtype **link = &io->memtypes;
	enum tmm_cache_mode is = asked;
	bool granted = agree(io, type, &is) && is_allowed(asked, is);

	if (granted) {
		type->mode = is;
		while (*link && (*link)->start <= type->start)
			link = &(*link)->next;
		type->next = *link;
		*link = type;
	}
	lock_drop_irqrestore(&io->lock, irq);
	if (!granted)
		log_range("x86/PAT: conflicting memory types", type->start, type->end,
		          mode_name[asked]);
	return granted;
}

static void memtype_free(struct tmm_io *io, struct memtype *type)
{
	tmm_irq irq = lock_take_irqsave(&io->lock);
	struct memtype **link = &io->memtypes;

	while (*link != type)
		link = &(*link)->next;
	*link = type->next;
	lock_drop_irqrestore(&io->lock, irq);
	tmm_kfree(io->slabs, type);
}

/* The record of the mapping that a pointer is in; start of its page, or within. */
static struct memtype *memtype_of(struct tmm_io *io, const void *pointer)
{
	tmm_irq irq = lock_take_irqsave(&io->lock);
	struct memtype *at = io->memtypes;

	while (at && (uint64_t)((const char *)pointer - (const char *)at->pointer) >=
	                     at->end - at->start)
		at = at->next;
	lock_drop_irqrestore(&io->lock, irq);
	return at;
}

bool tmm_ioremap_mode(struct tmm_io *io, const void *pointer, enum tmm_cache_mode *out_mode)
{
	const struct memtype *type = memtype_of(io, pointer);

	if (type)
		*out_mode = type->mode;
	return type != NULL;
}

/* The nth of the list, copied: a sink may call anything. */
static bool memtype_nth(struct tmm_io *io, uint64_t nth, struct memtype *out)
{
	tmm_irq irq = lock_take_irqsave(&io->lock);
	const struct memtype *at = io->memtypes;

	while (at && nth-- > 0)
		at = at->next;
	if (at)
		*out = *at;
	lock_drop_irqrestore(&io->lock, irq);
	return at != NULL;
}

void tmm_memtype_show(struct tmm_io *io, const struct tmm_sink *sink)
{
	struct printer printer;
	struct memtype type;

	print_begin(&printer, sink);
	print(&printer, "PAT memtype list:\n");
	for (uint64_t nth = 0; memtype_nth(io, nth, &type); nth++)
		print(&printer, "PAT: [mem 0x%016lx-0x%016lx] %s\n", type.start, type.end,
		      mode_name[type.mode]);
	print_end(&printer);
}

/* ---- mapping ---- */

/* Are the bytes there, to be shown behind the pointer? */
static bool is_memory(struct tmm_io *io, uint64_t start, uint64_t bytes)
{
	enum tmm_bus_target target = tmm_bus_target(io->bus, (tmm_paddr){start}, bytes);

	return target == TMM_BUS_DEVICE_MEMORY || target == TMM_BUS_UNUSED_RAM;
}

static unsigned prot_of(enum tmm_cache_mode mode, bool has_memory)
{
	static const unsigned caching[] = {
		[TMM_CACHE_WB] = 0,
		[TMM_CACHE_WC] = TMM_KPROT_WC,
		[TMM_CACHE_UC_MINUS] = TMM_KPROT_UC_MINUS,
		[TMM_CACHE_UC] = TMM_KPROT_UC,
		[TMM_CACHE_WT] = TMM_KPROT_WT,
	};

	return TMM_KPROT_KERNEL | TMM_KPROT_HUGE | caching[mode] |
	       (has_memory ? 0 : TMM_KPROT_IO);
}

/* Addresses and entries for a reserved range; NULL: none are to be had. */
static char *map_range(struct tmm_io *io, const struct memtype *type, bool has_memory)
{
	const uint64_t bytes = type->end - type->start;
	/* Where large pages may do, addresses are to be as aligned as the range is. */
	const uint64_t large = UINT64_C(1) << 21;
	const uint64_t align = bytes >= large && type->start % large == 0 ? large : 0;
	tmm_vaddr va;
	char *area = tmm_vm_area_get(io->map, bytes, align, TMM_VM_IOREMAP,
	                             (tmm_paddr){type->start}, TMM_GFP_KERNEL);

	if (!area)
		return NULL;
	if (tmm_kernel_address(io->map, area, &va) &&
	    tmm_vmap_range(io->map, va, (tmm_paddr){type->start}, bytes,
	                   prot_of(type->mode, has_memory), TMM_GFP_KERNEL) == TMM_OK)
		return area;
	tmm_vm_area_put(io->map, area);
	return NULL;
}

static void *remap(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes,
                   enum tmm_cache_mode mode)
{
	const uint64_t end = start.v + size_bytes;
	const uint64_t first = align_down(start.v, TMM_PAGE_SIZE);
	const uint64_t last = align_up(end, TMM_PAGE_SIZE);
	struct memtype *type;
	char *area;

	if (!size_bytes || end < start.v || end > TMM_PHYS_END) {
		log_range("ioremap: invalid physical address", start.v, end, "");
		return NULL;
	}
	if (bus_has_ram(io->bus, first, last)) {
		log_range("ioremap on RAM at", start.v, end, "");
		return NULL;
	}
	type = tmm_port_allow("ioremap") ? tmm_kzalloc(io->slabs, sizeof(*type), TMM_GFP_KERNEL)
	                                 : NULL;
	if (!type)
		return NULL;
	*type = (struct memtype){.start = first, .end = last, .mode = mode};
	if (!memtype_reserve(io, type)) {
		tmm_kfree(io->slabs, type);
		return NULL;
	}
	area = map_range(io, type, is_memory(io, start.v, size_bytes));
	if (!area) {
		log_range("ioremap: no room for", start.v, end, "");
		memtype_free(io, type);
		return NULL;
	}
	lock_take(&io->lock);
	type->pointer = area;
	lock_drop(&io->lock);
	return area + (start.v - first);
}

void *tmm_ioremap(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes)
{
	return remap(io, start, size_bytes, TMM_CACHE_UC_MINUS);
}

void *tmm_ioremap_uc(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes)
{
	return remap(io, start, size_bytes, TMM_CACHE_UC);
}

void *tmm_ioremap_wc(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes)
{
	return remap(io, start, size_bytes, TMM_CACHE_WC);
}

void *tmm_ioremap_wt(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes)
{
	return remap(io, start, size_bytes, TMM_CACHE_WT);
}

void *tmm_ioremap_cache(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes)
{
	return remap(io, start, size_bytes, TMM_CACHE_WB);
}

void tmm_iounmap(struct tmm_io *io, void *pointer)
{
	struct memtype *type = pointer ? memtype_of(io, pointer) : NULL;
	const void *area;

	if (!pointer)
		return;
	TMM_ASSERT(type && "what is unmapped was mapped by ioremap");
	area = type->pointer;
	tmm_vm_area_put(io->map, area);
	memtype_free(io, type);
}

/* ---- memremap ---- */

static bool is_direct(const struct tmm_io *io, uint64_t start, uint64_t bytes)
{
	const uint64_t first = start >> TMM_PAGE_SHIFT;
	const uint64_t last = (start + bytes - 1) >> TMM_PAGE_SHIFT;

	return bytes && last >= first && last < io->bus->pages->lowmem_end &&
	       run_is_ram(io->bus->pages, first, last - first + 1);
}

void *tmm_memremap(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes,
                   enum tmm_cache_mode mode)
{
	if (mode == TMM_CACHE_WB && is_direct(io, start.v, size_bytes))
		return (char *)io->bus->pages->ram + start.v;
	return remap(io, start, size_bytes, mode);
}

void tmm_memunmap(struct tmm_io *io, void *pointer)
{
	if (tmm_is_vmalloc_addr(io->map, pointer))
		tmm_iounmap(io, pointer);
}
