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

/* (c) constant after init  (l) cpu_set.lock  (a) atomic  (o) the thread on it alone */
struct tmm_cpu {
	struct cpu_set *set;    /* (c) */
	uint64_t line_offset;   /* (c) of the CPU's own line in an array of such lines */
	uint32_t id;            /* (c) */
	uint32_t node;          /* (c) */
	void *frames;           /* (c) what the page allocator keeps for the CPU */
	void *recent;           /* (o) what memory by size came from last, or NULL */
	uint32_t in_section;    /* (a) set by the thread on it alone: see section_begin() */
	uint32_t task;          /* (o) of the thread on it, for reports; 0: unknown */
	bool taken;             /* (l) a thread is on it */
} __attribute__((aligned(64))); /* a cache line: others' writes are not felt */

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

	if (likely(cpu && cpu->set == set))
		return cpu;
	return cpu_attach(set);
}

/*
 * Sections: how another thread gets at what a CPU has to itself.  The CPU's thread
 * begins a section, looks whether it may (a word that it loads with acquire), uses
 * its data and ends the section, all without a barrier of the processor.  Whoever
 * wants the data changes the word and calls sections_wait(): after that every
 * section that did not see the change has ended, and later ones see it.  Sections
 * are short, do not nest and do not sleep.
 */
static ALWAYS_INLINE void section_begin(struct tmm_cpu *cpu)
{
	/* relaxed: before the look at the word by sections_wait()'s barrier, with which
	   this fence keeps the compiler in step */
	__atomic_store_n(&cpu->in_section, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static ALWAYS_INLINE void section_end(struct tmm_cpu *cpu)
{
	/* release: who waits for the end sees what the section did */
	__atomic_store_n(&cpu->in_section, 0, __ATOMIC_RELEASE);
}

/*
 * False where the port has no barrier for all: then a section may have missed the
 * change.  The caller is in no section, holds no lock, and interrupts are on.
 */
TMM_MUST_CHECK bool sections_wait(struct cpu_set *set);

#endif
