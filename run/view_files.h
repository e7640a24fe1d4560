/*
 * view_files.h - where Linux has the files that a machine and its nodes show
 *
 * tuxmm run answers a program that opens them, and tuxmm run --proc writes them:
 * what is listed here is in both.
 */
#ifndef TUXMM_RUN_VIEW_FILES_H
#define TUXMM_RUN_VIEW_FILES_H

#include <stddef.h>

#include <tuxmm/view.h>

#define VIEW_SYSTEM "/sys/devices/system/"
#define VIEW_NODES  VIEW_SYSTEM "node/"
#define VIEW_MEMORY VIEW_SYSTEM "memory/"

/* Of the machine. */
struct view_file {
	const char *path;
	void (*write)(struct tmm_machine *machine, const struct tmm_sink *sink);
};

/* Of each node, below VIEW_NODES/nodeN. */
struct view_node_file {
	const char *name;
	void (*write)(struct tmm_machine *machine, unsigned node, const struct tmm_sink *sink);
};

/* Below VIEW_MEMORY, where there are sections; those of blocks tmm_view_memory() has. */
extern const struct view_file view_memory_files[];
extern const size_t nr_view_memory_files;

/* Can something be written to a file of VIEW_MEMORY? */
bool view_is_writable(const char *path);

extern const struct view_file view_files[];
extern const struct view_node_file view_node_files[];
extern const size_t nr_view_files, nr_view_node_files;

#endif
