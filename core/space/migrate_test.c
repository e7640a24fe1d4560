/*
 * migrate_test.c - pages of address spaces keep their bytes wherever they are moved
 *
 * The processor of the rig keeps translations until it is told to forget: a page that
 * is moved without a flush shows its old frame, which is filled with other bytes.
 */
#include "inject.h"
#include "page/zone.h"
#include "space/fault_rig_test.h"

#define ANON       (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)
#define READ_WRITE (TMM_PROT_READ | TMM_PROT_WRITE)
#define BASE       UINT64_C(0x7f1200000000) /* beyond 32 bits of page number */
#define NR_PAGES   512u

static struct fault_rig rig;

static struct tmm_pages *pages(void)
{
	return &rig.cache.page.pages;
}

static void begin(void)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS};

	fault_rig_begin(&rig, 32 * MIB, 64 * PAGE, &config);
}

static uint8_t byte_of(uint64_t i)
{
	return (uint8_t)(i * 37 + 11);
}

static uint64_t frame_of(uint64_t addr)
{
	return tmm_pte_pfn(tmm_pte_get(tmm_mm_pgtable(rig.mm), (tmm_vaddr){addr})).v;
}

static void write_pages(uint64_t base, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		CHECK(fault_rig_write(&rig, base + i * PAGE + i, byte_of(i)) == TMM_FAULT_OK);
		CHECK(fault_rig_write(&rig, base + i * PAGE + 4095, byte_of(i + 1)) ==
		      TMM_FAULT_OK);
	}
}

static void check_pages(uint64_t base, unsigned nr)
{
	uint8_t value;

	for (unsigned i = 0; i < nr; i++) {
		CHECK(fault_rig_read(&rig, base + i * PAGE + i, &value) == TMM_FAULT_OK);
		CHECK(value == byte_of(i));
		CHECK(tmm_copy_from_user(rig.mm, &value, base + i * PAGE + 4095, 1) == 0);
		CHECK(value == byte_of(i + 1));
	}
}

/* Move the page at addr to a frame of our choice; the old one is made unreadable. */
static tmm_err move_away(uint64_t addr)
{
	tmm_pfn from = {frame_of(addr)}, to;
	tmm_err err;

	CHECK(tmm_pages_alloc(pages(), TMM_GFP_HIGHUSER_MOVABLE, 0, &to) == TMM_OK);
	err = page_move(pages(), from, to);
	if (err == TMM_OK)
		memset(page_address(pages(), from), 0xee, PAGE);
	tmm_pages_free(pages(), err == TMM_OK ? from : to, 0);
	return err;
}

TEST(anonymous_pages_keep_their_bytes)
{
	begin();
	fault_rig_map(&rig, BASE, NR_PAGES, READ_WRITE, ANON, 0);
	write_pages(BASE, NR_PAGES);
	for (unsigned i = 0; i < NR_PAGES; i += 3) {
		uint64_t before = frame_of(BASE + i * PAGE);

		CHECK(move_away(BASE + i * PAGE) == TMM_OK);
		CHECK(frame_of(BASE + i * PAGE) != before);
	}
	fault_rig_check(&rig);
	check_pages(BASE, NR_PAGES);
	write_pages(BASE, NR_PAGES);
	check_pages(BASE, NR_PAGES);
	fault_rig_end(&rig);
}

/* Their index is that of the place where they were made. */
TEST(pages_are_found_after_mremap)
{
	uint64_t to;

	begin();
	fault_rig_map(&rig, BASE, 64, READ_WRITE, ANON, 0);
	write_pages(BASE, 64);
	CHECK(tmm_mm_mremap(rig.mm, BASE, 64 * PAGE, 64 * PAGE,
	                    TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED, BASE + 4096 * PAGE,
	                    &to) == TMM_OK);
	for (unsigned i = 0; i < 64; i++)
		CHECK(move_away(to + i * PAGE) == TMM_OK);
	check_pages(to, 64);
	fault_rig_end(&rig);
}

/* Whoever has pinned a page knows it by its frame. */
TEST(a_pinned_page_is_not_moved)
{
	struct tmm_user_piece piece;
	size_t covered;

	begin();
	fault_rig_map(&rig, BASE, 4, READ_WRITE, ANON, 0);
	write_pages(BASE, 4);
	CHECK(tmm_get_user_pages(rig.mm, BASE, PAGE, true, &piece, 1, &covered) == 1);
	CHECK(move_away(BASE) == TMM_E_BUSY);
	CHECK(move_away(BASE + PAGE) == TMM_OK);
	tmm_put_user_pages(rig.mm, &piece, 1);
	CHECK(move_away(BASE) == TMM_OK);
	check_pages(BASE, 4);
	fault_rig_end(&rig);
}

/* The fault that needs a page may hold the lock. */
TEST(an_address_space_that_is_busy_is_left_alone)
{
	tmm_pfn from, to;

	begin();
	fault_rig_map(&rig, BASE, 1, READ_WRITE, ANON, 0);
	write_pages(BASE, 1);
	from.v = frame_of(BASE);
	CHECK(tmm_pages_alloc(pages(), TMM_GFP_HIGHUSER_MOVABLE, 0, &to) == TMM_OK);
	lock_take(&rig.mm->lock);
	CHECK(page_move(pages(), from, to) == TMM_E_AGAIN);
	lock_drop(&rig.mm->lock);
	CHECK(page_move(pages(), to, from) == TMM_E_OPNOTSUPP);
	tmm_pages_free(pages(), to, 0);
	check_pages(BASE, 1);
	fault_rig_end(&rig);
}

/* A file's page leaves its address spaces and is found in the cache again, dirty or not. */
TEST(mapped_pages_of_files_keep_their_bytes)
{
	uint64_t frame;

	begin();
	fault_rig_map(&rig, BASE, 16, READ_WRITE, TMM_MAP_SHARED, 0);
	write_pages(BASE, 16);
	for (unsigned i = 0; i < 16; i += 2) {
		frame = frame_of(BASE + i * PAGE);
		CHECK(move_away(BASE + i * PAGE) == TMM_OK);
		CHECK(frame_of(BASE + i * PAGE) == 0);
		tmm_cache_check(&rig.cache.cache);
		CHECK(page_of(pages(), (tmm_pfn){frame})->kind == PAGE_NONE);
	}
	fault_rig_check(&rig);
	check_pages(BASE, 16);
	CHECK(tmm_mapping_sync(rig.mapping, 0, UINT64_MAX) == TMM_OK);
	CHECK(rig.store.bytes[5 * PAGE + 5] == byte_of(5));
	CHECK(rig.store.bytes[4 * PAGE + 4] == byte_of(4));
	fault_rig_end(&rig);
}

/*
 * Three areas show the file: another part of it, the page, and the page again.  It goes only
 * when nobody pins it, all locks are free, and no area keeps it in memory.
 */
TEST(a_mapped_page_of_a_file_stays_where_it_must)
{
	struct tmm_user_piece piece;
	struct lock *locks[3];
	size_t covered;
	uint8_t value;

	begin();
	fault_rig_map(&rig, BASE, 4, READ_WRITE, TMM_MAP_SHARED, 8);
	fault_rig_map(&rig, BASE + 64 * PAGE, 4, READ_WRITE, TMM_MAP_SHARED, 0);
	fault_rig_map(&rig, BASE + 128 * PAGE, 4, READ_WRITE, TMM_MAP_SHARED, 0);
	fault_rig_map(&rig, BASE + 192 * PAGE, 4, READ_WRITE, ANON, 0);
	write_pages(BASE + 64 * PAGE, 4);
	CHECK(fault_rig_read(&rig, BASE + 128 * PAGE, &value) == TMM_FAULT_OK);
	CHECK(tmm_get_user_pages(rig.mm, BASE + 64 * PAGE, PAGE, false, &piece, 1, &covered) ==
	      1);
	CHECK(move_away(BASE + 64 * PAGE) == TMM_E_BUSY);
	tmm_put_user_pages(rig.mm, &piece, 1);
	locks[0] = &rig.spaces.lock;
	locks[1] = &rig.mm->lock;
	locks[2] = &rig.cache.cache.lock;
	for (unsigned i = 0; i < ARRAY_SIZE(locks); i++) {
		tmm_pfn from = {frame_of(BASE + 64 * PAGE)}, to;

		CHECK(tmm_pages_alloc(pages(), TMM_GFP_HIGHUSER_MOVABLE, 0, &to) == TMM_OK);
		lock_take(locks[i]);
		CHECK(page_move(pages(), from, to) == TMM_E_AGAIN);
		lock_drop(locks[i]);
		tmm_pages_free(pages(), to, 0);
	}
	fault_rig_map(&rig, BASE + 256 * PAGE, 1, TMM_PROT_READ,
	              TMM_MAP_SHARED | TMM_MAP_LOCKED, 0);
	CHECK(fault_rig_read(&rig, BASE + 256 * PAGE, &value) == TMM_FAULT_OK);
	CHECK(move_away(BASE + 64 * PAGE) == TMM_E_BUSY);
	CHECK(tmm_mm_munmap(rig.mm, BASE + 256 * PAGE, PAGE) == TMM_OK);
	check_pages(BASE + 64 * PAGE, 4);
	CHECK(fault_rig_read(&rig, BASE + 128 * PAGE, &value) == TMM_FAULT_OK);
	CHECK(move_away(BASE + 64 * PAGE) == TMM_OK);
	CHECK(frame_of(BASE + 64 * PAGE) == 0 && frame_of(BASE + 128 * PAGE) == 0);
	check_pages(BASE + 64 * PAGE, 4);
	check_pages(BASE + 128 * PAGE, 4);
	fault_rig_end(&rig);
}

/* Half of a full machine is unmapped; the rest is moved together, several times over. */
TEST(compaction_under_an_address_space)
{
	uint64_t seed = test_seed();
	tmm_pfn run;

	begin();
	fault_rig_map(&rig, BASE, 4000, READ_WRITE, ANON, 0);
	write_pages(BASE, 4000);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned n = 0; n < 400; n++) {
			uint64_t i = test_random(&seed) % 4000;

			CHECK(tmm_mm_munmap(rig.mm, BASE + i * PAGE, PAGE) == TMM_OK);
			fault_rig_map(&rig, BASE + i * PAGE, 1, READ_WRITE, ANON, 0);
			CHECK(fault_rig_write(&rig, BASE + i * PAGE + i % 4096, byte_of(i)) ==
			      TMM_FAULT_OK);
		}
		tmm_pages_compact(pages());
		tmm_pages_check(pages());
		fault_rig_check(&rig);
	}
	for (unsigned i = 0; i < 4000; i++)
		if (i % 4 != 1)
			CHECK(tmm_mm_munmap(rig.mm, BASE + i * PAGE, PAGE) == TMM_OK);
	CHECK(tmm_pages_compact(pages()) > 0);
	tmm_pages_check(pages());
	CHECK(tmm_pages_alloc(pages(), TMM_GFP_KERNEL, 10, &run) == TMM_OK);
	tmm_pages_free(pages(), run, 10);
	fault_rig_end(&rig);
}
