/*
 * fault_rig_test.h - an address space, a file, and a processor that touches them
 *
 * The processor keeps every translation that the walk shows it until it is told
 * to forget, and uses it without looking again: a flush that is missing shows up
 * as a wrong byte.
 */
#ifndef TUXMM_SPACE_FAULT_RIG_TEST_H
#define TUXMM_SPACE_FAULT_RIG_TEST_H

#include "cache/rig_test.h"
#include "space/mm.h"

#define TASK_SIZE UINT64_C(0x7ffffffff000)
#define PAGE      UINT64_C(4096)
#define TLB_SLOTS 65536u

struct translation {
	uint64_t va;
	uint64_t frame;
	unsigned rights; /* 0: none */
};

struct fault_rig {
	struct cache_rig cache;
	struct tmm_space_system spaces;
	struct tmm_mm *mm;
	struct tmm_mapping *mapping;
	struct tmm_file *file;
	struct store store;
	struct translation tlb[TLB_SLOTS];
	uint64_t nr_traps;
};

static inline void fault_rig_flush(void *mmu, tmm_vaddr start, uint64_t nr_pages)
{
	struct fault_rig *rig = mmu;

	for (unsigned i = 0; i < TLB_SLOTS; i++) {
		if (rig->tlb[i].va - start.v < nr_pages * PAGE)
			rig->tlb[i].rights = 0;
	}
}

static inline void fault_rig_table_free(void *mmu, tmm_pfn table, unsigned level)
{
	(void)mmu;
	(void)table;
	(void)level;
}

static const struct tmm_mmu_ops fault_rig_mmu = {.flush = fault_rig_flush,
                                                 .table_free = fault_rig_table_free};

static inline uint64_t fault_rig_reclaim(void *arg, tmm_gfp gfp, unsigned order)
{
	(void)gfp;
	(void)order;
	return tmm_cache_shrink_pages(arg, 32);
}

static inline void fault_rig_open_file(struct fault_rig *rig, uint64_t file_bytes)
{
	struct tmm_file_spec spec = {.path = "/file", .readable = true, .writable = true};

	store_begin(&rig->store, file_bytes);
	CHECK(tmm_mapping_create(&rig->cache.cache, &store_ops, &rig->store, &rig->mapping) ==
	      TMM_OK);
	spec.mapping = rig->mapping;
	CHECK(tmm_file_create(&rig->cache.cache, &spec, &rig->file) == TMM_OK);
	tmm_mapping_put(rig->mapping);
}

static inline void fault_rig_begin(struct fault_rig *rig, uint64_t ram_bytes,
                                   uint64_t file_bytes, const struct space_config *config)
{
	static const struct tmm_reclaim_ops reclaim = {.reclaim = fault_rig_reclaim};
	const struct tmm_mm_layout layout = {
		.task_size = TASK_SIZE, .mmap_min = 65536, .mmap_base = TASK_SIZE - 64 * MIB};
	const struct tmm_mm_limits limits = {.as_bytes = TMM_RLIM_INFINITY,
	                                     .data_bytes = TMM_RLIM_INFINITY,
	                                     .stack_bytes = 8 * MIB,
	                                     .memlock_bytes = TMM_RLIM_INFINITY};
	struct tmm_pages *pages = &rig->cache.page.pages;

	memset(rig->tlb, 0, sizeof(rig->tlb));
	rig->nr_traps = 0;
	cache_rig_begin(&rig->cache, ram_bytes);
	tmm_pages_set_reclaim(pages, &reclaim, &rig->cache.cache);
	CHECK(space_system_init(&rig->spaces, pages, &rig->cache.slabs, &rig->cache.cache,
	                        config) == TMM_OK);
	CHECK(tmm_mm_create(&rig->spaces, &layout, &limits, &rig->mm) == TMM_OK);
	tmm_pgtable_set_mmu(tmm_mm_pgtable(rig->mm), &fault_rig_mmu, rig);
	fault_rig_open_file(rig, file_bytes);
}

static inline void fault_rig_check(struct fault_rig *rig)
{
	tmm_mm_check(rig->mm);
	tmm_space_check(&rig->spaces);
	tmm_pgtable_check(tmm_mm_pgtable(rig->mm));
	tmm_cache_check(&rig->cache.cache);
}

static inline void fault_rig_end(struct fault_rig *rig)
{
	fault_rig_check(rig);
	tmm_mm_put(rig->mm);
	tmm_file_put(rig->file);
	space_system_fini(&rig->spaces);
	tmm_pages_set_reclaim(&rig->cache.page.pages, NULL, NULL);
	cache_rig_end(&rig->cache);
}

/* mmap at a fixed place; file: pages of the rig's file from `index` on. */
static inline void fault_rig_map(struct fault_rig *rig, uint64_t addr, uint64_t nr_pages,
                                 uint32_t prot, uint32_t flags, uint64_t index)
{
	struct tmm_mmap_request request = {
		.addr = addr,
		.length = nr_pages * PAGE,
		.prot = prot,
		.flags = flags | TMM_MAP_FIXED,
		.file = flags & TMM_MAP_ANONYMOUS ? NULL : rig->file,
		.offset = flags & TMM_MAP_ANONYMOUS ? 0 : index * PAGE,
	};
	uint64_t got;

	CHECK(tmm_mm_mmap(rig->mm, &request, &got) == TMM_OK && got == addr);
}

/* The processor's byte at addr, after as many traps as it takes; NULL: *fault says why. */
static inline uint8_t *fault_rig_access(struct fault_rig *rig, uint64_t addr, unsigned access,
                                        enum tmm_fault *fault)
{
	uint64_t va = addr & ~(PAGE - 1);
	struct translation *slot = &rig->tlb[va / PAGE % TLB_SLOTS];

	*fault = TMM_FAULT_OK;
	for (int tries = 0; tries < 4; tries++) {
		struct tmm_extent extent[3];
		size_t nr;

		if (slot->va == va && (slot->rights & access) == access)
			return (uint8_t *)rig->cache.page.ram + slot->frame * PAGE +
			       (addr - va);
		nr = tmm_pgtable_walk(tmm_mm_pgtable(rig->mm), (tmm_vaddr){addr}, access,
		                      extent, 3);
		for (size_t i = 0; i < nr; i++) {
			for (uint64_t p = 0; p < extent[i].nr_pages; p++) {
				uint64_t at = extent[i].va.v + p * PAGE;

				rig->tlb[at / PAGE % TLB_SLOTS] = (struct translation){
					at, extent[i].pfn.v + p, extent[i].rights};
			}
		}
		if (nr > 0)
			continue;
		rig->nr_traps++;
		*fault = tmm_mm_fault(rig->mm, addr, access);
		if (*fault != TMM_FAULT_OK)
			return NULL;
	}
	test_fail(__FILE__, __LINE__, "an answered fault lets the access pass");
}

/* Read or write one byte; the fault, if it cannot be. */
static inline enum tmm_fault fault_rig_read(struct fault_rig *rig, uint64_t addr,
                                            uint8_t *value)
{
	enum tmm_fault fault;
	const uint8_t *byte = fault_rig_access(rig, addr, TMM_ACCESS_READ, &fault);

	if (byte)
		*value = *byte;
	return fault;
}

static inline enum tmm_fault fault_rig_write(struct fault_rig *rig, uint64_t addr,
                                             uint8_t value)
{
	enum tmm_fault fault;
	uint8_t *byte = fault_rig_access(rig, addr, TMM_ACCESS_WRITE, &fault);

	if (byte)
		*byte = value;
	return fault;
}

#endif
