/*
 * account.h - charges of frames and objects, for those who lend them
 *
 * Frames are charged by page_alloc.c, objects by core/slab/charge.c.
 */
#ifndef TUXMM_PAGE_ACCOUNT_H
#define TUXMM_PAGE_ACCOUNT_H

#include <tuxmm/account.h>

#include "page/page_system.h"

/*
 * Who is charged for the objects of one slab, by their numbers.  Whoever has an object, or
 * gives it back, is alone with its id.
 */
struct charges {
	uint32_t object_bytes; /* constant */
	uint32_t nr_objs;      /* constant */
	uint16_t id[];         /* (a) 0: nobody */
};

/* The active account of the CPU that the caller is on. */
static inline struct tmm_account *account_active(const struct tmm_pages *pages)
{
	/* relaxed: others only compare it */
	return __atomic_load_n(&page_cpu_self(pages)->active, __ATOMIC_RELAXED);
}

/* Charge for so many bytes, as gfp allows; false: a limit is in the way. */
bool account_charge(struct tmm_pages *pages, struct tmm_account *account, tmm_gfp gfp,
                    uint64_t bytes);

/* Of an account with such an id, that is charged for them. */
void account_uncharge(struct tmm_pages *pages, unsigned id, uint64_t bytes);

/* A run is about to be lent: charge the active account, if any; false: it must not be lent. */
bool account_run(struct tmm_pages *pages, uint64_t pfn, unsigned order, tmm_gfp gfp);

/* A run is freed in a block with marks: end the charges of its frames. */
void account_end_run(struct tmm_pages *pages, uint64_t pfn, unsigned order);

/*
 * What is in frame `from` goes to `to`: both are charged to the same account between begin and
 * end, which is told whether it did.  False: there is no memory to say so.
 */
TMM_MUST_CHECK bool account_move_begin(struct tmm_pages *pages, uint64_t from, uint64_t to);
void account_move_end(struct tmm_pages *pages, uint64_t from, uint64_t to, bool moved);

/* Is somebody charged for the lent frame? */
bool account_has_frame(const struct tmm_pages *pages, uint64_t pfn);

/* What the first frame of a slab says of its objects' charges; NULL: none was charged yet. */
struct charges *account_charges(const struct tmm_pages *pages, uint64_t pfn);

/*
 * Let it say so; what it says then, as somebody else may have come first.  NULL: there is no
 * memory.
 */
struct charges *account_set_charges(struct tmm_pages *pages, uint64_t pfn,
                                    struct charges *charges, tmm_gfp gfp);

/* The slab is gone. */
void account_clear_charges(struct tmm_pages *pages, uint64_t pfn);

struct tmm_account *account_of_id(const struct tmm_pages *pages, unsigned id);

/* Charged frames of a block. */
unsigned account_count(const struct tmm_pages *pages, uint64_t block);

/* The calling thread leaves the CPU. */
void account_leave(struct tmm_pages *pages, struct page_cpu *cpu);

/* Boot, and the end: the tables' frames go back.  No account is left (asserted). */
void accounts_init(struct tmm_pages *pages);
void accounts_fini(struct tmm_pages *pages);

/* Panics unless usage is what is charged, and in advance.  No CPU is charging. */
void accounts_check(struct tmm_pages *pages);

#endif
