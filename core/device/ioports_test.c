/*
 * ioports_test.c - ports: claimed in a tree of their own, answered on a bus of their own
 *
 *	ports    |board's, busy |  free for claims  |PCI conf1|  free     |
 *	         0             0x100              0xcf8     0xd00     0x10000
 */
#include <string.h>

#include <tuxmm/view.h>

#include "device/rig_test.h"

#define COM1 UINT64_C(0x3f8)

static struct tmm_iomem *ports(void)
{
	return tmm_machine_ioports(&m.machine);
}

static tmm_err claim(uint64_t start, uint64_t nr, struct tmm_resource_info *conflict)
{
	return tmm_mem_region_request(ports(), (tmm_paddr){start}, nr, "serial", conflict);
}

TEST(ports_are_listed_as_those_of_a_pc)
{
	static const char expected[] = "0000-0cf7 : PCI Bus 0000:00\n"
				       "  0000-001f : dma1\n"
				       "  0020-0021 : pic1\n"
				       "  0040-0043 : timer0\n"
				       "  0050-0053 : timer1\n"
				       "  0060-0060 : keyboard\n"
				       "  0064-0064 : keyboard\n"
				       "  0080-008f : dma page reg\n"
				       "  00a0-00a1 : pic2\n"
				       "  00c0-00df : dma2\n"
				       "  00f0-00ff : fpu\n"
				       "  03f8-03ff : serial\n"
				       "0cf8-0cff : PCI conf1\n"
				       "0d00-ffff : PCI Bus 0000:00\n";

	boot(64 * MB);
	CHECK(claim(COM1, 8, NULL) == TMM_OK);
	tmm_view_ioports(&m.machine, print_anew());
	CHECK(strcmp(m.printed, expected) == 0);
	tmm_view_ioports_hidden(&m.machine, print_anew());
	CHECK(strstr(m.printed, "  0000-0000 : serial\n") && !strstr(m.printed, "3f8"));
	CHECK(tmm_mem_region_release(ports(), (tmm_paddr){COM1}, 8) == TMM_OK);
	halt();
}

TEST(claims_of_ports_and_of_addresses_are_apart)
{
	struct tmm_resource_info conflict;

	boot(64 * MB);
	CHECK(claim(COM1, 8, NULL) == TMM_OK);
	CHECK(claim(COM1 + 7, 8, &conflict) == TMM_E_BUSY && conflict.start == COM1);
	CHECK(claim(0x20, 1, &conflict) == TMM_E_BUSY && strcmp(conflict.name, "pic1") == 0);
	CHECK(claim(0xcf0, 16, NULL) == TMM_E_BUSY); /* into PCI conf1 */
	CHECK(claim(0xffff, 1, NULL) == TMM_OK);
	CHECK(claim(0xffff, 2, NULL) == TMM_E_INVAL && claim(0x10000, 1, NULL) == TMM_E_INVAL);
	CHECK(tmm_mem_region_release(ports(), (tmm_paddr){0xffff}, 1) == TMM_OK);
	CHECK(tmm_mem_region_release(ports(), (tmm_paddr){COM1}, 8) == TMM_OK);
	CHECK(tmm_mem_region_release(ports(), (tmm_paddr){COM1}, 8) == TMM_E_NOENT);
	halt();
}

static uint8_t scratch;

static uint64_t serial_read(void *arg, uint64_t offset, unsigned width)
{
	(void)arg, (void)width;
	return offset == 7 ? scratch : 0x60;
}

static void serial_write(void *arg, uint64_t offset, uint64_t value, unsigned width)
{
	(void)arg, (void)width;
	if (offset == 7)
		scratch = (uint8_t)value;
}

TEST(registers_answer_at_ports_and_nothing_does_elsewhere)
{
	static const struct tmm_register_ops ops = {serial_read, serial_write};
	struct tmm_bus *bus;
	struct tmm_bus_block serial = {
		.name = "serial", .start = {COM1}, .size_bytes = 8, .widths = 1, .ops = &ops};
	struct tmm_bus_block memory = {.name = "memory", .start = {0}, .size_bytes = 8};
	struct tmm_bus_block high = serial;
	uint64_t value;

	boot(64 * MB);
	bus = tmm_machine_ports(&m.machine);
	high.start.v = 0xfffc;
	CHECK(tmm_bus_attach(bus, &serial) == TMM_OK);
	CHECK(tmm_bus_attach(bus, &high) == TMM_E_INVAL);
	CHECK(tmm_bus_attach(bus, &memory) == TMM_E_INVAL);
	CHECK(tmm_bus_write(bus, (tmm_paddr){COM1 + 7}, 1, 0x5a) == TMM_OK && scratch == 0x5a);
	CHECK(tmm_bus_read(bus, (tmm_paddr){COM1 + 7}, 1, &value) == TMM_OK && value == 0x5a);
	CHECK(tmm_bus_read(bus, (tmm_paddr){COM1}, 2, &value) == TMM_E_INVAL);
	CHECK(tmm_bus_read(bus, (tmm_paddr){0x100}, 1, &value) == TMM_E_FAULT && value == 0xff);
	/* at the address of that number there is no register */
	CHECK(tmm_bus_target(&m.machine.bus, (tmm_paddr){COM1}, 1) != TMM_BUS_REGISTERS);
	CHECK(tmm_bus_target(bus, (tmm_paddr){COM1}, 8) == TMM_BUS_REGISTERS);
	CHECK(tmm_bus_target(bus, (tmm_paddr){0x10000}, 1) == TMM_BUS_NOTHING);
	tmm_bus_detach(bus, &serial);
	halt();
}
