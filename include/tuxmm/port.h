/*
 * port.h - what the core asks of the place it runs in
 *
 * A port is a folder (port/hosted, port/strict, a kernel of yours) that
 * implements these names and nothing more; the core calls nothing else but
 * memcpy, memmove, memset and memcmp.  The hot ones are inline in the port's
 * own tuxmm_port_arch.h, found on the include path.  That header defines
 *
 *   struct tmm_spinlock                 a lock; all zeroes, or TMM_SPINLOCK_INIT
 *   tmm_irq                             what irqsave remembers, an integer
 *   tmm_port_cpu, tmm_port_cpu_set      the CPU the caller runs on
 *   tmm_port_lock, tmm_port_trylock, tmm_port_unlock
 *   tmm_port_irq_save, tmm_port_irq_restore
 *   tmm_port_allow
 *
 * Context  every function may be called with locks held and interrupts off,
 *          and must not call back into the core
 */
#ifndef TUXMM_PORT_H
#define TUXMM_PORT_H

#include <tuxmm/types.h>

struct tmm_cpu;

#define TMM_FIRST_SPIN_RANK 4u

/* Defines the types and inline functions named above. */
#include <tuxmm_port_arch.h>

/*
 * CPU: the pointer last set by this thread of execution, NULL before.  The
 * core sets it when the thread first calls in, and the port must call
 * tmm_cpu_exit() (base/cpu) for a non-NULL pointer when the thread ends.
 *
 *   struct tmm_cpu *tmm_port_cpu(void);
 *   void tmm_port_cpu_set(struct tmm_cpu *cpu);
 *
 * Spin locks, uncontended in a few instructions.  `rank` is the lock's place
 * in docs/LOCKS.md; a strict port panics when a lock of lower or equal rank
 * than one already held is taken, others ignore it; tmm_port_trylock(), which does
 * not wait, may be called in any order.  Whoever holds only locks of
 * ranks below TMM_FIRST_SPIN_RANK may sleep (Linux: mmap_lock is a semaphore), so
 * a port whose CPUs run other threads meanwhile must let waiters for those sleep.
 *
 *   void tmm_port_lock(struct tmm_spinlock *lock, unsigned rank);
 *   bool tmm_port_trylock(struct tmm_spinlock *lock, unsigned rank);
 *   void tmm_port_unlock(struct tmm_spinlock *lock, unsigned rank);
 *
 * Interrupts of this CPU; nothing to do where handlers never call the core.
 *
 *   tmm_irq tmm_port_irq_save(void);
 *   void tmm_port_irq_restore(tmm_irq irq);
 *
 * May this allocation or I/O succeed?  Called at each failure point with its
 * name, before anything has changed.  Answer true except in tests that inject
 * failures.
 *
 *   bool tmm_port_allow(const char *point);
 */

/* Give the processor away for a moment: called while waiting for another CPU. */
void tmm_port_relax(void);

/*
 * May the caller sleep: interrupts are on and no lock of a spinning rank is held?
 * Answer true where there is no atomic context.
 */
bool tmm_port_may_sleep(void);

/*
 * A rule of the core's was broken, by its caller or by itself: print and stop.
 * `what` is one line without a newline.
 */
_Noreturn void tmm_port_panic(const char *file, unsigned line, const char *what);

/* One line for the machine's log (Linux: printk); level 3 is an error, 6 information. */
void tmm_port_log(unsigned level, const char *line);

#endif
