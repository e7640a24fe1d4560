/*
 * board.h - processor, DMA controller and disk on one clock
 *
 * The processor gives the bus away a clock after HRQ, unless it holds it for an access of
 * its own, and takes it back a clock after HRQ has gone.
 */
#ifndef TUXMM_DEVICES_BOARD_H
#define TUXMM_DEVICES_BOARD_H

#include "disk.h"
#include "trace.h"

struct board {
	struct dmac *dmac;
	struct disk *disk; /* NULL: none */
	bool hrq;          /* as the processor saw it at the last clock */
	bool is_held;      /* the processor keeps the bus */
	struct trace trace;
};

/* Wires the controller's HRQ and events to the board. */
void board_init(struct board *board, struct dmac *dmac, struct disk *disk);
void board_free(struct board *board);

/* Run until nothing has anything to do, or for `most` clocks; returns how many it took. */
uint64_t board_run(struct board *board, uint64_t most);

#endif
