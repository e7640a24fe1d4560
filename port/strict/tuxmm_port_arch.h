/*
 * tuxmm_port_arch.h - the strict port: one thread, every rule checked
 *
 * Panics when locks are not taken in rising rank, when one is taken twice or
 * dropped unheld, when interrupts are restored out of order, and (through
 * tmm_port_may_sleep) when something sleeps with a lock held.
 */
#ifndef TUXMM_STRICT_PORT_ARCH_H
#define TUXMM_STRICT_PORT_ARCH_H

#include <stdbool.h>

struct tmm_cpu;

typedef unsigned tmm_irq;

struct tmm_spinlock {
	unsigned char taken;
};
#define TMM_SPINLOCK_INIT                                                                      \
	{                                                                                      \
		0                                                                              \
	}

extern bool tmm_port_injecting;

struct tmm_cpu *tmm_port_cpu(void);
void tmm_port_cpu_set(struct tmm_cpu *cpu);
void tmm_port_lock(struct tmm_spinlock *lock, unsigned rank);
bool tmm_port_trylock(struct tmm_spinlock *lock, unsigned rank);
void tmm_port_unlock(struct tmm_spinlock *lock, unsigned rank);
tmm_irq tmm_port_irq_save(void);
void tmm_port_irq_restore(tmm_irq irq);
bool tmm_port_allow_counted(const char *point);

static inline bool tmm_port_injects(void)
{
	return tmm_port_injecting;
}

static inline bool tmm_port_allow(const char *point)
{
	return !tmm_port_injects() || tmm_port_allow_counted(point);
}

#endif
