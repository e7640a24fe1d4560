#include "base/list.h"
#include "test.h"

struct item {
	struct list link;
	int n;
};

/*
 *   add_tail 0 1 2      list: 0 1 2
 *   add 9 at the front        9 0 1 2
 *   delete 1                  9 0 2
 */
TEST(nodes_keep_their_order)
{
	struct list list;
	struct item item[3] = {{.n = 0}, {.n = 1}, {.n = 2}}, nine = {.n = 9};
	int seen[3], nr = 0;

	list_init(&list);
	CHECK(list_empty(&list));
	for (int i = 0; i < 3; i++)
		list_add_tail(&list, &item[i].link);
	list_add(&list, &nine.link);
	list_del(&item[1].link);
	list_del(&item[1].link);
	list_for_each (node, &list)
		seen[nr++] = list_entry(node, struct item, link)->n;
	CHECK(nr == 3 && seen[0] == 9 && seen[1] == 0 && seen[2] == 2);
	CHECK(list_first(&list, struct item, link)->n == 9);
	CHECK(list_last(&list, struct item, link)->n == 2);
	list_for_each_safe (node, &list)
		list_del(node);
	CHECK(list_empty(&list));
}
