/*
 * strict.h - for tests: what other CPUs do meanwhile
 *
 * The strict port has one thread, so that nothing changes while it waits.  A test can
 * stand for the others: it is called where they would execute a barrier, and where the
 * thread waits for them.
 */
#ifndef TUXMM_STRICT_H
#define TUXMM_STRICT_H

#include <stdbool.h>

struct tmm_strict_others {
	bool (*barrier)(void *arg); /* what tmm_port_barrier_all() answers */
	void (*relax)(void *arg);   /* NULL: waiting is a mistake, as it is without others */
	void *arg;
};

/* NULL: there are none. */
void tmm_strict_set_others(const struct tmm_strict_others *others);

#endif
