/*
 * Every class of mistake with an object, in every mode of debugging: those modes that
 * promise it report it, under the name that Linux gives it, and the machine goes on.
 */
#include <string.h>

#include "panic.h"
#include "slab/debug.h"
#include "slab/rig_test.h"

#define F TMM_SLAB_CONSISTENCY
#define Z TMM_SLAB_RED_ZONE
#define P TMM_SLAB_POISON
#define U TMM_SLAB_STORE_USER

/* ---- the log ---- */

static char logged[64 * 1024];
static size_t logged_bytes;

static void collect(unsigned level, const char *line)
{
	size_t bytes = strlen(line);

	(void)level;
	if (logged_bytes + bytes + 2 > sizeof(logged))
		return;
	memcpy(logged + logged_bytes, line, bytes);
	logged_bytes += bytes;
	logged[logged_bytes++] = '\n';
	logged[logged_bytes] = '\0';
}

static void log_begin(void)
{
	logged[0] = '\0';
	logged_bytes = 0;
	tmm_port_on_log(collect);
}

static bool is_logged(const char *text)
{
	return strstr(logged, text) != NULL;
}

/* ---- the mistakes ---- */

static struct tmm_cache *victim; /* 64 bytes; the one that `plant` uses */

static char *lend(void)
{
	char *object = tmm_cache_alloc(victim, TMM_GFP_KERNEL);

	CHECK(object);
	memset(object, 0x41, 64);
	return object;
}

static void give(char *object)
{
	tmm_cache_free(victim, object);
}

static void overflow(char *object, size_t from, size_t bytes)
{
	memset(object + from, 0x42, bytes);
	give(object);
}

static void overflow_by_1(void)
{
	overflow(lend(), 64, 1);
}

static void overflow_by_8(void)
{
	overflow(lend(), 64, 8);
}

/* Up to 128, as if the size had been rounded up: what follows is the next object's. */
static void overflow_to_power_of_two(void)
{
	overflow(lend(), 64, 64);
}

static void underflow_by_1(void)
{
	char *object = lend();

	object[-1] = 0x42;
	give(object);
}

static void underflow_by_8(void)
{
	char *object = lend();

	memset(object - 8, 0x42, 8);
	give(object);
}

static void kmalloc_overflow(size_t from, size_t bytes)
{
	char *object = tmm_kmalloc(&m.slabs, 33, TMM_GFP_KERNEL);

	CHECK(object);
	memset(object, 0x41, 33);
	memset(object + from, 0x42, bytes);
	victim = &m.slabs.kmalloc[3];
	tmm_kfree(&m.slabs, object);
}

static void kmalloc_overflow_by_1(void)
{
	kmalloc_overflow(33, 1);
}

static void kmalloc_overflow_to_power_of_two(void)
{
	kmalloc_overflow(33, 31);
}

static void write_after_free(void)
{
	char *object = lend();

	give(object);
	object[5] = 0x42;
	lend();
}

static void write_last_byte_after_free(void)
{
	char *object = lend();

	give(object);
	object[63] = 0x42;
	lend();
}

static void smash_free_pointer(void)
{
	char *object = lend();

	give(object);
	if (victim->debug & F)
		*link_of(victim, object) = 0x4242424242424242;
	lend();
}

static void double_free(void)
{
	char *object = lend();

	give(object);
	give(object);
}

/* Others come and go in between; one stays, or the slab would be gone, too. */
static void double_free_later(void)
{
	char *object = lend(), *other[40];

	lend();
	give(object);
	for (int k = 0; k < 40; k++)
		other[k] = lend();
	for (int k = 40; k-- > 0;)
		give(other[k]);
	give(object);
}

/* a, b, a: the case that a look at the last object freed alone does not find. */
static void double_free_interleaved(void)
{
	char *a = lend(), *b = lend();

	give(a);
	give(b);
	give(a);
}

static void free_interior(void)
{
	char *object = lend();

	give(object + 8);
}

static void free_unaligned(void)
{
	char *object = lend();

	give(object + 3);
}

static void free_of_another_cache(void)
{
	char *object = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);

	CHECK(object);
	give(object);
	tmm_kfree(&m.slabs, object);
}

static void free_never_lent(void)
{
	char *object = lend();

	give(object + victim->size_bytes);
}

static void free_of_no_slab(void)
{
	tmm_pfn pfn;

	lend();
	CHECK(tmm_pages_alloc(&m.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	give(tmm_page_address(&m.pages, pfn));
	tmm_pages_free(&m.pages, pfn, 0);
}

static void free_outside_of_ram(void)
{
	lend();
	give((char *)m.memblock.ram - 64 * MB);
}

static void leak(void)
{
	lend();
	CHECK(tmm_cache_destroy(victim) == TMM_E_BUSY);
}

static const struct {
	const char *name;
	void (*plant)(void);
	uint32_t needs;      /* flags that promise to find it, all of them; 0: any */
	const char *expects; /* in the log */
} mistakes[] = {
	{"overflow by 1", overflow_by_1, Z, "Right Redzone overwritten"},
	{"overflow by 8", overflow_by_8, Z, "Right Redzone overwritten"},
	{"overflow to a power of two", overflow_to_power_of_two, Z,
         "Right Redzone overwritten"},
	{"underflow by 1", underflow_by_1, Z, "Left Redzone overwritten"},
	{"underflow by 8", underflow_by_8, Z, "Left Redzone overwritten"},
	{"kmalloc: overflow by 1", kmalloc_overflow_by_1, Z | U, "kmalloc Redzone overwritten"},
	{"kmalloc: overflow to a power of two", kmalloc_overflow_to_power_of_two, Z | U,
         "kmalloc Redzone overwritten"},
	{"write after free", write_after_free, P, "): Poison overwritten"},
	{"write after free, last byte", write_last_byte_after_free, P,
         "End Poison overwritten"},
	{"smashed free pointer", smash_free_pointer, F, "Freepointer corrupt"},
	{"double free", double_free, 0, "Object already free"},
	{"double free, later", double_free_later, 0, "Object already free"},
	{"double free, interleaved", double_free_interleaved, 0, "Object already free"},
	{"free of the interior", free_interior, 0, "Invalid object pointer"},
	{"free, unaligned", free_unaligned, 0, "Invalid object pointer"},
	{"free of another cache's", free_of_another_cache, 0, "Wrong slab cache"},
	{"free of what was never lent", free_never_lent, 0, "Object already free"},
	{"free of no slab", free_of_no_slab, 0, "outside of slab"},
	{"free outside of RAM", free_outside_of_ram, 0, "outside of slab"},
	{"leak at destroy", leak, 0, "Objects remaining on __kmem_cache_shutdown()"},
};

/* The machine still works, and what was set aside does not come back. */
static void goes_on(struct tmm_cache *cache)
{
	uint64_t reports = tmm_cache_reports(cache);
	char *object[100];

	for (int k = 0; k < 100; k++)
		CHECK((object[k] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
	for (int k = 0; k < 100; k++)
		tmm_cache_free(cache, object[k]);
	CHECK(tmm_cache_reports(cache) == reports);
}

/* As a test ends that leaks, with what it wrote where it may not. */
static void abandon(void)
{
	tmm_port_on_log(NULL);
	abandon_rig();
}

static void plant(const char *mode, size_t i)
{
	const struct slab_config config = {.debug = mode, .seed = test_seed()};
	void *ram = test_ram(8 * MB);
	struct tmm_cache *cache;
	bool promised;

	boot_with(ram, 8 * MB, 1, &config);
	cache = victim = cache_of_size("victim", 64);
	promised = (cache->debug & mistakes[i].needs) == mistakes[i].needs;
	log_begin();
	mistakes[i].plant();
	if (promised != (tmm_cache_reports(victim) > 0) ||
	    promised != is_logged(mistakes[i].expects)) {
		/* What a mode does not promise it may still find under another name. */
		if (promised)
			test_note("%s in mode %s:\n%s", mistakes[i].name, mode, logged);
		CHECK(!promised);
	}
	if (promised && !is_logged(victim->name))
		test_fail(__FILE__, __LINE__, mistakes[i].name);
	if (promised) {
		tmm_cache_validate(cache); /* what is left of the mistake */
		goes_on(cache);
	}
	abandon();
}

TEST(every_mistake_is_reported_by_the_modes_that_promise_it)
{
	static const char *const modes[] = {"F", "Z", "P", "U", "FZ", "ZU", "FZP", "FZPU"};

	for (size_t mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++)
			plant(modes[mode], i);
	}
}

/*
 *   lent    A . .
 *   free    . B C      B's pointer is forged: it leads to A, scrambled as it should be
 *
 * A is not lent a second time.
 */
TEST(a_forged_free_pointer_lends_nothing_twice)
{
	const struct slab_config config = {.debug = "F", .seed = test_seed()};
	struct tmm_cache *cache;
	char *a, *b;

	boot_with(test_ram(8 * MB), 8 * MB, 1, &config);
	cache = cache_of_size("forged", 64);
	a = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	b = tmm_cache_alloc(cache, TMM_GFP_KERNEL);
	tmm_cache_free(cache, b);
	*link_of(cache, b) = link_code(cache, b, (uintptr_t)a);
	log_begin();
	for (int k = 0; k < 20; k++)
		CHECK(tmm_cache_alloc(cache, TMM_GFP_KERNEL) != a);
	CHECK(is_logged("Freepointer corrupt") && tmm_cache_reports(cache) == 1);
	abandon();
}
