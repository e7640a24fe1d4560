/*
 * fuzz.h - inputs at random, each run on a machine of its own
 *
 * A target is one program: it says what one input does, and what must be true
 * meanwhile.  A broken promise aborts.  Three mains drive a target:
 *
 *   libfuzzer   libFuzzer's own, which looks for inputs that reach new code
 *   replay.c    a plain main: kept inputs as tests, inputs at random from a seed,
 *               and shrinking an input that fails
 *
 * Most targets take a text of operations (ops.h); that of ELF files takes bytes.
 */
#ifndef TUXMM_FUZZ_H
#define TUXMM_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "test.h" /* CHECK, test_random; a false CHECK aborts here */

#define FUZZ_MAX_BYTES 16384u

/* Run one input; comes back when it kept every promise. */
void fuzz_run(const uint8_t *input, size_t bytes);

/* An input at random: how many of the max bytes it has. */
size_t fuzz_random(uint64_t *random, uint8_t *out, size_t max);

/* What is being done, for the message of a false CHECK; "" when nothing. */
extern char fuzz_doing[256];

#endif
