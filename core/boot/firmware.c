/*
 * firmware.c - what the firmware says, made into memory
 *
 * Usable ranges are added first and everything else is cut out of them
 * afterwards, so that the order of the map does not matter and a range that is
 * both usable and not is not.
 */
#include <tuxmm/memblock.h>

#include "base/base.h"

#define LOW_RAM_END  UINT64_C(0xa0000)     /* 640 KiB: video memory and ROMs follow */
#define LOW_ROM_END  UINT64_C(0x100000)    /* 1 MiB */
#define PCI_HOLE     UINT64_C(0xc0000000)  /* 3 GiB: devices follow */
#define PCI_HOLE_END UINT64_C(0x100000000) /* 4 GiB */

static bool map_is_valid(const struct tmm_firmware_range *map, size_t nr_ranges)
{
	for (size_t i = 0; i < nr_ranges; i++) {
		if (map[i].start.v + map[i].size_bytes < map[i].start.v)
			return false;
	}
	return true;
}

/* Whole pages inside the range. */
static tmm_err add_usable(struct tmm_memblock *mb, const struct tmm_firmware_range *range)
{
	uint64_t start = align_up(range->start.v, TMM_PAGE_SIZE);
	uint64_t end = align_down(range->start.v + range->size_bytes, TMM_PAGE_SIZE);

	/* start < range->start.v: the last page of the address space, cut short */
	if (start >= end || start < range->start.v)
		return TMM_OK;
	return tmm_memblock_add(mb, (tmm_paddr){start}, end - start, range->node);
}

/* Whole pages that the range touches. */
static tmm_err remove_other(struct tmm_memblock *mb, const struct tmm_firmware_range *range)
{
	uint64_t start = align_down(range->start.v, TMM_PAGE_SIZE);
	uint64_t end = range->start.v + range->size_bytes;

	if (!range->size_bytes)
		return TMM_OK;
	end = end > TMM_PAGE_MASK ? UINT64_MAX : align_up(end, TMM_PAGE_SIZE);
	return tmm_memblock_remove(mb, (tmm_paddr){start}, end - start);
}

/* Where the lowest limit_bytes of memory end. */
static uint64_t limit_address(const struct tmm_memblock *mb, uint64_t limit_bytes)
{
	for (uint32_t i = 0; i < mb->memory.nr; i++) {
		const struct tmm_region *region = &mb->memory.region[i];
		uint64_t bytes = region->end - region->start;

		if (bytes >= limit_bytes)
			return region->start + limit_bytes;
		limit_bytes -= bytes;
	}
	return UINT64_MAX;
}

tmm_err tmm_memblock_from_firmware(struct tmm_memblock *mb,
                                   const struct tmm_firmware_range *map, size_t nr_ranges,
                                   uint64_t mem_limit_bytes)
{
	tmm_err err = TMM_OK;

	if (!map_is_valid(map, nr_ranges))
		return TMM_E_INVAL;
	for (size_t i = 0; i < nr_ranges && !err; i++) {
		if (map[i].type == TMM_FW_USABLE)
			err = add_usable(mb, &map[i]);
	}
	for (size_t i = 0; i < nr_ranges && !err; i++) {
		if (map[i].type != TMM_FW_USABLE)
			err = remove_other(mb, &map[i]);
	}
	if (!err && mem_limit_bytes) {
		uint64_t limit = limit_address(mb, align_down(mem_limit_bytes, TMM_PAGE_SIZE));

		err = tmm_memblock_trim(mb, (tmm_paddr){0}, (tmm_paddr){limit});
	}
	if (!err && !mb->memory.nr)
		err = TMM_E_NOMEM;
	return err;
}

size_t tmm_firmware_pc(uint64_t ram_bytes,
                       struct tmm_firmware_range out[TMM_FIRMWARE_PC_RANGES])
{
	uint64_t ram = align_down(ram_bytes, TMM_PAGE_SIZE);
	uint64_t below = min_u64(ram, PCI_HOLE);
	const struct {
		uint64_t start, end;
		enum tmm_firmware_type type;
	} range[] = {
		{0, TMM_PAGE_SIZE, TMM_FW_RESERVED},
		{TMM_PAGE_SIZE, min_u64(below, LOW_RAM_END), TMM_FW_USABLE},
		{LOW_RAM_END, LOW_ROM_END, TMM_FW_RESERVED},
		{LOW_ROM_END, below, TMM_FW_USABLE},
		{PCI_HOLE, PCI_HOLE_END, TMM_FW_RESERVED},
		{PCI_HOLE_END, PCI_HOLE_END + (ram - below), TMM_FW_USABLE},
	};
	size_t nr = 0;

	_Static_assert(ARRAY_SIZE(range) <= TMM_FIRMWARE_PC_RANGES, "the caller's array");
	for (size_t i = 0; i < ARRAY_SIZE(range); i++) {
		if (range[i].start >= range[i].end)
			continue;
		out[nr++] = (struct tmm_firmware_range){
			.start = {range[i].start},
			.size_bytes = range[i].end - range[i].start,
			.type = range[i].type,
		};
	}
	return nr;
}
