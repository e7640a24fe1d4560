/*
 * machine.h - machine files: the shape of a machine as text
 *
 * machine_read() turns the text of an INI file into a shape that tmm_machine_init()
 * takes, or into one line that says what is wrong with it, where, and what was
 * expected.  man/tuxmm-machine.5 is the language.
 */
#ifndef TUXMM_CMD_MACHINE_H
#define TUXMM_CMD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuxmm/machine.h>

#define MACHINE_MAX_RANGES   128u
#define MACHINE_MAX_SECTIONS (2 + MACHINE_MAX_RANGES + TMM_MAX_NODES + TMM_MAX_CMA_AREAS)
#define MACHINE_MAX_KEYS     28u
#define MACHINE_NAME         50u /* longest name of a section, with its kind and a final 0 */

enum section_kind {
	SECTION_MACHINE,
	SECTION_MEMORY,
	SECTION_NODE,
	SECTION_CMA,
	SECTION_DEBUG,
	NR_SECTIONS
};

/* Keys of each kind, in the order of its table in machine_file.c. */
enum machine_key {
	MACHINE_RAM,
	MACHINE_CPUS,
	MACHINE_KERNEL,
	MACHINE_MEM,
	MACHINE_MODEL,
	MACHINE_SECTION_SIZE,
	MACHINE_HOTPLUG_END,
	MACHINE_MAX_ORDER,
	MACHINE_TABLES,
	MACHINE_LOWMEM,
	MACHINE_KERNELCORE,
	MACHINE_MOVABLECORE,
	MACHINE_MIN_FREE,
	MACHINE_SCALE_FACTOR,
	MACHINE_STACK_HIGH,
	MACHINE_STACK_BATCH,
	MACHINE_OVERCOMMIT,
	MACHINE_OVERCOMMIT_RATIO,
	MACHINE_MAX_MAP_COUNT,
	MACHINE_FAULT_AROUND,
	MACHINE_ANON_AROUND,
	MACHINE_SLAB,
	MACHINE_SWIOTLB,
	MACHINE_SWIOTLB_MODE,
	MACHINE_COHERENT_POOL,
	MACHINE_DMA_DEBUG
};
enum memory_key { MEMORY_START, MEMORY_SIZE, MEMORY_TYPE, MEMORY_NODE };
enum node_key { NODE_CPUS, NODE_DISTANCE };
enum cma_key { CMA_SIZE, CMA_BASE, CMA_LIMIT, CMA_ALIGNMENT, CMA_ORDER_PER_BIT, CMA_NODE };

enum debug_key {
	DEBUG_PAGE_OWNER,
	DEBUG_POISON,
	DEBUG_SLAB,
	DEBUG_SLAB_NOMERGE,
	DEBUG_SLAB_PANIC,
	DEBUG_SLAB_RANDOM,
	DEBUG_FAILSLAB,
	DEBUG_FAILSLAB_SPARE
};

/* A section as it was written; lists of a node are in the struct machine_file. */
struct section {
	enum section_kind kind;
	unsigned line;
	char title[MACHINE_NAME];            /* "memory low" */
	unsigned key_line[MACHINE_MAX_KEYS]; /* 0: not given */
	uint64_t value[MACHINE_MAX_KEYS];    /* 0: not given, but for nodes TMM_NODE_ANY */
};

/* Points into itself: stays where it was read. */
struct machine_file {
	struct section section[MACHINE_MAX_SECTIONS];
	unsigned nr_sections;
	unsigned last_line;
	unsigned cpu_line[TMM_MAX_CPUS]; /* where its node took it; 0: nowhere */
	unsigned nr_distances[TMM_MAX_NODES];

	/* The outcome. */
	struct tmm_firmware_range map[MACHINE_MAX_RANGES];
	char slab_debug[TMM_SLAB_DEBUG_MOST + 1]; /* [debug] slab */
	struct tmm_shape shape;
	uint64_t ram_bytes;   /* as said, or the sum of what is usable */
	uint64_t arena_bytes; /* up to the end of the last usable range */

	unsigned fault_line;
	char fault[256]; /* what is wrong; "": nothing */
};

_Static_assert(MACHINE_MAX_RANGES >= TMM_FIRMWARE_PC_RANGES, "ram= makes a map too");

/*
 * ram_bytes, unless NULL, takes the place of the file's own memory; that it is
 * too small is left to boot.  False: file->fault and file->fault_line say why.
 */
bool machine_read(const char *text, size_t length, const uint64_t *ram_bytes,
                  struct machine_file *file);

/* ---- between the parts of the reader ---- */

/* Sections and keys as they stand, each value by itself valid. */
bool machine_parse(const char *text, size_t length, struct machine_file *file);

/* Sections against each other, and the shape they make. */
bool machine_check(struct machine_file *file, const uint64_t *ram_bytes);

/* The first fault stays; returns false. */
__attribute__((format(printf, 3, 4))) bool
machine_fault(struct machine_file *file, unsigned line, const char *format, ...);

/* The next section of a kind after `after`, or the first for NULL; NULL at the end. */
const struct section *machine_next(const struct machine_file *file, enum section_kind kind,
                                   const struct section *after);

/* The [machine] section; one without keys when the file has none. */
const struct section *machine_main(const struct machine_file *file);

/* ---- presets ---- */

struct preset {
	const char *name;
	const char *text;
};
extern const struct preset machine_presets[];
extern const size_t nr_machine_presets;

#endif
