/*
 * linux_test.c - Linux's names do what Linux's do
 *
 * Not what the core does once more, but what lies between: arguments, handles, results
 * and flags.  examples/driver uses them as a driver would.
 */
#include <string.h>
#include <sys/mman.h>

#include <tuxmm/linux.h>

#include "inject.h"
#include "test.h"

#define MB UINT64_C(0x100000)

struct tmm_linux tmm_linux;

static struct {
	_Alignas(64) char machine[1 << 20];
	void *ram;
	uint64_t ram_bytes;
} m;

static void on_shape(const struct tmm_shape *wanted, uint64_t ram_bytes)
{
	struct tmm_machine *machine = (struct tmm_machine *)m.machine;
	struct tmm_firmware_range map[TMM_FIRMWARE_PC_RANGES];
	struct tmm_shape shape = *wanted;
	const char *why = "room for a machine";

	if (!shape.firmware_map) {
		shape.nr_ranges = tmm_firmware_pc(ram_bytes, map);
		shape.firmware_map = map;
	}
	shape.nr_cpus = 1;
	if (m.ram)
		munmap(m.ram, m.ram_bytes);
	m.ram_bytes = ram_bytes;
	m.ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.ram == MAP_FAILED || tmm_machine_bytes() > sizeof(m.machine) ||
	    tmm_machine_init(machine, &shape, m.ram, &why) != TMM_OK)
		test_fail(__FILE__, __LINE__, why);
	tmm_linux_use(machine);
}

static void on(uint64_t ram_bytes)
{
	on_shape(&(const struct tmm_shape){0}, ram_bytes);
}

/* Panics if anything is left. */
static void halt(void)
{
	tmm_check(tmm_linux.machine);
	tmm_machine_fini(tmm_linux.machine);
}

/* ---- pages ---- */

/*
 *   pfn   | n   | n+1 | n+2 | n+3 |
 *   page  | p   | p+1 | p+2 | p+3 |   64 bytes each, nothing behind them
 */
TEST(handles_and_addresses_of_a_run_lead_to_each_other)
{
	struct page *page;
	char *address;

	on(64 * MB);
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP, 2);
	CHECK(page);
	address = page_address(page);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(page_to_pfn(page + i) == page_to_pfn(page) + i);
		CHECK(pfn_to_page(page_to_pfn(page + i)) == page + i);
		CHECK(page_address(page + i) == address + i * PAGE_SIZE);
		CHECK(virt_to_page(address + i * PAGE_SIZE + 9) == page + i);
		CHECK(virt_to_phys(address + i * PAGE_SIZE + 9) == page_to_phys(page + i) + 9);
		CHECK(compound_head(page + i) == page);
		CHECK(!PageHighMem(page + i) && page_to_nid(page + i) == 0);
	}
	CHECK(page_size(page) == 4 * PAGE_SIZE && page_to_virt(page) == address);
	CHECK(phys_to_virt(page_to_phys(page)) == address && address[4 * 4096 - 1] == 0);
	CHECK(virt_addr_valid(address) && !virt_addr_valid(&page));
	__free_pages(page, 2);
	CHECK(alloc_pages(GFP_KERNEL | __GFP_NOWARN, MAX_PAGE_ORDER + 1) == NULL);
	CHECK(get_order(1) == 0 && get_order(4096) == 0 && get_order(4097) == 1);
	CHECK(get_order(8192) == 1 && get_order(3 << 20) == 10);
	halt();
}

TEST(pages_come_by_address_by_size_and_many_at_once)
{
	struct page *pages[100] = {NULL}, *mine;
	unsigned long address;
	char *exact;

	on(64 * MB);
	address = get_zeroed_page(GFP_KERNEL | __GFP_HIGHMEM);
	CHECK(address && *(char *)address == 0);
	free_page(address);
	free_page(0);
	address = __get_free_pages(GFP_DMA, 3);
	CHECK(virt_to_phys((void *)address) < 16 * MB);
	free_pages(address, 3);
	exact = alloc_pages_exact(5 * PAGE_SIZE - 1, GFP_KERNEL);
	CHECK(exact);
	memset(exact, 1, 5 * PAGE_SIZE - 1);
	free_pages_exact(exact, 5 * PAGE_SIZE - 1);

	mine = alloc_page(GFP_KERNEL);
	pages[0] = pages[40] = mine;
	CHECK(alloc_pages_bulk(GFP_KERNEL, 100, pages) == 100);
	CHECK(pages[0] == mine && pages[40] == mine);
	for (unsigned i = 0; i < 100; i++)
		if (pages[i] != mine)
			__free_page(pages[i]);
	__free_page(mine);

	memset(pages, 0, sizeof(pages));
	pages[2] = mine;
	tmm_inject_nth(1, true);
	CHECK(alloc_pages_bulk(GFP_KERNEL, 100, pages) == 0 && !pages[0]);
	tmm_inject_stop();
	halt();
}

/* Objects of each kind, asked of a node: all of them are there. */
static void objects_are_on(int node)
{
	struct kmem_cache *cache = kmem_cache_create("of-a-node", 3000, NULL, SLAB_NO_MERGE);
	void *object[8] = {
		kmem_cache_alloc_node(cache, GFP_KERNEL, node),
		kmalloc_node(2500, GFP_KERNEL, node),
		kzalloc_node(64, GFP_KERNEL, node),
		kmalloc_array_node(10, 300, GFP_KERNEL, node),
		kcalloc_node(1000, 100, GFP_KERNEL, node),
		kvmalloc_node(100, GFP_KERNEL, node),
		kvzalloc_node(8000, GFP_KERNEL, node),
		kvmalloc_node(16 << 20, GFP_KERNEL, node),
	};

	for (unsigned i = 0; i < 8; i++) {
		struct page *page = is_vmalloc_addr(object[i]) ? vmalloc_to_page(object[i])
		                                               : virt_to_page(object[i]);

		CHECK(object[i] && page_to_nid(page) == (node == 1));
	}
	CHECK(((char *)object[2])[63] == 0 && ((char *)object[4])[99999] == 0);
	kmem_cache_free(cache, object[0]);
	for (unsigned i = 1; i < 5; i++)
		kfree(object[i]);
	for (unsigned i = 5; i < 8; i++)
		kvfree(object[i]);
	kmem_cache_destroy(cache);
}

TEST(memory_comes_from_the_node_that_is_named)
{
	struct tmm_firmware_range map[] = {
		{.start = {0}, .size_bytes = 64 * MB, .type = TMM_FW_USABLE, .node = 0},
		{.start = {64 * MB}, .size_bytes = 64 * MB, .type = TMM_FW_USABLE, .node = 1},
	};
	struct page *page;
	void *area;

	on_shape(&(const struct tmm_shape){.firmware_map = map, .nr_ranges = 2, .nr_nodes = 2},
	         128 * MB);
	for (int node = NUMA_NO_NODE; node < 2; node++) {
		page = alloc_pages_node(node, GFP_KERNEL, 1);
		area = vzalloc_node(3 * PAGE_SIZE, node);
		CHECK(page && page_to_nid(page) == (node == 1));
		CHECK(area && page_to_nid(vmalloc_to_page(area)) == (node == 1));
		vfree(area);
		__free_pages(page, 1);
		objects_are_on(node);
	}
	halt();
}

TEST(high_memory_is_reached_by_its_handle)
{
	struct page *page, *low;
	char *here, *again, bytes[8];

	on_shape(&(const struct tmm_shape){.lowmem_bytes = 32 * MB,
	                                   .geometry = TMM_GEOMETRY_X86_PAE},
	         64 * MB);
	page = alloc_page(GFP_HIGHUSER);
	low = alloc_page(GFP_KERNEL);
	CHECK(PageHighMem(page) && !PageHighMem(low) && !page_address(page));
	clear_highpage(page);
	memcpy_to_page(page, 100, "tuxmm", 6);
	copy_highpage(low, page);
	CHECK(strcmp((char *)page_address(low) + 100, "tuxmm") == 0);
	here = kmap(page);
	CHECK(page_address(page) == here && strcmp(here + 100, "tuxmm") == 0);
	kunmap(page);
	memzero_page(page, 101, 1);
	memcpy_from_page(bytes, page, 100, 6);
	CHECK(bytes[0] == 't' && bytes[1] == 0 && bytes[2] == 'x');
	here = kmap_atomic(page);
	again = kmap_local_pfn(page_to_pfn(page));
	CHECK(here[100] == 't' && again[100] == 't');
	kunmap_local(again);
	kunmap_atomic(here);
	__free_page(page);
	__free_page(low);
	halt();
}

TEST(fixed_slots_show_what_they_are_set_to)
{
	struct page *page;
	char *fixed;

	on(64 * MB);
	page = alloc_page(GFP_KERNEL);
	strcpy(page_address(page), "patched");
	set_fixmap(FIX_TEXT_POKE0, page_to_phys(page));
	fixed = (char *)fix_to_virt(FIX_TEXT_POKE0);
	CHECK(strcmp(fixed, "patched") == 0);
	clear_fixmap(FIX_TEXT_POKE0);
	__free_page(page);
	halt();
}

/* ---- objects ---- */

struct thing {
	char name[24];
	long value;
};

static void construct(void *object)
{
	((struct thing *)object)->value = 42;
}

static bool info_of(const char *name, struct tmm_cache_info *info)
{
	for (size_t i = 0; tmm_cache_info(tmm_linux.slabs, i, info); i++)
		if (strcmp(info->name, name) == 0)
			return true;
	return false;
}

TEST(caches_are_made_in_each_way_that_linux_has)
{
	struct kmem_cache_args args = {.align = 64, .ctor = construct};
	struct kmem_cache *cache[5];
	struct tmm_cache_info info;
	struct thing *thing;

	on(64 * MB);
	cache[0] = kmem_cache_create("by-args", sizeof(struct thing), &args, SLAB_NO_MERGE);
	cache[1] = kmem_cache_create("no-args", 40, NULL, SLAB_ACCOUNT | SLAB_NO_MERGE);
	cache[2] = kmem_cache_create("old", 40, 128, SLAB_RECLAIM_ACCOUNT, NULL);
	cache[3] = KMEM_CACHE(thing, SLAB_HWCACHE_ALIGN | SLAB_NO_MERGE | SLAB_PANIC);
	cache[4] = kmem_cache_create_usercopy("user", 64, 0, SLAB_POISON | SLAB_RED_ZONE, 8, 16,
	                                      NULL);
	CHECK(info_of("by-args", &info) && info.align_bytes == 64 && info.ctor);
	CHECK(info_of("no-args", &info) && info.account && !info.reclaimable);
	CHECK(info_of("old", &info) && info.align_bytes == 128 && info.reclaimable);
	CHECK(info_of("thing", &info) && info.hwcache_align && !info.mergeable &&
	      info.object_bytes == sizeof(struct thing));
	CHECK(info_of("user", &info) && info.usercopy_bytes == 16 &&
	      info.debug == (TMM_SLAB_POISON | TMM_SLAB_RED_ZONE));
	thing = kmem_cache_alloc(cache[0], GFP_KERNEL);
	CHECK(thing->value == 42 && (uintptr_t)thing % 64 == 0);
	kmem_cache_free(cache[0], thing);
	thing = kmem_cache_zalloc(cache[3], GFP_KERNEL);
	CHECK(thing->value == 0);
	kmem_cache_destroy(cache[3]); /* refused: it has an object */
	kmem_cache_free(cache[3], thing);
	for (unsigned i = 0; i < 5; i++)
		kmem_cache_destroy(cache[i]);
	kmem_cache_destroy(NULL);
	CHECK(kmem_cache_create("none", 0, NULL, 0) == NULL);
	halt();
}

static void create_badly(void *arg)
{
	(void)arg;
	kmem_cache_create("none", 0, NULL, SLAB_PANIC);
}

TEST(a_cache_with_slab_panic_is_made_or_panics)
{
	on(64 * MB);
	CHECK(test_panics(create_badly, NULL));
	halt();
}

TEST(what_is_accounted_is_charged_to_the_active_group)
{
	struct mem_cgroup group;
	struct page *page;
	char *mine, *other;

	on(64 * MB);
	CHECK(tmm_account_init(&group.tmm, tmm_linux.pages, NULL) == TMM_OK);
	CHECK(set_active_memcg(&group) == NULL);
	mine = kmalloc(100, GFP_KERNEL_ACCOUNT);
	page = alloc_page(GFP_KERNEL | __GFP_ACCOUNT);
	other = kmalloc(100, GFP_KERNEL);
	CHECK(mem_cgroup_from_obj(mine) == &group && page_memcg(page) == &group);
	CHECK(mem_cgroup_from_obj(other) == NULL);
	CHECK(set_active_memcg(NULL) == &group);
	kfree(mine);
	kfree(other);
	__free_page(page);
	CHECK(tmm_account_fini(&group.tmm) == TMM_OK);
	halt();
}

TEST(objects_come_all_or_none)
{
	struct kmem_cache *cache;
	void *object[200];

	on(64 * MB);
	cache = kmem_cache_create("many", 512, NULL, SLAB_NO_MERGE);
	CHECK(kmem_cache_alloc_bulk(cache, GFP_KERNEL, 200, object) == 200);
	kmem_cache_free_bulk(cache, 200, object);
	kmem_cache_shrink(cache);
	tmm_inject_nth(4, true); /* after some slabs */
	CHECK(kmem_cache_alloc_bulk(cache, GFP_KERNEL, 200, object) == 0);
	CHECK(tmm_inject_stop());
	kmem_cache_destroy(cache); /* and so it has no object */
	halt();
}

TEST(kmalloc_and_its_sisters_lend_and_copy)
{
	char *a, *b;
	int *numbers;

	on(64 * MB);
	a = kmalloc(0, GFP_KERNEL);
	CHECK(a == ZERO_SIZE_PTR && ZERO_OR_NULL_PTR(a) && ZERO_OR_NULL_PTR(NULL));
	kfree(a);
	kfree(NULL);
	a = kstrdup("twenty bytes of text", GFP_KERNEL);
	b = kmemdup(a, 21, GFP_KERNEL);
	CHECK(strcmp(a, b) == 0 && a != b && ksize(a) >= 21 && !ZERO_OR_NULL_PTR(a));
	b = krealloc(b, 3000, GFP_KERNEL);
	CHECK(strcmp(a, b) == 0);
	kfree_sensitive(b);
	b = kstrndup(a, 6, GFP_KERNEL);
	CHECK(strcmp(b, "twenty") == 0);
	kfree(b);
	b = kstrndup(a, 100, GFP_KERNEL);
	CHECK(strcmp(a, b) == 0 && !kstrndup(NULL, 1, GFP_KERNEL));
	kfree(b);
	b = kmemdup_nul(a + 7, 5, GFP_KERNEL);
	CHECK(strcmp(b, "bytes") == 0 && !kmemdup_array(a, SIZE_MAX, 2, GFP_KERNEL));
	kfree(b);
	kfree(a);
	numbers = kcalloc(100, sizeof(*numbers), GFP_KERNEL);
	CHECK(numbers[99] == 0);
	numbers = krealloc_array(numbers, 200, sizeof(*numbers), GFP_KERNEL);
	kfree(numbers);
	CHECK(kmalloc_array(SIZE_MAX, 2, GFP_KERNEL) == NULL);
	CHECK(kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL | __GFP_NOWARN) == NULL);
	halt();
}

/*
 *   kvmalloc   |kmalloc 100| -> |kmalloc 3000| -> |vmalloc 4 MiB| -> |vmalloc 16 MiB|
 */
TEST(kvrealloc_keeps_what_was_there_wherever_it_was)
{
	static const size_t sizes[] = {3000, 4 << 20, 16 << 20};
	char *memory;

	on(64 * MB);
	memory = kvmalloc(100, GFP_KERNEL);
	memset(memory, 'k', 100);
	for (unsigned i = 0; i < 3; i++) {
		memory = kvrealloc(memory, sizes[i], GFP_KERNEL);
		CHECK(memory && memory[0] == 'k' && memory[99] == 'k');
		memory[sizes[i] - 1] = (char)('1' + i);
	}
	CHECK(memory[2999] == '1' && memory[(4 << 20) - 1] == '2');
	CHECK(is_vmalloc_addr(memory));
	kvfree(memory);
	kvfree(kvcalloc(10, 10, GFP_KERNEL));
	CHECK(kvmalloc_array(SIZE_MAX, 2, GFP_KERNEL) == NULL);
	halt();
}

/* ---- addresses ---- */

TEST(areas_are_lent_and_pages_mapped)
{
	struct page *pages[3];
	char *area, *again;

	on(64 * MB);
	area = vmalloc(5 * PAGE_SIZE);
	CHECK(is_vmalloc_addr(area) && !is_vmalloc_addr(&area));
	memset(area, 'v', 5 * PAGE_SIZE);
	for (unsigned i = 0; i < 3; i++)
		pages[i] = vmalloc_to_page(area + (4 - i) * PAGE_SIZE);
	area[4 * PAGE_SIZE] = 'w';
	again = vmap(pages, 3, VM_MAP, PAGE_KERNEL);
	CHECK(again && again[0] == 'w' && again[2 * PAGE_SIZE] == 'v');
	CHECK(vmalloc_to_pfn(again) == page_to_pfn(pages[0]));
	vunmap(again);
	vunmap(NULL);
	vfree(area);
	vfree(NULL);
	vm_unmap_aliases();
	area = vcalloc(1000, 1000);
	CHECK(area && area[999999] == 0);
	vfree(area);
	CHECK(vmalloc_array(SIZE_MAX, 2) == NULL);
	area = vmalloc_huge(4 << 20, GFP_KERNEL);
	CHECK(area && page_to_pfn(vmalloc_to_page(area)) % 512 == 0);
	vfree(area);
	halt();
}

static __attribute__((noinline)) void *owner(void)
{
	char *area = vmalloc(PAGE_SIZE);

	area[0] = 1; /* a call in the last place would be a jump */
	return area;
}

TEST(the_owner_that_is_recorded_is_the_caller_of_the_linux_name)
{
	struct tmm_vm_area_info info;
	tmm_vaddr va;
	void *area;

	on(64 * MB);
	area = owner();
	CHECK(tmm_kernel_address(tmm_linux.map, area, &va));
	CHECK(tmm_vm_area_find(tmm_linux.map, va, &info));
	CHECK((uintptr_t)info.caller - (uintptr_t)owner < 256);
	vfree(area);
	halt();
}

/* ---- pools and shrinkers ---- */

TEST(pools_of_each_kind_serve_without_memory)
{
	struct kmem_cache *cache;
	mempool_t *pool[3];
	void *element;

	on(64 * MB);
	cache = kmem_cache_create("pooled", 100, NULL, SLAB_NO_MERGE);
	pool[0] = mempool_create_slab_pool(2, cache);
	pool[1] = mempool_create_kmalloc_pool(2, 300);
	pool[2] = mempool_create_page_pool(2, 1);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(pool[i]);
		tmm_inject_nth(1, true);
		element = mempool_alloc(pool[i], GFP_KERNEL);
		CHECK(element && tmm_mempool_reserve(pool[i]) == 1);
		if (i == 2) /* a handle, as in Linux */
			CHECK(virt_to_page(page_address(element)) == element);
		mempool_free(element, pool[i]);
		tmm_inject_stop();
		CHECK(mempool_resize(pool[i], 5) == 0 && mempool_resize(pool[i], -1) < 0);
		mempool_destroy(pool[i]);
	}
	kmem_cache_destroy(cache);
	mempool_destroy(NULL);
	CHECK(!mempool_create_kmalloc_pool(-1, 8) && !mempool_create_kmalloc_pool(0, 8));
	halt();
}

static unsigned long left;      /* objects */
static unsigned long most_once; /* in one call of things_scan() */
static unsigned long stuck;     /* cannot be freed */

static unsigned long things_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	CHECK(sc->nid == 0 && shrinker->private_data == &left);
	return left ? left : SHRINK_EMPTY;
}

static unsigned long things_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long nr = sc->nr_to_scan < left ? sc->nr_to_scan : left;

	(void)shrinker;
	if (left <= stuck)
		return SHRINK_STOP;
	most_once = nr > most_once ? nr : most_once;
	left -= nr;
	return nr;
}

TEST(shrinkers_are_asked_in_batches_until_they_stop)
{
	struct shrinker *shrinker;

	on(64 * MB);
	shrinker = shrinker_alloc(0, "things-%d", 1);
	CHECK(shrinker && shrinker->seeks == DEFAULT_SEEKS);
	shrinker->count_objects = things_count;
	shrinker->scan_objects = things_scan;
	shrinker->private_data = &left;
	shrinker_register(shrinker);
	for (long batch = 0; batch <= 10; batch += 10) {
		shrinker->batch = batch;
		left = 1000;
		stuck = most_once = 0;
		tmm_drop_slab(tmm_linux.slabs);
		CHECK(left == 0 && most_once == (batch ? 10 : SHRINK_BATCH));
	}
	left = 1000;
	stuck = 500;
	tmm_drop_slab(tmm_linux.slabs);
	CHECK(left > 490 && left <= 500);
	shrinker_free(shrinker);
	shrinker_free(shrinker_alloc(0, "never registered"));
	shrinker_free(NULL);
	CHECK(shrinker_alloc(1, "flags that nothing here has") == NULL);
	halt();
}

/* ---- devices ---- */

#define CHIP UINT64_C(0xd0000000)

static uint64_t word[4];

static uint64_t chip_read(void *arg, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	(void)arg;
	memcpy(&value, (char *)word + offset, width);
	return value;
}

static void chip_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	(void)arg;
	memcpy((char *)word + offset, &value, width);
}

TEST(registers_are_claimed_mapped_and_accessed)
{
	static const struct tmm_register_ops ops = {chip_read, chip_write};
	struct tmm_bus_block block = {.name = "chip",
	                              .start = {CHIP},
	                              .size_bytes = sizeof(word),
	                              .widths = 1 | 2 | 4 | 8,
	                              .ops = &ops};
	char __iomem *regs;
	char copy[32];
	u32 many[3] = {1, 2, 3};

	on(64 * MB);
	CHECK(tmm_bus_attach(tmm_linux.bus, &block) == TMM_OK);
	CHECK(request_mem_region(CHIP, 32, "chip") && !request_mem_region(CHIP + 8, 8, "two"));
	regs = ioremap(CHIP, 32);
	writeq(0x1122334455667788, regs);
	CHECK(readb(regs) == 0x88 && readw(regs + 2) == 0x5566 &&
	      readl(regs + 4) == 0x11223344);
	writeb(1, regs + 8);
	writew(2, regs + 10);
	writel(3, regs + 12);
	CHECK(readq(regs + 8) == 0x0000000300020001);
	memset_io(regs, 0xab, 32);
	memcpy_fromio(copy, regs, 32);
	CHECK(copy[0] == (char)0xab && copy[31] == (char)0xab);
	memcpy_toio(regs + 16, "0123456789abcdef", 16);
	CHECK(ioread8(regs + 31) == 'f' && ioread16(regs + 16) == 0x3130);
	iowrite32_rep(regs, many, 3);
	CHECK(ioread32(regs) == 3);
	iounmap(regs);
	iounmap(NULL);
	release_mem_region(CHIP, 32);
	tmm_bus_detach(tmm_linux.bus, &block);
	halt();
}

TEST(ports_are_claimed_and_accessed)
{
	static const struct tmm_register_ops ops = {chip_read, chip_write};
	struct tmm_bus_block block = {.name = "chip",
	                              .start = {0x300},
	                              .size_bytes = sizeof(word),
	                              .widths = 1 | 2 | 4,
	                              .ops = &ops};
	u16 many[3] = {1, 2, 3};
	u8 bytes[2];

	on(64 * MB);
	memset(word, 0, sizeof(word));
	CHECK(tmm_bus_attach(tmm_linux.ports, &block) == TMM_OK);
	CHECK(request_region(0x300, 32, "chip") && !request_region(0x310, 1, "two"));
	CHECK(request_mem_region(CHIP, 32, "chip")); /* elsewhere */
	outl(0x11223344, 0x300);
	CHECK(inb(0x303) == 0x11 && inw(0x302) == 0x1122 && inl(0x300) == 0x11223344);
	outb(5, 0x308);
	outw(0x607, 0x30a);
	CHECK(inl(0x308) == 0x06070005 && inb(0x2ff) == 0xff);
	outsw(0x310, many, 3);
	CHECK(inw(0x310) == 3);
	insb(0x310, bytes, 2);
	CHECK(bytes[0] == 3 && bytes[1] == 3);
	release_region(0x300, 32);
	release_mem_region(CHIP, 32);
	tmm_bus_detach(tmm_linux.ports, &block);
	halt();
}

static void device_on(struct device *dev)
{
	tmm_device_add(tmm_machine_dma(tmm_linux.machine), &dev->tmm, "device");
}

TEST(lists_are_made_mapped_and_copied_piece_by_piece)
{
	struct page *pages[4], *run;
	struct scatterlist *sg;
	struct sg_table table;
	struct device dev;
	unsigned int i;
	char text[3 * 4096];
	size_t bytes = 0;

	on_shape(&(const struct tmm_shape){.dma_debug = TMM_DMA_DEBUG}, 64 * MB);
	device_on(&dev);
	run = alloc_pages(GFP_KERNEL, 2);
	for (i = 0; i < 4; i++)
		pages[i] = run + (i ^ 2); /* 2, 3, 0, 1 */
	CHECK(sg_alloc_table_from_pages(&table, pages, 4, 100, 3 * 4096, GFP_KERNEL) == 0);
	CHECK(table.orig_nents == 2 && sg_nents(table.sgl) == 2);
	CHECK(sg_page(table.sgl) == run + 2 && table.sgl->offset == 100);
	CHECK(sg_phys(table.sgl) == page_to_phys(run + 2) + 100);
	CHECK(sg_virt(table.sgl) == (char *)page_address(run + 2) + 100);
	memset(text, 's', sizeof(text));
	CHECK(sg_copy_from_buffer(table.sgl, 2, text, sizeof(text)) == sizeof(text));
	CHECK(sg_copy_to_buffer(table.sgl, 1, text, sizeof(text)) == table.sgl->length);
	CHECK(sg_pcopy_to_buffer(table.sgl, 2, text, 10, sizeof(text) - 4) == 4);
	CHECK(dma_map_sgtable(&dev, &table, DMA_TO_DEVICE, 0) == 0);
	for_each_sgtable_dma_sg (&table, sg, i)
		bytes += sg_dma_len(sg);
	CHECK(bytes == sizeof(text) && sg_dma_address(table.sgl) == sg_phys(table.sgl));
	dma_unmap_sgtable(&dev, &table, DMA_TO_DEVICE, 0);
	bytes = 0;
	for_each_sgtable_sg (&table, sg, i)
		bytes += sg->length;
	CHECK(bytes == sizeof(text) && sg_last(table.sgl, 2)->length == 4096 + 100);
	sg_free_table(&table);
	sg_free_table(&table);
	CHECK(sg_alloc_table(&table, 0, GFP_KERNEL) < 0);
	__free_pages(run, 2);
	tmm_device_remove(&dev.tmm);
	halt();
}

TEST(memory_is_mapped_for_devices_and_given_back)
{
	struct device dev;
	dma_addr_t addr, ring;
	char *buffer, *memory;
	struct dma_pool *pool;

	on_shape(&(const struct tmm_shape){.dma_debug = TMM_DMA_DEBUG,
	                                   .swiotlb = TMM_SWIOTLB_NONE},
	         64 * MB);
	device_on(&dev);
	CHECK(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(24)) == 0);
	CHECK(dma_set_mask(&dev, 0xff) < 0 && dma_get_mask(&dev) == DMA_BIT_MASK(24));
	CHECK(dma_get_required_mask(&dev) == DMA_BIT_MASK(26));
	memory = dma_alloc_coherent(&dev, 3000, &ring, GFP_KERNEL);
	CHECK(memory && ring < 16 * MB && memory[2999] == 0);
	dma_free_coherent(&dev, 3000, memory, ring);
	buffer = kmalloc(512, GFP_KERNEL);
	addr = dma_map_single(&dev, buffer, 512, DMA_TO_DEVICE);
	CHECK(dma_mapping_error(&dev, addr) == TMM_E_NOMEM); /* no bounce buffer */
	CHECK(addr == DMA_MAPPING_ERROR);
	CHECK(dma_set_mask(&dev, DMA_BIT_MASK(64)) == 0);
	addr = dma_map_single(&dev, buffer, 512, DMA_FROM_DEVICE);
	CHECK(!dma_mapping_error(&dev, addr) && addr == virt_to_phys(buffer));
	dma_sync_single_range_for_cpu(&dev, addr, 256, 256, DMA_FROM_DEVICE);
	dma_sync_single_range_for_device(&dev, addr, 256, 256, DMA_FROM_DEVICE);
	dma_unmap_single(&dev, addr, 512, DMA_FROM_DEVICE);
	addr = dma_map_page(&dev, virt_to_page(buffer), offset_in_page(buffer), 512,
	                    DMA_BIDIRECTIONAL);
	CHECK(!dma_mapping_error(&dev, addr) && addr == virt_to_phys(buffer));
	dma_unmap_page(&dev, addr, 512, DMA_BIDIRECTIONAL);
	kfree(buffer);
	addr = dma_map_resource(&dev, 0xd0000000, 64, DMA_TO_DEVICE, 0);
	CHECK(!dma_mapping_error(&dev, addr) && addr == 0xd0000000);
	dma_unmap_resource(&dev, addr, 64, DMA_TO_DEVICE, 0);
	CHECK(dma_map_resource(&dev, 0xd0000000, 64, DMA_TO_DEVICE, 1) == DMA_MAPPING_ERROR);
	pool = dma_pool_create("descriptors", &dev, 48, 16, 0);
	memory = dma_pool_zalloc(pool, GFP_KERNEL, &addr);
	CHECK(memory && addr % 16 == 0 && memory[47] == 0);
	dma_pool_free(pool, memory, addr);
	dma_pool_destroy(pool);
	dma_pool_destroy(NULL);
	tmm_device_remove(&dev.tmm);
	halt();
}

TEST(contiguous_areas_lend_pages_and_know_their_own)
{
	struct device dev;
	struct page *pages, *other;
	struct cma *area;

	on_shape(&(const struct tmm_shape){.cma = {{.name = "camera", .size_bytes = 8 * MB}},
	                                   .nr_cma = 1},
	         64 * MB);
	device_on(&dev);
	area = dev_get_cma_area(&dev);
	CHECK(area && area == dev_get_cma_area(NULL));
	CHECK(cma_get_size(area) == 8 * MB && strcmp(cma_get_name(area), "camera") == 0);
	pages = cma_alloc(area, 300, 4, true);
	CHECK(pages && page_to_pfn(pages) % 16 == 0 &&
	      page_to_phys(pages) - cma_get_base(area) < 8 * MB);
	other = alloc_page(GFP_KERNEL);
	CHECK(!cma_release(area, other, 1) && cma_release(area, pages, 300));
	CHECK(!cma_release(area, NULL, 1) && !cma_alloc(NULL, 1, 0, true));
	__free_page(other);
	tmm_device_remove(&dev.tmm);
	halt();
}
