/*
 * memblock.c - memblock against an array with an entry for each unit of memory
 */
#include <string.h>

#include <tuxmm/memblock.h>

#include "ops.h"

#define UNIT     UINT64_C(1024) /* every number below is a number of units */
#define NR_UNITS UINT64_C(1024)
#define NOBODY   UINT32_MAX

static struct tmm_memblock mb;
static struct {
	uint32_t node; /* NOBODY: no memory */
	bool reserved;
} model[NR_UNITS];

static void begin(void)
{
	tmm_memblock_init(&mb, NULL);
	for (uint64_t i = 0; i < NR_UNITS; i++) {
		model[i].node = NOBODY;
		model[i].reserved = false;
	}
}

/* Memory and reserved as the lists have them. */
static void compare(void)
{
	const struct tmm_region_list *memory = &mb.memory, *reserved = &mb.reserved;
	uint64_t memory_units = 0, reserved_units = 0, m = 0, r = 0;

	tmm_memblock_check(&mb);
	for (uint64_t i = 0; i < NR_UNITS; i++) {
		uint64_t at = i * UNIT;

		while (m < memory->nr && memory->region[m].end <= at)
			m++;
		while (r < reserved->nr && reserved->region[r].end <= at)
			r++;
		CHECK((m < memory->nr && memory->region[m].start <= at
		               ? memory->region[m].node
		               : NOBODY) == model[i].node);
		CHECK((r < reserved->nr && reserved->region[r].start <= at) ==
		      model[i].reserved);
		memory_units += model[i].node != NOBODY;
		reserved_units += model[i].reserved;
	}
	CHECK(tmm_memblock_memory_bytes(&mb) == memory_units * UNIT);
	CHECK(tmm_memblock_reserved_bytes(&mb) == reserved_units * UNIT);
}

/* What is free, walked, is what the model has free. */
static void compare_free(void)
{
	struct tmm_region region;
	uint64_t cursor = 0, i = 0;

	while (tmm_memblock_next_free(&mb, &cursor, &region)) {
		CHECK(region.start < region.end && region.end <= NR_UNITS * UNIT);
		for (; i < region.start / UNIT; i++)
			CHECK(model[i].node == NOBODY || model[i].reserved);
		for (; i < region.end / UNIT; i++)
			CHECK(model[i].node == region.node && !model[i].reserved);
	}
	for (; i < NR_UNITS; i++)
		CHECK(model[i].node == NOBODY || model[i].reserved);
}

static void draw_range(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_UNITS);
	arg[1] = pick(random, pick(random, 3) ? 24 : NR_UNITS);
	arg[2] = pick(random, 3);
}

static tmm_paddr range_start(const uint64_t *arg)
{
	return (tmm_paddr){arg[0] % NR_UNITS * UNIT};
}

static uint64_t range_end(const uint64_t *arg)
{
	uint64_t start = arg[0] % NR_UNITS;

	return start + arg[1] % (NR_UNITS - start + 1);
}

static uint64_t range_bytes(const uint64_t *arg)
{
	return range_end(arg) * UNIT - range_start(arg).v;
}

/* True: the model has to follow. */
static bool done(tmm_err err, const struct tmm_region_list *list)
{
	if (err == TMM_OK)
		return true;
	CHECK(err == TMM_E_NOSPC && list->nr > TMM_MEMBLOCK_MAX_REGIONS / 2);
	return false;
}

static void apply_add(const uint64_t *arg)
{
	uint32_t node = (uint32_t)(arg[2] % 3);

	if (!done(tmm_memblock_add(&mb, range_start(arg), range_bytes(arg), node), &mb.memory))
		return;
	for (uint64_t i = arg[0] % NR_UNITS; i < range_end(arg); i++) {
		if (model[i].node == NOBODY)
			model[i].node = node;
	}
}

static void apply_remove(const uint64_t *arg)
{
	if (!done(tmm_memblock_remove(&mb, range_start(arg), range_bytes(arg)), &mb.memory))
		return;
	for (uint64_t i = arg[0] % NR_UNITS; i < range_end(arg); i++)
		model[i].node = NOBODY;
}

static void set_reserved(const uint64_t *arg, bool reserved)
{
	for (uint64_t i = arg[0] % NR_UNITS; i < range_end(arg); i++)
		model[i].reserved = reserved;
}

static void apply_reserve(const uint64_t *arg)
{
	if (done(tmm_memblock_reserve(&mb, range_start(arg), range_bytes(arg)), &mb.reserved))
		set_reserved(arg, true);
}

static void apply_free(const uint64_t *arg)
{
	if (done(tmm_memblock_free(&mb, range_start(arg), range_bytes(arg)), &mb.reserved))
		set_reserved(arg, false);
}

static void apply_trim(const uint64_t *arg)
{
	uint64_t max = range_end(arg);

	if (!done(tmm_memblock_trim(&mb, range_start(arg), (tmm_paddr){max * UNIT}),
	          &mb.memory))
		return;
	for (uint64_t i = 0; i < NR_UNITS; i++) {
		if (i < arg[0] % NR_UNITS || i >= max)
			model[i].node = NOBODY;
	}
}

static void apply_wild(const uint64_t *arg)
{
	const tmm_paddr high = {UINT64_MAX - arg[0] % 4096};
	const uint64_t wraps = 4096 + arg[1] % 4096;

	CHECK(tmm_memblock_add(&mb, high, wraps, 0) == TMM_E_INVAL);
	CHECK(tmm_memblock_remove(&mb, high, wraps) == TMM_E_INVAL);
	CHECK(tmm_memblock_reserve(&mb, high, wraps) == TMM_E_INVAL);
	CHECK(tmm_memblock_free(&mb, high, wraps) == TMM_E_INVAL);
	CHECK(tmm_memblock_trim(&mb, high, (tmm_paddr){0}) == TMM_E_INVAL);
}

static void apply_limit(const uint64_t *arg)
{
	mb.limit = arg[0] ? arg[0] % NR_UNITS * UNIT : UINT64_MAX;
}

static void apply_bottom_up(const uint64_t *arg)
{
	mb.bottom_up = arg[0] & 1;
}

static void draw_alloc(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, 16);
	arg[1] = pick(random, 8);
	arg[2] = pick(random, 3) ? 0 : pick(random, NR_UNITS);
	arg[3] = pick(random, 3) ? 0 : pick(random, NR_UNITS);
	arg[4] = pick(random, 5);
	arg[5] = pick(random, 2);
}

/* Free, for a request that may take only `node` (NOBODY: any)? */
static bool fits(uint64_t start, uint64_t nr, uint32_t node)
{
	for (uint64_t i = start; i < start + nr; i++) {
		if (model[i].reserved || model[i].node == NOBODY ||
		    (node != NOBODY && model[i].node != node))
			return false;
	}
	return true;
}

/* Where the request must go, in units; NR_UNITS: nowhere. */
static uint64_t best_start(const struct tmm_memblock_request *request, uint32_t node)
{
	uint64_t max = request->max && request->max < mb.limit ? request->max : mb.limit;
	uint64_t nr = request->size_bytes / UNIT, best = NR_UNITS;

	for (uint64_t i = 0; i + nr <= NR_UNITS; i++) {
		uint64_t at = i * UNIT;

		if (at < request->min || at + request->size_bytes > max ||
		    (request->align_bytes && at % request->align_bytes) || !fits(i, nr, node))
			continue;
		best = i;
		if (mb.bottom_up)
			break;
	}
	return best;
}

/* A run of one node's memory only: memblock never joins regions of two. */
static uint64_t best_of_nodes(const struct tmm_memblock_request *request)
{
	uint64_t best = NR_UNITS;

	for (uint32_t node = 0; node < 3; node++) {
		uint64_t start = best_start(request, node);

		if (start < NR_UNITS &&
		    (best == NR_UNITS || (mb.bottom_up ? start < best : start > best)))
			best = start;
	}
	return best;
}

static void apply_alloc(const uint64_t *arg)
{
	const struct tmm_memblock_request request = {
		.size_bytes = arg[0] % NR_UNITS * UNIT,
		.align_bytes = arg[1] % 16 ? UINT64_C(1) << (arg[1] % 16 + 6) : 0,
		.min = arg[2] % NR_UNITS * UNIT,
		.max = arg[3] % NR_UNITS * UNIT,
		.node = arg[4] % 4 < 3 ? (uint32_t)(arg[4] % 4) : TMM_NODE_ANY,
		.exact_node = arg[5] & 1,
	};
	uint64_t nr = request.size_bytes / UNIT, expected = NR_UNITS;
	tmm_paddr start;
	tmm_err err = tmm_memblock_alloc(&mb, &request, &start);

	if (!nr) {
		CHECK(err == TMM_E_INVAL);
		return;
	}
	if (request.node != TMM_NODE_ANY)
		expected = best_start(&request, request.node);
	if (expected == NR_UNITS && (request.node == TMM_NODE_ANY || !request.exact_node))
		expected = best_of_nodes(&request);
	if (err == TMM_E_NOSPC || (err == TMM_E_NOMEM && op_failed_on_purpose()))
		return;
	CHECK(err == (expected == NR_UNITS ? TMM_E_NOMEM : TMM_OK));
	if (err)
		return;
	CHECK(start.v == expected * UNIT);
	for (uint64_t i = expected; i < expected + nr; i++)
		model[i].reserved = true;
}

static const struct verb verbs[] = {
	{"add", 3, draw_range, apply_add},
	{"remove", 2, draw_range, apply_remove},
	{"reserve", 2, draw_range, apply_reserve},
	{"free", 2, draw_range, apply_free},
	{"alloc", 6, draw_alloc, apply_alloc},
	{"trim", 2, draw_range, apply_trim},
	{"limit", 1, draw_range, apply_limit},
	{"bottom_up", 1, draw_range, apply_bottom_up},
	{"wild", 2, draw_range, apply_wild},
};

const struct fuzz_target fuzz_target = {begin, compare, compare_free,
                                        sizeof(verbs) / sizeof(*verbs), verbs};
