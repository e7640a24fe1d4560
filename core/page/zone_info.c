/*
 * zone_info.c - what there is to see of the zones
 *
 * Free runs per order are counted from the bits.  In a word, the starts of free
 * aligned groups of 2^(k+1) come from those of 2^k by one shift and two ands;
 * the starts of order k sit 2^k bits apart, so that words can be added up in the
 * room between them and one sum taken at the end of a block.
 */
#include "page/zone.h"

static void count_block(const struct block_bits *bits, uint64_t *groups)
{
	unsigned whole = whole_words(bits);

	for (unsigned w = 0; w < BLOCK_WORDS; w++) {
		uint64_t word = bits->word[w];

		for (unsigned order = 0; word && order <= WORD_ORDER; order++) {
			groups[order] += count_ones(word);
			if (order < WORD_ORDER)
				word &= (word >> (1u << order)) & run_starts(order + 1);
		}
	}
	for (unsigned order = WORD_ORDER + 1; whole && order <= BLOCK_ORDER; order++)
		groups[order] += count_ones(runs_of_words(whole, order));
}

static void count_free_runs(struct tmm_pages *pages, struct zone *zone, uint64_t *free_area)
	TMM_REQUIRES(zone->lock)
{
	const struct block_set *whole = &zone->by_longest[LONGEST_WHOLE];
	uint64_t groups[TMM_NR_ORDERS + 1] = {0}; /* aligned free groups, parts of longer too */
	uint64_t last = ((zone->end - 1) >> BLOCK_ORDER) - pages->first_block;

	for (uint64_t block = (zone->start >> BLOCK_ORDER) - pages->first_block; block <= last;
	     block++) {
		if (pages->info[block].nr_free == BLOCK_FRAMES) {
			for (unsigned order = 0; order <= BLOCK_ORDER; order++)
				groups[order] += BLOCK_FRAMES >> order;
			groups[TMM_MAX_ORDER] += (block & 1) && block_set_has(whole, block - 1);
		} else if (pages->info[block].nr_free) {
			count_block(&pages->bits[block], groups);
		}
	}
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
		free_area[order] = groups[order] - 2 * groups[order + 1];
}

static uint64_t stack_pages(const struct cpu_zone *cz)
{
	uint64_t pages = 0;

	for (unsigned s = 0; s < STACK_NONE; s++) {
		/* relaxed: a moment's value of another CPU's */
		uint64_t nr = __atomic_load_n(&cz->stack[s].nr, __ATOMIC_RELAXED);

		pages += nr << (s == STACK_BLOCK ? BLOCK_ORDER : s);
	}
	return pages;
}

static uint64_t all_stack_pages(const struct tmm_pages *pages, unsigned zone)
{
	uint64_t sum = 0;

	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		sum += stack_pages(&pages->cpu[c].zone[zone]);
	return sum;
}

bool tmm_zone_info(struct tmm_pages *pages, enum tmm_zone_id id, struct tmm_zone_info *out)
{
	static const char *const name[TMM_NR_ZONES] = {"DMA", "DMA32", "Normal"};
	struct zone *zone = &pages->zone[id];
	tmm_irq irq;

	*out = (struct tmm_zone_info){.name = name[id]};
	if (!zone->present)
		return false;
	out->start.v = zone->start;
	out->spanned_pages = zone->end - zone->start;
	out->present_pages = zone->present;
	out->managed_pages = zone->managed;
	out->watermark_min = zone->mark[MARK_MIN];
	out->watermark_low = zone->mark[MARK_LOW];
	out->watermark_high = zone->mark[MARK_HIGH];
	memcpy(out->lowmem_reserve, zone->reserve, sizeof(out->lowmem_reserve));
	irq = lock_take_irqsave(&zone->lock);
	out->free_pages = zone->nr_free;
	count_free_runs(pages, zone, out->free_area);
	out->stack_pages = all_stack_pages(pages, id);
	lock_drop_irqrestore(&zone->lock, irq);
	return true;
}

bool tmm_zone_stack_info(struct tmm_pages *pages, enum tmm_zone_id zone, unsigned cpu,
                         struct tmm_stack_info *out)
{
	const struct cpu_zone *cz;

	if (cpu >= pages->cpus->nr)
		return false;
	cz = &pages->cpu[cpu].zone[zone];
	*out = (struct tmm_stack_info){.count_pages = stack_pages(cz),
	                               .high_pages = cz->stack[STACK_0].limit,
	                               .batch_pages = cz->stack[STACK_0].batch};
	return true;
}

uint64_t tmm_pages_free_count(struct tmm_pages *pages)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		sum += zone_free(&pages->zone[z]) + all_stack_pages(pages, z);
	return sum;
}

uint64_t tmm_pages_managed_count(const struct tmm_pages *pages)
{
	return pages->managed;
}

uint64_t vm_event_sum(const struct tmm_pages *pages, enum vm_event event)
{
	uint64_t sum = 0;

	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		/* relaxed: a moment's value of another CPU's */
		sum += __atomic_load_n(&pages->cpu[c].event[event], __ATOMIC_RELAXED);
	return sum;
}

void tmm_pages_events(struct tmm_pages *pages, struct tmm_page_events *out)
{
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		out->allocated_pages[z] = vm_event_sum(pages, (enum vm_event)(PGALLOC_DMA + z));
		out->stalls[z] = vm_event_sum(pages, (enum vm_event)(ALLOCSTALL_DMA + z));
	}
	out->freed_pages = vm_event_sum(pages, PGFREE);
}
