/*
 * ram.c - a machine's RAM as a sealed, sparse memfd and one mapping of it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tuxmm/hosted.h>

static tmm_err from_errno(int error)
{
	if (error == ENOSYS || error == EPERM)
		return TMM_E_NOSYS;
	return TMM_E_NOMEM;
}

/* A memfd of that length which keeps it. */
static int open_arena(uint64_t bytes)
{
	int fd = memfd_create("tuxmm-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

tmm_err tmm_hosted_ram_create(uint64_t bytes, struct tmm_hosted_ram *out)
{
	struct tmm_hosted_ram ram;

	if (bytes == 0 || bytes > (uint64_t)INT64_MAX - TMM_PAGE_SIZE)
		return TMM_E_INVAL;
	ram.bytes = (bytes + TMM_PAGE_SIZE - 1) & TMM_PAGE_MASK;
	ram.fd = open_arena(ram.bytes);
	if (ram.fd < 0)
		return from_errno(errno);
	ram.start = mmap(NULL, ram.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
	                 ram.fd, 0);
	if (ram.start == MAP_FAILED) {
		close(ram.fd);
		return TMM_E_NOMEM;
	}
	/* only saves fork(2) work: its failing harms nobody */
	(void)madvise(ram.start, ram.bytes, MADV_DONTFORK);
	*out = ram;
	return TMM_OK;
}

void tmm_hosted_ram_destroy(struct tmm_hosted_ram *ram)
{
	munmap(ram->start, ram->bytes);
	close(ram->fd);
	*ram = (struct tmm_hosted_ram){.fd = -1};
}
