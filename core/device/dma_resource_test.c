/*
 * dma_resource_test.c - a device that is let at another one's registers
 *
 *	RAM   |................|        registers   |--|
 *	dma                                          ^^  its address, never bounced
 */
#include "device/rig_test.h"

#define FIFO UINT64_C(0xd0000040)

static unsigned nr_reads;

static uint64_t fifo_read(void *arg, uint64_t offset, unsigned width)
{
	(void)arg, (void)offset, (void)width;
	nr_reads++;
	return 0;
}

static void fifo_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	(void)arg, (void)offset, (void)width, (void)value;
}

static const struct tmm_register_ops fifo_ops = {fifo_read, fifo_write};

static struct {
	struct tmm_bus_block fifo;
	struct tmm_device device;
	tmm_dma_addr addr;
} c;

static void begin(void)
{
	boot_shape((struct tmm_shape){.dma_debug = TMM_DMA_DEBUG, .swiotlb = TMM_SWIOTLB_FORCE},
	           64 * MB);
	c.fifo = (struct tmm_bus_block){.name = "fifo",
	                                .start = {FIFO},
	                                .size_bytes = 16,
	                                .widths = 4,
	                                .ops = &fifo_ops};
	CHECK(tmm_bus_attach(&m.machine.bus, &c.fifo) == TMM_OK);
	tmm_device_add(&m.machine.dma, &c.device, "device");
	nr_reads = 0;
}

static void map(void)
{
	c.addr = tmm_dma_map_resource(&c.device, (tmm_paddr){FIFO}, 16, TMM_DMA_TO_DEVICE);
	CHECK(!tmm_dma_mapping_error(&c.device, c.addr) && c.addr.v == FIFO);
}

static void unmap(void *arg)
{
	(void)arg;
	tmm_dma_unmap_resource(&c.device, c.addr, 16, TMM_DMA_TO_DEVICE);
}

static void unmap_as_page(void *arg)
{
	(void)arg;
	tmm_dma_unmap_page(&c.device, c.addr, 16, TMM_DMA_TO_DEVICE);
}

static void sync(void *arg)
{
	(void)arg;
	tmm_dma_sync_for_cpu(&c.device, c.addr, 16, TMM_DMA_TO_DEVICE);
}

static void end(void)
{
	tmm_device_remove(&c.device);
	tmm_bus_detach(&m.machine.bus, &c.fifo);
	halt();
}

TEST(registers_are_mapped_at_their_address_and_not_looked_at)
{
	struct tmm_dma_counts counts;
	uint32_t word = 0;

	begin();
	map();
	tmm_dma_counts(&m.machine.dma, &counts);
	CHECK(counts.mapped == 1 && counts.bounced == 0 && counts.debug_entries == 1);
	CHECK(nr_reads == 0);
	CHECK(tmm_dma_device_read(&c.device, c.addr, &word, 4) == TMM_OK && nr_reads == 1);
	map(); /* registers may be mapped more than once */
	unmap(NULL);
	unmap(NULL);
	CHECK(nr_reads == 1);
	end();
}

TEST(what_is_ram_or_out_of_reach_is_an_error)
{
	static const struct {
		uint64_t start, bytes;
	} bad[] = {{FIFO, 0},
	           {16 * MB, 4096},
	           {64 * MB - 4096, 8192},  /* its first page is RAM */
	           {UINT64_C(1) << 32, 16}, /* a mask of 32 bits */
	           {(UINT64_C(1) << 32) - 8, 16},
	           {UINT64_MAX - 8, 16}};
	struct tmm_dma_counts counts;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		tmm_dma_addr addr = tmm_dma_map_resource(&c.device, (tmm_paddr){bad[i].start},
		                                         bad[i].bytes, TMM_DMA_BIDIRECTIONAL);

		CHECK(tmm_dma_mapping_error(&c.device, addr));
	}
	tmm_dma_counts(&m.machine.dma, &counts);
	CHECK(counts.mapping_errors == ARRAY_SIZE(bad) && counts.mapped == 0);
	end();
}

TEST(wrong_uses_of_a_resource_are_reported)
{
	begin();
	map();
	CHECK(test_panics(unmap_as_page, NULL));
	CHECK(test_panics(sync, NULL));
	unmap(NULL);
	CHECK(test_panics(unmap, NULL));
	end();
}
