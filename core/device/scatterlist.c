/*
 * scatterlist.c - lists of pieces, and tables that own them
 *
 *   array    [piece][piece]...[link]      all but the last array end in a link
 *   array                         [piece]...[piece, the last]
 */
#include <tuxmm/scatterlist.h>

#include "device/bus.h"

#define SG_END  (1u << 0)
#define SG_LINK (1u << 1)

_Static_assert(TMM_SG_MAX_SINGLE * sizeof(struct tmm_sg) <= TMM_PAGE_SIZE &&
                       (TMM_SG_MAX_SINGLE + 1) * sizeof(struct tmm_sg) > TMM_PAGE_SIZE,
               "an array fills a page");

void tmm_sg_init(struct tmm_sg *list, unsigned nr)
{
	memset(list, 0, nr * sizeof(*list));
	tmm_sg_mark_end(&list[nr - 1]);
}

void tmm_sg_mark_end(struct tmm_sg *entry)
{
	entry->flags = (entry->flags | SG_END) & ~SG_LINK;
}

void tmm_sg_set_page(struct tmm_sg *entry, tmm_pfn pfn, uint64_t bytes, uint32_t offset)
{
	entry->pfn = pfn;
	entry->bytes = bytes;
	entry->offset = offset;
}

void tmm_sg_set_buffer(const struct tmm_pages *pages, struct tmm_sg *entry, const void *buffer,
                       uint64_t bytes)
{
	tmm_sg_set_page(entry, tmm_virt_to_pfn(pages, buffer), bytes,
	                (uint32_t)((uintptr_t)buffer & (TMM_PAGE_SIZE - 1)));
}

static struct tmm_sg *past_links(struct tmm_sg *entry)
{
	while (entry->flags & SG_LINK)
		entry = (struct tmm_sg *)(uintptr_t)entry->link;
	return entry;
}

struct tmm_sg *tmm_sg_next(struct tmm_sg *entry)
{
	return entry->flags & SG_END ? NULL : past_links(entry + 1);
}

struct tmm_sg *tmm_sg_last(struct tmm_sg *list)
{
	for (struct tmm_sg *next = list; next; next = tmm_sg_next(next))
		list = next;
	return list;
}

unsigned tmm_sg_nr(struct tmm_sg *list)
{
	unsigned nr = 0;

	for (; list; list = tmm_sg_next(list))
		nr++;
	return nr;
}

void tmm_sg_chain(struct tmm_sg *list, unsigned nr, struct tmm_sg *more)
{
	struct tmm_sg *last = &list[nr - 1];

	*last = (struct tmm_sg){.link = (uint64_t)(uintptr_t)more, .flags = SG_LINK};
}

/* ---- tables ---- */

/* Arrays are as long as they were made, whatever has been marked as the end since. */
void tmm_sg_table_free(struct tmm_sg_table *table)
{
	unsigned left = table->nr;

	for (struct tmm_sg *array = table->list, *next; array; array = next) {
		const struct tmm_sg *last = &array[TMM_SG_MAX_SINGLE - 1];
		bool is_last = left <= TMM_SG_MAX_SINGLE || !(last->flags & SG_LINK);

		next = is_last ? NULL : (struct tmm_sg *)(uintptr_t)last->link;
		tmm_kfree(table->slabs, array);
		left -= TMM_SG_MAX_SINGLE - 1;
	}
	*table = (struct tmm_sg_table){.list = NULL};
}

tmm_err tmm_sg_table_alloc(struct tmm_sg_table *table, struct tmm_slab_system *slabs,
                           unsigned nr, tmm_gfp gfp)
{
	struct tmm_sg *before = NULL;

	if (!nr)
		return TMM_E_INVAL;
	*table = (struct tmm_sg_table){.slabs = slabs, .nr = nr};
	for (unsigned left = nr; left > 0;) {
		bool is_last = left <= TMM_SG_MAX_SINGLE;
		unsigned entries = is_last ? left : TMM_SG_MAX_SINGLE;
		struct tmm_sg *array = tmm_kmalloc(slabs, entries * sizeof(*array), gfp);

		if (!array) {
			tmm_sg_table_free(table);
			return TMM_E_NOMEM;
		}
		tmm_sg_init(array, entries);
		if (before)
			tmm_sg_chain(before, TMM_SG_MAX_SINGLE, array);
		else
			table->list = array;
		before = array;
		left -= is_last ? left : TMM_SG_MAX_SINGLE - 1;
	}
	return TMM_OK;
}

/* Bytes from page `at` on that lie in a row, at most `most`. */
static uint64_t row_bytes(const tmm_pfn *pfns, size_t nr_pfns, size_t at, uint32_t offset,
                          uint64_t most)
{
	uint64_t bytes = TMM_PAGE_SIZE - offset;

	while (bytes < most && at + 1 < nr_pfns && pfns[at].v + 1 == pfns[at + 1].v) {
		bytes += TMM_PAGE_SIZE;
		at++;
	}
	return min_u64(bytes, most);
}

/* Cut the buffer into entries; without a list they are only counted. */
static unsigned cut(struct tmm_sg *entry, const tmm_pfn *pfns, size_t nr_pfns, uint32_t offset,
                    uint64_t bytes, uint64_t max_bytes)
{
	uint64_t at = offset;
	unsigned nr = 0;

	for (; bytes > 0; nr++) {
		size_t page = at >> TMM_PAGE_SHIFT;
		uint32_t in = (uint32_t)(at & (TMM_PAGE_SIZE - 1));
		uint64_t here = row_bytes(pfns, nr_pfns, page, in, min_u64(bytes, max_bytes));

		if (entry) {
			tmm_sg_set_page(entry, pfns[page], here, in);
			entry = tmm_sg_next(entry);
		}
		at += here;
		bytes -= here;
	}
	return nr;
}

tmm_err tmm_sg_table_from_pages(struct tmm_sg_table *table, struct tmm_slab_system *slabs,
                                const tmm_pfn *pfns, size_t nr_pfns, uint32_t offset,
                                uint64_t bytes, uint64_t max_segment_bytes, tmm_gfp gfp)
{
	const uint64_t most = max_segment_bytes ? max_segment_bytes : UINT64_MAX;
	tmm_err err;

	if (!bytes || offset + bytes > (uint64_t)nr_pfns << TMM_PAGE_SHIFT)
		return TMM_E_INVAL;
	err = tmm_sg_table_alloc(table, slabs, cut(NULL, pfns, nr_pfns, offset, bytes, most),
	                         gfp);
	if (err == TMM_OK)
		(void)cut(table->list, pfns, nr_pfns, offset, bytes, most);
	return err;
}

/* ---- copies ---- */

static uint64_t copy(const struct tmm_pages *pages, struct tmm_sg *list, char *buffer,
                     uint64_t bytes, uint64_t skip, bool to_list)
{
	uint64_t done = 0;

	for (; list && done < bytes; list = tmm_sg_next(list)) {
		uint64_t here, piece;

		if (skip >= list->bytes) {
			skip -= list->bytes;
			continue;
		}
		here = min_u64(list->bytes - skip, bytes - done);
		piece = (list->pfn.v << TMM_PAGE_SHIFT) + list->offset + skip;
		if (to_list)
			memory_write(pages, piece, buffer + done, here);
		else
			memory_read(pages, buffer + done, piece, here);
		skip = 0;
		done += here;
	}
	return done;
}

uint64_t tmm_sg_copy_from_buffer(const struct tmm_pages *pages, struct tmm_sg *list,
                                 const void *buffer, uint64_t bytes, uint64_t skip)
{
	/* only read from, in that direction */
	return copy(pages, list, (char *)(uintptr_t)buffer, bytes, skip, true);
}

uint64_t tmm_sg_copy_to_buffer(const struct tmm_pages *pages, struct tmm_sg *list, void *buffer,
                               uint64_t bytes, uint64_t skip)
{
	return copy(pages, list, buffer, bytes, skip, false);
}
