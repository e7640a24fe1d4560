/*
 * board.c - processor, DMA controller and disk on one clock
 */
#include "board.h"

#include <string.h>

static void board_hrq(void *arg, bool level)
{
	struct board *board = arg;

	board->hrq = level;
}

static void board_event(void *arg, const struct dmac_event *event)
{
	struct board *board = arg;

	trace_event(&board->trace, event);
}

void board_init(struct board *board, struct dmac *dmac, struct disk *disk)
{
	memset(board, 0, sizeof(*board));
	board->dmac = dmac;
	board->disk = disk;
	dmac->hrq = board_hrq;
	dmac->event = board_event;
	dmac->arg = board;
}

void board_free(struct board *board)
{
	trace_free(&board->trace);
}

static bool step(struct board *board)
{
	bool hrq = board->hrq; /* before this clock */
	bool busy = dmac_clock(board->dmac);

	if (board->disk)
		busy |= disk_clock(board->disk);
	if (hrq == board->hrq && board->dmac->hlda != hrq && !(hrq && board->is_held)) {
		dmac_hlda(board->dmac, hrq);
		busy = true;
	}
	return busy;
}

uint64_t board_run(struct board *board, uint64_t most)
{
	uint64_t clocks = 0;

	while (clocks < most && step(board))
		clocks++;
	return clocks;
}
