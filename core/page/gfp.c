/*
 * gfp.c - flags of a request in words
 *
 * As Linux's log has them: the longest combination that has a name comes first, then
 * what it did not say.  TMM_GFP_USER is TMM_GFP_KERNEL here, and is called that.
 */
#include <tuxmm/page_debug.h>

#include "page/gfp.h"

struct gfp_name {
	tmm_gfp flags;
	const char *name;
};

static const struct gfp_name names[] = {
	{TMM_GFP_TRANSHUGE, "GFP_TRANSHUGE"},
	{TMM_GFP_TRANSHUGE_LIGHT, "GFP_TRANSHUGE_LIGHT"},
	{TMM_GFP_HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE"},
	{TMM_GFP_HIGHUSER, "GFP_HIGHUSER"},
	{TMM_GFP_KERNEL | TMM_GFP_ACCOUNT, "GFP_KERNEL_ACCOUNT"},
	{TMM_GFP_KERNEL, "GFP_KERNEL"},
	{TMM_GFP_NOFS, "GFP_NOFS"},
	{TMM_GFP_ATOMIC, "GFP_ATOMIC"},
	{TMM_GFP_NOIO, "GFP_NOIO"},
	{TMM_GFP_NOWAIT, "GFP_NOWAIT"},
	{TMM_GFP_DMA, "GFP_DMA"},
	{TMM_GFP_HIGHMEM, "__GFP_HIGHMEM"},
	{TMM_GFP_DMA32, "GFP_DMA32"},
	{TMM_GFP_HIGH, "__GFP_HIGH"},
	{TMM_GFP_IO, "__GFP_IO"},
	{TMM_GFP_FS, "__GFP_FS"},
	{TMM_GFP_NOWARN, "__GFP_NOWARN"},
	{TMM_GFP_RETRY_MAYFAIL, "__GFP_RETRY_MAYFAIL"},
	{TMM_GFP_NOFAIL, "__GFP_NOFAIL"},
	{TMM_GFP_NORETRY, "__GFP_NORETRY"},
	{TMM_GFP_COMP, "__GFP_COMP"},
	{TMM_GFP_ZERO, "__GFP_ZERO"},
	{TMM_GFP_NOMEMALLOC, "__GFP_NOMEMALLOC"},
	{TMM_GFP_MEMALLOC, "__GFP_MEMALLOC"},
	{TMM_GFP_THISNODE, "__GFP_THISNODE"},
	{TMM_GFP_RECLAIMABLE, "__GFP_RECLAIMABLE"},
	{TMM_GFP_MOVABLE, "__GFP_MOVABLE"},
	{TMM_GFP_ACCOUNT, "__GFP_ACCOUNT"},
	{TMM_GFP_DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM"},
};

void print_gfp(struct printer *printer, tmm_gfp gfp)
{
	const char *bar = "";
	tmm_gfp left = gfp;

	print(printer, "0x%x(", gfp);
	for (size_t i = 0; i < ARRAY_SIZE(names) && left; i++) {
		if ((left & names[i].flags) != names[i].flags)
			continue;
		print(printer, "%s%s", bar, names[i].name);
		left &= ~names[i].flags;
		bar = "|";
	}
	if (left)
		print(printer, "%s0x%x", bar, left);
	print_char(printer, ')');
}

void tmm_gfp_show(tmm_gfp gfp, const struct tmm_sink *sink)
{
	struct printer printer;

	print_begin(&printer, sink);
	print_gfp(&printer, gfp);
	print_end(&printer);
}
