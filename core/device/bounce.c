/*
 * bounce.c - buffers where a device reaches, for those where it does not
 *
 * Linux calls this swiotlb.  A pool is cut into segments of 128 slots of 2 KiB; a
 * mapping is adjacent slots of one segment.  A bit for each slot says whether it is
 * used, a mapping's first slot remembers what it stands for.  Each CPU begins in an
 * area of its own and goes on to the others when that is full.
 *
 * Boot reserves one pool below 4 GiB.  A device that does not reach it, or that
 * finds it full, gets another pool: one segment of frames that it does reach.  Such
 * pools stay until the machine ends.
 *
 * Mapping copies in whatever the direction: a device may write less than it was lent,
 * and what it left alone must not change.
 *   I1  used slots of all pools are as many as are counted
 *   I2  bits that are set side by side belong to mappings that fill them
 */
#include "device/dma_impl.h"

static char *memory_at(const struct tmm_dma *dma, uint64_t paddr)
{
	return (char *)dma->pages->ram + paddr;
}

/* ---- pools ---- */

static void pool_init(struct bounce_pool *pool, uint64_t start, uint32_t nr_segments,
                      uint32_t nr_areas)
{
	pool->start = start;
	pool->end = start + nr_segments * SEGMENT_BYTES;
	pool->nr_segments = nr_segments;
	pool->nr_areas = nr_areas;
	pool->next = NULL;
	for (uint32_t a = 0; a < nr_areas; a++) {
		struct bounce_area *area = &pool->area[a];

		lock_init(&area->lock, RANK_DEVICE);
		area->first = (uint32_t)((uint64_t)a * nr_segments / nr_areas);
		area->end = (uint32_t)((uint64_t)(a + 1) * nr_segments / nr_areas);
		area->next = area->first;
	}
}

static uint64_t array_bytes(uint32_t nr_segments)
{
	return nr_segments *
	       (SEGMENT_WORDS * sizeof(uint64_t) + SEGMENT_SLOTS * sizeof(struct slot));
}

static void pool_arrays(struct bounce_pool *pool, void *memory)
{
	pool->used = memory;
	pool->slot = (struct slot *)(void *)(pool->used + pool->nr_segments * SEGMENT_WORDS);
}

void bounce_reserve(struct tmm_dma *dma, struct tmm_memblock *memblock, void *ram,
                    uint64_t bytes, uint64_t lowmem_bytes)
{
	const uint32_t nr_segments = (uint32_t)(align_up(bytes, SEGMENT_BYTES) / SEGMENT_BYTES);
	struct tmm_memblock_request request = {.size_bytes = nr_segments * SEGMENT_BYTES,
	                                       .align_bytes = SEGMENT_BYTES,
	                                       .max = UINT64_C(1) << 32,
	                                       .node = TMM_NODE_ANY};
	struct bounce_pool *pool = &dma->boot_bounce;
	tmm_paddr start, arrays;

	if (!nr_segments || tmm_memblock_alloc(memblock, &request, &start) != TMM_OK) {
		if (nr_segments)
			tmm_port_log(LOG_WARNING, "software IO TLB: Cannot allocate buffer");
		return;
	}
	request = (struct tmm_memblock_request){
		.size_bytes = align_up(array_bytes(nr_segments), TMM_PAGE_SIZE),
		.align_bytes = TMM_PAGE_SIZE,
		.max = lowmem_bytes,
		.node = TMM_NODE_ANY};
	if (tmm_memblock_alloc(memblock, &request, &arrays) != TMM_OK) {
		tmm_err err = tmm_memblock_free(memblock, start, nr_segments * SEGMENT_BYTES);

		TMM_ASSERT(err == TMM_OK);
		return;
	}
	pool->is_of_boot = true;
	pool_init(pool, start.v, nr_segments, (uint32_t)min_u64(nr_segments, MAX_AREAS));
	pool_arrays(pool, (char *)ram + arrays.v);
	dma->bounce = pool;
	dma_count(&dma->counts.swiotlb_slots, nr_segments * (uint64_t)SEGMENT_SLOTS);
}

/* One segment that the mask reaches; NULL: there is no memory for it. */
static struct bounce_pool *pool_create(struct tmm_dma *dma, uint64_t mask)
{
	const tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_NOWARN;
	struct bounce_pool *pool;
	void *arrays;
	tmm_pfn pfn;

	pool = tmm_kzalloc(dma->slabs, sizeof(*pool), gfp);
	arrays = tmm_kzalloc(dma->slabs, array_bytes(1), gfp);
	if (!pool || !arrays ||
	    tmm_pages_alloc(dma->pages, gfp | gfp_of_reach(reach_of(dma, mask)), SEGMENT_ORDER,
	                    &pfn) != TMM_OK)
		goto no_memory;
	if (!mask_reaches(mask, pfn.v << TMM_PAGE_SHIFT, SEGMENT_BYTES)) {
		tmm_pages_free(dma->pages, pfn, SEGMENT_ORDER);
		goto no_memory;
	}
	pool_init(pool, pfn.v << TMM_PAGE_SHIFT, 1, 1);
	pool_arrays(pool, arrays);
	dma_count(&dma->counts.swiotlb_slots, SEGMENT_SLOTS);
	return pool;

no_memory:
	tmm_kfree(dma->slabs, arrays);
	tmm_kfree(dma->slabs, pool);
	return NULL;
}

/* acquire: a pool that was linked is seen as it was made */
static struct bounce_pool *first_pool(const struct tmm_dma *dma)
{
	return __atomic_load_n(&dma->bounce, __ATOMIC_ACQUIRE);
}

static void pool_link(struct tmm_dma *dma, struct bounce_pool *pool)
{
	tmm_irq irq = lock_take_irqsave(&dma->lock);
	struct bounce_pool **link = &dma->bounce;

	/* Behind that of boot, before the others. */
	if (*link && (*link)->is_of_boot)
		link = &(*link)->next;
	pool->next = *link;
	/* release: see first_pool() */
	__atomic_store_n(link, pool, __ATOMIC_RELEASE);
	lock_drop_irqrestore(&dma->lock, irq);
}

static struct bounce_pool *next_pool(const struct bounce_pool *pool)
{
	/* acquire: see first_pool() */
	return __atomic_load_n(&pool->next, __ATOMIC_ACQUIRE);
}

void bounce_fini(struct tmm_dma *dma)
{
	struct bounce_pool *next;

	TMM_ASSERT(dma->counts.swiotlb_used == 0);
	for (struct bounce_pool *pool = dma->bounce; pool; pool = next) {
		next = pool->next;
		if (pool->is_of_boot)
			continue;
		tmm_pages_free(dma->pages, (tmm_pfn){pool->start >> TMM_PAGE_SHIFT},
		               SEGMENT_ORDER);
		tmm_kfree(dma->slabs, pool->used);
		tmm_kfree(dma->slabs, pool);
	}
	dma->bounce = NULL;
}

/* ---- slots ---- */

static bool slot_is_used(const struct bounce_pool *pool, uint32_t slot)
{
	return pool->used[slot / 64] >> (slot % 64) & 1;
}

static void slots_mark(struct bounce_pool *pool, uint32_t first, uint32_t nr, bool used)
{
	for (uint32_t slot = first; slot < first + nr; slot++) {
		TMM_ASSERT(slot_is_used(pool, slot) != used);
		pool->used[slot / 64] ^= UINT64_C(1) << (slot % 64);
	}
}

/* nr slots in a row within one segment, the first a multiple of `stride`. */
static uint32_t segment_find(const struct bounce_pool *pool, uint32_t segment, uint32_t nr,
                             uint32_t stride)
{
	const uint32_t first = segment * SEGMENT_SLOTS, end = first + SEGMENT_SLOTS;

	for (uint32_t slot = first; slot + nr <= end; slot += stride) {
		uint32_t i = 0;

		while (i < nr && !slot_is_used(pool, slot + i))
			i++;
		if (i == nr)
			return slot;
		slot += i - i % stride;
	}
	return SEGMENT_NONE;
}

static uint32_t area_find(struct bounce_pool *pool, struct bounce_area *area, uint32_t nr,
                          uint32_t stride) TMM_REQUIRES(area->lock)
{
	const uint32_t span = area->end - area->first;

	for (uint32_t i = 0; i < span; i++) {
		uint32_t segment = area->first + (area->next - area->first + i) % span;
		uint32_t slot = segment_find(pool, segment, nr, stride);

		if (slot == SEGMENT_NONE)
			continue;
		area->next = segment;
		slots_mark(pool, slot, nr, true);
		return slot;
	}
	return SEGMENT_NONE;
}

static uint32_t pool_find(struct tmm_dma *dma, struct bounce_pool *pool, uint32_t nr,
                          uint32_t stride)
{
	const uint32_t mine = cpu_self(dma->pages->cpus)->id % pool->nr_areas;
	uint32_t slot = SEGMENT_NONE;

	for (uint32_t i = 0; slot == SEGMENT_NONE && i < pool->nr_areas; i++) {
		struct bounce_area *area = &pool->area[(mine + i) % pool->nr_areas];
		tmm_irq irq = lock_take_irqsave(&area->lock);

		slot = area_find(pool, area, nr, stride);
		lock_drop_irqrestore(&area->lock, irq);
	}
	return slot;
}

static struct bounce_area *area_of(struct bounce_pool *pool, uint32_t slot)
{
	struct bounce_area *area = pool->area;

	while (slot / SEGMENT_SLOTS >= area->end)
		area++;
	return area;
}

static void count_used(struct tmm_dma *dma, uint64_t nr)
{
	/* relaxed: counts of nothing else */
	uint64_t used = __atomic_add_fetch(&dma->counts.swiotlb_used, nr, __ATOMIC_RELAXED);
	uint64_t most = dma_counted(&dma->counts.swiotlb_used_most);

	while (used > most &&
	       !__atomic_compare_exchange_n(&dma->counts.swiotlb_used_most, &most, used, true,
	                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---- mappings ---- */

static struct bounce_pool *pool_with(const struct tmm_dma *dma, uint64_t addr)
{
	struct bounce_pool *pool = first_pool(dma);

	while (pool && addr - pool->start >= pool->end - pool->start)
		pool = next_pool(pool);
	return pool;
}

/* The first slot of the mapping that addr is in, going down from its own slot. */
static uint32_t mapping_of(const struct bounce_pool *pool, uint64_t addr)
{
	const uint64_t offset = addr - pool->start;
	uint32_t slot = (uint32_t)(offset >> SLOT_SHIFT);
	const uint32_t first = slot - slot % SEGMENT_SLOTS;

	for (;; slot--) {
		const struct slot *at = &pool->slot[slot];

		if (at->bytes)
			return offset - slot * SLOT_BYTES < at->skip + (uint64_t)at->bytes
			               ? slot
			               : SEGMENT_NONE;
		if (slot == first)
			return SEGMENT_NONE;
	}
}

bool bounce_find(const struct tmm_dma *dma, uint64_t addr, uint64_t *out_original)
{
	const struct bounce_pool *pool = pool_with(dma, addr);
	uint32_t slot = pool ? mapping_of(pool, addr) : SEGMENT_NONE;

	if (slot == SEGMENT_NONE)
		return false;
	*out_original = pool->slot[slot].original +
	                (addr - pool->start - slot * SLOT_BYTES - pool->slot[slot].skip);
	return true;
}

static void copy(struct tmm_dma *dma, const struct bounce_pool *pool, uint32_t slot,
                 uint64_t from, uint64_t bytes, bool to_device)
{
	const struct slot *at = &pool->slot[slot];
	char *bounce = memory_at(dma, pool->start + slot * SLOT_BYTES + at->skip + from);

	TMM_ASSERT(from <= at->bytes && bytes <= at->bytes - from);
	if (to_device)
		memory_read(dma->pages, bounce, at->original + from, bytes);
	else
		memory_write(dma->pages, at->original + from, bounce, bytes);
	dma_count(to_device ? &dma->counts.bytes_bounced_in : &dma->counts.bytes_bounced_out,
	          bytes);
}

static uint32_t slots_for(const struct slot *at)
{
	return (uint32_t)((at->skip + at->bytes + SLOT_BYTES - 1) >> SLOT_SHIFT);
}

/* A pool that the device reaches and that has room. */
static struct bounce_pool *find_room(struct tmm_device *device, const struct slot *want,
                                     uint32_t *out_slot)
{
	struct tmm_dma *dma = device->dma;
	const uint32_t nr = slots_for(want);
	/* Page-aligned when it fills a page, or has low bits to keep beyond a slot. */
	const uint32_t stride = nr * SLOT_BYTES >= TMM_PAGE_SIZE ||
	                                        device->min_align_mask >= SLOT_BYTES
	                                ? TMM_PAGE_SIZE / SLOT_BYTES
	                                : 1;
	struct bounce_pool *pool;

	for (pool = first_pool(dma); pool; pool = next_pool(pool)) {
		if (!mask_reaches(device->dma_mask, pool->start, pool->end - pool->start))
			continue;
		*out_slot = pool_find(dma, pool, nr, stride);
		if (*out_slot != SEGMENT_NONE)
			return pool;
	}
	pool = pool_create(dma, device->dma_mask);
	if (!pool)
		return NULL;
	*out_slot = pool_find(dma, pool, nr, stride);
	pool_link(dma, pool);
	return pool;
}

bool bounce_map(struct tmm_device *device, uint64_t paddr, uint64_t bytes, uint64_t *out_addr)
{
	struct tmm_dma *dma = device->dma;
	struct slot want = {.original = paddr};
	struct bounce_pool *pool;
	uint32_t slot;

	want.skip = (uint32_t)(paddr & device->min_align_mask);
	if (bytes > SEGMENT_BYTES - want.skip)
		return false;
	want.bytes = (uint32_t)bytes;
	pool = find_room(device, &want, &slot);
	if (!pool)
		return false;
	pool->slot[slot] = want;
	count_used(dma, slots_for(&want));
	dma_count(&dma->counts.bounced, 1);
	copy(dma, pool, slot, 0, bytes, true);
	*out_addr = pool->start + slot * SLOT_BYTES + want.skip;
	return true;
}

void bounce_unmap(struct tmm_dma *dma, uint64_t addr, enum tmm_dma_direction direction)
{
	struct bounce_pool *pool = pool_with(dma, addr);
	uint32_t slot = mapping_of(pool, addr), nr;
	struct bounce_area *area;
	tmm_irq irq;

	TMM_ASSERT(slot != SEGMENT_NONE && "what is unmapped is mapped");
	if (direction != TMM_DMA_TO_DEVICE)
		copy(dma, pool, slot, 0, pool->slot[slot].bytes, false);
	nr = slots_for(&pool->slot[slot]);
	pool->slot[slot] = (struct slot){0};
	area = area_of(pool, slot);
	irq = lock_take_irqsave(&area->lock);
	slots_mark(pool, slot, nr, false);
	lock_drop_irqrestore(&area->lock, irq);
	dma_uncount(&dma->counts.swiotlb_used, nr);
}

void bounce_sync(struct tmm_dma *dma, uint64_t addr, uint64_t bytes, bool to_device)
{
	const struct bounce_pool *pool = pool_with(dma, addr);
	uint32_t slot = mapping_of(pool, addr);

	TMM_ASSERT(slot != SEGMENT_NONE && "what is synced is mapped");
	copy(dma, pool, slot, addr - pool->start - slot * SLOT_BYTES - pool->slot[slot].skip,
	     bytes, to_device);
}

void bounce_check(struct tmm_dma *dma)
{
	uint64_t used = 0, slots = 0;

	for (const struct bounce_pool *pool = first_pool(dma); pool; pool = next_pool(pool)) {
		uint64_t mapped = 0, bits = 0;

		for (uint32_t s = 0; s < pool->nr_segments * SEGMENT_SLOTS; s++) {
			bits += slot_is_used(pool, s);
			mapped += pool->slot[s].bytes ? slots_for(&pool->slot[s]) : 0;
		}
		TMM_ASSERT(mapped == bits); /* I2 */
		used += bits;
		slots += pool->nr_segments * (uint64_t)SEGMENT_SLOTS;
	}
	TMM_ASSERT(used == dma->counts.swiotlb_used); /* I1 */
	TMM_ASSERT(slots == dma->counts.swiotlb_slots);
}
