/*
 * slab_sysfs.c - the files of /sys/kernel/slab/CACHE, and two of its debugfs
 *
 * One row says what one file prints.  A file is one snapshot of its cache, or of each
 * of its nodes where it says what lies on which, as Linux does with CONFIG_NUMA.  Where no CPU
 * owns a slab, as here, what Linux says of such slabs is 0.
 */
#include <tuxmm/slab_debug.h>
#include <tuxmm/view.h>

#include "view/snapshot.h"

struct slab_file {
	const char *name;
	bool is_writable;
	enum tmm_cache_control control; /* what a number that is written sets */
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
NUMBER(cpu_partial, cache->cpu_partial)
NUMBER(failslab, (cache->debug & TMM_SLAB_FAILSLAB) != 0)
NUMBER(hwcache_align, cache->hwcache_align)
NUMBER(min_partial, cache->min_partial)
NUMBER(object_size, cache->object_bytes)
NUMBER(objs_per_slab, cache->objs_per_slab)
NUMBER(order, (uint64_t)__builtin_ctz(cache->pages_per_slab))
NUMBER(poison, (cache->debug & TMM_SLAB_POISON) != 0)
NUMBER(reclaim_account, cache->reclaimable)
NUMBER(red_zone, (cache->debug & TMM_SLAB_RED_ZONE) != 0)
NUMBER(sanity_checks, (cache->debug & TMM_SLAB_CONSISTENCY) != 0)
NUMBER(slab_size, cache->size_bytes)
NUMBER(store_user, (cache->debug & TMM_SLAB_STORE_USER) != 0)
NUMBER(trace, (cache->debug & TMM_SLAB_TRACE) != 0)
NUMBER(usersize, cache->usercopy_bytes)
#undef NUMBER

/* "12 N0=8 N1=4": all of them, and where they are; nodes with none are left out. */
static void print_by_node(struct printer *printer, struct tmm_slab_system *slabs, size_t index,
                          uint64_t (*number)(const struct tmm_cache_node_info *node))
{
	struct tmm_cache_node_info node;
	uint64_t nr[TMM_MAX_NODES], sum = 0;
	unsigned nr_nodes = 0;

	for (; nr_nodes < TMM_MAX_NODES && tmm_cache_node_info(slabs, index, nr_nodes, &node);
	     nr_nodes++) {
		nr[nr_nodes] = number(&node);
		sum += nr[nr_nodes];
	}
	print(printer, "%llu", (unsigned long long)sum);
	for (unsigned n = 0; n < nr_nodes; n++)
		if (nr[n])
			print(printer, " N%u=%llu", n, (unsigned long long)nr[n]);
	print(printer, "\n");
}

#define NODE_NUMBER(name, value)                                                               \
	static uint64_t of_node_##name(const struct tmm_cache_node_info *node)                 \
	{                                                                                      \
		return value;                                                                  \
	}                                                                                      \
	static void print_##name(struct printer *printer, struct tmm_slab_system *slabs,       \
	                         size_t index, const struct tmm_cache_info *cache)             \
	{                                                                                      \
		(void)cache;                                                                   \
		print_by_node(printer, slabs, index, of_node_##name);                          \
	}
NODE_NUMBER(objects, node->active_objs)
NODE_NUMBER(objects_partial, node->partial_objs)
NODE_NUMBER(partial, node->partial_slabs)
NODE_NUMBER(slabs, node->num_slabs)
NODE_NUMBER(total_objects, node->num_objs)
#undef NODE_NUMBER

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

static void print_nothing(struct printer *printer, struct tmm_slab_system *slabs, size_t index,
                          const struct tmm_cache_info *cache)
{
	(void)printer;
	(void)slabs;
	(void)index;
	(void)cache;
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
	{.name = "aliases", .number = of_aliases},
	{.name = "align", .number = of_align},
	{.name = "alloc_calls", .print = print_alloc_calls},
	{.name = "cache_dma", .number = of_cache_dma},
	{.name = "cpu_partial",
         .number = of_cpu_partial,
         .is_writable = true,
         .control = TMM_CACHE_CPU_PARTIAL},
	{.name = "cpu_slabs", .number = of_none},
	{.name = "ctor", .print = print_ctor},
	{.name = "destroy_by_rcu", .number = of_none},
	{.name = "failslab",
         .number = of_failslab,
         .is_writable = true,
         .control = TMM_CACHE_FAILSLAB},
	{.name = "free_calls", .print = print_free_calls},
	{.name = "hwcache_align", .number = of_hwcache_align},
	{.name = "min_partial",
         .number = of_min_partial,
         .is_writable = true,
         .control = TMM_CACHE_MIN_PARTIAL},
	{.name = "object_size", .number = of_object_size},
	{.name = "objects", .print = print_objects},
	{.name = "objects_partial", .print = print_objects_partial},
	{.name = "objs_per_slab", .number = of_objs_per_slab},
	{.name = "order", .number = of_order},
	{.name = "partial", .print = print_partial},
	{.name = "poison", .number = of_poison},
	{.name = "reclaim_account", .number = of_reclaim_account},
	{.name = "red_zone", .number = of_red_zone},
	{.name = "sanity_checks", .number = of_sanity_checks},
	{.name = "shrink",
         .print = print_nothing,
         .is_writable = true,
         .control = TMM_CACHE_SHRINK},
	{.name = "slab_size", .number = of_slab_size},
	{.name = "slabs", .print = print_slabs},
	{.name = "store_user", .number = of_store_user},
	{.name = "total_objects", .print = print_total_objects},
	{.name = "trace", .number = of_trace},
	{.name = "usersize", .number = of_usersize},
	{.name = "validate",
         .print = print_nothing,
         .is_writable = true,
         .control = TMM_CACHE_VALIDATE},
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

bool tmm_view_slab_is_writable(size_t file)
{
	return file < ARRAY_SIZE(files) && files[file].is_writable;
}

/* Digits, and maybe the end of a line; false: something else. */
static bool read_number(const char *text, size_t bytes, uint64_t *out)
{
	uint64_t number = 0;

	if (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9' ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return false;
	}
	*out = number;
	return bytes > 0;
}

tmm_err tmm_view_slab_store(struct tmm_machine *machine, size_t index, size_t file,
                            const char *text, size_t bytes)
{
	uint64_t number;

	if (!tmm_view_slab_is_writable(file))
		return TMM_E_IO;
	if (!read_number(text, bytes, &number))
		return TMM_E_INVAL;
	return tmm_cache_control(tmm_machine_slabs(machine), index, files[file].control,
	                         number);
}
