/*
 * shelf_test.h - movable pages with known contents
 *
 * Each page of the shelf holds its number, written all over it; the shelf knows the
 * frame of each, and moves them.
 */
#ifndef TUXMM_PAGE_SHELF_TEST_H
#define TUXMM_PAGE_SHELF_TEST_H

#include "page/rig_test.h"
#include "page/zone.h"

#define MAX_PAGES 16384u

struct shelf {
	struct tmm_pages *pages;
	struct tmm_movable movable;
	uint64_t frame[MAX_PAGES]; /* by number; NOWHERE: freed */
	uint32_t number_at[MAX_PAGES];
	bool pinned[MAX_PAGES];
	unsigned nr;
};

#define NOWHERE UINT64_MAX

static struct shelf shelf;

static inline void fill(uint64_t pfn, uint64_t number)
{
	uint64_t *word = tmm_page_address(shelf.pages, (tmm_pfn){pfn});

	for (unsigned i = 0; i < TMM_PAGE_SIZE / 8; i++)
		word[i] = number * 1000003 + i;
}

static inline void check_filled(uint64_t pfn, uint64_t number)
{
	const uint64_t *word = tmm_page_address(shelf.pages, (tmm_pfn){pfn});

	for (unsigned i = 0; i < TMM_PAGE_SIZE / 8; i++)
		CHECK(word[i] == number * 1000003 + i);
}

static inline tmm_err shelf_move(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct shelf *s = arg;
	uint32_t number = s->number_at[from.v];

	if (s->pinned[number])
		return TMM_E_BUSY;
	CHECK(s->frame[number] == from.v);
	memcpy(tmm_page_address(s->pages, to), tmm_page_address(s->pages, from), TMM_PAGE_SIZE);
	s->frame[number] = to.v;
	s->number_at[to.v] = number;
	return TMM_OK;
}

static const struct tmm_migrate_ops shelf_ops = {.move = shelf_move};

static inline void shelf_begin(struct tmm_pages *pages)
{
	shelf.pages = pages;
	shelf.movable = (struct tmm_movable){&shelf_ops, &shelf};
	shelf.nr = 0;
	memset(shelf.pinned, 0, sizeof(shelf.pinned));
}

static inline bool shelf_add(void)
{
	tmm_pfn pfn;

	if (shelf.nr == MAX_PAGES ||
	    tmm_pages_alloc(shelf.pages, TMM_GFP_MOVABLE | TMM_GFP_MEMALLOC, 0, &pfn) != TMM_OK)
		return false;
	shelf.frame[shelf.nr] = pfn.v;
	shelf.number_at[pfn.v] = shelf.nr;
	fill(pfn.v, shelf.nr++);
	tmm_page_set_movable(shelf.pages, pfn, &shelf.movable);
	return true;
}

static inline void shelf_drop(unsigned number)
{
	tmm_pfn pfn = {shelf.frame[number]};

	if (pfn.v == NOWHERE)
		return;
	check_filled(pfn.v, number);
	tmm_page_clear_movable(shelf.pages, pfn);
	tmm_pages_free(shelf.pages, pfn, 0);
	shelf.frame[number] = NOWHERE;
}

static inline void shelf_check(void)
{
	for (unsigned i = 0; i < shelf.nr; i++)
		if (shelf.frame[i] != NOWHERE)
			check_filled(shelf.frame[i], i);
}

static inline void shelf_end(void)
{
	for (unsigned i = 0; i < shelf.nr; i++)
		shelf_drop(i);
	tmm_pages_drain(shelf.pages);
	tmm_pages_check(shelf.pages);
	pages_fini(shelf.pages);
}

#endif
