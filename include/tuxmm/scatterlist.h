/*
 * scatterlist.h - a buffer in pieces, for devices that gather and scatter
 *
 * A list is an array of entries, each one piece of physically adjacent memory; the
 * last says so.  Long lists are several arrays: the last entry of one is a link to
 * the next, which walkers with tmm_sg_next() do not see.
 *
 * Owning   entries are the caller's, or of a table's
 * Locks    none: the caller sees to it that one at a time changes a list
 * Linux    struct scatterlist, sg_alloc_table(), sg_alloc_table_from_pages()
 */
#ifndef TUXMM_SCATTERLIST_H
#define TUXMM_SCATTERLIST_H

#include <tuxmm/slab.h>

/* An address as a device sees it. */
typedef struct {
	uint64_t v;
} tmm_dma_addr;

struct tmm_sg {
	uint64_t link;            /* the next array, in an entry that is a link; else 0 */
	tmm_pfn pfn;              /* the piece's first frame */
	uint64_t bytes;           /* its length */
	uint32_t offset;          /* from the frame's start */
	uint32_t flags;           /* bit 0: the last one, bit 1: a link */
	tmm_dma_addr dma_address; /* after mapping, of the first entries */
	uint64_t dma_bytes;
};

/* Entries of one array that a table allocates: what fits in a page. */
#define TMM_SG_MAX_SINGLE 85u

struct tmm_sg_table {
	struct tmm_sg *list;
	unsigned nr; /* pieces */
	struct tmm_slab_system *slabs;
};

/* nr empty entries, the last one marked. */
void tmm_sg_init(struct tmm_sg *list, unsigned nr);

/* Name the piece; `end` and links stay as they are. */
void tmm_sg_set_page(struct tmm_sg *entry, tmm_pfn pfn, uint64_t bytes, uint32_t offset);
void tmm_sg_set_buffer(const struct tmm_pages *pages, struct tmm_sg *entry, const void *buffer,
                       uint64_t bytes);

/* The next piece, past links; NULL behind the last. */
struct tmm_sg *tmm_sg_next(struct tmm_sg *entry);
struct tmm_sg *tmm_sg_last(struct tmm_sg *list);
unsigned tmm_sg_nr(struct tmm_sg *list);
void tmm_sg_mark_end(struct tmm_sg *entry);

/* The last of the nr entries of `list`, an empty one, becomes a link to `more`. */
void tmm_sg_chain(struct tmm_sg *list, unsigned nr, struct tmm_sg *more);

/* nr empty pieces, in as many arrays as it takes.  TMM_E_NOMEM; TMM_E_INVAL: nr is 0. */
TMM_MUST_CHECK tmm_err tmm_sg_table_alloc(struct tmm_sg_table *table,
                                          struct tmm_slab_system *slabs, unsigned nr,
                                          tmm_gfp gfp);

/*
 * The buffer of `bytes` from `offset` on in these frames; adjacent ones share an entry,
 * up to max_segment_bytes (0: any).
 */
TMM_MUST_CHECK tmm_err tmm_sg_table_from_pages(struct tmm_sg_table *table,
                                               struct tmm_slab_system *slabs,
                                               const tmm_pfn *pfns, size_t nr_pfns,
                                               uint32_t offset, uint64_t bytes,
                                               uint64_t max_segment_bytes, tmm_gfp gfp);
void tmm_sg_table_free(struct tmm_sg_table *table);

/* Between a list and a buffer, from the list's byte `skip` on; returns the bytes copied. */
uint64_t tmm_sg_copy_from_buffer(const struct tmm_pages *pages, struct tmm_sg *list,
                                 const void *buffer, uint64_t bytes, uint64_t skip);
uint64_t tmm_sg_copy_to_buffer(const struct tmm_pages *pages, struct tmm_sg *list, void *buffer,
                               uint64_t bytes, uint64_t skip);

#endif
