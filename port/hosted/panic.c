/*
 * panic.c - stopping and logging, for the hosted and the strict port
 */
#include <stdio.h>
#include <stdlib.h>

#include <tuxmm/port.h>

#include "panic.h"

static void (*panic_handler)(const char *file, unsigned line, const char *what);
static void (*log_handler)(unsigned level, const char *line);

void tmm_port_on_panic(void (*handler)(const char *file, unsigned line, const char *what))
{
	panic_handler = handler;
}

_Noreturn void tmm_port_panic(const char *file, unsigned line, const char *what)
{
	if (panic_handler)
		panic_handler(file, line, what);
	fprintf(stderr, "tuxmm: %s:%u: broken rule: %s\n", file, line, what);
	abort();
}

void tmm_port_on_log(void (*handler)(unsigned level, const char *line))
{
	log_handler = handler;
}

void tmm_port_log(unsigned level, const char *line)
{
	if (log_handler) {
		log_handler(level, line);
		return;
	}
	fprintf(stderr, "tuxmm: <%u> %s\n", level, line);
}
