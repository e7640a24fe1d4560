/*
 * slab_debug.h - caches that look after their objects
 *
 * A cache that debugs has no magazines: each allocation and each free takes the
 * cache's lock, and looks at what lies around the object and, while it is free, in
 * it.  What is wrong is reported to the log in Linux's form, put right, and the
 * object is set aside: it is lent to nobody any more, until its cache goes.
 *
 * Which caches debug is said at boot, by the shape's slab_debug in the language of
 * Linux's slab_debug=: options, then the caches they are for; blocks are divided by
 * ';'.  "FZ" is for all caches, "FZ,dentry,kmalloc-*" for those named, "P;FZ,dentry"
 * for all others too.  No options: FZPU; "-": none.
 *
 *   F  free objects are a chain of scrambled pointers, and slabs are looked at whole
 *   Z  red zones before and behind each object; with U also behind what was asked of
 *      kmalloc, up to the size of its cache
 *   P  a free object is filled with TMM_POISON_FREE; padding with TMM_POISON_INUSE
 *   U  who borrowed an object last and who freed it: call site, CPU, task, when
 *   T  a line of log for each allocation and free
 *   A  requests fail as struct tmm_failslab says; not a way to debug by itself
 *   O  not for caches whose slabs would need a higher order for it
 *
 * Freeing twice, inside of an object or to another cache is found by any of F, Z, P, U
 * and T.  Unlike in Linux, Z and P look without F, too.  The slab system's own
 * caches never debug.  A constructor's objects are not filled.
 *
 * Linux    mm/slub.c, slab_debug=, Documentation/mm/slub.rst
 */
#ifndef TUXMM_SLAB_DEBUG_H
#define TUXMM_SLAB_DEBUG_H

#include <tuxmm/slab.h>

/* Of a cache: tmm_cache_spec.debug, and what tmm_cache_info() says. */
#define TMM_SLAB_CONSISTENCY (1u << 0) /* F */
#define TMM_SLAB_RED_ZONE    (1u << 1) /* Z */
#define TMM_SLAB_POISON      (1u << 2) /* P */
#define TMM_SLAB_STORE_USER  (1u << 3) /* U */
#define TMM_SLAB_TRACE       (1u << 4) /* T */
#define TMM_SLAB_FAILSLAB    (1u << 5) /* A */

/* Of the machine: tmm_shape.slab_options. */
#define TMM_SLAB_PANIC    (1u << 0) /* stop at the first report */
#define TMM_SLAB_NO_MERGE (1u << 1) /* no cache is an alias (Linux: slab_nomerge) */
#define TMM_SLAB_RANDOM   (1u << 2) /* objects of a slab are lent in a random order */

/* Bytes of free objects, their last one, and of what is nobody's. */
#define TMM_POISON_FREE  0x6bu
#define TMM_POISON_END   0xa5u
#define TMM_POISON_INUSE 0x5au

/* Bytes of red zones around free and lent objects. */
#define TMM_RED_INACTIVE    0xbbu
#define TMM_RED_ACTIVE      0xccu

#define TMM_SLAB_DEBUG_MOST 127u /* characters of tmm_shape.slab_debug */

/* NULL, or a sentence that says what is wrong with the options. */
const char *tmm_slab_debug_fault(const char *options);

/*
 * Which requests of caches with TMM_SLAB_FAILSLAB fail, as if memory were short (Linux:
 * failslab=, debugfs/failslab).  Never those with TMM_GFP_NOFAIL.
 */
struct tmm_failslab {
	uint32_t interval;    /* of those that might, each so-manieth; 0: each */
	uint32_t probability; /* of those, percent; 0: none fails */
	uint64_t space_bytes; /* lent before the first that fails */
	int32_t times;        /* failures; -1: without end; 0: none, but 1 in a shape */
	bool fails_waiting;   /* those with TMM_GFP_DIRECT_RECLAIM, too */
	bool is_quiet;        /* no line of log for each */
};

/* NULL, or a sentence that says what is wrong with them. */
const char *tmm_slab_failslab_fault(const struct tmm_failslab *attr);

/* From now on; TMM_OK, TMM_E_INVAL: there is a fault. */
TMM_MUST_CHECK tmm_err tmm_slab_failslab_set(struct tmm_slab_system *slabs,
                                             const struct tmm_failslab *attr);

/* What is left of them: space and times become less. */
void tmm_slab_failslab_get(const struct tmm_slab_system *slabs, struct tmm_failslab *out);

/* Requests that were made to fail. */
uint64_t tmm_slab_failslab_failures(const struct tmm_slab_system *slabs);

/* Look at every object and all padding; returns how many reports that made. */
uint64_t tmm_cache_validate(struct tmm_cache *cache);

/* Reports over objects of the cache since it was made. */
uint64_t tmm_cache_reports(const struct tmm_cache *cache);

/* Lent objects of a cache by the call that borrowed them, or that freed them before. */
struct tmm_slab_site {
	const void *site;
	uint64_t count;
	uint64_t least_age, most_age, ages; /* calls since; ages: the sum */
	uint32_t first_task, last_task;
	uint32_t first_cpu, last_cpu;
};

/*
 * The site that follows *site by address, of the cache that tmm_cache_info() has at that
 * index; start with site NULL.  False past the last, and without TMM_SLAB_STORE_USER.
 */
bool tmm_slab_site_next(struct tmm_slab_system *slabs, size_t index, bool freed,
                        struct tmm_slab_site *site);

#endif
