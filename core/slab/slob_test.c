/*
 * slob_test.c - blocks side by side in shared pages
 */
#include <stddef.h>
#include <string.h>

#include "panic.h"
#include "slab/slob.h"

#include "slab/rig_test.h"

static void boot_slob(uint64_t ram_bytes)
{
	const struct slab_config config = {.allocator = TMM_SLOB};

	boot_with(test_ram(ram_bytes), ram_bytes, 1, &config);
}

static void *take(size_t bytes)
{
	void *object = tmm_kmalloc(&m.slabs, bytes, TMM_GFP_KERNEL);

	CHECK(object != NULL);
	return object;
}

static void give(void *object)
{
	tmm_kfree(&m.slabs, object);
}

static uint64_t nr_pages(void)
{
	return tmm_slab_pages(&m.slabs, false);
}

static bool same_page(const void *a, const void *b)
{
	return ((uintptr_t)a ^ (uintptr_t)b) < TMM_PAGE_SIZE;
}

/*
 *   |bits|descriptors of two caches|a|b|b|kmalloc|free
 */
TEST(objects_of_all_caches_share_a_page)
{
	struct tmm_cache *a, *b;
	void *of_a, *of_b, *by_size;

	boot_slob(MB);
	a = cache_of_size("a", 24);
	b = cache_of_size("b", 100);
	of_a = tmm_cache_alloc(a, TMM_GFP_KERNEL);
	of_b = tmm_cache_alloc(b, TMM_GFP_KERNEL);
	by_size = take(200);
	CHECK(same_page(of_a, of_b) && same_page(of_b, by_size));
	CHECK(nr_pages() == 2); /* and that of the descriptors, which are longer */
	tmm_slab_check(&m.slabs);
	tmm_cache_free(a, of_a);
	tmm_cache_free(b, of_b);
	give(by_size);
	CHECK(nr_pages() == 1);
	halt();
}

/* Start bits are all that a page costs: 63 objects of 64 bytes in each. */
TEST(lent_objects_have_no_header)
{
	struct tmm_cache *cache;
	void *object[63 * 4];
	uint64_t before;

	boot_slob(MB);
	cache = cache_of_size("full", 64);
	before = nr_pages();
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
		CHECK((object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	CHECK(nr_pages() == before + 4);
	tmm_slab_check(&m.slabs);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
		tmm_cache_free(cache, object[i]);
	CHECK(nr_pages() == before); /* all go back at once */
	halt();
}

/* Small, medium and large ones cut up their own pages only. */
TEST(pages_are_kept_apart_by_the_size_of_blocks)
{
	void *small, *medium, *large;

	boot_slob(MB);
	small = take(255);
	medium = take(300);
	large = take(1100);
	CHECK(!same_page(small, medium) && !same_page(medium, large) &&
	      !same_page(small, large));
	give(small);
	give(medium);
	give(large);
	halt();
}

/*
 *   page 1   |aaaaaaaaaaaaaaa.|..|    16 blocks of 31 units and 8 units in each
 *   page 2   |bbbbbbbbbbbbbbbb|..|
 *
 * The page that served last is asked first, though the other one has room too.
 */
TEST(a_search_goes_on_where_the_last_ended)
{
	void *a[16], *b[16], *small[2];

	boot_slob(MB);
	for (unsigned i = 0; i < 16; i++)
		a[i] = take(248);
	for (unsigned i = 0; i < 16; i++)
		b[i] = take(248);
	CHECK(same_page(a[0], a[15]) && same_page(b[0], b[15]) && !same_page(a[0], b[0]));
	small[0] = take(8);
	CHECK(same_page(small[0], b[0]));
	give(a[3]);
	a[3] = take(248); /* which has room there alone */
	CHECK(same_page(a[3], a[0]));
	small[1] = take(8);
	CHECK(same_page(small[1], a[0]));
	for (unsigned i = 0; i < 16; i++) {
		give(a[i]);
		give(b[i]);
	}
	give(small[0]);
	give(small[1]);
	halt();
}

/* Holes join from either side, whatever the order: in the end one block fills the page. */
TEST(holes_join_in_any_order)
{
	for (unsigned order = 0; order < 24; order++) {
		unsigned which[4] = {0, 1, 2, 3};
		void *object[4], *whole;

		for (unsigned i = 0, rest = order; i < 4; rest /= 4 - i, i++) {
			unsigned other = i + rest % (4 - i), swap = which[i];

			which[i] = which[other];
			which[other] = swap;
		}
		boot_slob(MB);
		for (unsigned i = 0; i < 4; i++)
			object[i] = take(1000);
		CHECK(nr_pages() == 1);
		for (unsigned i = 0; i < 3; i++) {
			give(object[which[i]]);
			tmm_slab_check(&m.slabs);
		}
		give(object[which[3]]);
		whole = take(4032);
		CHECK(nr_pages() == 1 && tmm_ksize(&m.slabs, whole) == 4032);
		give(whole);
		halt();
	}
}

TEST(blocks_are_aligned_as_asked)
{
	for (size_t align = 8; align <= TMM_PAGE_SIZE; align *= 2) {
		const struct tmm_cache_spec spec = {
			.name = "aligned", .size_bytes = 40, .align_bytes = align};
		struct tmm_cache *cache;
		char *object[20];

		boot_slob(MB);
		CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
		for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
			object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			CHECK(object[i] &&
			      (object[i] - (char *)m.memblock.ram) % (ptrdiff_t)align == 0);
		}
		tmm_slab_check(&m.slabs);
		for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
			tmm_cache_free(cache, object[i]);
		halt();
	}
}

/* There is no /proc/slabinfo of it, as in Linux. */
TEST(no_cache_has_slabs_to_show)
{
	struct tmm_cache_info info;

	boot_slob(MB);
	give(take(8));
	CHECK(!tmm_cache_info(&m.slabs, 0, &info));
	halt();
}

/* ---- misuse ---- */

static struct tmm_cache *misused;

static void free_it(void *object)
{
	tmm_cache_free(misused, object);
}

static void kfree_it(void *object)
{
	tmm_kfree(&m.slabs, object);
}

static bool says(void (*body)(void *arg), void *object, const char *rule)
{
	const char *text = test_panics(body, object);

	test_note("%s", text ? text : "nothing");
	return text && strstr(text, rule);
}

TEST(every_wrong_free_that_can_be_seen_panics)
{
	struct tmm_cache *other;
	char *object, *next, *run;

	boot_slob(MB);
	misused = cache_of_size("misused", 48);
	other = cache_of_size("other", 56);
	object = tmm_cache_alloc(misused, TMM_GFP_KERNEL);
	next = tmm_cache_alloc(other, TMM_GFP_KERNEL);
	run = take(3 * TMM_PAGE_SIZE);
	CHECK(same_page(object, next));
	CHECK(says(free_it, object + 1, "the start of an object"));
	CHECK(says(free_it, object + 8, "the start of an object"));
	CHECK(says(kfree_it, object + 40, "the start of an object"));
	CHECK(says(free_it, object - (uintptr_t)object % TMM_PAGE_SIZE, "the start of"));
	CHECK(says(free_it, next, "freed to the cache it is of"));
	CHECK(says(free_it, run, "freed to the cache it is of"));
	CHECK(says(kfree_it, run + TMM_PAGE_SIZE, "what kmalloc returned"));
	CHECK(says(free_it, object - 64 * MB, "lies in RAM"));
	CHECK(says(free_it, object + 8 * TMM_PAGE_SIZE, "lies in a slab")); /* a free frame */
	tmm_cache_free(misused, object);
	CHECK(says(free_it, object, "not freed twice"));
	CHECK(says(kfree_it, object, "not freed twice"));
	CHECK(says(free_it, object + 8, "not freed twice"));
	tmm_cache_free(other, next);
	CHECK(says(free_it, object, "lies in a slab")); /* the page is gone */
	give(run);
	tmm_slab_check(&m.slabs);
	halt();
}

/* From anywhere in an object to its end, and nothing elsewhere. */
TEST(the_room_left_in_an_object_is_known)
{
	char *a, *b, *page;

	boot_slob(MB);
	a = take(24);
	b = take(100);
	page = a - (uintptr_t)a % TMM_PAGE_SIZE;
	CHECK(slob_room(&m.slabs, a) == 24 && slob_room(&m.slabs, a + 23) == 1);
	CHECK(slob_room(&m.slabs, b) == 104 && slob_room(&m.slabs, b + 50) == 54);
	CHECK(slob_room(&m.slabs, page) == 0 && slob_room(&m.slabs, page + 4000) == 0);
	give(a);
	CHECK(slob_room(&m.slabs, a + 8) == 0 && slob_room(&m.slabs, b + 103) == 1);
	give(b);
	halt();
}

static void check_it(void *arg)
{
	(void)arg;
	tmm_slab_check(&m.slabs);
}

/* A write behind an object's end into a free block, or into the start bits. */
TEST(the_checker_sees_what_was_overwritten)
{
	static const unsigned char smashed[] = {0, 0, 0xff, 0xff};

	for (unsigned where = 0; where < 3; where++) {
		unsigned char *object, *page;

		boot_slob(MB);
		object = take(64);
		page = object - (uintptr_t)object % TMM_PAGE_SIZE;
		CHECK(!test_panics(check_it, NULL));
		if (where == 0) /* the length of the free block behind it */
			memcpy(object + 64, smashed, 2);
		else if (where == 1) /* where it says that the next one is */
			memcpy(object + 66, smashed + 2, 2);
		else /* a block that nobody has */
			page[40] ^= 1;
		CHECK(test_panics(check_it, NULL));
		tmm_port_forget_locks(); /* what is left goes as it is */
	}
}
