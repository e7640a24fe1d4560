/*
 * tlb_test.c - the TLB against a list of what was filled
 */
#include <string.h>

#include "map/mmu_impl.h"
#include "test.h"

#define MAX_ENTRIES 64u
#define GLOBAL      TMM_RIGHT_GLOBAL

/* The list: entries in order of last use, the oldest first. */
struct model {
	struct tmm_tlb_entry entry[MAX_ENTRIES];
	unsigned nr, nr_sets, nr_ways;
	struct tmm_tlb_counts counts;
};

static struct tmm_tlb tlb;
static struct tmm_tlb_entry entries[MAX_ENTRIES];
static struct model model;
static uint64_t random_state;

static uint64_t pick(uint64_t nr)
{
	return test_random(&random_state) % nr;
}

static void model_remove(unsigned at)
{
	model.nr--;
	memmove(&model.entry[at], &model.entry[at + 1],
	        (model.nr - at) * sizeof(model.entry[0]));
}

static bool covers(const struct tmm_tlb_entry *entry, uint64_t va)
{
	return va >= entry->va.v && va - entry->va.v < UINT64_C(1) << entry->shift;
}

static bool answers(const struct tmm_tlb_entry *entry, unsigned asid)
{
	return entry->asid == asid || (entry->rights & GLOBAL);
}

static uint64_t set_number(const struct tmm_tlb_entry *entry)
{
	return (entry->va.v >> entry->shift) % model.nr_sets;
}

static void model_fill(const struct tmm_tlb_entry *page)
{
	unsigned in_set = 0, oldest = 0;

	for (unsigned i = 0; i < model.nr;) {
		const struct tmm_tlb_entry *old = &model.entry[i];

		if (old->shift == page->shift && old->va.v == page->va.v &&
		    ((page->rights & GLOBAL) || answers(old, page->asid)))
			model_remove(i);
		else
			i++;
	}
	for (unsigned i = model.nr; i-- > 0;) {
		if (set_number(&model.entry[i]) == set_number(page)) {
			in_set++;
			oldest = i;
		}
	}
	if (in_set == model.nr_ways) {
		model_remove(oldest);
		model.counts.evictions++;
	}
	model.entry[model.nr++] = *page;
}

/* The smallest page that translates va; moved to the end of the list. */
static const struct tmm_tlb_entry *model_lookup(unsigned asid, uint64_t va)
{
	struct tmm_tlb_entry found;
	unsigned best = model.nr;

	for (unsigned i = 0; i < model.nr; i++) {
		if (covers(&model.entry[i], va) && answers(&model.entry[i], asid) &&
		    (best == model.nr || model.entry[i].shift < model.entry[best].shift))
			best = i;
	}
	if (best == model.nr) {
		model.counts.misses++;
		return NULL;
	}
	model.counts.hits++;
	found = model.entry[best];
	model_remove(best);
	model.entry[model.nr++] = found;
	return &model.entry[model.nr - 1];
}

static void model_flush(bool all, bool globals, unsigned asid, uint64_t start, uint64_t end)
{
	model.counts.flushes++;
	for (unsigned i = 0; i < model.nr;) {
		const struct tmm_tlb_entry *entry = &model.entry[i];
		bool within = entry->va.v < end &&
		              entry->va.v + (UINT64_C(1) << entry->shift) > start;

		if (within && (all || answers(entry, asid)) &&
		    (globals || !(entry->rights & GLOBAL))) {
			model_remove(i);
			model.counts.flushed++;
		} else {
			i++;
		}
	}
}

static void begin(unsigned nr_entries, unsigned nr_ways)
{
	random_state = test_seed() + nr_entries;
	CHECK(tmm_tlb_init(&tlb, entries, nr_entries, nr_ways) == TMM_OK);
	memset(&model, 0, sizeof(model));
	model.nr_ways = nr_ways;
	model.nr_sets = nr_entries / nr_ways;
}

static void random_fill(void)
{
	static const uint8_t shifts[] = {12, 12, 12, 21, 22, 30};
	uint8_t shift = shifts[pick(ARRAY_SIZE(shifts))];
	struct tmm_tlb_entry page = {
		.va = {pick(40) << shift},
		.pa = {pick(1000) << shift},
		.rights = TMM_ACCESS_READ | (pick(4) ? 0 : GLOBAL),
		.asid = (uint16_t)pick(3),
		.shift = shift,
	};

	tmm_tlb_fill(&tlb, &page);
	model_fill(&page);
}

static void random_lookup(void)
{
	unsigned asid = (unsigned)pick(3);
	uint64_t va = pick(48) << 12;
	const struct tmm_tlb_entry *found = tmm_tlb_lookup(&tlb, asid, (tmm_vaddr){va});
	const struct tmm_tlb_entry *wanted = model_lookup(asid, va);

	CHECK(!found == !wanted);
	CHECK(!found || (found->va.v == wanted->va.v && found->pa.v == wanted->pa.v &&
	                 found->asid == wanted->asid && found->rights == wanted->rights));
}

static void random_flush(void)
{
	unsigned asid = (unsigned)pick(3);
	uint64_t start = pick(48) << 12, end = start + ((1 + pick(8)) << 12);

	switch (pick(8)) {
	case 0:
		tmm_tlb_flush_all(&tlb);
		model_flush(true, true, 0, 0, UINT64_MAX);
		break;
	case 1:
		tmm_tlb_flush_asid(&tlb, asid);
		model_flush(false, false, asid, 0, UINT64_MAX);
		break;
	case 2:
	case 3:
		tmm_tlb_flush_range(&tlb, asid, (tmm_vaddr){start}, (tmm_vaddr){end});
		model_flush(false, true, asid, start, end);
		break;
	default:
		tmm_tlb_flush_page(&tlb, asid, (tmm_vaddr){start});
		model_flush(false, true, asid, start, start + 1);
	}
}

TEST(a_tlb_of_any_form_agrees_with_a_list)
{
	static const unsigned forms[][2] = {{1, 1},  {4, 4},  {16, 1},
	                                    {16, 4}, {48, 6}, {64, 64}};

	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		begin(forms[f][0], forms[f][1]);
		for (unsigned i = 0; i < 20000; i++) {
			unsigned what = (unsigned)pick(16);

			if (what < 5)
				random_fill();
			else if (what < 15)
				random_lookup();
			else
				random_flush();
			if (i % 64 == 0)
				tmm_tlb_check(&tlb);
		}
		CHECK(memcmp(&tlb.counts, &model.counts, sizeof(model.counts)) == 0);
		CHECK(model.counts.hits > 100 && model.counts.evictions > 0);
	}
}

TEST(forms_that_are_no_table_of_sets_are_refused)
{
	CHECK(tmm_tlb_init(&tlb, entries, 16, 0) == TMM_E_INVAL);
	CHECK(tmm_tlb_init(&tlb, entries, 16, 3) == TMM_E_INVAL);
	CHECK(tmm_tlb_init(&tlb, entries, 24, 4) == TMM_E_INVAL);
	CHECK(tmm_tlb_init(&tlb, entries, 0, 1) == TMM_E_INVAL);
}

/* One set of two ways: a is used after b, so that c takes b's place. */
TEST(the_least_recently_used_way_makes_room)
{
	const struct tmm_tlb_entry a = {.va = {0x1000}, .shift = 12};
	const struct tmm_tlb_entry b = {.va = {0x2000}, .shift = 12};
	const struct tmm_tlb_entry c = {.va = {0x3000}, .shift = 12};

	begin(2, 2);
	tmm_tlb_fill(&tlb, &a);
	tmm_tlb_fill(&tlb, &b);
	CHECK(tmm_tlb_lookup(&tlb, 0, a.va));
	tmm_tlb_fill(&tlb, &c);
	CHECK(tmm_tlb_lookup(&tlb, 0, a.va) && tmm_tlb_lookup(&tlb, 0, c.va));
	CHECK(!tmm_tlb_lookup(&tlb, 0, b.va));
	CHECK(tlb.counts.evictions == 1);
}
