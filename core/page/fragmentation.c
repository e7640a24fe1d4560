/*
 * fragmentation.c - how free memory is cut up, and by what types of blocks
 *
 * Both indexes are Linux's formulas, of frames free in runs of each order:
 *
 *   unusable[k] = (free - frames in runs >= 2^k) * 1000 / free
 *   index[k]    = 1000 - (1000 + free * 1000 / 2^k) / number of free runs
 *                 -1000 when a run >= 2^k is free
 */
#include "page/deferred.h"

struct totals {
	uint64_t free_pages, free_runs;
	uint64_t suitable_pages; /* in runs that are long enough */
};

static struct totals total_of(const uint64_t *free_area, unsigned order)
{
	struct totals sum = {0, 0, 0};

	for (unsigned o = 0; o < TMM_NR_ORDERS; o++) {
		sum.free_runs += free_area[o];
		sum.free_pages += free_area[o] << o;
		sum.suitable_pages += o >= order ? free_area[o] << o : 0;
	}
	return sum;
}

static int32_t index_of(const struct totals *sum, unsigned order)
{
	uint64_t wanted = sum->free_pages * 1000 >> order;

	if (sum->free_runs == 0)
		return 0;
	if (sum->suitable_pages)
		return -1000;
	return (int32_t)(1000 - (int64_t)((1000 + wanted) / sum->free_runs));
}

void tmm_fragmentation_of(const uint64_t *free_area, struct tmm_fragmentation *out)
{
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++) {
		struct totals sum = total_of(free_area, order);

		out->index[order] = index_of(&sum, order);
		out->unusable[order] = 1000;
		if (sum.free_pages)
			out->unusable[order] = (int32_t)((sum.free_pages - sum.suitable_pages) *
			                                 1000 / sum.free_pages);
	}
}

static struct zone *nth_present(struct tmm_pages *pages, unsigned index)
{
	for (unsigned z = 0; z < pages->nr_zones; z++)
		if (size_of(&pages->zone[z].present) && index-- == 0)
			return &pages->zone[z];
	return NULL;
}

/* What waits to be entered is free, but for what is reserved. */
static void count_waiting(struct tmm_pages *pages, struct zone *zone, struct tmm_type_info *out)
	TMM_REQUIRES(zone->lock)
{
	uint64_t groups[TMM_NR_ORDERS + 1] = {0};
	uint64_t *free_area = out->free_area[pages->first_type];

	deferred_groups(pages, zone, groups);
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
		free_area[order] += groups[order] - 2 * groups[order + 1];
	out->blocks[pages->first_type] += groups[BLOCK_ORDER];
}

/* `run`: whole free blocks of the zone and a type in a row, this one the last. */
static void merge_blocks(const struct tmm_pages *pages, uint64_t block, uint64_t run,
                         uint64_t *free_area)
{
	for (unsigned order = BLOCK_ORDER + 1; order <= pages->max_order; order++) {
		uint64_t nr = UINT64_C(1) << (order - BLOCK_ORDER);

		if (run < nr || (block + 1) % nr)
			break;
		free_area[order]++;
		free_area[order - 1] -= 2;
	}
}

bool tmm_zone_types(struct tmm_pages *pages, unsigned index, struct tmm_type_info *out)
{
	struct zone *zone = nth_present(pages, index);
	uint64_t last, run = 0;
	unsigned run_type = TMM_NR_MIGRATE_TYPES;
	tmm_irq irq;

	if (!zone)
		return false;
	*out = (struct tmm_type_info){.zone_name = zone_name(zone), .node = zone->node};
	irq = lock_take_irqsave(&zone->lock);
	out->claimed_blocks = zone->nr_claimed;
	out->foreign_pages = zone->nr_foreign;
	last = block_of(pages, zone->end - 1);
	for (uint64_t block = next_ready_block(pages, block_of(pages, zone->start));
	     block <= last; block = next_ready_block(pages, block + 1)) {
		const struct block_info *info = &pages->info[block];

		if (home_zone(info) != zone->index) { /* guarded by another lock */
			run = 0;
			continue;
		}
		if (info->nr_free < BLOCK_FRAMES)
			run = 0;
		else
			run = info->type == run_type ? run + 1 : 1;
		run_type = info->type;
		if ((info->home & HOME_NO_RAM) && !info->nr_free && !info->fresh)
			continue;
		out->blocks[info->type]++;
		if (info->nr_free)
			block_count_runs(pages, block, out->free_area[info->type]);
		merge_blocks(pages, block, run, out->free_area[info->type]);
	}
	count_waiting(pages, zone, out);
	lock_drop_irqrestore(&zone->lock, irq);
	return true;
}
