/*
 * dma_misuse_test.c - what drivers do wrong, and who tells them
 *
 * Each way to break a rule is done once on a machine that debugs DMA and must be
 * reported in the words of that rule; done right, nothing is reported.  What is
 * found only with a bounce buffer is done with bounce buffers forced.
 */
#include <tuxmm/dma_pool.h>

#include "device/rig_test.h"

#define BYTES 1000u

/* What a case has at hand: two devices, a buffer, a run of frames. */
static struct {
	struct tmm_device device, other;
	tmm_pfn run; /* 4 frames */
	char *buffer;
	tmm_dma_addr addr; /* of the buffer, mapped for the device in `direction` */
	enum tmm_dma_direction direction;
	tmm_dma_addr coherent;
	void *memory;
	struct tmm_dma_pool *pool;
	struct tmm_sg list[2];
} c;

static void unmap_right(void)
{
	tmm_dma_unmap_single(&c.device, c.addr, BYTES, c.direction);
}

/* ---- the mistakes ---- */

static void unmap_twice(void *arg)
{
	(void)arg;
	unmap_right();
	unmap_right();
}

static void unmap_wrong_direction(void *arg)
{
	(void)arg;
	tmm_dma_unmap_single(&c.device, c.addr, BYTES,
	                     c.direction == TMM_DMA_TO_DEVICE ? TMM_DMA_FROM_DEVICE
	                                                      : TMM_DMA_TO_DEVICE);
}

static void unmap_wrong_size(void *arg)
{
	(void)arg;
	tmm_dma_unmap_single(&c.device, c.addr, BYTES - 1, c.direction);
}

static void unmap_wrong_device(void *arg)
{
	(void)arg;
	tmm_dma_unmap_single(&c.other, c.addr, BYTES, c.direction);
}

static void unmap_as_list(void *arg)
{
	(void)arg;
	tmm_sg_init(c.list, 1);
	tmm_sg_set_buffer(&m.machine.pages, c.list, c.buffer, BYTES);
	c.list[0].dma_address = c.addr;
	c.list[0].dma_bytes = BYTES;
	tmm_dma_unmap_sg(&c.device, c.list, 1, c.direction);
}

static void unmap_never_mapped(void *arg)
{
	(void)arg;
	tmm_dma_unmap_single(&c.device, (tmm_dma_addr){c.addr.v + 4096}, BYTES, c.direction);
}

static void unmap_error(void *arg)
{
	(void)arg;
	tmm_dma_unmap_single(&c.device, TMM_DMA_MAPPING_ERROR, BYTES, c.direction);
}

static void unmap_unchecked(void *arg)
{
	tmm_dma_addr addr;

	(void)arg;
	addr = tmm_dma_map_single(&c.device, c.buffer + 8192, 10, TMM_DMA_TO_DEVICE);
	tmm_dma_unmap_single(&c.device, addr, 10, TMM_DMA_TO_DEVICE);
}

static void unmap_list_short(void *arg)
{
	(void)arg;
	tmm_sg_init(c.list, 2);
	tmm_sg_set_page(&c.list[0], (tmm_pfn){c.run.v + 1}, 4096, 0);
	tmm_sg_set_page(&c.list[1], (tmm_pfn){c.run.v + 3}, 4096, 0);
	CHECK(tmm_dma_map_sg(&c.device, c.list, 2, TMM_DMA_TO_DEVICE) > 0);
	tmm_dma_unmap_sg(&c.device, c.list, 1, TMM_DMA_TO_DEVICE);
}

static void sync_after_unmap(void *arg)
{
	(void)arg;
	unmap_right();
	tmm_dma_sync_for_cpu(&c.device, c.addr, BYTES, c.direction);
}

static void sync_beyond(void *arg)
{
	(void)arg;
	tmm_dma_sync_for_cpu(&c.device, (tmm_dma_addr){c.addr.v + 500}, BYTES, c.direction);
}

static void sync_wrong_direction(void *arg)
{
	(void)arg;
	tmm_dma_sync_for_device(&c.device, c.addr, BYTES,
	                        c.direction == TMM_DMA_TO_DEVICE ? TMM_DMA_FROM_DEVICE
	                                                         : TMM_DMA_TO_DEVICE);
}

static void write_while_mapped(void *arg)
{
	(void)arg;
	c.buffer[BYTES - 1]++;
	unmap_right();
}

static void write_before_sync(void *arg)
{
	(void)arg;
	c.buffer[0]++;
	tmm_dma_sync_for_cpu(&c.device, c.addr, BYTES, c.direction);
}

static void write_after_sync_for_device(void *arg)
{
	(void)arg;
	tmm_dma_sync_for_cpu(&c.device, c.addr, BYTES, c.direction);
	c.buffer[0]++;
	tmm_dma_sync_for_device(&c.device, c.addr, BYTES, c.direction);
	c.buffer[0]++;
	unmap_right();
}

static void map_stack(void *arg)
{
	char on_stack[64];

	(void)arg;
	(void)!tmm_dma_map_single(&c.device, on_stack, sizeof(on_stack), TMM_DMA_TO_DEVICE).v;
}

static void map_overlapping(void *arg)
{
	(void)arg;
	(void)!tmm_dma_map_single(&c.other, c.buffer + BYTES - 1, 100,
	                          c.direction == TMM_DMA_TO_DEVICE ? TMM_DMA_FROM_DEVICE
	                                                           : TMM_DMA_TO_DEVICE)
		.v;
}

static void device_after_unmap(void *arg)
{
	char byte = 0;

	(void)arg;
	unmap_right();
	(void)!tmm_dma_device_read(&c.device, c.addr, &byte, 1);
}

static void device_beyond(void *arg)
{
	char bytes[BYTES + 1];

	(void)arg;
	(void)!tmm_dma_device_read(&c.device, c.addr, bytes, sizeof(bytes));
}

static void device_wrong_way(void *arg)
{
	char byte = 0;

	(void)arg;
	if (c.direction == TMM_DMA_TO_DEVICE)
		(void)!tmm_dma_device_write(&c.device, c.addr, &byte, 1);
	else
		(void)!tmm_dma_device_read(&c.device, c.addr, &byte, 1);
}

static void device_without_sync(void *arg)
{
	char byte = 0;

	(void)arg;
	tmm_dma_sync_for_cpu(&c.device, c.addr, BYTES, c.direction);
	if (c.direction == TMM_DMA_TO_DEVICE)
		(void)!tmm_dma_device_read(&c.device, c.addr, &byte, 1);
	else
		(void)!tmm_dma_device_write(&c.device, c.addr, &byte, 1);
}

static void device_of_another(void *arg)
{
	char byte = 0;

	(void)arg;
	(void)!tmm_dma_device_read(&c.other, c.addr, &byte, 1);
}

static void free_wrong_size(void *arg)
{
	(void)arg;
	tmm_dma_free_coherent(&c.device, 4096, c.memory, c.coherent);
}

static void free_wrong_device(void *arg)
{
	(void)arg;
	tmm_dma_free_coherent(&c.other, 8192, c.memory, c.coherent);
}

static void free_wrong_memory(void *arg)
{
	(void)arg;
	tmm_dma_free_coherent(&c.device, 8192, (char *)c.memory + 4096, c.coherent);
}

static void free_twice(void *arg)
{
	(void)arg;
	tmm_dma_free_coherent(&c.device, 8192, c.memory, c.coherent);
	tmm_dma_free_coherent(&c.device, 8192, c.memory, c.coherent);
}

static void free_as_mapping(void *arg)
{
	(void)arg;
	tmm_dma_unmap_page(&c.device, c.coherent, 8192, TMM_DMA_BIDIRECTIONAL);
}

static void leave_mapping(void *arg)
{
	(void)arg;
	tmm_dma_free_coherent(&c.device, 8192, c.memory, c.coherent);
	tmm_device_remove(&c.device);
}

static void leave_coherent(void *arg)
{
	(void)arg;
	unmap_right();
	tmm_device_remove(&c.device);
}

static char *pool_block(tmm_dma_addr *addr)
{
	char *block = tmm_dma_pool_alloc(c.pool, TMM_GFP_KERNEL, addr);

	CHECK(block);
	return block;
}

static void pool_overrun(void *arg)
{
	tmm_dma_addr addr;
	char *block = pool_block(&addr);

	(void)arg;
	block[40] = 1;
	tmm_dma_pool_free(c.pool, block, addr);
}

static void pool_overrun_by_device(void *arg)
{
	tmm_dma_addr addr;
	char *block = pool_block(&addr), bytes[48] = {0};

	(void)arg;
	CHECK(tmm_dma_device_write(&c.device, addr, bytes, sizeof(bytes)) == TMM_OK);
	tmm_dma_pool_free(c.pool, block, addr);
}

static void pool_write_after_free(void *arg)
{
	tmm_dma_addr addr;
	char *block = pool_block(&addr);

	(void)arg;
	tmm_dma_pool_free(c.pool, block, addr);
	block[7] = 1;
	(void)pool_block(&addr);
}

static void pool_free_twice(void *arg)
{
	tmm_dma_addr addr;
	char *block = pool_block(&addr);

	(void)arg;
	tmm_dma_pool_free(c.pool, block, addr);
	tmm_dma_pool_free(c.pool, block, addr);
}

static void pool_free_inside(void *arg)
{
	tmm_dma_addr addr;
	char *block = pool_block(&addr);

	(void)arg;
	tmm_dma_pool_free(c.pool, block + 8, (tmm_dma_addr){addr.v + 8});
}

static void pool_free_wrong_address(void *arg)
{
	tmm_dma_addr addr, next;
	char *block = pool_block(&addr);

	(void)arg;
	(void)pool_block(&next);
	tmm_dma_pool_free(c.pool, block, next);
}

static void pool_free_foreign(void *arg)
{
	(void)arg;
	tmm_dma_pool_free(c.pool, c.memory, c.coherent);
}

static void pool_destroy_early(void *arg)
{
	tmm_dma_addr addr;

	(void)arg;
	(void)pool_block(&addr);
	tmm_dma_pool_destroy(c.pool);
}

/* ---- the table ---- */

enum { TO = 1, FROM = 2, BOUNCED = 4, EITHER = TO | FROM };

static const struct misuse {
	const char *name;
	void (*commit)(void *arg);
	const char *rule; /* in the report */
	unsigned when;    /* directions of the mapping; BOUNCED: only with bounce buffers */
} misuses[] = {
	{"unmap twice", unmap_twice, "what is unmapped or freed is mapped", EITHER},
	{"wrong direction", unmap_wrong_direction, "the direction that it was mapped", EITHER},
	{"wrong size", unmap_wrong_size, "the size that it was mapped with", EITHER},
	{"wrong device", unmap_wrong_device, "the device that it was mapped for", EITHER},
	{"wrong function", unmap_as_list, "the function of its kind", EITHER},
	{"never mapped", unmap_never_mapped, "what is unmapped or freed is mapped", EITHER},
	{"unmap an error", unmap_error, "a mapping that failed is not unmapped", EITHER},
	{"unchecked", unmap_unchecked, "asked for an error before it is used", EITHER},
	{"list too short", unmap_list_short, "with as many entries", EITHER},
	{"sync after unmap", sync_after_unmap, "what is synced is mapped", EITHER},
	{"sync beyond", sync_beyond, "lies within its mapping", EITHER},
	{"sync, wrong direction", sync_wrong_direction, "what is synced has the dir", EITHER},
	{"CPU writes", write_while_mapped, "processor does not write", TO},
	{"CPU writes", write_while_mapped, "processor does not write", FROM | BOUNCED},
	{"CPU writes, then syncs", write_before_sync, "processor does not write", TO},
	{"CPU writes, then syncs", write_before_sync, "processor does not", FROM | BOUNCED},
	{"CPU writes late", write_after_sync_for_device, "processor does not write", TO},
	{"stack", map_stack, "not of a stack or of vmalloc", EITHER},
	{"overlap", map_overlapping, "mapped once at a time", EITHER},
	{"device after unmap", device_after_unmap, "what is mapped for it", EITHER},
	{"device beyond", device_beyond, "what is mapped for it", TO},
	{"device the wrong way", device_wrong_way, "what it was lent to", EITHER},
	{"no sync for device", device_without_sync, "the processor took back", EITHER},
	{"another's mapping", device_of_another, "what is mapped for it", EITHER},
	{"coherent, wrong size", free_wrong_size, "the size that it was mapped with", TO},
	{"coherent, wrong device", free_wrong_device, "the device that it was mapped", TO},
	{"coherent, wrong memory", free_wrong_memory, "freed by its own address", TO},
	{"coherent, twice", free_twice, "what is unmapped or freed is mapped", TO},
	{"coherent, as mapping", free_as_mapping, "the function of its kind", TO},
	{"leaked mapping", leave_mapping, "no memory and no mapping left", EITHER},
	{"leaked memory", leave_coherent, "no memory and no mapping left", EITHER},
	{"pool overrun", pool_overrun, "nobody writes beyond a block", TO},
	{"pool overrun, device", pool_overrun_by_device, "writes beyond a block", TO},
	{"pool, write after free", pool_write_after_free, "not written after it was", TO},
	{"pool, free twice", pool_free_twice, "a block is freed once", TO},
	{"pool, free inside", pool_free_inside, "a block from its start on", TO},
	{"pool, wrong address", pool_free_wrong_address, "at that address for the dev", TO},
	{"pool, foreign", pool_free_foreign, "what is freed is of the pool", TO},
	{"pool, lent blocks", pool_destroy_early, "has all its blocks back", TO},
};

static bool has(const char *text, const char *part)
{
	for (; text && *text; text++) {
		size_t i = 0;

		while (part[i] && text[i] == part[i])
			i++;
		if (!part[i])
			return true;
	}
	return false;
}

static void set_up(enum tmm_dma_direction direction, bool bounced)
{
	const struct tmm_dma_pool_spec spec = {.name = "descriptors", .size_bytes = 40};

	boot_shape(
		(struct tmm_shape){.dma_debug = TMM_DMA_DEBUG,
	                           .swiotlb = bounced ? TMM_SWIOTLB_FORCE : TMM_SWIOTLB_AUTO},
		64 * MB);
	tmm_device_add(&m.machine.dma, &c.device, "device");
	tmm_device_add(&m.machine.dma, &c.other, "other");
	CHECK(tmm_pages_alloc(&m.machine.pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, 2, &c.run) ==
	      TMM_OK);
	c.buffer = tmm_page_address(&m.machine.pages, c.run);
	c.direction = direction;
	c.addr = tmm_dma_map_single(&c.device, c.buffer, BYTES, direction);
	CHECK(!tmm_dma_mapping_error(&c.device, c.addr));
	c.memory = tmm_dma_alloc_coherent(&c.device, 8192, &c.coherent, TMM_GFP_KERNEL);
	CHECK(c.memory);
	CHECK(tmm_dma_pool_create(&c.device, &spec, &c.pool) == TMM_OK);
}

static void do_it_right(void)
{
	char bytes[BYTES] = {0};
	tmm_dma_addr addr;
	char *block;

	if (c.direction == TMM_DMA_TO_DEVICE)
		CHECK(tmm_dma_device_read(&c.device, c.addr, bytes, BYTES) == TMM_OK);
	else
		CHECK(tmm_dma_device_write(&c.device, c.addr, bytes, BYTES) == TMM_OK);
	tmm_dma_sync_for_cpu(&c.device, c.addr, BYTES, c.direction);
	c.buffer[3]++;
	tmm_dma_sync_for_device(&c.device, c.addr, BYTES, c.direction);
	/* a part: what is beside it may still be the device's */
	tmm_dma_sync_for_cpu(&c.device, (tmm_dma_addr){c.addr.v + 64}, 64, c.direction);
	c.buffer[64]++;
	tmm_dma_sync_for_device(&c.device, (tmm_dma_addr){c.addr.v + 64}, 64, c.direction);
	/* two that only read may share */
	if (c.direction == TMM_DMA_TO_DEVICE) {
		addr = tmm_dma_map_single(&c.other, c.buffer, 100, TMM_DMA_TO_DEVICE);
		CHECK(!tmm_dma_mapping_error(&c.other, addr));
		tmm_dma_unmap_single(&c.other, addr, 100, TMM_DMA_TO_DEVICE);
	}
	unmap_right();
	c.buffer[0]++;
	block = pool_block(&addr);
	for (unsigned i = 0; i < 40; i++)
		block[i] = (char)i;
	CHECK(tmm_dma_device_write(&c.device, addr, bytes, 40) == TMM_OK);
	tmm_dma_pool_free(c.pool, block, addr);
	tmm_dma_pool_destroy(c.pool);
	tmm_dma_free_coherent(&c.device, 8192, c.memory, c.coherent);
	tmm_device_remove(&c.device);
	tmm_device_remove(&c.other);
	tmm_pages_free(&m.machine.pages, c.run, 2);
	halt();
}

TEST(every_misuse_is_reported_by_its_rule_and_right_use_is_not)
{
	unsigned nr = 0;

	for (unsigned way = 0; way < 4; way++) {
		enum tmm_dma_direction direction = way & 1 ? TMM_DMA_FROM_DEVICE
		                                           : TMM_DMA_TO_DEVICE;
		bool bounced = way & 2;

		set_up(direction, bounced);
		do_it_right();
		for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
			const struct misuse *misuse = &misuses[i];
			const char *report;

			if (!(misuse->when & (direction == TMM_DMA_TO_DEVICE ? TO : FROM)) ||
			    (misuse->when & BOUNCED && !bounced))
				continue;
			set_up(direction, bounced);
			report = test_panics(misuse->commit, NULL);
			if (!has(report, misuse->rule))
				test_note("%s, way %u: %s", misuse->name, way,
				          report ? report : "not reported");
			CHECK(has(report, misuse->rule));
			CHECK(has(report, "device "));
			tmm_port_forget_locks();
			nr++;
		}
	}
	test_note("%u mistakes of %zu kinds reported", nr, ARRAY_SIZE(misuses));
}

static void remove_device(void *arg)
{
	(void)arg;
	tmm_device_remove(&c.device);
}

/* Without records the worst is found all the same. */
TEST(without_debugging_leaks_and_foreign_blocks_are_still_found)
{
	const struct tmm_dma_pool_spec spec = {.name = "descriptors", .size_bytes = 40};

	boot(64 * MB);
	tmm_device_add(&m.machine.dma, &c.device, "device");
	CHECK(tmm_dma_pool_create(&c.device, &spec, &c.pool) == TMM_OK);
	c.memory = tmm_dma_alloc_coherent(&c.device, 8192, &c.coherent, TMM_GFP_KERNEL);
	CHECK(c.memory);
	CHECK(has(test_panics(pool_free_twice, NULL), "a block is freed once"));
	CHECK(has(test_panics(pool_free_foreign, NULL), "what is freed is of the pool"));
	CHECK(has(test_panics(remove_device, NULL), "no memory and no mapping left"));
}

static void text_into(void *arg, const char *piece, size_t bytes)
{
	char **end = arg;

	memcpy(*end, piece, bytes);
	*end += bytes;
	**end = '\0';
}

TEST(mappings_are_listed_as_linux_lists_them)
{
	char text[2048], *end = text;
	const struct tmm_sink sink = {.write = text_into, .arg = &end};

	set_up(TMM_DMA_TO_DEVICE, false);
	CHECK(tmm_dma_show(&m.machine.dma, &sink));
	CHECK(has(text, "device single idx ") &&
	      has(text, " L=3e8 DMA_TO_DEVICE dma map error checked\n"));
	CHECK(has(text, "device coherent idx ") && has(text, " L=2000 "));
	do_it_right();
	boot(64 * MB);
	CHECK(!tmm_dma_show(&m.machine.dma, &sink));
	halt();
}

/* ---- pools ---- */

TEST(blocks_keep_alignment_and_boundary_and_are_apart)
{
	static const struct tmm_dma_pool_spec specs[] = {
		{.name = "a", .size_bytes = 1},
		{.name = "b", .size_bytes = 40, .align_bytes = 16},
		{.name = "c", .size_bytes = 100, .align_bytes = 4, .boundary_bytes = 256},
		{.name = "d", .size_bytes = 1000, .align_bytes = 64, .boundary_bytes = 2048},
		{.name = "e", .size_bytes = 5000, .align_bytes = 4096},
		{.name = "f", .size_bytes = 64, .align_bytes = 64, .boundary_bytes = 64},
		{.name = "g", .size_bytes = 65536, .boundary_bytes = 65536},
	};
	enum { NR = 150 };

	for (unsigned debug = 0; debug <= TMM_DMA_DEBUG; debug++) {
		boot_shape((struct tmm_shape){.dma_debug = debug}, 64 * MB);
		tmm_device_add(&m.machine.dma, &c.device, "device");
		for (size_t s = 0; s < ARRAY_SIZE(specs); s++) {
			const struct tmm_dma_pool_spec *spec = &specs[s];
			const unsigned nr = spec->size_bytes > 4096 ? 20 : NR;
			struct tmm_dma_pool_info info;
			tmm_dma_addr addr[NR];
			char *block[NR];

			CHECK(tmm_dma_pool_create(&c.device, spec, &c.pool) == TMM_OK);
			for (unsigned i = 0; i < nr; i++) {
				uint64_t last;

				block[i] = tmm_dma_pool_zalloc(c.pool, TMM_GFP_KERNEL,
				                               &addr[i]);
				CHECK(block[i] == m.ram + addr[i].v);
				CHECK(addr[i].v % (spec->align_bytes ? spec->align_bytes : 8) ==
				      0);
				last = addr[i].v + spec->size_bytes - 1;
				if (spec->boundary_bytes)
					CHECK(addr[i].v / spec->boundary_bytes ==
					      last / spec->boundary_bytes);
				for (size_t b = 0; b < spec->size_bytes; b++)
					CHECK(block[i][b] == 0);
				memset(block[i], (int)i, spec->size_bytes);
			}
			tmm_dma_pool_check(c.pool);
			tmm_dma_pool_info(c.pool, &info);
			CHECK(info.active_blocks == nr && info.total_blocks >= nr);
			for (unsigned i = 0; i < nr; i++) {
				for (size_t b = 0; b < spec->size_bytes; b++)
					CHECK(block[i][b] == (char)i);
				tmm_dma_pool_free(c.pool, block[i], addr[i]);
			}
			/* what was freed is lent again before more is taken */
			block[0] = tmm_dma_pool_alloc(c.pool, TMM_GFP_KERNEL, &addr[0]);
			tmm_dma_pool_free(c.pool, block[0], addr[0]);
			tmm_dma_pool_info(c.pool, &info);
			CHECK(info.active_blocks == 0);
			tmm_dma_pool_destroy(c.pool);
		}
		tmm_device_remove(&c.device);
		halt();
	}
}

TEST(impossible_pools_are_refused)
{
	static const struct tmm_dma_pool_spec specs[] = {
		{.name = "x", .size_bytes = 0},
		{.name = "x", .size_bytes = 65537},
		{.name = "x", .size_bytes = 8, .align_bytes = 24},
		{.name = "x", .size_bytes = 100, .boundary_bytes = 64},
		{.name = "x", .size_bytes = 8, .boundary_bytes = 24},
		{.name = "", .size_bytes = 8},
		{.name = "a name that is one character long", .size_bytes = 8},
	};

	boot(64 * MB);
	tmm_device_add(&m.machine.dma, &c.device, "device");
	for (size_t s = 0; s < ARRAY_SIZE(specs); s++)
		CHECK(tmm_dma_pool_create(&c.device, &specs[s], &c.pool) == TMM_E_INVAL);
	tmm_device_remove(&c.device);
	halt();
}
