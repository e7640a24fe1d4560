/*
 * stack_test.c - the stack a program starts with is laid out as Linux does it
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack.h"
#include "test.h"

#define TOP UINT64_C(0x7ffff7e00000)

static const unsigned char random_bytes[16] = "0123456789abcde";
static char *const no_strings[] = {NULL};

static struct stack_request request_of(char *const *argv, char *const *envp)
{
	static const struct stack_aux aux[] = {{AT_PAGESZ, 4096}, {AT_UID, 7}};

	return (struct stack_request){.top = TOP,
	                              .limit_bytes = 8 << 20,
	                              .argv = argv,
	                              .envp = envp,
	                              .exec_name = "/bin/program",
	                              .random = random_bytes,
	                              .aux = aux,
	                              .nr_aux = 2};
}

static const void *at(const struct stack_image *image, uint64_t addr)
{
	CHECK(addr >= image->sp && addr < TOP);
	return image->bytes + (addr - image->sp);
}

static uint64_t word(const struct stack_image *image, uint64_t addr)
{
	uint64_t value;

	memcpy(&value, at(image, addr), 8);
	return value;
}

/* The vector at addr names exactly these strings; returns what follows its NULL. */
static uint64_t check_vector(const struct stack_image *image, uint64_t addr,
                             char *const *strings)
{
	for (; *strings; strings++, addr += 8)
		CHECK(strcmp(at(image, word(image, addr)), *strings) == 0);
	CHECK(word(image, addr) == 0);
	return addr + 8;
}

static uint64_t aux_value(const struct stack_image *image, uint64_t type)
{
	uint64_t addr = image->sp + image->aux_offset;

	for (; word(image, addr) != AT_NULL; addr += 16)
		if (word(image, addr) == type)
			return word(image, addr + 8);
	return 0;
}

/*
 *   sp -> argc argv... 0 envp... 0 aux... 0 0   random, platform, strings   top
 */
TEST(vectors_point_at_their_strings_whatever_their_number)
{
	static char *const strings[] = {"program", "-x",  "",     "a longer argument",
	                                "y",       "zzz", "four", NULL};

	for (unsigned skip = 0; skip < 8; skip++) {
		struct stack_request request = request_of(strings + skip, strings + 7 - skip);
		struct stack_image image;
		uint64_t next;

		CHECK(stack_build(&request, &image) == 0);
		CHECK(image.sp % 16 == 0);
		CHECK(image.sp + image.nr_bytes == TOP);
		CHECK(word(&image, image.sp) == 7 - skip);
		next = check_vector(&image, image.sp + 8, strings + skip);
		next = check_vector(&image, next, strings + 7 - skip);
		CHECK(next == image.sp + image.aux_offset);
		CHECK(aux_value(&image, AT_PAGESZ) == 4096 && aux_value(&image, AT_UID) == 7);
		CHECK(memcmp(at(&image, aux_value(&image, AT_RANDOM)), random_bytes, 16) == 0);
		CHECK(strcmp(at(&image, aux_value(&image, AT_PLATFORM)), "x86_64") == 0);
		CHECK(strcmp(at(&image, aux_value(&image, AT_EXECFN)), "/bin/program") == 0);
		CHECK(image.arg_end == image.env_start);
		CHECK(word(&image, TOP - 8) == 0);
		free(image.bytes);
	}
}

TEST(arguments_lie_one_behind_the_other)
{
	static char *const argv[] = {"ab", "c", NULL};
	struct stack_request request = request_of(argv, no_strings);
	struct stack_image image;

	CHECK(stack_build(&request, &image) == 0);
	CHECK(image.arg_end - image.arg_start == 5);
	CHECK(memcmp(at(&image, image.arg_start), "ab\0c\0", 5) == 0);
	CHECK(image.env_end == image.env_start);
	free(image.bytes);
}

TEST(too_long_arguments_are_refused)
{
	static char big[STACK_MAX_STRING + 1];
	char *argv[] = {big, NULL};
	char *many[64] = {0};
	struct stack_request request = request_of(argv, no_strings);
	struct stack_image image;

	memset(big, 'x', sizeof(big) - 1);
	CHECK(stack_build(&request, &image) == -E2BIG);
	big[STACK_MAX_STRING - 1] = '\0';
	CHECK(stack_build(&request, &image) == 0);
	free(image.bytes);
	for (unsigned i = 0; i < 63; i++) /* 63 * 128 KiB is more than 6 MiB */
		many[i] = big;
	request.argv = many;
	request.limit_bytes = UINT64_MAX;
	CHECK(stack_build(&request, &image) == -E2BIG);
	request.argv = argv;
	request.limit_bytes = STACK_MAX_STRING;
	CHECK(stack_build(&request, &image) == -E2BIG);
	CHECK(stack_room(0) == STACK_MIN_TOTAL && stack_room(UINT64_MAX) == STACK_MAX_TOTAL);
}
