/*
 * kmap_test.c - high memory through slots, and slots at fixed addresses
 *
 *	frames   | low ... | high ...................... |
 *	direct   | mapped  | touching faults             |
 */
#include <tuxmm/fixmap.h>
#include <tuxmm/kmap.h>

#include "inject.h"
#include "map/kernel_rig_test.h"

#define LOW (32 * MB)

static const struct kernel_rig shapes[] = {
	{.geometry = TMM_GEOMETRY_X86_32, .ram_bytes = 64 * MB, .lowmem_bytes = LOW},
	{.geometry = TMM_GEOMETRY_X86_PAE, .ram_bytes = 64 * MB, .lowmem_bytes = LOW},
	{.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 64 * MB, .lowmem_bytes = LOW},
};

static tmm_pfn high_frame(void)
{
	tmm_pfn pfn;

	CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_HIGHUSER_MOVABLE, 0, &pfn) == TMM_OK);
	CHECK(pfn.v >= LOW >> 12);
	return pfn;
}

TEST(high_memory_is_really_absent_and_reached_through_slots)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		tmm_pfn pfn, low;
		char *local, *slot;

		kernel_boot(shapes[i]);
		pfn = high_frame();
		CHECK(faults((char *)m.pages.ram + (pfn.v << 12), false));
		local = tmm_kmap_local(&km, pfn);
		strcpy(local, "seen twice");
		slot = tmm_kmap(&km, pfn, TMM_GFP_KERNEL);
		CHECK(slot && slot != local && strcmp(slot, "seen twice") == 0);
		CHECK(tmm_kmap(&km, pfn, TMM_GFP_KERNEL) == slot);
		CHECK(tmm_kmap_address(&km, pfn) == slot);
		CHECK(tmm_kernel_frame(&km, local).v == pfn.v);
		CHECK(faults(local + 4096, false) && faults(local - 1, false));
		tmm_kunmap_local(&km, local);
		CHECK(faults(local, false));
		tmm_kunmap(&km, pfn);
		CHECK(tmm_kmap_address(&km, pfn) == slot);
		tmm_kunmap(&km, pfn);
		CHECK(tmm_kmap_address(&km, pfn) == NULL);
		tmm_pages_free(&m.pages, pfn, 0);

		CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_KERNEL, 0, &low) == TMM_OK);
		CHECK(tmm_kmap_local(&km, low) == tmm_page_address(&m.pages, low));
		tmm_kunmap_local(&km, tmm_page_address(&m.pages, low));
		tmm_pages_free(&m.pages, low, 0);
		kernel_halt();
	}
}

TEST(frames_without_an_address_are_cleared_too)
{
	tmm_pfn pfn[64];

	kernel_boot(shapes[0]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 64; i++) {
			unsigned char *page;

			CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_HIGHUSER | TMM_GFP_ZERO, 0,
			                      &pfn[i]) == TMM_OK);
			page = tmm_kmap_local(&km, pfn[i]);
			CHECK(all_bytes_are(page, 0, 4096));
			memset(page, 0xff, 4096);
			tmm_kunmap_local(&km, page);
		}
		tmm_pages_free_bulk(&m.pages, 64, pfn);
	}
	kernel_halt();
}

/* Slots nobody uses stay mapped until the search begins anew; then all go at once. */
TEST(slots_are_flushed_together_and_run_out)
{
	static tmm_pfn pfn[1025];
	static void *slot[1025];
	struct tmm_kmap_stats stats;
	uint32_t nr;

	kernel_boot(shapes[0]);
	tmm_kmap_stats(&km, &stats);
	nr = stats.nr_slots;
	CHECK(nr == 1024 && stats.nr_used == 0);
	for (uint32_t i = 0; i <= nr; i++)
		pfn[i] = high_frame();
	for (uint32_t i = 0; i < nr; i++) {
		slot[i] = tmm_kmap(&km, pfn[i], TMM_GFP_NOWAIT);
		CHECK(slot[i]);
		*(uint32_t *)slot[i] = i;
	}
	tmm_kernel_map_check(&km);
	CHECK(tmm_kmap(&km, pfn[nr], TMM_GFP_NOWAIT) == NULL);
	for (uint32_t i = 0; i < nr; i++) {
		CHECK(*(uint32_t *)slot[i] == i);
		tmm_kunmap(&km, pfn[i]);
	}
	tmm_kmap_stats(&km, &stats);
	CHECK(stats.nr_used == 0 && stats.nr_stale == nr && stats.flushes == 0);
	slot[nr] = tmm_kmap(&km, pfn[nr], TMM_GFP_NOWAIT);
	CHECK(slot[nr]);
	tmm_kmap_stats(&km, &stats);
	CHECK(stats.nr_used == 1 && stats.nr_stale == 0 && stats.flushes == 1);
	CHECK(faults(slot[0] == slot[nr] ? slot[1] : slot[0], false));
	tmm_kunmap(&km, pfn[nr]);
	for (uint32_t i = 0; i <= nr; i++)
		tmm_pages_free(&m.pages, pfn[i], 0);
	kernel_halt();
}

static void unmap_first(void *arg)
{
	tmm_kunmap_local(&km, arg);
}

static void unmap_frame(void *arg)
{
	tmm_kunmap(&km, *(tmm_pfn *)arg);
}

static void map_once_more(void *arg)
{
	tmm_kmap_local(&km, *(tmm_pfn *)arg);
}

static void direct_address(void *arg)
{
	tmm_page_address(&m.pages, *(tmm_pfn *)arg);
}

static void to_phys(void *arg)
{
	tmm_virt_to_phys(&km, arg);
}

static void to_virt(void *arg)
{
	tmm_phys_to_virt(&km, *(tmm_paddr *)arg);
}

TEST(mistakes_are_named)
{
	tmm_pfn pfn, more[TMM_KMAP_LOCAL_DEPTH];
	tmm_paddr high = {LOW + 12345}, nowhere = {UINT64_C(1) << 40};
	void *first, *second, *area;
	const char *text;

	kernel_boot(shapes[2]);
	pfn = high_frame();
	first = tmm_kmap_local(&km, pfn);
	second = tmm_kmap_local(&km, pfn);
	text = test_panics(unmap_first, first);
	CHECK(text && strstr(text, "mapped last"));
	tmm_kunmap_local(&km, second);
	tmm_kunmap_local(&km, first);
	text = test_panics(unmap_first, first);
	CHECK(text && strstr(text, "mapped last"));
	text = test_panics(unmap_frame, &pfn);
	CHECK(text && strstr(text, "undoes one tmm_kmap()"));
	text = test_panics(direct_address, &pfn);
	CHECK(text && strstr(text, "high memory has no address"));

	area = tmm_vmalloc(&km, 4096, TMM_GFP_KERNEL);
	text = test_panics(to_phys, area);
	CHECK(text && strstr(text, "direct map; 0xffffc9") &&
	      strstr(text, "vmalloc area of 4096"));
	text = test_panics(to_phys, &pfn);
	CHECK(text && strstr(text, "no window"));
	text = test_panics(to_virt, &high);
	CHECK(text && strstr(text, "high memory"));
	text = test_panics(to_virt, &nowhere);
	CHECK(text && strstr(text, "no RAM"));
	CHECK(tmm_virt_to_phys(&km, tmm_phys_to_virt(&km, (tmm_paddr){12345})).v == 12345);
	tmm_vfree(&km, area);

	for (unsigned i = 0; i < TMM_KMAP_LOCAL_DEPTH; i++) {
		more[i] = high_frame();
		*(unsigned *)tmm_kmap_local(&km, more[i]) = i;
	}
	CHECK(test_panics(map_once_more, &pfn));
	for (unsigned i = TMM_KMAP_LOCAL_DEPTH; i-- > 0;) {
		tmm_vaddr va = {kernel_fix_va(&km, FIX_NAMED + 2 * i)};

		CHECK(*(unsigned *)tmm_kernel_pointer(&km, va) == i);
		tmm_kunmap_local(&km, tmm_kernel_pointer(&km, va));
		tmm_pages_free(&m.pages, more[i], 0);
	}
	tmm_pages_free(&m.pages, pfn, 0);
	kernel_halt();
}

TEST(fixed_slots_are_where_linux_has_them)
{
	const struct kernel_rig pc = {.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 64 * MB};

	for (int is_pc = 0; is_pc < 2; is_pc++) {
		const tmm_paddr apic = {0xfee00000};
		struct tmm_mmu_result walk;
		tmm_pfn pfn;
		tmm_vaddr va;
		char *at, *local;

		kernel_boot(is_pc ? pc : shapes[0]);
		va = tmm_fix_to_virt(&km, TMM_FIX_APIC);
		CHECK(va.v == (is_pc ? UINT64_C(0xffffffffff5fd000) : 0xffffb000));
		CHECK(tmm_virt_to_fix(&km, (tmm_vaddr){va.v + 5}) == TMM_FIX_APIC);
		CHECK(tmm_virt_to_fix(&km, (tmm_vaddr){0x1000}) == TMM_NR_FIX);
		CHECK(tmm_set_fixmap(&km, TMM_FIX_APIC, apic,
		                     TMM_KPROT_WRITE | TMM_KPROT_UC | TMM_KPROT_IO) == TMM_OK);
		CHECK(tmm_kernel_walk(&km, va, TMM_ACCESS_WRITE, &walk));
		CHECK(walk.pa.v == apic.v &&
		      (walk.step[walk.nr_steps - 1].before & TMM_PTE_PCD));
		CHECK(faults(tmm_kernel_pointer(&km, va), false));
		tmm_clear_fixmap(&km, TMM_FIX_APIC);
		CHECK(!tmm_kernel_walk(&km, va, TMM_ACCESS_READ, &walk));

		CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_HIGHUSER, 0, &pfn) == TMM_OK);
		CHECK(tmm_set_fixmap(&km, TMM_FIX_USER_0, (tmm_paddr){pfn.v << 12},
		                     TMM_KPROT_KERNEL) == TMM_OK);
		at = tmm_kernel_pointer(&km, tmm_fix_to_virt(&km, TMM_FIX_USER_0));
		strcpy(at, "fixed");
		local = tmm_kmap_local(&km, pfn);
		CHECK(strcmp(local, "fixed") == 0);
		tmm_kunmap_local(&km, local);
		tmm_clear_fixmap(&km, TMM_FIX_USER_0);
		CHECK(faults(at, true));
		tmm_pages_free(&m.pages, pfn, 0);
		CHECK(tmm_set_fixmap(&km, TMM_NR_FIX, apic, TMM_KPROT_IO) == TMM_E_INVAL);
		CHECK(tmm_set_fixmap(&km, TMM_FIX_APIC, apic, 0) == TMM_E_INVAL);
		kernel_halt();
	}
}
