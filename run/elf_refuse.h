/*
 * elf_refuse.h - what reading and mapping a program share: saying no, and page ends
 */
#ifndef TUXMM_RUN_ELF_REFUSE_H
#define TUXMM_RUN_ELF_REFUSE_H

#include <stdio.h>

#include <tuxmm/types.h>

/* Leave a function that has why[why_bytes], with the reason in it. */
#define REFUSE(err, ...)                                                                       \
	do {                                                                                   \
		snprintf(why, why_bytes, __VA_ARGS__);                                         \
		return err;                                                                    \
	} while (0)

static inline uint64_t page_down(uint64_t x)
{
	return x & TMM_PAGE_MASK;
}

static inline uint64_t page_up(uint64_t x)
{
	return (x + TMM_PAGE_SIZE - 1) & TMM_PAGE_MASK;
}

#endif
