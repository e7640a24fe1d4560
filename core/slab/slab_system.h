/*
 * slab_system.h - caches, their slabs, and what the files of this folder share
 *
 * Storeys above use slab_init() and slab_fini(), and the checker the counts.
 */
#ifndef TUXMM_SLAB_SLAB_SYSTEM_H
#define TUXMM_SLAB_SLAB_SYSTEM_H

#include <tuxmm/slab_debug.h>

#include "base/list.h"
#include "base/lock.h"
#include "page/page_system.h"
#include "slab/magazine.h"

#define NR_KMALLOC_SIZES  13u
#define NR_KMALLOC_CACHES (NR_KMALLOC_TYPES * NR_KMALLOC_SIZES)
#define NO_SLAB           UINT32_MAX /* ends a chain of slabs */
#define CACHE_LINE        64u
#define MAX_SLAB_OBJS     512u

/*
 * Caches for the slab system's own needs.  They have no magazines and at most 64
 * objects in a slab, so that they need no memory but their slabs.
 */
enum own_cache {
	OWN_CACHE,    /* struct tmm_cache */
	OWN_SLOTS,    /* struct tmm_slot of every CPU */
	OWN_MAGAZINE, /* struct tmm_magazine */
	OWN_ALIAS,    /* struct alias */
	OWN_STATE,    /* state of a slab of up to 64 objects, then 128, 256, 512 */
	OWN_CHARGES = OWN_STATE + 4, /* charges for as many objects */
	NR_OWN_CACHES = OWN_CHARGES + 4
};

/* What kmalloc's memory is for, which is kept apart (Linux's names: kmalloc-rcl-64). */
enum kmalloc_type {
	KMALLOC_NORMAL,
	KMALLOC_RECLAIM, /* TMM_GFP_RECLAIMABLE */
	KMALLOC_DMA,     /* TMM_GFP_DMA: in ZONE_DMA */
	KMALLOC_CGROUP,  /* TMM_GFP_ACCOUNT */
	NR_KMALLOC_TYPES
};

/* Slabs by the number of their first frame, linked through struct page. */
struct slab_list {
	uint32_t first;
	uint32_t nr;
};

/* The slabs of a cache that lie on one node.  (n) the cache's lock */
struct slab_node {
	struct slab_list partial, full; /* (n) with a free object, and without */
	uint32_t nr_empty;              /* (n) of `partial`, with all their objects in them */
	uint32_t nr_short;              /* (n) of both lists */
};

/* Objects that are not in their slabs, and the bytes that say whether they are lent. */
struct objects {
	void **object;
	uint8_t **lent;
};

/* Of a cache that debugs, in bytes from an object's start.  (c) */
struct object_layout {
	uint32_t left_bytes;   /* of the red zone before it */
	uint32_t red_end;      /* of the red zone behind it */
	uint32_t free_offset;  /* of the pointer to the next free object */
	uint32_t track_offset; /* of who had it */
	uint32_t pad_offset;   /* of what is nobody's, up to the next one */
};

/* Another name of a cache.  (s) tmm_slab_system.lock */
struct alias {
	struct list link;        /* (s) in aliases */
	struct tmm_cache *cache; /* constant */
	char name[32];           /* constant */
};

/* (c) constant after init  (n) lock  (s) tmm_slab_system.lock  (a) atomic */
struct tmm_cache {
	struct tmm_cache_front front; /* open to all of cpus, or to nobody */
	uint64_t slab_mask;           /* (a) the bits of an address that say its slab's */
	const char *ram;              /* (c) where frame 0 is, or would be */
	struct page *flat;            /* (c) map.flat, where there is one node; else NULL */
	struct tmm_pages *pages;      /* (c) */

	struct tmm_slab_system *slabs; /* (c) */
	struct cpu_set *cpus;          /* (c) */
	uint32_t size_bytes;           /* (c) from one object to the next */
	uint32_t lent_offset;          /* (c) of the bytes in a slab's state */
	uint32_t nr_objs;              /* (c) in a slab, unless it is short */
	uint32_t order;                /* (c) of a slab, unless it is short */
	uint32_t nr_words;             /* (c) of 64 bits, one bit for each object */
	uint32_t limit;                /* (a) of magazines from now on; 0: none */
	uint32_t depot_most;           /* (a) full magazines in the depot of a node */
	uint32_t nr_visits;            /* (a) to the lock, until there are magazines */
	const void *drainer;           /* (n) who takes all from the slots; NULL: nobody */
	uint16_t nr_nodes;             /* (c) of the machine */
	bool has_charges;              /* (a) some slab has, or had: charge.c */

	struct lock lock __attribute__((aligned(CACHE_LINE)));
	tmm_gfp page_gfp;            /* (c) added to every request for a slab */
	struct tmm_cache *states;    /* (c) cache of the slabs' states; NULL: an own cache */
	uint32_t min_partial;        /* (n) empty slabs that a node may keep */
	uint32_t nr_short;           /* (n) slabs of all lists that are short */
	uint32_t short_order;        /* (c) the least that holds an object */
	uint32_t short_objs;         /* (c) in a short slab */
	uint64_t nr_out;             /* (n, a) objects lent and in magazines */
	void (*ctor)(void *object);  /* (c) */
	struct list link;            /* (s) in caches */
	uint32_t object_bytes;       /* (c) that a borrower may use */
	uint32_t debug;              /* (c) TMM_SLAB_*; 0: the cache does not debug */
	struct object_layout layout; /* (c) all 0 in a cache that does not debug */
	uint64_t random;             /* (c) what free pointers are scrambled with */
	uint64_t nr_aside;           /* (n) objects set aside as corrupt */
	uint64_t nr_reports;         /* (a) */
	uint64_t shuffle;            /* (n) where random picks of objects are; 0: the lowest */
	bool fails;                  /* (n, a) TMM_SLAB_FAILSLAB */
	bool is_kmalloc;             /* (c) */
	bool hwcache_align;          /* (c) */
	bool no_merge;               /* (c) */
	uint32_t align_bytes;        /* (c) */
	uint32_t usercopy_offset;    /* (c) */
	uint32_t usercopy_bytes;     /* (c) */
	uint32_t nr_users;           /* (s) creators: aliases and itself */
	uint32_t nr_pins;            /* (s) calls that know it by its index: control.c */
	uint32_t nr_gone;            /* (s) of those that destroyed it, but not its name */
	char name[32];               /* (c) */
	struct slab_node node[TMM_MAX_NODES]; /* [nr_nodes] */
	struct depot depot[TMM_MAX_NODES];    /* [nr_nodes] */
} __attribute__((aligned(CACHE_LINE)));

_Static_assert(offsetof(struct tmm_cache, front) == 0, "inline functions find it there");

/* Which requests of caches with TMM_SLAB_FAILSLAB fail: failslab.c.  (a) atomic */
struct failslab {
	struct tmm_failslab attr; /* (a) each field by itself */
	uint32_t nr_asked;        /* (a) for an interval */
	uint64_t nr_draws;        /* (a) of random numbers */
	uint64_t nr_failed;       /* (a) */
};

/* Of struct charges for so many objects. */
#define CHARGES_BYTES(nr) (8 + (nr) * sizeof(uint16_t))

#define NR_SLOB_LISTS     3u

/* Blocks of all sizes in shared pages: slob.c.  (l) lock */
struct slob {
	struct lock lock;
	uint32_t first[NR_SLOB_LISTS]; /* (l) of pages with free units, where searches begin */
	uint64_t nr_pages;             /* (l) */
	uint64_t nr_lent;              /* (l) blocks */
};

/* What a shape says of slabs; all zeroes: as a machine boots by itself. */
struct slab_config {
	const char *debug;   /* tmm_slab_debug_fault() finds no fault; NULL: none */
	uint32_t options;    /* TMM_SLAB_* of tuxmm/slab_debug.h */
	uint64_t seed;       /* of what is to be random */
	uint64_t direct_map; /* where the processor has RAM; 0: as x86-64 has it */
	enum tmm_slab_allocator allocator;
	struct tmm_failslab failslab; /* tmm_slab_failslab_fault() finds no fault */
};

struct tmm_slab_system {
	struct lock lock;
	struct tmm_pages *pages;        /* (c) */
	struct list caches;             /* (s) the newest first */
	struct list aliases;            /* (s) the newest first */
	struct tmm_shrinker *shrinkers; /* (s) a chain */
	uint64_t nr_large_pages;        /* (s) frames of PAGE_LARGE */
	uint64_t nr_pages;              /* (a) frames of slabs and large runs */
	uint64_t peak_pages;            /* (a) most that nr_pages has been */
	struct cpu_exit_hook exit_hook;
	uint32_t options;    /* (c) */
	bool has_debug;      /* (c) debug is not empty */
	char debug[128];     /* (c) slab_debug= */
	uint64_t seed;       /* (c) */
	uint64_t direct_map; /* (c) */
	struct failslab failslab;
	uint64_t clock; /* (a) counts what is tracked */
	bool is_slob;   /* (c) no cache has slabs */
	struct slob slob;
	size_t kmalloc_plain; /* (c) largest size that needs no second look */
	struct tmm_cache own[NR_OWN_CACHES];
	struct tmm_cache kmalloc[NR_KMALLOC_CACHES]; /* by type, and by size, rising */
};

/* Allocates nothing, so it cannot fail.  config NULL: all zeroes. */
void slab_init(struct tmm_slab_system *slabs, struct tmm_pages *pages,
               const struct slab_config *config);

/* Every object and large run must be back (asserted).  Gives every frame back. */
void slab_fini(struct tmm_slab_system *slabs);

/* Give the empty slabs of all caches back; returns the pages freed. */
uint64_t slab_shrink_all(struct tmm_slab_system *slabs);

/*
 * cache.c: a run was taken from the page allocator (sign 1), or is about to be given
 * back (-1).
 */
void slab_count_run(struct tmm_slab_system *slabs, tmm_pfn pfn, unsigned order,
                    bool reclaimable, int sign);

/* merge.c: may others share the cache? */
bool cache_may_merge(const struct tmm_cache *cache);

/*
 * merge.c: put a new cache on the list, or let it be an alias: then it is not needed any
 * more, and *cache is what it is an alias of.  *alias, which only a cache that may merge
 * needs, is NULL when it was used.
 *   TMM_OK, TMM_E_EXIST
 */
TMM_MUST_CHECK tmm_err cache_enlist(struct tmm_slab_system *slabs, struct tmm_cache **cache,
                                    struct alias **alias) TMM_REQUIRES(slabs->lock);

/* merge.c: one of several creators destroys the cache; false: he is the last. */
bool cache_leave(struct tmm_slab_system *slabs, struct tmm_cache *cache)
	TMM_REQUIRES(slabs->lock);

/* merge.c: panics unless the invariants hold. */
void aliases_check(struct tmm_slab_system *slabs) TMM_REQUIRES(slabs->lock);

/* merge.c: take the aliases of a cache that goes, as a chain through link.next. */
struct alias *aliases_take(struct tmm_slab_system *slabs, struct tmm_cache *cache)
	TMM_REQUIRES(slabs->lock);

/* kmalloc.c: make the caches of all types and sizes. */
void kmalloc_init(struct tmm_slab_system *slabs);

/* kmalloc.c: the cache of ordinary memory of that size; NULL: there is more to look at. */
struct tmm_cache *kmalloc_cache(struct tmm_slab_system *slabs, size_t size_bytes);

/* kmalloc.c: a run of frames of its own, and its end; a place in such a run. */
struct place;
void *large_alloc(struct tmm_slab_system *slabs, size_t size_bytes, tmm_gfp gfp, uint32_t node);
void large_free(struct tmm_slab_system *slabs, struct place place);

/* cache.c: the cache at that place of the list; NULL: there are not so many. */
struct tmm_cache *cache_at(struct tmm_slab_system *slabs, size_t index)
	TMM_REQUIRES(slabs->lock);

/* cache.c: fill in the fields, for a spec that is valid. */
void cache_init(struct tmm_cache *cache, struct tmm_slab_system *slabs,
                const struct tmm_cache_spec *spec);

/* Where objects may come from, in this order; a machine of one node has two such places. */
enum source_step {
	SOURCE_NODE,     /* slabs that lie on the node */
	SOURCE_NODE_NEW, /* a new slab there, if nobody has to reclaim for it */
	SOURCE_OTHERS,   /* slabs that lie elsewhere, the nearest first */
	SOURCE_NEW       /* a new slab wherever the page allocator has room */
};

struct slab_source {
	struct tmm_cache *cache;
	enum source_step step;
	tmm_gfp gfp;
	uint32_t wished;   /* TMM_NODE_ANY: the CPU's */
	uint32_t node;     /* which is the nearest for all of them */
	uint32_t new_slab; /* which comes to the cache now; NO_SLAB: none */
};

/* node.c: begin with the first place; go on to the next: false, there is none. */
struct slab_source source_first(struct tmm_cache *cache, tmm_gfp gfp, uint32_t wished);
bool source_next(struct slab_source *source);

/* node.c: a slab with an object in it; NO_SLAB: there is none in this place. */
uint32_t source_slab(const struct slab_source *source) TMM_REQUIRES(source->cache->lock);

/* node.c: the nearest node that may have slabs of the cache. */
uint32_t slab_home(const struct tmm_cache *cache, uint32_t node);

/* node.c: where the machine has several nodes: is the object far from the CPU? */
bool object_is_remote(const struct tmm_cache *cache, const void *object);

/* node.c: an object that is lent goes back to its slab, past the magazines. */
void object_go_home(struct tmm_cache *cache, void *object, uint8_t *lent);

/*
 * node.c: an object from a node, or TMM_NODE_ANY; without the failure point, and not
 * cleared.  asked_bytes: by kmalloc's caller.
 */
void *object_alloc_node(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node, size_t asked_bytes,
                        const void *site);

/* magazine.c: panics unless the cache can serve a request with these flags. */
void check_request(const struct tmm_cache *cache, tmm_gfp gfp);

/*
 * slab.c: take up to `most` objects out of slabs, the last of which is to be used
 * first; 0: there is none in this place.  At least one where source->new_slab is a slab,
 * which is added to the cache.  Few at a time where slabs are scattered.
 */
uint32_t objects_take(const struct slab_source *source, struct objects out, uint32_t most);

/* magazine.c: one object from there, past the magazines; NULL: there is none. */
void *object_take(const struct slab_source *source);

/* slab.c: put objects into their slabs; returns the pages that this freed. */
uint64_t objects_put(struct tmm_cache *cache, struct objects in, uint32_t nr);

/* slab.c: objects of the system's own caches. */
void *own_alloc(struct tmm_cache *cache, tmm_gfp gfp);
void own_free(struct tmm_cache *cache, void *object);

/* slab.c: give empty slabs back, all but so many of each node; returns the pages freed. */
uint64_t empties_free(struct tmm_cache *cache, uint32_t keep);

/* slab.c: of nr_clear clear bits the first, or with TMM_SLAB_RANDOM any. */
uint32_t slab_pick(struct tmm_cache *cache, const uint64_t *bits, uint32_t nr_clear)
	TMM_REQUIRES(cache->lock);

/* slab.c: one object of a slab on `partial`, for caches that debug. */
uint32_t slab_find_free(struct tmm_cache *cache, struct page *head) TMM_REQUIRES(cache->lock);
void slab_take_object(struct tmm_cache *cache, struct page *head, uint32_t index)
	TMM_REQUIRES(cache->lock);

/* slab.c: back into its slab; the slabs to be destroyed without the lock, or NO_SLAB. */
uint32_t slab_put_object(struct tmm_cache *cache, void *object) TMM_REQUIRES(cache->lock);
uint64_t slabs_destroy(struct tmm_cache *cache, uint32_t first);

/*
 * slab.c: a slab with its state, from `node` first; NO_SLAB: memory is short.  Then it
 * goes to `partial`.
 */
uint32_t slab_new(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node);
void slab_add(struct tmm_cache *cache, uint32_t first) TMM_REQUIRES(cache->lock);

/*
 * odd.c: tmm_cache_free() of what the fast path does not know to be right: an object
 * of a cache that debugs, or a mistake, which panics.  `site` is the caller.
 */
void odd_free(struct tmm_cache *cache, void *object, const void *site);

/*
 * magazine.c: tmm_cache_alloc() for kmalloc: without the failure point, and with flags
 * for the fast path alone but for TMM_GFP_ZERO, which the caller sees to.
 */
void *object_alloc(struct tmm_cache *cache, tmm_gfp gfp);

/*
 * depot.c: put what the magazines of all CPUs hold into slabs and give them back;
 * returns the pages freed.  The caller holds no lock, and interrupts are on.
 */
uint64_t magazines_drain(struct tmm_cache *cache);

/*
 * depot.c: the same in steps: close the cache, unless somebody else has; wait for the
 * sections; drain it if `drainer` closed it, and open it again.  Where the sections
 * could not be waited for, those of other CPUs keep what they have.
 */
bool magazines_close(struct tmm_cache *cache, const void *drainer);
uint64_t magazines_drain_closed(struct tmm_cache *cache, const void *drainer, bool stopped);

/* depot.c: the same where nobody uses the cache, nor will. */
void magazines_destroy(struct tmm_cache *cache);

/* depot.c: the same for one CPU, which is the caller's to use. */
void magazines_leave(struct tmm_cache *cache, struct tmm_cpu *cpu);

/* depot.c: objects in magazines; a moment's value while other CPUs run. */
uint64_t magazines_count(struct tmm_cache *cache);

/* depot.c: panics unless magazines hold objects that are not lent.  No CPU runs. */
void magazines_check(struct tmm_cache *cache);

/* An address in a run of frames: the run's first descriptor, and bytes from its start. */
struct place {
	struct page *head;
	uint64_t offset;
};

static inline struct place place_of(const struct tmm_pages *pages, const void *address)
{
	uint64_t at = (uint64_t)((const char *)address - (const char *)pages->ram);
	struct page *page = page_of(pages, (tmm_pfn){at >> TMM_PAGE_SHIFT});
	struct page *head = page->flags & PG_TAIL ? page->owner : page;

	return (struct place){.head = head,
	                      .offset = ((uint64_t)(page - head) << TMM_PAGE_SHIFT) +
	                                ((uintptr_t)address & (TMM_PAGE_SIZE - 1))};
}

/* The same for an address of which nothing is known; false: it is not in RAM. */
static inline bool place_find(const struct tmm_pages *pages, const void *address,
                              struct place *out)
{
	uint64_t at = (uint64_t)((const char *)address - (const char *)pages->ram);

	if (!pfn_valid(pages, (tmm_pfn){at >> TMM_PAGE_SHIFT}))
		return false;
	*out = place_of(pages, address);
	return true;
}

/* magazine.c: give back an object of the cache, which is at `place`; checks that it is lent. */
void object_free(struct tmm_cache *cache, struct place place, void *object, const void *site);

/* slab.c: tmm_pages_alloc(), from `node` first unless that is TMM_NODE_ANY. */
bool run_alloc_near(struct tmm_pages *pages, uint32_t node, tmm_gfp gfp, unsigned order,
                    tmm_pfn *out_pfn);

/* slab.c: mark the 2^order frames as one run, and take that back. */
void run_mark(const struct tmm_pages *pages, tmm_pfn first, unsigned order, enum page_kind kind,
              void *owner);
void run_unmark(const struct tmm_pages *pages, tmm_pfn first, unsigned order);

/* slab.c: panics unless the cache's slabs agree with its counts. */
void cache_check(struct tmm_cache *cache);

static inline bool is_own_cache(const struct tmm_cache *cache)
{
	return !cache->states;
}

static inline struct page *slab_page(const struct tmm_cache *cache, uint32_t first)
{
	return page_of(cache->pages, (tmm_pfn){first});
}

/* The words of a slab: a bit for each object, set while it is not in the slab. */
static inline uint64_t *slab_bits(const struct tmm_cache *cache, struct page *head)
{
	return is_own_cache(cache) ? &head->lent
	                           : (uint64_t *)(uintptr_t)(head->lent - cache->lent_offset);
}

/*
 * Behind the words, and what the descriptor says, as each free asks for it: a byte for
 * each object, not zero while it is lent.  An own cache has none.
 */
static ALWAYS_INLINE uint8_t *slab_lent(const struct page *head)
{
	return (uint8_t *)(uintptr_t)head->lent;
}

/* Those bytes: one more, always zero, where a slab does not end with an object. */
static inline uint32_t nr_lent_bytes(const struct tmm_cache *cache)
{
	return cache->nr_objs +
	       (cache->nr_objs * cache->size_bytes < TMM_PAGE_SIZE << cache->order);
}

static inline bool slab_is_short(const struct page *head)
{
	return head->flags & PG_SHORT;
}

static inline uint32_t slab_order(const struct tmm_cache *cache, const struct page *head)
{
	return slab_is_short(head) ? cache->short_order : cache->order;
}

/* Objects in a slab. */
static inline uint32_t slab_objs(const struct tmm_cache *cache, const struct page *head)
{
	return slab_is_short(head) ? cache->short_objs : cache->nr_objs;
}

/* Of the shortest run that holds so many bytes. */
static inline uint32_t run_order(uint64_t bytes)
{
	return log2_ceil((bytes + TMM_PAGE_SIZE - 1) / TMM_PAGE_SIZE);
}

/* Which bits of an address in RAM say where a slab begins that is aligned to its length. */
static inline uint64_t mask_of_order(uint32_t order)
{
	return ~((TMM_PAGE_SIZE << order) - 1);
}

static inline struct slab_node *slab_node(struct tmm_cache *cache, uint32_t first)
{
	return &cache->node[pfn_node(cache->pages, (tmm_pfn){first})];
}

/* All lists, two of each node: for (i = 0; i < nr_slab_lists(cache); i++). */
static inline unsigned nr_slab_lists(const struct tmm_cache *cache)
{
	return 2 * cache->nr_nodes;
}

static inline const struct slab_list *slab_list_at(const struct tmm_cache *cache, unsigned i)
{
	const struct slab_node *node = &cache->node[i / 2];

	return i % 2 ? &node->full : &node->partial;
}

static inline uint64_t cache_slabs(const struct tmm_cache *cache) TMM_REQUIRES(cache->lock)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < nr_slab_lists(cache); i++)
		nr += slab_list_at(cache, i)->nr;
	return nr;
}

/* Frames of all slabs. */
static inline uint64_t cache_frames(const struct tmm_cache *cache) TMM_REQUIRES(cache->lock)
{
	return ((cache_slabs(cache) - cache->nr_short) << cache->order) +
	       ((uint64_t)cache->nr_short << cache->short_order);
}

#endif
