/*
 * trace.h - what was on a DMA controller's wires, kept and shown
 */
#ifndef TUXMM_DEVICES_TRACE_H
#define TUXMM_DEVICES_TRACE_H

#include <stdio.h>

#include "dmac.h"

struct trace {
	struct dmac_event *event; /* [nr], from malloc() */
	size_t nr, room;
	bool is_cut; /* there was no memory for more */
};

/* An event function of struct dmac; arg: struct trace. */
void trace_event(void *trace, const struct dmac_event *event);
void trace_free(struct trace *trace);

/*
 * A line for each clock at which something happened, in order.  Bytes that are moved in the
 * same way one after the other are shown `most` times, and counted from then on.
 */
void trace_print(const struct trace *trace, FILE *out, unsigned most);

/* The same as a picture: a row for each line, a column for each clock, `columns` of them. */
void trace_diagram(const struct trace *trace, FILE *out, unsigned columns);

/* An array of JSON objects. */
void trace_json(const struct trace *trace, FILE *out);

#endif
