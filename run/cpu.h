/*
 * cpu.h - what a CPU back end does: run a task's user code until it traps
 *
 * A back end executes user instructions natively and returns at each system
 * call, page fault, exception or kick.  The page tables in the arena are the
 * truth; whatever the back end holds (host mappings, a hardware TLB) is a cache
 * of them that it fills through cpu_env.walk and drops when told.
 *
 * A struct cpu executes one address space.  Nothing here knows VMAs, files or
 * system call numbers.
 *
 * Errors   negated Linux error numbers; details through cpu_ops.why
 * Threads  a struct cpu is used by one thread at a time; cpu_ops.kick alone may
 *          come from any thread and from a signal handler
 */
#ifndef TUXMM_RUN_CPU_H
#define TUXMM_RUN_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Order of the x86 instruction encoding, so gpr[4] is rsp. */
enum cpu_gpr {
	CPU_RAX,
	CPU_RCX,
	CPU_RDX,
	CPU_RBX,
	CPU_RSP,
	CPU_RBP,
	CPU_RSI,
	CPU_RDI,
	CPU_R8,
	CPU_R9,
	CPU_R10,
	CPU_R11,
	CPU_R12,
	CPU_R13,
	CPU_R14,
	CPU_R15,
	CPU_NR_GPR
};

/* The user's view of its registers. */
struct cpu_regs {
	uint64_t gpr[CPU_NR_GPR];
	uint64_t rip;
	uint64_t rflags;
	uint64_t fs_base;
	uint64_t gs_base;
};

enum cpu_exit_kind {
	CPU_SYSCALL, /* rip is behind the instruction, rcx = rip, r11 = rflags, rax = number */
	CPU_FAULT,   /* page fault: address, error; rip at the faulting instruction */
	CPU_EXCEPTION, /* any other exception: vector, error; rip as the processor reports it */
	CPU_KICKED,    /* cpu_ops.kick was called; registers are between two instructions */
	CPU_DEAD       /* the back end lost its host process or vCPU: cpu_ops.why says how */
};

/* Bits of the x86 page-fault error code, as in cpu_exit.error. */
#define CPU_PF_PRESENT UINT32_C(0x01)
#define CPU_PF_WRITE   UINT32_C(0x02)
#define CPU_PF_USER    UINT32_C(0x04)
#define CPU_PF_RSVD    UINT32_C(0x08)
#define CPU_PF_FETCH   UINT32_C(0x10)

struct cpu_exit {
	enum cpu_exit_kind kind;
	uint64_t address; /* FAULT: linear address touched */
	uint32_t error;   /* FAULT, EXCEPTION: x86 error code */
	uint32_t vector; /* EXCEPTION: 0 divide, 1 debug, 3 breakpoint, 6 invalid opcode, ... */
};

/* What an access wants and what an extent grants. */
#define CPU_READ  1u
#define CPU_WRITE 2u
#define CPU_EXEC  4u

/*
 * Adjacent pages that one host mapping can show: equal rights, frames rising
 * with the address.
 */
struct cpu_extent {
	uint64_t va;       /* first address, page aligned */
	uint64_t pfn;      /* frame behind it; pfn * 4096 is its offset in the arena */
	uint64_t nr_pages; /* >= 1 */
	unsigned rights;   /* CPU_READ | ...; CPU_WRITE only where the entry is dirty */
};

/* The machine as a back end sees it. */
struct cpu_env {
	int arena_fd;         /* memfd holding all of RAM */
	uint64_t arena_bytes; /* its length */
	uint64_t user_end;    /* task addresses end here; above it the back end may live */

	/*
	 * Walk the tables of `space` for an access to va, one of CPU_READ,
	 * CPU_WRITE, CPU_EXEC.  Returns how many extents were written to out (at
	 * most max; 0: not present or not allowed).  One of them holds va; the
	 * others are present pages near it, sorted by address.  Sets the accessed
	 * bit of what it returns, and the dirty bit of va's page when access is
	 * CPU_WRITE.  Also asked for a read after a write or fetch was refused:
	 * that tells CPU_PF_PRESENT.
	 */
	size_t (*walk)(void *space, uint64_t va, unsigned access, struct cpu_extent *out,
	               size_t max);
};

struct cpu; /* fields: the back end's own */

/* Counters a back end keeps: 0 at open, the same in equal runs. */
struct cpu_stats {
	uint64_t runs;     /* times user code was entered */
	uint64_t syscalls; /* exits of each kind */
	uint64_t faults;
	uint64_t refills;   /* faults answered from the tables without an exit */
	uint64_t shown;     /* pages shown to the program */
	uint64_t shows;     /* host mappings made for them */
	uint64_t flushes;   /* host unmappings */
	uint64_t overflows; /* everything dropped because the host ran out of mappings */
};

struct cpu_ops {
	const char *name; /* "host", "kvm" */

	/* Can it work here?  0, or a negated errno and a sentence why not. */
	int (*probe)(char *why, size_t why_bytes);

	/*
	 * Make an execution context for one address space; `space` is handed to
	 * env->walk.  env must outlive it, and so must the calling thread; -EINVAL
	 * when env->user_end is beyond what this back end leaves to a task.
	 */
	int (*open)(const struct cpu_env *env, void *space, struct cpu **out);

	/*
	 * Run user code from *regs until it traps; *regs is then the state at the
	 * trap.  After CPU_FAULT the caller repairs the tables and calls run
	 * again: the page that faulted, and its present neighbours, are shown
	 * before the first instruction runs.
	 */
	void (*run)(struct cpu *cpu, struct cpu_regs *regs, struct cpu_exit *exit);

	/*
	 * Forget [va, va + nr_pages * 4096): called after any loss of rights or
	 * clearing of an accessed or dirty bit.  Takes effect before the next
	 * user instruction.  May be called between runs only.
	 */
	void (*tlb_flush)(struct cpu *cpu, uint64_t va, uint64_t nr_pages);

	/* A page-table frame is about to be used for something else. */
	void (*table_free)(struct cpu *cpu, uint64_t pfn, unsigned level);

	/* Make run return CPU_KICKED soon; sticky; async-signal-safe. */
	void (*kick)(struct cpu *cpu);

	/*
	 * The extended state (x87, SSE, AVX, ...) as XSAVE lays it out, standard
	 * format.  get returns its length, or -ENOSPC when `bytes` is too small;
	 * set answers -EINVAL for a state the processor would refuse.
	 */
	long (*fpu_get)(struct cpu *cpu, void *state, size_t bytes);
	int (*fpu_set)(struct cpu *cpu, const void *state, size_t bytes);

	void (*stats)(const struct cpu *cpu, struct cpu_stats *out);

	/* Why the last run said CPU_DEAD; of NULL: why this thread's last open failed. */
	const char *(*why)(const struct cpu *cpu);

	/* End it: its host process is gone when this returns. */
	void (*close)(struct cpu *cpu);
};

extern const struct cpu_ops cpu_host_ops;

/* The first address the host back end needs for itself: user space ends there. */
#define CPU_HOST_USER_END UINT64_C(0x7ffff7e00000)

#endif
