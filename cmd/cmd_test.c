#define _GNU_SOURCE
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

TEST(sizes_are_whole_numbers_of_binary_units)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t bytes;
	} table[] = {
		{"0", true, 0},
		{"4096", true, 4096},
		{"64M", true, UINT64_C(64) << 20},
		{"64m", true, UINT64_C(64) << 20},
		{"128MiB", true, UINT64_C(128) << 20},
		{"1G", true, UINT64_C(1) << 30},
		{"16777215T", true, UINT64_C(16777215) << 40},
		{"16777216T", false, 0},
		{"18446744073709551615", true, UINT64_MAX},
		{"18446744073709551616", false, 0},
		{"", false, 0},
		{"M", false, 0},
		{"-1", false, 0},
		{"+1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"1.5G", false, 0},
		{"0x10", false, 0},
		{"64Mi", false, 0},
		{"64MB", false, 0},
		{"64MiBs", false, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t bytes = 77;

		CHECK(read_size(table[i].text, &bytes) == table[i].ok);
		CHECK(bytes == (table[i].ok ? table[i].bytes : 77));
	}
}

TEST(exact_sizes_are_read_back_as_they_were)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < 10000; i++) {
		uint64_t bytes = test_random(&seed) >> test_random(&seed) % 64;
		uint64_t back;
		char text[SIZE_TEXT];

		bytes = bytes >> 12 << (test_random(&seed) % 50);
		CHECK(read_size(exact_size(bytes, text), &back) && back == bytes);
	}
}

TEST(sizes_for_people_have_at_most_three_digits)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} table[] = {
		{0, "0 KiB"},
		{4096, "4 KiB"},
		{999 << 10, "999 KiB"},
		{1000 << 10, "1 MiB"},
		{92376269, "88.1 MiB"},
		{UINT64_C(128) << 20, "128 MiB"},
		{UINT64_C(1) << 30, "1 GiB"},
		{UINT64_C(7) << 40, "7 TiB"},
		{UINT64_MAX, "16 EiB"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char text[SIZE_TEXT];

		CHECK(strcmp(size_text(table[i].bytes, text), table[i].text) == 0);
	}
}

TEST(numbers_are_decimal_or_hexadecimal)
{
	uint64_t value = 77;

	CHECK(read_number("0", &value) && value == 0);
	CHECK(read_number("010", &value) && value == 10);
	CHECK(read_number("0xff", &value) && value == 255);
	CHECK(read_number("18446744073709551615", &value) && value == UINT64_MAX);
	CHECK(!read_number("18446744073709551616", &value));
	CHECK(!read_number("0x", &value) && !read_number("0x0x1", &value));
	CHECK(!read_number("-1", &value) && !read_number("", &value));
	CHECK(!read_number("1k", &value));
}

/* What print_summary() says; good until the next call. */
static const char *summary_of(const struct run_options *options,
                              const struct run_result *result, const struct end_state *end)
{
	static char *text;
	const struct report report = {
		.options = options, .result = result, .end = end, .backend = "host"};
	size_t bytes;
	FILE *stream;

	free(text);
	stream = open_memstream(&text, &bytes);
	CHECK(stream);
	print_summary(stream, &report);
	fclose(stream);
	return text;
}

static struct end_state an_end(void)
{
	return (struct end_state){
		.reached = true,
		.pid = 1,
		.populated = {true, true, false},
		.zone = {{.name = "DMA",
	                  .nr_orders = 11,
	                  .managed_pages = 3840,
	                  .free_pages = 3800},
	                 {.name = "DMA32",
	                  .nr_orders = 11,
	                  .managed_pages = 28000,
	                  .free_pages = 3900,
	                  .stack_pages = 100,
	                  .free_area = {5, 4, 0, 1, 0, 0, 2, 0, 0, 0, 3}},
	                 {.name = "Normal", .nr_orders = 11}},
		.slab_pages = 7,
		.slab_peak_pages = 22,
	};
}

static struct run_result a_result(void)
{
	return (struct run_result){
		.wall_seconds = 0.416,
		.syscalls = 3210,
		.usage = {.peak_rss_pages = 22000,
	                  .peak_table_pages = 53,
	                  .kind_peak_pages = {300, 20000, 1700, 4},
	                  .minor_faults = 1234567,
	                  .major_faults = 12},
	};
}

TEST(the_summary_says_where_memory_went)
{
	char *program[] = {"/bin/sort", "-k", "2", NULL};
	struct run_options options = {.ram_bytes = UINT64_C(128) << 20, .program = program};
	struct run_result result = a_result();
	struct end_state end = an_end();

	CHECK(strcmp(summary_of(&options, &result, &end),
	             "sort: exit status 0, 0.42 s, at most 85.9 MiB resident on a machine of "
	             "128 MiB\n"
	             "  text          1.2 MiB  #\n"
	             "  heap         78.1 MiB  ########################################\n"
	             "  mmap          6.6 MiB  ###\n"
	             "  stack          16 KiB\n"
	             "  page tables   212 KiB\n"
	             "  slab           88 KiB\n"
	             "  work        1,234,567 minor and 12 major faults, 3,210 system calls\n"
	             "  free        DMA 14.8 MiB of 15 MiB, DMA32 15.6 MiB of 109 MiB\n"
	             "  buddyinfo   DMA32 5 4 0 1 0 0 2 0 0 0 3  (free runs of 4 KiB to 4 "
	             "MiB)\n"
	             "  next        tuxmm run --ram 128M --proc proc -- /bin/sort -k 2\n") ==
	      0);
}

TEST(the_summary_has_at_most_twelve_lines_and_no_control_characters)
{
	char *program[] = {"a\x1b[31mb", "x y", NULL};
	struct run_options options = {
		.ram_bytes = 5000000, .program = program, .proc_dir = "p\x1b"};
	struct run_result result = a_result();
	struct end_state end = an_end();
	const char *text;
	unsigned lines = 0;

	result.nr_unknown = 9;
	for (unsigned i = 0; i < result.nr_unknown; i++)
		result.unknown[i] = (struct run_unknown){400 + i, i ? "futex" : NULL, 5};
	text = summary_of(&options, &result, &end);
	for (const char *c = text; *c; c++) {
		lines += *c == '\n';
		CHECK(*c == '\n' || *c >= ' ');
	}
	CHECK(lines == 12);
	CHECK(strstr(text, "unknown     call 400 x5, futex x5, futex x5, futex x5, futex x5, "
	                   "futex x5 and 3 more: answered ENOSYS; most programs do "
	                   "without\n"));
	result.unknown[8].name = "clone3";
	CHECK(strstr(summary_of(&options, &result, &end),
	             "ENOSYS; one process, one thread is all: try --parallel=1, exec\n"));
	text = summary_of(&options, &result, &end);
	CHECK(strstr(text, "next        less p?/1/smaps\n"));
}

TEST(after_running_out_of_memory_more_is_suggested)
{
	char *program[] = {"hog", "a b", NULL};
	struct run_options options = {.ram_bytes = UINT64_C(64) << 20, .program = program};
	struct run_result result = a_result();
	struct end_state end = an_end();
	const char *text;

	result.oom = true;
	result.signal = 9;
	text = summary_of(&options, &result, &end);
	CHECK(strncmp(text, "hog: killed, out of memory, 0.42 s", 34) == 0);
	CHECK(strstr(text, "next        tuxmm run --ram 128M -- hog ...\n"));
}
