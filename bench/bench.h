/*
 * bench.h - what benchmarks share: arguments, the clock, one row a pattern
 *
 * A row is a median of samples with the least and the most of them, beside the
 * goal of docs/PERFORMANCE.md where there is one; with --json an object a line.
 */
#ifndef TUXMM_BENCH_H
#define TUXMM_BENCH_H

#include <stdbool.h>
#include <time.h>

static inline double clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Wall time. */
static inline double now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/*
 * Takes [--json] [--only PATTERN]; exits with a line on usage where there is more.
 * `bench` names the program after "bench-" and lives on.  Call it first.
 */
void bench_begin(const char *bench, int argc, char **argv);

/* Does --only, if given, ask for the rows of this name? */
bool bench_wanted(const char *name);

bool bench_json(void);

/* Sorts the samples and prints their row.  goal: the most the median may be, 0: none. */
void bench_report(const char *name, double *samples, unsigned nr_samples, const char *unit,
                  double goal);

/* Exits with 1 and a line that says what was expected. */
_Noreturn void bench_stop(const char *expected);

/* For qsort(): doubles, rising. */
int by_value(const void *a, const void *b);

#endif
