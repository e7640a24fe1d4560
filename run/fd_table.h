/*
 * fd_table.h - a program's file descriptors and what they stand for
 *
 * A slot of the table points to an open_file (Linux: struct file): one opening,
 * shared by the descriptors dup() makes of it.  Each has a host descriptor of
 * its own, which the program never sees.
 *
 * Errors   negated errno
 * Owning   open files are counted by their slots; the last one closes the host's
 * Linux    struct files_struct, struct file
 */
#ifndef TUXMM_RUN_FD_TABLE_H
#define TUXMM_RUN_FD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tuxmm/file.h>

struct open_file {
	unsigned refs;
	int host;     /* host descriptor */
	mode_t mode;  /* file type and permissions when it was opened */
	dev_t device; /* which file */
	ino_t inode;
	bool random;           /* /dev/random or /dev/urandom: read from the seeded generator */
	char *control;         /* path of the machine's file that this writes to; NULL: none */
	struct tmm_file *file; /* made by the first mmap; NULL: none yet */
};

struct fd_slot {
	struct open_file *open; /* NULL: free */
	bool cloexec;
};

struct fd_table {
	struct fd_slot *slot;
	unsigned nr_slots; /* allocated */
	unsigned limit;    /* RLIMIT_NOFILE: descriptors are below */
};

void fd_table_init(struct fd_table *table, unsigned limit);

/* Close everything. */
void fd_table_fini(struct fd_table *table);

/* The opening behind fd; NULL: not open. */
struct open_file *fd_get(const struct fd_table *table, int64_t fd);

/*
 * Give the host's descriptor the lowest free number from `min` on: that, or
 * -EMFILE, -ENOMEM.  The host descriptor is closed on failure.
 */
int fd_install(struct fd_table *table, int host, unsigned min, bool cloexec);

/* A second descriptor for the same opening, lowest free from `min` on. */
int fd_dup(struct fd_table *table, int64_t fd, unsigned min, bool cloexec);

/* The same at exactly `to`, which is closed first. */
int fd_dup_to(struct fd_table *table, int64_t fd, int64_t to, bool cloexec);

/* 0, -EBADF, or what the host's close said. */
int fd_close(struct fd_table *table, int64_t fd);

/* Close what has FD_CLOEXEC. */
void fd_close_on_exec(struct fd_table *table);

/* FD_CLOEXEC of an open descriptor. */
bool fd_cloexec(const struct fd_table *table, int64_t fd);
void fd_set_cloexec(struct fd_table *table, int64_t fd, bool on);

#endif
