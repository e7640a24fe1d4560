/*
 * pgtable_test.c - page tables against an array of entries and a cache that
 * believes all it once saw
 *
 * The model knows the leaves of a few windows of the address space, each across
 * a border between tables:
 *
 *   0          LOW    |       512 GiB     |        | HIGH  VA_END
 *   |----------[==|==]--------[==|==]--------------[==|==]
 *
 * The cache is the worst there can be: after each call it knows every entry, and
 * what it knows it grants until it is told to forget.
 */
#include <string.h>

#include "inject.h"
#include "map/pgtable_impl.h"
#include "page/rig_test.h"

#define NR_WINDOWS   4u
#define WINDOW_PAGES 1100u
#define CACHED_BITS  (LEAF_BITS | TMM_PTE_WRITE | TMM_PTE_ACCESSED | TMM_PTE_DIRTY)
#define LEAF_BITS    (TMM_PTE_PRESENT | TMM_PTE_USER)

static const uint64_t window_start[NR_WINDOWS] = {
	UINT64_C(0x1ff000),
	UINT64_C(0x40000000) - 600 * TMM_PAGE_SIZE,
	(UINT64_C(1) << 39) - 550 * TMM_PAGE_SIZE,
	VA_END - WINDOW_PAGES *TMM_PAGE_SIZE,
};

/* One tree, what should be in it, and what its cache believes. */
struct bench {
	struct tmm_pgtable pt;
	struct tmm_pages *pages;
	uint64_t model[NR_WINDOWS][WINDOW_PAGES];
	uint64_t cached[NR_WINDOWS][WINDOW_PAGES];
	uint64_t nr_flushes, nr_tables_freed, nr_gone;
	uint64_t free_before;
	uint64_t next_pfn;
	uint64_t random;
};

static struct bench b;
static struct rig rig;

static uint64_t *slot_of(uint64_t slots[NR_WINDOWS][WINDOW_PAGES], uint64_t va)
{
	for (unsigned w = 0; w < NR_WINDOWS; w++) {
		if (va >= window_start[w] &&
		    va < window_start[w] + WINDOW_PAGES * TMM_PAGE_SIZE)
			return &slots[w][(va - window_start[w]) >> TMM_PAGE_SHIFT];
	}
	return NULL;
}

static uint64_t va_of(unsigned w, uint64_t page)
{
	return window_start[w] + page * TMM_PAGE_SIZE;
}

static void on_flush(void *mmu, tmm_vaddr start, uint64_t nr_pages)
{
	struct bench *bench = mmu;

	bench->nr_flushes++;
	for (unsigned w = 0; w < NR_WINDOWS; w++) {
		for (uint64_t p = 0; p < WINDOW_PAGES; p++) {
			uint64_t va = va_of(w, p);

			if (va >= start.v && va - start.v < nr_pages * TMM_PAGE_SIZE)
				bench->cached[w][p] = 0;
		}
	}
}

static void on_table_free(void *mmu, tmm_pfn table, unsigned level)
{
	struct bench *bench = mmu;

	CHECK(level >= 1 && level <= LEVELS);
	CHECK(page_of(bench->pages, table)->kind == PAGE_TABLE);
	bench->nr_tables_freed++;
}

static const struct tmm_mmu_ops mmu_ops = {.flush = on_flush, .table_free = on_table_free};

static void begin(void)
{
	memset(&b, 0, sizeof(b));
	b.pages = rig_simple(&rig, 8 * MIB);
	b.free_before = tmm_pages_free_count(b.pages);
	b.next_pfn = 1000;
	b.random = test_seed();
	CHECK(tmm_pgtable_init(&b.pt, b.pages) == TMM_OK);
	tmm_pgtable_set_mmu(&b.pt, &mmu_ops, &b);
}

/* A frame may be used again from here on: nobody may still see it. */
static void on_gone(void *arg, tmm_vaddr va, tmm_pte old)
{
	struct bench *bench = arg;
	uint64_t *model = slot_of(bench->model, va.v);

	CHECK(model && *model == old.v);
	CHECK(*slot_of(bench->cached, va.v) == 0);
	*model = 0;
	bench->nr_gone++;
}

/* Everything the cache still grants is granted by the tables. */
static void cache_is_covered(void)
{
	for (unsigned w = 0; w < NR_WINDOWS; w++) {
		for (uint64_t p = 0; p < WINDOW_PAGES; p++) {
			uint64_t held = b.cached[w][p], now = b.model[w][p];

			CHECK(tmm_pte_get(&b.pt, (tmm_vaddr){va_of(w, p)}).v == now);
			if (held != 0) {
				CHECK(((held ^ now) & TMM_PTE_FRAME) == 0);
				CHECK((held & ~now & CACHED_BITS) == 0);
				CHECK((now & ~held & TMM_PTE_NX) == 0);
			}
			b.cached[w][p] = now;
		}
	}
}

static void end(void)
{
	tmm_pte_clear_range(&b.pt, (tmm_vaddr){0}, (tmm_vaddr){VA_END}, on_gone, &b);
	cache_is_covered();
	CHECK(b.pt.nr_tables == 1);
	tmm_pgtable_check(&b.pt);
	tmm_pgtable_fini(&b.pt);
	CHECK(tmm_pages_free_count(b.pages) == b.free_before);
	tmm_pages_check(b.pages);
	pages_fini(b.pages);
}

static uint64_t pick(uint64_t below)
{
	return (test_random(&b.random) >> 20) % below;
}

static void set(uint64_t va, uint64_t pte)
{
	CHECK(tmm_pte_set(&b.pt, (tmm_vaddr){va}, (tmm_pte){pte}) == TMM_OK);
	*slot_of(b.model, va) = pte;
}

static uint64_t leaf(uint64_t pfn, uint64_t bits)
{
	return tmm_pte_make((tmm_pfn){pfn}, LEAF_BITS | bits).v;
}

/*
 *   root - 3 - 2 - 1   four tables carry the first leaf; all go with the last
 */
TEST(tables_come_with_the_first_leaf_and_go_with_the_last)
{
	uint64_t va = va_of(1, 5);

	begin();
	CHECK(b.pt.nr_tables == 1);
	set(va, leaf(7, 0));
	set(va + TMM_PAGE_SIZE, leaf(8, 0));
	CHECK(b.pt.nr_tables == 4);
	tmm_pgtable_check(&b.pt);
	tmm_pte_clear_range(&b.pt, (tmm_vaddr){va}, (tmm_vaddr){va + TMM_PAGE_SIZE}, on_gone,
	                    &b);
	CHECK(b.pt.nr_tables == 4 && b.nr_flushes == 1);
	tmm_pte_clear_range(&b.pt, (tmm_vaddr){va}, (tmm_vaddr){va + 2 * TMM_PAGE_SIZE},
	                    on_gone, &b);
	CHECK(b.pt.nr_tables == 1 && b.nr_tables_freed == 3 && b.nr_gone == 2);
	end();
}

TEST(clearing_nothing_flushes_nothing)
{
	begin();
	set(va_of(0, 1), leaf(7, 0));
	tmm_pte_clear_range(&b.pt, (tmm_vaddr){va_of(0, 2)}, (tmm_vaddr){VA_END}, on_gone, &b);
	CHECK(b.nr_flushes == 0);
	end();
}

/* One flush for the leaves of many tables, before the first frame is let go. */
TEST(a_range_of_many_tables_is_flushed_at_once)
{
	begin();
	for (uint64_t p = 0; p < WINDOW_PAGES; p++)
		set(va_of(1, p), leaf(100 + p, TMM_PTE_WRITE));
	cache_is_covered();
	tmm_pte_clear_range(&b.pt, (tmm_vaddr){va_of(1, 0)},
	                    (tmm_vaddr){va_of(1, WINDOW_PAGES)}, on_gone, &b);
	CHECK(b.nr_gone == WINDOW_PAGES);
	CHECK(b.nr_flushes == 2); /* the window lies across a border of 64 MiB */
	end();
}

static const struct {
	uint64_t old, now;
	bool flushes;
} replacements[] = {
	{0, TMM_PTE_WRITE, false},
	{TMM_PTE_NX, 0, false},
	{0, TMM_PTE_ACCESSED | TMM_PTE_DIRTY, false},
	{TMM_PTE_WRITE, 0, true},
	{0, TMM_PTE_NX, true},
	{TMM_PTE_ACCESSED, 0, true},
	{TMM_PTE_DIRTY | TMM_PTE_WRITE, TMM_PTE_WRITE, true},
};

TEST(replace_flushes_exactly_when_something_is_lost)
{
	uint64_t va = va_of(0, 0);

	begin();
	set(va, leaf(1, 0));
	for (unsigned i = 0; i < ARRAY_SIZE(replacements); i++) {
		uint64_t before;

		tmm_pte_replace(&b.pt, (tmm_vaddr){va},
		                (tmm_pte){leaf(i, replacements[i].old)});
		before = b.nr_flushes;
		CHECK(tmm_pte_replace(&b.pt, (tmm_vaddr){va},
		                      (tmm_pte){leaf(i, replacements[i].now)})
		              .v == leaf(i, replacements[i].old));
		CHECK(b.nr_flushes - before == replacements[i].flushes);
	}
	*slot_of(b.model, va) = leaf(ARRAY_SIZE(replacements) - 1, TMM_PTE_WRITE);
	end();
}

/*
 *   entries   . . a a+1 . b* b+1 . c . .      * asked for
 *   max 1                 [====]
 *   max 2                 [====]   [c]        what follows comes first
 *   max 3         [===]   [====]   [c]
 */
TEST(walk_prefers_what_follows)
{
	uint64_t base = va_of(1, 600), va = base + 5 * TMM_PAGE_SIZE;
	struct tmm_extent extent[8];

	begin();
	set(base + 2 * TMM_PAGE_SIZE, leaf(20, 0));
	set(base + 3 * TMM_PAGE_SIZE, leaf(21, 0));
	set(va, leaf(30, 0));
	set(va + TMM_PAGE_SIZE, leaf(31, 0));
	set(va + 3 * TMM_PAGE_SIZE, leaf(40, 0));
	CHECK(tmm_pgtable_walk(&b.pt, (tmm_vaddr){va}, TMM_ACCESS_READ, extent, 1) == 1);
	CHECK(extent[0].va.v == va && extent[0].nr_pages == 2 && extent[0].pfn.v == 30);
	CHECK(tmm_pgtable_walk(&b.pt, (tmm_vaddr){va}, TMM_ACCESS_READ, extent, 2) == 2);
	CHECK(extent[0].va.v == va && extent[1].pfn.v == 40);
	CHECK(tmm_pgtable_walk(&b.pt, (tmm_vaddr){va}, TMM_ACCESS_READ, extent, 8) == 3);
	CHECK(extent[0].pfn.v == 20 && extent[0].nr_pages == 2 && extent[1].pfn.v == 30);
	CHECK(tmm_pgtable_walk(&b.pt, (tmm_vaddr){va}, TMM_ACCESS_WRITE, extent, 8) == 0);
	CHECK(tmm_pgtable_walk(&b.pt, (tmm_vaddr){va + 2 * TMM_PAGE_SIZE}, TMM_ACCESS_READ,
	                       extent, 8) == 0);
	memset(b.model, 0, sizeof(b.model)); /* the walk has set bits in them */
	for (uint64_t p = 0; p < 16; p++)
		b.model[1][600 + p] = tmm_pte_get(&b.pt, (tmm_vaddr){va_of(1, 600 + p)}).v;
	CHECK(b.model[1][602] & TMM_PTE_ACCESSED);
	end();
}

static void write_outside(void *arg)
{
	*(tmm_err *)arg = tmm_pte_set(&b.pt, (tmm_vaddr){VA_END}, (tmm_pte){leaf(1, 0)});
}

static void set_twice(void *arg)
{
	*(tmm_err *)arg = tmm_pte_set(&b.pt, (tmm_vaddr){va_of(0, 0)}, (tmm_pte){leaf(2, 0)});
}

static void fini_with_leaf(void *arg)
{
	(void)arg;
	tmm_pgtable_fini(&b.pt);
}

TEST(broken_rules_are_named)
{
	tmm_err err;

	begin();
	set(va_of(0, 0), leaf(1, 0));
	CHECK(test_panics(write_outside, &err) != NULL);
	CHECK(test_panics(set_twice, &err) != NULL);
	CHECK(test_panics(fini_with_leaf, NULL) != NULL);
	end();
}

/* Every allocation of a set fails once: nothing is left behind, and a retry works. */
TEST(a_failed_set_changes_nothing)
{
	begin();
	for (uint64_t n = 1;; n++) {
		tmm_err err;

		tmm_inject_nth(n, false);
		err = tmm_pte_set(&b.pt, (tmm_vaddr){va_of(2, 0)}, (tmm_pte){leaf(1, 0)});
		if (!tmm_inject_stop()) {
			CHECK(err == TMM_OK && n >= 4);
			break;
		}
		CHECK(err == TMM_E_NOMEM && b.pt.nr_tables == 1);
		tmm_pgtable_check(&b.pt);
	}
	*slot_of(b.model, va_of(2, 0)) = leaf(1, 0);
	end();
}

/* ---- random operations -------------------------------------------------- */

/* A random range of pages inside one window. */
struct span {
	unsigned w;
	uint64_t first, end;
};

static struct span random_span(void)
{
	struct span s;
	uint64_t most = pick(4) ? 24 : WINDOW_PAGES;

	s.w = (unsigned)pick(NR_WINDOWS);
	s.first = pick(WINDOW_PAGES);
	s.end = s.first + 1 + pick(most);
	if (s.end > WINDOW_PAGES)
		s.end = WINDOW_PAGES;
	return s;
}

static uint64_t random_bits(void)
{
	const uint64_t any = TMM_PTE_WRITE | TMM_PTE_NX | TMM_PTE_ACCESSED | TMM_PTE_DIRTY |
	                     TMM_PTE_SPECIAL;

	return test_random(&b.random) & any;
}

static void op_set_run(void)
{
	struct span s = random_span();
	uint64_t nr = 0, bits = LEAF_BITS | random_bits(), tables = b.pt.nr_tables;
	uint64_t va = va_of(s.w, s.first);
	tmm_vaddr start = {va}, stop = {va_of(s.w, s.end)};
	tmm_pfn pfn[TABLE_ENTRIES];
	tmm_err err;

	if (b.model[s.w][s.first] != 0)
		return;
	tmm_pte_hole(&b.pt, (tmm_vaddr){va}, &start, &stop);
	CHECK(start.v == va);
	while (va + nr * TMM_PAGE_SIZE < stop.v) {
		CHECK(b.model[s.w][s.first + nr] == 0);
		pfn[nr++].v = b.next_pfn++;
	}
	CHECK(s.first + nr == s.end || index_of(stop.v, 1) == 0 ||
	      b.model[s.w][s.first + nr] != 0);
	err = tmm_pte_set_run(&b.pt, (tmm_vaddr){va}, nr, pfn, bits);
	b.next_pfn += pick(2); /* some runs go on where the last one ended */
	if (err != TMM_OK) {
		CHECK(err == TMM_E_NOMEM && b.pt.nr_tables == tables);
		return;
	}
	for (uint64_t i = 0; i < nr; i++)
		b.model[s.w][s.first + i] = tmm_pte_make(pfn[i], bits).v;
}

static void op_clear(void)
{
	struct span s = random_span();

	tmm_pte_clear_range(&b.pt, (tmm_vaddr){va_of(s.w, s.first)},
	                    (tmm_vaddr){va_of(s.w, s.end)}, on_gone, &b);
	for (uint64_t p = s.first; p < s.end; p++)
		CHECK(b.model[s.w][p] == 0);
}

static uint64_t new_rights(void *arg, tmm_vaddr va, tmm_pte old)
{
	uint64_t *rights = arg;

	CHECK(old.v == *slot_of(b.model, va.v));
	return (va.v >> TMM_PAGE_SHIFT) % 3 ? *rights : old.v;
}

static void op_protect(void)
{
	struct span s = random_span();
	const uint64_t mask = TMM_PTE_WRITE | TMM_PTE_NX | TMM_PTE_USER;
	uint64_t rights = random_bits() | (pick(4) ? TMM_PTE_USER : 0), before[WINDOW_PAGES];

	memcpy(before, b.model[s.w], sizeof(before));
	tmm_pte_protect_range(&b.pt, (tmm_vaddr){va_of(s.w, s.first)},
	                      (tmm_vaddr){va_of(s.w, s.end)}, new_rights, &rights);
	for (uint64_t p = s.first; p < s.end; p++) {
		if (before[p] != 0 && (va_of(s.w, p) >> TMM_PAGE_SHIFT) % 3)
			b.model[s.w][p] = (before[p] & ~mask) | (rights & mask);
	}
}

static void op_replace(void)
{
	struct span s = random_span();
	uint64_t *entry = &b.model[s.w][s.first];
	uint64_t pfn = pick(2) ? tmm_pte_pfn((tmm_pte){*entry}).v : b.next_pfn++;
	uint64_t now = leaf(pfn, random_bits());

	if (*entry == 0)
		return;
	CHECK(tmm_pte_replace(&b.pt, (tmm_vaddr){va_of(s.w, s.first)}, (tmm_pte){now}).v ==
	      *entry);
	*entry = now;
}

static void op_move(void)
{
	struct span s = random_span();
	unsigned w = (unsigned)pick(NR_WINDOWS);
	uint64_t nr = s.end - s.first, to = pick(WINDOW_PAGES);

	if (to + nr > WINDOW_PAGES || (w == s.w && to < s.end && s.first < to + nr))
		return;
	for (uint64_t p = 0; p < nr; p++) {
		if (b.model[w][to + p] != 0)
			return;
	}
	if (tmm_pte_move_range(&b.pt, (tmm_vaddr){va_of(s.w, s.first)},
	                       (tmm_vaddr){va_of(w, to)}, nr * TMM_PAGE_SIZE) != TMM_OK)
		return;
	for (uint64_t p = 0; p < nr; p++) {
		b.model[w][to + p] = b.model[s.w][s.first + p];
		b.model[s.w][s.first + p] = 0;
	}
}

static unsigned model_rights(uint64_t pte)
{
	const uint64_t written = TMM_PTE_WRITE | TMM_PTE_DIRTY;

	return TMM_ACCESS_READ | ((pte & written) == written ? TMM_ACCESS_WRITE : 0) |
	       (pte & TMM_PTE_NX ? 0 : TMM_ACCESS_EXEC);
}

static void op_walk(void)
{
	struct span s = random_span();
	uint64_t va = va_of(s.w, s.first), *entry = &b.model[s.w][s.first];
	unsigned access = 1u << pick(3);
	struct tmm_extent extent[6];
	size_t max = 1 + pick(6), nr;
	bool found = false, allowed = (*entry & TMM_PTE_USER) != 0;

	allowed &= access != TMM_ACCESS_WRITE || (*entry & TMM_PTE_WRITE) != 0;
	allowed &= access != TMM_ACCESS_EXEC || !(*entry & TMM_PTE_NX);
	nr = tmm_pgtable_walk(&b.pt, (tmm_vaddr){va}, access, extent, max);
	CHECK(nr <= max && (nr > 0) == allowed);
	if (allowed && access == TMM_ACCESS_WRITE)
		*entry |= TMM_PTE_DIRTY;
	for (size_t i = 0; i < nr; i++) {
		CHECK(i == 0 || extent[i].va.v >= extent[i - 1].va.v + extent[i - 1].nr_pages *
		                                                               TMM_PAGE_SIZE);
		for (uint64_t p = 0; p < extent[i].nr_pages; p++) {
			uint64_t at = extent[i].va.v + p * TMM_PAGE_SIZE;
			uint64_t *shown = slot_of(b.model, at);

			CHECK(at / LEAF_SPAN == va / LEAF_SPAN);
			CHECK(shown && *shown != 0);
			CHECK(tmm_pte_pfn((tmm_pte){*shown}).v == extent[i].pfn.v + p);
			CHECK(model_rights(*shown) == extent[i].rights);
			*shown |= TMM_PTE_ACCESSED;
			found |= at == va;
		}
	}
	CHECK(found == allowed);
}

static bool on_visit(void *arg, tmm_vaddr va, tmm_pte pte)
{
	uint64_t *left = arg;

	CHECK(*slot_of(b.model, va.v) == pte.v && *left > 0);
	return --*left > 0;
}

static void op_for_each(void)
{
	struct span s = random_span();
	uint64_t present = 0, left;

	for (uint64_t p = s.first; p < s.end; p++)
		present += b.model[s.w][p] != 0;
	left = present;
	tmm_pte_for_each(&b.pt, (tmm_vaddr){va_of(s.w, s.first)},
	                 (tmm_vaddr){va_of(s.w, s.end)}, on_visit, &left);
	CHECK(left == 0);
}

static void (*const ops[])(void) = {op_set_run, op_set_run, op_set_run, op_clear,   op_protect,
                                    op_replace, op_move,    op_walk,    op_for_each};

static void random_operations(unsigned nr, bool failing)
{
	for (unsigned i = 0; i < nr; i++) {
		if (failing)
			tmm_inject_nth(1 + pick(4), pick(2) != 0);
		ops[pick(ARRAY_SIZE(ops))]();
		tmm_inject_stop();
		cache_is_covered();
		if (i % 16 == 0)
			tmm_pgtable_check(&b.pt);
	}
}

TEST(random_operations_agree_with_an_array_of_entries)
{
	begin();
	random_operations(12000, false);
	end();
}

TEST(random_operations_survive_failing_allocations)
{
	begin();
	random_operations(6000, true);
	end();
}
