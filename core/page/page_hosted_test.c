/*
 * page_hosted_test.c - what only a host shows: threads, and memory not touched
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>

#include <tuxmm/machine.h>

#include "page/rig_test.h"
#include "page/zone.h"

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
			if (tmm_pages_alloc(&rig.pages, TMM_GFP_NOWAIT | TMM_GFP_NOWARN, order,
			                    &pfn) != TMM_OK)
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

static void finish_work(struct worker *worker)
{
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK(worker[i].nr_clashes == 0);
		if (shelf[i].order)
			give(&worker[i], shelf[i].pfn, shelf[i].order - 1);
		shelf[i].order = 0;
	}
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
	finish_work(worker);
	tmm_pages_drain(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* ---- threads whose pages are moved under their hands ---- */

#define NR_KEEPERS   2
#define KEPT_MOST    1024
#define MOVER_ROUNDS 100u
#define MOVED_LEAST  100u

/* Frames of a thread that may be moved; each holds `mark` + its index here. */
struct keeper {
	pthread_mutex_t lock;
	struct tmm_movable movable;
	uint64_t seed, mark;
	unsigned nr, nr_wrong;
	tmm_pfn pfn[KEPT_MOST];
};

static struct keeper keepers[NR_KEEPERS];
static unsigned nr_at_work; /* of those who move */

static uint64_t *content(tmm_pfn pfn)
{
	return tmm_page_address(&rig.pages, pfn);
}

static tmm_err move_kept(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct keeper *keeper = arg;
	tmm_err err = TMM_E_NOENT;

	if (pthread_mutex_trylock(&keeper->lock) != 0)
		return TMM_E_AGAIN;
	for (unsigned i = 0; i < keeper->nr; i++) {
		if (keeper->pfn[i].v != from.v)
			continue;
		*content(to) = *content(from);
		keeper->pfn[i] = to;
		err = TMM_OK;
		break;
	}
	pthread_mutex_unlock(&keeper->lock);
	return err;
}

static void keep_one(struct keeper *keeper)
{
	tmm_pfn pfn;

	if (keeper->nr == KEPT_MOST ||
	    tmm_pages_alloc(&rig.pages, TMM_GFP_HIGHUSER_MOVABLE & ~TMM_GFP_DIRECT_RECLAIM, 0,
	                    &pfn) != TMM_OK)
		return;
	*content(pfn) = keeper->mark + keeper->nr;
	keeper->pfn[keeper->nr++] = pfn;
	tmm_page_set_movable(&rig.pages, pfn, &keeper->movable);
}

static void let_go(struct keeper *keeper, unsigned which)
{
	tmm_pfn pfn = keeper->pfn[which], last = keeper->pfn[--keeper->nr];

	keeper->nr_wrong += *content(pfn) != keeper->mark + which;
	tmm_page_clear_movable(&rig.pages, pfn);
	tmm_pages_free(&rig.pages, pfn, 0);
	if (which < keeper->nr) {
		keeper->pfn[which] = last;
		*content(last) = keeper->mark + which;
	}
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;

	/* relaxed: at the latest a round later */
	while (__atomic_load_n(&nr_at_work, __ATOMIC_RELAXED)) {
		uint64_t r = test_random(&keeper->seed);

		pthread_mutex_lock(&keeper->lock);
		if (keeper->nr == 0 || r % 16 < 9)
			keep_one(keeper);
		else
			let_go(keeper, (unsigned)(r >> 8) % keeper->nr);
		pthread_mutex_unlock(&keeper->lock);
		if (r % 4096 == 0)
			tmm_pages_drain(&rig.pages);
	}
	pthread_mutex_lock(&keeper->lock);
	while (keeper->nr)
		let_go(keeper, keeper->nr - 1);
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

static void *take_runs_back(void *arg)
{
	struct tmm_cma *area = tmm_cma_area(&rig.pages, 0);
	uint64_t seed = *(uint64_t *)arg;
	unsigned nr_got = 0;

	for (unsigned i = 0; i < MOVER_ROUNDS; i++) {
		uint64_t r = test_random(&seed), nr = 1 + r % 700;
		tmm_pfn pfn;

		if (tmm_cma_alloc(area, nr, 0, &pfn, NULL) == TMM_OK) {
			nr_got++;
			memset(content(pfn), 0xff, (size_t)nr << TMM_PAGE_SHIFT);
			tmm_cma_release(area, pfn, nr);
		}
	}
	CHECK(nr_got > 0);
	__atomic_fetch_sub(&nr_at_work, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *compact(void *arg)
{
	struct tmm_zone_info info;
	struct tmm_type_info types;
	uint64_t *nr_moved = arg;
	tmm_pfn run;

	for (unsigned i = 0; i < MOVER_ROUNDS || *nr_moved < MOVED_LEAST; i++) {
		CHECK(i < 1000 * MOVER_ROUNDS);
		*nr_moved += tmm_pages_compact(&rig.pages);
		tmm_pages_drain_all(&rig.pages);
		if (tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL | TMM_GFP_NOWARN, 9, &run) ==
		    TMM_OK)
			tmm_pages_free(&rig.pages, run, 9);
		tmm_zone_info(&rig.pages, 0, TMM_ZONE_DMA32, &info);
		for (unsigned z = 0; tmm_zone_types(&rig.pages, z, &types); z++)
			CHECK(types.blocks[TMM_MIGRATE_MOVABLE] <= 32);
	}
	__atomic_fetch_sub(&nr_at_work, 1, __ATOMIC_RELAXED);
	return NULL;
}

/*
 * Two threads take and free movable pages; a third takes runs of a contiguous area
 * back, a fourth compacts: every page holds what its keeper wrote, wherever it is.
 */
TEST(pages_keep_their_content_while_others_move_them)
{
	const struct tmm_cma_spec cma = {.name = "area", .size_bytes = 8 * MIB};
	static const struct tmm_migrate_ops ops = {.move = move_kept};
	pthread_t thread[NR_KEEPERS + 2];
	uint64_t seed = test_seed(), nr_moved = 0;
	struct tmm_pages *pages;

	rig_begin(&rig, 32 * MIB, NR_KEEPERS + 2);
	rig_add(&rig, 0, 32 * MIB);
	pages = rig_boot_as(
		&rig,
		(struct pages_config){.min_free_kbytes = NO_RESERVE, .cma = &cma, .nr_cma = 1});
	nr_at_work = 2;
	for (unsigned i = 0; i < NR_KEEPERS; i++) {
		keepers[i] = (struct keeper){.movable = {&ops, &keepers[i]},
		                             .seed = seed + i,
		                             .mark = (i + UINT64_C(1)) << 32};
		pthread_mutex_init(&keepers[i].lock, NULL);
		CHECK(pthread_create(&thread[i], NULL, keep, &keepers[i]) == 0);
	}
	CHECK(pthread_create(&thread[NR_KEEPERS], NULL, take_runs_back, &seed) == 0);
	CHECK(pthread_create(&thread[NR_KEEPERS + 1], NULL, compact, &nr_moved) == 0);
	for (unsigned i = 0; i < NR_KEEPERS + 2; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	for (unsigned i = 0; i < NR_KEEPERS; i++)
		CHECK(keepers[i].nr_wrong == 0);
	tmm_pages_drain(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* ---- stacks of threads that do nothing ---- */

static void *fill_and_wait(void *arg)
{
	pthread_barrier_t *barrier = arg;
	tmm_pfn pfn[64];

	CHECK(tmm_pages_alloc_bulk(&rig.pages, TMM_GFP_KERNEL, 64, pfn) == 64);
	tmm_pages_free_bulk(&rig.pages, 64, pfn);
	pthread_barrier_wait(barrier); /* its stacks are full */
	pthread_barrier_wait(barrier); /* others have looked */
	return NULL;
}

/*
 *   idle thread   stack |ffff|   on its CPU, in no call
 *   drain_all     zone  |ffff|   all of them, and it asked nobody to wait
 */
TEST(stacks_of_idle_threads_are_taken)
{
	pthread_barrier_t barrier;
	pthread_t thread[2];
	struct tmm_pages *pages;
	uint64_t in_zones = 0;

	rig_begin(&rig, 32 * MIB, 3);
	rig_add(&rig, 0, 32 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	pthread_barrier_init(&barrier, NULL, 3);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_create(&thread[i], NULL, fill_and_wait, &barrier) == 0);
	pthread_barrier_wait(&barrier);
	for (unsigned z = 0; z < pages->nr_zones; z++)
		in_zones += zone_free(&pages->zone[z]);
	CHECK(in_zones < pages->managed);
	tmm_pages_drain_all(pages);
	in_zones = 0;
	for (unsigned z = 0; z < pages->nr_zones; z++)
		in_zones += zone_free(&pages->zone[z]);
	CHECK(in_zones == pages->managed);
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	pthread_barrier_destroy(&barrier);
	tmm_pages_check(pages);
	pages_fini(pages);
}

static bool stop_draining;

static void *drain_others(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	/* relaxed: at the latest a round later */
	while (!__atomic_load_n(&stop_draining, __ATOMIC_RELAXED)) {
		tmm_pages_drain_all(&rig.pages);
		if (test_random(&seed) % 8 == 0)
			CHECK(tmm_pages_set_stacks(&rig.pages, test_random(&seed) % 513, 0) ==
			      TMM_OK);
	}
	return NULL;
}

/* As above, while two others take the stacks all the time: no frame has two owners. */
TEST(stacks_are_taken_from_threads_at_work)
{
	static struct worker worker[NR_THREADS];
	pthread_t thread[NR_THREADS], drainer[2];
	uint64_t seed = test_seed();
	struct tmm_pages *pages;

	rig_begin(&rig, 32 * MIB, NR_THREADS + 2);
	rig_add(&rig, 0, 32 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	__atomic_store_n(&stop_draining, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_create(&drainer[i], NULL, drain_others, &seed) == 0);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		worker[i] = (struct worker){.id = i, .seed = seed + i};
		CHECK(pthread_create(&thread[i], NULL, work, &worker[i]) == 0);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	__atomic_store_n(&stop_draining, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_join(drainer[i], NULL) == 0);
	finish_work(worker);
	tmm_pages_drain_all(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* ---- zones that lie between each other's ---- */

static void *work_on_node_1(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	tmm_pfn held[64];
	unsigned nr = 0;

	for (unsigned i = 0; i < NR_OPERATIONS / 4; i++) {
		uint64_t r = test_random(&seed);
		tmm_gfp gfp = (r >> 8 & 1 ? TMM_GFP_MOVABLE : 0) | TMM_GFP_NOWARN;

		if (nr < ARRAY_SIZE(held) && (r & 1))
			nr += tmm_pages_alloc(&rig.pages, gfp | TMM_GFP_THISNODE, 5,
			                      &held[nr]) == TMM_OK;
		else if (nr > 0)
			tmm_pages_free(&rig.pages, held[--nr], 5);
	}
	while (nr > 0)
		tmm_pages_free(&rig.pages, held[--nr], 5);
	__atomic_fetch_sub(&nr_at_work, 1, __ATOMIC_RELAXED);
	return NULL;
}

/*
 *   node   |0000|1111|0000|   a thread lends and frees on node 1, while what
 *                             node 0 has is counted, round it
 */
TEST(a_zone_is_counted_while_one_between_its_blocks_is_in_use)
{
	uint64_t seed = test_seed();
	struct tmm_type_info types;
	struct tmm_zone_info info;
	struct tmm_pages *pages;
	pthread_t thread;

	rig_begin(&rig, 40 * MIB, 2);
	rig.cpus.cpu[0].node = 1;
	for (uint32_t piece = 0; piece < 3; piece++)
		CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){(16 + 8 * piece) * MIB},
		                       8 * MIB, piece % 2) == TMM_OK);
	pages = rig_boot_as(
		&rig, (struct pages_config){.min_free_kbytes = NO_RESERVE, .nr_nodes = 2});
	nr_at_work = 1;
	CHECK(pthread_create(&thread, NULL, work_on_node_1, &seed) == 0);
	/* relaxed: at the latest a round later */
	while (__atomic_load_n(&nr_at_work, __ATOMIC_RELAXED)) {
		uint64_t blocks = 0;

		CHECK(tmm_zone_types(pages, 0, &types) && types.node == 0);
		for (unsigned type = 0; type < TMM_NR_MIGRATE_TYPES; type++)
			blocks += types.blocks[type];
		CHECK(blocks == 8);
		CHECK(tmm_zone_info(pages, 0, TMM_ZONE_DMA32, &info));
	}
	CHECK(pthread_join(thread, NULL) == 0);
	tmm_pages_drain_all(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* ---- strips ---- */

#define NR_APART 20000u

static tmm_pfn apart[2][NR_APART];

/* Takes frames of its own, and frees what the other one took. */
static void *take_and_swap(void *arg)
{
	pthread_barrier_t *barrier = arg;
	static unsigned next;
	/* relaxed: a number for each */
	unsigned id = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 2, nr_failed = 0;

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < NR_APART; i++)
			nr_failed += tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0,
			                             &apart[id][i]) != TMM_OK;
		pthread_barrier_wait(barrier);
		for (unsigned i = 0; i < NR_APART; i++)
			tmm_pages_free(&rig.pages, apart[(id + round) % 2][i], 0);
		pthread_barrier_wait(barrier);
	}
	CHECK(nr_failed == 0);
	return NULL;
}

/* With room for strips, which end with their threads. */
TEST(threads_take_from_strips)
{
	struct tmm_pages *pages;
	pthread_barrier_t barrier;
	pthread_t thread[2];

	rig_begin(&rig, 4 * GIB, 2);
	rig_add(&rig, 0, 4 * GIB);
	pages = rig_boot(&rig, NO_RESERVE);
	tmm_cpu_exit(cpu_self(&rig.cpus)); /* boot's CPU is for a thread */
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_create(&thread[i], NULL, take_and_swap, &barrier) == 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	pthread_barrier_destroy(&barrier);
	tmm_pages_check(pages);
	for (unsigned z = 0; z < pages->nr_zones; z++)
		for (uint64_t s = 0; s < pages->zone[z].nr_set_words; s++)
			CHECK(pages->zone[z].strip_cpu[s] == 0);
	pages_fini(pages);
}
