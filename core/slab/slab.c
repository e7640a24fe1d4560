/*
 * slab.c - slabs and the objects in them
 *
 * A slab is a run of frames cut into equal objects.  One bit for each says whether
 * it is out of the slab: lent, or in a magazine (magazine.c).  There is no free
 * list, so that a free object's bytes are nobody's but its constructor's, and a
 * stray write into one cannot mislead the allocator.  Bits behind the last object
 * are set for ever, so that the search for a clear bit needs no bound.
 *
 * A slab is of the cache's best order, or short: where memory is cut up, of the least
 * order that holds an object.  A slab is aligned to its length, so a mask makes an
 * object's address its slab's.  While there is a short slab the mask is that of short
 * ones.  In longer ones it may lead to a frame behind the first, which says where
 * that is; those who look without the lock search on then (magazine.c, lent_look()).
 * The mask is narrow before an object of a short slab is lent, and stays so until
 * that is back, so whoever frees one has seen it.
 *
 * The bits, and a byte for each object that says whether it is lent, lie in the
 * slab's state, a small object of one of the system's own caches: objects whose
 * size is a power of two fill their slab to the last byte.  Slabs of the own
 * caches have neither magazines nor a state; their bits are in the descriptor of
 * the first frame.  So nothing here needs itself.
 *
 * Objects are taken by rising address from the slab used last: neighbours in time
 * are neighbours in memory.  With TMM_SLAB_RANDOM any object of it is as likely as the
 * others, so that who overflows one cannot know what he hits.
 *
 * Each node has lists of its own for the slabs that lie on it; node.c says whose are
 * tried when.  One lock guards them all: magazines and depots, which are of CPUs and
 * nodes, see to it that few come here.
 *
 * One slab of each node with all its objects in it is kept (min_partial), so that a
 * pair of alloc and free at the edge of a slab does not visit the page allocator each
 * time.  More would be memory that nobody uses, unless somebody asks for it.  It stays
 * where it is on `partial`; a pair moves no slab between lists.
 *
 * cache_check() asserts:
 *   I1  a slab on `partial` has an object in it, on `full` none
 *   I2  the first frame's refcount is the number of set bits, padding apart
 *   I3  the first frame names the cache, every other one the first frame
 *   I4  nr_out is the sum over all slabs
 *   I5  nr_empty slabs of a node have all objects in them, at most min_partial
 *   I6  the lists are linked both ways and are as long as they say; nr_short of
 *       their slabs are short, and with none of those the mask is the wide one
 *   I18 a slab is on a list of the node that it lies on
 *   I9  an object that is lent is out of its slab
 *   I10 objects out of their slabs are lent or in a magazine
 */
#include <tuxmm/policy.h>

#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/slob.h"

#define ENOUGH 8u /* objects for one visit to the lock */

/* ---- runs of frames ---- */

void run_mark(const struct tmm_pages *pages, tmm_pfn first, unsigned order, enum page_kind kind,
              void *owner)
{
	struct page *head = page_of(pages, first);

	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		page_set(&head[i],
		         (struct page){.kind = (uint8_t)kind, .flags = PG_TAIL, .owner = head});
	page_set(head, (struct page){.kind = (uint8_t)kind,
	                             .flags = order ? PG_HEAD : 0,
	                             .owner = owner});
}

void run_unmark(const struct tmm_pages *pages, tmm_pfn first, unsigned order)
{
	struct page *head = page_of(pages, first);

	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		page_clear(&head[i]);
}

/* ---- lists of slabs ---- */

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

/* Bits of a word of the slab's that stand for no object. */
static uint64_t padding(const struct tmm_cache *cache, const struct page *head, uint32_t word)
{
	uint32_t nr_objs = slab_objs(cache, head);

	if (word * 64 >= nr_objs)
		return ~UINT64_C(0);
	return nr_objs - word * 64 < 64 ? ~UINT64_C(0) << (nr_objs - word * 64) : 0;
}

static void count_run(const struct tmm_cache *cache, tmm_pfn pfn, unsigned order, int sign)
{
	slab_count_run(cache->slabs, pfn, order, (cache->page_gfp & TMM_GFP_RECLAIMABLE) != 0,
	               sign);
}

bool run_alloc_near(struct tmm_pages *pages, uint32_t node, tmm_gfp gfp, unsigned order,
                    tmm_pfn *out_pfn)
{
	tmm_err err = node == TMM_NODE_ANY
	                      ? tmm_pages_alloc(pages, gfp, order, out_pfn)
	                      : tmm_pages_alloc_node(pages, node, gfp, order, out_pfn);

	return err == TMM_OK;
}

/*
 * A run of the best order if there is one; nobody is to reclaim for its sake where a
 * shorter one will do (Linux: likewise).
 */
static bool run_alloc(const struct tmm_cache *cache, tmm_gfp gfp, uint32_t node,
                      tmm_pfn *out_pfn, uint32_t *out_order)
{
	tmm_gfp easy = (gfp | TMM_GFP_NOWARN | TMM_GFP_NORETRY) & ~TMM_GFP_NOFAIL;

	*out_order = cache->order;
	if (cache->order == cache->short_order)
		return run_alloc_near(cache->pages, node, gfp, cache->order, out_pfn);
	if (gfp & TMM_GFP_DIRECT_RECLAIM)
		easy = (easy | TMM_GFP_NOMEMALLOC) & ~TMM_GFP_RECLAIM;
	if (run_alloc_near(cache->pages, node, easy, cache->order, out_pfn))
		return true;
	*out_order = cache->short_order;
	return run_alloc_near(cache->pages, node, gfp, cache->short_order, out_pfn);
}

/*
 * A slab with all objects in it, on no list; NO_SLAB when memory is short.  `state`
 * has room for its bits and bytes; NULL: an own cache.
 */
static uint32_t slab_create(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node,
                            uint64_t *state)
{
	struct tmm_pages *pages = cache->pages;
	struct page *head;
	uint64_t *bits;
	uint32_t order;
	tmm_pfn pfn;

	gfp &= ~(TMM_GFP_ZERO | TMM_GFP_MOVABLE | TMM_GFP_COMP | TMM_GFP_ACCOUNT);
	gfp |= cache->page_gfp;
	if (!run_alloc(cache, gfp, node, &pfn, &order))
		return NO_SLAB;
	run_mark(pages, pfn, order, PAGE_SLAB, cache);
	count_run(cache, pfn, order, 1);
	head = page_of(pages, pfn);
	if (order != cache->order)
		head->flags |= PG_SHORT;
	if (state)
		head->lent = (uintptr_t)state + cache->lent_offset;
	bits = slab_bits(cache, head);
	for (uint32_t i = 0; i < cache->nr_words; i++)
		bits[i] = padding(cache, head, i);
	if (state)
		memset(slab_lent(head), 0, nr_lent_bytes(cache));
	if (cache->debug)
		debug_slab_init(cache, head);
	for (uint32_t i = 0; cache->ctor && i < slab_objs(cache, head); i++)
		cache->ctor(object_at(cache, head, i));
	return (uint32_t)pfn.v;
}

/* Its state stays the caller's. */
static void slab_destroy(struct tmm_cache *cache, uint32_t first)
{
	struct tmm_pages *pages = cache->pages;
	uint32_t order = slab_order(cache, slab_page(cache, first));

	run_unmark(pages, (tmm_pfn){first}, order);
	count_run(cache, (tmm_pfn){first}, order, -1);
	tmm_pages_free(pages, (tmm_pfn){first}, order);
}

static void count_short(struct tmm_cache *cache, struct slab_node *node, uint32_t more)
	TMM_REQUIRES(cache->lock)
{
	node->nr_short += more;
	cache->nr_short += more;
	/* relaxed: what is lent from a short slab comes to others after this */
	__atomic_store_n(&cache->slab_mask,
	                 mask_of_order(cache->nr_short ? cache->short_order : cache->order),
	                 __ATOMIC_RELAXED);
}

/* A new slab comes to `partial`. */
void slab_add(struct tmm_cache *cache, uint32_t first)
{
	struct slab_node *node = slab_node(cache, first);

	slab_list_add(cache, &node->partial, first);
	node->nr_empty++;
	if (unlikely(slab_is_short(slab_page(cache, first))))
		count_short(cache, node, 1);
}

/* One with all objects in it goes to the chain *gone; nr_empty does not count it. */
static void slab_remove(struct tmm_cache *cache, struct slab_node *node, uint32_t first,
                        uint32_t *gone) TMM_REQUIRES(cache->lock)
{
	struct page *head = slab_page(cache, first);

	slab_list_del(cache, &node->partial, first);
	/* relaxed: depot.h, epoch_of() */
	__atomic_store_n(&cache->front.epoch, cache->front.epoch + 1, __ATOMIC_RELAXED);
	if (unlikely(slab_is_short(head)))
		count_short(cache, node, -1u);
	head->next = *gone;
	*gone = first;
}

/* relaxed: others only want a moment's value */
static void count_out(struct tmm_cache *cache, uint64_t more) TMM_REQUIRES(cache->lock)
{
	__atomic_store_n(&cache->nr_out, cache->nr_out + more, __ATOMIC_RELAXED);
}

/* ---- out of the slabs ---- */

/* `nr` objects left a slab on `partial`. */
static void slab_took(struct tmm_cache *cache, struct page *head, uint32_t nr)
	TMM_REQUIRES(cache->lock)
{
	uint32_t first = (uint32_t)page_pfn(cache->pages, head).v;
	struct slab_node *node = slab_node(cache, first);

	count_out(cache, nr);
	if (!head->refcount)
		node->nr_empty--;
	head->refcount += nr;
	if (head->refcount == slab_objs(cache, head)) {
		slab_list_del(cache, &node->partial, first);
		slab_list_add(cache, &node->full, first);
	}
}

/*
 * Take `nr` objects out of the slab, the lowest last.  Most often a word of bits is
 * clear, and so are 64 neighbours to be had.
 */
static void bits_take(const struct tmm_cache *cache, uint64_t *bits, char *address,
                      uint8_t *lent, struct objects out, uint32_t nr)
{
	uint32_t word = 0;

	while (nr > 0) {
		uint64_t clear = ~bits[word];
		char *base = address + (uint64_t)word * 64 * cache->size_bytes;
		uint32_t index;

		if (!clear) {
			word++;
			continue;
		}
		if (clear == ~UINT64_C(0) && nr >= 64) {
			bits[word] = ~UINT64_C(0);
			for (uint32_t i = 0; i < 64; i++, base += cache->size_bytes) {
				out.object[nr - 1 - i] = base;
				out.lent[nr - 1 - i] = lent + word * 64 + i;
			}
			nr -= 64;
			continue;
		}
		index = (uint32_t)__builtin_ctzll(clear);
		bits[word] |= clear & -clear;
		out.object[--nr] = base + (uint64_t)index * cache->size_bytes;
		out.lent[nr] = lent + word * 64 + index;
	}
}

/* The n-th clear bit, which there is. */
static uint32_t nth_clear(const uint64_t *bits, uint32_t n)
{
	uint64_t clear = ~*bits;
	uint32_t word = 0;

	for (; n >= count_ones(clear); clear = ~bits[++word])
		n -= count_ones(clear);
	while (n-- > 0)
		clear &= clear - 1;
	return word * 64 + (uint32_t)__builtin_ctzll(clear);
}

uint32_t slab_pick(struct tmm_cache *cache, const uint64_t *bits, uint32_t nr_clear)
{
	if (likely(!cache->shuffle))
		return nth_clear(bits, 0);
	/* xorshift: never 0 */
	cache->shuffle ^= cache->shuffle << 13;
	cache->shuffle ^= cache->shuffle >> 7;
	cache->shuffle ^= cache->shuffle << 17;
	return nth_clear(bits, (uint32_t)((cache->shuffle >> 32) * nr_clear >> 32));
}

/* bits_take() in a random order; nr_clear bits are. */
static void bits_take_shuffled(struct tmm_cache *cache, uint64_t *bits, char *address,
                               uint8_t *lent, struct objects out, uint32_t nr,
                               uint32_t nr_clear) TMM_REQUIRES(cache->lock)
{
	while (nr > 0) {
		uint32_t index = slab_pick(cache, bits, nr_clear--);

		bits[index / 64] |= UINT64_C(1) << index % 64;
		out.object[--nr] = address + (uint64_t)index * cache->size_bytes;
		out.lent[nr] = lent + index;
	}
}

/* Up to `most` objects of a slab on `partial`. */
static uint32_t slab_take(struct tmm_cache *cache, uint32_t first, struct objects out,
                          uint32_t most) TMM_REQUIRES(cache->lock)
{
	struct page *head = slab_page(cache, first);
	uint32_t nr_clear = slab_objs(cache, head) - head->refcount;
	uint32_t nr = (uint32_t)min_u64(most, nr_clear);
	char *address = slab_address(cache, first);
	/* Those of the own caches have no such byte: any place will do. */
	uint8_t *lent = is_own_cache(cache) ? (uint8_t *)address : slab_lent(head);

	if (unlikely(cache->shuffle))
		bits_take_shuffled(cache, slab_bits(cache, head), address, lent, out, nr,
		                   nr_clear);
	else
		bits_take(cache, slab_bits(cache, head), address, lent, out, nr);
	slab_took(cache, head, nr);
	return nr;
}

uint32_t slab_find_free(struct tmm_cache *cache, struct page *head)
{
	return slab_pick(cache, slab_bits(cache, head),
	                 slab_objs(cache, head) - head->refcount);
}

void slab_take_object(struct tmm_cache *cache, struct page *head, uint32_t index)
{
	slab_bits(cache, head)[index / 64] |= UINT64_C(1) << index % 64;
	slab_took(cache, head, 1);
}

/*
 * From one slab as a rule, so that a magazine's objects are neighbours; from more
 * where that would fetch less than a few, which the lock would not be worth.
 */
static uint32_t slabs_take(const struct slab_source *source, struct objects out, uint32_t most)
	TMM_REQUIRES(source->cache->lock)
{
	uint32_t nr = 0, few = (uint32_t)min_u64(most, ENOUGH);

	do {
		const struct objects rest = {out.object + nr, out.lent + nr};
		uint32_t first = source_slab(source);

		if (first == NO_SLAB)
			break;
		nr += slab_take(source->cache, first, rest, most - nr);
	} while (nr < few);
	return nr;
}

uint32_t objects_take(const struct slab_source *source, struct objects out, uint32_t most)
{
	tmm_irq irq = lock_take_irqsave(&source->cache->lock);
	uint32_t nr;

	if (source->new_slab != NO_SLAB)
		slab_add(source->cache, source->new_slab);
	nr = slabs_take(source, out, most);
	lock_drop_irqrestore(&source->cache->lock, irq);
	return nr;
}

void *own_alloc(struct tmm_cache *cache, tmm_gfp gfp)
{
	void *object;
	uint8_t *lent;
	const struct objects out = {&object, &lent};
	struct slab_source source;

	if (cache->slabs->is_slob)
		return slob_cache_alloc(cache, gfp, TMM_NODE_ANY);
	source = source_first(cache, gfp, TMM_NODE_ANY);
	if (objects_take(&source, out, 1))
		return object;
	/* So small and so few that nearness is not worth a slab. */
	source.step = SOURCE_OTHERS;
	if (cache->nr_nodes > 1 && objects_take(&source, out, 1))
		return object;
	source.new_slab = slab_create(cache, gfp, TMM_NODE_ANY, NULL);
	if (source.new_slab == NO_SLAB)
		return NULL;
	source.step = SOURCE_NEW;
	objects_take(&source, out, 1);
	return object;
}

uint32_t slab_new(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node)
{
	void *state = own_alloc(cache->states, gfp & ~TMM_GFP_THISNODE);
	uint32_t first;

	if (!state)
		return NO_SLAB;
	first = slab_create(cache, gfp, node, state);
	if (first == NO_SLAB)
		own_free(cache->states, state);
	return first;
}

/* ---- into the slabs ---- */

/*
 * The slab had none of its objects, or has all of them now.  One that has all is kept, if
 * its node has few of those, or leaves its list for the chain *gone.
 */
static NOINLINE void slab_relist(struct tmm_cache *cache, struct page *head, bool was_full,
                                 uint32_t *gone) TMM_REQUIRES(cache->lock)
{
	uint32_t first = (uint32_t)page_pfn(cache->pages, head).v;
	struct slab_node *node = slab_node(cache, first);

	if (was_full) {
		slab_list_del(cache, &node->full, first);
		slab_list_add(cache, &node->partial, first);
	}
	if (head->refcount > 0)
		return;
	if (node->nr_empty < cache->min_partial)
		node->nr_empty++;
	else
		slab_remove(cache, node, first, gone);
}

/* `nr` objects came into the slab. */
static ALWAYS_INLINE void slab_settle(struct tmm_cache *cache, struct page *head, uint32_t nr,
                                      uint32_t *gone) TMM_REQUIRES(cache->lock)
{
	bool was_full = head->refcount == slab_objs(cache, head);

	head->refcount -= nr;
	if (unlikely(was_full || !head->refcount))
		slab_relist(cache, head, was_full, gone);
}

/* The slab that an object is of; *out_offset: from its start. */
static ALWAYS_INLINE struct page *slab_of(const struct tmm_cache *cache, const void *object,
                                          uint64_t *out_offset) TMM_REQUIRES(cache->lock)
{
	uint64_t at = (uint64_t)((const char *)object - (const char *)cache->pages->ram);
	uint64_t start = at & cache->slab_mask;
	struct page *page = page_of(cache->pages, (tmm_pfn){start >> TMM_PAGE_SHIFT});
	struct page *head = page;

	if (unlikely(page->flags & PG_TAIL)) /* there are short ones beside it */
		head = page->owner;
	*out_offset = at - start + ((uint64_t)(page - head) << TMM_PAGE_SHIFT);
	return head;
}

static void bit_clear(uint64_t *bits, uint64_t index)
{
	uint64_t bit = UINT64_C(1) << index % 64;

	TMM_ASSERT(bits[index / 64] & bit && "the object is out of its slab: not freed twice");
	bits[index / 64] &= ~bit;
}

/* Objects of one slab that follow each other are put together. */
static uint32_t slabs_put(struct tmm_cache *cache, struct objects in, uint32_t nr)
	TMM_REQUIRES(cache->lock)
{
	uint32_t gone = NO_SLAB, nr_objs = cache->nr_objs;
	uint8_t *const *end = in.lent + nr;

	while (in.lent < end) {
		uint64_t offset;
		struct page *head = slab_of(cache, *in.object, &offset);
		uint64_t *bits = slab_bits(cache, head);
		uint64_t index = (uintptr_t)*in.lent - head->lent;
		uint8_t **before = in.lent;

		do {
			bit_clear(bits, index);
			if (++in.lent == end)
				break;
			index = (uintptr_t)*in.lent - head->lent;
		} while (index < nr_objs);
		in.object += in.lent - before;
		slab_settle(cache, head, (uint32_t)(in.lent - before), &gone);
	}
	count_out(cache, -(uint64_t)nr);
	return gone;
}

uint32_t slab_put_object(struct tmm_cache *cache, void *object)
{
	uint32_t gone = NO_SLAB;
	uint64_t offset;
	struct page *head = slab_of(cache, object, &offset);

	bit_clear(slab_bits(cache, head), offset / cache->size_bytes);
	slab_settle(cache, head, 1, &gone);
	count_out(cache, -UINT64_C(1));
	return gone;
}

void own_free(struct tmm_cache *cache, void *object)
{
	tmm_irq irq;
	uint32_t gone;

	if (cache->slabs->is_slob) {
		slob_cache_free(cache, object);
		return;
	}
	irq = lock_take_irqsave(&cache->lock);
	gone = slab_put_object(cache, object);
	lock_drop_irqrestore(&cache->lock, irq);
	if (gone != NO_SLAB)
		slab_destroy(cache, gone);
}

/* Returns the pages freed. */
uint64_t slabs_destroy(struct tmm_cache *cache, uint32_t first)
{
	uint64_t pages = 0;

	while (first != NO_SLAB) {
		struct page *head = slab_page(cache, first);
		uint64_t *state = is_own_cache(cache) ? NULL : slab_bits(cache, head);
		uint64_t frames = UINT64_C(1) << slab_order(cache, head);
		uint32_t next = head->next;

		slab_end_charges(cache, first);
		slab_destroy(cache, first);
		if (state)
			own_free(cache->states, state);
		pages += frames;
		first = next;
	}
	return pages;
}

uint64_t objects_put(struct tmm_cache *cache, struct objects in, uint32_t nr)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t gone = slabs_put(cache, in, nr);

	lock_drop_irqrestore(&cache->lock, irq);
	return slabs_destroy(cache, gone);
}

static void node_empties_remove(struct tmm_cache *cache, struct slab_node *node, uint32_t keep,
                                uint32_t *gone) TMM_REQUIRES(cache->lock)
{
	uint32_t next;

	for (uint32_t first = node->partial.first; node->nr_empty > keep; first = next) {
		next = slab_page(cache, first)->next;
		if (slab_page(cache, first)->refcount)
			continue;
		node->nr_empty--;
		slab_remove(cache, node, first, gone);
	}
}

uint64_t empties_free(struct tmm_cache *cache, uint32_t keep)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t gone = NO_SLAB;

	for (uint32_t i = 0; i < cache->nr_nodes; i++)
		node_empties_remove(cache, &cache->node[i], keep, &gone);
	lock_drop_irqrestore(&cache->lock, irq);
	return slabs_destroy(cache, gone);
}

/* ---- checks ---- */

/* Every lent object is out of the slab; returns how many are. */
static uint32_t lent_check(struct tmm_cache *cache, struct page *head)
{
	const uint64_t *bits = slab_bits(cache, head);
	const uint8_t *lent = slab_lent(head);
	uint32_t nr = 0;

	for (uint32_t i = 0; i < slab_objs(cache, head); i++) {
		bool out = bits[i / 64] >> i % 64 & 1;
		bool charged = object_is_charged(cache, page_pfn(cache->pages, head).v, i);

		TMM_ASSERT(!lent[i] || out);                                /* I9 */
		TMM_ASSERT(!charged || (out && !lent[i] == !cache->debug)); /* I19 */
		TMM_ASSERT(!cache->debug || lent[i] || !out);               /* I13 */
		nr += lent[i] != OBJECT_FREE || charged;
	}
	return nr;
}

/* Returns the objects out of it; adds those lent. */
static uint32_t slab_check(struct tmm_cache *cache, uint32_t first, uint64_t *lent)
	TMM_REQUIRES(cache->lock)
{
	struct page *head = slab_page(cache, first);
	uint64_t *bits = slab_bits(cache, head);
	unsigned nr_set = 0;

	TMM_ASSERT(head->kind == PAGE_SLAB && head->owner == cache); /* I3 */
	for (uint32_t i = 1; i < 1u << slab_order(cache, head); i++)
		TMM_ASSERT(head[i].kind == PAGE_SLAB && head[i].flags == PG_TAIL &&
		           head[i].owner == head); /* I3 */
	for (uint32_t i = 0; i < cache->nr_words; i++) {
		uint64_t pad = padding(cache, head, i);

		TMM_ASSERT((bits[i] & pad) == pad); /* I2 */
		nr_set += count_ones(bits[i] & ~pad);
	}
	TMM_ASSERT(nr_set == head->refcount); /* I2 */
	*lent += is_own_cache(cache) ? nr_set : lent_check(cache, head);
	return nr_set;
}

/* What is in the slabs of a list. */
struct sums {
	uint64_t out, lent; /* objects */
	uint32_t nr_short, nr_empty;
};

/* Every slab of the list has an object in it, or no slab. */
static void slab_list_check(struct tmm_cache *cache, const struct slab_node *node,
                            const struct slab_list *list, struct sums *sums)
	TMM_REQUIRES(cache->lock)
{
	uint32_t nr = 0, before = NO_SLAB;

	for (uint32_t first = list->first; first != NO_SLAB;
	     first = slab_page(cache, first)->next) {
		const struct page *head = slab_page(cache, first);
		uint32_t out = slab_check(cache, first, &sums->lent);

		TMM_ASSERT((out == slab_objs(cache, head)) == (list == &node->full)); /* I1 */
		TMM_ASSERT(slab_page(cache, first)->prev == before);                  /* I6 */
		TMM_ASSERT(++nr <= list->nr);                                         /* I6 */
		TMM_ASSERT(slab_node(cache, first) == node);                          /* I18 */
		before = first;
		sums->out += out;
		sums->nr_short += slab_is_short(head);
		sums->nr_empty += out == 0;
	}
	TMM_ASSERT(nr == list->nr); /* I6 */
}

/* Adds what is in the slabs of a node. */
static void slab_node_check(struct tmm_cache *cache, const struct slab_node *node,
                            struct sums *all) TMM_REQUIRES(cache->lock)
{
	struct sums sums = {.out = 0};

	slab_list_check(cache, node, &node->partial, &sums);
	slab_list_check(cache, node, &node->full, &sums);
	TMM_ASSERT(sums.nr_empty == node->nr_empty);      /* I5 */
	TMM_ASSERT(node->nr_empty <= cache->min_partial); /* I5 */
	TMM_ASSERT(sums.nr_short == node->nr_short);      /* I6 */
	all->out += sums.out;
	all->lent += sums.lent;
	all->nr_short += sums.nr_short;
}

void cache_check(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	struct sums sums = {.out = 0};

	for (uint32_t i = 0; i < cache->nr_nodes; i++)
		slab_node_check(cache, &cache->node[i], &sums);
	TMM_ASSERT(sums.out == cache->nr_out);        /* I4 */
	TMM_ASSERT(sums.nr_short == cache->nr_short); /* I6 */
	TMM_ASSERT(cache->slab_mask ==
	           mask_of_order(sums.nr_short ? cache->short_order : cache->order)); /* I6 */
	TMM_ASSERT(sums.out == sums.lent + magazines_count(cache));                   /* I10 */
	magazines_check(cache);
	lock_drop_irqrestore(&cache->lock, irq);
	if (cache->debug)
		cache_debug_check(cache);
}
