/*
 * vm_area.c - areas of the vmalloc window: lent, found, flushed together, let go
 *
 * An area is known by the slot its address is in, or by the tree that holds long
 * pieces: va_space.c.  From when it is freed until it is flushed it stays known, so
 * that a stale address can be told from one that never was.
 *
 *	lent -> freed: entries clear, on the list of those that wait -> flushed: gone
 *
 * A flush is dear, so it is put off until as many pages wait as Linux allows
 * (lazy_max_pages), or no addresses are left.  Then come, in this order: one flush of
 * all TLBs, from the lowest to the highest area; what is shown behind the
 * pointers is hidden, adjacent areas at once; the addresses can be lent again.
 *
 * areas_check() asserts the invariants:
 *   I1  lazy_pages counts the pages of the areas that wait
 *   I2  what waits has no entry in the tables
 *   I3  used_pages counts the frames of the areas that tmm_vmalloc() lent
 */
#include "map/vm_area.h"

/* Linux: 32 MiB times the number of bits in the number of CPUs. */
#define LAZY_BYTES (UINT64_C(32) << 20)

uint64_t kernel_lazy_most(const struct tmm_kernel_map *map)
{
	return (log2_floor(map->pages->cpus->nr) + 1) * (LAZY_BYTES >> TMM_PAGE_SHIFT);
}

static uint64_t area_end(const struct vm_area *area)
{
	return area->at.range.end;
}

static uint64_t area_pages(const struct vm_area *area)
{
	return (area_end(area) - area_start(area)) >> TMM_PAGE_SHIFT;
}

struct vm_area *area_of_place(const struct va_place *place)
{
	if (place->piece)
		return container_of(place->piece, struct vm_area, at);
	/* relaxed: areas come and go under the lock that is held */
	return place->owner ? __atomic_load_n(place->owner, __ATOMIC_RELAXED) : NULL;
}

/* The area that va is in. */
static struct vm_area *area_at(const struct tmm_kernel_map *map, uint64_t va)
	TMM_REQUIRES(map->space.lock)
{
	struct va_place place = va_place_of(&map->space, va);
	struct vm_area *area = area_of_place(&place);

	return area && va < area_end(area) ? area : NULL;
}

/* ---- lending ---- */

static tmm_err addresses_get(struct tmm_kernel_map *map, struct vm_area *area,
                             uint64_t nr_pages, uint64_t align_bytes, tmm_gfp gfp)
{
	struct va_space *space = &map->space;
	tmm_err err = TMM_E_NOSPC;
	uint64_t va;

	if (va_is_short(space, nr_pages) && align_bytes <= TMM_PAGE_SIZE)
		err = va_alloc_short(space, nr_pages, gfp, &va);
	area->is_short = err == TMM_OK;
	if (err == TMM_E_NOSPC)
		return va_alloc_long(space, &area->at, nr_pages, align_bytes, 0, UINT64_MAX,
		                     gfp);
	if (err == TMM_OK) {
		area->at.range.start = va;
		area->at.range.end = va + (nr_pages << TMM_PAGE_SHIFT);
	}
	return err;
}

static void owner_set(struct tmm_kernel_map *map, const struct vm_area *area, void *owner)
	TMM_REQUIRES(map->space.lock)
{
	/* relaxed: readers have the lock, or have the slot themselves */
	if (area->is_short)
		__atomic_store_n(va_owner(&map->space, area_start(area)), owner,
		                 __ATOMIC_RELAXED);
}

struct vm_area *area_get(struct tmm_kernel_map *map, const struct area_request *request)
{
	uint64_t nr_pages = (align_up(request->bytes, TMM_PAGE_SIZE) >> TMM_PAGE_SHIFT) + 1;
	tmm_gfp gfp = request->gfp & ~(TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE | TMM_GFP_ZERO |
	                               TMM_GFP_DMA | TMM_GFP_DMA32 | TMM_GFP_THISNODE);
	struct vm_area *area;
	tmm_irq irq;
	tmm_err err;

	if (!map->window[TMM_WINDOW_VMALLOC].pointer || !request->bytes ||
	    request->bytes > map->window[TMM_WINDOW_VMALLOC].usable_bytes)
		return NULL;
	area = tmm_kmalloc(map->slabs, sizeof(*area), gfp);
	if (!area)
		return NULL;
	*area = (struct vm_area){
		.bytes = align_up(request->bytes, TMM_PAGE_SIZE),
		.phys = request->phys,
		.kind = (uint8_t)request->kind,
		.caller = request->caller,
	};
	err = addresses_get(map, area, nr_pages, request->align_bytes, gfp);
	if (err == TMM_E_NOSPC && tmm_vmalloc_purge(map))
		err = addresses_get(map, area, nr_pages, request->align_bytes, gfp);
	if (err != TMM_OK) {
		tmm_kfree(map->slabs, area);
		return NULL;
	}
	irq = lock_take_irqsave(&map->space.lock);
	owner_set(map, area, area);
	lock_drop_irqrestore(&map->space.lock, irq);
	return area;
}

/* ---- letting go ---- */

/* Addresses that nothing remembers any more. */
static void area_release(struct tmm_kernel_map *map, struct vm_area *area)
{
	tmm_irq irq = lock_take_irqsave(&map->space.lock);

	owner_set(map, area, NULL);
	lock_drop_irqrestore(&map->space.lock, irq);
	if (area->is_short)
		va_free_short(&map->space, area_start(area), area_pages(area));
	else
		va_free_long(&map->space, &area->at);
	tmm_kfree(map->slabs, area);
}

/* Merge two chains that rise by address. */
static struct vm_area *merge(struct vm_area *a, struct vm_area *b)
{
	struct vm_area *merged = NULL, **end = &merged;

	while (a && b) {
		struct vm_area **lower = area_start(a) < area_start(b) ? &a : &b;

		*end = *lower;
		end = &(*lower)->next;
		*lower = (*lower)->next;
	}
	*end = a ? a : b;
	return merged;
}

/* By rising address: run[i] holds 2^i areas or none, like the digits of a number. */
static struct vm_area *sorted(struct vm_area *chain)
{
	struct vm_area *run[40] = {NULL}, *all = NULL;

	while (chain) {
		struct vm_area *one = chain;
		unsigned i;

		chain = chain->next;
		one->next = NULL;
		for (i = 0; run[i]; i++) {
			one = merge(run[i], one);
			run[i] = NULL;
		}
		run[i] = one;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(run); i++)
		all = merge(run[i], all);
	return all;
}

/* Hide and let go areas that rise by address. */
static void chain_release(struct tmm_kernel_map *map, struct vm_area *chain)
{
	while (chain) {
		struct vm_area *next = chain;
		uint64_t start = area_start(chain), end = start;

		for (; next && area_start(next) == end; next = next->next)
			end = area_end(next);
		kernel_hide(map, start, end);
		while (chain != next) {
			struct vm_area *area = chain;

			chain = chain->next;
			area_release(map, area);
		}
	}
}

uint64_t tmm_vmalloc_purge(struct tmm_kernel_map *map)
{
	tmm_irq irq = lock_take_irqsave(&map->space.lock);
	struct vm_area *chain = map->lazy, *last;
	uint64_t nr_pages = map->lazy_pages;

	map->lazy = NULL;
	/* relaxed: changed under the lock, read without it as a moment's value */
	__atomic_store_n(&map->lazy_pages, 0, __ATOMIC_RELAXED);
	map->purges += chain != NULL;
	lock_drop_irqrestore(&map->space.lock, irq);
	if (!chain)
		return 0;
	chain = sorted(chain);
	for (last = chain; last->next; last = last->next)
		;
	kernel_flush(map, area_start(chain), area_end(last));
	chain_release(map, chain);
	return nr_pages;
}

void area_put_now(struct tmm_kernel_map *map, struct vm_area *area)
{
	kernel_flush(map, area_start(area), area_end(area));
	kernel_hide(map, area_start(area), area_end(area));
	area_release(map, area);
}

void area_put(struct tmm_kernel_map *map, struct vm_area *area)
{
	uint64_t nr_pages;
	tmm_irq irq;

	if (map->flushes_at_once) {
		area_put_now(map, area);
		return;
	}
	irq = lock_take_irqsave(&map->space.lock);
	nr_pages = map->lazy_pages + area_pages(area);
	area->next = map->lazy;
	map->lazy = area;
	/* relaxed: as in tmm_vmalloc_purge() */
	__atomic_store_n(&map->lazy_pages, nr_pages, __ATOMIC_RELAXED);
	lock_drop_irqrestore(&map->space.lock, irq);
	if (nr_pages > kernel_lazy_most(map))
		tmm_vmalloc_purge(map);
}

_Noreturn void kernel_report(struct tmm_kernel_map *map, const void *address, const char *rule,
                             const void *site)
{
	struct printer printer;
	struct print_text text;
	tmm_vaddr va;

	print_text_begin(&printer, &text, map->report, sizeof(map->report));
	print(&printer, "%s; ", rule);
	if (tmm_kernel_address(map, address, &va))
		kernel_describe(map, va.v, &printer);
	else
		print(&printer, "this pointer is in no window of the kernel");
	print(&printer, "; now by 0x%llx", (unsigned long long)(uintptr_t)site);
	print_end(&printer);
	tmm_port_panic(__FILE__, __LINE__, map->report);
}

struct vm_area *area_take_back(struct tmm_kernel_map *map, const void *address,
                               enum tmm_vm_kind kind, const char *rule, const void *site)
{
	struct vm_area *area = NULL;
	bool is_lent = false;
	tmm_vaddr va;
	tmm_irq irq;

	if (!tmm_is_vmalloc_addr(map, address) || !tmm_kernel_address(map, address, &va))
		kernel_report(map, address, rule, site);
	irq = lock_take_irqsave(&map->space.lock);
	area = area_at(map, va.v);
	if (area && area_start(area) == va.v && area->kind == kind && !area->is_freed)
		is_lent = area->is_freed = true;
	lock_drop_irqrestore(&map->space.lock, irq);
	if (!is_lent)
		kernel_report(map, address, rule, site);
	return area;
}

/* ---- areas to map in by oneself ---- */

void *tmm_vm_area_get(struct tmm_kernel_map *map, uint64_t size_bytes, uint64_t align_bytes,
                      enum tmm_vm_kind kind, tmm_paddr phys, tmm_gfp gfp)
{
	const struct vm_area *area;

	TMM_ASSERT(kind == TMM_VM_IOREMAP || kind == TMM_VM_DMA || kind == TMM_VM_MAP);
	TMM_ASSERT(align_bytes == 0 || is_power_of_two(align_bytes));
	area = area_get(map, &(struct area_request){.bytes = size_bytes,
	                                            .align_bytes = align_bytes,
	                                            .phys = phys.v,
	                                            .kind = kind,
	                                            .gfp = gfp,
	                                            .caller = SITE});
	return area ? tmm_kernel_pointer(map, (tmm_vaddr){area_start(area)}) : NULL;
}

void tmm_vm_area_put(struct tmm_kernel_map *map, const void *address)
{
	struct tmm_vm_area_info info = {.kind = TMM_VM_ALLOC};
	struct vm_area *area;
	tmm_vaddr va;

	if (tmm_kernel_address(map, address, &va))
		tmm_vm_area_find(map, va, &info);
	area = area_take_back(map, address,
	                      info.kind == TMM_VM_ALLOC ? TMM_VM_IOREMAP : info.kind,
	                      "tmm_vm_area_put() is for the start of a lent area", SITE);
	kernel_clear(map, area_start(area), area_end(area), NULL, NULL);
	area_put(map, area);
}

/* ---- checks ---- */

static void area_check(struct tmm_kernel_map *map, const struct vm_area *area,
                       uint64_t *nr_lazy, uint64_t *nr_used)
{
	uint64_t bytes;

	if (area->is_freed)
		*nr_lazy += area_pages(area);
	if (!area->is_freed && area->kind == TMM_VM_ALLOC)
		*nr_used += area->nr_pages;
	for (uint64_t va = area_start(area); va < area_end(area); va += bytes) {
		uint64_t entry = map->has_tables ? mmu_leaf(&map->mmu, va, &bytes) : 0;

		TMM_ASSERT(!entry || !area->is_freed); /* I2 */
		TMM_ASSERT(!entry || va + bytes < area_end(area));
		if (!entry)
			bytes = TMM_PAGE_SIZE;
	}
}

void areas_check(struct tmm_kernel_map *map)
{
	uint64_t nr_lazy = 0, nr_used = 0, va = 0;
	struct va_place place;
	tmm_irq irq = lock_take_irqsave(&map->space.lock);

	while (va_next(&map->space, va, &place)) {
		area_check(map, area_of_place(&place), &nr_lazy, &nr_used);
		va = place.start + 1;
	}
	lock_drop_irqrestore(&map->space.lock, irq);
	TMM_ASSERT(nr_lazy == map->lazy_pages); /* I1 */
	TMM_ASSERT(nr_used == map->used_pages); /* I3 */
}
