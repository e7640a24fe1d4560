/*
 * slob.c - slabs and SLOB side by side: what they hold, and what an object costs
 *
 *	bench-slob [--json] [--only PATTERN]
 *
 * Two machines of 16 MiB, one CPU each.  one of each: pages held by 12 caches of 16 to
 * 720 bytes with one object each.  mixed: pages held beyond what was asked for by
 * 2000 kmallocs of 8 to 1007 bytes, after as many more came and went at random; and
 * the time of one that goes and one that comes.  pair: 64 bytes, nothing else lent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>
#include <tuxmm/port.h>

#include "bench.h"

#define RAM_BYTES (UINT64_C(16) << 20)
#define CACHES    12u
#define MIXED     2000u
#define CHANGES   20000u
#define PAIRS     100000u
#define RUNS      11

static struct tmm_machine *machine;
static struct tmm_slab_system *slabs;
static uint64_t seed;

static uint64_t random_next(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

static void boot(enum tmm_slab_allocator allocator, void *ram)
{
	static const struct tmm_firmware_range map[] = {{{0}, RAM_BYTES, TMM_FW_USABLE, 0}};
	const struct tmm_shape shape = {
		.firmware_map = map, .nr_ranges = 1, .nr_cpus = 1, .slab_allocator = allocator};
	const char *why;

	memset(ram, 0, RAM_BYTES);
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
	slabs = tmm_machine_slabs(machine);
	seed = 88172645463325252u;
}

static double kib_held(void)
{
	uint64_t pages = tmm_slab_pages(slabs, false) + tmm_slab_pages(slabs, true);

	return (double)(pages * TMM_PAGE_SIZE) / 1024;
}

static double one_of_each(void)
{
	struct tmm_cache *cache[CACHES];
	void *object[CACHES];
	double before = kib_held(), held;

	for (unsigned i = 0; i < CACHES; i++) {
		char name[16];
		const struct tmm_cache_spec spec = {.name = name, .size_bytes = 16 + 64 * i};

		snprintf(name, sizeof(name), "cache-%u", i);
		if (tmm_cache_create(slabs, &spec, &cache[i]) != TMM_OK ||
		    !(object[i] = tmm_cache_alloc(cache[i], TMM_GFP_KERNEL)))
			bench_stop("memory for caches");
	}
	held = kib_held() - before;
	for (unsigned i = 0; i < CACHES; i++) {
		tmm_cache_free(cache[i], object[i]);
		if (tmm_cache_destroy(cache[i]) != TMM_OK)
			bench_stop("every object back");
	}
	return held;
}

/* Percent beyond what was asked for, and nanoseconds of a change. */
static void mixed(double *percent, double *ns)
{
	static void *object[MIXED];
	static size_t bytes[MIXED];
	double before = kib_held(), asked = 0, start;

	for (unsigned i = 0; i < MIXED; i++)
		object[i] = tmm_kmalloc(slabs, bytes[i] = 8 + random_next() % 1000,
		                        TMM_GFP_KERNEL);
	start = now_ns();
	for (unsigned i = 0; i < CHANGES; i++) {
		unsigned which = (unsigned)(random_next() % MIXED);

		tmm_kfree(slabs, object[which]);
		object[which] = tmm_kmalloc(slabs, bytes[which] = 8 + random_next() % 1000,
		                            TMM_GFP_KERNEL);
	}
	*ns = (now_ns() - start) / CHANGES;
	for (unsigned i = 0; i < MIXED; i++)
		asked += (double)bytes[i] / 1024;
	*percent = 100 * ((kib_held() - before) / asked - 1);
	for (unsigned i = 0; i < MIXED; i++)
		tmm_kfree(slabs, object[i]);
}

static double pairs(void)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS; i++)
		tmm_kfree(slabs, tmm_kmalloc(slabs, 64, TMM_GFP_KERNEL));
	return (now_ns() - start) / PAIRS;
}

int main(int argc, char **argv)
{
	static const char *const name[2][4] = {{"slab, one of each", "slab, mixed, overhead",
	                                        "slab, mixed, change", "slab, pair"},
	                                       {"SLOB, one of each", "SLOB, mixed, overhead",
	                                        "SLOB, mixed, change", "SLOB, pair"}};
	static const char *const unit[] = {"KiB", "%", "ns", "ns"};
	static double sample[2][4][RUNS];
	void *ram;

	bench_begin("slob", argc, argv);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	machine = aligned_alloc(64, tmm_machine_bytes());
	if (ram == MAP_FAILED || !machine)
		bench_stop("16 MiB of memory");
	for (unsigned run = 0; run < 2 * RUNS; run++) {
		double(*s)[RUNS] = sample[run % 2];

		boot(run % 2 ? TMM_SLOB : TMM_SLABS, ram);
		s[0][run / 2] = one_of_each();
		mixed(&s[1][run / 2], &s[2][run / 2]);
		s[3][run / 2] = pairs();
		tmm_machine_fini(machine);
	}
	for (unsigned row = 0; row < 4; row++)
		for (unsigned a = 0; a < 2; a++)
			if (bench_wanted(name[a][row]))
				bench_report(name[a][row], sample[a][row], RUNS, unit[row], 0);
	free(machine);
	return 0;
}
