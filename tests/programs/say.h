/*
 * say.h - what the test programs print: one line per promise
 *
 * Output must be the same natively and on the machine, so it has no addresses,
 * times or process numbers.
 */
#ifndef TUXMM_TESTS_PROGRAMS_SAY_H
#define TUXMM_TESTS_PROGRAMS_SAY_H

#include <stdio.h>

#define SAY(promise) printf("%s: %s\n", (promise) ? "yes" : "NO ", #promise)

#endif
