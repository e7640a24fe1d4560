/*
 * view.h - the text of Linux's memory files, byte for byte as Linux prints them
 *
 * Each function writes one file into a sink.  Numbers of one call are one
 * snapshot.  Rows of things that a machine does not have, such as swap, are 0, as
 * on a Linux without.
 *
 * Units    as in the files: kB are KiB, counts of vmstat and zoneinfo are pages.
 *          Pages on the CPUs' stacks are not free there, but in "pagesets"
 * Locks    each storey's own, one after the other; may be called at any time
 * Linux    /proc/meminfo, buddyinfo, pagetypeinfo, zoneinfo, slabinfo, iomem, ioports, vmstat,
 *          vmallocinfo, PID/maps, PID/smaps, PID/status;
 *          /sys/devices/system/node and memory (formats of 6.18)
 */
#ifndef TUXMM_VIEW_H
#define TUXMM_VIEW_H

#include <tuxmm/machine.h>
#include <tuxmm/sink.h>

/* Files of the machine. */
void tmm_view_meminfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_buddyinfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_pagetypeinfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_zoneinfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_slabinfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_vmallocinfo(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_iomem(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_ioports(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_vmstat(struct tmm_machine *machine, const struct tmm_sink *sink);

/* Both as those see them who may not know addresses: all are zeroes. */
void tmm_view_iomem_hidden(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_ioports_hidden(struct tmm_machine *machine, const struct tmm_sink *sink);

/* Files of a node, which there is (asserted): nodeN/meminfo and so on. */
void tmm_view_node_meminfo(struct tmm_machine *machine, unsigned node,
                           const struct tmm_sink *sink);
void tmm_view_node_numastat(struct tmm_machine *machine, unsigned node,
                            const struct tmm_sink *sink);
void tmm_view_node_vmstat(struct tmm_machine *machine, unsigned node,
                          const struct tmm_sink *sink);
void tmm_view_node_cpulist(struct tmm_machine *machine, unsigned node,
                           const struct tmm_sink *sink);
void tmm_view_node_cpumap(struct tmm_machine *machine, unsigned node,
                          const struct tmm_sink *sink);
void tmm_view_node_distance(struct tmm_machine *machine, unsigned node,
                            const struct tmm_sink *sink);

/* The numbers of nodes: all (Linux: online, possible), or those that have something. */
enum tmm_node_list {
	TMM_NODES_ONLINE,
	TMM_NODES_HAS_CPU,
	TMM_NODES_HAS_MEMORY,
	TMM_NODES_HAS_NORMAL_MEMORY /* with an address, and not MOVABLE */
};
void tmm_view_node_list(struct tmm_machine *machine, enum tmm_node_list list,
                        const struct tmm_sink *sink);

/*
 * Files of /sys/devices/system/memory, for machines with sections (tuxmm/hotplug.h); and of
 * memoryN there, by the block's number: their names, NULL past the last; and their
 * text, false past the last and where there is no such block.
 */
void tmm_view_memory_block_size(struct tmm_machine *machine, const struct tmm_sink *sink);
void tmm_view_memory_auto_online(struct tmm_machine *machine, const struct tmm_sink *sink);
const char *tmm_view_memory_file(size_t file);
bool tmm_view_memory(struct tmm_machine *machine, uint64_t number, size_t file,
                     const struct tmm_sink *sink);

/*
 * Files of /sys/kernel/slab/CACHE, and alloc_calls and free_calls, by the index of
 * tmm_cache_info(): their names, NULL past the last; and their text, false past the last.
 */
const char *tmm_view_slab_file(size_t file);
bool tmm_view_slab(struct tmm_machine *machine, size_t cache, size_t file,
                   const struct tmm_sink *sink);

/*
 * What is written to such a file: a number, maybe with the end of a line.
 *   TMM_OK
 *   TMM_E_INVAL  the file takes no such number (tmm_cache_control())
 *   TMM_E_IO     nothing can be written to it
 *   TMM_E_NOENT  there is no such cache
 */
bool tmm_view_slab_is_writable(size_t file);
TMM_MUST_CHECK tmm_err tmm_view_slab_store(struct tmm_machine *machine, size_t cache,
                                           size_t file, const char *text, size_t bytes);

/* Areas of an address space, in rising order; smaps walks their pages too. */
void tmm_view_maps(struct tmm_mm *mm, const struct tmm_sink *sink);
void tmm_view_smaps(struct tmm_mm *mm, const struct tmm_sink *sink);

/* What status says of a task that memory management does not know. */
struct tmm_task_id {
	const char *name; /* comm: at most 15 characters */
	char state;       /* 'R', 'S', 'Z', ... */
	uint32_t pid, ppid, threads;
	uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
	uint32_t umask, fd_size;
	uint64_t sig_pending, shd_pending, sig_blocked, sig_ignored, sig_caught;
	uint64_t voluntary_switches, involuntary_switches;
};
void tmm_view_status(struct tmm_mm *mm, const struct tmm_task_id *id,
                     const struct tmm_sink *sink);

#endif
