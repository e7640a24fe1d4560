/*
 * cpu.c - lending CPUs to threads
 *
 * A thread is on at most one CPU at a time, of whatever machine; a CPU has at
 * most one thread.  A thread that finds every CPU taken waits for one.
 */
#include "base/cpu.h"

void cpu_set_init(struct cpu_set *set, uint32_t nr_cpus)
{
	TMM_ASSERT(nr_cpus >= 1 && nr_cpus <= TMM_MAX_CPUS);
	lock_init(&set->lock, RANK_CPUS);
	set->nr = nr_cpus;
	set->nr_waiting = set->nr_exits = 0;
	set->exit_hooks = NULL;
	for (uint32_t id = 0; id < nr_cpus; id++)
		set->cpu[id] = (struct tmm_cpu){
			.front = {.set = set, .line_offset = id * UINT64_C(64)}, .id = id};
}

void cpu_exit_hook_add(struct cpu_set *set, struct cpu_exit_hook *hook)
{
	hook->next = set->exit_hooks;
	set->exit_hooks = hook;
}

void cpu_exit_hook_remove(struct cpu_set *set, struct cpu_exit_hook *hook)
{
	struct cpu_exit_hook **link = &set->exit_hooks;

	while (*link != hook)
		link = &(*link)->next;
	*link = hook->next;
}

void tmm_cpu_exit(struct tmm_cpu *cpu)
{
	struct cpu_set *set = cpu->front.set;
	bool wake;

	for (struct cpu_exit_hook *hook = set->exit_hooks; hook; hook = hook->next)
		hook->run(hook->arg, cpu->id);
	cpu->task = 0;
	lock_take(&set->lock);
	cpu->taken = false;
	/* relaxed: who sleeps at it looks again under the lock */
	__atomic_store_n(&set->nr_exits, set->nr_exits + 1, __ATOMIC_RELAXED);
	wake = set->nr_waiting > 0;
	lock_drop(&set->lock);
	if (tmm_port_cpu() == cpu)
		tmm_port_cpu_set(NULL);
	if (wake)
		tmm_port_wake(&set->nr_exits);
}

bool cpu_try_take(struct tmm_cpu *cpu)
{
	struct cpu_set *set = cpu->front.set;
	bool took;

	lock_take(&set->lock);
	took = !cpu->taken;
	cpu->taken = true;
	lock_drop(&set->lock);
	return took;
}

static void leave_current(void)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (cpu)
		tmm_cpu_exit(cpu);
}

/* A free CPU, or NULL: what nr_exits is, for which to wait. */
static struct tmm_cpu *take_any(struct cpu_set *set, uint32_t *out_exits)
{
	struct tmm_cpu *took = NULL;

	lock_take(&set->lock);
	for (uint32_t id = 0; id < set->nr && !took; id++)
		if (!set->cpu[id].taken)
			took = &set->cpu[id];
	if (took)
		took->taken = true;
	else
		set->nr_waiting++;
	*out_exits = set->nr_exits;
	lock_drop(&set->lock);
	return took;
}

static void wait_for_exit(struct cpu_set *set, uint32_t seen)
{
	if (tmm_port_may_sleep())
		tmm_port_wait(&set->nr_exits, seen);
	else
		tmm_port_relax();
	lock_take(&set->lock);
	set->nr_waiting--;
	lock_drop(&set->lock);
}

struct tmm_cpu *cpu_attach(struct cpu_set *set)
{
	struct tmm_cpu *cpu;
	uint32_t seen;

	leave_current();
	while (!(cpu = take_any(set, &seen)))
		wait_for_exit(set, seen);
	tmm_port_cpu_set(cpu);
	return cpu;
}

bool sections_wait(struct cpu_set *set)
{
	if (!tmm_port_allow("stop_cpus") || !tmm_port_barrier_all())
		return false;
	for (uint32_t id = 0; id < set->nr; id++) {
		/* acquire: what the section did is seen */
		while (__atomic_load_n(&set->cpu[id].front.in_section, __ATOMIC_ACQUIRE))
			tmm_port_relax();
	}
	return true;
}

void cpu_set_fini(struct cpu_set *set)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (cpu && cpu->front.set == set)
		tmm_cpu_exit(cpu);
	for (uint32_t id = 0; id < set->nr; id++)
		TMM_ASSERT(!set->cpu[id].taken && "every thread has left the machine");
}

tmm_err cpu_enter(struct cpu_set *set, uint32_t id)
{
	if (id >= set->nr)
		return TMM_E_INVAL;
	if (tmm_port_cpu() == &set->cpu[id])
		return TMM_OK;
	if (!cpu_try_take(&set->cpu[id]))
		return TMM_E_BUSY;
	leave_current();
	tmm_port_cpu_set(&set->cpu[id]);
	return TMM_OK;
}
