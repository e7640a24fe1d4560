/*
 * ioremap.h - device memory and registers at kernel addresses
 *
 * tmm_ioremap() maps physical addresses in the vmalloc window, with real entries that
 * say how the processor caches them.  Behind memory of a device, or RAM that the
 * page allocator was not given (mem=), the bytes are really there; behind registers
 * nothing is, and touching the pointer faults: they are reached with tmm_readl() and its
 * sisters, which walk the entries and go to what answers on the bus.
 *
 * All mappings of an address must be cached alike.  Where another mapping has it
 * another way, a request takes that way over if it is no less strict in what it asked
 * for, and is refused otherwise, as in Linux.
 *
 * Errors   NULL, and a line in the log: RAM in use, addresses that the processor does not
 *          have, another way of caching, no memory, or a port without windows
 * Owning   a mapping is its caller's until tmm_iounmap()
 * Locks    those of vmalloc, and rank DEVICE; mapping may sleep, accesses do not
 * Linux    ioremap(), ioremap_wc(), memremap(), readl(), pat_memtype_list
 */
#ifndef TUXMM_IOREMAP_H
#define TUXMM_IOREMAP_H

#include <tuxmm/bus.h>
#include <tuxmm/kernel_map.h>
#include <tuxmm/sink.h>

struct tmm_io; /* fields: core/device/io.h */

enum tmm_cache_mode {
	TMM_CACHE_WB,       /* write-back, as RAM */
	TMM_CACHE_WC,       /* write-combining */
	TMM_CACHE_UC_MINUS, /* uncached, but range registers may say write-combining */
	TMM_CACHE_UC,       /* uncached */
	TMM_CACHE_WT        /* write-through */
};

/*
 * A pointer for size_bytes from a physical address on; neither need be aligned.
 * tmm_ioremap() asks for UC_MINUS.
 */
void *tmm_ioremap(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes);
void *tmm_ioremap_uc(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes);
void *tmm_ioremap_wc(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes);
void *tmm_ioremap_wt(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes);
void *tmm_ioremap_cache(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes);

/* NULL is ignored; what no tmm_ioremap() returned panics. */
void tmm_iounmap(struct tmm_io *io, void *pointer);

/*
 * Memory, be it RAM: for TMM_CACHE_WB, RAM that is in use yields its place in the direct
 * map.  Anything else as tmm_ioremap().
 */
void *tmm_memremap(struct tmm_io *io, tmm_paddr start, uint64_t size_bytes,
                   enum tmm_cache_mode mode);
void tmm_memunmap(struct tmm_io *io, void *pointer);

/* How the mapping is cached; false: no mapping is there. */
bool tmm_ioremap_mode(struct tmm_io *io, const void *pointer, enum tmm_cache_mode *out_mode);

/*
 * One access of a mapping.  What is not mapped panics, as it would fault; what nothing
 * answers reads as ones, is logged, and counted (tmm_bus_counts()).
 */
uint8_t tmm_readb(struct tmm_io *io, const void *pointer);
uint16_t tmm_readw(struct tmm_io *io, const void *pointer);
uint32_t tmm_readl(struct tmm_io *io, const void *pointer);
uint64_t tmm_readq(struct tmm_io *io, const void *pointer);
void tmm_writeb(struct tmm_io *io, uint8_t value, void *pointer);
void tmm_writew(struct tmm_io *io, uint16_t value, void *pointer);
void tmm_writel(struct tmm_io *io, uint32_t value, void *pointer);
void tmm_writeq(struct tmm_io *io, uint64_t value, void *pointer);

/* nr accesses of one register, as a data port wants them. */
void tmm_ioread32_rep(struct tmm_io *io, const void *pointer, void *to, size_t nr);
void tmm_iowrite32_rep(struct tmm_io *io, void *pointer, const void *from, size_t nr);

/* Many bytes, at rising addresses. */
void tmm_memcpy_fromio(struct tmm_io *io, void *to, const void *pointer, uint64_t bytes);
void tmm_memcpy_toio(struct tmm_io *io, void *pointer, const void *from, uint64_t bytes);

/* Ways of caching by range, as Linux's /sys/kernel/debug/x86/pat_memtype_list. */
void tmm_memtype_show(struct tmm_io *io, const struct tmm_sink *sink);

#endif
