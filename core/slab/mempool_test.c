#include <tuxmm/mempool.h>

#include "inject.h"
#include "panic.h"
#include "slab/rig_test.h"

#define MIN_NR 4u

static struct tmm_mempool *pool;
static struct tmm_cache *cache;

static void pool_of(const struct tmm_mempool_spec *spec)
{
	CHECK(tmm_mempool_create(&m.slabs, spec, &pool) == TMM_OK);
	CHECK(tmm_mempool_reserve(pool) == spec->min_nr);
}

static void destroy(void *arg)
{
	tmm_mempool_destroy(arg);
}

static void alloc_zeroed(void *arg)
{
	(void)!tmm_mempool_alloc(arg, TMM_GFP_KERNEL | TMM_GFP_ZERO);
}

/* Memory is gone: as many as are in reserve, and no more; those back serve again. */
static void reserve_serves(void)
{
	void *element[MIN_NR];

	tmm_inject_nth(1, true);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MIN_NR; i++) {
			element[i] = tmm_mempool_alloc(pool, TMM_GFP_KERNEL);
			CHECK(element[i] && tmm_mempool_reserve(pool) == MIN_NR - 1 - i);
			memset(element[i], 0xee, 64);
		}
		CHECK(tmm_mempool_alloc(pool, TMM_GFP_NOWAIT) == NULL);
		for (unsigned i = 0; i < MIN_NR; i++)
			tmm_mempool_free(pool, element[i]);
		CHECK(tmm_mempool_reserve(pool) == MIN_NR);
	}
	CHECK(tmm_inject_stop());
}

static void *counted_alloc(tmm_gfp gfp, void *arg)
{
	void *element = tmm_kmalloc(&m.slabs, 80, gfp);

	*(int *)arg += element != NULL;
	return element;
}

static void counted_free(void *element, void *arg)
{
	--*(int *)arg;
	tmm_kfree(&m.slabs, element);
}

TEST(the_reserve_serves_when_memory_does_not)
{
	int lent = 0;

	boot(8 * MB);
	cache = cache_of_size("elements", 64);
	for (int kind = 0; kind < 4; kind++) {
		const struct tmm_mempool_spec spec = {.min_nr = MIN_NR,
		                                      .cache = kind == 0 ? cache : NULL,
		                                      .size_bytes = kind == 1 ? 300 : 0,
		                                      .order = 1,
		                                      .alloc = kind == 3 ? counted_alloc : NULL,
		                                      .free = kind == 3 ? counted_free : NULL,
		                                      .arg = &lent};

		pool_of(&spec);
		CHECK(lent == (kind == 3 ? (int)MIN_NR : 0));
		reserve_serves();
		tmm_mempool_free(pool, NULL);
		tmm_mempool_destroy(pool);
		CHECK(lent == 0);
	}
	halt();
}

TEST(memory_serves_before_the_reserve_does)
{
	const struct tmm_mempool_spec spec = {.min_nr = MIN_NR, .size_bytes = 100};
	void *element[20];

	boot(8 * MB);
	pool_of(&spec);
	for (int i = 0; i < 20; i++)
		CHECK((element[i] = tmm_mempool_alloc(pool, TMM_GFP_NOWAIT)) != NULL);
	CHECK(tmm_mempool_reserve(pool) == MIN_NR);
	for (int i = 0; i < 20; i++)
		tmm_mempool_free(pool, element[i]);
	tmm_mempool_destroy(pool);
	halt();
}

/* From a reserve of 4 with 2 lent, to 9 and to 1. */
TEST(a_pool_is_resized_while_elements_are_lent)
{
	const struct tmm_mempool_spec spec = {.min_nr = MIN_NR, .size_bytes = 100};
	void *a, *b;

	boot(8 * MB);
	pool_of(&spec);
	tmm_inject_nth(1, true);
	a = tmm_mempool_alloc(pool, TMM_GFP_KERNEL);
	b = tmm_mempool_alloc(pool, TMM_GFP_KERNEL);
	CHECK(a && b && tmm_mempool_resize(pool, 9) == TMM_E_NOMEM);
	CHECK(tmm_inject_stop() && tmm_mempool_reserve(pool) == 2);
	CHECK(tmm_mempool_resize(pool, 9) == TMM_OK && tmm_mempool_reserve(pool) == 7);
	tmm_mempool_free(pool, a);
	CHECK(tmm_mempool_reserve(pool) == 8);
	CHECK(tmm_mempool_resize(pool, 1) == TMM_OK && tmm_mempool_reserve(pool) == 1);
	tmm_mempool_free(pool, b);
	CHECK(tmm_mempool_reserve(pool) == 1);
	CHECK(tmm_mempool_resize(pool, 0) == TMM_E_INVAL);
	tmm_mempool_destroy(pool);
	halt();
}

TEST(wrong_uses_of_a_pool_are_refused)
{
	const struct tmm_mempool_spec bad[] = {
		{.size_bytes = 8},
		{.min_nr = 1, .size_bytes = TMM_KMALLOC_MAX + 1},
		{.min_nr = 1, .order = TMM_MAX_ORDER + 1},
		{.min_nr = SIZE_MAX, .size_bytes = 8},
		{.min_nr = 1, .alloc = counted_alloc},
		{.min_nr = 1, .free = counted_free},
	};
	const struct tmm_mempool_spec spec = {.min_nr = 1, .size_bytes = 100};
	void *element;

	boot(8 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(tmm_mempool_create(&m.slabs, &bad[i], &pool) == TMM_E_INVAL);
	pool_of(&spec);
	CHECK(test_panics(alloc_zeroed, pool));
	tmm_inject_nth(1, true);
	element = tmm_mempool_alloc(pool, TMM_GFP_KERNEL);
	tmm_inject_stop();
	CHECK(test_panics(destroy, pool)); /* an element is lent */
	tmm_mempool_free(pool, element);
	tmm_mempool_destroy(pool);
	halt();
}
