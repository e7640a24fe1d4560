/*
 * slab.h - caches of objects, kmalloc and kvmalloc
 */
#ifndef TUXMM_LINUX_SLAB_H
#define TUXMM_LINUX_SLAB_H

#include <tuxmm/kvmalloc.h>
#include <tuxmm/linux/gfp.h>
#include <tuxmm/port.h>
#include <tuxmm/slab_debug.h>

/* ---- caches ---- */

struct kmem_cache; /* the core's struct tmm_cache */

typedef unsigned int slab_flags_t;

#define SLAB_CONSISTENCY_CHECKS TMM_SLAB_CONSISTENCY
#define SLAB_RED_ZONE           TMM_SLAB_RED_ZONE
#define SLAB_POISON             TMM_SLAB_POISON
#define SLAB_STORE_USER         TMM_SLAB_STORE_USER
#define SLAB_TRACE              TMM_SLAB_TRACE
#define SLAB_HWCACHE_ALIGN      (1u << 16)
#define SLAB_PANIC              (1u << 17)
#define SLAB_ACCOUNT            (1u << 18)
#define SLAB_RECLAIM_ACCOUNT    (1u << 19)
#define SLAB_TEMPORARY          SLAB_RECLAIM_ACCOUNT
#define SLAB_NO_MERGE           (1u << 20)

#define SLAB_DEBUG_FLAGS                                                                       \
	(SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE)

struct kmem_cache_args {
	unsigned int align;
	unsigned int useroffset, usersize; /* what user copies may reach */
	void (*ctor)(void *object);
};

TMM_LINUX_CALL struct tmm_cache *tmm_linux_cache(struct kmem_cache *cache)
{
	return (struct tmm_cache *)cache;
}

/* NULL: as tmm_cache_create(); with SLAB_PANIC a panic. */
static inline struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int size,
                                                          const struct kmem_cache_args *args,
                                                          slab_flags_t flags)
{
	const struct tmm_cache_spec spec = {.name = name,
	                                    .size_bytes = size,
	                                    .align_bytes = args->align,
	                                    .hwcache_align = flags & SLAB_HWCACHE_ALIGN,
	                                    .reclaimable = flags & SLAB_RECLAIM_ACCOUNT,
	                                    .account = flags & SLAB_ACCOUNT,
	                                    .no_merge = flags & SLAB_NO_MERGE,
	                                    .usercopy_offset = args->useroffset,
	                                    .usercopy_bytes = args->usersize,
	                                    .debug = flags & SLAB_DEBUG_FLAGS,
	                                    .ctor = args->ctor};
	struct tmm_cache *cache;

	if (tmm_cache_create(tmm_linux.slabs, &spec, &cache) == TMM_OK)
		return (struct kmem_cache *)cache;
	if (flags & SLAB_PANIC)
		tmm_port_panic(__FILE__, __LINE__, "a cache with SLAB_PANIC cannot be created");
	return NULL;
}

TMM_LINUX_CALL struct kmem_cache *__kmem_cache_default_args(const char *name, unsigned int size,
                                                            const void *no_args,
                                                            slab_flags_t flags)
{
	const struct kmem_cache_args args = {0};

	(void)no_args;
	return __kmem_cache_create_args(name, size, &args, flags);
}

TMM_LINUX_CALL struct kmem_cache *__kmem_cache_create(const char *name, unsigned int size,
                                                      unsigned int align, slab_flags_t flags,
                                                      void (*ctor)(void *object))
{
	const struct kmem_cache_args args = {.align = align, .ctor = ctor};

	return __kmem_cache_create_args(name, size, &args, flags);
}

/*
 * With arguments, kmem_cache_create(name, size, &args, flags); without, with NULL; or as
 * before Linux 6.12, kmem_cache_create(name, size, align, flags, ctor).
 */
#define kmem_cache_create(name, size, args, ...)                                               \
	_Generic((args),                                                                       \
	        struct kmem_cache_args *: __kmem_cache_create_args,                            \
	        const struct kmem_cache_args *: __kmem_cache_create_args,                      \
	        void *: __kmem_cache_default_args,                                             \
	        default: __kmem_cache_create)(name, size, args, __VA_ARGS__)

TMM_LINUX_CALL struct kmem_cache *
kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align,
                           slab_flags_t flags, unsigned int useroffset, unsigned int usersize,
                           void (*ctor)(void *object))
{
	const struct kmem_cache_args args = {
		.align = align, .useroffset = useroffset, .usersize = usersize, .ctor = ctor};

	return __kmem_cache_create_args(name, size, &args, flags);
}

/* A cache of a struct's name, size and alignment. */
#define KMEM_CACHE(type, flags)                                                                \
	__kmem_cache_create(#type, sizeof(struct type), __alignof__(struct type), flags, NULL)
#define KMEM_CACHE_USERCOPY(type, flags, field)                                                \
	kmem_cache_create_usercopy(#type, sizeof(struct type), __alignof__(struct type),       \
	                           flags, offsetof(struct type, field),                        \
	                           sizeof(((struct type *)0)->field), NULL)

/* NULL is ignored.  With objects lent it stays, which is logged, object by object. */
TMM_LINUX_CALL void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (cache)
		(void)!tmm_cache_destroy(tmm_linux_cache(cache));
}

TMM_LINUX_CALL void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	return tmm_cache_alloc(tmm_linux_cache(cache), gfp);
}

_Static_assert((unsigned)NUMA_NO_NODE == TMM_NODE_ANY, "no node is the same in both");

/* From the memory of a node if that has some; NUMA_NO_NODE: the nearest, as all others. */
TMM_LINUX_CALL void *kmem_cache_alloc_node(struct kmem_cache *cache, gfp_t gfp, int node)
{
	return tmm_cache_alloc_node(tmm_linux_cache(cache), gfp, (unsigned)node);
}

TMM_LINUX_CALL void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	return tmm_cache_alloc(tmm_linux_cache(cache), gfp | __GFP_ZERO);
}

TMM_LINUX_CALL void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	tmm_cache_free(tmm_linux_cache(cache), object);
}

/* All or none: nr, or 0. */
TMM_LINUX_CALL int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t nr,
                                         void **objects)
{
	size_t got = tmm_cache_alloc_bulk(tmm_linux_cache(cache), gfp, nr, objects);

	if (got == nr)
		return (int)nr;
	tmm_cache_free_bulk(tmm_linux_cache(cache), got, objects);
	return 0;
}

TMM_LINUX_CALL void kmem_cache_free_bulk(struct kmem_cache *cache, size_t nr, void **objects)
{
	tmm_cache_free_bulk(tmm_linux_cache(cache), nr, objects);
}

TMM_LINUX_CALL void kmem_cache_shrink(struct kmem_cache *cache)
{
	tmm_cache_shrink(tmm_linux_cache(cache));
}

/* ---- kmalloc ---- */

#define KMALLOC_MAX_SIZE       TMM_KMALLOC_MAX
#define KMALLOC_MAX_CACHE_SIZE TMM_KMALLOC_MAX_CACHE
#define ARCH_KMALLOC_MINALIGN  8u

#define ZERO_SIZE_PTR          ((void *)16)
#define ZERO_OR_NULL_PTR(x)    ((uintptr_t)(x) <= (uintptr_t)ZERO_SIZE_PTR)

TMM_LINUX_CALL void *kmalloc(size_t bytes, gfp_t gfp)
{
	return tmm_kmalloc(tmm_linux.slabs, bytes, gfp);
}

TMM_LINUX_CALL void *kzalloc(size_t bytes, gfp_t gfp)
{
	return tmm_kzalloc(tmm_linux.slabs, bytes, gfp);
}

TMM_LINUX_CALL void *kmalloc_array(size_t nr, size_t bytes, gfp_t gfp)
{
	return tmm_kmalloc_array(tmm_linux.slabs, nr, bytes, gfp);
}

TMM_LINUX_CALL void *kcalloc(size_t nr, size_t bytes, gfp_t gfp)
{
	return tmm_kcalloc(tmm_linux.slabs, nr, bytes, gfp);
}

/* As kmem_cache_alloc_node(). */
TMM_LINUX_CALL void *kmalloc_node(size_t bytes, gfp_t gfp, int node)
{
	return tmm_kmalloc_node(tmm_linux.slabs, bytes, gfp, (unsigned)node);
}

TMM_LINUX_CALL void *kzalloc_node(size_t bytes, gfp_t gfp, int node)
{
	return kmalloc_node(bytes, gfp | __GFP_ZERO, node);
}

TMM_LINUX_CALL void *kmalloc_array_node(size_t nr, size_t bytes, gfp_t gfp, int node)
{
	return tmm_kmalloc_array_node(tmm_linux.slabs, nr, bytes, gfp, (unsigned)node);
}

TMM_LINUX_CALL void *kcalloc_node(size_t nr, size_t bytes, gfp_t gfp, int node)
{
	return kmalloc_array_node(nr, bytes, gfp | __GFP_ZERO, node);
}

TMM_LINUX_CALL void *krealloc(const void *object, size_t bytes, gfp_t gfp)
{
	return tmm_krealloc(tmm_linux.slabs, (void *)(uintptr_t)object, bytes, gfp);
}

TMM_LINUX_CALL void *krealloc_array(void *object, size_t nr, size_t bytes, gfp_t gfp)
{
	return tmm_krealloc_array(tmm_linux.slabs, object, nr, bytes, gfp);
}

TMM_LINUX_CALL void *kmemdup(const void *from, size_t bytes, gfp_t gfp)
{
	return tmm_kmemdup(tmm_linux.slabs, from, bytes, gfp);
}

TMM_LINUX_CALL char *kstrdup(const char *text, gfp_t gfp)
{
	return tmm_kstrdup(tmm_linux.slabs, text, gfp);
}

TMM_LINUX_CALL void *kmemdup_array(const void *from, size_t nr, size_t bytes, gfp_t gfp)
{
	size_t all;

	return __builtin_mul_overflow(nr, bytes, &all) ? NULL : kmemdup(from, all, gfp);
}

/* len bytes of text, and a NUL. */
static inline char *kmemdup_nul(const char *text, size_t len, gfp_t gfp)
{
	char *copy = text ? (char *)kmalloc(len + 1, gfp) : NULL;

	if (copy) {
		__builtin_memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

/* Text up to its NUL, and no more than max bytes of it. */
static inline char *kstrndup(const char *text, size_t max, gfp_t gfp)
{
	size_t len = 0;

	while (text && len < max && text[len])
		len++;
	return kmemdup_nul(text, len, gfp);
}

TMM_LINUX_CALL void kfree(const void *object)
{
	tmm_kfree(tmm_linux.slabs, (void *)(uintptr_t)object);
}

TMM_LINUX_CALL void kfree_sensitive(const void *object)
{
	tmm_kfree_sensitive(tmm_linux.slabs, (void *)(uintptr_t)object);
}

TMM_LINUX_CALL size_t ksize(const void *object)
{
	return tmm_ksize(tmm_linux.slabs, (void *)(uintptr_t)object);
}

/* ---- kvmalloc ---- */

TMM_LINUX_CALL void *kvmalloc(size_t bytes, gfp_t gfp)
{
	return tmm_kvmalloc(tmm_linux.map, bytes, gfp);
}

TMM_LINUX_CALL void *kvzalloc(size_t bytes, gfp_t gfp)
{
	return tmm_kvzalloc(tmm_linux.map, bytes, gfp);
}

TMM_LINUX_CALL void *kvmalloc_node(size_t bytes, gfp_t gfp, int node)
{
	return tmm_kvmalloc_node(tmm_linux.map, bytes, gfp, (unsigned)node);
}

TMM_LINUX_CALL void *kvzalloc_node(size_t bytes, gfp_t gfp, int node)
{
	return kvmalloc_node(bytes, gfp | __GFP_ZERO, node);
}

TMM_LINUX_CALL void *kvmalloc_array(size_t nr, size_t bytes, gfp_t gfp)
{
	return tmm_kvmalloc_array(tmm_linux.map, nr, bytes, gfp);
}

TMM_LINUX_CALL void *kvcalloc(size_t nr, size_t bytes, gfp_t gfp)
{
	return tmm_kvcalloc(tmm_linux.map, nr, bytes, gfp);
}

/* What can be used of memory that kvmalloc() lent. */
static inline size_t tmm_linux_kvsize(const void *memory)
{
	struct tmm_vm_area_info area;
	tmm_vaddr va;

	if (!tmm_is_vmalloc_addr(tmm_linux.map, memory))
		return ksize(memory);
	if (!tmm_kernel_address(tmm_linux.map, memory, &va) ||
	    !tmm_vm_area_find(tmm_linux.map, va, &area))
		return 0;
	return area.size_bytes - PAGE_SIZE; /* less the guard */
}

/* Without the old size, as since Linux 6.12. */
TMM_LINUX_CALL void *kvrealloc(const void *memory, size_t bytes, gfp_t gfp)
{
	return tmm_kvrealloc(tmm_linux.map, (void *)(uintptr_t)memory, tmm_linux_kvsize(memory),
	                     bytes, gfp);
}

TMM_LINUX_CALL void kvfree(const void *memory)
{
	tmm_kvfree(tmm_linux.map, (void *)(uintptr_t)memory);
}

#endif
