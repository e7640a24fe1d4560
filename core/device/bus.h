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
	struct tmm_pages *pages;       /* (c) */
	const struct tmm_iomem *iomem; /* (c) for RAM that is not used */
	uint64_t backed_end;           /* (c) pages->ram can be touched up to here */
	struct tmm_bus_block *blocks;  /* (b) in rising order */
	struct tmm_bus_counts counts;  /* (a) */
};

void bus_init(struct tmm_bus *bus, struct tmm_pages *pages, const struct tmm_iomem *iomem,
              uint64_t backed_end);

/* Every block must be detached (asserted). */
void bus_fini(struct tmm_bus *bus);

/* Where the port has the bytes of RAM and of devices' memory. */
static inline char *bus_memory(const struct tmm_bus *bus, uint64_t at)
{
	return (char *)bus->pages->ram + at;
}

#endif
