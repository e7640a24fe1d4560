/*
 * zap.c - pages leave an address space
 *
 * Each leaf that goes is uncounted and its page's reference dropped.  Anonymous
 * pages that nobody else has are freed, a batch at a time; file pages go to the
 * cache, which is told when their leaf was dirty; the zero page is nobody's.
 */
#include "page/page_system.h"
#include "space/vma.h"

#define BATCH 64u

struct zap {
	struct tmm_mm *mm;
	const struct vma *vma;
	size_t nr_free;
	tmm_pfn free[BATCH]; /* anonymous frames without a reference left */
};

static void free_batch(struct zap *zap)
{
	node_stat_add_pages(zap->mm->spaces->pages, zap->free, zap->nr_free, NR_ANON_PAGES, -1);
	tmm_pages_free_bulk(zap->mm->spaces->pages, zap->nr_free, zap->free);
	zap->nr_free = 0;
}

static void zap_anon(struct zap *zap, struct page *page, tmm_pfn pfn)
{
	page->mapcount--;
	if (--page->refcount > 0) {
		if (page->mapcount == 0) /* pinned: freed by who puts the pin back */
			node_stat_add(zap->mm->spaces->pages, pfn, NR_ANON_PAGES, -1);
		return;
	}
	page_set_kind(page, PAGE_NONE);
	page_set_owner(page, NULL);
	page->flags = 0;
	zap->free[zap->nr_free++] = pfn;
	if (zap->nr_free == BATCH)
		free_batch(zap);
}

static void zap_leaf(void *arg, tmm_vaddr va, tmm_pte old)
{
	struct zap *zap = arg;
	tmm_pfn pfn = tmm_pte_pfn(old);
	struct page *page;

	if (old.v & TMM_PTE_SPECIAL)
		return;
	page = page_of(zap->mm->spaces->pages, pfn);
	mm_count_pages_down(zap->mm, zap->vma, va.v, vma_page_rss(zap->vma, page), 1);
	if (page->kind == PAGE_ANON) {
		zap_anon(zap, page, pfn);
		return;
	}
	file_page_put(zap->mm->spaces->cache, pfn, true,
	              (zap->vma->flags & VM_SHARED) && (old.v & TMM_PTE_DIRTY));
}

void mm_zap_range(struct tmm_mm *mm, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct zap zap;

	zap.mm = mm;
	zap.vma = vma;
	zap.nr_free = 0;
	tmm_pte_clear_range(&mm->pt, (tmm_vaddr){start}, (tmm_vaddr){end}, zap_leaf, &zap);
	if (zap.nr_free)
		free_batch(&zap);
}
