/*
 * cpu_host.c - the host CPU back end: user code runs in a host process of its own
 *
 * Each address space has a host process with nothing in it but a small room above
 * all user addresses (cpu_host_child.c).  What the program touches is mapped from
 * the arena when it faults; its host mappings are a software TLB.
 *
 *   program         stub (signal handler)       tuxmm
 *   -------         ---------------------       -----
 *   traps     --->  frame on its stack
 *                   "stopped", sleeps     --->  run() wakes, reads the frame,
 *                                               returns what happened
 *                                               ... is called again: edits the frame,
 *                                               lists commands: unmap, map
 *                   does the commands     <---  "go", sleeps
 *   goes on   <---  rt_sigreturn
 *
 * The environment, for tests and debugging; results must be the same:
 *   TUXMM_CPU_HOST_DROP=1    drop every mapping at each exit
 *   TUXMM_CPU_HOST_MAPS=N    hold at most about N mappings, not what the host allows
 *
 * Invariants
 *   I1  between runs the host process is stopped in its handler, or dead is set
 *   I2  a host mapping grants at most what the page tables grant, except for what
 *       waits in flushes[] and flush_all; these are commands before any user
 *       instruction runs
 *   I3  a page is mapped writable only when walk was asked for a write to it, or
 *       said that its entry is dirty already
 *   I4  frame and fpu lie wholly in the room's stack, whatever the program wrote there
 */
#define _GNU_SOURCE
#include "cpu_host_impl.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define VECTOR_UD    6u
#define VECTOR_GP    13u
#define VECTOR_PAGE  14u
#define USER_CS_SS   UINT64_C(0x002b000000000033) /* ss, fs, gs, cs: the gregs word */
#define VSYSCALL     UINT64_C(0xffffffffff600000) /* a page that only the host has */
#define VSYSCALL_END UINT64_C(0xffffffffff601000)
#define INT80_ERROR  (0x80u * 8 + 2) /* a gate that is not there */

static _Thread_local char open_why[sizeof((struct cpu *)0)->why];

/* A stop as the signal told it, copied out of the room once. */
struct stop {
	int signal;
	int code;
	uint64_t trapno;
	uint64_t error;
	uint64_t cr2;
	uint64_t call_from; /* SIGSYS: address of the instruction's end */
	uint32_t arch;      /* SIGSYS */
};

void host_dead(struct cpu *cpu, const char *format, ...)
{
	va_list args;

	cpu->dead = true;
	va_start(args, format);
	vsnprintf(cpu->why, sizeof cpu->why, format, args);
	va_end(args);
}

/* Commands */

struct command *host_command(struct cpu *cpu, uint32_t nr, const uint64_t arg[6])
{
	struct command *command = &cpu->room->control.command[cpu->nr_commands++];

	command->nr = nr;
	command->optional = 0;
	memcpy(command->arg, arg, sizeof command->arg);
	return command;
}

static void command_unmap(struct cpu *cpu, uint64_t va, uint64_t nr_pages)
{
	host_command(cpu, SYS_munmap, (const uint64_t[6]){va, nr_pages * HOST_PAGE});
	cpu->stats.flushes++;
	cpu->nr_maps++; /* it may have cut one in two */
	host_shown_forget(cpu, va, nr_pages);
}

static void command_unmap_all(struct cpu *cpu)
{
	command_unmap(cpu, 0, cpu->env->user_end / HOST_PAGE);
	cpu->nr_maps = 0;
	cpu->nr_flushes = 0;
	cpu->flush_all = false;
}

static void command_map(struct cpu *cpu, const struct cpu_extent *extent)
{
	uint64_t prot = PROT_READ;

	if (extent->rights & CPU_WRITE)
		prot |= PROT_WRITE;
	if (extent->rights & CPU_EXEC)
		prot |= PROT_EXEC;
	host_command(cpu, SYS_mmap,
	             (const uint64_t[6]){extent->va, extent->nr_pages * HOST_PAGE, prot,
	                                 HOST_MAP_FLAGS, 0, extent->pfn * HOST_PAGE});
	cpu->stats.shows++;
	cpu->stats.shown += extent->nr_pages;
	cpu->nr_maps++;
	host_shown_add(cpu, extent);
}

/* Everything that was flushed since the last resume. */
static void list_flushes(struct cpu *cpu)
{
	if (cpu->flush_all) {
		command_unmap_all(cpu);
		return;
	}
	for (unsigned i = 0; i < cpu->nr_flushes; i++)
		command_unmap(cpu, cpu->flushes[i].va, cpu->flushes[i].nr_pages);
	cpu->nr_flushes = 0;
}

/*
 * Map the page at va for an access, and its neighbours, from the tables.  False:
 * the tables do not allow it.
 */
static bool list_shows(struct cpu *cpu, uint64_t va, unsigned access, size_t max)
{
	struct cpu_extent extents[NR_EXTENTS];
	size_t nr = 0;

	if (va < cpu->env->user_end)
		nr = cpu->env->walk(cpu->space, va, access, extents, max);
	if (nr && cpu->nr_maps + nr > cpu->max_maps) {
		cpu->stats.overflows++;
		command_unmap_all(cpu);
	}
	for (size_t i = 0; i < nr; i++) {
		host_shown_trim(cpu, &extents[i], va);
		if (extents[i].nr_pages)
			command_map(cpu, &extents[i]);
	}
	return nr;
}

/* The frame */

static ucontext_t *context_of(const struct cpu *cpu)
{
	return (ucontext_t *)(void *)((unsigned char *)cpu->room + cpu->frame);
}

/* Where did the kernel put the frame?  False: nowhere believable. */
bool host_frame_read(struct cpu *cpu)
{
	uint64_t at = cpu->room->control.context - cpu->base;

	if (at % 8 || at < ROOM_STACK || at > ROOM_BYTES - sizeof(ucontext_t))
		return false;
	cpu->frame = at;
	return host_fpu_find(cpu);
}

/* CPU_RAX.. in the order of struct cpu_regs. */
static const unsigned char greg_of[CPU_NR_GPR] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void regs_read(struct cpu *cpu, struct cpu_regs *regs)
{
	const struct control *control = &cpu->room->control;
	const greg_t *gregs = context_of(cpu)->uc_mcontext.gregs;

	for (unsigned i = 0; i < CPU_NR_GPR; i++)
		regs->gpr[i] = (uint64_t)gregs[greg_of[i]];
	regs->rip = (uint64_t)gregs[REG_RIP];
	regs->rflags = (uint64_t)gregs[REG_EFL];
	if (cpu->fsgsbase) {
		cpu->fs_base = control->fs_base;
		cpu->gs_base = control->gs_base;
	}
	regs->fs_base = cpu->fs_base;
	regs->gs_base = cpu->gs_base;
}

static void base_write(struct cpu *cpu, uint64_t code, uint64_t *held, uint64_t want)
{
	if (*held == want)
		return;
	*held = want;
	if (!cpu->fsgsbase)
		host_command(cpu, SYS_arch_prctl, (const uint64_t[6]){code, want});
}

static void regs_write(struct cpu *cpu, const struct cpu_regs *regs)
{
	struct control *control = &cpu->room->control;
	ucontext_t *context = context_of(cpu);
	greg_t *gregs = context->uc_mcontext.gregs;
	uint64_t mask = host_child_sigmask();

	for (unsigned i = 0; i < CPU_NR_GPR; i++)
		gregs[greg_of[i]] = (greg_t)regs->gpr[i];
	gregs[REG_RIP] = (greg_t)regs->rip;
	gregs[REG_EFL] = (greg_t)regs->rflags;
	gregs[REG_CSGSFS] = (greg_t)USER_CS_SS;
	memcpy(&context->uc_sigmask, &mask, sizeof mask);
	base_write(cpu, ARCH_SET_FS, &cpu->fs_base, regs->fs_base);
	base_write(cpu, ARCH_SET_GS, &cpu->gs_base, regs->gs_base);
	control->fs_base = cpu->fs_base;
	control->gs_base = cpu->gs_base;
}

static struct stop stop_read(const struct cpu *cpu)
{
	const greg_t *gregs = context_of(cpu)->uc_mcontext.gregs;
	struct stop stop = {
		.signal = (int)cpu->room->control.signal,
		.trapno = (uint64_t)gregs[REG_TRAPNO],
		.error = (uint64_t)gregs[REG_ERR],
		.cr2 = (uint64_t)gregs[REG_CR2],
	};
	uint64_t at = cpu->room->control.info - cpu->base;
	siginfo_t info;

	if (at < ROOM_STACK || at > ROOM_BYTES - sizeof info)
		return stop; /* code 0 says that a process sent it: ignored */
	memcpy(&info, (const unsigned char *)cpu->room + at, sizeof info);
	stop.code = info.si_code;
	if (stop.signal == SIGSYS) {
		stop.call_from = (uint64_t)(uintptr_t)info.si_call_addr;
		stop.arch = info.si_arch;
	}
	return stop;
}

/* The hand-over */

/*
 * Let the program go on, with what is listed.  The host may be short of mappings:
 * then drop them all and come back for what is needed.
 */
static bool resume(struct cpu *cpu)
{
	struct control *control = &cpu->room->control;
	uint32_t failed;

	for (int attempt = 0;; attempt++) {
		control->count = cpu->nr_commands;
		control->failed = 0;
		cpu->nr_commands = 0;
		if (!host_link_cross(cpu)) {
			host_dead(cpu, "the host process died");
			return false;
		}
		failed = control->failed;
		if (!failed || failed > NR_COMMANDS)
			return true;
		if (control->command[failed - 1].result != -ENOMEM || attempt) {
			host_dead(cpu, "the host refused to %s memory: %s",
			          control->command[failed - 1].nr == SYS_mmap ? "map" : "unmap",
			          strerror((int)-control->command[failed - 1].result));
			return false;
		}
		cpu->stats.overflows++;
		command_unmap_all(cpu);
	}
}

/* Let the program go on until it stops again.  False: it never will, dead is set. */
static bool go(struct cpu *cpu)
{
	if (!resume(cpu))
		return false;
	if (!host_frame_read(cpu)) {
		host_dead(cpu, "the program overwrote the stack of the host process");
		return false;
	}
	return true;
}

/* What happened */

static unsigned access_of(uint64_t error)
{
	if (error & CPU_PF_FETCH)
		return CPU_EXEC;
	return error & CPU_PF_WRITE ? CPU_WRITE : CPU_READ;
}

/* A fault the tables cannot satisfy.  The host's PRESENT bit speaks of its mapping. */
static void exit_fault(struct cpu *cpu, const struct cpu_regs *regs, uint64_t va,
                       unsigned access, struct cpu_exit *exit)
{
	struct cpu_extent extent;

	exit->kind = CPU_FAULT;
	exit->address = va;
	exit->error = CPU_PF_USER;
	if (access == CPU_WRITE)
		exit->error |= CPU_PF_WRITE;
	if (access == CPU_EXEC)
		exit->error |= CPU_PF_FETCH;
	if (access != CPU_READ && va < cpu->env->user_end &&
	    cpu->env->walk(cpu->space, va, CPU_READ, &extent, 1))
		exit->error |= CPU_PF_PRESENT;
	cpu->stats.faults++;
	cpu->fault_open = true;
	cpu->fault_va = va;
	cpu->fault_access = access;
	cpu->fault_rip = regs->rip;
}

static void exit_exception(struct cpu_exit *exit, unsigned vector, uint32_t error)
{
	exit->kind = CPU_EXCEPTION;
	exit->vector = vector;
	exit->error = error;
}

/* A page fault: from the tables if they allow it.  True: the caller must see it. */
static bool page_fault(struct cpu *cpu, const struct stop *stop, const struct cpu_regs *regs,
                       struct cpu_exit *exit)
{
	unsigned access = access_of(stop->error);
	bool same = cpu->fault_va == stop->cr2 && cpu->fault_access == access &&
	            cpu->fault_rip == regs->rip;

	cpu->nr_same = same ? cpu->nr_same + 1 : 0;
	cpu->fault_va = stop->cr2;
	cpu->fault_access = access;
	cpu->fault_rip = regs->rip;
	if (!list_shows(cpu, stop->cr2, access, NR_EXTENTS)) {
		cpu->nr_same = 0;
		exit_fault(cpu, regs, stop->cr2, access, exit);
		return true;
	}
	cpu->stats.refills++;
	cpu->stats.runs++;
	if (cpu->nr_same < NR_SAME_FAULTS)
		return false;
	host_dead(cpu, "the host faults at %#llx, which the page tables allow",
	          (unsigned long long)stop->cr2);
	exit->kind = CPU_DEAD;
	return true;
}

static void system_call(struct cpu *cpu, const struct stop *stop, struct cpu_regs *regs,
                        struct cpu_exit *exit)
{
	if (stop->arch != AUDIT_ARCH_X86_64) { /* int $0x80 */
		regs->rip -= 2;
		exit_exception(exit, VECTOR_GP, INT80_ERROR);
	} else if (stop->call_from >= VSYSCALL && stop->call_from < VSYSCALL_END) {
		/* the host emulated the return from there already */
		regs->rip = stop->call_from;
		regs->gpr[CPU_RSP] -= 8;
		exit_fault(cpu, regs, stop->call_from, CPU_EXEC, exit);
	} else {
		regs->gpr[CPU_RCX] = regs->rip;
		regs->gpr[CPU_R11] = regs->rflags;
		exit->kind = CPU_SYSCALL;
		cpu->stats.syscalls++;
	}
}

static bool take_kick(struct cpu *cpu, struct cpu_exit *exit)
{
	if (!atomic_exchange(&cpu->kicked, false))
		return false;
	exit->kind = CPU_KICKED;
	return true;
}

/* Why did the program stop?  False: for nothing the caller should know of. */
static bool stopped(struct cpu *cpu, struct cpu_regs *regs, struct cpu_exit *exit)
{
	struct stop stop = stop_read(cpu);

	regs_read(cpu, regs);
	if (stop.signal == HOST_TICK)
		host_link_tick(cpu);
	if (stop.signal == HOST_TICK || stop.signal == HOST_KICK ||
	    stop.code <= 0) /* sent by some process */
		return take_kick(cpu, exit);
	if (stop.signal == SIGSYS) {
		system_call(cpu, &stop, regs, exit);
		return true;
	}
	if (stop.signal == SIGILL) { /* also from system calls, with the last trap's number */
		exit_exception(exit, VECTOR_UD, 0);
		return true;
	}
	if (stop.trapno != VECTOR_PAGE) {
		exit_exception(exit, (uint32_t)stop.trapno & 0xff, (uint32_t)stop.error);
		return true;
	}
	if (stop.signal == SIGSEGV)
		return page_fault(cpu, &stop, regs, exit);
	host_dead(cpu, "the host has no memory left for the machine's RAM");
	exit->kind = CPU_DEAD;
	return true;
}

static void prepare(struct cpu *cpu, const struct cpu_regs *regs)
{
	regs_write(cpu, regs); /* first: its commands are not lost when a later one fails */
	list_flushes(cpu);
	if (cpu->fault_open && cpu->fault_rip == regs->rip)
		list_shows(cpu, cpu->fault_va, cpu->fault_access, NR_EXTENTS);
	else
		cpu->nr_same = 0;
	cpu->fault_open = false;
}

/* Can the stub load that base?  wrfsbase wants it canonical, arch_prctl a user address. */
static bool base_fits(const struct cpu *cpu, uint64_t base)
{
	uint64_t half = UINT64_C(1) << 47;

	return cpu->fsgsbase ? base + half < 2 * half : base < HOST_TASK_END;
}

/* States that no program can be in, which the way back would not survive. */
static bool refuse(struct cpu *cpu, const struct cpu_regs *regs, struct cpu_exit *exit)
{
	if (regs->rip >= cpu->base && regs->rip < cpu->base + ROOM_BYTES) {
		exit_fault(cpu, regs, regs->rip, CPU_EXEC, exit);
		return true;
	}
	if (base_fits(cpu, regs->fs_base) && base_fits(cpu, regs->gs_base))
		return false;
	exit_exception(exit, VECTOR_GP, 0);
	return true;
}

static void host_run(struct cpu *cpu, struct cpu_regs *regs, struct cpu_exit *exit)
{
	*exit = (struct cpu_exit){.kind = CPU_DEAD};
	if (cpu->dead || refuse(cpu, regs, exit))
		return;
	/* order: a kick either is seen here, or sees in_user and sends its signal */
	atomic_store(&cpu->in_user, true);
	if (!take_kick(cpu, exit)) {
		prepare(cpu, regs);
		cpu->stats.runs++;
		while (go(cpu) && !stopped(cpu, regs, exit))
			continue;
	}
	atomic_store(&cpu->in_user, false);
	if (cpu->drop)
		cpu->flush_all = true;
}

static void host_tlb_flush(struct cpu *cpu, uint64_t va, uint64_t nr_pages)
{
	struct flush *last = cpu->nr_flushes ? &cpu->flushes[cpu->nr_flushes - 1] : NULL;
	uint64_t end = va + nr_pages * HOST_PAGE;

	if (va >= cpu->env->user_end || cpu->flush_all || !cpu->nr_maps)
		return;
	if (nr_pages > (cpu->env->user_end - va) / HOST_PAGE) {
		nr_pages = (cpu->env->user_end - va) / HOST_PAGE;
		end = cpu->env->user_end;
	}
	if (last && va >= last->va && va <= last->va + last->nr_pages * HOST_PAGE) {
		if (end > last->va + last->nr_pages * HOST_PAGE)
			last->nr_pages = (end - last->va) / HOST_PAGE;
	} else if (last && end == last->va) {
		last->va = va;
		last->nr_pages += nr_pages;
	} else if (cpu->nr_flushes < NR_FLUSHES) {
		cpu->flushes[cpu->nr_flushes++] = (struct flush){va, nr_pages};
	} else {
		cpu->flush_all = true;
	}
}

/* Table frames are not known to the host: nothing to forget. */
static void host_table_free(struct cpu *cpu, uint64_t pfn, unsigned level)
{
	(void)cpu;
	(void)pfn;
	(void)level;
}

static void host_kick(struct cpu *cpu)
{
	pid_t pid = atomic_load(&cpu->pid);

	atomic_store(&cpu->kicked, true);
	if (atomic_load(&cpu->in_user) && pid > 0)
		syscall(SYS_tgkill, pid, pid, HOST_KICK);
	host_link_kick(cpu);
}

static void host_stats(const struct cpu *cpu, struct cpu_stats *out)
{
	*out = cpu->stats;
}

static const char *host_why(const struct cpu *cpu)
{
	return cpu ? cpu->why : open_why;
}

static uint64_t number_from(const char *text, uint64_t otherwise)
{
	char *end;
	unsigned long long value;

	if (!text || !*text)
		return otherwise;
	value = strtoull(text, &end, 10);
	return *end ? otherwise : value;
}

/* Mappings the host allows one process, less some for the room and for cuts. */
static uint64_t host_max_maps(void)
{
	char text[32] = "";
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	uint64_t count;

	if (file) {
		if (fgets(text, sizeof text, file))
			text[strcspn(text, "\n")] = 0;
		fclose(file);
	}
	count = number_from(text, 65530);
	return number_from(getenv("TUXMM_CPU_HOST_MAPS"), count - count / 16);
}

static int host_open(const struct cpu_env *env, void *space, struct cpu **out)
{
	struct cpu *cpu;
	int err;

	if (env->user_end > CPU_HOST_USER_END)
		return -EINVAL;
	cpu = calloc(1, sizeof *cpu + NR_SHOWN * sizeof *cpu->shown);
	if (!cpu)
		return -ENOMEM;
	cpu->shown = (struct shown *)(cpu + 1);
	cpu->era = 1;
	cpu->env = env;
	cpu->space = space;
	cpu->room_fd = -1;
	cpu->drop = number_from(getenv("TUXMM_CPU_HOST_DROP"), 0);
	cpu->max_maps = host_max_maps();
	host_link_begin(cpu);
	err = host_child_start(cpu);
	if (!err && !host_frame_read(cpu)) {
		host_dead(cpu, "the host saves no XSAVE image with a signal");
		err = -EOPNOTSUPP;
	}
	if (err) {
		memcpy(open_why, cpu->why, sizeof open_why);
		host_child_end(cpu);
		free(cpu);
		return err;
	}
	host_fpu_reset(cpu);
	*out = cpu;
	return 0;
}

static void host_close(struct cpu *cpu)
{
	host_link_end(cpu);
	host_child_end(cpu);
	free(cpu);
}

const struct cpu_ops cpu_host_ops = {
	.name = "host",
	.probe = host_probe,
	.open = host_open,
	.run = host_run,
	.tlb_flush = host_tlb_flush,
	.table_free = host_table_free,
	.kick = host_kick,
	.fpu_get = host_fpu_get,
	.fpu_set = host_fpu_set,
	.stats = host_stats,
	.why = host_why,
	.close = host_close,
};
