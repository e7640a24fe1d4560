/*
 * vma.h - areas and pages, as the calls of this folder change them
 *
 * A call first checks what can be refused, then brings all the memory it may
 * need (mm_prepare), and only then changes anything; from there on it cannot
 * fail.  So a call that fails leaves the address space as it was.
 *
 * Locks    all with mm->lock held, but for mm_populate()
 */
#ifndef TUXMM_SPACE_VMA_H
#define TUXMM_SPACE_VMA_H

#include "space/mm.h"

/* One call's insertions at most: see mm_prepare(). */
#define MAX_INSERTIONS 8u

static inline struct vma *mm_last_vma(const struct tmm_mm *mm)
{
	return vma_of_range(mm->areas.last);
}

/* The first area that overlaps [start, end), or NULL. */
static inline struct vma *find_overlap(const struct tmm_mm *mm, uint64_t start, uint64_t end)
{
	struct vma *vma = find_vma(mm, start);

	return vma && vma->start < end ? vma : NULL;
}

/* The lowest address that a new area before this one may not reach into. */
static inline uint64_t vma_start_gap(const struct vma *vma)
{
	if (!(vma->flags & VM_GROWSDOWN))
		return vma->start;
	return vma->start > STACK_GUARD_GAP ? vma->start - STACK_GUARD_GAP : 0;
}

static inline uint64_t bytes_to_pages(uint64_t bytes)
{
	return (bytes + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT;
}

/* Rights that mmap and mprotect ask for, as flags; other bits of prot mean nothing here. */
static inline uint32_t vm_flags_of_prot(uint32_t prot)
{
	return prot & (TMM_PROT_READ | TMM_PROT_WRITE | TMM_PROT_EXEC);
}

/* vma.c */

/* Bring memory for nr insertions; false: there is none, and nothing has changed. */
TMM_MUST_CHECK bool mm_prepare(struct tmm_mm *mm, unsigned nr);

/* Give back all that was prepared. */
void mm_unprepare(struct tmm_mm *mm);

/*
 * A new area with the bounds, flags, file, pgoff and family of *want: its
 * neighbours grow where they can join it; next is the one above, or NULL.
 * Prepared: 1.  The file's reference is taken here.  Returns the area that now
 * covers it.
 */
struct vma *vma_add(struct tmm_mm *mm, const struct vma *want, struct vma *next);

/* The same, but it stays by itself. */
struct vma *vma_insert(struct tmm_mm *mm, const struct vma *want);

/* Cut at addr, inside the area; prepared: 1.  Returns the upper part. */
struct vma *vma_split(struct vma *vma, uint64_t addr);

/* Take an area without pages out. */
void vma_drop(struct vma *vma);

/*
 * Give [start, end), within the area, other flags: joins neighbours where it can,
 * splits where it must.  Returns the area that covers it now; NULL: that would
 * be more areas than allowed or memory is short, and nothing has changed.
 */
TMM_MUST_CHECK struct vma *vma_change_flags(struct vma *vma, uint64_t start, uint64_t end,
                                            uint32_t flags);

/* Can the two, which touch, be one? */
bool vma_can_join(const struct vma *left, const struct vma *right);

/* mm.c */

/* nr pages of areas with such flags come or go. */
void mm_account(struct tmm_mm *mm, uint32_t flags, uint64_t nr);
void mm_unaccount(struct tmm_mm *mm, uint32_t flags, uint64_t nr);

/* Do the limits allow nr more pages of such areas? */
bool mm_may_expand(const struct tmm_mm *mm, uint32_t flags, uint64_t nr);
bool mm_may_lock(const struct tmm_mm *mm, uint32_t flags, uint64_t nr);

/* Fault in what is absent of [start, end), as far as it goes.  Without mm->lock. */
void mm_populate(struct tmm_mm *mm, uint64_t start, uint64_t end);

/* layout.c */

/* Where Linux would place length bytes, page aligned; errors as mmap has them. */
TMM_MUST_CHECK tmm_err mm_place(const struct tmm_mm *mm, uint64_t hint, uint64_t length,
                                uint32_t map_flags, uint64_t *out_addr);

/* munmap.c */

/*
 * The two want the first area that ends above start, or NULL, as find_vma() has
 * it, so that one search serves a whole call.
 *
 * May [start, end) be unmapped?  TMM_E_NOMEM: cutting it out of one area would
 * make one too many.
 */
TMM_MUST_CHECK tmm_err mm_may_unmap(const struct tmm_mm *mm, const struct vma *vma,
                                    uint64_t start, uint64_t end);

/* Unmap; allowed, and prepared: 2.  Returns the first area above the range, or NULL. */
struct vma *mm_unmap(struct tmm_mm *mm, struct vma *vma, uint64_t start, uint64_t end);

/* munmap(2), with mm->lock held. */
TMM_MUST_CHECK tmm_err mm_munmap(struct tmm_mm *mm, uint64_t addr, uint64_t length);

/* shared_anon.c */

/* A file of zeroes that lives as long as it is mapped. */
TMM_MUST_CHECK tmm_err shared_anon_create(struct tmm_mm *mm, uint64_t nr_pages, bool noreserve,
                                          struct tmm_file **out_file);

/* check.c */

/* Panics unless all invariants hold; returns the pages of accounted areas. */
uint64_t mm_check(struct tmm_mm *mm);

#endif
