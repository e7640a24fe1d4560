/*
 * sys_fs.c - names: directories, links, permissions, times
 *
 * The old calls without a directory descriptor are the *at calls with AT_FDCWD.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include "path.h"

#define CWD ((uint64_t)(int64_t)AT_FDCWD)

int64_t sys_faccessat2(struct task *task, const uint64_t *arg)
{
	struct path path;
	struct stat st;
	int err = path_get(task, (int32_t)arg[0], arg[1], &path);

	if (err)
		return err;
	if (proc_stat(task, path.asked, &st, &err)) {
		bool refused = (arg[2] & X_OK) || geteuid() != 0;

		return !err && arg[2] != F_OK && refused ? -EACCES : err;
	}
	return host_result(faccessat(path.dir, path.name, (int)arg[2], (int)arg[3]));
}

int64_t sys_faccessat(struct task *task, const uint64_t *arg)
{
	return sys_faccessat2(task, (const uint64_t[4]){arg[0], arg[1], arg[2], 0});
}

int64_t sys_access(struct task *task, const uint64_t *arg)
{
	return sys_faccessat2(task, (const uint64_t[4]){CWD, arg[0], arg[1], 0});
}

int64_t sys_readlinkat(struct task *task, const uint64_t *arg)
{
	struct path path;
	char target[PATH_MAX];
	int64_t length;
	int err = path_get(task, (int32_t)arg[0], arg[1], &path);

	if (err)
		return err;
	if ((int64_t)arg[3] <= 0)
		return -EINVAL;
	if (strcmp(path.asked, "/proc/self") == 0)
		length = snprintf(target, sizeof(target), "%d", TASK_PID);
	else if (strcmp(path.asked, "/proc/self/exe") == 0)
		length = snprintf(target, sizeof(target), "%s", task->exe_path);
	else if (strcmp(path.asked, "/proc/self/cwd") == 0)
		length = readlink(path.name, target, sizeof(target));
	else
		length = readlinkat(path.dir, path.name, target, sizeof(target));
	if (length < 0)
		return -errno;
	if ((uint64_t)length > arg[3])
		length = (int64_t)arg[3];
	return user_put(task, arg[2], target, (size_t)length) ? -EFAULT : length;
}

int64_t sys_readlink(struct task *task, const uint64_t *arg)
{
	return sys_readlinkat(task, (const uint64_t[4]){CWD, arg[0], arg[1], arg[2]});
}

int64_t sys_getcwd(struct task *task, const uint64_t *arg)
{
	static const char gone[] = " (deleted)";
	char name[PATH_MAX];
	const char *stripped;
	size_t length;

	if (!path_of_host(task->cwd_fd, name))
		return -errno;
	length = strlen(name) + 1;
	if (length > sizeof(gone) &&
	    memcmp(name + length - sizeof(gone), gone, sizeof(gone)) == 0)
		return -ENOENT;
	stripped = sys_tree_strip(task, name);
	length = strlen(stripped) + 1;
	if (length > arg[1])
		return -ERANGE;
	return user_put(task, arg[0], stripped, length) ? -EFAULT : (int64_t)length;
}

/* The directory becomes the program's; its descriptor is ours now. */
static int64_t enter_directory(struct task *task, int host)
{
	if (host < 0)
		return -errno;
	if (faccessat(host, ".", X_OK, AT_EACCESS)) {
		int64_t err = -errno;

		close(host);
		return err;
	}
	close(task->cwd_fd);
	task->cwd_fd = host;
	return 0;
}

int64_t sys_chdir(struct task *task, const uint64_t *arg)
{
	struct path path;
	int err = path_get(task, AT_FDCWD, arg[0], &path);

	if (err)
		return err;
	return enter_directory(task,
	                       openat(path.dir, path.name, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int64_t sys_fchdir(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);

	if (!open)
		return -EBADF;
	return enter_directory(task, openat(open->host, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* A call on one path relative to arg[0], named by arg[1]. */
#define ON_PATH(name, call)                                                                    \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		struct path path;                                                              \
		int err = path_get(task, (int32_t)arg[0], arg[1], &path);                      \
                                                                                               \
		return err ? err : host_result(call);                                          \
	}

ON_PATH(mkdirat, mkdirat(path.dir, path.name, (mode_t)arg[2]))
ON_PATH(mknodat, mknodat(path.dir, path.name, (mode_t)arg[2], (dev_t)arg[3]))
ON_PATH(unlinkat, unlinkat(path.dir, path.name, (int)arg[2]))
ON_PATH(fchmodat, fchmodat(path.dir, path.name, (mode_t)arg[2], 0))
ON_PATH(fchownat, fchownat(path.dir, path.name, (uid_t)arg[2], (gid_t)arg[3], (int)arg[4]))

/* The same call with AT_FDCWD before its arguments and `extra` behind them. */
#define AT_CWD(name, at_name, nr, extra)                                                       \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		uint64_t more[6] = {CWD};                                                      \
                                                                                               \
		memcpy(more + 1, arg, (nr) * sizeof(*arg));                                    \
		more[1 + (nr)] = (extra);                                                      \
		return sys_##at_name(task, more);                                              \
	}

AT_CWD(mkdir, mkdirat, 2, 0)
AT_CWD(mknod, mknodat, 3, 0)
AT_CWD(rmdir, unlinkat, 1, AT_REMOVEDIR)
AT_CWD(unlink, unlinkat, 1, 0)
AT_CWD(chmod, fchmodat, 2, 0)
AT_CWD(chown, fchownat, 3, 0)
AT_CWD(lchown, fchownat, 3, AT_SYMLINK_NOFOLLOW)

int64_t sys_fchmod(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);

	return open ? host_result(fchmod(open->host, (mode_t)arg[1])) : -EBADF;
}

int64_t sys_fchown(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);

	return open ? host_result(fchown(open->host, (uid_t)arg[1], (gid_t)arg[2])) : -EBADF;
}

/* Two paths: (dir, name) at arg[0..1] and arg[2..3]. */
static int two_paths(struct task *task, const uint64_t *arg, struct path *from, struct path *to)
{
	int err = path_get(task, (int32_t)arg[0], arg[1], from);

	return err ? err : path_get(task, (int32_t)arg[2], arg[3], to);
}

int64_t sys_renameat2(struct task *task, const uint64_t *arg)
{
	struct path from, to;
	int err = two_paths(task, arg, &from, &to);

	return err ? err
	           : host_result(
			     renameat2(from.dir, from.name, to.dir, to.name, (unsigned)arg[4]));
}

int64_t sys_renameat(struct task *task, const uint64_t *arg)
{
	return sys_renameat2(task, (const uint64_t[5]){arg[0], arg[1], arg[2], arg[3], 0});
}

int64_t sys_rename(struct task *task, const uint64_t *arg)
{
	return sys_renameat2(task, (const uint64_t[5]){CWD, arg[0], CWD, arg[1], 0});
}

int64_t sys_linkat(struct task *task, const uint64_t *arg)
{
	struct path from, to;
	int err = two_paths(task, arg, &from, &to);

	return err ? err
	           : host_result(linkat(from.dir, from.name, to.dir, to.name, (int)arg[4]));
}

int64_t sys_link(struct task *task, const uint64_t *arg)
{
	return sys_linkat(task, (const uint64_t[5]){CWD, arg[0], CWD, arg[1], 0});
}

int64_t sys_symlinkat(struct task *task, const uint64_t *arg)
{
	char target[PATH_MAX];
	struct path path;
	int64_t length = user_string(task, target, arg[0], sizeof(target));
	int err;

	if (length < 0)
		return length;
	err = path_get(task, (int32_t)arg[1], arg[2], &path);
	return err ? err : host_result(symlinkat(target, path.dir, path.name));
}

int64_t sys_symlink(struct task *task, const uint64_t *arg)
{
	return sys_symlinkat(task, (const uint64_t[3]){arg[0], CWD, arg[1]});
}

int64_t sys_truncate(struct task *task, const uint64_t *arg)
{
	struct open_file open = {0};
	struct path path;
	struct stat st;
	int64_t answer;
	int err = path_get(task, AT_FDCWD, arg[0], &path);

	if (err)
		return err;
	if ((int64_t)arg[1] < 0)
		return -EINVAL;
	open.host = openat(path.dir, path.name, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (open.host < 0)
		return -errno;
	if (fstat(open.host, &st) == 0) {
		open.mode = st.st_mode;
		open.device = st.st_dev;
		open.inode = st.st_ino;
	}
	files_before(&task->files, &open);
	answer = host_result(ftruncate(open.host, (off_t)arg[1]));
	if (!answer)
		files_cut(&task->files, &open, (int64_t)arg[1]);
	close(open.host);
	return answer;
}

int64_t sys_umask(struct task *task, const uint64_t *arg)
{
	mode_t old = task->umask;

	task->umask = (mode_t)arg[0] & 0777;
	umask(task->umask);
	return old;
}

static int64_t set_times(struct task *task, int64_t dirfd, uint64_t at,
                         const struct timespec *times, int flags)
{
	struct open_file *open;
	struct path path;
	int err;

	if (!at) { /* futimens() */
		open = fd_get(&task->fds, (int32_t)dirfd);
		return open ? host_result(futimens(open->host, times)) : -EBADF;
	}
	err = path_get(task, dirfd, at, &path);
	return err ? err : host_result(utimensat(path.dir, path.name, times, flags));
}

int64_t sys_utimensat(struct task *task, const uint64_t *arg)
{
	struct timespec times[2];

	if (arg[2] && user_get(task, times, arg[2], sizeof(times)))
		return -EFAULT;
	return set_times(task, (int32_t)arg[0], arg[1], arg[2] ? times : NULL, (int)arg[3]);
}

int64_t sys_futimesat(struct task *task, const uint64_t *arg)
{
	struct timeval seconds[2];
	struct timespec times[2];

	if (arg[2] && user_get(task, seconds, arg[2], sizeof(seconds)))
		return -EFAULT;
	for (int i = 0; arg[2] && i < 2; i++) {
		if (seconds[i].tv_usec < 0 || seconds[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i] = (struct timespec){seconds[i].tv_sec, seconds[i].tv_usec * 1000};
	}
	return set_times(task, (int32_t)arg[0], arg[1], arg[2] ? times : NULL, 0);
}

int64_t sys_utimes(struct task *task, const uint64_t *arg)
{
	return sys_futimesat(task, (const uint64_t[3]){CWD, arg[0], arg[1]});
}

int64_t sys_utime(struct task *task, const uint64_t *arg)
{
	int64_t seconds[2];
	struct timespec times[2];

	if (arg[1] && user_get(task, seconds, arg[1], sizeof(seconds)))
		return -EFAULT;
	for (int i = 0; arg[1] && i < 2; i++)
		times[i] = (struct timespec){seconds[i], 0};
	return set_times(task, AT_FDCWD, arg[0], arg[1] ? times : NULL, 0);
}

/* Extended attributes: as on a file system that has none. */
static int64_t no_attributes(struct task *task, const uint64_t *arg)
{
	(void)task;
	(void)arg;
	return -EOPNOTSUPP;
}

#define NO_ATTRIBUTES(name)                                                                    \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		return no_attributes(task, arg);                                               \
	}

NO_ATTRIBUTES(setxattr)
NO_ATTRIBUTES(lsetxattr)
NO_ATTRIBUTES(fsetxattr)
NO_ATTRIBUTES(getxattr)
NO_ATTRIBUTES(lgetxattr)
NO_ATTRIBUTES(fgetxattr)
NO_ATTRIBUTES(listxattr)
NO_ATTRIBUTES(llistxattr)
NO_ATTRIBUTES(flistxattr)
NO_ATTRIBUTES(removexattr)
NO_ATTRIBUTES(lremovexattr)
NO_ATTRIBUTES(fremovexattr)
