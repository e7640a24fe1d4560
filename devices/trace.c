/*
 * trace.c - what was on a DMA controller's wires, kept and shown
 *
 * A service is what happens from HRQ to the next HRQ.  Services that look the same but
 * for addresses and bytes are shown a few times, and then counted.
 */
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void trace_event(void *arg, const struct dmac_event *event)
{
	struct trace *trace = arg;

	if (trace->nr == trace->room) {
		size_t room = trace->room ? 2 * trace->room : 256;
		struct dmac_event *more = realloc(trace->event, room * sizeof(*more));

		trace->is_cut |= !more;
		if (!more)
			return;
		trace->event = more;
		trace->room = room;
	}
	trace->event[trace->nr++] = *event;
}

void trace_free(struct trace *trace)
{
	free(trace->event);
	memset(trace, 0, sizeof(*trace));
}

static bool has_channel(enum dmac_line line)
{
	return line == DMAC_DREQ || line == DMAC_DACK;
}

static bool has_level(enum dmac_line line)
{
	return line <= DMAC_DACK;
}

static bool has_byte(enum dmac_line line)
{
	return line >= DMAC_MEMR && line <= DMAC_MEMW;
}

static bool has_address(enum dmac_line line)
{
	return line == DMAC_MEMR || line == DMAC_MEMW || line == DMAC_FAULT;
}

/* ---- in words ---- */

static void print_event(FILE *out, const struct dmac_event *event)
{
	fprintf(out, " %s", dmac_line_name(event->line));
	if (has_channel(event->line))
		fprintf(out, "%u", event->channel);
	if (has_level(event->line))
		fprintf(out, "%c", event->level ? '+' : '-');
	if (has_address(event->line))
		fprintf(out, " %06" PRIx32, event->address);
	if (has_byte(event->line))
		fprintf(out,
		        event->line == DMAC_IOR || event->line == DMAC_IOW ? " %02x" : "=%02x",
		        event->byte);
}

/* The end of the group of events that begins at `at`: the last of its clock. */
static size_t group_end(const struct trace *trace, size_t at)
{
	size_t end = at + 1;

	while (end < trace->nr && trace->event[end].clock == trace->event[at].clock)
		end++;
	return end;
}

static void print_group(const struct trace *trace, FILE *out, size_t at, size_t end)
{
	fprintf(out, "%6" PRIu64, trace->event[at].clock);
	for (; at < end; at++)
		print_event(out, &trace->event[at]);
	fprintf(out, "\n");
}

/* Where what repeats ends: the byte's last command. */
static size_t byte_end(const struct trace *trace, size_t at)
{
	while (at < trace->nr && trace->event[at].line != DMAC_IOW &&
	       trace->event[at].line != DMAC_MEMW)
		at++;
	return at < trace->nr ? at + 1 : trace->nr;
}

static bool looks_same(const struct trace *trace, size_t a, size_t b, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct dmac_event *x = &trace->event[a + i], *y = &trace->event[b + i];

		if (b + i >= trace->nr || x->line != y->line || x->channel != y->channel ||
		    x->level != y->level)
			return false;
	}
	return true;
}

void trace_print(const struct trace *trace, FILE *out, unsigned most)
{
	size_t before = 0, before_nr = 0, at = 0;
	unsigned same = 0;

	while (at < trace->nr) {
		size_t end = byte_end(trace, at), nr = end - at;

		same = nr == before_nr && looks_same(trace, before, at, nr) ? same + 1 : 0;
		before = at;
		before_nr = nr;
		if (same >= most) {
			size_t hidden = 0;

			while (looks_same(trace, before, at, nr) && at + nr <= trace->nr) {
				at += nr;
				hidden++;
			}
			fprintf(out, "       .. and %zu bytes more like that\n", hidden);
			same = 0;
			before_nr = 0;
			continue;
		}
		while (at < end) {
			size_t group = group_end(trace, at);

			group = group < end ? group : end;
			print_group(trace, out, at, group);
			at = group;
		}
	}
	if (trace->is_cut)
		fprintf(out, "       .. the rest was not kept\n");
}

/* ---- as a picture ---- */

struct row {
	enum dmac_line line;
	unsigned channel;
};

static bool is_of(const struct row *row, const struct dmac_event *event)
{
	return row->line == event->line &&
	       (!has_channel(row->line) || row->channel == event->channel);
}

static void print_row(const struct trace *trace, FILE *out, const struct row *row,
                      unsigned columns)
{
	const uint64_t start = trace->event[0].clock;
	bool level = false, seen = false;
	size_t at = 0;

	for (size_t i = 0; i < trace->nr; i++)
		seen |= is_of(row, &trace->event[i]) && trace->event[i].clock - start < columns;
	if (!seen)
		return;
	if (has_channel(row->line))
		fprintf(out, "  %s%u ", dmac_line_name(row->line), row->channel);
	else
		fprintf(out, "  %-5s ", dmac_line_name(row->line));
	for (uint64_t clock = start; clock < start + columns; clock++) {
		char mark = level ? '-' : '_';

		for (; at < trace->nr && trace->event[at].clock <= clock; at++) {
			if (!is_of(row, &trace->event[at]))
				continue;
			if (!has_level(row->line)) {
				mark = '#';
				continue;
			}
			mark = trace->event[at].level ? '/' : '\\';
			level = trace->event[at].level;
		}
		fputc(mark, out);
	}
	fputc('\n', out);
}

void trace_diagram(const struct trace *trace, FILE *out, unsigned columns)
{
	if (!trace->nr)
		return;
	fprintf(out, "  clock ");
	for (unsigned c = 0; c < columns; c += 10)
		fprintf(out, "%-10" PRIu64, trace->event[0].clock + c);
	fprintf(out, "\n");
	for (unsigned line = 0; line < DMAC_NR_LINES; line++)
		for (unsigned c = 0;
		     c < (has_channel((enum dmac_line)line) ? DMAC_CHANNELS : 1); c++)
			print_row(trace, out, &(const struct row){(enum dmac_line)line, c},
			          columns);
}

/* ---- for programs ---- */

void trace_json(const struct trace *trace, FILE *out)
{
	fprintf(out, "[");
	for (size_t i = 0; i < trace->nr; i++) {
		const struct dmac_event *event = &trace->event[i];

		fprintf(out, "%s\n    {\"clock\": %" PRIu64 ", \"line\": \"%s\"", i ? "," : "",
		        event->clock, dmac_line_name(event->line));
		if (has_channel(event->line))
			fprintf(out, ", \"channel\": %u", event->channel);
		if (has_level(event->line))
			fprintf(out, ", \"level\": %s", event->level ? "true" : "false");
		if (has_address(event->line))
			fprintf(out, ", \"address\": %" PRIu32, event->address);
		if (has_byte(event->line))
			fprintf(out, ", \"byte\": %u", event->byte);
		fprintf(out, "}");
	}
	fprintf(out, "]");
}
