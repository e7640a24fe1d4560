/*
 * Objects of several nodes: where they come from, and where they go.
 *
 *   node       0       1       2       3        2 nodes: 0 and 1 of these
 *   memory   32 MiB  32 MiB  32 MiB   none, but 8 MiB may be added at 96 MiB
 *   CPU        0       1       2       3
 *   from 0    10      15      30      20
 *   from 3    20      30      15      10        so 3 is served by 2
 */
#include <tuxmm/account.h>
#include <tuxmm/hotplug.h>
#include <tuxmm/policy.h>

#include "slab/rig_test.h"

#define MOST_NODES 4u
#define WITH_RAM   3u
#define PER_NODE   (32 * MB)
#define SECTION    (8 * MB)
#define ADDED      (WITH_RAM * PER_NODE)
#define FEW        100u /* objects: several slabs of most sizes */

static const uint8_t distance[TMM_MAX_NODES][TMM_MAX_NODES] = {
	{10, 15, 30, 20}, {15, 10, 20, 30}, {30, 20, 10, 15}, {20, 30, 15, 10}};

static void boot_nodes_with(uint32_t nr_nodes, const struct slab_config *slabs)
{
	struct pages_config config = {.ram = test_ram(ADDED + SECTION),
	                              .cpus = &m.cpus,
	                              .nr_nodes = nr_nodes,
	                              .distance = distance,
	                              .memory_model = TMM_MEMORY_SPARSE,
	                              .section_bytes = SECTION,
	                              .hotplug_end = ADDED + SECTION,
	                              .min_free_kbytes = 64};

	cpu_set_init(&m.cpus, nr_nodes);
	tmm_memblock_init(&m.memblock, config.ram);
	for (uint32_t n = 0; n < nr_nodes; n++) {
		m.cpus.cpu[n].node = n;
		if (n < WITH_RAM)
			CHECK(tmm_memblock_add(&m.memblock, (tmm_paddr){n * PER_NODE}, PER_NODE,
			                       n) == TMM_OK);
	}
	CHECK(pages_init(&m.pages, &m.memblock, &config) == TMM_OK);
	CHECK(cpu_enter(&m.cpus, 0) == TMM_OK);
	m.free_pages = tmm_pages_free_count(&m.pages);
	slab_init(&m.slabs, &m.pages, slabs);
}

static void boot_nodes(uint32_t nr_nodes)
{
	const struct slab_config config = config_of_run();

	boot_nodes_with(nr_nodes, &config);
}

static void boot_plain_nodes(uint32_t nr_nodes)
{
	const struct slab_config config = {.options = TMM_SLAB_NO_MERGE,
	                                   .allocator = allocator_of_run()};

	boot_nodes_with(nr_nodes, &config);
}

/* Go to the CPU of a node; what was kept on the one before stays there. */
static void go_to(uint32_t node)
{
	tmm_port_cpu_set(&m.cpus.cpu[node]);
}

static void halt_nodes(void)
{
	go_to(0);
	halt();
}

static unsigned node_of(const void *object)
{
	return tmm_pfn_node(&m.pages,
	                    (tmm_pfn){(uint64_t)((const char *)object - (char *)m.pages.ram) >>
	                              TMM_PAGE_SHIFT});
}

/* The nearest node with memory. */
static unsigned nearest(unsigned node)
{
	return node < WITH_RAM ? node : 2;
}

static struct tmm_cache_node_info on_node(const char *name, unsigned node)
{
	struct tmm_cache_node_info info;

	CHECK(tmm_cache_node_info(&m.slabs, index_of(name), node, &info));
	return info;
}

/* What nodes say of a cache, together, is what the cache says. */
static void nodes_add_up(const char *name)
{
	const struct tmm_cache_info all = info_of(name);
	struct tmm_cache_node_info sum = {.num_slabs = 0}, one;

	for (unsigned n = 0; n < m.pages.nr_nodes; n++) {
		one = on_node(name, n);
		sum.active_objs += one.active_objs;
		sum.num_objs += one.num_objs;
		sum.num_slabs += one.num_slabs;
		sum.empty_slabs += one.empty_slabs;
		sum.partial_slabs += one.partial_slabs;
		sum.partial_objs += one.partial_objs;
	}
	CHECK(sum.active_objs == all.active_objs && sum.num_objs == all.num_objs &&
	      sum.num_slabs == all.num_slabs &&
	      sum.num_slabs - sum.empty_slabs == all.active_slabs &&
	      sum.partial_slabs == all.partial_slabs && sum.partial_objs == all.partial_objs);
}

static void take(struct tmm_cache *cache, void **object, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		CHECK((object[i] = tmm_cache_alloc(cache, TMM_GFP_KERNEL)) != NULL);
}

static void give(struct tmm_cache *cache, void **object, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		tmm_cache_free(cache, object[i]);
}

/* Each CPU is served from its own node, or the nearest one if that has no memory. */
TEST(objects_come_from_the_node_of_the_cpu)
{
	static const uint32_t machines[] = {2, MOST_NODES};

	if (rig_skips())
		return;
	for (size_t k = 0; k < ARRAY_SIZE(machines); k++) {
		struct tmm_cache *cache;
		void *object[MOST_NODES][FEW];

		boot_nodes(machines[k]);
		cache = cache_of_size("mine", 200);
		for (unsigned n = 0; n < machines[k]; n++) {
			go_to(n);
			take(cache, object[n], FEW);
			for (unsigned i = 0; i < FEW; i++)
				CHECK(node_of(object[n][i]) == nearest(n));
		}
		CHECK(on_node("mine", 0).active_objs == FEW && on_node("mine", 0).num_slabs);
		CHECK(on_node("mine", 1).active_objs == FEW);
		nodes_add_up("mine");
		tmm_slab_check(&m.slabs);
		for (unsigned n = 0; n < machines[k]; n++)
			give(cache, object[n], FEW);
		nodes_add_up("mine");
		CHECK(tmm_cache_destroy(cache) == TMM_OK);
		halt_nodes();
	}
}

/*
 * Node 0's CPU frees what node 1 lent: it goes to the slabs of node 1, and the next
 * objects that CPU 0 has are its own node's again.
 */
TEST(what_is_freed_far_away_goes_home)
{
	struct tmm_cache *cache;
	void *object[FEW], *more[FEW], *bulk[FEW];

	if (rig_skips())
		return;
	boot_nodes(2);
	cache = cache_of_size("home", 200);
	go_to(1);
	take(cache, object, FEW);
	CHECK(tmm_cache_alloc_bulk(cache, TMM_GFP_KERNEL, FEW, bulk) == FEW);
	go_to(0);
	take(cache, more, FEW); /* so that the CPU has magazines */
	give(cache, more, FEW);
	give(cache, object, FEW);
	tmm_cache_free_bulk(cache, FEW, bulk);
	CHECK(on_node("home", 1).active_objs == 0);
	take(cache, more, FEW);
	for (unsigned i = 0; i < FEW; i++)
		CHECK(node_of(more[i]) == 0);
	/* All that node 1 has left is what its own CPU kept. */
	CHECK(info_of("home").active_objs == FEW);
	give(cache, more, FEW);
	tmm_slab_check(&m.slabs);
	go_to(1);
	take(cache, object, 1);
	CHECK(node_of(object[0]) == 1);
	give(cache, object, 1);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt_nodes();
}

static const size_t sizes[] = {8, 96, 128, 192, 1024, 4096, 8192, 20000, 200000};

/* By size and by cache, on whatever CPU, cleared where that was asked for. */
TEST(an_object_comes_from_the_node_that_was_asked_for)
{
	const tmm_gfp strict = TMM_GFP_KERNEL | TMM_GFP_THISNODE;
	struct tmm_cache *cache;

	boot_nodes(MOST_NODES);
	cache = cache_of_size("there", 300);
	for (unsigned cpu = 0; cpu < MOST_NODES; cpu++) {
		go_to(cpu);
		for (unsigned n = 0; n < WITH_RAM; n++) {
			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
				size_t bytes = sizes[i];
				char *a = tmm_kmalloc_node(&m.slabs, bytes, strict, n);
				char *b = tmm_kzalloc_node(&m.slabs, bytes, TMM_GFP_KERNEL, n);

				CHECK(a && node_of(a) == n && b && node_of(b) == n);
				memset(a, 0xff, bytes);
				CHECK(all_bytes_are((unsigned char *)b, 0, bytes));
				tmm_kfree(&m.slabs, a);
				tmm_kfree(&m.slabs, b);
				a = tmm_kcalloc_node(&m.slabs, bytes / 8, 8, TMM_GFP_KERNEL, n);
				CHECK(node_of(a) == n);
				CHECK(all_bytes_are((unsigned char *)a, 0, bytes));
				tmm_kfree(&m.slabs, a);
			}
			for (int k = 0; k < 40; k++) {
				void *object = tmm_cache_alloc_node(
					cache, strict | (k % 2 ? TMM_GFP_ZERO : 0), n);

				CHECK(object && node_of(object) == n);
				CHECK(k % 2 == 0 || all_bytes_are(object, 0, 300));
				tmm_cache_free(cache, object);
			}
		}
		tmm_slab_check(&m.slabs);
	}
	CHECK(!tmm_kmalloc_array_node(&m.slabs, SIZE_MAX / 2, 3, TMM_GFP_KERNEL, 0));
	CHECK(!tmm_kcalloc_node(&m.slabs, SIZE_MAX / 2, 3, TMM_GFP_KERNEL, 0));
	CHECK(tmm_kmalloc_node(&m.slabs, 0, TMM_GFP_KERNEL, 1) ==
	      tmm_kmalloc(&m.slabs, 0, TMM_GFP_KERNEL));
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt_nodes();
}

static void ask_node_4(void *arg)
{
	(void)arg;
	(void)tmm_kmalloc_node(&m.slabs, 64, TMM_GFP_KERNEL, MOST_NODES);
}

TEST(a_node_that_there_is_not_is_the_callers_bug)
{
	boot_nodes(MOST_NODES);
	CHECK(test_panics(ask_node_4, NULL));
	halt_nodes();
}

/* Every frame of a node, as a chain. */
static void *fill_node(unsigned node)
{
	const tmm_gfp all = TMM_GFP_ATOMIC | TMM_GFP_THISNODE | TMM_GFP_MEMALLOC |
	                    TMM_GFP_NOWARN;
	void *chain = NULL;
	tmm_pfn pfn;

	while (tmm_pages_alloc_node(&m.pages, node, all, 0, &pfn) == TMM_OK) {
		void **frame = tmm_page_address(&m.pages, pfn);

		*frame = chain;
		chain = frame;
	}
	return chain;
}

static void empty_node(void *chain)
{
	while (chain) {
		void *next = *(void **)chain;

		tmm_pages_free(&m.pages, tmm_virt_to_pfn(&m.pages, chain), 0);
		chain = next;
	}
}

/*
 * CPU 0's node is full.  Its requests take what node 1, the nearest, has in slabs, then
 * what 3's server 2 has, and only then a new slab of the page allocator's; a request
 * that insists fails.
 *
 *   node 0  full, no slab      node 1  a partial slab     node 2  a partial slab
 */
TEST(a_full_node_is_served_by_the_nearest_slabs)
{
	const tmm_gfp strict = TMM_GFP_NOWAIT | TMM_GFP_THISNODE | TMM_GFP_NOWARN;
	struct tmm_cache *cache;
	void *first, *second, *object[600], *chain;
	unsigned nr = 0, of_one, of_two;

	if (rig_skips())
		return;
	boot_nodes(MOST_NODES);
	cache = cache_of_size("far", 256);
	first = tmm_cache_alloc_node(cache, TMM_GFP_KERNEL | TMM_GFP_THISNODE, 1);
	second = tmm_cache_alloc_node(cache, TMM_GFP_KERNEL | TMM_GFP_THISNODE, 2);
	of_one = (unsigned)on_node("far", 1).num_objs - 1;
	of_two = (unsigned)on_node("far", 2).num_objs - 1;
	chain = fill_node(0);
	CHECK(!tmm_cache_alloc_node(cache, strict, 0));
	CHECK(!tmm_kmalloc_node(&m.slabs, 100000, strict, 0));
	CHECK(of_one + of_two < ARRAY_SIZE(object));
	for (; nr < of_one; nr++) {
		object[nr] = tmm_cache_alloc(cache, TMM_GFP_NOWAIT);
		CHECK(node_of(object[nr]) == 1);
	}
	for (; nr < of_one + of_two; nr++) {
		object[nr] = tmm_cache_alloc(cache, TMM_GFP_NOWAIT);
		CHECK(node_of(object[nr]) == 2);
	}
	CHECK(info_of("far").num_slabs == 2);
	object[nr] = tmm_cache_alloc(cache, TMM_GFP_NOWAIT);
	CHECK(node_of(object[nr++]) == 1 && info_of("far").num_slabs == 3);
	object[nr] = tmm_cache_alloc_node(cache, TMM_GFP_NOWAIT, 0);
	CHECK(node_of(object[nr++]) == 1 && info_of("far").num_slabs == 3);
	tmm_slab_check(&m.slabs);
	empty_node(chain);
	give(cache, object, nr);
	tmm_cache_free(cache, first);
	tmm_cache_free(cache, second);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt_nodes();
}

/* What describes slabs may lie anywhere: CPU 0's node is full, node 1 has room. */
TEST(a_wish_is_for_the_object_alone)
{
	const tmm_gfp strict = TMM_GFP_NOWAIT | TMM_GFP_THISNODE | TMM_GFP_NOWARN;
	void *object[300], *chain;

	boot_nodes(MOST_NODES);
	chain = fill_node(0);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = tmm_kmalloc_node(&m.slabs, 8192, strict, 1);
		CHECK(object[i] && node_of(object[i]) == 1);
	}
	empty_node(chain);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
		tmm_kfree(&m.slabs, object[i]);
	halt_nodes();
}

/* No memory on any node: NULL, whatever was wished, and nothing is lost. */
TEST(without_memory_a_wish_fails_cleanly)
{
	void *chain[WITH_RAM], *object;

	boot_nodes(MOST_NODES);
	for (unsigned n = 0; n < WITH_RAM; n++)
		chain[n] = fill_node(n);
	for (unsigned n = 0; n < MOST_NODES; n++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			CHECK(!tmm_kmalloc_node(&m.slabs, sizes[i],
			                        TMM_GFP_NOWAIT | TMM_GFP_NOWARN, n));
	for (unsigned n = 0; n < WITH_RAM; n++)
		empty_node(chain[n]);
	object = tmm_kmalloc_node(&m.slabs, 64, TMM_GFP_NOWAIT, 3);
	CHECK(object && node_of(object) == 2);
	tmm_kfree(&m.slabs, object);
	halt_nodes();
}

/*
 * Node 3 gets memory: from then on its CPU has objects of its own node.  A slab keeps the
 * section from going; when it is gone, node 3 is served by node 2 as before.
 */
TEST(memory_that_comes_and_goes_is_lent_while_it_is_there)
{
	const tmm_gfp strict = TMM_GFP_KERNEL | TMM_GFP_THISNODE | TMM_GFP_NOWARN;
	struct tmm_hotplug_report report;
	void *object[20], *far; /* too few for magazines, which stay */

	boot_nodes(MOST_NODES);
	go_to(3);
	CHECK(!tmm_kmalloc_node(&m.slabs, 64, strict, 3));
	far = tmm_kmalloc(&m.slabs, 64, TMM_GFP_KERNEL);
	CHECK(node_of(far) == 2);
	CHECK(tmm_section_add(&m.pages, (tmm_paddr){ADDED}, 3, &report) == TMM_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = tmm_kmalloc_node(&m.slabs, 64, strict, 3);
		CHECK(object[i] && node_of(object[i]) == 3);
	}
	tmm_kfree(&m.slabs, far);
	CHECK(tmm_section_remove(&m.pages, (tmm_paddr){ADDED}, &report) == TMM_E_BUSY);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
		tmm_kfree(&m.slabs, object[i]);
	slab_shrink_all(&m.slabs);
	CHECK(tmm_section_remove(&m.pages, (tmm_paddr){ADDED}, &report) == TMM_OK);
	CHECK(!tmm_kmalloc_node(&m.slabs, 64, strict, 3));
	far = tmm_kmalloc_node(&m.slabs, 64, TMM_GFP_KERNEL, 3);
	CHECK(node_of(far) == 2);
	tmm_kfree(&m.slabs, far);
	halt_nodes();
}

/* Objects that somebody is charged for are counted where they lie, and go home as others. */
TEST(charged_objects_are_of_nodes_as_others)
{
	struct tmm_account account;
	struct tmm_cache *cache;
	void *object[40];

	if (rig_skips())
		return;
	boot_nodes(2);
	CHECK(tmm_account_init(&account, &m.pages, NULL) == TMM_OK);
	tmm_account_set_active(&m.pages, &account);
	cache = cache_of_size("charged", 200);
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = tmm_cache_alloc_node(cache, TMM_GFP_KERNEL | TMM_GFP_ACCOUNT,
		                                 i % 2);
		CHECK(object[i] && node_of(object[i]) == i % 2);
	}
	CHECK(on_node("charged", 0).active_objs == 20 &&
	      on_node("charged", 1).active_objs == 20);
	nodes_add_up("charged");
	give(cache, object, ARRAY_SIZE(object));
	CHECK(on_node("charged", 1).active_objs == 0);
	take(cache, object, ARRAY_SIZE(object));
	for (unsigned i = 0; i < ARRAY_SIZE(object); i++)
		CHECK(node_of(object[i]) == 0);
	give(cache, object, ARRAY_SIZE(object));
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	tmm_account_set_active(&m.pages, NULL);
	CHECK(tmm_account_fini(&account) == TMM_OK);
	tmm_slab_check(&m.slabs);
	slab_fini(&m.slabs);
	pages_fini(&m.pages); /* with the tables of accounts */
	tmm_cpu_exit(cpu_self(&m.cpus));
}

/* ---- at random ---- */

#define NR_SLOTS 2000u

static struct slot slot[NR_SLOTS];

static void borrow(struct slot *s, struct tmm_cache *cache, uint64_t r)
{
	unsigned node = r & 4 ? TMM_NODE_ANY : (unsigned)(r >> 3) % MOST_NODES;
	tmm_gfp gfp = TMM_GFP_NOWAIT | TMM_GFP_NOWARN | (r & 64 ? TMM_GFP_THISNODE : 0);

	s->cache = r & 1 ? cache : NULL;
	s->bytes = s->cache ? cache->object_bytes : 1 + (r >> 8) % 9000;
	if (s->cache)
		s->object = tmm_cache_alloc_node(cache, gfp, node);
	else
		s->object = tmm_kmalloc_node(&m.slabs, s->bytes, gfp, node);
	if (!s->object)
		return;
	slot_fill(s, (unsigned char)(r >> 40));
	if (node != TMM_NODE_ANY && gfp & TMM_GFP_THISNODE)
		CHECK(node_of(s->object) == node);
}

/* CPUs of all nodes borrow and free each other's objects; sometimes a node is full. */
TEST(random_borrowers_of_all_nodes_never_disturb_each_other)
{
	const int nr_operations = 100000;
	uint64_t seed = test_seed();
	struct tmm_cache *cache;
	void *chain = NULL;

	boot_nodes(MOST_NODES);
	memset(slot, 0, sizeof(slot));
	cache = cache_of_size("random", 136);
	for (int i = 0; i < nr_operations; i++) {
		uint64_t r = test_random(&seed);
		struct slot *s = &slot[(r >> 16) % NR_SLOTS];

		if (r % 64 == 0)
			go_to((unsigned)(r >> 8) % MOST_NODES);
		if (s->object)
			slot_return(s);
		else
			borrow(s, cache, test_random(&seed));
		if (i % 5000 == 0) {
			tmm_slab_check(&m.slabs);
			if (!m.slabs.is_slob)
				nodes_add_up("random");
			empty_node(chain);
			chain = i % 10000 ? NULL : fill_node((unsigned)(r >> 32) % WITH_RAM);
		}
		if (r >> 52 == 0)
			tmm_cache_shrink(cache);
	}
	empty_node(chain);
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (slot[i].object)
			slot_return(&slot[i]);
	test_note("%d operations, TUXMM_SEED=%#llx", nr_operations,
	          (unsigned long long)test_seed());
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt_nodes();
}

/*
 * Machines of one node and several lend alike: a magazine's objects are those of one
 * slab, and magazines stay full where nothing is remote.
 */
TEST(what_is_freed_at_home_stays_at_hand)
{
	struct tmm_cache *cache;
	void *object[FEW];

	if (rig_skips())
		return;
	boot_plain_nodes(2);
	cache = cache_of_size("near", 64);
	for (int round = 0; round < 3; round++) {
		take(cache, object, FEW);
		give(cache, object, FEW);
	}
	CHECK(info_of("near").magazine_objs >= 64);
	CHECK(tmm_cache_destroy(cache) == TMM_OK);
	halt_nodes();
}
