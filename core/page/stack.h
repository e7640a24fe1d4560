/*
 * stack.h - the stacks of frames that a CPU owns
 *
 * The inline half is the hot path.  All of it is for the CPU that owns the stacks,
 * with interrupts off, but for pages_ask().
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

static ALWAYS_INLINE uint32_t *recent_of(struct cpu_zone *cz, uint32_t entry)
{
	return &cz->recent[entry % RECENT_SLOTS];
}

/* The stack has room. */
static ALWAYS_INLINE void stack_push(struct cpu_zone *cz, struct frame_stack *stack,
                                     uint32_t entry)
{
	uint32_t *top = stack->top;

	*top = entry;
	*recent_of(cz, entry) = entry & ENTRY_PFN;
	set_top(stack, top + 1);
}

/* The stack is not empty. */
static ALWAYS_INLINE uint32_t stack_pop(struct cpu_zone *cz, struct frame_stack *stack)
{
	uint32_t *top = stack->top - 1;
	uint32_t entry = *top;

	*recent_of(cz, entry) = RECENT_NONE;
	set_top(stack, top);
	return entry;
}

/*
 * Fill an empty stack with up to `most` runs, a batch; false when the zone has no
 * such run.
 */
bool stack_refill(struct tmm_pages *pages, struct cpu_zone *cz, struct zone *zone,
                  struct frame_stack *stack, unsigned class, struct source source, size_t most);

/* Make room: the older half goes back to the zone. */
void stack_make_room(struct tmm_pages *pages, struct cpu_zone *cz, unsigned id,
                     struct zone *zone);

/* Everything on the CPU's stacks goes back to the zones. */
void stacks_drain(struct tmm_pages *pages, struct page_cpu *cpu);

/* The same, as a struct cpu_exit_hook. */
void stacks_leave(void *arg, uint32_t cpu);

/* Empty stacks of their proper size. */
void stacks_init(struct tmm_pages *pages, struct page_cpu *cpu);

/* What others ask of a CPU, and when it does it: whenever it leaves the hot path. */
#define ASK_DRAIN  1u /* empty the stacks */
#define ASK_RESIZE 2u /* make the stacks of the size that is set now */

void stacks_serve(struct tmm_pages *pages, struct page_cpu *cpu);

static inline void stacks_serve_if_asked(struct tmm_pages *pages, struct page_cpu *cpu)
{
	/* relaxed: seen the next time if not now */
	if (unlikely(__atomic_load_n(&cpu->asked, __ATOMIC_RELAXED)))
		stacks_serve(pages, cpu);
}

/* Ask every CPU. */
void stacks_ask(struct tmm_pages *pages, uint32_t what);

#endif
