/*
 * boot.c - a PC of the wished size
 */
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#define KIB       UINT64_C(1024)
#define MAX_BYTES (UINT64_C(7) << 40) /* the core counts frames up to 8 TiB */

/* Returns where RAM ends. */
static uint64_t make_pc(uint64_t ram_bytes, struct booted *out)
{
	uint64_t end = 0;

	out->shape = (struct tmm_shape){
		.firmware_map = out->map,
		.nr_ranges = tmm_firmware_pc(ram_bytes, out->map),
		.nr_cpus = 1,
		.overcommit_ratio = 50,
	};
	for (size_t i = 0; i < out->shape.nr_ranges; i++) {
		const struct tmm_firmware_range *range = &out->map[i];

		if (range->type == TMM_FW_USABLE && range->start.v + range->size_bytes > end)
			end = range->start.v + range->size_bytes;
	}
	return end;
}

static bool is_too_small(const struct tmm_shape *shape, uint64_t ram_bytes)
{
	uint64_t least = (tmm_machine_least_bytes(shape) + KIB - 1) / KIB * KIB;
	char wished[SIZE_TEXT], works[SIZE_TEXT];

	if (ram_bytes >= least)
		return false;
	say("run: --ram %s: too little to boot: the least that works is %s",
	    exact_size(ram_bytes, wished), exact_size(least, works));
	return true;
}

static bool make_ram(uint64_t bytes, struct tmm_hosted_ram *out)
{
	char text[SIZE_TEXT];
	tmm_err err;

	size_text(bytes, text);
	err = bytes > MAX_BYTES ? TMM_E_INVAL : tmm_hosted_ram_create(bytes, out);
	if (err == TMM_E_INVAL)
		say("run: --ram: %s is more than a machine can have: at most 7168G", text);
	else if (err == TMM_E_NOSYS)
		say("run: RAM: this host has no memfd; see 'tuxmm doctor'");
	else if (err != TMM_OK)
		say("run: --ram: this host cannot map %s; see 'tuxmm doctor'", text);
	return err == TMM_OK;
}

bool boot(const struct run_options *options, struct booted *out)
{
	size_t bytes = (tmm_machine_bytes() + 63) & ~(size_t)63;
	const char *why = "";
	uint64_t end = make_pc(options->ram_bytes, out);

	if (is_too_small(&out->shape, options->ram_bytes) || !make_ram(end, &out->ram))
		return false;
	out->machine = aligned_alloc(64, bytes);
	if (!out->machine) {
		say("run: the host has no memory for the machine's own state");
		tmm_hosted_ram_destroy(&out->ram);
		return false;
	}
	memset(out->machine, 0, bytes);
	if (tmm_machine_init(out->machine, &out->shape, out->ram.start, &why) != TMM_OK) {
		say("run: the machine does not boot: %s", why);
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
