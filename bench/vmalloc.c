/*
 * vmalloc.c - what areas of kernel addresses cost: the patterns of docs/PERFORMANCE.md
 *
 *	bench-vmalloc [--json] [--only PATTERN]
 *
 * Addresses alone, as peers that lend addresses are measured; then whole areas with
 * frames, tables and what the port does to show them.  Mixed: a million areas of
 * 1 to 16 pages and a guard are lent, one in 64 of them of up to 256 pages; each
 * operation gives one at random back and takes another.  List alone: what of that is the
 * benchmark's own, to roll dice and look into its list of a million.  Long pair: 1000 pages,
 * among the million.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>
#include <tuxmm/vmalloc.h>

#include "machine/machine.h"

#include "bench.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define RUNS      9
#define PAIRS     2000000u
#define MILLION   (1u << 20)
#define MIXED     1000000u
#define WHOLE     2000u

static struct tmm_machine *machine;
static struct tmm_kernel_map *map;
static struct va_space *space;
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/*
 * What is lent, eight bytes each, so that looking for it does not drown what is measured:
 * a short one's address and, in its low bits, its pages; a long one's struct va_range.
 */
static uint64_t *piece;

static uint64_t dice(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state >> 8;
}

static uint64_t take(uint32_t nr_pages)
{
	struct va_range *range;
	uint64_t va;

	if (va_is_short(space, nr_pages)) {
		if (va_alloc_short(space, nr_pages, TMM_GFP_KERNEL, &va) != TMM_OK)
			bench_stop("addresses for a short area");
		return va | nr_pages;
	}
	range = malloc(sizeof(*range));
	if (!range ||
	    va_alloc_long(space, range, nr_pages, 0, 0, UINT64_MAX, TMM_GFP_KERNEL) != TMM_OK)
		bench_stop("addresses for a long area");
	return (uintptr_t)range;
}

static void give(uint64_t one)
{
	struct va_range *range = (struct va_range *)(uintptr_t)one;

	if (one % TMM_PAGE_SIZE <= VA_MAX_SHORT && one >= space->start) {
		va_free_short(space, one & TMM_PAGE_MASK, one % TMM_PAGE_SIZE);
		return;
	}
	va_free_long(space, range);
	free(range);
}

static uint32_t some_pages(void)
{
	uint64_t roll = dice();

	return 2 + (uint32_t)(roll % 64 ? (roll >> 8) % 16 : (roll >> 8) % 256);
}

static double address_pairs(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t va;

	for (unsigned i = 0; i < PAIRS; i++) {
		if (va_alloc_short(space, 2, TMM_GFP_KERNEL, &va) != TMM_OK)
			bench_stop("an address");
		va_free_short(space, va, 2);
	}
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / PAIRS;
}

/* The next choice is on its way meanwhile: what is measured is not the list of choices. */
static double mixed(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t *next = &piece[dice() % MILLION];

	for (unsigned i = 0; i < MIXED; i++) {
		uint64_t *one = next;

		next = &piece[dice() % MILLION];
		__builtin_prefetch(next, 1);
		give(*one);
		*one = take(some_pages());
	}
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / MIXED;
}

static double list_alone(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t *next = &piece[dice() % MILLION];

	for (unsigned i = 0; i < MIXED; i++) {
		uint64_t *one = next, old = *one;

		next = &piece[dice() % MILLION];
		__builtin_prefetch(next, 1);
		__asm__ volatile("" : "+r"(old) : "r"(some_pages()));
		*one = old;
	}
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / MIXED;
}

static double long_pairs(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct va_range range;

	for (unsigned i = 0; i < PAIRS / 10; i++) {
		if (va_alloc_long(space, &range, 1000, 0, 0, UINT64_MAX, TMM_GFP_KERNEL))
			bench_stop("addresses for a long area");
		va_free_long(space, &range);
	}
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / (PAIRS / 10);
}

static double whole_areas(uint64_t bytes)
{
	double start = now_ns();

	for (unsigned i = 0; i < WHOLE; i++) {
		void *area = tmm_vmalloc(map, bytes, TMM_GFP_KERNEL);

		if (!area)
			bench_stop("memory for an area");
		tmm_vfree(map, area);
	}
	return (now_ns() - start) / WHOLE;
}

static double whole_page(void)
{
	return whole_areas(4096);
}

static double whole_64k(void)
{
	return whole_areas(65536);
}

static void bench(const char *name, double (*run)(void), double goal)
{
	double sample[RUNS];

	if (!bench_wanted(name))
		return;
	for (unsigned i = 0; i < RUNS; i++)
		sample[i] = run();
	bench_report(name, sample, RUNS, "ns", goal);
}

static void boot(void)
{
	static struct tmm_firmware_range ranges[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = ranges,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, ranges),
	                                .nr_cpus = 1};
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *why;

	piece = aligned_alloc(2 << 20, MILLION * sizeof(*piece));
	machine = aligned_alloc(64, tmm_machine_bytes());
	if (piece) /* large pages: looking at the list should cost little; a wish */
		(void)madvise(piece, MILLION * sizeof(*piece), MADV_HUGEPAGE);
	if (!piece || ram == MAP_FAILED || !machine)
		bench_stop("1 GiB of address space");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
	map = tmm_machine_kernel_map(machine);
	space = &map->space;
}

int main(int argc, char **argv)
{
	bench_begin("vmalloc", argc, argv);
	boot();
	bench("address pair", address_pairs, 10);
	if (bench_wanted("1 M areas, mixed") || bench_wanted("1 M areas, list alone") ||
	    bench_wanted("1 M areas, long pair")) {
		for (unsigned i = 0; i < MILLION; i++)
			piece[i] = take(some_pages());
		bench("1 M areas, mixed", mixed, 60);
		bench("1 M areas, list alone", list_alone, 0);
		bench("1 M areas, long pair", long_pairs, 0);
		for (unsigned i = 0; i < MILLION; i++)
			give(piece[i]);
	}
	bench("vmalloc + vfree 4 KiB, shown and hidden", whole_page, 0);
	bench("vmalloc + vfree 64 KiB, shown and hidden", whole_64k, 0);
	tmm_machine_fini(machine);
	free(machine);
	free(piece);
	return 0;
}
