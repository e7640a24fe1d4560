/*
 * memory_block.c - sections as an administrator sees them
 *
 * A memory block is a section's place: there as long as there is RAM, in use or not.
 * tmm_pages.place[] has a byte for each.
 *
 *   0                              no RAM, or RAM of boot in its zone by address
 *   PLACE_OFFLINE | node           RAM that no zone has
 *   PLACE_MOVABLE                  RAM in its node's MOVABLE zone, wherever it lies
 *
 * Taking a block out of use removes its section from the zones and from memblock's lists;
 * its addresses stay claimed.  Which zone it comes to when it is used again is Linux's
 * choice: the kernel's zone by address, unless MOVABLE is wished for or the block lies
 * within that zone alone.  Zones may lie between each other's blocks.
 */
#include "page/carve.h"
#include "page/hotplug.h"

static unsigned section_shift(const struct tmm_pages *pages)
{
	return pages->map.shift + TMM_PAGE_SHIFT;
}

static bool has_sections(const struct tmm_pages *pages)
{
	return pages->place != NULL;
}

static uint64_t first_section(const struct tmm_pages *pages)
{
	return pages->first_pfn >> pages->map.shift;
}

uint8_t *place_of_section(const struct tmm_pages *pages, uint64_t section)
{
	uint64_t index = section - first_section(pages);

	return has_sections(pages) && index < pages->nr_places ? &pages->place[index] : NULL;
}

/* ---- what there is ---- */

/* What a section's addresses have: the node is the first RAM's, or that of RAM offline. */
struct section_ram {
	bool is_online, is_offline; /* neither: no RAM */
	uint32_t node;
};

static struct section_ram ram_of(const struct tmm_pages *pages, uint64_t section)
{
	const struct tmm_region_list *memory = &pages->memblock->memory;
	uint64_t start = section << section_shift(pages);
	uint64_t end = (section + 1) << section_shift(pages);
	struct section_ram ram;
	unsigned place;

	lock_take(pages->ram_lock);
	place = *place_of_section(pages, section);
	ram = (struct section_ram){.is_offline = (place & PLACE_OFFLINE) != 0,
	                           .node = place & PLACE_NODE};
	for (uint32_t i = 0; i < memory->nr && memory->region[i].start < end; i++) {
		if (memory->region[i].end <= start)
			continue;
		ram.is_online = true;
		ram.node = memory->region[i].node;
		break;
	}
	lock_drop(pages->ram_lock);
	return ram;
}

/* The zone that all RAM of the block is in; TMM_NR_ZONES: there is none such. */
static enum tmm_zone_id zone_of_section(const struct tmm_pages *pages, uint64_t section)
{
	uint64_t pfn = section << pages->map.shift,
		 end = pfn + (UINT64_C(1) << pages->map.shift);
	enum tmm_zone_id id = TMM_NR_ZONES;
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	while (carve_next(pages, &cursor, &piece)) {
		if (piece.end <= pfn || piece.start >= end)
			continue;
		if (id != TMM_NR_ZONES && id != piece.kind)
			return TMM_NR_ZONES;
		id = piece.kind;
	}
	return id;
}

static const struct zone *zone_at(const struct tmm_pages *pages, uint32_t node,
                                  enum tmm_zone_id id)
{
	uint8_t index = pages->node[node].zone_index[id];

	return index == ZONE_NONE ? NULL : &pages->zone[index];
}

static bool is_within(const struct zone *zone, uint64_t start, uint64_t end)
{
	return zone && size_of(&zone->present) && zone->start < end && start < zone->end;
}

/* Linux: default_zone_for_pfn(), without movable_node. */
static enum tmm_zone_id default_zone(const struct tmm_pages *pages, uint64_t section,
                                     uint32_t node)
{
	uint64_t pfn = section << pages->map.shift,
		 end = pfn + (UINT64_C(1) << pages->map.shift);
	enum tmm_zone_id kernel = zone_by_pfn(pages, pfn);
	bool in_kernel = is_within(zone_at(pages, node, kernel), pfn, end);
	bool in_movable = is_within(zone_at(pages, node, TMM_ZONE_MOVABLE), pfn, end);

	return in_movable && !in_kernel ? TMM_ZONE_MOVABLE : kernel;
}

static void list_zone(struct tmm_memory_block *block, const struct tmm_pages *pages,
                      enum tmm_zone_id id)
{
	for (unsigned i = 0; i < block->nr_valid_zones; i++)
		if (block->valid_zone[i] == id)
			return;
	if (zone_at(pages, block->node, id))
		block->valid_zone[block->nr_valid_zones++] = id;
}

bool tmm_memory_block_info(const struct tmm_pages *pages, uint64_t number,
                           struct tmm_memory_block *out)
{
	struct section_ram ram;
	enum tmm_zone_id zone;

	if (!place_of_section(pages, number))
		return false;
	ram = ram_of(pages, number);
	if (!ram.is_online && !ram.is_offline)
		return false;
	*out = (struct tmm_memory_block){
		.number = number,
		.start = {number << section_shift(pages)},
		.size_bytes = tmm_section_bytes(pages),
		.node = ram.node,
		.is_online = ram.is_online,
	};
	if (out->is_online) {
		zone = zone_of_section(pages, number);
		if (zone != TMM_NR_ZONES)
			list_zone(out, pages, zone);
		return true;
	}
	list_zone(out, pages, default_zone(pages, number, out->node));
	list_zone(out, pages, zone_by_pfn(pages, number << pages->map.shift));
	list_zone(out, pages, TMM_ZONE_MOVABLE);
	return true;
}

bool tmm_memory_block_next(const struct tmm_pages *pages, uint64_t *cursor,
                           struct tmm_memory_block *out)
{
	uint64_t number = max_u64(*cursor, has_sections(pages) ? first_section(pages) : 0);

	for (; place_of_section(pages, number); number++) {
		if (!tmm_memory_block_info(pages, number, out))
			continue;
		*cursor = number + 1;
		return true;
	}
	return false;
}

/* ---- what is done with them ---- */

static tmm_err refuse(struct tmm_hotplug_report *report, tmm_err err, const char *why)
{
	*report = (struct tmm_hotplug_report){.why = why, .pfn = TMM_PFN_NONE};
	return err;
}

static void set_place(struct tmm_pages *pages, uint64_t number, unsigned place)
{
	lock_take(pages->ram_lock);
	*place_of_section(pages, number) = (uint8_t)place;
	lock_drop(pages->ram_lock);
}

static tmm_err block_offline(struct tmm_pages *pages, const struct tmm_memory_block *block,
                             struct tmm_hotplug_report *report)
{
	unsigned before = *place_of_section(pages, block->number);
	tmm_err err = section_offline(pages, block->start, report);

	set_place(pages, block->number, err == TMM_OK ? PLACE_OFFLINE | block->node : before);
	return err;
}

static tmm_err block_online(struct tmm_pages *pages, const struct tmm_memory_block *block,
                            enum tmm_block_use use, struct tmm_hotplug_report *report)
{
	enum tmm_zone_id zone = default_zone(pages, block->number, block->node);
	tmm_err err;

	if (use == TMM_BLOCK_ONLINE_KERNEL)
		zone = zone_by_pfn(pages, block->number << pages->map.shift);
	if (use == TMM_BLOCK_ONLINE_MOVABLE)
		zone = TMM_ZONE_MOVABLE;
	if (!zone_at(pages, block->node, zone))
		return refuse(report, TMM_E_INVAL, "the node has such a zone");
	set_place(pages, block->number, zone == TMM_ZONE_MOVABLE ? PLACE_MOVABLE : 0);
	err = section_online(pages, block->start, block->node, report);
	if (err != TMM_OK)
		set_place(pages, block->number, PLACE_OFFLINE | block->node);
	return err;
}

tmm_err tmm_memory_block_set(struct tmm_pages *pages, uint64_t number, enum tmm_block_use use,
                             struct tmm_hotplug_report *report)
{
	struct tmm_memory_block block;

	if (!tmm_memory_block_info(pages, number, &block))
		return refuse(report, TMM_E_NOENT, "the machine has such a memory block");
	if ((unsigned)use > TMM_BLOCK_ONLINE_MOVABLE)
		return refuse(report, TMM_E_INVAL, "a block is offline or one kind of online");
	if (block.is_online == (use != TMM_BLOCK_OFFLINE))
		return refuse(report, TMM_E_INVAL, "the block is not so already");
	return use == TMM_BLOCK_OFFLINE ? block_offline(pages, &block, report)
	                                : block_online(pages, &block, use, report);
}

tmm_err tmm_memory_set_auto_online(struct tmm_pages *pages, enum tmm_block_use use)
{
	if ((unsigned)use > TMM_BLOCK_ONLINE_MOVABLE)
		return TMM_E_INVAL;
	/* relaxed: a setting */
	__atomic_store_n(&pages->auto_online, (uint32_t)use, __ATOMIC_RELAXED);
	return TMM_OK;
}

enum tmm_block_use tmm_memory_auto_online(const struct tmm_pages *pages)
{
	/* relaxed: a setting */
	return (enum tmm_block_use)__atomic_load_n(&pages->auto_online, __ATOMIC_RELAXED);
}

tmm_err tmm_memory_add(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                       struct tmm_hotplug_report *report)
{
	uint64_t bytes = tmm_section_bytes(pages), number = bytes ? start.v / bytes : 0;
	enum tmm_block_use use = tmm_memory_auto_online(pages);
	struct tmm_memory_block block;
	struct tmm_hotplug_report unused;
	tmm_err err = TMM_OK;

	if (!bytes || start.v % bytes || !place_of_section(pages, number) ||
	    node >= pages->nr_nodes)
		return refuse(report, TMM_E_INVAL, "a section of one of the machine's nodes");
	if (tmm_memory_block_info(pages, number, &block))
		return refuse(report, TMM_E_EXIST, "memory that is added is not there yet");
	if (pages->ram_ops)
		err = pages->ram_ops->add(pages->ram_arg, start.v, start.v + bytes);
	if (err != TMM_OK)
		return refuse(report, err, "nobody has claimed the memory's addresses");
	*report = (struct tmm_hotplug_report){.pfn = TMM_PFN_NONE};
	set_place(pages, number, PLACE_OFFLINE | node);
	/* If that is refused it is there all the same, as in Linux. */
	if (use != TMM_BLOCK_OFFLINE && tmm_memory_block_info(pages, number, &block))
		(void)!block_online(pages, &block, use, &unused);
	return TMM_OK;
}
