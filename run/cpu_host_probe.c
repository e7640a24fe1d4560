/*
 * cpu_host_probe.c - try the host back end on a program of three instructions
 *
 *   0x400000  page 0  mov $0x1234, %eax;  mov %eax, 0x401000;  syscall
 *   0x401000  page 1  not present at first: one fault, then the system call
 */
#define _GNU_SOURCE
#include "cpu_host_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CODE_VA UINT64_C(0x400000)
#define DATA_VA UINT64_C(0x401000)

static const unsigned char program[] = {
	0xb8, 0x34, 0x12, 0x00, 0x00,             /* mov $0x1234, %eax */
	0x89, 0x04, 0x25, 0x00, 0x10, 0x40, 0x00, /* mov %eax, 0x401000 */
	0x0f, 0x05,                               /* syscall */
};

static size_t walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out,
                   size_t max)
{
	const bool *data_present = space;

	(void)max;
	if (va / HOST_PAGE == CODE_VA / HOST_PAGE && access != CPU_WRITE) {
		*out = (struct cpu_extent){CODE_VA, 0, 1, CPU_READ | CPU_EXEC};
		return 1;
	}
	if (va / HOST_PAGE == DATA_VA / HOST_PAGE && access != CPU_EXEC && *data_present) {
		*out = (struct cpu_extent){DATA_VA, 1, 1, CPU_READ | CPU_WRITE};
		return 1;
	}
	return 0;
}

/* What went wrong; NULL: nothing. */
static const char *try_program(struct cpu *cpu, bool *data_present, int arena_fd)
{
	struct cpu_regs regs = {.rip = CODE_VA, .rflags = 0x202};
	struct cpu_exit exit;
	uint32_t stored = 0;

	cpu_host_ops.run(cpu, &regs, &exit);
	if (exit.kind == CPU_DEAD)
		return cpu_host_ops.why(cpu);
	if (exit.kind != CPU_FAULT || exit.address != DATA_VA ||
	    exit.error != (CPU_PF_WRITE | CPU_PF_USER))
		return "a page fault is not reported as one";
	*data_present = true;
	cpu_host_ops.run(cpu, &regs, &exit);
	if (exit.kind == CPU_DEAD)
		return cpu_host_ops.why(cpu);
	if (exit.kind != CPU_SYSCALL || regs.gpr[CPU_RAX] != 0x1234 ||
	    regs.rip != CODE_VA + sizeof program)
		return "a system call is not reported as one";
	if (pread(arena_fd, &stored, sizeof stored, HOST_PAGE) != sizeof stored ||
	    stored != 0x1234)
		return "a store of the program does not reach the machine's RAM";
	return NULL;
}

int host_probe(char *why, size_t why_bytes)
{
	struct cpu_env env = {
		.arena_bytes = 2 * HOST_PAGE, .user_end = CPU_HOST_USER_END, .walk = walk};
	bool data_present = false;
	const char *wrong = NULL;
	struct cpu *cpu;
	int err = 0;

	env.arena_fd = (int)syscall(SYS_memfd_create, "tuxmm-probe", MFD_CLOEXEC);
	if (env.arena_fd < 0 || ftruncate(env.arena_fd, (off_t)env.arena_bytes) ||
	    pwrite(env.arena_fd, program, sizeof program, 0) != sizeof program) {
		err = -errno;
		snprintf(why, why_bytes, "no shared memory: %s", strerror(errno));
	} else {
		err = cpu_host_ops.open(&env, &data_present, &cpu);
		if (err)
			wrong = cpu_host_ops.why(NULL);
		else
			wrong = try_program(cpu, &data_present, env.arena_fd);
		if (wrong)
			snprintf(why, why_bytes, "%s", wrong);
		if (!err) {
			cpu_host_ops.close(cpu);
			err = wrong ? -EIO : 0;
		}
	}
	if (env.arena_fd >= 0)
		close(env.arena_fd);
	return err;
}
