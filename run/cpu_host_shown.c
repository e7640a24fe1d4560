/*
 * cpu_host_shown.c - which pages were shown lately
 *
 * A walk returns the faulting page's present neighbours, most of which a program that
 * goes through its memory has been shown before.  Mapping them again costs as much as
 * the first time, so they are cut off.
 *
 * The table is direct-mapped: a page that another one displaced is shown once more.
 * Nothing tells us when the host process loses mappings other than by our commands, and
 * it need not: the page that faulted is always shown.
 */
#include "cpu_host_impl.h"

#define ERA_BITS 20 /* above frame and rights; when it wraps, a hint may be wrong */

static uint64_t what(const struct cpu *cpu, uint64_t pfn, unsigned rights)
{
	return (cpu->era << (64 - ERA_BITS)) | (pfn << 3) | rights;
}

static bool is_shown(const struct cpu *cpu, uint64_t va, uint64_t pfn, unsigned rights)
{
	uint64_t vpn = va / HOST_PAGE;
	const struct shown *shown = &cpu->shown[vpn % NR_SHOWN];

	return shown->vpn == vpn && shown->what == what(cpu, pfn, rights);
}

/* Cut pages off both ends that need not be shown; the one that holds va must be. */
void host_shown_trim(const struct cpu *cpu, struct cpu_extent *extent, uint64_t va)
{
	uint64_t keep = va / HOST_PAGE * HOST_PAGE;

	while (extent->nr_pages && extent->va != keep &&
	       is_shown(cpu, extent->va, extent->pfn, extent->rights)) {
		extent->va += HOST_PAGE;
		extent->pfn++;
		extent->nr_pages--;
	}
	while (extent->nr_pages) {
		uint64_t last = extent->nr_pages - 1;

		if (extent->va + last * HOST_PAGE == keep ||
		    !is_shown(cpu, extent->va + last * HOST_PAGE, extent->pfn + last,
		              extent->rights))
			break;
		extent->nr_pages = last;
	}
}

void host_shown_add(struct cpu *cpu, const struct cpu_extent *extent)
{
	for (uint64_t i = 0; i < extent->nr_pages; i++) {
		uint64_t vpn = extent->va / HOST_PAGE + i;

		cpu->shown[vpn % NR_SHOWN] = (struct shown){
			vpn, what(cpu, extent->pfn + i, extent->rights)};
	}
}

void host_shown_forget(struct cpu *cpu, uint64_t va, uint64_t nr_pages)
{
	if (nr_pages > NR_SHOWN) {
		cpu->era++;
		return;
	}
	for (uint64_t i = 0; i < nr_pages; i++) {
		uint64_t vpn = va / HOST_PAGE + i;

		if (cpu->shown[vpn % NR_SHOWN].vpn == vpn)
			cpu->shown[vpn % NR_SHOWN].what = 0;
	}
}
