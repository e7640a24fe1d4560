/*
 * hosted.c - the port for a Linux process: CPUs are threads
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tuxmm/cpu.h>
#include <tuxmm/port.h>

#include "panic.h"

__thread struct tmm_cpu *tmm_port_current_cpu;

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

/* The thread ends while it is on a CPU. */
static void on_thread_exit(void *cpu)
{
	if (tmm_port_current_cpu)
		tmm_cpu_exit(tmm_port_current_cpu);
	(void)cpu;
}

static void make_exit_key(void)
{
	if (pthread_key_create(&exit_key, on_thread_exit) != 0)
		tmm_port_panic(__FILE__, __LINE__, "the host has a free pthread key");
}

void tmm_port_cpu_set(struct tmm_cpu *cpu)
{
	tmm_port_current_cpu = cpu;
	pthread_once(&exit_once, make_exit_key);
	pthread_setspecific(exit_key, cpu);
}

void tmm_port_lock_wait(struct tmm_spinlock *lock)
{
	for (unsigned spins = 0; !tmm_port_trylock(lock, 0); spins++) {
		/* relaxed: only a hint when to try again */
		while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED)) {
			if (++spins > 100) /* the holder may wait for our processor */
				sched_yield();
			else
				__builtin_ia32_pause();
		}
	}
}

void tmm_port_relax(void)
{
	sched_yield();
}

void tmm_port_wait(const uint32_t *word, uint32_t seen)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL);
}

void tmm_port_wake(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

static bool has_membarrier;
static pthread_once_t membarrier_once = PTHREAD_ONCE_INIT;

static void register_membarrier(void)
{
	has_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
	                         0) == 0;
}

bool tmm_port_barrier_all(void)
{
	pthread_once(&membarrier_once, register_membarrier);
	return has_membarrier &&
	       syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool tmm_port_may_sleep(void)
{
	return true;
}

void tmm_port_forget_locks(void)
{
	tmm_port_cpu_set(NULL);
}
