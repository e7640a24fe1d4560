/*
 * list.h - circular doubly linked lists, linked through their members
 *
 * A list is a node that is nobody's member; an empty one points to itself.
 */
#ifndef TUXMM_BASE_LIST_H
#define TUXMM_BASE_LIST_H

#include "base/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

/* Behind `where`; a list's own node makes that the front. */
static inline void list_add(struct list *where, struct list *node)
{
	node->prev = where;
	node->next = where->next;
	where->next->prev = node;
	where->next = node;
}

static inline void list_add_tail(struct list *list, struct list *node)
{
	list_add(list->prev, node);
}

/* The node is left pointing to itself, so that deleting it again is harmless. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(list, type, member) list_entry((list)->next, type, member)
#define list_last(list, type, member)  list_entry((list)->prev, type, member)

#define list_for_each(node, head)                                                              \
	for (struct list *node = (head)->next; node != (head); node = node->next)

/* The body may delete `node`. */
#define list_for_each_safe(node, head)                                                         \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);      \
	     node = node##_next, node##_next = node->next)

#endif
