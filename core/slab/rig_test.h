/*
 * rig_test.h - a machine that ends at the slab storey, for the tests of core/slab
 */
#ifndef TUXMM_SLAB_RIG_TEST_H
#define TUXMM_SLAB_RIG_TEST_H

#include <stdlib.h>

#include <tuxmm/slab_debug.h>

#include "panic.h"
#include "slab/slab_system.h"
#include "test.h"

#define MB UINT64_C(0x100000)

/* One for each file of tests. */
static struct {
	struct cpu_set cpus;
	struct tmm_memblock memblock;
	struct tmm_pages pages;
	struct tmm_slab_system slabs;
	uint64_t free_pages; /* before the first slab */
} m;

/* Nodes have equal shares of RAM, and CPUs take turns to be of them. */
static inline void boot_spread(void *ram, uint64_t ram_bytes, uint32_t nr_cpus,
                               uint32_t nr_nodes, const struct slab_config *config)
{
	const struct pages_config pages = {.ram = ram, .cpus = &m.cpus, .nr_nodes = nr_nodes};
	uint64_t share = ram_bytes / nr_nodes;

	cpu_set_init(&m.cpus, nr_cpus);
	for (uint32_t i = 0; i < nr_cpus; i++)
		m.cpus.cpu[i].node = i % nr_nodes;
	tmm_memblock_init(&m.memblock, ram);
	for (uint32_t n = 0; n < nr_nodes; n++)
		CHECK(tmm_memblock_add(&m.memblock, (tmm_paddr){n * share}, share, n) ==
		      TMM_OK);
	CHECK(pages_init(&m.pages, &m.memblock, &pages) == TMM_OK);
	m.free_pages = tmm_pages_free_count(&m.pages);
	slab_init(&m.slabs, &m.pages, config);
}

static inline void boot_with(void *ram, uint64_t ram_bytes, uint32_t nr_cpus,
                             const struct slab_config *config)
{
	boot_spread(ram, ram_bytes, nr_cpus, 1, config);
}

/* With TUXMM_SLOB=1 every test that is not about slabs runs without them. */
static inline enum tmm_slab_allocator allocator_of_run(void)
{
	return getenv("TUXMM_SLOB") ? TMM_SLOB : TMM_SLABS;
}

/* The number of a cache, for tmm_cache_info() and its like; one past the last: there is none.
 */
static inline size_t index_of(const char *name)
{
	struct tmm_cache_info info;
	size_t i = 0;

	while (tmm_cache_info(&m.slabs, i, &info) &&
	       memcmp(info.name, name, __builtin_strlen(name) + 1) != 0)
		i++;
	return i;
}

/* For tests of what is in slabs and magazines, and what slabinfo says. */
static inline bool rig_skips(void)
{
	if (allocator_of_run() == TMM_SLOB)
		test_note("skipped: there are no slabs");
	return allocator_of_run() == TMM_SLOB;
}

/* With TUXMM_SLAB_DEBUG=FZPU every test runs on caches that debug. */
static inline struct slab_config config_of_run(void)
{
	return (struct slab_config){.debug = getenv("TUXMM_SLAB_DEBUG"),
	                            .options = TMM_SLAB_NO_MERGE,
	                            .allocator = allocator_of_run()};
}

static inline void boot_on(void *ram, uint64_t ram_bytes, uint32_t nr_cpus)
{
	const struct slab_config config = config_of_run();

	boot_with(ram, ram_bytes, nr_cpus, &config);
}

static inline void boot(uint64_t ram_bytes)
{
	boot_on(test_ram(ram_bytes), ram_bytes, 1);
}

/* For tests of what caches that debug do not have: magazines, panics. */
static inline void boot_plain(uint64_t ram_bytes)
{
	const struct slab_config config = {.options = TMM_SLAB_NO_MERGE,
	                                   .allocator = allocator_of_run()};

	boot_with(test_ram(ram_bytes), ram_bytes, 1, &config);
}

static inline void halt(void)
{
	tmm_slab_check(&m.slabs);
	slab_fini(&m.slabs);
	tmm_pages_check(&m.pages); /* no free frame is marked as a slab's */
	CHECK(tmm_pages_free_count(&m.pages) == m.free_pages);
	pages_fini(&m.pages);
	tmm_cpu_exit(cpu_self(&m.cpus));
}

/* The end of a test that leaks: its RAM goes as it is. */
static inline void abandon_rig(void)
{
	tmm_cpu_exit(cpu_self(&m.cpus));
}

/* Does it panic?  Locks that the panic left are forgotten. */
static inline bool panics(void (*body)(void *arg), void *arg)
{
	struct tmm_cpu *cpu = cpu_self(&m.cpus);
	bool panicked = test_panics(body, arg) != NULL;

	tmm_port_forget_locks();
	tmm_port_cpu_set(cpu); /* we still are on it */
	return panicked;
}

static inline struct tmm_cache *cache_of_size(const char *name, size_t size_bytes)
{
	const struct tmm_cache_spec spec = {.name = name, .size_bytes = size_bytes};
	struct tmm_cache *cache = NULL;

	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	return cache;
}

static inline struct tmm_cache_info info_of(const char *name)
{
	struct tmm_cache_info info = {.num_objs = 0};

	for (size_t i = 0; tmm_cache_info(&m.slabs, i, &info); i++) {
		if (memcmp(info.name, name, __builtin_strlen(name) + 1) == 0)
			return info;
	}
	test_fail(__FILE__, __LINE__, name);
}

static inline bool all_bytes_are(const unsigned char *object, unsigned char byte, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (object[i] != byte)
			return false;
	}
	return true;
}

/* What a test at random has borrowed, or room for it. */
struct slot {
	struct tmm_cache *cache; /* NULL: kmalloc */
	unsigned char *object;   /* NULL: nothing borrowed */
	size_t bytes;
	unsigned char pattern;
};

static inline void slot_fill(struct slot *s, unsigned char pattern)
{
	s->pattern = pattern;
	memset(s->object, pattern, s->bytes);
}

/* Nobody else wrote into it. */
static inline void slot_return(struct slot *s)
{
	CHECK(all_bytes_are(s->object, s->pattern, s->bytes));
	if (s->cache)
		tmm_cache_free(s->cache, s->object);
	else
		tmm_kfree(&m.slabs, s->object);
	s->object = NULL;
}

#endif
