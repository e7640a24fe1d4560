/*
 * hotplug.c - sections that come and go
 *
 * To add: the range becomes memblock's memory and its first frames, where the
 * descriptors are, memblock's reserved; the section gets its entry in the map; its
 * blocks are entered into the zone as those of boot were.
 *
 * To remove: each block becomes isolated, so that its frames are lent no more and
 * go to the zone when freed; pages are moved out; when every frame is free, the
 * blocks are emptied and everything that adding did is undone.  A section of boot
 * has its descriptors elsewhere: that memory becomes free, too.
 *
 * Spans, counts and watermarks follow.  Memblock's lists change under ram_lock,
 * which all who read them while the machine runs hold.
 */
#include <tuxmm/page_debug.h>

#include "page/carve.h"
#include "page/debug.h"
#include "page/deferred.h"
#include "page/hotplug.h"
#include "page/stack.h"

/* Rounds of moving before a page that is busy is reported. */
#define MOVE_ROUNDS 3u

struct plug {
	struct tmm_pages *pages;
	struct zone *zone;
	uint64_t section;
	uint64_t start, end; /* frames */
	struct tmm_hotplug_report *report;
};

static tmm_err refuse(const struct plug *plug, tmm_err err, const char *why)
{
	*plug->report = (struct tmm_hotplug_report){.why = why, .pfn = TMM_PFN_NONE};
	return err;
}

static tmm_err refuse_frame(const struct plug *plug, tmm_err err, uint64_t pfn,
                            const char *kind, const char *why)
{
	*plug->report = (struct tmm_hotplug_report){.why = why, .pfn = {pfn}, .kind = kind};
	return err;
}

/* The same of a frame that somebody has. */
static tmm_err refuse_lent(const struct plug *plug, tmm_err err, uint64_t pfn, const char *kind,
                           const char *why)
{
	struct tmm_page_owner owner;

	refuse_frame(plug, err, pfn, kind, why);
	plug->report->owner = page_owner(page_of(plug->pages, (tmm_pfn){pfn}));
	if (tmm_page_owner(plug->pages, (tmm_pfn){pfn}, &owner) && owner.lent)
		plug->report->lent_by = owner.lent_by;
	return err;
}

uint64_t tmm_section_bytes(const struct tmm_pages *pages)
{
	return pages->map.model == TMM_MEMORY_SPARSE
	               ? UINT64_C(1) << (pages->map.shift + TMM_PAGE_SHIFT)
	               : 0;
}

/* Is something kept for all of these frames? */
static bool may_be_ram(const struct tmm_pages *pages, uint64_t start, uint64_t end)
{
	const uint64_t part = UINT64_C(1) << pages->part_shift;

	if (start < pages->first_pfn || end > pages->first_pfn + pages->nr_frames)
		return false;
	for (uint64_t pfn = start; pfn < end; pfn = align_down(pfn, part) + part)
		if (!pfn_in_span(pages, pfn))
			return false;
	return true;
}

static tmm_err plug_begin(struct plug *plug, struct tmm_pages *pages, tmm_paddr start,
                          struct tmm_hotplug_report *report)
{
	uint64_t bytes = tmm_section_bytes(pages);

	*plug = (struct plug){.pages = pages, .report = report};
	*report = (struct tmm_hotplug_report){.pfn = TMM_PFN_NONE};
	if (!bytes)
		return refuse(plug, TMM_E_INVAL, "only TMM_MEMORY_SPARSE has sections");
	if (start.v % bytes)
		return refuse(plug, TMM_E_INVAL,
		              "a section's address is a multiple of its size");
	plug->section = start.v / bytes;
	plug->start = start.v >> TMM_PAGE_SHIFT;
	plug->end = plug->start + (bytes >> TMM_PAGE_SHIFT);
	if (!may_be_ram(pages, plug->start, plug->end))
		return refuse(plug, TMM_E_INVAL,
		              "a section lies below hotplug_end, or near memory of the boot");
	return TMM_OK;
}

void pages_set_ram_ops(struct tmm_pages *pages, const struct ram_ops *ops, void *arg)
{
	pages->ram_ops = ops;
	pages->ram_arg = arg;
}

static tmm_err ask(struct plug *plug, tmm_err (*of)(void *arg, uint64_t start, uint64_t end),
                   const char *why)
{
	tmm_err err = of(plug->pages->ram_arg, plug->start << TMM_PAGE_SHIFT,
	                 plug->end << TMM_PAGE_SHIFT);

	return err == TMM_OK ? TMM_OK : refuse(plug, err, why);
}

/* ---- what changes with either ---- */

/* Zone and node reach from their first RAM to their last, and their shares change. */
static void update_spans(struct plug *plug)
{
	struct tmm_pages *pages = plug->pages;
	struct zone *zone = plug->zone;
	struct page_node *node = &pages->node[zone->node];
	uint64_t zone_start = UINT64_MAX, zone_end = 0, node_start = UINT64_MAX, node_end = 0;
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	while (carve_next(pages, &cursor, &piece)) {
		if (piece.node != zone->node)
			continue;
		node_start = min_u64(node_start, piece.start);
		node_end = max_u64(node_end, piece.end);
		if (piece.kind != zone->id)
			continue;
		zone_start = min_u64(zone_start, piece.start);
		zone_end = max_u64(zone_end, piece.end);
	}
	/* A zone that has become empty keeps its span: nobody looks. */
	if (zone_end) {
		zone->start = zone_start;
		zone->end = zone_end;
	}
	if (node_end) {
		node->start = node_start;
		node->end = node_end;
	}
}

static void count_section(struct plug *plug, uint64_t present, uint64_t managed)
	TMM_REQUIRES(plug->zone->lock)
{
	size_change(&plug->zone->present, present);
	size_change(&plug->zone->managed, managed);
	size_change(&plug->pages->node[plug->zone->node].present, present);
	size_change(&plug->pages->managed, managed);
	update_spans(plug);
}

/* Reserves, stacks and first choices are by the zones' sizes. */
static void follow_sizes(struct tmm_pages *pages)
{
	watermarks_update(pages);
	stacks_ask(pages, ASK_RESIZE);
}

static uint64_t array_frames(const struct tmm_pages *pages)
{
	return (UINT64_C(1) << pages->map.array_shift) >> TMM_PAGE_SHIFT;
}

/* ---- adding ---- */

static tmm_err list_section(struct plug *plug, uint32_t node)
	TMM_REQUIRES(plug->pages->ram_lock)
{
	struct tmm_memblock *mb = plug->pages->memblock;
	tmm_paddr start = {plug->start << TMM_PAGE_SHIFT};
	uint64_t bytes = (plug->end - plug->start) << TMM_PAGE_SHIFT;
	tmm_err err;

	err = tmm_memblock_add(mb, start, bytes, node);
	if (err != TMM_OK)
		return err;
	err = tmm_memblock_reserve(mb, start, UINT64_C(1) << plug->pages->map.array_shift);
	if (err != TMM_OK && tmm_memblock_remove(mb, start, bytes) != TMM_OK)
		tmm_port_panic(__FILE__, __LINE__, "what was added can be removed");
	return err;
}

/* The reverse: memory, and what of it was reserved. */
static void unlist_section(struct plug *plug) TMM_REQUIRES(plug->pages->ram_lock)
{
	struct tmm_memblock *mb = plug->pages->memblock;
	tmm_paddr start = {plug->start << TMM_PAGE_SHIFT};
	uint64_t bytes = (plug->end - plug->start) << TMM_PAGE_SHIFT;
	tmm_err err;

	err = tmm_memblock_free(mb, start, bytes);
	if (err == TMM_OK)
		err = tmm_memblock_remove(mb, start, bytes);
	TMM_ASSERT(err == TMM_OK);
}

/* The zone that all of the section is in by its address; NULL: there is none. */
static struct zone *zone_by_address(const struct plug *plug)
{
	const struct tmm_pages *pages = plug->pages;
	struct carve_cursor cursor = {0, 0};
	struct piece piece;

	while (carve_next(pages, &cursor, &piece)) {
		uint8_t index = pages->node[piece.node].zone_index[piece.kind];

		if (piece.start <= plug->start && plug->end <= piece.end)
			return index == ZONE_NONE ? NULL : &pages->zone[index];
	}
	return NULL;
}

/* Blocks of these frames' parts must be entered; where there is no RAM, as holes. */
static void make_ready(struct plug *plug, uint64_t start, uint64_t end)
{
	struct tmm_pages *pages = plug->pages;

	for (uint64_t part = start >> pages->part_shift; part <= (end - 1) >> pages->part_shift;
	     part++) {
		unsigned state = part_state(pages, part);
		struct zone *zone = plug->zone;
		tmm_irq irq;

		if (state != PART_READY && state != PART_NO_RAM)
			zone = &pages->zone[state - 1];
		irq = lock_take_irqsave(&zone->lock);
		zone_enter_part(pages, zone, part);
		lock_drop_irqrestore(&zone->lock, irq);
	}
}

/* By listing it for a moment: its part must be entered without it. */
static tmm_err find_zone(struct plug *plug, uint32_t node)
{
	tmm_err err;

	lock_take(plug->pages->ram_lock);
	err = list_section(plug, node);
	if (err == TMM_OK) {
		plug->zone = zone_by_address(plug);
		unlist_section(plug);
	}
	lock_drop(plug->pages->ram_lock);
	if (err != TMM_OK)
		return refuse(plug, err, "memblock can list the section");
	if (!plug->zone)
		return refuse(plug, TMM_E_INVAL, "the node has a zone for the section");
	return TMM_OK;
}

static void map_section(struct plug *plug)
{
	struct memory_map *map = &plug->pages->map;
	struct page *array = page_address(plug->pages, (tmm_pfn){plug->start});

	memset(array, 0, (size_t)1 << map->array_shift);
	map_set_section(map, plug->section, array);
}

static void enter_section(struct plug *plug) TMM_REQUIRES(plug->zone->lock)
{
	struct tmm_pages *pages = plug->pages;
	uint64_t before = plug->zone->nr_free, given;

	for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES)
		block_forget(pages, block_of(pages, pfn), 0);
	zone_enter(pages, plug->zone, plug->start, plug->end);
	/* What the frames hold is not known: none of them is fresh. */
	for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES)
		fresh_raise(&pages->info[block_of(pages, pfn)], BLOCK_FRAMES);
	if (pages->record)
		for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES)
			memset(&pages->record[map_index(&pages->map, pfn)], 0,
			       BLOCK_FRAMES * sizeof(*pages->record));
	given = plug->zone->nr_free - before;
	count_section(plug, plug->end - plug->start, given);
}

/* `claims`: its addresses are to become RAM's. */
static tmm_err add_section(struct plug *plug, uint32_t node, bool claims)
{
	struct tmm_pages *pages = plug->pages;
	tmm_irq irq;
	tmm_err err;

	if (plug->end > pages->lowmem_end)
		return refuse(plug, TMM_E_INVAL, "the section's descriptors have an address");
	if (node >= pages->nr_nodes)
		return refuse(plug, TMM_E_INVAL, "the machine has such a node");
	for (uint64_t pfn = plug->start; pfn < plug->end; pfn++)
		if (run_is_ram(pages, pfn, 1))
			return refuse_frame(plug, TMM_E_EXIST, pfn, NULL,
			                    "a section that is added is no RAM yet");
	err = find_zone(plug, node);
	if (err == TMM_OK && claims && pages->ram_ops)
		err = ask(plug, pages->ram_ops->add,
		          "nobody has claimed the section's addresses");
	if (err != TMM_OK)
		return err;
	make_ready(plug, plug->start, plug->end);
	lock_take(plug->pages->ram_lock);
	err = list_section(plug, node);
	lock_drop(plug->pages->ram_lock);
	TMM_ASSERT(err == TMM_OK && "it could be listed a moment ago");
	map_section(plug);
	irq = lock_take_irqsave(&plug->zone->lock);
	enter_section(plug);
	lock_drop_irqrestore(&plug->zone->lock, irq);
	follow_sizes(pages);
	return TMM_OK;
}

tmm_err tmm_section_add(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                        struct tmm_hotplug_report *report)
{
	struct plug plug;
	tmm_err err = plug_begin(&plug, pages, start, report);

	if (err != TMM_OK)
		return err;
	if (*place_of_section(pages, plug.section) & PLACE_OFFLINE)
		return refuse(&plug, TMM_E_EXIST,
		              "a section that is added is not there yet; this one is offline");
	return add_section(&plug, node, true);
}

tmm_err section_online(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                       struct tmm_hotplug_report *report)
{
	struct plug plug;
	tmm_err err = plug_begin(&plug, pages, start, report);

	return err == TMM_OK ? add_section(&plug, node, false) : err;
}

/* ---- removing ---- */

static const char *kind_name(unsigned kind)
{
	static const char *const name[NR_PAGE_KINDS] = {
		[PAGE_NONE] = "lent, owner unknown",
		[PAGE_TABLE] = "page table",
		[PAGE_SLAB] = "slab",
		[PAGE_SLOB] = "slob",
		[PAGE_VMALLOC] = "vmalloc",
		[PAGE_LARGE] = "kmalloc",
		[PAGE_ANON] = "anonymous page",
		[PAGE_FILE] = "page of a file",
		[PAGE_ZERO] = "page of zeroes",
		[PAGE_ACCOUNT] = "table of accounts",
		[PAGE_MOVABLE] = "movable page of the library's user",
	};

	return kind < NR_PAGE_KINDS ? name[kind] : "unknown";
}

static bool is_own_array(const struct plug *plug, uint64_t pfn)
{
	return pfn - plug->start < array_frames(plug->pages) &&
	       map_section_frame(&plug->pages->map, plug->section) == plug->start;
}

static tmm_err check_section(struct plug *plug)
{
	struct tmm_pages *pages = plug->pages;

	if (!run_is_one_region(pages, plug->start, plug->end - plug->start))
		return refuse(plug, TMM_E_NOENT, "a section that is removed is RAM as a whole");
	plug->zone = zone_by_address(plug);
	if (!plug->zone)
		return refuse(plug, TMM_E_NOENT, "a section that is removed is of one zone");
	for (uint64_t pfn = plug->start; pfn < plug->end; pfn++)
		if (!run_is_managed(pages, pfn, 1) && !is_own_array(plug, pfn))
			return refuse_frame(
				plug, TMM_E_BUSY, pfn, "memory of the boot",
				"no frame was reserved before the allocator was there");
	for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES)
		if (cma_has(pages, pfn))
			return refuse_frame(plug, TMM_E_BUSY, pfn, "contiguous area",
			                    "no contiguous area is in the section");
	return TMM_OK;
}

/* Every block is lent no more, or every block is as before. */
static void set_types(struct plug *plug, enum tmm_migrate_type type)
{
	tmm_irq irq = lock_take_irqsave(&plug->zone->lock);

	for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES) {
		uint64_t block = block_of(plug->pages, pfn);

		if (plug->pages->info[block].type == TMM_MIGRATE_HIGHATOMIC)
			plug->zone->nr_highatomic -= BLOCK_FRAMES;
		zone_set_type(plug->pages, plug->zone, block, type);
	}
	lock_drop_irqrestore(&plug->zone->lock, irq);
}

static bool is_free(const struct plug *plug, uint64_t pfn)
{
	/* relaxed: a lent frame becomes free, and while isolated no free one is lent */
	return __atomic_load_n(word_of(plug->pages, pfn), __ATOMIC_RELAXED) >> (pfn % 64) & 1;
}

static tmm_err move_out(struct plug *plug, uint64_t pfn)
{
	struct tmm_pages *pages = plug->pages;
	tmm_gfp gfp = TMM_GFP_HIGHUSER_MOVABLE & ~TMM_GFP_RECLAIM;
	tmm_pfn to;
	tmm_irq irq;
	tmm_err err;

	if (!page_is_movable(pages, (tmm_pfn){pfn}))
		return TMM_E_OPNOTSUPP;
	err = tmm_pages_alloc(pages, gfp, 0, &to);
	if (err != TMM_OK)
		return err;
	err = page_move(pages, (tmm_pfn){pfn}, to);
	if (err != TMM_OK) {
		tmm_pages_free(pages, to, 0);
		return err;
	}
	irq = lock_take_irqsave(&plug->zone->lock);
	zone_give(pages, plug->zone, pfn, 0);
	lock_drop_irqrestore(&plug->zone->lock, irq);
	return TMM_OK;
}

/* Why a frame is still there after all rounds. */
static tmm_err blame(struct plug *plug, uint64_t pfn, tmm_err err)
{
	unsigned kind = page_kind(page_of(plug->pages, (tmm_pfn){pfn}));

	if (err == TMM_E_NOMEM)
		return refuse_lent(plug, TMM_E_NOMEM, pfn, kind_name(kind),
		                   "there is room elsewhere for the pages of the section");
	return refuse_lent(plug, TMM_E_BUSY, pfn, kind_name(kind),
	                   err == TMM_E_OPNOTSUPP ? "every page of the section can be moved"
	                                          : "nobody keeps a page of the section");
}

static tmm_err empty_section(struct plug *plug)
{
	uint64_t left = 0;
	tmm_err why = TMM_OK;

	for (unsigned round = 0; round < MOVE_ROUNDS; round++) {
		tmm_pages_drain_all(plug->pages);
		why = TMM_OK;
		for (uint64_t pfn = plug->start; pfn < plug->end; pfn++) {
			tmm_err err;

			if (is_free(plug, pfn) || is_own_array(plug, pfn))
				continue;
			err = move_out(plug, pfn);
			if (err == TMM_OK || is_free(plug, pfn))
				continue;
			left = pfn;
			why = err;
			if (err == TMM_E_NOMEM || (err == TMM_E_OPNOTSUPP && round))
				return blame(plug, pfn, err);
		}
		if (why == TMM_OK)
			return TMM_OK;
	}
	return blame(plug, left, why);
}

/*
 * Compaction looks at descriptors without the lock, of blocks that were not isolated
 * when it came to them.  Who begins now finds these isolated; wait for the others.
 */
static void wait_for_scanners(struct zone *zone)
{
	tmm_irq irq = lock_take_irqsave(&zone->lock);
	uint32_t phase = zone->scan_phase;

	zone->scan_phase = !phase;
	while (zone->nr_scanners[phase]) {
		lock_drop_irqrestore(&zone->lock, irq);
		tmm_port_relax();
		irq = lock_take_irqsave(&zone->lock);
	}
	lock_drop_irqrestore(&zone->lock, irq);
}

/* All frames are free: the zone knows them no more. */
static void leave_section(struct plug *plug) TMM_REQUIRES(plug->zone->lock)
{
	struct tmm_pages *pages = plug->pages;
	uint64_t nr = 0;

	for (uint64_t pfn = plug->start; pfn < plug->end; pfn += BLOCK_FRAMES) {
		uint64_t block = block_of(pages, pfn);

		nr += pages->info[block].nr_free;
		words_set(pages->bits[block].word, BLOCK_WORDS, 0);
		block_forget(pages, block, HOME_MIXED | HOME_NO_RAM);
	}
	zone_count(plug->zone, TMM_MIGRATE_ISOLATE, -nr);
}

/* Descriptors of a section of boot lie elsewhere, and become free memory there. */
static void give_array(struct plug *plug, uint64_t pfn)
{
	struct tmm_pages *pages = plug->pages;
	uint64_t nr = array_frames(pages);
	struct zone *zone;
	tmm_irq irq;
	tmm_err err;

	make_ready(plug, pfn, pfn + nr);
	zone = zone_of(pages, pfn);
	irq = lock_take_irqsave(&zone->lock);
	lock_take(pages->ram_lock);
	err = tmm_memblock_free(pages->memblock, (tmm_paddr){pfn << TMM_PAGE_SHIFT},
	                        nr << TMM_PAGE_SHIFT);
	lock_drop(pages->ram_lock);
	TMM_ASSERT(err == TMM_OK);
	memset(page_address(pages, (tmm_pfn){pfn}), 0, nr << TMM_PAGE_SHIFT);
	for (uint64_t p = pfn; p < pfn + nr; p++)
		zone_give(pages, zone, p, 0);
	size_change(&zone->managed, nr);
	size_change(&pages->managed, nr);
	lock_drop_irqrestore(&zone->lock, irq);
}

/* Does [start, end) lie inside of a region, so that one more is needed without it? */
static bool splits(const struct tmm_region_list *list, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < list->nr && list->region[i].start < start; i++)
		if (end < list->region[i].end)
			return true;
	return false;
}

/* Will memblock have room for what is left of its regions? */
static tmm_err check_lists(struct plug *plug, uint64_t array)
{
	const struct tmm_memblock *mb = plug->pages->memblock;
	uint64_t array_start = array << TMM_PAGE_SHIFT;
	bool full;

	lock_take(plug->pages->ram_lock);
	full = mb->memory.nr == TMM_MEMBLOCK_MAX_REGIONS &&
	       splits(&mb->memory, plug->start << TMM_PAGE_SHIFT, plug->end << TMM_PAGE_SHIFT);
	full |= array != plug->start && mb->reserved.nr == TMM_MEMBLOCK_MAX_REGIONS &&
	        splits(&mb->reserved, array_start,
	               array_start + (array_frames(plug->pages) << TMM_PAGE_SHIFT));
	lock_drop(plug->pages->ram_lock);
	return full ? refuse(plug, TMM_E_NOSPC, "memblock can list what is left") : TMM_OK;
}

/* `claimed`: its addresses are to be RAM's no more. */
static tmm_err remove_section(struct plug *plug, bool claimed)
{
	struct tmm_pages *pages = plug->pages;
	uint64_t array, managed;
	tmm_irq irq;
	tmm_err err = check_section(plug);

	if (err != TMM_OK)
		return err;
	array = map_section_frame(&pages->map, plug->section);
	err = check_lists(plug, array);
	if (err != TMM_OK)
		return err;
	make_ready(plug, plug->start, plug->end);
	set_types(plug, TMM_MIGRATE_ISOLATE);
	err = empty_section(plug);
	if (err == TMM_OK && claimed && pages->ram_ops)
		err = ask(plug, pages->ram_ops->remove,
		          "nothing is listed inside of the section's addresses");
	if (err != TMM_OK) {
		set_types(plug, (enum tmm_migrate_type)pages->first_type);
		return err;
	}
	wait_for_scanners(plug->zone);
	managed = plug->end - plug->start;
	if (array == plug->start)
		managed -= array_frames(pages);
	irq = lock_take_irqsave(&plug->zone->lock);
	leave_section(plug);
	lock_take(plug->pages->ram_lock);
	unlist_section(plug);
	lock_drop(plug->pages->ram_lock);
	count_section(plug, -(plug->end - plug->start), -managed);
	map_clear_section(&pages->map, plug->section);
	lock_drop_irqrestore(&plug->zone->lock, irq);
	if (array != plug->start)
		give_array(plug, array);
	follow_sizes(pages);
	return TMM_OK;
}

/* RAM that no zone has. */
static tmm_err forget_section(struct plug *plug, uint8_t *place)
{
	struct tmm_pages *pages = plug->pages;
	tmm_err err = TMM_OK;

	if (pages->ram_ops)
		err = ask(plug, pages->ram_ops->remove,
		          "nothing is listed inside of the section's addresses");
	if (err == TMM_OK)
		*place = 0;
	return err;
}

tmm_err tmm_section_remove(struct tmm_pages *pages, tmm_paddr start,
                           struct tmm_hotplug_report *report)
{
	struct plug plug;
	uint8_t *place;
	tmm_err err = plug_begin(&plug, pages, start, report);

	if (err != TMM_OK)
		return err;
	place = place_of_section(pages, plug.section);
	if (*place & PLACE_OFFLINE)
		return forget_section(&plug, place);
	err = remove_section(&plug, true);
	if (err == TMM_OK)
		*place = 0;
	return err;
}

tmm_err section_offline(struct tmm_pages *pages, tmm_paddr start,
                        struct tmm_hotplug_report *report)
{
	struct plug plug;
	tmm_err err = plug_begin(&plug, pages, start, report);

	return err == TMM_OK ? remove_section(&plug, false) : err;
}
