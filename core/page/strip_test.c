#include "page/rig_test.h"
#include "page/zone.h"

#define STRIP_FRAMES UINT64_C(32768)
#define NR_TAKEN     4096

static struct rig rig;
static tmm_pfn taken[2][NR_TAKEN];

static void be_cpu(unsigned id)
{
	tmm_port_cpu_set(&rig.cpus.cpu[id]); /* as another thread, while this one stays */
}

/* 4 GiB for two CPUs: strips 8 and above are of one zone. */
static struct tmm_pages *boot_for_two(uint64_t bytes)
{
	struct tmm_pages *pages;

	rig_begin(&rig, bytes, 2);
	rig_add(&rig, 0, bytes);
	pages = rig_boot(&rig, NO_RESERVE);
	CHECK(cpu_enter(&rig.cpus, 0) == TMM_OK);
	return pages;
}

static void shut_down(struct tmm_pages *pages)
{
	tmm_pages_check(pages);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		be_cpu(cpu);
		tmm_pages_drain(pages);
	}
	be_cpu(0);
	tmm_pages_check(pages);
	for (unsigned z = 0; z < pages->nr_zones; z++)
		for (uint64_t s = 0; s < pages->zone[z].nr_set_words; s++)
			CHECK(pages->zone[z].strip_cpu[s] == 0);
	pages_fini(pages);
}

/*
 *   CPU 0   takes one, and one, and one ...    |AAAA....|........|
 *   CPU 1   in turns                           |........|BBBB....|  by strips of 64 blocks
 */
TEST(cpus_take_from_strips_of_their_own)
{
	static const tmm_gfp kinds[] = {TMM_GFP_KERNEL, TMM_GFP_USER};
	struct tmm_pages *pages;
	uint64_t strips[2];

	if (rig_skips())
		return;
	for (unsigned kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		pages = boot_for_two(4 * GIB);
		strips[0] = strips[1] = 0;
		for (unsigned i = 0; i < 2 * NR_TAKEN; i++) {
			tmm_pfn *pfn = &taken[i % 2][i / 2];

			be_cpu(i % 2);
			CHECK(tmm_pages_alloc(pages, kinds[kind], 0, pfn) == TMM_OK);
			strips[i % 2] |= UINT64_C(1) << (pfn->v / STRIP_FRAMES);
		}
		CHECK((strips[0] & strips[1]) == 0);
		tmm_pages_check(pages);
		for (unsigned i = 0; i < 2 * NR_TAKEN; i++) {
			be_cpu(i / 2 % 2); /* half of them on the other CPU */
			tmm_pages_free(pages, taken[i % 2][i / 2], 0);
		}
		shut_down(pages);
	}
}

/* With few strips the other CPU's serve as well: nobody is refused while there is memory. */
TEST(strips_keep_nothing_from_others)
{
	const uint64_t bytes = 160 * MIB;
	struct tmm_pages *pages = boot_for_two(bytes);
	static tmm_pfn all[160 * 256];
	uint64_t kept;
	size_t nr = 0;

	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &taken[0][0]) == TMM_OK);
	kept = tmm_pages_free_count(pages);
	for (unsigned z = 0; z < pages->nr_zones; z++)
		kept -= pages->zone[z].nr_free;
	be_cpu(1);
	while (tmm_pages_alloc(pages, TMM_GFP_ATOMIC | TMM_GFP_NOWARN, 0, &all[nr]) == TMM_OK)
		nr++;
	/* What lowmem_reserve keeps of DMA, and what lies on the other CPU's stacks. */
	CHECK(tmm_pages_free_count(pages) <= kept + 1024);
	while (nr > 0)
		tmm_pages_free(pages, all[--nr], 0);
	tmm_pages_free(pages, taken[0][0], 0);
	shut_down(pages);
}

/* ---- the search ---- */

#define MAX_NUMBERS (64 * 64 * 3)

TEST(the_next_member_of_a_set_is_found)
{
	static const uint64_t sizes[] = {1, 64, 65, 4096, 4097, MAX_NUMBERS};
	static uint64_t lowest[MAX_NUMBERS / 64 * 3], upper[128];
	static bool is_member[MAX_NUMBERS + 1];
	uint64_t seed = test_seed();

	for (unsigned round = 0; round < 60; round++) {
		uint64_t nr = sizes[round % ARRAY_SIZE(sizes)], found = 0;
		struct block_set set;

		memset(lowest, 0, sizeof(lowest));
		memset(upper, 0, sizeof(upper));
		memset(is_member, 0, sizeof(is_member));
		block_set_init(&set, lowest + 1, 3, upper, nr);
		for (unsigned i = 0; i < 1 + round / 6; i++) {
			uint64_t member = test_random(&seed) % nr;

			is_member[member] = true;
			block_set_add(&set, member);
			if (i % 4 == 3) {
				is_member[member] = false;
				block_set_del(&set, member);
			}
		}
		for (uint64_t from = nr, expected = nr; from-- > 0;) {
			if (is_member[from])
				expected = from;
			CHECK(block_set_next(&set, from, &found) == (expected < nr));
			CHECK(expected == nr || found == expected);
		}
		CHECK(!block_set_next(&set, nr + 64, &found));
	}
}
