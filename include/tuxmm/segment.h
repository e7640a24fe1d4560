/*
 * segment.h - segmentation: from selector and offset to a linear address
 *
 * Descriptors are the processor's eight bytes, in a global and a local table.
 * Loading a register checks the descriptor and keeps a decoded copy; accesses use
 * the copy, as the processor does, until the register is loaded again.
 *
 * Not modelled: gates, task switches, virtual-8086 and real mode.
 *
 * Errors   a fault is a result: vector, error code and the rule that was broken
 * Owning   the tables are the caller's memory
 * Linux    struct desc_struct, asm/segment.h
 */
#ifndef TUXMM_SEGMENT_H
#define TUXMM_SEGMENT_H

#include <tuxmm/types.h>

/* As instructions number them. */
enum tmm_segment_name {
	TMM_SEGMENT_ES,
	TMM_SEGMENT_CS,
	TMM_SEGMENT_SS,
	TMM_SEGMENT_DS,
	TMM_SEGMENT_FS,
	TMM_SEGMENT_GS,
	TMM_NR_SEGMENTS
};

/* The four bits of a descriptor's type, for code and data (is_system clear). */
#define TMM_SEGMENT_ACCESSED    1u
#define TMM_SEGMENT_WRITABLE    2u /* data */
#define TMM_SEGMENT_READABLE    2u /* code */
#define TMM_SEGMENT_EXPAND_DOWN 4u /* data: offsets above the limit are valid */
#define TMM_SEGMENT_CONFORMING  4u /* code: callable from less privileged code */
#define TMM_SEGMENT_CODE        8u

struct tmm_descriptor {
	uint32_t base;
	uint32_t limit; /* 20 bits, in units of 4096 bytes when `granular` */
	uint8_t type;
	uint8_t dpl;
	bool is_system; /* S clear: a gate, a TSS or an LDT */
	bool present;
	bool available; /* AVL: software's */
	bool long_code; /* L: 64-bit code */
	bool big;       /* D/B: 32-bit operands; an expand-down segment ends at 4 GiB */
	bool granular;  /* G */
};

/* The eight bytes, and back; every value is some descriptor. */
uint64_t tmm_descriptor_encode(const struct tmm_descriptor *descriptor);
struct tmm_descriptor tmm_descriptor_decode(uint64_t raw);

/* The highest offset of an expand-up segment; below the lowest of an expand-down one. */
uint32_t tmm_descriptor_limit_bytes(const struct tmm_descriptor *descriptor);

#define TMM_SELECTOR_RPL 3u
#define TMM_SELECTOR_LDT 4u /* the local table, else the global one */

/* Vectors of faults. */
#define TMM_VECTOR_NP 11u /* not present */
#define TMM_VECTOR_SS 12u /* stack */
#define TMM_VECTOR_GP 13u /* general protection */

struct tmm_segment_fault {
	uint8_t vector;  /* TMM_VECTOR_* */
	uint16_t error;  /* the selector without RPL, or 0 */
	const char *why; /* the rule: "the selector is beyond the table's limit" */
};

/* A register: the selector one sees, and the copy one does not. */
struct tmm_segment {
	uint16_t selector;
	bool usable;                 /* a null selector is not */
	struct tmm_descriptor cache; /* as the table had it at the load */
	uint64_t base64;             /* FS, GS in 64-bit code: the base (MSR) */
};

struct tmm_segment_table {
	uint64_t *entry;
	uint32_t limit; /* the last byte's offset: 8 * n - 1; at most 65535 */
};

struct tmm_segments {
	struct tmm_segment reg[TMM_NR_SEGMENTS];
	struct tmm_segment_table gdt, ldt; /* entry NULL: there is none */
	uint8_t cpl;                       /* current privilege level */
	bool long_mode;                    /* EFER.LMA: CS with L runs 64-bit code */
};

/* All registers null, privilege 0: load CS before anything else. */
void tmm_segments_init(struct tmm_segments *segments, struct tmm_segment_table gdt,
                       struct tmm_segment_table ldt, bool long_mode);

/*
 * Load a register (CS: by a far jump) with its checks; sets the descriptor's
 * accessed bit.  False: *out_fault says which check failed, nothing has changed.
 */
bool tmm_segment_load(struct tmm_segments *segments, enum tmm_segment_name name,
                      uint16_t selector, struct tmm_segment_fault *out_fault);

/*
 * Take up a privilege level with a code segment of it, as the return from an
 * interrupt does: CS is loaded without looking at the level before.  SS must be
 * loaded next.
 */
bool tmm_segment_enter(struct tmm_segments *segments, uint16_t selector,
                       struct tmm_segment_fault *out_fault);

/* Does CS hold 64-bit code, so that bases but FS's and GS's, and limits, do not count? */
bool tmm_segments_in_long_code(const struct tmm_segments *segments);

/*
 * The linear address of `bytes` at `offset`, for one TMM_ACCESS_READ, WRITE or EXEC.
 * False: *out_fault says which check failed.
 */
bool tmm_segment_linear(const struct tmm_segments *segments, enum tmm_segment_name name,
                        uint64_t offset, unsigned bytes, unsigned access, tmm_vaddr *out,
                        struct tmm_segment_fault *out_fault);

#endif
