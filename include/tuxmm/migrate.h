/*
 * migrate.h - what frames are lent for, and who can move them
 *
 * RAM is kept in blocks of 2 MiB, each of one type.  Requests of a type are served
 * from blocks of that type while there are any, so that pages which never move do
 * not end up among those that can, and long runs can be made again by moving.
 *
 * Units    blocks are TMM_BLOCK_PAGES frames
 * Linux    enum migratetype, /proc/pagetypeinfo
 */
#ifndef TUXMM_MIGRATE_H
#define TUXMM_MIGRATE_H

#include <tuxmm/page_alloc.h>

#define TMM_BLOCK_ORDER 9u
#define TMM_BLOCK_PAGES (1u << TMM_BLOCK_ORDER)

/* The first three are what a request can be, by TMM_GFP_MOVABLE and _RECLAIMABLE. */
enum tmm_migrate_type {
	TMM_MIGRATE_UNMOVABLE,
	TMM_MIGRATE_MOVABLE,
	TMM_MIGRATE_RECLAIMABLE,
	TMM_MIGRATE_HIGHATOMIC, /* kept for runs that are wanted where nobody can wait */
	TMM_MIGRATE_CMA,        /* of a contiguous area: lent to movable pages only */
	TMM_MIGRATE_ISOLATE,    /* being emptied: lent to nobody */
	TMM_NR_MIGRATE_TYPES
};

#endif
