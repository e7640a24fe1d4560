/*
 * cpu_inline.h - sections: what a CPU has to itself, used without a lock
 *
 * A thread that is on a CPU begins a section, looks whether it may (a word that it
 * loads with acquire), uses the CPU's data and ends the section, all without a barrier
 * of the processor.  Whoever else wants the data changes the word and waits with a
 * barrier on all CPUs: after that every section that did not see the change has ended,
 * and later ones see it.  Sections are short, do not nest and do not sleep.
 *
 * For inline functions of other headers; what is here belongs to the library of the
 * same version.
 */
#ifndef TUXMM_CPU_INLINE_H
#define TUXMM_CPU_INLINE_H

#include <tuxmm/cpu.h>

/* A struct tmm_cpu begins so.  (c) constant  (a) written by the thread on it alone */
struct tmm_cpu_front {
	void *set;            /* (c) all CPUs of its machine */
	uint64_t line_offset; /* (c) of its own line in an array of lines of 64 bytes */
	uint32_t in_section;  /* (a) */
};

static inline __attribute__((always_inline)) void tmm_section_begin(struct tmm_cpu *cpu)
{
	struct tmm_cpu_front *front = (struct tmm_cpu_front *)(void *)cpu;

	/* relaxed: before the look at the word by the barrier of who waits, with which
	   this fence keeps the compiler in step */
	__atomic_store_n(&front->in_section, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline __attribute__((always_inline)) void tmm_section_end(struct tmm_cpu *cpu)
{
	struct tmm_cpu_front *front = (struct tmm_cpu_front *)(void *)cpu;

	/* release: who waits for the end sees what the section did */
	__atomic_store_n(&front->in_section, 0, __ATOMIC_RELEASE);
}

#endif
