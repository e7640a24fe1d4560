/*
 * areas.c - what the calls on areas cost: the patterns of docs/PERFORMANCE.md
 *
 *	bench-areas [--json] [--only PATTERN]
 *
 * An address space with 30 000 areas of one page, every other page free.  Times
 * are of this thread's processor time, so that a busy machine disturbs less.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>

#include "space/mm.h"

#include "bench.h"

#define RAM_BYTES (UINT64_C(256) << 20)
#define PAGE      UINT64_C(4096)
#define BASE      UINT64_C(0x200000000)
#define AREAS     30000u
#define FEW       15000u /* of them, at random */
#define MANY      300000u
#define RUNS      9
#define ANON      (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)

static struct tmm_machine *machine;
static struct tmm_mm *mm;
static uint32_t order[FEW]; /* areas in the order they are torn and mapped */
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t pick(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state >> 8) % below;
}

static uint64_t area_start(uint64_t area)
{
	return BASE + area * 2 * PAGE;
}

static uint64_t map(uint64_t addr, uint32_t flags)
{
	const struct tmm_mmap_request request = {.addr = addr,
	                                         .length = PAGE,
	                                         .prot = TMM_PROT_READ | TMM_PROT_WRITE,
	                                         .flags = ANON | flags};
	uint64_t got;

	if (tmm_mm_mmap(mm, &request, &got) != TMM_OK)
		bench_stop("room for an area");
	return got;
}

static void unmap(uint64_t addr)
{
	if (tmm_mm_munmap(mm, addr, PAGE) != TMM_OK)
		bench_stop("an area to unmap");
}

static double pairs(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < MANY; i++)
		unmap(map(0, 0));
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / MANY;
}

static double finds(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t sum = 0;

	for (unsigned i = 0; i < MANY; i++)
		sum += find_vma(mm, area_start(pick(AREAS)))->end;
	if (!sum)
		bench_stop("areas");
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / MANY;
}

static double scattered_unmaps(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < FEW; i++)
		unmap(area_start(order[i]));
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / FEW;
}

static double fixed_maps(void)
{
	double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < FEW; i++)
		map(area_start(order[i]), TMM_MAP_FIXED);
	return (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / FEW;
}

static void bench(const char *name, double (*run)(void), double goal)
{
	double ns[RUNS];

	if (!bench_wanted(name))
		return;
	for (int i = 0; i < RUNS; i++)
		ns[i] = run();
	bench_report(name, ns, RUNS, "ns", goal);
}

/* What is torn is mapped again, so the two take turns. */
static void bench_turns(void)
{
	double unmaps[RUNS], maps[RUNS];

	if (!bench_wanted("munmap, scattered") && !bench_wanted("mmap, fixed"))
		return;
	for (int i = 0; i < RUNS; i++) {
		unmaps[i] = scattered_unmaps();
		maps[i] = fixed_maps();
	}
	bench_report("munmap, scattered", unmaps, RUNS, "ns", 300);
	bench_report("mmap, fixed", maps, RUNS, "ns", 200);
}

static void boot(void)
{
	static struct tmm_firmware_range map_of_ram[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map_of_ram,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map_of_ram),
	                                .nr_cpus = 1};
	const struct tmm_mm_layout layout = {UINT64_C(0x7ffffffff000), 65536,
	                                     UINT64_C(0x7fff00000000)};
	const struct tmm_mm_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *why;

	machine = aligned_alloc(64, tmm_machine_bytes());
	if (ram == MAP_FAILED || !machine)
		bench_stop("256 MiB of address space");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
	if (tmm_mm_create(tmm_machine_spaces(machine), &layout, &limits, &mm) != TMM_OK)
		bench_stop("memory for an address space");
}

static void make_order(void)
{
	for (uint32_t i = 0; i < FEW; i++)
		order[i] = 2 * i;
	for (uint32_t i = FEW - 1; i > 0; i--) {
		uint64_t other = pick(i + 1);
		uint32_t was = order[i];

		order[i] = order[other];
		order[other] = was;
	}
}

int main(int argc, char **argv)
{
	bench_begin("areas", argc, argv);
	boot();
	make_order();
	bench("mmap + munmap, no others", pairs, 100);
	for (uint32_t i = 0; i < AREAS; i++)
		map(area_start(i), TMM_MAP_FIXED);
	bench("find_vma, random", finds, 25);
	bench_turns();
	tmm_mm_put(mm);
	tmm_machine_fini(machine);
	free(machine);
	return 0;
}
