/*
 * magazine.c - objects at hand on each CPU
 *
 * A CPU has two magazines of each cache that it uses: arrays of objects that are
 * out of their slabs and lent to nobody.  Lending takes the last one from the
 * loaded magazine, freeing puts it there, without a lock and without an atomic
 * operation.  What happens when the loaded one is empty or full, depot.c says.
 *
 * Before its magazines a CPU has a hand, which holds one object.  An object that is
 * lent from the hand is remembered there, with the byte that says that it is lent:
 * whoever lends and frees one object at a time, as most do, finds that byte without
 * looking for the slab, and moves nothing.  Likewise the places behind the last
 * object of a magazine remember what was taken from there, and a bulk that comes
 * back as it was lent is only compared with them.  What is remembered is a place in
 * a slab, so it holds while no slab has gone: front.epoch counts those that did,
 * and a stamp says when something was known to hold.
 *
 * What needs no more than hand and loaded magazine is in tuxmm/slab_inline.h, for
 * callers as for the functions here.
 *
 * Each object has a byte, not zero while it is lent.  Freeing asserts and clears
 * it, so an object that is freed twice is found at once, whatever CPUs it was freed
 * on and wherever it is by then.  Two CPUs that free one object at the very same
 * time may both find the byte set: then the second object of the two panics when it
 * is put into its slab.
 *
 * All of this is for speed alone: whenever there is no memory for a magazine, or
 * somebody drains the cache's, objects come from their slabs and go there.
 *
 * cache_check() asserts of magazines:
 *   I11  no magazine holds more than it has room for
 *   I12  an object in a magazine or a hand is not lent
 */
#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/depot.h"
#include "slab/slob.h"

/* ---- lending ---- */

void *object_take(const struct slab_source *source)
{
	void *object;
	uint8_t *lent;

	if (!objects_take(source, (struct objects){&object, &lent}, 1))
		return NULL;
	set_lent(lent, 1);
	return object;
}

/* From what the CPU has at hand, filled from there if it is empty. */
static void *take(const struct slab_source *source)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_slot *slot = slot_prepare(source->cache);
	void *object = NULL;

	if (slot) {
		if ((source->step == SOURCE_NODE && slot_load(source->cache, slot)) ||
		    slot_load_from(source, slot))
			object = tmm_slot_pop(slot);
		slot_done();
	}
	if (!object)
		object = object_take(source);
	tmm_port_irq_restore(irq);
	return object;
}

static void *alloc_from_slabs(struct tmm_cache *cache, tmm_gfp gfp)
{
	struct slab_source source = source_first(cache, gfp, TMM_NODE_ANY);
	void *object;

	do
		object = take(&source);
	while (unlikely(!object) && source_next(&source));
	return object;
}

/* SLOB and caches that debug have no magazines, and so come here. */
static NOINLINE void *alloc_slow(struct tmm_cache *cache, tmm_gfp gfp, const void *site)
{
	if (unlikely(cache->slabs->is_slob))
		return slob_cache_alloc(cache, gfp, TMM_NODE_ANY);
	if (is_to_fail(cache, gfp))
		return NULL;
	if (cache->debug)
		return debug_alloc(cache, gfp, TMM_NODE_ANY, cache->object_bytes, site);
	return alloc_from_slabs(cache, gfp);
}

static ALWAYS_INLINE void *alloc_fast(struct tmm_cache *cache, tmm_gfp gfp, const void *site)
{
	void *object = from_hand(cache);

	return likely(object != NULL) ? object : alloc_slow(cache, gfp, site);
}

void check_request(const struct tmm_cache *cache, tmm_gfp gfp)
{
	TMM_ASSERT(!(gfp & (TMM_GFP_DMA | TMM_GFP_DMA32)) && "a cache is of no zone");
	TMM_ASSERT(!(gfp & TMM_GFP_ZERO && cache->ctor) && "zeroes would undo the constructor");
}

/* With a flag that is not for the fast path, or where failures are injected. */
static NOINLINE void *alloc_odd(struct tmm_cache *cache, tmm_gfp gfp, const void *site)
{
	void *object;

	check_request(cache, gfp);
	if (!tmm_port_allow("slab"))
		return NULL;
	object = alloc_fast(cache, gfp, site);
	return object_lend(cache, object, gfp, cache->object_bytes);
}

/* The hand has none, or it is to be charged. */
static NOINLINE void *alloc_rest(struct tmm_cache *cache, tmm_gfp gfp, const void *site)
{
	return cache->front.account ? alloc_odd(cache, gfp, site)
	                            : alloc_slow(cache, gfp, site);
}

void *object_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	struct tmm_cpu *cpu = tmm_port_cpu();

	if (likely(cpu != NULL))
		cpu->recent = cache;
	return alloc_fast(cache, gfp, NULL);
}

void *tmm_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	const void *site = __builtin_return_address(0);
	void *object;

	if (unlikely(gfp & TMM_GFP_NOT_INLINE) || unlikely(tmm_port_injects()))
		return alloc_odd(cache, gfp, site);
	object = from_hand_if(cache, &cache->front.lends_to);
	return likely(object != NULL) ? object : alloc_rest(cache, gfp, site);
}

/* ---- taking back ---- */

/*
 * Does an object start at `offset` in the slab?  Then *out_lent is its byte.  A slab ends
 * with less than an object's length that is nobody's, and has a byte for that: never lent.
 */
static ALWAYS_INLINE bool lent_of(const struct tmm_cache *cache, const struct page *head,
                                  uint64_t offset, uint8_t **out_lent)
{
	uint64_t product = offset * cache->front.reciprocal;

	*out_lent = slab_lent(head) + (product >> 32);
	/* The low half is less than the reciprocal just for multiples of size_bytes. */
	return likely((uint32_t)product < cache->front.reciprocal);
}

/*
 * The same for an address of which nothing is known; false: look again.  `flat` is that of
 * the cache, or NULL.
 */
static ALWAYS_INLINE bool lent_find(const struct tmm_cache *cache, const struct page *flat,
                                    const void *object, uint8_t **out_lent)
{
	const struct memory_map *map = &cache->pages->map;
	uint64_t at = (uint64_t)((const char *)object - cache->ram);
	/* relaxed: slab.c, count_short() */
	uint64_t start = at & __atomic_load_n(&cache->slab_mask, __ATOMIC_RELAXED);
	uint64_t pfn = start >> TMM_PAGE_SHIFT;
	const struct page *head;

	if (unlikely(!map_in_span(map, pfn)))
		return false;
	head = flat ? flat + (pfn - map->first) : map_page(map, pfn);
	/* The slab's bits, or the last of them: wanted when a magazine is put into slabs. */
	__builtin_prefetch((const void *)(uintptr_t)(head->lent - sizeof(uint64_t)));
	/* The first frame of a slab is what a cache owns, and nothing else. */
	return likely(head->owner == cache) && lent_of(cache, head, at - start, out_lent);
}

/*
 * Where the mask does not lead to the slab, as it may while there are short ones, or the
 * cache debugs, or the caller is mistaken.
 */
static bool lent_look(const struct tmm_cache *cache, const void *object, uint8_t **out_lent)
{
	uint64_t at = (uint64_t)((const char *)object - (const char *)cache->pages->ram);
	struct place place;

	if (cache->debug || !pfn_valid(cache->pages, (tmm_pfn){at >> TMM_PAGE_SHIFT}))
		return false;
	place = place_of(cache->pages, object);
	return place.head->kind == PAGE_SLAB && place.head->owner == cache &&
	       lent_of(cache, place.head, place.offset, out_lent) && is_lent(*out_lent);
}

static NOINLINE void free_slow(struct tmm_cache *cache, void *object, uint8_t *lent)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_slot *slot = slot_prepare(cache);
	bool kept = false;

	if (slot) {
		kept = slot_unload(cache, slot);
		if (kept)
			slot_push(slot, object, lent);
		slot_done();
	}
	if (!kept)
		objects_put(cache, (struct objects){&object, &lent}, 1);
	tmm_port_irq_restore(irq);
}

/* The object, which is not lent any more, is kept; false: there is no room for it. */
static ALWAYS_INLINE bool slot_keep(const struct tmm_cache *cache, struct tmm_slot *slot,
                                    void *object, uint8_t *lent)
{
	if (unlikely(!slot->hand.full)) {
		slot->hand.object = object;
		slot->hand.lent = lent;
		slot->hand.stamp = epoch_of(cache);
		__atomic_store_n(&slot->hand.full, 1, __ATOMIC_RELAXED);
		return true;
	}
	if (unlikely(slot->top == slot->end))
		return false;
	slot_push(slot, object, lent);
	return true;
}

/* Whatever node it is of. */
static ALWAYS_INLINE void near_free(struct tmm_cache *cache, void *object, uint8_t *lent)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_slot *slot;
	bool kept = false;

	set_lent(lent, 0);
	slot = tmm_slot_begin(cache, cpu);
	if (likely(slot != NULL)) {
		kept = slot_keep(cache, slot, object, lent);
		tmm_section_end(cpu);
	}
	tmm_port_irq_restore(irq);
	if (unlikely(!kept))
		free_slow(cache, object, lent);
}

/* Apart, for a call would cost machines of one node their registers. */
static NOINLINE void node_free(struct tmm_cache *cache, void *object, uint8_t *lent)
{
	if (object_is_remote(cache, object))
		object_go_home(cache, object, lent);
	else
		near_free(cache, object, lent);
}

static ALWAYS_INLINE void found_free(struct tmm_cache *cache, void *object, uint8_t *lent)
{
	if (unlikely(cache->nr_nodes > 1))
		node_free(cache, object, lent);
	else
		near_free(cache, object, lent);
}

/* Not known to be lent: somebody is charged for it, or it is odd. */
static NOINLINE void charged_free(struct tmm_cache *cache, void *object, const void *site)
{
	uint8_t *lent;

	if (!cache->debug && object_end_charge(cache, object, &lent))
		found_free(cache, object, lent);
	else
		odd_free(cache, object, site);
}

/* Where the fast path does not know the object, or has no room for it. */
static NOINLINE void find_free(struct tmm_cache *cache, void *object, const void *site)
{
	uint8_t *lent;

	if (!object)
		return;
	if (likely(lent_look(cache, object, &lent)))
		found_free(cache, object, lent);
	else
		charged_free(cache, object, site);
}

void object_free(struct tmm_cache *cache, struct place place, void *object, const void *site)
{
	uint8_t *lent;

	if (likely(!cache->debug && lent_of(cache, place.head, place.offset, &lent) &&
	           is_lent(lent)))
		found_free(cache, object, lent);
	else
		charged_free(cache, object, site);
}

static ALWAYS_INLINE void free_to_slot(struct tmm_cache *cache, const struct page *flat,
                                       void *object, struct tmm_slot *slot, struct tmm_cpu *cpu,
                                       tmm_irq irq)
{
	uint8_t *lent;

	if (unlikely(!lent_find(cache, flat, object, &lent)) || unlikely(!is_lent(lent)) ||
	    unlikely(!flat && cache->nr_nodes > 1 && object_is_remote(cache, object)) ||
	    unlikely(!slot_keep(cache, slot, object, lent))) {
		tmm_section_end(cpu);
		tmm_port_irq_restore(irq);
		find_free(cache, object, NULL); /* a cache with slots tracks no callers */
		return;
	}
	set_lent(lent, 0);
	tmm_section_end(cpu);
	tmm_port_irq_restore(irq);
}

/* Apart, for what it calls would cost the other some registers. */
static NOINLINE void slot_free_mapped(struct tmm_cache *cache, void *object,
                                      struct tmm_slot *slot, struct tmm_cpu *cpu, tmm_irq irq)
{
	free_to_slot(cache, NULL, object, slot, cpu, irq);
}

void tmm_slot_free(struct tmm_cache *cache, void *object, struct tmm_slot *slot,
                   struct tmm_cpu *cpu, tmm_irq irq)
{
	const struct page *flat = cache->flat;

	if (likely(flat != NULL))
		free_to_slot(cache, flat, object, slot, cpu, irq);
	else
		slot_free_mapped(cache, object, slot, cpu, irq);
}

void tmm_cache_free(struct tmm_cache *cache, void *object)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_slot *slot = tmm_slot_begin(cache, cpu);

	if (unlikely(!slot)) {
		tmm_port_irq_restore(irq);
		find_free(cache, object, __builtin_return_address(0));
	} else if (likely(tmm_slot_take_back(cache, slot, object))) {
		tmm_section_end(cpu);
		tmm_port_irq_restore(irq);
	} else {
		tmm_slot_free(cache, object, slot, cpu, irq);
	}
}

/* ---- many at a time ---- */

/* Up to nr from the loaded magazine. */
static size_t pop_bulk(struct tmm_cache *cache, size_t nr, void **out)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_slot *slot = slot_prepare(cache);
	size_t popped = 0;

	if (slot) {
		if (slot_load_most(cache, slot, nr)) {
			void **top;

			popped = min_u64(nr, (uint64_t)(slot->top - slot->bottom));
			top = slot->top - popped;
			memcpy(out, top, popped * sizeof(*out));
			for (size_t i = 0; i < popped; i++)
				set_lent(*lent_at(top + i), 1);
			set_top(slot, top);
		}
		slot_done();
	}
	tmm_port_irq_restore(irq);
	return popped;
}

/* Those behind the first that cannot be charged are given back; how many are left. */
static size_t charge_bulk(struct tmm_cache *cache, tmm_gfp gfp, size_t nr, void **object)
{
	size_t charged = 0;

	if (likely(!is_to_be_charged(cache, gfp)))
		return nr;
	while (charged < nr && object_charge(cache, object[charged], gfp))
		charged++;
	for (size_t i = charged; i < nr; i++)
		tmm_cache_free(cache, object[i]);
	return charged;
}

size_t tmm_cache_alloc_bulk(struct tmm_cache *cache, tmm_gfp gfp, size_t nr, void **out)
{
	const void *site = __builtin_return_address(0);
	size_t done = 0;

	check_request(cache, gfp);
	if (unlikely(!tmm_port_allow("slab")))
		return 0;
	while (done < nr) {
		size_t more = pop_bulk(cache, nr - done, out + done);

		if (!more) {
			out[done] = alloc_slow(cache, gfp & ~TMM_GFP_ZERO, site);
			more = out[done] != NULL;
		}
		if (!more)
			break;
		done += more;
	}
	done = charge_bulk(cache, gfp, done, out);
	for (size_t i = 0; gfp & TMM_GFP_ZERO && i < done; i++)
		memset(out[i], 0, cache->object_bytes);
	return done;
}

/*
 * Those that come back in the order they were lent in are behind the last object
 * still.  Returns how many of nr came back; less than nr: the next is not lent.
 */
static size_t push_remembered(struct tmm_slot *slot, size_t nr)
{
	void **top = slot->top;
	size_t i = 0;

	for (; i < nr && likely(is_lent(*lent_at(top + i))); i++)
		set_lent(*lent_at(top + i), 0);
	set_top(slot, top + i);
	return i;
}

static size_t push_found(struct tmm_cache *cache, struct tmm_slot *slot, size_t nr,
                         void *const *object)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint8_t *lent;

		if (!object[i])
			continue;
		if (unlikely(!lent_find(cache, cache->flat, object[i], &lent) ||
		             !is_lent(lent)) &&
		    !lent_look(cache, object[i], &lent))
			break;
		if (unlikely(cache->nr_nodes > 1) && object_is_remote(cache, object[i])) {
			object_go_home(cache, object[i], lent);
			continue;
		}
		set_lent(lent, 0);
		slot_push(slot, object[i], lent);
	}
	return i;
}

/* Returns how many the loaded magazine took; less than *nr: the next is not lent. */
static size_t push_bulk(struct tmm_cache *cache, size_t *nr, void *const *object)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_slot *slot = slot_prepare(cache);
	size_t pushed = 0;

	if (slot) {
		*nr = min_u64(*nr, (uint64_t)(slot->end - slot->top));
		if (slot_stamp(slot) == epoch_of(cache) &&
		    memcmp(slot->top, object, *nr * sizeof(*object)) == 0)
			pushed = push_remembered(slot, *nr);
		else
			pushed = push_found(cache, slot, *nr, object);
		slot_done();
	} else {
		*nr = 0;
	}
	tmm_port_irq_restore(irq);
	return pushed;
}

void tmm_cache_free_bulk(struct tmm_cache *cache, size_t nr, void *const *objects)
{
	for (size_t i = 0; i < nr;) {
		size_t most = nr - i;
		size_t pushed = push_bulk(cache, &most, objects + i);

		i += pushed;
		if (i == nr)
			break;
		if (likely(pushed == most && !cache->debug))
			tmm_cache_free(cache, objects[i]); /* no room: makes some */
		else
			find_free(cache, objects[i], __builtin_return_address(0));
		i++;
	}
}
