/*
 * cmd.h - the parts of the tuxmm command
 *
 * Each subcommand is a function of its arguments that returns the exit status.
 * What goes wrong is said in one line on standard error.
 */
#ifndef TUXMM_CMD_CMD_H
#define TUXMM_CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tuxmm/hosted.h>

#include "machine.h"
#include "run.h"

int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_machine(int argc, char **argv);
int cmd_translate(int argc, char **argv);

/*
 * One line on standard error, "tuxmm: " before it.  Control characters, which a
 * file's name may hold, are shown as '?', so that nobody's terminal is driven.
 */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* getopt_long()'s values of long options start here, above every letter. */
#define FIRST_LONG_OPTION 256

/* What getopt_long() answered with `problem`, '?' or ':', of `tuxmm COMMAND`. */
void say_bad_option(const char *command, int problem, char **argv);

/* May text on this stream be coloured: a terminal, and NO_COLOR not set? */
bool may_colour(FILE *stream);

/*
 * "64M", "1G", "128MiB", "4096": a whole number of bytes, or of the binary unit
 * K, M, G, T.  False for anything else and for what 64 bits cannot hold.
 */
bool read_size(const char *text, uint64_t *out_bytes);

/* Decimal, or hexadecimal after 0x. */
bool read_number(const char *text, uint64_t *out);

#define SIZE_TEXT 24

/* "88.1 MiB" into text; returns it. */
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

/* The shortest text that read_size() reads as these bytes: "128M". */
const char *exact_size(uint64_t bytes, char text[SIZE_TEXT]);

struct run_options {
	uint64_t ram_bytes;  /* the machine's, once it is read */
	bool has_ram;        /* --ram said it */
	const char *machine; /* a preset or a machine file; NULL: a PC */
	uint64_t seed;
	uint64_t timeout_ms;
	bool randomize, quiet, help;
	const char *proc_dir, *json_file; /* NULL: not wanted */
	const char *slab_debug;           /* NULL: as the machine says */
	char **program;                   /* its argv; ends with NULL */
};

/* 0, or the exit status: what was wrong has been said. */
int read_run_options(int argc, char **argv, struct run_options *out);

/*
 * The machine of a preset or a machine file, for the caller to free(); name NULL:
 * a PC.  ram_bytes, unless NULL, is its RAM instead.  `what` begins what is said.
 * NULL: what was wrong has been said.
 */
struct machine_file *load_machine(const char *what, const char *name,
                                  const uint64_t *ram_bytes);

/* A booted machine and the RAM below it. */
struct booted {
	const struct tmm_shape *shape; /* of the file */
	struct tmm_hosted_ram ram;
	struct tmm_machine *machine;
};

/* The file stays until it is shut down.  False: what was wrong has been said. */
bool boot(const char *what, const char *name, const struct machine_file *file,
          struct booted *out);
void shut_down(struct booted *booted);

/* A booted machine in words and numbers, and for programs to read; false: has been said. */
void show_machine(FILE *out, const struct machine_file *file, struct tmm_machine *machine);
bool show_machine_json(FILE *out, const struct machine_file *file, struct tmm_machine *machine);

#define NR_END_ZONES (TMM_MAX_NODES * TMM_NR_ZONES)

/* The machine at the moment the program had ended. */
struct end_state {
	bool reached;
	uint32_t pid;
	bool populated[NR_END_ZONES];
	struct tmm_zone_info zone[NR_END_ZONES]; /* node by node */
	uint64_t slab_pages, slab_peak_pages, cache_pages;
};

struct report {
	const struct run_options *options;
	const struct run_result *result;
	const struct end_state *end;
	const char *backend;
};

/* At most twelve lines. */
void print_summary(FILE *stream, const struct report *report);

/* False: the file could not be written, which has been said. */
bool write_json(FILE *file, const char *name, const struct report *report);

/* Make the directory now, so that it fails before the program runs, if it must. */
bool proc_prepare(const char *directory);
bool proc_write(const char *directory, struct tmm_machine *machine, struct tmm_mm *mm,
                const struct tmm_task_id *id, const struct tmm_shape *shape);

#endif
