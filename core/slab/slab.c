/*
 * slab.c - slabs and the objects in them
 *
 * A slab is a run of frames cut into equal objects.  One bit for each object
 * says whether it is lent; there is no free list, so that a free object's bytes
 * are nobody's but its constructor's, a stray write into one cannot mislead the
 * allocator, and a double free or an address between objects is always seen.
 * Up to 64 bits lie in the descriptor of the slab's first frame, more at the end
 * of the slab.  Bits behind the last object are set for ever, so that the search
 * for a clear bit needs no bound.
 *
 * The lowest free object of the slab used last is lent first: neighbours in
 * time are neighbours in memory.
 *
 * One slab without lent objects is kept, so that a pair of alloc and free at the
 * edge of a slab does not visit the page allocator each time.  More would be
 * memory that nobody uses.  It stays where it is on `partial`; a pair moves no
 * slab between lists.
 *
 * cache_check() asserts:
 *   I1  a slab on `partial` has a free object, on `full` none
 *   I2  the first frame's refcount is the number of lent bits, padding apart
 *   I3  the first frame names the cache, every other one the first frame
 *   I4  nr_lent is the sum over all slabs
 *   I5  a slab with no object lent is the spare, and the spare is on `partial`
 *   I6  the lists are linked both ways and are as long as they say
 */
#include "slab/slab_system.h"

/* ---- runs of frames ---- */

void run_mark(const struct tmm_pages *pages, tmm_pfn first, unsigned order, enum page_kind kind,
              void *owner)
{
	struct page *head = page_of(pages, first);

	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		head[i] = (struct page){.kind = (uint8_t)kind, .flags = PG_TAIL, .owner = head};
	*head = (struct page){
		.kind = (uint8_t)kind, .flags = order ? PG_HEAD : 0, .owner = owner};
}

void run_unmark(const struct tmm_pages *pages, tmm_pfn first, unsigned order)
{
	struct page *head = page_of(pages, first);

	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		head[i] = (struct page){.kind = PAGE_NONE};
}

/* ---- lists of slabs ---- */

static struct page *slab_page(const struct tmm_cache *cache, uint32_t first)
{
	return page_of(cache->pages, (tmm_pfn){first});
}

static void slab_list_add(struct tmm_cache *cache, struct slab_list *list, uint32_t first)
{
	struct page *page = slab_page(cache, first);

	page->prev = NO_SLAB;
	page->next = list->first;
	if (list->first != NO_SLAB)
		slab_page(cache, list->first)->prev = first;
	list->first = first;
	list->nr++;
}

static void slab_list_del(struct tmm_cache *cache, struct slab_list *list, uint32_t first)
{
	struct page *page = slab_page(cache, first);

	if (page->prev != NO_SLAB)
		slab_page(cache, page->prev)->next = page->next;
	else
		list->first = page->next;
	if (page->next != NO_SLAB)
		slab_page(cache, page->next)->prev = page->prev;
	list->nr--;
}

/* ---- one slab ---- */

static char *slab_address(const struct tmm_cache *cache, uint32_t first)
{
	return tmm_page_address(cache->pages, (tmm_pfn){first});
}

static uint64_t *slab_bits(const struct tmm_cache *cache, struct page *head, char *address)
{
	if (!cache->bits_offset)
		return &head->lent;
	return (uint64_t *)(void *)(address + cache->bits_offset);
}

/* Bits of the last word that stand for no object. */
static uint64_t padding(const struct tmm_cache *cache)
{
	unsigned used = cache->nr_objs % 64;

	return used ? ~UINT64_C(0) << used : 0;
}

/* A slab without lent objects, on no list; NO_SLAB when memory is short. */
static uint32_t slab_create(struct tmm_cache *cache, tmm_gfp gfp)
{
	struct tmm_pages *pages = cache->pages;
	uint64_t *bits;
	char *address;
	tmm_pfn pfn;

	gfp = (gfp & ~(TMM_GFP_ZERO | TMM_GFP_MOVABLE)) | cache->page_gfp;
	if (tmm_pages_alloc(pages, gfp, cache->order, &pfn))
		return NO_SLAB;
	run_mark(pages, pfn, cache->order, PAGE_SLAB, cache);
	slab_count_pages(cache->slabs, UINT64_C(1) << cache->order, 0);
	address = tmm_page_address(pages, pfn);
	bits = slab_bits(cache, page_of(pages, pfn), address);
	memset(bits, 0, cache->nr_words * sizeof(*bits));
	bits[cache->nr_words - 1] = padding(cache);
	for (uint32_t i = 0; cache->ctor && i < cache->nr_objs; i++)
		cache->ctor(address + (uint64_t)i * cache->size_bytes);
	return (uint32_t)pfn.v;
}

static void slab_destroy(struct tmm_cache *cache, uint32_t first)
{
	struct tmm_pages *pages = cache->pages;

	run_unmark(pages, (tmm_pfn){first}, cache->order);
	slab_count_pages(cache->slabs, 0, UINT64_C(1) << cache->order);
	tmm_pages_free(pages, (tmm_pfn){first}, cache->order);
}

/* ---- objects ---- */

/* The lowest free object of a slab on `partial`. */
static ALWAYS_INLINE void *take_object(struct tmm_cache *cache, uint32_t first)
	TMM_REQUIRES(cache->lock)
{
	struct page *head = slab_page(cache, first);
	char *address = slab_address(cache, first);
	uint64_t *bits = slab_bits(cache, head, address);
	uint32_t word = 0, index;

	while (bits[word] == ~UINT64_C(0))
		word++;
	index = word * 64 + (uint32_t)__builtin_ctzll(~bits[word]);
	bits[word] |= bits[word] + 1; /* sets the lowest clear bit */
	cache->nr_lent++;
	if (first == cache->spare)
		cache->spare = NO_SLAB;
	if (unlikely(++head->refcount == cache->nr_objs)) {
		slab_list_del(cache, &cache->partial, first);
		slab_list_add(cache, &cache->full, first);
	}
	return address + (uint64_t)index * cache->size_bytes;
}

/* Lend from a new slab. */
static NOINLINE void *object_alloc_slow(struct tmm_cache *cache, tmm_gfp gfp)
{
	uint32_t first = slab_create(cache, gfp);
	void *object;
	tmm_irq irq;

	if (first == NO_SLAB)
		return NULL;
	irq = lock_take_irqsave(&cache->lock);
	slab_list_add(cache, &cache->partial, first);
	object = take_object(cache, first);
	lock_drop_irqrestore(&cache->lock, irq);
	return object;
}

void *object_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t first = cache->partial.first;
	void *object = likely(first != NO_SLAB) ? take_object(cache, first) : NULL;

	lock_drop_irqrestore(&cache->lock, irq);
	if (unlikely(!object))
		object = object_alloc_slow(cache, gfp);
	if ((gfp & TMM_GFP_ZERO) && object)
		memset(object, 0, cache->size_bytes);
	return object;
}

/*
 * The slab has one object less and was full, or has none lent any more.  Returns
 * the first frame of a slab to give back, or NO_SLAB.
 */
static NOINLINE uint32_t settle_slab(struct tmm_cache *cache, struct page *head)
	TMM_REQUIRES(cache->lock)
{
	uint32_t first = (uint32_t)page_pfn(cache->pages, head).v;

	if (head->refcount + 1 == cache->nr_objs) {
		slab_list_del(cache, &cache->full, first);
		slab_list_add(cache, &cache->partial, first);
	}
	if (head->refcount > 0)
		return NO_SLAB;
	if (cache->spare == NO_SLAB) {
		cache->spare = first;
		return NO_SLAB;
	}
	slab_list_del(cache, &cache->partial, first);
	return first;
}

void object_free(struct tmm_cache *cache, struct place place, void *object)
{
	struct page *head = place.head;
	uint64_t index = (place.offset * cache->reciprocal) >> 32;
	uint64_t *bits = slab_bits(cache, head, (char *)object - place.offset) + index / 64;
	uint64_t bit = UINT64_C(1) << index % 64;
	uint32_t gone = NO_SLAB;
	tmm_irq irq;

	TMM_ASSERT(index < cache->nr_objs && index * cache->size_bytes == place.offset &&
	           "the address is the start of an object");
	irq = lock_take_irqsave(&cache->lock);
	TMM_ASSERT(*bits & bit && "the object is lent: not freed twice");
	*bits &= ~bit;
	head->refcount--;
	cache->nr_lent--;
	if (unlikely(head->refcount == 0 || head->refcount + 1 == cache->nr_objs))
		gone = settle_slab(cache, head);
	lock_drop_irqrestore(&cache->lock, irq);
	if (unlikely(gone != NO_SLAB))
		slab_destroy(cache, gone);
}

void *tmm_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	TMM_ASSERT(!(gfp & (TMM_GFP_DMA | TMM_GFP_DMA32)) && "a cache is of no zone");
	TMM_ASSERT(!(gfp & TMM_GFP_ZERO && cache->ctor) && "zeroes would undo the constructor");
	if (unlikely(!tmm_port_allow("slab")))
		return NULL;
	return object_alloc(cache, gfp);
}

void tmm_cache_free(struct tmm_cache *cache, void *object)
{
	struct place place;

	if (!object)
		return;
	place = place_of(cache->pages, object);
	TMM_ASSERT(place.head->kind == PAGE_SLAB && place.head->owner == cache &&
	           "the object is of this cache");
	object_free(cache, place, object);
}

uint64_t tmm_cache_shrink(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t first = cache->spare;

	if (first != NO_SLAB)
		slab_list_del(cache, &cache->partial, first);
	cache->spare = NO_SLAB;
	lock_drop_irqrestore(&cache->lock, irq);
	if (first == NO_SLAB)
		return 0;
	slab_destroy(cache, first);
	return UINT64_C(1) << cache->order;
}

/* ---- checks ---- */

/* Returns the objects lent. */
static uint32_t slab_check(struct tmm_cache *cache, uint32_t first) TMM_REQUIRES(cache->lock)
{
	struct page *head = slab_page(cache, first);
	uint64_t *bits = slab_bits(cache, head, slab_address(cache, first));
	unsigned nr_set = 0;

	TMM_ASSERT(head->kind == PAGE_SLAB && head->owner == cache); /* I3 */
	for (uint32_t i = 1; i < 1u << cache->order; i++)
		TMM_ASSERT(head[i].kind == PAGE_SLAB && head[i].flags == PG_TAIL &&
		           head[i].owner == head); /* I3 */
	for (uint32_t i = 0; i < cache->nr_words; i++)
		nr_set += count_ones(bits[i]);
	TMM_ASSERT((bits[cache->nr_words - 1] & padding(cache)) == padding(cache)); /* I2 */
	nr_set -= count_ones(padding(cache));
	TMM_ASSERT(nr_set == head->refcount); /* I2 */
	return nr_set;
}

/* Every slab of the list has from least to most objects lent; their sum. */
static uint64_t slab_list_check(struct tmm_cache *cache, const struct slab_list *list,
                                uint32_t least, uint32_t most) TMM_REQUIRES(cache->lock)
{
	uint32_t nr = 0, before = NO_SLAB;
	uint64_t sum = 0;

	for (uint32_t first = list->first; first != NO_SLAB;
	     first = slab_page(cache, first)->next) {
		uint32_t lent = slab_check(cache, first);

		TMM_ASSERT(lent >= least && lent <= most);           /* I1 */
		TMM_ASSERT((lent == 0) == (first == cache->spare));  /* I5 */
		TMM_ASSERT(slab_page(cache, first)->prev == before); /* I6 */
		TMM_ASSERT(++nr <= list->nr);                        /* I6 */
		before = first;
		sum += lent;
	}
	TMM_ASSERT(nr == list->nr); /* I6 */
	return sum;
}

void cache_check(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint64_t lent;

	lent = slab_list_check(cache, &cache->partial, 0, cache->nr_objs - 1);
	lent += slab_list_check(cache, &cache->full, cache->nr_objs, cache->nr_objs);
	TMM_ASSERT(lent == cache->nr_lent); /* I4 */
	TMM_ASSERT(cache->spare == NO_SLAB ||
	           slab_page(cache, cache->spare)->refcount == 0); /* I5 */
	lock_drop_irqrestore(&cache->lock, irq);
}
