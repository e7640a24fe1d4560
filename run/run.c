/*
 * run.c - run one real program on a machine
 *
 *   load     task_load()
 *   loop     user code until it traps; serve the trap; deliver signals
 *   end      what was used is noted while the address space is still there
 *
 *   I1  task->restarting only between syscall_do() and signal_deliver()
 */
#define _GNU_SOURCE
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "signals.h"
#include "syscalls.h"
#include "task.h"

#define DEFAULT_STACK (UINT64_C(8) << 20)
#define DEFAULT_FILES 1024u
#define STDIO_FROM    10 /* the program's host descriptors are not 0, 1, 2 */

_Static_assert(RLIM_NLIMITS == 16, "task.limits has room for all");

/* A fault the program cannot have repaired: its signal. */
static void fault_signal(struct task *task, const struct cpu_exit *exit, enum tmm_fault fault)
{
	bool bus = fault == TMM_FAULT_BUS;
	siginfo_t info = {.si_signo = bus ? SIGBUS : SIGSEGV};
	const char *what = exit->error & CPU_PF_FETCH   ? "execution"
	                   : exit->error & CPU_PF_WRITE ? "write"
	                                                : "read";
	const char *where = bus ? "beyond the end of its file, or not to be read from it"
	                    : fault == TMM_FAULT_ACCERR ? "which its mapping does not allow"
	                                                : "where nothing is mapped";
	char why[200];

	info.si_code = bus ? BUS_ADRERR : fault == TMM_FAULT_ACCERR ? SEGV_ACCERR : SEGV_MAPERR;
	info.si_addr = (void *)(uintptr_t)exit->address;
	task->signals.trap_number = 14;
	task->signals.trap_error = exit->error;
	task->signals.trap_address = exit->address;
	snprintf(why, sizeof(why),
	         "killed by %s: %s of address %#llx, %s (at instruction %#llx)",
	         bus ? "SIGBUS" : "SIGSEGV", what, (unsigned long long)exit->address, where,
	         (unsigned long long)task->regs.rip);
	signal_force(task, &info, why);
}

static void page_fault(struct task *task, const struct cpu_exit *exit)
{
	unsigned access = exit->error & CPU_PF_FETCH   ? TMM_ACCESS_EXEC
	                  : exit->error & CPU_PF_WRITE ? TMM_ACCESS_WRITE
	                                               : TMM_ACCESS_READ;
	enum tmm_fault fault = tmm_mm_fault(task->mm, exit->address, access);

	if (fault == TMM_FAULT_OOM)
		task_oom(task, exit->address, "no page for a fault");
	else if (fault != TMM_FAULT_OK)
		fault_signal(task, exit, fault);
}

/* Why SSE arithmetic trapped: exceptions that happened and are not masked. */
static int sse_code(struct task *task)
{
	unsigned char state[16384];
	uint32_t mxcsr, raised;

	if (task->config->cpu->fpu_get(task->cpu, state, sizeof(state)) < 576)
		return FPE_FLTINV;
	memcpy(&mxcsr, state + 24, sizeof(mxcsr));
	raised = mxcsr & ~(mxcsr >> 7) & 0x3f;
	if (raised & 0x01)
		return FPE_FLTINV;
	if (raised & 0x04)
		return FPE_FLTDIV;
	if (raised & 0x08)
		return FPE_FLTOVF;
	if (raised & 0x12)
		return FPE_FLTUND;
	return FPE_FLTRES;
}

static void exception(struct task *task, const struct cpu_exit *exit)
{
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = SI_KERNEL};
	uint64_t addr = task->regs.rip;
	char name[32], why[160];

	switch (exit->vector) {
	case 0: /* divide */
		info.si_signo = SIGFPE;
		info.si_code = FPE_INTDIV;
		break;
	case 1: /* debug: single step, or int1 */
		info.si_signo = SIGTRAP;
		info.si_code = TRAP_TRACE;
		break;
	case 3: /* breakpoint */
		info.si_signo = SIGTRAP;
		addr = 0;
		break;
	case 6: /* invalid opcode */
		info.si_signo = SIGILL;
		info.si_code = ILL_ILLOPN;
		break;
	case 12: /* stack segment: an address that is not canonical */
		info.si_signo = SIGBUS;
		addr = 0;
		break;
	case 16: /* x87 */
		info.si_signo = SIGFPE;
		info.si_code = FPE_FLTINV;
		break;
	case 17: /* alignment check */
		info.si_signo = SIGBUS;
		info.si_code = BUS_ADRALN;
		addr = 0;
		break;
	case 19: /* SSE */
		info.si_signo = SIGFPE;
		info.si_code = sse_code(task);
		break;
	default: /* overflow, bound, general protection */
		addr = 0;
		break;
	}
	info.si_addr = (void *)(uintptr_t)addr;
	task->signals.trap_number = exit->vector;
	task->signals.trap_error = exit->error;
	snprintf(why, sizeof(why), "killed by %s: exception %u (at instruction %#llx)",
	         signal_name(info.si_signo, name, sizeof(name)), exit->vector,
	         (unsigned long long)task->regs.rip);
	signal_force(task, &info, why);
}

static void run_once(struct task *task)
{
	const struct cpu_ops *cpu = task->config->cpu;
	struct cpu_exit exit = {.kind = CPU_DEAD};
	uint64_t start = task_now_ns();

	cpu->run(task->cpu, &task->regs, &exit);
	task->user_ns += task_now_ns() - start;
	switch (exit.kind) {
	case CPU_SYSCALL:
		task->result->syscalls++;
		syscall_do(task);
		break;
	case CPU_FAULT:
		page_fault(task, &exit);
		break;
	case CPU_EXCEPTION:
		exception(task, &exit);
		break;
	case CPU_KICKED:
		break;
	case CPU_DEAD:
		snprintf(task->result->why, sizeof(task->result->why),
		         "the program's host process is lost: %.180s", cpu->why(task->cpu));
		task_exit(task, RUN_STATUS_FAILED);
		break;
	}
}

static void loop(struct task *task)
{
	while (!task->ended) {
		run_once(task);
		if (tmm_machine_is_woken(task->config->machine))
			tmm_machine_background(task->config->machine);
		host_signals_take(task);
		if (task->signals.pending || task->restarting || task->signals.restore)
			signal_deliver(task);
	}
}

/* The user's stdin, stdout, stderr under the same numbers. */
static int inherit_stdio(struct task *task)
{
	for (int fd = 0; fd < 3; fd++) {
		int host, got;

		if (fd == task->config->arena_fd || fcntl(fd, F_GETFD) < 0)
			continue;
		host = fcntl(fd, F_DUPFD_CLOEXEC, STDIO_FROM);
		if (host < 0)
			return -errno;
		got = fd_install(&task->fds, host, (unsigned)fd, false);
		if (got < 0)
			return got;
	}
	return 0;
}

static void read_limits(struct task *task)
{
	uint64_t stack = task->config->stack_bytes ? task->config->stack_bytes : DEFAULT_STACK;

	for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)i, &limit))
			limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
		task->limits[i][0] = limit.rlim_cur;
		task->limits[i][1] = limit.rlim_max;
	}
	task->limits[RLIMIT_STACK][0] = stack;
	if (task->limits[RLIMIT_STACK][1] < stack)
		task->limits[RLIMIT_STACK][1] = stack;
}

static int fail(struct task *task, const char *what, int err)
{
	snprintf(task->result->why, sizeof(task->result->why), "%s: %s", what, strerror(-err));
	return RUN_STATUS_FAILED;
}

/* Any seed, 0 among them, makes a generator that is not stuck at 0. */
static void seed_random(struct task *task)
{
	const uint64_t stir = UINT64_C(0x9e3779b97f4a7c15);

	task->random = task->config->seed == stir ? stir : task->config->seed ^ stir;
	for (int i = 0; i < 8; i++)
		task_random(task); /* near seeds drift apart */
}

/* Room for tuxmm's own descriptors beside all that the program may have. */
static void raise_files(struct task *task)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	task->files_limit_host = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void lower_files(const struct task *task)
{
	struct rlimit limit;

	if (task->files_limit_host && !getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = task->files_limit_host;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Everything a program needs besides its memory. */
static int prepare(struct task *task)
{
	uint64_t files;
	int err;

	sys_tree_init(&task->sys_tree);
	task->umask = umask(0);
	umask(task->umask);
	seed_random(task);
	task->dumpable = 1;
	read_limits(task);
	raise_files(task);
	files = task->limits[RLIMIT_NOFILE][0];
	fd_table_init(&task->fds, files < INT32_MAX ? (unsigned)files : DEFAULT_FILES);
	task->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (task->cwd_fd < 0)
		return fail(task, "cannot open the working directory", -errno);
	err = inherit_stdio(task);
	if (err)
		return fail(task, "cannot take over stdin, stdout, stderr", err);
	err = host_signals_start(task);
	if (err)
		return fail(task, "cannot catch signals", err);
	task->env = (struct cpu_env){.arena_fd = task->config->arena_fd,
	                             .arena_bytes = task->config->arena_bytes,
	                             .user_end = CPU_HOST_USER_END,
	                             .walk = task_walk};
	tmm_machine_on_oom(task->config->machine, task_note_oom, task);
	files_init(&task->files, tmm_machine_cache(task->config->machine), NULL);
	tmm_cpu_set_task(task->config->machine, TASK_PID);
	return 0;
}

static int by_count(const void *a, const void *b)
{
	const struct run_unknown *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->number < y->number ? -1 : 1;
}

/* The most frequent first; all of them are sorted before the rest is left out. */
static void list_unknown(const struct task *task, struct run_result *result)
{
	struct run_unknown all[sizeof(task->unknown) / sizeof(*task->unknown)];
	unsigned nr = 0;

	for (uint32_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const char *name = syscall_name(i);

		if (task->unknown[i])
			all[nr++] = (struct run_unknown){i, name ? name : "?",
			                                 task->unknown[i]};
	}
	qsort(all, nr, sizeof(*all), by_count);
	result->nr_unknown = nr < RUN_MAX_UNKNOWN ? nr : RUN_MAX_UNKNOWN;
	memcpy(result->unknown, all, result->nr_unknown * sizeof(*all));
}

/* The program has run: what it used, while its memory is there. */
static void look_back(struct task *task, mode_t umask_before)
{
	const struct run_config *config = task->config;
	struct tmm_task_id id;

	task_usage(task, &task->result->usage);
	list_unknown(task, task->result);
	umask(umask_before);
	task_id(task, &id);
	if (config->at_end)
		config->at_end(config->at_end_arg, task->mm, &id);
}

static int begin(struct task *task)
{
	const struct load_request request = {
		.name = task->config->argv[0],
		.search = true,
		.argv = task->config->argv,
		.envp = task->config->envp,
	};
	struct load_failure failure;
	int status = task_load(task, &request, &failure);

	if (status) {
		memcpy(task->result->why, failure.why, sizeof(failure.why));
		return status;
	}
	return task_open_cpu(task);
}

static void run_task(struct task *task)
{
	mode_t umask_before;
	int status = prepare(task);

	umask_before = task->umask;
	if (!status)
		status = begin(task);
	if (status) {
		task->result->status = status;
	} else {
		loop(task);
		task_close_cpu(task);
		look_back(task, umask_before);
	}
	tmm_machine_on_oom(task->config->machine, NULL, NULL);
	host_signals_stop();
	umask(umask_before);
	fd_table_fini(&task->fds);
	if (task->mm)
		tmm_mm_put(task->mm);
	if (task->cwd_fd >= 0)
		close(task->cwd_fd);
	sys_tree_fini(&task->sys_tree);
	lower_files(task);
	free(task->exe_path);
	free(task->cmdline);
	free(task->auxv);
}

int run_program(const struct run_config *config, struct run_result *out)
{
	uint64_t start = task_now_ns();
	struct task *task;

	memset(out, 0, sizeof(*out));
	task = run_alloc(sizeof(*task));
	if (task) {
		task->config = config;
		task->result = out;
		run_task(task);
		free(task);
	} else {
		out->status = RUN_STATUS_FAILED;
		snprintf(out->why, sizeof(out->why),
		         "this host has no memory to run a program");
	}
	out->wall_seconds = (double)(task_now_ns() - start) / 1e9;
	return out->status;
}
