/*
 * dma_records.c - where records of mappings are found again
 *
 * A record is in two tables: by the address that the device has, and by that of the
 * driver's memory.  Questions are not only for an address that a mapping starts at, but for
 * all that reach over it.  So a record's place is by its class, which is the logarithm of
 * its length, and by its start in units of that:
 *
 *	class c    |--------|--------|--------|--------|    units of 2^c bytes
 *	lengths               <------------->               below 2^(c+1)
 *
 * What reaches over an address starts in its unit or in one of the two before, whatever the
 * lengths are; classes without a record are left out.
 *
 *   I1  a record is in both tables, once, in the bucket of its class and unit
 *   I2  nr_of_class counts the records of each class
 */
#include "device/dma_impl.h"

#define FIRST_CLASS 12u /* and all shorter ones */

tmm_err records_init(struct tmm_dma *dma)
{
	for (unsigned by = 0; by < NR_BY; by++) {
		dma->bucket[by] = tmm_kzalloc(
			dma->slabs, NR_BUCKETS * sizeof(struct dma_entry *), TMM_GFP_KERNEL);
		if (!dma->bucket[by]) {
			records_fini(dma);
			return TMM_E_NOMEM;
		}
	}
	return TMM_OK;
}

void records_fini(struct tmm_dma *dma)
{
	for (unsigned by = 0; by < NR_BY; by++) {
		for (unsigned b = 0; dma->bucket[by] && b < NR_BUCKETS; b++)
			TMM_ASSERT(!dma->bucket[by][b] &&
			           "devices that are removed have no mapping");
		tmm_kfree(dma->slabs, dma->bucket[by]);
		dma->bucket[by] = NULL;
	}
}

static unsigned class_of(const struct dma_entry *entry)
{
	return entry->bytes >> FIRST_CLASS ? log2_floor(entry->bytes) : FIRST_CLASS;
}

static uint64_t start_of(const struct dma_entry *entry, enum record_by by)
{
	return by == BY_ADDR ? entry->addr : entry->paddr;
}

static struct dma_entry **bucket_of(const struct tmm_dma *dma, enum record_by by,
                                    unsigned class, uint64_t unit)
{
	uint64_t key = (unit << 6 | class) * UINT64_C(0x9e3779b97f4a7c15);

	return &dma->bucket[by][key >> (64 - BUCKETS_SHIFT)];
}

static struct dma_entry **home_of(const struct tmm_dma *dma, const struct dma_entry *entry,
                                  enum record_by by)
{
	unsigned class = class_of(entry);

	return bucket_of(dma, by, class, start_of(entry, by) >> class);
}

void record_add(struct tmm_dma *dma, struct dma_entry *entry)
{
	for (unsigned by = 0; by < NR_BY; by++) {
		struct dma_entry **home = home_of(dma, entry, by);

		entry->next[by] = *home;
		*home = entry;
	}
	dma->nr_of_class[class_of(entry)]++;
}

void record_remove(struct tmm_dma *dma, struct dma_entry *entry)
{
	for (unsigned by = 0; by < NR_BY; by++) {
		struct dma_entry **link = home_of(dma, entry, by);

		while (*link != entry)
			link = &(*link)->next[by];
		*link = entry->next[by];
	}
	dma->nr_of_class[class_of(entry)]--;
}

struct dma_entry *record_search(const struct tmm_dma *dma, enum record_by by, uint64_t first,
                                uint64_t last, record_match *is_match, const void *arg)
{
	for (unsigned class = FIRST_CLASS; class < NR_CLASSES; class ++) {
		uint64_t unit = first >> class;

		if (!dma->nr_of_class[class])
			continue;
		for (unit -= min_u64(unit, 2); unit <= last >> class; unit++)
			for (struct dma_entry *at = *bucket_of(dma, by, class, unit); at;
			     at = at->next[by])
				if (is_match(at, arg))
					return at;
	}
	return NULL;
}

void records_check(const struct tmm_dma *dma)
{
	uint64_t nr[NR_BY] = {0}, nr_counted = 0;

	for (unsigned by = 0; dma->has_debug && by < NR_BY; by++)
		for (unsigned b = 0; b < NR_BUCKETS; b++)
			for (const struct dma_entry *at = dma->bucket[by][b]; at;
			     at = at->next[by]) {
				TMM_ASSERT(home_of(dma, at, by) ==
				           &dma->bucket[by][b]); /* I1 */
				nr[by]++;
			}
	for (unsigned class = 0; class < NR_CLASSES; class ++)
		nr_counted += dma->nr_of_class[class];
	TMM_ASSERT(nr[BY_ADDR] == nr_counted && nr[BY_PADDR] == nr_counted); /* I1, I2 */
}
