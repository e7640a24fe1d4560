/*
 * pick.c - calls at random, most of them near what is mapped
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "diff.h"

uint64_t random_state;

static uint64_t pick(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

static bool rarely(void)
{
	return pick(40) == 0;
}

/* A range inside one of the holes, mostly. */
static void pick_range(uint64_t *addr, uint64_t *length)
{
	bool heap = pick(5) == 0;
	uint64_t nr = heap ? HEAP_PAGES : HOLE_PAGES, at = pick(nr), most = nr - at;

	*addr = (heap ? heap_start : HOLE_START) + at * PAGE;
	*length = (1 + pick(most < 12 ? most : 12)) * PAGE;
}

/* Lengths and addresses no program should pass. */
static void spoil(uint64_t *addr, uint64_t *length)
{
	static const uint64_t odd_lengths[] = {0,
	                                       1,
	                                       4095,
	                                       UINT64_MAX,
	                                       UINT64_MAX - 4094,
	                                       TASK_SIZE,
	                                       TASK_SIZE + 1,
	                                       UINT64_C(1) << 63};

	if (rarely())
		*addr += 1 + pick(4095);
	if (rarely())
		*length -= pick(4096);
	if (rarely())
		*length = odd_lengths[pick(sizeof(odd_lengths) / sizeof(*odd_lengths))];
	/* what spans more than the hole must be refused, or it would tear the process */
	if (*length > 64 * PAGE && *length < TASK_SIZE)
		*length = TASK_SIZE;
}

static uint32_t pick_prot(void)
{
	static const uint32_t prots[] = {0,
	                                 PROT_READ,
	                                 PROT_READ | PROT_WRITE,
	                                 PROT_READ | PROT_WRITE,
	                                 PROT_READ | PROT_WRITE,
	                                 PROT_READ | PROT_EXEC,
	                                 PROT_WRITE,
	                                 PROT_READ | PROT_WRITE | PROT_EXEC};

	return prots[pick(sizeof(prots) / sizeof(*prots))];
}

static void pick_mmap(struct op *op)
{
	static const uint32_t types[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED,
	                                 MAP_SHARED_VALIDATE};

	op->prot = pick_prot();
	op->flags = types[pick(4)];
	op->file = pick(3) ? UINT64_MAX : pick(NR_FILES);
	if (op->file == UINT64_MAX)
		op->flags |= MAP_ANONYMOUS;
	op->offset = pick(3) ? (op->addr & (15 * PAGE)) : pick(FILE_PAGES + 4) * PAGE;
	if (pick(3))
		op->flags |= pick(5) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	else if (pick(3) == 0)
		op->addr = 0;
	if (pick(8) == 0)
		op->flags |= MAP_NORESERVE;
	if (pick(12) == 0)
		op->flags |= MAP_POPULATE;
	if (pick(20) == 0)
		op->flags |= MAP_GROWSDOWN;
	if (rarely())
		op->flags ^= pick(4) ? MAP_32BIT : pick(2) ? MAP_SYNC : MAP_TYPE;
	if (rarely())
		op->offset = pick(2) ? op->offset + pick(PAGE) : -PAGE * (1 + pick(20));
}

static void pick_mremap(struct op *op)
{
	uint64_t length;

	pick_range(&op->offset, &length);
	op->prot = pick(3) ? length : op->length;
	op->flags = pick(4) ? MREMAP_MAYMOVE : 0;
	if (pick(3) == 0)
		op->flags |= MREMAP_FIXED;
	if (pick(6) == 0) {
		op->flags |= MREMAP_DONTUNMAP;
		op->prot = op->length;
	}
	if (rarely())
		op->length = 0;
	if (rarely())
		op->flags ^= 8;
	if (rarely())
		op->prot = pick(2) ? 0 : UINT64_MAX - pick(8192);
	if (op->offset + op->prot > HOLE_START + HOLE_PAGES * PAGE ||
	    (op->offset < HOLE_START && op->offset + op->prot > heap_start + HEAP_PAGES * PAGE))
		op->flags &= ~(uint64_t)(MREMAP_FIXED | MREMAP_DONTUNMAP);
}

static uint64_t pick_advice(void)
{
	static const int advices[] = {MADV_NORMAL,
	                              MADV_RANDOM,
	                              MADV_SEQUENTIAL,
	                              MADV_WILLNEED,
	                              MADV_DONTNEED,
	                              MADV_DONTNEED,
	                              MADV_DONTFORK,
	                              MADV_DOFORK,
	                              MADV_WIPEONFORK,
	                              MADV_KEEPONFORK,
	                              MADV_DONTDUMP,
	                              MADV_DODUMP,
	                              77};

	return (uint64_t)advices[pick(sizeof(advices) / sizeof(*advices))];
}

void pick_op(struct op *op)
{
	static const enum kind kinds[] = {MMAP,     MMAP,     MMAP,   MUNMAP, MUNMAP,
	                                  MPROTECT, MPROTECT, MREMAP, MREMAP, MADVISE,
	                                  MSYNC,    BRK,      WRITE,  WRITE,  WRITE};

	*op = (struct op){.kind = kinds[pick(sizeof(kinds) / sizeof(*kinds))]};
	pick_range(&op->addr, &op->length);
	if (op->kind == WRITE) {
		op->length = pick(UINT64_MAX);
		return;
	}
	if (op->kind == BRK) {
		op->addr = heap_start + pick(HEAP_PAGES + 2) * PAGE -
		           (pick(3) ? 0 : pick(PAGE));
		op->addr = op->addr < heap_start ? heap_start : op->addr;
		op->length = 0;
		return;
	}
	spoil(&op->addr, &op->length);
	if ((op->kind == MPROTECT || op->kind == MADVISE) && op->length >= TASK_SIZE &&
	    op->length < UINT64_MAX - 4095)
		op->length = 0; /* these work up to the first hole, which is far */
	switch (op->kind) {
	case MMAP:
		pick_mmap(op);
		break;
	case MPROTECT:
		op->prot = pick_prot();
		if (rarely())
			op->prot |= pick(3) ? 0x01000000 : pick(2) ? 0x02000000 : 0x40;
		break;
	case MREMAP:
		pick_mremap(op);
		break;
	case MADVISE:
		op->flags = pick_advice();
		break;
	case MSYNC:
		op->flags = pick(9);
		break;
	default:
		break;
	}
}
