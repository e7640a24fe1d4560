/*
 * disk.c - a disk that moves its sectors through a DMA controller or by itself
 *
 * Through the controller: `position` counts bytes of the medium, which run ahead of
 * memory by what is in the buffer when reading, and behind it when writing.  The
 * command is done when the medium is through and the buffer is empty.
 */
#include "disk.h"

#include <string.h>

/* ---- ends ---- */

static void finish(struct disk *disk, enum disk_error error)
{
	disk->error = error;
	disk->status = DISK_DONE | (error == DISK_E_NONE ? 0 : DISK_FAILED);
	disk->used = 0;
	if (disk->dmac)
		dmac_dreq(disk->dmac, disk->channel, false);
	if (disk->interrupt)
		disk->interrupt(disk->arg);
}

/* ---- through the controller ---- */

static bool is_reading(const struct disk *disk)
{
	return disk->command == DISK_READ;
}

/* Ask for service when the threshold is reached, until there is nothing to move. */
static void update_dreq(struct disk *disk)
{
	const uint64_t left = disk->end - disk->position;
	const uint64_t most = left < DISK_BUFFER ? left : DISK_BUFFER;
	/* What could be moved now, and whether it is all that will ever be. */
	const uint64_t now = is_reading(disk) ? disk->used : most - disk->used;
	const bool is_rest = is_reading(disk) ? left == 0 : disk->used + now == left;
	const bool asks = disk->dmac->channel[disk->channel].dreq;
	const bool wants = now > 0 && (asks || is_rest || now >= disk->threshold);

	dmac_dreq(disk->dmac, disk->channel, wants && !disk->count_ended);
}

static uint8_t port_read(void *arg)
{
	struct disk *disk = arg;
	uint8_t byte = disk->buffer[0];

	if (!disk->used)
		return 0xff;
	memmove(disk->buffer, disk->buffer + 1, --disk->used);
	update_dreq(disk);
	return byte;
}

static void port_write(void *arg, uint8_t byte)
{
	struct disk *disk = arg;

	if (disk->used < DISK_BUFFER)
		disk->buffer[disk->used++] = byte;
	update_dreq(disk);
}

/* In block mode nobody asks DREQ any more. */
static bool port_ready(void *arg)
{
	const struct disk *disk = arg;

	if (!(disk->status & DISK_BUSY))
		return true;
	return is_reading(disk) ? disk->used > 0 : disk->used < DISK_BUFFER;
}

static void port_terminal_count(void *arg)
{
	struct disk *disk = arg;

	disk->count_ended = true;
	update_dreq(disk);
}

/* A byte between medium and buffer; false: neither side is ready. */
static bool move_medium(struct disk *disk)
{
	if (disk->position == disk->end)
		return false;
	if (is_reading(disk)) {
		if (disk->used == DISK_BUFFER)
			return false;
		disk->buffer[disk->used++] = disk->medium[disk->position++];
		return true;
	}
	if (!disk->used)
		return false;
	disk->medium[disk->position++] = disk->buffer[0];
	memmove(disk->buffer, disk->buffer + 1, --disk->used);
	return true;
}

static void step_medium(struct disk *disk)
{
	if (disk->wait > 1) {
		disk->wait--;
		return;
	}
	disk->wait = disk->pace;
	while (move_medium(disk) && !disk->pace)
		;
}

bool disk_clock(struct disk *disk)
{
	if (!(disk->status & DISK_BUSY))
		return false;
	step_medium(disk);
	if (disk->position == disk->end && !disk->used)
		finish(disk, DISK_E_NONE);
	else if (disk->count_ended && (is_reading(disk) || !disk->used))
		finish(disk, DISK_E_COUNT);
	else
		update_dreq(disk);
	return true;
}

/* ---- as bus master ---- */

static tmm_err move_stretch(struct disk *disk, tmm_dma_addr at, uint64_t bytes)
{
	uint8_t *medium = disk->medium + disk->position;

	return disk->command == DISK_READ_LIST
	               ? tmm_dma_device_write(disk->device, at, medium, bytes)
	               : tmm_dma_device_read(disk->device, at, medium, bytes);
}

static enum disk_error move_list(struct disk *disk)
{
	const uint64_t list = (uint64_t)disk->list_high << 32 | disk->list_low;

	for (uint32_t i = 0; i < disk->entries && disk->position < disk->end; i++) {
		const tmm_dma_addr at = {list + i * sizeof(struct disk_entry)};
		uint64_t left = disk->end - disk->position, bytes;
		struct disk_entry entry;

		if (tmm_dma_device_read(disk->device, at, &entry, sizeof(entry)) != TMM_OK)
			return DISK_E_BUS;
		bytes = entry.bytes < left ? entry.bytes : left;
		if (move_stretch(disk, (tmm_dma_addr){entry.address}, bytes) != TMM_OK)
			return DISK_E_BUS;
		disk->position += bytes;
	}
	return disk->position == disk->end ? DISK_E_NONE : DISK_E_LIST;
}

/* ---- registers ---- */

static void begin(struct disk *disk, uint32_t command)
{
	if (disk->status & DISK_BUSY)
		return;
	disk->command = command;
	disk->status = DISK_BUSY;
	disk->used = 0;
	disk->wait = disk->pace;
	disk->count_ended = false;
	if (command < DISK_READ || command > DISK_WRITE_LIST ||
	    (command <= DISK_WRITE && !disk->dmac)) {
		finish(disk, DISK_E_COMMAND);
		return;
	}
	if (!disk->count || disk->sector >= disk->nr_sectors ||
	    disk->count > disk->nr_sectors - disk->sector) {
		finish(disk, DISK_E_RANGE);
		return;
	}
	disk->position = (uint64_t)disk->sector * disk->sector_bytes;
	disk->end = disk->position + (uint64_t)disk->count * disk->sector_bytes;
	if (command >= DISK_READ_LIST)
		finish(disk, move_list(disk));
	else
		update_dreq(disk);
}

static uint64_t reg_read(void *arg, uint64_t offset, unsigned width)
{
	const struct disk *disk = arg;

	(void)width;
	switch ((enum disk_register)offset) {
	case DISK_COMMAND:
		return disk->command;
	case DISK_STATUS:
		return disk->status;
	case DISK_SECTOR:
		return disk->sector;
	case DISK_COUNT:
		return disk->count;
	case DISK_ERROR:
		return disk->error;
	case DISK_LIST_LOW:
		return disk->list_low;
	case DISK_LIST_HIGH:
		return disk->list_high;
	case DISK_ENTRIES:
		return disk->entries;
	case DISK_CAPACITY:
		return disk->nr_sectors;
	case DISK_SECTOR_BYTES:
		return disk->sector_bytes;
	}
	return 0;
}

static void reg_write(void *arg, uint64_t offset, uint64_t written, unsigned width)
{
	struct disk *disk = arg;
	const uint32_t value = (uint32_t)written;

	(void)width;
	if (offset == DISK_COMMAND)
		begin(disk, value);
	else if (offset == DISK_STATUS && !(disk->status & DISK_BUSY))
		disk->status = 0;
	else if (offset == DISK_SECTOR)
		disk->sector = value;
	else if (offset == DISK_COUNT)
		disk->count = value;
	else if (offset == DISK_LIST_LOW)
		disk->list_low = value;
	else if (offset == DISK_LIST_HIGH)
		disk->list_high = value;
	else if (offset == DISK_ENTRIES)
		disk->entries = value;
}

static const struct tmm_register_ops reg_ops = {reg_read, reg_write};

void disk_init(struct disk *disk, const struct disk_config *config)
{
	memset(disk, 0, sizeof(*disk));
	disk->device = config->device;
	disk->dmac = config->dmac;
	disk->channel = config->channel;
	disk->interrupt = config->interrupt;
	disk->arg = config->arg;
	disk->medium = config->medium;
	disk->sector_bytes = config->sector_bytes;
	disk->nr_sectors = config->nr_sectors;
	disk->pace = config->pace;
	/* More than the buffer holds would never be reached. */
	disk->threshold = config->threshold < DISK_BUFFER ? config->threshold : DISK_BUFFER;
	if (disk->dmac)
		dmac_connect(disk->dmac, disk->channel,
		             &(const struct dmac_port){.read = port_read,
		                                       .write = port_write,
		                                       .ready = port_ready,
		                                       .terminal_count = port_terminal_count,
		                                       .arg = disk});
}

tmm_err disk_attach(struct disk *disk, struct tmm_bus *bus, tmm_paddr start)
{
	disk->block = (struct tmm_bus_block){.name = "disk",
	                                     .start = start,
	                                     .size_bytes = DISK_BYTES,
	                                     .widths = 4,
	                                     .ops = &reg_ops,
	                                     .arg = disk};
	return tmm_bus_attach(bus, &disk->block);
}
