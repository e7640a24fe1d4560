/*
 * fault_test.c - what faults make, what they refuse and what they leave behind
 */
#include "inject.h"
#include "space/fault_rig_test.h"

#define ANON       (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)
#define READ_WRITE (TMM_PROT_READ | TMM_PROT_WRITE)
#define BASE       UINT64_C(0x200000000)

static struct fault_rig rig;

static void begin(void)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS};

	fault_rig_begin(&rig, 16 * MIB, 64 * PAGE, &config);
}

static void end(void)
{
	fault_rig_end(&rig);
}

static void map(uint64_t nr_pages, uint32_t prot, uint32_t flags)
{
	fault_rig_map(&rig, BASE, nr_pages, prot, flags, 0);
}

static enum tmm_fault touch(uint64_t page, unsigned access)
{
	return tmm_mm_fault(rig.mm, BASE + page * PAGE, access);
}

static uint64_t rss(enum tmm_rss kind)
{
	struct tmm_mm_usage usage;

	tmm_mm_usage(rig.mm, &usage);
	return usage.rss_pages[kind];
}

static uint64_t leaf(uint64_t page)
{
	return tmm_pte_get(tmm_mm_pgtable(rig.mm), (tmm_vaddr){BASE + page * PAGE}).v;
}

/* Present leaves among the first nr pages. */
static uint64_t nr_present(uint64_t nr)
{
	uint64_t present = 0;

	for (uint64_t page = 0; page < nr; page++)
		present += leaf(page) != 0;
	return present;
}

static const struct {
	uint32_t prot;
	unsigned access;
	enum tmm_fault fault;
} rights[] = {
	{TMM_PROT_NONE, TMM_ACCESS_READ, TMM_FAULT_ACCERR},
	{TMM_PROT_NONE, TMM_ACCESS_WRITE, TMM_FAULT_ACCERR},
	{TMM_PROT_READ, TMM_ACCESS_READ, TMM_FAULT_OK},
	{TMM_PROT_READ, TMM_ACCESS_WRITE, TMM_FAULT_ACCERR},
	{TMM_PROT_READ, TMM_ACCESS_EXEC, TMM_FAULT_ACCERR},
	{TMM_PROT_WRITE, TMM_ACCESS_READ, TMM_FAULT_OK}, /* as x86 has it */
	{TMM_PROT_WRITE, TMM_ACCESS_WRITE, TMM_FAULT_OK},
	{TMM_PROT_EXEC, TMM_ACCESS_READ, TMM_FAULT_OK},
	{TMM_PROT_EXEC, TMM_ACCESS_EXEC, TMM_FAULT_OK},
	{READ_WRITE, TMM_ACCESS_EXEC, TMM_FAULT_ACCERR},
};

TEST(rights_decide_as_on_x86)
{
	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(rights); i++) {
		for (unsigned file = 0; file <= 2; file++) {
			uint32_t flags = file == 0   ? ANON
			                 : file == 1 ? TMM_MAP_PRIVATE
			                             : TMM_MAP_SHARED;

			map(8, rights[i].prot, flags);
			CHECK(touch(0, rights[i].access) == rights[i].fault);
			fault_rig_check(&rig);
		}
	}
	CHECK(touch(8, TMM_ACCESS_READ) == TMM_FAULT_MAPERR);
	CHECK(tmm_mm_fault(rig.mm, 0, TMM_ACCESS_READ) == TMM_FAULT_MAPERR);
	CHECK(tmm_mm_fault(rig.mm, TASK_SIZE, TMM_ACCESS_READ) == TMM_FAULT_MAPERR);
	CHECK(tmm_mm_fault(rig.mm, UINT64_MAX, TMM_ACCESS_WRITE) == TMM_FAULT_MAPERR);
	end();
}

TEST(reading_shows_the_zero_page_and_writing_replaces_it)
{
	uint64_t zero;

	begin();
	map(8, READ_WRITE, ANON);
	CHECK(touch(2, TMM_ACCESS_READ) == TMM_FAULT_OK);
	zero = leaf(2);
	CHECK((zero & TMM_PTE_SPECIAL) && !(zero & TMM_PTE_WRITE) && rss(TMM_RSS_ANON) == 0);
	CHECK(touch(2, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_pte_pfn((tmm_pte){leaf(2)}).v != tmm_pte_pfn((tmm_pte){zero}).v);
	CHECK((leaf(2) & TMM_PTE_WRITE) && (leaf(2) & TMM_PTE_DIRTY));
	CHECK(rss(TMM_RSS_ANON) == 1);
	end();
}

/*
 *   touched   . . . . . *         a group of 4, aligned
 *   made      . . . . [====]
 */
TEST(a_scattered_write_makes_one_group)
{
	begin();
	map(256, READ_WRITE, ANON);
	for (uint64_t page = 5; page < 256; page += 32)
		CHECK(touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(rss(TMM_RSS_ANON) == 8 * 4 && nr_present(256) == 8 * 4);
	CHECK(leaf(4) && leaf(7) && !leaf(3) && !leaf(8));
	end();
}

/* Groups of 4, 16, 64, 64 ... pages, whose frames rise. */
TEST(a_run_of_writes_makes_ever_larger_batches)
{
	uint64_t traps = 0, jumps = 0;

	begin();
	map(512, READ_WRITE, ANON);
	for (uint64_t page = 0; page < 512; page++) {
		if (leaf(page) == 0) {
			CHECK(touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
			traps++;
		}
	}
	CHECK(traps == 2 + 8);
	for (uint64_t page = 1; page < 512; page++)
		jumps += tmm_pte_pfn((tmm_pte){leaf(page)}).v !=
		         tmm_pte_pfn((tmm_pte){leaf(page - 1)}).v + 1;
	test_note("%llu jumps of the frame number", (unsigned long long)jumps);
	CHECK(jumps <= 2 * traps);
	end();
}

TEST(several_runs_grow_side_by_side)
{
	uint64_t traps = 0;

	begin();
	map(2048, READ_WRITE, ANON);
	for (uint64_t page = 0; page < 256; page++) {
		for (uint64_t run = 0; run < 8; run++) {
			if (leaf(run * 256 + page) != 0)
				continue;
			CHECK(touch(run * 256 + page, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
			traps++;
		}
	}
	CHECK(traps <= 8 * 6);
	end();
}

/*
 *   heap    [=================|x]       x is given back
 *   heap    [=================|. . . . . .]     and the run goes on
 */
TEST(a_run_goes_on_where_its_end_was_unmapped)
{
	begin();
	map(40, READ_WRITE, ANON);
	for (uint64_t page = 0; page < 40; page++)
		CHECK(leaf(page) || touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_mm_munmap(rig.mm, BASE + 39 * PAGE, PAGE) == TMM_OK);
	fault_rig_map(&rig, BASE + 39 * PAGE, 200, READ_WRITE, ANON, 0);
	CHECK(touch(39, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(leaf(39 + 63) && !leaf(39 + 64));
	end();
}

/*
 *   area        |......|        two pages long, in a hole of three
 *   present   #                 what is there ends a batch
 */
TEST(a_batch_ends_with_the_area_the_hole_and_the_table)
{
	begin();
	fault_rig_map(&rig, BASE + PAGE, 2, READ_WRITE, ANON, 0);
	CHECK(touch(1, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(nr_present(8) == 2 && rss(TMM_RSS_ANON) == 2);
	fault_rig_map(&rig, BASE + 8 * PAGE, 1024, READ_WRITE, ANON, 0);
	CHECK(touch(9, TMM_ACCESS_READ) == TMM_FAULT_OK);
	CHECK(touch(10, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(!leaf(8) && leaf(10) && leaf(11) && rss(TMM_RSS_ANON) == 4);
	CHECK(touch(508, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(leaf(508) && leaf(511) && !leaf(512));
	CHECK(touch(512, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(leaf(527) && !leaf(528));
	end();
}

TEST(one_page_a_fault_when_asked_for_or_when_memory_is_short)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS,
	                                    .anon_around_bytes = 4096,
	                                    .fault_around_bytes = 4096};
	uint64_t page = 0;
	tmm_pfn kept[4];

	fault_rig_begin(&rig, 16 * MIB, 64 * PAGE, &config);
	map(64, READ_WRITE, ANON);
	CHECK(touch(3, TMM_ACCESS_WRITE) == TMM_FAULT_OK && nr_present(64) == 1);
	map(64, TMM_PROT_READ, TMM_MAP_PRIVATE);
	CHECK(touch(3, TMM_ACCESS_READ) == TMM_FAULT_OK && nr_present(64) == 1);
	end();
	begin();
	map(4096, READ_WRITE, ANON);
	CHECK(tmm_pages_alloc_bulk(&rig.cache.page.pages, TMM_GFP_KERNEL, ARRAY_SIZE(kept),
	                           kept) == ARRAY_SIZE(kept));
	while (!pages_low(&rig.cache.page.pages))
		CHECK(touch(page++, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	tmm_pages_free_bulk(&rig.cache.page.pages, ARRAY_SIZE(kept), kept);
	for (page = 0; leaf(page); page++)
		;
	CHECK(touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK && !leaf(page + 1));
	end();
}

/*
 *   area   [===========|=====================]  top
 *   grows  <- a page    batches inside <-
 */
TEST(a_stack_is_filled_downwards_in_batches_and_grows_by_pages)
{
	uint64_t top = BASE + 4096 * PAGE, traps = 0;

	begin();
	CHECK(tmm_mm_map_stack(rig.mm, top, 100 * PAGE, false) == TMM_OK);
	for (uint64_t addr = top - 8; addr > top - 200 * PAGE; addr -= PAGE) {
		if (tmm_pte_get(tmm_mm_pgtable(rig.mm), (tmm_vaddr){addr}).v)
			continue;
		CHECK(tmm_mm_fault(rig.mm, addr, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
		traps++;
	}
	CHECK(traps == 4 + 100);
	CHECK(tmm_mm_fault(rig.mm, top - 8 * MIB - 8, TMM_ACCESS_WRITE) == TMM_FAULT_MAPERR);
	CHECK(tmm_mm_fault(rig.mm, top - 4 * MIB, TMM_ACCESS_READ) == TMM_FAULT_OK);
	end();
}

/*
 *   file     0 1 2 ... 15 | 16     one window of 16 pages, one read
 */
TEST(a_file_fault_maps_its_window_with_one_read)
{
	struct tmm_mm_usage usage;
	uint8_t byte = 0;

	begin();
	map(64, TMM_PROT_READ | TMM_PROT_EXEC, TMM_MAP_PRIVATE);
	CHECK(touch(5, TMM_ACCESS_EXEC) == TMM_FAULT_OK);
	CHECK(rig.store.nr_reads == 1 && nr_present(64) == 16 && rss(TMM_RSS_FILE) == 16);
	CHECK(fault_rig_read(&rig, BASE + 15 * PAGE + 9, &byte) == TMM_FAULT_OK);
	CHECK(byte == rig.store.bytes[15 * PAGE + 9] && rig.nr_traps == 0);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.major_faults == 1 && usage.minor_faults == 0);
	CHECK(tmm_mm_madvise(rig.mm, BASE, 64 * PAGE, TMM_MADV_DONTNEED) == TMM_OK);
	CHECK(touch(5, TMM_ACCESS_READ) == TMM_FAULT_OK && rig.store.nr_reads == 1);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(usage.major_faults == 1 && usage.minor_faults == 1);
	end();
}

TEST(past_the_end_and_bad_sectors_are_bus_errors)
{
	begin();
	map(128, READ_WRITE, TMM_MAP_SHARED);
	CHECK(touch(64, TMM_ACCESS_READ) == TMM_FAULT_BUS);
	CHECK(touch(63, TMM_ACCESS_READ) == TMM_FAULT_OK && !leaf(64));
	rig.store.bad_page = 7;
	CHECK(touch(7, TMM_ACCESS_WRITE) == TMM_FAULT_BUS);
	CHECK(touch(6, TMM_ACCESS_READ) == TMM_FAULT_OK);
	rig.store.bad_page = UINT64_MAX;
	CHECK(touch(7, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	end();
}

TEST(a_private_write_copies_and_a_shared_one_does_not)
{
	uint8_t byte = 0;

	begin();
	map(8, READ_WRITE, TMM_MAP_PRIVATE);
	fault_rig_map(&rig, BASE + 64 * PAGE, 8, READ_WRITE, TMM_MAP_SHARED, 0);
	CHECK(fault_rig_write(&rig, BASE + 100, 'p') == TMM_FAULT_OK); /* absent */
	CHECK(fault_rig_read(&rig, BASE + PAGE, &byte) == TMM_FAULT_OK);
	CHECK(fault_rig_write(&rig, BASE + PAGE, 'q') == TMM_FAULT_OK); /* present */
	CHECK(fault_rig_write(&rig, BASE + 65 * PAGE, 's') == TMM_FAULT_OK);
	CHECK(fault_rig_read(&rig, BASE + PAGE, &byte) == TMM_FAULT_OK && byte == 'q');
	CHECK(fault_rig_read(&rig, BASE + 101, &byte) == TMM_FAULT_OK);
	CHECK(byte == rig.store.bytes[101]);
	CHECK(rss(TMM_RSS_ANON) == 2 && tmm_cache_dirty_pages(&rig.cache.cache) == 1);
	CHECK(rig.store.bytes[PAGE] != 's');
	end();
	CHECK(rig.store.bytes[PAGE] == 's' && rig.store.bytes[100] != 'p');
}

/*
 *   leaves    z z a . | z       z the zero page, a written before
 *   write       *
 *   after     w w a . | z       the group's zero pages and no others
 */
TEST(a_copy_takes_the_like_of_its_group_along)
{
	uint64_t frame;

	begin();
	map(8, READ_WRITE, ANON);
	CHECK(touch(0, TMM_ACCESS_READ) == TMM_FAULT_OK);
	CHECK(touch(1, TMM_ACCESS_READ) == TMM_FAULT_OK);
	CHECK(touch(4, TMM_ACCESS_READ) == TMM_FAULT_OK);
	CHECK(touch(2, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_mm_madvise(rig.mm, BASE + 3 * PAGE, PAGE, TMM_MADV_DONTNEED) == TMM_OK);
	frame = tmm_pte_pfn((tmm_pte){leaf(2)}).v;
	CHECK(touch(1, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK((leaf(0) & TMM_PTE_WRITE) && (leaf(1) & TMM_PTE_WRITE));
	CHECK(tmm_pte_pfn((tmm_pte){leaf(2)}).v == frame && leaf(3) == 0);
	CHECK((leaf(4) & TMM_PTE_SPECIAL) && rss(TMM_RSS_ANON) == 3);
	end();
}

/* A program's data: its file is open for reading alone. */
TEST(data_of_a_file_that_is_only_read_is_copied_in_groups)
{
	struct tmm_file_spec spec;
	struct tmm_file *all;

	begin();
	all = rig.file;
	spec = all->spec;
	spec.writable = false;
	CHECK(tmm_file_create(&rig.cache.cache, &spec, &rig.file) == TMM_OK);
	map(8, READ_WRITE, TMM_MAP_PRIVATE);
	tmm_file_put(rig.file);
	rig.file = all;
	CHECK(touch(6, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(rss(TMM_RSS_ANON) == 4 && rss(TMM_RSS_FILE) == 4);
	map(8, READ_WRITE, TMM_MAP_PRIVATE);
	CHECK(touch(6, TMM_ACCESS_WRITE) == TMM_FAULT_OK && rss(TMM_RSS_ANON) == 1);
	end();
}

TEST(an_exclusive_page_is_made_writable_in_place)
{
	uint64_t frame;

	begin();
	map(4, READ_WRITE, ANON);
	CHECK(touch(0, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	frame = tmm_pte_pfn((tmm_pte){leaf(0)}).v;
	tmm_pte_replace(tmm_mm_pgtable(rig.mm), (tmm_vaddr){BASE},
	                (tmm_pte){leaf(0) & ~TMM_PTE_WRITE});
	CHECK(touch(0, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	CHECK(tmm_pte_pfn((tmm_pte){leaf(0)}).v == frame && (leaf(0) & TMM_PTE_WRITE));
	end();
}

/* Clean file pages make room; when nothing is left the fault says so and can be repeated. */
TEST(memory_is_reclaimed_before_a_fault_gives_up)
{
	struct tmm_mm_usage usage, after;
	uint64_t page = 0;

	begin();
	map(64, TMM_PROT_READ, TMM_MAP_PRIVATE);
	for (uint64_t p = 0; p < 64; p += 16)
		CHECK(touch(p, TMM_ACCESS_READ) == TMM_FAULT_OK);
	map(8192, READ_WRITE, ANON);
	CHECK(tmm_cache_pages(&rig.cache.cache) == 64);
	while (touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK)
		page++;
	CHECK(page > 2000 && tmm_cache_pages(&rig.cache.cache) == 0);
	tmm_mm_usage(rig.mm, &usage);
	CHECK(touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OOM);
	tmm_mm_usage(rig.mm, &after);
	CHECK(memcmp(&usage, &after, sizeof(usage)) == 0);
	fault_rig_check(&rig);
	CHECK(tmm_mm_munmap(rig.mm, BASE, 64 * PAGE) == TMM_OK);
	CHECK(touch(page, TMM_ACCESS_WRITE) == TMM_FAULT_OK);
	end();
}

static const struct {
	uint32_t prot, flags;
	unsigned first, then; /* accesses; first 0: none */
} sites[] = {
	{READ_WRITE, ANON, 0, TMM_ACCESS_READ},
	{READ_WRITE, ANON, 0, TMM_ACCESS_WRITE},
	{READ_WRITE, ANON, TMM_ACCESS_READ, TMM_ACCESS_WRITE},
	{READ_WRITE, TMM_MAP_PRIVATE, 0, TMM_ACCESS_READ},
	{READ_WRITE, TMM_MAP_PRIVATE, 0, TMM_ACCESS_WRITE},
	{READ_WRITE, TMM_MAP_PRIVATE, TMM_ACCESS_READ, TMM_ACCESS_WRITE},
	{READ_WRITE, TMM_MAP_SHARED, 0, TMM_ACCESS_WRITE},
	{READ_WRITE, TMM_MAP_SHARED, TMM_ACCESS_READ, TMM_ACCESS_WRITE},
};

/* Every allocation and read of every kind of fault fails once, alone or with all later ones. */
TEST(a_failed_fault_leaves_nothing_and_can_be_repeated)
{
	uint64_t points = 0;

	begin();
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(sites); i++) {
		unsigned s = i / 2;
		bool forever = i % 2;

		for (uint64_t n = 1;; n++) {
			enum tmm_fault fault;
			bool failed;

			map(32, sites[s].prot, sites[s].flags);
			tmm_cache_shrink_pages(&rig.cache.cache, 64);
			CHECK(!sites[s].first || touch(9, sites[s].first) == TMM_FAULT_OK);
			tmm_inject_nth(n, forever);
			fault = touch(9, sites[s].then);
			failed = tmm_inject_stop();
			points += failed;
			fault_rig_check(&rig);
			CHECK(failed || fault == TMM_FAULT_OK);
			CHECK(fault == TMM_FAULT_OK || fault == TMM_FAULT_OOM ||
			      fault == TMM_FAULT_BUS);
			CHECK(touch(9, sites[s].then) == TMM_FAULT_OK);
			if (!failed)
				break;
		}
	}
	test_note("%llu failures", (unsigned long long)points);
	CHECK(points > 40);
	end();
}
