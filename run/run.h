/*
 * run.h - run one real program on a machine
 *
 * The program's memory is the machine's; its files, terminal and time are the
 * host's.  run_program() returns when the program has ended; nothing of it is
 * left on the host then.
 */
#ifndef TUXMM_RUN_RUN_H
#define TUXMM_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <tuxmm/machine.h>
#include <tuxmm/view.h>

#include "cpu.h"

#define RUN_MAX_UNKNOWN 32

/* Exit statuses of our own, as env(1) and timeout(1) have them. */
#define RUN_STATUS_TIMEOUT   124
#define RUN_STATUS_FAILED    125 /* tuxmm itself */
#define RUN_STATUS_NOT_EXEC  126 /* found, cannot be run */
#define RUN_STATUS_NOT_FOUND 127

struct run_config {
	struct tmm_machine *machine;
	const struct tmm_shape *shape; /* as given to tmm_machine_init; NULL: defaults */
	const struct cpu_ops *cpu;
	int arena_fd;
	uint64_t arena_bytes;
	void *ram; /* the arena's mapping, physical address 0 first */

	char *const *argv; /* argv[0] is looked up in PATH as execvp does */
	char *const *envp;
	uint64_t seed;        /* AT_RANDOM, getrandom and, with randomize, the layout */
	bool randomize;       /* place stack, mmap and heap by the seed */
	uint64_t timeout_ms;  /* 0: none */
	uint64_t stack_bytes; /* RLIMIT_STACK of the program; 0: 8 MiB */

	/*
	 * Called once, when the program (the last one, after execve) has ended and
	 * its address space is still there: the moment to write maps and smaps.
	 */
	void (*at_end)(void *arg, struct tmm_mm *mm, const struct tmm_task_id *id);
	void *at_end_arg;
};

struct run_unknown {
	uint32_t number; /* of the system call */
	const char *name;
	uint64_t count;
};

struct run_result {
	int status; /* as a shell has it: 0..255, 128 + signal */
	int signal; /* that ended it, or 0 */
	bool oom;   /* killed because memory ran out */
	bool timed_out;
	char why[400]; /* one line when tuxmm failed, or the task was killed; else empty */
	/*
	 * Of the last program at its end.  A task that called execve() had several,
	 * one after the other: peaks are the highest that any of them had, faults
	 * and all that follows are counted over all of them.
	 */
	struct tmm_mm_usage usage;
	struct cpu_stats cpu;
	uint64_t syscalls;
	double wall_seconds;
	struct run_unknown unknown[RUN_MAX_UNKNOWN]; /* answered ENOSYS, most frequent first */
	unsigned nr_unknown;
};

/*
 * Load and run.  Returns the exit status, also in out->status; RUN_STATUS_* and
 * out->why when the program could not be run.  The machine is as before: all
 * its frames are free again.
 */
int run_program(const struct run_config *config, struct run_result *out);

#endif
