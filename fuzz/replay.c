/*
 * replay.c - a target without libFuzzer
 *
 *	replay-TARGET PATH...           run kept inputs, files or folders of them: TAP
 *	replay-TARGET --random SECONDS  inputs at random from TUXMM_SEED
 *	replay-TARGET --shrink FILE     print a shortest text of lines that still fails
 *
 * Each input runs in a child, so that one that fails does not end the others.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

struct input {
	size_t bytes;
	uint8_t byte[FUZZ_MAX_BYTES];
};

static bool read_input(const char *path, struct input *out)
{
	FILE *in = fopen(path, "rb");

	if (!in)
		return false;
	out->bytes = fread(out->byte, 1, sizeof(out->byte), in);
	return fclose(in) == 0;
}

/* Nothing buffered may be printed twice. */
static pid_t start_child(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0) {
		printf("Bail out! fork\n");
		exit(1);
	}
	return child;
}

static bool passes(const struct input *input, bool quiet)
{
	pid_t child = start_child();
	int status;

	if (child == 0) {
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(1);
		fuzz_run(input->byte, input->bytes);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

/* ---- kept inputs ---- */

static int nr_run, nr_failed;

static void run_file(const char *path)
{
	static struct input input;
	bool ok = read_input(path, &input) && passes(&input, false);

	nr_failed += !ok;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", ++nr_run, path);
}

static void run_path(const char *path)
{
	struct dirent **entry;
	int nr = scandir(path, &entry, NULL, alphasort);

	if (nr < 0) {
		run_file(path);
		return;
	}
	for (int i = 0; i < nr; i++) {
		char inner[4096];

		snprintf(inner, sizeof(inner), "%s/%s", path, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.')
			run_file(inner);
		free(entry[i]);
	}
	free(entry);
}

/* ---- inputs at random ---- */

#define BATCH 100u

/* Leave the input where it can be replayed and shrunk. */
static void keep(const struct input *input, uint64_t seed)
{
	char path[64];
	FILE *out;

	snprintf(path, sizeof(path), "failed-%" PRIu64, seed);
	out = fopen(path, "wb");
	if (out && fwrite(input->byte, 1, input->bytes, out) == input->bytes)
		printf("# the input is in %s\n", path);
	if (out)
		fclose(out);
}

static void make_input(uint64_t seed, struct input *out)
{
	uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;

	out->bytes = fuzz_random(&random, out->byte, sizeof(out->byte));
}

static bool batch_passes(uint64_t seed)
{
	static struct input input;
	pid_t child = start_child();
	int status;

	if (child == 0) {
		for (unsigned i = 0; i < BATCH; i++) {
			make_input(seed + i, &input);
			fuzz_run(input.byte, input.bytes);
		}
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

static int run_random(double seconds)
{
	const char *seed_text = getenv("TUXMM_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 1, first = seed;
	static struct input input;
	time_t end = time(NULL) + (time_t)seconds;
	bool ok = true;

	for (; ok && time(NULL) < end; seed += BATCH)
		ok = batch_passes(seed);
	printf("# TUXMM_SEED=%" PRIu64 ", %" PRIu64 " inputs\n", first, seed - first);
	for (uint64_t s = seed - BATCH; !ok && s < seed; s++) {
		make_input(s, &input);
		if (!passes(&input, true)) {
			keep(&input, s);
			break;
		}
	}
	printf("%s 1 - random inputs keep every promise\n1..1\n", ok ? "ok" : "not ok");
	return !ok;
}

/* ---- shrinking ---- */

/* Where the line after the one at `at` begins. */
static size_t next_line(const struct input *input, size_t at)
{
	const uint8_t *newline = memchr(input->byte + at, '\n', input->bytes - at);

	return newline ? (size_t)(newline - input->byte) + 1 : input->bytes;
}

static bool fails_without(const struct input *input, size_t from, size_t to, struct input *out)
{
	memcpy(out->byte, input->byte, from);
	memcpy(out->byte + from, input->byte + to, input->bytes - to);
	out->bytes = input->bytes - (to - from);
	return !passes(out, true);
}

/* Drop `nr` lines at a time wherever the rest still fails; true: dropped some. */
static bool drop_lines(struct input *input, size_t nr)
{
	static struct input shorter;
	bool dropped = false;

	for (size_t at = 0; at < input->bytes;) {
		size_t to = at;

		for (size_t i = 0; i < nr && to < input->bytes; i++)
			to = next_line(input, to);
		if (fails_without(input, at, to, &shorter)) {
			*input = shorter;
			dropped = true;
		} else {
			at = next_line(input, at);
		}
	}
	return dropped;
}

static int shrink(const char *path)
{
	static struct input input;

	if (!read_input(path, &input) || passes(&input, true)) {
		fprintf(stderr, "%s: cannot be read, or does not fail\n", path);
		return 1;
	}
	for (size_t nr = 64; nr > 1; nr /= 2)
		drop_lines(&input, nr);
	while (drop_lines(&input, 1))
		;
	passes(&input, false);
	return fwrite(input.byte, 1, input.bytes, stdout) == input.bytes ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--random"))
		return run_random(strtod(argv[2], NULL));
	if (argc == 3 && !strcmp(argv[1], "--shrink"))
		return shrink(argv[2]);
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: %s PATH... | --random SECONDS | --shrink FILE\n",
		        argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("1..%d\n", nr_run);
	return nr_failed || !nr_run;
}
