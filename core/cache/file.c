/*
 * file.c - open files: a mapping, a name and what may be done with it
 */
#include "cache/cache_impl.h"

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

tmm_err tmm_file_create(struct tmm_cache_system *cache, const struct tmm_file_spec *spec,
                        struct tmm_file **out_file)
{
	size_t path_bytes = length(spec->path) + 1;
	struct tmm_file *file = tmm_cache_alloc(cache->file_cache, TMM_GFP_KERNEL);
	char *path = tmm_kmalloc(cache->slabs, path_bytes, TMM_GFP_KERNEL);

	if (!file || !path) {
		tmm_cache_free(cache->file_cache, file);
		tmm_kfree(cache->slabs, path);
		return TMM_E_NOMEM;
	}
	memcpy(path, spec->path, path_bytes);
	*file = (struct tmm_file){.cache = cache, .refs = 1, .spec = *spec};
	file->spec.path = path;
	tmm_mapping_get(spec->mapping);
	*out_file = file;
	return TMM_OK;
}

struct tmm_file *tmm_file_get(struct tmm_file *file)
{
	lock_take(&file->cache->lock);
	TMM_ASSERT(file->refs > 0);
	file->refs++;
	lock_drop(&file->cache->lock);
	return file;
}

/* kfree() of a path: its bytes are ours although users see them const. */
static void free_path(struct tmm_file *file)
{
	union {
		const char *seen;
		char *ours;
	} path = {.seen = file->spec.path};

	tmm_kfree(file->cache->slabs, path.ours);
}

void tmm_file_put(struct tmm_file *file)
{
	struct tmm_cache_system *cache = file->cache;
	bool last;

	lock_take(&cache->lock);
	TMM_ASSERT(file->refs > 0);
	last = --file->refs == 0;
	lock_drop(&cache->lock);
	if (!last)
		return;
	tmm_mapping_put(file->spec.mapping);
	free_path(file);
	tmm_cache_free(cache->file_cache, file);
}
