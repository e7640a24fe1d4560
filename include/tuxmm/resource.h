/*
 * resource.h - who has which physical addresses, and which ports
 *
 * A tree of address ranges.  Boot enters what the firmware said (RAM, tables,
 * reserved ranges), the kernel's image and the window that is left for devices; a
 * driver claims the addresses of its device before it maps them, and is refused
 * where somebody has them already.  Children lie within their parent, siblings do
 * not overlap.
 *
 * Ports, of which there are 65536, have a tree of their own (tmm_machine_ioports()), with
 * what every PC's board has; all below is good for both, addresses meaning ports there.
 *
 * Units    addresses and sizes in bytes, ranges [start, end)
 * Owning   a struct tmm_resource is its caller's and stays in the tree until it is
 *          released; tmm_mem_region_request() allocates its own.  Names are not
 *          copied
 * Locks    one lock (rank RESOURCE); any context, but what allocates may sleep
 * Linux    kernel/resource.c: request_resource(), insert_resource(),
 *          request_mem_region(), request_region(), region_intersects(), /proc/iomem,
 *          /proc/ioports
 */
#ifndef TUXMM_RESOURCE_H
#define TUXMM_RESOURCE_H

#include <tuxmm/types.h>

/* Physical addresses have 52 bits, as in the page-table entries of x86-64. */
#define TMM_PHYS_END (UINT64_C(1) << 52)

/* What is at a range of addresses (Linux: IORES_DESC_*, and the names in /proc/iomem). */
enum tmm_resource_kind {
	TMM_RESOURCE_DEVICE, /* a device's, or a window for devices */
	TMM_RESOURCE_RAM,    /* the page allocator's: "System RAM" */
	TMM_RESOURCE_KERNEL, /* the kernel's image */
	TMM_RESOURCE_RESERVED,
	TMM_RESOURCE_ACPI, /* "ACPI Tables" */
	TMM_RESOURCE_NVS,  /* "ACPI Non-volatile Storage" */
	TMM_RESOURCE_UNUSABLE,
	TMM_RESOURCE_PRIVATE /* addresses with nothing behind them:
	                        tmm_mem_region_request_free() */
};

#define TMM_RESOURCE_BUSY (1u << 0) /* in use: nobody may claim anything in it */

struct tmm_resource {
	uint64_t start, end; /* of the owner's to set, then the tree's */
	const char *name;
	uint32_t flags; /* TMM_RESOURCE_BUSY */
	enum tmm_resource_kind kind;
	struct tmm_resource *parent, *sibling, *child; /* the tree's */
};

/* One resource as it was at one moment: of a conflict, or of a walk. */
struct tmm_resource_info {
	uint64_t start, end;
	const char *name;
	uint32_t flags;
	enum tmm_resource_kind kind;
	uint32_t depth; /* 0: right below the root */
};

struct tmm_iomem; /* fields: core/device/iomem.h */

/* The root: all physical addresses, or all ports. */
struct tmm_resource *tmm_iomem_root(struct tmm_iomem *iomem);

/*
 * Put `resource` right below `parent`.
 *   TMM_OK
 *   TMM_E_BUSY   it overlaps a child of the parent
 *   TMM_E_INVAL  it is empty, or not within the parent
 * conflict: NULL, or where to say with whom; written for TMM_E_BUSY alone.
 */
TMM_MUST_CHECK tmm_err tmm_resource_request(struct tmm_iomem *iomem,
                                            struct tmm_resource *parent,
                                            struct tmm_resource *resource,
                                            struct tmm_resource_info *conflict);

/*
 * Put it anywhere below `parent` where it fits: deep down inside of what contains
 * it, and around what it contains.  TMM_E_BUSY: it overlaps something in part.
 */
TMM_MUST_CHECK tmm_err tmm_resource_insert(struct tmm_iomem *iomem, struct tmm_resource *parent,
                                           struct tmm_resource *resource,
                                           struct tmm_resource_info *conflict);

/*
 * Take it out of the tree, and all below it with it.  TMM_E_NOENT: it is not in the
 * tree.
 */
TMM_MUST_CHECK tmm_err tmm_resource_release(struct tmm_iomem *iomem,
                                            struct tmm_resource *resource);

/*
 * Give it another range, with its children in it, within its parent and beside its
 * siblings: else TMM_E_BUSY, and it is as before.
 */
TMM_MUST_CHECK tmm_err tmm_resource_adjust(struct tmm_iomem *iomem,
                                           struct tmm_resource *resource, uint64_t start,
                                           uint64_t size_bytes);

/* Where an allocated resource may be. */
struct tmm_resource_want {
	uint64_t size_bytes;
	uint64_t align_bytes; /* a power of two; 0: 1 */
	uint64_t min, max;    /* within [min, max); max 0: as the parent */
};

/*
 * Put it right below `parent` at the lowest place that suits.  Its start and end are
 * written.
 *   TMM_E_BUSY   there is no such place
 *   TMM_E_INVAL  no bytes, or an alignment that is no power of two
 */
TMM_MUST_CHECK tmm_err tmm_resource_allocate(struct tmm_iomem *iomem,
                                             struct tmm_resource *parent,
                                             struct tmm_resource *resource,
                                             const struct tmm_resource_want *want);

/*
 * Claim a range for a driver: a busy resource inside of whatever contains the range
 * and is not busy.
 *   TMM_E_BUSY   somebody has some of it
 *   TMM_E_INVAL  it is empty, or beyond the root's end, TMM_PHYS_END for addresses
 *   TMM_E_NOMEM
 */
TMM_MUST_CHECK tmm_err tmm_mem_region_request(struct tmm_iomem *iomem, tmm_paddr start,
                                              uint64_t size_bytes, const char *name,
                                              struct tmm_resource_info *conflict);

/*
 * Give it up, exactly as it was claimed.  TMM_E_NOENT: there is no such claim, which
 * is logged as Linux does.
 */
TMM_MUST_CHECK tmm_err tmm_mem_region_release(struct tmm_iomem *iomem, tmm_paddr start,
                                              uint64_t size_bytes);

/*
 * Claim addresses that nothing has, the highest there are: for memory that is a
 * device's own and needs frame numbers.  align_bytes as above; to be released as
 * any other claim.
 */
TMM_MUST_CHECK tmm_err tmm_mem_region_request_free(struct tmm_iomem *iomem, uint64_t size_bytes,
                                                   uint64_t align_bytes, const char *name,
                                                   tmm_paddr *out_start);

/* How a range and the topmost resources of one kind meet. */
enum tmm_region_meets {
	TMM_REGION_DISJOINT,   /* none of it is of that kind */
	TMM_REGION_INTERSECTS, /* some is, and nothing else has any of it */
	TMM_REGION_MIXED       /* some is, and somebody else has some of it */
};
enum tmm_region_meets tmm_region_intersects(struct tmm_iomem *iomem, tmm_paddr start,
                                            uint64_t size_bytes, enum tmm_resource_kind kind);

/*
 * Walk the tree, parents before children, upwards; start with zeroes.  False at the
 * end.  The tree may change between two calls.
 */
struct tmm_resource_cursor {
	uint64_t start; /* of the last one shown */
	uint32_t depth; /* and one more than its depth; 0: none was shown */
};
bool tmm_resource_next(struct tmm_iomem *iomem, struct tmm_resource_cursor *cursor,
                       struct tmm_resource_info *out);

/* Panics unless children lie within parents, sorted, apart and known to them. */
void tmm_iomem_check(struct tmm_iomem *iomem);

#endif
