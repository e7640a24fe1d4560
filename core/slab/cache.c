/*
 * cache.c - making and naming caches
 *
 * Descriptors of caches are objects of a cache too.  The caches that others are
 * made of (enum own_cache) lie in the slab system itself and so need none; the
 * kmalloc caches lie there likewise.
 * tmm_slab_check() asserts of the list of caches:
 *   I7  names differ
 *   I8  every cache is of this slab system
 */
#include "slab/charge.h"
#include "slab/debug.h"
#include "slab/slob.h"

#define MAX_SLAB_ORDER  3u /* unless a single object needs more */
#define MAX_OBJECT      (TMM_PAGE_SIZE << MAX_SLAB_ORDER)
#define STATE_BYTES(nr) ((nr) / 8 + (nr)) /* a bit and a byte for each object */
#define DIRECT_MAP      UINT64_C(0xffff888000000000)

static size_t text_length(const char *text, size_t most)
{
	size_t length = 0;

	while (length < most && text[length])
		length++;
	return length;
}

static bool spec_is_valid(const struct tmm_cache_spec *spec)
{
	size_t room = sizeof(((struct tmm_cache *)NULL)->name);
	size_t length = spec->name ? text_length(spec->name, room) : 0;

	return length > 0 && length < room && spec->size_bytes >= 1 &&
	       spec->size_bytes <= MAX_OBJECT && spec->usercopy_bytes <= spec->size_bytes &&
	       spec->usercopy_offset <= spec->size_bytes - spec->usercopy_bytes &&
	       (!spec->align_bytes ||
	        (is_power_of_two(spec->align_bytes) && spec->align_bytes <= TMM_PAGE_SIZE));
}

/*
 * Linux's rule: enough objects that CPUs seldom come for a slab, the more of those
 * there are; then the lowest order that wastes at most a 16th of the slab at its
 * end, failing that an 8th, a 4th, a half.  Higher orders are the first that cannot
 * be had when memory is short.
 */
static uint32_t best_order(uint64_t size_bytes, uint32_t nr_cpus)
{
	uint64_t wanted = 4 * (log2_floor(nr_cpus) + 2);
	uint64_t most = max_u64((TMM_PAGE_SIZE << MAX_SLAB_ORDER) / size_bytes, 1);
	uint32_t least = run_order(size_bytes * min_u64(wanted, most));

	for (uint32_t fraction = 16; fraction > 1; fraction /= 2) {
		for (uint32_t order = least; order <= MAX_SLAB_ORDER; order++) {
			uint64_t slab_bytes = TMM_PAGE_SIZE << order;

			if (slab_bytes % size_bytes <= slab_bytes / fraction)
				return order;
		}
	}
	return run_order(size_bytes);
}

/* Objects that a CPU may keep twice; about as many bytes whatever their size. */
static uint32_t magazine_limit(uint64_t size_bytes)
{
	return (uint32_t)(size_bytes <= 256    ? MAGAZINE_MAX
	                  : size_bytes <= 1024 ? MAGAZINE_MAX / 2
	                  : size_bytes <= 4096 ? MAGAZINE_MAX / 4
	                                       : MAGAZINE_MAX / 8);
}

/* Where everything lies in a slab, and the distance of its objects. */
static uint64_t choose_layout(struct tmm_cache *cache, const struct tmm_cache_spec *spec)
{
	struct debug_choice choice = {.flags = 0};
	uint64_t align = cache->align_bytes, size;

	if (is_own_cache(cache) || cache->slabs->is_slob)
		return debug_layout(cache, spec, 0, align);
	if (cache->slabs->has_debug)
		choice = debug_choose(cache->slabs->debug, cache->name);
	cache->fails = (spec->debug | choice.flags) & TMM_SLAB_FAILSLAB;
	size = debug_layout(cache, spec, (spec->debug | choice.flags) & ~TMM_SLAB_FAILSLAB,
	                    align);
	if (choice.not_at_a_cost && run_order(size) > run_order(spec->size_bytes))
		size = debug_layout(cache, spec,
		                    cache->debug & (TMM_SLAB_CONSISTENCY | TMM_SLAB_TRACE),
		                    align);
	return size;
}

/* The smallest state that holds the bits, a byte for each object, and a chain's start. */
static struct tmm_cache *choose_states(const struct tmm_cache *cache)
{
	uint64_t bytes = cache->lent_offset + nr_lent_bytes(cache);
	unsigned i = OWN_STATE;

	if (cache->debug & TMM_SLAB_CONSISTENCY)
		bytes = align_up(bytes, sizeof(uint32_t)) + sizeof(uint32_t);
	while (i < OWN_CHARGES && cache->slabs->own[i].object_bytes < bytes)
		i++;
	TMM_ASSERT(i < OWN_CHARGES && "there is a state for so many");
	return &cache->slabs->own[i];
}

/* Any two caches have different ones, and any two seeds. */
static uint64_t random_of(const struct tmm_cache *cache)
{
	uint64_t random = cache->slabs->seed;

	for (size_t i = 0; cache->name[i]; i++)
		random = (random ^ (unsigned char)cache->name[i]) *
		         UINT64_C(0x9e3779b97f4a7c15);
	return random ^ random >> 32;
}

static bool is_own_address(const struct tmm_slab_system *slabs, const struct tmm_cache *cache)
{
	return cache >= slabs->own && cache < slabs->own + NR_OWN_CACHES;
}

static bool is_kmalloc_address(const struct tmm_slab_system *slabs,
                               const struct tmm_cache *cache)
{
	return cache >= slabs->kmalloc && cache < slabs->kmalloc + NR_KMALLOC_CACHES;
}

/* The only array of descriptors, of the only node; else NULL. */
static struct page *flat_of(const struct tmm_pages *pages)
{
	return pages->nr_nodes == 1 && pages->map.model == TMM_MEMORY_FLAT ? pages->map.flat
	                                                                   : NULL;
}

void cache_init(struct tmm_cache *cache, struct tmm_slab_system *slabs,
                const struct tmm_cache_spec *spec)
{
	bool own = is_own_address(slabs, cache);
	uint64_t size;

	*cache = (struct tmm_cache){
		.object_bytes = (uint32_t)spec->size_bytes,
		.page_gfp = spec->reclaimable ? TMM_GFP_RECLAIMABLE : 0,
		.hwcache_align = spec->hwcache_align,
		.no_merge = spec->no_merge,
		.align_bytes = (uint32_t)max_u64(spec->align_bytes,
	                                         spec->hwcache_align ? CACHE_LINE : 8),
		.usercopy_offset = spec->usercopy_offset,
		.usercopy_bytes = spec->usercopy_bytes,
		.nr_users = 1,
		.min_partial = 1,
		.depot_most = DEPOT_MAX,
		.front = {.epoch = 1, .account = spec->account},
		.states = own ? NULL : &slabs->own[OWN_STATE],
		.cpus = slabs->pages->cpus,
		.nr_nodes = (uint16_t)slabs->pages->nr_nodes,
		.ram = slabs->pages->ram,
		.flat = flat_of(slabs->pages),
		.pages = slabs->pages,
		.slabs = slabs,
		.ctor = spec->ctor,
		.is_kmalloc = is_kmalloc_address(slabs, cache),
	};
	lock_init(&cache->lock, RANK_CACHE_NODE);
	for (unsigned i = 0; i < TMM_MAX_NODES; i++) {
		lock_init(&cache->depot[i].lock, RANK_DEPOT);
		cache->node[i] = (struct slab_node){.partial = {NO_SLAB, 0},
		                                    .full = {NO_SLAB, 0}};
	}
	memcpy(cache->name, spec->name, text_length(spec->name, sizeof(cache->name)));
	cache->random = random_of(cache);
	if (!own && slabs->options & TMM_SLAB_RANDOM)
		cache->shuffle = cache->random | 1;
	size = choose_layout(cache, spec);
	cache->size_bytes = (uint32_t)size;
	cache->front.reciprocal = (uint32_t)((UINT64_C(1) << 32) / size + 1);
	cache->order = best_order(size, cache->cpus->nr);
	cache->slab_mask = mask_of_order(cache->order);
	cache->nr_objs = (uint32_t)((TMM_PAGE_SIZE << cache->order) / size);
	cache->short_order = run_order(size);
	cache->short_objs = (uint32_t)((TMM_PAGE_SIZE << cache->short_order) / size);
	TMM_ASSERT((!own || cache->nr_objs <= 64) && "bits fit into a descriptor");
	cache->nr_words = (cache->nr_objs + 63) / 64;
	cache->lent_offset = cache->nr_words * (uint32_t)sizeof(uint64_t);
	if (!own)
		cache->states = choose_states(cache);
	if (!own && !cache->debug && !slabs->is_slob)
		cache->limit = magazine_limit(size);
}

tmm_err tmm_cache_create(struct tmm_slab_system *slabs, const struct tmm_cache_spec *spec,
                         struct tmm_cache **out_cache)
{
	struct tmm_cache *cache, *new;
	struct alias *alias = NULL;
	tmm_irq irq;
	tmm_err err;

	if (!spec_is_valid(spec))
		return TMM_E_INVAL;
	new = tmm_port_allow("slab") ? own_alloc(&slabs->own[OWN_CACHE], TMM_GFP_KERNEL) : NULL;
	if (!new)
		return TMM_E_NOMEM;
	cache_init(new, slabs, spec);
	if (cache_may_merge(new)) {
		alias = own_alloc(&slabs->own[OWN_ALIAS], TMM_GFP_KERNEL);
		if (!alias) {
			own_free(&slabs->own[OWN_CACHE], new);
			return TMM_E_NOMEM;
		}
	}
	cache = new;
	irq = lock_take_irqsave(&slabs->lock);
	err = cache_enlist(slabs, &cache, &alias);
	lock_drop_irqrestore(&slabs->lock, irq);
	if (alias)
		own_free(&slabs->own[OWN_ALIAS], alias);
	if (err || cache != new)
		own_free(&slabs->own[OWN_CACHE], new);
	if (!err)
		*out_cache = cache;
	return err;
}

static bool is_built_in(const struct tmm_cache *cache)
{
	return is_own_cache(cache) || cache->is_kmalloc;
}

/* Nobody uses the cache any more. */
static void cache_empty(struct tmm_cache *cache)
{
	magazines_destroy(cache);
	debug_release_aside(cache);
	TMM_ASSERT(!cache->nr_out && "every object is back");
	empties_free(cache, 0);
}

uint64_t tmm_cache_shrink(struct tmm_cache *cache)
{
	uint64_t pages = magazines_drain(cache);

	return pages + empties_free(cache, 0);
}

/* The last creator goes: off the list; false: an object is lent, which is reported. */
static bool cache_delist(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint64_t nr_lent = cache->nr_out - cache->nr_aside - magazines_count(cache);

	if (nr_lent)
		report_lent(cache, nr_lent);
	else
		list_del(&cache->link);
	lock_drop_irqrestore(&cache->lock, irq);
	return !nr_lent;
}

static void aliases_free(struct tmm_slab_system *slabs, struct alias *alias)
{
	while (alias) {
		struct list *next = alias->link.next;

		own_free(&slabs->own[OWN_ALIAS], alias);
		alias = next ? list_entry(next, struct alias, link) : NULL;
	}
}

tmm_err tmm_cache_destroy(struct tmm_cache *cache)
{
	struct tmm_slab_system *slabs = cache->slabs;
	struct alias *aliases = NULL;
	bool stays, gone = false;
	tmm_irq irq;

	TMM_ASSERT(!is_built_in(cache) && "the slab system's own caches stay");
	irq = lock_take_irqsave(&slabs->lock);
	while (cache->nr_users == 1 && cache->nr_pins > 0) {
		lock_drop_irqrestore(&slabs->lock, irq);
		tmm_port_relax();
		irq = lock_take_irqsave(&slabs->lock);
	}
	stays = cache_leave(slabs, cache);
	if (!stays)
		gone = cache_delist(cache);
	if (gone)
		aliases = aliases_take(slabs, cache);
	lock_drop_irqrestore(&slabs->lock, irq);
	if (!gone)
		return stays ? TMM_OK : TMM_E_BUSY;
	cache_empty(cache);
	aliases_free(slabs, aliases);
	own_free(&slabs->own[OWN_CACHE], cache);
	return TMM_OK;
}

/* Adds the slabs of a node, and objects but for those lent. */
static void count_node(struct tmm_cache *cache, const struct slab_node *node,
                       struct tmm_cache_node_info *out) TMM_REQUIRES(cache->lock)
{
	uint64_t slabs = (uint64_t)node->partial.nr + node->full.nr;

	out->num_slabs += slabs;
	out->num_objs += slabs * cache->nr_objs -
	                 (uint64_t)node->nr_short * (cache->nr_objs - cache->short_objs);
	out->empty_slabs += node->nr_empty;
	out->partial_slabs += node->partial.nr - node->nr_empty;
	for (uint32_t first = node->partial.first; first != NO_SLAB;
	     first = slab_page(cache, first)->next)
		out->partial_objs += slab_page(cache, first)->refcount;
}

static void cache_describe(struct tmm_cache *cache, struct tmm_cache_info *out)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	/* Magazines that change meanwhile may be counted twice. */
	uint64_t nr_out = cache->nr_out, kept = min_u64(nr_out, magazines_count(cache));
	struct tmm_cache_node_info sum = {.num_slabs = 0};

	for (uint32_t i = 0; i < cache->nr_nodes; i++)
		count_node(cache, &cache->node[i], &sum);
	*out = (struct tmm_cache_info){
		.active_objs = nr_out - kept,
		.num_objs = sum.num_objs,
		.active_slabs = sum.num_slabs - sum.empty_slabs,
		.num_slabs = sum.num_slabs,
		.size_bytes = cache->size_bytes,
		.objs_per_slab = cache->nr_objs,
		.pages_per_slab = 1u << cache->order,
		.object_bytes = cache->object_bytes,
		.align_bytes = cache->align_bytes,
		.aliases = cache->nr_users - 1,
		.min_partial = cache->min_partial,
		/* relaxed: a setting */
		.cpu_partial = __atomic_load_n(&cache->limit, __ATOMIC_RELAXED),
		.debug = cache->debug | (cache->fails ? TMM_SLAB_FAILSLAB : 0),
		.usercopy_bytes = cache->usercopy_bytes,
		.partial_slabs = sum.partial_slabs,
		.partial_objs = sum.partial_objs,
		.magazine_objs = kept,
		.ctor = (const void *)(uintptr_t)cache->ctor,
		.reclaimable = cache->page_gfp & TMM_GFP_RECLAIMABLE,
		.account = cache->front.account,
		.dma = cache->page_gfp & TMM_GFP_DMA,
		.hwcache_align = cache->hwcache_align,
		.mergeable = cache_may_merge(cache),
	};
	memcpy(out->name, cache->name, sizeof(out->name));
	lock_drop_irqrestore(&cache->lock, irq);
}

struct tmm_cache *cache_at(struct tmm_slab_system *slabs, size_t index)
{
	list_for_each (node, &slabs->caches)
		if (!slabs->is_slob && !index--)
			return list_entry(node, struct tmm_cache, link);
	return NULL;
}

bool tmm_cache_info(struct tmm_slab_system *slabs, size_t index, struct tmm_cache_info *out)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	struct tmm_cache *cache = cache_at(slabs, index);

	if (cache)
		cache_describe(cache, out);
	lock_drop_irqrestore(&slabs->lock, irq);
	return cache != NULL;
}

/* Adds the objects that are lent from the slabs of a list. */
static void count_lent(struct tmm_cache *cache, const struct slab_list *list, uint64_t *nr)
	TMM_REQUIRES(cache->lock)
{
	for (uint32_t first = list->first; first != NO_SLAB;
	     first = slab_page(cache, first)->next) {
		struct page *head = slab_page(cache, first);
		const uint8_t *lent = slab_lent(head);

		/* relaxed: a moment's value.  Own caches have no magazines, and no bytes. */
		for (uint32_t i = 0; !is_own_cache(cache) && i < slab_objs(cache, head); i++)
			*nr += __atomic_load_n(&lent[i], __ATOMIC_RELAXED) != 0 ||
			       object_is_charged(cache, first, i);
		if (is_own_cache(cache))
			*nr += head->refcount;
	}
}

bool tmm_cache_node_info(struct tmm_slab_system *slabs, size_t index, unsigned node,
                         struct tmm_cache_node_info *out)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	struct tmm_cache *cache = node < slabs->pages->nr_nodes ? cache_at(slabs, index) : NULL;

	*out = (struct tmm_cache_node_info){.num_slabs = 0};
	if (cache) {
		lock_take(&cache->lock);
		count_node(cache, &cache->node[node], out);
		count_lent(cache, &cache->node[node].partial, &out->active_objs);
		count_lent(cache, &cache->node[node].full, &out->active_objs);
		lock_drop(&cache->lock);
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return cache != NULL;
}

static uint64_t cache_pages(struct tmm_cache *cache)
{
	tmm_irq irq = lock_take_irqsave(&cache->lock);
	uint64_t pages = cache_frames(cache);

	lock_drop_irqrestore(&cache->lock, irq);
	return pages;
}

uint64_t tmm_slab_pages(struct tmm_slab_system *slabs, bool reclaimable)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	uint64_t pages = reclaimable ? 0 : slabs->nr_large_pages;

	if (slabs->is_slob && !reclaimable)
		pages += slob_pages(&slabs->slob);
	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		if (reclaimable == !!(cache->page_gfp & TMM_GFP_RECLAIMABLE))
			pages += cache_pages(cache);
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return pages;
}

void slab_count_run(struct tmm_slab_system *slabs, tmm_pfn pfn, unsigned order,
                    bool reclaimable, int sign)
{
	int64_t pages = sign * (int64_t)(UINT64_C(1) << order);
	/* relaxed: a count that orders nothing */
	uint64_t now = __atomic_add_fetch(&slabs->nr_pages, (uint64_t)pages, __ATOMIC_RELAXED);
	uint64_t peak = __atomic_load_n(&slabs->peak_pages, __ATOMIC_RELAXED);

	node_stat_add(slabs->pages, pfn,
	              reclaimable ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE, pages);
	while (now > peak && !__atomic_compare_exchange_n(&slabs->peak_pages, &peak, now, true,
	                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint64_t tmm_slab_peak_pages(const struct tmm_slab_system *slabs)
{
	/* relaxed: a moment's value */
	return __atomic_load_n(&slabs->peak_pages, __ATOMIC_RELAXED);
}

uint64_t slab_shrink_all(struct tmm_slab_system *slabs)
{
	/* Leaving another machine's CPU takes its locks: now, not below. */
	const struct tmm_cpu *self = cpu_self(slabs->pages->cpus);
	tmm_irq irq = lock_take_irqsave(&slabs->lock);
	uint64_t pages = 0;
	bool stopped;

	/* One wait for all of them, and without the lock. */
	list_for_each (node, &slabs->caches)
		magazines_close(list_entry(node, struct tmm_cache, link), &self);
	lock_drop_irqrestore(&slabs->lock, irq);
	stopped = sections_wait(slabs->pages->cpus);
	irq = lock_take_irqsave(&slabs->lock);
	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		pages += magazines_drain_closed(cache, &self, stopped);
		pages += empties_free(cache, 0);
	}
	lock_drop_irqrestore(&slabs->lock, irq);
	return pages;
}

void tmm_slab_check(struct tmm_slab_system *slabs)
{
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	list_for_each (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		TMM_ASSERT(cache->slabs == slabs); /* I8 */
		if (!slabs->is_slob)
			cache_check(cache);
		for (struct list *other = node->next; other != &slabs->caches;
		     other = other->next)
			TMM_ASSERT(memcmp(cache->name,
			                  list_entry(other, struct tmm_cache, link)->name,
			                  sizeof(cache->name))); /* I7 */
	}
	aliases_check(slabs);
	if (slabs->is_slob)
		slob_check(slabs);
	lock_drop_irqrestore(&slabs->lock, irq);
}

/* By enum own_cache. */
static void own_init(struct tmm_slab_system *slabs)
{
	const struct tmm_cache_spec own[NR_OWN_CACHES] = {
		{.name = "kmem_cache", .size_bytes = sizeof(struct tmm_cache)},
		{.name = "kmem_cache_cpu",
	         .size_bytes = slabs->pages->cpus->nr * sizeof(struct tmm_slot)},
		{.name = "kmem_magazine", .size_bytes = sizeof(struct tmm_magazine)},
		{.name = "kmem_alias", .size_bytes = sizeof(struct alias)},
		{.name = "kmem_slab-64", .size_bytes = STATE_BYTES(64)},
		{.name = "kmem_slab-128", .size_bytes = STATE_BYTES(128)},
		{.name = "kmem_slab-256", .size_bytes = STATE_BYTES(256)},
		{.name = "kmem_slab-512", .size_bytes = STATE_BYTES(512)},
		{.name = "kmem_charges-64", .size_bytes = CHARGES_BYTES(64)},
		{.name = "kmem_charges-128", .size_bytes = CHARGES_BYTES(128)},
		{.name = "kmem_charges-256", .size_bytes = CHARGES_BYTES(256)},
		{.name = "kmem_charges-512", .size_bytes = CHARGES_BYTES(512)},
	};

	for (unsigned i = 0; i < NR_OWN_CACHES; i++) {
		struct tmm_cache_spec spec = own[i];

		spec.hwcache_align = i < OWN_STATE;
		cache_init(&slabs->own[i], slabs, &spec);
		list_add(&slabs->caches, &slabs->own[i].link);
	}
}

/* What was asked for, or what stands for nothing. */
static void config_take(struct tmm_slab_system *slabs, const struct slab_config *config)
{
	static const struct slab_config none;

	if (!config)
		config = &none;
	slabs->options = config->options;
	slabs->is_slob = config->allocator == TMM_SLOB;
	if (slabs->is_slob) /* there are no slabs to share */
		slabs->options |= TMM_SLAB_NO_MERGE;
	slabs->seed = config->seed;
	slabs->failslab = (struct failslab){.attr = config->failslab};
	if (!config->failslab.times)
		slabs->failslab.attr.times = 1;
	slabs->direct_map = config->direct_map ? config->direct_map : DIRECT_MAP;
	slabs->clock = 0;
	slabs->has_debug = config->debug != NULL;
	memset(slabs->debug, 0, sizeof(slabs->debug));
	if (slabs->has_debug)
		memcpy(slabs->debug, config->debug,
		       text_length(config->debug, TMM_SLAB_DEBUG_MOST));
}

/* As a struct cpu_exit_hook. */
static void slab_leave(void *arg, uint32_t cpu)
{
	struct tmm_slab_system *slabs = arg;
	tmm_irq irq = lock_take_irqsave(&slabs->lock);

	list_for_each (node, &slabs->caches)
		magazines_leave(list_entry(node, struct tmm_cache, link),
		                &slabs->pages->cpus->cpu[cpu]);
	lock_drop_irqrestore(&slabs->lock, irq);
}

void slab_init(struct tmm_slab_system *slabs, struct tmm_pages *pages,
               const struct slab_config *config)
{
	lock_init(&slabs->lock, RANK_SLAB);
	slabs->pages = pages;
	slabs->nr_large_pages = 0;
	slabs->shrinkers = NULL;
	slabs->nr_pages = slabs->peak_pages = 0;
	list_init(&slabs->caches);
	list_init(&slabs->aliases);
	config_take(slabs, config);
	slob_init(&slabs->slob);
	own_init(slabs);
	kmalloc_init(slabs);
	slabs->exit_hook = (struct cpu_exit_hook){.run = slab_leave, .arg = slabs};
	cpu_exit_hook_add(pages->cpus, &slabs->exit_hook);
}

void slab_fini(struct tmm_slab_system *slabs)
{
	TMM_ASSERT(!slabs->shrinkers && "every shrinker is unregistered");
	TMM_ASSERT(!slabs->nr_large_pages && "every large kmalloc is back");
	list_for_each_safe (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		if (!is_built_in(cache)) {
			tmm_err err;

			cache->nr_users = 1; /* nobody is left to do it */
			err = tmm_cache_destroy(cache);

			TMM_ASSERT(err == TMM_OK && "every object is back");
		}
	}
	list_for_each_safe (node, &slabs->caches) {
		struct tmm_cache *cache = list_entry(node, struct tmm_cache, link);

		cache_empty(cache);
		list_del(node);
	}
	slob_fini(&slabs->slob);
	cpu_exit_hook_remove(slabs->pages->cpus, &slabs->exit_hook);
}
