/*
 * How a CPU's stacks are taken by others: the steps of stack.c's protocol, with a test that
 * does what the other CPU would do between them.
 */
#include "page/stack.h"

#include "page/rig_test.h"
#include "strict.h"

#define NR_ON_STACK 64u

static struct rig rig;

/* CPU 1 has frames on its stacks, the caller is on CPU 0. */
static struct page_cpu *boot(void)
{
	tmm_pfn pfn[NR_ON_STACK];
	struct tmm_pages *pages;

	rig_begin(&rig, 64 * MIB, 2);
	rig_add(&rig, 0, 64 * MIB);
	pages = rig_boot(&rig, NO_RESERVE);
	CHECK(cpu_enter(&rig.cpus, 1) == TMM_OK);
	CHECK(tmm_pages_alloc_bulk(pages, TMM_GFP_KERNEL, NR_ON_STACK, pfn) == NR_ON_STACK);
	tmm_pages_free_bulk(pages, NR_ON_STACK, pfn);
	tmm_port_cpu_set(NULL); /* it stays there, and does nothing */
	CHECK(cpu_enter(&rig.cpus, 0) == TMM_OK);
	return pages->cpu[1];
}

static void end(void)
{
	tmm_strict_set_others(NULL);
	tmm_pages_drain_all(&rig.pages);
	tmm_cpu_exit(&rig.cpus.cpu[1]);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}

static uint64_t on_stacks(const struct page_cpu *cpu)
{
	uint64_t nr = 0;

	for (unsigned z = 0; z < rig.pages.nr_zones; z++)
		for (unsigned s = 0; s < NR_STACKS; s++)
			nr += (uint64_t)(cpu->zone[z].stack[s].top -
			                 cpu->zone[z].stack[s].bottom)
			      << order_of_stack(s);
	return nr;
}

struct other {
	struct page_cpu *cpu;
	uint64_t nr; /* frames that its stacks have, till it is out */
	unsigned nr_barriers, nr_waits;
	bool is_inside, answer;
};

static bool barrier(void *arg)
{
	struct other *other = arg;

	other->nr_barriers++;
	CHECK(other->cpu->asked & ASK_STOP);
	CHECK(on_stacks(other->cpu) == other->nr);
	other->cpu->inside = other->is_inside; /* it was before it saw that */
	return other->answer;
}

static void relax(void *arg)
{
	struct other *other = arg;

	CHECK(other->nr_barriers == 1 && other->cpu->inside);
	CHECK(on_stacks(other->cpu) == other->nr);
	if (++other->nr_waits == 3)
		other->cpu->inside = 0;
}

/*
 *   asker   STOP | barrier | wait .. .. .. | takes them
 *   CPU 1     inside before it ............ out
 */
TEST(stacks_are_taken_when_their_cpu_is_out)
{
	for (unsigned is_inside = 0; is_inside <= 1; is_inside++) {
		struct page_cpu *cpu = boot();
		struct other other = {cpu, on_stacks(cpu), 0, 0, is_inside, true};
		const struct tmm_strict_others others = {barrier, relax, &other};

		CHECK(other.nr >= NR_ON_STACK || rig_debug());
		tmm_strict_set_others(&others);
		tmm_pages_drain_all(&rig.pages);
		CHECK(other.nr_barriers == (other.nr > 0));
		CHECK(other.nr_waits == (other.nr && is_inside ? 3 : 0));
		CHECK(on_stacks(cpu) == 0 && cpu->asked == 0);
		tmm_pages_drain_all(&rig.pages); /* nobody has anything */
		CHECK(other.nr_barriers == (other.nr > 0));
		end();
	}
}

/* The port cannot stop CPUs: they do what is asked when they next come, and no sooner. */
TEST(where_cpus_cannot_be_stopped_they_empty_their_stacks_themselves)
{
	for (unsigned resize = 0; resize <= 1; resize++) {
		struct page_cpu *cpu = boot();
		struct other other = {cpu, on_stacks(cpu), 0, 0, false, false};
		const struct tmm_strict_others others = {barrier, NULL, &other};
		struct frame_stack *stack = &cpu->zone[0].stack[0];
		tmm_pfn pfn;

		if (rig_skips())
			return;
		tmm_strict_set_others(&others);
		if (resize)
			CHECK(tmm_pages_set_stacks(&rig.pages, 7, 1) == TMM_OK);
		else
			tmm_pages_drain_all(&rig.pages);
		CHECK(other.nr_barriers == 1);
		CHECK(cpu->asked == (resize ? ASK_RESIZE : ASK_DRAIN));
		CHECK(on_stacks(cpu) == other.nr && stack->end - stack->bottom != 7);
		tmm_port_cpu_set(NULL);
		rig.cpus.cpu[0].taken = false;
		tmm_port_cpu_set(&rig.cpus.cpu[1]);
		CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
		CHECK(cpu->asked == 0 && on_stacks(cpu) < other.nr + NR_ON_STACK);
		CHECK(!resize || stack->end - stack->bottom == 7);
		tmm_pages_drain(&rig.pages);
		tmm_pages_free(&rig.pages, pfn, 0);
		CHECK(on_stacks(cpu) == 1);
		tmm_strict_set_others(NULL);
		tmm_cpu_exit(&rig.cpus.cpu[1]);
		tmm_pages_check(&rig.pages);
		pages_fini(&rig.pages);
	}
}

/* A CPU that finds its stacks taken goes to the zones, and is not kept waiting. */
TEST(a_cpu_whose_stacks_are_taken_goes_to_the_zones)
{
	struct page_cpu *cpu = boot();
	uint64_t nr = on_stacks(cpu), in_zones = 0, left = 0;
	tmm_pfn pfn;

	for (unsigned z = 0; z < rig.pages.nr_zones; z++)
		in_zones += zone_free(&rig.pages.zone[z]);
	cpu->asked = ASK_STOP;
	tmm_port_cpu_set(NULL);
	rig.cpus.cpu[0].taken = false;
	tmm_port_cpu_set(&rig.cpus.cpu[1]);
	CHECK(tmm_pages_alloc(&rig.pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	for (unsigned z = 0; z < rig.pages.nr_zones; z++)
		left += zone_free(&rig.pages.zone[z]);
	CHECK(left == in_zones - 1 && on_stacks(cpu) == nr && !cpu->inside);
	tmm_pages_free(&rig.pages, pfn, 0);
	CHECK(on_stacks(cpu) == nr);
	cpu->asked = 0;
	tmm_cpu_exit(&rig.cpus.cpu[1]);
	tmm_pages_check(&rig.pages);
	pages_fini(&rig.pages);
}
