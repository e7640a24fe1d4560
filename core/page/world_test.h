/*
 * world_test.h - what a machine's memory is, the naive way
 *
 * A byte for each frame says where it is: nowhere, kept by the boot, free, or lent.
 * Everything else is found by looking at all of them.  Written from the public
 * headers; shares no helper with the core.
 */
#ifndef TUXMM_PAGE_WORLD_TEST_H
#define TUXMM_PAGE_WORLD_TEST_H

#include <tuxmm/cma.h>
#include <tuxmm/migrate.h>

#include "test.h"

#define WORLD_FRAMES ((UINT64_C(4) << 18) + (UINT64_C(160) << 8)) /* 4 GiB + 160 MiB */
#define WORLD_CHUNK  UINT64_C(512) /* frames that are looked at together */
#define NO_LOAN      UINT32_MAX
#define MAX_LOANS    32768u

enum place { NOWHERE_RAM, KEPT, FREE, LENT };

struct loan {
	uint64_t pfn, nr; /* frames */
	uint64_t stamp;   /* what its frames have in their first word */
	unsigned order;
	bool exact;   /* by tmm_pages_alloc_exact(): in pieces, if one likes */
	bool movable; /* asked for as movable */
	bool marked;  /* and said to be */
	bool pinned;
	struct tmm_cma *area; /* from this one, or NULL */
};

struct world_node {
	uint64_t movable_start; /* frames from here on are MOVABLE; 0: none */
};

struct world {
	/* Set by the shape. */
	unsigned nr_nodes, max_order;
	uint64_t lowmem_end; /* frames from here on are HIGHMEM; 0: there is none */
	struct world_node node[TMM_MAX_NODES];

	uint8_t place[WORLD_FRAMES];
	uint8_t node_of[WORLD_FRAMES];
	bool in_area[WORLD_FRAMES];
	bool chunk_has_ram[WORLD_FRAMES / WORLD_CHUNK];
	uint32_t loan_of[WORLD_FRAMES];
	struct loan loan[MAX_LOANS];
	unsigned nr_loans;
};

/* A request, as far as it decides from where it may be served. */
struct wish {
	tmm_gfp gfp;
	unsigned order;
	uint64_t nr;    /* frames that stay lent */
	uint32_t nodes; /* bit i: may be of node i */
};

void world_begin(struct world *world);

/* What the machine has: RAM of a node that boot keeps; RAM that it lends. */
void world_add(struct world *world, uint64_t pfn, uint64_t nr, unsigned node, enum place place);
void world_remove(struct world *world, uint64_t pfn, uint64_t nr);
void world_set_area(struct world *world, uint64_t pfn, uint64_t nr);

enum tmm_zone_id world_kind(const struct world *world, uint64_t pfn);
enum tmm_zone_id world_highest(const struct world *world, tmm_gfp gfp);
bool world_is_movable(tmm_gfp gfp);

/* Checks that it may be; returns its number. */
unsigned world_lend(struct world *world, const struct wish *wish, uint64_t pfn);
unsigned world_lend_area(struct world *world, struct tmm_cma *area, uint64_t pfn, uint64_t nr);

/* No longer lent; the last loan gets its number. */
struct loan world_take_back(struct world *world, unsigned number);
void world_move(struct world *world, uint64_t from, uint64_t to);

struct world_zone {
	uint64_t present, managed, free, free_of_areas;
	uint64_t free_area[TMM_NR_ORDERS];
};
/* All zones, by one look at every frame. */
struct world_zones {
	struct world_zone of[TMM_MAX_NODES][TMM_NR_ZONES];
};
void world_zones(const struct world *world, struct world_zones *out);

/* Is there such a run free that the wish may have, in this zone? */
bool world_has_run(const struct world *world, const struct wish *wish, unsigned node,
                   enum tmm_zone_id kind);

uint64_t world_count(const struct world *world, enum place place);

/* The next frame with RAM near it at or above pfn; WORLD_FRAMES: none. */
uint64_t world_next(const struct world *world, uint64_t pfn);

#endif
