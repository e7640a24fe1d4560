/*
 * file.h - files as memory sees them: page cache and open files
 *
 * A tmm_mapping (Linux: struct address_space) is the set of a file's pages that
 * are in RAM, shared by everyone who maps the file.  A tmm_file is one opening
 * of it: what /proc/PID/maps names and what mmap may do with it.  Where bytes
 * come from and go to is the owner's business: a table of functions.
 *
 * Units    index and nr in pages of the file; sizes in bytes
 * Owning   both are counted; create gives one reference, put drops one.  A
 *          mapping without references writes back and frees its pages
 * Locks    the cache's, rank CACHE; the owner's functions are called without
 * Linux    struct address_space, struct file, filemap_fault()
 */
#ifndef TUXMM_FILE_H
#define TUXMM_FILE_H

#include <tuxmm/page_alloc.h>

struct tmm_cache_system; /* fields: core/cache/cache_system.h */
struct tmm_mapping;      /* fields: core/cache/mapping.h */
struct tmm_file;

struct tmm_mapping_ops {
	/*
	 * Fill nr pages from page `index` on; bytes past the end of the file read
	 * as zeroes.  TMM_OK, or TMM_E_IO.
	 */
	tmm_err (*read)(void *owner, uint64_t index, size_t nr, void *const *page_addresses);

	/*
	 * Write the first size_bytes of page `index` back.  TMM_OK or TMM_E_IO.
	 * NULL: there is nothing to write to, as for memory that is shared and
	 * anonymous; a dirty page stays dirty, and in RAM, until it is cut off.
	 */
	tmm_err (*write)(void *owner, uint64_t index, const void *page_address,
	                 size_t size_bytes);

	/* The file's length now. */
	uint64_t (*size)(void *owner);

	/* The last reference is gone; all pages are freed. */
	void (*release)(void *owner);
};

TMM_MUST_CHECK tmm_err tmm_mapping_create(struct tmm_cache_system *cache,
                                          const struct tmm_mapping_ops *ops, void *owner,
                                          struct tmm_mapping **out_mapping);
struct tmm_mapping *tmm_mapping_get(struct tmm_mapping *mapping);
void tmm_mapping_put(struct tmm_mapping *mapping);

/*
 * The file's bytes [start, end) were changed, or cut off, behind the cache's
 * back: cached pages are read again or, where mapped and past the end, unmapped
 * by the caller beforehand.
 */
TMM_MUST_CHECK tmm_err tmm_mapping_refresh(struct tmm_mapping *mapping, uint64_t start,
                                           uint64_t end);

/* Write dirty pages of [first, last] back; the first error, after trying all. */
TMM_MUST_CHECK tmm_err tmm_mapping_sync(struct tmm_mapping *mapping, uint64_t first,
                                        uint64_t last);

struct tmm_file_spec {
	struct tmm_mapping *mapping; /* a reference is taken */
	const char *path;            /* copied; what maps shows */
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	bool readable, writable; /* as opened: mmap's EACCES */
	bool noexec;             /* mount option: PROT_EXEC gives EPERM */
	bool shmem;              /* its bytes live in memory alone: counted as TMM_RSS_SHMEM */
};

TMM_MUST_CHECK tmm_err tmm_file_create(struct tmm_cache_system *cache,
                                       const struct tmm_file_spec *spec,
                                       struct tmm_file **out_file);
struct tmm_file *tmm_file_get(struct tmm_file *file);
void tmm_file_put(struct tmm_file *file);

/* Pages in the cache, and of them dirty (Linux: Cached, Dirty). */
uint64_t tmm_cache_pages(const struct tmm_cache_system *cache);
uint64_t tmm_cache_dirty_pages(const struct tmm_cache_system *cache);

/* Pages read from and written to files since boot (Linux: pgpgin, pgpgout, in KiB there). */
uint64_t tmm_cache_pages_read(const struct tmm_cache_system *cache);
uint64_t tmm_cache_pages_written(const struct tmm_cache_system *cache);

/* Free clean pages that nobody maps, up to nr; returns how many. */
uint64_t tmm_cache_shrink_pages(struct tmm_cache_system *cache, uint64_t nr);

/* Panics unless every mapping's tree, counts and pages agree. */
void tmm_cache_check(struct tmm_cache_system *cache);

#endif
