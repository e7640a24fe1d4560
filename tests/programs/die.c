/* Ways to end: the first argument says which. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "say.h"

static volatile int zero;

static void bus(void)
{
	int fd = open("die.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	volatile char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	unlink("die.tmp");
	(void)*map;
}

static void pipe_to_nobody(void)
{
	int fd[2];

	if (pipe(fd) == 0 && close(fd[0]) == 0)
		(void)!write(fd[1], "x", 1);
}

static void blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*(volatile int *)8 = 1;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	printf("dying by %s\n", how);
	fflush(stdout);
	if (strcmp(how, "null") == 0)
		*(volatile int *)NULL = 1;
	else if (strcmp(how, "jump") == 0)
		((void (*)(void))16)();
	else if (strcmp(how, "text") == 0)
		*(volatile char *)(void *)main = 1;
	else if (strcmp(how, "far") == 0) /* not canonical: general protection */
		*(volatile char *)0x8000000000000000 = 1;
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "divide") == 0)
		return 100 / zero;
	else if (strcmp(how, "illegal") == 0)
		__asm__ volatile("ud2");
	else if (strcmp(how, "trap") == 0)
		__asm__ volatile("int3");
	else if (strcmp(how, "bus") == 0)
		bus();
	else if (strcmp(how, "pipe") == 0)
		pipe_to_nobody();
	else if (strcmp(how, "blocked") == 0)
		blocked();
	else if (strcmp(how, "term") == 0)
		kill(getpid(), SIGTERM);
	else if (strcmp(how, "exit") == 0)
		_exit(300);
	return 3;
}
