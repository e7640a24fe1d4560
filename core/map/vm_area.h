/*
 * vm_area.h - who has which kernel addresses
 */
#ifndef TUXMM_MAP_VM_AREA_H
#define TUXMM_MAP_VM_AREA_H

#include <tuxmm/vmalloc.h>

#include "map/kernel_map_impl.h"

/* Where the caller of a public function is. */
#define SITE __builtin_return_address(0)

/* (c) constant after it is found  (v) space.lock  (o) its borrower's  (a) atomic */
struct vm_area {
	struct va_range at;   /* of a long piece; else its bounds alone (c) */
	uint64_t bytes;       /* (c) without the guard */
	uint64_t phys;        /* (c) */
	uint64_t nr_pages;    /* (o, a) frames that are mapped */
	const void *caller;   /* (c) */
	struct vm_area *next; /* (v) of those that wait for the flush */
	uint8_t kind;         /* (c) enum tmm_vm_kind */
	bool is_short;        /* (c) a slot of a chunk */
	bool is_freed;        /* (v) */
};

/* The area of a place, space.lock held; NULL: none. */
struct vm_area *area_of_place(const struct va_place *place);

/* What an area is to be. */
struct area_request {
	uint64_t bytes, align_bytes, phys;
	enum tmm_vm_kind kind;
	tmm_gfp gfp;
	const void *caller;
};

/* NULL: no memory, or no addresses even after a purge. */
struct vm_area *area_get(struct tmm_kernel_map *map, const struct area_request *request);

/*
 * The live area of that kind which starts at `address`.  Anything else: panics, saying
 * what the address is instead.  It is marked as freed.
 */
struct vm_area *area_take_back(struct tmm_kernel_map *map, const void *address,
                               enum tmm_vm_kind kind, const char *rule, const void *site);

/* Its entries are clear: let its addresses go when they have been flushed. */
void area_put(struct tmm_kernel_map *map, struct vm_area *area);

/* The same, flushed before it returns. */
void area_put_now(struct tmm_kernel_map *map, struct vm_area *area);

static inline uint64_t area_start(const struct vm_area *area)
{
	return area->at.range.start;
}

/* Panics unless areas agree with tables and counts. */
void areas_check(struct tmm_kernel_map *map);

#endif
