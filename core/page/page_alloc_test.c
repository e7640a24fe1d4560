#include "page/rig_test.h"

static struct rig rig;

/*
 *   whole   |--------|   one run of 8 frames
 *   lent    |aabb----|   a and b are buddies of order 1
 *   home    |--------|   whole again, whichever comes back first
 */
TEST(buddies_merge_in_either_order)
{
	for (int a_first = 0; a_first <= 1; a_first++) {
		struct tmm_pages *pages = rig_exact(&rig, 8, 8);
		tmm_pfn a, b, whole;

		CHECK(tmm_pages_managed_count(pages) == 8);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 1, &a) == TMM_OK);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 1, &b) == TMM_OK);
		tmm_pages_check(pages);
		tmm_pages_free(pages, a_first ? a : b, 1);
		tmm_pages_free(pages, a_first ? b : a, 1);
		tmm_pages_check(pages);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 3, &whole) == TMM_OK);
		CHECK(whole.v == 8);
		tmm_pages_free(pages, whole, 3);
		pages_fini(pages);
	}
}

/* Every order, taken until nothing is left, and all of it given back. */
TEST(all_memory_can_be_lent_and_comes_back)
{
	for (unsigned order = 0; order <= TMM_MAX_ORDER; order++) {
		struct tmm_pages *pages = rig_simple(&rig, 24 * MIB);
		static tmm_pfn got[24 * 256];
		size_t nr = 0;

		while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC, order, &got[nr]) == TMM_OK)
			nr++;
		CHECK(nr > 0 && tmm_pages_free_count(pages) == pages->managed - (nr << order));
		CHECK(order > 0 || tmm_pages_free_count(pages) == 0);
		tmm_pages_check(pages);
		while (nr > 0)
			tmm_pages_free(pages, got[--nr], order);
		tmm_pages_check(pages);
		pages_fini(pages);
	}
}
