/*
 * dmac.h - a DMA controller, after Intel's 8237A
 *
 * Four channels move bytes between memory and devices while the processor stays off
 * the bus.  A device asks for service with its DREQ line; the controller asks the
 * processor for the bus with HRQ, which answers HLDA; the controller tells the
 * device with DACK that its turn has come and moves bytes.  How many, the
 * channel's mode says:
 *
 *   single   one, then the bus is given back, even if DREQ stays
 *   block    until the count is through, whatever DREQ does
 *   demand   as long as DREQ stays, or until the count is through
 *   cascade  none: DACK passes the bus on to another controller
 *
 * At the end of the count TC is pulsed; the channel is masked or, with
 * auto-initialisation, starts over.  Addresses are 16 bits wide and wrap; a page register
 * for each channel holds bits 16..23.
 *
 *   0, 2, 4, 6   base and current address of channels 0..3   low byte, then high byte
 *   1, 3, 5, 7   base and current count, less one            likewise
 *   8            command | status; reading clears TC bits
 *   9  software request   a  one mask bit   b  mode   c  reset the byte flip-flop
 *   d  master clear | temporary   e  clear all masks   f  all mask bits
 *   10 .. 13     page registers
 *
 * Lines are levels of true and false, whatever their polarity (command bits 6, 7).
 *
 * Owning   struct dmac is the caller's
 * Locks    none: a board is one clock
 */
#ifndef TUXMM_DEVICES_DMAC_H
#define TUXMM_DEVICES_DMAC_H

#include <tuxmm/bus.h>
#include <tuxmm/dma.h>

#define DMAC_CHANNELS 4u
#define DMAC_BYTES    0x14u /* of registers */

/* Command register. */
#define DMAC_MEMORY_TO_MEMORY (1u << 0)
#define DMAC_HOLD_ADDRESS     (1u << 1) /* of channel 0, memory to memory */
#define DMAC_DISABLE          (1u << 2)
#define DMAC_COMPRESSED       (1u << 3) /* two clocks a byte instead of four */
#define DMAC_ROTATING         (1u << 4) /* who was served goes last */

/* Mode register, beside the channel in bits 0, 1. */
#define DMAC_VERIFY  (0u << 2) /* addresses alone */
#define DMAC_WRITE   (1u << 2) /* device to memory */
#define DMAC_READ    (2u << 2) /* memory to device */
#define DMAC_AUTO    (1u << 4)
#define DMAC_DOWN    (1u << 5) /* addresses fall */
#define DMAC_DEMAND  (0u << 6)
#define DMAC_SINGLE  (1u << 6)
#define DMAC_BLOCK   (2u << 6)
#define DMAC_CASCADE (3u << 6)
#define DMAC_MODE    (3u << 6)

/* What is to be seen on the wires, in the order of a trace. */
enum dmac_line {
	DMAC_DREQ, /* of a channel */
	DMAC_HRQ,
	DMAC_HLDA,
	DMAC_DACK, /* of a channel */
	DMAC_MEMR, /* a byte, at an address */
	DMAC_IOR,
	DMAC_IOW,
	DMAC_MEMW,
	DMAC_TC,
	DMAC_FAULT, /* nothing answered at the address */
	DMAC_NR_LINES
};

struct dmac_event {
	uint64_t clock;
	enum dmac_line line;
	unsigned channel;
	bool level;       /* of DREQ, HRQ, HLDA, DACK */
	uint32_t address; /* of MEMR, MEMW, FAULT */
	uint8_t byte;     /* of the four commands */
};

/* A device's end of a channel. */
struct dmac_port {
	uint8_t (*read)(void *arg);             /* IOR with DACK */
	void (*write)(void *arg, uint8_t byte); /* IOW with DACK */
	bool (*ready)(void *arg); /* NULL: always; else the controller waits for it */
	void (*dack)(void *arg, bool level); /* NULL: does not care */
	void (*terminal_count)(void *arg);   /* NULL: does not care */
	void *arg;
};

struct dmac_channel {
	uint16_t base_address, base_count, address, count;
	uint8_t mode, page;
	bool dreq, requested, masked, reached_tc;
	struct dmac_port port;
};

enum dmac_state { DMAC_IDLE, DMAC_WAITS, DMAC_ACTIVE, DMAC_RELEASES };

struct dmac {
	struct tmm_device *device; /* as which it reaches memory */
	void (*hrq)(void *arg, bool level);
	void (*event)(void *arg, const struct dmac_event *event); /* NULL: nobody looks */
	void *arg;                                                /* of both */
	struct dmac_channel channel[DMAC_CHANNELS];
	uint8_t command, temporary;
	bool high_byte; /* the flip-flop */
	bool hlda;
	enum dmac_state state;
	unsigned served;   /* channel that has the bus */
	unsigned priority; /* channel that comes first */
	unsigned phase;    /* clocks of the byte that is moved */
	uint64_t clock;
	uint64_t nr_bytes, nr_faults;
	struct tmm_bus_block block;
};

/* As after power-on: all channels masked.  device: its mask says how far it reaches. */
void dmac_init(struct dmac *dmac, struct tmm_device *device);

/* Its registers answer from `start` on. */
TMM_MUST_CHECK tmm_err dmac_attach(struct dmac *dmac, struct tmm_bus *bus, tmm_paddr start);

void dmac_connect(struct dmac *dmac, unsigned channel, const struct dmac_port *port);

/* Lines into the controller. */
void dmac_dreq(struct dmac *dmac, unsigned channel, bool level);
void dmac_hlda(struct dmac *dmac, bool level);

/* One clock; false: it had nothing to do. */
bool dmac_clock(struct dmac *dmac);

const char *dmac_line_name(enum dmac_line line);

#endif
