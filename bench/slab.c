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

#include "bench.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define OBJECTS   1000000u
#define PAIRS     1000000u
#define BULK      64u
#define RUNS      11

static struct tmm_machine *machine;
static struct tmm_slab_system *slabs;
static struct tmm_cache *cache;
static void *object[OBJECTS];

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
		bench_stop("1 GiB of address space");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
	slabs = tmm_machine_slabs(machine);
	if (tmm_cache_create(slabs, &spec, &cache) != TMM_OK)
		bench_stop("memory for a cache");
}

static void *take(void)
{
	void *taken = tmm_cache_alloc(cache, TMM_GFP_KERNEL);

	if (!taken)
		bench_stop("memory for an object");
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
	double ns[RUNS];

	if (!bench_wanted(name))
		return;
	run();
	for (int i = 0; i < RUNS; i++)
		ns[i] = run();
	bench_report(name, ns, RUNS, "ns", goal);
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
	double alloc[RUNS], give[RUNS];
	char name[32];

	snprintf(name, sizeof(name), "million %s", pattern);
	if (!bench_wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		int at = run < 0 ? 0 : run; /* the first warms up */
		double start = now_ns();

		for (unsigned i = 0; i < OBJECTS; i++)
			object[i] = take();
		alloc[at] = (now_ns() - start) / OBJECTS;
		if (strcmp(pattern, "rand") == 0)
			shuffle();
		start = now_ns();
		for (unsigned i = OBJECTS; i-- > 0;)
			tmm_cache_free(cache, object[i]);
		give[at] = (now_ns() - start) / OBJECTS;
	}
	snprintf(name, sizeof(name), "million %s, alloc", pattern);
	bench_report(name, alloc, RUNS, "ns", alloc_goal);
	snprintf(name, sizeof(name), "million %s, free", pattern);
	bench_report(name, give, RUNS, "ns", free_goal);
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
	bench_begin("slab", argc, argv);
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
		bench_stop("every object back");
	tmm_machine_fini(machine);
	free(machine);
	return 0;
}
