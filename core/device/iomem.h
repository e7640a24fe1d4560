/*
 * iomem.h - the trees of physical addresses and of ports, and how boot fills them
 */
#ifndef TUXMM_DEVICE_IOMEM_H
#define TUXMM_DEVICE_IOMEM_H

#include <tuxmm/memblock.h>
#include <tuxmm/resource.h>

#include "base/lock.h"
#include "slab/slab_system.h"

/* Ranges of RAM, as many others, among them the kernel's image and a window for devices. */
#define MAX_BOOT_RESOURCES (2 * TMM_MEMBLOCK_MAX_REGIONS)

/* (c) constant after init  (r) lock */
struct tmm_iomem {
	struct lock lock;
	struct tmm_slab_system *slabs;   /* (c) */
	struct tmm_resource root;        /* (r) and everything below */
	struct tmm_resource *unused_ram; /* (c) a chain: RAM above mem=, in no tree */
	uint32_t nr_boot, max_boot;      /* (c) */
	struct tmm_resource *boot;       /* (c) [max_boot], entered before there is a slab */
};

#define NR_PORTS       UINT64_C(0x10000)
#define MAX_BOOT_PORTS 16u

/* An empty tree of [0, end) with room for what boot enters. */
void tree_init(struct tmm_iomem *tree, struct tmm_slab_system *slabs, const char *name,
               uint64_t end, struct tmm_resource *boot, uint32_t max_boot);

/* False: there is no room for more.  It must not overlap what is there in part (asserted). */
bool tree_enter(struct tmm_iomem *tree, const struct tmm_resource *what)
	TMM_REQUIRES(tree->lock);

/* slabs may not be used before the first request. */
void ioports_init(struct tmm_iomem *ioports, struct tmm_slab_system *slabs,
                  struct tmm_resource boot[MAX_BOOT_PORTS]);

/* What boot knows of physical addresses. */
struct iomem_config {
	const struct tmm_firmware_range *map; /* [nr_ranges] */
	size_t nr_ranges;
	uint64_t ram_end;                    /* RAM from here on is left alone (mem=) */
	uint64_t hotplug_end;                /* RAM may be added in holes below this */
	uint64_t kernel_start, kernel_bytes; /* of the image; 0: none */
};

/*
 * Enter what config says.  TMM_E_NOSPC: there are more than MAX_BOOT_RESOURCES ranges.
 * slabs may not be used before the first request.
 */
TMM_MUST_CHECK tmm_err iomem_init(struct tmm_iomem *iomem, struct tmm_slab_system *slabs,
                                  struct tmm_resource boot[MAX_BOOT_RESOURCES],
                                  const struct iomem_config *config);

/* Is all of [start, end) RAM that the page allocator was not given (mem=)? */
bool iomem_is_unused_ram(const struct tmm_iomem *iomem, uint64_t start, uint64_t end);

/* Of either tree: every claim must be released (asserted). */
void iomem_fini(struct tmm_iomem *iomem);

/*
 * RAM that comes and goes while the machine runs.  To add: TMM_E_BUSY when somebody has
 * some of the addresses, TMM_E_NOMEM.
 */
TMM_MUST_CHECK tmm_err iomem_add_ram(void *iomem, uint64_t start, uint64_t end);
TMM_MUST_CHECK tmm_err iomem_remove_ram(void *iomem, uint64_t start, uint64_t end);

/* resource.c, for iomem.c: without locks, or with. */
struct tmm_resource *resource_insert(struct tmm_iomem *iomem, struct tmm_resource *parent,
                                     struct tmm_resource *resource) TMM_REQUIRES(iomem->lock);
bool resource_unlink(struct tmm_resource *resource);

#endif
