/*
 * meminfo.c - /proc/meminfo and /proc/buddyinfo
 *
 * MemFree counts what lies in zones; pages on the CPUs' stacks are neither free
 * nor used there, as in Linux.  MemAvailable is Linux's estimate: free memory
 * above the reserves, plus the part of page cache and reclaimable slab that can
 * go without hurting.  Rows of things that a machine does not have are 0.
 */
#include "view/snapshot.h"

static void row(struct printer *printer, const char *name, uint64_t kib)
{
	print(printer, "%s:", name);
	print_pad_to(printer, 16);
	print(printer, "%8lu kB\n", kib);
}

static void page_row(struct printer *printer, const char *name, uint64_t pages)
{
	row(printer, name, pages_to_kib(pages));
}

static void zero_rows(struct printer *printer, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		row(printer, names[i], 0);
}

/* What of `pages` can be taken back: at least half, and all above the low watermark. */
static uint64_t takeable(uint64_t pages, uint64_t low)
{
	return pages - min_u64(pages / 2, low);
}

static uint64_t available_pages(const struct snapshot *snapshot, uint64_t free_pages)
{
	uint64_t reserve = snapshot->zones.reserve, low = snapshot->zones.low;
	uint64_t files = snapshot->uses.file_pages - snapshot->uses.shmem_pages;
	uint64_t available = free_pages + takeable(files, low) +
	                     takeable(snapshot->uses.slab_reclaimable_pages, low);

	return available > reserve ? available - reserve : 0;
}

/* Zones are asked one after the other, so the sum may be of another moment. */
static uint64_t free_low(const struct zone_sums *zones)
{
	return zones->free - min_u64(zones->free_high, zones->free);
}

static void print_head(struct printer *printer, const struct snapshot *snapshot)
{
	uint64_t free_pages = snapshot->zones.free;

	page_row(printer, "MemTotal", snapshot->zones.managed);
	page_row(printer, "MemFree", free_pages);
	page_row(printer, "MemAvailable", available_pages(snapshot, free_pages));
	row(printer, "Buffers", 0);
	page_row(printer, "Cached", snapshot->uses.file_pages);
}

static void print_slab(struct printer *printer, const struct snapshot *snapshot)
{
	uint64_t reclaimable = snapshot->uses.slab_reclaimable_pages;
	uint64_t unreclaimable = snapshot->uses.slab_unreclaimable_pages;

	page_row(printer, "KReclaimable", reclaimable);
	page_row(printer, "Slab", reclaimable + unreclaimable);
	page_row(printer, "SReclaimable", reclaimable);
	page_row(printer, "SUnreclaim", unreclaimable);
}

static void print_huge(struct printer *printer)
{
	static const char *const counts[] = {"Total", "Free", "Rsvd", "Surp"};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		print(printer, "HugePages_%s:", counts[i]);
		print_pad_to(printer, 16);
		print(printer, "%8u\n", 0u);
	}
	row(printer, "Hugepagesize", 2048);
	row(printer, "Hugetlb", 0);
}

void print_meminfo(struct printer *printer, const struct snapshot *snapshot)
{
	static const char *const lru[] = {"SwapCached",     "Active",         "Inactive",
	                                  "Active(anon)",   "Inactive(anon)", "Active(file)",
	                                  "Inactive(file)", "Unevictable",    "Mlocked"};
	static const char *const swap[] = {"SwapTotal", "SwapFree", "Zswap", "Zswapped"};
	static const char *const io[] = {"SecPageTables", "NFS_Unstable", "Bounce",
	                                 "WritebackTmp"};
	static const char *const kernel[] = {
		"VmallocChunk",   "Percpu",        "AnonHugePages", "ShmemHugePages",
		"ShmemPmdMapped", "FileHugePages", "FilePmdMapped",
	};
	const struct tmm_space_totals *space = &snapshot->space;

	print_head(printer, snapshot);
	zero_rows(printer, lru, ARRAY_SIZE(lru));
	if (snapshot->zones.high) {
		page_row(printer, "HighTotal", snapshot->zones.high);
		page_row(printer, "HighFree", snapshot->zones.free_high);
		page_row(printer, "LowTotal", snapshot->zones.managed - snapshot->zones.high);
		page_row(printer, "LowFree", free_low(&snapshot->zones));
	}
	zero_rows(printer, swap, ARRAY_SIZE(swap));
	page_row(printer, "Dirty", snapshot->uses.dirty_pages);
	row(printer, "Writeback", 0);
	page_row(printer, "AnonPages", snapshot->uses.anon_pages);
	page_row(printer, "Mapped", snapshot->uses.mapped_pages);
	page_row(printer, "Shmem", snapshot->uses.shmem_pages);
	print_slab(printer, snapshot);
	row(printer, "KernelStack", 0);
	page_row(printer, "PageTables", snapshot->uses.table_pages);
	zero_rows(printer, io, ARRAY_SIZE(io));
	page_row(printer, "CommitLimit", space->commit_limit_pages);
	page_row(printer, "Committed_AS", space->committed_pages);
	row(printer, "VmallocTotal", snapshot->vmalloc.total_bytes >> 10);
	page_row(printer, "VmallocUsed", snapshot->vmalloc.used_pages);
	zero_rows(printer, kernel, ARRAY_SIZE(kernel));
	if (snapshot->zones.cma) {
		page_row(printer, "CmaTotal", snapshot->zones.cma);
		page_row(printer, "CmaFree", snapshot->zones.free_cma);
	}
	row(printer, "Balloon", 0);
	print_huge(printer);
	row(printer, "DirectMap4k", snapshot->direct_map.small_bytes >> 10);
	row(printer, "DirectMap2M", snapshot->direct_map.large_bytes >> 10);
	row(printer, "DirectMap1G", snapshot->direct_map.huge_bytes >> 10);
}

void print_buddyinfo_zone(struct printer *printer, const struct tmm_zone_info *zone)
{
	print(printer, "Node %u, zone %8s ", zone->node, zone->name);
	for (unsigned order = 0; order < zone->nr_orders; order++)
		print(printer, "%6lu ", zone->free_area[order]);
	print(printer, "\n");
}
