/*
 * sys_ioctl.c - the ioctls programs use on terminals, pipes and files
 *
 * Only those whose argument is known: the host's kernel must not be handed a
 * pointer of the program's.
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TERMIOS_BYTES 36u /* the kernel's struct termios */
#define TERMIO_BYTES  18u
#define MAX_BYTES     64u

enum how { VALUE, OUT, IN };

static const struct known {
	uint32_t request;
	enum how how;
	uint8_t bytes;
} known[] = {
	{TCGETS, OUT, TERMIOS_BYTES}, {TCSETS, IN, TERMIOS_BYTES}, {TCSETSW, IN, TERMIOS_BYTES},
	{TCSETSF, IN, TERMIOS_BYTES}, {TCGETA, OUT, TERMIO_BYTES}, {TIOCGWINSZ, OUT, 8},
	{TIOCSWINSZ, IN, 8},          {TIOCGPGRP, OUT, 4},         {TIOCSPGRP, IN, 4},
	{TIOCGSID, OUT, 4},           {TIOCOUTQ, OUT, 4},          {TIOCGPTN, OUT, 4},
	{TIOCSPTLCK, IN, 4},          {FIONREAD, OUT, 4},          {FIONBIO, IN, 4},
	{TCSBRK, VALUE, 0},           {TCSBRKP, VALUE, 0},         {TCXONC, VALUE, 0},
	{TCFLSH, VALUE, 0},           {BLKGETSIZE64, OUT, 8},      {BLKSSZGET, OUT, 4},
	{FS_IOC_GETFLAGS, OUT, 4},
};

static const struct known *find(uint32_t request)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].request == request)
			return &known[i];
	return NULL;
}

/* Process numbers of the terminal: tuxmm's own group and session are the program's. */
static void translate_pid(uint32_t request, bool in, void *data)
{
	int32_t pid, host = request == TIOCGSID ? getsid(0) : getpgrp();

	if (request != TIOCGPGRP && request != TIOCSPGRP && request != TIOCGSID)
		return;
	memcpy(&pid, data, sizeof(pid));
	if (in && pid == TASK_PID)
		pid = host;
	else if (!in && pid == host)
		pid = TASK_PID;
	memcpy(data, &pid, sizeof(pid));
}

int64_t sys_ioctl(struct task *task, const uint64_t *arg)
{
	struct open_file *open = fd_get(&task->fds, (int32_t)arg[0]);
	uint32_t request = (uint32_t)arg[1];
	const struct known *k = find(request);
	_Alignas(8) char data[MAX_BYTES];
	int64_t answer;

	if (!open)
		return -EBADF;
	if (request == FIOCLEX || request == FIONCLEX) {
		fd_set_cloexec(&task->fds, (int32_t)arg[0], request == FIOCLEX);
		return 0;
	}
	if (!k)
		return -ENOTTY;
	if (k->how == VALUE) {
		HOST_WAIT(task, answer, ioctl(open->host, request, arg[2]));
		return answer;
	}
	if (k->how != OUT && user_get(task, data, arg[2], k->bytes))
		return -EFAULT;
	translate_pid(request, true, data);
	HOST_WAIT(task, answer, ioctl(open->host, request, data));
	translate_pid(request, false, data);
	if (answer >= 0 && k->how != IN && user_put(task, arg[2], data, k->bytes))
		return -EFAULT;
	return answer;
}
