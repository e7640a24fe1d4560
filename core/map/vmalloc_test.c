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

/* ---- flushing ---- */

TEST(freed_areas_are_flushed_together)
{
	struct tmm_vmalloc_stats stats;
	void *area[100];

	kernel_boot(pc);
	for (int i = 0; i < 100; i++) {
		area[i] = tmm_vmalloc(&km, 4096 + (uint64_t)i * 512, TMM_GFP_KERNEL);
		CHECK(area[i]);
	}
	tmm_vmalloc_stats(&km, &stats);
	CHECK(stats.lazy_most_pages == 8192 && stats.flushes == 0);
	for (int i = 0; i < 100; i++)
		tmm_vfree(&km, area[(i * 37) % 100]);
	tmm_vmalloc_stats(&km, &stats);
	CHECK(stats.used_pages == 0 && stats.lazy_pages > 200 && stats.flushes == 0);
	tmm_kernel_map_check(&km);
	CHECK(tmm_vmalloc_purge(&km) == stats.lazy_pages);
	tmm_vmalloc_stats(&km, &stats);
	CHECK(stats.lazy_pages == 0 && stats.flushes == 1 && stats.purges == 1);
	for (int i = 0; i < 100; i++)
		CHECK(faults(area[i], false));
	kernel_halt();
}

TEST(too_much_that_waits_is_flushed)
{
	struct tmm_vmalloc_stats stats;

	kernel_boot(pc);
	for (int i = 0; i < 20; i++)
		tmm_vfree(&km, tmm_vmalloc(&km, 8 * MB, TMM_GFP_KERNEL));
	tmm_vmalloc_stats(&km, &stats);
	/* 2049 pages each: the fourth is beyond 8192 */
	CHECK(stats.purges == 5 && stats.lazy_pages == 0);
	kernel_halt();
}

/* A modelled TLB believes what it once saw until it is told to forget. */
static void forget(void *arg, tmm_vaddr start, uint64_t nr_pages)
{
	tmm_tlb_flush_range(arg, 0, start, (tmm_vaddr){start.v + nr_pages * 4096});
}

TEST(a_tlb_is_stale_until_the_flush)
{
	static const struct tmm_mmu_ops ops = {.flush = forget};
	struct tmm_tlb_entry entry[64];
	struct tmm_mmu_result seen;
	struct tmm_tlb tlb;
	tmm_vaddr va;
	char *area;

	kernel_boot(pc);
	CHECK(tmm_tlb_init(&tlb, entry, 64, 4) == TMM_OK);
	tmm_kernel_set_mmu(&km, &ops, &tlb);
	area = tmm_vmalloc(&km, 4096, TMM_GFP_KERNEL);
	va.v = va_of(area);
	CHECK(tmm_mmu_access(&km.mmu, &tlb, 0, va, TMM_ACCESS_WRITE, &seen));
	tmm_vfree(&km, area);
	CHECK(!tmm_kernel_walk(&km, va, TMM_ACCESS_READ, &seen));
	CHECK(tmm_mmu_access(&km.mmu, &tlb, 0, va, TMM_ACCESS_WRITE, &seen) && seen.from_tlb);
	tmm_vmalloc_purge(&km);
	CHECK(!tmm_mmu_access(&km.mmu, &tlb, 0, va, TMM_ACCESS_WRITE, &seen));
	CHECK(tlb.counts.flushes == 1);
	kernel_halt();
}

/* ---- what goes wrong ---- */

static void vfree_it(void *arg)
{
	tmm_vfree(&km, arg);
}

static void vunmap_it(void *arg)
{
	tmm_vunmap(&km, arg);
}

static void put_it(void *arg)
{
	tmm_vm_area_put(&km, arg);
}

/* Each class of misuse is reported, with what the address is. */
TEST(every_wrong_free_is_reported)
{
	static char elsewhere[1];
	tmm_pfn pfn;
	char *area, *gone, *mapped, *io, *never;

	kernel_boot(pc);
	area = tmm_vmalloc(&km, 10000, TMM_GFP_KERNEL);
	gone = tmm_vmalloc(&km, 5000, TMM_GFP_KERNEL);
	tmm_vfree(&km, gone);
	CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	mapped = tmm_vmap(&km, &pfn, 1, TMM_KPROT_KERNEL, TMM_GFP_KERNEL);
	io = tmm_vm_area_get(&km, 4096, 0, TMM_VM_IOREMAP, (tmm_paddr){0xfee00000},
	                     TMM_GFP_KERNEL);
	CHECK(area && gone && mapped && io);
	never = area + 16 * MB;
	{
		const struct {
			void (*free)(void *address);
			void *address;
			const char *text;
		} wrong[] = {
			{vfree_it, area + 4096,
		         "4096 bytes inside the vmalloc area of 12288 bytes"},
			{vfree_it, area + 1, "1 bytes inside"},
			{vfree_it, area + 12288, "0 bytes beyond the vmalloc area of 12288"},
			{vfree_it, gone, "freed and not flushed yet"},
			{vfree_it, never, "where nothing is lent"},
			{vfree_it, mapped, "the start of the vmap area of 4096"},
			{vfree_it, io, "the start of the ioremap area"},
			{vfree_it, tmm_page_address(&m.pages, pfn), "of the direct map"},
			{vfree_it, elsewhere, "in no window"},
			{vunmap_it, area, "the start of the vmalloc area"},
			{vunmap_it, io, "the start of the ioremap area"},
			{put_it, area, "the start of the vmalloc area"},
			{put_it, io + 1, "1 bytes inside the ioremap area"},
		};

		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			const char *text = test_panics(wrong[i].free, wrong[i].address);

			CHECK(text && strstr(text, wrong[i].text));
		}
	}
	tmm_vmalloc_purge(&km);
	CHECK(strstr(test_panics(vfree_it, gone), "where nothing is lent"));
	tmm_vfree(&km, NULL);
	tmm_vunmap(&km, NULL);
	tmm_vunmap(&km, mapped);
	tmm_vm_area_put(&km, io);
	tmm_vfree(&km, area);
	tmm_pages_free(&m.pages, pfn, 0);
	kernel_halt();
}

/* Running over the end faults, what is freed faults, and either can be told apart. */
TEST(stray_accesses_fault_and_can_be_explained)
{
	struct kernel_rig eager = pc;
	struct tmm_vm_area_info info;
	char *area, *other;

	eager.flushes_at_once = true;
	kernel_boot(eager);
	area = tmm_vmalloc(&km, 3 * 4096, TMM_GFP_KERNEL);
	other = tmm_vmalloc(&km, 3 * 4096, TMM_GFP_KERNEL);
	CHECK(faults(area + 3 * 4096, true));
	CHECK(tmm_vm_area_find(&km, (tmm_vaddr){va_of(area) + 3 * 4096}, &info));
	CHECK(info.start.v == va_of(area) && info.size_bytes == 4 * 4096);
	CHECK(info.nr_pages == 3 && info.nr_of_node[0] == 3 && !info.is_freed);
	tmm_vfree(&km, area);
	CHECK(faults(area, false) && faults(area + 4096, true));
	CHECK(!tmm_vm_area_find(&km, (tmm_vaddr){va_of(area)}, &info));
	CHECK(!faults(other, true));
	tmm_vfree(&km, other);
	kernel_halt();
}

/* ---- kinds ---- */

TEST(the_same_frames_are_seen_through_two_areas)
{
	tmm_pfn pfn[5];
	char *first, *second;

	kernel_boot(pc);
	CHECK(tmm_pages_alloc_bulk(&m.pages, TMM_GFP_KERNEL, 5, pfn) == 5);
	first = tmm_vmap(&km, pfn, 5, TMM_KPROT_KERNEL, TMM_GFP_KERNEL);
	second = tmm_vmap(&km, (tmm_pfn[]){pfn[3], pfn[1], pfn[3]}, 3, TMM_KPROT_READ,
	                  TMM_GFP_KERNEL);
	CHECK(first && second);
	strcpy(first + 3 * 4096, "three");
	strcpy(first + 4096, "one");
	CHECK(strcmp(second, "three") == 0 && strcmp(second + 4096, "one") == 0);
	CHECK(strcmp(second + 8192, "three") == 0);
	CHECK(faults(second, true) && !faults(first, true));
	tmm_vunmap(&km, first);
	tmm_vunmap(&km, second);
	tmm_pages_free_bulk(&m.pages, 5, pfn);
	kernel_halt();
}

TEST(large_pages_are_used_where_they_fit)
{
	for (int is_32 = 0; is_32 < 2; is_32++) {
		struct tmm_mmu_result walk;
		uint64_t large = is_32 ? 4 * MB : 2 * MB, free_pages;
		char *area;

		kernel_boot(is_32 ? (struct kernel_rig){.geometry = TMM_GEOMETRY_X86_32,
		                                        .ram_bytes = 64 * MB}
		                  : pc);
		free_pages = tmm_pages_free_count(&m.pages);
		area = tmm_vmalloc_huge(&km, 9 * MB, TMM_GFP_KERNEL | TMM_GFP_ZERO);
		CHECK(area && va_of(area) % large == 0);
		CHECK(all_bytes_are((unsigned char *)area, 0, 9 * MB));
		CHECK(tmm_kernel_walk(&km, (tmm_vaddr){va_of(area)}, TMM_ACCESS_READ, &walk));
		CHECK(walk.page_bytes == large);
		CHECK(tmm_kernel_walk(&km, (tmm_vaddr){va_of(area) + 9 * MB - 1},
		                      TMM_ACCESS_READ, &walk));
		CHECK(walk.page_bytes == 4096);
		memset(area, 1, 9 * MB);
		tmm_kernel_map_check(&km);
		tmm_vfree(&km, area);
		tmm_vmalloc_purge(&km);
		/* Some tables and a slab may stay. */
		CHECK(tmm_pages_free_count(&m.pages) + 24 >= free_pages);
		kernel_halt();
	}
}

TEST(reading_passes_over_holes)
{
	unsigned char text[3 * 4096];
	char *area, *io;

	kernel_boot(pc);
	area = tmm_vmalloc(&km, 5000, TMM_GFP_KERNEL);
	memset(area, 'a', 8192);
	memset(text, 'x', sizeof(text));
	CHECK(tmm_vread(&km, text, area + 10, sizeof(text)) >= 8192 - 10);
	CHECK(all_bytes_are(text, 'a', 8192 - 10) && text[8192 - 10] == 0);
	io = tmm_vm_area_get(&km, 4096, 0, TMM_VM_IOREMAP, (tmm_paddr){0xfee00000},
	                     TMM_GFP_KERNEL);
	CHECK(tmm_vread(&km, text, io, 100) == 100 && all_bytes_are(text, 0, 100));
	CHECK(tmm_vread(&km, text, tmm_page_address(&m.pages, (tmm_pfn){500}), 10) == 0);
	tmm_vm_area_put(&km, io);
	tmm_vfree(&km, area);
	kernel_halt();
}

TEST(ranges_are_mapped_as_asked_or_refused)
{
	const uint64_t bytes = 16 * 4096;
	struct tmm_mmu_result walk;
	tmm_vaddr va;
	char *area;

	kernel_boot(pc);
	area = tmm_vm_area_get(&km, bytes, 1 * MB, TMM_VM_IOREMAP, (tmm_paddr){0xd0000000},
	                       TMM_GFP_KERNEL);
	CHECK(area && va_of(area) % MB == 0);
	va.v = va_of(area);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){0xd0000000}, bytes, TMM_KPROT_WRITE,
	                     TMM_GFP_KERNEL) == TMM_E_INVAL);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){0xd0000010}, bytes, TMM_KPROT_IO,
	                     TMM_GFP_KERNEL) == TMM_E_INVAL);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){0xd0000000}, bytes,
	                     TMM_KPROT_IO | TMM_KPROT_UC | TMM_KPROT_WC,
	                     TMM_GFP_KERNEL) == TMM_E_INVAL);
	CHECK(tmm_vmap_range(&km, (tmm_vaddr){0xffff888000000000}, (tmm_paddr){0}, bytes, 0,
	                     TMM_GFP_KERNEL) == TMM_E_INVAL);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){0xd0000000}, bytes,
	                     TMM_KPROT_WRITE | TMM_KPROT_IO | TMM_KPROT_UC,
	                     TMM_GFP_KERNEL) == TMM_OK);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){0}, bytes, 0, TMM_GFP_KERNEL) == TMM_E_EXIST);
	CHECK(tmm_kernel_walk(&km, va, TMM_ACCESS_WRITE, &walk) && walk.pa.v == 0xd0000000);
	CHECK(!tmm_kernel_walk(&km, va, TMM_ACCESS_EXEC, &walk));
	CHECK(faults(area, false)); /* registers, not memory */
	tmm_vunmap_range(&km, va, bytes);
	CHECK(tmm_vmap_range(&km, va, (tmm_paddr){MB}, bytes, TMM_KPROT_WRITE,
	                     TMM_GFP_KERNEL) == TMM_OK);
	memcpy(page_address(&m.pages, (tmm_pfn){MB >> 12}), "ram", 4);
	CHECK(strcmp(area, "ram") == 0);
	tmm_vm_area_put(&km, area);
	kernel_halt();
}

/* ---- when there is not enough ---- */

TEST(requests_that_cannot_be_served_leave_nothing)
{
	uint64_t free_pages;
	struct tmm_vmalloc_stats stats;
	void *most;

	kernel_boot(pc);
	tmm_vfree(&km, tmm_vmalloc(&km, 4096, TMM_GFP_KERNEL));
	tmm_vmalloc_purge(&km);
	tmm_pages_drain(&m.pages);
	free_pages = tmm_pages_free_count(&m.pages);
	CHECK(!tmm_vmalloc(&km, 0, TMM_GFP_KERNEL));
	CHECK(!tmm_vmalloc(&km, UINT64_MAX, TMM_GFP_KERNEL));
	CHECK(!tmm_vmalloc(&km, 65 * MB, TMM_GFP_KERNEL));
	most = tmm_vmalloc(&km, 40 * MB, TMM_GFP_KERNEL);
	CHECK(most && !tmm_vmalloc(&km, 40 * MB, TMM_GFP_KERNEL | TMM_GFP_NOWARN));
	tmm_vmalloc_stats(&km, &stats);
	CHECK(stats.used_pages == 40 * MB / 4096);
	tmm_vfree(&km, most);
	tmm_vmalloc_purge(&km);
	tmm_pages_drain(&m.pages);
	CHECK(!tmm_vmalloc_node(&km, 4096, 1, TMM_GFP_KERNEL));
	tmm_vmalloc_stats(&km, &stats);
	CHECK(stats.used_pages == 0 && stats.lazy_pages == 0);
	CHECK(tmm_pages_free_count(&m.pages) + 8 >= free_pages); /* nodes and chunks stay */
	kernel_halt();
}

/* 32 bits: a megabyte fits a hundred times, and again once areas are flushed. */
TEST(addresses_run_out_and_come_back)
{
	const struct kernel_rig i386 = {
		.geometry = TMM_GEOMETRY_X86_32, .ram_bytes = 64 * MB, .lowmem_bytes = 32 * MB};
	void *area[1100];
	uint64_t nr[2];

	kernel_boot(i386);
	for (int round = 0; round < 2; round++) {
		uint64_t n = 0;

		while (n < 1100 && (area[n] = tmm_vm_area_get(&km, MB, 0, TMM_VM_MAP,
		                                              (tmm_paddr){0}, TMM_GFP_KERNEL)))
			n++;
		nr[round] = n;
		/* What is left is found for the short, from slots of any length. */
		CHECK(n < 1100);
		for (uint64_t i = 0; i < n; i++)
			tmm_vm_area_put(&km, area[i]);
	}
	CHECK(nr[0] == nr[1] && nr[0] > 900);
	kernel_halt();
}

static void lend_all_kinds(void)
{
	tmm_pfn pfn[3] = {{1000}, {1002}, {1001}};
	void *a = tmm_vmalloc(&km, 300 * 1024, TMM_GFP_KERNEL | TMM_GFP_NOWARN);
	void *b = tmm_vmap(&km, pfn, 3, TMM_KPROT_READ, TMM_GFP_KERNEL | TMM_GFP_NOWARN);
	void *c = tmm_vmalloc_huge(&km, 5 * MB, TMM_GFP_KERNEL | TMM_GFP_NOWARN);
	char *d = tmm_vzalloc(&km, 100, TMM_GFP_KERNEL | TMM_GFP_NOWARN);

	CHECK(!d || d[99] == 0);
	tmm_vfree(&km, a);
	tmm_vunmap(&km, b);
	tmm_vfree(&km, c);
	tmm_vfree(&km, d);
}

TEST(every_failure_is_survived)
{
	for (int forever = 0; forever <= 1; forever++) {
		uint64_t n = 1;

		for (bool failed = true; failed; n++) {
			kernel_boot(pc);
			tmm_inject_nth(n, forever);
			lend_all_kinds();
			failed = tmm_inject_stop();
			kernel_halt();
		}
		test_note("%llu failure points", (unsigned long long)n - 1);
		CHECK(n > 10);
	}
}

/* ---- anything at all ---- */

#define NR_AREAS 400

/* Areas of all sizes come and go; each byte of memory is in one of them alone. */
TEST(random_areas_never_share_a_frame)
{
	static struct {
		uint64_t *at;
		uint64_t words, mark;
	} area[NR_AREAS];
	uint64_t random = test_seed(), nr_lent = 0;

	for (size_t shape = 0; shape < 3; shape++) {
		kernel_boot((struct kernel_rig){.geometry = shape ? TMM_GEOMETRY_X86_PAE
		                                                  : TMM_GEOMETRY_X86_64,
		                                .ram_bytes = 64 * MB,
		                                .lowmem_bytes = shape ? 32 * MB : 0,
		                                .flushes_at_once = shape == 2});
		for (uint64_t i = 0; i < 6000; i++) {
			uint64_t dice = test_random(&random), at = dice % NR_AREAS;
			uint64_t pages = 1 + (dice >> 16) % (dice >> 32 & 7 ? 6 : 90);

			if (area[at].at) {
				CHECK(area[at].at[0] == area[at].mark);
				CHECK(area[at].at[area[at].words - 1] == area[at].mark);
				tmm_vfree(&km, area[at].at);
				area[at].at = NULL;
			} else {
				area[at].at = tmm_vmalloc(&km, pages * 4096,
				                          TMM_GFP_KERNEL | TMM_GFP_NOWARN);
				area[at].words = pages * 512;
				area[at].mark = dice;
				if (area[at].at) {
					area[at].at[0] = dice;
					area[at].at[area[at].words - 1] = dice;
					nr_lent++;
				}
			}
			if (i % 1000 == 0)
				tmm_kernel_map_check(&km);
		}
		for (size_t i = 0; i < NR_AREAS; i++) {
			tmm_vfree(&km, area[i].at);
			area[i].at = NULL;
		}
		kernel_halt();
	}
	CHECK(nr_lent > 5000);
	test_note("%llu areas lent, TUXMM_SEED=%llu", (unsigned long long)nr_lent,
	          (unsigned long long)test_seed());
}

/*
 *	frames   u.u.u.u.     no two neighbours are free
 * What describes an area must come from memory as cut up as what the area is of.
 */
TEST(areas_are_made_where_only_single_frames_are_free)
{
	static uint64_t frame[16 * MB / 4096];
	uint32_t nr = 0, nr_used = 0;
	void *area[32];
	tmm_pfn pfn;

	kernel_boot((struct kernel_rig){.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 16 * MB});
	while (tmm_pages_alloc(&m.pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0, &pfn) == TMM_OK)
		frame[nr++] = pfn.v;
	for (uint32_t i = 0; i < nr; i++) {
		if (frame[i] % 2)
			frame[nr_used++] = frame[i];
		else
			tmm_pages_free(&m.pages, (tmm_pfn){frame[i]}, 0);
	}
	CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 1, &pfn) ==
	      TMM_E_NOMEM);
	for (size_t i = 0; i < ARRAY_SIZE(area); i++) {
		area[i] = tmm_vmalloc(&km, 8 * 4096, TMM_GFP_KERNEL);
		CHECK(area[i] != NULL);
		memset(area[i], (int)i, 8 * 4096);
	}
	tmm_kernel_map_check(&km);
	for (size_t i = 0; i < ARRAY_SIZE(area); i++) {
		CHECK(((unsigned char *)area[i])[5 * 4096] == i);
		tmm_vfree(&km, area[i]);
	}
	for (uint32_t i = 0; i < nr_used; i++)
		tmm_pages_free(&m.pages, (tmm_pfn){frame[i]}, 0);
	kernel_halt();
}
