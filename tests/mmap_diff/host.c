/*
 * host.c - the calls on this process, made comparable: everything filled up but two holes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "diff.h"

uint64_t heap_start;
static int host_fd[NR_FILES];
uint64_t host_inode[NR_FILES];
static char maps_text[1 << 20];

_Noreturn void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t bytes = 0;
	ssize_t got;

	while (fd >= 0 &&
	       (got = read(fd, maps_text + bytes, sizeof(maps_text) - 1 - bytes)) > 0)
		bytes += (size_t)got;
	if (fd < 0 || bytes == 0 || bytes == sizeof(maps_text) - 1)
		die("reading /proc/self/maps");
	maps_text[bytes] = '\0';
	close(fd);
}

static void fill(uint64_t start, uint64_t end)
{
	void *at = (void *)start;

	if (start < end &&
	    mmap(at, end - start, PROT_NONE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
	         0) != at)
		die("filling the process");
}

/* Fill a gap, except for the holes. */
static void fill_but_holes(uint64_t start, uint64_t end)
{
	const uint64_t hole[2][2] = {{heap_start, heap_start + HEAP_PAGES * PAGE},
	                             {HOLE_START, HOLE_START + HOLE_PAGES * PAGE}};

	for (unsigned i = 0; i < 2; i++) {
		if (hole[i][1] <= start || hole[i][0] >= end)
			continue;
		fill(start, hole[i][0]);
		start = hole[i][1];
	}
	fill(start, end);
}

/* A page that joins nothing on both sides of the hole, as the tmm_mm has it. */
static void wall(uint64_t at)
{
	if (mmap((void *)at, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
	         -1, 0) != (void *)at)
		die("a wall beside the hole");
}

void host_begin(void)
{
	uint64_t end = MMAP_MIN;
	volatile char stack[512 << 10];

	for (size_t i = 0; i < sizeof(stack); i += PAGE)
		stack[i] = 1; /* the stack must not have to grow later */
	heap_start = (uint64_t)sbrk(0);
	heap_start = ((heap_start + PAGE - 1) & ~(PAGE - 1)) + PAGE;
	if (brk((void *)heap_start) != 0)
		die("a heap of a page at least");
	*(volatile char *)(heap_start - 1) = 1;
	for (unsigned i = 0; i < NR_FILES; i++) {
		int fd = memfd_create("diff", 0);
		struct stat st;
		char path[64];

		if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE) != 0 || fstat(fd, &st) != 0)
			die("memfd_create");
		host_inode[i] = st.st_ino;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		host_fd[i] = i < 2 ? fd : open(path, O_RDONLY);
	}
	wall(HOLE_START - PAGE);
	wall(HOLE_START + HOLE_PAGES * PAGE);
	wall(heap_start + HEAP_PAGES * PAGE);
	read_maps();
	for (char *line = maps_text; *line; line = strchr(line, '\n') + 1) {
		uint64_t start = strtoull(line, &line, 16);

		if (start >= TASK_SIZE)
			break;
		fill_but_holes(end, start);
		end = strtoull(line + 1, NULL, 16);
	}
	fill_but_holes(end, TASK_SIZE);
}

void host_reset(void)
{
	uint64_t page[PAGE / 8];

	munmap((void *)HOLE_START, HOLE_PAGES * PAGE);
	/* the break moves down only where something is mapped */
	mmap((void *)heap_start, HEAP_PAGES * PAGE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (syscall(SYS_brk, heap_start) != (long)heap_start)
		die("the break moves back");
	munmap((void *)heap_start, HEAP_PAGES * PAGE);
	for (unsigned i = 0; i < NR_FILES; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", host_fd[i]);
		fd = open(path, O_RDWR);
		for (unsigned n = 0; n < FILE_PAGES; n++) {
			memset(page, 0, sizeof(page));
			page[0] = i * 100 + n + 1;
			if (pwrite(fd, page, PAGE, (off_t)(n * PAGE)) != (ssize_t)PAGE)
				die("writing a file");
		}
		close(fd);
	}
}

int64_t host_apply(const struct op *op)
{
	uint64_t bytes = op->length;
	struct iovec here = {&bytes, 8}, there = {(void *)op->addr, 8};
	long result;

	switch (op->kind) {
	case MMAP:
		result = syscall(SYS_mmap, op->addr, op->length, op->prot, op->flags,
		                 op->file < NR_FILES ? host_fd[op->file] : -1, op->offset);
		break;
	case MUNMAP:
		result = syscall(SYS_munmap, op->addr, op->length);
		break;
	case MPROTECT:
		result = syscall(SYS_mprotect, op->addr, op->length, op->prot);
		break;
	case MREMAP:
		result = syscall(SYS_mremap, op->addr, op->length, op->prot, op->flags,
		                 op->offset);
		break;
	case MADVISE:
		result = syscall(SYS_madvise, op->addr, op->length, op->flags);
		break;
	case MSYNC:
		result = syscall(SYS_msync, op->addr, op->length, op->flags);
		break;
	case BRK:
		return syscall(SYS_brk, op->addr);
	default:
		result = process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 8 ? 0 : -1;
		errno = EFAULT;
		break;
	}
	return result == -1 ? -errno : result;
}

bool in_holes(uint64_t start, uint64_t end)
{
	return (start < HOLE_START + HOLE_PAGES * PAGE && end > HOLE_START) ||
	       (start < heap_start + HEAP_PAGES * PAGE && end > heap_start);
}

uint64_t clip(uint64_t start)
{
	return start < heap_start && start + (UINT64_C(1) << 32) > heap_start ? heap_start
	                                                                      : start;
}

unsigned host_lines(struct line *out)
{
	unsigned nr = 0;

	read_maps();
	for (char *text = maps_text; *text; text = strchr(text, '\n') + 1) {
		struct line *line = &out[nr];
		char path[128] = "";

		sscanf(text,
		       "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %127[^\n]",
		       &line->start, &line->end, line->perms, &line->offset, &line->inode,
		       path);
		if (!in_holes(line->start, line->end))
			continue;
		line->start = clip(line->start);
		if (!strncmp(path, "/dev/zero", 9))
			line->inode = 1;
		nr++;
	}
	return nr;
}
