/* A file seen through mappings and through calls is one file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

#define PAGE 4096

static sigjmp_buf back;

static void on_bus(int signal)
{
	siglongjmp(back, signal);
}

static int touch(volatile char *at)
{
	int signal = sigsetjmp(back, 1);

	if (!signal)
		(void)*at;
	return signal;
}

int main(void)
{
	int fd = open("shared.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600), other;
	char buffer[PAGE], *shared, *private, *again;

	memset(buffer, 'f', PAGE);
	for (int i = 0; i < 4; i++)
		if (write(fd, buffer, PAGE) != PAGE)
			return 1;
	other = open("shared.tmp", O_RDWR);
	shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other, PAGE);
	SAY(shared != MAP_FAILED && private != MAP_FAILED && again != MAP_FAILED);
	SAY(shared[0] == 'f' && private[PAGE] == 'f' && again[5] == 'f');
	shared[PAGE + 5] = 'S';
	SAY(again[5] == 'S' && private[PAGE + 5] == 'S');
	SAY(pread(other, buffer, 1, PAGE + 5) == 1 && buffer[0] == 'S');
	SAY(pwrite(other, "W", 1, 2 * PAGE) == 1 && shared[2 * PAGE] == 'W');
	SAY(private[2 * PAGE] == 'W');
	private[2 * PAGE] = 'P';
	SAY(shared[2 * PAGE] == 'W');
	SAY(pwrite(other, "V", 1, 2 * PAGE) == 1 && private[2 * PAGE] == 'P');
	SAY(msync(shared, 4 * PAGE, MS_SYNC) == 0);
	signal(SIGBUS, on_bus);
	SAY(ftruncate(fd, PAGE + 100) == 0);
	SAY(touch(shared + PAGE) == 0);
	SAY(touch(shared + 2 * PAGE) == SIGBUS);
	SAY(touch(private + 2 * PAGE) == SIGBUS);
	SAY(shared[PAGE + 99] == 'f' && shared[PAGE + 100] == 0);
	SAY(ftruncate(fd, 4 * PAGE) == 0 && touch(shared + 3 * PAGE) == 0);
	SAY(shared[3 * PAGE] == 0);
	shared[3 * PAGE] = 'E';
	SAY(munmap(shared, 4 * PAGE) == 0);
	SAY(munmap(again, PAGE) == 0 && munmap(private, 4 * PAGE) == 0);
	SAY(pread(fd, buffer, 1, 3 * PAGE) == 1 && buffer[0] == 'E');
	SAY(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, open("shared.tmp", O_RDONLY), 0) ==
	    MAP_FAILED);
	unlink("shared.tmp");
	return 0;
}
