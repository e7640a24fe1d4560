/*
 * load.h - from a name to a program that can be entered
 *
 * Linux    execvp(3), execve(2), fs/exec.c
 */
#ifndef TUXMM_RUN_LOAD_H
#define TUXMM_RUN_LOAD_H

#include <stdbool.h>

#include "task.h"

struct load_request {
	const char *name;  /* shorter than PATH_MAX */
	bool search;       /* look in PATH for a name without a slash, as execvp() does */
	bool hidden;       /* nobody can open it by `name` once it runs: no script */
	char *const *argv; /* empty: one empty argument, as Linux has it */
	char *const *envp;
};

struct load_failure {
	bool replaced; /* the task's program before is gone */
	int err;       /* negated errno */
	char why[256]; /* one line for the user */
};

/*
 * Find the program, make an address space in the place of task->mm, map it and its
 * interpreter, build its stack and set its registers.  0, or RUN_STATUS_* and
 * *out_failure: unless ->replaced, the task is as it was.  The cpu is the caller's
 * to open.
 */
int task_load(struct task *task, const struct load_request *request,
              struct load_failure *out_failure);

#endif
