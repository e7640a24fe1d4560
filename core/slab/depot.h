/*
 * depot.h - magazines that come and go: what magazine.c asks of depot.c
 */
#ifndef TUXMM_SLAB_DEPOT_H
#define TUXMM_SLAB_DEPOT_H

#include "slab/slab_system.h"

/* Put it into the loaded magazine, which has room. */
static ALWAYS_INLINE void slot_push(struct tmm_slot *slot, void *object, uint8_t *lent)
{
	void **top = slot->top;

	*top = object;
	*lent_at(top) = lent;
	set_top(slot, top + 1);
}

static ALWAYS_INLINE uint64_t epoch_of(const struct tmm_cache *cache)
{
	/* relaxed: a slab at the place of one that is gone was made after the count, and
	   its object came to the caller later still */
	return __atomic_load_n(&cache->front.epoch, __ATOMIC_RELAXED);
}

/* relaxed: its lender's writes came to the caller with the object */
static ALWAYS_INLINE bool is_lent(const uint8_t *lent)
{
	return __atomic_load_n(lent, __ATOMIC_RELAXED);
}

/* An object that the CPU has in its hand or its loaded magazine, or NULL. */
static ALWAYS_INLINE void *from_hand_if(struct tmm_cache *cache, void *const *open_to)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_slot *slot = tmm_slot_begin_if(&cache->front, open_to, cpu);
	void *object = NULL;

	if (likely(slot != NULL)) {
		object = tmm_slot_pop(slot);
		tmm_section_end(cpu);
	}
	tmm_port_irq_restore(irq);
	return object;
}

static ALWAYS_INLINE void *from_hand(struct tmm_cache *cache)
{
	return from_hand_if(cache, &cache->front.open_to);
}

/* The object comes back to the hand, if that remembers it. */
static ALWAYS_INLINE bool back_to_hand(struct tmm_cache *cache, const void *object)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_slot *slot = tmm_slot_begin(cache, cpu);
	bool done = false;

	if (likely(slot != NULL)) {
		done = tmm_slot_take_back(cache, slot, object);
		tmm_section_end(cpu);
	}
	tmm_port_irq_restore(irq);
	return done;
}

static inline struct tmm_magazine *magazine_at(void **bottom)
{
	return container_of(bottom, struct tmm_magazine, object[0]);
}

/* When what is behind the last object was known to hold. */
static inline uint64_t slot_stamp(const struct tmm_slot *slot)
{
	return slot->bottom ? magazine_at(slot->bottom)->stamp : 0;
}

/*
 * Give the caller a CPU, the cache its slots once it is busy, and the slot its
 * magazines; begin a section on it.  NULL, and no section: use the slabs.  Interrupts
 * are off.
 */
struct tmm_slot *slot_prepare(struct tmm_cache *cache);

/* Requests of the cache's are to fail, or not any more (TMM_SLAB_FAILSLAB). */
void slots_set_fails(struct tmm_cache *cache, bool fails);

/* End it. */
static inline void slot_done(void)
{
	tmm_section_end(tmm_port_cpu());
}

/* See that hand or loaded magazine have an object; false: nor have the other magazines. */
bool slot_load(struct tmm_cache *cache, struct tmm_slot *slot);

/* The same, from there alone; false: nothing happened, as it was not empty or there is none. */
bool slot_load_from(const struct slab_source *source, struct tmm_slot *slot);

/* See that the loaded magazine has `wanted` objects, or as many as may be; false: none. */
bool slot_load_most(struct tmm_cache *cache, struct tmm_slot *slot, uint64_t wanted);

/* See that the loaded magazine has room; false: there are no magazines. */
bool slot_unload(struct tmm_cache *cache, struct tmm_slot *slot);

#endif
