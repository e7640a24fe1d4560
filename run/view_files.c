/*
 * view_files.c - the table of files and the views that print them
 */
#include "view_files.h"

#include <string.h>

#define NODE_LIST(name, list)                                                                  \
	static void write_##name(struct tmm_machine *machine, const struct tmm_sink *sink)     \
	{                                                                                      \
		tmm_view_node_list(machine, list, sink);                                       \
	}
NODE_LIST(online, TMM_NODES_ONLINE)
NODE_LIST(has_cpu, TMM_NODES_HAS_CPU)
NODE_LIST(has_memory, TMM_NODES_HAS_MEMORY)
NODE_LIST(has_normal_memory, TMM_NODES_HAS_NORMAL_MEMORY)

const struct view_file view_files[] = {
	{"/proc/meminfo", tmm_view_meminfo},
	{"/proc/buddyinfo", tmm_view_buddyinfo},
	{"/proc/pagetypeinfo", tmm_view_pagetypeinfo},
	{"/proc/zoneinfo", tmm_view_zoneinfo},
	{"/proc/slabinfo", tmm_view_slabinfo},
	{"/proc/vmallocinfo", tmm_view_vmallocinfo},
	{"/proc/iomem", tmm_view_iomem},
	{"/proc/ioports", tmm_view_ioports},
	{"/proc/vmstat", tmm_view_vmstat},
	{VIEW_NODES "online", write_online},
	{VIEW_NODES "possible", write_online},
	{VIEW_NODES "has_cpu", write_has_cpu},
	{VIEW_NODES "has_memory", write_has_memory},
	{VIEW_NODES "has_normal_memory", write_has_normal_memory},
};
const size_t nr_view_files = sizeof(view_files) / sizeof(view_files[0]);

const struct view_node_file view_node_files[] = {
	{"meminfo", tmm_view_node_meminfo}, {"numastat", tmm_view_node_numastat},
	{"vmstat", tmm_view_node_vmstat},   {"cpulist", tmm_view_node_cpulist},
	{"cpumap", tmm_view_node_cpumap},   {"distance", tmm_view_node_distance},
};
const size_t nr_view_node_files = sizeof(view_node_files) / sizeof(view_node_files[0]);

const struct view_file view_memory_files[] = {
	{VIEW_MEMORY "auto_online_blocks", tmm_view_memory_auto_online},
	{VIEW_MEMORY "block_size_bytes", tmm_view_memory_block_size},
};
const size_t nr_view_memory_files = sizeof(view_memory_files) / sizeof(view_memory_files[0]);

bool view_is_writable(const char *path)
{
	static const char *const names[] = {"/auto_online_blocks", "/online", "/state"};
	const char *last = strrchr(path, '/');

	if (strncmp(path, VIEW_MEMORY, strlen(VIEW_MEMORY)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(last, names[i]) == 0)
			return true;
	return false;
}
