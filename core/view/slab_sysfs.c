/*
 * slab_sysfs.c - the files of /sys/kernel/slab/CACHE, and two of its debugfs
 *
 * One row says what one file prints.  A file is one snapshot of its cache.  Where no CPU
 * owns a slab, as here, what Linux says of such slabs is 0.
 */
#include <tuxmm/slab_debug.h>
#include <tuxmm/view.h>

#include "view/snapshot.h"

struct slab_file {
	const char *name;
	uint64_t (*number)(const struct tmm_cache_info *cache); /* NULL: print() */
	void (*print)(struct printer *printer, struct tmm_slab_system *slabs, size_t index,
	              const struct tmm_cache_info *cache);
};

#define NUMBER(name, value)                                                                    \
	static uint64_t of_##name(const struct tmm_cache_info *cache)                          \
	{                                                                                      \
		return value;                                                                  \
	}
NUMBER(aliases, cache->aliases)
NUMBER(align, cache->align_bytes)
NUMBER(cache_dma, cache->dma)
NUMBER(hwcache_align, cache->hwcache_align)
NUMBER(object_size, cache->object_bytes)
NUMBER(objects, cache->active_objs)
NUMBER(objects_partial, cache->partial_objs)
NUMBER(objs_per_slab, cache->objs_per_slab)
NUMBER(order, (uint64_t)__builtin_ctz(cache->pages_per_slab))
NUMBER(partial, cache->partial_slabs)
NUMBER(poison, (cache->debug & TMM_SLAB_POISON) != 0)
NUMBER(reclaim_account, cache->reclaimable)
NUMBER(red_zone, (cache->debug & TMM_SLAB_RED_ZONE) != 0)
NUMBER(sanity_checks, (cache->debug & TMM_SLAB_CONSISTENCY) != 0)
NUMBER(slab_size, cache->size_bytes)
NUMBER(slabs, cache->num_slabs)
NUMBER(store_user, (cache->debug & TMM_SLAB_STORE_USER) != 0)
NUMBER(total_objects, cache->num_objs)
NUMBER(trace, (cache->debug & TMM_SLAB_TRACE) != 0)
NUMBER(usersize, cache->usercopy_bytes)
#undef NUMBER

static uint64_t of_none(const struct tmm_cache_info *cache)
{
	(void)cache;
	return 0;
}

static void print_ctor(struct printer *printer, struct tmm_slab_system *slabs, size_t index,
                       const struct tmm_cache_info *cache)
{
	(void)slabs;
	(void)index;
	if (cache->ctor)
		print(printer, "0x%llx\n", (unsigned long long)(uintptr_t)cache->ctor);
}

/* "count 0xsite age=least/mean/most pid=.. cpus=..", the lowest site first. */
static void print_sites(struct printer *printer, struct tmm_slab_system *slabs, size_t index,
                        bool freed)
{
	struct tmm_slab_site site = {.site = NULL};
	bool any = false;

	while (tmm_slab_site_next(slabs, index, freed, &site)) {
		print(printer, "%7llu 0x%llx age=%llu/%llu/%llu",
		      (unsigned long long)site.count, (unsigned long long)(uintptr_t)site.site,
		      (unsigned long long)site.least_age,
		      (unsigned long long)(site.ages / site.count),
		      (unsigned long long)site.most_age);
		if (site.first_task == site.last_task)
			print(printer, " pid=%u", site.first_task);
		else
			print(printer, " pid=%u-%u", site.first_task, site.last_task);
		if (site.first_cpu == site.last_cpu)
			print(printer, " cpus=%u\n", site.first_cpu);
		else
			print(printer, " cpus=%u-%u\n", site.first_cpu, site.last_cpu);
		any = true;
	}
	if (!any)
		print(printer, "No data\n");
}

static void print_alloc_calls(struct printer *printer, struct tmm_slab_system *slabs,
                              size_t index, const struct tmm_cache_info *cache)
{
	(void)cache;
	print_sites(printer, slabs, index, false);
}

static void print_free_calls(struct printer *printer, struct tmm_slab_system *slabs,
                             size_t index, const struct tmm_cache_info *cache)
{
	(void)cache;
	print_sites(printer, slabs, index, true);
}

static const struct slab_file files[] = {
	{"aliases", of_aliases, NULL},
	{"align", of_align, NULL},
	{"alloc_calls", NULL, print_alloc_calls},
	{"cache_dma", of_cache_dma, NULL},
	{"cpu_slabs", of_none, NULL},
	{"ctor", NULL, print_ctor},
	{"destroy_by_rcu", of_none, NULL},
	{"free_calls", NULL, print_free_calls},
	{"hwcache_align", of_hwcache_align, NULL},
	{"object_size", of_object_size, NULL},
	{"objects", of_objects, NULL},
	{"objects_partial", of_objects_partial, NULL},
	{"objs_per_slab", of_objs_per_slab, NULL},
	{"order", of_order, NULL},
	{"partial", of_partial, NULL},
	{"poison", of_poison, NULL},
	{"reclaim_account", of_reclaim_account, NULL},
	{"red_zone", of_red_zone, NULL},
	{"sanity_checks", of_sanity_checks, NULL},
	{"slab_size", of_slab_size, NULL},
	{"slabs", of_slabs, NULL},
	{"store_user", of_store_user, NULL},
	{"total_objects", of_total_objects, NULL},
	{"trace", of_trace, NULL},
	{"usersize", of_usersize, NULL},
};

const char *tmm_view_slab_file(size_t file)
{
	return file < ARRAY_SIZE(files) ? files[file].name : NULL;
}

bool tmm_view_slab(struct tmm_machine *machine, size_t index, size_t file,
                   const struct tmm_sink *sink)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(machine);
	struct tmm_cache_info cache;
	struct printer printer;

	if (file >= ARRAY_SIZE(files) || !tmm_cache_info(slabs, index, &cache))
		return false;
	print_begin(&printer, sink);
	if (files[file].number)
		print(&printer, "%llu\n", (unsigned long long)files[file].number(&cache));
	else
		files[file].print(&printer, slabs, index, &cache);
	print_end(&printer);
	return true;
}
