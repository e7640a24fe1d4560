/* Masks, pending signals, flags of handlers, waiting calls that signals end. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

static volatile int count, nested, last_code;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	count++;
	last_code = info->si_code;
}

static void on_nested(int signal)
{
	int depth = ++nested;

	if (depth < 3)
		raise(signal);
	count += nested == depth; /* not nested any further when it returns */
}

static void handle(int signal, int flags)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

	sigaction(signal, &action, NULL);
}

static void alarm_ms(int ms)
{
	struct itimerval when = {.it_value = {ms / 1000, ms % 1000 * 1000}};

	setitimer(ITIMER_REAL, &when, NULL);
}

static void write_later(int signal)
{
	extern int write_end;

	(void)signal;
	count++;
	if (write(write_end, "x", 1) != 1)
		abort();
}

int write_end;

int main(void)
{
	struct sigaction action = {.sa_handler = on_nested};
	struct timespec short_time = {0, 20000000}, left = {0, 0};
	struct sigaction old;
	sigset_t set, other;
	int fd[2];
	char byte;

	handle(SIGUSR1, 0);
	raise(SIGUSR1);
	SAY(count == 1 && last_code == SI_TKILL);
	kill(getpid(), SIGUSR1);
	SAY(count == 2 && last_code == SI_USER);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	SAY(count == 2);
	SAY(sigpending(&other) == 0 && sigismember(&other, SIGUSR1) == 1);
	sigemptyset(&other);
	SAY(sigsuspend(&other) == -1 && errno == EINTR);
	SAY(count == 3);
	sigprocmask(SIG_SETMASK, NULL, &other);
	SAY(sigismember(&other, SIGUSR1) == 1);
	raise(SIGUSR1);
	SAY(sigtimedwait(&set, NULL, &short_time) == SIGUSR1);
	SAY(sigtimedwait(&set, NULL, &short_time) == -1 && errno == EAGAIN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	SAY(count == 3);

	count = 0;
	action.sa_flags = SA_NODEFER;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	SAY(nested == 3 && count == 1);
	nested = count = 0;
	action.sa_flags = 0;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	SAY(nested == 3 && count == 3);

	count = 0;
	handle(SIGUSR1, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	SAY(count == 1 && old.sa_handler == SIG_DFL);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	SAY(count == 1);

	/* EINTR without SA_RESTART, on with it */
	SAY(pipe(fd) == 0);
	handle(SIGALRM, 0);
	alarm_ms(30);
	SAY(read(fd[0], &byte, 1) == -1 && errno == EINTR);
	write_end = fd[1];
	action.sa_handler = write_later;
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	count = 0;
	alarm_ms(30);
	SAY(read(fd[0], &byte, 1) == 1 && byte == 'x' && count == 1);
	alarm_ms(30);
	short_time.tv_sec = 5;
	SAY(nanosleep(&short_time, &left) == -1 && errno == EINTR && left.tv_sec >= 4);
	alarm_ms(30);
	SAY(pause() == -1 && errno == EINTR);
	SAY(alarm(100) == 0 && alarm(0) == 100);

	/* writing to nobody */
	signal(SIGPIPE, SIG_IGN);
	close(fd[0]);
	SAY(write(fd[1], "x", 1) == -1 && errno == EPIPE);
	return 0;
}
