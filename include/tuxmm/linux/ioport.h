/*
 * ioport.h - who has which physical addresses, and which ports
 */
#ifndef TUXMM_LINUX_IOPORT_H
#define TUXMM_LINUX_IOPORT_H

#include <tuxmm/linux/tmm.h>
#include <tuxmm/resource.h>

struct resource; /* the core's struct tmm_resource */

TMM_LINUX_CALL struct resource *tmm_linux_request(struct tmm_iomem *tree, resource_size_t start,
                                                  resource_size_t n, const char *name)
{
	if (tmm_mem_region_request(tree, (tmm_paddr){start}, n, name, NULL) != TMM_OK)
		return NULL;
	return (struct resource *)tmm_iomem_root(tree);
}

/* Not NULL: the addresses are the driver's.  What it points to cannot be looked into. */
TMM_LINUX_CALL struct resource *request_mem_region(resource_size_t start, resource_size_t n,
                                                   const char *name)
{
	return tmm_linux_request(tmm_linux.iomem, start, n, name);
}

/* What was not requested is logged. */
TMM_LINUX_CALL void release_mem_region(resource_size_t start, resource_size_t n)
{
	(void)!tmm_mem_region_release(tmm_linux.iomem, (tmm_paddr){start}, n);
}

/* The same for ports. */
TMM_LINUX_CALL struct resource *request_region(resource_size_t start, resource_size_t n,
                                               const char *name)
{
	return tmm_linux_request(tmm_linux.ioports, start, n, name);
}

TMM_LINUX_CALL void release_region(resource_size_t start, resource_size_t n)
{
	(void)!tmm_mem_region_release(tmm_linux.ioports, (tmm_paddr){start}, n);
}

#endif
