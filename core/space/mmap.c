/*
 * mmap.c - a new area
 *
 * The order in which things are refused is Linux's, so that a call that is wrong
 * in two ways gets the same error.  What is mapped at the place already goes only
 * when nothing can fail any more.
 */
#include "space/vma.h"

#define MAX_FILE_BYTES (UINT64_MAX >> 1)

/* Flags that MAP_SHARED has always ignored when it did not know them. */
#define MAP_HUGE_2MB (21u << 26)
#define MAP_HUGE_1GB (30u << 26)
#define LEGACY_MAP_MASK                                                                        \
	(TMM_MAP_SHARED | TMM_MAP_PRIVATE | TMM_MAP_FIXED | TMM_MAP_ANONYMOUS |                \
	 TMM_MAP_DENYWRITE | TMM_MAP_EXECUTABLE | TMM_MAP_GROWSDOWN | TMM_MAP_LOCKED |         \
	 TMM_MAP_NORESERVE | TMM_MAP_POPULATE | TMM_MAP_NONBLOCK | TMM_MAP_STACK |             \
	 TMM_MAP_HUGETLB | TMM_MAP_32BIT | MAP_HUGE_2MB | MAP_HUGE_1GB)

/* One call on its way: the area it will be, and what the request still says. */
struct plan {
	struct vma want;
	const struct tmm_mmap_request *request;
	uint32_t map_flags;
	uint64_t nr_pages;
	uint64_t commit_pages; /* to be promised for it */
	uint64_t kept_pages;   /* and of promises to what it replaces, taken over */
	struct vma *first;     /* the first area that ends above its start, or NULL */
};

static tmm_err check_private_file(struct plan *plan, const struct tmm_file_spec *file)
{
	uint32_t *flags = &plan->want.flags;

	if (!file->readable)
		return TMM_E_ACCES;
	if (file->noexec) {
		if (*flags & VM_EXEC)
			return TMM_E_PERM;
		*flags &= ~VM_MAYEXEC;
	}
	return *flags & VM_GROWSDOWN ? TMM_E_INVAL : TMM_OK;
}

static tmm_err check_shared_file(struct plan *plan, const struct tmm_file_spec *file)
{
	if ((plan->request->prot & TMM_PROT_WRITE) && !file->writable)
		return TMM_E_ACCES;
	plan->want.flags |= VM_SHARED | VM_MAYSHARE;
	if (!file->writable)
		plan->want.flags &= ~(VM_MAYWRITE | VM_SHARED);
	return check_private_file(plan, file);
}

static tmm_err check_file(struct plan *plan)
{
	const struct tmm_file_spec *file = &plan->want.file->spec;
	uint64_t bytes = plan->nr_pages << TMM_PAGE_SHIFT;

	if (bytes > MAX_FILE_BYTES ||
	    plan->want.pgoff > (MAX_FILE_BYTES - bytes) >> TMM_PAGE_SHIFT)
		return TMM_E_OVERFLOW;
	switch (plan->map_flags & TMM_MAP_TYPE) {
	case TMM_MAP_SHARED_VALIDATE:
		if (plan->map_flags & ~(LEGACY_MAP_MASK | TMM_MAP_SHARED_VALIDATE))
			return TMM_E_OPNOTSUPP;
		return check_shared_file(plan, file);
	case TMM_MAP_SHARED:
		return check_shared_file(plan, file);
	case TMM_MAP_PRIVATE:
		return check_private_file(plan, file);
	default:
		return TMM_E_INVAL;
	}
}

static tmm_err check_anonymous(struct plan *plan)
{
	struct vma *want = &plan->want;

	switch (plan->map_flags & TMM_MAP_TYPE) {
	case TMM_MAP_SHARED:
		if (want->flags & VM_GROWSDOWN)
			return TMM_E_INVAL;
		want->flags |= VM_SHARED | VM_MAYSHARE;
		want->pgoff = 0;
		return TMM_OK;
	case TMM_MAP_PRIVATE:
		want->pgoff = want->start >> TMM_PAGE_SHIFT;
		return TMM_OK;
	default:
		return TMM_E_INVAL;
	}
}

static tmm_err set_flags(struct tmm_mm *mm, struct plan *plan)
{
	uint32_t *flags = &plan->want.flags;

	*flags = vm_flags_of_prot(plan->request->prot) | VM_MAYACCESS;
	if (plan->map_flags & TMM_MAP_GROWSDOWN)
		*flags |= VM_GROWSDOWN;
	if (plan->map_flags & TMM_MAP_SYNC)
		*flags |= VM_SYNC;
	if (plan->map_flags & TMM_MAP_STACK)
		*flags |= VM_NOHUGEPAGE;
	if (plan->map_flags & TMM_MAP_LOCKED) {
		if (mm->limits.memlock_bytes == 0)
			return TMM_E_PERM;
		*flags |= VM_LOCKED;
	}
	return mm_may_lock(mm, *flags, plan->nr_pages) ? TMM_OK : TMM_E_AGAIN;
}

static tmm_err check_request(struct tmm_mm *mm, struct plan *plan)
{
	const struct tmm_mmap_request *request = plan->request;
	uint64_t length = align_up(request->length, TMM_PAGE_SIZE), hint = request->addr;
	tmm_err err;

	if (request->offset & ~TMM_PAGE_MASK)
		return TMM_E_INVAL;
	if (!(plan->map_flags & TMM_MAP_ANONYMOUS) && !request->file)
		return TMM_E_BADF;
	if (plan->map_flags & TMM_MAP_HUGETLB) /* the pool of huge pages is empty */
		return plan->map_flags & TMM_MAP_ANONYMOUS ? TMM_E_NOMEM : TMM_E_INVAL;
	if (!request->length)
		return TMM_E_INVAL;
	if (!(plan->map_flags & TMM_MAP_FIXED)) {
		hint = align_down(hint, TMM_PAGE_SIZE);
		if (hint && hint < mm->layout.mmap_min)
			hint = mm->layout.mmap_min;
	}
	if (!length)
		return TMM_E_NOMEM;
	plan->nr_pages = length >> TMM_PAGE_SHIFT;
	plan->want.pgoff = request->offset >> TMM_PAGE_SHIFT;
	if (mm->areas.nr_ranges > mm->spaces->config.max_map_count)
		return TMM_E_NOMEM;
	err = mm_place(mm, hint, length, plan->map_flags, &plan->want.start);
	if (err != TMM_OK)
		return err;
	plan->want.end = plan->want.start + length;
	plan->first = find_vma(mm, plan->want.start);
	if ((plan->map_flags & TMM_MAP_FIXED_NOREPLACE) && plan->first &&
	    plan->first->start < plan->want.end)
		return TMM_E_EXIST;
	err = set_flags(mm, plan);
	if (err != TMM_OK)
		return err;
	return plan->want.file ? check_file(plan) : check_anonymous(plan);
}

/* Pages of areas in the range, and of them those that memory is promised for. */
static void count_replaced(const struct plan *plan, uint64_t *out_pages,
                           uint64_t *out_committed)
{
	const struct vma *want = &plan->want;
	uint64_t pages = 0, committed = 0;

	for (const struct vma *vma = plan->first; vma && vma->start < want->end;
	     vma = vma_next(vma)) {
		uint64_t nr = (min_u64(vma->end, want->end) -
		               max_u64(vma->start, want->start)) >>
		              TMM_PAGE_SHIFT;

		pages += nr;
		committed += vma->flags & VM_ACCOUNT ? nr : 0;
	}
	*out_pages = pages;
	*out_committed = committed;
}

/* Limits and promised memory, what will be replaced taken off. */
static tmm_err check_memory(struct tmm_mm *mm, struct plan *plan)
{
	struct vma *want = &plan->want;
	uint64_t pages, replaced;
	tmm_err err = mm_may_unmap(mm, plan->first, want->start, want->end);

	if (err != TMM_OK)
		return err;
	count_replaced(plan, &pages, &replaced);
	if (!mm_may_expand(mm, want->flags, plan->nr_pages - pages))
		return TMM_E_NOMEM;
	if ((plan->map_flags & TMM_MAP_NORESERVE) &&
	    mm->spaces->config.overcommit_memory != OVERCOMMIT_NEVER)
		want->flags |= VM_NORESERVE;
	if ((want->flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) != VM_WRITE)
		return TMM_OK;
	want->flags |= VM_ACCOUNT;
	plan->kept_pages = replaced;
	plan->commit_pages = plan->nr_pages - replaced;
	return space_commit(mm->spaces, mm->total_pages, plan->commit_pages) ? TMM_OK
	                                                                     : TMM_E_NOMEM;
}

static tmm_err map_locked(struct tmm_mm *mm, struct plan *plan)
{
	struct vma *want = &plan->want;
	struct tmm_file *made = NULL;
	tmm_err err = check_request(mm, plan);

	if (err == TMM_OK)
		err = check_memory(mm, plan);
	if (err != TMM_OK)
		return err;
	if (!mm_prepare(mm, 3))
		err = TMM_E_NOMEM;
	else if (!want->file && (want->flags & VM_SHARED))
		err = shared_anon_create(mm, plan->nr_pages, want->flags & VM_NORESERVE, &made);
	if (err != TMM_OK) {
		space_uncommit(mm->spaces, plan->commit_pages);
		return err;
	}
	if (made)
		want->file = made;
	space_keep(mm->spaces, plan->kept_pages); /* unmapping takes them back */
	vma_add(mm, want, mm_unmap(mm, plan->first, want->start, want->end));
	mm_account(mm, want->flags, plan->nr_pages);
	if (made)
		tmm_file_put(made); /* the area has its own */
	return TMM_OK;
}

tmm_err tmm_mm_mmap(struct tmm_mm *mm, const struct tmm_mmap_request *request,
                    uint64_t *out_addr)
{
	struct plan plan = {.request = request, .map_flags = request->flags};
	bool populate;
	tmm_err err;

	if (plan.map_flags & TMM_MAP_FIXED_NOREPLACE)
		plan.map_flags |= TMM_MAP_FIXED;
	if (!(plan.map_flags & TMM_MAP_ANONYMOUS))
		plan.want.file = request->file;
	lock_take(&mm->lock);
	err = map_locked(mm, &plan);
	lock_drop(&mm->lock);
	if (err != TMM_OK)
		return err;
	populate = (plan.map_flags & (TMM_MAP_POPULATE | TMM_MAP_NONBLOCK)) == TMM_MAP_POPULATE;
	if (populate || (plan.want.flags & VM_LOCKED))
		mm_populate(mm, plan.want.start, plan.want.end);
	*out_addr = plan.want.start;
	return TMM_OK;
}
