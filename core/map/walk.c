/*
 * walk.c - the processor's walk, for back ends that are not a processor
 *
 * The page that was asked for is checked and marked as hardware would; the
 * others of its leaf table come along, because showing many pages costs a back
 * end hardly more than showing one.  Extents after the page are taken first, as
 * programs go upwards; extents before it fill what room is left.  The table's
 * count of present entries ends the search as soon as all have been seen.
 */
#include "map/pgtable_impl.h"

static unsigned rights_of(uint64_t entry)
{
	unsigned rights = TMM_ACCESS_READ;

	if ((entry & TMM_PTE_WRITE) && (entry & TMM_PTE_DIRTY))
		rights |= TMM_ACCESS_WRITE;
	if (!(entry & TMM_PTE_NX))
		rights |= TMM_ACCESS_EXEC;
	return rights;
}

static bool allows(uint64_t entry, unsigned access)
{
	if (!(entry & TMM_PTE_PRESENT) || !(entry & TMM_PTE_USER))
		return false;
	if ((access & TMM_ACCESS_WRITE) && !(entry & TMM_PTE_WRITE))
		return false;
	return !(access & TMM_ACCESS_EXEC) || !(entry & TMM_PTE_NX);
}

static bool visible(uint64_t entry)
{
	return (entry & TMM_PTE_PRESENT) && (entry & TMM_PTE_USER);
}

/* Can one extent hold both?  high is the entry after low. */
static bool joined(uint64_t low, uint64_t high)
{
	return frame_of(low).v + 1 == frame_of(high).v && rights_of(low) == rights_of(high);
}

/*
 * Entries from `at` upwards that `room` extents hold, the one of `at` counted.
 * *seen and *room are what is used of the table and left of the room.
 */
static unsigned reach_up(const uint64_t *entry, unsigned at, unsigned total, unsigned *seen,
                         size_t *room)
{
	unsigned end = at + 1;

	for (unsigned i = at + 1; i < TABLE_ENTRIES && *seen < total; i++) {
		if (entry[i] == 0)
			continue;
		if (!visible(entry[i]))
			break;
		if (end != i || !joined(entry[i - 1], entry[i])) {
			if (*room == 0)
				break;
			*room -= 1;
		}
		end = i + 1;
		*seen += 1;
	}
	return end;
}

static unsigned reach_down(const uint64_t *entry, unsigned at, unsigned total, unsigned *seen,
                           size_t *room)
{
	unsigned first = at;

	for (unsigned i = at; i-- > 0 && *seen < total;) {
		if (entry[i] == 0)
			continue;
		if (!visible(entry[i]))
			break;
		if (first != i + 1 || !joined(entry[i], entry[i + 1])) {
			if (*room == 0)
				break;
			*room -= 1;
		}
		first = i;
		*seen += 1;
	}
	return first;
}

/* Describe what is present in [first, end), and mark it accessed. */
static size_t describe(uint64_t *entry, uint64_t base, unsigned first, unsigned end,
                       struct tmm_extent *out)
{
	size_t nr = 0;

	for (unsigned i = first; i < end; i++) {
		if (entry[i] == 0)
			continue;
		entry[i] |= TMM_PTE_ACCESSED;
		if (i > first && entry[i - 1] != 0 && joined(entry[i - 1], entry[i])) {
			out[nr - 1].nr_pages++;
			continue;
		}
		out[nr++] = (struct tmm_extent){
			.va = {base + i * TMM_PAGE_SIZE},
			.pfn = frame_of(entry[i]),
			.nr_pages = 1,
			.rights = rights_of(entry[i]),
		};
	}
	return nr;
}

size_t tmm_pgtable_walk(struct tmm_pgtable *pt, tmm_vaddr va, unsigned access,
                        struct tmm_extent *out, size_t max)
{
	unsigned at = index_of(va.v, 1), total, seen = 1, first, end;
	size_t room = max - 1;
	uint64_t gap_end;
	uint64_t *entry;
	tmm_pfn table;

	TMM_ASSERT(max >= 1);
	if (va.v >= VA_END || !find_leaf_table(pt, va.v, &table, &gap_end))
		return 0;
	entry = table_at(pt, table);
	if (!allows(entry[at], access))
		return 0;
	entry[at] |= TMM_PTE_ACCESSED;
	if (access & TMM_ACCESS_WRITE)
		entry[at] |= TMM_PTE_DIRTY;
	total = *count_of(pt, table);
	end = reach_up(entry, at, total, &seen, &room);
	first = reach_down(entry, at, total, &seen, &room);
	return describe(entry, align_down(va.v, LEAF_SPAN), first, end, out);
}
