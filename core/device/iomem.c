/*
 * iomem.c - what boot enters into the tree of physical addresses
 *
 * The firmware's ranges may overlap; where they do, the type with the highest number
 * wins, as in Linux.  So the map is read from one boundary to the next: between two
 * boundaries nothing changes.  Runs of one type become one resource.
 *
 * Ranges that nobody may claim anything in are busy.  Reserved ranges above 1 MiB are
 * not: firmware reserves the registers of devices that way, and their drivers claim
 * them.
 *
 * Devices get the largest hole below 4 GiB where no RAM can be added as their window; if there
 * is none, the largest reserved range.  I/O and local interrupt controllers follow it, at
 * addresses that never change.
 */
#include "device/iomem.h"

#define LOW_END      UINT64_C(0x100000)   /* 1 MiB: below are ROMs and video memory */
#define WINDOW_END   UINT64_C(0xfec00000) /* interrupt controllers and ROM from here to 4 GiB */
#define WINDOW_LEAST UINT64_C(0x400000)   /* smaller holes are no window */
#define NOTHING      0u

static const struct {
	const char *name;
	enum tmm_resource_kind kind;
} of_type[] = {
	[TMM_FW_USABLE] = {"System RAM", TMM_RESOURCE_RAM},
	[TMM_FW_RESERVED] = {"Reserved", TMM_RESOURCE_RESERVED},
	[TMM_FW_ACPI] = {"ACPI Tables", TMM_RESOURCE_ACPI},
	[TMM_FW_NVS] = {"ACPI Non-volatile Storage", TMM_RESOURCE_NVS},
	[TMM_FW_UNUSABLE] = {"Unusable memory", TMM_RESOURCE_UNUSABLE},
};

struct run {
	uint64_t start, end;
	unsigned type; /* enum tmm_firmware_type, or NOTHING */
};

static unsigned type_at(const struct iomem_config *config, uint64_t at)
{
	unsigned type = NOTHING;

	for (size_t i = 0; i < config->nr_ranges; i++) {
		const struct tmm_firmware_range *range = &config->map[i];
		bool is_left_alone = range->type == TMM_FW_USABLE && at >= config->ram_end;

		if (at - range->start.v < range->size_bytes && !is_left_alone &&
		    range->type > type)
			type = range->type;
	}
	return type;
}

/* The first address above `at` where something may change. */
static uint64_t boundary_above(const struct iomem_config *config, uint64_t at)
{
	uint64_t next = at < config->ram_end ? config->ram_end : TMM_PHYS_END;

	for (size_t i = 0; i < config->nr_ranges; i++) {
		uint64_t start = config->map[i].start.v;
		uint64_t end = start + config->map[i].size_bytes;

		if (start > at)
			next = min_u64(next, start);
		if (end > at)
			next = min_u64(next, end);
	}
	return min_u64(next, TMM_PHYS_END);
}

/* The run of one type that begins at run->end; false at the end of all addresses. */
static bool next_run(const struct iomem_config *config, struct run *run)
{
	run->start = run->end;
	if (run->start >= TMM_PHYS_END)
		return false;
	run->type = type_at(config, run->start);
	do
		run->end = boundary_above(config, run->end);
	while (run->end < TMM_PHYS_END && type_at(config, run->end) == run->type);
	return true;
}

void tree_init(struct tmm_iomem *tree, struct tmm_slab_system *slabs, const char *name,
               uint64_t end, struct tmm_resource *boot, uint32_t max_boot)
{
	*tree = (struct tmm_iomem){.slabs = slabs,
	                           .root = {.end = end, .name = name},
	                           .boot = boot,
	                           .max_boot = max_boot};
	lock_init(&tree->lock, RANK_RESOURCE);
}

bool tree_enter(struct tmm_iomem *tree, const struct tmm_resource *what)
{
	struct tmm_resource *resource = &tree->boot[tree->nr_boot];
	const struct tmm_resource *other;

	if (tree->nr_boot == tree->max_boot)
		return false;
	*resource = *what;
	other = resource_insert(tree, &tree->root, resource);
	TMM_ASSERT(!other && "what boot enters is apart, or within");
	tree->nr_boot++;
	return true;
}

static bool enter_firmware(struct tmm_iomem *iomem, const struct iomem_config *config)
	TMM_REQUIRES(iomem->lock)
{
	struct run run = {0};

	while (next_run(config, &run)) {
		bool is_busy = run.type != TMM_FW_RESERVED || run.start < LOW_END;

		if (run.type == NOTHING)
			continue;
		if (!tree_enter(iomem, &(struct tmm_resource){
					       .start = run.start,
					       .end = run.end,
					       .name = of_type[run.type].name,
					       .kind = of_type[run.type].kind,
					       .flags = is_busy ? TMM_RESOURCE_BUSY : 0}))
			return false;
	}
	return true;
}

/* What mem= hides is remembered all the same: something answers there. */
static bool remember_unused(struct tmm_iomem *iomem, const struct iomem_config *config)
{
	struct iomem_config all = *config;
	struct run run = {.end = min_u64(config->ram_end, TMM_PHYS_END)};

	all.ram_end = UINT64_MAX;
	while (next_run(&all, &run)) {
		struct tmm_resource *unused = &iomem->boot[iomem->nr_boot];

		if (run.type != TMM_FW_USABLE)
			continue;
		if (iomem->nr_boot == iomem->max_boot)
			return false;
		*unused = (struct tmm_resource){
			.start = run.start, .end = run.end, .sibling = iomem->unused_ram};
		iomem->unused_ram = unused;
		iomem->nr_boot++;
	}
	return true;
}

bool iomem_is_unused_ram(const struct tmm_iomem *iomem, uint64_t start, uint64_t end)
{
	for (const struct tmm_resource *at = iomem->unused_ram; at; at = at->sibling)
		if (at->start <= start && end <= at->end)
			return true;
	return false;
}

static bool enter_window(struct tmm_iomem *iomem, const struct iomem_config *config)
	TMM_REQUIRES(iomem->lock)
{
	struct tmm_resource window = {.name = "PCI Bus 0000:00", .kind = TMM_RESOURCE_DEVICE};
	struct run run = {0};

	for (unsigned type = NOTHING; type <= TMM_FW_RESERVED; type += TMM_FW_RESERVED) {
		for (run.end = 0; next_run(config, &run);) {
			uint64_t low = type == NOTHING ? config->hotplug_end : 0;
			uint64_t start = max_u64(run.start, max_u64(low, LOW_END));
			uint64_t end = min_u64(run.end, WINDOW_END);

			if (run.type != type || start + WINDOW_LEAST > end ||
			    end - start <= window.end - window.start)
				continue;
			window.start = start;
			window.end = end;
		}
		if (window.end)
			return tree_enter(iomem, &window);
	}
	return true;
}

tmm_err iomem_init(struct tmm_iomem *iomem, struct tmm_slab_system *slabs,
                   struct tmm_resource boot[MAX_BOOT_RESOURCES],
                   const struct iomem_config *config)
{
	const struct tmm_resource kernel = {.start = config->kernel_start,
	                                    .end = config->kernel_start + config->kernel_bytes,
	                                    .name = "Kernel image",
	                                    .kind = TMM_RESOURCE_KERNEL,
	                                    .flags = TMM_RESOURCE_BUSY};
	bool has_room;

	tree_init(iomem, slabs, "PCI mem", TMM_PHYS_END, boot, MAX_BOOT_RESOURCES);
	lock_take(&iomem->lock);
	has_room = enter_firmware(iomem, config) && remember_unused(iomem, config) &&
	           enter_window(iomem, config) &&
	           (!config->kernel_bytes || tree_enter(iomem, &kernel));
	lock_drop(&iomem->lock);
	return has_room ? TMM_OK : TMM_E_NOSPC;
}

static bool is_of_boot(const struct tmm_iomem *iomem, const struct tmm_resource *resource)
{
	return resource >= iomem->boot && resource < iomem->boot + iomem->max_boot;
}

static void drop(struct tmm_iomem *iomem, struct tmm_resource *resource)
{
	if (resource && !is_of_boot(iomem, resource))
		tmm_kfree(iomem->slabs, resource);
}

/* RAM that was added goes with the machine. */
void iomem_fini(struct tmm_iomem *iomem)
{
	for (struct tmm_resource *at = iomem->root.child, *next; at; at = next) {
		next = at->sibling;
		if (at->kind == TMM_RESOURCE_RAM)
			drop(iomem, at);
		else
			TMM_ASSERT(is_of_boot(iomem, at) && "every claim is released");
	}
}

/* ---- RAM that comes and goes ---- */

tmm_err iomem_add_ram(void *arg, uint64_t start, uint64_t end)
{
	struct tmm_iomem *iomem = arg;
	struct tmm_resource *ram = tmm_kmalloc(iomem->slabs, sizeof(*ram), TMM_GFP_KERNEL);
	tmm_err err;

	if (!ram)
		return TMM_E_NOMEM;
	*ram = (struct tmm_resource){.start = start,
	                             .end = end,
	                             .name = "System RAM",
	                             .flags = TMM_RESOURCE_BUSY,
	                             .kind = TMM_RESOURCE_RAM};
	err = tmm_resource_request(iomem, &iomem->root, ram, NULL);
	if (err != TMM_OK)
		drop(iomem, ram);
	return err;
}

static struct tmm_resource *ram_with(struct tmm_iomem *iomem, uint64_t start, uint64_t end)
	TMM_REQUIRES(iomem->lock)
{
	struct tmm_resource *at = iomem->root.child;

	while (at && at->end < end)
		at = at->sibling;
	return at && at->kind == TMM_RESOURCE_RAM && at->start <= start ? at : NULL;
}

/* The children from `start` on go to `upper`, which follows `ram`. */
static void split(struct tmm_resource *ram, struct tmm_resource *upper, uint64_t start)
{
	struct tmm_resource **link = &ram->child;

	while (*link && (*link)->start < start)
		link = &(*link)->sibling;
	*upper = *ram;
	upper->start = start;
	upper->child = *link;
	*link = NULL;
	for (struct tmm_resource *at = upper->child; at; at = at->sibling)
		at->parent = upper;
	ram->sibling = upper;
}

/* Takes *spare if the RAM falls in two; *gone is what is left over of it. */
static tmm_err cut(struct tmm_iomem *iomem, uint64_t start, uint64_t end,
                   struct tmm_resource **spare, struct tmm_resource **gone)
	TMM_REQUIRES(iomem->lock)
{
	struct tmm_resource *ram = ram_with(iomem, start, end);

	if (!ram)
		return TMM_E_NOENT;
	for (const struct tmm_resource *in = ram->child; in; in = in->sibling)
		if (in->start < end && start < in->end)
			return TMM_E_BUSY;
	if (ram->start < start && end < ram->end) {
		split(ram, *spare, end);
		*spare = NULL;
	}
	if (ram->start < start) {
		ram->end = start;
	} else if (end < ram->end) {
		ram->start = end;
	} else {
		resource_unlink(ram);
		*gone = ram;
	}
	return TMM_OK;
}

tmm_err iomem_remove_ram(void *arg, uint64_t start, uint64_t end)
{
	struct tmm_iomem *iomem = arg;
	struct tmm_resource *spare = tmm_kmalloc(iomem->slabs, sizeof(*spare), TMM_GFP_KERNEL);
	struct tmm_resource *gone = NULL;
	tmm_err err;
	tmm_irq irq;

	if (!spare)
		return TMM_E_NOMEM;
	irq = lock_take_irqsave(&iomem->lock);
	err = cut(iomem, start, end, &spare, &gone);
	lock_drop_irqrestore(&iomem->lock, irq);
	drop(iomem, spare);
	drop(iomem, gone);
	return err;
}
