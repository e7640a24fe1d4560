/*
 * dma_pool.c - blocks of coherent memory
 *
 * A run of coherent memory is cut into blocks, which do not cross the boundary.  A
 * bit for each, beside the run, says whether it is lent: devices write into blocks, so
 * that nothing of the pool's is kept there.
 *
 *   run    |block|zone|block|zone|....|block|zone|      zones with TMM_DMA_DEBUG only
 *
 *   I1  blocks that are lent are as many as are counted
 *   I2  with TMM_DMA_DEBUG, zones are ZONE and free blocks FREED in every byte
 */
#include <tuxmm/dma_pool.h>

#include "device/dma_impl.h"

#include "base/list.h"

#define ZONE_BYTES 16u
#define ZONE       0xbbu
#define FREED      0xa7u /* Linux: POOL_POISON_FREED */
#define LENT       0xa9u /* POOL_POISON_ALLOCATED */
#define MOST_BYTES (UINT64_C(64) << 10)
#define MAX_BLOCKS 512u /* of a run: a page of blocks of 8 bytes */

/* (p) the pool's lock  (c) constant */
struct run {
	struct list link;               /* (p) */
	char *memory;                   /* (c) */
	tmm_dma_addr addr;              /* (c) */
	uint32_t nr_lent;               /* (p) */
	uint64_t lent[MAX_BLOCKS / 64]; /* (p) a bit for each block */
};

/* (c) constant after init  (p) lock */
struct tmm_dma_pool {
	struct lock lock;
	struct tmm_device *device; /* (c) */
	uint64_t size_bytes;       /* (c) of a block, as asked for */
	uint64_t stride;           /* (c) from one block to the next */
	uint64_t boundary;         /* (c) */
	uint64_t run_bytes;        /* (c) */
	uint32_t nr_blocks;        /* (c) in a run */
	bool has_zones;            /* (c) */
	struct list runs;          /* (p) */
	uint64_t nr_runs, nr_lent; /* (p) */
	char name[32];             /* (c) */
};

/* Where block i of a run begins: the boundary may leave gaps. */
static uint64_t offset_of(const struct tmm_dma_pool *pool, uint32_t i)
{
	const uint64_t per = pool->boundary / pool->stride;

	return i / per * pool->boundary + i % per * pool->stride;
}

static bool all_are(const char *at, uint64_t bytes, unsigned byte)
{
	for (uint64_t i = 0; i < bytes; i++)
		if ((unsigned char)at[i] != byte)
			return false;
	return true;
}

_Noreturn static void report(const struct tmm_dma_pool *pool, const char *rule, uint64_t addr)
{
	const struct dma_call call = {.device = pool->device,
	                              .addr = addr,
	                              .bytes = pool->size_bytes,
	                              .type = DMA_COHERENT};
	struct print_text text;
	struct printer printer;
	char with_name[160];

	print_text_begin(&printer, &text, with_name, sizeof(with_name));
	print(&printer, "%s: pool %s", rule, pool->name);
	print_end(&printer);
	dma_report(&call, with_name, NULL);
}

/* ---- pools ---- */

static bool spec_is_valid(const struct tmm_dma_pool_spec *spec)
{
	size_t length = 0;

	while (spec->name && spec->name[length])
		length++;
	return length && length < 32 && spec->size_bytes && spec->size_bytes <= MOST_BYTES &&
	       (!spec->align_bytes || is_power_of_two(spec->align_bytes)) &&
	       spec->align_bytes <= MOST_BYTES &&
	       (!spec->boundary_bytes ||
	        (is_power_of_two(spec->boundary_bytes) &&
	         spec->boundary_bytes >= align_up(spec->size_bytes,
	                                          spec->align_bytes ? spec->align_bytes : 1)));
}

static void set_layout(struct tmm_dma_pool *pool, const struct tmm_dma_pool_spec *spec)
{
	const uint64_t align = spec->align_bytes ? spec->align_bytes : 8;

	pool->size_bytes = spec->size_bytes;
	pool->stride = align_up(spec->size_bytes, align);
	/* A zone that would leave no block within the boundary is left out. */
	if (pool->device->dma->has_debug) {
		uint64_t with_zone = align_up(spec->size_bytes + ZONE_BYTES, align);

		pool->has_zones = !spec->boundary_bytes || with_zone <= spec->boundary_bytes;
		if (pool->has_zones)
			pool->stride = with_zone;
	}
	pool->run_bytes = align_up(pool->stride, TMM_PAGE_SIZE);
	pool->boundary = spec->boundary_bytes ? spec->boundary_bytes : pool->run_bytes;
	pool->boundary = min_u64(pool->boundary, pool->run_bytes);
	if (pool->boundary < pool->stride) /* runs are aligned to the next power of two */
		pool->boundary = pool->run_bytes;
	pool->nr_blocks = (uint32_t)min_u64(
		MAX_BLOCKS, pool->run_bytes / pool->boundary * (pool->boundary / pool->stride));
}

tmm_err tmm_dma_pool_create(struct tmm_device *device, const struct tmm_dma_pool_spec *spec,
                            struct tmm_dma_pool **out_pool)
{
	struct tmm_dma_pool *pool;

	if (!spec_is_valid(spec))
		return TMM_E_INVAL;
	pool = tmm_kzalloc(device->dma->slabs, sizeof(*pool), TMM_GFP_KERNEL);
	if (!pool)
		return TMM_E_NOMEM;
	lock_init(&pool->lock, RANK_DEVICE);
	list_init(&pool->runs);
	pool->device = device;
	for (size_t i = 0; spec->name[i]; i++)
		pool->name[i] = spec->name[i];
	set_layout(pool, spec);
	*out_pool = pool;
	return TMM_OK;
}

static void run_free(struct tmm_dma_pool *pool, struct run *run)
{
	tmm_dma_free_coherent(pool->device, pool->run_bytes, run->memory, run->addr);
	tmm_kfree(pool->device->dma->slabs, run);
}

void tmm_dma_pool_destroy(struct tmm_dma_pool *pool)
{
	if (pool->nr_lent)
		report(pool, "a pool that is destroyed has all its blocks back",
		       list_first(&pool->runs, struct run, link)->addr.v);
	tmm_dma_pool_check(pool);
	list_for_each_safe (node, &pool->runs)
		run_free(pool, list_entry(node, struct run, link));
	tmm_kfree(pool->device->dma->slabs, pool);
}

/* ---- blocks ---- */

static struct run *run_create(struct tmm_dma_pool *pool, tmm_gfp gfp)
{
	struct tmm_slab_system *slabs = pool->device->dma->slabs;
	struct run *run = tmm_kzalloc(slabs, sizeof(*run), gfp);

	if (!run)
		return NULL;
	run->memory = tmm_dma_alloc_coherent(pool->device, pool->run_bytes, &run->addr, gfp);
	if (!run->memory) {
		tmm_kfree(slabs, run);
		return NULL;
	}
	for (uint32_t i = 0; pool->has_zones && i < pool->nr_blocks; i++) {
		char *block = run->memory + offset_of(pool, i);

		memset(block, FREED, pool->size_bytes);
		memset(block + pool->size_bytes, ZONE, pool->stride - pool->size_bytes);
	}
	return run;
}

/* A free block's number; the run goes to the end when it was the last. */
static uint32_t take_block(struct tmm_dma_pool *pool, struct run *run) TMM_REQUIRES(pool->lock)
{
	uint32_t word = 0, block;

	while (run->lent[word] == UINT64_MAX)
		word++;
	block = word * 64 + (uint32_t)__builtin_ctzll(~run->lent[word]);
	run->lent[word] |= UINT64_C(1) << (block % 64);
	run->nr_lent++;
	pool->nr_lent++;
	if (run->nr_lent == pool->nr_blocks) {
		list_del(&run->link);
		list_add_tail(&pool->runs, &run->link);
	}
	return block;
}

static struct run *run_with_room(struct tmm_dma_pool *pool) TMM_REQUIRES(pool->lock)
{
	struct run *run = list_first(&pool->runs, struct run, link);

	return list_empty(&pool->runs) || run->nr_lent == pool->nr_blocks ? NULL : run;
}

void *tmm_dma_pool_alloc(struct tmm_dma_pool *pool, tmm_gfp gfp, tmm_dma_addr *out_addr)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);
	struct run *run = run_with_room(pool);
	uint64_t offset;
	char *block;

	if (!run) {
		lock_drop_irqrestore(&pool->lock, irq);
		run = run_create(pool, gfp & ~TMM_GFP_ZERO);
		if (!run)
			return NULL;
		irq = lock_take_irqsave(&pool->lock);
		list_add(&pool->runs, &run->link);
		pool->nr_runs++;
	}
	offset = offset_of(pool, take_block(pool, run));
	lock_drop_irqrestore(&pool->lock, irq);
	block = run->memory + offset;
	if (pool->has_zones && !all_are(block, pool->size_bytes, FREED))
		report(pool, "a block is not written after it was freed", run->addr.v + offset);
	if (gfp & TMM_GFP_ZERO)
		memset(block, 0, pool->size_bytes);
	else if (pool->has_zones)
		memset(block, LENT, pool->size_bytes);
	out_addr->v = run->addr.v + offset;
	return block;
}

void *tmm_dma_pool_zalloc(struct tmm_dma_pool *pool, tmm_gfp gfp, tmm_dma_addr *out_addr)
{
	return tmm_dma_pool_alloc(pool, gfp | TMM_GFP_ZERO, out_addr);
}

static struct run *run_with(struct tmm_dma_pool *pool, uint64_t addr) TMM_REQUIRES(pool->lock)
{
	list_for_each (node, &pool->runs) {
		struct run *run = list_entry(node, struct run, link);

		if (addr - run->addr.v < pool->run_bytes)
			return run;
	}
	return NULL;
}

/* The block's number; nr_blocks: none begins there. */
static uint32_t block_at(const struct tmm_dma_pool *pool, uint64_t offset)
{
	const uint64_t per = pool->boundary / pool->stride, in = offset % pool->boundary;
	const uint64_t block = offset / pool->boundary * per + in / pool->stride;

	return in % pool->stride || in / pool->stride >= per || block > pool->nr_blocks
	               ? pool->nr_blocks
	               : (uint32_t)block;
}

static const char *free_fault(const struct tmm_dma_pool *pool, const struct run *run,
                              const char *block, uint64_t offset)
{
	uint32_t at;

	if (!run)
		return "what is freed is of the pool";
	at = block_at(pool, offset);
	if (at == pool->nr_blocks)
		return "what is freed is a block from its start on";
	if (block != run->memory + offset)
		return "what is freed is at that address for the device";
	if (!(run->lent[at / 64] >> (at % 64) & 1))
		return "a block is freed once";
	if (pool->has_zones &&
	    !all_are(block + pool->size_bytes, pool->stride - pool->size_bytes, ZONE))
		return "nobody writes beyond a block";
	return NULL;
}

void tmm_dma_pool_free(struct tmm_dma_pool *pool, void *block, tmm_dma_addr addr)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);
	struct run *run = run_with(pool, addr.v);
	uint64_t offset = run ? addr.v - run->addr.v : 0;
	const char *fault = free_fault(pool, run, block, offset);

	if (!fault) {
		uint32_t at = block_at(pool, offset);

		if (pool->has_zones)
			memset(block, FREED, pool->size_bytes);
		run->lent[at / 64] ^= UINT64_C(1) << (at % 64);
		run->nr_lent--;
		pool->nr_lent--;
		list_del(&run->link);
		list_add(&pool->runs, &run->link);
	}
	lock_drop_irqrestore(&pool->lock, irq);
	if (fault)
		report(pool, fault, addr.v);
}

void tmm_dma_pool_info(struct tmm_dma_pool *pool, struct tmm_dma_pool_info *out)
{
	tmm_irq irq = lock_take_irqsave(&pool->lock);

	*out = (struct tmm_dma_pool_info){.active_blocks = pool->nr_lent,
	                                  .total_blocks = pool->nr_runs * pool->nr_blocks,
	                                  .size_bytes = pool->stride,
	                                  .nr_pages = pool->nr_runs};
	memcpy(out->name, pool->name, sizeof(out->name));
	lock_drop_irqrestore(&pool->lock, irq);
}

void tmm_dma_pool_check(struct tmm_dma_pool *pool)
{
	uint64_t lent = 0, runs = 0;

	list_for_each (node, &pool->runs) {
		const struct run *run = list_entry(node, struct run, link);
		uint32_t here = 0;

		for (uint32_t i = 0; i < pool->nr_blocks; i++) {
			bool is_lent = run->lent[i / 64] >> (i % 64) & 1;
			const char *block = run->memory + offset_of(pool, i);
			uint64_t zone = pool->stride - pool->size_bytes;

			here += is_lent;
			if (!pool->has_zones)
				continue;
			TMM_ASSERT(all_are(block + pool->size_bytes, zone, ZONE)); /* I2 */
			TMM_ASSERT(is_lent || all_are(block, pool->size_bytes, FREED));
		}
		TMM_ASSERT(here == run->nr_lent);
		lent += here;
		runs++;
	}
	TMM_ASSERT(lent == pool->nr_lent && runs == pool->nr_runs); /* I1 */
}
