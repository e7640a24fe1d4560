/*
 * sigframe.c - what a signal handler finds on its stack, as x86-64 Linux has it
 *
 *   sp_before - 128     the red zone is spared
 *   fpstate             64-byte aligned, XSAVE standard format, magic2 behind it
 *   siginfo             128 bytes
 *   ucontext            304 bytes
 *   restorer            the handler returns there: rt_sigreturn follows
 *   sp                  16-byte aligned plus 8, as after a call
 */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <string.h>

#define RED_ZONE        128u
#define FPU_BYTES       16384u
#define AT_SW           464u /* struct _fpx_sw_bytes in the legacy area */
#define LEGACY          512u
#define HEADER          64u
#define AT_MXCSR        24u
#define USER_CS         0x33u
#define USER_SS         0x2bu
#define UC_FLAGS        7u /* UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
#define SA_RESTORER_ABI 0x04000000u
#define AUTODISARM      (1u << 31)

#define FLAG_TF         UINT64_C(0x100)
#define FLAG_DF         UINT64_C(0x400)
#define FLAG_RF         UINT64_C(0x10000)
/* What sigreturn may change: AC OF DF TF SF ZF AF PF CF RF */
#define FLAGS_USER UINT64_C(0x50dd5)

struct frame_stack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t bytes;
};

struct frame_context {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2, fpstate, reserved[8];
};

struct frame {
	uint64_t restorer;
	uint64_t flags, link;
	struct frame_stack stack;
	struct frame_context context;
	uint64_t mask;
	siginfo_t info;
};
_Static_assert(sizeof(struct frame) == 440, "the layout of x86-64 Linux");

static void context_from_regs(struct frame_context *c, const struct cpu_regs *regs)
{
	const uint64_t *gpr = regs->gpr;

	c->r8 = gpr[CPU_R8];
	c->r9 = gpr[CPU_R9];
	c->r10 = gpr[CPU_R10];
	c->r11 = gpr[CPU_R11];
	c->r12 = gpr[CPU_R12];
	c->r13 = gpr[CPU_R13];
	c->r14 = gpr[CPU_R14];
	c->r15 = gpr[CPU_R15];
	c->rdi = gpr[CPU_RDI];
	c->rsi = gpr[CPU_RSI];
	c->rbp = gpr[CPU_RBP];
	c->rbx = gpr[CPU_RBX];
	c->rdx = gpr[CPU_RDX];
	c->rax = gpr[CPU_RAX];
	c->rcx = gpr[CPU_RCX];
	c->rsp = gpr[CPU_RSP];
	c->rip = regs->rip;
	c->rflags = regs->rflags;
	c->cs = USER_CS;
	c->ss = USER_SS;
}

static void regs_from_context(struct cpu_regs *regs, const struct frame_context *c)
{
	uint64_t *gpr = regs->gpr;

	gpr[CPU_R8] = c->r8;
	gpr[CPU_R9] = c->r9;
	gpr[CPU_R10] = c->r10;
	gpr[CPU_R11] = c->r11;
	gpr[CPU_R12] = c->r12;
	gpr[CPU_R13] = c->r13;
	gpr[CPU_R14] = c->r14;
	gpr[CPU_R15] = c->r15;
	gpr[CPU_RDI] = c->rdi;
	gpr[CPU_RSI] = c->rsi;
	gpr[CPU_RBP] = c->rbp;
	gpr[CPU_RBX] = c->rbx;
	gpr[CPU_RDX] = c->rdx;
	gpr[CPU_RAX] = c->rax;
	gpr[CPU_RCX] = c->rcx;
	gpr[CPU_RSP] = c->rsp;
	regs->rip = c->rip;
	regs->rflags = (regs->rflags & ~FLAGS_USER) | (c->rflags & FLAGS_USER);
}

bool signal_on_altstack(const struct task *task, uint64_t sp)
{
	const struct task_signals *signals = &task->signals;

	if (!signals->alt_bytes || (signals->alt_flags & AUTODISARM))
		return false;
	return sp > signals->alt_sp && sp - signals->alt_sp <= signals->alt_bytes;
}

/* Write the extended state below `sp`; its address, 0 when that fails. */
static uint64_t push_fpu(struct task *task, uint64_t sp)
{
	unsigned char state[FPU_BYTES];
	struct _fpx_sw_bytes sw = {.magic1 = FP_XSTATE_MAGIC1};
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	long bytes = task->config->cpu->fpu_get(task->cpu, state,
	                                        sizeof(state) - sizeof(magic2));
	uint64_t at;

	if (bytes < (long)(LEGACY + HEADER))
		return 0;
	sw.xstate_size = (uint32_t)bytes;
	sw.extended_size = (uint32_t)bytes + FP_XSTATE_MAGIC2_SIZE;
	memcpy(&sw.xstate_bv, state + LEGACY, sizeof(sw.xstate_bv));
	sw.xstate_bv |= 3; /* x87 and SSE are always there */
	memcpy(state + AT_SW, &sw, sizeof(sw));
	memcpy(state + bytes, &magic2, sizeof(magic2));
	at = (sp - sw.extended_size) & ~UINT64_C(63);
	return user_put(task, at, state, sw.extended_size) ? 0 : at;
}

/* A handler starts with the state a new program has. */
static void reset_fpu(struct task *task)
{
	unsigned char state[LEGACY + HEADER] = {0};
	const uint16_t control = 0x37f;
	const uint32_t mxcsr = 0x1f80;

	memcpy(state, &control, sizeof(control));
	memcpy(state + AT_MXCSR, &mxcsr, sizeof(mxcsr));
	(void)!task->config->cpu->fpu_set(task->cpu, state, sizeof(state));
}

bool signal_frame_push(struct task *task, int signal, const siginfo_t *info)
{
	struct task_signals *signals = &task->signals;
	const struct task_action *action = &signals->action[signal];
	uint64_t sp = task->regs.gpr[CPU_RSP] - RED_ZONE, fpstate, at;
	struct frame frame = {.restorer = action->restorer, .flags = UC_FLAGS};

	if (!(action->flags & SA_RESTORER_ABI))
		return false; /* Linux cannot return from such a handler either */
	if ((action->flags & SA_ONSTACK) && signals->alt_bytes &&
	    !signal_on_altstack(task, task->regs.gpr[CPU_RSP]))
		sp = signals->alt_sp + signals->alt_bytes;
	fpstate = push_fpu(task, sp);
	if (!fpstate)
		return false;
	at = ((fpstate - sizeof(frame)) & ~UINT64_C(15)) - 8;
	frame.stack.sp = signals->alt_sp;
	frame.stack.bytes = signals->alt_bytes;
	frame.stack.flags = signals->alt_bytes ? signals->alt_flags : (uint32_t)SS_DISABLE;
	context_from_regs(&frame.context, &task->regs);
	frame.context.fpstate = fpstate;
	frame.context.trap = signals->trap_number;
	frame.context.error = signals->trap_error;
	frame.context.cr2 = signals->trap_address;
	frame.mask = signals->restore ? signals->saved : signals->blocked;
	frame.context.old_mask = frame.mask;
	frame.info = *info;
	if (user_put(task, at, &frame, sizeof(frame)))
		return false;
	if (signals->alt_flags & AUTODISARM)
		signals->alt_sp = signals->alt_bytes = signals->alt_flags = 0;
	reset_fpu(task);
	task->regs.gpr[CPU_RDI] = (uint64_t)signal;
	task->regs.gpr[CPU_RSI] = at + offsetof(struct frame, info);
	task->regs.gpr[CPU_RDX] = at + offsetof(struct frame, flags);
	task->regs.gpr[CPU_RAX] = 0;
	task->regs.gpr[CPU_RSP] = at;
	task->regs.rip = action->handler;
	task->regs.rflags &= ~(FLAG_TF | FLAG_DF | FLAG_RF);
	return true;
}

static bool pop_fpu(struct task *task, uint64_t at)
{
	unsigned char state[FPU_BYTES] = {0};
	const uint64_t x87_sse = 3;
	struct _fpx_sw_bytes sw;
	size_t bytes = LEGACY + HEADER;

	if (user_get(task, state, at, LEGACY))
		return false;
	memcpy(&sw, state + AT_SW, sizeof(sw));
	if (sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size >= bytes &&
	    sw.xstate_size <= sizeof(state)) {
		bytes = sw.xstate_size;
		if (user_get(task, state, at, bytes))
			return false;
	} else {
		memcpy(state + LEGACY, &x87_sse, sizeof(x87_sse));
	}
	return task->config->cpu->fpu_set(task->cpu, state, bytes) == 0;
}

bool signal_frame_pop(struct task *task)
{
	struct task_signals *signals = &task->signals;
	uint64_t at = task->regs.gpr[CPU_RSP] - 8; /* the restorer was popped */
	struct frame frame;

	if (user_get(task, &frame, at, sizeof(frame)))
		return false;
	if (frame.context.fpstate && !pop_fpu(task, frame.context.fpstate))
		return false;
	signals->blocked = frame.mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	regs_from_context(&task->regs, &frame.context);
	if (!signal_on_altstack(task, task->regs.gpr[CPU_RSP])) {
		bool off = frame.stack.flags & SS_DISABLE;

		signals->alt_sp = off ? 0 : frame.stack.sp;
		signals->alt_bytes = off ? 0 : frame.stack.bytes;
		signals->alt_flags = off ? 0 : frame.stack.flags & AUTODISARM;
	}
	return true;
}
