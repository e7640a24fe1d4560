/*
 * sys_file.c - descriptors: opening, closing, duplicating, asking about
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <tuxmm/port.h>

#include "path.h"

#define MAX_DIRENTS_BYTES 32768u

/* A file of the machine's; what is written to it is the machine's business, too. */
static int64_t install_view(struct task *task, int host, int flags, const char *path)
{
	int64_t fd = fd_install(&task->fds, host, 0, flags & O_CLOEXEC);
	struct open_file *open;

	if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return fd;
	open = fd_get(&task->fds, fd);
	open->control = tmm_port_allow("open file") ? strdup(path) : NULL;
	if (open->control)
		return fd;
	fd_close(&task->fds, fd);
	return -ENOMEM;
}

static int64_t open_path(struct task *task, int64_t dirfd, uint64_t at, int flags, mode_t mode)
{
	struct path path;
	int host, err = path_get(task, dirfd, at, &path);
	int64_t answer;

	if (err)
		return err;
	if (proc_open(task, path.asked, flags, &host))
		return host < 0 ? host : install_view(task, host, flags, path.asked);
	HOST_WAIT(task, answer, openat(path.dir, path.name, flags | O_CLOEXEC, mode));
	if (answer < 0)
		return answer;
	answer = fd_install(&task->fds, (int)answer, 0, flags & O_CLOEXEC);
	if (answer >= 0 && (flags & O_TRUNC))
		files_cut(&task->files, fd_get(&task->fds, answer), 0);
	return answer;
}

int64_t sys_open(struct task *task, const uint64_t *arg)
{
	return open_path(task, AT_FDCWD, arg[0], (int)arg[1], (mode_t)arg[2]);
}

int64_t sys_openat(struct task *task, const uint64_t *arg)
{
	return open_path(task, (int32_t)arg[0], arg[1], (int)arg[2], (mode_t)arg[3]);
}

int64_t sys_creat(struct task *task, const uint64_t *arg)
{
	return open_path(task, AT_FDCWD, arg[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)arg[1]);
}

int64_t sys_close(struct task *task, const uint64_t *arg)
{
	return fd_close(&task->fds, (int32_t)arg[0]);
}

int64_t sys_close_range(struct task *task, const uint64_t *arg)
{
	uint32_t first = (uint32_t)arg[0], last = (uint32_t)arg[1];

	if (first > last || (arg[2] & ~(uint64_t)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)))
		return -EINVAL;
	for (uint32_t fd = first; fd <= last && fd < task->fds.nr_slots; fd++) {
		if (arg[2] & CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(&task->fds, fd, true);
		else
			fd_close(&task->fds, fd);
	}
	return 0;
}

int64_t sys_dup(struct task *task, const uint64_t *arg)
{
	return fd_dup(&task->fds, (int32_t)arg[0], 0, false);
}

int64_t sys_dup2(struct task *task, const uint64_t *arg)
{
	if ((int32_t)arg[0] == (int32_t)arg[1])
		return fd_get(&task->fds, (int32_t)arg[0]) ? (int32_t)arg[0] : -EBADF;
	return fd_dup_to(&task->fds, (int32_t)arg[0], (int32_t)arg[1], false);
}

int64_t sys_dup3(struct task *task, const uint64_t *arg)
{
	if (arg[2] & ~(uint64_t)O_CLOEXEC || (int32_t)arg[0] == (int32_t)arg[1])
		return -EINVAL;
	return fd_dup_to(&task->fds, (int32_t)arg[0], (int32_t)arg[1], arg[2] & O_CLOEXEC);
}

static int64_t make_pipe(struct task *task, uint64_t at, int flags)
{
	int host[2], fd[2];

	if (pipe2(host, flags | O_CLOEXEC))
		return -errno;
	fd[0] = fd_install(&task->fds, host[0], 0, flags & O_CLOEXEC);
	if (fd[0] < 0) {
		close(host[1]);
		return fd[0];
	}
	fd[1] = fd_install(&task->fds, host[1], 0, flags & O_CLOEXEC);
	if (fd[1] < 0 || user_put(task, at, fd, sizeof(fd))) {
		fd_close(&task->fds, fd[0]);
		fd_close(&task->fds, fd[1]);
		return fd[1] < 0 ? fd[1] : -EFAULT;
	}
	return 0;
}

int64_t sys_pipe(struct task *task, const uint64_t *arg)
{
	return make_pipe(task, arg[0], 0);
}

int64_t sys_pipe2(struct task *task, const uint64_t *arg)
{
	return make_pipe(task, arg[0], (int)arg[1]);
}

/* A new host descriptor becomes the program's lowest free one. */
static int64_t install(struct task *task, int host, bool cloexec)
{
	return host < 0 ? -errno : fd_install(&task->fds, host, 0, cloexec);
}

int64_t sys_eventfd2(struct task *task, const uint64_t *arg)
{
	int flags = (int)arg[1];

	return install(task, eventfd((unsigned)arg[0], flags | EFD_CLOEXEC),
	               flags & EFD_CLOEXEC);
}

int64_t sys_eventfd(struct task *task, const uint64_t *arg)
{
	return install(task, eventfd((unsigned)arg[0], EFD_CLOEXEC), false);
}

int64_t sys_memfd_create(struct task *task, const uint64_t *arg)
{
	char name[256];
	int64_t length = user_string(task, name, arg[0], sizeof(name));
	unsigned flags = (unsigned)arg[1];

	if (length < 0)
		return length == -ENAMETOOLONG ? -EINVAL : length;
	return install(task, memfd_create(name, flags | MFD_CLOEXEC), flags & MFD_CLOEXEC);
}

static int64_t lock(struct task *task, struct open_file *open, int cmd, uint64_t at)
{
	struct flock flock;
	int64_t answer;

	if (user_get(task, &flock, at, sizeof(flock)))
		return -EFAULT;
	HOST_WAIT(task, answer, fcntl(open->host, cmd, &flock));
	if (answer >= 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK) &&
	    user_put(task, at, &flock, sizeof(flock)))
		return -EFAULT;
	return answer;
}

int64_t sys_fcntl(struct task *task, const uint64_t *arg)
{
	int64_t fd = (int32_t)arg[0];
	struct open_file *open = fd_get(&task->fds, fd);
	int cmd = (int)arg[1];

	if (!open)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (arg[2] > INT32_MAX)
			return -EINVAL;
		return fd_dup(&task->fds, fd, (unsigned)arg[2], cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_cloexec(&task->fds, fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		fd_set_cloexec(&task->fds, fd, arg[2] & FD_CLOEXEC);
		return 0;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return lock(task, open, cmd, arg[2]);
	case F_GETFL:
	case F_SETFL:
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
	case F_GET_SEALS:
	case F_ADD_SEALS:
		return host_result(fcntl(open->host, cmd, arg[2]));
	default:
		return -EINVAL; /* F_SETOWN and leases: signals of the host's */
	}
}

int64_t sys_flock(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	int64_t answer;

	if (!open)
		return -EBADF;
	HOST_WAIT(task, answer, flock(open->host, (int)arg[1]));
	return answer;
}

/* On x86-64 the C library's struct stat is the kernel's. */
static int64_t put_stat(struct task *task, uint64_t to, int failed, const struct stat *st)
{
	return failed ? -errno : user_put(task, to, st, sizeof(*st));
}

int64_t sys_fstat(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	struct stat st;

	return open ? put_stat(task, arg[1], fstat(open->host, &st), &st) : -EBADF;
}

static int64_t stat_path(struct task *task, int64_t dirfd, uint64_t at, uint64_t to, int flags)
{
	struct path path;
	struct stat st;
	int err = path_get(task, dirfd, at, &path);

	if (err)
		return err;
	if (proc_stat(task, path.asked, &st, &err))
		return err ? err : user_put(task, to, &st, sizeof(st));
	return put_stat(task, to, fstatat(path.dir, path.name, &st, flags), &st);
}

int64_t sys_stat(struct task *task, const uint64_t *arg)
{
	return stat_path(task, AT_FDCWD, arg[0], arg[1], 0);
}

int64_t sys_lstat(struct task *task, const uint64_t *arg)
{
	return stat_path(task, AT_FDCWD, arg[0], arg[1], AT_SYMLINK_NOFOLLOW);
}

int64_t sys_newfstatat(struct task *task, const uint64_t *arg)
{
	return stat_path(task, (int32_t)arg[0], arg[1], arg[2], (int)arg[3]);
}

/* Of a file of the machine's. */
static void statx_of(const struct stat *st, struct statx *out)
{
	*out = (struct statx){.stx_mask = STATX_BASIC_STATS,
	                      .stx_mode = (uint16_t)st->st_mode,
	                      .stx_nlink = (uint32_t)st->st_nlink,
	                      .stx_size = (uint64_t)st->st_size,
	                      .stx_blksize = (uint32_t)st->st_blksize};
}

int64_t sys_statx(struct task *task, const uint64_t *arg)
{
	struct path path;
	struct statx stx;
	struct stat st;
	int err = path_get(task, (int32_t)arg[0], arg[1], &path);

	if (err)
		return err;
	if (proc_stat(task, path.asked, &st, &err)) {
		statx_of(&st, &stx);
		return err ? err : user_put(task, arg[4], &stx, sizeof(stx));
	}
	if (statx(path.dir, path.name, (int)arg[2], (unsigned)arg[3], &stx))
		return -errno;
	return user_put(task, arg[4], &stx, sizeof(stx));
}

int64_t sys_getdents64(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	uint64_t bytes = (uint32_t)arg[2];
	char entries[MAX_DIRENTS_BYTES];
	int64_t got;

	if (!open)
		return -EBADF;
	bytes = bytes < sizeof(entries) ? bytes : sizeof(entries);
	got = host_result(syscall(SYS_getdents64, open->host, entries, bytes));
	if (got > 0 && user_put(task, arg[1], entries, (size_t)got))
		return -EFAULT;
	return got;
}

static int64_t put_statfs(struct task *task, uint64_t to, int host)
{
	struct statfs st;

	if (fstatfs(host, &st))
		return -errno;
	return user_put(task, to, &st, sizeof(st));
}

int64_t sys_fstatfs(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);

	return open ? put_statfs(task, arg[1], open->host) : -EBADF;
}

int64_t sys_statfs(struct task *task, const uint64_t *arg)
{
	struct path path;
	int64_t answer;
	int host, err = path_get(task, AT_FDCWD, arg[0], &path);

	if (err)
		return err;
	host = openat(path.dir, path.name, O_PATH | O_CLOEXEC);
	if (host < 0)
		return -errno;
	answer = put_statfs(task, arg[1], host);
	close(host);
	return answer;
}
