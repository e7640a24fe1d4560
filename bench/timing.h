/*
 * timing.h - what benchmarks share: the clock, and the order of samples
 */
#ifndef TUXMM_BENCH_TIMING_H
#define TUXMM_BENCH_TIMING_H

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

/* For qsort(): doubles, rising. */
static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#endif
