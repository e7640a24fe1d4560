/*
 * cpu_test.h - a machine of 64 pages to try a CPU back end on
 *
 *	VA      page i of the program's window        RAM     frame i, if pte[i] says so
 *	        page 0 holds the code, at CODE
 *
 * The "page tables" are an array; the walk obeys it as the core's would.  Programs are
 * a few instructions between two labels, copied to the frame of page 0.
 */
#ifndef TUXMM_RUN_CPU_TEST_H
#define TUXMM_RUN_CPU_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

#define PAGE_BYTES 4096u
#define NR_PAGES   64u
#define CODE       UINT64_C(0x400000)
#define VA(i)      (CODE + (uint64_t)(i)*PAGE_BYTES)
#define FLAGS      UINT64_C(0x202)

/* A program: `text` in assembler, found again as code_<name>. */
#define PROGRAM(name, text)                                                                    \
	extern const unsigned char code_##name[], code_end_##name[];                           \
	__asm__(".pushsection .rodata\n"                                                       \
	        ".globl code_" #name ", code_end_" #name "\n"                                  \
	        "code_" #name ":\n" text "\ncode_end_" #name ":\n"                             \
	        ".popsection\n")

#define LOAD(machine, name)                                                                    \
	machine_load(machine, code_##name, (size_t)(code_end_##name - code_##name))

struct pte {
	bool present, write, exec, dirty, accessed;
	unsigned pfn;
};

struct machine {
	struct cpu_env env;
	struct cpu *cpu;
	struct cpu_regs regs;
	struct cpu_exit exit;
	struct pte pte[NR_PAGES];
	unsigned char *ram;
	bool alone; /* walk shows no neighbours */
};

/* The one machine, just made.  One that a failed test left is closed first. */
struct machine *machine_open(void);
void machine_close(struct machine *machine);
/* Forget the machine without closing it: for a fork of the test. */
struct machine *machine_disown(void);

void machine_load(struct machine *machine, const unsigned char *code, size_t bytes);
void map(struct machine *machine, unsigned page, unsigned pfn, bool write);
bool allowed(const struct pte *pte, unsigned access);
uint64_t *word(struct machine *machine, unsigned pfn);

enum cpu_exit_kind run(struct machine *machine);
enum cpu_exit_kind run_at(struct machine *machine, uint64_t rip);
struct cpu_stats stats(const struct machine *machine);
bool is_fault(const struct machine *machine, uint64_t address, uint32_t error);

/*
 * Random changes of the tables, each flushed when it takes something away, against
 * random loads and stores: the value and the fault must be what the array says.
 */
void random_steps(struct machine *machine, unsigned nr);

/* Programs that several tests use. */
extern const unsigned char code_access[], code_end_access[];
#define AT_READ  CODE
#define AT_WRITE (CODE + 5)
#define AT_JUMP  (CODE + 10)
extern const unsigned char code_loop[], code_end_loop[];
extern const unsigned char code_call[], code_end_call[];

#endif
