/*
 * peer_rte.c - librte_mempool: DPDK's pools, without huge pages or devices
 */
#include "peers.h"

#if HAVE_DPDK

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

static struct rte_mempool *pool;

static int get(void **out, unsigned nr)
{
	return rte_mempool_get_bulk(pool, out, nr);
}

static void put(void *const *objects, unsigned nr)
{
	rte_mempool_put_bulk(pool, objects, nr);
}

const struct rte_peer *rte_peer_open(unsigned nr_objects)
{
	static const struct rte_peer peer = {.get = get, .put = put};
	static char program[] = "bench-slab", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
		    alone[] = "--no-shconf", quiet[] = "--log-level=1", cores[] = "--lcores=0",
		    memory[] = "-m256";
	char *argv[] = {program, no_huge, no_pci, alone, quiet, cores, memory, NULL};

	if (rte_eal_init(7, argv) < 0)
		return NULL;
	pool = rte_mempool_create("bench", nr_objects, 64, RTE_MEMPOOL_CACHE_MAX_SIZE, 0, NULL,
	                          NULL, NULL, NULL, SOCKET_ID_ANY, 0);
	return pool ? &peer : NULL;
}

#else

const struct rte_peer *rte_peer_open(unsigned nr_objects)
{
	(void)nr_objects;
	return NULL;
}

#endif
