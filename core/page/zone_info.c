/*
 * zone_info.c - what there is to see of the zones
 *
 * Free runs per order are counted from the bits.  In a word, the starts of free
 * aligned groups of 2^(k+1) come from those of 2^k by one shift and two ands.
 * Starts of order k sit 2^k bits apart, so that words are added up in the room
 * between them and one sum is taken at the end of a block.  A block that is not
 * whole has at most 255 pairs, so that no sum outgrows its byte.
 */
#include "page/deferred.h"

/* Two words at a time where the processor can; otherwise it is two plain words. */
typedef uint64_t pair_of_words __attribute__((vector_size(16)));

static pair_of_words both(uint64_t x)
{
	return (pair_of_words){x, x};
}

/* Sum of the bytes of both words; at most 255. */
static uint64_t sum_bytes(pair_of_words bytes)
{
	return ((bytes[0] + bytes[1]) * UINT64_C(0x0101010101010101)) >> 56;
}

/* Groups of 16 frames and more: seldom any. */
static void count_long(const struct block_bits *bits, uint64_t *groups)
{
	unsigned whole = whole_words(bits);

	for (unsigned w = 0; w < BLOCK_WORDS; w++) {
		uint64_t starts = runs_in_word(bits->word[w], 4);

		for (unsigned order = 4; starts && order <= WORD_ORDER; order++) {
			groups[order] += count_ones(starts);
			if (order < WORD_ORDER)
				starts &= (starts >> (1u << order)) & run_starts(order + 1);
		}
	}
	for (unsigned order = WORD_ORDER + 1; whole && order <= BLOCK_ORDER; order++)
		groups[order] += count_ones(runs_of_words(whole, order));
}

static void count_block(const struct block_bits *bits, uint64_t *groups)
{
	const pair_of_words twos = both(UINT64_C(0x3333333333333333));
	const pair_of_words nibbles = both(UINT64_C(0x0f0f0f0f0f0f0f0f));
	pair_of_words bytes1 = both(0), nibbles2 = both(0), bytes3 = both(0);

	for (unsigned w = 0; w < BLOCK_WORDS; w += 2) {
		pair_of_words word = {bits->word[w], bits->word[w + 1]};
		pair_of_words of2 = word & (word >> 1) & both(run_starts(1));
		pair_of_words of4 = of2 & (of2 >> 2) & both(run_starts(2));
		pair_of_words sums = (of2 & twos) + ((of2 >> 2) & twos);

		bytes1 += (sums & nibbles) + ((sums >> 4) & nibbles);
		nibbles2 += of4;
		bytes3 += of4 & (of4 >> 4) & both(run_starts(3));
	}
	groups[1] += sum_bytes(bytes1);
	groups[2] += sum_bytes((nibbles2 & nibbles) + ((nibbles2 >> 4) & nibbles));
	if (bytes3[0] | bytes3[1]) {
		groups[3] += sum_bytes(bytes3);
		count_long(bits, groups);
	}
}

/* Longer than a block.  `run`: whole blocks of the zone in a row, this one the last. */
static void count_longer(const struct tmm_pages *pages, uint64_t block, uint64_t run,
                         uint64_t *groups)
{
	for (unsigned order = BLOCK_ORDER + 1; order <= pages->max_order; order++) {
		uint64_t nr = UINT64_C(1) << (order - BLOCK_ORDER);

		if (run < nr || (block + 1) % nr)
			break;
		groups[order]++;
	}
}

static void count_free_runs(struct tmm_pages *pages, struct zone *zone, uint64_t *free_area)
	TMM_REQUIRES(zone->lock)
{
	uint64_t groups[TMM_NR_ORDERS + 1] = {0}; /* aligned free groups, parts of longer too */
	uint64_t last = block_of(pages, zone->end - 1), run = 0, nr_whole = 0;

	deferred_groups(pages, zone, groups);
	for (uint64_t block = next_ready_block(pages, block_of(pages, zone->start));
	     block <= last; block = next_ready_block(pages, block)) {
		uint64_t stop = min_u64(part_end_block(pages, block), last + 1);

		for (; block < stop; block++) {
			const struct block_info *info = &pages->info[block];
			bool mine = home_zone(info) == zone->index;

			run = mine && info->nr_free == BLOCK_FRAMES ? run + 1 : 0;
			if (run) {
				nr_whole++;
				count_longer(pages, block, run, groups);
			} else if (mine && info->nr_free) {
				groups[0] += info->nr_free;
				count_block(&pages->bits[block], groups);
			}
		}
	}
	for (unsigned order = 0; order <= BLOCK_ORDER; order++)
		groups[order] += nr_whole << (BLOCK_ORDER - order);
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
		free_area[order] = groups[order] - 2 * groups[order + 1];
}

void block_count_runs(const struct tmm_pages *pages, uint64_t block, uint64_t *free_area)
{
	uint64_t groups[BLOCK_ORDER + 2] = {0};

	if (pages->info[block].nr_free == BLOCK_FRAMES) {
		free_area[BLOCK_ORDER]++;
		return;
	}
	groups[0] = pages->info[block].nr_free;
	count_block(&pages->bits[block], groups);
	for (unsigned order = 0; order < BLOCK_ORDER; order++)
		free_area[order] += groups[order] - 2 * groups[order + 1];
}

/* relaxed: a moment's value of another CPU's */
static uint64_t stack_runs(const struct frame_stack *stack)
{
	return (uint64_t)(__atomic_load_n(&stack->top, __ATOMIC_RELAXED) - stack->bottom);
}

static uint64_t stack_pages(const struct cpu_zone *cz)
{
	uint64_t pages = 0;

	for (unsigned s = 0; s < NR_STACKS; s++)
		pages += stack_runs(&cz->stack[s]) << order_of_stack(s);
	return pages;
}

static uint64_t all_stack_pages(const struct tmm_pages *pages, unsigned zone)
{
	uint64_t sum = 0;

	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		sum += stack_pages(&pages->cpu[c]->zone[zone]);
	return sum;
}

unsigned tmm_pages_nr_nodes(const struct tmm_pages *pages)
{
	return pages->nr_nodes;
}

unsigned tmm_pages_max_order(const struct tmm_pages *pages)
{
	return pages->max_order;
}

bool tmm_pages_grouped_by_mobility(const struct tmm_pages *pages)
{
	return pages->type_mask != 0;
}

static const char *const name_of_zone[TMM_NR_ZONES] = {"DMA", "DMA32", "Normal", "HighMem",
                                                       "Movable"};

const char *zone_name(const struct zone *zone)
{
	return name_of_zone[zone->id];
}

/* NULL: the node has no such zone. */
static struct zone *find_zone(const struct tmm_pages *pages, unsigned node, enum tmm_zone_id id)
{
	uint8_t index = ZONE_NONE;

	if (node < pages->nr_nodes && (unsigned)id < TMM_NR_ZONES)
		index = pages->node[node].zone_index[id];
	if (index == ZONE_NONE || !size_of(&pages->zone[index].present))
		return NULL;
	return &pages->zone[index];
}

/* relaxed, all of it: moment's values of other CPUs' */
static uint64_t count_of(const struct cpu_zone *cz, enum numa_count which)
{
	return __atomic_load_n(&cz->count[which], __ATOMIC_RELAXED);
}

static uint64_t lent_runs(const struct frame_stack *stack)
{
	return __atomic_load_n(&stack->from_zone, __ATOMIC_RELAXED) +
	       __atomic_load_n(&stack->freed, __ATOMIC_RELAXED) - stack_runs(stack);
}

static void add_numa_counts(const struct page_cpu *cpu, const struct zone *zone,
                            struct tmm_numa_counts *counts)
{
	const struct cpu_zone *cz = &cpu->zone[zone->index];
	uint64_t lent = count_of(cz, NUMA_DIRECT), miss = count_of(cz, NUMA_MISS);

	for (unsigned s = 0; s < NR_STACKS; s++)
		lent += lent_runs(&cz->stack[s]);
	counts->hit += lent - miss;
	counts->miss += miss;
	counts->foreign += count_of(cz, NUMA_FOREIGN);
	counts->interleave_hit += count_of(cz, NUMA_INTERLEAVE);
	if (cpu->node == zone->node)
		counts->local += lent;
	else
		counts->other += lent;
}

void zone_numa_add(const struct tmm_pages *pages, const struct zone *zone,
                   struct tmm_numa_counts *counts)
{
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		add_numa_counts(pages->cpu[c], zone, counts);
}

static uint64_t cma_pages_of(const struct tmm_pages *pages, const struct zone *zone)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < pages->nr_cma; i++)
		sum += pages->cma[i].zone == zone ? pages->cma[i].nr_pages : 0;
	return sum;
}

bool tmm_zone_info(struct tmm_pages *pages, unsigned node, enum tmm_zone_id id,
                   struct tmm_zone_info *out)
{
	struct zone *zone = find_zone(pages, node, id);
	tmm_irq irq;

	*out = (struct tmm_zone_info){
		.name = name_of_zone[id], .node = node, .nr_orders = pages->max_order + 1};
	if (!zone)
		return false;
	out->cma_pages = cma_pages_of(pages, zone);
	out->watermark_boost = zone_boost(zone);
	out->watermark_min = out->watermark_boost + zone_plain_mark(zone, MARK_MIN);
	out->watermark_low = out->watermark_boost + zone_plain_mark(zone, MARK_LOW);
	out->watermark_high = out->watermark_boost + zone_plain_mark(zone, MARK_HIGH);
	for (unsigned up = 0; up < TMM_NR_ZONES; up++)
		out->lowmem_reserve[up] = zone_reserve(zone, (enum tmm_zone_id)up);
	zone_numa_add(pages, zone, &out->numa);
	irq = lock_take_irqsave(&zone->lock);
	out->start.v = zone->start;
	out->spanned_pages = zone->end - zone->start;
	out->present_pages = zone->present;
	out->managed_pages = zone->managed;
	out->free_pages = zone->nr_free;
	out->free_cma_pages = zone->nr_free_of[TMM_MIGRATE_CMA];
	count_free_runs(pages, zone, out->free_area);
	out->stack_pages = all_stack_pages(pages, zone->index);
	lock_drop_irqrestore(&zone->lock, irq);
	return true;
}

bool tmm_zone_stack_info(struct tmm_pages *pages, unsigned node, enum tmm_zone_id id,
                         unsigned cpu, struct tmm_stack_info *out)
{
	const struct zone *zone = find_zone(pages, node, id);
	const struct cpu_zone *cz;
	const struct frame_stack *single;

	if (!zone || cpu >= pages->cpus->nr)
		return false;
	cz = &pages->cpu[cpu]->zone[zone->index];
	single = &cz->stack[stack_id(STACK_0, TMM_MIGRATE_UNMOVABLE)];
	*out = (struct tmm_stack_info){
		.count_pages = stack_pages(cz),
		.high_pages = (uint64_t)(__atomic_load_n(&single->end, __ATOMIC_RELAXED) -
	                                 single->bottom),
		.batch_pages = __atomic_load_n(&single->batch, __ATOMIC_RELAXED)};
	return true;
}

uint64_t tmm_pages_free_count(struct tmm_pages *pages)
{
	uint64_t sum = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++)
		sum += zone_free(&pages->zone[z]) + all_stack_pages(pages, z);
	return sum;
}

uint64_t tmm_pages_managed_count(const struct tmm_pages *pages)
{
	return size_of(&pages->managed);
}

/* relaxed, all of it: moment's values of other CPUs' */
static uint64_t stack_freed(const struct cpu_zone *cz)
{
	uint64_t pages = 0;

	for (unsigned s = 0; s < NR_STACKS; s++)
		pages += __atomic_load_n(&cz->stack[s].freed, __ATOMIC_RELAXED)
		         << order_of_stack(s);
	return pages;
}

static uint64_t stack_lent(const struct cpu_zone *cz)
{
	uint64_t pages = 0;

	for (unsigned s = 0; s < NR_STACKS; s++) {
		const struct frame_stack *stack = &cz->stack[s];
		uint64_t runs = lent_runs(stack);

		pages += runs << order_of_stack(s);
	}
	return pages;
}

static uint64_t event_of_cpu(const struct tmm_pages *pages, const struct page_cpu *cpu,
                             enum vm_event event)
{
	uint64_t sum = __atomic_load_n(&cpu->event[event], __ATOMIC_RELAXED);

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		if (event == PGALLOC_DMA + pages->zone[z].id)
			sum += stack_lent(&cpu->zone[z]);
		else if (event == PGFREE)
			sum += stack_freed(&cpu->zone[z]);
	}
	return sum;
}

uint64_t vm_event_sum(const struct tmm_pages *pages, enum vm_event event)
{
	uint64_t sum = 0;

	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		sum += event_of_cpu(pages, pages->cpu[c], event);
	return sum;
}

void tmm_pages_events(struct tmm_pages *pages, struct tmm_page_events *out)
{
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		out->allocated_pages[z] = vm_event_sum(pages, (enum vm_event)(PGALLOC_DMA + z));
		out->stalls[z] = vm_event_sum(pages, (enum vm_event)(ALLOCSTALL_DMA + z));
	}
	out->freed_pages = vm_event_sum(pages, PGFREE);
	out->pagecache_drops = vm_event_sum(pages, DROP_PAGECACHE);
	out->slab_drops = vm_event_sum(pages, DROP_SLAB);
}
