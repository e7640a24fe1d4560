/*
 * bus.h - the blocks that answer beside RAM
 */
#ifndef TUXMM_DEVICE_BUS_H
#define TUXMM_DEVICE_BUS_H

#include <tuxmm/bus.h>

#include "device/iomem.h"

/* (c) constant after init  (b) lock  (a) atomic */
struct tmm_bus {
	struct lock lock;
	struct tmm_pages *pages;       /* (c) NULL: no RAM */
	const struct tmm_iomem *iomem; /* (c) for RAM that is not used; NULL: no RAM */
	uint64_t end;                  /* (c) of all addresses */
	uint64_t backed_end;           /* (c) pages->ram can be touched up to here */
	struct tmm_bus_block *blocks;  /* (b) in rising order */
	struct tmm_bus_counts counts;  /* (a) */
};

void bus_init(struct tmm_bus *bus, struct tmm_pages *pages, const struct tmm_iomem *iomem,
              uint64_t backed_end);

/* Ports: registers alone. */
void bus_init_ports(struct tmm_bus *bus, uint64_t nr_ports);

/* Every block must be detached (asserted). */
void bus_fini(struct tmm_bus *bus);

/* Is any page of [start, end) RAM that the page allocator has? */
bool bus_has_ram(const struct tmm_bus *bus, uint64_t start, uint64_t end);

/* bus.c: bytes of RAM or of a device's memory, which may have no address of their own. */
void memory_read(const struct tmm_pages *pages, void *to, uint64_t from, uint64_t bytes);
void memory_write(const struct tmm_pages *pages, uint64_t to, const void *from, uint64_t bytes);

#endif
