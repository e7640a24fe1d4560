/*
 * dmapool.h - small pieces of coherent memory
 */
#ifndef TUXMM_LINUX_DMAPOOL_H
#define TUXMM_LINUX_DMAPOOL_H

#include <tuxmm/dma_pool.h>
#include <tuxmm/linux/dma-mapping.h>

struct dma_pool; /* the core's struct tmm_dma_pool */

TMM_LINUX_CALL struct tmm_dma_pool *tmm_linux_dma_pool(struct dma_pool *pool)
{
	return (struct tmm_dma_pool *)pool;
}

/* NULL: as tmm_dma_pool_create(). */
TMM_LINUX_CALL struct dma_pool *dma_pool_create(const char *name, struct device *dev,
                                                size_t size, size_t align, size_t boundary)
{
	const struct tmm_dma_pool_spec spec = {.name = name,
	                                       .size_bytes = size,
	                                       .align_bytes = align,
	                                       .boundary_bytes = boundary};
	struct tmm_dma_pool *pool;

	if (tmm_dma_pool_create(&dev->tmm, &spec, &pool) != TMM_OK)
		return NULL;
	return (struct dma_pool *)pool;
}

/* NULL is ignored. */
TMM_LINUX_CALL void dma_pool_destroy(struct dma_pool *pool)
{
	if (pool)
		tmm_dma_pool_destroy(tmm_linux_dma_pool(pool));
}

TMM_LINUX_CALL void *dma_pool_alloc(struct dma_pool *pool, gfp_t gfp, dma_addr_t *handle)
{
	tmm_dma_addr addr = {0};
	void *block = tmm_dma_pool_alloc(tmm_linux_dma_pool(pool), gfp, &addr);

	if (block)
		*handle = addr.v;
	return block;
}

TMM_LINUX_CALL void *dma_pool_zalloc(struct dma_pool *pool, gfp_t gfp, dma_addr_t *handle)
{
	return dma_pool_alloc(pool, gfp | __GFP_ZERO, handle);
}

TMM_LINUX_CALL void dma_pool_free(struct dma_pool *pool, void *vaddr, dma_addr_t addr)
{
	tmm_dma_pool_free(tmm_linux_dma_pool(pool), vaddr, (tmm_dma_addr){addr});
}

#endif
