/*
 * space.h - address spaces: what a task may touch, and what is behind it
 *
 * A tmm_mm (Linux: mm_struct) is a sorted set of areas (VMAs) and a page-table
 * tree.  The calls below are Linux's system calls with the same results and
 * error numbers; pages appear when they are touched, through tmm_mm_fault().
 *
 * Units    addresses and lengths in bytes, as user space passes them: raw
 *          integers, because any value may come in
 * Errors   what Linux returns, as tmm_err
 * Owning   tmm_mm_create() gives one reference; the last tmm_mm_put() unmaps all
 * Locks    mm->lock, rank MM, taken inside; may sleep
 * Linux    mm/mmap.c, mm/memory.c, mm/mremap.c and their manual pages
 */
#ifndef TUXMM_SPACE_H
#define TUXMM_SPACE_H

#include <tuxmm/file.h>
#include <tuxmm/pgtable.h>

struct tmm_space_system; /* fields: core/space/space_system.h */
struct tmm_mm;           /* fields: core/space/mm.h */

/* Values of Linux x86-64. */
#define TMM_PROT_NONE           0u
#define TMM_PROT_READ           1u
#define TMM_PROT_WRITE          2u
#define TMM_PROT_EXEC           4u
#define TMM_PROT_GROWSDOWN      0x01000000u
#define TMM_PROT_GROWSUP        0x02000000u

#define TMM_MAP_SHARED          0x01u
#define TMM_MAP_PRIVATE         0x02u
#define TMM_MAP_SHARED_VALIDATE 0x03u
#define TMM_MAP_TYPE            0x0fu
#define TMM_MAP_FIXED           0x10u
#define TMM_MAP_ANONYMOUS       0x20u
#define TMM_MAP_32BIT           0x40u
#define TMM_MAP_GROWSDOWN       0x0100u
#define TMM_MAP_DENYWRITE       0x0800u
#define TMM_MAP_EXECUTABLE      0x1000u
#define TMM_MAP_LOCKED          0x2000u
#define TMM_MAP_NORESERVE       0x4000u
#define TMM_MAP_POPULATE        0x8000u
#define TMM_MAP_NONBLOCK        0x10000u
#define TMM_MAP_STACK           0x20000u
#define TMM_MAP_HUGETLB         0x40000u
#define TMM_MAP_SYNC            0x80000u
#define TMM_MAP_FIXED_NOREPLACE 0x100000u

#define TMM_MREMAP_MAYMOVE      1u
#define TMM_MREMAP_FIXED        2u
#define TMM_MREMAP_DONTUNMAP    4u

#define TMM_MADV_NORMAL         0
#define TMM_MADV_RANDOM         1
#define TMM_MADV_SEQUENTIAL     2
#define TMM_MADV_WILLNEED       3
#define TMM_MADV_DONTNEED       4
#define TMM_MADV_FREE           8

#define TMM_MS_ASYNC            1u
#define TMM_MS_INVALIDATE       2u
#define TMM_MS_SYNC             4u

#define TMM_RLIM_INFINITY       UINT64_MAX

struct tmm_mm_limits {
	uint64_t as_bytes;      /* RLIMIT_AS */
	uint64_t data_bytes;    /* RLIMIT_DATA */
	uint64_t stack_bytes;   /* RLIMIT_STACK */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK */
};

/* Where things go; Linux's for the geometry, moved by randomisation. */
struct tmm_mm_layout {
	uint64_t task_size; /* user addresses end here */
	uint64_t mmap_min;  /* lowest address a mapping may have (mmap_min_addr) */
	uint64_t mmap_base; /* top-down search starts below this */
};

/*
 * An empty address space.
 *   TMM_E_NOMEM
 *   TMM_E_INVAL  a layout that is not page aligned or not in order
 */
TMM_MUST_CHECK tmm_err tmm_mm_create(struct tmm_space_system *spaces,
                                     const struct tmm_mm_layout *layout,
                                     const struct tmm_mm_limits *limits,
                                     struct tmm_mm **out_mm);
struct tmm_mm *tmm_mm_get(struct tmm_mm *mm);
void tmm_mm_put(struct tmm_mm *mm);

/* The page tables, for a back end to walk and to be named to. */
struct tmm_pgtable *tmm_mm_pgtable(struct tmm_mm *mm);

/* rlimits may change while the task runs. */
void tmm_mm_set_limits(struct tmm_mm *mm, const struct tmm_mm_limits *limits);

struct tmm_mmap_request {
	uint64_t addr, length;
	uint32_t prot, flags;  /* TMM_PROT_*, TMM_MAP_* */
	struct tmm_file *file; /* NULL when TMM_MAP_ANONYMOUS; a reference is taken */
	uint64_t offset;       /* bytes into the file */
};

/* mmap(2); also ENODEV/EACCES/EPERM/EOVERFLOW/EEXIST as there. */
TMM_MUST_CHECK tmm_err tmm_mm_mmap(struct tmm_mm *mm, const struct tmm_mmap_request *request,
                                   uint64_t *out_addr);
TMM_MUST_CHECK tmm_err tmm_mm_munmap(struct tmm_mm *mm, uint64_t addr, uint64_t length);
TMM_MUST_CHECK tmm_err tmm_mm_mprotect(struct tmm_mm *mm, uint64_t addr, uint64_t length,
                                       uint32_t prot);

/* mremap(2), of one area: moving several at once (Linux 6.17) is TMM_E_FAULT. */
TMM_MUST_CHECK tmm_err tmm_mm_mremap(struct tmm_mm *mm, uint64_t old_addr, uint64_t old_length,
                                     uint64_t new_length, uint32_t flags, uint64_t new_addr,
                                     uint64_t *out_addr);

/*
 * madvise(2).  Kept as flags of areas: NORMAL, RANDOM, SEQUENTIAL, (NO)HUGEPAGE,
 * DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK, DONTDUMP, DODUMP; taken note of by
 * nobody yet: WILLNEED, COLD, PAGEOUT.  DONTNEED frees at once, FREE leaves pages
 * that reclaim may take until they are written.  Anything else: TMM_E_INVAL.
 */
TMM_MUST_CHECK tmm_err tmm_mm_madvise(struct tmm_mm *mm, uint64_t addr, uint64_t length,
                                      int advice);
TMM_MUST_CHECK tmm_err tmm_mm_msync(struct tmm_mm *mm, uint64_t addr, uint64_t length,
                                    uint32_t flags);

/* One byte a page into vec: bit 0 says resident. */
TMM_MUST_CHECK tmm_err tmm_mm_mincore(struct tmm_mm *mm, uint64_t addr, uint64_t length,
                                      uint8_t *vec);

/*
 * brk(2) as the kernel answers it: the break afterwards, which is the old one
 * when it could not be moved.  0 asks.
 */
uint64_t tmm_mm_brk(struct tmm_mm *mm, uint64_t new_break);

/* Set by the loader, once: where text, data, heap, arguments and stack are. */
struct tmm_mm_image {
	uint64_t start_code, end_code;
	uint64_t start_data, end_data;
	uint64_t start_brk;
	uint64_t start_stack;
	uint64_t arg_start, arg_end;
	uint64_t env_start, env_end;
};
void tmm_mm_set_image(struct tmm_mm *mm, const struct tmm_mm_image *image);
const struct tmm_mm_image *tmm_mm_image(const struct tmm_mm *mm);

/*
 * The stack area: size_bytes below top, growing down on faults to the stack
 * limit, never nearer than the guard gap (1 MiB) to the area below.
 */
TMM_MUST_CHECK tmm_err tmm_mm_map_stack(struct tmm_mm *mm, uint64_t top, uint64_t size_bytes,
                                        bool executable);

enum tmm_fault {
	TMM_FAULT_OK,     /* the access can be tried again */
	TMM_FAULT_MAPERR, /* no area: SIGSEGV, SEGV_MAPERR */
	TMM_FAULT_ACCERR, /* an area, not that access: SIGSEGV, SEGV_ACCERR */
	TMM_FAULT_BUS, /* past the end of a file, or it could not be read: SIGBUS, BUS_ADRERR */
	TMM_FAULT_OOM  /* no memory: the OOM killer's business */
};

/* A user access of kind TMM_ACCESS_* at addr trapped: make it possible or say why not. */
enum tmm_fault tmm_mm_fault(struct tmm_mm *mm, uint64_t addr, unsigned access);

/*
 * Copies between user and kernel memory.  Pages are faulted in as needed.
 * Return the bytes NOT copied, 0 being success; nothing past user space is ever
 * touched.
 */
TMM_MUST_CHECK size_t tmm_copy_from_user(struct tmm_mm *mm, void *to, uint64_t from,
                                         size_t bytes);
TMM_MUST_CHECK size_t tmm_copy_to_user(struct tmm_mm *mm, uint64_t to, const void *from,
                                       size_t bytes);
TMM_MUST_CHECK size_t tmm_clear_user(struct tmm_mm *mm, uint64_t to, size_t bytes);

/*
 * Copy a string of at most bytes - 1 characters and its NUL.
 *   TMM_OK          *out_length without the NUL
 *   TMM_E_RANGE     longer; TMM_E_FAULT  runs into what cannot be read
 */
TMM_MUST_CHECK tmm_err tmm_strncpy_from_user(struct tmm_mm *mm, char *to, uint64_t from,
                                             size_t bytes, size_t *out_length);

/* A piece of user memory at its kernel address. */
struct tmm_user_piece {
	void *address;
	size_t bytes;
};

/*
 * The user range [addr, addr + bytes) as pieces of pinned memory, adjacent
 * frames joined; stops early where a page cannot be had or out is full.
 * *out_bytes says how much is covered (may be 0: EFAULT).  Until put, the
 * frames cannot be freed.  write: they are about to be written.
 */
size_t tmm_get_user_pages(struct tmm_mm *mm, uint64_t addr, size_t bytes, bool write,
                          struct tmm_user_piece *out, size_t max, size_t *out_bytes);
void tmm_put_user_pages(struct tmm_mm *mm, const struct tmm_user_piece *pieces, size_t nr);

/* Kinds of resident memory. */
enum tmm_rss { TMM_RSS_FILE, TMM_RSS_ANON, TMM_RSS_SHMEM, TMM_NR_RSS };

/* Kinds of area, by what is behind them: where a program's memory goes. */
enum tmm_area_kind {
	TMM_AREA_TEXT,  /* mapped from files: program, libraries, data files */
	TMM_AREA_HEAP,  /* moved by brk */
	TMM_AREA_MMAP,  /* anonymous, bss among it */
	TMM_AREA_STACK, /* the initial stack */
	TMM_NR_AREA_KINDS
};

struct tmm_mm_usage {
	uint64_t rss_pages[TMM_NR_RSS];
	uint64_t peak_rss_pages; /* of their sum (VmHWM) */
	uint64_t total_pages;    /* VmSize */
	uint64_t peak_total_pages;
	uint64_t data_pages, stack_pages, exec_pages; /* VmData, VmStk, VmExe + VmLib */
	uint64_t locked_pages;
	uint64_t table_pages, peak_table_pages; /* page tables */
	uint64_t kind_pages[TMM_NR_AREA_KINDS]; /* resident, by kind of area */
	uint64_t kind_peak_pages[TMM_NR_AREA_KINDS];
	uint64_t minor_faults, major_faults;
	uint64_t nr_areas;
};
void tmm_mm_usage(struct tmm_mm *mm, struct tmm_mm_usage *out);

/* All address spaces together; counts of events are since boot, ended tasks' included. */
struct tmm_space_totals {
	uint64_t anon_pages;         /* frames that are somebody's private memory */
	uint64_t mapped_pages;       /* page-cache frames that some leaf points to */
	uint64_t table_pages;        /* page tables */
	uint64_t committed_pages;    /* promised (Linux: Committed_AS) */
	uint64_t commit_limit_pages; /* what mode 2 would allow (CommitLimit) */
	uint64_t minor_faults, major_faults;
	uint64_t oom_faults; /* answered TMM_FAULT_OOM: each ends its task */
};
void tmm_space_totals(struct tmm_space_system *spaces, struct tmm_space_totals *out);

/* One area, as /proc/PID/maps and smaps want it. */
struct tmm_area {
	uint64_t start, end;
	bool read, write, exec, shared;
	bool may_read, may_write, may_exec, grows_down, noreserve, sequential, random,
		accounted;
	enum tmm_area_kind kind;
	const struct tmm_file_spec
		*file;   /* NULL: anonymous; valid while the mm is not changed */
	uint64_t offset; /* bytes into the file */

	/* Filled only when asked for: walks the tables. */
	uint64_t rss_pages, anon_pages, zero_pages;
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty, referenced;
	uint64_t pss_bytes;
};

/* The first area that ends above addr; false when there is none. */
bool tmm_mm_area(struct tmm_mm *mm, uint64_t addr, bool with_pages, struct tmm_area *out);

/* Panics unless areas, tables, reference counts and usage agree. */
void tmm_mm_check(struct tmm_mm *mm);
void tmm_space_check(struct tmm_space_system *spaces);

#endif
