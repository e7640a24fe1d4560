/*
 * slab_inline.h - tmm_cache_alloc() and tmm_cache_free() without a call
 *
 * Most often the caller's CPU has an object at hand, or remembers the one that comes
 * back: that much is done here, at the price of some forty instructions at each place.
 * All else the functions of tuxmm/slab.h do.  The caller needs the include path of its
 * port, as for tuxmm/port.h.
 *
 * What else is here serves these two, belongs to the library of the same version, and
 * may be different in the next.
 *
 * Owning, Locks  as for the functions
 * Linux          the fast paths of kmem_cache_alloc() and kmem_cache_free()
 */
#ifndef TUXMM_SLAB_INLINE_H
#define TUXMM_SLAB_INLINE_H

#include <tuxmm/cpu_inline.h>
#include <tuxmm/port.h>
#include <tuxmm/slab.h>

struct tmm_magazine; /* fields: core/slab/magazine.h */

#define TMM_MAGAZINE_MOST 64u

/* With one of these tmm_cache_alloc() is called. */
#define TMM_GFP_NOT_INLINE (TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_ZERO | TMM_GFP_ACCOUNT)

/* The object that went through the CPU last: in the hand, or lent and remembered. */
struct tmm_hand {
	void *object;
	uint8_t *lent;  /* the byte that says whether the object is lent */
	uint64_t stamp; /* that this byte is the object's was true at that time */
	uint32_t full;  /* (a) the object is in the hand */
};

/*
 * What one CPU has of one cache: changed in its sections alone.  A magazine is an array
 * of objects, and TMM_MAGAZINE_MOST places behind each object its byte.  (a) others read
 * it, to count objects
 */
struct tmm_slot {
	void **top;                    /* (a) behind the last object of the loaded magazine */
	void **bottom;                 /* (a) its first place; NULL: no magazines */
	void **end;                    /* where it is full */
	struct tmm_magazine *previous; /* (a) that was loaded before it */
	struct tmm_hand hand;
} __attribute__((aligned(64)));

/* A struct tmm_cache begins so.  (c) constant  (a) atomic */
struct tmm_cache_front {
	void *open_to;         /* (a) whose CPUs may use their slots: tmm_cpu_front.set */
	void *lends_to;        /* (a) the same; NULL where every request is to be charged */
	struct tmm_slot *slot; /* (a) of all CPUs; NULL: none yet */
	uint64_t epoch;        /* (a) slabs that are gone, and one */
	uint32_t reciprocal;   /* (c) 2^32 by the size of an object, rounded up */
	bool account;          /* (c) every request is to be charged */
};

/*
 * Begin a section on the slot that the cache has for the caller's CPU, which is `cpu`, if
 * *open_to, a field of the cache's front, lets it.  NULL, and no section: there is none, or
 * not now.
 */
static inline __attribute__((always_inline)) struct tmm_slot *
tmm_slot_begin_if(const struct tmm_cache_front *of, void *const *open_to, struct tmm_cpu *cpu)
{
	const struct tmm_cpu_front *by = (const struct tmm_cpu_front *)(const void *)cpu;
	struct tmm_slot *slot;

	if (__builtin_expect(!cpu, 0))
		return NULL;
	tmm_section_begin(cpu);
	/* acquire: the slots are initialised, and empty where they were drained */
	if (__builtin_expect(by->set != __atomic_load_n(open_to, __ATOMIC_ACQUIRE), 0)) {
		tmm_section_end(cpu);
		return NULL;
	}
	slot = (struct tmm_slot *)(void *)((char *)of->slot + by->line_offset);
	if (!slot)
		__builtin_unreachable(); /* so the caller is spared a look */
	return slot;
}

static inline __attribute__((always_inline)) struct tmm_slot *
tmm_slot_begin(const struct tmm_cache *cache, struct tmm_cpu *cpu)
{
	const struct tmm_cache_front *of = (const struct tmm_cache_front *)(const void *)cache;

	return tmm_slot_begin_if(of, &of->open_to, cpu);
}

/* An object, lent from now on; NULL: neither the hand nor the loaded magazine has one. */
static inline __attribute__((always_inline)) void *tmm_slot_pop(struct tmm_slot *slot)
{
	void *object, **top;
	uint8_t *lent;

	/* relaxed, all of it: others only count objects */
	if (__builtin_expect(slot->hand.full, 1)) {
		__atomic_store_n(&slot->hand.full, 0, __ATOMIC_RELAXED);
		__atomic_store_n(slot->hand.lent, 1, __ATOMIC_RELAXED);
		object = slot->hand.object;
	} else {
		top = slot->top;
		if (__builtin_expect(top == slot->bottom, 0))
			return NULL;
		__atomic_store_n(&slot->top, --top, __ATOMIC_RELAXED);
		lent = (uint8_t *)top[TMM_MAGAZINE_MOST];
		__atomic_store_n(lent, 1, __ATOMIC_RELAXED);
		object = *top;
	}
	if (!object)
		__builtin_unreachable(); /* so the caller is spared a look */
	return object;
}

/* The object comes back to the hand; false: that does not remember it as lent. */
static inline __attribute__((always_inline)) bool
tmm_slot_take_back(const struct tmm_cache *cache, struct tmm_slot *slot, const void *object)
{
	const struct tmm_cache_front *of = (const struct tmm_cache_front *)(const void *)cache;
	uint8_t *lent = slot->hand.lent;

	/*
	 * relaxed: a slab at the place of one that is gone was made after the count, and
	 * its object came to the caller later still, as did its lender's writes
	 */
	if (__builtin_expect(slot->hand.object != object, 0) ||
	    __builtin_expect(slot->hand.stamp != __atomic_load_n(&of->epoch, __ATOMIC_RELAXED),
	                     0) ||
	    __builtin_expect(!__atomic_load_n(lent, __ATOMIC_RELAXED), 0))
		return false;
	__atomic_store_n(lent, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->hand.full, 1, __ATOMIC_RELAXED);
	return true;
}

/*
 * The rest of a free, in the section of tmm_slot_begin(), which it ends; the hand does not
 * remember the object.  `irq` is that of before.
 */
void tmm_slot_free(struct tmm_cache *cache, void *object, struct tmm_slot *slot,
                   struct tmm_cpu *cpu, tmm_irq irq);

/* As tmm_cache_alloc(). */
static inline __attribute__((always_inline)) void *
tmm_cache_alloc_inline(struct tmm_cache *cache, tmm_gfp gfp)
{
	const struct tmm_cache_front *of = (const struct tmm_cache_front *)(const void *)cache;
	struct tmm_cpu *cpu;
	struct tmm_slot *slot;
	void *object = NULL;
	tmm_irq irq;

	if (__builtin_expect((gfp & TMM_GFP_NOT_INLINE) != 0, 0) || tmm_port_injects())
		return tmm_cache_alloc(cache, gfp);
	irq = tmm_port_irq_save();
	cpu = tmm_port_cpu();
	slot = tmm_slot_begin_if(of, &of->lends_to, cpu);
	if (__builtin_expect(slot != NULL, 1)) {
		object = tmm_slot_pop(slot);
		tmm_section_end(cpu);
	}
	tmm_port_irq_restore(irq);
	return __builtin_expect(object != NULL, 1) ? object : tmm_cache_alloc(cache, gfp);
}

/* As tmm_cache_free(). */
static inline __attribute__((always_inline)) void tmm_cache_free_inline(struct tmm_cache *cache,
                                                                        void *object)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_cpu *cpu = tmm_port_cpu();
	struct tmm_slot *slot = tmm_slot_begin(cache, cpu);

	if (__builtin_expect(!slot, 0)) {
		tmm_port_irq_restore(irq);
		tmm_cache_free(cache, object);
	} else if (__builtin_expect(tmm_slot_take_back(cache, slot, object), 1)) {
		tmm_section_end(cpu);
		tmm_port_irq_restore(irq);
	} else {
		tmm_slot_free(cache, object, slot, cpu, irq);
	}
}

#endif
