/*
 * test.h - tests: a linker-section registry that prints TAP
 *
 *	TEST(what_is_promised) { CHECK(1 + 1 == 2); }
 *
 * A failed CHECK ends its test, not the run; test_main.c runs them in the order
 * of the link.  No heap and no signals, so the same tests run on bare metal.
 */
#ifndef TUXMM_TEST_H
#define TUXMM_TEST_H

#include <stdbool.h>
#include <stdint.h>

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(name)                                                                             \
	static void name(void);                                                                \
	static const struct test test_##name = {#name, name};                                  \
	static const struct test *const entry_##name                                           \
		__attribute__((used, section("tuxmm_tests"))) = &test_##name;                  \
	static void name(void)

#define CHECK(promise)                                                                         \
	do {                                                                                   \
		if (!(promise))                                                                \
			test_fail(__FILE__, __LINE__, #promise);                               \
	} while (0)

/* Print where, and leave the test. */
_Noreturn void test_fail(const char *file, int line, const char *promise);

/* A line of TAP commentary: seeds, counts. */
__attribute__((format(printf, 1, 2))) void test_note(const char *format, ...);

/*
 * Does `body` break a rule, so that the core panics?  Returns the panic's text,
 * or NULL when it came back.
 */
const char *test_panics(void (*body)(void *arg), void *arg);

/* The run's seed: TUXMM_SEED, or a fixed one.  Printed when a test fails. */
uint64_t test_seed(void);

/* xorshift64*: small, fast, equal everywhere. */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/*
 * Zeroed, page-aligned memory to stand for RAM at physical address 0.  Given
 * back at the end of the test.
 */
void *test_ram(uint64_t bytes);

#endif
