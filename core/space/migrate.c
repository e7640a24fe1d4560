/*
 * migrate.c - pages of address spaces go to other frames
 *
 * An anonymous page has one leaf, in the address space that owns it.  Where that is,
 * its index says: the page's place in its family's line, in 32 bits.  Memory that
 * was never moved by mremap is at that page number, give or take the bits above; else
 * the areas are searched for one that the place falls into.
 *
 *   index ----> va = page number, unless moved      leaf -> from ?
 *          `--> area by area: start + index - pgoff leaf -> from ?
 *
 * The leaf first loses USER: whoever caches it forgets it, and an access from then on
 * traps and waits for mm->lock.  Then the page is copied, and the leaf leads to the
 * copy.  Nothing can fail once that has begun.
 *
 * A page of a file may be mapped anywhere.  Its leaves are taken away, which needs the
 * list of address spaces; an access finds the page in the cache again.  Locked
 * memory is left alone, for its leaves must stay.
 *
 * An mm that owns a page is alive as long as it is on the list, whose lock is held:
 * it leaves the list first and gives up its pages after, and those of one that has
 * left are told from others by asking the list.
 *
 * All locks are only tried: a page may be wanted by somebody who holds them.
 */
#include "page/page_system.h"
#include "space/vma.h"

/* Bits of a page number that page.index has not. */
#define HIGH_PARTS (1u << (47 - TMM_PAGE_SHIFT - 32))

static bool is_listed(const struct tmm_space_system *spaces, const void *mm)
	TMM_REQUIRES(spaces->lock)
{
	list_for_each (node, &spaces->mms)
		if (list_entry(node, struct tmm_mm, link) == mm)
			return true;
	return false;
}

static bool leads_to(const struct tmm_mm *mm, uint64_t va, tmm_pfn pfn)
{
	tmm_pte pte = tmm_pte_get(&mm->pt, (tmm_vaddr){va});

	return (pte.v & TMM_PTE_PRESENT) && !(pte.v & TMM_PTE_SPECIAL) &&
	       tmm_pte_pfn(pte).v == pfn.v;
}

/* The address whose leaf leads to the page; false: there is none. */
static bool find_leaf(const struct tmm_mm *mm, uint32_t index, tmm_pfn pfn, uint64_t *out_va)
{
	for (uint64_t high = 0; high < HIGH_PARTS; high++) {
		*out_va = (high << 32 | index) << TMM_PAGE_SHIFT;
		if (leads_to(mm, *out_va, pfn))
			return true;
	}
	vma_for_each (vma, mm) {
		uint64_t nr = (uint32_t)(index - (uint32_t)vma->pgoff);

		for (; nr < vma_pages(vma); nr += UINT64_C(1) << 32) {
			*out_va = vma->start + (nr << TMM_PAGE_SHIFT);
			if (leads_to(mm, *out_va, pfn))
				return true;
		}
	}
	return false;
}

/* mm->lock is held, and the page is its own. */
static tmm_err move_owned(struct tmm_mm *mm, tmm_pfn from, tmm_pfn to)
{
	struct tmm_pages *pages = mm->spaces->pages;
	const struct page *page = page_of(pages, from);
	uint64_t bits, va;

	if (page->refcount != 1 || page->mapcount != 1 ||
	    !find_leaf(mm, page->index, from, &va))
		return TMM_E_BUSY;
	bits = tmm_pte_get(&mm->pt, (tmm_vaddr){va}).v & ~TMM_PTE_FRAME;
	tmm_pte_replace(&mm->pt, (tmm_vaddr){va},
	                tmm_pte_make(from, bits & ~(TMM_PTE_USER | TMM_PTE_WRITE)));
	page_copy(pages, to, from);
	page_take_over(pages, from, to);
	node_stat_move(pages, from, to, NR_ANON_PAGES);
	tmm_pte_replace(&mm->pt, (tmm_vaddr){va}, tmm_pte_make(to, bits));
	return TMM_OK;
}

static tmm_err move_anon(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct tmm_space_system *spaces = arg;
	const struct page *page = page_of(spaces->pages, from);
	tmm_err err = TMM_E_NOENT;
	struct tmm_mm *mm;

	if (!lock_try(&spaces->lock))
		return TMM_E_AGAIN;
	mm = page_owner(page);
	if (is_listed(spaces, mm)) {
		err = TMM_E_AGAIN;
		if (lock_try(&mm->lock)) {
			err = TMM_E_NOENT;
			if (page_kind(page) == PAGE_ANON && page_owner(page) == mm)
				err = move_owned(mm, from, to);
			lock_drop(&mm->lock);
		}
	}
	lock_drop(&spaces->lock);
	return err;
}

/* ---- pages of files ---- */

/* Take the page's leaves out of one address space; false: one of them must stay. */
static bool unmap_page(struct tmm_mm *mm, const struct file_place *place, tmm_pfn pfn)
{
	vma_for_each (vma, mm) {
		uint64_t va;

		if (!vma->file || vma->file->spec.mapping != place->mapping ||
		    place->index - vma->pgoff >= vma_pages(vma))
			continue;
		va = vma->start + ((place->index - vma->pgoff) << TMM_PAGE_SHIFT);
		if (!leads_to(mm, va, pfn))
			continue;
		if (vma->flags & VM_LOCKED)
			return false;
		mm_zap_range(mm, vma, va, va + TMM_PAGE_SIZE);
	}
	return true;
}

static tmm_err unmap_everywhere(struct tmm_space_system *spaces, const struct file_place *place,
                                tmm_pfn pfn)
{
	tmm_err err = TMM_OK;

	if (!lock_try(&spaces->lock))
		return TMM_E_AGAIN;
	list_for_each (node, &spaces->mms) {
		struct tmm_mm *mm = list_entry(node, struct tmm_mm, link);

		if (err != TMM_OK)
			break;
		if (!lock_try(&mm->lock)) {
			err = TMM_E_AGAIN;
			break;
		}
		if (!unmap_page(mm, place, pfn))
			err = TMM_E_BUSY;
		lock_drop(&mm->lock);
	}
	lock_drop(&spaces->lock);
	return err;
}

static tmm_err move_file(void *arg, tmm_pfn from, tmm_pfn to)
{
	struct tmm_space_system *spaces = arg;
	struct file_place place;
	tmm_err err = TMM_OK;

	if (!file_page_place(spaces->cache, from, &place))
		return TMM_E_AGAIN;
	if (place.nr_pins > 0)
		return TMM_E_BUSY;
	if (place.mapcount > 0)
		err = unmap_everywhere(spaces, &place, from);
	return err ? err : file_page_move(spaces->cache, from, to);
}

void space_set_movers(struct tmm_space_system *spaces, bool on)
{
	static const struct tmm_migrate_ops anon = {.move = move_anon},
					    file = {.move = move_file};

	pages_set_mover(spaces->pages, PAGE_ANON, on ? &anon : NULL, spaces);
	pages_set_mover(spaces->pages, PAGE_FILE, on ? &file : NULL, spaces);
}
