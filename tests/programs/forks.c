/* What cannot be done yet says so. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t thread;

	SAY(fork() == -1 && errno == ENOSYS);
	SAY(pthread_create(&thread, NULL, nothing, NULL) != 0);
	SAY(wait(NULL) == -1 && errno == ECHILD);
	return 0;
}
