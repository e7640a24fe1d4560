/*
 * shrinker.h - owners of objects that can be made anew give them back
 *
 * Every shrinker is asked for all nodes at once: nid is 0.
 */
#ifndef TUXMM_LINUX_SHRINKER_H
#define TUXMM_LINUX_SHRINKER_H

#include <tuxmm/linux/slab.h>
#include <tuxmm/shrinker.h>

#define SHRINK_STOP   (~0ul)     /* of scan_objects(): nothing can be freed now */
#define SHRINK_EMPTY  (~0ul - 1) /* of count_objects(): there are none */
#define DEFAULT_SEEKS 2          /* what making an object anew costs, as a rule */
#define SHRINK_BATCH  128        /* objects that are scanned at a time */

struct shrink_control {
	gfp_t gfp_mask;
	int nid;
	unsigned long nr_to_scan;
	unsigned long nr_scanned; /* nr_to_scan, unless scan_objects() says otherwise */
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	long batch; /* 0: SHRINK_BATCH */
	int seeks;  /* the dearer, the fewer objects are scanned */
	void *private_data;
	struct tmm_shrinker tmm;
};

static inline uint64_t tmm_linux_count(void *arg, tmm_gfp gfp)
{
	struct shrinker *shrinker = (struct shrinker *)arg;
	struct shrink_control sc = {.gfp_mask = gfp};
	unsigned long nr = shrinker->count_objects(shrinker, &sc);

	return nr == SHRINK_EMPTY ? 0 : nr;
}

static inline uint64_t tmm_linux_scan(void *arg, tmm_gfp gfp, uint64_t nr)
{
	struct shrinker *shrinker = (struct shrinker *)arg;
	uint64_t batch = shrinker->batch > 0 ? (uint64_t)shrinker->batch : SHRINK_BATCH;
	uint64_t freed = 0, seeks = shrinker->seeks > 0 ? (uint64_t)shrinker->seeks : 1;

	nr = nr / seeks > UINT64_MAX / DEFAULT_SEEKS ? nr : nr * DEFAULT_SEEKS / seeks;
	while (nr > 0) {
		uint64_t nr_now = nr < batch ? nr : batch;
		struct shrink_control sc = {
			.gfp_mask = gfp, .nr_to_scan = nr_now, .nr_scanned = nr_now};
		unsigned long got = shrinker->scan_objects(shrinker, &sc);

		if (got == SHRINK_STOP || sc.nr_scanned == 0)
			break;
		freed += got;
		nr -= nr < sc.nr_scanned ? nr : sc.nr_scanned;
	}
	return freed;
}

/*
 * A shrinker to fill in and register; NULL: no memory.  flags: 0.  The name, a format and
 * what it takes, is for a file of Linux's that is not here.
 */
__attribute__((format(printf, 2, 3))) static inline struct shrinker *
shrinker_alloc(unsigned int flags, const char *format, ...)
{
	struct shrinker *shrinker = flags ? NULL
	                                  : (struct shrinker *)kzalloc(sizeof(*shrinker),
	                                                               GFP_KERNEL);

	(void)format;
	if (shrinker)
		shrinker->seeks = DEFAULT_SEEKS;
	return shrinker;
}

static inline void shrinker_register(struct shrinker *shrinker)
{
	shrinker->tmm = (struct tmm_shrinker){
		.count = tmm_linux_count, .scan = tmm_linux_scan, .arg = shrinker};
	tmm_shrinker_register(tmm_linux.slabs, &shrinker->tmm);
}

/* NULL is ignored.  Waits until the shrinker does not run; it need not be registered. */
static inline void shrinker_free(struct shrinker *shrinker)
{
	if (shrinker && shrinker->tmm.arg)
		tmm_shrinker_unregister(tmm_linux.slabs, &shrinker->tmm);
	kfree(shrinker);
}

#endif
