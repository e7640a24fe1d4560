/*
 * dma_pool.h - small pieces of coherent memory, as descriptors of devices are
 *
 * A pool cuts coherent memory into blocks of one size.  What is free is written down
 * beside the blocks, not in them, for devices write there.  With TMM_DMA_DEBUG a red zone
 * follows each block and free blocks are poisoned: writing beyond a block or after
 * freeing it is found when it is freed, or lent again.
 *
 * Locks    one for each pool (rank DEVICE); any context, sleeps where gfp lets it
 * Linux    dma_pool_create(), dma_pool_alloc(), /sys/devices/.../pools
 */
#ifndef TUXMM_DMA_POOL_H
#define TUXMM_DMA_POOL_H

#include <tuxmm/dma.h>

struct tmm_dma_pool; /* fields: core/device/dma_pool.c */

struct tmm_dma_pool_spec {
	const char *name; /* at most 31 characters; copied */
	size_t size_bytes;
	size_t align_bytes;    /* a power of two; 0: 8 */
	size_t boundary_bytes; /* a power of two that no block crosses; 0: none */
};

/*
 *   TMM_OK       *out_pool
 *   TMM_E_INVAL  no bytes, more than 64 KiB, more than the boundary, or no power of two
 *   TMM_E_NOMEM
 */
TMM_MUST_CHECK tmm_err tmm_dma_pool_create(struct tmm_device *device,
                                           const struct tmm_dma_pool_spec *spec,
                                           struct tmm_dma_pool **out_pool);

/* A block that is still lent panics. */
void tmm_dma_pool_destroy(struct tmm_dma_pool *pool);

/* A block, and where the device sees it; NULL when memory is short.  zalloc clears it. */
void *tmm_dma_pool_alloc(struct tmm_dma_pool *pool, tmm_gfp gfp, tmm_dma_addr *out_addr);
void *tmm_dma_pool_zalloc(struct tmm_dma_pool *pool, tmm_gfp gfp, tmm_dma_addr *out_addr);

/* What is not a lent block of the pool, or not at that address, panics. */
void tmm_dma_pool_free(struct tmm_dma_pool *pool, void *block, tmm_dma_addr addr);

struct tmm_dma_pool_info {
	char name[32];
	uint64_t active_blocks, total_blocks;
	uint64_t size_bytes; /* from one block to the next */
	uint64_t nr_pages;   /* runs of coherent memory */
};
void tmm_dma_pool_info(struct tmm_dma_pool *pool, struct tmm_dma_pool_info *out);

/* Panics unless blocks and counts agree. */
void tmm_dma_pool_check(struct tmm_dma_pool *pool);

#endif
