/*
 * least.c - how small a machine can be
 *
 * A machine needs its arrays, what boot and a small program take, and its contiguous
 * areas.  Those lend their frames to movable pages only, so they come on top; and each
 * must lie somewhere as one piece of one zone.  That is tried out, as boot would place
 * them, for a PC of more and more RAM:
 *
 *   RAM     |..|1M  DMA  |16M kernel |   DMA32    |3G    |4G   Normal ...
 *   rooms       [       ][          )[           )       [          )
 */
#include "machine/machine.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* What boot takes beside the machine's own arrays: first slabs, and the least watermark. */
#define BOOT_BYTES      (256 * KIB)
#define BOOT_SLOB_BYTES (48 * KIB) /* where few pages serve all caches */

/*
 * And what a small static program takes: its text and data, page tables, a first
 * slab for each cache.
 */
#define SMALL_PROGRAM_BYTES (2 * MIB - BOOT_BYTES)

/* RAM that a PC's firmware keeps: the first page, and 640 KiB .. 1 MiB. */
#define FIRMWARE_BYTES UINT64_C(0x61000)

/* A PC's RAM continues above this hole, and its zones begin and end there. */
#define HOLE_START (3 * GIB)
#define HOLE_END   (4 * GIB)
#define DMA_END    (16 * MIB)

struct tmm_region usable_memory(const struct tmm_shape *shape)
{
	struct tmm_region all = {.start = UINT64_MAX, .end = 0};

	for (size_t i = 0; i < shape->nr_ranges; i++) {
		const struct tmm_firmware_range *range = &shape->firmware_map[i];

		if (range->type != TMM_FW_USABLE || !range->size_bytes)
			continue;
		all.start = min_u64(all.start, range->start.v);
		all.end = max_u64(all.end, range->start.v + range->size_bytes);
	}
	return all;
}

static uint64_t usable_span(const struct tmm_shape *shape)
{
	struct tmm_region all = usable_memory(shape);

	return all.start < all.end ? all.end - all.start : 0;
}

uint64_t machine_needs(const struct tmm_shape *shape, uint64_t span_bytes)
{
	const struct pages_config config = machine_pages_config(shape);
	uint64_t areas = 0;

	for (uint32_t i = 0; i < shape->nr_cma; i++)
		areas += shape->cma[i].size_bytes;
	return areas + shape->kernel_bytes + shape->swiotlb_bytes +
	       (shape->slab_allocator == TMM_SLOB ? BOOT_SLOB_BYTES : BOOT_BYTES) +
	       pages_array_bytes(&config, shape->nr_cpus, span_bytes) +
	       2 * (shape->min_free_kbytes << 10);
}

/* ---- places of contiguous areas ---- */

/* Free pieces of RAM, each of one zone; every piece that is taken makes one more at most. */
struct rooms {
	uint32_t nr;
	struct tmm_region room[4 + 1 + TMM_MAX_CMA_AREAS];
};

static void room_add(struct rooms *rooms, uint64_t start, uint64_t end)
{
	if (start < end)
		rooms->room[rooms->nr++] = (struct tmm_region){.start = start, .end = end};
}

static void rooms_cut(struct rooms *rooms, uint64_t start, uint64_t end)
{
	for (uint32_t i = rooms->nr; i-- > 0;) {
		struct tmm_region room = rooms->room[i];

		if (end <= room.start || room.end <= start)
			continue;
		rooms->room[i] = rooms->room[--rooms->nr];
		room_add(rooms, room.start, min_u64(start, room.end));
		room_add(rooms, max_u64(end, room.start), room.end);
	}
}

/* A PC of so much RAM; above low memory there is no room for areas. */
static struct rooms rooms_of(const struct tmm_shape *shape, uint64_t bytes)
{
	uint64_t low = shape->lowmem_bytes ? shape->lowmem_bytes : UINT64_MAX;
	uint64_t kernel_bytes = align_up(shape->kernel_bytes, TMM_PAGE_SIZE);
	uint64_t kernel = KERNEL_START, below = min_u64(bytes, HOLE_START);
	struct rooms rooms = {.nr = 0};

	room_add(&rooms, MIB, min_u64(DMA_END, below));
	room_add(&rooms, DMA_END, min_u64(below, low));
	room_add(&rooms, HOLE_END, min_u64(HOLE_END + bytes - below, low));
	if (kernel + kernel_bytes > below)
		kernel = MIB; /* the lowest place that surely is large enough */
	rooms_cut(&rooms, kernel, kernel + kernel_bytes);
	return rooms;
}

/* The highest place for an area, or its own; UINT64_MAX: there is none. */
static uint64_t place_in(const struct rooms *rooms, const struct tmm_cma_spec *spec)
{
	uint64_t align = max_u64(spec->align_bytes, TMM_PAGE_SIZE << TMM_BLOCK_ORDER);
	uint64_t limit = spec->limit ? spec->limit : UINT64_MAX;
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i < rooms->nr; i++) {
		const struct tmm_region *room = &rooms->room[i];
		uint64_t end = min_u64(room->end, limit), start = spec->base;

		if (end < spec->size_bytes)
			continue;
		if (!start)
			start = align_down(end - spec->size_bytes, align);
		if (start >= room->start && start + spec->size_bytes <= end &&
		    (best == UINT64_MAX || start > best))
			best = start;
	}
	return best;
}

static bool areas_fit(const struct tmm_shape *shape, uint64_t bytes)
{
	struct rooms rooms = rooms_of(shape, bytes);

	for (uint32_t i = 0; i < shape->nr_cma; i++) {
		uint64_t start = place_in(&rooms, &shape->cma[i]);

		if (start == UINT64_MAX)
			return false;
		rooms_cut(&rooms, start, start + shape->cma[i].size_bytes);
	}
	return true;
}

/* With so much RAM there is room for every area that there can be room for. */
static uint64_t most_for_areas(const struct tmm_shape *shape)
{
	uint64_t sum = HOLE_END + shape->kernel_bytes;

	for (uint32_t i = 0; i < shape->nr_cma; i++)
		sum += 2 * shape->cma[i].size_bytes + shape->cma[i].align_bytes +
		       shape->cma[i].base;
	return sum;
}

/* From what is needed on, in steps of 1 MiB, or of a 16th beyond 4 GiB. */
static uint64_t least_for_areas(const struct tmm_shape *shape, uint64_t bytes)
{
	const uint64_t most = most_for_areas(shape);
	uint64_t least = bytes;

	while (!areas_fit(shape, least)) {
		least += least < 4 * GIB ? MIB : align_up(least / 16, MIB);
		if (least > most)
			return bytes; /* no RAM is enough: boot says why */
	}
	return least;
}

uint64_t tmm_machine_least_bytes(const struct tmm_shape *shape)
{
	uint64_t bytes = machine_needs(shape, usable_span(shape)) + SMALL_PROGRAM_BYTES;

	/* Room for the descriptors of what the descriptors take, and so on. */
	bytes = max_u64(bytes, machine_needs(shape, bytes + bytes / 64) + SMALL_PROGRAM_BYTES);
	bytes = align_up(bytes + FIRMWARE_BYTES, MIB);
	return least_for_areas(shape, bytes);
}
