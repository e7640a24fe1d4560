/*
 * vmallocinfo.c - /proc/vmallocinfo
 *
 * A line for each area, by rising address; its size has the guard page in it, as in
 * Linux.  A caller is printed as an address, for there are no symbols.  Areas that
 * wait for the flush are listed among the others.
 */
#include "view/snapshot.h"

static const char *const kind_names[TMM_NR_VM_KINDS] = {
	[TMM_VM_ALLOC] = "vmalloc",
	[TMM_VM_MAP] = "vmap",
	[TMM_VM_IOREMAP] = "ioremap",
	[TMM_VM_DMA] = "dma-coherent",
};

void print_vmallocinfo_area(struct printer *printer, const struct tmm_vm_area_info *area)
{
	uint64_t end = area->start.v + area->size_bytes;

	print(printer, "0x%llx-0x%llx %7llu", (unsigned long long)area->start.v,
	      (unsigned long long)end, (unsigned long long)area->size_bytes);
	if (area->is_freed) {
		print(printer, " unpurged vm_area\n");
		return;
	}
	print(printer, " 0x%llx", (unsigned long long)(uintptr_t)area->caller);
	if (area->nr_pages)
		print(printer, " pages=%llu", (unsigned long long)area->nr_pages);
	if (area->kind == TMM_VM_IOREMAP)
		print(printer, " phys=0x%016llx", (unsigned long long)area->phys.v);
	print(printer, " %s", kind_names[area->kind]);
	for (unsigned node = 0; node < TMM_MAX_NODES; node++)
		if (area->nr_of_node[node])
			print(printer, " N%u=%llu", node,
			      (unsigned long long)area->nr_of_node[node]);
	print(printer, "\n");
}
