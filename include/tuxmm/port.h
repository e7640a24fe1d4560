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
 *   tmm_port_allow, tmm_port_injects
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
 *
 * Might tmm_port_allow() say no?  Hot paths ask before they make room for the call.
 *
 *   bool tmm_port_injects(void);
 */

/* Give the processor away for a moment: called while waiting for another CPU. */
void tmm_port_relax(void);

/*
 * Sleep while *word is `seen`, until somebody wakes those who wait at it; may return
 * sooner, for the caller looks again.  Called where the caller may sleep.  A port
 * that cannot sleep relaxes.
 */
void tmm_port_wait(const uint32_t *word, uint32_t seen);

/* *word has changed: wake all who wait at it. */
void tmm_port_wake(const uint32_t *word);

/*
 * Between call and return every CPU of the machine executes a full memory barrier
 * (Linux: membarrier; elsewhere an interrupt to all of them).  False where there is no
 * such thing: memory that idle CPUs keep stays theirs then.  Seldom called, never with
 * interrupts off or a lock that is taken with interrupts off.
 */
bool tmm_port_barrier_all(void);

/*
 * May the caller sleep: interrupts are on and no lock of a spinning rank is held?
 * Answer true where there is no atomic context.
 */
bool tmm_port_may_sleep(void);

/*
 * Windows: addresses of the port's at which parts of RAM can be shown beside the
 * direct map, for memory that is adjacent by address alone (core/map).  All
 * ranges are whole pages.
 *
 *   create   reserve addresses where nothing can be touched.  NULL where the port
 *            has none, or not so many: requests that need a window then fail
 *   destroy  give all of them back, with whatever is shown there
 *   show     RAM from `ram` on, which is an address of the direct map, appears at
 *            `at` too, for reading and, if may_write, writing.  False when that cannot
 *            be had; nothing is shown then.  The part of the window is hidden
 *   hide     nothing is shown there any more, and touching it faults
 *
 * `ram` may be of a part that tmm_port_ram_direct() took out of the direct map.
 */
void *tmm_port_window_create(uint64_t bytes);
void tmm_port_window_destroy(void *start, uint64_t bytes);
bool tmm_port_window_show(void *at, void *ram, uint64_t bytes, bool may_write);
void tmm_port_window_hide(void *at, uint64_t bytes);

/*
 * From now on touching this part of the direct map faults (false), or it can be read
 * and written again (true).  Called at boot for memory that has no address there,
 * and when the machine ends.  Returning false says that the port cannot: the part
 * can be touched all the time.
 */
bool tmm_port_ram_direct(void *ram, uint64_t bytes, bool is_direct);

/*
 * A rule of the core's was broken, by its caller or by itself: print and stop.
 * `what` is one line without a newline.
 */
_Noreturn void tmm_port_panic(const char *file, unsigned line, const char *what);

/* One line for the machine's log (Linux: printk); level 3 is an error, 6 information. */
void tmm_port_log(unsigned level, const char *line);

#endif
