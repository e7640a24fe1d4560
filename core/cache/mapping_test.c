/*
 * mapping_test.c - the page cache against files made of bytes
 */
#include "cache/rig_test.h"
#include "inject.h"

static struct cache_rig rig;
static struct store store;
static struct tmm_mapping *mapping;

static void begin(uint64_t file_bytes)
{
	cache_rig_begin(&rig, 8 * MIB);
	store_begin(&store, file_bytes);
	CHECK(tmm_mapping_create(&rig.cache, &store_ops, &store, &mapping) == TMM_OK);
}

static void end(void)
{
	tmm_cache_check(&rig.cache);
	tmm_mapping_put(mapping);
	CHECK(store.nr_releases == 1);
	cache_rig_end(&rig);
}

static struct mapping_window window_of(uint64_t index, uint64_t first, size_t nr)
{
	return (struct mapping_window){.index = index, .first = first, .nr = nr};
}

static uint8_t *bytes_of(tmm_pfn pfn)
{
	return tmm_page_address(&rig.page.pages, pfn);
}

static void put_window(const struct mapping_window *window)
{
	for (size_t i = 0; i < window->nr; i++) {
		if (window->pfn[i].v != TMM_PFN_NONE.v)
			file_page_put(&rig.cache, window->pfn[i], window->as_leaf, false);
	}
}

/* One page, pinned. */
static tmm_pfn pin(uint64_t index)
{
	struct mapping_window window = window_of(index, index, 1);

	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	return window.pfn[0];
}

static void unpin(tmm_pfn pfn)
{
	file_page_put(&rig.cache, pfn, false, false);
}

static tmm_pfn map(uint64_t index)
{
	struct mapping_window window = window_of(index, index, 1);

	window.as_leaf = true;
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	return window.pfn[0];
}

/*
 *   cached   . . x . . . . .     x is there already
 *   wanted           *
 *   read           [. . . . .]   one call, up to the window's end
 */
TEST(a_window_is_read_in_one_call_up_to_what_is_cached)
{
	struct mapping_window window = window_of(4, 0, 8);

	begin(64 * 4096);
	unpin(pin(2));
	CHECK(store.nr_reads == 1);
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	CHECK(store.nr_reads == 2 && window.nr_read == 5);
	CHECK(window.pfn[0].v == TMM_PFN_NONE.v && window.pfn[1].v == TMM_PFN_NONE.v);
	for (uint64_t i = 2; i < 8; i++)
		CHECK(memcmp(bytes_of(window.pfn[i]), store.bytes + i * 4096, 4096) == 0);
	put_window(&window);
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	CHECK(window.nr_read == 0 && store.nr_reads == 2);
	put_window(&window);
	CHECK(tmm_cache_pages(&rig.cache) == 6 && tmm_cache_pages_read(&rig.cache) == 6);
	end();
}

TEST(a_window_ends_with_the_file)
{
	struct mapping_window window = window_of(1, 0, 16);

	begin(2 * 4096 + 5);
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	CHECK(window.nr == 3 && window.nr_read == 3);
	CHECK(bytes_of(window.pfn[2])[4] == store.bytes[2 * 4096 + 4]);
	CHECK(bytes_of(window.pfn[2])[5] == 0);
	put_window(&window);
	window = window_of(3, 3, 1);
	CHECK(mapping_window_get(mapping, &window) == TMM_E_RANGE);
	end();
}

TEST(a_bad_page_beside_the_wanted_one_does_no_harm)
{
	struct mapping_window window = window_of(4, 0, 8);

	begin(64 * 4096);
	store.bad_page = 5;
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	CHECK(window.nr_read == 1 && tmm_cache_pages(&rig.cache) == 1);
	put_window(&window);
	window = window_of(5, 0, 8);
	CHECK(mapping_window_get(mapping, &window) == TMM_E_IO);
	CHECK(tmm_cache_pages(&rig.cache) == 1);
	store.bad_page = UINT64_MAX;
	CHECK(mapping_window_get(mapping, &window) == TMM_OK);
	put_window(&window);
	end();
}

TEST(dirty_pages_are_written_back_with_the_last_reference)
{
	tmm_pfn pfn;

	begin(4096 + 100);
	pfn = map(1);
	memset(bytes_of(pfn), 'n', 4096);
	file_page_put(&rig.cache, pfn, true, true);
	CHECK(tmm_cache_dirty_pages(&rig.cache) == 1);
	CHECK(tmm_cache_shrink_pages(&rig.cache, 10) == 0);
	end();
	CHECK(store.nr_writes == 1 && store.bytes[4096] == 'n' && store.bytes[4195] == 'n');
	CHECK(store.bytes[4196] == 0); /* past the end of the file */
}

TEST(a_failed_write_leaves_the_page_dirty)
{
	tmm_pfn pfn;

	begin(8 * 4096);
	for (uint64_t i = 2; i < 6; i++) {
		pfn = pin(i);
		bytes_of(pfn)[9] = 'w';
		file_page_set_dirty(&rig.cache, pfn);
		unpin(pfn);
	}
	store.bad_page = 3;
	CHECK(tmm_mapping_sync(mapping, 0, 4) == TMM_E_IO);
	CHECK(store.nr_writes == 3 && tmm_cache_dirty_pages(&rig.cache) == 2);
	CHECK(store.bytes[4 * 4096 + 9] == 'w' && store.bytes[5 * 4096 + 9] != 'w');
	store.bad_page = UINT64_MAX;
	CHECK(tmm_mapping_sync(mapping, 0, UINT64_MAX) == TMM_OK);
	CHECK(store.nr_writes == 5 && tmm_cache_dirty_pages(&rig.cache) == 0);
	CHECK(tmm_cache_pages_written(&rig.cache) == 4);
	end();
}

/* A writable leaf may be written through without notice: the page is not clean. */
TEST(a_mapped_page_stays_dirty_through_a_sync)
{
	tmm_pfn pfn;

	begin(4096);
	pfn = map(0);
	file_page_set_dirty(&rig.cache, pfn);
	CHECK(tmm_mapping_sync(mapping, 0, 0) == TMM_OK && store.nr_writes == 1);
	CHECK(tmm_cache_dirty_pages(&rig.cache) == 1 && cache_mapped_pages(&rig.cache) == 1);
	bytes_of(pfn)[0] = 'l';
	file_page_put(&rig.cache, pfn, true, false);
	CHECK(tmm_mapping_sync(mapping, 0, 0) == TMM_OK && store.bytes[0] == 'l');
	CHECK(tmm_cache_dirty_pages(&rig.cache) == 0 && cache_mapped_pages(&rig.cache) == 0);
	end();
}

/*
 *   page     |....DD....WW....|     D written by a leaf, W by write(2)
 *   after    |....DD....WW....|     both are seen
 */
TEST(a_refresh_changes_the_named_bytes_alone)
{
	tmm_pfn pfn;

	begin(3 * 4096);
	pfn = map(1);
	memset(bytes_of(pfn) + 100, 'D', 10);
	file_page_set_dirty(&rig.cache, pfn);
	memset(store.bytes + 4096 + 200, 'W', 10);
	CHECK(tmm_mapping_refresh(mapping, 4096 + 200, 4096 + 210) == TMM_OK);
	CHECK(bytes_of(pfn)[100] == 'D' && bytes_of(pfn)[209] == 'W');
	CHECK(store.nr_reads == 2); /* absent pages are not read */
	file_page_put(&rig.cache, pfn, true, false);
	end();
	CHECK(store.bytes[4096 + 109] == 'D' && store.bytes[4096 + 200] == 'W');
}

TEST(pages_past_a_new_end_leave_the_file_but_not_their_pins)
{
	tmm_pfn kept;

	begin(4 * 4096);
	unpin(pin(1));
	unpin(pin(2));
	kept = pin(3);
	file_page_set_dirty(&rig.cache, kept);
	store.size = 4096 + 7;
	CHECK(tmm_mapping_refresh(mapping, store.size, UINT64_MAX) == TMM_OK);
	tmm_cache_check(&rig.cache);
	CHECK(tmm_cache_pages(&rig.cache) == 1 && tmm_cache_dirty_pages(&rig.cache) == 0);
	CHECK(page_of(&rig.page.pages, kept)->kind == PAGE_FILE);
	bytes_of(kept)[0] = 1;
	unpin(kept);
	CHECK(page_of(&rig.page.pages, kept)->kind == PAGE_NONE);
	kept = pin(1);
	CHECK(bytes_of(kept)[7] == 0 && bytes_of(kept)[4095] == 0);
	unpin(kept);
	end();
}

TEST(shrinking_takes_idle_pages_oldest_first)
{
	tmm_pfn mapped, pinned, dirty;
	struct mapping_window window = window_of(1, 1, 1);

	begin(16 * 4096);
	mapped = map(0);
	unpin(pin(1));
	unpin(pin(2));
	pinned = pin(3);
	dirty = pin(4);
	file_page_set_dirty(&rig.cache, dirty);
	unpin(dirty);
	unpin(pin(1)); /* used again: younger than 2 */
	CHECK(tmm_cache_shrink_pages(&rig.cache, 1) == 1);
	CHECK(mapping_window_get(mapping, &window) == TMM_OK && window.nr_read == 0);
	put_window(&window);
	CHECK(tmm_cache_shrink_pages(&rig.cache, 100) == 1);
	CHECK(tmm_cache_pages(&rig.cache) == 3);
	tmm_cache_check(&rig.cache);
	file_page_put(&rig.cache, mapped, true, false);
	unpin(pinned);
	CHECK(tmm_cache_shrink_pages(&rig.cache, 100) == 2);
	end();
}

/* What is in a frame goes to another one; what was in that one's place stays. */
static tmm_err move_to_new(tmm_pfn from, tmm_pfn *out)
{
	tmm_err err;

	CHECK(tmm_pages_alloc(&rig.page.pages, TMM_GFP_KERNEL, 0, out) == TMM_OK);
	err = file_page_move(&rig.cache, from, *out);
	tmm_pages_free(&rig.page.pages, err == TMM_OK ? from : *out, 0);
	tmm_cache_check(&rig.cache);
	return err;
}

/*
 *   0  idle    1  dirty    2  pinned    3  mapped    4  cut out of its file
 *
 * Only those that nobody but the cache holds can go, and are found where they went.
 */
TEST(a_page_moves_while_only_the_cache_holds_it)
{
	tmm_pfn idle, dirty, pinned, mapped, cut, to;
	struct file_place place;

	begin(16 * 4096);
	idle = pin(0);
	unpin(idle);
	CHECK(move_to_new(idle, &to) == TMM_OK && !file_page_place(&rig.cache, idle, &place));
	CHECK(pin(0).v == to.v && file_page_place(&rig.cache, to, &place));
	CHECK(place.mapping == mapping && place.index == 0 && place.nr_pins == 1);
	unpin(to);
	dirty = pin(1);
	bytes_of(dirty)[5] = 'd';
	file_page_set_dirty(&rig.cache, dirty);
	unpin(dirty);
	CHECK(move_to_new(dirty, &to) == TMM_OK && tmm_cache_dirty_pages(&rig.cache) == 1);
	CHECK(tmm_mapping_sync(mapping, 0, UINT64_MAX) == TMM_OK &&
	      store.bytes[4096 + 5] == 'd');
	pinned = pin(2);
	CHECK(move_to_new(pinned, &to) == TMM_E_BUSY);
	mapped = map(3);
	CHECK(move_to_new(mapped, &to) == TMM_E_BUSY);
	cut = pin(4);
	store.size = 4 * 4096;
	CHECK(tmm_mapping_refresh(mapping, store.size, UINT64_MAX) == TMM_OK);
	CHECK(move_to_new(cut, &to) == TMM_E_NOENT);
	CHECK(!file_page_place(&rig.cache, cut, &place));
	lock_take(&rig.cache.lock);
	CHECK(file_page_move(&rig.cache, idle, idle) == TMM_E_AGAIN);
	CHECK(!file_page_place(&rig.cache, mapped, &place));
	lock_drop(&rig.cache.lock);
	unpin(cut);
	unpin(pinned);
	file_page_put(&rig.cache, mapped, true, false);
	end();
}

TEST(memory_without_a_file_behind_it_never_becomes_clean)
{
	struct tmm_mapping_ops ops = store_ops;
	tmm_pfn pfn;

	cache_rig_begin(&rig, 8 * MIB);
	store_begin(&store, 4096);
	ops.write = NULL;
	CHECK(tmm_mapping_create(&rig.cache, &ops, &store, &mapping) == TMM_OK);
	pfn = pin(0);
	file_page_set_dirty(&rig.cache, pfn);
	unpin(pfn);
	CHECK(tmm_mapping_sync(mapping, 0, 0) == TMM_OK);
	CHECK(tmm_cache_shrink_pages(&rig.cache, 1) == 0);
	CHECK(tmm_cache_dirty_pages(&rig.cache) == 0); /* nothing will be written */
	end();
}

static uint64_t reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	(void)gfp;
	(void)order;
	return tmm_cache_shrink_pages(arg, 8);
}

/* A file of 16 MiB passes through a machine of 8. */
TEST(a_file_larger_than_memory_can_be_read)
{
	static const struct tmm_reclaim_ops ops = {.reclaim = reclaim};

	begin(STORE_PAGES * 4096);
	tmm_pages_set_reclaim(&rig.page.pages, &ops, &rig.cache);
	for (uint64_t first = 0; first < STORE_PAGES; first += 16) {
		struct mapping_window window = window_of(first + 3, first, 16);

		CHECK(mapping_window_get(mapping, &window) == TMM_OK);
		CHECK(memcmp(bytes_of(window.pfn[3]), store.bytes + (first + 3) * 4096, 4096) ==
		      0);
		put_window(&window);
	}
	tmm_cache_check(&rig.cache);
	CHECK(tmm_cache_pages(&rig.cache) > 500);
	tmm_pages_set_reclaim(&rig.page.pages, NULL, NULL);
	end();
}

TEST(files_are_counted_and_named)
{
	char path[] = "/etc/passwd";
	struct tmm_file_spec spec = {.path = path, .inode = 7, .readable = true};
	struct tmm_file *file;

	begin(4096);
	spec.mapping = mapping;
	CHECK(tmm_file_create(&rig.cache, &spec, &file) == TMM_OK);
	path[0] = '!';
	CHECK(strcmp(file->spec.path, "/etc/passwd") == 0 && file->spec.inode == 7);
	tmm_mapping_put(mapping);
	CHECK(tmm_file_get(file) == file);
	tmm_file_put(file);
	CHECK(store.nr_releases == 0);
	tmm_file_put(file);
	CHECK(store.nr_releases == 1);
	cache_rig_end(&rig);
}

/* Use everything that allocates or reads once; false: something failed. */
static bool everything_once(void)
{
	struct tmm_file_spec spec = {.path = "/f"};
	struct mapping_window window = window_of(100, 96, 16);
	struct tmm_file *file;
	bool ok = true;

	if (tmm_mapping_create(&rig.cache, &store_ops, &store, &mapping) != TMM_OK)
		return false;
	spec.mapping = mapping;
	if (tmm_file_create(&rig.cache, &spec, &file) == TMM_OK)
		tmm_file_put(file);
	else
		ok = false;
	if (mapping_window_get(mapping, &window) == TMM_OK) {
		ok &= window.nr_read == 16; /* less: read-ahead had no luck */
		file_page_set_dirty(&rig.cache, window.pfn[4]);
		put_window(&window);
		ok &= tmm_mapping_refresh(mapping, 0, UINT64_MAX) == TMM_OK;
		ok &= tmm_mapping_sync(mapping, 0, UINT64_MAX) == TMM_OK;
	} else {
		CHECK(tmm_cache_pages(&rig.cache) == 0);
		ok = false;
	}
	tmm_cache_check(&rig.cache);
	tmm_mapping_put(mapping);
	return ok;
}

TEST(every_failure_once_leaves_nothing_behind)
{
	struct tmm_pages *pages = rig_simple(&rig.page, 8 * MIB);
	uint64_t n = 0, free_before = tmm_pages_free_count(pages);
	bool ok, failed;

	store_begin(&store, 200 * 4096);
	do {
		slab_init(&rig.slabs, pages, NULL);
		n++;
		tmm_inject_nth(n, n % 2 == 0);
		ok = cache_system_init(&rig.cache, pages, &rig.slabs) == TMM_OK;
		if (ok) {
			ok = everything_once();
			cache_system_fini(&rig.cache);
		}
		failed = tmm_inject_stop();
		CHECK(ok || failed);
		slab_fini(&rig.slabs);
		CHECK(tmm_pages_free_count(pages) == free_before);
	} while (failed);
	tmm_pages_check(pages);
	test_note("%llu failure points", (unsigned long long)n - 1);
	CHECK(n > 10);
}

/* ---- random operations -------------------------------------------------- */

#define NR_FILE_PAGES 300u
#define NR_HELD       40u

/* What a reader of the file through the cache has to see. */
static uint8_t model[NR_FILE_PAGES];
static tmm_pfn held[NR_HELD];
static bool held_as_leaf[NR_HELD];
static uint64_t random_state;

static uint64_t pick(uint64_t below)
{
	return (test_random(&random_state) >> 20) % below;
}

/* Each page holds one byte, everywhere but in its first eight. */
static void look_and_write(tmm_pfn pfn, bool write)
{
	struct page *page = page_of(&rig.page.pages, pfn);
	uint8_t *bytes = bytes_of(pfn);

	CHECK(page->owner == mapping && bytes[8] == model[page->index]);
	CHECK(bytes[4095] == model[page->index]);
	if (!write)
		return;
	model[page->index] = (uint8_t)pick(256);
	memset(bytes + 8, model[page->index], 4088);
	file_page_set_dirty(&rig.cache, pfn);
}

static void op_hold(void)
{
	unsigned i = (unsigned)pick(NR_HELD);
	uint64_t first = pick(NR_FILE_PAGES - 16);
	struct mapping_window window = window_of(first + pick(16), first, 16);
	size_t keep = (size_t)(window.index - first);
	tmm_err err;

	if (held[i].v != TMM_PFN_NONE.v)
		return;
	window.as_leaf = held_as_leaf[i] = pick(2) != 0;
	err = mapping_window_get(mapping, &window);
	if (err != TMM_OK) {
		CHECK(err == TMM_E_IO || err == TMM_E_NOMEM);
		return;
	}
	held[i] = window.pfn[keep];
	window.pfn[keep] = TMM_PFN_NONE;
	put_window(&window);
	look_and_write(held[i], pick(4) == 0);
}

static void op_release(void)
{
	unsigned i = (unsigned)pick(NR_HELD);

	if (held[i].v == TMM_PFN_NONE.v)
		return;
	look_and_write(held[i], pick(4) == 0);
	file_page_put(&rig.cache, held[i], held_as_leaf[i], false);
	held[i] = TMM_PFN_NONE;
}

static void op_sync(void)
{
	uint64_t first = pick(NR_FILE_PAGES);
	tmm_err err = tmm_mapping_sync(mapping, first, first + pick(100));

	CHECK(err == TMM_OK || err == TMM_E_IO);
}

static void op_shrink(void)
{
	tmm_cache_shrink_pages(&rig.cache, pick(40));
}

/* write(2): the store changes, and the cache is told. */
static void op_write_behind(void)
{
	uint64_t index = pick(NR_FILE_PAGES), start = index * 4096;

	model[index] = (uint8_t)pick(256);
	memset(store.bytes + start + 8, model[index], 4088);
	while (tmm_mapping_refresh(mapping, start, start + 4096) != TMM_OK)
		tmm_inject_stop();
}

static void (*const ops[])(void) = {op_hold,    op_hold, op_hold,         op_release,
                                    op_release, op_sync, op_write_behind, op_shrink};

static void random_operations(bool failing)
{
	random_state = test_seed();
	begin(NR_FILE_PAGES * 4096);
	for (unsigned i = 0; i < NR_FILE_PAGES; i++)
		model[i] = store.bytes[i * 4096 + 8];
	for (unsigned i = 0; i < NR_HELD; i++)
		held[i] = TMM_PFN_NONE;
	for (unsigned i = 0; i < 60000; i++) {
		if (failing)
			tmm_inject_nth(1 + pick(6), pick(2) != 0);
		ops[pick(ARRAY_SIZE(ops))]();
		tmm_inject_stop();
		if (i % 64 == 0)
			tmm_cache_check(&rig.cache);
	}
	for (unsigned i = 0; i < NR_HELD; i++) {
		if (held[i].v != TMM_PFN_NONE.v)
			file_page_put(&rig.cache, held[i], held_as_leaf[i], false);
	}
	end();
	for (unsigned i = 0; i < NR_FILE_PAGES; i++)
		CHECK(store.bytes[i * 4096 + 8] == model[i]);
}

TEST(random_operations_agree_with_bytes)
{
	random_operations(false);
}

TEST(random_operations_survive_failures)
{
	random_operations(true);
}
