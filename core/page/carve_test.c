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

struct region {
	uint64_t start, bytes;
	uint32_t node;
};

static tmm_err carve(const struct region *region, size_t nr, uint64_t lowmem,
                     struct pages_config config)
{
	tmm_memblock_init(&rig.memblock, NULL);
	for (size_t i = 0; i < nr; i++)
		CHECK(tmm_memblock_add(&rig.memblock, (tmm_paddr){region[i].start},
		                       region[i].bytes, region[i].node) == TMM_OK);
	rig.pages = (struct tmm_pages){
		.memblock = &rig.memblock,
		.max_order = TMM_DEFAULT_ORDER,
		.lowmem_end = lowmem == UINT64_MAX ? UINT64_MAX : lowmem >> TMM_PAGE_SHIFT,
		.nr_nodes = config.nr_nodes};
	return carve_nodes(&rig.pages, &config);
}

static unsigned zones_of(unsigned node)
{
	unsigned zones = 0;

	for (unsigned id = 0; id < TMM_NR_ZONES; id++)
		if (rig.pages.node[node].zone_index[id] != ZONE_NONE)
			zones |= 1u << id;
	return zones;
}

#define DMA     (1u << TMM_ZONE_DMA)
#define DMA32   (1u << TMM_ZONE_DMA32)
#define NORMAL  (1u << TMM_ZONE_NORMAL)
#define HIGHMEM (1u << TMM_ZONE_HIGHMEM)
#define MOVABLE (1u << TMM_ZONE_MOVABLE)

/* Zones by address, with high memory and without; what is no whole page is nobody's. */
TEST(addresses_say_the_zone)
{
	static const struct region ram[] = {{0, 640 * KIB, 0},
	                                    {MIB, 3 * GIB - MIB, 0},
	                                    {3 * GIB + 100, 200, 2}, /* no page */
	                                    {4 * GIB, 4 * GIB, 0}};
	static const struct {
		uint64_t lowmem, movable;
		unsigned zones;
		uint64_t movable_start; /* MiB */
	} table[] = {
		{UINT64_MAX, 0, DMA | DMA32 | NORMAL, 0},
		{UINT64_MAX, GIB, DMA | DMA32 | NORMAL | MOVABLE, 7 * 1024 + 0},
		{896 * MIB, 0, DMA | NORMAL | HIGHMEM, 0},
		{896 * MIB, GIB, DMA | NORMAL | HIGHMEM | MOVABLE, 7 * 1024},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		struct pages_config config = {.nr_nodes = 4,
		                              .movablecore_bytes = table[i].movable};

		CHECK(carve(ram, ARRAY_SIZE(ram), table[i].lowmem, config) == TMM_OK);
		CHECK(zones_of(0) == table[i].zones);
		CHECK(zones_of(1) == 0 && zones_of(2) == 0 && zones_of(3) == 0);
		CHECK(rig.pages.node[2].present == 0);
		CHECK(rig.pages.node[0].movable_start >> 8 == table[i].movable_start);
	}
}

/* Memory that cannot be parted into zones is refused. */
TEST(what_cannot_be_carved_is_refused)
{
	static const struct region shared[] = {{0, 16 * MIB + 4 * KIB, 0},
	                                       {16 * MIB + 4 * KIB, 16 * MIB, 1}};
	static const struct region beyond[] = {{0, 16 * MIB, 0}, {16 * MIB, 16 * MIB, 2}};
	struct pages_config config = {.nr_nodes = 2};
	struct region each[16];

	CHECK(carve(shared, 2, UINT64_MAX, config) == TMM_E_INVAL);
	CHECK(carve(beyond, 2, UINT64_MAX, config) == TMM_E_INVAL);
	for (uint32_t n = 0; n < 16; n++)
		each[n] = (struct region){8 * GIB + n * GIB, GIB, n};
	config.nr_nodes = 16;
	config.memory_model = TMM_MEMORY_SPARSE;
	CHECK(carve(each, 16, UINT64_MAX, config) == TMM_OK && rig.pages.nr_zones == 16);
	config.hotplug_end = 64 * GIB; /* of all kinds, on each node: 64 zones */
	CHECK(carve(each, 16, UINT64_MAX, config) == TMM_E_INVAL);
	config.nr_nodes = 15;
	CHECK(carve(each, 15, UINT64_MAX, config) == TMM_OK && rig.pages.nr_zones == 60);
}
