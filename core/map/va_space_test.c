/*
 * va_space_test.c - lengths, their classes, and where slots of chunks are
 *
 *	length    1 2 3 ... 32 | 33 .. 40 | 41 .. 48 | ... | 449 .. 512
 *	slot      1 2 3 ... 32 |    40    |    48    | ... |    512       pages
 */
#include "map/va_space.h"

#include "map/kernel_rig_test.h"

#define GB (1024 * MB)

static struct va_space space;

/* A window of that many bytes in which nothing is mapped, only lent. */
static void begin(uint64_t start, uint64_t bytes)
{
	kernel_boot((struct kernel_rig){.geometry = TMM_GEOMETRY_X86_64, .ram_bytes = 64 * MB});
	CHECK(va_space_init(&space, &m.slabs, start, start + bytes) == TMM_OK);
}

static void end(void)
{
	va_space_check(&space);
	va_space_fini(&space);
	kernel_halt();
}

TEST(a_length_has_the_least_class_that_it_fits_into)
{
	for (uint32_t class = 1; class < VA_NR_CLASSES - 1; class ++)
		CHECK(va_class_pages(class) < va_class_pages(class + 1));
	for (uint64_t nr = 1; nr <= VA_MAX_SHORT; nr++) {
		uint32_t class = va_class(nr);

		CHECK(class >= 1 && class < VA_NR_CLASSES);
		CHECK(va_class_pages(class) >= nr);
		CHECK(class == 1 || va_class_pages(class - 1) < nr);
		CHECK((va_class_pages(class) - nr) * 4 < nr);
	}
}

#define MOST 1025u

/* More slots than a chunk has, of each class: apart, and known from each of their pages. */
TEST(slots_of_each_class_are_apart_and_found_from_each_page)
{
	static uint64_t va[MOST];

	begin(UINT64_C(0xffffc90000000000), 16 * GB);
	for (uint32_t class = 1; class < VA_NR_CLASSES; class ++) {
		uint32_t pages = va_class_pages(class);
		unsigned nr = (class > VA_EXACT ? 4096 : 512) / pages + 1;

		for (unsigned i = 0; i < nr; i++) {
			CHECK(va_alloc_short(&space, pages, TMM_GFP_KERNEL, &va[i]) == TMM_OK);
			*va_owner(&space, va[i]) = &va[i];
		}
		lock_take(&space.lock);
		for (unsigned i = 0; i < nr; i++)
			for (uint32_t page = 0; page < pages; page++) {
				struct va_place place = va_place_of(
					&space, va[i] + page * TMM_PAGE_SIZE + 9);

				CHECK(place.start == va[i] && *place.owner == &va[i]);
				CHECK(page == 0 ||
				      !va_owner(&space, va[i] + page * TMM_PAGE_SIZE));
			}
		lock_drop(&space.lock);
		va_space_check(&space);
		for (unsigned i = 0; i < nr; i++) {
			*va_owner(&space, va[i]) = NULL;
			va_free_short(&space, va[i], pages);
		}
	}
	end();
}

/*
 *	leaves   |      1 GiB      |      1 GiB      |
 *	window       ^ 2 MiB above a border
 */
TEST(chunks_of_each_size_fit_into_a_window_that_begins_anywhere)
{
	static uint64_t large[600], small[600];

	begin(UINT64_C(0xffffc90000200000), 5 * GB);
	for (unsigned i = 0; i < 600; i++) {
		CHECK(va_alloc_short(&space, 512, TMM_GFP_KERNEL, &large[i]) == TMM_OK);
		CHECK(va_alloc_short(&space, 32, TMM_GFP_KERNEL, &small[i]) == TMM_OK);
		CHECK(va_owner(&space, large[i]) && va_owner(&space, small[i]));
	}
	va_space_check(&space);
	for (unsigned i = 0; i < 600; i++) {
		va_free_short(&space, large[i], 512);
		va_free_short(&space, small[i], 32);
	}
	end();
}

TEST(a_small_window_has_short_pieces_of_few_pages)
{
	struct va_range range;
	uint64_t va;

	begin(UINT64_C(0xf0000000), 112 * MB);
	CHECK(va_is_short(&space, 8) && !va_is_short(&space, 9));
	CHECK(va_alloc_short(&space, 8, TMM_GFP_KERNEL, &va) == TMM_OK);
	CHECK(va_alloc_long(&space, &range, 9, 0, 0, UINT64_MAX, TMM_GFP_KERNEL) == TMM_OK);
	va_free_long(&space, &range);
	va_free_short(&space, va, 8);
	end();
}
