/*
 * cpu_host_fpu.c - extended registers, in the signal frame of a stopped program
 *
 * The kernel saves them there as XSAVE does, standard format:
 *
 *   0     legacy area: x87, SSE; bytes 464..511 say how long the image is
 *   512   header: which parts are not in their initial state
 *   576   the other parts, each where CPUID leaf 0xd says
 *
 * and loads them from there when the program goes on.
 */
#define _GNU_SOURCE
#include "cpu_host_impl.h"

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#define LEGACY_BYTES 512u
#define HEADER_BYTES 64u
#define AT_FCW       0u
#define AT_MXCSR     24u
#define AT_MASK      28u
#define AT_SOFTWARE  464u /* struct _fpx_sw_bytes; zero outside of signal frames */

static unsigned char *image(const struct cpu *cpu)
{
	return (unsigned char *)cpu->room + cpu->fpu;
}

static struct _fpx_sw_bytes software(const struct cpu *cpu)
{
	struct _fpx_sw_bytes bytes;

	memcpy(&bytes, image(cpu) + AT_SOFTWARE, sizeof bytes);
	return bytes;
}

/* Find the image that belongs to the frame.  False: there is no sound one. */
bool host_fpu_find(struct cpu *cpu)
{
	const ucontext_t *context = (const void *)((const unsigned char *)cpu->room +
	                                           cpu->frame);
	uint64_t at = (uint64_t)(uintptr_t)context->uc_mcontext.fpregs - cpu->base;
	struct _fpx_sw_bytes bytes;

	if (at % 64 || at < ROOM_STACK || at > ROOM_BYTES - LEGACY_BYTES - HEADER_BYTES)
		return false;
	cpu->fpu = at;
	bytes = software(cpu);
	if (bytes.magic1 != FP_XSTATE_MAGIC1 ||
	    bytes.xstate_size > ROOM_BYTES - at - FP_XSTATE_MAGIC2_SIZE ||
	    bytes.xstate_size < LEGACY_BYTES + HEADER_BYTES)
		return false;
	cpu->fpu_bytes = bytes.xstate_size;
	return true;
}

/* As a new process finds them; remembers which MXCSR bits exist. */
void host_fpu_reset(struct cpu *cpu)
{
	struct _fpx_sw_bytes bytes = software(cpu);
	const uint32_t mxcsr = 0x1f80;
	const uint16_t fcw = 0x37f;

	memcpy(&cpu->mxcsr_mask, image(cpu) + AT_MASK, sizeof cpu->mxcsr_mask);
	if (!cpu->mxcsr_mask)
		cpu->mxcsr_mask = 0xffbf; /* what zero means */
	memset(image(cpu), 0, cpu->fpu_bytes);
	memcpy(image(cpu) + AT_FCW, &fcw, sizeof fcw);
	memcpy(image(cpu) + AT_MXCSR, &mxcsr, sizeof mxcsr);
	memcpy(image(cpu) + AT_MASK, &cpu->mxcsr_mask, sizeof cpu->mxcsr_mask);
	memcpy(image(cpu) + AT_SOFTWARE, &bytes, sizeof bytes);
}

long host_fpu_get(struct cpu *cpu, void *state, size_t bytes)
{
	if (cpu->dead)
		return -ESRCH;
	if (bytes < cpu->fpu_bytes)
		return -ENOSPC;
	memcpy(state, image(cpu), cpu->fpu_bytes);
	memset((unsigned char *)state + AT_SOFTWARE, 0, LEGACY_BYTES - AT_SOFTWARE);
	return (long)cpu->fpu_bytes;
}

/* Is part i of an image, if it is there, within its first `bytes`? */
static bool part_fits(unsigned i, size_t bytes)
{
	unsigned length, offset, ecx, edx;

	if (!__get_cpuid_count(0xd, i, &length, &offset, &ecx, &edx))
		return false;
	return length && (size_t)offset + length <= bytes;
}

int host_fpu_set(struct cpu *cpu, const void *state, size_t bytes)
{
	const unsigned char *from = state;
	uint64_t header[HEADER_BYTES / 8];
	struct _fpx_sw_bytes frame_bytes;
	uint32_t mxcsr;

	if (cpu->dead)
		return -ESRCH;
	if (bytes < LEGACY_BYTES + HEADER_BYTES || bytes > cpu->fpu_bytes)
		return -EINVAL;
	frame_bytes = software(cpu);
	memcpy(header, from + LEGACY_BYTES, sizeof header);
	memcpy(&mxcsr, from + AT_MXCSR, sizeof mxcsr);
	if (header[0] & ~frame_bytes.xstate_bv || mxcsr & ~cpu->mxcsr_mask)
		return -EINVAL;
	for (size_t i = 1; i < HEADER_BYTES / 8; i++)
		if (header[i])
			return -EINVAL;
	for (unsigned i = 2; i < 63; i++)
		if (header[0] >> i & 1 && !part_fits(i, bytes))
			return -EINVAL;
	memcpy(image(cpu), from, bytes);
	memcpy(image(cpu) + AT_SOFTWARE, &frame_bytes, sizeof frame_bytes);
	return 0;
}
