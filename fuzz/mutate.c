/*
 * mutate.c - how libFuzzer changes a text of operations: by operations
 *
 * Bytes changed at random would mostly be lines that say nothing.
 */
#include <string.h>

#include "ops.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t max_bytes, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_bytes, const uint8_t *b,
                                 size_t b_bytes, uint8_t *out, size_t max_bytes, unsigned seed);

struct ops {
	size_t nr;
	struct op op[MAX_OPS];
};

/* Make room for nr operations before `at`; returns how many fit. */
static size_t ops_open(struct ops *ops, size_t at, size_t nr)
{
	if (nr > MAX_OPS - ops->nr)
		nr = MAX_OPS - ops->nr;
	memmove(&ops->op[at + nr], &ops->op[at], (ops->nr - at) * sizeof(struct op));
	ops->nr += nr;
	return nr;
}

static void ops_remove(struct ops *ops, size_t at, size_t nr)
{
	memmove(&ops->op[at], &ops->op[at + nr], (ops->nr - at - nr) * sizeof(struct op));
	ops->nr -= nr;
}

static void insert_new(struct ops *ops, uint64_t *random)
{
	size_t at = pick(random, ops->nr + 1);
	size_t nr = ops_open(ops, at, 1 + pick(random, pick(random, 4) ? 3 : 20));

	while (nr--)
		op_random(random, &ops->op[at + nr]);
}

static void insert_copy(struct ops *ops, uint64_t *random)
{
	static struct op copy[MAX_OPS];
	size_t from = pick(random, ops->nr), nr = 1 + pick(random, ops->nr - from);
	size_t at = pick(random, ops->nr + 1);

	memcpy(copy, &ops->op[from], nr * sizeof(*copy));
	nr = ops_open(ops, at, nr);
	memcpy(&ops->op[at], copy, nr * sizeof(*copy));
}

/* Another number for one operation: as that verb would draw it, or a little off. */
static void change_number(struct ops *ops, uint64_t *random)
{
	struct op *op = &ops->op[pick(random, ops->nr)];
	uint64_t drawn[MAX_ARGS] = {0};
	unsigned i;

	if (!op->verb->nr_args)
		return;
	i = (unsigned)pick(random, op->verb->nr_args);
	if (op->verb->draw && pick(random, 4)) {
		op->verb->draw(random, drawn);
		op->arg[i] = drawn[i];
	} else if (pick(random, 2)) {
		op->arg[i] ^= UINT64_C(1) << pick(random, 64);
	} else {
		op->arg[i] += pick(random, 2) ? 1 : UINT64_MAX;
	}
}

static void mutate_once(struct ops *ops, uint64_t *random)
{
	size_t at;

	if (!ops->nr) {
		insert_new(ops, random);
		return;
	}
	at = pick(random, ops->nr);
	switch (pick(random, 6)) {
	case 0:
	case 1:
		insert_new(ops, random);
		break;
	case 2:
		ops_remove(ops, at, 1 + pick(random, ops->nr - at < 8 ? ops->nr - at : 8));
		break;
	case 3:
		op_random(random, &ops->op[at]);
		break;
	case 4:
		insert_copy(ops, random);
		break;
	default:
		change_number(ops, random);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t max_bytes, unsigned seed)
{
	static struct ops ops;
	uint64_t random = seed | UINT64_C(1) << 40;

	ops.nr = ops_parse(data, bytes, ops.op, MAX_OPS);
	for (uint64_t times = 1 + pick(&random, 4); times > 0; times--)
		mutate_once(&ops, &random);
	return ops_print(ops.op, ops.nr, (char *)data, max_bytes);
}

/* The beginning of one, the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_bytes, const uint8_t *b,
                                 size_t b_bytes, uint8_t *out, size_t max_bytes, unsigned seed)
{
	static struct op ops[2 * MAX_OPS], other[MAX_OPS];
	uint64_t random = seed | UINT64_C(1) << 40;
	size_t nr = ops_parse(a, a_bytes, ops, MAX_OPS);
	size_t nr_other = ops_parse(b, b_bytes, other, MAX_OPS), from;

	nr = pick(&random, nr + 1);
	from = pick(&random, nr_other + 1);
	memcpy(&ops[nr], &other[from], (nr_other - from) * sizeof(*ops));
	nr += nr_other - from;
	return ops_print(ops, nr < MAX_OPS ? nr : MAX_OPS, (char *)out, max_bytes);
}
