/*
 * compound.c - runs that are one thing
 *
 * The first frame of a compound run has PG_HEAD and the order, each other one
 * PG_TAIL and the head's descriptor.  Freeing a single frame looks at no descriptor;
 * so blocks count the frames of compound runs in them, as they count those that
 * somebody is charged for (account.c), and while there are any, frees in the block leave
 * the fast path and come by here.
 *   I1  block_info.nr_marked counts the block's frames of kind PAGE_NONE with PG_HEAD
 *       or PG_TAIL, none of which is free, and its charged frames
 */
#include "page/compound.h"

#include "page/debug.h"

/* Slabs mark theirs in the same way, but are of a kind. */
static bool is_marked(const struct page *page)
{
	return page_kind(page) == PAGE_NONE && (page->flags & (PG_HEAD | PG_TAIL));
}

void block_mark(struct tmm_pages *pages, uint64_t pfn, int nr)
{
	uint64_t block = block_of(pages, pfn);
	struct block_info *info = &pages->info[block];
	struct zone *zone = zone_of(pages, pfn);
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	/* relaxed: see block_nr_marked() */
	__atomic_store_n(&info->nr_marked, (uint16_t)(info->nr_marked + nr), __ATOMIC_RELAXED);
	block_set_type(pages, block, info->type);
	lock_drop_irqrestore(&zone->lock, irq);
}

/* All frames of the run, in each of its blocks. */
static void count_marks(struct tmm_pages *pages, uint64_t pfn, unsigned order, int sign)
{
	uint64_t run = UINT64_C(1) << order;

	for (uint64_t at = pfn; at < pfn + run; at += BLOCK_FRAMES)
		block_mark(pages, at, sign * (int)min_u64(run, BLOCK_FRAMES));
}

void compound_make(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	struct page *head = page_of(pages, (tmm_pfn){pfn});

	page_set(head, (struct page){.kind = PAGE_NONE, .flags = PG_HEAD, .index = order});
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		page_set(page_of(pages, (tmm_pfn){pfn + i}),
		         (struct page){.kind = PAGE_NONE, .flags = PG_TAIL, .owner = head});
	count_marks(pages, pfn, order, 1);
}

void compound_undo(struct tmm_pages *pages, uint64_t pfn, unsigned order, const void *site)
{
	const struct page *head = page_of(pages, (tmm_pfn){pfn});
	uint64_t run = UINT64_C(1) << order, nr_marked = 0;
	bool whole;

	for (uint64_t i = 0; i < run; i++)
		nr_marked += is_marked(page_of(pages, (tmm_pfn){pfn + i}));
	if (nr_marked == 0)
		return;
	whole = is_marked(head) && (head->flags & PG_HEAD) && head->index == order;
	if (!whole)
		page_report(pages, pfn, order,
		            "a compound run is freed by its first frame, with its order", site);
	for (uint64_t i = 0; i < run; i++)
		page_clear(page_of(pages, (tmm_pfn){pfn + i}));
	count_marks(pages, pfn, order, -1);
}

unsigned compound_count(const struct tmm_pages *pages, uint64_t block)
{
	uint64_t first = block_base(pages, block);
	unsigned nr = 0;

	for (unsigned i = 0; i < BLOCK_FRAMES; i++)
		nr += is_marked(page_of(pages, (tmm_pfn){first + i}));
	return nr;
}

static const struct page *head_of(const struct tmm_pages *pages, tmm_pfn pfn)
{
	const struct page *page = page_of(pages, pfn);

	return is_marked(page) && (page->flags & PG_TAIL) ? page_owner(page) : page;
}

tmm_pfn tmm_page_head(const struct tmm_pages *pages, tmm_pfn pfn)
{
	return page_pfn(pages, head_of(pages, pfn));
}

unsigned tmm_page_order(const struct tmm_pages *pages, tmm_pfn pfn)
{
	const struct page *head = head_of(pages, pfn);

	return is_marked(head) ? head->index : 0;
}
