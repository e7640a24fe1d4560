/*
 * Every way to get and give back memory, each kept apart from the others: what
 * cannot be had ends the program with status 1 and one line.  Then another program
 * takes its place.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096ul

extern char **environ;

static void need(int truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "%s: no\n", what);
	exit(1);
}

static unsigned long sum(const unsigned char *bytes, unsigned long nr)
{
	unsigned long all = 0;

	for (unsigned long i = 0; i < nr; i++)
		all += bytes[i];
	return all;
}

static void anonymous(void)
{
	char *at = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                -1, 0);
	void *more;

	need(at != MAP_FAILED, "mmap");
	for (unsigned i = 0; i < 16; i++)
		at[i * PAGE] = (char)i;
	need(mprotect(at + 4 * PAGE, 4 * PAGE, PROT_READ) == 0, "mprotect");
	need(mprotect(at + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
	need(madvise(at + 8 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0, "madvise");
	more = mremap(at, 16 * PAGE, 700 * PAGE, MREMAP_MAYMOVE);
	need(more != MAP_FAILED, "mremap");
	at = more;
	SAY(at[5 * PAGE] == 5 && at[8 * PAGE] == 0 && at[600 * PAGE] == 0);
	at[699 * PAGE] = 1;
	need(munmap(at + PAGE, 3 * PAGE) == 0, "munmap");
	need(munmap(at, 700 * PAGE) == 0, "munmap");
}

static void heap(void)
{
	char *small[64], *big = NULL;

	for (unsigned i = 0; i < 64; i++) {
		small[i] = calloc(1, 100 * i + 1);
		need(small[i] != NULL, "calloc");
	}
	for (size_t bytes = 1000; bytes < 400000; bytes *= 5) {
		char *more = realloc(big, bytes);

		need(more != NULL, "realloc");
		big = more;
		big[bytes - 1] = 'x';
	}
	big[0] = 'y';
	SAY(big[0] == 'y');
	free(big);
	for (unsigned i = 0; i < 64; i++)
		free(small[i]);
}

static void files(const char *self)
{
	int in = open(self, O_RDONLY),
	    out = open("memory.tmp", O_CREAT | O_TRUNC | O_RDWR, 0600);
	unsigned char *text, *shared, buffer[PAGE];

	need(in >= 0 && out >= 0, "open");
	text = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, in, 0);
	need(text != MAP_FAILED, "mmap of a file");
	text[0] = 'X';
	SAY(memcmp(text + 1, "ELF", 3) == 0);
	need(ftruncate(out, 20 * PAGE) == 0, "ftruncate");
	shared = mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, out, 0);
	need(shared != MAP_FAILED, "shared mmap of a file");
	for (unsigned i = 0; i < 20; i += 3)
		shared[i * PAGE] = 1;
	need(msync(shared, 20 * PAGE, MS_SYNC) == 0, "msync");
	need(pread(out, buffer, sizeof(buffer), 18 * PAGE) == (ssize_t)PAGE, "pread");
	SAY(sum(shared, 20 * PAGE) == 7 && sum(buffer, PAGE) == 1);
	need(munmap(shared, 20 * PAGE) == 0 && munmap(text, PAGE) == 0, "munmap");
	close(in);
	close(out);
	unlink("memory.tmp");
}

static unsigned deep(unsigned depth)
{
	volatile char room[PAGE];

	room[0] = (char)depth;
	return depth ? deep(depth - 1) + (unsigned char)room[0] : 0;
}

int main(int argc, char **argv)
{
	char *const again[] = {argv[0], (char *)"again", (char *)"and", (char *)"again", NULL};

	SAY(deep(20) == 210);
	if (argc < 4) {
		anonymous();
		heap();
		files("/proc/self/exe");
		fflush(stdout);
		execve("/proc/self/exe", again, environ);
		need(0, "execve");
	}
	return 0;
}
