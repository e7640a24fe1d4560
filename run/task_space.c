/*
 * task_space.c - a task's address space and the CPU that executes it
 *
 * The CPU's host process is gone before the address space is, so that nobody
 * caches a page table that is torn down.
 */
#define _GNU_SOURCE
#include "task.h"

#include <stdio.h>
#include <string.h>

#include "signals.h"

#define MAX_EXTENTS 64u

size_t task_walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out, size_t max)
{
	struct tmm_extent extents[MAX_EXTENTS];
	size_t nr = tmm_pgtable_walk(space, (tmm_vaddr){va}, access, extents,
	                             max < MAX_EXTENTS ? max : MAX_EXTENTS);

	for (size_t i = 0; i < nr; i++)
		out[i] = (struct cpu_extent){.va = extents[i].va.v,
		                             .pfn = extents[i].pfn.v,
		                             .nr_pages = extents[i].nr_pages,
		                             .rights = extents[i].rights};
	return nr;
}

static void mmu_flush(void *mmu, tmm_vaddr start, uint64_t nr_pages)
{
	struct task *task = mmu;

	task->config->cpu->tlb_flush(task->cpu, start.v, nr_pages);
}

static void mmu_table_free(void *mmu, tmm_pfn table, unsigned level)
{
	struct task *task = mmu;

	task->config->cpu->table_free(task->cpu, table.v, level);
}

static const struct tmm_mmu_ops mmu_ops = {mmu_flush, mmu_table_free};

int task_open_cpu(struct task *task)
{
	const struct cpu_ops *cpu = task->config->cpu;
	struct tmm_pgtable *pgtable = tmm_mm_pgtable(task->mm);
	struct run_result *result = task->result;
	int err = cpu->open(&task->env, pgtable, &task->cpu);

	if (err) {
		const char *why = cpu->why(NULL);

		task->cpu = NULL;
		snprintf(result->why, sizeof(result->why), "%.200s: %s; see 'tuxmm doctor'",
		         why && *why ? why : "cannot make a host process", strerror(-err));
		return RUN_STATUS_FAILED;
	}
	tmm_pgtable_set_mmu(pgtable, &mmu_ops, task);
	host_signals_kick(cpu, task->cpu);
	return 0;
}

static void add_stats(struct cpu_stats *sum, const struct cpu_stats *stats)
{
	sum->runs += stats->runs;
	sum->syscalls += stats->syscalls;
	sum->faults += stats->faults;
	sum->refills += stats->refills;
	sum->shown += stats->shown;
	sum->shows += stats->shows;
	sum->flushes += stats->flushes;
	sum->overflows += stats->overflows;
}

void task_close_cpu(struct task *task)
{
	const struct cpu_ops *cpu = task->config->cpu;
	struct cpu_stats stats;

	if (!task->cpu)
		return;
	host_signals_kick(cpu, NULL);
	cpu->stats(task->cpu, &stats);
	add_stats(&task->result->cpu, &stats);
	cpu->close(task->cpu);
	tmm_pgtable_set_mmu(tmm_mm_pgtable(task->mm), NULL, NULL);
	task->cpu = NULL;
}

static void raise_to(uint64_t *most, uint64_t value)
{
	if (value > *most)
		*most = value;
}

void task_usage(const struct task *task, struct tmm_mm_usage *out)
{
	const struct tmm_mm_usage *before = &task->before;

	tmm_mm_usage(task->mm, out);
	raise_to(&out->peak_rss_pages, before->peak_rss_pages);
	raise_to(&out->peak_total_pages, before->peak_total_pages);
	raise_to(&out->peak_table_pages, before->peak_table_pages);
	for (unsigned kind = 0; kind < TMM_NR_AREA_KINDS; kind++)
		raise_to(&out->kind_peak_pages[kind], before->kind_peak_pages[kind]);
	out->minor_faults += before->minor_faults;
	out->major_faults += before->major_faults;
}

void task_drop_space(struct task *task)
{
	struct tmm_mm_usage usage;

	if (!task->mm)
		return;
	task_close_cpu(task);
	task_usage(task, &usage);
	task->before = usage;
	tmm_mm_put(task->mm);
	task->mm = NULL;
}
