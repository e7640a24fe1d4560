/*
 * magazine.c - objects at hand on each CPU
 *
 * A CPU has two magazines of each cache that it uses: arrays of objects that are
 * out of their slabs and lent to nobody.  Lending takes the last one from the
 * loaded magazine, freeing puts it there, without a lock and without an atomic
 * operation.  When the loaded one is empty, or full, it changes places with the
 * previous one; when both are, one is exchanged whole for one of the cache's depot.
 * Two, so that a thread that lends and frees around the edge of a magazine does not
 * visit the depot each time.  An empty depot has a magazine filled from one slab, a
 * full one has a magazine's objects put back into their slabs.
 *
 * Magazines cost memory, so a cache gets them when it has visited its lock
 * NR_VISITS times.  All of this is for speed alone: whenever there is no memory for
 * a magazine, objects come from their slabs and go there.
 *
 * Each object has a byte, not zero while it is lent.  Freeing asserts and clears
 * it, so an object that is freed twice is found at once, whatever CPUs it was freed
 * on and wherever it is by then.  Two CPUs that free one object at the very same
 * time may both find the byte set: then the second object of the two panics when it
 * is put into its slab.
 *
 * Slots are changed by their CPU alone, and under the cache's lock where a magazine
 * comes or goes: who holds the lock may count what magazines hold.  Those of a CPU
 * without a thread are drained by whoever holds that CPU meanwhile.
 *
 * cache_check() asserts of magazines:
 *   I11  no magazine holds more than it has room for
 *   I12  an object in a magazine is not lent
 */
#include "slab/debug.h"
#include "slab/slob.h"

#define NR_VISITS 32u

/* ---- one magazine ---- */

/* relaxed, here and below: others only count objects */
static ALWAYS_INLINE void set_nr(struct magazine *magazine, uint32_t nr)
{
	__atomic_store_n(&magazine->nr, nr, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void set_lent(uint8_t *lent, uint8_t value)
{
	__atomic_store_n(lent, value, __ATOMIC_RELAXED);
}

/* The magazine is not empty. */
static ALWAYS_INLINE void *pop(struct magazine *magazine)
{
	uint32_t nr = magazine->nr - 1;
	const struct entry *entry = &magazine->entry[nr];

	set_nr(magazine, nr);
	set_lent(entry->lent, 1);
	return entry->object;
}

/* The magazine is not full. */
static ALWAYS_INLINE void push(struct magazine *magazine, struct entry entry)
{
	uint32_t nr = magazine->nr;

	magazine->entry[nr] = entry;
	set_nr(magazine, nr + 1);
}

static struct magazine *no_magazine(const struct tmm_cache *cache)
{
	return (struct magazine *)(void *)&cache->slabs->none;
}

static struct magazine *magazine_new(const struct tmm_cache *cache)
{
	struct magazine *magazine = own_alloc(&cache->slabs->own[OWN_MAGAZINE],
	                                      TMM_GFP_NOWAIT | TMM_GFP_NOWARN);

	if (magazine)
		*(struct no_magazine *)(void *)magazine = (struct no_magazine){.nr = 0};
	return magazine;
}

static void magazine_free(const struct tmm_cache *cache, struct magazine *magazine)
{
	if (magazine && magazine != no_magazine(cache))
		own_free(&cache->slabs->own[OWN_MAGAZINE], magazine);
}

/* ---- a CPU's two ---- */

/* The caller's; NULL: the cache has no magazines. */
static ALWAYS_INLINE struct cpu_slot *slot_self(const struct tmm_cache *cache)
{
	/* acquire: the slots are initialised */
	struct cpu_slot *slots = __atomic_load_n(&cache->slot, __ATOMIC_ACQUIRE);

	return likely(slots != NULL) ? &slots[cpu_self(cache->cpus)->id] : NULL;
}

static void set_slot(struct cpu_slot *slot, struct magazine *loaded, struct magazine *previous)
{
	__atomic_store_n(&slot->loaded, loaded, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->previous, previous, __ATOMIC_RELAXED);
}

static uint32_t limit_of(const struct tmm_cache *cache)
{
	/* relaxed: a setting that orders nothing */
	return __atomic_load_n(&cache->limit, __ATOMIC_RELAXED);
}

static void slots_create(struct tmm_cache *cache)
{
	struct tmm_cache *own = &cache->slabs->own[OWN_SLOTS];
	struct cpu_slot *slots = own_alloc(own, TMM_GFP_NOWAIT | TMM_GFP_NOWARN);
	tmm_irq irq;
	bool late;

	if (!slots)
		return;
	for (uint32_t i = 0; i < cache->cpus->nr; i++)
		set_slot(&slots[i], no_magazine(cache), no_magazine(cache));
	irq = lock_take_irqsave(&cache->lock);
	late = cache->slot != NULL;
	if (!late)
		__atomic_store_n(&cache->slot, slots, __ATOMIC_RELEASE);
	lock_drop_irqrestore(&cache->lock, irq);
	if (late)
		own_free(own, slots);
}

/* The caller's slot, with two magazines; NULL: use the slabs.  Interrupts are off. */
static struct cpu_slot *slot_ready(struct tmm_cache *cache)
{
	uint32_t nr_visits = __atomic_load_n(&cache->nr_visits, __ATOMIC_RELAXED);
	struct cpu_slot *slot = slot_self(cache);
	struct magazine *loaded, *previous;
	tmm_irq irq;

	if (!limit_of(cache))
		return NULL;
	if (!slot && nr_visits < NR_VISITS) {
		/* relaxed: about so many are enough */
		__atomic_store_n(&cache->nr_visits, nr_visits + 1, __ATOMIC_RELAXED);
		return NULL;
	}
	if (!slot)
		slots_create(cache);
	slot = slot_self(cache);
	if (!slot || slot->previous != no_magazine(cache))
		return slot;
	loaded = magazine_new(cache);
	previous = magazine_new(cache);
	if (!loaded || !previous) {
		magazine_free(cache, loaded);
		magazine_free(cache, previous);
		return NULL;
	}
	loaded->limit = previous->limit = limit_of(cache);
	irq = lock_take_irqsave(&cache->lock);
	set_slot(slot, loaded, previous);
	lock_drop_irqrestore(&cache->lock, irq);
	return slot;
}

static void swap(const struct tmm_cache *cache, struct cpu_slot *slot)
{
	slot->previous->limit = limit_of(cache);
	set_slot(slot, slot->previous, slot->loaded);
}

/* ---- the depot ---- */

static struct magazine *unchain(struct magazine **chain)
{
	struct magazine *magazine = *chain;

	if (magazine)
		*chain = magazine->next;
	return magazine;
}

static void chain(struct magazine **chain, struct magazine *magazine)
{
	magazine->next = *chain;
	*chain = magazine;
}

/* The loaded magazine is empty: load one that is not, or return false. */
static bool slot_load(struct tmm_cache *cache, struct cpu_slot *slot)
{
	struct magazine *full;
	tmm_irq irq;

	if (slot->previous->nr > 0) {
		swap(cache, slot);
		return true;
	}
	irq = lock_take_irqsave(&cache->lock);
	full = unchain(&cache->depot.full);
	if (full) {
		cache->depot.nr_full--;
		chain(&cache->depot.empty, slot->loaded);
		set_slot(slot, full, slot->previous);
	}
	lock_drop_irqrestore(&cache->lock, irq);
	return full != NULL;
}

/* Give the previous magazine, which is full, to the depot; false: that is full too. */
static bool slot_store(struct tmm_cache *cache, struct cpu_slot *slot)
{
	struct depot *depot = &cache->depot;
	struct magazine *empty;
	bool stored = false;
	tmm_irq irq = lock_take_irqsave(&cache->lock);

	empty = unchain(&depot->empty);
	lock_drop_irqrestore(&cache->lock, irq);
	if (!empty)
		empty = magazine_new(cache);
	if (!empty)
		return false;
	empty->limit = limit_of(cache);
	irq = lock_take_irqsave(&cache->lock);
	if (depot->nr_full < depot->most) {
		chain(&depot->full, slot->previous);
		depot->nr_full++;
		set_slot(slot, empty, slot->loaded);
		stored = true;
	} else {
		chain(&depot->empty, empty);
	}
	lock_drop_irqrestore(&cache->lock, irq);
	return stored;
}

/* The loaded magazine is full: load one that is not. */
static void slot_unload(struct tmm_cache *cache, struct cpu_slot *slot)
{
	struct magazine *previous = slot->previous;
	uint32_t nr = previous->nr;

	if (nr > 0 && slot_store(cache, slot))
		return;
	if (nr > 0) {
		set_nr(previous, 0);
		objects_put(cache, previous->entry, nr);
	}
	swap(cache, slot);
}

/* ---- lending ---- */

/* What a refill brought beyond what was asked for. */
static void keep(struct tmm_cache *cache, const struct entry *entry, uint32_t nr)
{
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_self(cache);
	struct magazine *loaded = slot ? slot->loaded : no_magazine(cache);
	uint32_t kept = 0;

	if (loaded->nr < loaded->limit)
		kept = (uint32_t)min_u64(nr, loaded->limit - loaded->nr);
	/* Waiting for memory may have brought others meanwhile. */
	for (uint32_t i = 0; i < kept; i++)
		push(loaded, entry[i]);
	tmm_port_irq_restore(irq);
	if (unlikely(kept < nr))
		objects_put(cache, entry + kept, nr - kept);
}

static NOINLINE void *object_alloc_plain(struct tmm_cache *cache, tmm_gfp gfp)
{
	struct entry entry[MAGAZINE_MAX];
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_ready(cache);
	uint32_t most = slot ? slot->loaded->limit : 1, nr;
	void *object = NULL;

	if (slot && (slot->loaded->nr > 0 || slot_load(cache, slot)))
		object = pop(slot->loaded);
	tmm_port_irq_restore(irq);
	if (object)
		return object;
	nr = objects_take(cache, gfp, entry, most);
	if (!nr)
		return NULL;
	set_lent(entry[--nr].lent, 1);
	if (nr > 0)
		keep(cache, entry, nr);
	return entry[nr].object;
}

/* A cache that debugs has no magazines, and so comes here. */
static NOINLINE void *object_alloc_slow(struct tmm_cache *cache, tmm_gfp gfp, const void *site)
{
	if (unlikely(cache->slabs->is_slob))
		return slob_cache_alloc(cache, gfp);
	return cache->debug ? debug_alloc(cache, gfp, cache->object_bytes, site)
	                    : object_alloc_plain(cache, gfp);
}

static ALWAYS_INLINE void *object_alloc_for(struct tmm_cache *cache, tmm_gfp gfp,
                                            const void *site)
{
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_self(cache);
	void *object = NULL;

	if (likely(slot && slot->loaded->nr > 0))
		object = pop(slot->loaded);
	tmm_port_irq_restore(irq);
	if (unlikely(!object))
		object = object_alloc_slow(cache, gfp, site);
	if (unlikely(gfp & TMM_GFP_ZERO) && object)
		memset(object, 0, cache->object_bytes);
	return object;
}

void *object_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	return object_alloc_for(cache, gfp, NULL);
}

static void check_request(const struct tmm_cache *cache, tmm_gfp gfp)
{
	TMM_ASSERT(!(gfp & (TMM_GFP_DMA | TMM_GFP_DMA32)) && "a cache is of no zone");
	TMM_ASSERT(!(gfp & TMM_GFP_ZERO && cache->ctor) && "zeroes would undo the constructor");
}

void *tmm_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	if (unlikely(gfp & (TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_ZERO)))
		check_request(cache, gfp);
	if (likely(tmm_port_allow("slab")))
		return object_alloc_for(cache, gfp, __builtin_return_address(0));
	return NULL;
}

/* ---- taking back ---- */

static NOINLINE void object_free_slow(struct tmm_cache *cache, struct entry entry)
{
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_ready(cache);

	if (slot) {
		if (slot->loaded->nr >= slot->loaded->limit)
			slot_unload(cache, slot);
		push(slot->loaded, entry);
	} else {
		objects_put(cache, &entry, 1);
	}
	tmm_port_irq_restore(irq);
}

/*
 * The object at `offset` in its slab; it is not lent any more.  False, and nothing
 * happened: that is for odd_free() to judge.
 */
static ALWAYS_INLINE bool object_return(const struct tmm_cache *cache, const struct page *head,
                                        uint64_t offset, void *object, struct entry *out)
{
	uint64_t index = (offset * cache->reciprocal) >> 32;
	uint8_t *lent = slab_lent(cache, head) + index;

	if (unlikely(index >= cache->nr_plain || index * cache->size_bytes != offset ||
	             !__atomic_load_n(lent, __ATOMIC_RELAXED)))
		return false;
	set_lent(lent, 0);
	*out = (struct entry){.object = object, .lent = lent};
	return true;
}

static ALWAYS_INLINE void entry_free(struct tmm_cache *cache, struct entry entry)
{
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_self(cache);
	bool room = slot && slot->loaded->nr < slot->loaded->limit;

	if (likely(room))
		push(slot->loaded, entry);
	tmm_port_irq_restore(irq);
	if (unlikely(!room))
		object_free_slow(cache, entry);
}

void object_free(struct tmm_cache *cache, struct place place, void *object, const void *site)
{
	struct entry entry;

	if (likely(object_return(cache, place.head, place.offset, object, &entry)))
		entry_free(cache, entry);
	else
		odd_free(cache, object, site);
}

/* A slab is aligned to its length, which leads from any address to its first frame. */
static ALWAYS_INLINE bool entry_of(const struct tmm_cache *cache, void *object,
                                   struct entry *out)
{
	uint64_t at = (uint64_t)((char *)object - (char *)cache->pages->ram);
	uint64_t start = align_down(at, TMM_PAGE_SIZE << cache->order);
	tmm_pfn pfn = {start >> TMM_PAGE_SHIFT};
	const struct page *head;

	if (unlikely(!map_in_span(&cache->pages->map, pfn.v)))
		return false;
	head = page_of(cache->pages, pfn);
	return likely(head->kind == PAGE_SLAB && head->owner == cache) &&
	       object_return(cache, head, at - start, object, out);
}

void tmm_cache_free(struct tmm_cache *cache, void *object)
{
	struct entry entry;

	if (unlikely(!object))
		return;
	if (likely(entry_of(cache, object, &entry)))
		entry_free(cache, entry);
	else
		odd_free(cache, object, __builtin_return_address(0));
}

/* ---- many at a time ---- */

/* Up to nr from the loaded magazine. */
static size_t pop_bulk(struct tmm_cache *cache, size_t nr, void **out)
{
	tmm_irq irq = tmm_port_irq_save();
	struct cpu_slot *slot = slot_self(cache);
	size_t popped = 0;

	if (slot && (slot->loaded->nr > 0 || slot_load(cache, slot))) {
		struct magazine *loaded = slot->loaded;
		const struct entry *entry = &loaded->entry[loaded->nr - 1];

		popped = min_u64(nr, loaded->nr);
		for (size_t i = 0; i < popped; i++, entry--) {
			out[i] = entry->object;
			set_lent(entry->lent, 1);
		}
		set_nr(loaded, loaded->nr - (uint32_t)popped);
	}
	tmm_port_irq_restore(irq);
	return popped;
}

size_t tmm_cache_alloc_bulk(struct tmm_cache *cache, tmm_gfp gfp, size_t nr, void **out)
{
	size_t done = 0;

	check_request(cache, gfp);
	if (unlikely(!tmm_port_allow("slab")))
		return 0;
	while (done < nr) {
		size_t more = pop_bulk(cache, nr - done, out + done);

		if (!more) {
			out[done] = object_alloc_slow(cache, gfp, __builtin_return_address(0));
			more = out[done] != NULL;
		}
		if (!more)
			break;
		done += more;
	}
	for (size_t i = 0; gfp & TMM_GFP_ZERO && i < done; i++)
		memset(out[i], 0, cache->object_bytes);
	return done;
}

void tmm_cache_free_bulk(struct tmm_cache *cache, size_t nr, void *const *objects)
{
	for (size_t i = 0; i < nr;) {
		tmm_irq irq = tmm_port_irq_save();
		struct cpu_slot *slot = slot_self(cache);
		struct magazine *loaded = slot ? slot->loaded : no_magazine(cache);
		struct entry entry;

		for (; i < nr && loaded->nr < loaded->limit; i++) {
			if (!objects[i])
				continue;
			if (unlikely(!entry_of(cache, objects[i], &entry)))
				break;
			push(loaded, entry);
		}
		tmm_port_irq_restore(irq);
		/* No room, or one to look at. */
		if (i < nr && objects[i] && entry_of(cache, objects[i], &entry))
			object_free_slow(cache, entry);
		else if (i < nr && objects[i])
			odd_free(cache, objects[i], __builtin_return_address(0));
		i++;
	}
}

/* ---- settings, draining, checks ---- */

tmm_err tmm_cache_tune(struct tmm_cache *cache, uint32_t magazine_objs,
                       uint32_t depot_magazines)
{
	tmm_irq irq;

	if (is_own_cache(cache) || magazine_objs > MAGAZINE_MAX)
		return TMM_E_INVAL;
	irq = lock_take_irqsave(&cache->lock);
	/* relaxed: magazines get it one by one */
	__atomic_store_n(&cache->limit, magazine_objs, __ATOMIC_RELAXED);
	cache->depot.most = depot_magazines;
	lock_drop_irqrestore(&cache->lock, irq);
	tmm_cache_shrink(cache);
	return TMM_OK;
}

static uint64_t magazine_drain(struct tmm_cache *cache, struct magazine *magazine)
{
	uint64_t pages = 0;

	if (magazine->nr > 0)
		pages = objects_put(cache, magazine->entry, magazine->nr);
	magazine_free(cache, magazine);
	return pages;
}

static uint64_t slot_drain(struct tmm_cache *cache, struct cpu_slot *slot)
{
	struct magazine *loaded = slot->loaded, *previous = slot->previous;
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint64_t pages;

	set_slot(slot, no_magazine(cache), no_magazine(cache));
	lock_drop_irqrestore(&cache->lock, irq);
	pages = magazine_drain(cache, loaded);
	return pages + magazine_drain(cache, previous);
}

static uint64_t depot_drain(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	struct magazine *full = cache->depot.full, *empty = cache->depot.empty;
	uint64_t pages = 0;

	cache->depot.full = cache->depot.empty = NULL;
	cache->depot.nr_full = 0;
	lock_drop_irqrestore(&cache->lock, irq);
	while (full)
		pages += magazine_drain(cache, unchain(&full));
	while (empty)
		magazine_free(cache, unchain(&empty));
	return pages;
}

uint64_t magazines_drain(struct tmm_cache *cache, bool all)
{
	struct cpu_slot *slots = __atomic_load_n(&cache->slot, __ATOMIC_ACQUIRE);
	tmm_irq irq = tmm_port_irq_save();
	uint64_t pages = 0;
	uint32_t self;

	if (slots) {
		self = cpu_self(cache->cpus)->id;
		for (uint32_t i = 0; i < cache->cpus->nr; i++) {
			struct tmm_cpu *cpu = &cache->cpus->cpu[i];
			bool held = i != self && !all && cpu_try_take(cpu);

			if (i == self || all || held)
				pages += slot_drain(cache, &slots[i]);
			if (held)
				tmm_cpu_exit(cpu);
		}
		pages += depot_drain(cache);
	}
	tmm_port_irq_restore(irq);
	return pages;
}

/* Calls visit for each magazine. */
#define for_each_magazine(cache, magazine, visit)                                              \
	do {                                                                                   \
		for (uint32_t cpu_ = 0; (cache)->slot && cpu_ < (cache)->cpus->nr; cpu_++) {   \
			struct cpu_slot *slot_ = &(cache)->slot[cpu_];                         \
                                                                                               \
			magazine = __atomic_load_n(&slot_->loaded, __ATOMIC_RELAXED);          \
			visit;                                                                 \
			magazine = __atomic_load_n(&slot_->previous, __ATOMIC_RELAXED);        \
			visit;                                                                 \
		}                                                                              \
		for (magazine = (cache)->depot.full; magazine; magazine = magazine->next)      \
			visit;                                                                 \
	} while (0)

uint64_t magazines_count(struct tmm_cache *cache)
{
	const struct magazine *magazine;
	uint64_t nr = 0;

	for_each_magazine(cache, magazine,
	                  nr += __atomic_load_n(&magazine->nr, __ATOMIC_RELAXED));
	return nr;
}

static void magazine_check(const struct magazine *magazine)
{
	TMM_ASSERT(magazine->nr <= MAGAZINE_MAX); /* I11 */
	for (uint32_t i = 0; i < magazine->nr; i++)
		TMM_ASSERT(!*magazine->entry[i].lent); /* I12 */
}

void magazines_check(struct tmm_cache *cache)
{
	const struct magazine *magazine;

	for_each_magazine(cache, magazine, magazine_check(magazine));
}
