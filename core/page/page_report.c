/*
 * page_report.c - what the log says of a request that failed
 *
 * The request, then each zone: free frames against watermarks, and the free runs by
 * length, which tell a lack of memory from a lack of long runs.  The first
 * REPORTS_MOST failures are reported, so that a program that goes on trying does
 * not fill the log.
 */
#include "base/print.h"
#include "page/gfp.h"
#include "page/page_slow.h"

#define REPORTS_MOST 10u

static uint64_t kib(uint64_t pages)
{
	return pages << (TMM_PAGE_SHIFT - 10);
}

static void print_zone(struct printer *printer, const struct tmm_zone_info *zone)
{
	print(printer, "Node %u %s free:%lukB min:%lukB low:%lukB high:%lukB ", zone->node,
	      zone->name, kib(zone->free_pages), kib(zone->watermark_min),
	      kib(zone->watermark_low), kib(zone->watermark_high));
	print(printer, "present:%lukB managed:%lukB free_pcp:%lukB\n", kib(zone->present_pages),
	      kib(zone->managed_pages), kib(zone->stack_pages));
	print(printer, "Node %u %s:", zone->node, zone->name);
	for (unsigned order = 0; order < zone->nr_orders; order++)
		print(printer, " %lu*%lukB", zone->free_area[order], kib(UINT64_C(1) << order));
	print(printer, " = %lukB\n", kib(zone->free_pages));
}

static void print_nodes(struct printer *printer, const struct tmm_pages *pages, uint32_t nodes)
{
	const uint64_t words[] = {nodes};

	if (nodes == NODES_ALL)
		print(printer, "(null)\n");
	else
		print_list(printer, words, pages->nr_nodes);
}

static void print_report(struct tmm_pages *pages, const struct request *request,
                         struct printer *printer)
{
	print(printer, "page allocation failure: order:%u, mode:", request->order);
	print_gfp(printer, request->gfp);
	print(printer, ", nodemask=");
	print_nodes(printer, pages, request->choice.nodes);
	print(printer, "Mem-Info:\n");
	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct tmm_zone_info info;

		if (tmm_zone_info(pages, pages->zone[z].node, pages->zone[z].id, &info))
			print_zone(printer, &info);
	}
	print(printer, "%lu pages RAM\n", size_of(&pages->managed));
}

void report_failure(struct tmm_pages *pages, const struct request *request)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_WARNING);
	struct printer printer;

	/* relaxed: a count */
	if (__atomic_fetch_add(&pages->nr_reports, 1, __ATOMIC_RELAXED) >= REPORTS_MOST)
		return;
	print_begin(&printer, &sink);
	print_report(pages, request, &printer);
	print_end(&printer);
}
