/*
 * json.c - the summary for programs to read: format tuxmm-run/1
 *
 * Keys may be added to a format, never renamed or given another meaning; that
 * needs the next number.  Names that end in _seconds are wall time; all others
 * are equal between equal runs.
 */
#include "cmd.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

/* Bytes that are not UTF-8, which a file's name may hold, become U+FFFD. */
static json_t *text(const char *bytes)
{
	json_t *string = json_string(bytes);
	char clean[3 * 1024 + 1];
	size_t used = 0;

	if (string)
		return string;
	for (const char *c = bytes; *c && used + 3 < sizeof(clean); c++) {
		if ((unsigned char)*c < 0x80) {
			clean[used++] = *c;
		} else {
			memcpy(clean + used, "\xef\xbf\xbd", 3);
			used += 3;
		}
	}
	clean[used] = '\0';
	return json_string(clean);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *bytes_of(uint64_t pages)
{
	return number(pages << TMM_PAGE_SHIFT);
}

static json_t *arguments(char **argv)
{
	json_t *array = json_array();

	for (; *argv; argv++)
		json_array_append_new(array, text(*argv));
	return array;
}

static json_t *peak(const struct report *report)
{
	const struct tmm_mm_usage *usage = &report->result->usage;
	const uint64_t *kind = usage->kind_peak_pages;

	return json_pack(
		"{so so so so so so so so}", "resident_bytes", bytes_of(usage->peak_rss_pages),
		"mapped_bytes", bytes_of(usage->peak_total_pages), "text_bytes",
		bytes_of(kind[TMM_AREA_TEXT]), "heap_bytes", bytes_of(kind[TMM_AREA_HEAP]),
		"mmap_bytes", bytes_of(kind[TMM_AREA_MMAP]), "stack_bytes",
		bytes_of(kind[TMM_AREA_STACK]), "table_bytes",
		bytes_of(usage->peak_table_pages), "slab_bytes",
		bytes_of(report->end->slab_peak_pages));
}

static json_t *zones(const struct end_state *end)
{
	json_t *array = json_array();

	for (unsigned z = 0; z < NR_END_ZONES; z++) {
		const struct tmm_zone_info *zone = &end->zone[z];
		json_t *area = json_array();

		for (unsigned order = 0; order < zone->nr_orders; order++)
			json_array_append_new(area, number(zone->free_area[order]));
		if (end->populated[z])
			json_array_append_new(
				array,
				json_pack("{so so so so so so}", "name", text(zone->name),
			                  "node", number(zone->node), "managed_bytes",
			                  bytes_of(zone->managed_pages), "free_bytes",
			                  bytes_of(zone->free_pages), "stack_bytes",
			                  bytes_of(zone->stack_pages), "free_area", area));
		else
			json_decref(area);
	}
	return array;
}

static json_t *end_state(const struct report *report)
{
	const struct tmm_mm_usage *usage = &report->result->usage;
	const struct end_state *end = report->end;

	return json_pack("{so so so so so so so so}", "resident_file_bytes",
	                 bytes_of(usage->rss_pages[TMM_RSS_FILE]), "resident_anon_bytes",
	                 bytes_of(usage->rss_pages[TMM_RSS_ANON]), "resident_shmem_bytes",
	                 bytes_of(usage->rss_pages[TMM_RSS_SHMEM]), "table_bytes",
	                 bytes_of(usage->table_pages), "areas", number(usage->nr_areas),
	                 "slab_bytes", bytes_of(end->slab_pages), "cache_bytes",
	                 bytes_of(end->cache_pages), "zones", zones(end));
}

static json_t *unknown_calls(const struct run_result *result)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < result->nr_unknown; i++) {
		const struct run_unknown *call = &result->unknown[i];

		json_array_append_new(array,
		                      json_pack("{so so so}", "number", number(call->number),
		                                "name", text(call->name ? call->name : "?"),
		                                "count", number(call->count)));
	}
	return array;
}

static json_t *traps(const struct cpu_stats *cpu)
{
	return json_pack("{so so so so so so so so}", "runs", number(cpu->runs), "syscalls",
	                 number(cpu->syscalls), "faults", number(cpu->faults), "refills",
	                 number(cpu->refills), "shown_pages", number(cpu->shown), "shows",
	                 number(cpu->shows), "flushes", number(cpu->flushes), "overflows",
	                 number(cpu->overflows));
}

static json_t *machine(const struct report *report)
{
	return json_pack("{so so so sb so}", "ram_bytes", number(report->options->ram_bytes),
	                 "cpus", number(1), "seed", number(report->options->seed), "randomize",
	                 report->options->randomize, "backend", text(report->backend));
}

bool write_json(FILE *file, const char *name, const struct report *report)
{
	const struct run_result *result = report->result;
	const struct tmm_mm_usage *usage = &result->usage;
	json_t *root = json_pack(
		"{ss ss so so so si si sb sb so sf so so so so so so}", "format", "tuxmm-run/1",
		"tuxmm", TUXMM_VERSION, "program", text(report->options->program[0]),
		"arguments", arguments(report->options->program + 1), "machine",
		machine(report), "status", result->status, "signal", result->signal, "oom",
		result->oom, "timed_out", result->timed_out, "why", text(result->why),
		"wall_seconds", result->wall_seconds, "faults",
		json_pack("{so so}", "minor", number(usage->minor_faults), "major",
	                  number(usage->major_faults)),
		"system_calls", number(result->syscalls), "unknown_calls",
		unknown_calls(result), "peak", peak(report), "end", end_state(report), "traps",
		traps(&result->cpu));
	bool ok = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 && fputc('\n', file) >= 0;

	json_decref(root);
	ok = fclose(file) == 0 && ok;
	if (!ok)
		say("--json: %s: cannot be written: %s", name, strerror(errno));
	return ok;
}
