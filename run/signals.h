/*
 * signals.h - signals of a task: posted, delivered, returned from; and the host's
 *
 * Signals that tuxmm itself gets (^C, kill, timers) become the task's.  A signal
 * is delivered when the task is about to go on: its handler is entered on a frame
 * in Linux's layout, or the default action is taken.
 *
 * Units    signals are 1 .. TASK_NSIG; masks have bit n - 1 for signal n
 * Threads  one task at a time in a process takes the host's signals
 * Linux    kernel/signal.c, arch/x86/kernel/signal.c; signal(7)
 */
#ifndef TUXMM_RUN_SIGNALS_H
#define TUXMM_RUN_SIGNALS_H

#include "task.h"

static inline uint64_t signal_bit(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

/* "SIGINT"; numbers without a name give "signal N" in `buffer`. */
const char *signal_name(int signal, char *buffer, size_t bytes);

/* Make it pending; dropped when the task ignores it. */
void signal_post(struct task *task, const siginfo_t *info);

/* The same, as sent by the task itself (kill, raise). */
void signal_post_self(struct task *task, int signal, int code);

/*
 * A fault of the task's own: cannot be blocked or ignored.  `why` is what the user
 * is told when it is deadly.
 */
void signal_force(struct task *task, const siginfo_t *info, const char *why);

/* Is there one to act upon now? */
bool signal_pending(const struct task *task);

/* Take the host's signals in; should a call that waits be broken off? */
bool signal_interrupted(struct task *task);

/*
 * Wait until a signal interrupts (-EINTR), or nanoseconds of CLOCK_MONOTONIC
 * have passed (0).  UINT64_MAX: for ever.
 */
int signal_wait_until(struct task *task, uint64_t deadline_ns);

/* Before user code goes on: enter handlers, take default actions. */
void signal_deliver(struct task *task);

/* sigframe.c: enter a handler; false: its frame cannot be written. */
bool signal_frame_push(struct task *task, int signal, const siginfo_t *info);

/* rt_sigreturn: registers as before the handler; false: the frame is damaged. */
bool signal_frame_pop(struct task *task);

/* Is this stack pointer on the alternate stack? */
bool signal_on_altstack(const struct task *task, uint64_t sp);

/*
 * signal_host.c: from start to stop, signals sent to tuxmm are the task's.
 * Dispositions that were SIG_IGN are the task's first ones.  -errno.
 */
int host_signals_start(struct task *task);
void host_signals_stop(void);

/* The cpu to be kicked; NULL before it is closed. */
void host_signals_kick(const struct cpu_ops *ops, struct cpu *cpu);

/* Cheap: has anything come since the last take? */
bool host_signals_any(void);

/* Post what came; ends the task when its time is over. */
void host_signals_take(struct task *task);

#endif
