/*
 * print.h - formatted text into a sink
 *
 * The subset of printf that Linux's own files need: %c %s %d %u %x %X and %%, with
 * the flags '-' and '0', a width (digits or *), and the lengths l, ll and z.  A
 * precision is for %s alone, to cut it.
 *
 * Text is collected in the printer and passed on in larger pieces; print_end()
 * passes on the rest.
 */
#ifndef TUXMM_BASE_PRINT_H
#define TUXMM_BASE_PRINT_H

#include <stdarg.h>

#include <tuxmm/sink.h>

#include "base/base.h"

struct printer {
	const struct tmm_sink *sink;
	uint64_t column; /* characters since the last newline */
	size_t used;     /* of buffer */
	char buffer[512];
};

void print_begin(struct printer *printer, const struct tmm_sink *sink);
void print_end(struct printer *printer);

__attribute__((format(printf, 2, 3))) void print(struct printer *printer, const char *format,
                                                 ...);
__attribute__((format(printf, 2, 0))) void print_args(struct printer *printer,
                                                      const char *format, va_list args);

/* A sink that ends in memory: what does not fit is cut off, a NUL always follows. */
struct print_text {
	struct tmm_sink sink;
	char *at, *last;
};

/* Print into `buffer`, of at least one byte; as print_begin(). */
void print_text_begin(struct printer *printer, struct print_text *text, char *buffer,
                      size_t bytes);

#define LOG_WARNING 4u /* a level of tmm_port_log(), as Linux's */

/* Whole lines into the machine's log, cut where they are too long for one. */
struct log_lines {
	unsigned level; /* of tmm_port_log() */
	size_t used;
	char text[256];
};
struct tmm_sink log_lines_begin(struct log_lines *lines, unsigned level);

/* One character. */
void print_char(struct printer *printer, char c);

/* The numbers of the bits that are set, as "0-3,8", and the line's end. */
void print_list(struct printer *printer, const uint64_t *words, unsigned nr_bits);

/* Spaces until `column`; none when the line is there already. */
void print_pad_to(struct printer *printer, uint64_t column);

/* Text with each character of `escape` as a backslash and three octal digits. */
void print_escaped(struct printer *printer, const char *text, const char *escape);

#endif
