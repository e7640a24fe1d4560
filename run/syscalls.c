/*
 * syscalls.c - which handler serves which system call
 */
#include "syscalls.h"

typedef int64_t (*handler)(struct task *task, const uint64_t *arg);

static const struct entry {
	const char *name; /* NULL: Linux has no such call */
	handler serve;    /* NULL: not served */
} entries[] = {
#define CALL(number, name) [number] = {#name, sys_##name},
#define NONE(number, name) [number] = {#name, NULL},
#include "syscall_list.def"
#undef CALL
#undef NONE
};

#define NR_ENTRIES (sizeof(entries) / sizeof(*entries))

const char *syscall_name(uint64_t number)
{
	return number < NR_ENTRIES ? entries[number].name : NULL;
}

static int64_t unknown(struct task *task)
{
	const uint64_t slots = sizeof(task->unknown) / sizeof(*task->unknown);

	task->unknown[task->nr < slots ? task->nr : slots - 1]++;
	return -ENOSYS;
}

void syscall_do(struct task *task)
{
	const uint64_t *gpr = task->regs.gpr;
	const uint64_t arg[6] = {gpr[CPU_RDI], gpr[CPU_RSI], gpr[CPU_RDX],
	                         gpr[CPU_R10], gpr[CPU_R8],  gpr[CPU_R9]};
	int64_t answer;

	task->nr = (uint32_t)gpr[CPU_RAX]; /* the kernel looks at 32 bits only */
	if (task->nr < NR_ENTRIES && entries[task->nr].serve)
		answer = entries[task->nr].serve(task, arg);
	else
		answer = unknown(task);
	task->restarting = answer == -RESTARTSYS;
	task->regs.gpr[CPU_RAX] = (uint64_t)answer;
}
