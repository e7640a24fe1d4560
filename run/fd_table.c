/*
 * fd_table.c - a program's file descriptors
 *
 * The table grows by doubling and never shrinks; a search for the lowest free
 * number is linear, as few programs have many.
 *   I1  a slot with an open_file counts in its refs
 *   I2  no two open_files have the same host descriptor
 */
#include "fd_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <tuxmm/port.h>

#define FIRST_SLOTS 16u

void fd_table_init(struct fd_table *table, unsigned limit)
{
	*table = (struct fd_table){.limit = limit};
}

static int open_put(struct open_file *open)
{
	int err;

	if (--open->refs)
		return 0;
	if (open->file)
		tmm_file_put(open->file);
	err = close(open->host) ? -errno : 0;
	free(open->control);
	free(open);
	return err;
}

void fd_table_fini(struct fd_table *table)
{
	for (unsigned fd = 0; fd < table->nr_slots; fd++)
		if (table->slot[fd].open)
			open_put(table->slot[fd].open);
	free(table->slot);
	*table = (struct fd_table){0};
}

struct open_file *fd_get(const struct fd_table *table, int64_t fd)
{
	return fd >= 0 && fd < table->nr_slots ? table->slot[fd].open : NULL;
}

/* Make slot fd exist. */
static int grow(struct fd_table *table, unsigned fd)
{
	unsigned nr = table->nr_slots ? table->nr_slots : FIRST_SLOTS;
	struct fd_slot *slot;

	if (fd >= table->limit)
		return -EMFILE;
	if (fd < table->nr_slots)
		return 0;
	while (nr <= fd)
		nr *= 2;
	slot = tmm_port_allow("fd table") ? realloc(table->slot, nr * sizeof(*slot)) : NULL;
	if (!slot)
		return -ENOMEM;
	for (unsigned i = table->nr_slots; i < nr; i++)
		slot[i] = (struct fd_slot){0};
	table->slot = slot;
	table->nr_slots = nr;
	return 0;
}

static int lowest_free(struct fd_table *table, unsigned min)
{
	unsigned fd = min;
	int err;

	while (fd < table->nr_slots && table->slot[fd].open)
		fd++;
	err = grow(table, fd);
	return err ? err : (int)fd;
}

/* Linux's numbers of /dev/random and /dev/urandom. */
static bool is_random(const struct stat *st)
{
	return S_ISCHR(st->st_mode) &&
	       (st->st_rdev == makedev(1, 8) || st->st_rdev == makedev(1, 9));
}

int fd_install(struct fd_table *table, int host, unsigned min, bool cloexec)
{
	int fd = lowest_free(table, min);
	struct open_file *open = NULL;
	struct stat st;

	if (fd >= 0) {
		open = tmm_port_allow("open file") ? calloc(1, sizeof(*open)) : NULL;
		if (!open || fstat(host, &st))
			fd = -ENOMEM;
	}
	if (fd < 0) {
		free(open);
		close(host);
		return fd;
	}
	*open = (struct open_file){.refs = 1,
	                           .host = host,
	                           .mode = st.st_mode,
	                           .device = st.st_dev,
	                           .inode = st.st_ino,
	                           .random = is_random(&st)};
	table->slot[fd] = (struct fd_slot){open, cloexec};
	return fd;
}

int fd_dup(struct fd_table *table, int64_t fd, unsigned min, bool cloexec)
{
	struct open_file *open = fd_get(table, fd);
	int to;

	if (!open)
		return -EBADF;
	if (min >= table->limit)
		return -EINVAL;
	to = lowest_free(table, min);
	if (to < 0)
		return to;
	open->refs++;
	table->slot[to] = (struct fd_slot){open, cloexec};
	return to;
}

int fd_dup_to(struct fd_table *table, int64_t fd, int64_t to, bool cloexec)
{
	struct open_file *open = fd_get(table, fd);
	int err;

	if (!open || to < 0 || to >= table->limit)
		return -EBADF;
	err = grow(table, (unsigned)to);
	if (err)
		return err;
	open->refs++;
	fd_close(table, to);
	table->slot[to] = (struct fd_slot){open, cloexec};
	return (int)to;
}

int fd_close(struct fd_table *table, int64_t fd)
{
	struct open_file *open = fd_get(table, fd);

	if (!open)
		return -EBADF;
	table->slot[fd] = (struct fd_slot){0};
	return open_put(open);
}

void fd_close_on_exec(struct fd_table *table)
{
	for (unsigned fd = 0; fd < table->nr_slots; fd++)
		if (table->slot[fd].open && table->slot[fd].cloexec)
			fd_close(table, fd);
}

bool fd_cloexec(const struct fd_table *table, int64_t fd)
{
	return fd_get(table, fd) && table->slot[fd].cloexec;
}

void fd_set_cloexec(struct fd_table *table, int64_t fd, bool on)
{
	if (fd_get(table, fd))
		table->slot[fd].cloexec = on;
}
