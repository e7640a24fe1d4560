/*
 * model.h - memory models: where the descriptor of a frame is
 *
 * Each frame has a descriptor of 32 bytes.  One array of them from the first
 * frame to the last is the fastest to index and has entries for holes too; one
 * array for each node has none for what lies between nodes; one for each section
 * with RAM has holes no larger than a section, for a table of sections.  What the
 * allocator keeps for each 2 MiB goes from the first frame to the last as well, with
 * sections only for the 128 MiB parts that have RAM or may get some by hot-plug.
 *
 * Units    sizes in _bytes; entries are descriptors
 * Linux    FLATMEM, DISCONTIGMEM, SPARSEMEM; pfn_to_page(), page_to_pfn()
 */
#ifndef TUXMM_MODEL_H
#define TUXMM_MODEL_H

#include <tuxmm/memblock.h>
#include <tuxmm/sink.h>

enum tmm_memory_model {
	TMM_MEMORY_FLAT,          /* one array from the first frame to the last */
	TMM_MEMORY_DISCONTIGUOUS, /* one array for each node */
	TMM_MEMORY_SPARSE         /* one array for each section with RAM */
};

#define TMM_SECTION_BYTES       (UINT64_C(128) << 20) /* unless the shape says otherwise */
#define TMM_SECTION_BYTES_LEAST (UINT64_C(2) << 20)

/* What a model takes for the memory of one memblock. */
struct tmm_model_cost {
	uint64_t nr_arrays;    /* of descriptors: pieces that need free RAM in one piece */
	uint64_t nr_entries;   /* descriptors */
	uint64_t hole_entries; /* those of them whose frame is not RAM */
	uint64_t map_bytes;    /* all descriptors */
	uint64_t table_bytes;  /* what finds an array by frame and a frame by descriptor */
	uint64_t block_bytes;  /* bits and facts of each 2 MiB */
};

/*
 * Count it without making it.  section_bytes is for TMM_MEMORY_SPARSE; 0 means
 * TMM_SECTION_BYTES.
 *   TMM_OK       *out_cost; zeroes for a memblock without memory
 *   TMM_E_INVAL  no such model, or section_bytes is no power of two of at least
 *                TMM_SECTION_BYTES_LEAST
 */
TMM_MUST_CHECK tmm_err tmm_model_cost(const struct tmm_memblock *mb,
                                      enum tmm_memory_model model, uint64_t section_bytes,
                                      struct tmm_model_cost *out_cost);

/* A table of all three for the same memory, a line each under one of headings. */
TMM_MUST_CHECK tmm_err tmm_model_show(const struct tmm_memblock *mb, uint64_t section_bytes,
                                      const struct tmm_sink *sink);

#endif
