/*
 * memblock.h - memory before there is a page allocator
 *
 * The firmware says what there is (struct tmm_firmware_range, e820 style);
 * memblock keeps it as two sorted lists of regions, `memory` and `reserved`,
 * serves early allocations from what is memory and not reserved, and at last
 * hands what is still free to the zones.  RAM may start above 0 and have holes.
 *
 * Units    addresses and sizes in bytes
 * Owning   the caller provides struct tmm_memblock and the region arrays in it
 * Locks    none: one CPU runs during boot
 * Linux    memblock_add(), memblock_reserve(), memblock_alloc_range_nid(), mem=
 */
#ifndef TUXMM_MEMBLOCK_H
#define TUXMM_MEMBLOCK_H

#include <tuxmm/types.h>

#define TMM_MEMBLOCK_MAX_REGIONS 256u
#define TMM_NODE_ANY             UINT32_MAX

enum tmm_firmware_type {
	TMM_FW_USABLE = 1, /* the numbers of e820 */
	TMM_FW_RESERVED = 2,
	TMM_FW_ACPI = 3,
	TMM_FW_NVS = 4,
	TMM_FW_UNUSABLE = 5
};

struct tmm_firmware_range {
	tmm_paddr start;
	uint64_t size_bytes;
	enum tmm_firmware_type type;
	uint32_t node; /* of usable ranges; 0 on a machine of one node */
};

struct tmm_region {
	uint64_t start; /* [start, end) */
	uint64_t end;
	uint32_t node; /* TMM_NODE_ANY in the reserved list */
};

/* Sorted by address; no two regions touch unless their nodes differ. */
struct tmm_region_list {
	uint32_t nr;
	struct tmm_region region[TMM_MEMBLOCK_MAX_REGIONS];
};

struct tmm_memblock {
	struct tmm_region_list memory;
	struct tmm_region_list reserved;
	uint64_t limit; /* allocations end below this address */
	bool bottom_up; /* allocate from low addresses; the default is top-down */
	bool denied;    /* the port made an allocation fail, whatever room there is */
	void *ram;      /* where address 0 is, for clearing what is allocated; NULL: do not */
};

/* No memory, no limit, top-down. */
void tmm_memblock_init(struct tmm_memblock *mb, void *ram);

/*
 * Add or remove memory; overlapping and touching regions of one node merge.
 * A part that another node already has stays that node's.
 *   TMM_E_NOSPC  the list would need more than TMM_MEMBLOCK_MAX_REGIONS
 *   TMM_E_INVAL  start + size overflows
 */
TMM_MUST_CHECK tmm_err tmm_memblock_add(struct tmm_memblock *mb, tmm_paddr start,
                                        uint64_t size_bytes, uint32_t node);
TMM_MUST_CHECK tmm_err tmm_memblock_remove(struct tmm_memblock *mb, tmm_paddr start,
                                           uint64_t size_bytes);

/* Mark as in use, memory or not; and the reverse.  Errors as above. */
TMM_MUST_CHECK tmm_err tmm_memblock_reserve(struct tmm_memblock *mb, tmm_paddr start,
                                            uint64_t size_bytes);
TMM_MUST_CHECK tmm_err tmm_memblock_free(struct tmm_memblock *mb, tmm_paddr start,
                                         uint64_t size_bytes);

/*
 * Read a firmware map in any order.  Usable ranges shrink to whole pages, all
 * others grow to whole pages and win where they overlap.  mem_limit_bytes caps
 * the sum of usable memory, lowest first (Linux: mem=); 0 means no cap.
 *   TMM_E_INVAL  a range wraps round the end of the address space
 *   TMM_E_NOSPC  too many regions
 *   TMM_E_NOMEM  no usable page is left
 * After TMM_E_INVAL nothing has changed; after the others mb starts over with
 * tmm_memblock_init().
 */
TMM_MUST_CHECK tmm_err tmm_memblock_from_firmware(struct tmm_memblock *mb,
                                                  const struct tmm_firmware_range *map,
                                                  size_t nr_ranges, uint64_t mem_limit_bytes);

/*
 * The map that a PC's firmware shows for ram_bytes of RAM, rounded down to whole
 * pages: its first page and 640 KiB .. 1 MiB are reserved, and what does not fit
 * below 3 GiB continues at 4 GiB.  Returns how many ranges it wrote.
 */
#define TMM_FIRMWARE_PC_RANGES 8u
size_t tmm_firmware_pc(uint64_t ram_bytes,
                       struct tmm_firmware_range out[TMM_FIRMWARE_PC_RANGES]);

struct tmm_memblock_request {
	uint64_t size_bytes;
	uint64_t align_bytes; /* a power of two; 0 means 1 */
	uint64_t min;         /* the result lies in [min, max); max 0 means mb->limit */
	uint64_t max;
	uint32_t node;   /* preferred; TMM_NODE_ANY: no preference */
	bool exact_node; /* fail rather than take another node's */
};

/*
 * Reserve a free range: the highest that fits, or the lowest when bottom_up.
 * Cleared to zeroes when mb->ram is known.  It is given back with
 * tmm_memblock_free().
 *   TMM_E_NOMEM  nothing free is large enough
 *   TMM_E_NOSPC  the list of reserved regions is full
 *   TMM_E_INVAL  size 0, or an alignment that is no power of two
 */
TMM_MUST_CHECK tmm_err tmm_memblock_alloc(struct tmm_memblock *mb,
                                          const struct tmm_memblock_request *request,
                                          tmm_paddr *out_start);

/*
 * Walk what is memory and not reserved, upwards.  Start with *cursor = 0;
 * false at the end.
 */
bool tmm_memblock_next_free(const struct tmm_memblock *mb, uint64_t *cursor,
                            struct tmm_region *out);

/* Drop memory outside [min, max).  TMM_E_INVAL: min > max. */
TMM_MUST_CHECK tmm_err tmm_memblock_trim(struct tmm_memblock *mb, tmm_paddr min, tmm_paddr max);

/* Sums, and the first and last address of memory (0 when there is none). */
uint64_t tmm_memblock_memory_bytes(const struct tmm_memblock *mb);
uint64_t tmm_memblock_reserved_bytes(const struct tmm_memblock *mb);
uint64_t tmm_memblock_start(const struct tmm_memblock *mb);
uint64_t tmm_memblock_end(const struct tmm_memblock *mb);

/* Panics unless both lists are sorted, disjoint, merged and inside their arrays. */
void tmm_memblock_check(const struct tmm_memblock *mb);

#endif
