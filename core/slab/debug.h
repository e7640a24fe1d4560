/*
 * debug.h - caches that debug: what lies around an object, and who looks at it
 */
#ifndef TUXMM_SLAB_DEBUG_IMPL_H
#define TUXMM_SLAB_DEBUG_IMPL_H

#include <tuxmm/slab_debug.h>

#include "base/print.h"
#include "slab/slab_system.h"

/* Of an object, in its slab's state; caches that do not debug know the first two. */
enum object_state {
	OBJECT_FREE,
	OBJECT_LENT,
	OBJECT_ASIDE /* neither, since it was found to be corrupt */
};

/* TMM_SLAB_STORE_USER: behind the object. */
struct track {
	const void *site;
	uint64_t when; /* by the slab system's clock, which counts these */
	uint32_t cpu, task;
};

struct tracks {
	struct track lent, freed; /* site NULL: never */
	uint64_t asked_bytes;     /* of kmalloc */
};

/* debug_options.c: what the boot options say for a cache of that name. */
struct debug_choice {
	uint32_t flags;     /* TMM_SLAB_* */
	bool not_at_a_cost; /* O: not if slabs become longer */
};
struct debug_choice debug_choose(const char *options, const char *name);

/*
 * debug.c: where everything lies in a cache of these flags, and the distance of
 * objects.  No flags: nothing but objects.
 */
uint64_t debug_layout(struct tmm_cache *cache, const struct tmm_cache_spec *spec,
                      uint32_t flags, uint64_t align);

/* failslab.c: is this request of a cache with TMM_SLAB_FAILSLAB to fail? */
bool failslab_fails(struct tmm_cache *cache, tmm_gfp gfp);

/* debug.c: a new slab's objects are free. */
void debug_slab_init(struct tmm_cache *cache, struct page *head);

/* debug.c: tmm_cache_alloc() and tmm_cache_free() of a cache that debugs. */
void *debug_alloc(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node, size_t asked_bytes,
                  const void *site);
void debug_free(struct tmm_cache *cache, void *object, const void *site);

/* debug.c: kmalloc's caller may use that much of a lent object from now on. */
void debug_resize(struct tmm_cache *cache, void *object, size_t asked_bytes);

/* debug.c: what kmalloc's caller asked for, when that is known; else the whole object. */
size_t debug_asked_bytes(struct tmm_cache *cache, const void *object);

/* debug.c: panics unless the invariants hold and nothing is to be reported. */
void cache_debug_check(struct tmm_cache *cache);

/* debug.c: put the objects that were set aside into their slabs; none is lent. */
void debug_release_aside(struct tmm_cache *cache);

/* ---- reports, debug_report.c; the cache's lock is held ---- */

/* What a report is about.  head NULL: no slab; object NULL: the slab as a whole. */
struct subject {
	struct tmm_cache *cache;
	struct page *head;
	char *object;
	const void *site; /* of the call that found it; NULL: no call */
};

/* "BUG cache: what", then all that is known of the object. */
void report_object(const struct subject *subject, const char *what);

/* Bytes [from, to) of something are not `expected`: reports and restores them. */
void report_bytes(const struct subject *subject, const char *what, unsigned char *from,
                  unsigned char *to, unsigned char expected);

/* A request of the cache's was made to fail; what is left to fail. */
void report_forced(const struct tmm_cache *cache, const struct tmm_failslab *left);

/* A line about what was done, and one for the option T. */
__attribute__((format(printf, 2, 3))) void report_fix(const struct subject *subject,
                                                      const char *format, ...);
void report_trace(const struct subject *subject, const char *what);

/* The cache cannot go: its lent objects, of any cache, with who borrowed them. */
void report_lent(struct tmm_cache *cache, uint64_t nr_lent) TMM_REQUIRES(cache->lock);

/* ---- where things are ---- */

/* As Linux prints it: in the direct map. */
static inline unsigned long long shown(const struct tmm_cache *cache, const void *address)
{
	return cache->slabs->direct_map +
	       (uint64_t)((const char *)address - (const char *)cache->pages->ram);
}

static inline char *object_at(const struct tmm_cache *cache, struct page *head, uint32_t index)
{
	return (char *)page_address(cache->pages, page_pfn(cache->pages, head)) +
	       (uint64_t)index * cache->size_bytes + cache->layout.left_bytes;
}

static inline struct tracks *tracks_of(const struct tmm_cache *cache, const char *object)
{
	return (struct tracks *)(uintptr_t)(object + cache->layout.track_offset);
}

/* The first free object of the chain, plus one; 0: none. */
static inline uint32_t *chain_of(const struct tmm_cache *cache, const struct page *head)
{
	return (uint32_t *)(void *)(slab_lent(head) +
	                            align_up(nr_lent_bytes(cache), sizeof(uint32_t)));
}

/* Where the free object has the pointer to the next one, and what it says. */
static inline uint64_t *link_of(const struct tmm_cache *cache, const char *object)
{
	return (uint64_t *)(uintptr_t)(object + cache->layout.free_offset);
}

static inline uint64_t link_code(const struct tmm_cache *cache, const char *object,
                                 uint64_t link)
{
	return link ^ cache->random ^ __builtin_bswap64((uintptr_t)link_of(cache, object));
}

static inline bool is_to_fail(struct tmm_cache *cache, tmm_gfp gfp)
{
	/* relaxed: a setting that orders nothing */
	return unlikely(__atomic_load_n(&cache->fails, __ATOMIC_RELAXED)) &&
	       failslab_fails(cache, gfp);
}

static inline bool debugs(const struct tmm_cache *cache, uint32_t flags)
{
	return (cache->debug & flags) != 0;
}

#endif
