/*
 * account.c - charging for what is lent
 *
 * An account counts the bytes that it and those below it are charged for.  A charge goes
 * up the tree, an atomic addition each; one that finds a limit in its way takes back
 * what it added below.  So that this is not done for each frame, a CPU charges some pages
 * in advance and keeps what is left as its stock, one word of an account's id and
 * bytes, from which it takes and into which it gives back by itself.  Others can take it
 * away at any time: it is changed by compare and exchange.
 *
 *   charges   frame 4096, object 64 ...
 *   stock     CPU 0: id 7, 12288 bytes       usage of 7 = charges + stocks, and
 *   usage     7: 20544   its parent: more    so on upwards
 *
 * Which account a frame is charged to says a table of 512 entries for its block, made with
 * the first charge there, that a tree of such tables leads to: an id, or the address of
 * struct charges for the objects of a slab.  A block with charged frames is marked, so
 * that frees in it leave the fast path and come by here (compound.c).  Ids lead to their
 * accounts through another such tree.
 *
 * accounts_check() asserts:
 *   I1  usage is what the account and those below it are charged for, and the stocks of all
 *       of these
 *   I2  the peak is not less than usage
 *   I3  only accounts that there are have charges, stocks or children
 */
#include "page/account.h"

#include "page/compound.h"
#include "page/slot_tree.h"

#define STOCK_BYTES  (64 * TMM_PAGE_SIZE) /* Linux: MEMCG_CHARGE_BATCH */
#define MAX_ROUNDS   16u                  /* of reclaim */

#define ID_LEVELS    2u
#define FRAME_LEVELS 4u

_Static_assert(TABLE_SLOTS == BLOCK_FRAMES, "the last table is for one block");
_Static_assert(MAX_PFN >> (FRAME_LEVELS * TABLE_ORDER) == 0, "every frame has a place");

/* ---- what slots say ---- */

/* acquire: what charges began as is seen with their address */
static uint64_t slot_load(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* An id is marked by its lowest bit, an address has none. */
static uint64_t entry_of(const struct tmm_account *account)
{
	return (uint64_t)account->id << 1 | 1;
}

static bool entry_is_id(uint64_t entry)
{
	return entry & 1;
}

static struct charges *charges_at(uint64_t entry)
{
	return (struct charges *)(uintptr_t)entry;
}

/* relaxed: who has the frame is alone with its slot */
static void slot_store(uint64_t *slot, uint64_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELAXED);
}

/* 0: nothing is said of the frame. */
static uint64_t frame_entry(const struct tmm_pages *pages, uint64_t pfn)
{
	const uint64_t *slot = slot_find(&pages->accounts.frames, pfn);

	return slot ? slot_load(slot) : 0;
}

struct tmm_account *account_of_id(const struct tmm_pages *pages, unsigned id)
{
	const uint64_t *slot = slot_find(&pages->accounts.ids, id);

	return slot ? (struct tmm_account *)(uintptr_t)slot_load(slot) : NULL;
}

/* ---- counters ---- */

/* relaxed, all of them: numbers that order nothing else */
static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *counter, uint64_t least)
{
	uint64_t now = load(counter);

	while (now < least && !__atomic_compare_exchange_n(counter, &now, least, true,
	                                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* From the account up to, and without, `end`. */
static void counters_sub(struct tmm_account *account, const struct tmm_account *end,
                         uint64_t bytes)
{
	struct tmm_account *parent;

	for (; account != end; account = parent) {
		parent = account->parent; /* it may be gone when it is charged for nothing */
		__atomic_fetch_sub(&account->usage_bytes, bytes, __ATOMIC_RELAXED);
	}
}

/* Whose limit is in the way; NULL: nobody's, and it is charged. */
static struct tmm_account *counters_add(struct tmm_account *account, uint64_t bytes,
                                        bool beyond)
{
	for (struct tmm_account *a = account; a; a = a->parent) {
		uint64_t now = __atomic_add_fetch(&a->usage_bytes, bytes, __ATOMIC_RELAXED);

		if (now <= load(&a->max_bytes) || beyond)
			continue;
		counters_sub(account, a->parent, bytes);
		return a;
	}
	for (struct tmm_account *a = account; a; a = a->parent)
		raise_to(&a->peak_bytes, load(&a->usage_bytes));
	return NULL;
}

/* ---- stocks ---- */

#define STOCK_ID_SHIFT 48
#define STOCK_OF(word) ((word) & ((UINT64_C(1) << STOCK_ID_SHIFT) - 1))

static bool stock_take(struct page_cpu *cpu, unsigned id, uint64_t bytes)
{
	uint64_t word = load(&cpu->stock);

	while (word >> STOCK_ID_SHIFT == id && STOCK_OF(word) >= bytes)
		if (__atomic_compare_exchange_n(&cpu->stock, &word, word - bytes, true,
		                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* False: it is somebody else's, or full. */
static bool stock_give(struct page_cpu *cpu, unsigned id, uint64_t bytes)
{
	uint64_t word = load(&cpu->stock);

	while (word >> STOCK_ID_SHIFT == id && STOCK_OF(word) + bytes <= STOCK_BYTES)
		if (__atomic_compare_exchange_n(&cpu->stock, &word, word + bytes, true,
		                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* With the lock an account whose bytes were in a stock is there until they are not. */
static void stock_replace(struct tmm_pages *pages, struct page_cpu *cpu, uint64_t word)
	TMM_REQUIRES(pages->accounts.lock)
{
	uint64_t old = __atomic_exchange_n(&cpu->stock, word, __ATOMIC_RELAXED);

	if (STOCK_OF(old))
		counters_sub(account_of_id(pages, (unsigned)(old >> STOCK_ID_SHIFT)), NULL,
		             STOCK_OF(old));
}

static void stock_keep(struct tmm_pages *pages, const struct tmm_account *account,
                       uint64_t bytes)
{
	tmm_irq irq = lock_take_irqsave(&pages->accounts.lock);

	stock_replace(pages, page_cpu_self(pages),
	              (uint64_t)account->id << STOCK_ID_SHIFT | bytes);
	lock_drop_irqrestore(&pages->accounts.lock, irq);
}

static bool is_below(const struct tmm_account *account, const struct tmm_account *above)
{
	while (account && account != above)
		account = account->parent;
	return account == above;
}

/* Of all CPUs, of this account and those below it. */
static void stocks_drain_of(struct tmm_pages *pages, const struct tmm_account *account)
	TMM_REQUIRES(pages->accounts.lock)
{
	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		uint64_t word = load(&pages->cpu[c]->stock);

		if (STOCK_OF(word) &&
		    is_below(account_of_id(pages, (unsigned)(word >> STOCK_ID_SHIFT)), account))
			stock_replace(pages, pages->cpu[c], 0);
	}
}

static void drain(struct tmm_pages *pages, const struct tmm_account *account)
{
	tmm_irq irq = lock_take_irqsave(&pages->accounts.lock);

	stocks_drain_of(pages, account);
	lock_drop_irqrestore(&pages->accounts.lock, irq);
}

/* What CPUs have of the account and those below it. */
static uint64_t in_stocks(struct tmm_pages *pages, const struct tmm_account *account)
{
	tmm_irq irq = lock_take_irqsave(&pages->accounts.lock);
	uint64_t sum = 0;

	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		uint64_t word = load(&pages->cpu[c]->stock);

		if (STOCK_OF(word) &&
		    is_below(account_of_id(pages, (unsigned)(word >> STOCK_ID_SHIFT)), account))
			sum += STOCK_OF(word);
	}
	lock_drop_irqrestore(&pages->accounts.lock, irq);
	return sum;
}

void account_leave(struct tmm_pages *pages, struct page_cpu *cpu)
{
	tmm_irq irq = lock_take_irqsave(&pages->accounts.lock);

	/* relaxed: see account_active() */
	__atomic_store_n(&cpu->active, NULL, __ATOMIC_RELAXED);
	stock_replace(pages, cpu, 0);
	lock_drop_irqrestore(&pages->accounts.lock, irq);
}

/* ---- charging ---- */

static uint64_t reclaim(struct tmm_pages *pages, tmm_gfp gfp, uint64_t bytes)
{
	const struct tmm_reclaim_ops *ops = pages->reclaim_ops;
	bool may = (gfp & TMM_GFP_DIRECT_RECLAIM) && !(gfp & TMM_GFP_MEMALLOC);

	if (!may || !ops || !ops->reclaim)
		return 0;
	return ops->reclaim(pages->reclaim_arg, gfp,
	                    log2_ceil((bytes + TMM_PAGE_SIZE - 1) >> TMM_PAGE_SHIFT));
}

/* What was charged in advance goes first, then what can be reclaimed. */
static bool charge_after_reclaim(struct tmm_pages *pages, struct tmm_account *account,
                                 tmm_gfp gfp, uint64_t bytes)
{
	unsigned rounds = gfp & TMM_GFP_NORETRY ? 1 : MAX_ROUNDS;
	struct tmm_account *over = counters_add(account, bytes, false);

	for (; over && rounds > 0; rounds--) {
		drain(pages, over);
		over = counters_add(account, bytes, false);
		if (!over || !reclaim(pages, gfp, bytes))
			break;
		drain(pages, over); /* what was freed may have come there */
		over = counters_add(account, bytes, false);
	}
	if (!over)
		return true;
	__atomic_fetch_add(&over->nr_failed, 1, __ATOMIC_RELAXED);
	if (!(gfp & (TMM_GFP_NOFAIL | TMM_GFP_HIGH)))
		return false;
	counters_add(account, bytes, true);
	return true;
}

bool account_charge(struct tmm_pages *pages, struct tmm_account *account, tmm_gfp gfp,
                    uint64_t bytes)
{
	tmm_irq irq = tmm_port_irq_save();
	bool took = stock_take(page_cpu_self(pages), account->id, bytes);

	tmm_port_irq_restore(irq);
	if (likely(took))
		return true;
	if (bytes >= STOCK_BYTES || counters_add(account, STOCK_BYTES, false))
		return charge_after_reclaim(pages, account, gfp, bytes);
	stock_keep(pages, account, STOCK_BYTES - bytes);
	return true;
}

void account_uncharge(struct tmm_pages *pages, unsigned id, uint64_t bytes)
{
	tmm_irq irq = tmm_port_irq_save();
	bool gave = stock_give(page_cpu_self(pages), id, bytes);

	tmm_port_irq_restore(irq);
	if (!gave)
		counters_sub(account_of_id(pages, id), NULL, bytes);
}

/* ---- frames ---- */

static uint64_t block_end(uint64_t pfn, uint64_t end)
{
	return min_u64(align_down(pfn, BLOCK_FRAMES) + BLOCK_FRAMES, end);
}

bool account_run(struct tmm_pages *pages, uint64_t pfn, unsigned order, tmm_gfp gfp)
{
	struct tmm_account *account = account_active(pages);
	uint64_t end = pfn + (UINT64_C(1) << order), bytes = TMM_PAGE_SIZE << order;

	if (!account)
		return true;
	if (!account_charge(pages, account, gfp, bytes))
		return false;
	for (uint64_t at = pfn; at < end; at = block_end(at, end)) {
		if (slot_make(pages, &pages->accounts.frames, at, gfp))
			continue;
		account_uncharge(pages, account->id, bytes);
		return false;
	}
	for (uint64_t at = pfn, stop; at < end; at = stop) {
		uint64_t *slot = slot_find(&pages->accounts.frames, at);

		stop = block_end(at, end);
		for (uint64_t i = 0; i < stop - at; i++)
			slot_store(&slot[i], entry_of(account));
		block_mark(pages, at, (int)(stop - at));
	}
	return true;
}

/* Of frames of one block; those that adjoin and have one account, at once. */
static void end_frames(struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	uint64_t *slot = slot_find(&pages->accounts.frames, pfn);
	uint64_t last = 0, same = 0;
	int nr_ended = 0;

	for (uint64_t i = 0; slot && i < nr; i++) {
		uint64_t entry = slot_load(&slot[i]);

		if (!entry_is_id(entry))
			continue;
		slot_store(&slot[i], 0);
		nr_ended++;
		if (entry != last && same) {
			account_uncharge(pages, (unsigned)(last >> 1), same << TMM_PAGE_SHIFT);
			same = 0;
		}
		last = entry;
		same++;
	}
	if (!nr_ended)
		return;
	block_mark(pages, pfn, -nr_ended);
	account_uncharge(pages, (unsigned)(last >> 1), same << TMM_PAGE_SHIFT);
}

void account_end_run(struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	uint64_t end = pfn + (UINT64_C(1) << order);

	for (uint64_t at = pfn; at < end; at = block_end(at, end))
		end_frames(pages, at, block_end(at, end) - at);
}

bool account_has_frame(const struct tmm_pages *pages, uint64_t pfn)
{
	return entry_is_id(frame_entry(pages, pfn));
}

bool account_move_begin(struct tmm_pages *pages, uint64_t from, uint64_t to)
{
	uint64_t entry = frame_entry(pages, from);
	uint64_t *slot;

	if (likely(!entry_is_id(entry)))
		return true;
	slot = slot_make_easy(pages, &pages->accounts.frames, to);
	if (!slot)
		return false;
	slot_store(slot, entry);
	block_mark(pages, to, 1);
	return true;
}

void account_move_end(struct tmm_pages *pages, uint64_t from, uint64_t to, bool moved)
{
	uint64_t gone = moved ? from : to;

	if (likely(!account_has_frame(pages, from)))
		return;
	slot_store(slot_find(&pages->accounts.frames, gone), 0);
	block_mark(pages, gone, -1);
}

unsigned account_count(const struct tmm_pages *pages, uint64_t block)
{
	uint64_t first = pages->first_pfn + (block << BLOCK_ORDER);
	const uint64_t *slot = slot_find(&pages->accounts.frames, first);
	unsigned nr = 0;

	for (unsigned i = 0; slot && i < BLOCK_FRAMES; i++)
		nr += entry_is_id(slot_load(&slot[i]));
	return nr;
}

/* ---- slabs ---- */

struct charges *account_charges(const struct tmm_pages *pages, uint64_t pfn)
{
	uint64_t entry = frame_entry(pages, pfn);

	return entry_is_id(entry) ? NULL : charges_at(entry);
}

struct charges *account_set_charges(struct tmm_pages *pages, uint64_t pfn,
                                    struct charges *charges, tmm_gfp gfp)
{
	uint64_t *slot = slot_make(pages, &pages->accounts.frames, pfn, gfp);
	uint64_t there = 0;

	if (!slot)
		return NULL;
	/* release: see slot_load() */
	if (__atomic_compare_exchange_n(slot, &there, (uintptr_t)charges, false,
	                                __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
		return charges;
	return charges_at(there);
}

void account_clear_charges(struct tmm_pages *pages, uint64_t pfn)
{
	slot_store(slot_find(&pages->accounts.frames, pfn), 0);
}

/* ---- the public half ---- */

static uint64_t *free_id(struct accounts *accounts, unsigned *out_id)
	TMM_REQUIRES(accounts->lock)
{
	uint64_t *slot;

	for (unsigned id = 1; id <= TMM_ACCOUNTS_MOST; id++) {
		slot = slot_find(&accounts->ids, id);
		*out_id = id;
		if (!slot || !*slot)
			return slot;
	}
	return NULL;
}

/* TMM_E_AGAIN: the table for *out_id is wanted. */
static tmm_err enlist(struct tmm_account *account, unsigned *out_id)
{
	struct accounts *accounts = &account->pages->accounts;
	tmm_irq irq = lock_take_irqsave(&accounts->lock);
	tmm_err err = TMM_E_NOSPC;
	uint64_t *slot;

	if (accounts->nr < TMM_ACCOUNTS_MOST) {
		slot = free_id(accounts, out_id);
		err = slot ? TMM_OK : TMM_E_AGAIN;
	}
	if (err == TMM_OK) {
		account->id = *out_id;
		/* release: who finds the account sees what it began as */
		__atomic_store_n(slot, (uintptr_t)account, __ATOMIC_RELEASE);
		accounts->nr++;
		if (account->parent)
			account->parent->nr_children++;
	}
	lock_drop_irqrestore(&accounts->lock, irq);
	return err;
}

tmm_err tmm_account_init(struct tmm_account *account, struct tmm_pages *pages,
                         struct tmm_account *parent)
{
	unsigned id = 0;
	tmm_err err;

	*account = (struct tmm_account){
		.pages = pages, .parent = parent, .max_bytes = TMM_ACCOUNT_NO_LIMIT};
	while ((err = enlist(account, &id)) == TMM_E_AGAIN)
		if (!slot_make(pages, &pages->accounts.ids, id, TMM_GFP_KERNEL))
			return TMM_E_NOMEM;
	return err;
}

static bool is_active(const struct tmm_account *account)
{
	const struct tmm_pages *pages = account->pages;

	for (uint32_t c = 0; c < pages->cpus->nr; c++)
		/* relaxed: see account_active() */
		if (__atomic_load_n(&pages->cpu[c]->active, __ATOMIC_RELAXED) == account)
			return true;
	return false;
}

tmm_err tmm_account_fini(struct tmm_account *account)
{
	struct tmm_pages *pages = account->pages;
	tmm_irq irq = lock_take_irqsave(&pages->accounts.lock);
	tmm_err err = TMM_E_BUSY;

	stocks_drain_of(pages, account);
	if (!account->nr_children && !is_active(account) && !load(&account->usage_bytes)) {
		slot_store(slot_find(&pages->accounts.ids, account->id), 0);
		pages->accounts.nr--;
		if (account->parent)
			account->parent->nr_children--;
		err = TMM_OK;
	}
	lock_drop_irqrestore(&pages->accounts.lock, irq);
	return err;
}

struct tmm_account *tmm_account_set_active(struct tmm_pages *pages, struct tmm_account *account)
{
	tmm_irq irq = tmm_port_irq_save();
	struct tmm_account **active = &page_cpu_self(pages)->active;
	struct tmm_account *before = *active;

	TMM_ASSERT((!account || account->pages == pages) && "the account is of this machine");
	/* relaxed: see account_active() */
	__atomic_store_n(active, account, __ATOMIC_RELAXED);
	tmm_port_irq_restore(irq);
	return before;
}

struct tmm_account *tmm_account_active(struct tmm_pages *pages)
{
	return account_active(pages);
}

tmm_err tmm_account_set_max(struct tmm_account *account, uint64_t max_bytes)
{
	uint64_t before = __atomic_exchange_n(&account->max_bytes, max_bytes, __ATOMIC_RELAXED);

	for (unsigned round = 0; round <= MAX_ROUNDS; round++) {
		uint64_t usage;

		drain(account->pages, account);
		usage = load(&account->usage_bytes);
		if (usage <= max_bytes)
			return TMM_OK;
		if (!reclaim(account->pages, TMM_GFP_KERNEL, usage - max_bytes))
			break;
	}
	__atomic_store_n(&account->max_bytes, before, __ATOMIC_RELAXED);
	return TMM_E_BUSY;
}

void tmm_account_info(const struct tmm_account *account, struct tmm_account_info *out)
{
	*out = (struct tmm_account_info){
		.usage_bytes = load(&account->usage_bytes),
		.advance_bytes = in_stocks(account->pages, account),
		.max_bytes = load(&account->max_bytes),
		.peak_bytes = load(&account->peak_bytes),
		.failed_charges = load(&account->nr_failed),
	};
}

void tmm_account_reset(struct tmm_account *account)
{
	__atomic_store_n(&account->nr_failed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&account->peak_bytes, load(&account->usage_bytes), __ATOMIC_RELAXED);
	/* Who charged meanwhile may have raised the old one. */
	raise_to(&account->peak_bytes, load(&account->usage_bytes));
}

struct tmm_account *tmm_page_account(const struct tmm_pages *pages, tmm_pfn pfn)
{
	uint64_t entry = frame_entry(pages, pfn.v);

	return entry_is_id(entry) ? account_of_id(pages, (unsigned)(entry >> 1)) : NULL;
}

/* ---- boot, end, checks ---- */

void accounts_init(struct tmm_pages *pages)
{
	pages->accounts = (struct accounts){.ids.nr_levels = ID_LEVELS,
	                                    .frames.nr_levels = FRAME_LEVELS};
	lock_init(&pages->accounts.lock, RANK_ACCOUNTS);
}

void accounts_fini(struct tmm_pages *pages)
{
	TMM_ASSERT(pages->accounts.nr == 0 && "every account is gone");
	slot_tree_free(pages, &pages->accounts.ids, TMM_ACCOUNTS_MOST + 1);
	slot_tree_free(pages, &pages->accounts.frames, pages->first_pfn + pages->nr_frames);
}

static void count_charge(struct tmm_pages *pages, uint64_t id, uint64_t bytes)
{
	struct tmm_account *account = account_of_id(pages, (unsigned)id);

	TMM_ASSERT(account); /* I3 */
	for (; account; account = account->parent)
		account->counted_bytes += bytes;
}

static void count_block(struct tmm_pages *pages, uint64_t block)
{
	uint64_t first = pages->first_pfn + (block << BLOCK_ORDER);
	const uint64_t *slot = slot_find(&pages->accounts.frames, first);

	for (unsigned i = 0; slot && i < BLOCK_FRAMES; i++) {
		uint64_t entry = slot_load(&slot[i]);
		const struct charges *charges = charges_at(entry);

		if (!entry)
			continue;
		if (entry_is_id(entry)) {
			count_charge(pages, entry >> 1, TMM_PAGE_SIZE);
			continue;
		}
		for (uint32_t o = 0; o < charges->nr_objs; o++)
			if (charges->id[o])
				count_charge(pages, charges->id[o], charges->object_bytes);
	}
}

/* Begin to count (true), or compare what was counted. */
static void for_accounts(struct tmm_pages *pages, bool begin)
{
	for (unsigned id = 1; pages->accounts.nr && id <= TMM_ACCOUNTS_MOST; id++) {
		struct tmm_account *account = account_of_id(pages, id);

		if (!account)
			continue;
		if (begin) {
			account->counted_bytes = 0;
			continue;
		}
		TMM_ASSERT(account->counted_bytes == account->usage_bytes); /* I1 */
		TMM_ASSERT(account->peak_bytes >= account->usage_bytes);    /* I2 */
	}
}

void accounts_check(struct tmm_pages *pages)
{
	for_accounts(pages, true);
	for (uint64_t block = 0; pages->accounts.frames.root && block < nr_blocks(pages);
	     block++)
		count_block(pages, block);
	for (uint32_t c = 0; c < pages->cpus->nr; c++) {
		uint64_t word = pages->cpu[c]->stock;

		if (STOCK_OF(word))
			count_charge(pages, word >> STOCK_ID_SHIFT, STOCK_OF(word));
	}
	for_accounts(pages, false);
}
