/*
 * inject.h - make allocations and I/O fail, one after the other
 *
 *	for (n = 1; ; n++) {
 *		tmm_inject_nth(n, false);
 *		run the thing
 *		if (!tmm_inject_stop())
 *			break;          n was beyond the last failure point
 *	}
 *
 * Points are counted over the whole process; one thread at a time.
 */
#ifndef TUXMM_HOSTED_INJECT_H
#define TUXMM_HOSTED_INJECT_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the n-th point (1: the next) fails; forever: all later ones too. */
void tmm_inject_nth(uint64_t n, bool forever);

/* Stop counting and failing; did anything fail? */
bool tmm_inject_stop(void);

/* Points passed since tmm_inject_nth(), the failed ones among them. */
uint64_t tmm_inject_count(void);

#endif
