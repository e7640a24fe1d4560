/*
 * watermark.c - what zones keep for those who cannot wait
 *
 * Linux's formulas.  min_free_kbytes, 4 * sqrt(low memory in KiB) unless it was
 * set, is shared among the zones of low memory by size, as `min`.  Zones of high
 * and of movable frames keep a token, 32 to 128 frames: nobody who cannot wait
 * asks for those.  The distance from min to low and from low to high is a quarter
 * of the share, or more in large zones: watermark_scale_factor in 1/10000 of the
 * zone.
 *
 * A zone where a part of a block was claimed for another type is boosted: all three
 * marks are a block higher, up to watermark_boost_factor of the high mark, so that
 * background reclaim is woken early and frees what would be claimed next.  It takes
 * the boost back when it has run; so does a request that reclaims itself.  Small zones
 * cannot afford it, and where nobody reclaims in the background there is none.
 *
 * lowmem_reserve[z] keeps a low zone's frames from requests that could have had
 * zone z: the frames of the same node's zones above, up to z, by a ratio.
 */
#include "page/zone.h"

#define SWAP_CLUSTER          32u
#define SCALE_FACTOR          10u
#define MAX_SCALE_FACTOR      3000u
#define BOOST_FACTOR          15000u
#define MIN_FREE_KBYTES_LEAST 128
#define MIN_FREE_KBYTES_MOST  262144
#define KBYTES_SHIFT          (TMM_PAGE_SHIFT - 10)

static bool is_lowmem(const struct zone *zone)
{
	return zone->id != TMM_ZONE_HIGHMEM && zone->id != TMM_ZONE_MOVABLE;
}

static uint64_t lowmem_pages(const struct tmm_pages *pages)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++)
		if (is_lowmem(&pages->zone[z]))
			sum += pages->zone[z].managed;
	return sum;
}

static uint64_t square_root(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= x)
			root |= bit;
	return root;
}

static uint64_t clamp(uint64_t x, uint64_t least, uint64_t most)
{
	return min_u64(max_u64(x, least), most);
}

/* relaxed: whoever reads them meanwhile may see old ones and new ones */
static void set_u64(uint64_t *value, uint64_t to)
{
	__atomic_store_n(value, to, __ATOMIC_RELAXED);
}

static void set_boost(struct zone *zone, uint64_t to) TMM_REQUIRES(zone->lock)
{
	set_u64(&zone->boost, to);
}

void watermark_boost(struct tmm_pages *pages, struct zone *zone)
{
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;
	/* relaxed: a setting, and a moment's value of it will do */
	uint32_t factor = __atomic_load_n(&pages->watermark_boost_factor, __ATOMIC_RELAXED);
	uint64_t most = zone_plain_mark(zone, MARK_HIGH) * factor / 10000;

	if (!most || !ops || !ops->wake_kswapd || zone->managed < 4 * BLOCK_FRAMES)
		return;
	set_boost(zone, min_u64(zone_boost(zone) + BLOCK_FRAMES, max_u64(most, BLOCK_FRAMES)));
	/* relaxed: who wakes reads nothing else that this is about */
	__atomic_fetch_or(&pages->boosted, UINT64_C(1) << zone->index, __ATOMIC_RELAXED);
}

void watermark_unboost(struct zone *zone, uint64_t by)
{
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	set_boost(zone, zone_boost(zone) - min_u64(zone_boost(zone), by));
	lock_drop_irqrestore(&zone->lock, irq);
}

static void set_marks(struct zone *zone, uint64_t share, uint64_t scale_factor)
{
	uint64_t min = is_lowmem(zone) ? share : clamp(zone->managed / 1024, SWAP_CLUSTER, 128);
	uint64_t step = max_u64(share / 4, zone->managed * scale_factor / 10000);

	set_u64(&zone->mark[MARK_MIN], min);
	set_u64(&zone->mark[MARK_LOW], min + step);
	set_u64(&zone->mark[MARK_HIGH], min + 2 * step);
	watermark_unboost(zone, UINT64_MAX);
}

static void set_reserve(const struct tmm_pages *pages, struct zone *zone)
{
	uint32_t ratio = pages->lowmem_reserve_ratio[zone->id];
	uint64_t above = 0;

	for (unsigned up = zone->id + 1u; up < TMM_NR_ZONES; up++) {
		uint8_t index = pages->node[zone->node].zone_index[up];

		if (index != ZONE_NONE)
			above += pages->zone[index].managed;
		set_u64(&zone->reserve[up], ratio && zone->managed ? above / ratio : 0);
	}
}

void watermarks_update(struct tmm_pages *pages)
{
	uint64_t lowmem = lowmem_pages(pages);
	uint64_t kbytes = pages->min_free_kbytes;
	uint32_t scale = pages->watermark_scale_factor ? pages->watermark_scale_factor
	                                               : SCALE_FACTOR;

	if (!kbytes)
		kbytes = clamp(square_root((lowmem << KBYTES_SHIFT) * 16),
		               MIN_FREE_KBYTES_LEAST, MIN_FREE_KBYTES_MOST);
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];

		set_marks(zone, (kbytes >> KBYTES_SHIFT) * zone->managed / max_u64(lowmem, 1),
		          scale);
		set_reserve(pages, zone);
	}
}

tmm_err tmm_pages_set_min_free(struct tmm_pages *pages, uint64_t kbytes)
{
	if (kbytes >> KBYTES_SHIFT > size_of(&pages->managed))
		return TMM_E_INVAL;
	pages->min_free_kbytes = kbytes;
	watermarks_update(pages);
	return TMM_OK;
}

tmm_err tmm_pages_set_watermark_scale(struct tmm_pages *pages, uint32_t factor)
{
	if (factor < 1 || factor > MAX_SCALE_FACTOR)
		return TMM_E_INVAL;
	pages->watermark_scale_factor = factor;
	watermarks_update(pages);
	return TMM_OK;
}

void tmm_pages_set_watermark_boost(struct tmm_pages *pages, uint32_t factor)
{
	/* relaxed: as in watermark_boost() */
	__atomic_store_n(&pages->watermark_boost_factor, factor, __ATOMIC_RELAXED);
}

uint32_t tmm_pages_watermark_boost(const struct tmm_pages *pages)
{
	/* relaxed: as in watermark_boost() */
	return __atomic_load_n(&pages->watermark_boost_factor, __ATOMIC_RELAXED);
}

tmm_err tmm_pages_set_reserve_ratio(struct tmm_pages *pages, enum tmm_zone_id zone,
                                    uint32_t ratio)
{
	if ((unsigned)zone >= TMM_NR_ZONES)
		return TMM_E_INVAL;
	pages->lowmem_reserve_ratio[zone] = ratio;
	watermarks_update(pages);
	return TMM_OK;
}

void watermarks_init(struct tmm_pages *pages)
{
	static const uint32_t ratio[TMM_NR_ZONES] = {256, 256, 32, 0, 0};

	memcpy(pages->lowmem_reserve_ratio, ratio, sizeof(ratio));
	pages->watermark_boost_factor = BOOST_FACTOR;
	watermarks_update(pages);
}
