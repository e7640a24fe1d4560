/*
 * depot.c - magazines that come and go
 *
 * When the loaded magazine of a CPU is empty, or full, it changes places with the
 * previous one; when both are, one is exchanged whole for one of its node's depot.
 * Two, so that a thread that lends and frees around the edge of a magazine does not
 * visit the depot each time.  When the depot has none, the loaded one is filled from
 * one slab; when it has enough, a magazine's objects are put back into their slabs.
 *
 * Magazines cost memory, so a cache gets them when it has visited its lock
 * NR_VISITS times.
 *
 * A slot is changed in sections of its CPU alone, and a magazine comes to a slot or
 * leaves it for good under the lock of the node's depot: who holds that lock may
 * count what its CPUs have, though not exactly while they run.  Who drains a cache
 * closes it (open_to), waits until no section is left that saw it open, and then has
 * all slots to itself; meanwhile objects come from their slabs and go there.
 */
#include "slab/depot.h"

#define NR_VISITS 32u

/* ---- magazines ---- */

static struct tmm_magazine *magazine_new(const struct tmm_cache *cache)
{
	/* Waking reclaim could have it drain caches, which no section may wait for. */
	struct tmm_magazine *magazine = own_alloc(&cache->slabs->own[OWN_MAGAZINE],
	                                          TMM_GFP_NOWARN);

	if (magazine) {
		magazine->next = NULL;
		magazine->stamp = 0;
		magazine->nr = magazine->limit = 0;
	}
	return magazine;
}

static void magazine_free(const struct tmm_cache *cache, struct tmm_magazine *magazine)
{
	if (magazine)
		own_free(&cache->slabs->own[OWN_MAGAZINE], magazine);
}

static struct objects objects_of(struct tmm_magazine *magazine)
{
	return (struct objects){magazine->object, magazine->lent};
}

/* relaxed: others only count */
static void set_nr(struct tmm_magazine *magazine, uint32_t nr)
{
	__atomic_store_n(&magazine->nr, nr, __ATOMIC_RELAXED);
}

static uint32_t limit_of(const struct tmm_cache *cache)
{
	/* relaxed: a setting that orders nothing */
	return __atomic_load_n(&cache->limit, __ATOMIC_RELAXED);
}

/* ---- the loaded one ---- */

/* Its count is right only while it is not loaded. */
static struct tmm_magazine *slot_loaded(struct tmm_slot *slot)
{
	struct tmm_magazine *loaded = magazine_at(slot->bottom);

	set_nr(loaded, (uint32_t)(slot->top - slot->bottom));
	return loaded;
}

/* What lies behind the last object is of long ago, unless the stamp is of now. */
static void forget(const struct tmm_cache *cache, struct tmm_magazine *magazine)
{
	uint64_t epoch = epoch_of(cache);

	if (magazine->stamp == epoch)
		return;
	memset(&magazine->object[magazine->nr], 0,
	       (MAGAZINE_MAX - magazine->nr) * sizeof(magazine->object[0]));
	magazine->stamp = epoch;
}

static void load(const struct tmm_cache *cache, struct tmm_slot *slot,
                 struct tmm_magazine *loaded, struct tmm_magazine *previous)
{
	forget(cache, loaded);
	loaded->limit = (uint32_t)max_u64(limit_of(cache), loaded->nr);
	/* relaxed: others only count */
	__atomic_store_n(&slot->bottom, loaded->object, __ATOMIC_RELAXED);
	set_top(slot, loaded->object + loaded->nr);
	slot->end = loaded->object + loaded->limit;
	__atomic_store_n(&slot->previous, previous, __ATOMIC_RELAXED);
}

static void unload(struct tmm_slot *slot)
{
	__atomic_store_n(&slot->bottom, NULL, __ATOMIC_RELAXED);
	set_top(slot, NULL);
	slot->end = NULL;
	__atomic_store_n(&slot->previous, NULL, __ATOMIC_RELAXED);
}

static void swap(const struct tmm_cache *cache, struct tmm_slot *slot)
{
	load(cache, slot, slot->previous, slot_loaded(slot));
}

/* ---- slots ---- */

static struct depot *depot_of(struct tmm_cache *cache, const struct tmm_cpu *cpu)
{
	return &cache->depot[cpu->node];
}

static void front_open(struct tmm_cache_front *front, struct cpu_set *to)
{
	/* release: the slots are initialised, and empty where they were drained */
	__atomic_store_n(&front->open_to, to, __ATOMIC_RELEASE);
	__atomic_store_n(&front->lends_to, front->account ? NULL : to, __ATOMIC_RELEASE);
}

/* Let CPUs use their slots, if there are any and they are to have magazines. */
static void open_slots(struct tmm_cache *cache) TMM_REQUIRES(cache->lock)
{
	bool open = cache->front.slot && limit_of(cache) > 0 && !cache->drainer &&
	            !cache->fails;

	front_open(&cache->front, open ? cache->cpus : NULL);
}

void slots_set_fails(struct tmm_cache *cache, bool fails)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);

	/* relaxed: a setting that orders nothing */
	__atomic_store_n(&cache->fails, fails, __ATOMIC_RELAXED);
	open_slots(cache);
	lock_drop_irqrestore(&cache->lock, irq);
}

static void slots_create(struct tmm_cache *cache)
{
	struct tmm_cache *own = &cache->slabs->own[OWN_SLOTS];
	struct tmm_slot *slots = own_alloc(own, TMM_GFP_NOWARN);
	tmm_irq irq;
	bool late;

	if (!slots)
		return;
	memset(slots, 0, cache->cpus->nr * sizeof(*slots));
	irq = lock_take_irqsave(&cache->lock);
	late = cache->front.slot != NULL;
	if (!late) {
		__atomic_store_n(&cache->front.slot, slots, __ATOMIC_RELAXED);
		open_slots(cache);
	}
	lock_drop_irqrestore(&cache->lock, irq);
	if (late)
		own_free(own, slots);
}

static void slot_equip(struct tmm_cache *cache, struct tmm_slot *slot)
{
	struct tmm_magazine *loaded = magazine_new(cache), *previous = magazine_new(cache);
	struct depot *depot = depot_of(cache, tmm_port_cpu());

	if (!loaded || !previous) {
		magazine_free(cache, loaded);
		magazine_free(cache, previous);
		return;
	}
	lock_take(&depot->lock);
	load(cache, slot, loaded, previous);
	lock_drop(&depot->lock);
}

/* A visit to the lock: there is no slot.  Enough of them make some. */
static void visit(struct tmm_cache *cache)
{
	/* relaxed: about so many are enough */
	uint32_t nr_visits = __atomic_load_n(&cache->nr_visits, __ATOMIC_RELAXED);

	if (nr_visits < NR_VISITS)
		__atomic_store_n(&cache->nr_visits, nr_visits + 1, __ATOMIC_RELAXED);
	else if (limit_of(cache) && !cache->slabs->is_slob &&
	         !__atomic_load_n(&cache->front.slot, __ATOMIC_RELAXED))
		slots_create(cache);
}

struct tmm_slot *slot_prepare(struct tmm_cache *cache)
{
	struct tmm_cpu *cpu = cpu_self(cache->cpus);
	struct tmm_slot *slot = tmm_slot_begin(cache, cpu);

	if (unlikely(!slot)) {
		visit(cache);
		slot = tmm_slot_begin(cache, cpu);
	}
	if (unlikely(slot && !slot->bottom))
		slot_equip(cache, slot);
	return slot;
}

/* ---- exchanges ---- */

static struct tmm_magazine *unchain(struct tmm_magazine **chain)
{
	struct tmm_magazine *magazine = *chain;

	if (magazine)
		*chain = magazine->next;
	return magazine;
}

static void chain(struct tmm_magazine **chain, struct tmm_magazine *magazine)
{
	magazine->next = *chain;
	*chain = magazine;
}

static bool slot_is_empty(const struct tmm_slot *slot)
{
	return slot->top == slot->bottom;
}

/* The loaded magazine is empty: exchange it for a full one. */
static bool load_full(struct tmm_cache *cache, struct tmm_slot *slot)
{
	struct depot *depot = depot_of(cache, tmm_port_cpu());
	struct tmm_magazine *full;

	lock_take(&depot->lock);
	full = unchain(&depot->full);
	if (full) {
		depot->nr_full--;
		chain(&depot->empty, slot_loaded(slot));
		load(cache, slot, full, slot->previous);
	}
	lock_drop(&depot->lock);
	return full != NULL;
}

/* The loaded magazine, which was empty, got nr objects. */
static bool loaded_filled(const struct tmm_cache *cache, struct tmm_slot *slot, uint32_t nr)
{
	struct tmm_magazine *loaded = magazine_at(slot->bottom);

	if (!nr)
		return false;
	set_nr(loaded, nr);
	loaded->stamp = 0; /* it was written over */
	load(cache, slot, loaded, slot->previous);
	return true;
}

bool slot_load_from(const struct slab_source *source, struct tmm_slot *slot)
{
	if (!slot->bottom || !slot_is_empty(slot))
		return false;
	return loaded_filled(source->cache, slot,
	                     objects_take(source, objects_of(magazine_at(slot->bottom)),
	                                  (uint32_t)(slot->end - slot->bottom)));
}

bool slot_load(struct tmm_cache *cache, struct tmm_slot *slot)
{
	if (slot->hand.full || !slot_is_empty(slot))
		return true;
	if (!slot->bottom)
		return false;
	if (slot->previous->nr > 0) {
		swap(cache, slot);
		return true;
	}
	return load_full(cache, slot);
}

static bool slot_fill(struct tmm_cache *cache, struct tmm_slot *slot)
{
	struct slab_source source = source_first(cache, 0, TMM_NODE_ANY);

	return slot_load_from(&source, slot);
}

bool slot_load_most(struct tmm_cache *cache, struct tmm_slot *slot, uint64_t wanted)
{
	uint64_t nr = (uint64_t)(slot->top - slot->bottom);

	if (unlikely(!slot->bottom))
		return false;
	if (nr < wanted && slot->previous->nr > nr)
		swap(cache, slot);
	if (!slot_is_empty(slot))
		return true;
	return !slot->hand.full && (slot_load(cache, slot) || slot_fill(cache, slot));
}

/* Give the previous magazine, which is not empty, to the depot; false: that has enough. */
static bool store_full(struct tmm_cache *cache, struct tmm_slot *slot)
{
	struct depot *depot = depot_of(cache, tmm_port_cpu());
	struct tmm_magazine *new = NULL;
	bool store;

	/* relaxed: a setting that orders nothing */
	uint32_t most = __atomic_load_n(&cache->depot_most, __ATOMIC_RELAXED);

	lock_take(&depot->lock);
	if (depot->nr_full < most && !depot->empty) {
		lock_drop(&depot->lock);
		new = magazine_new(cache);
		lock_take(&depot->lock);
		if (new)
			chain(&depot->empty, new);
	}
	store = depot->nr_full < most && depot->empty;
	if (store) {
		struct tmm_magazine *empty = unchain(&depot->empty);

		chain(&depot->full, slot->previous);
		depot->nr_full++;
		load(cache, slot, empty, slot_loaded(slot));
	}
	lock_drop(&depot->lock);
	return store;
}

bool slot_unload(struct tmm_cache *cache, struct tmm_slot *slot)
{
	struct tmm_magazine *previous = slot->previous;
	uint32_t nr;

	if (!slot->bottom)
		return false;
	if (slot->top < slot->end)
		return true;
	nr = previous->nr;
	if (nr > 0 && store_full(cache, slot))
		return true;
	if (nr > 0) {
		set_nr(previous, 0);
		objects_put(cache, objects_of(previous), nr);
	}
	swap(cache, slot);
	return true;
}

/* ---- draining ---- */

static uint64_t magazine_drain(struct tmm_cache *cache, struct tmm_magazine *magazine)
{
	uint64_t pages = 0;

	if (!magazine)
		return 0;
	if (magazine->nr > 0)
		pages = objects_put(cache, objects_of(magazine), magazine->nr);
	magazine_free(cache, magazine);
	return pages;
}

/* Nobody else is in a section of the CPU's. */
static uint64_t slot_drain(struct tmm_cache *cache, const struct tmm_cpu *cpu)
{
	struct tmm_slot *slot = &cache->front.slot[cpu->id];
	struct depot *depot = depot_of(cache, cpu);
	struct tmm_magazine *loaded, *previous;
	struct tmm_hand held = slot->hand;
	uint64_t pages = 0;

	lock_take(&depot->lock);
	loaded = slot->bottom ? slot_loaded(slot) : NULL;
	previous = slot->previous;
	unload(slot);
	slot->hand.stamp = 0; /* never: it remembers nothing */
	__atomic_store_n(&slot->hand.full, 0, __ATOMIC_RELAXED);
	lock_drop(&depot->lock);
	if (held.full)
		pages = objects_put(cache, (struct objects){&held.object, &held.lent}, 1);
	pages += magazine_drain(cache, loaded);
	return pages + magazine_drain(cache, previous);
}

static uint64_t depot_drain(struct tmm_cache *cache, struct depot *depot)
{
	struct tmm_magazine *full, *empty;
	uint64_t pages = 0;

	lock_take(&depot->lock);
	full = depot->full;
	empty = depot->empty;
	depot->full = depot->empty = NULL;
	depot->nr_full = 0;
	lock_drop(&depot->lock);
	while (full)
		pages += magazine_drain(cache, unchain(&full));
	while (empty)
		magazine_free(cache, unchain(&empty));
	return pages;
}

bool magazines_close(struct tmm_cache *cache, const void *drainer)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	bool closed = cache->front.slot && !cache->drainer;

	if (closed) {
		cache->drainer = drainer;
		open_slots(cache);
	}
	lock_drop_irqrestore(&cache->lock, irq);
	return closed;
}

/* all: no section is left.  Else only what is the caller's. */
static uint64_t slots_drain(struct tmm_cache *cache, bool all)
{
	const struct tmm_cpu *self = tmm_port_cpu();
	uint64_t pages = 0;

	for (uint32_t i = 0; i < cache->cpus->nr; i++)
		if (all || &cache->cpus->cpu[i] == self)
			pages += slot_drain(cache, &cache->cpus->cpu[i]);
	for (uint32_t i = 0; i < cache->pages->nr_nodes; i++)
		pages += depot_drain(cache, &cache->depot[i]);
	return pages;
}

uint64_t magazines_drain_closed(struct tmm_cache *cache, const void *drainer, bool stopped)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	bool closed = cache->drainer == drainer;
	uint64_t pages = 0;

	lock_drop_irqrestore(&cache->lock, irq);
	if (!closed)
		return 0;
	irq = tmm_port_irq_save();
	pages = slots_drain(cache, stopped);
	lock_take(&cache->lock);
	cache->drainer = NULL;
	open_slots(cache);
	lock_drop(&cache->lock);
	tmm_port_irq_restore(irq);
	return pages;
}

uint64_t magazines_drain(struct tmm_cache *cache)
{
	const struct tmm_cpu *self = cpu_self(cache->cpus);

	/* relaxed: a cache that gets its first slots now has little in them */
	if (!__atomic_load_n(&cache->front.slot, __ATOMIC_RELAXED))
		return 0;
	while (!magazines_close(cache, &self))
		tmm_port_relax();
	return magazines_drain_closed(cache, &self, sections_wait(cache->cpus));
}

void magazines_destroy(struct tmm_cache *cache)
{
	tmm_irq irq;

	if (!cache->front.slot)
		return;
	front_open(&cache->front, NULL);
	irq = tmm_port_irq_save();
	slots_drain(cache, true);
	tmm_port_irq_restore(irq);
	own_free(&cache->slabs->own[OWN_SLOTS], cache->front.slot);
	cache->front.slot = NULL;
}

void magazines_leave(struct tmm_cache *cache, struct tmm_cpu *cpu)
{
	tmm_irq irq = tmm_port_irq_save();

	if (tmm_slot_begin(cache, cpu)) {
		slot_drain(cache, cpu);
		tmm_section_end(cpu);
	}
	tmm_port_irq_restore(irq);
}

tmm_err tmm_cache_tune(struct tmm_cache *cache, uint32_t magazine_objs,
                       uint32_t depot_magazines)
{
	tmm_irq irq;

	if (is_own_cache(cache) || magazine_objs > MAGAZINE_MAX)
		return TMM_E_INVAL;
	if (cache->debug)
		return TMM_OK; /* it has none, whatever is said */
	irq = lock_take_irqsave(&cache->lock);
	/* relaxed: magazines get it as they are loaded */
	__atomic_store_n(&cache->limit, magazine_objs, __ATOMIC_RELAXED);
	__atomic_store_n(&cache->depot_most, depot_magazines, __ATOMIC_RELAXED);
	open_slots(cache);
	lock_drop_irqrestore(&cache->lock, irq);
	tmm_cache_shrink(cache);
	return TMM_OK;
}

/* ---- counts and checks ---- */

/* relaxed, all of it: a moment's value while the CPU runs */
static uint64_t slot_count(const struct tmm_slot *slot)
{
	void **bottom = __atomic_load_n(&slot->bottom, __ATOMIC_RELAXED);
	void **top = __atomic_load_n(&slot->top, __ATOMIC_RELAXED);
	const struct tmm_magazine *previous = __atomic_load_n(&slot->previous,
	                                                      __ATOMIC_RELAXED);
	uint64_t nr = __atomic_load_n(&slot->hand.full, __ATOMIC_RELAXED);

	/* Not of one magazine: they just changed places. */
	if (bottom && ((uintptr_t)top - (uintptr_t)bottom) / sizeof(*top) <= MAGAZINE_MAX)
		nr += (uint64_t)(top - bottom);
	if (previous)
		nr += __atomic_load_n(&previous->nr, __ATOMIC_RELAXED);
	return nr;
}

static uint64_t node_count(struct tmm_cache *cache, uint32_t node)
{
	const struct tmm_slot *slots = __atomic_load_n(&cache->front.slot, __ATOMIC_ACQUIRE);
	struct depot *depot = &cache->depot[node];
	uint64_t nr = 0;

	lock_take(&depot->lock);
	for (uint32_t i = 0; slots && i < cache->cpus->nr; i++)
		if (cache->cpus->cpu[i].node == node)
			nr += slot_count(&slots[i]);
	for (const struct tmm_magazine *full = depot->full; full; full = full->next)
		nr += full->nr;
	lock_drop(&depot->lock);
	return nr;
}

uint64_t magazines_count(struct tmm_cache *cache)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < cache->pages->nr_nodes; i++)
		nr += node_count(cache, i);
	return nr;
}

static void magazine_check(const struct tmm_magazine *magazine, uint64_t nr)
{
	TMM_ASSERT(nr <= magazine->limit && magazine->limit <= MAGAZINE_MAX); /* I11 */
	for (uint64_t i = 0; i < nr; i++)
		TMM_ASSERT(!*magazine->lent[i]); /* I12 */
}

static void slot_check(const struct tmm_slot *slot)
{
	TMM_ASSERT(!slot->hand.full || !*slot->hand.lent); /* I12 */
	if (!slot->bottom)
		return;
	magazine_check(magazine_at(slot->bottom), (uint64_t)(slot->top - slot->bottom));
	magazine_check(slot->previous, slot->previous->nr);
}

void magazines_check(struct tmm_cache *cache)
{
	for (uint32_t i = 0; cache->front.slot && i < cache->cpus->nr; i++)
		slot_check(&cache->front.slot[i]);
	for (uint32_t i = 0; i < cache->pages->nr_nodes; i++) {
		const struct depot *depot = &cache->depot[i];
		uint32_t nr = 0;

		for (const struct tmm_magazine *full = depot->full; full; full = full->next) {
			magazine_check(full, full->nr);
			nr++;
		}
		TMM_ASSERT(nr == depot->nr_full); /* I11 */
	}
}
