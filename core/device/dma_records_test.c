/*
 * dma_records_test.c - mappings are found again from each of their bytes
 *
 *	run      |..........................................................|
 *	mapped         |a|    |-----b-----|           |--------c--------|
 *	sync            ^          ^   ^                               ^
 */
#include "device/rig_test.h"

#define RUN_ORDER 9u
#define RUN_BYTES (TMM_PAGE_SIZE << RUN_ORDER)

static struct {
	struct tmm_device device;
	tmm_pfn run;
	tmm_dma_addr at; /* of what a call that panics is about */
	enum tmm_dma_direction direction;
} c;

static void begin(void)
{
	boot_shape((struct tmm_shape){.dma_debug = TMM_DMA_DEBUG}, 64 * MB);
	tmm_device_add(&m.machine.dma, &c.device, "device");
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, RUN_ORDER, &c.run) == TMM_OK);
}

static void end(void)
{
	tmm_dma_check(&m.machine.dma);
	tmm_pages_free(&m.machine.pages, c.run, RUN_ORDER);
	tmm_device_remove(&c.device);
	halt();
}

static tmm_dma_addr map(uint64_t offset, uint64_t bytes)
{
	tmm_dma_addr addr = tmm_dma_map_page(&c.device, c.run, offset, bytes, c.direction);

	CHECK(!tmm_dma_mapping_error(&c.device, addr));
	return addr;
}

static void unmap(tmm_dma_addr addr, uint64_t bytes)
{
	tmm_dma_unmap_page(&c.device, addr, bytes, c.direction);
}

static void sync_byte(void *arg)
{
	(void)arg;
	tmm_dma_sync_for_cpu(&c.device, c.at, 1, c.direction);
}

static void map_byte(void *arg)
{
	(void)arg;
	c.at = map(c.at.v - tmm_pfn_to_paddr(c.run).v, 1);
}

static bool sync_panics(uint64_t addr)
{
	c.at = (tmm_dma_addr){addr};
	return test_panics(sync_byte, NULL);
}

TEST(a_mapping_is_found_from_its_first_byte_to_its_last)
{
	static const uint64_t sizes[] = {1,    2,    63,   64,    4095,  4096,   4097,
	                                 8191, 8192, 8193, 65535, 65536, 200000, 1 << 20};
	static const uint64_t starts[] = {1, 64, 4095, 4096, 8191, 65536, 99999};

	begin();
	c.direction = TMM_DMA_FROM_DEVICE;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(starts); k++) {
			tmm_dma_addr addr = map(starts[k], sizes[i]);

			CHECK(!sync_panics(addr.v) && !sync_panics(addr.v + sizes[i] - 1));
			CHECK(!sync_panics(addr.v + sizes[i] / 2));
			CHECK(sync_panics(addr.v - 1) && sync_panics(addr.v + sizes[i]));
			unmap(addr, sizes[i]);
			CHECK(sync_panics(addr.v));
		}
	end();
}

TEST(an_overlap_of_a_byte_is_found_at_either_end)
{
	static const uint64_t sizes[] = {1, 100, 4096, 5000, 8192, 100000, 1 << 20};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int at_end = 0; at_end <= 1; at_end++) {
			tmm_dma_addr addr;

			begin();
			c.direction = TMM_DMA_FROM_DEVICE;
			addr = map(4000, sizes[i]);
			unmap(map(3999, 1), 1);
			unmap(map(4000 + sizes[i], 1), 1);
			c.at = (tmm_dma_addr){addr.v + (at_end ? sizes[i] - 1 : 0)};
			CHECK(test_panics(map_byte, NULL));
			/* it was mapped all the same, and not asked for an error */
			CHECK(!tmm_dma_mapping_error(&c.device, c.at));
			unmap(c.at, 1);
			unmap(addr, sizes[i]);
			end();
		}
}

/* Whom a question about one of them is answered by does not matter. */
TEST(of_mappings_alike_each_is_asked_for_an_error)
{
	tmm_dma_addr first, second;

	begin();
	c.direction = TMM_DMA_TO_DEVICE;
	first = map(0, 100);
	second = tmm_dma_map_page(&c.device, c.run, 0, 100, c.direction);
	CHECK(first.v == second.v);
	unmap(first, 100); /* not reported: this one was asked */
	CHECK(!tmm_dma_mapping_error(&c.device, second));
	unmap(second, 100);
	end();
}

#define NR_PLACES 512u
#define PLACE     (RUN_BYTES / NR_PLACES)

/* Places of the run, each with a mapping over as many of them as length says, or none. */
TEST(among_random_mappings_each_is_found_and_nothing_between)
{
	static uint64_t length[NR_PLACES]; /* bytes, at the first place */
	static bool is_taken[NR_PLACES];
	uint64_t state = test_seed();

	memset(length, 0, sizeof(length));
	memset(is_taken, 0, sizeof(is_taken));
	begin();
	c.direction = TMM_DMA_BIDIRECTIONAL;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = (unsigned)(test_random(&state) % NR_PLACES), nr = 0;
		unsigned most = 1u << test_random(&state) % 7;
		uint64_t addr = tmm_pfn_to_paddr(c.run).v + at * PLACE;

		while (nr < most && at + nr < NR_PLACES && !is_taken[at + nr])
			nr++;
		if (length[at] && i % 3) {
			CHECK(!sync_panics(addr + test_random(&state) % length[at]));
		} else if (length[at]) {
			unmap((tmm_dma_addr){addr}, length[at]);
			memset(is_taken + at, 0, (length[at] + PLACE - 1) / PLACE);
			length[at] = 0;
		} else if (nr > 0) {
			length[at] = (nr - 1) * PLACE + 1 + test_random(&state) % PLACE;
			CHECK(map(at * PLACE, length[at]).v == addr);
			memset(is_taken + at, 1, nr);
		}
		if (i % 8 == 0 && !is_taken[at])
			CHECK(sync_panics(addr + test_random(&state) % PLACE));
		if (i % 1000 == 0)
			tmm_dma_check(&m.machine.dma);
	}
	for (unsigned at = 0; at < NR_PLACES; at++)
		if (length[at])
			unmap((tmm_dma_addr){tmm_pfn_to_paddr(c.run).v + at * PLACE},
			      length[at]);
	end();
}
