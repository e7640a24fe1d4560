#include "chip.h"

#include "rot13.h"

static uint8_t turned(uint8_t letter)
{
	uint8_t low = letter | 0x20;

	if (low < 'a' || low > 'z')
		return letter;
	return (uint8_t)(low < 'n' ? letter + 13 : letter - 13);
}

/* Pieces of the buffer, as they fit into the chip. */
static bool turn(struct chip *chip, uint64_t addr, uint32_t len)
{
	uint8_t bytes[256];

	for (uint32_t n; len > 0; len -= n, addr += n) {
		n = len < sizeof(bytes) ? len : sizeof(bytes);
		if (tmm_dma_device_read(chip->device, (tmm_dma_addr){addr}, bytes, n))
			return false;
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = turned(bytes[i]);
		if (tmm_dma_device_write(chip->device, (tmm_dma_addr){addr}, bytes, n))
			return false;
		chip->nr_bytes += n;
	}
	return true;
}

/* What waits in the ring. */
static void work(struct chip *chip)
{
	bool was_done = false;

	while (chip->size && chip->head != chip->tail) {
		tmm_dma_addr at = {chip->ring + chip->head * sizeof(struct rot13_desc)};
		struct rot13_desc desc;

		if (tmm_dma_device_read(chip->device, at, &desc, sizeof(desc)))
			return;
		desc.status = turn(chip, desc.addr, desc.len) ? ROT13_DONE : ROT13_FAILED;
		if (tmm_dma_device_write(chip->device, at, &desc, sizeof(desc)))
			return;
		chip->head = (chip->head + 1) % chip->size;
		chip->nr_done++;
		was_done = true;
	}
	if (!was_done)
		return;
	chip->irq = true;
	if (chip->interrupt)
		chip->interrupt(chip->arg);
}

static uint64_t read_register(void *arg, uint64_t offset, unsigned width)
{
	const struct chip *chip = arg;

	(void)width;
	switch (offset) {
	case ROT13_ID:
		return ROT13_ID_VALUE;
	case ROT13_RING_LO:
		return (uint32_t)chip->ring;
	case ROT13_RING_HI:
		return chip->ring >> 32;
	case ROT13_SIZE:
		return chip->size;
	case ROT13_HEAD:
		return chip->head;
	case ROT13_TAIL:
		return chip->tail;
	case ROT13_IRQ:
		return chip->irq;
	}
	return 0;
}

static void write_register(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	struct chip *chip = arg;

	(void)width;
	switch (offset) {
	case ROT13_RING_LO:
		chip->ring = (chip->ring & ~UINT64_C(0xffffffff)) | value;
		break;
	case ROT13_RING_HI:
		chip->ring = (chip->ring & UINT64_C(0xffffffff)) | value << 32;
		break;
	case ROT13_SIZE:
		chip->size = (uint32_t)value;
		chip->head = chip->tail = 0;
		break;
	case ROT13_TAIL:
		chip->tail = chip->size ? (uint32_t)value % chip->size : 0;
		work(chip);
		break;
	case ROT13_IRQ:
		chip->irq = chip->irq && !value;
		break;
	}
}

tmm_err chip_attach(struct chip *chip, struct tmm_bus *bus, tmm_paddr start)
{
	static const struct tmm_register_ops ops = {read_register, write_register};

	chip->block = (struct tmm_bus_block){.name = "rot13",
	                                     .start = start,
	                                     .size_bytes = ROT13_BYTES,
	                                     .widths = 4,
	                                     .ops = &ops,
	                                     .arg = chip};
	return tmm_bus_attach(bus, &chip->block);
}
