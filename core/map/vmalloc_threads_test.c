/*
 * vmalloc_threads_test.c - areas and slots used by several threads, freed by others
 *
 * Areas are handed over through a table of slots that threads exchange with: whoever
 * finds one there checks what is in it and frees it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/kmap.h>
#include <tuxmm/machine.h>
#include <tuxmm/vmalloc.h>

#include "test.h"

#define NR_THREADS 4
#define NR_SHARED  64
#define ROUNDS     1500
#define RAM_BYTES  (UINT64_C(64) << 20)

static struct tmm_machine *machine;
static struct tmm_kernel_map *map;
static uint64_t *shared[NR_SHARED]; /* areas on their way; [0] is [1] */

static void check_and_free(uint64_t *area)
{
	if (!area)
		return;
	CHECK(area[0] == area[1]);
	CHECK(tmm_vmalloc_to_pfn(map, area).v != TMM_PFN_NONE.v);
	tmm_vfree(map, area);
}

static void use_slots(uint64_t mark)
{
	struct tmm_pages *pages = tmm_machine_pages(machine);
	uint64_t *local, *slot;
	tmm_pfn pfn;

	if (tmm_pages_alloc(pages, TMM_GFP_HIGHUSER | TMM_GFP_NOWARN, 0, &pfn) != TMM_OK)
		return;
	local = tmm_kmap_local(map, pfn);
	local[5] = mark;
	tmm_kunmap_local(map, local);
	slot = tmm_kmap(map, pfn, TMM_GFP_KERNEL);
	CHECK(slot[5] == mark);
	tmm_kunmap(map, pfn);
	tmm_pages_free(pages, pfn, 0);
}

static void *work(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t dice = test_random(&random);
		uint64_t *area = tmm_vmalloc(map, 4096 + dice % 30000,
		                             TMM_GFP_KERNEL | TMM_GFP_NOWARN);

		if (area)
			area[0] = area[1] = dice;
		/* acq_rel: what its last owner wrote is seen, and ours by the next */
		area = __atomic_exchange_n(&shared[dice % NR_SHARED], area, __ATOMIC_ACQ_REL);
		check_and_free(area);
		if (dice % 8 == 0)
			use_slots(dice);
		if (dice % 500 == 0)
			tmm_vmalloc_purge(map);
	}
	return NULL;
}

static void run_threads(uint64_t lowmem_bytes)
{
	static struct tmm_firmware_range ranges[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = ranges,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, ranges),
	                                .nr_cpus = NR_THREADS + 1,
	                                .lowmem_bytes = lowmem_bytes};
	pthread_t thread[NR_THREADS];
	const char *why;

	machine = aligned_alloc(64, tmm_machine_bytes());
	CHECK(machine);
	CHECK(tmm_machine_init(machine, &shape, test_ram(RAM_BYTES), &why) == TMM_OK);
	map = tmm_machine_kernel_map(machine);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, work, (void *)(i + 1)) == 0);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < NR_SHARED; i++) {
		check_and_free(shared[i]);
		shared[i] = NULL;
	}
	tmm_check(machine);
	tmm_machine_fini(machine);
	free(machine);
}

TEST(areas_lent_by_one_thread_are_freed_by_another)
{
	run_threads(0);
}

TEST(threads_share_the_slots_of_high_memory)
{
	run_threads(UINT64_C(32) << 20);
}
