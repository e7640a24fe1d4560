/*
 * io.h - device memory and registers at kernel addresses
 *
 * Registers are reached with readl() and its sisters alone: behind a pointer of
 * ioremap() is nothing, and touching it faults.  Ports are those of the machine; the host's
 * <sys/io.h> has the same names.
 */
#ifndef TUXMM_LINUX_IO_H
#define TUXMM_LINUX_IO_H

#include <tuxmm/ioremap.h>
#include <tuxmm/linux/mm.h>

#define __iomem /* for the checker of Linux's source */

enum { MEMREMAP_WB = 1 << 0, MEMREMAP_WT = 1 << 1, MEMREMAP_WC = 1 << 2 };

TMM_LINUX_CALL void __iomem *ioremap(phys_addr_t offset, size_t size)
{
	return tmm_ioremap(tmm_linux.io, (tmm_paddr){offset}, size);
}

TMM_LINUX_CALL void __iomem *ioremap_uc(phys_addr_t offset, size_t size)
{
	return tmm_ioremap_uc(tmm_linux.io, (tmm_paddr){offset}, size);
}

TMM_LINUX_CALL void __iomem *ioremap_wc(phys_addr_t offset, size_t size)
{
	return tmm_ioremap_wc(tmm_linux.io, (tmm_paddr){offset}, size);
}

TMM_LINUX_CALL void __iomem *ioremap_wt(phys_addr_t offset, size_t size)
{
	return tmm_ioremap_wt(tmm_linux.io, (tmm_paddr){offset}, size);
}

TMM_LINUX_CALL void __iomem *ioremap_cache(phys_addr_t offset, unsigned long size)
{
	return tmm_ioremap_cache(tmm_linux.io, (tmm_paddr){offset}, size);
}

TMM_LINUX_CALL void iounmap(const volatile void __iomem *addr)
{
	tmm_iounmap(tmm_linux.io, (void *)(uintptr_t)addr);
}

/* The first way of `flags` that can be had: WB, WT, WC.  NULL: none. */
static inline void *memremap(resource_size_t offset, size_t size, unsigned long flags)
{
	const tmm_paddr start = {offset};
	void *addr = NULL;

	if (flags & MEMREMAP_WB)
		addr = tmm_memremap(tmm_linux.io, start, size, TMM_CACHE_WB);
	if (!addr && flags & MEMREMAP_WT)
		addr = tmm_memremap(tmm_linux.io, start, size, TMM_CACHE_WT);
	if (!addr && flags & MEMREMAP_WC)
		addr = tmm_memremap(tmm_linux.io, start, size, TMM_CACHE_WC);
	return addr;
}

TMM_LINUX_CALL void memunmap(void *addr)
{
	tmm_memunmap(tmm_linux.io, addr);
}

/* ---- registers ---- */

TMM_LINUX_CALL u8 readb(const volatile void __iomem *addr)
{
	return tmm_readb(tmm_linux.io, (const void *)(uintptr_t)addr);
}

TMM_LINUX_CALL void writeb(u8 value, volatile void __iomem *addr)
{
	tmm_writeb(tmm_linux.io, value, (void *)(uintptr_t)addr);
}

TMM_LINUX_CALL u16 readw(const volatile void __iomem *addr)
{
	return tmm_readw(tmm_linux.io, (const void *)(uintptr_t)addr);
}

TMM_LINUX_CALL void writew(u16 value, volatile void __iomem *addr)
{
	tmm_writew(tmm_linux.io, value, (void *)(uintptr_t)addr);
}

TMM_LINUX_CALL u32 readl(const volatile void __iomem *addr)
{
	return tmm_readl(tmm_linux.io, (const void *)(uintptr_t)addr);
}

TMM_LINUX_CALL void writel(u32 value, volatile void __iomem *addr)
{
	tmm_writel(tmm_linux.io, value, (void *)(uintptr_t)addr);
}

TMM_LINUX_CALL u64 readq(const volatile void __iomem *addr)
{
	return tmm_readq(tmm_linux.io, (const void *)(uintptr_t)addr);
}

TMM_LINUX_CALL void writeq(u64 value, volatile void __iomem *addr)
{
	tmm_writeq(tmm_linux.io, value, (void *)(uintptr_t)addr);
}

/* Accesses are in order anyhow. */
#define readb_relaxed(addr)         readb(addr)
#define readw_relaxed(addr)         readw(addr)
#define readl_relaxed(addr)         readl(addr)
#define readq_relaxed(addr)         readq(addr)
#define writeb_relaxed(value, addr) writeb(value, addr)
#define writew_relaxed(value, addr) writew(value, addr)
#define writel_relaxed(value, addr) writel(value, addr)
#define writeq_relaxed(value, addr) writeq(value, addr)

#define ioread8(addr)               readb(addr)
#define ioread16(addr)              readw(addr)
#define ioread32(addr)              readl(addr)
#define iowrite8(value, addr)       writeb(value, addr)
#define iowrite16(value, addr)      writew(value, addr)
#define iowrite32(value, addr)      writel(value, addr)

TMM_LINUX_CALL void ioread32_rep(const void __iomem *addr, void *to, unsigned long count)
{
	tmm_ioread32_rep(tmm_linux.io, addr, to, count);
}

TMM_LINUX_CALL void iowrite32_rep(void __iomem *addr, const void *from, unsigned long count)
{
	tmm_iowrite32_rep(tmm_linux.io, addr, from, count);
}

/* ---- memory of devices ---- */

TMM_LINUX_CALL void memcpy_fromio(void *to, const volatile void __iomem *from, size_t count)
{
	tmm_memcpy_fromio(tmm_linux.io, to, (const void *)(uintptr_t)from, count);
}

TMM_LINUX_CALL void memcpy_toio(volatile void __iomem *to, const void *from, size_t count)
{
	tmm_memcpy_toio(tmm_linux.io, (void *)(uintptr_t)to, from, count);
}

static inline void memset_io(volatile void __iomem *to, int value, size_t count)
{
	char bytes[64], *at = (char *)(uintptr_t)to;

	__builtin_memset(bytes, value, sizeof(bytes));
	for (size_t n; count > 0; count -= n, at += n) {
		n = count < sizeof(bytes) ? count : sizeof(bytes);
		memcpy_toio(at, bytes, n);
	}
}

/* ---- ports ---- */

/* What nothing answers reads as ones, is logged, and counted. */
TMM_LINUX_CALL u8 inb(unsigned long port)
{
	uint64_t value;

	(void)tmm_bus_read(tmm_linux.ports, (tmm_paddr){port}, 1, &value);
	return (u8)value;
}

TMM_LINUX_CALL void outb(u8 value, unsigned long port)
{
	(void)tmm_bus_write(tmm_linux.ports, (tmm_paddr){port}, 1, value);
}

TMM_LINUX_CALL u16 inw(unsigned long port)
{
	uint64_t value;

	(void)tmm_bus_read(tmm_linux.ports, (tmm_paddr){port}, 2, &value);
	return (u16)value;
}

TMM_LINUX_CALL void outw(u16 value, unsigned long port)
{
	(void)tmm_bus_write(tmm_linux.ports, (tmm_paddr){port}, 2, value);
}

TMM_LINUX_CALL u32 inl(unsigned long port)
{
	uint64_t value;

	(void)tmm_bus_read(tmm_linux.ports, (tmm_paddr){port}, 4, &value);
	return (u32)value;
}

TMM_LINUX_CALL void outl(u32 value, unsigned long port)
{
	(void)tmm_bus_write(tmm_linux.ports, (tmm_paddr){port}, 4, value);
}

static inline void insb(unsigned long port, void *to, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u8 value = inb(port);

		__builtin_memcpy((u8 *)to + i * sizeof(value), &value, sizeof(value));
	}
}

static inline void outsb(unsigned long port, const void *from, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u8 value;

		__builtin_memcpy(&value, (const u8 *)from + i * sizeof(value), sizeof(value));
		outb(value, port);
	}
}

static inline void insw(unsigned long port, void *to, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u16 value = inw(port);

		__builtin_memcpy((u8 *)to + i * sizeof(value), &value, sizeof(value));
	}
}

static inline void outsw(unsigned long port, const void *from, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u16 value;

		__builtin_memcpy(&value, (const u8 *)from + i * sizeof(value), sizeof(value));
		outw(value, port);
	}
}

static inline void insl(unsigned long port, void *to, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u32 value = inl(port);

		__builtin_memcpy((u8 *)to + i * sizeof(value), &value, sizeof(value));
	}
}

static inline void outsl(unsigned long port, const void *from, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		u32 value;

		__builtin_memcpy(&value, (const u8 *)from + i * sizeof(value), sizeof(value));
		outl(value, port);
	}
}

#endif
