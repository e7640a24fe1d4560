/*
 * files.h - mapped files: where the machine's page cache gets its bytes
 *
 * Every file that is mapped has one node, found by device and inode whichever
 * descriptor or path it came from, so that all mappings of it share their pages.
 * A node reads and writes through a host descriptor of its own and goes with the
 * last mapping.  What the program changes by write() or truncate() is told here.
 *
 * Owning   a node is owned by its tmm_mapping, which releases it
 * Errors   negated errno
 */
#ifndef TUXMM_RUN_FILES_H
#define TUXMM_RUN_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include <tuxmm/file.h>
#include <tuxmm/space.h>

#include "fd_table.h"

#define FILES_BUCKETS 64u

struct file_node; /* fields: files.c */

struct files {
	struct tmm_cache_system *cache;
	struct tmm_mm *mm; /* whose areas a cut-off file is unmapped from */
	struct file_node *bucket[FILES_BUCKETS];
};

void files_init(struct files *files, struct tmm_cache_system *cache, struct tmm_mm *mm);

/*
 * The memory side of an opening, made on first use and kept in open->file; a
 * reference of the caller's own is not taken.  -ENOMEM, -ENODEV (nothing that
 * can be mapped), -ENFILE.
 */
int files_map(struct files *files, struct open_file *open, struct tmm_file **out);

/* A shared mapping may now dirty the file's pages: reads must see that. */
void files_shared(struct files *files, const struct open_file *open);

/* Before bytes of the file are read or written by a call. */
void files_before(struct files *files, const struct open_file *open);

/* After [start, end) was written by a call; end INT64_MAX: to the end. */
void files_changed(struct files *files, const struct open_file *open, int64_t start,
                   int64_t end);

/* After the file's length was set to `size`: what is behind is unmapped. */
void files_cut(struct files *files, const struct open_file *open, int64_t size);

#endif
