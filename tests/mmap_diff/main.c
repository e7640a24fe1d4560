/*
 * main.c - address-space calls against those of the host kernel
 *
 * The same call is made on a tmm_mm and in this very process; result, errno, the
 * map and the bytes must be the same.  To make even searches for room comparable,
 * everything in the process is filled up but two holes, and the tmm_mm has the
 * same two:
 *
 *   0  filler  |heap|  free HEAP_PAGES  |filler|  free HOLE_PAGES  |filler|  end
 *              brk at the start              HOLE_START
 *
 * A round starts with empty holes and makes ROUND_OPS random calls.  A round that
 * differs is replayed and shortened, and printed as text, one call a line; such a
 * text is replayed by giving its file as an argument.
 *
 *   mmap-diff [SECONDS | FILE]         TUXMM_SEED chooses the calls
 *
 * Not compared, because Linux 6.1 to 6.18 disagree or the host decides: mremap
 * with MREMAP_FIXED over several areas, PROT_EXEC alone (protection keys), huge
 * pages and their alignment, which pages a lazy free has taken.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "diff.h"

/* ---- comparing ---- */

static bool explain; /* print what differs */

static bool same_maps(void)
{
	static struct line host[200], ours[200];
	unsigned nr_host = host_lines(host), nr_ours = our_lines(ours);

	for (unsigned i = 0; i < nr_host || i < nr_ours; i++) {
		const struct line *h = &host[i], *o = &ours[i];

		if (i < nr_host && i < nr_ours && h->start == o->start && h->end == o->end &&
		    h->offset == o->offset && h->inode == o->inode &&
		    !strcmp(h->perms, o->perms))
			continue;
		if (explain && i < nr_host)
			printf("# host %" PRIx64 "-%" PRIx64 " %s %" PRIx64 " %" PRIu64 "\n",
			       h->start, h->end, h->perms, h->offset, h->inode);
		if (explain && i < nr_ours)
			printf("# ours %" PRIx64 "-%" PRIx64 " %s %" PRIx64 " %" PRIu64 "\n",
			       o->start, o->end, o->perms, o->offset, o->inode);
		return false;
	}
	return true;
}

static bool same_bytes_from(uint64_t start, unsigned nr_pages)
{
	for (unsigned i = 0; i < nr_pages; i++) {
		uint64_t addr = start + i * PAGE, host = 0, ours = 0;
		struct iovec here = {&host, 8}, there = {(void *)addr, 8};
		bool host_reads, we_read;

		/* process_vm_readv() wants VM_READ, where the processor reads what it can write
		 */
		if (!mapped(addr) || !(find_vma(rig.mm, addr)->flags & VM_READ))
			continue;
		host_reads = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 8;
		we_read = tmm_copy_from_user(rig.mm, &ours, addr, 8) == 0;
		if (host_reads == we_read && (!we_read || host == ours))
			continue;
		if (explain)
			printf("# at %" PRIx64 ": host %d %" PRIx64 ", ours %d %" PRIx64 "\n",
			       addr, host_reads, host, we_read, ours);
		return false;
	}
	return true;
}

static bool compare(void)
{
	tmm_mm_check(rig.mm);
	return same_maps() && same_bytes_from(HOLE_START, HOLE_PAGES) &&
	       same_bytes_from(heap_start, HEAP_PAGES);
}

/* ---- rounds ---- */

static void reset(void)
{
	host_reset();
	our_reset();
}

/* Several areas under MREMAP_FIXED: see the top of the file. */
static bool comparable(const struct op *op)
{
	const struct vma *vma = find_vma(rig.mm, op->addr);

	return op->kind != MREMAP || !(op->flags & MREMAP_FIXED) || !vma ||
	       op->addr + op->length <= vma->end;
}

static bool apply(const struct op *op)
{
	int64_t host, ours;

	if (!comparable(op))
		return true;
	host = host_apply(op);
	ours = our_apply(op);
	if (host == ours)
		return true;
	if (explain)
		printf("# host answers %#" PRIx64 " (%" PRId64 "), ours %#" PRIx64 " (%" PRId64
		       ")\n",
		       (uint64_t)host, host, (uint64_t)ours, ours);
	return false;
}

/* How many calls of the round agree; nr when all do. */
static unsigned play(const struct op *ops, unsigned nr, unsigned compare_each)
{
	reset();
	for (unsigned i = 0; i < nr; i++) {
		if (!apply(&ops[i]))
			return i;
		if ((i % compare_each == compare_each - 1 || i == nr - 1) && !compare())
			return i;
	}
	return nr;
}

/* Leave out what is not needed for the round to differ. */
static unsigned shorten(struct op *ops, unsigned nr)
{
	static struct op fewer[ROUND_OPS];
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < nr; i++) {
			unsigned agree;

			memcpy(fewer, ops, i * sizeof(*ops));
			memcpy(fewer + i, ops + i + 1, (nr - i - 1) * sizeof(*ops));
			agree = play(fewer, nr - 1, 1);
			if (agree == nr - 1)
				continue;
			nr = agree + 1;
			memcpy(ops, fewer, nr * sizeof(*ops));
			again = true;
			i = i ? i - 1 : i;
		}
	}
	return nr;
}

static int report(struct op *ops, unsigned nr, uint64_t seed)
{
	unsigned agree = play(ops, nr, 1);

	printf("# a difference, TUXMM_SEED=%" PRIu64 "\n", seed);
	if (agree < nr) {
		nr = shorten(ops, agree + 1);
		explain = true;
		play(ops, nr, 1);
	} else {
		printf("# it does not show when the round is played again\n");
	}
	for (unsigned i = 0; i < nr; i++)
		op_print(stdout, &ops[i]);
	printf("not ok 1 - calls answer as the host kernel's\n1..1\n");
	return 1;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_random(double most_seconds, uint64_t seed)
{
	static struct op ops[ROUND_OPS];
	double end = seconds() + most_seconds;
	uint64_t nr_ops = 0;

	printf("# TUXMM_SEED=%" PRIu64 "\n", seed);
	random_state = seed;
	while (nr_ops < MAX_OPS && seconds() < end) {
		reset();
		for (unsigned i = 0; i < ROUND_OPS; i++) {
			pick_op(&ops[i]);
			if (!apply(&ops[i]) ||
			    (i % COMPARE_OPS == COMPARE_OPS - 1 && !compare()))
				return report(ops, i + 1, seed);
		}
		nr_ops += ROUND_OPS;
	}
	tmm_space_check(&rig.spaces);
	printf("# %" PRIu64 " calls, no difference\n", nr_ops);
	printf("ok 1 - calls answer as the host kernel's\n1..1\n");
	return 0;
}

static int run_file(const char *path)
{
	static struct op ops[ROUND_OPS];
	FILE *in = fopen(path, "r");
	char line[256];
	unsigned nr = 0;

	while (in && nr < ROUND_OPS && fgets(line, sizeof(line), in)) {
		if (line[0] != '#' && op_parse(line, &ops[nr]))
			nr++;
	}
	if (!in || !nr)
		die(path);
	host_begin();
	explain = true;
	if (play(ops, nr, 1) < nr) {
		printf("not ok 1 - %s\n1..1\n", path);
		return 1;
	}
	printf("ok 1 - %s\n1..1\n", path);
	return 0;
}

int main(int argc, char **argv)
{
	const char *seed_text = getenv("TUXMM_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 0;
	static char out_buffer[4096];
	char *rest = NULL;
	double most = argc > 1 ? strtod(argv[1], &rest) : 15;

	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		/* addresses must be the same in each run, so that texts can be replayed */
		if (personality(ADDR_NO_RANDOMIZE) == -1 ||
		    !(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
			printf("1..0 # SKIP the host does not let a process choose its "
			       "layout\n");
			return 0;
		}
		execv("/proc/self/exe", argv);
		die("execv");
	}
	setvbuf(stdout, out_buffer, _IOLBF, sizeof(out_buffer));
	our_begin();
	if (rest && *rest)
		return run_file(argv[1]);
	host_begin();
	return run_random(most, seed ? seed : UINT64_C(0x9e3779b97f4a7c15));
}
