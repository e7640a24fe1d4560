/*
 * calls_test.c - what the calls promise that the host kernel cannot be asked for:
 * limits, overcommit, guard gaps, places, and what a failure leaves behind
 */
#include "inject.h"
#include "space/fault_rig_test.h"
#include "space/vma.h"

#define ANON       (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)
#define SHARED     (TMM_MAP_SHARED | TMM_MAP_ANONYMOUS)
#define READ_WRITE (TMM_PROT_READ | TMM_PROT_WRITE)
#define BASE       UINT64_C(0x200000000)
#define MMAP_BASE  (TASK_SIZE - 64 * MIB)

static struct fault_rig rig;

static void begin_with(enum overcommit mode, uint32_t max_map_count)
{
	const struct space_config config = {.overcommit_memory = mode,
	                                    .max_map_count = max_map_count};

	fault_rig_begin(&rig, 16 * MIB, 64 * PAGE, &config);
}

static void begin(void)
{
	begin_with(OVERCOMMIT_GUESS, 0);
}

static void end(void)
{
	fault_rig_end(&rig);
}

static tmm_err map_at(uint64_t addr, uint64_t bytes, uint32_t prot, uint32_t flags,
                      uint64_t *out)
{
	struct tmm_mmap_request request = {
		.addr = addr, .length = bytes, .prot = prot, .flags = flags, .file = rig.file};

	return tmm_mm_mmap(rig.mm, &request, out);
}

static tmm_err map_fixed(uint64_t page, uint64_t nr_pages, uint32_t prot, uint32_t flags)
{
	uint64_t addr;

	return map_at(BASE + page * PAGE, nr_pages * PAGE, prot, flags | TMM_MAP_FIXED, &addr);
}

static uint64_t nr_areas(void)
{
	struct tmm_mm_usage usage;

	tmm_mm_usage(rig.mm, &usage);
	return usage.nr_areas;
}

static uint64_t committed(void)
{
	struct tmm_space_totals totals;

	tmm_space_totals(&rig.spaces, &totals);
	return totals.committed_pages;
}

static bool area_is(uint64_t addr, uint64_t start, uint64_t end_addr)
{
	struct tmm_area area;

	return tmm_mm_area(rig.mm, addr, false, &area) && area.start == start &&
	       area.end == end_addr;
}

/*
 *   mmap_base   |           |bb|aa|
 *   third       |cc|                 when nothing is free below mmap_base
 */
TEST(room_is_searched_downwards_then_upwards)
{
	const uint64_t third = align_up(TASK_SIZE / 3, PAGE);
	uint64_t a, b, c;

	begin();
	CHECK(map_at(0, PAGE, READ_WRITE, ANON, &a) == TMM_OK && a == MMAP_BASE - PAGE);
	CHECK(map_at(0, 2 * PAGE, TMM_PROT_READ, ANON, &b) == TMM_OK && b == a - 2 * PAGE);
	CHECK(map_at(65536, b - 65536, TMM_PROT_NONE, ANON | TMM_MAP_FIXED, &c) == TMM_OK);
	CHECK(map_at(0, PAGE, READ_WRITE, ANON, &c) == TMM_OK && c == MMAP_BASE);
	CHECK(tmm_mm_munmap(rig.mm, third, PAGE) == TMM_OK);
	CHECK(map_at(0, PAGE, READ_WRITE, ANON, &c) == TMM_OK && c == third);
	end();
}

TEST(low_memory_is_searched_upwards)
{
	uint64_t a, b;

	begin();
	CHECK(map_at(0, PAGE, READ_WRITE, ANON | TMM_MAP_32BIT, &a) == TMM_OK);
	CHECK(a == UINT64_C(0x40000000));
	CHECK(map_at(0, PAGE, TMM_PROT_READ, ANON | TMM_MAP_32BIT, &b) == TMM_OK);
	CHECK(b == a + PAGE);
	CHECK(map_at(0, UINT64_C(0x40000000), 0, ANON | TMM_MAP_32BIT, &b) == TMM_E_NOMEM);
	end();
}

TEST(a_hint_is_rounded_raised_and_dropped)
{
	uint64_t at;

	begin();
	CHECK(map_at(BASE + 5, PAGE, READ_WRITE, ANON, &at) == TMM_OK && at == BASE);
	CHECK(map_at(PAGE, PAGE, READ_WRITE, ANON, &at) == TMM_OK && at == 65536);
	CHECK(map_at(BASE, PAGE, READ_WRITE, ANON, &at) == TMM_OK && at == MMAP_BASE - PAGE);
	CHECK(map_at(PAGE, PAGE, READ_WRITE, ANON | TMM_MAP_FIXED, &at) == TMM_E_PERM);
	CHECK(map_at(TASK_SIZE, PAGE, 0, ANON | TMM_MAP_FIXED, &at) == TMM_E_NOMEM);
	CHECK(map_at(BASE + 1, PAGE, 0, ANON | TMM_MAP_FIXED, &at) == TMM_E_INVAL);
	CHECK(map_at(BASE, PAGE, 0, ANON | TMM_MAP_FIXED_NOREPLACE, &at) == TMM_E_EXIST);
	end();
}

/*
 *   |aaaa|  256 pages of gap  |stack>   a page touched here grows the stack,
 *        ^one page nearer               a page touched there does not
 */
TEST(a_stack_grows_to_its_limit_and_keeps_the_gap)
{
	const uint64_t top = BASE + 4096 * PAGE, gap = 256 * PAGE;
	struct tmm_mm_limits limits = {UINT64_MAX, UINT64_MAX, 64 * PAGE, UINT64_MAX};
	struct tmm_mm_usage usage;

	begin();
	CHECK(tmm_mm_map_stack(rig.mm, top, 4 * PAGE, false) == TMM_OK);
	CHECK(fault_rig_write(&rig, top - 64 * PAGE, 7) == TMM_FAULT_OK);
	CHECK(area_is(top - PAGE, top - 64 * PAGE, top));
	tmm_mm_set_limits(rig.mm, &limits);
	CHECK(fault_rig_write(&rig, top - 65 * PAGE, 7) == TMM_FAULT_MAPERR);
	limits.stack_bytes = UINT64_MAX;
	tmm_mm_set_limits(rig.mm, &limits);
	CHECK(map_fixed(4096 - 600, 1, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(fault_rig_write(&rig, top - 599 * PAGE + gap - PAGE, 7) == TMM_FAULT_MAPERR);
	CHECK(fault_rig_write(&rig, top - 599 * PAGE + gap, 7) == TMM_FAULT_OK);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.stack_pages == 599 - 256 && usage.kind_pages[TMM_AREA_STACK] > 0);
	end();
}

TEST(room_below_a_stack_begins_a_gap_lower)
{
	const uint64_t top = MMAP_BASE;
	uint64_t at;

	begin();
	CHECK(tmm_mm_map_stack(rig.mm, top, 4 * PAGE, false) == TMM_OK);
	CHECK(map_at(0, PAGE, READ_WRITE, ANON, &at) == TMM_OK);
	CHECK(at == top - (4 + 256 + 1) * PAGE);
	CHECK(map_at(top - 5 * PAGE, PAGE, READ_WRITE, ANON, &at) == TMM_OK);
	CHECK(at == top - (4 + 256 + 2) * PAGE); /* so near, a hint is no good */
	end();
}

TEST(address_space_and_data_are_limited)
{
	struct tmm_mm_limits limits = {20 * PAGE, 10 * PAGE, UINT64_MAX, UINT64_MAX};

	begin();
	tmm_mm_set_limits(rig.mm, &limits);
	CHECK(map_fixed(0, 11, READ_WRITE, ANON) == TMM_E_NOMEM);
	CHECK(map_fixed(0, 10, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(10, 1, READ_WRITE, ANON) == TMM_E_NOMEM);
	CHECK(map_fixed(0, 10, READ_WRITE, ANON) == TMM_OK); /* what it replaces is free */
	CHECK(map_fixed(10, 10, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(map_fixed(20, 1, TMM_PROT_READ, ANON) == TMM_E_NOMEM);
	limits.as_bytes = UINT64_MAX;
	tmm_mm_set_limits(rig.mm, &limits);
	CHECK(tmm_mm_mprotect(rig.mm, BASE + 10 * PAGE, PAGE, READ_WRITE) == TMM_E_NOMEM);
	end();
}

/* Three areas are allowed; cutting one in two needs a fourth. */
TEST(areas_are_limited)
{
	begin_with(OVERCOMMIT_GUESS, 3);
	CHECK(map_fixed(0, 8, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(10, 1, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(12, 1, READ_WRITE, ANON) == TMM_OK);
	CHECK(tmm_mm_munmap(rig.mm, BASE + 2 * PAGE, PAGE) == TMM_E_NOMEM);
	CHECK(tmm_mm_mprotect(rig.mm, BASE + 2 * PAGE, PAGE, 0) == TMM_E_NOMEM);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, TMM_MADV_RANDOM) == TMM_E_AGAIN);
	CHECK(nr_areas() == 3);
	CHECK(tmm_mm_munmap(rig.mm, BASE + 6 * PAGE, 2 * PAGE) == TMM_OK);
	end();
}

TEST(memory_is_promised_by_mode)
{
	const uint64_t ram = 16 * MIB / PAGE;

	begin_with(OVERCOMMIT_GUESS, 0);
	CHECK(map_fixed(0, ram * 3 / 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(ram, ram * 3 / 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(2 * ram, 2 * ram, READ_WRITE, ANON) == TMM_E_NOMEM);
	CHECK(map_fixed(2 * ram, 2 * ram, READ_WRITE, ANON | TMM_MAP_NORESERVE) == TMM_OK);
	CHECK(committed() == ram * 3 / 2);
	end();
	begin_with(OVERCOMMIT_ALWAYS, 0);
	CHECK(map_fixed(0, 100 * ram, READ_WRITE, ANON) == TMM_OK);
	end();
	begin_with(OVERCOMMIT_NEVER, 0);
	CHECK(map_fixed(0, ram / 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(ram, ram / 3, READ_WRITE, ANON) == TMM_E_NOMEM);
	CHECK(map_fixed(ram, ram / 3, READ_WRITE, ANON | TMM_MAP_NORESERVE) == TMM_E_NOMEM);
	CHECK(map_fixed(ram, ram / 3, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(tmm_mm_mprotect(rig.mm, BASE + ram * PAGE, ram / 3 * PAGE, READ_WRITE) ==
	      TMM_E_NOMEM);
	end();
}

/* Promises follow what may be written, once for each page. */
TEST(promises_are_kept_and_given_back)
{
	begin();
	CHECK(map_fixed(0, 8, READ_WRITE, ANON) == TMM_OK && committed() == 8);
	CHECK(map_fixed(4, 8, READ_WRITE, ANON) == TMM_OK && committed() == 12);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, 2 * PAGE, TMM_PROT_READ) == TMM_OK);
	CHECK(committed() == 10); /* untouched, so not needed any more */
	CHECK(map_fixed(20, 5, TMM_PROT_READ, SHARED) == TMM_OK && committed() == 15);
	CHECK(tmm_mm_munmap(rig.mm, BASE + 20 * PAGE, 2 * PAGE) == TMM_OK);
	CHECK(committed() == 15); /* the memory behind is one object */
	CHECK(tmm_mm_munmap(rig.mm, BASE + 22 * PAGE, 3 * PAGE) == TMM_OK);
	CHECK(committed() == 10);
	CHECK(map_fixed(30, 3, READ_WRITE, TMM_MAP_PRIVATE) == TMM_OK && committed() == 13);
	CHECK(tmm_mm_munmap(rig.mm, BASE, 64 * PAGE) == TMM_OK && committed() == 0);
	end();
}

static void set_heap(uint64_t start)
{
	const struct tmm_mm_image image = {.start_data = 0, .end_data = 0, .start_brk = start};

	tmm_mm_set_image(rig.mm, &image);
}

TEST(the_break_moves_where_it_may)
{
	struct tmm_mm_limits limits = {UINT64_MAX, 16 * PAGE, UINT64_MAX, UINT64_MAX};
	struct tmm_mm_usage usage;
	uint8_t byte = 9;

	begin();
	set_heap(BASE);
	tmm_mm_set_limits(rig.mm, &limits);
	CHECK(tmm_mm_brk(rig.mm, 0) == BASE);
	CHECK(tmm_mm_brk(rig.mm, BASE + 10) == BASE + 10);
	CHECK(fault_rig_write(&rig, BASE, 5) == TMM_FAULT_OK);
	CHECK(tmm_mm_brk(rig.mm, BASE + 8 * PAGE) == BASE + 8 * PAGE);
	CHECK(tmm_mm_brk(rig.mm, BASE + 17 * PAGE) == BASE + 8 * PAGE); /* RLIMIT_DATA */
	CHECK(map_fixed(12, 1, READ_WRITE, ANON) == TMM_OK);
	CHECK(tmm_mm_brk(rig.mm, BASE + 12 * PAGE) ==
	      BASE + 8 * PAGE); /* a page is kept free */
	CHECK(tmm_mm_brk(rig.mm, BASE + 11 * PAGE) == BASE + 11 * PAGE);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.kind_pages[TMM_AREA_HEAP] >= 1 && usage.kind_pages[TMM_AREA_MMAP] == 0);
	CHECK(tmm_mm_brk(rig.mm, BASE) == BASE);
	CHECK(tmm_mm_brk(rig.mm, BASE - PAGE) == BASE);
	CHECK(tmm_mm_brk(rig.mm, BASE + PAGE) == BASE + PAGE);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_OK && byte == 0);
	end();
}

/* Heap pages that mremap carries away are no heap any more. */
TEST(kinds_are_counted_where_pages_are)
{
	struct tmm_mm_usage usage;
	uint64_t at;

	begin();
	set_heap(BASE);
	CHECK(tmm_mm_brk(rig.mm, BASE + 4 * PAGE) == BASE + 4 * PAGE);
	for (uint64_t page = 0; page < 4; page++)
		CHECK(fault_rig_write(&rig, BASE + page * PAGE, 1) == TMM_FAULT_OK);
	CHECK(tmm_mm_mremap(rig.mm, BASE + PAGE, 2 * PAGE, 2 * PAGE,
	                    TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED, BASE + 64 * PAGE,
	                    &at) == TMM_OK);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.kind_pages[TMM_AREA_HEAP] == 2 && usage.kind_pages[TMM_AREA_MMAP] == 2);
	CHECK(usage.kind_peak_pages[TMM_AREA_HEAP] == 4);
	end();
}

/*
 *   one area  |hhhh|mmmm|    a mapping that begins where the heap ends joins it,
 *   one fault   ^^^^^^       and one fault may make pages on both sides
 */
TEST(a_fault_across_the_end_of_the_heap_counts_both_kinds)
{
	struct tmm_mm_usage usage;

	begin();
	set_heap(BASE);
	CHECK(tmm_mm_brk(rig.mm, BASE + 3 * PAGE) == BASE + 3 * PAGE);
	CHECK(map_fixed(3, 5, READ_WRITE, ANON) == TMM_OK);
	CHECK(nr_areas() == 1);
	for (uint64_t page = 8; page-- > 0;)
		CHECK(fault_rig_write(&rig, BASE + page * PAGE, 1) == TMM_FAULT_OK);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.kind_pages[TMM_AREA_HEAP] == 3 && usage.kind_pages[TMM_AREA_MMAP] == 5);
	end();
}

/* An old length that ends behind user space, or wraps round, moves nothing. */
TEST(what_mremap_cuts_off_lies_in_user_space)
{
	static const uint64_t lengths[] = {TASK_SIZE, UINT64_MAX - PAGE, 0 - BASE};
	const uint32_t flags = TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED;
	uint64_t at;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(64, 2, READ_WRITE, ANON) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 1) == TMM_FAULT_OK);
	for (unsigned i = 0; i < 3; i++)
		CHECK(tmm_mm_mremap(rig.mm, BASE, lengths[i], 2 * PAGE, flags, BASE + 64 * PAGE,
		                    &at) == TMM_E_INVAL);
	CHECK(nr_areas() == 2);
	end();
}

TEST(protection_takes_effect_at_once_and_keeps_the_page)
{
	uint8_t byte = 0;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 42) == TMM_FAULT_OK);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, PAGE, TMM_PROT_READ) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 43) == TMM_FAULT_ACCERR);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, PAGE, TMM_PROT_NONE) == TMM_OK);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_ACCERR);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, PAGE, READ_WRITE) == TMM_OK);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_OK && byte == 42);
	rig.nr_traps = 0;
	CHECK(fault_rig_write(&rig, BASE, 44) == TMM_FAULT_OK && rig.nr_traps == 0);
	CHECK(nr_areas() == 1);
	end();
}

/*
 *   |aaaa|    |bbbb|     mprotect over all of it changes a, then fails
 */
TEST(a_hole_stops_mprotect_after_what_is_before_it)
{
	begin();
	CHECK(map_fixed(0, 2, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(3, 2, READ_WRITE, ANON) == TMM_OK);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, 5 * PAGE, TMM_PROT_READ) == TMM_E_NOMEM);
	CHECK(fault_rig_write(&rig, BASE, 1) == TMM_FAULT_ACCERR);
	CHECK(fault_rig_write(&rig, BASE + 3 * PAGE, 1) == TMM_FAULT_OK);
	end();
}

TEST(advice_is_kept_applied_or_refused)
{
	struct tmm_area area;
	uint8_t byte = 9;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 42) == TMM_FAULT_OK);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, TMM_MADV_SEQUENTIAL) == TMM_OK);
	CHECK(tmm_mm_area(rig.mm, BASE, false, &area) && area.sequential);
	CHECK(area.end == BASE + PAGE);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, TMM_MADV_NORMAL) == TMM_OK && nr_areas() == 1);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, TMM_MADV_FREE) == TMM_OK);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_OK && byte == 42);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, TMM_MADV_DONTNEED) == TMM_OK);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_OK && byte == 0);
	CHECK(tmm_mm_madvise(rig.mm, BASE, PAGE, 77) == TMM_E_INVAL);
	CHECK(tmm_mm_madvise(rig.mm, BASE + 2 * PAGE, 4 * PAGE, TMM_MADV_DONTNEED) ==
	      TMM_E_NOMEM);
	end();
}

TEST(shared_anonymous_memory_is_one_object)
{
	uint64_t copy;
	uint8_t byte = 0;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, SHARED) == TMM_OK);
	CHECK(fault_rig_read(&rig, BASE + PAGE, &byte) == TMM_FAULT_OK && byte == 0);
	CHECK(fault_rig_write(&rig, BASE + PAGE, 42) == TMM_FAULT_OK);
	CHECK(tmm_mm_mremap(rig.mm, BASE, 0, 6 * PAGE, TMM_MREMAP_MAYMOVE, 0, &copy) == TMM_OK);
	CHECK(fault_rig_read(&rig, copy + PAGE, &byte) == TMM_FAULT_OK && byte == 42);
	CHECK(fault_rig_write(&rig, copy + PAGE, 43) == TMM_FAULT_OK);
	CHECK(fault_rig_read(&rig, BASE + PAGE, &byte) == TMM_FAULT_OK && byte == 43);
	CHECK(fault_rig_read(&rig, copy + 4 * PAGE, &byte) == TMM_FAULT_BUS);
	CHECK(tmm_mm_munmap(rig.mm, BASE, 4 * PAGE) == TMM_OK);
	CHECK(tmm_cache_shrink_pages(&rig.cache.cache, 64) < 64);
	CHECK(fault_rig_read(&rig, copy + PAGE, &byte) == TMM_FAULT_OK && byte == 43);
	end();
}

TEST(an_address_space_lives_until_its_last_user_puts_it)
{
	uint8_t byte = 0;

	begin();
	CHECK(map_fixed(0, 1, READ_WRITE, SHARED) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 42) == TMM_FAULT_OK);
	CHECK(tmm_mm_get(rig.mm) == rig.mm);
	tmm_mm_put(rig.mm);
	CHECK(fault_rig_read(&rig, BASE, &byte) == TMM_FAULT_OK && byte == 42);
	end();
}

TEST(msync_writes_back_and_notices_the_next_write)
{
	begin();
	fault_rig_map(&rig, BASE, 4, READ_WRITE, TMM_MAP_SHARED, 0);
	CHECK(fault_rig_write(&rig, BASE + 9, 42) == TMM_FAULT_OK);
	CHECK(rig.store.bytes[9] != 42);
	CHECK(tmm_mm_msync(rig.mm, BASE, PAGE, TMM_MS_SYNC) == TMM_OK);
	CHECK(rig.store.bytes[9] == 42);
	CHECK(fault_rig_write(&rig, BASE + 9, 43) == TMM_FAULT_OK);
	CHECK(tmm_mm_msync(rig.mm, BASE, PAGE, TMM_MS_SYNC) == TMM_OK);
	CHECK(rig.store.bytes[9] == 43);
	CHECK(tmm_mm_msync(rig.mm, BASE, 8 * PAGE, TMM_MS_ASYNC) == TMM_E_NOMEM);
	CHECK(tmm_mm_msync(rig.mm, BASE, PAGE, TMM_MS_SYNC | TMM_MS_ASYNC) == TMM_E_INVAL);
	end();
}

TEST(mincore_says_what_is_resident)
{
	uint8_t vec[8];

	begin();
	CHECK(map_fixed(0, 4, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(map_fixed(2, 1, READ_WRITE, ANON | TMM_MAP_POPULATE) == TMM_OK);
	memset(vec, 9, sizeof(vec));
	CHECK(tmm_mm_mincore(rig.mm, BASE, 4 * PAGE, vec) == TMM_OK);
	CHECK(vec[0] == 0 && vec[2] == 1 && vec[4] == 9);
	CHECK(tmm_mm_mincore(rig.mm, BASE, 6 * PAGE, vec) == TMM_E_NOMEM);
	CHECK(tmm_mm_mincore(rig.mm, BASE + 1, PAGE, vec) == TMM_E_INVAL);
	CHECK(tmm_mm_mincore(rig.mm, TASK_SIZE, PAGE, vec) == TMM_E_NOMEM);
	end();
}

/* The calls whose failures are tried, on the areas that prepare() makes. */
static tmm_err call(unsigned which)
{
	uint64_t at;

	switch (which) {
	case 0:
		return map_fixed(3, 2, TMM_PROT_READ, ANON);
	case 1:
		return map_fixed(3, 2, READ_WRITE, SHARED);
	case 2:
		return tmm_mm_munmap(rig.mm, BASE + 2 * PAGE, PAGE);
	case 3:
		return tmm_mm_mprotect(rig.mm, BASE + 2 * PAGE, PAGE, TMM_PROT_READ);
	case 4:
		return tmm_mm_madvise(rig.mm, BASE + 2 * PAGE, PAGE, TMM_MADV_RANDOM);
	case 5:
		return tmm_mm_mremap(rig.mm, BASE + PAGE, 3 * PAGE, 9 * PAGE,
		                     TMM_MREMAP_MAYMOVE, 0, &at);
	case 6:
		return tmm_mm_mremap(rig.mm, BASE + PAGE, 2 * PAGE, 2 * PAGE,
		                     TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED, BASE + 4096 * PAGE,
		                     &at);
	case 7:
		return tmm_mm_brk(rig.mm, BASE + 1034 * PAGE) == BASE + 1034 * PAGE
		               ? TMM_OK
		               : TMM_E_NOMEM;
	default:
		return tmm_mm_map_stack(rig.mm, BASE + 2048 * PAGE, 8 * PAGE, false);
	}
}

#define NR_CALLS 9u

static void prepare(void)
{
	CHECK(tmm_mm_munmap(rig.mm, BASE, 8192 * PAGE) == TMM_OK);
	CHECK(map_fixed(0, 8, READ_WRITE, ANON) == TMM_OK);
	for (uint64_t page = 0; page < 8; page++)
		CHECK(fault_rig_write(&rig, BASE + page * PAGE, (uint8_t)page) == TMM_FAULT_OK);
	CHECK(map_fixed(8, 8, TMM_PROT_READ, ANON) == TMM_OK);
	lock_take(&rig.mm->lock);
	mm_unprepare(rig.mm); /* what earlier calls left must not hide a failure */
	lock_drop(&rig.mm->lock);
}

/* What user space can see: areas, promises and bytes. */
static uint64_t fingerprint(void)
{
	struct tmm_area area = {.end = 0};
	uint64_t sum = committed();

	while (tmm_mm_area(rig.mm, area.end, false, &area))
		sum = sum * 31 + area.start * 7 + area.end * 3 + area.write * 2 + area.random;
	for (uint64_t page = 0; page < 8; page++) {
		uint8_t byte = 0;

		CHECK(fault_rig_read(&rig, BASE + page * PAGE, &byte) == TMM_FAULT_OK);
		sum = sum * 31 + byte;
	}
	return sum;
}

TEST(a_call_that_fails_changes_nothing)
{
	uint64_t nr_points = 0;

	for (unsigned which = 0; which < NR_CALLS; which++) {
		begin();
		set_heap(BASE + 1024 * PAGE);
		for (uint64_t n = 1;; n++) {
			uint64_t before;
			tmm_err err;
			bool failed;

			prepare();
			before = fingerprint();
			tmm_inject_nth(n, n % 2 == 0);
			err = call(which);
			failed = tmm_inject_stop();
			CHECK(!failed || err == TMM_OK || err == TMM_E_NOMEM ||
			      err == TMM_E_AGAIN);
			CHECK(failed || err == TMM_OK);
			if (err != TMM_OK)
				CHECK(fingerprint() == before);
			fault_rig_check(&rig);
			if (!failed)
				break;
			nr_points++;
		}
		end();
	}
	test_note("%llu failures injected", (unsigned long long)nr_points);
	CHECK(nr_points > 30);
}

TEST(a_layout_out_of_order_is_refused)
{
	const struct tmm_mm_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct tmm_mm_layout layout = {.task_size = TASK_SIZE + 1, .mmap_base = MMAP_BASE};
	struct tmm_mm *mm;

	begin();
	CHECK(tmm_mm_create(&rig.spaces, &layout, &limits, &mm) == TMM_E_INVAL);
	layout = (struct tmm_mm_layout){.task_size = PAGE, .mmap_base = MMAP_BASE};
	CHECK(tmm_mm_create(&rig.spaces, &layout, &limits, &mm) == TMM_E_INVAL);
	end();
}

/* ---- mremap ---- */

static tmm_err remap(uint64_t page, uint64_t old_pages, uint64_t new_pages, uint32_t flags,
                     uint64_t to_page, uint64_t *out)
{
	return tmm_mm_mremap(rig.mm, BASE + page * PAGE, old_pages * PAGE, new_pages * PAGE,
	                     flags, BASE + to_page * PAGE, out);
}

/*
 *   |aaaa|....|    grows where it is, and keeps its bytes
 *   |aaaaaa|bb|    has no room behind it: it must not move, or is moved
 */
TEST(a_mapping_grows_where_there_is_room)
{
	uint64_t at = 0, before;
	uint8_t byte;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE + 3 * PAGE, 7) == TMM_FAULT_OK);
	before = committed();
	CHECK(remap(0, 4, 6, 0, 0, &at) == TMM_OK && at == BASE);
	CHECK(area_is(BASE, BASE, BASE + 6 * PAGE) && nr_areas() == 1);
	CHECK(committed() == before + 2);
	CHECK(fault_rig_write(&rig, BASE + 5 * PAGE, 8) == TMM_FAULT_OK);
	CHECK(map_fixed(6, 2, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(remap(0, 6, 7, 0, 0, &at) == TMM_E_NOMEM);
	CHECK(remap(0, 4, 6, 0, 0, &at) == TMM_E_NOMEM); /* of its middle, to its own end */
	CHECK(remap(0, 6, 9, TMM_MREMAP_MAYMOVE, 0, &at) == TMM_OK && at != BASE);
	CHECK(fault_rig_read(&rig, at + 3 * PAGE, &byte) == TMM_FAULT_OK && byte == 7);
	CHECK(fault_rig_read(&rig, at + 5 * PAGE, &byte) == TMM_FAULT_OK && byte == 8);
	CHECK(fault_rig_read(&rig, BASE, &byte) != TMM_FAULT_OK);
	end();
}

/* Locked memory that grows is there at once, whether it stays or moves. */
TEST(what_locked_memory_gains_is_locked)
{
	struct tmm_mm_usage usage;
	uint64_t at;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON | TMM_MAP_LOCKED) == TMM_OK);
	CHECK(map_fixed(8, 1, TMM_PROT_READ, ANON) == TMM_OK);
	CHECK(remap(0, 4, 6, 0, 0, &at) == TMM_OK && at == BASE);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.locked_pages == 6 && usage.rss_pages[TMM_RSS_ANON] == 6);
	CHECK(remap(0, 6, 10, TMM_MREMAP_MAYMOVE, 0, &at) == TMM_OK && at != BASE);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.locked_pages == 10 && usage.rss_pages[TMM_RSS_ANON] == 10);
	end();
}

TEST(a_mapping_shrinks_to_what_is_asked_for)
{
	uint64_t at;

	begin();
	CHECK(map_fixed(0, 6, READ_WRITE, ANON) == TMM_OK);
	CHECK(remap(0, 6, 6, 0, 0, &at) == TMM_OK && at == BASE);
	CHECK(remap(0, 6, 2, 0, 0, &at) == TMM_OK && at == BASE);
	CHECK(area_is(BASE, BASE, BASE + 2 * PAGE) && nr_areas() == 1);
	CHECK(map_fixed(2, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(remap(0, 6, 2, TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED, 64, &at) == TMM_OK);
	CHECK(at == BASE + 64 * PAGE && area_is(at, at, at + 2 * PAGE) && nr_areas() == 1);
	end();
}

/*
 *   old   |aaaa|      stays, and its pages read as zeroes
 *   new   |aaaa|      has the pages
 */
TEST(an_area_may_stay_without_its_pages)
{
	const uint32_t flags = TMM_MREMAP_MAYMOVE | TMM_MREMAP_DONTUNMAP;
	struct tmm_mm_usage usage;
	uint64_t at, before;
	uint8_t byte;

	begin();
	for (unsigned locked = 0; locked <= 1; locked++) {
		uint64_t page = locked * 32;

		CHECK(map_fixed(page, 4, READ_WRITE, ANON | (locked ? TMM_MAP_LOCKED : 0)) ==
		      TMM_OK);
		CHECK(fault_rig_write(&rig, BASE + (page + 2) * PAGE, 9) == TMM_FAULT_OK);
		before = committed();
		CHECK(remap(page, 4, 3, flags, 0, &at) == TMM_E_INVAL);
		CHECK(tmm_mm_mremap(rig.mm, BASE + page * PAGE, 4 * PAGE, 4 * PAGE, flags, 0,
		                    &at) == TMM_OK);
		CHECK(at != BASE + page * PAGE && committed() == before + 4);
		CHECK(fault_rig_read(&rig, at + 2 * PAGE, &byte) == TMM_FAULT_OK && byte == 9);
		CHECK(fault_rig_read(&rig, BASE + (page + 2) * PAGE, &byte) == TMM_FAULT_OK &&
		      byte == 0);
		tmm_mm_usage(rig.mm, &usage);
		CHECK(usage.locked_pages == (locked ? 4 : 0));
	}
	end();
}

/* What cannot be is refused, and leaves the areas as they were. */
TEST(wrong_remaps_are_refused)
{
	const uint32_t to = TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED;
	const struct {
		uint64_t addr, old_bytes, new_bytes;
		uint32_t flags;
		uint64_t new_addr;
		tmm_err err;
	} table[] = {
		{BASE, PAGE, 2 * PAGE, 8, 0, TMM_E_INVAL},
		{BASE + 1, PAGE, 2 * PAGE, 0, 0, TMM_E_INVAL},
		{BASE, PAGE, 0, 0, 0, TMM_E_INVAL},
		{BASE, PAGE, TASK_SIZE + PAGE, 0, 0, TMM_E_INVAL},
		{BASE, PAGE, PAGE, TMM_MREMAP_FIXED, BASE + 64 * PAGE, TMM_E_INVAL},
		{BASE, PAGE, PAGE, TMM_MREMAP_DONTUNMAP, 0, TMM_E_INVAL},
		{BASE, PAGE, PAGE, to, BASE + 64 * PAGE + 1, TMM_E_INVAL},
		{BASE, PAGE, PAGE, to, TASK_SIZE, TMM_E_INVAL},
		{BASE, 2 * PAGE, 2 * PAGE, to, BASE + PAGE, TMM_E_INVAL},
		{BASE, 0, 2 * PAGE, TMM_MREMAP_MAYMOVE, 0, TMM_E_INVAL},
		{BASE + 16 * PAGE, PAGE, 2 * PAGE, TMM_MREMAP_MAYMOVE, 0, TMM_E_FAULT},
		{BASE - PAGE, PAGE, 2 * PAGE, TMM_MREMAP_MAYMOVE, 0, TMM_E_FAULT},
		{BASE, 5 * PAGE, 6 * PAGE, TMM_MREMAP_MAYMOVE, 0, TMM_E_FAULT},
	};
	uint64_t at;

	begin();
	CHECK(map_fixed(0, 4, READ_WRITE, ANON) == TMM_OK);
	CHECK(map_fixed(32, 1, READ_WRITE, ANON) == TMM_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		CHECK(tmm_mm_mremap(rig.mm, table[i].addr, table[i].old_bytes,
		                    table[i].new_bytes, table[i].flags, table[i].new_addr,
		                    &at) == table[i].err);
		CHECK(nr_areas() == 2 && area_is(BASE, BASE, BASE + 4 * PAGE));
	}
	end();
}
