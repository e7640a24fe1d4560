/*
 * page_slow.h - a request that takes more than a look at a stack
 */
#ifndef TUXMM_PAGE_PAGE_SLOW_H
#define TUXMM_PAGE_PAGE_SLOW_H

#include "page/stack.h"
#include "page/zonelist.h"

/* What a request may have. */
struct request {
	const void *site; /* who asked, where that is recorded */
	tmm_gfp gfp;
	unsigned order;
	struct zone_choice choice;
	struct source source;
	bool interleaved; /* count where it comes from choice.node */
};

/* Which blocks may serve. */
struct source source_of(const struct tmm_pages *pages, tmm_gfp gfp, unsigned order);

/* Try everything that gfp allows; *out: a stack entry. */
bool pages_alloc_slow(struct tmm_pages *pages, const struct request *request, uint32_t *out);

/* The same of what is free above the low watermarks: nothing is started for it. */
bool pages_alloc_easy(struct tmm_pages *pages, const struct request *request, uint32_t *out);

/* Lend what it is asked for; request->source is filled in.  TMM_E_NOMEM */
TMM_MUST_CHECK tmm_err pages_alloc_from(struct tmm_pages *pages, struct request *request,
                                        tmm_pfn *out_pfn);

/* The request as Linux's log would have it, and what there is of memory; page_report.c. */
void report_failure(struct tmm_pages *pages, const struct request *request);

#endif
