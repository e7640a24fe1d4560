/*
 * page.c - the page allocator against an array with the owner of each frame
 *
 * The model says what may be lent; the allocator chooses which.  A borrower
 * writes his name into the first and last frame of his run and finds it there
 * when he gives it back.
 */
#include <string.h>

#include "ops.h"
#include "rig.h"

#define RAM_BYTES (UINT64_C(16) << 20)
#define NR_FRAMES (RAM_BYTES / TMM_PAGE_SIZE)
#define NR_SLOTS  256u
#define MOST_BULK 40u
#define GFP_ALL   ((1u << 18) - 1)

struct run {
	bool lent;
	unsigned order;
	tmm_pfn first;
};

static struct tmm_machine *machine;
static struct tmm_pages *pages;
static struct run run[NR_SLOTS];
static uint8_t lent[NR_FRAMES];
static uint64_t nr_free; /* frames that are nobody's */
static bool reclaims;    /* the allocator may take runs back */

static uint64_t *word(tmm_pfn pfn)
{
	return tmm_page_address(pages, pfn);
}

static tmm_pfn last(const struct run *r)
{
	return (tmm_pfn){r->first.v + (UINT64_C(1) << r->order) - 1};
}

/* ---- the model ---- */

static void take(struct run *r, tmm_pfn first, unsigned order)
{
	uint64_t nr = UINT64_C(1) << order;

	CHECK(first.v % nr == 0 && first.v + nr <= NR_FRAMES);
	for (uint64_t i = first.v; i < first.v + nr; i++) {
		CHECK(!lent[i]);
		lent[i] = 1;
	}
	*r = (struct run){true, order, first};
	nr_free -= nr;
	word(first)[0] = first.v;
	word(last(r))[511] = first.v;
}

static void give(struct run *r)
{
	uint64_t nr = UINT64_C(1) << r->order;

	CHECK(word(r->first)[0] == r->first.v && word(last(r))[511] == r->first.v);
	memset(&lent[r->first.v], 0, nr);
	r->lent = false;
	nr_free += nr;
}

static void give_and_free(struct run *r)
{
	if (!r->lent)
		return;
	give(r);
	tmm_pages_free(pages, r->first, r->order);
}

/* The lowest slot that has something goes. */
static uint64_t reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	(void)arg;
	(void)gfp;
	(void)order;
	for (unsigned i = 0; reclaims && i < NR_SLOTS; i++) {
		if (run[i].lent) {
			give_and_free(&run[i]);
			return UINT64_C(1) << run[i].order;
		}
	}
	return 0;
}

static const struct tmm_reclaim_ops reclaim_ops = {.reclaim = reclaim};

static void begin(void)
{
	machine = rig_begin(RAM_BYTES);
	pages = tmm_machine_pages(machine);
	memset(run, 0, sizeof(run));
	memset(lent, 0, sizeof(lent));
	nr_free = tmm_pages_free_count(pages);
	reclaims = false;
	tmm_pages_set_reclaim(pages, &reclaim_ops, NULL);
}

static void check(void)
{
	CHECK(tmm_pages_free_count(pages) == nr_free);
}

static void end(void)
{
	for (unsigned i = 0; i < NR_SLOTS; i++)
		give_and_free(&run[i]);
	check();
	tmm_pages_check(pages);
	for (unsigned cpu = 0; cpu < RIG_CPUS; cpu++) {
		CHECK(tmm_cpu_enter(machine, cpu) == TMM_OK);
		tmm_pages_drain(pages);
	}
	check();
	tmm_pages_set_reclaim(pages, NULL, NULL);
	rig_end(machine);
}

/* ---- operations ---- */

static tmm_gfp gfp_of(uint64_t arg)
{
	/* Failing is part of the game: no report of it. */
	return ((tmm_gfp)arg & GFP_ALL & ~TMM_GFP_NOFAIL) | TMM_GFP_NOWARN;
}

static tmm_gfp draw_gfp(uint64_t *random)
{
	static const tmm_gfp gfps[] = {
		TMM_GFP_KERNEL,
		TMM_GFP_KERNEL,
		TMM_GFP_ATOMIC,
		TMM_GFP_NOWAIT,
		TMM_GFP_MEMALLOC,
		TMM_GFP_KERNEL | TMM_GFP_DMA,
		TMM_GFP_HIGHUSER_MOVABLE,
		TMM_GFP_KERNEL | TMM_GFP_RECLAIMABLE,
		TMM_GFP_TRANSHUGE,
		TMM_GFP_KERNEL | TMM_GFP_NORETRY,
		TMM_GFP_DMA32,
		TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_MEMALLOC,
	};
	tmm_gfp gfp = gfps[pick(random, sizeof(gfps) / sizeof(*gfps))];

	if (pick(random, 4) == 0)
		gfp |= TMM_GFP_ZERO;
	return pick(random, 30) ? gfp : gfp_of(test_random(random));
}

static void draw_alloc(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_SLOTS);
	arg[1] = pick(random, 2) ? pick(random, 4) : pick(random, 12);
	arg[2] = draw_gfp(random);
}

/* A run is refused only when none is that long: with all reserves open. */
static void check_refusal(unsigned order, tmm_gfp gfp)
{
	struct tmm_zone_info info;

	if (op_failed_on_purpose() || !(gfp & TMM_GFP_MEMALLOC) ||
	    (gfp & (TMM_GFP_NOMEMALLOC | TMM_GFP_DMA | TMM_GFP_DMA32)))
		return;
	for (unsigned zone = 0; zone < TMM_NR_ZONES; zone++) {
		if (!tmm_zone_info(pages, 0, (enum tmm_zone_id)zone, &info))
			continue;
		for (unsigned o = order; o < info.nr_orders; o++)
			CHECK(info.free_area[o] == 0);
	}
}

static void check_zero(const struct run *r)
{
	for (unsigned i = 0; i < 512; i++)
		CHECK(word(r->first)[i] == 0 && word(last(r))[i] == 0);
}

static void apply_alloc(const uint64_t *arg)
{
	struct run *r = &run[arg[0] % NR_SLOTS];
	unsigned order = (unsigned)(arg[1] % (TMM_NR_ORDERS + 1));
	tmm_gfp gfp = gfp_of(arg[2]);
	tmm_pfn first = TMM_PFN_NONE;
	tmm_err err;

	give_and_free(r);
	err = tmm_pages_alloc(pages, gfp, order, &first);
	if (order > tmm_pages_max_order(pages)) {
		CHECK(err == TMM_E_INVAL || (err == TMM_E_NOMEM && op_failed_on_purpose()));
	} else if (err) {
		CHECK(err == TMM_E_NOMEM && first.v == TMM_PFN_NONE.v);
		check_refusal(order, gfp);
	} else {
		if (gfp & TMM_GFP_ZERO)
			check_zero(&(struct run){true, order, first});
		take(r, first, order);
	}
}

static void draw_slot(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_SLOTS);
	arg[1] = 1 + pick(random, MOST_BULK);
	arg[2] = draw_gfp(random);
}

static void apply_free(const uint64_t *arg)
{
	give_and_free(&run[arg[0] % NR_SLOTS]);
}

/* Single frames into adjacent slots. */
static void apply_bulk(const uint64_t *arg)
{
	unsigned at = (unsigned)(arg[0] % (NR_SLOTS - MOST_BULK));
	size_t nr = arg[1] % (MOST_BULK + 1), got;
	tmm_pfn pfns[MOST_BULK];

	for (size_t i = 0; i < nr; i++)
		give_and_free(&run[at + i]);
	got = tmm_pages_alloc_bulk(pages, gfp_of(arg[2]), nr, pfns);
	CHECK(got <= nr);
	if (got < nr)
		check_refusal(0, gfp_of(arg[2]));
	for (size_t i = 0; i < got; i++)
		take(&run[at + i], pfns[i], 0);
}

static void apply_free_bulk(const uint64_t *arg)
{
	unsigned at = (unsigned)(arg[0] % (NR_SLOTS - MOST_BULK));
	tmm_pfn pfns[MOST_BULK];
	size_t nr = 0;

	for (size_t i = 0; i < arg[1] % (MOST_BULK + 1); i++) {
		if (!run[at + i].lent || run[at + i].order)
			continue;
		give(&run[at + i]);
		pfns[nr++] = run[at + i].first;
	}
	tmm_pages_free_bulk(pages, nr, pfns);
}

static void apply_drain(const uint64_t *arg)
{
	(void)arg;
	tmm_pages_drain(pages);
}

static void apply_reclaim(const uint64_t *arg)
{
	reclaims = arg[0] & 1;
}

static void apply_cpu(const uint64_t *arg)
{
	CHECK(tmm_cpu_enter(machine, (unsigned)(arg[0] % RIG_CPUS)) == TMM_OK);
}

static void apply_check(const uint64_t *arg)
{
	(void)arg;
	tmm_pages_check(pages);
}

static const struct verb verbs[] = {
	{"alloc", 3, draw_alloc, apply_alloc},
	{"alloc", 3, draw_alloc, apply_alloc}, /* twice as often */
	{"free", 1, draw_slot, apply_free},
	{"bulk", 3, draw_slot, apply_bulk},
	{"free_bulk", 2, draw_slot, apply_free_bulk},
	{"drain", 0, NULL, apply_drain},
	{"reclaim", 1, draw_slot, apply_reclaim},
	{"cpu", 1, draw_slot, apply_cpu},
	{"check", 0, NULL, apply_check},
};

const struct fuzz_target fuzz_target = {begin, check, end, sizeof(verbs) / sizeof(*verbs),
                                        verbs};
