/*
 * types.h - units, addresses and errors that every tuxmm header speaks
 *
 * Units    tmm_pfn numbers frames of TMM_PAGE_SIZE bytes; tmm_paddr and
 *          tmm_vaddr are byte addresses.  Each is a struct of one field, so
 *          that a frame number cannot be passed for an address; the machine
 *          code is that of the bare integer.
 * Names    counts end in _pages or nr_, sizes in _bytes; ranges are [start, end)
 * Failing  three shapes only: a tmm_err with results through out_* (left alone
 *          on failure); a pointer, NULL meaning what the function says; a bool
 *          for a question.  A broken rule of the caller's is an assertion.
 */
#ifndef TUXMM_TYPES_H
#define TUXMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TMM_PAGE_SHIFT 12u
#define TMM_PAGE_SIZE  (UINT64_C(1) << TMM_PAGE_SHIFT)
#define TMM_PAGE_MASK  (~(TMM_PAGE_SIZE - 1))

typedef struct {
	uint64_t v;
} tmm_pfn;

typedef struct {
	uint64_t v;
} tmm_paddr;

typedef struct {
	uint64_t v;
} tmm_vaddr;

/* Frame 0 may be real memory, so "none" is a number no machine has. */
#define TMM_PFN_NONE ((tmm_pfn){UINT64_MAX})

static inline tmm_paddr tmm_pfn_to_paddr(tmm_pfn pfn)
{
	return (tmm_paddr){pfn.v << TMM_PAGE_SHIFT};
}

static inline tmm_pfn tmm_paddr_to_pfn(tmm_paddr paddr)
{
	return (tmm_pfn){paddr.v >> TMM_PAGE_SHIFT};
}

/* Linux's error numbers, negated, whatever host this runs on. */
typedef enum {
	TMM_OK = 0,
	TMM_E_PERM = -1,
	TMM_E_NOENT = -2,
	TMM_E_INTR = -4,
	TMM_E_IO = -5,
	TMM_E_BADF = -9,
	TMM_E_AGAIN = -11,
	TMM_E_NOMEM = -12,
	TMM_E_ACCES = -13,
	TMM_E_FAULT = -14,
	TMM_E_BUSY = -16,
	TMM_E_EXIST = -17,
	TMM_E_NODEV = -19,
	TMM_E_INVAL = -22,
	TMM_E_NOSPC = -28,
	TMM_E_RANGE = -34,
	TMM_E_NOSYS = -38,
	TMM_E_OVERFLOW = -75,
	TMM_E_OPNOTSUPP = -95
} tmm_err;

#define TMM_MUST_CHECK __attribute__((warn_unused_result))

#endif
