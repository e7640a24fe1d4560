/*
 * fragmentation.c - how many 2 MiB blocks can be had after long churn
 *
 *	bench-fragmentation [--json] [--only ROW]
 *
 * A machine of 512 MiB lives through ten turnovers of its memory: as many frames are
 * lent as ten times its RAM, each living for a time of its own, from a hundredth of
 * a turnover to twelve:
 *
 *   movable       pages of programs, one by one
 *   files         movable pages that come and go together, up to 16 MiB
 *   unmovable     tables, stacks, buffers: runs of up to 8 frames
 *   reclaimable   inodes and the like: runs of up to 4 frames
 *
 * Once in each turnover files are read until 97% of RAM is in use, so that no block
 * stays out of it, and dropped again in no order until it is 65%.  From then on
 * a block of 2 MiB is asked for every 8 MiB, until files are read again; in the last
 * turnover only in its end, until there are no more.
 *
 *   neither   every request claims to be movable, none for a block may compact
 *   types     requests say what they are: pages that move are kept apart
 *   compact   no types, but requests for a block may compact
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

#define RAM_BYTES      (UINT64_C(512) << 20)
#define NR_FRAMES      (RAM_BYTES >> TMM_PAGE_SHIFT)
#define NR_SEEDS       9u
#define NR_TURNOVERS   10u

#define MOST_USED      (NR_FRAMES * 97 / 100)
#define REST_USED      (NR_FRAMES * 65 / 100)
#define BLOCK_EVERY    2048u /* frames lent between two requests for a block */
#define PEAK_EVERY     NR_FRAMES
#define PEAK_LASTS     (NR_FRAMES / 10)
#define REQUEST_FRAMES 8u
#define NR_FILES       256u
#define FILE_ORDERS    12u /* a file has up to 2^12 frames */

/* Time is counted in frames lent; things die in slots of the wheel. */
#define SLOT_FRAMES 64u
#define NR_SLOTS    32768u /* 16 turnovers: more than the longest life */

struct kind {
	tmm_gfp gfp;
	unsigned max_order;
	unsigned share; /* of the frames lent, in thousandths */
	uint64_t life;  /* frames lent meanwhile, on average; twice that at most */
};

static const struct kind kinds[] = {
	{TMM_GFP_MOVABLE, 0, 450, NR_FRAMES / 10},
	{TMM_GFP_MOVABLE, 0, 345, NR_FRAMES * 8 / 10},
	{0, 3, 105, NR_FRAMES / 20},
	{0, 3, 15, NR_FRAMES * 6},
	{TMM_GFP_RECLAIMABLE, 2, 85, NR_FRAMES * 6 / 10},
};

/* A run that is lent; [0] is none. */
struct run {
	uint32_t pfn, next;
	uint16_t order;
	bool movable;
};

static struct world {
	struct tmm_memblock memblock;
	struct cpu_set cpus;
	struct tmm_pages pages;
	struct run run[NR_FRAMES];
	uint32_t run_at[NR_FRAMES]; /* by first frame */
	uint32_t spare;             /* a chain */
	uint32_t slot[NR_SLOTS];    /* chains */
	uint32_t blocks;            /* a chain */
	uint32_t file[NR_FILES];    /* chains */
	uint64_t now, nr_used, nr_asked, nr_served;
	uint64_t seed;
	bool types, compacts;
} w;

static uint64_t random_next(void)
{
	w.seed ^= w.seed >> 12;
	w.seed ^= w.seed << 25;
	w.seed ^= w.seed >> 27;
	return w.seed * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

static tmm_err move(void *arg, tmm_pfn from, tmm_pfn to)
{
	(void)arg;
	w.run[w.run_at[from.v]].pfn = (uint32_t)to.v;
	w.run_at[to.v] = w.run_at[from.v];
	return TMM_OK;
}

static const struct tmm_migrate_ops ops = {.move = move};
static const struct tmm_movable movable = {&ops, NULL};

/* Lend a run and put it on a chain. */
static bool take(tmm_gfp gfp, unsigned order, uint32_t *chain)
{
	bool moves = gfp & TMM_GFP_MOVABLE && order == 0;
	uint32_t which = w.spare;
	struct run *run = &w.run[which];
	tmm_pfn pfn;

	if (!w.types)
		gfp |= TMM_GFP_MOVABLE;
	if (!w.types)
		gfp &= ~TMM_GFP_RECLAIMABLE;
	if (tmm_pages_alloc(&w.pages, gfp | TMM_GFP_NOWARN, order, &pfn) != TMM_OK)
		return false;
	if (moves)
		tmm_page_set_movable(&w.pages, pfn, &movable);
	w.spare = run->next;
	*run = (struct run){(uint32_t)pfn.v, *chain, (uint16_t)order, moves};
	*chain = which;
	w.run_at[pfn.v] = which;
	w.nr_used += UINT64_C(1) << order;
	return true;
}

/* Give back all runs of a chain. */
static void give(uint32_t *chain)
{
	while (*chain) {
		uint32_t which = *chain;
		struct run *run = &w.run[which];
		tmm_pfn pfn = {run->pfn};

		*chain = run->next;
		if (run->movable)
			tmm_page_clear_movable(&w.pages, pfn);
		tmm_pages_free(&w.pages, pfn, run->order);
		w.nr_used -= UINT64_C(1) << run->order;
		run->next = w.spare;
		w.spare = which;
	}
}

static uint32_t *slot_at(uint64_t time)
{
	return &w.slot[time / SLOT_FRAMES % NR_SLOTS];
}

static void read_file(void)
{
	uint32_t *file = &w.file[random_next() % NR_FILES];
	uint64_t frames = random_next() % (UINT64_C(2) << random_next() % FILE_ORDERS);

	while (frames-- > 0 && w.nr_used < MOST_USED && take(TMM_GFP_MOVABLE, 0, file))
		w.now++;
}

static void drop_file(void)
{
	give(&w.file[random_next() % NR_FILES]);
}

/* As many frames whatever the order: shares are of frames. */
static void request(void)
{
	uint64_t pick = random_next() % 1000, life;
	const struct kind *kind = kinds;
	unsigned order;

	while (pick >= kind->share)
		pick -= kind++->share;
	order = (unsigned)(random_next() % (kind->max_order + 1));
	for (uint64_t got = 0; got < REQUEST_FRAMES; got += 1u << order) {
		if (w.nr_used + (1u << order) > MOST_USED)
			drop_file();
		life = 1 + random_next() % (2 * kind->life);
		if (take(kind->gfp, order, slot_at(w.now + life)))
			w.now += 1u << order;
	}
}

static bool take_block(uint32_t *chain, bool compacts)
{
	tmm_gfp gfp = TMM_GFP_TRANSHUGE_LIGHT;

	return take(compacts ? gfp | TMM_GFP_RECLAIM : gfp, TMM_BLOCK_ORDER, chain);
}

static void live(void)
{
	uint64_t next_block = 0, next_peak = PEAK_EVERY / 4, peak_ends = UINT64_MAX, slot = 0;

	while (w.now < NR_TURNOVERS * NR_FRAMES) {
		for (; slot < w.now / SLOT_FRAMES; slot++)
			give(&w.slot[slot % NR_SLOTS]);
		request();
		if (w.now >= next_peak) {
			give(&w.blocks);
			while (w.nr_used < MOST_USED)
				read_file();
			next_peak += PEAK_EVERY;
			peak_ends = w.now + PEAK_LASTS;
		}
		if (w.now >= peak_ends) {
			while (w.nr_used > REST_USED)
				drop_file();
			peak_ends = UINT64_MAX;
		}
		if (w.now >= next_block && peak_ends == UINT64_MAX &&
		    w.now < (NR_TURNOVERS - 1) * NR_FRAMES) {
			next_block = w.now + BLOCK_EVERY;
			w.nr_asked++;
			w.nr_served += take_block(&w.blocks, w.compacts);
		}
	}
}

/* ---- what is measured ---- */

enum figure {
	USED,     /* frames, of RAM */
	SERVED,   /* requests for a block during the churn */
	AT_ONCE,  /* blocks that can be had in the end, of free memory */
	IN_END,   /* the same, compacting if that is allowed */
	FIXED,    /* blocks in which something lies that cannot be moved */
	UNUSABLE, /* free memory in shorter runs than a block */
	INDEX,    /* why no block is left: lack of memory 0 .. 1000 being cut up */
	CLAIMED,  /* blocks that changed their type, for each GiB lent */
	FOREIGN,  /* MiB lent from blocks of another type, for each GiB lent */
	MOVED,    /* pages moved for each block served */
	SCANNED,  /* pages looked at for each block served */
	NR_FIGURES
};

static const struct {
	const char *name, *heading;
	int decimals;
} figures[NR_FIGURES] = {
	{"used_percent", "used %", 1},          {"served_percent", "served %", 1},
	{"at_once_percent", "at once %", 1},    {"in_the_end_percent", "in end %", 1},
	{"fixed_blocks_percent", "fixed %", 1}, {"unusable_index", "unusable", 0},
	{"fragmentation_index", "index", 0},    {"claimed_blocks_per_gib", "claimed", 1},
	{"foreign_mib_per_gib", "foreign", 1},  {"moved_per_block", "moved", 0},
	{"scanned_per_block", "scanned", 0},
};

static void boot(void *ram)
{
	struct pages_config config = {.ram = ram, .cpus = &w.cpus, .min_free_kbytes = 1};

	tmm_memblock_init(&w.memblock, ram);
	cpu_set_init(&w.cpus, 1);
	if (tmm_memblock_add(&w.memblock, (tmm_paddr){0}, RAM_BYTES, 0) != TMM_OK ||
	    pages_init(&w.pages, &w.memblock, &config) != TMM_OK)
		bench_stop("512 MiB of memory");
	for (uint32_t i = 1; i < NR_FRAMES; i++)
		w.run[i].next = i + 1 < NR_FRAMES ? i + 1 : 0;
	w.spare = 1;
}

static double fixed_blocks(void)
{
	static bool fixed[NR_FRAMES / TMM_BLOCK_PAGES];
	unsigned nr = 0;

	memset(fixed, 0, sizeof(fixed));
	for (unsigned s = 0; s < NR_SLOTS; s++)
		for (uint32_t r = w.slot[s]; r; r = w.run[r].next)
			if (!w.run[r].movable)
				fixed[w.run[r].pfn / TMM_BLOCK_PAGES] = true;
	for (unsigned b = 0; b < NR_FRAMES / TMM_BLOCK_PAGES; b++)
		nr += fixed[b];
	return 100.0 * nr / (double)(NR_FRAMES / TMM_BLOCK_PAGES);
}

/* How the larger zone is cut up. */
static struct tmm_fragmentation indexes(void)
{
	struct tmm_zone_info zone;
	struct tmm_fragmentation cut;

	if (!tmm_zone_info(&w.pages, 0, TMM_ZONE_DMA32, &zone))
		bench_stop("a machine with a zone DMA32");
	tmm_fragmentation_of(zone.free_area, &cut);
	return cut;
}

static void count_fallbacks(double *out)
{
	struct tmm_type_info types;
	double per_gib = (double)(1 << (30 - TMM_PAGE_SHIFT)) / (double)w.now;

	for (unsigned i = 0; tmm_zone_types(&w.pages, i, &types); i++) {
		out[CLAIMED] += (double)types.claimed_blocks * per_gib;
		out[FOREIGN] += (double)types.foreign_pages * per_gib / 256;
	}
}

static void run(bool types, bool compacts, uint64_t seed, double *out)
{
	struct tmm_migrate_events events;
	uint32_t blocks = 0;
	uint64_t nr_free, before;
	void *ram = calloc(1, RAM_BYTES);

	if (!ram)
		bench_stop("512 MiB of memory");
	memset(&w, 0, sizeof(w));
	memset(out, 0, NR_FIGURES * sizeof(*out));
	w.seed = seed;
	w.types = types;
	w.compacts = compacts;
	boot(ram);
	live();
	tmm_pages_drain(&w.pages);
	tmm_migrate_events(&w.pages, &events);
	out[MOVED] = (double)events.moved_pages / (double)(w.nr_served + !w.nr_served);
	out[SCANNED] = (double)events.scanned_pages / (double)(w.nr_served + !w.nr_served);
	count_fallbacks(out);
	out[UNUSABLE] = indexes().unusable[TMM_BLOCK_ORDER];
	out[FIXED] = fixed_blocks();
	nr_free = tmm_pages_free_count(&w.pages);
	out[USED] = 100.0 * (double)w.nr_used / NR_FRAMES;
	out[SERVED] = 100.0 * (double)w.nr_served / (double)w.nr_asked;
	before = w.nr_used;
	while (take_block(&blocks, false))
		;
	out[INDEX] = indexes().index[TMM_BLOCK_ORDER];
	out[AT_ONCE] = 100.0 * (double)(w.nr_used - before) / (double)nr_free;
	while (take_block(&blocks, compacts))
		;
	out[IN_END] = 100.0 * (double)(w.nr_used - before) / (double)nr_free;
	tmm_pages_check(&w.pages);
	cpu_set_fini(&w.cpus);
	free(ram);
}

static void print_headings(void)
{
	printf("%-8s", "");
	for (unsigned f = 0; f < NR_FIGURES; f++)
		printf("%10s", figures[f].heading);
	printf("\n");
}

/* Medians. */
static void print_row(const char *name, double sample[NR_FIGURES][NR_SEEDS])
{
	printf(bench_json() ? "{\"name\":\"%s\"" : "%-8s", name);
	for (unsigned f = 0; f < NR_FIGURES; f++) {
		double *s = sample[f];

		qsort(s, NR_SEEDS, sizeof(*s), by_value);
		if (bench_json())
			printf(",\"%s\":{\"median\":%.1f,\"least\":%.1f,\"most\":%.1f}",
			       figures[f].name, s[NR_SEEDS / 2], s[0], s[NR_SEEDS - 1]);
		else
			printf("%10.*f", figures[f].decimals, s[NR_SEEDS / 2]);
	}
	printf(bench_json() ? "}\n" : "\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool types, compacts;
	} way[] = {{"neither", false, false},
	           {"types", true, false},
	           {"compact", false, true},
	           {"both", true, true}};

	bench_begin("fragmentation", argc, argv);
	if (!bench_json())
		print_headings();
	for (unsigned i = 0; i < sizeof(way) / sizeof(*way); i++) {
		double sample[NR_FIGURES][NR_SEEDS], figure[NR_FIGURES];

		if (!bench_wanted(way[i].name))
			continue;

		for (unsigned seed = 0; seed < NR_SEEDS; seed++) {
			run(way[i].types, way[i].compacts, 1000003u * (seed + 1), figure);
			for (unsigned f = 0; f < NR_FIGURES; f++)
				sample[f][seed] = figure[f];
		}
		print_row(way[i].name, sample);
	}
	return 0;
}
