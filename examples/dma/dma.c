/*
 * dma.c - a driver of a disk, twice: with a DMA controller, and with a disk that is
 * bus master
 *
 * The machine has 64 MiB, a controller that reaches the lowest 16 MiB, and a disk.
 * The driver talks to both as a Linux driver does: it claims and maps their registers, gets
 * memory and mappings from the DMA API, programs the registers, waits for the interrupt
 * and gives everything back.  What was on the controller's wires is printed, signal by
 * signal.
 *
 *	dma [--json] [single|block|demand|bounce|list ...]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/hosted.h>
#include <tuxmm/machine.h>

#include "board.h"

#define MIB          UINT64_C(0x100000)
#define RAM_BYTES    (64 * MIB)
#define DMAC_AT      UINT64_C(0xd0000000)
#define DISK_AT      UINT64_C(0xd0001000)
#define SECTOR_BYTES 16u
#define NR_SECTORS   256u
#define CHANNEL      2u
#define MANY_CLOCKS  UINT64_C(1000000)

struct pc {
	struct tmm_hosted_ram ram;
	struct tmm_machine *machine;
	struct tmm_bus *bus;
	struct tmm_iomem *iomem;
	struct tmm_dma *dma;
	struct tmm_io *io;
	char *dmac_regs, *disk_regs; /* where the driver has them */
	struct tmm_device isa, disk_device;
	struct dmac dmac;
	struct disk disk;
	struct board board;
	uint8_t medium[NR_SECTORS * SECTOR_BYTES];
	unsigned interrupts;
	bool json, is_first;
};

static void need(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "dma: %s\n", what);
	exit(1);
}

/* ---- the machine ---- */

static void interrupt(void *arg)
{
	struct pc *pc = arg;

	pc->interrupts++;
}

static void boot(struct pc *pc)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map),
	                                .nr_cpus = 1,
	                                .dma_debug = TMM_DMA_DEBUG};
	const char *why = "there is memory for the machine";

	need(tmm_hosted_ram_create(RAM_BYTES, &pc->ram) == TMM_OK, why);
	pc->machine = aligned_alloc(64, tmm_machine_bytes());
	need(pc->machine &&
	             tmm_machine_init(pc->machine, &shape, pc->ram.start, &why) == TMM_OK,
	     why);
	pc->bus = tmm_machine_bus(pc->machine);
	pc->iomem = tmm_machine_iomem(pc->machine);
	pc->dma = tmm_machine_dma(pc->machine);
	pc->io = tmm_machine_io(pc->machine);
}

/* Boards are soldered before drivers come. */
static void plug(struct pc *pc)
{
	tmm_device_add(pc->dma, &pc->isa, "dmac");
	tmm_device_add(pc->dma, &pc->disk_device, "disk");
	dmac_init(&pc->dmac, &pc->isa);
	disk_init(&pc->disk, &(const struct disk_config){.device = &pc->disk_device,
	                                                 .dmac = &pc->dmac,
	                                                 .channel = CHANNEL,
	                                                 .medium = pc->medium,
	                                                 .sector_bytes = SECTOR_BYTES,
	                                                 .nr_sectors = NR_SECTORS,
	                                                 .pace = 6,
	                                                 .threshold = 4,
	                                                 .interrupt = interrupt,
	                                                 .arg = pc});
	board_init(&pc->board, &pc->dmac, &pc->disk);
	need(dmac_attach(&pc->dmac, pc->bus, (tmm_paddr){DMAC_AT}) == TMM_OK &&
	             disk_attach(&pc->disk, pc->bus, (tmm_paddr){DISK_AT}) == TMM_OK,
	     "the devices have their addresses");
	for (unsigned i = 0; i < sizeof(pc->medium); i++)
		pc->medium[i] = (uint8_t)(i * 7 + i / SECTOR_BYTES);
}

/* ---- the driver ---- */

static void probe(struct pc *pc)
{
	struct tmm_resource_info whose;

	need(tmm_mem_region_request(pc->iomem, (tmm_paddr){DMAC_AT}, DMAC_BYTES, "dmac",
	                            &whose) == TMM_OK &&
	             tmm_mem_region_request(pc->iomem, (tmm_paddr){DISK_AT}, DISK_BYTES, "disk",
	                                    &whose) == TMM_OK,
	     "nobody has the registers");
	pc->dmac_regs = tmm_ioremap(pc->io, (tmm_paddr){DMAC_AT}, DMAC_BYTES);
	pc->disk_regs = tmm_ioremap(pc->io, (tmm_paddr){DISK_AT}, DISK_BYTES);
	need(pc->dmac_regs && pc->disk_regs, "the registers can be mapped");
	need(tmm_dma_set_mask_and_coherent(&pc->isa, TMM_DMA_BIT_MASK(24)) == TMM_OK &&
	             tmm_dma_set_mask_and_coherent(&pc->disk_device, TMM_DMA_BIT_MASK(32)) ==
	                     TMM_OK,
	     "the machine has memory that the devices reach");
}

static void unplug(struct pc *pc)
{
	tmm_iounmap(pc->io, pc->dmac_regs);
	tmm_iounmap(pc->io, pc->disk_regs);
	need(tmm_mem_region_release(pc->iomem, (tmm_paddr){DMAC_AT}, DMAC_BYTES) == TMM_OK &&
	             tmm_mem_region_release(pc->iomem, (tmm_paddr){DISK_AT}, DISK_BYTES) ==
	                     TMM_OK,
	     "the registers are ours");
	tmm_bus_detach(pc->bus, &pc->dmac.block);
	tmm_bus_detach(pc->bus, &pc->disk.block);
	tmm_device_remove(&pc->isa);
	tmm_device_remove(&pc->disk_device);
	board_free(&pc->board);
}

static void dmac_write(struct pc *pc, uint64_t reg, uint64_t value)
{
	tmm_writeb(pc->io, (uint8_t)value, pc->dmac_regs + reg);
}

static void disk_write(struct pc *pc, enum disk_register reg, uint32_t value)
{
	tmm_writel(pc->io, value, pc->disk_regs + reg);
}

static uint32_t disk_read(struct pc *pc, enum disk_register reg)
{
	return tmm_readl(pc->io, pc->disk_regs + reg);
}

static void program_channel(struct pc *pc, tmm_dma_addr addr, unsigned bytes, unsigned mode)
{
	dmac_write(pc, 0xa, 4 | CHANNEL); /* nothing moves meanwhile */
	dmac_write(pc, 0xc, 0);
	dmac_write(pc, 2 * CHANNEL, addr.v);
	dmac_write(pc, 2 * CHANNEL, addr.v >> 8);
	dmac_write(pc, 2 * CHANNEL + 1, bytes - 1);
	dmac_write(pc, 2 * CHANNEL + 1, (bytes - 1) >> 8);
	dmac_write(pc, 0x10 + CHANNEL, addr.v >> 16);
	dmac_write(pc, 0xb, mode | CHANNEL);
	dmac_write(pc, 0xa, CHANNEL);
}

static void run_command(struct pc *pc, enum disk_command command, uint32_t sector, uint32_t nr)
{
	unsigned before = pc->interrupts;

	disk_write(pc, DISK_SECTOR, sector);
	disk_write(pc, DISK_COUNT, nr);
	disk_write(pc, DISK_COMMAND, command);
	(void)board_run(&pc->board, MANY_CLOCKS);
	need(pc->interrupts == before + 1 && disk_read(pc, DISK_STATUS) == DISK_DONE,
	     "the disk did what it was told");
	disk_write(pc, DISK_STATUS, 0);
}

/* ---- the cases ---- */

struct report {
	const char *name, *what;
	uint64_t buffer, addr;
	unsigned bytes, stretches;
};

static void tell(struct pc *pc, const struct report *report)
{
	struct tmm_dma_counts counts;

	tmm_dma_counts(pc->dma, &counts);
	if (pc->json) {
		printf("%s\n  {\"case\": \"%s\", \"bytes\": %u, \"buffer\": %" PRIu64
		       ", \"address\": %" PRIu64 ", \"stretches\": %u, \"bounced\": %" PRIu64
		       ",\n   \"signals\": ",
		       pc->is_first ? "" : ",", report->name, report->bytes, report->buffer,
		       report->addr, report->stretches, counts.bounced);
		trace_json(&pc->board.trace, stdout);
		printf("}");
	} else {
		printf("%s%s: %s\n", pc->is_first ? "" : "\n", report->name, report->what);
		printf("  %u bytes, buffer at 0x%07" PRIx64 ", for the device at 0x%07" PRIx64
		       "%s\n",
		       report->bytes, report->buffer, report->addr,
		       report->buffer == report->addr ? "" : " (bounce buffer)");
		trace_diagram(&pc->board.trace, stdout, 70);
		trace_print(&pc->board.trace, stdout, 2);
	}
	pc->is_first = false;
	trace_free(&pc->board.trace);
}

/* One sector through the controller, in a mode of it, to a page from a zone. */
static void by_controller(struct pc *pc, struct report *report, unsigned mode, tmm_gfp zone)
{
	struct tmm_pages *pages = tmm_machine_pages(pc->machine);
	const uint32_t sector = 3;
	tmm_dma_addr addr;
	uint8_t *buffer;
	tmm_pfn pfn;

	need(tmm_pages_alloc(pages, TMM_GFP_KERNEL | zone, 0, &pfn) == TMM_OK,
	     "there is memory");
	buffer = tmm_page_address(pages, pfn);
	addr = tmm_dma_map_single(&pc->isa, buffer, SECTOR_BYTES, TMM_DMA_FROM_DEVICE);
	need(!tmm_dma_mapping_error(&pc->isa, addr), "the controller reaches the buffer");
	program_channel(pc, addr, SECTOR_BYTES, DMAC_WRITE | mode);
	run_command(pc, DISK_READ, sector, 1);
	tmm_dma_unmap_single(&pc->isa, addr, SECTOR_BYTES, TMM_DMA_FROM_DEVICE);
	need(memcmp(buffer, pc->medium + sector * SECTOR_BYTES, SECTOR_BYTES) == 0,
	     "the sector arrived");
	report->buffer = pfn.v << TMM_PAGE_SHIFT;
	report->addr = addr.v;
	report->bytes = SECTOR_BYTES;
	report->stretches = 1;
	tmm_pages_free(pages, pfn, 0);
	tell(pc, report);
}

static void show_list(const struct pc *pc, const struct disk_entry *list, unsigned nr)
{
	for (unsigned i = 0; !pc->json && i < nr; i++)
		printf("  entry %u: %" PRIu64 " bytes at 0x%07" PRIx64 "\n", i, list[i].bytes,
		       list[i].address);
}

/* 100 sectors to three pages, with the list in coherent memory; then back elsewhere. */
static void by_bus_master(struct pc *pc, struct report *report)
{
	struct tmm_pages *pages = tmm_machine_pages(pc->machine);
	const unsigned bytes = 100 * SECTOR_BYTES;
	struct tmm_sg_table table;
	struct disk_entry *list;
	struct tmm_sg *piece;
	tmm_dma_addr at;
	tmm_pfn pfn[4];
	unsigned nr;

	need(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL, 4, pfn) == 4, "there is memory");
	list = tmm_dma_alloc_coherent(&pc->disk_device, TMM_PAGE_SIZE, &at, TMM_GFP_KERNEL);
	need(list && tmm_sg_table_from_pages(&table, tmm_machine_slabs(pc->machine), pfn, 3,
	                                     3 * 1024, bytes, 0, TMM_GFP_KERNEL) == TMM_OK,
	     "there is memory for lists");
	for (unsigned write = 0; write < 2; write++) {
		enum tmm_dma_direction direction = write ? TMM_DMA_TO_DEVICE
		                                         : TMM_DMA_FROM_DEVICE;

		nr = tmm_dma_map_sg(&pc->disk_device, table.list, table.nr, direction);
		need(nr > 0, "the disk reaches the buffer");
		piece = table.list;
		for (unsigned i = 0; i < nr; i++, piece = tmm_sg_next(piece))
			list[i] = (struct disk_entry){piece->dma_address.v, piece->dma_bytes};
		disk_write(pc, DISK_LIST_LOW, (uint32_t)at.v);
		disk_write(pc, DISK_LIST_HIGH, (uint32_t)(at.v >> 32));
		disk_write(pc, DISK_ENTRIES, nr);
		run_command(pc, write ? DISK_WRITE_LIST : DISK_READ_LIST, write ? 150 : 7, 100);
		tmm_dma_unmap_sg(&pc->disk_device, table.list, table.nr, direction);
	}
	need(memcmp(pc->medium + 7 * SECTOR_BYTES, pc->medium + 150 * SECTOR_BYTES, bytes) == 0,
	     "what was read was written back");
	report->buffer = (table.list->pfn.v << TMM_PAGE_SHIFT) + table.list->offset;
	report->addr = table.list->dma_address.v;
	report->bytes = 2 * bytes;
	report->stretches = nr;
	tell(pc, report);
	show_list(pc, list, nr);
	tmm_sg_table_free(&table);
	tmm_dma_free_coherent(&pc->disk_device, TMM_PAGE_SIZE, list, at);
	tmm_pages_free_bulk(pages, 4, pfn);
}

static struct report cases[] = {
	{.name = "single", .what = "the bus is given back after each byte"},
	{.name = "block", .what = "the bus is kept until the count is through"},
	{.name = "demand", .what = "the bus is kept while the disk has something to move"},
	{.name = "bounce", .what = "a buffer above 16 MiB, where 24 address bits do not reach"},
	{.name = "list", .what = "the disk is bus master and moves a list of pieces"},
};

#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

static void run_case(struct pc *pc, size_t i)
{
	static const unsigned mode[] = {DMAC_SINGLE, DMAC_BLOCK, DMAC_DEMAND, DMAC_DEMAND};

	if (i + 1 == NR_CASES)
		by_bus_master(pc, &cases[i]);
	else
		by_controller(pc, &cases[i], mode[i], i < 3 ? TMM_GFP_DMA : 0);
}

static size_t case_named(const char *name)
{
	size_t i = 0;

	while (i < NR_CASES && strcmp(name, cases[i].name) != 0)
		i++;
	need(i < NR_CASES, "expected --json, single, block, demand, bounce or list");
	return i;
}

int main(int argc, char **argv)
{
	struct pc *pc = calloc(1, sizeof(*pc));
	int first = 1;

	need(pc, "there is memory");
	pc->is_first = true;
	pc->json = argc > 1 && strcmp(argv[1], "--json") == 0;
	first += pc->json;
	for (int i = first; i < argc; i++)
		(void)case_named(argv[i]);
	boot(pc);
	plug(pc);
	probe(pc);
	if (pc->json)
		printf("{\"format\": \"tuxmm-dma/1\", \"cases\": [");
	for (size_t i = 0; first == argc && i < NR_CASES; i++)
		run_case(pc, i);
	for (int i = first; i < argc; i++)
		run_case(pc, case_named(argv[i]));
	if (pc->json)
		printf("]}\n");
	unplug(pc);
	tmm_check(pc->machine);
	tmm_machine_fini(pc->machine);
	free(pc->machine);
	tmm_hosted_ram_destroy(&pc->ram);
	free(pc);
	return 0;
}
