/*
 * cpu_host_impl.h - what the files of the host CPU back end share
 *
 *   cpu_host.c        the operations: run, flush, show, kick
 *   cpu_host_child.c  birth and death of the host process
 *   cpu_host_link.c   the hand-over between the two processes, and on which CPU
 *   cpu_host_shown.c  a memory of what is mapped, to map less
 *   cpu_host_fpu.c    extended registers in the signal frame
 *   cpu_host_probe.c  does all that work here?
 *   cpu_host_stub.S   the code inside the host process
 */
#ifndef TUXMM_RUN_CPU_HOST_IMPL_H
#define TUXMM_RUN_CPU_HOST_IMPL_H

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "cpu.h"
#include "cpu_host_stub.h"

#define HOST_PAGE      4096u
#define HOST_TASK_END  UINT64_C(0x7ffffffff000) /* of Linux with four-level tables */
#define HOST_KICK      SIGUSR1
#define HOST_TICK      SIGVTALRM
#define HOST_TICK_MS   50
#define HOST_MAP_FLAGS (MAP_SHARED | MAP_FIXED | MAP_POPULATE)

#define NR_EXTENTS     16u   /* asked of one walk */
#define NR_FLUSHES     16u   /* ranges remembered before a flush becomes a whole one */
#define NR_SHOWN       1024u /* pages remembered as shown */
#define NR_SAME_FAULTS 4u    /* a fault shown this often and still there will never end */

/* Where a host process and its tuxmm thread run; see cpu_host_link.c. */
struct place {
	bool together;    /* they share a CPU */
	int cpu;          /* the one the host process is pinned to, or -1 */
	uint64_t since;   /* when they began to; this and the next in coarse milliseconds */
	uint64_t counted; /* when nr_traps began to count; 0: join without counting */
	uint64_t nr_traps;
};

/* Pages [va, va + nr_pages * 4096) to be unmapped at the next resume. */
struct flush {
	uint64_t va;
	uint64_t nr_pages;
};

/* A page that was shown, in a table indexed by the low bits of its number. */
struct shown {
	uint64_t vpn;
	uint64_t what; /* era, frame and rights */
};

/*
 * (c) constant after open  (u) the thread that uses the cpu  (a) atomic, any thread
 */
struct cpu {
	const struct cpu_env *env; /* (c) */
	void *space;               /* (c) */
	struct room *room;         /* (c) our mapping of the room */
	uint64_t base;             /* (c) the host process's mapping of it */
	int room_fd;               /* (c) -1 once the host process has it */
	bool drop;                 /* (c) debug mode: every exit drops every mapping */
	bool fsgsbase;             /* (c) user code can change its bases by itself */
	uint64_t max_maps;         /* (c) host mappings before all are dropped */
	uint32_t mxcsr_mask;       /* (c) */

	_Atomic pid_t pid;    /* (a) the host process; 0: none */
	_Atomic bool kicked;  /* (a) a kick nobody was told of yet */
	_Atomic bool in_user; /* (a) the host process may run user code */

	bool dead;                        /* (u) the host process is of no more use */
	uint64_t frame;                   /* (u) offset of the ucontext in the room */
	uint64_t fpu;                     /* (u) offset of the xsave image */
	uint64_t fpu_bytes;               /* (u) its length */
	uint64_t fs_base;                 /* (u) as the host process has it */
	uint64_t gs_base;                 /* (u) */
	uint64_t nr_maps;                 /* (u) host mappings, at most */
	struct flush flushes[NR_FLUSHES]; /* (u) */
	unsigned nr_flushes;              /* (u) */
	bool flush_all;                   /* (u) */
	struct shown *shown;              /* (u) [NR_SHOWN] */
	uint64_t era;                     /* (u) of the table: entries of another are void */
	unsigned nr_commands;             /* (u) in the room, for the next resume */
	bool fault_open;                  /* (u) the caller was told of a fault ... */
	unsigned fault_access;            /* (u) ... by this access */
	uint64_t fault_va;                /* (u) */
	uint64_t fault_rip;               /* (u) */
	unsigned nr_same;                 /* (u) times that fault was answered in a row */
	struct place place;               /* (u) */
	struct cpu_stats stats;           /* (u) */
	char why[160];                    /* (u) */
};

/* cpu_host_child.c */
int host_child_start(struct cpu *cpu);
void host_child_end(struct cpu *cpu);
bool host_child_gone(struct cpu *cpu);
uint64_t host_child_sigmask(void);

/* cpu_host_link.c: hand over to the host process, come back when it stops again. */
bool host_link_cross(struct cpu *cpu);
/* Wait until it stops.  False: it died. */
bool host_link_wait(struct cpu *cpu);

/* After a kick: have a look, whatever has become of the host process. */
void host_link_kick(struct cpu *cpu);
/* The program has used its CPU for another HOST_TICK_MS. */
void host_link_tick(struct cpu *cpu);
void host_link_begin(struct cpu *cpu);
void host_link_end(struct cpu *cpu);

/* cpu_host.c */
__attribute__((format(printf, 2, 3))) void host_dead(struct cpu *cpu, const char *format, ...);
bool host_frame_read(struct cpu *cpu);
struct command *host_command(struct cpu *cpu, uint32_t nr, const uint64_t arg[6]);

/*
 * cpu_host_shown.c: what was shown lately.  A hint, wrong in either direction at
 * times; it may save a show of a neighbour, and nothing else hangs on it.
 */
void host_shown_trim(const struct cpu *cpu, struct cpu_extent *extent, uint64_t va);
void host_shown_add(struct cpu *cpu, const struct cpu_extent *extent);
void host_shown_forget(struct cpu *cpu, uint64_t va, uint64_t nr_pages);

/* cpu_host_fpu.c */
bool host_fpu_find(struct cpu *cpu);
void host_fpu_reset(struct cpu *cpu);
long host_fpu_get(struct cpu *cpu, void *state, size_t bytes);
int host_fpu_set(struct cpu *cpu, const void *state, size_t bytes);

/* cpu_host_probe.c */
int host_probe(char *why, size_t why_bytes);

#endif
