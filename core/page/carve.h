/*
 * carve.h - memory in pieces that lie in one zone
 */
#ifndef TUXMM_PAGE_CARVE_H
#define TUXMM_PAGE_CARVE_H

#include "page/page_system.h"

/* Frames [start, end) of one node and kind. */
struct piece {
	uint64_t start, end;
	uint32_t node;
	enum tmm_zone_id kind;
};

/* All zeroes: before the first. */
struct carve_cursor {
	uint32_t region;
	uint64_t pfn;
};

/* The next piece upwards; false at the end. */
bool carve_next(const struct tmm_pages *pages, struct carve_cursor *cursor, struct piece *out);

/* The zone of a frame by its address alone. */
enum tmm_zone_id zone_by_pfn(const struct tmm_pages *pages, uint64_t pfn);

/* Whole frames of a region; false when there are none. */
bool region_to_frames(const struct tmm_region *region, uint64_t *start, uint64_t *end);

/*
 * Find the nodes' spans, where MOVABLE begins, and how many zones there are.
 *   TMM_E_INVAL  two nodes share a block, a region is of a node beyond nr_nodes, or
 *                there are more than MAX_ZONES zones
 */
TMM_MUST_CHECK tmm_err carve_nodes(struct tmm_pages *pages, const struct pages_config *config);

/* Frames from here on are in no zone of the kind, whatever memory is added. */
uint64_t carve_limit(const struct tmm_pages *pages, enum tmm_zone_id kind);

/* Fill in pages->zone[]: numbers, spans and counts of RAM. */
void carve_zones(struct tmm_pages *pages);

#endif
