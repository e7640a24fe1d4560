/*
 * ioports.c - what boot enters into the tree of ports
 *
 * A PC's board has the same devices at the same ports as ever, and a port through which
 * devices of PCI are configured; the rest is PCI's.
 */
#include "device/iomem.h"

#define BUSY TMM_RESOURCE_BUSY

static const struct tmm_resource board[] = {
	{.start = 0x0000, .end = 0x0cf8, .name = "PCI Bus 0000:00"},
	{.start = 0x0000, .end = 0x0020, .name = "dma1", .flags = BUSY},
	{.start = 0x0020, .end = 0x0022, .name = "pic1", .flags = BUSY},
	{.start = 0x0040, .end = 0x0044, .name = "timer0", .flags = BUSY},
	{.start = 0x0050, .end = 0x0054, .name = "timer1", .flags = BUSY},
	{.start = 0x0060, .end = 0x0061, .name = "keyboard", .flags = BUSY},
	{.start = 0x0064, .end = 0x0065, .name = "keyboard", .flags = BUSY},
	{.start = 0x0080, .end = 0x0090, .name = "dma page reg", .flags = BUSY},
	{.start = 0x00a0, .end = 0x00a2, .name = "pic2", .flags = BUSY},
	{.start = 0x00c0, .end = 0x00e0, .name = "dma2", .flags = BUSY},
	{.start = 0x00f0, .end = 0x0100, .name = "fpu", .flags = BUSY},
	{.start = 0x0cf8, .end = 0x0d00, .name = "PCI conf1", .flags = BUSY},
	{.start = 0x0d00, .end = NR_PORTS, .name = "PCI Bus 0000:00"},
};
_Static_assert(ARRAY_SIZE(board) <= MAX_BOOT_PORTS, "there is room for each");

void ioports_init(struct tmm_iomem *ioports, struct tmm_slab_system *slabs,
                  struct tmm_resource boot[MAX_BOOT_PORTS])
{
	tree_init(ioports, slabs, "PCI IO", NR_PORTS, boot, MAX_BOOT_PORTS);
	lock_take(&ioports->lock);
	for (size_t i = 0; i < ARRAY_SIZE(board); i++)
		(void)tree_enter(ioports, &board[i]);
	lock_drop(&ioports->lock);
}
