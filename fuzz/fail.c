/*
 * fail.c - where a broken promise ends
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

char fuzz_doing[256];

_Noreturn void test_fail(const char *file, int line, const char *promise)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, promise);
	if (fuzz_doing[0])
		fprintf(stderr, "at %s\n", fuzz_doing);
	abort();
}
