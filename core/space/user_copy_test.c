/*
 * user_copy_test.c - copies at the edges of what is user space and what is mapped
 */
#include "inject.h"
#include "space/fault_rig_test.h"

#define ANON       (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)
#define READ_WRITE (TMM_PROT_READ | TMM_PROT_WRITE)
#define BASE       UINT64_C(0x200000000)

static struct fault_rig rig;
static uint8_t buffer[16 * PAGE];

static void begin(void)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS};

	fault_rig_begin(&rig, 16 * MIB, 64 * PAGE, &config);
	memset(buffer, 'b', sizeof(buffer));
}

static void end(void)
{
	fault_rig_end(&rig);
}

static uint8_t byte_at(uint64_t addr)
{
	uint8_t value = 0;

	CHECK(fault_rig_read(&rig, addr, &value) == TMM_FAULT_OK);
	return value;
}

/*
 *   page    0    1    2    3
 *   map     [====|====]    [====]
 *   copy      [-----------------]    stops at the hole
 */
TEST(copies_stop_at_a_hole_and_say_what_is_left)
{
	uint64_t from = BASE + 100, bytes = 4 * PAGE - 100, past = 2 * PAGE - 100;

	begin();
	fault_rig_map(&rig, BASE, 2, READ_WRITE, ANON, 0);
	fault_rig_map(&rig, BASE + 3 * PAGE, 1, READ_WRITE, ANON, 0);
	CHECK(tmm_copy_to_user(rig.mm, from, buffer, bytes) == bytes - past);
	CHECK(byte_at(BASE + 99) == 0 && byte_at(from) == 'b');
	CHECK(byte_at(BASE + 2 * PAGE - 1) == 'b' && byte_at(BASE + 3 * PAGE) == 0);
	memset(buffer, 0, sizeof(buffer));
	CHECK(tmm_copy_from_user(rig.mm, buffer, from, bytes) == bytes - past);
	CHECK(buffer[0] == 'b' && buffer[past - 1] == 'b' && buffer[past] == 0);
	CHECK(tmm_clear_user(rig.mm, from, bytes) == bytes - past);
	CHECK(byte_at(from) == 0);
	CHECK(tmm_copy_from_user(rig.mm, buffer, from, 0) == 0);
	end();
}

static const struct {
	uint64_t addr;
	size_t bytes;
} outside[] = {
	{TASK_SIZE, 1},
	{TASK_SIZE - 1, 2},
	{TASK_SIZE - PAGE, PAGE + 1},
	{UINT64_MAX, 1},
	{UINT64_MAX - 7, 16},
	{TASK_SIZE - 1, SIZE_MAX},
	{0, SIZE_MAX},
	{UINT64_C(0xffff888000000000), 8},
};

TEST(nothing_past_user_space_is_touched)
{
	struct tmm_user_piece piece;
	size_t covered;

	begin();
	fault_rig_map(&rig, TASK_SIZE - PAGE, 1, READ_WRITE, ANON, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
		uint64_t addr = outside[i].addr;
		size_t bytes = outside[i].bytes;

		CHECK(tmm_copy_from_user(rig.mm, buffer, addr, bytes) == bytes);
		CHECK(tmm_copy_to_user(rig.mm, addr, buffer, bytes) == bytes);
		CHECK(tmm_clear_user(rig.mm, addr, bytes) == bytes);
		CHECK(tmm_get_user_pages(rig.mm, addr, bytes, true, &piece, 1, &covered) == 0);
		CHECK(covered == 0);
	}
	CHECK(tmm_copy_to_user(rig.mm, TASK_SIZE - 1, buffer, 1) == 0);
	CHECK(byte_at(TASK_SIZE - 1) == 'b' && byte_at(TASK_SIZE - 2) == 0);
	end();
}

TEST(the_kernel_writes_where_the_user_may)
{
	begin();
	fault_rig_map(&rig, BASE, 1, TMM_PROT_READ, ANON, 0);
	CHECK(tmm_copy_to_user(rig.mm, BASE, buffer, 8) == 8);
	CHECK(tmm_copy_from_user(rig.mm, buffer, BASE, 8) == 0 && buffer[7] == 0);
	fault_rig_map(&rig, BASE, 1, TMM_PROT_NONE, ANON, 0);
	CHECK(tmm_copy_from_user(rig.mm, buffer, BASE, 8) == 8);
	fault_rig_map(&rig, BASE, 1, TMM_PROT_WRITE, ANON, 0);
	CHECK(tmm_copy_from_user(rig.mm, buffer, BASE, 8) == 0);
	end();
}

TEST(a_kernel_write_copies_a_private_page_first)
{
	begin();
	fault_rig_map(&rig, BASE, 4, READ_WRITE, TMM_MAP_PRIVATE, 0);
	fault_rig_map(&rig, BASE + 8 * PAGE, 4, READ_WRITE, TMM_MAP_SHARED, 0);
	CHECK(byte_at(BASE + PAGE) == 1); /* shown read-only, to the processor too */
	CHECK(tmm_copy_to_user(rig.mm, BASE + PAGE, "private", 8) == 0);
	CHECK(byte_at(BASE + PAGE) == 'p' && byte_at(BASE + 9 * PAGE) == 1);
	CHECK(tmm_copy_to_user(rig.mm, BASE + 9 * PAGE, "shared", 7) == 0);
	CHECK(byte_at(BASE + PAGE) == 'p' && byte_at(BASE + 9 * PAGE) == 's');
	CHECK(tmm_cache_dirty_pages(&rig.cache.cache) == 1);
	end();
	CHECK(rig.store.bytes[PAGE] == 's');
}

/*
 *   page   [..........abc0]   hole       ends exactly at the page's end
 *          [...........abc]   hole       runs into the hole
 */
TEST(strings_end_at_their_nul_and_no_later)
{
	char text[64];
	size_t length = 99;

	begin();
	fault_rig_map(&rig, BASE, 2, READ_WRITE, ANON, 0);
	CHECK(tmm_copy_to_user(rig.mm, BASE + 2 * PAGE - 4, "abc", 4) == 0);
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE + 2 * PAGE - 4, 64, &length) == TMM_OK);
	CHECK(length == 3 && strcmp(text, "abc") == 0);
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE + 2 * PAGE - 4, 4, &length) == TMM_OK);
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE + 2 * PAGE - 4, 3, &length) ==
	      TMM_E_RANGE);
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE, 0, &length) == TMM_E_RANGE);
	CHECK(tmm_copy_to_user(rig.mm, BASE + 2 * PAGE - 4, "abcd", 4) == 0);
	length = 99;
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE + 2 * PAGE - 4, 64, &length) ==
	      TMM_E_FAULT);
	CHECK(length == 99);
	CHECK(tmm_copy_to_user(rig.mm, BASE + PAGE - 2, "wxyz", 5) == 0);
	CHECK(tmm_strncpy_from_user(rig.mm, text, BASE + PAGE - 2, 64, &length) == TMM_OK);
	CHECK(length == 4 && strcmp(text, "wxyz") == 0); /* across a border */
	CHECK(tmm_strncpy_from_user(rig.mm, text, UINT64_MAX, 64, &length) == TMM_E_FAULT);
	fault_rig_map(&rig, TASK_SIZE - PAGE, 1, READ_WRITE, ANON, 0);
	CHECK(tmm_copy_to_user(rig.mm, TASK_SIZE - 2, "xy", 2) == 0);
	CHECK(tmm_strncpy_from_user(rig.mm, text, TASK_SIZE - 2, 64, &length) == TMM_E_FAULT);
	end();
}

TEST(adjacent_frames_are_lent_as_one_piece)
{
	struct tmm_user_piece piece[4];
	size_t covered, nr;

	begin();
	fault_rig_map(&rig, BASE, 64, READ_WRITE, ANON, 0);
	nr = tmm_get_user_pages(rig.mm, BASE + 10, 4 * PAGE - 20, true, piece, 4, &covered);
	CHECK(nr == 1 && covered == 4 * PAGE - 20 && piece[0].bytes == covered);
	memset(piece[0].address, 'g', piece[0].bytes);
	tmm_put_user_pages(rig.mm, piece, nr);
	CHECK(byte_at(BASE + 9) == 0 && byte_at(BASE + 10) == 'g');
	CHECK(byte_at(BASE + 4 * PAGE - 11) == 'g' && byte_at(BASE + 4 * PAGE - 10) == 0);
	CHECK(fault_rig_read(&rig, BASE + 40 * PAGE, buffer) == TMM_FAULT_OK);
	nr = tmm_get_user_pages(rig.mm, BASE + 39 * PAGE, 3 * PAGE, false, piece, 1, &covered);
	CHECK(nr == 1 && covered == PAGE); /* the zero page again and again: out is full */
	tmm_put_user_pages(rig.mm, piece, nr);
	nr = tmm_get_user_pages(rig.mm, BASE + 62 * PAGE, 4 * PAGE, true, piece, 4, &covered);
	CHECK(covered == 2 * PAGE);
	tmm_put_user_pages(rig.mm, piece, nr);
	end();
}

/* Unmapped, or cut off its file, while it is lent: the frame is not used again. */
TEST(a_lent_page_outlives_its_mapping)
{
	struct tmm_user_piece anon[2], shared[2];
	struct tmm_pages *pages = &rig.cache.page.pages;
	size_t covered;
	tmm_pfn frame;

	begin();
	fault_rig_map(&rig, BASE, 2, READ_WRITE, ANON, 0);
	fault_rig_map(&rig, BASE + 8 * PAGE, 2, READ_WRITE, TMM_MAP_SHARED, 0);
	CHECK(tmm_get_user_pages(rig.mm, BASE, 1, true, anon, 2, &covered) == 1);
	CHECK(tmm_get_user_pages(rig.mm, BASE + 8 * PAGE, 1, true, shared, 2, &covered) == 1);
	CHECK(tmm_mm_munmap(rig.mm, BASE, 64 * PAGE) == TMM_OK);
	rig.store.size = 0;
	CHECK(tmm_mapping_refresh(rig.file->spec.mapping, 0, UINT64_MAX) == TMM_OK);
	frame = tmm_virt_to_pfn(pages, anon[0].address);
	CHECK(page_of(pages, frame)->kind == PAGE_ANON);
	CHECK(page_of(pages, tmm_virt_to_pfn(pages, shared[0].address))->kind == PAGE_FILE);
	*(uint8_t *)anon[0].address = 1;
	*(uint8_t *)shared[0].address = 1;
	tmm_put_user_pages(rig.mm, anon, 1);
	tmm_put_user_pages(rig.mm, shared, 1);
	CHECK(page_of(pages, frame)->kind == PAGE_NONE);
	end();
}

/* A write to a lent page is seen by who borrowed it. */
TEST(a_lent_page_is_not_copied_by_a_write)
{
	struct tmm_user_piece piece;
	size_t covered;

	begin();
	fault_rig_map(&rig, BASE, 1, READ_WRITE, ANON, 0);
	CHECK(tmm_get_user_pages(rig.mm, BASE, 8, true, &piece, 1, &covered) == 1);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, PAGE, TMM_PROT_READ) == TMM_OK);
	CHECK(tmm_mm_mprotect(rig.mm, BASE, PAGE, READ_WRITE) == TMM_OK);
	CHECK(fault_rig_write(&rig, BASE, 'w') == TMM_FAULT_OK);
	CHECK(*(uint8_t *)piece.address == 'w');
	tmm_put_user_pages(rig.mm, &piece, 1);
	end();
}

/* Each failure point once: what was copied is said, and the rest can be had later. */
TEST(failures_in_a_copy_are_partial_copies)
{
	size_t bytes = 12 * PAGE, left;
	uint64_t n = 0;
	bool failed;

	begin();
	do {
		fault_rig_map(&rig, BASE, 6, READ_WRITE, ANON, 0);
		fault_rig_map(&rig, BASE + 6 * PAGE, 6, READ_WRITE, TMM_MAP_PRIVATE, 0);
		tmm_cache_shrink_pages(&rig.cache.cache, 64);
		memset(buffer, 'f', bytes);
		n++;
		tmm_inject_nth(n, true);
		left = tmm_copy_to_user(rig.mm, BASE, buffer, bytes);
		failed = tmm_inject_stop();
		CHECK(failed == (left > 0) && left % PAGE == 0);
		if (left < bytes)
			CHECK(byte_at(BASE + bytes - left - 1) == 'f');
		CHECK(tmm_copy_to_user(rig.mm, BASE + bytes - left, buffer, left) == 0);
		memset(buffer, 0, bytes);
		CHECK(tmm_copy_from_user(rig.mm, buffer, BASE, bytes) == 0);
		for (size_t i = 0; i < bytes; i++)
			CHECK(buffer[i] == 'f');
		fault_rig_check(&rig);
	} while (failed);
	test_note("%llu failure points", (unsigned long long)n - 1);
	CHECK(n > 10);
	end();
}

/* A kernel buffer in a slab ends where its object does, whatever length the caller says. */
TEST(copies_stay_in_the_kernels_object)
{
	struct tmm_slab_system *slabs;
	uint8_t *object;

	begin();
	slabs = rig.spaces.slabs;
	fault_rig_map(&rig, BASE, 1, READ_WRITE, ANON, 0);
	CHECK(tmm_copy_to_user(rig.mm, BASE, buffer, 200) == 0);
	object = tmm_kzalloc(slabs, 64, TMM_GFP_KERNEL);
	CHECK(tmm_copy_from_user(rig.mm, object, BASE, 65) == 65 && object[0] == 0);
	CHECK(tmm_copy_to_user(rig.mm, BASE, object, 65) == 65 && byte_at(BASE) == 'b');
	CHECK(tmm_copy_from_user(rig.mm, object, BASE, 64) == 0 && object[63] == 'b');
	tmm_kfree(slabs, object);
	end();
}
