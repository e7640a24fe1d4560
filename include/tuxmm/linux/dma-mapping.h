/*
 * dma-mapping.h - memory that devices read and write by themselves
 *
 * A struct device is what DMA needs of one, and no more; whoever plays the bus makes it
 * known with tmm_device_add(tmm_machine_dma(machine), &dev->tmm, name).
 */
#ifndef TUXMM_LINUX_DMA_MAPPING_H
#define TUXMM_LINUX_DMA_MAPPING_H

#include <tuxmm/dma.h>
#include <tuxmm/linux/scatterlist.h>

struct device {
	struct tmm_device tmm;
};

enum dma_data_direction {
	DMA_BIDIRECTIONAL = TMM_DMA_BIDIRECTIONAL,
	DMA_TO_DEVICE = TMM_DMA_TO_DEVICE,
	DMA_FROM_DEVICE = TMM_DMA_FROM_DEVICE
};

#define DMA_BIT_MASK(n)   TMM_DMA_BIT_MASK(n)
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)

TMM_LINUX_CALL enum tmm_dma_direction tmm_linux_direction(enum dma_data_direction dir)
{
	return (enum tmm_dma_direction)dir;
}

/* ---- what the device reaches ---- */

/* 0, or a negated error number, as all below that return int. */
TMM_LINUX_CALL int dma_set_mask(struct device *dev, u64 mask)
{
	return tmm_dma_set_mask(&dev->tmm, mask);
}

TMM_LINUX_CALL int dma_set_coherent_mask(struct device *dev, u64 mask)
{
	return tmm_dma_set_coherent_mask(&dev->tmm, mask);
}

TMM_LINUX_CALL int dma_set_mask_and_coherent(struct device *dev, u64 mask)
{
	return tmm_dma_set_mask_and_coherent(&dev->tmm, mask);
}

TMM_LINUX_CALL u64 dma_get_mask(const struct device *dev)
{
	return dev->tmm.dma_mask;
}

TMM_LINUX_CALL u64 dma_get_required_mask(const struct device *dev)
{
	return tmm_dma_required_mask(&dev->tmm);
}

TMM_LINUX_CALL size_t dma_max_mapping_size(const struct device *dev)
{
	return tmm_dma_max_mapping_size(&dev->tmm);
}

TMM_LINUX_CALL void dma_set_max_seg_size(struct device *dev, unsigned int size)
{
	dev->tmm.max_segment_bytes = size;
}

TMM_LINUX_CALL unsigned int dma_get_max_seg_size(const struct device *dev)
{
	return (unsigned int)dev->tmm.max_segment_bytes;
}

TMM_LINUX_CALL void dma_set_seg_boundary(struct device *dev, unsigned long mask)
{
	dev->tmm.segment_boundary_mask = mask;
}

TMM_LINUX_CALL void dma_set_min_align_mask(struct device *dev, unsigned int mask)
{
	dev->tmm.min_align_mask = mask;
}

/* ---- coherent memory ---- */

TMM_LINUX_CALL void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *dma_handle,
                                        gfp_t gfp)
{
	tmm_dma_addr addr = {0};
	void *memory = tmm_dma_alloc_coherent(&dev->tmm, size, &addr, gfp);

	if (memory)
		*dma_handle = addr.v;
	return memory;
}

/* NULL is ignored. */
TMM_LINUX_CALL void dma_free_coherent(struct device *dev, size_t size, void *cpu_addr,
                                      dma_addr_t dma_handle)
{
	if (cpu_addr)
		tmm_dma_free_coherent(&dev->tmm, size, cpu_addr, (tmm_dma_addr){dma_handle});
}

/* ---- streaming mappings ---- */

TMM_LINUX_CALL dma_addr_t dma_map_single(struct device *dev, void *ptr, size_t size,
                                         enum dma_data_direction dir)
{
	return tmm_dma_map_single(&dev->tmm, ptr, size, tmm_linux_direction(dir)).v;
}

TMM_LINUX_CALL void dma_unmap_single(struct device *dev, dma_addr_t addr, size_t size,
                                     enum dma_data_direction dir)
{
	tmm_dma_unmap_single(&dev->tmm, (tmm_dma_addr){addr}, size, tmm_linux_direction(dir));
}

TMM_LINUX_CALL dma_addr_t dma_map_page(struct device *dev, const struct page *page,
                                       size_t offset, size_t size, enum dma_data_direction dir)
{
	return tmm_dma_map_page(&dev->tmm, (tmm_pfn){page_to_pfn(page)}, offset, size,
	                        tmm_linux_direction(dir))
	        .v;
}

TMM_LINUX_CALL void dma_unmap_page(struct device *dev, dma_addr_t addr, size_t size,
                                   enum dma_data_direction dir)
{
	tmm_dma_unmap_page(&dev->tmm, (tmm_dma_addr){addr}, size, tmm_linux_direction(dir));
}

/* Registers or memory of another device.  attrs: 0, there are none here. */
TMM_LINUX_CALL dma_addr_t dma_map_resource(struct device *dev, phys_addr_t phys_addr,
                                           size_t size, enum dma_data_direction dir,
                                           unsigned long attrs)
{
	if (attrs)
		return DMA_MAPPING_ERROR;
	return tmm_dma_map_resource(&dev->tmm, (tmm_paddr){phys_addr}, size,
	                            tmm_linux_direction(dir))
	        .v;
}

TMM_LINUX_CALL void dma_unmap_resource(struct device *dev, dma_addr_t addr, size_t size,
                                       enum dma_data_direction dir, unsigned long attrs)
{
	(void)attrs;
	tmm_dma_unmap_resource(&dev->tmm, (tmm_dma_addr){addr}, size, tmm_linux_direction(dir));
}

/* -ENOMEM: the mapping failed. */
TMM_LINUX_CALL int dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	return tmm_dma_mapping_error(&dev->tmm, (tmm_dma_addr){addr}) ? TMM_E_NOMEM : 0;
}

TMM_LINUX_CALL void dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
                                            enum dma_data_direction dir)
{
	tmm_dma_sync_for_cpu(&dev->tmm, (tmm_dma_addr){addr}, size, tmm_linux_direction(dir));
}

TMM_LINUX_CALL void dma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
                                               enum dma_data_direction dir)
{
	tmm_dma_sync_for_device(&dev->tmm, (tmm_dma_addr){addr}, size,
	                        tmm_linux_direction(dir));
}

TMM_LINUX_CALL void dma_sync_single_range_for_cpu(struct device *dev, dma_addr_t addr,
                                                  unsigned long offset, size_t size,
                                                  enum dma_data_direction dir)
{
	dma_sync_single_for_cpu(dev, addr + offset, size, dir);
}

TMM_LINUX_CALL void dma_sync_single_range_for_device(struct device *dev, dma_addr_t addr,
                                                     unsigned long offset, size_t size,
                                                     enum dma_data_direction dir)
{
	dma_sync_single_for_device(dev, addr + offset, size, dir);
}

/* ---- lists ---- */

/* Stretches of addresses; 0: the list cannot be mapped. */
TMM_LINUX_CALL unsigned int dma_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
                                       enum dma_data_direction dir)
{
	return tmm_dma_map_sg(&dev->tmm, &sgl->tmm, (unsigned)nents, tmm_linux_direction(dir));
}

TMM_LINUX_CALL void dma_unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
                                 enum dma_data_direction dir)
{
	tmm_dma_unmap_sg(&dev->tmm, &sgl->tmm, (unsigned)nents, tmm_linux_direction(dir));
}

TMM_LINUX_CALL void dma_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl, int nents,
                                        enum dma_data_direction dir)
{
	tmm_dma_sync_sg_for_cpu(&dev->tmm, &sgl->tmm, (unsigned)nents,
	                        tmm_linux_direction(dir));
}

TMM_LINUX_CALL void dma_sync_sg_for_device(struct device *dev, struct scatterlist *sgl,
                                           int nents, enum dma_data_direction dir)
{
	tmm_dma_sync_sg_for_device(&dev->tmm, &sgl->tmm, (unsigned)nents,
	                           tmm_linux_direction(dir));
}

/* attrs: 0, there are none here. */
TMM_LINUX_CALL int dma_map_sgtable(struct device *dev, struct sg_table *sgt,
                                   enum dma_data_direction dir, unsigned long attrs)
{
	unsigned int nents = attrs ? 0 : dma_map_sg(dev, sgt->sgl, (int)sgt->orig_nents, dir);

	if (!nents)
		return attrs ? TMM_E_INVAL : TMM_E_IO;
	sgt->nents = nents;
	return 0;
}

TMM_LINUX_CALL void dma_unmap_sgtable(struct device *dev, struct sg_table *sgt,
                                      enum dma_data_direction dir, unsigned long attrs)
{
	(void)attrs;
	dma_unmap_sg(dev, sgt->sgl, (int)sgt->orig_nents, dir);
}

/* ---- what a driver keeps to unmap later ---- */

#define DEFINE_DMA_UNMAP_ADDR(name)          dma_addr_t name
#define DEFINE_DMA_UNMAP_LEN(name)           u32 name
#define dma_unmap_addr(ptr, name)            ((ptr)->name)
#define dma_unmap_addr_set(ptr, name, value) ((ptr)->name = (value))
#define dma_unmap_len(ptr, name)             ((ptr)->name)
#define dma_unmap_len_set(ptr, name, value)  ((ptr)->name = (value))

#endif
