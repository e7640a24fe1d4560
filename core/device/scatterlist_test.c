/*
 * scatterlist_test.c - lists put together by hand, and what becomes of their ends
 *
 *	array a   [0][1][link]
 *	array b            [2][3 end]
 */
#include "device/rig_test.h"

static void set(struct tmm_sg *entry, uint64_t pfn, uint64_t bytes)
{
	tmm_sg_set_page(entry, (tmm_pfn){pfn}, bytes, 0);
}

/* The frames of a list in order, as the digits of a number. */
static unsigned order_of(struct tmm_sg *list)
{
	unsigned digits = 0;

	for (; list; list = tmm_sg_next(list))
		digits = digits * 10 + (unsigned)list->pfn.v;
	return digits;
}

TEST(chained_arrays_are_one_list)
{
	struct tmm_sg a[3], b[2], c[4];

	tmm_sg_init(a, 3);
	tmm_sg_init(b, 2);
	tmm_sg_init(c, 4);
	for (unsigned i = 0; i < 2; i++) {
		set(&a[i], 1 + i, 4096);
		set(&b[i], 3 + i, 4096);
	}
	CHECK(tmm_sg_nr(a) == 3 && tmm_sg_last(a) == &a[2]);
	tmm_sg_chain(a, 3, b);
	CHECK(order_of(a) == 1234 && tmm_sg_nr(a) == 4 && tmm_sg_last(a) == &b[1]);
	CHECK(tmm_sg_next(&a[1]) == &b[0] && tmm_sg_next(&b[1]) == NULL);

	/* a link that leads to a link, with no piece between */
	set(&c[0], 9, 4096);
	c[1] = c[2] = c[0];
	tmm_sg_chain(c, 2, a);
	CHECK(order_of(c) == 91234);
	tmm_sg_chain(a, 2, a + 2);
	CHECK(order_of(c) == 9134);
}

TEST(a_list_ends_where_it_is_marked)
{
	struct tmm_sg a[3], b[2];

	tmm_sg_init(a, 3);
	tmm_sg_init(b, 2);
	for (unsigned i = 0; i < 3; i++)
		set(&a[i], 1 + i, 4096);
	tmm_sg_mark_end(&a[1]);
	CHECK(order_of(a) == 12 && tmm_sg_last(a) == &a[1]);
	tmm_sg_chain(a, 3, b);
	tmm_sg_mark_end(&a[2]); /* it is a piece again */
	set(&a[2], 7, 100);
	CHECK(order_of(&a[2]) == 7);
}

/*
 *	pieces   0 .. 83 | 84 .. 167 | 168 .. 199
 *	marked        10
 */
TEST(a_table_is_freed_whole_wherever_its_list_was_cut)
{
	static const unsigned ends[] = {0, 10, 83, 84, 150, 199};
	struct tmm_sg_table table;
	struct tmm_sg *entry;

	boot(64 * MB);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		CHECK(tmm_sg_table_alloc(&table, &m.machine.slabs, 200, TMM_GFP_KERNEL) ==
		      TMM_OK);
		entry = table.list;
		for (unsigned k = 0; k < ends[i]; k++)
			entry = tmm_sg_next(entry);
		tmm_sg_mark_end(entry);
		CHECK(tmm_sg_nr(table.list) == ends[i] + 1);
		tmm_sg_table_free(&table);
		CHECK(!table.list);
	}
	halt(); /* panics if an array is left */
}

TEST(bytes_are_copied_past_links_and_only_as_far_as_asked)
{
	struct tmm_sg_table table;
	struct tmm_sg *entry;
	char *page, text[200], back[200];

	boot(64 * MB);
	page = tmm_kmalloc(&m.machine.slabs, 4096, TMM_GFP_KERNEL);
	CHECK(page &&
	      tmm_sg_table_alloc(&table, &m.machine.slabs, 100, TMM_GFP_KERNEL) == TMM_OK);
	entry = table.list;
	for (unsigned i = 0; i < 100; i++, entry = tmm_sg_next(entry)) /* backwards */
		tmm_sg_set_buffer(&m.machine.pages, entry, page + 2 * (99 - i), 2);
	for (unsigned i = 0; i < 200; i++)
		text[i] = (char)i;
	CHECK(tmm_sg_copy_from_buffer(&m.machine.pages, table.list, text, 200, 0) == 200);
	CHECK(page[198] == 0 && page[199] == 1 && page[0] == (char)198);
	CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, table.list, back, 300, 0) == 200);
	CHECK(memcmp(text, back, 200) == 0);
	CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, table.list, back, 10, 165) == 10);
	CHECK(memcmp(text + 165, back, 10) == 0 && back[10] == 10);
	CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, table.list, back, 10, 195) == 5);
	CHECK(tmm_sg_copy_to_buffer(&m.machine.pages, table.list, back, 10, 200) == 0);
	tmm_sg_table_free(&table);
	tmm_kfree(&m.machine.slabs, page);
	halt();
}
