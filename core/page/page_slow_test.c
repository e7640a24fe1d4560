/*
 * What is started for a request when memory is short, and how often; a test double
 * stands for all that reclaims.
 */
#include "page/rig_test.h"

#include "panic.h"

static struct rig rig;
static tmm_pfn got[8192];

struct calls {
	unsigned wakes, reclaims, kills;
	uint64_t freed_each;  /* what a reclaim says it freed */
	uint64_t reclaimable; /* what it says is left */
	struct tmm_pages *pages;
	size_t *nr_held; /* a kill gives one of these back */
};

static uint64_t reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	struct calls *calls = arg;

	(void)gfp;
	(void)order;
	calls->reclaims++;
	return calls->freed_each;
}

static void wake(void *arg, unsigned node, tmm_gfp gfp, unsigned order,
                 enum tmm_zone_id highest)
{
	struct calls *calls = arg;

	CHECK(node == 0 && (gfp & TMM_GFP_KSWAPD) && highest <= TMM_ZONE_MOVABLE);
	(void)order;
	calls->wakes++;
}

static uint64_t reclaimable(void *arg, unsigned node, enum tmm_zone_id zone)
{
	struct calls *calls = arg;

	(void)node;
	(void)zone;
	return calls->reclaimable;
}

static bool oom(void *arg, tmm_gfp gfp, unsigned order)
{
	struct calls *calls = arg;

	(void)gfp;
	(void)order;
	calls->kills++;
	if (*calls->nr_held == 0)
		return false;
	tmm_pages_free(calls->pages, got[--*calls->nr_held], 0);
	return true;
}

static const struct tmm_reclaim_ops ops = {
	.reclaim = reclaim, .wake_kswapd = wake, .reclaimable = reclaimable, .oom = oom};

/* Nothing is free, nothing can be: who tries what, and how often? */
TEST(flags_say_how_hard_a_request_tries)
{
	static const struct {
		tmm_gfp gfp;
		unsigned order, wakes, reclaims, kills;
	} table[] = {
		{0, 0, 0, 0, 0},
		{TMM_GFP_NOWAIT, 0, 1, 0, 0},
		{TMM_GFP_ATOMIC, 0, 1, 0, 0},
		{TMM_GFP_KERNEL | TMM_GFP_NORETRY, 0, 1, 1, 0},
		{TMM_GFP_KERNEL | TMM_GFP_MEMALLOC, 0, 1, 0, 0},
		{TMM_GFP_NOFS, 0, 1, 17, 0},
		{TMM_GFP_KERNEL | TMM_GFP_RETRY_MAYFAIL, 0, 1, 17, 0},
		{TMM_GFP_KERNEL | TMM_GFP_THISNODE, 0, 1, 17, 0},
		{TMM_GFP_KERNEL, 0, 1, 17, 1},
		{TMM_GFP_KERNEL | TMM_GFP_DMA, 0, 1, 17, 0},
		{TMM_GFP_KERNEL, 4, 1, 1, 0},
		{TMM_GFP_KERNEL | TMM_GFP_RETRY_MAYFAIL, 4, 1, 17, 0},
	};
	struct tmm_pages *pages;
	size_t nr = 0, nr_held = 0;

	rig_begin(&rig, 16 * MIB, 1);
	rig_add(&rig, 0, 16 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0, &got[nr]) == TMM_OK)
		nr++;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct calls calls = {.reclaimable = 1000, .pages = pages, .nr_held = &nr_held};
		tmm_pfn pfn;

		tmm_pages_set_reclaim(pages, &ops, &calls);
		CHECK(tmm_pages_alloc(pages, table[i].gfp | TMM_GFP_NOWARN, table[i].order,
		                      &pfn) == TMM_E_NOMEM);
		CHECK(calls.wakes == table[i].wakes && calls.reclaims == table[i].reclaims);
		CHECK(calls.kills == table[i].kills);
	}
	tmm_pages_set_reclaim(pages, NULL, NULL);
	while (nr > 0)
		tmm_pages_free(pages, got[--nr], 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* A kill makes room: the request is served; and one that must not fail always is. */
TEST(a_kill_makes_room)
{
	static const tmm_gfp flags[] = {TMM_GFP_KERNEL, TMM_GFP_KERNEL | TMM_GFP_NOFAIL};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		struct tmm_pages *pages;
		size_t nr = 0;
		struct calls calls = {.nr_held = &nr};
		tmm_pfn pfn;

		rig_begin(&rig, 16 * MIB, 1);
		rig_add(&rig, 0, 16 * MIB);
		pages = rig_boot(&rig, NO_RESERVE);
		calls.pages = pages;
		while (tmm_pages_alloc(pages, TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0, &got[nr]) ==
		       TMM_OK)
			nr++;
		tmm_pages_set_reclaim(pages, &ops, &calls);
		CHECK(tmm_pages_alloc(pages, flags[i], 0, &pfn) == TMM_OK && calls.kills == 1);
		tmm_pages_free(pages, pfn, 0);
		while (nr > 0)
			tmm_pages_free(pages, got[--nr], 0);
		tmm_pages_check(pages);
		pages_fini(pages);
	}
}
