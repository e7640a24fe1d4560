/*
 * dma_test.c - coherent memory, streaming mappings, lists, bounce buffers
 */
#include "device/rig_test.h"

static struct tmm_dma *dma(void)
{
	return &m.machine.dma;
}

static char *at(uint64_t paddr)
{
	return m.ram + paddr;
}

static struct tmm_dma_counts counts(void)
{
	struct tmm_dma_counts out;

	tmm_dma_counts(dma(), &out);
	return out;
}

/* A page at or above `least`, or below 16 MiB with TMM_GFP_DMA. */
static tmm_pfn page_above(uint64_t least, tmm_gfp gfp)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(&m.machine.pages, gfp, 0, &pfn) == TMM_OK);
	CHECK(pfn.v << TMM_PAGE_SHIFT >= least);
	return pfn;
}

static void fill(char *memory, uint64_t bytes, unsigned char seed)
{
	for (uint64_t i = 0; i < bytes; i++)
		memory[i] = (char)(seed + i * 7);
}

static bool is_filled(const char *memory, uint64_t bytes, unsigned char seed)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (memory[i] != (char)(seed + i * 7))
			return false;
	return true;
}

static void boot_debug(uint64_t ram_bytes, enum tmm_swiotlb_mode mode)
{
	boot_shape((struct tmm_shape){.dma_debug = TMM_DMA_DEBUG, .swiotlb = mode}, ram_bytes);
}

TEST(masks_that_reach_too_little_are_refused)
{
	struct tmm_device device;

	boot(256 * MB);
	tmm_device_add(dma(), &device, "device");
	CHECK(device.dma_mask == TMM_DMA_BIT_MASK(32));
	CHECK(tmm_dma_required_mask(&device) == TMM_DMA_BIT_MASK(28));
	CHECK(tmm_dma_set_mask(&device, TMM_DMA_BIT_MASK(23)) == TMM_E_IO);
	CHECK(tmm_dma_set_mask_and_coherent(&device, TMM_DMA_BIT_MASK(20)) == TMM_E_IO);
	CHECK(device.dma_mask == TMM_DMA_BIT_MASK(32));
	CHECK(tmm_dma_set_mask_and_coherent(&device, TMM_DMA_BIT_MASK(24)) == TMM_OK);
	CHECK(tmm_dma_set_mask_and_coherent(&device, TMM_DMA_BIT_MASK(64)) == TMM_OK);
	CHECK(device.dma_mask == UINT64_MAX && device.coherent_mask == UINT64_MAX);
	tmm_device_remove(&device);
	halt();
}

TEST(coherent_memory_is_where_the_mask_reaches_cleared_and_aligned)
{
	static const unsigned bits[] = {24, 28, 30, 31, 32, 33, 40, 64};

	boot(5 * GB);
	for (size_t b = 0; b < ARRAY_SIZE(bits); b++) {
		static const uint64_t sizes[] = {1, 4096, 4097, 12288, 65536, 1 * MB};
		struct tmm_device device;

		tmm_device_add(dma(), &device, "device");
		CHECK(tmm_dma_set_coherent_mask(&device, TMM_DMA_BIT_MASK(bits[b])) == TMM_OK);
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			const uint64_t align = UINT64_C(4096)
			                       << log2_ceil((sizes[s] + 4095) / 4096);
			tmm_dma_addr addr;
			char *memory;

			for (int dirty = 1; dirty >= 0; dirty--) {
				memory = tmm_dma_alloc_coherent(&device, sizes[s], &addr,
				                                TMM_GFP_KERNEL);
				CHECK(memory && memory == at(addr.v));
				CHECK(addr.v % align == 0);
				CHECK(addr.v + sizes[s] - 1 <= device.coherent_mask);
				for (uint64_t i = 0; i < sizes[s]; i++)
					CHECK(memory[i] == 0);
				memset(memory, 0x55, sizes[s]);
				tmm_dma_free_coherent(&device, sizes[s], memory, addr);
			}
		}
		tmm_device_remove(&device);
	}
	/* 64 bits get what is above 4 GiB, which leaves the rest to others */
	{
		struct tmm_device device;
		tmm_dma_addr addr;
		void *memory;

		tmm_device_add(dma(), &device, "device");
		CHECK(tmm_dma_set_coherent_mask(&device, UINT64_MAX) == TMM_OK);
		memory = tmm_dma_alloc_coherent(&device, 8, &addr,
		                                TMM_GFP_KERNEL | TMM_GFP_DMA);
		CHECK(addr.v >= 4 * GB);
		tmm_dma_free_coherent(&device, 8, memory, addr);
		tmm_device_remove(&device);
	}
	CHECK(counts().coherent_bytes == 0);
	halt();
}

TEST(large_coherent_memory_is_from_the_contiguous_area)
{
	const struct tmm_shape shape = {
		.cma = {{.name = "low", .size_bytes = 8 * MB, .node = TMM_NODE_ANY}},
		.nr_cma = 1};
	struct tmm_device device;
	struct tmm_cma_info info;
	tmm_dma_addr addr, small;
	void *memory, *page;

	boot_shape(shape, 64 * MB);
	tmm_device_add(dma(), &device, "device");
	page = tmm_dma_alloc_coherent(&device, 4096, &small, TMM_GFP_KERNEL);
	memory = tmm_dma_alloc_coherent(&device, 6 * MB, &addr, TMM_GFP_KERNEL);
	CHECK(page && memory && counts().from_cma == 1);
	tmm_cma_info(tmm_cma_area(&m.machine.pages, 0), &info);
	CHECK(info.used_pages == 6 * MB >> TMM_PAGE_SHIFT);
	CHECK(addr.v >> TMM_PAGE_SHIFT >= info.start.v && addr.v % MB == 0);
	/* the longest run is 4 MiB, and the area has no 4 MiB left */
	CHECK(!tmm_dma_alloc_coherent(&device, 5 * MB, &small,
	                              TMM_GFP_KERNEL | TMM_GFP_NOWARN));
	tmm_check(&m.machine);
	tmm_dma_free_coherent(&device, 6 * MB, memory, addr);
	tmm_cma_info(tmm_cma_area(&m.machine.pages, 0), &info);
	CHECK(info.used_pages == 0);
	/* who cannot sleep gets a run */
	memory = tmm_dma_alloc_coherent(&device, 64 * KB, &addr, TMM_GFP_ATOMIC);
	CHECK(memory && counts().from_cma == 1);
	tmm_dma_free_coherent(&device, 64 * KB, memory, addr);
	tmm_dma_free_coherent(&device, 4096, page,
	                      (tmm_dma_addr){(uint64_t)((char *)page - m.ram)});
	tmm_device_remove(&device);
	halt();
}

TEST(atomic_requests_find_the_pool_when_memory_is_gone)
{
	static tmm_pfn hoard[64 * MB >> TMM_PAGE_SHIFT];
	struct tmm_device device;
	tmm_dma_addr addr[64], more;
	void *memory[64];
	size_t nr, got = 0;

	boot(64 * MB);
	tmm_device_add(dma(), &device, "device");
	nr = tmm_pages_alloc_bulk(&m.machine.pages,
	                          TMM_GFP_ATOMIC | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN,
	                          ARRAY_SIZE(hoard), hoard);
	/* 128 KiB: 16 times two pages */
	while (got < 64 &&
	       (memory[got] = tmm_dma_alloc_coherent(
			&device, 8192, &addr[got], TMM_GFP_NOWAIT | TMM_GFP_NOWARN)) != NULL) {
		CHECK(memory[got] == at(addr[got].v) && addr[got].v % 8192 == 0);
		got++;
	}
	CHECK(got == 16 && counts().from_pool == 16);
	tmm_dma_free_coherent(&device, 8192, memory[3], addr[3]);
	memory[3] = tmm_dma_alloc_coherent(&device, 4096, &more,
	                                   TMM_GFP_NOWAIT | TMM_GFP_NOWARN);
	CHECK(memory[3] && more.v == addr[3].v);
	tmm_dma_free_coherent(&device, 4096, memory[3], more);
	for (size_t i = 0; i < got; i++)
		if (i != 3)
			tmm_dma_free_coherent(&device, 8192, memory[i], addr[i]);
	tmm_pages_free_bulk(&m.machine.pages, nr, hoard);
	tmm_device_remove(&device);
	halt();
}

TEST(within_reach_a_mapping_is_the_buffer_itself)
{
	struct tmm_device device;
	tmm_dma_addr addr;
	tmm_pfn pfn;
	char got[100];

	boot(256 * MB);
	tmm_device_add(dma(), &device, "device");
	pfn = page_above(0, TMM_GFP_KERNEL);
	addr = tmm_dma_map_page(&device, pfn, 100, 100, TMM_DMA_BIDIRECTIONAL);
	CHECK(!tmm_dma_mapping_error(&device, addr));
	CHECK(addr.v == (pfn.v << TMM_PAGE_SHIFT) + 100);
	fill(at(addr.v), 100, 3);
	CHECK(tmm_dma_device_read(&device, addr, got, 100) == TMM_OK && is_filled(got, 100, 3));
	fill(got, 100, 9);
	CHECK(tmm_dma_device_write(&device, addr, got, 100) == TMM_OK);
	CHECK(is_filled(at(addr.v), 100, 9));
	tmm_dma_unmap_page(&device, addr, 100, TMM_DMA_BIDIRECTIONAL);
	tmm_pages_free(&m.machine.pages, pfn, 0);
	tmm_device_remove(&device);
	CHECK(counts().bounced == 0 && counts().mapped == 1 && counts().unmapped == 1);
	halt();
}

/*
 *   RAM      |..16M..|........................|   4G  |#buffer#|
 *   24 bits  reaches |                                   |
 *                 bounce <------- copied -------------- buffer
 */
TEST(beyond_reach_a_bounce_buffer_carries_the_bytes)
{
	static const unsigned bits[] = {24, 32};

	boot(5 * GB);
	for (size_t b = 0; b < ARRAY_SIZE(bits); b++) {
		struct tmm_device device;
		tmm_pfn pfn = page_above(4 * GB, TMM_GFP_KERNEL);
		char *buffer = tmm_page_address(&m.machine.pages, pfn), got[3000];
		tmm_dma_addr addr;

		tmm_device_add(dma(), &device, "device");
		CHECK(tmm_dma_set_mask(&device, TMM_DMA_BIT_MASK(bits[b])) == TMM_OK);
		/* out: copied when mapped */
		fill(buffer, 4096, 1);
		addr = tmm_dma_map_single(&device, buffer + 50, 3000, TMM_DMA_TO_DEVICE);
		CHECK(!tmm_dma_mapping_error(&device, addr));
		CHECK(addr.v + 3000 <= UINT64_C(1) << bits[b]);
		CHECK(tmm_dma_device_read(&device, addr, got, 3000) == TMM_OK);
		CHECK(memcmp(got, buffer + 50, 3000) == 0);
		tmm_dma_unmap_single(&device, addr, 3000, TMM_DMA_TO_DEVICE);
		/* in: copied when unmapped; what the device left alone is as it was */
		addr = tmm_dma_map_single(&device, buffer + 50, 3000, TMM_DMA_FROM_DEVICE);
		fill(got, 1000, 77);
		CHECK(tmm_dma_device_write(&device, addr, got, 1000) == TMM_OK);
		CHECK(is_filled(buffer, 4096, 1));
		tmm_dma_unmap_single(&device, addr, 3000, TMM_DMA_FROM_DEVICE);
		CHECK(is_filled(buffer, 50, 1) && is_filled(buffer + 50, 1000, 77));
		CHECK(is_filled(buffer + 1050, 3046, (unsigned char)(1 + 1050 * 7)));
		/* both: when synced */
		addr = tmm_dma_map_single(&device, buffer, 4096, TMM_DMA_BIDIRECTIONAL);
		fill(got, 3000, 5);
		CHECK(tmm_dma_device_write(&device, addr, got, 3000) == TMM_OK);
		tmm_dma_sync_for_cpu(&device, (tmm_dma_addr){addr.v + 1000}, 500,
		                     TMM_DMA_BIDIRECTIONAL);
		CHECK(memcmp(buffer + 1000, got + 1000, 500) == 0);
		CHECK(memcmp(buffer + 1500, got + 1500, 500) != 0);
		fill(buffer + 1000, 500, 200);
		tmm_dma_sync_for_device(&device, (tmm_dma_addr){addr.v + 1000}, 500,
		                        TMM_DMA_BIDIRECTIONAL);
		CHECK(tmm_dma_device_read(&device, addr, got, 3000) == TMM_OK);
		CHECK(is_filled(got + 1000, 500, 200) && is_filled(got, 1000, 5));
		tmm_dma_check(dma());
		tmm_dma_unmap_single(&device, addr, 4096, TMM_DMA_BIDIRECTIONAL);
		tmm_pages_free(&m.machine.pages, pfn, 0);
		tmm_device_remove(&device);
	}
	CHECK(counts().bounced == 6 && counts().swiotlb_used == 0);
	CHECK(counts().swiotlb_used_most == 2);
	/* 64 MiB of boot's for 32 bits, and one segment that 24 bits reach */
	CHECK(counts().swiotlb_slots == (64 * MB + 256 * KB) / 2048);
	halt();
}

TEST(low_bits_that_a_device_needs_are_kept)
{
	struct tmm_device device;
	tmm_dma_addr addr;
	tmm_pfn pfn;

	boot(5 * GB);
	tmm_device_add(dma(), &device, "device");
	pfn = page_above(4 * GB, TMM_GFP_KERNEL);
	device.min_align_mask = 4095;
	addr = tmm_dma_map_page(&device, pfn, 2500, 700, TMM_DMA_TO_DEVICE);
	CHECK(!tmm_dma_mapping_error(&device, addr) && addr.v % 4096 == 2500);
	tmm_dma_unmap_page(&device, addr, 700, TMM_DMA_TO_DEVICE);
	device.min_align_mask = 511;
	addr = tmm_dma_map_page(&device, pfn, 2500, 700, TMM_DMA_TO_DEVICE);
	CHECK(addr.v % 512 == 2500 % 512);
	CHECK(tmm_dma_max_mapping_size(&device) == 256 * KB - 2048);
	tmm_dma_unmap_page(&device, addr, 700, TMM_DMA_TO_DEVICE);
	device.min_align_mask = 0;
	CHECK(tmm_dma_max_mapping_size(&device) == 256 * KB);
	tmm_pages_free(&m.machine.pages, pfn, 0);
	tmm_device_remove(&device);
	halt();
}

TEST(what_cannot_be_mapped_is_an_error)
{
	struct tmm_device device;
	tmm_dma_addr addr;
	tmm_pfn high, run;
	char on_stack[64];

	boot_shape((struct tmm_shape){.swiotlb = TMM_SWIOTLB_NONE}, 5 * GB);
	tmm_device_add(dma(), &device, "device");
	high = page_above(4 * GB, TMM_GFP_KERNEL);
	addr = tmm_dma_map_page(&device, high, 0, 4096, TMM_DMA_TO_DEVICE);
	CHECK(tmm_dma_mapping_error(&device, addr));
	tmm_pages_free(&m.machine.pages, high, 0);
	addr = tmm_dma_map_single(&device, on_stack, sizeof(on_stack), TMM_DMA_TO_DEVICE);
	CHECK(tmm_dma_mapping_error(&device, addr));
	tmm_device_remove(&device);
	CHECK(counts().mapping_errors == 2 && counts().mapped == 0);
	halt();
	/* longer than a segment of bounce buffers; when it fails by injection */
	boot(5 * GB);
	tmm_device_add(dma(), &device, "device");
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 7, &run) == TMM_OK);
	addr = tmm_dma_map_page(&device, run, 0, 256 * KB + 1, TMM_DMA_TO_DEVICE);
	CHECK(tmm_dma_mapping_error(&device, addr));
	addr = tmm_dma_map_page(&device, run, 0, 256 * KB, TMM_DMA_TO_DEVICE);
	CHECK(!tmm_dma_mapping_error(&device, addr));
	tmm_dma_unmap_page(&device, addr, 256 * KB, TMM_DMA_TO_DEVICE);
	tmm_inject_nth(1, false);
	addr = tmm_dma_map_page(&device, run, 0, 100, TMM_DMA_TO_DEVICE);
	CHECK(tmm_inject_stop() && tmm_dma_mapping_error(&device, addr));
	tmm_pages_free(&m.machine.pages, run, 7);
	tmm_device_remove(&device);
	halt();
}

TEST(bounce_buffers_run_out_and_another_pool_is_made)
{
	const struct tmm_shape shape = {.swiotlb_bytes = 256 * KB,
	                                .swiotlb = TMM_SWIOTLB_FORCE};
	struct tmm_device device;
	tmm_dma_addr addr[6];
	tmm_pfn run;

	boot_shape(shape, 64 * MB);
	CHECK(counts().swiotlb_slots == 128);
	tmm_device_add(dma(), &device, "device");
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 9, &run) == TMM_OK);
	for (uint64_t i = 0; i < 6; i++) {
		addr[i] = tmm_dma_map_page(&device, run, i * 100 * KB, 100 * KB,
		                           TMM_DMA_TO_DEVICE);
		CHECK(!tmm_dma_mapping_error(&device, addr[i]));
		tmm_dma_check(dma());
	}
	CHECK(counts().swiotlb_slots == 3 * 128 && counts().swiotlb_used == 6 * 50);
	for (uint64_t i = 0; i < 6; i++)
		tmm_dma_unmap_page(&device, addr[i], 100 * KB, TMM_DMA_TO_DEVICE);
	tmm_pages_free(&m.machine.pages, run, 9);
	tmm_device_remove(&device);
	halt();
}

/* ---- lists ---- */

/*
 *   pages     |0|1|2|  |5|  |7|8|       adjacent ones share an entry
 *   segments  |  2 pages | |..          up to max_segment_bytes
 */
TEST(a_table_from_pages_joins_what_is_adjacent)
{
	const tmm_pfn pfns[] = {{100}, {101}, {102}, {105}, {107}, {108}};
	struct tmm_sg_table table;
	struct tmm_sg *entry;

	boot(64 * MB);
	CHECK(tmm_sg_table_from_pages(&table, &m.machine.slabs, pfns, 6, 50, 6 * 4096 - 50, 0,
	                              TMM_GFP_KERNEL) == TMM_OK);
	CHECK(table.nr == 3 && tmm_sg_nr(table.list) == 3);
	entry = table.list;
	CHECK(entry->pfn.v == 100 && entry->offset == 50 && entry->bytes == 3 * 4096 - 50);
	entry = tmm_sg_next(entry);
	CHECK(entry->pfn.v == 105 && entry->offset == 0 && entry->bytes == 4096);
	entry = tmm_sg_next(entry);
	CHECK(entry->pfn.v == 107 && entry->bytes == 8192 && !tmm_sg_next(entry));
	tmm_sg_table_free(&table);
	CHECK(tmm_sg_table_from_pages(&table, &m.machine.slabs, pfns, 6, 0, 5 * 4096 + 1, 6000,
	                              TMM_GFP_KERNEL) == TMM_OK);
	CHECK(table.nr == 5); /* 6000, 6000, 288, 4096, 4097 */
	CHECK(tmm_sg_next(table.list)->offset == 6000 - 4096);
	CHECK(tmm_sg_last(table.list)->bytes == 4097);
	tmm_sg_table_free(&table);
	CHECK(tmm_sg_table_from_pages(&table, &m.machine.slabs, pfns, 6, 1, 6 * 4096, 0,
	                              TMM_GFP_KERNEL) == TMM_E_INVAL);
	halt();
}

TEST(long_tables_are_chained_and_fail_as_a_whole)
{
	static const unsigned sizes[] = {1, 2, 84, 85, 86, 168, 169, 170, 1000};
	struct tmm_sg_table table;

	boot(64 * MB);
	CHECK(tmm_sg_table_alloc(&table, &m.machine.slabs, 0, TMM_GFP_KERNEL) == TMM_E_INVAL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned nr = 0;

		for (uint64_t n = 1;; n++) {
			tmm_err err;

			tmm_inject_nth(n, false);
			err = tmm_sg_table_alloc(&table, &m.machine.slabs, sizes[i],
			                         TMM_GFP_KERNEL);
			if (!tmm_inject_stop()) {
				CHECK(err == TMM_OK);
				break;
			}
			if (err == TMM_OK)
				tmm_sg_table_free(&table);
		}
		for (struct tmm_sg *entry = table.list; entry; entry = tmm_sg_next(entry))
			nr++;
		CHECK(nr == sizes[i] && table.nr == sizes[i]);
		tmm_sg_table_free(&table);
	}
	halt();
}

static void map_random_list(struct tmm_device *device, uint64_t *seed)
{
	enum { MOST = 90 };
	struct tmm_pages *pages = &m.machine.pages;
	struct tmm_sg_table table;
	struct tmm_sg *entry;
	static char expected[MOST * 8192], got[MOST * 8192];
	unsigned nr = 1 + (unsigned)(test_random(seed) % MOST), mapped, i;
	uint64_t total = 0, sum = 0;

	CHECK(tmm_sg_table_alloc(&table, &m.machine.slabs, nr, TMM_GFP_KERNEL) == TMM_OK);
	for (entry = table.list; entry; entry = tmm_sg_next(entry)) {
		uint32_t offset = (uint32_t)(test_random(seed) % 3 ? 0
		                                                   : test_random(seed) % 4096);
		uint64_t bytes = test_random(seed) % 2
		                         ? 4096 - offset
		                         : 1 + test_random(seed) % (4096 - offset);
		tmm_pfn pfn = page_above(0, TMM_GFP_KERNEL);

		tmm_sg_set_page(entry, pfn, bytes, offset);
		total += bytes;
	}
	fill(expected, total, (unsigned char)total);
	CHECK(tmm_sg_copy_from_buffer(pages, table.list, expected, total, 0) == total);
	mapped = tmm_dma_map_sg(device, table.list, nr, TMM_DMA_BIDIRECTIONAL);
	CHECK(mapped > 0 && mapped <= nr);
	for (i = 0, entry = table.list; i < mapped; i++, entry = tmm_sg_next(entry)) {
		uint64_t last = entry->dma_address.v + entry->dma_bytes - 1;

		CHECK(entry->dma_bytes <= max_u64(device->max_segment_bytes, 4096));
		CHECK((entry->dma_address.v | device->segment_boundary_mask) ==
		      (last | device->segment_boundary_mask));
		CHECK(last <= device->dma_mask);
		CHECK(tmm_dma_device_read(device, entry->dma_address, got + sum,
		                          entry->dma_bytes) == TMM_OK);
		sum += entry->dma_bytes;
	}
	CHECK(sum == total && memcmp(got, expected, total) == 0);
	fill(expected, total, (unsigned char)(total + 1));
	for (sum = 0, i = 0, entry = table.list; i < mapped; i++, entry = tmm_sg_next(entry)) {
		CHECK(tmm_dma_device_write(device, entry->dma_address, expected + sum,
		                           entry->dma_bytes) == TMM_OK);
		sum += entry->dma_bytes;
	}
	if (test_random(seed) % 2) {
		tmm_dma_sync_sg_for_cpu(device, table.list, nr, TMM_DMA_BIDIRECTIONAL);
		CHECK(tmm_sg_copy_to_buffer(pages, table.list, got, total, 0) == total);
		CHECK(memcmp(got, expected, total) == 0);
		tmm_dma_sync_sg_for_device(device, table.list, nr, TMM_DMA_BIDIRECTIONAL);
	}
	tmm_dma_unmap_sg(device, table.list, nr, TMM_DMA_BIDIRECTIONAL);
	CHECK(tmm_sg_copy_to_buffer(pages, table.list, got, total, 0) == total);
	CHECK(memcmp(got, expected, total) == 0);
	for (entry = table.list; entry; entry = tmm_sg_next(entry))
		tmm_pages_free(pages, entry->pfn, 0);
	tmm_sg_table_free(&table);
}

TEST(random_lists_carry_every_byte_within_reach_and_limits)
{
	uint64_t seed = test_seed();

	for (unsigned mode = TMM_SWIOTLB_AUTO; mode <= TMM_SWIOTLB_FORCE; mode++) {
		static const unsigned bits[] = {24, 32, 64};
		struct tmm_device device;

		boot_debug(5 * GB, (enum tmm_swiotlb_mode)mode);
		tmm_device_add(dma(), &device, "device");
		for (unsigned i = 0; i < 60; i++) {
			CHECK(tmm_dma_set_mask(&device, TMM_DMA_BIT_MASK(bits[i % 3])) ==
			      TMM_OK);
			device.max_segment_bytes = i % 2 ? 65536 : 8192;
			device.segment_boundary_mask = i % 5 ? UINT32_MAX : 0xffff;
			map_random_list(&device, &seed);
			if (i % 10 == 0)
				tmm_check(&m.machine);
		}
		tmm_device_remove(&device);
		CHECK(counts().debug_entries == 0 && counts().swiotlb_used == 0);
		halt();
	}
}

TEST(adjacent_entries_are_one_stretch_and_a_failure_unmaps_all)
{
	struct tmm_device device;
	struct tmm_sg list[4];
	tmm_pfn run;

	boot(64 * MB);
	tmm_device_add(dma(), &device, "device");
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 3, &run) == TMM_OK);
	tmm_sg_init(list, 4);
	tmm_sg_set_page(&list[0], run, 4096, 0);
	tmm_sg_set_page(&list[1], (tmm_pfn){run.v + 1}, 4096, 0);
	tmm_sg_set_page(&list[2], (tmm_pfn){run.v + 2}, 100, 0);
	tmm_sg_set_page(&list[3], (tmm_pfn){run.v + 4}, 4096, 0);
	CHECK(tmm_dma_map_sg(&device, list, 4, TMM_DMA_TO_DEVICE) == 2);
	CHECK(list[0].dma_bytes == 8292 && list[1].dma_bytes == 4096);
	CHECK(list[1].dma_address.v == (run.v + 4) << TMM_PAGE_SHIFT);
	tmm_dma_unmap_sg(&device, list, 4, TMM_DMA_TO_DEVICE);
	for (uint64_t n = 1; n <= 4; n++) {
		tmm_inject_nth(n, false);
		CHECK(tmm_dma_map_sg(&device, list, 4, TMM_DMA_TO_DEVICE) == 0);
		CHECK(tmm_inject_stop() && device.nr_mapped == 0);
	}
	tmm_pages_free(&m.machine.pages, run, 3);
	tmm_device_remove(&device);
	halt();
}

/* ---- shared buffers ---- */

TEST(two_devices_share_a_buffer_by_reference)
{
	const struct tmm_shape shape = {
		.cma = {{.name = "shared", .size_bytes = 8 * MB, .node = TMM_NODE_ANY}},
		.nr_cma = 1,
		.dma_debug = TMM_DMA_DEBUG};
	struct tmm_device camera, display;
	struct tmm_dma_attachment in, out;
	struct tmm_cma_buffer buffer;
	char line[1000], got[1000];

	boot_shape(shape, 64 * MB);
	tmm_device_add(dma(), &camera, "camera");
	tmm_device_add(dma(), &display, "display");
	CHECK(tmm_cma_buffer_create(&buffer, tmm_cma_area(&m.machine.pages, 0), 100, 0, NULL) ==
	      TMM_OK);
	tmm_dma_buffer_attach(&buffer, &camera, &in);
	tmm_dma_buffer_attach(&buffer, &display, &out);
	CHECK(!tmm_cma_buffer_detach(&buffer)); /* its maker's own reference */
	CHECK(tmm_dma_buffer_map(&in, TMM_DMA_FROM_DEVICE) == TMM_OK);
	CHECK(in.nr_mapped == 7); /* 400 KiB in segments of 64 KiB */
	fill(line, sizeof(line), 42);
	CHECK(tmm_dma_device_write(&camera, in.table.list->dma_address, line, sizeof(line)) ==
	      TMM_OK);
	tmm_dma_buffer_unmap(&in);
	CHECK(tmm_dma_buffer_map(&out, TMM_DMA_TO_DEVICE) == TMM_OK);
	CHECK(tmm_dma_device_read(&display, out.table.list->dma_address, got, sizeof(got)) ==
	      TMM_OK);
	CHECK(memcmp(got, line, sizeof(line)) == 0);
	tmm_dma_buffer_unmap(&out);
	CHECK(!tmm_dma_buffer_detach(&in));
	CHECK(tmm_dma_buffer_detach(&out));
	tmm_device_remove(&camera);
	tmm_device_remove(&display);
	halt();
}

/* ---- high memory ---- */

/*
 *   RAM       |..64M, with addresses..|#####without#####|
 *   24 bits    bounce <------ copied through a slot ----- buffer
 *   32 bits                                             the buffer itself
 */
TEST(high_memory_is_mapped_and_copied_without_an_address)
{
	static const unsigned bits[] = {24, 32};

	for (size_t b = 0; b < ARRAY_SIZE(bits); b++) {
		struct tmm_device device;
		struct tmm_sg list[1];
		tmm_dma_addr addr;
		char got[3000];
		tmm_pfn pfn;

		boot_shape(
			(struct tmm_shape){.lowmem_bytes = 64 * MB, .dma_debug = TMM_DMA_DEBUG},
			256 * MB);
		tmm_device_add(dma(), &device, "device");
		CHECK(tmm_dma_set_mask(&device, TMM_DMA_BIT_MASK(bits[b])) == TMM_OK);
		pfn = page_above(64 * MB, TMM_GFP_HIGHUSER);
		tmm_sg_init(list, 1);
		tmm_sg_set_page(list, pfn, 3000, 500);
		fill(got, sizeof(got), 8);
		CHECK(tmm_sg_copy_from_buffer(&m.machine.pages, list, got, 3000, 0) == 3000);
		addr = tmm_dma_map_page(&device, pfn, 500, 3000, TMM_DMA_TO_DEVICE);
		CHECK(!tmm_dma_mapping_error(&device, addr));
		CHECK((addr.v == (pfn.v << TMM_PAGE_SHIFT) + 500) == (bits[b] == 32));
		memset(got, 0, sizeof(got));
		CHECK(tmm_dma_device_read(&device, addr, got, 3000) == TMM_OK);
		CHECK(is_filled(got, 3000, 8));
		tmm_dma_unmap_page(&device, addr, 3000, TMM_DMA_TO_DEVICE);
		addr = tmm_dma_map_page(&device, pfn, 500, 3000, TMM_DMA_FROM_DEVICE);
		CHECK(!tmm_dma_mapping_error(&device, addr));
		fill(got, sizeof(got), 9);
		CHECK(tmm_dma_device_write(&device, addr, got, 3000) == TMM_OK);
		tmm_dma_unmap_page(&device, addr, 3000, TMM_DMA_FROM_DEVICE);
		memset(got, 0, sizeof(got));
		CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, list, got, 3000, 0) == 3000);
		CHECK(is_filled(got, 3000, 9));
		tmm_pages_free(&m.machine.pages, pfn, 0);
		tmm_device_remove(&device);
		halt();
	}
}

/* ---- the bus ---- */

TEST(a_device_has_no_more_address_bits_than_its_mask)
{
	struct tmm_device device;
	char byte = 1;

	boot(5 * GB);
	tmm_device_add(dma(), &device, "device");
	CHECK(tmm_dma_set_mask_and_coherent(&device, TMM_DMA_BIT_MASK(24)) == TMM_OK);
	CHECK(tmm_dma_device_read(&device, (tmm_dma_addr){16 * MB}, &byte, 1) == TMM_E_RANGE);
	CHECK(tmm_dma_device_read(&device, (tmm_dma_addr){16 * MB - 1}, &byte, 1) == TMM_OK);
	CHECK(tmm_dma_device_read(&device, (tmm_dma_addr){16 * MB - 1}, &byte, 2) ==
	      TMM_E_RANGE);
	CHECK(tmm_dma_set_mask_and_coherent(&device, UINT64_MAX) == TMM_OK);
	/* nothing answers in the devices' hole, nor behind the last RAM */
	CHECK(tmm_dma_device_write(&device, (tmm_dma_addr){3 * GB}, &byte, 1) == TMM_E_FAULT);
	CHECK(tmm_dma_device_write(&device, (tmm_dma_addr){6 * GB}, &byte, 1) == TMM_E_FAULT);
	tmm_device_remove(&device);
	halt();
}

/* ---- failures ---- */

static bool work(void)
{
	struct tmm_device device;
	tmm_dma_addr coherent, addr = TMM_DMA_MAPPING_ERROR;
	bool done = false;
	void *memory;
	tmm_pfn pfn;

	tmm_device_add(dma(), &device, "device");
	CHECK(tmm_dma_set_mask_and_coherent(&device, TMM_DMA_BIT_MASK(24)) == TMM_OK);
	memory = tmm_dma_alloc_coherent(&device, 8192, &coherent, TMM_GFP_KERNEL);
	if (memory && tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK) {
		addr = tmm_dma_map_page(&device, pfn, 0, 4096, TMM_DMA_TO_DEVICE);
		done = !tmm_dma_mapping_error(&device, addr);
		if (done)
			tmm_dma_unmap_page(&device, addr, 4096, TMM_DMA_TO_DEVICE);
		tmm_pages_free(&m.machine.pages, pfn, 0);
	}
	tmm_dma_free_coherent(&device, 8192, memory, coherent);
	tmm_device_remove(&device);
	return done;
}

TEST(every_failure_is_survived)
{
	unsigned nr_failed = 0;

	for (uint64_t n = 1;; n++) {
		bool done, failed;

		boot_debug(64 * MB, TMM_SWIOTLB_AUTO);
		tmm_inject_nth(n, false);
		done = work();
		failed = tmm_inject_stop();
		nr_failed += !done;
		CHECK(work());
		halt();
		if (!failed) {
			CHECK(done);
			break;
		}
	}
	CHECK(nr_failed >= 4);
}
