/*
 * slab.c - what an object costs: the patterns of docs/PERFORMANCE.md, beside others
 *
 *	bench-slab [--json] [--only PATTERN]
 *
 * A machine of 1 GiB and two CPUs; objects of 64 bytes.  pair: allocate one, free
 * it.  bulk: many with one call, and freed with one, per object.  lifo: a million,
 * freed in reverse; rand: freed in random order, slabs going back.  pass: one thread
 * allocates, another frees, per object.  Rows with a name behind are of peers
 * (peers.h); their samples are taken in turn with ours.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/account.h>
#include <tuxmm/machine.h>
#include <tuxmm/mempool.h>
#include <tuxmm/slab_inline.h>

#include "bench.h"
#include "peers.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define OBJECTS   1000000u
#define PAIRS     1000000u
#define BULK      64u
#define RUNS      11

static struct tmm_machine *machine;
static struct tmm_slab_system *slabs;
static struct tmm_cache *cache;
static struct tmm_mempool *pool;
static struct peer peers[1 + NR_PEERS]; /* ourselves first */
static unsigned nr_peers;
static const struct rte_peer *rte;
static size_t kmalloc_bytes;
static void *object[OBJECTS];

static void boot(void)
{
	static struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map),
	                                .nr_cpus = 2};
	const struct tmm_cache_spec spec = {.name = "bench", .size_bytes = 64};
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const char *why;

	machine = aligned_alloc(64, tmm_machine_bytes());
	if (ram == MAP_FAILED || !machine)
		bench_stop("1 GiB of address space");
	if (tmm_machine_init(machine, &shape, ram, &why) != TMM_OK)
		bench_stop(why);
	slabs = tmm_machine_slabs(machine);
	if (tmm_cache_create(slabs, &spec, &cache) != TMM_OK)
		bench_stop("memory for a cache");
}

/* ---- ourselves, as a peer ---- */

static void *cache_take(size_t bytes)
{
	(void)bytes;
	return tmm_cache_alloc(cache, TMM_GFP_KERNEL);
}

static void cache_give(void *taken)
{
	tmm_cache_free(cache, taken);
}

/* ---- patterns; nanoseconds ---- */

/* Of the caller's own time: what else the machine runs is not counted. */
static double spent_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Ours are called without a pointer to them, as programs do. */
static double pairs(const struct peer *peer)
{
	double start = spent_ns();

	if (peer == peers)
		for (unsigned i = 0; i < PAIRS; i++)
			tmm_cache_free(cache, tmm_cache_alloc(cache, TMM_GFP_KERNEL));
	else
		for (unsigned i = 0; i < PAIRS; i++)
			peer->free(peer->alloc(64));
	return (spent_ns() - start) / PAIRS;
}

/* Without calls: tuxmm/slab_inline.h. */
static double inline_pairs(const struct peer *peer)
{
	double start = spent_ns();

	(void)peer;
	for (unsigned i = 0; i < PAIRS; i++)
		tmm_cache_free_inline(cache, tmm_cache_alloc_inline(cache, TMM_GFP_KERNEL));
	return (spent_ns() - start) / PAIRS;
}

/* To an account with a parent. */
static double charged_pairs(const struct peer *peer)
{
	const tmm_gfp gfp = TMM_GFP_KERNEL | TMM_GFP_ACCOUNT;
	double start = spent_ns();

	(void)peer;
	for (unsigned i = 0; i < PAIRS; i++)
		tmm_cache_free(cache, tmm_cache_alloc(cache, gfp));
	return (spent_ns() - start) / PAIRS;
}

static double charged_frames(const struct peer *peer)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	double start = spent_ns();
	tmm_pfn pfn;

	(void)peer;
	for (unsigned i = 0; i < PAIRS; i++) {
		if (tmm_pages_alloc(pages, TMM_GFP_KERNEL | TMM_GFP_ACCOUNT, 0, &pfn) != TMM_OK)
			bench_stop("memory for a frame");
		tmm_pages_free(pages, pfn, 0);
	}
	return (spent_ns() - start) / PAIRS;
}

static double bulks(const struct peer *peer)
{
	double start = spent_ns();

	(void)peer;
	for (unsigned i = 0; i < PAIRS / BULK; i++) {
		if (tmm_cache_alloc_bulk(cache, TMM_GFP_KERNEL, BULK, object) != BULK)
			bench_stop("memory for a bulk");
		tmm_cache_free_bulk(cache, BULK, object);
	}
	return (spent_ns() - start) / (PAIRS / BULK * BULK);
}

static double singles(const struct peer *peer)
{
	double start = spent_ns();

	for (unsigned i = 0; i < PAIRS / BULK; i++) {
		for (unsigned k = 0; k < BULK; k++)
			object[k] = peer->alloc(64);
		for (unsigned k = 0; k < BULK; k++)
			peer->free(object[k]);
	}
	return (spent_ns() - start) / (PAIRS / BULK * BULK);
}

static double rte_moves(unsigned nr)
{
	double start = spent_ns();

	for (unsigned i = 0; i < PAIRS / nr; i++) {
		if (rte->get(object, nr) != 0)
			bench_stop("objects in the pool");
		rte->put(object, nr);
	}
	return (spent_ns() - start) / (PAIRS / nr * nr);
}

static double rte_pairs(const struct peer *peer)
{
	(void)peer;
	return rte_moves(1);
}

static double rte_bulks(const struct peer *peer)
{
	(void)peer;
	return rte_moves(BULK);
}

static double mempools(const struct peer *peer)
{
	double start = spent_ns();

	(void)peer;
	for (unsigned i = 0; i < PAIRS; i++)
		tmm_mempool_free(pool, tmm_mempool_alloc(pool, TMM_GFP_KERNEL));
	return (spent_ns() - start) / PAIRS;
}

static double kmallocs(const struct peer *peer)
{
	double start = spent_ns();

	if (peer == peers)
		for (unsigned i = 0; i < PAIRS; i++)
			tmm_kfree(slabs, tmm_kmalloc(slabs, kmalloc_bytes, TMM_GFP_KERNEL));
	else
		for (unsigned i = 0; i < PAIRS; i++)
			peer->free(peer->alloc(kmalloc_bytes));
	return (spent_ns() - start) / PAIRS;
}

static void *run_pairs(void *ns)
{
	*(double *)ns = pairs(peers);
	return NULL;
}

/* Both CPUs on one cache, which they share. */
static double two_threads(const struct peer *peer)
{
	pthread_t thread[2];
	double ns[2];

	(void)peer;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, run_pairs, &ns[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return (ns[0] + ns[1]) / 2;
}

static unsigned nr_passed; /* objects that the taker has put into object[] */

static void *free_passed(void *arg)
{
	const struct peer *peer = arg;
	unsigned done = 0;

	while (done < OBJECTS) {
		unsigned ready = __atomic_load_n(&nr_passed, __ATOMIC_ACQUIRE);

		for (; done < ready; done++)
			peer->free(object[done]);
	}
	return NULL;
}

static double passes(const struct peer *peer)
{
	struct peer freer = *peer;
	pthread_t thread;
	double start;

	nr_passed = 0;
	pthread_create(&thread, NULL, free_passed, &freer);
	start = now_ns();
	for (unsigned i = 0; i < OBJECTS; i++) {
		object[i] = peer->alloc(64);
		if (i % 256 == 255 || i == OBJECTS - 1)
			__atomic_store_n(&nr_passed, i + 1, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	return (now_ns() - start) / OBJECTS;
}

/* ---- rows ---- */

static void row_name(char name[48], const char *pattern, const char *peer)
{
	snprintf(name, 48, peer[0] ? "%s, %s" : "%s", pattern, peer);
}

/* The first `nr` peers in turn, so that what disturbs one disturbs all. */
static void bench_peers(const char *pattern, double (*run)(const struct peer *peer),
                        unsigned nr, double goal)
{
	double ns[1 + NR_PEERS][RUNS];

	if (!bench_wanted(pattern))
		return;
	for (int i = -1; i < RUNS; i++) /* the first warms up */
		for (unsigned p = 0; p < nr; p++)
			ns[p][i < 0 ? 0 : i] = run(&peers[p]);
	for (unsigned p = 0; p < nr; p++) {
		char name[48];

		row_name(name, pattern, peers[p].name);
		bench_report(name, ns[p], RUNS, "ns", p == 0 ? goal : 0);
	}
}

static void bench_rte(const char *pattern, double (*run)(const struct peer *peer))
{
	double ns[RUNS];
	char name[48];

	if (!rte || !bench_wanted(pattern))
		return;
	for (int i = -1; i < RUNS; i++)
		ns[i < 0 ? 0 : i] = run(NULL);
	row_name(name, pattern, "rte_mempool");
	bench_report(name, ns, RUNS, "ns", 0);
}

static void shuffle(void)
{
	uint64_t x = 88172645463325252u;

	for (unsigned i = OBJECTS - 1; i > 0; i--) {
		void *swap = object[i];
		unsigned k;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = (unsigned)(x % (i + 1));
		object[i] = object[k];
		object[k] = swap;
	}
}

static void million(const struct peer *peer, bool random, double *alloc, double *give)
{
	double start = spent_ns();

	for (unsigned i = 0; i < OBJECTS; i++) {
		object[i] = peer->alloc(64);
		if (!object[i])
			bench_stop("memory for an object");
	}
	*alloc = (spent_ns() - start) / OBJECTS;
	if (random)
		shuffle();
	start = spent_ns();
	for (unsigned i = OBJECTS; i-- > 0;)
		peer->free(object[i]);
	*give = (spent_ns() - start) / OBJECTS;
}

static void bench_million(const char *pattern, bool random, double alloc_goal, double free_goal)
{
	double alloc[1 + NR_PEERS][RUNS], give[1 + NR_PEERS][RUNS];

	if (!bench_wanted(pattern))
		return;
	for (int i = -1; i < RUNS; i++) {
		int at = i < 0 ? 0 : i;

		for (unsigned p = 0; p < nr_peers; p++)
			million(&peers[p], random, &alloc[p][at], &give[p][at]);
	}
	for (unsigned p = 0; p < nr_peers; p++) {
		char part[32], name[48];

		snprintf(part, sizeof(part), "%s alloc", pattern);
		row_name(name, part, peers[p].name);
		bench_report(name, alloc[p], RUNS, "ns", p == 0 ? alloc_goal : 0);
		snprintf(part, sizeof(part), "%s free", pattern);
		row_name(name, part, peers[p].name);
		bench_report(name, give[p], RUNS, "ns", p == 0 ? free_goal : 0);
	}
}

static void bench_charged(void)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	struct tmm_account parent, account;

	if (tmm_account_init(&parent, pages, NULL) != TMM_OK ||
	    tmm_account_init(&account, pages, &parent) != TMM_OK)
		bench_stop("memory for accounts");
	tmm_account_set_active(pages, &account);
	bench_peers("charged pair", charged_pairs, 1, 0);
	bench_peers("charged frame, pair", charged_frames, 1, 0);
	tmm_account_set_active(pages, NULL);
	if (tmm_account_fini(&account) != TMM_OK || tmm_account_fini(&parent) != TMM_OK)
		bench_stop("accounts to be charged for nothing");
}

static void bench_sizes(void)
{
	static const size_t sizes[] = {8, 64, 200, 1024, 8192};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char pattern[32];

		kmalloc_bytes = sizes[i];
		snprintf(pattern, sizeof(pattern), "kmalloc %zu pair", sizes[i]);
		bench_peers(pattern, kmallocs, nr_peers, 5);
	}
}

int main(int argc, char **argv)
{
	const struct tmm_mempool_spec reserve = {.min_nr = 16, .size_bytes = 64};

	nr_peers = 1 + peers_open(argv, &peers[1]);
	peers[0] = (struct peer){.name = "", .alloc = cache_take, .free = cache_give};
	bench_begin("slab", argc, argv);
	boot();
	rte = rte_peer_open(8191);
	bench_peers("pair", pairs, nr_peers, 3.5);
	bench_rte("pair", rte_pairs);
	bench_peers("inline pair", inline_pairs, 1, 3.5);
	bench_charged();
	bench_peers("bulk of 64", bulks, 1, 0.5);
	bench_rte("bulk of 64", rte_bulks);
	bench_peers("64, then 64 freed", singles, nr_peers, 0);
	bench_sizes();
	bench_million("million lifo", false, 3, 3);
	bench_million("million rand", true, 3, 12);
	if (tmm_mempool_create(slabs, &reserve, &pool) != TMM_OK)
		bench_stop("memory for a pool");
	bench_peers("mempool pair", mempools, 1, 5);
	tmm_mempool_destroy(pool);
	tmm_cpu_exit(tmm_port_cpu());
	bench_peers("two threads, pair", two_threads, 1, 3.5 * 1.3);
	bench_peers("pass", passes, nr_peers, 0);
	if (tmm_cache_destroy(cache) != TMM_OK)
		bench_stop("every object back");
	tmm_machine_fini(machine);
	free(machine);
	return 0;
}
