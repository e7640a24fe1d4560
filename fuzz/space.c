/*
 * space.c - address-space calls, faults and user copies against a model
 *
 * A successful call must have done what the model does; a refused one must have
 * changed nothing; one for which memory failed may have done a part, but maps
 * nothing new and loses no byte of what is still mapped.  After each operation
 * areas are compared, at the end every byte.
 */
#include "space.h"

#include <string.h>

#include "rig.h"

#define RAM_BYTES (UINT64_C(8) << 20)
#define MOST_COPY (4 * PAGE)

static struct tmm_machine *machine;
static struct tmm_mm *mm;
static struct tmm_file *file[NR_FILES];
static uint8_t disk[NR_FILES][FILE_PAGES][PAGE];
static uint64_t program_break;

/* ---- files ---- */

static tmm_err file_read(void *owner, uint64_t index, size_t nr, void *const *page_addresses)
{
	const unsigned i = (unsigned)(uintptr_t)owner;

	for (size_t n = 0; n < nr; n++) {
		memset(page_addresses[n], 0, PAGE);
		if (index + n < FILE_PAGES)
			memcpy(page_addresses[n], disk[i][index + n], PAGE);
	}
	return TMM_OK;
}

static tmm_err file_write(void *owner, uint64_t index, const void *page_address, size_t bytes)
{
	CHECK(index < FILE_PAGES && bytes <= PAGE);
	memcpy(disk[(uintptr_t)owner][index], page_address, bytes);
	return TMM_OK;
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

static void open_file(uintptr_t i)
{
	struct tmm_cache_system *cache = tmm_machine_cache(machine);
	struct tmm_file_spec spec = {
		.path = "/file", .inode = 10 + i, .readable = true, .writable = i < 2};

	memcpy(disk[i], file_object[i].byte, sizeof(disk[i]));
	CHECK(tmm_mapping_create(cache, &file_ops, (void *)i, &spec.mapping) == TMM_OK);
	CHECK(tmm_file_create(cache, &spec, &file[i]) == TMM_OK);
	tmm_mapping_put(spec.mapping);
}

/* ---- comparing ---- */

static bool area_is(const struct tmm_area *area, uint64_t addr, const struct model_page *page)
{
	uint32_t prot = (area->read ? TMM_PROT_READ : 0u) |
	                (area->write ? TMM_PROT_WRITE : 0u) | (area->exec ? TMM_PROT_EXEC : 0u);
	bool of_file = page->object && page->object->file >= 0;

	if (prot != page->prot || area->shared != page->shared)
		return false;
	if (of_file && area->file->inode != 10 + (uint64_t)page->object->file)
		return false;
	return !page->object || area->offset + (addr - area->start) == page->index * PAGE;
}

/* Areas cover the mapped pages, no more and no fewer. */
static void check(void)
{
	struct tmm_area area = {.end = 0};
	bool some = tmm_mm_area(mm, 0, false, &area);

	for (uint64_t addr = WINDOW_START; addr < WINDOW_END; addr += PAGE) {
		const struct model_page *page = model_at(addr);

		if (some && area.end <= addr)
			some = tmm_mm_area(mm, addr, false, &area);
		CHECK(page->mapped == (some && area.start <= addr));
		CHECK(!page->mapped || area_is(&area, addr, page));
	}
	CHECK(!tmm_mm_area(mm, WINDOW_END, false, &area));
}

/* A call failed half way: what it unmapped, and where it changed rights, stays so. */
static void follow_failure(bool rights_too)
{
	struct tmm_area area;

	for (uint64_t addr = WINDOW_START; addr < WINDOW_END; addr += PAGE) {
		struct model_page *page = model_at(addr);

		if (!page->mapped)
			continue; /* check() finds what is new */
		if (!tmm_mm_area(mm, addr, false, &area) || area.start > addr)
			model_unmap(addr, PAGE);
		else if (rights_too)
			page->prot = (area.read ? TMM_PROT_READ : 0u) |
			             (area.write ? TMM_PROT_WRITE : 0u) |
			             (area.exec ? TMM_PROT_EXEC : 0u);
	}
}

static void compare_bytes(void)
{
	static uint8_t seen[PAGE];

	for (uint64_t addr = WINDOW_START; addr < WINDOW_END; addr += PAGE) {
		size_t reach = model_reach(addr, PAGE, TMM_ACCESS_READ);

		CHECK(tmm_copy_from_user(mm, seen, addr, PAGE) == PAGE - reach);
		CHECK(!reach || memcmp(seen, model_bytes(model_at(addr)), PAGE) == 0);
	}
}

/* ---- begin and end ---- */

static void begin(void)
{
	const struct tmm_mm_layout layout = {WINDOW_END, WINDOW_START, WINDOW_END};
	const struct tmm_mm_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const struct tmm_mm_image image = {.start_brk = HEAP_START};

	machine = rig_begin(RAM_BYTES);
	model_begin();
	for (uintptr_t i = 0; i < NR_FILES; i++)
		open_file(i);
	CHECK(tmm_mm_create(tmm_machine_spaces(machine), &layout, &limits, &mm) == TMM_OK);
	tmm_mm_set_image(mm, &image);
	program_break = HEAP_START;
}

static void end(void)
{
	compare_bytes();
	tmm_check(machine);
	tmm_mm_put(mm);
	for (unsigned i = 0; i < NR_FILES; i++) {
		tmm_file_put(file[i]); /* writes back */
		CHECK(memcmp(disk[i], file_object[i].byte, sizeof(disk[i])) == 0);
	}
	model_end();
	rig_end(machine);
}

/* ---- numbers at random ---- */

static void draw_range(uint64_t *random, uint64_t *arg)
{
	static const uint64_t odd[] = {
		0, 1, PAGE - 1, UINT64_MAX, UINT64_MAX - PAGE, WINDOW_END, UINT64_C(1) << 63};
	uint64_t at = pick(random, WINDOW_PAGES), most = WINDOW_PAGES - at;

	arg[0] = WINDOW_START + at * PAGE;
	arg[1] = (1 + pick(random, most < 12 ? most : 12)) * PAGE;
	if (pick(random, 40) == 0)
		arg[0] += 1 + pick(random, PAGE - 1);
	if (pick(random, 20) == 0)
		arg[1] -= pick(random, PAGE);
	if (pick(random, 60) == 0)
		arg[pick(random, 2)] = odd[pick(random, sizeof(odd) / sizeof(*odd))];
}

static uint32_t draw_prot(uint64_t *random)
{
	static const uint32_t prots[] = {0, 1, 3, 3, 3, 5, 2, 7};

	return prots[pick(random, 8)];
}

static void draw_mmap(uint64_t *random, uint64_t *arg)
{
	static const uint32_t types[] = {TMM_MAP_PRIVATE, TMM_MAP_PRIVATE, TMM_MAP_SHARED,
	                                 TMM_MAP_SHARED_VALIDATE};

	draw_range(random, arg);
	arg[2] = draw_prot(random);
	arg[3] = types[pick(random, 4)];
	arg[4] = pick(random, 3) ? UINT64_MAX : pick(random, NR_FILES);
	if (arg[4] == UINT64_MAX)
		arg[3] |= TMM_MAP_ANONYMOUS;
	arg[5] = pick(random, 3) ? arg[0] & (15 * PAGE) : pick(random, FILE_PAGES + 4) * PAGE;
	if (pick(random, 3))
		arg[3] |= pick(random, 5) ? TMM_MAP_FIXED : TMM_MAP_FIXED_NOREPLACE;
	else if (pick(random, 3) == 0)
		arg[0] = 0;
	if (pick(random, 6) == 0)
		arg[3] |= TMM_MAP_POPULATE;
	if (pick(random, 8) == 0)
		arg[3] |= TMM_MAP_NORESERVE;
}

static void draw_mprotect(uint64_t *random, uint64_t *arg)
{
	draw_range(random, arg);
	arg[2] = draw_prot(random);
}

static void draw_mremap(uint64_t *random, uint64_t *arg)
{
	uint64_t to[2];

	draw_range(random, arg);
	draw_range(random, to);
	arg[2] = pick(random, 3) ? to[1] : arg[1];
	arg[3] = pick(random, 4) ? TMM_MREMAP_MAYMOVE : 0;
	arg[5] = to[0];
	if (pick(random, 3) == 0)
		arg[3] |= TMM_MREMAP_FIXED;
	if (pick(random, 6) == 0) {
		arg[3] |= TMM_MREMAP_DONTUNMAP;
		arg[2] = arg[1];
	}
	if (pick(random, 12) == 0)
		arg[1] = 0;
}

static void draw_advice(uint64_t *random, uint64_t *arg)
{
	draw_range(random, arg);
	arg[3] = pick(random, 2) ? TMM_MADV_DONTNEED : pick(random, 26);
}

static void draw_brk(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, 8) ? HEAP_START + pick(random, 24 * PAGE)
	                         : pick(random, HEAP_START);
}

static void draw_access(uint64_t *random, uint64_t *arg)
{
	draw_range(random, arg);
	arg[0] += pick(random, PAGE);
	arg[1] = pick(random, 3) ? pick(random, MOST_COPY) : pick(random, 16);
	arg[2] = pick(random, 3);
}

/* ---- calls ---- */

static void check_room(uint64_t addr, uint64_t length)
{
	for (uint64_t at = addr; at < addr + length; at += PAGE)
		CHECK(!model_at(at)->mapped);
}

static void apply_mmap(const uint64_t *arg)
{
	const uint32_t known = TMM_MAP_TYPE | TMM_MAP_FIXED | TMM_MAP_ANONYMOUS |
	                       TMM_MAP_NORESERVE | TMM_MAP_POPULATE | TMM_MAP_FIXED_NOREPLACE;
	const int index = arg[4] < NR_FILES ? (int)arg[4] : -1;
	struct tmm_mmap_request request = {.addr = arg[0],
	                                   .length = arg[1],
	                                   .prot = (uint32_t)arg[2] & 7,
	                                   .flags = (uint32_t)arg[3] & known,
	                                   .file = index < 0 ? NULL : file[index],
	                                   .offset = arg[5]};
	uint64_t addr = 0, length = page_up(arg[1]);
	tmm_err err;

	/* Which pages are private copies at once is not said, and would be seen in these. */
	if (index >= 0 && !file_object[index].read_only && !(request.flags & TMM_MAP_SHARED))
		request.flags &= ~TMM_MAP_POPULATE;
	err = tmm_mm_mmap(mm, &request, &addr);

	if (err) {
		CHECK(addr == 0);
		if (op_failed_on_purpose())
			follow_failure(false);
		return;
	}
	CHECK(addr % PAGE == 0 && length > 0 && in_window(addr, length));
	if (request.flags & TMM_MAP_FIXED)
		CHECK(addr == request.addr);
	if (!(request.flags & TMM_MAP_FIXED) || request.flags & TMM_MAP_FIXED_NOREPLACE)
		check_room(addr, length);
	model_map(addr, length, &request, index);
}

static void apply_munmap(const uint64_t *arg)
{
	tmm_err err = tmm_mm_munmap(mm, arg[0], arg[1]);
	bool valid = arg[1] > 0 && arg[0] % PAGE == 0 && arg[0] <= WINDOW_END &&
	             arg[1] <= WINDOW_END - arg[0];

	if (err == TMM_OK) {
		CHECK(valid);
		for (uint64_t at = WINDOW_START; at < WINDOW_END; at += PAGE) {
			if (at >= arg[0] && at - arg[0] < page_up(arg[1]))
				model_unmap(at, PAGE);
		}
	} else if (op_failed_on_purpose()) {
		follow_failure(false);
	} else {
		CHECK(!valid && err == TMM_E_INVAL);
	}
}

/* mprotect goes page by page and stops at the first it may not change. */
static tmm_err model_protect(uint64_t addr, uint64_t length, uint32_t prot)
{
	uint64_t end = addr + page_up(length);

	if (addr % PAGE)
		return TMM_E_INVAL;
	if (length > 0 && end <= addr)
		return TMM_E_NOMEM;
	for (; addr < end; addr += PAGE) {
		if (!in_window(addr, PAGE) || !model_at(addr)->mapped)
			return TMM_E_NOMEM;
		if (model_at(addr)->shared && model_at(addr)->object->read_only &&
		    prot & TMM_PROT_WRITE)
			return TMM_E_ACCES;
		model_at(addr)->prot = prot;
	}
	return TMM_OK;
}

static void apply_mprotect(const uint64_t *arg)
{
	uint32_t prot = (uint32_t)arg[2] & 7;
	tmm_err err = tmm_mm_mprotect(mm, arg[0], arg[1], prot);

	if (err && op_failed_on_purpose())
		follow_failure(true);
	else
		CHECK(model_protect(arg[0], arg[1], prot) == err);
}

static void apply_mremap(const uint64_t *arg)
{
	const uint32_t flags = (uint32_t)arg[3] & 7;
	uint64_t old = page_up(arg[1]), new = page_up(arg[2]), addr = 0;
	tmm_err err = tmm_mm_mremap(mm, arg[0], arg[1], arg[2], flags, arg[5], &addr);

	if (err) {
		CHECK(addr == 0);
		if (op_failed_on_purpose() || flags & TMM_MREMAP_FIXED)
			follow_failure(false); /* the target is unmapped first */
		return;
	}
	CHECK(arg[0] % PAGE == 0 && addr % PAGE == 0 && new > 0);
	if (addr == arg[0] && new == old)
		return; /* whatever the length, as on Linux */
	CHECK(in_window(arg[0], old ? old : PAGE) && in_window(addr, new));
	CHECK(!(flags & TMM_MREMAP_FIXED) || addr == arg[5]);
	CHECK(model_at(arg[0])->mapped);
	if (!(flags & TMM_MREMAP_FIXED))
		check_room(addr == arg[0] && new > old ? addr + old : addr, addr != arg[0] ? new
		                                                            : new > old
		                                                                    ? new - old
		                                                                    : 0);
	if (addr != arg[0]) {
		model_move(arg[0], old, addr, new, !old || flags & TMM_MREMAP_DONTUNMAP);
	} else if (new < old) {
		model_unmap(addr + new, old - new);
	} else {
		model_move(addr, old, addr, new, false);
	}
}

static void apply_madvise(const uint64_t *arg)
{
	int advice = (int)(arg[3] % 64) == TMM_MADV_FREE ? TMM_MADV_NORMAL : (int)(arg[3] % 64);
	tmm_err err = tmm_mm_madvise(mm, arg[0], arg[1], advice);
	uint64_t length = page_up(arg[1]);

	if (advice != TMM_MADV_DONTNEED || (err != TMM_OK && err != TMM_E_NOMEM) || !arg[1])
		return;
	CHECK(arg[0] % PAGE == 0);
	/* what is outside of the window is not mapped: ENOMEM, having done the rest */
	for (uint64_t i = 0; i < WINDOW_PAGES; i++) {
		uint64_t at = WINDOW_START + i * PAGE;

		if (at >= arg[0] && at - arg[0] < length)
			model_discard(at, PAGE);
	}
}

static void apply_msync(const uint64_t *arg)
{
	(void)!tmm_mm_msync(mm, arg[0], arg[1], (uint32_t)arg[3] & 7);
}

static void apply_brk(const uint64_t *arg)
{
	const struct tmm_mmap_request heap = {.prot = TMM_PROT_READ | TMM_PROT_WRITE,
	                                      .flags = TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS};
	uint64_t old = page_up(program_break), now = tmm_mm_brk(mm, arg[0]), new = page_up(now);

	if (now == program_break) {
		if (op_failed_on_purpose())
			follow_failure(false);
		return;
	}
	CHECK(now == arg[0] && now >= HEAP_START && now <= WINDOW_END);
	if (new > old) {
		check_room(old, new - old);
		model_map(old, new - old, &heap, -1);
	} else {
		model_unmap(new, old - new);
	}
	program_break = now;
}

/* ---- accesses ---- */

/* A copy that would leave user space is refused as a whole (Linux: access_ok()). */
static size_t copy_reach(uint64_t addr, size_t bytes, unsigned access)
{
	if (addr > WINDOW_END || bytes > WINDOW_END - addr)
		return 0;
	return model_reach(addr, bytes, access);
}

static void apply_write(const uint64_t *arg)
{
	size_t reach = copy_reach(arg[0], 8, TMM_ACCESS_WRITE), left;

	left = tmm_copy_to_user(mm, arg[0], &arg[1], 8);
	CHECK(left == 8 - reach || (left > 8 - reach && op_failed_on_purpose()));
	model_write(arg[0], (const uint8_t *)&arg[1], 8 - left);
}

static void apply_fault(const uint64_t *arg)
{
	const unsigned access = 1u << arg[2] % 3;
	enum tmm_fault expected = model_fault(arg[0], access);
	enum tmm_fault fault = tmm_mm_fault(mm, arg[0], access);
	struct tmm_extent extent[4];
	size_t nr;

	if (fault == TMM_FAULT_OOM && op_failed_on_purpose())
		return;
	if (fault == TMM_FAULT_BUS && op_failed_on_purpose())
		return; /* the file could not be read */
	CHECK(fault == expected);
	if (fault != TMM_FAULT_OK)
		return;
	nr = tmm_pgtable_walk(tmm_mm_pgtable(mm), (tmm_vaddr){arg[0]}, access, extent, 4);
	CHECK(nr > 0); /* the processor's next try passes */
	if (access == TMM_ACCESS_WRITE)
		model_own(arg[0]);
	for (size_t i = 0; i < nr; i++) {
		for (uint64_t n = 0; n < extent[i].nr_pages; n++) {
			const struct model_page *page = model_at(extent[i].va.v + n * PAGE);
			const void *seen = tmm_page_address(tmm_machine_pages(machine),
			                                    (tmm_pfn){extent[i].pfn.v + n});

			for (unsigned right = 1; right <= 4; right <<= 1)
				CHECK(!(extent[i].rights & right) || model_allows(page, right));
			CHECK(model_bytes(page) && !memcmp(seen, model_bytes(page), PAGE));
		}
	}
}

static void apply_copy_to(const uint64_t *arg)
{
	static uint8_t from[MOST_COPY];
	size_t bytes = arg[1] % (MOST_COPY + 1), left, reach;

	memset(from, (int)(arg[2] & 0xff), bytes);
	reach = copy_reach(arg[0], bytes, TMM_ACCESS_WRITE);
	left = arg[2] ? tmm_copy_to_user(mm, arg[0], from, bytes)
	              : tmm_clear_user(mm, arg[0], bytes);
	CHECK(left == bytes - reach || (left > bytes - reach && op_failed_on_purpose()));
	model_write(arg[0], from, bytes - left);
}

/* Are the model's bytes from addr on those? */
static bool reads_as(uint64_t addr, const uint8_t *seen, size_t bytes)
{
	while (bytes > 0) {
		size_t piece = PAGE - addr % PAGE;

		piece = piece < bytes ? piece : bytes;
		if (memcmp(model_bytes(model_at(addr)) + addr % PAGE, seen, piece) != 0)
			return false;
		addr += piece;
		seen += piece;
		bytes -= piece;
	}
	return true;
}

static void apply_copy_from(const uint64_t *arg)
{
	static uint8_t to[MOST_COPY];
	size_t bytes = arg[1] % (MOST_COPY + 1), left;
	size_t reach = copy_reach(arg[0], bytes, TMM_ACCESS_READ);

	left = tmm_copy_from_user(mm, to, arg[0], bytes);
	CHECK(left == bytes - reach || (left > bytes - reach && op_failed_on_purpose()));
	CHECK(reads_as(arg[0], to, bytes - left));
}

static void apply_string(const uint64_t *arg)
{
	static char to[MOST_COPY];
	size_t bytes = arg[1] % MOST_COPY + 1, length = 0;
	size_t reach = model_reach(arg[0], bytes, TMM_ACCESS_READ);
	tmm_err err = tmm_strncpy_from_user(mm, to, arg[0], bytes, &length);

	if (err == TMM_OK) {
		CHECK(length < reach && memchr(to, 0, bytes) == to + length);
		CHECK(reads_as(arg[0], (const uint8_t *)to, length + 1));
	} else if (err == TMM_E_RANGE) {
		CHECK(reach == bytes);
	} else {
		CHECK(err == TMM_E_FAULT && (reach < bytes || op_failed_on_purpose()));
	}
}

static void apply_pin(const uint64_t *arg)
{
	size_t bytes = arg[1] % (MOST_COPY + 1), covered = 0, nr, seen = 0;
	unsigned access = arg[2] & 1 ? TMM_ACCESS_WRITE : TMM_ACCESS_READ;
	size_t reach = copy_reach(arg[0], bytes, access);
	struct tmm_user_piece piece[8];

	nr = tmm_get_user_pages(mm, arg[0], bytes, arg[2] & 1, piece, 8, &covered);
	CHECK(covered == reach || (covered < reach && op_failed_on_purpose()));
	for (size_t i = 0; i < nr; i++) {
		CHECK(reads_as(arg[0] + seen, piece[i].address, piece[i].bytes));
		seen += piece[i].bytes;
	}
	CHECK(seen == covered);
	for (size_t at = 0; arg[2] & 1 && at < covered; at += PAGE - (arg[0] + at) % PAGE)
		model_own(arg[0] + at);
	tmm_put_user_pages(mm, piece, nr);
}

static void apply_mincore(const uint64_t *arg)
{
	uint8_t vec[WINDOW_PAGES];
	uint64_t pages = page_up(arg[1]) / PAGE;
	bool mapped = in_window(arg[0], arg[1]);

	if (arg[1] > WINDOW_PAGES * PAGE)
		return;
	for (uint64_t i = 0; mapped && i < pages; i++)
		mapped = model_at(arg[0] + i * PAGE)->mapped;
	CHECK((tmm_mm_mincore(mm, arg[0], arg[1], vec) == TMM_OK) ==
	      (arg[0] % PAGE == 0 && (mapped || !pages)));
}

static void apply_check(const uint64_t *arg)
{
	(void)arg;
	tmm_check(machine);
}

/* The calls have the numbers of tests/mmap_diff, used or not. */
static const struct verb verbs[] = {
	{"mmap", 6, draw_mmap, apply_mmap},
	{"mmap", 6, draw_mmap, apply_mmap}, /* more often than others */
	{"munmap", 6, draw_range, apply_munmap},
	{"mprotect", 6, draw_mprotect, apply_mprotect},
	{"mremap", 6, draw_mremap, apply_mremap},
	{"madvise", 6, draw_advice, apply_madvise},
	{"msync", 6, draw_advice, apply_msync},
	{"brk", 6, draw_brk, apply_brk},
	{"write", 6, draw_access, apply_write},
	{"fault", 3, draw_access, apply_fault},
	{"fault", 3, draw_access, apply_fault},
	{"copy_to", 3, draw_access, apply_copy_to},
	{"copy_from", 2, draw_access, apply_copy_from},
	{"string", 2, draw_access, apply_string},
	{"pin", 3, draw_access, apply_pin},
	{"mincore", 2, draw_range, apply_mincore},
	{"check", 0, NULL, apply_check},
};

const struct fuzz_target fuzz_target = {begin, check, end, sizeof(verbs) / sizeof(*verbs),
                                        verbs};
