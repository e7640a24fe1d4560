/*
 * mmap_diff_test.c - address-space calls against those of the host kernel
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
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

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

/* ---- one call ---- */

enum kind { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, MSYNC, BRK, WRITE, NR_KINDS };

static const char *const kind_names[NR_KINDS] = {"mmap",    "munmap", "mprotect", "mremap",
                                                 "madvise", "msync",  "brk",      "write"};

struct op {
	enum kind kind;
	uint64_t addr, length, prot, flags, file, offset; /* mremap: prot new_length, offset
	                                                     new_addr */
};

static void op_print(FILE *out, const struct op *op)
{
	fprintf(out,
	        "%s %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %" PRIu64 " %#" PRIx64
	        "\n",
	        kind_names[op->kind], op->addr, op->length, op->prot, op->flags, op->file,
	        op->offset);
}

static bool op_parse(const char *line, struct op *op)
{
	char name[16];

	if (sscanf(line,
	           "%15s %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu64 " %" SCNx64,
	           name, &op->addr, &op->length, &op->prot, &op->flags, &op->file,
	           &op->offset) != 7)
		return false;
	for (op->kind = 0; op->kind < NR_KINDS; op->kind++) {
		if (!strcmp(name, kind_names[op->kind]))
			return true;
	}
	return false;
}

/* ---- the host's side ---- */

static uint64_t heap_start; /* the break at the start; page aligned */
static int host_fd[NR_FILES];
static uint64_t host_inode[NR_FILES];
static char maps_text[1 << 20];

_Noreturn static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t bytes = 0;
	ssize_t got;

	while (fd >= 0 &&
	       (got = read(fd, maps_text + bytes, sizeof(maps_text) - 1 - bytes)) > 0)
		bytes += (size_t)got;
	if (fd < 0 || bytes == 0 || bytes == sizeof(maps_text) - 1)
		die("reading /proc/self/maps");
	maps_text[bytes] = '\0';
	close(fd);
}

static void fill(uint64_t start, uint64_t end)
{
	void *at = (void *)start;

	if (start < end &&
	    mmap(at, end - start, PROT_NONE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
	         0) != at)
		die("filling the process");
}

/* Fill a gap, except for the holes. */
static void fill_but_holes(uint64_t start, uint64_t end)
{
	const uint64_t hole[2][2] = {{heap_start, heap_start + HEAP_PAGES * PAGE},
	                             {HOLE_START, HOLE_START + HOLE_PAGES * PAGE}};

	for (unsigned i = 0; i < 2; i++) {
		if (hole[i][1] <= start || hole[i][0] >= end)
			continue;
		fill(start, hole[i][0]);
		start = hole[i][1];
	}
	fill(start, end);
}

/* A page that joins nothing on both sides of the hole, as the tmm_mm has it. */
static void wall(uint64_t at)
{
	if (mmap((void *)at, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
	         -1, 0) != (void *)at)
		die("a wall beside the hole");
}

static void host_begin(void)
{
	uint64_t end = MMAP_MIN;
	volatile char stack[512 << 10];

	for (size_t i = 0; i < sizeof(stack); i += PAGE)
		stack[i] = 1; /* the stack must not have to grow later */
	heap_start = (uint64_t)sbrk(0);
	heap_start = ((heap_start + PAGE - 1) & ~(PAGE - 1)) + PAGE;
	if (brk((void *)heap_start) != 0)
		die("a heap of a page at least");
	*(volatile char *)(heap_start - 1) = 1;
	for (unsigned i = 0; i < NR_FILES; i++) {
		int fd = memfd_create("diff", 0);
		struct stat st;
		char path[64];

		if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE) != 0 || fstat(fd, &st) != 0)
			die("memfd_create");
		host_inode[i] = st.st_ino;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		host_fd[i] = i < 2 ? fd : open(path, O_RDONLY);
	}
	wall(HOLE_START - PAGE);
	wall(HOLE_START + HOLE_PAGES * PAGE);
	wall(heap_start + HEAP_PAGES * PAGE);
	read_maps();
	for (char *line = maps_text; *line; line = strchr(line, '\n') + 1) {
		uint64_t start = strtoull(line, &line, 16);

		if (start >= TASK_SIZE)
			break;
		fill_but_holes(end, start);
		end = strtoull(line + 1, NULL, 16);
	}
	fill_but_holes(end, TASK_SIZE);
}

static void host_reset(void)
{
	uint64_t page[PAGE / 8];

	munmap((void *)HOLE_START, HOLE_PAGES * PAGE);
	/* the break moves down only where something is mapped */
	mmap((void *)heap_start, HEAP_PAGES * PAGE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (syscall(SYS_brk, heap_start) != (long)heap_start)
		die("the break moves back");
	munmap((void *)heap_start, HEAP_PAGES * PAGE);
	for (unsigned i = 0; i < NR_FILES; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", host_fd[i]);
		fd = open(path, O_RDWR);
		for (unsigned n = 0; n < FILE_PAGES; n++) {
			memset(page, 0, sizeof(page));
			page[0] = i * 100 + n + 1;
			if (pwrite(fd, page, PAGE, (off_t)(n * PAGE)) != (ssize_t)PAGE)
				die("writing a file");
		}
		close(fd);
	}
}

static int64_t host_apply(const struct op *op)
{
	uint64_t bytes = op->length;
	struct iovec here = {&bytes, 8}, there = {(void *)op->addr, 8};
	long result;

	switch (op->kind) {
	case MMAP:
		result = syscall(SYS_mmap, op->addr, op->length, op->prot, op->flags,
		                 op->file < NR_FILES ? host_fd[op->file] : -1, op->offset);
		break;
	case MUNMAP:
		result = syscall(SYS_munmap, op->addr, op->length);
		break;
	case MPROTECT:
		result = syscall(SYS_mprotect, op->addr, op->length, op->prot);
		break;
	case MREMAP:
		result = syscall(SYS_mremap, op->addr, op->length, op->prot, op->flags,
		                 op->offset);
		break;
	case MADVISE:
		result = syscall(SYS_madvise, op->addr, op->length, op->flags);
		break;
	case MSYNC:
		result = syscall(SYS_msync, op->addr, op->length, op->flags);
		break;
	case BRK:
		return syscall(SYS_brk, op->addr);
	default:
		result = process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 8 ? 0 : -1;
		errno = EFAULT;
		break;
	}
	return result == -1 ? -errno : result;
}

/* ---- our side ---- */

static struct rig {
	struct cpu_set cpus;
	struct tmm_memblock memblock;
	struct tmm_pages pages;
	struct tmm_slab_system slabs;
	struct tmm_cache_system cache;
	struct tmm_space_system spaces;
	struct tmm_mm *mm;
	struct tmm_file *file[NR_FILES];
	void *ram;
} rig;

static tmm_err file_read(void *owner, uint64_t index, size_t nr, void *const *page_addresses)
{
	for (size_t i = 0; i < nr; i++) {
		memset(page_addresses[i], 0, PAGE);
		if (index + i < FILE_PAGES)
			*(uint64_t *)page_addresses[i] = (uint64_t)(uintptr_t)owner * 100 +
			                                 index + i + 1;
	}
	return TMM_OK;
}

static tmm_err file_write(void *owner, uint64_t index, const void *page_address, size_t bytes)
{
	(void)owner;
	(void)index;
	(void)page_address;
	(void)bytes;
	return TMM_OK; /* lasts for a round, in which the cache never lets a page go */
}

static uint64_t file_size(void *owner)
{
	(void)owner;
	return FILE_PAGES * PAGE;
}

static void file_release(void *owner)
{
	(void)owner;
}

static const struct tmm_mapping_ops file_ops = {file_read, file_write, file_size, file_release};

static void must(bool ok, const char *what)
{
	if (!ok) {
		errno = 0;
		die(what);
	}
}

static void our_fill(uint64_t start, uint64_t end, uint32_t flags)
{
	struct tmm_mmap_request request = {.addr = start,
	                                   .length = end - start,
	                                   .flags = flags | TMM_MAP_ANONYMOUS |
	                                            TMM_MAP_NORESERVE |
	                                            TMM_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	must(tmm_mm_mmap(rig.mm, &request, &addr) == TMM_OK, "filling the tmm_mm");
}

static void our_begin(void)
{
	const struct space_config config = {.anon_around_bytes = 4096,
	                                    .fault_around_bytes = 4096};
	tmm_err err;

	rig.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	               0);
	must(rig.ram != MAP_FAILED, "memory for a machine");
	cpu_set_init(&rig.cpus, 1);
	tmm_memblock_init(&rig.memblock, rig.ram);
	err = tmm_memblock_add(&rig.memblock, (tmm_paddr){0}, RAM_BYTES, 0);
	if (err == TMM_OK)
		err = pages_init(&rig.pages, &rig.memblock, rig.ram, &rig.cpus, 1);
	slab_init(&rig.slabs, &rig.pages);
	if (err == TMM_OK)
		err = cache_system_init(&rig.cache, &rig.pages, &rig.slabs);
	if (err == TMM_OK)
		err = space_system_init(&rig.spaces, &rig.pages, &rig.slabs, &rig.cache,
		                        &config);
	must(err == TMM_OK, "a machine");
}

static void our_files(void)
{
	for (uintptr_t i = 0; i < NR_FILES; i++) {
		struct tmm_file_spec spec = {.path = "/memfd:diff (deleted)",
		                             .inode = host_inode[i],
		                             .readable = true,
		                             .writable = i < 2,
		                             .shmem = true};

		must(tmm_mapping_create(&rig.cache, &file_ops, (void *)i, &spec.mapping) ==
		             TMM_OK,
		     "a mapping");
		must(tmm_file_create(&rig.cache, &spec, &rig.file[i]) == TMM_OK, "a file");
		tmm_mapping_put(spec.mapping);
	}
}

/* A new address space with the same holes as this process. */
static void our_reset(void)
{
	const struct tmm_mm_layout layout = {TASK_SIZE, MMAP_MIN, TASK_SIZE - (PAGE << 12)};
	const struct tmm_mm_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const struct tmm_mm_image image = {.start_brk = heap_start - PAGE};
	const uint64_t heap_end = heap_start + HEAP_PAGES * PAGE;
	const uint64_t hole_end = HOLE_START + HOLE_PAGES * PAGE;

	if (rig.mm) {
		tmm_mm_put(rig.mm);
		for (unsigned i = 0; i < NR_FILES; i++)
			tmm_file_put(rig.file[i]);
	}
	our_files();
	must(tmm_mm_create(&rig.spaces, &layout, &limits, &rig.mm) == TMM_OK, "an mm");
	tmm_mm_set_image(rig.mm, &image);
	our_fill(MMAP_MIN, heap_start - PAGE, TMM_MAP_PRIVATE);
	must(tmm_mm_brk(rig.mm, heap_start) == heap_start, "a heap");
	must(tmm_mm_fault(rig.mm, heap_start - 1, TMM_ACCESS_WRITE) == TMM_FAULT_OK,
	     "its page");
	our_fill(heap_end, heap_end + PAGE, TMM_MAP_SHARED);
	our_fill(heap_end + PAGE, HOLE_START - PAGE, TMM_MAP_PRIVATE);
	our_fill(HOLE_START - PAGE, HOLE_START, TMM_MAP_SHARED);
	our_fill(hole_end, hole_end + PAGE, TMM_MAP_SHARED);
	our_fill(hole_end + PAGE, TASK_SIZE, TMM_MAP_PRIVATE);
}

static int64_t our_mmap(const struct op *op)
{
	struct tmm_mmap_request request = {.addr = op->addr,
	                                   .length = op->length,
	                                   .prot = (uint32_t)op->prot,
	                                   .flags = (uint32_t)op->flags,
	                                   .offset = op->offset};
	uint64_t addr;
	tmm_err err;

	if (op->file < NR_FILES)
		request.file = rig.file[op->file];
	err = tmm_mm_mmap(rig.mm, &request, &addr);
	return err == TMM_OK ? (int64_t)addr : err;
}

static bool mapped(uint64_t addr)
{
	const struct vma *vma = find_vma(rig.mm, addr);

	return vma && vma->start <= addr;
}

static int64_t our_apply(const struct op *op)
{
	uint64_t addr;
	tmm_err err;

	switch (op->kind) {
	case MMAP:
		return our_mmap(op);
	case MUNMAP:
		return tmm_mm_munmap(rig.mm, op->addr, op->length);
	case MPROTECT:
		return tmm_mm_mprotect(rig.mm, op->addr, op->length, (uint32_t)op->prot);
	case MREMAP:
		err = tmm_mm_mremap(rig.mm, op->addr, op->length, op->prot, (uint32_t)op->flags,
		                    op->offset, &addr);
		return err == TMM_OK ? (int64_t)addr : err;
	case MADVISE:
		return tmm_mm_madvise(rig.mm, op->addr, op->length, (int)op->flags);
	case MSYNC:
		return tmm_mm_msync(rig.mm, op->addr, op->length, (uint32_t)op->flags);
	case BRK:
		return (int64_t)tmm_mm_brk(rig.mm, op->addr);
	default: /* process_vm_writev() lets no stack grow */
		if (!mapped(op->addr))
			return -EFAULT;
		return tmm_copy_to_user(rig.mm, op->addr, &op->length, 8) ? -EFAULT : 0;
	}
}

/* ---- comparing ---- */

struct line {
	uint64_t start, end, offset, inode;
	char perms[5];
};

static bool in_holes(uint64_t start, uint64_t end)
{
	return (start < HOLE_START + HOLE_PAGES * PAGE && end > HOLE_START) ||
	       (start < heap_start + HEAP_PAGES * PAGE && end > heap_start);
}

static uint64_t clip(uint64_t start)
{
	return start < heap_start && start + (UINT64_C(1) << 32) > heap_start ? heap_start
	                                                                      : start;
}

static unsigned host_lines(struct line *out)
{
	unsigned nr = 0;

	read_maps();
	for (char *text = maps_text; *text; text = strchr(text, '\n') + 1) {
		struct line *line = &out[nr];
		char path[128] = "";

		sscanf(text,
		       "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %127[^\n]",
		       &line->start, &line->end, line->perms, &line->offset, &line->inode,
		       path);
		if (!in_holes(line->start, line->end))
			continue;
		line->start = clip(line->start);
		if (!strncmp(path, "/dev/zero", 9))
			line->inode = 1;
		nr++;
	}
	return nr;
}

static unsigned our_lines(struct line *out)
{
	struct tmm_area area = {.end = 0};
	unsigned nr = 0;

	while (tmm_mm_area(rig.mm, area.end, false, &area)) {
		struct line *line = &out[nr];

		if (!in_holes(area.start, area.end))
			continue;
		line->start = clip(area.start);
		line->end = area.end;
		line->offset = area.offset;
		line->inode = !area.file ? 0 : area.file->path[1] == 'd' ? 1 : area.file->inode;
		snprintf(line->perms, sizeof(line->perms), "%c%c%c%c", area.read ? 'r' : '-',
		         area.write ? 'w' : '-', area.exec ? 'x' : '-',
		         area.shared ? 's' : 'p');
		nr++;
	}
	return nr;
}

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

static uint64_t random_state;

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

static void pick_op(struct op *op)
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
