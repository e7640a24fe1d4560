/*
 * tlb.c - a set-associative buffer of translations
 *
 * The number of a page, counted in pages of its own size, picks its set; so a
 * lookup tries each size that there is, small first.  An entry serves its own
 * identifier or, when global, each.  Time is the count of uses.
 *
 * tmm_tlb_check() asserts the invariants:
 *   I1  an entry that is not empty lies in the set of its page
 *   I2  no two entries of one size translate an address for one identifier
 *   I3  uses are in the past, and no two entries of a set were used at once
 */
#include "map/mmu_impl.h"

/* Sizes of pages: 4 KiB, 2 MiB, 4 MiB, 1 GiB. */
static const uint8_t shifts[] = {12, 21, 22, 30};

static bool is_page_shift(unsigned shift)
{
	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		if (shifts[i] == shift)
			return true;
	}
	return false;
}

/* The first entry of the set of a page. */
static struct tmm_tlb_entry *set_of(const struct tmm_tlb *tlb, uint64_t va, unsigned shift)
{
	uint64_t set = (va >> shift) & (tlb->nr_sets - 1);

	return &tlb->entry[set * tlb->nr_ways];
}

static bool is_of_page(const struct tmm_tlb_entry *entry, uint64_t va, unsigned shift)
{
	return entry->used != 0 && entry->shift == shift && entry->va.v >> shift == va >> shift;
}

static bool serves(const struct tmm_tlb_entry *entry, unsigned asid)
{
	return entry->asid == asid || (entry->rights & TMM_RIGHT_GLOBAL);
}

tmm_err tmm_tlb_init(struct tmm_tlb *tlb, struct tmm_tlb_entry *entry, uint32_t nr_entries,
                     uint32_t nr_ways)
{
	if (nr_ways == 0 || nr_entries % nr_ways != 0 || !is_power_of_two(nr_entries / nr_ways))
		return TMM_E_INVAL;
	*tlb = (struct tmm_tlb){
		.entry = entry, .nr_sets = nr_entries / nr_ways, .nr_ways = nr_ways};
	memset(entry, 0, nr_entries * sizeof(*entry));
	return TMM_OK;
}

const struct tmm_tlb_entry *tmm_tlb_lookup(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va)
{
	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		struct tmm_tlb_entry *set = set_of(tlb, va.v, shifts[i]);

		for (uint32_t way = 0; way < tlb->nr_ways; way++) {
			if (!is_of_page(&set[way], va.v, shifts[i]) || !serves(&set[way], asid))
				continue;
			set[way].used = ++tlb->clock;
			tlb->counts.hits++;
			return &set[way];
		}
	}
	tlb->counts.misses++;
	return NULL;
}

void tmm_tlb_fill(struct tmm_tlb *tlb, const struct tmm_tlb_entry *page)
{
	struct tmm_tlb_entry *set = set_of(tlb, page->va.v, page->shift), *room = set;
	bool global = (page->rights & TMM_RIGHT_GLOBAL) != 0;

	TMM_ASSERT(is_page_shift(page->shift) && page->asid <= TMM_TLB_MAX_ASID);
	TMM_ASSERT(((page->va.v | page->pa.v) & bits_between(0, page->shift - 1u)) == 0);
	for (uint32_t way = 0; way < tlb->nr_ways; way++) {
		/* What would answer for the same address beside the new entry goes. */
		if (is_of_page(&set[way], page->va.v, page->shift) &&
		    (global || serves(&set[way], page->asid)))
			set[way].used = 0;
		if (set[way].used < room->used)
			room = &set[way];
	}
	tlb->counts.evictions += room->used != 0;
	*room = *page;
	room->used = ++tlb->clock;
}

/* Which entries are to go: of an identifier, and with a byte in [first, last]. */
struct victims {
	bool every_asid;
	bool spare_global;
	unsigned asid;
	uint64_t first, last;
};

static bool is_victim(const struct victims *victims, const struct tmm_tlb_entry *entry)
{
	uint64_t last;

	if (entry->used == 0)
		return false;
	last = entry->va.v + bits_between(0, entry->shift - 1u);
	if (entry->va.v > victims->last || last < victims->first)
		return false;
	if ((entry->rights & TMM_RIGHT_GLOBAL) && victims->spare_global)
		return false;
	return victims->every_asid || serves(entry, victims->asid);
}

/* Returns how many there were. */
static uint64_t drop(struct tmm_tlb *tlb, const struct victims *victims)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < (size_t)tlb->nr_sets * tlb->nr_ways; i++) {
		if (is_victim(victims, &tlb->entry[i])) {
			tlb->entry[i].used = 0;
			dropped++;
		}
	}
	return dropped;
}

static void flush(struct tmm_tlb *tlb, const struct victims *victims)
{
	tlb->counts.flushes++;
	tlb->counts.flushed += drop(tlb, victims);
}

void tlb_drop(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va)
{
	drop(tlb, &(struct victims){.asid = asid, .first = va.v, .last = va.v});
}

void tmm_tlb_flush_page(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va)
{
	flush(tlb, &(struct victims){.asid = asid, .first = va.v, .last = va.v});
}

void tmm_tlb_flush_range(struct tmm_tlb *tlb, unsigned asid, tmm_vaddr start, tmm_vaddr end)
{
	TMM_ASSERT(start.v < end.v);
	flush(tlb, &(struct victims){.asid = asid, .first = start.v, .last = end.v - 1});
}

void tmm_tlb_flush_asid(struct tmm_tlb *tlb, unsigned asid)
{
	flush(tlb, &(struct victims){.asid = asid, .spare_global = true, .last = UINT64_MAX});
}

void tmm_tlb_flush_all(struct tmm_tlb *tlb)
{
	flush(tlb, &(struct victims){.every_asid = true, .last = UINT64_MAX});
}

/* Would both answer for some address and identifier? */
static bool clash(const struct tmm_tlb_entry *a, const struct tmm_tlb_entry *b)
{
	return is_of_page(b, a->va.v, a->shift) && (serves(a, b->asid) || serves(b, a->asid));
}

void tmm_tlb_check(const struct tmm_tlb *tlb)
{
	for (size_t i = 0; i < (size_t)tlb->nr_sets * tlb->nr_ways; i++) {
		const struct tmm_tlb_entry *entry = &tlb->entry[i];
		const struct tmm_tlb_entry *set = &tlb->entry[i - i % tlb->nr_ways];

		if (entry->used == 0)
			continue;
		TMM_ASSERT(set == set_of(tlb, entry->va.v, entry->shift));
		TMM_ASSERT(entry->used <= tlb->clock);
		for (const struct tmm_tlb_entry *other = set; other < entry; other++) {
			TMM_ASSERT(!clash(entry, other));
			TMM_ASSERT(other->used != entry->used);
		}
	}
}
