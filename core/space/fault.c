/*
 * fault.c - what an access to a page that is not there, or not so, brings about
 *
 *   leaf      area           access   becomes
 *   absent    anonymous      read     the zero page, read-only
 *   absent    anonymous      write    frames of zeroes (and more: below)
 *   absent    file           read     cached pages, read-only (and more: below)
 *   absent    file           write    as for a read, then as if it were present
 *   present   private        write    the same frame if it is ours alone, else a copy
 *   present   shared         write    the same frame, writable and dirty
 *   allows it already                 accessed and dirty as the processor sets them
 *
 * Everything that can fail comes before anything is changed: frames, then tables
 * (tmm_pte_set_run() makes them before it writes).  A fault that is answered with
 * TMM_FAULT_OOM or TMM_FAULT_BUS can be repeated; all it may leave behind is pages
 * of the file, mapped to be read.
 *
 * Making more than was asked for.  A trap costs a hundred times what a cleared
 * page does, so each should make many pages, but pages that nobody wants cost
 * memory.  Three rules:
 *
 *   A fault somewhere makes the aligned group of GROUP_PAGES round it, no more:
 *   scattered accesses cost at most that factor, and real ones come in clusters.
 *   A write to a page of a file, or to the zero page, copies those of its group
 *   that are there in the same way.  A file's pages only if it was opened to be
 *   read: a copied page no longer shows what others write to the file, which
 *   mmap(2) allows but Linux does not do, so it must not be noticed.  Programs and
 *   libraries, whose data this is for, are not written while they run.
 *
 *   A fault right above or below a run of pages that faults have made goes on
 *   with it: GROUP_PAGES, then 4 times as many, then 16 times, up to
 *   anon_around_bytes.  A run thus holds at most about four times what was
 *   touched of it, and for long ones the excess is one last batch.  The runs last
 *   seen are remembered for the whole address space, NR_ANON_RUNS of them, since
 *   programs fill several arrays at once and areas split and join meanwhile; up
 *   for heaps and arrays, down for stacks.  It is a hint: a run that was unmapped
 *   is forgotten by being crowded out.
 *
 *   When free memory is at the high watermarks, a fault makes what was asked for.
 *
 * A batch stays inside the area, one leaf table and one hole of it: what is
 * present ends it.  Its frames are taken at once, so that they rise with the
 * address and a back end shows them with one mapping.  The same accesses make the
 * same batches in every run of a program.
 *
 * File pages cost nothing when they are cached, and little when one call reads
 * them all: the aligned window of fault_around_bytes is mapped as far as it is in
 * the area, the file and the cache (mapping_window_get() reads what is missing
 * next to the wanted page).  MADV_RANDOM turns that off.
 */
#include "page/page_system.h"
#include "space/fault.h"

/* A task that cannot be served is reported by whoever kills it. */
#define USER_PAGE       (TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_NOWARN)

#define GROUP_PAGES     4u
#define MAX_BATCH_PAGES 64u

/* [start, end), page aligned. */
struct span {
	uint64_t start, end;
};

static size_t span_pages(struct span span)
{
	return (size_t)((span.end - span.start) >> TMM_PAGE_SHIFT);
}

static struct span intersect(struct span a, struct span b)
{
	return (struct span){max_u64(a.start, b.start), min_u64(a.end, b.end)};
}

/* The aligned group of nr_pages, a power of two, that va is in. */
static struct span aligned_group(uint64_t va, uint64_t nr_pages)
{
	uint64_t bytes = nr_pages << TMM_PAGE_SHIFT;
	uint64_t start = align_down(va, bytes);

	return (struct span){start, start + bytes};
}

static uint64_t power_of_two_pages(uint64_t bytes, uint64_t most)
{
	uint64_t nr = min_u64(bytes >> TMM_PAGE_SHIFT, most);

	return UINT64_C(1) << log2_floor(max_u64(nr, 1));
}

/* The part of the area and of the table's hole round va that lies in `wish`. */
static struct span hole_in(const struct tmm_mm *mm, const struct vma *vma, uint64_t va,
                           struct span wish)
{
	struct span area = {vma->start, vma->end}, span = intersect(wish, area);
	tmm_vaddr start = {span.start}, end = {span.end};

	tmm_pte_hole(&mm->pt, (tmm_vaddr){va}, &start, &end);
	return (struct span){start.v, end.v};
}

/* ---- anonymous pages ---------------------------------------------------- */

static void anon_page_init(struct tmm_mm *mm, const struct vma *vma, uint64_t va, tmm_pfn pfn)
{
	page_set(page_of(mm->spaces->pages, pfn),
	         (struct page){
			 .kind = PAGE_ANON,
			 .refcount = 1,
			 .mapcount = 1,
			 .index = (uint32_t)vma_pgoff_at(vma, va),
			 .owner = mm,
		 });
}

void anon_page_put(struct tmm_mm *mm, tmm_pfn pfn)
{
	struct page *page = page_of(mm->spaces->pages, pfn);

	TMM_ASSERT(page->kind == PAGE_ANON && page->refcount > 0);
	if (--page->refcount > 0)
		return;
	TMM_ASSERT(page->mapcount == 0);
	page_clear(page);
	tmm_pages_free(mm->spaces->pages, pfn, 0);
}

static uint64_t writable_bits(const struct vma *vma)
{
	return vma_leaf_bits(vma) | TMM_PTE_WRITE | TMM_PTE_ACCESSED | TMM_PTE_DIRTY;
}

/*
 * The remembered run that va goes on with, or NULL.  A run whose end was unmapped,
 * as by a heap that is trimmed, goes on from where it ends now.
 */
static struct anon_run *run_beside(struct tmm_mm *mm, uint64_t va)
{
	for (unsigned i = 0; i < NR_ANON_RUNS; i++) {
		struct anon_run *run = &mm->anon_run[i];

		if (run->end == va || run->start == va + TMM_PAGE_SIZE)
			return run;
		if (run->start < va && va < run->end &&
		    tmm_pte_get(&mm->pt, (tmm_vaddr){va - TMM_PAGE_SIZE}).v != 0) {
			run->end = va;
			return run;
		}
	}
	return NULL;
}

/* What one write fault at va should make; *run is the run it goes on with. */
static struct span anon_wish(struct tmm_mm *mm, uint64_t va, struct anon_run *run)
{
	uint64_t most = power_of_two_pages(mm->spaces->config.anon_around_bytes,
	                                   MAX_BATCH_PAGES);
	uint64_t nr = GROUP_PAGES, length;

	if (pages_low(mm->spaces->pages))
		most = 1;
	if (!run)
		return aligned_group(va, min_u64(nr, most));
	length = (run->end - run->start) >> TMM_PAGE_SHIFT;
	while (nr <= length && nr < most)
		nr *= 4;
	nr = min_u64(nr, most);
	if (run->end == va)
		return (struct span){va, va + (nr << TMM_PAGE_SHIFT)};
	va += TMM_PAGE_SIZE;
	return (struct span){va - min_u64(nr << TMM_PAGE_SHIFT, va), va};
}

static void remember(struct tmm_mm *mm, struct anon_run *run, struct span made)
{
	if (!run) {
		run = &mm->anon_run[mm->next_anon_run];
		mm->next_anon_run = (mm->next_anon_run + 1) % NR_ANON_RUNS;
		*run = (struct anon_run){made.start, made.end};
		return;
	}
	run->start = min_u64(run->start, made.start);
	run->end = max_u64(run->end, made.end);
}

/*
 * Frames of zeroes for the span, or for as much of it round va as there is
 * memory; only the page of va is worth a reclaim.
 */
static bool anon_frames(struct tmm_mm *mm, uint64_t va, struct span *span, tmm_pfn *pfn)
{
	const tmm_gfp extra = TMM_GFP_MOVABLE | TMM_GFP_KSWAPD | TMM_GFP_NOWARN | TMM_GFP_ZERO;
	struct tmm_pages *pages = mm->spaces->pages;
	size_t nr = span_pages(*span), got = 0;
	uint64_t bytes;

	if (nr > 1)
		got = tmm_pages_alloc_bulk(pages, extra, nr, pfn);
	if (got == 0) {
		if (tmm_pages_alloc(pages, USER_PAGE | TMM_GFP_ZERO, 0, pfn) != TMM_OK)
			return false;
		got = 1;
	}
	bytes = (uint64_t)got << TMM_PAGE_SHIFT;
	if (va >= span->start + bytes)
		span->start = va + TMM_PAGE_SIZE - bytes;
	span->end = span->start + bytes;
	return true;
}

static enum tmm_fault anon_write(struct tmm_mm *mm, struct vma *vma, uint64_t va)
{
	struct tmm_pages *pages = mm->spaces->pages;
	struct anon_run *run = run_beside(mm, va);
	struct span span = hole_in(mm, vma, va, anon_wish(mm, va, run));
	tmm_pfn pfn[MAX_BATCH_PAGES];
	size_t nr;

	if (!anon_frames(mm, va, &span, pfn))
		return TMM_FAULT_OOM;
	nr = span_pages(span);
	if (tmm_pte_set_run(&mm->pt, (tmm_vaddr){span.start}, nr, pfn, writable_bits(vma)) !=
	    TMM_OK) {
		tmm_pages_free_bulk(pages, nr, pfn);
		return TMM_FAULT_OOM;
	}
	vma_make_family(vma);
	for (size_t i = 0; i < nr; i++)
		anon_page_init(mm, vma, span.start + (i << TMM_PAGE_SHIFT), pfn[i]);
	node_stat_add_pages(pages, pfn, nr, NR_ANON_PAGES, 1);
	mm_count_pages_up(mm, vma, span.start, TMM_RSS_ANON, nr);
	remember(mm, run, span);
	return TMM_FAULT_OK;
}

static enum tmm_fault anon_read(struct tmm_mm *mm, const struct vma *vma, uint64_t va)
{
	uint64_t bits = vma_leaf_bits(vma) | TMM_PTE_ACCESSED | TMM_PTE_SPECIAL;
	tmm_pte zero = tmm_pte_make(mm->spaces->zero_pfn, bits);

	return tmm_pte_set(&mm->pt, (tmm_vaddr){va}, zero) == TMM_OK ? TMM_FAULT_OK
	                                                             : TMM_FAULT_OOM;
}

/* ---- file pages --------------------------------------------------------- */

static enum tmm_fault fault_of(tmm_err err)
{
	return err == TMM_OK        ? TMM_FAULT_OK
	       : err == TMM_E_NOMEM ? TMM_FAULT_OOM
	                            : TMM_FAULT_BUS;
}

/* References to the cached page of va and to those round it. */
static enum tmm_fault file_window(const struct tmm_mm *mm, const struct vma *vma, uint64_t va,
                                  bool as_leaf, struct mapping_window *window)
{
	uint64_t around = power_of_two_pages(mm->spaces->config.fault_around_bytes,
	                                     WINDOW_MAX_PAGES);
	struct span span;

	if (vma->flags & VM_RAND_READ)
		around = 1;
	span = hole_in(mm, vma, va, aligned_group(va, around));
	window->index = vma_pgoff_at(vma, va);
	window->first = vma_pgoff_at(vma, span.start);
	window->nr = span_pages(span);
	window->as_leaf = as_leaf;
	return fault_of(mapping_window_get(vma->file->spec.mapping, window));
}

/* Drop the references of what is in pfn[from..nr). */
static void window_put(struct tmm_mm *mm, struct mapping_window *window)
{
	size_t nr = 0;

	for (size_t i = 0; i < window->nr; i++) {
		if (window->pfn[i].v != TMM_PFN_NONE.v)
			window->pfn[nr++] = window->pfn[i];
	}
	file_pages_put(mm->spaces->cache, nr, window->pfn, window->as_leaf);
}

static bool is_there(const struct mapping_window *window, size_t i)
{
	return i < window->nr && window->pfn[i].v != TMM_PFN_NONE.v;
}

/* Map what is there of the window; va is the address of its first page. */
static enum tmm_fault map_window(struct tmm_mm *mm, const struct vma *vma, uint64_t va,
                                 const struct mapping_window *window)
{
	uint64_t bits = vma_leaf_bits(vma) | TMM_PTE_ACCESSED;
	enum tmm_rss rss = vma->file->spec.shmem ? TMM_RSS_SHMEM : TMM_RSS_FILE;

	for (size_t i = 0, nr; i < window->nr; i += nr) {
		uint64_t at = va + (i << TMM_PAGE_SHIFT);

		for (nr = 0; is_there(window, i + nr); nr++)
			;
		/* Only the first run can lack a table: they all have the same. */
		if (nr > 0 && tmm_pte_set_run(&mm->pt, (tmm_vaddr){at}, nr, &window->pfn[i],
		                              bits) != TMM_OK)
			return TMM_FAULT_OOM;
		if (nr > 0)
			mm_count_pages_up(mm, vma, at, rss, nr);
		else
			nr = 1; /* a page that is not cached */
	}
	return TMM_FAULT_OK;
}

static enum tmm_fault file_read(struct tmm_mm *mm, const struct vma *vma, uint64_t va,
                                bool *major)
{
	struct mapping_window window;
	enum tmm_fault fault = file_window(mm, vma, va, true, &window);

	if (fault != TMM_FAULT_OK)
		return fault;
	*major = window.nr_read > 0;
	va -= (window.index - window.first) << TMM_PAGE_SHIFT;
	fault = map_window(mm, vma, va, &window);
	if (fault != TMM_FAULT_OK)
		window_put(mm, &window);
	return fault;
}

static bool copy_frame(struct tmm_pages *pages, tmm_pfn from, tmm_pfn *out_copy)
{
	if (tmm_pages_alloc(pages, USER_PAGE, 0, out_copy) != TMM_OK)
		return false;
	page_copy(pages, *out_copy, from);
	return true;
}

/* ---- leaves that are present -------------------------------------------- */

static void make_writable(struct tmm_mm *mm, const struct vma *vma, uint64_t va, tmm_pfn pfn)
{
	tmm_pte_replace(&mm->pt, (tmm_vaddr){va}, tmm_pte_make(pfn, writable_bits(vma)));
}

/* The leaf's own reference to the page it pointed to before a copy took its place. */
static void drop_copied(struct tmm_mm *mm, const struct vma *vma, uint64_t va, tmm_pfn pfn)
	TMM_REQUIRES(mm->lock)
{
	struct page *page = page_of(mm->spaces->pages, pfn);

	mm_count_pages_down(mm, vma, va, vma_page_rss(vma, page), 1);
	if (page->kind == PAGE_ANON) {
		if (--page->mapcount == 0)
			node_stat_add(mm->spaces->pages, pfn, NR_ANON_PAGES, -1);
		anon_page_put(mm, pfn);
	} else {
		file_page_put(mm->spaces->cache, pfn, true, false);
	}
}

static enum tmm_fault copy_on_write(struct tmm_mm *mm, struct vma *vma, uint64_t va,
                                    tmm_pte old) TMM_REQUIRES(mm->lock)
{
	struct tmm_pages *pages = mm->spaces->pages;
	bool zero = (old.v & TMM_PTE_SPECIAL) != 0;
	tmm_pfn copy;

	if (zero ? tmm_pages_alloc(pages, USER_PAGE | TMM_GFP_ZERO, 0, &copy) != TMM_OK
	         : !copy_frame(pages, tmm_pte_pfn(old), &copy))
		return TMM_FAULT_OOM;
	vma_make_family(vma);
	anon_page_init(mm, vma, va, copy);
	node_stat_add(pages, copy, NR_ANON_PAGES, 1);
	make_writable(mm, vma, va, copy);
	if (!zero)
		drop_copied(mm, vma, va, tmm_pte_pfn(old));
	mm_count_pages_up(mm, vma, va, TMM_RSS_ANON, 1);
	return TMM_FAULT_OK;
}

/*
 * A write copied the page of va, a file's or the zero page: copy those of its group
 * that are the same, as long as memory is plenty.
 */
static void copy_group(struct tmm_mm *mm, struct vma *vma, uint64_t va, bool zero)
	TMM_REQUIRES(mm->lock)
{
	uint64_t most = power_of_two_pages(mm->spaces->config.anon_around_bytes, GROUP_PAGES);
	struct span area = {vma->start, vma->end};
	struct span group = intersect(aligned_group(va, most), area);

	if (pages_low(mm->spaces->pages) || (!zero && vma->file->spec.writable))
		return;
	for (uint64_t at = group.start; at < group.end; at += TMM_PAGE_SIZE) {
		tmm_pte pte = tmm_pte_get(&mm->pt, (tmm_vaddr){at});

		if (at == va || pte.v == 0 || ((pte.v & TMM_PTE_SPECIAL) != 0) != zero)
			continue;
		if (!zero && page_of(mm->spaces->pages, tmm_pte_pfn(pte))->kind != PAGE_FILE)
			continue;
		if (copy_on_write(mm, vma, at, pte) != TMM_FAULT_OK)
			return;
	}
}

/*
 * The page is there and the area allows the access.  An anonymous page with one
 * leaf is ours alone even while it is pinned: who pinned it wants to see the write.
 */
static enum tmm_fault fault_present(struct tmm_mm *mm, struct vma *vma, uint64_t va,
                                    tmm_pte old, bool write) TMM_REQUIRES(mm->lock)
{
	bool zero = (old.v & TMM_PTE_SPECIAL) != 0;
	enum tmm_fault fault;
	struct page *page;

	if (!write) {
		tmm_pte_replace(&mm->pt, (tmm_vaddr){va}, (tmm_pte){old.v | TMM_PTE_ACCESSED});
		return TMM_FAULT_OK;
	}
	page = zero ? NULL : page_of(mm->spaces->pages, tmm_pte_pfn(old));
	if (vma->flags & VM_SHARED) {
		file_page_set_dirty(mm->spaces->cache, tmm_pte_pfn(old));
	} else if (zero || page->kind == PAGE_FILE) {
		fault = copy_on_write(mm, vma, va, old);
		if (fault == TMM_FAULT_OK)
			copy_group(mm, vma, va, zero);
		return fault;
	} else if (!(old.v & TMM_PTE_WRITE) && page->mapcount > 1) {
		return copy_on_write(mm, vma, va, old);
	}
	make_writable(mm, vma, va, tmm_pte_pfn(old));
	return TMM_FAULT_OK;
}

/* ---- faults ------------------------------------------------------------- */

static enum tmm_fault fault_absent(struct tmm_mm *mm, struct vma *vma, uint64_t va, bool write,
                                   bool *major) TMM_REQUIRES(mm->lock)
{
	enum tmm_fault fault;

	if (vma_is_anonymous(vma))
		return write ? anon_write(mm, vma, va) : anon_read(mm, vma, va);
	if (write && !(vma->flags & VM_SHARED))
		vma_make_family(vma); /* as on Linux even when no page can be had */
	fault = file_read(mm, vma, va, major);
	if (fault == TMM_FAULT_OK && write)
		fault = fault_present(mm, vma, va, tmm_pte_get(&mm->pt, (tmm_vaddr){va}), true);
	return fault;
}

/* x86 has no right to write, or execute, that is not a right to read too. */
static bool allows(const struct vma *vma, unsigned access)
{
	if ((access & TMM_ACCESS_WRITE) && !(vma->flags & VM_WRITE))
		return false;
	if ((access & TMM_ACCESS_EXEC) && !(vma->flags & VM_EXEC))
		return false;
	return (vma->flags & VM_ACCESS) != 0;
}

static void count_fault(struct tmm_mm *mm, enum tmm_fault fault, bool major)
{
	if (fault == TMM_FAULT_OOM)
		mm->oom_faults++;
	if (fault != TMM_FAULT_OK)
		return;
	count_vm_event(mm->spaces->pages, PGFAULT);
	if (major) {
		count_vm_event(mm->spaces->pages, PGMAJFAULT);
		mm->major_faults++;
	} else {
		mm->minor_faults++;
	}
}

enum tmm_fault mm_fault(struct tmm_mm *mm, uint64_t addr, unsigned access)
{
	bool write = (access & TMM_ACCESS_WRITE) != 0, major = false;
	uint64_t va = align_down(addr, TMM_PAGE_SIZE);
	enum tmm_fault fault;
	struct vma *vma;
	tmm_pte pte;

	if (addr >= mm->layout.task_size)
		return TMM_FAULT_MAPERR;
	vma = mm_find_vma_grow(mm, addr);
	if (!vma)
		return TMM_FAULT_MAPERR;
	if (!allows(vma, access))
		return TMM_FAULT_ACCERR;
	pte = tmm_pte_get(&mm->pt, (tmm_vaddr){va});
	if (pte.v == 0)
		fault = fault_absent(mm, vma, va, write, &major);
	else
		fault = fault_present(mm, vma, va, pte, write);
	count_fault(mm, fault, major);
	return fault;
}

enum tmm_fault tmm_mm_fault(struct tmm_mm *mm, uint64_t addr, unsigned access)
{
	enum tmm_fault fault;

	lock_take(&mm->lock);
	fault = mm_fault(mm, addr, access);
	lock_drop(&mm->lock);
	return fault;
}
