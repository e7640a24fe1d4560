/*
 * slab.c - kmalloc and caches; what every borrower wrote is the model
 *
 * Each object is filled to the size it was promised with its own byte, and must
 * be so when it is resized or given back.  Objects of a cache with a constructor
 * are borrowed constructed and given back so.
 *
 * A name is of a cache that it made, or that it is an alias of: one of another name's,
 * or one of the machine's.  It stays so until that cache is gone.
 */
#include <stdio.h>
#include <string.h>

#include "ops.h"
#include "rig.h"

#define RAM_BYTES   (UINT64_C(16) << 20)
#define NR_SLOTS    128u
#define NR_CACHES   6u
#define MADE        0x5au /* what the constructor writes */
#define MOST_FILLED 8192u /* of larger objects the first and last half of it */

/* What several names may be of. */
struct shared {
	struct tmm_cache *cache;
	uint64_t nr_users;          /* creators of ours */
	uint64_t nr_gone;           /* of those that destroyed it */
	uint64_t nr_lent;           /* to us */
	struct tmm_cache_spec spec; /* of the first creator, but for the name */
	bool is_machines;           /* stays when all of ours are gone */
};

struct slot {
	struct shared *cache; /* NULL: of kmalloc */
	size_t bytes;
	uint8_t *object; /* NULL: nothing borrowed */
	uint8_t fill;
};

static struct tmm_machine *machine;
static struct tmm_slab_system *slabs;
static struct slot slot[NR_SLOTS];
static struct shared shared[NR_CACHES]; /* by the name that first met it */
static struct {
	struct shared *of; /* NULL: the name is not used */
	size_t bytes, align_bytes;
} name[NR_CACHES];
static uint64_t free_at_start;
static size_t ctor_bytes; /* of the cache whose slab is being made */

/* ---- contents ---- */

static void fill(struct slot *s, uint8_t byte)
{
	size_t half = s->bytes < MOST_FILLED ? s->bytes : MOST_FILLED / 2;

	s->fill = byte;
	memset(s->object, byte, half);
	memset(s->object + s->bytes - half, byte, half);
}

static bool filled(const uint8_t *object, uint8_t byte, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (object[i] != byte)
			return false;
	}
	return true;
}

static void check_fill(const struct slot *s)
{
	size_t half = s->bytes < MOST_FILLED ? s->bytes : MOST_FILLED / 2;

	CHECK(filled(s->object, s->fill, half));
	CHECK(filled(s->object + s->bytes - half, s->fill, half));
}

static void construct(void *object)
{
	memset(object, MADE, ctor_bytes);
}

/* ---- slots ---- */

static void give_back(struct slot *s)
{
	if (!s->object)
		return;
	check_fill(s);
	if (s->cache) {
		if (s->cache->spec.ctor)
			memset(s->object, MADE, s->bytes);
		tmm_cache_free(s->cache->cache, s->object);
		s->cache->nr_lent--;
	} else {
		tmm_kfree(slabs, s->object);
	}
	s->object = NULL;
}

/* NULL is an answer only when something failed or memory is really short. */
static void check_refusal(size_t bytes)
{
	CHECK(op_failed_on_purpose() || bytes > TMM_KMALLOC_MAX_CACHE ||
	      tmm_pages_free_count(tmm_machine_pages(machine)) < free_at_start / 4);
}

static void begin(void)
{
	machine = rig_begin(RAM_BYTES);
	slabs = tmm_machine_slabs(machine);
	memset(slot, 0, sizeof(slot));
	memset(shared, 0, sizeof(shared));
	memset(name, 0, sizeof(name));
	free_at_start = tmm_pages_free_count(tmm_machine_pages(machine));
}

static void check_counts(void)
{
	struct tmm_cache_info info;

	for (size_t i = 0; tmm_cache_info(slabs, i, &info); i++) {
		unsigned c;

		CHECK(info.active_objs <= info.num_objs && info.active_slabs <= info.num_slabs);
		if (sscanf(info.name, "fuzz-%u", &c) != 1)
			continue;
		CHECK(name[c].of == &shared[c] && !shared[c].is_machines);
		CHECK(info.active_objs == shared[c].nr_lent);
		CHECK(info.aliases == shared[c].nr_users - 1);
	}
}

/* One creator less; the last takes the cache and its names with him. */
static void destroy(struct shared *s)
{
	bool last = s->nr_users == 1 && !s->is_machines;
	tmm_err err = tmm_cache_destroy(s->cache);

	CHECK(err == (last && s->nr_lent ? TMM_E_BUSY : TMM_OK));
	if (err)
		return;
	s->nr_users--;
	s->nr_gone++;
	for (unsigned c = 0; last && c < NR_CACHES; c++) {
		if (name[c].of == s)
			name[c].of = NULL;
	}
}

static void end(void)
{
	check_counts();
	tmm_slab_check(slabs);
	for (unsigned i = 0; i < NR_SLOTS; i++)
		give_back(&slot[i]);
	for (unsigned c = 0; c < NR_CACHES; c++) {
		while (shared[c].nr_users)
			destroy(&shared[c]);
	}
	rig_end(machine);
}

static void check(void)
{
}

/* ---- operations ---- */

static tmm_gfp gfp_of(uint64_t arg)
{
	static const tmm_gfp gfps[] = {TMM_GFP_KERNEL, TMM_GFP_ATOMIC, TMM_GFP_NOWAIT,
	                               TMM_GFP_KERNEL | TMM_GFP_RECLAIMABLE};

	return gfps[arg % 4] | (arg & 4 ? TMM_GFP_ZERO : 0);
}

static void draw_kmalloc(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_SLOTS);
	arg[1] = UINT64_C(1) << pick(random, pick(random, 8) ? 14 : 24);
	arg[1] = pick(random, 2) ? pick(random, arg[1]) : arg[1] + pick(random, 3) - 1;
	arg[2] = pick(random, 8);
}

static void got(struct slot *s, uint64_t gfp)
{
	if (gfp & 4)
		CHECK(filled(s->object, 0, s->bytes));
	fill(s, (uint8_t)(s - slot + 1));
}

static void apply_kmalloc(const uint64_t *arg)
{
	struct slot *s = &slot[arg[0] % NR_SLOTS];

	give_back(s);
	*s = (struct slot){.bytes = arg[1]};
	s->object = tmm_kmalloc(slabs, s->bytes, gfp_of(arg[2]));
	if (!s->object) {
		check_refusal(s->bytes);
		return;
	}
	CHECK(s->bytes <= TMM_KMALLOC_MAX);
	if (s->bytes == 0) { /* must not be touched */
		CHECK(tmm_ksize(slabs, s->object) == 0);
		tmm_kfree(slabs, s->object);
		s->object = NULL;
		return;
	}
	CHECK((uintptr_t)s->object % 8 == 0);
	if ((s->bytes & (s->bytes - 1)) == 0 && s->bytes <= TMM_PAGE_SIZE)
		CHECK((uintptr_t)s->object % s->bytes == 0);
	CHECK(tmm_ksize(slabs, s->object) >= s->bytes);
	if (!(arg[2] & 4))
		s->bytes = tmm_ksize(slabs, s->object); /* all of it is the borrower's */
	got(s, arg[2]);
}

static void apply_krealloc(const uint64_t *arg)
{
	struct slot *s = &slot[arg[0] % NR_SLOTS], old = *s;
	size_t kept = arg[1] < s->bytes ? arg[1] : s->bytes;
	uint8_t *object;

	if (!s->object || s->cache || !arg[1])
		return;
	check_fill(s);
	object = tmm_krealloc(slabs, s->object, arg[1], gfp_of(arg[2]));
	if (!object) {
		check_fill(&old);
		check_refusal(arg[1]);
		return;
	}
	s->object = object;
	s->bytes = arg[1];
	CHECK(filled(object, s->fill, kept < MOST_FILLED / 2 ? kept : MOST_FILLED / 2));
	fill(s, s->fill);
}

static void draw_slot(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_SLOTS);
	arg[1] = pick(random, NR_CACHES);
	arg[2] = pick(random, 8);
}

static void apply_free(const uint64_t *arg)
{
	give_back(&slot[arg[0] % NR_SLOTS]);
}

static void draw_create(uint64_t *random, uint64_t *arg)
{
	arg[0] = pick(random, NR_CACHES);
	arg[1] = pick(random, 3) ? 1 + pick(random, 600) : pick(random, 40000);
	arg[2] = pick(random, 2) ? 0 : UINT64_C(1) << pick(random, 14);
	arg[3] = pick(random, 16);
}

static bool spec_is_valid(const struct tmm_cache_spec *spec)
{
	return spec->size_bytes >= 1 && spec->size_bytes <= 32768 &&
	       (spec->align_bytes & (spec->align_bytes - 1)) == 0 &&
	       spec->align_bytes <= TMM_PAGE_SIZE;
}

static bool is_shown(const char *of_name)
{
	struct tmm_cache_info info;

	for (size_t i = 0; tmm_cache_info(slabs, i, &info); i++) {
		if (strcmp(info.name, of_name) == 0)
			return true;
	}
	return false;
}

static bool may_merge(const struct tmm_cache_spec *spec)
{
	return !spec->no_merge && !spec->ctor;
}

static bool alike(const struct tmm_cache_spec *a, const struct tmm_cache_spec *b)
{
	return a->size_bytes == b->size_bytes && a->align_bytes == b->align_bytes &&
	       a->hwcache_align == b->hwcache_align && a->reclaimable == b->reclaimable;
}

/* An unused name is of a cache now: one that we know, a new one, or one of the machine's. */
static void meet(unsigned c, struct tmm_cache *made, const struct tmm_cache_spec *spec)
{
	bool is_new = is_shown(spec->name);
	struct shared *known = NULL;

	CHECK(is_new || may_merge(spec));
	for (unsigned i = 0; i < NR_CACHES; i++) {
		struct shared *of = name[i].of;

		if (!of)
			continue;
		if (of->cache == made)
			known = of;
		CHECK(!is_new || !may_merge(spec) || !may_merge(&of->spec) ||
		      !alike(spec, &of->spec));
	}
	if (known) {
		CHECK(!is_new && may_merge(&known->spec));
		CHECK(known->is_machines || (spec->size_bytes <= known->spec.size_bytes &&
		                             spec->reclaimable == known->spec.reclaimable));
	} else {
		known = &shared[c];
		*known = (struct shared){.cache = made, .spec = *spec, .is_machines = !is_new};
		known->spec.name = NULL;
	}
	name[c].of = known;
}

static void apply_create(const uint64_t *arg)
{
	unsigned c = (unsigned)(arg[0] % NR_CACHES);
	char text[32];
	const struct tmm_cache_spec spec = {.name = text,
	                                    .size_bytes = arg[1],
	                                    .align_bytes = arg[2],
	                                    .hwcache_align = arg[3] & 1,
	                                    .reclaimable = arg[3] & 2,
	                                    .no_merge = !(arg[3] & 8),
	                                    .ctor = arg[3] & 4 ? construct : NULL};
	struct tmm_cache *made = NULL;
	struct shared *of = name[c].of;
	tmm_err err;

	snprintf(text, sizeof(text), "fuzz-%u", c);
	err = tmm_cache_create(slabs, &spec, &made);
	if (!spec_is_valid(&spec)) {
		CHECK(err == TMM_E_INVAL);
		return;
	}
	if (err == TMM_E_NOMEM) {
		CHECK(!of || op_failed_on_purpose());
		check_refusal(0);
		return;
	}
	if (err == TMM_E_EXIST) {
		CHECK(of);
		return;
	}
	CHECK(err == TMM_OK);
	if (of) { /* the place of a creator who is gone */
		CHECK(made == of->cache && of->nr_gone && may_merge(&spec));
		of->nr_gone--;
	} else {
		meet(c, made, &spec);
	}
	name[c].of->nr_users++;
	name[c].bytes = spec.size_bytes;
	name[c].align_bytes = spec.align_bytes ? spec.align_bytes : 8;
}

/* NULL: there is none, or not for us any more. */
static struct shared *cache_of(uint64_t arg)
{
	struct shared *of = name[arg % NR_CACHES].of;

	return of && of->nr_users ? of : NULL;
}

static void apply_destroy(const uint64_t *arg)
{
	struct shared *of = cache_of(arg[1]);

	if (of)
		destroy(of);
}

static void apply_alloc(const uint64_t *arg)
{
	struct slot *s = &slot[arg[0] % NR_SLOTS];
	unsigned c = (unsigned)(arg[1] % NR_CACHES);
	struct shared *of = cache_of(c);
	uint64_t gfp = arg[2];

	if (!of)
		return;
	if (of->spec.ctor)
		gfp &= ~UINT64_C(4);
	give_back(s);
	ctor_bytes = name[c].bytes;
	*s = (struct slot){.cache = of, .bytes = name[c].bytes};
	s->object = tmm_cache_alloc(of->cache, gfp_of(gfp));
	if (!s->object) {
		check_refusal(s->bytes);
		return;
	}
	of->nr_lent++;
	CHECK((uintptr_t)s->object % name[c].align_bytes == 0);
	if (of->spec.ctor)
		CHECK(filled(s->object, MADE, s->bytes));
	got(s, gfp);
}

static void apply_shrink(const uint64_t *arg)
{
	const struct shared *of = cache_of(arg[1]);

	if (of)
		tmm_cache_shrink(of->cache);
}

/* Of any cache of the machine's; which requests fail is said nowhere, so that none does. */
static void apply_set(const uint64_t *arg)
{
	static const struct {
		enum tmm_cache_control what;
		uint64_t most;
	} set[] = {{TMM_CACHE_SHRINK, 1},
	           {TMM_CACHE_MIN_PARTIAL, 9},
	           {TMM_CACHE_CPU_PARTIAL, 65},
	           {TMM_CACHE_VALIDATE, 1}};
	const unsigned k = (unsigned)(arg[1] % (sizeof(set) / sizeof(*set)));
	const uint64_t value = arg[2] % (set[k].most + 1);
	struct tmm_cache_info info;
	const size_t index = arg[0] % 80;
	bool there = tmm_cache_info(slabs, index, &info);
	tmm_err err = tmm_cache_control(slabs, index, set[k].what, value);

	CHECK((err == TMM_E_NOENT) == !there && (err || value <= set[k].most));
	if (!err && tmm_cache_info(slabs, index, &info)) {
		CHECK(set[k].what != TMM_CACHE_MIN_PARTIAL || info.min_partial == value);
		CHECK(set[k].what != TMM_CACHE_CPU_PARTIAL || info.cpu_partial == value);
	}
}

static void apply_cpu(const uint64_t *arg)
{
	CHECK(tmm_cpu_enter(machine, (unsigned)(arg[0] % RIG_CPUS)) == TMM_OK);
}

static void apply_check(const uint64_t *arg)
{
	(void)arg;
	check_counts();
	tmm_slab_check(slabs);
}

static const struct verb verbs[] = {
	{"kmalloc", 3, draw_kmalloc, apply_kmalloc},
	{"krealloc", 3, draw_kmalloc, apply_krealloc},
	{"free", 1, draw_slot, apply_free},
	{"create", 4, draw_create, apply_create},
	{"destroy", 2, draw_slot, apply_destroy},
	{"alloc", 3, draw_slot, apply_alloc},
	{"alloc", 3, draw_slot, apply_alloc}, /* twice as often */
	{"shrink", 2, draw_slot, apply_shrink},
	{"cpu", 1, draw_slot, apply_cpu},
	{"set", 3, draw_slot, apply_set},
	{"check", 0, NULL, apply_check},
};

const struct fuzz_target fuzz_target = {begin, check, end, sizeof(verbs) / sizeof(*verbs),
                                        verbs};
