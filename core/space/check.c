/*
 * check.c - what must hold in an address space
 *
 *   M1  areas are sorted, disjoint, page aligned and inside user space; the tree
 *       that holds them is sound (range_tree.c, I1..I6)
 *   M2  they are at most one more than allowed
 *   M3  total_pages and its classes are those of the areas
 *   M4  every leaf lies in an area and has no right that the area has not
 *   M5  an anonymous page is in a private area that has a family, and no more
 *       leaves than references point to it
 *   M6  a page of a file is at its place in the area's file, or cut off from it
 *   M7  resident pages by rss and by kind are as many as there are leaves; only
 *       the zero page is not counted
 *   M8  the tables are sound (tmm_pgtable_check)
 */
#include "page/page_system.h"
#include "space/vma.h"

/* What a walk over areas and leaves finds. */
struct recount {
	const struct tmm_mm *mm;
	const struct vma *vma; /* the first that ends above the leaf */
	uint64_t rss_pages[TMM_NR_RSS];
	uint64_t kind_pages[TMM_NR_AREA_KINDS];
};

/* M5, M6 */
static void check_page(const struct vma *vma, uint64_t addr, tmm_pte pte,
                       const struct page *page)
{
	if (page->kind == PAGE_ANON) {
		TMM_ASSERT(!(vma->flags & VM_SHARED) && vma->anon_family);
		TMM_ASSERT(page->owner == vma->mm);
	} else {
		TMM_ASSERT(page->kind == PAGE_FILE && vma->file);
		TMM_ASSERT(!page->owner || (page->owner == vma->file->spec.mapping &&
		                            page->index == vma_pgoff_at(vma, addr)));
		TMM_ASSERT(!(pte.v & TMM_PTE_WRITE) || (vma->flags & VM_SHARED));
	}
	TMM_ASSERT(page->mapcount >= 1 && page->refcount >= page->mapcount);
}

static bool check_leaf(void *arg, tmm_vaddr va, tmm_pte pte)
{
	struct recount *recount = arg;
	const struct vma *vma = recount->vma;
	const struct tmm_mm *mm = recount->mm;
	const struct page *page;

	while (vma && vma->end <= va.v)
		vma = vma_next(vma);
	recount->vma = vma;
	TMM_ASSERT(vma && vma->start <= va.v); /* M4 */
	TMM_ASSERT(!(pte.v & TMM_PTE_WRITE) || (vma->flags & VM_WRITE));
	TMM_ASSERT((pte.v & TMM_PTE_NX) || (vma->flags & VM_EXEC));
	TMM_ASSERT(!(pte.v & TMM_PTE_USER) || (vma->flags & VM_ACCESS));
	if (pte.v & TMM_PTE_SPECIAL) {
		TMM_ASSERT(tmm_pte_pfn(pte).v == mm->spaces->zero_pfn.v);
		TMM_ASSERT(!(pte.v & TMM_PTE_WRITE));
		return true;
	}
	page = page_of(mm->spaces->pages, tmm_pte_pfn(pte));
	check_page(vma, va.v, pte, page);
	recount->rss_pages[vma_page_rss(vma, page)]++;
	recount->kind_pages[mm_page_kind(mm, vma, va.v)]++;
	return true;
}

/* M1, M3; returns the pages that memory is promised for. */
static uint64_t check_areas(const struct tmm_mm *mm)
{
	struct tmm_mm sum = {.total_pages = 0};
	uint64_t accounted = 0;

	range_tree_check(&mm->areas);
	vma_for_each (vma, mm) {
		TMM_ASSERT(vma->mm == mm);
		TMM_ASSERT(((vma->start | vma->end) & ~TMM_PAGE_MASK) == 0);
		TMM_ASSERT(vma->start >= mm->layout.mmap_min);
		TMM_ASSERT(vma->end <= mm->layout.task_size);
		TMM_ASSERT(vma->anon_family <= mm->next_family);
		mm_account(&sum, vma->flags, vma_pages(vma));
		accounted += vma->flags & VM_ACCOUNT ? vma_pages(vma) : 0;
	}
	TMM_ASSERT(sum.total_pages == mm->total_pages && sum.data_pages == mm->data_pages);
	TMM_ASSERT(sum.stack_pages == mm->stack_pages && sum.exec_pages == mm->exec_pages);
	TMM_ASSERT(sum.locked_pages == mm->locked_pages);
	return accounted;
}

uint64_t mm_check(struct tmm_mm *mm)
{
	struct recount recount = {.mm = mm, .vma = find_vma(mm, 0)};
	uint64_t accounted = check_areas(mm);

	TMM_ASSERT(mm->areas.nr_ranges <= mm->spaces->config.max_map_count + UINT64_C(1));
	tmm_pgtable_check(&mm->pt);
	tmm_pte_for_each(&mm->pt, (tmm_vaddr){0}, (tmm_vaddr){mm->layout.task_size}, check_leaf,
	                 &recount);
	for (unsigned rss = 0; rss < TMM_NR_RSS; rss++)
		TMM_ASSERT(recount.rss_pages[rss] == mm->rss_pages[rss]);
	for (unsigned kind = 0; kind < TMM_NR_AREA_KINDS; kind++)
		TMM_ASSERT(recount.kind_pages[kind] == mm->kind_pages[kind]);
	TMM_ASSERT(mm->peak_rss_pages >= mm->rss_pages[TMM_RSS_ANON]);
	return accounted;
}

void tmm_mm_check(struct tmm_mm *mm)
{
	lock_take(&mm->lock);
	mm_check(mm);
	lock_drop(&mm->lock);
}
