/*
 * cpu.h - the CPUs of a machine, and which of them the caller is
 *
 * Storeys keep their per-CPU data in arrays indexed by tmm_cpu.id.  The thread's
 * pointer may belong to another machine (two fit in one process), so cpu_self()
 * compares before it believes it.
 */
#ifndef TUXMM_BASE_CPU_H
#define TUXMM_BASE_CPU_H

#include <tuxmm/cpu.h>

#include "base/lock.h"

struct cpu_set;

/* (c) constant after init  (l) cpu_set.lock  (o) the thread on it alone */
struct tmm_cpu {
	struct cpu_set *set; /* (c) */
	uint32_t id;         /* (c) */
	uint32_t node;       /* (c) */
	uint32_t task;       /* (o) of the thread on it, for reports; 0: unknown */
	bool taken;          /* (l) a thread is on it */
};

/* What a storey does when a thread leaves a CPU, on that thread: give back what it keeps. */
struct cpu_exit_hook {
	void (*run)(void *arg, uint32_t cpu);
	void *arg;
	struct cpu_exit_hook *next;
};

struct cpu_set {
	struct lock lock;
	struct cpu_exit_hook
		*exit_hooks; /* (c) once more than one CPU runs; last added first */
	uint32_t nr;         /* (c) */
	struct tmm_cpu cpu[TMM_MAX_CPUS]; /* (c) but for taken */
};

void cpu_set_init(struct cpu_set *set, uint32_t nr_cpus);

/* The caller leaves its CPU; no other thread may be on one (asserted). */
void cpu_set_fini(struct cpu_set *set);

/* While one CPU runs. */
void cpu_exit_hook_add(struct cpu_set *set, struct cpu_exit_hook *hook);
void cpu_exit_hook_remove(struct cpu_set *set, struct cpu_exit_hook *hook);

/* The slow half of cpu_self(): leave the other machine's CPU, take a free one here. */
struct tmm_cpu *cpu_attach(struct cpu_set *set);

/* Keep a CPU that no thread is on from all others, until tmm_cpu_exit(); false: one is. */
bool cpu_try_take(struct tmm_cpu *cpu);

/* Put the caller on CPU `id`: TMM_E_INVAL, TMM_E_BUSY as tmm_cpu_enter(). */
TMM_MUST_CHECK tmm_err cpu_enter(struct cpu_set *set, uint32_t id);

/* The CPU of this machine that the caller runs on. */
static ALWAYS_INLINE struct tmm_cpu *cpu_self(struct cpu_set *set)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (likely(cpu && cpu->set == set))
		return cpu;
	return cpu_attach(set);
}

#endif
