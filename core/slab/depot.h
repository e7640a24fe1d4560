/*
 * depot.h - magazines that come and go: what magazine.c asks of depot.c
 */
#ifndef TUXMM_SLAB_DEPOT_H
#define TUXMM_SLAB_DEPOT_H

#include "slab/slab_system.h"

/*
 * Begin a section on the slot that the cache has for the caller's CPU, which is `cpu`.
 * False, and no section: there is none, or not now.
 */
static ALWAYS_INLINE bool slots_open(const struct tmm_cache *cache, struct tmm_cpu *cpu)
{
	if (unlikely(!cpu))
		return false;
	section_begin(cpu);
	/* acquire: the slots are initialised, and empty where they were drained */
	if (likely(cpu->set == __atomic_load_n(&cache->open_to, __ATOMIC_ACQUIRE)))
		return true;
	section_end(cpu);
	return false;
}

static ALWAYS_INLINE struct cpu_slot *slot_at(const struct tmm_cache *cache,
                                              const struct tmm_cpu *cpu)
{
	return (struct cpu_slot *)(void *)((char *)cache->slot + cpu->line_offset);
}

/* Put it into the loaded magazine, which has room. */
static ALWAYS_INLINE void slot_push(struct cpu_slot *slot, void *object, uint8_t *lent)
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
	return __atomic_load_n(&cache->epoch, __ATOMIC_RELAXED);
}

/* relaxed: its lender's writes came to the caller with the object */
static ALWAYS_INLINE bool is_lent(const uint8_t *lent)
{
	return __atomic_load_n(lent, __ATOMIC_RELAXED);
}

/* The object of the hand, which is lent, comes back; false: it is another, or unknown. */
static ALWAYS_INLINE bool hand_free(const struct tmm_cache *cache, struct cpu_slot *slot,
                                    const void *object)
{
	uint8_t *lent = slot->hand.lent;

	if (unlikely(slot->hand.object != object) ||
	    unlikely(slot->hand.stamp != epoch_of(cache)) || unlikely(!is_lent(lent)))
		return false;
	set_lent(lent, 0);
	set_hand_full(slot, 1);
	return true;
}

/* The object comes back to the hand, if that remembers it. */
static ALWAYS_INLINE bool back_to_hand(struct tmm_cache *cache, const void *object)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	bool done = false;

	if (likely(slots_open(cache, cpu))) {
		done = hand_free(cache, slot_at(cache, cpu), object);
		section_end(cpu);
	}
	tmm_port_irq_restore(irq);
	return done;
}

static inline struct magazine *magazine_at(void **bottom)
{
	return container_of(bottom, struct magazine, object[0]);
}

/* When what is behind the last object was known to hold. */
static inline uint64_t slot_stamp(const struct cpu_slot *slot)
{
	return slot->bottom ? magazine_at(slot->bottom)->stamp : 0;
}

/*
 * Give the caller a CPU, the cache its slots once it is busy, and the slot its
 * magazines; begin a section on it.  NULL, and no section: use the slabs.  Interrupts
 * are off.
 */
struct cpu_slot *slot_prepare(struct tmm_cache *cache);

/* Requests of the cache's are to fail, or not any more (TMM_SLAB_FAILSLAB). */
void slots_set_fails(struct tmm_cache *cache, bool fails);

/* End it. */
static inline void slot_done(void)
{
	section_end(tmm_port_cpu());
}

/* See that hand or loaded magazine have an object; false: it wants a new slab. */
bool slot_load(struct tmm_cache *cache, struct cpu_slot *slot);

/* The same, from there alone; false: nothing happened, as it was not empty or there is none. */
bool slot_load_from(const struct slab_source *source, struct cpu_slot *slot);

/* See that the loaded magazine has `wanted` objects, or as many as may be; false: none. */
bool slot_load_most(struct tmm_cache *cache, struct cpu_slot *slot, uint64_t wanted);

/* See that the loaded magazine has room; false: there are no magazines. */
bool slot_unload(struct tmm_cache *cache, struct cpu_slot *slot);

#endif
