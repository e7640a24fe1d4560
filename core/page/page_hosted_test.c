/*
 * page_hosted_test.c - what only a host shows: threads, and memory not touched
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>

#include "page/rig_test.h"

#define NR_THREADS    3
#define NR_OPERATIONS 200000u
#define MAX_HELD      512
#define FRAMES        (32 * 256)

static struct rig rig;

static bool is_touched(void *address)
{
	unsigned char resident;

	CHECK(mincore(address, TMM_PAGE_SIZE, &resident) == 0);
	return resident & 1;
}

/*
 *   lent zeroed     the frame was never lent: the host has no page behind it
 *   dirtied, freed
 *   lent zeroed     the same frame, cleared
 */
TEST(a_fresh_frame_is_not_touched)
{
	for (unsigned order = 0; order <= TMM_DEFAULT_ORDER; order++) {
		struct tmm_pages *pages = rig_simple(&rig, 32 * MIB);
		tmm_pfn first, second;
		char *bytes;

		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, order, &first) ==
		      TMM_OK);
		bytes = tmm_page_address(pages, first);
		for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
			CHECK(!is_touched(bytes + i * TMM_PAGE_SIZE));
		CHECK(!is_touched((void *)((uintptr_t)page_of(pages, first) &
		                           ~(uintptr_t)(TMM_PAGE_SIZE - 1))));
		memset(bytes, 0xa5, TMM_PAGE_SIZE << order);
		tmm_pages_free(pages, first, order);
		CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_ZERO, order, &second) ==
		      TMM_OK);
		CHECK(second.v == first.v);
		bytes = tmm_page_address(pages, second);
		for (uint64_t i = 0; i < TMM_PAGE_SIZE << order; i++)
			CHECK(bytes[i] == 0);
	}
}

/* ---- threads ---- */

static unsigned char owner[FRAMES]; /* thread number + 1 */
static struct {
	tmm_pfn pfn;
	unsigned order;
} shelf[NR_THREADS]; /* a run that the next thread frees; order + 1, 0: empty */
static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;

struct worker {
	unsigned id;
	uint64_t seed;
	unsigned nr_held;
	unsigned nr_clashes;
	struct {
		tmm_pfn pfn;
		unsigned order;
	} held[MAX_HELD];
};

static void set_owner(struct worker *worker, tmm_pfn pfn, unsigned order, unsigned char from,
                      unsigned char to)
{
	for (uint64_t i = pfn.v; i < pfn.v + (UINT64_C(1) << order); i++)
		/* relaxed: whoever has the frame is alone with its byte */
		worker->nr_clashes += __atomic_exchange_n(&owner[i], to, __ATOMIC_RELAXED) !=
		                      from;
}

static void give(struct worker *worker, tmm_pfn pfn, unsigned order)
{
	set_owner(worker, pfn, order, 1, 0);
	tmm_pages_free(&rig.pages, pfn, order);
}

/* Frees what the thread before put down, and puts one down. */
static void pass_on(struct worker *worker)
{
	unsigned from = (worker->id + 1) % NR_THREADS;
	tmm_pfn pfn = {0};
	unsigned order = 0;

	pthread_mutex_lock(&shelf_lock);
	if (shelf[from].order) {
		pfn = shelf[from].pfn;
		order = shelf[from].order;
		shelf[from].order = 0;
	}
	if (!shelf[worker->id].order && worker->nr_held) {
		worker->nr_held--;
		shelf[worker->id].pfn = worker->held[worker->nr_held].pfn;
		shelf[worker->id].order = worker->held[worker->nr_held].order + 1;
	}
	pthread_mutex_unlock(&shelf_lock);
	if (order)
		give(worker, pfn, order - 1);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned i = 0; i < NR_OPERATIONS; i++) {
		uint64_t r = test_random(&worker->seed);
		unsigned order = r % 16 < 12 ? (unsigned)(r % 4) % 3 : (unsigned)(r >> 8) % 10;
		unsigned which;
		tmm_pfn pfn;

		if (r >> 32 & 1 && worker->nr_held < MAX_HELD) {
			if (tmm_pages_alloc(&rig.pages, TMM_GFP_NOWAIT, order, &pfn) != TMM_OK)
				continue;
			set_owner(worker, pfn, order, 0, 1);
			worker->held[worker->nr_held].pfn = pfn;
			worker->held[worker->nr_held++].order = order;
		} else if (worker->nr_held) {
			which = (unsigned)(r >> 40) % worker->nr_held;
			give(worker, worker->held[which].pfn, worker->held[which].order);
			worker->held[which] = worker->held[--worker->nr_held];
		}
		if (r % 64 == 0)
			pass_on(worker);
		if (r % 8192 == 0)
			tmm_pages_drain(&rig.pages);
	}
	while (worker->nr_held) {
		worker->nr_held--;
		give(worker, worker->held[worker->nr_held].pfn,
		     worker->held[worker->nr_held].order);
	}
	tmm_pages_drain(&rig.pages);
	return NULL;
}

/* Three threads on 32 MiB that free each other's runs: no frame has two owners. */
TEST(threads_never_share_a_frame)
{
	static struct worker worker[NR_THREADS];
	pthread_t thread[NR_THREADS];
	struct tmm_pages *pages;

	rig_begin(&rig, 32 * MIB, NR_THREADS);
	rig_add(&rig, 0, 32 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		worker[i] = (struct worker){.id = i, .seed = test_seed() + i};
		CHECK(pthread_create(&thread[i], NULL, work, &worker[i]) == 0);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK(worker[i].nr_clashes == 0);
		if (shelf[i].order)
			give(&worker[i], shelf[i].pfn, shelf[i].order - 1);
	}
	tmm_pages_drain(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}
