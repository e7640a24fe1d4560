/*
 * task.h - one running program: its memory, registers, files, signals
 *
 * A struct task is made by run_program() and lives as long as the program.  The
 * system calls (sys_*.c) work on it; each answers what Linux's would, negated
 * errno included.
 *
 * Units    times in nanoseconds of CLOCK_MONOTONIC unless said
 * Owning   run_program() owns the task; everything in it goes with it
 * Threads  one; host signal handlers touch only what signal_host.c says
 * Linux    struct task_struct
 */
#ifndef TUXMM_RUN_TASK_H
#define TUXMM_RUN_TASK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "fd_table.h"
#include "files.h"
#include "run.h"
#include "sys_tree.h"

/* The program believes to be alone on its machine: nobody but init is before it. */
#define TASK_PID  100
#define TASK_PPID 1

#define TASK_NSIG 64

/* A call that a signal broke off: begun again unless a handler says otherwise. */
#define RESTARTSYS 512

/* The kernel's struct sigaction, which glibc hides. */
struct task_action {
	uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

/* Signals are numbered from 1; bit n - 1 of a mask is signal n. */
struct task_signals {
	struct task_action action[TASK_NSIG + 1];
	siginfo_t info[TASK_NSIG + 1]; /* of those in `pending` */
	uint64_t pending;
	uint64_t blocked;
	uint64_t saved;  /* blocked, as it was before a call replaced it ... */
	bool restore;    /* ... and must be again once a handler has been entered */
	uint64_t alt_sp; /* sigaltstack */
	uint64_t alt_bytes;
	uint32_t alt_flags;                             /* SS_DISABLE, SS_AUTODISARM */
	uint64_t trap_number, trap_error, trap_address; /* of the last fault, for ucontext */
};

#define TASK_MAX_PIECES 1024 /* IOV_MAX */

struct task {
	const struct run_config *config;
	tmm_gfp oom_gfp; /* of the request that nothing was left for; 0: none yet */
	unsigned oom_order;
	struct run_result *result;

	/* memory and processor */
	struct tmm_mm *mm;
	struct tmm_mm_usage before; /* of the programs that execve() replaced */
	struct cpu_env env;
	struct cpu *cpu;
	struct cpu_regs regs;

	/* the call in progress */
	uint64_t nr;     /* its number */
	bool restarting; /* it answered RESTARTSYS */

	/* the end */
	bool ended;

	/* files */
	struct fd_table fds;
	struct files files;
	int cwd_fd; /* the working directory; tuxmm's own stays where it is */
	struct sys_tree sys_tree;
	char *exe_path; /* what /proc/self/exe names */
	mode_t umask;
	unsigned drop_caches; /* what was written there last */
	char *cmdline;        /* arguments, each with its NUL */
	size_t cmdline_bytes;
	unsigned char *auxv;
	size_t auxv_bytes;
	struct tmm_user_piece piece[TASK_MAX_PIECES]; /* of one transfer */
	struct iovec iov[TASK_MAX_PIECES];
	struct iovec user_iov[TASK_MAX_PIECES];

	struct task_signals signals;

	char comm[16];
	uint64_t random;        /* state of the seeded generator */
	uint64_t limits[16][2]; /* rlimits: soft, hard */
	uint64_t
		files_limit_host; /* tuxmm's own RLIMIT_NOFILE, to be put back; 0: not raised */
	uint64_t started_ns;
	uint64_t user_ns;                               /* spent in cpu_ops.run */
	uint64_t dumpable, no_new_privs, pdeath_signal; /* what prctl() was told */

	uint64_t unknown[512]; /* calls answered ENOSYS, by number */
};

/* Host memory, zeroed; NULL when there is none.  A failure point. */
void *run_alloc(size_t bytes);

/* task_space.c: cpu_env.walk; `space` is a struct tmm_pgtable. */
size_t task_walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out, size_t max);

/* Make a cpu for task->mm: 0, or RUN_STATUS_FAILED and a line in result->why. */
int task_open_cpu(struct task *task);
void task_close_cpu(struct task *task);

/* Give up the cpu and the address space, if there are any; their usage is kept. */
void task_drop_space(struct task *task);

/* task->mm's usage; peaks and faults are those of the programs before it too. */
void task_usage(const struct task *task, struct tmm_mm_usage *out);

/* The program ends with this status once the current trap is dealt with. */
void task_exit(struct task *task, int status);

/* It ends as by a signal; `why` is one line for the user. */
__attribute__((format(printf, 3, 4))) void task_kill(struct task *task, int signal,
                                                     const char *format, ...);

/*
 * As the machine asks, where nothing is left to reclaim: the task is the only one to
 * kill, and holds its own memory's lock; it is noted what for, and task_oom() ends it.
 */
bool task_note_oom(void *arg, tmm_gfp gfp, unsigned order);

/* It ends as the OOM killer would have it; wanted says what could not be had. */
void task_oom(struct task *task, uint64_t addr, const char *wanted);

/* xorshift64*: what randomness there is comes from the seed. */
uint64_t task_random(struct task *task);
void task_random_fill(struct task *task, void *to, size_t bytes);

uint64_t task_now_ns(void);

/* What /proc/PID/status wants to know besides memory. */
void task_id(const struct task *task, struct tmm_task_id *out);

/*
 * User memory.  0, or -EFAULT; where memory ran out the task is killed as well.
 */
int user_get(struct task *task, void *to, uint64_t from, size_t bytes);
int user_put(struct task *task, uint64_t to, const void *from, size_t bytes);

/*
 * A path or other string into a buffer of `bytes`: its length, -EFAULT, or
 * -ENAMETOOLONG.
 */
int64_t user_string(struct task *task, char *to, uint64_t from, size_t bytes);

/*
 * Copy nr user iovecs to task->user_iov.  Their sum of bytes, cut off where
 * Linux does, or -EINVAL, -EFAULT.
 */
int64_t user_iovecs(struct task *task, uint64_t from, uint64_t nr);

/*
 * Why could [addr, ...) not be had?  -EFAULT; kills the task where memory ran out.
 * True: it can be now, try again.
 */
bool user_repair(struct task *task, uint64_t addr, unsigned access);

#endif
