/*
 * slab_files.h - files of /sys/kernel/slab, by path
 */
#ifndef TUXMM_RUN_SLAB_FILES_H
#define TUXMM_RUN_SLAB_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include <tuxmm/machine.h>

#define SLAB_FILES "/sys/kernel/slab"

/* A file of a cache's: the index of each, as tmm_view_slab() takes them. */
struct slab_path {
	size_t cache, file;
};

/* Does the path begin there?  Then it is the machine's, whether there is such a file or not. */
bool slab_path_is_below(const char *path);

/* False: there is no such cache, alias or file. */
bool slab_path_find(struct tmm_machine *machine, const char *path, struct slab_path *out);

#endif
