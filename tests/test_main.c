/*
 * test_main.c - run every TEST of this program, print TAP
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "panic.h"
#include "test.h"

extern const struct test *const __start_tuxmm_tests[];
extern const struct test *const __stop_tuxmm_tests[];

#define MAX_RAMS 256

static jmp_buf leave_test;
static jmp_buf *leave_panic;
static char panic_text[512];
static struct {
	void *start;
	uint64_t bytes;
} ram[MAX_RAMS];
static int nr_rams;

void test_note(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

_Noreturn void test_fail(const char *file, int line, const char *promise)
{
	test_note("%s:%d: not true: %s (TUXMM_SEED=%llu)", file, line, promise,
	          (unsigned long long)test_seed());
	longjmp(leave_test, 1);
}

uint64_t test_seed(void)
{
	const char *text = getenv("TUXMM_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 0;

	return seed ? seed : UINT64_C(0x9e3779b97f4a7c15);
}

void *test_ram(uint64_t bytes)
{
	void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED || nr_rams == MAX_RAMS)
		test_fail(__FILE__, __LINE__, "the host gives memory for test_ram");
	ram[nr_rams].start = start;
	ram[nr_rams++].bytes = bytes;
	return start;
}

/* Called by the port in place of dying. */
static void on_panic(const char *file, unsigned line, const char *what)
{
	if (!leave_panic)
		test_fail(file, (int)line, what);
	snprintf(panic_text, sizeof(panic_text), "%s", what);
	longjmp(*leave_panic, 1);
}

const char *test_panics(void (*body)(void *arg), void *arg)
{
	jmp_buf here;
	const char *volatile text = NULL;

	leave_panic = &here;
	if (setjmp(here) == 0)
		body(arg);
	else
		text = panic_text;
	leave_panic = NULL;
	return text;
}

static bool passes(const struct test *test)
{
	volatile bool passed = false;

	if (setjmp(leave_test) == 0) {
		test->run();
		passed = true;
	}
	leave_panic = NULL;
	tmm_port_forget_locks();
	while (nr_rams > 0) {
		nr_rams--;
		munmap(ram[nr_rams].start, ram[nr_rams].bytes);
	}
	return passed;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	int nr = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	tmm_port_on_panic(on_panic);
	for (const struct test *const *t = __start_tuxmm_tests; t < __stop_tuxmm_tests; t++) {
		bool ok;

		if (only && strcmp(only, (*t)->name) != 0)
			continue;
		ok = passes(*t);
		failed += !ok;
		printf("%s %d - %s\n", ok ? "ok" : "not ok", ++nr, (*t)->name);
	}
	printf("1..%d\n", nr);
	return failed ? 1 : 0;
}
