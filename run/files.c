/*
 * files.c - mapped files
 *
 *   area -> tmm_file -> tmm_mapping -> file_node -> host descriptor
 *
 *   I1  one node per (device, inode) in the table
 *   I2  a node's mapping is alive: it leaves the table in release()
 */
#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tuxmm/port.h>

#include "path.h"

#define MAX_READ_PAGES 64u /* in one preadv */

struct file_node {
	struct files *files;
	struct file_node *next;
	dev_t device;
	ino_t inode;
	int reader, writer; /* host descriptors; writer -1: none yet */
	bool shared;        /* mapped shared and writable at some time */
	struct tmm_mapping *mapping;
};

static struct file_node **bucket_of(struct files *files, dev_t device, ino_t inode)
{
	uint64_t hash = (device ^ inode) * UINT64_C(0x9e3779b97f4a7c15);

	return &files->bucket[hash >> 58]; /* the top 6 bits: FILES_BUCKETS */
}

static struct file_node *node_find(struct files *files, const struct open_file *open)
{
	struct file_node *node = *bucket_of(files, open->device, open->inode);

	while (node && (node->device != open->device || node->inode != open->inode))
		node = node->next;
	return node;
}

/* All of [iov ...], or what there is before the end of the file. */
static ssize_t read_all(int fd, struct iovec *iov, int nr, off_t at)
{
	ssize_t done = 0;

	while (nr > 0) {
		ssize_t got = preadv(fd, iov, nr, at + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : done;
		done += got;
		while (nr > 0 && (size_t)got >= iov->iov_len) {
			got -= (ssize_t)iov->iov_len;
			iov++;
			nr--;
		}
		if (nr > 0) {
			iov->iov_base = (char *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return done;
}

static void zero_tail(void *const *pages, size_t nr, size_t from)
{
	for (size_t i = from / TMM_PAGE_SIZE; i < nr; i++) {
		size_t skip = i == from / TMM_PAGE_SIZE ? from % TMM_PAGE_SIZE : 0;

		for (size_t b = skip; b < TMM_PAGE_SIZE; b++)
			((char *)pages[i])[b] = 0;
	}
}

static tmm_err node_read(void *owner, uint64_t index, size_t nr, void *const *pages)
{
	struct file_node *node = owner;
	struct iovec iov[MAX_READ_PAGES];

	if (!tmm_port_allow("file read"))
		return TMM_E_IO;
	while (nr) {
		size_t part = nr < MAX_READ_PAGES ? nr : MAX_READ_PAGES;
		ssize_t got;

		for (size_t i = 0; i < part; i++)
			iov[i] = (struct iovec){pages[i], TMM_PAGE_SIZE};
		got = read_all(node->reader, iov, (int)part, (off_t)(index << TMM_PAGE_SHIFT));
		if (got < 0)
			return TMM_E_IO;
		zero_tail(pages, part, (size_t)got);
		index += part;
		pages += part;
		nr -= part;
	}
	return TMM_OK;
}

static tmm_err node_write(void *owner, uint64_t index, const void *page, size_t bytes)
{
	struct file_node *node = owner;
	size_t done = 0;

	if (node->writer < 0 || !tmm_port_allow("file write"))
		return TMM_E_IO;
	while (done < bytes) {
		ssize_t put = pwrite(node->writer, (const char *)page + done, bytes - done,
		                     (off_t)((index << TMM_PAGE_SHIFT) + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return TMM_E_IO;
		done += (size_t)put;
	}
	return TMM_OK;
}

static uint64_t node_size(void *owner)
{
	const struct file_node *node = owner;
	struct stat st;

	return fstat(node->reader, &st) ? 0 : (uint64_t)st.st_size;
}

static void node_release(void *owner)
{
	struct file_node *node = owner;
	struct file_node **link = bucket_of(node->files, node->device, node->inode);

	while (*link && *link != node)
		link = &(*link)->next;
	if (*link)
		*link = node->next;
	close(node->reader);
	if (node->writer >= 0)
		close(node->writer);
	free(node);
}

static const struct tmm_mapping_ops node_ops = {
	.read = node_read,
	.write = node_write,
	.size = node_size,
	.release = node_release,
};

void files_init(struct files *files, struct tmm_cache_system *cache, struct tmm_mm *mm)
{
	*files = (struct files){.cache = cache, .mm = mm};
}

/* A node with its mapping's only reference, which the caller has then. */
static int node_make(struct files *files, const struct open_file *open, struct file_node **out)
{
	struct file_node *node = tmm_port_allow("file node") ? calloc(1, sizeof(*node)) : NULL;
	struct file_node **bucket = bucket_of(files, open->device, open->inode);

	if (!node)
		return -ENOMEM;
	*node = (struct file_node){.files = files,
	                           .next = *bucket,
	                           .device = open->device,
	                           .inode = open->inode,
	                           .writer = -1};
	node->reader = fcntl(open->host, F_DUPFD_CLOEXEC, 3);
	if (node->reader < 0) {
		free(node);
		return -ENFILE;
	}
	if (tmm_mapping_create(files->cache, &node_ops, node, &node->mapping)) {
		close(node->reader);
		free(node);
		return -ENOMEM;
	}
	*bucket = node;
	*out = node;
	return 0;
}

/* Does the opening read, write? */
static void rights_of(const struct open_file *open, bool *readable, bool *writable)
{
	int mode = fcntl(open->host, F_GETFL) & O_ACCMODE;

	*readable = mode == O_RDONLY || mode == O_RDWR;
	*writable = mode == O_WRONLY || mode == O_RDWR;
}

int files_map(struct files *files, struct open_file *open, struct tmm_file **out)
{
	struct tmm_file_spec spec = {0};
	char path[PATH_MAX];
	struct file_node *node;
	tmm_err err;

	if (open->file) {
		*out = open->file;
		return 0;
	}
	if (!S_ISREG(open->mode))
		return -ENODEV;
	rights_of(open, &spec.readable, &spec.writable);
	if (!spec.readable)
		return -EACCES;
	node = node_find(files, open);
	if (node)
		tmm_mapping_get(node->mapping);
	else if (node_make(files, open, &node))
		return -ENOMEM;
	(void)path_of_host(open->host, path); /* without a name it is mapped all the same */
	spec.mapping = node->mapping;
	spec.path = path;
	spec.dev_major = major(open->device);
	spec.dev_minor = minor(open->device);
	spec.inode = open->inode;
	if (spec.writable && node->writer < 0)
		node->writer = fcntl(open->host, F_DUPFD_CLOEXEC, 3);
	err = tmm_file_create(files->cache, &spec, &open->file);
	tmm_mapping_put(node->mapping); /* the file has its own reference */
	if (err)
		return -ENOMEM;
	*out = open->file;
	return 0;
}

void files_shared(struct files *files, const struct open_file *open)
{
	struct file_node *node = node_find(files, open);

	if (node)
		node->shared = true;
}

void files_before(struct files *files, const struct open_file *open)
{
	struct file_node *node = S_ISREG(open->mode) ? node_find(files, open) : NULL;

	/* An error stays with the page; msync() and the end of the mapping report it. */
	if (node && node->shared && tmm_mapping_sync(node->mapping, 0, UINT64_MAX))
		return;
}

void files_changed(struct files *files, const struct open_file *open, int64_t start,
                   int64_t end)
{
	struct file_node *node = S_ISREG(open->mode) ? node_find(files, open) : NULL;

	if (node && start < end)
		(void)!tmm_mapping_refresh(node->mapping, (uint64_t)start, (uint64_t)end);
}

/* Unmap what areas of the file show behind `size`, as Linux's truncation does. */
static void unmap_behind(struct files *files, const struct file_node *node, uint64_t size)
{
	uint64_t keep = (size + TMM_PAGE_SIZE - 1) & TMM_PAGE_MASK;
	struct tmm_area area;

	for (uint64_t at = 0; tmm_mm_area(files->mm, at, false, &area); at = area.end) {
		uint64_t start = area.start;

		if (!area.file || area.file->mapping != node->mapping)
			continue;
		if (area.offset < keep)
			start += keep - area.offset;
		if (start < area.end)
			(void)!tmm_mm_madvise(files->mm, start, area.end - start,
			                      TMM_MADV_DONTNEED);
	}
}

void files_cut(struct files *files, const struct open_file *open, int64_t size)
{
	struct file_node *node = S_ISREG(open->mode) ? node_find(files, open) : NULL;

	if (!node)
		return;
	unmap_behind(files, node, (uint64_t)size);
	(void)!tmm_mapping_refresh(node->mapping, (uint64_t)size, INT64_MAX);
}
