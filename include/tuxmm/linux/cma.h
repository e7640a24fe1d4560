/*
 * cma.h - contiguous areas
 *
 * Linux's drivers reach areas through their device; here dev_get_cma_area() answers the
 * device's own, else the machine's first.
 */
#ifndef TUXMM_LINUX_CMA_H
#define TUXMM_LINUX_CMA_H

#include <tuxmm/cma.h>
#include <tuxmm/linux/dma-mapping.h>

struct cma; /* the core's struct tmm_cma */

TMM_LINUX_CALL struct tmm_cma *tmm_linux_cma(const struct cma *area)
{
	return (struct tmm_cma *)(uintptr_t)area;
}

/* NULL: the machine has none. */
TMM_LINUX_CALL struct cma *dev_get_cma_area(const struct device *dev)
{
	struct tmm_cma *area = dev ? dev->tmm.cma : NULL;

	return (struct cma *)(area ? area : tmm_cma_area(tmm_linux.pages, 0));
}

/* align: an order.  A failure is logged by nobody: no_warn says what is so anyhow. */
TMM_LINUX_CALL struct page *cma_alloc(struct cma *area, unsigned long count, unsigned int align,
                                      bool no_warn)
{
	tmm_pfn pfn;

	(void)no_warn;
	if (!area || tmm_cma_alloc(tmm_linux_cma(area), count, align, &pfn, NULL) != TMM_OK)
		return NULL;
	return pfn_to_page(pfn.v);
}

/* False: the pages are not of the area. */
static inline bool cma_release(struct cma *area, const struct page *pages, unsigned long count)
{
	struct tmm_cma_info info;
	uint64_t pfn = page_to_pfn(pages);

	if (!area || !pages)
		return false;
	tmm_cma_info(tmm_linux_cma(area), &info);
	if (pfn < info.start.v || pfn - info.start.v >= info.total_pages)
		return false;
	tmm_cma_release(tmm_linux_cma(area), (tmm_pfn){pfn}, count);
	return true;
}

static inline phys_addr_t cma_get_base(const struct cma *area)
{
	struct tmm_cma_info info;

	tmm_cma_info(tmm_linux_cma(area), &info);
	return PFN_PHYS(info.start.v);
}

static inline unsigned long cma_get_size(const struct cma *area)
{
	struct tmm_cma_info info;

	tmm_cma_info(tmm_linux_cma(area), &info);
	return info.total_pages << PAGE_SHIFT;
}

static inline const char *cma_get_name(const struct cma *area)
{
	struct tmm_cma_info info;

	tmm_cma_info(tmm_linux_cma(area), &info);
	return info.name;
}

#endif
