/*
 * boot.c - a machine of the wished shape
 */
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KIB       UINT64_C(1024)
#define MAX_BYTES (UINT64_C(7) << 40) /* the core counts frames up to 8 TiB */
#define MAX_FILE  (UINT64_C(1) << 20)

static const struct preset *find_preset(const char *name)
{
	for (size_t i = 0; i < nr_machine_presets; i++)
		if (strcmp(machine_presets[i].name, name) == 0)
			return &machine_presets[i];
	return NULL;
}

static bool no_such_machine(const char *what, const char *name, const char *problem)
{
	char names[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < nr_machine_presets && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s, ",
		                         machine_presets[i].name);
	say("%s: %s: %s: expected %sor a machine file", what, name, problem, names);
	return false;
}

/* The file's bytes into memory the caller frees; NULL: has been said. */
static char *read_file(const char *what, const char *name, size_t *out_length)
{
	FILE *file = fopen(name, "re");
	char *text = NULL;

	if (!file) {
		no_such_machine(what, name, strerror(errno));
		return NULL;
	}
	text = malloc(MAX_FILE + 1);
	if (text)
		*out_length = fread(text, 1, MAX_FILE + 1, file);
	if (!text || ferror(file) || *out_length > MAX_FILE) {
		if (text && *out_length > MAX_FILE)
			say("%s: %s: expected a machine file of at most 1M", what, name);
		else
			no_such_machine(what, name, strerror(errno));
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

struct machine_file *load_machine(const char *what, const char *name, const uint64_t *ram_bytes)
{
	const struct preset *preset = name ? find_preset(name) : NULL;
	struct machine_file *file = malloc(sizeof(*file));
	char *text = NULL, size[SIZE_TEXT];
	size_t length = preset ? strlen(preset->text) : 0;
	bool ok;

	if (ram_bytes && *ram_bytes > MAX_BYTES) {
		say("%s: --ram: %s is more than a machine can have: at most 7168G", what,
		    size_text(*ram_bytes, size));
		free(file);
		return NULL;
	}
	if (name && !preset)
		text = read_file(what, name, &length);
	if (!file || (name && !preset && !text)) {
		free(file);
		return NULL;
	}
	ok = machine_read(preset ? preset->text : text ? text : "", length, ram_bytes, file);
	free(text);
	if (ok)
		return file;
	say("%s:%u: %s", name ? name : "a PC", file->fault_line, file->fault);
	free(file);
	return NULL;
}

static bool is_too_small(const char *what, const char *name, const struct machine_file *file)
{
	uint64_t least = (tmm_machine_least_bytes(&file->shape) + KIB - 1) / KIB * KIB;
	char has[SIZE_TEXT], works[SIZE_TEXT];

	if (name || file->ram_bytes >= least)
		return false;
	say("%s: --ram %s: too little to boot: the least that works is %s", what,
	    exact_size(file->ram_bytes, has), exact_size(least, works));
	return true;
}

static bool make_ram(const char *what, uint64_t bytes, struct tmm_hosted_ram *out)
{
	char text[SIZE_TEXT];
	tmm_err err;

	size_text(bytes, text);
	err = bytes > MAX_BYTES ? TMM_E_INVAL : tmm_hosted_ram_create(bytes, out);
	if (err == TMM_E_INVAL)
		say("%s: RAM: ends at %s: expected at most 7168G", what, text);
	else if (err == TMM_E_NOSYS)
		say("%s: RAM: this host has no memfd; see 'tuxmm doctor'", what);
	else if (err != TMM_OK)
		say("%s: RAM: this host cannot map %s; see 'tuxmm doctor'", what, text);
	return err == TMM_OK;
}

bool boot(const char *what, const char *name, const struct machine_file *file,
          struct booted *out)
{
	size_t bytes = (tmm_machine_bytes() + 63) & ~(size_t)63;
	const char *why = "";

	if (is_too_small(what, name, file) || !make_ram(what, file->arena_bytes, &out->ram))
		return false;
	out->shape = &file->shape;
	out->machine = aligned_alloc(64, bytes);
	if (!out->machine) {
		say("%s: the host has no memory for the machine's own state", what);
		tmm_hosted_ram_destroy(&out->ram);
		return false;
	}
	memset(out->machine, 0, bytes);
	if (tmm_machine_init(out->machine, out->shape, out->ram.start, &why) != TMM_OK) {
		say("%s: %s%sthe machine does not boot: %s", what, name ? name : "",
		    name ? ": " : "", why);
		free(out->machine);
		tmm_hosted_ram_destroy(&out->ram);
		return false;
	}
	return true;
}

void shut_down(struct booted *booted)
{
	tmm_machine_fini(booted->machine);
	free(booted->machine);
	tmm_hosted_ram_destroy(&booted->ram);
}
