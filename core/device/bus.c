/*
 * bus.c - accesses to physical addresses
 *
 * An access first finds out what answers, under the lock, and then goes there without
 * it, for a register's function may attach, detach, map or access others.  Blocks are
 * few, so that a chain in rising order will do.
 *   I1  blocks are sorted and do not overlap
 */
#include "device/bus.h"

#include "base/print.h"
#include "page/zone.h"

#define ALL_WIDTHS (1u | 2u | 4u | 8u)

struct target {
	enum tmm_bus_target is;
	uint64_t end; /* of what answers alike */
	struct tmm_bus_block block;
};

void bus_init(struct tmm_bus *bus, struct tmm_pages *pages, const struct tmm_iomem *iomem,
              uint64_t backed_end)
{
	*bus = (struct tmm_bus){
		.pages = pages, .iomem = iomem, .end = TMM_PHYS_END, .backed_end = backed_end};
	lock_init(&bus->lock, RANK_DEVICE);
}

void bus_init_ports(struct tmm_bus *bus, uint64_t nr_ports)
{
	*bus = (struct tmm_bus){.end = nr_ports};
	lock_init(&bus->lock, RANK_DEVICE);
}

void bus_fini(struct tmm_bus *bus)
{
	TMM_ASSERT(!bus->blocks && "every block is detached before the machine ends");
}

/* The place in the chain of a block from `start` on. */
static struct tmm_bus_block **link_at(struct tmm_bus *bus, uint64_t start)
	TMM_REQUIRES(bus->lock)
{
	struct tmm_bus_block **link = &bus->blocks;

	while (*link && (*link)->start.v + (*link)->size_bytes <= start)
		link = &(*link)->next;
	return link;
}

static bool is_ram(const struct tmm_bus *bus, uint64_t at)
{
	return bus->pages && run_is_ram(bus->pages, at >> TMM_PAGE_SHIFT, 1);
}

static bool is_unused_ram(const struct tmm_bus *bus, uint64_t start, uint64_t end)
{
	return bus->iomem && iomem_is_unused_ram(bus->iomem, start, end);
}

bool bus_has_ram(const struct tmm_bus *bus, uint64_t start, uint64_t end)
{
	for (uint64_t at = align_down(start, TMM_PAGE_SIZE); at < end; at += TMM_PAGE_SIZE)
		if (is_ram(bus, at))
			return true;
	return false;
}

/* What answers at `at`, and up to where; at most `end`. */
static struct target target_at(struct tmm_bus *bus, uint64_t at, uint64_t end)
{
	struct target target = {.is = TMM_BUS_NOTHING, .end = end};
	tmm_irq irq = lock_take_irqsave(&bus->lock);
	const struct tmm_bus_block *block = *link_at(bus, at);

	if (block && block->start.v <= at) {
		target.is = block->ops ? TMM_BUS_REGISTERS : TMM_BUS_DEVICE_MEMORY;
		target.end = min_u64(end, block->start.v + block->size_bytes);
		target.block = *block;
	} else if (block) {
		target.end = min_u64(end, block->start.v);
	}
	lock_drop_irqrestore(&bus->lock, irq);
	if (target.is != TMM_BUS_NOTHING)
		return target;
	/* RAM page by page: it may have holes. */
	target.end = min_u64(target.end, align_down(at, TMM_PAGE_SIZE) + TMM_PAGE_SIZE);
	if (is_ram(bus, at))
		target.is = TMM_BUS_RAM;
	else if (is_unused_ram(bus, at, target.end))
		target.is = TMM_BUS_UNUSED_RAM;
	return target;
}

enum tmm_bus_target tmm_bus_target(struct tmm_bus *bus, tmm_paddr start, uint64_t size_bytes)
{
	const uint64_t end = start.v + size_bytes;
	struct target first, next;

	if (!size_bytes || end < start.v || end > bus->end)
		return TMM_BUS_NOTHING;
	first = target_at(bus, start.v, end);
	for (uint64_t at = first.end; at < end; at = next.end) {
		next = target_at(bus, at, end);
		if (next.is != first.is || next.block.start.v != first.block.start.v)
			return TMM_BUS_NOTHING;
	}
	return first.is;
}

tmm_err tmm_bus_attach(struct tmm_bus *bus, struct tmm_bus_block *block)
{
	const uint64_t start = block->start.v, end = start + block->size_bytes;
	struct tmm_bus_block **link;
	bool is_free;
	tmm_irq irq;

	if (!block->size_bytes || end < start || end > bus->end ||
	    (block->ops ? !(block->widths & ALL_WIDTHS) : end > bus->backed_end))
		return TMM_E_INVAL;
	for (uint64_t at = align_down(start, TMM_PAGE_SIZE); at < end; at += TMM_PAGE_SIZE)
		if (is_ram(bus, at) ||
		    is_unused_ram(bus, max_u64(at, start), min_u64(at + TMM_PAGE_SIZE, end)))
			return TMM_E_EXIST;
	irq = lock_take_irqsave(&bus->lock);
	link = link_at(bus, start);
	is_free = !*link || (*link)->start.v >= end;
	if (is_free) {
		block->next = *link;
		*link = block;
	}
	lock_drop_irqrestore(&bus->lock, irq);
	return is_free ? TMM_OK : TMM_E_EXIST;
}

void tmm_bus_detach(struct tmm_bus *bus, struct tmm_bus_block *block)
{
	tmm_irq irq = lock_take_irqsave(&bus->lock);
	struct tmm_bus_block **link = link_at(bus, block->start.v);

	TMM_ASSERT(*link == block && "a block that is detached is attached");
	*link = block->next;
	block->next = NULL;
	lock_drop_irqrestore(&bus->lock, irq);
}

/* ---- memory ---- */

/* High memory is RAM; memory of a device is where the port has it. */
static bool needs_map(const struct tmm_pages *pages, uint64_t pfn)
{
	return pfn >= pages->lowmem_end && pfn_in_span(pages, pfn);
}

/* At most a page, and the bytes up to its end. */
static char *memory_map(const struct tmm_pages *pages, uint64_t at, uint64_t left,
                        uint64_t *out_bytes)
{
	const uint64_t pfn = at >> TMM_PAGE_SHIFT, in = at & (TMM_PAGE_SIZE - 1);

	*out_bytes = min_u64(left, TMM_PAGE_SIZE - in);
	if (needs_map(pages, pfn))
		return (char *)page_map_local(pages, (tmm_pfn){pfn}) + in;
	return (char *)pages->ram + at;
}

static void memory_unmap(const struct tmm_pages *pages, uint64_t at, const void *address)
{
	if (needs_map(pages, at >> TMM_PAGE_SHIFT))
		page_unmap_local(pages, address);
}

void memory_read(const struct tmm_pages *pages, void *to, uint64_t from, uint64_t bytes)
{
	char *here = to;

	for (uint64_t piece; bytes > 0; bytes -= piece, from += piece, here += piece) {
		const char *there = memory_map(pages, from, bytes, &piece);

		memcpy(here, there, piece);
		memory_unmap(pages, from, there);
	}
}

void memory_write(const struct tmm_pages *pages, uint64_t to, const void *from, uint64_t bytes)
{
	const char *here = from;

	for (uint64_t piece; bytes > 0; bytes -= piece, to += piece, here += piece) {
		char *there = memory_map(pages, to, bytes, &piece);

		memcpy(there, here, piece);
		memory_unmap(pages, to, there);
	}
}

/* ---- accesses ---- */

/* relaxed: a count of nothing else */
static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static tmm_err refuse(struct tmm_bus *bus, tmm_err err, const char *what, uint64_t at,
                      uint64_t bytes)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_WARNING);
	struct printer printer;

	count(err == TMM_E_FAULT ? &bus->counts.faults : &bus->counts.misaligned);
	print_begin(&printer, &sink);
	print(&printer, "bus: %s: 0x%08lx, %lu bytes\n", what, at, bytes);
	print_end(&printer);
	return err;
}

static tmm_err check_width(struct tmm_bus *bus, const struct target *target, uint64_t at,
                           unsigned width)
{
	if (!is_power_of_two(width) || width > 8 || at % width)
		return refuse(bus, TMM_E_INVAL, "an access is as aligned as it is wide", at,
		              width);
	if (target->is == TMM_BUS_NOTHING || target->end < at + width)
		return refuse(bus, TMM_E_FAULT, "nothing answers", at, width);
	if (target->is == TMM_BUS_REGISTERS && !(target->block.widths & width))
		return refuse(bus, TMM_E_INVAL, "no register of that width", at, width);
	return TMM_OK;
}

static uint64_t ones(unsigned width)
{
	return width < 8 ? (UINT64_C(1) << (8 * width)) - 1 : UINT64_MAX;
}

tmm_err tmm_bus_read(struct tmm_bus *bus, tmm_paddr at, unsigned width_bytes,
                     uint64_t *out_value)
{
	const struct target target = target_at(bus, at.v, at.v + width_bytes);
	tmm_err err = check_width(bus, &target, at.v, width_bytes);

	*out_value = ones(width_bytes);
	if (err != TMM_OK)
		return err;
	if (target.is == TMM_BUS_REGISTERS) {
		count(&bus->counts.reads);
		*out_value &= target.block.ops->read(target.block.arg,
		                                     at.v - target.block.start.v, width_bytes);
	} else {
		*out_value = 0; /* little endian, as x86 is */
		memory_read(bus->pages, out_value, at.v, width_bytes);
	}
	return TMM_OK;
}

tmm_err tmm_bus_write(struct tmm_bus *bus, tmm_paddr at, unsigned width_bytes, uint64_t value)
{
	const struct target target = target_at(bus, at.v, at.v + width_bytes);
	tmm_err err = check_width(bus, &target, at.v, width_bytes);

	if (err != TMM_OK)
		return err;
	if (target.is == TMM_BUS_REGISTERS) {
		count(&bus->counts.writes);
		target.block.ops->write(target.block.arg, at.v - target.block.start.v,
		                        value & ones(width_bytes), width_bytes);
	} else {
		memory_write(bus->pages, at.v, &value, width_bytes);
	}
	return TMM_OK;
}

/* The widest access to registers that starts at `at` and does not pass `end`. */
static unsigned widest(const struct target *target, uint64_t at, uint64_t end)
{
	for (unsigned width = 8; width > 1; width /= 2)
		if (target->block.widths & width && at % width == 0 && end - at >= width)
			return width;
	return 1;
}

/* One piece of a copy: of memory up to where that ends, or one register. */
static tmm_err copy_piece(struct tmm_bus *bus, char *here, uint64_t at, uint64_t end,
                          bool to_bus, uint64_t *out_bytes)
{
	const struct target target = target_at(bus, at, end);
	uint64_t value = 0, bytes = target.end - at;
	tmm_err err;

	*out_bytes = 0;
	if (target.is == TMM_BUS_NOTHING)
		return refuse(bus, TMM_E_FAULT, "nothing answers", at, end - at);
	if (target.is == TMM_BUS_REGISTERS)
		bytes = widest(&target, at, target.end);
	*out_bytes = bytes;
	if (target.is != TMM_BUS_REGISTERS) {
		if (to_bus)
			memory_write(bus->pages, at, here, bytes);
		else
			memory_read(bus->pages, here, at, bytes);
		return TMM_OK;
	}
	if (to_bus) {
		memcpy(&value, here, bytes);
		return tmm_bus_write(bus, (tmm_paddr){at}, (unsigned)bytes, value);
	}
	err = tmm_bus_read(bus, (tmm_paddr){at}, (unsigned)bytes, &value);
	memcpy(here, &value, bytes);
	return err;
}

static tmm_err copy(struct tmm_bus *bus, char *here, uint64_t at, uint64_t bytes, bool to_bus)
{
	const uint64_t end = at + bytes;
	tmm_err err = TMM_OK;
	uint64_t piece;

	if (end < at || end > bus->end)
		return refuse(bus, TMM_E_FAULT, "nothing answers", at, bytes);
	for (; err == TMM_OK && at < end; at += piece, here += piece)
		err = copy_piece(bus, here, at, end, to_bus, &piece);
	return err;
}

tmm_err tmm_bus_copy_from(struct tmm_bus *bus, void *to, tmm_paddr from, uint64_t bytes)
{
	return copy(bus, to, from.v, bytes, false);
}

tmm_err tmm_bus_copy_to(struct tmm_bus *bus, tmm_paddr to, const void *from, uint64_t bytes)
{
	/* only read from, in that direction */
	return copy(bus, (char *)(uintptr_t)from, to.v, bytes, true);
}

void tmm_bus_counts(const struct tmm_bus *bus, struct tmm_bus_counts *out)
{
	/* relaxed: a moment's values */
	out->reads = __atomic_load_n(&bus->counts.reads, __ATOMIC_RELAXED);
	out->writes = __atomic_load_n(&bus->counts.writes, __ATOMIC_RELAXED);
	out->faults = __atomic_load_n(&bus->counts.faults, __ATOMIC_RELAXED);
	out->misaligned = __atomic_load_n(&bus->counts.misaligned, __ATOMIC_RELAXED);
}
