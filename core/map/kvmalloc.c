/*
 * kvmalloc.c - kmalloc where that is easy, vmalloc where not
 */
#include <tuxmm/kvmalloc.h>

#include "map/kernel_map_impl.h"

/* Linux takes no more: lengths are ints there. */
#define MOST_BYTES INT32_MAX

/* A run of frames is welcome, but nobody is to be killed or even waited for. */
static tmm_gfp easy(tmm_gfp gfp)
{
	gfp |= TMM_GFP_NOWARN;
	if (!(gfp & TMM_GFP_RETRY_MAYFAIL))
		gfp |= TMM_GFP_NORETRY;
	return gfp & ~TMM_GFP_NOFAIL;
}

/* Is kmalloc the only way? */
static bool is_small(size_t size_bytes)
{
	return size_bytes <= TMM_PAGE_SIZE;
}

static bool may_map(size_t size_bytes, tmm_gfp gfp)
{
	return !is_small(size_bytes) && size_bytes <= MOST_BYTES &&
	       gfp & TMM_GFP_DIRECT_RECLAIM;
}

void *tmm_kvmalloc(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp)
{
	void *memory = tmm_kmalloc(map->slabs, size_bytes,
	                           is_small(size_bytes) ? gfp : easy(gfp));

	if (memory || !may_map(size_bytes, gfp))
		return memory;
	return tmm_vmalloc_huge(map, size_bytes, gfp);
}

void *tmm_kvmalloc_node(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp,
                        unsigned node)
{
	void *memory;

	if (node == TMM_NODE_ANY)
		return tmm_kvmalloc(map, size_bytes, gfp);
	memory = tmm_kmalloc_node(map->slabs, size_bytes,
	                          is_small(size_bytes) ? gfp : easy(gfp), node);
	if (memory || !may_map(size_bytes, gfp))
		return memory;
	return tmm_vmalloc_node(map, size_bytes, node, gfp);
}

void *tmm_kvzalloc_node(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp,
                        unsigned node)
{
	return tmm_kvmalloc_node(map, size_bytes, gfp | TMM_GFP_ZERO, node);
}

void *tmm_kvzalloc(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp)
{
	return tmm_kvmalloc(map, size_bytes, gfp | TMM_GFP_ZERO);
}

void *tmm_kvmalloc_array(struct tmm_kernel_map *map, size_t nr, size_t size_bytes, tmm_gfp gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size_bytes, &bytes))
		return NULL;
	return tmm_kvmalloc(map, bytes, gfp);
}

void *tmm_kvcalloc(struct tmm_kernel_map *map, size_t nr, size_t size_bytes, tmm_gfp gfp)
{
	return tmm_kvmalloc_array(map, nr, size_bytes, gfp | TMM_GFP_ZERO);
}

void *tmm_kvrealloc(struct tmm_kernel_map *map, void *memory, size_t old_bytes,
                    size_t size_bytes, tmm_gfp gfp)
{
	void *new;

	if (memory && size_bytes && size_bytes <= old_bytes)
		return memory;
	new = tmm_kvmalloc(map, size_bytes, gfp);
	if (!new)
		return NULL;
	if (memory && size_bytes)
		memcpy(new, memory, old_bytes); /* less than size_bytes */
	tmm_kvfree(map, memory);
	return new;
}

void tmm_kvfree(struct tmm_kernel_map *map, void *memory)
{
	if (tmm_is_vmalloc_addr(map, memory))
		tmm_vfree(map, memory);
	else
		tmm_kfree(map->slabs, memory);
}
