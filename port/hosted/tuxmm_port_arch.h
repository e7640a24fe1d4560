/*
 * tuxmm_port_arch.h - hot parts of the hosted port: a CPU is a thread
 */
#ifndef TUXMM_HOSTED_PORT_ARCH_H
#define TUXMM_HOSTED_PORT_ARCH_H

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

extern __thread struct tmm_cpu *tmm_port_current_cpu __attribute__((tls_model("initial-exec")));
extern bool tmm_port_injecting;

void tmm_port_lock_wait(struct tmm_spinlock *lock);
void tmm_port_cpu_set(struct tmm_cpu *cpu);
bool tmm_port_allow_counted(const char *point) __attribute__((cold));

static inline struct tmm_cpu *tmm_port_cpu(void)
{
	return tmm_port_current_cpu;
}

static inline bool tmm_port_trylock(struct tmm_spinlock *lock, unsigned rank)
{
	(void)rank;
	/* acquire: what the last holder wrote is seen */
	return !__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE);
}

static inline void tmm_port_lock(struct tmm_spinlock *lock, unsigned rank)
{
	if (__builtin_expect(!tmm_port_trylock(lock, rank), 0))
		tmm_port_lock_wait(lock);
}

static inline void tmm_port_unlock(struct tmm_spinlock *lock, unsigned rank)
{
	(void)rank;
	/* release: the next holder sees what we wrote */
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

/* Signal handlers never call the core. */
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
	return __builtin_expect(tmm_port_injecting, 0);
}

static inline bool tmm_port_allow(const char *point)
{
	return !tmm_port_injects() || tmm_port_allow_counted(point);
}

#endif
