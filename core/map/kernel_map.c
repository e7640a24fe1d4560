/*
 * kernel_map.c - the kernel's page tables, and the windows they translate
 *
 *	x86-64     direct  ffff888000000000   vmalloc ffffc90000000000 .. ffffe8ffffffffff
 *	la57       direct  ff11000000000000   vmalloc ffa0000000000000 .. ffd1ffffffffffff
 *	32 bits    c0000000  direct  | 8 MiB | vmalloc | 8 KiB | pkmap | .. | fixmap  ffffffff
 *
 * Where fewer addresses than RAM are, pkmap lies below fixmap, aligned to what a
 * table of leaves spans, and vmalloc is what those two and the direct map leave.
 * Four and five levels have it there too, for machines that leave memory without
 * an address on purpose.
 *
 * A mapping is made in two steps: entries in the tables, then frames shown behind
 * the pointers.  It is unmade in the reverse of that for what must be gone at once,
 * and in the same order where the second step can wait (vmalloc.c).  Tables, once
 * made, stay until what they mapped has been flushed.
 */
#include "map/vm_area.h"

#define KIB         UINT64_C(1024)
#define MIB         (1024 * KIB)
#define GIB         (1024 * MIB)

#define VMALLOC_GAP (8 * MIB) /* between the direct map and vmalloc, to catch overruns */
#define FIX_TOP_32  UINT64_C(0xfffff000)
#define FIX_TOP_64  UINT64_C(0xffffffffff601000) /* behind the page of vsyscall */

/* What the port is asked for, for each byte of RAM, and at most. */
#define VMALLOC_TIMES UINT64_C(1024)
#define VMALLOC_MOST  (1024 * GIB)

static bool is_32_bit(const struct tmm_kernel_map *map)
{
	return tmm_mmu_format(map->geometry)->linear_bits == 32;
}

static bool has_highmem(const struct tmm_kernel_map *map)
{
	return map->pages->lowmem_end != UINT64_MAX;
}

static uint64_t pkmap_slots(const struct tmm_kernel_map *map)
{
	return map->geometry == TMM_GEOMETRY_X86_32 ? PKMAP_SLOTS_MOST : PKMAP_SLOTS_MOST / 2;
}

/* ---- windows ---- */

static void window_set(struct tmm_kernel_map *map, enum tmm_window_id id, uint64_t start,
                       uint64_t bytes)
{
	map->window[id] = (struct window){.start = start, .end = start + bytes};
}

/* Bytes of RAM with an address, from address 0 on. */
static uint64_t direct_bytes(const struct tmm_pages *pages)
{
	return min_u64(pages->first_pfn + pages->nr_frames, pages->lowmem_end)
	       << TMM_PAGE_SHIFT;
}

uint64_t kernel_direct_start(enum tmm_geometry geometry, const struct tmm_pages *pages)
{
	uint64_t start = 3 * GIB;

	if (geometry == TMM_GEOMETRY_X86_64)
		return UINT64_C(0xffff888000000000);
	if (geometry == TMM_GEOMETRY_X86_64_LA57)
		return UINT64_C(0xff11000000000000);
	/* Linux's VMSPLIT_3G, _2G or _1G. */
	while (start + direct_bytes(pages) > 4 * GIB - KERNEL_RESERVE_32)
		start -= GIB;
	TMM_ASSERT(start >= GIB); /* shapes promise that: shape.c */
	return start;
}

static void lay_out(struct tmm_kernel_map *map)
{
	uint64_t direct = direct_bytes(map->pages);
	uint64_t fix_bytes = FIX_SLOTS(map->pages->cpus->nr) << TMM_PAGE_SHIFT;
	uint64_t fix_end = is_32_bit(map) ? FIX_TOP_32 : FIX_TOP_64;
	uint64_t pkmap_bytes = pkmap_slots(map) << TMM_PAGE_SHIFT;
	uint64_t table_bytes = UINT64_C(1) << tmm_mmu_format(map->geometry)->level[2].shift;
	uint64_t pkmap = align_down(fix_end - fix_bytes - pkmap_bytes - TMM_PAGE_SIZE,
	                            table_bytes);
	uint64_t start = kernel_direct_start(map->geometry, map->pages);
	uint64_t vmalloc_32 = start + direct + VMALLOC_GAP;

	window_set(map, TMM_WINDOW_FIXMAP, fix_end - fix_bytes, fix_bytes);
	if (has_highmem(map))
		window_set(map, TMM_WINDOW_PKMAP, pkmap, pkmap_bytes);
	window_set(map, TMM_WINDOW_DIRECT, start, direct);
	if (map->geometry == TMM_GEOMETRY_X86_64)
		window_set(map, TMM_WINDOW_VMALLOC, UINT64_C(0xffffc90000000000),
		           UINT64_C(1) << 45);
	else if (map->geometry == TMM_GEOMETRY_X86_64_LA57)
		window_set(map, TMM_WINDOW_VMALLOC, UINT64_C(0xffa0000000000000),
		           UINT64_C(12800) << 40);
	else
		window_set(map, TMM_WINDOW_VMALLOC, vmalloc_32,
		           pkmap - 2 * TMM_PAGE_SIZE - vmalloc_32);
}

/* Ask the port for pointers: for the whole window, else as much as it has. */
static void window_open(struct window *window, uint64_t bytes)
{
	const uint64_t least = 16 * TMM_PAGE_SIZE;

	for (bytes = min_u64(bytes, window->end - window->start); bytes >= least; bytes /= 4) {
		window->pointer = tmm_port_window_create(bytes);
		if (window->pointer) {
			window->usable_bytes = bytes;
			return;
		}
		bytes = align_up(bytes, 4 * TMM_PAGE_SIZE);
	}
}

static void windows_open(struct tmm_kernel_map *map)
{
	struct window *direct = &map->window[TMM_WINDOW_DIRECT];
	uint64_t span = map->pages->nr_frames << TMM_PAGE_SHIFT;

	direct->pointer = map->pages->ram;
	direct->usable_bytes = direct->end - direct->start;
	window_open(&map->window[TMM_WINDOW_VMALLOC],
	            min_u64(span * VMALLOC_TIMES, VMALLOC_MOST));
	window_open(&map->window[TMM_WINDOW_FIXMAP], UINT64_MAX);
	window_open(&map->window[TMM_WINDOW_PKMAP], UINT64_MAX);
}

static void windows_close(struct tmm_kernel_map *map)
{
	for (unsigned id = TMM_WINDOW_DIRECT + 1; id < TMM_NR_WINDOWS; id++)
		if (map->window[id].pointer)
			tmm_port_window_destroy(map->window[id].pointer,
			                        map->window[id].usable_bytes);
}

bool tmm_kernel_window(const struct tmm_kernel_map *map, enum tmm_window_id id,
                       struct tmm_window *out)
{
	static const char *const names[TMM_NR_WINDOWS] = {
		[TMM_WINDOW_DIRECT] = "direct map",
		[TMM_WINDOW_VMALLOC] = "vmalloc",
		[TMM_WINDOW_PKMAP] = "pkmap",
		[TMM_WINDOW_FIXMAP] = "fixmap",
	};
	const struct window *window = &map->window[id];

	TMM_ASSERT(id < TMM_NR_WINDOWS);
	if (window->start == window->end)
		return false;
	*out = (struct tmm_window){
		.name = names[id],
		.start = {window->start},
		.end = {window->end},
		.pointer = window->pointer,
		.usable_bytes = window->usable_bytes,
	};
	return true;
}

void *tmm_kernel_pointer(const struct tmm_kernel_map *map, tmm_vaddr va)
{
	for (unsigned id = 0; id < TMM_NR_WINDOWS; id++) {
		const struct window *window = &map->window[id];

		if (va.v - window->start < window->usable_bytes)
			return window->pointer + (va.v - window->start);
	}
	return NULL;
}

bool tmm_kernel_address(const struct tmm_kernel_map *map, const void *pointer, tmm_vaddr *out)
{
	for (unsigned id = 0; id < TMM_NR_WINDOWS; id++) {
		const struct window *window = &map->window[id];
		uint64_t offset = (uint64_t)((uintptr_t)pointer - (uintptr_t)window->pointer);

		if (window->pointer && offset < window->usable_bytes) {
			out->v = window->start + offset;
			return true;
		}
	}
	return false;
}

/* ---- entries ---- */

uint64_t kernel_leaf_bits(const struct tmm_kernel_map *map, unsigned prot)
{
	uint64_t bits = TMM_PTE_ACCESSED | TMM_PTE_DIRTY | TMM_PTE_GLOBAL;

	if (prot & TMM_KPROT_WRITE)
		bits |= TMM_PTE_WRITE;
	if (!(prot & TMM_KPROT_EXEC) && tmm_mmu_format(map->geometry)->has_nx)
		bits |= TMM_PTE_NX;
	/*
	 * Linux's page attribute table: 1 write-combining, 2 uncached-minus, 3 uncached,
	 * 7 write-through.
	 */
	if (prot & (TMM_KPROT_WC | TMM_KPROT_UC | TMM_KPROT_WT))
		bits |= TMM_PTE_PWT;
	if (prot & (TMM_KPROT_UC_MINUS | TMM_KPROT_UC | TMM_KPROT_WT))
		bits |= TMM_PTE_PCD;
	if (prot & TMM_KPROT_WT)
		bits |= TMM_PTE_PAT;
	return bits;
}

static tmm_err make_root(struct tmm_kernel_map *map, tmm_gfp gfp) TMM_REQUIRES(map->lock)
{
	unsigned controls = TMM_MMU_WP | TMM_MMU_PGE;
	tmm_err err;

	if (map->has_tables)
		return TMM_OK;
	if (tmm_mmu_format(map->geometry)->has_nx)
		controls |= TMM_MMU_NXE;
	err = mmu_init(&map->mmu, map->geometry, map->pages, controls, 0, gfp);
	map->mmu.keeps_tables = true;
	map->has_tables = err == TMM_OK;
	return err;
}

/* The largest page that can map pa at va, and is no longer than `bytes`. */
static uint64_t largest_page(const struct tmm_kernel_map *map, uint64_t va, uint64_t pa,
                             uint64_t bytes)
{
	const struct tmm_mmu_format *format = tmm_mmu_format(map->geometry);

	for (unsigned level = format->nr_levels; level > 1; level--) {
		uint64_t page_bytes = UINT64_C(1) << format->level[level].shift;

		if (format->level[level].can_be_leaf && page_bytes <= bytes &&
		    ((va | pa) & (page_bytes - 1)) == 0)
			return page_bytes;
	}
	return TMM_PAGE_SIZE;
}

/* Entries of [va, end) from *at on; *at is where it stopped. */
static tmm_err set_entries(struct tmm_kernel_map *map, const struct map_run *run, uint64_t *at,
                           tmm_gfp gfp) TMM_REQUIRES(map->lock)
{
	uint64_t end = run->va + run->bytes;
	tmm_err err = make_root(map, gfp);

	while (err == TMM_OK && *at < end) {
		uint64_t pa = run->pa + (*at - run->va), bytes = TMM_PAGE_SIZE;

		if (run->prot & TMM_KPROT_HUGE)
			bytes = largest_page(map, *at, pa, end - *at);
		err = mmu_map(&map->mmu, (tmm_vaddr){*at}, (tmm_paddr){pa}, bytes,
		              kernel_leaf_bits(map, run->prot), gfp);
		if (err == TMM_OK)
			*at += bytes;
	}
	return err;
}

/*
 * Tables are made with the lock held, so without waiting; when there is no memory
 * for that, wait for a frame without the lock, and dig for it.
 */
static tmm_err wait_for_table(struct tmm_kernel_map *map, tmm_gfp gfp)
{
	tmm_gfp zone = is_32_bit(map) ? TMM_GFP_DMA32 : 0;
	tmm_pfn pfn;
	tmm_err err = tmm_pages_alloc(map->pages, gfp | zone, 0, &pfn);

	if (err == TMM_OK)
		tmm_pages_free(map->pages, pfn, 0);
	return err;
}

tmm_err kernel_map_entries(struct tmm_kernel_map *map, const struct map_run *run, tmm_gfp gfp)
{
	uint64_t at = run->va;
	tmm_irq irq = lock_take_irqsave(&map->lock);
	tmm_err err = set_entries(map, run, &at, TMM_GFP_NOWAIT | TMM_GFP_NOWARN);

	if (err == TMM_E_NOMEM) {
		lock_drop_irqrestore(&map->lock, irq);
		err = wait_for_table(map, gfp);
		irq = lock_take_irqsave(&map->lock);
		if (err == TMM_OK)
			err = set_entries(map, run, &at, TMM_GFP_ATOMIC | TMM_GFP_NOWARN);
	}
	lock_drop_irqrestore(&map->lock, irq);
	if (err != TMM_OK)
		kernel_clear(map, run->va, at, NULL, NULL);
	return err;
}

/* Leaves that are cleared under the lock at a time. */
#define CLEAR_BATCH 32u

struct gone_leaf {
	uint64_t va, bytes, entry;
};

/* Clear leaves of [*va, end) until `out` is full; *va is where to go on. */
static unsigned clear_some(struct tmm_kernel_map *map, uint64_t *va, uint64_t end,
                           struct gone_leaf *out) TMM_REQUIRES(map->lock)
{
	unsigned nr = 0;

	if (!map->has_tables)
		*va = end;
	while (*va < end && nr < CLEAR_BATCH) {
		uint64_t bytes, entry = mmu_clear(&map->mmu, *va, &bytes);

		if (entry)
			out[nr++] = (struct gone_leaf){*va, bytes, entry};
		/* Windows end below the last table's end, which may be the last address. */
		*va = min_u64((*va | (bytes - 1)), end - 1) + 1;
	}
	return nr;
}

void kernel_clear(struct tmm_kernel_map *map, uint64_t start, uint64_t end, leaf_gone gone,
                  void *arg)
{
	struct gone_leaf batch[CLEAR_BATCH];
	uint64_t va = start;

	while (va < end) {
		tmm_irq irq = lock_take_irqsave(&map->lock);
		unsigned nr = clear_some(map, &va, end, batch);

		lock_drop_irqrestore(&map->lock, irq);
		for (unsigned i = 0; gone && i < nr; i++)
			gone(arg, batch[i].va, batch[i].bytes,
			     mmu_target(&map->mmu, batch[i].entry, batch[i].bytes));
	}
}

/* ---- mappings ---- */

static void *pointer_of(const struct tmm_kernel_map *map, uint64_t va)
{
	return tmm_kernel_pointer(map, (tmm_vaddr){va});
}

tmm_err kernel_map_run(struct tmm_kernel_map *map, const struct map_run *run, tmm_gfp gfp)
{
	tmm_err err = kernel_map_entries(map, run, gfp);

	if (err != TMM_OK || (run->prot & TMM_KPROT_IO))
		return err;
	if (tmm_port_window_show(pointer_of(map, run->va), (char *)map->pages->ram + run->pa,
	                         run->bytes, (run->prot & TMM_KPROT_WRITE) != 0))
		return TMM_OK;
	kernel_clear(map, run->va, run->va + run->bytes, NULL, NULL);
	return TMM_E_NOMEM;
}

void kernel_count_flush(struct tmm_kernel_map *map, uint64_t nr_pages)
{
	map->counts.flushes++;
	map->counts.flushed_pages += nr_pages;
}

void kernel_tell_flush(const struct tmm_kernel_map *map, uint64_t start, uint64_t end)
{
	if (map->mmu_ops)
		map->mmu_ops->flush(map->mmu_arg, (tmm_vaddr){start},
		                    (end - start) >> TMM_PAGE_SHIFT);
}

void kernel_flush(struct tmm_kernel_map *map, uint64_t start, uint64_t end)
{
	tmm_irq irq = lock_take_irqsave(&map->lock);

	kernel_count_flush(map, (end - start) >> TMM_PAGE_SHIFT);
	lock_drop_irqrestore(&map->lock, irq);
	kernel_tell_flush(map, start, end);
}

void kernel_hide(struct tmm_kernel_map *map, uint64_t start, uint64_t end)
{
	tmm_irq irq;

	tmm_port_window_hide(pointer_of(map, start), end - start);
	irq = lock_take_irqsave(&map->lock);
	if (map->has_tables)
		mmu_trim(&map->mmu, start, end - 1);
	lock_drop_irqrestore(&map->lock, irq);
}

static bool prot_is_valid(unsigned prot)
{
	unsigned caching = prot &
	                   (TMM_KPROT_WC | TMM_KPROT_UC_MINUS | TMM_KPROT_UC | TMM_KPROT_WT);

	return (caching & (caching - 1)) == 0;
}

tmm_err tmm_vmap_range(struct tmm_kernel_map *map, tmm_vaddr va, tmm_paddr pa, uint64_t bytes,
                       unsigned prot, tmm_gfp gfp)
{
	const struct window *window = &map->window[TMM_WINDOW_VMALLOC];
	const struct map_run run = {.va = va.v, .pa = pa.v, .bytes = bytes, .prot = prot};
	uint64_t offset = va.v - window->start;

	if (!window->pointer)
		return TMM_E_NOSYS;
	if (((va.v | pa.v | bytes) & ~TMM_PAGE_MASK) || !bytes || !prot_is_valid(prot) ||
	    offset >= window->usable_bytes || bytes > window->usable_bytes - offset ||
	    pa.v + bytes < pa.v || (!(prot & TMM_KPROT_IO) && pa.v + bytes > map->ram_bytes))
		return TMM_E_INVAL;
	return kernel_map_run(map, &run, gfp);
}

void tmm_vunmap_range(struct tmm_kernel_map *map, tmm_vaddr va, uint64_t bytes)
{
	const struct window *window = &map->window[TMM_WINDOW_VMALLOC];
	uint64_t offset = va.v - window->start;

	TMM_ASSERT(((va.v | bytes) & ~TMM_PAGE_MASK) == 0 && offset < window->usable_bytes &&
	           bytes <= window->usable_bytes - offset);
	if (!bytes)
		return;
	kernel_clear(map, va.v, va.v + bytes, NULL, NULL);
	kernel_flush(map, va.v, va.v + bytes);
	kernel_hide(map, va.v, va.v + bytes);
}

/* ---- what the processor sees ---- */

bool tmm_kernel_walk(struct tmm_kernel_map *map, tmm_vaddr va, unsigned access,
                     struct tmm_mmu_result *out)
{
	bool allowed = false;
	tmm_irq irq;

	*out = (struct tmm_mmu_result){.fault = TMM_FAULT_ABSENT};
	direct_sync(map, va.v);
	irq = lock_take_irqsave(&map->lock);
	if (map->has_tables)
		allowed = tmm_mmu_walk(&map->mmu, va, access, out);
	lock_drop_irqrestore(&map->lock, irq);
	return allowed;
}

void tmm_kernel_set_mmu(struct tmm_kernel_map *map, const struct tmm_mmu_ops *ops, void *mmu)
{
	map->mmu_ops = ops;
	map->mmu_arg = mmu;
}

/* ---- beginning and end ---- */

tmm_err kernel_map_init(struct tmm_kernel_map *map, const struct kernel_map_config *config)
{
	struct window *vmalloc = &map->window[TMM_WINDOW_VMALLOC];
	tmm_err err;

	*map = (struct tmm_kernel_map){
		.pages = config->pages,
		.slabs = config->slabs,
		.geometry = config->geometry,
		.ram_bytes = config->ram_bytes,
		.flushes_at_once = config->flushes_at_once,
	};
	lock_init(&map->lock, RANK_KMAP);
	lay_out(map);
	windows_open(map);
	err = va_space_init(&map->space, map->slabs, vmalloc->start,
	                    vmalloc->start + vmalloc->usable_bytes);
	if (err == TMM_OK) {
		err = kmap_init(map);
		if (err != TMM_OK)
			va_space_fini(&map->space);
	}
	if (err == TMM_OK)
		return TMM_OK;
	if (map->has_tables)
		tmm_mmu_fini(&map->mmu);
	windows_close(map);
	return err;
}

void kernel_map_fini(struct tmm_kernel_map *map)
{
	kmap_fini(map);
	tmm_vmalloc_purge(map);
	va_space_fini(&map->space);
	if (map->has_tables)
		tmm_mmu_fini(&map->mmu);
	map->has_tables = false;
	windows_close(map);
}

void tmm_kernel_map_check(struct tmm_kernel_map *map)
{
	if (map->has_tables)
		tmm_mmu_check(&map->mmu);
	va_space_check(&map->space);
	areas_check(map);
	kmap_check(map);
}

uint64_t kernel_map_tables(const struct tmm_kernel_map *map)
{
	return map->has_tables ? map->mmu.nr_tables : 0;
}
