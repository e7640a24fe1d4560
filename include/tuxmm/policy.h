/*
 * policy.h - from which nodes a request takes its frames
 *
 * Without a policy a request is served from the node of its CPU, and from the
 * nearest others when that has nothing above its watermarks.
 *
 * Owning   the caller provides struct tmm_policy; requests of several threads may
 *          share it unless it interleaves
 * Errors   tmm_err, as in page_alloc.h
 * Linux    set_mempolicy(2), alloc_pages_node(), MPOL_*
 */
#ifndef TUXMM_POLICY_H
#define TUXMM_POLICY_H

#include <tuxmm/page_alloc.h>

enum tmm_policy_mode {
	TMM_POLICY_DEFAULT,   /* the CPU's node first */
	TMM_POLICY_PREFERRED, /* the first of the nodes first */
	TMM_POLICY_BIND,      /* these nodes only */
	TMM_POLICY_INTERLEAVE /* one node after the other */
};

struct tmm_policy {
	enum tmm_policy_mode mode;
	uint32_t nodes; /* bit i: node i */
	uint32_t next;  /* of TMM_POLICY_INTERLEAVE: its turn, or that of the next above */
};

/*
 * Make a policy.  Nodes without memory are left out.
 *   TMM_OK
 *   TMM_E_INVAL  no such mode; nodes with TMM_POLICY_DEFAULT, or none with another
 */
TMM_MUST_CHECK tmm_err tmm_policy_init(const struct tmm_pages *pages, enum tmm_policy_mode mode,
                                       uint32_t nodes, struct tmm_policy *out_policy);

/*
 * tmm_pages_alloc() by a policy.  TMM_POLICY_BIND is for requests that may use the
 * highest zone of the machine: those for lower ones go where there is such memory.
 */
TMM_MUST_CHECK tmm_err tmm_pages_alloc_policy(struct tmm_pages *pages,
                                              struct tmm_policy *policy, tmm_gfp gfp,
                                              unsigned order, tmm_pfn *out_pfn);

/*
 * tmm_pages_alloc() with another node than the CPU's as the nearest.
 *   TMM_E_INVAL  also: there is no such node
 */
TMM_MUST_CHECK tmm_err tmm_pages_alloc_node(struct tmm_pages *pages, unsigned node, tmm_gfp gfp,
                                            unsigned order, tmm_pfn *out_pfn);

/* That highest zone: of the kinds that have memory, MOVABLE apart. */
enum tmm_zone_id tmm_policy_zone(const struct tmm_pages *pages);

/* The node that a frame of RAM is on. */
unsigned tmm_pfn_node(const struct tmm_pages *pages, tmm_pfn pfn);

/* How far one node's memory is from another; 10 is the node itself. */
unsigned tmm_node_distance(const struct tmm_pages *pages, unsigned from, unsigned to);

#endif
