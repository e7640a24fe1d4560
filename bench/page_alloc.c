/*
 * page_alloc.c - what a frame costs: the patterns of docs/PERFORMANCE.md
 *
 *	bench-page [--json] [--only PATTERN]
 *
 * A machine of 9 GiB, zones DMA, DMA32 and Normal with default watermarks; runs
 * come from Normal.  RAM is reserved address space: frames are never touched, so
 * what is timed is the allocator.  pair: allocate one, free it.  lifo: take
 * 4 GiB, free in reverse.  rand: free them in random order.  "2 x": two threads, half
 * of the 4 GiB each, with 1.3 times the time of one thread for a goal.
 *
 * Then a machine of 1 TiB, to see that nothing grows with the memory there is:
 * what its boot takes, in time and in memory of the host, and the same patterns;
 * "64 GiB" takes and frees that much instead of 4 GiB.
 *
 * Instructions by valgrind --tool=callgrind, gcc 12 -O2: an order-0 pair 89 in the
 * allocator; taking 4 GiB 56 a frame, freeing it in reverse 72, at random 137.
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
#define RUNS      9
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

/* ---- patterns, by one thread or two ---- */

struct row {
	const char *pattern;
	unsigned order;
	double goal[2]; /* ns to take and to give back; 0: no row */
};

static const struct row rows[] = {
	{"pair", 0, {6, 0}},   {"lifo", 0, {3, 5}},  {"rand", 0, {0, 8}},   {"pair", 3, {8, 0}},
	{"lifo", 3, {12, 12}}, {"pair", 9, {20, 0}}, {"lifo", 9, {25, 20}},
};

/* What one of the threads does; it has `nr` places for frames. */
struct part {
	const struct row *row;
	uint32_t *frame;
	uint64_t nr;
	pthread_barrier_t *barrier;
	double ns[2];
};

static void *run_part(void *arg)
{
	struct part *part = arg;
	unsigned order = part->row->order;

	pthread_barrier_wait(part->barrier);
	if (strcmp(part->row->pattern, "pair") == 0) {
		part->ns[0] = pairs(order);
		return NULL;
	}
	part->ns[0] = take_all(part->frame, part->nr, order);
	if (strcmp(part->row->pattern, "rand") == 0)
		shuffle(part->frame, part->nr);
	pthread_barrier_wait(part->barrier);
	part->ns[1] = free_all(part->frame, part->nr, order);
	return NULL;
}

/* Each thread has its share of the 4 GiB; ns: of an operation of one thread. */
static void run_row(const struct row *row, unsigned nr_threads, double *take_ns,
                    double *give_ns)
{
	pthread_barrier_t barrier;
	struct part part[2];
	pthread_t thread[2];

	*take_ns = *give_ns = 0;
	pthread_barrier_init(&barrier, NULL, nr_threads);
	for (unsigned i = 0; i < nr_threads; i++) {
		uint64_t nr = TAKEN / nr_threads;

		part[i] = (struct part){
			row, frame + nr * i, nr >> row->order, &barrier, {0, 0}};
		if (pthread_create(&thread[i], NULL, run_part, &part[i]) != 0)
			bench_stop("two threads");
	}
	for (unsigned i = 0; i < nr_threads; i++) {
		pthread_join(thread[i], NULL);
		*take_ns += part[i].ns[0] / nr_threads;
		*give_ns += part[i].ns[1] / nr_threads;
	}
	pthread_barrier_destroy(&barrier);
}

/* Goals, 0 for none, are replaced by what was measured. */
static void bench_row(const char *machine, const struct row *row, unsigned nr_threads,
                      double *goal)
{
	static const char *const what[] = {", alloc", ", free"};
	bool pair = strcmp(row->pattern, "pair") == 0;
	double ns[2][RUNS];
	char name[64];

	for (int run = -1; run < RUNS; run++) {
		int at = run < 0 ? 0 : run; /* the first warms up */

		run_row(row, nr_threads, &ns[0][at], &ns[1][at]);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (goal[i] <= 0)
			continue;
		snprintf(name, sizeof(name), "%s%sorder %u %s%s", machine,
		         nr_threads == 2 ? "2 x " : "", row->order, row->pattern,
		         pair ? "" : what[i]);
		bench_report(name, ns[i], RUNS, "ns", goal[i]);
		goal[i] = ns[i][RUNS / 2];
	}
}

/* Two threads are to take no more than 1.3 times what one took. */
static void bench_rows(const char *machine)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		double goal[2] = {row->goal[0], row->goal[1]};
		char name[64];

		snprintf(name, sizeof(name), "%sorder %u %s", machine, row->order,
		         row->pattern);
		if (!bench_wanted(name))
			continue;
		bench_row(machine, row, 1, goal);
		goal[0] *= 1.3;
		goal[1] *= 1.3;
		bench_row(machine, row, 2, goal);
	}
}

/*
 * Exact free_area of the Normal zone, of which 4 GiB are lent as a checkerboard at
 * random; so much for each 4 GiB of the machine's.
 */
static void bench_buddyinfo(const char *machine, uint64_t bytes)
{
	double ns[RUNS];
	struct tmm_zone_info info;
	char name[64];

	snprintf(name, sizeof(name), "%sbuddyinfo, 4 GiB rand", machine);
	if (!bench_wanted(name))
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
	bench_report(name, ns, RUNS, "us", 25.0 * (double)(bytes / (4 * GIB)));
	tmm_cpu_exit(cpu_self(&cpus));
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
	tmm_cpu_exit(cpu_self(&cpus));
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

int main(int argc, char **argv)
{
	bench_begin("page", argc, argv);
	boot(RAM_BYTES);
	bench_rows("");
	bench_buddyinfo("", 4 * GIB);
	shut_down(RAM_BYTES);
	bench_boot();
	boot(LARGE);
	bench_rows("1 TiB, ");
	bench_buddyinfo("1 TiB, ", LARGE);
	bench_long("1 TiB, order 9, 64 GiB", LONG_RUNS);
	shut_down(LARGE);
	return 0;
}
