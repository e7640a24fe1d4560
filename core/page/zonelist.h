/*
 * zonelist.h - which zones a request may use, in which order
 */
#ifndef TUXMM_PAGE_ZONELIST_H
#define TUXMM_PAGE_ZONELIST_H

#include "page/page_system.h"

#define LOCAL_DISTANCE  10u
#define REMOTE_DISTANCE 20u

#define NODES_ALL       UINT32_MAX

struct zone_choice {
	uint32_t node;  /* whose zonelist */
	uint32_t nodes; /* bit i: node i may serve */
	enum tmm_zone_id highest;
};

/* Fill in distances, zonelists and each CPU's first choices.  Zones have their frames. */
void zonelists_init(struct tmm_pages *pages, const uint8_t (*distance)[TMM_MAX_NODES]);

/* A CPU's first choices, by the zones that have frames now; on that CPU, or stopped. */
void zonelist_choose(const struct tmm_pages *pages, struct page_cpu *cpu);

/* The highest kind of zone that a request may use. */
enum tmm_zone_id highest_zone(const struct tmm_pages *pages, tmm_gfp gfp);

/* Zones with frames in the order to try them; start with *cursor = 0.  NULL: no more. */
struct zone *zonelist_next(const struct tmm_pages *pages, const struct zone_choice *choice,
                           unsigned *cursor);

#endif
