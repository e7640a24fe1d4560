/*
 * load.h - from argv[0] to a program that can be entered
 *
 * Linux    execvp(3), execve(2), fs/exec.c
 */
#ifndef TUXMM_RUN_LOAD_H
#define TUXMM_RUN_LOAD_H

#include "task.h"

/*
 * Find the program, make task->mm, map it and its interpreter, build its stack
 * and set its registers.  0, or RUN_STATUS_* with one line in result->why.
 */
int task_load(struct task *task);

#endif
