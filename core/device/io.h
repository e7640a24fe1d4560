/*
 * io.h - mappings of devices, and how each address is cached
 */
#ifndef TUXMM_DEVICE_IO_H
#define TUXMM_DEVICE_IO_H

#include <tuxmm/ioremap.h>

#include "device/bus.h"

/* One for each mapping.  (c) constant */
struct memtype {
	struct memtype *next;     /* (m) in rising order of start */
	uint64_t start, end;      /* (c) whole pages */
	enum tmm_cache_mode mode; /* (c) */
	const void *pointer;      /* (c) to the first page; set before it is returned */
};

/* (c) constant after init  (m) lock */
struct tmm_io {
	struct lock lock;
	struct tmm_bus *bus;           /* (c) */
	struct tmm_kernel_map *map;    /* (c) */
	struct tmm_slab_system *slabs; /* (c) */
	struct memtype *memtypes;      /* (m) */
	char report[240];              /* of the mistake that a panic is about */
};

void io_init(struct tmm_io *io, struct tmm_bus *bus, struct tmm_kernel_map *map,
             struct tmm_slab_system *slabs);

/* Every mapping must be gone (asserted). */
void io_fini(struct tmm_io *io);

#endif
