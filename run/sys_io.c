/*
 * sys_io.c - reading and writing, straight into and out of the machine's frames
 *
 * A transfer goes in windows.  A window's user pages are looked up (and faulted
 * in), pinned, and given to the host's readv() or writev():
 *
 *   user range   |----------|--------------------|------------------ ...
 *   window         64 KiB          256 KiB             256 KiB
 *
 * The first is small so that a large buffer and a short read touch few pages; a
 * regular file's length bounds it further, as Linux touches only what it fills.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_WINDOW ((size_t)64 << 10)
#define NEXT_WINDOW  ((size_t)256 << 10)
#define NO_OFFSET    INT64_C(-1)

struct transfer {
	struct task *task;
	struct open_file *open;
	bool in;        /* into user memory: a read */
	int64_t offset; /* NO_OFFSET: where the file stands */
	size_t total;   /* bytes of all iovecs */
	unsigned nr;    /* iovecs in task->user_iov */
	unsigned at;    /* the one in progress ... */
	size_t skip;    /* ... and how much of it is done */
	size_t done;
};

/* Pin user pages for up to `window` bytes from here on; returns the pieces. */
static unsigned pin(struct transfer *x, size_t window, size_t *out_bytes)
{
	struct task *task = x->task;
	unsigned nr = 0, at = x->at;
	size_t skip = x->skip, sum = 0;

	while (at < x->nr && sum < window && nr < TASK_MAX_PIECES) {
		uint64_t addr = (uint64_t)(uintptr_t)task->user_iov[at].iov_base + skip;
		size_t want = task->user_iov[at].iov_len - skip, got = 0;

		want = want < window - sum ? want : window - sum;
		if (want)
			nr += (unsigned)tmm_get_user_pages(task->mm, addr, want, x->in,
			                                   task->piece + nr,
			                                   TASK_MAX_PIECES - nr, &got);
		sum += got;
		if (got < want)
			break;
		skip += got;
		if (skip == task->user_iov[at].iov_len) {
			at++;
			skip = 0;
		}
	}
	*out_bytes = sum;
	return nr;
}

static void advance(struct transfer *x, size_t bytes)
{
	x->done += bytes;
	while (x->at < x->nr) {
		size_t rest = x->task->user_iov[x->at].iov_len - x->skip;

		if (bytes < rest) {
			x->skip += bytes;
			return;
		}
		bytes -= rest;
		x->at++;
		x->skip = 0;
	}
}

/* The whole of a window: such a device always has enough. */
static int64_t fill_random(struct task *task, unsigned nr)
{
	int64_t bytes = 0;

	for (unsigned i = 0; i < nr; i++) {
		task_random_fill(task, task->piece[i].address, task->piece[i].bytes);
		bytes += (int64_t)task->piece[i].bytes;
	}
	return bytes;
}

static int64_t host_move(struct transfer *x, unsigned nr)
{
	int fd = x->open->host;
	const struct iovec *iov = x->task->iov;
	off_t at = x->offset + (off_t)x->done;

	if (x->in && x->open->random)
		return fill_random(x->task, nr);
	for (unsigned i = 0; i < nr; i++)
		x->task->iov[i] = (struct iovec){x->task->piece[i].address,
		                                 x->task->piece[i].bytes};
	if (x->in)
		return x->offset == NO_OFFSET ? readv(fd, iov, (int)nr)
		                              : preadv(fd, iov, (int)nr, at);
	return x->offset == NO_OFFSET ? writev(fd, iov, (int)nr)
	                              : pwritev(fd, iov, (int)nr, at);
}

/* At most this much can be read from a regular file; SIZE_MAX: unknown. */
static size_t left_in_file(const struct transfer *x)
{
	struct stat st;
	off_t at = x->offset;

	if (!x->in || !S_ISREG(x->open->mode) || fstat(x->open->host, &st) || st.st_size == 0)
		return SIZE_MAX;
	if (at == NO_OFFSET)
		at = lseek(x->open->host, 0, SEEK_CUR);
	if (at < 0)
		return SIZE_MAX;
	return at < st.st_size ? (size_t)(st.st_size - at) : 0;
}

/* One window; true: there may be more to move. */
static bool move_window(struct transfer *x, size_t window, int64_t *out)
{
	struct task *task = x->task;
	bool more_reads = S_ISREG(x->open->mode) || x->open->random;
	size_t bytes;
	unsigned nr = pin(x, window, &bytes);
	int64_t moved;

	if (!bytes) {
		uint64_t addr = (uint64_t)(uintptr_t)task->user_iov[x->at].iov_base + x->skip;

		if (user_repair(task, addr, x->in ? TMM_ACCESS_WRITE : TMM_ACCESS_READ))
			nr = pin(x, window, &bytes);
		if (!bytes) {
			*out = -EFAULT;
			return false;
		}
	}
	HOST_WAIT(task, moved, host_move(x, nr));
	tmm_put_user_pages(task->mm, task->piece, nr);
	*out = moved;
	if (moved <= 0)
		return false;
	advance(x, (size_t)moved);
	return (size_t)moved == bytes && x->done < x->total && (more_reads || !x->in);
}

/* Nothing to move: the host still says whether the descriptor is fit for it. */
static int64_t move_nothing(const struct transfer *x)
{
	char none;

	return host_result(x->in ? read(x->open->host, &none, 0)
	                         : write(x->open->host, &none, 0));
}

/* To a file of the machine's, which takes a page at a time as Linux's do. */
static int64_t write_control(const struct transfer *x)
{
	char text[TMM_PAGE_SIZE];
	size_t bytes = 0;

	for (unsigned i = 0; i < x->nr && bytes < sizeof(text); i++) {
		const struct iovec *iov = &x->task->user_iov[i];
		size_t part = iov->iov_len < sizeof(text) - bytes ? iov->iov_len
		                                                  : sizeof(text) - bytes;

		if (user_get(x->task, text + bytes, (uint64_t)(uintptr_t)iov->iov_base, part))
			return -EFAULT;
		bytes += part;
	}
	return proc_set(x->task, x->open->control, text, bytes);
}

static int64_t transfer(struct transfer *x)
{
	size_t window = FIRST_WINDOW, left;
	int64_t answer = 0;

	if (!x->in && x->open->control)
		return write_control(x);
	if (!x->total)
		return move_nothing(x);
	files_before(&x->task->files, x->open);
	left = x->total > TMM_PAGE_SIZE ? left_in_file(x) : SIZE_MAX;
	if (left < window)
		window = left + 1; /* one more, to see the end */
	while (move_window(x, window, &answer))
		window = left - x->done < NEXT_WINDOW ? left - x->done + 1 : NEXT_WINDOW;
	if (answer == -EPIPE)
		signal_post_self(x->task, SIGPIPE, SI_USER);
	if (!x->in && x->done && S_ISREG(x->open->mode)) {
		int64_t end = x->offset == NO_OFFSET ? lseek(x->open->host, 0, SEEK_CUR)
		                                     : x->offset + (int64_t)x->done;

		files_changed(&x->task->files, x->open, end - (int64_t)x->done, end);
	}
	return x->done ? (int64_t)x->done : answer;
}

/* One buffer. */
static int64_t move(struct task *task, const uint64_t *arg, bool in, int64_t offset)
{
	struct transfer x = {.task = task, .open = fd_get(&task->fds, (int32_t)arg[0])};

	if (!x.open)
		return -EBADF;
	x.in = in;
	x.offset = offset;
	x.total = arg[2] < 0x7ffff000 ? arg[2] : 0x7ffff000;
	if (arg[2] > INT64_MAX)
		return -EINVAL;
	x.nr = 1;
	task->user_iov[0] = (struct iovec){(void *)(uintptr_t)arg[1], x.total};
	return transfer(&x);
}

static int64_t move_vector(struct task *task, const uint64_t *arg, bool in, int64_t offset)
{
	struct transfer x = {.task = task, .open = fd_get(&task->fds, (int32_t)arg[0])};
	int64_t total;

	if (!x.open)
		return -EBADF;
	total = user_iovecs(task, arg[1], arg[2]);
	if (total < 0)
		return total;
	x.in = in;
	x.offset = offset;
	x.total = (size_t)total;
	x.nr = (unsigned)arg[2];
	return transfer(&x);
}

int64_t sys_read(struct task *task, const uint64_t *arg)
{
	return move(task, arg, true, NO_OFFSET);
}

int64_t sys_write(struct task *task, const uint64_t *arg)
{
	return move(task, arg, false, NO_OFFSET);
}

int64_t sys_pread64(struct task *task, const uint64_t *arg)
{
	return (int64_t)arg[3] < 0 ? -EINVAL : move(task, arg, true, (int64_t)arg[3]);
}

int64_t sys_pwrite64(struct task *task, const uint64_t *arg)
{
	return (int64_t)arg[3] < 0 ? -EINVAL : move(task, arg, false, (int64_t)arg[3]);
}

int64_t sys_readv(struct task *task, const uint64_t *arg)
{
	return move_vector(task, arg, true, NO_OFFSET);
}

int64_t sys_writev(struct task *task, const uint64_t *arg)
{
	return move_vector(task, arg, false, NO_OFFSET);
}

int64_t sys_preadv(struct task *task, const uint64_t *arg)
{
	return (int64_t)arg[3] < 0 ? -EINVAL : move_vector(task, arg, true, (int64_t)arg[3]);
}

int64_t sys_pwritev(struct task *task, const uint64_t *arg)
{
	return (int64_t)arg[3] < 0 ? -EINVAL : move_vector(task, arg, false, (int64_t)arg[3]);
}

int64_t sys_sendfile(struct task *task, const uint64_t *arg)
{
	struct open_file *out = fd_get(&task->fds, (int32_t)arg[0]);
	struct open_file *in = fd_get(&task->fds, (int32_t)arg[1]);
	off_t offset = 0;
	int64_t moved, end;

	if (!out || !in)
		return -EBADF;
	if (in->random) /* by read(): the host's bytes are not the seed's */
		return -EINVAL;
	if (arg[2] && user_get(task, &offset, arg[2], sizeof(offset)))
		return -EFAULT;
	files_before(&task->files, in);
	HOST_WAIT(task, moved, sendfile(out->host, in->host, arg[2] ? &offset : NULL, arg[3]));
	if (moved == -EPIPE)
		signal_post_self(task, SIGPIPE, SI_USER);
	if (moved > 0 && S_ISREG(out->mode)) {
		end = lseek(out->host, 0, SEEK_CUR);
		files_changed(&task->files, out, end - moved, end);
	}
	if (arg[2] && moved >= 0 && user_put(task, arg[2], &offset, sizeof(offset)))
		return -EFAULT;
	return moved;
}

int64_t sys_lseek(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);

	return open ? host_result(lseek(open->host, (off_t)arg[1], (int)arg[2])) : -EBADF;
}

/* The same operation on one open descriptor. */
#define ON_FD(name, call)                                                                      \
	int64_t sys_##name(struct task *task, const uint64_t *arg)                             \
	{                                                                                      \
		struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);                  \
		int64_t answer;                                                                \
                                                                                               \
		if (!open)                                                                     \
			return -EBADF;                                                         \
		files_before(&task->files, open);                                              \
		HOST_WAIT(task, answer, call);                                                 \
		return answer;                                                                 \
	}

ON_FD(fsync, fsync(open->host))
ON_FD(fdatasync, fdatasync(open->host))
ON_FD(syncfs, syncfs(open->host))
ON_FD(fadvise64, (posix_fadvise(open->host, (off_t)arg[1], (off_t)arg[2], (int)arg[3]), 0))
ON_FD(readahead, readahead(open->host, (off_t)arg[1], arg[2]))
ON_FD(sync_file_range,
      sync_file_range(open->host, (off_t)arg[1], (off_t)arg[2], (unsigned)arg[3]))

int64_t sys_sync(struct task *task, const uint64_t *arg)
{
	(void)task;
	(void)arg;
	sync();
	return 0;
}

int64_t sys_ftruncate(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	int64_t answer;

	if (!open)
		return -EBADF;
	files_before(&task->files, open);
	answer = host_result(ftruncate(open->host, (off_t)arg[1]));
	if (!answer)
		files_cut(&task->files, open, (int64_t)arg[1]);
	return answer;
}

int64_t sys_fallocate(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	int64_t answer;

	if (!open)
		return -EBADF;
	files_before(&task->files, open);
	HOST_WAIT(task, answer,
	          fallocate(open->host, (int)arg[1], (off_t)arg[2], (off_t)arg[3]));
	if (!answer)
		files_changed(&task->files, open, (int64_t)arg[2], INT64_MAX);
	return answer;
}
