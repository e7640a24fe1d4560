#include <tuxmm/hotplug.h>
#include <tuxmm/view.h>

#include "device/rig_test.h"

static bool iomem_is(const char *expected)
{
	tmm_view_iomem(&m.machine, print_anew());
	if (strcmp(m.printed, expected) == 0)
		return true;
	test_note("iomem is\n%s", m.printed);
	return false;
}

static struct tmm_iomem *io(void)
{
	return &m.machine.iomem;
}

static struct tmm_resource *root(void)
{
	return tmm_iomem_root(io());
}

/*
 *   0        640K  1M        16M   24M       64M            0xfec00000  4G
 *   |R| RAM |  R  |   RAM   [kernel]   RAM   |     window     |    R    |
 */
TEST(boot_lists_what_firmware_and_kernel_have)
{
	boot_shape((struct tmm_shape){.kernel_bytes = 8 * MB}, 64 * MB);
	CHECK(iomem_is("00000000-00000fff : Reserved\n"
	               "00001000-0009ffff : System RAM\n"
	               "000a0000-000fffff : Reserved\n"
	               "00100000-03ffffff : System RAM\n"
	               "  01000000-017fffff : Kernel image\n"
	               "04000000-bfffffff : PCI Bus 0000:00\n"
	               "c0000000-ffffffff : Reserved\n"));
	halt();
}

TEST(overlapping_firmware_ranges_show_the_highest_type)
{
	static const struct tmm_firmware_range map[] = {
		{.start = {0}, .size_bytes = 32 * MB, .type = TMM_FW_USABLE},
		{.start = {8 * MB + 0x400}, .size_bytes = MB, .type = TMM_FW_RESERVED},
		{.start = {9 * MB}, .size_bytes = MB, .type = TMM_FW_NVS},
		{.start = {12 * MB}, .size_bytes = 4096, .type = TMM_FW_ACPI},
		{.start = {12 * MB + 4096}, .size_bytes = 4096, .type = TMM_FW_ACPI},
		{.start = {20 * MB}, .size_bytes = 4096, .type = TMM_FW_UNUSABLE},
	};

	boot_shape((struct tmm_shape){.firmware_map = map, .nr_ranges = ARRAY_SIZE(map)},
	           32 * MB);
	CHECK(iomem_is("00000000-008003ff : System RAM\n"
	               "00800400-008fffff : Reserved\n"
	               "00900000-009fffff : ACPI Non-volatile Storage\n"
	               "00a00000-00bfffff : System RAM\n"
	               "00c00000-00c01fff : ACPI Tables\n"
	               "00c02000-013fffff : System RAM\n"
	               "01400000-01400fff : Unusable memory\n"
	               "01401000-01ffffff : System RAM\n"
	               "02000000-febfffff : PCI Bus 0000:00\n"));
	halt();
}

TEST(a_claim_in_use_is_refused_with_whose_it_is)
{
	const tmm_paddr disk = {0xd0000000};
	struct tmm_resource_info who = {0};

	boot(64 * MB);
	CHECK(tmm_mem_region_request(io(), disk, 0x1000, "disk", NULL) == TMM_OK);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){disk.v + 0xfff}, 2, "net", &who) ==
	      TMM_E_BUSY);
	CHECK(memcmp(who.name, "disk", 5) == 0 && who.start == disk.v &&
	      who.end == disk.v + 0x1000 && who.depth == 1 && who.flags == TMM_RESOURCE_BUSY);
	/* inside of a claim, around it, and RAM */
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){disk.v + 16}, 4, "net", &who) ==
	      TMM_E_BUSY);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){disk.v - 16}, 0x2000, "net", &who) ==
	      TMM_E_BUSY);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){32 * MB}, 4096, "net", &who) ==
	      TMM_E_BUSY);
	CHECK(memcmp(who.name, "System RAM", 11) == 0);
	/* out of the window on one side */
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){3 * GB - 8}, 16, "net", &who) ==
	      TMM_E_BUSY);
	CHECK(memcmp(who.name, "PCI Bus 0000:00", 16) == 0);
	/* beside it */
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){disk.v + 0x1000}, 4, "net", &who) ==
	      TMM_OK);
	CHECK(iomem_is("00000000-00000fff : Reserved\n"
	               "00001000-0009ffff : System RAM\n"
	               "000a0000-000fffff : Reserved\n"
	               "00100000-03ffffff : System RAM\n"
	               "04000000-bfffffff : PCI Bus 0000:00\n"
	               "c0000000-ffffffff : Reserved\n"
	               "  d0000000-d0000fff : disk\n"
	               "  d0001000-d0001003 : net\n"));
	CHECK(tmm_mem_region_release(io(), disk, 0xfff) == TMM_E_NOENT);
	CHECK(tmm_mem_region_release(io(), (tmm_paddr){32 * MB}, 4096) == TMM_E_NOENT);
	CHECK(tmm_mem_region_release(io(), disk, 0x1000) == TMM_OK);
	CHECK(tmm_mem_region_release(io(), disk, 0x1000) == TMM_E_NOENT);
	CHECK(tmm_mem_region_release(io(), (tmm_paddr){disk.v + 0x1000}, 4) == TMM_OK);
	halt();
}

TEST(claims_out_of_range_are_invalid)
{
	boot(64 * MB);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){0xd0000000}, 0, "x", NULL) ==
	      TMM_E_INVAL);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){TMM_PHYS_END - 1}, 2, "x", NULL) ==
	      TMM_E_INVAL);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){UINT64_MAX}, 2, "x", NULL) ==
	      TMM_E_INVAL);
	tmm_inject_nth(1, false);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){0xd0000000}, 4, "x", NULL) ==
	      TMM_E_NOMEM);
	CHECK(tmm_inject_stop());
	halt();
}

TEST(ram_above_the_cap_is_free_to_claim)
{
	boot_shape((struct tmm_shape){.mem_limit_bytes = 48 * MB}, 64 * MB);
	/* the first page is not RAM, and 640 KiB to 1 MiB neither */
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){60 * MB}, 4 * MB, "large", NULL) ==
	      TMM_OK);
	CHECK(tmm_region_intersects(io(), (tmm_paddr){60 * MB}, 4 * MB, TMM_RESOURCE_RAM) ==
	      TMM_REGION_DISJOINT);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){47 * MB}, 4096, "low", NULL) ==
	      TMM_E_BUSY);
	CHECK(tmm_mem_region_release(io(), (tmm_paddr){60 * MB}, 4 * MB) == TMM_OK);
	halt();
}

/*
 *   before   |..[a ]..[b ]........|
 *   c        |.[   c     ]........|   contains a and b: becomes their parent
 *   d        |.[  [d]    ]........|   within c, beside a and b
 */
TEST(inserting_goes_in_and_around)
{
	struct tmm_resource a = {.start = 0x2000, .end = 0x3000, .name = "a"};
	struct tmm_resource b = {.start = 0x5000, .end = 0x6000, .name = "b"};
	struct tmm_resource c = {.start = 0x1000, .end = 0x6000, .name = "c"};
	struct tmm_resource d = {.start = 0x3000, .end = 0x4000, .name = "d"};
	struct tmm_resource same = {.start = 0x3000, .end = 0x4000, .name = "same"};
	struct tmm_resource part = {.start = 0x5800, .end = 0x6800, .name = "part"};
	struct tmm_resource top = {.start = TMM_PHYS_END - GB, .end = TMM_PHYS_END};
	struct tmm_resource_info who;

	boot(64 * MB);
	top.name = "top";
	for (unsigned i = 0; i < 4; i++) {
		struct tmm_resource *each[] = {&a, &b, &c, &d};

		each[i]->start += top.start;
		each[i]->end += top.start;
	}
	CHECK(tmm_resource_request(io(), root(), &top, NULL) == TMM_OK);
	CHECK(tmm_resource_request(io(), &top, &b, NULL) == TMM_OK);
	CHECK(tmm_resource_request(io(), &top, &a, NULL) == TMM_OK);
	CHECK(tmm_resource_request(io(), &top, &c, &who) == TMM_E_BUSY);
	CHECK(who.start == a.start && who.depth == 1);
	CHECK(tmm_resource_insert(io(), root(), &c, NULL) == TMM_OK);
	CHECK(c.parent == &top && a.parent == &c && b.parent == &c && c.child == &a);
	CHECK(tmm_resource_insert(io(), root(), &d, NULL) == TMM_OK);
	CHECK(d.parent == &c && a.sibling == &d && d.sibling == &b);
	same.start += top.start;
	same.end += top.start;
	CHECK(tmm_resource_insert(io(), root(), &same, NULL) == TMM_OK);
	CHECK(same.parent == &c && d.parent == &same && a.sibling == &same);
	part.start += top.start;
	part.end += top.start;
	CHECK(tmm_resource_insert(io(), root(), &part, &who) == TMM_E_BUSY);
	CHECK(who.start == c.start && part.parent == NULL);
	tmm_check(&m.machine);
	/* what is out of the parent is no conflict but a mistake */
	part.end = part.start;
	CHECK(tmm_resource_request(io(), &top, &part, NULL) == TMM_E_INVAL);
	part.start = 0;
	CHECK(tmm_resource_request(io(), &top, &part, NULL) == TMM_E_INVAL);
	CHECK(tmm_resource_release(io(), &c) == TMM_OK);
	CHECK(tmm_resource_release(io(), &c) == TMM_E_NOENT);
	CHECK(!top.child && tmm_resource_release(io(), &top) == TMM_OK);
	halt();
}

TEST(adjusting_stays_between_neighbours_and_around_children)
{
	struct tmm_resource a = {.start = GB + 0x2000, .end = GB + 0x3000, .name = "a"};
	struct tmm_resource in = {.start = GB + 0x2400, .end = GB + 0x2800, .name = "in"};
	struct tmm_resource b = {.start = GB + 0x5000, .end = GB + 0x6000, .name = "b"};

	boot_shape((struct tmm_shape){0}, 64 * MB);
	CHECK(tmm_resource_insert(io(), root(), &a, NULL) == TMM_OK);
	CHECK(tmm_resource_insert(io(), root(), &b, NULL) == TMM_OK);
	CHECK(tmm_resource_insert(io(), root(), &in, NULL) == TMM_OK);
	CHECK(a.parent == b.parent && in.parent == &a);
	CHECK(tmm_resource_adjust(io(), &a, GB + 0x2000, 0x3000) == TMM_OK); /* up to b */
	CHECK(tmm_resource_adjust(io(), &a, GB + 0x2000, 0x3001) == TMM_E_BUSY);
	CHECK(tmm_resource_adjust(io(), &a, GB + 0x2401, 0x1000) == TMM_E_BUSY); /* not in */
	CHECK(tmm_resource_adjust(io(), &a, GB + 0x2400, 0x400) == TMM_OK);
	CHECK(tmm_resource_adjust(io(), &in, GB + 0x2300, 0x400) == TMM_E_BUSY);
	CHECK(tmm_resource_release(io(), &in) == TMM_OK);
	CHECK(tmm_resource_adjust(io(), &in, GB, 0x400) == TMM_E_BUSY);
	CHECK(tmm_resource_adjust(io(), &a, GB + 0x8000, 0x400) == TMM_OK); /* past b */
	CHECK(b.sibling == &a);
	tmm_check(&m.machine);
	CHECK(tmm_resource_release(io(), &a) == TMM_OK);
	CHECK(tmm_resource_release(io(), &b) == TMM_OK);
	halt();
}

TEST(allocating_takes_the_lowest_place_that_suits)
{
	struct tmm_resource window = {.start = GB, .end = GB + 0x10000, .name = "window"};
	struct tmm_resource used = {.start = GB + 0x1800, .end = GB + 0x2000, .name = "used"};
	struct tmm_resource a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};
	struct tmm_resource_want want = {.size_bytes = 0x1000, .align_bytes = 0x1000};

	boot(64 * MB);
	CHECK(tmm_resource_insert(io(), root(), &window, NULL) == TMM_OK);
	CHECK(tmm_resource_request(io(), &window, &used, NULL) == TMM_OK);
	CHECK(tmm_resource_allocate(io(), &window, &a, &want) == TMM_OK);
	CHECK(a.start == GB && a.end == GB + 0x1000);
	CHECK(tmm_resource_allocate(io(), &window, &b, &want) == TMM_OK);
	CHECK(b.start == GB + 0x2000);
	want.min = GB + 0x8001;
	want.max = GB + 0xafff;
	CHECK(tmm_resource_allocate(io(), &window, &c, &want) == TMM_OK);
	CHECK(c.start == GB + 0x9000);
	want.min = GB + 0x9800;
	CHECK(tmm_resource_allocate(io(), &window, &c, &want) == TMM_E_BUSY);
	want.align_bytes = 3;
	CHECK(tmm_resource_allocate(io(), &window, &c, &want) == TMM_E_INVAL);
	tmm_check(&m.machine);
	CHECK(tmm_resource_release(io(), &window) == TMM_OK);
	halt();
}

TEST(addresses_that_nothing_has_are_the_highest)
{
	tmm_paddr high, next;

	boot(64 * MB);
	CHECK(tmm_mem_region_request_free(io(), 2 * MB, 2 * MB, "memory of a device", &high) ==
	      TMM_OK);
	CHECK(high.v == TMM_PHYS_END - 2 * MB);
	CHECK(tmm_mem_region_request_free(io(), 4096, 2 * MB, "more of it", &next) == TMM_OK);
	CHECK(next.v == TMM_PHYS_END - 4 * MB);
	CHECK(tmm_mem_region_request(io(), high, 4096, "x", NULL) == TMM_E_BUSY);
	CHECK(tmm_mem_region_request_free(io(), TMM_PHYS_END, 0, "all", &next) == TMM_E_BUSY);
	CHECK(tmm_mem_region_request_free(io(), 4096, 3, "odd", &next) == TMM_E_INVAL);
	CHECK(tmm_mem_region_release(io(), high, 2 * MB) == TMM_OK);
	CHECK(tmm_mem_region_release(io(), next, 4096) == TMM_OK);
	halt();
}

TEST(a_region_is_apart_from_ram_within_it_or_both)
{
	boot(64 * MB);
	CHECK(tmm_region_intersects(io(), (tmm_paddr){2 * MB}, MB, TMM_RESOURCE_RAM) ==
	      TMM_REGION_INTERSECTS);
	CHECK(tmm_region_intersects(io(), (tmm_paddr){MB - 4096}, MB, TMM_RESOURCE_RAM) ==
	      TMM_REGION_MIXED);
	CHECK(tmm_region_intersects(io(), (tmm_paddr){64 * MB}, MB, TMM_RESOURCE_RAM) ==
	      TMM_REGION_DISJOINT);
	halt();
}

static void add_section(uint64_t start, tmm_err expected)
{
	struct tmm_hotplug_report report;

	CHECK(tmm_section_add(&m.machine.pages, (tmm_paddr){start}, 0, &report) == expected);
	CHECK(expected == TMM_OK || report.why);
}

/*
 *   boot       |   RAM 96M   |....32M....|   claimed: no section there
 *   added      |     RAM     |    RAM    |
 *   removed    | 64M |.32M...|    RAM    |
 */
TEST(memory_that_comes_and_goes_is_listed)
{
	struct tmm_firmware_range map[] = {
		{.start = {0}, .size_bytes = 96 * MB, .type = TMM_FW_USABLE}};
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = 1,
	                                .memory_model = TMM_MEMORY_SPARSE,
	                                .section_bytes = 32 * MB,
	                                .hotplug_end = 256 * MB};
	struct tmm_hotplug_report report;

	boot_shape(shape, 96 * MB);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){120 * MB}, 4096, "x", NULL) == TMM_OK);
	add_section(96 * MB, TMM_E_BUSY);
	tmm_check(&m.machine);
	CHECK(tmm_mem_region_release(io(), (tmm_paddr){120 * MB}, 4096) == TMM_OK);
	/* devices' window is above what may be added */
	CHECK(iomem_is(
		"00000000-05ffffff : System RAM\n10000000-febfffff : PCI Bus 0000:00\n"));
	CHECK(tmm_resource_release(io(), root()->child->sibling) == TMM_OK);
	add_section(96 * MB, TMM_OK);
	CHECK(iomem_is("00000000-05ffffff : System RAM\n06000000-07ffffff : System RAM\n"));
	CHECK(tmm_section_remove(&m.machine.pages, (tmm_paddr){32 * MB}, &report) == TMM_OK);
	CHECK(iomem_is("00000000-01ffffff : System RAM\n"
	               "04000000-05ffffff : System RAM\n"
	               "06000000-07ffffff : System RAM\n"));
	CHECK(tmm_section_remove(&m.machine.pages, (tmm_paddr){96 * MB}, &report) == TMM_OK);
	CHECK(iomem_is("00000000-01ffffff : System RAM\n04000000-05ffffff : System RAM\n"));
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){32 * MB}, 32 * MB, "x", NULL) == TMM_OK);
	add_section(32 * MB, TMM_E_BUSY);
	CHECK(tmm_mem_region_release(io(), (tmm_paddr){32 * MB}, 32 * MB) == TMM_OK);
	add_section(32 * MB, TMM_OK);
	halt();
}

/* The model: who has each of 64 pages, by the claims alone. */
TEST(random_claims_agree_with_a_model)
{
	uint64_t seed = test_seed(), nr_refused = 0;
	struct {
		uint64_t start, bytes;
	} claim[16] = {{0, 0}};
	const uint64_t base = 0xd0000000;

	boot(64 * MB);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = (unsigned)(test_random(&seed) % 16);
		uint64_t start = base + test_random(&seed) % 64, bytes;
		bool is_free = true;

		bytes = 1 + test_random(&seed) % 8;
		if (claim[at].bytes) {
			CHECK(tmm_mem_region_release(io(), (tmm_paddr){claim[at].start},
			                             claim[at].bytes) == TMM_OK);
			claim[at].bytes = 0;
			continue;
		}
		for (unsigned c = 0; c < 16; c++)
			is_free &= !claim[c].bytes || start + bytes <= claim[c].start ||
			           claim[c].start + claim[c].bytes <= start;
		CHECK(tmm_mem_region_request(io(), (tmm_paddr){start}, bytes, "x", NULL) ==
		      (is_free ? TMM_OK : TMM_E_BUSY));
		nr_refused += !is_free;
		if (is_free) {
			claim[at].start = start;
			claim[at].bytes = bytes;
		}
		if (i % 1000 == 0)
			tmm_check(&m.machine);
	}
	CHECK(nr_refused > 1000);
	for (unsigned c = 0; c < 16; c++)
		if (claim[c].bytes)
			CHECK(tmm_mem_region_release(io(), (tmm_paddr){claim[c].start},
			                             claim[c].bytes) == TMM_OK);
	halt();
}

static void leave_claim(void *arg)
{
	(void)arg;
	tmm_machine_fini(&m.machine);
}

TEST(a_claim_that_outlives_the_machine_panics)
{
	boot(64 * MB);
	CHECK(tmm_mem_region_request(io(), (tmm_paddr){5 * GB}, 4096, "x", NULL) == TMM_OK);
	CHECK(test_panics(leave_claim, NULL) != NULL);
}
