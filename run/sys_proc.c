/*
 * sys_proc.c - the process itself: identity, limits, machine, ending
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <asm/prctl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define NR_LIMITS  16u
#define RANDOM_MAX UINT64_C(0x1ffffff) /* Linux gives no more in one call */

int64_t sys_exit_group(struct task *task, const uint64_t *arg)
{
	task_exit(task, (int)arg[0]);
	return 0;
}

int64_t sys_exit(struct task *task, const uint64_t *arg)
{
	return sys_exit_group(task, arg);
}

/* Calls without arguments that answer a number. */
#define ANSWER(name, value)                                                                    \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		(void)task;                                                                    \
		(void)arg;                                                                     \
		return (value);                                                                \
	}

ANSWER(getpid, TASK_PID)
ANSWER(gettid, TASK_PID)
ANSWER(getppid, TASK_PPID)
ANSWER(getpgrp, TASK_PID)
ANSWER(getuid, getuid())
ANSWER(geteuid, geteuid())
ANSWER(getgid, getgid())
ANSWER(getegid, getegid())
ANSWER(set_tid_address, TASK_PID)
ANSWER(set_robust_list, 0) /* no other thread could find it */
ANSWER(rseq, -ENOSYS)      /* C libraries do without */
ANSWER(sched_yield, 0)
ANSWER(setsid, -EPERM) /* it leads its group already */
ANSWER(vhangup, -EPERM)
ANSWER(getpriority, 20)
ANSWER(setpriority, 0)
ANSWER(wait4, -ECHILD) /* nothing can be forked */
ANSWER(waitid, -ECHILD)

static bool is_self(uint64_t pid)
{
	return (int32_t)pid == 0 || (int32_t)pid == TASK_PID;
}

int64_t sys_getpgid(struct task *task, const uint64_t *arg)
{
	(void)task;
	return is_self(arg[0]) ? TASK_PID : -ESRCH;
}

int64_t sys_getsid(struct task *task, const uint64_t *arg)
{
	return sys_getpgid(task, arg);
}

int64_t sys_setpgid(struct task *task, const uint64_t *arg)
{
	(void)task;
	if (!is_self(arg[0]))
		return -ESRCH;
	return is_self(arg[1]) ? 0 : -EPERM;
}

/* Changing to what one is already succeeds; anything else needs a privilege. */
static int64_t keep_ids(const uint64_t *arg, unsigned nr, uint32_t id)
{
	for (unsigned i = 0; i < nr; i++)
		if ((uint32_t)arg[i] != id && (uint32_t)arg[i] != UINT32_MAX)
			return -EPERM;
	return 0;
}

#define KEEP_IDS(name, nr, id)                                                                 \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		(void)task;                                                                    \
		return keep_ids(arg, nr, id);                                                  \
	}

KEEP_IDS(setuid, 1, getuid())
KEEP_IDS(setgid, 1, getgid())
KEEP_IDS(setreuid, 2, getuid())
KEEP_IDS(setregid, 2, getgid())
KEEP_IDS(setresuid, 3, getuid())
KEEP_IDS(setresgid, 3, getgid())

static int64_t put_three(struct task *task, const uint64_t *at, uint32_t real,
                         uint32_t effective)
{
	const uint32_t ids[3] = {real, effective, effective};

	for (unsigned i = 0; i < 3; i++)
		if (user_put(task, at[i], &ids[i], sizeof(ids[i])))
			return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *task, const uint64_t *arg)
{
	return put_three(task, arg, getuid(), geteuid());
}

int64_t sys_getresgid(struct task *task, const uint64_t *arg)
{
	return put_three(task, arg, getgid(), getegid());
}

int64_t sys_getgroups(struct task *task, const uint64_t *arg)
{
	gid_t groups[256];
	int nr = getgroups(256, groups);

	if (nr < 0)
		return -errno;
	if ((int32_t)arg[0] == 0)
		return nr;
	if ((int32_t)arg[0] < nr)
		return -EINVAL;
	return user_put(task, arg[1], groups, (size_t)nr * sizeof(*groups)) ? -EFAULT : nr;
}

int64_t sys_arch_prctl(struct task *task, const uint64_t *arg)
{
	switch ((int)arg[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (arg[1] >= task->env.user_end)
			return -EPERM;
		if ((int)arg[0] == ARCH_SET_FS)
			task->regs.fs_base = arg[1];
		else
			task->regs.gs_base = arg[1];
		return 0;
	case ARCH_GET_FS:
		return user_put(task, arg[1], &task->regs.fs_base, 8);
	case ARCH_GET_GS:
		return user_put(task, arg[1], &task->regs.gs_base, 8);
	default:
		return -EINVAL;
	}
}

int64_t sys_prctl(struct task *task, const uint64_t *arg)
{
	char name[16] = {0};
	int32_t number;

	switch ((int)arg[0]) {
	case PR_SET_NAME:
		if (user_string(task, name, arg[1], sizeof(name)) == -EFAULT)
			return -EFAULT;
		name[15] = '\0';
		memcpy(task->comm, name, sizeof(name));
		return 0;
	case PR_GET_NAME:
		return user_put(task, arg[1], task->comm, sizeof(task->comm));
	case PR_GET_DUMPABLE:
		return (int64_t)task->dumpable;
	case PR_SET_DUMPABLE:
		if (arg[1] > 1)
			return -EINVAL;
		task->dumpable = arg[1];
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		if (arg[1] != 1 || arg[2] || arg[3] || arg[4])
			return -EINVAL;
		task->no_new_privs = 1;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return (int64_t)task->no_new_privs;
	case PR_SET_PDEATHSIG:
		if (arg[1] > TASK_NSIG)
			return -EINVAL;
		task->pdeath_signal = arg[1];
		return 0;
	case PR_GET_PDEATHSIG:
		number = (int32_t)task->pdeath_signal;
		return user_put(task, arg[1], &number, sizeof(number));
	case PR_GET_KEEPCAPS:
	case PR_GET_SECCOMP:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Limits on memory are the address space's. */
static void apply_limits(struct task *task)
{
	const struct tmm_mm_limits limits = {
		.as_bytes = task->limits[RLIMIT_AS][0],
		.data_bytes = task->limits[RLIMIT_DATA][0],
		.stack_bytes = task->limits[RLIMIT_STACK][0],
		.memlock_bytes = task->limits[RLIMIT_MEMLOCK][0],
	};

	tmm_mm_set_limits(task->mm, &limits);
	task->fds.limit = (unsigned)(task->limits[RLIMIT_NOFILE][0] < INT32_MAX
	                                     ? task->limits[RLIMIT_NOFILE][0]
	                                     : INT32_MAX);
}

int64_t sys_prlimit64(struct task *task, const uint64_t *arg)
{
	uint64_t *limit, new[2];

	if (!is_self(arg[0]))
		return -ESRCH;
	if (arg[1] >= NR_LIMITS)
		return -EINVAL;
	limit = task->limits[arg[1]];
	if (arg[2] && user_get(task, new, arg[2], sizeof(new)))
		return -EFAULT;
	if (arg[3] && user_put(task, arg[3], limit, sizeof(new)))
		return -EFAULT;
	if (!arg[2])
		return 0;
	if (new[0] > new[1])
		return -EINVAL;
	if (new[1] > limit[1])
		return -EPERM;
	memcpy(limit, new, sizeof(new));
	apply_limits(task);
	return 0;
}

int64_t sys_getrlimit(struct task *task, const uint64_t *arg)
{
	return sys_prlimit64(task, (const uint64_t[4]){0, arg[0], 0, arg[1]});
}

int64_t sys_setrlimit(struct task *task, const uint64_t *arg)
{
	return arg[1] ? sys_prlimit64(task, (const uint64_t[4]){0, arg[0], arg[1], 0})
	              : -EFAULT;
}

int64_t sys_sysinfo(struct task *task, const uint64_t *arg)
{
	struct tmm_machine *machine = task->config->machine;
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct sysinfo info = {0}, host;

	if (sysinfo(&host) == 0)
		info.uptime = host.uptime;
	info.totalram = tmm_pages_managed_count(pages) << TMM_PAGE_SHIFT;
	info.freeram = tmm_pages_free_count(pages) << TMM_PAGE_SHIFT;
	info.procs = 1;
	info.mem_unit = 1;
	return user_put(task, arg[0], &info, sizeof(info));
}

int64_t sys_uname(struct task *task, const uint64_t *arg)
{
	struct utsname name;

	if (uname(&name))
		return -errno;
	return user_put(task, arg[0], &name, sizeof(name));
}

int64_t sys_getrandom(struct task *task, const uint64_t *arg)
{
	uint64_t total = arg[1] < RANDOM_MAX ? arg[1] : RANDOM_MAX, done = 0;

	if (arg[2] & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < total) {
		unsigned char bytes[256];
		size_t part = total - done < sizeof(bytes) ? total - done : sizeof(bytes);

		task_random_fill(task, bytes, part);
		if (user_put(task, arg[0] + done, bytes, part))
			return done ? (int64_t)done : -EFAULT;
		done += part;
	}
	return (int64_t)done;
}

/* One CPU: the program has one thread. */
int64_t sys_sched_getaffinity(struct task *task, const uint64_t *arg)
{
	const uint64_t mask = 1;

	if (!is_self(arg[0]))
		return -ESRCH;
	if (arg[1] < sizeof(mask) || arg[1] % sizeof(mask))
		return -EINVAL;
	return user_put(task, arg[2], &mask, sizeof(mask)) ? -EFAULT : (int64_t)sizeof(mask);
}

int64_t sys_sched_setaffinity(struct task *task, const uint64_t *arg)
{
	uint64_t mask = 0;

	if (!is_self(arg[0]))
		return -ESRCH;
	if (user_get(task, &mask, arg[2], arg[1] < sizeof(mask) ? arg[1] : sizeof(mask)))
		return -EFAULT;
	return mask & 1 ? 0 : -EINVAL;
}

int64_t sys_sched_getscheduler(struct task *task, const uint64_t *arg)
{
	(void)task;
	return is_self(arg[0]) ? SCHED_OTHER : -ESRCH;
}

int64_t sys_sched_getparam(struct task *task, const uint64_t *arg)
{
	const int32_t priority = 0;

	return is_self(arg[0]) ? user_put(task, arg[1], &priority, sizeof(priority)) : -ESRCH;
}

int64_t sys_getcpu(struct task *task, const uint64_t *arg)
{
	const uint32_t zero = 0;

	for (unsigned i = 0; i < 2; i++)
		if (arg[i] && user_put(task, arg[i], &zero, sizeof(zero)))
			return -EFAULT;
	return 0;
}

int64_t sys_membarrier(struct task *task, const uint64_t *arg)
{
	(void)task;
	switch ((int)arg[0]) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	case MEMBARRIER_CMD_GLOBAL: /* with one thread there is nothing to order */
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		return 0;
	default:
		return -EINVAL;
	}
}

/* Wait on a word nobody else can change: until the time is over, or a signal. */
static int64_t futex_wait(struct task *task, const uint64_t *arg, bool absolute, bool realtime)
{
	uint64_t deadline = UINT64_MAX;
	struct timespec wait, now;
	uint32_t word;
	int err;

	if (arg[0] % sizeof(word))
		return -EINVAL;
	if (user_get(task, &word, arg[0], sizeof(word)))
		return -EFAULT;
	if (word != (uint32_t)arg[2])
		return -EAGAIN;
	if (arg[3]) {
		err = user_timespec(task, &wait, arg[3]);
		if (err)
			return err;
		if (absolute) {
			clock_gettime(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
			wait.tv_sec -= now.tv_sec;
			wait.tv_nsec -= now.tv_nsec;
			if (wait.tv_nsec < 0) {
				wait.tv_sec--;
				wait.tv_nsec += 1000000000;
			}
		}
		deadline = wait.tv_sec < 0 ? 0 : deadline_after(&wait);
	}
	err = signal_wait_until(task, deadline);
	if (!err)
		return -ETIMEDOUT;
	return arg[3] ? err : -RESTARTSYS;
}

int64_t sys_futex(struct task *task, const uint64_t *arg)
{
	bool realtime = arg[1] & FUTEX_CLOCK_REALTIME;

	switch ((int)arg[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return futex_wait(task, arg, false, realtime);
	case FUTEX_WAIT_BITSET:
		return futex_wait(task, arg, true, realtime);
	case FUTEX_WAKE: /* nobody waits: the only thread is here */
	case FUTEX_WAKE_BITSET:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		return 0;
	default:
		return -ENOSYS;
	}
}
