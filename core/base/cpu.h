/*
 * cpu.h - the CPUs of a machine, and which of them the caller is
 *
 * Storeys keep their per-CPU data in arrays indexed by tmm_cpu.id.  The thread's
 * pointer may belong to another machine (two fit in one process), so cpu_self()
 * compares before it believes it.
 */
#ifndef TUXMM_BASE_CPU_H
#define TUXMM_BASE_CPU_H

#include <tuxmm/cpu_inline.h>

#include "base/lock.h"

struct cpu_set;

/* (c) constant after init  (l) cpu_set.lock  (a) atomic  (o) the thread on it alone */
struct tmm_cpu {
	struct tmm_cpu_front front; /* its set is a struct cpu_set */
	uint32_t id;                /* (c) */
	uint32_t node;              /* (c) */
	void *frames;               /* (c) what the page allocator keeps for the CPU */
	void *recent;               /* (o) what memory by size came from last, or NULL */
	uint32_t task;              /* (o) of the thread on it, for reports; 0: unknown */
	bool taken;                 /* (l) a thread is on it */
} __attribute__((aligned(64)));     /* a cache line: others' writes are not felt */

_Static_assert(offsetof(struct tmm_cpu, front) == 0, "inline functions find it there");

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
	uint32_t nr_waiting; /* (l) threads for which no CPU was free */
	uint32_t nr_exits;   /* (l, a) what they wait at */
	struct tmm_cpu cpu[TMM_MAX_CPUS];
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

	if (likely(cpu && cpu->front.set == set))
		return cpu;
	return cpu_attach(set);
}

/*
 * Wait for the sections of all CPUs (tuxmm/cpu_inline.h).  False where the port has no
 * barrier for all: then a section may have missed the change.  The caller is in no section,
 * holds no lock, and interrupts are on.
 */
TMM_MUST_CHECK bool sections_wait(struct cpu_set *set);

#endif
