/*
 * kernel_map_impl.h - the kernel's tables and windows, for the files of this folder
 */
#ifndef TUXMM_MAP_KERNEL_MAP_IMPL_H
#define TUXMM_MAP_KERNEL_MAP_IMPL_H

#include <tuxmm/kernel_map.h>

#include "base/lock.h"
#include "base/print.h"
#include "map/mmu_impl.h"
#include "map/va_space.h"
#include "slab/slab_system.h"

/* (c) constant after init */
struct window {
	uint64_t start, end;   /* (c) as Linux has it */
	uint64_t usable_bytes; /* (c) from start on: what the port gave, or pointers reach */
	char *pointer;         /* (c) to start; NULL: none */
};

/* Slots of the fixed map: tuxmm/fixmap.h names the first, then come those of kmap_local. */
#define FIX_NAMED          32u
#define KMAP_LOCAL_DEPTH   16u
#define KMAP_LOCAL_SLOTS   (2 * KMAP_LOCAL_DEPTH) /* each with an unmapped one beside it */
#define FIX_SLOTS(nr_cpus) (FIX_NAMED + KMAP_LOCAL_SLOTS * (uint64_t)(nr_cpus))

/* 32 bits: addresses above the direct map that the other windows share; the most RAM below. */
#define KERNEL_RESERVE_32 (UINT64_C(128) << 20)
#define LOWMEM_MOST_32    ((UINT64_C(3) << 30) - KERNEL_RESERVE_32)

#define PKMAP_SLOTS_MOST  1024u /* two levels; half with more */

/* What is to be mapped where, with TMM_KPROT_*. */
struct map_run {
	uint64_t va, pa, bytes;
	unsigned prot;
};

struct vm_area;
struct pkmap;
struct kmap_cpu;

struct kernel_counts {
	uint64_t flushes, flushed_pages; /* what the TLBs were told */
};

/* (c) constant after init  (v) lock  (a) readable without it, relaxed */
struct tmm_kernel_map {
	struct lock lock;
	struct tmm_pages *pages;           /* (c) */
	struct tmm_slab_system *slabs;     /* (c) */
	enum tmm_geometry geometry;        /* (c) */
	uint64_t ram_bytes;                /* (c) that can be shown: from 0 on, RAM or a hole */
	bool has_tables;                   /* (v) mmu is there: made when first needed */
	bool flushes_at_once;              /* (c) nothing unmapped stays visible */
	struct tmm_mmu mmu;                /* (v) */
	struct kernel_counts counts;       /* (v) */
	const struct tmm_mmu_ops *mmu_ops; /* (c) who caches translations; NULL: nobody */
	void *mmu_arg;                     /* (c) */
	struct window window[TMM_NR_WINDOWS]; /* (c) */
	struct va_space space;                /* guards itself; (w) its lock */
	struct vm_area *lazy;                 /* (w) freed areas that wait for the flush */
	uint64_t lazy_pages;                  /* (w, a) their pages, guards among them */
	uint64_t purges;                      /* (w) */
	struct pkmap *pkmap;                  /* (c) with high memory, else NULL */
	struct kmap_cpu *local;               /* (c) [cpus->nr], likewise */
	struct cpu_exit_hook leave_hook;
	uint64_t used_pages; /* (a) frames of tmm_vmalloc() */
	char report[400];    /* of the mistake that a panic is about */
};

struct kernel_map_config {
	struct tmm_pages *pages;
	struct tmm_slab_system *slabs;
	enum tmm_geometry geometry;
	uint64_t ram_bytes;   /* the end of what is readable and writable from pages->ram on */
	bool flushes_at_once; /* TMM_DEBUG_UNMAP */
};

/* The address of frame 0: known before there is a kernel map. */
uint64_t kernel_direct_start(enum tmm_geometry geometry, const struct tmm_pages *pages);

/* TMM_E_NOMEM */
TMM_MUST_CHECK tmm_err kernel_map_init(struct tmm_kernel_map *map,
                                       const struct kernel_map_config *config);

/* Every area must be back (asserted). */
void kernel_map_fini(struct tmm_kernel_map *map);

/* Frames that the kernel's page tables take. */
uint64_t kernel_map_tables(const struct tmm_kernel_map *map);

/* Write entries and show the frames; on failure neither.  TMM_E_EXIST, TMM_E_NOMEM */
TMM_MUST_CHECK tmm_err kernel_map_run(struct tmm_kernel_map *map, const struct map_run *run,
                                      tmm_gfp gfp);

/* The entries alone. */
TMM_MUST_CHECK tmm_err kernel_map_entries(struct tmm_kernel_map *map, const struct map_run *run,
                                          tmm_gfp gfp);

/*
 * Clear the entries of [start, end) and say which there were; nothing is flushed or
 * hidden.  `pa` is where the page was.
 */
typedef void (*leaf_gone)(void *arg, uint64_t va, uint64_t page_bytes, uint64_t pa);
void kernel_clear(struct tmm_kernel_map *map, uint64_t start, uint64_t end, leaf_gone gone,
                  void *arg);

/* Tell whoever caches translations to forget a range: count it, under the lock, and tell. */
void kernel_flush(struct tmm_kernel_map *map, uint64_t start, uint64_t end);
void kernel_count_flush(struct tmm_kernel_map *map, uint64_t nr_pages) TMM_REQUIRES(map->lock);
void kernel_tell_flush(const struct tmm_kernel_map *map, uint64_t start, uint64_t end);

/* The bits of a leaf, PRESENT apart, that TMM_KPROT_* means. */
uint64_t kernel_leaf_bits(const struct tmm_kernel_map *map, unsigned prot);

/* fixmap.c: the address of a slot of the fixed map. */
uint64_t kernel_fix_va(const struct tmm_kernel_map *map, uint64_t index);

/*
 * kmap.c: ready for high memory, where there is some.  TMM_E_NOMEM; TMM_E_NOSYS: the port
 * has no windows, and high memory could not be reached.
 */
TMM_MUST_CHECK tmm_err kmap_init(struct tmm_kernel_map *map);
void kmap_fini(struct tmm_kernel_map *map);
void kmap_check(struct tmm_kernel_map *map);

/* Hide what is behind the pointers to a cleared range, and free empty tables. */
void kernel_hide(struct tmm_kernel_map *map, uint64_t start, uint64_t end);

/* Pages that may wait for a flush. */
uint64_t kernel_lazy_most(const struct tmm_kernel_map *map);

/* tmm_kernel_describe(), as part of a longer text. */
void kernel_describe(struct tmm_kernel_map *map, uint64_t va, struct printer *printer);

/* Panic over an address: what rule was broken, what the address is, who. */
_Noreturn void kernel_report(struct tmm_kernel_map *map, const void *address, const char *rule,
                             const void *site);

/* direct.c: the entry of an address of the direct map is in the tables, if it is RAM. */
void direct_sync(struct tmm_kernel_map *map, uint64_t va);

#endif
