/*
 * vma.c - areas: how they are made, split, joined and changed
 *
 * Two areas that touch are one if nothing could tell them apart: same flags,
 * same file at consecutive pages, and no pages of two different families of
 * anonymous memory.  Joining is decided where an area is made or changed, against
 * the neighbours it has at that moment, as Linux does; areas that become alike by
 * other ways stay two.
 *
 * An insertion needs an area object and nodes for the tree.  mm_prepare() keeps
 * a few of both in the mm, so that mmap after munmap costs no allocation.
 */
#include "space/vma.h"

/* Objects that an mm keeps for itself: the two pieces of an ordinary call. */
#define KEEP_VMAS 2u

static bool fill_vmas(struct tmm_mm *mm, unsigned nr)
{
	while (mm->nr_spare_vmas < nr) {
		struct vma *vma = tmm_cache_alloc(mm->spaces->vma_cache, TMM_GFP_KERNEL);

		if (!vma)
			return false;
		vma->range.next = mm->spare_vmas ? &mm->spare_vmas->range : NULL;
		mm->spare_vmas = vma;
		mm->nr_spare_vmas++;
	}
	return true;
}

bool mm_prepare(struct tmm_mm *mm, unsigned nr)
{
	TMM_ASSERT(nr <= MAX_INSERTIONS);
	for (unsigned lacks = range_tree_lacks(&mm->areas, nr); lacks > 0; lacks--) {
		void *node = tmm_cache_alloc(mm->spaces->node_cache, TMM_GFP_KERNEL);

		if (!node)
			return false;
		range_tree_stock(&mm->areas, node);
	}
	return fill_vmas(mm, nr);
}

static struct vma *take_spare(struct tmm_mm *mm)
{
	struct vma *vma = mm->spare_vmas;

	TMM_ASSERT(vma); /* the caller prepared */
	mm->spare_vmas = vma_of_range(vma->range.next);
	mm->nr_spare_vmas--;
	return vma;
}

void mm_unprepare(struct tmm_mm *mm)
{
	void *node;

	while (mm->nr_spare_vmas > 0)
		tmm_cache_free(mm->spaces->vma_cache, take_spare(mm));
	while ((node = range_tree_unstock(&mm->areas, 0)))
		tmm_cache_free(mm->spaces->node_cache, node);
}

/* Keep what the next call will need, let the rest go. */
static void free_vma(struct tmm_mm *mm, struct vma *vma)
{
	unsigned keep = MAX_INSERTIONS * (mm->areas.height + 1);
	void *node;

	while ((node = range_tree_unstock(&mm->areas, keep)))
		tmm_cache_free(mm->spaces->node_cache, node);
	if (mm->nr_spare_vmas >= KEEP_VMAS) {
		tmm_cache_free(mm->spaces->vma_cache, vma);
		return;
	}
	vma->range.next = mm->spare_vmas ? &mm->spare_vmas->range : NULL;
	mm->spare_vmas = vma;
	mm->nr_spare_vmas++;
}

struct vma *vma_insert(struct tmm_mm *mm, const struct vma *want)
{
	struct vma *vma = take_spare(mm);

	*vma = *want;
	vma->mm = mm;
	vma->range.prev = vma->range.next = NULL;
	if (vma->file)
		tmm_file_get(vma->file);
	range_tree_insert(&mm->areas, &vma->range);
	return vma;
}

static void set_bounds(struct vma *vma, uint64_t start, uint64_t end)
{
	/* start's page stays at its place in the file, also when start moves down */
	vma->pgoff += (uint64_t)((int64_t)(start - vma->start) >> TMM_PAGE_SHIFT);
	range_tree_resize(&vma->mm->areas, &vma->range, start, end);
}

void vma_drop(struct vma *vma)
{
	struct tmm_mm *mm = vma->mm;

	range_tree_remove(&mm->areas, &vma->range);
	if (vma->file)
		tmm_file_put(vma->file);
	free_vma(mm, vma);
}

static bool families_agree(uint64_t a, uint64_t b)
{
	return a == 0 || b == 0 || a == b;
}

bool vma_can_join(const struct vma *left, const struct vma *right)
{
	return left->end == right->start && left->flags == right->flags &&
	       left->file == right->file && vma_pgoff_at(left, left->end) == right->pgoff &&
	       families_agree(left->anon_family, right->anon_family);
}

/* Whom of its neighbours an area like *want can join; NULL: not that one. */
struct joinable {
	struct vma *left, *right;
};

static struct joinable joinable(const struct vma *want, struct vma *prev, struct vma *next)
{
	struct joinable join = {NULL, NULL};

	if (prev && vma_can_join(prev, want))
		join.left = prev;
	if (next && vma_can_join(want, next))
		join.right = next;
	if (join.left && join.right && !families_agree(prev->anon_family, next->anon_family))
		join.right = NULL;
	return join;
}

static void adopt_family(struct vma *vma, const struct vma *other)
{
	if (!vma->anon_family)
		vma->anon_family = other->anon_family;
}

struct vma *vma_add(struct tmm_mm *mm, const struct vma *want, struct vma *next)
{
	struct joinable join = joinable(want, next ? vma_prev(next) : mm_last_vma(mm), next);

	if (join.left) {
		uint64_t end = want->end;

		adopt_family(join.left, want);
		if (join.right) {
			adopt_family(join.left, join.right);
			end = join.right->end;
			vma_drop(join.right);
		}
		set_bounds(join.left, join.left->start, end);
		return join.left;
	}
	if (join.right) {
		adopt_family(join.right, want);
		set_bounds(join.right, want->start, join.right->end);
		return join.right;
	}
	return vma_insert(mm, want);
}

struct vma *vma_split(struct vma *vma, uint64_t addr)
{
	struct vma upper = *vma;

	TMM_ASSERT(vma->start < addr && addr < vma->end);
	upper.start = addr;
	upper.pgoff = vma_pgoff_at(vma, addr);
	set_bounds(vma, vma->start, addr);
	return vma_insert(vma->mm, &upper);
}

/* The changed part joins its neighbours, which take its place. */
static struct vma *change_by_joining(struct vma *vma, const struct vma *want,
                                     const struct joinable *join)
{
	bool whole = want->start == vma->start && want->end == vma->end;
	uint64_t start = join->left ? join->left->start : want->start;
	uint64_t end = join->right ? join->right->end : want->end;
	struct vma *stays = join->left ? join->left : join->right;

	adopt_family(stays, want);
	if (join->left && join->right) {
		adopt_family(stays, join->right);
		vma_drop(join->right);
	}
	if (whole)
		vma_drop(vma);
	else if (join->left)
		set_bounds(vma, want->end, vma->end);
	else
		set_bounds(vma, vma->start, want->start);
	set_bounds(stays, start, end);
	return stays;
}

struct vma *vma_change_flags(struct vma *vma, uint64_t start, uint64_t end, uint32_t flags)
{
	struct tmm_mm *mm = vma->mm;
	unsigned nr_cuts = (vma->start < start ? 1u : 0u) + (end < vma->end ? 1u : 0u);
	struct vma want = *vma;
	struct joinable join;

	want.start = start;
	want.end = end;
	want.flags = flags;
	want.pgoff = vma_pgoff_at(vma, start);
	join = joinable(&want, vma->start == start ? vma_prev(vma) : NULL,
	                vma->end == end ? vma_next(vma) : NULL);
	if (join.left || join.right)
		return change_by_joining(vma, &want, &join);

	if (nr_cuts && mm->areas.nr_ranges + nr_cuts > mm->spaces->config.max_map_count)
		return NULL;
	if (!mm_prepare(mm, nr_cuts))
		return NULL;
	if (vma->start < start)
		vma = vma_split(vma, start);
	if (end < vma->end)
		vma_split(vma, end);
	vma->flags = flags;
	return vma;
}

/* Could pages of the two be one family's?  Rights may differ: they come back together. */
static bool same_line(const struct vma *left, const struct vma *right)
{
	return left->end == right->start && left->file == right->file &&
	       !((left->flags ^ right->flags) & ~VM_ACCESS) &&
	       vma_pgoff_at(left, left->end) == right->pgoff;
}

void vma_make_family(struct vma *vma)
{
	const struct vma *prev = vma_prev(vma), *next = vma_next(vma);

	if (vma->anon_family)
		return;
	if (next && next->anon_family && same_line(vma, next))
		vma->anon_family = next->anon_family;
	else if (prev && prev->anon_family && same_line(prev, vma))
		vma->anon_family = prev->anon_family;
	else
		vma->anon_family = ++vma->mm->next_family;
}
