/*
 * dmac.c - a DMA controller, after Intel's 8237A
 *
 *   idle      a channel asks: HRQ up                           -> waits
 *   waits     HLDA comes: the first in priority gets DACK      -> active
 *   active    four clocks a byte (two when compressed): the reading command in the
 *             second, the writing one in the last; then the mode decides whether
 *             to go on                                         -> active, releases
 *   releases  DACK and HRQ down; HLDA goes                     -> idle
 *
 * A byte that nothing answered for reads as ones, and one that is written there is
 * lost: the controller cannot know.  A trace shows it.
 */
#include "dmac.h"

#include <string.h>

static void show(struct dmac *dmac, struct dmac_event event)
{
	event.clock = dmac->clock;
	if (dmac->event)
		dmac->event(dmac->arg, &event);
}

static void set_level(struct dmac *dmac, enum dmac_line line, unsigned channel, bool level)
{
	show(dmac, (struct dmac_event){.line = line, .channel = channel, .level = level});
}

const char *dmac_line_name(enum dmac_line line)
{
	static const char *const name[DMAC_NR_LINES] = {"DREQ", "HRQ", "HLDA", "DACK", "MEMR",
	                                                "IOR",  "IOW", "MEMW", "TC",   "FAULT"};

	return name[line];
}

/* ---- registers ---- */

static void master_clear(struct dmac *dmac)
{
	dmac->command = 0;
	dmac->temporary = 0;
	dmac->high_byte = false;
	dmac->priority = 0;
	for (unsigned c = 0; c < DMAC_CHANNELS; c++) {
		dmac->channel[c].masked = true;
		dmac->channel[c].requested = false;
		dmac->channel[c].reached_tc = false;
	}
}

static uint8_t half_of(const struct dmac *dmac, uint16_t value)
{
	return (uint8_t)(dmac->high_byte ? value >> 8 : value);
}

static void set_half(const struct dmac *dmac, uint16_t *value, uint8_t byte)
{
	if (dmac->high_byte)
		*value = (uint16_t)((*value & 0xff) | byte << 8);
	else
		*value = (uint16_t)((*value & 0xff00) | byte);
}

static uint8_t read_status(struct dmac *dmac)
{
	uint8_t status = 0;

	for (unsigned c = 0; c < DMAC_CHANNELS; c++) {
		struct dmac_channel *channel = &dmac->channel[c];

		status |= (uint8_t)((channel->reached_tc ? 1u : 0u) << c);
		status |= (uint8_t)((channel->dreq || channel->requested ? 16u : 0u) << c);
		channel->reached_tc = false;
	}
	return status;
}

static uint64_t reg_read(void *arg, uint64_t offset, unsigned width)
{
	struct dmac *dmac = arg;
	uint8_t value = 0;

	(void)width;
	if (offset < 8) {
		const struct dmac_channel *channel = &dmac->channel[offset / 2];

		value = half_of(dmac, offset % 2 ? channel->count : channel->address);
		dmac->high_byte = !dmac->high_byte;
	} else if (offset == 0x8) {
		value = read_status(dmac);
	} else if (offset == 0xd) {
		value = dmac->temporary;
	} else if (offset >= 0x10) {
		value = dmac->channel[offset - 0x10].page;
	}
	return value;
}

static void write_channel(struct dmac *dmac, uint64_t offset, uint8_t value)
{
	struct dmac_channel *channel = &dmac->channel[offset / 2];

	if (offset % 2) {
		set_half(dmac, &channel->base_count, value);
		channel->count = channel->base_count;
	} else {
		set_half(dmac, &channel->base_address, value);
		channel->address = channel->base_address;
	}
	dmac->high_byte = !dmac->high_byte;
}

static void write_masks(struct dmac *dmac, unsigned bits)
{
	for (unsigned c = 0; c < DMAC_CHANNELS; c++)
		dmac->channel[c].masked = bits >> c & 1;
}

static void reg_write(void *arg, uint64_t offset, uint64_t written, unsigned width)
{
	struct dmac *dmac = arg;
	const uint8_t value = (uint8_t)written;
	struct dmac_channel *named = &dmac->channel[value & 3];

	(void)width;
	if (offset < 8)
		write_channel(dmac, offset, value);
	else if (offset == 0x8)
		dmac->command = value;
	else if (offset == 0x9)
		named->requested = value & 4;
	else if (offset == 0xa)
		named->masked = value & 4;
	else if (offset == 0xb)
		named->mode = value & 0xfc;
	else if (offset == 0xc)
		dmac->high_byte = false;
	else if (offset == 0xd)
		master_clear(dmac);
	else if (offset == 0xe || offset == 0xf)
		write_masks(dmac, offset == 0xe ? 0 : value);
	else
		dmac->channel[offset - 0x10].page = value;
}

static const struct tmm_register_ops reg_ops = {reg_read, reg_write};

void dmac_init(struct dmac *dmac, struct tmm_device *device)
{
	memset(dmac, 0, sizeof(*dmac));
	dmac->device = device;
	master_clear(dmac);
}

tmm_err dmac_attach(struct dmac *dmac, struct tmm_bus *bus, tmm_paddr start)
{
	dmac->block = (struct tmm_bus_block){.name = "dmac",
	                                     .start = start,
	                                     .size_bytes = DMAC_BYTES,
	                                     .widths = 1,
	                                     .ops = &reg_ops,
	                                     .arg = dmac};
	return tmm_bus_attach(bus, &dmac->block);
}

void dmac_connect(struct dmac *dmac, unsigned channel, const struct dmac_port *port)
{
	dmac->channel[channel].port = *port;
}

/* ---- lines ---- */

void dmac_dreq(struct dmac *dmac, unsigned channel, bool level)
{
	if (dmac->channel[channel].dreq == level)
		return;
	dmac->channel[channel].dreq = level;
	set_level(dmac, DMAC_DREQ, channel, level);
}

void dmac_hlda(struct dmac *dmac, bool level)
{
	if (dmac->hlda == level)
		return;
	dmac->hlda = level;
	set_level(dmac, DMAC_HLDA, 0, level);
}

static void set_hrq(struct dmac *dmac, bool level)
{
	set_level(dmac, DMAC_HRQ, 0, level);
	if (dmac->hrq)
		dmac->hrq(dmac->arg, level);
}

static void set_dack(struct dmac *dmac, bool level)
{
	const struct dmac_port *port = &dmac->channel[dmac->served].port;

	set_level(dmac, DMAC_DACK, dmac->served, level);
	if (port->dack)
		port->dack(port->arg, level);
}

/* ---- moving a byte ---- */

static uint32_t address_of(const struct dmac_channel *channel)
{
	return (uint32_t)channel->page << 16 | channel->address;
}

static void fault(struct dmac *dmac, unsigned c)
{
	dmac->nr_faults++;
	show(dmac, (struct dmac_event){.line = DMAC_FAULT,
	                               .channel = c,
	                               .address = address_of(&dmac->channel[c])});
}

static void command(struct dmac *dmac, enum dmac_line line, unsigned c)
{
	show(dmac, (struct dmac_event){.line = line,
	                               .channel = c,
	                               .address = address_of(&dmac->channel[c]),
	                               .byte = dmac->temporary});
}

static void memory_read(struct dmac *dmac, unsigned c)
{
	const tmm_dma_addr at = {address_of(&dmac->channel[c])};
	tmm_err err = tmm_dma_device_read(dmac->device, at, &dmac->temporary, 1);

	if (err != TMM_OK)
		dmac->temporary = 0xff;
	command(dmac, DMAC_MEMR, c);
	if (err != TMM_OK)
		fault(dmac, c);
}

static void memory_write(struct dmac *dmac, unsigned c)
{
	const tmm_dma_addr at = {address_of(&dmac->channel[c])};
	tmm_err err = tmm_dma_device_write(dmac->device, at, &dmac->temporary, 1);

	command(dmac, DMAC_MEMW, c);
	if (err != TMM_OK)
		fault(dmac, c);
}

static void device_read(struct dmac *dmac)
{
	const struct dmac_port *port = &dmac->channel[dmac->served].port;

	dmac->temporary = port->read ? port->read(port->arg) : 0xff;
	command(dmac, DMAC_IOR, dmac->served);
}

static void device_write(struct dmac *dmac)
{
	const struct dmac_port *port = &dmac->channel[dmac->served].port;

	command(dmac, DMAC_IOW, dmac->served);
	if (port->write)
		port->write(port->arg, dmac->temporary);
}

static bool is_memory_to_memory(const struct dmac *dmac)
{
	return dmac->command & DMAC_MEMORY_TO_MEMORY && dmac->served == 0;
}

static void reading_half(struct dmac *dmac)
{
	const unsigned type = dmac->channel[dmac->served].mode & (3u << 2);

	if (is_memory_to_memory(dmac) || type == DMAC_READ)
		memory_read(dmac, dmac->served);
	else if (type == DMAC_WRITE)
		device_read(dmac);
}

static void writing_half(struct dmac *dmac)
{
	const unsigned type = dmac->channel[dmac->served].mode & (3u << 2);

	if (is_memory_to_memory(dmac))
		memory_write(dmac, 1);
	else if (type == DMAC_READ)
		device_write(dmac);
	else if (type == DMAC_WRITE)
		memory_write(dmac, dmac->served);
	dmac->nr_bytes++;
}

static void step_address(struct dmac_channel *channel)
{
	/* 16 bits: it wraps, and the page register knows nothing of it */
	channel->address = (uint16_t)(channel->address + (channel->mode & DMAC_DOWN ? -1 : 1));
}

static void end_of_count(struct dmac *dmac, struct dmac_channel *channel)
{
	set_level(dmac, DMAC_TC, dmac->served, true);
	channel->reached_tc = true;
	channel->requested = false;
	if (channel->mode & DMAC_AUTO) {
		channel->address = channel->base_address;
		channel->count = channel->base_count;
	} else {
		channel->masked = true;
	}
	if (dmac->channel[dmac->served].port.terminal_count)
		dmac->channel[dmac->served].port.terminal_count(
			dmac->channel[dmac->served].port.arg);
}

/* After a byte; true: it was the last of the count. */
static bool step_channel(struct dmac *dmac)
{
	struct dmac_channel *channel = &dmac->channel[dmac->served], *counts = channel;

	if (is_memory_to_memory(dmac)) {
		counts = &dmac->channel[1];
		step_address(counts);
		if (!(dmac->command & DMAC_HOLD_ADDRESS))
			step_address(channel);
	} else {
		step_address(channel);
	}
	if (counts->count-- > 0)
		return false;
	if (counts != channel)
		channel->requested = false;
	end_of_count(dmac, counts);
	return true;
}

/* ---- states ---- */

static bool wants_service(const struct dmac *dmac, unsigned c)
{
	const struct dmac_channel *channel = &dmac->channel[c];

	return channel->requested || (channel->dreq && !channel->masked);
}

/* The channel whose turn it is; DMAC_CHANNELS: nobody asks. */
static unsigned next_channel(const struct dmac *dmac)
{
	for (unsigned i = 0; i < DMAC_CHANNELS; i++) {
		unsigned c = (dmac->priority + i) % DMAC_CHANNELS;

		if (wants_service(dmac, c))
			return c;
	}
	return DMAC_CHANNELS;
}

static void release(struct dmac *dmac)
{
	if (dmac->command & DMAC_ROTATING)
		dmac->priority = (dmac->served + 1) % DMAC_CHANNELS;
	set_dack(dmac, false);
	set_hrq(dmac, false);
	dmac->state = DMAC_RELEASES;
}

static void acknowledge(struct dmac *dmac)
{
	unsigned c = next_channel(dmac);

	/* Whoever asked may have changed its mind meanwhile. */
	if (c == DMAC_CHANNELS) {
		set_hrq(dmac, false);
		dmac->state = DMAC_RELEASES;
		return;
	}
	dmac->served = c;
	dmac->phase = 0;
	dmac->state = DMAC_ACTIVE;
	set_dack(dmac, true);
}

/* Is the channel's device ready for the command of this clock? */
static bool is_ready(const struct dmac *dmac, unsigned last)
{
	const struct dmac_channel *channel = &dmac->channel[dmac->served];
	const unsigned type = channel->mode & (3u << 2);

	if (is_memory_to_memory(dmac) || !channel->port.ready ||
	    dmac->phase != (type == DMAC_WRITE ? last / 2 : last))
		return true;
	return channel->port.ready(channel->port.arg);
}

static bool goes_on(const struct dmac *dmac, bool was_last)
{
	const struct dmac_channel *channel = &dmac->channel[dmac->served];
	const unsigned mode = channel->mode & DMAC_MODE;

	if (was_last)
		return false;
	if (is_memory_to_memory(dmac) || mode == DMAC_BLOCK)
		return true;
	return mode == DMAC_DEMAND && (channel->dreq || channel->requested);
}

static void move(struct dmac *dmac)
{
	const unsigned last = dmac->command & DMAC_COMPRESSED ? 1 : 3;

	if ((dmac->channel[dmac->served].mode & DMAC_MODE) == DMAC_CASCADE) {
		if (!dmac->channel[dmac->served].dreq)
			release(dmac);
		return;
	}
	if (!is_ready(dmac, last))
		return;
	if (dmac->phase == last / 2)
		reading_half(dmac);
	if (dmac->phase++ < last)
		return;
	writing_half(dmac);
	dmac->phase = 0;
	if (!goes_on(dmac, step_channel(dmac)))
		release(dmac);
}

bool dmac_clock(struct dmac *dmac)
{
	dmac->clock++;
	switch (dmac->state) {
	case DMAC_IDLE:
		if (dmac->command & DMAC_DISABLE || next_channel(dmac) == DMAC_CHANNELS)
			return false;
		dmac->state = DMAC_WAITS;
		set_hrq(dmac, true);
		break;
	case DMAC_WAITS:
		if (dmac->hlda)
			acknowledge(dmac);
		break;
	case DMAC_ACTIVE:
		move(dmac);
		break;
	case DMAC_RELEASES:
		if (!dmac->hlda)
			dmac->state = DMAC_IDLE;
		break;
	}
	return true;
}
