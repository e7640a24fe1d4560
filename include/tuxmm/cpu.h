/*
 * cpu.h - CPUs, as the machine's owner sees them
 *
 * A CPU is whatever holds its id alone: a host thread, a virtual CPU, a core of
 * a real machine.  It owns page stacks, slab magazines and counters, which is
 * why the hot paths take no lock.
 *
 * A thread that calls into a machine without a CPU of it is given the first
 * one that is free, until it ends; nothing needs registration.  Call
 * tmm_cpu_enter() to choose the CPU, for instance to decide its node.
 */
#ifndef TUXMM_CPU_H
#define TUXMM_CPU_H

#include <tuxmm/types.h>

#define TMM_MAX_CPUS 256u

struct tmm_machine;
struct tmm_cpu;

/*
 * Run the caller on CPU `id` of the machine; leaves the CPU it was on.
 *   TMM_OK
 *   TMM_E_INVAL  the machine has no such CPU
 *   TMM_E_BUSY   another thread is on it
 */
TMM_MUST_CHECK tmm_err tmm_cpu_enter(struct tmm_machine *machine, unsigned id);

/* The caller runs task `task` from now on, until it leaves its CPU: reports say so. */
void tmm_cpu_set_task(struct tmm_machine *machine, uint32_t task);

/* Leave `cpu` so that another thread may have it.  The frames on its stacks are given back. */
void tmm_cpu_exit(struct tmm_cpu *cpu);

#endif
