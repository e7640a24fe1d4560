/*
 * rot13.h - the registers of a chip that turns letters, and what it reads from memory
 *
 * Work waits in a ring of descriptors in memory.  Whoever writes TAIL has filled the ring up
 * to there; the chip turns each buffer in place, marks its descriptor, moves HEAD
 * on, and raises its interrupt.
 */
#ifndef EXAMPLES_ROT13_H
#define EXAMPLES_ROT13_H

#include <stdint.h>

#define ROT13_BYTES 0x20u

enum rot13_register {
	ROT13_ID = 0x00,      /* reads as ROT13_ID_VALUE */
	ROT13_RING_LO = 0x04, /* the ring's address as the chip sees it */
	ROT13_RING_HI = 0x08,
	ROT13_SIZE = 0x0c, /* descriptors in it; 0: the chip stands still */
	ROT13_HEAD = 0x10, /* the next one that the chip looks at */
	ROT13_TAIL = 0x14, /* the first one that is not filled */
	ROT13_IRQ = 0x18   /* 1: raised; writing 1 clears it */
};

#define ROT13_ID_VALUE 0x726f7433u

#define ROT13_DONE     (1u << 0)
#define ROT13_FAILED   (1u << 1) /* the buffer could not be reached */

struct rot13_desc {
	uint64_t addr;
	uint32_t len;
	uint32_t status;
};

#endif
