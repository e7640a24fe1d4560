/*
 * gfp.h - flags of a request in words
 */
#ifndef TUXMM_PAGE_GFP_H
#define TUXMM_PAGE_GFP_H

#include <tuxmm/page_alloc.h>

#include "base/print.h"

/* "0x780(GFP_KERNEL)" */
void print_gfp(struct printer *printer, tmm_gfp gfp);

#endif
