/*
 * plug_threads_test.c - sections come and go under threads at work
 *
 *   0        16             48              128 MiB
 *   | DMA    | DMA32        | sections of 4 MiB, added and removed all the time
 *
 * Three threads borrow and free runs, and pages that move; a fourth one compacts.
 */
#include <pthread.h>

#include <tuxmm/hotplug.h>
#include <tuxmm/migrate.h>

#include "page/rig_test.h"
#include "page/zone.h"

#define SECTION       (4 * MIB)
#define SECTION_PAGES (SECTION >> TMM_PAGE_SHIFT)
#define BOOT_BYTES    (48 * MIB)
#define END_BYTES     (128 * MIB)
#define NR_PAGES      (END_BYTES >> TMM_PAGE_SHIFT)
#define NR_WORKERS    3u
#define NR_OPERATIONS 150000u
#define MAX_HELD      256u
#define MAX_MOVABLE   1500u

static struct rig rig;
static unsigned char owner[NR_PAGES]; /* thread number + 1 */
static unsigned nr_at_work;

/* A page that moves: whoever has the lock knows where it is. */
struct item {
	pthread_mutex_t lock;
	tmm_pfn pfn;
	bool lent;
};

struct worker {
	unsigned id;
	uint64_t seed;
	unsigned nr_held, nr_clashes, nr_moved;
	struct {
		tmm_pfn pfn;
		unsigned order;
	} held[MAX_HELD];
	struct item item[MAX_MOVABLE];
	struct tmm_movable movable;
};

static struct worker worker[NR_WORKERS];

/* ---- who has which frame ---- */

static void set_owner(struct worker *w, tmm_pfn pfn, unsigned order, unsigned from, unsigned to)
{
	for (uint64_t i = pfn.v; i < pfn.v + (UINT64_C(1) << order); i++)
		/* relaxed: whoever has the frame is alone with its byte */
		if (__atomic_exchange_n(&owner[i], (unsigned char)to, __ATOMIC_RELAXED) != from)
			__atomic_fetch_add(&w->nr_clashes, 1, __ATOMIC_RELAXED);
}

static uint64_t *word_at(tmm_pfn pfn)
{
	return (void *)((char *)rig.ram + (pfn.v << TMM_PAGE_SHIFT));
}

/* ---- pages that move ---- */

static tmm_err move(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct worker *w = arg;
	struct item *item = &w->item[*word_at(from)];

	if (pthread_mutex_trylock(&item->lock) != 0)
		return TMM_E_AGAIN;
	if (!item->lent || item->pfn.v != from.v) {
		pthread_mutex_unlock(&item->lock);
		return TMM_E_NOENT;
	}
	memcpy(word_at(to), word_at(from), TMM_PAGE_SIZE);
	set_owner(w, from, 0, w->id + 1, 0);
	set_owner(w, to, 0, 0, w->id + 1);
	item->pfn = to;
	__atomic_fetch_add(&w->nr_moved, 1, __ATOMIC_RELAXED); /* relaxed: a count */
	pthread_mutex_unlock(&item->lock);
	return TMM_OK;
}

static const struct tmm_migrate_ops ops = {.move = move};

static void item_change(struct worker *w, unsigned which)
{
	struct item *item = &w->item[which];
	tmm_pfn pfn;

	pthread_mutex_lock(&item->lock);
	if (item->lent) {
		pfn = item->pfn;
		if (*word_at(pfn) != which) /* relaxed: a count */
			__atomic_fetch_add(&w->nr_clashes, 1, __ATOMIC_RELAXED);
		item->lent = false;
		pthread_mutex_unlock(&item->lock);
		tmm_page_clear_movable(&rig.pages, pfn);
		pthread_mutex_lock(&item->lock);
		set_owner(w, pfn, 0, w->id + 1, 0);
		tmm_pages_free(&rig.pages, pfn, 0);
	} else if (tmm_pages_alloc(&rig.pages,
	                           TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE | TMM_GFP_NOWARN, 0,
	                           &pfn) == TMM_OK) {
		set_owner(w, pfn, 0, 0, w->id + 1);
		*word_at(pfn) = which;
		item->pfn = pfn;
		item->lent = true;
		tmm_page_set_movable(&rig.pages, pfn, &w->movable);
	}
	pthread_mutex_unlock(&item->lock);
}

/* ---- threads ---- */

static void run_change(struct worker *w, uint64_t r)
{
	unsigned order = r % 16 < 12 ? (unsigned)(r % 4) : (unsigned)(r >> 8) % 10;
	unsigned which;
	tmm_pfn pfn;

	if ((r >> 32 & 1) && w->nr_held < MAX_HELD) {
		if (tmm_pages_alloc(&rig.pages, TMM_GFP_KSWAPD | TMM_GFP_NOWARN, order, &pfn) !=
		    TMM_OK)
			return;
		set_owner(w, pfn, order, 0, w->id + 1);
		w->held[w->nr_held].pfn = pfn;
		w->held[w->nr_held++].order = order;
	} else if (w->nr_held) {
		which = (unsigned)(r >> 40) % w->nr_held;
		set_owner(w, w->held[which].pfn, w->held[which].order, w->id + 1, 0);
		tmm_pages_free(&rig.pages, w->held[which].pfn, w->held[which].order);
		w->held[which] = w->held[--w->nr_held];
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < NR_OPERATIONS; i++) {
		uint64_t r = test_random(&w->seed);

		if (r >> 60 < 6)
			run_change(w, r);
		else
			item_change(w, (unsigned)(r >> 16) % MAX_MOVABLE);
		if (r % 512 == 0)
			tmm_pages_drain(&rig.pages);
	}
	while (w->nr_held)
		run_change(w, 0);
	for (unsigned i = 0; i < MAX_MOVABLE; i++)
		if (w->item[i].lent)
			item_change(w, i);
	tmm_pages_drain(&rig.pages);
	/* release: what this thread did is seen when it is gone */
	__atomic_fetch_sub(&nr_at_work, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool all_done(void)
{
	return __atomic_load_n(&nr_at_work, __ATOMIC_ACQUIRE) == 0;
}

static void *compact(void *arg)
{
	while (!all_done())
		tmm_pages_compact(&rig.pages);
	return arg;
}

static void begin(void)
{
	const struct pages_config config = {.min_free_kbytes = NO_RESERVE,
	                                    .memory_model = TMM_MEMORY_SPARSE,
	                                    .section_bytes = SECTION,
	                                    .hotplug_end = END_BYTES};

	rig_begin(&rig, END_BYTES, NR_WORKERS + 2);
	rig_add(&rig, 0, BOOT_BYTES);
	rig_boot_as(&rig, config);
	nr_at_work = NR_WORKERS;
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		worker[i].id = i;
		worker[i].seed = test_seed() + i;
		worker[i].movable = (struct tmm_movable){&ops, &worker[i]};
		for (unsigned j = 0; j < MAX_MOVABLE; j++)
			pthread_mutex_init(&worker[i].item[j].lock, NULL);
	}
}

/* What is removed is nobody's; a refusal names a frame of the section. */
TEST(sections_come_and_go_under_threads)
{
	pthread_t thread[NR_WORKERS], compactor;
	unsigned nr_added = 0, nr_removed = 0, nr_refused = 0, nr_moved = 0;
	uint64_t seed = test_seed();

	begin();
	for (unsigned i = 0; i < NR_WORKERS; i++)
		CHECK(pthread_create(&thread[i], NULL, work, &worker[i]) == 0);
	CHECK(pthread_create(&compactor, NULL, compact, NULL) == 0);
	while (!all_done()) {
		uint64_t section = 6 + test_random(&seed) % (END_BYTES / SECTION - 6);
		tmm_paddr start = {section * SECTION};
		struct tmm_hotplug_report report;
		tmm_err err = tmm_section_remove(&rig.pages, start, &report);

		if (err == TMM_OK) {
			nr_removed++;
			for (uint64_t p = 0; p < SECTION_PAGES; p++) /* relaxed: a check */
				CHECK(!__atomic_load_n(&owner[section * SECTION_PAGES + p],
				                       __ATOMIC_RELAXED));
		} else if (err == TMM_E_NOENT) {
			nr_added++;
			CHECK(tmm_section_add(&rig.pages, start, 0, &report) == TMM_OK);
		} else {
			nr_refused++;
			CHECK(report.kind && report.pfn.v / SECTION_PAGES == section);
		}
	}
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		CHECK(pthread_join(thread[i], NULL) == 0);
		CHECK(worker[i].nr_clashes == 0);
		nr_moved += worker[i].nr_moved;
	}
	CHECK(pthread_join(compactor, NULL) == 0);
	test_note("%u added, %u removed, %u refused, %u pages moved", nr_added, nr_removed,
	          nr_refused, nr_moved);
	CHECK(nr_added && nr_removed && nr_moved);
	tmm_pages_drain_all(&rig.pages);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}
