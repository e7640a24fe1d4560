/*
 * rig_test.h - a machine of memory alone, for the tests of core/page
 */
#ifndef TUXMM_PAGE_RIG_TEST_H
#define TUXMM_PAGE_RIG_TEST_H

#include <stdlib.h>

#include <tuxmm/page_debug.h>

#include "page/page_system.h"
#include "test.h"

/* 1: built with the address sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* Watermarks of 0: every frame can be had. */
#define NO_RESERVE 1

struct rig {
	struct tmm_memblock memblock;
	struct cpu_set cpus;
	struct tmm_pages pages;
	void *ram;
};

/* No memory yet; addresses below `end` can be touched. */
static inline void rig_begin(struct rig *rig, uint64_t end, uint32_t nr_cpus)
{
	*rig = (struct rig){.ram = test_ram(end)};
	tmm_memblock_init(&rig->memblock, rig->ram);
	cpu_set_init(&rig->cpus, nr_cpus);
}

static inline void rig_add(struct rig *rig, uint64_t start, uint64_t bytes)
{
	CHECK(tmm_memblock_add(&rig->memblock, (tmm_paddr){start}, bytes, 0) == TMM_OK);
}

static inline void rig_reserve(struct rig *rig, uint64_t start, uint64_t bytes)
{
	CHECK(tmm_memblock_reserve(&rig->memblock, (tmm_paddr){start}, bytes) == TMM_OK);
}

/* TUXMM_PAGE_DEBUG=1 in the environment: owners and poison in every machine... */
static inline uint32_t rig_debug(void)
{
	return getenv("TUXMM_PAGE_DEBUG") ? TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON : 0;
}

/* ... which cost time, as sanitizers do: a check reads all that is free. */
static inline bool rig_is_slow(void)
{
	return SANITIZED || rig_debug();
}

static inline unsigned rig_operations(unsigned nr)
{
	return rig_is_slow() ? nr / 10 : nr;
}

/* For tests of what machines that debug have not: the fast path, and late reports. */
static inline bool rig_skips(void)
{
	if (rig_debug())
		test_note("skipped: the machine debugs");
	return rig_debug() != 0;
}

static inline struct tmm_pages *rig_boot_as(struct rig *rig, struct pages_config config)
{
	config.ram = rig->ram;
	config.cpus = &rig->cpus;
	config.debug |= rig_debug();
	if (tmm_memblock_memory_bytes(&rig->memblock) > 512 * MIB)
		config.debug &= ~TMM_DEBUG_PAGE_POISON;
	CHECK(pages_init(&rig->pages, &rig->memblock, &config) == TMM_OK);
	return &rig->pages;
}

static inline struct tmm_pages *rig_boot(struct rig *rig, uint64_t min_free_kbytes)
{
	return rig_boot_as(rig, (struct pages_config){.min_free_kbytes = min_free_kbytes});
}

/* RAM from 0 to `bytes`, one CPU, no watermarks. */
static inline struct tmm_pages *rig_simple(struct rig *rig, uint64_t bytes)
{
	rig_begin(rig, bytes, 1);
	rig_add(rig, 0, bytes);
	return rig_boot(rig, NO_RESERVE);
}

/*
 * Exactly nr_frames free frames from frame `first` on, which lies below 2 MiB;
 * the allocator's arrays are in 2 MiB..4 MiB, and nothing else is free.
 */
static inline struct tmm_pages *rig_exact(struct rig *rig, uint64_t first, uint64_t nr_frames)
{
	uint64_t arrays;

	rig_begin(rig, 4 * MIB, 1);
	rig_add(rig, 0, 4 * MIB);
	rig_boot(rig, NO_RESERVE);
	arrays = tmm_memblock_reserved_bytes(&rig->memblock);
	rig_begin(rig, 4 * MIB, 1);
	rig_add(rig, first << TMM_PAGE_SHIFT, nr_frames << TMM_PAGE_SHIFT);
	rig_add(rig, 4 * MIB - arrays, arrays);
	return rig_boot(rig, NO_RESERVE);
}

#endif
