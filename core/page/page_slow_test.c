/*
 * What is started for a request when memory is short, and how often; a test double
 * stands for all that reclaims.
 */
#include "page/rig_test.h"
#include "page/zone.h"

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

/* ---- raised watermarks ---- */

static const struct tmm_reclaim_ops only_wake = {.wake_kswapd = wake};

static uint64_t boost_of_zone(struct tmm_pages *pages)
{
	struct tmm_zone_info info;

	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA, &info));
	return info.watermark_boost;
}

/* Every block of 16 MiB holds movable pages in its lower quarter; returns how many. */
static size_t fill_blocks_partly(struct tmm_pages *pages)
{
	const tmm_gfp gfp = TMM_GFP_MOVABLE | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN;
	size_t nr = 0, nr_kept = 0;

	while (tmm_pages_alloc(pages, gfp, 0, &got[nr]) == TMM_OK)
		nr++;
	for (size_t i = 0; i < nr; i++) {
		if (got[i].v % BLOCK_FRAMES < BLOCK_FRAMES / 4)
			got[nr_kept++] = got[i];
		else
			tmm_pages_free(pages, got[i], 0);
	}
	tmm_pages_drain_all(pages);
	return nr_kept;
}

/*
 *   blocks   |mm......|mm......|mm......|     free: three quarters of each
 *   then     |mmu.....|mm......|mm......|     u: unmovable; its block changed its type
 *
 * The marks are a block higher till somebody reclaims: who may not wait is refused before
 * all is gone, but for urgent single frames; who waits takes the boost back.
 */
TEST(a_claimed_part_of_a_block_raises_the_watermarks)
{
	const tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_NOWARN;
	struct calls calls = {.wakes = 0};
	struct tmm_pages *pages;
	struct tmm_zone_info info;
	size_t nr;

	rig_begin(&rig, 16 * MIB, 1);
	rig_add(&rig, 0, 16 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	tmm_pages_set_reclaim(pages, &only_wake, &calls);
	nr = fill_blocks_partly(pages);
	CHECK(boost_of_zone(pages) == 0 && calls.wakes == 0);
	CHECK(tmm_pages_alloc(pages, gfp, 0, &got[nr++]) == TMM_OK);
	CHECK(boost_of_zone(pages) == BLOCK_FRAMES && calls.wakes == 1);
	while (tmm_pages_alloc(pages, gfp, 0, &got[nr]) == TMM_OK)
		nr++;
	CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA, &info));
	CHECK(info.free_pages <= info.watermark_min + 1 && info.free_pages >= BLOCK_FRAMES);
	for (unsigned i = 0; i < BLOCK_FRAMES * 3 / 4; i++)
		CHECK(tmm_pages_alloc(pages, gfp | TMM_GFP_HIGH, 0, &got[nr++]) == TMM_OK);
	CHECK(tmm_pages_alloc(pages, gfp, 0, &got[nr]) == TMM_E_NOMEM);
	CHECK(boost_of_zone(pages) == BLOCK_FRAMES);
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &got[nr++]) == TMM_OK);
	CHECK(boost_of_zone(pages) == 0);
	while (nr > 0)
		tmm_pages_free(pages, got[--nr], 0);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* A whole block that is claimed harms nobody, and with a factor of 0 nothing is raised. */
TEST(only_parts_of_blocks_raise_the_watermarks)
{
	for (unsigned parts = 0; parts <= 1; parts++) {
		struct calls calls = {.wakes = 0};
		struct tmm_pages *pages;
		size_t nr = 0;

		rig_begin(&rig, 16 * MIB, 1);
		rig_add(&rig, 0, 16 * MIB);
		pages = rig_boot(&rig, NO_RESERVE);
		tmm_pages_set_reclaim(pages, &only_wake, &calls);
		if (parts) {
			tmm_pages_set_watermark_boost(pages, 0);
			nr = fill_blocks_partly(pages);
		}
		CHECK(tmm_pages_alloc(pages, TMM_GFP_NOWAIT, 0, &got[nr++]) == TMM_OK);
		CHECK(boost_of_zone(pages) == 0 && calls.wakes == 0);
		while (nr > 0)
			tmm_pages_free(pages, got[--nr], 0);
		tmm_pages_check(pages);
		pages_fini(pages);
	}
}

/* At most the factor's part of the high mark or a block; none where it would be all there is.
 */
TEST(a_boost_is_limited)
{
	static const uint32_t factors[] = {0, 1, 10000, 15000, 40000};
	struct calls calls = {.wakes = 0};

	for (uint64_t bytes = 6 * MIB; bytes <= 12 * MIB; bytes += 6 * MIB) {
		for (unsigned i = 0; i <= ARRAY_SIZE(factors); i++) {
			uint32_t factor = i < ARRAY_SIZE(factors) ? factors[i] : 15000;
			bool has_ops = i < ARRAY_SIZE(factors);
			uint64_t high, most;
			struct tmm_pages *pages;
			struct zone *zone;

			rig_begin(&rig, bytes, 1);
			rig_add(&rig, 0, bytes);
			pages = rig_boot(&rig, 1500);
			zone = &pages->zone[0];
			high = zone_plain_mark(zone, MARK_HIGH);
			most = max_u64(high * factor / 10000, BLOCK_FRAMES);
			if (!has_ops || high * factor < 10000 || bytes < 8 * MIB)
				most = 0;
			tmm_pages_set_reclaim(pages, has_ops ? &only_wake : NULL, &calls);
			tmm_pages_set_watermark_boost(pages, factor);
			CHECK(tmm_pages_watermark_boost(pages) == factor);
			for (unsigned times = 1; times < 10; times++) {
				tmm_irq irq = lock_take_irqsave(&zone->lock);

				watermark_boost(pages, zone);
				lock_drop_irqrestore(&zone->lock, irq);
				CHECK(boost_of_zone(pages) ==
				      min_u64(times * BLOCK_FRAMES, most));
			}
			CHECK(tmm_pages_set_min_free(pages, 1000) == TMM_OK);
			CHECK(boost_of_zone(pages) == 0);
			pages_fini(pages);
		}
	}
}
