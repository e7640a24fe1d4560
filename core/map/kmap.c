/*
 * kmap.c - slots through which high memory is reached
 *
 * Local slots lie in the fixed map, a stack of them for each CPU:
 *
 *	fixmap   ..| cpu 1 |  | s1 |  | s0 |  |  cpu 0  ..
 *
 * Each has an unmapped neighbour, so that running over a frame's end faults.  The tables
 * for them are made at boot, so mapping allocates nothing.
 *
 * The slots of pkmap are searched round robin.  One that nobody uses any more stays
 * mapped until the search begins anew; then all such are unmapped, with one flush.
 *
 * kmap_check() asserts the invariants:
 *   I1  a slot that is mapped is in the bucket of its frame, once
 *   I2  users[] is 0 exactly for slots that map nothing
 *   I3  entries of the tables are those of mapped slots
 */
#include <tuxmm/kmap.h>

#include "map/kernel_map_impl.h"

_Static_assert(TMM_KMAP_LOCAL_DEPTH == KMAP_LOCAL_DEPTH, "one number, two names");

/* users[]: nobody, nobody but still mapped, or one more than users. */
#define SLOT_FREE  0u
#define SLOT_STALE 1u

#define SLOT_NONE  UINT16_MAX
#define NR_BUCKETS 256u

/* (c) constant after init  (v) the kernel map's lock */
struct pkmap {
	uint32_t nr_slots;                /* (c) */
	uint32_t last;                    /* (v) where the search goes on */
	uint32_t users[PKMAP_SLOTS_MOST]; /* (v) */
	uint64_t pfn[PKMAP_SLOTS_MOST];   /* (v) of slots that are not free */
	uint16_t next[PKMAP_SLOTS_MOST];  /* (v) in the same bucket */
	uint16_t bucket[NR_BUCKETS];      /* (v) first slot by frame, or SLOT_NONE */
	uint64_t flushes, waits;          /* (v) */
};

/* Guarded by being that CPU. */
struct kmap_cpu {
	uint32_t depth;
	uint64_t pfn[KMAP_LOCAL_DEPTH];
};

static bool is_high(const struct tmm_kernel_map *map, tmm_pfn pfn)
{
	return pfn.v >= map->pages->lowmem_end;
}

/* ---- single pages of a window ---- */

/* The tables are there, so no frame is needed. */
static void slot_show(struct tmm_kernel_map *map, uint64_t va, tmm_pfn pfn)
	TMM_REQUIRES(map->lock)
{
	tmm_err err = mmu_map(&map->mmu, (tmm_vaddr){va}, tmm_pfn_to_paddr(pfn), TMM_PAGE_SIZE,
	                      kernel_leaf_bits(map, TMM_KPROT_KERNEL), TMM_GFP_NOWAIT);

	TMM_ASSERT(err == TMM_OK);
	if (!tmm_port_window_show(tmm_kernel_pointer(map, (tmm_vaddr){va}),
	                          (char *)map->pages->ram + (pfn.v << TMM_PAGE_SHIFT),
	                          TMM_PAGE_SIZE, true))
		tmm_port_panic(__FILE__, __LINE__,
		               "the port can show a frame of high memory in a window");
}

static void slot_hide(struct tmm_kernel_map *map, uint64_t va) TMM_REQUIRES(map->lock)
{
	uint64_t bytes;

	mmu_clear(&map->mmu, va, &bytes);
	tmm_port_window_hide(tmm_kernel_pointer(map, (tmm_vaddr){va}), TMM_PAGE_SIZE);
}

/* ---- local slots ---- */

static uint64_t local_index(uint32_t cpu, uint32_t depth)
{
	return FIX_NAMED + cpu * KMAP_LOCAL_SLOTS + 2 * depth;
}

void *tmm_kmap_local(struct tmm_kernel_map *map, tmm_pfn pfn)
{
	struct kmap_cpu *local;
	uint64_t va;
	uint32_t cpu;
	tmm_irq irq;

	if (likely(!is_high(map, pfn)))
		return tmm_page_address(map->pages, pfn);
	irq = tmm_port_irq_save();
	cpu = cpu_self(map->pages->cpus)->id;
	local = &map->local[cpu];
	TMM_ASSERT(pfn_valid(map->pages, pfn) && local->depth < KMAP_LOCAL_DEPTH);
	va = kernel_fix_va(map, local_index(cpu, local->depth));
	local->pfn[local->depth++] = pfn.v;
	lock_take(&map->lock);
	slot_show(map, va, pfn);
	lock_drop(&map->lock);
	tmm_port_irq_restore(irq);
	return tmm_kernel_pointer(map, (tmm_vaddr){va});
}

void tmm_kunmap_local(struct tmm_kernel_map *map, const void *address)
{
	const struct window *direct = &map->window[TMM_WINDOW_DIRECT];
	const void *site = __builtin_return_address(0);
	uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)direct->pointer);
	struct kmap_cpu *local;
	bool is_last = false;
	tmm_vaddr va;
	uint32_t cpu;
	tmm_irq irq;

	if (likely(offset < direct->usable_bytes))
		return;
	if (!map->local || !tmm_kernel_address(map, address, &va))
		kernel_report(map, address, "tmm_kunmap_local() is for what was mapped", site);
	va.v = align_down(va.v, TMM_PAGE_SIZE);
	irq = lock_take_irqsave(&map->lock);
	cpu = cpu_self(map->pages->cpus)->id;
	local = &map->local[cpu];
	if (local->depth > 0 &&
	    va.v == kernel_fix_va(map, local_index(cpu, local->depth - 1))) {
		is_last = true;
		local->depth--;
		slot_hide(map, va.v);
		kernel_count_flush(map, 1);
	}
	lock_drop_irqrestore(&map->lock, irq);
	if (!is_last)
		kernel_report(map, address,
		              "tmm_kunmap_local() is for the frame that this CPU mapped last",
		              site);
	kernel_tell_flush(map, va.v, va.v + TMM_PAGE_SIZE);
}

/* A thread leaves its CPU: what it mapped there, nobody could unmap. */
static void local_leave(void *arg, uint32_t cpu)
{
	const struct tmm_kernel_map *map = arg;
	bool every_local_mapping_is_undone = map->local[cpu].depth == 0;

	TMM_ASSERT(every_local_mapping_is_undone);
}

/* ---- pkmap ---- */

static uint16_t *bucket_of(struct pkmap *pkmap, uint64_t pfn)
{
	return &pkmap->bucket[pfn % NR_BUCKETS];
}

static uint16_t slot_find(const struct pkmap *pkmap, uint64_t pfn)
{
	uint16_t slot = pkmap->bucket[pfn % NR_BUCKETS];

	while (slot != SLOT_NONE && pkmap->pfn[slot] != pfn)
		slot = pkmap->next[slot];
	return slot;
}

static uint64_t slot_va(const struct tmm_kernel_map *map, uint32_t slot)
{
	return map->window[TMM_WINDOW_PKMAP].start + ((uint64_t)slot << TMM_PAGE_SHIFT);
}

static void slot_forget(struct pkmap *pkmap, uint16_t slot)
{
	uint16_t *at = bucket_of(pkmap, pkmap->pfn[slot]);

	while (*at != slot)
		at = &pkmap->next[*at];
	*at = pkmap->next[slot];
	pkmap->users[slot] = SLOT_FREE;
}

/* Unmap what nobody uses; true: there was some. */
static bool flush_stale(struct tmm_kernel_map *map) TMM_REQUIRES(map->lock)
{
	struct pkmap *pkmap = map->pkmap;
	uint64_t nr = 0;

	for (uint32_t slot = 0; slot < pkmap->nr_slots; slot++) {
		if (pkmap->users[slot] != SLOT_STALE)
			continue;
		slot_forget(pkmap, (uint16_t)slot);
		slot_hide(map, slot_va(map, slot));
		nr++;
	}
	pkmap->flushes += nr > 0;
	if (nr)
		kernel_count_flush(map, pkmap->nr_slots);
	return nr > 0;
}

/* A slot that maps nothing; SLOT_NONE: all are in use.  *flushed: some were unmapped. */
static uint16_t slot_take(struct tmm_kernel_map *map, bool *flushed) TMM_REQUIRES(map->lock)
{
	struct pkmap *pkmap = map->pkmap;

	for (uint32_t tried = 0; tried < 2 * pkmap->nr_slots; tried++) {
		pkmap->last = (pkmap->last + 1) % pkmap->nr_slots;
		if (pkmap->last == 0)
			*flushed |= flush_stale(map);
		if (pkmap->users[pkmap->last] == SLOT_FREE)
			return (uint16_t)pkmap->last;
	}
	return SLOT_NONE;
}

/* The address of the frame, with one user more; NULL: no slot. */
static void *kmap_once(struct tmm_kernel_map *map, tmm_pfn pfn)
{
	struct pkmap *pkmap = map->pkmap;
	const struct window *window = &map->window[TMM_WINDOW_PKMAP];
	bool flushed = false;
	tmm_irq irq = lock_take_irqsave(&map->lock);
	uint16_t slot = slot_find(pkmap, pfn.v);

	if (slot == SLOT_NONE) {
		slot = slot_take(map, &flushed);
		if (slot != SLOT_NONE) {
			pkmap->pfn[slot] = pfn.v;
			pkmap->next[slot] = *bucket_of(pkmap, pfn.v);
			*bucket_of(pkmap, pfn.v) = slot;
			pkmap->users[slot] = SLOT_STALE;
			slot_show(map, slot_va(map, slot), pfn);
		}
	}
	if (slot != SLOT_NONE)
		pkmap->users[slot]++;
	else
		pkmap->waits++;
	lock_drop_irqrestore(&map->lock, irq);
	if (flushed)
		kernel_tell_flush(map, window->start, window->end);
	return slot == SLOT_NONE ? NULL
	                         : tmm_kernel_pointer(map, (tmm_vaddr){slot_va(map, slot)});
}

void *tmm_kmap(struct tmm_kernel_map *map, tmm_pfn pfn, tmm_gfp gfp)
{
	void *address;

	if (likely(!is_high(map, pfn)))
		return tmm_page_address(map->pages, pfn);
	TMM_ASSERT(pfn_valid(map->pages, pfn));
	if (!tmm_port_allow("kmap") && !(gfp & TMM_GFP_DIRECT_RECLAIM))
		return NULL;
	if (gfp & TMM_GFP_DIRECT_RECLAIM)
		TMM_ASSERT(tmm_port_may_sleep() && "whoever waits for a slot may sleep");
	while (!(address = kmap_once(map, pfn)) && (gfp & TMM_GFP_DIRECT_RECLAIM))
		tmm_port_relax();
	return address;
}

void tmm_kunmap(struct tmm_kernel_map *map, tmm_pfn pfn)
{
	bool was_mapped = false;
	uint16_t slot;
	tmm_irq irq;

	if (likely(!is_high(map, pfn)))
		return;
	irq = lock_take_irqsave(&map->lock);
	slot = slot_find(map->pkmap, pfn.v);
	if (slot != SLOT_NONE && map->pkmap->users[slot] > SLOT_STALE) {
		map->pkmap->users[slot]--;
		was_mapped = true;
	}
	lock_drop_irqrestore(&map->lock, irq);
	TMM_ASSERT(was_mapped && "tmm_kunmap() undoes one tmm_kmap()");
}

void *tmm_kmap_address(struct tmm_kernel_map *map, tmm_pfn pfn)
{
	uint16_t slot;
	bool mapped;
	tmm_irq irq;

	if (!is_high(map, pfn))
		return tmm_page_address(map->pages, pfn);
	irq = lock_take_irqsave(&map->lock);
	slot = slot_find(map->pkmap, pfn.v);
	mapped = slot != SLOT_NONE && map->pkmap->users[slot] > SLOT_STALE;
	lock_drop_irqrestore(&map->lock, irq);
	return mapped ? tmm_kernel_pointer(map, (tmm_vaddr){slot_va(map, slot)}) : NULL;
}

void tmm_kmap_stats(struct tmm_kernel_map *map, struct tmm_kmap_stats *out)
{
	const struct pkmap *pkmap = map->pkmap;
	tmm_irq irq;

	*out = (struct tmm_kmap_stats){.nr_slots = 0};
	if (!pkmap)
		return;
	irq = lock_take_irqsave(&map->lock);
	out->nr_slots = pkmap->nr_slots;
	out->flushes = pkmap->flushes;
	out->waits = pkmap->waits;
	for (uint32_t slot = 0; slot < pkmap->nr_slots; slot++) {
		out->nr_used += pkmap->users[slot] > SLOT_STALE;
		out->nr_stale += pkmap->users[slot] == SLOT_STALE;
	}
	lock_drop_irqrestore(&map->lock, irq);
}

/* ---- for storeys that do not know the kernel map ---- */

static void *map_local(void *arg, tmm_pfn pfn)
{
	return tmm_kmap_local(arg, pfn);
}

static void unmap_local(void *arg, const void *address)
{
	tmm_kunmap_local(arg, address);
}

static void *map_long(void *arg, tmm_pfn pfn)
{
	return tmm_kmap(arg, pfn, TMM_GFP_NOWAIT);
}

static void unmap_long(void *arg, const void *address)
{
	struct tmm_kernel_map *map = arg;
	const struct window *window = &map->window[TMM_WINDOW_PKMAP];
	uint64_t slot = (uint64_t)((uintptr_t)address - (uintptr_t)window->pointer) >>
	                TMM_PAGE_SHIFT;

	TMM_ASSERT(slot < map->pkmap->nr_slots);
	tmm_kunmap(map, (tmm_pfn){map->pkmap->pfn[slot]}); /* it stays while it is mapped */
}

static tmm_pfn frame_at(void *arg, const void *address)
{
	return tmm_kernel_frame(arg, address);
}

static const struct high_ops high_ops = {
	.map_local = map_local,
	.unmap_local = unmap_local,
	.map_long = map_long,
	.unmap_long = unmap_long,
	.frame_at = frame_at,
};

/* ---- beginning and end ---- */

/* Tables for every page of a window, so that mapping there needs no memory. */
static tmm_err make_tables(struct tmm_kernel_map *map, const struct window *window)
{
	uint64_t span = UINT64_C(1) << tmm_mmu_format(map->geometry)->level[2].shift;

	for (uint64_t va = window->start; va < window->end; va = align_down(va, span) + span) {
		const struct map_run run = {.va = va, .bytes = TMM_PAGE_SIZE};
		tmm_err err = kernel_map_entries(map, &run, TMM_GFP_KERNEL);

		if (err != TMM_OK)
			return err;
		kernel_clear(map, va, va + TMM_PAGE_SIZE, NULL, NULL);
	}
	return TMM_OK;
}

static uint64_t high_bytes(const struct tmm_kernel_map *map)
{
	uint64_t low = map->pages->lowmem_end << TMM_PAGE_SHIFT;

	return map->ram_bytes > low ? map->ram_bytes - low : 0;
}

static void *high_start(const struct tmm_kernel_map *map)
{
	return (char *)map->pages->ram + (map->pages->lowmem_end << TMM_PAGE_SHIFT);
}

tmm_err kmap_init(struct tmm_kernel_map *map)
{
	tmm_err err = TMM_E_NOMEM;

	if (map->window[TMM_WINDOW_PKMAP].start == 0 || high_bytes(map) == 0)
		return TMM_OK;
	if (!map->window[TMM_WINDOW_PKMAP].pointer || !map->window[TMM_WINDOW_FIXMAP].pointer)
		return TMM_E_NOSYS;
	map->pkmap = tmm_kmalloc(map->slabs, sizeof(*map->pkmap),
	                         TMM_GFP_KERNEL | TMM_GFP_ZERO);
	map->local = tmm_kmalloc(map->slabs, map->pages->cpus->nr * sizeof(*map->local),
	                         TMM_GFP_KERNEL | TMM_GFP_ZERO);
	if (map->pkmap && map->local)
		err = make_tables(map, &map->window[TMM_WINDOW_PKMAP]);
	if (err == TMM_OK)
		err = make_tables(map, &map->window[TMM_WINDOW_FIXMAP]);
	if (err != TMM_OK) {
		tmm_kfree(map->slabs, map->local);
		tmm_kfree(map->slabs, map->pkmap);
		map->local = NULL;
		map->pkmap = NULL;
		return err;
	}
	map->pkmap->nr_slots = (uint32_t)(map->window[TMM_WINDOW_PKMAP].usable_bytes >>
	                                  TMM_PAGE_SHIFT);
	memset(map->pkmap->bucket, 0xff, sizeof(map->pkmap->bucket));
	map->leave_hook = (struct cpu_exit_hook){.run = local_leave, .arg = map};
	cpu_exit_hook_add(map->pages->cpus, &map->leave_hook);
	pages_set_high(map->pages, &high_ops, map);
	/* Where the port cannot hide it, mistakes are not found, no more. */
	(void)tmm_port_ram_direct(high_start(map), high_bytes(map), false);
	return TMM_OK;
}

void kmap_fini(struct tmm_kernel_map *map)
{
	struct tmm_kmap_stats stats;
	tmm_irq irq;

	if (!map->pkmap)
		return;
	tmm_kmap_stats(map, &stats);
	TMM_ASSERT(stats.nr_used == 0 && "every tmm_kmap() is undone");
	irq = lock_take_irqsave(&map->lock);
	flush_stale(map);
	lock_drop_irqrestore(&map->lock, irq);
	(void)tmm_port_ram_direct(high_start(map), high_bytes(map), true);
	pages_set_high(map->pages, NULL, NULL);
	cpu_exit_hook_remove(map->pages->cpus, &map->leave_hook);
	tmm_kfree(map->slabs, map->local);
	tmm_kfree(map->slabs, map->pkmap);
	map->local = NULL;
	map->pkmap = NULL;
}

/* ---- checks ---- */

static uint64_t frame_in_tables(const struct tmm_kernel_map *map, uint64_t va)
{
	uint64_t bytes, entry = mmu_leaf(&map->mmu, va, &bytes);

	return entry ? mmu_target(&map->mmu, entry, bytes) >> TMM_PAGE_SHIFT : UINT64_MAX;
}

void kmap_check(struct tmm_kernel_map *map)
{
	struct pkmap *pkmap = map->pkmap;

	if (!pkmap)
		return;
	for (uint32_t slot = 0; slot < pkmap->nr_slots; slot++) {
		uint64_t expected = pkmap->users[slot] == SLOT_FREE ? UINT64_MAX
		                                                    : pkmap->pfn[slot];

		TMM_ASSERT(frame_in_tables(map, slot_va(map, slot)) == expected); /* I2, I3 */
		if (pkmap->users[slot] != SLOT_FREE)
			TMM_ASSERT(slot_find(pkmap, pkmap->pfn[slot]) == slot); /* I1 */
	}
	for (uint32_t cpu = 0; cpu < map->pages->cpus->nr; cpu++)
		for (uint32_t depth = 0; depth < KMAP_LOCAL_DEPTH; depth++) {
			const struct kmap_cpu *local = &map->local[cpu];
			uint64_t va = kernel_fix_va(map, local_index(cpu, depth));

			TMM_ASSERT(frame_in_tables(map, va) == (depth < local->depth
			                                                ? local->pfn[depth]
			                                                : UINT64_MAX)); /* I3 */
		}
}
