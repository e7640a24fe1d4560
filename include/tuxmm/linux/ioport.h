/*
 * ioport.h - who has which physical addresses
 */
#ifndef TUXMM_LINUX_IOPORT_H
#define TUXMM_LINUX_IOPORT_H

#include <tuxmm/linux/tmm.h>
#include <tuxmm/resource.h>

struct resource; /* the core's struct tmm_resource */

/*
 * Not NULL: the addresses are the driver's.  What it points to cannot be looked into.
 */
TMM_LINUX_CALL struct resource *request_mem_region(resource_size_t start, resource_size_t n,
                                                   const char *name)
{
	tmm_err err = tmm_mem_region_request(tmm_linux.iomem, (tmm_paddr){start}, n, name,
	                                     NULL);

	return err == TMM_OK ? (struct resource *)tmm_iomem_root(tmm_linux.iomem) : NULL;
}

/* What was not requested is logged. */
TMM_LINUX_CALL void release_mem_region(resource_size_t start, resource_size_t n)
{
	(void)!tmm_mem_region_release(tmm_linux.iomem, (tmm_paddr){start}, n);
}

#endif
