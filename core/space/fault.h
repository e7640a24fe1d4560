/*
 * fault.h - making pages appear, for callers that hold mm->lock
 */
#ifndef TUXMM_SPACE_FAULT_H
#define TUXMM_SPACE_FAULT_H

#include "space/mm.h"

/* tmm_mm_fault() with mm->lock held; it is never dropped. */
enum tmm_fault mm_fault(struct tmm_mm *mm, uint64_t addr, unsigned access)
	TMM_REQUIRES(mm->lock);

/* One reference less to an anonymous page that no leaf of the caller's points to. */
void anon_page_put(struct tmm_mm *mm, tmm_pfn pfn) TMM_REQUIRES(mm->lock);

#endif
