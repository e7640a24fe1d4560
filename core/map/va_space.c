/*
 * va_space.c - lending pieces of a window of addresses
 *
 * Short pieces are slots of chunks.  A chunk is a stretch of 2 MiB (256 KiB where the
 * window is small; 16 MiB for slots of more than 32 pages) whose slots are all of one
 * length, a bit for each that is free: a million pieces are described by some
 * thousand chunks, which stay in the processor's cache, and neighbours need not be
 * merged, because a chunk whose slots are all free goes back whole.  Long pieces, and
 * chunks, lie in a tree with the gaps between them.
 *
 *	|#.##|....|          long         |##..............|
 *	 chunk of 3-page slots             chunk of 1-page slots
 *
 * Each CPU keeps a few free slots of each length, so that most requests take no
 * lock.  Where addresses are scarce (32 bits) there are no such stores: a slot in
 * one cannot be had by anybody else.
 *
 * From address to chunk it is two loads: leaf[], where a chunk of 16 MiB is eight times.
 *
 * va_space_check() asserts the invariants:
 *   I1  a chunk's nr_free counts its free bits; it is on partial[] if that is not 0
 *   I2  a slot that is free, or in a store, has no owner
 *   I3  leaf[] leads to each chunk of the tree from all its parts, and nr_chunks counts
 *       them
 *   I4  a store's slots are lent by their chunks, and each is there once
 *   I5  nr_long_pages counts what the tree holds beside the chunks
 */
#include "map/va_space.h"

/* Windows that are smaller have small chunks and no stores. */
#define LARGE_WINDOW (UINT64_C(4) << 30)

/* log2 of bytes; those of slots longer than VA_EXACT have PARTS_SHIFT more. */
#define LARGE_CHUNK 21u
#define SMALL_CHUNK 18u
#define PARTS_SHIFT 3u
#define SMALL_MOST  8u /* pages of a short piece where the window is small */

/* Slots that go between a store and the chunks at a time. */
#define STORE_BATCH 16u

static struct va_chunk *chunk_of_range(struct range *range)
{
	struct va_range *at = container_of(range, struct va_range, range);

	return at->is_chunk ? container_of(at, struct va_chunk, at) : NULL;
}

static uint64_t chunk_number(const struct va_space *space, uint64_t va)
{
	/* Leaves are aligned, so that a chunk is in one of them. */
	return (va >> space->chunk_shift) -
	       (space->start >> space->chunk_shift & ~(uint64_t)(VA_LEAF_CHUNKS - 1));
}

/* The first of a chunk's entries; their number follows from its class. */
static struct va_chunk **leaf_entries(const struct va_space *space, uint64_t va)
{
	uint64_t number = chunk_number(space, va);

	return &space->leaf[number / VA_LEAF_CHUNKS]->chunk[number % VA_LEAF_CHUNKS];
}

static uint32_t nr_parts(uint32_t class)
{
	return class > VA_EXACT ? 1u << PARTS_SHIFT : 1;
}

static uint64_t chunk_bytes(const struct va_space *space, uint32_t class)
{
	return (uint64_t)nr_parts(class) << space->chunk_shift;
}

/* The chunk that va is in; NULL: none. */
static ALWAYS_INLINE struct va_chunk *chunk_of(const struct va_space *space, uint64_t va)
{
	uint64_t number = chunk_number(space, va);
	struct va_leaf *leaf;

	if (unlikely(va < space->start || va >= space->end))
		return NULL;
	/* acquire, twice: what whoever stored the pointer wrote behind it is seen */
	leaf = __atomic_load_n(&space->leaf[number / VA_LEAF_CHUNKS], __ATOMIC_ACQUIRE);
	return leaf ? __atomic_load_n(&leaf->chunk[number % VA_LEAF_CHUNKS], __ATOMIC_ACQUIRE)
	            : NULL;
}

/* Exact: pages of a chunk are at most 2^12, and slots not longer than 2^9. */
static ALWAYS_INLINE uint32_t slot_of(const struct va_chunk *chunk, uint64_t va)
{
	uint64_t page = (va - chunk->at.range.start) >> TMM_PAGE_SHIFT;

	return (uint32_t)(page * chunk->reciprocal >> 24);
}

static uint64_t slot_va(const struct va_chunk *chunk, uint32_t slot)
{
	return chunk->at.range.start + (uint64_t)slot * chunk->slot_pages * TMM_PAGE_SIZE;
}

static bool slot_is_free(const struct va_chunk *chunk, uint32_t slot)
{
	return chunk->free[slot / 64] >> slot % 64 & 1;
}

/* ---- stores ---- */

/* The calling CPU's store for a class; NULL: none yet, or never. */
static ALWAYS_INLINE struct va_store *store_self(const struct va_space *space, uint32_t class)
{
	struct va_cpu *cpu;

	if (unlikely(!space->cpu))
		return NULL;
	cpu = space->cpu[cpu_self(space->cpus)->id];
	return likely(cpu) ? &cpu->store[class] : NULL;
}

/* What a CPU keeps, when it first needs it; without memory it goes without. */
static void store_make(struct va_space *space, tmm_gfp gfp)
{
	struct va_cpu *made;
	uint32_t id;
	tmm_irq irq;

	if (!space->cpu || space->cpu[cpu_self(space->cpus)->id])
		return;
	made = tmm_kmalloc(space->slabs, sizeof(*made), gfp | TMM_GFP_ZERO);
	if (!made)
		return;
	irq = tmm_port_irq_save();
	id = cpu_self(space->cpus)->id; /* it may be another one than before */
	if (!space->cpu[id]) {
		space->cpu[id] = made;
		made = NULL;
	}
	tmm_port_irq_restore(irq);
	tmm_kfree(space->slabs, made);
}

static void slot_put(struct va_space *space, uint64_t va, struct list *out_empty)
	TMM_REQUIRES(space->lock);

/* Free chunks that slot_put() left without a lent slot. */
static void chunks_free(struct va_space *space, struct list *empty)
{
	list_for_each_safe (node, empty)
		tmm_kfree(space->slabs, list_entry(node, struct va_chunk, link));
}

/* Give `nr` slots of the CPU's own back, the oldest first. */
static void store_spill(struct va_space *space, struct va_store *store, uint64_t nr)
{
	struct list empty;

	list_init(&empty);
	/* Chunks are far from each other: have them come together, not one by one. */
	for (uint64_t i = 0; i < nr; i++) {
		const char *chunk = (const char *)chunk_of(space, store->va[i]);

		__builtin_prefetch(chunk, 1);
		__builtin_prefetch(chunk + 64, 1);
	}
	lock_take(&space->lock);
	for (uint64_t i = 0; i < nr; i++)
		slot_put(space, store->va[i], &empty);
	lock_drop(&space->lock);
	store->nr -= nr;
	memmove(store->va, store->va + nr, store->nr * sizeof(store->va[0]));
	chunks_free(space, &empty);
}

/* A thread leaves its CPU: nothing stays in the stores. */
static void stores_leave(void *arg, uint32_t id)
{
	struct va_space *space = arg;

	if (!space->cpu[id])
		return;
	for (unsigned i = 1; i < VA_NR_CLASSES; i++)
		store_spill(space, &space->cpu[id]->store[i], space->cpu[id]->store[i].nr);
}

/* ---- chunks ---- */

static void chunk_unlist(struct va_space *space, struct va_chunk *chunk)
	TMM_REQUIRES(space->lock)
{
	struct va_chunk **entries = leaf_entries(space, chunk->at.range.start);

	range_tree_remove(&space->tree, &chunk->at.range);
	/* release: only for the checker's peace, the chunk has no owner left to be found */
	for (uint32_t part = 0; part < nr_parts(chunk->class); part++)
		__atomic_store_n(&entries[part], NULL, __ATOMIC_RELEASE);
	list_del(&chunk->link);
	space->nr_chunks--;
}

/* The only chunk with free slots of its length stays, where there is room for that. */
static bool is_last_partial(const struct va_space *space, const struct va_chunk *chunk)
	TMM_REQUIRES(space->lock)
{
	const struct list *partial = &space->partial[chunk->class];

	return space->cpu && partial->next == &chunk->link && partial->prev == &chunk->link;
}

static void slot_put(struct va_space *space, uint64_t va, struct list *out_empty)
{
	struct va_chunk *chunk = chunk_of(space, va);
	uint32_t slot;

	TMM_ASSERT(chunk != NULL);
	slot = slot_of(chunk, va);
	TMM_ASSERT(slot_va(chunk, slot) == va && !slot_is_free(chunk, slot));
	chunk->free[slot / 64] |= UINT64_C(1) << slot % 64;
	if (chunk->nr_free++ == 0)
		list_add(&space->partial[chunk->class], &chunk->link);
	if (chunk->nr_free < chunk->nr_slots || is_last_partial(space, chunk))
		return;
	chunk_unlist(space, chunk);
	list_add(out_empty, &chunk->link);
}

/* The lowest free slot. */
static uint64_t slot_take(struct va_chunk *chunk)
{
	unsigned word = 0, bit;

	while (chunk->free[word] == 0)
		word++;
	bit = (unsigned)__builtin_ctzll(chunk->free[word]);
	chunk->free[word] &= chunk->free[word] - 1;
	if (--chunk->nr_free == 0)
		list_del(&chunk->link);
	return slot_va(chunk, word * 64 + bit);
}

/* Nodes for nr insertions; drops the lock meanwhile.  False: memory is short. */
static bool stock_nodes(struct va_space *space, unsigned nr, tmm_gfp gfp, tmm_irq *irq)
	TMM_REQUIRES(space->lock)
{
	while (range_tree_lacks(&space->tree, nr)) {
		void *node;

		lock_drop_irqrestore(&space->lock, *irq);
		node = tmm_kmalloc(space->slabs, RANGE_NODE_BYTES, gfp);
		*irq = lock_take_irqsave(&space->lock);
		if (!node)
			return false;
		range_tree_stock(&space->tree, node);
	}
	return true;
}

/* A gap for `bytes`, aligned, within [low, high). */
static bool find_gap(const struct va_space *space, uint64_t bytes, uint64_t align, uint64_t low,
                     uint64_t high, uint64_t *out) TMM_REQUIRES(space->lock)
{
	if (!range_tree_gap_first(&space->tree, low, high, bytes, out))
		return false;
	if ((*out & (align - 1)) == 0)
		return true;
	if (!range_tree_gap_first(&space->tree, low, high, bytes + align - TMM_PAGE_SIZE, out))
		return false;
	*out = align_up(*out, align);
	return true;
}

static void chunk_insert(struct va_space *space, struct va_chunk *chunk, uint64_t start)
	TMM_REQUIRES(space->lock)
{
	struct va_chunk **entries = leaf_entries(space, start);

	chunk->at.range.start = start;
	chunk->at.range.end = start + chunk_bytes(space, chunk->class);
	range_tree_insert(&space->tree, &chunk->at.range);
	list_add(&space->partial[chunk->class], &chunk->link);
	space->nr_chunks++;
	/* release: whoever finds it sees what it holds */
	for (uint32_t part = 0; part < nr_parts(chunk->class); part++)
		__atomic_store_n(&entries[part], chunk, __ATOMIC_RELEASE);
}

/* Find room for a chunk, and put it there. */
static tmm_err chunk_place(struct va_space *space, struct va_chunk *chunk, tmm_gfp gfp)
{
	uint64_t bytes = chunk_bytes(space, chunk->class), start;
	struct va_leaf *made = NULL, **leaf;
	tmm_irq irq = lock_take_irqsave(&space->lock);
	tmm_err err = TMM_E_NOMEM;

	for (;;) {
		if (!stock_nodes(space, 1, gfp, &irq))
			break;
		if (!find_gap(space, bytes, bytes, space->start, space->end, &start)) {
			err = TMM_E_NOSPC;
			break;
		}
		leaf = &space->leaf[chunk_number(space, start) / VA_LEAF_CHUNKS];
		if (!*leaf && made) {
			/* release: it reads as zeroes */
			__atomic_store_n(leaf, made, __ATOMIC_RELEASE);
			made = NULL;
		}
		if (*leaf) {
			chunk_insert(space, chunk, start);
			err = TMM_OK;
			break;
		}
		lock_drop_irqrestore(&space->lock, irq);
		made = tmm_kmalloc(space->slabs, sizeof(*made), gfp | TMM_GFP_ZERO);
		if (!made)
			return TMM_E_NOMEM;
		irq = lock_take_irqsave(&space->lock);
	}
	lock_drop_irqrestore(&space->lock, irq);
	tmm_kfree(space->slabs, made);
	return err;
}

static tmm_err chunk_add(struct va_space *space, uint32_t class, tmm_gfp gfp)
{
	uint32_t slot_pages = va_class_pages(class);
	uint32_t nr_slots = (uint32_t)(chunk_bytes(space, class) >> TMM_PAGE_SHIFT) /
	                    slot_pages;
	struct va_chunk *chunk = tmm_kmalloc(
		space->slabs, sizeof(*chunk) + nr_slots * sizeof(chunk->owner[0]),
		gfp | TMM_GFP_ZERO);
	tmm_err err;

	if (!chunk)
		return TMM_E_NOMEM;
	chunk->at.is_chunk = true;
	chunk->class = class;
	chunk->slot_pages = slot_pages;
	chunk->nr_slots = chunk->nr_free = nr_slots;
	chunk->reciprocal = ((1u << 24) - 1) / slot_pages + 1;
	for (uint32_t slot = 0; slot < nr_slots; slot++)
		chunk->free[slot / 64] |= UINT64_C(1) << slot % 64;
	err = chunk_place(space, chunk, gfp);
	if (err != TMM_OK)
		tmm_kfree(space->slabs, chunk);
	return err;
}

/* ---- short pieces ---- */

/* From the chunks there are, some for the store too; false: all slots are lent. */
static bool take_from_chunks(struct va_space *space, uint32_t class, uint64_t *out_va)
{
	struct list *partial = &space->partial[class];
	tmm_irq irq = lock_take_irqsave(&space->lock);
	struct va_store *store = store_self(space, class);
	bool found = !list_empty(partial);

	if (found)
		*out_va = slot_take(list_first(partial, struct va_chunk, link));
	while (store && store->nr < STORE_BATCH && !list_empty(partial))
		store->va[store->nr++] = slot_take(list_first(partial, struct va_chunk, link));
	lock_drop_irqrestore(&space->lock, irq);
	return found;
}

static NOINLINE tmm_err alloc_slow(struct va_space *space, uint32_t class, tmm_gfp gfp,
                                   uint64_t *out_va)
{
	TMM_ASSERT(class >= 1 && class <= va_class(space->max_short));
	while (!take_from_chunks(space, class, out_va)) {
		tmm_err err = chunk_add(space, class, gfp);

		if (err != TMM_OK)
			return err;
		store_make(space, gfp | TMM_GFP_NOWARN);
	}
	return TMM_OK;
}

tmm_err va_alloc_short(struct va_space *space, uint64_t nr_pages, tmm_gfp gfp, uint64_t *out_va)
{
	const uint32_t class = va_class(nr_pages);
	tmm_irq irq = tmm_port_irq_save();
	struct va_store *store = store_self(space, class);

	if (likely(store && store->nr)) {
		*out_va = store->va[--store->nr];
		tmm_port_irq_restore(irq);
		return TMM_OK;
	}
	tmm_port_irq_restore(irq);
	return alloc_slow(space, class, gfp, out_va);
}

static NOINLINE void free_slow(struct va_space *space, uint64_t va)
{
	struct list empty;
	tmm_irq irq;

	list_init(&empty);
	irq = lock_take_irqsave(&space->lock);
	slot_put(space, va, &empty);
	lock_drop_irqrestore(&space->lock, irq);
	chunks_free(space, &empty);
}

void va_free_short(struct va_space *space, uint64_t va, uint64_t nr_pages)
{
	tmm_irq irq = tmm_port_irq_save();
	struct va_store *store = store_self(space, va_class(nr_pages));

	if (unlikely(!store)) {
		tmm_port_irq_restore(irq);
		free_slow(space, va);
		return;
	}
	if (unlikely(store->nr == VA_STORE))
		store_spill(space, store, STORE_BATCH);
	store->va[store->nr++] = va;
	tmm_port_irq_restore(irq);
}

/* ---- long pieces ---- */

tmm_err va_alloc_long(struct va_space *space, struct va_range *range, uint64_t nr_pages,
                      uint64_t align_bytes, uint64_t low, uint64_t high, tmm_gfp gfp)
{
	uint64_t start;
	tmm_err err = TMM_E_NOMEM;
	tmm_irq irq = lock_take_irqsave(&space->lock);

	if (stock_nodes(space, 1, gfp, &irq)) {
		err = TMM_E_NOSPC;
		if (find_gap(space, nr_pages << TMM_PAGE_SHIFT,
		             max_u64(align_bytes, TMM_PAGE_SIZE), max_u64(low, space->start),
		             min_u64(high, space->end), &start)) {
			*range = (struct va_range){
				.range = {.start = start,
			                  .end = start + (nr_pages << TMM_PAGE_SHIFT)}};
			range_tree_insert(&space->tree, &range->range);
			space->nr_long_pages += nr_pages;
			err = TMM_OK;
		}
	}
	lock_drop_irqrestore(&space->lock, irq);
	return err;
}

void va_free_long(struct va_space *space, struct va_range *range)
{
	tmm_irq irq = lock_take_irqsave(&space->lock);

	space->nr_long_pages -= (range->range.end - range->range.start) >> TMM_PAGE_SHIFT;
	range_tree_remove(&space->tree, &range->range);
	lock_drop_irqrestore(&space->lock, irq);
}

/* ---- finding ---- */

void **va_owner(const struct va_space *space, uint64_t va)
{
	struct va_chunk *chunk = chunk_of(space, va);
	uint32_t slot;

	if (!chunk)
		return NULL;
	slot = slot_of(chunk, va);
	if (slot >= chunk->nr_slots || slot_va(chunk, slot) != va)
		return NULL;
	return &chunk->owner[slot];
}

struct va_place va_place_of(const struct va_space *space, uint64_t va)
{
	struct va_chunk *chunk = chunk_of(space, va);
	struct range *range;
	uint32_t slot;

	if (chunk) {
		slot = slot_of(chunk, va);
		if (slot >= chunk->nr_slots)
			return (struct va_place){.start = 0};
		return (struct va_place){.start = slot_va(chunk, slot),
		                         .owner = &chunk->owner[slot]};
	}
	range = range_tree_find(&space->tree, va);
	if (!range || range->start > va)
		return (struct va_place){.start = 0};
	return (struct va_place){.start = range->start,
	                         .piece = container_of(range, struct va_range, range)};
}

/* The first slot of a chunk at or after va that has an owner. */
static bool next_owned(struct va_chunk *chunk, uint64_t va, struct va_place *out)
{
	for (uint32_t slot = 0; slot < chunk->nr_slots; slot++) {
		/* relaxed: a moment's value; the borrower sets it without the lock */
		if (slot_va(chunk, slot) < va ||
		    !__atomic_load_n(&chunk->owner[slot], __ATOMIC_RELAXED))
			continue;
		*out = (struct va_place){.start = slot_va(chunk, slot),
		                         .owner = &chunk->owner[slot]};
		return true;
	}
	return false;
}

bool va_next(const struct va_space *space, uint64_t va, struct va_place *out)
{
	struct range *range = range_tree_find(&space->tree, va);

	for (; range; range = range->next) {
		struct va_chunk *chunk = chunk_of_range(range);

		if (chunk && next_owned(chunk, va, out))
			return true;
		if (!chunk && range->start >= va) {
			*out = (struct va_place){
				.start = range->start,
				.piece = container_of(range, struct va_range, range)};
			return true;
		}
	}
	return false;
}

/* ---- beginning and end ---- */

tmm_err va_space_init(struct va_space *space, struct tmm_slab_system *slabs, uint64_t start,
                      uint64_t end)
{
	bool is_large = end - start >= LARGE_WINDOW;

	*space = (struct va_space){
		.slabs = slabs,
		.cpus = slabs->pages->cpus,
		.chunk_shift = is_large ? LARGE_CHUNK : SMALL_CHUNK,
		.max_short = is_large ? VA_MAX_SHORT : SMALL_MOST,
		.start = start,
		.end = end,
	};
	lock_init(&space->lock, RANK_VMAP);
	for (unsigned i = 0; i < VA_NR_CLASSES; i++)
		list_init(&space->partial[i]);
	if (start == end)
		return TMM_OK;
	space->nr_leaves = chunk_number(space, end - 1) / VA_LEAF_CHUNKS + 1;
	space->leaf = tmm_kmalloc(slabs, space->nr_leaves * sizeof(*space->leaf),
	                          TMM_GFP_KERNEL | TMM_GFP_ZERO);
	if (!space->leaf)
		return TMM_E_NOMEM;
	if (!is_large)
		return TMM_OK;
	space->cpu = tmm_kmalloc(slabs, space->cpus->nr * sizeof(*space->cpu),
	                         TMM_GFP_KERNEL | TMM_GFP_ZERO);
	if (!space->cpu) {
		tmm_kfree(slabs, space->leaf);
		return TMM_E_NOMEM;
	}
	space->exit_hook = (struct cpu_exit_hook){.run = stores_leave, .arg = space};
	cpu_exit_hook_add(space->cpus, &space->exit_hook);
	return TMM_OK;
}

/* The stores of all CPUs, into the chunks; no other CPU runs. */
static void stores_fini(struct va_space *space)
{
	cpu_exit_hook_remove(space->cpus, &space->exit_hook);
	for (uint32_t id = 0; id < space->cpus->nr; id++) {
		stores_leave(space, id);
		tmm_kfree(space->slabs, space->cpu[id]);
	}
	tmm_kfree(space->slabs, space->cpu);
	space->cpu = NULL;
}

void va_space_fini(struct va_space *space)
{
	void *node;

	if (space->cpu)
		stores_fini(space);
	for (unsigned i = 1; i < VA_NR_CLASSES; i++)
		list_for_each_safe (link, &space->partial[i]) {
			struct va_chunk *chunk = list_entry(link, struct va_chunk, link);

			TMM_ASSERT(chunk->nr_free == chunk->nr_slots);
			range_tree_remove(&space->tree, &chunk->at.range);
			space->nr_chunks--;
			tmm_kfree(space->slabs, chunk);
		}
	TMM_ASSERT(space->nr_chunks == 0 && space->tree.nr_ranges == 0);
	while ((node = range_tree_unstock(&space->tree, 0)))
		tmm_kfree(space->slabs, node);
	for (uint64_t i = 0; i < space->nr_leaves; i++)
		tmm_kfree(space->slabs, space->leaf[i]);
	tmm_kfree(space->slabs, space->leaf);
}

/* ---- checks ---- */

static void chunk_check(const struct va_space *space, struct va_chunk *chunk)
{
	uint32_t nr_free = 0;

	for (uint32_t slot = 0; slot < chunk->nr_slots; slot++) {
		nr_free += slot_is_free(chunk, slot);
		if (slot_is_free(chunk, slot))
			TMM_ASSERT(!chunk->owner[slot]); /* I2 */
	}
	TMM_ASSERT(nr_free == chunk->nr_free);                  /* I1 */
	TMM_ASSERT(list_empty(&chunk->link) == (nr_free == 0)); /* I1 */
	for (uint32_t part = 0; part < nr_parts(chunk->class); part++)
		TMM_ASSERT(leaf_entries(space, chunk->at.range.start)[part] == chunk); /* I3 */
	TMM_ASSERT(slot_of(chunk, slot_va(chunk, chunk->nr_slots - 1)) == chunk->nr_slots - 1);
}

static void store_check(const struct va_space *space, const struct va_store *store,
                        uint32_t class)
{
	for (uint64_t i = 0; i < store->nr; i++) {
		const struct va_chunk *chunk = chunk_of(space, store->va[i]);

		TMM_ASSERT(chunk && chunk->class == class &&
		           !slot_is_free(chunk, slot_of(chunk, store->va[i]))); /* I4 */
		TMM_ASSERT(!*va_owner(space, store->va[i]));                    /* I2 */
		for (uint64_t j = 0; j < i; j++)
			TMM_ASSERT(store->va[j] != store->va[i]); /* I4 */
	}
}

void va_space_check(const struct va_space *space)
{
	uint64_t nr_chunks = 0, nr_long_pages = 0;

	range_tree_check(&space->tree);
	for (struct range *range = space->tree.first; range; range = range->next) {
		struct va_chunk *chunk = chunk_of_range(range);

		nr_chunks += chunk != NULL;
		if (chunk)
			chunk_check(space, chunk);
		else
			nr_long_pages += (range->end - range->start) >> TMM_PAGE_SHIFT;
	}
	TMM_ASSERT(nr_chunks == space->nr_chunks);         /* I3 */
	TMM_ASSERT(nr_long_pages == space->nr_long_pages); /* I5 */
	for (uint32_t id = 0; space->cpu && id < space->cpus->nr; id++)
		for (uint32_t i = 1; space->cpu[id] && i < VA_NR_CLASSES; i++)
			store_check(space, &space->cpu[id]->store[i], i);
}
