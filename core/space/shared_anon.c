/*
 * shared_anon.c - memory that is shared but has no file
 *
 * Linux makes a file of its memory file system for each such mapping and shows it
 * as /dev/zero.  So do we: a mapping whose pages start as zeroes and are written
 * nowhere.  Its length is fixed when it is made; an area that mremap has grown
 * past it gets SIGBUS there.  Its pages are promised for as long as it lives.
 */
#include "space/vma.h"

/* (c) constant after creation */
struct shared_anon {
	struct tmm_space_system *spaces; /* (c) */
	uint64_t nr_pages;               /* (c) */
	uint64_t committed_pages;        /* (c) 0: MAP_NORESERVE */
};

static tmm_err read_zeroes(void *owner, uint64_t index, size_t nr, void *const *page_addresses)
{
	(void)owner;
	(void)index;
	for (size_t i = 0; i < nr; i++)
		memset(page_addresses[i], 0, TMM_PAGE_SIZE);
	return TMM_OK;
}

static uint64_t size_bytes(void *owner)
{
	struct shared_anon *anon = owner;

	return anon->nr_pages << TMM_PAGE_SHIFT;
}

static void release(void *owner)
{
	struct shared_anon *anon = owner;

	space_uncommit(anon->spaces, anon->committed_pages);
	tmm_kfree(anon->spaces->slabs, anon);
}

static const struct tmm_mapping_ops shared_anon_ops = {
	.read = read_zeroes, .size = size_bytes, .release = release};

static struct shared_anon *create_owner(struct tmm_mm *mm, uint64_t nr_pages, bool noreserve)
{
	struct tmm_space_system *spaces = mm->spaces;
	struct shared_anon *anon = tmm_kzalloc(spaces->slabs, sizeof(struct shared_anon),
	                                       TMM_GFP_KERNEL);

	if (!anon)
		return NULL;
	anon->spaces = spaces;
	anon->nr_pages = nr_pages;
	anon->committed_pages = noreserve ? 0 : nr_pages;
	if (!space_commit(spaces, mm->total_pages, anon->committed_pages)) {
		tmm_kfree(spaces->slabs, anon);
		return NULL;
	}
	return anon;
}

tmm_err shared_anon_create(struct tmm_mm *mm, uint64_t nr_pages, bool noreserve,
                           struct tmm_file **out_file)
{
	struct tmm_space_system *spaces = mm->spaces;
	struct shared_anon *anon = create_owner(mm, nr_pages, noreserve);
	struct tmm_file_spec spec = {.path = "/dev/zero (deleted)",
	                             .dev_minor = 1,
	                             .readable = true,
	                             .writable = true,
	                             .shmem = true};
	tmm_err err;

	if (!anon)
		return TMM_E_NOMEM;
	err = tmm_mapping_create(spaces->cache, &shared_anon_ops, anon, &spec.mapping);
	if (err != TMM_OK) {
		release(anon);
		return err;
	}
	/* relaxed: a number that nobody else gets */
	spec.inode = __atomic_fetch_add(&spaces->next_inode, 1, __ATOMIC_RELAXED);
	err = tmm_file_create(spaces->cache, &spec, out_file);
	tmm_mapping_put(spec.mapping); /* the file has its own, or all is released */
	return err;
}
