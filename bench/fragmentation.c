/*
 * fragmentation.c - how many 2 MiB blocks can be had after long churn
 *
 *	bench-fragmentation [--json]
 *
 * A machine of 256 MiB is filled with pages that can be moved (9 of 10) and that
 * cannot, which come and go at random, 40% to 80% of RAM in use, until the picture
 * is steady.  Then blocks are taken until there are no more: their share of what is free.
 *
 *   neither   no request says that its page moves
 *   types     pages that move are kept apart from those that do not
 *   compact   no types, but a request for a block may compact
 *   both
 *
 * Medians of several seeds.  No time is measured: the same seeds give the same table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/hosted.h>
#include <tuxmm/migrate.h>

#include "page/page_system.h"

#include "bench.h"

#define RAM_BYTES (UINT64_C(256) << 20)
#define NR_FRAMES (RAM_BYTES >> TMM_PAGE_SHIFT)
#define NR_SEEDS  9u
#define NR_STEPS  2000000u

static struct tmm_memblock memblock;
static struct cpu_set cpus;
static struct tmm_pages pages;
static uint32_t used[NR_FRAMES], place[NR_FRAMES], nr_used;

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

static tmm_err move(void *arg, tmm_pfn from, tmm_pfn to)
{
	(void)arg;
	used[place[from.v]] = (uint32_t)to.v;
	place[to.v] = place[from.v];
	return TMM_OK;
}

static const struct tmm_migrate_ops ops = {.move = move};
static const struct tmm_movable movable = {&ops, NULL};

static void take(bool moves, bool says_so)
{
	tmm_gfp gfp = moves && says_so ? TMM_GFP_MOVABLE : 0;
	tmm_pfn pfn;

	if (tmm_pages_alloc(&pages, gfp, 0, &pfn) != TMM_OK)
		return;
	if (moves)
		tmm_page_set_movable(&pages, pfn, &movable);
	place[pfn.v] = nr_used;
	used[nr_used++] = (uint32_t)pfn.v;
}

static void give(uint32_t which)
{
	tmm_pfn pfn = {used[which]};

	if (page_of(&pages, pfn)->kind == PAGE_MOVABLE)
		tmm_page_clear_movable(&pages, pfn);
	tmm_pages_free(&pages, pfn, 0);
	used[which] = used[--nr_used];
	place[used[which]] = which;
}

/* The share of free frames that can be had as blocks, in percent. */
static double run(bool types, bool compact, uint64_t seed)
{
	struct pages_config config = {.cpus = &cpus, .min_free_kbytes = 1};
	uint64_t nr_free, got = 0;
	tmm_gfp gfp = (compact ? TMM_GFP_KERNEL : TMM_GFP_NOWAIT) | TMM_GFP_NOWARN;
	tmm_pfn block;

	config.ram = calloc(1, RAM_BYTES);
	if (!config.ram)
		exit(1);
	nr_used = 0;
	tmm_memblock_init(&memblock, config.ram);
	cpu_set_init(&cpus, 1);
	if (tmm_memblock_add(&memblock, (tmm_paddr){0}, RAM_BYTES, 0) != TMM_OK ||
	    pages_init(&pages, &memblock, &config) != TMM_OK)
		exit(1);
	for (unsigned step = 0; step < NR_STEPS; step++) {
		uint64_t r = random_next(&seed);

		/* Bursts, as programs start and end: between 40% and 80% in use. */
		uint64_t goal = NR_FRAMES * (step / 50000 % 2 ? 40 : 80) / 100;

		if (nr_used < goal ? r % 8 != 0 : r % 8 == 0)
			take(r / 8 % 10 != 0, types);
		else if (nr_used)
			give((uint32_t)(r / 8 % nr_used));
	}
	tmm_pages_drain(&pages);
	nr_free = tmm_pages_free_count(&pages);
	while (tmm_pages_alloc(&pages, gfp, 9, &block) == TMM_OK)
		got += TMM_BLOCK_PAGES;
	cpu_set_fini(&cpus);
	free(config.ram);
	return 100.0 * (double)got / (double)nr_free;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool types, compact;
	} way[] = {{"neither", false, false},
	           {"types", true, false},
	           {"compact", false, true},
	           {"both", true, true}};
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

	if (argc > 1 && !json) {
		fprintf(stderr, "usage: bench-fragmentation [--json]\n");
		return 2;
	}
	printf(json ? "[" : "free memory to be had as 2 MiB blocks, %% (least .. most)\n");
	for (unsigned w = 0; w < 4; w++) {
		double share[NR_SEEDS];

		for (unsigned i = 0; i < NR_SEEDS; i++)
			share[i] = run(way[w].types, way[w].compact, 1000003u * (i + 1));
		qsort(share, NR_SEEDS, sizeof(*share), by_value);
		printf(json ? "%s{\"name\":\"%s\",\"median\":%.1f,\"least\":%.1f,\"most\":%.1f}"
		            : "%s%-8s %5.1f  (%.1f .. %.1f)\n",
		       json && w ? "," : "", way[w].name, share[NR_SEEDS / 2], share[0],
		       share[NR_SEEDS - 1]);
	}
	if (json)
		printf("]\n");
	return 0;
}
