/*
 * chip.h - a model of the chip: what the driver's registers and ring do
 */
#ifndef EXAMPLES_CHIP_H
#define EXAMPLES_CHIP_H

#include <tuxmm/bus.h>
#include <tuxmm/dma.h>

struct chip {
	struct tmm_device *device; /* as which it reads and writes memory */
	struct tmm_bus_block block;
	uint64_t ring;
	uint32_t size, head, tail;
	bool irq;
	void (*interrupt)(void *arg); /* the line is raised; NULL: it leads nowhere */
	void *arg;
	uint64_t nr_done, nr_bytes;
};

/* At these addresses of the bus; chip->device is set. */
TMM_MUST_CHECK tmm_err chip_attach(struct chip *chip, struct tmm_bus *bus, tmm_paddr start);

#endif
