/*
 * Real threads on one cache.  Each puts what it borrows into a common table, in
 * exchange for what another put there, which it checks and gives back.
 */
#include <pthread.h>
#include <sched.h>

#include <tuxmm/mempool.h>

#include "slab/rig_test.h"

#define NR_THREADS   4u
#define NR_STEPS     60000u
#define NR_PLACES    512u

#define SHARED_BYTES 64u /* kmalloc is asked for more: so the size tells whose it is */

struct borrowed {
	uint64_t size_bytes;
	uint64_t seal[]; /* the address, as often as fits */
};

static struct tmm_cache *shared;
static struct borrowed *table[NR_PLACES];
static unsigned nr_broken; /* objects that somebody else wrote to */

static struct borrowed *borrow(uint64_t r)
{
	size_t bytes = r & 1 ? SHARED_BYTES : SHARED_BYTES + 8 + (r >> 1) % 5000;
	struct borrowed *object = r & 1 ? tmm_cache_alloc(shared, TMM_GFP_KERNEL)
	                                : tmm_kmalloc(&m.slabs, bytes, TMM_GFP_KERNEL);

	if (!object)
		return NULL;
	object->size_bytes = bytes;
	for (size_t i = 0; i < bytes / 8 - 1; i++)
		object->seal[i] = (uintptr_t)object;
	return object;
}

static void give_back(struct borrowed *object)
{
	size_t bytes;

	if (!object)
		return;
	bytes = object->size_bytes;
	for (size_t i = 0; i < bytes / 8 - 1; i++) {
		if (object->seal[i] != (uintptr_t)object)
			__atomic_fetch_add(&nr_broken, 1, __ATOMIC_RELAXED);
	}
	if (bytes == SHARED_BYTES)
		tmm_cache_free(shared, object);
	else
		tmm_kfree(&m.slabs, object);
}

static void *work(void *seed)
{
	uint64_t state = *(uint64_t *)seed;

	for (unsigned i = 0; i < NR_STEPS; i++) {
		uint64_t r = test_random(&state);
		struct borrowed *mine = borrow(r);

		/* release: its seal goes with it; acquire: so does the other's */
		give_back(__atomic_exchange_n(&table[(r >> 32) % NR_PLACES], mine,
		                              __ATOMIC_ACQ_REL));
		if (r >> 56 == 0)
			tmm_cache_shrink(shared);
	}
	return NULL;
}

static void threads_share(uint32_t nr_nodes)
{
	const struct slab_config config = config_of_run();
	pthread_t thread[NR_THREADS];
	uint64_t seed[NR_THREADS];

	boot_spread(test_ram(16 * MB), 16 * MB, NR_THREADS, nr_nodes, &config);
	shared = cache_of_size("shared", SHARED_BYTES);
	tmm_cpu_exit(cpu_self(&m.cpus)); /* one for each thread */
	nr_broken = 0;
	for (unsigned i = 0; i < NR_THREADS; i++) {
		seed[i] = test_seed() + i;
		CHECK(pthread_create(&thread[i], NULL, work, &seed[i]) == 0);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(nr_broken == 0);
	tmm_slab_check(&m.slabs);
	for (unsigned i = 0; i < NR_PLACES; i++) {
		give_back(table[i]);
		table[i] = NULL;
	}
	CHECK(m.slabs.is_slob || info_of("shared").active_objs == 0);
	halt();
}

TEST(threads_share_a_cache)
{
	threads_share(1);
}

/* Half of what a thread frees is of the other node, and goes home. */
TEST(threads_of_two_nodes_share_a_cache)
{
	threads_share(2);
}

/* ---- caches that go while others set something of them ---- */

static bool settled;

static void *set_all(void *arg)
{
	static const struct {
		enum tmm_cache_control what;
		uint64_t value;
	} set[] = {{TMM_CACHE_SHRINK, 1},      {TMM_CACHE_CPU_PARTIAL, 5},
	           {TMM_CACHE_MIN_PARTIAL, 2}, {TMM_CACHE_FAILSLAB, 0},
	           {TMM_CACHE_VALIDATE, 1},    {TMM_CACHE_CPU_PARTIAL, 20}};

	(void)arg;
	for (size_t i = 0; !__atomic_load_n(&settled, __ATOMIC_RELAXED); i++) {
		/* The newest is at 0: it is there, is going, or another one is. */
		tmm_err err = tmm_cache_control(&m.slabs, i % 2, set[i % ARRAY_SIZE(set)].what,
		                                set[i % ARRAY_SIZE(set)].value);

		if (err && err != TMM_E_INVAL)
			__atomic_fetch_add(&nr_broken, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(a_cache_goes_when_nobody_sets_anything_of_it)
{
	pthread_t thread;

	if (rig_skips())
		return;
	boot_on(test_ram(16 * MB), 16 * MB, 2);
	nr_broken = 0;
	settled = false;
	CHECK(pthread_create(&thread, NULL, set_all, NULL) == 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct tmm_cache *cache = cache_of_size("fleeting", 64);
		void *object[40];

		for (unsigned k = 0; k < ARRAY_SIZE(object); k++)
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		for (unsigned k = 0; k < ARRAY_SIZE(object); k++)
			tmm_cache_free(cache, object[k]);
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
	}
	__atomic_store_n(&settled, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK(nr_broken == 0);
	halt();
}

/* ---- a pool, and no memory at all ---- */

static struct tmm_mempool *pool;
static unsigned nr_refused;

/*
 * One element at a time.  A thread that does something else meanwhile needs a CPU
 * again to give its element back: those who wait for that must not have them all.
 */
static void *borrow_from_pool(void *leaves)
{
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t *element = tmm_mempool_alloc(pool, TMM_GFP_KERNEL);

		if (!element) {
			__atomic_fetch_add(&nr_refused, 1, __ATOMIC_RELAXED);
			continue;
		}
		*element = (uintptr_t)&element; /* this thread's alone */
		if (leaves)
			tmm_cpu_exit(tmm_port_cpu());
		sched_yield();
		if (leaves)
			(void)cpu_self(&m.cpus);
		if (*element != (uintptr_t)&element)
			__atomic_fetch_add(&nr_broken, 1, __ATOMIC_RELAXED);
		tmm_mempool_free(pool, element);
	}
	return NULL;
}

/* Four threads share nr_cpus CPUs and min_nr elements. */
static void exhaust(uint32_t nr_cpus, size_t min_nr, bool leave)
{
	const struct tmm_mempool_spec spec = {.min_nr = min_nr};
	pthread_t thread[NR_THREADS];
	uint32_t chain = UINT32_MAX;
	tmm_pfn pfn;

	boot_on(test_ram(8 * MB), 8 * MB, nr_cpus);
	CHECK(tmm_mempool_create(&m.slabs, &spec, &pool) == TMM_OK);
	while (!tmm_pages_alloc(&m.pages, TMM_GFP_ATOMIC | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN, 0,
	                        &pfn)) {
		*(uint32_t *)tmm_page_address(&m.pages, pfn) = chain;
		chain = (uint32_t)pfn.v;
	}
	tmm_cpu_exit(cpu_self(&m.cpus));
	nr_refused = nr_broken = 0;
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, borrow_from_pool,
		                     leave ? (void *)&pool : NULL) == 0);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(nr_refused == 0 && nr_broken == 0);
	CHECK(tmm_mempool_reserve(pool) == min_nr);
	while (chain != UINT32_MAX) {
		pfn.v = chain;
		chain = *(uint32_t *)tmm_page_address(&m.pages, pfn);
		tmm_pages_free(&m.pages, pfn, 0);
	}
	tmm_mempool_destroy(pool);
	halt();
}

TEST(a_pool_serves_all_when_memory_is_exhausted)
{
	exhaust(NR_THREADS, 2, false);
}

TEST(who_waits_for_an_element_holds_no_cpu)
{
	exhaust(1, 1, true);
	exhaust(2, 1, true);
}

/* ---- caches that come and go ---- */

/* Four creators of like caches: now one cache with aliases, now several. */
static void *create_and_destroy(void *name)
{
	const struct tmm_cache_spec spec = {.name = name, .size_bytes = 104};
	uint64_t *object[40];

	for (unsigned i = 0; i < 400; i++) {
		struct tmm_cache *cache;

		if (tmm_cache_create(&m.slabs, &spec, &cache))
			continue;
		for (unsigned k = 0; k < 40; k++) {
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			if (object[k])
				*object[k] = (uintptr_t)object[k];
		}
		for (unsigned k = 0; k < 40; k++) {
			if (object[k] && *object[k] != (uintptr_t)object[k])
				__atomic_fetch_add(&nr_broken, 1, __ATOMIC_RELAXED);
			tmm_cache_free(cache, object[k]);
		}
		tmm_cache_shrink(cache);
		if (tmm_cache_destroy(cache))
			__atomic_fetch_add(&nr_refused, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST(caches_come_and_go_while_others_use_theirs)
{
	static const char *const name[NR_THREADS] = {"one", "two", "three", "four"};
	const struct slab_config config = {.debug = getenv("TUXMM_SLAB_DEBUG")};
	pthread_t thread[NR_THREADS];
	struct tmm_cache_alias alias;

	boot_with(test_ram(16 * MB), 16 * MB, NR_THREADS, &config);
	tmm_cpu_exit(cpu_self(&m.cpus));
	nr_broken = nr_refused = 0;
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, create_and_destroy,
		                     (void *)(uintptr_t)name[i]) == 0);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(nr_broken == 0 && nr_refused == 0);
	CHECK(!tmm_cache_alias(&m.slabs, 0, &alias));
	halt();
}
