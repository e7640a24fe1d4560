#include "base/cpu.h"
#include "strict.h"
#include "test.h"

static struct cpu_set one, two;

TEST(caller_is_given_the_first_free_cpu_and_keeps_it)
{
	struct tmm_cpu *cpu;

	cpu_set_init(&one, 2);
	cpu = cpu_self(&one);
	CHECK(cpu->id == 0);
	CHECK(cpu_self(&one) == cpu);
	tmm_cpu_exit(cpu);
}

TEST(entering_a_cpu_leaves_the_one_before)
{
	cpu_set_init(&one, 2);
	CHECK(cpu_self(&one)->id == 0);
	CHECK(cpu_enter(&one, 1) == TMM_OK);
	CHECK(cpu_self(&one)->id == 1);
	CHECK(cpu_enter(&one, 0) == TMM_OK);
	CHECK(cpu_enter(&one, 2) == TMM_E_INVAL);
	tmm_cpu_exit(cpu_self(&one));
}

TEST(a_taken_cpu_is_busy)
{
	cpu_set_init(&one, 2);
	one.cpu[1].taken = true; /* as another thread would have it */
	CHECK(cpu_enter(&one, 1) == TMM_E_BUSY);
	one.cpu[1].taken = false;
}

TEST(two_machines_do_not_share_a_cpu)
{
	cpu_set_init(&one, 1);
	cpu_set_init(&two, 1);
	CHECK(cpu_self(&one) == &one.cpu[0]);
	CHECK(cpu_self(&two) == &two.cpu[0]);
	CHECK(!one.cpu[0].taken);
	CHECK(cpu_self(&one) == &one.cpu[0]);
	CHECK(!two.cpu[0].taken);
	tmm_cpu_exit(&one.cpu[0]);
	CHECK(tmm_port_cpu() == NULL);
}

static void fini_one(void *arg)
{
	(void)arg;
	cpu_set_fini(&one);
}

TEST(a_machine_ends_when_no_other_thread_is_on_it)
{
	cpu_set_init(&one, 2);
	CHECK(cpu_self(&one)->id == 0);
	one.cpu[1].taken = true; /* as another thread would have it */
	CHECK(test_panics(fini_one, NULL));
	one.cpu[1].taken = false;
	CHECK(cpu_self(&one)->id == 0);
	cpu_set_fini(&one);
	CHECK(tmm_port_cpu() == NULL);
}

/* ---- sections ---- */

struct other {
	struct tmm_cpu *cpu;
	unsigned nr_barriers, nr_waits;
	bool answer;
};

static bool barrier(void *arg)
{
	struct other *other = arg;

	other->nr_barriers++;
	tmm_section_begin(other->cpu); /* before it could see what was changed */
	return other->answer;
}

static void relax(void *arg)
{
	struct other *other = arg;

	if (++other->nr_waits == 2)
		tmm_section_end(other->cpu);
}

/* Whoever waits for sections has all CPUs execute a barrier, and then waits for each. */
TEST(sections_that_began_before_the_barrier_are_waited_for)
{
	for (unsigned answer = 0; answer <= 1; answer++) {
		struct other other = {&one.cpu[2], 0, 0, answer};
		const struct tmm_strict_others others = {barrier, relax, &other};

		cpu_set_init(&one, 3);
		tmm_strict_set_others(&others);
		CHECK(sections_wait(&one) == answer);
		tmm_strict_set_others(NULL);
		CHECK(other.nr_barriers == 1 && other.nr_waits == (answer ? 2 : 0));
		cpu_set_fini(&one);
	}
}
