/*
 * cpu_test.c - the machine of cpu_test.h
 */
#define _GNU_SOURCE
#include "cpu_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

PROGRAM(access, "mov (%rdi), %rax\n syscall\n"
                "mov %rax, (%rdi)\n syscall\n"
                "jmp *%rdi\n");
PROGRAM(loop, "1: inc %rax\n jmp 1b\n");
PROGRAM(call, "syscall\n syscall\n");

static struct machine test_machine; /* closed by the next test when one failed */

/* The tables as the contract wants them walked. */

bool allowed(const struct pte *pte, unsigned access)
{
	if (!pte->present)
		return false;
	return access == CPU_WRITE ? pte->write : access == CPU_EXEC ? pte->exec : true;
}

static unsigned rights(const struct pte *pte)
{
	return CPU_READ | (pte->write && pte->dirty ? CPU_WRITE : 0) |
	       (pte->exec ? CPU_EXEC : 0);
}

static size_t walk(void *space, uint64_t va, unsigned access, struct cpu_extent *out,
                   size_t max)
{
	struct machine *machine = space;
	uint64_t page = (va - CODE) / PAGE_BYTES;
	uint64_t first = page / 16 * 16, end = first + 16;
	struct cpu_extent *last = NULL;
	size_t nr = 0;

	if (va < CODE || page >= NR_PAGES || !allowed(&machine->pte[page], access))
		return 0;
	if (access & CPU_WRITE)
		machine->pte[page].dirty = true;
	if (machine->alone || max < 16) {
		first = page;
		end = page + 1;
	}
	for (uint64_t i = first; i < end; i++) {
		struct pte *pte = &machine->pte[i];

		if (!pte->present)
			continue;
		pte->accessed = true;
		if (last && last->va + last->nr_pages * PAGE_BYTES == VA(i) &&
		    last->pfn + last->nr_pages == pte->pfn && last->rights == rights(pte)) {
			last->nr_pages++;
			continue;
		}
		last = &out[nr++];
		*last = (struct cpu_extent){VA(i), pte->pfn, 1, rights(pte)};
	}
	return nr;
}

/* The machine */

void machine_close(struct machine *machine)
{
	if (machine->cpu)
		cpu_host_ops.close(machine->cpu);
	if (machine->ram) {
		munmap(machine->ram, machine->env.arena_bytes);
		close(machine->env.arena_fd);
	}
	*machine = (struct machine){0};
}

struct machine *machine_open(void)
{
	struct machine *machine = &test_machine;
	void *ram;

	machine_close(machine);
	machine->env.arena_bytes = NR_PAGES * PAGE_BYTES;
	machine->env.user_end = CPU_HOST_USER_END;
	machine->env.walk = walk;
	machine->env.arena_fd = memfd_create("test", MFD_CLOEXEC);
	CHECK(machine->env.arena_fd >= 0);
	CHECK(!ftruncate(machine->env.arena_fd, (off_t)machine->env.arena_bytes));
	ram = mmap(NULL, machine->env.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	           machine->env.arena_fd, 0);
	CHECK(ram != MAP_FAILED);
	machine->ram = ram;
	machine->pte[0] = (struct pte){.present = true, .exec = true};
	machine->regs = (struct cpu_regs){.rip = CODE, .rflags = FLAGS};
	CHECK(!cpu_host_ops.open(&machine->env, machine, &machine->cpu));
	return machine;
}

void machine_load(struct machine *machine, const unsigned char *code, size_t bytes)
{
	memcpy(machine->ram + machine->pte[0].pfn * PAGE_BYTES, code, bytes);
	machine->regs.rip = CODE;
}

void map(struct machine *machine, unsigned page, unsigned pfn, bool write)
{
	machine->pte[page] = (struct pte){.present = true, .write = write, .pfn = pfn};
}

uint64_t *word(struct machine *machine, unsigned pfn)
{
	return (uint64_t *)(void *)(machine->ram + pfn * PAGE_BYTES);
}

enum cpu_exit_kind run(struct machine *machine)
{
	cpu_host_ops.run(machine->cpu, &machine->regs, &machine->exit);
	return machine->exit.kind;
}

enum cpu_exit_kind run_at(struct machine *machine, uint64_t rip)
{
	machine->regs.rip = rip;
	return run(machine);
}

struct cpu_stats stats(const struct machine *machine)
{
	struct cpu_stats stats;

	cpu_host_ops.stats(machine->cpu, &stats);
	return stats;
}

bool is_fault(const struct machine *machine, uint64_t address, uint32_t error)
{
	return machine->exit.kind == CPU_FAULT && machine->exit.address == address &&
	       machine->exit.error == error;
}

struct machine *machine_disown(void)
{
	test_machine = (struct machine){0};
	return &test_machine;
}

void random_steps(struct machine *machine, unsigned nr)
{
	uint64_t seed = test_seed(), value[NR_PAGES] = {0};

	LOAD(machine, access);
	while (nr--) {
		uint64_t r = test_random(&seed);
		unsigned page = 1 + (unsigned)(r >> 8) % (NR_PAGES - 1);
		unsigned pfn = 1 + (unsigned)(r >> 24) % (NR_PAGES - 1);
		struct pte *pte = &machine->pte[page];
		bool write = r >> 40 & 1;

		if (r % 4 == 0) {
			bool had = pte->present;

			*pte = (struct pte){.present = r >> 41 & 3, .write = write, .pfn = pfn};
			if (had)
				cpu_host_ops.tlb_flush(machine->cpu, VA(page), 1);
			continue;
		}
		machine->regs.gpr[CPU_RDI] = VA(page);
		machine->regs.gpr[CPU_RAX] = r;
		run_at(machine, write ? AT_WRITE : AT_READ);
		if (!allowed(pte, write ? CPU_WRITE : CPU_READ)) {
			CHECK(is_fault(machine, VA(page),
			               CPU_PF_USER | (write ? CPU_PF_WRITE : 0) |
			                       (pte->present ? CPU_PF_PRESENT : 0)));
			continue;
		}
		CHECK(machine->exit.kind == CPU_SYSCALL);
		if (write)
			value[pte->pfn] = r;
		CHECK(machine->regs.gpr[CPU_RAX] == value[pte->pfn]);
		CHECK(*word(machine, pte->pfn) == value[pte->pfn]);
		CHECK(pte->accessed && (!write || pte->dirty));
	}
}
