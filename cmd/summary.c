/*
 * summary.c - where the program's memory went, in twelve lines
 *
 * Peaks are each kind's own, at moments of their own; a bar is its share of the
 * largest.  Free memory is that of the moment when the program had ended.
 */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 40

static const char *const none[] = {"", "", ""};
static const char *const ansi[] = {"\x1b[1m", "\x1b[36m", "\x1b[0m"};

enum paint { BOLD, BAR, PLAIN };

struct row {
	const char *name;
	uint64_t bytes;
};

/* "1,342": thousands apart. */
static const char *count_text(uint64_t count, char text[SIZE_TEXT + 8])
{
	char digits[SIZE_TEXT];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%llu",
	                                 (unsigned long long)count);
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

static void print_outcome(FILE *stream, const struct report *report, const char *const *paint)
{
	const struct run_result *result = report->result;
	const char *name = strrchr(report->options->program[0], '/');
	char peak[SIZE_TEXT], ram[SIZE_TEXT], how[64];

	name = name && name[1] ? name + 1 : report->options->program[0];
	if (result->timed_out)
		snprintf(how, sizeof(how), "time limit reached");
	else if (result->oom)
		snprintf(how, sizeof(how), "killed, out of memory");
	else if (result->signal)
		snprintf(how, sizeof(how), "killed by signal %d", result->signal);
	else
		snprintf(how, sizeof(how), "exit status %d", result->status);
	fprintf(stream, "%s", paint[BOLD]);
	for (const char *c = name; *c; c++)
		fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, stream);
	fprintf(stream, "%s: %s, %.2f s, at most %s resident on a machine of %s\n",
	        paint[PLAIN], how, result->wall_seconds,
	        size_text(result->usage.peak_rss_pages << TMM_PAGE_SHIFT, peak),
	        size_text(report->options->ram_bytes, ram));
}

static void print_kinds(FILE *stream, const struct report *report, const char *const *paint)
{
	const struct tmm_mm_usage *usage = &report->result->usage;
	const struct row rows[] = {
		{"text", usage->kind_peak_pages[TMM_AREA_TEXT] << TMM_PAGE_SHIFT},
		{"heap", usage->kind_peak_pages[TMM_AREA_HEAP] << TMM_PAGE_SHIFT},
		{"mmap", usage->kind_peak_pages[TMM_AREA_MMAP] << TMM_PAGE_SHIFT},
		{"stack", usage->kind_peak_pages[TMM_AREA_STACK] << TMM_PAGE_SHIFT},
		{"page tables", usage->peak_table_pages << TMM_PAGE_SHIFT},
		{"slab", report->end->slab_peak_pages << TMM_PAGE_SHIFT},
	};
	const size_t nr = sizeof(rows) / sizeof(rows[0]);
	uint64_t most = 1;

	for (size_t i = 0; i < nr; i++)
		most = rows[i].bytes > most ? rows[i].bytes : most;
	for (size_t i = 0; i < nr; i++) {
		char size[SIZE_TEXT], bar[BAR_WIDTH + 1] = "";
		size_t length = (size_t)((double)rows[i].bytes / (double)most * BAR_WIDTH +
		                         0.5);

		memset(bar, '#', length);
		bar[length] = '\0';
		fprintf(stream, "  %-11s %9s%s%s%s%s\n", rows[i].name,
		        size_text(rows[i].bytes, size), length > 0 ? "  " : "", paint[BAR], bar,
		        paint[PLAIN]);
	}
}

static void print_work(FILE *stream, const struct run_result *result)
{
	char minor[SIZE_TEXT + 8], major[SIZE_TEXT + 8], calls[SIZE_TEXT + 8];

	fprintf(stream, "  %-11s %s minor and %s major faults, %s system calls\n", "work",
	        count_text(result->usage.minor_faults, minor),
	        count_text(result->usage.major_faults, major),
	        count_text(result->syscalls, calls));
}

/* Zones of one kind together, on whichever nodes they are. */
static void print_free(FILE *stream, const struct end_state *end)
{
	const char *comma = "";

	fprintf(stream, "  %-11s ", "free");
	for (unsigned kind = 0; kind < TMM_NR_ZONES; kind++) {
		uint64_t pages = 0, managed = 0;
		char left[SIZE_TEXT], all[SIZE_TEXT];

		for (unsigned z = kind; z < NR_END_ZONES; z += TMM_NR_ZONES) {
			const struct tmm_zone_info *zone = &end->zone[z];

			if (!end->populated[z])
				continue;
			pages += zone->free_pages + zone->stack_pages;
			managed += zone->managed_pages;
		}
		if (!managed)
			continue;
		fprintf(stream, "%s%s %s of %s", comma, end->zone[kind].name,
		        size_text(pages << TMM_PAGE_SHIFT, left),
		        size_text(managed << TMM_PAGE_SHIFT, all));
		comma = ", ";
	}
	fprintf(stream, "\n");
}

/* The zone with the most memory: where the program lived. */
static void print_buddyinfo(FILE *stream, const struct end_state *end)
{
	const struct tmm_zone_info *zone = &end->zone[0];
	char longest[SIZE_TEXT];

	for (unsigned z = 1; z < NR_END_ZONES; z++) {
		if (end->zone[z].managed_pages > zone->managed_pages)
			zone = &end->zone[z];
	}
	fprintf(stream, "  %-11s %s", "buddyinfo", zone->name);
	for (unsigned order = 0; order < zone->nr_orders; order++)
		fprintf(stream, " %llu", (unsigned long long)zone->free_area[order]);
	fprintf(stream, "  (free runs of 4 KiB to %s)\n",
	        size_text(TMM_PAGE_SIZE << (zone->nr_orders - 1), longest));
}

/* Is there a call among them that makes a process or a thread? */
static bool wants_tasks(const struct run_result *result)
{
	static const char *const makers[] = {"clone", "clone3", "fork", "vfork"};

	for (unsigned i = 0; i < result->nr_unknown; i++)
		for (unsigned m = 0; m < 4; m++)
			if (result->unknown[i].name &&
			    strcmp(result->unknown[i].name, makers[m]) == 0)
				return true;
	return false;
}

static void print_unknown(FILE *stream, const struct run_result *result)
{
	const char *comma = "";

	if (result->nr_unknown == 0)
		return;
	fprintf(stream, "  %-11s ", "unknown");
	for (unsigned i = 0; i < result->nr_unknown && i < 6; i++) {
		const struct run_unknown *call = &result->unknown[i];

		if (call->name)
			fprintf(stream, "%s%s", comma, call->name);
		else
			fprintf(stream, "%scall %u", comma, call->number);
		fprintf(stream, " x%llu", (unsigned long long)call->count);
		comma = ", ";
	}
	if (result->nr_unknown > 6)
		fprintf(stream, " and %u more", result->nr_unknown - 6);
	fprintf(stream, ": answered ENOSYS; %s\n",
	        wants_tasks(result) ? "one process, one thread is all: try --parallel=1, exec"
	                            : "most programs do without");
}

static bool is_plain(const char *word)
{
	return *word && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                             "0123456789_-+=./,:@%") == strlen(word);
}

/* The program as it can be typed again; "..." where that would be long. */
static void print_program(FILE *stream, char **argv)
{
	size_t length = 0;

	for (; *argv; argv++) {
		length += strlen(*argv) + 1;
		if (!is_plain(*argv) || length > 60) {
			fprintf(stream, " ...");
			return;
		}
		fprintf(stream, " %s", *argv);
	}
}

/* The command that answers the question which this summary leaves open. */
static void print_next(FILE *stream, const struct report *report)
{
	const struct run_options *options = report->options;
	const struct end_state *end = report->end;
	char ram[SIZE_TEXT];

	fprintf(stream, "  %-11s ", "next");
	if (!report->result->oom && options->proc_dir) {
		fprintf(stream, "less ");
		for (const char *c = options->proc_dir; *c; c++)
			fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, stream);
		fprintf(stream, "/%u/smaps\n", end->pid);
		return;
	}
	fprintf(stream, "tuxmm run");
	if (options->machine && is_plain(options->machine))
		fprintf(stream, " --machine %s", options->machine);
	if (!options->machine || options->has_ram || report->result->oom)
		fprintf(stream, " --ram %s",
		        exact_size(options->ram_bytes << report->result->oom, ram));
	fprintf(stream, "%s --", report->result->oom ? "" : " --proc proc");
	print_program(stream, options->program);
	fprintf(stream, "\n");
}

void print_summary(FILE *stream, const struct report *report)
{
	const char *const *paint = may_colour(stream) ? ansi : none;

	print_outcome(stream, report, paint);
	print_kinds(stream, report, paint);
	print_work(stream, report->result);
	print_free(stream, report->end);
	print_buddyinfo(stream, report->end);
	print_unknown(stream, report->result);
	print_next(stream, report);
}
