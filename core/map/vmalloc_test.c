/*
 * vmalloc_test.c - areas that are adjacent by address alone
 */
#include "inject.h"
#include "map/kernel_rig_test.h"
#include "page/page_system.h"

static const struct kernel_rig pc = {.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 64 * MB};

/*
 *	frames   |.a.|c|..|b|      from anywhere
 *	area     |a|b|c|guard|     one after the other, and nothing behind
 */
TEST(an_area_is_adjacent_and_ends_at_a_guard)
{
	const uint64_t bytes = 300 * 1024;
	unsigned char *area;

	kernel_boot(pc);
	area = tmm_vmalloc(&km, bytes, TMM_GFP_KERNEL);
	CHECK(area && tmm_is_vmalloc_addr(&km, area));
	CHECK(va_of(area) >= UINT64_C(0xffffc90000000000));
	memset(area, 0x5a, bytes);
	for (uint64_t at = 0; at < bytes; at += 4096) {
		tmm_pfn pfn = tmm_vmalloc_to_pfn(&km, area + at);

		CHECK(page_of(&m.pages, pfn)->kind == PAGE_VMALLOC);
		CHECK(*(unsigned char *)page_address(&m.pages, pfn) == 0x5a);
	}
	CHECK(faults(area + bytes, false) && faults(area + bytes + 4095, true));
	CHECK(tmm_vmalloc_to_pfn(&km, area + bytes).v == TMM_PFN_NONE.v);
	tmm_vfree(&km, area);
	kernel_halt();
}

TEST(every_geometry_has_its_windows_where_linux_has_them)
{
	static const struct {
		enum tmm_geometry geometry;
		uint64_t lowmem, direct, vmalloc, vmalloc_end;
	} expected[] = {
		{TMM_GEOMETRY_X86_64, 0, 0xffff888000000000, 0xffffc90000000000,
	         0xffffe90000000000},
		{TMM_GEOMETRY_X86_64_LA57, 0, 0xff11000000000000, 0xffa0000000000000,
	         0xffd2000000000000},
		{TMM_GEOMETRY_X86_32, 32 * MB, 0xc0000000, 0xc2800000, 0xff7fe000},
		{TMM_GEOMETRY_X86_PAE, 32 * MB, 0xc0000000, 0xc2800000, 0xffbfe000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct tmm_window window;
		struct tmm_mmu_result walk;
		unsigned char *area;

		kernel_boot((struct kernel_rig){.geometry = expected[i].geometry,
		                                .ram_bytes = 64 * MB,
		                                .lowmem_bytes = expected[i].lowmem});
		CHECK(tmm_kernel_window(&km, TMM_WINDOW_DIRECT, &window));
		CHECK(window.start.v == expected[i].direct);
		CHECK(tmm_kernel_window(&km, TMM_WINDOW_VMALLOC, &window));
		CHECK(window.start.v == expected[i].vmalloc);
		CHECK(window.end.v == expected[i].vmalloc_end);
		CHECK(tmm_kernel_window(&km, TMM_WINDOW_PKMAP, &window) ==
		      (expected[i].lowmem != 0));
		area = tmm_vmalloc(&km, 10000, TMM_GFP_KERNEL);
		CHECK(area);
		strcpy((char *)area + 8190, "over the border");
		CHECK(tmm_kernel_walk(&km, (tmm_vaddr){va_of(area) + 8192}, TMM_ACCESS_WRITE,
		                      &walk));
		CHECK(walk.pa.v >> 12 == tmm_vmalloc_to_pfn(&km, area + 8192).v);
		CHECK(!tmm_kernel_walk(&km, (tmm_vaddr){va_of(area) + 12288}, TMM_ACCESS_READ,
		                       &walk));
		CHECK(tmm_kernel_walk(&km, (tmm_vaddr){expected[i].direct + 5 * MB + 7},
		                      TMM_ACCESS_READ, &walk));
		CHECK(walk.pa.v == 5 * MB + 7 && walk.page_bytes >= 2 * MB);
		tmm_vfree(&km, area);
		kernel_halt();
	}
}
