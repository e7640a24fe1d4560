/*
 * dma.h - memory that devices read and write by themselves
 *
 * A device drives some address bits (its masks) and sees RAM at its physical addresses.
 * A driver gets memory for it in two ways.  Coherent memory is shared by processor and
 * device all the time.  Streaming mappings lend a buffer to the device: from map
 * to unmap it is the device's, but for what a sync gives back in between.  When a
 * buffer lies where the device does not reach, a bounce buffer below takes its place:
 * mapping and tmm_dma_sync_for_device() copy into it, unmapping and
 * tmm_dma_sync_for_cpu() out of it.
 *
 *   driver  map         sync_for_cpu    sync_for_device         unmap
 *   owner   CPU | device            | CPU              | device     | CPU
 *
 * With TMM_DMA_DEBUG each mapping is recorded, and whoever breaks the rules is told
 * which one and with what mapping, by a panic; costs an entry for each mapping, found
 * by device and address, and checksums of what is mapped.
 *
 * Units    sizes in bytes; tmm_dma_addr is an address as devices see it
 * Owning   struct tmm_device is its caller's; memory and mappings of a device must be
 *          given back before it is removed
 * Locks    rank DEVICE; any context, but coherent memory sleeps where gfp lets it
 * Linux    dma_alloc_coherent(), dma_map_single(), dma_map_sg(), swiotlb, dma-debug
 */
#ifndef TUXMM_DMA_H
#define TUXMM_DMA_H

#include <tuxmm/cma.h>
#include <tuxmm/page_alloc.h>
#include <tuxmm/scatterlist.h>
#include <tuxmm/sink.h>

#define TMM_DMA_BIT_MASK(n)   ((n) == 64 ? UINT64_MAX : (UINT64_C(1) << (n)) - 1)
#define TMM_DMA_MAPPING_ERROR ((tmm_dma_addr){UINT64_MAX})

struct tmm_dma; /* fields: core/device/dma_impl.h */

enum tmm_dma_direction {
	TMM_DMA_BIDIRECTIONAL,
	TMM_DMA_TO_DEVICE,  /* the device only reads */
	TMM_DMA_FROM_DEVICE /* the device only writes */
};

/* Bounce buffers of a machine (struct tmm_shape). */
enum tmm_swiotlb_mode {
	TMM_SWIOTLB_AUTO,  /* where a mask does not reach */
	TMM_SWIOTLB_FORCE, /* always: finds drivers that forget to sync */
	TMM_SWIOTLB_NONE   /* never: a mapping that needs one fails */
};

#define TMM_DMA_DEBUG (1u << 0) /* of struct tmm_shape.dma_debug */

/*
 * (c) set by tmm_device_add()  (d) the driver's to set while it has no mapping
 * (p) private
 */
struct tmm_device {
	const char *name;               /* (c) not copied */
	struct tmm_dma *dma;            /* (c) */
	uint64_t dma_mask;              /* (c) tmm_dma_set_mask() */
	uint64_t coherent_mask;         /* (c) tmm_dma_set_coherent_mask() */
	uint64_t max_segment_bytes;     /* (d) of one entry of a scatter list; 64 KiB */
	uint64_t segment_boundary_mask; /* (d) which an entry does not cross; 4 GiB - 1 */
	uint64_t min_align_mask; /* (d) low bits that a bounce buffer keeps, below a page; 0 */
	struct tmm_cma *cma;     /* (d) its own contiguous area; NULL: any */
	struct tmm_device *next; /* (p) */
	uint64_t nr_mapped;      /* (p, atomic) mappings, entries of scatter lists for one */
	uint64_t nr_coherent;    /* (p, atomic) */
};

/* A device with both masks 32 bits wide. */
void tmm_device_add(struct tmm_dma *dma, struct tmm_device *device, const char *name);

/*
 * The device is gone.  Memory or mappings that it still has panic; with
 * TMM_DMA_DEBUG the report describes one of them.
 */
void tmm_device_remove(struct tmm_device *device);

/*
 * Say what addresses the device can drive.  TMM_E_IO: memory that any such device
 * could reach may not be there; nothing has changed.
 */
TMM_MUST_CHECK tmm_err tmm_dma_set_mask(struct tmm_device *device, uint64_t mask);
TMM_MUST_CHECK tmm_err tmm_dma_set_coherent_mask(struct tmm_device *device, uint64_t mask);
TMM_MUST_CHECK tmm_err tmm_dma_set_mask_and_coherent(struct tmm_device *device, uint64_t mask);

/* The mask that reaches all RAM of the machine. */
uint64_t tmm_dma_required_mask(const struct tmm_device *device);

/* The most that one mapping may have: a bounce buffer's size, where one may be needed. */
uint64_t tmm_dma_max_mapping_size(const struct tmm_device *device);

/*
 * Memory for device and processor, cleared, aligned to the next power of two; NULL
 * when there is none that the coherent mask reaches.  More than a page comes from a
 * contiguous area, if there is one and the caller may sleep.  Without
 * TMM_GFP_DIRECT_RECLAIM a pool that is kept for this helps out.  Zone bits of gfp
 * are ignored.
 */
void *tmm_dma_alloc_coherent(struct tmm_device *device, uint64_t size_bytes,
                             tmm_dma_addr *out_addr, tmm_gfp gfp);
void tmm_dma_free_coherent(struct tmm_device *device, uint64_t size_bytes, void *memory,
                           tmm_dma_addr addr);

/*
 * Lend a buffer to the device.  The result is TMM_DMA_MAPPING_ERROR when the device
 * cannot reach it and there is no bounce buffer, or when it is not of the direct map:
 * a stack's, vmalloc's.  Ask tmm_dma_mapping_error() before use.
 */
TMM_MUST_CHECK tmm_dma_addr tmm_dma_map_single(struct tmm_device *device, void *buffer,
                                               uint64_t size_bytes,
                                               enum tmm_dma_direction direction);
TMM_MUST_CHECK tmm_dma_addr tmm_dma_map_page(struct tmm_device *device, tmm_pfn pfn,
                                             uint64_t offset, uint64_t size_bytes,
                                             enum tmm_dma_direction direction);
bool tmm_dma_mapping_error(struct tmm_device *device, tmm_dma_addr addr);

/* Take it back, with the size and direction that it was mapped with. */
void tmm_dma_unmap_single(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                          enum tmm_dma_direction direction);
void tmm_dma_unmap_page(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                        enum tmm_dma_direction direction);

/*
 * Registers or memory of another device, as this one sees them: never bounced, nothing to
 * sync.  TMM_DMA_MAPPING_ERROR: some of it is RAM, or the mask does not reach.
 */
TMM_MUST_CHECK tmm_dma_addr tmm_dma_map_resource(struct tmm_device *device, tmm_paddr start,
                                                 uint64_t size_bytes,
                                                 enum tmm_dma_direction direction);
void tmm_dma_unmap_resource(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                            enum tmm_dma_direction direction);

/* Part of a mapping is the processor's from now on; is the device's again. */
void tmm_dma_sync_for_cpu(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                          enum tmm_dma_direction direction);
void tmm_dma_sync_for_device(struct tmm_device *device, tmm_dma_addr addr, uint64_t size_bytes,
                             enum tmm_dma_direction direction);

/*
 * Map the first nr entries of a list.  Returns how many stretches of addresses
 * there are, in dma_address and dma_bytes of the first entries: adjacent ones become one
 * as far as the device's segments allow.  0: the list cannot be mapped.
 */
TMM_MUST_CHECK unsigned tmm_dma_map_sg(struct tmm_device *device, struct tmm_sg *list,
                                       unsigned nr, enum tmm_dma_direction direction);

/* nr is what was asked for when mapping, not what was answered. */
void tmm_dma_unmap_sg(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                      enum tmm_dma_direction direction);
void tmm_dma_sync_sg_for_cpu(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                             enum tmm_dma_direction direction);
void tmm_dma_sync_sg_for_device(struct tmm_device *device, struct tmm_sg *list, unsigned nr,
                                enum tmm_dma_direction direction);

/*
 * What the device does by itself: read or write `bytes` at an address that it was
 * given.  TMM_E_RANGE: it has no such address bits; TMM_E_FAULT: nothing answers there.
 * With TMM_DMA_DEBUG, addresses that are not mapped for it now panic.
 */
TMM_MUST_CHECK tmm_err tmm_dma_device_read(struct tmm_device *device, tmm_dma_addr from,
                                           void *to, uint64_t bytes);
TMM_MUST_CHECK tmm_err tmm_dma_device_write(struct tmm_device *device, tmm_dma_addr to,
                                            const void *from, uint64_t bytes);

/*
 * A shared buffer (tuxmm/cma.h) as one device has it.  Attaching takes a reference;
 * the buffer's frames are mapped as the list `table`.
 *   TMM_E_NOMEM  no memory for the list
 *   TMM_E_IO     the device cannot reach the buffer
 */
struct tmm_dma_attachment {
	struct tmm_device *device;
	struct tmm_cma_buffer *buffer;
	struct tmm_sg_table table;
	enum tmm_dma_direction direction;
	unsigned nr_mapped; /* entries, after mapping */
};
void tmm_dma_buffer_attach(struct tmm_cma_buffer *buffer, struct tmm_device *device,
                           struct tmm_dma_attachment *out);
TMM_MUST_CHECK tmm_err tmm_dma_buffer_map(struct tmm_dma_attachment *attachment,
                                          enum tmm_dma_direction direction);
void tmm_dma_buffer_unmap(struct tmm_dma_attachment *attachment);

/* True: it was the buffer's last user. */
bool tmm_dma_buffer_detach(struct tmm_dma_attachment *attachment);

/* Since boot, but for what says now. */
struct tmm_dma_counts {
	uint64_t mapped, unmapped; /* mappings, entries of lists for one */
	uint64_t mapping_errors;
	uint64_t bounced;                             /* mappings that needed a bounce buffer */
	uint64_t bytes_bounced_in, bytes_bounced_out; /* copied */
	uint64_t swiotlb_slots;                       /* of 2 KiB, now */
	uint64_t swiotlb_used, swiotlb_used_most;     /* slots now, and the most there were */
	uint64_t coherent_bytes;                      /* now */
	uint64_t from_cma, from_pool;                 /* coherent requests served so */
	uint64_t debug_entries;                       /* now */
};
void tmm_dma_counts(struct tmm_dma *dma, struct tmm_dma_counts *out);

/* The bounce buffers that boot reserved; false: none. */
bool tmm_dma_swiotlb(const struct tmm_dma *dma, tmm_paddr *out_start, uint64_t *out_bytes);

/* What is mapped now, as Linux's /sys/kernel/debug/dma-api/dump; false without the flag. */
bool tmm_dma_show(struct tmm_dma *dma, const struct tmm_sink *sink);

/* Panics unless bounce buffers, pools and records agree.  No device may be working. */
void tmm_dma_check(struct tmm_dma *dma);

#endif
