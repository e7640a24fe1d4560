/*
 * Memory blocks go offline and come online, in the zone that is wished for.
 *
 *   0       16      64      96        160 MiB
 *   | DMA   | DMA32 | node 1 | may be added |     sections of 8 MiB: block 0, 1, ...
 */
#include <tuxmm/hotplug.h>
#include <tuxmm/migrate.h>

#include "inject.h"
#include "page/rig_test.h"
#include "page/zone.h"

#define SECTION       (8 * MIB)
#define SECTION_PAGES (SECTION >> TMM_PAGE_SHIFT)
#define NODE_1        (64 * MIB)
#define BOOT_END      (96 * MIB)
#define END           (160 * MIB)

static struct rig rig;
static struct tmm_hotplug_report report;

static struct tmm_pages *boot(uint64_t movable)
{
	struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                              .nr_nodes = 2,
	                              .memory_model = TMM_MEMORY_SPARSE,
	                              .section_bytes = SECTION,
	                              .hotplug_end = END,
	                              .movablecore_bytes = movable};

	rig_begin(&rig, END, 2);
	rig_add(&rig, 0, NODE_1);
	CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){NODE_1}, BOOT_END - NODE_1, 1) ==
	      TMM_OK);
	return rig_boot_as(&rig, config);
}

static void end(void)
{
	tmm_pages_drain_all(&rig.pages);
	tmm_pages_check(&rig.pages);
	tmm_memblock_check(&rig.memblock);
	pages_fini(&rig.pages);
}

static tmm_err set(uint64_t number, enum tmm_block_use use)
{
	tmm_err err = tmm_memory_block_set(&rig.pages, number, use, &report);

	CHECK((err == TMM_OK) == !report.why);
	tmm_pages_check(&rig.pages);
	return err;
}

static struct tmm_memory_block memory_block(uint64_t number)
{
	struct tmm_memory_block block;

	CHECK(tmm_memory_block_info(&rig.pages, number, &block));
	CHECK(block.number == number && block.start.v == number * SECTION &&
	      block.size_bytes == SECTION);
	return block;
}

/* The zones of the block, as many as there are, in order. */
static bool zones_are(uint64_t number, unsigned nr, enum tmm_zone_id a, enum tmm_zone_id b)
{
	struct tmm_memory_block block = memory_block(number);

	return block.nr_valid_zones == nr && (nr < 1 || block.valid_zone[0] == a) &&
	       (nr < 2 || block.valid_zone[1] == b);
}

static uint64_t present(unsigned node, enum tmm_zone_id id)
{
	struct tmm_zone_info info;

	return tmm_zone_info(&rig.pages, node, id, &info) ? info.present_pages : 0;
}

TEST(blocks_of_boot_are_online_in_their_zones)
{
	struct tmm_memory_block block;
	uint64_t cursor = 0, nr = 0;

	boot(0);
	CHECK(tmm_memory_auto_online(&rig.pages) == TMM_BLOCK_OFFLINE);
	for (; tmm_memory_block_next(&rig.pages, &cursor, &block); nr++) {
		CHECK(block.number == nr && block.is_online);
		CHECK(block.node == (nr >= NODE_1 / SECTION));
		CHECK(zones_are(nr, 1, nr < 2 ? TMM_ZONE_DMA : TMM_ZONE_DMA32, 0));
	}
	CHECK(nr == BOOT_END / SECTION);
	CHECK(!tmm_memory_block_info(&rig.pages, nr, &block));
	CHECK(!tmm_memory_block_info(&rig.pages, 1000, &block));
	end();
}

/*
 *   block 3   online DMA32 -> offline -> online, kernel, movable -> offline ...
 */
TEST(a_block_comes_to_the_zone_that_is_wished_for)
{
	static const struct {
		enum tmm_block_use use;
		enum tmm_zone_id zone;
	} table[] = {{TMM_BLOCK_ONLINE, TMM_ZONE_DMA32},
	             {TMM_BLOCK_ONLINE_MOVABLE, TMM_ZONE_MOVABLE},
	             {TMM_BLOCK_ONLINE_KERNEL, TMM_ZONE_DMA32},
	             {TMM_BLOCK_ONLINE_MOVABLE, TMM_ZONE_MOVABLE}};
	uint64_t managed, dma32;

	boot(0);
	managed = tmm_pages_managed_count(&rig.pages);
	dma32 = present(0, TMM_ZONE_DMA32);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		bool movable = table[i].zone == TMM_ZONE_MOVABLE;

		CHECK(set(3, table[i].use) == TMM_E_INVAL); /* it is online */
		CHECK(set(3, TMM_BLOCK_OFFLINE) == TMM_OK);
		CHECK(!memory_block(3).is_online && memory_block(3).node == 0);
		CHECK(zones_are(3, 2, TMM_ZONE_DMA32, TMM_ZONE_MOVABLE));
		CHECK(present(0, TMM_ZONE_DMA32) == dma32 - SECTION_PAGES);
		CHECK(present(0, TMM_ZONE_MOVABLE) == 0);
		CHECK(tmm_pages_managed_count(&rig.pages) <= managed);
		CHECK(set(3, TMM_BLOCK_OFFLINE) == TMM_E_INVAL);
		CHECK(set(3, table[i].use) == TMM_OK);
		CHECK(memory_block(3).is_online && zones_are(3, 1, table[i].zone, 0));
		CHECK(present(0, TMM_ZONE_MOVABLE) == (movable ? SECTION_PAGES : 0));
		CHECK(present(0, TMM_ZONE_DMA32) == dma32 - (movable ? SECTION_PAGES : 0));
	}
	CHECK(set(3, (enum tmm_block_use)4) == TMM_E_INVAL);
	CHECK(set(99, TMM_BLOCK_ONLINE) == TMM_E_NOENT);
	end();
}

/*
 * What is MOVABLE serves movable requests alone, though the kernel's zone lies on both
 * sides of it.
 */
TEST(a_movable_block_is_not_the_kernels)
{
	struct tmm_pages *pages = boot(0);
	const tmm_gfp gfp = TMM_GFP_MEMALLOC | TMM_GFP_NOWARN;
	static tmm_pfn pfn[BOOT_END >> TMM_PAGE_SHIFT];
	unsigned nr = 0, inside = 0;

	CHECK(set(4, TMM_BLOCK_OFFLINE) == TMM_OK &&
	      set(4, TMM_BLOCK_ONLINE_MOVABLE) == TMM_OK);
	while (tmm_pages_alloc(pages, gfp, 0, &pfn[nr]) == TMM_OK)
		CHECK(pfn[nr++].v / SECTION_PAGES != 4);
	while (tmm_pages_alloc(pages, gfp | TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE, 0, &pfn[nr]) ==
	       TMM_OK)
		inside += pfn[nr++].v / SECTION_PAGES == 4;
	CHECK(inside > SECTION_PAGES * 9 / 10);
	while (nr > 0)
		tmm_pages_free(pages, pfn[--nr], 0);
	end();
}

/* By itself a block comes to MOVABLE only where it lies within that zone and no other. */
TEST(the_default_zone_is_the_one_the_block_lies_within)
{
	boot(48 * MIB); /* the last 8 MiB of node 1, and more of node 0 */
	CHECK(zones_are(11, 1, TMM_ZONE_MOVABLE, 0));
	CHECK(set(11, TMM_BLOCK_OFFLINE) == TMM_OK);
	CHECK(tmm_memory_add(&rig.pages, (tmm_paddr){12 * SECTION}, 1, &report) == TMM_OK);
	CHECK(!memory_block(12).is_online &&
	      zones_are(12, 2, TMM_ZONE_DMA32, TMM_ZONE_MOVABLE));
	CHECK(set(12, TMM_BLOCK_ONLINE_MOVABLE) == TMM_OK);
	CHECK(tmm_memory_add(&rig.pages, (tmm_paddr){14 * SECTION}, 1, &report) == TMM_OK);
	CHECK(set(14, TMM_BLOCK_ONLINE_MOVABLE) == TMM_OK);
	CHECK(tmm_memory_add(&rig.pages, (tmm_paddr){13 * SECTION}, 1, &report) == TMM_OK);
	CHECK(zones_are(13, 2, TMM_ZONE_MOVABLE, TMM_ZONE_DMA32));
	CHECK(set(13, TMM_BLOCK_ONLINE) == TMM_OK && zones_are(13, 1, TMM_ZONE_MOVABLE, 0));
	end();
}

/* Added memory is offline, or what is set; and sections that are there cannot be added. */
TEST(added_memory_is_put_to_the_use_that_is_set)
{
	static const struct {
		enum tmm_block_use use;
		enum tmm_zone_id zone;
	} table[] = {{TMM_BLOCK_ONLINE, TMM_ZONE_DMA32},
	             {TMM_BLOCK_ONLINE_KERNEL, TMM_ZONE_DMA32},
	             {TMM_BLOCK_ONLINE_MOVABLE, TMM_ZONE_MOVABLE}};
	const tmm_paddr start = {15 * SECTION};
	struct tmm_memory_block block;

	boot(0);
	CHECK(tmm_memory_set_auto_online(&rig.pages, (enum tmm_block_use)7) == TMM_E_INVAL);
	CHECK(tmm_memory_add(&rig.pages, start, 1, &report) == TMM_OK);
	CHECK(!memory_block(15).is_online && memory_block(15).node == 1);
	CHECK(tmm_memory_add(&rig.pages, start, 1, &report) == TMM_E_EXIST);
	CHECK(tmm_section_add(&rig.pages, start, 1, &report) == TMM_E_EXIST);
	CHECK(tmm_section_remove(&rig.pages, start, &report) == TMM_OK);
	CHECK(!tmm_memory_block_info(&rig.pages, 15, &block));
	CHECK(tmm_memory_add(&rig.pages, (tmm_paddr){15 * SECTION + 1}, 1, &report) ==
	      TMM_E_INVAL);
	CHECK(tmm_memory_add(&rig.pages, (tmm_paddr){END}, 1, &report) == TMM_E_INVAL);
	CHECK(tmm_memory_add(&rig.pages, start, 2, &report) == TMM_E_INVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		CHECK(tmm_memory_set_auto_online(&rig.pages, table[i].use) == TMM_OK);
		CHECK(tmm_memory_auto_online(&rig.pages) == table[i].use);
		CHECK(tmm_memory_add(&rig.pages, start, 1, &report) == TMM_OK);
		CHECK(memory_block(15).is_online && zones_are(15, 1, table[i].zone, 0));
		CHECK(tmm_section_remove(&rig.pages, start, &report) == TMM_OK);
		CHECK(!tmm_memory_block_info(&rig.pages, 15, &block));
	}
	end();
}

/* A frame that must stay keeps its block online, and says so. */
TEST(a_block_in_use_stays_online)
{
	struct tmm_pages *pages = boot(0);
	uint64_t number;
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	number = pfn.v / SECTION_PAGES;
	CHECK(set(number, TMM_BLOCK_OFFLINE) == TMM_E_BUSY && report.pfn.v == pfn.v);
	CHECK(memory_block(number).is_online);
	tmm_pages_free(pages, pfn, 0);
	end();
}

TEST(machines_without_sections_have_no_blocks)
{
	struct tmm_pages *pages = rig_simple(&rig, 32 * MIB);
	struct tmm_memory_block block;
	uint64_t cursor = 0;

	CHECK(!tmm_memory_block_next(pages, &cursor, &block));
	CHECK(tmm_memory_block_set(pages, 0, TMM_BLOCK_OFFLINE, &report) == TMM_E_NOENT);
	CHECK(tmm_memory_add(pages, (tmm_paddr){64 * MIB}, 0, &report) == TMM_E_INVAL);
	pages_fini(pages);
}
