/*
 * mempool.h - allocation that never fails where it may wait
 *
 * mempool_init() and mempool_exit(), for pools inside of other structs, are not here:
 * what a pool is made of is the core's.
 */
#ifndef TUXMM_LINUX_MEMPOOL_H
#define TUXMM_LINUX_MEMPOOL_H

#include <tuxmm/linux/slab.h>
#include <tuxmm/mempool.h>

typedef struct tmm_mempool mempool_t;
typedef void *(mempool_alloc_t)(gfp_t gfp, void *pool_data);
typedef void(mempool_free_t)(void *element, void *pool_data);

/* NULL: no memory, or min_nr is not at least 1. */
TMM_LINUX_CALL mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn,
                                         mempool_free_t *free_fn, void *pool_data)
{
	const struct tmm_mempool_spec spec = {.min_nr = min_nr > 0 ? (size_t)min_nr : 0,
	                                      .alloc = alloc_fn,
	                                      .free = free_fn,
	                                      .arg = pool_data};
	mempool_t *pool;

	return tmm_mempool_create(tmm_linux.slabs, &spec, &pool) == TMM_OK ? pool : NULL;
}

/* NULL is ignored.  Elements that are lent panic. */
TMM_LINUX_CALL void mempool_destroy(mempool_t *pool)
{
	if (pool)
		tmm_mempool_destroy(pool);
}

TMM_LINUX_CALL void *mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	return tmm_mempool_alloc(pool, gfp);
}

TMM_LINUX_CALL void mempool_free(void *element, mempool_t *pool)
{
	tmm_mempool_free(pool, element);
}

/* 0, or a negated error number. */
TMM_LINUX_CALL int mempool_resize(mempool_t *pool, int new_min_nr)
{
	return tmm_mempool_resize(pool, new_min_nr > 0 ? (size_t)new_min_nr : 0);
}

/* ---- where elements come from ---- */

/* pool_data: the cache. */
static inline void *mempool_alloc_slab(gfp_t gfp, void *pool_data)
{
	return kmem_cache_alloc((struct kmem_cache *)pool_data, gfp);
}

static inline void mempool_free_slab(void *element, void *pool_data)
{
	kmem_cache_free((struct kmem_cache *)pool_data, element);
}

/* pool_data: the size. */
static inline void *mempool_kmalloc(gfp_t gfp, void *pool_data)
{
	return kmalloc((size_t)(uintptr_t)pool_data, gfp);
}

static inline void mempool_kfree(void *element, void *pool_data)
{
	(void)pool_data;
	kfree(element);
}

/* Elements are struct page.  pool_data: the order. */
static inline void *mempool_alloc_pages(gfp_t gfp, void *pool_data)
{
	return alloc_pages(gfp, (unsigned int)(uintptr_t)pool_data);
}

static inline void mempool_free_pages(void *element, void *pool_data)
{
	__free_pages((struct page *)element, (unsigned int)(uintptr_t)pool_data);
}

TMM_LINUX_CALL mempool_t *mempool_create_slab_pool(int min_nr, struct kmem_cache *cache)
{
	return mempool_create(min_nr, mempool_alloc_slab, mempool_free_slab, cache);
}

TMM_LINUX_CALL mempool_t *mempool_create_kmalloc_pool(int min_nr, size_t bytes)
{
	return mempool_create(min_nr, mempool_kmalloc, mempool_kfree, (void *)(uintptr_t)bytes);
}

TMM_LINUX_CALL mempool_t *mempool_create_page_pool(int min_nr, int order)
{
	return mempool_create(min_nr, mempool_alloc_pages, mempool_free_pages,
	                      (void *)(uintptr_t)order);
}

#endif
