/*
 * sys_signal.c - system calls on signals
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <string.h>
#include <time.h>

#define MASK_BYTES  8u
#define UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define AUTODISARM  (1u << 31)
#define MIN_STACK   2048u

int64_t sys_rt_sigaction(struct task *task, const uint64_t *arg)
{
	int signal = (int)arg[0];
	struct task_action new, *action;

	if (arg[3] != MASK_BYTES || signal < 1 || signal > TASK_NSIG)
		return -EINVAL;
	if (arg[1] && user_get(task, &new, arg[1], sizeof(new)))
		return -EFAULT;
	if (arg[1] && (signal_bit(signal) & UNBLOCKABLE))
		return -EINVAL;
	action = &task->signals.action[signal];
	if (arg[2] && user_put(task, arg[2], action, sizeof(*action)))
		return -EFAULT;
	if (!arg[1])
		return 0;
	*action = new;
	action->mask &= ~UNBLOCKABLE;
	if (new.handler == 1)
		task->signals.pending &= ~signal_bit(signal);
	return 0;
}

int64_t sys_rt_sigprocmask(struct task *task, const uint64_t *arg)
{
	uint64_t old = task->signals.blocked, set;

	if (arg[3] != MASK_BYTES)
		return -EINVAL;
	if (arg[1]) {
		if (user_get(task, &set, arg[1], sizeof(set)))
			return -EFAULT;
		switch ((int)arg[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		task->signals.blocked = set & ~UNBLOCKABLE;
	}
	return arg[2] ? user_put(task, arg[2], &old, sizeof(old)) : 0;
}

int64_t sys_rt_sigpending(struct task *task, const uint64_t *arg)
{
	uint64_t set;

	if (arg[1] > MASK_BYTES)
		return -EINVAL;
	host_signals_take(task);
	set = task->signals.pending & task->signals.blocked;
	return user_put(task, arg[0], &set, arg[1]);
}

int64_t sys_rt_sigreturn(struct task *task, const uint64_t *arg)
{
	(void)arg;
	if (!signal_frame_pop(task))
		task_kill(task, SIGSEGV,
		          "killed by SIGSEGV: the frame a signal handler returned through is "
		          "damaged");
	return (int64_t)task->regs.gpr[CPU_RAX]; /* as it was before the handler */
}

int64_t sys_sigaltstack(struct task *task, const uint64_t *arg)
{
	struct task_signals *signals = &task->signals;
	bool on = signal_on_altstack(task, task->regs.gpr[CPU_RSP]);
	stack_t old = {0}, new;

	if (arg[0] && user_get(task, &new, arg[0], sizeof(new)))
		return -EFAULT;
	old.ss_sp = (void *)(uintptr_t)signals->alt_sp;
	old.ss_size = signals->alt_bytes;
	old.ss_flags = !signals->alt_bytes ? SS_DISABLE : on ? SS_ONSTACK : 0;
	old.ss_flags |= (int)(signals->alt_flags & AUTODISARM);
	if (arg[0]) {
		uint32_t mode = (uint32_t) new.ss_flags & ~AUTODISARM;

		if (on)
			return -EPERM;
		if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
			return -EINVAL;
		if (mode != SS_DISABLE && new.ss_size < MIN_STACK)
			return -ENOMEM;
		signals->alt_sp = mode == SS_DISABLE ? 0 : (uint64_t)(uintptr_t) new.ss_sp;
		signals->alt_bytes = mode == SS_DISABLE ? 0 : new.ss_size;
		signals->alt_flags = (uint32_t) new.ss_flags &AUTODISARM;
	}
	return arg[1] ? user_put(task, arg[1], &old, sizeof(old)) : 0;
}

int signal_mask_swap(struct task *task, uint64_t mask_at, uint64_t mask_bytes)
{
	uint64_t mask;

	if (!mask_at)
		return 0;
	if (mask_bytes != MASK_BYTES)
		return -EINVAL;
	if (user_get(task, &mask, mask_at, sizeof(mask)))
		return -EFAULT;
	task->signals.saved = task->signals.blocked;
	task->signals.restore = true;
	task->signals.blocked = mask & ~UNBLOCKABLE;
	return 0;
}

int64_t signal_mask_back(struct task *task, int64_t answer)
{
	if (answer != -EINTR && task->signals.restore) {
		task->signals.blocked = task->signals.saved;
		task->signals.restore = false;
	}
	return answer;
}

int64_t sys_rt_sigsuspend(struct task *task, const uint64_t *arg)
{
	int err = arg[0] ? signal_mask_swap(task, arg[0], arg[1]) : -EFAULT;

	return err ? err : signal_wait_until(task, UINT64_MAX);
}

int64_t sys_pause(struct task *task, const uint64_t *arg)
{
	(void)arg;
	return signal_wait_until(task, UINT64_MAX);
}

/* Take one of the set, which the caller has blocked; 0: none is pending. */
static int take_pending(struct task *task, uint64_t set)
{
	uint64_t ready;

	host_signals_take(task);
	ready = task->signals.pending & set;
	if (!ready)
		return 0;
	task->signals.pending &= ~(ready & -ready);
	return __builtin_ctzll(ready) + 1;
}

int64_t sys_rt_sigtimedwait(struct task *task, const uint64_t *arg)
{
	uint64_t set, deadline = UINT64_MAX, blocked = task->signals.blocked;
	struct timespec wait;
	int signal, err = 0;

	if (arg[3] != MASK_BYTES)
		return -EINVAL;
	if (user_get(task, &set, arg[0], sizeof(set)))
		return -EFAULT;
	if (arg[2]) {
		err = user_timespec(task, &wait, arg[2]);
		if (err)
			return err;
		deadline = deadline_after(&wait);
	}
	set &= ~UNBLOCKABLE;
	task->signals.blocked &= ~set; /* they end the wait, and are not delivered */
	signal = take_pending(task, set);
	if (!signal) {
		err = signal_wait_until(task, deadline);
		signal = take_pending(task, set);
	}
	task->signals.blocked = blocked;
	if (!signal)
		return err ? err : -EAGAIN;
	if (arg[1] && user_put(task, arg[1], &task->signals.info[signal], sizeof(siginfo_t)))
		return -EFAULT;
	return signal;
}

/* The program is alone: only itself, or everybody, can be meant. */
static int64_t send(struct task *task, int64_t pid, uint64_t signal, int code)
{
	if (signal > TASK_NSIG)
		return -EINVAL;
	if (pid != TASK_PID && pid != 0 && pid != -TASK_PID)
		return pid == TASK_PPID ? -EPERM : -ESRCH;
	if (signal)
		signal_post_self(task, (int)signal, code);
	return 0;
}

int64_t sys_kill(struct task *task, const uint64_t *arg)
{
	return send(task, (int32_t)arg[0], (uint32_t)arg[1], SI_USER);
}

int64_t sys_tkill(struct task *task, const uint64_t *arg)
{
	if ((int32_t)arg[0] <= 0)
		return -EINVAL;
	return send(task, (int32_t)arg[0], (uint32_t)arg[1], SI_TKILL);
}

int64_t sys_tgkill(struct task *task, const uint64_t *arg)
{
	if ((int32_t)arg[0] <= 0 || (int32_t)arg[1] <= 0)
		return -EINVAL;
	if ((int32_t)arg[0] != TASK_PID)
		return -ESRCH;
	return send(task, (int32_t)arg[1], (uint32_t)arg[2], SI_TKILL);
}

int64_t sys_rt_sigqueueinfo(struct task *task, const uint64_t *arg)
{
	siginfo_t info;

	if ((int32_t)arg[0] != TASK_PID)
		return -ESRCH;
	if ((int32_t)arg[1] < 0 || (int32_t)arg[1] > TASK_NSIG)
		return -EINVAL;
	if (user_get(task, &info, arg[2], sizeof(info)))
		return -EFAULT;
	info.si_signo = (int)arg[1];
	if (info.si_signo)
		signal_post(task, &info);
	return 0;
}
