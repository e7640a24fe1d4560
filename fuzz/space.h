/*
 * space.h - the naive model of one small address space
 *
 * All of user space is one window of pages.  Each page has its rights, what is
 * behind it, and its bytes; nothing is shared with the core but the headers.
 */
#ifndef TUXMM_FUZZ_SPACE_H
#define TUXMM_FUZZ_SPACE_H

#include <tuxmm/space.h>

#include "ops.h"

#define PAGE         TMM_PAGE_SIZE
#define WINDOW_START UINT64_C(0x700000000000) /* the hole of tests/mmap_diff */
#define WINDOW_PAGES 96u
#define WINDOW_END   (WINDOW_START + WINDOW_PAGES * PAGE)
#define HEAP_START   (WINDOW_START + 64 * PAGE)
#define NR_FILES     3u /* the last one is open for reading alone */
#define FILE_PAGES   12u

/* What shared pages have in common: a file, or shared anonymous memory. */
struct object {
	unsigned refs; /* pages of the model that name it */
	uint64_t nr_pages;
	uint8_t (*byte)[PAGE];
	bool read_only;
	int file; /* index, or -1 */
};

struct model_page {
	bool mapped, shared;
	uint32_t prot;
	struct object *object; /* NULL: anonymous and private */
	uint64_t index;        /* of the object's page */
	uint8_t *own;          /* a private page once somebody could write it; NULL: not yet */
};

extern struct model_page model[WINDOW_PAGES];
extern struct object file_object[NR_FILES];

void model_begin(void);
void model_end(void);

/* Page of an address; only for addresses in the window. */
static inline struct model_page *model_at(uint64_t addr)
{
	return &model[(addr - WINDOW_START) / PAGE];
}

static inline uint64_t page_up(uint64_t x)
{
	return (x + PAGE - 1) & TMM_PAGE_MASK;
}

bool in_window(uint64_t addr, uint64_t length);

/* The page's bytes; NULL: past the end of its object. */
const uint8_t *model_bytes(const struct model_page *page);

/* May it be accessed so?  Counts rights alone. */
bool model_allows(const struct model_page *page, unsigned access);

/* What a trap at addr is answered when memory suffices. */
enum tmm_fault model_fault(uint64_t addr, unsigned access);

/* How many of the bytes from addr on a copy reaches. */
size_t model_reach(uint64_t addr, size_t bytes, unsigned access);

/* The page's bytes for writing: from now on, if it is private, its own. */
uint8_t *model_own(uint64_t addr);
void model_write(uint64_t addr, const uint8_t *from, size_t bytes);

/* Calls that succeeded.  Lengths are whole pages. */
void model_map(uint64_t addr, uint64_t length, const struct tmm_mmap_request *request,
               int file);
void model_unmap(uint64_t addr, uint64_t length);
void model_move(uint64_t from, uint64_t old_length, uint64_t to, uint64_t new_length,
                bool keep);
void model_discard(uint64_t addr, uint64_t length);

#endif
