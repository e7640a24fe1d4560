/*
 * Writes behind kmalloc's memory, of every size up to the largest class.
 *
 *   | left red zone | object: asked for | rest of the class | right red zone ...
 *                                       ^ by 1, by 8, to the next power of two
 *
 * With Z what goes beyond the class is found, with U too all that goes beyond what was
 * asked for.  Whatever is hit of the marks behind the object, the machine goes on.
 */
#include "panic.h"
#include "slab/debug.h"
#include "slab/rig_test.h"

static unsigned nr_lines;

static void count_line(unsigned level, const char *line)
{
	(void)level;
	(void)line;
	nr_lines++;
}

static const size_t classes[NR_KMALLOC_SIZES] = {8,   16,  32,   64,   96,   128, 192,
                                                 256, 512, 1024, 2048, 4096, 8192};

/* To the next power of two, which is twice as much for one. */
static size_t up_to_power_of_two(size_t bytes)
{
	return ((size_t)1 << (log2_floor(bytes) + 1)) - bytes;
}

static uint64_t nr_reports(void)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < NR_KMALLOC_SIZES; i++)
		nr += tmm_cache_reports(&m.slabs.kmalloc[i]);
	return nr;
}

/* Overflows an object and frees it; is that reported? */
static bool is_found(size_t asked, size_t bytes, unsigned char with)
{
	uint64_t before = nr_reports();
	unsigned char *object = tmm_kmalloc(&m.slabs, asked, TMM_GFP_KERNEL);

	CHECK(object);
	memset(object, 0x11, asked);
	memset(object + asked, with, bytes);
	tmm_kfree(&m.slabs, object);
	return nr_reports() > before;
}

/* Others of that size are lent and come back sound, from another slab if need be. */
static void goes_on(size_t asked)
{
	unsigned char *object[20];

	for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = tmm_kmalloc(&m.slabs, asked, TMM_GFP_KERNEL);
		CHECK(object[i]);
		memset(object[i], (int)i, asked);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
		CHECK(all_bytes_are(object[i], (unsigned char)i, asked));
		tmm_kfree(&m.slabs, object[i]);
	}
}

static void overflow_of(void *ram, const char *debug, size_t class, size_t asked, size_t bytes)
{
	static const unsigned char with[] = {0x00, 0x42, 0xff};
	const struct slab_config config = {.debug = debug};
	bool promised = asked + bytes > class || __builtin_strchr(debug, 'U') != NULL;

	for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
		bool found;

		memset(ram, 0, 4 * MB);
		boot_with(ram, 4 * MB, 1, &config);
		tmm_port_on_log(count_line);
		nr_lines = 0;
		found = is_found(asked, bytes, with[i]);
		CHECK(found == promised && found == (nr_lines > 0));
		goes_on(asked);
		tmm_port_on_log(NULL);
		abandon_rig();
	}
}

TEST(writes_behind_memory_of_every_size_are_found)
{
	static const char *const debugs[] = {"Z", "FZ", "ZU", "FZPU"};
	void *ram = test_ram(4 * MB);

	for (size_t d = 0; d < ARRAY_SIZE(debugs); d++) {
		for (unsigned i = 0; i < NR_KMALLOC_SIZES; i++) {
			const size_t class = classes[i];
			const size_t asked[] = {class, class - 1, i ? classes[i - 1] + 1 : 1};

			for (size_t k = 0; k < ARRAY_SIZE(asked); k++) {
				overflow_of(ram, debugs[d], class, asked[k], 1);
				overflow_of(ram, debugs[d], class, asked[k], 8);
				overflow_of(ram, debugs[d], class, asked[k],
				            up_to_power_of_two(asked[k]));
			}
		}
	}
}

/*
 * Marks keep an object aligned to its size, so that it takes three times its size from
 * a page on: 8 KiB need a slab of 32 KiB for one.  No class needs more than that, and
 * with O those that a page holds without marks do without Z, P and U.
 */
TEST(no_class_needs_more_than_eight_pages)
{
	static const char *const debugs[] = {"Z", "FZPU", "FZPUO"};

	for (size_t d = 0; d < ARRAY_SIZE(debugs); d++) {
		const struct slab_config config = {.debug = debugs[d]};

		boot_with(test_ram(4 * MB), 4 * MB, 1, &config);
		for (unsigned i = 0; i < NR_KMALLOC_SIZES; i++) {
			const struct tmm_cache *cache = &m.slabs.kmalloc[i];
			bool marked = cache->debug & TMM_SLAB_RED_ZONE;

			CHECK(cache->order <= 3 && cache->nr_objs >= 1);
			CHECK(cache->size_bytes <= 3 * max_u64(cache->object_bytes, 128));
			/* 2 KiB with marks are 6, more than a page; 1 KiB are 3. */
			CHECK(marked == (d < 2 || cache->object_bytes <= 1024));
		}
		goes_on(8192);
		halt();
	}
}
