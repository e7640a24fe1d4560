/*
 * large.c - more than 4 MiB in one piece, in every way there is
 *
 * Linux's page allocator lends runs of up to 4 MiB.  Whoever needs a longer run, of
 * frames in a row, can have it in one of these ways; each is taken here, on a
 * machine of 256 MiB, and what it costs is put side by side:
 *
 *   larger order  boot with a larger maximum order; runs are powers of two
 *   early boot    take it from memblock before the page allocator has it
 *   mem=          hide the end of RAM from the kernel, claim it as a region of
 *                 physical addresses and map that (memremap)
 *   CMA           set an area apart that movable pages use meanwhile
 *   vmalloc       frames from anywhere, in a row by kernel address alone: for the
 *                 processor, not for a device
 *
 * Each piece is written to and read back; the rest of the machine is used up in the
 * meantime, so that a piece which the machine believes to be its own is found out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tuxmm/cma.h>
#include <tuxmm/hosted.h>
#include <tuxmm/ioremap.h>
#include <tuxmm/machine.h>
#include <tuxmm/resource.h>
#include <tuxmm/vmalloc.h>

#define MIB       (UINT64_C(1) << 20)
#define RAM_BYTES (256 * MIB)
#define WANTED    (24 * MIB) /* no power of two: what a camera needs */

/* Which run of which machine, and what it took. */
struct piece {
	uint64_t start, bytes; /* bytes: what is not free because of it */
	unsigned char *memory; /* where it is used; NULL: at its start in the direct map */
	double microseconds;   /* from asking to having; 0: at boot */
	uint64_t idle_bytes;   /* what nobody else can use while it is not needed */
	const char *given_back;
};

struct rig {
	struct tmm_hosted_ram ram;
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES + 2];
	struct tmm_shape shape;
	struct tmm_machine *machine;
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "large: %s: %s\n", what, why);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* RAM, and a shape of it that can still be changed. */
static void prepare(struct rig *rig)
{
	*rig = (struct rig){.shape = {.firmware_map = rig->map, .nr_cpus = 1}};
	rig->shape.nr_ranges = tmm_firmware_pc(RAM_BYTES, rig->map);
	if (tmm_hosted_ram_create(RAM_BYTES, &rig->ram) != TMM_OK)
		fail("RAM", "the host has no room for it");
	rig->machine = aligned_alloc(64, tmm_machine_bytes());
	if (!rig->machine)
		fail("the machine", "no memory for it");
	memset(rig->machine, 0, tmm_machine_bytes());
}

static void boot(struct rig *rig)
{
	const char *why;

	if (tmm_machine_init(rig->machine, &rig->shape, rig->ram.start, &why) != TMM_OK)
		fail("boot", why);
}

static unsigned char *address(const struct rig *rig, uint64_t start)
{
	return (unsigned char *)rig->ram.start + start;
}

/*
 * Use the piece, have all other memory of the machine in use too, and look at the
 * piece again; then put the machine away.
 */
static void use(struct rig *rig, const struct piece *piece)
{
	struct tmm_pages *pages = tmm_machine_pages(rig->machine);
	uint64_t nr = tmm_pages_managed_count(pages), lent = 0;
	tmm_pfn *others = malloc(nr * sizeof(*others));

	unsigned char *memory = piece->memory ? piece->memory : address(rig, piece->start);

	if (!others)
		fail("the test", "no memory for it");
	memset(memory, 0xa5, WANTED);
	while (lent < nr && tmm_pages_alloc(pages, TMM_GFP_NOWAIT | TMM_GFP_NOWARN, 0,
	                                    &others[lent]) == TMM_OK) {
		memset(tmm_page_address(pages, others[lent]), 0x5a, TMM_PAGE_SIZE);
		lent++;
	}
	for (uint64_t i = 0; i < WANTED; i++)
		if (memory[i] != 0xa5)
			fail("the piece", "somebody else wrote to it");
	while (lent > 0)
		tmm_pages_free(pages, others[--lent], 0);
	free(others);
}

static void put_away(struct rig *rig)
{
	tmm_check(rig->machine);
	tmm_machine_fini(rig->machine);
	free(rig->machine);
	tmm_hosted_ram_destroy(&rig->ram);
}

/* The reason for all this: what the usual machine says. */
static void show_limit(void)
{
	struct rig rig;
	tmm_pfn pfn;
	tmm_err err;

	prepare(&rig);
	boot(&rig);
	err = tmm_pages_alloc(tmm_machine_pages(rig.machine), TMM_GFP_KERNEL,
	                      TMM_DEFAULT_ORDER + 1, &pfn);
	printf("a run of 8 MiB of a machine as it comes: %s\n\n",
	       err == TMM_E_INVAL ? "refused, 4 MiB is the longest" : "lent, which is wrong");
	put_away(&rig);
}

static struct piece by_larger_order(void)
{
	const unsigned order = 13; /* 32 MiB: the next power of two */
	struct piece piece = {.given_back = "at any time"};
	struct rig rig;
	tmm_pfn pfn;

	prepare(&rig);
	rig.shape.max_order = order;
	boot(&rig);
	piece.microseconds = -now();
	if (tmm_pages_alloc(tmm_machine_pages(rig.machine), TMM_GFP_KERNEL, order, &pfn))
		fail("larger order", "no such run is free");
	piece.microseconds += now();
	piece.start = tmm_pfn_to_paddr(pfn).v;
	piece.bytes = TMM_PAGE_SIZE << order;
	use(&rig, &piece);
	tmm_pages_free(tmm_machine_pages(rig.machine), pfn, order);
	put_away(&rig);
	return piece;
}

/* What memblock lends before the hand-over is reserved for the machine that boots. */
static struct piece by_early_boot(void)
{
	const struct tmm_memblock_request request = {
		.size_bytes = WANTED, .align_bytes = MIB, .node = TMM_NODE_ANY};
	struct piece piece = {.bytes = WANTED, .idle_bytes = WANTED, .given_back = "never"};
	static struct tmm_memblock memblock;
	struct rig rig;
	tmm_paddr start;

	prepare(&rig);
	tmm_memblock_init(&memblock, rig.ram.start);
	if (tmm_memblock_from_firmware(&memblock, rig.map, rig.shape.nr_ranges, 0) ||
	    tmm_memblock_alloc(&memblock, &request, &start))
		fail("early boot", "memblock has no room for it");
	rig.map[rig.shape.nr_ranges++] = (struct tmm_firmware_range){
		.start = start, .size_bytes = WANTED, .type = TMM_FW_RESERVED};
	boot(&rig);
	piece.start = start.v;
	use(&rig, &piece);
	put_away(&rig);
	return piece;
}

/* request_mem_region() and memremap(), of memory that caches as memory does. */
static unsigned char *claim_and_map(struct rig *rig, tmm_paddr start)
{
	unsigned char *memory;

	if (tmm_mem_region_request(tmm_machine_iomem(rig->machine), start, WANTED, "camera",
	                           NULL) != TMM_OK)
		fail("mem=", "somebody else has claimed the region");
	memory = tmm_memremap(tmm_machine_io(rig->machine), start, WANTED, TMM_CACHE_WB);
	if (!memory)
		fail("mem=", "the region cannot be mapped");
	return memory;
}

/* What the kernel does not know of is the driver's, at a known address. */
static struct piece by_mem_limit(void)
{
	struct piece piece = {
		.bytes = WANTED, .idle_bytes = WANTED, .given_back = "at a reboot"};
	struct rig rig;

	prepare(&rig);
	rig.shape.mem_limit_bytes = RAM_BYTES - WANTED - MIB;
	boot(&rig);
	piece.start = RAM_BYTES - WANTED;
	if (tmm_memblock_end(tmm_machine_memblock(rig.machine)) > piece.start)
		fail("mem=", "the machine reaches into what it should not know of");
	piece.microseconds = -now();
	piece.memory = claim_and_map(&rig, (tmm_paddr){piece.start});
	piece.microseconds += now();
	use(&rig, &piece);
	tmm_memunmap(tmm_machine_io(rig.machine), piece.memory);
	if (tmm_mem_region_release(tmm_machine_iomem(rig.machine), (tmm_paddr){piece.start},
	                           WANTED) != TMM_OK)
		fail("mem=", "the region is not claimed");
	put_away(&rig);
	return piece;
}

/* Frames from anywhere: nothing has to be kept for it, and nothing is adjacent but addresses.
 */
static struct piece by_vmalloc(void)
{
	struct piece piece = {.bytes = WANTED, .given_back = "at any time"};
	struct tmm_kernel_map *map;
	struct rig rig;
	tmm_vaddr va;

	prepare(&rig);
	boot(&rig);
	map = tmm_machine_kernel_map(rig.machine);
	piece.microseconds = -now();
	piece.memory = tmm_vmalloc(map, WANTED, TMM_GFP_KERNEL);
	piece.microseconds += now();
	if (!piece.memory || !tmm_kernel_address(map, piece.memory, &va))
		fail("vmalloc", "memory or addresses are short");
	piece.start = va.v;
	use(&rig, &piece);
	tmm_vfree(map, piece.memory);
	put_away(&rig);
	return piece;
}

static struct piece by_cma(void)
{
	struct piece piece = {.bytes = WANTED, .given_back = "at any time"};
	struct rig rig;
	struct tmm_cma *area;
	tmm_pfn pfn;

	prepare(&rig);
	rig.shape.nr_cma = 1;
	rig.shape.cma[0] = (struct tmm_cma_spec){
		.name = "camera", .size_bytes = WANTED, .node = TMM_NODE_ANY};
	boot(&rig);
	area = tmm_cma_find(tmm_machine_pages(rig.machine), "camera");
	piece.microseconds = -now();
	if (!area || tmm_cma_alloc(area, WANTED / TMM_PAGE_SIZE, 0, &pfn, NULL))
		fail("CMA", "the area is not free");
	piece.microseconds += now();
	piece.start = tmm_pfn_to_paddr(pfn).v;
	use(&rig, &piece);
	tmm_cma_release(area, pfn, WANTED / TMM_PAGE_SIZE);
	put_away(&rig);
	return piece;
}

int main(void)
{
	static const struct {
		const char *name;
		struct piece (*get)(void);
	} ways[] = {
		{"larger order", by_larger_order},
		{"early boot", by_early_boot},
		{"mem=", by_mem_limit},
		{"CMA", by_cma},
		{"vmalloc", by_vmalloc},
	};

	show_limit();
	printf("%" PRIu64 " MiB in one piece:\n", WANTED / MIB);
	printf("%-13s %-18s %8s %10s %9s  %s\n", "way", "address", "taken", "idle cost", "time",
	       "given back");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct piece piece = ways[i].get();
		char time[32] = "at boot";

		if (piece.microseconds > 0)
			snprintf(time, sizeof(time), "%.1f us", piece.microseconds);
		printf("%-13s 0x%016" PRIx64 " %4" PRIu64 " MiB %6" PRIu64 " MiB %9s  %s\n",
		       ways[i].name, piece.start, piece.bytes / MIB, piece.idle_bytes / MIB,
		       time, piece.given_back);
	}
	return fflush(stdout) != 0;
}
