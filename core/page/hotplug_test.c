/*
 * hotplug_test.c - sections come, are used, and go with the right reasons
 *
 *   0       16      64              256 MiB
 *   | DMA   | DMA32 | may be added  |        sections of 8 MiB, 4 blocks each
 */
#include <tuxmm/cma.h>
#include <tuxmm/hotplug.h>
#include <tuxmm/machine.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/policy.h>

#include "page/rig_test.h"
#include "page/zone.h"

#define SECTION       (8 * MIB)
#define SECTION_PAGES (SECTION >> TMM_PAGE_SHIFT)
#define ARRAY_PAGES   (SECTION_PAGES / 128)
#define BOOT_BYTES    (64 * MIB)
#define END_BYTES     (256 * MIB)
#define NR_PAGES      (END_BYTES >> TMM_PAGE_SHIFT)

static struct rig rig;

static struct tmm_pages *boot_model(enum tmm_memory_model model, uint32_t nr_cpus)
{
	const struct pages_config config = {
		.ram = (rig_begin(&rig, END_BYTES, nr_cpus), rig.ram),
		.cpus = &rig.cpus,
		.min_free_kbytes = NO_RESERVE,
		.memory_model = model,
		.section_bytes = SECTION,
		.hotplug_end = END_BYTES,
		.debug = rig_debug()};

	rig_add(&rig, 0, BOOT_BYTES);
	CHECK(pages_init(&rig.pages, &rig.memblock, &config) == TMM_OK);
	return &rig.pages;
}

static struct tmm_pages *boot(void)
{
	return boot_model(TMM_MEMORY_SPARSE, 2);
}

static tmm_err add(uint64_t section)
{
	struct tmm_hotplug_report report;
	tmm_err err = tmm_section_add(&rig.pages, (tmm_paddr){section * SECTION}, 0, &report);

	CHECK((err == TMM_OK) == !report.why);
	return err;
}

static tmm_err take_away(uint64_t section, struct tmm_hotplug_report *report)
{
	tmm_err err = tmm_section_remove(&rig.pages, (tmm_paddr){section * SECTION}, report);

	CHECK((err == TMM_OK) == !report->why);
	return err;
}

static uint64_t section_of(tmm_pfn pfn)
{
	return pfn.v / SECTION_PAGES;
}

/* ---- pages that move: each keeps its number in its first word ---- */

static struct {
	tmm_pfn pfn[4096]; /* where page i is */
	unsigned nr;
	bool pinned, busy_once;
	unsigned moves;
} shelf;

static uint64_t *word_at(tmm_pfn pfn)
{
	return tmm_page_address(&rig.pages, pfn);
}

static tmm_err shelf_move(void *arg, tmm_pfn from, tmm_pfn to)
{
	uint64_t i = *word_at(from);

	(void)arg;
	if (shelf.pinned)
		return TMM_E_BUSY;
	if (shelf.busy_once) {
		shelf.busy_once = false;
		return TMM_E_AGAIN;
	}
	CHECK(i < shelf.nr && shelf.pfn[i].v == from.v);
	memcpy(word_at(to), word_at(from), TMM_PAGE_SIZE);
	shelf.pfn[i] = to;
	shelf.moves++;
	return TMM_OK;
}

static const struct tmm_migrate_ops shelf_ops = {.move = shelf_move};
static const struct tmm_movable shelf_movable = {&shelf_ops, NULL};

static void shelf_add(void)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_MEMALLOC, 0,
	                      &pfn) == TMM_OK);
	tmm_page_set_movable(&rig.pages, pfn, &shelf_movable);
	*word_at(pfn) = shelf.nr;
	shelf.pfn[shelf.nr++] = pfn;
}

static void shelf_empty(void)
{
	while (shelf.nr) {
		tmm_pfn pfn = shelf.pfn[--shelf.nr];

		CHECK(*word_at(pfn) == shelf.nr);
		tmm_page_clear_movable(&rig.pages, pfn);
		tmm_pages_free(&rig.pages, pfn, 0);
	}
}

/* One frame of the section; others that come up are given back. */
static tmm_pfn frame_in(uint64_t section, unsigned order)
{
	static tmm_pfn other[NR_PAGES];
	size_t nr = 0;
	tmm_pfn pfn;

	for (;;) {
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_MEMALLOC, order, &pfn) == TMM_OK);
		if (section_of(pfn) == section)
			break;
		other[nr++] = pfn;
	}
	while (nr)
		tmm_pages_free(&rig.pages, other[--nr], order);
	return pfn;
}

TEST(an_added_section_is_memory_and_goes_again)
{
	struct tmm_pages *pages = boot();
	uint64_t managed = tmm_pages_managed_count(pages), mark;
	struct tmm_hotplug_report report;
	struct tmm_zone_info before, info;
	tmm_pfn pfn;

	CHECK(tmm_section_bytes(pages) == SECTION);
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &before));
	mark = before.watermark_high;
	CHECK(!pfn_valid(pages, (tmm_pfn){20 * SECTION_PAGES}));
	CHECK(add(20) == TMM_OK);
	tmm_pages_check(pages);
	CHECK(pfn_valid(pages, (tmm_pfn){20 * SECTION_PAGES}));
	CHECK(tmm_pages_managed_count(pages) == managed + SECTION_PAGES - ARRAY_PAGES);
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &info));
	CHECK(info.present_pages == before.present_pages + SECTION_PAGES);
	CHECK(info.free_pages == before.free_pages + SECTION_PAGES - ARRAY_PAGES);
	CHECK(info.spanned_pages == 21 * SECTION_PAGES - info.start.v);
	CHECK(info.watermark_high >= mark);
	pfn = frame_in(20, 0);
	CHECK(page_pfn(pages, page_of(pages, pfn)).v == pfn.v);
	tmm_pages_free(pages, pfn, 0);
	CHECK(take_away(20, &report) == TMM_OK);
	tmm_pages_check(pages);
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &info));
	CHECK(info.spanned_pages == before.spanned_pages &&
	      info.present_pages == before.present_pages &&
	      info.managed_pages == before.managed_pages && info.watermark_high == mark);
	CHECK(!pfn_valid(pages, (tmm_pfn){20 * SECTION_PAGES}));
	pages_fini(pages);
}

/* What a section holds after it was away is not known: zeroed pages are zeroed. */
TEST(a_section_that_returns_is_not_taken_for_fresh)
{
	struct tmm_pages *pages = boot();
	struct tmm_hotplug_report report;
	tmm_pfn pfn;

	memset((char *)rig.ram + 9 * SECTION, 0x5a, SECTION);
	for (unsigned round = 0; round < 3; round++) {
		CHECK(add(9) == TMM_OK);
		pfn = frame_in(9, 9);
		tmm_pages_free(pages, pfn, 9);
		while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC | TMM_GFP_ZERO, 9, &pfn) ==
		               TMM_OK &&
		       section_of(pfn) != 9) {
			*page_of(pages, pfn) = (struct page){
				.kind = PAGE_TABLE,
				.next = shelf.nr ? (uint32_t)shelf.pfn[shelf.nr - 1].v : 0};
			shelf.pfn[shelf.nr++] = pfn;
		}
		for (unsigned i = 0; i < BLOCK_FRAMES * TMM_PAGE_SIZE / 8; i++)
			CHECK(word_at(pfn)[i] == 0);
		memset(word_at(pfn), 0xff, BLOCK_FRAMES * TMM_PAGE_SIZE);
		tmm_pages_free(pages, pfn, 9);
		while (shelf.nr) {
			*page_of(pages,
			         shelf.pfn[--shelf.nr]) = (struct page){.kind = PAGE_NONE};
			tmm_pages_free(pages, shelf.pfn[shelf.nr], 9);
		}
		CHECK(take_away(9, &report) == TMM_OK);
	}
	tmm_pages_check(pages);
	pages_fini(pages);
}

/*
 *   before   |12.456..|........|   pages of the section
 *   after    |(gone)  |124 56..|   elsewhere, with their contents
 */
TEST(pages_that_move_are_moved_out)
{
	struct tmm_pages *pages = boot();
	struct tmm_hotplug_report report;
	unsigned inside = 0;

	CHECK(add(10) == TMM_OK && add(11) == TMM_OK);
	for (unsigned i = 0; i < 4000; i++)
		shelf_add();
	shelf.moves = 0;
	shelf.busy_once = true;
	for (uint64_t section = 2; section < 12; section++) {
		if (take_away(section, &report) == TMM_OK)
			inside++;
		tmm_pages_check(pages);
		for (unsigned i = 0; i < shelf.nr; i++)
			CHECK(*word_at(shelf.pfn[i]) == i &&
			      (report.why || section_of(shelf.pfn[i]) != section));
	}
	test_note("%u sections removed, %u pages moved", inside, shelf.moves);
	CHECK(inside >= 4 && shelf.moves > 0);
	shelf_empty();
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* A section of boot: its descriptors lie elsewhere, and that becomes memory. */
TEST(the_descriptors_of_a_boot_section_become_free)
{
	struct tmm_pages *pages = boot();
	uint64_t managed = tmm_pages_managed_count(pages);
	struct tmm_hotplug_report report;

	CHECK(take_away(3, &report) == TMM_OK);
	tmm_pages_check(pages);
	CHECK(tmm_pages_managed_count(pages) == managed - SECTION_PAGES + ARRAY_PAGES);
	CHECK(add(3) == TMM_OK);
	tmm_pages_check(pages);
	CHECK(tmm_pages_managed_count(pages) == managed);
	CHECK(take_away(3, &report) == TMM_OK && add(3) == TMM_OK);
	CHECK(tmm_pages_managed_count(pages) == managed);
	pages_fini(pages);
}

static void expect_refusal(uint64_t section, tmm_err err, tmm_pfn pfn, const char *kind)
{
	struct tmm_hotplug_report report;
	uint64_t nr_free = tmm_pages_free_count(&rig.pages);

	CHECK(take_away(section, &report) == err);
	CHECK(report.pfn.v == pfn.v);
	CHECK(!kind == !report.kind);
	if (kind)
		CHECK(memcmp(kind, report.kind, 4) == 0);
	CHECK(tmm_pages_free_count(&rig.pages) == nr_free);
	tmm_pages_check(&rig.pages);
}

TEST(what_must_stay_is_named)
{
	struct tmm_pages *pages = boot();
	struct tmm_hotplug_report report;
	tmm_pfn pfn, first;

	CHECK(add(12) == TMM_OK);
	pfn = frame_in(12, 0);
	expect_refusal(12, TMM_E_BUSY, pfn, "lent");
	page_of(pages, pfn)->kind = PAGE_SLAB;
	expect_refusal(12, TMM_E_BUSY, pfn, "slab");
	page_of(pages, pfn)->kind = PAGE_TABLE;
	expect_refusal(12, TMM_E_BUSY, pfn, "page table");
	page_of(pages, pfn)->kind = PAGE_NONE;
	tmm_pages_free(pages, pfn, 0);

	/* The arrays of boot are at the end of its memory. */
	CHECK(take_away(7, &report) == TMM_E_BUSY && section_of(report.pfn) == 7 &&
	      report.kind);

	/* Another CPU keeps a frame of it. */
	pfn = frame_in(12, 0);
	tmm_port_cpu_set(&rig.cpus.cpu[1]);
	tmm_pages_free(pages, pfn, 0);
	tmm_port_cpu_set(&rig.cpus.cpu[0]);
	CHECK(take_away(12, &report) == TMM_OK);
	CHECK(add(12) == TMM_OK);

	first = (tmm_pfn){12 * SECTION_PAGES};
	CHECK(tmm_section_remove(pages, (tmm_paddr){MIB}, &report) == TMM_E_INVAL);
	CHECK(tmm_section_remove(pages, (tmm_paddr){END_BYTES}, &report) == TMM_E_INVAL);
	CHECK(take_away(30, &report) == TMM_E_NOENT);
	CHECK(tmm_section_add(pages, tmm_pfn_to_paddr(first), 0, &report) == TMM_E_EXIST &&
	      report.pfn.v == first.v);
	CHECK(tmm_section_add(pages, (tmm_paddr){30 * SECTION}, 1, &report) == TMM_E_INVAL);
	CHECK(tmm_section_add(pages, (tmm_paddr){SECTION / 2}, 0, &report) == TMM_E_INVAL);
	CHECK(tmm_section_add(pages, (tmm_paddr){END_BYTES}, 0, &report) == TMM_E_INVAL);
	tmm_pages_check(pages);
	pages_fini(pages);
}

TEST(a_page_that_somebody_keeps_stops_the_removal)
{
	struct tmm_pages *pages = boot();
	struct tmm_hotplug_report report;
	tmm_pfn pfn;

	CHECK(add(12) == TMM_OK);
	pfn = frame_in(12, 0);
	tmm_page_set_movable(pages, pfn, &shelf_movable);
	*word_at(pfn) = 0;
	shelf.pfn[0] = pfn;
	shelf.nr = 1;
	shelf.pinned = true;
	expect_refusal(12, TMM_E_BUSY, pfn, "movable");
	shelf.pinned = false;
	CHECK(take_away(12, &report) == TMM_OK);
	CHECK(section_of(shelf.pfn[0]) != 12);
	shelf_empty();
	pages_fini(pages);
}

/* Asked for while CMA has the block of the area isolated: it must not pass for any block. */
static tmm_err remove_while_moved(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct tmm_hotplug_report report;

	(void)to;
	CHECK(take_away(section_of(from), &report) == TMM_E_BUSY);
	CHECK(report.pfn.v == from.v && report.kind && memcmp(report.kind, "cont", 4) == 0);
	*(bool *)arg = true;
	return TMM_E_BUSY;
}

/*
 *   32      34         40 MiB
 *   | area  |          |   a section; the page at the area's start is moved
 */
TEST(a_section_with_a_contiguous_area_stays)
{
	static const struct tmm_migrate_ops ops = {.move = remove_while_moved};
	const struct tmm_cma_spec spec = {.name = "a",
	                                  .size_bytes = TMM_PAGE_SIZE << BLOCK_ORDER,
	                                  .base = 4 * SECTION,
	                                  .node = TMM_NODE_ANY};
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = SECTION,
	                                    .cma = &spec,
	                                    .nr_cma = 1};
	const tmm_pfn start = {4 * SECTION_PAGES};
	static tmm_pfn other[NR_PAGES];
	bool asked = false;
	const struct tmm_movable movable = {&ops, &asked};
	struct tmm_cma *area;
	tmm_pfn run;
	size_t nr = 0;

	rig_begin(&rig, BOOT_BYTES, 1);
	rig_add(&rig, 0, BOOT_BYTES);
	rig_boot_as(&rig, config);
	area = tmm_cma_area(&rig.pages, 0);
	expect_refusal(4, TMM_E_BUSY, start, "contiguous area");
	do
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_HIGHUSER_MOVABLE, 0, &other[nr]) ==
		      TMM_OK);
	while (other[nr++].v != start.v);
	nr--;
	while (nr)
		tmm_pages_free(&rig.pages, other[--nr], 0);
	tmm_page_set_movable(&rig.pages, start, &movable);
	CHECK(tmm_cma_alloc(area, BLOCK_FRAMES, 0, &run, NULL) == TMM_E_BUSY && asked);
	tmm_pages_check(&rig.pages);
	expect_refusal(4, TMM_E_BUSY, start, "contiguous area");
	tmm_page_clear_movable(&rig.pages, start);
	tmm_pages_free(&rig.pages, start, 0);
	pages_fini(&rig.pages);
}

TEST(other_models_have_no_sections)
{
	struct tmm_hotplug_report report;
	struct tmm_pages *pages = boot_model(TMM_MEMORY_FLAT, 1);

	CHECK(tmm_section_bytes(pages) == 0);
	CHECK(add(10) == TMM_E_INVAL);
	CHECK(take_away(3, &report) == TMM_E_INVAL);
	pages_fini(pages);
}

/*
 *   0           64 MiB
 *   |###########|.#.#.#.#.#.#.#.#   every other section, until memblock's lists are full
 */
TEST(what_memblock_cannot_list_is_refused)
{
	const uint64_t small = 2 * MIB, end = 2 * GIB;
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = small,
	                                    .hotplug_end = end};
	struct tmm_hotplug_report report;
	tmm_paddr at = {BOOT_BYTES + small};
	unsigned nr_refused = 0;
	uint64_t managed;

	rig_begin(&rig, end, 1);
	rig_add(&rig, 0, BOOT_BYTES);
	rig_boot_as(&rig, config);
	while (tmm_section_add(&rig.pages, at, 0, &report) == TMM_OK)
		at.v += 2 * small;
	CHECK(report.why && tmm_section_add(&rig.pages, at, 0, &report) == TMM_E_NOSPC);
	managed = tmm_pages_managed_count(&rig.pages);
	for (tmm_paddr boot_section = {0}; boot_section.v < BOOT_BYTES;
	     boot_section.v += small) {
		tmm_err err = tmm_section_remove(&rig.pages, boot_section, &report);

		/* Its descriptors, in its own frames now, may be one more to be reserved. */
		if (err == TMM_OK)
			err = tmm_section_add(&rig.pages, boot_section, 0, &report);
		CHECK(err == TMM_OK || err == TMM_E_NOSPC || err == TMM_E_BUSY);
		nr_refused += err == TMM_E_NOSPC;
		tmm_pages_check(&rig.pages);
		tmm_memblock_check(&rig.memblock);
	}
	CHECK(nr_refused > 0 && tmm_pages_managed_count(&rig.pages) < managed + SECTION_PAGES);
	for (; at.v > BOOT_BYTES + small; at.v -= 2 * small)
		CHECK(tmm_section_remove(&rig.pages, (tmm_paddr){at.v - 2 * small}, &report) ==
		      TMM_OK);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}

TEST(who_has_the_frame_in_the_way_is_told)
{
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = SECTION,
	                                    .debug = TMM_DEBUG_PAGE_OWNER};
	struct tmm_hotplug_report report;
	struct tmm_page_owner owner;
	tmm_pfn pfn;

	rig_begin(&rig, BOOT_BYTES, 1);
	rig_add(&rig, 0, BOOT_BYTES);
	rig_boot_as(&rig, config);
	CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	page_set(page_of(&rig.pages, pfn), (struct page){.kind = PAGE_SLAB, .owner = &rig});
	CHECK(take_away(section_of(pfn), &report) == TMM_E_BUSY);
	CHECK(report.pfn.v == pfn.v && report.owner == &rig);
	CHECK(tmm_page_owner(&rig.pages, pfn, &owner) && report.lent_by == owner.lent_by);
	CHECK(owner.lent_by);
	page_clear(page_of(&rig.pages, pfn));
	tmm_pages_free(&rig.pages, pfn, 0);
	pages_fini(&rig.pages);
}

/*
 *   0        64        72      4 GiB  +8 MiB
 *   | node 0 | (node 1) |  ... |(node 0)|     CPU 0 on node 0, CPU 1 on node 1
 *
 * Node 1 has no memory, and no node has a zone Normal, until sections are added.
 */
TEST(nodes_and_zones_get_their_first_memory)
{
	const struct pages_config config = {.nr_nodes = 2,
	                                    .min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = SECTION,
	                                    .hotplug_end = 4 * GIB + SECTION};
	const tmm_paddr of_node = {BOOT_BYTES}, normal = {4 * GIB};
	struct tmm_hotplug_report report;
	struct tmm_stack_info stack;
	struct tmm_zone_info info;
	struct tmm_policy policy;
	tmm_pfn pfn;

	rig_begin(&rig, 4 * GIB + SECTION, 2);
	rig.cpus.cpu[1].node = 1;
	rig_add(&rig, 0, BOOT_BYTES);
	rig_boot_as(&rig, config);
	CHECK(!tmm_zone_info(&rig.pages, 1, TMM_ZONE_DMA32, &info));
	CHECK(!tmm_zone_info(&rig.pages, 0, TMM_ZONE_NORMAL, &info));
	CHECK(tmm_policy_init(&rig.pages, TMM_POLICY_BIND, 2, &policy) == TMM_E_INVAL);
	tmm_port_cpu_set(&rig.cpus.cpu[1]);
	for (unsigned round = 0; round < 2; round++) {
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
		CHECK(tmm_pfn_node(&rig.pages, pfn) == 0);
		tmm_pages_free(&rig.pages, pfn, 0);
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_NOWAIT | TMM_GFP_THISNODE, 0, &pfn) ==
		      TMM_E_NOMEM);

		CHECK(tmm_section_add(&rig.pages, of_node, 1, &report) == TMM_OK);
		tmm_pages_check(&rig.pages);
		CHECK(tmm_zone_info(&rig.pages, 1, TMM_ZONE_DMA32, &info));
		CHECK(info.managed_pages == SECTION_PAGES - ARRAY_PAGES);
		CHECK(tmm_policy_init(&rig.pages, TMM_POLICY_BIND, 2, &policy) == TMM_OK);
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
		CHECK(tmm_pfn_node(&rig.pages, pfn) == 1);
		CHECK(tmm_zone_stack_info(&rig.pages, 1, TMM_ZONE_DMA32, 1, &stack));
		CHECK(stack.high_pages > 0 && (stack.count_pages > 0 || rig_debug()));
		tmm_pages_free(&rig.pages, pfn, 0);

		CHECK(tmm_section_add(&rig.pages, normal, 0, &report) == TMM_OK);
		tmm_port_cpu_set(&rig.cpus.cpu[0]);
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
		CHECK(pfn.v >= normal.v >> TMM_PAGE_SHIFT);
		tmm_pages_free(&rig.pages, pfn, 0);
		tmm_pages_check(&rig.pages);
		CHECK(tmm_section_remove(&rig.pages, normal, &report) == TMM_OK);
		CHECK(tmm_section_remove(&rig.pages, of_node, &report) == TMM_OK);
		CHECK(!tmm_zone_info(&rig.pages, 1, TMM_ZONE_DMA32, &info));
		tmm_pages_check(&rig.pages);
		tmm_port_cpu_set(&rig.cpus.cpu[1]);
	}
	pages_fini(&rig.pages);
}
