/*
 * fault.c - what a touched page costs: our part of a fault, no trap
 *
 *	bench-fault [--json] [--only PATTERN]
 *
 * A machine of 512 MiB; each pattern touches 128 MiB of one area, page after page
 * or in the order of a fixed permutation, and unmaps it again.  RAM was written
 * before, so that the host does not fault; it is far larger than the processor's
 * caches, so that frames are cold when they are cleared.  ns a fault, or a page.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "page/page_system.h"
#include "slab/slab_system.h"
#include "space/space_system.h"

#include "bench.h"

#define MIB        (UINT64_C(1) << 20)
#define RAM_BYTES  (512 * MIB)
#define AREA_BYTES (128 * MIB)
#define NR_PAGES   (AREA_BYTES / 4096)
#define BASE       UINT64_C(0x200000000)
#define TASK_SIZE  UINT64_C(0x7ffffffff000)
#define RUNS       11
#define READ_WRITE (TMM_PROT_READ | TMM_PROT_WRITE)
#define ANON       (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)

static void *ram;
static struct tmm_memblock memblock;
static struct cpu_set cpus;
static struct tmm_pages pages;
static struct tmm_slab_system slabs;
static struct tmm_cache_system cache;
static struct tmm_space_system spaces;
static struct tmm_mm *mm;
static struct tmm_file *file;
static uint32_t order[NR_PAGES];
static bool around; /* around: a fault may make many pages */

static void must(bool fine, const char *what)
{
	if (!fine)
		bench_stop(what);
}

/* ---- a machine with one address space and one file ---------------------- */

static tmm_err read_bytes(void *owner, uint64_t index, size_t nr, void *const *page_addresses)
{
	(void)owner;
	(void)index;
	for (size_t i = 0; i < nr; i++)
		memset(page_addresses[i], 1, 4096);
	return TMM_OK;
}

static uint64_t file_size(void *owner)
{
	(void)owner;
	return AREA_BYTES;
}

static void release(void *owner)
{
	(void)owner;
}

static const struct tmm_mapping_ops file_ops = {
	.read = read_bytes, .size = file_size, .release = release};

static void boot(uint32_t around_bytes)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS,
	                                    .anon_around_bytes = around_bytes,
	                                    .fault_around_bytes = around_bytes};
	const struct tmm_mm_layout layout = {
		.task_size = TASK_SIZE, .mmap_min = 65536, .mmap_base = TASK_SIZE - 64 * MIB};
	const struct tmm_mm_limits limits = {TMM_RLIM_INFINITY, TMM_RLIM_INFINITY, 8 * MIB,
	                                     TMM_RLIM_INFINITY};
	struct tmm_file_spec spec = {.path = "/file", .readable = true};

	around = around_bytes != 4096;
	memset(ram, 0, RAM_BYTES);
	tmm_memblock_init(&memblock, ram);
	cpu_set_init(&cpus, 1);
	must(tmm_memblock_add(&memblock, (tmm_paddr){0}, RAM_BYTES, 0) == TMM_OK &&
	             pages_init(&pages, &memblock,
	                        &(struct pages_config){.ram = ram, .cpus = &cpus}) == TMM_OK,
	     "a page allocator");
	slab_init(&slabs, &pages, NULL);
	must(cache_system_init(&cache, &pages, &slabs) == TMM_OK &&
	             space_system_init(&spaces, &pages, &slabs, &cache, &config) == TMM_OK &&
	             tmm_mm_create(&spaces, &layout, &limits, &mm) == TMM_OK,
	     "an address space");
	must(tmm_mapping_create(&cache, &file_ops, NULL, &spec.mapping) == TMM_OK &&
	             tmm_file_create(&cache, &spec, &file) == TMM_OK,
	     "a file");
	tmm_mapping_put(spec.mapping);
}

static void halt(void)
{
	tmm_mm_put(mm);
	tmm_file_put(file);
	space_system_fini(&spaces);
	cache_system_fini(&cache);
	slab_fini(&slabs);
	pages_fini(&pages);
}

static void map(uint32_t prot, struct tmm_file *what)
{
	const struct tmm_mmap_request request = {.addr = BASE,
	                                         .length = AREA_BYTES,
	                                         .prot = prot,
	                                         .flags = TMM_MAP_FIXED |
	                                                  (what ? TMM_MAP_PRIVATE : ANON),
	                                         .file = what};
	uint64_t got;

	must(tmm_mm_mmap(mm, &request, &got) == TMM_OK, "room for an area");
}

/* ---- patterns: each returns ns per operation ----------------------------- */

/* Fault on each page that has no leaf; returns ns a page. */
static double touch(unsigned access, bool scattered)
{
	const struct tmm_pgtable *pt = tmm_mm_pgtable(mm);
	double start = now_ns();

	for (uint64_t i = 0; i < NR_PAGES; i++) {
		uint64_t addr = BASE + (scattered ? order[i] : i) * 4096;

		if (around && tmm_pte_get(pt, (tmm_vaddr){addr}).v != 0)
			continue;
		must(tmm_mm_fault(mm, addr, access) == TMM_FAULT_OK, "memory for a page");
	}
	return (now_ns() - start) / (double)NR_PAGES;
}

/* ns a page. */
static double unmap(void)
{
	double start = now_ns();

	must(tmm_mm_munmap(mm, BASE, AREA_BYTES) == TMM_OK, "munmap to work");
	return (now_ns() - start) / (double)NR_PAGES;
}

static double read_zero(void)
{
	double ns;

	map(READ_WRITE, NULL);
	ns = touch(TMM_ACCESS_READ, false);
	unmap();
	return ns;
}

static double write_in_order(void)
{
	double ns;

	map(READ_WRITE, NULL);
	ns = touch(TMM_ACCESS_WRITE, false);
	unmap();
	return ns;
}

static double write_scattered(void)
{
	double ns;

	map(READ_WRITE, NULL);
	ns = touch(TMM_ACCESS_WRITE, true);
	unmap();
	return ns;
}

/* The part of a write fault that is the memory's: clear cold pages of the same RAM. */
static double clear_alone(void)
{
	double start = now_ns();

	for (uint64_t i = 0; i < NR_PAGES; i++)
		memset((char *)ram + RAM_BYTES / 2 + i * 4096, 0, 4096);
	return (now_ns() - start) / (double)NR_PAGES;
}

static double unmap_anon(void)
{
	map(READ_WRITE, NULL);
	touch(TMM_ACCESS_WRITE, false);
	return unmap();
}

static double read_cached(void)
{
	double ns;

	map(TMM_PROT_READ, file);
	ns = touch(TMM_ACCESS_READ, false);
	unmap();
	return ns;
}

static double unmap_file(void)
{
	map(TMM_PROT_READ, file);
	touch(TMM_ACCESS_READ, false);
	return unmap();
}

#define NR_COPIES 1000000u

static double copy_64(void)
{
	char bytes[64] = {0};
	double start;

	map(READ_WRITE, NULL);
	must(tmm_copy_to_user(mm, BASE, bytes, sizeof(bytes)) == 0, "a page to copy to");
	start = now_ns();
	for (unsigned i = 0; i < NR_COPIES; i++)
		must(tmm_copy_to_user(mm, BASE + i % 32 * 64, bytes, sizeof(bytes)) == 0,
		     "a copy");
	start = now_ns() - start;
	unmap();
	return start / NR_COPIES;
}

struct pattern {
	const char *name;
	double (*run)(void);
	double goal; /* ns; 0: none */
};

static const struct pattern one_page[] = {
	{"read fault, zero page", read_zero, 12},
	{"write fault, cleared", write_in_order, 75},
	{"write fault, scattered", write_scattered, 0},
	{"clearing alone", clear_alone, 0},
	{"file fault, cached", read_cached, 0},
};

static const struct pattern batched[] = {
	{"write in batches, a page", write_in_order, 0},
	{"scattered groups, a page", write_scattered, 0},
	{"file windows, a page", read_cached, 0},
	{"unmap anonymous, a page", unmap_anon, 12},
	{"unmap file, a page", unmap_file, 12},
	{"copy 64 bytes to user", copy_64, 0},
};

static void measure(const struct pattern *pattern)
{
	double ns[RUNS];

	if (!bench_wanted(pattern->name))
		return;
	pattern->run(); /* tables, slabs and the page cache are as they stay */
	for (int i = 0; i < RUNS; i++)
		ns[i] = pattern->run();
	bench_report(pattern->name, ns, RUNS, "ns", pattern->goal);
}

static void shuffle(void)
{
	uint64_t state = 88172645463325252u;

	for (uint32_t i = 0; i < NR_PAGES; i++)
		order[i] = i;
	for (uint32_t i = NR_PAGES - 1; i > 0; i--) {
		uint32_t j, page = order[i];

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		j = (uint32_t)(state % (i + 1));
		order[i] = order[j];
		order[j] = page;
	}
}

int main(int argc, char **argv)
{
	bench_begin("fault", argc, argv);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(ram != MAP_FAILED, "512 MiB of memory");
	shuffle();
	boot(4096);
	for (size_t i = 0; i < sizeof(one_page) / sizeof(one_page[0]); i++)
		measure(&one_page[i]);
	halt();
	boot(0);
	for (size_t i = 0; i < sizeof(batched) / sizeof(batched[0]); i++)
		measure(&batched[i]);
	halt();
	return 0;
}
