/*
 * cpu_host_stub.h - the room: memory that tuxmm shares with a task's host process
 *
 * One memfd.  The host process sees it at a fixed place above all user addresses,
 * tuxmm somewhere else.  The program can write to all of it but the code, so
 * nothing read from here is believed without a check.
 */
#ifndef TUXMM_RUN_CPU_HOST_STUB_H
#define TUXMM_RUN_CPU_HOST_STUB_H

/*
 *   0x0000  code     read and execute
 *   0x1000  control  handshake words and commands
 *   0x3000  stack    signal frames: the kernel writes them at the top
 *  0x10000  end
 */
#define ROOM_CONTROL 0x1000
#define ROOM_STACK   0x3000
#define ROOM_BYTES   0x10000

/*
 * What the words `stopped` and `go` say.  While it is clear, `stopped` holds the host
 * process's id; `alive` always does.  Both are on its robust list, `alive` first: should
 * it die, the kernel marks those that hold the id and wakes who sleeps there.
 */
#define WORD_CLEAR   0
#define WORD_SET     1
#define WORD_DIED    0x40000000 /* FUTEX_OWNER_DIED */
#define WORD_SLEEPER 0x80000000 /* FUTEX_WAITERS: who waits for it sleeps in futex(2) */

/* Offsets in struct control and struct command, as the assembler needs them. */
#define CONTROL_STOPPED  0
#define CONTROL_GO       64
#define CONTROL_COUNT    68
#define CONTROL_FAILED   72
#define CONTROL_FSGSBASE 76
#define CONTROL_PARENT   80
#define CONTROL_SIGNAL   128
#define CONTROL_INFO     136
#define CONTROL_CONTEXT  144
#define CONTROL_FS       152
#define CONTROL_GS       160
#define CONTROL_COMMANDS 256
#define COMMAND_NR       0
#define COMMAND_OPTIONAL 4
#define COMMAND_ARG      8
#define COMMAND_RESULT   56
#define COMMAND_BYTES    64

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* A system call that the stub makes before it returns to user code. */
struct command {
	uint32_t nr;
	uint32_t optional; /* nothing is lost when it fails */
	uint64_t arg[6];
	int64_t result;
};

#define NR_COMMANDS 96u

struct control {
	/* set by the stub last, waited for by tuxmm */
	_Alignas(64) _Atomic uint32_t stopped;
	uint32_t unused;
	_Atomic uint32_t alive; /* never set: tells of a death while stopped */

	/* written by tuxmm, `go` set last; the stub waits for it */
	_Alignas(64) _Atomic uint32_t go;
	uint32_t count;    /* commands to execute */
	uint32_t failed;   /* 1 + index of the command that failed, by the stub */
	uint32_t fsgsbase; /* the stub reads and writes fs_base and gs_base */
	uint32_t parent;   /* process id of tuxmm */

	/* written by the stub at a stop; the bases are loaded again at a resume */
	_Alignas(64) uint32_t signal;
	uint64_t info;
	uint64_t context;
	uint64_t fs_base;
	uint64_t gs_base;

	/* for set_robust_list: head, then what links `stopped` and `alive` */
	uint64_t robust_head[3];
	uint64_t robust_stopped;
	uint64_t robust_alive;

	_Alignas(64) struct command command[NR_COMMANDS];
};

struct room {
	unsigned char code[ROOM_CONTROL];
	union {
		struct control control;
		unsigned char control_bytes[ROOM_STACK - ROOM_CONTROL];
	};
	unsigned char stack[ROOM_BYTES - ROOM_STACK];
};

#define LAYOUT(type, field, offset)                                                            \
	_Static_assert(offsetof(struct type, field) == (offset), #field)
LAYOUT(control, stopped, CONTROL_STOPPED);
LAYOUT(control, go, CONTROL_GO);
LAYOUT(control, count, CONTROL_COUNT);
LAYOUT(control, failed, CONTROL_FAILED);
LAYOUT(control, fsgsbase, CONTROL_FSGSBASE);
LAYOUT(control, parent, CONTROL_PARENT);
LAYOUT(control, signal, CONTROL_SIGNAL);
LAYOUT(control, info, CONTROL_INFO);
LAYOUT(control, context, CONTROL_CONTEXT);
LAYOUT(control, fs_base, CONTROL_FS);
LAYOUT(control, gs_base, CONTROL_GS);
LAYOUT(control, command, CONTROL_COMMANDS);
LAYOUT(command, nr, COMMAND_NR);
LAYOUT(command, optional, COMMAND_OPTIONAL);
LAYOUT(command, arg, COMMAND_ARG);
LAYOUT(command, result, COMMAND_RESULT);
LAYOUT(room, control, ROOM_CONTROL);
LAYOUT(room, stack, ROOM_STACK);
_Static_assert(sizeof(struct command) == COMMAND_BYTES, "command");
_Static_assert(sizeof(struct room) == ROOM_BYTES, "room");
#undef LAYOUT

/* The code: its first byte is the handler; boot is called in a fork of tuxmm. */
extern const unsigned char cpu_host_stub[], cpu_host_stub_boot[], cpu_host_stub_end[];

#endif
#endif
