/*
 * compact.c - making long runs by moving pages
 *
 * Two scanners walk a zone towards each other.  The lower one looks for pages that
 * can be moved, from the low end upwards; the upper one for free frames to put them
 * in, from the high end downwards.  When they meet, free frames are at the low end
 * and pages at the high end.
 *
 *   low   |..a.b...|.c.d....|.....e..|..f..g..|  high
 *          ^ moved up                      ^ filled
 *
 * The lower scanner goes by groups: the aligned run that is wanted.  A group with
 * one page that stays is left as it is, since moving the others would gain
 * nothing; compaction on demand without an order moves what it can.  Blocks that are
 * whole, isolated or kept are passed over by both.
 *
 * Nothing is held while pages move.  A frame that is taken to be filled is lent, to
 * us, so that nobody else has it; a page that is to be moved may be freed meanwhile,
 * so that its owner has the last word (tmm_migrate_ops.move).  What is known of it
 * before, its kind, is a hint.
 *
 * Whoever compacts on demand stops when the run it wants is there, and the next goes
 * on from there: what the scanners have passed offers little.  Only when they have
 * met are the ends tried again.  When that was in vain, the next 2^shift requests do
 * not try: shift grows with every failure up to DEFER_MAX and falls back to 0 with
 * the first success.
 */
#include "page/account.h"
#include "page/debug.h"
#include "page/deferred.h"

#define DEFER_MAX 6u

#define NO_ORDER  UINT32_MAX

/* Frames taken for the pages to come: from one word. */
struct hand {
	uint64_t pfn;  /* of the word */
	uint64_t mask; /* those still unused */
};

struct compaction {
	struct tmm_pages *pages;
	struct zone *zone;
	struct source source; /* what the run is for */
	unsigned order;       /* wanted, or NO_ORDER: whatever can be had */
	uint64_t low, high;   /* blocks that the scanners are in; done when low >= high */
	struct hand hand;
	uint64_t nr_moved;
	uint64_t event[NR_VM_EVENTS];
};

/* ---- one page ---- */

bool page_is_movable(const struct tmm_pages *pages, tmm_pfn pfn)
{
	unsigned kind = page_kind(page_of(pages, pfn));

	return kind == PAGE_MOVABLE || (kind < NR_PAGE_KINDS && pages->mover[kind].ops);
}

void pages_set_mover(struct tmm_pages *pages, enum page_kind kind,
                     const struct tmm_migrate_ops *ops, void *arg)
{
	pages->mover[kind] = (struct tmm_movable){ops, arg};
}

void page_take_over(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to)
{
	page_set(page_of(pages, to), page_get(page_of(pages, from)));
	page_clear(page_of(pages, from));
}

/* Of a page that its owner marks and unmarks at any time: who holds it may do neither. */
static bool try_hold(struct page *page)
{
	/* acquire: what the last holder wrote is seen */
	return !__atomic_exchange_n(&page->held, 1, __ATOMIC_ACQUIRE);
}

static void hold(struct page *page)
{
	while (!try_hold(page))
		tmm_port_relax();
}

static void unhold(struct page *page)
{
	/* release: the next holder sees what we wrote */
	__atomic_store_n(&page->held, 0, __ATOMIC_RELEASE);
}

/*
 * Both frames are marked while the owner moves what is in them, and held: it finds
 * the mark of whichever it has afterwards.
 */
static tmm_err move_marked(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to)
{
	struct page *page = page_of(pages, from), *target = page_of(pages, to);
	const struct tmm_movable *mover;
	tmm_err err = TMM_E_NOENT;

	if (!try_hold(page))
		return TMM_E_AGAIN;
	if (page_kind(page) == PAGE_MOVABLE && try_hold(target)) {
		err = TMM_E_NOMEM;
		if (account_move_begin(pages, from.v, to.v)) {
			mover = page_owner(page);
			page_set(target, page_get(page));
			err = mover->ops->move(mover->arg, from, to);
			page_clear(err == TMM_OK ? page : target);
			account_move_end(pages, from.v, to.v, err == TMM_OK);
		}
		unhold(target);
	}
	unhold(page);
	return err;
}

static tmm_err move(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to)
{
	/* Once: it may be another's the next time. */
	unsigned kind = page_kind(page_of(pages, from));

	if (kind != PAGE_MOVABLE && (kind >= NR_PAGE_KINDS || !pages->mover[kind].ops))
		return TMM_E_OPNOTSUPP;
	if (!tmm_port_allow("page_move"))
		return TMM_E_AGAIN;
	if (kind == PAGE_MOVABLE)
		return move_marked(pages, from, to);
	if (account_has_frame(pages, from.v)) /* which may change under our hands */
		return TMM_E_OPNOTSUPP;
	return pages->mover[kind].ops->move(pages->mover[kind].arg, from, to);
}

tmm_err page_move(struct tmm_pages *pages, tmm_pfn from, tmm_pfn to)
{
	tmm_err err = move(pages, from, to);

	if (unlikely(pages->debug) && err == TMM_OK)
		debug_move(pages, from.v, to.v);
	return err;
}

void tmm_page_set_movable(struct tmm_pages *pages, tmm_pfn pfn,
                          const struct tmm_movable *movable)
{
	struct page *page = page_of(pages, pfn);

	hold(page);
	TMM_ASSERT(page->kind == PAGE_NONE && "a frame is of one kind");
	TMM_ASSERT(!(page->flags & (PG_HEAD | PG_TAIL)) && "frames are moved one by one");
	page_set(page, (struct page){.kind = PAGE_MOVABLE,
	                             .refcount = 1,
	                             .owner = (void *)(uintptr_t)movable});
	unhold(page);
}

void tmm_page_clear_movable(struct tmm_pages *pages, tmm_pfn pfn)
{
	struct page *page = page_of(pages, pfn);

	hold(page);
	TMM_ASSERT(page->kind == PAGE_MOVABLE && "the frame is marked");
	page_clear(page);
	unhold(page);
}

/* ---- frames to move to ---- */

/* Not among those that stay, where blocks have types. */
static bool may_move_to(const struct tmm_pages *pages, const struct block_info *info)
{
	return (info->type == TMM_MIGRATE_MOVABLE || info->type == TMM_MIGRATE_CMA ||
	        !pages->type_mask) &&
	       info->nr_free > 0 && info->nr_free < BLOCK_FRAMES;
}

/* The next frame from above; false when the scanners meet. */
static bool take_target(struct compaction *c, tmm_pfn *out)
{
	struct tmm_pages *pages = c->pages;
	struct taken taken;
	unsigned bit;

	while (c->hand.mask == 0) {
		uint64_t block = c->high;
		unsigned nr = 0;
		tmm_irq irq;

		if (c->high <= c->low)
			return false;
		irq = lock_take_irqsave(&c->zone->lock);
		if (block_ready(pages, block) && zone_of_block(pages, block) == c->zone &&
		    may_move_to(pages, &pages->info[block]))
			nr = zone_take_frames(pages, c->zone, block, 64, &taken);
		lock_drop_irqrestore(&c->zone->lock, irq);
		if (nr > 0) {
			c->hand = (struct hand){taken.pfn, taken.starts};
			c->event[COMPACTFREE_SCANNED] += 64;
			c->event[COMPACTISOLATED] += nr;
		} else {
			c->high--;
		}
	}
	bit = log2_floor(c->hand.mask);
	c->hand.mask ^= UINT64_C(1) << bit;
	out->v = c->hand.pfn + bit;
	if (unlikely(pages->debug))
		debug_lend(pages, out->v, 0, TMM_GFP_HIGHUSER_MOVABLE, NULL);
	return true;
}

static void put_mask(const struct compaction *c, uint64_t pfn, uint64_t mask)
{
	tmm_irq irq;

	if (!mask)
		return;
	irq = lock_take_irqsave(&c->zone->lock);
	zone_give_mask(c->pages, c->zone, pfn, mask);
	lock_drop_irqrestore(&c->zone->lock, irq);
}

/* The page stayed where it is. */
static void put_target(const struct compaction *c, tmm_pfn to)
{
	/* Who was to move it may have begun to copy. */
	if (unlikely(c->pages->debug))
		debug_take_back(c->pages, to.v, 0, NULL);
	put_mask(c, to.v & ~UINT64_C(63), UINT64_C(1) << (to.v % 64));
}

/* ---- pages to be moved ---- */

/* Frames of the word that are lent, from `first` on; relaxed: a hint, see word_set() */
static uint64_t lent_in(const struct tmm_pages *pages, uint64_t pfn)
{
	return ~__atomic_load_n(word_of(pages, pfn), __ATOMIC_RELAXED);
}

/* Are all lent frames of the run such as may be moved, and is there one? */
static bool is_worth_moving(const struct compaction *c, uint64_t pfn, uint64_t nr)
{
	bool any = false;

	for (uint64_t p = pfn; p < pfn + nr; p++) {
		if (!(lent_in(c->pages, p) >> (p % 64) & 1))
			continue;
		if (!page_is_movable(c->pages, (tmm_pfn){p}))
			return false;
		any = true;
	}
	return any;
}

/* Move what can be of the frames in mask; false: no frames are left to move to. */
static bool move_word(struct compaction *c, uint64_t pfn, uint64_t mask)
{
	uint64_t freed = 0;
	bool more = true;

	for (; mask && more; mask &= mask - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(mask);
		tmm_pfn from = {pfn + bit}, to;

		if (!page_is_movable(c->pages, from))
			continue;
		more = take_target(c, &to);
		if (!more)
			break;
		c->event[COMPACTISOLATED]++;
		if (page_move(c->pages, from, to) == TMM_OK) {
			freed |= UINT64_C(1) << bit;
			c->event[PGMIGRATE_SUCCESS]++;
		} else {
			put_target(c, to);
			c->event[PGMIGRATE_FAIL]++;
		}
	}
	c->nr_moved += count_ones(freed);
	put_mask(c, pfn, freed);
	return more;
}

static bool move_run(struct compaction *c, uint64_t pfn, uint64_t nr)
{
	uint64_t word = align_down(pfn, 64);
	uint64_t group = nr < 64 ? run_mask(log2_floor(nr)) << (pfn % 64) : UINT64_MAX;

	for (; word < pfn + nr; word += 64)
		if (!move_word(c, word, lent_in(c->pages, word) & group))
			return false;
	return true;
}

static bool is_done(struct compaction *c)
{
	tmm_irq irq;
	bool done;

	if (c->order == NO_ORDER)
		return false;
	irq = lock_take_irqsave(&c->zone->lock);
	done = zone_has_run(c->pages, c->zone, c->source, c->order);
	lock_drop_irqrestore(&c->zone->lock, irq);
	return done;
}

/* Only frames that were lent once have a descriptor worth looking at. */
static bool may_move_from(const struct compaction *c, uint64_t block)
{
	const struct block_info *info = &c->pages->info[block];
	tmm_irq irq;
	bool may;

	if (!block_ready(c->pages, block) || zone_of_block(c->pages, block) != c->zone)
		return false;
	irq = lock_take_irqsave(&c->zone->lock);
	may = !(info->home & HOME_NO_RAM) && info->fresh > 0 && info->nr_free < BLOCK_FRAMES &&
	      info->type != TMM_MIGRATE_ISOLATE;
	lock_drop_irqrestore(&c->zone->lock, irq);
	return may;
}

/* The lower scanner in one block; false: done, or no frames are left. */
static bool compact_block(struct compaction *c, uint64_t block)
{
	unsigned order = c->order == NO_ORDER ? 0 : (unsigned)min_u64(c->order, BLOCK_ORDER);
	uint64_t group = UINT64_C(1) << order;
	uint64_t pfn = block_base(c->pages, block);

	if (order == 0)
		group = 64;
	for (uint64_t end = pfn + BLOCK_FRAMES; pfn < end; pfn += group) {
		c->event[COMPACTMIGRATE_SCANNED] += group;
		if (c->order != NO_ORDER && !is_worth_moving(c, pfn, group))
			continue;
		if (!move_run(c, pfn, group) || is_done(c))
			return false;
	}
	return true;
}

static void count_events(struct compaction *c)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(c->pages);

	for (unsigned event = 0; event < NR_VM_EVENTS; event++)
		if (c->event[event])
			page_cpu_count(cpu, event, c->event[event]);
	tmm_port_irq_restore(irq);
}

static void begin_at_ends(struct compaction *c)
{
	tmm_irq irq = lock_take_irqsave(&c->zone->lock);

	c->low = block_of(c->pages, c->zone->start);
	c->high = block_of(c->pages, c->zone->end - 1);
	lock_drop_irqrestore(&c->zone->lock, irq);
}

/* Sections whose descriptors we may look at stay; see wait_for_scanners(). */
static uint32_t scanner_comes(struct zone *zone)
{
	tmm_irq irq = lock_take_irqsave(&zone->lock);
	uint32_t phase = zone->scan_phase;

	zone->nr_scanners[phase]++;
	lock_drop_irqrestore(&zone->lock, irq);
	return phase;
}

static void scanner_goes(struct zone *zone, uint32_t phase)
{
	tmm_irq irq = lock_take_irqsave(&zone->lock);

	zone->nr_scanners[phase]--;
	lock_drop_irqrestore(&zone->lock, irq);
}

/* Until the scanners meet or the run is there. */
static void scan(struct compaction *c)
{
	bool caller_may_sleep = tmm_port_may_sleep();
	uint32_t phase;

	TMM_ASSERT(caller_may_sleep);
	tmm_pages_drain_all(c->pages);
	phase = scanner_comes(c->zone);
	for (; c->low < c->high; c->low++)
		if (may_move_from(c, c->low) && !compact_block(c, c->low))
			break;
	scanner_goes(c->zone, phase);
	put_mask(c, c->hand.pfn, c->hand.mask);
	c->hand.mask = 0;
}

uint64_t tmm_pages_compact(struct tmm_pages *pages)
{
	uint64_t nr_moved = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct compaction c = {
			.pages = pages, .zone = &pages->zone[z], .order = NO_ORDER};

		if (!size_of(&c.zone->present))
			continue;
		begin_at_ends(&c);
		scan(&c);
		nr_moved += c.nr_moved;
		count_events(&c);
	}
	return nr_moved;
}

/* ---- on demand ---- */

/* Where the last request's scanners stopped; false: at the ends. */
static bool begin_where_stopped(struct compaction *c, const struct zone *zone)
	TMM_REQUIRES(zone->lock)
{
	if (zone->scan_low >= zone->scan_high)
		return false;
	c->low = zone->scan_low;
	c->high = zone->scan_high;
	return true;
}

/* Enough is free that only its being cut up can be the reason (Linux: compaction_suitable). */
static bool is_suitable(const struct zone *zone, struct source source, unsigned order)
{
	return zone_usable(zone, source) >= zone_mark(zone, MARK_LOW) + (UINT64_C(2) << order);
}

static bool is_deferred(struct compact_defer *defer, unsigned order)
{
	if (!defer->shift || order < defer->order)
		return false;
	if (++defer->considered >= 1u << defer->shift) {
		defer->considered = 0;
		return false;
	}
	return true;
}

static void remember(struct compact_defer *defer, unsigned order, bool served)
{
	if (served) {
		*defer = (struct compact_defer){.shift = 0};
		return;
	}
	defer->considered = 0;
	defer->order = defer->shift ? (uint32_t)min_u64(defer->order, order) : order;
	defer->shift = (uint32_t)min_u64(defer->shift + 1, DEFER_MAX);
}

bool zone_compact_for(struct tmm_pages *pages, struct zone *zone, struct source source,
                      unsigned order)
{
	struct compaction c = {.pages = pages, .zone = zone, .source = source, .order = order};
	tmm_irq irq;
	bool served, deferred, midway;

	if (!size_of(&zone->present) || !is_suitable(zone, source, order))
		return false;
	irq = lock_take_irqsave(&zone->lock);
	deferred = is_deferred(&zone->defer, order);
	midway = begin_where_stopped(&c, zone);
	lock_drop_irqrestore(&zone->lock, irq);
	if (deferred)
		return false;
	if (midway)
		scan(&c);
	if (!midway || !is_done(&c)) {
		begin_at_ends(&c);
		scan(&c);
	}
	irq = lock_take_irqsave(&zone->lock);
	served = zone_has_run(pages, zone, source, order);
	zone->scan_low = c.low;
	zone->scan_high = c.high;
	remember(&zone->defer, order, served);
	lock_drop_irqrestore(&zone->lock, irq);
	c.event[COMPACTSTALL]++;
	c.event[served ? COMPACTSUCCESS : COMPACTFAIL]++;
	count_events(&c);
	return served && c.nr_moved > 0;
}

void tmm_migrate_events(struct tmm_pages *pages, struct tmm_migrate_events *out)
{
	out->moved_pages = vm_event_sum(pages, PGMIGRATE_SUCCESS);
	out->failed_pages = vm_event_sum(pages, PGMIGRATE_FAIL);
	out->scanned_pages = vm_event_sum(pages, COMPACTMIGRATE_SCANNED);
	out->free_scanned_pages = vm_event_sum(pages, COMPACTFREE_SCANNED);
	out->isolated_pages = vm_event_sum(pages, COMPACTISOLATED);
	out->stalls = vm_event_sum(pages, COMPACTSTALL);
	out->stalls_failed = vm_event_sum(pages, COMPACTFAIL);
	out->stalls_served = vm_event_sum(pages, COMPACTSUCCESS);
}
