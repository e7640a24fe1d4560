/*
 * Accounts: what is charged to whom, how much may be, and that every charge ends.
 *
 *      root          usage of root = its own charges + those of a and b
 *     /    \
 *    a      b
 */
#include <tuxmm/account.h>
#include <tuxmm/mempool.h>
#include <tuxmm/migrate.h>
#include <tuxmm/slab_inline.h>

#include "inject.h"
#include "page/account.h"
#include "page/zone.h"
#include "panic.h"
#include "slab/rig_test.h"

#define PAGE   TMM_PAGE_SIZE
#define QUIET  (TMM_GFP_KERNEL | TMM_GFP_NOWARN)
#define FOR_IT (TMM_GFP_KERNEL | TMM_GFP_ACCOUNT)

static struct tmm_account root, a, b;

static void begin(uint32_t nr_cpus)
{
	boot_on(test_ram(32 * MB), 32 * MB, nr_cpus);
	CHECK(tmm_account_init(&root, &m.pages, NULL) == TMM_OK);
	CHECK(tmm_account_init(&a, &m.pages, &root) == TMM_OK);
	CHECK(tmm_account_init(&b, &m.pages, &root) == TMM_OK);
}

/* The tables of accounts go with the machine: it has all its frames then, or panics. */
static void end(void)
{
	tmm_account_set_active(&m.pages, NULL);
	tmm_slab_check(&m.slabs);
	tmm_pages_check(&m.pages);
	CHECK(tmm_account_fini(&b) == TMM_OK && tmm_account_fini(&a) == TMM_OK);
	CHECK(tmm_account_fini(&root) == TMM_OK);
	slab_fini(&m.slabs);
	pages_fini(&m.pages);
	if (tmm_port_cpu())
		tmm_cpu_exit(cpu_self(&m.cpus));
}

static struct tmm_account_info account_info(const struct tmm_account *account)
{
	struct tmm_account_info info;

	tmm_account_info(account, &info);
	return info;
}

/* What is lent for it and those below. */
static uint64_t charged(const struct tmm_account *account)
{
	struct tmm_account_info info = account_info(account);

	CHECK(info.usage_bytes >= info.advance_bytes && info.peak_bytes >= info.usage_bytes);
	return info.usage_bytes - info.advance_bytes;
}

static bool charged_are(uint64_t of_root, uint64_t of_a, uint64_t of_b)
{
	return charged(&root) == of_root && charged(&a) == of_a && charged(&b) == of_b;
}

/* ---- frames ---- */

TEST(frames_are_charged_to_the_active_account_and_all_above)
{
	static const struct {
		tmm_gfp gfp;
		unsigned order;
		bool is_charged;
	} table[] = {
		{TMM_GFP_KERNEL, 0, false},
		{FOR_IT, 0, true},
		{FOR_IT, 3, true},
		{FOR_IT | TMM_GFP_ZERO, 5, true},
		{FOR_IT | TMM_GFP_COMP, 2, true},
		{FOR_IT | TMM_GFP_COMP, 9, true},
		{FOR_IT, 10, true},
		{TMM_GFP_ATOMIC | TMM_GFP_ACCOUNT, 0, true},
		{TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_ACCOUNT, 0, true},
	};

	begin(1);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t bytes = table[i].is_charged ? PAGE << table[i].order : 0;
		tmm_pfn mine, nobodys, pfn;

		CHECK(tmm_account_active(&m.pages) == NULL);
		CHECK(tmm_pages_alloc(&m.pages, table[i].gfp, table[i].order, &nobodys) ==
		      TMM_OK);
		CHECK(charged_are(0, 0, 0) && !tmm_page_account(&m.pages, nobodys));
		CHECK(tmm_account_set_active(&m.pages, &a) == NULL);
		CHECK(tmm_pages_alloc(&m.pages, table[i].gfp, table[i].order, &mine) == TMM_OK);
		CHECK(charged_are(bytes, bytes, 0));
		for (uint64_t f = 0; f < UINT64_C(1) << table[i].order; f++) {
			pfn.v = mine.v + f;
			CHECK(tmm_page_account(&m.pages, pfn) ==
			      (table[i].is_charged ? &a : NULL));
		}
		tmm_pages_check(&m.pages);
		CHECK(tmm_account_set_active(&m.pages, NULL) == &a);
		CHECK(charged_are(bytes, bytes, 0));
		tmm_pages_free(&m.pages, nobodys, table[i].order);
		CHECK(charged_are(bytes, bytes, 0));
		tmm_pages_free(&m.pages, mine, table[i].order);
		CHECK(charged_are(0, 0, 0) && !tmm_page_account(&m.pages, mine));
	}
	end();
}

/* 5 frames of 8: what is left of the run is nobody's; and each is freed by itself. */
TEST(frames_of_a_run_are_charged_one_by_one)
{
	tmm_pfn first, pfn[6];

	begin(1);
	tmm_account_set_active(&m.pages, &b);
	CHECK(tmm_pages_alloc_exact(&m.pages, FOR_IT, 5 * PAGE, &first) == TMM_OK);
	CHECK(charged_are(5 * PAGE, 0, 5 * PAGE));
	CHECK(tmm_pages_alloc_bulk(&m.pages, FOR_IT, 6, pfn) == 6);
	CHECK(charged_are(11 * PAGE, 0, 11 * PAGE));
	tmm_account_set_active(&m.pages, NULL);
	tmm_pages_free_bulk(&m.pages, 6, pfn);
	for (uint64_t i = 5; i > 0; i--) {
		CHECK(charged(&b) == i * PAGE);
		pfn[0].v = first.v + i - 1;
		tmm_pages_free(&m.pages, pfn[0], 0);
	}
	CHECK(charged_are(0, 0, 0));
	end();
}

/*
 *   CPU 0   lends for a         stock |a 252 KiB|
 *   CPU 1   frees, and leaves   nothing charged, nothing in advance there
 */
TEST(a_charge_ends_on_whatever_cpu)
{
	tmm_pfn pfn[8];

	begin(2);
	CHECK(cpu_enter(&m.cpus, 0) == TMM_OK);
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_pages_alloc_bulk(&m.pages, FOR_IT, 8, pfn) == 8);
	CHECK(account_info(&a).advance_bytes > 0);
	CHECK(cpu_enter(&m.cpus, 1) == TMM_OK);
	CHECK(!tmm_account_active(&m.pages) && account_info(&a).advance_bytes == 0);
	CHECK(account_info(&a).usage_bytes == 8 * PAGE);
	tmm_account_set_active(&m.pages, &b);
	for (unsigned i = 0; i < 8; i++) {
		CHECK(charged_are((8 - i) * PAGE, (8 - i) * PAGE, 0));
		tmm_pages_free(&m.pages, pfn[i], 0);
	}
	CHECK(charged_are(0, 0, 0));
	CHECK(cpu_enter(&m.cpus, 0) == TMM_OK && !tmm_account_active(&m.pages));
	end();
}

static tmm_err move_page(void *arg, tmm_pfn from, tmm_pfn to)
{
	(void)from;
	(void)to;
	return *(const bool *)arg ? TMM_OK : TMM_E_BUSY;
}

/* a's page goes to another frame: so does its charge, or it stays where it is. */
TEST(a_charge_moves_with_its_page)
{
	static const struct tmm_migrate_ops ops = {.move = move_page};
	const tmm_gfp gfp = TMM_GFP_HIGHUSER_MOVABLE;
	bool moves = false;
	const struct tmm_movable movable = {&ops, &moves};
	tmm_pfn from, to;

	begin(1);
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_pages_alloc(&m.pages, gfp | TMM_GFP_ACCOUNT, 0, &from) == TMM_OK);
	tmm_page_set_movable(&m.pages, from, &movable);
	CHECK(tmm_pages_alloc(&m.pages, gfp, 0, &to) == TMM_OK);
	CHECK(page_move(&m.pages, from, to) == TMM_E_BUSY);
	CHECK(tmm_page_account(&m.pages, from) == &a && !tmm_page_account(&m.pages, to));
	moves = true;
	CHECK(page_move(&m.pages, from, to) == TMM_OK);
	CHECK(tmm_page_account(&m.pages, to) == &a && !tmm_page_account(&m.pages, from));
	if (!m.pages.debug) /* which takes it for freed */
		tmm_pages_free(&m.pages, from, 0);
	CHECK(charged_are(PAGE, PAGE, 0));
	tmm_page_clear_movable(&m.pages, to);
	tmm_pages_free(&m.pages, to, 0);
	CHECK(charged_are(0, 0, 0));
	end();
}

/* ---- limits ---- */

static struct {
	unsigned nr_calls;
	uint64_t says; /* pages freed */
	tmm_pfn held;  /* freed by the next call, if not TMM_PFN_NONE */
} reclaimer;

static uint64_t reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	(void)arg;
	(void)gfp;
	(void)order;
	reclaimer.nr_calls++;
	if (reclaimer.held.v != TMM_PFN_NONE.v)
		tmm_pages_free(&m.pages, reclaimer.held, 0);
	reclaimer.held = TMM_PFN_NONE;
	return reclaimer.says;
}

static const struct tmm_reclaim_ops ops = {.reclaim = reclaim};

/* The parent's limit is reached: who gets a page, and who is asked for one how often? */
TEST(flags_say_what_happens_at_a_limit)
{
	static const struct {
		tmm_gfp gfp;
		uint64_t says;
		unsigned nr_calls;
		bool is_lent;
	} table[] = {
		{TMM_GFP_NOWAIT, 1, 0, false},
		{TMM_GFP_ATOMIC, 1, 0, true},
		{TMM_GFP_KERNEL, 0, 1, false},
		{TMM_GFP_KERNEL, 1, 16, false},
		{TMM_GFP_KERNEL | TMM_GFP_NORETRY, 1, 1, false},
		{TMM_GFP_KERNEL | TMM_GFP_MEMALLOC, 1, 0, false},
		{TMM_GFP_KERNEL | TMM_GFP_NOFAIL, 0, 1, true},
		{TMM_GFP_NOIO, 1, 16, false},
	};
	tmm_pfn pfn[41], more;

	begin(1);
	CHECK(tmm_account_set_max(&root, 40 * PAGE) == TMM_OK);
	tmm_account_set_active(&m.pages, &a);
	for (unsigned i = 0; i < 40; i++)
		CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &pfn[i]) == TMM_OK);
	CHECK(charged_are(40 * PAGE, 40 * PAGE, 0));
	CHECK(account_info(&root).failed_charges == 0);
	tmm_pages_set_reclaim(&m.pages, &ops, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		tmm_gfp gfp = table[i].gfp | TMM_GFP_ACCOUNT | TMM_GFP_NOWARN;
		uint64_t now = (40 + table[i].is_lent) * PAGE;

		reclaimer.nr_calls = 0;
		reclaimer.says = table[i].says;
		reclaimer.held = TMM_PFN_NONE;
		CHECK((tmm_pages_alloc(&m.pages, gfp, 0, &more) == TMM_OK) == table[i].is_lent);
		CHECK(reclaimer.nr_calls == table[i].nr_calls);
		CHECK(charged_are(now, now, 0));
		CHECK(account_info(&root).failed_charges == i + 1);
		CHECK(account_info(&a).failed_charges == 0);
		if (table[i].is_lent)
			tmm_pages_free(&m.pages, more, 0);
		CHECK(charged_are(40 * PAGE, 40 * PAGE, 0));
	}
	CHECK(account_info(&root).peak_bytes == 41 * PAGE);
	reclaimer.held = pfn[39];
	reclaimer.says = 1;
	CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &pfn[39]) == TMM_OK);
	CHECK(charged_are(40 * PAGE, 40 * PAGE, 0));
	tmm_pages_set_reclaim(&m.pages, NULL, NULL);
	for (unsigned i = 0; i < 40; i++)
		tmm_pages_free(&m.pages, pfn[i], 0);
	end();
}

/* What CPUs have in advance is no reason to fail: CPU 0's goes to CPU 1's request. */
TEST(what_is_charged_in_advance_comes_back_at_a_limit)
{
	tmm_pfn first, pfn[100];

	begin(2);
	CHECK(tmm_account_set_max(&root, 100 * PAGE) == TMM_OK);
	CHECK(cpu_enter(&m.cpus, 0) == TMM_OK);
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &first) == TMM_OK);
	CHECK(account_info(&a).advance_bytes == 63 * PAGE);
	/* The thread goes away without leaving. */
	tmm_port_cpu_set(NULL);
	CHECK(cpu_enter(&m.cpus, 1) == TMM_OK);
	tmm_account_set_active(&m.pages, &b);
	for (unsigned i = 0; i < 99; i++)
		CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &pfn[i]) == TMM_OK);
	CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &pfn[99]) == TMM_E_NOMEM);
	CHECK(charged_are(100 * PAGE, PAGE, 99 * PAGE));
	CHECK(account_info(&root).advance_bytes == 0);
	tmm_pages_check(&m.pages);
	for (unsigned i = 0; i < 99; i++)
		tmm_pages_free(&m.pages, pfn[i], 0);
	tmm_pages_free(&m.pages, first, 0);
	tmm_cpu_exit(&m.cpus.cpu[0]);
	end();
}

TEST(a_limit_below_what_is_charged_reclaims_first)
{
	tmm_pfn pfn[4];

	begin(1);
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_pages_alloc_bulk(&m.pages, FOR_IT, 4, pfn) == 4);
	CHECK(tmm_account_set_max(&root, 3 * PAGE) == TMM_E_BUSY);
	CHECK(account_info(&root).max_bytes == TMM_ACCOUNT_NO_LIMIT);
	tmm_pages_set_reclaim(&m.pages, &ops, NULL);
	reclaimer.held = pfn[3];
	reclaimer.says = 1;
	CHECK(tmm_account_set_max(&root, 3 * PAGE) == TMM_OK);
	CHECK(account_info(&root).max_bytes == 3 * PAGE && charged(&a) == 3 * PAGE);
	CHECK(account_info(&root).peak_bytes > 3 * PAGE);
	tmm_account_reset(&root);
	CHECK(account_info(&root).peak_bytes == 3 * PAGE);
	tmm_pages_set_reclaim(&m.pages, NULL, NULL);
	tmm_pages_free_bulk(&m.pages, 3, pfn);
	end();
}

TEST(an_account_in_use_stays)
{
	tmm_pfn pfn;

	begin(1);
	CHECK(tmm_account_fini(&root) == TMM_E_BUSY); /* children */
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_account_fini(&a) == TMM_E_BUSY); /* active */
	CHECK(tmm_pages_alloc(&m.pages, FOR_IT, 0, &pfn) == TMM_OK);
	tmm_account_set_active(&m.pages, NULL);
	CHECK(tmm_account_fini(&a) == TMM_E_BUSY); /* charged */
	tmm_pages_free(&m.pages, pfn, 0);
	CHECK(tmm_account_fini(&a) == TMM_OK);
	CHECK(tmm_account_init(&a, &m.pages, &b) == TMM_OK); /* its id is free again */
	CHECK(tmm_account_fini(&b) == TMM_E_BUSY);
	CHECK(tmm_account_fini(&a) == TMM_OK);
	CHECK(tmm_account_init(&a, &m.pages, &root) == TMM_OK);
	end();
}

/* ---- objects ---- */

enum way {
	CACHE_FLAG,
	REQUEST_FLAG,
	INLINE_CACHE_FLAG,
	INLINE_REQUEST_FLAG,
	FROM_POOL,
	BY_SIZE,
	ON_NODE,
	IN_BULK,
	NR_WAYS
};

static struct tmm_mempool *marked_pool;

static void *object_by(enum way way, struct tmm_cache *marked, struct tmm_cache *plain,
                       size_t bytes)
{
	void *object = NULL;

	switch (way) {
	case CACHE_FLAG:
		return tmm_cache_alloc(marked, QUIET);
	case REQUEST_FLAG:
		return tmm_cache_alloc(plain, QUIET | TMM_GFP_ACCOUNT | TMM_GFP_ZERO);
	case INLINE_CACHE_FLAG:
		return tmm_cache_alloc_inline(marked, QUIET);
	case INLINE_REQUEST_FLAG:
		return tmm_cache_alloc_inline(plain, QUIET | TMM_GFP_ACCOUNT);
	case FROM_POOL:
		return tmm_mempool_alloc(marked_pool, QUIET);
	case BY_SIZE:
		return tmm_kmalloc(&m.slabs, bytes, QUIET | TMM_GFP_ACCOUNT);
	case ON_NODE:
		return tmm_cache_alloc_node(marked, QUIET, 0);
	default:
		return tmm_cache_alloc_bulk(plain, QUIET | TMM_GFP_ACCOUNT, 1, &object) ? object
		                                                                        : NULL;
	}
}

static void free_by(enum way way, struct tmm_cache *marked, struct tmm_cache *plain,
                    void *object)
{
	if (way == BY_SIZE)
		tmm_kfree(&m.slabs, object);
	else if (way == IN_BULK)
		tmm_cache_free_bulk(plain, 1, &object);
	else if (way == FROM_POOL)
		tmm_mempool_free(marked_pool, object);
	else if (way == INLINE_CACHE_FLAG || way == INLINE_REQUEST_FLAG)
		tmm_cache_free_inline(way == INLINE_REQUEST_FLAG ? plain : marked, object);
	else
		tmm_cache_free(way == REQUEST_FLAG ? plain : marked, object);
}

static struct tmm_cache *marked_cache(size_t bytes)
{
	const struct tmm_cache_spec spec = {
		.name = "marked", .size_bytes = bytes, .account = true};
	struct tmm_cache *cache = NULL;

	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	return cache;
}

/* However it is asked for, the object is charged with the room that it takes, and freed. */
TEST(objects_are_charged_with_the_room_they_take)
{
	static const size_t sizes[] = {8, 64, 100, 192, 1000, 4096, 8192};

	if (rig_skips())
		return;
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct tmm_cache *marked, *plain;

		begin(1);
		marked = marked_cache(sizes[s]);
		plain = cache_of_size("plain", sizes[s]);
		CHECK(tmm_mempool_create(
			      &m.slabs,
			      &(struct tmm_mempool_spec){.min_nr = 2, .cache = marked},
			      &marked_pool) == TMM_OK);
		tmm_account_set_active(&m.pages, &a);
		for (unsigned way = 0; way < NR_WAYS; way++) {
			void *object[40];
			uint64_t each = 0;

			for (unsigned i = 0; i < 40; i++) {
				object[i] = object_by(way, marked, plain, sizes[s]);
				CHECK(object[i]);
				CHECK(tmm_object_account(&m.slabs, object[i]) == &a);
				each = each ? each : charged(&a);
				CHECK(each >= sizes[s] &&
				      charged_are((i + 1) * each, (i + 1) * each, 0));
			}
			tmm_slab_check(&m.slabs);
			tmm_pages_check(&m.pages);
			for (unsigned i = 40; i > 0; i--) {
				CHECK(charged(&a) == i * each);
				free_by(way, marked, plain, object[i % 2 ? i - 1 : i - 1]);
			}
			CHECK(charged_are(0, 0, 0));
			tmm_slab_check(&m.slabs);
		}
		tmm_account_set_active(&m.pages, NULL);
		tmm_mempool_destroy(marked_pool);
		CHECK(tmm_cache_destroy(marked) == TMM_OK &&
		      tmm_cache_destroy(plain) == TMM_OK);
		end();
	}
}

/* Nobody is charged for a plain object, for one without an account, or for a pair of them. */
TEST(objects_without_an_account_are_not_charged)
{
	struct tmm_cache *marked;
	void *object, *large;

	if (rig_skips())
		return;
	begin(1);
	marked = marked_cache(64);
	object = tmm_cache_alloc(marked, TMM_GFP_KERNEL);
	CHECK(object && !tmm_object_account(&m.slabs, object));
	tmm_account_set_active(&m.pages, &a);
	large = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);
	CHECK(large && charged_are(0, 0, 0));
	tmm_kfree(&m.slabs, large);
	tmm_cache_free(marked, object); /* lent before there was one */
	large = tmm_kmalloc(&m.slabs, 20000, FOR_IT);
	CHECK(large && charged(&a) == 32768 && tmm_object_account(&m.slabs, large) == &a);
	tmm_kfree(&m.slabs, large);
	CHECK(charged_are(0, 0, 0));
	CHECK(tmm_cache_destroy(marked) == TMM_OK);
	end();
}

/* At the limit: what was lent stays charged, and nothing else. */
TEST(an_object_over_the_limit_is_refused)
{
	struct tmm_cache *marked;
	void *object[64], *more[8];
	size_t nr = 0;

	if (rig_skips())
		return;
	begin(1);
	marked = marked_cache(256);
	tmm_account_set_active(&m.pages, &a);
	CHECK(tmm_account_set_max(&a, 4 * PAGE) == TMM_OK);
	while (nr < 64 && (object[nr] = tmm_cache_alloc(marked, QUIET)))
		nr++;
	CHECK(nr > 0 && charged(&a) <= 4 * PAGE && charged(&a) + charged(&a) / nr > 4 * PAGE);
	CHECK(!tmm_kmalloc(&m.slabs, 4096, QUIET | TMM_GFP_ACCOUNT));
	CHECK(tmm_cache_alloc_bulk(marked, QUIET, 8, more) == 0);
	tmm_cache_free(marked, object[--nr]);
	tmm_cache_free(marked, object[--nr]);
	CHECK(tmm_cache_alloc_bulk(marked, QUIET, 8, more) == 2);
	tmm_slab_check(&m.slabs);
	tmm_cache_free_bulk(marked, 2, more);
	tmm_cache_free_bulk(marked, nr, object);
	CHECK(charged_are(0, 0, 0));
	CHECK(tmm_cache_destroy(marked) == TMM_OK);
	end();
}

static struct tmm_cache *wrong_cache;

static void free_twice(void *object)
{
	tmm_cache_free(wrong_cache, object);
	tmm_cache_free(wrong_cache, object);
}

static void free_inside(void *object)
{
	tmm_cache_free(wrong_cache, (char *)object + 8);
}

/* A charged object is watched like any other. */
TEST(wrong_frees_of_charged_objects_are_found)
{
	static void (*const wrong[])(void *) = {free_twice, free_inside};
	const char *text;

	if (rig_skips() || getenv("TUXMM_SLAB_DEBUG"))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin(1);
		wrong_cache = marked_cache(64);
		tmm_account_set_active(&m.pages, &a);
		text = test_panics(wrong[i], tmm_cache_alloc(wrong_cache, QUIET));
		CHECK(text);
		abandon_rig();
	}
}

/* ---- everything at once ---- */

#define NR_HELD 256u

static struct {
	struct tmm_account *account;
	void *object; /* NULL: the frames */
	tmm_pfn pfn;
	unsigned order; /* order + 1 */
	uint64_t bytes;
} held[NR_HELD];

static void drop(unsigned i)
{
	if (held[i].object)
		tmm_kfree(&m.slabs, held[i].object);
	else if (held[i].order)
		tmm_pages_free(&m.pages, held[i].pfn, held[i].order - 1);
	held[i].object = NULL;
	held[i].order = 0;
	held[i].bytes = 0;
}

static void take(unsigned i, uint64_t r)
{
	static const struct {
		size_t asked, room;
	} sizes[] = {{8, 8}, {60, 64}, {300, 512}, {3000, 4096}, {30000, 32768}};
	unsigned s = (unsigned)(r >> 8) % ARRAY_SIZE(sizes);
	unsigned order = (unsigned)(r >> 8) % 4;

	held[i].account = tmm_account_active(&m.pages);
	if (r & 1) {
		held[i].object = tmm_kmalloc(&m.slabs, sizes[s].asked, QUIET | TMM_GFP_ACCOUNT);
		held[i].bytes = held[i].object ? sizes[s].room : 0;
	} else if (tmm_pages_alloc(&m.pages, QUIET | TMM_GFP_ACCOUNT, order, &held[i].pfn) ==
	           TMM_OK) {
		held[i].order = order + 1;
		held[i].bytes = PAGE << order;
	}
}

static uint64_t held_for(const struct tmm_account *account)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < NR_HELD; i++)
		sum += held[i].account == account ? held[i].bytes : 0;
	return sum;
}

static void compare(void)
{
	uint64_t of_a = held_for(&a), of_b = held_for(&b);

	CHECK(charged_are(held_for(&root) + of_a + of_b, of_a, of_b));
	CHECK(account_info(&a).usage_bytes <= account_info(&a).max_bytes);
	tmm_pages_check(&m.pages);
	tmm_slab_check(&m.slabs);
}

/* Two CPUs by turns, three accounts and none, limits that come and go. */
TEST(random_charges_add_up)
{
	struct tmm_account *const all[] = {&root, &a, &b, NULL};
	uint64_t state = test_seed();
	bool plain = !getenv("TUXMM_SLAB_DEBUG");

	if (rig_skips() || !plain) /* where the room of an object is another */
		return;
	begin(2);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = test_random(&state);
		unsigned which = (unsigned)(r >> 32) % NR_HELD;

		if (r % 64 == 0)
			CHECK(cpu_enter(&m.cpus, r >> 20 & 1) == TMM_OK);
		if (r % 16 == 0)
			tmm_account_set_active(&m.pages, all[r >> 24 & 3]);
		if (r % 512 == 1)
			(void)!tmm_account_set_max(&a, (r >> 40 & 1) ? TMM_ACCOUNT_NO_LIMIT
			                                             : 64 * PAGE + (r >> 50));
		if (held[which].bytes)
			drop(which);
		else
			take(which, r >> 3);
		if (i % 500 == 0)
			compare();
	}
	for (unsigned i = 0; i < NR_HELD; i++)
		drop(i);
	CHECK(charged_are(0, 0, 0));
	end();
}

/* ---- failures ---- */

static void play(void)
{
	struct tmm_account account;
	struct tmm_cache *marked = NULL;
	const struct tmm_cache_spec spec = {
		.name = "marked", .size_bytes = 64, .account = true};
	void *object[3] = {NULL, NULL, NULL};
	tmm_pfn pfn;
	bool lent;

	if (tmm_account_init(&account, &m.pages, &root) != TMM_OK)
		return;
	tmm_account_set_active(&m.pages, &account);
	lent = tmm_pages_alloc(&m.pages, FOR_IT, 1, &pfn) == TMM_OK;
	object[0] = tmm_kmalloc(&m.slabs, 100, FOR_IT);
	if (tmm_cache_create(&m.slabs, &spec, &marked) == TMM_OK)
		object[1] = tmm_cache_alloc(marked, TMM_GFP_KERNEL);
	object[2] = tmm_kmalloc(&m.slabs, 20000, FOR_IT);
	tmm_account_set_active(&m.pages, NULL);
	if (lent)
		tmm_pages_free(&m.pages, pfn, 1);
	tmm_kfree(&m.slabs, object[0]);
	if (object[1])
		tmm_cache_free(marked, object[1]);
	tmm_kfree(&m.slabs, object[2]);
	CHECK(!marked || tmm_cache_destroy(marked) == TMM_OK);
	CHECK(tmm_account_fini(&account) == TMM_OK);
}

TEST(whatever_fails_nothing_stays_charged)
{
	uint64_t n;

	for (unsigned forever = 0; forever <= 1; forever++) {
		for (n = 1; n < 200; n++) {
			bool failed;

			begin(1); /* anew: no table is there yet */
			tmm_inject_nth(n, forever);
			play();
			failed = tmm_inject_stop();
			CHECK(charged_are(0, 0, 0));
			end();
			if (!failed)
				break;
		}
		test_note("%llu failure points", (unsigned long long)n - 1);
		CHECK(n > 5 && n < 200);
	}
}
