/*
 * slab_files.c - "/sys/kernel/slab/kmalloc-64/shrink" into its cache and its file
 *
 * An alias leads to the files of the cache that it is of, as Linux's links do.
 */
#include "slab_files.h"

#include <string.h>

#include <tuxmm/view.h>

bool slab_path_is_below(const char *path)
{
	size_t length = strlen(SLAB_FILES);

	return strncmp(path, SLAB_FILES, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

static bool find_cache(struct tmm_slab_system *slabs, const char *name, size_t *out)
{
	struct tmm_cache_info info;

	for (*out = 0; tmm_cache_info(slabs, *out, &info); ++*out)
		if (strcmp(info.name, name) == 0)
			return true;
	return false;
}

static bool find_alias(struct tmm_slab_system *slabs, const char *name, size_t *out)
{
	struct tmm_cache_alias alias;

	for (size_t i = 0; tmm_cache_alias(slabs, i, &alias); i++)
		if (strcmp(alias.name, name) == 0)
			return find_cache(slabs, alias.of, out);
	return false;
}

bool slab_path_find(struct tmm_machine *machine, const char *path, struct slab_path *out)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	const char *cache = path + strlen(SLAB_FILES) + 1, *file;
	char name[sizeof(((struct tmm_cache_info *)NULL)->name)];

	if (!slab_path_is_below(path) || !cache[-1])
		return false;
	file = strchr(cache, '/');
	if (!file || (size_t)(file - cache) >= sizeof(name))
		return false;
	memcpy(name, cache, (size_t)(file - cache));
	name[file - cache] = '\0';
	if (!find_cache(slabs, name, &out->cache) && !find_alias(slabs, name, &out->cache))
		return false;
	for (out->file = 0; tmm_view_slab_file(out->file); out->file++)
		if (strcmp(tmm_view_slab_file(out->file), file + 1) == 0)
			return true;
	return false;
}
