/*
 * page_model_test.c - long sequences of requests against a model
 *
 * The model is an array with the owner of each frame.  It says what may be lent;
 * the allocator chooses which.
 */
#include "page/rig_test.h"

#define MODEL_FRAMES (64 * 256)
#define MAX_RUNS     4096

struct run {
	uint64_t pfn;
	unsigned order;
};

static struct rig rig;
static uint16_t owner[MODEL_FRAMES]; /* 0: free, 1: not lendable, else run number + 2 */
static struct run run[MAX_RUNS];
static unsigned nr_runs;
static uint64_t model_free;

/* Whatever can be had once must not be had twice; what is RAM is learned by the boot. */
static void model_begin(struct tmm_pages *pages)
{
	memset(owner, 0, sizeof(owner));
	nr_runs = 0;
	model_free = tmm_pages_managed_count(pages);
}

static void model_take(tmm_pfn pfn, unsigned order)
{
	CHECK(pfn.v % (UINT64_C(1) << order) == 0);
	CHECK(pfn.v + (UINT64_C(1) << order) <= MODEL_FRAMES);
	for (uint64_t i = pfn.v; i < pfn.v + (UINT64_C(1) << order); i++) {
		CHECK(owner[i] == 0);
		owner[i] = (uint16_t)(nr_runs + 2);
	}
	run[nr_runs++] = (struct run){pfn.v, order};
	model_free -= UINT64_C(1) << order;
}

static struct run model_give(unsigned which)
{
	struct run given = run[which];
	struct run *last = &run[--nr_runs];

	for (uint64_t i = given.pfn; i < given.pfn + (UINT64_C(1) << given.order); i++) {
		CHECK(owner[i] == which + 2);
		owner[i] = 0;
	}
	run[which] = *last;
	if (which != nr_runs)
		for (uint64_t i = last->pfn; i < last->pfn + (UINT64_C(1) << last->order); i++)
			owner[i] = (uint16_t)(which + 2);
	model_free += UINT64_C(1) << given.order;
	return given;
}

/* Free runs, from the left, each as long as its alignment and freeness allow. */
static void model_free_area(uint64_t *free_area)
{
	memset(free_area, 0, TMM_NR_ORDERS * sizeof(*free_area));
	for (uint64_t pfn = 0; pfn < MODEL_FRAMES;) {
		unsigned best = 0;

		if (owner[pfn]) {
			pfn++;
			continue;
		}
		for (unsigned order = 1; order <= TMM_DEFAULT_ORDER; order++) {
			uint64_t length = UINT64_C(1) << order, i = pfn;

			if (pfn % length || pfn + length > MODEL_FRAMES)
				break;
			while (i < pfn + length && !owner[i])
				i++;
			if (i < pfn + length)
				break;
			best = order;
		}
		free_area[best]++;
		pfn += UINT64_C(1) << best;
	}
}

static void compare_views(struct tmm_pages *pages)
{
	uint64_t expected[TMM_NR_ORDERS], seen[TMM_NR_ORDERS] = {0};

	tmm_pages_drain(pages);
	tmm_pages_check(pages);
	CHECK(tmm_pages_free_count(pages) == model_free);
	model_free_area(expected);
	for (unsigned z = 0; z < TMM_NR_ZONES; z++) {
		struct tmm_zone_info info;
		uint64_t sum = 0;

		tmm_zone_info(pages, 0, (enum tmm_zone_id)z, &info);
		for (unsigned order = 0; order < TMM_NR_ORDERS; order++) {
			seen[order] += info.free_area[order];
			sum += info.free_area[order] << order;
		}
		CHECK(sum == info.free_pages);
	}
	for (unsigned order = 0; order < TMM_NR_ORDERS; order++)
		CHECK(seen[order] == expected[order]);
}

/* Frames the model must not expect: all that memblock does not lend. */
static void model_mask(const struct tmm_memblock *memblock)
{
	uint64_t cursor = 0;
	struct tmm_region region;

	memset(owner, 0xff, sizeof(owner));
	while (tmm_memblock_next_free(memblock, &cursor, &region))
		for (uint64_t at = align_up(region.start, TMM_PAGE_SIZE);
		     at + TMM_PAGE_SIZE <= region.end; at += TMM_PAGE_SIZE)
			owner[at >> TMM_PAGE_SHIFT] = 0;
}

/* Failing is right only when the model has no such run (stacks are drained by then). */
static void check_refusal(unsigned order)
{
	uint64_t free_area[TMM_NR_ORDERS];

	model_free_area(free_area);
	for (; order < TMM_NR_ORDERS; order++)
		CHECK(free_area[order] == 0);
}

static unsigned random_order(uint64_t *seed, unsigned phase)
{
	uint64_t r = test_random(seed) % 100;

	if (phase % 3 == 0)
		return r < 70 ? 0 : (unsigned)(r % 4);
	return phase % 3 == 1 ? (unsigned)(r % TMM_NR_ORDERS) : r < 95 ? (unsigned)(r % 5) : 9;
}

static void random_operation(struct tmm_pages *pages, uint64_t *seed, unsigned phase)
{
	bool grow = test_random(seed) % 1000 < (phase & 1 ? 560u : 440u);
	unsigned order = random_order(seed, phase);
	tmm_gfp gfp = TMM_GFP_MEMALLOC | (test_random(seed) % 8 == 0 ? TMM_GFP_DMA : 0);
	tmm_pfn pfn;

	if (grow && nr_runs < MAX_RUNS) {
		if (tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK)
			model_take(pfn, order);
		else if (!(gfp & TMM_GFP_DMA))
			check_refusal(order);
	} else if (nr_runs > 0) {
		struct run given = model_give((unsigned)(test_random(seed) % nr_runs));

		tmm_pages_free(pages, (tmm_pfn){given.pfn}, given.order);
	}
}

/* A million requests on 64 MiB with holes, in phases of growth and shrinking. */
TEST(random_requests_agree_with_the_model)
{
	uint64_t seed = test_seed();
	struct tmm_pages *pages;
	const unsigned nr_operations = rig_operations(1000000);

	test_note("TUXMM_SEED=%llu, %u operations", (unsigned long long)seed, nr_operations);
	rig_begin(&rig, 64 * MIB, 1);
	rig_add(&rig, 3 * TMM_PAGE_SIZE, 63 * MIB);
	CHECK(tmm_memblock_remove(&rig.memblock, (tmm_paddr){20 * MIB + 4096}, 3 * MIB) ==
	      TMM_OK);
	rig_reserve(&rig, 30 * MIB + 100, 5000);
	pages = rig_boot(&rig, NO_RESERVE);
	model_begin(pages);
	model_mask(&rig.memblock);
	for (unsigned i = 0; i < nr_operations; i++) {
		random_operation(pages, &seed, i / 8000);
		if (i % 1000 == 999)
			compare_views(pages);
	}
	while (nr_runs > 0) {
		struct run given = model_give(0);

		tmm_pages_free(pages, (tmm_pfn){given.pfn}, given.order);
	}
	compare_views(pages);
	pages_fini(pages);
}

/* ---- every short sequence ---- */

#define SMALL_FRAMES 16
#define SMALL_ORDERS 5 /* 0..4 */
#define MAX_DEPTH    6
#define NR_CHOICES   (SMALL_ORDERS + 3) /* take an order; give oldest, newest; drain */

static bool do_choice(struct tmm_pages *pages, unsigned choice)
{
	tmm_pfn pfn;
	struct run given;

	if (choice < SMALL_ORDERS) {
		if (tmm_pages_alloc(pages, TMM_GFP_KERNEL, choice, &pfn) == TMM_OK)
			model_take(pfn, choice);
		else
			check_refusal(choice);
		return true;
	}
	if (choice == SMALL_ORDERS + 2) {
		tmm_pages_drain(pages);
		return true;
	}
	if (nr_runs == 0 || (choice == SMALL_ORDERS + 1 && nr_runs == 1))
		return false; /* nothing to give, or the same as the oldest */
	given = model_give(choice == SMALL_ORDERS ? 0 : nr_runs - 1);
	tmm_pages_free(pages, (tmm_pfn){given.pfn}, given.order);
	return true;
}

/* Small stacks for every order, that a zone of 16 frames would not have. */
static void give_stacks(struct tmm_pages *pages, unsigned limit)
{
	for (unsigned class = 0; class < STACK_BLOCK; class ++) {
		struct frame_stack *stack =
			&pages->cpu[0]->zone[0].stack[stack_id(class, TMM_MIGRATE_UNMOVABLE)];

		stack->end = stack->bottom + limit;
		stack->batch = limit ? limit : 1;
	}
}

/* Without stacks, and with stacks of up to three runs: all sequences of 6 requests. */
TEST(every_short_sequence_agrees_with_the_model)
{
	unsigned long nr_sequences = 0;
	struct tmm_pages *pages = rig_exact(&rig, 16, SMALL_FRAMES);
	unsigned long nr_codes = 1;

	for (unsigned i = 0; i < MAX_DEPTH; i++)
		nr_codes *= NR_CHOICES;
	for (unsigned limit = 0; limit <= 3; limit += 3) {
		give_stacks(pages, limit);
		for (unsigned long code = 0; code < nr_codes; code++) {
			unsigned long rest = code;
			bool valid = true;

			model_begin(pages);
			memset(owner, 0xff, sizeof(owner));
			memset(owner + 16, 0, SMALL_FRAMES * sizeof(*owner));
			for (unsigned i = 0; i < MAX_DEPTH && valid; i++, rest /= NR_CHOICES)
				valid = do_choice(pages, (unsigned)(rest % NR_CHOICES));
			nr_sequences += valid;
			CHECK(tmm_pages_free_count(pages) == model_free);
			if (code % 64 == 0)
				tmm_pages_check(pages);
			while (nr_runs > 0) {
				struct run given = model_give(0);

				tmm_pages_free(pages, (tmm_pfn){given.pfn}, given.order);
			}
			tmm_pages_drain(pages);
			CHECK(pages->zone[0].nr_free == SMALL_FRAMES);
			CHECK(pages->bits[0].word[0] == UINT64_C(0xffff0000));
		}
	}
	test_note("%lu sequences of %u operations on %u frames", nr_sequences, MAX_DEPTH,
	          SMALL_FRAMES);
	tmm_pages_check(pages);
}
