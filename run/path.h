/*
 * path.h - path names of the program, made fit for the host
 *
 * The program's working directory and descriptors are not tuxmm's, and its
 * /proc/self is not either.
 */
#ifndef TUXMM_RUN_PATH_H
#define TUXMM_RUN_PATH_H

#include <limits.h>

#include "task.h"

struct path {
	int dir;              /* host descriptor that `name` is relative to */
	char name[PATH_MAX];  /* as the host must be asked */
	char asked[PATH_MAX]; /* as the program said, /proc/PID written /proc/self */
};

/*
 * The path at user address `at`, relative to the program's descriptor dirfd.  0,
 * -EFAULT, -ENAMETOOLONG, -EBADF.
 */
int path_get(struct task *task, int64_t dirfd, uint64_t at, struct path *out);

/* The same from our own memory. */
int path_make(struct task *task, int64_t dirfd, const char *name, struct path *out);

/* What a host descriptor is open on, without links; false: errno says why, out is empty. */
bool path_of_host(int host, char out[PATH_MAX]);

#endif
