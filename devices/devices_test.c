/*
 * devices_test.c - the controller's signals mode by mode, and the bytes it moves
 */
#include "board.h"

#include "device/rig_test.h"

#define DMAC_AT    UINT64_C(0xd0000000)
#define DISK_AT    UINT64_C(0xd0001000)
#define SECTOR     64u
#define NR_SECTORS 64u

static struct {
	struct tmm_device isa, master;
	struct dmac dmac;
	struct disk disk;
	struct board board;
	uint8_t medium[SECTOR * NR_SECTORS];
	unsigned interrupts;
} b;

static void count_interrupt(void *arg)
{
	(void)arg;
	b.interrupts++;
}

static void out8(uint64_t offset, unsigned value)
{
	CHECK(tmm_bus_write(&m.machine.bus, (tmm_paddr){DMAC_AT + offset}, 1, value) == TMM_OK);
}

static unsigned in8(uint64_t offset)
{
	uint64_t value;

	CHECK(tmm_bus_read(&m.machine.bus, (tmm_paddr){DMAC_AT + offset}, 1, &value) == TMM_OK);
	return (unsigned)value;
}

static void out32(enum disk_register reg, uint32_t value)
{
	CHECK(tmm_bus_write(&m.machine.bus, (tmm_paddr){DISK_AT + reg}, 4, value) == TMM_OK);
}

static uint32_t in32(enum disk_register reg)
{
	uint64_t value;

	CHECK(tmm_bus_read(&m.machine.bus, (tmm_paddr){DISK_AT + reg}, 4, &value) == TMM_OK);
	return (uint32_t)value;
}

static void power_on_with(struct tmm_shape shape, uint64_t ram_bytes, unsigned pace)
{
	boot_shape(shape, ram_bytes);
	tmm_device_add(&m.machine.dma, &b.isa, "isa");
	CHECK(tmm_dma_set_mask_and_coherent(&b.isa, TMM_DMA_BIT_MASK(24)) == TMM_OK);
	tmm_device_add(&m.machine.dma, &b.master, "disk");
	dmac_init(&b.dmac, &b.isa);
	disk_init(&b.disk, &(const struct disk_config){.device = &b.master,
	                                               .dmac = &b.dmac,
	                                               .channel = 2,
	                                               .medium = b.medium,
	                                               .sector_bytes = SECTOR,
	                                               .nr_sectors = NR_SECTORS,
	                                               .pace = pace,
	                                               .threshold = pace,
	                                               .interrupt = count_interrupt});
	board_init(&b.board, &b.dmac, &b.disk);
	CHECK(dmac_attach(&b.dmac, &m.machine.bus, (tmm_paddr){DMAC_AT}) == TMM_OK);
	CHECK(disk_attach(&b.disk, &m.machine.bus, (tmm_paddr){DISK_AT}) == TMM_OK);
	for (unsigned i = 0; i < sizeof(b.medium); i++)
		b.medium[i] = (uint8_t)(i * 13 + i / 256);
	b.interrupts = 0;
}

static void power_on(unsigned pace)
{
	power_on_with((struct tmm_shape){.dma_debug = TMM_DMA_DEBUG}, 64 * MB, pace);
}

static void power_off(void)
{
	board_free(&b.board);
	tmm_bus_detach(&m.machine.bus, &b.dmac.block);
	tmm_bus_detach(&m.machine.bus, &b.disk.block);
	tmm_device_remove(&b.isa);
	tmm_device_remove(&b.master);
	halt();
}

static void program(unsigned channel, uint64_t address, unsigned bytes, unsigned mode)
{
	out8(0xa, 4 | channel);
	out8(0xc, 0);
	out8(2 * channel, address & 0xff);
	out8(2 * channel, address >> 8 & 0xff);
	out8(2 * channel + 1, (bytes - 1) & 0xff);
	out8(2 * channel + 1, (bytes - 1) >> 8);
	out8(0x10 + channel, (unsigned)(address >> 16));
	out8(0xb, mode | channel);
	out8(0xa, channel);
}

static void command(enum disk_command what, uint32_t sector, uint32_t count)
{
	out32(DISK_SECTOR, sector);
	out32(DISK_COUNT, count);
	out32(DISK_COMMAND, what);
}

/* ---- the rules of the wires, checked over a trace ---- */

struct wires {
	bool dreq[DMAC_CHANNELS], hrq, hlda, dack;
	unsigned channel;
	unsigned bytes; /* moved since HLDA */
	bool tc;        /* since HLDA */
	uint64_t read_at;
	bool was_read;
	uint64_t services, total, nr_tc;
};

static void check_level(struct wires *w, const struct dmac_event *event, unsigned mode)
{
	if (event->line == DMAC_DREQ) {
		CHECK(w->dreq[event->channel] != event->level);
		w->dreq[event->channel] = event->level;
	} else if (event->line == DMAC_HRQ) {
		CHECK(w->hrq != event->level && (event->level || !w->dack));
		CHECK(!event->level || !w->hlda);
		w->hrq = event->level;
	} else if (event->line == DMAC_HLDA) {
		CHECK(w->hlda != event->level && event->level == w->hrq);
		w->hlda = event->level;
		w->services += event->level;
		w->bytes = 0;
		w->tc = false;
	} else {
		CHECK(w->dack != event->level && w->hlda && w->hrq);
		w->dack = event->level;
		w->channel = event->channel;
		if (event->level)
			return;
		/* why the bus is given back */
		if (mode == DMAC_SINGLE)
			CHECK(w->bytes == 1);
		else if (mode == DMAC_BLOCK)
			CHECK(w->tc);
		else if (mode == DMAC_DEMAND)
			CHECK(w->tc || !w->dreq[w->channel]);
	}
}

static void check_event(struct wires *w, const struct dmac_event *event, unsigned mode,
                        unsigned type)
{
	if (event->line <= DMAC_DACK) {
		check_level(w, event, mode);
		return;
	}
	CHECK(w->dack && w->hlda && event->channel == w->channel);
	if (event->line == (type == DMAC_WRITE ? DMAC_IOR : DMAC_MEMR)) {
		CHECK(!w->was_read && !w->tc);
		w->was_read = true;
		w->read_at = event->clock;
	} else if (event->line == (type == DMAC_WRITE ? DMAC_MEMW : DMAC_IOW)) {
		CHECK(w->was_read && event->clock > w->read_at);
		w->was_read = false;
		w->bytes++;
		w->total++;
	} else {
		CHECK(event->line == DMAC_TC && w->bytes > 0 && !w->was_read);
		w->tc = true;
		w->nr_tc++;
	}
}

static struct wires check_wires(unsigned mode, unsigned type)
{
	struct wires w = {.hrq = false};
	uint64_t clock = 0;

	for (size_t i = 0; i < b.board.trace.nr; i++) {
		CHECK(b.board.trace.event[i].clock >= clock);
		clock = b.board.trace.event[i].clock;
		check_event(&w, &b.board.trace.event[i], mode, type);
	}
	CHECK(!w.hrq && !w.hlda && !w.dack && !b.board.trace.is_cut);
	return w;
}

/* ---- order of signals ---- */

static bool lines_are(const enum dmac_line *line, size_t nr)
{
	if (b.board.trace.nr < nr)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (b.board.trace.event[i].line != line[i])
			return false;
	return true;
}

/*
 *   DREQ  _/-----------\____     HRQ   __/----------\___
 *   HLDA  ____/----------\__     DACK  ______/------\___
 *   IOR   ________#_________     MEMW  __________#______     TC  __________#______
 */
TEST(one_byte_goes_through_request_hold_and_acknowledge)
{
	/* the device's buffer is empty with the first read: DREQ falls there */
	static const enum dmac_line order[] = {DMAC_DREQ, DMAC_HRQ, DMAC_HLDA, DMAC_DACK,
	                                       DMAC_DREQ, DMAC_IOR, DMAC_MEMW, DMAC_TC,
	                                       DMAC_DACK, DMAC_HRQ, DMAC_HLDA};
	struct tmm_device *isa = &b.isa;
	tmm_dma_addr addr;
	uint8_t *memory;

	power_on(0);
	b.disk.sector_bytes = 1;
	memory = tmm_dma_alloc_coherent(isa, 16, &addr, TMM_GFP_KERNEL);
	program(2, addr.v, 1, DMAC_WRITE | DMAC_SINGLE);
	command(DISK_READ, 5, 1);
	CHECK(board_run(&b.board, 1000) < 30);
	CHECK(b.board.trace.nr == ARRAY_SIZE(order) && lines_are(order, ARRAY_SIZE(order)));
	CHECK(memory[0] == b.medium[5] && b.interrupts == 1);
	CHECK(in32(DISK_STATUS) == DISK_DONE);
	CHECK(in8(8) == 1u << 2 && in8(8) == 0); /* TC, cleared by reading */
	tmm_dma_free_coherent(isa, 16, memory, addr);
	power_off();
}

/* Each mode, direction, pace and speed: the rules hold and the bytes arrive. */
TEST(every_mode_keeps_the_rules_of_the_wires_and_moves_every_byte)
{
	static const unsigned modes[] = {DMAC_SINGLE, DMAC_BLOCK, DMAC_DEMAND};
	static const unsigned types[] = {DMAC_WRITE, DMAC_READ};
	static const unsigned paces[] = {0, 1, 3, 20};
	uint64_t services[3] = {0};

	for (unsigned i = 0; i < 3 * 2 * 4 * 2; i++) {
		unsigned mode = modes[i % 3], type = types[i / 3 % 2], pace = paces[i / 6 % 4];
		const unsigned bytes = 3 * SECTOR;
		tmm_dma_addr addr;
		uint8_t *memory;
		struct wires w;

		power_on(pace);
		out8(8, i / 24 ? DMAC_COMPRESSED : 0);
		memory = tmm_dma_alloc_coherent(&b.isa, bytes, &addr, TMM_GFP_KERNEL);
		for (unsigned n = 0; n < bytes; n++)
			memory[n] = (uint8_t)(n * 5 + i);
		program(2, addr.v, bytes, mode | type);
		command(type == DMAC_WRITE ? DISK_READ : DISK_WRITE, 7, 3);
		board_run(&b.board, 100000);
		w = check_wires(mode, type);
		CHECK(w.total == bytes && w.nr_tc == 1 && b.dmac.nr_faults == 0);
		if (mode == DMAC_SINGLE)
			CHECK(w.services == bytes);
		if (mode == DMAC_BLOCK)
			CHECK(w.services == 1);
		services[i % 3] += w.services;
		CHECK(in32(DISK_STATUS) == DISK_DONE && b.interrupts == 1);
		CHECK(memcmp(memory, b.medium + 7 * SECTOR, bytes) == 0);
		tmm_dma_free_coherent(&b.isa, bytes, memory, addr);
		power_off();
	}
	/* demand is in between: it goes on while the device has something */
	CHECK(services[1] < services[2] && services[2] < services[0]);
}

TEST(the_processor_keeps_the_bus_as_long_as_it_likes)
{
	tmm_dma_addr addr;
	uint8_t *memory;

	power_on(0);
	memory = tmm_dma_alloc_coherent(&b.isa, SECTOR, &addr, TMM_GFP_KERNEL);
	program(2, addr.v, SECTOR, DMAC_WRITE | DMAC_DEMAND);
	b.board.is_held = true;
	command(DISK_READ, 0, 1);
	CHECK(board_run(&b.board, 500) == 500 && b.dmac.nr_bytes == 0);
	CHECK(b.dmac.state == DMAC_WAITS && in8(8) == 16u << 2);
	b.board.is_held = false;
	board_run(&b.board, 10000);
	CHECK(b.dmac.nr_bytes == SECTOR && memcmp(memory, b.medium, SECTOR) == 0);
	tmm_dma_free_coherent(&b.isa, SECTOR, memory, addr);
	power_off();
}

static uint8_t next_byte(void *arg)
{
	return (*(uint8_t *)arg)++;
}

/* The order in which channels get DACK while all of them ask. */
static void order_of(bool rotating, unsigned *order, unsigned nr)
{
	uint8_t source[DMAC_CHANNELS] = {0};
	tmm_dma_addr addr;
	unsigned got = 0;
	void *memory;

	power_on(0);
	memory = tmm_dma_alloc_coherent(&b.isa, 4096, &addr, TMM_GFP_KERNEL);
	out8(8, DMAC_DISABLE | (rotating ? DMAC_ROTATING : 0));
	for (unsigned c = 0; c < DMAC_CHANNELS; c++) {
		dmac_connect(&b.dmac, c,
		             &(const struct dmac_port){.read = next_byte, .arg = &source[c]});
		program(c, addr.v + 256 * c, 3, DMAC_WRITE | DMAC_SINGLE);
		dmac_dreq(&b.dmac, c, true);
	}
	CHECK(board_run(&b.board, 100) == 0); /* disabled */
	out8(8, rotating ? DMAC_ROTATING : 0);
	board_run(&b.board, 10000);
	for (size_t i = 0; i < b.board.trace.nr; i++) {
		const struct dmac_event *event = &b.board.trace.event[i];

		if (event->line == DMAC_DACK && event->level && got < nr)
			order[got++] = event->channel;
	}
	CHECK(got == nr);
	for (unsigned c = 0; c < DMAC_CHANNELS; c++)
		dmac_dreq(&b.dmac, c, false);
	tmm_dma_free_coherent(&b.isa, 4096, memory, addr);
	power_off();
}

TEST(priority_is_fixed_or_rotates)
{
	static const unsigned fixed[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
	static const unsigned rotating[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
	unsigned order[12];

	order_of(false, order, 12);
	CHECK(memcmp(order, fixed, sizeof(order)) == 0);
	order_of(true, order, 12);
	CHECK(memcmp(order, rotating, sizeof(order)) == 0);
}

TEST(auto_initialisation_starts_over_and_falling_addresses_fall)
{
	tmm_dma_addr addr;
	uint8_t *memory, source = 0;

	power_on(0);
	dmac_connect(&b.dmac, 1, &(const struct dmac_port){.read = next_byte, .arg = &source});
	memory = tmm_dma_alloc_coherent(&b.isa, 4096, &addr, TMM_GFP_KERNEL);
	program(1, addr.v + 7, 8, DMAC_WRITE | DMAC_BLOCK | DMAC_AUTO | DMAC_DOWN);
	for (unsigned round = 0; round < 3; round++) {
		out8(9, 4 | 1); /* asked for by software */
		board_run(&b.board, 10000);
		for (unsigned i = 0; i < 8; i++)
			CHECK(memory[7 - i] == (uint8_t)(8 * round + i));
		CHECK(in8(8) == 1u << 1);
		out8(0xc, 0);
		CHECK(in8(2) == ((addr.v + 7) & 0xff) && in8(2) == ((addr.v + 7) >> 8 & 0xff));
	}
	CHECK(memory[8] == 0);
	tmm_dma_free_coherent(&b.isa, 4096, memory, addr);
	power_off();
}

TEST(memory_goes_to_memory_over_two_channels)
{
	tmm_dma_addr addr;
	uint8_t *memory;

	power_on(0);
	memory = tmm_dma_alloc_coherent(&b.isa, 4096, &addr, TMM_GFP_KERNEL);
	for (unsigned hold = 0; hold < 2; hold++) {
		memset(memory, 0, 4096);
		for (unsigned i = 0; i < 100; i++)
			memory[i] = (uint8_t)(i + 50);
		out8(8, DMAC_MEMORY_TO_MEMORY | (hold ? DMAC_HOLD_ADDRESS : 0));
		program(0, addr.v, 1, DMAC_BLOCK);
		program(1, addr.v + 1000, 100, DMAC_BLOCK);
		out8(9, 4);
		board_run(&b.board, 10000);
		for (unsigned i = 0; i < 100; i++)
			CHECK(memory[1000 + i] == (hold ? 50 : (uint8_t)(i + 50)));
		CHECK(memory[1100] == 0 && in8(8) & 1u << 1);
	}
	tmm_dma_free_coherent(&b.isa, 4096, memory, addr);
	power_off();
}

TEST(a_cascaded_controller_gets_the_bus_and_moves_nothing)
{
	power_on(0);
	out8(0xb, DMAC_CASCADE | 3);
	out8(0xa, 3);
	dmac_dreq(&b.dmac, 3, true);
	board_run(&b.board, 50);
	CHECK(b.dmac.state == DMAC_ACTIVE && b.dmac.nr_bytes == 0);
	dmac_dreq(&b.dmac, 3, false);
	CHECK(board_run(&b.board, 50) < 10 && b.dmac.state == DMAC_IDLE);
	power_off();
}

/* ---- limits and mistakes ---- */

TEST(sixteen_bits_of_address_wrap_within_the_page)
{
	tmm_pfn run;
	char *memory;
	uint64_t at;

	power_on_with((struct tmm_shape){0}, 64 * MB, 0);
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL | TMM_GFP_DMA | TMM_GFP_ZERO, 5,
	                      &run) == TMM_OK);
	memory = tmm_page_address(&m.machine.pages, run);
	at = (run.v << TMM_PAGE_SHIFT) + 0xfff0; /* 16 bytes before the end of 64 KiB */
	CHECK(at % 0x10000 == 0xfff0);
	program(2, at, SECTOR, DMAC_WRITE | DMAC_SINGLE);
	command(DISK_READ, 0, 1);
	board_run(&b.board, 10000);
	CHECK(memcmp(memory + 0xfff0, b.medium, 16) == 0);
	CHECK(memcmp(memory, b.medium + 16, SECTOR - 16) == 0 && memory[0x10000] == 0);
	tmm_pages_free(&m.machine.pages, run, 5);
	power_off();
}

/* RAM of 8 MiB: nothing answers at 12 MiB, though 24 bits reach it. */
TEST(an_address_without_memory_is_a_fault_on_the_wires)
{
	power_on_with((struct tmm_shape){.min_free_kbytes = 16}, 8 * MB, 0);
	program(2, 12 * MB, SECTOR, DMAC_WRITE | DMAC_SINGLE);
	command(DISK_READ, 0, 1);
	board_run(&b.board, 10000);
	CHECK(b.dmac.nr_faults == SECTOR && in32(DISK_STATUS) == DISK_DONE);
	for (unsigned i = 0; i < SECTOR; i++)
		b.medium[i] = 0;
	program(2, 12 * MB, SECTOR, DMAC_READ | DMAC_SINGLE);
	command(DISK_WRITE, 0, 1);
	board_run(&b.board, 10000);
	for (unsigned i = 0; i < SECTOR; i++)
		CHECK(b.medium[i] == 0xff);
	power_off();
}

TEST(a_buffer_out_of_24_bits_is_reached_through_a_bounce_buffer)
{
	struct tmm_dma_counts counts;
	tmm_dma_addr addr;
	uint8_t *buffer;
	tmm_pfn pfn;

	power_on(0);
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	CHECK(pfn.v << TMM_PAGE_SHIFT >= 16 * MB);
	buffer = tmm_page_address(&m.machine.pages, pfn);
	addr = tmm_dma_map_single(&b.isa, buffer, SECTOR, TMM_DMA_FROM_DEVICE);
	CHECK(!tmm_dma_mapping_error(&b.isa, addr) && addr.v < 16 * MB);
	program(2, addr.v, SECTOR, DMAC_WRITE | DMAC_DEMAND);
	command(DISK_READ, 9, 1);
	board_run(&b.board, 10000);
	CHECK(memcmp(buffer, b.medium + 9 * SECTOR, SECTOR) != 0);
	tmm_dma_unmap_single(&b.isa, addr, SECTOR, TMM_DMA_FROM_DEVICE);
	CHECK(memcmp(buffer, b.medium + 9 * SECTOR, SECTOR) == 0);
	tmm_dma_counts(&m.machine.dma, &counts);
	CHECK(counts.bounced == 1 && counts.bytes_bounced_out == SECTOR);
	tmm_pages_free(&m.machine.pages, pfn, 0);
	power_off();
}

static void move_unmapped(void *arg)
{
	(void)arg;
	program(2, 0x200000, SECTOR, DMAC_WRITE | DMAC_SINGLE);
	command(DISK_READ, 0, 1);
	board_run(&b.board, 10000);
}

TEST(a_controller_programmed_with_an_unmapped_address_is_caught)
{
	power_on(0);
	CHECK(test_panics(move_unmapped, NULL) != NULL);
	board_free(&b.board);
}

static uint32_t fails(enum disk_command what, uint32_t sector, uint32_t count)
{
	command(what, sector, count);
	board_run(&b.board, 10000);
	CHECK(in32(DISK_STATUS) == (DISK_DONE | DISK_FAILED));
	out32(DISK_STATUS, 0);
	CHECK(in32(DISK_STATUS) == 0);
	return in32(DISK_ERROR);
}

TEST(the_disk_says_why_a_command_failed)
{
	struct disk_entry *list;
	tmm_dma_addr at, addr;
	uint8_t *memory;

	power_on_with((struct tmm_shape){0}, 64 * MB, 0);
	memory = tmm_dma_alloc_coherent(&b.isa, 4096, &addr, TMM_GFP_KERNEL);
	list = tmm_dma_alloc_coherent(&b.master, 4096, &at, TMM_GFP_KERNEL);
	CHECK(fails((enum disk_command)9, 0, 1) == DISK_E_COMMAND);
	CHECK(fails(DISK_READ, NR_SECTORS, 1) == DISK_E_RANGE);
	CHECK(fails(DISK_READ, 1, NR_SECTORS) == DISK_E_RANGE);
	CHECK(fails(DISK_READ, 0, 0) == DISK_E_RANGE);
	/* the controller counts less than the sector has */
	program(2, addr.v, SECTOR / 2, DMAC_WRITE | DMAC_SINGLE);
	CHECK(fails(DISK_READ, 0, 1) == DISK_E_COUNT);
	CHECK(memcmp(memory, b.medium, SECTOR / 2) == 0 && memory[SECTOR / 2] == 0);
	program(2, addr.v, SECTOR / 2, DMAC_READ | DMAC_SINGLE);
	CHECK(fails(DISK_WRITE, 0, 1) == DISK_E_COUNT);
	out32(DISK_LIST_LOW, (uint32_t)at.v);
	out32(DISK_ENTRIES, 1);
	list[0] = (struct disk_entry){addr.v, SECTOR - 1};
	CHECK(fails(DISK_READ_LIST, 0, 1) == DISK_E_LIST);
	list[0] = (struct disk_entry){0xc0000000, SECTOR};
	CHECK(fails(DISK_READ_LIST, 0, 1) == DISK_E_BUS);
	out32(DISK_LIST_HIGH, 1); /* beyond its 32 bits */
	CHECK(fails(DISK_READ_LIST, 0, 1) == DISK_E_BUS);
	CHECK(b.interrupts == 9);
	tmm_dma_free_coherent(&b.isa, 4096, memory, addr);
	tmm_dma_free_coherent(&b.master, 4096, list, at);
	power_off();
}

TEST(a_bus_master_moves_sectors_to_scattered_pages_and_back)
{
	struct disk_entry *list;
	struct tmm_sg_table table;
	struct tmm_sg *piece;
	tmm_pfn pfn[4];
	tmm_dma_addr at;
	unsigned nr;
	uint8_t got[16 * SECTOR];

	power_on(0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 0, &pfn[i]) == TMM_OK);
	list = tmm_dma_alloc_coherent(&b.master, 4096, &at, TMM_GFP_KERNEL);
	CHECK(tmm_sg_table_from_pages(&table, &m.machine.slabs,
	                              (const tmm_pfn[]){pfn[2], pfn[0], pfn[3]}, 3, 3700,
	                              sizeof(got), 400, TMM_GFP_KERNEL) == TMM_OK);
	for (unsigned way = 0; way < 2; way++) {
		enum tmm_dma_direction direction = way ? TMM_DMA_TO_DEVICE
		                                       : TMM_DMA_FROM_DEVICE;

		nr = tmm_dma_map_sg(&b.master, table.list, table.nr, direction);
		CHECK(nr > 0);
		piece = table.list;
		for (unsigned i = 0; i < nr; i++, piece = tmm_sg_next(piece))
			list[i] = (struct disk_entry){piece->dma_address.v, piece->dma_bytes};
		out32(DISK_LIST_LOW, (uint32_t)at.v);
		out32(DISK_LIST_HIGH, 0);
		out32(DISK_ENTRIES, nr);
		command(way ? DISK_WRITE_LIST : DISK_READ_LIST, way ? 40 : 4, 16);
		CHECK(in32(DISK_STATUS) == DISK_DONE && b.interrupts == 1 + way);
		tmm_dma_unmap_sg(&b.master, table.list, table.nr, direction);
		CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, table.list, got, sizeof(got),
		                            0) == sizeof(got));
		CHECK(memcmp(got, b.medium + 4 * SECTOR, sizeof(got)) == 0);
	}
	CHECK(memcmp(b.medium + 40 * SECTOR, b.medium + 4 * SECTOR, sizeof(got)) == 0);
	CHECK(b.board.trace.nr == 0); /* the controller had no part in it */
	tmm_sg_table_free(&table);
	tmm_dma_free_coherent(&b.master, 4096, list, at);
	for (unsigned i = 0; i < 4; i++)
		tmm_pages_free(&m.machine.pages, pfn[i], 0);
	power_off();
}
