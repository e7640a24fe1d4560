#include <tuxmm/vmalloc.h>

#include "device/rig_test.h"

#define REGISTERS UINT64_C(0xd0000ff0) /* across a page's end */
#define FRAMES    UINT64_C(0xd0200000)

/* ---- what is on the bus ---- */

static struct {
	uint32_t value[8];
	uint32_t port[4]; /* what went through register 7 */
	unsigned nr_port;
} chip;

static uint64_t chip_read(void *arg, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	(void)arg;
	if (offset == 28)
		return chip.port[chip.nr_port++ % 4];
	memcpy(&value, (char *)chip.value + offset, width);
	return value;
}

static void chip_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	(void)arg;
	if (offset == 28)
		chip.port[chip.nr_port++ % 4] = (uint32_t)value;
	else
		memcpy((char *)chip.value + offset, &value, width);
}

static const struct tmm_register_ops chip_ops = {chip_read, chip_write};
static struct tmm_bus_block registers, frames;

static struct tmm_io *io(void)
{
	return &m.machine.io;
}

static void plug(void)
{
	memset(&chip, 0, sizeof(chip));
	registers = (struct tmm_bus_block){.name = "chip",
	                                   .start = {REGISTERS},
	                                   .size_bytes = 32,
	                                   .widths = 1 | 2 | 4 | 8,
	                                   .ops = &chip_ops};
	frames = (struct tmm_bus_block){
		.name = "frames", .start = {FRAMES}, .size_bytes = 4 * MB};
	CHECK(tmm_bus_attach(&m.machine.bus, &registers) == TMM_OK);
	CHECK(tmm_bus_attach(&m.machine.bus, &frames) == TMM_OK);
}

static void power_on(void)
{
	boot(64 * MB);
	plug();
}

static void power_off(void)
{
	tmm_bus_detach(&m.machine.bus, &registers);
	tmm_bus_detach(&m.machine.bus, &frames);
	halt();
}

/* ---- registers ---- */

TEST(registers_are_read_and_written_through_their_mapping)
{
	uint32_t words[4] = {11, 22, 33, 44}, got[4];
	char bytes[20], back[20];
	char *regs;

	power_on();
	regs = tmm_ioremap(io(), (tmm_paddr){REGISTERS}, 32);
	CHECK(regs && (uintptr_t)regs % 4096 == 0xff0);
	tmm_writel(io(), 0x11223344, regs + 4);
	CHECK(chip.value[1] == 0x11223344);
	CHECK(tmm_readb(io(), regs + 5) == 0x33 && tmm_readw(io(), regs + 6) == 0x1122);
	tmm_writeb(io(), 0xaa, regs + 8);
	tmm_writew(io(), 0xbbcc, regs + 10);
	CHECK(chip.value[2] == 0xbbcc00aa);
	tmm_writeq(io(), 0x0102030405060708, regs + 16); /* on the next page */
	CHECK(chip.value[4] == 0x05060708 && chip.value[5] == 0x01020304);
	CHECK(tmm_readl(io(), regs + 20) == 0x01020304);
	CHECK(tmm_readq(io(), regs + 16) == 0x0102030405060708);
	tmm_iowrite32_rep(io(), regs + 28, words, 4);
	tmm_ioread32_rep(io(), regs + 28, got, 4);
	CHECK(memcmp(words, got, sizeof(words)) == 0 && chip.nr_port == 8);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 9);
	tmm_memcpy_toio(io(), regs + 5, bytes, sizeof(bytes));
	tmm_memcpy_fromio(io(), back, regs + 5, sizeof(back));
	CHECK(memcmp(bytes, back, sizeof(bytes)) == 0);
	/* beside the block nothing answers, though the page is mapped */
	CHECK(tmm_readl(io(), regs + 32) == UINT32_MAX);
	tmm_iounmap(io(), regs);
	power_off();
}

static void read_it(void *pointer)
{
	(void)!tmm_readl(io(), pointer);
}

static void unmap_it(void *pointer)
{
	tmm_iounmap(io(), pointer);
}

TEST(what_is_not_mapped_panics_when_it_is_read_or_unmapped)
{
	char *regs;
	int here = 0;

	power_on();
	regs = tmm_ioremap(io(), (tmm_paddr){REGISTERS}, 32);
	CHECK(test_panics(read_it, regs + 8192) != NULL); /* the guard page */
	CHECK(test_panics(read_it, &here) != NULL);
	CHECK(test_panics(unmap_it, &here) != NULL);
	CHECK(test_panics(unmap_it, regs + 8192) != NULL);
	tmm_iounmap(io(), regs);
	CHECK(test_panics(read_it, regs) != NULL);
	CHECK(test_panics(unmap_it, regs) != NULL); /* twice */
	tmm_iounmap(io(), NULL);
	power_off();
}

/* ---- memory ---- */

/*
 *   bus       |.........|  frames, 4 MiB  |......
 *   pointer   |###  the same bytes  ###|guard|
 */
TEST(memory_of_a_device_is_behind_the_pointer)
{
	struct tmm_mmu_result walk;
	tmm_vaddr va;
	char *screen;
	uint64_t value;

	power_on();
	screen = tmm_ioremap_wc(io(), (tmm_paddr){FRAMES}, 4 * MB);
	CHECK(screen);
	memset(screen, 0x5a, 4 * MB);
	CHECK(m.ram[FRAMES] == 0x5a && m.ram[FRAMES + 4 * MB - 1] == 0x5a);
	CHECK(m.ram[FRAMES + 4 * MB] == 0 && m.ram[FRAMES - 1] == 0);
	CHECK(tmm_bus_read(&m.machine.bus, (tmm_paddr){FRAMES + 8}, 8, &value) == TMM_OK);
	CHECK(value == 0x5a5a5a5a5a5a5a5a);
	tmm_writel(io(), 1234567, screen + 100);
	CHECK(tmm_readl(io(), screen + 100) == 1234567 && m.ram[FRAMES + 103] == 0);
	/* real entries: large pages, write-combining */
	CHECK(tmm_kernel_address(&m.machine.kernel_map, screen + 3 * MB, &va));
	CHECK(tmm_kernel_walk(&m.machine.kernel_map, va, TMM_ACCESS_WRITE, &walk));
	CHECK(walk.pa.v == FRAMES + 3 * MB && walk.page_bytes == 2 * MB);
	CHECK((walk.step[walk.nr_steps - 1].after & (TMM_PTE_PWT | TMM_PTE_PCD)) ==
	      TMM_PTE_PWT);
	tmm_iounmap(io(), screen);
	CHECK(!tmm_kernel_walk(&m.machine.kernel_map, va, TMM_ACCESS_READ, &walk));
	power_off();
}

/* The bits of a leaf that choose an entry of Linux's page attribute table: PAT, PCD, PWT. */
static unsigned attribute_of(const void *pointer, uint64_t page_bytes)
{
	struct tmm_mmu_result walk;
	uint64_t leaf;
	tmm_vaddr va;

	CHECK(tmm_kernel_address(&m.machine.kernel_map, pointer, &va));
	CHECK(tmm_kernel_walk(&m.machine.kernel_map, va, TMM_ACCESS_WRITE, &walk));
	CHECK(walk.page_bytes == page_bytes);
	leaf = walk.step[walk.nr_steps - 1].after;
	return (leaf & (page_bytes == 4096 ? TMM_PTE_PAT : TMM_PTE_PAT_LARGE) ? 4u : 0u) |
	       (leaf & TMM_PTE_PCD ? 2u : 0u) | (leaf & TMM_PTE_PWT ? 1u : 0u);
}

TEST(each_way_of_caching_is_its_entry_of_the_attribute_table)
{
	static const struct {
		void *(*map)(struct tmm_io *, tmm_paddr, uint64_t);
		unsigned attribute;
	} ways[] = {{tmm_ioremap_cache, 0},
	            {tmm_ioremap_wc, 1},
	            {tmm_ioremap, 2},
	            {tmm_ioremap_uc, 3},
	            {tmm_ioremap_wt, 7}};

	power_on();
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (uint64_t bytes = 4096; bytes <= 2 * MB; bytes += 2 * MB - 4096) {
			char *pointer = ways[i].map(io(), (tmm_paddr){FRAMES}, bytes);

			CHECK(pointer && attribute_of(pointer, bytes) == ways[i].attribute);
			pointer[1] = 'x';
			CHECK(m.ram[FRAMES + 1] == 'x');
			tmm_iounmap(io(), pointer);
		}
	power_off();
}

TEST(ram_above_the_cap_is_a_buffer_in_one_piece)
{
	struct tmm_iomem *iomem = &m.machine.iomem;
	char *buffer;

	boot_shape((struct tmm_shape){.mem_limit_bytes = 32 * MB}, 64 * MB);
	plug();
	CHECK(tmm_mem_region_request(iomem, (tmm_paddr){40 * MB}, 24 * MB, "buffer", NULL) ==
	      TMM_OK);
	buffer = tmm_ioremap_cache(io(), (tmm_paddr){40 * MB}, 24 * MB);
	CHECK(buffer);
	memset(buffer, 7, 24 * MB);
	CHECK(m.ram[40 * MB] == 7 && m.ram[64 * MB - 1] == 7);
	tmm_iounmap(io(), buffer);
	buffer = tmm_memremap(io(), (tmm_paddr){40 * MB}, 4096, TMM_CACHE_WB);
	CHECK(buffer && buffer[0] == 7);
	tmm_memunmap(io(), buffer);
	CHECK(tmm_mem_region_release(iomem, (tmm_paddr){40 * MB}, 24 * MB) == TMM_OK);
	power_off();
}

TEST(ram_in_use_is_refused_but_for_memremap)
{
	char *direct;

	power_on();
	CHECK(!tmm_ioremap(io(), (tmm_paddr){32 * MB}, 4096));
	CHECK(!tmm_ioremap(io(), (tmm_paddr){64 * MB - 1}, 2)); /* some of it */
	CHECK(!tmm_ioremap(io(), (tmm_paddr){TMM_PHYS_END - 1}, 2));
	CHECK(!tmm_ioremap(io(), (tmm_paddr){UINT64_MAX}, 2));
	CHECK(!tmm_ioremap(io(), (tmm_paddr){REGISTERS}, 0));
	direct = tmm_memremap(io(), (tmm_paddr){32 * MB}, 4096, TMM_CACHE_WB);
	CHECK(direct == m.ram + 32 * MB);
	tmm_memunmap(io(), direct);
	CHECK(!tmm_memremap(io(), (tmm_paddr){32 * MB}, 4096, TMM_CACHE_WC));
	CHECK(!tmm_memremap(io(), (tmm_paddr){64 * MB - 4096}, 8192, TMM_CACHE_WB));
	power_off();
}

/* ---- ways of caching ---- */

/* What a second mapping gets, by what the first one has; -1: it is refused. */
TEST(mappings_of_the_same_addresses_are_cached_alike)
{
	enum { WB = TMM_CACHE_WB, WC = TMM_CACHE_WC, UM = TMM_CACHE_UC_MINUS };
	enum { UC = TMM_CACHE_UC, WT = TMM_CACHE_WT };
	static const int expected[5][5] = {
		/* second: WB, WC, UC-, UC, WT */
		[WB] = {WB, -1, -1, -1, -1}, [WC] = {WC, WC, WC, -1, -1},
		[UM] = {UM, UM, UM, -1, UM}, [UC] = {UC, UC, UC, UC, UC},
		[WT] = {WT, WT, WT, -1, WT},
	};
	enum tmm_cache_mode mode;

	power_on();
	for (int a = 0; a < 5; a++) {
		for (int b = 0; b < 5; b++) {
			void *first = tmm_memremap(io(), (tmm_paddr){FRAMES}, 8192,
			                           (enum tmm_cache_mode)a);
			void *second = tmm_memremap(io(), (tmm_paddr){FRAMES + 8191}, 2,
			                            (enum tmm_cache_mode)b);

			CHECK(first && (second != NULL) == (expected[a][b] >= 0));
			if (second) {
				CHECK(tmm_ioremap_mode(io(), second, &mode));
				CHECK((int)mode == expected[a][b]);
			}
			CHECK(tmm_ioremap_mode(io(), first, &mode) && (int)mode == a);
			tmm_iounmap(io(), first);
			tmm_iounmap(io(), second);
			CHECK(!tmm_ioremap_mode(io(), first, &mode));
		}
	}
	power_off();
}

TEST(ways_of_caching_are_listed_as_linux_lists_them)
{
	static const char expected[] =
		"PAT memtype list:\n"
		"PAT: [mem 0x00000000d0000000-0x00000000d0002000] write-through\n"
		"PAT: [mem 0x00000000d0200000-0x00000000d0600000] write-combining\n";
	void *screen, *regs;

	power_on();
	screen = tmm_ioremap_wc(io(), (tmm_paddr){FRAMES}, 4 * MB);
	regs = tmm_ioremap_wt(io(), (tmm_paddr){REGISTERS}, 32);
	tmm_memtype_show(io(), print_anew());
	CHECK(strcmp(m.printed, expected) == 0);
	tmm_iounmap(io(), regs);
	tmm_iounmap(io(), screen);
	power_off();
}

TEST(every_failure_of_a_mapping_leaves_nothing)
{
	unsigned nr = 0;

	for (uint64_t n = 1;; n++) {
		void *screen;
		bool failed;

		power_on();
		tmm_inject_nth(n, false);
		screen = tmm_ioremap(io(), (tmm_paddr){FRAMES}, 3 * MB);
		failed = tmm_inject_stop();
		nr += !screen;
		tmm_check(&m.machine);
		tmm_iounmap(io(), screen);
		power_off();
		if (!failed)
			break;
	}
	CHECK(nr >= 3);
}
