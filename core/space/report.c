/*
 * report.c - what an address space has, for /proc and the summary
 */
#include "page/page_system.h"
#include "space/vma.h"

void tmm_mm_usage(struct tmm_mm *mm, struct tmm_mm_usage *out)
{
	lock_take(&mm->lock);
	*out = (struct tmm_mm_usage){
		.peak_rss_pages = mm->peak_rss_pages,
		.total_pages = mm->total_pages,
		.peak_total_pages = mm->peak_total_pages,
		.data_pages = mm->data_pages,
		.stack_pages = mm->stack_pages,
		.exec_pages = mm->exec_pages,
		.locked_pages = mm->locked_pages,
		.table_pages = mm->pt.nr_tables,
		.peak_table_pages = max_u64(mm->peak_table_pages, mm->pt.nr_tables),
		.minor_faults = mm->minor_faults,
		.major_faults = mm->major_faults,
		.nr_areas = mm->areas.nr_ranges,
	};
	memcpy(out->rss_pages, mm->rss_pages, sizeof(out->rss_pages));
	memcpy(out->kind_pages, mm->kind_pages, sizeof(out->kind_pages));
	memcpy(out->kind_peak_pages, mm->kind_peak_pages, sizeof(out->kind_peak_pages));
	lock_drop(&mm->lock);
}

struct walk {
	struct tmm_pages *pages;
	const struct vma *vma;
	struct tmm_area *area;
	uint64_t pss; /* in 1/4096 of a byte, so that shares do not round away */
};

static bool walk_leaf(void *arg, tmm_vaddr va, tmm_pte pte)
{
	struct walk *walk = arg;
	struct tmm_area *area = walk->area;
	const struct page *page;
	bool dirty, shared;

	(void)va;
	if (pte.v & TMM_PTE_SPECIAL) {
		area->zero_pages++;
		return true;
	}
	page = page_of(walk->pages, tmm_pte_pfn(pte));
	dirty = (pte.v & TMM_PTE_DIRTY) || (page->flags & PG_DIRTY);
	shared = page->mapcount > 1;
	area->rss_pages++;
	area->anon_pages += page->kind == PAGE_ANON;
	area->referenced += (pte.v & TMM_PTE_ACCESSED) != 0;
	area->shared_dirty += shared && dirty;
	area->shared_clean += shared && !dirty;
	area->private_dirty += !shared && dirty;
	area->private_clean += !shared && !dirty;
	walk->pss += (TMM_PAGE_SIZE << 12) / page->mapcount;
	return true;
}

static enum tmm_area_kind area_kind(const struct tmm_mm *mm, const struct vma *vma)
{
	uint64_t heap = mm->image.start_brk;

	/* The heap's area may begin before the heap: with data that it joined. */
	if (vma_is_anonymous(vma) && !(vma->flags & VM_GROWSDOWN) && vma->start < mm->brk &&
	    vma->end > heap)
		return TMM_AREA_HEAP;
	return mm_page_kind(mm, vma, vma->start);
}

static void describe(const struct tmm_mm *mm, const struct vma *vma, struct tmm_area *out)
{
	*out = (struct tmm_area){
		.start = vma->start,
		.end = vma->end,
		.read = vma->flags & VM_READ,
		.write = vma->flags & VM_WRITE,
		.exec = vma->flags & VM_EXEC,
		.shared = vma->flags & VM_MAYSHARE,
		.may_read = vma->flags & VM_MAYREAD,
		.may_write = vma->flags & VM_MAYWRITE,
		.may_exec = vma->flags & VM_MAYEXEC,
		.grows_down = vma->flags & VM_GROWSDOWN,
		.noreserve = vma->flags & VM_NORESERVE,
		.sequential = vma->flags & VM_SEQ_READ,
		.random = vma->flags & VM_RAND_READ,
		.accounted = vma->flags & VM_ACCOUNT,
		.kind = area_kind(mm, vma),
		.file = vma->file ? &vma->file->spec : NULL,
		.offset = vma->file ? vma->pgoff << TMM_PAGE_SHIFT : 0,
	};
}

bool tmm_mm_area(struct tmm_mm *mm, uint64_t addr, bool with_pages, struct tmm_area *out)
{
	const struct vma *vma;

	lock_take(&mm->lock);
	vma = find_vma(mm, addr);
	if (vma)
		describe(mm, vma, out);
	if (vma && with_pages) {
		struct walk walk = {mm->spaces->pages, vma, out, 0};

		tmm_pte_for_each(&mm->pt, (tmm_vaddr){vma->start}, (tmm_vaddr){vma->end},
		                 walk_leaf, &walk);
		out->pss_bytes = walk.pss >> 12;
	}
	lock_drop(&mm->lock);
	return vma != NULL;
}
