/*
 * rig.h - the machine of one run
 */
#ifndef TUXMM_FUZZ_RIG_H
#define TUXMM_FUZZ_RIG_H

#include <tuxmm/machine.h>

#define RIG_CPUS 2u

/* A machine of ram_bytes from address 0, booted anew; the caller is on CPU 0. */
struct tmm_machine *rig_begin(uint64_t ram_bytes);

/* Ends with the checker; everything must have been given back. */
void rig_end(struct tmm_machine *machine);

#endif
