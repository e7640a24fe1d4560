/* Reading and writing across page borders, in parts, into what is not there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096
#define BIG  (3 * 1024 * 1024 + 123)

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 131 + i / 251);
}

int main(void)
{
	char name[] = "transfers.tmp";
	unsigned char *big = malloc(BIG), *back = malloc(BIG);
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600),
	    null = open("/dev/null", O_WRONLY);
	char *edge = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                  -1, 0);
	struct iovec iov[4];
	int pipe_fd[2], bad = 0;
	volatile int minus = -1;
	off_t offset = 100;

	for (size_t i = 0; i < BIG; i++)
		big[i] = pattern(i);
	SAY(write(fd, big, BIG) == BIG);
	SAY(lseek(fd, 0, SEEK_CUR) == BIG);
	SAY(pread(fd, back, BIG, 0) == BIG && memcmp(big, back, BIG) == 0);
	SAY(pread(fd, back, BIG, BIG - 10) == 10);
	SAY(pread(fd, back, BIG, BIG) == 0);
	memset(back, 0, BIG);
	iov[0] = (struct iovec){back + 5, 4090};
	iov[1] = (struct iovec){back + 4095, 3};
	iov[2] = (struct iovec){back, 0};
	iov[3] = (struct iovec){back + 4098, 1000000};
	lseek(fd, 5, SEEK_SET);
	SAY(readv(fd, iov, 4) == 1004093);
	SAY(memcmp(back + 5, big + 5, 1004093) == 0);
	SAY(lseek(fd, 0, SEEK_CUR) == 1004098);
	lseek(fd, 0, SEEK_SET);
	SAY(writev(fd, iov, 4) == 1004093);
	SAY(pread(fd, back, 100, 0) == 100 && memcmp(back, big + 5, 100) == 0);

	munmap(edge + 2 * PAGE, PAGE);
	SAY(pread(fd, edge + PAGE, 2 * PAGE, 0) == PAGE);
	SAY(pread(fd, edge + 2 * PAGE, PAGE, 0) == -1 && errno == EFAULT);
	SAY(pipe(pipe_fd) == 0);
	SAY(read(99, edge, 1) == -1 && errno == EBADF);
	SAY(read(fd, NULL, 0) == 0);
	SAY(write(pipe_fd[0], "x", 1) == -1 && errno == EBADF);
	mprotect(edge, PAGE, PROT_READ);
	SAY(pread(fd, edge, 10, 0) == -1 && errno == EFAULT);
	SAY(readv(fd, iov, minus) == -1 && errno == EINVAL);
	SAY(pread(fd, back, 1, -1) == -1 && errno == EINVAL);

	lseek(fd, 0, SEEK_SET);
	for (int i = 0; i < 1000; i++) {
		size_t at = (size_t)i * 997;

		if (pwrite(fd, big + at, 997, (off_t)at) != 997)
			bad++;
	}
	SAY(bad == 0);
	SAY(read(fd, back, 997000) == 997000 && memcmp(back, big, 997000) == 0);
	unlink("transfers.out");
	null = open("transfers.out", O_RDWR | O_CREAT, 0600);
	SAY(sendfile(null, fd, &offset, 5000) == 5000 && offset == 5100);
	SAY(pread(null, back, 6000, 0) == 5000 && memcmp(back, big + 100, 5000) == 0);
	unlink("transfers.out");
	unlink(name);
	return 0;
}
