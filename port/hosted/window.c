/*
 * window.c - host addresses at which a machine's RAM is shown a second time
 *
 * A window is a reservation of addresses without memory behind them.  Showing RAM
 * there duplicates part of the mapping that RAM itself is: mremap(2) from an old
 * length of 0 does so for any shared mapping and needs no descriptor, so it works
 * for whatever RAM a machine was given.  Hiding puts the reservation back.
 *
 * RAM taken out of the direct map keeps its mapping without rights; a duplicate
 * gets its own.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include <tuxmm/port.h>

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

void *tmm_port_window_create(uint64_t bytes)
{
	void *start = mmap(NULL, bytes, PROT_NONE, RESERVED, -1, 0);

	return start == MAP_FAILED ? NULL : start;
}

void tmm_port_window_destroy(void *start, uint64_t bytes)
{
	munmap(start, bytes);
}

bool tmm_port_window_show(void *at, void *ram, uint64_t bytes, bool may_write)
{
	int rights = may_write ? PROT_READ | PROT_WRITE : PROT_READ;

	if (mremap(ram, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED)
		return false;
	if (mprotect(at, bytes, rights) == 0)
		return true;
	tmm_port_window_hide(at, bytes);
	return false;
}

void tmm_port_window_hide(void *at, uint64_t bytes)
{
	/* The host may be out of mappings to split, not of those to give back. */
	if (mmap(at, bytes, PROT_NONE, RESERVED | MAP_FIXED, -1, 0) == MAP_FAILED)
		tmm_port_panic(__FILE__, __LINE__, "the host takes a mapping back");
}

bool tmm_port_ram_direct(void *ram, uint64_t bytes, bool is_direct)
{
	return mprotect(ram, bytes, is_direct ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;
}
