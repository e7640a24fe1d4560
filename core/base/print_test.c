#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "test.h"

struct text {
	char at[4096];
	size_t bytes;
	unsigned pieces;
};

static void collect(void *arg, const char *piece, size_t bytes)
{
	struct text *text = arg;

	CHECK(text->bytes + bytes < sizeof(text->at));
	memcpy(text->at + text->bytes, piece, bytes);
	text->bytes += bytes;
	text->at[text->bytes] = '\0';
	text->pieces++;
}

/* The same format and arguments through the C library's printf. */
#define CHECK_LIKE_PRINTF(...)                                                                 \
	do {                                                                                   \
		struct text ours = {.bytes = 0};                                               \
		struct tmm_sink sink = {collect, &ours};                                       \
		struct printer printer;                                                        \
		char theirs[1024];                                                             \
                                                                                               \
		print_begin(&printer, &sink);                                                  \
		print(&printer, __VA_ARGS__);                                                  \
		print_end(&printer);                                                           \
		snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                 \
		CHECK(strcmp(ours.at, theirs) == 0);                                           \
	} while (0)

TEST(numbers_print_as_the_c_library_prints_them)
{
	static const uint64_t edge[] = {0,          1,         9,         10,   15,
	                                16,         99,        255,       4096, INT32_MAX,
	                                UINT32_MAX, INT64_MAX, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(edge); i++) {
		CHECK_LIKE_PRINTF("%llu|%llx|%llX", (unsigned long long)edge[i],
		                  (unsigned long long)edge[i], (unsigned long long)edge[i]);
		CHECK_LIKE_PRINTF("%lld|%d", (long long)edge[i], (int)edge[i]);
		CHECK_LIKE_PRINTF("%8lu|%-8lu|%08lx|%3lu", edge[i], edge[i], edge[i], edge[i]);
		CHECK_LIKE_PRINTF("%*u|%-*u|%zu", 12, (unsigned)edge[i], 12, (unsigned)edge[i],
		                  (size_t)edge[i]);
	}
	CHECK_LIKE_PRINTF("%lld|%05d|%-5d|%5d", (long long)INT64_MIN, -42, -42, -42);
}

TEST(strings_are_padded_and_cut_as_the_c_library_does)
{
	CHECK_LIKE_PRINTF("%s|%10s|%-10s|%.3s|%-6.2s|%.*s|%c|%5c|100%%", "zone", "zone", "zone",
	                  "zone", "zone", 1, "zone", 'x', 'y');
}

TEST(text_longer_than_the_buffer_arrives_whole_and_in_pieces)
{
	struct text text = {.bytes = 0};
	struct tmm_sink sink = {collect, &text};
	struct printer printer;

	print_begin(&printer, &sink);
	for (int i = 0; i < 300; i++)
		print(&printer, "%04d ", i);
	print_end(&printer);
	CHECK(text.bytes == 1500 && text.pieces == 3);
	for (int i = 0; i < 300; i++) {
		char word[8];

		snprintf(word, sizeof(word), "%04d ", i);
		CHECK(memcmp(text.at + 5 * i, word, 5) == 0);
	}
}

TEST(padding_counts_columns_from_the_last_newline)
{
	struct text text = {.bytes = 0};
	struct tmm_sink sink = {collect, &text};
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "a long first line\nab");
	print_pad_to(&printer, 4);
	print(&printer, "c");
	print_pad_to(&printer, 2);
	print_escaped(&printer, "x\ny\\", "\n\\");
	print_end(&printer);
	CHECK(strcmp(text.at, "a long first line\nab  cx\\012y\\134") == 0);
}

TEST(text_in_memory_is_cut_and_ends)
{
	struct print_text text;
	struct printer printer;
	char buffer[8];

	print_text_begin(&printer, &text, buffer, sizeof(buffer));
	print(&printer, "%s", "");
	print_end(&printer);
	CHECK(buffer[0] == '\0');
	print_text_begin(&printer, &text, buffer, sizeof(buffer));
	print(&printer, "%u, %u, %u", 1u, 22u, 333u);
	print_end(&printer);
	CHECK(memcmp(buffer, "1, 22, ", 8) == 0);
}
