/*
 * slab.c - what an object costs: the patterns of docs/PERFORMANCE.md
 *
 *	bench-slab [--json] [--only PATTERN]
 *
 * A machine of 1 GiB and two CPUs; objects of 64 bytes.  pair: allocate one, free
 * it.  bulk: allocate 64, free them.  lifo: a million, freed in reverse; rand:
 * freed in random order, slabs going back.  Times are per operation, per pair for
 * pair and bulk.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>
#include <tuxmm/port.h>

#include "timing.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define OBJECTS   1000000u
#define PAIRS     1000000u
#define BULK      64u
#define RUNS      11

static struct tmm_machine *machine;
static struct tmm_slab_system *slabs;
static struct tmm_cache *cache;
static void *object[OBJECTS];
static bool json;
static const char *only;

struct series {
	double ns[RUNS];
};

static void report(const char *name, struct series *series, double goal)
{
	double median;

	qsort(series->ns, RUNS, sizeof(series->ns[0]), by_value);
	median = series->ns[RUNS / 2];
	if (json)
		printf("{\"bench\":\"slab\",\"pattern\":\"%s\",\"median\":%.2f,\"min\":%.2f,"
		       "\"max\":%.2f,\"unit\":\"ns\",\"goal\":%.1f,\"met\":%s}\n",
		       name, median, series->ns[0], series->ns[RUNS - 1], goal,
		       median <= goal ? "true" : "false");
	else
		printf("%-28s %8.2f ns  (%.2f .. %.2f)  goal %5.1f  %s\n", name, median,
		       series->ns[0], series->ns[RUNS - 1], goal,
		       median <= goal ? "met" : "missed");
}

static bool wanted(const char *name)
{
	return !only || strstr(name, only);
}

static _Noreturn void stop(const char *expected)
{
	fprintf(stderr, "bench-slab: expected %s\n", expected);
	exit(1);
}

static void boot(void)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map),
	                                .nr_cpus = 2};
	const struct tmm_cache_spec spec = {.name = "bench", .size_bytes = 64};
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *why;

	machine = aligned_alloc(64, tmm_machine_bytes());
	if (ram == MAP_FAILED || !machine)
		stop("1 GiB of address space");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		stop(why);
	slabs = tmm_machine_slabs(machine);
	if (tmm_cache_create(slabs, &spec, &cache) != TMM_OK)
		stop("memory for a cache");
}

static void *take(void)
{
	void *taken = tmm_cache_alloc(cache, TMM_GFP_KERNEL);

	if (!taken)
		stop("memory for an object");
	return taken;
}

static double pairs(void)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS; i++)
		tmm_cache_free(cache, take());
	return (now_ns() - start) / PAIRS;
}

static double bulks(void)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS / BULK; i++) {
		for (unsigned k = 0; k < BULK; k++)
			object[k] = take();
		for (unsigned k = 0; k < BULK; k++)
			tmm_cache_free(cache, object[k]);
	}
	return (now_ns() - start) / (PAIRS / BULK * BULK);
}

static double kmallocs(void)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS; i++)
		tmm_kfree(slabs, tmm_kmalloc(slabs, 8 + i % 1000, TMM_GFP_KERNEL));
	return (now_ns() - start) / PAIRS;
}

static void bench(const char *name, double (*run)(void), double goal)
{
	struct series series;

	if (!wanted(name))
		return;
	run();
	for (int i = 0; i < RUNS; i++)
		series.ns[i] = run();
	report(name, &series, goal);
}

static void shuffle(void)
{
	uint64_t x = 88172645463325252u;

	for (unsigned i = OBJECTS - 1; i > 0; i--) {
		void *swap = object[i];
		unsigned k;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = (unsigned)(x % (i + 1));
		object[i] = object[k];
		object[k] = swap;
	}
}

static void bench_million(const char *pattern, double alloc_goal, double free_goal)
{
	struct series alloc, give;
	char name[32];

	snprintf(name, sizeof(name), "million %s", pattern);
	if (!wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		int at = run < 0 ? 0 : run; /* the first warms up */
		double start = now_ns();

		for (unsigned i = 0; i < OBJECTS; i++)
			object[i] = take();
		alloc.ns[at] = (now_ns() - start) / OBJECTS;
		if (strcmp(pattern, "rand") == 0)
			shuffle();
		start = now_ns();
		for (unsigned i = OBJECTS; i-- > 0;)
			tmm_cache_free(cache, object[i]);
		give.ns[at] = (now_ns() - start) / OBJECTS;
	}
	snprintf(name, sizeof(name), "million %s, alloc", pattern);
	report(name, &alloc, alloc_goal);
	snprintf(name, sizeof(name), "million %s, free", pattern);
	report(name, &give, free_goal);
}

static void *run_pairs(void *ns)
{
	*(double *)ns = pairs();
	return NULL;
}

/* Both CPUs on one cache, which they share. */
static double two_threads(void)
{
	pthread_t thread[2];
	double ns[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, run_pairs, &ns[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return (ns[0] + ns[1]) / 2;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
			only = argv[++i];
		} else {
			fprintf(stderr, "usage: bench-slab [--json] [--only PATTERN]\n");
			return 2;
		}
	}
	boot();
	bench("pair", pairs, 3.5);
	bench("bulk of 64, pair", bulks, 1);
	bench("kmalloc 8..1007, pair", kmallocs, 5);
	bench_million("lifo", 3, 3);
	bench_million("rand", 3, 12);
	if (tmm_cpu_enter(machine, 0) == TMM_OK)
		tmm_cpu_exit(tmm_port_cpu());
	bench("two threads, pair", two_threads, 3.5 * 1.3);
	if (tmm_cache_destroy(cache) != TMM_OK)
		stop("every object back");
	tmm_machine_fini(machine);
	free(machine);
	return 0;
}
