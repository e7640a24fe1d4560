/*
 * dma_impl.h - the parts of DMA: bounce buffers, the pool for atomic requests, records
 */
#ifndef TUXMM_DEVICE_DMA_IMPL_H
#define TUXMM_DEVICE_DMA_IMPL_H

#include <tuxmm/dma.h>

#include "base/print.h"
#include "device/bus.h"

/* ---- bounce.c ---- */

#define SLOT_SHIFT    11u /* Linux: IO_TLB_SHIFT */
#define SLOT_BYTES    (UINT64_C(1) << SLOT_SHIFT)
#define SEGMENT_SLOTS 128u /* no mapping is longer, none crosses two (IO_TLB_SEGSIZE) */
#define SEGMENT_BYTES (SEGMENT_SLOTS * SLOT_BYTES)
#define SEGMENT_WORDS (SEGMENT_SLOTS / 64)
#define SEGMENT_ORDER 6u /* in frames */
#define SEGMENT_NONE  UINT32_MAX

/* What a mapping's first slot remembers.  Guarded by being mapped. */
struct slot {
	uint64_t original; /* physical address of the driver's buffer */
	uint32_t bytes;
	uint32_t skip; /* bytes of the first slot before the mapping */
};

/*
 * Slots next to each other, in segments; areas of segments, so that CPUs need not
 * share a lock.  (c) constant after init  (s) lock  (a) atomic
 */
struct bounce_area {
	struct lock lock;
	uint32_t first, end; /* (c) segments */
	uint32_t next;       /* (s) where to look first */
};

#define MAX_AREAS 16u

struct bounce_pool {
	uint64_t start, end;  /* (c) physical addresses */
	uint32_t nr_segments; /* (c) */
	uint32_t nr_areas;    /* (c) */
	bool is_of_boot;      /* (c) its memory is memblock's */
	struct bounce_area area[MAX_AREAS];
	uint64_t *used;           /* (s) a bit for each slot, SEGMENT_WORDS a segment */
	struct slot *slot;        /* [nr_segments * SEGMENT_SLOTS] */
	struct bounce_pool *next; /* (a) set once */
};

/* ---- the pool for requests that cannot wait ---- */

struct atomic_pool {
	struct lock lock;
	uint64_t pfn, nr_pages; /* (c) once made */
	uint64_t *used;         /* (lock) a bit for each frame */
	tmm_gfp zone;           /* (c) zone bits of its frames */
	bool is_made;           /* (a) */
};

enum reach { REACH_DMA, REACH_DMA32, REACH_ALL, NR_REACHES };

/* ---- dma_debug.c ---- */

enum dma_type { DMA_SINGLE, DMA_SG, DMA_COHERENT, DMA_RESOURCE };

/* Tables that find records: by the device's address, by that of the driver's memory. */
enum record_by { BY_ADDR, BY_PADDR, NR_BY };

struct dma_entry {
	struct dma_entry *next[NR_BY]; /* of the same bucket */
	struct tmm_device *device;
	uint64_t addr, bytes;
	uint64_t paddr;     /* of the driver's memory */
	const void *memory; /* of coherent memory */
	const void *site;   /* the call that mapped it */
	uint64_t sum;       /* of the driver's buffer while it is the device's */
	unsigned nr_sg;     /* entries of its list */
	enum dma_type type;
	enum tmm_dma_direction direction;
	bool is_device_owned;
	bool is_unchecked; /* for an error */
	bool has_sum;
};

#define BUCKETS_SHIFT 14u /* Linux: HASH_SIZE */
#define NR_BUCKETS    (1u << BUCKETS_SHIFT)
#define NR_CLASSES    64u /* of lengths */

/* (c) constant after init  (l) lock  (a) atomic */
struct tmm_dma {
	struct tmm_pages *pages;       /* (c) */
	struct tmm_slab_system *slabs; /* (c) */
	struct tmm_bus *bus;           /* (c) */
	uint64_t ram_end;              /* (c) behind the highest RAM there may be */
	enum tmm_swiotlb_mode mode;    /* (c) */
	uint64_t pool_bytes;           /* (c) of each atomic pool; 0: by the size of RAM */
	bool has_debug;                /* (c) */
	struct lock lock;
	struct tmm_device *devices;     /* (l) */
	struct bounce_pool *bounce;     /* (a) chain; that of boot comes first */
	struct bounce_pool boot_bounce; /* its struct */
	struct atomic_pool atomic[NR_REACHES];
	struct dma_entry **bucket[NR_BY];          /* (l) [NR_BUCKETS] */
	uint64_t nr_of_class[NR_CLASSES];          /* (l) records */
	bool is_debug_off;                         /* (l) an entry could not be had */
	_Alignas(64) struct tmm_dma_counts counts; /* (a) apart from what every mapping reads */
	char report[320];                          /* of the mistake that a panic is about */
};

struct dma_config {
	uint64_t swiotlb_bytes; /* 0: SWIOTLB_BYTES where RAM goes beyond 4 GiB */
	enum tmm_swiotlb_mode mode;
	uint64_t pool_bytes;
	uint32_t debug;        /* TMM_DMA_DEBUG */
	uint64_t ram_end;      /* behind the highest RAM there may be */
	uint64_t lowmem_bytes; /* frames above have no address; 0: all have */
};

/* Before there is a page allocator: reserve the bounce buffers; none is no error. */
void dma_reserve(struct tmm_dma *dma, struct tmm_memblock *memblock, void *ram,
                 const struct dma_config *config);

/* TMM_E_NOMEM */
TMM_MUST_CHECK tmm_err dma_init(struct tmm_dma *dma, struct tmm_slab_system *slabs,
                                struct tmm_bus *bus, const struct dma_config *config);

/* Every device must be gone (asserted). */
void dma_fini(struct tmm_dma *dma);

/* relaxed: counts of nothing else, moments' values */
static inline void dma_count(uint64_t *counter, uint64_t nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

static inline void dma_uncount(uint64_t *counter, uint64_t nr)
{
	__atomic_fetch_sub(counter, nr, __ATOMIC_RELAXED);
}

static inline uint64_t dma_counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline bool mask_reaches(uint64_t mask, uint64_t start, uint64_t bytes)
{
	return start <= mask && bytes - 1 <= mask - start;
}

/* Zone bits for memory that a mask reaches; REACH_ALL: none are needed. */
enum reach reach_of(const struct tmm_dma *dma, uint64_t mask);
tmm_gfp gfp_of_reach(enum reach reach);

/* bounce.c */
void bounce_reserve(struct tmm_dma *dma, struct tmm_memblock *memblock, void *ram,
                    uint64_t bytes, uint64_t lowmem_bytes);
void bounce_fini(struct tmm_dma *dma);

/* A bounce buffer for the physical range; false: there is none.  Copies in. */
bool bounce_map(struct tmm_device *device, uint64_t paddr, uint64_t bytes, uint64_t *out_addr);

/* Copies out unless the device only read. */
void bounce_unmap(struct tmm_dma *dma, uint64_t addr, enum tmm_dma_direction direction);
void bounce_sync(struct tmm_dma *dma, uint64_t addr, uint64_t bytes, bool to_device);

/* Is the address in a bounce buffer; whose is it?  The driver's physical address. */
bool bounce_find(const struct tmm_dma *dma, uint64_t addr, uint64_t *out_original);
void bounce_check(struct tmm_dma *dma);

/* dma_atomic.c */
void atomic_pool_init(struct tmm_dma *dma);
void atomic_pool_make(struct tmm_dma *dma, enum reach reach);
bool atomic_pool_alloc(struct tmm_dma *dma, uint64_t mask, uint64_t nr_pages,
                       uint64_t *out_pfn);
bool atomic_pool_free(struct tmm_dma *dma, uint64_t pfn, uint64_t nr_pages);
void atomic_pool_fini(struct tmm_dma *dma);

/* dma_records.c */
TMM_MUST_CHECK tmm_err records_init(struct tmm_dma *dma);

/* No record may be left (asserted). */
void records_fini(struct tmm_dma *dma);
void record_add(struct tmm_dma *dma, struct dma_entry *entry) TMM_REQUIRES(dma->lock);
void record_remove(struct tmm_dma *dma, struct dma_entry *entry) TMM_REQUIRES(dma->lock);

/*
 * A record for which is_match() says yes, of those that overlap [first, last]; it is asked
 * about others, too.  NULL: none.
 */
typedef bool record_match(const struct dma_entry *entry, const void *arg);
struct dma_entry *record_search(const struct tmm_dma *dma, enum record_by by, uint64_t first,
                                uint64_t last, record_match *is_match, const void *arg)
	TMM_REQUIRES(dma->lock);

/* Panics unless tables and counts agree. */
void records_check(const struct tmm_dma *dma) TMM_REQUIRES(dma->lock);

/*
 * dma_debug.c: told of everything, whether there are records or not; panics where a rule
 * is broken.
 */
struct dma_call {
	struct tmm_device *device;
	uint64_t addr, bytes;
	enum dma_type type;
	enum tmm_dma_direction direction;
	const void *site;
};

/* A mapping that was made; paddr: of the driver's memory.  nr_sg: entries of its list. */
void debug_map(const struct dma_call *call, uint64_t paddr, const void *memory, unsigned nr_sg);
void debug_unmap(const struct dma_call *call, const void *memory, unsigned nr_sg);
void debug_sync(const struct dma_call *call, bool to_device);
void debug_mapping_error(struct tmm_device *device, uint64_t addr);
void debug_device_access(const struct dma_call *call, bool is_write);
void debug_bad_memory(const struct dma_call *call, const void *memory);
void debug_remove(struct tmm_device *device);

/* Panic with a rule and what broke it. */
_Noreturn void dma_report(const struct dma_call *call, const char *rule,
                          const struct dma_entry *entry);

#endif
