/*
 * path.c - path names of the program, made fit for the host
 */
#define _GNU_SOURCE
#include "path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* "/proc/100", "/proc/self", "/proc/thread-self" are all the program: what follows. */
static const char *skip_self(const char *name)
{
	const char *rest = skip(name, "/proc/self");
	char own[24];

	if (!rest)
		rest = skip(name, "/proc/thread-self");
	if (!rest) {
		snprintf(own, sizeof(own), "/proc/%d", TASK_PID);
		rest = skip(name, own);
	}
	return rest && (*rest == '\0' || *rest == '/') ? rest : NULL;
}

/* The host's name of the program's descriptor; one that is not open has none there. */
static void name_fd(struct task *task, const char *digits, struct path *out)
{
	char *end = NULL;
	long fd = isdigit((unsigned char)*digits) ? strtol(digits, &end, 10) : -1;
	struct open_file *open = fd_get(&task->fds, fd);

	if (open && (*end == '\0' || *end == '/'))
		snprintf(out->name, sizeof(out->name), "/proc/self/fd/%d%.*s", open->host,
		         (int)sizeof(out->name) - 40, end);
	else
		snprintf(out->name, sizeof(out->name), "/proc/self/fd/none");
}

/* Names that mean something else for the program than for tuxmm. */
static void translate(struct task *task, const char *name, struct path *out)
{
	static const char *const std[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
	static const char *const std_fd[] = {"0", "1", "2"};
	const char *rest = skip_self(name), *digits;

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(name, std[i]) == 0)
			name_fd(task, std_fd[i], out);
	digits = skip(name, "/dev/fd/");
	if (digits)
		name_fd(task, digits, out);
	if (!rest)
		return;
	snprintf(out->asked, sizeof(out->asked), "/proc/self%.*s", (int)PATH_MAX - 16, rest);
	snprintf(out->name, sizeof(out->name), "/proc/self%.*s", (int)PATH_MAX - 16, rest);
	digits = skip(rest, "/fd/");
	if (digits)
		name_fd(task, digits, out);
	rest = skip(rest, "/cwd");
	if (rest && (*rest == '\0' || *rest == '/'))
		snprintf(out->name, sizeof(out->name), "/proc/self/fd/%d%.*s", task->cwd_fd,
		         (int)PATH_MAX - 40, rest);
	if (task->exe_path && strcmp(out->asked, "/proc/self/exe") == 0)
		snprintf(out->name, sizeof(out->name), "%s", task->exe_path);
}

int path_make(struct task *task, int64_t dirfd, const char *name, struct path *out)
{
	struct open_file *open;

	if (strlen(name) >= sizeof(out->name))
		return -ENAMETOOLONG;
	if (name != out->name)
		memcpy(out->name, name, strlen(name) + 1);
	memcpy(out->asked, out->name, strlen(out->name) + 1);
	out->dir = task->cwd_fd;
	if (out->asked[0] == '/') {
		if (out->asked[1] == 'p' || out->asked[1] == 'd') {
			char copy[PATH_MAX];

			memcpy(copy, out->asked, strlen(out->asked) + 1);
			translate(task, copy, out);
		}
		return out->asked[1] == 's' ? sys_tree_find(task, out) : 0;
	}
	if (dirfd != AT_FDCWD) {
		open = fd_get(&task->fds, dirfd);
		if (!open)
			return -EBADF;
		out->dir = open->host;
	}
	sys_tree_name(task, out);
	return 0;
}

int path_get(struct task *task, int64_t dirfd, uint64_t at, struct path *out)
{
	int64_t length = user_string(task, out->name, at, sizeof(out->name));

	if (length < 0)
		return (int)length;
	return path_make(task, (int32_t)dirfd, out->name, out);
}

bool path_of_host(int host, char out[PATH_MAX])
{
	char link[40];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", host);
	length = readlink(link, out, PATH_MAX - 1);
	out[length > 0 ? length : 0] = '\0';
	return length >= 0;
}
