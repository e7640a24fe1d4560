/*
 * sys_exec.c - execve: another program in the place of this one
 *
 *   copy     path, arguments, environment leave user memory
 *   load     task_load(): whatever it refuses, the old program goes on
 *   replace  the address space, then what belonged to the old program
 *
 * After its address space is gone the old program cannot be told of an error: the
 * task dies, as on Linux.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "load.h"
#include "path.h"
#include "stack.h"

#define CWD ((uint64_t)(int64_t)AT_FDCWD)

/* What a program hands to the next, in our memory. */
struct exec {
	char name[PATH_MAX];
	char scratch[STACK_MAX_STRING + 1];
	char **argv, **envp; /* each string has memory of its own; NULL at the end */
	uint64_t room;       /* bytes that strings and pointers may still take */
};

static void strings_free(char **strings)
{
	for (char **string = strings; string && *string; string++)
		free(*string);
	free(strings);
}

/* How many pointers stand at `at` before a NULL; -EFAULT, -E2BIG. */
static int64_t count_pointers(struct task *task, uint64_t at, uint64_t most)
{
	uint64_t pointer;

	for (uint64_t nr = 0;; nr++) {
		if (user_get(task, &pointer, at + nr * 8, 8))
			return -EFAULT;
		if (!pointer)
			return (int64_t)nr;
		if (nr >= most)
			return -E2BIG;
	}
}

static int copy_string(struct task *task, struct exec *exec, uint64_t from, char **out)
{
	int64_t length = user_string(task, exec->scratch, from, sizeof(exec->scratch));
	uint64_t bytes = (uint64_t)length + 1;

	if (length < 0)
		return length == -ENAMETOOLONG ? -E2BIG : (int)length;
	if (bytes > STACK_MAX_STRING || bytes > exec->room)
		return -E2BIG;
	exec->room -= bytes;
	*out = run_alloc(bytes);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, exec->scratch, bytes);
	return 0;
}

/* The strings that the vector at `at` points to; a NULL vector is an empty one. */
static int copy_strings(struct task *task, struct exec *exec, uint64_t at, char ***out)
{
	int64_t nr = at ? count_pointers(task, at, exec->room / 8) : 0;
	int err = nr < 0 ? (int)nr : 0;

	if (err)
		return err;
	exec->room -= (uint64_t)nr * 8;
	*out = run_alloc(((size_t)nr + 1) * sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (int64_t i = 0; i < nr && !err; i++) {
		uint64_t pointer;

		err = user_get(task, &pointer, at + (uint64_t)i * 8, 8);
		if (!err)
			err = copy_string(task, exec, pointer, &(*out)[i]);
	}
	return err;
}

/* What a program loses when another takes its place; what it keeps is not named. */
static void shed(struct task *task)
{
	struct task_signals *signals = &task->signals;

	fd_close_on_exec(&task->fds);
	for (int signal = 1; signal <= TASK_NSIG; signal++) {
		bool ignored = signals->action[signal].handler == (uint64_t)(uintptr_t)SIG_IGN;

		signals->action[signal] = (struct task_action){
			.handler = ignored ? (uint64_t)(uintptr_t)SIG_IGN : 0};
	}
	signals->restore = false;
	signals->alt_sp = signals->alt_bytes = signals->alt_flags = 0;
	task->dumpable = 1;
}

/* There is no program left to go on. */
static void die(struct task *task, const struct load_failure *failure)
{
	bool oom = failure->err == -ENOMEM;

	task->result->oom = oom && !task->ended;
	task_kill(task, oom ? SIGKILL : SIGSEGV, "execve: %s", failure->why);
}

static int64_t replace(struct task *task, struct exec *exec, bool hidden)
{
	const struct load_request request = {
		.name = exec->name, .hidden = hidden, .argv = exec->argv, .envp = exec->envp};
	struct load_failure failure;
	int status = task_load(task, &request, &failure);

	if (status && !failure.replaced)
		return failure.err;
	shed(task);
	if (status) {
		die(task, &failure);
		return 0;
	}
	status = task_open_cpu(task);
	if (status)
		task_exit(task, status);
	return 0;
}

static int64_t copy_and_replace(struct task *task, struct exec *exec, uint64_t argv,
                                uint64_t envp, bool hidden)
{
	int64_t answer;

	exec->room = stack_room(task->limits[RLIMIT_STACK][0]);
	answer = copy_strings(task, exec, argv, &exec->argv);
	if (!answer)
		answer = copy_strings(task, exec, envp, &exec->envp);
	if (!answer)
		answer = replace(task, exec, hidden);
	strings_free(exec->argv);
	strings_free(exec->envp);
	return answer;
}

/* Is the last part of the path a symbolic link? */
static bool is_link(struct task *task, int64_t dirfd, const char *name)
{
	struct path path;
	struct stat st;

	return path_make(task, dirfd, name, &path) == 0 &&
	       fstatat(path.dir, path.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISLNK(st.st_mode);
}

/*
 * The program's name as Linux has it: a path relative to a descriptor goes through
 * /dev/fd.
 */
static int make_name(struct task *task, int64_t dirfd, const char *given, int flags,
                     char name[PATH_MAX])
{
	bool relative = given[0] != '/' && dirfd != AT_FDCWD;
	int length;

	if (!*given && !(flags & AT_EMPTY_PATH))
		return -ENOENT;
	if (relative && !fd_get(&task->fds, dirfd))
		return -EBADF;
	if (*given && (flags & AT_SYMLINK_NOFOLLOW) && is_link(task, dirfd, given))
		return -ELOOP;
	if (relative)
		length = snprintf(name, PATH_MAX, "/dev/fd/%d%s%s", (int)dirfd,
		                  *given ? "/" : "", given);
	else
		length = snprintf(name, PATH_MAX, "%s", *given ? given : ".");
	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int64_t sys_execveat(struct task *task, const uint64_t *arg)
{
	int64_t dirfd = (int32_t)arg[0], answer;
	struct exec *exec;
	bool hidden;

	if (arg[4] & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	exec = run_alloc(sizeof(*exec));
	if (!exec)
		return -ENOMEM;
	answer = user_string(task, exec->scratch, arg[1], PATH_MAX);
	if (answer >= 0)
		answer = make_name(task, dirfd, exec->scratch, (int)arg[4], exec->name);
	hidden = dirfd != AT_FDCWD && exec->scratch[0] != '/' && fd_cloexec(&task->fds, dirfd);
	if (!answer)
		answer = copy_and_replace(task, exec, arg[2], arg[3], hidden);
	free(exec);
	return answer;
}

int64_t sys_execve(struct task *task, const uint64_t *arg)
{
	return sys_execveat(task, (const uint64_t[5]){CWD, arg[0], arg[1], arg[2], 0});
}
