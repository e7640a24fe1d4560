/*
 * sort_ints.c - a compute-bound program for bench/programs: sort N integers
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	size_t n = argc == 2 ? strtoull(argv[1], NULL, 10) : 8000000;
	uint32_t *v = malloc(n * sizeof(*v));
	uint32_t x = 2463534242u, sum = 0;

	if (!v)
		return 1;
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		v[i] = x;
	}
	qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i += 1000)
		sum = sum * 31 + v[i];
	printf("%u\n", sum);
	free(v);
	return 0;
}
