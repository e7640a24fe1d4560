/*
 * say.c - one line on standard error, and the one for an option that cannot be
 */
#include "cmd.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

void say(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *c = line; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	fprintf(stderr, "tuxmm: %s\n", line);
}

void say_bad_option(const char *command, int problem, char **argv)
{
	const char *word = argv[optind - 1];
	char letter[] = {'-', (char)optopt, '\0'};
	const char *wrong = "no such option";

	if (problem == ':')
		wrong = "expected a value after it";
	else if (optopt >= FIRST_LONG_OPTION)
		wrong = "expected no value";
	else if (optopt)
		word = letter;
	say("%s: %s: %s; see 'tuxmm %s --help'", command, word, wrong, command);
}

bool may_colour(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(stream)) && (!no_color || !*no_color);
}
