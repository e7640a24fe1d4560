/*
 * slab.h - caches of equal objects, and kmalloc over them
 *
 * A cache lends objects of one size from slabs: runs of frames cut into equal
 * pieces.  A slab whose objects are all free goes back to the page allocator.  Each
 * CPU keeps some free objects of a busy cache in magazines, which takes no lock.
 * Objects come from the node of the CPU, as far as that has memory.
 * kmalloc() is a set of caches by size.
 *
 * Units    sizes in bytes
 * Owning   an object is its borrower's until it is freed to the cache it is of
 * Locks    the list of caches has rank SLAB, each cache CACHE_NODE, below them
 *          rank ZONE; any context, sleeps only where gfp lets the page allocator
 *          sleep
 * Linux    kmem_cache_create(), kmem_cache_alloc(), kmalloc(), /proc/slabinfo
 */
#ifndef TUXMM_SLAB_H
#define TUXMM_SLAB_H

#include <tuxmm/page_alloc.h>

#define TMM_KMALLOC_MAX_CACHE UINT64_C(8192) /* beyond: straight from pages */
#define TMM_KMALLOC_MAX       (TMM_PAGE_SIZE << TMM_DEFAULT_ORDER)

/* What is behind all calls; a machine's shape says which. */
enum tmm_slab_allocator {
	TMM_SLABS, /* pages for each size, fast */

	/*
	 * All sizes in the same pages, for machines of a few MiB: slow, without magazines
	 * and debugging; constructors are called each time an object is lent.  An object
	 * that is freed to another cache of its size is not noticed, and there is nothing
	 * to see in slabinfo.
	 */
	TMM_SLOB
};

struct tmm_slab_system; /* fields: core/slab/slab_system.h */
struct tmm_cache;       /* Linux: struct kmem_cache */

struct tmm_cache_spec {
	const char *name;   /* at most 31 characters, unique; copied */
	size_t size_bytes;  /* of one object, 1 .. 32768 */
	size_t align_bytes; /* a power of two up to a page, 0: 8 */
	bool hwcache_align; /* objects begin on a 64-byte line */
	bool reclaimable;   /* pages are marked so (Linux: SLAB_RECLAIM_ACCOUNT) */
	bool account;       /* objects are a control group's (Linux: SLAB_ACCOUNT) */

	bool no_merge; /* no other cache shares its slabs (Linux: SLAB_NO_MERGE) */

	/* Bytes of an object that user copies may reach; none, unless said here. */
	uint32_t usercopy_offset, usercopy_bytes;

	uint32_t debug; /* TMM_SLAB_* of tuxmm/slab_debug.h, beside those of the machine */

	/* Called once for each object when its slab is made; TMM_SLOB: when lent. */
	void (*ctor)(void *object);
};

/*
 * A cache whose objects would be like those of one that there is becomes an alias of
 * that one, as in Linux, unless it has a constructor, a usercopy region or debugs.
 *   TMM_OK       *out_cache
 *   TMM_E_INVAL  a size, alignment, region or name out of range
 *   TMM_E_EXIST  the name is taken
 *   TMM_E_NOMEM
 */
TMM_MUST_CHECK tmm_err tmm_cache_create(struct tmm_slab_system *slabs,
                                        const struct tmm_cache_spec *spec,
                                        struct tmm_cache **out_cache);

/*
 * TMM_E_BUSY, and nothing but a line of log for each, while an object is lent.  Of a
 * cache with aliases one is gone, and nothing more happens.
 */
TMM_MUST_CHECK tmm_err tmm_cache_destroy(struct tmm_cache *cache);

/*
 * An object, or NULL when memory is short.  TMM_GFP_ZERO clears it (not for
 * caches with a constructor: panics).  A cache is of no zone: TMM_GFP_DMA and
 * TMM_GFP_DMA32 panic.
 */
void *tmm_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp);

/*
 * The same, from the memory of a node of the machine's, or of any (TMM_NODE_ANY: the
 * CPU's first).  Where that is short the object is of the nearest node that has memory,
 * but with TMM_GFP_THISNODE then it is NULL.
 */
void *tmm_cache_alloc_node(struct tmm_cache *cache, tmm_gfp gfp, unsigned node);

/* NULL is ignored.  An address that is not a lent object of the cache: panics. */
void tmm_cache_free(struct tmm_cache *cache, void *object);

/*
 * Borrow up to nr objects; returns how many.  Less than nr only when memory is
 * short.  Each may be freed by itself.
 */
size_t tmm_cache_alloc_bulk(struct tmm_cache *cache, tmm_gfp gfp, size_t nr, void **out);
void tmm_cache_free_bulk(struct tmm_cache *cache, size_t nr, void *const *objects);

/*
 * Give back every empty slab, after what the magazines of all CPUs hold, whether they
 * run or not; returns the pages of slabs freed.
 */
uint64_t tmm_cache_shrink(struct tmm_cache *cache);

/*
 * From now on a magazine holds magazine_objs objects, 0 .. 64 (0: no magazines), and
 * the depot of each node that many full ones.  Shrinks the cache.  Caches that debug
 * have none, whatever is said.
 *   TMM_OK
 *   TMM_E_INVAL  more than 64, or one of the slab system's own caches
 */
TMM_MUST_CHECK tmm_err tmm_cache_tune(struct tmm_cache *cache, uint32_t magazine_objs,
                                      uint32_t depot_magazines);

/*
 * TMM_GFP_RECLAIMABLE, TMM_GFP_DMA and TMM_GFP_ACCOUNT choose caches of their own, as in
 * Linux (kmalloc-rcl-64, dma-kmalloc-64, kmalloc-cg-64).
 *
 * size bytes, aligned to 8, to the size itself when it is a power of two.
 * NULL when memory is short or size > TMM_KMALLOC_MAX; size 0 gives a unique
 * address that must not be touched (Linux: ZERO_SIZE_PTR) and may be freed.
 */
void *tmm_kmalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp);
void *tmm_kzalloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp);

/* nr elements of size_bytes each; NULL also when that is no number. */
void *tmm_kmalloc_array(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes,
                        tmm_gfp gfp);
void *tmm_kcalloc(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes, tmm_gfp gfp);

/* The same from the memory of a node, as tmm_cache_alloc_node(). */
void *tmm_kmalloc_node(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                       unsigned node);
void *tmm_kzalloc_node(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp,
                       unsigned node);
void *tmm_kmalloc_array_node(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes,
                             tmm_gfp gfp, unsigned node);
void *tmm_kcalloc_node(struct tmm_slab_system *slabs, size_t nr, size_t size_bytes, tmm_gfp gfp,
                       unsigned node);

/*
 * Memory of the new size with the old contents, as far as both reach; it may be
 * the same address.  NULL leaves the object as it was.  With TMM_GFP_ZERO in the
 * first request and in all of these, what the object grows by reads as zeroes.
 */
void *tmm_krealloc(struct tmm_slab_system *slabs, void *object, size_t size_bytes, tmm_gfp gfp);

void *tmm_krealloc_array(struct tmm_slab_system *slabs, void *object, size_t nr,
                         size_t size_bytes, tmm_gfp gfp);

/* A copy of bytes; of text with its NUL, NULL: of nothing. */
void *tmm_kmemdup(struct tmm_slab_system *slabs, const void *from, size_t bytes, tmm_gfp gfp);
char *tmm_kstrdup(struct tmm_slab_system *slabs, const char *text, tmm_gfp gfp);

/* NULL is ignored.  An address that kmalloc did not lend: panics. */
void tmm_kfree(struct tmm_slab_system *slabs, void *object);

/* The same for keys and the like: nothing of them stays in memory. */
void tmm_kfree_sensitive(struct tmm_slab_system *slabs, void *object);

/* Bytes usable at an address kmalloc returned; the caller may use all of them now. */
size_t tmm_ksize(struct tmm_slab_system *slabs, void *object);

struct tmm_cache_info {
	char name[32];
	uint64_t active_objs;  /* lent */
	uint64_t num_objs;     /* in all slabs */
	uint64_t active_slabs; /* with at least one object lent or in a magazine */
	uint64_t num_slabs;
	uint32_t size_bytes; /* distance between objects */
	uint32_t objs_per_slab;
	uint32_t pages_per_slab;
	uint32_t object_bytes;   /* as asked for */
	uint32_t align_bytes;    /* as asked for, 8 at least */
	uint32_t aliases;        /* other caches that share it */
	uint32_t min_partial;    /* empty slabs that a node keeps at most */
	uint32_t cpu_partial;    /* objects that a magazine holds at most */
	uint32_t debug;          /* TMM_SLAB_* of tuxmm/slab_debug.h */
	uint32_t usercopy_bytes; /* that user copies may reach */
	uint64_t partial_slabs;  /* with objects in them, but not all */
	uint64_t partial_objs;   /* that are out of those */
	uint64_t magazine_objs;  /* free, in magazines */
	const void *ctor;        /* NULL: none */
	bool reclaimable, account, dma, hwcache_align, mergeable;
};

/*
 * Caches in the order of /proc/slabinfo (newest first), index 0 upwards; false
 * past the last, and for any with TMM_SLOB, whose pages are no cache's.
 */
bool tmm_cache_info(struct tmm_slab_system *slabs, size_t index, struct tmm_cache_info *out);

/* What can be set of a cache in use (Linux: written to files of /sys/kernel/slab/CACHE). */
enum tmm_cache_control {
	TMM_CACHE_SHRINK,      /* 1: tmm_cache_shrink() */
	TMM_CACHE_VALIDATE,    /* 1: tmm_cache_validate(); for caches that debug */
	TMM_CACHE_MIN_PARTIAL, /* empty slabs that each node keeps; 1 at first */
	TMM_CACHE_CPU_PARTIAL, /* as tmm_cache_tune(); 0 alone where the cache debugs */
	TMM_CACHE_FAILSLAB     /* 1: TMM_SLAB_FAILSLAB, 0: no more; for what nobody shares */
};

/*
 * Of the cache that tmm_cache_info() has at that index.  Its creator, who may destroy it
 * at any time, waits for the call.
 *   TMM_OK
 *   TMM_E_NOENT  there is no such cache
 *   TMM_E_INVAL  it cannot be set to that value
 */
TMM_MUST_CHECK tmm_err tmm_cache_control(struct tmm_slab_system *slabs, size_t index,
                                         enum tmm_cache_control what, uint64_t value);

/* What of a cache lies on one node. */
struct tmm_cache_node_info {
	uint64_t active_objs; /* lent */
	uint64_t num_objs;
	uint64_t num_slabs;
	uint64_t empty_slabs;   /* with all objects in them */
	uint64_t partial_slabs; /* with objects in them, but not all */
	uint64_t partial_objs;  /* that are out of those */
};

/* Of the cache at that index; looks at every object.  False: no such cache or node. */
bool tmm_cache_node_info(struct tmm_slab_system *slabs, size_t index, unsigned node,
                         struct tmm_cache_node_info *out);

/* Aliases, index 0 upwards: their names, and the caches they share; false past the last. */
struct tmm_cache_alias {
	char name[32], of[32];
};
bool tmm_cache_alias(struct tmm_slab_system *slabs, size_t index, struct tmm_cache_alias *out);

/*
 * May user memory be copied there, or from there?  False, which is reported, when the
 * bytes are in a slab and not all in the usercopy region of one object, or reach
 * behind kmalloc's memory.  True for all other addresses.
 */
bool tmm_usercopy_allowed(struct tmm_slab_system *slabs, const void *address, size_t bytes,
                          bool to_user);

/* Frames that slabs and large kmalloc hold (Linux: Slab in meminfo). */
uint64_t tmm_slab_pages(struct tmm_slab_system *slabs, bool reclaimable);

/* The most frames that slabs and large kmalloc held at one time. */
uint64_t tmm_slab_peak_pages(const struct tmm_slab_system *slabs);

/* Panics unless slabs, lists, magazines and counts agree.  No CPU may be allocating. */
void tmm_slab_check(struct tmm_slab_system *slabs);

#endif
