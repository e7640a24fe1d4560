/*
 * run.c - tuxmm run: boot a machine, run a program on it, say what it needed
 */
#define _GNU_SOURCE
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject.h"

static const char help[] =
	"Usage: tuxmm run [OPTIONS] [--] PROGRAM [ARGS]\n"
	"\n"
	"Run a real program on a machine whose memory is managed by tuxmm: every page\n"
	"it touches, every byte of page table comes from there.  Its input, output,\n"
	"files, directory and environment are yours.  Afterwards a summary of at most\n"
	"twelve lines goes to standard error.\n"
	"\n"
	"  --ram SIZE         RAM of the machine, such as 64M, 128MiB or 1G (default 1G;\n"
	"                     only what is touched costs the host memory)\n"
	"  --machine SHAPE    a preset of 'tuxmm machine list' or a machine file, see\n"
	"                     tuxmm-machine(5); --ram replaces its memory\n"
	"  --seed N           seed of the random bytes the program gets (default 0)\n"
	"  --randomize        place stack, heap and mappings by the seed\n"
	"  --timeout SECONDS  end the program after that time: status 124\n"
	"  --proc DIR         leave the machine's /proc files in DIR as they were at the\n"
	"                     end: meminfo buddyinfo pagetypeinfo zoneinfo slabinfo\n"
	"                     vmstat vmallocinfo iomem ioports, of each node\n"
	"                     sys/devices/system/node, sys/kernel/slab and, of the\n"
	"                     program, PID/maps PID/smaps PID/status\n"
	"  --slab-debug OPTS  let caches of objects look for mistakes of tuxmm's own:\n"
	"                     FZPU, or FZ,kmalloc-*;P,mm_struct as Linux's slab_debug=\n"
	"  --json FILE        write the summary as JSON\n"
	"  -q, --quiet        no summary\n"
	"      --help         this text\n"
	"\n"
	"Exit status: the program's; 128 + N when signal N ended it; 124 time limit,\n"
	"125 tuxmm failed, 126 PROGRAM cannot be run, 127 PROGRAM not found.\n"
	"\n"
	"Example: tuxmm run --ram 128M --proc proc -- sort big.txt >sorted.txt\n";

#define DEFAULT_RAM (UINT64_C(1) << 30)

/* The checker reads each page descriptor: a millisecond for that much. */
#define ALWAYS_CHECKED_BYTES (UINT64_C(256) << 20)

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value;
}

/* What at_end() needs and leaves. */
struct ending {
	const struct run_options *options;
	struct tmm_machine *machine;
	const struct tmm_shape *shape;
	struct end_state state;
	bool proc_failed;
};

static void at_end(void *arg, struct tmm_mm *mm, const struct tmm_task_id *id)
{
	struct ending *ending = arg;
	struct end_state *state = &ending->state;
	struct tmm_pages *pages = tmm_machine_pages(ending->machine);
	struct tmm_slab_system *slabs = tmm_machine_slabs(ending->machine);

	for (unsigned z = 0; z < tmm_pages_nr_nodes(pages) * TMM_NR_ZONES; z++)
		state->populated[z] = tmm_zone_info(pages, z / TMM_NR_ZONES,
		                                    (enum tmm_zone_id)(z % TMM_NR_ZONES),
		                                    &state->zone[z]);
	state->slab_pages = tmm_slab_pages(slabs, true) + tmm_slab_pages(slabs, false);
	state->slab_peak_pages = tmm_slab_peak_pages(slabs);
	state->cache_pages = tmm_cache_pages(tmm_machine_cache(ending->machine));
	state->pid = id->pid;
	state->reached = true;
	if (is_set("TUXMM_CHECK"))
		tmm_check(ending->machine);
	if (ending->options->proc_dir)
		ending->proc_failed = !proc_write(ending->options->proc_dir, ending->machine,
		                                  mm, id, ending->shape);
}

/* "3": the third failure point; "3+": and all later ones. */
static bool read_injection(bool *out_wanted)
{
	const char *text = getenv("TUXMM_FAIL");
	char digits[24];
	size_t length;
	bool later;
	uint64_t n;

	*out_wanted = false;
	if (!is_set("TUXMM_FAIL"))
		return true;
	length = strlen(text);
	later = text[length - 1] == '+';
	length -= later;
	if (length < sizeof(digits)) {
		memcpy(digits, text, length);
		digits[length] = '\0';
		if (read_number(digits, &n) && n > 0) {
			tmm_inject_nth(n, later);
			*out_wanted = true;
			return true;
		}
	}
	say("TUXMM_FAIL=%s: expected a number above 0, or one followed by '+'", text);
	return false;
}

static void end_injection(bool quiet)
{
	bool failed = tmm_inject_stop();

	if (!quiet)
		say("%llu failure points were passed%s", (unsigned long long)tmm_inject_count(),
		    failed ? ", some made to fail" : ", none made to fail");
}

/* Both outputs are made sure of before the program runs. */
static bool open_outputs(const struct run_options *options, FILE **out_json)
{
	*out_json = NULL;
	if (options->proc_dir && !proc_prepare(options->proc_dir))
		return false;
	if (!options->json_file)
		return true;
	*out_json = fopen(options->json_file, "we");
	if (!*out_json)
		say("--json: %s: cannot be written: %s", options->json_file, strerror(errno));
	return *out_json != NULL;
}

/* What is to be said and written once the program has ended, or could not begin. */
static int report_all(const struct report *report, const struct ending *ending, FILE *json)
{
	const struct run_result *result = report->result;
	int status = result->status;

	if (result->why[0])
		say("%s", result->why);
	if (ending->state.reached && !report->options->quiet)
		print_summary(stderr, report);
	if (json && !write_json(json, report->options->json_file, report))
		status = RUN_STATUS_FAILED;
	return ending->proc_failed ? RUN_STATUS_FAILED : status;
}

static int run_on(const struct run_options *options, struct booted *booted, FILE *json)
{
	struct ending ending = {
		.options = options, .machine = booted->machine, .shape = booted->shape};
	struct run_result result = {.status = RUN_STATUS_FAILED};
	const struct run_config config = {
		.machine = booted->machine,
		.shape = booted->shape,
		.cpu = &cpu_host_ops,
		.arena_fd = booted->ram.fd,
		.arena_bytes = booted->ram.bytes,
		.ram = booted->ram.start,
		.argv = options->program,
		.envp = environ,
		.seed = options->seed,
		.randomize = options->randomize,
		.timeout_ms = options->timeout_ms,
		.at_end = at_end,
		.at_end_arg = &ending,
	};
	const struct report report = {
		.options = options,
		.result = &result,
		.end = &ending.state,
		.backend = cpu_host_ops.name,
	};

	run_program(&config, &result);
	if (options->ram_bytes <= ALWAYS_CHECKED_BYTES || is_set("TUXMM_CHECK"))
		tmm_check(booted->machine);
	return report_all(&report, &ending, json);
}

int cmd_run(int argc, char **argv)
{
	int status = RUN_STATUS_FAILED;
	struct machine_file *machine;
	struct run_options options;
	struct booted booted;
	bool injecting;
	FILE *json;

	if (read_run_options(argc, argv, &options) != 0)
		return RUN_STATUS_FAILED;
	if (options.help) {
		fputs(help, stdout);
		return fflush(stdout) == 0 ? 0 : RUN_STATUS_FAILED;
	}
	if (!options.has_ram)
		options.ram_bytes = DEFAULT_RAM;
	machine = load_machine("run", options.machine,
	                       options.has_ram || !options.machine ? &options.ram_bytes : NULL);
	if (!machine)
		return RUN_STATUS_FAILED;
	options.ram_bytes = machine->ram_bytes;
	if (options.slab_debug)
		machine->shape.slab_debug = options.slab_debug;
	machine->shape.slab_seed = options.seed;
	if (machine->shape.geometry != TMM_GEOMETRY_X86_64) {
		say("run: %s: its page tables are of another processor: expected page-tables = "
		    "x86-64 to run programs",
		    options.machine);
		free(machine);
		return RUN_STATUS_FAILED;
	}
	if (!open_outputs(&options, &json) || !read_injection(&injecting)) {
		free(machine);
		return RUN_STATUS_FAILED;
	}
	if (boot("run", options.machine, machine, &booted)) {
		status = run_on(&options, &booted, json);
		shut_down(&booted);
	} else if (json) {
		fclose(json);
	}
	free(machine);
	if (injecting)
		end_injection(options.quiet);
	return status;
}
