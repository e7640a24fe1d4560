/*
 * memory.c - the files of memory blocks, below /sys/devices/system/memory
 */
#include <tuxmm/hotplug.h>
#include <tuxmm/view.h>

#include "view/snapshot.h"

static const char *const zone_names[TMM_NR_ZONES] = {"DMA", "DMA32", "Normal", "HighMem",
                                                     "Movable"};

void tmm_view_memory_block_size(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	struct printer printer;

	print_begin(&printer, sink);
	print(&printer, "%llx\n",
	      (unsigned long long)tmm_section_bytes(tmm_machine_pages(machine)));
	print_end(&printer);
}

void tmm_view_memory_auto_online(struct tmm_machine *machine, const struct tmm_sink *sink)
{
	static const char *const uses[] = {"offline", "online", "online_kernel",
	                                   "online_movable"};
	struct printer printer;

	print_begin(&printer, sink);
	print(&printer, "%s\n", uses[tmm_memory_auto_online(tmm_machine_pages(machine))]);
	print_end(&printer);
}

/* ---- of one block ---- */

static void print_online(struct printer *printer, const struct tmm_memory_block *block)
{
	print(printer, "%u\n", block->is_online);
}

/* Of processors that keep devices' memory in blocks; 0 on x86. */
static void print_phys_device(struct printer *printer, const struct tmm_memory_block *block)
{
	(void)block;
	print(printer, "0\n");
}

static void print_phys_index(struct printer *printer, const struct tmm_memory_block *block)
{
	print(printer, "%08llx\n", (unsigned long long)block->number);
}

/* Linux: whether it was built for removing memory. */
static void print_removable(struct printer *printer, const struct tmm_memory_block *block)
{
	(void)block;
	print(printer, "1\n");
}

static void print_state(struct printer *printer, const struct tmm_memory_block *block)
{
	print(printer, "%s\n", block->is_online ? "online" : "offline");
}

static void print_valid_zones(struct printer *printer, const struct tmm_memory_block *block)
{
	for (unsigned i = 0; i < block->nr_valid_zones; i++)
		print(printer, "%s%s", i ? " " : "", zone_names[block->valid_zone[i]]);
	print(printer, "%s\n", block->nr_valid_zones ? "" : "none");
}

static const struct {
	const char *name;
	void (*print)(struct printer *printer, const struct tmm_memory_block *block);
} files[] = {
	{"online", print_online},         {"phys_device", print_phys_device},
	{"phys_index", print_phys_index}, {"removable", print_removable},
	{"state", print_state},           {"valid_zones", print_valid_zones},
};

const char *tmm_view_memory_file(size_t file)
{
	return file < ARRAY_SIZE(files) ? files[file].name : NULL;
}

bool tmm_view_memory(struct tmm_machine *machine, uint64_t number, size_t file,
                     const struct tmm_sink *sink)
{
	struct tmm_memory_block block;
	struct printer printer;

	if (file >= ARRAY_SIZE(files) ||
	    !tmm_memory_block_info(tmm_machine_pages(machine), number, &block))
		return false;
	print_begin(&printer, sink);
	files[file].print(&printer, &block);
	print_end(&printer);
	return true;
}
