/*
 * stack.c - frames between a CPU's stacks and the zones
 *
 * A CPU's stacks are its own: only it moves what is on them, without lock or
 * atomic operation.  Who wants another CPU's stacks emptied or resized leaves a
 * word in `asked`, which each CPU looks at whenever it must go to a zone anyhow: it
 * finds a stack empty or full, or a request is out of the ordinary.  A CPU that
 * asks for nothing meanwhile keeps its few frames; one that no thread is on has
 * none, for leaving a CPU empties its stacks.
 */
#include "page/stack.h"

#include "page/debug.h"

/* ---- between stack and zone ---- */

/* Single frames of one word go back together. */
static void give_frames(struct tmm_pages *pages, struct zone *zone, const uint32_t *entry,
                        size_t nr) TMM_REQUIRES(zone->lock)
{
	for (size_t i = 0; i < nr;) {
		uint64_t word = align_down(entry[i] & ENTRY_PFN, 64);
		uint64_t mask = 0;

		do {
			uint64_t bit = UINT64_C(1) << (entry[i] % 64);

			if (unlikely(mask & bit))
				page_report(pages, entry[i] & ENTRY_PFN, 0,
				            "a frame is freed once; this one was freed twice",
				            NULL);
			mask |= bit;
			i++;
		} while (i < nr && ((entry[i] & ENTRY_PFN) ^ word) < 64);
		zone_give_mask(pages, zone, word, mask);
	}
}

/* The older `nr` entries go back to the zone. */
static NOINLINE void stack_spill(struct tmm_pages *pages, struct cpu_zone *cz, unsigned id,
                                 struct zone *zone, size_t nr)
{
	struct frame_stack *stack = &cz->stack[id];
	uint32_t *entry = stack->bottom;
	size_t left = (size_t)(stack->top - entry) - nr;

	lock_take(&zone->lock);
	if (order_of_stack(id) == 0)
		give_frames(pages, zone, entry, nr);
	else
		for (size_t i = 0; i < nr; i++)
			zone_give(pages, zone, entry[i] & ENTRY_PFN, order_of_stack(id));
	lock_drop(&zone->lock);
	for (size_t i = 0; i < nr; i++) {
		uint32_t *recent = recent_of(cz, entry[i]);

		/* Written either way: which way it goes is hard to predict. */
		*recent = *recent == (entry[i] & ENTRY_PFN) ? RECENT_NONE : *recent;
	}
	memmove(entry, entry + nr, left * sizeof(*entry));
	count_up(&stack->from_zone, -(uint64_t)nr);
	set_top(stack, entry + left);
}

void stack_make_room(struct tmm_pages *pages, struct cpu_zone *cz, unsigned id,
                     struct zone *zone)
{
	const struct frame_stack *stack = &cz->stack[id];

	stack_spill(pages, cz, id, zone, (size_t)(stack->end - stack->bottom + 1) / 2);
}

void stacks_drain(struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct cpu_zone *cz = &cpu->zone[z];

		for (unsigned s = 0; s < NR_STACKS; s++)
			if (cz->stack[s].top != cz->stack[s].bottom)
				stack_spill(pages, cz, s, &pages->zone[z],
				            (size_t)(cz->stack[s].top - cz->stack[s].bottom));
	}
}

/* A whole word, all of it fresh or nothing of it: loops that compilers make wide. */
static void push_word(struct cpu_zone *cz, struct frame_stack *stack, uint32_t pfn,
                      uint32_t fresh)
{
	uint32_t *top = stack->top;
	uint32_t *recent = recent_of(cz, pfn);

	for (uint32_t i = 0; i < 64; i++)
		top[i] = (pfn + 63 - i) | fresh;
	for (uint32_t i = 0; i < 64; i++)
		recent[i] = pfn + i;
	set_top(stack, top + 64);
}

/* So that they come off rising, the last one goes on first. */
static void push_taken(struct cpu_zone *cz, struct frame_stack *stack,
                       const struct taken *taken)
{
	uint64_t starts = taken->starts;

	if (starts == UINT64_MAX && (taken->fresh == 0 || taken->fresh == starts)) {
		push_word(cz, stack, (uint32_t)taken->pfn, taken->fresh ? ENTRY_FRESH : 0);
		return;
	}
	while (starts) {
		unsigned bit = log2_floor(starts);
		uint32_t fresh = (uint32_t)(taken->fresh >> bit & 1) << 31;

		stack_push(cz, stack, (uint32_t)(taken->pfn + bit) | fresh);
		starts ^= UINT64_C(1) << bit;
	}
}

/*
 * Words are taken whole where they can be: what is left of one would have every
 * later refill begin in the middle of a word.
 */
static bool refill_words(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                         struct frame_stack *stack, unsigned order, struct source source,
                         size_t most)
{
	struct taken taken[8];
	unsigned nr_words = 0;
	size_t nr = 0;

	lock_take(&zone->lock);
	do {
		unsigned more = zone_take_word(pages, zone, source, order,
		                               (unsigned)min_u64(most - nr, 64),
		                               &taken[nr_words]);

		if (!more)
			break;
		nr += more;
		nr_words++;
	} while (nr < min_u64(most, stack->batch / 2) && nr_words < ARRAY_SIZE(taken));
	lock_drop(&zone->lock);
	while (nr_words > 0)
		push_taken(cz, stack, &taken[--nr_words]);
	count_up(&stack->from_zone, nr);
	return nr > 0;
}

static bool refill_blocks(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                          struct frame_stack *stack, struct source source, size_t most)
{
	uint32_t entry[8];
	size_t nr = 0;

	lock_take(&zone->lock);
	while (nr < min_u64(most, stack->batch) && nr < ARRAY_SIZE(entry) &&
	       zone_take_long(pages, zone, source, BLOCK_ORDER, &entry[nr]))
		nr++;
	lock_drop(&zone->lock);
	count_up(&stack->from_zone, nr);
	for (size_t i = nr; i-- > 0;)
		stack_push(cz, stack, entry[i]);
	return nr > 0;
}

bool stack_refill(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                  struct frame_stack *stack, unsigned class, struct source source, size_t most)
{
	if (class == STACK_BLOCK)
		return refill_blocks(pages, cz, zone, stack, source, most);
	return refill_words(pages, cz, zone, stack, order_of_class(class), source, most);
}

/* ---- sizes ---- */

/* Room for each stack's entries; what a stack may hold is less in small zones. */
static const uint16_t room[NR_CLASSES][NR_STACK_TYPES] = {
	{STACK_MAX, STACK_MAX, 128}, {128, 128, 32}, {64, 64, 16}, {64, 64, 16}, {8, 8, 2}};

/*
 * A CPU keeps at most 1/64 of its share of a zone in runs of one order and type,
 * or as many frames as were asked for.
 */
static void set_sizes(const struct tmm_pages *pages, struct cpu_zone *cz, uint64_t managed)
{
	uint64_t frames = managed / pages->cpus->nr / 64;
	/* relaxed: settings are single values, and any mixture of them works */
	uint64_t high = __atomic_load_n(&pages->stack_high_pages, __ATOMIC_RELAXED);
	uint64_t batch = __atomic_load_n(&pages->stack_batch_pages, __ATOMIC_RELAXED);

	if (high)
		frames = min_u64(high, managed);
	for (unsigned s = 0; s < NR_CLASSES * NR_STACK_TYPES; s++) {
		struct frame_stack *stack = &cz->stack[s];
		unsigned class = s / NR_STACK_TYPES;
		uint64_t limit = min_u64(room[class][s % NR_STACK_TYPES],
		                         frames >> order_of_class(class));
		uint64_t part = batch ? batch >> order_of_class(class) : (limit + 1) / 2;

		/* relaxed: others only look */
		__atomic_store_n(&stack->end, stack->bottom + limit, __ATOMIC_RELAXED);
		part = min_u64(min_u64(max_u64(part, limit > 0), limit), 64);
		__atomic_store_n(&stack->batch, (uint32_t)part, __ATOMIC_RELAXED);
	}
}

void stacks_init(struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct cpu_zone *cz = &cpu->zone[z];
		uint32_t *bottom = cz->entry;

		for (unsigned s = 0; s < NR_CLASSES * NR_STACK_TYPES; s++) {
			cz->stack[s].top = cz->stack[s].bottom = bottom;
			bottom += room[s / NR_STACK_TYPES][s % NR_STACK_TYPES];
		}
		memset(cz->recent, 0xff, sizeof(cz->recent)); /* RECENT_NONE */
		set_sizes(pages, cz, pages->zone[z].managed);
	}
}

void stacks_leave(void *arg, uint32_t cpu)
{
	struct tmm_pages *pages = arg;
	tmm_irq irq = tmm_port_irq_save();

	stacks_drain(pages, pages->cpu[cpu]);
	tmm_port_irq_restore(irq);
}

/* ---- what others ask for ---- */

void stacks_ask(struct tmm_pages *pages, uint32_t what)
{
	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		/* release: the settings are seen by whoever sees the word */
		__atomic_fetch_or(&pages->cpu[c]->asked, what, __ATOMIC_RELEASE);
}

void stacks_serve(struct tmm_pages *pages, struct page_cpu *cpu)
{
	uint32_t what = __atomic_exchange_n(&cpu->asked, 0, __ATOMIC_ACQUIRE);

	stacks_drain(pages, cpu);
	if (!(what & ASK_RESIZE))
		return;
	for (unsigned z = 0; z < pages->nr_zones; z++)
		set_sizes(pages, &cpu->zone[z], pages->zone[z].managed);
}

void tmm_pages_drain(struct tmm_pages *pages)
{
	tmm_irq irq = tmm_port_irq_save();

	stacks_drain(pages, page_cpu_self(pages));
	tmm_port_irq_restore(irq);
}

void tmm_pages_drain_all(struct tmm_pages *pages)
{
	tmm_irq irq;

	stacks_ask(pages, ASK_DRAIN);
	irq = tmm_port_irq_save();
	stacks_serve(pages, page_cpu_self(pages));
	tmm_port_irq_restore(irq);
}

tmm_err tmm_pages_set_stacks(struct tmm_pages *pages, uint64_t high_pages, uint64_t batch_pages)
{
	tmm_irq irq;

	if (high_pages > STACK_MAX || batch_pages > (high_pages ? high_pages : STACK_MAX))
		return TMM_E_INVAL;
	/* relaxed: stacks_ask() orders them */
	__atomic_store_n(&pages->stack_high_pages, high_pages, __ATOMIC_RELAXED);
	__atomic_store_n(&pages->stack_batch_pages, batch_pages, __ATOMIC_RELAXED);
	stacks_ask(pages, ASK_RESIZE);
	irq = tmm_port_irq_save();
	stacks_serve(pages, page_cpu_self(pages));
	tmm_port_irq_restore(irq);
	return TMM_OK;
}
