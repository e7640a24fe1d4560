/*
 * sink.h - where text goes
 *
 * The core makes text (views, reports) without knowing whether it ends in a
 * file, a pipe or a user's buffer.
 */
#ifndef TUXMM_SINK_H
#define TUXMM_SINK_H

#include <stddef.h>

/* Takes text in pieces of any length, without a NUL; what cannot be taken is dropped. */
struct tmm_sink {
	void (*write)(void *arg, const char *text, size_t bytes);
	void *arg;
};

#endif
