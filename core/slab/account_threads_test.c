/*
 * Threads that charge and free for each other: accounts add up when all is back.
 */
#include <pthread.h>

#include <tuxmm/account.h>

#include "slab/rig_test.h"

#define NR_THREADS  4u
#define NR_STEPS    30000u
#define NR_PLACES   512u
#define LIMIT_BYTES (60 * TMM_PAGE_SIZE)

static struct tmm_account root, leaf[NR_THREADS];
static struct tmm_cache *marked;

/* What one left and another frees: an object, a frame as its address and 1, or 0. */
static uintptr_t table[NR_PLACES];
static unsigned nr_refused;

static uintptr_t take(uint64_t r)
{
	const tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_NOWARN | TMM_GFP_ACCOUNT;
	tmm_pfn pfn;

	if (r & 1)
		return (uintptr_t)tmm_cache_alloc(marked, gfp);
	if (tmm_pages_alloc(&m.pages, gfp, 0, &pfn) == TMM_OK)
		return (uintptr_t)tmm_page_address(&m.pages, pfn) + 1;
	__atomic_fetch_add(&nr_refused, 1, __ATOMIC_RELAXED);
	return 0;
}

static void give(uintptr_t it)
{
	if (it & 1)
		tmm_pages_free(&m.pages, tmm_virt_to_pfn(&m.pages, (void *)(it - 1)), 0);
	else if (it)
		tmm_cache_free(marked, (void *)it);
}

static void *work(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	uint64_t state = test_seed() + id;

	tmm_account_set_active(&m.pages, &leaf[id]);
	for (unsigned i = 0; i < NR_STEPS; i++) {
		uint64_t r = test_random(&state);
		uintptr_t mine = r % 8 ? take(r >> 8) : 0;

		/* acquire and release: what is in it goes with it */
		give(__atomic_exchange_n(&table[(r >> 16) % NR_PLACES], mine,
		                         __ATOMIC_ACQ_REL));
		if (r % 1024 == 0) {
			struct tmm_account_info info;

			tmm_account_info(&root, &info);
			CHECK(info.usage_bytes <=
			      LIMIT_BYTES + NR_THREADS * 64 * TMM_PAGE_SIZE);
			if (r >> 40 & 1)
				(void)!tmm_account_set_max(&root, LIMIT_BYTES);
		}
	}
	tmm_account_set_active(&m.pages, NULL);
	return NULL;
}

/*
 *         root, with a limit
 *      /    |    |    \
 *   leaf  leaf  leaf  leaf    one for each thread; all free what others were lent
 */
TEST(threads_charge_and_free_for_each_other)
{
	const struct tmm_cache_spec spec = {
		.name = "marked", .size_bytes = 200, .account = true};
	pthread_t thread[NR_THREADS];
	struct tmm_account_info info;

	boot_on(test_ram(64 * MB), 64 * MB, NR_THREADS + 1);
	CHECK(tmm_cache_create(&m.slabs, &spec, &marked) == TMM_OK);
	CHECK(tmm_account_init(&root, &m.pages, NULL) == TMM_OK);
	CHECK(tmm_account_set_max(&root, LIMIT_BYTES) == TMM_OK);
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(tmm_account_init(&leaf[i], &m.pages, &root) == TMM_OK);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, work, (void *)i) == 0);
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	tmm_pages_check(&m.pages);
	tmm_slab_check(&m.slabs);
	for (unsigned i = 0; i < NR_PLACES; i++)
		give(table[i]);
	tmm_account_info(&root, &info);
	CHECK(info.usage_bytes == info.advance_bytes && nr_refused > 0);
	test_note("peak %llu KiB, %llu charges and %u frames refused",
	          (unsigned long long)info.peak_bytes >> 10,
	          (unsigned long long)info.failed_charges, nr_refused);
	for (unsigned i = 0; i < NR_THREADS; i++)
		CHECK(tmm_account_fini(&leaf[i]) == TMM_OK);
	CHECK(tmm_account_fini(&root) == TMM_OK);
	CHECK(tmm_cache_destroy(marked) == TMM_OK);
	tmm_slab_check(&m.slabs);
	slab_fini(&m.slabs);
	pages_fini(&m.pages);
	tmm_cpu_exit(cpu_self(&m.cpus));
}
