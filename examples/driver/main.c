/*
 * main.c - a kernel for one driver: a machine, the chip, and a program's reads and writes
 *
 * The driver (rot13.c) knows Linux's names alone.  Its every allocation is made to fail
 * once: it must come up whole or not at all, and leave nothing behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuxmm/hosted.h>
#include <tuxmm/linux.h>

#include "chip.h"
#include "driver.h"
#include "inject.h"

#define MIB       UINT64_C(0x100000)
#define RAM_BYTES (64 * MIB)
#define CHIP_AT   UINT64_C(0xd0000000)

struct tmm_linux tmm_linux;

struct pc {
	struct tmm_hosted_ram ram;
	struct tmm_machine *machine;
	struct device dev;
	struct chip chip;
	struct rot13 *rot;
};

static void need(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "driver: %s\n", what);
	exit(1);
}

static void interrupt(void *arg)
{
	struct pc *pc = arg;

	rot13_interrupt(pc->rot);
}

static void boot(struct pc *pc)
{
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	const struct tmm_shape shape = {.firmware_map = map,
	                                .nr_ranges = tmm_firmware_pc(RAM_BYTES, map),
	                                .nr_cpus = 1,
	                                .dma_debug = TMM_DMA_DEBUG};
	const char *why = "there is memory for the machine";

	need(tmm_hosted_ram_create(RAM_BYTES, &pc->ram) == TMM_OK, why);
	pc->machine = aligned_alloc(64, tmm_machine_bytes());
	need(pc->machine &&
	             tmm_machine_init(pc->machine, &shape, pc->ram.start, &why) == TMM_OK,
	     why);
	tmm_linux_use(pc->machine);
	tmm_device_add(tmm_machine_dma(pc->machine), &pc->dev.tmm, "rot13");
	pc->chip = (struct chip){.device = &pc->dev.tmm, .interrupt = interrupt, .arg = pc};
	need(chip_attach(&pc->chip, tmm_machine_bus(pc->machine), (tmm_paddr){CHIP_AT}) ==
	             TMM_OK,
	     "the chip has its addresses");
}

static void halt(struct pc *pc)
{
	tmm_bus_detach(tmm_machine_bus(pc->machine), &pc->chip.block);
	tmm_device_remove(&pc->dev.tmm);
	tmm_machine_fini(pc->machine);
	free(pc->machine);
	tmm_hosted_ram_destroy(&pc->ram);
}

/* Every allocation of the probe fails once; returns how many there were. */
static unsigned fail_each(struct pc *pc)
{
	unsigned n = 0;
	bool failed;
	int err;

	boot(pc);
	do {
		tmm_inject_nth(++n, false);
		err = rot13_probe(&pc->dev, CHIP_AT, &pc->rot);
		failed = tmm_inject_stop();
		need(failed || err == 0, "the driver comes up when nothing fails");
		if (err == 0)
			rot13_remove(pc->rot);
		tmm_check(pc->machine);
	} while (failed);
	halt(pc); /* which panics if anything is left behind */
	return n - 1;
}

static void talk(struct pc *pc)
{
	static const char *const said[] = {"Uryyb,", "jbeyq!", "The quick brown fox"};
	char text[64];

	for (unsigned i = 0; i < 3; i++)
		need(rot13_write(pc->rot, said[i], strlen(said[i]) + 1) ==
		             (long)strlen(said[i]) + 1,
		     "the device takes what is written");
	for (unsigned i = 0; i < 3; i++) {
		need(rot13_read(pc->rot, text, sizeof(text)) == (long)strlen(said[i]) + 1,
		     "it is read in the same order");
		printf("%-20s -> %s\n", said[i], text);
	}
	need(rot13_read(pc->rot, text, sizeof(text)) == 0, "and no more than that");
}

/* Much, with nobody reading, then all of it twice turned. */
static void pour(struct pc *pc)
{
	char page[PAGE_SIZE], back[PAGE_SIZE];

	memset(page, 'x', sizeof(page));
	for (unsigned i = 0; i < 200; i++) {
		page[0] = (char)('a' + i % 26);
		need(rot13_write(pc->rot, page, sizeof(page)) == (long)sizeof(page),
		     "a page is taken");
	}
	for (unsigned i = 0; i < 200; i++) {
		need(rot13_read(pc->rot, back, sizeof(back)) == (long)sizeof(back) &&
		             back[0] == (char)('a' + (i + 13) % 26) && back[4095] == 'k',
		     "a page is turned");
	}
}

int main(void)
{
	struct pc pc = {0};
	unsigned long spare;

	printf("allocations of a probe, each failed once: %u\n", fail_each(&pc));
	boot(&pc);
	need(rot13_probe(&pc.dev, CHIP_AT, &pc.rot) == 0, "the driver comes up");
	talk(&pc);
	pour(&pc);
	spare = rot13_spare(pc.rot);
	need(tmm_drop_caches(pc.machine, TMM_DROP_SLAB) == TMM_OK && !rot13_spare(pc.rot),
	     "the shrinker gives what is spare");
	printf("turned by the chip: %llu buffers, %llu bytes; spare: %lu, after the shrinker "
	       "%lu\n",
	       (unsigned long long)pc.chip.nr_done, (unsigned long long)pc.chip.nr_bytes, spare,
	       rot13_spare(pc.rot));
	tmm_check(pc.machine);
	rot13_remove(pc.rot);
	halt(&pc);
	return 0;
}
