/*
 * ours.c - the calls on an address space of ours with the same two holes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "diff.h"

struct rig rig;

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

void our_begin(void)
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
		err = pages_init(&rig.pages, &rig.memblock,
		                 &(struct pages_config){.ram = rig.ram,
		                                        .cpus = &rig.cpus,
		                                        .min_free_kbytes = 1});
	slab_init(&rig.slabs, &rig.pages, NULL);
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
void our_reset(void)
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

bool mapped(uint64_t addr)
{
	const struct vma *vma = find_vma(rig.mm, addr);

	return vma && vma->start <= addr;
}

int64_t our_apply(const struct op *op)
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

unsigned our_lines(struct line *out)
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
