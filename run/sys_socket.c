/*
 * sys_socket.c - sockets: the host's network
 *
 * Messages go through a buffer, as their parts must arrive together.  Ancillary
 * data (descriptors handed to other processes) is not carried.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_MESSAGE ((size_t)256 << 10)
#define MAX_OPTION  1024u
#define MAX_BATCH   64u

struct address {
	struct sockaddr_storage name;
	socklen_t bytes;
};

static struct open_file *socket_get(struct task *task, uint64_t fd, int *out_err)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)fd);

	*out_err = !open ? -EBADF : S_ISSOCK(open->mode) ? 0 : -ENOTSOCK;
	return open;
}

static int64_t install(struct task *task, int host, int flags)
{
	return host < 0 ? -errno : fd_install(&task->fds, host, 0, flags & SOCK_CLOEXEC);
}

int64_t sys_socket(struct task *task, const uint64_t *arg)
{
	int type = (int)arg[1];

	return install(task, socket((int)arg[0], type | SOCK_CLOEXEC, (int)arg[2]), type);
}

int64_t sys_socketpair(struct task *task, const uint64_t *arg)
{
	int type = (int)arg[1], host[2], fd[2];

	if (socketpair((int)arg[0], type | SOCK_CLOEXEC, (int)arg[2], host))
		return -errno;
	fd[0] = fd_install(&task->fds, host[0], 0, type & SOCK_CLOEXEC);
	if (fd[0] < 0) {
		close(host[1]);
		return fd[0];
	}
	fd[1] = fd_install(&task->fds, host[1], 0, type & SOCK_CLOEXEC);
	if (fd[1] < 0 || user_put(task, arg[3], fd, sizeof(fd))) {
		fd_close(&task->fds, fd[0]);
		fd_close(&task->fds, fd[1]);
		return fd[1] < 0 ? fd[1] : -EFAULT;
	}
	return 0;
}

static int get_address(struct task *task, uint64_t at, uint64_t bytes, struct address *out)
{
	memset(out, 0, sizeof(*out));
	if (!at)
		return 0;
	if ((int32_t)bytes < 0 || bytes > sizeof(out->name))
		return -EINVAL;
	out->bytes = (socklen_t)bytes;
	return user_get(task, &out->name, at, bytes);
}

/* Linux writes what fits and says how long it would have been. */
static int put_address(struct task *task, uint64_t at, uint64_t bytes_at,
                       const struct address *address)
{
	uint32_t room, bytes = address->bytes;

	if (!at)
		return 0;
	if (user_get(task, &room, bytes_at, sizeof(room)))
		return -EFAULT;
	if ((int32_t)room < 0)
		return -EINVAL;
	if (user_put(task, at, &address->name, room < bytes ? room : bytes))
		return -EFAULT;
	return user_put(task, bytes_at, &bytes, sizeof(bytes));
}

int64_t sys_connect(struct task *task, const uint64_t *arg)
{
	struct address address;
	int64_t answer;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (!err)
		err = get_address(task, arg[1], arg[2], &address);
	if (err)
		return err;
	HOST_WAIT(task, answer,
	          connect(open->host, (struct sockaddr *)&address.name, address.bytes));
	return answer;
}

int64_t sys_bind(struct task *task, const uint64_t *arg)
{
	struct address address;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (!err)
		err = get_address(task, arg[1], arg[2], &address);
	if (err)
		return err;
	return host_result(bind(open->host, (struct sockaddr *)&address.name, address.bytes));
}

int64_t sys_listen(struct task *task, const uint64_t *arg)
{
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	return err ? err : host_result(listen(open->host, (int)arg[1]));
}

int64_t sys_shutdown(struct task *task, const uint64_t *arg)
{
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	return err ? err : host_result(shutdown(open->host, (int)arg[1]));
}

int64_t sys_accept4(struct task *task, const uint64_t *arg)
{
	struct address address = {.bytes = sizeof(address.name)};
	int64_t host;
	int err, flags = (int)arg[3];
	struct open_file *open = socket_get(task, arg[0], &err);

	if (err)
		return err;
	HOST_WAIT(task, host,
	          accept4(open->host, (struct sockaddr *)&address.name, &address.bytes,
	                  flags | SOCK_CLOEXEC));
	if (host < 0)
		return host;
	err = put_address(task, arg[1], arg[2], &address);
	if (err) {
		close((int)host);
		return err;
	}
	return install(task, (int)host, flags);
}

int64_t sys_accept(struct task *task, const uint64_t *arg)
{
	return sys_accept4(task, (const uint64_t[4]){arg[0], arg[1], arg[2], 0});
}

/* The socket's own name, or its peer's. */
static int64_t get_name(struct task *task, const uint64_t *arg, bool peer)
{
	struct address address = {.bytes = sizeof(address.name)};
	struct sockaddr *name = (struct sockaddr *)&address.name;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (err)
		return err;
	if (peer ? getpeername(open->host, name, &address.bytes)
	         : getsockname(open->host, name, &address.bytes))
		return -errno;
	return put_address(task, arg[1], arg[2], &address);
}

int64_t sys_getsockname(struct task *task, const uint64_t *arg)
{
	return get_name(task, arg, false);
}

int64_t sys_getpeername(struct task *task, const uint64_t *arg)
{
	return get_name(task, arg, true);
}

int64_t sys_setsockopt(struct task *task, const uint64_t *arg)
{
	char value[MAX_OPTION];
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (err)
		return err;
	if (arg[4] > sizeof(value))
		return -EINVAL;
	/* A packet filter is an array the host would read through our pointer. */
	if ((int)arg[1] == SOL_SOCKET && (int)arg[2] == SO_ATTACH_FILTER)
		return -ENOPROTOOPT;
	if (user_get(task, value, arg[3], arg[4]))
		return -EFAULT;
	return host_result(
		setsockopt(open->host, (int)arg[1], (int)arg[2], value, (socklen_t)arg[4]));
}

int64_t sys_getsockopt(struct task *task, const uint64_t *arg)
{
	char value[MAX_OPTION];
	socklen_t bytes;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (err)
		return err;
	if (user_get(task, &bytes, arg[4], sizeof(bytes)))
		return -EFAULT;
	bytes = bytes < sizeof(value) ? bytes : (socklen_t)sizeof(value);
	if (getsockopt(open->host, (int)arg[1], (int)arg[2], value, &bytes))
		return -errno;
	if (user_put(task, arg[3], value, bytes) ||
	    user_put(task, arg[4], &bytes, sizeof(bytes)))
		return -EFAULT;
	return 0;
}

/* A message of user_iov[0 .. nr), as one buffer. */
struct message {
	char *bytes;
	size_t length;
	unsigned nr;
};

static int message_make(struct task *task, unsigned nr, int64_t total, bool gather,
                        struct message *out)
{
	size_t at = 0;

	*out = (struct message){.nr = nr};
	if (total < 0)
		return (int)total;
	out->length = (size_t)total < MAX_MESSAGE ? (size_t)total : MAX_MESSAGE;
	out->bytes = run_alloc(out->length);
	if (!out->bytes)
		return -ENOMEM;
	for (unsigned i = 0; gather && i < nr && at < out->length; i++) {
		size_t part = task->user_iov[i].iov_len;

		part = part < out->length - at ? part : out->length - at;
		if (user_get(task, out->bytes + at,
		             (uint64_t)(uintptr_t)task->user_iov[i].iov_base, part)) {
			free(out->bytes);
			return -EFAULT;
		}
		at += part;
	}
	return 0;
}

static int message_scatter(struct task *task, const struct message *message, size_t got)
{
	size_t at = 0;

	for (unsigned i = 0; i < message->nr && at < got; i++) {
		size_t part = task->user_iov[i].iov_len;

		part = part < got - at ? part : got - at;
		if (user_put(task, (uint64_t)(uintptr_t)task->user_iov[i].iov_base,
		             message->bytes + at, part))
			return -EFAULT;
		at += part;
	}
	return 0;
}

static int64_t send_message(struct task *task, struct open_file *open, unsigned nr,
                            int64_t total, int flags, const struct address *to)
{
	struct message message;
	int64_t answer = message_make(task, nr, total, true, &message);

	if (answer)
		return answer;
	HOST_WAIT(task, answer,
	          sendto(open->host, message.bytes, message.length, flags | MSG_NOSIGNAL,
	                 to->bytes ? (const struct sockaddr *)&to->name : NULL, to->bytes));
	free(message.bytes);
	if (answer == -EPIPE && !(flags & MSG_NOSIGNAL))
		signal_post_self(task, SIGPIPE, SI_USER);
	return answer;
}

static int64_t receive_message(struct task *task, struct open_file *open, unsigned nr,
                               int64_t total, int *flags, struct address *from)
{
	struct message message;
	struct msghdr header = {.msg_name = &from->name, .msg_namelen = sizeof(from->name)};
	struct iovec iov;
	int64_t answer = message_make(task, nr, total, false, &message);

	if (answer)
		return answer;
	iov = (struct iovec){message.bytes, message.length};
	header.msg_iov = &iov;
	header.msg_iovlen = 1;
	HOST_WAIT(task, answer, recvmsg(open->host, &header, *flags));
	if (answer > 0 &&
	    message_scatter(task, &message,
	                    (size_t)answer < message.length ? (size_t)answer : message.length))
		answer = -EFAULT;
	from->bytes = header.msg_namelen;
	*flags = header.msg_flags;
	free(message.bytes);
	return answer;
}

static int64_t one_buffer(struct task *task, uint64_t at, uint64_t bytes)
{
	if (bytes > INT64_MAX)
		return -EINVAL;
	task->user_iov[0] = (struct iovec){(void *)(uintptr_t)at, bytes};
	return (int64_t)bytes;
}

int64_t sys_sendto(struct task *task, const uint64_t *arg)
{
	struct address to;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	if (!err)
		err = get_address(task, arg[4], arg[5], &to);
	if (err)
		return err;
	return send_message(task, open, 1, one_buffer(task, arg[1], arg[2]), (int)arg[3], &to);
}

int64_t sys_recvfrom(struct task *task, const uint64_t *arg)
{
	struct address from = {0};
	int flags = (int)arg[3], err;
	struct open_file *open = socket_get(task, arg[0], &err);
	int64_t got;

	if (err)
		return err;
	got = receive_message(task, open, 1, one_buffer(task, arg[1], arg[2]), &flags, &from);
	if (got >= 0)
		err = put_address(task, arg[4], arg[5], &from);
	return err ? err : got;
}

static int64_t send_header(struct task *task, struct open_file *open, uint64_t at, int flags)
{
	struct msghdr header;
	struct address to;
	int err;

	if (user_get(task, &header, at, sizeof(header)))
		return -EFAULT;
	if (header.msg_controllen)
		return -EOPNOTSUPP;
	if (header.msg_iovlen > TASK_MAX_PIECES)
		return -EMSGSIZE;
	err = get_address(task, (uint64_t)(uintptr_t)header.msg_name, header.msg_namelen, &to);
	if (err)
		return err;
	return send_message(
		task, open, (unsigned)header.msg_iovlen,
		user_iovecs(task, (uint64_t)(uintptr_t)header.msg_iov, header.msg_iovlen),
		flags, &to);
}

int64_t sys_sendmsg(struct task *task, const uint64_t *arg)
{
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	return err ? err : send_header(task, open, arg[1], (int)arg[2]);
}

int64_t sys_sendmmsg(struct task *task, const uint64_t *arg)
{
	uint64_t nr = (uint32_t)arg[2] < MAX_BATCH ? (uint32_t)arg[2] : MAX_BATCH, done = 0;
	int err;
	struct open_file *open = socket_get(task, arg[0], &err);

	for (; !err && done < nr; done++) {
		uint64_t at = arg[1] + done * sizeof(struct mmsghdr);
		int64_t sent = send_header(task, open, at, (int)arg[3]);
		uint32_t length = (uint32_t)sent;

		if (sent < 0)
			err = (int)sent;
		else if (user_put(task, at + offsetof(struct mmsghdr, msg_len), &length,
		                  sizeof(length)))
			err = -EFAULT;
		if (err)
			break;
	}
	return done ? (int64_t)done : err;
}

int64_t sys_recvmsg(struct task *task, const uint64_t *arg)
{
	struct msghdr header;
	struct address from = {0};
	int flags = (int)arg[2], err;
	struct open_file *open = socket_get(task, arg[0], &err);
	int64_t got;

	if (err)
		return err;
	if (user_get(task, &header, arg[1], sizeof(header)))
		return -EFAULT;
	if (header.msg_iovlen > TASK_MAX_PIECES)
		return -EMSGSIZE;
	got = receive_message(
		task, open, (unsigned)header.msg_iovlen,
		user_iovecs(task, (uint64_t)(uintptr_t)header.msg_iov, header.msg_iovlen),
		&flags, &from);
	if (got < 0)
		return got;
	if (header.msg_name) {
		socklen_t room = header.msg_namelen < from.bytes ? header.msg_namelen
		                                                 : from.bytes;

		if (user_put(task, (uint64_t)(uintptr_t)header.msg_name, &from.name, room))
			return -EFAULT;
	}
	header.msg_namelen = from.bytes;
	header.msg_controllen = 0;
	header.msg_flags = flags;
	return user_put(task, arg[1], &header, sizeof(header)) ? -EFAULT : got;
}
