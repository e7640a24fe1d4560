/*
 * linux.h - Linux's own names, for code that comes from there
 *
 * kmalloc(), alloc_pages(), vmalloc(), ioremap(), dma_map_single() and so on, with
 * Linux's arguments, results and flags, over one machine.  Each is an inline call of
 * the function of the core that does the work; that one's header says what holds.  Nothing
 * else of tuxmm includes these headers, and code that serves several machines calls
 * the core itself.
 *
 * Each header has the name it has in Linux, in tuxmm/linux/: with include/tuxmm on the
 * include path, a driver's own lines (#include <linux/slab.h>) find them.
 *
 * A program defines struct tmm_linux tmm_linux in one of its files, and calls
 * tmm_linux_use() when the machine is up.
 *
 * struct page  a handle, one for each frame, at the address where Linux keeps the
 *              descriptor (vmemmap): page + 1 is the next frame's.  Nothing is behind
 *              it: code that looks into a page must be changed
 * Pointers     of page_address(), vmalloc(), ioremap() and the like are the program's;
 *              virt_to_phys() and its reverse convert them
 * Errors       NULL, or a negated error number, as in Linux.  Nothing returns
 *              ERR_PTR(): the functions that do so in Linux are not here
 * Missing      what needs more than memory: reference counts and flags of pages,
 *              folios, devm_*, RCU (SLAB_TYPESAFE_BY_RCU), per-CPU memory
 */
#ifndef TUXMM_LINUX_H
#define TUXMM_LINUX_H

#include <tuxmm/linux/cma.h>
#include <tuxmm/linux/dma-mapping.h>
#include <tuxmm/linux/dmapool.h>
#include <tuxmm/linux/fixmap.h>
#include <tuxmm/linux/gfp.h>
#include <tuxmm/linux/highmem.h>
#include <tuxmm/linux/io.h>
#include <tuxmm/linux/ioport.h>
#include <tuxmm/linux/memcontrol.h>
#include <tuxmm/linux/mempool.h>
#include <tuxmm/linux/mm.h>
#include <tuxmm/linux/mm_types.h>
#include <tuxmm/linux/scatterlist.h>
#include <tuxmm/linux/shrinker.h>
#include <tuxmm/linux/slab.h>
#include <tuxmm/linux/tmm.h>
#include <tuxmm/linux/vmalloc.h>

#endif
