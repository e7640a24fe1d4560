/*
 * model_test.c - areas against an array of pages
 *
 * Each page of a window is unmapped or has rights; areas are the runs of equal
 * pages.  Untouched anonymous memory has no other state, so trying every call in
 * every state of eight pages covers call sequences of any length.
 */
#include "space/fault_rig_test.h"

#define ANON      (TMM_MAP_PRIVATE | TMM_MAP_ANONYMOUS)
#define BASE      UINT64_C(0x200000000)
#define NR_SMALL  8u
#define NR_LARGE  64u
#define NR_STATES 6561u /* 3^8 */

enum call { MAP_READ, MAP_WRITE, UNMAP, PROTECT_READ, PROTECT_WRITE, NR_CALLS };

static struct fault_rig rig;
static uint8_t model[NR_LARGE]; /* 0: unmapped; else 1: read, 2: read and write */

static const uint32_t prots[3] = {0, TMM_PROT_READ, TMM_PROT_READ | TMM_PROT_WRITE};

static void begin(void)
{
	const struct space_config config = {.overcommit_memory = OVERCOMMIT_GUESS};

	fault_rig_begin(&rig, 16 * MIB, PAGE, &config);
	memset(model, 0, sizeof(model));
}

static tmm_err real_call(enum call call, uint64_t first, uint64_t nr)
{
	const uint32_t prot = prots[call == MAP_READ || call == PROTECT_READ ? 1 : 2];
	struct tmm_mmap_request request = {.addr = BASE + first * PAGE,
	                                   .length = nr * PAGE,
	                                   .prot = prot,
	                                   .flags = ANON | TMM_MAP_FIXED};
	uint64_t addr;

	switch (call) {
	case MAP_READ:
	case MAP_WRITE:
		return tmm_mm_mmap(rig.mm, &request, &addr);
	case UNMAP:
		return tmm_mm_munmap(rig.mm, request.addr, request.length);
	default:
		return tmm_mm_mprotect(rig.mm, request.addr, request.length, prot);
	}
}

static tmm_err model_call(enum call call, uint64_t first, uint64_t nr)
{
	const uint8_t state = call == UNMAP                              ? 0
	                      : call == MAP_READ || call == PROTECT_READ ? 1
	                                                                 : 2;

	for (uint64_t page = first; page < first + nr; page++) {
		if ((call == PROTECT_READ || call == PROTECT_WRITE) && !model[page])
			return TMM_E_NOMEM;
		model[page] = state;
	}
	return TMM_OK;
}

/* Areas are the model's runs, no more and no fewer. */
static bool agrees(uint64_t nr_pages)
{
	struct tmm_area area = {.end = 0};

	for (uint64_t page = 0; page < nr_pages;) {
		uint64_t end = page + 1;

		if (!model[page]) {
			page++;
			continue;
		}
		while (end < nr_pages && model[end] == model[page])
			end++;
		if (!tmm_mm_area(rig.mm, area.end, false, &area) ||
		    area.start != BASE + page * PAGE || area.end != BASE + end * PAGE ||
		    area.write != (model[page] == 2) || area.accounted != area.write)
			return false;
		page = end;
	}
	return !tmm_mm_area(rig.mm, area.end, false, &area);
}

static void set_state(unsigned state)
{
	CHECK(real_call(UNMAP, 0, NR_SMALL) == TMM_OK);
	for (uint64_t page = 0; page < NR_SMALL; page++, state /= 3) {
		model[page] = (uint8_t)(state % 3);
		if (model[page])
			CHECK(real_call(model[page] == 1 ? MAP_READ : MAP_WRITE, page, 1) ==
			      TMM_OK);
	}
}

static uint64_t every_range(unsigned state, enum call call)
{
	uint64_t nr = 0;

	for (uint64_t first = 0; first < NR_SMALL; first++) {
		for (uint64_t length = 1; first + length <= NR_SMALL; length++) {
			set_state(state);
			CHECK(real_call(call, first, length) ==
			      model_call(call, first, length));
			CHECK(agrees(NR_SMALL));
			nr++;
		}
	}
	return nr;
}

TEST(every_call_in_every_state_of_eight_pages)
{
	uint64_t nr = 0;

	begin();
	for (unsigned state = 0; state < NR_STATES; state++) {
		for (unsigned call = 0; call < NR_CALLS; call++)
			nr += every_range(state, call);
		if (state % 64 == 0)
			tmm_mm_check(rig.mm);
	}
	test_note("%llu calls", (unsigned long long)nr);
	fault_rig_end(&rig);
}

/* Endpoints 0, 3, 5 and 8 meet, overlap, contain and leave each other out. */
TEST(every_sequence_of_four_calls)
{
	static const uint8_t first[6] = {0, 0, 0, 3, 3, 5}, end[6] = {3, 5, 8, 5, 8, 8};
	const unsigned nr_ops = 6 * NR_CALLS;
	uint64_t nr = 0;

	begin();
	for (unsigned sequence = 0; sequence < nr_ops * nr_ops * nr_ops * nr_ops; sequence++) {
		unsigned rest = sequence;

		set_state(0);
		for (unsigned i = 0; i < 4; i++, rest /= nr_ops) {
			unsigned range = rest % nr_ops % 6, call = rest % nr_ops / 6;
			uint64_t length = end[range] - first[range];

			CHECK(real_call(call, first[range], length) ==
			      model_call(call, first[range], length));
		}
		CHECK(agrees(NR_SMALL));
		nr++;
	}
	test_note("%llu sequences", (unsigned long long)nr);
	fault_rig_end(&rig);
}

/* Move within the window; what the target was is gone. */
static void one_move(uint64_t *seed)
{
	uint64_t from = test_random(seed) % NR_LARGE, nr = 1 + test_random(seed) % 6;
	uint64_t to = test_random(seed) % NR_LARGE, at;
	bool whole = from + nr <= NR_LARGE && to + nr <= NR_LARGE && model[from];
	tmm_err err;

	for (uint64_t i = 1; whole && i < nr; i++)
		whole = model[from + i] == model[from];
	if (!whole)
		return;
	err = tmm_mm_mremap(rig.mm, BASE + from * PAGE, nr * PAGE, nr * PAGE,
	                    TMM_MREMAP_MAYMOVE | TMM_MREMAP_FIXED, BASE + to * PAGE, &at);
	if (from < to + nr && to < from + nr) {
		CHECK(err == TMM_E_INVAL);
		return;
	}
	CHECK(err == TMM_OK && at == BASE + to * PAGE);
	memset(&model[to], model[from], nr);
	memset(&model[from], 0, nr);
}

/* Whatever is asked, wild arguments are refused and change nothing. */
static void one_wild_call(uint64_t *seed)
{
	uint64_t addr = test_random(seed), length = test_random(seed), at;
	uint32_t flags = (uint32_t)test_random(seed);

	addr |= flags & 1 ? 1 : UINT64_C(1) << 63;
	CHECK(tmm_mm_munmap(rig.mm, addr, length) != TMM_OK);
	CHECK(tmm_mm_mprotect(rig.mm, addr, length | 1, 0) != TMM_OK);
	CHECK(tmm_mm_mremap(rig.mm, addr, length, length, flags & 7, addr, &at) != TMM_OK);
	CHECK(tmm_mm_madvise(rig.mm, addr, length | 1, 4) != TMM_OK);
	CHECK(tmm_mm_brk(rig.mm, addr) == 0);
}

TEST(random_calls_agree_with_the_model)
{
	uint64_t seed = test_seed();

	begin();
	for (unsigned n = 0; n < 200000; n++) {
		enum call call = (enum call)(test_random(&seed) % NR_CALLS);
		uint64_t first = test_random(&seed) % NR_LARGE;
		uint64_t nr = 1 + test_random(&seed) % 9;

		if (first + nr > NR_LARGE)
			nr = NR_LARGE - first;
		CHECK(real_call(call, first, nr) == model_call(call, first, nr));
		if (n % 5 == 0)
			one_move(&seed);
		if (n % 50 == 0)
			one_wild_call(&seed);
		if (n % 7 == 0)
			CHECK(agrees(NR_LARGE));
		if (n % 1000 == 0)
			tmm_mm_check(rig.mm);
	}
	fault_rig_end(&rig);
}
