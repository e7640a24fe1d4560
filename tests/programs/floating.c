/* Vector and floating-point registers live through signals; handlers start clean. */
#define _GNU_SOURCE
#include <fenv.h>
#include <immintrin.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "say.h"

static volatile int count, clean;

static void on_alarm(int signal)
{
	volatile double x = 1.0;

	(void)signal;
	clean += fegetround() == FE_TONEAREST;
	for (int i = 0; i < 50; i++)
		x = x * 1.5 + 0.25;
	count++;
}

__attribute__((target("avx"))) static int wide(void)
{
	__m256d a = _mm256_set_pd(1, 2, 3, 4), b = _mm256_set_pd(5, 6, 7, 8);
	double out[4];

	for (int i = 0; i < 1000; i++) {
		__asm__ volatile("" : "+x"(a), "+x"(b));
		if (i % 100 == 0)
			raise(SIGUSR1);
		a = _mm256_add_pd(a, b);
	}
	_mm256_storeu_pd(out, a);
	return out[3] == 1 + 5000 && out[0] == 4 + 8000;
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	double sum = 0, same = 0;

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 1; i <= 3000000; i++)
		same += 1.0 / i;
	setitimer(ITIMER_REAL, &often, NULL);
	while (count < 20) {
		sum = 0;
		for (int i = 1; i <= 3000000; i++)
			sum += 1.0 / i;
		if (sum != same)
			break;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	SAY(sum == same);
	SAY(count >= 20);
	fesetround(FE_DOWNWARD);
	count = clean = 0;
	raise(SIGUSR1);
	SAY(count == 1 && clean == 1);
	SAY(fegetround() == FE_DOWNWARD);
	fesetround(FE_TONEAREST);
	if (__builtin_cpu_supports("avx"))
		SAY(wide());
	return 0;
}
