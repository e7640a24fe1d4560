/*
 * scatterlist.h - a buffer in pieces
 *
 * length and dma_length are 64 bits wide.
 */
#ifndef TUXMM_LINUX_SCATTERLIST_H
#define TUXMM_LINUX_SCATTERLIST_H

#include <tuxmm/linux/mm.h>
#include <tuxmm/scatterlist.h>

struct scatterlist {
	union {
		struct tmm_sg tmm;
		struct {
			u64 page_link; /* not Linux's bits */
			u64 page_nr;
			u64 length;
			u32 offset;
			u32 page_flags;
			u64 dma_address;
			u64 dma_length;
		};
	};
};

_Static_assert(offsetof(struct scatterlist, length) == offsetof(struct tmm_sg, bytes) &&
                       offsetof(struct scatterlist, offset) ==
                               offsetof(struct tmm_sg, offset) &&
                       offsetof(struct scatterlist, dma_address) ==
                               offsetof(struct tmm_sg, dma_address) &&
                       offsetof(struct scatterlist, dma_length) ==
                               offsetof(struct tmm_sg, dma_bytes) &&
                       sizeof(struct scatterlist) == sizeof(struct tmm_sg),
               "the names of both are of the same fields");

struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents;      /* stretches, once mapped */
	unsigned int orig_nents; /* pieces */
};

#define SG_MAX_SINGLE_ALLOC TMM_SG_MAX_SINGLE

#define sg_dma_address(sg)  ((sg)->dma_address)
#define sg_dma_len(sg)      ((sg)->dma_length)

TMM_LINUX_CALL struct scatterlist *tmm_linux_sg(struct tmm_sg *entry)
{
	return (struct scatterlist *)entry;
}

TMM_LINUX_CALL void sg_init_table(struct scatterlist *sgl, unsigned int nents)
{
	tmm_sg_init(&sgl->tmm, nents);
}

TMM_LINUX_CALL void sg_set_page(struct scatterlist *sg, const struct page *page,
                                unsigned int len, unsigned int offset)
{
	tmm_sg_set_page(&sg->tmm, (tmm_pfn){page_to_pfn(page)}, len, offset);
}

TMM_LINUX_CALL void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	tmm_sg_set_buffer(tmm_linux.pages, &sg->tmm, buf, len);
}

TMM_LINUX_CALL void sg_init_one(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_init_table(sg, 1);
	sg_set_buf(sg, buf, len);
}

TMM_LINUX_CALL struct page *sg_page(const struct scatterlist *sg)
{
	return pfn_to_page(sg->tmm.pfn.v);
}

TMM_LINUX_CALL phys_addr_t sg_phys(const struct scatterlist *sg)
{
	return PFN_PHYS(sg->tmm.pfn.v) + sg->offset;
}

TMM_LINUX_CALL void *sg_virt(const struct scatterlist *sg)
{
	return (char *)page_address(sg_page(sg)) + sg->offset;
}

TMM_LINUX_CALL struct scatterlist *sg_next(struct scatterlist *sg)
{
	return tmm_linux_sg(tmm_sg_next(&sg->tmm));
}

TMM_LINUX_CALL int sg_nents(struct scatterlist *sg)
{
	return (int)tmm_sg_nr(&sg->tmm);
}

static inline struct scatterlist *sg_last(struct scatterlist *sgl, unsigned int nents)
{
	while (nents-- > 1)
		sgl = sg_next(sgl);
	return sgl;
}

TMM_LINUX_CALL void sg_mark_end(struct scatterlist *sg)
{
	tmm_sg_mark_end(&sg->tmm);
}

TMM_LINUX_CALL void sg_chain(struct scatterlist *prv, unsigned int prv_nents,
                             struct scatterlist *sgl)
{
	tmm_sg_chain(&prv->tmm, prv_nents, &sgl->tmm);
}

#define for_each_sg(sgl, sg, nr, i)                                                            \
	for ((i) = 0, (sg) = (sgl); (i) < (nr); (i)++, (sg) = sg_next(sg))
#define for_each_sgtable_sg(sgt, sg, i)     for_each_sg ((sgt)->sgl, sg, (sgt)->orig_nents, i)
#define for_each_sgtable_dma_sg(sgt, sg, i) for_each_sg ((sgt)->sgl, sg, (sgt)->nents, i)

/* ---- tables ---- */

TMM_LINUX_CALL struct tmm_sg_table tmm_linux_sg_table(const struct sg_table *table)
{
	return (struct tmm_sg_table){.list = table->sgl ? &table->sgl->tmm : NULL,
	                             .nr = table->orig_nents,
	                             .slabs = tmm_linux.slabs};
}

/* 0, or a negated error number. */
TMM_LINUX_CALL int sg_alloc_table(struct sg_table *table, unsigned int nents, gfp_t gfp)
{
	struct tmm_sg_table made;
	tmm_err err = tmm_sg_table_alloc(&made, tmm_linux.slabs, nents, gfp);

	*table = (struct sg_table){0};
	if (err == TMM_OK)
		*table = (struct sg_table){tmm_linux_sg(made.list), nents, nents};
	return err;
}

/* Adjacent pages share a piece, up to max_segment bytes. */
static inline int sg_alloc_table_from_pages_segment(struct sg_table *table, struct page **pages,
                                                    unsigned int nr, unsigned int offset,
                                                    unsigned long size,
                                                    unsigned int max_segment, gfp_t gfp)
{
	tmm_pfn *pfns = tmm_linux_pfns(pages, nr, gfp);
	struct tmm_sg_table made;
	tmm_err err = TMM_E_NOMEM;

	*table = (struct sg_table){0};
	if (pfns)
		err = tmm_sg_table_from_pages(&made, tmm_linux.slabs, pfns, nr, offset, size,
		                              max_segment, gfp);
	if (err == TMM_OK)
		*table = (struct sg_table){tmm_linux_sg(made.list), made.nr, made.nr};
	kvfree(pfns);
	return err;
}

TMM_LINUX_CALL int sg_alloc_table_from_pages(struct sg_table *table, struct page **pages,
                                             unsigned int nr, unsigned int offset,
                                             unsigned long size, gfp_t gfp)
{
	return sg_alloc_table_from_pages_segment(table, pages, nr, offset, size, 0, gfp);
}

/* An empty one is ignored. */
static inline void sg_free_table(struct sg_table *table)
{
	struct tmm_sg_table made = tmm_linux_sg_table(table);

	if (table->sgl)
		tmm_sg_table_free(&made);
	*table = (struct sg_table){0};
}

/* ---- contents ---- */

/* Bytes of the first nents pieces from `skip` on, at most buflen. */
static inline size_t tmm_linux_sg_room(struct scatterlist *sgl, unsigned int nents,
                                       size_t buflen, size_t skip)
{
	size_t bytes = 0;

	for (; sgl && nents > 0 && bytes < buflen + skip; nents--, sgl = sg_next(sgl))
		bytes += sgl->length;
	bytes = bytes < skip ? 0 : bytes - skip;
	return bytes < buflen ? bytes : buflen;
}

/* Bytes copied; skip: from which byte of the list on. */
TMM_LINUX_CALL size_t sg_pcopy_from_buffer(struct scatterlist *sgl, unsigned int nents,
                                           const void *buf, size_t buflen, size_t skip)
{
	return tmm_sg_copy_from_buffer(tmm_linux.pages, &sgl->tmm, buf,
	                               tmm_linux_sg_room(sgl, nents, buflen, skip), skip);
}

TMM_LINUX_CALL size_t sg_pcopy_to_buffer(struct scatterlist *sgl, unsigned int nents, void *buf,
                                         size_t buflen, size_t skip)
{
	return tmm_sg_copy_to_buffer(tmm_linux.pages, &sgl->tmm, buf,
	                             tmm_linux_sg_room(sgl, nents, buflen, skip), skip);
}

TMM_LINUX_CALL size_t sg_copy_from_buffer(struct scatterlist *sgl, unsigned int nents,
                                          const void *buf, size_t buflen)
{
	return sg_pcopy_from_buffer(sgl, nents, buf, buflen, 0);
}

TMM_LINUX_CALL size_t sg_copy_to_buffer(struct scatterlist *sgl, unsigned int nents, void *buf,
                                        size_t buflen)
{
	return sg_pcopy_to_buffer(sgl, nents, buf, buflen, 0);
}

#endif
