/*
 * signals.c - signals of a task
 *
 * One of each number can be pending, with its siginfo.
 *   I1  a pending signal that is not blocked is neither ignored nor ignored by default
 */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HANDLER_DEFAULT 0u
#define HANDLER_IGNORE  1u

#define UNBLOCKABLE     (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define IGNORED_BY_DEFAULT                                                                     \
	(signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH))
#define STOPPING                                                                               \
	(signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))
#define SYNCHRONOUS                                                                            \
	(signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | \
	 signal_bit(SIGFPE) | signal_bit(SIGSYS))

const char *signal_name(int signal, char *buffer, size_t bytes)
{
	const char *abbrev = sigabbrev_np(signal);

	if (abbrev)
		snprintf(buffer, bytes, "SIG%s", abbrev);
	else
		snprintf(buffer, bytes, "signal %d", signal);
	return buffer;
}

static bool ignored(const struct task *task, int signal)
{
	uint64_t handler = task->signals.action[signal].handler;

	return handler == HANDLER_IGNORE ||
	       (handler == HANDLER_DEFAULT && (signal_bit(signal) & IGNORED_BY_DEFAULT));
}

void signal_post(struct task *task, const siginfo_t *info)
{
	struct task_signals *signals = &task->signals;
	uint64_t bit = signal_bit(info->si_signo);

	if (ignored(task, info->si_signo) && !(signals->blocked & bit))
		return;
	if (!(signals->pending & bit))
		signals->info[info->si_signo] = *info;
	signals->pending |= bit;
}

void signal_post_self(struct task *task, int signal, int code)
{
	siginfo_t info = {.si_signo = signal, .si_code = code};

	info.si_pid = TASK_PID;
	info.si_uid = getuid();
	signal_post(task, &info);
}

void signal_force(struct task *task, const siginfo_t *info, const char *why)
{
	struct task_signals *signals = &task->signals;
	struct task_action *action = &signals->action[info->si_signo];
	uint64_t bit = signal_bit(info->si_signo);

	if (action->handler <= HANDLER_IGNORE || (signals->blocked & bit)) {
		task_kill(task, info->si_signo, "%s", why);
		return;
	}
	signals->info[info->si_signo] = *info;
	signals->pending |= bit;
}

bool signal_pending(const struct task *task)
{
	return task->signals.pending & ~task->signals.blocked;
}

bool signal_interrupted(struct task *task)
{
	host_signals_take(task);
	return task->ended || signal_pending(task);
}

int signal_wait_until(struct task *task, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now = task_now_ns(), left;
		struct timespec wait;

		if (signal_interrupted(task))
			return -EINTR;
		if (deadline_ns != UINT64_MAX && now >= deadline_ns)
			return 0;
		left = deadline_ns - now;
		wait.tv_sec = (time_t)(left / 1000000000u);
		wait.tv_nsec = (long)(left % 1000000000u);
		ppoll(NULL, 0, deadline_ns == UINT64_MAX ? NULL : &wait, NULL);
	}
}

/* Faults first, then by number, as Linux. */
static int next_signal(const struct task *task)
{
	uint64_t set = task->signals.pending & ~task->signals.blocked;

	if (set & SYNCHRONOUS)
		set &= SYNCHRONOUS;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

static void default_action(struct task *task, int signal)
{
	char name[32];

	if (signal_bit(signal) & IGNORED_BY_DEFAULT)
		return;
	if (signal_bit(signal) & STOPPING)
		raise(SIGSTOP); /* the task stops because tuxmm does */
	else
		task_kill(task, signal, "killed by %s",
		          signal_name(signal, name, sizeof(name)));
}

/* The call that was broken off answers EINTR, or begins again. */
static void settle_restart(struct task *task, bool again)
{
	if (!task->restarting)
		return;
	task->restarting = false;
	if (again) {
		task->regs.gpr[CPU_RAX] = task->nr;
		task->regs.rip -= 2; /* the length of the syscall instruction */
	} else {
		task->regs.gpr[CPU_RAX] = (uint64_t)-EINTR;
	}
}

static void enter_handler(struct task *task, int signal)
{
	struct task_signals *signals = &task->signals;
	struct task_action action = signals->action[signal];
	siginfo_t info = signals->info[signal];

	settle_restart(task, action.flags & SA_RESTART);
	if (!signal_frame_push(task, signal, &info)) {
		task_kill(task, SIGSEGV,
		          "killed by SIGSEGV: no stack for the handler of signal %d", signal);
		return;
	}
	signals->restore = false;
	signals->blocked |= action.mask;
	if (!(action.flags & SA_NODEFER))
		signals->blocked |= signal_bit(signal);
	signals->blocked &= ~UNBLOCKABLE;
	if (action.flags & SA_RESETHAND)
		signals->action[signal].handler = HANDLER_DEFAULT;
}

void signal_deliver(struct task *task)
{
	struct task_signals *signals = &task->signals;
	int signal;

	while (!task->ended && (signal = next_signal(task)) != 0) {
		uint64_t handler = signals->action[signal].handler;

		signals->pending &= ~signal_bit(signal);
		if (handler == HANDLER_DEFAULT)
			default_action(task, signal);
		else if (handler != HANDLER_IGNORE)
			enter_handler(task, signal);
	}
	settle_restart(task, true);
	if (signals->restore) {
		signals->blocked = signals->saved;
		signals->restore = false;
	}
}
