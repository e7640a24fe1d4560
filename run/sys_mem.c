/*
 * sys_mem.c - system calls on memory: the machine's own
 */
#define _GNU_SOURCE
#include "syscalls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MINCORE_CHUNK 4096u

static bool is_dev_zero(const struct open_file *open)
{
	struct stat st;

	return S_ISCHR(open->mode) && fstat(open->host, &st) == 0 &&
	       st.st_rdev == makedev(1, 5);
}

/* What the descriptor of a file mapping stands for. */
static int map_file(struct task *task, int fd, struct tmm_mmap_request *request)
{
	struct open_file *open = fd_get(&task->fds, fd);
	bool shared = (request->flags & TMM_MAP_TYPE) != TMM_MAP_PRIVATE;
	int err;

	if (!open)
		return -EBADF;
	if (is_dev_zero(open)) {
		request->flags |= TMM_MAP_ANONYMOUS;
		request->offset = 0;
		return 0;
	}
	err = files_map(&task->files, open, &request->file);
	if (!err && shared && (fcntl(open->host, F_GETFL) & O_ACCMODE) == O_RDWR)
		files_shared(&task->files, open);
	return err;
}

int64_t sys_mmap(struct task *task, const uint64_t *arg)
{
	struct tmm_mmap_request request = {
		.addr = arg[0],
		.length = arg[1],
		.prot = (uint32_t)arg[2],
		.flags = (uint32_t)arg[3],
		.offset = arg[5],
	};
	uint64_t addr;
	int err;

	if (arg[5] & ~TMM_PAGE_MASK)
		return -EINVAL;
	if (!(request.flags & TMM_MAP_ANONYMOUS)) {
		err = map_file(task, (int)arg[4], &request);
		if (err)
			return err;
	}
	err = tmm_mm_mmap(task->mm, &request, &addr);
	return err ? err : (int64_t)addr;
}

int64_t sys_munmap(struct task *task, const uint64_t *arg)
{
	return tmm_mm_munmap(task->mm, arg[0], arg[1]);
}

int64_t sys_mprotect(struct task *task, const uint64_t *arg)
{
	return tmm_mm_mprotect(task->mm, arg[0], arg[1], (uint32_t)arg[2]);
}

int64_t sys_mremap(struct task *task, const uint64_t *arg)
{
	uint64_t addr;
	int err = tmm_mm_mremap(task->mm, arg[0], arg[1], arg[2], (uint32_t)arg[3], arg[4],
	                        &addr);

	return err ? err : (int64_t)addr;
}

int64_t sys_brk(struct task *task, const uint64_t *arg)
{
	return (int64_t)tmm_mm_brk(task->mm, arg[0]);
}

int64_t sys_madvise(struct task *task, const uint64_t *arg)
{
	return tmm_mm_madvise(task->mm, arg[0], arg[1], (int)arg[2]);
}

int64_t sys_msync(struct task *task, const uint64_t *arg)
{
	return tmm_mm_msync(task->mm, arg[0], arg[1], (uint32_t)arg[2]);
}

int64_t sys_mincore(struct task *task, const uint64_t *arg)
{
	uint64_t addr = arg[0], to = arg[2];
	uint64_t pages = (arg[1] >> TMM_PAGE_SHIFT) + ((arg[1] & ~TMM_PAGE_MASK) != 0);
	uint8_t vec[MINCORE_CHUNK];
	int err;

	if (addr & ~TMM_PAGE_MASK)
		return -EINVAL;
	while (pages) {
		uint64_t part = pages < MINCORE_CHUNK ? pages : MINCORE_CHUNK;

		err = tmm_mm_mincore(task->mm, addr, part << TMM_PAGE_SHIFT, vec);
		if (!err)
			err = user_put(task, to, vec, part);
		if (err)
			return err;
		addr += part << TMM_PAGE_SHIFT;
		to += part;
		pages -= part;
	}
	return 0;
}
