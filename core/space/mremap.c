/*
 * mremap.c - areas grow, shrink and move
 *
 * A move makes the new area, carries the leaves over and unmaps the old range,
 * which is empty by then.  Everything that can fail comes before; the tables that
 * the carried leaves need are the last of it.  What was mapped at a fixed new
 * address is lost if that last step fails, as on Linux.
 *
 * Private anonymous memory that was never touched takes the page numbers of its
 * new place, so that it can join neighbours there; once touched it keeps those of
 * the old one.
 */
#include "page/page_system.h"
#include "space/vma.h"

struct remap {
	struct tmm_mm *mm;
	struct vma *vma; /* contains addr */
	uint64_t addr, old_length;
	uint64_t new_addr, new_length;
	uint32_t flags;
	uint64_t populate_start, populate_end; /* what a locked area gained */
};

static bool names_address(const struct remap *remap)
{
	return remap->flags & (TMM_MREMAP_FIXED | TMM_MREMAP_DONTUNMAP);
}

static bool overlaps_itself(const struct remap *remap)
{
	return remap->addr + remap->old_length > remap->new_addr &&
	       remap->new_addr + remap->new_length > remap->addr;
}

/* What can be said without looking at areas. */
static tmm_err check_arguments(const struct remap *remap)
{
	const uint32_t known = TMM_MREMAP_FIXED | TMM_MREMAP_MAYMOVE | TMM_MREMAP_DONTUNMAP;
	uint64_t task_size = remap->mm->layout.task_size;

	if ((remap->flags & ~known) || (remap->addr & ~TMM_PAGE_MASK) || !remap->new_length ||
	    remap->new_length > task_size)
		return TMM_E_INVAL;
	if (!names_address(remap))
		return TMM_OK;
	if (remap->new_addr > task_size - remap->new_length ||
	    (remap->new_addr & ~TMM_PAGE_MASK) || !(remap->flags & TMM_MREMAP_MAYMOVE))
		return TMM_E_INVAL;
	if ((remap->flags & TMM_MREMAP_DONTUNMAP) && remap->old_length != remap->new_length)
		return TMM_E_INVAL;
	return overlaps_itself(remap) ? TMM_E_INVAL : TMM_OK;
}

/* May the area at addr be moved, or grow? */
static tmm_err check_area(const struct remap *remap)
{
	const struct vma *vma = remap->vma;
	uint64_t stays = min_u64(remap->old_length, remap->new_length);
	uint64_t delta = remap->new_length - stays, pgoff = vma_pgoff_at(vma, remap->addr);

	if (!remap->old_length && !(vma->flags & (VM_SHARED | VM_MAYSHARE)))
		return TMM_E_INVAL;
	if (stays > vma->end - remap->addr)
		return TMM_E_FAULT;
	/* What is cut off may reach over several areas, but not out of user space. */
	if (remap->old_length > remap->mm->layout.task_size - remap->addr)
		return TMM_E_INVAL;
	if (!delta)
		return TMM_OK;
	if (pgoff + (remap->new_length >> TMM_PAGE_SHIFT) < pgoff)
		return TMM_E_INVAL;
	if (!mm_may_lock(remap->mm, vma->flags, delta >> TMM_PAGE_SHIFT))
		return TMM_E_AGAIN;
	if (!mm_may_expand(remap->mm, vma->flags, delta >> TMM_PAGE_SHIFT))
		return TMM_E_NOMEM;
	return TMM_OK;
}

static bool too_many_areas(const struct tmm_mm *mm, unsigned to_come)
{
	return mm->areas.nr_ranges + to_come + 3 >= mm->spaces->config.max_map_count;
}

static tmm_err commit(const struct remap *remap, uint64_t bytes)
{
	if (!(remap->vma->flags & VM_ACCOUNT))
		return TMM_OK;
	return space_commit(remap->mm->spaces, remap->mm->total_pages, bytes >> TMM_PAGE_SHIFT)
	               ? TMM_OK
	               : TMM_E_NOMEM;
}

/* Nothing is mapped behind the area for delta bytes, and user space does not end. */
static bool can_grow_in_place(const struct remap *remap, uint64_t delta)
{
	const struct vma *vma = remap->vma;

	return remap->old_length == vma->end - remap->addr &&
	       delta <= remap->mm->layout.task_size - vma->end &&
	       !find_overlap(remap->mm, vma->end, vma->end + delta);
}

static tmm_err grow_in_place(struct remap *remap, uint64_t delta)
{
	struct tmm_mm *mm = remap->mm;
	struct vma more = *remap->vma;
	tmm_err err = commit(remap, delta);

	if (err != TMM_OK)
		return err;
	more.start = remap->vma->end;
	more.end = more.start + delta;
	more.pgoff = vma_pgoff_at(remap->vma, more.start);
	vma_add(mm, &more, vma_next(remap->vma)); /* joins the area, so it needs no memory */
	mm_account(mm, more.flags, delta >> TMM_PAGE_SHIFT);
	remap->new_addr = remap->addr;
	if (more.flags & VM_LOCKED) {
		remap->populate_start = more.start;
		remap->populate_end = more.end;
	}
	return TMM_OK;
}

struct recount {
	struct tmm_mm *mm;
	const struct vma *vma;
	bool up;
};

static bool recount_leaf(void *arg, tmm_vaddr va, tmm_pte pte)
{
	const struct recount *recount = arg;
	enum tmm_rss rss;

	if (pte.v & TMM_PTE_SPECIAL)
		return true;
	rss = vma_page_rss(recount->vma, page_of(recount->mm->spaces->pages, tmm_pte_pfn(pte)));
	if (recount->up)
		mm_count_pages_up(recount->mm, recount->vma, va.v, rss, 1);
	else
		mm_count_pages_down(recount->mm, recount->vma, va.v, rss, 1);
	return true;
}

/* Pages are counted by kind, and what is heap is told by its address. */
static void recount(struct tmm_mm *mm, const struct vma *vma, uint64_t start, uint64_t bytes,
                    bool up)
{
	struct recount recount = {mm, vma, up};

	tmm_pte_for_each(&mm->pt, (tmm_vaddr){start}, (tmm_vaddr){start + bytes}, recount_leaf,
	                 &recount);
}

static bool in_heap(const struct tmm_mm *mm, uint64_t start, uint64_t bytes)
{
	return start < align_up(mm->brk, TMM_PAGE_SIZE) && start + bytes > mm->image.start_brk;
}

static tmm_err carry_leaves(const struct remap *remap, uint64_t bytes)
{
	struct tmm_mm *mm = remap->mm;
	bool kinds_change = in_heap(mm, remap->addr, bytes) ||
	                    in_heap(mm, remap->new_addr, bytes);
	tmm_err err;

	if (kinds_change)
		recount(mm, remap->vma, remap->addr, bytes, false);
	err = tmm_pte_move_range(&mm->pt, (tmm_vaddr){remap->addr},
	                         (tmm_vaddr){remap->new_addr}, bytes);
	if (kinds_change)
		recount(mm, remap->vma, err == TMM_OK ? remap->new_addr : remap->addr, bytes,
		        true);
	return err;
}

/* The old area stays, without its pages. */
static void leave_empty(struct remap *remap)
{
	struct tmm_mm *mm = remap->mm;
	struct vma *old = find_vma(mm, remap->addr);

	if (old->flags & VM_LOCKED) {
		mm_unaccount(mm, old->flags, vma_pages(old));
		old->flags &= ~VM_LOCKED;
		mm_account(mm, old->flags, vma_pages(old));
	}
	if (old->start == remap->addr && old->end == remap->addr + remap->old_length)
		old->anon_family = 0;
}

/* Where the area goes is free, and what it needs is there but for page tables. */
static tmm_err move(struct remap *remap)
{
	struct tmm_mm *mm = remap->mm;
	struct vma want = *remap->vma;
	uint64_t nr_old = remap->old_length >> TMM_PAGE_SHIFT;
	tmm_err err;

	want.start = remap->new_addr;
	want.end = remap->new_addr + remap->new_length;
	want.pgoff = vma_pgoff_at(remap->vma, remap->addr);
	if (vma_is_anonymous(&want) && !want.anon_family)
		want.pgoff = want.start >> TMM_PAGE_SHIFT;
	err = carry_leaves(remap, remap->old_length);
	if (err != TMM_OK)
		return err;
	vma_add(mm, &want, find_vma(mm, want.start));
	mm_account(mm, want.flags, remap->new_length >> TMM_PAGE_SHIFT);
	if (remap->flags & TMM_MREMAP_DONTUNMAP) {
		leave_empty(remap);
	} else if (nr_old) {
		if (want.flags & VM_ACCOUNT)
			space_keep(mm->spaces, nr_old); /* unmapping takes it back */
		mm_unmap(mm, find_vma(mm, remap->addr), remap->addr,
		         remap->addr + remap->old_length);
	}
	if (want.flags & VM_LOCKED) {
		remap->populate_start = want.start + remap->old_length;
		remap->populate_end = want.end;
	}
	return TMM_OK;
}

/* Promise what the move adds, and move. */
static tmm_err commit_and_move(struct remap *remap)
{
	uint64_t gained = remap->new_length - remap->old_length;
	bool accounted = remap->vma->flags & VM_ACCOUNT;
	tmm_err err;

	if (remap->flags & TMM_MREMAP_DONTUNMAP)
		gained = remap->new_length;
	if (too_many_areas(remap->mm, 0))
		return TMM_E_NOMEM;
	err = commit(remap, gained);
	if (err != TMM_OK)
		return err;
	err = move(remap);
	if (err != TMM_OK && accounted)
		space_uncommit(remap->mm->spaces, gained >> TMM_PAGE_SHIFT);
	return err;
}

/* MREMAP_FIXED or MREMAP_DONTUNMAP: make room at the new place, cut off what is too much. */
static tmm_err remap_to(struct remap *remap)
{
	struct tmm_mm *mm = remap->mm;
	bool fixed = remap->flags & TMM_MREMAP_FIXED;
	tmm_err err;

	err = mm_place(mm, remap->new_addr, remap->new_length, fixed ? TMM_MAP_FIXED : 0,
	               &remap->new_addr);
	if (err != TMM_OK)
		return err;
	if (fixed)
		mm_unmap(mm, find_vma(mm, remap->new_addr), remap->new_addr,
		         remap->new_addr + remap->new_length);
	if (remap->old_length > remap->new_length) {
		uint64_t cut = remap->addr + remap->new_length;

		mm_unmap(mm, find_vma(mm, cut), cut, remap->addr + remap->old_length);
		remap->old_length = remap->new_length;
	}
	/* Either may have cut the area, and what is only copied may be gone. */
	remap->vma = find_vma(mm, remap->addr);
	if (!remap->vma || remap->vma->start > remap->addr)
		return TMM_E_FAULT;
	if ((remap->flags & TMM_MREMAP_DONTUNMAP) &&
	    !mm_may_expand(mm, remap->vma->flags, remap->new_length >> TMM_PAGE_SHIFT))
		return TMM_E_NOMEM;
	return commit_and_move(remap);
}

static tmm_err grow(struct remap *remap)
{
	uint64_t delta = remap->new_length - remap->old_length;
	tmm_err err;

	if (can_grow_in_place(remap, delta))
		return grow_in_place(remap, delta);
	if (!(remap->flags & TMM_MREMAP_MAYMOVE))
		return TMM_E_NOMEM;
	err = mm_place(remap->mm, 0, remap->new_length, 0, &remap->new_addr);
	return err == TMM_OK ? commit_and_move(remap) : err;
}

static tmm_err remap_locked(struct remap *remap)
{
	struct tmm_mm *mm = remap->mm;
	tmm_err err;

	if (names_address(remap) && too_many_areas(mm, 2))
		return TMM_E_NOMEM;
	remap->vma = find_vma(mm, remap->addr);
	if (!remap->vma || remap->vma->start > remap->addr)
		return TMM_E_FAULT;
	if (!names_address(remap)) {
		remap->new_addr = remap->addr;
		if (remap->old_length == remap->new_length)
			return TMM_OK;
		if (remap->old_length > remap->new_length)
			return mm_munmap(mm, remap->addr + remap->new_length,
			                 remap->old_length - remap->new_length);
	}
	err = check_area(remap);
	if (err != TMM_OK)
		return err;
	/* The place (2), the tail (2), the new area (1), the old range (2). */
	if (!mm_prepare(mm, 7))
		return TMM_E_NOMEM;
	return names_address(remap) ? remap_to(remap) : grow(remap);
}

tmm_err tmm_mm_mremap(struct tmm_mm *mm, uint64_t old_addr, uint64_t old_length,
                      uint64_t new_length, uint32_t flags, uint64_t new_addr,
                      uint64_t *out_addr)
{
	struct remap remap = {.mm = mm,
	                      .addr = old_addr,
	                      .old_length = align_up(old_length, TMM_PAGE_SIZE),
	                      .new_addr = new_addr,
	                      .new_length = align_up(new_length, TMM_PAGE_SIZE),
	                      .flags = flags};
	tmm_err err = check_arguments(&remap);

	if (err != TMM_OK)
		return err;
	lock_take(&mm->lock);
	err = remap_locked(&remap);
	lock_drop(&mm->lock);
	if (err != TMM_OK)
		return err;
	mm_populate(mm, remap.populate_start, remap.populate_end);
	*out_addr = remap.new_addr;
	return TMM_OK;
}
