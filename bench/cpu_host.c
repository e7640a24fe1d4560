/*
 * cpu_host.c - what a trap of the host CPU back end costs
 *
 *	build/bench-cpu-host [--json] [--only PATTERN]
 *
 * Microseconds for each trap, or for each page where a fault shows many.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu.h"

#include "bench.h"

#define PAGE       4096u
#define NR_SAMPLES 11
#define CODE_VA    UINT64_C(0x400000)
#define DATA_VA    UINT64_C(0x10000000)
#define NR_PAGES   4096u /* of data */

/* loop: getpid; jmp loop */
static const unsigned char calls[] = {
	0xb8, 0x27, 0x00, 0x00, 0x00, /* mov $39, %eax */
	0x0f, 0x05,                   /* syscall */
	0xeb, 0xf7,                   /* jmp -9 */
};

/* loop: write to rdi; add rsi to rdi; dec rcx; jnz loop; syscall; jmp start */
static const unsigned char touches[] = {
	0x48, 0x89, 0x3f, /* mov %rdi, (%rdi) */
	0x48, 0x01, 0xf7, /* add %rsi, %rdi */
	0x48, 0xff, 0xc9, /* dec %rcx */
	0x75, 0xf5,       /* jnz -11 */
	0x0f, 0x05,       /* syscall */
};

/* Data pages are shown in aligned groups of `group`. */
struct machine {
	struct cpu_env env;
	struct cpu *cpu;
	struct cpu_regs regs;
	unsigned char *ram;
	unsigned group;
	bool scattered; /* frames fall with the address: one extent a page */
	bool growing;   /* pages of a group appear one at a time */
};

static size_t walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out,
                   size_t max)
{
	const struct machine *machine = space;
	uint64_t page = (va - DATA_VA) / PAGE, first = page / machine->group * machine->group;
	size_t nr = 0;

	(void)access;
	if (va < DATA_VA) {
		*out = (struct cpu_extent){CODE_VA, 0, 1, CPU_READ | CPU_EXEC};
		return 1;
	}
	if (machine->growing) {
		*out = (struct cpu_extent){DATA_VA + first * PAGE, 1 + first, page - first + 1,
		                           CPU_READ | CPU_WRITE};
		return 1;
	}
	if (!machine->scattered) {
		*out = (struct cpu_extent){DATA_VA + first * PAGE, 1 + first, machine->group,
		                           CPU_READ | CPU_WRITE};
		return 1;
	}
	for (uint64_t i = first; i < first + machine->group && nr < max; i++)
		out[nr++] = (struct cpu_extent){DATA_VA + i * PAGE, NR_PAGES - i, 1,
		                                CPU_READ | CPU_WRITE};
	return nr;
}

static void machine_make(struct machine *machine, const unsigned char *code, size_t bytes)
{
	*machine = (struct machine){.group = 1};
	machine->env.arena_bytes = (NR_PAGES + 2) * PAGE;
	machine->env.user_end = CPU_HOST_USER_END;
	machine->env.walk = walk;
	machine->env.arena_fd = memfd_create("bench", MFD_CLOEXEC);
	if (machine->env.arena_fd < 0 ||
	    ftruncate(machine->env.arena_fd, (off_t)machine->env.arena_bytes))
		bench_stop("no memfd");
	machine->ram = mmap(NULL, machine->env.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	                    machine->env.arena_fd, 0);
	if (machine->ram == MAP_FAILED)
		bench_stop("no memory");
	memset(machine->ram, 1, machine->env.arena_bytes);
	memcpy(machine->ram, code, bytes);
	if (cpu_host_ops.open(&machine->env, machine, &machine->cpu))
		bench_stop(cpu_host_ops.why(NULL));
	machine->regs = (struct cpu_regs){.rip = CODE_VA, .rflags = 0x202};
}

static void machine_end(struct machine *machine)
{
	cpu_host_ops.close(machine->cpu);
	munmap(machine->ram, machine->env.arena_bytes);
	close(machine->env.arena_fd);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void run_to_call(struct machine *machine)
{
	struct cpu_exit exit;

	cpu_host_ops.run(machine->cpu, &machine->regs, &exit);
	if (exit.kind != CPU_SYSCALL)
		bench_stop(cpu_host_ops.why(machine->cpu));
}

static void bench_calls(void)
{
	double sample[NR_SAMPLES];
	struct machine machine;
	const int nr = 20000;

	if (!bench_wanted("system call"))
		return;
	machine_make(&machine, calls, sizeof calls);
	for (int s = -1; s < NR_SAMPLES; s++) {
		double start = now_us();

		for (int i = 0; i < nr; i++)
			run_to_call(&machine);
		if (s >= 0)
			sample[s] = (now_us() - start) / nr;
	}
	bench_report("system call", sample, NR_SAMPLES, "us", 0);
	machine_end(&machine);
}

/* Each sample: forget all, then touch each data page once; refills do not come back here. */
static void bench_faults(const char *name, unsigned group, bool scattered, bool growing)
{
	double sample[NR_SAMPLES];
	struct machine machine;

	if (!bench_wanted(name))
		return;
	machine_make(&machine, touches, sizeof touches);
	machine.group = group;
	machine.scattered = scattered;
	machine.growing = growing;
	for (int s = -1; s < NR_SAMPLES; s++) {
		double start;

		cpu_host_ops.tlb_flush(machine.cpu, DATA_VA, NR_PAGES);
		machine.regs.rip = CODE_VA;
		machine.regs.gpr[CPU_RDI] = DATA_VA;
		machine.regs.gpr[CPU_RSI] = PAGE;
		machine.regs.gpr[CPU_RCX] = NR_PAGES;
		start = now_us();
		run_to_call(&machine);
		if (s >= 0)
			sample[s] = (now_us() - start) / NR_PAGES;
	}
	bench_report(name, sample, NR_SAMPLES, "us a page", 0);
	machine_end(&machine);
}

static void bench_open(void)
{
	double sample[NR_SAMPLES];
	struct machine machine;

	if (!bench_wanted("open and close"))
		return;
	machine_make(&machine, calls, sizeof calls);
	for (int s = 0; s < NR_SAMPLES; s++) {
		double start = now_us();
		struct cpu *cpu;

		if (cpu_host_ops.open(&machine.env, &machine, &cpu))
			bench_stop(cpu_host_ops.why(NULL));
		cpu_host_ops.close(cpu);
		sample[s] = now_us() - start;
	}
	bench_report("open and close", sample, NR_SAMPLES, "us", 0);
	machine_end(&machine);
}

int main(int argc, char **argv)
{
	bench_begin("cpu-host", argc, argv);
	bench_calls();
	bench_faults("fault, 1 page shown", 1, false, false);
	bench_faults("fault, 16 pages shown", 16, false, false);
	bench_faults("fault, 64 pages shown", 64, false, false);
	bench_faults("fault, 16 scattered pages shown", 16, true, false);
	bench_faults("fault, 1 page, 0..63 shown before", 64, false, true);
	bench_open();
	return 0;
}
