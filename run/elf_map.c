/*
 * elf_map.c - a program's segments become areas of an address space
 *
 * A segment becomes at most two areas.  Its last file page is shared with what
 * comes next in the file, so that its tail is cleared; whole pages of zeroes
 * behind it are anonymous.
 *
 *   file bytes      |--------------|
 *   file area     [page][page][page]
 *   cleared                        |-|
 *   zero area                        [page][page]
 *   in memory       |------------------------|
 */
#define _GNU_SOURCE
#include "elf_file.h"
#include "elf_refuse.h"

#include <stdio.h>
#include <string.h>

/* Map one segment; its addresses have the bias already. */
static tmm_err map_segment(struct tmm_mm *mm, struct tmm_file *file,
                           const struct elf_segment *s)
{
	uint64_t start = page_down(s->start), file_end = s->start + s->file_bytes;
	uint64_t zero_start = s->file_bytes ? page_up(file_end) : start;
	uint64_t end = page_up(s->start + s->bytes), at;
	tmm_err err;

	if (s->file_bytes) {
		const struct tmm_mmap_request request = {
			.addr = start,
			.length = zero_start - start,
			.prot = s->prot,
			.flags = TMM_MAP_PRIVATE | TMM_MAP_FIXED_NOREPLACE,
			.file = file,
			.offset = page_down(s->file_offset),
		};

		err = tmm_mm_mmap(mm, &request, &at);
		if (err)
			return err;
		if (s->bytes > s->file_bytes && (s->prot & TMM_PROT_WRITE) &&
		    tmm_clear_user(mm, file_end, zero_start - file_end))
			return TMM_E_NOMEM;
	}
	if (end > zero_start) {
		const struct tmm_mmap_request request = {
			.addr = zero_start,
			.length = end - zero_start,
			.prot = s->prot,
			.flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS | TMM_MAP_FIXED_NOREPLACE,
		};

		return tmm_mm_mmap(mm, &request, &at);
	}
	return TMM_OK;
}

/* An address where all segments fit, aligned as they ask. */
static tmm_err find_room(struct tmm_mm *mm, const struct elf *elf, uint64_t *out_at)
{
	uint64_t slack = elf->align - TMM_PAGE_SIZE, low = elf->start & (elf->align - 1), at;
	const struct tmm_mmap_request request = {
		.length = page_up(elf->end) - elf->start + low + slack,
		.prot = TMM_PROT_NONE,
		.flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS | TMM_MAP_NORESERVE,
	};
	tmm_err err = tmm_mm_mmap(mm, &request, &at);

	if (err)
		return err;
	err = tmm_mm_munmap(mm, at, request.length);
	*out_at = (at + slack) & ~(elf->align - 1);
	return err;
}

static void note_place(struct elf_place *place, const struct elf_segment *s)
{
	uint64_t file_end = s->start + s->file_bytes;

	if (!place->start_code || s->start < place->start_code)
		place->start_code = s->start;
	if (s->start > place->start_data)
		place->start_data = s->start;
	if ((s->prot & TMM_PROT_EXEC) && file_end > place->end_code)
		place->end_code = file_end;
	if (file_end > place->end_data)
		place->end_data = file_end;
	place->end = s->start + s->bytes;
}

int elf_map(struct tmm_mm *mm, struct tmm_file *file, const struct elf *elf, uint64_t at,
            struct elf_place *out, char *why, size_t why_bytes)
{
	struct elf_place place = {0};
	tmm_err err = TMM_OK;

	if (!elf->fixed) {
		if (at)
			at &= ~(elf->align - 1);
		else
			err = find_room(mm, elf, &at);
		if (err)
			REFUSE(err, "no room for %llu bytes: %s",
			       (unsigned long long)(elf->end - elf->start), strerror(-err));
		place.bias = at - (elf->start & ~(elf->align - 1));
	}
	for (unsigned i = 0; i < elf->nr_segments; i++) {
		struct elf_segment s = elf->segment[i];

		s.start += place.bias;
		err = map_segment(mm, file, &s);
		if (err)
			REFUSE(err, "cannot map the segment at %#llx, %#llx bytes: %s",
			       (unsigned long long)s.start, (unsigned long long)s.bytes,
			       strerror(-err));
		note_place(&place, &s);
	}
	*out = place;
	return 0;
}
