/*
 * size.c - sizes and numbers, read and written
 */
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char units[] = "KMGTPE";

/* Digits alone: strtoull() would take blanks, signs and a second 0x too. */
static bool read_digits(const char *text, int base, char **out_end, uint64_t *out)
{
	size_t length = strspn(text, base == 16 ? "0123456789abcdefABCDEF" : "0123456789");

	errno = 0;
	*out = strtoull(text, out_end, base);
	return length > 0 && *out_end == text + length && errno == 0;
}

bool read_number(const char *text, uint64_t *out)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	uint64_t value;
	char *end;

	if (!read_digits(base == 16 ? text + 2 : text, base, &end, &value) || *end)
		return false;
	*out = value;
	return true;
}

bool read_size(const char *text, uint64_t *out_bytes)
{
	static const char letters[] = "KMGTkmgt";
	const char *unit;
	unsigned shift = 0;
	uint64_t value;
	char *end;

	if (!read_digits(text, 10, &end, &value))
		return false;
	unit = *end ? strchr(letters, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)((unit - letters) % 4 + 1);
		end++;
		if (end[0] == 'i' && end[1] == 'B')
			end += 2;
	}
	if (*end || value > UINT64_MAX >> shift)
		return false;
	*out_bytes = value << shift;
	return true;
}

const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
	double value = (double)bytes / 1024;
	size_t unit = 0;
	bool tenths;

	while (value >= 1000 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	tenths = unit > 0 && value < 99.95 && (uint64_t)(value * 10 + 0.5) % 10 != 0;
	snprintf(text, SIZE_TEXT, "%.*f %ciB", tenths, value, units[unit]);
	return text;
}

const char *exact_size(uint64_t bytes, char text[SIZE_TEXT])
{
	unsigned unit = 0;

	while (unit < 4 && bytes > 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, SIZE_TEXT, "%llu%.1s", (unsigned long long)bytes,
	         unit > 0 ? units + unit - 1 : "");
	return text;
}
