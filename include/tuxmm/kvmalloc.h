/*
 * kvmalloc.h - memory that may be adjacent by address alone
 *
 * For arrays that are small as a rule and large at times: kmalloc's memory where a run
 * of frames is to be had without effort, vmalloc's where not.  Up to a page, and where
 * the caller may not sleep, it is kmalloc's or nothing.
 *
 * Errors   NULL: memory is short, or the size is none
 * Owning   the borrower's until tmm_kvfree()
 * Locks    as tmm_kmalloc() and tmm_vmalloc()
 * Linux    kvmalloc(), kvmalloc_node(), kvzalloc(), kvcalloc(), kvrealloc(), kvfree()
 */
#ifndef TUXMM_KVMALLOC_H
#define TUXMM_KVMALLOC_H

#include <tuxmm/vmalloc.h>

void *tmm_kvmalloc(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp);
void *tmm_kvzalloc(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp);

/* The same, from the memory of a node first, as tmm_kmalloc_node() and tmm_vmalloc_node(). */
void *tmm_kvmalloc_node(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp,
                        unsigned node);
void *tmm_kvzalloc_node(struct tmm_kernel_map *map, size_t size_bytes, tmm_gfp gfp,
                        unsigned node);

/* nr elements; NULL also when that many bytes are no number. */
void *tmm_kvmalloc_array(struct tmm_kernel_map *map, size_t nr, size_t size_bytes, tmm_gfp gfp);
void *tmm_kvcalloc(struct tmm_kernel_map *map, size_t nr, size_t size_bytes, tmm_gfp gfp);

/*
 * The first old_bytes, or as many as there is room for, at an address for the new size.
 * NULL leaves the memory as it was.  What is large enough stays where it is.
 */
void *tmm_kvrealloc(struct tmm_kernel_map *map, void *memory, size_t old_bytes,
                    size_t size_bytes, tmm_gfp gfp);

/* NULL is ignored.  What was not lent: panics. */
void tmm_kvfree(struct tmm_kernel_map *map, void *memory);

#endif
