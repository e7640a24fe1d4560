/*
 * machine.c - tuxmm machine: list the presets, show a machine
 */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: tuxmm machine show SHAPE [--json]\n"
	"       tuxmm machine list\n"
	"\n"
	"Show a machine as Linux's boot log and zone files would: where memory is, how it\n"
	"is divided into nodes and zones, what is free.  The machine is really booted.\n"
	"SHAPE is the name of a preset or a machine file; tuxmm-machine(5) says what a\n"
	"machine file holds.\n"
	"\n"
	"  --json  the same as JSON\n"
	"  --help  this text\n"
	"\n"
	"Exit status: 0, or 125 when the shape is wrong or does not boot.\n"
	"\n"
	"Example: tuxmm machine show i386-highmem\n";

static int done(void)
{
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : RUN_STATUS_FAILED;
}

/* The first line of a preset is its description. */
static int list(void)
{
	for (size_t i = 0; i < nr_machine_presets; i++) {
		const char *text = machine_presets[i].text + strlen("# ");

		printf("%-14s %.*s\n", machine_presets[i].name, (int)strcspn(text, "\n"), text);
	}
	return done();
}

static int show(const char *name, bool json)
{
	struct machine_file *file = load_machine("machine", name, NULL);
	struct booted booted;
	bool ok = true;

	if (!file)
		return RUN_STATUS_FAILED;
	if (!boot("machine", name, file, &booted)) {
		free(file);
		return RUN_STATUS_FAILED;
	}
	if (json)
		ok = show_machine_json(stdout, file, booted.machine);
	else
		show_machine(stdout, file, booted.machine);
	tmm_check(booted.machine);
	shut_down(&booted);
	free(file);
	return ok ? done() : RUN_STATUS_FAILED;
}

int cmd_machine(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "", *name = NULL;
	bool json = false;

	if (strcmp(word, "--help") == 0) {
		fputs(help, stdout);
		return done();
	}
	if (strcmp(word, "list") == 0 && argc == 2)
		return list();
	if (strcmp(word, "show") != 0) {
		say("machine: %s: expected show or list; see 'tuxmm machine --help'",
		    *word ? argv[argc > 2 && strcmp(word, "list") == 0 ? 2 : 1] : "no word");
		return RUN_STATUS_FAILED;
	}
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (argv[i][0] == '-' || name) {
			say("machine show: %s: expected one SHAPE and --json; see 'tuxmm "
			    "machine "
			    "--help'",
			    argv[i]);
			return RUN_STATUS_FAILED;
		} else {
			name = argv[i];
		}
	}
	if (name)
		return show(name, json);
	say("machine show: no shape is named: expected a preset or a machine file");
	return RUN_STATUS_FAILED;
}
