/*
 * areas.c - one area of /proc/PID/maps and smaps
 */
#include "view/snapshot.h"

#define NAME_COLUMN 73 /* where Linux on 64 bits begins the name */

static void print_name(struct printer *printer, const struct tmm_area *area)
{
	const char *name = NULL;

	if (area->file)
		name = area->file->path;
	else if (area->kind == TMM_AREA_HEAP)
		name = "[heap]";
	else if (area->kind == TMM_AREA_STACK)
		name = "[stack]";
	else if (area->shared)
		name = "/dev/zero (deleted)";
	if (!name)
		return;
	print_pad_to(printer, NAME_COLUMN - 1);
	print_char(printer, ' '); /* also behind an inode that fills the column */
	print_escaped(printer, name, "\n");
}

void print_maps_area(struct printer *printer, const struct tmm_area *area)
{
	print(printer, "%08lx-%08lx %c%c%c%c ", area->start, area->end, area->read ? 'r' : '-',
	      area->write ? 'w' : '-', area->exec ? 'x' : '-', area->shared ? 's' : 'p');
	if (area->file)
		print(printer, "%08lx %02x:%02x %lu ", area->offset, area->file->dev_major,
		      area->file->dev_minor, area->file->inode);
	else
		print(printer, "%08lx %02x:%02x %lu ", area->offset, 0u, 0u, UINT64_C(0));
	print_name(printer, area);
	print_char(printer, '\n');
}

static void kib_row(struct printer *printer, const char *name, uint64_t kib)
{
	print(printer, "%s:", name);
	print_pad_to(printer, 16);
	print(printer, "%8lu kB\n", kib);
}

static void page_row(struct printer *printer, const char *name, uint64_t pages)
{
	kib_row(printer, name, pages_to_kib(pages));
}

static void print_flags(struct printer *printer, const struct tmm_area *area)
{
	const struct {
		const char *name;
		bool set;
	} flags[] = {
		{"rd", area->read},       {"wr", area->write},
		{"ex", area->exec},       {"sh", area->shared && area->may_write},
		{"mr", area->may_read},   {"mw", area->may_write},
		{"me", area->may_exec},   {"ms", area->shared},
		{"gd", area->grows_down}, {"sr", area->sequential},
		{"rr", area->random},     {"ac", area->accounted},
		{"nr", area->noreserve},
	};

	print(printer, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i].set)
			print(printer, "%s ", flags[i].name);
	}
	print_char(printer, '\n');
}

void print_smaps_area(struct printer *printer, const struct tmm_area *area)
{
	static const char *const absent[] = {
		"KSM",           "LazyFree",       "AnonHugePages",   "ShmemPmdMapped",
		"FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap",
		"SwapPss",       "Locked",
	};

	print_maps_area(printer, area);
	kib_row(printer, "Size", (area->end - area->start) >> 10);
	kib_row(printer, "KernelPageSize", TMM_PAGE_SIZE >> 10);
	kib_row(printer, "MMUPageSize", TMM_PAGE_SIZE >> 10);
	page_row(printer, "Rss", area->rss_pages);
	kib_row(printer, "Pss", area->pss_bytes >> 10);
	page_row(printer, "Pss_Dirty", area->shared_dirty + area->private_dirty);
	page_row(printer, "Shared_Clean", area->shared_clean);
	page_row(printer, "Shared_Dirty", area->shared_dirty);
	page_row(printer, "Private_Clean", area->private_clean);
	page_row(printer, "Private_Dirty", area->private_dirty);
	page_row(printer, "Referenced", area->referenced);
	page_row(printer, "Anonymous", area->anon_pages);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		kib_row(printer, absent[i], 0);
	print(printer, "THPeligible:    %8u\n", 0u);
	print_flags(printer, area);
}
