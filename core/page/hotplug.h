/*
 * hotplug.h - sections as memory blocks put them into use and take them out
 */
#ifndef TUXMM_PAGE_HOTPLUG_IMPL_H
#define TUXMM_PAGE_HOTPLUG_IMPL_H

#include <tuxmm/hotplug.h>

#include "page/page_system.h"

/*
 * tmm_section_add() and tmm_section_remove() of addresses that stay claimed as RAM, and of
 * whose place (tmm_pages.place) the caller takes care.
 */
TMM_MUST_CHECK tmm_err section_online(struct tmm_pages *pages, tmm_paddr start, uint32_t node,
                                      struct tmm_hotplug_report *report);
TMM_MUST_CHECK tmm_err section_offline(struct tmm_pages *pages, tmm_paddr start,
                                       struct tmm_hotplug_report *report);

/* A section's place; NULL: the machine has no such section. */
uint8_t *place_of_section(const struct tmm_pages *pages, uint64_t section);

#endif
