/*
 * strict.c - the port that trusts nobody
 *
 * Held locks form a stack of rising ranks; saved interrupt states count up.
 */

#include <tuxmm/port.h>

#include "panic.h"
#include "strict.h"

#define MAX_HELD 16

static struct tmm_cpu *current_cpu;
static struct {
	const struct tmm_spinlock *lock;
	unsigned rank;
} held[MAX_HELD];
static unsigned nr_held;
static unsigned irq_depth;
static const struct tmm_strict_others *others;

#define RULE(rule)                                                                             \
	do {                                                                                   \
		if (!(rule))                                                                   \
			tmm_port_panic(__FILE__, __LINE__, #rule);                             \
	} while (0)

struct tmm_cpu *tmm_port_cpu(void)
{
	return current_cpu;
}

void tmm_port_cpu_set(struct tmm_cpu *cpu)
{
	current_cpu = cpu;
}

static unsigned highest_held(void)
{
	unsigned highest = 0;

	for (unsigned i = 0; i < nr_held; i++)
		if (held[i].rank > highest)
			highest = held[i].rank;
	return highest;
}

static void hold(struct tmm_spinlock *lock, unsigned rank)
{
	RULE(nr_held < MAX_HELD);
	lock->taken = 1;
	held[nr_held].lock = lock;
	held[nr_held++].rank = rank;
}

void tmm_port_lock(struct tmm_spinlock *lock, unsigned rank)
{
	bool lock_is_free = !lock->taken;
	bool ranks_rise = nr_held == 0 || highest_held() < rank;

	RULE(lock_is_free);
	RULE(ranks_rise);
	hold(lock, rank);
}

bool tmm_port_trylock(struct tmm_spinlock *lock, unsigned rank)
{
	if (lock->taken)
		return false;
	hold(lock, rank);
	return true;
}

void tmm_port_unlock(struct tmm_spinlock *lock, unsigned rank)
{
	unsigned i = nr_held;
	bool lock_is_held;

	while (i > 0 && held[i - 1].lock != lock)
		i--;
	lock_is_held = i > 0 && lock->taken && held[i - 1].rank == rank;
	RULE(lock_is_held);
	for (; i < nr_held; i++)
		held[i - 1] = held[i];
	nr_held--;
	lock->taken = 0;
}

tmm_irq tmm_port_irq_save(void)
{
	return irq_depth++;
}

void tmm_port_irq_restore(tmm_irq irq)
{
	bool restored_in_reverse_order = irq_depth > 0 && irq == irq_depth - 1;

	RULE(restored_in_reverse_order);
	irq_depth--;
}

void tmm_port_relax(void)
{
	bool somebody_else_could_change_what_is_waited_for = others && others->relax;

	RULE(somebody_else_could_change_what_is_waited_for);
	others->relax(others->arg);
}

void tmm_port_wait(const uint32_t *word, uint32_t seen)
{
	bool interrupts_are_on_and_no_spin_lock_is_held = tmm_port_may_sleep();

	RULE(interrupts_are_on_and_no_spin_lock_is_held);
	if (*word == seen)
		tmm_port_relax();
}

void tmm_port_wake(const uint32_t *word)
{
	(void)word;
}

/* There is one thread, and what a test says of others. */
bool tmm_port_barrier_all(void)
{
	return !others || others->barrier(others->arg);
}

void tmm_strict_set_others(const struct tmm_strict_others *now)
{
	others = now;
}

bool tmm_port_may_sleep(void)
{
	bool spinning = highest_held() >= TMM_FIRST_SPIN_RANK;

	return !spinning && irq_depth == 0;
}

void tmm_port_forget_locks(void)
{
	nr_held = 0;
	irq_depth = 0;
	others = NULL;
	current_cpu = NULL;
}
