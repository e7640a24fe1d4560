/*
 * hosted.h - RAM for a machine inside a Linux process
 *
 * One sparse memfd holds all of RAM, so that a frame can appear at several host
 * addresses: frame n lies at byte n * TMM_PAGE_SIZE of the file.  Only what is
 * touched costs the host memory.
 *
 * Owning   create maps it and opens the descriptor, destroy gives both back
 * Linux    memfd_create(2)
 */
#ifndef TUXMM_HOSTED_H
#define TUXMM_HOSTED_H

#include <tuxmm/types.h>

struct tmm_hosted_ram {
	int fd;         /* the memfd: close-on-exec, sealed against growing and shrinking */
	void *start;    /* where physical address 0 is; readable and writable */
	uint64_t bytes; /* length of both */
};

/*
 * bytes of zeroes, rounded up to whole pages.  Children of fork(2) do not
 * inherit the mapping; they can map the descriptor.
 *   TMM_OK
 *   TMM_E_INVAL  0 bytes, or more than a file can have
 *   TMM_E_NOMEM  the host has no room for such a file or mapping
 *   TMM_E_NOSYS  the host has no memfd
 */
TMM_MUST_CHECK tmm_err tmm_hosted_ram_create(uint64_t bytes, struct tmm_hosted_ram *out);

/* Nothing may use the mapping any more. */
void tmm_hosted_ram_destroy(struct tmm_hosted_ram *ram);

#endif
