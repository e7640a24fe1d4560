/*
 * vm_info.c - what the kernel's addresses are used for: lists, counts, reports
 */
#include <tuxmm/policy.h>

#include "map/vm_area.h"

static void info_of(const struct vm_area *area, struct tmm_vm_area_info *out)
{
	*out = (struct tmm_vm_area_info){
		.start = {area_start(area)},
		.size_bytes = area->at.range.end - area_start(area),
		.kind = (enum tmm_vm_kind)area->kind,
		.is_freed = area->is_freed,
		.phys = {area->phys},
		/* relaxed: a moment's value */
		.nr_pages = __atomic_load_n(&area->nr_pages, __ATOMIC_RELAXED),
		.caller = area->caller,
	};
}

static void count_nodes(struct tmm_kernel_map *map, struct tmm_vm_area_info *info)
{
	uint64_t end = info->start.v + info->size_bytes, bytes;

	for (uint64_t va = info->start.v; va < end; va += bytes) {
		tmm_irq irq = lock_take_irqsave(&map->lock);
		uint64_t entry = map->has_tables ? mmu_leaf(&map->mmu, va, &bytes) : 0;
		uint64_t pfn = entry ? mmu_target(&map->mmu, entry, bytes) >> TMM_PAGE_SHIFT
		                     : 0;

		lock_drop_irqrestore(&map->lock, irq);
		if (!entry)
			bytes = TMM_PAGE_SIZE;
		else
			info->nr_of_node[tmm_pfn_node(map->pages, (tmm_pfn){pfn})] +=
				bytes >> TMM_PAGE_SHIFT;
	}
}

static bool complete(struct tmm_kernel_map *map, bool found, struct tmm_vm_area_info *out)
{
	if (found && out->kind == TMM_VM_ALLOC && !out->is_freed)
		count_nodes(map, out);
	return found;
}

bool tmm_vm_area_find(struct tmm_kernel_map *map, tmm_vaddr va, struct tmm_vm_area_info *out)
{
	tmm_irq irq = lock_take_irqsave(&map->space.lock);
	struct va_place place = va_place_of(&map->space, va.v);
	const struct vm_area *area = area_of_place(&place);
	bool found = area && va.v < area->at.range.end;

	if (found)
		info_of(area, out);
	lock_drop_irqrestore(&map->space.lock, irq);
	return complete(map, found, out);
}

bool tmm_vm_area_next(struct tmm_kernel_map *map, tmm_vaddr va, struct tmm_vm_area_info *out)
{
	tmm_irq irq = lock_take_irqsave(&map->space.lock);
	struct va_place place;
	bool found = va_next(&map->space, va.v, &place);

	if (found)
		info_of(area_of_place(&place), out);
	lock_drop_irqrestore(&map->space.lock, irq);
	return complete(map, found, out);
}

void tmm_vmalloc_stats(struct tmm_kernel_map *map, struct tmm_vmalloc_stats *out)
{
	const struct window *window = &map->window[TMM_WINDOW_VMALLOC];
	tmm_irq irq = lock_take_irqsave(&map->space.lock);

	*out = (struct tmm_vmalloc_stats){
		/* Linux names the last address with 64 bits, and the one behind with 32. */
		.total_bytes = window->end - window->start -
	                       (tmm_mmu_format(map->geometry)->linear_bits != 32),
		.lazy_pages = map->lazy_pages,
		.lazy_most_pages = kernel_lazy_most(map),
		.purges = map->purges,
	};
	lock_drop_irqrestore(&map->space.lock, irq);
	irq = lock_take_irqsave(&map->lock);
	/* relaxed: a moment's value */
	out->used_pages = __atomic_load_n(&map->used_pages, __ATOMIC_RELAXED);
	out->flushes = map->counts.flushes;
	out->flushed_pages = map->counts.flushed_pages;
	lock_drop_irqrestore(&map->lock, irq);
}

static unsigned long long hex(uint64_t value)
{
	return value;
}

static void describe_area(struct printer *printer, const struct tmm_vm_area_info *area,
                          uint64_t va)
{
	static const char *const verbs[TMM_NR_VM_KINDS] = {
		[TMM_VM_ALLOC] = "vmalloc",
		[TMM_VM_MAP] = "vmap",
		[TMM_VM_IOREMAP] = "ioremap",
		[TMM_VM_DMA] = "dma-coherent",
	};
	uint64_t bytes = area->size_bytes - TMM_PAGE_SIZE, offset = va - area->start.v;

	if (offset >= bytes)
		print(printer, "%llu bytes beyond", hex(offset - bytes));
	else if (offset)
		print(printer, "%llu bytes inside", hex(offset));
	else
		print(printer, "the start of");
	print(printer, " the %s area of %llu bytes at 0x%llx, lent to 0x%llx%s",
	      verbs[area->kind], hex(bytes), hex(area->start.v),
	      hex((uint64_t)(uintptr_t)area->caller),
	      area->is_freed ? ", which is freed and not flushed yet" : "");
}

void kernel_describe(struct tmm_kernel_map *map, uint64_t va, struct printer *printer)
{
	struct tmm_vm_area_info area;
	struct tmm_window window;
	bool found = false;
	unsigned id;

	print(printer, "0x%llx is ", hex(va));
	for (id = 0; id < TMM_NR_WINDOWS && !found; id++)
		found = tmm_kernel_window(map, (enum tmm_window_id)id, &window) &&
		        va - window.start.v < window.end.v - window.start.v;
	if (!found)
		print(printer, "in no window of the kernel");
	else if (id - 1 == TMM_WINDOW_DIRECT)
		print(printer, "in frame %llu of the direct map",
		      hex((va - window.start.v) >> TMM_PAGE_SHIFT));
	else if (tmm_vm_area_find(map, (tmm_vaddr){va}, &area))
		describe_area(printer, &area, va);
	else
		print(printer, "in the %s window, where nothing is lent", window.name);
}

void tmm_kernel_describe(struct tmm_kernel_map *map, tmm_vaddr va, const struct tmm_sink *sink)
{
	struct printer printer;

	print_begin(&printer, sink);
	kernel_describe(map, va.v, &printer);
	print_end(&printer);
}
