/*
 * Where MOVABLE begins on uneven nodes, as Linux spreads what is for all uses.
 */
#include <string.h>

#include "page/carve.h"
#include "page/rig_test.h"

static struct rig rig;

#define UNIT         (4 * MIB) /* a longest run: what MOVABLE is rounded to */
#define MOST_NODES   4u
#define UNITS_A_NODE 96u /* addresses that each node has */

/* A machine of units: which of them are RAM, and of which node. */
struct uneven {
	unsigned nr_nodes;
	bool ram[MOST_NODES][UNITS_A_NODE];
	uint64_t units; /* of RAM */
};

static struct uneven uneven_machine(uint64_t *seed)
{
	struct uneven machine = {.nr_nodes = 1 + (unsigned)(test_random(seed) % MOST_NODES)};

	for (unsigned n = 0; n < machine.nr_nodes; n++) {
		uint64_t nr = 1 + test_random(seed) % UNITS_A_NODE;

		for (uint64_t u = 0; u < nr; u++) {
			machine.ram[n][u] = u < 4 || test_random(seed) % 8 > 0;
			machine.units += machine.ram[n][u];
		}
	}
	return machine;
}

/*
 * Linux's rule (find_zone_movable_pfns_for_nodes()), unit by unit.  The frames for all
 * uses are shared out evenly; a node's share begins with what is below `low` and
 * can be nothing else, all of which counts; what a small node cannot take is shared
 * out again among one node fewer.  Returns the first MOVABLE unit of each node.
 */
static void rule_movable(const struct uneven *machine, uint64_t low_units, uint64_t wanted,
                         uint64_t first[MOST_NODES])
{
	uint64_t left = wanted * 1024, usable = machine->nr_nodes; /* in frames */

	memset(first, 0, MOST_NODES * sizeof(*first));
	do {
		uint64_t share = left / usable;

		for (unsigned n = 0; n < machine->nr_nodes; n++) {
			bool only_low = false; /* the frames before were all below */
			uint64_t mine;

			share = left < share ? left / usable : share;
			mine = share;
			for (uint64_t u = first[n] / 1024; u < UNITS_A_NODE; u++) {
				bool must = n * UNITS_A_NODE + u < low_units;
				uint64_t from = max_u64(first[n], u * 1024), take;

				if (!machine->ram[n][u] || from == (u + 1) * 1024)
					continue;
				take = (u + 1) * 1024 - from;
				if (!must && mine == 0) {
					if (only_low)
						first[n] = from;
					break;
				}
				only_low = must;
				take = must ? take : min_u64(take, mine);
				first[n] = from + take;
				mine -= min_u64(mine, take);
				left -= min_u64(left, take);
			}
		}
		usable--;
	} while (usable > 0 && left > usable);
	for (unsigned n = 0; n < machine->nr_nodes; n++)
		first[n] = align_up(first[n], 1024);
}

static uint64_t last_unit(const struct uneven *machine, unsigned node)
{
	uint64_t last = 0;

	for (uint64_t u = 0; u < UNITS_A_NODE; u++)
		last = machine->ram[node][u] ? u : last;
	return last;
}

TEST(movable_is_carved_from_uneven_nodes_as_linux_does)
{
	uint64_t seed = test_seed();
	unsigned nr_movable = 0;

	for (unsigned round = 0; round < 300; round++) {
		struct uneven machine = uneven_machine(&seed);
		uint64_t amount = 1 + test_random(&seed) % machine.units;
		bool kernelcore = test_random(&seed) % 2;
		uint64_t wanted = kernelcore ? amount : machine.units - amount;
		struct pages_config config = {.nr_nodes = machine.nr_nodes,
		                              .min_free_kbytes = NO_RESERVE};
		uint64_t first[MOST_NODES];
		/* The highest kind is DMA32, which begins at 16 MiB, unless all is below. */
		uint64_t low_units = 4;

		tmm_memblock_init(&rig.memblock, NULL);
		for (unsigned n = 0; n < machine.nr_nodes; n++)
			for (uint64_t u = 0; u < UNITS_A_NODE; u++)
				if (machine.ram[n][u])
					CHECK(tmm_memblock_add(
						      &rig.memblock,
						      (tmm_paddr){(n * UNITS_A_NODE + u) *
					                          UNIT},
						      UNIT, n) == TMM_OK);
		*(kernelcore ? &config.kernelcore_bytes : &config.movablecore_bytes) = amount *
		                                                                       UNIT;
		if (machine.nr_nodes == 1 && last_unit(&machine, 0) < 4)
			continue; /* one zone, no matter */
		rig.pages = (struct tmm_pages){.memblock = &rig.memblock,
		                               .max_order = TMM_DEFAULT_ORDER,
		                               .lowmem_end = UINT64_MAX,
		                               .nr_nodes = machine.nr_nodes};
		CHECK(carve_nodes(&rig.pages, &config) == TMM_OK);
		rule_movable(&machine, low_units, wanted, first);
		for (unsigned n = 0; n < machine.nr_nodes; n++) {
			uint64_t base = n * UNITS_A_NODE * 1024, expected = base + first[n];

			if (n == 0)
				expected = max_u64(expected, low_units * 1024);
			if (wanted == 0 || wanted >= machine.units ||
			    expected >= base + (last_unit(&machine, n) + 1) * 1024)
				expected = 0;
			if (rig.pages.node[n].movable_start != expected)
				test_note("round %u node %u: %llu, not %llu", round, n,
				          (unsigned long long)rig.pages.node[n].movable_start,
				          (unsigned long long)expected);
			CHECK(rig.pages.node[n].movable_start == expected);
			nr_movable += expected != 0;
		}
	}
	test_note("TUXMM_SEED=%llu, %u movable zones", (unsigned long long)test_seed(),
	          nr_movable);
	CHECK(nr_movable > 300);
}
