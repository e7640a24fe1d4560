/*
 * The language of slab_debug=, and what a cache does with it.
 */
#include <string.h>

#include "panic.h"
#include "slab/debug.h"
#include "slab/rig_test.h"

#define F TMM_SLAB_CONSISTENCY
#define Z TMM_SLAB_RED_ZONE
#define P TMM_SLAB_POISON
#define U TMM_SLAB_STORE_USER
#define T TMM_SLAB_TRACE
#define A TMM_SLAB_FAILSLAB

TEST(options_mean_what_they_mean_to_linux)
{
	static const struct {
		const char *options, *cache;
		uint32_t flags;
	} want[] = {
		{NULL, "any", 0},
		{"", "any", F | Z | P | U},
		{"-", "any", 0},
		{"F", "any", F},
		{"fzput", "any", F | Z | P | U | T},
		{"A", "any", A},
		{"FZPUA,dentry", "dentry", F | Z | P | U | A},
		{"FZ,dentry", "dentry", F | Z},
		{"FZ,dentry", "dentry2", 0},
		{"FZ,dentry2", "dentry", 0},
		{"FZ,inode,dentry", "dentry", F | Z},
		{"FZ,kmalloc-*", "kmalloc-64", F | Z},
		{"FZ,kmalloc-*", "kmallo", 0},
		{"FZ,kmalloc-*", "kmalloc", 0},
		{",dentry", "dentry", F | Z | P | U},
		{",dentry", "other", 0},
		{"P;FZ,dentry", "dentry", F | Z},
		{"P;FZ,dentry", "other", P},
		{"FZ,dentry;P", "dentry", F | Z},
		{"FZ,dentry;P", "other", P},
		{"FZ,dentry;U,dentry", "dentry", F | Z},
		{"FZPU;-,dentry,mm*", "mm_struct", 0},
		{"FZPU;-,dentry,mm*", "inode", F | Z | P | U},
		{"F*", "any", 0}, /* a fault, not read further */
	};

	for (size_t i = 0; i + 1 < ARRAY_SIZE(want); i++) {
		CHECK(!tmm_slab_debug_fault(want[i].options));
		CHECK(debug_choose(want[i].options, want[i].cache).flags == want[i].flags);
	}
	CHECK(tmm_slab_debug_fault("F*"));
	CHECK(tmm_slab_debug_fault("FX"));
	CHECK(tmm_slab_debug_fault("FZ,"));
	CHECK(tmm_slab_debug_fault("FZ,;P"));
	CHECK(tmm_slab_debug_fault(
		"P,0123456789012345678901234567890123456789012345678901234567890123456789012345"
		"67890123456789012345678901234567890123456789012345"));
	CHECK(debug_choose("FO", "any").not_at_a_cost &&
	      !debug_choose("F", "any").not_at_a_cost);
}

/* 4096 bytes need no more than their page; 64 bytes have room for all of it. */
TEST(o_spares_caches_whose_slabs_would_grow)
{
	const struct slab_config config = {.debug = "FZPUO"};

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	CHECK(m.slabs.kmalloc[11].debug == F && m.slabs.kmalloc[3].debug == (F | Z | P | U));
	halt();
}

TEST(a_cache_may_debug_by_its_own_wish)
{
	const struct tmm_cache_spec spec = {
		.name = "careful", .size_bytes = 40, .debug = Z | U};
	struct tmm_cache *cache;

	if (rig_skips())
		return;
	boot_plain(8 * MB);
	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	CHECK(cache->debug == (Z | U) && !m.slabs.kmalloc[3].debug);
	tmm_cache_free(cache, tmm_cache_alloc(cache, TMM_GFP_KERNEL));
	halt();
}

static void free_twice(void *cache)
{
	void *object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);

	tmm_cache_free(cache, object);
	tmm_cache_free(cache, object);
}

static void ignore(unsigned level, const char *line)
{
	(void)level;
	(void)line;
}

TEST(the_first_report_may_stop_the_machine)
{
	const struct slab_config config = {.debug = "F", .options = TMM_SLAB_PANIC};
	struct tmm_cache *cache;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	cache = cache_of_size("stopped", 64);
	tmm_port_on_log(ignore);
	CHECK(test_panics(free_twice, cache));
	tmm_port_on_log(NULL);
}

/* What a reader sees who is too late, and one who is too early. */
TEST(free_and_fresh_objects_read_as_poison)
{
	const struct slab_config config = {.debug = "P"};
	struct tmm_cache *cache;
	unsigned char *object;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	cache = cache_of_size("poisoned", 48);
	object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	for (int round = 0; round < 2; round++) {
		CHECK(all_bytes_are(object, TMM_POISON_FREE, 47));
		CHECK(object[47] == TMM_POISON_END);
		memset(object, 0, 48);
		if (!round)
			tmm_cache_free(cache, object);
	}
	CHECK(tmm_cache_alloc(cache, TMM_GFP_KERNEL | TMM_GFP_ZERO) != NULL);
	abandon_rig();
}

static void construct(void *object)
{
	memset(object, 0x5e, 100);
}

/* A constructor's work is neither poisoned nor linked through. */
TEST(constructed_objects_stay_constructed)
{
	const struct slab_config config = {.debug = "FZPU"};
	const struct tmm_cache_spec spec = {
		.name = "built", .size_bytes = 100, .ctor = construct};
	struct tmm_cache *cache;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	CHECK(tmm_cache_create(&m.slabs, &spec, &cache) == TMM_OK);
	for (int round = 0; round < 3; round++) {
		unsigned char *object[90];

		for (int k = 0; k < 90; k++) {
			object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
			CHECK(object[k] && all_bytes_are(object[k], 0x5e, 100));
		}
		for (int k = 0; k < 90; k++)
			tmm_cache_free(cache, object[k]);
	}
	halt();
}

/* Two caches, and two seeds, scramble one pointer differently; none lies there plain. */
TEST(free_pointers_are_scrambled_by_cache_and_seed)
{
	uint64_t seen[4];

	for (unsigned i = 0; i < 4; i++) {
		const struct slab_config config = {.debug = "F", .seed = i / 2};
		struct tmm_cache *cache;
		char *object;

		boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
		cache = cache_of_size(i % 2 ? "one" : "other", 64);
		object = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
		tmm_cache_free(cache, object);
		seen[i] = *link_of(cache, object) ^ (uintptr_t)m.memblock.ram;
		CHECK(*link_of(cache, object) != (uintptr_t)(object + 64));
		CHECK(link_code(cache, object, *link_of(cache, object)) ==
		      (uintptr_t)(object + 64));
		for (unsigned k = 0; k < i; k++)
			CHECK(seen[k] != seen[i]);
		halt();
	}
}
