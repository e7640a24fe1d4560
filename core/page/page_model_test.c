/*
 * page_model_test.c - every short sequence of operations on a small zone
 *
 * The zone has 16 units that can be lent, of one frame or of 128; runs are of 1, 2 or 4
 * of them and more.  The model is an array with the owner of each unit.
 *
 *   one block       |................|   one migrate type, orders 0..4
 *   four blocks     |....|....|....|....|
 *                    unm. mov. recl. CMA   each request has a type
 */
#include "page/rig_test.h"
#include "page/zone.h"

#define UNITS           16u
#define UNITS_PER_BLOCK 4u
#define MAX_DEPTH       6u

enum choice { TAKE, GIVE_OLDEST, GIVE_NEWEST, DRAIN, COMPACT };

/* What sequences are made of; units of 2^unit_order frames. */
struct scope {
	const char *name;
	unsigned unit_order;
	bool typed;
	unsigned nr_orders, orders[5]; /* of units */
	unsigned limit;                /* runs on a stack */
	unsigned depth;
	bool compaction;
};

static const struct scope scopes[] = {
	{"one type", 0, false, 5, {0, 1, 2, 3, 4}, 0, 6, false},
	{"one type, stacks", 0, false, 5, {0, 1, 2, 3, 4}, 3, 6, false},
	{"types", 0, true, 2, {0, 2}, 0, 6, false},
	{"types, stacks", 0, true, 2, {0, 1}, 3, 6, false},
	{"types, more orders", 0, true, 3, {0, 1, 2}, 0, 5, true},
	{"types, compaction, stacks", 0, true, 2, {0, 2}, 2, 5, true},
	{"types, large units", 7, true, 2, {0, 2}, 0, 6, false},
	{"types, large units, longer", 7, true, 3, {0, 1, 3}, 0, 5, false},
};

struct run {
	unsigned unit, order;
	enum tmm_migrate_type type;
	bool marked;
};

static struct rig rig;
static const struct scope *scope;
static uint8_t owner[UNITS]; /* number of a run + 1; 0: free */
static struct run run[UNITS];
static unsigned nr_runs;

static const enum tmm_migrate_type types_at_first[] = {
	TMM_MIGRATE_UNMOVABLE, TMM_MIGRATE_MOVABLE, TMM_MIGRATE_RECLAIMABLE, TMM_MIGRATE_CMA};
static const tmm_gfp gfp_of[] = {0, TMM_GFP_MOVABLE, TMM_GFP_RECLAIMABLE};

/* ---- units and frames ---- */

static uint64_t pfn_of(unsigned unit)
{
	if (!scope->typed)
		return 16 + unit;
	return (uint64_t)(unit / UNITS_PER_BLOCK) * BLOCK_FRAMES +
	       ((uint64_t)(unit % UNITS_PER_BLOCK) << scope->unit_order);
}

static unsigned unit_of(uint64_t pfn)
{
	if (!scope->typed)
		return (unsigned)pfn - 16;
	return (unsigned)(pfn / BLOCK_FRAMES * UNITS_PER_BLOCK +
	                  (pfn % BLOCK_FRAMES >> scope->unit_order));
}

/* In the machine a block of 4 units may be one of 512 frames: 4 * 128. */
static bool block_is_whole(void)
{
	return scope->typed && (UNITS_PER_BLOCK << scope->unit_order) == BLOCK_FRAMES;
}

static unsigned type_of(unsigned unit)
{
	return rig.pages.info[scope->typed ? unit / UNITS_PER_BLOCK : 0].type;
}

/* ---- the model ---- */

static bool may_have(enum tmm_migrate_type type, unsigned unit)
{
	return type == TMM_MIGRATE_MOVABLE || type_of(unit) != TMM_MIGRATE_CMA;
}

static bool is_free_run(enum tmm_migrate_type type, unsigned unit, unsigned order)
{
	if (!block_is_whole() && scope->typed && order > 2)
		return false;
	for (unsigned u = unit; u < unit + (1u << order); u++)
		if (owner[u] || !may_have(type, u))
			return false;
	return true;
}

static bool has_run(enum tmm_migrate_type type, unsigned order)
{
	for (unsigned unit = 0; unit < UNITS; unit += 1u << order)
		if (is_free_run(type, unit, order))
			return true;
	return false;
}

/* In a block of its own type? */
static bool has_own_run(enum tmm_migrate_type type, unsigned order)
{
	for (unsigned unit = 0; unit < UNITS; unit += 1u << order)
		if (type_of(unit) == (unsigned)type && is_free_run(type, unit, order))
			return true;
	return false;
}

static unsigned nr_free(void)
{
	unsigned nr = 0;

	for (unsigned u = 0; u < UNITS; u++)
		nr += !owner[u];
	return nr;
}

static void put(unsigned number, uint8_t value)
{
	const struct run *r = &run[number];

	for (unsigned u = r->unit; u < r->unit + (1u << r->order); u++) {
		CHECK(!owner[u] == (value != 0));
		owner[u] = value;
	}
}

/* ---- operations ---- */

static tmm_err move(void *arg, tmm_pfn from, tmm_pfn to)
{
	unsigned number = owner[unit_of(from.v)] - 1u;

	(void)arg;
	CHECK(run[number].marked && !owner[unit_of(to.v)]);
	put(number, 0);
	run[number].unit = unit_of(to.v);
	put(number, (uint8_t)(number + 1));
	return TMM_OK;
}

static const struct tmm_migrate_ops ops = {.move = move};
static const struct tmm_movable movable = {&ops, NULL};

static void take(enum tmm_migrate_type type, unsigned order)
{
	bool expected = has_run(type, order), own = has_own_run(type, order);
	struct run r = {.order = order, .type = type};
	unsigned type_before[UNITS];
	tmm_pfn pfn;
	tmm_err err;

	for (unsigned u = 0; u < UNITS; u++)
		type_before[u] = type_of(u);
	err = tmm_pages_alloc(&rig.pages, gfp_of[type] | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN,
	                      order + scope->unit_order, &pfn);
	CHECK((err == TMM_OK) == expected);
	if (err != TMM_OK)
		return;
	r.unit = unit_of(pfn.v);
	CHECK(r.unit % (1u << order) == 0 && pfn_of(r.unit) == pfn.v);
	CHECK(is_free_run(type, r.unit, order));
	/* Stacks may have some of another block, and CMA serves movable ones at any time. */
	if (own && !scope->limit && order < 3 && type_before[r.unit] != TMM_MIGRATE_CMA)
		CHECK(type_before[r.unit] == (unsigned)type);
	if (type == TMM_MIGRATE_MOVABLE && scope->compaction && order == 0) {
		tmm_page_set_movable(&rig.pages, pfn, &movable);
		r.marked = true;
	}
	run[nr_runs] = r;
	put(nr_runs, (uint8_t)(nr_runs + 1));
	nr_runs++;
}

static void give(unsigned which)
{
	struct run given = run[which];
	tmm_pfn pfn = {pfn_of(given.unit)};

	if (given.marked)
		tmm_page_clear_movable(&rig.pages, pfn);
	for (unsigned i = which; i < nr_runs; i++)
		put(i, 0);
	nr_runs--;
	for (unsigned i = which; i < nr_runs; i++) {
		run[i] = run[i + 1];
		put(i, (uint8_t)(i + 1));
	}
	tmm_pages_free(&rig.pages, pfn, given.order + scope->unit_order);
}

static unsigned nr_takes(void)
{
	return scope->nr_orders * (scope->typed ? 3 : 1);
}

static unsigned nr_choices(void)
{
	return nr_takes() + (scope->compaction ? COMPACT : DRAIN);
}

/* False: does nothing, so that a shorter sequence is the same. */
static bool do_choice(unsigned choice)
{
	if (choice < nr_takes()) {
		take((enum tmm_migrate_type)(choice / scope->nr_orders),
		     scope->orders[choice % scope->nr_orders]);
		return true;
	}
	switch ((enum choice)(choice - nr_takes() + TAKE + 1)) {
	case GIVE_OLDEST:
		if (nr_runs < 1)
			return false;
		give(0);
		return true;
	case GIVE_NEWEST:
		if (nr_runs < 2)
			return false;
		give(nr_runs - 1);
		return true;
	case DRAIN:
		tmm_pages_drain(&rig.pages);
		return scope->limit > 0;
	default:
		tmm_pages_compact(&rig.pages);
		return true;
	}
}

/* ---- the machine ---- */

/* All of RAM is reserved but for the units, and for what the arrays take. */
static void boot_with(uint64_t arrays_bytes)
{
	const uint64_t blocks_end = 4 * (BLOCK_FRAMES << TMM_PAGE_SHIFT), end = 12 * MIB;
	uint64_t unit_bytes = TMM_PAGE_SIZE << scope->unit_order;

	rig_begin(&rig, end, 1);
	rig_add(&rig, 0, end);
	rig_reserve(&rig, 0, end - arrays_bytes);
	for (unsigned u = 0; u < UNITS; u++)
		CHECK(tmm_memblock_free(&rig.memblock, (tmm_paddr){pfn_of(u) << TMM_PAGE_SHIFT},
		                        unit_bytes) == TMM_OK);
	CHECK(end - arrays_bytes >= blocks_end);
	rig_boot(&rig, NO_RESERVE);
}

/* Types that so few blocks would not have. */
static void set_block_types(void)
{
	struct zone *zone = &rig.pages.zone[0];

	if (!scope->typed)
		return;
	lock_take(&zone->lock);
	for (unsigned b = 0; b < ARRAY_SIZE(types_at_first); b++)
		if (rig.pages.info[b].type != types_at_first[b])
			zone_set_type(&rig.pages, zone, b, types_at_first[b]);
	lock_drop(&zone->lock);
}

/* Stacks for every order, that a zone of 16 frames would not have. */
static void give_stacks(void)
{
	for (unsigned class = 0; class < STACK_BLOCK; class ++)
		for (unsigned type = 0; type < STACK_TYPE_NONE; type++) {
			struct frame_stack *stack =
				&rig.pages.cpu[0]->zone[0].stack[stack_id(class, type)];

			stack->end = stack->bottom + scope->limit;
			stack->batch = scope->limit ? scope->limit : 1;
		}
}

static void boot(void)
{
	uint64_t reserved;

	boot_with(4 * MIB);
	reserved = tmm_memblock_reserved_bytes(&rig.memblock);
	pages_fini(&rig.pages);
	boot_with(reserved - (8 * MIB - (UNITS * TMM_PAGE_SIZE << scope->unit_order)));
	CHECK(tmm_pages_managed_count(&rig.pages) == UNITS << scope->unit_order);
	if (scope->typed) {
		rig.pages.type_mask = 3;
		rig.pages.first_type = TMM_MIGRATE_MOVABLE;
	}
	set_block_types();
	give_stacks();
	memset(owner, 0, sizeof(owner));
	nr_runs = 0;
}

/* Every unit is free again, and in the zone. */
static void start_over(void)
{
	CHECK(tmm_pages_free_count(&rig.pages) == nr_free() << scope->unit_order);
	while (nr_runs > 0)
		give(nr_runs - 1);
	tmm_pages_drain(&rig.pages);
	CHECK(rig.pages.zone[0].nr_free == UNITS << scope->unit_order);
	for (unsigned u = 0; u < UNITS; u++)
		CHECK(*word_of(&rig.pages, pfn_of(u)) >> (pfn_of(u) % 64) & 1);
	set_block_types();
}

static void every_sequence(void)
{
	unsigned long nr_codes = 1, nr_sequences = 0, nr_shorter = 0;
	unsigned depth = scope->depth - rig_is_slow();
	unsigned checked_each = rig_is_slow() ? 1024 : 64;

	boot();
	for (unsigned i = 0; i < depth; i++)
		nr_codes *= nr_choices();
	for (unsigned long code = 0; code < nr_codes; code++) {
		unsigned long rest = code;
		bool all = true;

		for (unsigned i = 0; i < depth && all; i++, rest /= nr_choices())
			all = do_choice((unsigned)(rest % nr_choices()));
		nr_sequences += all;
		nr_shorter += !all;
		if (code % checked_each == 0)
			tmm_pages_check(&rig.pages);
		start_over();
	}
	test_note(
		"%s: %lu sequences of %u operations on %u units of %u frames, %lu are shorter "
		"ones again",
		scope->name, nr_sequences, depth, UNITS, 1u << scope->unit_order, nr_shorter);
	CHECK(nr_sequences > nr_codes / 5);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}

static void every_sequence_of(bool typed)
{
	for (unsigned i = 0; i < ARRAY_SIZE(scopes); i++) {
		scope = &scopes[i];
		if (scope->typed == typed)
			every_sequence();
	}
}

TEST(every_short_sequence_of_one_type_agrees_with_the_model)
{
	every_sequence_of(false);
}

TEST(every_short_sequence_of_all_types_agrees_with_the_model)
{
	every_sequence_of(true);
}
