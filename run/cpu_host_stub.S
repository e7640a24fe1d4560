/*
 * cpu_host_stub.S - the code that stays in a task's host process
 *
 * A signal handler that never decides anything: it says "stopped", sleeps until
 * tuxmm says "go", makes the system calls tuxmm has listed, and returns to user
 * code through rt_sigreturn.  What stopped the program lies in the kernel's signal
 * frame, which tuxmm reads and edits in place.
 *
 * Assembler, because it must not touch the user's stack or thread pointer and must
 * stay free of relocations and of whatever a sanitizer or profiler adds: it runs as
 * a copy at the start of the room, one page at most, with the control words
 * ROOM_CONTROL bytes behind its first byte.
 *
 *   rbx  struct control    r12d  commands left    r13  next command    r14  ucontext
 */
#include <asm/unistd.h>

#include "cpu_host_stub.h"

#define CTL(field) CONTROL_##field(%rbx)

#define FUTEX_WAIT       0
#define FUTEX_WAKE       1
#define PR_SET_PDEATHSIG 1
#define SIGKILL          9
#define MAX_ERRNO        4095
#define READ_EXEC        5        /* PROT_READ | PROT_EXEC */
#define READ_WRITE       3        /* PROT_READ | PROT_WRITE */
#define MAP_FLAGS        0x100001 /* MAP_SHARED | MAP_FIXED_NOREPLACE */

	.section .text.cpu_host_stub, "ax", @progbits
	.balign 64
	.globl cpu_host_stub, cpu_host_stub_end, cpu_host_stub_boot
	.hidden cpu_host_stub, cpu_host_stub_end, cpu_host_stub_boot

/* The handler: edi signal, rsi siginfo, rdx ucontext. */
cpu_host_stub:
.Lstub:
	lea .Lstub + ROOM_CONTROL(%rip), %rbx
	mov %rdx, %r14
	mov %edi, CTL(SIGNAL)
	mov %rsi, CTL(INFO)
	mov %rdx, CTL(CONTEXT)
	cmpl $0, CTL(FSGSBASE)
	je .Lstop
	rdfsbase %rax
	mov %rax, CTL(FS)
	rdgsbase %rax
	mov %rax, CTL(GS)

/* Stopped: say so, wake tuxmm if it sleeps, sleep until it has said `go`. */
.Lstop:
	movl $WORD_CLEAR, CTL(GO)
	mov $WORD_SET, %eax
	xchg %eax, CTL(STOPPED)
	test $WORD_SLEEPER, %eax
	jz .Lwait
	lea CTL(STOPPED), %rdi
	mov $FUTEX_WAKE, %esi
	mov $1, %edx
	mov $__NR_futex, %eax
	syscall
.Lwait:
	mov $WORD_CLEAR, %eax
	mov $WORD_SLEEPER, %edx
	lock cmpxchg %edx, CTL(GO)
	cmp $WORD_SET, %eax
	je .Lgo
	lea CTL(GO), %rdi
	mov $FUTEX_WAIT, %esi
	xor %r10d, %r10d
	mov $__NR_futex, %eax
	syscall
	jmp .Lwait

/* Go: the commands, the bases, the program. */
.Lgo:
	mov CTL(COUNT), %r12d
	lea CTL(COMMANDS), %r13
	test %r12d, %r12d
	jz .Lreturn
.Lnext:
	mov COMMAND_NR(%r13), %eax
	mov COMMAND_ARG + 0(%r13), %rdi
	mov COMMAND_ARG + 8(%r13), %rsi
	mov COMMAND_ARG + 16(%r13), %rdx
	mov COMMAND_ARG + 24(%r13), %r10
	mov COMMAND_ARG + 32(%r13), %r8
	mov COMMAND_ARG + 40(%r13), %r9
	syscall
	mov %rax, COMMAND_RESULT(%r13)
	cmp $-MAX_ERRNO, %rax
	jae .Lfailed
.Ldone:
	add $COMMAND_BYTES, %r13
	dec %r12d
	jnz .Lnext
.Lreturn:
	test %r14, %r14
	jz .Lbooted
	cmpl $0, CTL(FSGSBASE)
	je .Lsigreturn
	mov CTL(FS), %rax
	wrfsbase %rax
	mov CTL(GS), %rax
	wrgsbase %rax
.Lsigreturn:
	mov %r14, %rsp
	mov $__NR_rt_sigreturn, %eax
	syscall
.Lbooted:
	ud2 /* no frame yet: this trap makes the first one */
.Lfailed:
	cmpl $0, COMMAND_OPTIONAL(%r13)
	jne .Ldone
	mov CTL(COUNT), %eax
	sub %r12d, %eax
	inc %eax
	mov %eax, CTL(FAILED)
	jmp .Lstop

/*
 * Boot, in the fresh copy of tuxmm: rdi our control words, rsi where the room is to
 * be, edx the room's descriptor.  Puts the room in its place and goes on there; no
 * stack from here on.
 */
cpu_host_stub_boot:
	xor %esp, %esp
	xor %r14d, %r14d
	mov %rsi, %rbp
	mov %edx, %r8d

	mov %rbp, %rdi
	mov $ROOM_CONTROL, %esi
	mov $READ_EXEC, %edx
	mov $MAP_FLAGS, %r10d
	xor %r9d, %r9d
	mov $__NR_mmap, %eax
	syscall
	cmp %rbp, %rax
	jne .Lexit

	lea ROOM_CONTROL(%rbp), %rbx
	mov %rbx, %rdi
	mov $ROOM_BYTES - ROOM_CONTROL, %esi
	mov $READ_WRITE, %edx
	mov $ROOM_CONTROL, %r9d
	mov $__NR_mmap, %eax
	syscall
	cmp %rbx, %rax
	jne .Lexit
	lea .Lmoved - .Lstub(%rbp), %rax
	jmp *%rax

/* Die with the parent; if it died before we asked for that, we are an orphan. */
.Lmoved:
	mov $PR_SET_PDEATHSIG, %edi
	mov $SIGKILL, %esi
	mov $__NR_prctl, %eax
	syscall
	mov $__NR_getppid, %eax
	syscall
	cmp %eax, CTL(PARENT)
	je .Lgo
.Lexit:
	mov $1, %edi
	mov $__NR_exit, %eax
	syscall
	ud2
cpu_host_stub_end:

	.section .note.GNU-stack, "", @progbits
