/*
 * stack.c - the stack a program starts with
 *
 * Built from the top down in a buffer that is a picture of [top - bytes, top);
 * two passes: strings, whose addresses the vectors below them need, then vectors.
 */
#include "stack.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/port.h>

static const char platform[] = "x86_64";

#define RANDOM_BYTES 16u

/* A picture of memory below `top`, filled downwards. */
struct picture {
	unsigned char *end; /* the byte at `top` */
	uint64_t top;
	uint64_t at; /* lowest address used so far */
};

static uint64_t push(struct picture *picture, const void *from, size_t bytes)
{
	picture->at -= bytes;
	memcpy(picture->end - (picture->top - picture->at), from, bytes);
	return picture->at;
}

static unsigned count(char *const *strings)
{
	unsigned nr = 0;

	while (strings[nr])
		nr++;
	return nr;
}

/* Bytes of all strings; UINT64_MAX when one alone is too long. */
static uint64_t sum(char *const *strings)
{
	uint64_t bytes = 0;

	for (; *strings; strings++) {
		size_t length = strlen(*strings) + 1;

		if (length > STACK_MAX_STRING)
			return UINT64_MAX;
		bytes += length;
	}
	return bytes;
}

/* Strings as the kernel lays them: the first one lowest. */
static void push_strings(struct picture *picture, char *const *strings)
{
	for (unsigned i = count(strings); i > 0; i--)
		push(picture, strings[i - 1], strlen(strings[i - 1]) + 1);
}

/* Addresses of adjacent strings from `at` on, and a NULL. */
static uint64_t *put_vector(uint64_t *to, char *const *strings, uint64_t at)
{
	for (; *strings; strings++) {
		*to++ = at;
		at += strlen(*strings) + 1;
	}
	*to++ = 0;
	return to;
}

static unsigned collect_aux(const struct stack_request *request, uint64_t random,
                            uint64_t platform_at, uint64_t exec_name, struct stack_aux *out)
{
	unsigned nr = request->nr_aux;

	memcpy(out, request->aux, nr * sizeof(*out));
	out[nr++] = (struct stack_aux){AT_RANDOM, random};
	out[nr++] = (struct stack_aux){AT_EXECFN, exec_name};
	out[nr++] = (struct stack_aux){AT_PLATFORM, platform_at};
	out[nr++] = (struct stack_aux){AT_NULL, 0};
	return nr;
}

uint64_t stack_room(uint64_t limit_bytes)
{
	uint64_t quarter = limit_bytes / 4;
	uint64_t room = quarter < STACK_MAX_TOTAL ? quarter : STACK_MAX_TOTAL;

	return room > STACK_MIN_TOTAL ? room : STACK_MIN_TOTAL;
}

bool stack_fits(char *const *argv, char *const *envp, const char *exec_name,
                uint64_t limit_bytes)
{
	uint64_t vectors = (UINT64_C(2) + count(argv) + count(envp)) * 8;
	uint64_t args = sum(argv), envs = sum(envp);

	if (args == UINT64_MAX || envs == UINT64_MAX)
		return false;
	return args + envs + strlen(exec_name) + 1 + 8 + vectors <= stack_room(limit_bytes);
}

int stack_build(const struct stack_request *request, struct stack_image *out)
{
	unsigned argc = count(request->argv), envc = count(request->envp), nr_aux;
	uint64_t vectors = (UINT64_C(2) + argc + envc) * 8, strings, all;
	size_t name_bytes = strlen(request->exec_name) + 1;
	uint64_t random, platform_at, exec_name, sp;
	struct stack_aux aux[STACK_MAX_AUX];
	struct picture picture;
	unsigned char *buffer;
	uint64_t *slot;

	if (!stack_fits(request->argv, request->envp, request->exec_name, request->limit_bytes))
		return -E2BIG;
	strings = sum(request->argv) + sum(request->envp) + name_bytes + 8;
	all = strings + vectors + 8 + sizeof(platform) + RANDOM_BYTES + sizeof(aux) + 64;
	all = (all + 15) & ~UINT64_C(15);
	buffer = tmm_port_allow("stack image") ? calloc(1, all) : NULL;
	if (!buffer)
		return -ENOMEM;
	picture = (struct picture){buffer + all, request->top, request->top - 8};
	exec_name = push(&picture, request->exec_name, name_bytes);
	out->env_end = exec_name;
	push_strings(&picture, request->envp);
	out->env_start = out->arg_end = picture.at;
	push_strings(&picture, request->argv);
	out->arg_start = picture.at;
	picture.at &= ~UINT64_C(15);
	platform_at = push(&picture, platform, sizeof(platform));
	random = push(&picture, request->random, RANDOM_BYTES);
	nr_aux = collect_aux(request, random, platform_at, exec_name, aux);
	sp = (random - 8 - vectors - nr_aux * sizeof(*aux)) & ~UINT64_C(15);

	/* Move the picture to the start of the buffer, so that freeing it is simple. */
	out->nr_bytes = request->top - sp;
	memmove(buffer, buffer + all - out->nr_bytes, out->nr_bytes);
	slot = (uint64_t *)(void *)buffer;
	*slot++ = argc;
	slot = put_vector(slot, request->argv, out->arg_start);
	slot = put_vector(slot, request->envp, out->env_start);
	memcpy(slot, aux, nr_aux * sizeof(*aux));
	out->aux_offset = (size_t)((unsigned char *)slot - buffer);
	out->aux_bytes = nr_aux * sizeof(*aux);
	out->bytes = buffer;
	out->sp = sp;
	return 0;
}
