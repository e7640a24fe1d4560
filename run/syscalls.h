/*
 * syscalls.h - the system calls of x86-64 Linux
 *
 * syscall_list.def names all of them: CALL(number, name) is served by
 * sys_name(), NONE(number, name) is answered ENOSYS, counted, and reported.
 *
 * A handler gets the six arguments as the program passed them and returns what
 * Linux would: a value, or a negated errno.  -RESTARTSYS says that a signal
 * interrupted it, and it begins again unless the signal's handler wants EINTR.
 */
#ifndef TUXMM_RUN_SYSCALLS_H
#define TUXMM_RUN_SYSCALLS_H

#include <errno.h>
#include <sys/stat.h>

#include "signals.h"
#include "task.h"

#define CALL(number, name) int64_t sys_##name(struct task *task, const uint64_t *arg);
#define NONE(number, name)
#include "syscall_list.def"
#undef CALL
#undef NONE

/* Serve the call the registers ask for; the answer is in rax. */
void syscall_do(struct task *task);

/* The name of a call; NULL: Linux has none of that number. */
const char *syscall_name(uint64_t number);

/* What a host call returned, as the kernel returns it. */
static inline int64_t host_result(int64_t value)
{
	return value < 0 ? -errno : value;
}

/*
 * A host call that may wait: made again until it is not interrupted, or a signal
 * for the task is there.
 */
#define HOST_WAIT(task, out, call)                                                             \
	do {                                                                                   \
		(out) = host_result(call);                                                     \
		if ((out) == -EINTR && signal_interrupted(task))                               \
			(out) = -RESTARTSYS;                                                   \
	} while ((out) == -EINTR)

/* Timespecs in user memory: 0 or -EFAULT, -EINVAL when not normalised. */
struct timespec;
int user_timespec(struct task *task, struct timespec *to, uint64_t from);

/* When a wait of that length from now on ends, for signal_wait_until(). */
uint64_t deadline_after(const struct timespec *wait);

/* For select, ppoll and the like: replace the mask until a handler was entered. */
int signal_mask_swap(struct task *task, uint64_t mask_at, uint64_t mask_bytes);

/* Undo it, unless a signal is to be delivered under the new mask: -EINTR then. */
int64_t signal_mask_back(struct task *task, int64_t answer);

/*
 * proc_files.c: open a file of /proc or /sys, named as struct path's `asked`.  False:
 * the host's is meant; else *out is a host descriptor or an error, -ENOENT where the
 * machine has no such file, whatever the host has.
 */
bool proc_open(struct task *task, const char *path, int flags, int *out);

/* The same for its state; *out is 0 or an error. */
bool proc_stat(struct task *task, const char *path, struct stat *st, int *out);

/* What is written to such a file that was opened for it: the bytes taken, or an error. */
int64_t proc_set(struct task *task, const char *path, const char *text, size_t bytes);

#endif
