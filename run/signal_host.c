/*
 * signal_host.c - signals that tuxmm gets, on their way to the task
 *
 * A handler notes the signal and kicks the CPU.  A host call that waits may just
 * be about to begin then and would sleep on: so the handler also starts a timer
 * that repeats the interruption until host_signals_take() has been called.
 *
 * Handlers have no argument of ours, hence the one variable at file scope.
 */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define REPEAT_NS  5000000 /* 5 ms */
#define TIMER_WAKE 1
#define TIMER_END  2

static const int forwarded[] = {SIGHUP,  SIGINT,   SIGQUIT,   SIGTERM, SIGUSR1, SIGUSR2,
                                SIGALRM, SIGWINCH, SIGVTALRM, SIGPROF, SIGXFSZ, SIGXCPU};
#define NR_FORWARDED (sizeof(forwarded) / sizeof(*forwarded))

static struct {
	_Atomic uint64_t pending; /* signals noted and not taken */
	_Atomic bool timed_out;
	_Atomic(struct cpu *) cpu;
	const struct cpu_ops *ops;
	siginfo_t info[NR_FORWARDED];
	timer_t wake, end;
	bool running;
	struct sigaction old[NR_FORWARDED], old_pipe, old_timer;
	sigset_t old_mask;
} host;

static int timer_signal(void)
{
	return SIGRTMAX;
}

static void repeat(bool on)
{
	struct itimerspec when = {0};

	if (on)
		when.it_value.tv_nsec = when.it_interval.tv_nsec = REPEAT_NS;
	timer_settime(host.wake, 0, &when, NULL);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct cpu *cpu = atomic_load(&host.cpu);
	int saved = errno;

	(void)context;
	for (size_t i = 0; i < NR_FORWARDED; i++)
		if (forwarded[i] == signal) {
			host.info[i] = *info;
			atomic_fetch_or(&host.pending, signal_bit(signal));
			repeat(true);
		}
	if (signal == timer_signal() && info->si_value.sival_int == TIMER_END) {
		atomic_store(&host.timed_out, true);
		repeat(true);
	}
	if (cpu)
		host.ops->kick(cpu);
	errno = saved;
}

static int make_timer(timer_t *out, int which)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = timer_signal()};

	event.sigev_value.sival_int = which;
	return timer_create(CLOCK_MONOTONIC, &event, out) ? -errno : 0;
}

static void inherit(struct task *task, int signal, const struct sigaction *old)
{
	if (old->sa_handler == SIG_IGN)
		task->signals.action[signal].handler = 1;
}

int host_signals_start(struct task *task)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	uint64_t ms = task->config->timeout_ms;
	struct itimerspec end = {0};
	sigset_t ours;
	int err;

	memset(&host, 0, sizeof(host));
	host.ops = task->config->cpu;
	err = make_timer(&host.wake, TIMER_WAKE);
	if (err)
		return err;
	err = make_timer(&host.end, TIMER_END);
	if (err) {
		timer_delete(host.wake);
		return err;
	}
	host.running = true;
	sigfillset(&action.sa_mask);
	sigemptyset(&ours);
	sigaction(timer_signal(), &action, &host.old_timer);
	sigaddset(&ours, timer_signal());
	for (size_t i = 0; i < NR_FORWARDED; i++) {
		sigaction(forwarded[i], &action, &host.old[i]);
		inherit(task, forwarded[i], &host.old[i]);
		sigaddset(&ours, forwarded[i]);
	}
	sigaction(SIGPIPE, &ignore, &host.old_pipe);
	inherit(task, SIGPIPE, &host.old_pipe);
	sigprocmask(SIG_UNBLOCK, &ours, &host.old_mask);
	for (int signal = 1; signal <= TASK_NSIG; signal++)
		if (sigismember(&host.old_mask, signal) == 1)
			task->signals.blocked |= signal_bit(signal);
	end.it_value.tv_sec = (time_t)(ms / 1000);
	end.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
	timer_settime(host.end, 0, &end, NULL);
	return 0;
}

void host_signals_stop(void)
{
	const struct itimerval none = {0};

	if (!host.running)
		return;
	host.running = false;
	setitimer(ITIMER_REAL, &none, NULL);
	timer_delete(host.end);
	timer_delete(host.wake);
	sigprocmask(SIG_SETMASK, &host.old_mask, NULL);
	for (size_t i = 0; i < NR_FORWARDED; i++)
		sigaction(forwarded[i], &host.old[i], NULL);
	sigaction(SIGPIPE, &host.old_pipe, NULL);
	sigaction(timer_signal(), &host.old_timer, NULL);
}

void host_signals_kick(const struct cpu_ops *ops, struct cpu *cpu)
{
	host.ops = ops;
	atomic_store(&host.cpu, cpu);
}

bool host_signals_any(void)
{
	return atomic_load_explicit(&host.pending, memory_order_relaxed) ||
	       atomic_load_explicit(&host.timed_out, memory_order_relaxed);
}

void host_signals_take(struct task *task)
{
	uint64_t came;

	if (!host_signals_any())
		return;
	repeat(false); /* first: what comes from here on starts it again */
	came = atomic_exchange(&host.pending, 0);
	for (size_t i = 0; i < NR_FORWARDED; i++) {
		siginfo_t info = host.info[i];

		if (!(came & signal_bit(forwarded[i])))
			continue;
		if (info.si_code <= 0)
			info.si_pid = 0; /* processes of the host are not the task's world */
		signal_post(task, &info);
	}
	if (atomic_load(&host.timed_out)) {
		task->result->timed_out = true;
		task_exit(task, RUN_STATUS_TIMEOUT);
	}
}
