/*
 * ops.c - texts of operations: read, print, make up, run
 */
#include "ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject.h"
#include "panic.h"

#define MAX_LINE 200u

static uint64_t fail_at; /* the failure point that shall fail, 1: the next; 0: none */

static void draw_fail(uint64_t *random, uint64_t *arg)
{
	arg[0] = 1 + pick(random, pick(random, 3) ? 4 : 40);
}

static void apply_fail(const uint64_t *arg)
{
	fail_at = arg[0];
}

static const struct verb fail = {"fail", 1, draw_fail, apply_fail};

static const struct verb *verb_named(const char *name)
{
	for (unsigned i = 0; i < fuzz_target.nr_verbs; i++) {
		if (!strcmp(name, fuzz_target.verb[i].name))
			return &fuzz_target.verb[i];
	}
	return strcmp(name, fail.name) ? NULL : &fail;
}

static bool op_parse(char *line, struct op *out)
{
	char *rest = NULL, *word = strtok_r(line, " \t\r", &rest);

	memset(out, 0, sizeof(*out));
	out->verb = word ? verb_named(word) : NULL;
	if (!out->verb)
		return false;
	for (unsigned i = 0; i < out->verb->nr_args; i++) {
		word = strtok_r(NULL, " \t\r", &rest);
		out->arg[i] = word ? strtoull(word, NULL, 0) : 0;
	}
	return true;
}

size_t ops_parse(const uint8_t *text, size_t bytes, struct op *out, size_t max)
{
	size_t nr = 0;

	while (bytes > 0 && nr < max) {
		const uint8_t *newline = memchr(text, '\n', bytes);
		size_t length = newline ? (size_t)(newline - text) : bytes;
		char line[MAX_LINE] = "";

		memcpy(line, text, length < MAX_LINE ? length : MAX_LINE - 1);
		nr += op_parse(line, &out[nr]);
		length += newline ? 1 : 0;
		text += length;
		bytes -= length;
	}
	return nr;
}

static size_t op_print(const struct op *op, char *out, size_t bytes)
{
	size_t at = (size_t)snprintf(out, bytes, "%s", op->verb->name);

	for (unsigned i = 0; i < op->verb->nr_args && at < bytes; i++)
		at += (size_t)snprintf(out + at, bytes - at, " %#" PRIx64, op->arg[i]);
	return at;
}

size_t ops_print(const struct op *ops, size_t nr, char *out, size_t max_bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < nr; i++) {
		char line[MAX_LINE];
		size_t length = op_print(&ops[i], line, sizeof(line));

		if (at + length + 1 > max_bytes)
			break;
		memcpy(out + at, line, length);
		out[at + length] = '\n';
		at += length + 1;
	}
	return at;
}

void op_random(uint64_t *random, struct op *out)
{
	uint64_t which = pick(random, fuzz_target.nr_verbs * 16);

	memset(out, 0, sizeof(*out));
	out->verb = which == 0 ? &fail : &fuzz_target.verb[which % fuzz_target.nr_verbs];
	if (out->verb->draw)
		out->verb->draw(random, out->arg);
}

size_t fuzz_random(uint64_t *random, uint8_t *out, size_t max)
{
	static struct op ops[MAX_OPS];

	for (size_t i = 0; i < MAX_OPS; i++)
		op_random(random, &ops[i]);
	return ops_print(ops, MAX_OPS, (char *)out, max);
}

bool op_failed_on_purpose(void)
{
	return fail_at && tmm_inject_count() >= fail_at;
}

static void op_run(const struct op *op)
{
	bool failed;

	op_print(op, fuzz_doing, sizeof(fuzz_doing));
	if (op->verb == &fail) {
		op->verb->apply(op->arg);
		return;
	}
	if (fail_at)
		tmm_inject_nth(fail_at, false);
	op->verb->apply(op->arg);
	failed = tmm_inject_stop();
	fuzz_target.check();
	if (fail_at)
		fail_at = failed ? 0 : fail_at - tmm_inject_count();
}

_Noreturn static void on_panic(const char *file, unsigned line, const char *what)
{
	test_fail(file, (int)line, what);
}

void fuzz_run(const uint8_t *input, size_t bytes)
{
	static struct op ops[MAX_OPS];
	size_t nr = ops_parse(input, bytes, ops, MAX_OPS);

	tmm_port_on_panic(on_panic);
	fail_at = 0;
	fuzz_target.begin();
	for (size_t i = 0; i < nr; i++)
		op_run(&ops[i]);
	snprintf(fuzz_doing, sizeof(fuzz_doing), "the end");
	fuzz_target.end();
	fuzz_doing[0] = '\0';
}
