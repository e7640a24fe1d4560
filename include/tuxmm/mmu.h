/*
 * mmu.h - the processor's memory management unit in software, for each x86 geometry
 *
 * Tables lie in frames of RAM in the processor's own format.  They are built with
 * tmm_mmu_map(), and walked with tmm_mmu_walk() as a processor does: permission,
 * accessed and dirty bits, reserved bits, the error code of the fault, and a record
 * of every entry that was read.  With a TLB in front it is tmm_mmu_access().
 *
 * This is the unit one can look into; programs run on tuxmm/pgtable.h, which is
 * made for speed and writes the same four-level format.
 *
 * Units    addresses in bytes; levels count from 1 (pages of 4 KiB) to the root
 * Errors   tmm_err for building; a fault of an access is a result, not an error
 * Owning   tables are ours; what leaves point to is nobody's business here
 * Locks    the caller's, one caller per struct tmm_mmu at a time
 * Linux    arch/x86 pgtable_types.h, __handle_mm_fault(), show_fault_oops()
 */
#ifndef TUXMM_MMU_H
#define TUXMM_MMU_H

#include <tuxmm/pgtable.h>

enum tmm_geometry {
	TMM_GEOMETRY_X86_64,      /* 4 levels, 48 bits */
	TMM_GEOMETRY_X86_64_LA57, /* 5 levels, 57 bits */
	TMM_GEOMETRY_X86_32,      /* 2 levels, 4 GiB of physical addresses */
	TMM_GEOMETRY_X86_PAE      /* 3 levels, 64 GiB */
};
#define TMM_NR_GEOMETRIES 4u

/* Bits of entries beside those of tuxmm/pgtable.h, at the same place in each geometry. */
#define TMM_PTE_PWT        (UINT64_C(1) << 3)
#define TMM_PTE_PCD        (UINT64_C(1) << 4)
#define TMM_PTE_PS         (UINT64_C(1) << 7) /* above level 1: a page, not a table */
#define TMM_PTE_PAT        TMM_PTE_PS /* at level 1; with PWT and PCD: how it is cached */
#define TMM_PTE_PAT_LARGE  (UINT64_C(1) << 12) /* the same, of leaves above level 1 */
#define TMM_PTE_GLOBAL     (UINT64_C(1) << 8)  /* of leaves */

#define TMM_MMU_MAX_LEVELS 5u

struct tmm_mmu_level {
	const char *name; /* of an entry: "PTE", "PDE", "PDPTE", "PML4E", "PML5E" */
	uint8_t shift;    /* the index begins at this bit of the linear address, */
	uint8_t bits;     /* and is so long; a page here has 2^shift bytes */
	bool can_be_leaf; /* with PS set; always so at level 1 */
	bool is_bare;     /* has neither rights nor an accessed bit (PAE's PDPTE) */
};

/* One way to translate.  What a physical address can have is the most the format allows. */
struct tmm_mmu_format {
	const char *name; /* "x86-32", "pae", "x86-64", "x86-64-la57" */
	uint8_t nr_levels;
	uint8_t entry_bytes;
	uint8_t linear_bits;   /* below 64: the bits above repeat the highest of these */
	uint8_t physical_bits; /* the most that entries can hold */
	uint8_t usual_bits;    /* what tmm_mmu_init() takes for 0 */
	bool has_nx;
	struct tmm_mmu_level level[TMM_MMU_MAX_LEVELS + 1]; /* [1] .. [nr_levels] */
};

const struct tmm_mmu_format *tmm_mmu_format(enum tmm_geometry geometry);

/* What control registers turn on. */
#define TMM_MMU_WP   (1u << 0) /* CR0.WP: the kernel, too, writes only where W is set */
#define TMM_MMU_NXE  (1u << 1) /* EFER.NXE: bit 63 means no execution, else reserved */
#define TMM_MMU_SMEP (1u << 2) /* CR4.SMEP: the kernel does not execute user pages */
#define TMM_MMU_SMAP (1u << 3) /* CR4.SMAP, EFLAGS.AC clear: nor read or write them */
#define TMM_MMU_PGE  (1u << 4) /* CR4.PGE: leaves may be global */

struct tmm_mmu {
	const struct tmm_mmu_format *format;
	struct tmm_pages *pages;
	tmm_pfn root;          /* CR3 */
	uint64_t nr_tables;    /* the root among them */
	uint32_t controls;     /* TMM_MMU_*, may be changed at any time */
	uint8_t physical_bits; /* MAXPHYADDR: bits of frames above it are reserved */
	bool keeps_tables;     /* empty tables stay until the end (the kernel's own map) */
};

/*
 * physical_bits 0: what is usual.
 *   TMM_E_NOMEM  no frame for the root
 *   TMM_E_INVAL  NXE without NX in the format, or physical_bits that it cannot hold
 */
TMM_MUST_CHECK tmm_err tmm_mmu_init(struct tmm_mmu *mmu, enum tmm_geometry geometry,
                                    struct tmm_pages *pages, unsigned controls,
                                    unsigned physical_bits);

/* Frees every table, whatever it still maps. */
void tmm_mmu_fini(struct tmm_mmu *mmu);

/*
 * Map the page of page_bytes at va to pa, with these bits of the leaf (PRESENT is
 * implied, PS too where it belongs; PAT is that of level 1 whatever the size).  Tables
 * above grant all rights.
 *   TMM_E_INVAL  no page has that size here; va or pa is not aligned to it, not
 *                canonical or beyond the physical limit; or no such bits
 *   TMM_E_EXIST  something is mapped there
 *   TMM_E_NOMEM  no frame for a table; nothing has changed
 */
TMM_MUST_CHECK tmm_err tmm_mmu_map(struct tmm_mmu *mmu, tmm_vaddr va, tmm_paddr pa,
                                   uint64_t page_bytes, uint64_t bits);

/* Clear the leaf of va and free tables left empty.  TMM_E_NOENT: nothing is mapped there. */
TMM_MUST_CHECK tmm_err tmm_mmu_unmap(struct tmm_mmu *mmu, tmm_vaddr va, uint64_t *out_leaf);

/* An access is one TMM_ACCESS_READ, WRITE or EXEC, and USER when CPL is 3. */
#define TMM_ACCESS_USER 8u

/* Properties of a translation besides TMM_ACCESS_*, which say what all entries grant. */
#define TMM_RIGHT_GLOBAL (1u << 4)
#define TMM_RIGHT_DIRTY  (1u << 5) /* a write needs no walk any more */

/* Why an access faults.  A walk tells the first that applies, in this order. */
enum tmm_mmu_fault {
	TMM_FAULT_NONE,
	TMM_FAULT_CANONICAL, /* bits of the linear address above its width: #GP(0) */
	TMM_FAULT_NO_RAM,    /* an entry points to a table where there is no RAM; no #PF */
	TMM_FAULT_ABSENT,    /* an entry is not present */
	TMM_FAULT_RESERVED,  /* a bit is set that must be 0 */
	TMM_FAULT_USER,      /* the user at a page of the kernel */
	TMM_FAULT_WRITE,     /* no W */
	TMM_FAULT_NX,        /* no execution */
	TMM_FAULT_SMEP,
	TMM_FAULT_SMAP
};

/* The error code that a page fault pushes. */
#define TMM_PF_PRESENT  (1u << 0) /* all entries were */
#define TMM_PF_WRITE    (1u << 1)
#define TMM_PF_USER     (1u << 2)
#define TMM_PF_RESERVED (1u << 3)
#define TMM_PF_FETCH    (1u << 4) /* only with NXE or SMEP */

/* An entry that was read. */
struct tmm_mmu_step {
	uint8_t level;
	bool is_leaf;
	uint16_t index;
	tmm_paddr entry_at;
	uint64_t before;   /* the entry as it was */
	uint64_t after;    /* with the accessed and dirty bits of this access */
	uint64_t reserved; /* bits set that must be 0 */
};

struct tmm_mmu_result {
	enum tmm_mmu_fault fault;
	uint32_t error;      /* TMM_PF_*, for a page fault */
	tmm_paddr pa;        /* without a fault */
	uint64_t page_bytes; /* the leaf's, when one was reached */
	uint32_t rights;     /* TMM_ACCESS_*, TMM_RIGHT_*: of all entries together */
	bool from_tlb;       /* no step was made */
	unsigned nr_steps;
	struct tmm_mmu_step step[TMM_MMU_MAX_LEVELS]; /* from the root down */
};

/*
 * Translate va for an access.  Without a fault the accessed bits of all entries are
 * set, and for a write the leaf's dirty bit; a fault changes nothing.  True: no fault.
 */
bool tmm_mmu_walk(struct tmm_mmu *mmu, tmm_vaddr va, unsigned access,
                  struct tmm_mmu_result *out);

struct tmm_tlb;

/*
 * The same through a TLB: a hit that grants the access makes no step.  Otherwise
 * walk, and keep what was found; a fault drops the page from the TLB.
 */
bool tmm_mmu_access(struct tmm_mmu *mmu, struct tmm_tlb *tlb, unsigned asid, tmm_vaddr va,
                    unsigned access, struct tmm_mmu_result *out);

/* Bits of an entry that must be 0; is_leaf: it maps a page. */
uint64_t tmm_mmu_reserved_bits(const struct tmm_mmu *mmu, unsigned level, bool is_leaf);

/* Panics unless tables are reachable once, counted, and, the root apart, not empty. */
void tmm_mmu_check(const struct tmm_mmu *mmu);

#endif
