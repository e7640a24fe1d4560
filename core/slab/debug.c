/*
 * debug.c - caches that debug
 *
 * Between two objects of a cache that debugs lie, as far as its flags ask for them,
 *
 *   | left red zone | object | right red zone | free pointer | tracks | padding |
 *
 * with the object aligned as asked.  The free pointer is in the middle of the object
 * when nothing else fills that (no poison, no constructor).  It is xored with a number
 * of the cache's own and with its own address, so that whoever overwrites it cannot
 * choose what it becomes, and is believed only when it leads to the start of a free
 * object of the slab: the slab's bits, which no object can reach, are the truth, and
 * a chain that disagrees is made anew from them.
 *
 * Whatever looks at an object or changes what is around it holds the cache's lock.
 * What was found corrupt is restored and set aside, as in Linux: an object that is
 * corrupt when it is freed, and all free objects of a slab in which one is corrupt
 * when it is to be lent.  They are out of their slab, and lent to nobody.
 *
 * cache_check() asserts, with what tmm_cache_validate() reports:
 *   I13  an object is in its slab exactly while its state is OBJECT_FREE
 *   I14  nr_aside counts the objects whose state is OBJECT_ASIDE
 *   I15  the chain of a slab visits its free objects, each once
 */
#include "slab/debug.h"

/* ---- where things are ---- */

uint64_t debug_layout(struct tmm_cache *cache, const struct tmm_cache_spec *spec,
                      uint32_t flags, uint64_t align)
{
	struct object_layout *layout = &cache->layout;
	uint64_t at = align_up(spec->size_bytes, sizeof(uint64_t));

	*layout = (struct object_layout){.left_bytes = 0};
	cache->debug = flags;
	if (!flags)
		return align_up(spec->size_bytes, align);
	if (flags & TMM_SLAB_RED_ZONE && at == spec->size_bytes)
		at += sizeof(uint64_t);
	layout->red_end = (uint32_t)at;
	if (flags & TMM_SLAB_CONSISTENCY) {
		bool inside = !(flags & TMM_SLAB_POISON) && !spec->ctor &&
		              spec->size_bytes >= 2 * sizeof(uint64_t);

		layout->free_offset = (uint32_t)(inside ? align_down(spec->size_bytes / 2,
		                                                     sizeof(uint64_t))
		                                        : at);
		at += inside ? 0 : sizeof(uint64_t);
	}
	layout->track_offset = (uint32_t)at;
	if (flags & TMM_SLAB_STORE_USER)
		at += sizeof(struct tracks);
	layout->pad_offset = (uint32_t)at;
	if (flags & TMM_SLAB_RED_ZONE) {
		/* One more word, so that writing far behind meets padding before the next. */
		at += sizeof(uint64_t);
		layout->left_bytes = (uint32_t)align_up(sizeof(uint64_t), align);
	}
	return align_up(layout->left_bytes + at, align);
}

static uint64_t slab_bytes(const struct tmm_cache *cache, const struct page *head)
{
	return TMM_PAGE_SIZE << slab_order(cache, head);
}

static char *slab_start(const struct tmm_cache *cache, const struct page *head)
{
	return page_address(cache->pages, page_pfn(cache->pages, head));
}

/* Of the object that starts there; NO_SLAB: none does. */
static uint32_t index_at(const struct tmm_cache *cache, const struct page *head,
                         const char *object)
{
	uint64_t offset = (uint64_t)(object - slab_start(cache, head)) -
	                  cache->layout.left_bytes;

	if (offset >= (uint64_t)slab_objs(cache, head) * cache->size_bytes ||
	    offset % cache->size_bytes)
		return NO_SLAB;
	return (uint32_t)(offset / cache->size_bytes);
}

static uint8_t *state_of(const struct page *head, uint32_t index)
{
	return slab_lent(head) + index;
}

static bool is_filled(const struct tmm_cache *cache)
{
	return debugs(cache, TMM_SLAB_POISON) && !cache->ctor;
}

/* What was asked of kmalloc, unless somebody wrote over that. */
static size_t asked_of(const struct tmm_cache *cache, const char *object)
{
	return min_u64(tracks_of(cache, object)->asked_bytes, cache->object_bytes);
}

/* Where the right red zone begins: behind what was asked of kmalloc. */
static char *asked_end(const struct tmm_cache *cache, char *object)
{
	if (cache->is_kmalloc && debugs(cache, TMM_SLAB_STORE_USER))
		return object + asked_of(cache, object);
	return object + cache->object_bytes;
}

/* ---- the chain of free objects ---- */

static void chain_push(struct tmm_cache *cache, struct page *head, uint32_t index)
{
	uint32_t *first = chain_of(cache, head);
	char *object = object_at(cache, head, index);

	if (!debugs(cache, TMM_SLAB_CONSISTENCY))
		return;
	*link_of(cache, object) = link_code(
		cache, object, *first ? (uintptr_t)object_at(cache, head, *first - 1) : 0);
	*first = index + 1;
}

/* The objects whose bits are clear, in a random order. */
static void chain_shuffle(struct tmm_cache *cache, struct page *head) TMM_REQUIRES(cache->lock)
{
	uint64_t left[MAX_SLAB_OBJS / 64];
	uint32_t nr = slab_objs(cache, head) - head->refcount;

	memcpy(left, slab_bits(cache, head), cache->nr_words * sizeof(left[0]));
	while (nr > 0) {
		uint32_t index = slab_pick(cache, left, nr--);

		left[index / 64] |= UINT64_C(1) << index % 64;
		chain_push(cache, head, index);
	}
}

/* From the slab's bits, rising unless at random. */
static void chain_make(struct tmm_cache *cache, struct page *head) TMM_REQUIRES(cache->lock)
{
	const uint64_t *bits = slab_bits(cache, head);

	if (!debugs(cache, TMM_SLAB_CONSISTENCY))
		return;
	*chain_of(cache, head) = 0;
	if (cache->shuffle) {
		chain_shuffle(cache, head);
		return;
	}
	for (uint32_t i = slab_objs(cache, head); i-- > 0;) {
		if (!(bits[i / 64] >> i % 64 & 1))
			chain_push(cache, head, i);
	}
}

/* The pointer of the subject's object is smashed. */
static void chain_mend(struct tmm_cache *cache, const struct subject *subject)
	TMM_REQUIRES(cache->lock)
{
	report_object(subject, "Freepointer corrupt");
	report_fix(subject, "Rebuilding the free list from the slab's bits");
	chain_make(cache, subject->head);
}

/* Behind `index`, plus one; 0: it is the last.  False: the pointer is smashed. */
static bool chain_next(struct tmm_cache *cache, struct page *head, uint32_t index,
                       uint32_t *out_next)
{
	const char *object = object_at(cache, head, index);
	uint64_t link = link_code(cache, object, *link_of(cache, object));
	uint32_t next = link ? index_at(cache, head, (const char *)(uintptr_t)link) : NO_SLAB;

	*out_next = link ? next + 1 : 0;
	return !link || (next != NO_SLAB && *state_of(head, next) == OBJECT_FREE);
}

/* ---- what lies around an object ---- */

static void fill_zones(struct tmm_cache *cache, char *object, unsigned char zone)
{
	if (debugs(cache, TMM_SLAB_RED_ZONE)) {
		char *end = zone == TMM_RED_ACTIVE ? asked_end(cache, object)
		                                   : object + cache->object_bytes;

		memset(object - cache->layout.left_bytes, zone, cache->layout.left_bytes);
		memset(end, zone, (size_t)(object + cache->layout.red_end - end));
	}
}

static void fill_free(struct tmm_cache *cache, char *object)
{
	fill_zones(cache, object, TMM_RED_INACTIVE);
	if (is_filled(cache)) {
		memset(object, TMM_POISON_FREE, cache->object_bytes - 1);
		object[cache->object_bytes - 1] = (char)TMM_POISON_END;
	}
}

void debug_slab_init(struct tmm_cache *cache, struct page *head)
{
	char *start = slab_start(cache, head);
	tmm_irq irq;

	if (debugs(cache, TMM_SLAB_POISON))
		memset(start, TMM_POISON_INUSE, slab_bytes(cache, head));
	for (uint32_t i = 0; i < slab_objs(cache, head); i++) {
		char *object = object_at(cache, head, i);

		if (debugs(cache, TMM_SLAB_STORE_USER))
			*tracks_of(cache, object) = (struct tracks){.asked_bytes = 0};
		fill_free(cache, object);
	}
	irq = lock_take_irqsave(&cache->lock);
	chain_make(cache, head);
	lock_drop_irqrestore(&cache->lock, irq);
}

/* Are all bytes of [from, to) as they should be?  Reports and restores. */
static bool bytes_are(const struct subject *subject, const char *what, char *from, char *to,
                      unsigned char expected)
{
	unsigned char *at = (unsigned char *)from, *end = (unsigned char *)to;

	while (at < end && *at == expected)
		at++;
	if (likely(at == end))
		return true;
	while (end[-1] == expected)
		end--;
	report_bytes(subject, what, at, end, expected);
	return false;
}

static bool zones_are(const struct subject *subject, unsigned char zone)
{
	const struct tmm_cache *cache = subject->cache;
	char *object = subject->object, *end = object + cache->object_bytes;
	bool sound = true;

	if (!debugs(cache, TMM_SLAB_RED_ZONE))
		return true;
	sound &= bytes_are(subject, "Left Redzone", object - cache->layout.left_bytes, object,
	                   zone);
	sound &= bytes_are(subject, "Right Redzone", end, object + cache->layout.red_end, zone);
	/* Who wrote through the right one may have written over how much was asked for. */
	if (zone == TMM_RED_ACTIVE && sound)
		sound = bytes_are(subject, "kmalloc Redzone", asked_end(cache, object), end,
		                  zone);
	return sound;
}

static bool padding_is(const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	char *object = subject->object;
	bool sound = true;

	if (!debugs(cache, TMM_SLAB_POISON))
		return true;
	if (!debugs(cache, TMM_SLAB_RED_ZONE))
		sound &= bytes_are(subject, "Alignment padding", object + cache->object_bytes,
		                   object + cache->layout.red_end, TMM_POISON_INUSE);
	sound &= bytes_are(subject, "Object padding", object + cache->layout.pad_offset,
	                   object + cache->size_bytes - cache->layout.left_bytes,
	                   TMM_POISON_INUSE);
	return sound;
}

static bool lent_is_sound(const struct subject *subject)
{
	bool sound = zones_are(subject, TMM_RED_ACTIVE);

	return padding_is(subject) && sound;
}

static bool free_is_sound(const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	char *last = subject->object + cache->object_bytes - 1;
	bool sound = zones_are(subject, TMM_RED_INACTIVE);

	if (is_filled(cache)) {
		sound &= bytes_are(subject, "Poison", subject->object, last, TMM_POISON_FREE);
		sound &= bytes_are(subject, "End Poison", last, last + 1, TMM_POISON_END);
	}
	return padding_is(subject) && sound;
}

/* What is left of the slab behind its last object. */
static bool slab_end_is_sound(const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	const struct page *head = subject->head;
	char *start = slab_start(cache, head);
	const struct subject slab = {
		.cache = subject->cache, .head = subject->head, .site = subject->site};

	return !debugs(cache, TMM_SLAB_POISON) ||
	       bytes_are(&slab, "Padding",
	                 start + (uint64_t)slab_objs(cache, head) * cache->size_bytes,
	                 start + slab_bytes(cache, head), TMM_POISON_INUSE);
}

static void track(struct tmm_cache *cache, struct track *out, const void *site)
{
	struct tmm_cpu *cpu = cpu_self(cache->cpus);

	/* relaxed: only tells what came before what */
	*out = (struct track){
		.site = site,
		.when = __atomic_fetch_add(&cache->slabs->clock, 1, __ATOMIC_RELAXED),
		.cpu = cpu->id,
		.task = cpu->task,
	};
}

/* ---- lending ---- */

static void set_aside(struct tmm_cache *cache, struct page *head, uint32_t index)
	TMM_REQUIRES(cache->lock)
{
	*state_of(head, index) = OBJECT_ASIDE;
	cache->nr_aside++;
}

/* Linux: Marking all objects used. */
static void slab_set_aside(struct tmm_cache *cache, const struct subject *subject)
	TMM_REQUIRES(cache->lock)
{
	struct page *head = subject->head;

	report_fix(subject, "Marking all objects used");
	for (uint32_t i = 0; i < slab_objs(cache, head); i++) {
		if (*state_of(head, i) != OBJECT_FREE)
			continue;
		slab_take_object(cache, head, i);
		set_aside(cache, head, i);
	}
	if (debugs(cache, TMM_SLAB_CONSISTENCY))
		*chain_of(cache, head) = 0;
}

/* The object that the slab, which has one, lends next. */
static uint32_t next_free(struct tmm_cache *cache, struct subject *subject)
	TMM_REQUIRES(cache->lock)
{
	struct page *head = subject->head;
	uint32_t index, next;

	if (!debugs(cache, TMM_SLAB_CONSISTENCY))
		return slab_find_free(cache, head);
	index = *chain_of(cache, head) - 1;
	subject->object = object_at(cache, head, index);
	if (unlikely(!chain_next(cache, head, index, &next))) {
		chain_mend(cache, subject);
		index = *chain_of(cache, head) - 1;
		chain_next(cache, head, index, &next);
	}
	*chain_of(cache, head) = next;
	return index;
}

/* NULL: something was wrong in the slab, which has none to lend any more. */
static char *slab_lend(struct tmm_cache *cache, struct page *head, size_t asked_bytes,
                       const void *site) TMM_REQUIRES(cache->lock)
{
	struct subject subject = {.cache = cache, .head = head, .site = site};
	uint32_t index = next_free(cache, &subject);

	subject.object = object_at(cache, head, index);
	if (unlikely(!free_is_sound(&subject) ||
	             (debugs(cache, TMM_SLAB_CONSISTENCY) && !slab_end_is_sound(&subject)))) {
		slab_set_aside(cache, &subject);
		return NULL;
	}
	slab_take_object(cache, head, index);
	*state_of(head, index) = OBJECT_LENT;
	if (debugs(cache, TMM_SLAB_STORE_USER)) {
		track(cache, &tracks_of(cache, subject.object)->lent, site);
		tracks_of(cache, subject.object)->asked_bytes = asked_bytes;
	}
	fill_zones(cache, subject.object, TMM_RED_ACTIVE);
	if (debugs(cache, TMM_SLAB_TRACE))
		report_trace(&subject, "alloc");
	return subject.object;
}

static char *cache_lend(const struct slab_source *source, size_t asked_bytes, const void *site)
{
	tmm_irq irq = lock_take_irqsave(&source->cache->lock);
	char *object = NULL;
	uint32_t first;

	if (source->new_slab != NO_SLAB)
		slab_add(source->cache, source->new_slab);
	while (!object && (first = source_slab(source)) != NO_SLAB)
		object = slab_lend(source->cache, slab_page(source->cache, first), asked_bytes,
		                   site);
	lock_drop_irqrestore(&source->cache->lock, irq);
	return object;
}

void *debug_alloc(struct tmm_cache *cache, tmm_gfp gfp, uint32_t node, size_t asked_bytes,
                  const void *site)
{
	struct slab_source source = source_first(cache, gfp, node);
	char *object;

	do
		object = cache_lend(&source, asked_bytes, site);
	while (!object && source_next(&source));
	return object;
}

/* ---- taking back ---- */

/* The slab that the address is in; NULL: none, which is reported. */
static struct page *slab_of(const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	struct subject nowhere = {.cache = subject->cache, .site = subject->site};
	struct place place;

	if (!place_find(cache->pages, subject->object, &place) ||
	    place.head->kind != PAGE_SLAB) {
		report_object(&nowhere, "Attempt to free object outside of slab");
		report_fix(subject, "Object at 0x%llx not freed",
		           shown(cache, subject->object));
		return NULL;
	}
	if (place.head->owner != cache) {
		report_object(&nowhere, "Wrong slab cache");
		report_fix(subject, "Object at 0x%llx is from %s, not freed",
		           shown(cache, subject->object),
		           ((struct tmm_cache *)place.head->owner)->name);
		return NULL;
	}
	return place.head;
}

/* Is it a lent object, and sound?  Else that is reported. */
static bool may_free(struct tmm_cache *cache, struct subject *subject, uint32_t index)
	TMM_REQUIRES(cache->lock)
{
	const struct subject slab = {
		.cache = cache, .head = subject->head, .site = subject->site};

	if (index == NO_SLAB)
		report_object(&slab, "Invalid object pointer");
	else if (*state_of(subject->head, index) == OBJECT_FREE)
		report_object(subject, "Object already free");
	else if (*state_of(subject->head, index) == OBJECT_ASIDE)
		report_object(subject, "Object already freed, and set aside since");
	else if (!lent_is_sound(subject))
		set_aside(cache, subject->head, index);
	else
		return true;
	report_fix(subject, "Object at 0x%llx not freed", shown(cache, subject->object));
	return false;
}

static void take_back(const struct subject *subject, uint32_t index)
{
	struct tmm_cache *cache = subject->cache;

	if (debugs(cache, TMM_SLAB_TRACE))
		report_trace(subject, "free");
	if (debugs(cache, TMM_SLAB_STORE_USER))
		track(cache, &tracks_of(cache, subject->object)->freed, subject->site);
	fill_free(cache, subject->object);
	*state_of(subject->head, index) = OBJECT_FREE;
	chain_push(cache, subject->head, index);
}

void debug_free(struct tmm_cache *cache, void *object, const void *site)
{
	struct subject subject = {.cache = cache, .object = object, .site = site};
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t gone = NO_SLAB;

	subject.head = slab_of(&subject);
	if (likely(subject.head != NULL)) {
		uint32_t index = index_at(cache, subject.head, object);

		if (likely(may_free(cache, &subject, index))) {
			take_back(&subject, index);
			gone = slab_put_object(cache, object);
		}
	}
	lock_drop_irqrestore(&cache->lock, irq);
	slabs_destroy(cache, gone);
}

/* ---- what kmalloc asked for ---- */

void debug_resize(struct tmm_cache *cache, void *object, size_t asked_bytes)
{
	tmm_irq irq;

	if (!debugs(cache, TMM_SLAB_STORE_USER))
		return;
	irq = lock_take_irqsave(&cache->lock);
	tracks_of(cache, object)->asked_bytes = asked_bytes;
	fill_zones(cache, object, TMM_RED_ACTIVE);
	lock_drop_irqrestore(&cache->lock, irq);
}

size_t debug_asked_bytes(struct tmm_cache *cache, const void *object)
{
	size_t bytes = cache->object_bytes;
	tmm_irq irq;

	if (!debugs(cache, TMM_SLAB_STORE_USER))
		return bytes;
	irq = lock_take_irqsave(&cache->lock);
	bytes = asked_of(cache, object);
	lock_drop_irqrestore(&cache->lock, irq);
	return bytes;
}

/* ---- all objects ---- */

/* Calls visit for each slab. */
static void for_each_slab(struct tmm_cache *cache,
                          void (*visit)(struct tmm_cache *cache, struct page *head, void *arg),
                          void *arg) TMM_REQUIRES(cache->lock)
{
	for (unsigned i = 0; i < nr_slab_lists(cache); i++) {
		for (uint32_t first = slab_list_at(cache, i)->first; first != NO_SLAB;
		     first = slab_page(cache, first)->next)
			visit(cache, slab_page(cache, first), arg);
	}
}

static void chain_validate(struct tmm_cache *cache, struct page *head) TMM_REQUIRES(cache->lock)
{
	struct subject subject = {.cache = cache, .head = head};
	uint32_t nr = 0, free = slab_objs(cache, head) - head->refcount, next;

	if (!debugs(cache, TMM_SLAB_CONSISTENCY))
		return;
	for (uint32_t index = *chain_of(cache, head); index; index = next, nr++) {
		subject.object = object_at(cache, head, index - 1);
		if (nr < free && chain_next(cache, head, index - 1, &next))
			continue;
		chain_mend(cache, &subject);
		return;
	}
	if (nr < free) {
		subject.object = NULL;
		report_object(&subject, "Objects are missing from the free list");
		chain_make(cache, head);
	}
}

static void slab_validate(struct tmm_cache *cache, struct page *head, void *arg)
	TMM_REQUIRES(cache->lock)
{
	struct subject subject = {.cache = cache, .head = head};

	(void)arg;
	for (uint32_t i = 0; i < slab_objs(cache, head); i++) {
		subject.object = object_at(cache, head, i);
		if (*state_of(head, i) == OBJECT_FREE)
			free_is_sound(&subject);
		else if (*state_of(head, i) == OBJECT_LENT)
			lent_is_sound(&subject);
	}
	slab_end_is_sound(&subject);
	chain_validate(cache, head);
}

static void count_aside(struct tmm_cache *cache, struct page *head, void *nr)
{
	for (uint32_t i = 0; i < slab_objs(cache, head); i++)
		*(uint64_t *)nr += *state_of(head, i) == OBJECT_ASIDE;
}

uint64_t tmm_cache_reports(const struct tmm_cache *cache)
{
	/* relaxed: a count */
	return __atomic_load_n(&cache->nr_reports, __ATOMIC_RELAXED);
}

uint64_t tmm_cache_validate(struct tmm_cache *cache)
{
	uint64_t before = tmm_cache_reports(cache);
	tmm_irq irq = lock_take_irqsave(&cache->lock);

	if (cache->debug)
		for_each_slab(cache, slab_validate, NULL);
	lock_drop_irqrestore(&cache->lock, irq);
	return tmm_cache_reports(cache) - before;
}

void cache_debug_check(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint64_t nr_aside = 0;

	for_each_slab(cache, count_aside, &nr_aside);
	TMM_ASSERT(nr_aside == cache->nr_aside); /* I14 */
	lock_drop_irqrestore(&cache->lock, irq);
	TMM_ASSERT(!tmm_cache_validate(cache) && "objects are sound: see the log"); /* I15 */
}

/* A slab that an object is out of; there is one. */
static struct page *used_slab(struct tmm_cache *cache) TMM_REQUIRES(cache->lock)
{
	uint32_t first = NO_SLAB;

	for (unsigned i = 0; first == NO_SLAB; i++) {
		first = slab_list_at(cache, i)->first;
		while (first != NO_SLAB && !slab_page(cache, first)->refcount)
			first = slab_page(cache, first)->next;
	}
	return slab_page(cache, first);
}

void debug_release_aside(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint32_t gone = NO_SLAB;

	/* Every object that is out of its slab is aside. */
	while (cache->nr_aside > 0) {
		struct page *head = used_slab(cache);
		uint32_t index = 0;

		while (*state_of(head, index) != OBJECT_ASIDE)
			index++;
		*state_of(head, index) = OBJECT_FREE;
		chain_push(cache, head, index);
		cache->nr_aside--;
		gone = slab_put_object(cache, object_at(cache, head, index));
		if (gone == NO_SLAB)
			continue;
		lock_drop_irqrestore(&cache->lock, irq);
		slabs_destroy(cache, gone);
		irq = lock_take_irqsave(&cache->lock);
	}
	lock_drop_irqrestore(&cache->lock, irq);
}
