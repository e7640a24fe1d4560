/*
 * model.h - from frame number to struct page and back, by any memory model
 */
#ifndef TUXMM_PAGE_MODEL_H
#define TUXMM_PAGE_MODEL_H

#include <tuxmm/model.h>

#include "page/block.h"
#include "page/page.h"

/* The frames of a node from its first block to its last, and their descriptors. */
struct node_map {
	uint64_t start, end; /* frames; equal: the node has no memory */
	struct page *page;   /* [end - start] */
};

/* (c) constant after init  (h) changed by hot-plug, one aligned store at a time */
struct memory_map {
	enum tmm_memory_model model; /* (c) */
	unsigned shift;              /* (c) log2 of frames per entry of base[] */
	uint64_t first, nr_frames;   /* (c) the span; whole blocks */
	uint64_t array_pages;        /* (h) frames that descriptors fill */
	uint64_t boot_pages;         /* (c) the same at boot */
	struct page *flat;           /* (c) FLAT: [nr_frames] */

	/*
	 * (h) By frame number >> shift: the address that the descriptor of frame 0
	 * would have, were the array to reach there; 0: no descriptors.
	 */
	uintptr_t *base;
	uint64_t nr_bases; /* (c) */

	/*
	 * What is kept for each block or frame is indexed from the first frame of the span;
	 * SPARSE: without the parts that have no RAM at boot and lie outside of hot-plug.
	 */
	uint64_t linear;     /* (c) frames whose index is their distance from the first */
	uint64_t nr_indexes; /* (c) */
	unsigned part_shift; /* (c) SPARSE: log2 of the frames of a part */
	uint64_t nr_parts;   /* (c) entries of delta[] */
	uint64_t *delta; /* (c) by part: its frames' indexes less their numbers, or NO_INDEX */
	uint32_t *part_of; /* (c) by index >> part_shift */

	/* SPARSE: arrays are aligned to their length, which tells whose a descriptor is. */
	uintptr_t ram;        /* (c) where frame 0 is */
	unsigned array_shift; /* (c) log2 of an array's bytes */
	uint32_t *section_of; /* (h) by index of its first frame in arrays' lengths: its section
	                       */
	uint64_t nr_places;   /* (c) entries of section_of[] */

	struct node_map node[TMM_MAX_NODES]; /* (c) DISCONTIGUOUS */
};

/* What a map is made of. */
struct map_request {
	struct tmm_memblock *memblock;
	void *ram;                 /* where frame 0 is; reads as zeroes */
	uint64_t first, nr_frames; /* the span; whole blocks, all RAM is inside */
	enum tmm_memory_model model;
	uint64_t section_bytes; /* 0: TMM_SECTION_BYTES */
	uint64_t hotplug_end;   /* frame: sections may be added below */
	unsigned part_shift;    /* no run crosses the border of two parts */

	/* Where a node's own memory for arrays ends, by node; NULL: at memblock's limit. */
	const uint64_t *end_on;
};

/*
 * Take the arrays from memblock; descriptors are left as they read, zeroes.
 *   TMM_E_INVAL  section_bytes is no power of two, or less than a block
 *   TMM_E_NOMEM, TMM_E_NOSPC  memblock cannot give the arrays
 */
TMM_MUST_CHECK tmm_err map_init(struct memory_map *map, const struct map_request *request);

/* Zeroed memory of memblock's, which stays reserved. */
TMM_MUST_CHECK tmm_err boot_array(struct tmm_memblock *memblock, void *ram, uint64_t size_bytes,
                                  uint64_t align_bytes, void **out);

/*
 * The same from the memory of a node below `end`, 0: memblock's limit, or from any
 * node's where that one has no room.
 */
TMM_MUST_CHECK tmm_err boot_array_on(struct tmm_memblock *memblock, void *ram, uint32_t node,
                                     uint64_t end, uint64_t size_bytes, uint64_t align_bytes,
                                     void **out);

/* The largest blocks of frames, as a power of two, that never belong to two nodes. */
unsigned node_chunk_shift(const struct tmm_memblock *memblock);

/*
 * SPARSE: give a section its array, aligned to its own length; take it away; the
 * first frame of the array.
 */
void map_set_section(struct memory_map *map, uint64_t section, struct page *array);
void map_clear_section(struct memory_map *map, uint64_t section);
uint64_t map_section_frame(const struct memory_map *map, uint64_t section);

/* Parts are as long as this, or as the longest run or array where that is longer. */
#define PART_ORDER_LEAST 15u /* 128 MiB */

/* log2 of the frames of a section, 0: the usual, and of a part of a SPARSE machine. */
unsigned map_section_order(uint64_t section_bytes);
unsigned map_part_order(uint64_t section_bytes, unsigned longest_run);

/* What the tables of a SPARSE machine take at most whose frames lie in the first so many. */
uint64_t map_table_bytes(uint64_t section_bytes, unsigned part_order, uint64_t frames);

#define NO_INDEX UINT64_MAX

/* Where what is kept for the frame is; NO_INDEX: nothing is, it is no RAM. */
static ALWAYS_INLINE uint64_t map_index(const struct memory_map *map, uint64_t pfn)
{
	uint64_t at = pfn - map->first, part;

	if (likely(at < map->linear))
		return at;
	part = pfn >> map->part_shift;
	if (part >= map->nr_parts || map->delta[part] == NO_INDEX)
		return NO_INDEX;
	return pfn + map->delta[part];
}

/* The reverse; index < nr_indexes. */
static inline uint64_t map_frame_at(const struct memory_map *map, uint64_t index)
{
	if (likely(index < map->linear))
		return index + map->first;
	return index - map->delta[map->part_of[index >> map->part_shift]];
}

/* Indexes of frames below `end`, which lies in the span or ends it. */
uint64_t map_index_end(const struct memory_map *map, uint64_t end);

/* Has the frame a descriptor? */
bool map_has(const struct memory_map *map, uint64_t pfn);

/* page_pfn() where there is more than one array. */
uint64_t map_pfn_of_array(const struct memory_map *map, const struct page *page);

/* Is the frame between the first and the last that may be RAM? */
static ALWAYS_INLINE bool map_in_span(const struct memory_map *map, uint64_t pfn)
{
	return pfn - map->first < map->nr_frames;
}

static ALWAYS_INLINE struct page *map_page(const struct memory_map *map, uint64_t pfn)
{
	uintptr_t base;

	TMM_ASSERT(map_in_span(map, pfn));
	if (likely(map->model == TMM_MEMORY_FLAT))
		return map->flat + (pfn - map->first);
	/* relaxed: other sections come and go; who has a frame has its section */
	base = __atomic_load_n(&map->base[pfn >> map->shift], __ATOMIC_RELAXED);
	TMM_ASSERT(base != 0);
	return (struct page *)(base + pfn * sizeof(struct page));
}

static ALWAYS_INLINE uint64_t map_pfn(const struct memory_map *map, const struct page *page)
{
	if (likely(map->model == TMM_MEMORY_FLAT))
		return (uint64_t)(page - map->flat) + map->first;
	return map_pfn_of_array(map, page);
}

#endif
