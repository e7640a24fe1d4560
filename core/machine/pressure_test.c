/*
 * A machine that is short of memory: what gives way, on which node, and who is asked when
 * nothing is left.
 */
#include <tuxmm/file.h>

#include "cache/mapping.h"
#include "machine/machine.h"
#include "page/zone.h"
#include "test.h"

#define MIB UINT64_C(0x100000)

static struct tmm_machine one;

static struct tmm_shape shape_of(const struct tmm_firmware_range *map, size_t nr_ranges)
{
	return (struct tmm_shape){.firmware_map = map, .nr_ranges = nr_ranges, .nr_cpus = 1};
}

static tmm_err file_read(void *owner, uint64_t index, size_t nr, void *const *address)
{
	(void)owner;
	for (size_t i = 0; i < nr; i++)
		memset(address[i], (int)(index + i) & 0xff, TMM_PAGE_SIZE);
	return TMM_OK;
}

static uint64_t file_size(void *owner)
{
	(void)owner;
	return 64 * MIB;
}

static void file_release(void *owner)
{
	(void)owner;
}

/* A file of 64 MiB passes through a machine of 8 MiB, whose pages then all can be had. */
TEST(unused_file_pages_give_way)
{
	static const struct tmm_mapping_ops ops = {
		.read = file_read, .size = file_size, .release = file_release};
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(8 * MIB, map));
	uint32_t chain = UINT32_MAX, nr = 0;
	struct tmm_mapping *mapping;
	const char *why;
	tmm_pfn pfn;

	CHECK(tmm_machine_init(&one, &shape, test_ram(8 * MIB), &why) == TMM_OK);
	CHECK(tmm_mapping_create(tmm_machine_cache(&one), &ops, NULL, &mapping) == TMM_OK);
	for (uint64_t index = 0; index < 64 * MIB / TMM_PAGE_SIZE; index += 16) {
		struct mapping_window window = {.index = index, .first = index, .nr = 16};

		CHECK(mapping_window_get(mapping, &window) == TMM_OK);
		CHECK(*(uint8_t *)tmm_page_address(&one.pages, window.pfn[0]) ==
		      (index & 0xff));
		for (size_t i = 0; i < 16; i++) {
			if (window.pfn[i].v != TMM_PFN_NONE.v)
				file_page_put(tmm_machine_cache(&one), window.pfn[i], false,
				              false);
		}
	}
	CHECK(tmm_cache_pages(tmm_machine_cache(&one)) > 256);
	tmm_check(&one);
	while (tmm_pages_alloc(&one.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK) {
		*(uint32_t *)tmm_page_address(&one.pages, pfn) = chain;
		chain = (uint32_t)pfn.v;
		nr++;
	}
	CHECK(tmm_cache_pages(tmm_machine_cache(&one)) == 0);
	CHECK(nr > 4 * MIB / TMM_PAGE_SIZE);
	tmm_check(&one);
	while (chain != UINT32_MAX) {
		pfn.v = chain;
		chain = *(uint32_t *)tmm_page_address(&one.pages, pfn);
		tmm_pages_free(&one.pages, pfn, 0);
	}
	tmm_mapping_put(mapping);
	tmm_machine_fini(&one);
}

/* Pages of a file, read while CPU 0 is on its node; all of them are idle. */
static struct tmm_mapping *read_file(uint64_t nr_pages)
{
	static const struct tmm_mapping_ops ops = {
		.read = file_read, .size = file_size, .release = file_release};
	struct tmm_mapping *mapping;

	CHECK(tmm_mapping_create(tmm_machine_cache(&one), &ops, NULL, &mapping) == TMM_OK);
	for (uint64_t index = 0; index < nr_pages; index += 16) {
		struct mapping_window window = {.index = index, .first = index, .nr = 16};

		CHECK(mapping_window_get(mapping, &window) == TMM_OK);
		for (size_t i = 0; i < 16; i++)
			if (window.pfn[i].v != TMM_PFN_NONE.v)
				file_page_put(tmm_machine_cache(&one), window.pfn[i], false,
				              false);
	}
	return mapping;
}

/*
 *   node 0  |ffff....|   pages of a file; requests of CPU 0 fill the rest up to low
 *   node 1  |........|   CPU 1
 *
 * Then node 0 is woken, and has its high watermark again after one run.
 */
TEST(a_node_that_is_short_is_brought_up_in_the_background)
{
	static const struct tmm_firmware_range map[] = {
		{{0}, 16 * MIB, TMM_FW_USABLE, 0},
		{{16 * MIB}, 16 * MIB, TMM_FW_USABLE, 0},
		{{32 * MIB}, 32 * MIB, TMM_FW_USABLE, 1},
	};
	const tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_THISNODE;
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
	struct tmm_pages *pages = &one.pages;
	uint32_t chain = UINT32_MAX;
	struct tmm_zone_info zone;
	struct tmm_mapping *mapping;
	const char *why;
	uint64_t cached, freed;
	tmm_pfn pfn;

	shape.nr_nodes = shape.nr_cpus = 2;
	shape.cpu_node[1] = 1;
	shape.min_free_kbytes = 1024;
	CHECK(tmm_machine_init(&one, &shape, test_ram(64 * MIB), &why) == TMM_OK);
	tmm_pages_set_watermark_boost(pages, 0);
	CHECK(tmm_cpu_enter(&one, 0) == TMM_OK);
	mapping = read_file(512);
	cached = node_stat_sum(pages, 0, NR_FILE_PAGES);
	CHECK(cached == 512 && !tmm_machine_is_woken(&one));
	while (!tmm_machine_is_woken(&one)) {
		CHECK(tmm_pages_alloc(pages, gfp, 0, &pfn) == TMM_OK);
		*(uint32_t *)tmm_page_address(pages, pfn) = chain;
		chain = (uint32_t)pfn.v;
	}
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &zone));
	CHECK(zone.free_pages < zone.watermark_high);
	freed = tmm_machine_background(&one);
	CHECK(freed > 0 && !tmm_machine_is_woken(&one));
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &zone));
	CHECK(zone.free_pages >= zone.watermark_high);
	CHECK(cached - node_stat_sum(pages, 0, NR_FILE_PAGES) == freed);
	CHECK(vm_event_sum(pages, PGSTEAL_KSWAPD) == freed);
	CHECK(vm_event_sum(pages, PAGEOUTRUN) == 1 && vm_event_sum(pages, PGSTEAL_DIRECT) == 0);
	CHECK(tmm_machine_background(&one) == 0 && vm_event_sum(pages, PAGEOUTRUN) == 1);
	tmm_check(&one);
	while (chain != UINT32_MAX) {
		pfn.v = chain;
		chain = *(uint32_t *)tmm_page_address(pages, pfn);
		tmm_pages_free(pages, pfn, 0);
	}
	tmm_mapping_put(mapping);
	tmm_machine_fini(&one);
}

/* Node 1's pages stay when node 0 is short, though they are older. */
TEST(a_node_gives_pages_of_its_own)
{
	static const struct tmm_firmware_range map[] = {
		{{0}, 32 * MIB, TMM_FW_USABLE, 0},
		{{32 * MIB}, 32 * MIB, TMM_FW_USABLE, 1},
	};
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
	struct tmm_mapping *far, *near;
	const char *why;

	shape.nr_nodes = shape.nr_cpus = 2;
	shape.cpu_node[1] = 1;
	CHECK(tmm_machine_init(&one, &shape, test_ram(64 * MIB), &why) == TMM_OK);
	CHECK(tmm_cpu_enter(&one, 1) == TMM_OK);
	far = read_file(64);
	CHECK(tmm_cpu_enter(&one, 0) == TMM_OK);
	near = read_file(64);
	CHECK(cache_shrink_nodes(&one.cache, 1u << 0, 50) == 50);
	CHECK(node_stat_sum(&one.pages, 0, NR_FILE_PAGES) == 14);
	CHECK(node_stat_sum(&one.pages, 1, NR_FILE_PAGES) == 64);
	CHECK(cache_shrink_nodes(&one.cache, 1u << 0, 50) == 14);
	tmm_check(&one);
	tmm_mapping_put(near);
	tmm_mapping_put(far);
	tmm_machine_fini(&one);
}

struct killed {
	tmm_gfp gfp;
	unsigned order, nr;
};

static bool note_kill(void *arg, tmm_gfp gfp, unsigned order)
{
	struct killed *killed = arg;

	*killed = (struct killed){gfp, order, killed->nr + 1};
	return false;
}

/* Nothing is left to reclaim: whoever runs the tasks is asked, once, for this request. */
TEST(a_kill_is_asked_for_when_nothing_is_left)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(8 * MIB, map));
	const tmm_gfp gfp = TMM_GFP_KERNEL | TMM_GFP_NOWARN;
	struct killed killed = {.nr = 0};
	uint32_t chain = UINT32_MAX;
	const char *why;
	tmm_pfn pfn;

	CHECK(tmm_machine_init(&one, &shape, test_ram(8 * MIB), &why) == TMM_OK);
	tmm_machine_on_oom(&one, note_kill, &killed);
	while (tmm_pages_alloc(&one.pages, gfp, 0, &pfn) == TMM_OK) {
		*(uint32_t *)tmm_page_address(&one.pages, pfn) = chain;
		chain = (uint32_t)pfn.v;
	}
	CHECK(killed.nr == 1 && killed.gfp == gfp && killed.order == 0);
	CHECK(tmm_pages_alloc(&one.pages, gfp | TMM_GFP_NORETRY, 0, &pfn) == TMM_E_NOMEM);
	CHECK(tmm_pages_alloc(&one.pages, TMM_GFP_NOWAIT | TMM_GFP_NOMEMALLOC | TMM_GFP_NOWARN,
	                      0, &pfn) == TMM_E_NOMEM);
	CHECK(killed.nr == 1);
	tmm_machine_on_oom(&one, NULL, NULL);
	CHECK(tmm_pages_alloc(&one.pages, gfp, 1, &pfn) == TMM_E_NOMEM && killed.nr == 1);
	CHECK(tmm_machine_is_woken(&one));
	tmm_machine_background(&one); /* in vain */
	while (chain != UINT32_MAX) {
		pfn.v = chain;
		chain = *(uint32_t *)tmm_page_address(&one.pages, pfn);
		tmm_pages_free(&one.pages, pfn, 0);
	}
	tmm_check(&one);
	tmm_machine_fini(&one);
}

/* ---- what could still be had ---- */

static uint64_t reclaimable(enum tmm_zone_id zone)
{
	return one.pages.reclaim_ops->reclaimable(one.pages.reclaim_arg, 0, zone);
}

/*
 *   DMA    |........|   nothing of the file; slabs could be anywhere
 *   DMA32  |fffff...|   80 pages of a file; 16 of them are pinned for a moment
 */
TEST(what_could_be_reclaimed_is_counted_by_zone)
{
	static const struct tmm_firmware_range map[] = {{{0}, 32 * MIB, TMM_FW_USABLE, 0}};
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
	struct mapping_window window = {.nr = 16};
	struct tmm_mapping *mapping;
	uint64_t slab;
	const char *why;

	CHECK(tmm_machine_init(&one, &shape, test_ram(32 * MIB), &why) == TMM_OK);
	mapping = read_file(80);
	slab = node_stat_sum(&one.pages, 0, NR_SLAB_RECLAIMABLE);
	CHECK(reclaimable(TMM_ZONE_DMA) == slab);
	CHECK(reclaimable(TMM_ZONE_DMA32) == slab + 80);
	CHECK(reclaimable(TMM_ZONE_NORMAL) == 0 && reclaimable(TMM_ZONE_MOVABLE) == 0);
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	CHECK(reclaimable(TMM_ZONE_DMA32) == slab + 64);
	for (size_t i = 0; i < 16; i++)
		file_page_put(tmm_machine_cache(&one), window.pfn[i], false, false);
	CHECK(reclaimable(TMM_ZONE_DMA32) == slab + 80);
	tmm_check(&one);
	tmm_mapping_put(mapping);
	CHECK(reclaimable(TMM_ZONE_DMA32) == node_stat_sum(&one.pages, 0, NR_SLAB_RECLAIMABLE));
	tmm_machine_fini(&one);
}

/* Rounds of reclaim that a request makes when every frame is lent. */
static uint64_t rounds_in_vain(void)
{
	const tmm_gfp gfp = TMM_GFP_KERNEL | TMM_GFP_NOWARN;
	uint32_t chain = UINT32_MAX;
	uint64_t before;
	tmm_pfn pfn;

	while (tmm_pages_alloc(&one.pages, gfp, 0, &pfn) == TMM_OK) {
		*(uint32_t *)tmm_page_address(&one.pages, pfn) = chain;
		chain = (uint32_t)pfn.v;
	}
	before = vm_event_sum(&one.pages, ALLOCSTALL_NORMAL);
	CHECK(tmm_pages_alloc(&one.pages, gfp, 0, &pfn) == TMM_E_NOMEM);
	before = vm_event_sum(&one.pages, ALLOCSTALL_NORMAL) - before;
	while (chain != UINT32_MAX) {
		pfn.v = chain;
		chain = *(uint32_t *)tmm_page_address(&one.pages, pfn);
		tmm_pages_free(&one.pages, pfn, 0);
	}
	return before;
}

/* 2 MiB of objects could be had if their owner let go: a request tries again, 16 times. */
TEST(a_request_goes_on_while_enough_could_be_reclaimed)
{
	const struct tmm_cache_spec spec = {
		.name = "inode", .size_bytes = 2048, .reclaimable = true};
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = shape_of(map, tmm_firmware_pc(8 * MIB, map));
	static void *object[1024];
	struct tmm_cache *cache;
	const char *why;

	CHECK(tmm_machine_init(&one, &shape, test_ram(8 * MIB), &why) == TMM_OK);
	CHECK(rounds_in_vain() == 1);
	CHECK(tmm_cache_create(tmm_machine_slabs(&one), &spec, &cache) == TMM_OK);
	for (size_t i = 0; i < ARRAY_SIZE(object); i++)
		CHECK((object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	CHECK(rounds_in_vain() == 17);
	for (size_t i = 0; i < ARRAY_SIZE(object); i++)
		tmm_cache_free(cache, object[i]);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	CHECK(rounds_in_vain() == 1);
	tmm_check(&one);
	tmm_machine_fini(&one);
}

/* A node with enough, whose zone is boosted by one block, gives a block's pages. */
TEST(background_reclaim_takes_a_boost_back)
{
	static const struct tmm_firmware_range map[] = {{{0}, 32 * MIB, TMM_FW_USABLE, 0}};
	struct tmm_shape shape = shape_of(map, ARRAY_SIZE(map));
	struct tmm_mapping *mapping;
	struct zone *zone;
	const char *why;
	uint64_t freed;
	tmm_irq irq;
	tmm_pfn pfn;

	CHECK(tmm_machine_init(&one, &shape, test_ram(32 * MIB), &why) == TMM_OK);
	mapping = read_file(1024);
	zone = &one.pages.zone[one.pages.node[0].zone_index[TMM_ZONE_DMA32]];
	irq = lock_take_irqsave(&zone->lock);
	watermark_boost(&one.pages, zone);
	lock_drop_irqrestore(&zone->lock, irq);
	CHECK(zone_boost(zone) == BLOCK_FRAMES && !tmm_machine_is_woken(&one));
	tmm_pages_drain_all(&one.pages);
	CHECK(tmm_pages_alloc(&one.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	CHECK(tmm_machine_is_woken(&one));
	freed = tmm_machine_background(&one);
	CHECK(freed >= BLOCK_FRAMES && freed < BLOCK_FRAMES + 64);
	CHECK(zone_boost(zone) == 0 && !tmm_machine_is_woken(&one));
	CHECK(tmm_machine_background(&one) == 0);
	tmm_pages_free(&one.pages, pfn, 0);
	tmm_mapping_put(mapping);
	tmm_check(&one);
	tmm_machine_fini(&one);
}
