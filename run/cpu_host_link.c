/*
 * cpu_host_link.c - handing over to the host process and back
 *
 * The two processes strictly alternate, so they share one CPU: the one that goes to
 * sleep makes room for the one it woke, and no CPU has to be interrupted out of
 * another (in a virtual machine that costs ten times the rest of the hand-over).
 * The scheduler will not do that by itself, it spreads a waker and its sleeper over
 * idle CPUs.  So both are pinned to the CPU where tuxmm is, as long as the program
 * traps often, and never for long at a time:
 *
 *   together   every REPLACE_MS both are free for one hand-over; the scheduler moves
 *              whom it likes and they are pinned again where tuxmm then wakes up
 *   apart      the program used HOST_TICK_MS of its CPU with hardly a trap: both free,
 *              until traps come often again
 *
 * The pinning is the thread's, so that is where it is remembered.
 */
#define _GNU_SOURCE
#include "cpu_host_impl.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BOOT_MS    20u
#define REPLACE_MS 100u
#define COUNT_MS   4u
#define OFTEN      8u /* traps in COUNT_MS, or in a tick, that make it worth sharing a CPU */
#define NOT_PINNED (-1)

static _Thread_local struct {
	bool pinned;
	int cpu;        /* where to */
	cpu_set_t home; /* where the thread may run otherwise */
} thread;

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *limit)
{
	return syscall(SYS_futex, word, op, value, limit, NULL, 0);
}

/* Milliseconds, at the resolution of the scheduler's tick. */
static uint64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void thread_unpin(void)
{
	if (thread.pinned)
		sched_setaffinity(0, sizeof thread.home, &thread.home);
	thread.pinned = false;
}

/* Pin the thread to the CPU it is on.  False: it may not be, or has no other. */
static bool thread_pin(void)
{
	cpu_set_t one;

	if (thread.pinned)
		return true;
	if (sched_getaffinity(0, sizeof thread.home, &thread.home) ||
	    CPU_COUNT(&thread.home) < 2)
		return false;
	thread.cpu = sched_getcpu();
	if (thread.cpu < 0)
		return false;
	CPU_ZERO(&one);
	CPU_SET((unsigned)thread.cpu, &one);
	thread.pinned = !sched_setaffinity(0, sizeof one, &one);
	return thread.pinned;
}

static void part(struct cpu *cpu)
{
	thread_unpin();
	if (cpu->place.cpu != NOT_PINNED)
		sched_setaffinity(atomic_load(&cpu->pid), sizeof thread.home, &thread.home);
	cpu->place.cpu = NOT_PINNED;
	cpu->place.together = false;
}

static void join(struct cpu *cpu, uint64_t now)
{
	cpu_set_t one;

	cpu->place.together = true;
	cpu->place.since = now;
	if (!thread_pin())
		return;
	CPU_ZERO(&one);
	CPU_SET((unsigned)thread.cpu, &one);
	if (!sched_setaffinity(atomic_load(&cpu->pid), sizeof one, &one))
		cpu->place.cpu = thread.cpu;
}

/* Decide where the next hand-over happens. */
static void choose_place(struct cpu *cpu)
{
	struct place *place = &cpu->place;
	uint64_t now = coarse_ms();

	place->nr_traps++;
	if (place->together) {
		if (now - place->since >= REPLACE_MS) {
			part(cpu);
			place->counted = 0; /* join again at the next one */
		} else if (place->cpu != NOT_PINNED &&
		           !(thread.pinned && place->cpu == thread.cpu)) {
			join(cpu,
			     place->since); /* another cpu's close or move took the thread */
		}
		return;
	}
	if (now - place->counted < COUNT_MS)
		return;
	if (!place->counted || place->nr_traps * COUNT_MS >= OFTEN * (now - place->counted))
		join(cpu, now);
	place->counted = now;
	place->nr_traps = 0;
}

bool host_link_wait(struct cpu *cpu)
{
	_Atomic uint32_t *stopped = &cpu->room->control.stopped;
	uint32_t word = atomic_load(stopped);

	while (word != WORD_SET) {
		/* before the id is in the word, nobody wakes us for a death */
		const struct timespec limit = {.tv_nsec = BOOT_MS * 1000000L};
		const struct timespec *wait = word & FUTEX_TID_MASK ? NULL : &limit;

		if (word & WORD_DIED)
			return false;
		if (!atomic_compare_exchange_weak(stopped, &word, word | WORD_SLEEPER))
			continue;
		futex(stopped, FUTEX_WAIT, word | WORD_SLEEPER, wait);
		word = atomic_load(stopped);
		/* a signal, the limit, a kick: all seldom, so have a look */
		if (word & WORD_SLEEPER && host_child_gone(cpu))
			return false;
	}
	return true;
}

bool host_link_cross(struct cpu *cpu)
{
	struct control *control = &cpu->room->control;

	choose_place(cpu);
	atomic_store(&control->stopped, (uint32_t)atomic_load(&cpu->pid));
	/* a death before this is seen here, a later one finds its id in `stopped` */
	if (atomic_load(&control->alive) & WORD_DIED)
		return false;
	/* the host process sees the frame and the commands once it sees `go` */
	if (atomic_exchange(&control->go, WORD_SET) == WORD_SLEEPER)
		futex(&control->go, FUTEX_WAKE, 1, NULL);
	return host_link_wait(cpu);
}

void host_link_kick(struct cpu *cpu)
{
	futex(&cpu->room->control.stopped, FUTEX_WAKE, 1, NULL);
}

void host_link_tick(struct cpu *cpu)
{
	struct place *place = &cpu->place;

	if (place->together && place->nr_traps < OFTEN)
		part(cpu);
	place->counted = coarse_ms();
	place->nr_traps = 0;
}

void host_link_begin(struct cpu *cpu)
{
	cpu->place.cpu = NOT_PINNED;
}

void host_link_end(struct cpu *cpu)
{
	(void)cpu;
	thread_unpin();
}
