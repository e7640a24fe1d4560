/*
 * mm.c - address spaces: made, counted, ended
 *
 * An mm is a slab object with the root of its page tables; areas come later.  The
 * last reference unmaps everything.  total_pages and its classes count pages of
 * areas, whether present or not: limits are checked against them.
 */
#include "space/vma.h"

static bool layout_valid(const struct tmm_mm_layout *layout)
{
	uint64_t all = layout->task_size | layout->mmap_min | layout->mmap_base;

	return !(all & ~TMM_PAGE_MASK) && layout->mmap_min < layout->mmap_base &&
	       layout->mmap_base <= layout->task_size &&
	       layout->task_size <= (UINT64_C(1) << 47) - TMM_PAGE_SIZE;
}

tmm_err tmm_mm_create(struct tmm_space_system *spaces, const struct tmm_mm_layout *layout,
                      const struct tmm_mm_limits *limits, struct tmm_mm **out_mm)
{
	struct tmm_mm *mm;
	tmm_err err;

	if (!layout_valid(layout))
		return TMM_E_INVAL;
	mm = tmm_cache_alloc(spaces->mm_cache, TMM_GFP_KERNEL | TMM_GFP_ZERO);
	if (!mm)
		return TMM_E_NOMEM;
	err = tmm_pgtable_init(&mm->pt, spaces->pages);
	if (err != TMM_OK) {
		tmm_cache_free(spaces->mm_cache, mm);
		return err;
	}
	lock_init(&mm->lock, RANK_MM);
	mm->refcount = 1;
	mm->spaces = spaces;
	mm->layout = *layout;
	mm->limits = *limits;
	mm->peak_table_pages = mm->pt.nr_tables;

	lock_take(&spaces->lock);
	list_add_tail(&spaces->mms, &mm->link);
	spaces->nr_mms++;
	lock_drop(&spaces->lock);
	*out_mm = mm;
	return TMM_OK;
}

struct tmm_mm *tmm_mm_get(struct tmm_mm *mm)
{
	/* relaxed: who has a reference may make more */
	__atomic_fetch_add(&mm->refcount, 1, __ATOMIC_RELAXED);
	return mm;
}

static void unlist(struct tmm_mm *mm)
{
	struct tmm_space_system *spaces = mm->spaces;

	lock_take(&spaces->lock);
	list_del(&mm->link);
	spaces->nr_mms--;
	spaces->gone_minor_faults += mm->minor_faults;
	spaces->gone_major_faults += mm->major_faults;
	spaces->gone_oom_faults += mm->oom_faults;
	lock_drop(&spaces->lock);
}

void tmm_mm_put(struct tmm_mm *mm)
{
	/* acquire, release: the last one sees what the others did */
	if (__atomic_sub_fetch(&mm->refcount, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	unlist(mm);
	lock_take(&mm->lock);
	mm_unmap(mm, find_vma(mm, 0), 0, mm->layout.task_size);
	mm_unprepare(mm);
	lock_drop(&mm->lock);
	TMM_ASSERT(mm->total_pages == 0 && mm->rss_pages[TMM_RSS_ANON] == 0);
	tmm_pgtable_fini(&mm->pt);
	tmm_cache_free(mm->spaces->mm_cache, mm);
}

struct tmm_pgtable *tmm_mm_pgtable(struct tmm_mm *mm)
{
	return &mm->pt;
}

void tmm_mm_set_limits(struct tmm_mm *mm, const struct tmm_mm_limits *limits)
{
	lock_take(&mm->lock);
	mm->limits = *limits;
	lock_drop(&mm->lock);
}

void tmm_mm_set_image(struct tmm_mm *mm, const struct tmm_mm_image *image)
{
	lock_take(&mm->lock);
	TMM_ASSERT(mm->brk == mm->image.start_brk); /* no heap yet, which counts by address */
	mm->image = *image;
	mm->brk = image->start_brk;
	lock_drop(&mm->lock);
}

const struct tmm_mm_image *tmm_mm_image(const struct tmm_mm *mm)
{
	return &mm->image;
}

static bool is_data(uint32_t flags)
{
	return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

/* The class of such areas' pages, NULL for those that only count in all. */
static uint64_t *class_of(struct tmm_mm *mm, uint32_t flags)
{
	if ((flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) == VM_EXEC)
		return &mm->exec_pages;
	if (flags & VM_GROWSDOWN)
		return &mm->stack_pages;
	return is_data(flags) ? &mm->data_pages : NULL;
}

void mm_account(struct tmm_mm *mm, uint32_t flags, uint64_t nr)
{
	uint64_t *pages = class_of(mm, flags);

	mm->total_pages += nr;
	mm->peak_total_pages = max_u64(mm->peak_total_pages, mm->total_pages);
	if (pages)
		*pages += nr;
	if (flags & VM_LOCKED)
		mm->locked_pages += nr;
}

void mm_unaccount(struct tmm_mm *mm, uint32_t flags, uint64_t nr)
{
	uint64_t *pages = class_of(mm, flags);

	mm->total_pages -= nr;
	if (pages)
		*pages -= nr;
	if (flags & VM_LOCKED)
		mm->locked_pages -= nr;
}

bool mm_may_expand(const struct tmm_mm *mm, uint32_t flags, uint64_t nr)
{
	if (mm->total_pages + nr > mm->limits.as_bytes >> TMM_PAGE_SHIFT)
		return false;
	return !is_data(flags) ||
	       mm->data_pages + nr <= mm->limits.data_bytes >> TMM_PAGE_SHIFT;
}

bool mm_may_lock(const struct tmm_mm *mm, uint32_t flags, uint64_t nr)
{
	return !(flags & VM_LOCKED) ||
	       mm->locked_pages + nr <= mm->limits.memlock_bytes >> TMM_PAGE_SHIFT;
}

/* What access brings the page at addr; false: it is there, or no access can. */
static bool wanted_access(struct tmm_mm *mm, uint64_t addr, unsigned *out_access)
{
	const struct vma *vma;
	bool wanted = false;

	lock_take(&mm->lock);
	vma = find_vma(mm, addr);
	if (vma && vma->start <= addr && (vma->flags & VM_ACCESS) &&
	    !(tmm_pte_get(&mm->pt, (tmm_vaddr){addr}).v & TMM_PTE_PRESENT)) {
		bool private_write = (vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE;

		*out_access = private_write ? TMM_ACCESS_WRITE : TMM_ACCESS_READ;
		wanted = true;
	}
	lock_drop(&mm->lock);
	return wanted;
}

void mm_populate(struct tmm_mm *mm, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += TMM_PAGE_SIZE) {
		unsigned access;

		if (wanted_access(mm, addr, &access) &&
		    tmm_mm_fault(mm, addr, access) != TMM_FAULT_OK)
			return;
	}
}
