/*
 * debug.c - page owner and page poison
 *
 * A machine that debugs has a record for each frame.  Its blocks are all marked as
 * mixed and no zone is anybody's first choice, so that every request and every free
 * leaves the fast path at a test that is there anyhow: a machine that does not
 * debug pays nothing.
 *   I1  a frame that is free in a zone has the state NEW or FREE
 *   I2  with poison, a FREE frame is TMM_PAGE_POISON in every byte
 *   I3  a lent run is one LENT frame followed by TAIL frames that name it
 */
#include "page/debug.h"

#include "base/print.h"
#include "page/deferred.h"

/* ---- reports ---- */

struct report {
	char *at, *end;
};

static void report_write(void *arg, const char *text, size_t bytes)
{
	struct report *report = arg;

	bytes = min_u64(bytes, (uint64_t)(report->end - report->at));
	memcpy(report->at, text, bytes);
	report->at += bytes;
}

static struct frame_record *record_of(const struct tmm_pages *pages, uint64_t pfn)
{
	return &pages->record[map_index(&pages->map, pfn)];
}

static const char *name_of_zone(const struct tmm_pages *pages, uint64_t pfn)
{
	static const char *const name[TMM_NR_ZONES] = {"DMA", "DMA32", "Normal", "HighMem",
	                                               "Movable"};

	if (!pfn_in_span(pages, pfn) ||
	    home_zone(&pages->info[block_of(pages, pfn)]) >= MAX_ZONES)
		return "none";
	return name[zone_of(pages, pfn)->id];
}

static void print_site(struct printer *printer, const char *what, const void *site)
{
	if (site)
		print(printer, "; %s 0x%llx", what, (unsigned long long)(uintptr_t)site);
}

static void print_record(struct printer *printer, const struct tmm_pages *pages, uint64_t pfn,
                         const void *site)
{
	const struct frame_record *record;

	if (pages->record && pfn_in_span(pages, pfn)) {
		record = record_of(pages, pfn);
		if (record->state != FRAME_NEW)
			print(printer, "; its run: frame %llu, order %u",
			      (unsigned long long)record->first, record->order);
		if (pages->debug & TMM_DEBUG_PAGE_OWNER) {
			print_site(printer, "lent by", record->lent_by);
			print_site(printer, "freed by", record->freed_by);
		}
	}
	print_site(printer, "now by", site);
}

static struct tmm_sink report_begin(struct tmm_pages *pages, struct report *report)
{
	*report = (struct report){pages->report, pages->report + sizeof(pages->report) - 1};
	return (struct tmm_sink){.write = report_write, .arg = report};
}

void page_report(struct tmm_pages *pages, uint64_t pfn, unsigned order, const char *rule,
                 const void *site)
{
	struct report report;
	const struct tmm_sink sink = report_begin(pages, &report);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "%s: frame %llu, order %u, zone %s", rule, (unsigned long long)pfn,
	      order, name_of_zone(pages, pfn));
	print_record(&printer, pages, pfn, site);
	print_end(&printer);
	*report.at = '\0';
	tmm_port_panic(__FILE__, __LINE__, pages->report);
}

_Noreturn static void poison_report(struct tmm_pages *pages, uint64_t pfn, size_t offset,
                                    unsigned found)
{
	struct report report;
	const struct tmm_sink sink = report_begin(pages, &report);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer,
	      "a frame is not written after it was freed: frame %llu, zone %s, offset %llu, "
	      "0x%02x instead of 0x%02x",
	      (unsigned long long)pfn, name_of_zone(pages, pfn), (unsigned long long)offset,
	      found, TMM_PAGE_POISON);
	print_record(&printer, pages, pfn, NULL);
	print_end(&printer);
	*report.at = '\0';
	tmm_port_panic(__FILE__, __LINE__, pages->report);
}

/* ---- poison ---- */

/* Frames without an address are left alone. */
static bool is_poisoned(const struct tmm_pages *pages, uint64_t pfn)
{
	return (pages->debug & TMM_DEBUG_PAGE_POISON) && pfn < pages->lowmem_end;
}

static void check_poison(struct tmm_pages *pages, uint64_t pfn)
{
	const uint64_t poison = TMM_PAGE_POISON * UINT64_C(0x0101010101010101);
	const uint64_t *word = page_address(pages, (tmm_pfn){pfn});

	for (size_t i = 0; i < TMM_PAGE_SIZE / sizeof(*word); i++) {
		uint64_t differs = word[i] ^ poison;

		if (unlikely(differs)) {
			size_t offset = i * sizeof(*word);
			const unsigned char *byte = (const unsigned char *)&word[i];

			for (; *byte == TMM_PAGE_POISON; byte++)
				offset++;
			poison_report(pages, pfn, offset, *byte);
		}
	}
}

/* ---- records ---- */

void debug_lend(struct tmm_pages *pages, uint64_t pfn, unsigned order, tmm_gfp gfp,
                const void *site)
{
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++) {
		struct frame_record *record = record_of(pages, pfn + i);
		bool frame_was_free = record->state == FRAME_NEW || record->state == FRAME_FREE;

		TMM_ASSERT(frame_was_free);
		if (record->state == FRAME_FREE && is_poisoned(pages, pfn + i))
			check_poison(pages, pfn + i);
		*record = (struct frame_record){.lent_by = site,
		                                .gfp = gfp,
		                                .first = (uint32_t)pfn,
		                                .state = i ? FRAME_TAIL : FRAME_LENT,
		                                .order = (uint8_t)order};
	}
}

void debug_lend_area(struct tmm_pages *pages, uint64_t pfn, tmm_gfp gfp, const void *site)
{
	debug_lend(pages, pfn, 0, gfp, site);
	record_of(pages, pfn)->state = FRAME_AREA;
}

static void set_free(struct tmm_pages *pages, uint64_t pfn, const void *site)
{
	struct frame_record *record = record_of(pages, pfn);

	record->state = FRAME_FREE;
	record->freed_by = site;
	if (is_poisoned(pages, pfn))
		memset(page_address(pages, (tmm_pfn){pfn}), TMM_PAGE_POISON, TMM_PAGE_SIZE);
}

void debug_move(struct tmm_pages *pages, uint64_t from, uint64_t to)
{
	*record_of(pages, to) = *record_of(pages, from);
	record_of(pages, to)->first = (uint32_t)to;
	set_free(pages, from, NULL);
}

/* Is the run of frames that may be freed in pieces? */
static bool all_loose(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		if (record_of(pages, pfn + i)->state != FRAME_LOOSE)
			return false;
	return true;
}

/* By a free of the run; NULL: none. */
static const char *rule_broken(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	const struct frame_record *record = record_of(pages, pfn);

	switch ((enum frame_state)record->state) {
	case FRAME_NEW:
		return "a freed frame is lent; this one never was";
	case FRAME_FREE:
		return "a frame is freed once; this one was freed twice";
	case FRAME_TAIL:
		return "a run is freed by its first frame; this one is inside";
	case FRAME_AREA:
		return "a frame of a contiguous area is released to it; this one was freed";
	case FRAME_LOOSE:
		if (all_loose(pages, pfn, order))
			return NULL;
		return "a run of exact size is freed with that size";
	case FRAME_LENT:
		if (record->order == order)
			return NULL;
		return "a run is freed with the order it was lent with";
	}
	return NULL;
}

void debug_take_back(struct tmm_pages *pages, uint64_t pfn, unsigned order, const void *site)
{
	const char *broken;

	if (order > pages->max_order || pfn % (UINT64_C(1) << order) ||
	    !pfn_in_span(pages, pfn))
		page_report(pages, pfn, order, "a freed run is RAM and aligned to its order",
		            site);
	broken = rule_broken(pages, pfn, order);
	if (broken)
		page_report(pages, pfn, order, broken, site);
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		set_free(pages, pfn + i, site);
}

void debug_take_back_area(struct tmm_pages *pages, uint64_t pfn, const void *site)
{
	unsigned state = record_of(pages, pfn)->state;

	if (state == FRAME_FREE || state == FRAME_NEW)
		page_report(pages, pfn, 0, "a frame is released once; this one is not lent",
		            site);
	if (state != FRAME_AREA)
		page_report(pages, pfn, 0,
		            "a released frame is lent of its area; this one is a page", site);
	set_free(pages, pfn, site);
}

void debug_split(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++) {
		struct frame_record *record = record_of(pages, pfn + i);

		record->state = FRAME_LOOSE;
		record->first = (uint32_t)(pfn + i);
		record->order = 0;
	}
}

/* ---- looking ---- */

static void check_frame(struct tmm_pages *pages, uint64_t pfn, bool free_in_zone)
{
	const struct frame_record *record = record_of(pages, pfn);

	if (free_in_zone)
		TMM_ASSERT(record->state == FRAME_NEW || record->state == FRAME_FREE); /* I1 */
	if (record->state == FRAME_FREE && is_poisoned(pages, pfn))
		check_poison(pages, pfn); /* I2 */
	if (record->state == FRAME_LENT)
		TMM_ASSERT(record->first == pfn); /* I3 */
	if (record->state == FRAME_TAIL)
		TMM_ASSERT(record_of(pages, record->first)->state == FRAME_LENT &&
		           pfn - record->first < UINT64_C(1) << record->order); /* I3 */
}

void debug_check(struct tmm_pages *pages)
{
	for (uint64_t block = next_ready_block(pages, 0); block < nr_blocks(pages);
	     block = next_ready_block(pages, block + 1)) {
		uint64_t first = block_base(pages, block);

		/* Frames above were never lent: their records are as they were. */
		for (unsigned i = 0; i < pages->info[block].fresh; i++)
			check_frame(pages, first + i,
			            pages->bits[block].word[i / 64] >> (i % 64) & 1);
	}
}

bool tmm_page_owner(const struct tmm_pages *pages, tmm_pfn pfn, struct tmm_page_owner *out)
{
	const struct frame_record *record;

	if (!(pages->debug & TMM_DEBUG_PAGE_OWNER) || !pfn_in_span(pages, pfn.v) ||
	    record_of(pages, pfn.v)->state == FRAME_NEW)
		return false;
	record = record_of(pages, pfn.v);
	*out = (struct tmm_page_owner){.lent = record->state != FRAME_FREE,
	                               .first = {record->first},
	                               .order = record->order,
	                               .gfp = record->gfp,
	                               .lent_by = record->lent_by,
	                               .freed_by = record->freed_by};
	return true;
}

bool tmm_page_owner_show(const struct tmm_pages *pages, const struct tmm_sink *sink)
{
	struct printer printer;

	if (!(pages->debug & TMM_DEBUG_PAGE_OWNER))
		return false;
	print_begin(&printer, sink);
	for (uint64_t block = next_ready_block(pages, 0); block < nr_blocks(pages);
	     block = next_ready_block(pages, block + 1)) {
		for (unsigned i = 0; i < pages->info[block].fresh; i++) {
			uint64_t pfn = block_base(pages, block) + i;
			const struct frame_record *record = record_of(pages, pfn);

			if (record->state != FRAME_LENT && record->state != FRAME_LOOSE &&
			    record->state != FRAME_AREA)
				continue;
			print(&printer, "Page allocated via order %u, mask 0x%x\n",
			      record->order, record->gfp);
			print(&printer, "PFN %llu Block %llu Zone %s\n 0x%llx\n\n",
			      (unsigned long long)pfn, (unsigned long long)(pfn >> BLOCK_ORDER),
			      name_of_zone(pages, pfn),
			      (unsigned long long)(uintptr_t)record->lent_by);
		}
	}
	print_end(&printer);
	return true;
}
