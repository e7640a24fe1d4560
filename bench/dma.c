/*
 * dma.c - what mappings for devices cost
 *
 *	bench-dma [--json] [--only PATTERN]
 *
 * Buffers of 2 KiB, as those of network cards.  Bounced: the machine copies each one, in
 * and out.  Debug: with a record for each mapping and sums of what is lent, alone and
 * among 10000 others.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tuxmm/dma_pool.h>
#include <tuxmm/machine.h>

#include "bench.h"

#define RAM_BYTES (UINT64_C(256) << 20)
#define RUNS      9
#define PAIRS     20000u
#define OTHERS    10000u
#define BUFFER    2048u

static struct {
	struct tmm_machine *machine;
	void *ram;
	struct tmm_device device;
	char *buffer;
	struct tmm_dma_pool *pool;
	struct tmm_sg list[16];
	tmm_dma_addr large; /* a mapping to sync parts of */
} b;

static double start_ns;

static void clock_start(void)
{
	start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static double clock_stop(unsigned nr)
{
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / nr;
}

static double map_unmap(enum tmm_dma_direction direction)
{
	clock_start();
	for (unsigned i = 0; i < PAIRS; i++) {
		tmm_dma_addr addr = tmm_dma_map_single(&b.device, b.buffer, BUFFER, direction);

		if (tmm_dma_mapping_error(&b.device, addr))
			bench_stop("a mapping");
		tmm_dma_unmap_single(&b.device, addr, BUFFER, direction);
	}
	return clock_stop(PAIRS);
}

static double to_device(void)
{
	return map_unmap(TMM_DMA_TO_DEVICE);
}

static double from_device(void)
{
	return map_unmap(TMM_DMA_FROM_DEVICE);
}

static double map_list(void)
{
	clock_start();
	for (unsigned i = 0; i < PAIRS; i++) {
		if (!tmm_dma_map_sg(&b.device, b.list, 16, TMM_DMA_FROM_DEVICE))
			bench_stop("a list that is mapped");
		tmm_dma_unmap_sg(&b.device, b.list, 16, TMM_DMA_FROM_DEVICE);
	}
	return clock_stop(PAIRS);
}

static double pool_pair(void)
{
	tmm_dma_addr addr;

	clock_start();
	for (unsigned i = 0; i < PAIRS; i++) {
		void *block = tmm_dma_pool_alloc(b.pool, TMM_GFP_KERNEL, &addr);

		if (!block)
			bench_stop("a block of the pool");
		tmm_dma_pool_free(b.pool, block, addr);
	}
	return clock_stop(PAIRS);
}

static double coherent_pair(void)
{
	tmm_dma_addr addr;

	clock_start();
	for (unsigned i = 0; i < PAIRS; i++) {
		void *memory = tmm_dma_alloc_coherent(&b.device, 4096, &addr, TMM_GFP_KERNEL);

		if (!memory)
			bench_stop("coherent memory");
		tmm_dma_free_coherent(&b.device, 4096, memory, addr);
	}
	return clock_stop(PAIRS);
}

/* The processor looks at 64 bytes in the midst of a mapping of 64 KiB. */
static double sync_part(void)
{
	const tmm_dma_addr part = {b.large.v + 40000};

	clock_start();
	for (unsigned i = 0; i < PAIRS; i++)
		tmm_dma_sync_for_cpu(&b.device, part, 64, TMM_DMA_FROM_DEVICE);
	return clock_stop(PAIRS);
}

static void bench(const char *name, double (*run)(void))
{
	double sample[RUNS];

	if (!bench_wanted(name))
		return;
	for (unsigned i = 0; i < RUNS; i++)
		sample[i] = run();
	bench_report(name, sample, RUNS, "ns", 0);
}

static void *pages_of(unsigned order)
{
	struct tmm_pages *pages = tmm_machine_pages(b.machine);
	tmm_pfn pfn;

	if (tmm_pages_alloc(pages, TMM_GFP_KERNEL, order, &pfn) != TMM_OK)
		bench_stop("pages");
	return tmm_page_address(pages, pfn);
}

static void boot(enum tmm_swiotlb_mode mode, uint32_t debug)
{
	static struct tmm_firmware_range ranges[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = ranges,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, ranges),
	                                .nr_cpus = 1,
	                                .swiotlb = mode,
	                                .dma_debug = debug};
	const struct tmm_dma_pool_spec spec = {.name = "descriptors", .size_bytes = 64};
	const char *why = "memory";

	b.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	b.machine = aligned_alloc(64, tmm_machine_bytes());
	if (b.ram == MAP_FAILED || !b.machine ||
	    tmm_machine_init(b.machine, &shape, b.ram, &why) != TMM_OK)
		bench_stop(why);
	tmm_device_add(tmm_machine_dma(b.machine), &b.device, "device");
	b.buffer = pages_of(4);
	if (tmm_dma_pool_create(&b.device, &spec, &b.pool) != TMM_OK)
		bench_stop("a pool");
	tmm_sg_init(b.list, 16);
	for (unsigned i = 0; i < 16; i++) /* no two adjacent */
		tmm_sg_set_buffer(tmm_machine_pages(b.machine), &b.list[i],
		                  b.buffer + 4096 * (i ^ 1), BUFFER);
}

/* As the rings of drivers: many mappings at a time. */
static void map_others(void)
{
	for (unsigned i = 0; i < OTHERS / 32; i++) {
		char *pages = pages_of(4);

		for (unsigned k = 0; k < 32; k++) {
			tmm_dma_addr addr = tmm_dma_map_single(&b.device, pages + k * BUFFER,
			                                       BUFFER, TMM_DMA_FROM_DEVICE);

			if (tmm_dma_mapping_error(&b.device, addr))
				bench_stop("another mapping");
		}
	}
	b.large = tmm_dma_map_single(&b.device, pages_of(4), 65536, TMM_DMA_FROM_DEVICE);
	if (tmm_dma_mapping_error(&b.device, b.large))
		bench_stop("a mapping of 64 KiB");
}

static void plain(void)
{
	bench("map + unmap", to_device);
	bench("list of 16, map + unmap", map_list);
	bench("pool pair", pool_pair);
	bench("coherent 4 KiB pair", coherent_pair);
}

static void bounced(void)
{
	bench("bounced, to device", to_device);
	bench("bounced, from device", from_device);
}

static void debugged(void)
{
	bench("debug, from device", from_device);
	bench("debug, to device", to_device);
	bench("debug, pool pair", pool_pair);
	map_others();
	bench("debug, 10 k others", from_device);
	bench("debug, 10 k others, sync part", sync_part);
}

/* A machine in a process of its own: what it has borrowed in the end goes with that. */
static void on(enum tmm_swiotlb_mode mode, uint32_t debug, void (*rows)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		boot(mode, debug);
		rows();
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		bench_stop("a process to its end");
}

int main(int argc, char **argv)
{
	bench_begin("dma", argc, argv);
	on(TMM_SWIOTLB_AUTO, 0, plain);
	on(TMM_SWIOTLB_FORCE, 0, bounced);
	on(TMM_SWIOTLB_AUTO, TMM_DMA_DEBUG, debugged);
	return 0;
}
