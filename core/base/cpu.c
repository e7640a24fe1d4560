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
	set->exit_hooks = NULL;
	for (uint32_t id = 0; id < nr_cpus; id++)
		set->cpu[id] = (struct tmm_cpu){.set = set, .id = id};
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
	for (struct cpu_exit_hook *hook = cpu->set->exit_hooks; hook; hook = hook->next)
		hook->run(hook->arg, cpu->id);
	cpu->task = 0;
	lock_take(&cpu->set->lock);
	cpu->taken = false;
	lock_drop(&cpu->set->lock);
	if (tmm_port_cpu() == cpu)
		tmm_port_cpu_set(NULL);
}

bool cpu_try_take(struct tmm_cpu *cpu)
{
	bool took;

	lock_take(&cpu->set->lock);
	took = !cpu->taken;
	cpu->taken = true;
	lock_drop(&cpu->set->lock);
	return took;
}

static void leave_current(void)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (cpu)
		tmm_cpu_exit(cpu);
}

struct tmm_cpu *cpu_attach(struct cpu_set *set)
{
	leave_current();
	for (;;) {
		for (uint32_t id = 0; id < set->nr; id++) {
			if (!cpu_try_take(&set->cpu[id]))
				continue;
			tmm_port_cpu_set(&set->cpu[id]);
			return &set->cpu[id];
		}
		tmm_port_relax();
	}
}

void cpu_set_fini(struct cpu_set *set)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (cpu && cpu->set == set)
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
