/*
 * touch_test.c - random mappings touched at random, byte for byte against a model
 *
 * The model knows of each page what it is, what may be done with it and, once a
 * private page was written, its bytes; until then it shows zeroes or the file's.
 * What a processor reads, what the kernel copies and what the file holds at the
 * end must all be what the model says, whatever fails on the way.
 */
#include "inject.h"
#include "space/fault_rig_test.h"

#define BASE       (UINT64_C(0x40000000) - 100 * PAGE) /* across a border of tables */
#define NR_PAGES   200u
#define FILE_PAGES 96u

enum kind { HOLE, ANON, FILE_PRIVATE, FILE_SHARED };

struct model_page {
	enum kind kind;
	uint32_t prot;
	uint64_t index; /* of the file */
	bool owned;     /* written: bytes are its own */
	uint8_t bytes[PAGE];
};

static struct fault_rig rig;
static struct model_page model[NR_PAGES];
static uint8_t file_bytes[FILE_PAGES * PAGE];
static uint8_t buffer[NR_PAGES * PAGE];
static uint64_t random_state;
static bool failing;

static uint64_t pick(uint64_t below)
{
	return (test_random(&random_state) >> 20) % below;
}

static void maybe_fail(void)
{
	if (failing)
		tmm_inject_nth(1 + pick(5), pick(2) != 0);
}

/* What an access has to answer when nothing fails. */
static enum tmm_fault expected(uint64_t page, bool write)
{
	const struct model_page *m = &model[page];

	if (m->kind == HOLE)
		return TMM_FAULT_MAPERR;
	if (m->prot == TMM_PROT_NONE || (write && !(m->prot & TMM_PROT_WRITE)))
		return TMM_FAULT_ACCERR;
	if (m->kind != ANON && !m->owned && m->index >= FILE_PAGES)
		return TMM_FAULT_BUS;
	return TMM_FAULT_OK;
}

static const uint8_t *shown(uint64_t page)
{
	static const uint8_t zeroes[PAGE];
	const struct model_page *m = &model[page];

	if (m->owned)
		return m->bytes;
	return m->kind == ANON ? zeroes : file_bytes + m->index * PAGE;
}

/* Where a write to the page goes. */
static uint8_t *written(uint64_t page)
{
	struct model_page *m = &model[page];

	if (m->kind == FILE_SHARED)
		return file_bytes + m->index * PAGE;
	if (!m->owned)
		memcpy(m->bytes, shown(page), PAGE);
	m->owned = true;
	return m->bytes;
}

/* A random run of pages. */
struct pages {
	uint64_t first, end;
};

static struct pages random_pages(void)
{
	struct pages p;

	p.first = pick(NR_PAGES);
	p.end = p.first + 1 + pick(pick(3) ? 6 : 60);
	if (p.end > NR_PAGES)
		p.end = NR_PAGES;
	return p;
}

static uint32_t random_prot(void)
{
	static const uint32_t prots[] = {TMM_PROT_NONE, TMM_PROT_READ, TMM_PROT_WRITE,
	                                 TMM_PROT_EXEC};

	return pick(3) ? TMM_PROT_READ | TMM_PROT_WRITE : prots[pick(4)];
}

static void op_map(void)
{
	struct pages p = random_pages();
	enum kind kind = (enum kind)(ANON + pick(3));
	uint32_t prot = random_prot();
	uint64_t index = pick(FILE_PAGES + 4);

	fault_rig_map(&rig, BASE + p.first * PAGE, p.end - p.first, prot,
	              kind == ANON           ? TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS
	              : kind == FILE_PRIVATE ? TMM_MAP_PRIVATE
	                                     : TMM_MAP_SHARED,
	              index);
	for (uint64_t i = p.first; i < p.end; i++) {
		model[i].kind = kind;
		model[i].prot = prot;
		model[i].index = index + (i - p.first);
		model[i].owned = false;
	}
}

static void op_unmap(void)
{
	struct pages p = random_pages();

	CHECK(tmm_mm_munmap(rig.mm, BASE + p.first * PAGE, (p.end - p.first) * PAGE) == TMM_OK);
	for (uint64_t i = p.first; i < p.end; i++)
		model[i].kind = HOLE;
}

static void op_protect(void)
{
	struct pages p = random_pages();
	uint32_t prot = random_prot();
	uint64_t stop = p.first;
	tmm_err err;

	while (stop < p.end && model[stop].kind != HOLE)
		model[stop++].prot = prot;
	err = tmm_mm_mprotect(rig.mm, BASE + p.first * PAGE, (p.end - p.first) * PAGE, prot);
	CHECK(err == (stop < p.end ? TMM_E_NOMEM : TMM_OK));
}

/* Holes are skipped, and reported. */
static void op_dontneed(void)
{
	struct pages p = random_pages();
	bool hole = false;
	tmm_err err = tmm_mm_madvise(rig.mm, BASE + p.first * PAGE, (p.end - p.first) * PAGE,
	                             TMM_MADV_DONTNEED);

	for (uint64_t i = p.first; i < p.end; i++) {
		hole |= model[i].kind == HOLE;
		model[i].owned = false;
	}
	CHECK(err == (hole ? TMM_E_NOMEM : TMM_OK));
}

static void op_touch(void)
{
	uint64_t page = pick(NR_PAGES), at = pick(PAGE), addr = BASE + page * PAGE + at;
	bool write = pick(2) != 0;
	uint8_t value = (uint8_t)pick(256);
	enum tmm_fault fault;
	bool failed;

	maybe_fail();
	fault = write ? fault_rig_write(&rig, addr, value) : fault_rig_read(&rig, addr, &value);
	failed = tmm_inject_stop();
	if (failed && (fault == TMM_FAULT_OOM || fault == TMM_FAULT_BUS)) {
		fault_rig_check(&rig);
		fault = write ? fault_rig_write(&rig, addr, value)
		              : fault_rig_read(&rig, addr, &value);
	}
	CHECK(fault == expected(page, write));
	if (fault != TMM_FAULT_OK)
		return;
	if (write)
		written(page)[at] = value;
	else
		CHECK(value == shown(page)[at]);
}

/* Touch page after page, as programs fill arrays. */
static void op_stream(void)
{
	struct pages p = random_pages();
	uint8_t value = (uint8_t)pick(256);

	for (uint64_t page = p.first; page < p.end; page++) {
		enum tmm_fault fault = fault_rig_write(&rig, BASE + page * PAGE + 5, value);

		CHECK(fault == expected(page, true));
		if (fault == TMM_FAULT_OK)
			written(page)[5] = value;
	}
}

/* Bytes of [from, from + bytes) that a copy can reach, from is relative to BASE. */
static size_t reachable(uint64_t from, size_t bytes, bool write)
{
	size_t done = 0;

	while (done < bytes) {
		uint64_t at = from + done;

		if (expected(at / PAGE, write) != TMM_FAULT_OK)
			break;
		done += PAGE - at % PAGE;
	}
	return done < bytes ? done : bytes;
}

static void op_copy(void)
{
	uint64_t from = pick(NR_PAGES * PAGE);
	size_t bytes = 1 + pick(pick(2) ? 64 : 5 * PAGE), done, left;
	bool write = pick(2) != 0, failed;

	if (bytes > NR_PAGES * PAGE - from)
		bytes = NR_PAGES * PAGE - from;
	memset(buffer, (int)pick(256), bytes);
	maybe_fail();
	left = write ? tmm_copy_to_user(rig.mm, BASE + from, buffer, bytes)
	             : tmm_copy_from_user(rig.mm, buffer, BASE + from, bytes);
	failed = tmm_inject_stop();
	done = bytes - left;
	CHECK(failed ? done <= reachable(from, bytes, write)
	             : done == reachable(from, bytes, write));
	for (size_t i = 0; i < done; i++) {
		uint64_t at = from + i;

		if (write)
			written(at / PAGE)[at % PAGE] = buffer[i];
		else
			CHECK(buffer[i] == shown(at / PAGE)[at % PAGE]);
	}
}

static void op_shrink(void)
{
	tmm_cache_shrink_pages(&rig.cache.cache, pick(30));
}

static void (*const ops[])(void) = {
	op_map,   op_unmap,  op_protect, op_dontneed, op_touch, op_touch,
	op_touch, op_touch,  op_touch,   op_touch,    op_copy,  op_copy,
	op_copy,  op_stream, op_touch,   op_touch,    op_touch, op_shrink,
};

static void run(unsigned nr)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_ALWAYS};

	random_state = test_seed();
	memset(model, 0, sizeof(model));
	fault_rig_begin(&rig, 16 * MIB, FILE_PAGES * PAGE, &config);
	memcpy(file_bytes, rig.store.bytes, sizeof(file_bytes));
	for (unsigned i = 0; i < nr; i++) {
		ops[pick(ARRAY_SIZE(ops))]();
		if (i % 256 == 0)
			fault_rig_check(&rig);
	}
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		size_t reach = reachable(page * PAGE, PAGE, false);

		CHECK(tmm_copy_from_user(rig.mm, buffer, BASE + page * PAGE, PAGE) ==
		      PAGE - reach);
		CHECK(memcmp(buffer, shown(page), reach) == 0);
	}
	fault_rig_end(&rig);
	CHECK(memcmp(rig.store.bytes, file_bytes, sizeof(file_bytes)) == 0);
}

TEST(random_touches_agree_with_bytes)
{
	failing = false;
	run(60000);
}

TEST(random_touches_survive_failures)
{
	failing = true;
	run(30000);
}
