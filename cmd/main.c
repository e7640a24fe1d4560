/*
 * main.c - the tuxmm command: find the subcommand
 */
#include "cmd.h"

#include <string.h>

static const char help[] = "Usage: tuxmm COMMAND [ARGS]\n"
			   "\n"
			   "Linux's memory system as a machine on which real programs run.\n"
			   "\n"
			   "  run        run a program and say where its memory went\n"
			   "  machine    show the machines that programs can run on\n"
			   "  translate  show what the processor does with one address\n"
			   "  doctor     say what this host allows, and what is used instead\n"
			   "\n"
			   "  --help     this text; 'tuxmm COMMAND --help' says more\n"
			   "  --version  the version\n"
			   "\n"
			   "Example: tuxmm run --ram 128M -- sort big.txt >sorted.txt\n";

static int print_text(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) == 0 ? 0 : RUN_STATUS_FAILED;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		say("no command: expected run, machine, translate or doctor; see 'tuxmm "
		    "--help'");
		return RUN_STATUS_FAILED;
	}
	if (strcmp(word, "run") == 0)
		return cmd_run(argc - 1, argv + 1);
	if (strcmp(word, "machine") == 0)
		return cmd_machine(argc - 1, argv + 1);
	if (strcmp(word, "translate") == 0)
		return cmd_translate(argc - 1, argv + 1);
	if (strcmp(word, "doctor") == 0)
		return cmd_doctor(argc - 1, argv + 1);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return print_text(help);
	if (strcmp(word, "--version") == 0)
		return print_text("tuxmm " TUXMM_VERSION "\n");
	say("%s: no such command: expected run, machine, translate or doctor; see 'tuxmm "
	    "--help'",
	    word);
	return RUN_STATUS_FAILED;
}
