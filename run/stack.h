/*
 * stack.h - the stack a program starts with: arguments, environment, auxiliary vector
 *
 *   top     8 zero bytes
 *           name of the program's file
 *           environment strings        env_start .. env_end
 *           argument strings           arg_start .. env_start
 *           "x86_64", 16 random bytes
 *           auxiliary vector
 *           NULL, envp[]
 *           NULL, argv[]
 *   sp      argc                       16-byte aligned
 *
 * Units    bytes, user addresses
 * Linux    fs/exec.c, fs/binfmt_elf.c; getauxval(3)
 */
#ifndef TUXMM_RUN_STACK_H
#define TUXMM_RUN_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_MAX_STRING (UINT64_C(32) * 4096)       /* MAX_ARG_STRLEN */
#define STACK_MAX_TOTAL  (UINT64_C(6) * 1024 * 1024) /* three quarters of 8 MiB */
#define STACK_MIN_TOTAL  (UINT64_C(32) * 4096)       /* ARG_MAX, whatever the limit */
#define STACK_MAX_AUX    24u

struct stack_aux {
	uint64_t type, value; /* AT_* */
};

struct stack_request {
	uint64_t top;         /* first address behind the stack, page aligned */
	uint64_t limit_bytes; /* RLIMIT_STACK: a quarter of it may be used here */
	char *const *argv;
	char *const *envp;
	const char *exec_name;
	const unsigned char *random; /* 16 bytes */
	const struct stack_aux *aux; /* AT_RANDOM, AT_PLATFORM, AT_EXECFN, AT_NULL are added */
	unsigned nr_aux;             /* at most STACK_MAX_AUX - 4 */
};

struct stack_image {
	unsigned char *bytes; /* [sp, top); the caller frees it */
	size_t nr_bytes;
	uint64_t sp;
	uint64_t arg_start, arg_end, env_start, env_end;
	size_t aux_offset, aux_bytes; /* the auxiliary vector in bytes[] */
};

/* Bytes that strings and pointers to them may have with such an RLIMIT_STACK. */
uint64_t stack_room(uint64_t limit_bytes);

/* Is no string too long, nor their sum? */
bool stack_fits(char *const *argv, char *const *envp, const char *exec_name,
                uint64_t limit_bytes);

/* 0, -E2BIG (a string or their sum is too long), or -ENOMEM. */
int stack_build(const struct stack_request *request, struct stack_image *out);

#endif
