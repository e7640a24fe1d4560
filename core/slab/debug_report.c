/*
 * debug_report.c - what is said of an object that is not as it should be
 *
 * In the form of Linux's reports, so that who knows those, and tools that look for
 * them in a log, find their way: a line between two rules that names cache and
 * mistake, who had the object, its slab, and the bytes around it.  Addresses are
 * those of the direct map, call sites those of the program that the core is in.
 */
#include "slab/debug.h"

#define LOG_ERROR   3u
#define LOG_NOTICE  5u
#define LOG_INFO    6u
#define ROW         16u /* bytes in a line of a dump */
#define DUMPED_ZONE 64u /* bytes at most of a red zone before an object */
#define LISTED      32u /* lent objects at most of a cache that cannot go */
#define VMEMMAP     UINT64_C(0xffffea0000000000)
#define PAGE_STRUCT 64u /* bytes of Linux's descriptor */
#define RULE        "============================================================================="
#define THIN_RULE                                                                              \
	"-----------------------------------------------------------------------------"

struct report {
	struct log_lines lines;
	struct tmm_sink sink;
	struct printer printer;
};

static struct printer *report_begin(struct report *report, unsigned level)
{
	report->sink = log_lines_begin(&report->lines, level);
	print_begin(&report->printer, &report->sink);
	return &report->printer;
}

/* Lines of 16 bytes: address, digits, characters. */
static void print_bytes(struct printer *printer, const struct tmm_cache *cache,
                        const char *what, const char *from, const char *to)
{
	const unsigned char *byte = (const unsigned char *)from;
	const unsigned char *end = (const unsigned char *)to;

	for (; byte < end; byte += ROW) {
		size_t nr = (size_t)min_u64(ROW, (uint64_t)(end - byte));
		uint64_t column;

		print(printer, "%-9s%llx: ", what, shown(cache, byte));
		column = printer->column + 3 * ROW + 1;
		for (size_t i = 0; i < nr; i++)
			print(printer, "%02x ", byte[i]);
		print_pad_to(printer, column);
		for (size_t i = 0; i < nr; i++)
			print_char(printer,
			           byte[i] >= ' ' && byte[i] <= '~' ? (char)byte[i] : '.');
		print(printer, "\n");
	}
}

static void print_track(struct printer *printer, const struct tmm_cache *cache,
                        const char *what, const struct track *track)
{
	/* relaxed: tells what came before what */
	uint64_t now = __atomic_load_n(&cache->slabs->clock, __ATOMIC_RELAXED);

	if (!track->site)
		return;
	print(printer, "%s in 0x%llx age=%llu cpu=%u pid=%u\n", what,
	      (unsigned long long)(uintptr_t)track->site,
	      (unsigned long long)(now - track->when), track->cpu, track->task);
}

static void print_tracks(struct printer *printer, const struct tmm_cache *cache,
                         const char *object)
{
	const struct tracks *tracks;

	if (!debugs(cache, TMM_SLAB_STORE_USER))
		return;
	tracks = tracks_of(cache, object);
	print_track(printer, cache, "Allocated", &tracks->lent);
	print_track(printer, cache, "Freed", &tracks->freed);
}

static void print_slab(struct printer *printer, const struct tmm_cache *cache,
                       struct page *head)
{
	uint64_t pfn = page_pfn(cache->pages, head).v;
	uint32_t first = debugs(cache, TMM_SLAB_CONSISTENCY) ? *chain_of(cache, head) : 0;

	print(printer, "Slab 0x%llx objects=%u used=%u fp=0x%llx pfn=%llu\n",
	      (unsigned long long)(VMEMMAP + pfn * PAGE_STRUCT), slab_objs(cache, head),
	      head->refcount, first ? shown(cache, object_at(cache, head, first - 1)) : 0,
	      (unsigned long long)pfn);
}

static unsigned long long offset_in_slab(const struct tmm_cache *cache, struct page *head,
                                         const void *address)
{
	return (unsigned long long)((const char *)address -
	                            (char *)page_address(cache->pages,
	                                                 page_pfn(cache->pages, head)));
}

static void print_object(struct printer *printer, const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	const struct object_layout *layout = &cache->layout;
	const char *object = subject->object, *end = object + cache->object_bytes;
	const char *next = object + cache->size_bytes - layout->left_bytes;

	print(printer, "Object 0x%llx @offset=%llu\n", shown(cache, object),
	      offset_in_slab(cache, subject->head, object));
	if (debugs(cache, TMM_SLAB_RED_ZONE))
		print_bytes(printer, cache, "Redzone",
		            object - min_u64(layout->left_bytes, DUMPED_ZONE), object);
	print_bytes(printer, cache, "Object", object,
	            object + min_u64(cache->object_bytes, TMM_PAGE_SIZE));
	if (debugs(cache, TMM_SLAB_RED_ZONE))
		print_bytes(printer, cache, "Redzone", end, object + layout->red_end);
	if (debugs(cache, TMM_SLAB_POISON | TMM_SLAB_RED_ZONE))
		print_bytes(printer, cache, "Padding", object + layout->pad_offset, next);
}

static void print_banner(struct printer *printer, const struct subject *subject,
                         const char *what, const char *more)
{
	print(printer, "%s\nBUG %s (Not tainted): %s%s\n%s\n", RULE, subject->cache->name, what,
	      more, THIN_RULE);
}

/* All that is known, under the banner. */
static void print_rest(struct printer *printer, const struct subject *subject)
{
	const struct tmm_cache *cache = subject->cache;
	struct tmm_cpu *cpu = cpu_self(cache->cpus);

	if (subject->object)
		print_tracks(printer, cache, subject->object);
	if (subject->head)
		print_slab(printer, cache, subject->head);
	if (subject->object)
		print_object(printer, subject);
	print(printer, "CPU: %u PID: %u", cpu->id, cpu->task);
	if (subject->site)
		print(printer, " Call site: 0x%llx",
		      (unsigned long long)(uintptr_t)subject->site);
	print(printer, "\n");
}

/* The report is out: count it, and stop where that is wished. */
static void report_end(struct report *report, const struct subject *subject)
{
	struct tmm_cache *cache = subject->cache;

	print_end(&report->printer);
	/* relaxed: a count; atomic, as user copies report without the lock */
	__atomic_fetch_add(&cache->nr_reports, 1, __ATOMIC_RELAXED);
	if (cache->slabs->options & TMM_SLAB_PANIC)
		tmm_port_panic(__FILE__, __LINE__,
		               "a slab is corrupt, and is to stop the machine: see the log");
}

void report_object(const struct subject *subject, const char *what)
{
	struct report report;
	struct printer *printer = report_begin(&report, LOG_ERROR);

	print_banner(printer, subject, what, "");
	print_rest(printer, subject);
	report_end(&report, subject);
}

void report_bytes(const struct subject *subject, const char *what, unsigned char *from,
                  unsigned char *to, unsigned char expected)
{
	const struct tmm_cache *cache = subject->cache;
	struct report report;
	struct printer *printer = report_begin(&report, LOG_ERROR);

	print_banner(printer, subject, what, " overwritten");
	print(printer, "0x%llx-0x%llx @offset=%llu. First byte 0x%x instead of 0x%x\n",
	      shown(cache, from), shown(cache, to - 1),
	      offset_in_slab(cache, subject->head, from), *from, expected);
	print_rest(printer, subject);
	report_end(&report, subject);
	report_fix(subject, "Restoring %s 0x%llx-0x%llx=0x%x", what, shown(cache, from),
	           shown(cache, to - 1), expected);
	memset(from, expected, (size_t)(to - from));
}

void report_fix(const struct subject *subject, const char *format, ...)
{
	struct report report;
	struct printer *printer = report_begin(&report, LOG_ERROR);
	va_list args;

	print(printer, "FIX %s: ", subject->cache->name);
	va_start(args, format);
	print_args(printer, format, args);
	va_end(args);
	print(printer, "\n");
	print_end(printer);
}

void report_trace(const struct subject *subject, const char *what)
{
	const struct tmm_cache *cache = subject->cache;
	struct report report;
	struct printer *printer = report_begin(&report, LOG_INFO);

	print(printer, "TRACE %s %s 0x%llx inuse=%u call site 0x%llx\n", cache->name, what,
	      shown(cache, subject->object), subject->head->refcount,
	      (unsigned long long)(uintptr_t)subject->site);
	print_end(printer);
}

void report_forced(const struct tmm_cache *cache, const struct tmm_failslab *left)
{
	struct report report;
	struct printer *printer = report_begin(&report, LOG_NOTICE);

	print(printer,
	      "FAULT_INJECTION: forcing a failure.\n"
	      "name failslab, interval %u, probability %u, space %llu, times %d\n"
	      "cache %s\n",
	      left->interval, left->probability, (unsigned long long)left->space_bytes,
	      left->times, cache->name);
	print_end(printer);
}

/* ---- what is still lent when a cache should go ---- */

static void list_lent(struct printer *printer, struct tmm_cache *cache, struct page *head,
                      unsigned *room)
{
	for (uint32_t i = 0; *room > 0 && i < slab_objs(cache, head); i++) {
		const char *object = object_at(cache, head, i);

		/* relaxed: a CPU may be freeing it */
		if (__atomic_load_n(slab_lent(head) + i, __ATOMIC_RELAXED) != OBJECT_LENT)
			continue;
		print(printer, "Object 0x%llx @offset=%llu\n", shown(cache, object),
		      offset_in_slab(cache, head, object));
		print_tracks(printer, cache, object);
		--*room;
	}
}

void report_lent(struct tmm_cache *cache, uint64_t nr_lent)
{
	const struct subject subject = {.cache = cache};
	unsigned room = LISTED;
	struct report report;
	struct printer *printer = report_begin(&report, LOG_ERROR);

	print_banner(printer, &subject, "Objects remaining on __kmem_cache_shutdown()", "");
	for (unsigned i = 0; i < nr_slab_lists(cache); i++) {
		for (uint32_t first = slab_list_at(cache, i)->first;
		     first != NO_SLAB && room > 0; first = slab_page(cache, first)->next) {
			struct page *head = slab_page(cache, first);

			if (!head->refcount)
				continue;
			print_slab(printer, cache, head);
			list_lent(printer, cache, head, &room);
		}
	}
	if (nr_lent > LISTED)
		print(printer, "and %llu more\n", (unsigned long long)(nr_lent - LISTED));
	report_end(&report, &subject);
}
