/*
 * mm.h - one address space: areas, tables, counters
 *
 * An area (struct vma) is a range of pages with the same rights and the same
 * thing behind them.  Areas are sorted in a range tree; neighbours that could be
 * one area are one.
 *
 * Files    mm.c creation and totals; vma.c areas split, join and change; layout.c
 *          where a new area goes; zap.c pages go; mmap.c, munmap.c, mprotect.c,
 *          mremap.c, brk.c, madvise.c, sync.c the calls; stack.c growth;
 *          shared_anon.c memory shared without a file; fault.c, user_copy.c how
 *          pages come; report.c, check.c what is shown and what must hold
 * Locks    mm->lock guards all of it; functions here are called with it held
 */
#ifndef TUXMM_SPACE_MM_H
#define TUXMM_SPACE_MM_H

#include "base/range_tree.h"
#include "cache/mapping.h"
#include "page/page.h"
#include "space/space_system.h"

/* Values of Linux; VM_MAYx = VM_x << 4. */
#define VM_READ       UINT32_C(0x00000001)
#define VM_WRITE      UINT32_C(0x00000002)
#define VM_EXEC       UINT32_C(0x00000004)
#define VM_SHARED     UINT32_C(0x00000008)
#define VM_MAYREAD    UINT32_C(0x00000010)
#define VM_MAYWRITE   UINT32_C(0x00000020)
#define VM_MAYEXEC    UINT32_C(0x00000040)
#define VM_MAYSHARE   UINT32_C(0x00000080)
#define VM_GROWSDOWN  UINT32_C(0x00000100)
#define VM_LOCKED     UINT32_C(0x00002000)
#define VM_SEQ_READ   UINT32_C(0x00008000)
#define VM_RAND_READ  UINT32_C(0x00010000)
#define VM_DONTCOPY   UINT32_C(0x00020000)
#define VM_ACCOUNT    UINT32_C(0x00100000) /* its pages are in committed_pages */
#define VM_NORESERVE  UINT32_C(0x00200000)
#define VM_SYNC       UINT32_C(0x00800000) /* MAP_SYNC was asked for; only joining minds */
#define VM_WIPEONFORK UINT32_C(0x02000000)
#define VM_DONTDUMP   UINT32_C(0x04000000)
#define VM_HUGEPAGE   UINT32_C(0x20000000)
#define VM_NOHUGEPAGE UINT32_C(0x40000000)

#define VM_ACCESS     (VM_READ | VM_WRITE | VM_EXEC)
#define VM_MAYACCESS  (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/* All (m) mm->lock. */
struct vma {
	union {
		struct range range; /* first: a range of the tree is an area */
		struct {
			uint64_t start, end;
		};
	};
	struct tmm_mm *mm;
	uint32_t flags;        /* VM_* */
	struct tmm_file *file; /* NULL: private anonymous; a reference is held */

	/*
	 * Page of the file at start.  Private anonymous: start's page number when the
	 * area was made; once pages are made it travels with them through mremap, so
	 * that areas join only if their pages still are in line.
	 */
	uint64_t pgoff;

	/*
	 * 0: no private page was ever made here.  Else the number of the family of
	 * anonymous pages; areas of two families never join (Linux: anon_vma).
	 */
	uint64_t anon_family;
};

/* A run of anonymous pages that faults have made: fault.c. */
struct anon_run {
	uint64_t start, end;
};

#define NR_ANON_RUNS 8u

/* (c) constant after create  (m) mm->lock  (l) spaces->lock  (a) atomic */
struct tmm_mm {
	struct lock lock;
	uint32_t refcount;               /* (a) */
	struct tmm_space_system *spaces; /* (c) */
	struct list link;                /* (l) in spaces->mms */
	struct tmm_pgtable pt;           /* (m) */
	struct range_tree areas;         /* (m) */
	struct vma *spare_vmas;          /* (m) for insertions to come, by range.next */
	uint32_t nr_spare_vmas;          /* (m) */
	struct tmm_mm_layout layout;     /* (c) */
	struct tmm_mm_limits limits;     /* (m) */
	struct tmm_mm_image image;       /* (m) */
	uint64_t brk;                    /* (m) the break: heap is [image.start_brk, brk) */
	uint64_t next_family;            /* (m) */

	/* Pages of areas, by Linux's classes. */
	uint64_t total_pages; /* (m) */
	uint64_t data_pages;  /* (m) private and writable */
	uint64_t stack_pages; /* (m) growing down */
	uint64_t exec_pages;  /* (m) executable, not writable */
	uint64_t locked_pages;
	uint64_t peak_total_pages;
	uint64_t peak_table_pages;

	/* Pages present: change only through mm_count_pages(). */
	uint64_t rss_pages[TMM_NR_RSS];              /* (m) */
	uint64_t peak_rss_pages;                     /* (m) */
	uint64_t kind_pages[TMM_NR_AREA_KINDS];      /* (m) */
	uint64_t kind_peak_pages[TMM_NR_AREA_KINDS]; /* (m) */

	struct anon_run anon_run[NR_ANON_RUNS]; /* (m) made last */
	uint32_t next_anon_run;                 /* (m) the next to be forgotten */

	/* Faults answered since the mm was made; fault.c counts. */
	uint64_t minor_faults, major_faults, oom_faults; /* (m) */
};

static inline struct vma *vma_of_range(struct range *range)
{
	return (struct vma *)(void *)range;
}

/* The first area that ends above addr, or NULL; it may start above addr too. */
static inline struct vma *find_vma(const struct tmm_mm *mm, uint64_t addr)
{
	return vma_of_range(range_tree_find(&mm->areas, addr));
}

/* Neighbours in rising order, or NULL. */
static inline struct vma *vma_next(const struct vma *vma)
{
	return vma_of_range(vma->range.next);
}

static inline struct vma *vma_prev(const struct vma *vma)
{
	return vma_of_range(vma->range.prev);
}

#define vma_for_each(vma, mm)                                                                  \
	for (struct vma *vma = vma_of_range((mm)->areas.first); vma; vma = vma_next(vma))

static inline uint64_t vma_pages(const struct vma *vma)
{
	return (vma->end - vma->start) >> TMM_PAGE_SHIFT;
}

/* Page of the file (or of the family's line) at addr. */
static inline uint64_t vma_pgoff_at(const struct vma *vma, uint64_t addr)
{
	return vma->pgoff + ((addr - vma->start) >> TMM_PAGE_SHIFT);
}

/* Private anonymous memory, whose pages start as zeroes. */
static inline bool vma_is_anonymous(const struct vma *vma)
{
	return !vma->file;
}

/* What the page at addr counts as in kind_pages. */
static inline enum tmm_area_kind mm_page_kind(const struct tmm_mm *mm, const struct vma *vma,
                                              uint64_t addr)
{
	if (vma->file && !vma->file->spec.shmem)
		return TMM_AREA_TEXT;
	if (vma->flags & VM_GROWSDOWN)
		return TMM_AREA_STACK;
	if (addr >= mm->image.start_brk && addr < align_up(mm->brk, TMM_PAGE_SIZE))
		return TMM_AREA_HEAP;
	return TMM_AREA_MMAP;
}

/* How many of nr pages at and above addr, of one area, are of the kind of the first. */
static inline uint64_t mm_same_kind(const struct tmm_mm *mm, uint64_t addr, uint64_t nr)
{
	const uint64_t start = align_up(mm->image.start_brk, TMM_PAGE_SIZE);
	const uint64_t end = align_up(mm->brk, TMM_PAGE_SIZE);
	const uint64_t turn = addr < start ? start : end;

	return addr < turn ? min_u64(nr, (turn - addr) >> TMM_PAGE_SHIFT) : nr;
}

/* Count nr pages at and above addr, of one area, as those of their kinds. */
static inline void mm_count_kinds_up(struct tmm_mm *mm, const struct vma *vma, uint64_t addr,
                                     uint64_t nr)
{
	for (uint64_t same; nr > 0; nr -= same, addr += same << TMM_PAGE_SHIFT) {
		enum tmm_area_kind kind = mm_page_kind(mm, vma, addr);

		same = mm_same_kind(mm, addr, nr);
		mm->kind_pages[kind] += same;
		mm->kind_peak_pages[kind] = max_u64(mm->kind_peak_pages[kind],
		                                    mm->kind_pages[kind]);
	}
}

static inline void mm_count_kinds_down(struct tmm_mm *mm, const struct vma *vma, uint64_t addr,
                                       uint64_t nr)
{
	for (uint64_t same; nr > 0; nr -= same, addr += same << TMM_PAGE_SHIFT) {
		same = mm_same_kind(mm, addr, nr);
		mm->kind_pages[mm_page_kind(mm, vma, addr)] -= same;
	}
}

/* What a counted page counts as in rss_pages; the zero page is never counted. */
static inline enum tmm_rss vma_page_rss(const struct vma *vma, const struct page *page)
{
	if (page->kind == PAGE_ANON)
		return TMM_RSS_ANON;
	return vma->file->spec.shmem ? TMM_RSS_SHMEM : TMM_RSS_FILE;
}

/*
 * nr leaves at and above addr, of one kind of page and one area, were made
 * (up) or are gone (down).  The callers of tmm_pte_set() and the gone-callbacks
 * of tmm_pte_clear_range() call these, nobody else.  A copy-on-write that puts an
 * anonymous page in a file page's place calls both.
 */
static inline void mm_count_pages_up(struct tmm_mm *mm, const struct vma *vma, uint64_t addr,
                                     enum tmm_rss rss, uint64_t nr)
{
	uint64_t all;

	mm->rss_pages[rss] += nr;
	mm_count_kinds_up(mm, vma, addr, nr);
	all = mm->rss_pages[TMM_RSS_FILE] + mm->rss_pages[TMM_RSS_ANON] +
	      mm->rss_pages[TMM_RSS_SHMEM];
	mm->peak_rss_pages = max_u64(mm->peak_rss_pages, all);
	mm->peak_table_pages = max_u64(mm->peak_table_pages, mm->pt.nr_tables);
}

static inline void mm_count_pages_down(struct tmm_mm *mm, const struct vma *vma, uint64_t addr,
                                       enum tmm_rss rss, uint64_t nr)
{
	mm->rss_pages[rss] -= nr;
	mm_count_kinds_down(mm, vma, addr, nr);
}

/*
 * The area that contains addr, for an access there: a stack area above addr
 * grows down to it if limits, guard gap and memory allow.  NULL: none.
 */
struct vma *mm_find_vma_grow(struct tmm_mm *mm, uint64_t addr);

/* Call before the first private page of an area is made: gives it its family. */
void vma_make_family(struct vma *vma);

/*
 * Clear the leaves of [start, end), within the area, uncount them and give the
 * pages back: anonymous ones are freed with their last reference, file pages
 * dropped to the cache (dirty if the leaf is and the area is shared).
 */
void mm_zap_range(struct tmm_mm *mm, const struct vma *vma, uint64_t start, uint64_t end);

/*
 * Rights are kept in leaves as WRITE and NX; a leaf of an area without any
 * access (PROT_NONE) stays present without USER, so that its page is kept and
 * every access traps.
 */
static inline uint64_t vma_leaf_bits(const struct vma *vma)
{
	return TMM_PTE_PRESENT | ((vma->flags & VM_ACCESS) ? TMM_PTE_USER : 0) |
	       ((vma->flags & VM_EXEC) ? 0 : TMM_PTE_NX);
}

#endif
