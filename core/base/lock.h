/*
 * lock.h - spin locks with ranks
 *
 * A thread takes locks in rising rank only; docs/LOCKS.md says what each guards.
 * port/strict panics when the order is broken.  clang checks TMM_REQUIRES.
 */
#ifndef TUXMM_BASE_LOCK_H
#define TUXMM_BASE_LOCK_H

#include "base/base.h"

#if defined(__clang__)
#define TMM_REQUIRES(lock)   __attribute__((requires_capability(lock)))
#define TMM_GUARDED_BY(lock) __attribute__((guarded_by(lock)))
#define LOCK_CAPABILITY      __attribute__((capability("spinlock")))
#define LOCK_ACQUIRES(lock)  __attribute__((acquire_capability(lock)))
#define LOCK_RELEASES(lock)  __attribute__((release_capability(lock)))
#define LOCK_TRIES(lock)     __attribute__((try_acquire_capability(true, lock)))
#define LOCK_UNCHECKED       __attribute__((no_thread_safety_analysis))
#else
#define TMM_REQUIRES(lock)
#define TMM_GUARDED_BY(lock)
#define LOCK_CAPABILITY
#define LOCK_ACQUIRES(lock)
#define LOCK_RELEASES(lock)
#define LOCK_TRIES(lock)
#define LOCK_UNCHECKED
#endif

/* Low ranks are taken first. */
enum lock_rank {
	RANK_SPACES = 1, /* list of address spaces */
	RANK_MM,         /* an address space: areas and tables */
	RANK_CMA,        /* a contiguous area, while it is emptied */
	RANK_CACHE,      /* page cache: every mapping's pages */
	RANK_DEVICE,     /* what the model of devices shares: bus, mappings, DMA */
	RANK_VMAP,       /* the kernel's address areas */
	RANK_KMAP,       /* its page tables, and slots of the pkmap window */
	RANK_SLAB,       /* list of caches */
	RANK_CACHE_NODE, /* one slab cache's slabs */
	RANK_DEPOT,      /* one slab cache's magazines on a node */
	RANK_MEMPOOL,    /* one pool's reserve; a leaf */
	RANK_RESOURCE,   /* who has which physical addresses; a leaf */
	RANK_ACCOUNTS,   /* accounts, and what CPUs charged in advance; a leaf */
	RANK_STACKS,     /* whose turn it is to take other CPUs' stacks */
	RANK_ZONE,       /* one zone's blocks */
	RANK_RAM,        /* memblock's lists while the machine runs; a leaf */
	RANK_CPUS        /* which CPUs are taken; a leaf */
};

_Static_assert(RANK_CACHE == TMM_FIRST_SPIN_RANK, "holders of locks before it may sleep");

struct LOCK_CAPABILITY lock {
	struct tmm_spinlock spin;
	unsigned char rank;
};

static inline void lock_init(struct lock *lock, enum lock_rank rank)
{
	lock->spin = (struct tmm_spinlock)TMM_SPINLOCK_INIT;
	lock->rank = (unsigned char)rank;
}

static inline void lock_take(struct lock *lock) LOCK_ACQUIRES(lock) LOCK_UNCHECKED
{
	tmm_port_lock(&lock->spin, lock->rank);
}

/* Whoever does not wait cannot deadlock: in any order, with locks of any rank held. */
static inline bool lock_try(struct lock *lock) LOCK_TRIES(lock) LOCK_UNCHECKED
{
	return tmm_port_trylock(&lock->spin, lock->rank);
}

static inline void lock_drop(struct lock *lock) LOCK_RELEASES(lock) LOCK_UNCHECKED
{
	tmm_port_unlock(&lock->spin, lock->rank);
}

/* For locks that interrupt handlers take too. */
static inline tmm_irq lock_take_irqsave(struct lock *lock) LOCK_ACQUIRES(lock) LOCK_UNCHECKED
{
	tmm_irq irq = tmm_port_irq_save();

	tmm_port_lock(&lock->spin, lock->rank);
	return irq;
}

static inline void lock_drop_irqrestore(struct lock *lock, tmm_irq irq)
	LOCK_RELEASES(lock) LOCK_UNCHECKED
{
	tmm_port_unlock(&lock->spin, lock->rank);
	tmm_port_irq_restore(irq);
}

#endif
