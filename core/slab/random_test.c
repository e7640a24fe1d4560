/*
 * What every borrower wrote is the model: his bytes are his alone.
 */
#include "slab/rig_test.h"

#define NR_SLOTS 3000u

static struct slot slot[NR_SLOTS];

static void slot_borrow(struct slot *s, struct tmm_cache *const *caches, uint64_t r)
{
	unsigned which = r & 7;

	s->cache = which < 5 ? caches[which] : NULL;
	s->bytes = s->cache ? s->cache->object_bytes
	                    : (which == 5 ? (r >> 8) % 20000 : (r >> 8) % 300) + 1;
	s->object = s->cache ? tmm_cache_alloc(s->cache, TMM_GFP_KERNEL)
	                     : tmm_kmalloc(&m.slabs, s->bytes, TMM_GFP_KERNEL);
	if (s->object)
		slot_fill(s, (unsigned char)(r >> 40));
}

static void slot_resize(struct slot *s, uint64_t r)
{
	size_t bytes = 1 + (r >> 8) % 12000, kept = s->bytes < bytes ? s->bytes : bytes;
	unsigned char *object = tmm_krealloc(&m.slabs, s->object, bytes, TMM_GFP_KERNEL);

	if (!object)
		return;
	CHECK(all_bytes_are(object, s->pattern, kept));
	s->object = object;
	s->bytes = bytes;
	slot_fill(s, s->pattern);
}

static void counts_agree(struct tmm_cache *const *caches)
{
	for (int i = 0; i < 5; i++) {
		uint64_t nr = 0;

		for (unsigned k = 0; k < NR_SLOTS; k++)
			nr += slot[k].object && slot[k].cache == caches[i];
		CHECK((m.slabs.is_slob ? caches[i]->nr_out
		                       : info_of(caches[i]->name).active_objs) == nr);
	}
	CHECK(tmm_slab_pages(&m.slabs, false) + tmm_pages_free_count(&m.pages) == m.free_pages);
	tmm_slab_check(&m.slabs);
}

/*
 * Borrow, return, resize and shrink at random; now mostly the one, now the
 * other.  Each borrower fills its object and finds it so when it gives it back.
 */
TEST(random_borrowers_never_disturb_each_other)
{
	static const size_t sizes[] = {8, 40, 192, 1000, 5000};
	uint64_t seed = test_seed();
	struct tmm_cache *caches[5];
	const int nr_operations = 400000;

	boot(8 * MB);
	memset(slot, 0, sizeof(slot));
	for (int i = 0; i < 5; i++)
		caches[i] = cache_of_size((const char *[]){"a", "b", "c", "d", "e"}[i],
		                          sizes[i]);
	for (int i = 0; i < nr_operations; i++) {
		uint64_t r = test_random(&seed);
		struct slot *s = &slot[(r >> 16) % NR_SLOTS];
		bool growing = (i / 20000) % 2 == 0;

		if (!s->object && (growing || (r & 3) == 0))
			slot_borrow(s, caches, test_random(&seed));
		else if (s->object && (!growing || (r & 3) == 0))
			slot_return(s);
		else if (s->object && !s->cache && (r & 12) == 0)
			slot_resize(s, test_random(&seed));
		if ((r >> 50) == 0)
			tmm_cache_shrink(caches[r % 5]);
		if (i % 2000 == 0)
			counts_agree(caches);
	}
	for (unsigned k = 0; k < NR_SLOTS; k++) {
		if (slot[k].object)
			slot_return(&slot[k]);
	}
	test_note("%d operations, TUXMM_SEED=%#llx", nr_operations,
	          (unsigned long long)test_seed());
	halt();
}
