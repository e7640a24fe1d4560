/*
 * cpu_host_test.c - the host CPU back end does what cpu.h promises
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cpu_host_impl.h"
#include "cpu_test.h"
#include "test.h"

/* System calls and registers */

TEST(a_system_call_keeps_every_register_but_rcx_and_r11)
{
	struct machine *machine = machine_open();
	struct cpu_regs before;

	LOAD(machine, call);
	for (unsigned i = 0; i < CPU_NR_GPR; i++)
		machine->regs.gpr[i] = UINT64_C(0x123456789abcdef) * (i + 1);
	machine->regs.rflags = FLAGS | 0x4c1; /* direction, zero, sign, carry */
	before = machine->regs;
	for (uint64_t i = 1; i <= 2; i++) {
		CHECK(run(machine) == CPU_SYSCALL);
		before.rip = CODE + 2 * i;
		before.gpr[CPU_RCX] = before.rip;
		before.gpr[CPU_R11] = before.rflags;
		CHECK(!memcmp(&machine->regs, &before, sizeof before));
	}
	CHECK(stats(machine).syscalls == 2);
	machine_close(machine);
}

PROGRAM(legacy_call, "int $0x80\n");

TEST(other_ways_into_the_host_kernel_are_closed)
{
	struct machine *machine = machine_open();

	LOAD(machine, legacy_call);
	CHECK(run(machine) == CPU_EXCEPTION);
	CHECK(machine->exit.vector == 13 && machine->exit.error == 0x402);
	CHECK(machine->regs.rip == CODE);
	machine->regs.gpr[CPU_RSP] = VA(1);
	map(machine, 1, 1, true);
	CHECK(run_at(machine, UINT64_C(0xffffffffff600000)) == CPU_FAULT);
	CHECK(machine->regs.rip == UINT64_C(0xffffffffff600000));
	CHECK(machine->regs.gpr[CPU_RSP] == VA(1));
	CHECK(machine->exit.error & CPU_PF_FETCH);
	CHECK(run_at(machine, machine->cpu->base) == CPU_FAULT);
	machine_close(machine);
}

/* uretprobe and uprobe: some hosts answer them before any filter, with SIGILL or an error. */
PROGRAM(probe_call, "mov $335, %eax\n syscall\n ud2\n");
PROGRAM(other_probe_call, "mov $336, %eax\n syscall\n ud2\n");

static bool call_or_invalid(struct machine *machine)
{
	enum cpu_exit_kind kind = run(machine);

	return kind == CPU_SYSCALL || (kind == CPU_EXCEPTION && machine->exit.vector == 6);
}

TEST(calls_that_the_host_refuses_by_itself_leave_the_program_alive)
{
	struct machine *machine = machine_open();

	LOAD(machine, probe_call);
	CHECK(call_or_invalid(machine));
	LOAD(machine, other_probe_call);
	CHECK(call_or_invalid(machine));
	machine_close(machine);
}

/* Faults */

/*
 *	page    1 absent    2 read-only    3 read and write
 */
TEST(a_fault_tells_address_access_and_whether_the_page_is_there)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	map(machine, 2, 2, false);
	map(machine, 3, 3, true);
	machine->regs.gpr[CPU_RDI] = VA(1) + 8;
	run_at(machine, AT_READ);
	CHECK(is_fault(machine, VA(1) + 8, CPU_PF_USER) && machine->regs.rip == AT_READ);
	run_at(machine, AT_WRITE);
	CHECK(is_fault(machine, VA(1) + 8, CPU_PF_USER | CPU_PF_WRITE));
	CHECK(machine->regs.rip == AT_WRITE);
	run_at(machine, AT_JUMP);
	CHECK(is_fault(machine, VA(1) + 8, CPU_PF_USER | CPU_PF_FETCH));

	machine->regs.gpr[CPU_RDI] = VA(2);
	run_at(machine, AT_WRITE);
	CHECK(is_fault(machine, VA(2), CPU_PF_USER | CPU_PF_WRITE | CPU_PF_PRESENT));
	CHECK(!machine->pte[2].dirty);
	machine->regs.gpr[CPU_RDI] = VA(3);
	run_at(machine, AT_JUMP);
	CHECK(is_fault(machine, VA(3), CPU_PF_USER | CPU_PF_FETCH | CPU_PF_PRESENT));
	CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL);
	machine->regs.gpr[CPU_RDI] = UINT64_C(0x7fffffffe000); /* above user_end */
	run_at(machine, AT_READ);
	CHECK(is_fault(machine, UINT64_C(0x7fffffffe000), CPU_PF_USER));
	machine->regs.gpr[CPU_RDI] = 8;
	run_at(machine, AT_READ);
	CHECK(is_fault(machine, 8, CPU_PF_USER));
	machine_close(machine);
}

TEST(a_repaired_fault_goes_on_without_another_one)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	machine->regs.gpr[CPU_RDI] = VA(1);
	machine->regs.gpr[CPU_RAX] = 77;
	CHECK(run_at(machine, AT_WRITE) == CPU_FAULT);
	map(machine, 1, 9, true);
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(*word(machine, 9) == 77 && machine->pte[1].dirty);
	CHECK(stats(machine).refills == 1); /* the code page */
	machine_close(machine);
}

TEST(a_page_becomes_writable_with_its_first_write)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	map(machine, 1, 1, true);
	machine->regs.gpr[CPU_RDI] = VA(1);
	CHECK(run_at(machine, AT_READ) == CPU_SYSCALL);
	CHECK(machine->pte[1].accessed && !machine->pte[1].dirty);
	CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL);
	CHECK(machine->pte[1].dirty);

	/* cleaned and flushed: the next write must be seen again */
	machine->pte[1].dirty = false;
	cpu_host_ops.tlb_flush(machine->cpu, VA(1), 1);
	CHECK(run_at(machine, AT_READ) == CPU_SYSCALL && !machine->pte[1].dirty);
	CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL && machine->pte[1].dirty);
	CHECK(stats(machine).faults == 0);
	machine_close(machine);
}

/*
 *	page    0 code    1..15 present, frames 1..15    all clean: two extents
 */
TEST(one_fault_shows_the_present_neighbours)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	for (unsigned i = 1; i < 16; i++) {
		map(machine, i, i, false);
		*word(machine, i) = 100 + i;
	}
	for (unsigned i = 1; i < 16; i++) {
		machine->regs.gpr[CPU_RDI] = VA(i);
		CHECK(run_at(machine, AT_READ) == CPU_SYSCALL);
		CHECK(machine->regs.gpr[CPU_RAX] == 100 + i);
	}
	CHECK(stats(machine).refills == 1);
	CHECK(stats(machine).shown == 16 && stats(machine).shows == 2);
	machine_close(machine);
}

/*
 *	page    1 2 3 ... 15    present one after the other, as they are touched
 */
TEST(what_is_shown_is_not_shown_again)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	for (unsigned i = 1; i < 16; i++) {
		machine->regs.gpr[CPU_RDI] = VA(i);
		CHECK(run_at(machine, AT_WRITE) == CPU_FAULT);
		map(machine, i, i, true);
		CHECK(run(machine) == CPU_SYSCALL);
	}
	CHECK(stats(machine).shown == 16 && stats(machine).faults == 15);
	cpu_host_ops.tlb_flush(machine->cpu, VA(0), 16);
	CHECK(run_at(machine, AT_READ) == CPU_SYSCALL); /* brings all back at once */
	CHECK(stats(machine).shown == 32 && stats(machine).refills == 2);
	machine_close(machine);
}

TEST(a_flush_takes_effect_before_the_next_instruction)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	map(machine, 1, 1, true);
	*word(machine, 1) = 11;
	*word(machine, 2) = 22;
	machine->regs.gpr[CPU_RDI] = VA(1);
	CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL);
	machine->pte[1].write = false;
	cpu_host_ops.tlb_flush(machine->cpu, VA(1), 1);
	run_at(machine, AT_WRITE);
	CHECK(is_fault(machine, VA(1), CPU_PF_USER | CPU_PF_WRITE | CPU_PF_PRESENT));
	map(machine, 1, 2, false); /* another frame */
	cpu_host_ops.tlb_flush(machine->cpu, 0, CPU_HOST_USER_END / PAGE_BYTES);
	CHECK(run_at(machine, AT_READ) == CPU_SYSCALL && machine->regs.gpr[CPU_RAX] == 22);
	machine->pte[1].present = false;
	cpu_host_ops.tlb_flush(machine->cpu, VA(1), UINT64_MAX); /* cut at the end */
	run_at(machine, AT_READ);
	CHECK(is_fault(machine, VA(1), CPU_PF_USER));
	machine_close(machine);
}

TEST(many_flushes_at_once_are_all_done)
{
	struct machine *machine = machine_open();

	LOAD(machine, access);
	for (unsigned i = 1; i < NR_PAGES; i++)
		map(machine, i, i, false);
	for (unsigned i = 1; i < NR_PAGES; i++) {
		machine->regs.gpr[CPU_RDI] = VA(i);
		CHECK(run_at(machine, AT_READ) == CPU_SYSCALL);
	}
	for (unsigned i = NR_PAGES - 1; i >= 2; i -= 2) {
		machine->pte[i].present = false;
		cpu_host_ops.tlb_flush(machine->cpu, VA(i), 1);
	}
	for (unsigned i = 1; i < NR_PAGES; i++) {
		machine->regs.gpr[CPU_RDI] = VA(i);
		CHECK(run_at(machine, AT_READ) ==
		      (machine->pte[i].present ? CPU_SYSCALL : CPU_FAULT));
	}
	machine_close(machine);
}

/* Exceptions */

PROGRAM(divide, "xor %ecx, %ecx\n div %ecx\n");
PROGRAM(breakpoint, "int3\n");
PROGRAM(invalid, "ud2\n");
PROGRAM(canonical, "mov $0x8000000000000000, %rax\n mov (%rax), %rax\n");
PROGRAM(privileged, "hlt\n");
PROGRAM(x87, "fldcw (%rdi)\n fld1\n fldz\n fdivrp\n fwait\n");

TEST(exceptions_come_with_their_vector)
{
	struct machine *machine = machine_open();

	LOAD(machine, divide);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 0);
	CHECK(machine->regs.rip == CODE + 2);
	LOAD(machine, breakpoint);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 3);
	CHECK(machine->regs.rip == CODE + 1); /* a trap: behind the instruction */
	LOAD(machine, invalid);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 6);
	CHECK(machine->regs.rip == CODE);
	LOAD(machine, canonical);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 13);
	LOAD(machine, privileged);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 13);
	CHECK(run_at(machine, UINT64_C(1) << 63) == CPU_EXCEPTION);
	CHECK(machine->exit.vector == 13);
	LOAD(machine, divide);
	machine->regs.rflags = FLAGS | 0x100; /* single step */
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 1);
	CHECK(machine->regs.rip == CODE + 2);
	machine->regs.rflags = FLAGS;
	LOAD(machine, x87);
	map(machine, 1, 1, false);
	*word(machine, 1) = 0x37b; /* divide by zero unmasked */
	machine->regs.gpr[CPU_RDI] = VA(1);
	CHECK(run(machine) == CPU_EXCEPTION && machine->exit.vector == 16);
	LOAD(machine, call);
	CHECK(run(machine) == CPU_SYSCALL); /* and life goes on */
	machine_close(machine);
}

/* Kicks */

static void *kick_later(void *arg)
{
	struct timespec pause = {.tv_nsec = 30000000};

	nanosleep(&pause, NULL);
	cpu_host_ops.kick(arg);
	return NULL;
}

TEST(a_kick_ends_an_endless_loop)
{
	struct machine *machine = machine_open();
	pthread_t thread;

	LOAD(machine, loop);
	CHECK(!pthread_create(&thread, NULL, kick_later, machine->cpu));
	CHECK(run(machine) == CPU_KICKED);
	CHECK(!pthread_join(thread, NULL));
	CHECK(machine->regs.gpr[CPU_RAX] > 1000);
	CHECK(machine->regs.rip >= CODE && machine->regs.rip <= CODE + 3);
	machine_close(machine);
}

TEST(a_kick_between_runs_is_not_lost_and_counts_once)
{
	struct machine *machine = machine_open();
	struct cpu_regs before;

	LOAD(machine, call);
	before = machine->regs;
	cpu_host_ops.kick(machine->cpu);
	cpu_host_ops.kick(machine->cpu);
	CHECK(run(machine) == CPU_KICKED);
	CHECK(!memcmp(&before, &machine->regs, sizeof before));
	CHECK(run(machine) == CPU_SYSCALL);
	cpu_host_ops.kick(machine->cpu);
	CHECK(run(machine) == CPU_KICKED);
	CHECK(run(machine) == CPU_SYSCALL);
	machine_close(machine);
}

TEST(signals_from_elsewhere_are_no_events)
{
	static const int signals[] = {SIGTERM, SIGINT,  SIGHUP, SIGSEGV,
	                              SIGSYS,  SIGUSR1, SIGCHLD};
	struct machine *machine = machine_open();

	LOAD(machine, call);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		CHECK(!kill(machine->cpu->pid, signals[i]));
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(run(machine) == CPU_SYSCALL);
	machine_close(machine);
}

/* Segment bases and extended registers */

PROGRAM(bases, "mov %fs:0, %rax\n mov %gs:8, %rbx\n syscall\n");
PROGRAM(wrfsbase, "wrfsbase %rdi\n wrgsbase %rsi\n syscall\n");

TEST(segment_bases_are_the_program_s)
{
	struct machine *machine = machine_open();

	LOAD(machine, bases);
	map(machine, 1, 1, false);
	word(machine, 1)[0] = 5;
	word(machine, 1)[2] = 6;
	machine->regs.fs_base = VA(1);
	machine->regs.gs_base = VA(1) + 8;
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(machine->regs.gpr[CPU_RAX] == 5 && machine->regs.gpr[CPU_RBX] == 6);
	CHECK(machine->regs.fs_base == VA(1) && machine->regs.gs_base == VA(1) + 8);
	if (machine->cpu->fsgsbase) {
		LOAD(machine, wrfsbase);
		machine->regs.gpr[CPU_RDI] = VA(7);
		machine->regs.gpr[CPU_RSI] = VA(8);
		CHECK(run(machine) == CPU_SYSCALL);
		CHECK(machine->regs.fs_base == VA(7) && machine->regs.gs_base == VA(8));
	}
	machine->regs.fs_base = UINT64_C(1) << 63;
	CHECK(run_at(machine, CODE) == CPU_EXCEPTION && machine->exit.vector == 13);
	machine->regs.fs_base = 0;
	CHECK(run_at(machine, CODE) == CPU_SYSCALL);
	machine_close(machine);
}

PROGRAM(vectors, "movq %rax, %xmm0\n movq %rbx, %xmm15\n syscall\n"
                 "movq %xmm0, %rax\n movq %xmm15, %rbx\n syscall\n");
PROGRAM(avx, "vmovdqu (%rdi), %ymm3\n syscall\n vmovdqu %ymm3, 32(%rdi)\n syscall\n");

TEST(vector_registers_survive_traps)
{
	struct machine *machine = machine_open();

	LOAD(machine, vectors);
	machine->regs.gpr[CPU_RAX] = 0x1111;
	machine->regs.gpr[CPU_RBX] = 0x2222;
	CHECK(run(machine) == CPU_SYSCALL);
	machine->regs.gpr[CPU_RAX] = machine->regs.gpr[CPU_RBX] = 0;
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(machine->regs.gpr[CPU_RAX] == 0x1111 && machine->regs.gpr[CPU_RBX] == 0x2222);
	if (__builtin_cpu_supports("avx")) {
		LOAD(machine, avx);
		map(machine, 1, 1, true);
		for (uint64_t i = 0; i < 4; i++)
			word(machine, 1)[i] = 3 * i + 1;
		machine->regs.gpr[CPU_RDI] = VA(1);
		CHECK(run(machine) == CPU_SYSCALL);
		CHECK(run(machine) == CPU_SYSCALL); /* with a fault on the way */
		CHECK(!memcmp(word(machine, 1), word(machine, 1) + 4, 32));
	}
	machine_close(machine);
}

PROGRAM(control, "stmxcsr (%rdi)\n fnstcw 4(%rdi)\n movq %xmm7, %rax\n syscall\n");

TEST(a_new_program_starts_with_initial_extended_state)
{
	struct machine *machine;

	__asm__ volatile("movq %0, %%xmm7" : : "r"(UINT64_C(0xdead)) : "xmm7");
	machine = machine_open();
	LOAD(machine, control);
	map(machine, 1, 1, true);
	machine->regs.gpr[CPU_RDI] = VA(1);
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(machine->regs.gpr[CPU_RAX] == 0);
	CHECK(*word(machine, 1) == UINT64_C(0x037f00001f80));
	machine_close(machine);
}

TEST(extended_state_goes_out_and_in)
{
	struct machine *machine = machine_open();
	static _Alignas(64) unsigned char state[16384], bad[16384];
	const uint64_t high = UINT64_C(1) << 62;
	long bytes;

	LOAD(machine, vectors);
	machine->regs.gpr[CPU_RAX] = 0x3333;
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(cpu_host_ops.fpu_get(machine->cpu, state, 100) == -ENOSPC);
	bytes = cpu_host_ops.fpu_get(machine->cpu, state, sizeof state);
	CHECK(bytes >= 576);
	CHECK(state[160] == 0x33 && state[161] == 0x33); /* xmm0 */
	state[160] = 0x44;
	CHECK(!cpu_host_ops.fpu_set(machine->cpu, state, (size_t)bytes));
	CHECK(run(machine) == CPU_SYSCALL);
	CHECK(machine->regs.gpr[CPU_RAX] == 0x3344);

	memcpy(bad, state, sizeof bad);
	bad[27] = 0xff; /* MXCSR bits that do not exist */
	CHECK(cpu_host_ops.fpu_set(machine->cpu, bad, (size_t)bytes) == -EINVAL);
	memcpy(bad, state, sizeof bad);
	memcpy(bad + 512, &high, sizeof high); /* a part that does not exist */
	CHECK(cpu_host_ops.fpu_set(machine->cpu, bad, (size_t)bytes) == -EINVAL);
	memcpy(bad, state, sizeof bad);
	bad[540] = 1; /* reserved */
	CHECK(cpu_host_ops.fpu_set(machine->cpu, bad, (size_t)bytes) == -EINVAL);
	CHECK(cpu_host_ops.fpu_set(machine->cpu, state, 575) == -EINVAL);
	CHECK(run_at(machine, CODE) == CPU_SYSCALL);
	machine_close(machine);
}

TEST(random_accesses_see_what_the_tables_say)
{
	struct machine *machine = machine_open();

	random_steps(machine, 20000);
	machine_close(machine);
}
