/*
 * sys_time.c - clocks, sleeping, timers: the host's
 *
 * The processor time of the program is the time its code ran plus tuxmm's own on
 * its behalf, as Linux counts user and system time.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#define NS         INT64_C(1000000000)
#define TICK_NS    (NS / 100)
#define CPU_CLOCKS 4 /* CLOCK_PROCESS_CPUTIME_ID 2 and CLOCK_THREAD_CPUTIME_ID 3 are below */

int user_timespec(struct task *task, struct timespec *to, uint64_t from)
{
	if (user_get(task, to, from, sizeof(*to)))
		return -EFAULT;
	return to->tv_sec < 0 || to->tv_nsec < 0 || to->tv_nsec >= NS ? -EINVAL : 0;
}

uint64_t deadline_after(const struct timespec *wait)
{
	uint64_t now = task_now_ns();
	uint64_t seconds = (uint64_t)wait->tv_sec;

	if (seconds > (uint64_t)INT64_MAX / (uint64_t)NS - now / (uint64_t)NS - 2)
		return UINT64_MAX - 1; /* longer than any machine lasts */
	return now + seconds * (uint64_t)NS + (uint64_t)wait->tv_nsec;
}

static uint64_t system_ns(void)
{
	struct timespec own;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	return (uint64_t)own.tv_sec * (uint64_t)NS + (uint64_t)own.tv_nsec;
}

static bool is_cpu_clock(uint64_t clock)
{
	return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID ||
	       (int32_t)clock < 0;
}

int64_t sys_clock_gettime(struct task *task, const uint64_t *arg)
{
	struct timespec now;

	if (is_cpu_clock(arg[0])) {
		uint64_t ns = task->user_ns + system_ns();

		now = (struct timespec){(time_t)(ns / (uint64_t)NS), (long)(ns % (uint64_t)NS)};
	} else if (clock_gettime((clockid_t)arg[0], &now)) {
		return -errno;
	}
	return user_put(task, arg[1], &now, sizeof(now));
}

int64_t sys_clock_getres(struct task *task, const uint64_t *arg)
{
	struct timespec resolution;
	clockid_t clock = is_cpu_clock(arg[0]) ? CLOCK_PROCESS_CPUTIME_ID : (clockid_t)arg[0];

	if (clock_getres(clock, &resolution))
		return -errno;
	return arg[1] ? user_put(task, arg[1], &resolution, sizeof(resolution)) : 0;
}

int64_t sys_gettimeofday(struct task *task, const uint64_t *arg)
{
	struct timeval now;
	const int32_t zone[2] = {0, 0};

	gettimeofday(&now, NULL);
	if (arg[0] && user_put(task, arg[0], &now, sizeof(now)))
		return -EFAULT;
	return arg[1] ? user_put(task, arg[1], zone, sizeof(zone)) : 0;
}

int64_t sys_time(struct task *task, const uint64_t *arg)
{
	int64_t now = time(NULL);

	return arg[0] && user_put(task, arg[0], &now, sizeof(now)) ? -EFAULT : now;
}

int64_t sys_times(struct task *task, const uint64_t *arg)
{
	int64_t ticks[4] = {(int64_t)task->user_ns / TICK_NS, (int64_t)system_ns() / TICK_NS};

	if (arg[0] && user_put(task, arg[0], ticks, sizeof(ticks)))
		return -EFAULT;
	return (int64_t)task_now_ns() / TICK_NS;
}

int64_t sys_getrusage(struct task *task, const uint64_t *arg)
{
	struct rusage usage = {0};
	struct tmm_mm_usage mm;
	uint64_t system = system_ns();

	if ((int32_t)arg[0] == RUSAGE_SELF || (int32_t)arg[0] == RUSAGE_THREAD) {
		task_usage(task, &mm);
		usage.ru_utime.tv_sec = (time_t)(task->user_ns / (uint64_t)NS);
		usage.ru_utime.tv_usec = (suseconds_t)(task->user_ns % (uint64_t)NS / 1000);
		usage.ru_stime.tv_sec = (time_t)(system / (uint64_t)NS);
		usage.ru_stime.tv_usec = (suseconds_t)(system % (uint64_t)NS / 1000);
		usage.ru_maxrss = (long)(mm.peak_rss_pages * (TMM_PAGE_SIZE / 1024));
		usage.ru_minflt = (long)mm.minor_faults;
		usage.ru_majflt = (long)mm.major_faults;
	} else if ((int32_t)arg[0] != RUSAGE_CHILDREN) {
		return -EINVAL;
	}
	return user_put(task, arg[1], &usage, sizeof(usage));
}

/* The clocks that sleeping knows, in terms of CLOCK_MONOTONIC. */
static int sleep_deadline(uint64_t clock, bool absolute, const struct timespec *wait,
                          uint64_t *out)
{
	struct timespec now, rest;

	if (clock >= CPU_CLOCKS && clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
		return -EINVAL;
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return -EOPNOTSUPP;
	*out = deadline_after(wait);
	if (!absolute)
		return 0;
	clock_gettime((clockid_t)clock, &now);
	if (wait->tv_sec < now.tv_sec ||
	    (wait->tv_sec == now.tv_sec && wait->tv_nsec <= now.tv_nsec)) {
		*out = 0;
		return 0;
	}
	rest.tv_sec = wait->tv_sec - now.tv_sec;
	rest.tv_nsec = wait->tv_nsec - now.tv_nsec;
	if (rest.tv_nsec < 0) {
		rest.tv_sec--;
		rest.tv_nsec += NS;
	}
	*out = deadline_after(&rest);
	return 0;
}

int64_t sys_clock_nanosleep(struct task *task, const uint64_t *arg)
{
	bool absolute = arg[1] & TIMER_ABSTIME;
	struct timespec wait;
	uint64_t deadline = 0, now;
	int err = user_timespec(task, &wait, arg[2]);

	if (!err)
		err = sleep_deadline(arg[0], absolute, &wait, &deadline);
	if (!err)
		err = signal_wait_until(task, deadline);
	if (err != -EINTR || absolute || !arg[3])
		return err;
	now = task_now_ns();
	wait = (struct timespec){0};
	if (deadline > now)
		wait = (struct timespec){(time_t)((deadline - now) / (uint64_t)NS),
		                         (long)((deadline - now) % (uint64_t)NS)};
	return user_put(task, arg[3], &wait, sizeof(wait)) ? -EFAULT : -EINTR;
}

int64_t sys_nanosleep(struct task *task, const uint64_t *arg)
{
	return sys_clock_nanosleep(task,
	                           (const uint64_t[4]){CLOCK_MONOTONIC, 0, arg[0], arg[1]});
}

/* The host's timer signals tuxmm, which hands the signal on. */
int64_t sys_setitimer(struct task *task, const uint64_t *arg)
{
	struct itimerval new = {0}, old;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	if (arg[1] && user_get(task, &new, arg[1], sizeof(new)))
		return -EFAULT;
	if (setitimer(ITIMER_REAL, &new, &old))
		return -errno;
	return arg[2] ? user_put(task, arg[2], &old, sizeof(old)) : 0;
}

int64_t sys_getitimer(struct task *task, const uint64_t *arg)
{
	struct itimerval now;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	if (getitimer(ITIMER_REAL, &now))
		return -errno;
	return user_put(task, arg[1], &now, sizeof(now));
}

int64_t sys_alarm(struct task *task, const uint64_t *arg)
{
	(void)task;
	return alarm((unsigned)arg[0]);
}
