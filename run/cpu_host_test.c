/*
 * cpu_host_test.c - what the host CPU back end promises, on a machine of 64 pages
 *
 *	VA      page i of the program's window        RAM     frame i, if pte[i] says so
 *	        page 0 holds the code, at CODE
 *
 * The "page tables" are an array; walk() obeys it as the core's would.  Programs are
 * a few instructions between two labels, copied to the frame of page 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpu_host_impl.h"
#include "test.h"

#define NR_PAGES 64u
#define CODE     UINT64_C(0x400000)
#define VA(i)    (CODE + (uint64_t)(i)*HOST_PAGE)
#define FLAGS    UINT64_C(0x202)

/* A program: `text` in assembler, found again as code_<name>. */
#define PROGRAM(name, text)                                                                    \
	extern const unsigned char code_##name[], code_end_##name[];                           \
	__asm__(".pushsection .rodata\n"                                                       \
	        "code_" #name ":\n" text "\ncode_end_" #name ":\n"                             \
	        ".popsection\n")

#define LOAD(machine, name) load(machine, code_##name, (size_t)(code_end_##name - code_##name))

struct pte {
	bool present, write, exec, dirty, accessed;
	unsigned pfn;
};

struct machine {
	struct cpu_env env;
	struct cpu *cpu;
	struct cpu_regs regs;
	struct cpu_exit exit;
	struct pte pte[NR_PAGES];
	unsigned char *ram;
	bool alone; /* walk shows no neighbours */
	unsigned nr_walks;
};

static struct machine test_machine; /* closed by the next test when one failed */

/* The tables as the contract wants them walked. */

static bool allowed(const struct pte *pte, unsigned access)
{
	if (!pte->present)
		return false;
	return access == CPU_WRITE ? pte->write : access == CPU_EXEC ? pte->exec : true;
}

static unsigned rights(const struct pte *pte)
{
	return CPU_READ | (pte->write && pte->dirty ? CPU_WRITE : 0) |
	       (pte->exec ? CPU_EXEC : 0);
}

static size_t walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out,
                   size_t max)
{
	struct machine *machine = space;
	uint64_t page = (va - CODE) / HOST_PAGE;
	uint64_t first = page / 16 * 16, end = first + 16;
	struct cpu_extent *last = NULL;
	size_t nr = 0;

	machine->nr_walks++;
	if (va < CODE || page >= NR_PAGES || !allowed(&machine->pte[page], access))
		return 0;
	if (access & CPU_WRITE)
		machine->pte[page].dirty = true;
	if (machine->alone || max < 16) {
		first = page;
		end = page + 1;
	}
	for (uint64_t i = first; i < end; i++) {
		struct pte *pte = &machine->pte[i];

		if (!pte->present)
			continue;
		pte->accessed = true;
		if (last && last->va + last->nr_pages * HOST_PAGE == VA(i) &&
		    last->pfn + last->nr_pages == pte->pfn && last->rights == rights(pte)) {
			last->nr_pages++;
			continue;
		}
		last = &out[nr++];
		*last = (struct cpu_extent){VA(i), pte->pfn, 1, rights(pte)};
	}
	return nr;
}

/* The machine */

static void machine_close(struct machine *machine)
{
	if (machine->cpu)
		cpu_host_ops.close(machine->cpu);
	if (machine->ram) {
		munmap(machine->ram, machine->env.arena_bytes);
		close(machine->env.arena_fd);
	}
	*machine = (struct machine){0};
}

static struct machine *machine_open(void)
{
	struct machine *machine = &test_machine;
	void *ram;

	machine_close(machine);
	machine->env.arena_bytes = NR_PAGES * HOST_PAGE;
	machine->env.user_end = CPU_HOST_USER_END;
	machine->env.walk = walk;
	machine->env.arena_fd = memfd_create("test", MFD_CLOEXEC);
	CHECK(machine->env.arena_fd >= 0);
	CHECK(!ftruncate(machine->env.arena_fd, (off_t)machine->env.arena_bytes));
	ram = mmap(NULL, machine->env.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	           machine->env.arena_fd, 0);
	CHECK(ram != MAP_FAILED);
	machine->ram = ram;
	machine->pte[0] = (struct pte){.present = true, .exec = true};
	machine->regs = (struct cpu_regs){.rip = CODE, .rflags = FLAGS};
	CHECK(!cpu_host_ops.open(&machine->env, machine, &machine->cpu));
	return machine;
}

static void load(struct machine *machine, const unsigned char *code, size_t bytes)
{
	memcpy(machine->ram + machine->pte[0].pfn * HOST_PAGE, code, bytes);
	machine->regs.rip = CODE;
}

static void map(struct machine *machine, unsigned page, unsigned pfn, bool write)
{
	machine->pte[page] = (struct pte){.present = true, .write = write, .pfn = pfn};
}

static uint64_t *word(struct machine *machine, unsigned pfn)
{
	return (uint64_t *)(void *)(machine->ram + pfn * HOST_PAGE);
}

static enum cpu_exit_kind run(struct machine *machine)
{
	cpu_host_ops.run(machine->cpu, &machine->regs, &machine->exit);
	return machine->exit.kind;
}

static enum cpu_exit_kind run_at(struct machine *machine, uint64_t rip)
{
	machine->regs.rip = rip;
	return run(machine);
}

static struct cpu_stats stats(const struct machine *machine)
{
	struct cpu_stats stats;

	cpu_host_ops.stats(machine->cpu, &stats);
	return stats;
}

static bool is_fault(const struct machine *machine, uint64_t address, uint32_t error)
{
	return machine->exit.kind == CPU_FAULT && machine->exit.address == address &&
	       machine->exit.error == error;
}

/* System calls and registers */

PROGRAM(call, "syscall\n syscall\n");

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
	CHECK(machine->exit.error & CPU_PF_FETCH);
	CHECK(run_at(machine, machine->cpu->base) == CPU_FAULT);
	machine_close(machine);
}

/* Faults */

PROGRAM(access, "mov (%rdi), %rax\n syscall\n"
                "mov %rax, (%rdi)\n syscall\n"
                "jmp *%rdi\n");
#define AT_READ  CODE
#define AT_WRITE (CODE + 5)
#define AT_JUMP  (CODE + 10)

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
	cpu_host_ops.tlb_flush(machine->cpu, 0, CPU_HOST_USER_END / HOST_PAGE);
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

/* Refilled by drops only: the machine has more extents than the host may have. */
TEST(too_many_host_mappings_are_dropped_and_refilled)
{
	struct machine *machine;

	setenv("TUXMM_CPU_HOST_MAPS", "20", 1);
	machine = machine_open();
	unsetenv("TUXMM_CPU_HOST_MAPS");
	LOAD(machine, access);
	machine->alone = true;
	for (unsigned i = 1; i < NR_PAGES; i++) {
		map(machine, i, NR_PAGES - i, true);
		*word(machine, NR_PAGES - i) = i;
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 1; i < NR_PAGES; i++) {
			machine->regs.gpr[CPU_RDI] = VA(i);
			CHECK(run_at(machine, AT_READ) == CPU_SYSCALL);
			CHECK(machine->regs.gpr[CPU_RAX] == i + round);
			machine->regs.gpr[CPU_RAX]++;
			CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL);
		}
	}
	CHECK(stats(machine).overflows > 3);
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

PROGRAM(loop, "1: inc %rax\n jmp 1b\n");

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

/* The host process */

static void read_maps(pid_t pid, void (*each)(const char *line, void *arg), void *arg)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	CHECK(file);
	while (fgets(line, sizeof line, file))
		each(line, arg);
	fclose(file);
}

static void lowest(const char *line, void *arg)
{
	uint64_t *low = arg, start = strtoull(line, NULL, 16);

	if (start < *low)
		*low = start;
}

TEST(nothing_of_the_host_is_mapped_below_user_end)
{
	struct machine *machine = machine_open();
	uint64_t low = UINT64_MAX;

	read_maps(machine->cpu->pid, lowest, &low);
	CHECK(low >= CPU_HOST_USER_END && low != UINT64_MAX);
	machine_close(machine);
}

TEST(the_host_process_has_no_descriptor_but_the_arena)
{
	struct machine *machine = machine_open();
	struct stat open_file, arena;
	struct dirent *entry;
	unsigned nr = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)machine->cpu->pid);
	dir = opendir(path);
	CHECK(dir);
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	CHECK(nr == 1);
	strcat(path, "/0");
	CHECK(!stat(path, &open_file) && !fstat(machine->env.arena_fd, &arena));
	CHECK(open_file.st_ino == arena.st_ino && open_file.st_dev == arena.st_dev);
	machine_close(machine);
}

TEST(the_stub_is_one_page_at_most)
{
	CHECK(cpu_host_stub_end - cpu_host_stub <= ROOM_CONTROL);
}

static void *kill_later(void *arg)
{
	struct timespec pause = {.tv_nsec = 10000000};
	struct cpu *cpu = arg;

	nanosleep(&pause, NULL);
	kill(cpu->pid, SIGKILL);
	return NULL;
}

TEST(a_killed_host_process_is_noticed)
{
	for (int i = 0; i < 20; i++) {
		struct machine *machine = machine_open();
		pthread_t thread;

		LOAD(machine, loop);
		if (i % 2) /* while it is stopped, or is being killed already */
			CHECK(!kill(machine->cpu->pid, SIGKILL));
		else
			CHECK(!pthread_create(&thread, NULL, kill_later, machine->cpu));
		CHECK(run(machine) == CPU_DEAD);
		if (i % 2 == 0)
			CHECK(!pthread_join(thread, NULL));
		CHECK(strstr(cpu_host_ops.why(machine->cpu), "died"));
		CHECK(run(machine) == CPU_DEAD);
		machine_close(machine);
	}
}

TEST(nothing_is_left_after_close)
{
	struct machine *machine = machine_open();
	pid_t pid = machine->cpu->pid;

	machine_close(machine);
	CHECK(kill(pid, 0) && errno == ESRCH);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

/* Is the process gone, but perhaps for somebody to wait for it? */
static bool gone(pid_t pid)
{
	char path[64], text[256] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(text, sizeof text, file))
		text[0] = 0;
	fclose(file);
	return !text[0] || strstr(text, ") Z ");
}

TEST(the_host_process_dies_with_its_maker)
{
	struct timespec pause = {.tv_nsec = 1000000};
	int ends[2], status;
	pid_t maker, task = 0;

	CHECK(!pipe(ends));
	maker = fork();
	CHECK(maker >= 0);
	if (!maker) {
		struct machine *machine = &test_machine;

		*machine = (struct machine){0};
		machine = machine_open();
		LOAD(machine, loop);
		task = machine->cpu->pid;
		if (write(ends[1], &task, sizeof task) == sizeof task)
			run(machine);
		_exit(1);
	}
	CHECK(read(ends[0], &task, sizeof task) == sizeof task);
	close(ends[0]);
	close(ends[1]);
	CHECK(!gone(task));
	CHECK(!kill(maker, SIGKILL) && waitpid(maker, &status, 0) == maker);
	for (int ms = 0; ms < 5000 && !gone(task); ms++)
		nanosleep(&pause, NULL);
	CHECK(gone(task));
}

TEST(a_space_that_reaches_too_far_is_refused)
{
	struct cpu_env env = {.user_end = CPU_HOST_USER_END + HOST_PAGE, .walk = walk};
	struct cpu *cpu = NULL;

	CHECK(cpu_host_ops.open(&env, NULL, &cpu) == -EINVAL && !cpu);
}

TEST(the_probe_likes_this_host)
{
	char why[128] = "";
	int err = cpu_host_ops.probe(why, sizeof why);

	if (err)
		test_note("%s", why);
	CHECK(!err && !why[0]);
}

/*
 * Random changes of the tables, each flushed when it takes something away, against
 * random loads and stores: the value and the fault are what the array says.
 */
static void random_steps(struct machine *machine, unsigned nr)
{
	uint64_t seed = test_seed(), value[NR_PAGES] = {0};

	LOAD(machine, access);
	while (nr--) {
		uint64_t r = test_random(&seed);
		unsigned page = 1 + (unsigned)(r >> 8) % (NR_PAGES - 1);
		unsigned pfn = 1 + (unsigned)(r >> 24) % (NR_PAGES - 1);
		struct pte *pte = &machine->pte[page];
		bool write = r >> 40 & 1;

		if (r % 4 == 0) {
			bool had = pte->present;

			*pte = (struct pte){.present = r >> 41 & 3, .write = write, .pfn = pfn};
			if (had)
				cpu_host_ops.tlb_flush(machine->cpu, VA(page), 1);
			continue;
		}
		machine->regs.gpr[CPU_RDI] = VA(page);
		machine->regs.gpr[CPU_RAX] = r;
		run_at(machine, write ? AT_WRITE : AT_READ);
		if (!allowed(pte, write ? CPU_WRITE : CPU_READ)) {
			CHECK(is_fault(machine, VA(page),
			               CPU_PF_USER | (write ? CPU_PF_WRITE : 0) |
			                       (pte->present ? CPU_PF_PRESENT : 0)));
			continue;
		}
		CHECK(machine->exit.kind == CPU_SYSCALL);
		if (write)
			value[pte->pfn] = r;
		CHECK(machine->regs.gpr[CPU_RAX] == value[pte->pfn]);
		CHECK(*word(machine, pte->pfn) == value[pte->pfn]);
		CHECK(pte->accessed && (!write || pte->dirty));
	}
}

TEST(random_accesses_see_what_the_tables_say)
{
	struct machine *machine = machine_open();

	random_steps(machine, 20000);
	machine_close(machine);
}

TEST(dropping_every_mapping_changes_nothing)
{
	struct machine *machine;

	setenv("TUXMM_CPU_HOST_DROP", "1", 1);
	machine = machine_open();
	unsetenv("TUXMM_CPU_HOST_DROP");
	random_steps(machine, 5000);
	CHECK(stats(machine).refills > 3000);
	machine_close(machine);
}
