/* Handlers that repair what faulted; alternate stacks; deep stacks. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "say.h"

#define PAGE 4096

static volatile int faults;
static char *guarded;
static sigjmp_buf back;
static char alternate[65536];
static volatile int on_alternate;

static void repair(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));

	faults += signal == SIGSEGV && uc->uc_mcontext.gregs[REG_TRAPNO] == 14 &&
	          (uintptr_t)uc->uc_mcontext.gregs[REG_CR2] == (uintptr_t)info->si_addr;
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

static void leave(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)signal;
	(void)info;
	(void)context;
	on_alternate = &here >= alternate && &here < alternate + sizeof(alternate);
	siglongjmp(back, 1);
}

static int deep(int n)
{
	volatile char frame[3000];

	memset((char *)frame, n, sizeof(frame));
	return n == 0 ? 0 : deep(n - 1) + (frame[17] == (char)n);
}

static int endless(volatile int *n)
{
	volatile char frame[5000];

	frame[0] = (char)++*n;
	return *n < 0 ? 0 : endless(n) + frame[0];
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, now;
	volatile int depth = 0;

	sigaction(SIGSEGV, &action, NULL);
	guarded = mmap(NULL, 100 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 100; i++)
		guarded[i * PAGE + i] = (char)i;
	SAY(faults == 100);
	SAY(guarded[99 * PAGE + 99] == 99);
	SAY(deep(2000) == 2000); /* 6 MB of stack */

	SAY(sigaltstack(&stack, NULL) == 0);
	action.sa_sigaction = leave;
	action.sa_flags |= SA_ONSTACK;
	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(back, 1))
		endless(&depth);
	SAY(depth > 1000);
	SAY(on_alternate);
	SAY(sigaltstack(NULL, &now) == 0 && now.ss_sp == alternate && now.ss_flags == 0);
	depth = 0;
	if (!sigsetjmp(back, 1))
		endless(&depth);
	SAY(depth > 1000);
	return 0;
}
