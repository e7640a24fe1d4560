#include "device/rig_test.h"

/* Eight registers of four bytes that remember what was written, and how wide. */
struct registers {
	uint32_t value[8];
	unsigned last_width;
	uint64_t last_offset, nr_reads;
};

static uint64_t reg_read(void *arg, uint64_t offset, unsigned width)
{
	struct registers *r = arg;

	r->last_offset = offset;
	r->last_width = width;
	r->nr_reads++;
	return r->value[offset / 4] >> (offset % 4 * 8);
}

static void reg_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	struct registers *r = arg;

	r->last_offset = offset;
	r->last_width = width;
	if (width == 4)
		r->value[offset / 4] = (uint32_t)value;
	else
		memcpy((char *)r->value + offset, &value, width);
}

static const struct tmm_register_ops ops = {reg_read, reg_write};

static struct tmm_bus *bus(void)
{
	return &m.machine.bus;
}

TEST(registers_answer_in_the_widths_they_have)
{
	struct registers r = {.last_width = 0};
	struct tmm_bus_block block = {.name = "r",
	                              .start = {0xd0000000},
	                              .size_bytes = 32,
	                              .widths = 1 | 4,
	                              .ops = &ops,
	                              .arg = &r};
	struct tmm_bus_counts counts;
	uint64_t value;

	boot(64 * MB);
	CHECK(tmm_bus_attach(bus(), &block) == TMM_OK);
	CHECK(tmm_bus_write(bus(), (tmm_paddr){0xd0000008}, 4, 0x1122334455667788) == TMM_OK);
	CHECK(r.value[2] == 0x55667788 && r.last_width == 4 && r.last_offset == 8);
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd0000009}, 1, &value) == TMM_OK);
	CHECK(value == 0x77);
	/* no such width; not aligned; across the end; nothing there */
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd0000008}, 2, &value) == TMM_E_INVAL);
	CHECK(value == 0xffff);
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd000000a}, 4, &value) == TMM_E_INVAL);
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd0000008}, 3, &value) == TMM_E_INVAL);
	CHECK(tmm_bus_write(bus(), (tmm_paddr){0xd0000008}, 8, 0) == TMM_E_INVAL);
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd0000020}, 4, &value) == TMM_E_FAULT);
	CHECK(value == 0xffffffff);
	tmm_bus_counts(bus(), &counts);
	CHECK(counts.reads == 1 && counts.writes == 1 && counts.faults == 1 &&
	      counts.misaligned == 4);
	tmm_bus_detach(bus(), &block);
	CHECK(tmm_bus_read(bus(), (tmm_paddr){0xd0000008}, 4, &value) == TMM_E_FAULT);
	halt();
}

TEST(blocks_are_apart_from_ram_and_from_each_other)
{
	struct tmm_bus_block a = {.start = {0xd0001000}, .size_bytes = 0x1000};
	struct tmm_bus_block b = {.start = {0xd0001fff}, .size_bytes = 2};
	struct tmm_bus_block ram = {.start = {64 * MB - 1}, .size_bytes = 2};
	struct tmm_bus_block hidden = {.start = {50 * MB}, .size_bytes = 2};
	struct tmm_bus_block none = {.start = {0xd0000000}, .size_bytes = 8, .ops = &ops};

	boot(64 * MB);
	CHECK(tmm_bus_attach(bus(), &a) == TMM_OK);
	CHECK(tmm_bus_attach(bus(), &b) == TMM_E_EXIST);
	b.start.v = 0xd0002000;
	CHECK(tmm_bus_attach(bus(), &b) == TMM_OK);
	CHECK(tmm_bus_attach(bus(), &ram) == TMM_E_EXIST);
	CHECK(tmm_bus_attach(bus(), &none) == TMM_E_INVAL); /* registers of no width */
	none.ops = NULL;
	none.size_bytes = 0;
	CHECK(tmm_bus_attach(bus(), &none) == TMM_E_INVAL);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){32 * MB}, MB) == TMM_BUS_RAM);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){64 * MB - 1}, 2) == TMM_BUS_NOTHING);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){0xd0001000}, 0x1000) == TMM_BUS_DEVICE_MEMORY);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){0xd0001000}, 0x1001) == TMM_BUS_NOTHING);
	tmm_bus_detach(bus(), &a);
	tmm_bus_detach(bus(), &b);
	halt();
	boot_shape((struct tmm_shape){.mem_limit_bytes = 40 * MB}, 64 * MB);
	CHECK(tmm_bus_attach(bus(), &hidden) == TMM_E_EXIST);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){50 * MB}, 14 * MB) == TMM_BUS_UNUSED_RAM);
	CHECK(tmm_bus_target(bus(), (tmm_paddr){39 * MB}, 4 * MB) == TMM_BUS_NOTHING);
	halt();
}

/*
 *   copy     |....RAM....|  |.device memory.|registers|
 */
TEST(copies_go_through_memory_and_registers)
{
	struct registers r = {.last_width = 0};
	struct tmm_bus_block memory = {.start = {0xd0000000}, .size_bytes = 100};
	struct tmm_bus_block block = {.start = {0xd0000064},
	                              .size_bytes = 28,
	                              .widths = 1 | 2 | 4,
	                              .ops = &ops,
	                              .arg = &r};
	char bytes[128], got[128];

	boot(64 * MB);
	CHECK(tmm_bus_attach(bus(), &memory) == TMM_OK);
	CHECK(tmm_bus_attach(bus(), &block) == TMM_OK);
	for (unsigned i = 0; i < 128; i++)
		bytes[i] = (char)(i * 3);
	CHECK(tmm_bus_copy_to(bus(), (tmm_paddr){0xd0000001}, bytes, 125) == TMM_OK);
	CHECK(memcmp(r.value, bytes + 99, 26) == 0 && r.last_width == 2);
	CHECK(tmm_bus_copy_from(bus(), got, (tmm_paddr){0xd0000001}, 125) == TMM_OK);
	CHECK(memcmp(got, bytes, 125) == 0);
	/* up to where nothing answers any more */
	memset(got, 0, sizeof(got));
	CHECK(tmm_bus_copy_from(bus(), got, (tmm_paddr){0xd0000001}, 128) == TMM_E_FAULT);
	CHECK(memcmp(got, bytes, 125) == 0 && got[127] == 0);
	CHECK(tmm_bus_copy_to(bus(), (tmm_paddr){UINT64_MAX}, bytes, 2) == TMM_E_FAULT);
	CHECK(tmm_bus_copy_to(bus(), (tmm_paddr){2 * MB - 60}, bytes, 128) == TMM_OK);
	CHECK(memcmp(m.ram + 2 * MB - 60, bytes, 128) == 0);
	tmm_bus_detach(bus(), &memory);
	tmm_bus_detach(bus(), &block);
	halt();
}
