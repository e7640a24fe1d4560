/*
 * tuxmm_port_arch.h - the least a port can be: one processor, no interrupts
 */
#ifndef EMBED_PORT_ARCH_H
#define EMBED_PORT_ARCH_H

#include <stdbool.h>

typedef unsigned tmm_irq;

struct tmm_spinlock {
	unsigned char taken;
};
#define TMM_SPINLOCK_INIT                                                                      \
	{                                                                                      \
		0                                                                              \
	}

extern struct tmm_cpu *embed_cpu;

static inline struct tmm_cpu *tmm_port_cpu(void)
{
	return embed_cpu;
}

static inline void tmm_port_cpu_set(struct tmm_cpu *cpu)
{
	embed_cpu = cpu;
}

static inline bool tmm_port_trylock(struct tmm_spinlock *lock, unsigned rank)
{
	(void)rank;
	if (lock->taken)
		return false;
	lock->taken = 1;
	return true;
}

static inline void tmm_port_lock(struct tmm_spinlock *lock, unsigned rank)
{
	(void)tmm_port_trylock(lock, rank);
}

static inline void tmm_port_unlock(struct tmm_spinlock *lock, unsigned rank)
{
	(void)rank;
	lock->taken = 0;
}

static inline tmm_irq tmm_port_irq_save(void)
{
	return 0;
}

static inline void tmm_port_irq_restore(tmm_irq irq)
{
	(void)irq;
}

static inline bool tmm_port_injects(void)
{
	return false;
}

static inline bool tmm_port_allow(const char *point)
{
	(void)point;
	return true;
}

#endif
