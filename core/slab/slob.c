/*
 * slob.c - blocks of any size from shared pages
 *
 * Slabs cost a page for each size of objects, and a few more for what they are
 * described by: much where there is 1 MiB.  Here objects of all caches and of kmalloc
 * lie side by side in the same pages, in units of 8 bytes, and a page goes back as
 * soon as nothing is left in it.
 *
 *   |start bits|lent    |free------>|lent|lent   |free--0|
 *    64 bytes            units, next
 *
 * A free block holds its length and where the next one of the page begins.  A lent
 * one holds nothing of ours: it reaches from its start bit to the next start bit or
 * free block, so that neither caches nor kmalloc need a header, and an address that
 * is no start of a lent block is known as such.
 *
 * Pages with free units are on three lists by the size of what they were taken for,
 * below 256 bytes, below 1024 and above, so that small blocks do not cut up the pages
 * of large ones.  A search takes the first block that fits, and begins with the page
 * that served last.
 *
 * A constructor is called each time an object is lent: what is free holds links.
 * Freeing to another cache is seen only when that has objects of another size.
 * slob_check() asserts:
 *   S1  free blocks of a page rise, do not touch and lie behind the start bits
 *   S2  each other unit is in a lent block: where a free one ends a lent one starts,
 *       and none starts inside a free one
 *   S3  a page's refcount is the number of its free units, and less than all
 *   S4  a page with free units is on the list of its size, any other on none
 *   S5  pages and lent blocks are as many as are counted
 */
#include "slab/slob.h"

#define UNIT         8u
#define PAGE_UNITS   ((unsigned)TMM_PAGE_SIZE / UNIT)
#define FIRST_UNIT   (PAGE_UNITS / 8 / UNIT) /* behind the start bits */
#define ALL_UNITS    (PAGE_UNITS - FIRST_UNIT)
#define NO_UNIT      0u /* ends the free blocks of a page */

#define SMALL_BYTES  256u
#define MEDIUM_BYTES 1024u

/* At the start of a free block; `next` is a unit of the page. */
struct free_block {
	uint16_t units;
	uint16_t next;
};

static unsigned units_of(size_t size_bytes)
{
	return (unsigned)((size_bytes + UNIT - 1) / UNIT);
}

static unsigned list_of(size_t size_bytes)
{
	return size_bytes < SMALL_BYTES ? 0 : size_bytes < MEDIUM_BYTES ? 1 : 2;
}

bool slob_fits(size_t size_bytes, size_t align_bytes)
{
	return align_bytes < TMM_PAGE_SIZE && size_bytes <= ALL_UNITS * UNIT &&
	       align_up(FIRST_UNIT * UNIT, align_bytes) + size_bytes <= TMM_PAGE_SIZE;
}

/* ---- one page: index is its first free block, refcount its free units ---- */

static char *page_start(const struct tmm_slab_system *slabs, const struct page *page)
{
	return page_address(slabs->pages, page_pfn(slabs->pages, page));
}

static struct free_block *block_at(char *start, unsigned unit)
{
	return (struct free_block *)(void *)(start + (size_t)unit * UNIT);
}

static uint64_t *start_bits(char *start)
{
	return (uint64_t *)(void *)start;
}

static bool is_start(char *start, unsigned unit)
{
	return start_bits(start)[unit / 64] >> unit % 64 & 1;
}

static void flip_start(char *start, unsigned unit)
{
	start_bits(start)[unit / 64] ^= UINT64_C(1) << unit % 64;
}

/* The first lent block behind `unit` starts there; PAGE_UNITS: none. */
static unsigned next_start(char *start, unsigned unit)
{
	for (unsigned w = ++unit / 64; w < PAGE_UNITS / 64; w++) {
		uint64_t bits = start_bits(start)[w];

		if (w == unit / 64)
			bits &= ~UINT64_C(0) << unit % 64;
		if (bits)
			return w * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return PAGE_UNITS;
}

/* The last free block before `unit`, and the first behind; NO_UNIT: none. */
struct neighbours {
	unsigned before, behind;
};

static struct neighbours neighbours_of(const struct page *page, char *start, unsigned unit)
{
	struct neighbours n = {NO_UNIT, page->index};

	while (n.behind != NO_UNIT && n.behind <= unit) {
		n.before = n.behind;
		n.behind = block_at(start, n.behind)->next;
	}
	return n;
}

/* What follows free block `before` is `next` from now on. */
static void link_after(struct page *page, char *start, unsigned before, unsigned next)
{
	if (before == NO_UNIT)
		page->index = next;
	else
		block_at(start, before)->next = (uint16_t)next;
}

static void put_block(struct page *page, char *start, unsigned before, unsigned unit,
                      unsigned units, unsigned next)
{
	*block_at(start, unit) = (struct free_block){(uint16_t)units, (uint16_t)next};
	link_after(page, start, before, unit);
}

/* The first free block that fits, from its first unit that is aligned; NULL: none. */
static void *page_take(struct page *page, char *start, unsigned units, unsigned align)
{
	unsigned before = NO_UNIT;

	for (unsigned unit = page->index; unit != NO_UNIT;) {
		const struct free_block block = *block_at(start, unit);
		unsigned at = (unsigned)align_up(unit, align), end = unit + block.units;

		if (at + units > end) {
			before = unit;
			unit = block.next;
			continue;
		}
		link_after(page, start, before, block.next);
		if (at + units < end)
			put_block(page, start, before, at + units, end - at - units,
			          block.next);
		if (at > unit)
			put_block(page, start, before, unit, at - unit,
			          before == NO_UNIT ? page->index
			                            : block_at(start, before)->next);
		flip_start(start, at);
		page->refcount -= units;
		return start + (size_t)at * UNIT;
	}
	return NULL;
}

/* The lent block at `unit` reaches up to there. */
static unsigned end_of(char *start, unsigned unit, const struct neighbours *n)
{
	unsigned end = next_start(start, unit);

	return n->behind != NO_UNIT && n->behind < end ? n->behind : end;
}

/* A lent block becomes free, and one with its neighbours. */
static void page_put(struct page *page, char *start, unsigned unit, unsigned end,
                     struct neighbours n)
{
	unsigned next = n.behind, from = unit, to = end;

	flip_start(start, unit);
	page->refcount += end - unit;
	if (n.behind == end) {
		to += block_at(start, n.behind)->units;
		next = block_at(start, n.behind)->next;
	}
	if (n.before != NO_UNIT && n.before + block_at(start, n.before)->units == unit) {
		block_at(start, n.before)->units = (uint16_t)(to - n.before);
		block_at(start, n.before)->next = (uint16_t)next;
		return;
	}
	put_block(page, start, n.before, from, to - from, next);
}

/* ---- lists of pages: circles, searched from the page that served last ---- */

static struct page *page_at(const struct tmm_slab_system *slabs, uint32_t pfn)
{
	return page_of(slabs->pages, (tmm_pfn){pfn});
}

static uint32_t number_of(const struct tmm_slab_system *slabs, const struct page *page)
{
	return (uint32_t)page_pfn(slabs->pages, page).v;
}

/* mapcount: its list. */
static void list_page(struct tmm_slab_system *slabs, struct page *page)
	TMM_REQUIRES(slabs->slob.lock)
{
	uint32_t *first = &slabs->slob.first[page->mapcount], me = number_of(slabs, page);

	if (*first == NO_SLAB) {
		page->next = page->prev = me;
	} else {
		struct page *next = page_at(slabs, *first);

		page->next = *first;
		page->prev = next->prev;
		page_at(slabs, next->prev)->next = me;
		next->prev = me;
	}
	*first = me;
}

static void unlist_page(struct tmm_slab_system *slabs, struct page *page)
	TMM_REQUIRES(slabs->slob.lock)
{
	uint32_t *first = &slabs->slob.first[page->mapcount], me = number_of(slabs, page);

	page_at(slabs, page->prev)->next = page->next;
	page_at(slabs, page->next)->prev = page->prev;
	if (*first == me)
		*first = page->next == me ? NO_SLAB : page->next;
}

/* ---- lending ---- */

/* From a page that is listed; it serves first the next time. */
static void *take_from(struct tmm_slab_system *slabs, struct page *page, unsigned units,
                       unsigned align) TMM_REQUIRES(slabs->slob.lock)
{
	void *object = page->refcount >= units
	                       ? page_take(page, page_start(slabs, page), units, align)
	                       : NULL;

	if (!object)
		return NULL;
	slabs->slob.nr_lent++;
	slabs->slob.first[page->mapcount] = number_of(slabs, page);
	if (page->refcount == 0)
		unlist_page(slabs, page);
	return object;
}

static bool is_on(const struct tmm_slab_system *slabs, const struct page *page, uint32_t node)
{
	return node == TMM_NODE_ANY ||
	       pfn_node(slabs->pages, page_pfn(slabs->pages, page)) == node;
}

static void *take_listed(struct tmm_slab_system *slabs, unsigned list, unsigned units,
                         unsigned align, uint32_t node)
{
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);
	uint32_t first = slabs->slob.first[list], at = first;
	void *object = NULL;

	while (at != NO_SLAB && !object) {
		struct page *page = page_at(slabs, at);

		at = page->next == first ? NO_SLAB : page->next;
		if (is_on(slabs, page, node))
			object = take_from(slabs, page, units, align);
	}
	lock_drop_irqrestore(&slabs->slob.lock, irq);
	return object;
}

static void *take_new(struct tmm_slab_system *slabs, struct page *page, unsigned units,
                      unsigned align)
{
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);
	void *object;

	list_page(slabs, page);
	slabs->slob.nr_pages++;
	object = take_from(slabs, page, units, align);
	lock_drop_irqrestore(&slabs->slob.lock, irq);
	return object;
}

void *slob_alloc(struct tmm_slab_system *slabs, size_t size_bytes, size_t align_bytes,
                 tmm_gfp gfp, uint32_t node)
{
	unsigned units = units_of(size_bytes), list = list_of(size_bytes);
	unsigned align = (unsigned)max_u64(align_bytes / UNIT, 1);
	void *object = take_listed(slabs, list, units, align, node);
	struct page *page;
	char *start;
	tmm_pfn pfn;

	if (object)
		return object;
	gfp &= ~(TMM_GFP_ZERO | TMM_GFP_MOVABLE | TMM_GFP_RECLAIMABLE | TMM_GFP_ACCOUNT);
	if (!run_alloc_near(slabs->pages, node, gfp, 0, &pfn))
		return NULL;
	run_mark(slabs->pages, pfn, 0, PAGE_SLOB, slabs);
	slab_count_run(slabs, pfn, 0, false, 1);
	page = page_of(slabs->pages, pfn);
	start = page_start(slabs, page);
	memset(start, 0, FIRST_UNIT * UNIT);
	page->mapcount = list;
	page->refcount = ALL_UNITS;
	put_block(page, start, NO_UNIT, FIRST_UNIT, ALL_UNITS, NO_UNIT);
	return take_new(slabs, page, units, align);
}

/* ---- taking back ---- */

/* What is wrong with freeing it; NULL: nothing. */
static const char *mistake(const struct page *page, char *start, uint64_t offset,
                           size_t size_bytes, const struct neighbours *n)
{
	unsigned unit = (unsigned)(offset / UNIT);

	if (n->before != NO_UNIT && unit < n->before + block_at(start, n->before)->units)
		return "the object is lent: not freed twice";
	if (offset % UNIT || unit < FIRST_UNIT || !is_start(start, unit))
		return "the address is the start of an object";
	if (size_bytes && units_of(size_bytes) != end_of(start, unit, n) - unit)
		return "an object is freed to the cache it is of";
	TMM_ASSERT(page->refcount < ALL_UNITS && "a page has something lent");
	return NULL;
}

static void page_release(struct tmm_slab_system *slabs, struct page *page)
{
	tmm_pfn pfn = page_pfn(slabs->pages, page);

	run_unmark(slabs->pages, pfn, 0);
	slab_count_run(slabs, pfn, 0, false, -1);
	tmm_pages_free(slabs->pages, pfn, 0);
}

void slob_free(struct tmm_slab_system *slabs, void *object, size_t size_bytes)
{
	struct place place = place_of(slabs->pages, object);
	unsigned unit = (unsigned)(place.offset / UNIT);
	char *start = page_start(slabs, place.head);
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);
	struct neighbours n = neighbours_of(place.head, start, unit);
	const char *broken = mistake(place.head, start, place.offset, size_bytes, &n);
	bool empty;

	if (unlikely(broken != NULL)) {
		lock_drop_irqrestore(&slabs->slob.lock, irq);
		tmm_port_panic(__FILE__, __LINE__, broken);
	}
	slabs->slob.nr_lent--;
	if (place.head->refcount == 0)
		list_page(slabs, place.head);
	page_put(place.head, start, unit, end_of(start, unit, &n), n);
	empty = place.head->refcount == ALL_UNITS;
	if (empty) {
		unlist_page(slabs, place.head);
		slabs->slob.nr_pages--;
	}
	lock_drop_irqrestore(&slabs->slob.lock, irq);
	if (empty)
		page_release(slabs, place.head);
}

size_t slob_bytes(struct tmm_slab_system *slabs, const void *object)
{
	struct place place = place_of(slabs->pages, object);
	unsigned unit = (unsigned)(place.offset / UNIT);
	char *start = page_start(slabs, place.head);
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);
	struct neighbours n = neighbours_of(place.head, start, unit);
	bool lent = place.offset % UNIT == 0 && unit >= FIRST_UNIT && is_start(start, unit);
	unsigned units = end_of(start, unit, &n) - unit;

	lock_drop_irqrestore(&slabs->slob.lock, irq);
	TMM_ASSERT(lent && "the address is the start of an object");
	return (size_t)units * UNIT;
}

size_t slob_room(struct tmm_slab_system *slabs, const void *address)
{
	struct place place = place_of(slabs->pages, address);
	unsigned unit = (unsigned)(place.offset / UNIT), first = unit;
	char *start = page_start(slabs, place.head);
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);
	struct neighbours n = neighbours_of(place.head, start, unit);
	unsigned hole_end = n.before == NO_UNIT ? FIRST_UNIT
	                                        : n.before + block_at(start, n.before)->units;
	size_t room = 0;

	while (first > hole_end && !is_start(start, first))
		first--;
	if (first >= hole_end)
		room = (size_t)end_of(start, first, &n) * UNIT - place.offset;
	lock_drop_irqrestore(&slabs->slob.lock, irq);
	return room;
}

/* ---- caches ---- */

/* Alone among its caches in being told its size by its cache, an object needs no header. */
void *slob_cache_alloc(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node)
{
	struct tmm_slab_system *slabs = cache->slabs;
	size_t size = cache->object_bytes, align = cache->align_bytes;
	void *object = slob_fits(size, align) ? slob_alloc(slabs, size, align, gfp, node)
	                                      : large_alloc(slabs, size, gfp, node);

	if (!object)
		return NULL;
	/* relaxed: a count */
	__atomic_add_fetch(&cache->nr_out, 1, __ATOMIC_RELAXED);
	if (cache->ctor)
		cache->ctor(object);
	return object;
}

void slob_cache_free(struct tmm_cache *cache, void *object)
{
	struct tmm_slab_system *slabs = cache->slabs;
	uint64_t at = (uint64_t)((char *)object - (char *)slabs->pages->ram);
	bool fits = slob_fits(cache->object_bytes, cache->align_bytes);
	const struct page *page;

	if (!pfn_valid(slabs->pages, (tmm_pfn){at >> TMM_PAGE_SHIFT}))
		tmm_port_panic(__FILE__, __LINE__, "an object that is freed lies in RAM");
	page = place_of(slabs->pages, object).head;
	if (page->owner != slabs || (page->kind != PAGE_SLOB && page->kind != PAGE_LARGE))
		tmm_port_panic(__FILE__, __LINE__, "an object that is freed lies in a slab");
	if (page->kind != (fits ? PAGE_SLOB : PAGE_LARGE))
		tmm_port_panic(__FILE__, __LINE__, "an object is freed to the cache it is of");
	if (fits)
		slob_free(slabs, object, cache->object_bytes);
	else
		large_free(slabs, place_of(slabs->pages, object));
	/* relaxed: a count */
	__atomic_sub_fetch(&cache->nr_out, 1, __ATOMIC_RELAXED);
}

/* ---- life and checks ---- */

uint64_t slob_pages(struct slob *slob)
{
	tmm_irq irq = lock_take_irqsave(&slob->lock);
	uint64_t nr = slob->nr_pages;

	lock_drop_irqrestore(&slob->lock, irq);
	return nr;
}

void slob_init(struct slob *slob)
{
	*slob = (struct slob){.first = {NO_SLAB, NO_SLAB, NO_SLAB}};
	lock_init(&slob->lock, RANK_CACHE_NODE);
}

void slob_fini(struct slob *slob)
{
	TMM_ASSERT(slob->nr_lent == 0 && slob->nr_pages == 0 && "every object is back");
}

struct census {
	struct tmm_slab_system *slabs;
	uint64_t nr_pages, nr_listed, nr_lent;
};

/* Lent blocks of a page, all of whose units are accounted for. */
static unsigned check_units(const struct page *page, char *start)
{
	unsigned nr_lent = 0, nr_free = 0, next = page->index;

	for (unsigned unit = FIRST_UNIT; unit < PAGE_UNITS;) {
		if (unit == next) {
			const struct free_block *block = block_at(start, unit);
			unsigned end = unit + block->units;

			TMM_ASSERT(block->units > 0 && end <= PAGE_UNITS);       /* S1 */
			TMM_ASSERT(block->next == NO_UNIT || block->next > end); /* S1 */
			TMM_ASSERT(!is_start(start, unit) &&
			           next_start(start, unit) >= end); /* S2 */
			nr_free += block->units;
			next = block->next;
			unit = end;
			continue;
		}
		TMM_ASSERT(is_start(start, unit)); /* S2 */
		nr_lent++;
		unit = next_start(start, unit);
		if (next != NO_UNIT && next < unit)
			unit = next;
	}
	TMM_ASSERT(next == NO_UNIT);                                         /* S1 */
	TMM_ASSERT(nr_free == page->refcount && page->refcount < ALL_UNITS); /* S3 */
	return nr_lent;
}

static void check_page(void *arg, tmm_pfn pfn, const struct page *page)
{
	struct census *census = arg;

	(void)pfn;
	if (page->kind != PAGE_SLOB)
		return;
	TMM_ASSERT(page->owner == census->slabs && page->mapcount < NR_SLOB_LISTS);
	census->nr_pages++;
	census->nr_listed += page->refcount > 0;
	census->nr_lent += check_units(page, page_start(census->slabs, page));
}

void slob_check(struct tmm_slab_system *slabs)
{
	struct census census = {.slabs = slabs};
	uint64_t nr_listed = 0;
	tmm_irq irq = lock_take_irqsave(&slabs->slob.lock);

	pages_for_each(slabs->pages, check_page, &census);
	TMM_ASSERT(census.nr_pages == slabs->slob.nr_pages); /* S5 */
	TMM_ASSERT(census.nr_lent == slabs->slob.nr_lent);   /* S5 */
	for (unsigned list = 0; list < NR_SLOB_LISTS; list++) {
		uint32_t first = slabs->slob.first[list], at = first;

		while (at != NO_SLAB) {
			const struct page *page = page_at(slabs, at);

			TMM_ASSERT(page->kind == PAGE_SLOB && page->mapcount == list &&
			           page->refcount > 0);                     /* S4 */
			TMM_ASSERT(page_at(slabs, page->next)->prev == at); /* S4 */
			TMM_ASSERT(++nr_listed <= census.nr_listed);        /* S4 */
			at = page->next == first ? NO_SLAB : page->next;
		}
	}
	TMM_ASSERT(nr_listed == census.nr_listed); /* S4 */
	lock_drop_irqrestore(&slabs->slob.lock, irq);
}
