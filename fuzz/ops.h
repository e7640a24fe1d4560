/*
 * ops.h - the operation language: a line of text is a verb and its numbers
 *
 *	mmap 0x700000000000 0x4000 0x3 0x32 0xffffffffffffffff 0
 *	fail 0x3
 *
 * A target is a table of verbs.  Numbers that a line does not give are 0, and a
 * line without a known verb is a comment, so every text is a run and any part of
 * one is too.  The verbs of address-space calls are those of tests/mmap_diff.
 *
 * "fail N" belongs to all targets: the N-th failure point from there fails.
 */
#ifndef TUXMM_FUZZ_OPS_H
#define TUXMM_FUZZ_OPS_H

#include "fuzz.h"

#define MAX_ARGS 6u
#define MAX_OPS  200u

struct verb {
	const char *name;
	unsigned nr_args;
	void (*draw)(uint64_t *random, uint64_t *arg); /* NULL: numbers are 0 */
	void (*apply)(const uint64_t *arg);
};

/* A target defines this. */
struct fuzz_target {
	void (*begin)(void);
	void (*check)(void); /* after each operation */
	void (*end)(void);
	unsigned nr_verbs;
	const struct verb *verb;
};
extern const struct fuzz_target fuzz_target;

struct op {
	const struct verb *verb;
	uint64_t arg[MAX_ARGS];
};

size_t ops_parse(const uint8_t *text, size_t bytes, struct op *out, size_t max);

/* Whole lines only; returns the bytes written. */
size_t ops_print(const struct op *ops, size_t nr, char *out, size_t max_bytes);
void op_random(uint64_t *random, struct op *out);

/* Did the operation that runs now meet the failure that "fail" asked for? */
bool op_failed_on_purpose(void);

/* 0 .. below - 1 */
static inline uint64_t pick(uint64_t *random, uint64_t below)
{
	return (test_random(random) >> 16) % below;
}

#endif
