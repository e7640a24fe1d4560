/*
 * user_copy.c - bytes between user and kernel memory, and user pages lent
 *
 * A copy does what the access of a user instruction would do: it looks at the
 * leaf, faults where the leaf does not allow it (so that a write to a shared or
 * read-only page copies it first, and accessed and dirty are set), and then uses
 * the frame through its address, or one that it has for the moment.  mm->lock is held from the
 * look to the last byte of a page, so that the page cannot go in between.
 *
 * A range that is not all user space is refused as a whole, before any byte of it
 * is touched, as Linux's access_ok() does.
 *
 * A lent page has one more reference; its leaf may go meanwhile, its frame not.
 * The zero page is lent without: it never goes.
 */
#include "page/page_system.h"
#include "space/fault.h"

static bool is_user_range(const struct tmm_mm *mm, uint64_t addr, uint64_t bytes)
{
	return bytes <= mm->layout.task_size && addr <= mm->layout.task_size - bytes;
}

/* The frame of addr, once it allows the access; TMM_PFN_NONE: it cannot. */
static tmm_pfn user_frame(struct tmm_mm *mm, uint64_t addr, unsigned access)
	TMM_REQUIRES(mm->lock)
{
	uint64_t need = TMM_PTE_PRESENT | TMM_PTE_USER | TMM_PTE_ACCESSED;
	tmm_pte pte = tmm_pte_get(&mm->pt, (tmm_vaddr){addr});

	if (access & TMM_ACCESS_WRITE)
		need |= TMM_PTE_WRITE | TMM_PTE_DIRTY;
	if (unlikely((pte.v & need) != need)) {
		if (mm_fault(mm, addr, access) != TMM_FAULT_OK)
			return TMM_PFN_NONE;
		pte = tmm_pte_get(&mm->pt, (tmm_vaddr){addr});
	}
	return tmm_pte_pfn(pte);
}

/* Part of a frame. */
struct piece {
	tmm_pfn pfn;
	size_t offset, bytes;
};

/*
 * What can be had of [addr, addr + bytes) in one piece: to the end of its page.
 * False: nothing.
 */
static bool user_piece(struct tmm_mm *mm, uint64_t addr, size_t bytes, unsigned access,
                       struct piece *out) TMM_REQUIRES(mm->lock)
{
	out->pfn = user_frame(mm, addr, access);
	if (out->pfn.v == TMM_PFN_NONE.v)
		return false;
	out->offset = addr & ~TMM_PAGE_MASK;
	out->bytes = (size_t)min_u64(TMM_PAGE_SIZE - out->offset, bytes);
	return true;
}

static char *piece_map(const struct tmm_mm *mm, const struct piece *piece)
{
	return (char *)page_map_local(mm->spaces->pages, piece->pfn) + piece->offset;
}

static void piece_unmap(const struct tmm_mm *mm, const char *address)
{
	page_unmap_local(mm->spaces->pages, address);
}

size_t tmm_copy_from_user(struct tmm_mm *mm, void *to, uint64_t from, size_t bytes)
{
	struct piece piece;
	char *next = to;

	if (!is_user_range(mm, from, bytes) ||
	    !tmm_usercopy_allowed(mm->spaces->slabs, to, bytes, false))
		return bytes;
	lock_take(&mm->lock);
	while (bytes > 0 && user_piece(mm, from, bytes, TMM_ACCESS_READ, &piece)) {
		const char *source = piece_map(mm, &piece);

		memcpy(next, source, piece.bytes);
		piece_unmap(mm, source);
		next += piece.bytes;
		from += piece.bytes;
		bytes -= piece.bytes;
	}
	lock_drop(&mm->lock);
	return bytes;
}

size_t tmm_copy_to_user(struct tmm_mm *mm, uint64_t to, const void *from, size_t bytes)
{
	struct piece piece;
	const char *next = from;

	if (!is_user_range(mm, to, bytes) ||
	    !tmm_usercopy_allowed(mm->spaces->slabs, from, bytes, true))
		return bytes;
	lock_take(&mm->lock);
	while (bytes > 0 && user_piece(mm, to, bytes, TMM_ACCESS_WRITE, &piece)) {
		char *target = piece_map(mm, &piece);

		memcpy(target, next, piece.bytes);
		piece_unmap(mm, target);
		next += piece.bytes;
		to += piece.bytes;
		bytes -= piece.bytes;
	}
	lock_drop(&mm->lock);
	return bytes;
}

size_t tmm_clear_user(struct tmm_mm *mm, uint64_t to, size_t bytes)
{
	struct piece piece;

	if (!is_user_range(mm, to, bytes))
		return bytes;
	lock_take(&mm->lock);
	while (bytes > 0 && user_piece(mm, to, bytes, TMM_ACCESS_WRITE, &piece)) {
		char *target = piece_map(mm, &piece);

		memset(target, 0, piece.bytes);
		piece_unmap(mm, target);
		to += piece.bytes;
		bytes -= piece.bytes;
	}
	lock_drop(&mm->lock);
	return bytes;
}

/* Copy up to and with the NUL; false: there is none among the bytes. */
static bool copy_string(char *to, const char *from, size_t bytes, size_t *out_length)
{
	for (size_t i = 0; i < bytes; i++) {
		to[i] = from[i];
		if (from[i] == '\0') {
			*out_length = i;
			return true;
		}
	}
	return false;
}

tmm_err tmm_strncpy_from_user(struct tmm_mm *mm, char *to, uint64_t from, size_t bytes,
                              size_t *out_length)
{
	struct piece piece;
	size_t done = 0, length;
	tmm_err err = TMM_E_RANGE;
	bool ends;

	lock_take(&mm->lock);
	while (done < bytes) {
		uint64_t at = from + done;
		const char *source;

		err = TMM_E_FAULT;
		if (!is_user_range(mm, at, 1) ||
		    !user_piece(mm, at, bytes - done, TMM_ACCESS_READ, &piece))
			break;
		source = piece_map(mm, &piece);
		ends = copy_string(to + done, source, piece.bytes, &length);
		piece_unmap(mm, source);
		if (ends) {
			*out_length = done + length;
			err = TMM_OK;
			break;
		}
		done += piece.bytes;
		err = TMM_E_RANGE;
	}
	lock_drop(&mm->lock);
	return err;
}

/* ---- pages lent --------------------------------------------------------- */

static void pin(struct tmm_mm *mm, tmm_pfn pfn) TMM_REQUIRES(mm->lock)
{
	struct page *page = page_of(mm->spaces->pages, pfn);

	if (page->kind == PAGE_ANON)
		page->refcount++;
	else if (page->kind == PAGE_FILE)
		file_page_get(mm->spaces->cache, pfn, false);
}

static void unpin(struct tmm_mm *mm, const void *address) TMM_REQUIRES(mm->lock)
{
	tmm_pfn pfn = page_frame_at(mm->spaces->pages, address);
	const struct page *page = page_of(mm->spaces->pages, pfn);

	page_unmap_long(mm->spaces->pages, address);
	if (page->kind == PAGE_ANON)
		anon_page_put(mm, pfn);
	else if (page->kind == PAGE_FILE)
		file_page_put(mm->spaces->cache, pfn, false, false);
}

/*
 * Give the frame an address and a reference.  False: no address is free now; the first
 * page of a request waits for one, without the lock, and then looks anew.
 */
static bool lend_piece(struct tmm_mm *mm, const struct piece *piece, bool is_first,
                       struct tmm_user_piece *out) TMM_REQUIRES(mm->lock)
{
	char *address = page_map_long(mm->spaces->pages, piece->pfn);

	if (unlikely(!address)) {
		if (is_first) {
			lock_drop(&mm->lock);
			tmm_port_relax();
			lock_take(&mm->lock);
		}
		return false;
	}
	pin(mm, piece->pfn);
	*out = (struct tmm_user_piece){.address = address + piece->offset,
	                               .bytes = piece->bytes};
	return true;
}

static bool continues(const struct tmm_user_piece *last, const struct tmm_user_piece *next)
{
	return (char *)last->address + last->bytes == (char *)next->address;
}

size_t tmm_get_user_pages(struct tmm_mm *mm, uint64_t addr, size_t bytes, bool write,
                          struct tmm_user_piece *out, size_t max, size_t *out_bytes)
{
	unsigned access = write ? TMM_ACCESS_WRITE : TMM_ACCESS_READ;
	size_t nr = 0, done = 0;
	struct piece piece;

	*out_bytes = 0;
	if (!is_user_range(mm, addr, bytes))
		return 0;
	lock_take(&mm->lock);
	while (done < bytes && user_piece(mm, addr + done, bytes - done, access, &piece)) {
		struct tmm_user_piece lent;

		if (!lend_piece(mm, &piece, nr == 0, &lent)) {
			if (nr == 0)
				continue;
			break;
		}
		if (nr > 0 && continues(&out[nr - 1], &lent)) {
			out[nr - 1].bytes += lent.bytes;
		} else if (nr < max) {
			out[nr++] = lent;
		} else {
			unpin(mm, lent.address);
			break;
		}
		done += piece.bytes;
	}
	lock_drop(&mm->lock);
	*out_bytes = done;
	return nr;
}

void tmm_put_user_pages(struct tmm_mm *mm, const struct tmm_user_piece *pieces, size_t nr)
{
	lock_take(&mm->lock);
	for (size_t i = 0; i < nr; i++) {
		const char *at = pieces[i].address, *end = at + pieces[i].bytes;

		/* From page to page: the first one may begin in its middle. */
		while (at < end) {
			size_t in_page = (size_t)(TMM_PAGE_SIZE -
			                          ((uintptr_t)at & ~TMM_PAGE_MASK));

			unpin(mm, at);
			at += in_page;
		}
	}
	lock_drop(&mm->lock);
}
