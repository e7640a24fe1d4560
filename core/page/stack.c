/*
 * stack.c - frames between a CPU's stacks and the zones
 *
 * A CPU's stacks are its own: only it moves what is on them, without lock or
 * atomic operation.  It says so in `inside` while it is at them, and looks at
 * `asked`, where others leave what they want of it.
 *
 * Whoever wants another CPU's stacks, which may be idle for long, asks it to stop,
 * has all CPUs execute a memory barrier and waits until the CPU is not inside.  From
 * then on, until the request to stop is taken back, the stacks are the asker's; their
 * CPU, when it comes, finds them closed and goes to the zones meanwhile, so that it
 * never waits.
 *
 *   CPU     inside = 1 | asked?  no: at the stacks ... inside = 0
 *   asker   asked |= STOP | barrier on all CPUs | wait for inside == 0 ... asked &= ~STOP
 *
 * Either the CPU's look at `asked` comes after the barrier and sees STOP, or its
 * inside = 1 comes before it and the asker waits.  This costs the hot path one store
 * and one load more (0.2 ns), where a lock would cost two atomic operations (10 ns).
 */
#include "page/stack.h"

#include "page/account.h"
#include "page/debug.h"
#include "page/zonelist.h"

/* ---- between stack and zone ---- */

/* Written either way: which way it goes is hard to predict. */
static ALWAYS_INLINE void forget(uint32_t *recent, uint32_t pfn)
{
	*recent |= 0u - (uint32_t)(*recent == pfn); /* RECENT_NONE */
}

/* These are on no stack any more: those that have their slot give it up. */
static void forget_recent(struct page_cpu *cpu, const uint32_t *entry, size_t nr)
{
	/* Often all of them were freed in order, or none. */
	bool in_order = nr >= 64 && ((entry[0] ^ entry[1]) & ENTRY_PFN) < 64;

	for (size_t i = 0; i < nr;) {
		uint32_t pfn = entry[i] & ENTRY_PFN;

		if (in_order && i + 64 <= nr && entries_are_word(entry + i)) {
			uint32_t first = (uint32_t)align_down(pfn, 64);
			uint32_t *recent = recent_of(cpu, first);

			for (uint32_t j = 0; j < 64; j++)
				forget(&recent[j], first + j);
			i += 64;
			continue;
		}
		forget(recent_of(cpu, pfn), pfn);
		i++;
	}
}

/* The older `nr` entries go back to the zone. */
static NOINLINE void stack_spill(struct tmm_pages *pages, struct page_cpu *cpu,
                                 struct frame_stack *stack, unsigned id, struct zone *zone,
                                 size_t nr)
{
	uint32_t *entry = stack->bottom;
	size_t left = (size_t)(stack->top - entry) - nr;

	lock_take(&zone->lock);
	if (order_of_stack(id) == 0)
		zone_give_frames(pages, zone, entry, nr);
	else
		for (size_t i = 0; i < nr; i++)
			zone_give(pages, zone, entry[i] & ENTRY_PFN, order_of_stack(id));
	lock_drop(&zone->lock);
	forget_recent(cpu, entry, nr);
	memmove(entry, entry + nr, left * sizeof(*entry));
	count_up(&stack->from_zone, -(uint64_t)nr);
	set_top(stack, entry + left);
}

void stack_make_room(struct tmm_pages *pages, struct page_cpu *cpu, struct frame_stack *stack,
                     unsigned id, struct zone *zone)
{
	stack_spill(pages, cpu, stack, id, zone, (size_t)(stack->end - stack->bottom + 1) / 2);
}

void stacks_drain(struct tmm_pages *pages, struct page_cpu *cpu)
{
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct cpu_zone *cz = &cpu->zone[z];

		for (unsigned s = 0; s < NR_STACKS; s++)
			if (cz->stack[s].top != cz->stack[s].bottom)
				stack_spill(pages, cpu, &cz->stack[s], s, &pages->zone[z],
				            (size_t)(cz->stack[s].top - cz->stack[s].bottom));
		if (strips_any(cz)) {
			lock_take(&pages->zone[z].lock);
			strips_leave(&pages->zone[z], cz);
			lock_drop(&pages->zone[z].lock);
		}
	}
}

/* A whole word, all of it fresh or nothing of it: loops that compilers make wide. */
static void push_word(struct page_cpu *cpu, struct frame_stack *stack, uint32_t pfn,
                      uint32_t fresh)
{
	uint32_t *top = stack->top;
	uint32_t *recent = recent_of(cpu, pfn);

	for (uint32_t i = 0; i < 64; i++)
		top[i] = (pfn + 63 - i) | fresh;
	for (uint32_t i = 0; i < 64; i++)
		recent[i] = pfn + i;
	set_top(stack, top + 64);
}

/* So that they come off rising, the last one goes on first. */
static void push_taken(struct page_cpu *cpu, struct frame_stack *stack,
                       const struct taken *taken)
{
	uint64_t starts = taken->starts;

	if (starts == UINT64_MAX && (taken->fresh == 0 || taken->fresh == starts)) {
		push_word(cpu, stack, (uint32_t)taken->pfn, taken->fresh ? ENTRY_FRESH : 0);
		return;
	}
	while (starts) {
		unsigned bit = log2_floor(starts);
		uint32_t fresh = (uint32_t)(taken->fresh >> bit & 1) << 31;

		stack_push(cpu, stack, (uint32_t)(taken->pfn + bit) | fresh);
		starts ^= UINT64_C(1) << bit;
	}
}

/*
 * Words are taken whole where they can be: what is left of one would have every
 * later refill begin in the middle of a word.
 */
static bool refill_words(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
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
		push_taken(cpu, stack, &taken[--nr_words]);
	count_up(&stack->from_zone, nr);
	return nr > 0;
}

static bool refill_blocks(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                          struct frame_stack *stack, struct source source, size_t most)
{
	uint32_t entry[8];
	unsigned nr;

	lock_take(&zone->lock);
	nr = zone_take_whole(pages, zone, source,
	                     (unsigned)min_u64(min_u64(most, stack->batch), ARRAY_SIZE(entry)),
	                     entry);
	lock_drop(&zone->lock);
	count_up(&stack->from_zone, nr);
	while (nr-- > 0)
		stack_push(cpu, stack, entry[nr]);
	return stack->top != stack->bottom;
}

bool stack_refill(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                  struct frame_stack *stack, unsigned class, struct source source, size_t most)
{
	if (pages->cpus->nr > 1)
		source.from |= (cpu->id + 1u) << FROM_TAKER;
	if (class == STACK_BLOCK)
		return refill_blocks(pages, cpu, zone, stack, source, most);
	return refill_words(pages, cpu, zone, stack, order_of_class(class), source, most);
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
	memset(cpu->recent, 0xff, sizeof(cpu->recent)); /* RECENT_NONE */
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct cpu_zone *cz = &cpu->zone[z];
		uint32_t *bottom = cz->entry;

		for (unsigned s = 0; s < NR_CLASSES * NR_STACK_TYPES; s++) {
			cz->stack[s].top = cz->stack[s].bottom = bottom;
			bottom += room[s / NR_STACK_TYPES][s % NR_STACK_TYPES];
		}
		set_sizes(pages, cz, pages->zone[z].managed);
	}
}

/* ---- what others ask for ---- */

static void serve(struct tmm_pages *pages, struct page_cpu *cpu, uint32_t what)
{
	stacks_drain(pages, cpu);
	if (!(what & ASK_RESIZE))
		return;
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		uint64_t managed;

		lock_take(&pages->zone[z].lock);
		managed = pages->zone[z].managed;
		lock_drop(&pages->zone[z].lock);
		set_sizes(pages, &cpu->zone[z], managed);
	}
	zonelist_choose(pages, cpu);
}

bool stacks_open(struct tmm_pages *pages, struct page_cpu *cpu)
{
	while (!stacks_open_unasked(cpu)) {
		uint32_t what;

		__atomic_store_n(&cpu->inside, 1, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* as in stacks_open_unasked() */
		/* acquire: the settings are seen, and what was done to the stacks */
		what = __atomic_load_n(&cpu->asked, __ATOMIC_ACQUIRE);
		if (!(what & ASK_STOP)) {
			/* relaxed: the settings were seen; who asks again sets the bit again */
			__atomic_fetch_and(&cpu->asked, ~what, __ATOMIC_RELAXED);
			serve(pages, cpu, what);
		}
		stacks_close(cpu);
		if (what & ASK_STOP)
			return false;
	}
	return true;
}

/* relaxed: what happened before our call is seen, and no more is promised */
static bool has_any(const struct tmm_pages *pages, const struct page_cpu *cpu)
{
	for (unsigned z = 0; z < pages->nr_zones; z++)
		for (unsigned s = 0; s < NR_STACKS; s++)
			if (__atomic_load_n(&cpu->zone[z].stack[s].top, __ATOMIC_RELAXED) !=
			    cpu->zone[z].stack[s].bottom)
				return true;
	return false;
}

/* Ask a CPU for something, which may be nothing, and no longer to stop. */
static void ask(struct page_cpu *cpu, uint32_t what)
{
	/* release: the settings are seen, and what was done to its stacks */
	__atomic_fetch_or(&cpu->asked, what, __ATOMIC_RELEASE);
	__atomic_fetch_and(&cpu->asked, ~ASK_STOP, __ATOMIC_RELEASE);
}

/* It was asked to stop before the barrier. */
static void serve_stopped(struct tmm_pages *pages, struct page_cpu *cpu, uint32_t what)
{
	tmm_irq irq;

	/* acquire: what the CPU left on its stacks is seen */
	while (__atomic_load_n(&cpu->inside, __ATOMIC_ACQUIRE))
		tmm_port_relax();
	irq = tmm_port_irq_save();
	serve(pages, cpu, what);
	tmm_port_irq_restore(irq);
	ask(cpu, 0);
}

/* Those that `what` is of any use for; false: there are none. */
static bool stop_others(struct tmm_pages *pages, const struct page_cpu *self, uint32_t what,
                        uint64_t *stopped) TMM_REQUIRES(pages->stop_lock)
{
	bool any = false;

	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		struct page_cpu *cpu = pages->cpu[c];

		if (cpu == self || !((what & ASK_RESIZE) || has_any(pages, cpu)))
			continue;
		/* relaxed: the barrier orders it */
		__atomic_fetch_or(&cpu->asked, ASK_STOP, __ATOMIC_RELAXED);
		stopped[c / 64] |= UINT64_C(1) << (c % 64);
		any = true;
	}
	return any;
}

void stacks_ask(struct tmm_pages *pages, uint32_t what)
{
	uint64_t stopped[(TMM_MAX_CPUS + 63) / 64] = {0};
	struct page_cpu *self = page_cpu_self(pages);
	bool all_stopped, own_are_open;
	tmm_irq irq;

	lock_take(&pages->stop_lock);
	irq = tmm_port_irq_save();
	own_are_open = stacks_open(pages, self);
	TMM_ASSERT(own_are_open && "who has the lock stops others");
	serve(pages, self, what);
	stacks_close(self);
	tmm_port_irq_restore(irq);
	if (stop_others(pages, self, what, stopped)) {
		all_stopped = tmm_port_allow("stop_cpus") && tmm_port_barrier_all();
		for (uint32_t c = 0; c < pages->cpus->nr; c++) {
			if (!(stopped[c / 64] >> (c % 64) & 1))
				continue;
			if (all_stopped)
				serve_stopped(pages, pages->cpu[c], what);
			else
				ask(pages->cpu[c], what);
		}
	}
	lock_drop(&pages->stop_lock);
}

/* ---- from outside ---- */

static void drain_own(struct tmm_pages *pages, struct page_cpu *cpu)
{
	tmm_irq irq = tmm_port_irq_save();

	if (stacks_open(pages, cpu)) { /* else who has them empties them */
		stacks_drain(pages, cpu);
		stacks_close(cpu);
	}
	tmm_port_irq_restore(irq);
}

void stacks_leave(void *arg, uint32_t cpu)
{
	struct tmm_pages *pages = arg;

	account_leave(pages, pages->cpu[cpu]);
	drain_own(pages, pages->cpu[cpu]);
}

void tmm_pages_drain(struct tmm_pages *pages)
{
	drain_own(pages, page_cpu_self(pages));
}

void tmm_pages_drain_all(struct tmm_pages *pages)
{
	stacks_ask(pages, ASK_DRAIN);
}

tmm_err tmm_pages_set_stacks(struct tmm_pages *pages, uint64_t high_pages, uint64_t batch_pages)
{
	if (high_pages > STACK_MAX || batch_pages > (high_pages ? high_pages : STACK_MAX))
		return TMM_E_INVAL;
	/* relaxed: stacks_ask() orders them */
	__atomic_store_n(&pages->stack_high_pages, high_pages, __ATOMIC_RELAXED);
	__atomic_store_n(&pages->stack_batch_pages, batch_pages, __ATOMIC_RELAXED);
	stacks_ask(pages, ASK_RESIZE);
	return TMM_OK;
}
