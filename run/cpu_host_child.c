/*
 * cpu_host_child.c - birth and death of a task's host process
 *
 * The host process is a fork of tuxmm that never returns to C: it enters the stub,
 * which puts the room in place and then executes a list of system calls prepared
 * here, until nothing of tuxmm is left in it: no mapping, no descriptor but the
 * arena, no terminal, no signal handler but the stub's.  Its last call installs a
 * filter: from then on only the stub's own page reaches the host kernel, and only
 * with the calls it needs; any other system call becomes SIGSYS.
 *
 *   0 ............................ base  base+ROOM_BYTES ... 0x7ffffffff000
 *   the program's, empty           room  nothing
 *
 * What the program could still do is jump into the stub and have it map other frames
 * of the arena.  So it can damage the machine it runs on, which is its own, and not
 * the host.
 *
 * It is no child in the usual sense: it ends without SIGCHLD, and only a wait that
 * asks for such children sees it.  It dies with the thread that made it.
 */
#define _GNU_SOURCE
#include "cpu_host_impl.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA_FD    0 /* in the host process */
#define HWCAP2_BASE 2 /* user code may use rdfsbase */

/* The kernel's struct sigaction and stack_t, which glibc hides. */
struct kernel_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000u
#define KERNEL_AUTODISARM  (1u << 31) /* signal frames start at the top whatever rsp is */

struct kernel_stack {
	uint64_t base;
	uint32_t flags;
	uint64_t bytes;
};

/* Arguments of the list's calls; lies where signal frames come later. */
struct setup {
	struct kernel_sigaction action;
	struct kernel_stack stack;
	struct rlimit no_core;
	struct itimerval tick;
	uint64_t mask;
	char name[16];
	struct sock_filter filter[24];
	struct sock_fprog program;
};

static const int handled[] = {SIGSYS, SIGSEGV, SIGBUS,    SIGTRAP,
                              SIGILL, SIGFPE,  HOST_KICK, HOST_TICK};
#define NR_HANDLED (sizeof handled / sizeof *handled)

uint64_t host_child_sigmask(void)
{
	uint64_t mask = ~UINT64_C(0);

	for (size_t i = 0; i < NR_HANDLED; i++)
		mask &= ~(UINT64_C(1) << (handled[i] - 1));
	return mask;
}

/* Where the room will be in the host process: free in our own image, too. */
static uint64_t find_base(void)
{
	for (uint64_t base = CPU_HOST_USER_END; base + ROOM_BYTES <= HOST_TASK_END;
	     base += ROOM_BYTES) {
		void *hint = (void *)(uintptr_t)base;
		void *got = mmap(hint, ROOM_BYTES, PROT_NONE,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (got != MAP_FAILED)
			munmap(got, ROOM_BYTES);
		if (got == hint)
			return base;
	}
	return 0;
}

static struct command *call(struct cpu *cpu, uint32_t nr, uint64_t a, uint64_t b, uint64_t c,
                            uint64_t d, uint64_t e)
{
	return host_command(cpu, nr, (const uint64_t[6]){a, b, c, d, e, 0});
}

/*
 * The filter asks for the instruction pointer first: most calls are the program's and
 * leave after one or two comparisons.
 */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field)                                                                       \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define UNLESS(value, at) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, AT_TRAP - (at)-1)
#define IF(value, at)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, AT_ALLOW - (at)-1, 0)

static void write_filter(const struct cpu *cpu, struct setup *setup, uint64_t setup_at)
{
	enum { AT_TRAP = 16, AT_ALLOW = 17 };
	const struct sock_filter filter[] = {
		LOAD_HIGH(instruction_pointer),
		UNLESS((uint32_t)(cpu->base >> 32), 1),
		LOAD(instruction_pointer),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(ROOM_CONTROL - 1u)),
		UNLESS((uint32_t)cpu->base, 4),
		LOAD(arch),
		UNLESS(AUDIT_ARCH_X86_64, 6),
		LOAD(nr),
		IF(SYS_rt_sigreturn, 8),
		IF(SYS_futex, 9),
		IF(SYS_munmap, 10),
		IF(SYS_arch_prctl, 11),
		UNLESS(SYS_mmap, 12),
		LOAD(args[4]), /* the descriptor */
		UNLESS(ARENA_FD, 14),
		BPF_STMT(BPF_JMP | BPF_JA, AT_ALLOW - 15 - 1),
		[AT_TRAP] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		[AT_ALLOW] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	_Static_assert(sizeof filter <= sizeof setup->filter, "room for the filter");
	memcpy(setup->filter, filter, sizeof filter);
	setup->program.len = sizeof filter / sizeof *filter;
	setup->program.filter =
		(struct sock_filter *)(uintptr_t)(setup_at + offsetof(struct setup, filter));
}

/* Else the kernel writes to it when it is unmapped, and kills the process for that. */
static void unregister_rseq(struct cpu *cpu, uint64_t bytes)
{
	uint64_t thread;

	__asm__("mov %%fs:0, %0" : "=r"(thread));
	call(cpu, SYS_rseq, thread + (uint64_t)__rseq_offset, bytes, RSEQ_FLAG_UNREGISTER,
	     RSEQ_SIG, 0)
		->optional = 1;
}

/* head -> alive -> stopped -> head; every word lies as far from its link. */
static uint64_t link_robust(struct cpu *cpu)
{
	struct control *control = &cpu->room->control;
	uint64_t at = cpu->base + ROOM_CONTROL;
	uint64_t head = at + offsetof(struct control, robust_head);

	_Static_assert(offsetof(struct control, alive) -
	                               offsetof(struct control, robust_alive) ==
	                       offsetof(struct control, stopped) -
	                               offsetof(struct control, robust_stopped),
	               "one offset for both");
	control->robust_head[0] = at + offsetof(struct control, robust_alive);
	control->robust_head[1] = offsetof(struct control, stopped) -
	                          offsetof(struct control, robust_stopped);
	control->robust_alive = at + offsetof(struct control, robust_stopped);
	control->robust_stopped = head;
	return head;
}

/* The calls that make a fork of tuxmm a bare host process, in order. */
static void list_setup(struct cpu *cpu)
{
	struct setup *setup = (struct setup *)(void *)cpu->room->stack;
	uint64_t at = cpu->base + ROOM_STACK, room_end = cpu->base + ROOM_BYTES;

	*setup = (struct setup){
		.action = {.handler = cpu->base, /* the stub begins with its handler */
	                   .flags = SA_SIGINFO | SA_ONSTACK | KERNEL_SA_RESTORER,
	                   .restorer = cpu->base,
	                   .mask = ~UINT64_C(0)},
		.stack = {.base = at,
	                  .flags = KERNEL_AUTODISARM,
	                  .bytes = ROOM_BYTES - ROOM_STACK},
		.tick = {{0, HOST_TICK_MS * 1000}, {0, HOST_TICK_MS * 1000}},
		.mask = host_child_sigmask(),
		.name = "tuxmm-task",
	};
	write_filter(cpu, setup, at);

	unregister_rseq(cpu, 32); /* glibc's has this length, or its own number */
	unregister_rseq(cpu, __rseq_size);
	call(cpu, SYS_munmap, 0, cpu->base, 0, 0, 0);
	call(cpu, SYS_munmap, room_end, HOST_TASK_END - room_end, 0, 0, 0);
	call(cpu, SYS_setsid, 0, 0, 0, 0, 0);
	call(cpu, SYS_dup2, (uint64_t)cpu->env->arena_fd, ARENA_FD, 0, 0, 0);
	call(cpu, SYS_close_range, ARENA_FD + 1, UINT32_MAX, 0, 0, 0);
	call(cpu, SYS_prlimit64, 0, RLIMIT_CORE, at + offsetof(struct setup, no_core), 0, 0);
	call(cpu, SYS_prctl, PR_SET_NAME, at + offsetof(struct setup, name), 0, 0, 0);
	call(cpu, SYS_setitimer, ITIMER_VIRTUAL, at + offsetof(struct setup, tick), 0, 0, 0);
	call(cpu, SYS_set_robust_list, link_robust(cpu), 3 * sizeof(uint64_t), 0, 0, 0);
	call(cpu, SYS_sigaltstack, at + offsetof(struct setup, stack), 0, 0, 0, 0);
	for (size_t i = 0; i < NR_HANDLED; i++)
		call(cpu, SYS_rt_sigaction, (uint64_t)handled[i],
		     at + offsetof(struct setup, action), 0, sizeof setup->action.mask, 0);
	call(cpu, SYS_rt_sigprocmask, SIG_SETMASK, at + offsetof(struct setup, mask), 0,
	     sizeof setup->mask, 0);
	call(cpu, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	call(cpu, SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	     at + offsetof(struct setup, program), 0, 0);
}

static int make_room(struct cpu *cpu)
{
	size_t code_bytes = (size_t)(cpu_host_stub_end - cpu_host_stub);
	void *room;

	cpu->room_fd = (int)syscall(SYS_memfd_create, "tuxmm-room", MFD_CLOEXEC);
	if (cpu->room_fd < 0 || ftruncate(cpu->room_fd, ROOM_BYTES))
		return -errno;
	room = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->room_fd, 0);
	if (room == MAP_FAILED)
		return -errno;
	cpu->room = room;
	memcpy(cpu->room->code, cpu_host_stub, code_bytes);
	cpu->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_BASE;
	cpu->room->control.fsgsbase = cpu->fsgsbase;
	cpu->room->control.parent = (uint32_t)getpid();
	cpu->base = find_base();
	return cpu->base ? 0 : -ENOMEM;
}

/* Fork, with every signal blocked until the stub's handlers are in place. */
static int make_process(struct cpu *cpu)
{
	void (*boot)(struct control *, uint64_t, int) = (void (*)(
		struct control *, uint64_t, int))(uintptr_t)cpu_host_stub_boot;
	sigset_t all, old;
	long pid;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = syscall(SYS_clone, 0, NULL, NULL, NULL, 0); /* 0: no signal when it ends */
	if (!pid)
		boot(&cpu->room->control, cpu->base, cpu->room_fd);
	err = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err) {
		atomic_store(&cpu->pid, (pid_t)pid);
		atomic_store(&cpu->room->control.alive, (uint32_t)pid);
	}
	return err;
}

int host_child_start(struct cpu *cpu)
{
	struct control *control;
	int err = make_room(cpu);

	if (err) {
		host_dead(cpu, "no shared memory for the host process: %s", strerror(-err));
		return err;
	}
	control = &cpu->room->control;
	list_setup(cpu);
	control->count = cpu->nr_commands;
	err = make_process(cpu);
	if (err) {
		host_dead(cpu, "cannot make a host process: %s", strerror(-err));
		return err;
	}
	if (!host_link_wait(cpu)) {
		host_dead(cpu, "the host process died while it was set up");
		return -ECHILD;
	}
	cpu->nr_commands = 0;
	if (control->failed) {
		uint32_t failed = (control->failed - 1) % NR_COMMANDS;

		err = (int)control->command[failed].result;
		host_dead(cpu, "the host refused system call %u to the host process: %s",
		          (unsigned)control->command[failed].nr, strerror(-err));
		return err;
	}
	close(cpu->room_fd);
	cpu->room_fd = -1;
	return 0;
}

bool host_child_gone(struct cpu *cpu)
{
	siginfo_t info = {0};
	pid_t pid = atomic_load(&cpu->pid);

	/* left unreaped, so that the number stays ours until close */
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL))
		return true;
	return info.si_pid == pid;
}

void host_child_end(struct cpu *cpu)
{
	pid_t pid = atomic_exchange(&cpu->pid, 0);
	siginfo_t info;

	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) && errno == EINTR)
			continue;
	}
	if (cpu->room)
		munmap(cpu->room, sizeof *cpu->room);
	if (cpu->room_fd >= 0)
		close(cpu->room_fd);
	cpu->room = NULL;
	cpu->room_fd = -1;
}
