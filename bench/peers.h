/*
 * peers.h - allocators of the distribution, to be measured in the same run
 *
 * Each is there when its library is installed (tools/setup bench).  The mallocs are
 * opened by name, with their symbols kept to themselves, so that they serve nobody
 * but the benchmark: the program goes on with its own malloc().
 */
#ifndef TUXMM_BENCH_PEERS_H
#define TUXMM_BENCH_PEERS_H

#include <stddef.h>

struct peer {
	const char *name;
	void *(*alloc)(size_t bytes);
	void (*free)(void *object);
};

#define NR_PEERS 3

/*
 * Those that are installed; returns how many.  Call it first: jemalloc wants thread-local
 * storage that glibc keeps only if asked at the start, so the program may start again.
 */
unsigned peers_open(char **argv, struct peer out[NR_PEERS]);

/*
 * librte_mempool: a pool of objects of 64 bytes, as many as asked for.  get and put
 * move many at a time; 0, or a negative error.
 */
struct rte_peer {
	int (*get)(void **out, unsigned nr);
	void (*put)(void *const *objects, unsigned nr);
};

/* NULL: DPDK is not installed, or does not start here. */
const struct rte_peer *rte_peer_open(unsigned nr_objects);

#endif
