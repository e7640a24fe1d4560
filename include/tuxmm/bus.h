/*
 * bus.h - what answers at a physical address
 *
 * RAM does, and memory of devices, and blocks of registers: functions of a device's
 * model.  Processors reach the bus through mappings (tuxmm/ioremap.h), devices that
 * move data by themselves through tmm_dma_device_read() and its sisters
 * (tuxmm/dma.h).  An access that nothing answers is a fault, which is logged and counted.
 *
 * Ports have a bus of their own (tmm_machine_ports()), of 65536 addresses, with registers
 * alone: tmm_bus_read() and tmm_bus_write() do there what the processor's in and out do.
 *
 * Owning   a block is its caller's, and stays attached until it is detached; by then
 *          nobody may be using it
 * Locks    one lock (rank DEVICE), not held while a model's functions run: those may
 *          do whatever the accessor may
 * Linux    what the hardware does below readl() and writel(), inb() and outb()
 */
#ifndef TUXMM_BUS_H
#define TUXMM_BUS_H

#include <tuxmm/types.h>

/* Registers, by their offset in the block.  Widths are 1, 2, 4 or 8 bytes. */
struct tmm_register_ops {
	uint64_t (*read)(void *arg, uint64_t offset, unsigned width_bytes);
	void (*write)(void *arg, uint64_t offset, uint64_t value, unsigned width_bytes);
};

struct tmm_bus_block {
	const char *name;
	tmm_paddr start;
	uint64_t size_bytes;
	unsigned widths; /* that its registers have: 1 | 2 | 4 | 8, as many as it knows */

	/* NULL: plain memory of a device, at the machine's ram pointer like RAM. */
	const struct tmm_register_ops *ops;
	void *arg;
	struct tmm_bus_block *next; /* the bus's */
};

struct tmm_bus; /* fields: core/device/bus.h */

/*
 * From now on the block answers.
 *   TMM_OK
 *   TMM_E_EXIST  RAM or another block answers at some of its addresses
 *   TMM_E_INVAL  it is empty, knows no width, or ends behind TMM_PHYS_END or the last port;
 *                or it is memory where ram cannot be touched (struct
 *                tmm_shape.backed_bytes), or of a bus of ports
 */
TMM_MUST_CHECK tmm_err tmm_bus_attach(struct tmm_bus *bus, struct tmm_bus_block *block);

/* A block that is not attached panics. */
void tmm_bus_detach(struct tmm_bus *bus, struct tmm_bus_block *block);

/*
 * One access of 1, 2, 4 or 8 bytes.
 *   TMM_OK
 *   TMM_E_FAULT  nothing answers; *out_value is all ones, as on a bus without a device
 *   TMM_E_INVAL  the address is no multiple of the width, or the block has no register
 *                of that width; *out_value likewise
 */
tmm_err tmm_bus_read(struct tmm_bus *bus, tmm_paddr at, unsigned width_bytes,
                     uint64_t *out_value);
tmm_err tmm_bus_write(struct tmm_bus *bus, tmm_paddr at, unsigned width_bytes, uint64_t value);

/*
 * Many bytes; registers are accessed one by one, as wide as alignment and block allow.
 * TMM_E_FAULT, TMM_E_INVAL: some were not moved, those below them were.
 */
TMM_MUST_CHECK tmm_err tmm_bus_copy_from(struct tmm_bus *bus, void *to, tmm_paddr from,
                                         uint64_t bytes);
TMM_MUST_CHECK tmm_err tmm_bus_copy_to(struct tmm_bus *bus, tmm_paddr to, const void *from,
                                       uint64_t bytes);

/* What answers at all of a range. */
enum tmm_bus_target {
	TMM_BUS_NOTHING,       /* at some of it: nothing, or more than one thing */
	TMM_BUS_RAM,           /* RAM of the page allocator */
	TMM_BUS_UNUSED_RAM,    /* RAM above the limit that the page allocator was given */
	TMM_BUS_DEVICE_MEMORY, /* a block without functions */
	TMM_BUS_REGISTERS
};
enum tmm_bus_target tmm_bus_target(struct tmm_bus *bus, tmm_paddr start, uint64_t size_bytes);

/* Accesses since boot. */
struct tmm_bus_counts {
	uint64_t reads, writes; /* of registers */
	uint64_t faults;        /* that nothing answered */
	uint64_t misaligned;    /* refused by width or alignment */
};
void tmm_bus_counts(const struct tmm_bus *bus, struct tmm_bus_counts *out);

#endif
