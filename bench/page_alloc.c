/*
 * page_alloc.c - what a frame costs: the patterns of docs/PERFORMANCE.md
 *
 *	bench-page [--json] [--only PATTERN]
 *
 * A machine of 9 GiB, zones DMA, DMA32 and Normal with default watermarks; runs
 * come from Normal.  RAM is reserved address space: frames are never touched, so
 * what is timed is the allocator.  pair: allocate one, free it.  lifo: take
 * 4 GiB, free in reverse.  rand: free them in random order.
 *
 * Then a machine of 1 TiB, to see that nothing grows with the memory there is:
 * what its boot takes, in time and in memory of the host, and the same patterns;
 * "64 GiB" takes and frees that much instead of 4 GiB.
 *
 * Instructions by valgrind --tool=callgrind, gcc 12 -O2: an order-0 pair 96 in the
 * allocator; taking 4 GiB 62 a frame, freeing it in reverse 87, at random 157.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/hosted.h>
#include <tuxmm/machine.h>

#include "page/page_system.h"

#include "bench.h"

#define GIB       (UINT64_C(1) << 30)
#define RAM_BYTES (9 * GIB)
#define TAKEN     (4 * GIB >> TMM_PAGE_SHIFT) /* frames taken by lifo and rand */
#define PAIRS     2000000u
#define RUNS      11
#define LARGE     (1024 * GIB)
#define LONG_RUNS (64 * GIB >> TMM_PAGE_SHIFT >> 9) /* runs of order 9 in 64 GiB */

static struct tmm_memblock memblock;
static struct cpu_set cpus;
static struct tmm_pages pages;
static uint32_t frame[TAKEN];

static void boot(uint64_t bytes)
{
	void *ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	tmm_memblock_init(&memblock, ram);
	cpu_set_init(&cpus, 2);
	if (ram == MAP_FAILED ||
	    tmm_memblock_add(&memblock, (tmm_paddr){0}, bytes, 0) != TMM_OK ||
	    pages_init(&pages, &memblock, &(struct pages_config){.ram = ram, .cpus = &cpus}) !=
	            TMM_OK) {
		fprintf(stderr, "bench-page: expected %llu GiB of address space\n",
		        (unsigned long long)(bytes / GIB));
		exit(1);
	}
}

static void shut_down(uint64_t bytes)
{
	void *ram = pages.ram;

	tmm_cpu_exit(cpu_self(&cpus));
	pages_fini(&pages);
	munmap(ram, bytes);
}

static tmm_pfn take(unsigned order)
{
	tmm_pfn pfn;

	if (tmm_pages_alloc(&pages, TMM_GFP_KERNEL, order, &pfn) != TMM_OK) {
		fprintf(stderr, "bench-page: expected a free run of order %u\n", order);
		exit(1);
	}
	return pfn;
}

static double pairs(unsigned order)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS; i++)
		tmm_pages_free(&pages, take(order), order);
	return (now_ns() - start) / PAIRS;
}

static double take_all(uint32_t *to, uint64_t nr, unsigned order)
{
	double start = now_ns();

	for (uint64_t i = 0; i < nr; i++)
		to[i] = (uint32_t)take(order).v;
	return (now_ns() - start) / (double)nr;
}

static double free_all(const uint32_t *from, uint64_t nr, unsigned order)
{
	double start = now_ns();

	for (uint64_t i = nr; i-- > 0;)
		tmm_pages_free(&pages, (tmm_pfn){from[i]}, order);
	return (now_ns() - start) / (double)nr;
}

static void shuffle(uint32_t *array, uint64_t nr)
{
	uint64_t x = 88172645463325252u;

	for (uint64_t i = nr - 1; i > 0; i--) {
		uint32_t swap = array[i];
		uint64_t j;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % (i + 1);
		array[i] = array[j];
		array[j] = swap;
	}
}

static void bench_pair(const char *machine, unsigned order, double goal)
{
	double ns[RUNS];
	char name[48];

	snprintf(name, sizeof(name), "%sorder %u pair", machine, order);
	if (!bench_wanted(name))
		return;
	pairs(order);
	for (int run = 0; run < RUNS; run++)
		ns[run] = pairs(order);
	bench_report(name, ns, RUNS, "ns", goal);
}

static void bench_take(const char *pattern, unsigned order, double alloc_goal, double free_goal)
{
	double alloc[RUNS], give[RUNS];
	bool random_order = strcmp(pattern, "rand") == 0;
	char name[32];

	snprintf(name, sizeof(name), "order %u %s", order, pattern);
	if (!bench_wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		int at = run < 0 ? 0 : run; /* the first warms up */

		alloc[at] = take_all(frame, TAKEN >> order, order);
		if (random_order)
			shuffle(frame, TAKEN >> order);
		give[at] = free_all(frame, TAKEN >> order, order);
	}
	snprintf(name, sizeof(name), "order %u %s, alloc", order, pattern);
	if (alloc_goal > 0)
		bench_report(name, alloc, RUNS, "ns", alloc_goal);
	snprintf(name, sizeof(name), "order %u %s, free", order, pattern);
	bench_report(name, give, RUNS, "ns", free_goal);
}

/* Exact free_area of the 5 GiB zone of which 4 GiB are lent as a checkerboard at random. */
static void bench_buddyinfo(void)
{
	double ns[RUNS];
	struct tmm_zone_info info;

	if (!bench_wanted("buddyinfo"))
		return;
	take_all(frame, TAKEN, 0);
	shuffle(frame, TAKEN);
	free_all(frame, TAKEN / 2, 0);
	for (int run = 0; run < RUNS; run++) {
		double start = now_ns();

		tmm_zone_info(&pages, 0, TMM_ZONE_NORMAL, &info);
		ns[run] = (now_ns() - start) / 1000;
	}
	free_all(frame + TAKEN / 2, TAKEN / 2, 0);
	bench_report("buddyinfo, 4 GiB half random", ns, RUNS, "us", 25);
}

struct half {
	uint32_t *frame;
	const char *pattern;
	pthread_barrier_t *barrier;
	double ns[2];
};

static void *run_half(void *arg)
{
	struct half *half = arg;
	const uint64_t nr = TAKEN / 2;

	pthread_barrier_wait(half->barrier);
	if (strcmp(half->pattern, "pair") == 0) {
		half->ns[0] = pairs(0);
		half->ns[1] = 0;
		return NULL;
	}
	half->ns[0] = take_all(half->frame, nr, 0);
	pthread_barrier_wait(half->barrier);
	if (strcmp(half->pattern, "rand") == 0)
		shuffle(half->frame, nr);
	pthread_barrier_wait(half->barrier);
	half->ns[1] = free_all(half->frame, nr, 0);
	return NULL;
}

/* Two threads, each half of the 4 GiB, per operation of one thread. */
static void bench_two(const char *pattern, double alloc_goal, double free_goal)
{
	double alloc[RUNS], give[RUNS];
	char name[48];

	snprintf(name, sizeof(name), "two threads, order 0 %s", pattern);
	if (!bench_wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		pthread_barrier_t barrier;
		struct half half[2];
		pthread_t thread[2];
		int at = run < 0 ? 0 : run;

		pthread_barrier_init(&barrier, NULL, 2);
		for (int i = 0; i < 2; i++) {
			half[i] = (struct half){
				frame + TAKEN / 2 * (unsigned)i, pattern, &barrier, {0, 0}};
			pthread_create(&thread[i], NULL, run_half, &half[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		pthread_barrier_destroy(&barrier);
		alloc[at] = (half[0].ns[0] + half[1].ns[0]) / 2;
		give[at] = (half[0].ns[1] + half[1].ns[1]) / 2;
	}
	bench_report(name, alloc, RUNS, "ns", alloc_goal);
	snprintf(name, sizeof(name), "two threads, %s free", pattern);
	if (free_goal > 0)
		bench_report(name, give, RUNS, "ns", free_goal);
}

/* Long runs, `nr` of them, last in first out. */
static void bench_long(const char *name, uint64_t nr)
{
	double alloc[RUNS], give[RUNS];
	char row[48];

	if (!bench_wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		int at = run < 0 ? 0 : run;

		alloc[at] = take_all(frame, nr, 9);
		give[at] = free_all(frame, nr, 9);
	}
	snprintf(row, sizeof(row), "%s, alloc", name);
	bench_report(row, alloc, RUNS, "ns", 25);
	snprintf(row, sizeof(row), "%s, free", name);
	bench_report(row, give, RUNS, "ns", 20);
}

static double resident_mib(void)
{
	FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
	unsigned long long kb = 0;
	char line[128];

	while (rollup && fgets(line, sizeof(line), rollup))
		if (sscanf(line, "Rss: %llu kB", &kb) == 1)
			break;
	if (rollup)
		fclose(rollup);
	return (double)kb / 1024;
}

/* All of a machine, not the allocator alone. */
static void bench_boot(void)
{
	static const char name[] = "1 TiB, boot";
	double ms[RUNS], mib[RUNS];
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(LARGE, map),
	                                .nr_cpus = 2,
	                                .kernel_bytes = 16 << 20};

	if (!bench_wanted(name))
		return;
	for (int run = -1; run < RUNS; run++) {
		struct tmm_machine *machine = aligned_alloc(64, tmm_machine_bytes());
		struct tmm_hosted_ram ram;
		int at = run < 0 ? 0 : run;
		const char *why = "1 TiB of address space and of file";
		double before, start;

		if (!machine || tmm_hosted_ram_create(LARGE + GIB, &ram) != TMM_OK)
			bench_stop(why);
		before = resident_mib();
		start = now_ns();
		if (tmm_machine_init(machine, &shape, ram.start, &why) != TMM_OK)
			bench_stop(why);
		ms[at] = (now_ns() - start) / 1e6;
		mib[at] = resident_mib() - before;
		tmm_machine_fini(machine);
		free(machine);
		tmm_hosted_ram_destroy(&ram);
	}
	bench_report(name, ms, RUNS, "ms", 10);
	bench_report("1 TiB, boot, host memory", mib, RUNS, "MiB", 10);
}

static void bench_large(void)
{
	bench_boot();
	boot(LARGE);
	bench_pair("1 TiB, ", 0, 6);
	bench_long("1 TiB, order 9 lifo", TAKEN >> 9);
	bench_long("1 TiB, order 9, 64 GiB", LONG_RUNS);
	shut_down(LARGE);
}

int main(int argc, char **argv)
{
	bench_begin("page", argc, argv);
	boot(RAM_BYTES);
	bench_pair("", 0, 6);
	bench_take("lifo", 0, 3, 5);
	bench_take("rand", 0, 0, 8);
	bench_pair("", 3, 8);
	bench_take("lifo", 3, 12, 12);
	bench_pair("", 9, 20);
	bench_take("lifo", 9, 25, 20);
	bench_buddyinfo();
	tmm_cpu_exit(cpu_self(&cpus));
	bench_two("pair", 6 * 1.3, 0);
	bench_two("lifo", 3 * 1.3, 5 * 1.3);
	bench_two("rand", 3 * 1.3, 8 * 1.3);
	shut_down(RAM_BYTES);
	bench_large();
	return 0;
}
