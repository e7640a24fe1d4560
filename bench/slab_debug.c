/*
 * slab_debug.c - what looking after objects costs
 *
 *	bench-slab-debug [--json] [--only PATTERN]
 *
 * A row for each mode: a pair of allocate and free of 64 bytes, and how many bytes of
 * a slab an object of 64 bytes, and of 1024, takes.  "none" is a cache as it
 * is without debugging.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>

#include "bench.h"

#define RAM_BYTES (UINT64_C(64) << 20)
#define PAIRS     200000u
#define RUNS      9

static void boot(struct tmm_machine *machine, const char *mode, void *ram)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map),
	                                .nr_cpus = 1,
	                                .slab_debug = mode};
	const char *why;

	if (madvise(ram, RAM_BYTES, MADV_DONTNEED)) /* RAM reads as zeroes */
		bench_stop("memory that can be dropped");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
}

static double pair_ns(struct tmm_slab_system *slabs)
{
	double start = now_ns();

	for (unsigned i = 0; i < PAIRS; i++) {
		void *object = tmm_kmalloc(slabs, 64, TMM_GFP_KERNEL);

		if (!object)
			bench_stop("memory for an object");
		tmm_kfree(slabs, object);
	}
	return (now_ns() - start) / PAIRS;
}

static double bytes_each(struct tmm_slab_system *slabs, const char *name)
{
	struct tmm_cache_info info;

	for (size_t i = 0; tmm_cache_info(slabs, i, &info); i++) {
		const char *a = info.name, *b = name;

		while (*a && *a == *b) {
			a++;
			b++;
		}
		if (*a == *b)
			return (double)info.pages_per_slab * TMM_PAGE_SIZE / info.objs_per_slab;
	}
	bench_stop("a cache of that name");
}

static void measure(struct tmm_machine *machine, const char *mode, void *ram)
{
	char name[64];
	double sample[RUNS];

	snprintf(name, sizeof(name), "%s: pair", mode ? mode : "none");
	if (!bench_wanted(name))
		return;
	boot(machine, mode, ram);
	for (unsigned run = 0; run < RUNS; run++)
		sample[run] = pair_ns(tmm_machine_slabs(machine));
	bench_report(name, sample, RUNS, "ns", 0);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s: of %s", mode ? mode : "none",
		         i ? "1024" : "64");
		sample[0] = bytes_each(tmm_machine_slabs(machine),
		                       i ? "kmalloc-1k" : "kmalloc-64");
		bench_report(name, sample, 1, "bytes", 0);
	}
	tmm_machine_fini(machine);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {NULL, "F", "Z", "P", "U", "FZ", "FZP", "FZPU"};
	struct tmm_machine *machine = aligned_alloc(64, tmm_machine_bytes());
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                 -1, 0);

	bench_begin("slab-debug", argc, argv);
	if (ram == MAP_FAILED || !machine)
		bench_stop("64 MiB of memory");
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		measure(machine, modes[i], ram);
	free(machine);
	return 0;
}
