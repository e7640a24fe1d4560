/*
 * mapping.h - the pages of one file, for those who map them
 *
 * A page in the cache has PAGE_FILE, its mapping as owner and its place in the
 * file as index.  Its refcount is one for the cache and one for each leaf and
 * pin; its mapcount is the leaves alone.  A page cut out of the file while it is
 * referenced loses its owner and is freed with its last reference.
 *
 * Locks    all take cache->lock, rank CACHE, inside; mapping_window_get() may
 *          sleep, and calls the file's owner without the lock
 */
#ifndef TUXMM_CACHE_MAPPING_H
#define TUXMM_CACHE_MAPPING_H

#include "cache/cache_system.h"
#include "cache/tree.h"
#include "page/page.h"

/* (c) constant after creation  (l) cache->lock */
struct tmm_mapping {
	struct tmm_cache_system *cache;    /* (c) */
	const struct tmm_mapping_ops *ops; /* (c) */
	void *owner;                       /* (c) */
	struct list link;                  /* (l) in cache->mappings */
	uint64_t refs;                     /* (l) */
	uint64_t nr_pages;                 /* (l) in the tree */
	uint64_t nr_refreshes;             /* (l) a read that was begun before one is void */
	struct tree tree;                  /* (l) index -> frame; marked: dirty */
};

/* (c) constant after creation  (l) cache->lock */
struct tmm_file {
	struct tmm_cache_system *cache; /* (c) */
	uint64_t refs;                  /* (l) */
	struct tmm_file_spec spec;      /* (c) mapping and path are ours */
};

#define WINDOW_MAX_PAGES 64u

/* Pages [first, first + nr) of a file, of which page `index` is wanted. */
struct mapping_window {
	uint64_t index, first;
	size_t nr;    /* 1 .. WINDOW_MAX_PAGES, index among them */
	bool as_leaf; /* references are leaves, else pins */

	/* Results. */
	size_t nr_read;                /* pages that had to be read; not 0: a major fault */
	tmm_pfn pfn[WINDOW_MAX_PAGES]; /* TMM_PFN_NONE: not in the cache */
};

/*
 * Take a reference to every page of the window that is in the cache; when the
 * wanted one is not, read it and the absent pages beside it, in one call.
 *   TMM_OK       pfn[index - first] is there
 *   TMM_E_RANGE  past the end of the file
 *   TMM_E_IO     it cannot be read
 *   TMM_E_NOMEM
 */
TMM_MUST_CHECK tmm_err mapping_window_get(struct tmm_mapping *mapping,
                                          struct mapping_window *window);

/* Is the page at index in the cache, whole and read? */
bool mapping_has_page(struct tmm_mapping *mapping, uint64_t index);

/* One more reference to a page of which the caller has one. */
void file_page_get(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf);

/*
 * Drop references.  dirty: the leaf that goes was dirty and shared, so the page
 * has to be written back.
 */
void file_page_put(struct tmm_cache_system *cache, tmm_pfn pfn, bool as_leaf, bool dirty);
void file_pages_put(struct tmm_cache_system *cache, size_t nr, const tmm_pfn *pfn,
                    bool as_leaf);

/* A shared leaf becomes writable, or the kernel writes: the page is to be written back. */
void file_page_set_dirty(struct tmm_cache_system *cache, tmm_pfn pfn);

/* Where a page is, and who keeps it. */
struct file_place {
	const struct tmm_mapping *mapping; /* NULL: cut out of its file; to be compared only */
	uint32_t index;
	uint32_t mapcount;
	uint32_t nr_pins; /* neither leaves nor the cache */
};

/* False: the frame is not in the cache. */
bool file_page_place(struct tmm_cache_system *cache, tmm_pfn pfn, struct file_place *out);

/*
 * Move a page that only the cache holds; as tmm_migrate_ops.move, but for frames that
 * are mapped, which are TMM_E_BUSY.
 */
TMM_MUST_CHECK tmm_err file_page_move(struct tmm_cache_system *cache, tmm_pfn from, tmm_pfn to);

/* tmm_cache_shrink_pages() of pages on some nodes: bit i is node i. */
uint64_t cache_shrink_nodes(struct tmm_cache_system *cache, uint32_t nodes, uint64_t nr);

/* Pages that it could take of the zone with that index in tmm_pages.zone[]. */
uint64_t cache_idle_pages(const struct tmm_cache_system *cache, unsigned zone);

/* Pages that some leaf points to (Linux: Mapped). */
uint64_t cache_mapped_pages(const struct tmm_cache_system *cache);

#endif
