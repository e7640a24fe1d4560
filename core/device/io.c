/*
 * io.c - accesses through mappings of devices
 *
 * As the processor does it: the entries say which physical address a pointer means,
 * and the bus knows what answers there.
 */
#include "device/io.h"

#include "base/print.h"

_Noreturn static void report_unmapped(struct tmm_io *io, const void *pointer, tmm_vaddr va)
{
	struct print_text text;
	struct printer printer;

	print_text_begin(&printer, &text, io->report, sizeof(io->report));
	print(&printer, "an address of a device is mapped: pointer 0x%lx, address 0x%016lx",
	      (uint64_t)(uintptr_t)pointer, va.v);
	print_end(&printer);
	tmm_port_panic(__FILE__, __LINE__, io->report);
}

static tmm_paddr translate(struct tmm_io *io, const void *pointer, unsigned access)
{
	struct tmm_mmu_result walk;
	tmm_vaddr va = {0};

	if (!tmm_kernel_address(io->map, pointer, &va) ||
	    !tmm_kernel_walk(io->map, va, access, &walk))
		report_unmapped(io, pointer, va);
	return walk.pa;
}

static uint64_t read_register(struct tmm_io *io, const void *pointer, unsigned width)
{
	uint64_t value;

	(void)tmm_bus_read(io->bus, translate(io, pointer, TMM_ACCESS_READ), width, &value);
	return value;
}

static void write_register(struct tmm_io *io, void *pointer, unsigned width, uint64_t value)
{
	(void)tmm_bus_write(io->bus, translate(io, pointer, TMM_ACCESS_WRITE), width, value);
}

uint8_t tmm_readb(struct tmm_io *io, const void *pointer)
{
	return (uint8_t)read_register(io, pointer, 1);
}

uint16_t tmm_readw(struct tmm_io *io, const void *pointer)
{
	return (uint16_t)read_register(io, pointer, 2);
}

uint32_t tmm_readl(struct tmm_io *io, const void *pointer)
{
	return (uint32_t)read_register(io, pointer, 4);
}

uint64_t tmm_readq(struct tmm_io *io, const void *pointer)
{
	return read_register(io, pointer, 8);
}

void tmm_writeb(struct tmm_io *io, uint8_t value, void *pointer)
{
	write_register(io, pointer, 1, value);
}

void tmm_writew(struct tmm_io *io, uint16_t value, void *pointer)
{
	write_register(io, pointer, 2, value);
}

void tmm_writel(struct tmm_io *io, uint32_t value, void *pointer)
{
	write_register(io, pointer, 4, value);
}

void tmm_writeq(struct tmm_io *io, uint64_t value, void *pointer)
{
	write_register(io, pointer, 8, value);
}

void tmm_ioread32_rep(struct tmm_io *io, const void *pointer, void *to, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t value = tmm_readl(io, pointer);

		memcpy((char *)to + i * sizeof(value), &value, sizeof(value));
	}
}

void tmm_iowrite32_rep(struct tmm_io *io, void *pointer, const void *from, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t value;

		memcpy(&value, (const char *)from + i * sizeof(value), sizeof(value));
		tmm_writel(io, value, pointer);
	}
}

/* Page by page: the next one may be mapped elsewhere. */
static void copy(struct tmm_io *io, char *at, char *here, uint64_t bytes, bool to_device)
{
	for (uint64_t piece; bytes > 0; bytes -= piece, at += piece, here += piece) {
		tmm_paddr pa = translate(io, at,
		                         to_device ? TMM_ACCESS_WRITE : TMM_ACCESS_READ);

		piece = min_u64(bytes, TMM_PAGE_SIZE - (uintptr_t)at % TMM_PAGE_SIZE);
		if (to_device)
			/* what nothing answers is lost, and logged */
			(void)!tmm_bus_copy_to(io->bus, pa, here, piece);
		else if (tmm_bus_copy_from(io->bus, here, pa, piece) != TMM_OK)
			memset(here, 0xff, piece);
	}
}

void tmm_memcpy_fromio(struct tmm_io *io, void *to, const void *pointer, uint64_t bytes)
{
	/* only read from, in that direction */
	copy(io, (char *)(uintptr_t)pointer, to, bytes, false);
}

void tmm_memcpy_toio(struct tmm_io *io, void *pointer, const void *from, uint64_t bytes)
{
	copy(io, pointer, (char *)(uintptr_t)from, bytes, true);
}
