/* mmap, munmap, mprotect, mremap, madvise, brk: what is there and what is not. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096

static sigjmp_buf back;
static volatile int code;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	code = info->si_code;
	siglongjmp(back, 1);
}

/* 0: works; otherwise si_code */
static int touch(volatile char *at, int write)
{
	if (sigsetjmp(back, 1))
		return code;
	if (write)
		*at = 1;
	else
		(void)*at;
	return 0;
}

static char *anon(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The system call itself: musl has no sbrk(). */
static char *move_break(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	char *a, *b, *end;
	unsigned char vec[8];

	sigaction(SIGSEGV, &action, NULL);
	a = anon(8 * PAGE);
	SAY(a != MAP_FAILED);
	SAY(a[0] == 0 && a[8 * PAGE - 1] == 0);
	memset(a, 'x', 8 * PAGE);
	SAY(munmap(a + 2 * PAGE, PAGE) == 0);
	SAY(touch(a + 2 * PAGE, 0) == SEGV_MAPERR);
	SAY(touch(a + PAGE, 1) == 0);
	SAY(mprotect(a + 4 * PAGE, 2 * PAGE, PROT_READ) == 0);
	SAY(touch(a + 4 * PAGE, 1) == SEGV_ACCERR);
	SAY(touch(a + 4 * PAGE, 0) == 0 && a[4 * PAGE] == 'x');
	SAY(mprotect(a + 4 * PAGE, PAGE, PROT_NONE) == 0);
	SAY(touch(a + 4 * PAGE, 0) == SEGV_ACCERR);
	SAY(mprotect(a + 4 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	SAY(touch(a + 5 * PAGE, 1) == 0 && a[5 * PAGE + 1] == 'x');
	SAY(mprotect(a + 2 * PAGE, PAGE, PROT_READ) == -1 && errno == ENOMEM);
	SAY(syscall(SYS_mprotect, a + 1, PAGE, PROT_READ) == -1 && errno == EINVAL);
	SAY(munmap(a, 8 * PAGE) == 0);

	a = anon(4 * PAGE);
	memset(a, 'm', 4 * PAGE);
	b = mremap(a, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
	SAY(b != MAP_FAILED && b[4 * PAGE - 1] == 'm' && b[4 * PAGE] == 0);
	b = mremap(b, 400 * PAGE, 2 * PAGE, 0);
	SAY(touch(b + 2 * PAGE, 0) == SEGV_MAPERR && b[2 * PAGE - 1] == 'm');
	SAY(madvise(b, PAGE, MADV_DONTNEED) == 0 && b[0] == 0 && b[PAGE] == 'm');
	SAY(mincore(b, 2 * PAGE, vec) == 0 && (vec[1] & 1));
	a = anon(2 * PAGE);
	SAY(mremap(b, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, a) == a);
	SAY(a[PAGE] == 'm' && touch(b, 0) == SEGV_MAPERR);
	SAY(mmap(a, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == a);
	SAY(a[0] == 0 && touch(a, 1) == SEGV_ACCERR && a[PAGE] == 'm');
	SAY(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	    errno == EINVAL);
	SAY(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);

	end = move_break(NULL);
	SAY(move_break(end + 10 * PAGE) == end + 10 * PAGE);
	memset(end, 'h', 10 * PAGE);
	SAY(move_break(end + 5 * PAGE) == end + 5 * PAGE);
	SAY(end[0] == 'h' && touch(end + 9 * PAGE, 0) == SEGV_MAPERR);
	SAY(move_break(end + 10 * PAGE) == end + 10 * PAGE && end[9 * PAGE] == 0);
	SAY(move_break((char *)1) == end + 10 * PAGE);
	return 0;
}
