/*
 * options.c - the arguments of tuxmm run
 *
 * getopt_long() splits them but says nothing itself: its messages have no place
 * for what was expected.
 */
#include "cmd.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>

#include <tuxmm/slab_debug.h>

enum option_id {
	RAM = FIRST_LONG_OPTION,
	MACHINE,
	SEED,
	RANDOMIZE,
	TIMEOUT,
	PROC,
	JSON,
	SLAB_DEBUG,
	QUIET,
	HELP
};

static const struct option table[] = {
	{"ram", required_argument, NULL, RAM},
	{"machine", required_argument, NULL, MACHINE},
	{"seed", required_argument, NULL, SEED},
	{"randomize", no_argument, NULL, RANDOMIZE},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"proc", required_argument, NULL, PROC},
	{"json", required_argument, NULL, JSON},
	{"slab-debug", required_argument, NULL, SLAB_DEBUG},
	{"quiet", no_argument, NULL, QUIET},
	{"help", no_argument, NULL, HELP},
	{NULL, 0, NULL, 0},
};

static bool read_timeout(const char *text, uint64_t *out_ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
		return false;
	*out_ms = seconds < 0.001 ? 1 : (uint64_t)(seconds * 1000);
	return true;
}

/* False: the value is not what the option expects, which has been said. */
static bool take(int option, const char *value, struct run_options *out)
{
	switch (option) {
	case RAM:
		out->has_ram = read_size(value, &out->ram_bytes);
		if (out->has_ram)
			return true;
		say("run: --ram %s: expected a size such as 64M, 128MiB, 1G or a number of "
		    "bytes",
		    value);
		return false;
	case MACHINE:
		out->machine = value;
		return true;
	case SEED:
		if (read_number(value, &out->seed))
			return true;
		say("run: --seed %s: expected a number of up to 64 bits", value);
		return false;
	case TIMEOUT:
		if (read_timeout(value, &out->timeout_ms))
			return true;
		say("run: --timeout %s: expected seconds above 0, such as 10 or 0.5", value);
		return false;
	case RANDOMIZE:
		out->randomize = true;
		return true;
	case PROC:
		out->proc_dir = value;
		return true;
	case JSON:
		out->json_file = value;
		return true;
	case SLAB_DEBUG:
		out->slab_debug = value;
		if (!tmm_slab_debug_fault(value))
			return true;
		say("run: --slab-debug %s: %s: expected letters of FZPUTAO and names of "
		    "caches, such as FZPU or FZ,kmalloc-*;P,mm_struct",
		    value, tmm_slab_debug_fault(value));
		return false;
	case HELP:
		out->help = true;
		return true;
	default:
		out->quiet = true;
		return true;
	}
}

int read_run_options(int argc, char **argv, struct run_options *out)
{
	int option;

	*out = (struct run_options){0};
	opterr = 0;
	optind = 1;
	/* '+': what follows PROGRAM is the program's;  ':': missing values are told apart */
	while ((option = getopt_long(argc, argv, "+:q", table, NULL)) != -1) {
		if (option == '?' || option == ':') {
			say_bad_option("run", option, argv);
			return RUN_STATUS_FAILED;
		}
		if (!take(option, optarg, out))
			return RUN_STATUS_FAILED;
	}
	out->program = argv + optind;
	if (!out->help && optind == argc) {
		say("run: no program is named: expected tuxmm run [OPTIONS] -- PROGRAM [ARGS]");
		return RUN_STATUS_FAILED;
	}
	return 0;
}
