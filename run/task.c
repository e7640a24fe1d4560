/*
 * task.c - how a task ends, its user memory, its randomness
 */
#define _GNU_SOURCE
#include "task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tuxmm/page_debug.h>
#include <tuxmm/port.h>

#define MAX_RW_BYTES UINT64_C(0x7ffff000) /* Linux moves no more in one call */

void *run_alloc(size_t bytes)
{
	return tmm_port_allow("run") ? calloc(1, bytes ? bytes : 1) : NULL;
}

void task_exit(struct task *task, int status)
{
	if (task->ended)
		return;
	task->ended = true;
	task->result->status = status & 255;
}

void task_kill(struct task *task, int signal, const char *format, ...)
{
	va_list args;

	if (task->ended)
		return;
	task_exit(task, 128 + signal);
	task->result->signal = signal;
	va_start(args, format);
	vsnprintf(task->result->why, sizeof(task->result->why), format, args);
	va_end(args);
}

bool task_note_oom(void *arg, tmm_gfp gfp, unsigned order)
{
	struct task *task = arg;

	task->oom_gfp = gfp;
	task->oom_order = order;
	return false;
}

/* "gfp_mask=..., order=..., " of the request that nothing was left for, if one said so. */
struct oom_text {
	size_t used;
	char text[160];
};

static void oom_write(void *arg, const char *piece, size_t bytes)
{
	struct oom_text *out = arg;

	if (bytes > sizeof(out->text) - 1 - out->used)
		bytes = sizeof(out->text) - 1 - out->used;
	memcpy(out->text + out->used, piece, bytes);
	out->used += bytes;
}

static struct oom_text oom_request(const struct task *task)
{
	struct oom_text out = {.used = 0};
	const struct tmm_sink sink = {.write = oom_write, .arg = &out};

	if (!task->oom_gfp)
		return out;
	out.used = (size_t)snprintf(out.text, sizeof(out.text), "gfp_mask=");
	tmm_gfp_show(task->oom_gfp, &sink);
	snprintf(out.text + out.used, sizeof(out.text) - out.used, ", order=%u; ",
	         task->oom_order);
	return out;
}

void task_oom(struct task *task, uint64_t addr, const char *wanted)
{
	struct tmm_pages *pages = tmm_machine_pages(task->config->machine);
	const struct oom_text request = oom_request(task);
	struct tmm_mm_usage usage;
	uint64_t free_pages = 0, min_pages = 0;
	struct tmm_zone_info zone;

	if (task->ended)
		return;
	for (unsigned i = 0; i < tmm_pages_nr_nodes(pages) * TMM_NR_ZONES; i++) {
		if (!tmm_zone_info(pages, i / TMM_NR_ZONES,
		                   (enum tmm_zone_id)(i % TMM_NR_ZONES), &zone))
			continue;
		free_pages += zone.free_pages;
		min_pages += zone.watermark_min;
	}
	tmm_mm_usage(task->mm, &usage);
	task->result->oom = true;
	task_kill(task, SIGKILL,
	          "Out of memory: Killed process %d (%s): %s at %#llx; %s%lluK free "
	          "(min %lluK), anon-rss:%lluK, file-rss:%lluK, pgtables:%lluK; try a larger "
	          "--ram",
	          TASK_PID, task->comm, wanted, (unsigned long long)addr, request.text,
	          (unsigned long long)free_pages * 4, (unsigned long long)min_pages * 4,
	          (unsigned long long)usage.rss_pages[TMM_RSS_ANON] * 4,
	          (unsigned long long)usage.rss_pages[TMM_RSS_FILE] * 4,
	          (unsigned long long)usage.table_pages * 4);
}

uint64_t task_random(struct task *task)
{
	task->random ^= task->random >> 12;
	task->random ^= task->random << 25;
	task->random ^= task->random >> 27;
	return task->random * UINT64_C(0x2545f4914f6cdd1d);
}

void task_random_fill(struct task *task, void *to, size_t bytes)
{
	for (char *at = to; bytes;) {
		uint64_t word = task_random(task);
		size_t part = bytes < sizeof(word) ? bytes : sizeof(word);

		memcpy(at, &word, part);
		at += part;
		bytes -= part;
	}
}

uint64_t task_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void task_id(const struct task *task, struct tmm_task_id *out)
{
	const struct task_signals *signals = &task->signals;

	*out = (struct tmm_task_id){
		.name = task->comm,
		.state = 'R',
		.pid = TASK_PID,
		.ppid = TASK_PPID,
		.threads = 1,
		.uid = {getuid(), geteuid(), geteuid(), geteuid()},
		.gid = {getgid(), getegid(), getegid(), getegid()},
		.umask = task->umask,
		.fd_size = task->fds.nr_slots < 64 ? 64 : task->fds.nr_slots,
		.shd_pending = signals->pending,
		.sig_blocked = signals->blocked,
		.involuntary_switches = 0,
	};
	for (int signal = 1; signal <= TASK_NSIG; signal++) {
		uint64_t handler = signals->action[signal].handler;
		uint64_t bit = UINT64_C(1) << (signal - 1);

		if (handler == 1)
			out->sig_ignored |= bit;
		else if (handler)
			out->sig_caught |= bit;
	}
}

bool user_repair(struct task *task, uint64_t addr, unsigned access)
{
	switch (tmm_mm_fault(task->mm, addr, access)) {
	case TMM_FAULT_OK:
		return true;
	case TMM_FAULT_OOM:
		task_oom(task, addr, "a system call could not get a page");
		return false;
	default:
		return false;
	}
}

int user_get(struct task *task, void *to, uint64_t from, size_t bytes)
{
	size_t left = tmm_copy_from_user(task->mm, to, from, bytes);

	if (left && user_repair(task, from + (bytes - left), TMM_ACCESS_READ))
		left = tmm_copy_from_user(task->mm, (char *)to + (bytes - left),
		                          from + (bytes - left), left);
	return left ? -EFAULT : 0;
}

int user_put(struct task *task, uint64_t to, const void *from, size_t bytes)
{
	size_t left = tmm_copy_to_user(task->mm, to, from, bytes);

	if (left && user_repair(task, to + (bytes - left), TMM_ACCESS_WRITE))
		left = tmm_copy_to_user(task->mm, to + (bytes - left),
		                        (const char *)from + (bytes - left), left);
	return left ? -EFAULT : 0;
}

int64_t user_string(struct task *task, char *to, uint64_t from, size_t bytes)
{
	size_t length;

	switch (tmm_strncpy_from_user(task->mm, to, from, bytes, &length)) {
	case TMM_OK:
		return (int64_t)length;
	case TMM_E_RANGE:
		return -ENAMETOOLONG;
	default:
		user_repair(task, from, TMM_ACCESS_READ); /* was it memory that ran out? */
		return -EFAULT;
	}
}

int64_t user_iovecs(struct task *task, uint64_t from, uint64_t nr)
{
	uint64_t sum = 0;

	if (nr > TASK_MAX_PIECES)
		return -EINVAL;
	if (user_get(task, task->user_iov, from, nr * sizeof(*task->user_iov)))
		return -EFAULT;
	for (uint64_t i = 0; i < nr; i++) {
		struct iovec *iov = &task->user_iov[i];

		if (iov->iov_len > INT64_MAX)
			return -EINVAL;
		if (iov->iov_len > MAX_RW_BYTES - sum)
			iov->iov_len = MAX_RW_BYTES - sum;
		sum += iov->iov_len;
	}
	return (int64_t)sum;
}
