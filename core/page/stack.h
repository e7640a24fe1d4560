/*
 * stack.h - the stacks of frames that a CPU owns
 *
 * The inline half is the hot path.  All of it is for the CPU that owns the stacks,
 * with interrupts off and the stacks open, but for stacks_ask().
 */
#ifndef TUXMM_PAGE_STACK_H
#define TUXMM_PAGE_STACK_H

#include "page/zone.h"

static const uint8_t class_of_order[TMM_NR_ORDERS] = {
	STACK_0,    STACK_1,    STACK_2,     STACK_3,    STACK_NONE, STACK_NONE, STACK_NONE,
	STACK_NONE, STACK_NONE, STACK_BLOCK, STACK_NONE, STACK_NONE, STACK_NONE, STACK_NONE,
	STACK_NONE, STACK_NONE, STACK_NONE,  STACK_NONE, STACK_NONE,
};

/* relaxed: others only add counters up and subtract pointers */
static ALWAYS_INLINE void count_up(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void set_top(struct frame_stack *stack, uint32_t *top)
{
	__atomic_store_n(&stack->top, top, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE uint32_t *recent_of(struct page_cpu *cpu, uint64_t entry)
{
	return &cpu->recent[entry % RECENT_SLOTS];
}

/* A run that was lent, and its slot; the stack has room. */
static ALWAYS_INLINE void stack_push_used(struct frame_stack *stack, uint32_t *recent,
                                          uint32_t pfn)
{
	uint32_t *top = stack->top;

	*top = *recent = pfn;
	set_top(stack, top + 1);
}

/* The stack has room. */
static ALWAYS_INLINE void stack_push(struct page_cpu *cpu, struct frame_stack *stack,
                                     uint32_t entry)
{
	uint32_t *top = stack->top;

	*top = entry;
	*recent_of(cpu, entry) = entry & ENTRY_PFN;
	set_top(stack, top + 1);
}

/* The stack is not empty. */
static ALWAYS_INLINE uint32_t stack_pop(struct page_cpu *cpu, struct frame_stack *stack)
{
	uint32_t *top = stack->top - 1;
	uint32_t entry = *top;

	*recent_of(cpu, entry) = RECENT_NONE;
	set_top(stack, top);
	return entry;
}

/*
 * Fill an empty stack with up to `most` runs, a batch; false when the zone has no
 * such run.
 */
bool stack_refill(struct tmm_pages *pages, struct page_cpu *cpu, struct zone *zone,
                  struct frame_stack *stack, unsigned class, struct source source, size_t most);

/* Make room: the older half goes back to the zone. */
void stack_make_room(struct tmm_pages *pages, struct page_cpu *cpu, struct frame_stack *stack,
                     unsigned id, struct zone *zone);

/* Everything on the CPU's stacks goes back to the zones. */
void stacks_drain(struct tmm_pages *pages, struct page_cpu *cpu);

/* The same, as a struct cpu_exit_hook. */
void stacks_leave(void *arg, uint32_t cpu);

/* Empty stacks of their proper size. */
void stacks_init(struct tmm_pages *pages, struct page_cpu *cpu);

/* ---- opening ---- */

/* What others ask of a CPU, seen when it opens its stacks. */
#define ASK_DRAIN  1u /* empty them */
#define ASK_RESIZE 2u /* make them of the size that is set now */
#define ASK_STOP   4u /* keep away: who asks has them */

/* False: something is asked, and they are not open; stacks_open() says whether they are. */
static ALWAYS_INLINE bool stacks_open_unasked(struct page_cpu *cpu)
{
	/*
	 * relaxed, in this order for the compiler: who asks has all CPUs execute a
	 * barrier (tmm_port_barrier_all) before it looks whether somebody is inside, so
	 * that one of the two sees what the other wrote
	 */
	__atomic_store_n(&cpu->inside, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* acquire: what was done to the stacks meanwhile is seen */
	if (likely(!__atomic_load_n(&cpu->asked, __ATOMIC_ACQUIRE)))
		return true;
	__atomic_store_n(&cpu->inside, 0, __ATOMIC_RELEASE);
	return false;
}

/* For the CPU itself. */
static inline bool stacks_are_open(const struct page_cpu *cpu)
{
	/* relaxed: nobody else writes it */
	return __atomic_load_n(&cpu->inside, __ATOMIC_RELAXED) != 0;
}

static ALWAYS_INLINE void stacks_close(struct page_cpu *cpu)
{
	/* release: whoever takes the stacks sees what is on them */
	__atomic_store_n(&cpu->inside, 0, __ATOMIC_RELEASE);
}

/* Do what is asked, and open them; false: somebody else has them, go to the zones. */
bool stacks_open(struct tmm_pages *pages, struct page_cpu *cpu);

/*
 * ASK_DRAIN or ASK_RESIZE of every CPU: done on return, unless the port cannot stop
 * CPUs; then those that are not the caller's do it when they next open their stacks.
 * Interrupts are on, and no lock of the page allocator's is held.
 */
void stacks_ask(struct tmm_pages *pages, uint32_t what);

#endif
