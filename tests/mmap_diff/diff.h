/*
 * diff.h - what the files of mmap-diff share: calls, and the two that answer them
 */
#ifndef TUXMM_TESTS_MMAP_DIFF_H
#define TUXMM_TESTS_MMAP_DIFF_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "cache/cache_system.h"
#include "page/page_system.h"
#include "slab/slab_system.h"
#include "space/vma.h"

#define PAGE        UINT64_C(4096)
#define TASK_SIZE   UINT64_C(0x7ffffffff000)
#define MMAP_MIN    UINT64_C(0x10000)
#define HOLE_START  UINT64_C(0x700000000000)
#define HOLE_PAGES  64u
#define HEAP_PAGES  24u
#define ROUND_OPS   150u
#define COMPARE_OPS 10u
#define MAX_OPS     1000000u
#define FILE_PAGES  12u
#define NR_FILES    3u
#define RAM_BYTES   (UINT64_C(32) << 20)

/* One call. */
enum kind { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, MSYNC, BRK, WRITE, NR_KINDS };

struct op {
	enum kind kind;
	uint64_t addr, length, prot, flags, file, offset; /* mremap: prot new_length, offset
	                                                     new_addr */
};

void op_print(FILE *out, const struct op *op);
bool op_parse(const char *line, struct op *op);

/* A call at random, which may use what is mapped now (pick.c). */
extern uint64_t random_state;
void pick_op(struct op *op);

/* A line of a map, cut to the holes. */
struct line {
	uint64_t start, end, offset, inode;
	char perms[5];
};

/* The host's side (host.c). */
extern uint64_t heap_start; /* the break at the start; page aligned */
extern uint64_t host_inode[NR_FILES];
_Noreturn void die(const char *what);
void host_begin(void);
void host_reset(void);
int64_t host_apply(const struct op *op);
unsigned host_lines(struct line *out);
bool in_holes(uint64_t start, uint64_t end);
uint64_t clip(uint64_t start);

/* Our side (ours.c). */
struct rig {
	struct cpu_set cpus;
	struct tmm_memblock memblock;
	struct tmm_pages pages;
	struct tmm_slab_system slabs;
	struct tmm_cache_system cache;
	struct tmm_space_system spaces;
	struct tmm_mm *mm;
	struct tmm_file *file[NR_FILES];
	void *ram;
};

extern struct rig rig;
void our_begin(void);
void our_reset(void);
int64_t our_apply(const struct op *op);
unsigned our_lines(struct line *out);
bool mapped(uint64_t addr);

#endif
