/*
 * dma_atomic.c - coherent memory for who cannot wait for it
 *
 * A pool of frames for each reach of devices, made when the first such device appears
 * and kept until the machine ends.  It is touched only when the page allocator has
 * nothing for a request that may not sleep.
 */
#include "device/dma_impl.h"

#define POOL_LEAST (UINT64_C(128) << 10) /* and as much for each GiB of RAM */

void atomic_pool_init(struct tmm_dma *dma)
{
	for (unsigned r = 0; r < NR_REACHES; r++) {
		dma->atomic[r] = (struct atomic_pool){.zone = gfp_of_reach((enum reach)r)};
		lock_init(&dma->atomic[r].lock, RANK_DEVICE);
	}
}

static uint64_t wanted_bytes(const struct tmm_dma *dma)
{
	const uint64_t most = TMM_PAGE_SIZE << TMM_DEFAULT_ORDER;
	uint64_t bytes = dma->pool_bytes;

	if (!bytes)
		bytes = (dma->pages->managed << TMM_PAGE_SHIFT >> 30) * POOL_LEAST;
	return min_u64(most, max_u64(align_up(bytes, TMM_PAGE_SIZE), POOL_LEAST));
}

/* Smaller than wished for where memory is short; none is no error. */
void atomic_pool_make(struct tmm_dma *dma, enum reach reach)
{
	struct atomic_pool *pool = &dma->atomic[reach];
	const tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_NOWARN;
	uint64_t bytes = wanted_bytes(dma);
	uint64_t *used;
	bool is_mine;
	tmm_irq irq;
	tmm_pfn pfn;

	/* acquire: see below */
	if (__atomic_load_n(&pool->is_made, __ATOMIC_ACQUIRE))
		return;
	while (tmm_pages_alloc_exact(dma->pages, gfp | pool->zone, bytes, &pfn) != TMM_OK) {
		bytes = align_down(bytes / 2, TMM_PAGE_SIZE);
		if (!bytes)
			return;
	}
	used = tmm_kzalloc(dma->slabs, (bytes >> TMM_PAGE_SHIFT) / 8 + 8, gfp);
	irq = lock_take_irqsave(&pool->lock);
	is_mine = used && !pool->is_made;
	if (is_mine) {
		pool->pfn = pfn.v;
		pool->nr_pages = bytes >> TMM_PAGE_SHIFT;
		pool->used = used;
		/* release: who sees it made sees its fields */
		__atomic_store_n(&pool->is_made, true, __ATOMIC_RELEASE);
	}
	lock_drop_irqrestore(&pool->lock, irq);
	if (is_mine)
		return;
	tmm_kfree(dma->slabs, used);
	tmm_pages_free_exact(dma->pages, pfn, bytes);
}

static bool bit(const struct atomic_pool *pool, uint64_t at)
{
	return pool->used[at / 64] >> (at % 64) & 1;
}

static void flip(struct atomic_pool *pool, uint64_t at, uint64_t nr) TMM_REQUIRES(pool->lock)
{
	for (uint64_t i = at; i < at + nr; i++)
		pool->used[i / 64] ^= UINT64_C(1) << (i % 64);
}

static bool take(struct atomic_pool *pool, uint64_t nr, uint64_t align, uint64_t *out_pfn)
	TMM_REQUIRES(pool->lock)
{
	for (uint64_t at = 0; at + nr <= pool->nr_pages; at += align) {
		uint64_t i = 0;

		while (i < nr && !bit(pool, at + i))
			i++;
		if (i < nr)
			continue;
		flip(pool, at, nr);
		*out_pfn = pool->pfn + at;
		return true;
	}
	return false;
}

bool atomic_pool_alloc(struct tmm_dma *dma, uint64_t mask, uint64_t nr_pages, uint64_t *out_pfn)
{
	const uint64_t align = UINT64_C(1) << log2_ceil(nr_pages);
	bool found = false;

	/* From the pool of the widest reach down: the low ones are scarce. */
	for (unsigned r = reach_of(dma, mask) + 1; !found && r > 0; r--) {
		struct atomic_pool *pool = &dma->atomic[r - 1];
		uint64_t end;
		tmm_irq irq;

		/* acquire: see atomic_pool_make() */
		if (!__atomic_load_n(&pool->is_made, __ATOMIC_ACQUIRE))
			continue;
		end = (pool->pfn + pool->nr_pages) << TMM_PAGE_SHIFT;
		if (!mask_reaches(mask, end - 1, 1))
			continue;
		irq = lock_take_irqsave(&pool->lock);
		found = take(pool, nr_pages, align, out_pfn);
		lock_drop_irqrestore(&pool->lock, irq);
	}
	return found;
}

/* False: the frames are of no pool. */
bool atomic_pool_free(struct tmm_dma *dma, uint64_t pfn, uint64_t nr_pages)
{
	for (unsigned r = 0; r < NR_REACHES; r++) {
		struct atomic_pool *pool = &dma->atomic[r];
		tmm_irq irq;

		/* acquire: see atomic_pool_make() */
		if (!__atomic_load_n(&pool->is_made, __ATOMIC_ACQUIRE) ||
		    pfn - pool->pfn >= pool->nr_pages)
			continue;
		irq = lock_take_irqsave(&pool->lock);
		for (uint64_t i = 0; i < nr_pages; i++)
			TMM_ASSERT(bit(pool, pfn - pool->pfn + i));
		flip(pool, pfn - pool->pfn, nr_pages);
		lock_drop_irqrestore(&pool->lock, irq);
		return true;
	}
	return false;
}

void atomic_pool_fini(struct tmm_dma *dma)
{
	for (unsigned r = 0; r < NR_REACHES; r++) {
		struct atomic_pool *pool = &dma->atomic[r];

		if (!pool->is_made)
			continue;
		for (uint64_t i = 0; i < pool->nr_pages; i++)
			TMM_ASSERT(!bit(pool, i));
		tmm_kfree(dma->slabs, pool->used);
		tmm_pages_free_exact(dma->pages, (tmm_pfn){pool->pfn},
		                     pool->nr_pages << TMM_PAGE_SHIFT);
	}
}
