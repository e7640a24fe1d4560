#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *bench_name;
static const char *only;
static bool json;

void bench_begin(const char *bench, int argc, char **argv)
{
	bench_name = bench;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
			only = argv[++i];
		} else {
			fprintf(stderr, "usage: bench-%s [--json] [--only PATTERN]\n", bench);
			exit(2);
		}
	}
}

bool bench_wanted(const char *name)
{
	return !only || strstr(name, only);
}

bool bench_json(void)
{
	return json;
}

int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_report(const char *name, double *samples, unsigned nr_samples, const char *unit,
                  double goal)
{
	double median;

	qsort(samples, nr_samples, sizeof(*samples), by_value);
	median = samples[nr_samples / 2];
	if (json)
		printf("{\"bench\":\"%s\",\"pattern\":\"%s\",\"median\":%.2f,\"min\":%.2f,"
		       "\"max\":%.2f,\"unit\":\"%s\"",
		       bench_name, name, median, samples[0], samples[nr_samples - 1], unit);
	else
		printf("%-30s %8.2f %s  (%.2f .. %.2f)", name, median, unit, samples[0],
		       samples[nr_samples - 1]);
	if (goal > 0)
		printf(json ? ",\"goal\":%.1f,\"met\":%s" : "  goal %5.1f  %s", goal,
		       json ? (median <= goal ? "true" : "false")
		            : (median <= goal ? "met" : "missed"));
	printf(json ? "}\n" : "\n");
}

void bench_stop(const char *expected)
{
	fprintf(stderr, "bench-%s: expected %s\n", bench_name, expected);
	exit(1);
}
