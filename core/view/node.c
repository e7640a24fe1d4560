/*
 * node.c - the files of nodes, below /sys/devices/system/node
 *
 * meminfo has what /proc/meminfo says of a node's own pages; numastat says whether
 * requests got pages from where they wished to.  Rows of things that the machine
 * does not have are 0.
 */
#include "view/snapshot.h"

static void row(struct printer *printer, unsigned node, const char *name, uint64_t pages)
{
	print(printer, "Node %u %-16s%8lu kB\n", node, name, pages_to_kib(pages));
}

static void zero_rows(struct printer *printer, unsigned node, const char *const *names,
                      size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		row(printer, node, names[i], 0);
}

void print_node_meminfo(struct printer *printer, unsigned node,
                        const struct tmm_node_info *info)
{
	static const char *const lru[] = {
		"SwapCached:",     "Active:",         "Inactive:",
		"Active(anon):",   "Inactive(anon):", "Active(file):",
		"Inactive(file):", "Unevictable:",    "Mlocked:",
	};
	static const char *const other[] = {
		"SecPageTables:", "NFS_Unstable:", "Bounce:", "WritebackTmp:"};
	static const char *const huge[] = {
		"AnonHugePages:", "ShmemHugePages:", "ShmemPmdMapped:", "FileHugePages:",
		"FilePmdMapped:"};
	static const char *const counts[] = {
		"HugePages_Total:", "HugePages_Free:", "HugePages_Surp:"};
	uint64_t slab = info->slab_reclaimable_pages + info->slab_unreclaimable_pages;

	row(printer, node, "MemTotal:", info->managed_pages);
	row(printer, node, "MemFree:", info->free_pages);
	row(printer, node, "MemUsed:", info->managed_pages - info->free_pages);
	zero_rows(printer, node, lru, ARRAY_SIZE(lru));
	row(printer, node, "Dirty:", info->dirty_pages);
	row(printer, node, "Writeback:", 0);
	row(printer, node, "FilePages:", info->file_pages);
	row(printer, node, "Mapped:", info->mapped_pages);
	row(printer, node, "AnonPages:", info->anon_pages);
	row(printer, node, "Shmem:", info->shmem_pages);
	row(printer, node, "KernelStack:", 0);
	row(printer, node, "PageTables:", info->table_pages);
	zero_rows(printer, node, other, ARRAY_SIZE(other));
	row(printer, node, "KReclaimable:", info->slab_reclaimable_pages);
	row(printer, node, "Slab:", slab);
	row(printer, node, "SReclaimable:", info->slab_reclaimable_pages);
	row(printer, node, "SUnreclaim:", info->slab_unreclaimable_pages);
	zero_rows(printer, node, huge, ARRAY_SIZE(huge));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		print(printer, "Node %u %-17s%5u\n", node, counts[i], 0u);
}

void print_numastat(struct printer *printer, const struct tmm_numa_counts *counts)
{
	print(printer, "numa_hit %lu\n", counts->hit);
	print(printer, "numa_miss %lu\n", counts->miss);
	print(printer, "numa_foreign %lu\n", counts->foreign);
	print(printer, "interleave_hit %lu\n", counts->interleave_hit);
	print(printer, "local_node %lu\n", counts->local);
	print(printer, "other_node %lu\n", counts->other);
}

void print_bit_map(struct printer *printer, const uint64_t *words, unsigned nr_bits)
{
	/* Linux prints whole hexadecimal digits, in groups of 32 bits from the right. */
	for (unsigned digit = (nr_bits + 3) / 4; digit-- > 0;) {
		unsigned value = (unsigned)(words[digit / 16] >> digit % 16 * 4) & 0xf;

		print(printer, "%x", value);
		if (digit > 0 && digit % 8 == 0)
			print_char(printer, ',');
	}
	print_char(printer, '\n');
}
