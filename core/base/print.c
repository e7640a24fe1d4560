/*
 * print.c - formatted text into a sink
 *
 * A conversion is read into a struct spec, its digits are made from the right
 * end of a small array, and one function pads all of them.
 *   I1  used < sizeof(buffer) between calls: there is room for a character
 */
#include "base/print.h"

struct spec {
	bool left, zero;
	unsigned width;
	unsigned cut;    /* most characters of a string */
	unsigned length; /* how many bytes the argument has */
	char kind;
};

static void flush(struct printer *printer)
{
	if (printer->used > 0)
		printer->sink->write(printer->sink->arg, printer->buffer, printer->used);
	printer->used = 0;
}

void print_begin(struct printer *printer, const struct tmm_sink *sink)
{
	printer->sink = sink;
	printer->column = 0;
	printer->used = 0;
}

void print_end(struct printer *printer)
{
	flush(printer);
}

static void text_write(void *arg, const char *piece, size_t bytes)
{
	struct print_text *text = arg;

	bytes = min_u64(bytes, (uint64_t)(text->last - text->at));
	memcpy(text->at, piece, bytes);
	text->at += bytes;
	*text->at = '\0';
}

void print_text_begin(struct printer *printer, struct print_text *text, char *buffer,
                      size_t bytes)
{
	*text = (struct print_text){.sink = {.write = text_write, .arg = text},
	                            .at = buffer,
	                            .last = buffer + bytes - 1};
	*buffer = '\0';
	print_begin(printer, &text->sink);
}

static void log_write(void *arg, const char *piece, size_t bytes)
{
	struct log_lines *lines = arg;

	for (size_t i = 0; i < bytes; i++) {
		if (piece[i] != '\n') {
			if (lines->used < sizeof(lines->text) - 1)
				lines->text[lines->used++] = piece[i];
			continue;
		}
		lines->text[lines->used] = '\0';
		tmm_port_log(lines->level, lines->text);
		lines->used = 0;
	}
}

struct tmm_sink log_lines_begin(struct log_lines *lines, unsigned level)
{
	lines->level = level;
	lines->used = 0;
	return (struct tmm_sink){.write = log_write, .arg = lines};
}

void print_char(struct printer *printer, char c)
{
	TMM_ASSERT(printer->used < sizeof(printer->buffer)); /* I1 */
	printer->buffer[printer->used++] = c;
	printer->column = c == '\n' ? 0 : printer->column + 1;
	if (printer->used == sizeof(printer->buffer))
		flush(printer);
}

void print_pad_to(struct printer *printer, uint64_t column)
{
	while (printer->column < column)
		print_char(printer, ' ');
}

static bool is_one_of(char c, const char *set)
{
	for (; *set; set++) {
		if (*set == c)
			return true;
	}
	return false;
}

void print_escaped(struct printer *printer, const char *text, const char *escape)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_one_of(*text, escape))
			print(printer, "\\%c%c%c", '0' + (c >> 6), '0' + ((c >> 3) & 7),
			      '0' + (c & 7));
		else
			print_char(printer, *text);
	}
}

static void put(struct printer *printer, const struct spec *spec, const char *text,
                size_t length)
{
	size_t fill = spec->width > length ? spec->width - length : 0;
	size_t i = 0;

	/* zeroes go between the sign and the digits */
	if (spec->zero && !spec->left && length > 0 && text[0] == '-') {
		print_char(printer, '-');
		i = 1;
	}
	for (; !spec->left && fill > 0; fill--)
		print_char(printer, spec->zero ? '0' : ' ');
	for (; i < length; i++)
		print_char(printer, text[i]);
	for (; fill > 0; fill--)
		print_char(printer, ' ');
}

static void put_number(struct printer *printer, const struct spec *spec, uint64_t value,
                       bool negative)
{
	const char *digits = spec->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	uint64_t base = spec->kind == 'x' || spec->kind == 'X' ? 16 : 10;
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value > 0);
	if (negative)
		text[--at] = '-';
	put(printer, spec, text + at, sizeof(text) - at);
}

static void put_string(struct printer *printer, const struct spec *spec, const char *text)
{
	size_t length = 0;

	while (length < spec->cut && text[length])
		length++;
	put(printer, spec, text, length);
}

static const char *read_count(const char *at, unsigned *out)
{
	for (*out = 0; *at >= '0' && *at <= '9'; at++)
		*out = *out * 10 + (unsigned)(*at - '0');
	return at;
}

/* `at` is behind the percent sign; returns what follows the conversion. */
static const char *read_spec(const char *at, struct spec *spec, va_list *args)
{
	*spec = (struct spec){.length = sizeof(int), .cut = UINT32_MAX};
	for (; *at == '-' || *at == '0'; at++) {
		spec->left |= *at == '-';
		spec->zero |= *at == '0';
	}
	if (*at == '*') {
		spec->width = (unsigned)va_arg(*args, int);
		at++;
	} else {
		at = read_count(at, &spec->width);
	}
	if (at[0] == '.' && at[1] == '*') {
		spec->cut = (unsigned)va_arg(*args, int);
		at += 2;
	} else if (*at == '.') {
		at = read_count(at + 1, &spec->cut);
	}
	for (; *at == 'l' || *at == 'z'; at++)
		spec->length = sizeof(long long);
	spec->kind = *at;
	return at + 1;
}

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long long),
               "l, ll and z are one length");

static void put_argument(struct printer *printer, const struct spec *spec, va_list *args)
{
	bool is_long = spec->length > sizeof(int);

	if (spec->kind == 'c') {
		char c = (char)va_arg(*args, int);

		put(printer, spec, &c, 1);
	} else if (spec->kind == 's') {
		put_string(printer, spec, va_arg(*args, const char *));
	} else if (spec->kind == 'd') {
		int64_t value = is_long ? va_arg(*args, long long) : va_arg(*args, int);

		put_number(printer, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value,
		           value < 0);
	} else {
		TMM_ASSERT(spec->kind == 'u' || spec->kind == 'x' || spec->kind == 'X');
		put_number(printer, spec,
		           is_long ? va_arg(*args, unsigned long long)
		                   : va_arg(*args, unsigned),
		           false);
	}
}

void print_args(struct printer *printer, const char *format, va_list given)
{
	va_list args; /* of its own: an array's address is not that of a parameter */

	va_copy(args, given);
	while (*format) {
		struct spec spec;

		if (*format != '%') {
			print_char(printer, *format++);
		} else if (format[1] == '%') {
			print_char(printer, '%');
			format += 2;
		} else {
			format = read_spec(format + 1, &spec, &args);
			put_argument(printer, &spec, &args);
		}
	}
	va_end(args);
}

void print(struct printer *printer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_args(printer, format, args);
	va_end(args);
}

static bool has_bit(const uint64_t *words, unsigned i)
{
	return words[i / 64] >> i % 64 & 1;
}

void print_list(struct printer *printer, const uint64_t *words, unsigned nr_bits)
{
	const char *comma = "";

	for (unsigned first = 0, end; first < nr_bits; first = end + 1) {
		end = first;
		if (!has_bit(words, first))
			continue;
		while (end + 1 < nr_bits && has_bit(words, end + 1))
			end++;
		if (first == end)
			print(printer, "%s%u", comma, first);
		else
			print(printer, "%s%u-%u", comma, first, end);
		comma = ",";
	}
	print_char(printer, '\n');
}
