/*
 * sys_poll.c - waiting for descriptors: poll, select, epoll
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS    1024u
#define MAX_EVENTS 1024u
#define NS         UINT64_C(1000000000)

/* What poll() must look for and answer, by select()'s three sets. */
#define READABLE  (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITABLE  (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define EXCEPTION POLLPRI

/* Wait until something is ready, the deadline, or a signal of the task's: -EINTR. */
static int64_t wait_ready(struct task *task, struct pollfd *fds, unsigned nr, uint64_t deadline)
{
	for (;;) {
		uint64_t now = deadline == UINT64_MAX ? 0 : task_now_ns();
		uint64_t left = deadline > now ? deadline - now : 0;
		struct timespec wait = {(time_t)(left / NS), (long)(left % NS)};
		int64_t ready = host_result(
			ppoll(fds, nr, deadline == UINT64_MAX ? NULL : &wait, NULL));

		if (ready != -EINTR)
			return ready;
		if (signal_interrupted(task))
			return -EINTR;
	}
}

static int64_t poll_user(struct task *task, uint64_t at, uint64_t nr, uint64_t deadline)
{
	struct pollfd fds[MAX_FDS];
	int theirs[MAX_FDS];
	int64_t ready;
	unsigned closed = 0;

	if (nr > MAX_FDS)
		return -EINVAL;
	if (nr && user_get(task, fds, at, nr * sizeof(*fds)))
		return -EFAULT;
	for (unsigned i = 0; i < nr; i++) {
		struct open_file *open = fd_get(&task->fds, fds[i].fd);

		theirs[i] = fds[i].fd;
		closed += !open && fds[i].fd >= 0;
		fds[i].fd = open ? open->host : -1;
	}
	ready = wait_ready(task, fds, (unsigned)nr, closed ? 0 : deadline);
	if (ready < 0)
		return ready;
	for (unsigned i = 0; i < nr; i++) {
		if (fds[i].fd < 0 && theirs[i] >= 0)
			fds[i].revents = POLLNVAL;
		fds[i].fd = theirs[i];
	}
	if (nr && user_put(task, at, fds, nr * sizeof(*fds)))
		return -EFAULT;
	return ready + closed;
}

int64_t sys_poll(struct task *task, const uint64_t *arg)
{
	int32_t ms = (int32_t)arg[2];
	uint64_t deadline = ms < 0 ? UINT64_MAX
	                    : ms   ? task_now_ns() + (uint64_t)ms * 1000000u
	                           : 0;

	return poll_user(task, arg[0], (uint32_t)arg[1], deadline);
}

/* Linux writes the time that is left back where select and ppoll got it from. */
static void put_left(struct task *task, uint64_t at, uint64_t deadline, bool micro)
{
	uint64_t now = task_now_ns(), left = deadline > now ? deadline - now : 0;
	int64_t out[2] = {(int64_t)(left / NS), (int64_t)(left % NS)};

	if (micro)
		out[1] /= 1000;
	if (at && deadline != UINT64_MAX)
		(void)!user_put(task, at, out, sizeof(out));
}

static int deadline_at(struct task *task, uint64_t at, uint64_t *out)
{
	struct timespec wait;
	int err;

	*out = UINT64_MAX;
	if (!at)
		return 0;
	err = user_timespec(task, &wait, at);
	if (!err)
		*out = deadline_after(&wait);
	return err;
}

int64_t sys_ppoll(struct task *task, const uint64_t *arg)
{
	uint64_t deadline;
	int64_t answer = deadline_at(task, arg[2], &deadline);

	if (!answer)
		answer = signal_mask_swap(task, arg[3], arg[4]);
	if (answer)
		return answer;
	answer = poll_user(task, arg[0], (uint32_t)arg[1], deadline);
	put_left(task, arg[2], deadline, false);
	return signal_mask_back(task, answer);
}

struct sets {
	uint64_t bits[3][MAX_FDS / 64]; /* read, write, except */
};

static bool has(const struct sets *sets, unsigned which, unsigned fd)
{
	return sets->bits[which][fd / 64] >> fd % 64 & 1;
}

/* Translate the sets to a list for poll; -EBADF when one is not open. */
static int to_poll(struct task *task, const struct sets *sets, unsigned nr, struct pollfd *fds,
                   unsigned *index, unsigned *out_nr)
{
	static const short events[3] = {READABLE, WRITABLE, EXCEPTION};

	*out_nr = 0;
	for (unsigned fd = 0; fd < nr; fd++) {
		struct open_file *open = fd_get(&task->fds, fd);
		int wanted = 0;

		for (unsigned which = 0; which < 3; which++)
			if (has(sets, which, fd))
				wanted |= events[which];
		if (!wanted)
			continue;
		if (!open)
			return -EBADF;
		index[*out_nr] = fd;
		fds[(*out_nr)++] = (struct pollfd){.fd = open->host, .events = (short)wanted};
	}
	return 0;
}

static int64_t from_poll(const struct sets *asked, const struct pollfd *fds,
                         const unsigned *index, unsigned nr, struct sets *out)
{
	static const short events[3] = {READABLE, WRITABLE, EXCEPTION};
	int64_t ready = 0;

	for (unsigned i = 0; i < nr; i++)
		for (unsigned which = 0; which < 3; which++)
			if (has(asked, which, index[i]) && (fds[i].revents & events[which])) {
				out->bits[which][index[i] / 64] |= UINT64_C(1) << index[i] % 64;
				ready++;
			}
	return ready;
}

static int64_t select_user(struct task *task, int64_t nr, const uint64_t *at, uint64_t deadline)
{
	struct sets asked = {0}, out = {0};
	struct pollfd fds[MAX_FDS];
	unsigned index[MAX_FDS], nr_fds;
	size_t bytes;
	int64_t answer;

	if (nr < 0)
		return -EINVAL;
	nr = nr < MAX_FDS ? nr : MAX_FDS;
	bytes = (size_t)(nr + 63) / 64 * 8;
	for (unsigned which = 0; which < 3; which++)
		if (at[which] && user_get(task, asked.bits[which], at[which], bytes))
			return -EFAULT;
	answer = to_poll(task, &asked, (unsigned)nr, fds, index, &nr_fds);
	if (!answer)
		answer = wait_ready(task, fds, nr_fds, deadline);
	if (answer < 0)
		return answer;
	answer = from_poll(&asked, fds, index, nr_fds, &out);
	for (unsigned which = 0; which < 3; which++)
		if (at[which] && user_put(task, at[which], out.bits[which], bytes))
			return -EFAULT;
	return answer;
}

int64_t sys_select(struct task *task, const uint64_t *arg)
{
	uint64_t deadline = UINT64_MAX;
	struct timeval tv;
	int64_t answer;

	if (arg[4]) {
		if (user_get(task, &tv, arg[4], sizeof(tv)))
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		deadline = deadline_after(&(const struct timespec){
			tv.tv_sec + tv.tv_usec / 1000000, tv.tv_usec % 1000000 * 1000});
	}
	answer = select_user(task, (int32_t)arg[0], arg + 1, deadline);
	put_left(task, arg[4], deadline, true);
	return answer;
}

int64_t sys_pselect6(struct task *task, const uint64_t *arg)
{
	uint64_t deadline, mask[2] = {0};
	int64_t answer;

	if (arg[5] && user_get(task, mask, arg[5], sizeof(mask)))
		return -EFAULT;
	answer = deadline_at(task, arg[4], &deadline);
	if (!answer)
		answer = signal_mask_swap(task, mask[0], mask[1]);
	if (answer)
		return answer;
	answer = select_user(task, (int32_t)arg[0], arg + 1, deadline);
	put_left(task, arg[4], deadline, false);
	return signal_mask_back(task, answer);
}

int64_t sys_epoll_create1(struct task *task, const uint64_t *arg)
{
	int host = epoll_create1((int)arg[0] | EPOLL_CLOEXEC);

	return host < 0 ? -errno : fd_install(&task->fds, host, 0, (int)arg[0] & EPOLL_CLOEXEC);
}

int64_t sys_epoll_create(struct task *task, const uint64_t *arg)
{
	return (int32_t)arg[0] <= 0 ? -EINVAL : sys_epoll_create1(task, (const uint64_t[1]){0});
}

int64_t sys_epoll_ctl(struct task *task, const uint64_t *arg)
{
	struct open_file *epoll = fd_get(&task->fds, (int32_t)arg[0]);
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[2]);
	struct epoll_event event = {0};

	if (!epoll || !open)
		return -EBADF;
	if ((int)arg[1] != EPOLL_CTL_DEL && user_get(task, &event, arg[3], sizeof(event)))
		return -EFAULT;
	return host_result(epoll_ctl(epoll->host, (int)arg[1], open->host, &event));
}

static int64_t epoll_user(struct task *task, const uint64_t *arg, uint64_t deadline)
{
	struct open_file *epoll = fd_get(&task->fds, (int32_t)arg[0]);
	struct epoll_event events[MAX_EVENTS];
	int32_t max = (int32_t)arg[2];
	struct pollfd ready;
	int64_t got;

	if (!epoll)
		return -EBADF;
	if (max <= 0)
		return -EINVAL;
	ready = (struct pollfd){.fd = epoll->host, .events = POLLIN};
	got = wait_ready(task, &ready, 1, deadline);
	if (got < 0)
		return got;
	max = max < (int32_t)MAX_EVENTS ? max : (int32_t)MAX_EVENTS;
	got = host_result(epoll_wait(epoll->host, events, max, 0));
	if (got > 0 && user_put(task, arg[1], events, (size_t)got * sizeof(*events)))
		return -EFAULT;
	return got;
}

int64_t sys_epoll_pwait(struct task *task, const uint64_t *arg)
{
	int32_t ms = (int32_t)arg[3];
	uint64_t deadline = ms < 0 ? UINT64_MAX
	                    : ms   ? task_now_ns() + (uint64_t)ms * 1000000u
	                           : 0;
	int err = signal_mask_swap(task, arg[4], arg[5]);

	return err ? err : signal_mask_back(task, epoll_user(task, arg, deadline));
}

int64_t sys_epoll_wait(struct task *task, const uint64_t *arg)
{
	return sys_epoll_pwait(task, (const uint64_t[6]){arg[0], arg[1], arg[2], arg[3], 0, 0});
}
