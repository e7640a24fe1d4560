/*
 * disk.h - a disk that moves its sectors through a DMA controller or by itself
 *
 * A command names sectors.  By DMAC_DREQ of a channel bytes go through a small
 * buffer: the medium fills or empties it at its own pace, and the disk asks for
 * service while there is something to move.  As bus master the disk reads a list of
 * descriptors and moves whole stretches.  An interrupt ends each command.
 *
 *   00  command    1 read, 2 write, by the controller; 3 read, 4 write, as bus master
 *   04  status     bit 0: busy, 1: done, 2: failed; writing 0 takes the interrupt back
 *   08  sector     the first one
 *   0c  count      of sectors
 *   10  error      why it failed: DISK_E_*
 *   14, 18         address of the list, low and high half
 *   1c  entries    of the list
 *   20  capacity   in sectors
 *   24  sector size
 *
 * All registers are four bytes wide.
 */
#ifndef TUXMM_DEVICES_DISK_H
#define TUXMM_DEVICES_DISK_H

#include "dmac.h"

#define DISK_BYTES 0x28u /* of registers */

enum disk_register {
	DISK_COMMAND = 0x00,
	DISK_STATUS = 0x04,
	DISK_SECTOR = 0x08,
	DISK_COUNT = 0x0c,
	DISK_ERROR = 0x10,
	DISK_LIST_LOW = 0x14,
	DISK_LIST_HIGH = 0x18,
	DISK_ENTRIES = 0x1c,
	DISK_CAPACITY = 0x20,
	DISK_SECTOR_BYTES = 0x24
};

enum disk_command {
	DISK_READ = 1,      /* medium to memory */
	DISK_WRITE = 2,     /* memory to medium */
	DISK_READ_LIST = 3, /* the same, as bus master */
	DISK_WRITE_LIST = 4
};

#define DISK_BUSY   (1u << 0)
#define DISK_DONE   (1u << 1)
#define DISK_FAILED (1u << 2)

enum disk_error {
	DISK_E_NONE,
	DISK_E_COMMAND, /* unknown */
	DISK_E_RANGE,   /* no such sectors */
	DISK_E_BUS,     /* nothing answered at an address */
	DISK_E_LIST,    /* the list is shorter than the sectors */
	DISK_E_COUNT    /* the controller's count ended before the sectors */
};

/* One entry of a list, in memory. */
struct disk_entry {
	uint64_t address;
	uint64_t bytes;
};

#define DISK_BUFFER 16u

struct disk {
	struct tmm_device *device; /* as which it reaches memory */
	struct dmac *dmac;         /* NULL: no controller */
	unsigned channel;
	void (*interrupt)(void *arg);
	void *arg;
	uint8_t *medium;
	uint32_t sector_bytes, nr_sectors;
	unsigned pace;      /* clocks for each byte of the medium; 0: all at once */
	unsigned threshold; /* bytes to move before it asks for service, if there are more */
	uint32_t command, status, sector, count, error, list_low, list_high, entries;
	uint64_t position, end; /* bytes of the medium, of the command */
	uint8_t buffer[DISK_BUFFER];
	unsigned used; /* bytes in it */
	unsigned wait; /* clocks until the next byte of the medium */
	bool count_ended;
	struct tmm_bus_block block;
};

/* medium: nr_sectors * sector_bytes.  interrupt may be NULL. */
struct disk_config {
	struct tmm_device *device;
	struct dmac *dmac;
	unsigned channel;
	uint8_t *medium;
	uint32_t sector_bytes, nr_sectors;
	unsigned pace;
	unsigned threshold;
	void (*interrupt)(void *arg);
	void *arg;
};
void disk_init(struct disk *disk, const struct disk_config *config);

TMM_MUST_CHECK tmm_err disk_attach(struct disk *disk, struct tmm_bus *bus, tmm_paddr start);

/* One clock; false: it had nothing to do. */
bool disk_clock(struct disk *disk);

#endif
