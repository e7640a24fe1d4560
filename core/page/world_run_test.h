/*
 * world_run_test.h - a machine, what the model says of it, and what is done to both
 */
#ifndef TUXMM_PAGE_WORLD_RUN_TEST_H
#define TUXMM_PAGE_WORLD_RUN_TEST_H

#include "page/rig_test.h"
#include "page/world_test.h"

#define SECTION       (8 * MIB)
#define SECTION_PAGES (SECTION >> TMM_PAGE_SHIFT)
#define ARRAY_PAGES   (SECTION_PAGES * 32 / TMM_PAGE_SIZE)
#define PAGES(bytes)  ((bytes) >> TMM_PAGE_SHIFT)

struct world_run {
	struct rig rig;
	uint64_t seed;
	bool zone_may_be[TMM_MAX_NODES][TMM_NR_ZONES]; /* it has frames, or may be given some */
	bool busy_once;    /* the next page that is to move says so */
	bool only_movable; /* requests are for single movable pages */
	struct {
		unsigned lent, refused, foretold, moved, cma_lent, cma_refused;
		unsigned added, removed, not_added, not_removed;
	} nr;
};

extern struct world world;
extern struct world_run run;
extern const struct tmm_movable world_movable;

static inline unsigned world_below(uint64_t n)
{
	return (unsigned)((test_random(&run.seed) >> 16) % n);
}

void world_drain_everywhere(void);

/* What a frame holds; mark what was lent, and check the mark. */
uint64_t *world_frame(uint64_t pfn);
void world_stamp(unsigned number);
void world_check_stamp(const struct loan *loan);

/* Free a loan, however it was had. */
void world_give_back(unsigned number);

/* One random operation of a kind each. */
void world_request(void);
void world_foretold_request(void);
void world_bulk(void);
void world_free_bulk(void);
void world_free_one(void);
void world_change_mark(void);
void world_area_lend(void);
void world_plug(void);

#endif
