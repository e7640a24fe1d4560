/*
 * Memory that is kmalloc's where it can be, vmalloc's where it must be.
 */
#include <tuxmm/kvmalloc.h>

#include "inject.h"
#include "map/kernel_rig_test.h"

static const struct kernel_rig small = {.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 16 * MB};

static void begin(void)
{
	kernel_boot(small);
}

/* Every second frame lent: no run of two is left, and yet 64 KiB can be had. */
TEST(cut_up_memory_serves_large_requests)
{
	static tmm_pfn frame[16 * MB / TMM_PAGE_SIZE];
	unsigned char *memory;
	size_t nr = 0;

	begin();
	/* What vmalloc itself lends has its slabs now; these would be runs, too. */
	tmm_vfree(&km, tmm_vmalloc(&km, 65536, TMM_GFP_KERNEL));
	while (nr < ARRAY_SIZE(frame) &&
	       tmm_pages_alloc(&m.pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0, &frame[nr]) ==
	               TMM_OK)
		nr++;
	for (size_t i = 0; i < nr; i++) {
		if (frame[i].v % 2)
			tmm_pages_free(&m.pages, frame[i], 0);
	}
	tmm_pages_drain(&m.pages);
	memory = tmm_kvzalloc(&km, 65536, TMM_GFP_KERNEL);
	CHECK(memory && tmm_is_vmalloc_addr(&km, memory));
	CHECK(all_bytes_are(memory, 0, 65536));
	memset(memory, 7, 65536);
	CHECK(!tmm_kvmalloc(&km, 65536, TMM_GFP_ATOMIC | TMM_GFP_NOWARN)); /* may not sleep */
	tmm_kvfree(&km, memory);
	memory = tmm_kvmalloc_node(&km, 65536, TMM_GFP_KERNEL, 0);
	CHECK(memory && tmm_is_vmalloc_addr(&km, memory));
	tmm_kvfree(&km, memory);
	CHECK(!tmm_kvmalloc_node(&km, 65536, TMM_GFP_ATOMIC | TMM_GFP_NOWARN, 0));
	for (size_t i = 0; i < nr; i++) {
		if (frame[i].v % 2 == 0)
			tmm_pages_free(&m.pages, frame[i], 0);
	}
	kernel_halt();
}

TEST(easy_requests_are_kmallocs)
{
	static const size_t sizes[] = {0, 1, 4096, 4097, 100000};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *memory = tmm_kvmalloc(&km, sizes[i], TMM_GFP_KERNEL);

		CHECK(memory && !tmm_is_vmalloc_addr(&km, memory));
		tmm_kvfree(&km, memory);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned node = i % 2 ? TMM_NODE_ANY : 0;
		unsigned char *memory = tmm_kvzalloc_node(&km, sizes[i], TMM_GFP_KERNEL, node);

		CHECK(memory && !tmm_is_vmalloc_addr(&km, memory));
		CHECK(all_bytes_are(memory, 0, sizes[i]));
		tmm_kvfree(&km, memory);
	}
	CHECK(!tmm_kvcalloc(&km, SIZE_MAX / 2, 3, TMM_GFP_KERNEL));
	CHECK(!tmm_kvmalloc_array(&km, SIZE_MAX / 2, 3, TMM_GFP_KERNEL));
	CHECK(!tmm_kvmalloc(&km, (size_t)1 << 31, TMM_GFP_KERNEL | TMM_GFP_NOWARN));
	tmm_kvfree(&km, NULL);
	kernel_halt();
}

/* Beyond the longest run there is vmalloc alone; the contents come along. */
TEST(contents_follow_from_the_one_to_the_other)
{
	unsigned char *memory, *grown;

	begin();
	memory = tmm_kvmalloc(&km, 5000, TMM_GFP_KERNEL);
	CHECK(memory);
	memset(memory, 0x2b, 5000);
	grown = tmm_kvrealloc(&km, memory, 5000, 5 * MB, TMM_GFP_KERNEL);
	CHECK(grown && tmm_is_vmalloc_addr(&km, grown) && all_bytes_are(grown, 0x2b, 5000));
	CHECK(tmm_kvrealloc(&km, grown, 5 * MB, 100, TMM_GFP_KERNEL) == grown);
	tmm_inject_nth(1, true);
	CHECK(!tmm_kvrealloc(&km, grown, 5 * MB, 6 * MB, TMM_GFP_KERNEL));
	CHECK(tmm_inject_stop() && all_bytes_are(grown, 0x2b, 5000));
	tmm_kvfree(&km, grown);
	kernel_halt();
}
