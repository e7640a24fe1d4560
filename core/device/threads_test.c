/*
 * Real threads on one machine's devices: each has a device of its own, and all share
 * bounce buffers, coherent memory, records, claims, mappings and one chip.
 */
#include <pthread.h>

#include <tuxmm/dma_pool.h>

#include "device/rig_test.h"

#define NR_THREADS 4u
#define NR_STEPS   1500u

static unsigned nr_broken; /* promises, of all threads */
static struct tmm_dma_pool *shared;
static uint64_t nr_writes; /* to the chip */

static void expect(bool promise)
{
	if (!promise) /* relaxed: looked at when all threads are gone */
		__atomic_fetch_add(&nr_broken, 1, __ATOMIC_RELAXED);
}

static uint64_t chip_read(void *arg, uint64_t offset, unsigned width)
{
	(void)arg;
	(void)width;
	return offset;
}

static void chip_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	(void)arg;
	(void)offset;
	(void)value;
	(void)width;
	__atomic_fetch_add(&nr_writes, 1, __ATOMIC_RELAXED);
}

static const struct tmm_register_ops chip_ops = {chip_read, chip_write};

/* Through a bounce buffer, there and back. */
static void stream(struct tmm_device *device, uint64_t r)
{
	uint64_t bytes = 1 + r % 4096;
	char out[64], in[64] = {0};
	uint64_t n = min_u64(bytes, sizeof(out));
	tmm_dma_addr addr;
	char *buffer;
	tmm_pfn pfn;

	if (tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 0, &pfn) != TMM_OK)
		return;
	buffer = tmm_page_address(&m.machine.pages, pfn);
	memset(buffer, (int)r, bytes);
	addr = tmm_dma_map_single(device, buffer, bytes, TMM_DMA_BIDIRECTIONAL);
	if (!tmm_dma_mapping_error(device, addr)) {
		expect(tmm_dma_device_read(device, addr, in, n) == TMM_OK);
		for (uint64_t i = 0; i < n; i++)
			expect(in[i] == (char)r);
		memset(out, (int)~r, sizeof(out));
		expect(tmm_dma_device_write(device, addr, out, n) == TMM_OK);
		tmm_dma_unmap_single(device, addr, bytes, TMM_DMA_BIDIRECTIONAL);
		expect(memcmp(buffer, out, n) == 0);
	}
	tmm_pages_free(&m.machine.pages, pfn, 0);
}

static void share(struct tmm_device *device, uint64_t r)
{
	tmm_dma_addr addr, small;
	char *memory = tmm_dma_alloc_coherent(device, 1 + r % 20000, &addr,
	                                      r & 1 ? TMM_GFP_KERNEL : TMM_GFP_ATOMIC);
	uint64_t *block = tmm_dma_pool_alloc(shared, TMM_GFP_KERNEL, &small);

	if (block)
		*block = r;
	if (memory) {
		expect(memory[0] == 0 && memory[r % 20000] == 0);
		memory[0] = 1;
		tmm_dma_free_coherent(device, 1 + r % 20000, memory, addr);
	}
	if (block) {
		expect(*block == r);
		tmm_dma_pool_free(shared, block, small);
	}
}

static void claim(uint64_t r)
{
	tmm_paddr start = {0xe0000000 + r % 64 * 4096};
	struct tmm_io *io = &m.machine.io;
	char *regs;

	if (tmm_mem_region_request(&m.machine.iomem, start, 4096, "thread", NULL) == TMM_OK)
		expect(tmm_mem_region_release(&m.machine.iomem, start, 4096) == TMM_OK);
	regs = tmm_ioremap(io, (tmm_paddr){0xd0000000}, 4096);
	if (!regs)
		return;
	expect(tmm_readl(io, regs + r % 1000 * 4) == r % 1000 * 4);
	tmm_writel(io, 1, regs);
	tmm_iounmap(io, regs);
}

static void *work(void *arg)
{
	uint64_t state = test_seed() + *(unsigned *)arg;
	struct tmm_device device;

	tmm_device_add(&m.machine.dma, &device, "thread");
	expect(tmm_dma_set_mask(&device, TMM_DMA_BIT_MASK(24)) == TMM_OK);
	for (unsigned i = 0; i < NR_STEPS; i++) {
		uint64_t r = test_random(&state);

		stream(&device, r);
		share(&device, r);
		if (i % 8 == 0)
			claim(r);
	}
	tmm_device_remove(&device);
	return NULL;
}

static void run_threads(uint32_t debug)
{
	const struct tmm_dma_pool_spec spec = {.name = "shared", .size_bytes = 24};
	struct tmm_bus_block chip = {.name = "chip",
	                             .start = {0xd0000000},
	                             .size_bytes = 4096,
	                             .widths = 4,
	                             .ops = &chip_ops};
	unsigned number[NR_THREADS];
	struct tmm_device device;
	pthread_t thread[NR_THREADS];

	boot_shape((struct tmm_shape){.nr_cpus = NR_THREADS + 1,
	                              .dma_debug = debug,
	                              .swiotlb_bytes = 512 * KB},
	           64 * MB);
	CHECK(tmm_bus_attach(&m.machine.bus, &chip) == TMM_OK);
	tmm_device_add(&m.machine.dma, &device, "device");
	CHECK(tmm_dma_pool_create(&device, &spec, &shared) == TMM_OK);
	nr_broken = 0;
	nr_writes = 0;
	for (unsigned i = 0; i < NR_THREADS; i++) {
		number[i] = i;
		CHECK(pthread_create(&thread[i], NULL, work, &number[i]) == 0);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(nr_broken == 0);
	tmm_dma_pool_destroy(shared);
	tmm_device_remove(&device);
	tmm_bus_detach(&m.machine.bus, &chip);
	halt();
}

TEST(threads_share_buffers_pools_claims_and_chips)
{
	run_threads(0);
	CHECK(nr_writes == NR_THREADS * ((NR_STEPS + 7) / 8));
}

TEST(threads_share_the_records_of_what_they_do)
{
	run_threads(TMM_DMA_DEBUG);
}
